/* place.c - put restored files in their places, and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A journal in memory holds every path that was made or replaced, in order; undo goes through it backwards. Each file is copied to a
 * hidden name beside its place and renamed, so that nobody ever sees half of one, and configuration globs ("*.conf", "*") do not match it.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "copy.h"
#include "exact.h"

struct done {
  char *path;
  bool had;    /* something was there: it is in the safety folder */
  bool folder; /* a folder that was made */
};

struct hfp_place {
  const struct holdfast_host *host;
  char *stage; /* private, goes away */
  char *keep;  /* what was replaced, stays; made with the first file that goes into it */
  bool kept;
  struct done *v;
  size_t n, cap;
};

static int no_memory(const struct holdfast_host *host) { return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory"); }

/* The folder and those above it; the new ones are ours alone. 0 or -errno. */
static int make_folders(const char *path) {
  char copy[PATH_MAX];
  if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return -ENAMETOOLONG;
  for (char *slash = copy; slash;) {
    slash = strchr(slash + 1, '/');
    if (slash) *slash = '\0';
    if (mkdir(copy, 0700) != 0 && errno != EEXIST) return -errno;
    if (slash) *slash = '/';
  }
  struct stat st;
  if (stat(path, &st) != 0) return -errno;
  return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int hfp_place_begin(const struct holdfast_host *host, const char *safety, struct hfp_place **out) {
  int rc = make_folders(safety);
  if (rc < 0)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "safety = %s: what a restore replaces cannot be kept there: %s", safety, strerror(-rc));
  struct hfp_place *p = calloc(1, sizeof *p);
  if (!p) return no_memory(host);
  p->host = host;
  char when[32];
  struct tm tm;
  time_t now = time(NULL);
  strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
  if (asprintf(&p->stage, "%s/.incoming-XXXXXX", safety) < 0) p->stage = NULL;
  if (!p->stage || !mkdtemp(p->stage)) {
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "safety = %s: cannot make a folder there: %s", safety, strerror(errno));
    free(p->stage);
    free(p);
    return rc;
  }
  /* The folder's random part makes the name of what is kept unique, too. */
  if (asprintf(&p->keep, "%s/%s-%s-%s", safety, when, host->instance, p->stage + strlen(p->stage) - 6) < 0) {
    p->keep = NULL;
    hfp_place_free(p);
    return no_memory(host);
  }
  *out = p;
  return HOLDFAST_OK;
}

const char *hfp_place_stage(const struct hfp_place *p) { return p->stage; }

int hfp_place_tree(const struct holdfast_host *host, const char *directory, const struct hfp_place *p, char *dir, size_t cap) {
  const char *path = directory ? directory : hfp_place_stage(p);
  if (strlen(path) >= cap) return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: the folder's path is too long", path);
  memcpy(dir, path, strlen(path) + 1);
  return HOLDFAST_OK;
}

const char *hfp_place_kept(const struct hfp_place *p) { return p->kept ? p->keep : NULL; }

static int note(struct hfp_place *p, const char *path, bool had, bool folder) {
  if (p->n == p->cap) {
    size_t cap = p->cap ? p->cap * 2 : 32;
    struct done *v = realloc(p->v, cap * sizeof *v);
    if (!v) return -ENOMEM;
    p->v = v;
    p->cap = cap;
  }
  char *copy = strdup(path);
  if (!copy) return -ENOMEM;
  p->v[p->n++] = (struct done){copy, had, folder};
  return 0;
}

/* A copy of what is at path goes below the safety folder. */
static int keep(struct hfp_place *p, const char *path) {
  char to[PATH_MAX];
  if (snprintf(to, sizeof to, "%s%s", p->keep, path) >= (int)sizeof to) return -ENAMETOOLONG;
  char *slash = strrchr(to, '/');
  *slash = '\0';
  int rc = make_folders(to);
  *slash = '/';
  p->kept = true;
  return rc == 0 ? hfp_copy(path, to) : rc;
}

/* One file or link of the tree; from: where it is staged. */
static int put_file(struct hfp_place *p, const struct hfp_place_rules *rules, const char *from, const char *path) {
  struct stat st;
  enum hfp_placed what = HFP_MADE;
  if (lstat(path, &st) == 0) {
    if (S_ISDIR(st.st_mode)) return -EISDIR;
    what = hfp_copy_same(from, path) ? HFP_SAME : rules && rules->replace && !rules->replace(rules->ctx, path) ? HFP_LEFT : HFP_REPLACED;
  } else if (errno != ENOENT) {
    return -errno;
  }
  int rc = what == HFP_REPLACED ? keep(p, path) : 0;
  if (rc == 0 && what >= HFP_REPLACED) {
    rc = note(p, path, what == HFP_REPLACED, false);
    if (rc == 0) rc = hfp_copy(from, path);
  }
  if (rc == 0 && rules && rules->told) rules->told(rules->ctx, path, what);
  return rc;
}

static int put_folder(struct hfp_place *p, const char *path) {
  struct stat st;
  if (lstat(path, &st) == 0) return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
  if (errno != ENOENT) return -errno;
  int rc = note(p, path, false, true);
  if (rc == 0 && mkdir(path, 0700) != 0) rc = -errno;
  return rc;
}

static int put_all(struct hfp_place *p, const struct hfp_place_rules *rules) {
  char *roots[] = {p->stage, NULL};
  FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (!fts) return hfp_fail_errno(p->host, -errno, p->stage);
  size_t skip = strlen(p->stage);
  int rc = 0;
  FTSENT *f;
  while (rc == 0 && (errno = 0, f = fts_read(fts))) {
    const char *path = f->fts_path + skip;
    if (f->fts_level == 0) continue;
    int e = 0;
    switch (f->fts_info) {
    case FTS_D: e = put_folder(p, path); break;
    case FTS_DP: break;
    case FTS_F:
    case FTS_SL:
    case FTS_SLNONE: e = put_file(p, rules, f->fts_path, path); break;
    case FTS_DEFAULT: hfp_log(p->host, HOLDFAST_LOG_WARNING, "%s: neither a file nor a link, not put back", path); break;
    default: e = -f->fts_errno;
    }
    if (e == -EISDIR) rc = holdfast_fail(p->host, HOLDFAST_E_FAILED, "%s: a folder is where the file is to go", path);
    else if (e == -ENOTDIR && f->fts_info == FTS_D)
      rc = holdfast_fail(p->host, HOLDFAST_E_FAILED, "%s: something else than a folder is where the folder is to go; is it a link now?", path);
    else if (e < 0) rc = hfp_fail_errno(p->host, e, path);
    if (rc == 0 && p->host->cancelled(p->host->ctx)) rc = holdfast_fail(p->host, HOLDFAST_E_CANCELED, "stopped");
  }
  if (rc == 0 && errno) rc = hfp_fail_errno(p->host, -errno, p->stage);
  fts_close(fts);
  /* The new folders get their owners and modes last: one of them may be closed to us. */
  for (size_t i = p->n; rc == 0 && i-- > 0;) {
    if (!p->v[i].folder) continue;
    char from[PATH_MAX];
    int e = snprintf(from, sizeof from, "%s%s", p->stage, p->v[i].path) >= (int)sizeof from ? -ENAMETOOLONG : hfp_copy_metadata(from, p->v[i].path);
    if (e < 0) rc = hfp_fail_errno(p->host, e, p->v[i].path);
  }
  return rc;
}

/* Backwards through the journal, to its end whatever happens. 0, or the first -errno with its path in which (PATH_MAX bytes). */
static int undo(struct hfp_place *p, char *which) {
  int first = 0;
  for (; p->n > 0; p->n--) {
    struct done *d = &p->v[p->n - 1];
    char from[PATH_MAX];
    int e = 0;
    if (d->folder) {
      if (rmdir(d->path) != 0 && errno != ENOENT) e = -errno;
    } else if (!d->had) {
      if (unlink(d->path) != 0 && errno != ENOENT) e = -errno;
    } else if (snprintf(from, sizeof from, "%s%s", p->keep, d->path) >= (int)sizeof from) {
      e = -ENAMETOOLONG;
    } else {
      e = hfp_copy(from, d->path);
    }
    if (e < 0 && first == 0) {
      first = e;
      snprintf(which, PATH_MAX, "%s", d->path);
    }
    free(d->path);
  }
  return first;
}

int hfp_place_undo(struct hfp_place *p) {
  char which[PATH_MAX] = "";
  int e = undo(p, which);
  if (e < 0)
    return holdfast_fail(p->host, HOLDFAST_E_FAILED, "%s could not be put back (%s); what was there before is in %s", which, strerror(-e),
                         p->kept ? p->keep : "no place: it is new");
  if (p->kept) hfp_remove_tree(p->keep);
  p->kept = false;
  return HOLDFAST_OK;
}

int hfp_place_put(struct hfp_place *p, const struct hfp_place_rules *rules) {
  int rc = put_all(p, rules);
  if (rc == 0) return HOLDFAST_OK;
  char which[PATH_MAX] = "";
  int e = undo(p, which);
  /* The message of put_all stands; this is beside it. */
  if (e < 0) hfp_log(p->host, HOLDFAST_LOG_WARNING, "%s could not be put back (%s); what was there before is in %s", which, strerror(-e), p->keep);
  else if (p->kept) {
    hfp_remove_tree(p->keep);
    p->kept = false;
  }
  return rc;
}

/* ---- undo ---- */

/* The folder's place and metadata, below the safety folder. */
static int keep_folder(struct hfp_place *p, const char *path) {
  char to[PATH_MAX];
  if (snprintf(to, sizeof to, "%s%s", p->keep, path) >= (int)sizeof to) return -ENAMETOOLONG;
  int rc = make_folders(to);
  p->kept = true;
  return rc == 0 ? hfp_copy_metadata(path, to) : rc;
}

static int back_one(struct hfp_place *p, const struct holdfast_kept *item) {
  struct stat now, then;
  bool there = lstat(item->place, &now) == 0;
  if (!there && errno != ENOENT && errno != ENOTDIR) return -errno;
  if (item->kept_as && lstat(item->kept_as, &then) != 0) return -errno;
  if (!item->kept_as && (!there || S_ISDIR(now.st_mode))) return 0; /* a folder: later, when it is sure */
  if (item->kept_as && S_ISDIR(then.st_mode)) {
    int rc = there ? 0 : note(p, item->place, false, true);
    if (rc == 0 && !there && mkdir(item->place, 0700) != 0) rc = -errno;
    return rc == 0 && !there ? hfp_copy_metadata(item->kept_as, item->place) : rc;
  }
  if (there && S_ISDIR(now.st_mode)) return -EISDIR;
  int rc = there ? keep(p, item->place) : 0;
  if (rc == 0) rc = note(p, item->place, there, false);
  if (rc == 0 && item->kept_as) return hfp_copy(item->kept_as, item->place);
  return rc == 0 && unlink(item->place) != 0 ? -errno : rc;
}

int hfp_place_back(struct hfp_place *p, const struct holdfast_kept *items, size_t n) {
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < n; i++) {
    int e = back_one(p, &items[i]);
    if (e == -ENOENT && items[i].kept_as) rc = holdfast_fail(p->host, HOLDFAST_E_NOT_FOUND, "%s: what was kept as %s is not there any more", items[i].place, items[i].kept_as);
    else if (e < 0) rc = hfp_fail_errno(p->host, e, items[i].place);
  }
  if (rc == 0) return HOLDFAST_OK;
  char which[PATH_MAX] = "";
  int e = undo(p, which);
  if (e < 0) hfp_log(p->host, HOLDFAST_LOG_WARNING, "%s could not be put back (%s); what was there is in %s", which, strerror(-e), p->keep);
  return rc;
}

void hfp_place_back_folders(struct hfp_place *p, const struct holdfast_kept *items, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct stat st;
    if (items[i].kept_as || lstat(items[i].place, &st) != 0 || !S_ISDIR(st.st_mode)) continue;
    int e = keep_folder(p, items[i].place);
    if (e == 0 && rmdir(items[i].place) != 0) e = -errno;
    if (e == 0) e = note(p, items[i].place, true, false);
    if (e < 0) hfp_log(p->host, HOLDFAST_LOG_NOTICE, "%s was not there before the restore, and stays: %s", items[i].place, strerror(-e));
  }
}

void hfp_place_tell(const struct hfp_place *p) {
  if (!p->host->kept) return;
  for (size_t i = 0; i < p->n; i++) {
    char from[PATH_MAX];
    snprintf(from, sizeof from, "%s%s", p->keep, p->v[i].path);
    p->host->kept(p->host->ctx, p->v[i].path, p->v[i].had ? from : NULL);
  }
}

void hfp_place_free(struct hfp_place *p) {
  if (!p) return;
  if (p->stage) hfp_remove_tree(p->stage);
  for (size_t i = 0; i < p->n; i++) free(p->v[i].path);
  free(p->v);
  free(p->stage);
  free(p->keep);
  free(p);
}
