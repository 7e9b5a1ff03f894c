/* tar.h - writing pax tar headers, one entry at a time. IEEE Std 1003.1 pax; GNU sparse format 1.0; SCHILY.xattr and SCHILY.acl as GNU tar and libarchive read them.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TAR_H
#define HF_TAR_H

#include <holdfast/source.h>

#include "base/base.h"

#define HF_TAR_BLOCK 512u
/* Headers of one entry (extended header, sparse map) are at most this long; xattrs beyond it are an error (HOLDFAST_E_UNSUPPORTED). */
#define HF_TAR_HEAD_MAX (1u << 20)

/* Append the headers of e (and the sparse map when it has extents): everything before the data. *data gets the number of data bytes that must follow (the file's
 * size, or the sum of its extents), before padding. Nanosecond times, long or non-UTF-8 paths, large numbers, user/group names, xattrs and ACLs (binary
 * "system.posix_acl_access"/"_default" as SCHILY.acl.access/.default text with numeric ids) go to a pax extended header, which is left out when nothing needs it. A sparse map
 * longer than half of HF_TAR_HEAD_MAX is HOLDFAST_E_UNSUPPORTED: the caller then stores the file dense (e->extents = NULL, reading zeros for the holes itself). */
int hf_tar_head(struct hf_buf *b, const struct holdfast_entry *e, uint64_t *data, struct hf_error *err);
/* Zero bytes to fill up to a block after n data bytes: 0..511. */
static inline uint32_t hf_tar_pad(uint64_t n) { return (uint32_t)(-n & (HF_TAR_BLOCK - 1)); }
/* The end of an archive: two zero blocks. */
#define HF_TAR_TAIL 1024u

#endif
