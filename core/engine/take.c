/* take.c - is a snapshot due at a target?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/take.h"

#include "engine/retention.h"

#define LONGEST (367 * 24 * 3600) /* seconds: no period is longer */

bool hf_take_is_due(const struct hf_session *s, const struct hf_live *live, const struct hf_manifest_target *m, int64_t time) {
  const char *zone = s->manifest->time_zone;
  if (m->take == HF_PERIOD_NONE) return true;
  int64_t now = hf_period_of(zone, m->take, time, NULL);
  for (size_t i = 0; i < live->n; i++) {
    const struct hf_live_snapshot *v = &live->v[i];
    bool near = v->time > time - LONGEST && v->time < time + LONGEST; /* spares the calendar most of the work */
    if (near && !hf_list_has(&v->passed, m->name) && hf_period_of(zone, m->take, v->time, NULL) == now) return false;
  }
  return true;
}

int hf_take_excess(struct hf_session *s, const struct hf_live *live, const struct hf_manifest_target *m, uint64_t *seqs, size_t *n, struct hf_error *err) {
  uint64_t head = 0;
  int64_t last = 0;
  bool any = false;
  *n = 0;
  if (m->take == HF_PERIOD_NONE) return 0;
  int r = hf_session_head_of(s, m->name, &head, err);
  if (r < 0 || live->n == 0 || live->v[live->n - 1].seq <= head) return r;
  for (size_t i = 0; r == 0 && i < live->n; i++) {
    const struct hf_live_snapshot *v = &live->v[i];
    if (!hf_live_at(v, m->name)) continue;
    int64_t period = hf_period_of(s->manifest->time_zone, m->take, v->time, NULL);
    if (any && period == last && v->seq > head) seqs[(*n)++] = v->seq;
    any = true;
    last = period;
  }
  return r;
}
