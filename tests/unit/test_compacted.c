/* test_compacted.c - what a snapshot needs once packs of it were replaced: against a calculation one pack at a time.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/compacted.h"
#include "unit.h"

#define INDEXES 6
#define ORDINALS 24

static struct hf_digest digest(int index) {
  struct hf_digest d = {{0}};
  memset(d.b, 7 * (index + 1), sizeof d.b);
  return d;
}

/* A set of packs as a table of flags. */
typedef bool packs[INDEXES][ORDINALS];

static size_t to_indexes(packs p, struct hf_record_index *v) {
  size_t n = 0;
  for (int i = 0; i < INDEXES; i++) {
    unsigned char bits[ORDINALS / 8] = {0};
    for (int k = 0; k < ORDINALS; k++) bits[k / 8] |= (unsigned char)(p[i][k] << (k % 8));
    char *text = hf_ranges_write(bits, ORDINALS);
    if (*text)
      v[n++] = (struct hf_record_index){digest(i), text};
    else
      free(text);
  }
  return n;
}

static void free_indexes(struct hf_record_index *v, size_t n) {
  for (size_t i = 0; i < n; i++) free(v[i].packs);
}

static void add(struct hf_compactions *c, packs replaced, packs by) {
  struct hf_record_index a[INDEXES], b[INDEXES];
  struct hf_error e = {0};
  size_t n = to_indexes(replaced, a), m = to_indexes(by, b);
  json_t *all = json_array();
  json_array_append_new(all, hf_compaction_json(a, n, b, m));
  assert_int_equal(hf_compactions_add(c, all, &e), 0);
  json_decref(all);
  free_indexes(a, n);
  free_indexes(b, m);
}

struct flags {
  bool *v;
};
static int flag(void *ctx, uint64_t ordinal) {
  ((struct flags *)ctx)->v[ordinal] = true;
  return 0;
}

static void apply(const struct hf_compactions *c, packs before, packs after) {
  struct hf_record rec = {.indexes = hf_allocn(INDEXES, sizeof *rec.indexes)};
  struct hf_error e = {0};
  rec.n_indexes = to_indexes(before, rec.indexes);
  assert_int_equal(hf_compactions_apply(c, &rec, &e), 0);
  memset(after, 0, sizeof(packs));
  for (size_t i = 0; i < rec.n_indexes; i++) {
    int index = rec.indexes[i].sha256.b[0] / 7 - 1;
    assert_in_range(index, 0, INDEXES - 1);
    assert_true(*rec.indexes[i].packs);
    assert_int_equal(hf_ranges_each(rec.indexes[i].packs, flag, &(struct flags){after[index]}, &e), 0);
  }
  free_indexes(rec.indexes, rec.n_indexes);
  free(rec.indexes);
}

/* The same by hand. */
static void replace(packs now, packs replaced, packs by) {
  bool any = false;
  for (int i = 0; i < INDEXES * ORDINALS; i++) any |= (&now[0][0])[i] && (&replaced[0][0])[i];
  for (int i = 0; i < INDEXES * ORDINALS && any; i++)
    (&now[0][0])[i] = ((&now[0][0])[i] && !(&replaced[0][0])[i]) || (&by[0][0])[i];
}

static void chance(packs p, unsigned one_of) {
  for (int i = 0; i < INDEXES * ORDINALS; i++) (&p[0][0])[i] = (unsigned)rand() % one_of == 0;
}

static void test_random(void **state HF_UNUSED) {
  srand(20261128);
  for (int round = 0; round < 3000; round++) {
    struct hf_compactions *c = hf_compactions_new();
    packs rec, now, got;
    chance(rec, 1 + (unsigned)rand() % 30);
    memcpy(now, rec, sizeof now);
    for (int steps = rand() % 6; steps > 0; steps--) {
      packs replaced, by;
      chance(replaced, 2 + (unsigned)rand() % 60);
      chance(by, 10 + (unsigned)rand() % 200);
      add(c, replaced, by);
      replace(now, replaced, by);
    }
    apply(c, rec, got);
    assert_memory_equal(got, now, sizeof now);
    hf_compactions_free(c);
  }
}

static void test_chain(void **state HF_UNUSED) {
  struct hf_compactions *c = hf_compactions_new();
  packs a = {{0}}, b = {{0}}, d = {{0}}, rec = {{0}}, got, want = {{0}};
  a[0][1] = a[0][2] = b[1][0] = d[2][0] = true;
  add(c, a, b); /* 0:1-2 -> 1:0 -> 2:0 */
  add(c, b, d);
  rec[0][0] = rec[0][2] = true;
  apply(c, rec, got);
  want[0][0] = want[2][0] = true;
  assert_memory_equal(got, want, sizeof want);
  memset(rec, 0, sizeof rec);
  rec[0][0] = rec[3][9] = true; /* of no concern to it */
  apply(c, rec, got);
  assert_memory_equal(got, rec, sizeof rec);
  hf_compactions_free(c);
}

static void test_nothing_left(void **state HF_UNUSED) {
  struct hf_compactions *c = hf_compactions_new();
  packs a = {{0}}, none = {{0}}, got;
  a[4][23] = true;
  add(c, a, none);
  apply(c, a, got);
  assert_memory_equal(got, none, sizeof none);
  hf_compactions_free(c);
}

static void test_malformed(void **state HF_UNUSED) {
  static const char *const texts[] = {
      "[{}]",
      "[1]",
      "[{\"replaced\":[]}]",
      "[{\"replaced\":{},\"by\":[]}]",
      "[{\"replaced\":[1],\"by\":[]}]",
      "[{\"replaced\":[{\"sha256\":\"00\",\"packs\":\"0\"}],\"by\":[]}]",
      "[{\"replaced\":[{\"sha256\":\"0707070707070707070707070707070707070707070707070707070707070707\",\"packs\":\"\"}],\"by\":["
      "]}]",
      "[{\"replaced\":[{\"sha256\":\"0707070707070707070707070707070707070707070707070707070707070707\",\"packs\":\"3-1\"}],"
      "\"by\":[]}]",
      "[{\"replaced\":[{\"sha256\":\"0707070707070707070707070707070707070707070707070707070707070707\",\"packs\":\"99999999\"}],"
      "\"by\":[]}]",
  };
  for (size_t i = 0; i < HF_NELEM(texts); i++) {
    struct hf_compactions *c = hf_compactions_new();
    struct hf_error e = {0};
    json_t *v = json_loads(texts[i], 0, NULL);
    assert_non_null(v);
    assert_int_equal(hf_compactions_add(c, v, &e), HOLDFAST_E_CORRUPT);
    assert_true(e.msg[0]);
    json_decref(v);
    hf_compactions_free(c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_chain),
                                     cmocka_unit_test(test_nothing_left), cmocka_unit_test(test_malformed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
