/* place.c - a folder filled beside its place and moved there in the end, what was there kept; and is a server at work in it?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/child.h"

int hf_pg_place_stage(struct hf_pg_place *p, const struct holdfast_host *host, const char *stage) {
  p->stage = strdup(stage);
  if (!p->stage) return hf_pg_no_memory(host);
  if (mkdir(stage, 0700) != 0) {
    int saved = errno;
    return holdfast_fail(host, hf_pg_status(saved), "%s: cannot be made: %s%s", stage, strerror(saved),
                         saved == EEXIST ? " (if an earlier restore that was killed left it there, remove it)" : "");
  }
  p->staged = true;
  return 0;
}

/* rename, onto nothing. */
static int move(const struct holdfast_host *host, const char *from, const char *to) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
  int saved = errno;
  const char *hint = saved == EBUSY ? "; it is a mount point: restore to a folder and move what is in it" : "";
  return holdfast_fail(host, hf_pg_status(saved), "%s: cannot be moved to %s: %s%s", from, to, strerror(saved), hint);
}

int hf_pg_place_swap(struct hf_pg_place *p, const struct holdfast_host *host) {
  struct stat st;
  bool there = lstat(p->to, &st) == 0;
  int rc = there ? move(host, p->to, p->aside) : 0;
  if (rc < 0) return rc;
  p->kept = there;
  rc = move(host, p->from, p->to);
  p->put = rc == 0;
  if (rc < 0) hf_pg_place_back(p, host);
  return rc;
}

void hf_pg_place_back(struct hf_pg_place *p, const struct holdfast_host *host) {
  if (p->put && rename(p->to, p->from) != 0)
    hf_pg_log(host, HOLDFAST_LOG_WARNING, "%s: could not be moved away again: %s", p->to, strerror(errno));
  else if (p->kept && rename(p->aside, p->to) != 0)
    hf_pg_log(host, HOLDFAST_LOG_WARNING, "%s: could not be put back to %s: %s", p->aside, p->to, strerror(errno));
  else
    p->kept = false;
  p->put = false;
}

void hf_pg_place_free(struct hf_pg_place *p, bool discard) {
  if (p->staged && discard) hfp_remove_tree(p->stage);
  free(p->stage);
  free(p->to);
  free(p->from);
  free(p->aside);
  *p = (struct hf_pg_place){0};
}

/* Is the current folder of that process the data directory? A server's always is. 1, 0 (also of a process that has ended and is not yet forgotten), or -1
 * when it may not be seen. */
static int works_in(long pid, const char *data) {
  char link[64];
  struct stat a, b;
  snprintf(link, sizeof link, "/proc/%ld/cwd", pid);
  if (stat(link, &a) != 0) return errno == ENOENT ? 0 : -1;
  return stat(data, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int hf_pg_not_running(const struct holdfast_host *host, const char *data) {
  char text[32] = "";
  char *path = hf_pg_join(data, "postmaster.pid");
  if (!path) return hf_pg_no_memory(host);
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
  if (fd < 0 && errno != ENOENT && errno != ENOTDIR) rc = holdfast_fail(host, hf_pg_status(errno), "%s: %s", path, strerror(errno));
  if (fd >= 0) {
    ssize_t n = read(fd, text, sizeof text - 1);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    /* A negative number: a single-user server. A file left behind by a crash names a process that is gone, or by now another program. */
    if (pid < 0) pid = -pid;
    bool alive = pid > 1 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
    if (alive && works_in(pid, data) != 0)
      rc = holdfast_fail(host, HOLDFAST_E_EXISTS, "%s: a server is running there (process %ld): stop it first", data, pid);
    close(fd);
  }
  free(path);
  return rc;
}
