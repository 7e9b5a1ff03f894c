/* test_chunker.c - cutting: whole, bounded, the same whatever the pieces it is fed in, and back in step after an insertion.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "base/digest.h"
#include "pipeline/chunker.h"
#include "repo/repo.h"

#define MAX_CUTS 512

struct cuts {
  size_t n;
  size_t len[MAX_CUTS];
  struct hf_digest sum[MAX_CUTS];
  struct hf_buf all;
};

static int take(void *ctx, const void *p, size_t n, struct hf_error *err) {
  struct cuts *c = ctx;
  (void)err;
  assert_true(c->n < MAX_CUTS);
  c->len[c->n] = n;
  hf_sha256(p, n, &c->sum[c->n++]);
  hf_buf_add(&c->all, p, n);
  return 0;
}

static unsigned char *noise(size_t n, uint64_t seed) {
  unsigned char *p = hf_alloc(n);
  for (size_t i = 0; i < n; i++) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    p[i] = (unsigned char)(seed >> 56);
  }
  return p;
}

static void gear_of(uint64_t gear[256], uint64_t seed) {
  for (int i = 0; i < 256; i++) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    gear[i] = seed;
  }
}

static void cut(const uint64_t gear[256], size_t fixed, const unsigned char *p, size_t n, size_t piece, struct cuts *c) {
  struct hf_chunker *k = hf_chunker_new(gear);
  struct hf_error e = {0};
  memset(c, 0, sizeof *c);
  hf_chunker_start(k, fixed);
  for (size_t at = 0; at < n; at += piece) assert_int_equal(hf_chunker_feed(k, p + at, HF_MIN(piece, n - at), take, c, &e), 0);
  assert_int_equal(hf_chunker_end(k, take, c, &e), 0);
  assert_int_equal(c->all.len, n);
  if (n) assert_memory_equal(c->all.data, p, n);
  hf_buf_free(&c->all);
  hf_chunker_free(k);
}

static void whole_and_bounded(void **state) {
  (void)state;
  uint64_t gear[256];
  gear_of(gear, 42);
  const size_t n = 40 << 20;
  unsigned char *p = noise(n, 1);
  struct cuts *a = hf_alloc(sizeof *a), *b = hf_alloc(sizeof *b);
  cut(gear, 0, p, n, n, a);
  for (size_t i = 0; i + 1 < a->n; i++) {
    assert_true(a->len[i] > HF_CHUNK_MIN);
    assert_true(a->len[i] <= HF_CHUNK_MAX);
  }
  /* The average is near 1 MiB: wide bounds, but a wrong mask falls outside. */
  assert_true(a->n > 25 && a->n < 70);
  static const size_t pieces[] = {1 << 20, 4096, 65537, 3};
  for (size_t k = 0; k < HF_NELEM(pieces); k++) {
    size_t m = pieces[k] < 100 ? 6 << 20 : n;
    struct cuts *c = hf_alloc(sizeof *c);
    cut(gear, 0, p, m, pieces[k], b);
    cut(gear, 0, p, m, m, c);
    assert_int_equal(b->n, c->n);
    for (size_t i = 0; i < b->n; i++) assert_int_equal(b->len[i], c->len[i]);
    free(c);
  }
  free(a);
  free(b);
  free(p);
}

static void back_in_step(void **state) {
  (void)state;
  uint64_t gear[256];
  gear_of(gear, 7);
  const size_t n = 32 << 20, at = 9 << 20;
  unsigned char *p = noise(n + 1, 2), *q = hf_alloc(n + 1);
  memcpy(q, p, at);
  q[at] = 0x5a;
  memcpy(q + at + 1, p + at, n - at);
  struct cuts *a = hf_alloc(sizeof *a), *b = hf_alloc(sizeof *b);
  cut(gear, 0, p, n, n, a);
  cut(gear, 0, q, n + 1, n + 1, b);
  size_t same = 0;
  for (size_t i = 0; i < a->n; i++) {
    for (size_t k = 0; k < b->n; k++) {
      if (hf_digest_eq(&a->sum[i], &b->sum[k])) {
        same++;
        break;
      }
    }
  }
  assert_true(same + 4 >= a->n); /* one byte costs a chunk or two, not the rest */
  free(a);
  free(b);
  free(p);
  free(q);
}

static void keyed(void **state) {
  (void)state;
  uint64_t g1[256], g2[256];
  gear_of(g1, 3);
  gear_of(g2, 4);
  const size_t n = 16 << 20;
  unsigned char *p = noise(n, 5);
  struct cuts *a = hf_alloc(sizeof *a), *b = hf_alloc(sizeof *b);
  cut(g1, 0, p, n, n, a);
  cut(g2, 0, p, n, n, b);
  assert_true(a->len[0] != b->len[0] || a->len[1] != b->len[1]);
  free(a);
  free(b);
  free(p);
}

static void fixed_and_edges(void **state) {
  (void)state;
  uint64_t gear[256] = {0}; /* a hash that is always zero: every chunk as short as can be */
  unsigned char *p = noise(3 << 20, 6);
  struct cuts *a = hf_alloc(sizeof *a);
  cut(gear, 8192, p, 8192 * 3 + 5, 1000, a);
  assert_int_equal(a->n, 4);
  assert_int_equal(a->len[0], 8192);
  assert_int_equal(a->len[3], 5);
  cut(gear, 0, p, 0, 1, a);
  assert_int_equal(a->n, 0);
  cut(gear, 0, p, 1, 1, a);
  assert_int_equal(a->n, 1);
  cut(gear, 0, p, 1 << 20, 1 << 20, a);
  assert_int_equal(a->len[0], HF_CHUNK_MIN + 1);
  unsigned char *big = noise((9 << 20) + 1, 8);
  memset(big, 0, (9 << 20) + 1); /* one byte value only: the hash stays what it is, and never has zeros at the top */
  gear[0] = 1ULL << 63;
  cut(gear, 0, big, 9 << 20, 9 << 20, a);
  assert_int_equal(a->n, 3);
  assert_int_equal(a->len[0], HF_CHUNK_MAX);
  assert_int_equal(a->len[2], 1 << 20);
  free(big);
  free(p);
  free(a);
}

static int refuse(void *ctx, const void *p, size_t n, struct hf_error *err) {
  (void)ctx, (void)p, (void)n;
  return hf_fail(err, HOLDFAST_E_NO_SPACE, "full");
}

static void error_passes(void **state) {
  (void)state;
  uint64_t gear[256] = {0};
  struct hf_error e = {0};
  unsigned char *p = noise(1 << 20, 9);
  struct hf_chunker *k = hf_chunker_new(gear);
  hf_chunker_start(k, 0);
  assert_int_equal(hf_chunker_feed(k, p, 1 << 20, refuse, NULL, &e), HOLDFAST_E_NO_SPACE);
  assert_string_equal(e.msg, "full");
  hf_chunker_free(k);
  hf_chunker_free(NULL);
  free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whole_and_bounded), cmocka_unit_test(back_in_step), cmocka_unit_test(keyed), cmocka_unit_test(fixed_and_edges), cmocka_unit_test(error_passes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
