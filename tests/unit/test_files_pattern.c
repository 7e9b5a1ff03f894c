/* test_files_pattern.c - globs and gitignore patterns of the files source, by a table and against git itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_files_support.h"

#include <sys/wait.h>

static void test_glob(void **state) {
  (void)state;
  static const struct {
    const char *glob, *text;
    bool want;
  } table[] = {
    {"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"", "", true}, {"", "a", false},
    {"*", "", true}, {"*", "anything", true}, {"a*", "a", true}, {"a*c", "abc", true}, {"a*c", "ab", false},
    {"*a*b*c*", "xxaxxbxxcxx", true}, {"*a*b*c*", "cba", false}, {"**x", "aax", true}, {"a*b*b", "abab", true},
    {"?", "a", true}, {"?", "", false}, {"??", "a", false}, {"?*", "ab", true},
    {"[abc]", "b", true}, {"[abc]", "d", false}, {"[!abc]", "d", true}, {"[^abc]", "a", false}, {"[a-c]x", "bx", true},
    {"[a-c]", "d", false}, {"[]]", "]", true}, {"[!]]", "]", false}, {"[]a]", "a", true}, {"[a-]", "-", true},
    {"[-a]", "-", true}, {"[\\]]", "]", true}, {"[\\\\]", "\\", true}, {"[a\\-c]", "b", false}, {"[a\\-c]", "-", true},
    {"[[:digit:]]", "7", true}, {"[[:digit:]]", "x", false}, {"[![:space:]x]", "y", true}, {"[![:space:]x]", " ", false},
    {"[[:alpha:][:digit:]]*", "9z", true}, {"[[:upper:]]", "a", false}, {"[[:xdigit:]-z]", "-", true},
    {"[[:xdigit:]-z]", "y", false}, {"[[:alpha:]]", "\xc3", false}, {"[[x]", "[", true}, {"[[x]", "x", true},
    {"\\*", "*", true}, {"\\*", "a", false}, {"a\\?b", "a?b", true}, {"\\a", "a", true}, {"\\[x]", "[x]", true},
    {"[c-a]", "b", false}, {"\xc3\xa4?", "\xc3\xa4x", true}, {"[a-c-e]", "d", false}, {"[a-c-e]", "-", true},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    const char *g = table[i].glob, *t = table[i].text;
    if (hf_files_glob(g, g + strlen(g), t, t + strlen(t)) != table[i].want)
      fail_msg("glob \"%s\" and \"%s\": not %d", g, t, table[i].want);
  }
}

/* Globs that take a matcher with naive recursion years. */
static void test_glob_is_not_exponential(void **state) {
  (void)state;
  char text[4001], glob[201];
  memset(text, 'a', 4000);
  text[4000] = '\0';
  for (int i = 0; i < 200; i += 2) memcpy(glob + i, "a*", 2);
  strcpy(glob + 198, "b");
  assert_false(hf_files_glob(glob, glob + strlen(glob), text, text + 4000));

  struct hf_files_pattern p;
  const char *deep = "**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b";
  assert_int_equal(hf_files_pattern_parse(&p, deep, strlen(deep)), HF_FILES_PATTERN_OK);
  for (int i = 1; i < 4000; i += 2) text[i] = '/';
  assert_false(hf_files_pattern_match(&p, text, 3999, 0, 3998, false));
  text[3998] = 'b';
  assert_true(hf_files_pattern_match(&p, text, 3999, 0, 3998, false));
  hf_files_pattern_free(&p);
}

static void test_parse(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum hf_files_pattern_result want;
  } table[] = {
    {"a", HF_FILES_PATTERN_OK}, {"", HF_FILES_PATTERN_EMPTY}, {"   ", HF_FILES_PATTERN_EMPTY},
    {"/", HF_FILES_PATTERN_NOTHING}, {"!", HF_FILES_PATTERN_NOTHING}, {"!/", HF_FILES_PATTERN_NOTHING},
    {"a[b", HF_FILES_PATTERN_BRACKET}, {"x/[", HF_FILES_PATTERN_BRACKET}, {"[[:nope:]]", HF_FILES_PATTERN_BRACKET},
    {"[a\\]", HF_FILES_PATTERN_BRACKET}, {"a\\", HF_FILES_PATTERN_BACKSLASH}, {"a\\ ", HF_FILES_PATTERN_OK},
    {"a\\[b", HF_FILES_PATTERN_OK}, {"a[b/c]d", HF_FILES_PATTERN_OK},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct hf_files_pattern p = {0};
    enum hf_files_pattern_result got = hf_files_pattern_parse(&p, table[i].text, strlen(table[i].text));
    if (got != table[i].want) fail_msg("\"%s\": %d, not %d", table[i].text, got, table[i].want);
    if (got > HF_FILES_PATTERN_EMPTY) assert_true(strlen(hf_files_pattern_why(got)) > 10);
    hf_files_pattern_free(&p);
  }
}

/* Patterns, separated by '\n', and a path (ending in '/': a folder); is it left out? */
static const struct {
  const char *patterns, *path;
  bool want;
} table[] = {
  /* without a slash: at any depth */
  {"foo", "foo", true}, {"foo", "a/foo", true}, {"foo", "a/b/foo/c", true}, {"foo", "foobar", false},
  {"*.log", "x.log", true}, {"*.log", "a/b/x.log", true}, {"*.log", "x.log.1", false}, {"*.log", ".log", true},
  {"foo*", "a/foobar", true}, {"?oo", "foo", true}, {"[fg]oo", "a/goo", true}, {"**", "a/b", true}, {"f**o", "fxxo", true},
  /* a slash in the middle or in front: from the root */
  {"a/foo", "a/foo", true}, {"a/foo", "b/a/foo", false}, {"/foo", "foo", true}, {"/foo", "a/foo", false},
  {"a/*", "a/x", true}, {"a/*", "a/x/y", true}, {"a/*", "a/", false}, {"a/*.c", "a/b/x.c", false}, {"*/x", "a/x", true},
  {"*/x", "x", false}, {"*/x", "a/b/x", false}, {"/*.c", "x.c", true}, {"/*.c", "a/x.c", false}, {"a?b", "a/b", false},
  {"x/a?b", "x/a/b", false}, {"x/a[/]b", "x/a/b", false}, {"x/a[!z]b", "x/a/b", false}, {"a*c", "a/c", false},
  /* folders only */
  {"foo/", "foo", false}, {"foo/", "foo/", true}, {"foo/", "a/foo/", true}, {"foo/", "a/foo/x", true}, {"/foo/", "a/foo/", false},
  {"a/foo/", "a/foo/", true}, {"*/", "a/", true}, {"*/", "a", false},
  /* double stars */
  {"**/foo", "foo", true}, {"**/foo", "a/b/foo", true}, {"**/a/foo", "x/a/foo", true}, {"**/a/foo", "a/foo", true},
  {"a/**", "a/", false}, {"a/**", "a/x", true}, {"a/**", "a/x/y", true}, {"a/**", "b/a/x", false}, {"a/**/b", "a/b", true},
  {"a/**/b", "a/x/b", true}, {"a/**/b", "a/x/y/b", true}, {"a/**/b", "a/xb", false}, {"/**/b", "b", true}, {"/**", "x", true},
  {"a/**/", "a/x/", true}, {"a/**/", "a/x", false}, {"**/a/**/b/**", "x/a/y/b/z", true}, {"**/a/**/b/**", "x/a/y/b/", false},
  {"x/a**/b", "x/ac/b", true}, {"a/***/b", "a/x/y/b", true}, {"**/*.o", "a/b/c.o", true},
  /* order and negation */
  {"*.log\n!keep.log", "keep.log", false}, {"*.log\n!keep.log", "x.log", true}, {"!keep.log\n*.log", "keep.log", true},
  {"a/\n!a/x", "a/x", true}, {"a/*\n!a/x", "a/x", false}, {"a/*\n!a/x", "a/y", true}, {"*\n!*/\n!*.c", "a/b/x.c", false},
  {"*\n!*/\n!*.c", "a/b/x.h", true}, {"foo\n!foo/", "foo/", false}, {"foo\n!foo/", "foo", true}, {"!x", "x", false},
  {"/*\n!/foo\n/foo/*\n!/foo/bar", "foo/bar", false}, {"/*\n!/foo\n/foo/*\n!/foo/bar", "foo/baz", true},
  /* escapes and blanks */
  {"\\!x", "!x", true}, {"\\#x", "#x", true}, {"foo ", "foo", true}, {"foo\\ ", "foo ", true}, {"foo\\ ", "foo", false},
  {"a b", "a b", true}, {"\\*", "*", true}, {"\\*", "x", false}, {"a\\/b", "a/b", true}, {"[a-c]*[!0-9]", "bx", true},
  {"[a-c]*[!0-9]", "b7", false}, {"*.[ch]", "x.h", true}, {"*[[:digit:]]", "x5", true}, {"foo//", "foo/", false},
};

/* As the walk does it: an entry is left out when it or a folder above it is. */
static bool left_out(const struct hf_files_rules *r, const char *path) {
  size_t n = strlen(path), base = 0;
  for (size_t i = 1; i <= n; i++) {
    if (path[i] != '/' && path[i] != '\0') continue;
    if (hf_files_rules_exclude(r, path, i, 0, base, path[i] == '/')) return true;
    base = i + 1;
    if (base >= n) break;
  }
  return false;
}

static struct noted n;

static void load(struct hf_files_rules *r, const char *patterns) {
  static struct config c;
  static char copy[400];
  noted_reset(&n);
  config_reset(&c);
  snprintf(copy, sizeof copy, "%s", patterns);
  for (char *s = copy, *next; s; s = next) {
    next = strchr(s, '\n');
    if (next) *next++ = '\0';
    config_add(&c, HF_FILES_EXCLUDE, s);
  }
  assert_int_equal(hf_files_rules_load(r, &n.host, c.v), 0);
}

static void test_table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct hf_files_rules r;
    load(&r, table[i].patterns);
    bool got = left_out(&r, table[i].path);
    hf_files_rules_free(&r);
    if (got != table[i].want) fail_msg("case %zu, \"%s\" and \"%s\": %d", i, table[i].patterns, table[i].path, got);
  }
}

static int run(const char *command) {
  int rc = system(command);
  return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

/* The same table, decided by git. */
static void test_as_git(void **state) {
  (void)state;
  if (run("git --version >/dev/null 2>&1") != 0) skip();
  setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
  setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    assert_int_equal(run("rm -rf w && mkdir w && git init -q w"), 0);
    assert_int_equal(chdir("w"), 0);
    make(table[i].path, "");
    FILE *f = fopen(".git/info/exclude", "w");
    assert_non_null(f);
    fprintf(f, "%s\n", table[i].patterns);
    fclose(f);
    char path[200];
    snprintf(path, sizeof path, "%s", table[i].path);
    if (path[strlen(path) - 1] == '/') path[strlen(path) - 1] = '\0'; /* git sees for itself that it is a folder */
    setenv("CASE", path, 1);
    int rc = run("git check-ignore -q --no-index -- \"$CASE\"");
    assert_int_equal(chdir(".."), 0);
    if (rc != (table[i].want ? 0 : 1)) fail_msg("case %zu, \"%s\" and \"%s\": git says %d", i, table[i].patterns, path, rc);
  }
}

/* Stars that do not stand alone between slashes are plain ones, as gitignore(5) says. (Its own matcher strips the literal start
 * of a pattern first and then takes those in "a**" for a component of their own, so that this case is not in the table.) */
static void test_stars_in_a_name(void **state) {
  (void)state;
  struct hf_files_rules r;
  load(&r, "x/a**/b");
  assert_true(left_out(&r, "x/ac/b"));
  assert_false(left_out(&r, "x/ac/d/b"));
  hf_files_rules_free(&r);
}

/* A leading slash: from the path in the manifest, and from "/" as well. */
static void test_absolute(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *path, *root;
    bool want;
  } cases[] = {
    {"/srv/app/tmp", "srv/app/tmp", "srv/app", true}, {"/tmp", "srv/app/tmp", "srv/app", true},
    {"/app/tmp", "srv/app/tmp", "srv/app", false}, {"srv/app/tmp", "srv/app/tmp", "srv/app", false},
    {"/srv/*/tmp", "srv/app/tmp", "srv/app", true}, {"/srv/**/x", "srv/app/a/b/x", "srv/app", true},
    {"/srv/app", "srv/app/app", "srv/app", false}, {"/srv/app/**", "srv/app/q", "srv/app", true},
    {"/etc/x", "etc/x", "", true}, {"/x", "etc/x", "", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct hf_files_pattern p;
    assert_int_equal(hf_files_pattern_parse(&p, cases[i].pattern, strlen(cases[i].pattern)), HF_FILES_PATTERN_OK);
    const char *path = cases[i].path;
    size_t rel = *cases[i].root ? strlen(cases[i].root) + 1 : 0;
    bool got = hf_files_pattern_match(&p, path, strlen(path), rel, (size_t)(strrchr(path, '/') - path) + 1, false);
    hf_files_pattern_free(&p);
    if (got != cases[i].want) fail_msg("\"%s\" and \"%s\" below \"%s\": %d", cases[i].pattern, path, cases[i].root, got);
  }
}

static void test_commas(void **state) {
  (void)state;
  static const struct {
    const char *value;
    size_t n;
    const char *out, *in;
  } cases[] = {
    {"node_modules/, *.log", 2, "x.log", "node_modules"}, {"*,v", 1, "x,v", "v"}, {"a,b", 1, "a,b", "a"}, {"a,\tb,", 2, "b", "a,"},
    {"a\\, b", 1, "a, b", "a"}, {"a, , b", 2, "b", ","},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct hf_files_rules r;
    load(&r, cases[i].value);
    assert_int_equal(r.n, cases[i].n);
    assert_int_equal(strstr(n.log, "one pattern") != NULL, i == 1 || i == 2);
    assert_true(left_out(&r, cases[i].out));
    assert_false(left_out(&r, cases[i].in));
    hf_files_rules_free(&r);
  }
}

static void test_markers_are_names(void **state) {
  (void)state;
  static const char *const bad[] = {"", "a/b", "..", ".a, .b"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct config c;
    struct hf_files_rules r;
    noted_reset(&n);
    config_reset(&c);
    config_add(&c, HF_FILES_EXCLUDE_IF_PRESENT, bad[i]);
    assert_int_equal(hf_files_rules_load(&r, &n.host, c.v), HOLDFAST_E_CONFIG);
    assert_non_null(strstr(n.error, "exclude-if-present"));
  }
}

static void test_sources_of_rules(void **state) {
  (void)state;
  struct config c;
  struct hf_files_rules r;
  noted_reset(&n);
  config_reset(&c);
  make("patterns", "\xef\xbb\xbf*.o\r\n# a comment\n\n!main.o\nlast");
  config_add(&c, HF_FILES_EXCLUDE, "*.tmp");
  config_add(&c, HF_FILES_INCLUDE, "good.tmp");
  config_add(&c, HF_FILES_EXCLUDE_FILE, at("patterns"));
  assert_int_equal(hf_files_rules_load(&r, &n.host, c.v), 0);
  assert_int_equal(r.n, 5);
  assert_int_equal(r.bytes, strlen("*.tmp*.o!main.olastgood.tmp"));
  assert_true(left_out(&r, "x.tmp"));
  assert_false(left_out(&r, "good.tmp"));
  assert_true(left_out(&r, "x.o"));
  assert_false(left_out(&r, "main.o"));
  assert_true(left_out(&r, "last"));
  assert_false(left_out(&r, "# a comment"));
  hf_files_rules_free(&r);

  make("bad", "fine\n[oops\n");
  config_add(&c, HF_FILES_EXCLUDE_FILE, at("bad"));
  assert_int_equal(hf_files_rules_load(&r, &n.host, c.v), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(n.error, "bad, line 2"));
  assert_non_null(strstr(n.error, "[oops"));

  config_reset(&c);
  config_add(&c, HF_FILES_INCLUDE, "!x");
  assert_int_equal(hf_files_rules_load(&r, &n.host, c.v), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(n.error, "include"));

  config_reset(&c);
  config_add(&c, HF_FILES_EXCLUDE_FILE, at("nowhere"));
  assert_int_equal(hf_files_rules_load(&r, &n.host, c.v), HOLDFAST_E_NOT_FOUND);
  config_reset(&c);
  config_add(&c, HF_FILES_EXCLUDE_FILE, scratch);
  assert_int_equal(hf_files_rules_load(&r, &n.host, c.v), HOLDFAST_E_CONFIG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_glob),
    cmocka_unit_test(test_glob_is_not_exponential),
    cmocka_unit_test(test_parse),
    cmocka_unit_test(test_table),
    cmocka_unit_test(test_stars_in_a_name),
    cmocka_unit_test(test_commas),
    cmocka_unit_test(test_markers_are_names),
    cmocka_unit_test(test_absolute),
    cmocka_unit_test_setup_teardown(test_as_git, scratch_setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_sources_of_rules, scratch_setup, scratch_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
