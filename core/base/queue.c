/* queue.c - a bounded queue of pointers between threads: a ring, one mutex, two conditions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/queue.h"

#include <pthread.h>

struct hf_queue {
  pthread_mutex_t mutex;
  pthread_cond_t not_empty, not_full;
  size_t cap, head, n; /* n items from head on, round the end */
  bool closed, aborted;
  void *items[];
};

struct hf_queue *hf_queue_new(size_t capacity) {
  if (capacity == 0) capacity = 1;
  struct hf_queue *q = hf_alloc(sizeof *q + capacity * sizeof q->items[0]);
  pthread_mutex_init(&q->mutex, NULL);
  pthread_cond_init(&q->not_empty, NULL);
  pthread_cond_init(&q->not_full, NULL);
  q->cap = capacity;
  return q;
}

void hf_queue_free(struct hf_queue *q) {
  if (!q) return;
  pthread_cond_destroy(&q->not_full);
  pthread_cond_destroy(&q->not_empty);
  pthread_mutex_destroy(&q->mutex);
  free(q);
}

bool hf_queue_push(struct hf_queue *q, void *item) {
  pthread_mutex_lock(&q->mutex);
  while (q->n == q->cap && !q->closed && !q->aborted) pthread_cond_wait(&q->not_full, &q->mutex);
  bool ok = !q->closed && !q->aborted;
  if (ok) {
    q->items[(q->head + q->n) % q->cap] = item;
    q->n++;
    pthread_cond_signal(&q->not_empty);
  }
  pthread_mutex_unlock(&q->mutex);
  return ok;
}

/* The mutex is held and the queue is not empty. */
static void *take(struct hf_queue *q) {
  void *item = q->items[q->head];
  q->head = (q->head + 1) % q->cap;
  q->n--;
  pthread_cond_signal(&q->not_full);
  return item;
}

void *hf_queue_pop(struct hf_queue *q) {
  pthread_mutex_lock(&q->mutex);
  while (q->n == 0 && !q->closed && !q->aborted) pthread_cond_wait(&q->not_empty, &q->mutex);
  void *item = q->n > 0 && !q->aborted ? take(q) : NULL;
  pthread_mutex_unlock(&q->mutex);
  return item;
}

void *hf_queue_try_pop(struct hf_queue *q) {
  pthread_mutex_lock(&q->mutex);
  void *item = q->n > 0 ? take(q) : NULL;
  pthread_mutex_unlock(&q->mutex);
  return item;
}

static void set_and_wake(struct hf_queue *q, bool *flag) {
  pthread_mutex_lock(&q->mutex);
  *flag = true;
  pthread_cond_broadcast(&q->not_empty);
  pthread_cond_broadcast(&q->not_full);
  pthread_mutex_unlock(&q->mutex);
}

void hf_queue_close(struct hf_queue *q) { set_and_wake(q, &q->closed); }

void hf_queue_abort(struct hf_queue *q) { set_and_wake(q, &q->aborted); }
