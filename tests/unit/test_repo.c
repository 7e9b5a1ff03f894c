/* test_repo.c - indexes, records, ordinal sets, the chain, the texts.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/text.h"
#include "repo/repo.h"

#define OK(e) assert_ok((e), &err, #e)
static void assert_ok(int r, const struct hf_error *err, const char *what) {
  if (r < 0) fail_msg("%s: %d %s", what, r, err->msg);
}

#define REPO "00112233445566778899aabbccddeeff"
#define HEX1 "1111111111111111111111111111111111111111111111111111111111111111"
#define HEX2 "2222222222222222222222222222222222222222222222222222222222222222"
#define AUD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FPR "ABCDEF0123456789ABCDEF0123456789ABCDEF01"

/* ---- indexes ---- */

struct seen {
  size_t packs, chunks;
  char text[1000];
  size_t stop_at; /* chunk to refuse, 0 none */
};

static int on_pack(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err) {
  struct seen *s = ctx;
  (void)err;
  assert_int_equal(ordinal, s->packs);
  s->packs++;
  snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "P%d %s %s %d %d;", p->kind, p->source, p->audience,
           (int)p->stored, (int)p->raw);
  return 0;
}

static int on_chunk(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err) {
  struct seen *s = ctx;
  if (++s->chunks == s->stop_at) return hf_fail(err, HOLDFAST_E_CANCELED, "enough");
  snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "C%02x %u %u;", c->id.b[0], c->offset, c->length);
  return 0;
}

static int parse_index(const char *text, struct seen *s, struct hf_error *err) {
  struct hf_index_sink sink = {s, on_pack, on_chunk};
  memset(err, 0, sizeof *err);
  return hf_index_parse(text, strlen(text), REPO, &sink, err);
}

static void test_index(void **state) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT;
  struct seen s = {0};
  (void)state;
  struct hf_chunk_ref refs[2] = {{.offset = 512, .length = 100}, {.offset = 1536, .length = 1024}};
  struct hf_index_pack p = {.stored = 2000, .raw = 3584, .kind = HF_PACK_DATA, .source = "files", .audience = AUD};
  memset(refs[0].id.b, 0x11, 32);
  memset(refs[1].id.b, 0x22, 32);
  hf_index_begin(&b, REPO);
  hf_index_add(&b, &p, refs, 2);
  p.kind = HF_PACK_RECIPE;
  p.raw = 2048;
  hf_index_add(&b, &p, refs, 1);
  hf_index_end(&b, 2, 3);
  OK(parse_index(b.data, &s, &err));
  assert_string_equal(s.text, "P0 files " AUD " 2000 3584;C11 512 100;C22 1536 1024;P1 files " AUD " 2000 2048;C11 512 100;");
  s = (struct seen){.stop_at = 2};
  assert_int_equal(parse_index(b.data, &s, &err), HOLDFAST_E_CANCELED);
  assert_int_equal(s.chunks, 2);
  /* No prefix of it is an index. */
  char *copy = hf_strdup(b.data);
  for (size_t n = 0; n < b.len; n++) {
    struct hf_index_sink none = {0};
    copy[n] = '\0';
    assert_int_equal(hf_index_parse(copy, n, REPO, &none, &err), HOLDFAST_E_CORRUPT);
    copy[n] = b.data[n];
  }
  free(copy);
  /* An empty one is. */
  hf_buf_clear(&b);
  hf_index_begin(&b, REPO);
  hf_index_end(&b, 0, 0);
  OK(parse_index(b.data, &s, &err));
  hf_buf_free(&b);
}

#define HEAD "holdfast-index 1\nrepository " REPO "\n"
#define PACK "pack " HEX1 " 10 2048 data files " AUD "\n"
#define CHUNK "chunk " HEX1 " 512 100\n"

static void test_index_bad(void **state) {
  static const struct {
    const char *text;
    int status;
    const char *says;
  } bad[] = {
      {"holdfast-index 2\nrepository " REPO "\nend 0 0\n", HOLDFAST_E_UNSUPPORTED, "format"},
      {"holdfast-recipe 1\n", HOLDFAST_E_CORRUPT, "line 1"},
      {"holdfast-index 1\nrepository " AUD "\nend 0 0\n", HOLDFAST_E_CORRUPT, "another repository"},
      {HEAD CHUNK "end 0 1\n", HOLDFAST_E_CORRUPT, "before any pack"},
      {HEAD PACK "end 1 0\n", HOLDFAST_E_CORRUPT, "no chunks"},
      {HEAD PACK CHUNK "end 1 2\n", HOLDFAST_E_CORRUPT, "count"},
      {HEAD PACK CHUNK "end 2 1\n", HOLDFAST_E_CORRUPT, "count"},
      {HEAD PACK CHUNK "end 1 1\nmore\n", HOLDFAST_E_CORRUPT, "follows"},
      {HEAD PACK CHUNK "end 1 1", HOLDFAST_E_CORRUPT, "too early"},
      {HEAD PACK CHUNK CHUNK "end 1 2\n", HOLDFAST_E_CORRUPT, "line 5: a chunk where"},
      {HEAD PACK "chunk " HEX1 " 512 2000\nend 1 1\n", HOLDFAST_E_CORRUPT, "where none"},
      {HEAD PACK "chunk " HEX1 " 512 4294967295\nend 1 1\n", HOLDFAST_E_CORRUPT, "where none"},
      {HEAD PACK "chunk " HEX1 " 512 4294967296\nend 1 1\n", HOLDFAST_E_CORRUPT, "not a chunk"},
      {HEAD PACK "chunk " HEX1 " 0512 100\nend 1 1\n", HOLDFAST_E_CORRUPT, "not a chunk"},
      {HEAD PACK "chunk " HEX1 " 512 600\nend 1 1\n", HOLDFAST_E_CORRUPT, "do not fill"},
      {HEAD PACK "chunk " HEX1 " 512  100\nend 1 1\n", HOLDFAST_E_CORRUPT, "not a chunk"},
      {HEAD PACK "chunk AA" HEX1 " 512 100\nend 1 1\n", HOLDFAST_E_CORRUPT, "not a chunk"},
      {HEAD "pack " HEX1 " 0 2048 data files " AUD "\n" CHUNK "end 1 1\n", HOLDFAST_E_CORRUPT, "impossible"},
      {HEAD "pack " HEX1 " 10 2049 data files " AUD "\n" CHUNK "end 1 1\n", HOLDFAST_E_CORRUPT, "impossible"},
      {HEAD "pack " HEX1 " 10 99999999 data files " AUD "\n" CHUNK "end 1 1\n", HOLDFAST_E_CORRUPT, "not a pack"},
      {HEAD "pack " HEX1 " 10 2048 other files " AUD "\n" CHUNK "end 1 1\n", HOLDFAST_E_CORRUPT, "unknown kind"},
      {HEAD "pack " HEX1 " 10 2048 data ../etc " AUD "\n" CHUNK "end 1 1\n", HOLDFAST_E_CORRUPT, "not a pack"},
      {HEAD "pack " HEX1 " 10 2048 data files\n" CHUNK "end 1 1\n", HOLDFAST_E_CORRUPT, "not a pack"},
      {HEAD "peck\n", HOLDFAST_E_CORRUPT, "neither"},
  };
  struct hf_error err;
  (void)state;
  for (size_t i = 0; i < HF_NELEM(bad); i++) {
    struct seen s = {0};
    int r = parse_index(bad[i].text, &s, &err);
    if (r != bad[i].status || !strstr(err.msg, bad[i].says))
      fail_msg("case %zu: %d \"%s\", wanted \"%s\"", i, r, err.msg, bad[i].says);
  }
}

/* ---- records ---- */

static struct hf_record *sample(void) {
  struct hf_record *r = hf_alloc(sizeof *r);
  r->type = HF_RECORD_SNAPSHOT;
  r->seq = 12;
  memset(r->prev.b, 7, 32);
  memset(r->secret.b, 8, 32);
  strcpy(r->repo_id, REPO);
  r->id = hf_strdup(AUD);
  r->host = hf_strdup("web1");
  r->tool = hf_strdup("holdfast 0.1.0");
  r->time = 1790000000;
  r->label = hf_strdup("before the \"upgrade\"\n");
  r->n_sources = 2;
  r->sources = hf_allocn(2, sizeof *r->sources);
  struct hf_record_source *s = r->sources;
  s->name = hf_strdup("files");
  s->plugin = hf_strdup("files");
  s->version = hf_strdup("1.0");
  s->status = hf_strdup("partial");
  s->audience = hf_strdup(AUD);
  hf_list_add(&s->recipients, FPR);
  s->files = 1;
  s->folders = 2;
  s->others = 3;
  s->bytes = 4;
  s->bytes_read = 5;
  s->bytes_new = 6;
  s->bytes_stored = 7;
  s->n_problems = 2000;
  s->n_listed = 1;
  s->problems = hf_alloc(sizeof *s->problems);
  s->problems[0] = (struct hf_record_problem){hf_strdup("a/\xff b"), hf_strdup("cannot open"), hf_strdup("permission")};
  s->n_streams = 1;
  s->streams = hf_alloc(sizeof *s->streams);
  s->streams[0] = (struct hf_record_stream){.name = hf_strdup("tree"),
                                            .format = hf_strdup("tar"),
                                            .size = 10,
                                            .chunks = 3,
                                            .entries = 6,
                                            .recipe_size = 99,
                                            .n_recipe = 2};
  s->streams[0].recipe = hf_allocn(2, sizeof(struct hf_digest));
  memset(s->streams[0].recipe[1].b, 9, 32);
  s->state = json_pack("{s:i}", "lsn", 5);
  s->started = 100;
  s->finished = 200;
  s = &r->sources[1];
  s->name = hf_strdup("db");
  s->plugin = hf_strdup("postgres");
  s->version = hf_strdup("1.0");
  s->status = hf_strdup("failed");
  s->error = hf_strdup("no server");
  s->audience = hf_strdup(AUD);
  r->n_indexes = 1;
  r->indexes = hf_alloc(sizeof *r->indexes);
  r->indexes[0].packs = hf_strdup("0-3,5");
  return r;
}

static void test_record(void **state) {
  struct hf_error err = {0};
  struct hf_buf a = HF_BUF_INIT, b = HF_BUF_INIT;
  struct hf_record *r = sample(), *q = NULL;
  (void)state;
  hf_record_write(r, &a);
  OK(hf_record_parse(a.data, a.len, &q, &err));
  hf_record_write(q, &b);
  assert_string_equal(a.data, b.data);
  assert_int_equal(q->seq, 12);
  assert_string_equal(q->label, r->label);
  assert_string_equal(q->sources[0].problems[0].path, "a/\\377 b");
  assert_int_equal(q->sources[0].n_problems, 2000);
  assert_string_equal(q->sources[0].streams[0].sha256, "");
  assert_true(hf_digest_eq(&q->sources[0].streams[0].recipe[1], &r->sources[0].streams[0].recipe[1]));
  assert_int_equal(json_integer_value(json_object_get(q->sources[0].state, "lsn")), 5);
  assert_string_equal(q->sources[1].error, "no server");
  assert_int_equal(q->sources[1].n_streams, 0);
  /* One member or element a line, indented by depth: what recover.sh relies on. */
  assert_non_null(strstr(a.data, "\n \"type\": \"snapshot\",\n \"seq\": 12,\n"));
  assert_non_null(strstr(a.data, "\n   \"name\": \"files\",\n"));
  assert_non_null(strstr(a.data, "\n     \"recipe\": [\n      \"0000"));
  hf_record_free(r);
  hf_record_free(q);
  /* Another kind. */
  r = hf_alloc(sizeof *r);
  r->type = HF_RECORD_PRUNE;
  r->seq = 1;
  strcpy(r->repo_id, REPO);
  r->id = hf_strdup(AUD);
  r->host = hf_strdup("h");
  r->tool = hf_strdup("t");
  hf_list_add(&r->host_keys, FPR);
  r->extra = json_pack("{s:[s]}", "removed", "x");
  hf_buf_clear(&a);
  hf_record_write(r, &a);
  OK(hf_record_parse(a.data, a.len, &q, &err));
  assert_int_equal(q->type, HF_RECORD_PRUNE);
  assert_int_equal(q->host_keys.n, 1);
  assert_null(q->label);
  assert_string_equal(json_string_value(json_array_get(json_object_get(q->extra, "removed"), 0)), "x");
  hf_record_free(r);
  hf_record_free(q);
  hf_record_free(NULL);
  hf_buf_free(&a);
  hf_buf_free(&b);
}

/* One text of the sample replaced by another: the parser must say no, and what it is about. */
static void test_record_bad(void **state) {
  static const struct {
    const char *was, *is;
    int status;
    const char *says;
  } bad[] = {
      {"holdfast-record 1", "holdfast-record 2", HOLDFAST_E_UNSUPPORTED, "format"},
      {"holdfast-record 1", "other", HOLDFAST_E_CORRUPT, "format"},
      {"\"snapshot\"", "\"dance\"", HOLDFAST_E_UNSUPPORTED, "dance"},
      {"\"seq\": 12", "\"seq\": 0", HOLDFAST_E_CORRUPT, "seq"},
      {"\"seq\": 12", "\"seq\": -1", HOLDFAST_E_CORRUPT, "seq"},
      {"\"seq\": 12", "\"seq\": 10000000000", HOLDFAST_E_CORRUPT, "seq"},
      {"\"seq\": 12", "\"seq\": \"12\"", HOLDFAST_E_CORRUPT, "seq"},
      {"0707070707", "070707070", HOLDFAST_E_CORRUPT, "prev"},
      {REPO, "x", HOLDFAST_E_CORRUPT, "repository"},
      {"\"id\": \"aa", "\"id\": \"AA", HOLDFAST_E_CORRUPT, "\"id\""},
      {"\"web1\"", "\"../etc\"", HOLDFAST_E_CORRUPT, "host"},
      {"\"name\": \"files\"", "\"name\": \"../x\"", HOLDFAST_E_CORRUPT, "name"},
      {"\"name\": \"files\"", "\"name\": \"\"", HOLDFAST_E_CORRUPT, "name"},
      {"\"name\": \"files\"", "\"nome\": \"files\"", HOLDFAST_E_CORRUPT, "name"},
      {"\"name\": \"db\"", "\"name\": \"files\"", HOLDFAST_E_CORRUPT, "two sources"},
      {"\"name\": \"tree\"", "\"name\": \".hidden\"", HOLDFAST_E_CORRUPT, "stream 1"},
      {"\"format\": \"tar\"", "\"format\": \"zip\"", HOLDFAST_E_CORRUPT, "format"},
      {"\"partial\"", "\"fine\"", HOLDFAST_E_CORRUPT, "status"},
      {FPR, "abc", HOLDFAST_E_CORRUPT, "fingerprints"},
      {"0-3,5", "0-3,4", HOLDFAST_E_CORRUPT, "ordinals"},
      {"\"size\": 10", "\"size\": 1.5", HOLDFAST_E_CORRUPT, "size"},
      {"\"recipe\": [", "\"recipe\": [7,", HOLDFAST_E_CORRUPT, "recipe"},
      {"\"recipe_sha256\": \"", "\"recipe_sha256\": \"z", HOLDFAST_E_CORRUPT, "recipe_sha256"},
      {"\"sources\": [", "\"sources\": [5,", HOLDFAST_E_CORRUPT, "object"},
      {"\"problems\": [", "\"problems\": [5,", HOLDFAST_E_CORRUPT, "object"},
      {"\"time\": 1790000000", "\"time\": 1, \"time\": 2", HOLDFAST_E_CORRUPT, "uplicate"},
      {"{", "[", HOLDFAST_E_CORRUPT, "JSON"},
  };
  struct hf_error err;
  struct hf_buf a = HF_BUF_INIT;
  struct hf_record *r = sample(), *q = NULL;
  (void)state;
  hf_record_write(r, &a);
  for (size_t i = 0; i < HF_NELEM(bad); i++) {
    struct hf_buf b = HF_BUF_INIT;
    char *at = strstr(a.data, bad[i].was);
    assert_non_null(at);
    hf_buf_add(&b, a.data, (size_t)(at - a.data));
    hf_buf_adds(&b, bad[i].is);
    hf_buf_adds(&b, at + strlen(bad[i].was));
    memset(&err, 0, sizeof err);
    int s = hf_record_parse(b.data, b.len, &q, &err);
    if (s != bad[i].status || !strstr(err.msg, bad[i].says))
      fail_msg("case %zu: %d \"%s\", wanted \"%s\"", i, s, err.msg, bad[i].says);
    assert_null(q);
    hf_buf_free(&b);
  }
  assert_int_equal(hf_record_parse(a.data, a.len / 2, &q, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_record_parse("5", 1, &q, &err), HOLDFAST_E_CORRUPT);
  hf_record_free(r);
  hf_buf_free(&a);
}

/* ---- ordinals ---- */

static int collect(void *ctx, uint64_t ordinal) {
  struct hf_buf *b = ctx;
  hf_buf_addf(b, "%d ", (int)ordinal);
  return ordinal == 99 ? HOLDFAST_E_CANCELED : 0;
}

static void test_ranges(void **state) {
  static const struct {
    const char *text, *ordinals;
  } good[] = {{"", ""}, {"0", "0 "}, {"0-3,5,7-8", "0 1 2 3 5 7 8 "}, {"16777215", "16777215 "}};
  static const char *const bad[] = {
      "-", "1-", "-1", "1,", ",1", "1,1", "3,1", "1-1", "2-1", "0-1,2", "01", "1 ", "16777216", "0-99999999999999999999", "a"};
  struct hf_error err;
  struct hf_buf b = HF_BUF_INIT;
  unsigned char bits[3] = {0x8f, 0x01, 0x80};
  (void)state;
  for (size_t i = 0; i < HF_NELEM(good); i++) {
    hf_buf_clear(&b);
    hf_buf_adds(&b, "");
    OK(hf_ranges_each(good[i].text, collect, &b, &err));
    assert_string_equal(b.len ? b.data : "", good[i].ordinals);
  }
  for (size_t i = 0; i < HF_NELEM(bad); i++)
    if (hf_ranges_each(bad[i], collect, &b, &err) != HOLDFAST_E_CORRUPT) fail_msg("\"%s\" is taken", bad[i]);
  assert_int_equal(hf_ranges_each("98-200", collect, &b, &err), HOLDFAST_E_CANCELED);
  char *s = hf_ranges_write(bits, 24);
  assert_string_equal(s, "0-3,7-8,23");
  free(s);
  s = hf_ranges_write(bits, 8);
  assert_string_equal(s, "0-3,7");
  free(s);
  s = hf_ranges_write(bits, 0);
  assert_string_equal(s, "");
  free(s);
  hf_buf_free(&b);
}

/* ---- the chain ---- */

static void test_chain(void **state) {
  struct hf_error err = {0};
  struct hf_record a = {.seq = 4}, b = {.seq = 5};
  struct hf_digest d = {{1, 2, 3}};
  (void)state;
  strcpy(a.repo_id, REPO);
  strcpy(b.repo_id, REPO);
  b.prev = d;
  OK(hf_chain_check(&a, &d, &b, &err));
  b.prev.b[31] = 1;
  assert_int_equal(hf_chain_check(&a, &d, &b, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "forks"));
  b.prev = d;
  b.seq = 6;
  assert_int_equal(hf_chain_check(&a, &d, &b, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "gap"));
  b.seq = 4;
  assert_int_equal(hf_chain_check(&a, &d, &b, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "rolled back"));
  b.seq = 5;
  b.repo_id[0] = 'f';
  assert_int_equal(hf_chain_check(&a, &d, &b, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "another repository"));
}

static void test_texts(void **state) {
  struct hf_buf b = HF_BUF_INIT;
  (void)state;
  hf_text_ini(&b, REPO, "web1", 1790000000);
  assert_non_null(strstr(b.data, "[repository]\nformat = 1\nid = " REPO "\nhost = web1\ncreated = 2026-09-21T14:13:20Z\n"));
  assert_memory_equal(hf_text_recover, "#!/bin/sh\n", 10);
  assert_non_null(strstr(hf_text_recover, "printf '%s\\n'")); /* backslashes survive */
  assert_non_null(strstr(hf_text_readme, "sh recover.sh . latest"));
  hf_buf_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_index),      cmocka_unit_test(test_index_bad), cmocka_unit_test(test_record),
      cmocka_unit_test(test_record_bad), cmocka_unit_test(test_ranges),    cmocka_unit_test(test_chain),
      cmocka_unit_test(test_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
