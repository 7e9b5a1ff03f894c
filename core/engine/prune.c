/* prune.c - decisions into a record, and what the record lets go of out of the targets.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory: what a live set takes (live.h), and the keys of the objects to be deleted at one target.
 */
#include "engine/prune.h"

#include "base/text.h"
#include "engine/append.h"
#include "engine/engine.h"
#include "engine/settle.h"
#include "engine/take.h"

struct run {
  struct hf_session *s;
  const struct hf_prune_options *o;
  struct hf_prune_result *out;
  struct hf_live live;
  struct hf_record *rec;
};

static void give_up(struct hf_prune_target *t, const char *why) {
  if (!t->error) t->error = hf_strdup(why);
}

/* ---- decisions ---- */

/* What the target never got and does not take is not what its rules are about: were it, they could let go of what is there for the sake of what never comes. */
static int decide(struct run *x, const struct hf_manifest_target *m, struct hf_prune_target *t, struct hf_error *err) {
  uint64_t *seqs = hf_allocn(x->live.n, sizeof *seqs);
  struct hf_retained *v = hf_allocn(x->live.n, sizeof *v);
  size_t n_seqs = 0, n = 0;
  t->v = hf_allocn(x->live.n, sizeof *t->v);
  int r = hf_take_excess(x->s, &x->live, m, seqs, &n_seqs, err);
  for (size_t i = 0, k = 0; r == 0 && i < x->live.n; i++) {
    const struct hf_live_snapshot *l = &x->live.v[i];
    if (!hf_live_at(l, t->name)) continue;
    t->v[t->n++] = (struct hf_retained){.seq = l->seq, .time = l->time, .label = l->label, .good = &l->good, .whole = &l->whole};
    if (k < n_seqs && seqs[k] == l->seq) k++;
    else v[n++] = t->v[t->n - 1];
  }
  hf_retention(v, n, &m->keep, x->s->manifest->time_zone, hf_wall_clock());
  for (size_t i = 0, k = 0; i < t->n; i++) {
    if (k < n && v[k].seq == t->v[i].seq) t->v[i] = v[k++];
    else hf_list_take(&t->v[i].reasons, hf_asprintf("never was there, and the target takes %s ones only", hf_period_word(m->take)));
    t->removed += !t->v[i].keep;
  }
  free(v);
  free(seqs);
  return r;
}

struct looking { struct hf_session *s; struct hf_needs missing; struct hf_error err; };

static int there(void *ctx, const char *key, uint64_t size) {
  struct looking *l = ctx;
  struct hf_object_name name;
  struct hf_state_pack p;
  hf_key_parse(key, &name);
  int r = name.kind == HF_OBJ_PACK ? hf_state_pack_find(l->s->state, &name.digest, &p, &l->err) : 0;
  if (r == 1 && size == p.stored) hf_needs_drop_pack(&l->missing, p.row);
  return HF_MIN(r, 0);
}

/* Is one of its sources not in seen, which gets them? Those of the manifest count: a backup looks after what their newest copies need. */
static bool is_newest(const struct run *x, const struct hf_retained *v, struct hf_list *seen) {
  bool any = false;
  for (size_t i = 0; i < v->good->n; i++) {
    const struct hf_manifest_source *m = hf_manifest_find_source(x->s->manifest, v->good->v[i]);
    if (!m || !m->enabled || hf_list_has(seen, m->name)) continue;
    hf_list_add(seen, m->name);
    any = true;
  }
  return any;
}

/* Packs that are known, that the newest copy there of any source needs, and that are not there. */
static int count_missing(struct run *x, size_t target, const struct hf_prune_target *t, uint64_t *missing, struct hf_error *err) {
  struct looking l = {.s = x->s};
  struct hf_list seen = HF_LIST_INIT;
  uint64_t head = 0;
  *missing = 0;
  hf_needs_open_packs(x->s, &l.missing);
  int r = hf_session_head_of(x->s, t->name, &head, err);
  for (size_t i = t->n; r == 0 && i > 0; i--) {
    struct hf_record *rec = NULL;
    if (!t->v[i - 1].keep || t->v[i - 1].seq > head || !is_newest(x, &t->v[i - 1], &seen)) continue;
    r = hf_session_record(x->s, t->v[i - 1].seq, &rec, NULL, err);
    if (r == 0) r = hf_needs_add(&l.missing, rec, err);
    hf_record_free(rec);
  }
  if (r == 0) r = hf_target_list(x->s->targets[target], "packs/", there, &l, err);
  if (r < 0 && l.err.code) r = hf_fail(err, l.err.code, "%s", l.err.msg);
  for (int64_t row = 1; r == 0 && row <= l.missing.max_pack; row++) *missing += hf_needs_pack(&l.missing, row);
  hf_needs_free(&l.missing);
  hf_list_free(&seen);
  return r;
}

/* Older snapshots may be the last that can be restored: they stay while the newest are not whole. */
static int spare_if_damaged(struct run *x, size_t target, struct hf_prune_target *t, struct hf_error *err) {
  uint64_t missing = 0;
  struct hf_error e = {0};
  if (t->removed == 0) return 0;
  int r = count_missing(x, target, t, &missing, &e);
  if (r == HOLDFAST_E_CANCELED) return hf_fail(err, r, "%s", e.msg);
  if (r == 0 && missing == 0) return 0;
  HF_CLEANUP(hf_freep) char *why = hf_asprintf("%llu packs that the newest snapshots need are not there, or not whole, so none is removed: holdfast verify names them, and sync or the next backup mends it", (unsigned long long)missing);
  give_up(t, r < 0 ? e.msg : why);
  for (size_t i = 0; i < t->n; i++) {
    if (t->v[i].keep) continue;
    t->v[i].keep = true;
    hf_list_free(&t->v[i].reasons);
    hf_list_add(&t->v[i].reasons, "the newest are not whole");
  }
  t->removed = 0;
  return 0;
}

static int decide_all(struct run *x, struct hf_error *err) {
  struct hf_session *s = x->s;
  const struct hf_manifest *m = s->manifest;
  x->out->targets = hf_allocn(m->n_targets, sizeof *x->out->targets);
  for (size_t i = 0; i < m->n_targets; i++) {
    const struct hf_manifest_target *mt = &m->targets[i];
    if (!mt->enabled || (x->o->only && strcmp(x->o->only, mt->name) != 0)) continue;
    struct hf_prune_target *t = &x->out->targets[x->out->n_targets++];
    size_t k = 0;
    t->name = mt->name;
    while (k < s->n_targets && strcmp(hf_target_name(s->targets[k]), mt->name) != 0) k++;
    t->away = hf_list_has(&s->away, mt->name);
    if (k == s->n_targets) give_up(t, t->away ? "is not there" : "could not be opened");
    else if (s->chains[k].unreadable) give_up(t, "its records could not be listed or read");
    else {
      int r = decide(x, mt, t, err);
      if (r == 0) r = spare_if_damaged(x, k, t, err);
      if (r < 0) return r;
    }
  }
  return 0;
}

/* The target's decision on a snapshot, or NULL: it has none to make. */
static struct hf_retained *decision(const struct hf_prune_target *t, uint64_t seq) {
  size_t a = 0, b = t->n;
  while (a < b) {
    size_t m = a + (b - a) / 2;
    if (t->v[m].seq == seq) return &t->v[m];
    if (t->v[m].seq < seq) a = m + 1;
    else b = m;
  }
  return NULL;
}

static struct hf_prune_target *decider(const struct run *x, const char *name) {
  for (size_t i = 0; i < x->out->n_targets; i++) {
    if (strcmp(x->out->targets[i].name, name) == 0) return &x->out->targets[i];
  }
  return NULL;
}

static bool is_open(const struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) == 0) return true;
  }
  return false;
}

/* A target that is behind may want to keep what it has yet to get: then the last that has it waits with removing it until the next backup or sync. */
static void wait_for_others(struct run *x, const struct hf_live_snapshot *v, const uint64_t *heads) {
  const struct hf_manifest *m = x->s->manifest;
  const char *wanting = NULL;
  struct hf_retained *waits = NULL;
  struct hf_prune_target *who = NULL;
  for (size_t i = 0; i < m->n_targets; i++) {
    struct hf_prune_target *t = decider(x, m->targets[i].name);
    struct hf_retained *d = t ? decision(t, v->seq) : NULL;
    if (!hf_live_at(v, m->targets[i].name)) continue;
    bool has = heads[i] >= v->seq;
    if (has && (!d || d->keep)) return; /* stays there */
    if (has && !waits) {
      waits = d;
      who = t;
    }
    if (!has && (d ? d->keep : !t && is_open(x->s, m->targets[i].name))) wanting = m->targets[i].name;
  }
  if (!wanting || !waits) return;
  waits->keep = true;
  hf_list_free(&waits->reasons);
  hf_list_take(&waits->reasons, hf_asprintf("target %s keeps it and has yet to get it", wanting));
  who->removed--;
}

static int wait_all(struct run *x, struct hf_error *err) {
  const struct hf_manifest *m = x->s->manifest;
  uint64_t *heads = hf_allocn(m->n_targets, sizeof *heads);
  int r = 0;
  for (size_t i = 0; r == 0 && i < m->n_targets; i++) r = hf_session_head_of(x->s, m->targets[i].name, &heads[i], err);
  for (size_t i = 0; r == 0 && i < x->live.n; i++) wait_for_others(x, &x->live.v[i], heads);
  free(heads);
  return r;
}

/* ---- the record ---- */

/* The json of what goes; and in x->live, as if the record were there. */
static void add_removed(struct run *x) {
  json_t *removed = json_array();
  for (size_t i = 0; i < x->out->n_targets; i++) {
    const struct hf_prune_target *t = &x->out->targets[i];
    if (t->removed == 0) continue;
    json_t *seqs = json_array();
    for (size_t k = 0; k < t->n; k++) {
      if (!t->v[k].keep) json_array_append_new(seqs, json_integer((json_int_t)t->v[k].seq));
    }
    json_array_append_new(removed, json_pack("{s:s,s:o}", "target", t->name, "snapshots", seqs));
  }
  if (json_array_size(removed)) json_object_set(x->rec->extra, "removed", removed);
  json_decref(removed);
  hf_live_prune(&x->live, x->rec);
}

/* May the target have got it, though nobody was there to remember that? The state was lost, and it has not been looked at since. */
static int may_have_had(struct run *x, const char *target, uint64_t seq, bool *may, struct hf_error *err) {
  uint64_t adopted = 0;
  bool looked = false;
  int r = hf_session_adopted_at(x->s, &adopted, err);
  if (r == 0) r = hf_session_looked_at(x->s, target, &looked, err);
  *may = seq <= adopted && !looked;
  return r;
}

/* Is there nobody left who held it, or got it later? Targets that only ought to get it cannot any more, and are not asked to. */
static int is_gone(struct run *x, const struct hf_live_snapshot *v, bool *gone, struct hf_error *err) {
  const struct hf_manifest *m = x->s->manifest;
  *gone = !v->gone && v->held.n > 0;
  for (size_t i = 0; i < v->held.n && *gone; i++) *gone = !hf_live_at(v, v->held.v[i]);
  for (size_t i = 0; i < m->n_targets && *gone; i++) {
    uint64_t head = 0;
    if (!hf_live_at(v, m->targets[i].name)) continue;
    int r = hf_session_head_of(x->s, m->targets[i].name, &head, err);
    bool may = false;
    if (r == 0) r = may_have_had(x, m->targets[i].name, v->seq, &may, err);
    if (r < 0) return r;
    *gone = head < v->seq && !may;
  }
  return 0;
}

static int add_gone(struct run *x, struct hf_error *err) {
  json_t *gone = json_array();
  int r = 0;
  for (size_t i = 0; r == 0 && i < x->live.n; i++) {
    bool yes = false;
    r = is_gone(x, &x->live.v[i], &yes, err);
    if (r < 0 || !yes) continue;
    json_array_append_new(gone, json_integer((json_int_t)x->live.v[i].seq));
    hf_list_take(&x->out->gone, hf_asprintf("%llu", (unsigned long long)x->live.v[i].seq));
  }
  if (json_array_size(gone)) json_object_set(x->rec->extra, "gone", gone);
  json_decref(gone);
  hf_live_prune(&x->live, x->rec);
  return r;
}

static int write_record(struct run *x, struct hf_error *err) {
  size_t reached = 0;
  x->rec = hf_alloc(sizeof *x->rec);
  x->rec->type = HF_RECORD_PRUNE;
  x->rec->extra = json_object();
  x->rec->seq = x->s->head + 1;
  add_removed(x);
  int r = add_gone(x, err);
  if (r < 0 || json_object_size(x->rec->extra) == 0) return r;
  if (x->o->dry) return 0;
  r = hf_append(x->s, x->rec, NULL, NULL, &reached, err);
  if (r < 0) return hf_prefix(err, "the prune record could not be written, so nothing is deleted");
  x->out->record = x->rec->seq;
  return 0;
}

/* ---- deletion ---- */

struct object { char *key; uint64_t size; };
struct sweep {
  struct hf_session *s;
  const struct hf_needs *needs;
  struct object *v;
  size_t n, cap;
  struct hf_error err;
};

/* What is known to nobody belongs to no snapshot: a run that was killed left it. No run can be at work: this one has the lock. */
static int see(void *ctx, const char *key, uint64_t size) {
  struct sweep *w = ctx;
  struct hf_object_name name;
  struct hf_state_pack p;
  int64_t row = 0;
  int r = 0;
  hf_key_parse(key, &name);
  if (name.kind == HF_OBJ_PACK) {
    r = hf_state_pack_find(w->s->state, &name.digest, &p, &w->err);
    if ((r == 1 && hf_needs_pack(w->needs, p.row)) || (r == 0 && hf_list_has(&w->needs->lost_keys, key))) return 0;
  } else if (name.kind == HF_OBJ_INDEX) {
    r = hf_state_index_find(w->s->state, &name.digest, &row, NULL, &w->err);
    if (r == 1 && hf_needs_index(w->needs, row)) return 0;
  } else {
    return 0;
  }
  if (r < 0) return r;
  if (w->n == w->cap) {
    w->cap = w->cap ? w->cap * 2 : 256;
    w->v = hf_realloc(w->v, w->cap * sizeof *w->v);
  }
  w->v[w->n++] = (struct object){hf_strdup(key), size};
  return 0;
}

static bool is_pack(const struct object *o) { return strncmp(o->key, "packs/", 6) == 0; }

static void count(struct hf_prune_target *t, const struct object *o) {
  if (is_pack(o)) t->packs++;
  else t->indexes++;
  t->bytes += o->size;
}

#define DELETE_BATCH 500 /* keys of a call: a run that is stopped or killed leaves at most so many unaccounted for */

/* One batch of them. What the target refuses is counted, and is not the end; any other failure is. first: of what was refused. */
static int remove_batch(struct run *x, struct hf_target *target, struct hf_prune_target *t, const struct object *o, size_t n, struct hf_error *first, struct hf_error *err) {
  const char *keys[DELETE_BATCH];
  int statuses[DELETE_BATCH] = {0}, bad = 0;
  struct hf_error e = {0};
  for (size_t i = 0; i < n; i++) keys[i] = o[i].key;
  if (!x->o->dry) hf_target_remove_many(target, keys, n, statuses, &e);
  for (size_t i = 0; i < n; i++) {
    int r = statuses[i];
    if (r == 0 || r == HOLDFAST_E_NOT_FOUND) count(t, &o[i]);
    else if (r != HOLDFAST_E_AUTH && r != HOLDFAST_E_UNSUPPORTED) bad = r;
    else if (t->refused++ == 0) *first = e;
  }
  return bad < 0 ? hf_fail(err, bad, "%s", e.msg) : 0;
}

/* Remove them in their order, packs before indexes. */
static int remove_all(struct run *x, struct hf_target *target, struct hf_prune_target *t, const struct sweep *w, struct hf_error *err) {
  struct hf_error first = {0};
  for (size_t i = 0; i < w->n; i += DELETE_BATCH) {
    if (hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped; the next prune goes on");
    if (x->o->deleted) x->o->deleted(x->o->ctx, t->name, w->v[i].key, i, w->n);
    hf_repo_lock_renew(x->s);
    int r = remove_batch(x, target, t, w->v + i, HF_MIN(w->n - i, (size_t)DELETE_BATCH), &first, err);
    if (r < 0) return r;
  }
  if (t->refused == 0) return 0;
  HF_CLEANUP(hf_freep) char *why = hf_asprintf("%llu objects that it need not hold any more could not be deleted, and are tried again next time: %s", (unsigned long long)t->refused, first.msg);
  give_up(t, why);
  return 0;
}

static int sweep_target(struct run *x, size_t i, struct hf_prune_target *t, struct hf_error *err) {
  struct hf_session *s = x->s;
  struct hf_target *target = s->targets[i];
  struct hf_needs needs;
  struct hf_error e = {0};
  int r = hf_settle_needs(s, &x->live, t->name, &needs, err);
  if (r < 0) return r;
  struct sweep w = {.s = s, .needs = &needs};
  r = hf_target_list(target, "packs/", see, &w, &e);
  if (r == 0) r = hf_target_list(target, "indexes/", see, &w, &e);
  if (r == 0) r = remove_all(x, target, t, &w, &e);
  if (r < 0) give_up(t, w.err.code ? w.err.msg : e.msg);
  for (size_t k = 0; k < w.n; k++) free(w.v[k].key);
  free(w.v);
  hf_needs_free(&needs);
  return r == HOLDFAST_E_CANCELED ? hf_fail(err, r, "%s", e.msg) : 0;
}

static int sweep_all(struct run *x, struct hf_error *err) {
  struct hf_session *s = x->s;
  for (size_t k = 0; k < x->out->n_targets; k++) {
    struct hf_prune_target *t = &x->out->targets[k];
    for (size_t i = 0; i < s->n_targets; i++) {
      if (strcmp(hf_target_name(s->targets[i]), t->name) != 0 || t->error) continue;
      const char *failure = hf_target_failure(s->targets[i]);
      int r = 0;
      if (failure) give_up(t, failure);
      else if (!hf_target_is_level(s, i)) give_up(t, "is behind; what it need not hold any more is deleted when it is level (the next backup or sync brings it level)");
      else r = sweep_target(x, i, t, err);
      if (r < 0) return r;
    }
  }
  return 0;
}

/* ---- the whole ---- */

/* Somebody takes away or forges records: what the chain says to delete may be his. */
static int refuse_tampering(const struct hf_session *s, struct hf_error *err) {
  for (size_t i = 0; i < s->n_issues; i++) {
    const struct hf_issue *is = &s->issues[i];
    /* What an unread record says is not known: were it a snapshot, its packs would look like nobody's. */
    if (is->unread)
      return hf_fail(err, HOLDFAST_E_FAILED, "nothing is pruned while a record that is there cannot be read (%s%s%s%s)", is->target ? "target " : "", is->target ? is->target : "", is->target ? ": " : "",
                     hf_target_message(is->target ? is->target : "", is->text));
    if (!is->tamper) continue;
    HF_CLEANUP(hf_freep) char *text = hf_issue_text(is);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "nothing is pruned while the chain shows signs of tampering (%s); holdfast verify tells more", text);
  }
  return 0;
}

/* What prune puts, locks and a record, comes before what makes room. New packs do not. */
static void set_frees(struct hf_session *s, bool on) {
  for (size_t i = 0; i < s->n_targets; i++) hf_target_set_frees(s->targets[i], on);
}

/* Once retention is done: so nothing is repacked that goes anyway. What is replaced is deleted as what is pruned is. */
static int compact(struct run *x, struct hf_error *err) {
  struct hf_session *s = x->s;
  struct hf_compact_result *out = &x->out->compact;
  const struct hf_compact_options o = {.dry = x->o->dry, .percent = x->o->compact, .progress = x->o->repacked, .ctx = x->o->ctx};
  set_frees(s, false);
  int r = hf_compact(s, &x->live, &o, out, err);
  if (out->damaged || out->locked.n) x->out->partial = true;
  if (x->o->dry || (r == 0 && !out->record && !out->damaged)) return r;
  struct hf_error e = {0};
  /* Also when it came to an end half way: what was replaced by then is. */
  int k = out->record ? hf_live_load_indexes(s, &x->live, NULL, NULL, NULL, &e) : 0;
  if (k == 0 && out->record) k = hf_settle(s, &x->live, &e);
  if (r < 0) return r;
  if (k < 0) return hf_fail(err, k, "%s", e.msg);
  return sweep_all(x, err);
}

static int locked(struct run *x, struct hf_error *err) {
  struct hf_session *s = x->s;
  int r = hf_session_chain(s, err);
  if (r == 0) hf_session_warn(s);
  if (r == 0) r = refuse_tampering(s, err);
  if (r == 0 && s->twin)
    r = hf_fail(err, HOLDFAST_E_CONFIG, "target %s is the same place as another target of the manifest: what one of them lets go of would be deleted for both, so nothing is pruned", s->twin);
  if (r == 0) r = hf_live_load(s, &x->live, err);
  if (r == 0 && x->o->compact) r = hf_compact_ready(s, &x->live, err);
  if (r == 0) r = hf_live_load_indexes(s, &x->live, NULL, NULL, NULL, err);
  if (r == 0) r = decide_all(x, err);
  if (r == 0) r = wait_all(x, err);
  if (r == 0) r = write_record(x, err);
  if (r == 0 && !x->o->dry) r = hf_settle(s, &x->live, err);
  if (r == 0) r = sweep_all(x, err);
  return r == 0 && x->o->compact ? compact(x, err) : r;
}

int hf_prune(struct hf_session *s, const struct hf_prune_options *o, struct hf_prune_result *out, struct hf_error *err) {
  struct run x = {.s = s, .o = o, .out = out};
  double start = hf_now();
  memset(out, 0, sizeof *out);
  set_frees(s, true);
  int r = o->dry ? 0 : hf_repo_lock(s, "prune", err);
  if (r == 0) {
    r = locked(&x, err);
    if (!o->dry) hf_repo_unlock(s);
  }
  for (size_t i = 0; i < out->n_targets; i++) {
    struct hf_prune_target *t = &out->targets[i];
    /* The labels go with the live set. */
    for (size_t k = 0; k < t->n; k++) t->v[k].label = hf_strdup(t->v[k].label);
    if (t->error && !t->away) out->partial = true;
  }
  hf_live_free(&x.live);
  hf_record_free(x.rec);
  out->seconds = hf_now() - start;
  return r;
}

void hf_prune_result_free(struct hf_prune_result *r) {
  for (size_t i = 0; i < r->n_targets; i++) {
    struct hf_prune_target *t = &r->targets[i];
    for (size_t k = 0; k < t->n; k++) free((char *)(uintptr_t)t->v[k].label);
    hf_retention_free(t->v, t->n);
    free(t->v);
    free(t->error);
  }
  free(r->targets);
  hf_list_free(&r->gone);
  hf_compact_result_free(&r->compact);
  memset(r, 0, sizeof *r);
}
