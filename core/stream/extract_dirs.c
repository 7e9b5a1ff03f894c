/* extract_dirs.c - folders below the root, opened without following a symlink and kept open while they are of use.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* Below PATH_MAX: more is opened folder by folder. */
#define AT_ONCE 4000

static atomic_bool no_openat2;

/* Several folders at once: -1 with errno, ENOSYS when the kernel cannot. */
static int open_beneath(int fd, const char *path) {
  struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  if (atomic_load_explicit(&no_openat2, memory_order_relaxed)) {
    errno = ENOSYS;
    return -1;
  }
  int got = (int)syscall(SYS_openat2, fd, path, &how, sizeof how);
  /* A sandbox may answer EPERM for a call it does not know. */
  if (got < 0 && (errno == ENOSYS || errno == EPERM)) atomic_store_explicit(&no_openat2, true, memory_order_relaxed);
  return got;
}

static struct hf_xdir *keep(struct hf_xworker *w, int fd, const char *path, size_t n) {
  struct hf_xdir *d = &w->dirs[0];
  for (size_t i = 0; i < HF_XDIRS; i++) {
    if (!w->dirs[i].path) {
      d = &w->dirs[i];
      break;
    }
    if (w->dirs[i].used < d->used) d = &w->dirs[i];
  }
  if (d->path) {
    free(d->path);
    close(d->fd);
  }
  *d = (struct hf_xdir){.path = hf_strndup(path, n), .path_n = n, .fd = fd, .used = ++w->clock};
  return d;
}

static int in_the_way(const char *path, size_t n, bool link, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(path, n);
  if (link) return hf_fail(err, HOLDFAST_E_EXISTS, "%s is a symbolic link, which is not followed", shown);
  return hf_fail(err, HOLDFAST_E_EXISTS, "%s is there and is no folder", shown);
}

/* The folder `name`, in the folder fd, which path names as a whole; made when it is missing. -1 and *err. */
static int step(struct hf_extract *x, int fd, const char *name, const char *path, size_t n, bool create, bool *symlink, struct hf_error *err) {
  for (int tries = 0;; tries++) {
    int got = openat(fd, name, DIR_FLAGS);
    if (got >= 0) return got;
    int why = errno;
    if (tries == 4) {
      hf_fail_errno(err, why, "folder");
      return -1;
    }
    if (why == ENOENT && create) {
      /* Made and noted in one, so that its own entry, in another thread, finds either nothing or the note. */
      pthread_mutex_lock(&x->lock);
      int rc = mkdirat(fd, name, 0700);
      why = errno;
      if (rc == 0 && !x->o.replace) hf_xset_add(&x->made, hf_xhash(x, path, n));
      pthread_mutex_unlock(&x->lock);
      if (rc == 0 || why == EEXIST) continue;
    } else if (why == ENOTDIR || why == ELOOP) {
      struct stat st;
      if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode)) {
        *symlink = S_ISLNK(st.st_mode);
        if (*symlink || !x->o.replace || !create) {
          in_the_way(path, n, *symlink, err);
          return -1;
        }
        if (unlinkat(fd, name, 0) == 0 || errno == ENOENT) continue;
        why = errno;
      } else {
        continue;
      }
    }
    HF_CLEANUP(hf_freep) char *shown = hf_printable(path, n);
    hf_fail_errno(err, why, "folder %s", shown);
    return -1;
  }
}

/* The folder path, from the nearest one that is open. */
static struct hf_xdir *folder(struct hf_extract *x, struct hf_xworker *w, const char *path, size_t n, bool create, bool *symlink, struct hf_error *err) {
  struct hf_xdir *from = &w->root;
  for (size_t i = 0; i < HF_XDIRS; i++) {
    struct hf_xdir *d = &w->dirs[i];
    if (!d->path || d->path_n > n || d->path_n <= from->path_n || memcmp(d->path, path, d->path_n) != 0) continue;
    if (d->path_n == n) {
      d->used = ++w->clock;
      return d;
    }
    if (path[d->path_n] == '/') from = d;
  }
  size_t at = from == &w->root ? 0 : from->path_n + 1;
  from->used = ++w->clock;
  if (n - at < AT_ONCE) {
    hf_buf_clear(&w->scratch);
    hf_buf_add(&w->scratch, path + at, n - at);
    int fd = open_beneath(from->fd, w->scratch.data);
    if (fd >= 0) return keep(w, fd, path, n);
  }
  /* Something is missing, in the way, or too long: folder by folder. */
  int fd = from->fd;
  bool own = false;
  while (at < n) {
    const char *slash = memchr(path + at, '/', n - at);
    size_t end = slash ? (size_t)(slash - path) : n;
    hf_buf_clear(&w->scratch);
    hf_buf_add(&w->scratch, path + at, end - at);
    int next = step(x, fd, w->scratch.data, path, end, create, symlink, err);
    if (own) close(fd);
    if (next < 0) return NULL;
    fd = next;
    own = true;
    at = end + 1;
  }
  return keep(w, fd, path, n);
}

struct hf_xdir *hf_xdir_parent(struct hf_extract *x, struct hf_xworker *w, const char *path, size_t path_n, bool create, bool *symlink, const char **name, struct hf_error *err) {
  *symlink = false;
  const char *slash = memrchr(path, '/', path_n);
  *name = slash ? slash + 1 : path;
  return slash ? folder(x, w, path, (size_t)(slash - path), create, symlink, err) : &w->root;
}

int hf_xdir_make(struct hf_extract *x, struct hf_xdir *d, const char *name, const struct hf_xmeta *m, struct hf_error *err) {
  for (int tries = 0;; tries++) {
    if (mkdirat(d->fd, name, 0700) == 0) return 1;
    if (errno != EEXIST || tries == 4) return hf_xproblem_errno(x, m, true, errno, err, "cannot make the folder");
    struct stat st;
    if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (S_ISDIR(st.st_mode)) {
      if (x->o.replace) return 1;
      pthread_mutex_lock(&x->lock);
      bool ours = hf_xset_take(&x->made, hf_xhash(x, m->path, m->path_n));
      pthread_mutex_unlock(&x->lock);
      if (ours) return 1;
      hf_xproblem(x, m, false, "the folder exists already and is left as it is");
      return 0;
    }
    if (!x->o.replace) {
      hf_xproblem(x, m, true, "exists already and is no folder");
      return 0;
    }
    if (unlinkat(d->fd, name, 0) < 0 && errno != ENOENT)
      return hf_xproblem_errno(x, m, true, errno, err, "cannot remove what is there, to make the folder");
  }
}

void hf_xdirs_close(struct hf_xworker *w) {
  for (size_t i = 0; i < HF_XDIRS; i++) {
    if (!w->dirs[i].path) continue;
    free(w->dirs[i].path);
    close(w->dirs[i].fd);
    w->dirs[i].path = NULL;
  }
}
