/* test_files_entry.c - reading entries: content, attributes, holes, links, and what changes meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "test_files_support.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static struct noted noted;
static struct config config;
static const struct holdfast_source_plugin *plugin;
static void *handle;
static struct holdfast_entry entry;
static char path[1 << 14];
static char text[1 << 16];
static char linked[PATH_MAX];

static int setup(void **state) {
  noted_reset(&noted);
  config_reset(&config);
  plugin = holdfast_source_plugin();
  handle = NULL;
  return scratch_setup(state);
}

static int teardown(void **state) {
  if (handle) plugin->close(handle);
  handle = NULL;
  return scratch_teardown(state);
}

/* Begin with the path name and list as far as the entry whose path ends in last. */
static void list_to(const char *name, const char *last) {
  if (!handle) {
    config_add(&config, HF_FILES_PATH, at(name));
    assert_int_equal(plugin->open(&noted.host, config.v, &handle), 0);
  }
  for (;;) {
    memset(&entry, 0, sizeof entry);
    entry.struct_size = sizeof entry;
    assert_int_equal(plugin->next(handle, &entry), 1);
    size_t n = strlen(entry.path);
    if (n >= strlen(last) && strcmp(entry.path + n - strlen(last), last) == 0) break;
  }
  snprintf(path, sizeof path, "%s", entry.path);
  entry.path = path;
  if (entry.link) {
    snprintf(linked, sizeof linked, "%s", entry.link);
    entry.link = linked;
  }
}

static int64_t read_all(size_t step) {
  size_t n = 0;
  for (;;) {
    int64_t got = plugin->read(handle, text + n, step);
    if (got < 0) return got;
    if (got == 0) break;
    n += (size_t)got;
    assert_true(n + step <= sizeof text);
  }
  text[n] = '\0';
  return (int64_t)n;
}

static const struct holdfast_xattr *xattr(const char *name) {
  for (uint32_t i = 0; i < entry.n_xattrs; i++)
    if (strcmp(entry.xattrs[i].name, name) == 0) return &entry.xattrs[i];
  return NULL;
}

static void test_file(void **state) {
  (void)state;
  make("t", "hello, world");
  list_to("t", "t");
  assert_null(entry.user);
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.size, 12);
  assert_null(entry.extents);
  if (geteuid() == 0) {
    assert_string_equal(entry.user, "root");
    assert_string_equal(entry.group, "root");
  }
  assert_int_equal(read_all(5), 12);
  assert_string_equal(text, "hello, world");
  assert_int_equal(plugin->read(handle, text, 10), 0);
  assert_int_equal(plugin->entry_close(handle), 0);
  /* once more, as after a change */
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(read_all(1000), 12);
  assert_int_equal(plugin->entry_close(handle), 0);
}

static void test_no_owner_name(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  make("t", "");
  assert_int_equal(chown("t", 3999999999u, 3999999998u), 0);
  list_to("t", "t");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_null(entry.user);
  assert_null(entry.group);
  assert_int_equal(entry.uid, 3999999999u);
  assert_int_equal(plugin->entry_close(handle), 0);
}

static void test_special_kinds(void **state) {
  (void)state;
  make("t/file", "x");
  assert_int_equal(link("t/file", "t/hard"), 0);
  assert_int_equal(mkfifo("t/fifo", 0600), 0);
  char target[3000];
  memset(target, 'y', sizeof target - 1);
  target[sizeof target - 1] = '\0';
  assert_int_equal(symlink(target, "t/sym"), 0);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "t/sock"};
  assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof un), 0);
  close(s);
  static const char *const names[] = {"t", "t/fifo", "t/hard", "t/sock", "t/sym"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    list_to("t", names[i]);
    assert_int_equal(plugin->entry_open(handle, &entry), 0); /* a FIFO must not block */
    assert_int_equal(entry.size, 0);
    if (entry.kind == HOLDFAST_SYMLINK) assert_string_equal(entry.link, target);
    if (entry.kind == HOLDFAST_HARDLINK) assert_string_equal(shorten(entry.link), "t/file");
    assert_int_equal(read_all(100), 0);
    assert_int_equal(plugin->entry_close(handle), 0);
  }
}

static void test_xattrs(void **state) {
  (void)state;
  make("t/d/", NULL);
  make("t/f", "");
  char big[3000];
  memset(big, 'v', sizeof big);
  if (setxattr("t/f", "user.big", big, sizeof big, 0) != 0) skip();
  assert_int_equal(setxattr("t/f", "user.empty", "", 0, 0), 0);
  assert_int_equal(setxattr("t/d", "user.bytes", "a\0b", 3, 0), 0);
  /* an ACL as the kernel stores it: version 2; user::rw- user:1:r-- group::r-- mask::r-- other::--- */
  static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 1, 0, 0, 0, 4, 0, 4, 0,
                                      255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
  assert_int_equal(setxattr("t/f", "system.posix_acl_access", acl, sizeof acl, 0), 0);
  assert_int_equal(setxattr("t/d", "system.posix_acl_default", acl, sizeof acl, 0), 0);
  assert_int_equal(symlink("f", "t/l"), 0);
  bool trusted = lsetxattr("t/l", "trusted.link", "on the link", 11, 0) == 0;
  if (trusted) assert_int_equal(setxattr("t/f", "trusted.link", "no", 2, 0), 0);

  list_to("t", "t/d");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.n_xattrs, 2);
  assert_int_equal(xattr("user.bytes")->size, 3);
  assert_memory_equal(xattr("user.bytes")->value, "a\0b", 3);
  assert_memory_equal(xattr("system.posix_acl_default")->value, acl, sizeof acl);
  assert_int_equal(plugin->entry_close(handle), 0);

  list_to("t", "t/f");
  for (int i = 0; i < 3; i++) {
    struct hf_files *h = handle;
    h->opt.xattrs = i != 1;
    h->opt.acls = i != 2;
    struct holdfast_entry keep = entry;
    assert_int_equal(plugin->entry_open(handle, &entry), 0);
    assert_int_equal(xattr("system.posix_acl_access") != NULL, i != 2);
    assert_int_equal(xattr("user.big") != NULL, i != 1);
    if (i != 1) {
      assert_int_equal(xattr("user.empty")->size, 0);
      assert_int_equal(xattr("user.big")->size, sizeof big);
      assert_memory_equal(xattr("user.big")->value, big, sizeof big);
    }
    if (i != 2) assert_memory_equal(xattr("system.posix_acl_access")->value, acl, sizeof acl);
    assert_int_equal(plugin->entry_close(handle), 0);
    entry = keep;
  }
  ((struct hf_files *)handle)->opt.acls = true;

  list_to("t", "t/l");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  if (trusted) {
    assert_int_equal(entry.n_xattrs, 1);
    assert_memory_equal(entry.xattrs[0].value, "on the link", 11);
  }
  assert_string_equal(entry.link, "f");
}

static void test_sparse(void **state) {
  (void)state;
  make("t/a-hole", "");
  make("t/b-pieces", "");
  make("t/c-dense", "no hole here");
  assert_int_equal(truncate("t/a-hole", 1 << 20), 0);
  int fd = open("t/b-pieces", O_WRONLY);
  assert_int_equal(pwrite(fd, "first", 5, 1 << 20), 5);
  assert_int_equal(pwrite(fd, "second", 6, 3 << 20), 6);
  assert_int_equal(ftruncate(fd, 5 << 20), 0);
  assert_int_equal(fsync(fd), 0);
  struct stat st;
  assert_int_equal(fstat(fd, &st), 0);
  bool whole = lseek(fd, 0, SEEK_DATA) == 0;
  close(fd);
  if (whole) skip(); /* this file system does not say */

  list_to("t", "t/a-hole");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.size, 1 << 20);
  assert_non_null(entry.extents);
  assert_int_equal(entry.n_extents, 0);
  assert_int_equal(read_all(100), 0);
  assert_int_equal(plugin->entry_close(handle), 0);

  list_to("t", "t/b-pieces");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.size, 5 << 20);
  assert_int_equal(entry.n_extents, 2);
  size_t sum = entry.extents[0].length + entry.extents[1].length;
  assert_int_equal(entry.extents[0].offset, 1 << 20);
  assert_int_equal(entry.extents[1].offset, 3 << 20);
  size_t second = entry.extents[0].length;
  assert_int_equal(read_all(3000), sum);
  assert_memory_equal(text, "first\0", 6);
  assert_memory_equal(text + second, "second\0", 7);
  assert_int_equal(plugin->entry_close(handle), 0);

  list_to("t", "t/c-dense");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_null(entry.extents);
  assert_int_equal(read_all(100), 12);
  assert_int_equal(plugin->entry_close(handle), 0);
}

static void test_changed_while_read(void **state) {
  (void)state;
  make("t", "0123456789");
  list_to("t", "t");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  FILE *f = fopen("t", "a");
  fputs("more", f);
  fclose(f);
  assert_int_equal(read_all(100), 10); /* no more than the size that was told */
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_E_CHANGED);
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.size, 14);
  assert_int_equal(truncate("t", 3), 0);
  assert_int_equal(read_all(100), 3);
  assert_int_equal(plugin->read(handle, text, 1), 0);
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_E_CHANGED);
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  usleep(30000); /* the clock of file times ticks every few milliseconds */
  assert_int_equal(chmod("t", 0600), 0);
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_E_CHANGED);
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.mode, 0600);
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_OK);
}

/* A folder that gets new names while it is looked at is no less well kept. */
static void test_folder_does_not_change(void **state) {
  (void)state;
  make("t/x", "");
  list_to("t", "t");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  make("t/y", "");
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_OK);
}

static void test_replaced(void **state) {
  (void)state;
  make("t/a", "old");
  make("t/b", "");
  make("t/c", "");
  make("t/d", "");
  make("t/e/x", "in the old folder");
  make("t/f", "");
  assert_int_equal(link("t/f", "t/g"), 0);

  list_to("t", "t/a"); /* by a new file, as editors do: the new one is read */
  uint64_t inode = entry.inode;
  make("t/new", "brand new");
  assert_int_equal(rename("t/new", "t/a"), 0);
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.size, 9);
  assert_true(entry.inode != inode);
  assert_int_equal(read_all(100), 9);
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_OK);

  list_to("t", "t/b"); /* gone */
  unlink("t/b");
  assert_int_equal(plugin->entry_open(handle, &entry), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(plugin->entry_close(handle), HOLDFAST_OK);

  list_to("t", "t/c"); /* by a link to what must not be read */
  unlink("t/c");
  assert_int_equal(symlink("/etc/passwd", "t/c"), 0);
  assert_int_equal(plugin->entry_open(handle, &entry), HOLDFAST_E_FAILED);
  assert_non_null(strstr(noted.error, "t/c"));

  list_to("t", "t/d"); /* by a FIFO: must not block */
  unlink("t/d");
  assert_int_equal(mkfifo("t/d", 0600), 0);
  assert_int_equal(plugin->entry_open(handle, &entry), HOLDFAST_E_FAILED);

  list_to("t", "t/e/x"); /* the folder above by a new one, which a cached descriptor would miss */
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(plugin->entry_close(handle), 0);
  unlink("t/e/x");
  rmdir("t/e");
  make("t/e/x", "in the new one");
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(read_all(100), 14);
  assert_int_equal(plugin->entry_close(handle), 0);
  unlink("t/e/x"); /* and by a link, which must not be followed */
  rmdir("t/e");
  make("elsewhere/x", "secret");
  assert_int_equal(symlink("../elsewhere", "t/e"), 0);
  assert_int_equal(plugin->entry_open(handle, &entry), HOLDFAST_E_NOT_FOUND);

  list_to("t", "t/g"); /* a hard link by a file of its own */
  assert_int_equal(entry.kind, HOLDFAST_HARDLINK);
  make("t/new", "");
  assert_int_equal(rename("t/new", "t/g"), 0);
  assert_int_equal(plugin->entry_open(handle, &entry), HOLDFAST_E_FAILED);
  assert_non_null(strstr(noted.error, "hard link"));

  const char *said = NULL;
  assert_int_equal(plugin->finish(handle, &said), HOLDFAST_OK);
  assert_non_null(strstr(said, "\"vanished\":2,")); /* t/b, and t/e/x by a link */
}

/* List t/a and its other names t/b, then do something to t/a, and open both. What t/b is then is what it holds, not what t/a has become. */
static void further_name(int (*change)(void), int expected) {
  struct holdfast_entry first;
  make("t/a", "the old content");
  assert_int_equal(link("t/a", "t/b"), 0);
  list_to("t", "t/a");
  first = entry;
  char first_path[sizeof path];
  snprintf(first_path, sizeof first_path, "%s", path);
  first.path = first_path;
  list_to("t", "t/b");
  assert_int_equal(entry.kind, HOLDFAST_HARDLINK);
  assert_int_equal(change(), 0);
  assert_int_equal(plugin->entry_open(handle, &first), expected);
  plugin->entry_close(handle);
  assert_int_equal(plugin->entry_open(handle, &entry), 0);
  assert_int_equal(entry.kind, HOLDFAST_FILE);
  assert_null(entry.link);
  assert_int_equal(entry.size, 15);
  assert_int_equal(read_all(100), 15);
  assert_string_equal(text, "the old content");
  assert_int_equal(plugin->entry_close(handle), 0);
}

static int replace_first(void) {
  make("t/new", "another file");
  return rename("t/new", "t/a");
}

static int remove_first(void) { return unlink("t/a"); }

static void test_first_replaced(void **state) {
  (void)state;
  further_name(replace_first, 0);
}

static void test_first_vanished(void **state) {
  (void)state;
  further_name(remove_first, HOLDFAST_E_NOT_FOUND);
}

/* In place of the C library's, for the plugin's calls: a disk that cannot give one attribute. */
static int bad_attribute;

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size) {
  if (bad_attribute && strcmp(name, "user.bad") == 0) {
    errno = bad_attribute;
    return -1;
  }
  return syscall(SYS_fgetxattr, fd, name, value, size);
}

static void test_unreadable_attribute(void **state) {
  (void)state;
  make("t/f", "content");
  assert_int_equal(setxattr("t/f", "user.bad", "x", 1, 0), 0);
  assert_int_equal(setxattr("t/f", "user.good", "yes", 3, 0), 0);
  list_to("t", "t/f");
  bad_attribute = EIO;
  int rc = plugin->entry_open(handle, &entry);
  bad_attribute = 0;
  assert_int_equal(rc, 0);
  assert_int_equal(entry.n_xattrs, 1);
  assert_memory_equal(xattr("user.good")->value, "yes", 3);
  assert_true(entry.flags & HOLDFAST_UNSTABLE); /* to be looked at again */
  assert_int_equal(noted.n_problems, 1);
  assert_non_null(strstr(noted.problems, "t/f: cannot read its extended attributes"));
  assert_int_equal(read_all(100), 7);
  assert_string_equal(text, "content");
  assert_int_equal(plugin->entry_close(handle), 0);
}

static int read_as_nobody(void) {
  list_to("t", "t/secret");
  int rc = plugin->entry_open(handle, &entry);
  return rc == HOLDFAST_E_AUTH && strstr(noted.error, "t/secret") ? 0 : 1;
}

static void test_unreadable(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  make("t/secret", "x");
  assert_int_equal(chmod("t/secret", 0600), 0);
  assert_int_equal(chmod(scratch, 0755), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) _exit(setgid(65534) != 0 || setuid(65534) != 0 ? 2 : read_as_nobody());
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

/* A lease makes a non-blocking open fail; it has to be waited for. */
static void test_lease(void **state) {
  (void)state;
  make("t", "leased");
  list_to("t", "t");
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    sigset_t set;
    int got;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = open("t", O_RDWR);
    char ok = fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
    if (write(ready[1], &ok, 1) != 1 || !ok) _exit(2);
    sigwait(&set, &got);
    _exit(fcntl(fd, F_SETLEASE, F_UNLCK) != 0);
  }
  char ok = 0;
  assert_int_equal(read(ready[0], &ok, 1), 1);
  int status;
  if (ok) {
    assert_int_equal(plugin->entry_open(handle, &entry), 0);
    assert_int_equal(read_all(100), 6);
    assert_int_equal(plugin->entry_close(handle), 0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  close(ready[0]);
  close(ready[1]);
  if (!ok) skip();
  assert_int_equal(status, 0);
}

/* 300 folders of 40 bytes within each other, each with a file that sorts behind the next folder: paths of 12,000 bytes, and
 * more levels than descriptors are kept open for. */
#define DEEP 300
static const char part[] = "dddddddddddddddddddddddddddddddddddddddd";

static void test_deep(void **state) {
  (void)state;
  int fd = open(scratch, O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < DEEP; i++) {
    assert_int_equal(mkdirat(fd, part, 0755), 0);
    int below = openat(fd, part, O_RDONLY | O_DIRECTORY);
    assert_true(below >= 0);
    close(fd);
    fd = below;
    int f = openat(fd, "e", O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(f, &i, sizeof i), sizeof i);
    close(f);
  }
  close(fd);
  config_add(&config, HF_FILES_PATH, at(part));
  assert_int_equal(plugin->open(&noted.host, config.v, &handle), 0);
  int folders = 0, files = 0, rc;
  size_t longest = 0;
  for (;;) {
    memset(&entry, 0, sizeof entry);
    rc = plugin->next(handle, &entry);
    if (rc <= 0) break;
    snprintf(path, sizeof path, "%s", entry.path);
    entry.path = path;
    if (strlen(path) > longest) longest = strlen(path);
    assert_int_equal(plugin->entry_open(handle, &entry), 0);
    if (entry.kind == HOLDFAST_FILE) {
      int content = -1;
      assert_int_equal(plugin->read(handle, &content, sizeof content), sizeof content);
      assert_int_equal(content, DEEP - 1 - files);
      files++;
    } else {
      folders++;
    }
    assert_int_equal(plugin->entry_close(handle), 0);
  }
  assert_int_equal(rc, 0);
  assert_int_equal(folders, DEEP);
  assert_int_equal(files, DEEP);
  assert_true(longest > 12000);
  assert_int_equal(noted.n_problems, 0);
  plugin->close(handle);
  handle = NULL;
  assert_int_equal(system("rm -rf ddd*"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_file, setup, teardown),
    cmocka_unit_test_setup_teardown(test_no_owner_name, setup, teardown),
    cmocka_unit_test_setup_teardown(test_special_kinds, setup, teardown),
    cmocka_unit_test_setup_teardown(test_xattrs, setup, teardown),
    cmocka_unit_test_setup_teardown(test_sparse, setup, teardown),
    cmocka_unit_test_setup_teardown(test_changed_while_read, setup, teardown),
    cmocka_unit_test_setup_teardown(test_folder_does_not_change, setup, teardown),
    cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
    cmocka_unit_test_setup_teardown(test_unreadable_attribute, setup, teardown),
    cmocka_unit_test_setup_teardown(test_first_replaced, setup, teardown),
    cmocka_unit_test_setup_teardown(test_first_vanished, setup, teardown),
    cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
    cmocka_unit_test_setup_teardown(test_lease, setup, teardown),
    cmocka_unit_test_setup_teardown(test_deep, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
