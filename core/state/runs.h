/* runs.h - what was run and what came of it, what the channels were told, and how they fared.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A database of its own, runs.sqlite in the state folder: a backup keeps the other one locked from checkpoint to checkpoint, and meanwhile a restore is to be noted and an alarm sent.
 * Each call is a transaction. Losing it costs the history, and alarms are told once more.
 */
#ifndef HF_STATE_RUNS_H
#define HF_STATE_RUNS_H

#include "base/base.h"

struct hf_runs;
/* dir: the state folder, which exists. Refuses a database of a newer version. */
int hf_runs_open(const char *dir, struct hf_runs **out, struct hf_error *err);
void hf_runs_close(struct hf_runs *r);

struct hf_run_row {
  int64_t id;                /* positive, ascending, never used again */
  char *verb;
  int64_t started, finished; /* Unix; finished 0: did not say that it ended */
  int exit;                  /* once finished */
  char *facts;               /* JSON object, "" before the end */
};
void hf_run_row_free(struct hf_run_row *row);

int hf_runs_begin(struct hf_runs *r, const char *verb, int64_t now, int64_t *id, struct hf_error *err);
int hf_runs_end(struct hf_runs *r, int64_t id, int64_t now, int exit, const char *facts, struct hf_error *err);
/* As if it had not begun. */
int hf_runs_forget(struct hf_runs *r, int64_t id, struct hf_error *err);
/* The newest run, with verb (or NULL for any) and, when good, of those that ended with exit code 0. 1 and *out (hf_run_row_free), 0 none, negative. */
int hf_runs_last(struct hf_runs *r, const char *verb, bool good, struct hf_run_row *out, struct hf_error *err);
/* The newest first, at most max of them. A negative return of fn ends it. */
int hf_runs_each(struct hf_runs *r, unsigned max, int (*fn)(void *ctx, const struct hf_run_row *row), void *ctx, struct hf_error *err);
/* Forget what began before a time, but for the newest of each verb and the newest good one. gone is called for each id. */
int hf_runs_sweep(struct hf_runs *r, int64_t before, void (*gone)(void *ctx, int64_t id), void *ctx, struct hf_error *err);

/* ---- alarms that a channel was told of ---- */
/* 1 with *verdict and *when, 0, negative. */
int hf_told_get(struct hf_runs *r, const char *channel, const char *key, int *verdict, int64_t *when, struct hf_error *err);
int hf_told_set(struct hf_runs *r, const char *channel, const char *key, int verdict, int64_t when, struct hf_error *err);
int hf_told_drop(struct hf_runs *r, const char *channel, const char *key, struct hf_error *err);
/* The keys a channel was told of, appended to out. */
int hf_told_keys(struct hf_runs *r, const char *channel, struct hf_list *out, struct hf_error *err);

/* ---- how a channel fared ---- */
struct hf_channel_row {
  int64_t tried, good; /* Unix; good 0: never */
  uint64_t failures;   /* since it was good last */
  char *error;         /* of the last try, or NULL; hf_channel_row_free */
};
void hf_channel_row_free(struct hf_channel_row *row);
/* error NULL: the message went out. */
int hf_channel_note(struct hf_runs *r, const char *channel, int64_t now, const char *error, struct hf_error *err);
/* 1, 0 never tried, negative. */
int hf_channel_get(struct hf_runs *r, const char *channel, struct hf_channel_row *out, struct hf_error *err);

#endif
