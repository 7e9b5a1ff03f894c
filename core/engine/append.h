/* append.h - adding to the repository's chain.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_APPEND_H
#define HF_APPEND_H

#include "engine/session.h"

/* Give rec its place (sequence, previous digest, repository, id, host, tool, time), sign and encrypt it, and put it, create-only, at every target that has not failed, holds the whole chain so far, and for which
 * may_have (NULL: all) says yes. The state is committed with it written down as on its way (intent.h), before it goes anywhere; then it is added to the
 * state, without commit. *reached: at how many targets it is now; 0 is an error. */
int hf_append(struct hf_session *s, struct hf_record *rec, bool (*may_have)(void *ctx, size_t target), void *ctx, size_t *reached, struct hf_error *err);
/* Does target i hold the whole chain? */
bool hf_target_is_level(const struct hf_session *s, size_t i);

/* The secret is encrypted to exactly the recipients of the manifest: if not, put a new secrets object everywhere, and a keys record (the init record when there is none yet). *object: the secrets object that counts. */
int hf_update_keys(struct hf_session *s, struct hf_digest *object, struct hf_error *err);

#endif
