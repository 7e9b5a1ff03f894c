/* intent.h - a record on its way to the targets: the state has it before any of them, so that a run that is cut off between the two is gone on with.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Otherwise, with the only target that got it out of reach, the next run would make another record of that number: a fork.
 */
#ifndef HF_INTENT_H
#define HF_INTENT_H

#include "engine/session.h"

/* Write down record seq, as text and as the object of that digest which is about to be put at targets (their names); commit. One at a time: it replaces the one before. */
int hf_intent_note(struct hf_session *s, uint64_t seq, const struct hf_digest *d, const struct hf_buf *json, const struct hf_buf *sealed, const struct hf_list *targets, struct hf_error *err);
/* It is in the state: takes effect with the next commit. */
int hf_intent_done(struct hf_session *s, struct hf_error *err);
/* Once the chain has been read, under the lock: if the one written down is not on it and would be its next, put it at those of its targets that are within reach, and take it into the chain. A target that
 * cannot take it now is no error. */
int hf_intent_resume(struct hf_session *s, struct hf_error *err);

#endif
