/* extend.c - what a snapshot refers to is kept from being deleted for as long as if it were new.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A target that locks objects does so when they are stored, for a time. A snapshot that refers to old packs is worth no more than the lock on
 * the oldest of them. So the locks are made longer, but not with every run: only when half of their time is over. The state has one row for
 * each object and target. Memory: the keys of what is due, about 120 bytes each.
 */
#include "engine/extend.h"

#include "base/text.h"

struct extending {
  struct hf_session *s;
  const struct hf_extend *o;
  const char *target;
  int64_t time, now; /* for how long; since when what is stored by this run is locked */
  struct hf_list keys;
  struct hf_digest *objects; /* parallel to keys */
  size_t cap;
};

/* One object that the snapshot refers to. fresh: stored by this run. */
static int need(struct extending *x, const char *key, const struct hf_digest *object, bool fresh, struct hf_error *err) {
  int64_t since = 0;
  if (fresh) return hf_state_kept_set(x->s->state, x->target, object, x->now, err);
  int r = hf_state_kept_get(x->s->state, x->target, object, &since, err);
  if (r < 0) return r;
  /* A clock that was set back makes it due as well. */
  if (r == 1 && since <= x->now && x->now - since < x->time / 2) return 0;
  if (x->keys.n == x->cap) {
    x->cap = x->cap ? x->cap * 2 : 256;
    x->objects = hf_realloc(x->objects, x->cap * sizeof *x->objects);
  }
  x->objects[x->keys.n] = *object;
  hf_list_add(&x->keys, key);
  return 0;
}

static int see_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err) {
  struct extending *x = ctx;
  char key[HF_KEY_MAX];
  if (!x->o->refers(x->o->ctx, p->row)) return 0;
  hf_key_pack(key, &p->digest);
  return need(x, key, &p->digest, p->row > x->o->last_pack, err);
}

static int see_others(struct extending *x, const struct hf_record *rec, struct hf_error *err) {
  char key[HF_KEY_MAX];
  int r = 0;
  for (size_t i = 0; r == 0 && i < rec->n_indexes; i++) {
    const struct hf_digest *d = &rec->indexes[i].sha256;
    int64_t row = 0;
    r = hf_state_index_find(x->s->state, d, &row, NULL, err);
    if (r < 0) return r;
    hf_key_index(key, d);
    r = need(x, key, d, r == 1 && row > x->o->last_index, err);
  }
  /* Without the secret all is lost. */
  hf_key_secret(key, &rec->secret);
  return r == 0 ? need(x, key, &rec->secret, false, err) : r;
}

int hf_extend(struct hf_session *s, size_t target, const struct hf_record *rec, const struct hf_extend *o, struct hf_error *err) {
  struct hf_target *t = s->targets[target];
  struct extending x = {.s = s, .o = o, .target = hf_target_name(t), .time = hf_target_retention(t), .now = rec->time, .keys = HF_LIST_INIT};
  if (x.time <= 0) return 0;
  int r = hf_state_packs_each(s->state, see_pack, &x, err);
  if (r == 0) r = see_others(&x, rec, err);
  if (r == 0 && x.keys.n > 0) {
    HF_CLEANUP(hf_freep) int *statuses = hf_allocn(x.keys.n, sizeof *statuses);
    hf_log(HF_LOG_INFO, "target %s: the locks of %zu objects are made longer", x.target, x.keys.n);
    r = hf_target_extend(t, (const char *const *)x.keys.v, x.keys.n, statuses, err);
    for (size_t i = 0; i < x.keys.n; i++) {
      struct hf_error e = {0};
      if (statuses[i] == 0 && hf_state_kept_set(s->state, x.target, &x.objects[i], x.now, &e) < 0 && r == 0) r = hf_fail(err, e.code, "%s", e.msg);
    }
  }
  if (r == 0) r = hf_state_kept_sweep(s->state, x.target, x.now - x.time, err);
  hf_list_free(&x.keys);
  free(x.objects);
  return r;
}
