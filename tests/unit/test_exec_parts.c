/* test_exec_parts.c - the exec source's parts: environment, words, settings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "../../plugins/exec/exec.h"

/* The one symbol of the plugin. */
HOLDFAST_EXPORT const struct holdfast_source_plugin *holdfast_source_plugin(void);

/* ---- a host that notes everything ---- */

struct noted {
  char error[1100], log[65536];
  int lines;
};

static void note_log(void *ctx, int level, const char *message) {
  struct noted *n = ctx;
  size_t at = strlen(n->log);
  assert_int_equal(level, HOLDFAST_LOG_NOTICE);
  snprintf(n->log + at, sizeof n->log - at, "%s\n", message);
  n->lines++;
}

static void note_error(void *ctx, const char *message) {
  struct noted *n = ctx;
  snprintf(n->error, sizeof n->error, "%s", message);
}

static int never(void *ctx) {
  (void)ctx;
  return 0;
}

static struct noted noted;
static const struct holdfast_host host = {.struct_size = sizeof host, .ctx = &noted, .instance = "test", .log = note_log, .error = note_error, .cancelled = never};

/* ---- environment ---- */

static unsigned parse(struct hf_exec_env *e, const char *text, const char **why) { return hf_exec_env_parse(e, text, strlen(text), why); }

static void test_env_names(void **state) {
  (void)state;
  static const char *const good[] = {"A", "_", "a1", "MYSQL_PWD", "_9"}, *const bad[] = {"", "1", "A-B", "A B", "\xc3\xa4", "A="};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(hf_exec_env_name(good[i], strlen(good[i])));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(hf_exec_env_name(bad[i], strlen(bad[i])));
}

static void test_env_set(void **state) {
  (void)state;
  struct hf_exec_env e = {0};
  assert_null(hf_exec_env_get(&e, "A"));
  assert_true(hf_exec_env_set(&e, "A", 1, "1", 1));
  assert_true(hf_exec_env_set(&e, "AB", 2, "", 0));
  assert_true(hf_exec_env_set(&e, "A", 1, "two=2", 5));
  assert_int_equal(e.n, 2);
  assert_null(e.v[2]);
  assert_string_equal(e.v[0], "A=two=2");
  assert_string_equal(hf_exec_env_get(&e, "AB"), "");
  assert_null(hf_exec_env_get(&e, "B"));
  hf_exec_env_free(&e);
  assert_null(e.v);
}

static void test_env_file(void **state) {
  (void)state;
  struct hf_exec_env e = {0};
  const char *why = NULL;
  static const char text[] = "# comment\n"
                             "   ; comment\n"
                             "\n"
                             " \t\n"
                             "PLAIN=a b  \n"
                             "  INDENTED=x\r\n"
                             "EMPTY=\n"
                             "SINGLE='a \\\" $b'  \n"
                             "DOUBLE=\"say \\\"\\$\\`\\\\\\n\"\n"
                             "EQUAL=a=b='c'\n"
                             "PLAIN=again\n"
                             "HASH=a # no comment\n"
                             "LAST= without an end";
  assert_int_equal(parse(&e, text, &why), 0);
  assert_string_equal(hf_exec_env_get(&e, "PLAIN"), "again");
  assert_string_equal(hf_exec_env_get(&e, "INDENTED"), "x");
  assert_string_equal(hf_exec_env_get(&e, "EMPTY"), "");
  assert_string_equal(hf_exec_env_get(&e, "SINGLE"), "a \\\" $b");
  assert_string_equal(hf_exec_env_get(&e, "DOUBLE"), "say \"$`\\\\n");
  assert_string_equal(hf_exec_env_get(&e, "EQUAL"), "a=b='c'");
  assert_string_equal(hf_exec_env_get(&e, "HASH"), "a # no comment");
  assert_string_equal(hf_exec_env_get(&e, "LAST"), "without an end");
  assert_int_equal(e.n, 8);
  hf_exec_env_free(&e);
}

static void test_env_file_bad(void **state) {
  (void)state;
  static const struct {
    const char *text;
    unsigned line;
    const char *why;
  } cases[] = {
      {"A=1\nB", 2, "NAME=VALUE"},        {"export A=1\n", 1, "NAME=VALUE"}, {"\n\n1A=1\n", 3, "NAME=VALUE"}, {"=x", 1, "NAME=VALUE"},
      {"A =1", 1, "without a blank"},     {"A='x", 1, "closing quote"},      {"A=\"x\\\"", 1, "closing quote"}, {"A='x' y", 1, "follows"},
      {"A=x\\\nB=1", 1, "a backslash"},   {"A=\"", 1, "closing quote"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct hf_exec_env e = {0};
    const char *why = "";
    assert_int_equal(parse(&e, cases[i].text, &why), cases[i].line);
    assert_non_null(strstr(why, cases[i].why));
    hf_exec_env_free(&e);
  }
  struct hf_exec_env e = {0};
  const char *why = "";
  assert_int_equal(hf_exec_env_parse(&e, "A=x\0y\n", 6, &why), 1);
  assert_non_null(strstr(why, "NUL"));
  hf_exec_env_free(&e);
}

/* ---- words ---- */

static const char *printable(const char *p, size_t n, const char *secret) {
  static char out[HF_EXEC_SHOWN_MAX + 4];
  hf_exec_printable(out, p, n, secret);
  return out;
}

static void test_printable(void **state) {
  (void)state;
  assert_string_equal(printable("plain", 5, NULL), "plain");
  assert_string_equal(printable("a\0b\x1b[1m\x7f\t", 9, NULL), "a?b?[1m??");
  assert_string_equal(printable("\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82", 9, NULL), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82");
  /* cut off, alone, too long a form, a surrogate, beyond the last one, a control character of eight bits */
  assert_string_equal(printable("\xe2\x82", 2, NULL), "??");
  assert_string_equal(printable("\x9b\xff", 2, NULL), "??");
  assert_string_equal(printable("\xc0\xaf", 2, NULL), "??");
  assert_string_equal(printable("\xe0\x80\xaf", 3, NULL), "???");
  assert_string_equal(printable("\xed\xa0\x80", 3, NULL), "???");
  assert_string_equal(printable("\xf4\x90\x80\x80", 4, NULL), "????");
  assert_string_equal(printable("\xc2\x9b", 2, NULL), "??");
}

static void test_printable_secret(void **state) {
  (void)state;
  assert_string_equal(printable("user x, password hush!hush", 26, "hush"), "user x, password ***!***");
  assert_string_equal(printable("hus", 3, "hush"), "hus");
  assert_string_equal(printable("a\nb", 3, "\n"), "a***b");
  assert_string_equal(printable("plain", 5, ""), "plain");
  /* A secret is not shown in part where the line is cut. */
  char line[HF_EXEC_SHOWN_MAX + 20];
  memset(line, 'x', sizeof line);
  memcpy(line + HF_EXEC_SHOWN_MAX - 3, "hushhush", 8);
  const char *shown = printable(line, sizeof line, "hushhush");
  assert_null(strstr(shown, "hu"));
  assert_int_equal(strlen(shown), HF_EXEC_SHOWN_MAX + 3);
}

/* Feed text in pieces of n bytes. */
static void feed(struct hf_exec_words *w, const struct hf_exec_options *o, const char *text, size_t n) {
  for (size_t len = strlen(text), at = 0; at < len; at += n) hf_exec_words_take(w, o, "command (x)", text + at, n < len - at ? n : len - at);
}

static void test_words(void **state) {
  (void)state;
  static const char text[] = "one\r\n\n  \ntwo  \n10%\r50%\r100%\nthree";
  const struct hf_exec_options o = {.host = &host, .log_words = true};
  for (size_t n = 1; n < sizeof text; n++) {
    struct hf_exec_words *w = calloc(1, sizeof *w);
    memset(&noted, 0, sizeof noted);
    feed(w, &o, text, n);
    assert_string_equal(w->last, "100%");
    hf_exec_words_end(w, &o, "command (x)");
    assert_string_equal(w->last, "three");
    assert_string_equal(noted.log, "command (x): one\ncommand (x): two\ncommand (x): 100%\ncommand (x): three\n");
    free(w);
  }
}

static void test_words_bounded(void **state) {
  (void)state;
  struct hf_exec_options o = {.host = &host, .log_words = true};
  struct hf_exec_words *w = calloc(1, sizeof *w);
  memset(&noted, 0, sizeof noted);
  for (int i = 0; i < 100000; i++) feed(w, &o, "aaaaaaaaaa", 10); /* one line of a million bytes */
  feed(w, &o, "\n", 1);
  assert_int_equal(strlen(w->last), HF_EXEC_SHOWN_MAX + 3);
  for (int i = 0; i < 1000; i++) feed(w, &o, "short\n", 6);
  hf_exec_words_end(w, &o, "command (x)");
  assert_int_equal(noted.lines, HF_EXEC_LINES_MAX + 1);
  assert_non_null(strstr(noted.log, "command (x): 901 more lines are not shown\n"));
  assert_string_equal(w->last, "short");
  memset(w, 0, sizeof *w);
  memset(&noted, 0, sizeof noted);
  o.log_words = false;
  for (int i = 0; i < 1000; i++) feed(w, &o, "short\n", 6);
  hf_exec_words_end(w, &o, "command (x)");
  assert_int_equal(noted.lines, 0);
  assert_string_equal(w->last, "short");
  free(w);
}

/* ---- settings ---- */

struct config {
  struct holdfast_value v[HF_EXEC_N_SETTINGS];
  const char *strings[HF_EXEC_N_SETTINGS][8];
};

static void config_add(struct config *c, enum hf_exec_setting i, const char *s) {
  assert_true(c->v[i].count < 8);
  c->strings[i][c->v[i].count++] = s;
}

static void config_set(struct config *c, enum hf_exec_setting i, const char *s) {
  c->v[i].count = 0;
  config_add(c, i, s);
}

/* `command = true`, and the defaults. */
static void config_reset(struct config *c) {
  const struct holdfast_setting *s = holdfast_source_plugin()->head.settings;
  memset(c, 0, sizeof *c);
  for (int i = 0; i < HF_EXEC_N_SETTINGS; i++) {
    c->v[i].name = s[i].name;
    c->v[i].strings = c->strings[i];
    if (s[i].def) config_add(c, (enum hf_exec_setting)i, s[i].def);
  }
  assert_null(s[HF_EXEC_N_SETTINGS].name);
  config_add(c, HF_EXEC_COMMAND, "true");
}

static void refused(const struct config *c, const char *message) {
  struct hf_exec_options o;
  memset(&noted, 0, sizeof noted);
  assert_int_equal(hf_exec_options_read(&host, c->v, &o), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(noted.error, message));
}

static void test_options(void **state) {
  (void)state;
  struct config c;
  struct hf_exec_options o;
  config_reset(&c);
  assert_int_equal(hf_exec_options_read(&host, c.v, &o), HOLDFAST_OK);
  assert_true(o.success[0]);
  assert_false(o.success[1]);
  assert_false(o.shell);
  assert_false(o.empty_ok);
  assert_true(o.log_words);
  assert_string_equal(o.stream, "output");
  assert_string_equal(o.directory, "/");
  assert_int_equal(o.env.n, 0);
  hf_exec_options_free(&o);

  config_set(&c, HF_EXEC_SUCCESS_EXIT, "1, 2 3,255");
  config_add(&c, HF_EXEC_SUCCESS_EXIT, "007");
  config_add(&c, HF_EXEC_ENVIRONMENT, "A=1");
  config_add(&c, HF_EXEC_ENVIRONMENT, "PW=in the clear");
  config_add(&c, HF_EXEC_SECRET, "hush");
  config_add(&c, HF_EXEC_SECRET_VARIABLE, "PW");
  assert_int_equal(hf_exec_options_read(&host, c.v, &o), HOLDFAST_OK);
  assert_true(!o.success[0] && o.success[1] && o.success[2] && o.success[3] && o.success[255] && o.success[7] && !o.success[4]);
  assert_string_equal(hf_exec_env_get(&o.env, "PW"), "hush");
  assert_int_equal(o.env.n, 2);
  hf_exec_options_free(&o);
}

static void test_options_bad(void **state) {
  (void)state;
  static const char *const codes[] = {"256", "-1", "x", "1;2", "1x", "0001", ","};
  static const char *const names[] = {".a", "-a", "a/b", "tree", "a b", "\xc3\xa4"};
  struct config c;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    config_reset(&c);
    config_set(&c, HF_EXEC_SUCCESS_EXIT, codes[i]);
    refused(&c, "success-exit");
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    config_reset(&c);
    config_set(&c, HF_EXEC_STREAM, names[i]);
    refused(&c, "stream");
  }
  config_reset(&c);
  c.v[HF_EXEC_FIXED_CHUNK].number = 4095;
  refused(&c, "fixed-chunk");
  config_reset(&c);
  c.v[HF_EXEC_TIME_LIMIT].number = INT64_MAX;
  refused(&c, "time-limit");
  config_reset(&c);
  config_add(&c, HF_EXEC_ENVIRONMENT, "hush hush");
  refused(&c, "number 1 is not NAME=VALUE");
  assert_null(strstr(noted.error, "hush"));
  config_reset(&c);
  config_add(&c, HF_EXEC_SECRET, "hush");
  refused(&c, "without secret-variable");
  config_add(&c, HF_EXEC_SECRET_VARIABLE, "P W");
  refused(&c, "secret-variable = P W");
  config_reset(&c);
  config_add(&c, HF_EXEC_SECRET_VARIABLE, "PW");
  refused(&c, "there is no secret");
  config_reset(&c);
  config_add(&c, HF_EXEC_COMMAND, "x");
  c.v[HF_EXEC_SHELL].number = 1;
  refused(&c, "one text");
  config_reset(&c);
  config_add(&c, HF_EXEC_ENVIRONMENT_FILE, "/");
  refused(&c, "directory");
  config_reset(&c);
  config_add(&c, HF_EXEC_ENVIRONMENT_FILE, "/dev/zero");
  refused(&c, "not a regular file");
}

static void test_argv(void **state) {
  (void)state;
  struct config c;
  struct hf_exec_options o;
  char title[100];
  config_reset(&c);
  config_set(&c, HF_EXEC_COMMAND, "/usr/bin/pg_dump");
  config_add(&c, HF_EXEC_COMMAND, "a b");
  assert_int_equal(hf_exec_options_read(&host, c.v, &o), HOLDFAST_OK);
  const char **argv = hf_exec_argv(&o, HF_EXEC_COMMAND);
  assert_string_equal(argv[0], "/usr/bin/pg_dump");
  assert_string_equal(argv[1], "a b");
  assert_null(argv[2]);
  free(argv);
  assert_string_equal(hf_exec_title(&o, HF_EXEC_COMMAND, title, sizeof title), "command (pg_dump)");
  hf_exec_options_free(&o);
  config_set(&c, HF_EXEC_COMMAND, "a | b");
  c.v[HF_EXEC_SHELL].number = 1;
  assert_int_equal(hf_exec_options_read(&host, c.v, &o), HOLDFAST_OK);
  argv = hf_exec_argv(&o, HF_EXEC_COMMAND);
  static const char *const want[] = {"bash", "-o", "pipefail", "-c", "a | b"};
  for (int i = 0; i < 5; i++) assert_string_equal(argv[i], want[i]);
  assert_null(argv[5]);
  free(argv);
  assert_string_equal(hf_exec_title(&o, HF_EXEC_COMMAND, title, sizeof title), "command (bash)");
  hf_exec_options_free(&o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_env_names),        cmocka_unit_test(test_env_set),       cmocka_unit_test(test_env_file),
      cmocka_unit_test(test_env_file_bad),     cmocka_unit_test(test_printable),     cmocka_unit_test(test_printable_secret),
      cmocka_unit_test(test_words),            cmocka_unit_test(test_words_bounded), cmocka_unit_test(test_options),
      cmocka_unit_test(test_options_bad),      cmocka_unit_test(test_argv),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
