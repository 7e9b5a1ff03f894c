/* upload.c - objects on their way to the targets.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/upload.h"

#include <pthread.h>

#include "base/queue.h"

/* The way to one target. */
struct lane {
  struct hf_upload *u;
  struct hf_target *target;
  struct hf_queue *queue; /* never full: HF_UPLOAD_OBJECTS */
  pthread_t threads[HF_UPLOADS_MAX];
  size_t n_threads;
};

struct hf_upload {
  volatile int *cancel;
  bool ending; /* atomic */
  struct lane *lanes;
  size_t n;
  pthread_mutex_t lock; /* over what follows, and over the parcels' own fields */
  pthread_cond_t room;
  size_t objects, bytes; /* on their way */
};

static bool stopped(const struct hf_upload *u) { return (u->cancel && *u->cancel) || __atomic_load_n(&u->ending, __ATOMIC_RELAXED); }

/* One target is done with a parcel. */
static void settle(struct hf_upload *u, struct hf_parcel *p, int r, const struct hf_error *why) {
  size_t size = p->size;
  pthread_mutex_lock(&u->lock);
  if (r == 0) p->good++;
  /* That the run is being stopped is what counts, whatever else there was. */
  else if (p->last.code != HOLDFAST_E_CANCELED) p->last = *why;
  bool last = --p->left == 0;
  pthread_mutex_unlock(&u->lock);
  if (!last) return;
  struct hf_error err = p->last;
  bool good = p->good > 0 && err.code != HOLDFAST_E_CANCELED;
  if (!good && err.code != HOLDFAST_E_CANCELED) {
    err.code = p->last.code ? p->last.code : HOLDFAST_E_FAILED;
    hf_fail(&err, err.code, "no target is left to write to%s%s", p->last.msg[0] ? ": " : "", p->last.msg);
  }
  p->through(p, good ? NULL : &err);
  pthread_mutex_lock(&u->lock);
  u->objects--;
  u->bytes -= size;
  pthread_cond_broadcast(&u->room);
  pthread_mutex_unlock(&u->lock);
}

static void deliver(struct lane *l, struct hf_parcel *p) {
  struct hf_error e = {0};
  int r;
  if (stopped(l->u)) {
    r = hf_fail(&e, HOLDFAST_E_CANCELED, "stopped");
  } else if (hf_target_has_failed(l->target, &e)) {
    r = e.code;
  } else {
    r = hf_target_put(l->target, p->key, p->data, p->size, &p->digest, false, &e);
    if (r < 0 && (r == HOLDFAST_E_CANCELED || stopped(l->u))) r = hf_fail(&e, HOLDFAST_E_CANCELED, "stopped");
    else if (r < 0) hf_target_set_failed(l->target, &e);
  }
  settle(l->u, p, r, &e);
}

static void *lane_thread(void *arg) {
  struct lane *l = arg;
  struct hf_parcel *p;
  while ((p = hf_queue_pop(l->queue))) deliver(l, p);
  return NULL;
}

static int lane_start(struct lane *l, struct hf_error *err) {
  size_t want = HF_MIN((size_t)hf_target_parallel(l->target), (size_t)HF_UPLOADS_MAX);
  for (; l->n_threads < want; l->n_threads++) {
    int e = pthread_create(&l->threads[l->n_threads], NULL, lane_thread, l);
    if (e != 0) return hf_fail_errno(err, e, "cannot start a thread");
  }
  return 0;
}

int hf_upload_open(struct hf_target **targets, size_t n_targets, volatile int *cancel, struct hf_upload **out, struct hf_error *err) {
  struct hf_upload *u = hf_alloc(sizeof *u);
  int r = 0;
  u->cancel = cancel;
  u->n = n_targets;
  u->lanes = hf_allocn(n_targets, sizeof *u->lanes);
  pthread_mutex_init(&u->lock, NULL);
  pthread_cond_init(&u->room, NULL);
  for (size_t i = 0; i < n_targets; i++) u->lanes[i] = (struct lane){.u = u, .target = targets[i], .queue = hf_queue_new(HF_UPLOAD_OBJECTS)};
  for (size_t i = 0; r == 0 && i < n_targets; i++) r = lane_start(&u->lanes[i], err);
  if (r < 0) {
    hf_upload_close(u);
    return r;
  }
  *out = u;
  return 0;
}

void hf_upload_stop(struct hf_upload *u) {
  if (u) __atomic_store_n(&u->ending, true, __ATOMIC_RELAXED);
}

void hf_upload_close(struct hf_upload *u) {
  if (!u) return;
  hf_upload_stop(u);
  for (size_t i = 0; i < u->n; i++) {
    struct lane *l = &u->lanes[i];
    hf_queue_close(l->queue);
    for (size_t k = 0; k < l->n_threads; k++) pthread_join(l->threads[k], NULL);
    hf_queue_free(l->queue);
  }
  free(u->lanes);
  pthread_cond_destroy(&u->room);
  pthread_mutex_destroy(&u->lock);
  free(u);
}

void hf_upload_put(struct hf_upload *u, struct hf_parcel *p) {
  if (u->n == 0) {
    struct hf_error none = {0};
    hf_fail(&none, HOLDFAST_E_FAILED, "no target is left to write to");
    p->through(p, &none);
    return;
  }
  p->left = u->n;
  p->good = 0;
  p->last.code = 0;
  p->last.msg[0] = 0;
  pthread_mutex_lock(&u->lock);
  while (u->objects > 0 && (u->objects == HF_UPLOAD_OBJECTS || u->bytes + p->size > HF_UPLOAD_BYTES)) pthread_cond_wait(&u->room, &u->lock);
  u->objects++;
  u->bytes += p->size;
  pthread_mutex_unlock(&u->lock);
  for (size_t i = 0; i < u->n; i++) hf_queue_push(u->lanes[i].queue, p);
}
