/* rest.c - what a restore in place replaces and the source does not read: kept as well.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/rest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/text.h"
#include "stream/tar.h"

#define EXTENTS_MAX 10000 /* a file in more pieces is kept whole from there on */
#define XATTRS_MAX 1000

struct hf_rest {
  struct hf_undo *u;
  struct hf_list *files;
  char *source, *path; /* path: of the tar */
  int fd;              /* of the tar; -1: nothing had to be kept yet */
  uint64_t *seen;      /* hashes of the paths that are kept; a table with free places, 0 */
  size_t cap, used;
  uint64_t entries;
  struct hf_error err; /* the first failure */
};

struct hf_rest *hf_rest_new(struct hf_undo *u, const char *source, struct hf_list *files) {
  struct hf_rest *r = hf_alloc(sizeof *r);
  *r = (struct hf_rest){.u = u, .files = files, .source = hf_strdup(source), .fd = -1};
  return r;
}

void hf_rest_free(struct hf_rest *r) {
  if (!r) return;
  hf_closep(&r->fd);
  free(r->source);
  free(r->path);
  free(r->seen);
  free(r);
}

static size_t place_of(const uint64_t *v, size_t cap, uint64_t h) {
  size_t i = (size_t)h & (cap - 1);
  while (v[i] != 0 && v[i] != h) i = (i + 1) & (cap - 1);
  return i;
}

/* False when it was there. */
static bool add(struct hf_rest *r, const char *path, size_t n) {
  struct hf_digest d;
  uint64_t h;
  hf_sha256(path, n, &d);
  memcpy(&h, d.b, sizeof h);
  if (h == 0) h = 1;
  if (2 * (r->used + 1) > r->cap) {
    size_t cap = r->cap ? 2 * r->cap : 256;
    uint64_t *v = hf_allocn(cap, sizeof *v);
    for (size_t i = 0; i < r->cap; i++)
      if (r->seen[i]) v[place_of(v, cap, r->seen[i])] = r->seen[i];
    free(r->seen);
    r->seen = v;
    r->cap = cap;
  }
  size_t i = place_of(r->seen, r->cap, h);
  if (r->seen[i] == h) return false;
  r->seen[i] = h;
  r->used++;
  return true;
}

void hf_rest_has(struct hf_rest *r, const char *path, size_t n) { add(r, path, n); }

static int open_tar(struct hf_rest *r, struct hf_error *err) {
  if (r->fd >= 0) return 0;
  HF_CLEANUP(hf_freep) char *own = hf_path_join(r->u->folder, r->source);
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(own, "tar");
  int rc = hf_mkdir_p(folder, 0700, err);
  if (rc < 0) return rc;
  r->path = hf_path_join(folder, "rest.tar");
  r->fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return r->fd < 0 ? hf_fail_errno(err, errno, "safety copy %s", r->path) : 0;
}

/* Where a file has data: v, n of them. False when it has no holes, or too many, or the file system does not say. */
static bool holes(int fd, uint64_t size, struct holdfast_extent *v, size_t *n) {
  *n = 0;
  for (uint64_t at = 0; at < size;) {
    off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;
    if (data < 0 && errno == ENXIO) break;
    if (data < 0 || *n == EXTENTS_MAX || (hole = lseek(fd, data, SEEK_HOLE)) <= data) return false;
    if ((uint64_t)data >= size) break;
    v[(*n)++] = (struct holdfast_extent){(uint64_t)data, HF_MIN((uint64_t)hole, size) - (uint64_t)data};
    at = (uint64_t)hole;
  }
  return size > 0 && (*n != 1 || v[0].offset != 0 || v[0].length != size);
}

static int copy(int from, int to, uint64_t at, uint64_t n, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *block = hf_alloc(256 * 1024);
  while (n > 0) {
    ssize_t got = pread(from, block, (size_t)HF_MIN(n, (uint64_t)256 * 1024), (off_t)at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return hf_fail_errno(err, errno, "cannot be read");
    if (got == 0) return hf_fail(err, HOLDFAST_E_CHANGED, "it changed while it was read");
    int r = hf_write_all(to, block, (size_t)got, err);
    if (r < 0) return r;
    at += (uint64_t)got;
    n -= (uint64_t)got;
  }
  return 0;
}

static bool is_kept(const char *name) {
  return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0 || strcmp(name, "system.posix_acl_access") == 0 ||
         strcmp(name, "system.posix_acl_default") == 0;
}

/* The extended attributes of what proc names, without following it. The buffers hold what e points to. */
static int attributes(const char *proc, struct holdfast_entry *e, struct hf_buf *names, struct hf_buf *values, struct holdfast_xattr *v, struct hf_error *err) {
  enum { MOST = 64 * 1024 }; /* of names, and of one value: the kernel's own limit */
  hf_buf_reserve(names, MOST);
  ssize_t n = llistxattr(proc, names->data, MOST);
  if (n < 0) return errno == ENOTSUP ? 0 : hf_fail_errno(err, errno, "extended attributes");
  size_t at[XATTRS_MAX];
  for (const char *name = names->data; name < names->data + n; name += strlen(name) + 1) {
    if (!is_kept(name)) continue;
    if (e->n_xattrs == XATTRS_MAX) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "it has more than %d extended attributes", XATTRS_MAX);
    hf_buf_reserve(values, MOST);
    ssize_t got = lgetxattr(proc, name, values->data + values->len, MOST);
    if (got < 0 && errno == ENODATA) continue;
    if (got < 0) return hf_fail_errno(err, errno, "extended attribute %s", name);
    at[e->n_xattrs] = values->len;
    v[e->n_xattrs++] = (struct holdfast_xattr){.name = name, .size = (size_t)got};
    values->len += (size_t)got;
  }
  for (uint32_t i = 0; i < e->n_xattrs; i++) v[i].value = values->data + at[i];
  e->xattrs = v;
  return 0;
}

static uint32_t kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return HOLDFAST_FILE;
  case S_IFDIR: return HOLDFAST_DIR;
  case S_IFLNK: return HOLDFAST_SYMLINK;
  case S_IFIFO: return HOLDFAST_FIFO;
  case S_IFCHR: return HOLDFAST_CHAR;
  case S_IFBLK: return HOLDFAST_BLOCK;
  default: return 0;
  }
}

static int put(struct hf_rest *r, int dir, const char *name, const struct stat *st, const char *path, struct hf_error *err) {
  static const char zeros[HF_TAR_BLOCK];
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_freep) char *proc = hf_asprintf("/proc/self/fd/%d/%s", dir, name);
  HF_CLEANUP(hf_freep) struct holdfast_extent *extents = NULL;
  HF_CLEANUP(hf_freep) struct holdfast_xattr *xattrs = hf_allocn(XATTRS_MAX, sizeof *xattrs);
  HF_CLEANUP(hf_freep) char *link = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf names = HF_BUF_INIT, values = HF_BUF_INIT, head = HF_BUF_INIT;
  struct stat now = *st;
  uint64_t data = 0;
  size_t n_extents = 0;
  if (S_ISREG(st->st_mode)) {
    fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &now) != 0) return hf_fail_errno(err, errno, "cannot be read");
    if (!S_ISREG(now.st_mode)) return hf_fail(err, HOLDFAST_E_CHANGED, "it changed while it was read");
    extents = hf_allocn(EXTENTS_MAX, sizeof *extents);
    if (!holes(fd, (uint64_t)now.st_size, extents, &n_extents)) {
      free(extents);
      extents = NULL;
      n_extents = 0;
    }
  } else if (S_ISLNK(st->st_mode)) {
    enum { MOST = 64 * 1024 };
    link = hf_alloc(MOST);
    ssize_t n = readlinkat(dir, name, link, MOST - 1);
    if (n < 0) return hf_fail_errno(err, errno, "cannot be read");
    link[n] = 0;
  }
  struct holdfast_entry e = {.struct_size = sizeof e,
                             .kind = kind_of(now.st_mode),
                             .path = path,
                             .link = link,
                             .size = fd >= 0 ? (uint64_t)now.st_size : 0,
                             .mode = now.st_mode & 07777,
                             .uid = now.st_uid,
                             .gid = now.st_gid,
                             .mtime = now.st_mtim.tv_sec,
                             .mtime_nsec = (uint32_t)now.st_mtim.tv_nsec,
                             .rdev_major = major(now.st_rdev),
                             .rdev_minor = minor(now.st_rdev),
                             .extents = extents,
                             .n_extents = n_extents};
  int rc = attributes(proc, &e, &names, &values, xattrs, err);
  if (rc == 0 && (rc = hf_tar_head(&head, &e, &data, err)) == HOLDFAST_E_UNSUPPORTED && extents) {
    /* A map that is too long. */
    e.extents = NULL;
    e.n_extents = 0;
    hf_buf_clear(&head);
    rc = hf_tar_head(&head, &e, &data, err);
  }
  if (rc == 0) rc = open_tar(r, err);
  if (rc == 0) rc = hf_write_all(r->fd, head.data, head.len, err);
  if (e.extents) {
    for (size_t i = 0; rc == 0 && i < n_extents; i++) rc = copy(fd, r->fd, extents[i].offset, extents[i].length, err);
  } else if (rc == 0) {
    rc = copy(fd, r->fd, 0, data, err);
  }
  if (rc == 0) rc = hf_write_all(r->fd, zeros, hf_tar_pad(data), err);
  return rc;
}

void hf_rest_keep(struct hf_rest *r, int dir, const char *name, const struct stat *st, const char *path, size_t n) {
  struct hf_error e = {0};
  if (r->err.code || kind_of(st->st_mode) == 0 || !add(r, path, n)) return;
  HF_CLEANUP(hf_freep) char *whole = hf_strndup(path, n);
  int rc = put(r, dir, name, st, whole, &e);
  HF_CLEANUP(hf_freep) char *shown = hf_printable(path, n);
  if (rc < 0) hf_fail(&r->err, rc, "safety copy of source %s: /%s: %s", r->source, shown, e.msg);
  r->entries++;
}

int hf_rest_sync(struct hf_rest *r, struct hf_error *err) {
  static const char zeros[HF_TAR_TAIL];
  if (r->err.code) return hf_fail(err, r->err.code, "%s", r->err.msg);
  if (r->fd < 0) return 0;
  int rc = hf_write_all(r->fd, zeros, sizeof zeros, err);
  if (rc == 0 && fsync(r->fd) < 0) rc = hf_fail_errno(err, errno, "safety copy %s", r->path);
  hf_closep(&r->fd);
  if (rc < 0) return rc;
  hf_undo_stream(r->u, "tree", "tar", r->path);
  hf_list_add(r->files, r->path);
  hf_log(HF_LOG_NOTICE, "source %s: %llu more that the source does not read are kept in %s", r->source, (unsigned long long)r->entries, r->path);
  return hf_undo_save(r->u, err);
}
