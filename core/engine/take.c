/* take.c - is a snapshot due at a target?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/take.h"

#include "engine/retention.h"

#define LONGEST (367 * 24 * 3600) /* seconds: no period is longer */

/* What was taken in one period. */
struct taken {
  int64_t period;
  struct hf_list sources;
};

static bool has_all(const struct hf_list *taken, const struct hf_list *wanted) {
  for (size_t i = 0; i < wanted->n; i++) {
    if (!hf_list_has(taken, wanted->v[i])) return false;
  }
  return true;
}

static void add_all(struct hf_list *taken, const struct hf_list *more) {
  for (size_t i = 0; i < more->n; i++) {
    if (!hf_list_has(taken, more->v[i])) hf_list_add(taken, more->v[i]);
  }
}

bool hf_take_is_due(const struct hf_session *s, const struct hf_live *live, const struct hf_manifest_target *m, int64_t time, const struct hf_list *sources) {
  const char *zone = s->manifest->time_zone;
  if (m->take == HF_PERIOD_NONE) return true;
  struct taken now = {hf_period_of(zone, m->take, time, NULL), HF_LIST_INIT};
  bool any = false;
  for (size_t i = 0; i < live->n; i++) {
    const struct hf_live_snapshot *v = &live->v[i];
    bool near = v->time > time - LONGEST && v->time < time + LONGEST; /* spares the calendar most of the work */
    if (!near || hf_list_has(&v->passed, m->name) || hf_period_of(zone, m->take, v->time, NULL) != now.period) continue;
    any = true;
    add_all(&now.sources, &v->good);
  }
  bool due = !any || !has_all(&now.sources, sources);
  hf_list_free(&now.sources);
  return due;
}

int hf_take_excess(struct hf_session *s, const struct hf_live *live, const struct hf_manifest_target *m, uint64_t *seqs, size_t *n, struct hf_error *err) {
  uint64_t head = 0;
  struct taken last = {0, HF_LIST_INIT};
  bool any = false;
  *n = 0;
  if (m->take == HF_PERIOD_NONE) return 0;
  int r = hf_session_head_of(s, m->name, &head, err);
  if (r < 0 || live->n == 0 || live->v[live->n - 1].seq <= head) return r;
  for (size_t i = 0; i < live->n; i++) {
    const struct hf_live_snapshot *v = &live->v[i];
    if (!hf_live_at(v, m->name)) continue;
    int64_t period = hf_period_of(s->manifest->time_zone, m->take, v->time, NULL);
    if (!any || period != last.period) hf_list_free(&last.sources);
    else if (v->seq > head && has_all(&last.sources, &v->good)) seqs[(*n)++] = v->seq;
    add_all(&last.sources, &v->good);
    any = true;
    last.period = period;
  }
  hf_list_free(&last.sources);
  return r;
}
