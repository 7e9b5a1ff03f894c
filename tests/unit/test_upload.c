/* test_upload.c - objects on their way to several targets: each gets all of them, a slow one holds up no sooner than it must, one that fails holds up nobody.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "double_target.h"
#include "pipeline/upload.h"

#define SIZE (20u << 20) /* of a pack */
#define N 12

static volatile int cancel;
static struct hf_target *targets[2];
static struct hf_error e;
static char *data;

static struct sent {
  struct hf_parcel parcel;
  bool through;
  struct hf_error err;
} sent[N];
static size_t accepted; /* atomic */

static void through(struct hf_parcel *p, const struct hf_error *err) {
  struct sent *s = (struct sent *)(void *)p;
  if (err) s->err = *err;
  __atomic_store_n(&s->through, true, __ATOMIC_RELEASE);
}

static size_t n_through(void) {
  size_t n = 0;
  for (size_t i = 0; i < N; i++) n += __atomic_load_n(&sent[i].through, __ATOMIC_ACQUIRE);
  return n;
}

static int set_up(void **unused) {
  (void)unused;
  hf_log_threshold = -1;
  cancel = 0;
  accepted = 0;
  data = hf_alloc(SIZE);
  memset(sent, 0, sizeof sent);
  for (unsigned i = 0; i < 2; i++) {
    shelf_empty(&shelves[i]);
    if (hf_target_open(double_manifest(i, ""), "web1", false, &cancel, &targets[i], &e) < 0) return -1;
  }
  return 0;
}

static int tear_down(void **unused) {
  (void)unused;
  for (unsigned i = 0; i < 2; i++) {
    hf_target_close(targets[i]);
    double_free(i);
    shelf_empty(&shelves[i]);
  }
  free(data);
  return 0;
}

static void prepare(struct sent *s, size_t i, size_t size) {
  snprintf(s->parcel.key, sizeof s->parcel.key, "packs/%zu", i);
  s->parcel.data = data;
  s->parcel.size = size;
  s->parcel.through = through;
  hf_sha256(data, size, &s->parcel.digest);
}

struct sender { struct hf_upload *u; size_t size; };

static void *send_all(void *arg) {
  const struct sender *x = arg;
  for (size_t i = 0; i < N; i++) {
    prepare(&sent[i], i, x->size);
    hf_upload_put(x->u, &sent[i].parcel);
    __atomic_add_fetch(&accepted, 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

static size_t on_shelf(struct double_shelf *s) {
  pthread_mutex_lock(&s->lock);
  size_t n = s->n;
  pthread_mutex_unlock(&s->lock);
  return n;
}

/* Until something is so; a hang is what a failure looks like, and the test runner's to end. */
#define WAIT_FOR(condition) \
  while (!(condition)) usleep(1000)

/* One target does not move: the other gets what is on its way, and no more than fits is. Then all comes through. */
static void bounded(void **unused) {
  (void)unused;
  struct hf_upload *u = NULL;
  pthread_t thread;
  assert_int_equal(hf_upload_open(targets, 2, &cancel, &u, &e), 0);
  struct sender x = {u, SIZE};
  const size_t fit = HF_UPLOAD_BYTES / SIZE;
  pthread_mutex_lock(&shelves[1].lock);
  assert_int_equal(pthread_create(&thread, NULL, send_all, &x), 0);
  WAIT_FOR(on_shelf(&shelves[0]) == fit);
  usleep(50000);
  assert_int_equal(on_shelf(&shelves[0]), fit);
  assert_int_equal(__atomic_load_n(&accepted, __ATOMIC_ACQUIRE), fit);
  assert_int_equal(n_through(), 0);
  pthread_mutex_unlock(&shelves[1].lock);
  pthread_join(thread, NULL);
  WAIT_FOR(n_through() == N);
  assert_int_equal(on_shelf(&shelves[0]), N);
  assert_int_equal(on_shelf(&shelves[1]), N);
  for (size_t i = 0; i < N; i++) assert_int_equal(sent[i].err.code, 0);
  hf_upload_close(u);
}

/* Small ones go several at a time, as many as a target bears. */
static void at_once(void **unused) {
  (void)unused;
  struct hf_upload *u = NULL;
  shelves[0].naps = 20000;
  shelves[0].most_at_once = shelves[1].most_at_once = 0;
  assert_int_equal(hf_upload_open(targets, 1, &cancel, &u, &e), 0);
  struct sender x = {u, 100};
  send_all(&x);
  WAIT_FOR(n_through() == N);
  assert_true(shelves[0].most_at_once > 1 && shelves[0].most_at_once <= 4);
  hf_upload_close(u);
}

/* One drops out in the middle: what it held is given up, the rest goes on. */
static void one_fails(void **unused) {
  (void)unused;
  struct hf_upload *u = NULL;
  shelf_fails(&shelves[0], D_PUT, 3, 1000, HOLDFAST_E_NO_SPACE);
  assert_int_equal(hf_upload_open(targets, 2, &cancel, &u, &e), 0);
  struct sender x = {u, SIZE};
  send_all(&x);
  WAIT_FOR(n_through() == N);
  assert_int_equal(on_shelf(&shelves[1]), N);
  for (size_t i = 0; i < N; i++) assert_int_equal(sent[i].err.code, 0);
  assert_non_null(hf_target_failure(targets[0]));
  assert_null(hf_target_failure(targets[1]));
  assert_true(shelves[0].calls <= 2 + 4); /* those under way, and no more */
  hf_upload_close(u);
}

/* Both: the reason is the target's. */
static void all_fail(void **unused) {
  (void)unused;
  struct hf_upload *u = NULL;
  shelf_fails(&shelves[0], D_PUT, 1, 1000, HOLDFAST_E_NO_SPACE);
  shelf_fails(&shelves[1], D_PUT, 1, 1000, HOLDFAST_E_NO_SPACE);
  assert_int_equal(hf_upload_open(targets, 2, &cancel, &u, &e), 0);
  struct sender x = {u, 100};
  send_all(&x);
  WAIT_FOR(n_through() == N);
  for (size_t i = 0; i < N; i++) {
    assert_int_equal(sent[i].err.code, HOLDFAST_E_NO_SPACE);
    assert_int_equal(strncmp(sent[i].err.msg, "no target is left to write to: target shelf", 43), 0);
  }
  hf_upload_close(u);
}

/* Stopped: all comes through at once, as cancelled, and no target is blamed. */
static void stopped(void **unused) {
  (void)unused;
  struct hf_upload *u = NULL;
  pthread_t thread;
  assert_int_equal(hf_upload_open(targets, 2, &cancel, &u, &e), 0);
  struct sender x = {u, SIZE};
  pthread_mutex_lock(&shelves[1].lock);
  assert_int_equal(pthread_create(&thread, NULL, send_all, &x), 0);
  WAIT_FOR(on_shelf(&shelves[0]) == HF_UPLOAD_BYTES / SIZE);
  cancel = 1;
  pthread_mutex_unlock(&shelves[1].lock);
  pthread_join(thread, NULL);
  WAIT_FOR(n_through() == N);
  assert_int_equal(sent[N - 1].err.code, HOLDFAST_E_CANCELED);
  assert_null(hf_target_failure(targets[0]));
  assert_null(hf_target_failure(targets[1]));
  hf_upload_close(u);
  /* The same without a signal: the store is closed. */
  cancel = 0;
  memset(sent, 0, sizeof sent);
  assert_int_equal(hf_upload_open(targets, 2, &cancel, &u, &e), 0);
  hf_upload_stop(u);
  send_all(&(struct sender){u, 100});
  hf_upload_close(u);
  assert_int_equal(n_through(), N);
  assert_int_equal(sent[0].err.code, HOLDFAST_E_CANCELED);
}

/* All targets had failed before anything was put: nothing may wait for them. */
static void nobody(void **unused) {
  struct hf_upload *u = NULL;
  (void)unused;
  assert_int_equal(hf_upload_open(targets, 0, &cancel, &u, &e), 0);
  prepare(&sent[0], 0, 1000);
  hf_upload_put(u, &sent[0].parcel);
  assert_true(sent[0].through);
  assert_int_equal(sent[0].err.code, HOLDFAST_E_FAILED);
  assert_non_null(strstr(sent[0].err.msg, "no target is left"));
  hf_upload_close(u);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(bounded), TEST(at_once), TEST(one_fails), TEST(all_fail), TEST(stopped), TEST(nobody)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
