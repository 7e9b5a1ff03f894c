/* check.c - is a database whole, and does it say what its admin expects?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

/* A collation that only the database's own program has: bytewise will do for walking the structure. */
static int any_collation(void *ctx, int an, const void *a, int bn, const void *b) {
  (void)ctx;
  int c = memcmp(a, b, (size_t)(an < bn ? an : bn));
  return c ? c : an - bn;
}

static void collation_needed(void *ctx, sqlite3 *db, int encoding, const char *name) {
  bool *needed = ctx;
  *needed = true;
  sqlite3_create_collation_v2(db, name, encoding, NULL, any_collation, NULL);
}

/* A message in one line. */
static void flatten(char *text) {
  for (char *p = text; *p; p++)
    if (*p == '\n') *p = ' ';
}

static int run_check(sqlite3 *db, const char *path, const char *pragma, char *why) {
  char said[500] = "";
  int rc = hf_sqlite_text(db, pragma, said, sizeof said);
  if (rc != SQLITE_OK) return hf_sqlite_say_db(why, db, rc, path);
  flatten(said);
  return strcmp(said, "ok") == 0 ? 0 : hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "%.300s: damaged: %s", path, said);
}

int hf_sqlite_check(const struct holdfast_host *host, sqlite3 *db, const char *path, bool full, char *why) {
  bool needed = false;
  sqlite3_collation_needed(db, &needed, collation_needed);
  int rc = run_check(db, path, full ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)", why);
  if (rc < 0 && full && needed) {
    hf_sqlite_log(host, HOLDFAST_LOG_WARNING, "%.300s: has a sort order that only its own program knows, so that the order of its indexes cannot be checked",
                  path);
    rc = run_check(db, path, "PRAGMA quick_check(1)", why);
  }
  /* SQLITE_ERROR is what a function or module that is not there comes to; damage has codes of its own. */
  if (rc < 0 && (sqlite3_errcode(db) & 0xff) == SQLITE_ERROR) {
    hf_sqlite_log(host, HOLDFAST_LOG_WARNING, "it cannot be checked: %.600s", why);
    rc = 0;
  }
  sqlite3_collation_needed(db, NULL, NULL);
  return rc;
}

int hf_sqlite_check_keys(sqlite3 *db, const char *path, char *why) {
  sqlite3_stmt *st = NULL;
  int status = 0, rc = sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &st, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(st);
  if (rc == SQLITE_ROW)
    status = hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "%.300s: foreign_key_check: row %lld of table %.100s refers to a row of table %.100s that is not there",
                           path, (long long)sqlite3_column_int64(st, 1), (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 2));
  else if (rc != SQLITE_DONE) status = hf_sqlite_say_db(why, db, rc, path);
  sqlite3_finalize(st);
  return status;
}

static bool is_true(sqlite3_stmt *st) {
  switch (sqlite3_column_type(st, 0)) {
  case SQLITE_INTEGER: return sqlite3_column_int64(st, 0) != 0;
  case SQLITE_FLOAT: return sqlite3_column_double(st, 0) != 0;
  case SQLITE_NULL: return false;
  default: return sqlite3_column_bytes(st, 0) > 0;
  }
}

int hf_sqlite_check_assertion(sqlite3 *db, const char *path, const char *sql, char *why) {
  sqlite3_stmt *st = NULL;
  const char *rest = "";
  int status = 0, rc = sqlite3_prepare_v2(db, sql, -1, &st, &rest);
  if (rc != SQLITE_OK) {
    status = hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.300s: assert = %.300s: %.200s", path, sql, sqlite3_errmsg(db));
  } else if (!st || rest[strspn(rest, " \t\r\n;")] || !sqlite3_stmt_readonly(st)) {
    status = hf_sqlite_say(why, HOLDFAST_E_CONFIG, "%.300s: assert = %.300s: must be one statement that only reads", path, sql);
  } else {
    rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
      status = hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.300s: assert = %.300s: %.200s", path, sql, sqlite3_errmsg(db));
    } else if (rc == SQLITE_DONE || !is_true(st)) {
      const char *got = rc == SQLITE_DONE ? NULL : (const char *)sqlite3_column_text(st, 0);
      status = hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.300s: assert = %.300s: not true: the answer is %.100s", path, sql,
                             rc == SQLITE_DONE ? "no row"
                             : got             ? (*got ? got : "empty")
                                               : "NULL");
    }
  }
  sqlite3_finalize(st);
  return status;
}
