/* names.c - keys, folders, free space and error messages of the local target.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "local.h"

static int status_of(int errnum) {
  switch (errnum) {
  case ENOENT: return HOLDFAST_E_NOT_FOUND;
  case EEXIST: return HOLDFAST_E_EXISTS;
  case EACCES:
  case EPERM:
  case EROFS: return HOLDFAST_E_AUTH;
  case ENOSPC:
  case EDQUOT: return HOLDFAST_E_NO_SPACE;
  case EAGAIN:
  case EBUSY:
  case EMFILE:
  case ENFILE:
  case ENOMEM:
  case ETIMEDOUT: return HOLDFAST_E_TRANSIENT;
  case ESTALE:
  case ENODEV:
  case ENXIO:
  case ENOTCONN: return HOLDFAST_E_FATAL; /* the file system under the open folder has gone */
  default: return HOLDFAST_E_FAILED;
  }
}

int hf_local_errno(const struct local *t, int errnum, const char *what, const char *key) {
  char buf[128];
  return holdfast_fail(t->host, status_of(errnum), "cannot %s %s%s%s: %s", what, t->path, key && *key ? "/" : "", key ? key : "",
                       strerror_r(errnum, buf, sizeof buf));
}

int hf_local_cancelled(const struct local *t) { return holdfast_fail(t->host, HOLDFAST_E_CANCELED, "stopped"); }

int hf_local_pace(const struct local *t, int up, size_t n) {
  bool limited = (up ? t->host->limit_up : t->host->limit_down) != 0;
  return limited ? t->host->pace(t->host->ctx, up, n) : HOLDFAST_OK;
}

bool hf_local_key_ok(const char *s) {
  const char *p = s;
  if (strcmp(s, LOCAL_MARKER) == 0 || strcmp(s, LOCAL_RESERVE) == 0) return false;
  while (1) {
    size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return false;
    if (strncmp(p, LOCAL_TMP, strlen(LOCAL_TMP)) == 0) return false;
    p += n;
    if (*p != '/') break;
    p++;
  }
  return *p == '\0' && p - s <= LOCAL_KEY_MAX;
}

int hf_local_bad_key(const struct local *t, const char *key) {
  return holdfast_fail(t->host, HOLDFAST_E_UNSUPPORTED, "not a key this target can hold: %.600s", key);
}

int hf_local_sync_dir(const struct local *t, int fd) {
  if (!t->durable || TEMP_FAILURE_RETRY(fsync(fd)) == 0) return 0;
  /* Some network and FUSE file systems know no fsync of a folder: their folders are as durable as the server makes them. */
  return errno == EINVAL || errno == ENOTSUP || errno == ENOSYS ? 0 : -1;
}

int hf_local_available(const struct local *t, uint64_t *avail, uint64_t *total) {
  struct statvfs vfs;
  if (TEMP_FAILURE_RETRY(fstatvfs(t->root, &vfs)) != 0) return -1;
  *avail = (uint64_t)vfs.f_bavail * vfs.f_frsize;
  if (total) *total = (uint64_t)vfs.f_blocks * vfs.f_frsize;
  return 0;
}

/* ---- the folders known to be durable ----
 * A folder that is there need not be there after a power cut: another thread, or a run that was killed, may have made it
 * and not have synced the folder above. So the first time an instance stores something in a folder it syncs the one above. */

static size_t known_position(const struct local *t, const char *dir, bool *found) {
  size_t lo = 0, hi = t->n_known;
  *found = false;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = strcmp(t->known[mid], dir);
    if (c == 0) {
      *found = true;
      return mid;
    }
    if (c < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static bool is_known(struct local *t, const char *dir) {
  bool found;
  pthread_mutex_lock(&t->lock);
  known_position(t, dir, &found);
  pthread_mutex_unlock(&t->lock);
  return found;
}

/* Without memory the folder is simply synced again next time. */
static void add_known(struct local *t, const char *dir) {
  bool found;
  pthread_mutex_lock(&t->lock);
  size_t at = known_position(t, dir, &found);
  char *copy = found ? NULL : strdup(dir);
  char **grown = copy ? realloc(t->known, (t->n_known + 1) * sizeof *grown) : NULL;
  if (grown) {
    memmove(grown + at + 1, grown + at, (t->n_known - at) * sizeof *grown);
    grown[at] = copy;
    t->known = grown;
    t->n_known++;
  } else {
    free(copy);
  }
  pthread_mutex_unlock(&t->lock);
}

void hf_local_forget(struct local *t) {
  for (size_t i = 0; i < t->n_known; i++) free(t->known[i]);
  free(t->known);
  t->known = NULL;
  t->n_known = 0;
}

/* One folder down from at; dir is its path below the root, name its last part. */
static int step(struct local *t, int at, const char *dir, const char *name, bool make) {
  bool made = false;
  int fd = TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd < 0 && errno == ENOENT && make) {
    if (TEMP_FAILURE_RETRY(mkdirat(at, name, t->dir_mode)) == 0)
      made = true;
    else if (errno != EEXIST)
      return -1;
    fd = TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (fd < 0) {
    /* Linux calls a link "not a folder" here, which would read as: nothing is there. */
    int saved = errno;
    struct stat st;
    if (saved == ENOTDIR && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) saved = ELOOP;
    errno = saved;
    return -1;
  }
  int bad = 0;
  /* The umask must not have its say: dir-mode is exact. File systems without modes refuse, and have none to get wrong. */
  if (made && fchmod(fd, t->dir_mode) != 0 && errno != EPERM && errno != ENOTSUP) bad = errno;
  if (!bad && make && t->durable && (made || !is_known(t, dir))) {
    if (hf_local_sync_dir(t, at) == 0)
      add_known(t, dir);
    else
      bad = errno;
  }
  if (bad) {
    close(fd);
    errno = bad;
    return -1;
  }
  return fd;
}

int hf_local_parent(struct local *t, const char *key, bool make, const char **leaf) {
  char dir[LOCAL_KEY_MAX + 2];
  size_t len = strlen(key);
  if (len > LOCAL_KEY_MAX + 1) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(dir, key, len + 1);
  int fd = TEMP_FAILURE_RETRY(openat(t->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  char *part = dir, *slash;
  while (fd >= 0 && (slash = strchr(part, '/'))) {
    *slash = '\0';
    int next = step(t, fd, dir, part, make);
    int saved = errno;
    close(fd);
    errno = saved;
    *slash = '/';
    fd = next;
    part = slash + 1;
  }
  *leaf = key + (part - dir);
  return fd;
}
