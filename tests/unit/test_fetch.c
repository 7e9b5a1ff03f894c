/* test_fetch.c - which target is read, what is brought back from archives, what is kept locked.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "base/io.h"
#include "base/text.h"
#include "double_target.h"
#include "engine/extend.h"
#include "engine/session.h"

static struct hf_session s;
static struct hf_target *targets[2];
static struct hf_target_chain chains[2];
static struct hf_error e;
static struct hf_digest digest;
static char folder[32];

static int set_up(void **unused) {
  (void)unused;
  hf_log_threshold = -1;
  hf_cancel = 0;
  memset(&s, 0, sizeof s);
  memset(&e, 0, sizeof e);
  strcpy(folder, "/tmp/hffXXXXXX");
  if (!mkdtemp(folder) || hf_state_open(folder, true, &s.state, &e) < 0) return -1;
  for (unsigned i = 0; i < 2; i++) {
    shelf_empty(&shelves[i]);
    struct hf_manifest_target *m = double_manifest(i, "");
    m->retries = 0;
    hf_settings_set(m->settings, "retain", "10d", 1, NULL, &e);
    if (hf_target_open(m, "web1", false, &hf_cancel, &targets[i], &e) < 0) return -1;
  }
  s.targets = targets;
  s.chains = chains;
  s.n_targets = 2;
  s.fetching = hf_fetching_new(2);
  hf_sha256("hello", 5, &digest);
  return 0;
}

static int tear_down(void **unused) {
  (void)unused;
  hf_fetching_free(s.fetching);
  hf_state_close(s.state);
  for (unsigned i = 0; i < 2; i++) {
    hf_target_close(targets[i]);
    double_free(i);
    shelf_empty(&shelves[i]);
  }
  return hf_remove_tree(folder, NULL);
}

static void put(unsigned i, const char *key) {
  struct hf_digest d;
  hf_sha256("hello", 5, &d);
  assert_int_equal(hf_target_put(targets[i], key, "hello", 5, &d, false, &e), 0);
}

static int fetch(void) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  return hf_session_fetch(&s, "packs/x", &digest, 100, &b, &e);
}

/* How often a target has been asked for an object since. */
static void count_gets(unsigned i) { shelf_fails(&shelves[i], D_GET, 1000000, 1, 0); }

static void best_first(void **unused) {
  (void)unused;
  put(0, "packs/x");
  put(1, "packs/x");
  count_gets(0);
  count_gets(1);
  assert_int_equal(fetch(), 0);
  assert_int_equal(shelves[0].calls, 1); /* about as near: the manifest's order */
  assert_int_equal(shelves[1].calls, 0);
  /* It takes its time: the other one is asked, once that is known. */
  shelves[0].naps = 100000;
  assert_int_equal(fetch(), 0);
  shelves[0].naps = 0;
  count_gets(0);
  count_gets(1);
  assert_int_equal(fetch(), 0);
  assert_int_equal(shelves[0].calls, 0);
  assert_int_equal(shelves[1].calls, 1);
}

/* One object that is missing or damaged costs nothing but that; a target that fails is asked last from then on. */
static void passed_over(void **unused) {
  (void)unused;
  put(1, "packs/x");
  count_gets(0);
  assert_int_equal(fetch(), 0);
  assert_int_equal(fetch(), 0);
  assert_int_equal(shelves[0].calls, 2);
  put(0, "packs/x");
  shelf_find(&shelves[0], "web1/packs/x")->p[0] ^= 1;
  assert_int_equal(fetch(), 0);
  assert_int_equal(fetch(), 0);
  assert_int_equal(shelves[0].calls, 4);
  shelf_fails(&shelves[0], D_GET, 1, 1, HOLDFAST_E_AUTH);
  assert_int_equal(fetch(), 0);
  assert_int_equal(fetch(), 0);
  assert_int_equal(shelves[0].calls, 1);
  hf_session_passed_over(&s);
  /* Nobody has it: the worst of it is told. */
  shelf_find(&shelves[0], "web1/packs/x")->key[0] = 'X';
  shelf_find(&shelves[1], "web1/packs/x")->p[0] ^= 1;
  assert_int_equal(fetch(), HOLDFAST_E_CORRUPT);
  assert_string_equal(e.msg, "no target has a good copy of packs/x");
}

static int thaw(void) {
  struct hf_list keys = HF_LIST_INIT;
  hf_list_add(&keys, "packs/x");
  hf_list_add(&keys, "packs/y");
  int r = hf_session_thaw(&s, &keys, &e);
  hf_list_free(&keys);
  return r;
}

static void archives(void **unused) {
  (void)unused;
  for (unsigned i = 0; i < 2; i++) {
    put(i, "packs/x");
    put(i, "packs/y");
  }
  assert_int_equal(thaw(), 0);
  /* Some are on their way, and nobody else has them warm: come back later. */
  for (unsigned i = 0; i < 2; i++) {
    shelf_fails(&shelves[i], D_THAW, 1, 1000, HOLDFAST_E_TRANSIENT);
    shelves[i].only = "/y";
    shelves[i].words = "it takes 12 hours";
  }
  assert_int_equal(thaw(), HOLDFAST_E_TRANSIENT);
  assert_string_equal(e.msg, "target shelf0: cannot read yet 1 of 2 objects, such as packs/y: it takes 12 hours; run the same command again then");
  /* The other one has them: it is read. */
  shelf_works(&shelves[1]);
  assert_int_equal(thaw(), 0);
  count_gets(0);
  count_gets(1);
  assert_int_equal(fetch(), 0);
  assert_int_equal(shelves[0].calls, 0);
  assert_int_equal(shelves[1].calls, 1);
  /* What cannot be brought back is not waited for. */
  shelf_fails(&shelves[0], D_THAW, 1, 1000, HOLDFAST_E_FAILED);
  shelf_fails(&shelves[1], D_THAW, 1, 1000, HOLDFAST_E_FAILED);
  assert_int_equal(thaw(), 0);
}

/* ---- locks ---- */

static int64_t rows[3];

static bool refers(void *ctx, int64_t row) {
  (void)ctx;
  return row != rows[2];
}

static int extend(struct hf_record *rec, int64_t last_pack) {
  const struct hf_extend x = {.refers = refers, .last_pack = last_pack, .last_index = 0};
  shelf_fails(&shelves[0], D_EXTEND, 1000000, 1, 0);
  shelves[0].most_keys = 0;
  return hf_extend(&s, 0, rec, &x, &e);
}

static void locks(void **unused) {
  (void)unused;
  enum { DAY = 86400 };
  struct hf_record_index index = {.sha256 = digest};
  struct hf_record rec = {.time = 1000 * DAY, .indexes = &index, .n_indexes = 1};
  char key[HF_KEY_MAX];
  int64_t row;
  for (int i = 0; i < 3; i++) {
    struct hf_digest d;
    hf_sha256(&i, sizeof i, &d);
    assert_int_equal(hf_state_pack_begin(s.state, 0, "web", "a", &rows[i], &e), 0);
    assert_int_equal(hf_state_pack_sealed(s.state, rows[i], &d, 5, 5, &e), 0);
    hf_key_pack(key, &d);
    put(0, key);
  }
  assert_int_equal(hf_state_index_add(s.state, &digest, 3, &row, &e), 0);
  hf_key_secret(key, &rec.secret);
  put(0, key);
  /* A target that locks nothing is not asked. */
  assert_int_equal(hf_target_retention(targets[0]), 0);
  assert_int_equal(extend(&rec, 0), 0);
  assert_int_equal(shelves[0].calls, 0);
  shelves[0].locks = true;
  assert_int_equal(hf_target_retention(targets[0]), 10 * DAY);
  /* All but the secret are this run's own, and locked as such. */
  assert_int_equal(extend(&rec, 0), 0);
  assert_int_equal(shelves[0].most_keys, 1);
  /* Within half of the time nothing is asked. */
  rec.time += 4 * DAY;
  assert_int_equal(extend(&rec, 1000), 0);
  assert_int_equal(shelves[0].calls, 0);
  /* After that once: the two packs that are referred to, the index, which is this run's as its row says, the secret. */
  rec.time += 2 * DAY;
  assert_int_equal(extend(&rec, 1000), 0);
  assert_int_equal(shelves[0].most_keys, 3);
  assert_int_equal(extend(&rec, 1000), 0);
  assert_int_equal(shelves[0].calls, 0);
  /* One that cannot be is an error, and is asked for again the next time; the others are not. */
  rec.time += 6 * DAY;
  const struct hf_extend x = {.refers = refers, .last_pack = 1000};
  shelf_fails(&shelves[0], D_EXTEND, 1, 1000, HOLDFAST_E_AUTH);
  hf_key_secret(key, &rec.secret);
  shelves[0].only = key + 8;
  assert_int_equal(hf_extend(&s, 0, &rec, &x, &e), HOLDFAST_E_AUTH);
  assert_non_null(strstr(e.msg, "target shelf0: cannot prolong the lock on 1 of 3 objects"));
  assert_int_equal(extend(&rec, 1000), 0);
  assert_int_equal(shelves[0].most_keys, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(best_first), TEST(passed_over), TEST(archives), TEST(locks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
