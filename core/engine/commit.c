/* commit.c - from stored objects to the targets that may have the record.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/commit.h"

#include "base/text.h"
#include "engine/append.h"
#include "engine/engine.h"
#include "engine/settle.h"
#include "engine/take.h"

static const struct hf_manifest_target *manifest_of(const struct hf_session *s, size_t i) { return hf_manifest_find_target(s->manifest, hf_target_name(s->targets[i])); }

/* Behind because it was down or is new. One that was rolled back waits for somebody who has looked at it, and calls sync. */
static bool may_catch_up(const struct hf_session *s, size_t i) {
  const struct hf_target_chain *c = &s->chains[i];
  if (c->unreadable || c->missing == 0) return false;
  for (size_t k = 0; k < s->n_issues; k++) {
    if (s->issues[k].tamper && s->issues[k].target && strcmp(s->issues[k].target, hf_target_name(s->targets[i])) == 0) return false;
  }
  return true;
}

int hf_commit_begin(struct hf_session *s, struct hf_record *rec, const struct hf_list *sources, struct hf_commit *out, struct hf_error *err) {
  *out = (struct hf_commit){.s = s, .rec = rec, .index_at_begin = hf_state_index_max(s->state)};
  int r = hf_live_load(s, &out->live, err);
  if (r < 0) return r;
  out->t = hf_allocn(s->n_targets, sizeof *out->t);
  out->takers = hf_allocn(s->n_targets, sizeof *out->takers);
  struct hf_buf passing = HF_BUF_INIT;
  const char *failure = NULL;
  for (size_t i = 0; i < s->n_targets; i++) {
    out->t[i].passes = !hf_take_is_due(s, &out->live, manifest_of(s, i), rec->time, sources);
    if (out->t[i].passes) hf_buf_addf(&passing, "%s%s", passing.len ? ", " : "", hf_target_name(s->targets[i]));
    else if (!hf_target_failure(s->targets[i])) out->takers[out->n_takers++] = s->targets[i];
    else failure = hf_target_failure(s->targets[i]);
  }
  if (out->n_takers == 0 && passing.len) r = hf_fail(err, HOLDFAST_E_FAILED, "no target is left that takes this snapshot: it is not due at %s, and the others cannot be used", passing.data);
  else if (out->n_takers == 0) r = hf_fail(err, HOLDFAST_E_FAILED, "no target is left to write to%s%s", failure ? ": " : "", failure ? failure : "");
  hf_buf_free(&passing);
  return r;
}

void hf_commit_free(struct hf_commit *c) {
  hf_live_free(&c->live);
  free(c->takers);
  free(c->t);
  *c = (struct hf_commit){.s = NULL};
}

/* ---- what is said in the record ---- */

/* Those that a target which takes only some snapshots need not catch up with. */
static int excuse(struct hf_commit *c, const struct hf_manifest_target *m, json_t *removed, struct hf_error *err) {
  uint64_t *seqs = hf_allocn(c->live.n, sizeof *seqs);
  size_t n = 0;
  int r = hf_take_excess(c->s, &c->live, m, seqs, &n, err);
  json_t *a = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(a, json_integer((json_int_t)seqs[i]));
  if (n) json_array_append_new(removed, json_pack("{s:s,s:O}", "target", m->name, "snapshots", a));
  json_decref(a);
  free(seqs);
  return r;
}

static int excuse_all(struct hf_commit *c, struct hf_error *err) {
  json_t *removed = json_array();
  int r = 0;
  if (!c->rec->extra) c->rec->extra = json_object();
  for (size_t i = 0; r == 0 && i < c->s->n_targets; i++) r = excuse(c, manifest_of(c->s, i), removed, err);
  if (json_array_size(removed)) json_object_set(c->rec->extra, "removed", removed);
  json_decref(removed);
  if (r == 0) hf_live_prune(&c->live, c->rec);
  return r;
}

/* held: who has all of it; passed: who takes only some, and does not have it: it was not due, or the target is down and takes the next one. How many hold it. */
static size_t name_targets(struct hf_commit *c) {
  const struct hf_manifest *m = c->s->manifest;
  json_t *held = json_array(), *passed = json_array();
  for (size_t k = 0; k < m->n_targets; k++) {
    const char *name = m->targets[k].name;
    bool has = false;
    for (size_t i = 0; i < c->s->n_targets; i++) has |= strcmp(hf_target_name(c->s->targets[i]), name) == 0 && c->t[i].ok && !c->t[i].passes;
    if (has) json_array_append_new(held, json_string(name));
    else if (m->targets[k].take != HF_PERIOD_NONE) json_array_append_new(passed, json_string(name));
  }
  size_t n = json_array_size(held);
  json_object_set(c->rec->extra, "held", held);
  if (json_array_size(passed)) json_object_set(c->rec->extra, "passed", passed);
  json_decref(held);
  json_decref(passed);
  return n;
}

/* Why nobody has it. */
static int tell_nobody(struct hf_commit *c, struct hf_error *err) {
  const char *why = NULL;
  for (size_t i = 0; i < c->s->n_targets && !why; i++) why = hf_target_failure(c->s->targets[i]);
  return hf_fail(err, HOLDFAST_E_FAILED, "the snapshot could be committed at no target%s%s", why ? ": " : "", why ? why : "");
}

/* ---- bringing level ---- */

/* all: everything that the target has to hold, and the records; else what this snapshot needs. */
static int catch_up(struct hf_commit *c, size_t i, bool all, struct hf_error *err) {
  struct hf_session *s = c->s;
  const char *name = hf_target_name(s->targets[i]);
  struct hf_needs needs;
  struct hf_level_options o = {.records = all};
  struct hf_level_result res = {0};
  int r = all ? hf_live_load_indexes(s, &c->live, name, NULL, NULL, err) : 0;
  if (r == 0) r = hf_needs_open(s, &needs, err);
  if (r < 0) return r;
  if (all) r = hf_needs_add_live(&needs, &c->live, name, err);
  if (r == 0 && !c->t[i].passes) r = hf_needs_add(&needs, c->rec, err);
  if (r == 0) r = hf_level(s, i, &needs, &o, &res, err);
  hf_needs_free(&needs);
  c->t[i].caught_up.copied += res.copied;
  c->t[i].caught_up.bytes += res.bytes;
  c->t[i].caught_up.failed += res.failed;
  return r;
}

/* Packs that no target has are forgotten, so that the next run reads and stores that data again. */
static int forget_absent(struct hf_session *s, const struct hf_list *missing, struct hf_error *err) {
  for (size_t i = 0; i < missing->n; i++) {
    struct hf_object_name name;
    struct hf_state_pack p;
    hf_key_parse(missing->v[i], &name);
    if (name.kind != HF_OBJ_PACK || hf_state_pack_find(s->state, &name.digest, &p, NULL) != 1) continue;
    bool somewhere = false;
    for (size_t t = 0; t < s->n_targets && !somewhere; t++) {
      uint64_t size = 0;
      struct hf_error e = {0};
      int r = hf_target_stat(s->targets[t], missing->v[i], &size, &e);
      somewhere = (r == 0 && size == p.stored) || (r < 0 && r != HOLDFAST_E_NOT_FOUND);
    }
    if (somewhere) continue;
    int r = hf_state_pack_forget(s->state, p.row, err);
    if (r < 0) return r;
  }
  return hf_state_commit(s->state, err);
}

/* By one listing; when something is missing, once more after it was brought from the others. */
static int confirm(struct hf_commit *c, size_t i, bool (*refers)(void *, int64_t), void *ctx, struct hf_error *e, struct hf_error *err) {
  struct hf_session *s = c->s;
  struct hf_list missing = HF_LIST_INIT;
  uint64_t n = 0;
  int k = hf_confirm(s, i, refers, ctx, c->rec, &missing, &n, e), t = 0;
  if (k == 0 && n > 0 && s->n_targets > 1) {
    k = catch_up(c, i, false, e);
    hf_list_free(&missing);
    n = 0;
    if (k == 0) k = hf_confirm(s, i, refers, ctx, c->rec, &missing, &n, e);
  }
  if (k == 0 && n > 0) {
    k = hf_fail(e, HOLDFAST_E_CORRUPT, "target %s: %llu of the objects that this snapshot needs are missing or of the wrong size there (%s%s)%s; what no target has is stored again by the next run", hf_target_name(s->targets[i]),
                (unsigned long long)n, missing.v[0], n > 1 ? ", ..." : "", s->n_targets > 1 ? ", and no other target has them good" : "");
    t = forget_absent(s, &missing, err);
  }
  hf_list_free(&missing);
  return t < 0 ? t : k < 0 ? 1 : 0;
}

/* 1: the target drops out, for the reason in *e; 0: it may have the record; negative: the run cannot go on. */
static int consider(struct hf_commit *c, size_t i, bool (*refers)(void *, int64_t), void *ctx, struct hf_error *e, struct hf_error *err) {
  struct hf_session *s = c->s;
  const char *name = hf_target_name(s->targets[i]);
  if (s->chains[i].unreadable) {
    hf_fail(e, HOLDFAST_E_FAILED, "target %s: its records could not be listed or read, so it cannot be told whether it holds the whole chain", name);
    return 1;
  }
  if (may_catch_up(s, i) && catch_up(c, i, true, e) < 0) return 1;
  if (!hf_target_is_level(s, i)) {
    hf_fail(e, HOLDFAST_E_FAILED, "target %s: does not hold the whole chain (newest record %llu of %llu); holdfast sync brings it level", name, (unsigned long long)s->chains[i].head, (unsigned long long)s->head);
    return 1;
  }
  return c->t[i].passes ? 0 : confirm(c, i, refers, ctx, e, err);
}

int hf_commit_confirm(struct hf_commit *c, bool (*refers)(void *, int64_t), void *ctx, struct hf_error *err) {
  struct hf_session *s = c->s;
  int r = excuse_all(c, err);
  for (size_t i = 0; r >= 0 && i < s->n_targets; i++) {
    struct hf_error e = {0};
    if (hf_target_failure(s->targets[i])) continue;
    r = consider(c, i, refers, ctx, &e, err);
    if (e.code == HOLDFAST_E_CANCELED || (r == 1 && hf_cancel)) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped; what was stored is kept for the next run");
    if (r == 1) hf_target_set_failed(s->targets[i], &e);
    c->t[i].ok = r == 0;
    if (c->t[i].caught_up.copied) hf_log(HF_LOG_NOTICE, "target %s: %llu objects that it lacked were copied there from other targets", hf_target_name(s->targets[i]), (unsigned long long)c->t[i].caught_up.copied);
  }
  if (r < 0) return r;
  if (name_targets(c) == 0) return tell_nobody(c, err);
  return hf_settle_run(s, c->index_at_begin, err);
}
