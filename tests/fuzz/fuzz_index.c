/* fuzz_index.c - the index parser, the ordinal sets and the OpenPGP shape check on arbitrary bytes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "fuzz.h"
#include "repo/repo.h"

struct sums {
  uint64_t packs, chunks, end;
  uint64_t raw;
};

static void must(bool ok) {
  if (!ok) abort();
}

/* What the parser lets through must be safe to use: names that are names, chunks inside their pack and behind each other. */
static int on_pack(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err) {
  struct sums *s = ctx;
  (void)err;
  must(ordinal == s->packs++);
  must(p->source[0] && !strchr(p->source, '/') && p->source[0] != '.');
  must(p->raw <= HF_PACK_READ_MAX);
  s->raw = p->raw;
  s->end = 0;
  return 0;
}

static int on_chunk(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err) {
  struct sums *s = ctx;
  (void)err;
  must(s->packs > 0 && c->offset >= 512 + s->end && (uint64_t)c->offset + c->length <= s->raw);
  s->end = (uint64_t)c->offset + c->length;
  s->chunks++;
  return 0;
}

static int count(void *ctx, uint64_t ordinal) {
  uint64_t *n = ctx;
  (void)ordinal;
  return ++*n > 10000 ? HOLDFAST_E_CANCELED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct hf_error err = {0};
  struct sums s = {0};
  struct hf_index_sink sink = {&s, on_pack, on_chunk};
  struct hf_object_name name;
  uint64_t n = 0;
  char *text = hf_strndup((const char *)data, size);
  hf_index_parse((const char *)data, size, "00112233445566778899aabbccddeeff", &sink, &err);
  hf_ranges_each(text, count, &n, &err);
  hf_key_parse(text, &name);
  hf_openpgp_check_shape(data, size, &err);
  free(text);
  return 0;
}
