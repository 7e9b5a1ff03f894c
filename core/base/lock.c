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

static int held_by(const char *path, int fd, struct hf_error *err) {
  char pid[24] = "";
  ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
  pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
  return hf_fail(err, HOLDFAST_E_EXISTS, "%s is locked by %s%s", path, pid[0] ? "process " : "another process", pid);
}

int hf_lock_take(const char *path, unsigned wait_s, struct hf_lock **out, struct hf_error *err) {
  double deadline = hf_now() + wait_s;
  for (;;) {
    HF_CLEANUP(hf_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return hf_fail_errno(err, errno, "cannot open lock file %s", path);
    int rc;
    while ((rc = flock(fd, LOCK_EX | LOCK_NB)) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return hf_fail_errno(err, errno, "cannot lock %s", path);
      if (hf_now() >= deadline) return held_by(path, fd, err);
      /* flock has no time-out of its own, and an alarm would be the process', not ours. */
      usleep(50 * 1000);
    }
    if (!still_there(fd, path)) continue;
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* The pid is a help to people. A full disk must not keep anybody from pruning. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n) hf_log(HF_LOG_DEBUG, "cannot write the pid into %s", path);
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
