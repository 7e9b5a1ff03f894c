/* plugin.c - the sqlite source: its settings, the backup half, and the table of callbacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_MAX (4u << 20)

static const struct holdfast_setting settings[] = {
  [HF_SQLITE_DATABASE] = {"database", HOLDFAST_STRING, HOLDFAST_REQUIRED | HOLDFAST_LIST, NULL, NULL,
    "A database file, or a pattern such as /srv/*/app.db"},
  [HF_SQLITE_EXCLUDE] = {"exclude", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A pattern of what to leave out of the patterns above: of a path, or without a slash of a name"},
  [HF_SQLITE_IGNORE_MISSING] = {"ignore-missing", HOLDFAST_BOOL, 0, "no", NULL,
    "Pass over a database that does not exist and a pattern that matches nothing"},
  [HF_SQLITE_BUSY_TIMEOUT] = {"busy-timeout", HOLDFAST_DURATION, 0, "10s", NULL,
    "How long to wait for another program's lock"},
  [HF_SQLITE_CHECK] = {"check", HOLDFAST_CHOICE, 0, "quick", "none|quick|full",
    "Which check of SQLite a database has to pass before it is stored"},
  [HF_SQLITE_CHUNK] = {"chunk", HOLDFAST_SIZE, 0, "64K", NULL,
    "Size of the pieces that are stored anew when a page in them changes: a power of two from 4K to 4M"},
  [HF_SQLITE_SCRATCH] = {"scratch", HOLDFAST_PATH, 0, NULL, NULL,
    "Folder for the copy of a database that is not in write-ahead mode; default TMPDIR or /var/tmp"},
  [HF_SQLITE_HOLD_LOCK] = {"hold-lock", HOLDFAST_BOOL, 0, "yes", NULL,
    "Make writers wait for a whole pass when a database that is not in write-ahead mode never rests"},
  [HF_SQLITE_FOREIGN_KEYS] = {"foreign-keys", HOLDFAST_BOOL, 0, "yes", NULL,
    "Run foreign_key_check in a drill"},
  [HF_SQLITE_ASSERT] = {"assert", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL,
    "A query that must be true of the restored copy in a drill; DATABASE: QUERY for one of several"},
  [HF_SQLITE_N_SETTINGS] = {NULL, 0, 0, NULL, NULL, NULL},
};

struct sqlite {
  const struct holdfast_host *host;
  struct hf_sqlite_options o;
  struct hf_sqlite_list list;
  size_t at; /* database that next takes up */
  size_t failed;
  struct hf_sqlite_snapshot snap;
  bool ready;          /* snap is of the database that next is to give */
  struct stat st;      /* of that */
  uint64_t offset;     /* in the stream being read */
  unsigned char *page; /* one page, for reads that are smaller */
  uint64_t page_at;    /* its number, UINT64_MAX: none */
  char *state;
  char first[HF_SQLITE_WHY]; /* why the first database failed */
};

static void close_sqlite(void *handle) {
  struct sqlite *x = handle;
  hf_sqlite_snapshot_end(&x->snap);
  hf_sqlite_list_free(&x->list);
  free(x->page);
  free(x->state);
  free(x);
}

/* Files that cannot be read say so in the system's words, which are clearer than SQLite's. */
static int readable(const char *path, struct stat *st, char *why) {
  if (stat(path, st) != 0) return hf_sqlite_say_errno(why, errno, path);
  if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
    return hf_sqlite_say(why, HOLDFAST_E_AUTH, "%.600s: cannot be read by this account (%s); run as root, or as its owner (user = in the manifest)", path,
                         strerror(errno));
  return 0;
}

/* Take hold of a state of the database that next is to give. */
static int take_hold(struct sqlite *x, char *why) {
  struct hf_sqlite_database *d = &x->list.v[x->at];
  int rc = readable(d->path, &x->st, why);
  if (rc == 0) rc = hf_sqlite_snapshot_begin(&x->o, d->path, &x->snap, why);
  if (rc < 0) {
    hf_sqlite_snapshot_end(&x->snap);
    return rc;
  }
  d->page_size = x->snap.page_size;
  d->pages = x->snap.pages;
  d->mode = x->st.st_mode & 07777;
  d->uid = x->st.st_uid;
  d->gid = x->st.st_gid;
  char *folder = strndup(d->path, (size_t)(strrchr(d->path, '/') - d->path) + 1);
  struct stat st;
  if (folder && stat(folder, &st) == 0) {
    d->folder_mode = st.st_mode & 07777;
    d->folder_uid = st.st_uid;
    d->folder_gid = st.st_gid;
  }
  free(folder);
  snprintf(d->journal, sizeof d->journal, "%s", x->snap.is_wal ? "wal" : "rollback");
  x->ready = true;
  return 0;
}

static int open_sqlite(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  char why[HF_SQLITE_WHY];
  struct sqlite *x = calloc(1, sizeof *x);
  if (!x) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  x->host = host;
  int rc = hf_sqlite_options(host, values, &x->o, why);
  if (rc == 0) rc = hf_sqlite_list_load(values, &x->list, why);
  if (rc == 0 && !(x->page = malloc(HF_SQLITE_PAGE_MAX))) rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  /* If the only one cannot be read, the source cannot. */
  if (rc == 0 && x->list.n == 1) rc = take_hold(x, why);
  if (rc < 0) {
    close_sqlite(x);
    return holdfast_fail(host, rc, "%s", why);
  }
  *handle = x;
  return HOLDFAST_OK;
}

static int give(struct sqlite *x, struct holdfast_entry *e) {
  const struct hf_sqlite_database *d = &x->list.v[x->at];
  e->kind = HOLDFAST_STREAM;
  e->path = d->stream;
  e->size = d->pages * d->page_size;
  e->mode = d->mode;
  e->uid = d->uid;
  e->gid = d->gid;
  e->mtime = x->st.st_mtim.tv_sec;
  e->mtime_nsec = (uint32_t)x->st.st_mtim.tv_nsec;
  e->fixed_chunk = x->o.chunk > d->page_size ? x->o.chunk : d->page_size;
  e->cookie = x->at++;
  x->ready = false;
  return 1;
}

/* Of several databases one that cannot be read is a problem of its own. */
static int next(void *handle, struct holdfast_entry *e) {
  struct sqlite *x = handle;
  char why[HF_SQLITE_WHY];
  if (!x->ready) hf_sqlite_snapshot_end(&x->snap);
  for (; x->at < x->list.n; x->at++) {
    int rc = x->ready ? 0 : take_hold(x, why);
    if (rc == 0) return give(x, e);
    if (rc == HOLDFAST_E_CANCELED) return holdfast_fail(x->host, rc, "%s", why);
    if (x->failed++ == 0) memcpy(x->first, why, sizeof why);
    x->host->problem(x->host->ctx, x->list.v[x->at].stream, rc, why);
  }
  if (x->failed > 0 && x->failed == x->list.n)
    return holdfast_fail(x->host, HOLDFAST_E_FAILED, "none of the %zu databases can be read; the first: %.700s", x->list.n, x->first);
  return 0;
}

static int entry_open(void *handle, struct holdfast_entry *e) {
  struct sqlite *x = handle;
  (void)e; /* next has taken hold of its state, and it is the only one that can be open */
  x->offset = 0;
  x->page_at = UINT64_MAX;
  return HOLDFAST_OK;
}

static int64_t entry_read(void *handle, void *buf, size_t n) {
  struct sqlite *x = handle;
  struct hf_sqlite_snapshot *s = &x->snap;
  char why[HF_SQLITE_WHY];
  uint32_t size = s->page_size;
  if (x->host->cancelled(x->host->ctx)) return holdfast_fail(x->host, HOLDFAST_E_CANCELED, "stopped");
  if (!s->db || x->offset >= s->pages * size) return 0;
  uint64_t page = x->offset / size, skip = x->offset % size, pages = (n < READ_MAX ? n : READ_MAX) / size;
  if (pages > s->pages - page) pages = s->pages - page;
  if (skip == 0 && pages > 0) {
    int rc = hf_sqlite_snapshot_read(s, page, (uint32_t)pages, buf, why);
    if (rc < 0) return holdfast_fail(x->host, rc, "%s", why);
    x->offset += pages * size;
    return (int64_t)(pages * size);
  }
  if (x->page_at != page) {
    int rc = hf_sqlite_snapshot_read(s, page, 1, x->page, why);
    if (rc < 0) return holdfast_fail(x->host, rc, "%s", why);
    x->page_at = page;
  }
  size_t part = size - skip < n ? size - (size_t)skip : n;
  memcpy(buf, x->page + skip, part);
  x->offset += part;
  return (int64_t)part;
}

static int entry_close(void *handle) {
  struct sqlite *x = handle;
  if (x->snap.db && x->offset == x->snap.pages * x->snap.page_size) x->list.v[x->at - 1].read = true;
  hf_sqlite_snapshot_end(&x->snap);
  return HOLDFAST_OK;
}

static int finish(void *handle, const char **state) {
  struct sqlite *x = handle;
  free(x->state);
  x->state = hf_sqlite_state_write(&x->list);
  if (!x->state) return holdfast_fail(x->host, HOLDFAST_E_FAILED, "out of memory");
  *state = x->state;
  return HOLDFAST_OK;
}

/* ---- preflight ---- */

/* Can it be opened? What a killed program left is not rolled back here: the backup does that. */
static int try(const struct hf_sqlite_options *o, const char *path, char *why) {
  struct stat st;
  int64_t n;
  sqlite3 *db = NULL;
  char journal[4096 + 16];
  int status = readable(path, &st, why), rc = SQLITE_OK;
  if (status < 0) return status;
  if (snprintf(journal, sizeof journal, "%s-journal", path) < (int)sizeof journal && access(journal, F_OK) == 0) {
    rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (db) sqlite3_extended_result_codes(db, 1);
    if (db) sqlite3_busy_timeout(db, o->busy_ms);
  } else if ((status = hf_sqlite_open_live(path, o->busy_ms, &db, why)) < 0) {
    return status;
  }
  if (rc == SQLITE_OK) rc = hf_sqlite_number(db, "SELECT count(*) FROM sqlite_master", &n);
  bool fine = rc == SQLITE_OK || (rc == SQLITE_READONLY_ROLLBACK && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0);
  if (!fine) status = hf_sqlite_say_db(why, db, rc, path);
  sqlite3_close_v2(db);
  return status;
}

static int probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  char why[HF_SQLITE_WHY];
  struct hf_sqlite_options o;
  struct hf_sqlite_list list = {0};
  uint64_t bytes = 0;
  int rc = hf_sqlite_options(host, values, &o, why);
  if (rc == 0) rc = hf_sqlite_list_load(values, &list, why);
  for (size_t i = 0; rc == 0 && i < list.n; i++) {
    struct stat st;
    rc = try(&o, list.v[i].path, why);
    if (rc == 0 && stat(list.v[i].path, &st) == 0) bytes += (uint64_t)st.st_size;
  }
  if (rc < 0) rc = holdfast_fail(host, rc, "%s", why);
  else
    rc = holdfast_fail(host, HOLDFAST_OK, "would read %zu database%s, %llu MiB", list.n, list.n == 1 ? "" : "s",
                       (unsigned long long)((bytes + (1 << 20) - 1) >> 20));
  hf_sqlite_list_free(&list);
  return rc;
}

static const struct holdfast_source_plugin plugin = {
  .head = {
    .struct_size = sizeof(struct holdfast_source_plugin),
    .abi_major = HOLDFAST_ABI_MAJOR,
    .abi_minor = HOLDFAST_ABI_MINOR,
    .name = "sqlite",
    .version = HF_SQLITE_VERSION,
    .summary = "SQLite databases, while programs write to them",
    .settings = settings,
  },
  .open = open_sqlite,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_sqlite,
  .probe = probe,
  .restore_open = hf_sqlite_restore_open,
  .restore_begin = hf_sqlite_restore_begin,
  .restore_write = hf_sqlite_restore_write,
  .restore_end = hf_sqlite_restore_end,
  .restore_finish = hf_sqlite_restore_finish,
  .restore_close = hf_sqlite_restore_close,
  .verify = hf_sqlite_verify,
  .features = HOLDFAST_KEEPS_SAFETY,
  .undo = hf_sqlite_undo,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
