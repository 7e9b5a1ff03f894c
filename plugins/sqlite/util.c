/* util.c - messages, settings to options, connections.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hf_sqlite_say(char *why, int status, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why, HF_SQLITE_WHY, fmt, ap);
  va_end(ap);
  return status;
}

static int status_of_errno(int errnum) {
  switch (errnum) {
  case ENOENT:
  case ENOTDIR: return HOLDFAST_E_NOT_FOUND;
  case EACCES:
  case EPERM:
  case EROFS: return HOLDFAST_E_AUTH;
  case ENOSPC:
  case EDQUOT: return HOLDFAST_E_NO_SPACE;
  default: return HOLDFAST_E_FAILED;
  }
}

int hf_sqlite_say_errno(char *why, int errnum, const char *what) {
  return hf_sqlite_say(why, status_of_errno(errnum), "%.600s: %s", what, strerror(errnum));
}

int hf_sqlite_say_db(char *why, sqlite3 *db, int rc, const char *path) {
  const char *said = db && sqlite3_errcode(db) != SQLITE_OK ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  int status = HOLDFAST_E_FAILED;
  const char *hint = "";
  switch (rc & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    status = HOLDFAST_E_TRANSIENT;
    hint = ": another program held its lock for longer than busy-timeout";
    break;
  case SQLITE_NOTADB:
    status = HOLDFAST_E_CORRUPT;
    hint = ": it is of another kind, or encrypted as a whole, which only its own program can read";
    break;
  case SQLITE_CORRUPT: status = HOLDFAST_E_CORRUPT; break;
  case SQLITE_CANTOPEN:
  case SQLITE_PERM:
  case SQLITE_AUTH:
    status = HOLDFAST_E_AUTH;
    hint = ": this account needs to read it, and in write-ahead mode to write to its folder (run as root or, with user =, as its owner)";
    break;
  case SQLITE_READONLY:
    status = HOLDFAST_E_AUTH;
    if (rc == SQLITE_READONLY_ROLLBACK)
      hint = ": a killed program left a journal that has to be rolled back first, and this account may not write to the database";
    else
      hint = ": in write-ahead mode SQLite makes files beside a database that nobody has open, which this account may not "
             "(run as root or, with user =, as its owner)";
    break;
  case SQLITE_FULL: status = HOLDFAST_E_NO_SPACE; break;
  default: break;
  }
  return hf_sqlite_say(why, status, "%.400s: %.200s%s", path, said, hint);
}

void hf_sqlite_log(const struct holdfast_host *host, int level, const char *fmt, ...) {
  char text[HF_SQLITE_WHY];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->log(host->ctx, level, text);
}

int hf_sqlite_options(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_sqlite_options *o, char *why) {
  int64_t wait = values[HF_SQLITE_BUSY_TIMEOUT].number, chunk = values[HF_SQLITE_CHUNK].number;
  if (wait > 86400) return hf_sqlite_say(why, HOLDFAST_E_CONFIG, "busy-timeout: at most a day");
  if (chunk < 4096 || chunk > 4 << 20 || (chunk & (chunk - 1)) != 0)
    return hf_sqlite_say(why, HOLDFAST_E_CONFIG, "chunk: a power of two from 4K to 4M, such as 64K");
  const char *check = values[HF_SQLITE_CHECK].strings[0], *scratch = values[HF_SQLITE_SCRATCH].count ? values[HF_SQLITE_SCRATCH].strings[0] : NULL;
  if (!scratch) scratch = getenv("TMPDIR");
  *o = (struct hf_sqlite_options){
    .host = host,
    .busy_ms = (int)wait * 1000,
    .quick = strcmp(check, "quick") == 0,
    .full = strcmp(check, "full") == 0,
    .hold_lock = values[HF_SQLITE_HOLD_LOCK].number != 0,
    .scratch = scratch && *scratch ? scratch : "/var/tmp",
    .chunk = (uint64_t)chunk,
  };
  return 0;
}

/* Whoever wrote the schema must not be able to make us do more than read. */
static int settle(sqlite3 *db, int busy_ms) {
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, busy_ms);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
  return hf_sqlite_exec(db, "PRAGMA query_only = 1; PRAGMA cell_size_check = 1");
}

static int open_any(const char *name, int flags, int busy_ms, const char *path, sqlite3 **db, char *why) {
  *db = NULL;
  int rc = sqlite3_open_v2(name, db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
  if (rc == SQLITE_OK) rc = settle(*db, busy_ms);
  if (rc == SQLITE_OK) return 0;
  int status = hf_sqlite_say_db(why, *db, rc, path);
  sqlite3_close_v2(*db);
  *db = NULL;
  return status;
}

int hf_sqlite_open_live(const char *path, int busy_ms, sqlite3 **db, char *why) {
  /* Read and write where that is allowed (SQLite falls back to reading): a journal that a killed program left is rolled back, as by any
   * program that opens the database, and an empty log that only we had to make goes away again. */
  struct stat st;
  char wal[4096 + 8];
  bool has_log = snprintf(wal, sizeof wal, "%s-wal", path) < (int)sizeof wal && stat(wal, &st) == 0 && st.st_size > 0;
  int rc = open_any(path, SQLITE_OPEN_READWRITE, busy_ms, path, db, why);
  /* A log with something in it is not for us to bring into the database. */
  if (rc == 0 && has_log) sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  return rc;
}

int hf_sqlite_open_still(const char *path, bool grows, sqlite3 **db, char *why) {
  static const char hex[] = "0123456789abcdef";
  const char *end = grows ? "?nolock=1&mode=ro" : "?immutable=1&mode=ro";
  *db = NULL;
  char *uri = malloc(strlen(path) * 3 + 32), *to = uri;
  if (!uri) return hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  memcpy(to, "file:", 5);
  to += 5;
  for (const char *p = path; *p; p++) {
    unsigned char c = (unsigned char)*p;
    if (c > 0x20 && c < 0x7f && !strchr("%?#", c)) {
      *to++ = (char)c;
    } else {
      *to++ = '%';
      *to++ = hex[c >> 4];
      *to++ = hex[c & 15];
    }
  }
  strcpy(to, end);
  int rc = open_any(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, 0, path, db, why);
  free(uri);
  return rc;
}

int hf_sqlite_exec(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL); }

static int first_row(sqlite3 *db, const char *sql, sqlite3_stmt **st) {
  int rc = sqlite3_prepare_v2(db, sql, -1, st, NULL);
  return rc == SQLITE_OK ? sqlite3_step(*st) : rc;
}

int hf_sqlite_number(sqlite3 *db, const char *sql, int64_t *out) {
  sqlite3_stmt *st = NULL;
  int rc = first_row(db, sql, &st);
  if (rc == SQLITE_ROW) *out = sqlite3_column_int64(st, 0);
  sqlite3_finalize(st);
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int hf_sqlite_text(sqlite3 *db, const char *sql, char *out, size_t cap) {
  sqlite3_stmt *st = NULL;
  int rc = first_row(db, sql, &st);
  if (rc == SQLITE_ROW) {
    const unsigned char *text = sqlite3_column_text(st, 0);
    snprintf(out, cap, "%s", text ? (const char *)text : "");
  }
  sqlite3_finalize(st);
  return rc == SQLITE_ROW ? SQLITE_OK : rc;
}
