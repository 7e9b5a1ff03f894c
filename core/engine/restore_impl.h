/* restore_impl.h - shared by restore.c, restore_tree.c, safety.c and undo_apply.c only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_RESTORE_IMPL_H
#define HF_RESTORE_IMPL_H

#include "engine/made.h"
#include "engine/undo.h"
#include "plugin/worker.h"
#include "stream/extract.h"

/* Restore one tree stream below root. replace: in place; then made (may be NULL) notes what is new, and what was written is read back. Adds to *out. */
int hf_restore_tree(struct hf_reading *rd, const struct hf_record_stream *st, const char *root, bool replace, struct hf_made *made, const struct hf_restore_options *o, struct hf_restore_result *out, struct hf_error *err);
/* 1 when the patterns want any entry of the stream, 0, or a negative status. */
int hf_restore_wants(struct hf_reading *rd, const struct hf_record_stream *st, const struct hf_list *patterns, struct hf_error *err);
/* Add what an extraction has done to a result. */
void hf_restore_count(struct hf_restore_result *out, const struct hf_extract_counts *c);
/* The file fd, from its start, to the plugin as the stream it was told of; then its end. */
int hf_restore_feed(struct hf_worker_restore *w, int fd, struct hf_error *err);
/* Begin the list of what is made where nothing was, for a source of the run u; rest as in made.h. */
int hf_restore_made(struct hf_undo *u, const char *root, const char *source, struct hf_rest *rest, struct hf_made **out, struct hf_error *err);
/* A copy of what is now where a source's data comes from (only what sel wants), in the folder of the run u and in its journal: a tar of the tree, a file for each raw stream. Their names are added to files, and rest is told what the tar has. */
int hf_safety_copy(struct hf_session *s, const struct hf_manifest_source *m, const struct hf_select *sel, struct hf_undo *u, struct hf_rest *rest, struct hf_list *files, struct hf_error *err);

#endif
