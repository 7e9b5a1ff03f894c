/* test_state.c - the host's memory: what is kept, what a crash takes away, what is refused.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "state/state_impl.h"

static char dir[64];

static int set_up(void **state) {
  (void)state;
  strcpy(dir, "/tmp/hf-state-XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  return hf_remove_tree(dir, NULL);
}

static struct hf_state *opened(bool create) {
  struct hf_state *s = NULL;
  struct hf_error e = {0};
  if (hf_state_open(dir, create, &s, &e) < 0) fail_msg("%s", e.msg);
  return s;
}

static struct hf_digest digest(int n) {
  struct hf_digest d;
  hf_sha256(&n, sizeof n, &d);
  return d;
}

static void facts(void **state) {
  (void)state;
  struct hf_error e = {0};
  char *v = NULL;
  struct hf_state *s = opened(true);
  assert_int_equal(hf_state_get(s, "a", &v, &e), 0);
  assert_null(v);
  assert_int_equal(hf_state_set(s, "a", "1", &e), 0);
  assert_int_equal(hf_state_set(s, "a", "2", &e), 0);
  assert_int_equal(hf_state_commit(s, &e), 0);
  assert_int_equal(hf_state_set(s, "a", "3", &e), 0);
  hf_state_close(s); /* not committed */
  s = opened(false);
  assert_int_equal(hf_state_get(s, "a", &v, &e), 0);
  assert_string_equal(v, "2");
  free(v);
  assert_int_equal(hf_state_set(s, "a", "4", &e), 0);
  assert_int_equal(hf_state_rollback(s, &e), 0);
  assert_int_equal(hf_state_get(s, "a", &v, &e), 0);
  assert_string_equal(v, "2");
  free(v);
  assert_string_equal(hf_state_dir(s), dir);
  assert_false(hf_state_is_temporary(s));
  hf_state_close(s);
}

static int count_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err) {
  (void)err;
  assert_true(p->row > 0);
  ++*(int *)ctx;
  return 0;
}

static int count_chunk(void *ctx, const struct hf_digest *id, uint32_t offset, uint32_t length, struct hf_error *err) {
  (void)err, (void)id;
  assert_int_equal(length, 100);
  assert_int_equal(offset, *(int *)ctx * 512);
  ++*(int *)ctx;
  return 0;
}

static bool is_pack(void *ctx, int64_t row) { return row == *(int64_t *)ctx; }

static void catalogue(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = opened(true);
  struct hf_digest pd = digest(1), id = digest(2), index = digest(4);
  int64_t row = 0, irow = 0;
  uint64_t packs = 0;
  struct hf_state_chunk c = {0};
  struct hf_state_pack p = {0};
  assert_int_equal(hf_state_chunk_find(s, &id, &c, &e), 0);
  assert_int_equal(hf_state_pack_begin(s, 1, "web", "aa", &row, &e), 0);
  assert_true(row > 0);
  for (int i = 0; i < 5; i++) {
    struct hf_digest x = digest(10 + i);
    assert_int_equal(hf_state_chunk_add(s, &x, row, (uint32_t)i * 512, 100, &e), 0);
    assert_int_equal(hf_state_chunk_add(s, &x, row + 7, 1, 1, &e), 0); /* the first place stays */
  }
  struct hf_digest third = digest(12);
  assert_int_equal(hf_state_chunk_find(s, &third, &c, &e), 1);
  assert_int_equal(c.pack, row);
  assert_int_equal(c.offset, 1024);
  int n = 0;
  assert_int_equal(hf_state_chunks_each(s, row, count_chunk, &n, &e), 0);
  assert_int_equal(n, 5);
  n = 0;
  assert_int_equal(hf_state_packs_each(s, count_pack, &n, &e), 0);
  assert_int_equal(n, 0); /* not sealed */
  assert_int_equal(hf_state_pack_sealed(s, row, &pd, 1000, 2000, &e), 0);
  assert_int_equal(hf_state_index_add(s, &index, 1, &irow, &e), 0);
  assert_int_equal(hf_state_pack_indexed(s, row, irow, 0, &e), 0);
  assert_int_equal(hf_state_packs_each(s, count_pack, &n, &e), 0);
  assert_int_equal(n, 1);
  n = 0;
  assert_int_equal(hf_state_packs_of(s, "bb", count_pack, &n, &e), 0);
  assert_int_equal(n, 0);
  assert_int_equal(hf_state_packs_of(s, "aa", count_pack, &n, &e), 0);
  assert_int_equal(n, 1);
  assert_int_equal(hf_state_pack_find(s, &pd, &p, &e), 1);
  assert_int_equal(p.stored, 1000);
  assert_int_equal(p.raw, 2000);
  assert_int_equal(p.kind, 1);
  assert_int_equal(hf_state_index_pack(s, irow, 0, &p, &e), 1);
  assert_int_equal(p.row, row);
  assert_int_equal(hf_state_index_pack(s, irow, 1, &p, &e), 0);
  assert_int_equal(hf_state_index_find(s, &index, &irow, &packs, &e), 1);
  assert_int_equal(packs, 1);
  assert_int_equal(hf_state_index_size(s, irow, 9, &e), 0);
  struct hf_digest back;
  assert_int_equal(hf_state_index_get(s, irow, &back, &packs, &e), 0);
  assert_int_equal(packs, 9);
  assert_true(hf_digest_eq(&back, &index));
  assert_int_equal(hf_state_index_get(s, 99, &back, &packs, &e), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_state_pack_get(s, 99, &p, &e), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_state_index_max(s), irow);
  assert_int_equal(hf_state_pack_max(s), row);
  /* Another pack has them, too. */
  int64_t other = row + 7;
  assert_int_equal(hf_state_has_copies(s, &e), 1);
  assert_int_equal(hf_state_chunk_find_in(s, &third, is_pack, &row, &c, &e), 1);
  assert_int_equal(c.pack, row);
  assert_int_equal(hf_state_chunk_find_in(s, &third, is_pack, &other, &c, &e), 1);
  assert_int_equal(c.pack, other);
  assert_int_equal(c.offset, 1);
  int64_t none = 0;
  assert_int_equal(hf_state_chunk_find_in(s, &third, is_pack, &none, &c, &e), 1);
  assert_int_equal(c.pack, row);
  assert_int_equal(hf_state_pack_forget(s, row, &e), 0);
  assert_int_equal(hf_state_chunk_find(s, &third, &c, &e), 1);
  assert_int_equal(c.pack, other);
  assert_int_equal(c.length, 1);
  assert_int_equal(hf_state_pack_forget(s, other, &e), 0);
  assert_int_equal(hf_state_chunk_find(s, &third, &c, &e), 0);
  assert_int_equal(hf_state_has_copies(s, &e), 0);
  assert_int_equal(hf_state_pack_find(s, &pd, &p, &e), 0);
  /* It is gone, and that it was there is not: it is not learnt again from its index. */
  assert_int_equal(hf_state_index_pack(s, irow, 0, &p, &e), 0);
  assert_int_equal(hf_state_index_knows(s, irow, 0, &e), 1);
  assert_int_equal(hf_state_index_knows(s, irow, 1, &e), 0);
  assert_int_equal(hf_state_index_known(s, irow, &packs, &e), 0);
  assert_int_equal(packs, 1);
  n = 0;
  assert_int_equal(hf_state_packs_each(s, count_pack, &n, &e), 0);
  assert_int_equal(n, 0);
  /* One that is dropped can be learnt again. */
  assert_int_equal(hf_state_pack_drop(s, row, &e), 0);
  assert_int_equal(hf_state_index_knows(s, irow, 0, &e), 0);
  assert_int_equal(hf_state_index_forget(s, irow, &e), 0);
  assert_int_equal(hf_state_index_find(s, &index, NULL, NULL, &e), 0);
  assert_int_equal(hf_state_index_known(s, irow, &packs, &e), 0);
  assert_int_equal(packs, 0);
  hf_state_close(s);
}

static void records(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = opened(true);
  struct hf_digest d = digest(1), got;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  assert_int_equal(hf_state_record_max(s), 0);
  assert_int_equal(hf_state_record_get(s, 1, &got, &b, &e), 0);
  assert_int_equal(hf_state_record_add(s, 1, &d, "{\"x\":1}", 7, &e), 0);
  assert_int_equal(hf_state_record_get(s, 1, &got, &b, &e), 1);
  assert_string_equal(b.data, "{\"x\":1}");
  assert_true(hf_digest_eq(&d, &got));
  assert_int_equal(hf_state_record_max(s), 1);
  hf_state_close(s);
}

static void keep(struct hf_state *s, const char *text, uint64_t snapshot) {
  struct hf_error e = {0};
  struct hf_digest d;
  char *path = NULL;
  int fd = -1;
  assert_int_equal(hf_state_recipe_create(s, &fd, &path, &e), 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
  hf_sha256(text, strlen(text), &d);
  assert_int_equal(hf_state_recipe_keep(s, path, "web", "tree", "aa", &d, snapshot, &e), 0);
  free(path);
}

static int files_in_recipes(void) {
  char cmd[128];
  snprintf(cmd, sizeof cmd, "ls %s/recipes | wc -l", dir);
  FILE *f = popen(cmd, "r");
  int n = -1;
  assert_int_equal(fscanf(f, "%d", &n), 1);
  pclose(f);
  return n;
}

static void recipes(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = opened(true);
  int fd = -1;
  uint64_t size = 0;
  assert_int_equal(hf_state_recipe_sweep(s, &e), 0); /* no folder yet */
  assert_int_equal(hf_state_recipe_open(s, "web", "tree", "aa", &fd, &size, &e), 0);
  assert_int_equal(fd, -1);
  keep(s, "one", 3);
  keep(s, "three", 4); /* replaces it */
  assert_int_equal(files_in_recipes(), 2);
  assert_int_equal(hf_state_recipe_sweep(s, &e), 0);
  assert_int_equal(files_in_recipes(), 1);
  assert_int_equal(hf_state_recipe_open(s, "web", "tree", "bb", &fd, &size, &e), 0);
  assert_int_equal(fd, -1); /* another audience */
  assert_int_equal(hf_state_recipe_of(s, "web", "tree", 3, &fd, &size, &e), 0);
  assert_int_equal(fd, -1); /* another snapshot */
  assert_int_equal(hf_state_recipe_of(s, "web", "tree", 4, &fd, &size, &e), 0);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(hf_state_recipe_open(s, "web", "tree", "aa", &fd, &size, &e), 0);
  assert_true(fd >= 0);
  assert_int_equal(size, 5);
  close(fd);
  /* One bit wrong: not trusted, and forgotten. */
  char cmd[160];
  snprintf(cmd, sizeof cmd, "for f in %s/recipes/*; do printf thref > $f; done", dir);
  assert_int_equal(system(cmd), 0);
  hf_log_threshold = HF_LOG_ERROR;
  assert_int_equal(hf_state_recipe_open(s, "web", "tree", "aa", &fd, &size, &e), 0);
  assert_int_equal(fd, -1);
  hf_state_close(s);
}

static void refusals(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = NULL;
  assert_int_equal(hf_state_open(dir, false, &s, &e), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(e.msg, "holdfast init"));
  chmod(dir, 0777);
  assert_int_equal(hf_state_open(dir, true, &s, &e), HOLDFAST_E_AUTH);
  assert_non_null(strstr(e.msg, "can be written by others"));
  chmod(dir, 0700);
  hf_state_close(opened(true));
  char path[96];
  snprintf(path, sizeof path, "%s/state.sqlite", dir);
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=77", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  assert_int_equal(hf_state_open(dir, false, &s, &e), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(e.msg, "newer"));
  int fd = open(path, O_WRONLY | O_TRUNC);
  assert_int_equal(write(fd, "this is no database, it is something else altogether, and long enough", 68), 68);
  close(fd);
  snprintf(path, sizeof path, "%s/state.sqlite-wal", dir);
  unlink(path);
  assert_int_equal(hf_state_open(dir, false, &s, &e), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(e.msg, "state.sqlite"));
  snprintf(path, sizeof path, "%s/file", dir);
  close(open(path, O_CREAT | O_WRONLY, 0600));
  assert_int_equal(hf_state_open(path, false, &s, &e), HOLDFAST_E_CONFIG);
}

/* Locks at targets; and a database of the version before there were any. */
static void locks(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = opened(true);
  struct hf_digest a, b;
  int64_t since = 0;
  hf_sha256("a", 1, &a);
  hf_sha256("b", 1, &b);
  assert_int_equal(hf_state_set(s, "fact", "stays", &e), 0);
  assert_int_equal(hf_state_commit(s, &e), 0);
  hf_state_close(s);
  char path[96];
  snprintf(path, sizeof path, "%s/state.sqlite", dir);
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "DROP TABLE kept; PRAGMA user_version=1", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  s = opened(false);
  char *fact = NULL;
  assert_int_equal(hf_state_get(s, "fact", &fact, &e), 0);
  assert_string_equal(fact, "stays");
  free(fact);
  assert_int_equal(hf_state_kept_get(s, "one", &a, &since, &e), 0);
  assert_int_equal(hf_state_kept_set(s, "one", &a, 100, &e), 0);
  assert_int_equal(hf_state_kept_set(s, "one", &a, 200, &e), 0);
  assert_int_equal(hf_state_kept_set(s, "one", &b, 100, &e), 0);
  assert_int_equal(hf_state_kept_set(s, "two", &b, 100, &e), 0);
  assert_int_equal(hf_state_kept_get(s, "two", &a, &since, &e), 0);
  assert_int_equal(hf_state_kept_sweep(s, "one", 150, &e), 0);
  assert_int_equal(hf_state_kept_get(s, "one", &a, &since, &e), 1);
  assert_int_equal(since, 200);
  assert_int_equal(hf_state_kept_get(s, "one", &b, &since, &e), 0);
  assert_int_equal(hf_state_kept_get(s, "two", &b, &since, &e), 1);
  hf_state_close(s);
}

static int stop(void *ctx, const struct hf_state_pack *p, struct hf_error *err) {
  (void)ctx, (void)p;
  return hf_fail(err, HOLDFAST_E_CANCELED, "enough");
}

static int stop_chunk(void *ctx, const struct hf_digest *id, uint32_t offset, uint32_t length, struct hf_error *err) {
  (void)ctx, (void)id, (void)offset, (void)length;
  return hf_fail(err, HOLDFAST_E_CANCELED, "enough");
}

/* The disk is full: it is said as such, what was committed stays, and with room all goes on. */
static void full(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = opened(true);
  char *value = hf_alloc(200001), *got = NULL;
  memset(value, 'x', 200000);
  assert_int_equal(hf_state_set(s, "a", "1", &e), 0);
  assert_int_equal(hf_state_commit(s, &e), 0);
  assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count=1", NULL, NULL, NULL), SQLITE_OK); /* as many as there are */
  assert_int_equal(hf_state_set(s, "b", value, &e), HOLDFAST_E_NO_SPACE);
  assert_non_null(strstr(e.msg, "state.sqlite"));
  assert_int_equal(hf_state_rollback(s, &e), 0);
  assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count=100000", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(hf_state_set(s, "b", value, &e), 0);
  assert_int_equal(hf_state_commit(s, &e), 0);
  hf_state_close(s);
  s = opened(false);
  assert_int_equal(hf_state_get(s, "a", &got, &e), 0);
  assert_string_equal(got, "1");
  free(got);
  free(value);
  hf_state_close(s);
}

/* A database that is not what it should be: every function says so, and none gives an answer that is none. */
static void broken(void **state) {
  (void)state;
  static const char *const tables[] = {"meta", "packs", "chunks", "indexes", "records", "recipes"};
  struct hf_error e = {0};
  struct hf_state *s = opened(true);
  struct hf_digest d = digest(1), got;
  struct hf_state_chunk c;
  struct hf_state_pack p;
  int64_t row = 0;
  uint64_t n;
  int fd = -1;
  char *value = NULL, drop[64];
  assert_int_equal(hf_state_pack_begin(s, 0, "web", "aa", &row, &e), 0);
  assert_int_equal(hf_state_pack_sealed(s, row, &d, 1, 1, &e), 0);
  assert_int_equal(hf_state_chunk_add(s, &d, row, 0, 1, &e), 0);
  assert_int_equal(hf_state_packs_each(s, stop, NULL, &e), HOLDFAST_E_CANCELED);
  assert_int_equal(hf_state_chunks_each(s, row, stop_chunk, NULL, &e), HOLDFAST_E_CANCELED);
  /* Digests that are none. */
  assert_int_equal(sqlite3_exec(s->db, "UPDATE chunks SET id=x'00'; INSERT INTO records VALUES(1,x'00','{}')", NULL, NULL, NULL),
                   SQLITE_OK);
  n = 0;
  assert_true(hf_state_chunks_each(s, row, count_chunk, &n, &e) < 0);
  assert_int_equal(hf_state_record_get(s, 1, &got, NULL, &e), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_state_commit(s, &e), 0);
  for (size_t i = 0; i < HF_NELEM(tables); i++) {
    snprintf(drop, sizeof drop, "DROP TABLE %s", tables[i]);
    assert_int_equal(sqlite3_exec(s->db, drop, NULL, NULL, NULL), SQLITE_OK);
  }
  assert_true(hf_state_get(s, "a", &value, &e) < 0);
  assert_true(hf_state_set(s, "a", "b", &e) < 0);
  assert_true(hf_state_pack_begin(s, 0, "web", "aa", &row, &e) < 0);
  assert_true(hf_state_pack_sealed(s, 1, &d, 1, 1, &e) < 0);
  assert_true(hf_state_pack_indexed(s, 1, 1, 1, &e) < 0);
  assert_true(hf_state_pack_get(s, 1, &p, &e) < 0 && e.code != HOLDFAST_E_NOT_FOUND);
  assert_true(hf_state_pack_find(s, &d, &p, &e) < 0);
  assert_true(hf_state_pack_forget(s, 1, &e) < 0);
  assert_true(hf_state_packs_each(s, stop, NULL, &e) < 0 && e.code != HOLDFAST_E_CANCELED);
  assert_true(hf_state_packs_of(s, "aa", stop, NULL, &e) < 0);
  assert_true(hf_state_chunk_find(s, &d, &c, &e) < 0);
  assert_true(hf_state_chunk_add(s, &d, 1, 0, 1, &e) < 0);
  assert_true(hf_state_chunks_each(s, 1, stop_chunk, NULL, &e) < 0);
  assert_true(hf_state_index_add(s, &d, 1, &row, &e) < 0);
  assert_true(hf_state_index_size(s, 1, 1, &e) < 0);
  assert_true(hf_state_index_find(s, &d, &row, &n, &e) < 0);
  assert_true(hf_state_index_get(s, 1, &got, &n, &e) < 0);
  assert_true(hf_state_index_pack(s, 1, 0, &p, &e) < 0);
  assert_true(hf_state_index_knows(s, 1, 0, &e) < 0);
  assert_true(hf_state_index_known(s, 1, &n, &e) < 0);
  assert_true(hf_state_index_forget(s, 1, &e) < 0);
  assert_true(hf_state_record_add(s, 1, &d, "{}", 2, &e) < 0);
  assert_true(hf_state_record_get(s, 1, &got, NULL, &e) < 0);
  assert_true(hf_state_recipe_open(s, "web", "tree", "aa", &fd, &n, &e) < 0);
  assert_int_equal(fd, -1);
  assert_true(hf_state_recipe_of(s, "web", "tree", 1, &fd, &n, &e) < 0);
  assert_true(hf_state_recipe_keep(s, "x", "web", "tree", "aa", &d, 1, &e) < 0);
  assert_int_equal(hf_state_recipe_create(s, &fd, &value, &e), 0);
  close(fd);
  assert_true(hf_state_recipe_sweep(s, &e) < 0); /* what cannot be looked up is not deleted */
  assert_int_equal(access(value, F_OK), 0);
  free(value);
  hf_state_close(s);
}

static void temporary(void **state) {
  (void)state;
  struct hf_error e = {0};
  struct hf_state *s = NULL;
  assert_int_equal(hf_state_open_temporary(&s, &e), 0);
  assert_true(hf_state_is_temporary(s));
  char *where = hf_strdup(hf_state_dir(s));
  struct stat st;
  assert_int_equal(stat(where, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  hf_state_close(s);
  assert_int_equal(stat(where, &st), -1);
  free(where);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(facts, set_up, tear_down), cmocka_unit_test_setup_teardown(catalogue, set_up, tear_down),
                                     cmocka_unit_test_setup_teardown(records, set_up, tear_down), cmocka_unit_test_setup_teardown(recipes, set_up, tear_down),
                                     cmocka_unit_test_setup_teardown(refusals, set_up, tear_down), cmocka_unit_test_setup_teardown(full, set_up, tear_down), cmocka_unit_test_setup_teardown(broken, set_up, tear_down), cmocka_unit_test_setup_teardown(locks, set_up, tear_down), cmocka_unit_test(temporary)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
