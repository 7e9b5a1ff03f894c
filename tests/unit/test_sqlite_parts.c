/* test_sqlite_parts.c - the sqlite source: copies while somebody commits at the worst moment, names, state, assertions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../plugins/sqlite/sqlite.h"

static char folder[64];

/* A host that writes to the database each time it is asked whether to go on: between any two batches of a copy. */
struct busy_host {
  struct holdfast_host host;
  sqlite3 *writer;
  int commits_left, commits, notices;
};

static void on_log(void *ctx, int level, const char *message) {
  struct busy_host *b = ctx;
  b->notices += level == HOLDFAST_LOG_NOTICE && strstr(message, "writers had to wait") != NULL;
}

static void on_error(void *ctx, const char *message) {
  (void)ctx;
  (void)message;
}

static int on_cancelled(void *ctx) {
  struct busy_host *b = ctx;
  if (b->commits_left == 0) return 0;
  b->commits_left--;
  /* Refused while the one lock is held. */
  if (hf_sqlite_exec(b->writer, "BEGIN IMMEDIATE; UPDATE t SET b = randomblob(1000), c = c + 1 WHERE a % 500 = 0; COMMIT") == SQLITE_OK) b->commits++;
  else hf_sqlite_exec(b->writer, "ROLLBACK");
  return 0;
}

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void run(sqlite3 *db, const char *sql) {
  char *words = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &words) != SQLITE_OK) fail_msg("%s: %s", sql, words);
}

static void busy_open(struct busy_host *b, const char *journal, int commits) {
  char sql[64];
  *b = (struct busy_host){.host = {.struct_size = sizeof b->host, .ctx = b, .instance = "test", .log = on_log, .error = on_error, .cancelled = on_cancelled},
                          .commits_left = commits};
  unlink(path_of("t.db"));
  assert_int_equal(sqlite3_open(path_of("t.db"), &b->writer), SQLITE_OK);
  snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF", journal);
  run(b->writer, sql);
  run(b->writer, "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB, c INTEGER)");
  run(b->writer, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) INSERT INTO t SELECT i, randomblob(1000), 0 FROM n");
}

static void busy_close(struct busy_host *b) {
  sqlite3_close(b->writer);
  unlink(path_of("t.db"));
}

/* All pages of a snapshot as a database of their own: is it whole, and is every row of the same transaction? */
static void check_snapshot(struct hf_sqlite_snapshot *s) {
  char why[HF_SQLITE_WHY], said[100];
  sqlite3 *db;
  int64_t n;
  FILE *f = fopen(path_of("copy.db"), "we");
  unsigned char *page = malloc(s->page_size);
  assert_non_null(f);
  assert_non_null(page);
  for (uint64_t i = 0; i < s->pages; i++) {
    assert_int_equal(hf_sqlite_snapshot_read(s, i, 1, page, why), 0);
    assert_int_equal(fwrite(page, s->page_size, 1, f), 1);
  }
  free(page);
  fclose(f);
  assert_int_equal(hf_sqlite_open_still(path_of("copy.db"), false, &db, why), 0);
  assert_int_equal(hf_sqlite_text(db, "PRAGMA integrity_check", said, sizeof said), SQLITE_OK);
  assert_string_equal(said, "ok");
  assert_int_equal(hf_sqlite_number(db, "SELECT count(DISTINCT c) FROM t WHERE a % 500 = 0", &n), SQLITE_OK);
  assert_int_equal(n, 1);
  sqlite3_close_v2(db);
  unlink(path_of("copy.db"));
}

/* COMMITS in the first so many batches (a pass has three): then how is the copy made? */
static void copy(int commits, bool hold, int want, int notices) {
  struct busy_host b;
  struct hf_sqlite_snapshot s;
  char why[HF_SQLITE_WHY] = "";
  busy_open(&b, "delete", commits);
  struct hf_sqlite_options o = {.host = &b.host, .busy_ms = 0, .scratch = folder, .hold_lock = hold};
  int rc = hf_sqlite_snapshot_begin(&o, path_of("t.db"), &s, why);
  if (rc != want) fail_msg("%d: %s", rc, why);
  assert_int_equal(b.notices, notices);
  assert_true(commits == 0 || b.commits > 0);
  if (rc == 0) check_snapshot(&s);
  else assert_non_null(strstr(why, "was written to during each of 3 attempts"));
  hf_sqlite_snapshot_end(&s);
  busy_close(&b);
}

static void test_copy(void **state) {
  (void)state;
  copy(0, true, 0, 0);
  copy(2, false, 0, 0); /* the second pass is undisturbed */
  copy(5, false, 0, 0);
  copy(1000, true, 0, 1);
  copy(1000, false, HOLDFAST_E_TRANSIENT, 0);
}

/* In write-ahead mode what is written between begin and the last page does not show, checkpoints or not. */
static void test_wal(void **state) {
  (void)state;
  static const char *const before[] = {"SELECT 1", "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)"};
  for (size_t i = 0; i < 3; i++) {
    struct busy_host b;
    struct hf_sqlite_snapshot s;
    char why[HF_SQLITE_WHY] = "";
    int64_t n;
    busy_open(&b, "wal", 0);
    run(b.writer, "PRAGMA wal_autocheckpoint = 0; UPDATE t SET c = 1 WHERE a % 500 = 0");
    run(b.writer, before[i]);
    struct hf_sqlite_options o = {.host = &b.host, .scratch = "/nonexistent"};
    if (hf_sqlite_snapshot_begin(&o, path_of("t.db"), &s, why) != 0) fail_msg("%s", why);
    assert_true(s.is_wal);
    assert_true((s.frames.n > 0) == (i == 0));
    for (int k = 0; k < 3; k++) {
      run(b.writer, "UPDATE t SET b = randomblob(1000), c = c + 1 WHERE a % 500 = 0; INSERT INTO t SELECT a + 100000, b, c FROM t WHERE a < 100 ON CONFLICT "
                    "DO NOTHING");
      run(b.writer, "PRAGMA wal_checkpoint(PASSIVE)");
    }
    check_snapshot(&s);
    hf_sqlite_snapshot_end(&s);
    /* And nobody is held up afterwards. */
    assert_int_equal(hf_sqlite_number(b.writer, "PRAGMA wal_checkpoint(TRUNCATE)", &n), SQLITE_OK);
    assert_int_equal(n, 0);
    busy_close(&b);
  }
}

/* ---- names and state ---- */

static void make_file(const char *name) {
  FILE *f = fopen(path_of(name), "we");
  assert_non_null(f);
  fclose(f);
}

static void test_names(void **state) {
  (void)state;
  char pattern[128], why[HF_SQLITE_WHY];
  const char *patterns[] = {pattern, pattern};
  const char *excludes[] = {"z*"};
  struct holdfast_value values[HF_SQLITE_N_SETTINGS] = {
      [HF_SQLITE_DATABASE] = {.count = 2, .strings = patterns}, [HF_SQLITE_EXCLUDE] = {.count = 1, .strings = excludes}};
  struct hf_sqlite_list l, back;
  static const char *const files[] = {"-a",       "a b\n.db",     "a_b_.db",          "q\"\\\xff.db", "tree",
                                      "plain.db", "plain.db-wal", "plain.db-journal", "orphan-wal",   "z.db"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) make_file(files[i]);
  snprintf(pattern, sizeof pattern, "%s/*", folder);
  if (hf_sqlite_list_load(values, &l, why) != 0) fail_msg("%s", why);
  static const char *const streams[] = {"_-a", "a_b_.db-", "a_b_.db-", "orphan-wal", "plain.db", "q___.db", "_tree"};
  assert_int_equal(l.n, 7);
  for (size_t i = 0; i < l.n; i++) {
    if (strncmp(l.v[i].stream, streams[i], strlen(streams[i])) != 0) fail_msg("%s is not %s", l.v[i].stream, streams[i]);
    assert_int_equal(strlen(l.v[i].stream), strlen(streams[i]) + (i == 1 || i == 2 ? 8 : 0));
  }
  assert_string_not_equal(l.v[1].stream, l.v[2].stream);

  for (size_t i = 0; i < l.n; i++) {
    l.v[i].read = i != 3;
    l.v[i].page_size = 65536;
    l.v[i].pages = UINT32_MAX;
    l.v[i].mode = 0640;
    l.v[i].uid = UINT32_MAX - 1;
    strcpy(l.v[i].journal, "rollback");
  }
  char *text = hf_sqlite_state_write(&l);
  assert_non_null(text);
  assert_true(strlen(text) <= hf_sqlite_state_size(&l));
  if (hf_sqlite_state_read(text, &back, why) != 0) fail_msg("%s", why);
  assert_int_equal(back.n, 6);
  for (size_t i = 0; i < back.n; i++) {
    const struct hf_sqlite_database *a = &l.v[i < 3 ? i : i + 1], *b = hf_sqlite_list_stream(&back, a->stream);
    assert_ptr_equal(b, &back.v[i]);
    assert_string_equal(a->path, b->path);
    assert_string_equal(a->file, b->file);
    assert_int_equal(b->pages, UINT32_MAX);
    assert_int_equal(b->mode, 0640);
    assert_int_equal(b->uid, UINT32_MAX - 1);
  }
  free(text);
  hf_sqlite_list_free(&back);
  hf_sqlite_list_free(&l);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(path_of(files[i]));
}

static void test_bad_state(void **state) {
  (void)state;
  struct hf_sqlite_list l;
  char why[HF_SQLITE_WHY];
#define ONE(file, path, mode)                                                                                                                                \
  "{\"version\":1,\"databases\":[{\"stream\":\"s\",\"file\":\"" file "\",\"path\":\"" path                                                                   \
  "\",\"page_size\":512,\"pages\":1,\"journal\":\"wal\",\"mode\":\"" mode "\",\"uid\":0,\"gid\":0}]}"
  assert_int_equal(hf_sqlite_state_read(ONE("f", "/p", "0644"), &l, why), 0);
  hf_sqlite_list_free(&l);
  assert_int_equal(hf_sqlite_state_read("", &l, why), 0);
  assert_int_equal(l.n, 0);
  static const char *const bad[] = {"{",
                                    "[]",
                                    "{}",
                                    "{\"version\":2,\"databases\":[]}",
                                    "{\"version\":1,\"databases\":[1]}",
                                    ONE("..", "/p", "0644"),
                                    ONE("a/b", "/p", "0644"),
                                    ONE("", "/p", "0644"),
                                    ONE("a\\\\057b", "/p", "0644"),
                                    ONE("\\\\000", "/p", "0644"),
                                    ONE("\\\\9", "/p", "0644"),
                                    ONE("f", "p", "0644"),
                                    ONE("f", "/p", "8"),
                                    ONE("f", "/p", "77777")};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (hf_sqlite_state_read(bad[i], &l, why) != HOLDFAST_E_CORRUPT) fail_msg("taken: %s", bad[i]);
}

/* ---- assertions ---- */

static void test_assertions(void **state) {
  (void)state;
  char why[HF_SQLITE_WHY];
  sqlite3 *db;
  assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
  run(db, "CREATE TABLE t(a)");
  static const char *const good[] = {
      "SELECT 1", "SELECT -1.5;", "SELECT 'x'", "SELECT x'00'", "SELECT count(*) = 0 FROM t ; ", "WITH x AS (SELECT 2) SELECT * FROM x"};
  static const char *const bad[] = {"SELECT 0",        "SELECT 0.0", "SELECT ''",       "SELECT NULL",
                                    "SELECT a FROM t", "SELECT",     "SELECT a FROM u", "SELECT abs(-9223372036854775808)"};
  static const char *const refused[] = {"", "-- nothing", "INSERT INTO t VALUES (1)", "SELECT 1; SELECT 1", "DROP TABLE t"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (hf_sqlite_check_assertion(db, "x", good[i], why) != 0) fail_msg("%s: %s", good[i], why);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(hf_sqlite_check_assertion(db, "x", bad[i], why), HOLDFAST_E_FAILED);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) assert_int_equal(hf_sqlite_check_assertion(db, "x", refused[i], why), HOLDFAST_E_CONFIG);
  assert_int_equal(hf_sqlite_check_keys(db, "x", why), 0);
  sqlite3_close(db);
}

static int set_up(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/hf-sqlite-parts.XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy), cmocka_unit_test(test_wal), cmocka_unit_test(test_names), cmocka_unit_test(test_bad_state),
                                     cmocka_unit_test(test_assertions)};
  return cmocka_run_group_tests_name("sqlite_parts", tests, set_up, tear_down);
}
