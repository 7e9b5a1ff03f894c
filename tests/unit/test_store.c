/* test_store.c - the two halves of the pipeline: what goes in comes out again, and no failure costs anything but its own.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "store_support.h"

#define CHUNK 3000u

/* ---- writing ---- */

/* Data chunks numbered from..to-1 and a recipe chunk; the first error, which ends it. */
static int write_set(uint64_t from, uint64_t to, size_t n) {
  HF_CLEANUP(hf_freep) char *p = hf_alloc(n);
  struct hf_digest id;
  int r = hf_store_begin(store, &source, &e);
  for (uint64_t i = from; r == 0 && i < to; i++) {
    fill(p, n, i);
    r = hf_store_chunk(store, HF_PACK_DATA, p, n, &id, &e);
  }
  fill(p, 100, ~from);
  if (r == 0) r = hf_store_chunk(store, HF_PACK_RECIPE, p, 100, &id, &e);
  int t = hf_store_end(store, r == 0, r == 0 ? &e : NULL);
  if (r == 0) r = t;
  return r == 0 ? hf_store_flush(store, &e) : r;
}

static struct hf_digest id_of(uint64_t i, size_t n) {
  HF_CLEANUP(hf_freep) char *p = hf_alloc(n);
  struct hf_digest id;
  struct hf_hmac *h = hf_hmac_new(audience.id_key, sizeof audience.id_key);
  fill(p, n, i);
  hf_hmac(h, p, n, &id);
  hf_hmac_free(h);
  return id;
}

/* ---- reading ---- */

static struct reading {
  struct hf_target *from;
  size_t n;            /* size of the chunks */
  unsigned seen[64];   /* how often each came */
  unsigned bad, packs; /* callbacks */
  unsigned wrong;      /* what should not have come; threads must not fail a test themselves */
  int fetch_status, sink_status;
  bool cancel_in_sink;
  char why[256];
} rd;

static int fetch(void *ctx, const char *key, const struct hf_digest *want, size_t max, struct hf_buf *out, struct hf_error *err) {
  struct reading *r = ctx;
  if (r->fetch_status) return hf_fail(err, r->fetch_status, "not to be had");
  return hf_target_get_checked(r->from, key, max, want, out, err);
}

static int sink(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  struct reading *r = ctx;
  HF_CLEANUP(hf_freep) char *want = hf_alloc(r->n);
  if (r->sink_status) return hf_fail(err, r->sink_status, "no thanks");
  fill(want, r->n, piece->dest);
  if (memcmp(p, want + piece->slice.offset, piece->slice.length) != 0 || piece->path_n != 4 ||
      memcmp(piece->path, "path", 4) != 0)
    __atomic_add_fetch(&r->wrong, 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&r->seen[piece->dest], 1, __ATOMIC_RELAXED);
  if (r->cancel_in_sink) cancel = 1;
  return 0;
}

static void bad(void *ctx, const char *key, const char *why) {
  struct reading *r = ctx;
  r->bad++;
  snprintf(r->why, sizeof r->why, "%s: %s", key, why);
}

static void progress(void *ctx, uint64_t packs, uint64_t stored) {
  struct reading *r = ctx;
  if (stored == 0) r->wrong++;
  r->packs = (unsigned)packs;
}

static int count_pack(void *ctx, const struct hf_state_pack *p) {
  assert_true(p->stored > 0);
  ++*(uint64_t *)ctx;
  return 0;
}

/* Two pieces of each chunk from..to-1. */
static int read_set(size_t target, uint64_t from, uint64_t to, size_t n, uint64_t *lost, struct hf_plan **keep) {
  struct hf_plan *plan = NULL;
  uint64_t packs = 0;
  struct reading saved = rd;
  rd = (struct reading){.from = targets[target],
                        .n = n,
                        .fetch_status = saved.fetch_status,
                        .sink_status = saved.sink_status,
                        .cancel_in_sink = saved.cancel_in_sink};
  OK(hf_plan_new(state, &plan, &e));
  for (uint64_t i = from; i < to; i++) {
    struct hf_piece p = {.slice = {.id = id_of(i, n), .chunk_len = (uint32_t)n, .length = (uint32_t)n / 2},
                         .dest = i,
                         .path = "path",
                         .path_n = 4};
    OK(hf_plan_add(plan, &p, &e));
    p.slice.offset = p.slice.length;
    OK(hf_plan_add(plan, &p, &e));
  }
  OK(hf_plan_packs(plan, count_pack, &packs, &e));
  struct hf_plan_run run = {.gpg = user,
                            .audience = &audience,
                            .fetch = fetch,
                            .fetch_ctx = &rd,
                            .sink = sink,
                            .bad = bad,
                            .progress = progress,
                            .ctx = &rd,
                            .cancel = &cancel};
  int r = hf_plan_execute(plan, &run, lost, &e);
  assert_int_equal(rd.wrong, 0);
  if (r == 0) assert_int_equal(rd.packs, packs);
  if (keep)
    *keep = plan;
  else
    hf_plan_free(plan);
  return r;
}

/* Everything comes back from that target. */
static void whole(size_t target, uint64_t from, uint64_t to, size_t n) {
  uint64_t lost = 99;
  rd.fetch_status = rd.sink_status = 0;
  OK(read_set(target, from, to, n, &lost, NULL));
  assert_int_equal(lost, 0);
  assert_int_equal(rd.bad, 0);
  for (uint64_t i = from; i < to; i++) assert_int_equal(rd.seen[i], 2);
}

/* ---- tests ---- */

static void free_indexes(struct hf_record_index *v, size_t n) {
  for (size_t i = 0; i < n; i++) free(v[i].packs);
  free(v);
}

static void round_trip(void **unused) {
  (void)unused;
  struct hf_record_index *v = NULL;
  size_t n = 0;
  const size_t large = 1u << 20;
  if (getenv("HOLDFAST_VALGRIND")) skip(); /* many bytes, and no path that the others do not take */
  fresh(2);
  open_store(300, false);
  OK(write_set(0, 30, large)); /* more than one pack */
  uint64_t fresh_bytes = source.bytes_new;
  assert_int_equal(fresh_bytes, 30 * large + 100);
  assert_true(source.bytes_stored > 30 * large && hf_store_bytes_put(store) == source.bytes_stored);
  assert_int_equal(shelf_count(&shelves[0], "web1/packs/"), 3);
  assert_int_equal(shelf_count(&shelves[0], "web1/indexes/"), 1);
  for (size_t i = 0; i < shelves[0].n; i++) {
    const struct double_object *a = &shelves[0].v[i], *b = shelf_find(&shelves[1], a->key);
    assert_non_null(b);
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->p, b->p, a->n);
  }
  OK(hf_store_indexes(store, &v, &n, &e));
  assert_int_equal(n, 1);
  assert_string_equal(v[0].packs, "0-2");
  free_indexes(v, n);
  /* The same again: nothing is stored. A part of it: only that part's packs are referred to. */
  OK(write_set(0, 30, large));
  assert_int_equal(source.bytes_new, fresh_bytes);
  assert_int_equal(shelves[0].n, 4);
  hf_store_close(store);
  open_store(300, false);
  OK(write_set(0, 1, large));
  OK(hf_store_indexes(store, &v, &n, &e));
  assert_int_equal(n, 1);
  assert_true(strcmp(v[0].packs, "0-2") != 0);
  free_indexes(v, n);
  whole(0, 0, 30, large);
  whole(1, 0, 30, large);
  done();
}

/* Each class at each put of a run: the error is that one; then, with the target well again, everything gets there. */
static void every_put(void **unused) {
  (void)unused;
  const int step = getenv("HOLDFAST_VALGRIND") ? 5 : 1;
  for (int status = HOLDFAST_E_FAILED; status >= HOLDFAST_E_CHANGED; status -= step) {
    for (unsigned at = 1; at <= 3; at++) {
      struct hf_state_chunk c;
      struct hf_digest id = id_of(0, CHUNK);
      fresh(1);
      shelf_fails(&shelves[0], D_PUT, at, status == HOLDFAST_E_TRANSIENT ? 1 : 1000, status);
      open_store(300, false);
      int r = write_set(0, 3, CHUNK);
      assert_int_equal(r, status == HOLDFAST_E_TRANSIENT ? 0 : status);
      if (r < 0) {
        assert_int_equal(e.code, status);
        if (status != HOLDFAST_E_CANCELED) {
          assert_non_null(strstr(e.msg, "no target is left to write to: target shelf0: cannot store"));
          assert_non_null(hf_target_failure(targets[0]));
        }
        /* No further use of the store goes on as if nothing had been. */
        assert_int_equal(hf_store_begin(store, &source, &e), at == 3 ? 0 : status);
        die();
        /* What no index names is not offered. */
        assert_int_equal(hf_state_chunk_find(state, &id, &c, &e), 0);
        reopen_targets();
        open_store(300, false);
        OK(write_set(0, 3, CHUNK));
      }
      whole(0, 0, 3, CHUNK);
      done();
    }
  }
}

/* One of two fails: the other has everything, and the run does not notice but for the failure. */
static void one_of_two(void **unused) {
  (void)unused;
  for (unsigned at = 1; at <= 3; at++) {
    fresh(2);
    shelf_fails(&shelves[0], D_PUT, at, 1000, HOLDFAST_E_NO_SPACE);
    open_store(300, false);
    OK(write_set(0, 3, CHUNK));
    assert_non_null(strstr(hf_target_failure(targets[0]), "as it was told"));
    assert_null(hf_target_failure(targets[1]));
    assert_true(shelves[0].calls >= at && shelves[0].calls <= 3); /* those under way at that moment, and no more */
    assert_int_equal(shelves[1].n, 3);
    whole(1, 0, 3, CHUNK);
    done();
  }
}

static void checkpoints(void **unused) {
  (void)unused;
  char p[CHUNK];
  struct hf_digest id;
  struct hf_state_chunk c;
  fresh(1);
  open_store(0, false); /* an index after every pack that has gone */
  OK(hf_store_begin(store, &source, &e));
  for (uint64_t i = 0; i < 20; i++) {
    fill(p, sizeof p, i);
    OK(hf_store_chunk(store, HF_PACK_DATA, p, sizeof p, &id, &e));
    /* A recipe chunk that does not fit into its pack any more sends it off. */
    HF_CLEANUP(hf_freep) char *recipe = hf_alloc(HF_RECIPE_PACK / 2 + 1);
    fill(recipe, HF_RECIPE_PACK / 2 + 1, i + 1000);
    if (i % 5 == 4) OK(hf_store_chunk(store, HF_PACK_RECIPE, recipe, HF_RECIPE_PACK / 2 + 1, &id, &e));
  }
  assert_true(shelf_count(&shelves[0], "web1/indexes/") >= 1);
  die();
  /* The early ones are kept, the last ones were not indexed. */
  id = id_of(0, CHUNK);
  assert_int_equal(hf_state_chunk_find(state, &id, &c, &e), 1);
  open_store(300, false);
  OK(write_set(0, 20, CHUNK));
  assert_true(source.bytes_new < 20 * CHUNK);
  whole(0, 0, 20, CHUNK);
  done();
}

static void stopping(void **unused) {
  (void)unused;
  struct hf_state_chunk c;
  struct hf_digest id = id_of(0, CHUNK);
  fresh(1);
  open_store(300, false);
  cancel = 1;
  assert_int_equal(write_set(0, 3, CHUNK), HOLDFAST_E_CANCELED);
  assert_int_equal(shelves[0].n, 0);
  die();
  assert_int_equal(hf_state_chunk_find(state, &id, &c, &e), 0);
  /* In the middle of a put. */
  cancel = 0;
  shelf_fails(&shelves[0], D_PUT, 1, 1, HOLDFAST_E_CANCELED);
  open_store(300, false);
  assert_int_equal(write_set(0, 3, CHUNK), HOLDFAST_E_CANCELED);
  assert_null(hf_target_failure(targets[0])); /* it is not the target's fault */
  done();
}

static void dry_run(void **unused) {
  (void)unused;
  fresh(1);
  open_store(300, true);
  OK(write_set(0, 3, CHUNK));
  assert_int_equal(source.bytes_new, 3 * CHUNK + 100);
  OK(write_set(0, 3, CHUNK));
  assert_int_equal(source.bytes_new, 3 * CHUNK + 100); /* and knows its own */
  assert_int_equal(shelves[0].n, 0);
  done();
}

static void references(void **unused) {
  (void)unused;
  struct hf_digest id = id_of(1, CHUNK), unknown = id_of(50, CHUNK);
  struct hf_state_chunk c;
  struct hf_record_index *v;
  size_t n;
  fresh(1);
  open_store(300, false);
  OK(write_set(0, 3, CHUNK));
  hf_store_close(store);
  open_store(300, false);
  OK(hf_store_begin(store, &source, &e));
  assert_int_equal(hf_store_refer(store, &unknown, CHUNK, &e), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_store_refer(store, &id, CHUNK + 1, &e), HOLDFAST_E_CORRUPT);
  OK(hf_store_refer(store, &id, CHUNK, &e));
  assert_int_equal(hf_state_chunk_find(state, &id, &c, &e), 1);
  assert_false(hf_store_refers_to(store, c.pack));
  OK(hf_store_end(store, false, &e)); /* the source failed: the snapshot does not refer to it */
  assert_false(hf_store_refers_to(store, c.pack));
  OK(hf_store_refer(store, &id, CHUNK, &e));
  OK(hf_store_end(store, true, &e));
  assert_true(hf_store_refers_to(store, c.pack));
  assert_false(hf_store_refers_to(store, c.pack + 1000));
  /* A database that does not hang together is not turned into a record. */
  OK(hf_state_pack_indexed(state, c.pack, 0, 0, &e));
  assert_int_equal(hf_store_indexes(store, &v, &n, &e), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(e.msg, "in use but in no index"));
  OK(hf_state_pack_indexed(state, c.pack, 77, 0, &e));
  assert_int_equal(hf_store_indexes(store, &v, &n, &e), HOLDFAST_E_CORRUPT);
  done();
}

static void keys_that_will_not_do(void **unused) {
  (void)unused;
  struct hf_list nobody = HF_LIST_INIT;
  hf_list_add(&nobody, "0123456789ABCDEF0123456789ABCDEF01234567");
  fresh(1);
  open_store(300, false);
  source.recipients = &nobody;
  assert_true(write_set(0, 3, CHUNK) < 0);
  assert_int_equal(shelf_count(&shelves[0], "web1/packs/"), 0);
  done();
  hf_list_free(&nobody);
}

/* The state folder's disk is full in the middle. */
static void database_full(void **unused) {
  (void)unused;
  char p[16];
  struct hf_digest id;
  int r = 0;
  fresh(1);
  open_store(300, false);
  OK(hf_store_begin(store, &source, &e));
  assert_int_equal(sqlite3_exec(state->db, "PRAGMA max_page_count=1", NULL, NULL, NULL), SQLITE_OK); /* no more than there are */
  for (uint64_t i = 0; r == 0 && i < 100000; i++) {
    memcpy(p, &i, sizeof i);
    memcpy(p + 8, &i, sizeof i);
    r = hf_store_chunk(store, HF_PACK_DATA, p, sizeof p, &id, &e);
  }
  assert_int_equal(r, HOLDFAST_E_NO_SPACE);
  assert_non_null(strstr(e.msg, "state.sqlite"));
  done();
}

static struct double_object *a_pack(const char *not_this) {
  for (size_t i = 0; i < shelves[0].n; i++) {
    struct double_object *o = &shelves[0].v[i];
    if (strncmp(o->key, "web1/packs/", 11) == 0 && (!not_this || strcmp(o->key, not_this) != 0)) return o;
  }
  return NULL;
}

/* A bad or missing pack costs what is in it and nothing else, and is told once. */
static void lost_packs(void **unused) {
  (void)unused;
  struct hf_plan *plan = NULL;
  struct hf_digest id = id_of(0, CHUNK), other = id_of(3, CHUNK);
  struct hf_state_chunk c;
  struct hf_state_pack p;
  char key[HF_KEY_MAX], full[HF_KEY_MAX + 8];
  uint64_t lost = 0;
  fresh(1);
  open_store(300, false);
  OK(write_set(0, 3, CHUNK));
  OK(write_set(3, 6, CHUNK));
  OK(hf_state_chunk_find(state, &id, &c, &e));
  OK(hf_state_pack_get(state, c.pack, &p, &e));
  hf_key_pack(key, &p.digest);
  snprintf(full, sizeof full, "web1/%s", key);
  struct double_object *o = shelf_find(&shelves[0], full);
  assert_non_null(o);
  o->p[o->n / 2] ^= 1;
  OK(read_set(0, 0, 6, CHUNK, &lost, &plan));
  assert_int_equal(lost, 6);
  assert_int_equal(rd.bad, 1);
  assert_int_equal(strncmp(rd.why, key, strlen(key)), 0);
  assert_non_null(strstr(rd.why, "damaged"));
  for (unsigned i = 0; i < 6; i++) assert_int_equal(rd.seen[i], i < 3 ? 0 : 2);
  assert_true(hf_plan_is_lost(plan, &id));
  assert_false(hf_plan_is_lost(plan, &other));
  hf_plan_free(plan);
  shelves[0].v[(size_t)(o - shelves[0].v)].key[0] = 'X'; /* it is not there */
  OK(read_set(0, 0, 6, CHUNK, &lost, NULL));
  assert_int_equal(lost, 6);
  assert_non_null(strstr(rd.why, "not found"));
  o->key[0] = 'w';
  o->p[o->n / 2] ^= 1;
  whole(0, 0, 6, CHUNK);
  assert_non_null(a_pack(full));
  done();
}

/* The catalogue says that a chunk is where another one is: its name is computed anew, and it is not taken for the other. */
static void false_catalogue(void **unused) {
  (void)unused;
  uint64_t lost = 0;
  fresh(1);
  open_store(300, false);
  OK(write_set(0, 3, CHUNK));
  HF_CLEANUP(hf_freep) char *swap = NULL;
  char hex[HF_SHA256_HEX];
  struct hf_digest id = id_of(1, CHUNK), far = id_of(2, CHUNK);
  hf_digest_hex(&id, hex);
  swap = hf_asprintf("UPDATE chunks SET offset=(SELECT min(offset) FROM chunks WHERE length=%u) WHERE id=x'%s'", CHUNK, hex);
  assert_int_equal(sqlite3_exec(state->db, swap, NULL, NULL, NULL), SQLITE_OK);
  free(swap);
  hf_digest_hex(&far, hex);
  swap = hf_asprintf("UPDATE chunks SET offset=99999999 WHERE id=x'%s'", hex);
  assert_int_equal(sqlite3_exec(state->db, swap, NULL, NULL, NULL), SQLITE_OK);
  OK(read_set(0, 0, 3, CHUNK, &lost, NULL));
  assert_int_equal(rd.seen[1], 0);
  assert_int_equal(rd.seen[2], 0);
  assert_true(lost >= 4 && rd.bad >= 2);
  done();
}

/* A chunk of another length, or of no pack, is lost before anything is fetched. */
static void unknown_chunks(void **unused) {
  (void)unused;
  struct hf_plan *plan = NULL;
  uint64_t packs = 0;
  fresh(1);
  open_store(300, false);
  OK(write_set(0, 3, CHUNK));
  OK(hf_plan_new(state, &plan, &e));
  struct hf_piece p = {.slice = {.id = id_of(1, CHUNK), .chunk_len = CHUNK + 1, .length = 10}};
  assert_false(hf_plan_is_lost(plan, &p.slice.id));
  OK(hf_plan_add(plan, &p, &e));
  assert_true(hf_plan_is_lost(plan, &p.slice.id));
  p.slice = (struct hf_slice){.id = id_of(40, CHUNK), .chunk_len = CHUNK, .length = 10};
  OK(hf_plan_add(plan, &p, &e));
  OK(hf_plan_packs(plan, count_pack, &packs, &e));
  assert_int_equal(packs, 0);
  hf_plan_free(plan);
  /* The pack is not in the catalogue although its chunk is: an error, no crash. */
  struct hf_state_chunk c;
  struct hf_digest id = id_of(0, CHUNK);
  OK(hf_state_chunk_find(state, &id, &c, &e));
  OK(hf_plan_new(state, &plan, &e));
  p.slice = (struct hf_slice){.id = id, .chunk_len = CHUNK, .length = 10};
  OK(hf_plan_add(plan, &p, &e));
  assert_int_equal(sqlite3_exec(state->db, "DELETE FROM packs", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(hf_plan_packs(plan, count_pack, &packs, &e), HOLDFAST_E_NOT_FOUND);
  uint64_t lost;
  struct hf_plan_run run = {.gpg = user, .audience = &audience, .fetch = fetch, .fetch_ctx = &rd, .sink = sink};
  assert_int_equal(hf_plan_execute(plan, &run, &lost, &e), HOLDFAST_E_NOT_FOUND);
  hf_plan_free(plan);
  done();
}

/* Which errors end a run and which only cost a pack. */
static void ends_of_runs(void **unused) {
  (void)unused;
  uint64_t lost;
  fresh(1);
  open_store(300, false);
  OK(write_set(0, 3, CHUNK));
  for (int status = HOLDFAST_E_FAILED; status >= HOLDFAST_E_CHANGED; status--) {
    bool ends = status == HOLDFAST_E_AUTH || status == HOLDFAST_E_NO_SPACE || status == HOLDFAST_E_CANCELED;
    rd = (struct reading){.fetch_status = status};
    assert_int_equal(read_set(0, 0, 3, CHUNK, &lost, NULL), ends ? status : 0);
    assert_int_equal(lost, ends ? 0 : 6);
    rd = (struct reading){.sink_status = status};
    assert_int_equal(read_set(0, 0, 3, CHUNK, &lost, NULL), status);
    assert_string_equal(e.msg, "no thanks");
  }
  rd = (struct reading){.cancel_in_sink = true};
  assert_int_equal(read_set(0, 0, 3, CHUNK, &lost, NULL), HOLDFAST_E_CANCELED);
  cancel = 0;
  /* No private key here. */
  struct hf_gpg *mine = user;
  user = host;
  rd = (struct reading){0};
  assert_int_equal(read_set(0, 0, 3, CHUNK, &lost, NULL), HOLDFAST_E_AUTH);
  user = mine;
  whole(0, 0, 3, CHUNK);
  done();
}

int main(void) {
#define TEST(f) cmocka_unit_test(f)
  const struct CMUnitTest tests[] = {TEST(round_trip),    TEST(every_put),  TEST(one_of_two),      TEST(checkpoints),
                                     TEST(stopping),      TEST(dry_run),    TEST(references),      TEST(keys_that_will_not_do),
                                     TEST(database_full), TEST(lost_packs), TEST(false_catalogue), TEST(unknown_chunks),
                                     TEST(ends_of_runs)};
  return cmocka_run_group_tests(tests, keys_set_up, keys_tear_down);
}
