/* process.c - child processes: start, wait with a time limit, run and collect.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

#define OUTPUT_MAX HF_MIB /* what hf_run keeps of each output */
#define KILL_AFTER_S 2.0  /* from SIGTERM to SIGKILL */

extern char **environ;

/* Describe in a how the child's descriptors come about. copies: where the duplicates are, for the caller to close. */
static int describe(posix_spawn_file_actions_t *a, const int want[4], int copies[4]) {
  for (int i = 0; i < 4; i++) {
    if (want[i] < 0) {
      int rc = i < 3 ? posix_spawn_file_actions_addopen(a, i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0) : 0;
      if (rc != 0) return rc;
      continue;
    }
    /* From a copy well above the descriptors that get overwritten: the caller's may be 0 to 3 in any order, and a dup2 onto
     * itself would leave close-on-exec set. */
    copies[i] = fcntl(want[i], F_DUPFD_CLOEXEC, 10);
    if (copies[i] < 0) return errno;
    int rc = posix_spawn_file_actions_adddup2(a, copies[i], i);
    if (rc != 0) return rc;
  }
  /* Ours are all close-on-exec. Those of a library in this process may not be. */
  return posix_spawn_file_actions_addclosefrom_np(a, want[3] < 0 ? 3 : 4);
}

int hf_spawn(char *const argv[], char *const env[], int in, int out, int errfd, int extra_fd, struct hf_child *c,
             struct hf_error *err) {
  const int want[4] = {in, out, errfd, extra_fd};
  int copies[4] = {-1, -1, -1, -1};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  sigset_t none, defaults;
  pid_t pid = -1;

  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attr);
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&attr, &none);
  posix_spawnattr_setsigdefault(&attr, &defaults);
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int rc = describe(&actions, want, copies);
  if (rc == 0) rc = posix_spawnp(&pid, argv[0], &actions, &attr, argv, env ? env : environ);
  for (int i = 0; i < 4; i++) hf_closep(&copies[i]);
  posix_spawnattr_destroy(&attr);
  posix_spawn_file_actions_destroy(&actions);
  if (rc != 0) return hf_fail_errno(err, rc, "cannot start %s", argv[0]);
  c->pid = pid;
  return 0;
}

static int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

/* 1 and *status when the child has ended and was reaped, 0 when it runs, negative errno. */
static int reap(struct hf_child *c, int options, int *status) {
  pid_t r;
  while ((r = waitpid(c->pid, status, options)) < 0 && errno == EINTR) continue;
  if (r < 0) return -errno;
  if (r == 0) return 0;
  c->pid = -1;
  return 1;
}

/* A descriptor that becomes readable when the process ends, or -1 on kernels before 5.3. */
static int pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

/* Sleep until the child ends, fd by pidfd, or the deadline; without pidfd for a moment only. */
static void pause_for(int fd, double deadline) {
  double left = deadline - hf_now();
  int ms = left <= 0 ? 0 : left > 3600 ? 3600 * 1000 : (int)(left * 1000) + 1;
  struct pollfd p = {fd, POLLIN, 0};
  poll(&p, 1, fd < 0 ? HF_MIN(ms, 10) : ms);
}

/* Reap by the deadline: as reap. */
static int reap_until(struct hf_child *c, int fd, double deadline, int *status) {
  for (;;) {
    int rc = reap(c, WNOHANG, status);
    if (rc != 0 || hf_now() >= deadline) return rc;
    pause_for(fd, deadline);
  }
}

/* End the child politely, then not. */
static void put_down(struct hf_child *c, int fd) {
  int status;
  kill(c->pid, SIGTERM);
  if (reap_until(c, fd, hf_now() + KILL_AFTER_S, &status) != 0) return;
  kill(c->pid, SIGKILL);
  reap(c, 0, &status);
}

int hf_wait(struct hf_child *c, unsigned timeout_s, int *exit_code, struct hf_error *err) {
  if (c->pid <= 0) return hf_fail(err, HOLDFAST_E_FAILED, "no child to wait for");
  int status = 0, rc;
  if (timeout_s == 0) {
    rc = reap(c, 0, &status);
  } else {
    HF_CLEANUP(hf_closep) int fd = pidfd(c->pid);
    rc = reap_until(c, fd, hf_now() + timeout_s, &status);
    if (rc == 0) {
      put_down(c, fd);
      return hf_fail(err, HOLDFAST_E_TIMEOUT, "took longer than %u s and was ended", timeout_s);
    }
  }
  if (rc < 0) return hf_fail_errno(err, -rc, "cannot wait for a child process");
  if (exit_code) *exit_code = exit_code_of(status);
  return 0;
}

/* ---- hf_run ---- */

struct pipe_end {
  int fd;            /* our end, non-blocking; -1 when at its end or not wanted */
  struct hf_buf *to; /* filled up to OUTPUT_MAX beyond start; what comes later is read and dropped */
  size_t start;
};

/* Take what there is, but at most a pipe's largest size at a time: a child that never stops writing must not keep us from looking
 * at the clock. Returns 0 or a negative errno. */
static int drain(struct pipe_end *p) {
  char block[16384];
  for (int i = 0; i < 64 && p->fd >= 0; i++) {
    ssize_t n = read(p->fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? 0 : -errno;
    if (n == 0) {
      hf_closep(&p->fd);
      break;
    }
    size_t have = p->to->len - p->start;
    hf_buf_add(p->to, block, have < OUTPUT_MAX ? HF_MIN((size_t)n, (size_t)OUTPUT_MAX - have) : 0);
  }
  return 0;
}

/* A pipe from the child: our end in p, the child's in *theirs; nothing at all when nobody wants the output. */
static int open_pipe(struct hf_buf *to, struct pipe_end *p, int *theirs, struct hf_error *err) {
  int fds[2];
  if (!to) return 0;
  if (pipe2(fds, O_CLOEXEC) != 0) return hf_fail_errno(err, errno, "cannot make a pipe");
  *p = (struct pipe_end){fds[0], to, to->len};
  *theirs = fds[1];
  /* Ours only: the flag belongs to the open file, and the ends of a pipe are two. */
  if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) return hf_fail_errno(err, errno, "cannot make a pipe");
  return 0;
}

/* The input as a memory file: it cannot fill up, and a child that does not read it costs no SIGPIPE. */
static int open_input(const void *in, size_t n, int *fd, struct hf_error *err) {
  if (!in) return 0;
  int got = hf_memfd("input", err);
  if (got < 0) return got;
  *fd = got;
  return hf_pwrite_all(got, in, n, 0, err);
}

/* Collect until both outputs are at their end or the child is; 0, or a negative status. */
static int collect(struct hf_child *c, int pfd, struct pipe_end ends[2], double deadline, int *status, bool *reaped, struct hf_error *err) {
  for (;;) {
    int rc = reap(c, WNOHANG, status);
    if (rc < 0) return hf_fail_errno(err, -rc, "cannot wait for a child process");
    *reaped = rc > 0;
    /* After it has ended, all it wrote is in the pipes already. A daemon it left behind may hold them open for ever. */
    for (int i = 0; i < 2; i++)
      if ((rc = drain(&ends[i])) != 0) return hf_fail_errno(err, -rc, "cannot read from a child process");
    if (*reaped) return 0;
    double left = deadline - hf_now();
    if (left <= 0) return hf_fail(err, HOLDFAST_E_TIMEOUT, "timed out");
    struct pollfd p[3] = {{ends[0].fd, POLLIN, 0}, {ends[1].fd, POLLIN, 0}, {pfd, POLLIN, 0}};
    int ms = left > 3600 ? 3600 * 1000 : (int)(left * 1000) + 1;
    if (poll(p, 3, pfd < 0 ? HF_MIN(ms, 10) : ms) < 0 && errno != EINTR) return hf_fail_errno(err, errno, "poll");
  }
}

int hf_run(char *const argv[], char *const env[], const void *in, size_t in_n, struct hf_buf *out, struct hf_buf *errout,
           unsigned timeout_s, int *exit_code, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int in_fd = -1, out_fd = -1, err_fd = -1, pfd = -1;
  struct pipe_end ends[2] = {{-1, NULL, 0}, {-1, NULL, 0}};
  struct hf_child c = {-1};
  int status = 0;
  bool reaped = false;

  int rc = open_input(in, in_n, &in_fd, err);
  if (rc == 0) rc = open_pipe(out, &ends[0], &out_fd, err);
  if (rc == 0) rc = open_pipe(errout, &ends[1], &err_fd, err);
  if (rc == 0) rc = hf_spawn(argv, env, in_fd, out_fd, err_fd, -1, &c, err);
  if (rc == 0) {
    hf_closep(&out_fd);
    hf_closep(&err_fd);
    pfd = pidfd(c.pid);
    rc = collect(&c, pfd, ends, timeout_s ? hf_now() + timeout_s : HUGE_VAL, &status, &reaped, err);
    if (!reaped && c.pid > 0) put_down(&c, pfd);
    if (rc == HOLDFAST_E_TIMEOUT) rc = hf_fail(err, rc, "%s took longer than %u s and was ended", argv[0], timeout_s);
  }
  hf_closep(&ends[0].fd);
  hf_closep(&ends[1].fd);
  if (rc != 0) return rc;
  if (exit_code) *exit_code = exit_code_of(status);
  return 0;
}
