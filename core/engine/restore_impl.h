/* restore_impl.h - shared by restore.c and restore_tree.c only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_RESTORE_IMPL_H
#define HF_RESTORE_IMPL_H

#include "engine/engine.h"

/* Restore one tree stream below root. replace: in place. Adds to *out. */
int hf_restore_tree(struct hf_reading *rd, const struct hf_record_stream *st, const char *root, bool replace, const struct hf_restore_options *o, struct hf_restore_result *out, struct hf_error *err);

#endif
