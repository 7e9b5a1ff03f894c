/* pack_internal.h - what pack_write.c and pack_seal.c share.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PACK_INTERNAL_H
#define HF_PACK_INTERNAL_H

#include "repo/repo.h"

#define HF_TAR_BLOCK 512u

struct hf_pack_writer {
  unsigned char *raw; /* the archive so far, mapped */
  size_t used, cap;
  size_t data; /* chunk bytes in it */
  struct hf_chunk_ref *chunks;
  size_t n, chunks_cap;
};

/* Length of the finished archive, its two zero blocks included. */
size_t hf_pack_writer_finish(struct hf_pack_writer *w);
/* Give the archive's memory back, to the system or for the next pack; the chunk list stays. */
void hf_pack_writer_release(struct hf_pack_writer *w);

/* The Padme size of n: n rounded up so that only the first few bits of its length say anything; at most 12 % more. */
uint64_t hf_padme(uint64_t n);

#endif
