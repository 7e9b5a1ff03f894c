/* io.c - whole reads and writes, atomic replacement, folders made and removed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/text.h"

/* Linux moves at most 0x7ffff000 bytes a call; staying well below keeps the count in range everywhere. */
#define IO_MAX ((size_t)1 << 30)

int hf_write_all(int fd, const void *p, size_t n, struct hf_error *err) {
  const char *b = p;
  while (n > 0) {
    ssize_t w = write(fd, b, HF_MIN(n, IO_MAX));
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) return hf_fail_errno(err, errno, "write");
    b += w;
    n -= (size_t)w;
  }
  return 0;
}

int hf_pwrite_all(int fd, const void *p, size_t n, uint64_t off, struct hf_error *err) {
  const char *b = p;
  if (off > INT64_MAX || n > INT64_MAX - off) return hf_fail_errno(err, EFBIG, "write");
  while (n > 0) {
    ssize_t w = pwrite(fd, b, HF_MIN(n, IO_MAX), (off_t)off);
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) return hf_fail_errno(err, errno, "write");
    b += w;
    off += (uint64_t)w;
    n -= (size_t)w;
  }
  return 0;
}

ssize_t hf_read_full(int fd, void *p, size_t n, struct hf_error *err) {
  char *b = p;
  size_t got = 0;
  while (got < n) {
    ssize_t r = read(fd, b + got, HF_MIN(n - got, IO_MAX));
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) return hf_fail_errno(err, errno, "read");
    if (r == 0) break;
    got += (size_t)r;
  }
  return (ssize_t)got;
}

int hf_read_file(const char *path, size_t max, struct hf_buf *b, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return hf_fail_errno(err, errno, "cannot open %s", path);
  struct stat st;
  if (fstat(fd, &st) != 0) return hf_fail_errno(err, errno, "cannot stat %s", path);
  size_t before = b->len;
  max = HF_MIN(max, SIZE_MAX / 4); /* keeps the sums below in range */
  /* The size is a hint only: files of /proc say 0, and a file may grow. One byte beyond tells that there is no more. */
  size_t step = S_ISREG(st.st_mode) && st.st_size > 0 ? HF_MIN((size_t)st.st_size, max) + 1 : 4096;
  int rc = 0;
  for (;;) {
    step = HF_MIN(step, max - (b->len - before) + 1);
    hf_buf_reserve(b, step);
    ssize_t n = hf_read_full(fd, b->data + b->len, step, err);
    if (n < 0) {
      rc = hf_prefix(err, "%s", path);
      if (!err) rc = (int)n;
      break;
    }
    b->len += (size_t)n;
    if (b->len - before > max) {
      rc = hf_fail(err, HOLDFAST_E_CORRUPT, "%s is larger than the %zu bytes it may have", path, max);
      break;
    }
    if ((size_t)n < step) break;
    step = HF_MAX(step, (size_t)65536);
  }
  if (rc != 0) b->len = before;
  if (b->data) b->data[b->len] = 0;
  return rc;
}

int hf_fsync_parent(const char *path, struct hf_error *err) {
  const char *slash = strrchr(path, '/');
  HF_CLEANUP(hf_freep) char *dir = !slash ? hf_strdup(".") : slash == path ? hf_strdup("/") : hf_strndup(path, (size_t)(slash - path));
  HF_CLEANUP(hf_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return hf_fail_errno(err, errno, "cannot open %s", dir);
  /* Some network file systems have no fsync for folders and say EINVAL; they order renames themselves. */
  if (fsync(fd) != 0 && errno != EINVAL) return hf_fail_errno(err, errno, "cannot flush %s", dir);
  return 0;
}

int hf_write_file_atomic(const char *path, const void *p, size_t n, mode_t mode, struct hf_error *err) {
  unsigned char salt[6];
  char hex[2 * sizeof salt + 1];
  hf_random(salt, sizeof salt);
  hf_hex(hex, salt, sizeof salt);
  HF_CLEANUP(hf_freep) char *temp = hf_asprintf("%s.tmp-%s", path, hex);
  HF_CLEANUP(hf_closep) int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return hf_fail_errno(err, errno, "cannot create %s", temp);
  int rc = hf_write_all(fd, p, n, err);
  if (rc != 0) hf_prefix(err, "%s", temp);
  else if (fsync(fd) != 0) rc = hf_fail_errno(err, errno, "cannot flush %s", temp);
  int closed = close(fd);
  fd = -1;
  /* NFS says only here that the disk is full. */
  if (rc == 0 && closed != 0) rc = hf_fail_errno(err, errno, "cannot close %s", temp);
  if (rc == 0 && rename(temp, path) != 0) rc = hf_fail_errno(err, errno, "cannot rename %s to %s", temp, path);
  if (rc != 0) {
    unlink(temp);
    return rc;
  }
  return hf_fsync_parent(path, err);
}

int hf_mkdir_p(const char *path, mode_t mode, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *p = hf_strdup(path);
  char *end = p;
  while (*end == '/') end++;
  for (;;) {
    end += strcspn(end, "/");
    char kept = *end;
    *end = 0;
    if (*p && mkdir(p, mode) != 0) {
      int e = errno;
      struct stat st;
      /* An existing folder may answer EEXIST, EROFS or EACCES; what counts is that it is there. */
      if (stat(p, &st) != 0 || !S_ISDIR(st.st_mode)) return hf_fail_errno(err, e, "cannot make folder %s", p);
    }
    *end = kept;
    while (*end == '/') end++;
    if (!*end) return 0;
  }
}

/* ---- removal of a tree ----
 * One descriptor at a time, up again by "..", so that depth is limited by neither descriptors nor the stack nor PATH_MAX. What
 * ".." leads to is compared with what was left: a folder moved away meanwhile must not take us elsewhere. */

struct level {
  dev_t dev;
  ino_t ino;
  char *name; /* of the folder below this one that was gone into */
};

/* Open a folder that is to be emptied: one's own is opened up for that. -1 with errno. */
static int enter(int at, const char *name) {
  const int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  struct stat st;
  int fd = openat(at, name, O_RDONLY | flags);
  if (fd < 0 && errno == EACCES) {
    HF_CLEANUP(hf_closep) int path = openat(at, name, O_PATH | flags);
    char proc[40];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", path);
    if (path < 0 || fstat(path, &st) != 0 || st.st_uid != geteuid() || chmod(proc, 0700) != 0) {
      errno = EACCES;
      return -1;
    }
    fd = openat(at, name, O_RDONLY | flags);
  }
  if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0700) != 0700) fchmod(fd, 0700);
  return fd;
}

/* Unlink what is not a folder; the name of the first folder met goes to *sub. */
static int sweep(int fd, char **sub) {
  int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return -errno;
  DIR *d = fdopendir(copy);
  if (!d) {
    int e = errno;
    close(copy);
    return -e;
  }
  int rc = 0;
  while (rc == 0 && !*sub) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (!e) {
      rc = -errno;
      break;
    }
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) {
      rc = -errno;
      break;
    }
    int why = errno;
    struct stat st;
    if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) *sub = hf_strdup(e->d_name);
    else rc = -why;
  }
  closedir(d);
  return rc;
}

/* Down into name: *fd becomes that folder, and where it was is noted in l. */
static int go_down(int *fd, struct level *l, char *name) {
  struct stat st;
  int sub = fstat(*fd, &st) != 0 ? -1 : enter(*fd, name);
  if (sub < 0) return -errno;
  *l = (struct level){st.st_dev, st.st_ino, name};
  close(*fd);
  *fd = sub;
  return 0;
}

/* Up again, and the empty folder below removed. */
static int go_up(int *fd, const struct level *l) {
  int up = openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat st;
  if (up < 0) return -errno;
  close(*fd);
  *fd = up;
  if (fstat(up, &st) != 0) return -errno;
  if (st.st_dev != l->dev || st.st_ino != l->ino) return -ESTALE;
  return unlinkat(up, l->name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int hf_remove_tree(const char *path, struct hf_error *err) {
  if (unlink(path) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return hf_fail_errno(err, errno, "cannot remove %s", path);
  HF_CLEANUP(hf_closep) int fd = enter(AT_FDCWD, path);
  if (fd < 0) return hf_fail_errno(err, errno, "cannot remove %s", path);
  struct level *stack = NULL;
  size_t depth = 0, cap = 0;
  int rc;
  for (;;) {
    char *sub = NULL;
    rc = sweep(fd, &sub);
    if (rc != 0) {
      free(sub);
      break;
    }
    if (sub) {
      if (depth == cap) stack = hf_realloc(stack, (cap = cap ? 2 * cap : 32) * sizeof *stack);
      if ((rc = go_down(&fd, &stack[depth], sub)) != 0) {
        free(sub);
        break;
      }
      depth++;
      continue;
    }
    if (depth == 0) break;
    if ((rc = go_up(&fd, &stack[depth - 1])) != 0) break;
    free(stack[--depth].name);
  }
  while (depth > 0) free(stack[--depth].name);
  free(stack);
  if (rc == 0 && rmdir(path) != 0 && errno != ENOENT) rc = -errno;
  return rc == 0 ? 0 : hf_fail_errno(err, -rc, "cannot remove %s", path);
}

int hf_memfd(const char *name, struct hf_error *err) {
  int fd = memfd_create(name, MFD_CLOEXEC);
  return fd >= 0 ? fd : hf_fail_errno(err, errno, "cannot make a memory file");
}
