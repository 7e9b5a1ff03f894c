/* scratch.c - a consistent copy of a database in a rollback journal mode.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Such a database has one state only, and while anyone reads it nobody can commit. A stream cannot be rewound, so to send pages while
 * writers go on would send a mixture. So the file is copied first, 4 MiB at a time, with SQLite's shared lock held for that long only. The
 * header's change counter says whether anyone committed in between. Then the file is gone through again, and what differs is copied anew,
 * until a whole pass was undisturbed. When three were not, one pass is made under one lock, which most of the time only has to compare.
 *
 * What is up to 4 MiB long is thus always copied under one lock. The copy loses its name before anything is in it: whatever happens to us,
 * nothing stays.
 */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define BATCH (4u << 20)
#define PASSES 3

struct scratch {
  const struct hf_sqlite_options *o;
  sqlite3 *db;
  sqlite3_file *file;
  const char *path;
  sqlite3 *copy; /* opened while the file was empty and had a name; first read when it is complete */
  int fd;        /* of the copy */
  uint64_t size;    /* of the database in this pass */
  uint64_t copied;  /* bytes that the copy has from earlier passes */
  uint32_t counter; /* of changes, when the pass began */
  bool disturbed;
  unsigned char *buf, *old;
};

static int said(struct scratch *x, int rc, char *why) { return hf_sqlite_say_db(why, x->db, rc, x->path); }

static int lock(struct scratch *x, char *why) {
  int rc = hf_sqlite_exec(x->db, "BEGIN; SELECT 1 FROM sqlite_master LIMIT 1");
  return rc == SQLITE_OK ? 0 : said(x, rc, why);
}

static int unlock(struct scratch *x, char *why) {
  int rc = hf_sqlite_exec(x->db, "COMMIT");
  return rc == SQLITE_OK ? 0 : said(x, rc, why);
}

/* With the lock held: is this still the state that the pass began with? */
static int look(struct scratch *x, bool first, char *why) {
  unsigned char h[100];
  int64_t pages = 0, page_size = 0;
  memset(h, 0, sizeof h);
  int rc = hf_sqlite_file_read(x->file, h, sizeof h, 0);
  if (rc == SQLITE_OK) rc = hf_sqlite_number(x->db, "PRAGMA page_count", &pages);
  if (rc == SQLITE_OK) rc = hf_sqlite_number(x->db, "PRAGMA page_size", &page_size);
  if (rc != SQLITE_OK) return said(x, rc, why);
  if (h[19] == 2)
    return hf_sqlite_say(why, HOLDFAST_E_TRANSIENT, "%.600s: was changed to write-ahead mode while it was read; the next run reads it so", x->path);
  uint32_t counter = (uint32_t)h[24] << 24 | (uint32_t)h[25] << 16 | (uint32_t)h[26] << 8 | h[27];
  uint64_t size = (uint64_t)pages * (uint64_t)page_size;
  if (first) {
    x->counter = counter;
    x->size = size;
    x->disturbed = false;
  } else if (counter != x->counter || size != x->size) {
    x->disturbed = true;
  }
  return 0;
}

static int full(const struct scratch *x, char *why) {
  return hf_sqlite_say(why, HOLDFAST_E_NO_SPACE,
                       "%.300s: no room in %.300s for a copy of %llu MiB (scratch = names another folder; a database in write-ahead mode needs none)",
                       x->path, x->o->scratch, (unsigned long long)(x->size >> 20) + 1);
}

static int put(struct scratch *x, uint64_t offset, size_t n, char *why) {
  for (size_t done = 0; done < n;) {
    ssize_t k = pwrite(x->fd, x->buf + done, n - done, (off_t)(offset + done));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return errno == ENOSPC || errno == EDQUOT ? full(x, why) : hf_sqlite_say_errno(why, errno, x->o->scratch);
    done += (size_t)k;
  }
  return 0;
}

/* The part of the copy, if it has one, that is to be compared with; anything else counts as different. */
static bool is_same(struct scratch *x, uint64_t offset, size_t n) {
  if (offset + n > x->copied) return false;
  for (size_t done = 0; done < n;) {
    ssize_t k = pread(x->fd, x->old + done, n - done, (off_t)(offset + done));
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    done += (size_t)k;
  }
  return memcmp(x->buf, x->old, n) == 0;
}

/* Go through the whole file; x->disturbed says whether it changed meanwhile. held: the caller has the lock and keeps it. */
static int pass(struct scratch *x, bool held, char *why) {
  uint64_t at = 0;
  do {
    if (x->o->host->cancelled(x->o->host->ctx)) return hf_sqlite_say(why, HOLDFAST_E_CANCELED, "stopped");
    int rc = held ? 0 : lock(x, why);
    if (rc == 0) rc = look(x, at == 0, why);
    if (rc < 0) return rc;
    size_t n = x->size - at < BATCH ? (size_t)(x->size - at) : BATCH;
    int r = n > 0 ? hf_sqlite_file_read(x->file, x->buf, n, at) : SQLITE_OK;
    if (r != SQLITE_OK) return said(x, r, why);
    if (!held) rc = unlock(x, why);
    if (rc == 0 && n > 0 && !is_same(x, at, n)) rc = put(x, at, n, why);
    if (rc < 0) return rc;
    at += n;
    if (at > x->copied) x->copied = at;
  } while (at < x->size);
  return 0;
}

static int last_pass(struct scratch *x, char *why) {
  struct timespec a, b;
  if (!x->o->hold_lock)
    return hf_sqlite_say(why, HOLDFAST_E_TRANSIENT,
                         "%.600s: was written to during each of %d attempts to copy it (hold-lock = yes makes writers wait; write-ahead mode needs neither)",
                         x->path, PASSES);
  int rc = lock(x, why);
  clock_gettime(CLOCK_MONOTONIC, &a);
  if (rc == 0) rc = pass(x, true, why);
  if (rc < 0) return rc;
  clock_gettime(CLOCK_MONOTONIC, &b);
  hf_sqlite_log(x->o->host, HOLDFAST_LOG_NOTICE, "%.600s: is written to all the time: writers had to wait for %lld ms", x->path,
                (long long)(b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
  return unlock(x, why);
}

/* The file for the copy. */
static int make_file(struct scratch *x, char *why) {
  char *name = NULL;
  if (asprintf(&name, "%s/holdfast-sqlite-XXXXXX", x->o->scratch) < 0) return hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  x->fd = mkostemp(name, O_CLOEXEC);
  int rc = 0;
  if (x->fd < 0) {
    rc = hf_sqlite_say(why, HOLDFAST_E_CONFIG, "scratch: no file can be made in %.600s: %s", x->o->scratch, strerror(errno));
  } else {
    rc = hf_sqlite_open_still(name, true, &x->copy, why);
    unlink(name);
  }
  free(name);
  return rc;
}

/* Look for the room beforehand: to fill a disk to the last byte hurts others. */
static int check_room(struct scratch *x, char *why) {
  struct statvfs v;
  sqlite3_int64 size = 0;
  int rc = x->file->pMethods->xFileSize(x->file, &size);
  if (rc != SQLITE_OK) return said(x, rc, why);
  x->size = (uint64_t)size;
  return fstatvfs(x->fd, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < x->size ? full(x, why) : 0;
}

static int copy_all(struct scratch *x, char *why) {
  int rc = make_file(x, why), passes = 0;
  if (rc == 0) rc = check_room(x, why);
  if (rc < 0) return rc;
  do rc = pass(x, false, why);
  while (rc == 0 && x->disturbed && ++passes < PASSES);
  if (rc == 0 && x->disturbed) rc = last_pass(x, why);
  if (rc == 0 && ftruncate(x->fd, (off_t)x->size) != 0) rc = hf_sqlite_say_errno(why, errno, x->o->scratch);
  return rc;
}

int hf_sqlite_scratch(const struct hf_sqlite_options *o, sqlite3 *db, const char *path, sqlite3 **copy, char *why) {
  struct scratch x = {.o = o, .db = db, .path = path, .fd = -1, .buf = malloc(BATCH), .old = malloc(BATCH)};
  int rc = 0;
  *copy = NULL;
  if (!x.buf || !x.old) rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  else if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &x.file) != SQLITE_OK)
    rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.600s: SQLite does not hand out its file", path);
  else rc = copy_all(&x, why);
  if (rc == 0) *copy = x.copy;
  else sqlite3_close_v2(x.copy);
  if (x.fd >= 0) close(x.fd);
  free(x.buf);
  free(x.old);
  return rc;
}
