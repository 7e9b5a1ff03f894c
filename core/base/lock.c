/* lock.c - an advisory lock on a file that says who holds it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

struct hf_lock {
  int fd;
};

/* The file that was locked may have been removed while we waited for it: then the lock is on a name that is gone. */
static bool still_there(int fd, const char *path) {
  struct stat a, b;
  return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Who holds it, as its file says: "holdfast backup (process 17, since 2026-11-20T09:18:52Z)". Caller frees. */
static char *holder(int fd) {
  char text[256];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = 0;
  /* PID, Unix time and name, a line each. What is not as we write it is left out. */
  char *end = NULL, *what = NULL;
  long pid = strtol(text, &end, 10);
  if (pid <= 0 || *end != '\n') return hf_strdup("another process");
  long long since = strtoll(end + 1, &what, 10);
  if (since <= 0 || *what != '\n') return hf_asprintf("process %ld", pid);
  what++;
  char when[HF_TIME_LEN];
  hf_format_time(when, since);
  HF_CLEANUP(hf_freep) char *shown = hf_printable(what, strcspn(what, "\n"));
  return hf_asprintf("%s (process %ld, since %s)", *shown ? shown : "another process", pid, when);
}

/* For people and for messages. A full disk must not keep anybody from pruning. */
static void sign(int fd, const char *path, const char *what) {
  HF_CLEANUP(hf_freep) char *text = hf_asprintf("%ld\n%lld\n%s\n", (long)getpid(), (long long)hf_wall_clock(), what);
  size_t n = strlen(text);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, n, 0) != (ssize_t)n)
    hf_log(HF_LOG_DEBUG, "cannot write into the lock file %s", path);
}

int hf_lock_take(const char *path, const char *what, double wait_s, const volatile int *cancel, struct hf_lock **out,
                 struct hf_error *err) {
  double deadline = hf_now() + wait_s;
  bool told = false;
  for (;;) {
    HF_CLEANUP(hf_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return hf_fail_errno(err, errno, "cannot open lock file %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return hf_fail_errno(err, errno, "cannot lock %s", path);
      HF_CLEANUP(hf_freep) char *who = holder(fd);
      if (hf_now() >= deadline) return hf_fail(err, HOLDFAST_E_EXISTS, "%s is locked by %s", path, who);
      if (cancel && *cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped while waiting for %s", who);
      if (!told) {
        char most[24];
        hf_format_duration(most, wait_s);
        hf_log(HF_LOG_NOTICE, "waiting for %s, at most %s", who, most);
      }
      told = true;
      /* flock has no time-out of its own, and an alarm would be the process', not ours. */
      usleep(50 * 1000);
    }
    if (!still_there(fd, path)) continue;
    sign(fd, path, what);
    struct hf_lock *l = hf_alloc(sizeof *l);
    l->fd = fd;
    fd = -1;
    *out = l;
    return 0;
  }
}

void hf_lock_free(struct hf_lock *l) {
  if (!l) return;
  if (ftruncate(l->fd, 0) != 0) hf_log(HF_LOG_DEBUG, "cannot empty the lock file");
  /* Said outright, not left to close: a forked child may still hold a copy of the descriptor. */
  flock(l->fd, LOCK_UN);
  close(l->fd);
  free(l);
}
