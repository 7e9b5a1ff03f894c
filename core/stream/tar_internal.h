/* tar_internal.h - what tar.c and tar_pax.c share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TAR_INTERNAL_H
#define HF_TAR_INTERNAL_H

#include "stream/tar.h"

/* The largest number an octal field of n bytes (with its NUL) holds. */
#define HF_OCTAL_MAX(n) ((1ULL << (3 * ((n)-1))) - 1)

/* Append "LEN key=value\n", LEN counting the whole record. */
void hf_pax_record(struct hf_buf *b, const char *key, const void *value, size_t n);
void hf_pax_number(struct hf_buf *b, const char *key, uint64_t v);
/* Seconds are the floor: -5 with 500000000 is "-4.5". */
void hf_pax_time(struct hf_buf *b, const char *key, int64_t s, uint32_t ns);
/* The records of all extended attributes and ACLs. */
void hf_pax_xattrs(struct hf_buf *b, const struct holdfast_entry *e);

#endif
