/* test_select.c - which paths --path means.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "engine/engine.h"

static bool wants(const char *pattern, const char *path) {
  char *v[1] = {(char *)(uintptr_t)pattern};
  struct hf_list l = {v, 1, 1};
  struct hf_select s = {&l};
  /* Nothing behind the path's end is looked at. */
  char exact[100];
  size_t n = strlen(path);
  memset(exact, 'Z', sizeof exact);
  memcpy(exact, path, n);
  return hf_select_wants(&s, exact, n);
}

static bool leads(const char *pattern, const char *path) {
  char *v[1] = {(char *)(uintptr_t)pattern};
  struct hf_list l = {v, 1, 1};
  struct hf_select s = {&l};
  char exact[100];
  memset(exact, 'Z', sizeof exact);
  memcpy(exact, path, strlen(path));
  return hf_select_leads_to(&s, exact, strlen(path));
}

static void nothing_chosen(void **state) {
  (void)state;
  struct hf_list none = HF_LIST_INIT;
  struct hf_select s = {&none}, null = {NULL};
  assert_true(hf_select_wants(&s, "a", 1));
  assert_true(hf_select_wants(&null, "a", 1));
  assert_true(hf_select_wants(NULL, "a", 1));
  assert_false(hf_select_leads_to(NULL, "a", 1));
  assert_false(hf_select_leads_to(&null, "a", 1));
  assert_true(wants("/", "etc/passwd"));
}

static void literal(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *path;
    bool wanted;
  } v[] = {{"etc", "etc", true},           {"etc", "etc/passwd", true},  {"/etc", "etc/passwd", true},
           {"etc/", "etc/passwd", true},   {"//etc//", "etc/a/b", true}, {"etc", "etcetera", false},
           {"etc", "et", false},           {"etc/passwd", "etc", false}, {"etc/passwd", "etc/passwd-", false},
           {"passwd", "etc/passwd", false}};
  for (size_t i = 0; i < HF_NELEM(v); i++) {
    if (wants(v[i].pattern, v[i].path) != v[i].wanted) fail_msg("%s for %s", v[i].pattern, v[i].path);
  }
}

static void globs(void **state) {
  (void)state;
  static const struct {
    const char *pattern, *path;
    bool wanted;
  } v[] = {{"etc/*.conf", "etc/a.conf", true},
           {"etc/*.conf", "etc/sub/a.conf", false},
           {"etc/*", "etc/sub/a.conf", true} /* sub is matched, and what is below */,
           {"etc/*.d", "etc/apt.d/x/y", true},
           {"etc/*.d", "etc/apt", false},
           {"**/a.conf", "etc/sub/a.conf", true},
           {"etc/**/a.conf", "etc/b/c/a.conf", true},
           {"etc/?", "etc/x", true},
           {"etc/?", "etc/xy", false},
           {"etc/[ab]", "etc/b", true},
           {"etc/[ab]", "etc/c", false},
           {"/etc/*.conf/", "etc/a.conf", true},
           {"etc/\\*", "etc/*", true},
           {"etc/\\*", "etc/x", false}};
  for (size_t i = 0; i < HF_NELEM(v); i++) {
    if (wants(v[i].pattern, v[i].path) != v[i].wanted) fail_msg("%s for %s", v[i].pattern, v[i].path);
  }
}

static void leading(void **state) {
  (void)state;
  assert_true(leads("/etc/apt/sources.list", "etc"));
  assert_true(leads("/etc/apt/sources.list", "etc/apt"));
  assert_true(leads("etc/apt/*.list", "etc/apt"));
  assert_false(leads("etc/apt", "etc/apt")); /* is it, and does not lead to it */
  assert_false(leads("etc/apt", "et"));
  assert_false(leads("etc/apt", "usr"));
  assert_false(leads("etc/*/x", "etc/apt")); /* not named literally */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_chosen), cmocka_unit_test(literal), cmocka_unit_test(globs),
                                     cmocka_unit_test(leading)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
