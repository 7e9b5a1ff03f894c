/* status.h - how the backups of this host stand.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_STATUS_H
#define HF_STATUS_H

#include "engine/notify.h"
#include "engine/session.h"

#define HF_STATUS_RUNS 10u /* newest runs that are listed */

struct hf_status_source {
  const char *name;
  uint64_t seq;         /* newest snapshot that has it and can be had, 0 none */
  int64_t time, age;    /* of that; age in seconds, -1 none */
  int64_t rpo, rto;
  uint64_t bytes, files;
  bool partial;         /* it has it in part */
  enum hf_stand stand;
};
struct hf_status_target {
  const char *name;
  bool open, away;      /* can be reached; is removable and not there */
  char *error;          /* why it cannot be reached, or NULL */
  uint64_t seq;
  int64_t time, age, rpo;
  uint64_t records, missing_records;
  bool counted;         /* its objects were listed */
  uint64_t objects, missing_objects; /* packs and indexes that it has to hold */
  double level;         /* per cent of records and, when counted, objects; -1 unknown */
  uint64_t free_bytes, total; /* total 0: it does not tell */
  enum hf_stand stand;  /* of age and level, the worse */
};
struct hf_status_key { const char *spec; char *fpr, *uid; int64_t expires; /* 0: never */ };
enum hf_run_result { HF_RUN_DONE, HF_RUN_PARTIAL, HF_RUN_FAILED, HF_RUN_RUNNING, HF_RUN_KILLED };
extern const char *const hf_run_result_names[];
struct hf_status_run {
  int64_t id, started, finished;
  char *verb;
  int exit;
  enum hf_run_result result;
  char *error;          /* or NULL */
};
struct hf_status_drill {
  uint64_t seq, snapshot; /* the record, 0 for none; what was restored */
  int64_t time;
  char *verdict;
  double seconds;         /* -1 unknown */
};
struct hf_status_channel { const char *name; enum hf_channel type; int64_t tried, good; char *error; };

struct hf_status {
  enum hf_stand worst;
  struct hf_findings findings; /* everything that was looked at, also what is well */
  bool quick;
  bool chain;                  /* the chain could be read; else what follows is what the host remembers */
  uint64_t head, snapshots;
  struct hf_status_source *sources; size_t n_sources;
  struct hf_status_target *targets; size_t n_targets;
  struct hf_status_key *keys; size_t n_keys;
  struct hf_status_run *runs; size_t n_runs;        /* newest first */
  struct hf_status_run *last, *good; size_t n_last; /* the newest of each verb and the newest that did all (id 0: none), side by side */
  struct hf_status_drill drill;
  struct hf_status_channel *channels; size_t n_channels;
  uint64_t state_free, state_total;
};

struct hf_status_options { bool quick; /* no listing of packs */ };

/* Look at everything. s is opened with HF_SESSION_READ | HF_SESSION_NO_TARGETS. runs may be NULL (not this host's state). What is wrong is a finding; an error is being stopped. */
int hf_status(struct hf_session *s, struct hf_runs *runs, const struct hf_status_options *o, struct hf_status *out, struct hf_error *err);
void hf_status_free(struct hf_status *st);

/* ---- thresholds ---- */
/* age -1: there is none. rpo 0: not watched. WARNING from 20/24 of rpo on, CRITICAL past it. */
enum hf_stand hf_rpo_stand(int64_t age, int64_t rpo);
/* WARNING from 80 per cent used on, CRITICAL from 90. total 0: OK. */
enum hf_stand hf_disk_stand(uint64_t free_bytes, uint64_t total);
/* Per cent, used. */
double hf_used(uint64_t free_bytes, uint64_t total);
/* expires 0: never. WARNING within 30 days, CRITICAL when it has passed. */
enum hf_stand hf_expiry_stand(int64_t expires, int64_t now);

/* ---- forms (metrics.c) ---- */
/* Prometheus' text format. */
void hf_status_metrics(const struct hf_status *st, const char *host, struct hf_buf *out);
/* The line a Nagios plugin prints, without perfdata: "HOLDFAST WARNING - ...". */
void hf_status_line(const struct hf_status *st, struct hf_buf *out);
/* Its perfdata, blank-separated. */
void hf_status_perfdata(const struct hf_status *st, struct hf_buf *out);

#endif
