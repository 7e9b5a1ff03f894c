/* test_place.c - following links below a root, putting restored files in place, and taking all of it back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_files_support.h"

#include "plugins/common/copy.h"
#include "plugins/common/exact.h"
#include "plugins/common/place.h"

static struct noted noted;

static int setup(void **state) {
  noted_reset(&noted);
  return scratch_setup(state);
}

static void slurp(const char *path, char *out, size_t cap) {
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  out[fread(out, 1, cap - 1, f)] = '\0';
  fclose(f);
}

static void holds(const char *path, const char *want) {
  char text[100];
  memset(text, 0, sizeof text);
  slurp(path, text, sizeof text);
  assert_string_equal(text, want);
}

static void test_set(void **state) {
  (void)state;
  struct hfp_set s = {0};
  assert_int_equal(hfp_set_add(&s, "b"), 0);
  assert_int_equal(hfp_set_add(&s, "a"), 0);
  assert_int_equal(hfp_set_add(&s, "b"), 0);
  assert_int_equal(s.n, 2);
  assert_string_equal(s.v[0], "a");
  assert_true(hfp_set_has(&s, "b"));
  assert_false(hfp_set_has(&s, "c"));
  hfp_set_free(&s);
}

static void test_trail(void **state) {
  (void)state;
  struct hfp_set links = {0};
  struct stat st;
  char *real = NULL, *root = strdup(at("root"));
  make("root/etc/real/file", "x");
  make("outside", "y");
  assert_int_equal(symlink("real", "root/etc/one"), 0);
  assert_int_equal(symlink("/etc/one/../one/file", "root/etc/two"), 0);
  assert_int_equal(symlink("../../../../outside", "root/etc/out"), 0);
  assert_int_equal(symlink("loop", "root/etc/loop"), 0);
  assert_int_equal(hfp_trail(&links, root, "/etc/two", &real, &st), 0);
  assert_string_equal(real, at("root/etc/real/file"));
  assert_int_equal(links.n, 2);
  free(real);
  /* A link that climbs out of the root ends at the root, as it would in a chroot. */
  assert_int_equal(hfp_trail(&links, root, "/etc/out", &real, &st), -ENOENT);
  free(real);
  assert_int_equal(hfp_trail(&links, root, "/etc/loop", &real, &st), -ELOOP);
  free(real);
  assert_int_equal(hfp_trail(&links, root, "/etc/real/file/x", &real, &st), -ENOTDIR);
  free(real);
  assert_int_equal(hfp_trail(&links, root, "/../..", &real, &st), 0);
  assert_true(S_ISDIR(st.st_mode));
  free(real);
  hfp_set_free(&links);
  free(root);
}

/* Stage a file of the scratch folder. */
static void stage(struct hfp_place *p, const char *name, const char *text) {
  char path[PATH_MAX * 2];
  snprintf(path, sizeof path, "%s%s/%s", hfp_place_stage(p), scratch, name);
  for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = '\0';
    if (mkdir(path, 0755) != 0) assert_int_equal(errno, EEXIST);
    *slash = '/';
  }
  if (name[strlen(name) - 1] == '/') return;
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static size_t replaced, made;
static void told(void *ctx, const char *path, enum hfp_placed what) {
  (void)ctx;
  assert_true(*path == '/');
  replaced += what == HFP_REPLACED;
  made += what == HFP_MADE;
}

static void test_put_and_undo(void **state) {
  (void)state;
  struct hfp_place *p;
  struct hfp_place_rules rules = {.told = told};
  struct stat before, after;
  make("conf/old", "old");
  make("conf/same", "same");
  assert_int_equal(symlink("old", "conf/link"), 0);
  assert_int_equal(chmod("conf/old", 0640), 0);
  const struct timespec times[2] = {{1000, 5}, {2000, 7}};
  assert_int_equal(utimensat(AT_FDCWD, "conf/old", times, 0), 0);
  assert_int_equal(lstat("conf/old", &before), 0);
  assert_int_equal(hfp_place_begin(&noted.host, at("safety"), &p), 0);
  stage(p, "conf/old", "new");
  stage(p, "conf/same", "same");
  stage(p, "conf/link", "a file now");
  stage(p, "conf/sub/deep/file", "made");
  replaced = made = 0;
  assert_int_equal(hfp_place_put(p, &rules), 0);
  assert_int_equal(replaced, 2);
  assert_int_equal(made, 1);
  holds("conf/old", "new");
  holds("conf/link", "a file now");
  holds("conf/sub/deep/file", "made");
  char kept[PATH_MAX * 2];
  snprintf(kept, sizeof kept, "%s%s/conf/old", hfp_place_kept(p), scratch);
  holds(kept, "old");
  snprintf(kept, sizeof kept, "%s%s/conf/same", hfp_place_kept(p), scratch);
  assert_int_equal(access(kept, F_OK), -1);

  assert_int_equal(hfp_place_undo(p), 0);
  holds("conf/old", "old");
  assert_int_equal(lstat("conf/old", &after), 0);
  assert_int_equal(after.st_mode, before.st_mode);
  assert_int_equal(after.st_mtim.tv_sec, 2000);
  assert_int_equal(after.st_mtim.tv_nsec, 7);
  assert_int_equal(lstat("conf/link", &after), 0);
  assert_true(S_ISLNK(after.st_mode));
  assert_int_equal(access("conf/sub", F_OK), -1);
  assert_null(hfp_place_kept(p));
  hfp_place_free(p);
  assert_int_equal(rmdir("safety"), 0); /* nothing is left in it */
}

/* What cannot go to its place takes back all that has. */
static void test_put_fails(void **state) {
  (void)state;
  struct hfp_place *p;
  make("conf/a", "old");
  make("conf/b/in it", "keep");
  assert_int_equal(hfp_place_begin(&noted.host, at("safety"), &p), 0);
  stage(p, "conf/a", "new");
  stage(p, "conf/b", "a file where a folder is");
  stage(p, "conf/c", "made");
  assert_int_equal(hfp_place_put(p, NULL), HOLDFAST_E_FAILED);
  assert_non_null(strstr(noted.error, "conf/b: a folder is where the file is to go"));
  holds("conf/a", "old");
  holds("conf/b/in it", "keep");
  assert_int_equal(access("conf/c", F_OK), -1);
  hfp_place_free(p);
  assert_int_equal(rmdir("safety"), 0);

  /* A folder that has become a link: nothing is written where it leads. */
  make("elsewhere/", "");
  assert_int_equal(symlink("elsewhere", "linked"), 0);
  assert_int_equal(hfp_place_begin(&noted.host, at("safety"), &p), 0);
  stage(p, "linked/file", "x");
  assert_int_equal(hfp_place_put(p, NULL), HOLDFAST_E_FAILED);
  assert_non_null(strstr(noted.error, "is it a link now"));
  assert_int_equal(access("elsewhere/file", F_OK), -1);
  hfp_place_free(p);

  make("blocked", "a file");
  assert_int_equal(hfp_place_begin(&noted.host, at("blocked/safety"), &p), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(noted.error, "safety = "));
}

static void test_same(void **state) {
  (void)state;
  make("a", "text");
  make("b", "text");
  make("c", "texs");
  assert_true(hfp_copy_same("a", "b"));
  assert_false(hfp_copy_same("a", "c"));
  assert_int_equal(chmod("b", 0600), 0);
  assert_false(hfp_copy_same("a", "b"));
  assert_false(hfp_copy_same("a", "nothing"));
  assert_int_equal(symlink("a", "l"), 0);
  assert_int_equal(symlink("a", "m"), 0);
  assert_int_equal(symlink("b", "n"), 0);
  assert_true(hfp_copy_same("l", "m"));
  assert_false(hfp_copy_same("l", "n"));
  assert_false(hfp_copy_same("l", "a"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_set),
    cmocka_unit_test_setup_teardown(test_trail, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_put_and_undo, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_put_fails, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_same, setup, scratch_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
