/* compact.h - packs of which little is needed any more, repacked with a recipient's private key.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_COMPACT_H
#define HF_COMPACT_H

#include "engine/live.h"

struct hf_compact_options {
  bool dry;         /* say what would be done; store nothing */
  unsigned percent; /* packs are repacked of which less than so much is needed: 1 to 99 */
  void (*progress)(void *ctx, const char *source, uint64_t packs, uint64_t total); /* may be NULL */
  void *ctx;
};

struct hf_compact_result {
  uint64_t packs, bytes;         /* replaced; with dry, to be replaced */
  uint64_t new_packs, new_bytes; /* by those; with dry, an estimate */
  uint64_t waiting;              /* packs left since a target that has to hold them is not there or behind */
  uint64_t damaged;              /* packs left since they cannot be read whole */
  struct hf_list locked;         /* sources of audiences that were left out, with the reason: "NAME: WHY" */
  uint64_t record;               /* the last compaction's record, 0 none */
};

/* Has the caller's keyring a private key of any audience whose packs live snapshots need? HOLDFAST_E_AUTH when not. */
int hf_compact_ready(struct hf_session *s, const struct hf_live *live, struct hf_error *err);
/* Under the lock, with all indexes of live snapshots loaded. For each source of each audience that a key is at hand for: read the recipes of all live
 * snapshots; read the packs of which less than percent is needed, where fewer new ones can take their place; store what is needed of them in new packs,
 * for the same recipients, at the targets that have to hold them; ask each whether all is there; put a prune record that says what replaces what.
 * Nothing is deleted here: what is replaced is then needed by no snapshot. What is killed in between leaves objects that no record names, which a prune
 * deletes. A pack that cannot be read whole is left, and so are those that a target has to hold which cannot be given the new ones now.
 * Memory: some 150 bytes and two bits for each pack, one index's text, and what plan.h and store.h say; the ids of chunks are in a temporary SQLite
 * database that spills to disk. */
int hf_compact(struct hf_session *s, const struct hf_live *live, const struct hf_compact_options *o,
               struct hf_compact_result *out, struct hf_error *err);
void hf_compact_result_free(struct hf_compact_result *r);

#endif
