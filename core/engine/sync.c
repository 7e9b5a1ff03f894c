/* sync.c - bringing targets level with each other.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory: the keys of two targets' objects, about 120 bytes each, and COPIES objects on their way.
 */
#include "engine/sync.h"

#include <pthread.h>

#include "base/queue.h"

#include "engine/engine.h"

#define COPIES 3

/* The order in which kinds are copied: nothing comes before what it refers to. */
static int rank(const struct hf_object_name *n) {
  switch (n->kind) {
    case HF_OBJ_README:
    case HF_OBJ_RECOVER:
    case HF_OBJ_INI:
    case HF_OBJ_HOSTKEY: return 1;
    case HF_OBJ_SECRET: return 2;
    case HF_OBJ_PACK: return 3;
    case HF_OBJ_INDEX: return 4;
    case HF_OBJ_RECORD: return 5;
    default: return 0;
  }
}

struct object { char *key; uint64_t size; };
struct objects { struct object *v; size_t n, cap; };

static int add(void *ctx, const char *key, uint64_t size) {
  struct objects *o = ctx;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  if (rank(&name) == 0) return 0;
  if (o->n == o->cap) {
    o->cap = o->cap ? o->cap * 2 : 256;
    o->v = hf_realloc(o->v, o->cap * sizeof *o->v);
  }
  o->v[o->n++] = (struct object){hf_strdup(key), size};
  return 0;
}

static void objects_free(struct objects *o) {
  for (size_t i = 0; i < o->n; i++) free(o->v[i].key);
  free(o->v);
  memset(o, 0, sizeof *o);
}

static int by_rank(const void *a, const void *b) {
  const struct object *x = a, *y = b;
  struct hf_object_name nx, ny;
  hf_key_parse(x->key, &nx);
  hf_key_parse(y->key, &ny);
  int rx = rank(&nx), ry = rank(&ny);
  return rx != ry ? rx - ry : strcmp(x->key, y->key);
}

static const struct object *find(const struct objects *o, const struct object *like) {
  return o->n ? bsearch(like, o->v, o->n, sizeof *o->v, by_rank) : NULL;
}

static int list_sorted(struct hf_target *t, struct objects *out, struct hf_error *err) {
  int r = hf_target_list(t, "", add, out, err);
  if (r == 0 && out->n) qsort(out->v, out->n, sizeof *out->v, by_rank);
  return r;
}

/* Does it belong to the repository as the chain and the catalogue know it? What a killed run left, or somebody else put there, is not spread. */
static bool belongs(struct hf_session *s, const struct object *o) {
  struct hf_object_name name;
  hf_key_parse(o->key, &name);
  if (name.kind == HF_OBJ_RECORD) {
    struct hf_digest d;
    return hf_state_record_get(s->state, name.seq, &d, NULL, NULL) == 1 && hf_digest_eq(&d, &name.digest);
  }
  if (name.kind == HF_OBJ_PACK) {
    struct hf_state_pack p;
    return hf_state_pack_find(s->state, &name.digest, &p, NULL) == 1 && p.stored == o->size;
  }
  if (name.kind == HF_OBJ_INDEX) return hf_state_index_find(s->state, &name.digest, NULL, NULL, NULL) == 1;
  if (name.kind == HF_OBJ_HOSTKEY) return hf_list_has(&s->trusted, name.fpr);
  return true;
}

static int copy(struct hf_target *from, struct hf_target *to, const struct object *o, struct hf_error *err) {
  struct hf_object_name name;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  struct hf_digest d;
  hf_key_parse(o->key, &name);
  bool named = rank(&name) >= 2;
  int r = named ? hf_target_get_checked(from, o->key, HF_META_MAX, &name.digest, &b, err) : hf_target_get(from, o->key, 1 << 20, &b, err);
  if (r < 0) return r;
  hf_sha256(b.data ? b.data : "", b.len, &d);
  return hf_target_put(to, o->key, b.data ? b.data : "", b.len, &d, false, err);
}

struct job {
  struct hf_session *s;
  const struct hf_sync_options *o;
  struct hf_sync_target *t;
  size_t to;
  struct objects have;
  /* while from one target is copied: */
  struct hf_target *from;
  struct objects theirs;
  const struct object **todo; /* of theirs, in order */
  size_t n_todo;
  pthread_mutex_t lock; /* over what follows, the counts and the callback */
  struct hf_list failed; /* not to be had so far: another target may have it good */
};

/* Copy one; one of several threads. */
static bool copy_one(void *ctx, size_t i) {
  struct job *x = ctx;
  const struct object *o = x->todo[i];
  struct hf_error e = {0};
  pthread_mutex_lock(&x->lock);
  if (x->o->copied) x->o->copied(x->o->ctx, x->t->name, o->key, o->size);
  pthread_mutex_unlock(&x->lock);
  int r = x->o->dry ? 0 : copy(x->from, x->s->targets[x->to], o, &e);
  if (hf_cancel) return false;
  pthread_mutex_lock(&x->lock);
  if (r < 0) {
    hf_log(HF_LOG_WARNING, "%s", e.msg);
    if (!hf_list_has(&x->failed, o->key)) hf_list_add(&x->failed, o->key);
  } else {
    x->t->copied++;
    x->t->bytes += o->size;
  }
  pthread_mutex_unlock(&x->lock);
  return true;
}

/* Those of theirs that are wanted, from *at on, as long as they are of one rank. */
static int gather(struct job *x, size_t *at) {
  int now = 0;
  for (x->n_todo = 0; *at < x->theirs.n; ++*at) {
    const struct object *o = &x->theirs.v[*at];
    struct hf_object_name name;
    hf_key_parse(o->key, &name);
    if (now && rank(&name) != now) break;
    now = rank(&name);
    const struct object *mine = find(&x->have, o);
    if ((mine && (mine->size == o->size || name.kind != HF_OBJ_PACK)) || !belongs(x->s, o)) continue;
    x->todo[x->n_todo++] = o;
  }
  return now;
}

/* Copy from target j what is missing, one kind after the other, several objects of a kind at once. Records go one by one, in their order, and not while anything before them is missing. */
static int from_target(struct job *x, size_t j, struct hf_error *err) {
  struct hf_object_name record = {.kind = HF_OBJ_RECORD};
  x->from = x->s->targets[j];
  int r = list_sorted(x->from, &x->theirs, err);
  x->todo = hf_allocn(x->theirs.n, sizeof *x->todo);
  for (size_t at = 0; r == 0 && at < x->theirs.n && !hf_cancel;) {
    if (gather(x, &at) != rank(&record)) {
      hf_each(x->n_todo, COPIES, copy_one, x);
      continue;
    }
    for (size_t i = 0; i < x->n_todo && x->failed.n == 0 && !hf_cancel; i++) copy_one(x, i);
  }
  free(x->todo);
  objects_free(&x->theirs);
  return r;
}

/* One pass over the other targets; then, when something could not be had from one, a second, which sees what came from the others meanwhile. */
static int level(struct job *x, struct hf_error *err) {
  struct hf_session *s = x->s;
  for (int pass = 0; pass < 2 && !hf_cancel; pass++) {
    hf_list_free(&x->failed);
    for (size_t j = 0; j < s->n_targets; j++) {
      if (j == x->to) continue;
      objects_free(&x->have);
      int r = list_sorted(s->targets[x->to], &x->have, err);
      if (r < 0) return r;
      struct hf_error e = {0};
      if (from_target(x, j, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
      if (x->o->dry) return 0;
    }
    if (x->failed.n == 0) break;
  }
  x->t->failed = x->failed.n;
  return 0;
}

int hf_sync(struct hf_session *s, const struct hf_sync_options *o, struct hf_sync_result *out, struct hf_error *err) {
  memset(out, 0, sizeof *out);
  if (s->n_targets < 2) return hf_fail(err, HOLDFAST_E_CONFIG, "there is only one target that can be used: nothing to bring it level with");
  int r = 0;
  /* Every index, so that the catalogue knows every pack. */
  for (uint64_t seq = 1; r == 0 && seq <= s->head; seq++) {
    struct hf_record *rec = NULL;
    if (hf_session_record(s, seq, &rec, NULL, NULL) < 0) continue;
    if (rec->type == HF_RECORD_SNAPSHOT) r = hf_session_load_indexes(s, rec, err);
    hf_record_free(rec);
  }
  if (r == 0 && !o->dry) r = hf_repo_lock(s, "sync", err);
  if (r < 0) return r;
  out->targets = hf_allocn(s->n_targets, sizeof *out->targets);
  out->n_targets = s->n_targets;
  for (size_t i = 0; r == 0 && i < s->n_targets; i++) {
    struct job x = {.s = s, .o = o, .t = &out->targets[i], .to = i, .lock = PTHREAD_MUTEX_INITIALIZER};
    x.t->name = hf_target_name(s->targets[i]);
    if (o->only && strcmp(o->only, x.t->name) != 0) continue;
    struct hf_error e = {0};
    if (level(&x, &e) < 0) {
      hf_log(HF_LOG_ERROR, "%s", e.msg);
      x.t->failed++;
    }
    objects_free(&x.have);
    hf_list_free(&x.failed);
  }
  if (!o->dry) hf_repo_unlock(s);
  if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  if (r < 0) hf_sync_result_free(out);
  return r;
}

void hf_sync_result_free(struct hf_sync_result *r) {
  free(r->targets);
  memset(r, 0, sizeof *r);
}
