/* test_sqlite_wal.c - the sqlite source: which pages are in a write-ahead log, made by SQLite itself and then damaged in every way.
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

struct log {
  unsigned char *data;
  size_t n;
  uint32_t frames, pages;
};

static int read_log(void *ctx, void *buf, size_t n, uint64_t offset) {
  const struct log *l = ctx;
  if (offset > l->n || n > l->n - offset) return HOLDFAST_E_CORRUPT;
  memcpy(buf, l->data + offset, n);
  return 0;
}

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static unsigned char *slurp(const char *path, size_t *n) {
  FILE *f = fopen(path, "re");
  assert_non_null(f);
  unsigned char *data = malloc(1 << 22);
  assert_non_null(data);
  *n = fread(data, 1, 1 << 22, f);
  fclose(f);
  return data;
}

static void run(sqlite3 *db, const char *sql) {
  char *words = NULL;
  if (sqlite3_exec(db, sql, NULL, NULL, &words) != SQLITE_OK) fail_msg("%s: %s", sql, words);
}

/* A database with a log of some transactions that is not brought into the file: the file's bytes and the log's. */
static struct log make_log(uint32_t page_size, unsigned char **file, size_t *file_n) {
  sqlite3 *db;
  char sql[100];
  char wal[160];
  const char *path = path_of("a.db");
  snprintf(wal, sizeof wal, "%s-wal", path);
  unlink(path);
  unlink(wal);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  snprintf(sql, sizeof sql, "PRAGMA page_size = %u", page_size);
  run(db, sql);
  run(db, "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)");
  run(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO t SELECT i, randomblob(700) FROM n; PRAGMA "
          "wal_checkpoint(TRUNCATE)");
  run(db, "UPDATE t SET b = randomblob(700) WHERE a < 9; UPDATE t SET b = randomblob(700) WHERE a < 5; INSERT INTO t VALUES (31, randomblob(9000))");
  struct log l = {0};
  l.data = slurp(wal, &l.n);
  *file = slurp(path, file_n);
  l.frames = (uint32_t)((l.n - 32) / (24 + page_size));
  int64_t pages = 0;
  assert_int_equal(hf_sqlite_number(db, "PRAGMA page_count", &pages), SQLITE_OK);
  l.pages = (uint32_t)pages;
  sqlite3_close(db);
  return l;
}

static int frames_of(struct log *l, uint32_t page_size, uint32_t last, struct hf_sqlite_frames *f) {
  char why[HF_SQLITE_WHY] = "";
  unsigned char salt[8];
  memcpy(salt, l->data + 16, 8);
  int rc = hf_sqlite_wal_frames(read_log, l, page_size, salt, last, l->pages, f, why);
  assert_true((rc < 0) == (why[0] != '\0'));
  return rc;
}

/* File and log together are what SQLite makes of them when it brings the log into the file. */
static void test_overlay(void **state) {
  (void)state;
  static const uint32_t sizes[] = {512, 4096, 65536};
  for (size_t i = 0; i < 3; i++) {
    uint32_t size = sizes[i];
    unsigned char *file, *want;
    size_t file_n, want_n;
    struct hf_sqlite_frames f;
    struct log l = make_log(size, &file, &file_n);
    assert_int_equal(frames_of(&l, size, l.frames, &f), 0);
    assert_true(f.n > 0 && f.n < l.frames); /* some pages are there twice */
    unsigned char *got = calloc(l.pages, size);
    assert_non_null(got);
    memcpy(got, file, file_n);
    for (size_t k = 0; k < f.n; k++) {
      uint32_t page = (uint32_t)(f.v[k] >> 32), frame = (uint32_t)f.v[k];
      assert_true(page >= 1 && page <= l.pages && (k == 0 || f.v[k - 1] >> 32 < page));
      assert_int_equal(hf_sqlite_frames_find(&f, page), k);
      memcpy(got + (size_t)(page - 1) * size, l.data + hf_sqlite_frame_offset(frame, size), size);
    }
    assert_int_equal(hf_sqlite_frames_find(&f, (uint64_t)l.pages + 1), f.n);
    /* make_log has closed the only connection, which brings the log in. */
    want = slurp(path_of("a.db"), &want_n);
    assert_int_equal(want_n, (size_t)l.pages * size);
    assert_memory_equal(got, want, want_n);
    hf_sqlite_frames_free(&f);
    free(got);
    free(want);
    free(file);
    free(l.data);
  }
}

/* Every byte of header and frames counts: each that is changed is found out. */
static void test_damage(void **state) {
  (void)state;
  unsigned char *file;
  size_t file_n;
  struct hf_sqlite_frames f;
  struct log l = make_log(512, &file, &file_n);
  unsigned char salt[8];
  char why[HF_SQLITE_WHY];
  memcpy(salt, l.data + 16, 8);
  for (size_t i = 0; i < l.n; i += i < 200 ? 1 : 37) {
    l.data[i] ^= 0x10;
    assert_int_equal(hf_sqlite_wal_frames(read_log, &l, 512, salt, l.frames, l.pages, &f, why), HOLDFAST_E_CORRUPT);
    l.data[i] ^= 0x10;
  }
  assert_int_equal(frames_of(&l, 4096, l.frames, &f), HOLDFAST_E_CORRUPT);
  assert_int_equal(frames_of(&l, 512, l.frames + 1, &f), HOLDFAST_E_CORRUPT); /* more than there are */
  assert_int_equal(frames_of(&l, 500, 1, &f), HOLDFAST_E_CORRUPT);
  assert_int_equal(frames_of(&l, 512, UINT32_MAX, &f), HOLDFAST_E_UNSUPPORTED);
  l.pages++;
  assert_int_equal(frames_of(&l, 512, l.frames, &f), HOLDFAST_E_CORRUPT); /* the last is not the end of such a transaction */
  l.pages--;
  assert_int_equal(frames_of(&l, 512, l.frames, &f), 0);
  hf_sqlite_frames_free(&f);
  free(file);
  free(l.data);
}

static int set_up(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/hf-sqlite-wal.XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path_of("a.db"));
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_overlay), cmocka_unit_test(test_damage)};
  return cmocka_run_group_tests_name("sqlite_wal", tests, set_up, tear_down);
}
