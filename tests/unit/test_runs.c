/* test_runs.c - the database of runs: what is kept, what is swept, what a newer version is answered with.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/runlog.h"
#include "fake_plugins.h"
#include "manifest/internal.h"
#include "state/runs.h"

static char dir[64];

static int set_up(void **state) {
  (void)state;
  strcpy(dir, "/tmp/hf-runs-XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  return hf_remove_tree(dir, NULL);
}

static struct hf_runs *opened(void) {
  struct hf_runs *r = NULL;
  struct hf_error e = {0};
  if (hf_runs_open(dir, &r, &e) < 0) fail_msg("%s", e.msg);
  return r;
}

static int64_t begun(struct hf_runs *r, const char *verb, int64_t now) {
  int64_t id = 0;
  struct hf_error e = {0};
  if (hf_runs_begin(r, verb, now, &id, &e) < 0) fail_msg("%s", e.msg);
  return id;
}

static int64_t run(struct hf_runs *r, const char *verb, int64_t now, int exit) {
  int64_t id = begun(r, verb, now);
  assert_int_equal(hf_runs_end(r, id, now + 5, exit, "{\"error\":\"x\"}", NULL), 0);
  return id;
}

static void last_ones(void **state) {
  (void)state;
  struct hf_run_row row;
  struct hf_runs *r = opened();
  assert_int_equal(hf_runs_last(r, NULL, false, &row, NULL), 0);
  int64_t a = run(r, "backup", 100, 0), b = run(r, "backup", 200, 3), c = run(r, "verify", 300, 0), d = begun(r, "backup", 400);
  assert_true(a < b && b < c && c < d);
  hf_runs_close(r);

  r = opened(); /* each call is a transaction */
  struct stat st;
  char path[128];
  snprintf(path, sizeof path, "%s/runs.sqlite", dir);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(hf_runs_last(r, "backup", false, &row, NULL), 1);
  assert_true(row.id == d && row.started == 400 && row.finished == 0);
  assert_string_equal(row.facts, "");
  hf_run_row_free(&row);
  assert_int_equal(hf_runs_last(r, "backup", true, &row, NULL), 1);
  assert_true(row.id == a && row.finished == 105 && row.exit == 0);
  assert_string_equal(row.facts, "{\"error\":\"x\"}");
  hf_run_row_free(&row);
  assert_int_equal(hf_runs_last(r, NULL, true, &row, NULL), 1);
  assert_true(row.id == c);
  assert_string_equal(row.verb, "verify");
  hf_run_row_free(&row);
  assert_int_equal(hf_runs_last(r, "drill", false, &row, NULL), 0);
  hf_runs_close(r);
}

static int note_id(void *ctx, const struct hf_run_row *row) {
  hf_list_take(ctx, hf_asprintf("%lld", (long long)row->id));
  return 0;
}
static void note_gone(void *ctx, int64_t id) { hf_list_take(ctx, hf_asprintf("%lld", (long long)id)); }

static void sweep(void **state) {
  (void)state;
  struct hf_runs *r = opened();
  struct hf_list gone = HF_LIST_INIT, left = HF_LIST_INIT;
  run(r, "backup", 100, 1);
  run(r, "backup", 110, 0); /* the newest good one: kept, however old */
  run(r, "backup", 120, 1);
  run(r, "backup", 130, 1); /* the newest: kept */
  run(r, "sync", 100, 0);   /* both */
  run(r, "verify", 900, 1);
  assert_int_equal(hf_runs_sweep(r, 500, note_gone, &gone, NULL), 0);
  assert_int_equal(gone.n, 2);
  assert_true(hf_list_has(&gone, "1") && hf_list_has(&gone, "3"));
  assert_int_equal(hf_runs_each(r, 3, note_id, &left, NULL), 0);
  assert_int_equal(left.n, 3);
  assert_string_equal(left.v[0], "6");
  assert_string_equal(left.v[2], "4");
  /* A number is never used again. */
  assert_true(begun(r, "backup", 1000) == 7);
  hf_list_free(&gone);
  hf_list_free(&left);
  hf_runs_close(r);
}

static void told(void **state) {
  (void)state;
  int verdict = 9;
  int64_t when = 9;
  struct hf_list keys = HF_LIST_INIT;
  struct hf_runs *r = opened();
  assert_int_equal(hf_told_get(r, "ops", "source:db", &verdict, &when, NULL), 0);
  assert_int_equal(verdict, 9);
  assert_int_equal(hf_told_set(r, "ops", "source:db", 1, 100, NULL), 0);
  assert_int_equal(hf_told_set(r, "ops", "source:db", 2, 200, NULL), 0);
  assert_int_equal(hf_told_set(r, "ops", "drill:", 2, 300, NULL), 0);
  assert_int_equal(hf_told_set(r, "dev", "drill:", 1, 300, NULL), 0);
  assert_int_equal(hf_told_get(r, "ops", "source:db", &verdict, &when, NULL), 1);
  assert_true(verdict == 2 && when == 200);
  assert_int_equal(hf_told_drop(r, "ops", "source:db", NULL), 0);
  assert_int_equal(hf_told_keys(r, "ops", &keys, NULL), 0);
  assert_int_equal(keys.n, 1);
  assert_string_equal(keys.v[0], "drill:");
  hf_list_free(&keys);
  hf_runs_close(r);
}

static void channels(void **state) {
  (void)state;
  struct hf_channel_row row = {0};
  struct hf_runs *r = opened();
  assert_int_equal(hf_channel_get(r, "ops", &row, NULL), 0);
  assert_int_equal(hf_channel_note(r, "ops", 100, "refused", NULL), 0);
  assert_int_equal(hf_channel_note(r, "ops", 200, "refused again", NULL), 0);
  assert_int_equal(hf_channel_get(r, "ops", &row, NULL), 1);
  assert_true(row.tried == 200 && row.good == 0 && row.failures == 2);
  assert_string_equal(row.error, "refused again");
  hf_channel_row_free(&row);
  assert_int_equal(hf_channel_note(r, "ops", 300, NULL, NULL), 0);
  assert_int_equal(hf_channel_note(r, "ops", 400, "down", NULL), 0);
  assert_int_equal(hf_channel_get(r, "ops", &row, NULL), 1);
  assert_true(row.tried == 400 && row.good == 300 && row.failures == 1);
  hf_channel_row_free(&row);
  hf_runs_close(r);
}

static void newer_version(void **state) {
  (void)state;
  struct hf_runs *r = opened();
  struct hf_error e = {0};
  sqlite3 *db = NULL;
  char path[128];
  hf_runs_close(r);
  snprintf(path, sizeof path, "%s/runs.sqlite", dir);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  r = NULL;
  assert_int_equal(hf_runs_open(dir, &r, &e), HOLDFAST_E_CONFIG);
  assert_null(r);
  assert_non_null(strstr(e.msg, "of version 99, written by a newer holdfast; this one knows 1"));
}

static void damaged(void **state) {
  (void)state;
  struct hf_runs *r = NULL;
  struct hf_error e = {0};
  char path[128];
  snprintf(path, sizeof path, "%s/runs.sqlite", dir);
  char junk[4096];
  memset(junk, 'x', sizeof junk);
  assert_int_equal(hf_write_file_atomic(path, junk, sizeof junk, 0600, NULL), 0);
  assert_int_equal(hf_runs_open(dir, &r, &e), HOLDFAST_E_CORRUPT);
  assert_null(r);
}

/* A manifest whose state folder is dir. */
static struct hf_manifest *manifest(struct hf_registry *registry) {
  struct hf_manifest *m = NULL;
  struct hf_error e = {0};
  HF_CLEANUP(hf_freep) char *text = hf_asprintf("[holdfast]\nhost = web1\nrecipients = a@example.com\nstate = %s\n[source s]\nplugin = fake\npath = /etc\n[target t]\nplugin = shelf\npath = /srv\n", dir);
  if (hf_manifest_parse(text, strlen(text), "x.ini", registry, &m, &e) < 0) fail_msg("%s", e.msg);
  return m;
}

static void log_of(int64_t id, struct hf_buf *out) {
  HF_CLEANUP(hf_freep) char *path = hf_run_log_path(dir, id);
  assert_int_equal(hf_read_file(path, 2 * HF_RUN_LOG_MAX, out, NULL), 0);
}

static void logs(void **state) {
  (void)state;
  struct hf_registry *registry = fake_registry();
  struct hf_manifest *m = manifest(registry);
  struct hf_run_row row;
  struct hf_buf text = HF_BUF_INIT;
  struct hf_error why = {0}, later = {0};
  assert_false(hf_run_is_alive(dir, 1));     /* no log at all */
  assert_null(hf_run_begin(m, "backup"));    /* no state of this host's */
  hf_run_end(NULL, 0, json_object());
  HF_CLEANUP(hf_freep) char *database = hf_path_join(dir, "state.sqlite");
  assert_int_equal(hf_write_file_atomic(database, "", 0, 0600, NULL), 0);

  struct hf_run *r = hf_run_begin(m, "backup");
  assert_non_null(r);
  assert_true(hf_run_is_alive(dir, 1));
  hf_log(HF_LOG_INFO, "a word in private");
  hf_log(HF_LOG_DEBUG, "too much");
  for (unsigned i = 0; i < HF_RUN_SAID + 5; i++) hf_log(HF_LOG_WARNING, "number %u", i);
  hf_fail(&why, HOLDFAST_E_NO_SPACE, "the disk is full");
  hf_fail(&later, HOLDFAST_E_FAILED, "and so on");
  hf_run_error(r, &why);
  hf_run_error(r, &later);
  hf_run_end(r, 1, json_pack("{s:i}", "snapshot", 7));
  hf_log(HF_LOG_INFO, "after its end");
  assert_false(hf_run_is_alive(dir, 1));
  log_of(1, &text);
  assert_non_null(strstr(text.data, "Z a word in private\n"));
  assert_non_null(strstr(text.data, "Z warning: number 24\n"));
  assert_non_null(strstr(text.data, "Z error     the disk is full\n"));
  assert_null(strstr(text.data, "too much"));
  assert_null(strstr(text.data, "after its end"));
  struct hf_runs *runs = opened();
  assert_int_equal(hf_runs_last(runs, "backup", false, &row, NULL), 1);
  json_t *facts = json_loads(row.facts, 0, NULL);
  assert_int_equal(row.exit, 1);
  assert_string_equal(json_string_value(json_object_get(facts, "error")), "the disk is full");
  assert_int_equal(json_integer_value(json_object_get(facts, "snapshot")), 7);
  assert_int_equal(json_array_size(json_object_get(facts, "said")), HF_RUN_SAID);
  json_decref(facts);
  hf_run_row_free(&row);

  /* What is larger than a log may be is left out, but for what matters, and the run goes on. */
  r = hf_run_begin(m, "verify");
  char *line = memset(hf_alloc(65537), 'x', 65536);
  for (int i = 0; i < 150; i++) hf_log(HF_LOG_INFO, "%s", line);
  hf_log(HF_LOG_WARNING, "one that matters");
  hf_log(HF_LOG_INFO, "one that does not");
  hf_run_end(r, 0, NULL);
  hf_buf_clear(&text);
  log_of(2, &text);
  assert_true(text.len <= HF_RUN_LOG_MAX - HF_RUN_LOG_KEPT + 1000);
  const char *said = strstr(text.data, "the log is as large as it may be: what follows is left out, but for warnings, errors and what came of the run\n");
  assert_non_null(said);
  assert_null(strstr(said + 1, "the log is as large"));
  assert_non_null(strstr(said, "Z warning: one that matters\n"));
  assert_null(strstr(said, "one that does not"));
  assert_non_null(strstr(said, "verify done\n"));

  /* These have a bound, too. */
  r = hf_run_begin(m, "prune");
  for (int i = 0; i < 150; i++) hf_log(HF_LOG_WARNING, "%s", line);
  free(line);
  hf_run_end(r, 0, NULL);
  hf_buf_clear(&text);
  log_of(3, &text);
  assert_true(text.len <= HF_RUN_LOG_MAX);

  /* A wrong command line is no run. */
  hf_run_end(hf_run_begin(m, "sync"), 2, NULL);
  assert_int_equal(hf_runs_last(runs, "sync", false, &row, NULL), 0);
  HF_CLEANUP(hf_freep) char *gone = hf_run_log_path(dir, 4);
  assert_int_equal(access(gone, F_OK), -1);
  hf_runs_close(runs);
  hf_buf_free(&text);
  hf_manifest_free(m);
  hf_registry_free(registry);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(last_ones, set_up, tear_down),     cmocka_unit_test_setup_teardown(sweep, set_up, tear_down),
      cmocka_unit_test_setup_teardown(told, set_up, tear_down),          cmocka_unit_test_setup_teardown(channels, set_up, tear_down),
      cmocka_unit_test_setup_teardown(newer_version, set_up, tear_down), cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
      cmocka_unit_test_setup_teardown(logs, set_up, tear_down)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
