/* test_settings.c - typed settings: types, defaults, lists, secrets, JSON.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "fake_plugins.h"
#include "unit.h"

static const struct holdfast_setting two_secrets[] = {
    {"password", HOLDFAST_SECRET, HOLDFAST_REQUIRED, NULL, NULL, "The password"},
    {"token", HOLDFAST_SECRET, 0, NULL, NULL, "The token"},
    {NULL, 0, 0, NULL, NULL, NULL}};

/* A command becomes its words, by way of the manifest, of a default, and of the JSON that a worker gets. */
static void commands(void **state HF_UNUSED) {
  static const struct holdfast_setting table[] = {{"command", HOLDFAST_COMMAND, HOLDFAST_REQUIRED, NULL, NULL, "What to run"},
                                                  {"other", HOLDFAST_COMMAND, 0, "cat '/a b'", NULL, "What else"},
                                                  {NULL, 0, 0, NULL, NULL, NULL}};
  struct hf_error err = {0};
  struct hf_settings *s = hf_settings_new(table), *again = NULL;
  assert_int_equal(hf_settings_set(s, "command", "dump  --all 'two words'\"joined\" ''", 7, "/", &err), 0);
  assert_int_equal(hf_settings_set(s, "command", "twice", 8, "/", &err), HOLDFAST_E_CONFIG);
  assert_int_equal(hf_settings_check(s, &err), 0);
  json_t *j = hf_settings_to_json(s);
  assert_int_equal(hf_settings_from_json(table, j, &again, &err), 0);
  for (const struct hf_settings *x = s; x; x = x == s ? again : NULL) {
    assert_int_equal(x->values[0].count, 4);
    assert_string_equal(x->values[0].strings[0], "dump");
    assert_string_equal(x->values[0].strings[2], "two wordsjoined");
    assert_string_equal(x->values[0].strings[3], "");
    assert_int_equal(x->values[1].count, 2);
    assert_string_equal(x->values[1].strings[1], "/a b");
  }
  json_decref(j);
  hf_settings_free(again);
  hf_settings_free(s);
  s = hf_settings_new(table);
  assert_int_equal(hf_settings_set(s, "command", "dump 'open", 7, "/", &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "without a closing one"));
  assert_int_equal(hf_settings_set(s, "command", "   ", 7, "/", &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "empty"));
  hf_settings_free(s);
}

static int setup_dir(void **state) {
  char name[] = "/tmp/hf-settings-XXXXXX";
  *state = mkdtemp(name) ? hf_strdup(name) : NULL;
  return *state ? 0 : -1;
}

static int drop_dir(void **state) {
  struct hf_error err;
  int r = hf_remove_tree(*state, &err);
  free(*state);
  return r;
}

/* Set key in a fresh instance of the fake source; returns the status. */
static int try_set(const char *key, const char *text, struct hf_error *err) {
  struct hf_settings *s = hf_settings_new(fake_source_settings);
  int r = hf_settings_set(s, key, text, 7, "/", err);
  assert_int_equal(s->bad_line, r < 0 ? 7 : 0);
  hf_settings_free(s);
  return r;
}

static void accepts_and_refuses(void **state) {
  static const struct {
    const char *key, *text, *error; /* error NULL: accepted; else a part of the message */
  } cases[] = {{"path", "/etc", NULL},
               {"path", "etc", "absolute"},
               {"path", "~/x", "absolute"},
               {"path", "", "empty"},
               {"exclude", "*.log", NULL},
               {"limit", "4G", NULL},
               {"limit", "4X", ""},
               {"limit", "-1", ""},
               {"limit", "99999999999999999999", ""},
               {"limit", "15000000T", ""},
               {"wait", "1h30m", NULL},
               {"wait", "0", NULL},
               {"wait", "12", ""},
               {"wait", "soon", ""},
               {"follow", "yes", NULL},
               {"follow", "off", NULL},
               {"follow", "maybe", ""},
               {"jobs", "0", NULL},
               {"jobs", "9223372036854775807", NULL},
               {"jobs", "9223372036854775808", ""},
               {"jobs", "4x", ""},
               {"mode", "safe", NULL},
               {"mode", "fas", "not one of: fast safe"},
               {"mode", "fast|safe", "not one of"},
               {"password", "x", NULL},
               {"password-file", "x", NULL},
               {"password-env", "A-B", "environment variable"},
               {"password-env", "1A", "environment variable"},
               {"password-credential", "a/b", "credential"},
               {"password-credential", "..", "credential"},
               {"password-command", "pass 'show db", "closing"},
               {"password-command", "'' x", "empty"},
               {"password-commands", "x", "unknown key"},
               {"pasword-file", "x", "did you mean password"},
               {"exlude", "x", "did you mean exclude"},
               {"completely-else", "x", "unknown key"},
               {"path-file", "/x", "unknown key"}};
  (void)state;
  for (size_t i = 0; i < HF_NELEM(cases); i++) {
    struct hf_error err = {0};
    int r = try_set(cases[i].key, cases[i].text, &err);
    if (!cases[i].error && r < 0) fail_msg("%s = %s: %s", cases[i].key, cases[i].text, err.msg);
    if (cases[i].error && r != HOLDFAST_E_CONFIG) fail_msg("%s = %s: %d", cases[i].key, cases[i].text, r);
    if (cases[i].error && (!*err.msg || !strstr(err.msg, cases[i].error)))
      fail_msg("%s = %s: %s", cases[i].key, cases[i].text, err.msg);
  }
}

static void values_are_typed(void **state) {
  struct hf_settings *s = hf_settings_new(fake_source_settings);
  struct hf_error err;
  (void)state;
  assert_int_equal(hf_settings_set(s, "path", "/b", 3, "/", &err), 0);
  assert_int_equal(hf_settings_set(s, "path", "/a", 4, "/", &err), 0);
  assert_int_equal(hf_settings_set(s, "limit", "2K", 5, "/", &err), 0);
  assert_int_equal(hf_settings_set(s, "follow", "on", 6, "/", &err), 0);
  assert_int_equal(hf_settings_finish(s, &err), 0);
  assert_int_equal(s->values[F_PATH].count, 2);
  assert_string_equal(s->values[F_PATH].strings[0], "/b");
  assert_string_equal(s->values[F_PATH].strings[1], "/a");
  assert_int_equal(s->values[F_PATH].line, 3);
  assert_int_equal(s->values[F_LIMIT].number, 2048);
  assert_string_equal(s->values[F_LIMIT].strings[0], "2K");
  assert_int_equal(s->values[F_FOLLOW].number, 1);
  assert_int_equal(s->values[F_WAIT].number, 90); /* the default, line 0 */
  assert_int_equal(s->values[F_WAIT].line, 0);
  assert_string_equal(s->values[F_MODE].strings[0], "fast");
  assert_int_equal(s->values[F_JOBS].count, 0);
  assert_string_equal(s->values[F_JOBS].name, "jobs");
  assert_false(s->inline_secret);
  hf_settings_free(s);
}

static void once_only(void **state) {
  struct hf_settings *s = hf_settings_new(fake_source_settings);
  struct hf_error err;
  (void)state;
  assert_int_equal(hf_settings_set(s, "limit", "2K", 5, "/", &err), 0);
  assert_int_equal(hf_settings_set(s, "limit", "3K", 9, "/", &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "line 5"));
  assert_int_equal(s->bad_line, 9);
  assert_int_equal(hf_settings_set(s, "password", "hush", 10, "/", &err), 0);
  assert_true(s->inline_secret);
  assert_int_equal(hf_settings_set(s, "password-file", "x", 11, "/", &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "password stands in line 10"));
  assert_null(strstr(err.msg, "hush"));
  hf_settings_free(s);
}

static void required_ones(void **state) {
  struct hf_settings *s = hf_settings_new(fake_source_settings);
  struct hf_error err;
  (void)state;
  assert_int_equal(hf_settings_finish(s, &err), HOLDFAST_E_CONFIG);
  assert_string_equal(err.msg, "path: missing; it has to be given (What to read)");
  hf_settings_free(s);
  s = hf_settings_new(two_secrets);
  assert_int_equal(hf_settings_finish(s, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "password-file"));
  hf_settings_free(s);
}

/* Finish with password given as key = text. The secret, owned by the caller, or NULL and *err. */
static char *fetch(const char *key, const char *text, const char *dir, struct hf_error *err) {
  struct hf_settings *s = hf_settings_new(two_secrets);
  assert_int_equal(hf_settings_set(s, key, text, 4, dir, err), 0);
  int r = hf_settings_finish(s, err);
  char *out = r == 0 ? hf_strdup(s->values[0].strings[0]) : NULL;
  assert_int_equal(s->bad_line, r < 0 ? 4 : 0);
  if (r == 0) assert_int_equal(s->values[0].count, 1);
  hf_settings_free(s);
  return out;
}

static void expect_secret(const char *key, const char *text, const char *dir, const char *want) {
  struct hf_error err;
  char *got = fetch(key, text, dir, &err);
  if (!got) fail_msg("%s = %s: %s", key, text, err.msg);
  assert_string_equal(got, want);
  free(got);
}

static void expect_no_secret(const char *key, const char *text, const char *dir, const char *message) {
  struct hf_error err;
  char *got = fetch(key, text, dir, &err);
  if (got) fail_msg("%s = %s gave %s", key, text, got);
  if (strncmp(err.msg, key, strlen(key)) != 0 || !strstr(err.msg, message)) fail_msg("%s = %s: %s", key, text, err.msg);
}

static void put(const char *dir, const char *name, const void *data, size_t n, mode_t mode) {
  char *path = hf_path_join(dir, name);
  assert_int_equal(hf_write_file_atomic(path, data, n, 0600, NULL), 0);
  assert_int_equal(chmod(path, mode), 0);
  free(path);
}

static void secrets_from_files(void **state) {
  const char *dir = *state;
  char big[65 * 1024];
  memset(big, 'x', sizeof big);
  put(dir, "good", "s3cret\n", 7, 0600);
  put(dir, "lines", "one\ntwo\r\n", 9, 0640);
  put(dir, "open", "s3cret\n", 7, 0644);
  put(dir, "nul", "a\0b", 3, 0600);
  put(dir, "void", "\n", 1, 0600);
  put(dir, "big", big, sizeof big, 0600);
  expect_secret("password-file", "good", dir, "s3cret");
  expect_secret("password-file", "lines", dir, "one\ntwo");
  expect_no_secret("password-file", "open", dir, "mode 0644");
  expect_no_secret("password-file", "nul", dir, "NUL");
  expect_no_secret("password-file", "void", dir, "empty");
  expect_no_secret("password-file", "big", dir, "larger");
  expect_no_secret("password-file", "absent", dir, "absent");
  expect_no_secret("password-file", ".", dir, "not a regular file");
  char *full = hf_path_join(dir, "good");
  expect_secret("password-file", full, "/nowhere", "s3cret");
  free(full);
  unsetenv("CREDENTIALS_DIRECTORY");
  expect_no_secret("password-credential", "good", dir, "LoadCredential=good");
  setenv("CREDENTIALS_DIRECTORY", dir, 1);
  expect_secret("password-credential", "good", "/nowhere", "s3cret");
  unsetenv("CREDENTIALS_DIRECTORY");
}

static void secrets_from_commands(void **state) {
  const char *dir = *state;
  expect_secret("password-command", "echo s3cret", dir, "s3cret");
  expect_secret("password-command", "printf 'one\\ntwo\\n'", dir, "one");
  expect_secret("password-command", "printf \"a b\"'c d'", dir, "a bc d");
  expect_secret("password-command", "echo $HOME", dir, "$HOME"); /* no shell */
  expect_no_secret("password-command", "false", dir, "exit code 1");
  expect_no_secret("password-command", "sh -c 'echo locked >&2; exit 4'", dir, "exit code 4: locked");
  expect_no_secret("password-command", "true", dir, "empty");
  expect_no_secret("password-command", "printf '\\n'", dir, "empty");
  expect_no_secret("password-command", "/nonexistent/program", dir, "/nonexistent/program");
}

static void secrets_from_elsewhere(void **state) {
  setenv("HF_TEST_SECRET", "from env", 1);
  setenv("HF_TEST_EMPTY", "", 1);
  unsetenv("HF_TEST_ABSENT");
  expect_secret("password-env", "HF_TEST_SECRET", *state, "from env");
  expect_no_secret("password-env", "HF_TEST_EMPTY", *state, "empty");
  expect_no_secret("password-env", "HF_TEST_ABSENT", *state, "not set");
  expect_secret("password", "plain", *state, "plain");
}

static void check_reads_nothing(void **state) {
  struct hf_settings *s = hf_settings_new(two_secrets);
  struct hf_error err;
  char *mark = hf_path_join(*state, "ran"), *command = hf_asprintf("touch %s", mark);
  assert_int_equal(hf_settings_set(s, "password-command", command, 1, "/", &err), 0);
  assert_int_equal(hf_settings_check(s, &err), 0);
  assert_int_equal(s->values[0].count, 0);
  assert_int_not_equal(access(mark, F_OK), 0);
  free(mark);
  free(command);
  hf_settings_free(s);
}

static void json_round_trip(void **state) {
  struct hf_settings *s = hf_settings_new(fake_source_settings), *t = NULL;
  struct hf_error err;
  (void)state;
  hf_settings_set(s, "path", "/caf\xc3\xa9", 3, "/", &err);
  hf_settings_set(s, "path", "/latin-\xe9-1\\351", 4, "/", &err); /* not UTF-8 */
  hf_settings_set(s, "limit", "1T", 5, "/", &err);
  hf_settings_set(s, "password", "hu\\sh", 6, "/", &err);
  assert_int_equal(hf_settings_finish(s, &err), 0);
  json_t *j = hf_settings_to_json(s);
  assert_int_equal(hf_settings_from_json(fake_source_settings, j, &t, &err), 0);
  assert_int_equal(t->n, s->n);
  for (size_t i = 0; i < s->n; i++) {
    assert_string_equal(t->values[i].name, s->values[i].name);
    assert_int_equal(t->values[i].count, s->values[i].count);
    assert_int_equal(t->values[i].line, s->values[i].line);
    assert_true(t->values[i].number == s->values[i].number);
    for (uint32_t k = 0; k < s->values[i].count; k++) assert_string_equal(t->values[i].strings[k], s->values[i].strings[k]);
  }
  hf_settings_free(t);
  hf_settings_free(s);
  json_decref(j);
}

static void bad_json(void **state) {
  static const char *const bad[] = {"{}",
                                    "[]",
                                    "[1,2]",
                                    "[{\"name\":\"token\",\"line\":0,\"number\":0,\"strings\":[]},{}]",
                                    "[{\"name\":\"password\",\"line\":-1,\"number\":0,\"strings\":[]},{}]",
                                    "[{\"name\":\"password\",\"line\":1,\"number\":0,\"strings\":[1]},{}]",
                                    "[{\"name\":\"password\",\"line\":1,\"number\":0,\"strings\":[{\"hex\":\"6\"}]},{}]",
                                    "[{\"name\":\"password\",\"line\":1,\"number\":0,\"strings\":[{\"hex\":\"0061\"}]},{}]",
                                    "[{\"name\":\"password\",\"line\":1,\"number\":0,\"strings\":[{\"hex\":\"zz\"}]},{}]",
                                    "[{\"name\":\"password\",\"line\":1,\"number\":0,\"strings\":[\"a\",\"b\"]},{}]"};
  (void)state;
  for (size_t i = 0; i < HF_NELEM(bad); i++) {
    json_t *j = json_loads(bad[i], 0, NULL);
    struct hf_settings *s = NULL;
    struct hf_error err = {0};
    assert_non_null(j);
    if (hf_settings_from_json(two_secrets, j, &s, &err) >= 0) fail_msg("taken: %s", bad[i]);
    assert_null(s);
    assert_true(*err.msg);
    json_decref(j);
  }
}

static void distances(void **state) {
  char far[100];
  (void)state;
  memset(far, 'a', 99);
  far[99] = 0;
  assert_int_equal(hf_edit_distance("", ""), 0);
  assert_int_equal(hf_edit_distance("kitten", "sitting"), 3);
  assert_int_equal(hf_edit_distance("", "abc"), 3);
  assert_true(hf_edit_distance(far, "a") == SIZE_MAX);
  size_t best = SIZE_MAX;
  assert_false(hf_nearer("a", "b", &best));
  assert_true(hf_nearer("compresion", "compression", &best));
  assert_int_equal(best, 1);
  assert_false(hf_nearer("compresion", "compression", &best));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(accepts_and_refuses),
                                     cmocka_unit_test(values_are_typed),
                                     cmocka_unit_test(once_only),
                                     cmocka_unit_test(required_ones),
                                     cmocka_unit_test(secrets_from_files),
                                     cmocka_unit_test(secrets_from_commands),
                                     cmocka_unit_test(secrets_from_elsewhere),
                                     cmocka_unit_test(check_reads_nothing),
                                     cmocka_unit_test(json_round_trip),
                                     cmocka_unit_test(bad_json),
                                     cmocka_unit_test(distances),
                                     cmocka_unit_test(commands)};
  return cmocka_run_group_tests(tests, setup_dir, drop_dir);
}
