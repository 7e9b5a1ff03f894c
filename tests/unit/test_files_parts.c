/* test_files_parts.c - the files source's lower parts: path order, chain, hard link table, names, state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_files_support.h"

static void test_path_order(void **state) {
  (void)state;
  static const char *const sorted[] = {"", "a", "a/b", "a/b/c", "a/b!", "a/c", "a\x01", "a b", "a!", "a.b", "a0", "ab", "b",
                                       "\xff"};
  size_t n = sizeof sorted / sizeof *sorted;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) {
      int c = hf_files_path_cmp(sorted[i], sorted[j]);
      assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
    }
}

static void test_status(void **state) {
  (void)state;
  assert_int_equal(hf_files_status(ENOENT), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_files_status(EACCES), HOLDFAST_E_AUTH);
  assert_int_equal(hf_files_status(ESTALE), HOLDFAST_E_TRANSIENT);
  assert_int_equal(hf_files_status(EIO), HOLDFAST_E_FAILED);
}

static void test_grow(void **state) {
  (void)state;
  uint32_t *v = NULL;
  size_t cap = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    assert_true(hf_files_grow(&v, &cap, i + 1, sizeof *v));
    v[i] = i;
  }
  assert_true(cap >= 1000);
  for (uint32_t i = 0; i < 1000; i++) assert_int_equal(v[i], i);
  size_t before = cap;
  assert_false(hf_files_grow(&v, &cap, SIZE_MAX / 2, sizeof *v));
  assert_int_equal(cap, before);
  free(v);
}

static void test_links(void **state) {
  (void)state;
  struct hf_files_links l = {0};
  assert_null(hf_files_links_seen(&l, 1, 7, 0, 3, "a"));
  assert_null(hf_files_links_seen(&l, 2, 7, 0, 2, "other device"));
  assert_string_equal(hf_files_links_seen(&l, 1, 7, 0, 3, "b"), "a");
  assert_int_equal(l.live, 2);
  assert_string_equal(hf_files_links_seen(&l, 1, 7, 0, 3, "c"), "a"); /* the last name: the slot is given back */
  assert_int_equal(l.live, 1);
  assert_null(hf_files_links_seen(&l, 1, 7, 0, 2, "d")); /* the inode is in use anew */
  assert_string_equal(hf_files_links_seen(&l, 1, 7, 0, 2, "e"), "d");
  assert_string_equal(hf_files_links_seen(&l, 2, 7, 0, 2, "x"), "other device");
  assert_null(hf_files_links_seen(&l, 1, 7, 100, 3, "f"));
  assert_null(hf_files_links_seen(&l, 1, 7, 200, 2, "g")); /* one more file of this number, before the other names of the one before came */
  assert_int_equal(l.live, 1);
  assert_string_equal(hf_files_links_seen(&l, 1, 7, 200, 2, "h"), "g");
  hf_files_links_free(&l);
}

static void test_links_many(void **state) {
  (void)state;
  struct hf_files_links l = {0};
  char path[32];
  for (unsigned i = 1; i <= 20000; i++) {
    snprintf(path, sizeof path, "f%u", i);
    assert_null(hf_files_links_seen(&l, 1, i, 0, 2, path));
  }
  for (unsigned i = 20000; i >= 1; i--) {
    snprintf(path, sizeof path, "f%u", i);
    assert_string_equal(hf_files_links_seen(&l, 1, i, 0, 2, "again"), path);
  }
  assert_int_equal(l.live, 0);
  /* slots that are done with are swept out instead of making the table larger */
  size_t cap = l.cap;
  for (unsigned i = 1; i <= 200000; i++) {
    assert_null(hf_files_links_seen(&l, 3, i, 0, 2, "p"));
    assert_string_equal(hf_files_links_seen(&l, 3, i, 0, 2, "q"), "p");
  }
  assert_true(l.cap <= cap);
  assert_false(l.full);
  hf_files_links_free(&l);
}

static void test_links_bound(void **state) {
  (void)state;
  struct hf_files_links l = {.max = 2};
  assert_null(hf_files_links_seen(&l, 1, 1, 0, 2, "a"));
  assert_null(hf_files_links_seen(&l, 1, 2, 0, 2, "b"));
  assert_false(l.full);
  assert_null(hf_files_links_seen(&l, 1, 3, 0, 2, "c"));
  assert_true(l.full);
  assert_null(hf_files_links_seen(&l, 1, 3, 0, 2, "d"));
  assert_string_equal(hf_files_links_seen(&l, 1, 1, 0, 2, "e"), "a");
  assert_null(hf_files_links_seen(&l, 1, 4, 0, 2, "f")); /* room again */
  assert_string_equal(hf_files_links_seen(&l, 1, 4, 0, 2, "g"), "f");
  hf_files_links_free(&l);
}

/* One problem for all, and the further names are files. */
static void test_links_bound_in_walk(void **state) {
  (void)state;
  struct noted n;
  struct config c;
  noted_reset(&n);
  config_reset(&c);
  char name[20], second[20];
  for (int i = 0; i < 5; i++) {
    snprintf(name, sizeof name, "t/%d", i);
    snprintf(second, sizeof second, "t/%d-two", i);
    make(name, "");
    assert_int_equal(link(name, second), 0);
  }
  for (int i = 5; i < 9; i++) { /* their second names come last */
    snprintf(name, sizeof name, "t/%d", i);
    snprintf(second, sizeof second, "t/z%d", i);
    make(name, "");
    assert_int_equal(link(name, second), 0);
  }
  config_add(&c, HF_FILES_PATH, at("t"));
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *handle;
  assert_int_equal(p->open(&n.host, c.v, &handle), 0);
  ((struct hf_files *)handle)->links.max = 2;
  struct holdfast_entry e = {0};
  int files = 0, links = 0;
  while (p->next(handle, &e) == 1) {
    files += e.kind == HOLDFAST_FILE;
    links += e.kind == HOLDFAST_HARDLINK;
    memset(&e, 0, sizeof e);
  }
  p->close(handle);
  assert_int_equal(links, 7);
  assert_int_equal(files, 11);
  assert_int_equal(n.n_problems, 1);
  assert_non_null(strstr(n.problems, "too many hard links"));
}

static void test_chain(void **state) {
  (void)state;
  char path[PATH_MAX];
  size_t n = 0;
  for (int i = 0; i < HF_FILES_CHAIN_OPEN * 2; i++) n += (size_t)sprintf(path + n, "%sd%d", i ? "/" : "", i);
  char with_slash[PATH_MAX * 2];
  snprintf(with_slash, sizeof with_slash, "%s/", path);
  make(with_slash, NULL);
  make("d0x/", NULL);
  const char *full = at(path) + 1;
  struct hf_files_chain c = {0};
  struct stat st, here;
  const struct hf_files_level *l = hf_files_chain_to(&c, full, strlen(full), O_RDONLY);
  assert_non_null(l);
  int open_levels = 0;
  for (size_t i = 0; i < c.n; i++) open_levels += c.v[i].fd >= 0;
  assert_true(open_levels <= HF_FILES_CHAIN_OPEN + 1);
  /* up one at a time: each has to be the right folder */
  for (size_t len = strlen(full); len > strlen(scratch); len--) {
    if (full[len] != '/' && full[len] != '\0') continue;
    char part[PATH_MAX * 2];
    snprintf(part, sizeof part, "/%.*s", (int)len, full);
    l = hf_files_chain_to(&c, full, len, O_PATH);
    assert_non_null(l);
    assert_int_equal(fstat(l->fd, &here), 0);
    assert_int_equal(stat(part, &st), 0);
    assert_int_equal(here.st_ino, st.st_ino);
    assert_string_equal(c.path, part + 1);
  }
  /* from the depth straight to the top, and to a name that begins alike */
  assert_non_null(hf_files_chain_to(&c, full, strlen(full), O_PATH));
  const char *alike = at("d0x") + 1;
  l = hf_files_chain_to(&c, alike, strlen(alike), O_PATH);
  assert_non_null(l);
  assert_int_equal(stat("d0x", &st), 0);
  assert_int_equal(l->ino, st.st_ino);
  assert_non_null(hf_files_chain_to(&c, "", 0, O_PATH));
  assert_int_equal(c.n, 1);
  /* errors leave it usable */
  const char *missing = at("d0x/nope/nope") + 1;
  assert_null(hf_files_chain_to(&c, missing, strlen(missing), O_PATH));
  assert_int_equal(errno, ENOENT);
  assert_non_null(hf_files_chain_to(&c, alike, strlen(alike), O_PATH));
  assert_int_equal(symlink("d0x", "link"), 0);
  const char *by_link = at("link") + 1;
  assert_null(hf_files_chain_to(&c, by_link, strlen(by_link), O_PATH));
  hf_files_chain_free(&c);
}

static void test_names(void **state) {
  (void)state;
  struct hf_files_names users = {0}, groups = {0};
  assert_string_equal(hf_files_user_name(&users, 0), "root");
  assert_string_equal(hf_files_group_name(&groups, 0), "root");
  for (uint32_t i = 0; i < 200; i++) assert_null(hf_files_user_name(&users, 3000000000u + i));
  assert_string_equal(hf_files_user_name(&users, 0), "root");
  assert_int_equal(users.n, 201);
  assert_null(hf_files_user_name(&users, 3000000007u));
  assert_int_equal(users.n, 201);
  hf_files_names_free(&users);
  hf_files_names_free(&groups);
}

static void test_state(void **state) {
  (void)state;
  char *names[] = {(char *)"", (char *)"a b/\"\\\n", (char *)"etc", (char *)"\xff\xc3\xa4/x"};
  struct hf_files_roots roots = {.v = names, .n = 4, .missing = 1}, back;
  struct hf_files_counts counts = {.files = 3, .bytes = UINT64_MAX};
  char *text = hf_files_state_write(&roots, &counts);
  assert_non_null(strstr(text, "\"roots\":[\"\",\"a\\\\040b/\\\\042\\\\134\\\\012\",\"etc\",\"\\\\377\\\\303\\\\244/x\"]"));
  assert_non_null(strstr(text, "\"roots_left_out\":0,\"missing\":1,\"files\":3,"));
  assert_non_null(strstr(text, "\"bytes\":18446744073709551615,"));
  for (const char *p = text; *p; p++) assert_true(*p >= 0x20 && *p < 0x7f);
  assert_int_equal(hf_files_state_roots(text, &back), 1);
  assert_int_equal(back.n, 4);
  for (int i = 0; i < 4; i++) assert_string_equal(back.v[i], names[i]);
  hf_files_roots_free(&back);
  free(text);
  assert_int_equal(hf_files_state_roots("", &back), 0);
  assert_int_equal(hf_files_state_roots(NULL, &back), 0);
  assert_int_equal(hf_files_state_roots("{\n  \"a\": 1,\n \"roots\" : [ \"x\" ,\n \"y\" ] }", &back), 1);
  assert_int_equal(back.n, 2);
  hf_files_roots_free(&back);
}

static void test_state_too_large(void **state) {
  (void)state;
  static char name[3000];
  memset(name, 0x80, sizeof name - 1);
  char *names[20];
  for (int i = 0; i < 20; i++) names[i] = name;
  struct hf_files_roots roots = {.v = names, .n = 20}, back;
  char *text = hf_files_state_write(&roots, &(struct hf_files_counts){0});
  assert_true(strlen(text) < HF_FILES_STATE_MAX);
  assert_non_null(strstr(text, "\"roots_left_out\":16,"));
  assert_int_equal(hf_files_state_roots(text, &back), 1);
  assert_int_equal(back.n, 4);
  hf_files_roots_free(&back);
  free(text);
}

static void test_state_damaged(void **state) {
  (void)state;
  static const char *const bad[] = {
    "{}", "{\"roots\":", "{\"roots\":[", "{\"roots\":[\"a", "{\"roots\":[\"a\"", "{\"roots\":[1]}", "{\"roots\":[\"a\\\\0\"]}",
    "{\"roots\":[\"\\\\000\"]}", "{\"roots\":[\"\\\\777\"]}", "{\"roots\":[\"\\\\0x0\"]}", "{\"roots\":[\"\\n\"]}",
    "{\"roots\":[\"../x\"]}", "{\"roots\":[\"/etc\"]}", "{\"roots\":[\"a//b\"]}", "{\"roots\":[\"a/./b\"]}", "{\"roots\":[\"a/\"]}",
    "{\"roots\":[\"a/..\"]}", "garbage",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct hf_files_roots r = {0};
    if (hf_files_state_roots(bad[i], &r) != HOLDFAST_E_CORRUPT) fail_msg("taken: %s", bad[i]);
    assert_int_equal(r.n, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_path_order),
    cmocka_unit_test(test_status),
    cmocka_unit_test(test_grow),
    cmocka_unit_test(test_links),
    cmocka_unit_test(test_links_many),
    cmocka_unit_test(test_links_bound),
    cmocka_unit_test_setup_teardown(test_links_bound_in_walk, scratch_setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_chain, scratch_setup, scratch_teardown),
    cmocka_unit_test(test_names),
    cmocka_unit_test(test_state),
    cmocka_unit_test(test_state_too_large),
    cmocka_unit_test(test_state_damaged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
