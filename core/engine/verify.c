/* verify.c - is everything there, and is it what it should be?
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three depths: one listing of each target against what the snapshots need; every object's digest against its name; every chunk's id and every recipe. The first two need no private key.
 * Memory: one bit per pack and target, and the keys of one target's objects when they are to be read; READERS objects that are read at once.
 */
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

bool hf_verify_needs(const struct hf_verifying *v, int64_t row) { return row <= v->max_pack && (v->packs[row / 8] >> (row % 8) & 1); }

/* ---- what is needed ---- */

struct marking { struct hf_verifying *v; int64_t index_row; const char *index_key; };

static int mark(void *ctx, uint64_t ordinal) {
  struct marking *m = ctx;
  struct hf_state_pack p;
  int r = hf_state_index_pack(m->v->s->state, m->index_row, ordinal, &p, NULL);
  if (r < 0) return r;
  if (r == 0) {
    hf_verify_finding(m->v, NULL, m->index_key, "a snapshot needs its pack number %llu, and it names none", (unsigned long long)ordinal);
    return 0;
  }
  m->v->packs[p.row / 8] |= (unsigned char)(1u << (p.row % 8));
  return 0;
}

static int mark_record(struct hf_verifying *v, const struct hf_record *rec) {
  for (size_t i = 0; i < rec->n_indexes; i++) {
    char key[HF_KEY_MAX];
    struct marking m = {.v = v, .index_key = key};
    struct hf_error e = {0};
    hf_key_index(key, &rec->indexes[i].sha256);
    if (hf_state_index_find(v->s->state, &rec->indexes[i].sha256, &m.index_row, NULL, &e) != 1) continue; /* told already: it could not be loaded */
    if (hf_ranges_each(rec->indexes[i].packs, mark, &m, &e) < 0) hf_verify_finding(v, NULL, key, "record %llu: %s", (unsigned long long)rec->seq, e.msg);
  }
  return 0;
}

static void gather_texts(struct hf_verifying *v, const struct hf_record *rec) {
  const char *key;
  json_t *digest;
  json_object_foreach(json_object_get(rec->extra, "texts"), key, digest) {
    if (json_is_string(digest)) hf_list_take(&v->texts, hf_asprintf("%s %s", key, json_string_value(digest)));
  }
}

static int gather(struct hf_verifying *v, struct hf_error *err) {
  struct hf_session *s = v->s;
  /* All indexes first: they add packs to the catalogue. */
  for (uint64_t seq = 1; seq <= s->head; seq++) {
    struct hf_record *rec = NULL;
    struct hf_error e = {0};
    int k = hf_session_record(s, seq, &rec, NULL, &e);
    if (k == 0) gather_texts(v, rec);
    if (k < 0 || rec->type != HF_RECORD_SNAPSHOT) {
      hf_record_free(rec);
      continue;
    }
    v->out->snapshots++;
    int r = hf_session_load_indexes(s, rec, &e);
    hf_record_free(rec);
    if (r == HOLDFAST_E_AUTH || r == HOLDFAST_E_CANCELED) return hf_fail(err, r, "%s", e.msg);
    if (r < 0) hf_verify_finding(v, NULL, "", "snapshot %llu: %s", (unsigned long long)seq, e.msg);
  }
  v->max_pack = hf_state_pack_max(s->state);
  v->packs = hf_alloc((size_t)v->max_pack / 8 + 1);
  for (uint64_t seq = 1; seq <= s->head; seq++) {
    struct hf_record *rec = NULL;
    if (hf_session_record(s, seq, &rec, NULL, NULL) == 0 && rec->type == HF_RECORD_SNAPSHOT) mark_record(v, rec);
    hf_record_free(rec);
  }
  return 0;
}

/* ---- one target ---- */

struct listing {
  struct hf_verifying *v;
  struct hf_verify_target *t;
  unsigned char *packs; /* bit per pack row: is there, in the right size */
  struct hf_list seen;  /* indexes, secrets, keys and texts: few */
  struct hf_list told;  /* of those, reported as missing */
  struct hf_list read;  /* keys to fetch */
  struct hf_target *target;
  pthread_mutex_t lock; /* while objects are read: over the counts and the callbacks */
  size_t done;
};

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
    bool known = r == 1 && p.row <= l->v->max_pack;
    if (!known || !hf_verify_needs(l->v, p.row)) l->t->extra++;
    if (known && p.stored == size) l->packs[p.row / 8] |= (unsigned char)(1u << (p.row % 8));
  } else if (name.kind != HF_OBJ_OTHER && name.kind != HF_OBJ_RECORD) {
    hf_list_add(&l->seen, key);
  }
  if (name.kind != HF_OBJ_OTHER && l->v->o->read_percent > 0) hf_list_add(&l->read, key);
  return 0;
}

static int check_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct listing *l = ctx;
  if (!hf_verify_needs(l->v, p->row) || (l->packs[p->row / 8] >> (p->row % 8) & 1)) return 0;
  char key[HF_KEY_MAX];
  hf_key_pack(key, &p->digest);
  l->t->missing++;
  hf_verify_finding(l->v, l->t->name, key, "is missing, or not of the %llu bytes it should have", (unsigned long long)p->stored);
  return 0;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void need(struct listing *l, const char *key) {
  /* Snapshots share indexes: what is there is asked for many times, what is missing is told once. */
  if (l->seen.n && bsearch(&key, l->seen.v, l->seen.n, sizeof *l->seen.v, by_text)) return;
  if (hf_list_has(&l->told, key)) return;
  hf_list_add(&l->told, key);
  l->t->missing++;
  hf_verify_finding(l->v, l->t->name, key, "is missing");
}

static void check_small(struct listing *l) {
  struct hf_session *s = l->v->s;
  char key[HF_KEY_MAX];
  hf_list_sort(&l->seen);
  need(l, "README.txt");
  need(l, "recover.sh");
  need(l, "repository.ini");
  for (uint64_t seq = 1; seq <= s->head; seq++) {
    struct hf_record *rec = NULL;
    struct hf_digest zero = {{0}};
    if (hf_session_record(s, seq, &rec, NULL, NULL) < 0) continue;
    if (!hf_digest_eq(&rec->secret, &zero)) {
      hf_key_secret(key, &rec->secret);
      need(l, key);
    }
    const char *sealed = json_string_value(json_object_get(rec->extra, "host_key_object"));
    struct hf_digest d;
    if (sealed && strlen(sealed) == 64 && hf_digest_parse(sealed, &d)) {
      hf_key_secret(key, &d);
      need(l, key);
    }
    for (size_t i = 0; i < rec->n_indexes; i++) {
      hf_key_index(key, &rec->indexes[i].sha256);
      need(l, key);
    }
    for (size_t i = 0; i < rec->host_keys.n; i++) {
      hf_key_hostkey(key, rec->host_keys.v[i]);
      need(l, key);
    }
    hf_record_free(rec);
  }
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

/* Is this text one that a record names? */
static bool is_text(const struct hf_verifying *v, const char *key, const struct hf_buf *b) {
  struct hf_digest d;
  char hex[HF_SHA256_HEX];
  hf_sha256(b->data ? b->data : "", b->len, &d);
  hf_digest_hex(&d, hex);
  HF_CLEANUP(hf_freep) char *line = hf_asprintf("%s %s", key, hex);
  return v->texts.n == 0 || hf_list_has(&v->texts, line);
}

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
  l.packs = hf_alloc((size_t)v->max_pack / 8 + 1);
  struct hf_error e = {0};
  int r = hf_target_list(t, "", see, &l, &e);
  if (r < 0) {
    hf_verify_finding(v, l.t->name, "", "%s", e.msg);
  } else {
    uint64_t records = v->s->chains[i].missing;
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
  hf_list_free(&l.told);
  hf_list_free(&l.read);
  free(l.packs);
  return r < 0 && e.code == 0 ? r : 0;
}

int hf_verify(struct hf_session *s, const struct hf_verify_options *o, struct hf_verify_result *out, struct hf_error *err) {
  double start = hf_now();
  struct hf_verify_options all = *o;
  /* Decrypting takes each object from one target only: the other copies are at least read. */
  if (o->decrypt) all.read_percent = 100;
  o = &all;
  memset(out, 0, sizeof *out);
  out->targets = hf_allocn(s->n_targets, sizeof *out->targets);
  out->n_targets = s->n_targets;
  struct hf_verifying v = {.s = s, .o = o, .out = out};
  int r = gather(&v, err);
  for (size_t i = 0; r == 0 && i < s->n_targets; i++) r = verify_target(&v, i, err);
  for (int64_t row = 1; r == 0 && row <= v.max_pack; row++) out->packs += hf_verify_needs(&v, row);
  if (r == 0 && o->decrypt) r = hf_verify_decrypt(&v, err);
  if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  free(v.packs);
  hf_list_free(&v.texts);
  out->seconds = hf_now() - start;
  return r;
}

void hf_verify_result_free(struct hf_verify_result *r) {
  free(r->targets);
  memset(r, 0, sizeof *r);
}
