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
  }
  add_names(&v->passed, json_object_get(r->extra, "passed"));
}

static void add_prune(struct hf_live *l, const struct hf_record *r) {
  const json_t *removed, *seq;
  size_t i, k;
  json_array_foreach(json_object_get(r->extra, "removed"), i, removed) {
    const char *target = json_string_value(json_object_get(removed, "target"));
    json_array_foreach(json_object_get(removed, "snapshots"), k, seq) {
      struct hf_live_snapshot *v = json_integer_value(seq) > 0 ? find(l, (uint64_t)json_integer_value(seq)) : NULL;
      if (v && target && !hf_list_has(&v->pruned, target)) hf_list_add(&v->pruned, target);
    }
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
    if (r->type == HF_RECORD_PRUNE) add_prune(out, r);
    hf_record_free(r);
  }
  return 0;
}

void hf_live_free(struct hf_live *l) {
  for (size_t i = 0; i < l->n; i++) {
    free(l->v[i].label);
    hf_list_free(&l->v[i].good);
    hf_list_free(&l->v[i].passed);
    hf_list_free(&l->v[i].pruned);
  }
  free(l->v);
  *l = (struct hf_live){NULL, 0};
}

const struct hf_live_snapshot *hf_live_find(const struct hf_live *l, uint64_t seq) { return find(l, seq); }

bool hf_live_at(const struct hf_live_snapshot *v, const char *target) { return !hf_list_has(&v->passed, target) && !hf_list_has(&v->pruned, target); }

bool hf_live_anywhere(const struct hf_session *s, const struct hf_live_snapshot *v) {
  for (size_t i = 0; i < s->manifest->n_targets; i++) {
    if (hf_live_at(v, s->manifest->targets[i].name)) return true;
  }
  return false;
}
