/* extract_entry.c - the entries of a slice: what can be made at once is made, the rest goes to the spool.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/text.h"

void hf_xtemp_name(const struct hf_extract *x, char out[HF_XTEMP], const char *path, size_t n, uint64_t serial) {
  if (serial) {
    snprintf(out, HF_XTEMP, ".holdfast-%016llx-%s-%llx", (unsigned long long)hf_xhash(x, path, n), x->id, (unsigned long long)serial);
    return;
  }
  /* The same for every thread that has data of the file, and for no other file. */
  struct hf_digest d;
  char hex[2 * 16 + 1];
  hf_sha256(path, n, &d);
  hf_hex(hex, d.b, 16);
  snprintf(out, HF_XTEMP, ".holdfast-%s-%s", hex, x->id);
}

const char *hf_xplace(struct hf_extract *x, char temp[HF_XTEMP], const struct hf_xmeta *m, const char *name) {
  if (!x->o.replace) return name;
  hf_xtemp_name(x, temp, m->path, m->path_n, __atomic_add_fetch(&x->serial, 1, __ATOMIC_RELAXED));
  return temp;
}

int hf_xplace_end(struct hf_extract *x, struct hf_xdir *d, const char *made, const char *name, const struct hf_xmeta *m, struct hf_error *err) {
  if (made == name) return 1;
  if (renameat(d->fd, made, d->fd, name) == 0) {
    /* Two names of one file: rename does nothing, and says it went well. */
    if (m->kind == 'h') unlinkat(d->fd, made, 0);
    return 1;
  }
  int why = errno;
  unlinkat(d->fd, made, 0);
  if (why == EISDIR) {
    hf_xproblem(x, m, true, "a folder is there, which is not replaced");
    return 0;
  }
  return hf_xproblem_errno(x, m, true, why, err, "cannot replace what is there");
}

struct hf_xdir *hf_xparent(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, const char **name, bool *retry, int *rc, struct hf_error *err) {
  struct hf_error e = {0};
  bool symlink;
  struct hf_xdir *d = hf_xdir_parent(x, w, m->path, m->path_n, true, &symlink, name, &e);
  *rc = 0;
  if (retry) *retry = false;
  if (d) return d;
  if (e.code == HOLDFAST_E_NO_SPACE)
    *rc = hf_fail(err, e.code, "%s", e.msg);
  else if (symlink && retry)
    *retry = true;
  else
    hf_xproblem(x, m, true, "%s", e.msg);
  return NULL;
}

int hf_xwait(struct hf_extract *x, enum hf_xlist list, const struct hf_xmeta *m, struct hf_error *err) {
  pthread_mutex_lock(&x->lock);
  int rc = hf_xspool_add(&x->spool, list, m, err);
  pthread_mutex_unlock(&x->lock);
  return rc;
}

/* The making of the entry failed with errnum. */
static int failed(struct hf_extract *x, const struct hf_xmeta *m, int errnum, const char *doing, struct hf_error *err) {
  if (errnum == EEXIST && !x->o.replace) {
    hf_xproblem(x, m, true, "exists already");
    return 0;
  }
  return hf_xproblem_errno(x, m, true, errnum, err, "%s", doing);
}

/* The data of the entry libarchive is at. 0, or the errno; EBADMSG for what is wrong with the bytes. *over negative: the restore is over. */
static int copy_data(struct hf_extract *x, const struct hf_xmeta *m, struct archive *a, int fd, int *over, struct hf_error *err) {
  const uint64_t size = m->size;
  const void *p;
  size_t n;
  la_int64_t off;
  uint64_t at = 0;
  for (;;) {
    int rc = archive_read_data_block(a, &p, &n, &off);
    if (rc == ARCHIVE_EOF) break;
    if (rc < ARCHIVE_WARN || off < 0 || (uint64_t)off > size || n > size - (uint64_t)off) return EBADMSG;
    const char *b = p;
    uint64_t to = (uint64_t)off;
    *over = hf_xcheck_note(x, m, to, p, n, err);
    if (*over < 0) return 0;
    while (n > 0) {
      ssize_t done = to == at ? write(fd, b, n) : pwrite(fd, b, n, (off_t)to);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return errno;
      if (to == at) at += (uint64_t)done;
      b += done;
      to += (uint64_t)done;
      n -= (size_t)done;
    }
  }
  if (at == size) return 0;
  /* There were holes: the end may be one. */
  return ftruncate(fd, (off_t)size) < 0 ? errno : 0;
}

static int make_file(struct hf_extract *x, struct hf_xworker *w, struct hf_xdir *d, const char *name, struct archive *a, const struct hf_xmeta *m, struct hf_error *err) {
  char temp[HF_XTEMP];
  const char *at = hf_xplace(x, temp, m, name);
  uint32_t create_mode = hf_xmeta_create_mode(x, m);
  int fd = openat(d->fd, at, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, create_mode);
  if (fd < 0) return failed(x, m, errno, "cannot make the file", err);
  int rc = 0, why = copy_data(x, m, a, fd, &rc, err);
  if (why == 0) hf_xmeta_apply_fd(x, d, fd, m, true, create_mode);
  if (close(fd) < 0 && why == 0) why = errno;
  if (why != 0 || rc < 0) {
    unlinkat(d->fd, at, 0);
    if (rc < 0) return rc;
    if (why != EBADMSG) return failed(x, m, why, "cannot write the file", err);
    const char *text = archive_error_string(a);
    hf_xproblem(x, m, true, "the tar bytes are damaged: %s", text ? text : "data outside the file");
    return 0;
  }
  rc = hf_xplace_end(x, d, at, name, m, err);
  if (rc > 0) {
    w->counts.files++;
    w->counts.bytes += m->size;
  }
  return rc;
}

static int make_special(struct hf_extract *x, struct hf_xworker *w, struct hf_xdir *d, const char *name, const struct hf_xmeta *m, struct hf_error *err) {
  char temp[HF_XTEMP];
  const char *at = hf_xplace(x, temp, m, name);
  mode_t type = m->kind == 'p' ? S_IFIFO : m->kind == 'c' ? S_IFCHR : S_IFBLK;
  if (mknodat(d->fd, at, type | (m->mode & 0777), m->kind == 'p' ? 0 : makedev(m->rdev_major, m->rdev_minor)) < 0)
    return failed(x, m, errno, m->kind == 'p' ? "cannot make the FIFO" : "cannot make the device", err);
  hf_xmeta_apply_at(x, d, at, m);
  int rc = hf_xplace_end(x, d, at, name, m, err);
  if (rc > 0) w->counts.others++;
  return rc;
}

/* One entry just read, the one numbered `which`. headers_only: its data is not in the slice. member: its tar bytes, to come again at the end if need be; NULL when it has come again. */
static int entry(struct hf_extract *x, struct hf_xworker *w, struct archive *a, struct archive_entry *e, size_t which, bool headers_only, bool sparse, const char *member, size_t member_n, struct hf_error *err) {
  struct hf_xmeta m;
  if (!hf_xmeta_read(x, w, e, which, &m)) return 0;
  if (m.kind == 'l') return hf_xwait(x, HF_XL_SYMLINK, &m, err);
  if (m.kind == 'h') return hf_xwait(x, HF_XL_HARDLINK, &m, err);
  if (headers_only && m.kind == 'f') return sparse ? 0 : hf_xwait(x, HF_XL_LARGE, &m, err);
  const char *name;
  bool retry = false;
  int rc;
  struct hf_xdir *d = hf_xparent(x, w, &m, &name, x->o.replace && member ? &retry : NULL, &rc, err);
  if (retry) {
    /* The symlink may be where the archive has a folder that just has not come yet. */
    m.attrs = member;
    m.attrs_n = member_n;
    return hf_xwait(x, HF_XL_RETRY, &m, err);
  }
  if (!d) return rc;
  if (m.kind == 'f') return make_file(x, w, d, name, a, &m, err);
  if (m.kind != 'd') return make_special(x, w, d, name, &m, err);
  rc = hf_xdir_make(x, d, name, &m, err);
  if (rc <= 0) return rc;
  size_t depth = 0;
  for (size_t i = 0; i < m.path_n; i++) depth += m.path[i] == '/';
  pthread_mutex_lock(&x->lock);
  rc = hf_xspool_add_folder(&x->spool, depth, &m, err);
  pthread_mutex_unlock(&x->lock);
  if (rc == 0) w->counts.folders++;
  return rc;
}

struct archive *hf_xarchive(struct hf_xscan *s, struct hf_error *err) {
  struct archive *a = archive_read_new();
  if (a && archive_read_support_format_tar(a) == ARCHIVE_OK && archive_read_open(a, s, NULL, hf_xscan_read, NULL) == ARCHIVE_OK) return a;
  const char *text = a ? archive_error_string(a) : NULL;
  hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes cannot be read: %s", text ? text : "out of memory");
  archive_read_free(a);
  return NULL;
}

int hf_xslice(struct hf_extract *x, struct hf_xworker *w, const void *tar, size_t n, bool again, struct hf_error *err) {
  struct hf_xscan *s = &w->scan;
  int rc = hf_xscan(s, tar, n, err);
  if (rc < 0 || s->n_entries == 0) return rc;
  struct archive *a = hf_xarchive(s, err);
  if (!a) return err ? err->code : HOLDFAST_E_CORRUPT;
  size_t i = 0;
  for (; rc >= 0; i++) {
    struct archive_entry *e;
    int got = archive_read_next_header(a, &e);
    if (got == ARCHIVE_EOF) break;
    const char *text = archive_error_string(a);
    if (got < ARCHIVE_WARN || i == s->n_entries) {
      rc = hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes are damaged: %s", text && got < ARCHIVE_WARN ? text : "more entries than headers");
      break;
    }
    if (got == ARCHIVE_WARN) {
      const char *path = archive_entry_pathname(e);
      struct hf_xmeta m = {.source = path ? path : ""};
      hf_xproblem(x, &m, false, "the entry's headers: %s", text ? text : "not understood in part");
    }
    bool open = s->open && i + 1 == s->n_entries;
    rc = entry(x, w, a, e, i, open, s->sparse, again ? NULL : (const char *)tar + s->starts[i], s->starts[i + 1] - s->starts[i], err);
    if (open) {
      /* To ask for another would be to pass over data that is not here. */
      i++;
      break;
    }
  }
  if (rc >= 0 && i < s->n_entries) rc = hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes are damaged: fewer entries than headers");
  archive_read_free(a);
  return rc < 0 ? rc : 0;
}
