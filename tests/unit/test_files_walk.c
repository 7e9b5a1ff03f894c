/* test_files_walk.c - what the files source lists, and in which order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_files_support.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct noted noted;
static struct config config;

static int setup(void **state) {
  noted_reset(&noted);
  config_reset(&config);
  return scratch_setup(state);
}

static const char kinds[] = "?fdlhpcbs";

/* All that is listed, one "kind path" a line, paths relative to the scratch folder. */
static const char *listing(void) {
  static char out[1 << 16];
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *h;
  size_t n = 0;
  out[0] = '\0';
  int rc = p->open(&noted.host, config.v, &h);
  if (rc != 0) {
    snprintf(out, sizeof out, "open: %d", rc);
    return out;
  }
  char last[PATH_MAX * 2] = "";
  for (;;) {
    struct holdfast_entry e = {.struct_size = sizeof e};
    rc = p->next(h, &e);
    if (rc <= 0) break;
    assert_true(e.kind >= HOLDFAST_FILE && e.kind <= HOLDFAST_SOCKET);
    assert_true(hf_files_path_cmp(last, e.path) < 0); /* tree order, nothing twice */
    snprintf(last, sizeof last, "%s", e.path);
    n += (size_t)snprintf(out + n, sizeof out - n, "%c %s%s%s\n", kinds[e.kind], shorten(e.path), e.link ? " = " : "",
                          e.link ? shorten(e.link) : "");
    assert_true(n < sizeof out);
  }
  p->close(h);
  if (rc != 0) snprintf(out, sizeof out, "next: %d", rc);
  return out;
}

static void test_order(void **state) {
  (void)state;
  make("t/a/x", "");
  make("t/a.b", "");
  make("t/a!", "");
  make("t/a b/", NULL);
  make("t/ab/c/d", "");
  make("t/A", "");
  make("t/\xff\n", "");
  make("t/longer-than-eight-2", "");
  make("t/longer-than-eight-10", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  assert_string_equal(listing(), "d t\nf t/A\nd t/a\nf t/a/x\nd t/a b\nf t/a!\nf t/a.b\nd t/ab\nd t/ab/c\nf t/ab/c/d\n"
                                 "f t/longer-than-eight-10\nf t/longer-than-eight-2\nf t/\xff\n\n");
  assert_int_equal(noted.n_problems, 0);
}

static void test_kinds_and_stat(void **state) {
  (void)state;
  make("t/file", "12345");
  assert_int_equal(link("t/file", "t/second"), 0);
  assert_int_equal(link("t/file", "t/third"), 0);
  assert_int_equal(symlink("nowhere", "t/sym"), 0);
  assert_int_equal(mkfifo("t/fifo", 0640), 0);
  assert_int_equal(chmod("t/file", 04751), 0);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "t/sock"};
  assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof un), 0);
  close(s);
  struct timespec times[2] = {{1, 2}, {-86400, 123456789}};
  assert_int_equal(utimensat(AT_FDCWD, "t/file", times, 0), 0);
  config_add(&config, HF_FILES_PATH, at("t"));
  assert_string_equal(listing(), "d t\np t/fifo\nf t/file\nh t/second = t/file\ns t/sock\nl t/sym\nh t/third = t/file\n");

  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *h;
  struct stat st;
  assert_int_equal(stat("t/file", &st), 0);
  for (int ignore = 0; ignore < 2; ignore++) {
    config_set(&config, HF_FILES_IGNORE_INODE, ignore);
    assert_int_equal(p->open(&noted.host, config.v, &h), 0);
    struct holdfast_entry e = {.struct_size = sizeof e};
    for (int i = 0; i < 3; i++) {
      memset(&e, 0, sizeof e);
      assert_int_equal(p->next(h, &e), 1);
    }
    assert_int_equal(e.kind, HOLDFAST_FILE);
    assert_int_equal(e.size, 5);
    assert_int_equal(e.mode, 04751);
    assert_int_equal(e.mtime, -86400);
    assert_int_equal(e.mtime_nsec, 123456789);
    assert_int_equal(e.ctime, st.st_ctim.tv_sec);
    assert_int_equal(e.ctime_nsec, st.st_ctim.tv_nsec);
    assert_int_equal(e.inode, ignore ? 0 : st.st_ino);
    assert_int_equal(e.uid, st.st_uid);
    p->close(h);
  }
}

static void test_devices(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  make("t/", NULL);
  if (mknod("t/null", S_IFCHR | 0600, makedev(1, 3)) != 0) skip();
  config_add(&config, HF_FILES_PATH, at("t/null"));
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *h;
  struct holdfast_entry e = {.struct_size = sizeof e};
  assert_int_equal(p->open(&noted.host, config.v, &h), 0);
  assert_int_equal(p->next(h, &e), 1);
  assert_int_equal(e.kind, HOLDFAST_CHAR);
  assert_int_equal(e.rdev_major, 1);
  assert_int_equal(e.rdev_minor, 3);
  p->close(h);
}

static void test_roots(void **state) {
  (void)state;
  make("t/a/b/c", "");
  make("t/a/b.d", "");
  make("t/z", "");
  assert_int_equal(symlink("a", "t/link"), 0);
  /* out of order, twice, one inside another, through a link above, with slashes behind, with dots */
  config_add(&config, HF_FILES_PATH, at("t/z"));
  config_add(&config, HF_FILES_PATH, at("t/a/b.d"));
  config_add(&config, HF_FILES_PATH, at("t/a/b//"));
  config_add(&config, HF_FILES_PATH, at("t/link/b"));
  config_add(&config, HF_FILES_PATH, at("t/a/b/c"));
  config_add(&config, HF_FILES_PATH, at("t/a/../link"));
  config_add(&config, HF_FILES_PATH, at("t/a/b/."));
  assert_string_equal(listing(), "d t/a/b\nf t/a/b/c\nf t/a/b.d\nl t/link\nf t/z\n");
  assert_non_null(strstr(noted.log, "symbolic link"));

  config_reset(&config);
  config_add(&config, HF_FILES_PATH, at("t/z"));
  config_add(&config, HF_FILES_PATH, at("t/nope"));
  assert_string_equal(listing(), "open: -3");
  assert_non_null(strstr(noted.error, "path = "));
  assert_non_null(strstr(noted.error, "t/nope"));
  config_set(&config, HF_FILES_IGNORE_MISSING, true);
  assert_string_equal(listing(), "f t/z\n");

  config_reset(&config);
  config_add(&config, HF_FILES_PATH, "etc/relative");
  assert_string_equal(listing(), "open: -2");
}

/* A root that an outer root's walk would not reach is walked all the same, in its place. */
static void test_root_in_excluded(void **state) {
  (void)state;
  make("t/a", "");
  make("t/cache/deep/keep/x", "");
  make("t/cache/deep/other", "");
  make("t/cache/zz/y", "");
  make("t/d", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  config_add(&config, HF_FILES_PATH, at("t/cache/deep/keep"));
  config_add(&config, HF_FILES_PATH, at("t/cache/zz"));
  config_add(&config, HF_FILES_EXCLUDE, "cache/");
  config_add(&config, HF_FILES_EXCLUDE, "zz");
  assert_string_equal(listing(), "d t\nf t/a\nd t/cache/deep/keep\nf t/cache/deep/keep/x\nd t/cache/zz\nf t/cache/zz/y\nf t/d\n");
}

static void test_patterns(void **state) {
  (void)state;
  make("t/node_modules/x", "");
  make("t/sub/node_modules", "");
  make("t/sub/a.log", "");
  make("t/sub/keep.log", "");
  make("t/tmp/x", "");
  make("t/sub/tmp/y", "");
  make("u/tmp", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  config_add(&config, HF_FILES_PATH, at("u"));
  config_add(&config, HF_FILES_EXCLUDE, "node_modules/");
  config_add(&config, HF_FILES_EXCLUDE, "*.log");
  config_add(&config, HF_FILES_EXCLUDE, "/tmp");
  config_add(&config, HF_FILES_EXCLUDE, at("t/sub/tmp/*"));
  config_add(&config, HF_FILES_INCLUDE, "keep.log");
  assert_string_equal(listing(), "d t\nd t/sub\nf t/sub/keep.log\nf t/sub/node_modules\nd t/sub/tmp\nd u\n");
}

static void test_marked_folders(void **state) {
  (void)state;
  static const char tag[] = "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n";
  make("t/cache/CACHEDIR.TAG", tag);
  make("t/cache/a", "");
  make("t/cache/z/y", "");
  make("t/fake/CACHEDIR.TAG", "Signature: something else");
  make("t/fake/a", "");
  make("t/marked/.nobackup", "");
  make("t/marked/a", "");
  make("t/z", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  config_set(&config, HF_FILES_EXCLUDE_CACHES, true);
  config_add(&config, HF_FILES_EXCLUDE_IF_PRESENT, ".other");
  config_add(&config, HF_FILES_EXCLUDE_IF_PRESENT, ".nobackup");
  assert_string_equal(listing(), "d t\nd t/cache\nf t/cache/CACHEDIR.TAG\nd t/fake\nf t/fake/CACHEDIR.TAG\nf t/fake/a\n"
                                 "d t/marked\nf t/marked/.nobackup\nf t/z\n");
  assert_null(strstr(noted.log, "holds"));
  config_set(&config, HF_FILES_EXCLUDE_CACHES, false);
  assert_non_null(strstr(listing(), "t/cache/z/y"));

  /* a path named by the admin is no exception, but is worth a line */
  config_reset(&config);
  config_add(&config, HF_FILES_PATH, at("t/marked"));
  config_add(&config, HF_FILES_EXCLUDE_IF_PRESENT, ".nobackup");
  assert_string_equal(listing(), "d t/marked\nf t/marked/.nobackup\n");
  assert_non_null(strstr(noted.log, "t/marked holds .nobackup"));
}

/* "/" itself is no entry. */
static void test_root_folder(void **state) {
  (void)state;
  make("t/a", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  config_add(&config, HF_FILES_PATH, "//");
  config_add(&config, HF_FILES_EXCLUDE, "/*");
  assert_string_equal(listing(), "d t\n"); /* the pattern holds relative to t as well */
  config.strings[HF_FILES_EXCLUDE][0] = "/[!a]*";
  config_add(&config, HF_FILES_EXCLUDE, "/a?*");
  assert_string_equal(listing(), "d t\nf t/a\n");
}

/* A large folder gives its memory back; one that is moved away while the walk is inside is told about. */
static void test_large_and_moved(void **state) {
  (void)state;
  char name[300];
  for (int i = 0; i < 3000; i++) {
    snprintf(name, sizeof name, "t/large/%0200d", i);
    make(name, "");
  }
  make("t/m/n/x", "");
  make("t/m/z", "");
  make("t/o", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *h;
  struct holdfast_entry e = {0};
  int n = 0;
  assert_int_equal(p->open(&noted.host, config.v, &h), 0);
  do {
    assert_int_equal(p->next(h, &e), 1);
    n++;
  } while (strcmp(shorten(e.path), "t/m/n/x") != 0);
  assert_int_equal(n, 3005);
  assert_int_equal(rename("t/m", "moved"), 0);
  assert_int_equal(p->next(h, &e), 1); /* through the descriptor of before */
  assert_string_equal(shorten(e.path), "t/m/z");
  assert_int_equal(p->next(h, &e), 1);
  assert_string_equal(shorten(e.path), "t/o");
  assert_int_equal(p->next(h, &e), 0);
  p->close(h);
  assert_int_equal(noted.n_problems, 0);
}

static void test_root_vanishes(void **state) {
  (void)state;
  make("t/a/x", "");
  make("t/b/x", "");
  make("t/c", "");
  config_add(&config, HF_FILES_PATH, at("t/a"));
  config_add(&config, HF_FILES_PATH, at("t/b/x"));
  config_add(&config, HF_FILES_PATH, at("t/c"));
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *h;
  struct holdfast_entry e = {0};
  assert_int_equal(p->open(&noted.host, config.v, &h), 0);
  assert_int_equal(rename("t/a", "gone"), 0);
  assert_int_equal(rename("t/b", "gone-too"), 0);
  assert_int_equal(p->next(h, &e), 1);
  assert_string_equal(shorten(e.path), "t/c");
  assert_int_equal(p->next(h, &e), 0);
  p->close(h);
  assert_int_equal(noted.n_problems, 2);
  assert_int_equal(noted.last_problem, HOLDFAST_E_NOT_FOUND);
}

static void test_nodump(void **state) {
  (void)state;
  make("t/a", "");
  make("t/d/x", "");
  make("t/e", "");
  if (system("chattr +d t/a t/d 2>/dev/null") != 0) skip();
  config_add(&config, HF_FILES_PATH, at("t"));
  assert_string_equal(listing(), "d t\nf t/a\nd t/d\nf t/d/x\nf t/e\n");
  config_set(&config, HF_FILES_EXCLUDE_NODUMP, true);
  assert_string_equal(listing(), "d t\nf t/e\n");
}

/* In a mount namespace of its own: 0 passed, 1 failed, 2 no permission. */
static int in_namespace(void) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0) return 2;
  if (mount("tmpfs", at("t/m"), "tmpfs", 0, "") != 0 || mount("proc", at("t/p"), "proc", 0, "") != 0) return 2;
  make("t/m/inside", "");
  make("t/m/sub/x", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  if (strcmp(listing(), "d t\nd t/m\nf t/m/inside\nd t/m/sub\nf t/m/sub/x\nd t/p\nf t/z\n") != 0) return 1;
  if (!strstr(noted.log, "proc file system")) return 1;
  config_set(&config, HF_FILES_ONE_FILE_SYSTEM, true);
  if (strcmp(listing(), "d t\nd t/m\nd t/p\nf t/z\n") != 0) return 1;
  config_add(&config, HF_FILES_PATH, at("t/m/sub"));
  if (strcmp(listing(), "d t\nd t/m\nd t/m/sub\nf t/m/sub/x\nd t/p\nf t/z\n") != 0) return 1;
  config_add(&config, HF_FILES_PATH, at("t/m"));
  return strcmp(listing(), "d t\nd t/m\nf t/m/inside\nd t/m/sub\nf t/m/sub/x\nd t/p\nf t/z\n") != 0;
}

static void test_file_systems(void **state) {
  (void)state;
  make("t/m/", NULL);
  make("t/p/", NULL);
  make("t/z", "");
  pid_t pid = fork();
  if (pid == 0) _exit(in_namespace());
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) skip();
  assert_int_equal(WEXITSTATUS(status), 0);
}

/* As another account: 0 passed. */
static int as_nobody(void) {
  if (setgid(65534) != 0 || setuid(65534) != 0) return 2;
  const char *got = listing();
  if (strcmp(got, "d t\nd t/closed\nd t/listed\nf t/z\n") != 0) return 1;
  if (noted.n_problems != 2 || noted.last_problem != HOLDFAST_E_AUTH) return 3;
  return strstr(noted.problems, "t/closed: ") && strstr(noted.problems, "t/listed: ") ? 0 : 4;
}

static void test_unreadable(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  make("t/closed/x", "");
  make("t/listed/x", "");
  make("t/listed/y", "");
  make("t/z", "");
  assert_int_equal(chmod("t/closed", 0), 0);
  assert_int_equal(chmod("t/listed", 0744), 0);
  assert_int_equal(chmod(scratch, 0755), 0);
  config_add(&config, HF_FILES_PATH, at("t"));
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) _exit(as_nobody());
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

/* With a folder that another account has mounted by FUSE, which not even root may look at: 0 passed, 2 not possible here. */
static int beside_foreign_mount(void) {
  char options[100];
  int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=12345,group_id=12345", fuse);
  if (fuse < 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 || mount("none", "t/d/m", "fuse", 0, options) != 0) return 2;
  const char *got = listing();
  umount2("t/d/m", MNT_DETACH);
  if (strcmp(got, "d t\nd t/d\nf t/d/a\nf t/d/x\nf t/d/y\nf t/z\n") != 0) return 1;
  if (noted.n_problems != 1 || noted.last_problem != HOLDFAST_E_AUTH) return 3;
  return strstr(noted.problems, "t/d/m: ") ? 0 : 4;
}

static void test_foreign_mount(void **state) {
  (void)state;
  make("t/d/a", "");
  make("t/d/m/", NULL);
  make("t/d/x", "");
  make("t/d/y", "");
  make("t/z", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) _exit(beside_foreign_mount());
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) skip();
  assert_int_equal(WEXITSTATUS(status), 0);
}

/* What goes away during the walk is no problem; what was listed before is still told. */
static void test_vanishing(void **state) {
  (void)state;
  make("t/a", "");
  make("t/b/x", "");
  make("t/c", "");
  make("t/d/y", "");
  config_add(&config, HF_FILES_PATH, at("t"));
  const struct holdfast_source_plugin *p = holdfast_source_plugin();
  void *h;
  struct holdfast_entry e = {0};
  assert_int_equal(p->open(&noted.host, config.v, &h), 0);
  assert_int_equal(p->next(h, &e), 1); /* t */
  assert_int_equal(p->next(h, &e), 1); /* t/a; t is listed now */
  assert_int_equal(p->next(h, &e), 1); /* t/b, not entered yet */
  assert_string_equal(shorten(e.path), "t/b");
  assert_int_equal(unlink("t/b/x"), 0);
  assert_int_equal(rmdir("t/b"), 0);
  assert_int_equal(unlink("t/c"), 0);
  assert_int_equal(p->next(h, &e), 1);
  assert_string_equal(shorten(e.path), "t/d");
  assert_int_equal(rename("t/d", "t/dd"), 0); /* a folder turned into a link must not be followed */
  assert_int_equal(symlink("dd", "t/d"), 0);
  assert_int_equal(p->next(h, &e), 0);
  assert_int_equal(p->next(h, &e), 0);
  p->close(h);
  assert_int_equal(noted.n_problems, 1);
  assert_non_null(strstr(noted.problems, "t/d: "));
}

static void test_cancel(void **state) {
  (void)state;
  for (int i = 0; i < 600; i++) {
    char name[20];
    snprintf(name, sizeof name, "t/%d", i);
    make(name, "");
  }
  config_add(&config, HF_FILES_PATH, at("t"));
  noted.cancel = 1;
  assert_string_equal(listing(), "next: -11");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_order, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_kinds_and_stat, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_devices, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_roots, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_root_in_excluded, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_patterns, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_marked_folders, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_root_folder, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_large_and_moved, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_root_vanishes, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_nodump, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_file_systems, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_unreadable, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_foreign_mount, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_vanishing, setup, scratch_teardown),
    cmocka_unit_test_setup_teardown(test_cancel, setup, scratch_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
