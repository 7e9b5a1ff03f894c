/* commit.h - which targets get a snapshot: those it is due at, that hold all it needs, or can be given it by the others.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_COMMIT_H
#define HF_COMMIT_H

#include "engine/level.h"

struct hf_commit_target {
  bool passes; /* the snapshot is not due there */
  bool ok;     /* it may have the record */
  struct hf_level_result caught_up; /* what it was given by other targets */
};

struct hf_commit {
  struct hf_session *s;
  struct hf_record *rec; /* the snapshot in the making; its time is set */
  struct hf_live live;   /* before it */
  int64_t index_at_begin;
  struct hf_target **takers; /* n_takers: those that the snapshot's objects go to */
  size_t n_takers;
  struct hf_commit_target *t; /* parallel to the session's targets */
};

/* After hf_session_chain, before anything is stored: who takes this snapshot, which is to have these sources? An error when nobody does. hf_commit_free frees it. */
int hf_commit_begin(struct hf_session *s, struct hf_record *rec, const struct hf_list *sources, struct hf_commit *out, struct hf_error *err);
void hf_commit_free(struct hf_commit *c);
/* When all objects are stored and rec names its indexes: bring targets level that are behind, or lack what the snapshot needs; confirm by listings; fill in ok, rec's extra members, and the failures of those that drop
 * out. What no target has is forgotten, so that the next run stores it again. */
int hf_commit_confirm(struct hf_commit *c, bool (*refers)(void *ctx, int64_t pack_row), void *ctx, struct hf_error *err);

#endif
