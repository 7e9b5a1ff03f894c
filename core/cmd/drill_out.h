/* drill_out.h - the forms that the result of a drill is given out in, for cmd_drill.c.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_DRILL_OUT_H
#define HF_DRILL_OUT_H

#include "cmd/cmd.h"
#include "engine/drill.h"

/* The result as one page of HTML, written to path, which is replaced. record: the number of its record on the chain, 0 for none. (drill_html.c) */
int hf_drill_html(const char *path, const struct hf_manifest *m, const struct hf_drill_result *r, uint64_t record, struct hf_error *err);

#endif
