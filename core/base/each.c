/* each.c - a loop whose turns several threads take.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "base/queue.h"

#define THREADS_MAX 16

struct loop {
  size_t n, next; /* next: atomic */
  bool (*fn)(void *ctx, size_t i);
  void *ctx;
};

static void *turns(void *arg) {
  struct loop *l = arg;
  size_t i;
  while ((i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED)) < l->n) {
    if (!l->fn(l->ctx, i)) __atomic_store_n(&l->next, l->n, __ATOMIC_RELAXED);
  }
  return NULL;
}

void hf_each(size_t n, size_t threads, bool (*fn)(void *ctx, size_t i), void *ctx) {
  struct loop l = {.n = n, .fn = fn, .ctx = ctx};
  pthread_t v[THREADS_MAX];
  size_t k = 0, want = HF_MIN(HF_MIN(threads, n), (size_t)THREADS_MAX);
  /* Where a thread cannot be had, the others do its part. */
  while (k + 1 < want && pthread_create(&v[k], NULL, turns, &l) == 0) k++;
  turns(&l);
  while (k > 0) pthread_join(v[--k], NULL);
}
