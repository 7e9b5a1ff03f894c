/* copy.c - one file or link to another place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TRIES 16             /* names tried for the hidden file */
#define BLOCK ((size_t)65536)

/* A hidden name beside path. */
static int beside(const char *path, char *out, size_t cap) {
  const char *slash = strrchr(path, '/');
  uint64_t r;
  if (!slash) return -EINVAL;
  if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r) return -EIO;
  int n = snprintf(out, cap, "%.*s/.holdfast-%016llx", (int)(slash - path), path, (unsigned long long)r);
  return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

static int copy_data(int in, int out) {
  char *block = malloc(BLOCK);
  int rc = block ? 0 : -ENOMEM;
  while (rc == 0) {
    ssize_t n = read(in, block, BLOCK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) rc = -errno;
    if (n <= 0) break;
    for (ssize_t done = 0; rc == 0 && done < n;) {
      ssize_t w = write(out, block + done, (size_t)(n - done));
      if (w < 0 && errno != EINTR) rc = -errno;
      else if (w > 0) done += w;
    }
  }
  free(block);
  return rc;
}

/* All that the account may see and set; a file system without them is no obstacle. */
static int copy_xattrs(int in, int out) {
  char names[65536]; /* Linux gives no more */
  ssize_t n = flistxattr(in, names, sizeof names);
  if (n < 0) return errno == ENOTSUP ? 0 : -errno;
  char *value = malloc(65536);
  if (!value) return -ENOMEM;
  int rc = 0;
  for (char *name = names; rc == 0 && name < names + n; name += strlen(name) + 1) {
    ssize_t len = fgetxattr(in, name, value, 65536);
    if (len < 0) continue; /* not ours to see */
    if (fsetxattr(out, name, value, (size_t)len, 0) != 0 && errno != ENOTSUP && errno != EPERM) rc = -errno;
  }
  free(value);
  return rc;
}

/* The mode comes after the owner, which takes set-user-ID away, and the times last. */
static int set_metadata(int in, int out, const struct stat *st) {
  if (fchown(out, st->st_uid, st->st_gid) != 0 && geteuid() == 0) return -errno;
  if (fchmod(out, st->st_mode & 07777) != 0) return -errno;
  int rc = copy_xattrs(in, out);
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  if (rc == 0 && futimens(out, times) != 0) rc = -errno;
  return rc;
}

static int copy_file(const char *from, const char *temp) {
  struct stat st;
  int in = open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (in < 0) return -errno;
  int rc = fstat(in, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
  int out = rc == 0 ? open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
  if (rc == 0 && out < 0) rc = -errno;
  if (out >= 0) {
    rc = copy_data(in, out);
    if (rc == 0) rc = set_metadata(in, out, &st);
    if (rc == 0 && fsync(out) != 0) rc = -errno;
    if (close(out) != 0 && rc == 0) rc = -errno;
    if (rc < 0) unlink(temp);
  }
  close(in);
  return rc;
}

static int copy_link(const char *from, const char *temp, const struct stat *st) {
  char target[PATH_MAX];
  ssize_t n = readlink(from, target, sizeof target - 1);
  if (n < 0) return -errno;
  target[n] = '\0';
  if (symlink(target, temp) != 0) return -errno;
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  int rc = lchown(temp, st->st_uid, st->st_gid) != 0 && geteuid() == 0 ? -errno : 0;
  if (rc == 0 && utimensat(AT_FDCWD, temp, times, AT_SYMLINK_NOFOLLOW) != 0) rc = -errno;
  if (rc < 0) unlink(temp);
  return rc;
}

int hfp_copy(const char *from, const char *to) {
  char temp[PATH_MAX];
  struct stat st;
  if (lstat(from, &st) != 0) return -errno;
  int rc = -EEXIST;
  for (int i = 0; rc == -EEXIST && i < TRIES; i++) {
    rc = beside(to, temp, sizeof temp);
    if (rc == 0) rc = S_ISLNK(st.st_mode) ? copy_link(from, temp, &st) : copy_file(from, temp);
  }
  if (rc == 0 && rename(temp, to) != 0) {
    rc = -errno;
    unlink(temp);
  }
  return rc;
}

int hfp_copy_metadata(const char *from, const char *to) {
  struct stat st;
  int in = open(from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int out = open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int rc = in < 0 || out < 0 || fstat(in, &st) != 0 ? -errno : set_metadata(in, out, &st);
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  return rc;
}

static bool same_data(const char *a, const char *b) {
  FILE *x = fopen(a, "re"), *y = fopen(b, "re");
  bool same = x && y;
  while (same) {
    char p[4096], q[4096];
    size_t n = fread(p, 1, sizeof p, x), m = fread(q, 1, sizeof q, y);
    same = n == m && memcmp(p, q, n) == 0 && !ferror(x) && !ferror(y);
    if (n == 0) break;
  }
  if (x) fclose(x);
  if (y) fclose(y);
  return same;
}

bool hfp_copy_same(const char *a, const char *b) {
  struct stat s, t;
  if (lstat(a, &s) != 0 || lstat(b, &t) != 0 || (s.st_mode & S_IFMT) != (t.st_mode & S_IFMT)) return false;
  if (s.st_uid != t.st_uid || s.st_gid != t.st_gid || s.st_size != t.st_size) return false;
  if (S_ISLNK(s.st_mode)) {
    char p[PATH_MAX], q[PATH_MAX];
    ssize_t n = readlink(a, p, sizeof p), m = readlink(b, q, sizeof q);
    return n >= 0 && n == m && memcmp(p, q, (size_t)n) == 0;
  }
  return S_ISREG(s.st_mode) && s.st_mode == t.st_mode && same_data(a, b);
}
