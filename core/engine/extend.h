/* extend.h - what a snapshot refers to is kept from being deleted for as long as if it were new.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_EXTEND_H
#define HF_EXTEND_H

#include "engine/session.h"

struct hf_extend {
  bool (*refers)(void *ctx, int64_t pack_row); /* does the snapshot refer to it? */
  void *ctx;
  int64_t last_pack, last_index; /* rows of the catalogue before this run: what is above was stored by it, and locked then */
};
/* The snapshot is at that target: see to it that packs, indexes and the secret it refers to stay locked there, where the target locks at all.
 * Notes in the state what it has asked for (takes effect with the next commit). An error says how many could not be. */
int hf_extend(struct hf_session *s, size_t target, const struct hf_record *rec, const struct hf_extend *o, struct hf_error *err);

#endif
