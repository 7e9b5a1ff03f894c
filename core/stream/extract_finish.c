/* extract_finish.c - the end of a restore: large files into place, symlinks, hard links, and last the folders' own metadata.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int make_symlink(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err) {
  char temp[HF_XTEMP];
  const char *name;
  int rc;
  struct hf_xdir *d = hf_xparent(x, w, m, &name, NULL, &rc, err);
  if (!d) return rc;
  const char *at = hf_xplace(x, temp, m, name);
  if (symlinkat(m->link, d->fd, at) < 0) {
    if (errno != EEXIST) return hf_xproblem_errno(x, m, true, errno, err, "cannot make the symbolic link");
    hf_xproblem(x, m, true, "exists already");
    return 0;
  }
  hf_xmeta_apply_at(x, d, at, m);
  rc = hf_xplace_end(x, d, at, name, m, err);
  if (rc > 0) w->counts.links++;
  return rc;
}

static int make_hardlink(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err) {
  char temp[HF_XTEMP];
  const char *name, *first;
  struct hf_error e = {0};
  struct stat st;
  bool symlink;
  int rc;
  /* The old file that may be there must not get this name. */
  if (hf_xlost_has(x, m->link, m->link_n)) {
    hf_xproblem(x, m, true, "the file it is another name of is not there");
    return 0;
  }
  struct hf_xdir *from = hf_xdir_parent(x, w, m->link, m->link_n, false, &symlink, &first, &e);
  if (!from || fstatat(from->fd, first, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode)) {
    hf_xproblem(x, m, true, "the file it is another name of is not there%s%s", from ? "" : ": ", from ? "" : e.msg);
    return 0;
  }
  /* Opening the second folder may close the first. */
  int fd = from == &w->root ? -1 : dup(from->fd), target = from == &w->root ? x->root_fd : fd;
  struct hf_xdir *d = hf_xparent(x, w, m, &name, NULL, &rc, err);
  if (!d) goto out;
  const char *at = hf_xplace(x, temp, m, name);
  if (linkat(target, first, d->fd, at, 0) < 0) {
    if (errno != EEXIST)
      rc = hf_xproblem_errno(x, m, true, errno, err, "cannot make the hard link");
    else
      hf_xproblem(x, m, true, "exists already");
    goto out;
  }
  rc = hf_xplace_end(x, d, at, name, m, err);
  if (rc > 0) w->counts.links++;
out:
  if (fd >= 0) close(fd);
  return rc;
}

static int finish_folder(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err) {
  const char *name;
  int rc;
  struct hf_xdir *d = hf_xparent(x, w, m, &name, NULL, &rc, err);
  if (!d) return rc;
  int fd = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return hf_xproblem_errno(x, m, false, errno, err, "metadata of the folder");
  hf_xmeta_apply_fd(x, d, fd, m, false, 0700);
  close(fd);
  return 0;
}

static int retry(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err) { return hf_xslice(x, w, m->attrs, m->attrs_n, true, err); }

static int drop(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err) {
  (void)err;
  hf_xlarge_drop(x, w, m, false);
  return 0;
}

typedef int each_fn(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err);

static int each(struct hf_extract *x, struct hf_xworker *w, uint64_t at, each_fn *fn, struct hf_error *err) {
  int rc = 0;
  struct hf_xmeta m;
  while (at && rc >= 0) {
    at = hf_xspool_read(&x->spool, at, &m);
    rc = fn(x, w, &m, err);
  }
  return rc < 0 ? rc : 0;
}

static int all(struct hf_extract *x, struct hf_xworker *w, struct hf_error *err) {
  struct hf_xspool *s = &x->spool;
  int rc = hf_xspool_end(s, err);
  if (rc < 0) return rc;
  if (s->fixed[HF_XL_RETRY]) {
    /* These may add folders to the spool; none of them comes a third time. */
    rc = each(x, w, s->fixed[HF_XL_RETRY], retry, err);
    if (rc == 0) rc = hf_xspool_end(s, err);
    if (rc < 0) return rc;
  }
  if ((rc = each(x, w, s->fixed[HF_XL_LARGE], hf_xlarge_finish, err)) < 0) return rc;
  if ((rc = each(x, w, s->fixed[HF_XL_TEMP], drop, err)) < 0) return rc;
  /* A hard link may be another name of a symlink, never the other way round. */
  if ((rc = each(x, w, s->fixed[HF_XL_SYMLINK], make_symlink, err)) < 0) return rc;
  if ((rc = each(x, w, s->fixed[HF_XL_HARDLINK], make_hardlink, err)) < 0) return rc;
  for (size_t depth = s->folders_n; depth-- > 0;)
    if ((rc = each(x, w, s->folders[depth], finish_folder, err)) < 0) return rc;
  return x->o.verify ? hf_xcheck_all(x, w, err) : 0;
}

int hf_extract_finish(struct hf_extract *x, struct hf_extract_counts *counts, struct hf_error *err) {
  for (struct hf_xworker *i = x->idle; i; i = i->next) hf_xlarge_forget(i);
  struct hf_xworker *w = hf_xworker_get(x);
  int rc = all(x, w, err);
  hf_xworker_put(x, w);
  if (counts) *counts = x->counts;
  for (size_t i = 0; x->o.problem && i < x->n_kinds; i++) {
    struct hf_xkind *k = &x->kinds[i];
    char text[1100];
    if (k->n > 1)
      snprintf(text, sizeof text, "%s (and %llu more like this)", k->what, (unsigned long long)(k->n - 1));
    x->o.problem(x->o.ctx, k->path, false, k->n > 1 ? text : k->what);
    k->n = 0;
  }
  if (rc < 0) return rc;
  x->finished = true;
  if (!x->o.sync) return 0;
  int fd = openat(x->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || syncfs(fd) < 0) rc = hf_fail_errno(err, errno, "cannot sync %s", x->root);
  if (fd >= 0) close(fd);
  return rc;
}
