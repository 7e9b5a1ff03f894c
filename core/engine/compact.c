/* compact.c - repacking packs of which little is needed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/compact.h"

#include <pthread.h>
#include <sqlite3.h>

#include "engine/append.h"
#include "engine/compacted.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "pipeline/store.h"

/* Who can read some of the packs; known from the newest snapshot that has it. */
struct audience {
  char name[33];
  uint64_t seq;
  struct hf_list recipients;
};

/* A pack of the audience at work. */
struct pack {
  struct hf_digest index;
  uint64_t ordinal;
  int64_t row;
  char *source;
  enum hf_pack_kind kind;
  uint64_t stored, bytes, needed; /* object; of its chunks; of those that are needed */
  bool take, lost;
};

struct work {
  struct hf_session *s;
  const struct hf_live *live;
  const struct hf_compact_options *o;
  struct hf_compact_result *out;
  struct audience *audiences;
  size_t n_audiences;
  /* of one audience: */
  const struct audience *now;
  struct hf_record *rec; /* for rd */
  struct hf_reading rd;
  sqlite3 *db;
  sqlite3_stmt *add, *has, *walk;
  struct hf_needs needs;
  struct pack *packs; /* by index and ordinal, in the order in which indexes are read */
  size_t n_packs;
  /* of one source: */
  const char *source;
  struct hf_plan *plan;
  struct hf_state *state; /* of the new packs alone: the catalogue learns of them when a record names them */
  struct hf_store *store;
  pthread_mutex_t lock; /* over store: pieces come from several threads */
  /* while an index is read: */
  struct hf_digest index;
  void (*see)(struct work *w, struct pack *p, const struct hf_chunk_ref *c);
  size_t at;
  struct pack *pack;
  struct hf_error e;
};

/* ---- audiences ---- */

static void learn(struct work *w, const struct hf_record *rec) {
  for (size_t i = 0; i < rec->n_sources; i++) {
    const struct hf_record_source *src = &rec->sources[i];
    bool known = src->n_streams == 0;
    for (size_t k = 0; k < w->n_audiences; k++) known |= strcmp(w->audiences[k].name, src->audience) == 0;
    if (known) continue;
    w->audiences = hf_realloc(w->audiences, (w->n_audiences + 1) * sizeof *w->audiences);
    struct audience *a = &w->audiences[w->n_audiences++];
    *a = (struct audience){.seq = rec->seq};
    snprintf(a->name, sizeof a->name, "%s", src->audience);
    for (size_t k = 0; k < src->recipients.n; k++) hf_list_add(&a->recipients, src->recipients.v[k]);
  }
}

/* Call fn for the record of every snapshot that any target has to hold, the newest first. */
static int each_snapshot(struct work *w, int (*fn)(struct work *, const struct hf_record *, struct hf_error *),
                         struct hf_error *err) {
  int r = 0;
  for (size_t i = w->live->n; r == 0 && i > 0; i--) {
    struct hf_record *rec = NULL;
    if (!hf_live_anywhere(w->s, &w->live->v[i - 1])) continue;
    r = hf_session_record(w->s, w->live->v[i - 1].seq, &rec, NULL, err);
    if (r == 0) r = fn(w, rec, err);
    hf_record_free(rec);
  }
  return r;
}

static int learn_all(struct work *w, const struct hf_record *rec, struct hf_error *err HF_UNUSED) {
  learn(w, rec);
  return 0;
}

static void audiences_free(struct work *w) {
  for (size_t i = 0; i < w->n_audiences; i++) hf_list_free(&w->audiences[i].recipients);
  free(w->audiences);
}

static bool at_hand(struct hf_gpg *caller, const struct audience *a) {
  for (size_t i = 0; i < a->recipients.n; i++) {
    if (hf_gpg_has_secret(caller, a->recipients.v[i])) return true;
  }
  return false;
}

int hf_compact_ready(struct hf_session *s, const struct hf_live *live, struct hf_error *err) {
  struct work w = {.s = s, .live = live};
  struct hf_gpg *caller = NULL;
  bool any = false;
  int r = each_snapshot(&w, learn_all, err);
  if (r == 0) r = hf_session_caller(s, &caller, err);
  for (size_t i = 0; r == 0 && i < w.n_audiences; i++) any |= at_hand(caller, &w.audiences[i]);
  if (r == 0 && !any && w.n_audiences)
    r = hf_fail(err, HOLDFAST_E_AUTH,
                "packs can be repacked with a recipient's private key only, and your GnuPG keyring has none; nothing was "
                "changed. Without --compact no key is needed");
  audiences_free(&w);
  return r;
}

/* ---- which chunks are needed ---- */

static int db_fail(struct work *w, struct hf_error *err) {
  int code = (sqlite3_errcode(w->db) & 0xff) == SQLITE_FULL ? HOLDFAST_E_NO_SPACE : HOLDFAST_E_FAILED;
  return hf_fail(err, code, "temporary database of what is needed: %s", sqlite3_errmsg(w->db));
}

static int db_open(struct work *w, struct hf_error *err) {
  static const char tables[] =
      "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192; PRAGMA temp_store=FILE; BEGIN;"
      "CREATE TABLE needed(id BLOB PRIMARY KEY) WITHOUT ROWID; CREATE TABLE walked(id BLOB PRIMARY KEY) WITHOUT ROWID;";
  if (sqlite3_open_v2("", &w->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
      sqlite3_exec(w->db, tables, NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(w->db, "INSERT OR IGNORE INTO needed VALUES(?1)", -1, &w->add, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(w->db, "SELECT 1 FROM needed WHERE id=?1", -1, &w->has, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(w->db, "INSERT OR IGNORE INTO walked VALUES(?1)", -1, &w->walk, NULL) == SQLITE_OK)
    return 0;
  return db_fail(w, err);
}

/* Run a statement on one digest: SQLITE_DONE, SQLITE_ROW or something bad. */
static int db_step(sqlite3_stmt *st, const struct hf_digest *d) {
  sqlite3_reset(st);
  sqlite3_bind_blob(st, 1, d->b, HF_SHA256_LEN, SQLITE_TRANSIENT);
  int rc = sqlite3_step(st);
  sqlite3_reset(st);
  return rc;
}

static int need(struct work *w, const struct hf_digest *id, struct hf_error *err) {
  return db_step(w->add, id) == SQLITE_DONE ? 0 : db_fail(w, err);
}

static int walk_stream(struct work *w, struct hf_reading *rd, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_mapped recipe = {0};
  struct hf_recipe_reader rr;
  struct hf_recipe_entry entry;
  struct hf_slice slice;
  int r = 0, t = 0;
  for (size_t i = 0; r == 0 && i < st->n_recipe; i++) r = need(w, &st->recipe[i], err);
  if (r == 0 && db_step(w->walk, &st->recipe_sha256) != SQLITE_DONE) r = db_fail(w, err);
  /* Most snapshots have the recipe of the one before. */
  if (r < 0 || sqlite3_changes(w->db) == 0) return r;
  r = hf_reading_recipe(rd, st, false, &recipe, err);
  if (r == 0) r = hf_recipe_open(&rr, recipe.p, recipe.n, err);
  while (r == 0 && (t = hf_recipe_next(&rr, &slice, &entry, err)) > 0) {
    if (t == HF_RL_SLICE) r = need(w, &slice.id, err);
  }
  hf_mapped_free(&recipe);
  return r == 0 ? t : r;
}

static int walk(struct work *w, const struct hf_record *rec, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < rec->n_sources; i++) {
    const struct hf_record_source *src = &rec->sources[i];
    struct hf_reading rd;
    if (strcmp(src->audience, w->now->name) != 0) continue;
    hf_reading_init(w->s, rec, src, &rd);
    for (size_t k = 0; r == 0 && k < src->n_streams; k++) r = walk_stream(w, &rd, &src->streams[k], err);
    hf_wipe(&rd.audience, sizeof rd.audience);
    if (r < 0) hf_prefix(err, "snapshot %llu", (unsigned long long)rec->seq);
    if (!w->o->dry) hf_repo_lock_renew(w->s);
  }
  return r;
}

/* ---- the packs, as their indexes say ---- */

static int see_pack(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err) {
  struct work *w = ctx;
  struct hf_state_pack known;
  w->pack = NULL;
  if (strcmp(p->audience, w->now->name) != 0) return 0;
  int r = hf_state_pack_find(w->s->state, &p->digest, &known, err);
  if (r <= 0 || !hf_needs_pack(&w->needs, known.row)) return r < 0 ? r : 0;
  /* The catalogue holds a pack once; a second index that names it is not the one that counts. */
  struct hf_digest index;
  uint64_t n;
  r = hf_state_index_get(w->s->state, known.index_row, &index, &n, err);
  if (r < 0 || !hf_digest_eq(&index, &w->index)) return r;
  if (w->at == w->n_packs) {
    if ((w->n_packs & (w->n_packs - 1)) == 0)
      w->packs = hf_realloc(w->packs, (w->n_packs ? w->n_packs * 2 : 1) * sizeof *w->packs);
    w->packs[w->n_packs++] = (struct pack){.index = w->index,
                                           .ordinal = ordinal,
                                           .row = known.row,
                                           .source = hf_strdup(p->source),
                                           .kind = p->kind,
                                           .stored = p->stored};
  }
  w->pack = &w->packs[w->at++];
  return 0;
}

static int see_chunk(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err) {
  struct work *w = ctx;
  if (!w->pack) return 0;
  w->see(w, w->pack, c);
  return w->e.code ? hf_fail(err, w->e.code, "%s", w->e.msg) : 0;
}

/* Read all indexes, and show see every chunk of every pack of the audience: also those of which the catalogue has another copy. */
static int scan(struct work *w, void (*see)(struct work *, struct pack *, const struct hf_chunk_ref *), struct hf_error *err) {
  int r = 0;
  w->see = see;
  w->at = 0;
  for (int64_t row = 1; r == 0 && row <= w->needs.max_index; row++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf packed = HF_BUF_INIT, text = HF_BUF_INIT;
    struct hf_index_sink sink = {.ctx = w, .pack = see_pack, .chunk = see_chunk};
    char key[HF_KEY_MAX];
    uint64_t n;
    if (!hf_needs_index(&w->needs, row)) continue;
    r = hf_state_index_get(w->s->state, row, &w->index, &n, err);
    if (r < 0) break;
    hf_key_index(key, &w->index);
    r = hf_session_fetch_sealed(w->s, key, &w->index, &packed, NULL, err);
    if (r == 0) r = hf_zstd_decompress(packed.data, packed.len, HF_META_MAX, &text, err);
    if (r == 0) r = hf_index_parse(text.data, text.len, w->s->repo_id, &sink, err);
    if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
    if (r < 0) hf_prefix(err, "%s", key);
  }
  return r;
}

static bool is_needed(struct work *w, const struct hf_digest *id) {
  int rc = db_step(w->has, id);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) db_fail(w, &w->e);
  return rc == SQLITE_ROW;
}

static void measure(struct work *w, struct pack *p, const struct hf_chunk_ref *c) {
  p->bytes += c->length;
  if (is_needed(w, &c->id)) p->needed += c->length;
}

static bool is_at_work(const struct work *w, const struct pack *p) { return p->take && strcmp(p->source, w->source) == 0; }

static void want(struct work *w, struct pack *p, const struct hf_chunk_ref *c) {
  struct hf_piece piece = {.slice = {.id = c->id, .chunk_len = c->length, .length = c->length}, .kind = (int)p->kind};
  if (is_at_work(w, p) && is_needed(w, &c->id)) hf_plan_add(w->plan, &piece, &w->e);
}

static void find_lost(struct work *w, struct pack *p, const struct hf_chunk_ref *c) {
  if (is_at_work(w, p) && hf_plan_is_lost(w->plan, &c->id)) p->lost = true;
}

/* ---- choosing ---- */

/* Is the target there, level and well, so that it can be given new packs now? Its place among the session's, or -1. */
static long usable(const struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) == 0)
      return hf_target_is_level(s, i) && !hf_target_failure(s->targets[i]) ? (long)i : -1;
  }
  return -1;
}

/* May it hold something that this host does not know of? It cannot be looked at, and is not remembered: the state is new, or the target is. */
static bool is_unknown(const struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) == 0) return s->chains[i].unreadable;
  }
  return true;
}

/* The newest snapshot that the target held when it was taken. */
static uint64_t last_held(const struct hf_live *l, const char *target) {
  for (size_t i = l->n; i > 0; i--) {
    if (hf_list_has(&l->v[i - 1].held, target)) return l->v[i - 1].seq;
  }
  return 0;
}

/* What a target has to hold and got so far: what it gets later is new packs. */
static int needs_of(struct work *w, const char *target, struct hf_needs *out, struct hf_error *err) {
  uint64_t head = 0;
  int r = hf_session_head_of(w->s, target, &head, err);
  if (head == 0 && !hf_manifest_find_target(w->s->manifest, target)) head = last_held(w->live, target);
  else if (head == 0 && is_unknown(w->s, target)) head = UINT64_MAX;
  if (r == 0) r = hf_needs_open(w->s, out, err);
  if (r < 0) return r;
  for (size_t i = 0; r == 0 && i < w->live->n && w->live->v[i].seq <= head; i++) {
    struct hf_record *rec = NULL;
    if (!hf_live_at(&w->live->v[i], target)) continue;
    r = hf_session_record(w->s, w->live->v[i].seq, &rec, NULL, err);
    if (r == 0) r = hf_needs_add(out, rec, err);
    hf_record_free(rec);
  }
  if (r < 0) hf_needs_free(out);
  return r;
}

static void leave(struct work *w, const struct hf_needs *needs) {
  for (size_t k = 0; k < w->n_packs; k++) {
    if (!w->packs[k].take || !hf_needs_pack(needs, w->packs[k].row)) continue;
    w->packs[k].take = false;
    w->out->waiting++;
  }
}

/* What a target has to hold that cannot be given others now stays as it is. So does what one held that is not in the manifest any more, and may be again one day. */
static int leave_for_others(struct work *w, struct hf_error *err) {
  const struct hf_manifest *m = w->s->manifest;
  struct hf_list names = HF_LIST_INIT;
  int r = 0;
  for (size_t i = 0; i < m->n_targets; i++) {
    if (usable(w->s, m->targets[i].name) < 0) hf_list_add(&names, m->targets[i].name);
  }
  for (size_t i = 0; i < w->live->n; i++) {
    const struct hf_live_snapshot *v = &w->live->v[i];
    for (size_t k = 0; k < v->held.n; k++) {
      const char *name = v->held.v[k];
      if (hf_live_at(v, name) && !hf_manifest_find_target(m, name) && !hf_list_has(&names, name)) hf_list_add(&names, name);
    }
  }
  for (size_t i = 0; r == 0 && i < names.n; i++) {
    struct hf_needs needs;
    r = needs_of(w, names.v[i], &needs, err);
    if (r < 0) break;
    leave(w, &needs);
    hf_needs_free(&needs);
  }
  hf_list_free(&names);
  return r;
}

/* What would be repacked together. */
struct group {
  const char *source;
  enum hf_pack_kind kind;
  uint64_t packs, needed, stored; /* stored: of the new ones, about */
};

static struct group *group_of(struct group **v, size_t *n, const struct pack *p) {
  for (size_t i = 0; i < *n; i++) {
    if ((*v)[i].kind == p->kind && strcmp((*v)[i].source, p->source) == 0) return &(*v)[i];
  }
  *v = hf_realloc(*v, (*n + 1) * sizeof **v);
  (*v)[*n] = (struct group){.source = p->source, .kind = p->kind};
  return &(*v)[(*n)++];
}

static uint64_t new_packs(const struct group *g) {
  uint64_t limit = g->kind == HF_PACK_RECIPE ? HF_RECIPE_PACK : HF_PACK_TARGET;
  return (g->needed + limit - 1) / limit;
}

/* Of each source and kind: is it worthwhile? */
static void leave_what_saves_nothing(struct work *w) {
  HF_CLEANUP(hf_freep) struct group *v = NULL;
  size_t n = 0;
  for (size_t i = 0; i < w->n_packs; i++) {
    const struct pack *p = &w->packs[i];
    if (!p->take) continue;
    struct group *g = group_of(&v, &n, p);
    g->packs++;
    g->needed += p->needed;
    g->stored += (uint64_t)((double)p->stored * (double)p->needed / (double)p->bytes);
  }
  for (size_t i = 0; i < w->n_packs; i++) {
    struct pack *p = &w->packs[i];
    if (!p->take) continue;
    const struct group *g = group_of(&v, &n, p);
    if (new_packs(g) >= g->packs) p->take = false;
  }
  for (size_t i = 0; i < n && w->o->dry; i++) {
    if (new_packs(&v[i]) >= v[i].packs) continue;
    w->out->new_packs += new_packs(&v[i]);
    w->out->new_bytes += v[i].stored;
  }
}

static int choose(struct work *w, struct hf_error *err) {
  int r = scan(w, measure, err);
  for (size_t i = 0; r == 0 && i < w->n_packs; i++)
    w->packs[i].take = w->packs[i].needed * 100 < w->packs[i].bytes * w->o->percent;
  if (r == 0) r = leave_for_others(w, err);
  if (r == 0) leave_what_saves_nothing(w);
  return r;
}

/* ---- repacking ---- */

static int take_piece(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  struct work *w = ctx;
  struct hf_digest id;
  pthread_mutex_lock(&w->lock);
  hf_repo_lock_renew(w->s);
  int r = hf_store_chunk(w->store, (enum hf_pack_kind)piece->kind, p, piece->slice.length, &id, err);
  pthread_mutex_unlock(&w->lock);
  return r;
}

static void bad(void *ctx HF_UNUSED, const char *object, const char *why) {
  hf_log(HF_LOG_WARNING, "%s is not repacked: %s", object, why);
}

static void progress(void *ctx, uint64_t packs, uint64_t total, uint64_t stored HF_UNUSED, uint64_t total_stored HF_UNUSED) {
  struct work *w = ctx;
  if (w->o->progress) w->o->progress(w->o->ctx, w->source, packs, total);
}

/* The targets that have to hold any of what is repacked. */
static int takers(struct work *w, struct hf_target **v, size_t *n, struct hf_error *err) {
  const struct hf_manifest *m = w->s->manifest;
  *n = 0;
  for (size_t i = 0; i < m->n_targets; i++) {
    struct hf_needs needs;
    bool any = false;
    long t = usable(w->s, m->targets[i].name);
    if (t < 0) continue;
    int r = needs_of(w, m->targets[i].name, &needs, err);
    if (r < 0) return r;
    for (size_t k = 0; k < w->n_packs && !any; k++) any = is_at_work(w, &w->packs[k]) && hf_needs_pack(&needs, w->packs[k].row);
    hf_needs_free(&needs);
    if (any) v[(*n)++] = w->s->targets[t];
  }
  return 0;
}

struct confirming {
  struct work *w;
  struct hf_target *t;
};

static int is_there(struct hf_target *t, const char *key, uint64_t stored, struct hf_error *err) {
  uint64_t size = 0;
  int r = hf_target_stat(t, key, &size, err);
  if (r == 0 && stored && size != stored)
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "target %s: %s has %llu bytes there instead of %llu", hf_target_name(t), key,
                (unsigned long long)size, (unsigned long long)stored);
  return r;
}

static int confirm_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err) {
  struct confirming *c = ctx;
  char key[HF_KEY_MAX];
  hf_key_pack(key, &p->digest);
  return is_there(c->t, key, p->stored, err);
}

static int confirm(struct work *w, struct hf_target *const *v, size_t n, const struct hf_record_index *by, size_t n_by,
                   struct hf_error *err) {
  for (size_t i = 0; i < n; i++) {
    struct confirming c = {w, v[i]};
    struct hf_error why = {0};
    if (hf_target_has_failed(v[i], &why)) return hf_fail(err, why.code, "%s", why.msg);
    int r = hf_state_packs_each(w->state, confirm_pack, &c, err);
    for (size_t k = 0; r == 0 && k < n_by; k++) {
      char key[HF_KEY_MAX];
      hf_key_index(key, &by[k].sha256);
      r = is_there(v[i], key, 0, err);
    }
    if (r < 0) return r;
  }
  return 0;
}

/* The packs that are replaced, as ordinals of their indexes: packs of one index follow each other. Caller frees both. */
static struct hf_record_index *replaced(struct work *w, size_t *n) {
  struct hf_record_index *v = hf_allocn(w->n_packs, sizeof *v);
  *n = 0;
  for (size_t i = 0, to; i < w->n_packs; i = to) {
    size_t max = 0;
    bool any = false;
    for (to = i; to < w->n_packs && hf_digest_eq(&w->packs[to].index, &w->packs[i].index); to++)
      max = HF_MAX(max, (size_t)w->packs[to].ordinal);
    HF_CLEANUP(hf_freep) unsigned char *bits = hf_alloc(max / 8 + 1);
    for (size_t k = i; k < to; k++) {
      const struct pack *p = &w->packs[k];
      if (!is_at_work(w, p) || p->lost) continue;
      bits[p->ordinal / 8] |= (unsigned char)(1u << (p->ordinal % 8));
      any = true;
    }
    if (any) v[(*n)++] = (struct hf_record_index){w->packs[i].index, hf_ranges_write(bits, max + 1)};
  }
  return v;
}

static void indexes_free(struct hf_record_index *v, size_t n) {
  for (size_t i = 0; i < n; i++) free(v[i].packs);
  free(v);
}

static int write_record(struct work *w, const struct hf_record_index *by, size_t n_by, struct hf_error *err) {
  size_t n = 0, reached = 0;
  struct hf_record_index *old = replaced(w, &n);
  int r = 0;
  if (n) {
    struct hf_record *rec = hf_alloc(sizeof *rec);
    rec->type = HF_RECORD_PRUNE;
    rec->extra = json_pack("{s:[o]}", "compacted", hf_compaction_json(old, n, by, n_by));
    r = hf_append(w->s, rec, NULL, NULL, &reached, err);
    if (r == 0) w->out->record = rec->seq;
    hf_record_free(rec);
  }
  indexes_free(old, n);
  return r;
}

struct counting {
  struct hf_compact_result *out;
};

static int count_new(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct counting *c = ctx;
  c->out->new_packs++;
  c->out->new_bytes += p->stored;
  return 0;
}

static void count_old(struct work *w) {
  for (size_t i = 0; i < w->n_packs; i++) {
    const struct pack *p = &w->packs[i];
    if (!is_at_work(w, p)) continue;
    if (p->lost) {
      w->out->damaged++;
      continue;
    }
    w->out->packs++;
    w->out->bytes += p->stored;
  }
}

static int fill(struct work *w, uint64_t *lost, struct hf_error *err) {
  int r = hf_plan_new(w->s->state, &w->plan, err);
  if (r == 0) r = scan(w, want, err);
  if (r == 0) r = hf_reading_execute(&w->rd, w->plan, take_piece, w, lost, err);
  if (r == 0) r = hf_store_end(w->store, true, err);
  if (r == 0) r = hf_store_flush(w->store, err);
  return r;
}

/* One source. */
static int repack(struct work *w, struct hf_error *err) {
  struct hf_session *s = w->s;
  const struct hf_manifest_source *m = hf_manifest_find_source(s->manifest, w->source);
  struct hf_store_source src = {.name = w->source,
                                .audience = &w->rd.audience,
                                .recipients = &w->now->recipients,
                                .level = m ? m->compression : 2,
                                .hide = m && m->hide_recipients,
                                .padding = m && m->padding};
  struct hf_list all = HF_LIST_INIT;
  struct hf_record_index *by = NULL;
  size_t n_by = 0, n = 0;
  uint64_t lost = 0;
  struct hf_target **v = hf_allocn(s->n_targets, sizeof *v);
  int r = hf_session_all_recipients(s, &all, err);
  if (r == 0) r = takers(w, v, &n, err);
  /* Once more: a target may have dropped out since, by what was done for the source before. */
  if (r == 0) r = leave_for_others(w, err);
  if (r == 0) r = hf_state_open_temporary(&w->state, err);
  struct hf_store_options so = {.state = w->state,
                                .gpg = s->host,
                                .repo_id = s->repo_id,
                                .signer = s->host_key,
                                .index_recipients = &all,
                                .targets = v,
                                .n_targets = n,
                                .checkpoint = s->manifest->checkpoint,
                                .cancel = &hf_cancel};
  if (r == 0) r = hf_store_open(&so, &w->store, err);
  if (r == 0) r = hf_store_begin(w->store, &src, err);
  if (r == 0) r = fill(w, &lost, err);
  if (r == 0 && lost) r = scan(w, find_lost, err);
  if (r == 0) r = hf_store_indexes(w->store, &by, &n_by, err);
  if (r == 0) r = confirm(w, v, n, by, n_by, err);
  if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  uint64_t before = w->out->record;
  if (r == 0) r = write_record(w, by, n_by, err);
  if (r == 0) count_old(w);
  if (r == 0 && w->out->record != before) r = hf_state_packs_each(w->state, count_new, &(struct counting){w->out}, err);
  hf_store_close(w->store);
  w->store = NULL;
  hf_plan_free(w->plan);
  w->plan = NULL;
  hf_state_close(w->state);
  w->state = NULL;
  indexes_free(by, n_by);
  hf_list_free(&all);
  free(v);
  return r < 0 ? hf_prefix(err, "source %s", w->source) : 0;
}

static int repack_all(struct work *w, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < w->n_packs; i++) {
    bool done = !w->packs[i].take;
    for (size_t k = 0; k < i && !done; k++) done = w->packs[k].take && strcmp(w->packs[k].source, w->packs[i].source) == 0;
    if (done) continue;
    w->source = w->packs[i].source;
    if (w->o->dry)
      count_old(w);
    else
      r = repack(w, err);
  }
  return r;
}

/* ---- one audience ---- */

static int open_audience(struct work *w, struct hf_error *err) {
  int r = hf_session_record(w->s, w->now->seq, &w->rec, NULL, err);
  const struct hf_record_source *src = NULL;
  for (size_t i = 0; r == 0 && i < w->rec->n_sources && !src; i++) {
    if (strcmp(w->rec->sources[i].audience, w->now->name) == 0) src = &w->rec->sources[i];
  }
  if (r < 0) return r;
  hf_reading_init(w->s, w->rec, src, &w->rd);
  w->rd.bad = bad;
  w->rd.progress = progress;
  w->rd.ctx = w;
  return hf_reading_ready(&w->rd, err);
}

static int usable_recipients(struct work *w, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < w->now->recipients.n; i++)
    r = hf_gpg_check_recipient(w->s->host, w->now->recipients.v[i], NULL, NULL, err);
  return r;
}

static void close_audience(struct work *w) {
  sqlite3_finalize(w->add);
  sqlite3_finalize(w->has);
  sqlite3_finalize(w->walk);
  sqlite3_close(w->db);
  w->add = w->has = w->walk = NULL;
  w->db = NULL;
  hf_needs_free(&w->needs);
  for (size_t i = 0; i < w->n_packs; i++) free(w->packs[i].source);
  free(w->packs);
  w->packs = NULL;
  w->n_packs = 0;
  hf_wipe(&w->rd.audience, sizeof w->rd.audience);
  hf_record_free(w->rec);
  w->rec = NULL;
}

/* Left out: its snapshots' needs cannot be known, or nothing can be encrypted to it. */
static int leave_out(struct work *w, const struct hf_error *why, struct hf_error *err) {
  if (why->code == HOLDFAST_E_CANCELED || why->code == HOLDFAST_E_NO_SPACE || hf_cancel)
    return hf_fail(err, why->code, "%s", why->msg);
  hf_list_add(&w->out->locked, why->msg);
  return 0;
}

static int one_audience(struct work *w, struct hf_error *err) {
  struct hf_gpg *caller = NULL;
  struct hf_error why = {0};
  int r = hf_session_caller(w->s, &caller, err);
  if (r < 0) return r;
  if (!at_hand(caller, w->now)) {
    HF_CLEANUP(hf_freep)
    char *text = hf_asprintf("what is encrypted to %s%s is left as it is: your GnuPG keyring has no private key for it",
                             w->now->recipients.v[0], w->now->recipients.n > 1 ? " and others" : "");
    hf_list_add(&w->out->locked, text);
    return 0;
  }
  r = open_audience(w, &why);
  if (r == 0) r = usable_recipients(w, &why);
  if (r == 0) r = db_open(w, &why);
  if (r == 0) r = each_snapshot(w, walk, &why);
  if (r == 0) r = hf_needs_open(w->s, &w->needs, &why);
  if (r == 0) r = hf_needs_add_live(&w->needs, w->live, NULL, &why);
  if (r == 0) r = choose(w, &why);
  if (r < 0) return leave_out(w, &why, err);
  return repack_all(w, err);
}

int hf_compact(struct hf_session *s, const struct hf_live *live, const struct hf_compact_options *o,
               struct hf_compact_result *out, struct hf_error *err) {
  struct work w = {.s = s, .live = live, .o = o, .out = out, .lock = PTHREAD_MUTEX_INITIALIZER};
  *out = (struct hf_compact_result){0};
  int r = each_snapshot(&w, learn_all, err);
  for (size_t i = 0; r == 0 && i < w.n_audiences; i++) {
    w.now = &w.audiences[i];
    r = one_audience(&w, err);
    close_audience(&w);
  }
  audiences_free(&w);
  return r;
}

void hf_compact_result_free(struct hf_compact_result *r) {
  hf_list_free(&r->locked);
  memset(r, 0, sizeof *r);
}
