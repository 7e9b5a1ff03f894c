/* drill_pick.c - choosing an older snapshot for a drill: what is never looked at rots unseen.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/drill.h"
#include "engine/live.h"

/* Without the bias of a remainder. */
static uint64_t random_below(uint64_t n) {
  uint64_t v, limit = UINT64_MAX - UINT64_MAX % n;
  do hf_random(&v, sizeof v);
  while (v >= limit);
  return v % n;
}

int hf_drill_pick(struct hf_session *s, const char *target, uint64_t *seq, struct hf_error *err) {
  struct hf_live live;
  int r = hf_live_load(s, &live, err);
  if (r < 0) return r;
  uint64_t *choice = hf_allocn(live.n + 1, sizeof *choice);
  size_t n = 0;
  for (size_t i = 0; i < live.n; i++) {
    const struct hf_live_snapshot *v = &live.v[i];
    if (v->good.n > 0 && (target ? hf_live_at(v, target) : hf_live_anywhere(s, v))) choice[n++] = v->seq;
  }
  /* The last of them is the newest, which a drill takes without being told. */
  if (n < 2)
    r = hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no older snapshot to choose from%s%s; without --random the newest is taken", target ? " at target " : "", target ? target : "");
  else
    *seq = choice[random_below(n - 1)];
  free(choice);
  hf_live_free(&live);
  return r;
}
