/* test_extract_large.c - a tree written back to disk: large and sparse files, depth, threads, a full disk, and what the backup half writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "extract_support.h"
#include "stream/tar.h"

#define BIG 700000u

static char big_byte(size_t i) { return (char)(i * 2654435761u >> 13); }

static void large(void **state) {
  (void)state;
  char *data = hf_alloc(BIG);
  for (size_t i = 0; i < BIG; i++) data[i] = big_byte(i);
  for (int replace = 0; replace < 2; replace++)
    for (int last = 0; last < 2; last++) { /* headers first, headers last */
      struct told t;
      struct hf_buf b = HF_BUF_INIT;
      struct hf_extract_counts c;
      const char *lost = "d/lost";
      if (replace) put("keep", "old");
      struct item i = {.type = '0', .path = replace ? "keep" : "d/big", .mode = 0640, .size = BIG, .uid = geteuid(), .gid = getegid(), .extra = "SCHILY.xattr.user.q=r\0"};
      struct item j = {.type = '0', .path = lost, .mode = 0640, .size = BIG};
      if (!replace && last) i.path = "d/big2";
      struct hf_extract *x = begin(replace, &t);
      for (int step = 0; step < 2; step++) {
        if (step == last) {
          add_file(&b, replace ? (last ? "before3" : "before2") : last ? "before1" : "before", "x");
          head(&b, &i, BIG);
          slice(x, &b);
          hf_buf_clear(&b);
          head(&b, &j, BIG);
          slice(x, &b);
          hf_buf_clear(&b);
        } else {
          for (size_t at = 0; at < BIG; at += 100000) {
            size_t from = BIG - 100000 - at;
            assert_int_equal(hf_extract_data(x, i.path, strlen(i.path), from, data + from, 100000, NULL), 0);
            assert_int_equal(hf_extract_data(x, lost, strlen(lost), from, data + from, at == 300000 ? 0 : 100000, NULL), 0);
          }
          assert_true(any_temporary());
          hf_extract_lost(x, lost, strlen(lost));
        }
      }
      add(&b, (struct item){.type = '1', .path = "other name", .link = lost, .mode = 0640});
      slice(x, &b);
      hf_buf_free(&b);
      end(x, &c);
      assert_int_equal(c.files, 2);
      assert_int_equal(c.bytes, BIG + 1);
      assert_int_equal(t.n, 1);
      assert_true(told(&t, "other name", "is not there"));
      assert_int_equal(look(i.path).st_size, BIG);
      assert_int_equal(look(i.path).st_mode, S_IFREG | 0640);
      assert_int_equal(look(i.path).st_mtim.tv_nsec, 123456789);
      char *got = hf_alloc(BIG);
      int fd = openat(root_fd, i.path, O_RDONLY | O_CLOEXEC);
      assert_int_equal(read(fd, got, BIG), BIG);
      close(fd);
      assert_memory_equal(got, data, BIG);
      free(got);
      assert_true(gone(lost));
      assert_false(any_temporary());
    }
  free(data);
}

static void large_incomplete(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  struct item i = {.type = '0', .path = "nodata", .mode = 0640, .size = BIG};
  put("old", "old");
  struct hf_extract *x = begin(true, &t);
  head(&b, &i, BIG);
  slice(x, &b);
  assert_int_equal(hf_extract_data(x, "nohead", 6, 0, "x", 1, NULL), 0);
  assert_int_equal(hf_extract_data(x, "old", 3, 0, "new", 3, NULL), 0);
  hf_extract_lost(x, "old", 3);
  end(x, NULL);
  assert_int_equal(t.n, 2);
  assert_int_equal(t.lost, 2);
  assert_true(told(&t, "nodata", "data did not come"));
  assert_true(told(&t, "nohead", "headers did not come"));
  assert_true(text_is("old", "old"));
  assert_false(any_temporary());
  /* Given up half way. */
  x = begin(true, &t);
  slice(x, &b);
  assert_int_equal(hf_extract_data(x, "d/nodata", 8, 0, "x", 1, NULL), 0);
  assert_true(any_temporary());
  hf_extract_free(x);
  assert_false(any_temporary());
  hf_buf_free(&b);
}

/* A file of 10 MiB with 4 KiB of data at 1 MiB and at 5 MiB, a hole at the end. */
static const char sparse_records[] = "GNU.sparse.major=1\0GNU.sparse.minor=0\0GNU.sparse.name=sp\0GNU.sparse.realsize=10485760\0";

static void sparse_bytes(struct hf_buf *b, const char *records, const char *name) {
  static const char map[] = "2\n1048576\n4096\n5242880\n4096\n";
  struct item i = {.type = '0', .path = name, .mode = 0600, .extra = records, .uid = geteuid(), .gid = getegid()};
  head(b, &i, 512 + 8192);
  hf_buf_adds(b, map);
  fill(b);
}

static void sparse_check(const char *name) {
  struct stat st = look(name);
  assert_int_equal(st.st_size, 10485760);
  assert_true(st.st_blocks <= 64);
  char *got = hf_alloc(10485760);
  int fd = openat(root_fd, name, O_RDONLY | O_CLOEXEC);
  assert_int_equal(read(fd, got, 10485760), 10485760);
  close(fd);
  for (size_t i = 0; i < 10485760; i++) {
    char want = i >= 1048576 && i < 1048576 + 4096 ? 'A' : i >= 5242880 && i < 5242880 + 4096 ? 'B' : 0;
    if (got[i] != want) fail_msg("byte %zu", i);
  }
  free(got);
}

static void sparse(void **state) {
  (void)state;
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  char data[8192];
  memset(data, 'A', 4096);
  memset(data + 4096, 'B', 4096);
  /* Whole in a slice, with a file behind it. */
  sparse_bytes(&b, sparse_records, "sp");
  hf_buf_add(&b, data, sizeof data);
  add_file(&b, "behind", "x");
  /* All hole. */
  struct item hole = {.type = '0', .path = "hole", .mode = 0600, .extra = "GNU.sparse.major=1\0GNU.sparse.minor=0\0GNU.sparse.name=hole\0GNU.sparse.realsize=1048576\0", .data = "0\n", .size = 512};
  char nothing[512] = "0\n";
  hole.data = nothing;
  add(&b, hole);
  /* The size is more than its one stretch of data. */
  char one[512 + 512] = "1\n0\n512\n";
  memset(one + 512, 'C', 512);
  add(&b, (struct item){.type = '0', .path = "tail", .mode = 0600, .extra = "GNU.sparse.major=1\0GNU.sparse.minor=0\0GNU.sparse.name=tail\0GNU.sparse.realsize=70000\0", .data = one, .size = 1024});
  run(false, &t, &b);
  for (int i = 0; i < t.n; i++) print_error("%s: %s\n", t.path[i], t.what[i]);
  assert_int_equal(t.n, 0);
  sparse_check("sp");
  assert_true(text_is("behind", "x"));
  assert_int_equal(look("hole").st_size, 1048576);
  assert_int_equal(look("hole").st_blocks, 0);
  assert_int_equal(look("tail").st_size, 70000);
  assert_true(look("tail").st_blocks <= 8);
  /* Large: the headers in a slice are passed over, and come again. */
  struct hf_extract_counts c;
  struct hf_extract *x = begin(true, &t);
  add_file(&b, "first", "x");
  sparse_bytes(&b, sparse_records, "sp");
  slice(x, &b);
  hf_buf_clear(&b);
  sparse_bytes(&b, sparse_records, "sp");
  assert_int_equal(hf_extract_sparse_begin(x, b.data, b.len, NULL), 0);
  for (size_t i = 0; i < sizeof data; i += 1000) assert_int_equal(hf_extract_sparse_data(x, data + i, HF_MIN(1000, sizeof data - i), NULL), 0);
  assert_int_equal(hf_extract_sparse_data(x, nothing, 512, NULL), 0);
  assert_int_equal(hf_extract_sparse_end(x, NULL), 0);
  /* Another, cut short, and one marked as lost. */
  assert_int_equal(hf_extract_sparse_data(x, data, 1, NULL), HOLDFAST_E_FAILED);
  hf_buf_clear(&b);
  sparse_bytes(&b, "GNU.sparse.major=1\0GNU.sparse.minor=0\0GNU.sparse.name=cut\0GNU.sparse.realsize=10485760\0", "cut");
  assert_int_equal(hf_extract_sparse_begin(x, b.data, b.len, NULL), 0);
  assert_int_equal(hf_extract_sparse_data(x, data, 5000, NULL), 0);
  assert_int_equal(hf_extract_sparse_end(x, NULL), 0);
  hf_buf_clear(&b);
  sparse_bytes(&b, "GNU.sparse.major=1\0GNU.sparse.minor=0\0GNU.sparse.name=lost\0GNU.sparse.realsize=10485760\0", "lost");
  assert_int_equal(hf_extract_sparse_begin(x, b.data, b.len, NULL), 0);
  hf_extract_lost(x, "lost", 4);
  assert_int_equal(hf_extract_sparse_end(x, NULL), 0);
  end(x, &c);
  hf_buf_free(&b);
  assert_int_equal(c.files, 2);
  assert_int_equal(t.n, 1);
  assert_true(told(&t, "cut", "did not come whole"));
  sparse_check("sp");
  assert_true(gone("cut") && gone("lost"));
  assert_false(any_temporary());
}

static void deep(void **state) {
  (void)state;
  /* 6000 bytes of path: folders first, and the other way round. */
  struct told t;
  enum { LEVELS = 60, NAME = 99 };
  char name[NAME + 1], path[LEVELS * (NAME + 1) + 8];
  struct hf_extract_counts c;
  for (int order = 0; order < 3; order++) {
    struct hf_extract *x = begin(order == 2, &t);
    memset(name, 'a' + (order == 1), NAME);
    name[NAME] = 0;
    for (int k = 0; k < LEVELS; k++) {
      int depth = order == 0 ? k + 1 : LEVELS - k;
      size_t n = 0;
      for (int i = 0; i < depth; i++) {
        if (i) path[n++] = '/';
        memcpy(path + n, name, NAME);
        n += NAME;
      }
      path[n] = 0;
      struct hf_buf b = HF_BUF_INIT;
      add(&b, (struct item){.type = '5', .path = path, .mode = 0500 + (unsigned)depth % 8});
      strcpy(path + n, "/f");
      if (depth < LEVELS) add_file(&b, path, "deep");
      slice(x, &b);
      hf_buf_free(&b);
    }
    end(x, &c);
    assert_int_equal(t.n, 0);
    assert_int_equal(c.folders, LEVELS);
    assert_int_equal(c.files, LEVELS - 1);
    int fd = dup(root_fd);
    for (int i = 0; i < LEVELS; i++) {
      int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      assert_true(next >= 0);
      close(fd);
      fd = next;
      struct stat st;
      assert_int_equal(fstat(fd, &st), 0);
      assert_int_equal(st.st_mode & 07777, 0500 + (i + 1) % 8);
      assert_int_equal(st.st_mtim.tv_nsec, 123456789);
      assert_int_equal(faccessat(fd, "f", F_OK, 0), i + 1 < LEVELS ? 0 : -1);
      if (geteuid() != 0) fchmod(fd, 0700);
    }
    close(fd);
  }
}

struct job {
  struct hf_extract *x;
  int from;
};

static void *thread(void *arg) {
  struct job *j = arg;
  long bad = 0;
  /* Every other slice, backwards: folders come after what is in them. */
  for (int s = 18 + j->from; s >= 0; s -= 2) {
    struct hf_buf b = HF_BUF_INIT;
    char path[64];
    for (int i = 0; i < 100; i++) {
      if (i % 10 == 0) {
        snprintf(path, sizeof path, "t/%d/%d", (s + 1) % 20, i / 10);
        add_dir(&b, path);
      }
      snprintf(path, sizeof path, "t/%d/%d/%d", s, i / 10, i);
      add_file(&b, path, path);
    }
    bad += hf_extract_slice(j->x, b.data, b.len, NULL) != 0;
    snprintf(path, sizeof path, "t/%d/big", s % 5);
    bad += hf_extract_data(j->x, path, strlen(path), (uint64_t)s * 1000, path, strlen(path), NULL) != 0;
    hf_buf_free(&b);
  }
  return (void *)bad;
}

static void two_threads(void **state) {
  (void)state;
  for (int replace = 0; replace < 2; replace++) {
    struct told t;
    struct hf_extract_counts c;
    struct hf_buf b = HF_BUF_INIT;
    pthread_t th[2];
    struct hf_extract *x = begin(replace, &t);
    struct job jobs[2] = {{x, 0}, {x, 1}};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&th[i], NULL, thread, &jobs[i]), 0);
    for (int i = 0; i < 2; i++) {
      void *bad;
      pthread_join(th[i], &bad);
      assert_null(bad);
    }
    for (int i = 0; i < 20; i++) {
      char path[64];
      snprintf(path, sizeof path, "t/%d", i);
      add_dir(&b, path);
    }
    add_dir(&b, "t");
    slice(x, &b);
    hf_buf_clear(&b);
    for (int i = 0; i < 5; i++) {
      char path[64];
      snprintf(path, sizeof path, "t/%d/big", i);
      struct item big = {.type = '0', .path = path, .mode = 0600, .size = 20000};
      head(&b, &big, big.size);
      slice(x, &b);
      hf_buf_clear(&b);
    }
    hf_buf_free(&b);
    end(x, &c);
    for (int i = 0; i < t.n && i < 16; i++) print_error("%s: %s\n", t.path[i], t.what[i]);
    assert_int_equal(t.n, 0);
    assert_int_equal(c.files, 2005);
    assert_int_equal(c.folders, 221);
    assert_true(text_is("t/7/3/33", "t/7/3/33"));
    assert_int_equal(look("t/7/3").st_mode, S_IFDIR | 0755);
    assert_int_equal(look("t/7/3").st_mtim.tv_nsec, 123456789);
    assert_int_equal(look("t/3/big").st_size, 20000);
    assert_false(any_temporary());
  }
}

/* Can a file of that size be made here? */
static bool fits(off_t size) {
  int fd = openat(root_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  bool yes = fd >= 0 && ftruncate(fd, size) == 0;
  hf_closep(&fd);
  return yes;
}

static void no_such_size(void **state) {
  (void)state;
  /* A size the file system does not take is a problem of the file, not the end of the restore. */
  const bool refused = !fits(9223372036854775000); /* tmpfs takes whatever there is */
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  struct item i = {.type = '0', .path = "huge", .mode = 0600, .size = 3, .extra = "size=9223372036854775000\0"};
  head(&b, &i, 3);
  struct hf_extract *x = begin(false, &t);
  if (refused) {
    slice(x, &b);
    assert_int_equal(hf_extract_data(x, "huge", 4, 0, "abc", 3, NULL), 0);
  }
  assert_int_equal(hf_extract_data(x, "far", 3, UINT64_MAX - 10, "abc", 3, NULL), 0);
  end(x, NULL);
  hf_buf_free(&b);
  assert_true(!refused || told(&t, "huge", "size"));
  assert_true(told(&t, "far", "cannot write"));
  assert_int_equal(t.n, refused ? 2 : 1);
  assert_true(gone("huge") && gone("far"));
  assert_false(any_temporary());
}

static void full_disk(void **state) {
  (void)state;
  /* A file system of 256 KiB in a mount namespace of this program's own. */
  HF_CLEANUP(hf_freep) char *root = hf_path_join(dir, "root");
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", root, "tmpfs", 0, "size=256k") < 0) {
    free(root);
    root = NULL;
    skip();
  }
  hf_closep(&root_fd);
  root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int how = 0; how < 3; how++) {
    struct told t;
    struct hf_error err = {0};
    struct hf_buf b = HF_BUF_INIT;
    char *data = hf_alloc(400000);
    struct hf_extract *x = begin(how == 1, &t);
    int rc = 0;
    if (how < 2) {
      add(&b, (struct item){.type = '0', .path = "full", .mode = 0600, .data = data, .size = 400000});
      rc = hf_extract_slice(x, b.data, b.len, &err);
    } else {
      rc = hf_extract_data(x, "full", 4, 0, data, 400000, &err);
    }
    assert_int_equal(rc, HOLDFAST_E_NO_SPACE);
    assert_non_null(strstr(err.msg, "full"));
    assert_int_equal(t.n, 0);
    hf_extract_free(x);
    assert_true(gone("full"));
    assert_false(any_temporary());
    free(data);
    hf_buf_free(&b);
  }
  hf_closep(&root_fd);
  assert_int_equal(umount2(root, MNT_DETACH), 0);
}

static void own_writer(void **state) {
  (void)state;
  /* What the backup half writes, this half reads: names, times, attributes, ACLs, holes. */
  static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
  static const char odd[] = {0, 10, (char)0xff, '='};
  const struct holdfast_xattr attrs[] = {{"user.odd", odd, sizeof odd}, {"system.posix_acl_access", acl, sizeof acl}};
  const struct holdfast_extent ext[] = {{65536, 4096}, {262144, 5}};
  static const char *const all[] = {"caf\xc3\xa9", "cafe\xcc\x81", "\xff\n", "plain"};
  static const int64_t when[] = {-1, -2, 0, 1234567890};
  struct told t;
  struct hf_buf b = HF_BUF_INIT;
  uint64_t data;
  for (size_t i = 0; i < HF_NELEM(all); i++) {
    struct holdfast_entry e = {.struct_size = sizeof e, .kind = HOLDFAST_FILE, .path = all[i], .size = 262149, .mode = 0640, .uid = geteuid(), .gid = getegid(), .mtime = when[i],
                               .mtime_nsec = 250000001, .xattrs = attrs, .n_xattrs = 2, .extents = ext, .n_extents = 2};
    assert_int_equal(hf_tar_head(&b, &e, &data, NULL), 0);
    assert_int_equal(data, 4101);
    for (uint64_t k = 0; k < data; k++) hf_buf_addc(&b, 'D');
    fill(&b);
    struct holdfast_entry l = {.struct_size = sizeof l, .kind = HOLDFAST_HARDLINK, .link = all[i], .mode = 0640, .mtime = when[i]};
    HF_CLEANUP(hf_freep) char *name = hf_asprintf("link to %s", all[i]);
    l.path = name;
    assert_int_equal(hf_tar_head(&b, &l, &data, NULL), 0);
  }
  run(false, &t, &b);
  for (int i = 0; i < t.n && i < 16; i++) print_error("%s: %s\n", t.path[i], t.what[i]);
  assert_int_equal(t.n, 0);
  for (size_t i = 0; i < HF_NELEM(all); i++) {
    HF_CLEANUP(hf_freep) char *name = hf_asprintf("link to %s", all[i]);
    struct stat st = look(all[i]);
    assert_int_equal(st.st_ino, look(name).st_ino);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(st.st_size, 262149);
    assert_true(st.st_blocks <= 32);
    assert_int_equal(st.st_mtim.tv_sec, when[i]);
    assert_int_equal(st.st_mtim.tv_nsec, 250000001);
    char got[64];
    int fd = openat(root_fd, all[i], O_RDONLY | O_CLOEXEC);
    assert_int_equal(fgetxattr(fd, "user.odd", got, sizeof got), sizeof odd);
    assert_memory_equal(got, odd, sizeof odd);
    assert_int_equal(fgetxattr(fd, "system.posix_acl_access", got, sizeof got), sizeof acl);
    assert_memory_equal(got, acl, sizeof acl);
    assert_int_equal(pread(fd, got, 8, 262143), 6);
    assert_memory_equal(got, "\0DDDDD", 6);
    close(fd);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {TEST(large), TEST(large_incomplete), TEST(sparse), TEST(deep), TEST(two_threads), TEST(no_such_size), TEST(own_writer), TEST(full_disk)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
