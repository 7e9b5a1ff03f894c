/* chunker.h - cutting a byte stream into chunks, by content or at a fixed size.
 * SPDX-License-Identifier: Apache-2.0
 *
 * By content: FastCDC with normalised chunking (Xia et al., USENIX ATC 2016 and IEEE TPDS 2020), level 2, with a secret gear table. The hash starts at 0 after HF_CHUNK_MIN bytes of a chunk;
 * for every byte b: h = (h << 1) + gear[b]; a chunk ends behind the byte that leaves the top 22 bits of h zero (before HF_CHUNK_AVG bytes) or the top 18 (after), or at HF_CHUNK_MAX.
 * Memory: one buffer of HF_CHUNK_MAX bytes.
 */
#ifndef HF_CHUNKER_H
#define HF_CHUNKER_H

#include "base/base.h"

struct hf_chunker;
/* Take one chunk; a negative status ends the feed with it. */
typedef int (*hf_chunk_fn)(void *ctx, const void *p, size_t n, struct hf_error *err);

struct hf_chunker *hf_chunker_new(const uint64_t gear[256]);
void hf_chunker_free(struct hf_chunker *c);
/* Start a new stretch. fixed: chunk size in bytes (at most HF_CHUNK_MAX), or 0 for content-defined. Nothing may be pending. */
void hf_chunker_start(struct hf_chunker *c, size_t fixed);
/* Add bytes; fn gets every chunk that is complete. */
int hf_chunker_feed(struct hf_chunker *c, const void *p, size_t n, hf_chunk_fn fn, void *ctx, struct hf_error *err);
/* The end: fn gets what is left, if anything. */
int hf_chunker_end(struct hf_chunker *c, hf_chunk_fn fn, void *ctx, struct hf_error *err);

#endif
