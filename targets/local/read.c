/* read.c - reading and listing objects of the local target.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"

static int not_found(struct local *t, const char *key) {
  return holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "%s/%s is not there", t->path, key);
}

/* The failure to reach key. A part of the key that is a file means the same as no such file. */
static int unreachable(struct local *t, int errnum, const char *what, const char *key) {
  return errnum == ENOENT || errnum == ENOTDIR ? not_found(t, key) : hf_local_errno(t, errnum, what, key);
}

static int not_a_file(struct local *t, mode_t mode, const char *key) {
  if (S_ISDIR(mode)) return not_found(t, key);
  return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s/%s is neither a file nor a folder", t->path, key);
}

int hf_local_stat(void *handle, const char *key, struct holdfast_stat *out) {
  struct local *t = handle;
  const char *leaf;
  struct stat st;
  if (!hf_local_key_ok(key)) return hf_local_bad_key(t, key);
  int dir = hf_local_parent(t, key, false, &leaf);
  if (dir < 0) return unreachable(t, errno, "look at", key);
  int rc = TEMP_FAILURE_RETRY(fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW));
  int saved = errno;
  close(dir);
  if (rc != 0) return unreachable(t, saved, "look at", key);
  if (!S_ISREG(st.st_mode)) return not_a_file(t, st.st_mode, key);
  out->size = (uint64_t)st.st_size;
  out->flags = 0;
  out->sha256[0] = '\0';
  return HOLDFAST_OK;
}

/* Hand length bytes of fd from offset to the sink. */
static int pump(struct local *t, int fd, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  size_t most = t->host->limit_down ? LOCAL_PACED : LOCAL_IO, cap = length < most ? (size_t)length : most;
  int status = HOLDFAST_OK;
  if (length == 0) return HOLDFAST_OK;
  char *buf = malloc(cap);
  if (!buf) return hf_local_errno(t, ENOMEM, "read", key);
  while (length > 0 && status == HOLDFAST_OK) {
    if (t->host->cancelled(t->host->ctx)) {
      status = hf_local_cancelled(t);
      break;
    }
    ssize_t n = TEMP_FAILURE_RETRY(pread(fd, buf, length < cap ? (size_t)length : cap, (off_t)offset));
    if (n < 0) {
      status = hf_local_errno(t, errno, "read", key);
    } else if (n == 0) {
      status = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s/%s became shorter while it was read", t->path, key);
    } else {
      status = hf_local_pace(t, 0, (size_t)n) == HOLDFAST_OK ? sink(ctx, buf, (size_t)n) : hf_local_cancelled(t);
      if (status > 0) status = HOLDFAST_OK;
      offset += (uint64_t)n;
      length -= (uint64_t)n;
    }
  }
  free(buf);
  return status;
}

int hf_local_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct local *t = handle;
  const char *leaf;
  struct stat st;
  if (!hf_local_key_ok(key)) return hf_local_bad_key(t, key);
  int dir = hf_local_parent(t, key, false, &leaf);
  if (dir < 0) return unreachable(t, errno, "read", key);
  /* O_NONBLOCK: a FIFO in an object's place must not hang the run. */
  int fd = TEMP_FAILURE_RETRY(openat(dir, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  int saved = errno;
  close(dir);
  if (fd < 0) return unreachable(t, saved, "read", key);
  int status;
  if (fstat(fd, &st) != 0) {
    status = hf_local_errno(t, errno, "look at", key);
  } else if (!S_ISREG(st.st_mode)) {
    status = not_a_file(t, st.st_mode, key);
  } else {
    uint64_t size = (uint64_t)st.st_size;
    if (length == UINT64_MAX && offset <= size) length = size - offset;
    /* Said before a byte is handed out. */
    if (offset > size || length > size - offset)
      status = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s/%s is too short: it has %llu bytes, wanted are %llu from %llu",
                             t->path, key, (unsigned long long)size, (unsigned long long)length, (unsigned long long)offset);
    else
      status = pump(t, fd, key, offset, length, sink, ctx);
  }
  close(fd);
  return status;
}

/* ---- listing ---- */

struct walk {
  struct local *t;
  holdfast_lister lister;
  void *ctx;
  char key[LOCAL_KEY_MAX + 256 + 2]; /* the path walked so far, then the name looked at */
};

static int walk_dir(struct walk *w, int fd, size_t len);

/* One name in the folder at, already appended to w->key. */
static int walk_one(struct walk *w, int at, const char *name, size_t len) {
  struct stat st;
  if (TEMP_FAILURE_RETRY(fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW)) != 0)
    /* Removed since the folder was read: it may be left out. */
    return errno == ENOENT ? HOLDFAST_OK : hf_local_errno(w->t, errno, "look at", w->key);
  if (S_ISREG(st.st_mode)) {
    int status = w->lister(w->ctx, w->key, (uint64_t)st.st_size);
    return status < 0 ? status : HOLDFAST_OK;
  }
  /* A link to a folder elsewhere may hide a part of the repository, so it must not be passed over in silence. */
  if (!S_ISDIR(st.st_mode))
    return holdfast_fail(w->t->host, HOLDFAST_E_FAILED, "cannot list %s: %s is neither a file nor a folder", w->t->path, w->key);
  int fd = TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd < 0) return errno == ENOENT ? HOLDFAST_OK : hf_local_errno(w->t, errno, "list", w->key);
  return walk_dir(w, fd, len);
}

/* All that is in the folder fd, which is closed. Its path is the first len bytes of w->key. */
static int walk_dir(struct walk *w, int fd, size_t len) {
  int status = HOLDFAST_OK;
  DIR *d = fdopendir(fd);
  if (!d) {
    status = hf_local_errno(w->t, errno, "list", w->key);
    close(fd);
    return status;
  }
  if (len > 0) w->key[len++] = '/';
  while (status == HOLDFAST_OK) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (!e) {
      w->key[len ? len - 1 : 0] = '\0';
      if (errno != 0) status = hf_local_errno(w->t, errno, "list", w->key);
      break;
    }
    size_t n = strlen(e->d_name);
    if (n > 255) continue;
    memcpy(w->key + len, e->d_name, n + 1);
    /* The whole of it: the marker's name is taken in the top folder only, and no key is longer than LOCAL_KEY_MAX. */
    if (!hf_local_key_ok(w->key)) continue;
    if (w->t->host->cancelled(w->t->host->ctx))
      status = hf_local_cancelled(w->t);
    else
      status = walk_one(w, dirfd(d), e->d_name, len + n);
  }
  closedir(d);
  return status;
}

int hf_local_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  struct local *t = handle;
  struct walk w = {t, lister, ctx, ""};
  const char *leaf;
  size_t len = strlen(prefix);
  /* "a/b/" lies in the folder a/b; "" in the top one. */
  if (len > 0) {
    if (len > LOCAL_KEY_MAX || prefix[len - 1] != '/')
      return holdfast_fail(t->host, HOLDFAST_E_UNSUPPORTED, "a prefix ends in a slash: %.600s", prefix);
    memcpy(w.key, prefix, len - 1);
    w.key[len - 1] = '\0';
    if (!hf_local_key_ok(w.key)) return hf_local_bad_key(t, prefix);
  }
  int fd = hf_local_parent(t, prefix, false, &leaf);
  if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? HOLDFAST_OK : hf_local_errno(t, errno, "list", w.key);
  return walk_dir(&w, fd, len ? len - 1 : 0);
}
