/* runs.c - the database of runs, told alarms and channels.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/runs.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/io.h"

struct hf_runs {
  sqlite3 *db;
  char *path;
};

/* Step n makes version n + 1 of version n. Steps are only ever added. */
static const char *const steps[] = {
    "CREATE TABLE runs(id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, started INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0, exit INTEGER NOT NULL DEFAULT 0,"
    " facts TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX runs_verb ON runs(verb, id);"
    "CREATE TABLE told(channel TEXT NOT NULL, key TEXT NOT NULL, verdict INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(channel, key)) WITHOUT ROWID;"
    "CREATE TABLE channels(name TEXT PRIMARY KEY, tried INTEGER NOT NULL, good INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, error TEXT) WITHOUT ROWID;"};

static int fail(const struct hf_runs *r, const char *what, struct hf_error *err) {
  int rc = sqlite3_errcode(r->db) & 0xff;
  int code = rc == SQLITE_FULL ? HOLDFAST_E_NO_SPACE : rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? HOLDFAST_E_CORRUPT : HOLDFAST_E_FAILED;
  return hf_fail(err, code, "run database %s: %s: %s", r->path, what, sqlite3_errmsg(r->db));
}

static int exec(struct hf_runs *r, const char *text, const char *what, struct hf_error *err) {
  return sqlite3_exec(r->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(r, what, err);
}

static void finalize(sqlite3_stmt **st) { sqlite3_finalize(*st); }

/* A statement with its parameters: s a text (NULL is NULL), i an int64_t. */
static sqlite3_stmt *prepare(struct hf_runs *r, const char *sql, const char *types, ...) {
  sqlite3_stmt *st = NULL;
  if (sqlite3_prepare_v2(r->db, sql, -1, &st, NULL) != SQLITE_OK) return NULL;
  va_list ap;
  va_start(ap, types);
  for (int i = 0; types[i]; i++) {
    if (types[i] == 's')
      sqlite3_bind_text(st, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
    else
      sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
  }
  va_end(ap);
  return st;
}

/* Run a statement without rows to its end; takes it. */
static int run(struct hf_runs *r, sqlite3_stmt *st, const char *what, struct hf_error *err) {
  int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
  int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(r, what, err);
  sqlite3_finalize(st);
  return code;
}

static int version_of(struct hf_runs *r, int *version, struct hf_error *err) {
  HF_CLEANUP(finalize) sqlite3_stmt *st = prepare(r, "PRAGMA user_version", "");
  if (!st || sqlite3_step(st) != SQLITE_ROW) return fail(r, "read version", err);
  *version = sqlite3_column_int(st, 0);
  return 0;
}

/* Bring the tables to the newest version. Under the write lock: two that start together do it once. */
static int migrate(struct hf_runs *r, struct hf_error *err) {
  int version = 0, rc = version_of(r, &version, err);
  if (rc < 0 || version == (int)HF_NELEM(steps)) return rc;
  rc = exec(r, "BEGIN IMMEDIATE", "begin", err);
  if (rc == 0) rc = version_of(r, &version, err);
  if (rc == 0 && version > (int)HF_NELEM(steps))
    rc = hf_fail(err, HOLDFAST_E_CONFIG, "run database %s is of version %d, written by a newer holdfast; this one knows %d", r->path, version, (int)HF_NELEM(steps));
  for (; rc == 0 && version < (int)HF_NELEM(steps); version++) rc = exec(r, steps[version], "make tables", err);
  char text[48];
  snprintf(text, sizeof text, "PRAGMA user_version=%d; COMMIT", (int)HF_NELEM(steps));
  if (rc == 0) rc = exec(r, text, "commit", err);
  if (rc < 0 && !sqlite3_get_autocommit(r->db)) sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
  return rc;
}

int hf_runs_open(const char *dir, struct hf_runs **out, struct hf_error *err) {
  struct hf_runs *r = hf_alloc(sizeof *r);
  r->path = hf_path_join(dir, "runs.sqlite");
  mode_t old = umask(077);
  int rc = sqlite3_open_v2(r->path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK ? 0 : fail(r, "open", err);
  if (rc == 0) {
    sqlite3_busy_timeout(r->db, 10000);
    rc = exec(r, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512;", "open", err);
  }
  if (rc == 0) rc = migrate(r, err);
  umask(old);
  if (rc < 0) {
    hf_runs_close(r);
    return rc;
  }
  *out = r;
  return 0;
}

void hf_runs_close(struct hf_runs *r) {
  if (!r) return;
  sqlite3_close(r->db);
  free(r->path);
  free(r);
}

/* ---- runs ---- */

void hf_run_row_free(struct hf_run_row *row) {
  free(row->verb);
  free(row->facts);
  *row = (struct hf_run_row){0};
}

int hf_runs_begin(struct hf_runs *r, const char *verb, int64_t now, int64_t *id, struct hf_error *err) {
  int rc = run(r, prepare(r, "INSERT INTO runs(verb,started) VALUES(?1,?2)", "si", verb, now), "begin a run", err);
  if (rc == 0) *id = sqlite3_last_insert_rowid(r->db);
  return rc;
}

int hf_runs_end(struct hf_runs *r, int64_t id, int64_t now, int exit, const char *facts, struct hf_error *err) {
  return run(r, prepare(r, "UPDATE runs SET finished=?2, exit=?3, facts=?4 WHERE id=?1", "iiis", id, now, (int64_t)exit, facts), "end a run", err);
}

int hf_runs_forget(struct hf_runs *r, int64_t id, struct hf_error *err) { return run(r, prepare(r, "DELETE FROM runs WHERE id=?1", "i", id), "forget a run", err); }

static void take_row(sqlite3_stmt *st, struct hf_run_row *out) {
  *out = (struct hf_run_row){.id = sqlite3_column_int64(st, 0),
                             .verb = hf_strdup((const char *)sqlite3_column_text(st, 1)),
                             .started = sqlite3_column_int64(st, 2),
                             .finished = sqlite3_column_int64(st, 3),
                             .exit = sqlite3_column_int(st, 4),
                             .facts = hf_strdup((const char *)sqlite3_column_text(st, 5))};
}

int hf_runs_last(struct hf_runs *r, const char *verb, bool good, struct hf_run_row *out, struct hf_error *err) {
  HF_CLEANUP(finalize)
  sqlite3_stmt *st = prepare(r,
                             "SELECT id,verb,started,finished,exit,facts FROM runs WHERE (?1 IS NULL OR verb=?1) AND (?2=0 OR (finished<>0 AND exit=0))"
                             " ORDER BY id DESC LIMIT 1",
                             "si", verb, (int64_t)good);
  int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
  if (rc == SQLITE_ROW) take_row(st, out);
  return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : fail(r, "read runs", err);
}

int hf_runs_each(struct hf_runs *r, unsigned max, int (*fn)(void *ctx, const struct hf_run_row *row), void *ctx, struct hf_error *err) {
  HF_CLEANUP(finalize) sqlite3_stmt *st = prepare(r, "SELECT id,verb,started,finished,exit,facts FROM runs ORDER BY id DESC LIMIT ?1", "i", (int64_t)max);
  int rc = SQLITE_ERROR, k = 0;
  while (k >= 0 && st && (rc = sqlite3_step(st)) == SQLITE_ROW) {
    struct hf_run_row row;
    take_row(st, &row);
    k = fn(ctx, &row);
    hf_run_row_free(&row);
  }
  if (k < 0) return k;
  return rc == SQLITE_DONE ? 0 : fail(r, "read runs", err);
}

int hf_runs_sweep(struct hf_runs *r, int64_t before, void (*gone)(void *ctx, int64_t id), void *ctx, struct hf_error *err) {
  HF_CLEANUP(finalize)
  sqlite3_stmt *st = prepare(r,
                             "DELETE FROM runs WHERE started<?1 AND id NOT IN (SELECT max(id) FROM runs GROUP BY verb)"
                             " AND id NOT IN (SELECT max(id) FROM runs WHERE finished<>0 AND exit=0 GROUP BY verb) RETURNING id",
                             "i", before);
  int rc = SQLITE_ERROR;
  while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) gone(ctx, sqlite3_column_int64(st, 0));
  return rc == SQLITE_DONE ? 0 : fail(r, "forget old runs", err);
}

/* ---- told ---- */

int hf_told_get(struct hf_runs *r, const char *channel, const char *key, int *verdict, int64_t *when, struct hf_error *err) {
  HF_CLEANUP(finalize) sqlite3_stmt *st = prepare(r, "SELECT verdict,at FROM told WHERE channel=?1 AND key=?2", "ss", channel, key);
  int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
  if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? 0 : fail(r, "read what was told", err);
  *verdict = sqlite3_column_int(st, 0);
  *when = sqlite3_column_int64(st, 1);
  return 1;
}

int hf_told_set(struct hf_runs *r, const char *channel, const char *key, int verdict, int64_t when, struct hf_error *err) {
  return run(r, prepare(r, "INSERT OR REPLACE INTO told(channel,key,verdict,at) VALUES(?1,?2,?3,?4)", "ssii", channel, key, (int64_t)verdict, when), "note what was told", err);
}

int hf_told_drop(struct hf_runs *r, const char *channel, const char *key, struct hf_error *err) {
  return run(r, prepare(r, "DELETE FROM told WHERE channel=?1 AND key=?2", "ss", channel, key), "note what was told", err);
}

int hf_told_keys(struct hf_runs *r, const char *channel, struct hf_list *out, struct hf_error *err) {
  HF_CLEANUP(finalize) sqlite3_stmt *st = prepare(r, "SELECT key FROM told WHERE channel=?1 ORDER BY key", "s", channel);
  int rc = SQLITE_ERROR;
  while (st && (rc = sqlite3_step(st)) == SQLITE_ROW) hf_list_add(out, (const char *)sqlite3_column_text(st, 0));
  return rc == SQLITE_DONE ? 0 : fail(r, "read what was told", err);
}

/* ---- channels ---- */

void hf_channel_row_free(struct hf_channel_row *row) {
  free(row->error);
  *row = (struct hf_channel_row){0};
}

int hf_channel_note(struct hf_runs *r, const char *channel, int64_t now, const char *error, struct hf_error *err) {
  return run(r,
             prepare(r,
                     "INSERT INTO channels(name,tried,good,failures,error) VALUES(?1,?2,?3,?4,?5) ON CONFLICT(name) DO UPDATE SET tried=excluded.tried,"
                     " good=CASE WHEN excluded.error IS NULL THEN excluded.good ELSE channels.good END,"
                     " failures=CASE WHEN excluded.error IS NULL THEN 0 ELSE channels.failures+1 END, error=excluded.error",
                     "siiis", channel, now, error ? (int64_t)0 : now, (int64_t)(error != NULL), error),
             "note how a channel fared", err);
}

int hf_channel_get(struct hf_runs *r, const char *channel, struct hf_channel_row *out, struct hf_error *err) {
  HF_CLEANUP(finalize) sqlite3_stmt *st = prepare(r, "SELECT tried,good,failures,error FROM channels WHERE name=?1", "s", channel);
  int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
  if (rc != SQLITE_ROW) return rc == SQLITE_DONE ? 0 : fail(r, "read how a channel fared", err);
  *out = (struct hf_channel_row){.tried = sqlite3_column_int64(st, 0),
                                 .good = sqlite3_column_int64(st, 1),
                                 .failures = (uint64_t)sqlite3_column_int64(st, 2),
                                 .error = hf_strdup((const char *)sqlite3_column_text(st, 3))};
  return 1;
}
