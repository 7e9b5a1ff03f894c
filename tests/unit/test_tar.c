/* test_tar.c - tar headers, read back by libarchive and by GNU tar.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include "base/io.h"
#include "stream/tar.h"

static struct holdfast_entry entry(uint32_t kind, const char *path) {
  return (struct holdfast_entry){.struct_size = sizeof(struct holdfast_entry),
                                 .kind = kind,
                                 .path = path,
                                 .mode = kind == HOLDFAST_DIR ? 0755 : 0640,
                                 .uid = 1000,
                                 .gid = 100,
                                 .mtime = 1700000000};
}

/* The content of any file here: byte i is i, from some letter on. */
static void add_data(struct hf_buf *b, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) hf_buf_addc(b, (char)('a' + i % 26));
  for (uint32_t i = hf_tar_pad(n); i > 0; i--) hf_buf_addc(b, 0);
}

static void add(struct hf_buf *b, const struct holdfast_entry *e) {
  struct hf_error err = {0};
  uint64_t data = 77;
  if (hf_tar_head(b, e, &data, &err) != 0) fail_msg("%s: %s", e->path, err.msg);
  assert_int_equal(b->len % HF_TAR_BLOCK, 0);
  add_data(b, data);
}

static bool holds(const struct hf_buf *b, const char *text) { return memmem(b->data, b->len, text, strlen(text)) != NULL; }

static void finish(struct hf_buf *b) {
  for (unsigned i = 0; i < HF_TAR_TAIL; i++) hf_buf_addc(b, 0);
}

/* ---- libarchive ---- */

struct reader {
  struct archive *a;
  struct archive_entry *e;
};

static void open_reader(struct reader *r, const struct hf_buf *b) {
  r->a = archive_read_new();
  archive_read_support_format_tar(r->a);
  assert_int_equal(archive_read_open_memory(r->a, b->data, b->len), ARCHIVE_OK);
}

static void next(struct reader *r) {
  int rc = archive_read_next_header(r->a, &r->e);
  if (rc != ARCHIVE_OK) fail_msg("%d: %s", rc, archive_error_string(r->a));
}

static void close_reader(struct reader *r) {
  assert_int_equal(archive_read_next_header(r->a, &r->e), ARCHIVE_EOF);
  archive_read_free(r->a);
}

/* Write one entry and read it back alone. */
static void round_trip(struct reader *r, struct hf_buf *b, const struct holdfast_entry *e) {
  hf_buf_clear(b);
  add(b, e);
  finish(b);
  open_reader(r, b);
  next(r);
}

static void plain_fields(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  struct holdfast_entry e = entry(HOLDFAST_FILE, "dir/file");
  e.size = 1234;
  e.mode = 06750;
  e.user = "alice";
  e.group = "staff";
  round_trip(&r, &b, &e);
  assert_int_equal(b.len, 512 + 1536 + 1024); /* nothing needs an extended header */
  assert_string_equal(archive_entry_pathname(r.e), "dir/file");
  assert_int_equal(archive_entry_filetype(r.e), AE_IFREG);
  assert_int_equal(archive_entry_perm(r.e), 06750);
  assert_int_equal(archive_entry_uid(r.e), 1000);
  assert_int_equal(archive_entry_gid(r.e), 100);
  assert_string_equal(archive_entry_uname(r.e), "alice");
  assert_string_equal(archive_entry_gname(r.e), "staff");
  assert_int_equal(archive_entry_size(r.e), 1234);
  assert_int_equal(archive_entry_mtime(r.e), 1700000000);
  close_reader(&r);
  hf_buf_free(&b);
}

static void kinds(void **state) {
  (void)state;
  static const struct {
    uint32_t kind;
    unsigned type;
  } all[] = {{HOLDFAST_DIR, AE_IFDIR},
             {HOLDFAST_SYMLINK, AE_IFLNK},
             {HOLDFAST_FIFO, AE_IFIFO},
             {HOLDFAST_CHAR, AE_IFCHR},
             {HOLDFAST_BLOCK, AE_IFBLK}};
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  for (size_t i = 0; i < HF_NELEM(all); i++) {
    struct holdfast_entry e = entry(all[i].kind, "thing");
    e.link = e.kind == HOLDFAST_SYMLINK ? "../else where" : NULL;
    e.rdev_major = 259;
    e.rdev_minor = 1048575;
    e.size = 999; /* none of these has data, whatever is said */
    round_trip(&r, &b, &e);
    assert_int_equal(archive_entry_filetype(r.e), all[i].type);
    assert_int_equal(archive_entry_size(r.e), 0);
    if (e.kind == HOLDFAST_SYMLINK) assert_string_equal(archive_entry_symlink(r.e), "../else where");
    if (e.kind == HOLDFAST_CHAR || e.kind == HOLDFAST_BLOCK) {
      assert_int_equal(archive_entry_rdevmajor(r.e), 259);
      assert_int_equal(archive_entry_rdevminor(r.e), 1048575);
    }
    if (e.kind == HOLDFAST_DIR) assert_string_equal(archive_entry_pathname(r.e), "thing/");
    close_reader(&r);
  }
  struct holdfast_entry e = entry(HOLDFAST_HARDLINK, "second");
  e.link = "dir/first";
  round_trip(&r, &b, &e);
  assert_string_equal(archive_entry_hardlink(r.e), "dir/first");
  close_reader(&r);
  hf_buf_free(&b);
}

static void times_and_numbers(void **state) {
  (void)state;
  static const struct {
    int64_t s;
    uint32_t ns;
  } times[] = {{0, 0},          {0, 1},          {1700000000, 123456789}, {1700000000, 500000000}, {-1, 0},
               {-1, 999999999}, {-5, 500000000}, {077777777777, 0},       {0100000000000, 7}};
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  for (size_t i = 0; i < HF_NELEM(times); i++) {
    struct holdfast_entry e = entry(HOLDFAST_DIR, "d");
    e.mtime = times[i].s;
    e.mtime_nsec = times[i].ns;
    round_trip(&r, &b, &e);
    /* libarchive takes "-4.5" apart into -4 and a negative fraction, or the floor; the sum is what counts. */
    int64_t s = archive_entry_mtime(r.e), ns = archive_entry_mtime_nsec(r.e);
    if (times[i].s >= 0) {
      assert_int_equal(s, times[i].s);
      assert_int_equal(ns, times[i].ns);
    }
    close_reader(&r);
  }
  struct holdfast_entry e = entry(HOLDFAST_DIR, "d");
  e.mtime = -5;
  e.mtime_nsec = 500000000;
  round_trip(&r, &b, &e);
  assert_true(holds(&b, "14 mtime=-4.5\n"));
  close_reader(&r);
  e = entry(HOLDFAST_DIR, "d");
  e.uid = 4294967294u;
  e.gid = 2097152;
  round_trip(&r, &b, &e);
  assert_int_equal(archive_entry_uid(r.e), 4294967294u);
  assert_int_equal(archive_entry_gid(r.e), 2097152);
  close_reader(&r);
  /* A size beyond the octal field: the header alone. */
  hf_buf_clear(&b);
  e = entry(HOLDFAST_FILE, "huge");
  e.size = 9ULL << 40;
  uint64_t data = 0;
  assert_int_equal(hf_tar_head(&b, &e, &data, NULL), 0);
  assert_true(data == 9ULL << 40);
  open_reader(&r, &b);
  next(&r);
  assert_true(archive_entry_size(r.e) == 9LL << 40);
  archive_read_free(r.a);
  hf_buf_free(&b);
}

static void names_of_every_length(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  char path[1200];
  for (unsigned dir = 0; dir < 2; dir++)
    for (unsigned style = 0; style < 3; style++)
      for (size_t n = 1; n < 600; n++) {
        for (size_t i = 0; i < n; i++) path[i] = (char)('a' + i % 26);
        /* One long name; short ones; one slash in the middle. */
        if (style == 1)
          for (size_t i = 20; i + 1 < n; i += 21) path[i] = '/';
        if (style == 2 && n > 2) path[n / 2] = '/';
        path[n] = 0;
        struct holdfast_entry e = entry(dir ? HOLDFAST_DIR : HOLDFAST_FILE, path);
        round_trip(&r, &b, &e);
        const char *got = archive_entry_pathname(r.e);
        assert_memory_equal(got, path, n);
        assert_string_equal(got + n, dir ? "/" : "");
        close_reader(&r);
      }
  /* Links, too. */
  for (size_t n = 90; n < 300; n++) {
    memset(path, 'l', n);
    path[n] = 0;
    struct holdfast_entry e = entry(HOLDFAST_SYMLINK, "s");
    e.link = path;
    round_trip(&r, &b, &e);
    assert_string_equal(archive_entry_symlink(r.e), path);
    close_reader(&r);
  }
  char user[41];
  for (size_t n = 29; n < 40; n++) {
    memset(user, 'u', n);
    user[n] = 0;
    struct holdfast_entry e = entry(HOLDFAST_FILE, "s");
    e.user = e.group = user;
    round_trip(&r, &b, &e);
    assert_string_equal(archive_entry_uname(r.e), user);
    assert_string_equal(archive_entry_gname(r.e), user);
    close_reader(&r);
  }
  hf_buf_free(&b);
}

/* Names that are not UTF-8, short and long, in a locale that knows ASCII only and in one that knows UTF-8. */
static void any_bytes(void **state) {
  (void)state;
  static const char *const locales[] = {"C", "C.UTF-8"};
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  char longest[400];
  memset(longest, 'x', 300);
  memcpy(longest + 300, "\377\376 end\n", 8);
  for (size_t i = 0; i < HF_NELEM(locales); i++) {
    setlocale(LC_ALL, locales[i]);
    struct holdfast_entry e = entry(HOLDFAST_FILE, "latin-\344\n\001");
    round_trip(&r, &b, &e);
    assert_string_equal(archive_entry_pathname(r.e), e.path);
    close_reader(&r);
    e.path = longest;
    e.kind = HOLDFAST_SYMLINK;
    e.link = longest;
    round_trip(&r, &b, &e);
    assert_string_equal(archive_entry_pathname(r.e), longest);
    assert_string_equal(archive_entry_symlink(r.e), longest);
    close_reader(&r);
    e = entry(HOLDFAST_FILE, "short \303\244");
    e.mtime_nsec = 5;
    round_trip(&r, &b, &e);
    assert_string_equal(archive_entry_pathname(r.e), e.path);
    close_reader(&r);
  }
  /* Long UTF-8 needs a locale that has it. */
  memcpy(longest + 300, "\303\244 end\n", 8);
  struct holdfast_entry e = entry(HOLDFAST_FILE, longest);
  round_trip(&r, &b, &e);
  assert_string_equal(archive_entry_pathname(r.e), longest);
  close_reader(&r);
  setlocale(LC_ALL, "C");
  hf_buf_free(&b);
}

static void extended_attributes(void **state) {
  (void)state;
  static const unsigned char acl[] = {2, 0,    0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  5,
                                      0, 0xe9, 3,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
                                      7, 0,    255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};
  static const struct holdfast_xattr all[] = {
      {"user.plain", "value", 5},
      {"user.binary", "a\0b\n=\377", 6},
      {"user.empty", "", 0},
      {"security.capability", "\1\0\0\2\0\4", 6},
      {"user.a=b%", "odd name", 8},
      {"system.posix_acl_access", acl, sizeof acl},
      {"system.posix_acl_default", "\2\0\0\0\177\0\7\0\377\377\377\377", 12},
  };
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  struct holdfast_entry e = entry(HOLDFAST_FILE, "f");
  e.xattrs = all;
  e.n_xattrs = HF_NELEM(all);
  round_trip(&r, &b, &e);
  assert_true(holds(&b, "SCHILY.acl.access=user::rwx,user:1001:r-x,group::r--,mask::rwx,other::---\n"));
  assert_true(holds(&b, "SCHILY.xattr.user.a%3Db%25=odd name\n"));
  /* An ACL with a tag nobody knows is kept as it is. */
  assert_true(holds(&b, "SCHILY.xattr.system.posix_acl_default=\2"));
  const char *name;
  const void *value;
  size_t n;
  bool binary = false;
  archive_entry_xattr_reset(r.e);
  while (archive_entry_xattr_next(r.e, &name, &value, &n) == ARCHIVE_OK)
    if (strcmp(name, "user.binary") == 0) binary = n == 6 && memcmp(value, "a\0b\n=\377", 6) == 0;
  assert_true(binary);
  int type, perm, tag, id;
  const char *who;
  bool found = false;
  archive_entry_acl_reset(r.e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS);
  while (archive_entry_acl_next(r.e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, &type, &perm, &tag, &id, &who) == ARCHIVE_OK)
    if (tag == ARCHIVE_ENTRY_ACL_USER) found = id == 1001 && perm == 5;
  assert_true(found);
  close_reader(&r);
  hf_buf_free(&b);
}

static void sparse_files(void **state) {
  (void)state;
  static const struct holdfast_extent inside[] = {{4096, 4096}, {65536, 8192}}, to_end[] = {{0, 512}, {100352, 48}};
  struct {
    const struct holdfast_extent *x;
    uint64_t n, size, data;
  } cases[] = {{inside, 2, 1000000, 12288}, {to_end, 2, 100400, 560}, {inside, 0, 5000000000ULL, 0}};
  struct hf_buf b = HF_BUF_INIT;
  struct reader r;
  for (size_t i = 0; i < HF_NELEM(cases); i++) {
    struct holdfast_entry e = entry(HOLDFAST_FILE, "a/sparse");
    e.size = cases[i].size;
    e.extents = cases[i].x;
    e.n_extents = cases[i].n;
    round_trip(&r, &b, &e);
    assert_string_equal(archive_entry_pathname(r.e), "a/sparse");
    assert_true(archive_entry_size(r.e) == (int64_t)cases[i].size);
    const void *p;
    size_t n;
    int64_t off;
    uint64_t total = 0;
    int rc;
    while ((rc = archive_read_data_block(r.a, &p, &n, &off)) == ARCHIVE_OK) {
      for (size_t k = 0; k < n; k++) assert_int_equal(((const char *)p)[k], 'a' + (total + k) % 26);
      uint64_t x = 0, before = 0;
      while (x < cases[i].n && total >= before + cases[i].x[x].length) before += cases[i].x[x++].length;
      if (n > 0) assert_true(off == (int64_t)(cases[i].x[x].offset + total - before));
      total += n;
    }
    assert_int_equal(rc, ARCHIVE_EOF);
    assert_int_equal(total, cases[i].data);
    close_reader(&r);
  }
  hf_buf_free(&b);
}

static void refusals(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  struct hf_error err;
  uint64_t data = 5;
  hf_buf_adds(&b, "before");
#define REFUSED(code, words)                                                                                                     \
  do {                                                                                                                           \
    assert_int_equal(hf_tar_head(&b, &e, &data, &err), code);                                                                    \
    assert_non_null(strstr(err.msg, words));                                                                                     \
    assert_int_equal(b.len, 6);                                                                                                  \
    assert_int_equal(data, 5);                                                                                                   \
  } while (0)
  struct holdfast_entry e = entry(HOLDFAST_SOCKET, "s");
  REFUSED(HOLDFAST_E_UNSUPPORTED, "kind");
  e = entry(0, "s");
  REFUSED(HOLDFAST_E_UNSUPPORTED, "kind");
  e = entry(HOLDFAST_SYMLINK, "s");
  REFUSED(HOLDFAST_E_FAILED, "target");
  e = entry(HOLDFAST_CHAR, "s");
  e.rdev_minor = 1u << 21;
  REFUSED(HOLDFAST_E_UNSUPPORTED, "device");
  e = entry(HOLDFAST_FILE, "s");
  e.size = UINT64_MAX;
  REFUSED(HOLDFAST_E_FAILED, "bytes");
  e = entry(HOLDFAST_FILE, "s");
  e.mtime_nsec = 1000000000;
  REFUSED(HOLDFAST_E_FAILED, "nanoseconds");
  e = entry(HOLDFAST_FILE, "s");
  static char big[HF_TAR_HEAD_MAX];
  struct holdfast_xattr x = {"user.big", big, sizeof big};
  e.xattrs = &x;
  e.n_xattrs = 1;
  REFUSED(HOLDFAST_E_UNSUPPORTED, "metadata");
  e = entry(HOLDFAST_FILE, "s");
  e.size = 100000;
  struct holdfast_extent bad[2] = {{4096, 100}, {8192, 100}};
  e.extents = bad;
  e.n_extents = 2;
  REFUSED(HOLDFAST_E_UNSUPPORTED, "whole blocks");
  bad[0] = (struct holdfast_extent){8192, 4096};
  bad[1] = (struct holdfast_extent){4096, 4096};
  REFUSED(HOLDFAST_E_UNSUPPORTED, "no sense");
  bad[0] = (struct holdfast_extent){0, UINT64_MAX};
  REFUSED(HOLDFAST_E_UNSUPPORTED, "no sense");
  struct holdfast_extent *many = hf_allocn(100000, sizeof *many);
  for (uint64_t i = 0; i < 100000; i++) many[i] = (struct holdfast_extent){i * 1024, 512};
  e.size = 100000 * 1024;
  e.extents = many;
  e.n_extents = 100000;
  REFUSED(HOLDFAST_E_UNSUPPORTED, "too long");
  e.n_extents = 1000000000;
  REFUSED(HOLDFAST_E_UNSUPPORTED, "too many");
  free(many);
  hf_buf_free(&b);
}

/* ---- GNU tar ---- */

static void check_file(const char *dir, const char *name, uint64_t size, int64_t mtime, uint32_t ns, uint64_t max_blocks) {
  struct stat st;
  HF_CLEANUP(hf_freep) char *path = hf_path_join(dir, name);
  if (lstat(path, &st) != 0) fail_msg("%s is not there", path);
  assert_int_equal(st.st_size, size);
  if (st.st_mtim.tv_sec != mtime || st.st_mtim.tv_nsec != (long)ns)
    fail_msg("%s: %lld.%09ld", path, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  assert_true((uint64_t)st.st_blocks <= max_blocks);
}

static void gnu_tar_unpacks_it(void **state) {
  (void)state;
  static const struct holdfast_extent runs[] = {{8192, 4096}, {1u << 20, 512}};
  struct hf_buf b = HF_BUF_INIT, out = HF_BUF_INIT, content = HF_BUF_INIT;
  struct hf_error err = {0};
  char dir[] = "/tmp/hf-tar-XXXXXX", longest[400];
  assert_non_null(mkdtemp(dir));
  memset(longest, 'z', 250);
  longest[250] = 0;
  struct holdfast_entry e = entry(HOLDFAST_DIR, "d");
  e.mtime_nsec = 250000000;
  add(&b, &e);
  e = entry(HOLDFAST_FILE, "d/file \303\244\377");
  e.size = 70000;
  e.mtime_nsec = 123456789;
  add(&b, &e);
  e = entry(HOLDFAST_HARDLINK, "d/other");
  e.link = "d/file \303\244\377";
  e.mtime_nsec = 123456789;
  add(&b, &e);
  e = entry(HOLDFAST_FILE, "d/sparse");
  e.size = 3u << 20;
  e.extents = runs;
  e.n_extents = 2;
  e.mtime = -100;
  e.mtime_nsec = 5;
  add(&b, &e);
  e = entry(HOLDFAST_SYMLINK, "d/the link");
  e.link = longest;
  e.mtime_nsec = 7;
  add(&b, &e);
  e = entry(HOLDFAST_FILE, longest);
  e.size = 20;
  add(&b, &e);
  /* A name that has to go into a record and is not UTF-8: tar may say that it does not know hdrcharset, and does the right
   * thing. */
  char odd[sizeof longest + 8];
  snprintf(odd, sizeof odd, "%s\377\376y", longest);
  e = entry(HOLDFAST_FILE, odd);
  e.size = 10;
  add(&b, &e);
  finish(&b);
  char tar[] = "tar", options[] = "-xpf", from[] = "-", c[] = "-C";
  char *argv[] = {tar, c, dir, options, from, NULL};
  int code = -1;
  assert_int_equal(hf_run(argv, NULL, b.data, b.len, NULL, &out, 60, &code, &err), 0);
  if (code != 0) fail_msg("tar: %s", out.data ? out.data : "");
  check_file(dir, "d/file \303\244\377", 70000, 1700000000, 123456789, 200);
  check_file(dir, "d/other", 70000, 1700000000, 123456789, 200);
  check_file(dir, "d/sparse", 3u << 20, -100, 5, 100);
  check_file(dir, "d/the link", 250, 1700000000, 7, 16);
  check_file(dir, longest, 20, 1700000000, 0, 16);
  check_file(dir, odd, 10, 1700000000, 0, 16);
  check_file(dir, "d", (uint64_t)({
               struct stat st;
               char *p = hf_path_join(dir, "d");
               stat(p, &st);
               free(p);
               st.st_size;
             }),
             1700000000, 250000000, 1000);
  HF_CLEANUP(hf_freep) char *sparse = hf_path_join(dir, "d/sparse");
  assert_int_equal(hf_read_file(sparse, 4u << 20, &content, &err), 0);
  for (size_t i = 0; i < content.len; i++) {
    char want = i >= 8192 && i < 12288                  ? (char)('a' + (i - 8192) % 26)
                : i >= 1u << 20 && i < (1u << 20) + 512 ? (char)('a' + (4096 + i - (1u << 20)) % 26)
                                                        : 0;
    if (content.data[i] != want) fail_msg("byte %zu", i);
  }
  hf_buf_free(&b);
  hf_buf_free(&out);
  hf_buf_free(&content);
  assert_int_equal(hf_remove_tree(dir, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_fields),          cmocka_unit_test(kinds),     cmocka_unit_test(times_and_numbers),
      cmocka_unit_test(names_of_every_length), cmocka_unit_test(any_bytes), cmocka_unit_test(extended_attributes),
      cmocka_unit_test(sparse_files),          cmocka_unit_test(refusals),  cmocka_unit_test(gnu_tar_unpacks_it),
  };
  return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
