/* state.h - what the host remembers: catalogue of packs and chunks, records of the chain, recipes of last time, runs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One SQLite database in the state folder. Losing it costs time, never data: everything in it can be had again from a target with the host key. One thread uses a handle at a time.
 * A transaction is always open: what was added since the last hf_state_commit is gone when the process dies, so packs that no stored index names are never
 * offered for reuse. Memory: SQLite's page cache, HF_STATE_CACHE_KIB, whatever the repository's size.
 */
#ifndef HF_STATE_H
#define HF_STATE_H

#include "base/base.h"
#include "base/digest.h"

#define HF_STATE_CACHE_KIB 8192
#define HF_STATE_DB "state.sqlite" /* its name in the folder */

struct hf_state;
/* dir: the state folder (made 0700 when create). Refuses a folder that others can write, and a database of a newer version. */
int hf_state_open(const char *dir, bool create, struct hf_state **out, struct hf_error *err);
/* One in a private temporary folder that is gone after close: for reading a repository on a machine that is not its host. */
int hf_state_open_temporary(struct hf_state **out, struct hf_error *err);
void hf_state_close(struct hf_state *s); /* uncommitted changes are dropped */
const char *hf_state_dir(const struct hf_state *s);
bool hf_state_is_temporary(const struct hf_state *s);
int hf_state_commit(struct hf_state *s, struct hf_error *err);
int hf_state_rollback(struct hf_state *s, struct hf_error *err);

/* ---- facts by name (meta) ---- */
/* NULL when not set (not an error); caller frees. */
int hf_state_get(struct hf_state *s, const char *key, char **value, struct hf_error *err);
int hf_state_set(struct hf_state *s, const char *key, const char *value, struct hf_error *err);
/* Facts that are whole numbers. none: what *out is when not set. */
int hf_state_get_number(struct hf_state *s, const char *key, int64_t none, int64_t *out, struct hf_error *err);
int hf_state_set_number(struct hf_state *s, const char *key, int64_t value, struct hf_error *err);

/* ---- catalogue (catalogue.c) ---- */
struct hf_state_pack {
  int64_t row;              /* small positive number, this host's name of the pack */
  struct hf_digest digest;
  uint64_t stored, raw;
  int kind;                 /* enum hf_pack_kind */
  int64_t index_row;        /* 0: not indexed yet */
  uint64_t ordinal;         /* within its index */
};
struct hf_state_chunk { int64_t pack; uint32_t offset, length; };
/* Start a pack (its digest comes later); *row is its number. */
int hf_state_pack_begin(struct hf_state *s, int kind, const char *source, const char *audience, int64_t *row, struct hf_error *err);
int hf_state_pack_sealed(struct hf_state *s, int64_t row, const struct hf_digest *d, uint64_t stored, uint64_t raw, struct hf_error *err);
/* The pack stands at ordinal of that index. */
int hf_state_pack_indexed(struct hf_state *s, int64_t row, int64_t index_row, uint64_t ordinal, struct hf_error *err);
/* 1 found, 0 unknown, negative on error. out may be NULL. */
int hf_state_chunk_find(struct hf_state *s, const struct hf_digest *id, struct hf_state_chunk *out, struct hf_error *err);
/* The same; of a chunk that several packs have, one in a pack that in says yes to, where there is such. */
int hf_state_chunk_find_in(struct hf_state *s, const struct hf_digest *id, bool (*in)(void *ctx, int64_t pack), void *ctx, struct hf_state_chunk *out, struct hf_error *err);
/* Are there chunks that several packs have? 1, 0, negative. They come of a run that did not know of an index, or of a pack that was thought to be lost. */
int hf_state_has_copies(struct hf_state *s, struct hf_error *err);
/* Where the chunk is known already, this is remembered as a copy: it takes its place when that pack is forgotten. */
int hf_state_chunk_add(struct hf_state *s, const struct hf_digest *id, int64_t pack, uint32_t offset, uint32_t length, struct hf_error *err);
int hf_state_pack_get(struct hf_state *s, int64_t row, struct hf_state_pack *out, struct hf_error *err); /* NOT_FOUND */
int hf_state_pack_find(struct hf_state *s, const struct hf_digest *d, struct hf_state_pack *out, struct hf_error *err); /* 1, 0, negative */
/* Forget a pack and its chunks: it is not where it should be. Its index stays known, and that it had this pack, which is not learnt from there again. */
int hf_state_pack_forget(struct hf_state *s, int64_t row, struct hf_error *err);
/* The same of one that nothing needs any more. When a snapshot does after all, since its target is in the manifest again, it is learnt from its index anew. */
int hf_state_pack_drop(struct hf_state *s, int64_t row, struct hf_error *err);
int hf_state_packs_each(struct hf_state *s, int (*fn)(void *ctx, const struct hf_state_pack *p, struct hf_error *err), void *ctx, struct hf_error *err);
/* Those of one audience. */
int hf_state_packs_of(struct hf_state *s, const char *audience, int (*fn)(void *ctx, const struct hf_state_pack *p, struct hf_error *err), void *ctx, struct hf_error *err);
/* Chunks of one pack, by offset. */
int hf_state_chunks_each(struct hf_state *s, int64_t pack, int (*fn)(void *ctx, const struct hf_digest *id, uint32_t offset, uint32_t length, struct hf_error *err), void *ctx,
                         struct hf_error *err);
int hf_state_index_add(struct hf_state *s, const struct hf_digest *d, uint64_t packs, int64_t *row, struct hf_error *err);
int hf_state_index_size(struct hf_state *s, int64_t row, uint64_t packs, struct hf_error *err); /* say how many packs it has */
int hf_state_index_find(struct hf_state *s, const struct hf_digest *d, int64_t *row, uint64_t *packs, struct hf_error *err); /* 1, 0, negative */
int hf_state_index_get(struct hf_state *s, int64_t row, struct hf_digest *d, uint64_t *packs, struct hf_error *err);
int64_t hf_state_index_max(struct hf_state *s);
int64_t hf_state_pack_max(struct hf_state *s);
/* Forget an index, which must have no pack any more. */
int hf_state_index_forget(struct hf_state *s, int64_t row, struct hf_error *err);
/* How many of the index's packs are known, those that were forgotten again among them. */
int hf_state_index_known(struct hf_state *s, int64_t row, uint64_t *packs, struct hf_error *err);
/* Is or was the pack at that ordinal known? 1, 0, negative. */
int hf_state_index_knows(struct hf_state *s, int64_t index_row, uint64_t ordinal, struct hf_error *err);
/* The pack at an ordinal of an index: 1, 0 (forgotten), negative. */
int hf_state_index_pack(struct hf_state *s, int64_t index_row, uint64_t ordinal, struct hf_state_pack *out, struct hf_error *err);

/* ---- records (memory.c): the plain JSON of each, as verified when it was first seen ---- */
int hf_state_record_add(struct hf_state *s, uint64_t seq, const struct hf_digest *d, const char *json, size_t n, struct hf_error *err);
/* 1 found, 0 unknown. json (may be NULL) is appended. */
int hf_state_record_get(struct hf_state *s, uint64_t seq, struct hf_digest *d, struct hf_buf *json, struct hf_error *err);
uint64_t hf_state_record_max(struct hf_state *s); /* 0: none */

/* ---- locks at targets (memory.c): since when an object cannot be deleted there; Unix seconds ---- */
/* 1 and *since, 0 unknown, negative. */
int hf_state_kept_get(struct hf_state *s, const char *target, const struct hf_digest *object, int64_t *since, struct hf_error *err);
int hf_state_kept_set(struct hf_state *s, const char *target, const struct hf_digest *object, int64_t since, struct hf_error *err);
/* Forget those of a target that are older: nothing refers to them any more. */
int hf_state_kept_sweep(struct hf_state *s, const char *target, int64_t before, struct hf_error *err);

/* ---- recipes of last time (memory.c) ---- */
/* Open the kept recipe of a source's stream, made for that audience: descriptor and size; -1 when there is none, or its digest is not what it was (then it is dropped). */
int hf_state_recipe_open(struct hf_state *s, const char *source, const char *stream, const char *audience, int *fd, uint64_t *size, struct hf_error *err);
/* A new file for a recipe in the making: descriptor, and its name for keep/discard (caller frees). */
int hf_state_recipe_create(struct hf_state *s, int *fd, char **path, struct hf_error *err);
/* Make it the kept one; takes effect with the next commit. snapshot: sequence number it belongs to. */
int hf_state_recipe_keep(struct hf_state *s, const char *path, const char *source, const char *stream, const char *audience, const struct hf_digest *sha256, uint64_t snapshot,
                         struct hf_error *err);
/* Files of recipes that nothing refers to are removed (left by killed runs). */
int hf_state_recipe_sweep(struct hf_state *s, struct hf_error *err);
/* The kept recipe of a source's stream if it is that of the given snapshot: as recipe_open. */
int hf_state_recipe_of(struct hf_state *s, const char *source, const char *stream, uint64_t snapshot, int *fd, uint64_t *size, struct hf_error *err);

#endif
