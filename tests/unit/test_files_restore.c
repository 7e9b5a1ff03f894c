/* test_files_restore.c - the files source's table, preflight, state, restore half and check of a copy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_files_support.h"

static struct noted noted;
static struct config config;

static int setup(void **state) {
  noted_reset(&noted);
  config_reset(&config);
  return scratch_setup(state);
}

static void test_plugin_table(void **state) {
  (void)state;
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  assert_int_equal(p->head.struct_size, sizeof *p);
  assert_int_equal(p->head.abi_major, HOLDFAST_ABI_MAJOR);
  assert_string_equal(p->head.name, "files");
  size_t n = 0;
  for (const struct holdfast_setting *s = p->head.settings; s->name; s++, n++) {
    assert_true(s->type >= HOLDFAST_STRING && s->type <= HOLDFAST_SECRET);
    assert_true(strlen(s->help) > 10);
    assert_true(s->help[strlen(s->help) - 1] != '.');
    if (s->flags & HOLDFAST_LIST) assert_true(s->type == HOLDFAST_STRING || s->type == HOLDFAST_PATH);
    if (s->type == HOLDFAST_BOOL) assert_non_null(s->def);
  }
  assert_int_equal(n, HF_FILES_N_SETTINGS);
  assert_non_null(p->open);
  assert_non_null(p->next);
  assert_non_null(p->entry_open);
  assert_non_null(p->read);
  assert_non_null(p->entry_close);
  assert_non_null(p->close);
}

static void test_probe(void **state) {
  (void)state;
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  make("t/a", "");
  make("u", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  config_add(&config, HF_FILES_PATH, at("u"));
  config_add(&config, HF_FILES_EXCLUDE, "*.log");
  assert_int_equal(p->probe(&noted.host, config.v), 0);
  assert_non_null(strstr(noted.error, at("t")));
  assert_non_null(strstr(noted.error, "2 paths; 1 pattern, 5 bytes"));
  config_add(&config, HF_FILES_EXCLUDE, "[");
  assert_int_equal(p->probe(&noted.host, config.v), HOLDFAST_E_CONFIG);
  config_add(&config, HF_FILES_PATH, at("nope"));
  assert_int_equal(p->probe(&noted.host, config.v), HOLDFAST_E_NOT_FOUND);
  config_reset(&config);
  config_set(&config, HF_FILES_IGNORE_MISSING, true);
  config_add(&config, HF_FILES_PATH, at("nope"));
  assert_int_equal(p->probe(&noted.host, config.v), 0);
  assert_non_null(strstr(noted.error, "nothing"));
  assert_non_null(strstr(noted.error, "1 not there"));
}

static void test_restore(void **state) {
  (void)state;
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  struct holdfast_restore how = {sizeof how, HOLDFAST_RESTORE_TO_DIR, scratch, ""};
  void *h;
  char dir[PATH_MAX];
  assert_int_equal(p->restore_open(&noted.host, config.v, &how, &h), 0);
  assert_int_equal(p->restore_tree(h, "tree", dir, sizeof dir), 0);
  assert_string_equal(dir, scratch);
  assert_int_equal(p->restore_tree(h, "tree", dir, 2), HOLDFAST_E_FAILED);
  assert_int_equal(p->restore_begin(h, "dump", 5), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(p->restore_write(h, "x", 1), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(p->restore_end(h), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(p->restore_finish(h, 0), 0);
  p->restore_close(h);

  how.mode = HOLDFAST_RESTORE_IN_PLACE;
  how.directory = NULL;
  assert_int_equal(p->restore_open(&noted.host, config.v, &how, &h), 0);
  assert_int_equal(p->restore_tree(h, "tree", dir, sizeof dir), 0);
  assert_string_equal(dir, "/");
  p->restore_close(h);

  how.mode = HOLDFAST_RESTORE_TO_DIR;
  how.directory = at("nope");
  assert_int_equal(p->restore_open(&noted.host, config.v, &how, &h), HOLDFAST_E_NOT_FOUND);
  make("file", "");
  how.directory = at("file");
  assert_int_equal(p->restore_open(&noted.host, config.v, &how, &h), HOLDFAST_E_CONFIG);
  how.directory = "relative";
  assert_int_equal(p->restore_open(&noted.host, config.v, &how, &h), HOLDFAST_E_CONFIG);
  how.mode = 99;
  assert_int_equal(p->restore_open(&noted.host, config.v, &how, &h), HOLDFAST_E_UNSUPPORTED);
}

static void test_finish(void **state) {
  (void)state;
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  make("t/a", "12345");
  make("t/b.log", "");
  assert_int_equal(symlink("a", "t/l"), 0);
  config_add(&config, HF_FILES_PATH, at("t"));
  config_add(&config, HF_FILES_EXCLUDE, "*.log");
  void *h;
  struct holdfast_entry e = {0};
  assert_int_equal(p->open(&noted.host, config.v, &h), 0);
  while (p->next(h, &e) == 1) memset(&e, 0, sizeof e);
  const char *text = NULL;
  assert_int_equal(p->finish(h, &text), 0);
  assert_non_null(strstr(text, "\"files\":1,\"folders\":1,\"symlinks\":1,"));
  assert_non_null(strstr(text, "\"bytes\":5,\"excluded\":1,"));
  assert_int_equal(p->finish(h, &text), 0); /* the first one is freed */
  p->close(h);
}

static void test_verify(void **state) {
  (void)state;
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  make("copy/etc/app/x", "");
  make("copy/srv", "");
  assert_int_equal(symlink("/etc", "copy/link"), 0);
  const char *copy = at("copy");
  assert_int_equal(p->verify(&noted.host, config.v, copy, "{\"roots\":[\"\",\"etc/app\",\"link\",\"srv\"]}"), 0);
  assert_non_null(strstr(noted.error, "4 of 4"));
  assert_int_equal(p->verify(&noted.host, config.v, copy, "{\"roots\":[\"etc/app\",\"etc/gone\"]}"), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(noted.error, "/etc/gone"));
  /* /etc/passwd is there, but not in the copy */
  assert_int_equal(p->verify(&noted.host, config.v, copy, "{\"roots\":[\"link/passwd\"]}"), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(p->verify(&noted.host, config.v, copy, "{\"roots\":[\"../x\"]}"), HOLDFAST_E_CORRUPT);
  assert_int_equal(p->verify(&noted.host, config.v, at("nope"), "{\"roots\":[]}"), HOLDFAST_E_NOT_FOUND);
  /* no state: what the manifest says */
  config_add(&config, HF_FILES_PATH, "/etc/app/");
  assert_int_equal(p->verify(&noted.host, config.v, copy, ""), 0);
  config_add(&config, HF_FILES_PATH, "/gone");
  assert_int_equal(p->verify(&noted.host, config.v, copy, ""), HOLDFAST_E_NOT_FOUND);
  config_set(&config, HF_FILES_IGNORE_MISSING, true);
  assert_int_equal(p->verify(&noted.host, config.v, copy, ""), 0);
  assert_non_null(strstr(noted.error, "1 of 2"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_plugin_table),
    cmocka_unit_test_setup_teardown(test_probe, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_restore, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_finish, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_verify, setup, scratch_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
