/* extract_large.c - large files: their data comes by itself, in any order, and goes to a temporary file until the end.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"

/* A temporary file that is there: ours, or it is not used. Whoever may write to the folder could have put something else there. */
static int open_temp(int dir, const char *temp) {
  int fd = openat(dir, temp, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid())) return fd;
  close(fd);
  errno = EEXIST;
  return -1;
}

int hf_xlarge_open(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, int *rc, struct hf_error *err) {
  const char *name;
  char temp[HF_XTEMP];
  struct hf_error e = {0};
  bool symlink;
  *rc = 0;
  struct hf_xdir *d = hf_xdir_parent(x, w, m->path, m->path_n, true, &symlink, &name, &e);
  /* A symlink that the archive may yet replace by a folder: wait at the root. */
  if (!d && symlink && x->o.replace) d = &w->root;
  if (!d) {
    if (e.code == HOLDFAST_E_NO_SPACE)
      *rc = hf_fail(err, e.code, "%s", e.msg);
    else if (!hf_xlost_has(x, m->path, m->path_n))
      hf_xproblem(x, m, true, "%s", e.msg);
    return -1;
  }
  hf_xtemp_name(x, temp, m->path, m->path_n, 0);
  int fd = -1;
  for (int tries = 0; tries < 3; tries++) {
    fd = open_temp(d->fd, temp);
    if (fd >= 0 || errno != ENOENT) break;
    fd = openat(d->fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
      *rc = hf_xwait(x, HF_XL_TEMP, m, err);
      if (*rc == 0) return fd;
      close(fd);
      return -1;
    }
    if (errno != EEXIST) break;
  }
  if (fd >= 0) return fd;
  int why = errno;
  if (!hf_xlost_has(x, m->path, m->path_n)) *rc = hf_xproblem_errno(x, m, true, why, err, "cannot make the file");
  return -1;
}

void hf_xlarge_forget(struct hf_xworker *w) {
  hf_closep(&w->large_fd);
  hf_buf_clear(&w->large);
}

/* Write, or the restore is over. What fails for this file alone is told once, and counts as done. */
static int write_at(struct hf_extract *x, const struct hf_xmeta *m, int fd, uint64_t off, const void *p, size_t n, struct hf_error *err) {
  const char *b = p;
  const uint64_t start = off;
  const size_t all = n;
  while (n > 0) {
    ssize_t done = off > INT64_MAX ? (errno = EFBIG, -1) : pwrite(fd, b, n, (off_t)off);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      int why = errno;
      if (hf_status_of_errno(why) != HOLDFAST_E_NO_SPACE && hf_xlost_has(x, m->path, m->path_n)) return 0;
      return hf_xproblem_errno(x, m, true, why, err, "cannot write the file");
    }
    b += done;
    off += (uint64_t)done;
    n -= (size_t)done;
  }
  return hf_xcheck_note(x, m, start, p, all, err);
}

int hf_extract_data(struct hf_extract *x, const char *path, size_t path_n, uint64_t off, const void *p, size_t n, struct hf_error *err) {
  struct hf_xworker *w = hf_xworker_get(x);
  int rc = 0;
  hf_buf_clear(&w->source);
  hf_buf_add(&w->source, path, path_n);
  struct hf_xmeta m = {.kind = 'f', .source = w->source.data, .source_n = path_n};
  bool same = w->large_fd >= 0 && w->large.len == path_n && memcmp(w->large.data, path, path_n) == 0;
  if (!same) {
    hf_xlarge_forget(w);
    hf_buf_clear(&w->path);
    bool safe = hf_path_is_safe(path, path_n), wanted = true;
    if (safe && x->o.map)
      wanted = x->o.map(x->o.ctx, path, path_n, &w->path) > 0;
    else
      hf_buf_add(&w->path, path, path_n);
    /* What is not safe is told with the entry's headers. */
    if (!wanted || !safe || !hf_path_is_safe(w->path.data, w->path.len)) goto out;
  }
  m.path = w->path.data;
  m.path_n = w->path.len;
  if (same) {
    /* w->path may be another entry's by now. */
    const char *mapped = w->large.data + path_n + 1;
    m.path = mapped;
    m.path_n = strlen(mapped);
  }
  if (!same) {
    if (hf_xlost_has(x, m.path, m.path_n)) goto out;
    w->large_fd = hf_xlarge_open(x, w, &m, &rc, err);
    if (w->large_fd < 0) goto out;
    hf_buf_add(&w->large, path, path_n);
    /* Behind the end: the mapped path. */
    hf_buf_addc(&w->large, 0);
    hf_buf_add(&w->large, m.path, m.path_n);
    w->large.len = path_n;
  }
  rc = write_at(x, &m, w->large_fd, off, p, n, err);
out:
  hf_xworker_put(x, w);
  return rc;
}

/* Move temp in `from` to the file's own name. 0 or -1 with errno. */
static int move(struct hf_extract *x, int from, const char *temp, int to, const char *name) {
  if (x->o.replace) return renameat(from, temp, to, name);
  if (renameat2(from, temp, to, name, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  /* A file system that cannot do it in one. */
  if (linkat(from, temp, to, name, 0) < 0) return -1;
  unlinkat(from, temp, 0);
  return 0;
}

int hf_xlarge_finish(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err) {
  char temp[HF_XTEMP];
  const char *name;
  bool symlink, lost = hf_xlost_has(x, m->path, m->path_n), at_root = false;
  int rc = 0, fd = -1;
  hf_xtemp_name(x, temp, m->path, m->path_n, 0);
  struct hf_xdir *d = hf_xdir_parent(x, w, m->path, m->path_n, false, &symlink, &name, NULL);
  if (d) fd = open_temp(d->fd, temp);
  if (fd < 0 && x->o.replace) {
    fd = open_temp(x->root_fd, temp);
    at_root = fd >= 0;
  }
  if (fd < 0) {
    if (!lost) hf_xproblem(x, m, true, "its data did not come");
    return 0;
  }
  if (!lost && at_root) {
    d = hf_xparent(x, w, m, &name, NULL, &rc, err);
    lost = !d;
  }
  int from = at_root ? x->root_fd : d->fd, why = 0;
  if (!lost) {
    struct stat st;
    if (fstat(fd, &st) < 0 || ((uint64_t)st.st_size != m->size && (m->size > INT64_MAX || ftruncate(fd, (off_t)m->size) < 0))) {
      rc = hf_xproblem_errno(x, m, true, m->size > INT64_MAX ? EFBIG : errno, err, "cannot set the file's size");
      lost = true;
    }
  }
  if (!lost) hf_xmeta_apply_fd(x, d, fd, m, false, 0600);
  /* Some file systems tell here what could not be written. */
  if (close(fd) < 0) why = errno;
  if (!lost && why == 0 && move(x, from, temp, d->fd, name) < 0) why = errno;
  if (lost || why != 0) unlinkat(from, temp, 0);
  if (lost) return rc;
  if (why == EEXIST && !x->o.replace)
    hf_xproblem(x, m, true, "exists already");
  else if (why == EISDIR)
    hf_xproblem(x, m, true, "a folder is there, which is not replaced");
  else if (why != 0)
    return hf_xproblem_errno(x, m, true, why, err, "cannot put the file in its place");
  if (why == 0) {
    w->counts.files++;
    w->counts.bytes += m->size;
  }
  return 0;
}

void hf_xlarge_drop(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, bool quiet) {
  char temp[HF_XTEMP];
  const char *name;
  bool symlink;
  hf_xtemp_name(x, temp, m->path, m->path_n, 0);
  struct hf_xdir *d = hf_xdir_parent(x, w, m->path, m->path_n, false, &symlink, &name, NULL);
  bool gone = d && unlinkat(d->fd, temp, 0) == 0;
  if (!gone && x->o.replace) gone = unlinkat(x->root_fd, temp, 0) == 0;
  if (gone && !quiet && !hf_xlost_has(x, m->path, m->path_n)) hf_xproblem(x, m, true, "its headers did not come");
}

/* ---- sparse ---- */

int hf_extract_sparse_begin(struct hf_extract *x, const void *head, size_t n, struct hf_error *err) {
  hf_xsparse_drop(x);
  struct hf_xworker *w = hf_xworker_get(x);
  struct archive *a = NULL;
  struct archive_entry *e;
  int rc = hf_xscan(&w->scan, head, n, err);
  if (rc < 0) goto out;
  if (w->scan.n_entries != 1) {
    rc = hf_fail(err, HOLDFAST_E_CORRUPT, "the headers of a sparse file are not those of one entry");
    goto out;
  }
  a = hf_xarchive(&w->scan, err);
  if (!a || archive_read_next_header(a, &e) < ARCHIVE_WARN) {
    const char *text = a ? archive_error_string(a) : NULL;
    rc = !a ? HOLDFAST_E_CORRUPT : hf_fail(err, HOLDFAST_E_CORRUPT, "the headers of a sparse file are damaged: %s", text ? text : "not understood");
    goto out;
  }
  x->sparse.active = true;
  struct hf_xmeta *m = &x->sparse.m;
  x->sparse.skip = !hf_xmeta_read(x, w, e, 0, m) || m->kind != 'f' || hf_xlost_has(x, m->path, m->path_n);
  if (x->sparse.skip) goto out;
  /* A copy: the worker's buffers are the next one's. */
  struct hf_buf *k = &x->sparse.keep;
  hf_buf_clear(k);
  hf_buf_add(k, m->path, m->path_n + 1);
  hf_buf_add(k, m->source, m->source_n + 1);
  hf_buf_add(k, m->attrs, m->attrs_n);
  m->path = k->data;
  m->source = m->path + m->path_n + 1;
  m->attrs = m->source + m->source_n + 1;
  m->link = "";
  m->link_n = 0;
  int count = archive_entry_sparse_reset(e);
  x->sparse.extents = hf_allocn((size_t)HF_MAX(count, 1), 2 * sizeof *x->sparse.extents);
  la_int64_t off, len;
  while (count > 0 && x->sparse.n < (size_t)count && archive_entry_sparse_next(e, &off, &len) == ARCHIVE_OK) {
    uint64_t *to = x->sparse.extents + 2 * x->sparse.n;
    if (off < 0 || len < 0) continue;
    to[0] = (uint64_t)off;
    to[1] = (uint64_t)len;
    if (len > 0) x->sparse.n++;
  }
  /* No map, or one of a single stretch: all of it is data. */
  if (count == 0 && m->size > 0) {
    x->sparse.extents[1] = m->size;
    x->sparse.n = 1;
  }
  x->sparse.fd = hf_xlarge_open(x, w, m, &rc, err);
  x->sparse.skip = x->sparse.fd < 0;
out:
  archive_read_free(a);
  hf_xworker_put(x, w);
  return rc;
}

int hf_extract_sparse_data(struct hf_extract *x, const void *p, size_t n, struct hf_error *err) {
  const char *b = p;
  if (!x->sparse.active) return hf_fail(err, HOLDFAST_E_FAILED, "no sparse file was begun");
  /* What comes behind the last stretch is padding. */
  while (n > 0 && !x->sparse.skip && x->sparse.i < x->sparse.n) {
    const uint64_t *at = x->sparse.extents + 2 * x->sparse.i;
    size_t part = (size_t)HF_MIN((uint64_t)n, at[1] - x->sparse.done);
    int rc = write_at(x, &x->sparse.m, x->sparse.fd, at[0] + x->sparse.done, b, part, err);
    if (rc < 0) return rc;
    b += part;
    n -= part;
    x->sparse.done += part;
    if (x->sparse.done == at[1]) {
      x->sparse.i++;
      x->sparse.done = 0;
    }
  }
  return 0;
}

int hf_extract_sparse_end(struct hf_extract *x, struct hf_error *err) {
  if (!x->sparse.active) return hf_fail(err, HOLDFAST_E_FAILED, "no sparse file was begun");
  int rc = 0;
  const struct hf_xmeta *m = &x->sparse.m;
  if (!x->sparse.skip) {
    if (x->sparse.i < x->sparse.n && !hf_xlost_has(x, m->path, m->path_n)) hf_xproblem(x, m, true, "its data did not come whole");
    rc = hf_xwait(x, HF_XL_LARGE, m, err);
  }
  hf_xsparse_drop(x);
  return rc;
}

void hf_xsparse_drop(struct hf_extract *x) {
  hf_closep(&x->sparse.fd);
  free(x->sparse.extents);
  hf_buf_free(&x->sparse.keep);
  memset(&x->sparse, 0, sizeof x->sparse);
  x->sparse.fd = -1;
}
