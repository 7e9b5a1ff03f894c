/* test_target.c - calling targets: every class of error with its code and words, retries, keys, what is left of a call that failed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "base/text.h"
#include "double_target.h"

static struct double_shelf *const shelf = &shelves[0];
static volatile int cancel;
static struct hf_target *t;
static struct hf_error e;

static int set_up(void **state) {
  (void)state;
  cancel = 0;
  shelf_empty(shelf);
  memset(&e, 0, sizeof e);
  hf_log_threshold = HF_LOG_ERROR;
  return hf_target_open(double_manifest(0, "deep/prefix"), "web1", false, &cancel, &t, &e);
}

static int tear_down(void **state) {
  (void)state;
  hf_target_close(t);
  double_free(0);
  shelf_empty(shelf);
  return 0;
}

static int put(const char *key, const char *text, bool create_only) {
  struct hf_digest d;
  hf_sha256(text, strlen(text), &d);
  return hf_target_put(t, key, text, strlen(text), &d, create_only, &e);
}

static int collect(void *ctx, const char *key, uint64_t size) {
  struct hf_buf *b = ctx;
  hf_buf_addf(b, "%s:%llu ", key, (unsigned long long)size);
  return 0;
}

static int refuse(void *ctx, const char *key, uint64_t size) {
  (void)key, (void)size;
  ++*(int *)ctx;
  return HOLDFAST_E_CORRUPT;
}

static void there_and_back(void **state) {
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  uint64_t size = 0, total = 0;
  struct hf_digest d;
  assert_string_equal(hf_target_name(t), "shelf0");
  assert_int_equal(hf_target_capabilities(t), HOLDFAST_CREATE_ONLY);
  assert_int_equal(put("packs/a", "hello", false), 0);
  assert_non_null(shelf_find(shelf, "deep/prefix/web1/packs/a"));
  assert_int_equal(put("packs/a", "hello", false), 0);
  assert_int_equal(put("packs/a", "hello", true), HOLDFAST_E_EXISTS);
  assert_non_null(strstr(e.msg, "target shelf0: cannot store packs/a"));
  hf_buf_adds(&b, "kept ");
  assert_int_equal(hf_target_get(t, "packs/a", 5, &b, &e), 0);
  assert_string_equal(b.data, "kept hello");
  assert_int_equal(hf_target_stat(t, "packs/a", &size, &e), 0);
  assert_int_equal(size, 5);
  assert_int_equal(hf_target_stat(t, "packs/b", &size, &e), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_target_get(t, "packs/b", 5, &b, &e), HOLDFAST_E_NOT_FOUND);
  hf_sha256("hello", 5, &d);
  assert_int_equal(hf_target_get_checked(t, "packs/a", 5, &d, &b, &e), 0);
  assert_string_equal(b.data, "kept hellohello");
  assert_int_equal(hf_target_space(t, &size, &total, &e), 0);
  assert_int_equal(size, 10);
  assert_int_equal(total, 1000);
  assert_int_equal(hf_target_remove(t, "packs/a", &e), 0);
  assert_int_equal(hf_target_remove(t, "packs/a", &e), 0); /* what is not there is gone */
  assert_int_equal(shelf->n, 0);
}

/* Nothing of a wrong object reaches the caller. */
static void wrong_bytes(void **state) {
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  struct hf_digest d;
  hf_buf_adds(&b, "kept");
  assert_int_equal(put("x", "hello", false), 0);
  assert_int_equal(hf_target_get(t, "x", 4, &b, &e), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(e.msg, "larger than the 4 bytes"));
  assert_int_equal(b.len, 4);
  hf_sha256("hellp", 5, &d);
  assert_int_equal(hf_target_get_checked(t, "x", 100, &d, &b, &e), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(e.msg, "target shelf0: x is damaged"));
  assert_int_equal(b.len, 4);
  assert_memory_equal(b.data, "kept", 4);
}

static int call(unsigned kind) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  uint64_t n, m;
  switch (kind) {
  case D_PUT: return put("y", "other", false);
  case D_GET: {
    int r = hf_target_get(t, "x", 100, &b, &e);
    assert_int_equal(b.len, r == 0 ? 5 : 0);
    return r;
  }
  case D_STAT: return hf_target_stat(t, "x", &n, &e);
  case D_LIST: return hf_target_list(t, "", collect, &b, &e);
  case D_REMOVE: return hf_target_remove(t, "nothing", &e);
  default: return hf_target_space(t, &n, &m, &e);
  }
}

/* Every class of every call: the code is kept, the words are the plugin's, and it is tried once. */
static void classes(void **state) {
  (void)state;
  static const unsigned kinds[] = {D_PUT, D_GET, D_STAT, D_LIST, D_REMOVE, D_SPACE};
  assert_int_equal(put("x", "hello", false), 0);
  for (size_t k = 0; k < HF_NELEM(kinds); k++) {
    for (int status = HOLDFAST_E_FAILED; status >= HOLDFAST_E_CHANGED; status--) {
      if (status == HOLDFAST_E_TRANSIENT) continue;
      shelf_fails(shelf, kinds[k], 1, 1000, status);
      shelf->done_first = kinds[k] != D_PUT;
      assert_int_equal(call(kinds[k]), status);
      assert_int_equal(e.code, status);
      assert_int_equal(strncmp(e.msg, "target shelf0: cannot ", 22), 0);
      assert_non_null(strstr(e.msg, "as it was told"));
      assert_int_equal(shelf->calls, 1);
    }
    /* A status that is none is a failure, never a success. */
    shelf_fails(shelf, kinds[k], 1, 1000, 7);
    assert_int_equal(call(kinds[k]), HOLDFAST_E_FAILED);
    shelf_fails(shelf, kinds[k], 1, 1000, -99);
    assert_int_equal(call(kinds[k]), HOLDFAST_E_FAILED);
    /* Without words the class is named. */
    shelf_fails(shelf, kinds[k], 1, 1000, HOLDFAST_E_NO_SPACE);
    shelf->words = NULL;
    assert_int_equal(call(kinds[k]), HOLDFAST_E_NO_SPACE);
    assert_non_null(strstr(e.msg, hf_status_name(HOLDFAST_E_NO_SPACE)));
    shelf_works(shelf);
    assert_int_equal(call(kinds[k]), 0);
  }
  assert_int_equal(shelf->n, 2);
}

/* What passes is tried again; the bytes of the failed try are not left over. */
static void transient(void **state) {
  (void)state;
  static const unsigned kinds[] = {D_PUT, D_GET, D_STAT, D_LIST, D_REMOVE};
  assert_int_equal(put("x", "hello", false), 0);
  for (size_t k = 0; k < HF_NELEM(kinds); k++) {
    shelf_fails(shelf, kinds[k], 1, 1, HOLDFAST_E_TRANSIENT);
    shelf->done_first = kinds[k] == D_GET;
    assert_int_equal(call(kinds[k]), 0);
    assert_int_equal(shelf->calls, 2);
  }
  shelf_fails(shelf, D_STAT, 1, 1000, HOLDFAST_E_TRANSIENT);
  assert_int_equal(call(D_STAT), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1 + doubles[0].m.retries);
  /* Nor is one that dropped out meanwhile asked again. */
  struct hf_error why = {0};
  hf_log_threshold = -1;
  hf_fail(&why, HOLDFAST_E_NO_SPACE, "full");
  hf_target_set_failed(t, &why);
  shelf_fails(shelf, D_STAT, 1, 1000, HOLDFAST_E_TRANSIENT);
  assert_int_equal(call(D_STAT), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1);
}

/* What the far end asks for is granted, but not beyond the deadline, and then it says so. */
static void asked_to_wait(void **state) {
  (void)state;
  assert_int_equal(put("x", "hello", false), 0);
  shelf_fails(shelf, D_STAT, 1, 1, HOLDFAST_E_TRANSIENT);
  shelf->wait = 1;
  double before = hf_now();
  assert_int_equal(call(D_STAT), 0);
  assert_true(hf_now() - before >= 1);
  assert_int_equal(shelf->calls, 2);
  shelf_fails(shelf, D_STAT, 1, 1000, HOLDFAST_E_TRANSIENT);
  shelf->wait = 1000;
  assert_int_equal(call(D_STAT), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1);
  assert_non_null(strstr(e.msg, "as it was told (and there is no time to try again: deadline is 600s)"));
}

/* A listing that breaks off is told once, and whole. */
static void listing_again(void **state) {
  (void)state;
  char key[32], text[32];
  for (unsigned i = 0; i < 600; i++) {
    snprintf(key, sizeof key, "packs/%u", i);
    assert_int_equal(put(key, "x", false), 0);
  }
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  shelf_fails(shelf, D_LIST, 1, 2, HOLDFAST_E_TRANSIENT);
  shelf->done_first = true;
  assert_int_equal(hf_target_list(t, "packs/", collect, &b, &e), 0);
  assert_int_equal(shelf->calls, 3);
  for (unsigned i = 0; i < 600; i++) {
    snprintf(text, sizeof text, "packs/%u:1 ", i);
    const char *first = strstr(b.data, text);
    assert_non_null(first);
    assert_null(strstr(first + 1, text));
  }
  /* One that never gets to its end is a failure, whatever was told. */
  shelf_fails(shelf, D_LIST, 1, 1000, HOLDFAST_E_TRANSIENT);
  shelf->done_first = true;
  assert_int_equal(hf_target_list(t, "packs/", collect, &b, &e), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1 + doubles[0].m.retries);
}

/* Many keys at once: a thousand a call; what fails for a moment is asked again, and only that. */
static void many_keys(void **state) {
  (void)state;
  enum { N = 2003 };
  char *keys[N];
  int statuses[N];
  for (unsigned i = 0; i < N; i++) {
    keys[i] = hf_asprintf("packs/%u", i);
    if (i < 20) assert_int_equal(put(keys[i], "x", false), 0);
  }
  const char *const *all = (const char *const *)keys;
  assert_int_equal(hf_target_extend(t, all, 20, statuses, &e), 0);
  assert_int_equal(hf_target_extend(t, all, 21, statuses, &e), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(statuses[19], 0);
  assert_int_equal(statuses[20], HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(e.msg, "1 of 21 objects, such as packs/20"));
  /* On its way is an answer; a call that fails as a whole is not. */
  assert_true(hf_target_can_thaw(t));
  shelf_fails(shelf, D_THAW, 1, 1000, HOLDFAST_E_TRANSIENT);
  shelf->only = "/7";
  assert_int_equal(hf_target_thaw(t, all, 20, statuses, &e), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1);
  for (unsigned i = 0; i < 20; i++) assert_int_equal(statuses[i], i == 7 ? HOLDFAST_E_TRANSIENT : 0);
  assert_non_null(strstr(e.msg, "as it was told"));
  shelf_fails(shelf, D_REMOVE, 1, 1, HOLDFAST_E_TRANSIENT);
  shelf->only = "/7";
  assert_int_equal(hf_target_remove_many(t, all, 20, statuses, &e), 0);
  assert_int_equal(shelf->calls, 2);
  assert_int_equal(shelf->n, 0);
  assert_int_equal(shelf->most_keys, 21);
  shelf_fails(shelf, D_REMOVE, 1, 1000, HOLDFAST_E_AUTH);
  shelf->only = "/1999";
  assert_int_equal(hf_target_remove_many(t, all, N, statuses, &e), HOLDFAST_E_AUTH);
  assert_int_equal(shelf->most_keys, 1000);
  assert_int_equal(shelf->calls, 3);
  for (unsigned i = 0; i < N; i++) assert_int_equal(statuses[i], i == 1999 ? HOLDFAST_E_AUTH : 0);
  assert_non_null(strstr(e.msg, "cannot delete 1 of 2003 objects, such as packs/1999: as it was told"));
  for (unsigned i = 0; i < N; i++) free(keys[i]);
}

/* What the manifest says of the way is what the plugin is lent. */
static void the_way(void **state) {
  (void)state;
  struct hf_manifest_target m = doubles[0].m;
  struct hf_target *other = NULL;
  char proxy[] = "http://127.0.0.1:1", ca[] = "/etc/ca.pem";
  m.proxy = proxy;
  m.ca_file = ca;
  m.limit_up = 1 << 20;
  m.limit_down = 0;
  m.parallel = 3;
  cancel = 0;
  assert_int_equal(hf_target_open(&m, "web1", false, &cancel, &other, &e), 0);
  const struct holdfast_host *h = shelf->host;
  assert_string_equal(h->proxy, proxy);
  assert_string_equal(h->ca_file, ca);
  assert_int_equal(h->limit_up, 1 << 20);
  assert_int_equal(h->limit_down, 0);
  assert_int_equal(hf_target_parallel(other), 3);
  /* A tenth of a second is given on credit; the rest takes its time. */
  double before = hf_now();
  for (unsigned i = 0; i < 8; i++) assert_int_equal(h->pace(h->ctx, 1, 64 << 10), 0);
  assert_true(hf_now() - before >= 0.3);
  before = hf_now();
  assert_int_equal(h->pace(h->ctx, 0, 1 << 30), 0); /* no limit that way */
  assert_int_equal(h->pace(h->ctx, 1, 1 << 30), 0); /* books a thousand seconds */
  cancel = 1;
  assert_int_equal(h->pace(h->ctx, 1, 1), HOLDFAST_E_CANCELED);
  assert_true(hf_now() - before < 5);
  hf_target_close(other);
}

struct racer { const struct holdfast_host *h; size_t piece; unsigned turns; };

static void *race(void *arg) {
  struct racer *r = arg;
  while (!cancel && r->h->pace(r->h->ctx, 1, r->piece) == 0) r->turns++;
  return NULL;
}

/* Several threads get their turns alike. */
static void fair(void **state) {
  (void)state;
  struct hf_manifest_target m = doubles[0].m;
  struct hf_target *other = NULL;
  struct racer v[4];
  pthread_t threads[4];
  m.limit_up = 400 << 10;
  assert_int_equal(hf_target_open(&m, "web1", false, &cancel, &other, &e), 0);
  for (size_t i = 0; i < HF_NELEM(v); i++) {
    v[i] = (struct racer){shelf->host, 4 << 10, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, race, &v[i]), 0);
  }
  usleep(1500000);
  cancel = 1;
  unsigned least = UINT32_MAX, most = 0;
  for (size_t i = 0; i < HF_NELEM(v); i++) {
    pthread_join(threads[i], NULL);
    least = HF_MIN(least, v[i].turns);
    most = HF_MAX(most, v[i].turns);
  }
  assert_true(least > 0 && most <= least * 2 + 4);
  hf_target_close(other);
}

static void cancelled(void **state) {
  (void)state;
  cancel = 1;
  assert_true(shelf->host->cancelled(shelf->host->ctx));
  double before = hf_now();
  shelf_fails(shelf, D_STAT, 1, 1000, HOLDFAST_E_TRANSIENT);
  assert_int_equal(call(D_STAT), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1);
  assert_true(hf_now() - before < 0.2);
}

static void listing(void **state) {
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  int n = 0;
  assert_int_equal(put("packs/a", "hello", false), 0);
  assert_int_equal(put("packs/b", "hi", false), 0);
  assert_int_equal(put("other/c", "", false), 0);
  assert_int_equal(hf_target_list(t, "packs/", collect, &b, &e), 0);
  assert_string_equal(b.data, "packs/a:5 packs/b:2 ");
  hf_buf_clear(&b);
  assert_int_equal(hf_target_list(t, "none/", collect, &b, &e), 0);
  assert_int_equal(b.len, 0);
  assert_int_equal(hf_target_list(t, "packs/", refuse, &n, &e), HOLDFAST_E_CORRUPT);
  assert_int_equal(n, 1);
}

/* A plugin that does not stop when it is told to: what was refused stays refused. */
static void deaf(void **state) {
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  int n = 0;
  assert_int_equal(put("packs/a", "hello", false), 0);
  assert_int_equal(put("packs/b", "hi", false), 0);
  shelf->deaf = true;
  assert_int_equal(hf_target_get(t, "packs/a", 4, &b, &e), HOLDFAST_E_CORRUPT);
  assert_int_equal(b.len, 0);
  assert_int_equal(hf_target_list(t, "packs/", refuse, &n, &e), HOLDFAST_E_CORRUPT);
  assert_int_equal(n, 1);
}

static void *one_stat(void *arg) {
  uint64_t n;
  (void)arg;
  hf_target_stat(t, "x", &n, NULL);
  return NULL;
}

/* No more calls at once than the plugin bears, and not fewer. */
static void at_once(void **state) {
  (void)state;
  pthread_t v[6];
  for (unsigned parallel = 1; parallel <= 3; parallel += 2) {
    struct hf_target *mine = NULL, *saved = t;
    shelf->parallel = parallel;
    assert_int_equal(hf_target_open(&doubles[0].m, "web1", false, NULL, &mine, &e), 0);
    shelf->most_at_once = 0;
    shelf->naps = 100000;
    t = mine;
    for (size_t i = 0; i < HF_NELEM(v); i++) assert_int_equal(pthread_create(&v[i], NULL, one_stat, NULL), 0);
    for (size_t i = 0; i < HF_NELEM(v); i++) pthread_join(v[i], NULL);
    t = saved;
    shelf->naps = 0;
    assert_true(parallel == 1 ? shelf->most_at_once == 1 : shelf->most_at_once > 1 && shelf->most_at_once <= 3);
    hf_target_close(mine);
  }
}

static void dropping_out(void **state) {
  (void)state;
  struct hf_error first = {0}, second = {0};
  hf_log_threshold = -1;
  assert_null(hf_target_failure(t));
  hf_fail(&first, HOLDFAST_E_NO_SPACE, "full");
  hf_fail(&second, HOLDFAST_E_FAILED, "other");
  hf_target_set_failed(t, &first);
  hf_target_set_failed(t, &second);
  assert_string_equal(hf_target_failure(t), "full"); /* the first reason stays */
}

static void opening(void **state) {
  (void)state;
  struct hf_target *other = NULL;
  shelf_fails(shelf, D_OPEN, 1, 1, HOLDFAST_E_AUTH);
  shelf->words = "wrong password";
  assert_int_equal(hf_target_open(&doubles[0].m, "web1", false, NULL, &other, &e), HOLDFAST_E_AUTH);
  assert_string_equal(e.msg, "target shelf0: cannot open: wrong password");
  assert_null(other);
  assert_int_equal(shelf->calls, 1);
  /* What may pass is tried again, as with any other call. */
  shelf_fails(shelf, D_OPEN, 1, 2, HOLDFAST_E_TRANSIENT);
  assert_int_equal(hf_target_open(&doubles[0].m, "web1", false, NULL, &other, &e), 0);
  assert_int_equal(shelf->calls, 3);
  hf_target_close(other);
  other = NULL;
  shelf_fails(shelf, D_OPEN, 1, 1000, HOLDFAST_E_TRANSIENT);
  assert_int_equal(hf_target_open(&doubles[0].m, "web1", false, NULL, &other, &e), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 3); /* retries = 2 */
  shelf_fails(shelf, D_OPEN, 1, 1000, HOLDFAST_E_TRANSIENT);
  shelf->wait = 601;
  assert_int_equal(hf_target_open(&doubles[0].m, "web1", false, NULL, &other, &e), HOLDFAST_E_TRANSIENT);
  assert_non_null(strstr(e.msg, "no time to try again"));
  assert_int_equal(shelf->calls, 1);
  cancel = 1;
  shelf_fails(shelf, D_OPEN, 1, 1000, HOLDFAST_E_TRANSIENT);
  assert_int_equal(hf_target_open(&doubles[0].m, "web1", false, &cancel, &other, &e), HOLDFAST_E_TRANSIENT);
  assert_int_equal(shelf->calls, 1);
  cancel = 0;
  assert_null(other);
  shelf_works(shelf);
  /* A plugin that does not tell its space is not asked. */
  struct hf_plugin bare = doubles[0].plugin;
  struct hf_manifest_target m = doubles[0].m;
  uint64_t a, b;
  bare.target.space = NULL;
  m.plugin = &bare;
  m.prefix = NULL;
  assert_int_equal(hf_target_open(&m, "web1", false, NULL, &other, &e), 0);
  assert_int_equal(hf_target_space(other, &a, &b, &e), HOLDFAST_E_UNSUPPORTED);
  hf_target_close(other);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(there_and_back), TEST(wrong_bytes), TEST(classes), TEST(transient), TEST(cancelled),
                                     TEST(listing),        TEST(deaf),        TEST(at_once), TEST(dropping_out), TEST(opening),
                                     TEST(asked_to_wait),  TEST(listing_again),    TEST(many_keys), TEST(the_way), TEST(fair)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
