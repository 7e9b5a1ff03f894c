/* test_tree.c - the tree builder: groups, reuse, large files, streams, and sources that misbehave.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tree_support.h"

#include <time.h>

#define OPENED 2000000000 /* after all times in here */

static struct mem_store store;

static int teardown(void **state) {
  (void)state;
  mem_store_free(&store);
  return 0;
}

static struct mem_entry *add(struct mem_source *s, uint32_t kind, const char *path, uint64_t size) {
  s->v = hf_realloc(s->v, (s->n + 1) * sizeof *s->v);
  struct mem_entry *m = &s->v[s->n++];
  *m = (struct mem_entry){.seed = (uint32_t)s->n};
  snprintf(m->path, sizeof m->path, "%s", path);
  m->e.kind = kind;
  m->e.size = size;
  m->e.mode = kind == HOLDFAST_DIR ? 0755 : 0644;
  m->e.mtime = 1700000000;
  m->e.mtime_nsec = 123456789;
  m->e.ctime = 1700000000;
  m->e.ctime_nsec = 5;
  m->e.inode = 1000 + s->n;
  if (kind == HOLDFAST_SYMLINK) m->e.link = "where it points";
  return m;
}

static void change(struct mem_entry *m) {
  m->seed += 7919;
  m->e.ctime++;
}

static int by_path(const void *a, const void *b) {
  const struct mem_entry *x = a, *y = b;
  return hf_path_cmp(x->path, strlen(x->path), y->path, strlen(y->path));
}

static void fill(struct mem_source *s, unsigned folders, unsigned files) {
  char path[100];
  for (unsigned i = 0; i < folders; i++) {
    snprintf(path, sizeof path, "folder %03u", i);
    add(s, HOLDFAST_DIR, path, 0);
    for (unsigned k = 0; k < files; k++) {
      snprintf(path, sizeof path, "folder %03u/file-%04u", i, k);
      add(s, HOLDFAST_FILE, path, (i * 37 + k * 101) % 3000);
    }
  }
}

/* A run that must work; the stream must be what a run without any memory gives. */
static void must_run(struct mem_source *s, struct mem_run *r, struct hf_tree_counts *counts) {
  struct hf_error err = {0};
  if (mem_backup(s, r, OPENED, counts, &err) != 0) fail_msg("%s", err.msg);
  assert_false(r->in_stream);
}

static void same_as_whole(struct mem_source *s, const struct mem_run *r) {
  struct mem_store other = {0};
  struct mem_run whole;
  struct hf_buf a = HF_BUF_INIT, b = HF_BUF_INIT;
  unsigned opens = s->opens;
  mem_run_init(&whole, &other, NULL);
  must_run(s, &whole, NULL);
  mem_stream(&store, &r->recipe, &a);
  mem_stream(&other, &whole.recipe, &b);
  assert_int_equal(a.len, b.len);
  assert_memory_equal(a.data, b.data, a.len);
  s->opens = opens;
  hf_buf_free(&a);
  hf_buf_free(&b);
  mem_run_free(&whole);
  mem_store_free(&other);
}

static void unchanged_is_one_range(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second;
  struct hf_tree_counts c;
  fill(&s, 40, 50);
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, &c);
  assert_int_equal(c.files, 2000);
  assert_int_equal(c.folders, 40);
  assert_int_equal(c.reused, 0);
  assert_int_equal(s.opens, 2040);
  assert_true(first.cuts > 10 && first.cuts < 200);
  same_as_whole(&s, &first);

  mem_run_init(&second, &store, &first.recipe);
  store.fresh = 0;
  must_run(&s, &second, &c);
  assert_int_equal(c.reused, 2040);
  assert_int_equal(s.opens, 0);
  assert_int_equal(c.read, 0);
  assert_int_equal(second.ranges, 1);
  assert_int_equal(second.line_calls, 1); /* the archive's end */
  assert_int_equal(store.fresh, 0);
  assert_int_equal(second.recipe.len, first.recipe.len);
  assert_memory_equal(second.recipe.data, first.recipe.data, first.recipe.len);
  mem_run_free(&first);
  mem_run_free(&second);
  free(s.v);
}

static void one_change_reads_one_entry(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second, third;
  struct hf_tree_counts c;
  fill(&s, 40, 50);
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, NULL);
  change(&s.v[1000]);
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, &c);
  assert_int_equal(c.reused + s.opens, 2040);
  assert_true(s.opens >= 1 && s.opens < 400); /* one, or its window when that would be ragged */
  assert_int_equal(s.v[1000].opened, 1);
  same_as_whole(&s, &second);
  /* And now nothing again. */
  mem_run_init(&third, &store, &second.recipe);
  must_run(&s, &third, &c);
  assert_int_equal(s.opens, 0);
  assert_int_equal(third.recipe.len, second.recipe.len);
  assert_memory_equal(third.recipe.data, second.recipe.data, second.recipe.len);
  mem_run_free(&first);
  mem_run_free(&second);
  mem_run_free(&third);
  free(s.v);
}

/* Groups of a run that knows nothing and of one that knows nearly all are cut at the same places. */
static void a_lost_recipe_costs_no_storage(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second;
  fill(&s, 40, 50);
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, NULL);
  store.fresh = 0;
  mem_run_init(&second, &store, NULL);
  must_run(&s, &second, NULL);
  assert_int_equal(store.fresh, 0);
  mem_run_free(&first);
  mem_run_free(&second);
  free(s.v);
}

static uint32_t dice_state;
static uint32_t dice(uint32_t n) {
  dice_state = dice_state * 1664525u + 1013904223u;
  return (uint32_t)((uint64_t)(dice_state >> 1) * n >> 31);
}

static void random_entry(struct mem_source *s) {
  static const uint32_t kinds[] = {HOLDFAST_FILE, HOLDFAST_FILE,    HOLDFAST_FILE,     HOLDFAST_FILE,
                                   HOLDFAST_DIR,  HOLDFAST_SYMLINK, HOLDFAST_HARDLINK, HOLDFAST_FIFO,
                                   HOLDFAST_CHAR, HOLDFAST_SOCKET,  HOLDFAST_SOCKET};
  char path[150];
  int n = snprintf(path, sizeof path, "%c%u", "a bz\\\377"[dice(6)], dice(30));
  if (dice(2)) snprintf(path + n, sizeof path - (size_t)n, "/%c%u", "a-b\n."[dice(4)], dice(1000));
  for (size_t i = 0; i < s->n; i++)
    if (strcmp(s->v[i].path, path) == 0) return;
  uint32_t kind = kinds[dice(HF_NELEM(kinds))];
  uint64_t size = kind != HOLDFAST_FILE ? 0
                  : dice(40) == 0       ? HF_SMALL_MAX + dice(2000000)
                  : dice(5) == 0        ? dice(100000)
                                        : dice(2000);
  struct mem_entry *m = add(s, kind, path, size);
  m->seed = dice(1000000);
  m->e.inode = dice(1u << 30);
  if (kind == HOLDFAST_HARDLINK) m->e.link = "a1";
  if (dice(8) == 0) m->e.token = "a token";
}

/* Whatever happens to a tree between runs, its stream is that of a run that reads all. */
static void random_histories(void **state) {
  (void)state;
  for (unsigned seed = 1; seed <= 6; seed++) {
    struct mem_source s = {0};
    struct hf_buf last = HF_BUF_INIT;
    dice_state = seed;
    for (unsigned i = 0; i < 600; i++) random_entry(&s);
    for (unsigned round = 0; round < 8; round++) {
      struct mem_run r;
      struct hf_tree_counts c;
      qsort(s.v, s.n, sizeof *s.v, by_path);
      if (round == 5 && dice(2)) { /* not in order */
        struct mem_entry m = s.v[3];
        s.v[3] = s.v[s.n / 2];
        s.v[s.n / 2] = m;
      }
      mem_run_init(&r, &store, last.len ? &last : NULL);
      must_run(&s, &r, &c);
      assert_int_equal(c.files + c.folders + c.others, s.n);
      if (round > 0 && round < 6) assert_true(c.reused > 0); /* what was out of order ends reuse */
      same_as_whole(&s, &r);
      hf_buf_clear(&last);
      hf_buf_add(&last, r.recipe.data, r.recipe.len);
      mem_run_free(&r);
      for (unsigned i = dice(60); i > 0; i--) change(&s.v[dice((uint32_t)s.n)]);
      for (unsigned i = dice(60); i > 0; i--) {
        size_t k = dice((uint32_t)s.n);
        s.v[k] = s.v[--s.n];
      }
      for (unsigned i = dice(60); i > 0; i--) random_entry(&s);
    }
    hf_buf_free(&last);
    free(s.v);
    mem_store_free(&store);
  }
}

/* Files that disappear one by one leave chunks of which little is used: they are written anew before it gets too bad. */
static void ragged_windows_are_read_again(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run r;
  struct hf_tree_counts c;
  struct hf_buf last = HF_BUF_INIT;
  fill(&s, 10, 60);
  mem_run_init(&r, &store, NULL);
  must_run(&s, &r, NULL);
  hf_buf_add(&last, r.recipe.data, r.recipe.len);
  mem_run_free(&r);
  size_t kept = 0;
  for (size_t i = 0; i < s.n; i++)
    if (i % 3 == 0) s.v[kept++] = s.v[i];
  s.n = kept;
  mem_run_init(&r, &store, &last);
  must_run(&s, &r, &c);
  assert_true(s.opens > kept / 2);
  same_as_whole(&s, &r);
  hf_buf_clear(&last);
  hf_buf_add(&last, r.recipe.data, r.recipe.len);
  mem_run_free(&r);
  mem_run_init(&r, &store, &last);
  must_run(&s, &r, &c);
  assert_int_equal(c.reused, kept);
  mem_run_free(&r);
  hf_buf_free(&last);
  free(s.v);
}

static void sameness_must_be_believable(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second;
  struct hf_tree_counts c;
  add(&s, HOLDFAST_FILE, "a-plain", 10);
  add(&s, HOLDFAST_FILE, "b-racy", 10)->e.ctime = OPENED + 5;
  add(&s, HOLDFAST_FILE, "c-same-second", 10)->e.ctime = OPENED;
  s.v[2].e.ctime_nsec = 0;
  struct mem_entry *none = add(&s, HOLDFAST_FILE, "d-no-ctime", 10);
  none->e.ctime = none->e.ctime_nsec = 0;
  struct mem_entry *token = add(&s, HOLDFAST_FILE, "e-token-only", 10);
  token->e.ctime = token->e.ctime_nsec = 0;
  token->e.token = "v1";
  add(&s, HOLDFAST_FILE, "f-unstable", 10)->e.flags = HOLDFAST_UNSTABLE;
  static const int64_t before[] = {1, 1, 2}; /* seconds */
  static const uint32_t nsec[] = {0, 1, 0};
  for (size_t i = 0; i < 3; i++) {
    static const char *const names[] = {"g-same-two-seconds", "h-second-before", "i-two-seconds-before"};
    struct mem_entry *m = add(&s, HOLDFAST_FILE, names[i], 10);
    m->e.ctime = OPENED - before[i];
    m->e.ctime_nsec = nsec[i];
  }
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, NULL);
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, &c);
  const unsigned opened[] = {0, 1, 1, 1, 0, 1, 1, 0, 0};
  /* A window this small may be read whole, but what is not believable must be. */
  for (size_t i = 0; i < s.n; i++)
    if (opened[i]) assert_int_equal(s.v[i].opened, 1);
  mem_run_free(&first);
  mem_run_free(&second);
  /* Alone, each shows what it is. */
  for (size_t i = 0; i < s.n; i++) {
    struct mem_source one = {.v = &s.v[i], .n = 1};
    mem_run_init(&first, &store, NULL);
    must_run(&one, &first, NULL);
    mem_run_init(&second, &store, &first.recipe);
    must_run(&one, &second, NULL);
    assert_int_equal(one.opens, opened[i]);
    mem_run_free(&first);
    mem_run_free(&second);
  }
  free(s.v);
}

static void large_and_sparse(void **state) {
  (void)state;
  static const struct holdfast_extent runs[] = {{4096, 8192}, {1u << 20, 4096}};
  static const struct holdfast_extent odd[] = {{100, 200}, {4096, 700000}};
  struct mem_source s = {0};
  struct mem_run first, second;
  struct hf_tree_counts c;
  add(&s, HOLDFAST_FILE, "a-large", 3000001);
  add(&s, HOLDFAST_FILE, "b-small", 100);
  struct mem_entry *sparse = add(&s, HOLDFAST_FILE, "c-sparse", 2u << 20);
  sparse->e.extents = runs;
  sparse->e.n_extents = 2;
  struct mem_entry *hole = add(&s, HOLDFAST_FILE, "d-hole", 1u << 30);
  hole->e.extents = runs;
  hole->e.n_extents = 0;
  struct mem_entry *dense = add(&s, HOLDFAST_FILE, "e-dense", 1u << 20);
  dense->e.extents = odd;
  dense->e.n_extents = 2;
  struct mem_entry *pages = add(&s, HOLDFAST_FILE, "f-pages", 1u << 20);
  pages->e.fixed_chunk = 8192;
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, &c);
  assert_int_equal(first.bulks, 4);
  assert_int_equal(first.fixed, 8192);
  assert_int_equal(c.bytes, 3000001 + 100 + (2u << 20) + (1u << 30) + (2u << 20));
  assert_int_equal(c.read, 3000001 + 100 + 12288 + 700200 + (1u << 20));
  assert_int_equal(first.problems.n, 0);
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, &c);
  assert_int_equal(s.opens, 0);
  assert_int_equal(second.ranges, 1);
  mem_run_free(&second);
  /* The small one changes: the large ones stay where they are. */
  change(&s.v[1]);
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, &c);
  assert_int_equal(s.opens, 1);
  same_as_whole(&s, &second);
  mem_run_free(&first);
  mem_run_free(&second);
  free(s.v);
}

static bool complained(const struct mem_run *r, const char *path) {
  for (size_t i = 0; i < r->problems.n; i++)
    if (strncmp(r->problems.v[i], path, strlen(path)) == 0 && r->problems.v[i][strlen(path)] == ':') return true;
  return false;
}

static void faults_of_entries(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second;
  struct hf_tree_counts c;
  add(&s, HOLDFAST_FILE, "a-good", 1000);
  add(&s, HOLDFAST_FILE, "b-vanished", 1000)->fault = MEM_VANISHED;
  add(&s, HOLDFAST_FILE, "c-denied", 1000)->fault = MEM_DENIED;
  add(&s, HOLDFAST_FILE, "d-bad-sector", 1000)->fault = MEM_READ_ERROR;
  add(&s, HOLDFAST_FILE, "e-short", 1000)->fault = MEM_SHORT;
  add(&s, HOLDFAST_FILE, "f-changing", 1000)->fault = MEM_CHANGED;
  add(&s, HOLDFAST_FILE, "g-changed", 1000)->fault = MEM_CHANGED_ONCE;
  add(&s, HOLDFAST_FILE, "h-large-bad", 2000000)->fault = MEM_READ_ERROR;
  add(&s, HOLDFAST_FILE, "i-large-short", 2000000)->fault = MEM_SHORT;
  add(&s, HOLDFAST_FILE, "j-large-changing", 2000000)->fault = MEM_CHANGED;
  struct mem_entry *m = add(&s, HOLDFAST_FILE, "k-grown", 1000);
  m->fault = MEM_GROWN;
  m->late_size = 700000;
  m = add(&s, HOLDFAST_FILE, "l-lessened", 700000);
  m->fault = MEM_GROWN;
  m->late_size = 0;
  add(&s, HOLDFAST_FILE, "m-good", 1000);
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, &c);
  static const char *const bad[] = {"c-denied",    "d-bad-sector",  "e-short",         "f-changing",
                                    "h-large-bad", "i-large-short", "j-large-changing"};
  for (size_t i = 0; i < HF_NELEM(bad); i++) assert_true(complained(&first, bad[i]));
  assert_int_equal(first.problems.n, HF_NELEM(bad));
  assert_int_equal(c.problems, HF_NELEM(bad));
  assert_int_equal(first.distrusts, 3);
  assert_int_equal(s.v[4].opened, 4);
  assert_int_equal(s.v[5].opened, 4);
  assert_int_equal(s.v[6].opened, 2);
  assert_int_equal(c.files, 10); /* all but the vanished, the denied and the one of the small that could not be read */
  assert_null(strstr(first.recipe.data, "b-vanished"));
  assert_null(strstr(first.recipe.data, "d-bad-sector"));
  struct hf_buf stream = HF_BUF_INIT;
  mem_stream(&store, &first.recipe, &stream);
  assert_int_equal(stream.len % 512, 0);
  hf_buf_free(&stream);
  /* Nothing that had a problem is believed next time. */
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, &c);
  for (size_t i = 1; i <= 9; i++)
    if (i != 6) assert_true(s.v[i].opened > 0);
  assert_int_equal(second.problems.n, HF_NELEM(bad));
  mem_run_free(&first);
  mem_run_free(&second);
  free(s.v);
}

/* Metadata too large for the transfer buffer beside a file still goes through. */
static void large_headers(void **state) {
  (void)state;
  static char value[900000];
  memset(value, 'v', sizeof value);
  const struct holdfast_xattr x = {"user.big", value, sizeof value};
  struct mem_source s = {0};
  struct mem_run r;
  char path[20];
  for (unsigned i = 0; i < 6; i++) {
    snprintf(path, sizeof path, "f%u", i);
    struct mem_entry *m = add(&s, HOLDFAST_FILE, path, 200000);
    m->e.xattrs = &x;
    m->e.n_xattrs = 1;
  }
  mem_run_init(&r, &store, NULL);
  must_run(&s, &r, NULL);
  assert_int_equal(r.problems.n, 0);
  assert_int_equal(r.cuts, 7);
  mem_run_free(&r);
  free(s.v);
}

static void streams(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run r;
  struct hf_tree_counts c;
  struct hf_buf out = HF_BUF_INIT;
  add(&s, HOLDFAST_FILE, "file", 10);
  struct mem_entry *m = add(&s, HOLDFAST_STREAM, "dump.sql", HOLDFAST_SIZE_UNKNOWN);
  m->late_size = 2500000;
  mem_run_init(&r, &store, NULL);
  s.read_max = 100000;
  must_run(&s, &r, &c);
  assert_int_equal(r.streams, 2);
  assert_string_equal(r.name, "dump.sql");
  assert_int_equal(c.read, 2500010);
  mem_stream(&store, &r.raw_recipe, &out);
  assert_int_equal(out.len, 2500000);
  for (size_t i = 0; i < out.len; i += 997) assert_int_equal(out.data[i], mem_byte(m->seed, i));
  mem_run_free(&r);
  hf_buf_clear(&out);
  /* A known size: the surplus is not read, too little is said. */
  s.v[1].e.size = 1000000;
  mem_run_init(&r, &store, NULL);
  must_run(&s, &r, NULL);
  mem_stream(&store, &r.raw_recipe, &out);
  assert_int_equal(out.len, 1000000);
  assert_int_equal(r.problems.n, 0);
  mem_run_free(&r);
  s.v[1].fault = MEM_SHORT;
  mem_run_init(&r, &store, NULL);
  must_run(&s, &r, NULL);
  assert_true(complained(&r, "dump.sql"));
  mem_run_free(&r);
  hf_buf_free(&out);
  free(s.v);
}

static void expect_failure(struct mem_source *s, int code, const char *words) {
  struct mem_run r;
  struct hf_error err = {0};
  mem_run_init(&r, &store, NULL);
  assert_int_equal(mem_backup(s, &r, OPENED, NULL, &err), code);
  assert_int_equal(err.code, code);
  if (!strstr(err.msg, words)) fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
  mem_run_free(&r);
  free(s->v);
  *s = (struct mem_source){0};
}

static void rules_broken(void **state) {
  (void)state;
  struct mem_source s = {0};
  add(&s, HOLDFAST_FILE, "../up", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "unsafe path");
  add(&s, HOLDFAST_FILE, "/etc", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "unsafe path");
  add(&s, HOLDFAST_FILE, "", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "without a path");
  add(&s, 77, "x", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "unknown kind");
  add(&s, HOLDFAST_HARDLINK, "x", 0)->e.link = "../../y";
  expect_failure(&s, HOLDFAST_E_FAILED, "hard link");
  add(&s, HOLDFAST_FILE, "x", 1)->e.mtime_nsec = 1000000000;
  expect_failure(&s, HOLDFAST_E_FAILED, "nanoseconds");
  add(&s, HOLDFAST_STREAM, "a/b", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "impossible name");
  add(&s, HOLDFAST_STREAM, "tree", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "impossible name");
  add(&s, HOLDFAST_STREAM, "x", 1);
  add(&s, HOLDFAST_STREAM, "x", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "two streams");
  add(&s, HOLDFAST_FILE, "a", 1);
  add(&s, HOLDFAST_STREAM, "x", 1);
  add(&s, HOLDFAST_FILE, "b", 1);
  expect_failure(&s, HOLDFAST_E_FAILED, "after the tree");
  add(&s, HOLDFAST_FILE, "a", 100)->fault = MEM_OVERFULL;
  expect_failure(&s, HOLDFAST_E_FAILED, "more than there was room");
  add(&s, HOLDFAST_FILE, "a", 100)->fault = MEM_FATAL;
  expect_failure(&s, HOLDFAST_E_FATAL, "a: cannot read");
  add(&s, HOLDFAST_STREAM, "a", 100)->fault = MEM_READ_ERROR;
  expect_failure(&s, HOLDFAST_E_FAILED, "a: cannot read");
  s.end = HOLDFAST_E_AUTH;
  expect_failure(&s, HOLDFAST_E_AUTH, "cannot list");
  s.end = 5;
  expect_failure(&s, HOLDFAST_E_FAILED, "next() returned 5");
  /* Sizes beyond all files are a problem of the entry. */
  add(&s, HOLDFAST_FILE, "a", UINT64_MAX - 5);
  struct mem_run r;
  mem_run_init(&r, &store, NULL);
  must_run(&s, &r, NULL);
  assert_true(complained(&r, "a"));
  mem_run_free(&r);
  free(s.v);
}

/* The receiver may fail at any event: the run ends with its status. */
static void receiver_fails(void **state) {
  (void)state;
  struct mem_source s = {0};
  fill(&s, 3, 20);
  add(&s, HOLDFAST_FILE, "large", 1500000);
  add(&s, HOLDFAST_STREAM, "dump", 1500000);
  for (int at = 1;; at++) {
    struct mem_run r;
    struct hf_error err = {0};
    mem_run_init(&r, &store, NULL);
    r.fail_at = at;
    int rc = mem_backup(&s, &r, OPENED, NULL, &err);
    bool reached = r.fail_at == 0;
    mem_run_free(&r);
    if (!reached) {
      assert_int_equal(rc, 0);
      assert_true(at > 10);
      break;
    }
    assert_int_equal(rc, HOLDFAST_E_NO_SPACE);
    assert_true(err.msg[0] != 0);
  }
  free(s.v);
}

/* A recipe that is damaged is used up to the damage, or not at all, and never gives another stream unless the damage is in
 * the lines taken over; here lines are cut, doubled and swapped. */
static void damaged_recipes(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first;
  fill(&s, 8, 15);
  add(&s, HOLDFAST_FILE, "large", 300000);
  add(&s, HOLDFAST_SOCKET, "socket", 0);
  qsort(s.v, s.n, sizeof *s.v, by_path);
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, NULL);
  for (size_t n = 0; n < first.recipe.len; n += 617) {
    struct mem_run r;
    struct hf_buf cut = HF_BUF_INIT;
    hf_buf_add(&cut, first.recipe.data, n);
    mem_run_init(&r, &store, &cut);
    must_run(&s, &r, NULL);
    same_as_whole(&s, &r);
    mem_run_free(&r);
    hf_buf_free(&cut);
  }
  /* Bytes of the head and of numbers at random: it must come to an end. */
  dice_state = 7;
  for (unsigned i = 0; i < 100; i++) {
    struct mem_run r;
    struct hf_error err = {0};
    struct hf_buf bad = HF_BUF_INIT;
    hf_buf_add(&bad, first.recipe.data, first.recipe.len);
    for (unsigned k = 0; k <= dice(3); k++) bad.data[dice((uint32_t)bad.len)] = "0 9\nce!-=\\"[dice(10)];
    mem_run_init(&r, &store, &bad);
    assert_int_equal(mem_backup(&s, &r, OPENED, NULL, &err), 0);
    mem_run_free(&r);
    hf_buf_free(&bad);
  }
  mem_run_free(&first);
  free(s.v);
}

static void nothing_at_all(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run r;
  mem_run_init(&r, &store, NULL);
  must_run(&s, &r, NULL);
  assert_int_equal(r.streams, 0);
  mem_run_free(&r);
}

/* A window is bounded by entries, too. */
static void many_empty_entries(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second;
  char path[30];
  for (unsigned i = 0; i < 5000; i++) {
    snprintf(path, sizeof path, "s%05u", i);
    add(&s, HOLDFAST_SOCKET, path, 0);
  }
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, NULL);
  assert_int_equal(first.cuts, 1);
  assert_int_equal(s.opens, 0);
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, NULL);
  assert_memory_equal(second.recipe.data, first.recipe.data, first.recipe.len);
  mem_run_free(&first);
  mem_run_free(&second);
  free(s.v);
}

/* A hard link that turns out to be a file of its own is stored as one, and looked at again next time. */
static void link_becomes_file(void **state) {
  (void)state;
  struct mem_source s = {0};
  struct mem_run first, second;
  struct hf_tree_counts c;
  static const uint64_t sizes[] = {1000, 700000};
  add(&s, HOLDFAST_FILE, "a", 1000);
  for (size_t i = 0; i < 2; i++) {
    struct mem_entry *m = add(&s, HOLDFAST_HARDLINK, i == 0 ? "b" : "c", 0);
    m->e.link = "a";
    m->fault = MEM_OWN_FILE;
    m->late_size = sizes[i];
  }
  add(&s, HOLDFAST_FILE, "d", 1000);
  mem_run_init(&first, &store, NULL);
  must_run(&s, &first, &c);
  assert_int_equal(first.problems.n, 0);
  assert_int_equal(c.files, 4);
  assert_int_equal(c.bytes, 703000);
  assert_null(strstr(first.recipe.data, "\ne h "));
  assert_non_null(strstr(first.recipe.data, " b - "));
  struct hf_buf stream = HF_BUF_INIT;
  mem_stream(&store, &first.recipe, &stream);
  assert_true(stream.len > 703000);
  hf_buf_free(&stream);
  mem_run_init(&second, &store, &first.recipe);
  must_run(&s, &second, &c);
  for (size_t i = 0; i < s.n; i++) assert_int_equal(s.v[i].opened > 0, i == 1 || i == 2);
  mem_run_free(&first);
  mem_run_free(&second);
  free(s.v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unchanged_is_one_range),
      cmocka_unit_test(one_change_reads_one_entry),
      cmocka_unit_test(a_lost_recipe_costs_no_storage),
      cmocka_unit_test(random_histories),
      cmocka_unit_test(ragged_windows_are_read_again),
      cmocka_unit_test(sameness_must_be_believable),
      cmocka_unit_test(large_and_sparse),
      cmocka_unit_test(faults_of_entries),
      cmocka_unit_test(large_headers),
      cmocka_unit_test(streams),
      cmocka_unit_test(rules_broken),
      cmocka_unit_test(receiver_fails),
      cmocka_unit_test(damaged_recipes),
      cmocka_unit_test(nothing_at_all),
      cmocka_unit_test(link_becomes_file),
      cmocka_unit_test(many_empty_entries),
  };
  return cmocka_run_group_tests_name("tree", tests, NULL, teardown);
}
