/* drill.h - rehearsing a restore.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_DRILL_H
#define HF_DRILL_H

#include "engine/engine.h"

struct hf_drill_options {
  const struct hf_list *sources; /* names; empty: all of the snapshot */
  const char *scratch;           /* an existing folder to work below; NULL: $TMPDIR or /tmp */
  bool full_speed;               /* compete with production for processor and disk */
  struct hf_restore_options restore; /* its callbacks; the rest is the drill's own */
  void (*step)(void *ctx, const char *source, const char *what); /* what is being done now; may be NULL */
  void *ctx;
};
enum hf_drill_verdict {
  HF_DRILL_PASSED,
  HF_DRILL_RESTORED, /* the plugin has no way to verify */
  HF_DRILL_FAILED    /* also: it took longer than its rto */
};
struct hf_drill_source {
  char *name;
  enum hf_drill_verdict verdict;
  char *message;          /* what the plugin found, or what is wrong; may be NULL when restored */
  uint64_t files, bytes;
  double restore_seconds, verify_seconds;
  int64_t rto;            /* seconds it may take, 0: none is said */
};
struct hf_drill_result {
  struct hf_drill_source *sources;
  size_t n_sources, failed;
  uint64_t seq;           /* of the snapshot, its id and its time */
  char *id;
  int64_t snapshot_time, time;  /* time: when the drill ended */
  double seconds;
  int64_t rto;            /* of all together, 0: none is said */
  char *late;             /* a sentence when all together took longer, else NULL */
};
/* Did it pass as a whole? */
static inline bool hf_drill_passed(const struct hf_drill_result *r) { return r->failed == 0 && !r->late; }
/* "passed", "restored" or "failed". */
const char *hf_drill_word(enum hf_drill_verdict v);
/* Restore every source to a private temporary folder, one after the other, and have its plugin verify the copy; the folder is removed. A source that fails is a verdict; an error is what prevented
 * the drill. At most one source's data is on disk at a time.
 * What comes is compared with the record: how many files and raw streams (restoring them compares sizes and digests), and the time with `rto =`. From here on the process has the lowest
 * priority for processor and disk, and all it starts inherits that, unless full_speed. */
int hf_drill(struct hf_session *s, const struct hf_record *rec, const struct hf_drill_options *o, struct hf_drill_result *out, struct hf_error *err);
void hf_drill_result_free(struct hf_drill_result *r);

/* ---- choosing (drill_pick.c) ---- */
/* The sequence number of one of the older snapshots that can be restored, any with the same probability; target: from this one only, or NULL. After hf_session_chain. HOLDFAST_E_NOT_FOUND when there is none but the newest. */
int hf_drill_pick(struct hf_session *s, const char *target, uint64_t *seq, struct hf_error *err);

/* ---- what is kept of it (drill_keep.c) ---- */
/* The result as it stands in a record's "extra" and, with more, in reports: integers only. New reference. */
json_t *hf_drill_json(const struct hf_drill_result *r);
/* Put the result on the chain as a signed record. s: opened for writing, its chain read. *seq: the record's number. */
int hf_drill_record(struct hf_session *s, const struct hf_drill_result *r, uint64_t *seq, struct hf_error *err);
/* Write the result to the folder drills/ of the state folder dir, and remove the oldest there beyond keep. A state folder that is not there is an error. */
int hf_drill_remember(const char *dir, int64_t keep, const struct hf_drill_result *r, struct hf_error *err);
/* Call fn with each result there, oldest first; one that cannot be read is reported through bad. A negative status of fn ends it. */
int hf_drill_history(const char *dir, int (*fn)(void *ctx, const json_t *drill), void (*bad)(void *ctx, const char *file, const char *why), void *ctx, struct hf_error *err);

#endif
