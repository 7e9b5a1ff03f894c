/* fuzz_sqlite.c - fuzz target: what the sqlite source reads that others wrote: a write-ahead log, and the state in a record.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Input: one byte, even: the rest is a state. Odd: then two bytes that say the page size (as a power of two) and the last frame, then a log.
 */
#include <stdlib.h>
#include <string.h>

#include "../../plugins/sqlite/sqlite.h"
#include "fuzz.h"

static void must(bool ok) {
  if (!ok) __builtin_trap();
}

struct bytes {
  const uint8_t *p;
  size_t n;
};

static int read_bytes(void *ctx, void *buf, size_t n, uint64_t offset) {
  const struct bytes *b = ctx;
  if (offset > b->n || n > b->n - offset) return HOLDFAST_E_CORRUPT;
  memcpy(buf, b->p + offset, n);
  return 0;
}

static void log_of(const uint8_t *p, size_t n) {
  char why[HF_SQLITE_WHY];
  struct hf_sqlite_frames f = {0};
  unsigned char salt[8] = {0};
  uint32_t size = 1u << (p[0] & 31), last = p[1], pages = 0;
  struct bytes b = {p + 2, n - 2};
  if (b.n >= 24) memcpy(salt, b.p + 16, 8);
  /* The size that the last frame says, so that a good log is taken. */
  if (size <= HF_SQLITE_PAGE_MAX && last > 0 && hf_sqlite_frame_offset(last, size) <= b.n) {
    const uint8_t *h = b.p + hf_sqlite_frame_offset(last, size) - 20;
    pages = (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
  }
  if (hf_sqlite_wal_frames(read_bytes, &b, size, salt, last, pages, &f, why) != 0) return;
  for (size_t i = 0; i < f.n; i++) {
    must(f.v[i] >> 32 >= 1 && f.v[i] >> 32 <= pages && (uint32_t)f.v[i] >= 1 && (uint32_t)f.v[i] <= last);
    must(i == 0 || f.v[i - 1] >> 32 < f.v[i] >> 32);
  }
  hf_sqlite_frames_free(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  char why[HF_SQLITE_WHY];
  struct hf_sqlite_list l, back;
  char text[4096];
  if (n < 3) return 0;
  if (data[0] & 1) {
    log_of(data + 1, n - 1);
    return 0;
  }
  size_t len = n - 1 < sizeof text - 1 ? n - 1 : sizeof text - 1;
  memcpy(text, data + 1, len);
  text[len] = '\0';
  if (hf_sqlite_state_read(text, &l, why) != 0) return 0;
  /* What was taken is the same when written and read again. */
  char *again = hf_sqlite_state_write(&l);
  must(again && hf_sqlite_state_read(again, &back, why) == 0 && back.n == l.n);
  for (size_t i = 0; i < l.n; i++) must(strcmp(l.v[i].path, back.v[i].path) == 0 && strcmp(l.v[i].file, back.v[i].file) == 0 && !strchr(l.v[i].file, '/'));
  free(again);
  hf_sqlite_list_free(&l);
  hf_sqlite_list_free(&back);
  return 0;
}
