/* walk.c - the listing: every entry below the roots, in tree order, from what stat says alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A stack of folders, each with its sorted names. The roots are merged into it: whenever the next name sorts behind the next
 * root, that root is walked first. So a root inside another is walked once, and walked even where the outer root's own
 * walk would not have gone (an excluded folder, another file system).
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define KEEP_MEMORY ((size_t)1 << 18) /* a frame done with keeps up to this much for the next folder */

static struct hf_files_frame *top(struct hf_files_walk *w) {
  return &w->v[w->depth - 1];
}

/* A frame more, with its old memory; NULL when memory is out. */
static struct hf_files_frame *push(struct hf_files_walk *w) {
  size_t old = w->cap;
  if (!hf_files_grow(&w->v, &w->cap, w->depth + 1, sizeof *w->v)) return NULL;
  if (w->cap > old) memset(w->v + old, 0, (w->cap - old) * sizeof *w->v);
  struct hf_files_frame *f = &w->v[w->depth++];
  f->n = f->i = 0;
  f->is_parent = false;
  return f;
}

static void drop_frame(struct hf_files_walk *w) {
  struct hf_files_frame *f = top(w);
  if (f->names_cap + f->cap * sizeof *f->v > KEEP_MEMORY) {
    free(f->names);
    free(f->v);
    *f = (struct hf_files_frame){0};
  }
  w->depth--;
}

/* Make the folder of the top frame w->dirfd. */
static bool at_top(struct hf_files_walk *w) {
  const struct hf_files_level *l = hf_files_chain_to(&w->chain, w->path, top(w)->path_len, O_PATH);
  if (l) w->dirfd = l->fd;
  return l != NULL;
}

/* Make ready to go on with the top frame. If its folder has gone away meanwhile, so has the rest of what was in it. */
static void resume(struct hf_files *h) {
  struct hf_files_walk *w = &h->walk;
  while (w->depth > 0) {
    struct hf_files_frame *f = top(w);
    if (f->i >= f->n || at_top(w)) return; /* with no names left its descriptor is not needed */
    int e = errno;
    w->path[f->path_len] = '\0';
    hf_files_problem(h->host, w->path, hf_files_status(e), "cannot go back to this folder, its rest is left out: %s",
                     strerror(e));
    h->counts.problems++;
    drop_frame(w);
  }
}

/* Put name behind the folder's path of `at` bytes. Returns where it begins, or SIZE_MAX when memory is out. */
static size_t set_path(struct hf_files_walk *w, size_t at, const char *name) {
  size_t len = strlen(name), from = at ? at + 1 : 0;
  if (!hf_files_grow(&w->path, &w->path_cap, from + len + 1, 1)) return SIZE_MAX;
  if (at) w->path[at] = '/';
  memcpy(w->path + from, name, len + 1);
  w->path_len = from + len;
  return from;
}

static void problem(struct hf_files *h, int errnum, const char *what) {
  hf_files_problem(h->host, h->walk.path, hf_files_status(errnum), "%s: %s", what, strerror(errnum));
  h->counts.problems++;
}

/* Leave all out but the one name i, because the folder is marked. */
static void keep_only(struct hf_files *h, struct hf_files_frame *f, size_t i) {
  h->counts.excluded += f->n - 1;
  f->v[0] = f->v[i];
  f->n = 1;
}

static void content_rules(struct hf_files *h, struct hf_files_frame *f, bool is_root) {
  const char *mark = NULL;
  ssize_t i;
  if (h->opt.exclude_caches && (i = hf_files_list_find(f, "CACHEDIR.TAG")) >= 0 &&
      hf_files_is_cache_tag(h->walk.dirfd, "CACHEDIR.TAG"))
    mark = "CACHEDIR.TAG";
  for (size_t m = 0; !mark && m < h->opt.n_markers; m++)
    if ((i = hf_files_list_find(f, h->opt.markers[m])) >= 0) mark = h->opt.markers[m];
  if (!mark) return;
  if (is_root)
    hf_files_log(h->host, HOLDFAST_LOG_NOTICE, "/%s holds %s: all else in it is left out", h->walk.path, mark);
  keep_only(h, f, (size_t)i);
}

/* True when the folder w->path is on another file system (dev) that is not to be walked. fd: the folder above, or the folder
 * itself when name is NULL. */
static bool stay_out(struct hf_files *h, int fd, const char *name, dev_t dev, dev_t root_dev) {
  if (h->opt.one_file_system && dev != root_dev) return true;
  int at = name ? openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : fd; /* this alone mounts nothing */
  if (at < 0) return false;
  const char *fs = hf_files_virtual_fs(at);
  if (name) close(at);
  if (fs) hf_files_log(h->host, HOLDFAST_LOG_NOTICE, "/%s: not entered, it is a %s file system", h->walk.path, fs);
  return fs != NULL;
}

/* Go into the folder w->path, whose entry was the last one returned. */
static int enter(struct hf_files *h) {
  struct hf_files_walk *w = &h->walk;
  size_t len = w->path_len;
  dev_t above = 0, root_dev = 0;
  size_t rel = 0;
  if (w->depth > 0) {
    above = top(w)->dev;
    root_dev = top(w)->root_dev;
    rel = top(w)->rel;
    if (!w->as_root && w->entry_dev != above) {
      const char *slash = strrchr(w->path, '/');
      if (stay_out(h, w->dirfd, slash ? slash + 1 : w->path, w->entry_dev, root_dev)) return 0;
    }
  }
  const struct hf_files_level *l = hf_files_chain_to(&w->chain, w->path, len, O_RDONLY | O_NOATIME);
  if (!l) {
    int e = errno;
    if (e == ENOMEM) return hf_files_no_memory(h->host);
    if (e == ENOENT) h->counts.vanished++;
    else problem(h, e, "cannot read this folder");
    resume(h);
    return 0;
  }
  if (!w->as_root && w->depth > 0 && l->dev != w->entry_dev && stay_out(h, l->fd, NULL, l->dev, root_dev)) {
    resume(h);
    return 0;
  }
  struct hf_files_frame *f = push(w);
  if (!f) return hf_files_no_memory(h->host);
  w->dirfd = l->fd;
  f->path_len = len;
  f->dev = l->dev;
  f->root_dev = w->as_root ? l->dev : root_dev;
  f->rel = w->as_root ? (len ? len + 1 : 0) : rel;
  int e = hf_files_list(f, l->fd, w->dents);
  if (e == ENOMEM) return hf_files_no_memory(h->host);
  if (e) problem(h, e, "cannot list this folder"); /* what was listed until then is taken */
  content_rules(h, f, w->as_root);
  return 0;
}

/* Begin with the next root: a frame for the folder above it that holds its name only. */
static int begin_root(struct hf_files *h) {
  struct hf_files_walk *w = &h->walk;
  const char *root = h->roots.v[w->next_root++];
  const char *slash = strrchr(root, '/');
  size_t parent = slash ? (size_t)(slash - root) : 0;
  if (set_path(w, 0, root) == SIZE_MAX) return hf_files_no_memory(h->host);
  if (!*root) {
    w->as_root = true;
    return enter(h);
  }
  struct hf_files_frame *f = push(w);
  if (!f || !hf_files_list_one(f, slash ? slash + 1 : root)) return hf_files_no_memory(h->host);
  f->path_len = parent;
  f->rel = parent ? parent + 1 : 0;
  f->is_parent = true;
  f->dev = f->root_dev = 0;
  const struct hf_files_level *l = hf_files_chain_to(&w->chain, root, parent, O_PATH);
  if (!l) {
    problem(h, errno, "cannot reach this path");
    drop_frame(w);
    resume(h);
    return 0;
  }
  w->dirfd = l->fd;
  return 0;
}

/* chattr +d: statx says so on most file systems, else the file has to be opened. */
static bool is_nodump(int dirfd, const char *name, const struct stat *st) {
  if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) return false;
  struct statx sx;
  if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &sx) == 0 && (sx.stx_attributes_mask & STATX_ATTR_NODUMP))
    return (sx.stx_attributes & STATX_ATTR_NODUMP) != 0;
  int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return false;
  int flags = 0;
  bool yes = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NODUMP_FL);
  close(fd);
  return yes;
}

/* When the file was made; 0 when the file system does not say. */
static uint64_t birth_of(int dirfd, const char *name, const struct stat *st) {
  struct statx sx;
  if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BTIME | STATX_INO, &sx) != 0 || !(sx.stx_mask & STATX_BTIME) || sx.stx_ino != st->st_ino) return 0;
  return (uint64_t)sx.stx_btime.tv_sec * 1000000000u + sx.stx_btime.tv_nsec;
}

/* The kind of e, and for a further name of a file the first one. name: in the folder of the top frame. */
static void identify(struct hf_files *h, struct holdfast_entry *e, const char *name, const struct stat *st) {
  e->kind = hf_files_kind(st->st_mode);
  e->cookie = st->st_dev;
  if (st->st_nlink < 2 || S_ISDIR(st->st_mode) || S_ISSOCK(st->st_mode)) return;
  e->cookie |= HF_FILES_LINKED;
  const char *first = hf_files_links_seen(&h->links, st->st_dev, st->st_ino, birth_of(h->walk.dirfd, name, st), st->st_nlink, h->walk.path);
  if (first) {
    e->kind = HOLDFAST_HARDLINK;
    e->link = first;
  } else if (h->links.full && !h->warned_links) {
    h->warned_links = true;
    problem(h, ENOMEM, "too many hard links to remember: from here on some are kept as files of their own");
  }
}

static void count(struct hf_files_counts *c, const struct holdfast_entry *e) {
  switch (e->kind) {
  case HOLDFAST_FILE:
    c->files++;
    c->bytes += e->size;
    break;
  case HOLDFAST_DIR:
    c->folders++;
    break;
  case HOLDFAST_SYMLINK:
    c->symlinks++;
    break;
  case HOLDFAST_HARDLINK:
    c->hardlinks++;
    break;
  default:
    c->specials++;
  }
}

/* The next name of the top frame: 1 and *e filled, or 0 when it is passed over. */
static int visit(struct hf_files *h, struct hf_files_frame *f, size_t base, bool is_root, struct holdfast_entry *e) {
  struct hf_files_walk *w = &h->walk;
  const struct hf_files_dirent *d = &f->v[f->i++];
  const char *name = w->path + base;
  /* Where the listing told the type, what is excluded need not be looked at. */
  bool early = d->type != DT_UNKNOWN;
  if (!is_root && early && h->rules.n > 0 &&
      hf_files_rules_exclude(&h->rules, w->path, w->path_len, f->rel, base, d->type == DT_DIR)) {
    h->counts.excluded++;
    return 0;
  }
  struct stat st;
  if (fstatat(w->dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    int err = errno;
    if (err == ENOENT && !is_root) {
      h->counts.vanished++;
      return 0;
    }
    /* One entry alone may be closed, even to root: what another account has mounted by FUSE. */
    if (err == EACCES && !is_root && fstatat(w->dirfd, ".", &st, 0) != 0) {
      f->i = f->n; /* the folder may be listed but not searched: the same for all in it */
      w->path[f->path_len] = '\0';
      problem(h, err, "cannot look into this folder, its entries are left out");
    } else {
      problem(h, err, is_root ? "this path was there a moment ago" : "cannot look at this entry");
    }
    return 0;
  }
  bool out = !is_root && !early && h->rules.n > 0 &&
             hf_files_rules_exclude(&h->rules, w->path, w->path_len, f->rel, base, S_ISDIR(st.st_mode));
  if (!out && !is_root && h->opt.exclude_nodump) out = is_nodump(w->dirfd, name, &st);
  if (out) {
    h->counts.excluded++;
    return 0;
  }
  if (!hf_files_kind(st.st_mode)) {
    hf_files_problem(h->host, w->path, HOLDFAST_E_UNSUPPORTED, "a kind of file that is not known (mode %o)",
                     (unsigned)st.st_mode);
    h->counts.problems++;
    return 0;
  }
  e->path = w->path;
  identify(h, e, name, &st);
  hf_files_fill(e, &st, h->opt.ignore_inode);
  w->descend = e->kind == HOLDFAST_DIR;
  w->as_root = is_root;
  w->entry_dev = st.st_dev;
  count(&h->counts, e);
  return 1;
}

int hf_files_walk_next(struct hf_files *h, struct holdfast_entry *e) {
  struct hf_files_walk *w = &h->walk;
  if (!w->dents && !(w->dents = malloc(HF_FILES_DENTS))) return hf_files_no_memory(h->host);
  for (;;) {
    if ((++w->ticks & 255) == 0 && h->host->cancelled(h->host->ctx)) return holdfast_fail(h->host, HOLDFAST_E_CANCELED, "stopped");
    int rc = 0;
    if (w->descend) {
      w->descend = false;
      rc = enter(h);
    } else if (w->depth == 0) {
      if (w->next_root >= h->roots.n) return 0;
      rc = begin_root(h);
    } else {
      struct hf_files_frame *f = top(w);
      if (f->i >= f->n) {
        drop_frame(w);
        resume(h);
        continue;
      }
      size_t base = set_path(w, f->path_len, f->names + f->v[f->i].off);
      if (base == SIZE_MAX) return hf_files_no_memory(h->host);
      bool is_root = f->is_parent;
      int c = w->next_root < h->roots.n && !is_root ? hf_files_path_cmp(h->roots.v[w->next_root], w->path) : 1;
      if (c == 0) {
        is_root = true;
        w->next_root++;
      }
      rc = c < 0 ? begin_root(h) : visit(h, f, base, is_root, e);
      if (rc > 0) return 1;
    }
    if (rc < 0) return rc;
  }
}

void hf_files_walk_free(struct hf_files_walk *w) {
  for (size_t i = 0; i < w->cap; i++) {
    free(w->v[i].names);
    free(w->v[i].v);
  }
  free(w->v);
  free(w->path);
  free(w->dents);
  hf_files_chain_free(&w->chain);
  *w = (struct hf_files_walk){0};
}
