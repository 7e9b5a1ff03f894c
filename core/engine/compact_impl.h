/* compact_impl.h - shared by the files of compaction only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_COMPACT_IMPL_H
#define HF_COMPACT_IMPL_H

#include <pthread.h>
#include <sqlite3.h>

#include "engine/compact.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "pipeline/store.h"

/* Who can read some of the packs; known from the newest snapshot that has it. */
struct hf_compact_audience {
  char name[33];
  uint64_t seq;
  struct hf_list recipients;
};

/* A pack of the audience at work. */
struct hf_compact_pack {
  struct hf_digest index;
  uint64_t ordinal;
  int64_t row;
  char *source;
  enum hf_pack_kind kind;
  uint64_t stored, bytes, needed; /* object; of its chunks; of those that are needed */
  bool take, lost;
};

struct hf_compacting {
  struct hf_session *s;
  const struct hf_live *live;
  const struct hf_compact_options *o;
  struct hf_compact_result *out;
  struct hf_compact_audience *audiences;
  size_t n_audiences;
  /* of one audience: */
  const struct hf_compact_audience *now;
  struct hf_record *rec; /* for rd */
  struct hf_reading rd;
  sqlite3 *db;
  sqlite3_stmt *add, *has, *walk;
  struct hf_needs needs;
  struct hf_compact_pack *packs; /* by index and ordinal, in the order in which indexes are read */
  size_t n_packs;
  /* of one source: */
  const char *source;
  struct hf_plan *plan;
  struct hf_state *state; /* of the new packs alone: the catalogue learns of them when a record names them */
  struct hf_store *store;
  pthread_mutex_t lock; /* over store: pieces come from several threads */
  /* while an index is read: */
  struct hf_digest index;
  void (*see)(struct hf_compacting *w, struct hf_compact_pack *p, const struct hf_chunk_ref *c);
  size_t at;
  struct hf_compact_pack *pack;
  struct hf_error e;
};

/* ---- compact_needed.c: which chunks of the audience live snapshots need ---- */

int hf_compact_needed_open(struct hf_compacting *w, struct hf_error *err);
/* Add those of a snapshot's streams that are of the audience. */
int hf_compact_needed_add(struct hf_compacting *w, const struct hf_record *rec, struct hf_error *err);
/* A failure is kept in w->e. */
bool hf_compact_is_needed(struct hf_compacting *w, const struct hf_digest *id);
void hf_compact_needed_close(struct hf_compacting *w);

/* ---- compact_choose.c: the packs, and which of them are repacked ---- */

/* Read all indexes, and show see every chunk of every pack of the audience: also those of which the catalogue has another copy. */
int hf_compact_scan(struct hf_compacting *w, void (*see)(struct hf_compacting *, struct hf_compact_pack *, const struct hf_chunk_ref *), struct hf_error *err);
/* Fill w->packs and mark those to take. */
int hf_compact_choose(struct hf_compacting *w, struct hf_error *err);
/* What a target has to hold that cannot be given others now stays as it is. So does what one held that is not in the manifest any more, and may be again
 * one day. */
int hf_compact_leave_for_others(struct hf_compacting *w, struct hf_error *err);
/* Is it to be repacked, and of w->source? */
static inline bool hf_compact_is_at_work(const struct hf_compacting *w, const struct hf_compact_pack *p) { return p->take && strcmp(p->source, w->source) == 0; }
/* The targets that have to hold any of what is at work: n of them to v, which has room for all. */
int hf_compact_takers(struct hf_compacting *w, struct hf_target **v, size_t *n, struct hf_error *err);

/* ---- compact_repack.c: what is taken, one source after the other ---- */

int hf_compact_repack(struct hf_compacting *w, struct hf_error *err);

#endif
