/* take.h - targets that take only the first snapshot of each period.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TAKE_H
#define HF_TAKE_H

#include "engine/live.h"

/* Does a snapshot of that time, with these sources, go to the target? Not when each of them is good in one of the same period that it has taken before, whatever became of that since. The chain says so, not a
 * listing. */
bool hf_take_is_due(const struct hf_session *s, const struct hf_live *live, const struct hf_manifest_target *m, int64_t time, const struct hf_list *sources);
/* Snapshots that the chain asks of the target, which it never got and would not have taken: those from before it was there, above all. It need not catch up with them. Their numbers, as many as live has or less, go to seqs. */
int hf_take_excess(struct hf_session *s, const struct hf_live *live, const struct hf_manifest_target *m, uint64_t *seqs, size_t *n, struct hf_error *err);

#endif
