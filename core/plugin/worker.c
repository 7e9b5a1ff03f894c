/* worker.c - a worker process as the core sees it: start, listen, end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "plugin/internal.h"
#include "plugin/worker_proto.h"

#define TICK_MS 250
#define SWEEPS 20
#define PATIENCE_S 10.0 /* for a worker that has said its last word to exit */
#define SLOTS_SIZE ((size_t)HF_WORKER_SLOTS * HF_WORKER_SLOT)

extern char **environ;

void hf_job_add(json_t *job, const char *key, const char *text) {
  if (!text) return;
  size_t n = strlen(text);
  char *hex = hf_alloc(2 * n + 1);
  hf_hex(hex, text, n);
  json_object_set_new(job, key, json_string(hex));
  hf_wipe(hex, 2 * n);
  free(hex);
}

int hf_worker_status(int status) { return status <= 0 && status >= HOLDFAST_E_USAGE ? status : HOLDFAST_E_FAILED; }

/* ---- starting ---- */

/* This very program, even when its file has been replaced meanwhile. Under an emulator (valgrind) the kernel's idea of it is
 * the emulator,
 * and the link's text is what we want. */
static const char *own_program(char *path, size_t cap) {
  struct stat mine, named;
  ssize_t n = readlink("/proc/self/exe", path, cap - 1);
  if (n <= 0) return "/proc/self/exe";
  path[n] = 0;
  bool other = stat("/proc/self/exe", &mine) == 0 && stat(path, &named) == 0 &&
               (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev);
  return other ? path : "/proc/self/exe";
}

static int describe(posix_spawn_file_actions_t *a, const int want[], int copies[], int n) {
  int rc = posix_spawn_file_actions_addopen(a, 0, "/dev/null", O_RDONLY, 0);
  if (rc == 0) rc = posix_spawn_file_actions_addopen(a, 1, "/dev/null", O_WRONLY, 0);
  for (int i = 0; i < n && rc == 0; i++) {
    /* From copies well above what gets overwritten. */
    copies[i] = fcntl(want[i], F_DUPFD_CLOEXEC, 10);
    rc = copies[i] < 0 ? errno : posix_spawn_file_actions_adddup2(a, copies[i], 3 + i);
  }
  return rc != 0 ? rc : posix_spawn_file_actions_addclosefrom_np(a, 3 + n);
}

/* The environment of a worker, whose array the caller frees. One that is another account's gets no secret of ours: that account can read it. */
static char **environment(bool other_account) {
  size_t n = 0, kept = 0;
  while (environ[n]) n++;
  char **env = hf_allocn(n + 1, sizeof *env);
  for (size_t i = 0; i < n; i++)
    if (!other_account || !hf_secret_in_env(environ[i])) env[kept++] = environ[i];
  return env;
}

static int spawn(const int want[], int n, bool other_account, pid_t *pid) {
  char name[] = HF_WORKER_NAME, path[4096];
  char *argv[] = {name, NULL};
  int copies[3] = {-1, -1, -1};
  char **env = environment(other_account);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  sigset_t none, defaults;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attr);
  sigemptyset(&none);
  sigemptyset(&defaults);
  static const int signals[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < HF_NELEM(signals); i++) sigaddset(&defaults, signals[i]);
  posix_spawnattr_setsigmask(&attr, &none);
  posix_spawnattr_setsigdefault(&attr, &defaults);
  /* A session of its own: the terminal's interrupt is for the core, a program that a plugin starts has no terminal to ask for a password on, and
   * with the session end the processes a plugin has started, in whatever groups they are. */
  posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  int rc = describe(&actions, want, copies, n);
  if (rc == 0) rc = posix_spawn(pid, own_program(path, sizeof path), &actions, &attr, argv, env);
  for (int i = 0; i < n; i++) hf_closep(&copies[i]);
  free(env);
  posix_spawnattr_destroy(&attr);
  posix_spawn_file_actions_destroy(&actions);
  return rc;
}

/* The job's text into slot 0. */
static int write_job(struct hf_worker *w, const char *op, json_t *extra, size_t *n, struct hf_error *err) {
  const struct hf_worker_job *job = w->job;
  HF_CLEANUP(hf_json_decrefp) json_t *j = extra ? extra : json_object();
  json_object_set_new(j, "op", json_string(op));
  hf_job_add(j, "plugin", job->plugin->file);
  hf_job_add(j, "instance", job->instance);
  hf_job_add(j, "user", job->user);
  json_object_set_new(j, "log", json_integer(hf_log_threshold));
  json_object_set_new(j, "settings", hf_settings_to_json(job->settings));
  char *text = json_dumps(j, JSON_COMPACT);
  if (!text) return hf_fail(err, HOLDFAST_E_FAILED, "the settings of %s cannot be handed to its worker", job->instance);
  *n = strlen(text);
  bool fits = *n <= HF_WORKER_SLOT;
  if (fits) memcpy(w->slots, text, *n);
  hf_wipe(text, *n);
  free(text);
  return fits ? 0 : hf_fail(err, HOLDFAST_E_CONFIG, "the settings of %s are too long", job->instance);
}

static int make_memory(struct hf_worker *w, struct hf_error *err) {
  int fd = memfd_create(HF_WORKER_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return hf_fail_errno(err, errno, "cannot make shared memory");
  int rc = ftruncate(fd, SLOTS_SIZE) == 0 ? 0 : hf_fail_errno(err, errno, "cannot make shared memory");
  /* The worker must not take the ground away below us. */
  if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    rc = hf_fail_errno(err, errno, "cannot seal shared memory");
  if (rc == 0) {
    void *p = mmap(NULL, SLOTS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
      rc = hf_fail_errno(err, errno, "cannot map shared memory");
    else
      w->slots = p;
  }
  if (rc == 0) return fd;
  close(fd);
  return rc;
}

int hf_worker_start(struct hf_worker *w, const struct hf_worker_job *job, const char *op, json_t *extra, int previous_fd,
                    struct hf_error *err) {
  *w = (struct hf_worker){.pid = -1, .fd = -1, .job = job};
  int ends[2] = {-1, -1};
  size_t n = 0;
  int memory = make_memory(w, err);
  int rc = memory < 0 ? memory : 0;
  if (rc == 0)
    rc = write_job(w, op, extra, &n, err);
  else
    json_decref(extra);
  if (rc == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    rc = hf_fail_errno(err, errno, "cannot make a socket pair");
  if (rc == 0) {
    const int want[] = {ends[1], memory, previous_fd};
    int e = spawn(want, previous_fd >= 0 ? 3 : 2, job->user != NULL, &w->pid);
    if (e != 0) {
      w->pid = -1;
      rc = hf_fail_errno(err, e, "cannot start a worker process");
    }
  }
  hf_closep(&ends[1]);
  /* There is room for all that a worker in its right mind leaves lying: one that takes nothing must not keep us waiting. */
  if (rc == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) rc = hf_fail_errno(err, errno, "cannot set up a socket");
  if (memory >= 0) close(memory);
  w->fd = ends[0];
  w->heard = w->looked = hf_now();
  struct hf_msg m = {.type = HF_MSG_JOB, .length = (uint32_t)n};
  if (rc == 0) rc = hf_worker_send(w, &m, NULL, err);
  if (rc != 0) hf_worker_kill(w);
  return rc;
}

/* ---- ending ---- */

static void free_all(struct hf_worker *w) {
  hf_closep(&w->fd);
  if (w->slots) munmap(w->slots, SLOTS_SIZE);
  w->slots = NULL;
}

/* Wait until it has ended by the deadline, without taking its pid from it: the group is named by it. */
static bool ended_by(const struct hf_worker *w, double deadline) {
  for (;;) {
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno != EINTR) return true;
    if (info.si_pid == w->pid) return true;
    if (hf_now() >= deadline) return false;
    struct timespec nap = {0, 2 * 1000 * 1000};
    nanosleep(&nap, NULL);
  }
}

/* The session of a process that has not ended, else -1. Its name stands between the first '(' and the last ')', and may hold anything. */
static long session_of(const char *pid) {
  char path[40], text[512];
  char state = 0;
  long session = -1;
  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  HF_CLEANUP(hf_fclosep) FILE *f = fopen(path, "re");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  text[n] = 0;
  const char *after = strrchr(text, ')');
  if (!after || sscanf(after + 1, " %c %*d %*d %ld", &state, &session) != 2) return -1;
  return state == 'Z' || state == 'X' ? -1 : session;
}

/* End what else is in the worker's session. True when there was something. */
static bool end_session(pid_t worker) {
  bool found = false;
  DIR *d = opendir("/proc");
  for (const struct dirent *e; d && (e = readdir(d));) {
    pid_t pid = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? (pid_t)atol(e->d_name) : 0;
    if (pid <= 1 || pid == worker || session_of(e->d_name) != worker) continue;
    found = kill(pid, SIGKILL) == 0 || found;
  }
  if (d) closedir(d);
  return found;
}

/* End the worker and all that it has started; returns the wait status. While it is not waited for, no other session can have its number. */
static int reap(struct hf_worker *w) {
  int status = 0;
  if (w->pid <= 0) return 0;
  kill(-w->pid, SIGKILL);
  kill(w->pid, SIGKILL);
  /* Again as long as there are some: they may be starting others. One that cannot be killed must not keep us. */
  for (int i = 0; i < SWEEPS && end_session(w->pid); i++) continue;
  while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR) continue;
  w->pid = -1;
  return status;
}

void hf_worker_kill(struct hf_worker *w) {
  reap(w);
  free_all(w);
}

void hf_worker_stop(struct hf_worker *w) {
  hf_closep(&w->fd);
  if (w->pid > 0) ended_by(w, hf_now() + PATIENCE_S);
  hf_worker_kill(w);
}

int hf_worker_nonsense(struct hf_worker *w, const char *what, struct hf_error *err) {
  hf_worker_kill(w);
  return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's worker broke the protocol (%s) and was ended", what);
}

/* Its end of the socket is closed. */
static int died(struct hf_worker *w, struct hf_error *err) {
  if (!ended_by(w, hf_now() + 2)) {
    hf_worker_kill(w);
    return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's worker closed its connection and was ended");
  }
  int status = reap(w);
  free_all(w);
  if (WIFSIGNALED(status))
    return hf_fail(err, HOLDFAST_E_FAILED, "the plugin crashed (signal %d, %s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return hf_fail(err, HOLDFAST_E_FAILED, "the plugin ended its process (exit code %d)", WEXITSTATUS(status));
}

/* ---- listening ---- */

/* Its private memory in bytes, 0 when unknown. */
static uint64_t private_memory(pid_t pid) {
  char path[40];
  unsigned long long total, resident = 0, shared = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  HF_CLEANUP(hf_fclosep) FILE *f = fopen(path, "re");
  if (!f || fscanf(f, "%llu %llu %llu", &total, &resident, &shared) != 3 || shared > resident) return 0;
  return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* While nothing comes: is there a reason to end it? */
static int watch(struct hf_worker *w, double now, struct hf_error *err) {
  const struct hf_worker_job *job = w->job;
  if (job->cancel && *job->cancel) {
    if (w->canceled == 0 && isinf(w->grace)) hf_log(HF_LOG_NOTICE, "source %s: what it has begun to replace comes to its end; another signal breaks it off", job->instance);
    if (w->canceled == 0) w->canceled = now;
    if (now - w->canceled < w->grace) return 0;
    hf_worker_kill(w);
    return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  }
  if (now - w->looked < 1) return 0;
  w->looked = now;
  if (private_memory(w->pid) > HF_WORKER_RSS_MAX) {
    hf_worker_kill(w);
    return hf_fail(err, HOLDFAST_E_FAILED, "the plugin took more than %llu MiB of memory and was ended",
                   (unsigned long long)(HF_WORKER_RSS_MAX / HF_MIB));
  }
  return 0;
}

static int wait_for(struct hf_worker *w, struct hf_error *err) {
  struct pollfd p = {w->fd, POLLIN, 0};
  int rc = poll(&p, 1, TICK_MS);
  double now = hf_now();
  if (rc == 0 && w->job->timeout > 0 && now - w->heard >= (double)w->job->timeout) {
    hf_worker_kill(w);
    return hf_fail(err, HOLDFAST_E_TIMEOUT, "no progress for %lld s; the plugin was ended", (long long)w->job->timeout);
  }
  if (rc < 0 && errno != EINTR) return hf_worker_nonsense(w, "poll", err);
  return 0;
}

static void print_log(const struct hf_worker *w, const struct hf_msg *m) {
  int level = m->status;
  if (level < HF_LOG_WARNING || level > HF_LOG_DEBUG) level = HF_LOG_NOTICE;
  hf_log((enum hf_log_level)level, "source %s: %s", w->job->instance, m->text);
}

int hf_worker_receive(struct hf_worker *w, struct hf_msg *m, struct hf_error *err) {
  if (w->pid <= 0) return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's worker has been ended");
  /* Only the time spent waiting here is silence; the caller's own work is not. */
  w->heard = hf_now();
  for (;;) {
    int rc = hf_msg_recv(w->fd, m, true);
    if (rc == 0) return died(w, err);
    if (rc < 0 && rc != -EAGAIN) return hf_worker_nonsense(w, "not a message", err);
    if (rc == 1) w->heard = hf_now();
    int ended = watch(w, rc == 1 ? w->heard : hf_now(), err);
    if (ended != 0) return ended;
    if (rc == 1 && m->type != HF_MSG_LOG) return 0;
    if (rc == 1)
      print_log(w, m);
    else if ((ended = wait_for(w, err)) != 0)
      return ended;
  }
}

int hf_worker_send(struct hf_worker *w, struct hf_msg *m, const char *text, struct hf_error *err) {
  if (w->pid <= 0) return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's worker has been ended");
  int rc = hf_msg_send(w->fd, m, text, NULL);
  if (rc == 0) return 0;
  if (rc == -EPIPE || rc == -ECONNRESET) return died(w, err);
  hf_worker_kill(w);
  return hf_fail_errno(err, -rc, "cannot talk to the plugin's worker");
}
