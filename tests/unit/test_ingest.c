/* test_ingest.c - the receiving end of a source: what a worker may say and what it may not, and the recipes that come of it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <fcntl.h>

#include "pipeline/ingest.h"
#include "store_support.h"

static struct hf_record_source rec;
#define CHUNK_SIZE 6000
static struct hf_ingest *g;
static const struct hf_emit *emit;

static void begin(const char *previous, size_t n, bool dry) {
  memset(&rec, 0, sizeof rec);
  rec.name = hf_strdup("web");
  struct hf_ingest_options o = {
      .store = store, .state = state, .audience = &audience, .rec = &rec, .previous = previous, .previous_n = n, .dry = dry};
  OK(hf_store_begin(store, &source, &e));
  g = hf_ingest_new(&o);
  emit = hf_ingest_emit(g);
}

static void end(void) {
  hf_ingest_free(g);
  g = NULL;
  free(rec.name);
  for (size_t i = 0; i < rec.n_streams; i++) free(rec.streams[i].name), free(rec.streams[i].format), free(rec.streams[i].recipe);
  free(rec.streams);
  for (size_t i = 0; i < rec.n_listed; i++) free(rec.problems[i].path), free(rec.problems[i].what), free(rec.problems[i].kind);
  free(rec.problems);
}

static size_t recipe_files(void) {
  HF_CLEANUP(hf_freep) char *dir = in_base("state/recipes");
  char cmd[100], c[] = "sh", a1[] = "-c";
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF_INIT;
  int code;
  snprintf(cmd, sizeof cmd, "ls %s | wc -l", dir);
  char *argv[] = {c, a1, cmd, NULL};
  OK(hf_run(argv, NULL, NULL, 0, &out, NULL, 30, &code, &e));
  return strtoul(out.data, NULL, 10);
}

static void entry_line(struct hf_buf *b, const char *path, uint32_t at, uint32_t span, uint64_t tail) {
  struct holdfast_entry x = {
      .kind = HOLDFAST_FILE, .path = path, .size = tail ? tail : 10, .mode = 0644, .mtime = 5, .ctime = 6, .inode = 7};
  hf_recipe_entry(b, &x, true, at, span, tail);
}

static int lines(const char *text) { return emit->lines(emit->ctx, text, strlen(text)); }

/* A tree of one group with two files and one large file. */
static void emit_tree(void) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  char p[CHUNK_SIZE];
  fill(p, sizeof p, 1);
  assert_int_equal(emit->stream_begin(emit->ctx, "tree", "tar", 0), 0);
  assert_int_equal(emit->bytes(emit->ctx, p, 1024), 0);
  assert_int_equal(emit->bytes(emit->ctx, p + 1024, 1024), 0);
  assert_int_equal(emit->cut(emit->ctx), 0);
  hf_buf_adds(&b, "c * * 0 2048\n");
  entry_line(&b, "a", 0, 1024, 0);
  entry_line(&b, "b", 1024, 1024, 0);
  assert_int_equal(lines(b.data), 0);
  assert_int_equal(emit->bytes(emit->ctx, p + 2048, 512), 0);
  assert_int_equal(emit->cut(emit->ctx), 0);
  hf_buf_clear(&b);
  hf_buf_adds(&b, "c * * 0 512\n");
  entry_line(&b, "large", 0, 512, 6000);
  assert_int_equal(lines(b.data), 0);
  assert_int_equal(emit->bulk_begin(emit->ctx, 4096), 0);
  assert_int_equal(emit->bulk(emit->ctx, p, 3000), 0);
  assert_int_equal(emit->bulk(emit->ctx, p, 3000), 0);
  assert_int_equal(emit->bulk_end(emit->ctx), 0);
}

/* Does the kept recipe parse, and how many entries does it have? */
static uint64_t parse(const char *text, size_t n, bool whole) {
  struct hf_recipe_reader r;
  struct hf_slice s;
  struct hf_recipe_entry x;
  int t;
  OK(hf_recipe_open(&r, text, n, &e));
  while ((t = hf_recipe_next(&r, &s, &x, &e)) > 0) continue;
  if (whole) assert_int_equal(t, 0);
  return r.elines;
}

static void tree(void **unused) {
  (void)unused;
  int fd = -1;
  const char *text = NULL;
  size_t n = 0;
  fresh(1);
  open_store(300, false);
  begin(NULL, 0, false);
  emit_tree();
  OK(emit->stream_end(emit->ctx));
  const struct hf_record_stream *st = &rec.streams[0];
  assert_int_equal(rec.n_streams, 1);
  assert_int_equal(st->size, 2048 + 512 + 6000);
  assert_int_equal(st->entries, 3);
  assert_int_equal(st->chunks, 4);
  assert_int_equal(st->n_recipe, 1);
  assert_string_equal(st->sha256, "");
  assert_null(hf_ingest_broken(g));
  hf_ingest_done(g);
  OK(hf_store_end(store, true, &e));
  OK(hf_store_flush(store, &e));
  assert_int_equal(recipe_files(), 1);
  OK(hf_ingest_keep(g, 7, &e));
  OK(hf_ingest_keep(g, 7, &e)); /* once is enough */
  OK(hf_state_commit(state, &e));
  struct hf_digest sum = st->recipe_sha256;
  uint64_t size = st->recipe_size;
  end();
  OK(hf_reuse_open(state, "web", audience.name, &fd, &text, &n, &e));
  assert_true(fd >= 0);
  assert_int_equal(n, size);
  struct hf_digest got;
  hf_sha256(text, n, &got);
  assert_true(hf_digest_eq(&got, &sum));
  assert_int_equal(parse(text, n, true), 3);

  /* Next time: all of it as it was, and nothing is stored. */
  size_t before = shelves[0].n;
  const char *body = strchr(strchr(text, '\n') + 1, '\n') + 1, *last = strstr(text, "\nend ") + 1;
  begin(text, n, false);
  assert_int_equal(emit->stream_begin(emit->ctx, "tree", "tar", 0), 0);
  assert_int_equal(emit->previous(emit->ctx, (uint64_t)(body - text), (uint64_t)(last - body)), 0);
  OK(emit->stream_end(emit->ctx));
  assert_true(hf_digest_eq(&rec.streams[0].recipe_sha256, &sum));
  assert_int_equal(rec.streams[0].entries, 3);
  assert_int_equal(rec.streams[0].size, 2048 + 512 + 6000);
  OK(hf_store_end(store, true, &e));
  OK(hf_store_flush(store, &e));
  assert_int_equal(shelves[0].n, before);
  end(); /* not kept: its file goes */
  assert_int_equal(recipe_files(), 1);

  /* What is not whole lines of the tree is no reuse. */
  const struct {
    uint64_t off, n;
  } wrong[] = {{(uint64_t)(body - text), 5},
               {(uint64_t)(body - text) + 1, (uint64_t)(last - body) - 1},
               {(uint64_t)(body - text), 0},
               {n, 1},
               {n + 1, 1},
               {0, n + 1},
               {1, UINT64_MAX},
               {0, (uint64_t)(last - text)}, /* the head */
               {(uint64_t)(body - text), n - (uint64_t)(body - text)} /* the end line */};
  for (size_t i = 0; i < HF_NELEM(wrong); i++) {
    begin(text, n, false);
    assert_int_equal(emit->stream_begin(emit->ctx, "tree", "tar", 0), 0);
    assert_int_equal(emit->previous(emit->ctx, wrong[i].off, wrong[i].n), HOLDFAST_E_FAILED);
    assert_non_null(strstr(hf_ingest_error(g)->msg, "broke the protocol"));
    end();
  }
  /* A chunk that the catalogue does not know any more: our side's error, not the worker's. */
  assert_int_equal(sqlite3_exec(state->db, "DELETE FROM chunks", NULL, NULL, NULL), SQLITE_OK);
  begin(text, n, false);
  assert_int_equal(emit->stream_begin(emit->ctx, "tree", "tar", 0), 0);
  assert_int_equal(emit->previous(emit->ctx, (uint64_t)(body - text), (uint64_t)(last - body)), HOLDFAST_E_NOT_FOUND);
  assert_non_null(hf_ingest_broken(g));
  end();
  hf_reuse_close(fd, text, n);
  done();
}

static void raw(void **unused) {
  (void)unused;
  fresh(1);
  open_store(300, false);
  begin(NULL, 0, false);
  HF_CLEANUP(hf_freep) char *p = hf_alloc(3 << 20);
  fill(p, 3 << 20, 4);
  assert_int_equal(emit->stream_begin(emit->ctx, "dump", "raw", 0), 0);
  assert_int_equal(emit->bulk_begin(emit->ctx, 0), 0);
  for (size_t i = 0; i < 3; i++) assert_int_equal(emit->bulk(emit->ctx, p + (i << 20), 1 << 20), 0);
  assert_int_equal(emit->bulk_end(emit->ctx), 0);
  OK(emit->stream_end(emit->ctx));
  struct hf_digest d;
  char hex[HF_SHA256_HEX];
  hf_sha256(p, 3 << 20, &d);
  hf_digest_hex(&d, hex);
  assert_string_equal(rec.streams[0].sha256, hex);
  assert_int_equal(rec.streams[0].size, 3 << 20);
  /* A second stream in the same source. */
  assert_int_equal(emit->stream_begin(emit->ctx, "empty", "raw", 0), 0);
  OK(emit->stream_end(emit->ctx));
  assert_int_equal(rec.streams[1].size, 0);
  assert_int_equal(rec.n_streams, 2);
  end();
  done();
}

/* Each thing a worker may not do, in the state in which it may not do it. */
static int try(int n, const char **what) {
  void *c = emit->ctx;
  char p[100] = {0};
  HF_CLEANUP(hf_freep) char *big = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
#define WITH_TREE if (emit->stream_begin(c, "tree", "tar", 0) != 0) return 1
#define WITH_RAW if (emit->stream_begin(c, "raw", "raw", 0) != 0) return 1
#define WITH_GROUP WITH_TREE; if (emit->bytes(c, p, 100) != 0 || emit->cut(c) != 0) return 1
  switch (n) {
  case 0: WITH_TREE; *what = "stream within a stream"; return emit->stream_begin(c, "x", "tar", 0);
  case 1: *what = "unknown stream format"; return emit->stream_begin(c, "x", "zip", 0);
  case 2: *what = "stream's name"; return emit->stream_begin(c, "a/b", "tar", 0);
  case 3: *what = "stream's name"; return emit->stream_begin(c, "..", "tar", 0);
  case 4: *what = "stream's name"; return emit->stream_begin(c, "", "tar", 0);
  case 5: WITH_RAW; if (emit->stream_end(c) != 0) return 1; *what = "same name"; return emit->stream_begin(c, "raw", "raw", 0);
  case 6: *what = "outside a tree"; return emit->bytes(c, p, 1);
  case 7: WITH_RAW; *what = "outside a tree"; return emit->bytes(c, p, 1);
  case 8: WITH_TREE; *what = "larger than a chunk"; big = hf_alloc(HF_CHUNK_MAX); return emit->bytes(c, big, HF_CHUNK_MAX) != 0 ? 1 : emit->bytes(c, p, 1);
  case 9: WITH_TREE; *what = "empty group"; return emit->cut(c);
  case 10: *what = "empty group"; return emit->cut(c);
  case 11: *what = "outside a tree"; return lines("c * * 0 1\n");
  case 12: WITH_TREE; *what = "half a recipe line"; return lines("c * * 0 1");
  case 13: WITH_TREE; *what = "outside its group"; return lines("c * * 0 1\n"); /* no group was cut */
  case 14: WITH_GROUP; *what = "outside its group"; return lines("c * * 0 101\n");
  case 15: WITH_GROUP; *what = "outside its group"; return lines("c * * 101 1\n");
  case 16: WITH_GROUP; *what = "outside its group"; return lines("c * * 0 0\n");
  case 17: WITH_GROUP; *what = "outside its group"; return lines("c * * 1 18446744073709551615\n");
  case 18: WITH_GROUP; *what = "malformed slice"; return lines("c * * 0 1 2\n");
  case 19: WITH_GROUP; *what = "malformed slice"; return lines("c * * x\n");
  case 20: WITH_GROUP; *what = "bad CHUNKID"; return lines("c 1234 10 0 10\n");
  case 21: WITH_TREE; *what = "no e line"; return lines("x\n");
  case 22: WITH_TREE; *what = "bad KIND"; return lines("e z\n");
  case 23: WITH_TREE; *what = "no e line"; return lines("\n");
  case 24: *what = "outside a tree"; return emit->previous(c, 0, 1);
  case 25: *what = "wrong place"; return emit->bulk_begin(c, 0);
  case 26: WITH_TREE; if (emit->bulk_begin(c, 0) != 0) return 1; *what = "wrong place"; return emit->bulk_begin(c, 0);
  case 27: WITH_TREE; if (emit->bytes(c, p, 1) != 0) return 1; *what = "wrong place"; return emit->bulk_begin(c, 0);
  case 28: WITH_TREE; *what = "4 KiB to 4 MiB"; return emit->bulk_begin(c, 4095);
  case 29: WITH_TREE; *what = "4 KiB to 4 MiB"; return emit->bulk_begin(c, HF_CHUNK_MAX + 1);
  case 30: WITH_TREE; *what = "wrong place"; return emit->bulk(c, p, 1);
  case 31: WITH_TREE; *what = "wrong place"; return emit->bulk_end(c);
  case 32: *what = "distrust outside"; return emit->distrust(c);
  case 33: WITH_RAW; *what = "distrust outside"; return emit->distrust(c);
  case 34: *what = "middle of its data"; return emit->stream_end(c);
  case 35: WITH_TREE; if (emit->bytes(c, p, 1) != 0) return 1; *what = "middle of its data"; return emit->stream_end(c);
  case 36: WITH_RAW; if (emit->bulk_begin(c, 0) != 0) return 1; *what = "middle of its data"; return emit->stream_end(c);
  case 37: WITH_TREE; if (emit->bulk_begin(c, 0) != 0) return 1; *what = "outside a tree"; return lines("c * * 0 1\n");
  default: *what = NULL; return 0;
  }
}

static void violations(void **unused) {
  (void)unused;
  const char *what = "";
  int n = 0;
  fresh(1);
  for (; what; n++) {
    open_store(300, false);
    begin(NULL, 0, false);
    int r = try(n, &what);
    if (what) {
      if (r != HOLDFAST_E_FAILED) fail_msg("case %d (%s): %d", n, what, r);
      const struct hf_error *why = hf_ingest_error(g);
      assert_int_equal(strncmp(why->msg, "the source's worker broke the protocol: ", 40), 0);
      if (!strstr(why->msg, what)) fail_msg("case %d: %s, and not: %s", n, why->msg, what);
      assert_null(hf_ingest_broken(g)); /* the source's own fault: the others go on */
    }
    end();
    hf_store_close(store);
    store = NULL;
    hf_state_rollback(state, NULL);
  }
  assert_int_equal(n, 39);
  assert_int_equal(recipe_files(), 0); /* nothing is left behind */
  done();
}

static void problems(void **unused) {
  (void)unused;
  fresh(1);
  open_store(300, false);
  begin(NULL, 0, false);
  for (unsigned i = 0; i < HF_PROBLEMS_LISTED + 5; i++)
    assert_int_equal(emit->problem(emit->ctx, "some/path", HOLDFAST_E_AUTH, "not allowed"), 0);
  assert_int_equal(rec.n_problems, HF_PROBLEMS_LISTED + 5);
  assert_int_equal(rec.n_listed, HF_PROBLEMS_LISTED);
  assert_string_equal(rec.problems[HF_PROBLEMS_LISTED - 1].path, "some/path");
  assert_string_equal(rec.problems[0].kind, hf_status_name(HOLDFAST_E_AUTH));
  assert_int_equal(emit->progress(emit->ctx, "p", 1, 2, 3), 0);
  end();
  done();
}

/* A file that turned out bad is read again next time. */
static void distrust(void **unused) {
  (void)unused;
  int fd = -1;
  const char *text;
  size_t n;
  fresh(1);
  open_store(300, false);
  begin(NULL, 0, false);
  emit_tree();
  assert_int_equal(emit->distrust(emit->ctx), 0);
  OK(emit->stream_end(emit->ctx));
  OK(hf_store_end(store, true, &e));
  OK(hf_store_flush(store, &e));
  OK(hf_ingest_keep(g, 1, &e));
  end();
  OK(hf_reuse_open(state, "web", audience.name, &fd, &text, &n, &e));
  const char *large = strstr(text, " large ");
  assert_non_null(large);
  while (large[-1] != '\n') large--;
  assert_non_null(strstr(large, " 5.000000000 ! 7 "));
  assert_int_equal(parse(text, n, true), 3);
  hf_reuse_close(fd, text, n);
  /* When its line has gone into a chunk already, the whole recipe is not kept. */
  begin(NULL, 0, false);
  emit_tree();
  HF_CLEANUP(hf_buf_free) struct hf_buf many = HF_BUF_INIT;
  assert_int_equal(emit->bytes(emit->ctx, "x", 1), 0);
  assert_int_equal(emit->cut(emit->ctx), 0);
  while (many.len < 300 * 1024) hf_buf_adds(&many, "c * * 0 1\n");
  assert_int_equal(lines(many.data), 0);
  assert_int_equal(emit->distrust(emit->ctx), 0);
  OK(emit->stream_end(emit->ctx));
  OK(hf_ingest_keep(g, 2, &e));
  assert_int_equal(rec.streams[0].entries, 3);
  end();
  OK(hf_reuse_open(state, "web", audience.name, &fd, &text, &n, &e));
  assert_true(fd >= 0); /* the one from before */
  hf_reuse_close(fd, text, n);
  assert_int_equal(recipe_files(), 1);
  done();
}

static void dry(void **unused) {
  (void)unused;
  fresh(1);
  open_store(300, true);
  begin(NULL, 0, true);
  emit_tree();
  OK(emit->stream_end(emit->ctx));
  assert_int_equal(rec.streams[0].entries, 3);
  assert_int_equal(shelves[0].n, 0);
  HF_CLEANUP(hf_freep) char *dir = in_base("state/recipes");
  assert_int_equal(access(dir, F_OK), -1);
  end();
  done();
}

/* Our own side breaks: it is said whose fault it is. */
static void own_side(void **unused) {
  (void)unused;
  fresh(1);
  open_store(300, false);
  begin(NULL, 0, false);
  HF_CLEANUP(hf_freep) char *dir = in_base("state/recipes");
  assert_int_equal(symlink("/nonexistent/folder", dir), 0);
  assert_true(emit->stream_begin(emit->ctx, "tree", "tar", 0) < 0);
  assert_non_null(hf_ingest_broken(g));
  assert_non_null(strstr(hf_ingest_broken(g)->msg, "recipes"));
  end();
  unlink(dir);
  begin(NULL, 0, false);
  assert_int_equal(emit->stream_begin(emit->ctx, "tree", "tar", 0), 0);
  assert_int_equal(emit->bytes(emit->ctx, "some bytes", 10), 0);
  assert_int_equal(sqlite3_exec(state->db, "DROP TABLE chunks", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(emit->cut(emit->ctx), HOLDFAST_E_FAILED);
  assert_non_null(hf_ingest_broken(g));
  assert_non_null(strstr(hf_ingest_broken(g)->msg, "state database"));
  end();
  done();
}

/* ---- reuse of a recipe some of whose chunks are gone ---- */

enum { A, B, C, D, E, F, N_CHUNKS };
static const uint32_t lengths[N_CHUNKS] = {2048, 1024, 512, 3000, 2000, 1024};

static struct hf_digest name_of(int i) {
  struct hf_digest d;
  hf_sha256(&i, sizeof i, &d);
  return d;
}

/* The recipe without what leans on chunk `gone` (-1: all of it; end line only then). */
static void compose(struct hf_buf *b, int gone) {
  hf_recipe_begin(b, "tree", "tar");
  for (int i = 0; i < N_CHUNKS; i++) {
    struct hf_slice s = {.id = name_of(i), .chunk_len = lengths[i], .length = lengths[i]};
    bool large_gone = gone == D || gone == E || gone == C;
    bool is_gone = i == gone || (large_gone && (i == D || i == E));
    if (is_gone) continue;
    hf_recipe_slice(b, &s);
    if (i == A) entry_line(b, "a1", 0, 1024, 0), entry_line(b, "a2", 1024, 1024, 0);
    if (i == B) entry_line(b, "b", 0, 1024, 0);
    if (i == C && !large_gone) entry_line(b, "large", 0, 512, 5000);
    if (i == F) entry_line(b, "z", 0, 1024, 0);
  }
  if (gone < 0) hf_recipe_end(b, 2048 + 1024 + 512 + 5000 + 1024, 6, 5);
}

static void partial_reuse(void **unused) {
  (void)unused;
  for (int gone = -1; gone < N_CHUNKS; gone++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf all = HF_BUF_INIT, want = HF_BUF_INIT;
    HF_CLEANUP(hf_freep) char *path = NULL;
    struct hf_digest sum;
    const char *text = NULL;
    size_t n = 0;
    int fd = -1;
    int64_t row;
    fresh(0);
    for (int i = 0; i < N_CHUNKS; i++) {
      struct hf_digest id = name_of(i);
      OK(hf_state_pack_begin(state, HF_PACK_DATA, "web", "aa", &row, &e));
      OK(hf_state_chunk_add(state, &id, row, 512, lengths[i], &e));
      if (i == gone) OK(hf_state_pack_forget(state, row, &e));
    }
    compose(&all, -1);
    compose(&want, gone);
    assert_int_equal(parse(all.data, all.len, true), 5);
    OK(hf_state_recipe_create(state, &fd, &path, &e));
    OK(hf_write_all(fd, all.data, all.len, &e));
    close(fd);
    hf_sha256(all.data, all.len, &sum);
    OK(hf_state_recipe_keep(state, path, "web", "tree", "aa", &sum, 3, &e));
    OK(hf_reuse_open(state, "web", "bb", &fd, &text, &n, &e)); /* for others it was not made */
    assert_int_equal(fd, -1);
    OK(hf_reuse_open(state, "web", "aa", &fd, &text, &n, &e));
    assert_true(fd >= 0);
    if (n != want.len || memcmp(text, want.data, n) != 0) fail_msg("without chunk %d:\n%.*s", gone, (int)n, text);
    hf_reuse_close(fd, text, n);
    done();
  }
}

int main(void) {
#define TEST(f) cmocka_unit_test(f)
  const struct CMUnitTest tests[] = {TEST(tree),     TEST(raw), TEST(violations), TEST(problems),
                                     TEST(distrust), TEST(dry), TEST(own_side),   TEST(partial_reuse)};
  return cmocka_run_group_tests(tests, keys_set_up, keys_tear_down);
}
