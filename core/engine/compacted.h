/* compacted.h - packs that a later record replaces by others: what a snapshot's record names, and what it needs since.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A record never changes. What it refers to is looked up here whenever one is read (hf_session_record), so that everything above sees the packs that are
 * to be there now.
 * Memory: one bit for each pack of the indexes that compactions name.
 */
#ifndef HF_COMPACTED_H
#define HF_COMPACTED_H

#include "engine/session.h"

struct hf_compactions;
struct hf_compactions *hf_compactions_new(void);
void hf_compactions_free(struct hf_compactions *c);
/* One more: extra.compacted of a prune record; records in their order. HOLDFAST_E_CORRUPT for what is not of the form that holdfast-repository(5) gives. */
int hf_compactions_add(struct hf_compactions *c, const json_t *compacted, struct hf_error *err);
/* Put into rec->indexes what replaces the packs there. One that none of them names stays as it is. */
int hf_compactions_apply(const struct hf_compactions *c, struct hf_record *rec, struct hf_error *err);
/* One element of extra.compacted. */
json_t *hf_compaction_json(const struct hf_record_index *replaced, size_t n_replaced, const struct hf_record_index *by,
                           size_t n_by);

/* With the session's own: all records that the state has. */
int hf_session_compacted(struct hf_session *s, struct hf_record *rec, struct hf_error *err);
/* Replaced packs that the catalogue still has are forgotten: what they held is looked for in those that replace them. Commits. Before indexes are loaded:
 * a chunk that has a place in the catalogue does not get another one. */
int hf_session_forget_replaced(struct hf_session *s, struct hf_error *err);

#endif
