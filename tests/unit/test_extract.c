/* test_extract.c - a tree written back to disk: every kind and name, what is there already, and archives that mean harm.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "extract_support.h"

static const unsigned char cap_net_raw[20] = {1, 0, 0, 2, 0, 0x20};

static void every_kind(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  bool root = geteuid() == 0;
  add(&b, (struct item){.type = '5', .path = "d", .mode = 01751, .uid = root ? 12 : 0, .gid = root ? 13 : 0,
                        .extra = "SCHILY.acl.access=user::rwx,user:7:r-x,group::r-x,mask::r-x,other::--x\0SCHILY.acl.default=user::rwx,group:9:rw-,group::r--,mask::rw-,other::---\0"});
  add(&b, (struct item){.type = '0', .path = "d/f", .mode = 0640, .data = "hello", .size = 5,
                        .extra = "SCHILY.xattr.user.x=y z\0SCHILY.acl.access=user::rw-,user:7:rw-,group::r--,mask::rw-,other::---\0"});
  add(&b, (struct item){.type = '0', .path = "d/plain", .mode = 0666});
  add(&b, (struct item){.type = '0', .path = "d/plain2", .mode = 0444, .data = "z", .size = 1, .extra = "SCHILY.xattr.user.a=b\0"});
  add(&b, (struct item){.type = '2', .path = "d/s", .link = "../no\xff where", .mode = 0777});
  add(&b, (struct item){.type = '1', .path = "d/h", .link = "d/f", .mode = 0640});
  add(&b, (struct item){.type = '1', .path = "d/hs", .link = "d/s", .mode = 0777});
  add(&b, (struct item){.type = '6', .path = "d/p", .mode = 0623});
  if (root) {
    add(&b, (struct item){.type = '0', .path = "d/suid", .mode = 06755, .uid = 12, .gid = 13, .data = "x", .size = 1, .cap = cap_net_raw, .extra = "SCHILY.xattr.trusted.t=u\0"});
    add(&b, (struct item){.type = '3', .path = "d/c", .mode = 0600, .major = 1, .minor = 3});
    add(&b, (struct item){.type = '4', .path = "d/b", .mode = 0640, .major = 7, .minor = 300, .gid = 6});
  }
  struct hf_extract_counts c = run(false, &t, &b);
  for (int i = 0; i < t.n; i++) print_error("%s: %s\n", t.path[i], t.what[i]);
  assert_int_equal(t.n, 0);
  assert_int_equal(c.files, root ? 4 : 3);
  assert_int_equal(c.folders, 1);
  assert_int_equal(c.links, 3);
  assert_int_equal(c.others, root ? 3 : 1);
  assert_int_equal(c.bytes, root ? 7 : 6);
  static const char *const all[] = {"d", "d/f", "d/plain", "d/plain2", "d/s", "d/p", "d/suid", "d/c", "d/b"};
  for (size_t i = 0; i < (root ? 9 : 6); i++) {
    struct stat st = look(all[i]);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
  }
  assert_int_equal(look("d").st_mode, S_IFDIR | 01751);
  assert_int_equal(look("d/plain").st_mode, S_IFREG | 0666);
  assert_int_equal(look("d/plain2").st_mode, S_IFREG | 0444);
  assert_int_equal(look("d/p").st_mode, S_IFIFO | 0623);
  assert_true(text_is("d/f", "hello"));
  assert_int_equal(look("d/f").st_ino, look("d/h").st_ino);
  assert_int_equal(look("d/s").st_ino, look("d/hs").st_ino);
  char to[64] = {0}, value[64];
  assert_int_equal(readlinkat(root_fd, "d/s", to, sizeof to), 12);
  assert_string_equal(to, "../no\xff where");
  int fd = openat(root_fd, "d/f", O_RDONLY | O_CLOEXEC);
  assert_int_equal(fgetxattr(fd, "user.x", value, sizeof value), 3);
  assert_memory_equal(value, "y z", 3);
  static const unsigned char acl[] = {2, 0, 0, 0,    1, 0, 6, 0, 255, 255, 255, 255, 2,  0, 6,   0,   7,   0,   0,    0, 4, 0,
                                      4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
  assert_int_equal(fgetxattr(fd, "system.posix_acl_access", value, sizeof value), sizeof acl);
  assert_memory_equal(value, acl, sizeof acl);
  close(fd);
  assert_int_equal(fgetxattr(root_fd, "system.posix_acl_default", value, sizeof value), -1);
  fd = openat(root_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(fgetxattr(fd, "system.posix_acl_access", value, sizeof value), 44);
  assert_int_equal(fgetxattr(fd, "system.posix_acl_default", value, sizeof value), 44);
  close(fd);
  if (!root) return;
  assert_int_equal(look("d").st_uid, 12);
  assert_int_equal(look("d").st_gid, 13);
  assert_int_equal(look("d/suid").st_mode, S_IFREG | 06755);
  assert_int_equal(look("d/suid").st_uid, 12);
  fd = openat(root_fd, "d/suid", O_RDONLY | O_CLOEXEC);
  assert_int_equal(fgetxattr(fd, "security.capability", value, sizeof value), 20);
  assert_memory_equal(value, cap_net_raw, 20);
  assert_int_equal(fgetxattr(fd, "trusted.t", value, sizeof value), 1);
  close(fd);
  assert_int_equal(look("d/c").st_rdev, makedev(1, 3));
  assert_int_equal(look("d/b").st_rdev, makedev(7, 300));
  assert_int_equal(look("d/b").st_gid, 6);
}

static void owners_by_name(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  add(&b, (struct item){.type = '0', .path = "named", .mode = 0600, .uid = 4242, .gid = 4242, .extra = "uname=daemon\0gname=mail\0"});
  add(&b, (struct item){.type = '0', .path = "unknown", .mode = 04700, .uid = 4242, .gid = 4243, .extra = "uname=no such user\0gname=\xff\0"});
  add(&b, (struct item){.type = '0', .path = "acl", .mode = 0640, .extra = "SCHILY.acl.access=user::rw-,user:daemon:r--,group::r--,mask::r--,other::---\0"});
  add(&b, (struct item){.type = '0', .path = "badacl", .mode = 0640, .extra = "SCHILY.acl.access=user::rw-,user:no such one:r--,group::r--,mask::r--,other::---\0"});
  run(false, &t, &b);
  assert_int_equal(t.n, 1);
  assert_true(told(&t, "badacl", "no such one"));
  assert_int_equal(look("named").st_uid, 1);
  assert_int_equal(look("named").st_gid, 8);
  assert_int_equal(look("unknown").st_uid, 4242);
  assert_int_equal(look("unknown").st_gid, 4243);
  assert_int_equal(look("unknown").st_mode & 07777, 04700);
}

static void names(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  char longest[256], too_long[257];
  memset(longest, 0xfe, 255);
  longest[255] = 0;
  memset(too_long, 'x', 256);
  too_long[256] = 0;
  /* é composed and decomposed are two names; what is no UTF-8 is a name as well. */
  const char *all[] = {"a\nb", " ", "caf\xc3\xa9", "cafe\xcc\x81", "\xff\xfe", "\xc3", "tab\there\\", longest, "...", "-rf", "\x01\x7f"};
  add_dir(&b, "\xf0\xff");
  for (size_t i = 0; i < HF_NELEM(all); i++) {
    add_file(&b, all[i], all[i]);
    HF_CLEANUP(hf_freep) char *in = hf_asprintf("\xf0\xff/%s", all[i]);
    add_file(&b, in, "inside");
  }
  add_file(&b, too_long, "");
  add(&b, (struct item){.type = '1', .path = "h\xc3\xa9", .link = "\xff\xfe", .mode = 0600});
  struct hf_extract_counts c = run(false, &t, &b);
  assert_int_equal(t.n, 1);
  assert_int_equal(t.lost, 1);
  assert_int_equal(c.files, 2 * HF_NELEM(all));
  for (size_t i = 0; i < HF_NELEM(all); i++) {
    HF_CLEANUP(hf_freep) char *in = hf_asprintf("\xf0\xff/%s", all[i]);
    assert_true(text_is(all[i], all[i]));
    assert_true(text_is(in, "inside"));
  }
  assert_int_equal(look("h\xc3\xa9").st_ino, look("\xff\xfe").st_ino);
}

static void evil(void **state) {
  (void)state;
  for (int replace = 0; replace < 2; replace++) {
    struct told t;
    struct hf_buf b = HF_BUF_INIT;
    HF_CLEANUP(hf_freep) char *secret = hf_path_join(dir, "secret");
    HF_CLEANUP(hf_freep) char *planted = hf_path_join(dir, "planted");
    assert_int_equal(hf_write_file_atomic(secret, "mine", 4, 0600, NULL), 0);
    if (!replace) {
      assert_int_equal(symlinkat(dir, root_fd, "old"), 0);
      put("same", "old");
    }
    add_file(&b, "../planted", "x");
    add_file(&b, "a/../../planted", "x");
    add_file(&b, planted, "x");
    add_file(&b, "./dot", "x");
    add_file(&b, "a//b", "x");
    add(&b, (struct item){.type = '2', .path = "link", .link = "..", .mode = 0777});
    add_file(&b, "link/planted", "x");
    add_file(&b, "old/planted", "x");
    add_dir(&b, "old/planted");
    add(&b, (struct item){.type = '6', .path = "old/planted", .mode = 0600});
    add(&b, (struct item){.type = '2', .path = "old/planted", .link = "x", .mode = 0777});
    add(&b, (struct item){.type = '1', .path = "h1", .link = "../secret", .mode = 0600});
    add(&b, (struct item){.type = '1', .path = "h2", .link = secret, .mode = 0600});
    add(&b, (struct item){.type = '1', .path = "h3", .link = "link/secret", .mode = 0600});
    add(&b, (struct item){.type = '1', .path = "h4", .link = "old/secret", .mode = 0600});
    add(&b, (struct item){.type = '1', .path = "old/planted", .link = "fine", .mode = 0600});
    add_file(&b, "fine", "x");
    struct hf_extract *x = begin(replace, &t);
    slice(x, &b);
    assert_int_equal(hf_extract_data(x, "../planted", 10, 0, "x", 1, NULL), 0);
    assert_int_equal(hf_extract_data(x, "old/planted2", 12, 0, "x", 1, NULL), 0);
    end(x, NULL);
    hf_buf_free(&b);
    assert_true(access(planted, F_OK) < 0);
    struct stat st;
    assert_int_equal(stat(secret, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(st.st_size, 4);
    assert_true(text_is("fine", "x"));
    assert_true(gone("h1") && gone("h2") && gone("h3") && gone("h4") && gone("dot"));
    assert_true(told(&t, "../planted", "refused"));
    assert_true(told(&t, planted, "refused"));
    assert_true(told(&t, "old/planted", "old is a symbolic link"));
    assert_true(told(&t, "h2", "refused"));
    assert_false(any_temporary());
  }
}

static void folder_for_symlink(void **state) {
  (void)state;
  /* In place, where the archive has a folder and the disk a symlink or a file: the folder, whatever comes first. */
  struct told t;
  struct hf_buf f = HF_BUF_INIT, d = HF_BUF_INIT, l = HF_BUF_INIT;
  assert_int_equal(mkdirat(root_fd, "real", 0700), 0);
  assert_int_equal(symlinkat("real", root_fd, "s"), 0);
  put("plain", "a file");
  add_file(&f, "s/in/f", "new");
  add_file(&f, "plain/f", "new");
  add_dir(&d, "s");
  add_dir(&d, "s/in");
  add_dir(&d, "plain");
  struct item big = {.type = '0', .path = "s/big", .mode = 0600, .size = 400000};
  head(&l, &big, big.size);
  struct hf_extract *x = begin(true, &t);
  assert_int_equal(hf_extract_data(x, "s/big", 5, 399999, "!", 1, NULL), 0);
  slice(x, &f);
  slice(x, &l);
  slice(x, &d);
  end(x, NULL);
  for (int i = 0; i < t.n; i++) print_error("%s: %s\n", t.path[i], t.what[i]);
  assert_int_equal(t.n, 0);
  assert_true(text_is("s/in/f", "new"));
  assert_true(text_is("plain/f", "new"));
  assert_int_equal(look("s").st_mode, S_IFDIR | 0755);
  assert_int_equal(look("s/big").st_size, 400000);
  assert_true(gone("real/in") && gone("real/big"));
  assert_false(any_temporary());
  hf_buf_free(&f);
  hf_buf_free(&d);
  hf_buf_free(&l);
}

static void existing_stays(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  put("f", "old");
  put("s", "old");
  put("d", "old");
  assert_int_equal(mkdirat(root_fd, "dir", 0700), 0);
  add_file(&b, "f", "new");
  add(&b, (struct item){.type = '2', .path = "s", .link = "x", .mode = 0777});
  add_dir(&b, "d");
  add_file(&b, "d/x", "new");
  add_dir(&b, "dir");
  add_file(&b, "dir/f", "new");
  add_file(&b, "twice", "first");
  add_file(&b, "twice", "second");
  struct item big = {.type = '0', .path = "f", .mode = 0600, .size = 3};
  struct hf_extract *x = begin(false, &t);
  slice(x, &b);
  hf_buf_clear(&b);
  head(&b, &big, big.size);
  assert_int_equal(hf_extract_data(x, "late", 4, 0, "abc", 3, NULL), 0);
  put("late", "old");
  big.path = "late";
  hf_buf_clear(&b);
  head(&b, &big, big.size);
  slice(x, &b);
  end(x, NULL);
  hf_buf_free(&b);
  assert_true(text_is("f", "old") && text_is("s", "old") && text_is("d", "old") && text_is("dir/f", "new") && text_is("twice", "first") && text_is("late", "old"));
  assert_true(told(&t, "f", "exists already"));
  assert_true(told(&t, "s", "exists already"));
  assert_true(told(&t, "d", "exists already"));
  assert_true(told(&t, "d/x", "no folder"));
  assert_true(told(&t, "dir", "exists already"));
  assert_true(told(&t, "twice", "exists already"));
  assert_true(told(&t, "late", "exists already"));
  assert_int_equal(t.lost, 6);
  assert_int_equal(look("dir").st_mode, S_IFDIR | 0700);
  assert_false(any_temporary());
}

static void in_place(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  put("f", "old");
  put("s", "old");
  put("h", "old");
  put("keep", "kept");
  assert_int_equal(mkdirat(root_fd, "d", 0700), 0);
  assert_int_equal(mkdirat(root_fd, "full", 0700), 0);
  put("d/mine", "mine");
  put("full/mine", "mine");
  int old = openat(root_fd, "f", O_RDONLY | O_CLOEXEC);
  add_file(&b, "f", "new");
  add(&b, (struct item){.type = '2', .path = "s", .link = "x", .mode = 0777});
  add(&b, (struct item){.type = '1', .path = "h", .link = "f", .mode = 0644});
  add(&b, (struct item){.type = '1', .path = "h", .link = "f", .mode = 0644}); /* already so */
  add(&b, (struct item){.type = '5', .path = "d", .mode = 0711});
  add_file(&b, "full", "a file");
  add_file(&b, "twice", "first");
  add_file(&b, "twice", "second");
  run(true, &t, &b);
  assert_int_equal(t.n, 1);
  assert_true(told(&t, "full", "folder"));
  assert_true(text_is("f", "new") && text_is("h", "new") && text_is("keep", "kept") && text_is("d/mine", "mine") && text_is("full/mine", "mine") && text_is("twice", "second"));
  assert_int_equal(look("s").st_mode & S_IFMT, S_IFLNK);
  assert_int_equal(look("h").st_ino, look("f").st_ino);
  assert_int_equal(look("d").st_mode, S_IFDIR | 0711);
  /* The old one was not written to. */
  char text[8];
  assert_int_equal(read(old, text, sizeof text), 3);
  assert_memory_equal(text, "old", 3);
  close(old);
  assert_false(any_temporary());
}

static void inherited(void **state) {
  (void)state;
  /* A folder in place whose default ACL and group new files take on: what is restored has its own. */
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 7, 0, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
  assert_int_equal(mkdirat(root_fd, "d", 0700), 0);
  if (geteuid() == 0) assert_int_equal(fchownat(root_fd, "d", 0, 13, 0), 0);
  assert_int_equal(fchmodat(root_fd, "d", 02770, 0), 0);
  HF_CLEANUP(hf_freep) char *p = hf_asprintf("%s/root/d", dir);
  assert_int_equal(setxattr(p, "system.posix_acl_default", acl, sizeof acl, 0), 0);
  for (int i = 0; i < 3; i++) {
    HF_CLEANUP(hf_freep) char *path = hf_asprintf("d/f%d", i);
    add_file(&b, path, "x");
  }
  add_dir(&b, "d/sub");
  add_file(&b, "d/sub/f", "x");
  add(&b, (struct item){.type = '6', .path = "d/p", .mode = 0600});
  run(true, &t, &b);
  assert_int_equal(t.n, 0);
  static const char *const all[] = {"d/f0", "d/f1", "d/f2", "d/sub", "d/sub/f", "d/p"};
  for (size_t i = 0; i < HF_NELEM(all); i++) {
    HF_CLEANUP(hf_freep) char *q = hf_asprintf("%s/root/%s", dir, all[i]);
    assert_int_equal(getxattr(q, "system.posix_acl_access", NULL, 0), -1);
    assert_int_equal(getxattr(q, "system.posix_acl_default", NULL, 0), -1);
    assert_int_equal(look(all[i]).st_mode & 07777, i == 3 ? 0755 : i == 5 ? 0600 : 0644);
    if (geteuid() == 0) assert_int_equal(look(all[i]).st_gid, 0);
  }
}

static void same_problems_once(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  char path[32];
  for (int i = 0; i < 50; i++) {
    snprintf(path, sizeof path, "f%d", i);
    add(&b, (struct item){.type = '0', .path = path, .mode = 0600, .extra = "SCHILY.xattr.nonsense.x=y\0"});
  }
  struct hf_extract_counts c = run(false, &t, &b);
  assert_int_equal(c.files, 50);
  assert_int_equal(t.n, 1);
  assert_int_equal(t.lost, 0);
  assert_true(told(&t, "f0", "nonsense.x"));
  assert_true(told(&t, "f0", "49 more"));
}

static int map(void *ctx, const char *path, size_t n, struct hf_buf *to) {
  (void)ctx;
  assert_int_equal(to->len, 0);
  if (n >= 4 && memcmp(path, "skip", 4) == 0) return 0;
  hf_buf_adds(to, n == 3 && memcmp(path, "bad", 3) == 0 ? "../" : "new/");
  hf_buf_add(to, path, n);
  return 1;
}

static void mapped(void **state) {
  (void)state;
  struct told t = {0};
  struct hf_buf b = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *root = hf_path_join(dir, "root");
  struct hf_extract_options o = {.root = root, .spool_dir = dir, .problem = problem, .map = map, .ctx = &t, .sync = true};
  struct hf_extract *x;
  assert_int_equal(hf_extract_open(&o, &x, NULL), 0);
  add_file(&b, "a", "a");
  add_file(&b, "skip1", "a");
  add_file(&b, "bad", "a");
  add(&b, (struct item){.type = '1', .path = "h", .link = "a", .mode = 0600});
  add(&b, (struct item){.type = '1', .path = "h2", .link = "skip1", .mode = 0600});
  struct item big = {.type = '0', .path = "big", .mode = 0600, .size = 3};
  head(&b, &big, 3);
  slice(x, &b);
  for (int i = 0; i < 3; i++) assert_int_equal(hf_extract_data(x, "big", 3, (uint64_t)i, &"xyz"[i], 1, NULL), 0);
  assert_int_equal(hf_extract_data(x, "skip2", 5, 0, "x", 1, NULL), 0);
  end(x, NULL);
  hf_buf_free(&b);
  assert_true(text_is("new/a", "a") && text_is("new/big", "xyz"));
  assert_int_equal(look("new/h").st_ino, look("new/a").st_ino);
  assert_true(gone("skip1") && gone("new/skip1") && gone("new/skip2"));
  assert_int_equal(t.n, 2);
  assert_true(told(&t, "bad", "refused"));
  assert_true(told(&t, "h2", "left out"));
}

static void damaged(void **state) {
  (void)state;
  struct hf_buf good = HF_BUF_INIT;
  struct hf_error err;
  add_file(&good, "f", "text");
  add_file(&good, "g", "text");
  struct hf_extract *x = begin(true, NULL);
  assert_int_equal(hf_extract_slice(x, "", 0, NULL), 0);
  memset(&err, 0, sizeof err);
  assert_int_equal(hf_extract_slice(x, good.data, 700, &err), HOLDFAST_E_CORRUPT);
  assert_true(err.msg[0]);
  assert_int_equal(hf_extract_slice(x, good.data, good.len - 512, &err), 0); /* headers alone at the end: a large file's */
  assert_int_equal(hf_extract_slice(x, "junk", 4, &err), HOLDFAST_E_CORRUPT);
  /* Any byte of the headers turned over: an error, or what is there, but never a crash. The header's own sum finds it. */
  int found = 0;
  for (size_t i = 0; i < 512; i++) {
    good.data[1024 + i] ^= 0x15;
    found += hf_extract_slice(x, good.data, 2048, &err) < 0;
    good.data[1024 + i] ^= 0x15;
  }
  assert_true(found > 480);
  for (size_t i = 0; i < good.len; i++) {
    good.data[i] ^= 0x80;
    (void)hf_extract_slice(x, good.data, good.len, &err);
    good.data[i] ^= 0x80;
  }
  (void)hf_extract_finish(x, NULL, &err);
  hf_extract_free(x);
  hf_buf_free(&good);
  assert_false(any_temporary());
}

static void cannot_open(void **state) {
  (void)state;
  struct hf_error err = {0};
  struct hf_extract *x = NULL;
  struct hf_extract_options o = {.root = "/nonexistent/holdfast", .spool_dir = dir};
  assert_int_equal(hf_extract_open(&o, &x, &err), HOLDFAST_E_NOT_FOUND);
  o.root = dir;
  o.spool_dir = "/nonexistent/holdfast";
  assert_int_equal(hf_extract_open(&o, &x, &err), HOLDFAST_E_NOT_FOUND);
  assert_null(x);
  hf_extract_free(NULL);
}

static void not_to_be_changed(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  put("fixed", "old");
  /* The call's number says long, the kernel takes int: room for both. */
  int flags[2] = {0}, fd = openat(root_fd, "fixed", O_RDONLY | O_CLOEXEC);
  bool can = ioctl(fd, FS_IOC_GETFLAGS, flags) == 0;
  int with[2] = {flags[0] | FS_IMMUTABLE_FL};
  if (!can || ioctl(fd, FS_IOC_SETFLAGS, with) < 0) {
    close(fd);
    skip();
  }
  add_file(&b, "fixed", "new");
  add(&b, (struct item){.type = '1', .path = "other", .link = "fixed", .mode = 0600});
  add_file(&b, "fine", "new");
  run(true, &t, &b);
  bool cleared = ioctl(fd, FS_IOC_SETFLAGS, flags) == 0;
  close(fd);
  assert_true(cleared);
  assert_true(text_is("fixed", "old") && text_is("fine", "new"));
  /* The old content does not get a second name either. */
  assert_true(gone("other"));
  assert_int_equal(t.lost, 2);
  assert_true(told(&t, "fixed", "cannot replace"));
  assert_true(told(&t, "other", "is not there"));
  assert_false(any_temporary());
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(every_kind), TEST(owners_by_name), TEST(names), TEST(evil), TEST(folder_for_symlink), TEST(existing_stays), TEST(in_place), TEST(inherited), TEST(same_problems_once), TEST(mapped), TEST(damaged), TEST(cannot_open), TEST(not_to_be_changed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
