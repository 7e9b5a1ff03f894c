/* verify.c - is everything there, and is it what it should be?
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three depths: one listing of each target against what the snapshots need; every object's digest against its name; every chunk's id and every recipe. The first two need no private key.
 * Memory: a few bits per pack, the keys of one target's indexes, and those of all its objects when they are to be read; READERS objects that are read at once.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>

#include "base/queue.h"
#include "base/text.h"
#include "engine/verify_impl.h"

#define READERS 6

void hf_verify_finding(struct hf_verifying *v, const char *target, const char *object, const char *fmt, ...) {
  char text[900];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  v->out->findings++;
  if (v->o->finding) v->o->finding(v->o->ctx, target, object, text);
}

bool hf_verify_needs(const struct hf_verifying *v, int64_t row) { return hf_needs_pack(&v->all, row); }

/* ---- what is needed ---- */

static void tell_lost(void *ctx, const struct hf_record *rec, const char *index_key, uint64_t ordinal) {
  hf_verify_finding(ctx, NULL, index_key, "snapshot %llu needs its pack number %llu, and it names none", (unsigned long long)rec->seq, (unsigned long long)ordinal);
}

static void index_failed(void *ctx, uint64_t seq, const struct hf_error *why) { hf_verify_finding(ctx, NULL, "", "snapshot %llu: %s", (unsigned long long)seq, why->msg); }

/* All indexes first: they add packs to the catalogue. */
static int gather(struct hf_verifying *v, struct hf_error *err) {
  struct hf_session *s = v->s;
  int r = hf_live_load(s, &v->live, err);
  if (r < 0) return r;
  for (size_t i = 0; i < v->live.n; i++) v->out->snapshots += hf_live_within_reach(s, &v->live.v[i]);
  for (size_t i = 0; r == 0 && i < s->n_targets; i++) r = hf_live_load_indexes(s, &v->live, hf_target_name(s->targets[i]), index_failed, v, err);
  if (r == 0) r = hf_needs_open(s, &v->all, err);
  v->all.tell_lost = tell_lost;
  v->all.ctx = v;
  for (size_t i = 0; r == 0 && i < v->live.n; i++) {
    struct hf_record *rec = NULL;
    if (!hf_live_within_reach(s, &v->live.v[i])) continue;
    r = hf_session_record(s, v->live.v[i].seq, &rec, NULL, err);
    if (r == 0) r = hf_needs_add(&v->all, rec, err);
    hf_record_free(rec);
  }
  return r;
}

/* ---- one target ---- */

struct listing {
  struct hf_verifying *v;
  struct hf_verify_target *t;
  struct hf_needs needs; /* of this target */
  unsigned char *packs; /* bit per pack row: is there, in the right size */
  struct hf_list seen;  /* indexes, secrets, keys and texts: few */
  struct hf_list read;  /* keys to fetch */
  struct hf_target *target;
  pthread_mutex_t lock; /* while objects are read: over the counts and the callbacks */
  size_t done;
};

/* There, and not needed there: what waits to be deleted, or was left by a run that was broken off. */
static void extra(struct listing *l, const char *key) {
  l->t->extra++;
  if (l->v->o->extra) l->v->o->extra(l->v->o->ctx, l->t->name, key);
}

static int see(void *ctx, const char *key, uint64_t size) {
  struct listing *l = ctx;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  l->t->objects++;
  l->t->bytes += size;
  if (name.kind == HF_OBJ_PACK) {
    struct hf_state_pack p;
    int r = hf_state_pack_find(l->v->s->state, &name.digest, &p, NULL);
    if (r < 0) return r;
    bool known = r == 1 && p.row <= l->needs.max_pack;
    if (!known || !hf_needs_pack(&l->needs, p.row)) extra(l, key);
    if (known && p.stored == size) l->packs[p.row / 8] |= (unsigned char)(1u << (p.row % 8));
  } else if (name.kind != HF_OBJ_OTHER && name.kind != HF_OBJ_RECORD) {
    hf_list_add(&l->seen, key);
  }
  if (name.kind != HF_OBJ_OTHER && l->v->o->read_percent > 0) hf_list_add(&l->read, key);
  return 0;
}

static int check_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct listing *l = ctx;
  if (!hf_needs_pack(&l->needs, p->row)) return 0;
  l->t->needed++;
  if (l->packs[p->row / 8] >> (p->row % 8) & 1) return 0;
  char key[HF_KEY_MAX];
  hf_key_pack(key, &p->digest);
  l->t->missing++;
  hf_verify_finding(l->v, l->t->name, key, "is missing, or not of the %llu bytes it should have", (unsigned long long)p->stored);
  return 0;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void need(struct listing *l, const char *key) {
  l->t->needed++;
  if (l->seen.n && bsearch(&key, l->seen.v, l->seen.n, sizeof *l->seen.v, by_text)) return;
  l->t->missing++;
  hf_verify_finding(l->v, l->t->name, key, "is missing");
}

/* Also those that the catalogue does not know, since they could not be read. */
static void check_indexes(struct listing *l) {
  struct hf_list names = HF_LIST_INIT;
  for (size_t i = 0; i < l->v->live.n; i++) {
    struct hf_record *rec = NULL;
    if (!hf_live_at(&l->v->live.v[i], l->t->name) || hf_session_record(l->v->s, l->v->live.v[i].seq, &rec, NULL, NULL) < 0) continue;
    for (size_t k = 0; k < rec->n_indexes; k++) {
      char key[HF_KEY_MAX];
      hf_key_index(key, &rec->indexes[k].sha256);
      hf_list_add(&names, key);
    }
    hf_record_free(rec);
  }
  /* Snapshots share indexes: each is looked for once. */
  hf_list_sort(&names);
  for (size_t i = 0; i < names.n; i++) {
    if (i == 0 || strcmp(names.v[i], names.v[i - 1]) != 0) need(l, names.v[i]);
  }
  for (size_t i = 0; i < l->seen.n; i++) {
    struct hf_object_name name;
    hf_key_parse(l->seen.v[i], &name);
    if (name.kind == HF_OBJ_INDEX && !(names.n && bsearch(&l->seen.v[i], names.v, names.n, sizeof *names.v, by_text))) extra(l, l->seen.v[i]);
  }
  hf_list_free(&names);
}

static void check_small(struct listing *l) {
  hf_list_sort(&l->seen);
  for (size_t i = 0; i < l->needs.small.n; i++) need(l, l->needs.small.v[i]);
  check_indexes(l);
}

/* Is this the public key with that fingerprint? A home of its own looks at it: what a target holds gets into no keyring. */
static bool is_key(const struct hf_buf *b, const char *fpr) {
  struct hf_gpg *g = NULL;
  struct hf_list fprs = HF_LIST_INIT;
  bool same = hf_gpg_open(NULL, false, &g, NULL) == 0 && hf_gpg_trust_keys(g, b->data, b->len, &fprs, NULL) == 0 && fprs.n == 1 && strcmp(fprs.v[0], fpr) == 0;
  hf_list_free(&fprs);
  hf_gpg_close(g);
  return same;
}

/* Is this text one that a record names, if any does? */
static bool is_text(const struct hf_verifying *v, const char *key, const struct hf_buf *b) { return v->all.texts.n == 0 || hf_needs_text(&v->all.texts, key, b); }

/* The second depth: digest against name. Of a host key the name is the fingerprint; those of the texts are in records. One of several threads. */
static bool read_object(void *ctx, size_t i) {
  struct listing *l = ctx;
  const char *key = l->read.v[i];
  const struct hf_verify_options *o = l->v->o;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  struct hf_error e = {0};
  bool has_digest = name.kind == HF_OBJ_PACK || name.kind == HF_OBJ_INDEX || name.kind == HF_OBJ_RECORD || name.kind == HF_OBJ_SECRET;
  int r = has_digest ? hf_target_get_checked(l->target, key, HF_META_MAX, &name.digest, &b, &e) : hf_target_get(l->target, key, 1 << 20, &b, &e);
  if (hf_cancel) return false;
  pthread_mutex_lock(&l->lock);
  l->t->read++;
  if (r < 0) {
    l->t->damaged++;
    hf_verify_finding(l->v, l->t->name, key, "%s", r == HOLDFAST_E_CORRUPT ? "is damaged: its bytes are not what its name says" : e.msg);
  } else if (name.kind == HF_OBJ_HOSTKEY && !is_key(&b, name.fpr)) {
    l->t->damaged++;
    hf_verify_finding(l->v, l->t->name, key, "is damaged or another key: its fingerprint is not its name");
  } else if ((name.kind == HF_OBJ_README || name.kind == HF_OBJ_RECOVER) && !is_text(l->v, key, &b)) {
    l->t->damaged++;
    hf_verify_finding(l->v, l->t->name, key, "is not what was put there: no record names its digest; do not run it");
  }
  l->done++;
  if (o->progress) o->progress(o->ctx, l->t->name, "objects read", l->done, l->read.n);
  pthread_mutex_unlock(&l->lock);
  return true;
}

/* Of the keys to be read, leave every so many-th. A sample starts anywhere. */
static void sample(struct hf_list *keys, double percent) {
  unsigned char rnd;
  hf_random(&rnd, 1);
  double sum = rnd / 256.0;
  size_t n = 0;
  for (size_t i = 0; i < keys->n; i++) {
    sum += percent / 100;
    bool take = sum >= 1 || percent >= 100;
    if (take) sum -= 1;
    if (take) keys->v[n++] = keys->v[i];
    else free(keys->v[i]);
  }
  keys->n = n;
}

/* What lies in an archive is asked for, said once, and not read. */
static void leave_archived(struct listing *l) {
  HF_CLEANUP(hf_freep) int *statuses = hf_allocn(l->read.n, sizeof *statuses);
  struct hf_error e = {0};
  size_t n = 0, total = l->read.n;
  if (!hf_target_can_thaw(l->target) || total == 0) return;
  hf_target_thaw(l->target, (const char *const *)l->read.v, total, statuses, &e);
  for (size_t i = 0; i < total; i++) {
    if (statuses[i] == HOLDFAST_E_TRANSIENT) free(l->read.v[i]);
    else l->read.v[n++] = l->read.v[i];
  }
  l->read.n = n;
  if (n < total) hf_verify_finding(l->v, l->t->name, "", "%zu objects are in an archive and could not be read: %s", total - n, e.msg);
}

static int verify_target(struct hf_verifying *v, size_t i, struct hf_error *err) {
  struct hf_target *t = v->s->targets[i];
  struct listing l = {.v = v, .t = &v->out->targets[i], .target = t};
  l.t->name = hf_target_name(t);
  struct hf_error e = {0};
  int r = hf_needs_open(v->s, &l.needs, err);
  if (r < 0) return r;
  r = hf_needs_add_live(&l.needs, &v->live, l.t->name, err);
  if (r < 0) {
    hf_needs_free(&l.needs);
    return r;
  }
  l.packs = hf_alloc((size_t)l.needs.max_pack / 8 + 1);
  r = hf_target_list(t, "", see, &l, &e);
  if (r < 0) {
    hf_verify_finding(v, l.t->name, "", "%s", e.msg);
  } else {
    uint64_t records = v->s->chains[i].missing;
    l.t->needed += v->s->head;
    l.t->missing += records;
    if (records) hf_verify_finding(v, l.t->name, "records/", "%llu records of the chain are missing", (unsigned long long)records);
    r = hf_state_packs_each(v->s->state, check_pack, &l, err);
    if (r == 0) check_small(&l);
    hf_list_sort(&l.read);
    sample(&l.read, v->o->read_percent);
    if (r == 0) leave_archived(&l);
    pthread_mutex_init(&l.lock, NULL);
    if (r == 0) hf_each(l.read.n, HF_MIN((size_t)hf_target_parallel(t), (size_t)READERS), read_object, &l);
    pthread_mutex_destroy(&l.lock);
  }
  hf_list_free(&l.seen);
  hf_needs_free(&l.needs);
  hf_list_free(&l.read);
  free(l.packs);
  return r < 0 && e.code == 0 ? r : 0;
}

int hf_verify(struct hf_session *s, const struct hf_verify_options *o, struct hf_verify_result *out, struct hf_error *err) {
  double start = hf_now();
  struct hf_verify_options all = *o;
  /* Decrypting takes each object from one target only: the other copies are at least read. */
  if (o->decrypt) all.read_percent = 100;
  /* Buffers of packs go back to the system at once: with threads that keep what they have freed, each in an arena of its own, /usr came to 241 MiB, all processes together, and without that to 181. */
  if (o->decrypt) mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
  o = &all;
  memset(out, 0, sizeof *out);
  out->targets = hf_allocn(s->n_targets, sizeof *out->targets);
  out->n_targets = s->n_targets;
  struct hf_verifying v = {.s = s, .o = o, .out = out};
  int r = gather(&v, err);
  for (size_t i = 0; r == 0 && i < s->n_targets; i++) r = verify_target(&v, i, err);
  for (int64_t row = 1; r == 0 && row <= v.all.max_pack; row++) out->packs += hf_verify_needs(&v, row);
  if (r == 0 && o->decrypt) r = hf_verify_decrypt(&v, err);
  if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  hf_needs_free(&v.all);
  hf_live_free(&v.live);
  out->seconds = hf_now() - start;
  return r;
}

void hf_verify_result_free(struct hf_verify_result *r) {
  free(r->targets);
  memset(r, 0, sizeof *r);
}
