/* index_write.c - the text of an index: which chunks are in which packs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>

#include "repo/repo.h"

void hf_index_begin(struct hf_buf *b, const char *repo_id) { hf_buf_addf(b, "holdfast-index 1\nrepository %s\n", repo_id); }

void hf_index_add(struct hf_buf *b, const struct hf_index_pack *p, const struct hf_chunk_ref *chunks, size_t n) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(&p->digest, hex);
  hf_buf_addf(b, "pack %s %" PRIu64 " %" PRIu64 " %s %s %s\n", hex, p->stored, p->raw,
              p->kind == HF_PACK_RECIPE ? "recipe" : "data", p->source, p->audience);
  for (size_t i = 0; i < n; i++) {
    hf_digest_hex(&chunks[i].id, hex);
    hf_buf_addf(b, "chunk %s %" PRIu32 " %" PRIu32 "\n", hex, chunks[i].offset, chunks[i].length);
  }
}

void hf_index_end(struct hf_buf *b, size_t packs, size_t chunks) { hf_buf_addf(b, "end %zu %zu\n", packs, chunks); }
