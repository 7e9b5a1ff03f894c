/* entry.c - reading one entry: open, refresh what stat said, add what only an open file tells, read, check for change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

uint32_t hf_files_kind(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return HOLDFAST_FILE;
  case S_IFDIR:
    return HOLDFAST_DIR;
  case S_IFLNK:
    return HOLDFAST_SYMLINK;
  case S_IFIFO:
    return HOLDFAST_FIFO;
  case S_IFCHR:
    return HOLDFAST_CHAR;
  case S_IFBLK:
    return HOLDFAST_BLOCK;
  case S_IFSOCK:
    return HOLDFAST_SOCKET;
  default:
    return 0;
  }
}

void hf_files_fill(struct holdfast_entry *e, const struct stat *st, bool ignore_inode) {
  e->size = e->kind == HOLDFAST_FILE ? (uint64_t)st->st_size : 0;
  e->mode = st->st_mode & 07777;
  e->uid = st->st_uid;
  e->gid = st->st_gid;
  e->mtime = st->st_mtim.tv_sec;
  e->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
  e->ctime = st->st_ctim.tv_sec;
  e->ctime_nsec = (uint32_t)st->st_ctim.tv_nsec;
  e->inode = ignore_inode ? 0 : st->st_ino;
  bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
  e->rdev_major = device ? major(st->st_rdev) : 0;
  e->rdev_minor = device ? minor(st->st_rdev) : 0;
}

/* Open a regular file for reading. O_NONBLOCK keeps a FIFO that has taken its place from blocking us. */
static int open_file(struct hf_files *h, int dirfd, const char *name, uint32_t uid) {
  int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = -1;
  errno = EPERM;
  if (h->euid == 0 || h->euid == uid) fd = openat(dirfd, name, flags | O_NOATIME);
  if (fd < 0 && errno == EPERM) fd = openat(dirfd, name, flags);
  if (fd >= 0 || errno != EWOULDBLOCK) return fd;
  /* Somebody holds a lease (a file server for its client): wait until it is given up, if it still is a regular file. */
  int path = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  if (path < 0) return -1;
  if (fstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
    char proc[40];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", path);
    fd = open(proc, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  }
  int e = errno;
  close(path);
  errno = e;
  return fd;
}

/* Open the entry at path (len bytes); -1 with errno. */
static int open_at(struct hf_files *h, const struct holdfast_entry *e, size_t len, bool is_file) {
  const char *slash = memrchr(e->path, '/', len);
  const char *name = slash ? slash + 1 : e->path;
  const struct hf_files_level *l = hf_files_chain_to(&h->chain, e->path, slash ? (size_t)(slash - e->path) : 0, O_PATH);
  if (!l) return -1;
  return is_file ? open_file(h, l->fd, name, e->uid) : openat(l->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Where a symbolic link leads, into o->link. Returns 0 or an errno. */
static int read_link(struct hf_files_open *o) {
  size_t want = o->st.st_size > 0 ? (size_t)o->st.st_size + 1 : 256;
  for (;;) {
    if (!hf_files_grow(&o->link, &o->link_cap, want, 1)) return ENOMEM;
    ssize_t n = readlinkat(o->fd, "", o->link, o->link_cap);
    if (n < 0) return errno;
    if ((size_t)n < o->link_cap) {
      o->link[n] = '\0';
      return 0;
    }
    want = o->link_cap * 2;
  }
}

static void give_up(struct hf_files_open *o) {
  if (o->fd >= 0) close(o->fd);
  o->fd = -1;
}

/* A listed entry that is something else now. What stands there will be in the next snapshot; to say "vanished" would hide
 * that it is not in this one. */
static int replaced(struct hf_files *h, const char *path, const char *what) {
  give_up(&h->open);
  return holdfast_fail(h->host, HOLDFAST_E_FAILED, "/%s: %s since it was listed", path, what);
}

static int cannot(struct hf_files *h, const char *path, const char *what, int errnum) {
  give_up(&h->open);
  return holdfast_fail(h->host, hf_files_status(errnum), "/%s: %s: %s", path, what, strerror(errnum));
}

/* What goes beyond stat: names of owners, link target, attributes, holes. */
static int enrich(struct hf_files *h, struct holdfast_entry *e) {
  struct hf_files_open *o = &h->open;
  e->user = hf_files_user_name(&h->users, e->uid);
  e->group = hf_files_group_name(&h->groups, e->gid);
  if (e->kind == HOLDFAST_HARDLINK) return 0; /* the rest is its first name's */
  int err;
  if (e->kind == HOLDFAST_SYMLINK) {
    if ((err = read_link(o)) != 0) return cannot(h, e->path, "cannot read the link", err);
    e->link = o->link;
  }
  err = hf_files_xattrs_read(&o->xattrs, o->fd, !o->is_file, h->opt.xattrs, h->opt.acls);
  if (err == ENOENT && !o->is_file) {
    if (!h->warned_proc)
      hf_files_log(h->host, HOLDFAST_LOG_WARNING, "/proc is not mounted: extended attributes of folders and links are not kept");
    h->warned_proc = true;
    err = 0;
  }
  if (err == ENOMEM) return cannot(h, e->path, "cannot read the extended attributes", err);
  if (err) { /* the content is worth more: keep it, and look again next time */
    hf_files_problem(h->host, e->path, hf_files_status(err), "cannot read its extended attributes, it is kept without: %s", strerror(err));
    h->counts.problems++;
    e->flags |= HOLDFAST_UNSTABLE;
  }
  e->xattrs = o->xattrs.n ? o->xattrs.v : NULL;
  e->n_xattrs = (uint32_t)o->xattrs.n;
  if (!o->is_file || (uint64_t)o->st.st_blocks >= ((uint64_t)o->st.st_size + 511) / 512) return 0;
  int holes = hf_files_extents_read(&o->extents, o->fd, e->size);
  if (holes < 0) return cannot(h, e->path, "cannot map the holes", ENOMEM);
  o->has_holes = holes > 0;
  if (holes) {
    e->extents = o->extents.v;
    e->n_extents = o->extents.n;
    o->pos = o->extents.n ? o->extents.v[0].offset : 0;
  } else if (lseek(o->fd, 0, SEEK_SET) < 0) {
    return cannot(h, e->path, "cannot go back to the start", errno);
  }
  return 0;
}

/* A further name of a file whose first one is not in the snapshot, or is another file there: keep it as a file of its own. */
static int own_file(struct hf_files *h, struct holdfast_entry *e, size_t len) {
  struct hf_files_open *o = &h->open;
  const struct stat was = o->st;
  e->kind = hf_files_kind(was.st_mode);
  e->link = NULL;
  if (e->kind != HOLDFAST_FILE) return 0;
  give_up(o);
  o->is_file = true;
  o->fd = open_at(h, e, len, true);
  if (o->fd < 0) return cannot(h, e->path, "cannot open", errno);
  if (fstat(o->fd, &o->st) != 0) return cannot(h, e->path, "cannot look at it", errno);
  if (!S_ISREG(o->st.st_mode)) return replaced(h, e->path, "has become another kind of file");
  return 0;
}

static int open_entry(struct hf_files *h, struct holdfast_entry *e) {
  struct hf_files_open *o = &h->open;
  size_t len = strlen(e->path);
  give_up(o);
  o->pos = 0;
  o->extent = 0;
  o->has_holes = false;
  o->is_file = e->kind == HOLDFAST_FILE;
  if (!hf_files_grow(&o->path, &o->path_cap, len + 1, 1)) return hf_files_no_memory(h->host);
  memcpy(o->path, e->path, len + 1);

  o->fd = open_at(h, e, len, o->is_file);
  if (o->fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    /* A folder above may have been replaced by a new one of the same name: look again from the top. */
    hf_files_chain_free(&h->chain);
    o->fd = open_at(h, e, len, o->is_file);
  }
  if (o->fd < 0) {
    int err = errno;
    if (o->is_file && (err == ELOOP || err == ENXIO)) return replaced(h, e->path, "has become something else than a file");
    if (err == ELOOP) err = ENOENT;
    h->counts.vanished += hf_files_status(err) == HOLDFAST_E_NOT_FOUND;
    return cannot(h, e->path, "cannot open", err);
  }
  if (fstat(o->fd, &o->st) != 0) return cannot(h, e->path, "cannot look at it", errno);
  if (e->kind == HOLDFAST_HARDLINK) {
    bool same = (e->cookie & ~HF_FILES_LINKED) == o->st.st_dev && (h->opt.ignore_inode || e->inode == o->st.st_ino);
    if (!same || S_ISDIR(o->st.st_mode)) return replaced(h, e->path, "has been replaced and is no longer a hard link");
    int rc = hf_files_links_noted(&h->lost, e->link) ? own_file(h, e, len) : 0;
    if (rc < 0) return rc;
  } else if (hf_files_kind(o->st.st_mode) != e->kind) {
    return replaced(h, e->path, "has become another kind of file");
  }
  hf_files_fill(e, &o->st, h->opt.ignore_inode);
  return enrich(h, e);
}

int hf_files_entry_open(struct hf_files *h, struct holdfast_entry *e) {
  struct hf_files_open *o = &h->open;
  const uint64_t inode = e->inode, dev = e->cookie & ~HF_FILES_LINKED;
  o->linked = (e->cookie & HF_FILES_LINKED) && e->kind != HOLDFAST_HARDLINK;
  int rc = open_entry(h, e);
  if (o->linked && (rc < 0 || o->st.st_dev != dev || e->inode != inode)) hf_files_links_note(&h->lost, e->path);
  return rc;
}

int64_t hf_files_entry_read(struct hf_files *h, void *buf, size_t n) {
  struct hf_files_open *o = &h->open;
  if (o->fd < 0) return holdfast_fail(h->host, HOLDFAST_E_FAILED, "read without an open entry");
  if (!o->is_file) return 0;
  for (;;) {
    uint64_t end = (uint64_t)o->st.st_size; /* what grows behind it is for the next snapshot */
    if (o->has_holes) {
      const struct hf_files_extents *x = &o->extents;
      if (o->extent >= x->n) return 0;
      end = x->v[o->extent].offset + x->v[o->extent].length;
      if (o->pos >= end) {
        if (++o->extent < x->n) o->pos = x->v[o->extent].offset;
        continue;
      }
    }
    if (o->pos >= end || n == 0) return 0;
    size_t want = end - o->pos < n ? (size_t)(end - o->pos) : n;
    ssize_t got = o->has_holes ? pread(o->fd, buf, want, (off_t)o->pos) : read(o->fd, buf, want);
    if (got < 0 && errno == EINTR) {
      if (h->host->cancelled(h->host->ctx)) return holdfast_fail(h->host, HOLDFAST_E_CANCELED, "stopped");
      continue;
    }
    if (got < 0) {
      int err = errno;
      if (o->linked) hf_files_links_note(&h->lost, o->path);
      return holdfast_fail(h->host, hf_files_status(err), "/%s: cannot read at byte %llu: %s", o->path,
                           (unsigned long long)o->pos, strerror(err));
    }
    if (got == 0) { /* it was cut short: entry_close will say so */
      o->is_file = false;
      return 0;
    }
    o->pos += (uint64_t)got;
    return got;
  }
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

int hf_files_entry_close(struct hf_files *h) {
  struct hf_files_open *o = &h->open;
  if (o->fd < 0) return HOLDFAST_OK;
  struct stat now;
  int rc = HOLDFAST_OK;
  /* A folder's times change with every name made in it; what was kept of it is still true. */
  if (S_ISREG(o->st.st_mode)) {
    if (fstat(o->fd, &now) != 0)
      rc = holdfast_fail(h->host, hf_files_status(errno), "/%s: cannot look at it again: %s", o->path, strerror(errno));
    else if (now.st_size != o->st.st_size || !same_time(&now.st_mtim, &o->st.st_mtim) || !same_time(&now.st_ctim, &o->st.st_ctim))
      rc = holdfast_fail(h->host, HOLDFAST_E_CHANGED, "/%s: changed while it was read", o->path);
  }
  give_up(o);
  return rc;
}

void hf_files_open_free(struct hf_files_open *o) {
  give_up(o);
  free(o->path);
  free(o->link);
  hf_files_xattrs_free(&o->xattrs);
  hf_files_extents_free(&o->extents);
  *o = (struct hf_files_open){.fd = -1};
}
