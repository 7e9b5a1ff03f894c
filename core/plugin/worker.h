/* worker.h - a source plugin in a process of its own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The core re-executes itself (argv[0] "holdfast-worker") with one end of a SOCK_SEQPACKET pair as descriptor 3 and a memfd of HF_WORKER_SLOTS slots of HF_WORKER_SLOT bytes as descriptor 4. The first message
 * is a job in JSON (in slot 0): what to do, plugin file, settings, user, keys. For a backup the worker then sends small fixed-size messages, data in slots; the core hands each slot back
 * when it is done with it. Everything that comes from the worker is checked as outside data: slot numbers, lengths, order, text. A worker that dies, breaks the protocol or is silent for the time-out
 * gives HOLDFAST_E_FAILED/HOLDFAST_E_TIMEOUT for its source and nothing else.
 *
 * The kernel ends a worker when the thread that started it ends: that thread must outlive it. Data handed to emit lies in memory the worker can still write to: take a copy
 * before working out what it is called.
 */
#ifndef HF_WORKER_H
#define HF_WORKER_H

#include "base/digest.h"
#include "plugin/plugin.h"
#include "stream/tree.h"

#define HF_WORKER_SLOTS 6u
#define HF_WORKER_SLOT (1024u * 1024)

struct hf_worker_job {
  const struct hf_plugin *plugin;
  const struct hf_settings *settings;
  const char *instance;   /* source name */
  const char *user;       /* account to become, or NULL */
  int64_t timeout;        /* seconds of silence, 0 never */
  volatile int *cancel;   /* checked between messages: non-zero ends the worker; may be NULL */
  void (*kept)(void *ctx, const char *place, const char *kept_as); /* restore in place and undo: what the plugin has replaced, kept_as NULL for nothing; may be NULL */
  void *kept_ctx;
};

/* Backup: runs hf_tree_run in the worker and replays its events on emit, in the calling thread. previous_fd: recipe text of last time as a file (-1 none); state gets the plugin's JSON (or NULL), caller frees.
 * emit->buffer is not used here. err: the source's failure. */
int hf_worker_backup(const struct hf_worker_job *job, const unsigned char *group_key, int previous_fd, const struct hf_emit *emit, struct hf_tree_counts *counts,
                     char **state, struct hf_error *err);
/* Probe and verify; message (caller frees) is what the plugin said, also when it succeeded, or NULL. HOLDFAST_E_UNSUPPORTED without a process being started when the
 * plugin has no such callback. */
int hf_worker_probe(const struct hf_worker_job *job, char **message, struct hf_error *err);
int hf_worker_verify(const struct hf_worker_job *job, const char *directory, const char *state, char **message, struct hf_error *err);

/* Undo (or, with discard, remove) what a restore in place kept: items as job->kept was told them, in the order they are to be dealt with. As hf_worker_verify otherwise. */
struct hf_worker_item { char *place, *kept_as; };
int hf_worker_undo(const struct hf_worker_job *job, bool discard, const struct hf_worker_item *items, size_t n, char **message, struct hf_error *err);

/* Restore half, driven by the core call by call. */
struct hf_worker_restore;
int hf_worker_restore_open(const struct hf_worker_job *job, enum holdfast_restore_mode mode, const char *directory, const char *state, struct hf_worker_restore **out, struct hf_error *err);
/* The folder for a tree; caller frees. HOLDFAST_E_UNSUPPORTED when the plugin has no restore half (then the caller uses directory itself). */
int hf_worker_restore_tree(struct hf_worker_restore *r, const char *stream, char **dir, struct hf_error *err);
int hf_worker_restore_begin(struct hf_worker_restore *r, const char *stream, uint64_t size, struct hf_error *err);
int hf_worker_restore_write(struct hf_worker_restore *r, const void *p, size_t n, struct hf_error *err);
int hf_worker_restore_end(struct hf_worker_restore *r, struct hf_error *err);
int hf_worker_restore_finish(struct hf_worker_restore *r, bool complete, struct hf_error *err);
void hf_worker_restore_close(struct hf_worker_restore *r);

/* What main() calls first: when this process was started as a worker, do the work and exit; else return. */
void hf_worker_main_if(int argc, char **argv);

#endif
