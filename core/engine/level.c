/* level.c - one target brought level with the others.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/level.h"

#include <pthread.h>

#include "base/queue.h"
#include "engine/engine.h"

#define COPIES 3 /* packs on their way at once */

#define TEXT_MAX (1u << 20) /* bytes of a text or public key */

struct job {
  struct hf_session *s;
  const struct hf_needs *needs;
  const struct hf_level_options *o;
  struct hf_level_result *out;
  size_t to;
  unsigned char *packs, *indexes, *records; /* what is there, by row and sequence number */
  struct hf_list small;                     /* of texts, keys and secrets */
  struct hf_list todo;                      /* packs to be copied */
  pthread_mutex_t lock;                     /* over what follows, out and the callback */
  struct hf_error failure;                  /* the first that ends it */
};

static void set(unsigned char *bits, uint64_t i) { bits[i / 8] |= (unsigned char)(1u << (i % 8)); }

static bool has(const unsigned char *bits, uint64_t i) { return bits[i / 8] >> (i % 8) & 1; }

static int see(void *ctx, const char *key, uint64_t size) {
  struct job *x = ctx;
  struct hf_object_name name;
  struct hf_state_pack p;
  struct hf_digest d;
  int64_t row = 0;
  hf_key_parse(key, &name);
  switch (name.kind) {
    case HF_OBJ_OTHER: return 0;
    case HF_OBJ_PACK:
      if (hf_state_pack_find(x->s->state, &name.digest, &p, NULL) == 1 && p.row <= x->needs->max_pack && p.stored == size) set(x->packs, (uint64_t)p.row);
      return 0;
    case HF_OBJ_INDEX:
      if (hf_state_index_find(x->s->state, &name.digest, &row, NULL, NULL) == 1 && row <= x->needs->max_index) set(x->indexes, (uint64_t)row);
      return 0;
    case HF_OBJ_RECORD:
      if (name.seq <= x->s->head && hf_state_record_get(x->s->state, name.seq, &d, NULL, NULL) == 1 && hf_digest_eq(&d, &name.digest)) set(x->records, name.seq);
      return 0;
    default: hf_list_add(&x->small, key); return 0;
  }
}

/* What has no digest in its name, and the host has itself: another target may hold something else under that name, and who restores runs that script. 1, 0 (not one of these), or negative. */
static int own(const struct job *x, const char *key, struct hf_buf *b, struct hf_error *err) {
  char host_key[HF_KEY_MAX];
  hf_key_hostkey(host_key, x->s->host_key);
  if (x->s->host && strcmp(key, host_key) == 0) {
    int r = hf_gpg_export(x->s->host, x->s->host_key, b, err);
    return r < 0 ? r : 1;
  }
  if (strcmp(key, "README.txt") == 0) hf_buf_adds(b, hf_text_readme);
  else if (strcmp(key, "recover.sh") == 0) hf_buf_adds(b, hf_text_recover);
  else return 0;
  return 1;
}

/* Get a good copy from any other target. 1, 0 (none has one), or cancelled. */
static int fetch(struct job *x, const char *key, struct hf_buf *b, uint64_t *size, struct hf_error *err) {
  struct hf_object_name name;
  hf_key_parse(key, &name);
  const bool text = name.kind == HF_OBJ_README || name.kind == HF_OBJ_RECOVER;
  int r = own(x, key, b, err);
  *size = b->len;
  /* Another version's texts, when records tell of those and not yet of ours. */
  if (r < 0 || (r == 1 && (!text || x->needs->texts.n == 0 || hf_needs_text(&x->needs->texts, key, b)))) return r;
  const bool have = r == 1;
  hf_buf_clear(b);
  bool named = name.kind == HF_OBJ_SECRET || name.kind == HF_OBJ_PACK || name.kind == HF_OBJ_INDEX || name.kind == HF_OBJ_RECORD;
  for (size_t i = 0; i < x->s->n_targets; i++) {
    struct hf_target *from = x->s->targets[i];
    struct hf_error e = {0};
    if (i == x->to) continue;
    r = x->o->dry ? hf_target_stat(from, key, size, &e) : named ? hf_target_get_checked(from, key, HF_META_MAX, &name.digest, b, &e) : hf_target_get(from, key, TEXT_MAX, b, &e);
    if (r == HOLDFAST_E_CANCELED || hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
    if (r == 0 && !x->o->dry) *size = b->len;
    if (r == 0 && text && !x->o->dry && !hf_needs_text(&x->needs->texts, key, b)) {
      hf_log(HF_LOG_WARNING, "target %s: %s is not what was put there: no record names its digest; it is not copied", hf_target_name(from), key);
      hf_buf_clear(b);
      continue;
    }
    if (r == 0) return 1;
    if (r != HOLDFAST_E_NOT_FOUND) hf_log(HF_LOG_WARNING, "%s", e.msg);
  }
  r = have ? own(x, key, b, err) : 0;
  *size = b->len;
  return r;
}

static int copy(struct job *x, const char *key, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  struct hf_target *to = x->s->targets[x->to];
  struct hf_digest d;
  uint64_t size = 0;
  int r = fetch(x, key, &b, &size, err);
  if (r < 0) return r;
  pthread_mutex_lock(&x->lock);
  if (r == 0) x->out->failed++;
  else if (x->o->copied) x->o->copied(x->o->ctx, hf_target_name(to), key, size);
  if (r == 1 && !x->o->dry) hf_repo_lock_renew(x->s);
  pthread_mutex_unlock(&x->lock);
  if (r == 0) {
    hf_log(HF_LOG_WARNING, "target %s: %s is missing, and no other target has it good", hf_target_name(to), key);
    return 0;
  }
  if (!x->o->dry) {
    hf_sha256(b.data ? b.data : "", b.len, &d);
    r = hf_target_put(to, key, b.data ? b.data : "", b.len, &d, false, err);
    if (r < 0) return r;
  }
  pthread_mutex_lock(&x->lock);
  x->out->copied++;
  x->out->bytes += size;
  pthread_mutex_unlock(&x->lock);
  return 0;
}

/* One of several threads. */
static bool copy_pack(void *ctx, size_t i) {
  struct job *x = ctx;
  struct hf_error e = {0};
  if (copy(x, x->todo.v[i], &e) == 0) return true;
  pthread_mutex_lock(&x->lock);
  if (!x->failure.code) x->failure = e;
  pthread_mutex_unlock(&x->lock);
  return false;
}

static int want_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct job *x = ctx;
  char key[HF_KEY_MAX];
  if (!hf_needs_pack(x->needs, p->row) || has(x->packs, (uint64_t)p->row)) return 0;
  hf_key_pack(key, &p->digest);
  hf_list_add(&x->todo, key);
  return 0;
}

static int copy_packs(struct job *x, struct hf_error *err) {
  int r = hf_state_packs_each(x->s->state, want_pack, x, err);
  if (r < 0) return r;
  hf_each(x->todo.n, COPIES, copy_pack, x);
  return x->failure.code ? hf_fail(err, x->failure.code, "%s", x->failure.msg) : 0;
}

static int copy_all(struct job *x, struct hf_error *err) {
  struct hf_state *st = x->s->state;
  char key[HF_KEY_MAX];
  struct hf_digest d;
  uint64_t packs;
  int r = 0;
  for (size_t i = 0; r == 0 && i < x->needs->small.n; i++) {
    if (!hf_list_has(&x->small, x->needs->small.v[i])) r = copy(x, x->needs->small.v[i], err);
  }
  if (r == 0) r = copy_packs(x, err);
  for (int64_t row = 1; r == 0 && row <= x->needs->max_index; row++) {
    if (!hf_needs_index(x->needs, row) || has(x->indexes, (uint64_t)row)) continue;
    r = hf_state_index_get(st, row, &d, &packs, err);
    hf_key_index(key, &d);
    if (r == 0) r = copy(x, key, err);
  }
  for (uint64_t seq = 1; r == 0 && x->o->records && x->out->failed == 0 && seq <= x->s->head; seq++) {
    if (has(x->records, seq) || hf_state_record_get(st, seq, &d, NULL, NULL) != 1) continue;
    hf_key_record(key, seq, &d);
    r = copy(x, key, err);
  }
  return r;
}

int hf_level(struct hf_session *s, size_t to, const struct hf_needs *needs, const struct hf_level_options *o, struct hf_level_result *out, struct hf_error *err) {
  struct job x = {.s = s, .needs = needs, .o = o, .out = out, .to = to, .lock = PTHREAD_MUTEX_INITIALIZER};
  *out = (struct hf_level_result){0};
  x.packs = hf_alloc((size_t)needs->max_pack / 8 + 1);
  x.indexes = hf_alloc((size_t)needs->max_index / 8 + 1);
  x.records = hf_alloc((size_t)s->head / 8 + 1);
  int r = hf_target_list(s->targets[to], "", see, &x, err);
  if (r == 0) r = copy_all(&x, err);
  if (r == 0 && o->records && !o->dry && out->failed == 0) {
    s->chains[to].missing = s->chains[to].first_missing = 0;
    s->chains[to].head = s->head;
    r = hf_session_remember_head(s, hf_target_name(s->targets[to]), s->head, err);
    if (r == 0) r = hf_state_commit(s->state, err);
  }
  free(x.packs);
  free(x.indexes);
  free(x.records);
  hf_list_free(&x.small);
  hf_list_free(&x.todo);
  return r;
}
