/* prune.h - applying retention: which snapshots each target keeps, the record that says so, and the deletion behind it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PRUNE_H
#define HF_PRUNE_H

#include "engine/compact.h"
#include "engine/retention.h"
#include "engine/session.h"

struct hf_prune_options {
  bool dry;         /* decide and count, write and delete nothing */
  const char *only; /* the one target to be pruned, or NULL for all */
  unsigned compact; /* then also repack packs of which less than so many per cent are needed; 0: no. Needs a recipient's private key; not with only */
  void (*deleted)(void *ctx, const char *target, const char *key, uint64_t done, uint64_t total); /* before each; may be NULL */
  void (*repacked)(void *ctx, const char *source, uint64_t packs, uint64_t total); /* may be NULL */
  void *ctx;
};

struct hf_prune_target {
  const char *name;
  struct hf_retained *v;   /* the snapshots that it had to hold, oldest first; labels are owned here */
  size_t n, removed;       /* all of them; those that go */
  uint64_t packs, indexes, bytes; /* deleted; with dry, to be deleted */
  uint64_t refused;        /* the target did not let go of so many: they are tried again next time */
  bool away;               /* it is removable and not there: left out, and no failure */
  char *error;             /* why it was left out, or not done with; NULL: all is done */
};

struct hf_prune_result {
  struct hf_prune_target *targets;
  size_t n_targets;
  uint64_t record;         /* number of the prune record, 0: there was nothing to say */
  struct hf_list gone;     /* numbers of snapshots that no target has to hold from now on */
  struct hf_compact_result compact;
  bool partial;            /* exit 3 */
  double seconds;
};

/* Order: decide; put the prune record; forget in the catalogue; delete. So what is killed in between leaves a valid repository, and the next call deletes what the chain says and a listing still shows. Refuses as
 * a whole while the chain shows tampering, or an index that is needed cannot be had. A target whose records cannot be listed, that cannot be opened or is behind is left as it is. Takes the lock; no private key
 * but the host's. */
int hf_prune(struct hf_session *s, const struct hf_prune_options *o, struct hf_prune_result *out, struct hf_error *err);
void hf_prune_result_free(struct hf_prune_result *r);

#endif
