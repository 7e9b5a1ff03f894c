/* kept.c - putting back what a restore in place has moved aside.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct move {
  char *aside; /* NULL: nothing was there */
  bool put;    /* what was kept is in its place */
};

/* "PLACE: WHAT THAT": a line for the log. */
static void say(const struct holdfast_host *host, int level, const char *place, const char *what, const char *that, int error) {
  char line[1000];
  if (!host->log) return;
  snprintf(line, sizeof line, "%.400s: %s %.400s%s%s", place, what, that, error ? ": " : "", error ? strerror(error) : "");
  host->log(host->ctx, level, line);
}

static int say_errno(const struct holdfast_host *host, int error, const char *path) {
  int status = error == EACCES || error == EPERM ? HOLDFAST_E_AUTH : error == ENOSPC || error == EDQUOT ? HOLDFAST_E_NO_SPACE : HOLDFAST_E_FAILED;
  return holdfast_fail(host, status, "%s: %s%s", path, strerror(error), error == EXDEV ? " (what was kept is on another file system)" : "");
}

/* To a name that is free. 0, or -errno. */
static int move_aside(const char *place, const char *stamp, char **aside) {
  for (int i = 0; i < 1000; i++) {
    char more[16] = "";
    if (i > 0) snprintf(more, sizeof more, "-%d", i);
    if (asprintf(aside, "%s.before-undo-%s%s", place, stamp, more) < 0) *aside = NULL;
    if (!*aside) return -ENOMEM;
    int rc = renameat2(AT_FDCWD, place, AT_FDCWD, *aside, RENAME_NOREPLACE) == 0 ? 0 : -errno;
    if (rc == 0) return 0;
    free(*aside);
    *aside = NULL;
    if (rc != -EEXIST) return rc == -ENOENT ? 0 : rc;
  }
  return -EEXIST;
}

static void move_back(const struct holdfast_host *host, const struct holdfast_kept *items, struct move *v, size_t n) {
  while (n-- > 0) {
    if (v[n].put && rename(items[n].place, items[n].kept_as) != 0) say(host, HOLDFAST_LOG_WARNING, items[n].place, "could not be moved back to", items[n].kept_as, errno);
    else if (v[n].aside && rename(v[n].aside, items[n].place) != 0) say(host, HOLDFAST_LOG_WARNING, v[n].aside, "could not be moved back to", items[n].place, errno);
  }
}

static void sync_folder(const char *place) {
  char *dir = strdup(place);
  char *slash = dir ? strrchr(dir, '/') : NULL;
  if (slash) slash[slash == dir] = '\0';
  int fd = slash ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  free(dir);
}

static int one(const struct holdfast_host *host, const struct holdfast_kept *item, const char *stamp, struct move *m) {
  struct stat st;
  if (item->place[0] != '/' || (item->kept_as && item->kept_as[0] != '/')) return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "%s: is no file, and cannot be put back", item->place);
  if (item->kept_as && lstat(item->kept_as, &st) != 0)
    return errno == ENOENT ? holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "%s: what was kept as %s is not there any more", item->place, item->kept_as) : say_errno(host, errno, item->kept_as);
  int rc = move_aside(item->place, stamp, &m->aside);
  if (rc < 0) return say_errno(host, -rc, item->place);
  if (!item->kept_as) return HOLDFAST_OK;
  if (renameat2(AT_FDCWD, item->kept_as, AT_FDCWD, item->place, RENAME_NOREPLACE) != 0) return say_errno(host, errno, item->place);
  m->put = true;
  return HOLDFAST_OK;
}

int hfp_put_back(const struct holdfast_host *host, const struct holdfast_kept *items, size_t n) {
  char stamp[32];
  struct tm tm;
  time_t now = time(NULL);
  struct move *v = calloc(n + 1, sizeof *v);
  int rc = v ? HOLDFAST_OK : holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  size_t done = 0;
  strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
  for (; rc == HOLDFAST_OK && done < n; done++) rc = one(host, &items[done], stamp, &v[done]);
  if (rc != HOLDFAST_OK && v) move_back(host, items, v, done);
  for (size_t i = 0; rc == HOLDFAST_OK && i < n; i++) {
    sync_folder(items[i].place);
    if (v[i].aside) say(host, HOLDFAST_LOG_NOTICE, items[i].place, "what was there is kept as", v[i].aside, 0);
    if (host->kept) host->kept(host->ctx, items[i].place, v[i].aside);
  }
  for (size_t i = 0; v && i < n; i++) free(v[i].aside);
  free(v);
  return rc;
}
