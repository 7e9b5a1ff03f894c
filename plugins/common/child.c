/* child.c - child processes for plugins.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 4096u /* of standard error: the end of it is kept, whatever its length */
#define KILL_AFTER 2.0  /* seconds from SIGTERM to SIGKILL */
#define POLL_MS 200     /* how often to look whether it has ended or the run is being stopped */

struct hfp_child {
  const struct holdfast_host *host;
  char *name; /* argv[0] */
  pid_t pid;  /* -1: ended and waited for */
  pid_t group;
  int code;
  int in, out, err; /* our ends, -1 when closed or not ours */
  double deadline;  /* 0: none */
  unsigned timeout;
  size_t n_words;
  char words[WORDS_MAX + 1], line[WORDS_MAX + 1];
};

extern char **environ;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static int no_memory(const struct holdfast_host *host) { return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory"); }

/* ---- what the child is given ---- */

/* Everything the child needs, made before the fork: little is allowed after it. */
struct prepared {
  char **env; /* the array is ours, the strings are not, but for `own` */
  char *own[3];
  bool become;
  uid_t uid;
  gid_t gid;
  gid_t *groups;
  int n_groups;
};

static void prepared_free(struct prepared *p) {
  for (size_t i = 0; i < 3; i++) free(p->own[i]);
  free(p->env);
  free(p->groups);
}

static int prepare_account(const struct holdfast_host *host, const char *account, struct prepared *p) {
  errno = 0;
  const struct passwd *pw = getpwnam(account);
  if (!pw) return holdfast_fail(host, HOLDFAST_E_CONFIG, "there is no account %s", account);
  p->become = true;
  p->uid = pw->pw_uid;
  p->gid = pw->pw_gid;
  if (asprintf(&p->own[0], "HOME=%s", pw->pw_dir) < 0 || asprintf(&p->own[1], "USER=%s", account) < 0 || asprintf(&p->own[2], "LOGNAME=%s", account) < 0) return no_memory(host);
  p->n_groups = 64;
  for (;;) {
    gid_t *g = realloc(p->groups, (size_t)p->n_groups * sizeof *g);
    if (!g) return no_memory(host);
    p->groups = g;
    int had = p->n_groups;
    if (getgrouplist(account, p->gid, g, &p->n_groups) >= 0) return HOLDFAST_OK;
    if (p->n_groups <= had) p->n_groups = had * 2;
  }
}

/* Put one "NAME=VALUE" in place of what has its name, or "NAME" nothing. */
static void set_variable(char **env, size_t *n, char *text) {
  size_t name = strcspn(text, "="), kept = 0;
  for (size_t i = 0; i < *n; i++) {
    bool same = strncmp(env[i], text, name) == 0 && (env[i][name] == '=' || env[i][name] == '\0');
    if (!same) env[kept++] = env[i];
  }
  if (text[name] == '=') env[kept++] = text;
  env[kept] = NULL;
  *n = kept;
}

static int prepare(const struct holdfast_host *host, const struct hfp_run *how, struct prepared *p) {
  size_t n = 0, more = 0;
  memset(p, 0, sizeof *p);
  if (how->account && geteuid() == 0) {
    int rc = prepare_account(host, how->account, p);
    if (rc < 0) return rc;
  }
  while (environ[n]) n++;
  while (how->env && how->env[more]) more++;
  p->env = calloc(n + more + 4, sizeof *p->env);
  if (!p->env) return no_memory(host);
  memcpy(p->env, environ, n * sizeof *p->env);
  for (size_t i = 0; i < 3 && p->own[i]; i++) set_variable(p->env, &n, p->own[i]);
  for (size_t i = 0; i < more; i++) set_variable(p->env, &n, (char *)how->env[i]);
  return HOLDFAST_OK;
}

/* ---- in the child ---- */

/* want as descriptor `as`; -1: /dev/null. */
static bool arrange(int want, int as) {
  if (want < 0) want = open("/dev/null", as == 0 ? O_RDONLY : O_WRONLY);
  return want >= 0 && (want == as ? fcntl(as, F_SETFD, 0) == 0 : dup2(want, as) == as);
}

_Noreturn static void run_child(const struct hfp_run *how, const struct prepared *p, const int ends[3], int report, pid_t parent) {
  sigset_t none;
  int fds[3];
  bool good = true;
  /* Out of the way first: a descriptor that is wanted as 1 may be 0 now. */
  for (int i = 0; i < 3; i++) fds[i] = ends[i] < 0 ? -1 : fcntl(ends[i], F_DUPFD_CLOEXEC, 10);
  report = fcntl(report, F_DUPFD_CLOEXEC, 10);
  for (int i = 0; i < 3; i++) good = good && (ends[i] < 0 || fds[i] >= 0) && arrange(fds[i], i);
  setpgid(0, 0);
  if (good && p->become) good = setgroups((size_t)p->n_groups, p->groups) == 0 && setresgid(p->gid, p->gid, p->gid) == 0 && setresuid(p->uid, p->uid, p->uid) == 0;
  good = good && chdir(how->dir ? how->dir : "/") == 0;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of account, which forgets it */
  if (getppid() != parent) _exit(127);
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (good) execvpe(how->argv[0], (char *const *)how->argv, p->env);
  int e = errno;
  if (write(report, &e, sizeof e) < 0) _exit(126);
  _exit(127);
}

/* ---- starting ---- */

/* A pipe for what is wanted as HFP_PIPE (or, for standard error, as -1): ours and the child's end. */
static bool open_ends(const struct hfp_run *how, int ours[3], int theirs[3]) {
  const int want[3] = {how->in, how->out, how->err == -1 ? HFP_PIPE : how->err};
  bool good = true;
  for (int i = 0; i < 3; i++) {
    int fds[2];
    ours[i] = -1;
    theirs[i] = want[i] >= 0 ? want[i] : -1;
    if (want[i] != HFP_PIPE || !good) continue;
    good = pipe2(fds, O_CLOEXEC) == 0;
    if (!good) continue;
    ours[i] = fds[i == 0];
    theirs[i] = fds[i != 0];
    good = fcntl(ours[i], F_SETFL, O_NONBLOCK) == 0;
  }
  return good;
}

/* What the child could not do, as an errno; 0 when the program runs. */
static int exec_error(int report) {
  int e = 0;
  ssize_t n;
  while ((n = read(report, &e, sizeof e)) < 0 && errno == EINTR) continue;
  return n == (ssize_t)sizeof e ? e : 0;
}

static int fork_child(struct hfp_child *c, const struct hfp_run *how, const struct prepared *p, const int theirs[3]) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return holdfast_fail(c->host, HOLDFAST_E_FAILED, "cannot start %s: %s", c->name, strerror(errno));
  pid_t parent = getpid();
  c->pid = fork();
  if (c->pid == 0) run_child(how, p, theirs, report[1], parent);
  int e = c->pid < 0 ? errno : 0;
  close(report[1]);
  if (e == 0) e = exec_error(report[0]);
  close(report[0]);
  if (e == 0) {
    c->group = c->pid;
    return HOLDFAST_OK;
  }
  if (c->pid > 0) waitpid(c->pid, NULL, 0);
  c->pid = -1;
  return holdfast_fail(c->host, e == ENOENT ? HOLDFAST_E_NOT_FOUND : e == EACCES || e == EPERM ? HOLDFAST_E_AUTH : HOLDFAST_E_FAILED, "cannot start %s: %s", c->name, strerror(e));
}

int hfp_start(const struct holdfast_host *host, const struct hfp_run *how, struct hfp_child **out) {
  struct prepared p;
  int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1};
  struct hfp_child *c = calloc(1, sizeof *c);
  if (!c) return no_memory(host);
  *c = (struct hfp_child){.host = host, .pid = -1, .in = -1, .out = -1, .err = -1, .timeout = how->timeout, .deadline = how->timeout ? now() + how->timeout : 0, .name = strdup(how->argv[0])};
  int rc = c->name ? prepare(host, how, &p) : no_memory(host);
  if (!c->name) memset(&p, 0, sizeof p);
  if (rc == 0 && !open_ends(how, ours, theirs)) rc = holdfast_fail(host, HOLDFAST_E_FAILED, "cannot make a pipe: %s", strerror(errno));
  if (rc == 0) rc = fork_child(c, how, &p, theirs);
  for (int i = 0; i < 3; i++)
    if (ours[i] >= 0) close_fd(&theirs[i]);
  prepared_free(&p);
  c->in = ours[0];
  c->out = ours[1];
  c->err = ours[2];
  if (rc < 0) {
    hfp_free(c);
    return rc;
  }
  *out = c;
  return HOLDFAST_OK;
}

/* ---- while it runs ---- */

static void note_end(struct hfp_child *c, int status) {
  c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  c->pid = -1;
}

static bool reap(struct hfp_child *c) {
  int status;
  if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid) note_end(c, status);
  return c->pid < 0;
}

/* Take what there is of standard error, keeping its end. */
static void drain_words(struct hfp_child *c) {
  char block[WORDS_MAX];
  for (int i = 0; i < 64 && c->err >= 0; i++) {
    ssize_t n = read(c->err, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      close_fd(&c->err);
      return;
    }
    size_t k = (size_t)n, keep = c->n_words < WORDS_MAX - k ? c->n_words : WORDS_MAX - k;
    memmove(c->words, c->words + c->n_words - keep, keep);
    memcpy(c->words + keep, block, k);
    c->n_words = keep + k;
  }
}

static int check_time(struct hfp_child *c) {
  if (c->host->cancelled(c->host->ctx)) return holdfast_fail(c->host, HOLDFAST_E_CANCELED, "stopped");
  if (!c->deadline || now() < c->deadline) return HOLDFAST_OK;
  return holdfast_fail(c->host, HOLDFAST_E_TIMEOUT, "%s took longer than %u s and was ended", c->name, c->timeout);
}

/* Wait a moment for fd to be ready, or for words. */
static void wait_for(struct hfp_child *c, int fd, short events) {
  struct pollfd p[2] = {{fd, events, 0}, {c->err, POLLIN, 0}};
  poll(p, 2, POLL_MS);
  drain_words(c);
}

/* Has it ended? Its pid stays taken, so that its group can still be named. */
static bool has_ended(const struct hfp_child *c) {
  siginfo_t info = {.si_pid = 0};
  return (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno != EINTR) || info.si_pid == c->pid;
}

static void end_now(struct hfp_child *c) {
  int status = 0;
  if (c->pid <= 0) return;
  double limit = now() + KILL_AFTER;
  kill(-c->group, SIGTERM);
  while (!has_ended(c) && now() < limit) {
    struct timespec nap = {0, 5000000};
    nanosleep(&nap, NULL);
  }
  /* Also when it has gone in peace: what it started may not have listened. */
  kill(-c->group, SIGKILL);
  while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
  note_end(c, status);
}

/* A read or write cannot go on: end it when its time is up. */
static int give_up(struct hfp_child *c, int rc) {
  end_now(c);
  return rc;
}

int64_t hfp_read(struct hfp_child *c, void *buf, size_t n) {
  while (c->out >= 0) {
    bool over = reap(c); /* before the read: after it has ended, all it wrote is in the pipe */
    ssize_t k = read(c->out, buf, n);
    if (k > 0) {
      drain_words(c);
      return k;
    }
    if (k < 0 && errno == EINTR) continue;
    if (k < 0 && errno != EAGAIN) return holdfast_fail(c->host, HOLDFAST_E_FAILED, "cannot read from %s: %s", c->name, strerror(errno));
    if (k == 0 || over) break;
    int rc = check_time(c);
    if (rc < 0) return give_up(c, rc);
    wait_for(c, c->out, POLLIN);
  }
  close_fd(&c->out);
  drain_words(c);
  return 0;
}

/* write(2) without the SIGPIPE that a plugin may neither get nor handle: it is blocked, and taken off the list if it came. */
static ssize_t write_quietly(int fd, const void *buf, size_t n) {
  sigset_t pipe_set, old, pending;
  const struct timespec zero = {0, 0};
  sigemptyset(&pipe_set);
  sigaddset(&pipe_set, SIGPIPE);
  sigpending(&pending);
  bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
  ssize_t k = write(fd, buf, n);
  int e = errno;
  if (k < 0 && e == EPIPE && !was_pending)
    while (sigtimedwait(&pipe_set, NULL, &zero) < 0 && errno == EINTR) continue;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = e;
  return k;
}

int hfp_write(struct hfp_child *c, const void *buf, size_t n) {
  const char *p = buf;
  while (n > 0) {
    if (c->in < 0) return holdfast_fail(c->host, HOLDFAST_E_FAILED, "%s takes no more input", c->name);
    ssize_t k = write_quietly(c->in, p, n);
    if (k > 0) {
      p += k;
      n -= (size_t)k;
      continue;
    }
    if (k < 0 && errno == EINTR) continue;
    if (k < 0 && errno != EAGAIN) {
      close_fd(&c->in);
      continue;
    }
    if (reap(c)) { /* what it left behind may hold the pipe open, and will not read it */
      close_fd(&c->in);
      continue;
    }
    int rc = check_time(c);
    if (rc < 0) return give_up(c, rc);
    wait_for(c, c->in, POLLOUT);
  }
  drain_words(c);
  return HOLDFAST_OK;
}

void hfp_close_in(struct hfp_child *c) { close_fd(&c->in); }

bool hfp_ended(struct hfp_child *c, int *code) {
  drain_words(c);
  if (!reap(c)) return false;
  *code = c->code;
  return true;
}

int hfp_end(struct hfp_child *c, int *code) {
  char block[4096];
  close_fd(&c->in);
  while (!reap(c)) {
    while (c->out >= 0) {
      ssize_t k = read(c->out, block, sizeof block);
      if (k == 0) close_fd(&c->out);
      if (k <= 0) break;
    }
    int rc = check_time(c);
    if (rc < 0) return give_up(c, rc);
    /* Its own end shows as the end of its outputs, when these are pipes; else the wait is short. */
    if (c->out < 0 && c->err < 0) {
      struct timespec nap = {0, 2000000};
      nanosleep(&nap, NULL);
    } else {
      wait_for(c, c->out, POLLIN);
    }
  }
  drain_words(c);
  close_fd(&c->out);
  *code = c->code;
  return HOLDFAST_OK;
}

void hfp_signal(struct hfp_child *c, int sig) {
  if (c->pid > 0) kill(-c->group, sig);
}

const char *hfp_words(struct hfp_child *c) {
  drain_words(c);
  size_t end = c->n_words;
  while (end && (c->words[end - 1] == '\n' || c->words[end - 1] == '\r')) end--;
  size_t start = end;
  while (start && c->words[start - 1] != '\n') start--;
  memcpy(c->line, c->words + start, end - start);
  c->line[end - start] = '\0';
  for (size_t i = 0; i < end - start; i++)
    if ((unsigned char)c->line[i] < 0x20 || c->line[i] == 0x7f) c->line[i] = '?';
  return c->line;
}

pid_t hfp_pid(const struct hfp_child *c) { return c->pid; }

void hfp_free(struct hfp_child *c) {
  if (!c) return;
  end_now(c);
  close_fd(&c->in);
  close_fd(&c->out);
  close_fd(&c->err);
  free(c->name);
  free(c);
}

/* ---- run and collect ---- */

static int collect(struct hfp_child *c, size_t max, char **text, size_t *n) {
  size_t cap = 0;
  for (;;) {
    if (*n == cap) {
      cap = cap ? cap * 2 : 4096;
      char *grown = realloc(*text, cap + 1);
      if (!grown) return no_memory(c->host);
      *text = grown;
    }
    int64_t k = hfp_read(c, *text + *n, cap - *n);
    if (k < 0) return (int)k;
    *n += (size_t)k;
    (*text)[*n] = '\0';
    if (k == 0) return HOLDFAST_OK;
    if (*n > max) return holdfast_fail(c->host, HOLDFAST_E_FAILED, "%s printed more than %zu bytes", c->name, max);
  }
}

int hfp_collect(const struct holdfast_host *host, const struct hfp_run *how, size_t max, char **out, size_t *out_n, int *code, char **words) {
  struct hfp_run run = *how;
  struct hfp_child *c = NULL;
  char *text = NULL;
  size_t n = 0;
  run.out = HFP_PIPE;
  int rc = hfp_start(host, &run, &c);
  if (rc < 0) return rc;
  rc = collect(c, max, &text, &n);
  if (rc == 0) rc = hfp_end(c, code);
  if (rc == 0 && words) {
    *words = strdup(hfp_words(c));
    if (!*words) rc = no_memory(host);
  }
  hfp_free(c);
  if (rc == 0 && out) {
    *out = text;
    text = NULL;
  }
  if (rc == 0 && out_n) *out_n = n;
  free(text);
  return rc;
}

/* ---- folders ---- */

int hfp_temp_dir(const struct holdfast_host *host, const char *account, char **path) {
  const char *tmp = getenv("TMPDIR");
  char *p = NULL;
  if (asprintf(&p, "%s/holdfast-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp") < 0) return no_memory(host);
  const struct passwd *pw = account && geteuid() == 0 ? getpwnam(account) : NULL;
  int rc = HOLDFAST_OK;
  if (account && geteuid() == 0 && !pw)
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "there is no account %s", account);
  else if (!mkdtemp(p))
    rc = holdfast_fail(host, HOLDFAST_E_FAILED, "cannot make the folder %s: %s", p, strerror(errno));
  else if (pw && chown(p, pw->pw_uid, pw->pw_gid) != 0) {
    rc = holdfast_fail(host, HOLDFAST_E_FAILED, "cannot give %s to %s: %s", p, account, strerror(errno));
    rmdir(p);
  }
  if (rc < 0) {
    free(p);
    return rc;
  }
  *path = p;
  return HOLDFAST_OK;
}

/* By descriptors, not by paths: what is removed for another account as root must not be led elsewhere by a link put in the place of a folder meanwhile. */
static void empty_folder(int fd) {
  DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
  if (!d && fd >= 0) close(fd);
  for (const struct dirent *e; d && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (unlinkat(dirfd(d), e->d_name, 0) == 0 || (errno != EISDIR && errno != EPERM)) continue;
    empty_folder(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
  }
  if (d) closedir(d);
}

void hfp_remove_tree(const char *path) {
  empty_folder(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  rmdir(path);
}
