/* test_local.c - the local target where it differs from any other: the marker, faults of the disk, what lies about in its folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all targets must do is in tests/conformance. Linked with the plugin's own files, so that the calls below stand before
 * those of the C library and can fail on demand.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target_support.h"

const struct holdfast_target_plugin *holdfast_target_plugin(void);

/* ---- faults: the fail_at-th of these calls (from 1) fails with fail_with, or all of a kind ---- */

static int fail_at, fail_with, calls;
static bool no_renameat2, no_link;

static bool fails(void) {
  if (fail_at == 0 || ++calls != fail_at) return false;
  errno = fail_with;
  return true;
}

int fsync(int fd) { return fails() ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fails() ? -1 : (int)syscall(SYS_fdatasync, fd); }

ssize_t write(int fd, const void *p, size_t n) { return fails() ? -1 : (ssize_t)syscall(SYS_write, fd, p, n); }

int mkdirat(int fd, const char *name, mode_t mode) { return fails() ? -1 : (int)syscall(SYS_mkdirat, fd, name, mode); }

int renameat2(int from, const char *a, int to, const char *b, unsigned flags) {
  if (no_renameat2 && flags) {
    errno = EINVAL;
    return -1;
  }
  return fails() ? -1 : (int)syscall(SYS_renameat2, from, a, to, b, flags);
}

int linkat(int from, const char *a, int to, const char *b, int flags) {
  if (no_link) {
    errno = EPERM;
    return -1;
  }
  return fails() ? -1 : (int)syscall(SYS_linkat, from, a, to, b, flags);
}

/* ---- settings, in the order of the table ---- */

static char folder[64]; /* of this test */
static char path[128];
static const char *fsync_mode, *mode, *dir_mode;
static int64_t floor_size;

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/holdfast-local-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/repository", folder);
  fsync_mode = "full";
  mode = "0600";
  dir_mode = "0700";
  floor_size = 0;
  fail_at = 0;
  no_renameat2 = no_link = false;
  return 0;
}

static int teardown(void **state) {
  char command[128];
  (void)state;
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

static int open_it(int create, void **h) {
  static const char *strings[5];
  static struct holdfast_value v[5];
  const char *const texts[] = {path, fsync_mode, "", mode, dir_mode};
  for (int i = 0; i < 5; i++) {
    strings[i] = texts[i];
    v[i] = (struct holdfast_value){.name = holdfast_target_plugin()->head.settings[i].name, .count = 1, .strings = &strings[i]};
  }
  v[2].number = floor_size;
  assert_string_equal(v[0].name, "path");
  assert_string_equal(v[2].name, "free-space-floor");
  message[0] = '\0';
  return holdfast_target_plugin()->open(&host, v, create, h);
}

static void *opened(int create) {
  void *h = NULL;
  assert_int_equal(open_it(create, &h), HOLDFAST_OK);
  return h;
}

static int put(void *h, const char *key, const char *text, uint32_t flags) {
  struct holdfast_object o = {
      .struct_size = sizeof o, .flags = flags, .key = key, .data = text, .size = strlen(text), .sha256 = ""};
  message[0] = '\0';
  return holdfast_target_plugin()->put(h, &o);
}

static int sink(void *ctx, const void *data, size_t n) {
  strncat(ctx, data, n);
  return HOLDFAST_OK;
}

/* The object's text must be this one; NULL: it must not be there. */
static void expect(void *h, const char *key, const char *text) {
  char got[256] = "";
  int status = holdfast_target_plugin()->get(h, key, 0, UINT64_MAX, sink, got);
  assert_int_equal(status, text ? HOLDFAST_OK : HOLDFAST_E_NOT_FOUND);
  assert_string_equal(got, text ? text : "");
}

static int count(void *ctx, const char *key, uint64_t size) {
  (void)key;
  (void)size;
  ++*(int *)ctx;
  return HOLDFAST_OK;
}

static int list(void *h, const char *prefix, int *n) {
  *n = 0;
  message[0] = '\0';
  return holdfast_target_plugin()->list(h, prefix, count, n);
}

static void close_it(void *h) { holdfast_target_plugin()->close(h); }

static const char *below(const char *name) {
  static char buf[4][300];
  static unsigned at;
  at = (at + 1) % 4;
  snprintf(buf[at], sizeof buf[at], "%s/%s", path, name);
  return buf[at];
}

static void touch(const char *name) {
  int fd = open(below(name), O_WRONLY | O_CREAT, 0600);
  assert_true(fd >= 0);
  close(fd);
}

static bool there(const char *name) {
  struct stat st;
  return lstat(below(name), &st) == 0;
}

/* Names in the top folder that begin with ".tmp-". */
static int temporaries(void) {
  DIR *d = opendir(path);
  struct dirent *e;
  int n = 0;
  assert_non_null(d);
  while ((e = readdir(d))) n += strncmp(e->d_name, ".tmp-", 5) == 0;
  closedir(d);
  return n;
}

/* ---- tests ---- */

static void marker(void **state) {
  void *h = NULL;
  (void)state;
  assert_int_equal(open_it(0, &h), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(message, "does not exist"));
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(open_it(0, &h), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(message, "holds no .holdfast-target: either the disk that belongs there is not mounted"));
  assert_false(there(".holdfast-target"));
  close_it(opened(1));
  assert_true(there(".holdfast-target"));
  close_it(opened(1));
  h = opened(0);
  int n;
  assert_int_equal(list(h, "", &n), HOLDFAST_OK);
  assert_int_equal(n, 0);
  /* It is out of reach of keys. */
  const char *key = ".holdfast-target";
  int status;
  assert_int_equal(put(h, key, "x", 0), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(holdfast_target_plugin()->remove(h, &key, 1, &status), HOLDFAST_E_UNSUPPORTED);
  assert_true(there(".holdfast-target"));
  close_it(h);
}

static void wrong_settings(void **state) {
  static const char *const wrong[] = {"0400", "0200", "600x", "rw", "-600", "1600", "0"};
  void *h = NULL;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    mode = wrong[i];
    assert_int_equal(open_it(1, &h), HOLDFAST_E_CONFIG);
    assert_non_null(strstr(message, "mode = "));
  }
  mode = "0600";
  dir_mode = "0600";
  assert_int_equal(open_it(1, &h), HOLDFAST_E_CONFIG);
  struct stat st;
  assert_int_equal(stat(path, &st), -1);
}

static void modes(void **state) {
  struct stat st;
  (void)state;
  mode = "0664";
  dir_mode = "0775";
  mode_t old = umask(077);
  void *h = opened(1);
  assert_int_equal(put(h, "a/b/c", "x", 0), HOLDFAST_OK);
  umask(old);
  assert_int_equal(stat(below("a/b/c"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0664);
  assert_int_equal(stat(below("a/b"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0775);
  close_it(h);
  mode = "0600";
  old = umask(0477);
  h = opened(0);
  assert_int_equal(put(h, "a/d", "x", 0), HOLDFAST_OK);
  umask(old);
  assert_int_equal(stat(below("a/d"), &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  close_it(h);
}

static void floor_kept(void **state) {
  (void)state;
  floor_size = INT64_MAX;
  void *h = opened(1);
  struct holdfast_space space = {.struct_size = sizeof space};
  assert_int_equal(put(h, "a", "x", HOLDFAST_PUT_CREATE), HOLDFAST_E_NO_SPACE);
  assert_non_null(strstr(message, "free-space-floor"));
  expect(h, "a", NULL);
  assert_int_equal(holdfast_target_plugin()->space(h, &space), HOLDFAST_OK);
  assert_int_equal(space.free, 0);
  /* What comes before deletions is let through: they are the way back above the floor. */
  assert_int_equal(put(h, "b", "x", HOLDFAST_PUT_CREATE | HOLDFAST_PUT_FREES), HOLDFAST_OK);
  close_it(h);
  floor_size = 1;
  h = opened(0);
  for (int i = 0; i < 3; i++) assert_int_equal(put(h, "a", "x", 0), HOLDFAST_OK);
  close_it(h);
}

static void wrong_keys(void **state) {
  static const char *const wrong[] = {"../x", "a/../b", "/a",  "a//b",   "a/",         "",
                                      ".",    "a/.",    "a b", ".tmp-a", "a/.tmp-b/c", "\xff", ".holdfast-target", ".holdfast-reserve"};
  void *h;
  (void)state;
  h = opened(1);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct holdfast_stat st = {.struct_size = sizeof st};
    int status = 0;
    assert_int_equal(put(h, wrong[i], "x", 0), HOLDFAST_E_UNSUPPORTED);
    assert_int_equal(holdfast_target_plugin()->get(h, wrong[i], 0, 1, sink, NULL), HOLDFAST_E_UNSUPPORTED);
    assert_int_equal(holdfast_target_plugin()->stat(h, wrong[i], &st), HOLDFAST_E_UNSUPPORTED);
    assert_int_equal(holdfast_target_plugin()->remove(h, &wrong[i], 1, &status), HOLDFAST_E_UNSUPPORTED);
  }
  /* A wrong one among right ones stops none of them. */
  const char *const keys[] = {"d/1", "d/../2", "d/3", "absent/4", "d"};
  int statuses[5];
  assert_int_equal(put(h, "d/1", "x", 0), HOLDFAST_OK);
  assert_int_equal(put(h, "d/3", "x", 0), HOLDFAST_OK);
  assert_int_equal(holdfast_target_plugin()->remove(h, keys, 5, statuses), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(statuses[0], HOLDFAST_OK);
  assert_int_equal(statuses[1], HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(statuses[2], HOLDFAST_OK);
  assert_int_equal(statuses[3], HOLDFAST_OK);
  assert_int_equal(statuses[4], HOLDFAST_OK); /* a folder is no object */
  expect(h, "d/1", NULL);
  expect(h, "d/3", NULL);
  close_it(h);
}

static void strangers(void **state) {
  int n;
  (void)state;
  void *h = opened(1);
  assert_int_equal(put(h, "web/a", "x", 0), HOLDFAST_OK);
  /* What cannot be a key is nobody's business, even if it cannot be read. */
  assert_int_equal(mkdir(below("lost+found"), 0), 0);
  assert_int_equal(mkdir(below(".tmp-own"), 0700), 0);
  touch(".tmp-own/file");
  touch("web/a file");
  touch("web/.tmp-x");
  assert_int_equal(list(h, "", &n), HOLDFAST_OK);
  assert_int_equal(n, 1);
  /* A link may hide a part of the repository: that is an error, and not "nothing there". */
  assert_int_equal(rename(below("web"), below(".tmp-web")), 0);
  assert_int_equal(symlink(".tmp-web", below("web")), 0);
  assert_int_equal(list(h, "", &n), HOLDFAST_E_FAILED);
  assert_non_null(strstr(message, "web is neither a file nor a folder"));
  assert_int_equal(list(h, "web/", &n), HOLDFAST_E_FAILED);
  assert_int_equal(holdfast_target_plugin()->get(h, "web/a", 0, 1, sink, NULL), HOLDFAST_E_FAILED);
  assert_int_equal(put(h, "web/b", "x", 0), HOLDFAST_E_FAILED);
  close_it(h);
}

static void sweep(void **state) {
  (void)state;
  close_it(opened(1));
  assert_int_equal(temporaries(), 0);
  touch(".tmp-0123456789abcdef-0");
  touch(".tmp-0123456789abcdef-17");
  touch(".tmp-0123456789abcdef.lock");
  touch(".tmp-00000000000000ff-3"); /* its lock is gone already */
  touch(".tmp-1111111111111111-3");
  touch(".tmp-1111111111111111.lock");
  touch(".tmp-somebody");
  int fd = open(below(".tmp-1111111111111111.lock"), O_RDWR);
  assert_int_equal(flock(fd, LOCK_EX), 0);
  close_it(opened(0));
  assert_false(there(".tmp-0123456789abcdef-0"));
  assert_false(there(".tmp-0123456789abcdef-17"));
  assert_false(there(".tmp-0123456789abcdef.lock"));
  assert_false(there(".tmp-00000000000000ff-3"));
  assert_true(there(".tmp-1111111111111111-3"));
  assert_true(there(".tmp-1111111111111111.lock"));
  assert_true(there(".tmp-somebody"));
  close(fd);
  close_it(opened(0));
  assert_int_equal(temporaries(), 1);
  /* An instance that has stored something leaves nothing either. */
  void *h = opened(0), *other;
  assert_int_equal(put(h, "a", "x", 0), HOLDFAST_OK);
  assert_int_equal(temporaries(), 2);
  other = opened(0);
  assert_int_equal(temporaries(), 2);
  assert_int_equal(put(h, "b", "x", 0), HOLDFAST_OK);
  close_it(other);
  close_it(h);
  assert_int_equal(temporaries(), 1);
}

/* Every call of a put fails in its turn: an error, and nothing to be seen; the next try is fine. */
static void fault_everywhere(int errnum, int expected) {
  void *h = opened(1);
  for (int round = 0; round < 2; round++) {
    int i = 1;
    for (;; i++) {
      char key[64];
      snprintf(key, sizeof key, "web%d/%d/x", round, i);
      calls = 0;
      fail_at = i;
      fail_with = errnum;
      int status = put(h, key, "text", HOLDFAST_PUT_CREATE);
      bool all = calls < fail_at;
      fail_at = 0;
      if (all) {
        assert_int_equal(status, HOLDFAST_OK);
        expect(h, key, "text");
        break;
      }
      assert_int_equal(status, expected);
      assert_string_not_equal(message, "");
      expect(h, key, NULL);
      assert_in_range(temporaries(), 0, 1); /* nothing but the lock */
      assert_int_equal(put(h, key, "text", HOLDFAST_PUT_CREATE), HOLDFAST_OK);
      expect(h, key, "text");
    }
    assert_in_range(i, 6, 20);
    no_renameat2 = true; /* second round: the way by linkat */
  }
  close_it(h);
}

static void faults(void **state) {
  (void)state;
  fault_everywhere(EIO, HOLDFAST_E_FAILED);
  no_renameat2 = false;
}

static void faults_of_space(void **state) {
  (void)state;
  fault_everywhere(EDQUOT, HOLDFAST_E_NO_SPACE);
}

static void interrupted_calls(void **state) {
  (void)state;
  void *h = opened(1);
  for (int i = 1; i < 10; i++) {
    char key[32];
    snprintf(key, sizeof key, "e%d/x", i);
    calls = 0;
    fail_at = i;
    fail_with = EINTR;
    assert_int_equal(put(h, key, "text", HOLDFAST_PUT_CREATE), HOLDFAST_OK);
    fail_at = 0;
    expect(h, key, "text");
  }
  close_it(h);
}

static void without_rename_or_links(void **state) {
  (void)state;
  void *h = opened(1);
  no_renameat2 = true;
  assert_int_equal(put(h, "a", "one", HOLDFAST_PUT_CREATE), HOLDFAST_OK);
  assert_int_equal(put(h, "a", "two", HOLDFAST_PUT_CREATE), HOLDFAST_E_EXISTS);
  assert_int_equal(put(h, "a", "three", 0), HOLDFAST_OK);
  expect(h, "a", "three");
  no_link = true;
  assert_int_equal(put(h, "b", "one", HOLDFAST_PUT_CREATE), HOLDFAST_E_FAILED);
  expect(h, "b", NULL);
  assert_int_equal(put(h, "b", "one", 0), HOLDFAST_OK);
  expect(h, "b", "one");
  assert_int_equal(temporaries(), 1);
  close_it(h);
}

/* A file system of our own, below path; needs root. */
static bool mounted(const char *options) {
  static bool private;
  if (!private && (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)) return false;
  private = true;
  return mkdir(path, 0700) == 0 && mount("tmpfs", path, "tmpfs", 0, options) == 0;
}

static void full_disk(void **state) {
  static char big[300000];
  (void)state;
  if (!mounted("size=1m")) skip();
  memset(big, 'x', sizeof big - 1);
  void *h = opened(1);
  char key[32];
  int i = 0, n, status;
  do {
    snprintf(key, sizeof key, "p/%d", ++i);
    status = put(h, key, big, HOLDFAST_PUT_CREATE);
  } while (status == HOLDFAST_OK && i < 10);
  assert_int_equal(status, HOLDFAST_E_NO_SPACE);
  expect(h, key, NULL);
  assert_int_equal(list(h, "", &n), HOLDFAST_OK);
  assert_int_equal(n, i - 1);
  assert_int_equal(temporaries(), 1);
  close_it(h);
  umount(path);
}

/* Fill the disk to the last block by a file that is not the target's. */
static void fill_up(void) {
  static const char zeros[4096];
  int fd = open(below(".tmp-filler"), O_WRONLY | O_CREAT, 0600);
  assert_true(fd >= 0);
  while (write(fd, zeros, sizeof zeros) > 0) continue;
  assert_int_equal(errno, ENOSPC);
  close(fd);
}

/* What has to be stored before anything can be deleted finds room on a disk that has none. */
static void reserve(void **state) {
  struct stat st;
  int n;
  (void)state;
  if (!mounted("size=4m")) skip();
  void *h = opened(1);
  assert_int_equal(put(h, "web/a", "text", 0), HOLDFAST_OK);
  close_it(h);
  assert_int_equal(stat(below(".holdfast-reserve"), &st), 0);
  assert_true(st.st_blocks * 512 >= 1 << 20);
  h = opened(0);
  assert_int_equal(list(h, "", &n), HOLDFAST_OK);
  assert_int_equal(n, 1);
  fill_up();
  assert_int_equal(put(h, "web/b", "text", HOLDFAST_PUT_CREATE), HOLDFAST_E_NO_SPACE);
  assert_int_equal(stat(below(".holdfast-reserve"), &st), 0);
  assert_int_equal(put(h, "locks/b", "text", HOLDFAST_PUT_CREATE | HOLDFAST_PUT_FREES), HOLDFAST_OK);
  expect(h, "locks/b", "text");
  assert_int_not_equal(stat(below(".holdfast-reserve"), &st), 0);
  fill_up();
  assert_int_equal(put(h, "locks/c", "text", HOLDFAST_PUT_CREATE | HOLDFAST_PUT_FREES), HOLDFAST_E_NO_SPACE);
  /* There is no room for it before there is some. */
  close_it(h);
  assert_int_not_equal(stat(below(".holdfast-reserve"), &st), 0);
  assert_int_equal(unlink(below(".tmp-filler")), 0);
  h = opened(0);
  assert_int_equal(put(h, "web/b", "text", HOLDFAST_PUT_CREATE), HOLDFAST_OK);
  close_it(h);
  assert_int_equal(stat(below(".holdfast-reserve"), &st), 0);
  umount(path);
}

static void read_only_disk(void **state) {
  int n, status;
  const char *key = "a";
  (void)state;
  if (!mounted("size=1m")) skip();
  void *h = opened(1);
  assert_int_equal(put(h, "a", "text", 0), HOLDFAST_OK);
  close_it(h);
  assert_int_equal(mount("none", path, "none", MS_REMOUNT | MS_RDONLY, NULL), 0);
  h = opened(0);
  expect(h, "a", "text");
  assert_int_equal(list(h, "", &n), HOLDFAST_OK);
  assert_int_equal(n, 1);
  assert_int_equal(put(h, "b", "text", 0), HOLDFAST_E_AUTH);
  assert_int_equal(put(h, "c/d", "text", 0), HOLDFAST_E_AUTH);
  assert_int_equal(holdfast_target_plugin()->remove(h, &key, 1, &status), HOLDFAST_E_AUTH);
  close_it(h);
  /* The disk is taken away: what shows below it is not the repository. */
  umount(path);
  assert_int_equal(open_it(0, &h), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(message, "not mounted"));
}

/* As another account, for which permission bits count. */
static void unreadable(void **state) {
  int n;
  (void)state;
  bool root = geteuid() == 0;
  dir_mode = "0755";
  mode = "0644";
  assert_int_equal(chmod(folder, 0755), 0);
  void *h = opened(1);
  assert_int_equal(put(h, "web/a", "text", 0), HOLDFAST_OK);
  assert_int_equal(put(h, "web/closed/b", "text", 0), HOLDFAST_OK);
  close_it(h);
  assert_int_equal(chmod(below("web/closed"), 0), 0);
  if (root) assert_int_equal(seteuid(65534), 0);
  h = opened(0);
  expect(h, "web/a", "text");
  int listed = list(h, "", &n), status = holdfast_target_plugin()->get(h, "web/closed/b", 0, 1, sink, NULL);
  int below_closed = list(h, "web/closed/", &n), stored = root ? put(h, "new", "x", 0) : HOLDFAST_E_AUTH;
  close_it(h);
  if (root) assert_int_equal(seteuid(0), 0);
  assert_int_equal(chmod(below("web/closed"), 0700), 0);
  assert_int_equal(listed, HOLDFAST_E_AUTH);
  assert_int_equal(status, HOLDFAST_E_AUTH);
  assert_int_equal(below_closed, HOLDFAST_E_AUTH);
  assert_int_equal(stored, HOLDFAST_E_AUTH);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(marker, setup, teardown),
      cmocka_unit_test_setup_teardown(wrong_settings, setup, teardown),
      cmocka_unit_test_setup_teardown(modes, setup, teardown),
      cmocka_unit_test_setup_teardown(floor_kept, setup, teardown),
      cmocka_unit_test_setup_teardown(wrong_keys, setup, teardown),
      cmocka_unit_test_setup_teardown(strangers, setup, teardown),
      cmocka_unit_test_setup_teardown(sweep, setup, teardown),
      cmocka_unit_test_setup_teardown(faults, setup, teardown),
      cmocka_unit_test_setup_teardown(faults_of_space, setup, teardown),
      cmocka_unit_test_setup_teardown(interrupted_calls, setup, teardown),
      cmocka_unit_test_setup_teardown(without_rename_or_links, setup, teardown),
      cmocka_unit_test_setup_teardown(unreadable, setup, teardown),
      cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
      cmocka_unit_test_setup_teardown(reserve, setup, teardown),
      cmocka_unit_test_setup_teardown(read_only_disk, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
