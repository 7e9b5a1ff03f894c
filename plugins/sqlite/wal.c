/* wal.c - which page is in which frame of a write-ahead log (https://www.sqlite.org/fileformat2.html#walformat).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A header of 32 bytes, then frames: 24 bytes and a page. Every frame repeats the header's two salts, and carries a check sum over all
 * frames up to it, so that what an earlier generation of the log left behind does not count.
 */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

#define HEADER 32
#define FRAME_HEADER 24
#define MAGIC 0x377f0682u /* the lowest bit says that check sums are made of big-endian words */
/* 128 MiB of memory; a log of 64 GiB with pages of 4 KiB. */
#define FRAMES_MAX (16u << 20)

static uint32_t be32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

struct sum {
  uint32_t a, b;
  bool big;
};

/* n is a multiple of 8. */
static void add_sum(struct sum *s, const unsigned char *p, size_t n) {
  uint32_t a = s->a, b = s->b;
  for (size_t i = 0; i < n; i += 8) {
    uint32_t x, y;
    memcpy(&x, p + i, 4);
    memcpy(&y, p + i + 4, 4);
    if (s->big != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)) {
      x = __builtin_bswap32(x);
      y = __builtin_bswap32(y);
    }
    a += x + b;
    b += y + a;
  }
  s->a = a;
  s->b = b;
}

static int check_header(const unsigned char *h, uint32_t page_size, const unsigned char salt[8], struct sum *sum, char *why) {
  if ((be32(h) & ~1u) != MAGIC || be32(h + 4) != 3007000) return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "the write-ahead log has another format");
  if (be32(h + 8) != page_size) return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "the write-ahead log has another page size than the database");
  sum->big = be32(h) & 1;
  add_sum(sum, h, 24);
  if (be32(h + 24) != sum->a || be32(h + 28) != sum->b || memcmp(h + 16, salt, 8) != 0)
    return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "the write-ahead log's header is damaged");
  return 0;
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Of each page the last frame only, and no page that the database no longer has. */
static void settle(struct hf_sqlite_frames *f, uint32_t pages) {
  size_t kept = 0;
  if (f->n > 0) qsort(f->v, f->n, sizeof *f->v, by_value);
  for (size_t i = 0; i < f->n; i++) {
    if (f->v[i] >> 32 > pages) break;
    if (i + 1 < f->n && f->v[i] >> 32 == f->v[i + 1] >> 32) continue;
    f->v[kept++] = f->v[i];
  }
  f->n = kept;
}

static int read_frame(hf_sqlite_read_fn read, void *ctx, uint32_t number, uint32_t page_size, const unsigned char salt[8], unsigned char *frame,
                      struct sum *sum, char *why) {
  int rc = read(ctx, frame, FRAME_HEADER + (size_t)page_size, hf_sqlite_frame_offset(number, page_size) - FRAME_HEADER);
  if (rc < 0) return hf_sqlite_say(why, rc, "frame %u of the write-ahead log cannot be read", number);
  add_sum(sum, frame, 8);
  add_sum(sum, frame + FRAME_HEADER, page_size);
  if (memcmp(frame + 8, salt, 8) != 0 || be32(frame + 16) != sum->a || be32(frame + 20) != sum->b || be32(frame) == 0)
    return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "frame %u of the write-ahead log is damaged", number);
  return 0;
}

int hf_sqlite_wal_frames(hf_sqlite_read_fn read, void *ctx, uint32_t page_size, const unsigned char salt[8], uint32_t last, uint32_t pages,
                         struct hf_sqlite_frames *out, char *why) {
  struct hf_sqlite_frames f = {0};
  unsigned char header[HEADER];
  struct sum sum = {0};
  if (page_size < 512 || page_size > HF_SQLITE_PAGE_MAX || (page_size & (page_size - 1)) != 0)
    return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "%u is no page size", page_size);
  if (last > FRAMES_MAX)
    return hf_sqlite_say(why, HOLDFAST_E_UNSUPPORTED,
                         "its write-ahead log has %u frames, more than %u: bring it into the database with PRAGMA wal_checkpoint", last, FRAMES_MAX);
  int rc = read(ctx, header, sizeof header, 0);
  if (rc < 0) return hf_sqlite_say(why, rc, "the write-ahead log cannot be read");
  rc = check_header(header, page_size, salt, &sum, why);
  if (rc < 0) return rc;
  unsigned char *frame = malloc(FRAME_HEADER + (size_t)page_size);
  size_t cap = 0;
  for (uint32_t i = 1; frame && rc == 0 && i <= last; i++) {
    if (f.n == cap) {
      cap = cap ? cap * 2 : 1024;
      uint64_t *grown = realloc(f.v, cap * sizeof *f.v);
      if (!grown) break;
      f.v = grown;
    }
    rc = read_frame(read, ctx, i, page_size, salt, frame, &sum, why);
    if (rc == 0) f.v[f.n++] = (uint64_t)be32(frame) << 32 | i;
  }
  if (rc == 0 && f.n < last) rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  else if (rc == 0 && last > 0 && be32(frame + 4) != pages)
    rc = hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "frame %u of the write-ahead log does not end a transaction of %u pages", last, pages);
  free(frame);
  if (rc < 0) {
    free(f.v);
    return rc;
  }
  settle(&f, pages);
  *out = f;
  return 0;
}

void hf_sqlite_frames_free(struct hf_sqlite_frames *f) {
  free(f->v);
  *f = (struct hf_sqlite_frames){0};
}

size_t hf_sqlite_frames_find(const struct hf_sqlite_frames *f, uint64_t page) {
  size_t lo = 0, hi = f->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (f->v[mid] >> 32 < page) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

uint64_t hf_sqlite_frame_offset(uint32_t frame, uint32_t page_size) {
  return HEADER + (uint64_t)(frame - 1) * (FRAME_HEADER + (uint64_t)page_size) + FRAME_HEADER;
}
