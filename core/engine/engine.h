/* engine.h - one function per verb. They do the work and fill a result; cmd/ parses and prints.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_ENGINE_H
#define HF_ENGINE_H

#include "engine/session.h"
#include "pipeline/plan.h"

/* ---- init (init.c) ---- */
/* Make the host key, the secret and the repository at every target; safe to run again (new targets, new recipients). *made: false when the repository was there before. */
int hf_init(struct hf_session *s, bool *made, struct hf_error *err);

/* ---- lock objects (repo_lock.c) ---- */
/* Say at every target that this run writes. When another one does, wait for it until s->lock_until, then refuse. Released by hf_repo_unlock. */
int hf_repo_lock(struct hf_session *s, const char *what, struct hf_error *err);
/* Called now and then during a long run: after a quarter of the lock's time it is made anew. */
void hf_repo_lock_renew(struct hf_session *s);
void hf_repo_unlock(struct hf_session *s);

/* ---- backup (backup.c) ---- */
struct hf_progress {
  const char *source, *path;
  uint64_t entries, bytes, read, stored;
};
struct hf_backup_options {
  const struct hf_list *sources; /* names; empty: all that are enabled */
  const char *label;
  bool dry;
  void (*progress)(void *ctx, const struct hf_progress *p);
  void *ctx;
};
struct hf_backup_target {
  char *name;
  bool committed, passed;  /* it has the snapshot; the snapshot was not due there */
  bool away;               /* removable and not there, which is no failure */
  uint64_t copied, bytes;  /* objects that it lacked and was given by other targets */
  char *error;
};
struct hf_backup_result {
  struct hf_record *record; /* seq 0 after a dry run; NULL when there is no snapshot */
  struct hf_backup_target *targets;
  size_t n_targets;
  bool partial;             /* exit 3 */
  double seconds;
};
int hf_backup(struct hf_session *s, const struct hf_backup_options *o, struct hf_backup_result *out, struct hf_error *err);
void hf_backup_result_free(struct hf_backup_result *r);

/* Is everything a snapshot refers to at target i, in the stored size? Packs and indexes are compared with one listing each. missing (may be NULL) gets their keys. */
int hf_confirm(struct hf_session *s, size_t target, bool (*refers)(void *ctx, int64_t pack_row), void *ctx, const struct hf_record *rec, struct hf_list *missing, uint64_t *n_missing, struct hf_error *err);

/* ---- reading snapshots (read.c) ---- */
/* What is needed to read one source of a snapshot. */
struct hf_reading {
  struct hf_session *s;
  const struct hf_record *rec;
  const struct hf_record_source *source;
  struct hf_audience audience;
  struct hf_gpg *gpg;          /* the caller's */
  void (*progress)(void *ctx, uint64_t packs, uint64_t total_packs, uint64_t stored, uint64_t total_stored); /* may be NULL; called from several threads, serialised */
  void (*bad)(void *ctx, const char *object, const char *why); /* an object is lost; may be NULL; serialised */
  void *ctx;
};
/* Fill in what it is about; rec must outlive it. Callbacks may be set afterwards. */
void hf_reading_init(struct hf_session *s, const struct hf_record *rec, const struct hf_record_source *source, struct hf_reading *out);
/* Get ready to read packs: secret, indexes, keys of the audience. Done at most once. */
int hf_reading_ready(struct hf_reading *rd, struct hf_error *err);
/* The recipe of a stream, as text in memory (a mapped temporary file); release with hf_mapped_free. The host's own copy is used when allow_local and it is of this very snapshot. Every check is made: digest against the record. */
struct hf_mapped { const char *p; size_t n; };
int hf_reading_recipe(struct hf_reading *rd, const struct hf_record_stream *st, bool allow_local, struct hf_mapped *out, struct hf_error *err);
void hf_mapped_free(struct hf_mapped *m);
/* The chunks of recipe text between line offsets, assembled into the file fd: a raw stream, or the stretch of a tar stream. Bytes lost are left as holes and counted. The stream's length must be right. */
int hf_reading_assemble(struct hf_reading *rd, const struct hf_mapped *recipe, int fd, uint64_t *lost, struct hf_error *err);
/* An unlinked temporary file in the state folder. */
int hf_reading_temp(struct hf_reading *rd, struct hf_error *err);
/* A plan for what is in the packs of this reading's snapshot; hf_plan_free, also when it fails. */
int hf_reading_plan(struct hf_reading *rd, struct hf_plan **out, struct hf_error *err);
/* Run a plan with this reading's keys and targets. */
int hf_reading_execute(struct hf_reading *rd, struct hf_plan *plan, int (*sink)(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err), void *ctx, uint64_t *lost,
                       struct hf_error *err);
const struct hf_record_source *hf_record_find_source(const struct hf_record *r, const char *name);

/* ---- choosing paths (select.c) ---- */
/* Patterns match a path, or a folder above it; a leading slash is ignored; * and ? do not match a slash, ** does; [..] as in the shell. */
struct hf_select { const struct hf_list *patterns; /* NULL or empty: everything */ };
bool hf_select_wants(const struct hf_select *s, const char *path, size_t n);
/* Is path a folder above something a pattern names literally? */
bool hf_select_leads_to(const struct hf_select *s, const char *path, size_t n);

/* ---- restore (restore.c, restore_tree.c, safety.c) ---- */
struct hf_restore_options {
  const struct hf_list *sources;  /* empty: all of the snapshot */
  const struct hf_list *patterns; /* --path */
  const char *to;                 /* folder, or NULL: in place */
  bool no_owner;
  bool no_local;                  /* recipes come from the repository, also where the state folder has them */
  void (*progress)(void *ctx, const char *source, uint64_t packs, uint64_t total_packs, uint64_t stored, uint64_t total_stored);
  void (*bad)(void *ctx, const char *object, const char *why);
  void (*problem)(void *ctx, const char *source, const char *path, bool lost, const char *what); /* also told of every lost file */
  void *ctx;
};
struct hf_restore_result {
  uint64_t files, folders, links, others, streams, bytes;
  uint64_t matched;          /* entries and streams that the patterns name, folders above them not counted; what there is when there are no patterns */
  uint64_t lost, problems;   /* entries or streams not restored; others that are not exactly as they were */
  struct hf_list safety;     /* safety copies made */
  uint64_t checked;          /* in place: bytes of files that were read back and found right */
  uint64_t undo;             /* in place: the number that undoes it, 0: nothing was replaced */
  double seconds;
};
/* Exit 3 when lost or problems are not 0. */
int hf_restore(struct hf_session *s, const struct hf_record *rec, const struct hf_restore_options *o, struct hf_restore_result *out, struct hf_error *err);

/* ---- verify (verify.c, verify_read.c) ---- */
struct hf_verify_options {
  double read_percent;  /* 0: presence only; 100: every object is fetched and its digest computed */
  bool decrypt;         /* packs decrypted, chunks identified, recipes walked */
  void (*finding)(void *ctx, const char *target, const char *object, const char *what); /* something is wrong */
  void (*extra)(void *ctx, const char *target, const char *object); /* an object that the target need not hold; may be NULL */
  void (*progress)(void *ctx, const char *target, const char *what, uint64_t done, uint64_t total);
  void *ctx;
};
struct hf_verify_target { const char *name; uint64_t objects, bytes, needed, missing, damaged, extra, read; }; /* needed: objects that it has to hold */
struct hf_verify_result {
  struct hf_verify_target *targets;
  size_t n_targets;
  uint64_t snapshots, packs, chunks, recipes; /* looked at; chunks and recipes with decrypt */
  uint64_t findings;
  double seconds;
};
/* Findings are not errors; an error is what prevented verifying. */
int hf_verify(struct hf_session *s, const struct hf_verify_options *o, struct hf_verify_result *out, struct hf_error *err);
void hf_verify_result_free(struct hf_verify_result *r);

#endif
