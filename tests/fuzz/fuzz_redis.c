/* fuzz_redis.c - fuzz target: what a server sends to the redis source: replication framing, RDB, replies, INFO; its state; assertions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "../../plugins/redis/redis.h"

/* What must hold whatever comes in; a trap is what fuzzers look for. */
static void must(bool ok) {
  if (!ok) __builtin_trap();
}

static void ignore(void *ctx, const char *text) { (void)ctx, (void)text; }
static const struct holdfast_host host = {.struct_size = sizeof host, .instance = "fuzz", .error = ignore};

/* The data of a replication stream fed in steps of that size. With a mark the step may decide where it ends: the mark is looked for at
 * the end of what has come. */
static size_t unframe(const uint8_t *data, size_t n, size_t step, unsigned char *out, struct hf_redis_frame *f) {
  size_t total = 0;
  memset(f, 0, sizeof *f);
  for (size_t at = 0; at < n && f->state != HF_REDIS_FRAME_DONE && f->state != HF_REDIS_FRAME_BAD; at += step) {
    size_t part = n - at < step ? n - at : step, gave = hf_redis_frame_feed(f, data + at, part, out + total);
    must(gave <= part);
    total += gave;
  }
  return total;
}

static void frames(const uint8_t *data, size_t n) {
  unsigned char *one = malloc(2 * n + 1), *many = one + n;
  struct hf_redis_frame f, g;
  struct hf_redis_rdb *r = malloc(sizeof *r), *q = malloc(sizeof *q);
  must(one && r && q);
  size_t a = unframe(data, n, 1, one, &f), b = unframe(data, n, 7, many, &g);
  must(f.held_n <= HF_REDIS_MARK && (f.state == HF_REDIS_FRAME_DONE || f.state == g.state));
  if (f.state == g.state) must(f.state == HF_REDIS_FRAME_DONE || (a == b && memcmp(one, many, a) == 0));
  hf_redis_rdb_init(r);
  hf_redis_rdb_init(q);
  hf_redis_rdb_feed(r, one, a);
  for (size_t i = 0; i < a; i++) hf_redis_rdb_feed(q, one + i, 1);
  must(hf_redis_rdb_end(r) == hf_redis_rdb_end(q) && r->crc == q->crc && r->total == a);
  hf_redis_rdb_check(&host, r, "fuzz");
  free(one);
  free(r);
  free(q);
}

static void replies(const char *p, size_t n) {
  struct hf_redis_reply r;
  size_t used, size;
  if (hf_redis_parse(p, n, &used, &r) != 1) return;
  must(used <= n);
  struct hf_redis_facts *f = calloc(1, sizeof *f);
  must(f);
  hf_redis_config_parse(f, &r);
  free(hf_redis_conf_text(&r, &size));
  free(hf_redis_acl_text(&r, &size));
  free(f);
  hf_redis_reply_clear(&r);
}

static void texts(const char *s) {
  struct hf_redis_facts *f = calloc(1, sizeof *f), *g = calloc(1, sizeof *g);
  struct hf_redis_rdb *rdb = calloc(1, sizeof *rdb);
  struct hf_redis_assert a;
  must(f && g && rdb);
  hf_redis_info_parse(f, s);
  must(f->n_counts <= HF_REDIS_DATABASES);
  char *state = hf_redis_state_write(f, rdb);
  must(state && strlen(state) <= 65536 && hf_redis_state_read(&host, state, g) == HOLDFAST_OK && g->n_counts <= f->n_counts);
  free(state);
  hf_redis_state_read(&host, s, g);
  if (!hf_redis_assert_parse(&a, s)) must(a.n > 0 && a.n <= HF_REDIS_WORDS && !a.op == !a.value);
  hf_redis_assert_clear(&a);
  free(f);
  free(g);
  free(rdb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (n > 100000) return 0;
  frames(data, n);
  replies((const char *)data, n);
  char *s = malloc(n + 1);
  must(s);
  memcpy(s, data, n);
  s[n] = '\0';
  texts(s);
  free(s);
  return 0;
}
