/* fetch.c - an object from the nearest target that has it good, brought back from an archive first where that takes asking.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "base/text.h"
#include "engine/session.h"

/* What this run knows of reading from a target. */
struct hf_reads {
  bool back;                         /* it failed, or its objects are in an archive: asked last */
  bool told;                         /* of the first object that it could not give */
  uint64_t lacking, damaged, failed; /* since hf_session_passed_over */
};

struct hf_fetching {
  pthread_mutex_t lock;
  struct hf_reads of[]; /* parallel to the session's targets */
};

struct hf_fetching *hf_fetching_new(size_t n_targets) {
  struct hf_fetching *f = hf_alloc(sizeof *f + n_targets * sizeof f->of[0]);
  pthread_mutex_init(&f->lock, NULL);
  return f;
}

void hf_fetching_free(struct hf_fetching *f) {
  if (!f) return;
  pthread_mutex_destroy(&f->lock);
  free(f);
}

/* What a target is sorted by. */
struct place {
  size_t i; /* of the session's targets */
  bool elsewhere, back, far; /* elsewhere: it need not hold the snapshot that is read */
  /* Milliseconds, in factors of four: what is about as near goes in the manifest's order, and does not change places with every call. 0 for
   * folders of this machine. */
  int distance;
};

static int by_nearness(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  if (x->elsewhere != y->elsewhere) return x->elsewhere - y->elsewhere;
  if (x->back != y->back) return x->back - y->back;
  if (x->far != y->far) return x->far - y->far;
  if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
  return x->i < y->i ? -1 : x->i > y->i;
}

/* The targets, the best first; caller frees. */
static struct place *places(struct hf_session *s) {
  struct place *v = hf_allocn(s->n_targets, sizeof *v);
  pthread_mutex_lock(&s->fetching->lock);
  for (size_t i = 0; i < s->n_targets; i++) v[i] = (struct place){.i = i, .back = s->fetching->of[i].back};
  pthread_mutex_unlock(&s->fetching->lock);
  for (size_t i = 0; i < s->n_targets; i++) {
    double d = hf_target_distance(s->targets[i]);
    v[i].elsewhere = s->chains[i].elsewhere;
    v[i].far = !hf_target_is_local(s->targets[i]);
    if (v[i].far) v[i].distance = (64 - __builtin_clzll((uint64_t)(HF_MIN(d, 1e6) * 1000) + 1)) / 2;
  }
  if (s->n_targets > 1) qsort(v, s->n_targets, sizeof *v, by_nearness);
  return v;
}

/* A target could not give an object. The first is told of, the others are counted. */
static void pass_over(struct hf_session *s, size_t i, int r, const struct hf_error *why) {
  struct hf_reads *x = &s->fetching->of[i];
  /* What was pruned there, or passed over, is not missed. */
  if (r == HOLDFAST_E_NOT_FOUND && s->chains[i].partly) {
    hf_log(HF_LOG_INFO, "%s", why->msg);
    return;
  }
  pthread_mutex_lock(&s->fetching->lock);
  bool first = !x->told;
  x->told = true;
  if (r == HOLDFAST_E_NOT_FOUND) x->lacking++;
  else if (r == HOLDFAST_E_CORRUPT) x->damaged++;
  else x->failed++;
  /* That it lacks one object says nothing of the others. */
  if (r != HOLDFAST_E_NOT_FOUND && r != HOLDFAST_E_CORRUPT) x->back = true;
  pthread_mutex_unlock(&s->fetching->lock);
  hf_log(first ? HF_LOG_WARNING : HF_LOG_INFO, "%s", why->msg);
}

void hf_session_passed_over(struct hf_session *s) {
  for (size_t i = 0; i < s->n_targets && s->n_targets > 1; i++) {
    struct hf_reads *x = &s->fetching->of[i];
    pthread_mutex_lock(&s->fetching->lock);
    struct hf_reads was = *x;
    x->lacking = x->damaged = x->failed = 0;
    pthread_mutex_unlock(&s->fetching->lock);
    uint64_t n = was.lacking + was.damaged + was.failed;
    if (n > 1)
      hf_log(HF_LOG_WARNING, "target %s was passed over for %llu objects: %llu it lacks, %llu are damaged, %llu could not be read",
             hf_target_name(s->targets[i]), (unsigned long long)n, (unsigned long long)was.lacking, (unsigned long long)was.damaged,
             (unsigned long long)was.failed);
  }
}

int hf_session_fetch(struct hf_session *s, const char *key, const struct hf_digest *want, size_t max, struct hf_buf *out, struct hf_error *err) {
  struct hf_error e = {0};
  int worst = 0;
  HF_CLEANUP(hf_freep) struct place *v = places(s);
  for (size_t k = 0; k < s->n_targets; k++) {
    int r = hf_target_get_checked(s->targets[v[k].i], key, max, want, out, &e);
    if (r == 0) return 0;
    if (r == HOLDFAST_E_CANCELED || hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
    if (s->n_targets > 1) pass_over(s, v[k].i, r, &e);
    if (worst != HOLDFAST_E_CORRUPT) worst = r;
  }
  return s->n_targets == 1 ? hf_fail(err, worst, "%s", e.msg) : hf_fail(err, worst, "no target has a good copy of %s", key);
}

int hf_session_fetch_sealed(struct hf_session *s, const char *key, const struct hf_digest *want, struct hf_buf *plain, char *signer, struct hf_error *err) {
  struct hf_gpg *g;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  int r = hf_session_reader(s, &g, err);
  if (r == 0) r = hf_session_fetch(s, key, want, HF_META_MAX, &b, err);
  if (r == 0) {
    r = hf_gpg_unseal(g, &s->trusted, b.data, b.len, HF_META_MAX, plain, signer, err);
    if (r < 0) hf_prefix(err, "%s", key);
  }
  return r;
}

/* ---- archives ---- */

/* Of keys, keep those that this target cannot give now. *why: what it says of them. Returns how many are on their way; negative when the run
 * is being stopped. */
static long still_cold(struct hf_target *t, struct hf_list *keys, struct hf_error *why) {
  HF_CLEANUP(hf_freep) int *statuses = hf_allocn(keys->n, sizeof *statuses);
  size_t n = 0;
  long pending = 0;
  if (hf_target_can_thaw(t)) {
    hf_target_thaw(t, (const char *const *)keys->v, keys->n, statuses, why);
  } else {
    for (size_t i = 0; i < keys->n && !hf_cancel; i++) {
      uint64_t size;
      statuses[i] = hf_target_stat(t, keys->v[i], &size, NULL) == 0 ? 0 : HOLDFAST_E_NOT_FOUND;
    }
  }
  if (hf_cancel) return hf_fail(why, HOLDFAST_E_CANCELED, "stopped");
  for (size_t i = 0; i < keys->n; i++) {
    pending += statuses[i] == HOLDFAST_E_TRANSIENT;
    if (statuses[i] != 0) keys->v[n++] = keys->v[i];
    else free(keys->v[i]);
  }
  keys->n = n;
  return pending;
}

int hf_session_thaw(struct hf_session *s, struct hf_list *keys, struct hf_error *err) {
  HF_CLEANUP(hf_freep) struct place *v = places(s);
  struct hf_error first = {0};
  bool on_its_way = false;
  size_t k;
  for (k = 0; k < s->n_targets && keys->n > 0; k++) {
    struct hf_target *t = s->targets[v[k].i];
    struct hf_error e = {0};
    /* The nearest has no archive: what it lacks is another's to give, one by one. */
    if (k == 0 && !hf_target_can_thaw(t)) return 0;
    long pending = still_cold(t, keys, &e);
    if (pending < 0) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
    if (pending > 0) on_its_way = true;
    if (e.code && !first.code) first = e;
    /* What cannot be brought back at all is not waited for: reading says what there is to say. */
    if (k == 0 && !on_its_way) return 0;
  }
  if (keys->n > 0) return on_its_way ? hf_fail(err, HOLDFAST_E_TRANSIENT, "%s; run the same command again then", first.msg) : 0;
  /* Others have what is on its way: they are read, and not the one that has not. */
  pthread_mutex_lock(&s->fetching->lock);
  for (size_t i = 0; i + 1 < k; i++) s->fetching->of[v[i].i].back = true;
  pthread_mutex_unlock(&s->fetching->lock);
  if (k > 1) hf_log(HF_LOG_NOTICE, "%s; target %s is read instead", first.msg, hf_target_name(s->targets[v[k - 1].i]));
  return 0;
}
