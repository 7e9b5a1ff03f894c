/* internal.h - what the files of base/ share with each other and with nobody else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_BASE_INTERNAL_H
#define HF_BASE_INTERNAL_H

#include "base/base.h"

/* One line on standard error, then exit code 1 without running exit handlers: for a machine without memory or randomness. (mem.c) */
_Noreturn void hf_die(const char *line);

/* The length (1 to 4) of the well-formed UTF-8 sequence at p, or 0 when there is none within n bytes. The code point goes to *cp
 * (may be NULL). Overlong forms, surrogates and values above U+10FFFF are not well-formed. (escape.c) */
size_t hf_utf8_seq(const unsigned char *p, size_t n, uint32_t *cp);

#endif
