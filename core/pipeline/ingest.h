/* ingest.h - the receiving end of a source: its events become chunks, recipes and what the record says of it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory: one group (HF_CHUNK_MAX), two chunkers (HF_CHUNK_MAX each), whatever the source's size; the recipe goes to a file.
 */
#ifndef HF_INGEST_H
#define HF_INGEST_H

#include "pipeline/store.h"
#include "stream/tree.h"


struct hf_ingest;
/* rec gets streams and problems as they come; previous (may be NULL) is last time's recipe of the tree, as it was given to the worker. progress (may be NULL) is called a few times a second. */
struct hf_ingest_options {
  struct hf_store *store;
  struct hf_state *state;
  const struct hf_audience *audience;
  struct hf_record_source *rec;
  const char *previous;
  size_t previous_n;
  bool dry;
  void (*progress)(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t read);
  void *progress_ctx;
};
struct hf_ingest *hf_ingest_new(const struct hf_ingest_options *o);
/* The events to give to hf_worker_backup. */
const struct hf_emit *hf_ingest_emit(struct hf_ingest *g);
/* The error of our own side (store, state folder) that made an event return a negative status; NULL when there was none, or when it was the worker's fault. */
const struct hf_error *hf_ingest_broken(const struct hf_ingest *g);
/* What an event's negative status meant, whoever's fault it was. */
const struct hf_error *hf_ingest_error(const struct hf_ingest *g);
/* The source is done: the big buffers are not needed any more. */
void hf_ingest_done(struct hf_ingest *g);
/* After a snapshot was committed: keep the recipes for the next run. */
int hf_ingest_keep(struct hf_ingest *g, uint64_t snapshot, struct hf_error *err);
/* Frees, and removes recipe files that were not kept. */
void hf_ingest_free(struct hf_ingest *g);

/* Last time's recipe without the parts whose chunks the catalogue does not know any more. fd -1 when there is none. (reuse.c) */
int hf_reuse_open(struct hf_state *state, const char *source, const char *audience, int *fd, const char **text, size_t *n, struct hf_error *err);
void hf_reuse_close(int fd, const char *text, size_t n);
/* The whole pages between from and to need not stay in memory; returns to. */
const char *hf_reuse_passed(const char *from, const char *to);

#endif
