/* needs.h - what a target has to hold, object by object.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory: one bit per pack and index of the catalogue; and the names of texts, keys and secrets, which are few.
 */
#ifndef HF_NEEDS_H
#define HF_NEEDS_H

#include "engine/live.h"

struct hf_needs {
  struct hf_session *s;
  unsigned char *packs;   /* by row of the catalogue, as it is at the beginning: load indexes first */
  unsigned char *indexes;
  int64_t max_pack, max_index;
  uint64_t lost;          /* packs that snapshots refer to and the catalogue does not know: they were found missing everywhere, or an index could not be had */
  struct hf_list small;   /* keys of texts, host keys and secrets */
  struct hf_list texts;   /* "NAME DIGEST" of every text that a record tells of; none in a repository older than that */
  struct hf_list lost_keys; /* their names, where hf_settle_needs looked them up: a target that was away may still have them */
  void (*tell_lost)(void *ctx, const struct hf_record *rec, const char *index_key, uint64_t ordinal); /* of each of those; may be NULL */
  void *ctx;
};

/* Nothing so far but what every target has: the texts, and the keys and secrets that the chain names. */
int hf_needs_open(struct hf_session *s, struct hf_needs *out, struct hf_error *err);
/* For packs and indexes alone. */
void hf_needs_open_packs(struct hf_session *s, struct hf_needs *out);
void hf_needs_free(struct hf_needs *n);
/* What one snapshot refers to. */
int hf_needs_add(struct hf_needs *n, const struct hf_record *rec, struct hf_error *err);
/* What all snapshots refer to that the target (NULL: any of the manifest's) has to hold. */
int hf_needs_add_live(struct hf_needs *n, const struct hf_live *l, const char *target, struct hf_error *err);
/* Is b what texts (above) say of the text of that name? */
bool hf_needs_text(const struct hf_list *texts, const char *name, const struct hf_buf *b);
bool hf_needs_pack(const struct hf_needs *n, int64_t row);
bool hf_needs_index(const struct hf_needs *n, int64_t row);
void hf_needs_add_pack(struct hf_needs *n, int64_t row);
void hf_needs_drop_pack(struct hf_needs *n, int64_t row);
void hf_needs_add_index(struct hf_needs *n, int64_t row);

#endif
