/* test_redis_parts.c - the redis source without a server: checksum, RDB, framing, replies, assertions, texts, state.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "../../plugins/redis/redis.h"

/* ---- a host that keeps the last message ---- */

static char message[1000];

static void keep(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text);
}
static void ignore(void *ctx, int level, const char *text) { (void)ctx, (void)level, (void)text; }
static int never(void *ctx) { return (void)ctx, 0; }

static const struct holdfast_host host = {.struct_size = sizeof host, .instance = "test", .log = ignore, .error = keep, .cancelled = never};

/* ---- checksum ---- */

static void test_crc64(void **state) {
  (void)state;
  static struct hf_redis_crc64 t;
  char text[300];
  hf_redis_crc64_init(&t);
  /* The check value that Redis' own test has. */
  assert_true(hf_redis_crc64(&t, 0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 31 + 7);
  uint64_t whole = hf_redis_crc64(&t, 0, text, sizeof text);
  for (size_t i = 0; i <= sizeof text; i++)
    assert_true(hf_redis_crc64(&t, hf_redis_crc64(&t, 0, text, i), text + i, sizeof text - i) == whole);
  /* The same by tables alone. */
  t.multiplies = false;
  assert_true(hf_redis_crc64(&t, 0, text, sizeof text) == whole);
}

/* ---- the RDB: an empty one as redis-server 7.0 writes it, without its auxiliary fields ---- */

static size_t make_rdb(unsigned char *out, const char *head, size_t body, bool checksum) {
  static struct hf_redis_crc64 t;
  size_t n = strlen(head);
  memcpy(out, head, n);
  for (size_t i = 0; i < body; i++) out[n++] = (unsigned char)(i * 13);
  out[n++] = 255;
  hf_redis_crc64_init(&t);
  uint64_t crc = checksum ? hf_redis_crc64(&t, 0, out, n) : 0;
  for (int i = 0; i < 8; i++) out[n++] = (unsigned char)(crc >> (8 * i));
  return n;
}

static enum hf_redis_rdb_result look(const unsigned char *p, size_t n, size_t step) {
  static struct hf_redis_rdb r;
  hf_redis_rdb_init(&r);
  for (size_t at = 0; at < n; at += step) hf_redis_rdb_feed(&r, p + at, n - at < step ? n - at : step);
  assert_true(r.total == n);
  return hf_redis_rdb_end(&r);
}

static void test_rdb(void **state) {
  (void)state;
  unsigned char p[400];
  size_t n = make_rdb(p, "REDIS0010", 100, true);
  for (size_t step = 1; step <= n + 1; step++) assert_int_equal(look(p, n, step), HF_REDIS_RDB_OK);
  /* Every cut is seen, and so is every flipped bit. */
  for (size_t cut = 0; cut < n; cut++) assert_int_not_equal(look(p, cut, 7), HF_REDIS_RDB_OK);
  assert_int_equal(look(p, n - 1, 7), HF_REDIS_RDB_SHORT);
  for (size_t bit = 0; bit < 8 * n; bit++) {
    p[bit / 8] ^= (unsigned char)(1 << bit % 8);
    assert_int_not_equal(look(p, n, 64), HF_REDIS_RDB_OK);
    p[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  p[20] ^= 1;
  assert_int_equal(look(p, n, 64), HF_REDIS_RDB_DAMAGED);
  n = make_rdb(p, "REDIS0010", 0, true);
  assert_int_equal(look(p, n, 5), HF_REDIS_RDB_OK);
  n = make_rdb(p, "VALKEY080", 50, true);
  assert_int_equal(look(p, n, 5), HF_REDIS_RDB_OK);
  n = make_rdb(p, "REDIS0009", 50, false);
  assert_int_equal(look(p, n, 5), HF_REDIS_RDB_UNCHECKED);
  n = make_rdb(p, "REDISabcd", 50, true);
  assert_int_equal(look(p, n, 5), HF_REDIS_RDB_NONE);
}

/* ---- framing ---- */

/* Feed in steps of this size; the data, and how it ended. */
static enum hf_redis_frame_state unframe(const char *in, size_t n, size_t step, char *data, size_t *data_n) {
  struct hf_redis_frame f = {0};
  unsigned char out[4096];
  *data_n = 0;
  for (size_t at = 0; at < n && f.state != HF_REDIS_FRAME_DONE && f.state != HF_REDIS_FRAME_BAD; at += step) {
    size_t part = n - at < step ? n - at : step, gave = hf_redis_frame_feed(&f, (const unsigned char *)in + at, part, out);
    assert_true(gave <= part);
    memcpy(data + *data_n, out, gave);
    *data_n += gave;
  }
  return f.state;
}

static void test_frame(void **state) {
  (void)state;
/* As a random one does, it does not contain its own beginning. */
#define MARK "f3a1c9e07b5d2846ac0e1f93b7d5846211e0c9fa"
  static const struct {
    const char *in, *data;
    enum hf_redis_frame_state end;
  } table[] = {
    {"$5\r\nhello", "hello", HF_REDIS_FRAME_DONE},
    {"\n\n\n$5\r\nhello", "hello", HF_REDIS_FRAME_DONE},
    {"$0\r\n", "", HF_REDIS_FRAME_DONE},
    {"$5\r\nhell", "hell", HF_REDIS_FRAME_LENGTH},
    {"$EOF:" MARK "\r\nhello" MARK, "hello", HF_REDIS_FRAME_DONE},
    {"\n$EOF:" MARK "\r\n" MARK, "", HF_REDIS_FRAME_DONE},
    {"$EOF:" MARK "\r\nf3a1c9e07b" MARK, "f3a1c9e07b", HF_REDIS_FRAME_DONE},
    {"$EOF:" MARK "\r\nf3a1c9e07b5d2846" MARK, "f3a1c9e07b5d2846", HF_REDIS_FRAME_DONE},
    {"$EOF:" MARK "\r\nhellof3a1c9e07b5d2846ac0e1f93b7d5846211e0c9f", "hello", HF_REDIS_FRAME_MARK},
    {"$EOF:" MARK "\r\n", "", HF_REDIS_FRAME_MARK},
    {"\n\n", "", HF_REDIS_FRAME_HEAD},
    {"$12", "", HF_REDIS_FRAME_HEAD},
    {"$\r\n", "", HF_REDIS_FRAME_BAD},
    {"$12x\r\n", "", HF_REDIS_FRAME_BAD},
    {"$-1\r\n", "", HF_REDIS_FRAME_BAD},
    {"$99999999999999999999\r\n", "", HF_REDIS_FRAME_BAD},
    {"$EOF:0123\r\n", "", HF_REDIS_FRAME_BAD},
    {"-ERR no\r\n", "", HF_REDIS_FRAME_BAD},
    {"this line is much longer than any header that a server may send to a replica\r\n", "", HF_REDIS_FRAME_BAD},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    for (size_t step = 1; step < 100; step++) {
      char data[4096];
      size_t n;
      enum hf_redis_frame_state end = unframe(table[i].in, strlen(table[i].in), step, data, &n);
      /* Held back, perhaps the mark: how much of it depends on nothing but what came. */
      if (table[i].end == HF_REDIS_FRAME_MARK) n = n > strlen(table[i].data) ? 9999 : n;
      else assert_int_equal(n, strlen(table[i].data));
      if (end != table[i].end || n == 9999 || memcmp(data, table[i].data, n) != 0) fail_msg("frame %zu in steps of %zu: state %d", i, step, end);
    }
}

static void test_frame_long(void **state) {
  (void)state;
  char in[3000], data[4096];
  size_t n;
  /* Data full of beginnings of the mark. */
  int at = snprintf(in, sizeof in, "\n$EOF:" MARK "\r\n");
  int begin = at;
  while (at < 2800) at += snprintf(in + at, sizeof in - (size_t)at, "%.*s", at % 39 + 1, MARK);
  int end = at;
  at += snprintf(in + at, sizeof in - (size_t)at, MARK);
  for (size_t step = 1; step < 3000; step += 1 + step / 8) {
    assert_int_equal(unframe(in, (size_t)at, step, data, &n), HF_REDIS_FRAME_DONE);
    assert_int_equal(n, end - begin);
    assert_memory_equal(data, in + begin, n);
  }
}

/* ---- replies ---- */

static void test_reply(void **state) {
  (void)state;
  static const struct {
    const char *in;
    int want;
    enum hf_redis_type type;
  } table[] = {
    {"+OK\r\n", 1, HF_REDIS_STATUS}, {"-ERR no\r\n", 1, HF_REDIS_ERROR}, {":-12\r\n", 1, HF_REDIS_INTEGER},
    {"$-1\r\n", 1, HF_REDIS_NIL}, {"*-1\r\n", 1, HF_REDIS_NIL}, {"$3\r\nabc\r\n", 1, HF_REDIS_BULK}, {"$0\r\n\r\n", 1, HF_REDIS_BULK},
    {"*0\r\n", 1, HF_REDIS_ARRAY}, {"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", 1, HF_REDIS_ARRAY},
    {"", 0, 0}, {"+", 0, 0}, {"+OK\r", 0, 0}, {"$3\r\nabc", 0, 0}, {"$3\r\nabc\r", 0, 0}, {"*2\r\n:1\r\n", 0, 0}, {"*1000000\r\n", 0, 0},
    {"x\r\n", -1, 0}, {"+OK\n", -1, 0}, {":1x\r\n", -1, 0}, {":\r\n", -1, 0}, {"$-2\r\n", -1, 0}, {"$3\r\nabcde", -1, 0},
    {"$99999999999\r\n", -1, 0}, {"*99999999999\r\n", -1, 0}, {":99999999999999999999\r\n", -1, 0}, {"\r\n", -1, 0},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", -1, 0},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct hf_redis_reply r;
    size_t used, n = strlen(table[i].in);
    int rc = hf_redis_parse(table[i].in, n, &used, &r);
    if (rc != table[i].want) fail_msg("reply %zu: %d", i, rc);
    if (rc != 1) continue;
    assert_int_equal(r.type, table[i].type);
    assert_int_equal(used, n);
    hf_redis_reply_clear(&r);
    /* Of a complete reply no part is one. */
    for (size_t cut = 0; cut < n; cut++) assert_int_equal(hf_redis_parse(table[i].in, cut, &used, &r), 0);
  }
}

/* ---- assertions ---- */

static bool holds(const char *line, const char *reply) {
  struct hf_redis_assert a;
  struct hf_redis_reply r;
  char got[100];
  size_t used;
  const char *wrong = hf_redis_assert_parse(&a, line);
  if (wrong) fail_msg("%s: %s", line, wrong);
  assert_int_equal(hf_redis_parse(reply, strlen(reply), &used, &r), 1);
  bool yes = hf_redis_assert_holds(&a, &r, got, sizeof got);
  hf_redis_reply_clear(&r);
  hf_redis_assert_clear(&a);
  return yes;
}

static void test_assert(void **state) {
  (void)state;
  struct hf_redis_assert a;
  assert_null(hf_redis_assert_parse(&a, "3: GET 'a key' == \"two words\""));
  assert_string_equal(a.db, "3");
  assert_int_equal(a.n, 2);
  assert_string_equal(a.words[1], "a key");
  assert_string_equal(a.op, "==");
  assert_string_equal(a.value, "two words");
  hf_redis_assert_clear(&a);
  assert_null(hf_redis_assert_parse(&a, "GET x '==' y"));
  assert_int_equal(a.n, 4);
  hf_redis_assert_clear(&a);
  static const char *const bad[] = {"", "  ", "3:", "GET x ==", "GET 'x", "DBSIZE > many", "== 3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (!hf_redis_assert_parse(&a, bad[i])) fail_msg("\"%s\" is taken", bad[i]);
    hf_redis_assert_clear(&a);
  }
  assert_true(holds("EXISTS x", ":1\r\n"));
  assert_false(holds("EXISTS x", ":0\r\n"));
  assert_false(holds("GET x", "$-1\r\n"));
  assert_false(holds("GET x", "-ERR no\r\n"));
  assert_false(holds("GET x != y", "-ERR no\r\n"));
  assert_true(holds("GET x", "$1\r\na\r\n"));
  assert_false(holds("GET x", "$0\r\n\r\n"));
  assert_true(holds("GET x == abc", "$3\r\nabc\r\n"));
  assert_false(holds("GET x == abc", "$3\r\nabd\r\n"));
  assert_true(holds("GET x != abc", "$3\r\nabd\r\n"));
  assert_true(holds("GET x != abc", "$-1\r\n"));
  assert_false(holds("GET x == abc", "$-1\r\n"));
  assert_true(holds("DBSIZE >= 10", ":10\r\n"));
  assert_false(holds("DBSIZE > 10", ":10\r\n"));
  assert_true(holds("DBSIZE < 10.5", ":10\r\n"));
  assert_false(holds("GET x < 10", "$1\r\na\r\n"));
  assert_true(holds("KEYS * == 2", "*2\r\n:1\r\n:1\r\n"));
  assert_false(holds("KEYS *", "*0\r\n"));
}

/* ---- texts and state ---- */

static void test_info_and_state(void **state) {
  (void)state;
  static struct hf_redis_facts f, g;
  static struct hf_redis_rdb rdb;
  unsigned char p[100];
  hf_redis_info_parse(&f, "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nxloading:1\r\nloading:0\r\n"
                          "expired_keys:3\r\n# Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=0\r\ndb9:keys=1,expires=0,avg_ttl=0\r\n");
  assert_string_equal(f.version, "7.0.15");
  assert_false(f.loading);
  assert_int_equal(f.expired, 3);
  assert_int_equal(f.keys, 13);
  assert_int_equal(f.databases, 10);
  g = f;
  g.dirty += 5;
  g.expired += 2;
  assert_int_equal(hf_redis_changes(&f, &g), 7);
  g.saved++;
  assert_int_equal(hf_redis_changes(&f, &g), -1);
  f.changes = 7;
  strcpy(f.replid, "abc");
  hf_redis_rdb_init(&rdb);
  hf_redis_rdb_feed(&rdb, p, make_rdb(p, "REDIS0010", 3, true));
  char *text = hf_redis_state_write(&f, &rdb);
  assert_non_null(text);
  assert_int_equal(hf_redis_state_read(&host, text, &g), HOLDFAST_OK);
  assert_true(g.info && !g.config && g.keys == 13 && g.expires == 3 && g.n_counts == 2 && g.counts[1].db == 9 && g.changes == 7 && g.databases == 10);
  free(text);
  assert_int_equal(hf_redis_state_read(&host, "", &g), HOLDFAST_OK);
  assert_true(!g.info && g.changes == -1);
  assert_int_equal(hf_redis_state_read(&host, "{\"version\":2}", &g), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(hf_redis_state_read(&host, "{\"version\":", &g), HOLDFAST_E_CORRUPT);
}

static void test_conf_text(void **state) {
  (void)state;
  static const char reply[] = "*10\r\n$4\r\nsave\r\n$6\r\n60 100\r\n$3\r\ndir\r\n$7\r\n/a b\"\\c\r\n$9\r\nreplicaof\r\n$0\r\n\r\n"
                              "$4\r\nbind\r\n$0\r\n\r\n$3\r\nbin\r\n$2\r\n\x01\xff\r\n";
  struct hf_redis_reply r;
  size_t used, n;
  assert_int_equal(hf_redis_parse(reply, sizeof reply - 1, &used, &r), 1);
  char *text = hf_redis_conf_text(&r, &n);
  assert_non_null(text);
  assert_string_equal(strchr(text, '\n') + 1, "save 60 100\ndir \"/a b\\\"\\\\c\"\nbind \"\"\nbin \"\\x01\\xff\"\n");
  free(text);
  hf_redis_reply_clear(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_crc64),  cmocka_unit_test(test_rdb),    cmocka_unit_test(test_frame),          cmocka_unit_test(test_frame_long),
    cmocka_unit_test(test_reply),  cmocka_unit_test(test_assert), cmocka_unit_test(test_info_and_state), cmocka_unit_test(test_conf_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
