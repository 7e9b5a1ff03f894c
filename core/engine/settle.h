/* settle.h - what is needed beyond what snapshots name, and forgetting what is not needed at all.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SETTLE_H
#define HF_SETTLE_H

#include "engine/needs.h"

/* All that a target (NULL: any of the manifest's) must not lose: what its live snapshots refer to; where one of those refers to a pack that was lost, the packs in which its chunks were stored again (as the
 * index says what they were); and what the last run that committed, or runs since, stored and did not use: the next one will. After hf_live_load_indexes. hf_needs_free frees it. */
int hf_settle_needs(struct hf_session *s, const struct hf_live *live, const char *target, struct hf_needs *out, struct hf_error *err);
/* Forget all other packs and indexes in the catalogue, so that no new snapshot refers to them; commit. Before they are deleted. */
int hf_settle(struct hf_session *s, const struct hf_live *live, struct hf_error *err);
/* The same, when there is a prune record that no run has settled yet: its own was killed. And learn what is in the indexes of snapshots that came since: the catalogue must not get the same chunks twice. Those that
 * cannot be read now are passed over. At the beginning of a run, under the lock. */
int hf_settle_rest(struct hf_session *s, struct hf_error *err);
/* A run begins to store, and its snapshot is committed: what it stores from here on is kept for the next one. Takes effect with the next commit. */
int hf_settle_run(struct hf_session *s, int64_t index_at_begin, struct hf_error *err);

#endif
