/* live.h - which snapshots a target has to hold, as the chain says: all that were ever taken, but those it passed over and those pruned from it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but signed records decides: neither a listing (a target that lost a pack still has to hold it) nor the host's clock.
 * Memory: some 100 bytes and the label for each snapshot ever taken, and 8 bytes for each prune of it.
 */
#ifndef HF_LIVE_H
#define HF_LIVE_H

#include "engine/session.h"

/* One snapshot of the chain. */
struct hf_live_snapshot {
  uint64_t seq;
  int64_t time;           /* by the host's clock when it was taken */
  char *label;            /* or NULL */
  struct hf_list good;    /* sources that are complete or partial in it */
  struct hf_list whole;   /* those that are complete */
  struct hf_list held;    /* targets that held all it needs when it was taken: extra.held */
  struct hf_list passed;  /* targets that did not take it (`take =`): the record's extra.passed */
  struct hf_list pruned;  /* targets it was pruned from: extra.removed of prune records */
  bool gone;              /* pruned from all that had it: no target has to hold it, those that are added later neither (extra.gone) */
  uint64_t pruned_by;     /* the last record that says so, 0 none */
};

struct hf_live {
  struct hf_live_snapshot *v; /* by sequence number */
  size_t n;
};

/* Read the chain's records. After hf_session_chain; hf_live_free frees it. */
int hf_live_load(struct hf_session *s, struct hf_live *out, struct hf_error *err);
void hf_live_free(struct hf_live *l);
/* What a record says to be removed, or to be gone, taken over into l: as loading does with those of the chain. Prune records say so, and snapshots of what a target need not catch up with. */
void hf_live_prune(struct hf_live *l, const struct hf_record *r);
/* The snapshot with that number, or NULL. */
const struct hf_live_snapshot *hf_live_find(const struct hf_live *l, uint64_t seq);
/* Has the target of that name to hold it? */
bool hf_live_at(const struct hf_live_snapshot *v, const char *target);
/* Has any of the manifest's targets, switched off or not, to hold it? One that none has is history: it cannot be restored. */
bool hf_live_anywhere(const struct hf_session *s, const struct hf_live_snapshot *v);
/* Has any of the targets that are open to hold it? */
bool hf_live_within_reach(const struct hf_session *s, const struct hf_live_snapshot *v);
/* Load what is needed of the indexes of all snapshots that the target (NULL: any of the manifest's) has to hold. The first that cannot be had is an error, unless failed is given: it is told then, and the rest goes on. */
int hf_live_load_indexes(struct hf_session *s, const struct hf_live *l, const char *target, void (*failed)(void *ctx, uint64_t seq, const struct hf_error *why), void *ctx, struct hf_error *err);

#endif
