/* set.c - sets of texts, following links, and small helpers for plugins that give single files of the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40 /* symbolic links on one way, as in the kernel */

/* Where s is, or where it would have to go. */
static size_t find(const struct hfp_set *set, const char *s, bool *there) {
  size_t low = 0, high = set->n;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    int c = strcmp(set->v[mid], s);
    if (c == 0) {
      *there = true;
      return mid;
    }
    if (c < 0) low = mid + 1;
    else high = mid;
  }
  *there = false;
  return low;
}

int hfp_set_add(struct hfp_set *set, const char *s) {
  bool there;
  size_t at = find(set, s, &there);
  if (there) return 0;
  if (set->n >= HFP_SET_MAX) return -E2BIG;
  if (set->n == set->cap) {
    size_t cap = set->cap ? set->cap * 2 : 32;
    char **v = realloc(set->v, cap * sizeof *v);
    if (!v) return -ENOMEM;
    set->v = v;
    set->cap = cap;
  }
  char *copy = strdup(s);
  if (!copy) return -ENOMEM;
  memmove(set->v + at + 1, set->v + at, (set->n - at) * sizeof *set->v);
  set->v[at] = copy;
  set->n++;
  return 0;
}

bool hfp_set_has(const struct hfp_set *set, const char *s) {
  bool there;
  find(set, s, &there);
  return there;
}

void hfp_set_free(struct hfp_set *set) {
  for (size_t i = 0; i < set->n; i++) free(set->v[i]);
  free(set->v);
  *set = (struct hfp_set){0};
}

static int status_of(int e) {
  switch (e) {
  case ENOENT:
  case ENOTDIR: return HOLDFAST_E_NOT_FOUND;
  case EACCES:
  case EPERM: return HOLDFAST_E_AUTH;
  case ENOSPC:
  case EDQUOT: return HOLDFAST_E_NO_SPACE;
  default: return HOLDFAST_E_FAILED;
  }
}

int hfp_fail_errno(const struct holdfast_host *host, int negative_errno, const char *what) {
  int e = -negative_errno;
  if (e == E2BIG) return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: more than %d files for one source; use several", what, HFP_SET_MAX);
  return holdfast_fail(host, status_of(e), "%s: %s", what, strerror(e));
}

void hfp_log(const struct holdfast_host *host, int level, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->log(host->ctx, level, text);
}

void hfp_problem(const struct holdfast_host *host, const char *path, int status, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->problem(host->ctx, path + strspn(path, "/"), status, text);
}

int hfp_slurp(const char *path, size_t max, char **text, size_t *n) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return -errno;
  struct stat st;
  int rc = fstat(fd, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : (uint64_t)st.st_size > max ? -EFBIG : 0;
  char *b = rc == 0 ? malloc((size_t)st.st_size + 1) : NULL;
  if (rc == 0 && !b) rc = -ENOMEM;
  size_t got = 0;
  while (rc == 0 && got < (size_t)st.st_size) {
    ssize_t k = read(fd, b + got, (size_t)st.st_size - got);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) rc = -errno;
    if (k <= 0) break;
    got += (size_t)k;
  }
  close(fd);
  if (rc < 0) {
    free(b);
    return rc;
  }
  b[got] = '\0';
  *text = b;
  *n = got;
  return 0;
}

int hfp_trail(struct hfp_set *links, const char *root, const char *path, char **real, struct stat *st) {
  char cur[PATH_MAX] = "", rest[PATH_MAX], next[2 * PATH_MAX], full[2 * PATH_MAX], target[PATH_MAX];
  int seen = 0;
  *real = NULL;
  if (snprintf(rest, sizeof rest, "%s", path) >= (int)sizeof rest || strlen(root) >= PATH_MAX) return -ENAMETOOLONG;
  if (lstat(*root ? root : "/", st) != 0) return -errno;
  for (char *at = rest;;) {
    at += strspn(at, "/");
    size_t n = strcspn(at, "/"), len = strlen(cur);
    if (n == 0) break;
    const char *name = at;
    at += n;
    if (n == 1 && name[0] == '.') continue;
    if (n == 2 && name[0] == '.' && name[1] == '.') {
      char *slash = strrchr(cur, '/');
      if (slash) *slash = '\0';
      snprintf(full, sizeof full, "%s%s", root, *cur || *root ? cur : "/");
      if (lstat(full, st) != 0) return -errno;
      continue;
    }
    if (len + n + 2 > sizeof cur) return -ENAMETOOLONG;
    snprintf(cur + len, sizeof cur - len, "/%.*s", (int)n, name);
    snprintf(full, sizeof full, "%s%s", root, cur);
    if (lstat(full, st) != 0) return -errno;
    if (!S_ISLNK(st->st_mode)) continue;
    if (++seen > LINKS_MAX) return -ELOOP;
    ssize_t got = readlink(full, target, sizeof target - 1);
    if (got < 0) return -errno;
    target[got] = '\0';
    int rc = hfp_set_add(links, full);
    if (rc < 0) return rc;
    cur[*target == '/' ? 0 : len] = '\0';
    if (snprintf(next, sizeof next, "%s/%s", target, at) >= (int)sizeof rest) return -ENAMETOOLONG;
    memcpy(rest, next, strlen(next) + 1);
    at = rest;
  }
  if (asprintf(real, "%s%s", root, *cur || *root ? cur : "/") < 0) {
    *real = NULL;
    return -ENOMEM;
  }
  return 0;
}
