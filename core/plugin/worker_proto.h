/* worker_proto.h - what the core and a worker process say to each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One message is one packet: the fixed part and the two texts behind each other. Both ends are the same program, so the
 * struct goes over as it is.
 * Data lies in the slots of the shared memory. In a backup the worker fills slots and the core hands them back with
 * HF_MSG_SLOT; in a restore
 * the core fills slots and the worker's answer hands them back.
 */
#ifndef HF_WORKER_PROTO_H
#define HF_WORKER_PROTO_H

#include "plugin/worker.h"

#define HF_WORKER_NAME "holdfast-worker" /* argv[0] */
#define HF_WORKER_SOCKET 3
#define HF_WORKER_MEMORY 4
#define HF_WORKER_PREVIOUS 5
#define HF_WORKER_TEXT 4096u         /* longest text; a longer one is cut and ends in "..." */
#define HF_WORKER_STATE (64u * 1024) /* longest state */
#define HF_WORKER_NO_SLOT UINT32_MAX
#define HF_WORKER_RSS_MAX (1024ULL * 1024 * 1024) /* private memory of a worker; beyond it, it is ended */

enum hf_msg_type {
  /* to the worker */
  HF_MSG_JOB = 1,       /* slot 0: the job */
  HF_MSG_SLOT,          /* slot is free again */
  HF_MSG_RESTORE_TREE,  /* text: stream */
  HF_MSG_RESTORE_BEGIN, /* text: stream, v[0]: size */
  HF_MSG_RESTORE_WRITE, /* slot */
  HF_MSG_RESTORE_END,
  HF_MSG_RESTORE_FINISH, /* v[0]: complete */
  HF_MSG_RESTORE_CLOSE,
  /* from the worker, in a backup */
  HF_MSG_STREAM_BEGIN = 100, /* text: name, text2: format, v[0]: size */
  HF_MSG_BYTES,              /* slot */
  HF_MSG_CUT,
  HF_MSG_LINES,      /* slot */
  HF_MSG_PREVIOUS,   /* v[0]: offset, v[1]: length */
  HF_MSG_BULK_BEGIN, /* v[0]: fixed */
  HF_MSG_BULK,       /* slot */
  HF_MSG_BULK_END,
  HF_MSG_DISTRUST,
  HF_MSG_STREAM_END,
  HF_MSG_PROGRESS, /* text: path, v[0..2]: entries, bytes, read */
  HF_MSG_STATE,    /* slot: what finish gave */
  /* from the worker, always */
  HF_MSG_PROBLEM = 200, /* status, text: path, text2: what */
  HF_MSG_LOG,           /* status: level, text */
  HF_MSG_RESULT,        /* of the job or one restore call: status, text: message or folder, slot: handed back, v: counts */
  HF_MSG_KEPT           /* text: place, text2: kept as, "" for nothing */
};

struct hf_msg {
  uint32_t type;
  int32_t status;
  uint32_t slot;   /* HF_WORKER_NO_SLOT when there is none */
  uint32_t length; /* bytes in it */
  uint64_t v[8];
  uint32_t text_n, text2_n;          /* without NUL */
  char text[2 * HF_WORKER_TEXT + 2]; /* received: text NUL text2 NUL */
};

/* Pack and send. text and text2 may be NULL. 0, or a negative errno (-EPIPE: the other end is gone). (worker_msg.c) */
int hf_msg_send(int fd, struct hf_msg *m, const char *text, const char *text2);
/* Receive one; 1, 0 at the end, negative errno (-EAGAIN with dontwait), -EPROTO for a packet that is no message. The texts
 * are NUL-terminated. */
int hf_msg_recv(int fd, struct hf_msg *m, bool dontwait);
static inline const char *hf_msg_text2(const struct hf_msg *m) { return m->text + m->text_n + 1; }

/* ---- the core's side ---- */
struct hf_worker {
  pid_t pid; /* -1: ended and waited for */
  int fd;
  unsigned char *slots;
  const struct hf_worker_job *job;
  double heard;  /* when it last said something */
  double looked; /* when its memory was last looked at */
  double grace;  /* seconds from the run's being cancelled to its being ended; HUGE_VAL: it is not */
  double canceled; /* when that was seen; 0: it was not */
};

/* Start a worker and give it the job. extra: further members of the job, stolen. (worker.c) */
int hf_worker_start(struct hf_worker *w, const struct hf_worker_job *job, const char *op, json_t *extra, int previous_fd,
                    struct hf_error *err);
/* The next message, logs and problems aside: log lines are printed. A worker that dies, is silent for too long, or grows too
 * large is
 * ended, and so is one when the run is cancelled. */
int hf_worker_receive(struct hf_worker *w, struct hf_msg *m, struct hf_error *err);
/* Send; a worker that cannot take it is ended. */
int hf_worker_send(struct hf_worker *w, struct hf_msg *m, const char *text, struct hf_error *err);
/* It said what cannot be: end it; returns the status. */
int hf_worker_nonsense(struct hf_worker *w, const char *what, struct hf_error *err);
/* Its work is done: let it go, forcibly if it does not; free all. */
void hf_worker_stop(struct hf_worker *w);
/* End it now. */
void hf_worker_kill(struct hf_worker *w);
/* A status from outside: one of enum holdfast_status, else HOLDFAST_E_FAILED. */
int hf_worker_status(int status);
/* Add a text that may hold any bytes to a job. */
void hf_job_add(json_t *job, const char *key, const char *text);

/* ---- the worker's side ---- */
struct hf_side {
  int fd;
  unsigned char *slots;
  struct hf_plugin *plugin;
  struct hf_settings *settings;
  const json_t *job;
  struct holdfast_host host;
  int log_level;
  char words[HF_WORKER_TEXT]; /* what the plugin said last with host->error */
};

/* The core is gone: nothing is left to do. (worker_child.c) */
_Noreturn void hf_side_lost(void);
void hf_side_send(struct hf_side *s, struct hf_msg *m, const char *text, const char *text2);
void hf_side_receive(struct hf_side *s, struct hf_msg *m);
/* A text of the job, as bytes; NULL when it has none. Owned by the caller. */
char *hf_side_text(const struct hf_side *s, const char *key);
/* Send HF_MSG_RESULT. */
void hf_side_result(struct hf_side *s, int status, const char *text);
/* The jobs. Each sends its results itself. (worker_child_backup.c, worker_child_restore.c) */
void hf_side_backup(struct hf_side *s);
void hf_side_restore(struct hf_side *s);
void hf_side_probe(struct hf_side *s);
void hf_side_verify(struct hf_side *s);
void hf_side_undo(struct hf_side *s);

#endif
