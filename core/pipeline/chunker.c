/* chunker.c - FastCDC with a keyed gear table.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/chunker.h"

#include "repo/repo.h"

#define MASK_SMALL (~0ULL << (64 - 22))
#define MASK_LARGE (~0ULL << (64 - 18))

struct hf_chunker {
  uint64_t gear[256];
  size_t fixed;
  unsigned char *buf;
  size_t len;     /* bytes in buf, all of the chunk being made */
  size_t scanned; /* of those, already hashed without a cut */
  uint64_t hash;
};

struct hf_chunker *hf_chunker_new(const uint64_t gear[256]) {
  struct hf_chunker *c = hf_alloc(sizeof *c);
  memcpy(c->gear, gear, sizeof c->gear);
  c->buf = hf_alloc(HF_CHUNK_MAX);
  return c;
}

void hf_chunker_free(struct hf_chunker *c) {
  if (!c) return;
  hf_wipe(c->gear, sizeof c->gear);
  free(c->buf);
  free(c);
}

void hf_chunker_start(struct hf_chunker *c, size_t fixed) {
  c->fixed = HF_MIN(fixed, (size_t)HF_CHUNK_MAX);
  c->len = c->scanned = 0;
  c->hash = 0;
}

/* Hash p[from..to); returns the index behind which to cut, or 0. */
static size_t scan(struct hf_chunker *c, const unsigned char *p, size_t from, size_t to, uint64_t mask) {
  const uint64_t *gear = c->gear;
  uint64_t h = c->hash;
  for (size_t i = from; i < to; i++) {
    h = (h << 1) + gear[p[i]];
    if ((h & mask) == 0) {
      c->hash = h;
      return i + 1;
    }
  }
  c->hash = h;
  return 0;
}

/* Where the chunk in buf ends, or 0 when more bytes are needed to say. */
static size_t find_cut(struct hf_chunker *c) {
  if (c->fixed) return c->len >= c->fixed ? c->fixed : 0;
  if (c->scanned < HF_CHUNK_MIN) c->scanned = HF_MIN(c->len, (size_t)HF_CHUNK_MIN);
  size_t cut = 0;
  size_t end = HF_MIN(c->len, (size_t)HF_CHUNK_AVG);
  if (c->scanned < end) {
    cut = scan(c, c->buf, c->scanned, end, MASK_SMALL);
    c->scanned = end;
  }
  end = HF_MIN(c->len, (size_t)HF_CHUNK_MAX);
  if (!cut && c->scanned < end && c->scanned >= HF_CHUNK_AVG) {
    cut = scan(c, c->buf, c->scanned, end, MASK_LARGE);
    c->scanned = end;
  }
  if (!cut && c->len == HF_CHUNK_MAX) cut = HF_CHUNK_MAX;
  return cut;
}

int hf_chunker_feed(struct hf_chunker *c, const void *p, size_t n, hf_chunk_fn fn, void *ctx, struct hf_error *err) {
  const unsigned char *in = p;
  for (;;) {
    size_t cut;
    while ((cut = find_cut(c)) != 0) {
      int r = fn(ctx, c->buf, cut, err);
      if (r < 0) return r;
      c->len -= cut;
      memmove(c->buf, c->buf + cut, c->len);
      c->scanned = 0;
      c->hash = 0;
    }
    if (n == 0) return 0;
    /* Not more at once than can be moved back cheaply after a cut. */
    size_t take = HF_MIN(n, HF_MIN((size_t)HF_CHUNK_MAX - c->len, (size_t)(256 * HF_KIB)));
    memcpy(c->buf + c->len, in, take);
    c->len += take;
    in += take;
    n -= take;
  }
}

int hf_chunker_end(struct hf_chunker *c, hf_chunk_fn fn, void *ctx, struct hf_error *err) {
  size_t n = c->len;
  c->len = c->scanned = 0;
  c->hash = 0;
  return n ? fn(ctx, c->buf, n, err) : 0;
}
