/* undo.h - what restores in place have replaced: kept, listed, put back, removed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Below the state folder, safety/NUMBER/ belongs to one run: journal.json says what was replaced and where it is now; beside it lie the safety copies that the host made. Journals are written before
 * anything is replaced and after each thing that was, so that a run that was killed can be taken back as well.
 */
#ifndef HF_UNDO_H
#define HF_UNDO_H

#include <jansson.h>

#include "engine/engine.h"

/* ---- the journal (undo.c) ---- */
struct hf_undo {
  uint64_t id;
  char *folder;          /* safety/ID */
  json_t *journal;       /* "id", "time", "host", "snapshot", "undoes" (0: a restore), "patterns", "sources" */
  json_t *source;        /* borrowed: the one being worked on */
  struct hf_lock *lock;  /* of all journals; NULL when it was only read */
  bool changed;          /* something was kept */
  struct hf_error broken; /* the first failure to write the journal */
};
/* A new run, whose folder is made; snapshot: its number, 0 for an undo of the run `undoes`. Only one run at a time may work in place: HOLDFAST_E_EXISTS. */
int hf_undo_begin(const struct hf_manifest *m, uint64_t snapshot, uint64_t undoes, const struct hf_list *patterns, struct hf_undo **out, struct hf_error *err);
/* From here on it is about this source. */
void hf_undo_source(struct hf_undo *u, const char *name, const char *plugin);
/* The state that the plugin gave with the safety copy, and one stream of that: a file. */
void hf_undo_state(struct hf_undo *u, const char *state);
void hf_undo_stream(struct hf_undo *u, const char *name, const char *format, const char *path);
/* The file with the paths that were not there before, each ending in NUL. */
void hf_undo_made(struct hf_undo *u, const char *path);
/* For hf_worker_job.kept; ctx is the struct hf_undo. What the plugin has replaced; written at once. */
void hf_undo_kept(void *ctx, const char *place, const char *kept_as);
/* Write the journal. An error of hf_undo_kept comes out here, too. */
int hf_undo_save(struct hf_undo *u, struct hf_error *err);
/* Done: a run that has kept nothing is removed. NULL is fine. */
void hf_undo_free(struct hf_undo *u);
/* A path of a journal: exact, whatever bytes it has. New reference; owned by the caller. */
json_t *hf_undo_path_json(const char *path);
char *hf_undo_path(const json_t *v);

/* All journals, by number; one that cannot be read is reported through bad and left out. *out: n of them, freed by hf_undo_list_free. */
struct hf_undo_list {
  struct hf_undo **v;
  size_t n;
};
int hf_undo_list(const struct hf_manifest *m, void (*bad)(void *ctx, const char *file, const char *why), void *ctx, struct hf_undo_list *out, struct hf_error *err);
void hf_undo_list_free(struct hf_undo_list *l);
/* Has it been put back, wholly? */
bool hf_undo_is_done(const struct hf_undo *u);
/* What it takes on disk: safety copies, and files that plugins keep. Databases count nothing. */
uint64_t hf_undo_size(const struct hf_undo *u);
/* The one that spec names: a number, or "last", the newest that was not put back. HOLDFAST_E_USAGE when there is no such number, HOLDFAST_E_NOT_FOUND when nothing is left to be put back. */
int hf_undo_find(const struct hf_undo_list *l, const char *spec, struct hf_undo **out, struct hf_error *err);

/* May it be put back? HOLDFAST_E_USAGE when it was already, or when a later run that was not put back has replaced one of its sources. */
int hf_undo_is_free(const struct hf_undo_list *l, const struct hf_undo *u, struct hf_error *err);

/* ---- putting back (undo_apply.c) ---- */
/* Put back what run u has kept, source by source; what is there now is kept by a new run, *redo its number (0: nothing was). out counts as for a restore; o: its callbacks. */
int hf_undo_apply(struct hf_session *s, struct hf_undo *u, const struct hf_restore_options *o, struct hf_restore_result *out, uint64_t *redo, struct hf_error *err);

/* ---- removing (undo_remove.c) ---- */
/* Remove what the run has kept, and its journal. */
int hf_undo_remove(struct hf_session *s, struct hf_undo *u, struct hf_error *err);
/* Remove the runs that are older than the manifest's safety-keep, never the newest, with a notice for each. What fails is logged. */
void hf_undo_expire(struct hf_session *s);

#endif
