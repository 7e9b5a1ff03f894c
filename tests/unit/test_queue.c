/* test_queue.c - the bounded queue: order, back-pressure, close, abort.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/queue.h"
#include "unit.h"

static void order(void **state) {
  (void)state;
  int v[10];
  struct hf_queue *q = hf_queue_new(3);
  assert_null(hf_queue_try_pop(q));
  for (int round = 0; round < 5; round++) { /* round the end of the ring more than once */
    assert_true(hf_queue_push(q, &v[0]));
    assert_true(hf_queue_push(q, &v[1]));
    assert_ptr_equal(hf_queue_pop(q), &v[0]);
    assert_ptr_equal(hf_queue_try_pop(q), &v[1]);
  }
  hf_queue_free(q);
  hf_queue_free(NULL);
}

static void close_drains(void **state) {
  (void)state;
  int v[2];
  struct hf_queue *q = hf_queue_new(2);
  hf_queue_push(q, &v[0]);
  hf_queue_push(q, &v[1]);
  hf_queue_close(q);
  assert_false(hf_queue_push(q, &v[0]));
  assert_ptr_equal(hf_queue_pop(q), &v[0]);
  assert_ptr_equal(hf_queue_pop(q), &v[1]);
  assert_null(hf_queue_pop(q));
  hf_queue_free(q);
}

static void abort_leaves(void **state) {
  (void)state;
  int v[2];
  struct hf_queue *q = hf_queue_new(0); /* means one */
  hf_queue_push(q, &v[0]);
  hf_queue_abort(q);
  assert_false(hf_queue_push(q, &v[1]));
  assert_null(hf_queue_pop(q));
  assert_ptr_equal(hf_queue_try_pop(q), &v[0]);
  assert_null(hf_queue_try_pop(q));
  hf_queue_free(q);
}

#define PER_THREAD 5000
static struct hf_queue *shared;
static atomic_ulong sum, count;
static atomic_int refused;

static void *producer(void *arg) {
  unsigned long first = (unsigned long)(uintptr_t)arg;
  for (unsigned long i = 0; i < PER_THREAD; i++)
    if (!hf_queue_push(shared, (void *)(uintptr_t)(first + i))) {
      refused++;
      break;
    }
  return NULL;
}

static void *consumer(void *arg) {
  (void)arg;
  void *p;
  while ((p = hf_queue_pop(shared))) {
    sum += (unsigned long)(uintptr_t)p;
    count++;
  }
  return NULL;
}

static void many_threads(void **state) {
  (void)state;
  pthread_t p[3], c[3];
  shared = hf_queue_new(4);
  sum = count = 0;
  for (uintptr_t i = 0; i < 3; i++) {
    assert_int_equal(pthread_create(&c[i], NULL, consumer, NULL), 0);
    assert_int_equal(pthread_create(&p[i], NULL, producer, (void *)(1 + i * PER_THREAD)), 0);
  }
  for (int i = 0; i < 3; i++) pthread_join(p[i], NULL);
  hf_queue_close(shared);
  for (int i = 0; i < 3; i++) pthread_join(c[i], NULL);
  unsigned long n = 3 * PER_THREAD;
  assert_int_equal(count, n);
  assert_int_equal(sum, n * (n + 1) / 2);
  hf_queue_free(shared);
}

/* Those who wait are woken by close and by abort; if they were not, the test would not end. */
static void waiters_wake(void **state) {
  (void)state;
  for (int aborted = 0; aborted < 2; aborted++) {
    pthread_t p[2], c[2];
    struct hf_queue *full = hf_queue_new(1), *empty = hf_queue_new(1);
    refused = 0;
    shared = full;
    hf_queue_push(full, &refused);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&p[i], NULL, producer, (void *)1), 0);
    usleep(20000);
    if (aborted) hf_queue_abort(full);
    else hf_queue_close(full);
    for (int i = 0; i < 2; i++) pthread_join(p[i], NULL);
    assert_int_equal(refused, 2);
    shared = empty;
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&c[i], NULL, consumer, NULL), 0);
    usleep(20000);
    if (aborted) hf_queue_abort(empty);
    else hf_queue_close(empty);
    for (int i = 0; i < 2; i++) pthread_join(c[i], NULL);
    assert_ptr_equal(hf_queue_try_pop(full), &refused);
    hf_queue_free(full);
    hf_queue_free(empty);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(order),        cmocka_unit_test(close_drains), cmocka_unit_test(abort_leaves),
      cmocka_unit_test(many_threads), cmocka_unit_test(waiters_wake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
