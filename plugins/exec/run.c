/* run.c - a running command: its output, its words, its time, its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of what it says are pipes of ours, so that one poll watches its output, its words, its end and the clock: whatever it does or does not do, nothing
 * here waits for more than half a second without looking round.
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 500
#define PIPE_SIZE (1024 * 1024) /* asked for, not insisted on: fewer turns for the same bytes */
#define STRAGGLERS_MS 5000      /* how long the output may stay open, and silent, after the command has ended */
#define NOTICE_MS 60000         /* a command that takes long and gives nothing: how often we say that it is still at work */

struct hf_exec_run {
  const struct hf_exec_options *o;
  enum hf_exec_setting which;
  char title[160];
  struct hfp_child *child;
  int in;                /* the caller's; a file of which we can tell how much was taken, or -1 */
  int out, err, pidfd;   /* -1: closed */
  bool exited, reaped;
  int code;
  int64_t deadline;      /* ms; 0: none */
  int64_t quiet_since;   /* ms: when the last byte of output came, or the command ended */
  int64_t notice_at;     /* ms; 0: never */
  struct hf_exec_words words;
};

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* ---- starting ---- */

/* A pipe whose reading end does not block. */
static int make_pipe(struct hf_exec_run *r, int *reader, int *writer) {
  int fd[2];
  if (pipe2(fd, O_CLOEXEC) != 0) return holdfast_fail(r->o->host, HOLDFAST_E_FAILED, "%s: cannot make a pipe: %s", r->title, strerror(errno));
  *reader = fd[0];
  *writer = fd[1];
  if (fcntl(fd[0], F_SETFL, O_NONBLOCK) != 0)
    return holdfast_fail(r->o->host, HOLDFAST_E_FAILED, "%s: cannot set up a pipe: %s", r->title, strerror(errno));
  return HOLDFAST_OK;
}

static int start(struct hf_exec_run *r, const struct hf_exec_env *env) {
  const struct holdfast_host *host = r->o->host;
  int out = -1, err = -1;
  const char **argv = hf_exec_argv(r->o, r->which);
  int rc = argv ? make_pipe(r, &r->err, &err) : holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  if (rc == HOLDFAST_OK && r->out == 0) {
    r->out = -1;
    rc = make_pipe(r, &r->out, &out);
    if (rc == HOLDFAST_OK) (void)fcntl(out, F_SETPIPE_SZ, PIPE_SIZE);
  }
  struct hfp_run how = {.argv = argv,
                        .env = (const char *const *)env->v,
                        .dir = r->o->directory,
                        .in = r->in,
                        .out = out >= 0 ? out : err,
                        .err = err};
  char path[PATH_MAX];
  if (rc == HOLDFAST_OK) rc = hf_exec_find(r->o, r->which, path, sizeof path);
  if (rc == HOLDFAST_OK) rc = hfp_start(host, &how, &r->child);
  shut(&out);
  shut(&err);
  free(argv);
  if (rc != HOLDFAST_OK) return rc;
  r->pidfd = (int)syscall(SYS_pidfd_open, hfp_pid(r->child), 0); /* is closed on exec by itself */
  if (r->pidfd < 0) return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: cannot watch it: %s", r->title, strerror(errno));
  return HOLDFAST_OK;
}

int hf_exec_run_start(const struct hf_exec_options *o, enum hf_exec_setting which, int in, bool capture, const char *file,
                      struct hf_exec_run **out) {
  struct hf_exec_run *r = calloc(1, sizeof *r);
  struct hf_exec_env env = {0};
  bool room = r != NULL;
  for (size_t i = 0; room && i < o->env.n; i++) {
    const char *eq = strchr(o->env.v[i], '=');
    room = hf_exec_env_set(&env, o->env.v[i], (size_t)(eq - o->env.v[i]), eq + 1, strlen(eq + 1));
  }
  if (room && file) room = hf_exec_env_set(&env, "HOLDFAST_FILE", strlen("HOLDFAST_FILE"), file, strlen(file));
  int rc = room ? HOLDFAST_OK : holdfast_fail(o->host, HOLDFAST_E_FAILED, "out of memory");
  if (rc == HOLDFAST_OK) {
    r->o = o;
    r->which = which;
    hf_exec_title(o, which, r->title, sizeof r->title);
    r->in = in;
    r->out = capture ? 0 : -1;
    r->err = r->pidfd = -1;
    rc = start(r, &env);
  }
  hf_exec_env_free(&env);
  if (rc != HOLDFAST_OK) {
    hf_exec_run_free(r);
    return rc;
  }
  int64_t now = now_ms();
  r->deadline = o->time_limit > 0 ? now + o->time_limit * 1000 : 0;
  r->notice_at = capture ? 0 : now + NOTICE_MS; /* output is a sign of life in itself */
  *out = r;
  return HOLDFAST_OK;
}

/* ---- going on ---- */

static int look_round(struct hf_exec_run *r, int64_t now) {
  const struct holdfast_host *host = r->o->host;
  if (host->cancelled(host->ctx)) return holdfast_fail(host, HOLDFAST_E_CANCELED, "stopped");
  if (r->deadline > 0 && now >= r->deadline)
    return holdfast_fail(host, HOLDFAST_E_TIMEOUT, "%s: not done after time-limit = %" PRId64 "s, and was ended%s%s", r->title, r->o->time_limit,
                         r->words.last[0] ? "; its last words: " : "", r->words.last);
  if (r->notice_at > 0 && now >= r->notice_at) {
    off_t at = r->in >= 0 ? lseek(r->in, 0, SEEK_CUR) : -1;
    char text[300], taken[64] = "";
    if (at >= 0) snprintf(taken, sizeof taken, ", and has taken %" PRId64 " MiB", (int64_t)at >> 20);
    snprintf(text, sizeof text, "%s: still at work%s", r->title, taken);
    host->log(host->ctx, HOLDFAST_LOG_NOTICE, text);
    r->notice_at = now + NOTICE_MS;
  }
  return HOLDFAST_OK;
}

/* What has come on standard error. The rounds are bounded: a command may write faster than we log. */
static void take_words(struct hf_exec_run *r) {
  char buf[16384];
  for (int i = 0; i < 64 && r->err >= 0; i++) {
    ssize_t n = read(r->err, buf, sizeof buf);
    if (n > 0)
      hf_exec_words_take(&r->words, r->o, r->title, buf, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
      shut(&r->err);
    else if (errno == EAGAIN)
      return;
  }
}

/* Wait until there is output, words, an end, or something to look at. */
static int turn(struct hf_exec_run *r) {
  struct pollfd p[] = {{r->out, POLLIN, 0}, {r->err, POLLIN, 0}, {r->exited ? -1 : r->pidfd, POLLIN, 0}};
  int64_t now = now_ms(), wait = TICK_MS;
  int rc = look_round(r, now);
  if (rc != HOLDFAST_OK) return rc;
  if (r->deadline > 0 && r->deadline - now < wait) wait = r->deadline - now;
  if (poll(p, sizeof p / sizeof *p, (int)wait) < 0 && errno != EINTR)
    return holdfast_fail(r->o->host, HOLDFAST_E_FAILED, "%s: cannot wait for it: %s", r->title, strerror(errno));
  if (p[1].revents) take_words(r);
  if (p[2].revents) {
    r->exited = true;
    r->quiet_since = now_ms();
  }
  return HOLDFAST_OK;
}

int64_t hf_exec_run_read(struct hf_exec_run *r, void *buf, size_t n) {
  int rc = look_round(r, now_ms());
  while (rc == HOLDFAST_OK && r->out >= 0) {
    ssize_t got = read(r->out, buf, n);
    if (got > 0) {
      if (r->exited) r->quiet_since = now_ms();
      return got;
    }
    if (got == 0)
      shut(&r->out);
    else if (errno != EAGAIN && errno != EINTR)
      return holdfast_fail(r->o->host, HOLDFAST_E_FAILED, "%s: cannot read its output: %s", r->title, strerror(errno));
    else if (r->exited && now_ms() - r->quiet_since >= STRAGGLERS_MS)
      /* Whether that one has more to say nobody can know: a dump that may be half a dump is none. */
      return holdfast_fail(r->o->host, HOLDFAST_E_FAILED,
                           "%s: has ended, but a process that it left behind keeps its standard output open; give that one another "
                           "standard output, or wait for it in the command",
                           r->title);
    else
      rc = turn(r);
  }
  return rc;
}

/* ---- the end ---- */

static int judge(struct hf_exec_run *r) {
  const char *sep = r->words.last[0] ? ": " : "", *said = r->words.last;
  if (r->code > 128 && r->code <= 128 + 64) {
    /* A shell reports its own program's signal by the same number. */
    const char *name = sigabbrev_np(r->code - 128);
    if (name) return holdfast_fail(r->o->host, HOLDFAST_E_FAILED, "%s: ended by signal %d (SIG%s)%s%s", r->title, r->code - 128, name, sep, said);
  }
  return holdfast_fail(r->o->host, HOLDFAST_E_FAILED, "%s: ended with exit code %d%s%s", r->title, r->code, sep, said);
}

int hf_exec_run_end(struct hf_exec_run *r, int *code) {
  int rc = HOLDFAST_OK;
  shut(&r->out);
  while (rc == HOLDFAST_OK && !r->exited) rc = turn(r);
  if (rc != HOLDFAST_OK) return rc;
  if (!r->reaped) {
    rc = hfp_end(r->child, &r->code);
    if (rc != HOLDFAST_OK) return rc;
    r->reaped = true;
    take_words(r); /* what was in the pipe when it ended; what others write there later is not waited for */
    hf_exec_words_end(&r->words, r->o, r->title);
  }
  if (code) *code = r->code;
  bool good = r->which == HF_EXEC_COMMAND ? r->code >= 0 && r->code <= 255 && r->o->success[r->code] : r->code == 0;
  return good ? HOLDFAST_OK : judge(r);
}

const char *hf_exec_run_words(const struct hf_exec_run *r) { return r->words.last; }

void hf_exec_run_free(struct hf_exec_run *r) {
  if (!r) return;
  shut(&r->out);
  shut(&r->err);
  hfp_free(r->child);
  shut(&r->pidfd);
  free(r);
}
