/* plan.h - the reading half of the pipeline: which stretches of which packs are wanted, gathered first, then fetched pack by pack.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every pack is fetched by HF_FETCHERS threads, and checked, decrypted and decompressed once by HF_READERS, and each wanted chunk's id is computed anew before a byte of it is handed on. The plan itself is kept in a
 * temporary SQLite database that spills to disk. Memory: HF_FETCHED packs as stored, so that the next are on their way while some are worked on, and per reader one decrypted and one raw (HF_PACK_READ_MAX at the very worst,
 * HF_PACK_MAX in practice, each).
 */
#ifndef HF_PLAN_H
#define HF_PLAN_H

#include "base/base.h"
#include "repo/repo.h"
#include "state/state.h"
#include "stream/recipe.h"

#define HF_READERS 2
#define HF_FETCHERS 3
#define HF_FETCHED 4

/* A stretch of a chunk and what it is for. */
struct hf_piece {
  struct hf_slice slice;
  int kind;          /* the caller's */
  uint64_t dest;     /* the caller's: an offset */
  const char *path;  /* the caller's, path_n bytes, copied by hf_plan_add */
  size_t path_n;
};

struct hf_plan;
int hf_plan_new(struct hf_state *state, struct hf_plan **out, struct hf_error *err);
void hf_plan_free(struct hf_plan *p);
/* Of chunks that several packs have, take those packs that in says yes to. Before anything is added. */
void hf_plan_prefer(struct hf_plan *p, bool (*in)(void *ctx, int64_t pack), void *ctx);
/* Want a stretch. When the catalogue does not know the chunk it counts as lost. */
int hf_plan_add(struct hf_plan *p, const struct hf_piece *piece, struct hf_error *err);
/* Each pack that something is wanted of, once; a negative status of fn ends it. */
int hf_plan_packs(struct hf_plan *p, int (*fn)(void *ctx, const struct hf_state_pack *pack), void *ctx, struct hf_error *err);

struct hf_plan_run {
  struct hf_gpg *gpg;              /* holds (or reaches through its agent) a recipient's private key */
  const struct hf_audience *audience; /* whose ids these are */
  /* Append a pack's bytes, which have the digest want, to out; called from several threads. */
  int (*fetch)(void *ctx, const char *key, const struct hf_digest *want, size_t max, struct hf_buf *out, struct hf_error *err);
  void *fetch_ctx;
  /* The bytes of one piece; called from several threads. A negative status ends the run. */
  int (*sink)(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err);
  /* A pack or chunk is lost: told once each, serialised. May be NULL. */
  void (*bad)(void *ctx, const char *pack_key, const char *why);
  /* Another pack is done; serialised. May be NULL. */
  void (*progress)(void *ctx, uint64_t packs, uint64_t stored);
  void *ctx;
  volatile int *cancel;
};
/* Do it. Lost pieces do not end the run: *lost counts them. An error is what does: the sink's, no private key, cancelled. */
int hf_plan_execute(struct hf_plan *p, const struct hf_plan_run *run, uint64_t *lost, struct hf_error *err);
/* After a run: was that chunk lost? */
bool hf_plan_is_lost(struct hf_plan *p, const struct hf_digest *id);

#endif
