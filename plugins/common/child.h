/* child.h - child processes for plugins: started without a shell, never outliving the plugin, their last words kept.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Functions that return an int give HOLDFAST_OK or a status whose message the host has been given.
 */
#ifndef HFP_CHILD_H
#define HFP_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include <holdfast/plugin.h>

#define HFP_PIPE (-2)

/* How to run a program. Zero it, then set what is wanted; in, out and err always: 0 is a descriptor. */
struct hfp_run {
  const char *const *argv; /* ends in NULL; argv[0] is looked for on PATH unless it holds a slash */
  const char *const *env;  /* ends in NULL: "NAME=VALUE" adds to or replaces what is inherited, "NAME" removes; may be NULL */
  const char *account;     /* when root: become it, with its groups and HOME, USER, LOGNAME; otherwise, and when NULL: stay */
  const char *dir;         /* current folder; NULL: "/" */
  int in, out;             /* a descriptor, -1 for /dev/null, or HFP_PIPE */
  int err;                 /* a descriptor; -1: the last 4 KiB are kept for hfp_words */
  unsigned timeout;        /* seconds from the start, after which it is ended with HOLDFAST_E_TIMEOUT; 0: none */
};

struct hfp_child;

/* Start it. It leads a process group of its own, and dies when this process does. A program that cannot be executed is an error here. */
int hfp_start(const struct holdfast_host *host, const struct hfp_run *how, struct hfp_child **out);
/* Up to n bytes of its standard output (HFP_PIPE). 0 at the end: when it has closed it, or has ended and everything it wrote has been read (a daemon that it leaves behind may hold
 * the pipe open for ever). Negative status on error. */
int64_t hfp_read(struct hfp_child *c, void *buf, size_t n);
/* All n bytes to its standard input (HFP_PIPE). HOLDFAST_E_FAILED when it does not take it any more. Its standard output must not be a pipe then: nobody would read it. */
int hfp_write(struct hfp_child *c, const void *buf, size_t n);
/* No more input. */
void hfp_close_in(struct hfp_child *c);
/* Close its input, drop what it still prints, wait until it has ended. *code: its exit code, or 128 + the signal that ended it. */
int hfp_end(struct hfp_child *c, int *code);
/* Has it ended? *code as above, untouched while it runs. Never blocks. */
bool hfp_ended(struct hfp_child *c, int *code);
/* Send a signal to its process group. */
void hfp_signal(struct hfp_child *c, int sig);
/* The last line that it wrote to standard error, control bytes shown as '?'; "" for none. Valid until hfp_free. */
const char *hfp_words(struct hfp_child *c);
pid_t hfp_pid(const struct hfp_child *c);
/* End it if it still runs (SIGTERM to its group, SIGKILL two seconds later) and free. NULL is fine. */
void hfp_free(struct hfp_child *c);

/* Run to the end with its standard output collected: *out (NUL-terminated, caller frees; may be NULL) is at most max bytes, more is an error. how->out is not looked at.
 * words (may be NULL): its last words, caller frees. An exit code other than 0 is no error. */
int hfp_collect(const struct holdfast_host *host, const struct hfp_run *how, size_t max, char **out, size_t *out_n, int *code, char **words);

/* A private folder (mode 0700) below $TMPDIR or /tmp; belongs to account when root and given. *path: caller frees, and removes the folder. */
int hfp_temp_dir(const struct holdfast_host *host, const char *account, char **path);
/* rm -r, as far as it can be done; no link is followed. */
void hfp_remove_tree(const char *path);

#endif
