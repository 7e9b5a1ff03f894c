/* extract_support.h - for the tests of the extractor: tar bytes made by hand, what was told, what is on the disk.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TESTS_EXTRACT_SUPPORT_H
#define HF_TESTS_EXTRACT_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "stream/extract.h"
#include "unit.h"

static char dir[] = "/tmp/holdfast-extract-XXXXXX";
static int root_fd = -1;

/* ---- making tar bytes ---- */

struct item {
  char type;        /* '0' '1' '2' '3' '4' '5' '6' */
  const char *path, *link;
  const void *data;
  size_t size;
  const char *extra; /* further pax records, "key=value" each with a NUL behind, one more at the end; values without NUL */
  const void *cap;   /* 20 bytes for security.capability */
  unsigned mode, uid, gid, major, minor;
};

static inline void record(struct hf_buf *b, const char *key, const void *value, size_t n) {
  size_t body = strlen(key) + n + 3, len = body + 1;
  while (len != body + (size_t)snprintf(NULL, 0, "%zu", len)) len++;
  hf_buf_addf(b, "%zu %s=", len, key);
  hf_buf_add(b, value, n);
  hf_buf_addc(b, '\n');
}

static inline void fill(struct hf_buf *b) {
  while (b->len % 512) hf_buf_addc(b, 0);
}

static inline void header(struct hf_buf *b, char type, const struct item *i, size_t size) {
  char h[512] = {0};
  snprintf(h, 100, "%.99s", "x");
  snprintf(h + 100, 8, "%07o", i->mode);
  snprintf(h + 108, 8, "%07o", i->uid);
  snprintf(h + 116, 8, "%07o", i->gid);
  snprintf(h + 124, 12, "%011zo", size);
  snprintf(h + 136, 12, "%011o", 1000000000u);
  h[156] = type;
  if (i->link) snprintf(h + 157, 100, "%s", "x"); /* libarchive wants some name here, the pax header has the real one */
  memcpy(h + 257, "ustar\00000", 8);
  snprintf(h + 329, 8, "%07o", i->major);
  snprintf(h + 337, 8, "%07o", i->minor);
  unsigned sum = 8 * ' ';
  for (size_t k = 0; k < 512; k++) sum += (unsigned char)h[k];
  snprintf(h + 148, 7, "%06o", sum);
  h[155] = ' ';
  hf_buf_add(b, h, 512);
}

/* The headers of an entry, names and times in a pax header. */
static inline void head(struct hf_buf *b, const struct item *i, size_t size) {
  struct hf_buf pax = HF_BUF_INIT;
  record(&pax, "path", i->path, strlen(i->path));
  if (i->link) record(&pax, "linkpath", i->link, strlen(i->link));
  record(&pax, "mtime", "1234567890.123456789", 20);
  if (i->cap) record(&pax, "SCHILY.xattr.security.capability", i->cap, 20);
  for (const char *e = i->extra; e && *e; e += strlen(e) + 1) {
    const char *eq = strchr(e, '=');
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)(eq - e), e);
    record(&pax, key, eq + 1, strlen(eq + 1));
  }
  header(b, 'x', i, pax.len);
  hf_buf_add(b, pax.data, pax.len);
  fill(b);
  hf_buf_free(&pax);
  header(b, i->type, i, size);
}

static inline void add(struct hf_buf *b, struct item i) {
  if (!i.uid && geteuid() != 0) i.uid = geteuid(), i.gid = getegid();
  head(b, &i, i.size);
  hf_buf_add(b, i.data, i.size);
  fill(b);
}

static inline void add_file(struct hf_buf *b, const char *path, const char *text) {
  add(b, (struct item){.type = '0', .path = path, .data = text, .size = strlen(text), .mode = 0644});
}

static inline void add_dir(struct hf_buf *b, const char *path) { add(b, (struct item){.type = '5', .path = path, .mode = 0755}); }

/* ---- running ---- */

struct told {
  int n, lost;
  char path[16][300], what[16][400];
};

static inline void problem(void *ctx, const char *path, bool lost, const char *what) {
  struct told *t = ctx;
  if (t->n < 16) {
    snprintf(t->path[t->n], sizeof t->path[0], "%s", path);
    snprintf(t->what[t->n], sizeof t->what[0], "%s", what);
  }
  t->n++;
  t->lost += lost;
}

static inline bool told(const struct told *t, const char *path, const char *what) {
  for (int i = 0; i < t->n && i < 16; i++)
    if (strcmp(t->path[i], path) == 0 && strstr(t->what[i], what)) return true;
  return false;
}

static inline struct hf_extract *begin(bool replace, struct told *t) {
  struct hf_extract_options o = {.replace = replace, .owner = geteuid() == 0, .spool_dir = dir, .problem = problem, .ctx = t};
  HF_CLEANUP(hf_freep) char *root = hf_path_join(dir, "root");
  struct hf_error err = {0};
  struct hf_extract *x = NULL;
  o.root = root;
  if (t) memset(t, 0, sizeof *t);
  if (!t) o.problem = NULL;
  assert_int_equal(hf_extract_open(&o, &x, &err), 0);
  return x;
}

static inline void end(struct hf_extract *x, struct hf_extract_counts *c) {
  struct hf_error err = {0};
  int rc = hf_extract_finish(x, c, &err);
  if (rc) print_error("%s\n", err.msg);
  assert_int_equal(rc, 0);
  hf_extract_free(x);
}

static inline void slice(struct hf_extract *x, const struct hf_buf *b) {
  struct hf_error err = {0};
  int rc = hf_extract_slice(x, b->data, b->len, &err);
  if (rc) print_error("%s\n", err.msg);
  assert_int_equal(rc, 0);
}

static inline struct hf_extract_counts run(bool replace, struct told *t, struct hf_buf *b) {
  struct hf_extract_counts c;
  struct hf_extract *x = begin(replace, t);
  slice(x, b);
  end(x, &c);
  hf_buf_free(b);
  return c;
}

/* ---- looking ---- */

static inline bool text_is(const char *path, const char *text) {
  char got[256] = {0};
  int fd = openat(root_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, got, sizeof got - 1);
  close(fd);
  return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

static inline struct stat look(const char *path) {
  struct stat st = {0};
  if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) st.st_mode = 0;
  return st;
}

static inline bool gone(const char *path) { return look(path).st_mode == 0; }

static inline void put(const char *path, const char *text) {
  int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

static inline bool any_temporary(void) {
  char cmd[400];
  snprintf(cmd, sizeof cmd, "test -n \"$(find %s -name '.holdfast-*' -print)\"", dir);
  return system(cmd) == 0;
}

static inline int setup(void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/holdfast-extract-XXXXXX");
  if (!mkdtemp(dir)) return -1;
  HF_CLEANUP(hf_freep) char *root = hf_path_join(dir, "root");
  if (mkdir(root, 0700) < 0) return -1;
  root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return root_fd < 0 ? -1 : 0;
}

static inline int teardown(void **state) {
  (void)state;
  hf_closep(&root_fd);
  return hf_remove_tree(dir, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
