/* restore_out.h - what restoring and undoing a restore have in common, for cmd_restore.c and cmd_undo.c.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_RESTORE_OUT_H
#define HF_RESTORE_OUT_H

#include "cmd/cmd.h"
#include "engine/undo.h"

/* ---- restore_ask.c ---- */
/* On standard error: which sources are replaced, where, by what, how old that is, and whom to call. sources: empty for all. */
void hf_restore_show(const struct hf_manifest *m, const struct hf_record *rec, const struct hf_list *sources, const struct hf_list *patterns);
/* Ask on the terminal for the host's name; true when that was the answer. */
bool hf_restore_confirm(const char *host);

/* ---- cmd_restore.c ---- */
/* Callbacks of struct hf_restore_options; ctx is the struct hf_cmd. */
void hf_restore_bad(void *ctx, const char *object, const char *why);
void hf_restore_problem(void *ctx, const char *source, const char *path, bool lost, const char *what);
/* The counts, for people: with --quiet nothing. */
void hf_restore_print(const struct hf_cmd *c, const struct hf_restore_result *r);

/* ---- cmd_undo.c ---- */
/* holdfast restore --undo [ID], --list-undo, --forget-undo ID. */
enum hf_undo_verb { HF_UNDO_APPLY = 1, HF_UNDO_LIST, HF_UNDO_FORGET };
int hf_cmd_undo(struct hf_cmd *c, enum hf_undo_verb verb, const char *spec, bool yes);

#endif
