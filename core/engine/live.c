/* live.c - the chain's records, reduced to which snapshot belongs where.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/live.h"

static void add_names(struct hf_list *out, const json_t *names) {
  const json_t *v;
  size_t i;
  json_array_foreach(names, i, v) {
    const char *name = json_string_value(v);
    if (name && !hf_list_has(out, name)) hf_list_add(out, name);
  }
}

static struct hf_live_snapshot *find(const struct hf_live *l, uint64_t seq) {
  size_t a = 0, b = l->n;
  while (a < b) {
    size_t m = a + (b - a) / 2;
    if (l->v[m].seq == seq) return &l->v[m];
    if (l->v[m].seq < seq) a = m + 1;
    else b = m;
  }
  return NULL;
}

static void add_snapshot(struct hf_live *l, const struct hf_record *r) {
  if ((l->n & (l->n - 1)) == 0) l->v = hf_realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof *l->v);
  struct hf_live_snapshot *v = &l->v[l->n++];
  *v = (struct hf_live_snapshot){.seq = r->seq, .time = r->time, .label = hf_strdup(r->label)};
  for (size_t i = 0; i < r->n_sources; i++) {
    if (strcmp(r->sources[i].status, "failed") != 0) hf_list_add(&v->good, r->sources[i].name);
    if (strcmp(r->sources[i].status, "complete") == 0) hf_list_add(&v->whole, r->sources[i].name);
  }
  add_names(&v->held, json_object_get(r->extra, "held"));
  add_names(&v->passed, json_object_get(r->extra, "passed"));
}

/* The snapshot that a prune record means. */
static struct hf_live_snapshot *meant(const struct hf_live *l, const json_t *seq) {
  return json_integer_value(seq) > 0 ? find(l, (uint64_t)json_integer_value(seq)) : NULL;
}

void hf_live_prune(struct hf_live *l, const struct hf_record *r) {
  const json_t *removed, *seq;
  size_t i, k;
  json_array_foreach(json_object_get(r->extra, "gone"), i, seq) {
    struct hf_live_snapshot *v = meant(l, seq);
    if (v) v->gone = true;
    if (v) v->pruned_by = r->seq;
  }
  json_array_foreach(json_object_get(r->extra, "removed"), i, removed) {
    const char *target = json_string_value(json_object_get(removed, "target"));
    json_array_foreach(json_object_get(removed, "snapshots"), k, seq) {
      struct hf_live_snapshot *v = meant(l, seq);
      if (!v || !target) continue;
      v->pruned_by = r->seq;
      if (!hf_list_has(&v->pruned, target)) hf_list_add(&v->pruned, target);
    }
  }
}

static void mark_targets(struct hf_session *s, const struct hf_live *l) {
  for (size_t i = 0; i < s->n_targets; i++) {
    s->chains[i].partly = false;
    for (size_t k = 0; k < l->n && !s->chains[i].partly; k++) s->chains[i].partly = !hf_live_at(&l->v[k], hf_target_name(s->targets[i]));
  }
}

int hf_live_load(struct hf_session *s, struct hf_live *out, struct hf_error *err) {
  *out = (struct hf_live){NULL, 0};
  for (uint64_t seq = 1; seq <= s->head; seq++) {
    struct hf_record *r = NULL;
    struct hf_error e = {0};
    int k = hf_session_record(s, seq, &r, NULL, &e);
    if (k == HOLDFAST_E_NOT_FOUND) continue; /* a gap, which the reading of the chain has told of */
    if (k < 0) {
      hf_live_free(out);
      return hf_fail(err, k, "%s", e.msg);
    }
    if (r->type == HF_RECORD_SNAPSHOT) add_snapshot(out, r);
    hf_live_prune(out, r);
    hf_record_free(r);
  }
  mark_targets(s, out);
  return 0;
}

void hf_live_free(struct hf_live *l) {
  for (size_t i = 0; i < l->n; i++) {
    free(l->v[i].label);
    hf_list_free(&l->v[i].good);
    hf_list_free(&l->v[i].whole);
    hf_list_free(&l->v[i].held);
    hf_list_free(&l->v[i].passed);
    hf_list_free(&l->v[i].pruned);
  }
  free(l->v);
  *l = (struct hf_live){NULL, 0};
}

const struct hf_live_snapshot *hf_live_find(const struct hf_live *l, uint64_t seq) { return find(l, seq); }

bool hf_live_at(const struct hf_live_snapshot *v, const char *target) { return !v->gone && !hf_list_has(&v->passed, target) && !hf_list_has(&v->pruned, target); }

bool hf_live_anywhere(const struct hf_session *s, const struct hf_live_snapshot *v) {
  for (size_t i = 0; i < s->manifest->n_targets; i++) {
    if (hf_live_at(v, s->manifest->targets[i].name)) return true;
  }
  return false;
}

bool hf_live_within_reach(const struct hf_session *s, const struct hf_live_snapshot *v) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (hf_live_at(v, hf_target_name(s->targets[i]))) return true;
  }
  return false;
}

int hf_live_load_indexes(struct hf_session *s, const struct hf_live *l, const char *target, void (*failed)(void *, uint64_t, const struct hf_error *), void *ctx, struct hf_error *err) {
  for (size_t i = 0; i < l->n; i++) {
    const struct hf_live_snapshot *v = &l->v[i];
    struct hf_record *rec = NULL;
    struct hf_error e = {0};
    if (target ? !hf_live_at(v, target) : !hf_live_anywhere(s, v)) continue;
    int r = hf_session_record(s, v->seq, &rec, NULL, &e);
    if (r == 0) r = hf_session_load_indexes(s, rec, &e);
    hf_record_free(rec);
    bool fatal = r == HOLDFAST_E_AUTH || r == HOLDFAST_E_CANCELED || !failed;
    if (r < 0 && fatal) return hf_fail(err, r, "snapshot %llu: %s", (unsigned long long)v->seq, e.msg);
    if (r < 0) failed(ctx, v->seq, &e);
  }
  return 0;
}
