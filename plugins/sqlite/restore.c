/* restore.c - the restore half: streams to files, in a folder or in place of the databases they came from.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In place, a stream goes to a file beside the database. Nothing is replaced before all of them have arrived, are on disk and have been
 * checked, and until no program uses any of the old ones.
 */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file that has been written, or is being written. */
struct arrived {
  const struct hf_sqlite_database *d; /* NULL: there is no state (a folder only) */
  char *path;                         /* in place: where it is to go */
  char *temp;                         /* where it is now; NULL: it is where it belongs */
  struct hf_sqlite_old old;
};

struct restore {
  const struct holdfast_host *host;
  struct hf_sqlite_options o;
  bool in_place;
  const char *directory;
  struct hf_sqlite_list list;
  struct arrived *v;
  size_t n;
  int fd; /* of the last one, while it is being written */
  uint64_t size, got;
  char why[HF_SQLITE_WHY];
};

static int told(struct restore *r, int rc) { return rc < 0 ? holdfast_fail(r->host, rc, "%s", r->why) : HOLDFAST_OK; }

int hf_sqlite_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how, void **handle) {
  struct hf_sqlite_options o;
  char why[HF_SQLITE_WHY];
  if (how->mode != HOLDFAST_RESTORE_TO_DIR && how->mode != HOLDFAST_RESTORE_IN_PLACE)
    return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "a way to restore that is not known (%u)", (unsigned)how->mode);
  int rc = hf_sqlite_options(host, values, &o, why);
  if (rc < 0) return holdfast_fail(host, rc, "%s", why);
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  *r = (struct restore){.host = host, .o = o, .in_place = how->mode == HOLDFAST_RESTORE_IN_PLACE, .directory = how->directory, .fd = -1};
  rc = hf_sqlite_state_read(how->state, &r->list, r->why);
  if (rc == 0 && !r->in_place && (!how->directory || *how->directory != '/'))
    rc = hf_sqlite_say(r->why, HOLDFAST_E_CONFIG, "the folder to restore to is not absolute");
  if (rc < 0) {
    rc = told(r, rc);
    hf_sqlite_restore_close(r);
    return rc;
  }
  *handle = r;
  return HOLDFAST_OK;
}

/* ---- one stream ---- */

static int out_of_room(struct restore *r, const char *path) {
  return hf_sqlite_say(r->why, HOLDFAST_E_NO_SPACE, "%.600s: no room for %llu MiB", path, (unsigned long long)(r->size >> 20) + 1);
}

/* The folder that a database goes to, when it is gone with all that was in it: as it was, and what is above it open to all to pass. */
static int make_folders(struct restore *r, const struct hf_sqlite_database *d) {
  char *path = strdup(d->path);
  int rc = path ? 0 : hf_sqlite_say(r->why, HOLDFAST_E_FAILED, "out of memory");
  char *last = path ? strrchr(path, '/') : NULL;
  for (char *p = last && last > path ? path + 1 : NULL; rc == 0 && p && p <= last; p++) {
    if (*p != '/') continue;
    *p = '\0';
    if (mkdir(path, 0755) == 0) {
      bool known = p == last && d->folder_mode != 0;
      /* Not what the umask left of it. */
      if (chmod(path, known ? d->folder_mode : 0755) != 0 || (known && chown(path, d->folder_uid, d->folder_gid) != 0 && geteuid() == 0))
        rc = hf_sqlite_say_errno(r->why, errno, path);
      hf_sqlite_log(r->host, HOLDFAST_LOG_NOTICE, "%.800s: was not there, and has been made", path);
    } else if (errno != EEXIST) {
      rc = hf_sqlite_say_errno(r->why, errno, path);
    }
    *p = '/';
  }
  free(path);
  return rc;
}

static int name_both(struct restore *r, struct arrived *a, const char *stream) {
  int n;
  if (r->in_place) {
    a->path = strdup(a->d->path);
    const char *slash = strrchr(a->d->path, '/');
    n = asprintf(&a->temp, "%.*s/.holdfast-restore-XXXXXX", (int)(slash - a->d->path), a->d->path);
  } else {
    n = asprintf(&a->temp, "%s/%s", r->directory, a->d ? a->d->file : stream);
  }
  if (n < 0) a->temp = NULL;
  return !a->temp || (r->in_place && !a->path) ? hf_sqlite_say(r->why, HOLDFAST_E_FAILED, "out of memory") : 0;
}

/* The file to be written, private until it is complete. */
static int make_file(struct restore *r, struct arrived *a) {
  struct stat st;
  if (r->in_place && lstat(a->path, &st) == 0 && !S_ISREG(st.st_mode))
    return hf_sqlite_say(r->why, HOLDFAST_E_EXISTS, "%.600s: is no file now, but a link, a folder or the like: move it away first", a->path);
  r->fd = r->in_place ? mkostemp(a->temp, O_CLOEXEC) : open(a->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (r->fd < 0) {
    int e = errno;
    char *named = a->temp;
    a->temp = NULL; /* nothing to be removed */
    int rc = hf_sqlite_say_errno(r->why, e, r->in_place ? a->path : named);
    free(named);
    return rc;
  }
  /* Want of room shows now, and not when half has been written. Not every file system can do that. */
  int e = r->size > 0 ? posix_fallocate(r->fd, 0, (off_t)r->size) : 0;
  return e == ENOSPC || e == EDQUOT || e == EFBIG ? out_of_room(r, r->in_place ? a->path : a->temp) : 0;
}

/* A stream that turned out to be damaged has no end. */
static void drop_unfinished(struct restore *r) {
  if (r->fd < 0) return;
  close(r->fd);
  r->fd = -1;
  struct arrived *a = &r->v[--r->n];
  if (a->temp) unlink(a->temp);
  free(a->temp);
  free(a->path);
}

int hf_sqlite_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct restore *r = handle;
  drop_unfinished(r);
  const struct hf_sqlite_database *d = hf_sqlite_list_stream(&r->list, stream);
  if (!d && (r->in_place || r->list.n > 0))
    return holdfast_fail(r->host, HOLDFAST_E_CORRUPT,
                         "%.200s: the state kept with the snapshot does not say which database this is; get it with recover.sh or holdfast cat", stream);
  struct arrived *grown = realloc(r->v, (r->n + 1) * sizeof *r->v);
  if (!grown) return holdfast_fail(r->host, HOLDFAST_E_FAILED, "out of memory");
  r->v = grown;
  r->v[r->n] = (struct arrived){.d = d};
  r->size = size;
  r->got = 0;
  struct arrived *a = &r->v[r->n++];
  int rc = name_both(r, a, stream);
  if (rc == 0 && r->in_place) rc = make_folders(r, d);
  if (rc == 0) rc = make_file(r, a);
  return told(r, rc);
}

int hf_sqlite_restore_write(void *handle, const void *buf, size_t n) {
  struct restore *r = handle;
  const char *p = buf, *path = r->n ? r->v[r->n - 1].temp : "";
  while (n > 0) {
    ssize_t k = write(r->fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return told(r, errno == ENOSPC || errno == EDQUOT ? out_of_room(r, path) : hf_sqlite_say_errno(r->why, errno, path));
    p += k;
    n -= (size_t)k;
    r->got += (uint64_t)k;
  }
  return HOLDFAST_OK;
}

/* Owner and mode as they were. In a folder only root can give a file away, and nobody minds if it cannot. */
static int dress(struct restore *r, const struct arrived *a) {
  if (!a->d) return 0;
  if (fchown(r->fd, a->d->uid, a->d->gid) != 0 && r->in_place)
    return hf_sqlite_say(r->why, HOLDFAST_E_AUTH, "%.500s: cannot give it back to its owner (%u:%u): %s", a->path, (unsigned)a->d->uid, (unsigned)a->d->gid,
                         strerror(errno));
  return fchmod(r->fd, a->d->mode) == 0 ? 0 : hf_sqlite_say_errno(r->why, errno, a->temp);
}

int hf_sqlite_restore_end(void *handle) {
  struct restore *r = handle;
  struct arrived *a = &r->v[r->n - 1];
  int rc = 0;
  if (r->fd < 0) return holdfast_fail(r->host, HOLDFAST_E_FAILED, "the end of a stream that has not begun");
  if (r->got != r->size)
    rc = hf_sqlite_say(r->why, HOLDFAST_E_CORRUPT, "%.600s: %llu bytes were announced, %llu have come", a->temp, (unsigned long long)r->size,
                       (unsigned long long)r->got);
  if (rc == 0) rc = dress(r, a);
  if (rc == 0 && fsync(r->fd) != 0) rc = hf_sqlite_say_errno(r->why, errno, a->temp);
  close(r->fd);
  r->fd = -1;
  if (rc == 0 && !r->in_place) {
    free(a->temp);
    a->temp = NULL; /* it stays, whatever becomes of the others */
  }
  if (rc == 0 && r->in_place && (r->o.quick || r->o.full)) {
    sqlite3 *db = NULL;
    rc = hf_sqlite_open_still(a->temp, false, &db, r->why);
    if (rc == 0) rc = hf_sqlite_check(r->host, db, a->path, r->o.full, r->why);
    sqlite3_close_v2(db);
  }
  return told(r, rc);
}

/* ---- all of them ---- */

static int replace_all(struct restore *r) {
  size_t done = 0;
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < r->n; i++) rc = hf_sqlite_old_hold(r->v[i].path, r->o.busy_ms, &r->v[i].old, r->why);
  for (; rc == 0 && done < r->n; done++) {
    struct arrived *a = &r->v[done];
    char *kept = NULL;
    rc = hf_sqlite_old_replace(&a->old, a->path, a->temp, &kept, r->why);
    if (rc < 0) break;
    free(a->temp);
    a->temp = NULL;
    if (kept) hf_sqlite_log(r->host, HOLDFAST_LOG_NOTICE, "%.400s: what was there is kept as %.400s", a->path, kept);
    hf_sqlite_tell_kept(r->host, a->path, kept);
    free(kept);
  }
  if (rc < 0 && done > 0) {
    char why[HF_SQLITE_WHY];
    memcpy(why, r->why, sizeof why);
    hf_sqlite_say(r->why, rc, "%.700s (%zu of %zu databases have been replaced before that)", why, done, r->n);
  }
  return rc;
}

int hf_sqlite_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  drop_unfinished(r);
  /* In place it is all or nothing: close removes what has come. */
  return r->in_place && complete ? told(r, replace_all(r)) : HOLDFAST_OK;
}

void hf_sqlite_restore_close(void *handle) {
  struct restore *r = handle;
  drop_unfinished(r);
  for (size_t i = 0; i < r->n; i++) {
    hf_sqlite_old_release(&r->v[i].old);
    if (r->v[i].temp) unlink(r->v[i].temp);
    free(r->v[i].temp);
    free(r->v[i].path);
  }
  free(r->v);
  hf_sqlite_list_free(&r->list);
  free(r);
}
