/* entry_out.h - printing entries of a tree.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_ENTRY_OUT_H
#define HF_ENTRY_OUT_H

#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/browse.h"

/* Add the members "path", "kind", "mode", "uid", "gid", "size", "mtime" and "link". */
void hf_out_entry(json_t *o, const struct hf_tree_entry *t);
/* One line; full: as ls -l. */
void hf_out_entry_line(const struct hf_tree_entry *t, bool full);

#endif
