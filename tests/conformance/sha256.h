/* sha256.h - SHA-256 for the conformance programs, which stand on no library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_CONF_SHA256_H
#define HF_CONF_SHA256_H

#include <stddef.h>

/* The digest (FIPS 180-4) of n bytes at p, as 64 lower-case hex digits and a NUL. */
void sha256_hex(const void *p, size_t n, char out[65]);

#endif
