/* test_recipe.c - recipe lines, written and read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include "base/text.h"
#include "stream/recipe.h"

static struct holdfast_entry sample(void) {
  return (struct holdfast_entry){.kind = HOLDFAST_FILE,
                                 .path = "a/b c",
                                 .size = 1234567890123ULL,
                                 .mode = 0644,
                                 .uid = 0,
                                 .gid = 4294967295u,
                                 .mtime = 1700000000,
                                 .mtime_nsec = 5,
                                 .ctime = -3,
                                 .ctime_nsec = 999999999,
                                 .inode = UINT64_MAX};
}

static void parse(const struct hf_buf *b, struct hf_recipe_entry *e) {
  struct hf_error err = {0};
  assert_int_equal(b->data[b->len - 1], '\n');
  if (hf_recipe_parse_entry(b->data, b->len - 1, e, &err) != 0) fail_msg("%s: %s", b->data, err.msg);
}

static void lines_to_the_letter(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  struct holdfast_entry e = sample();
  hf_recipe_entry(&b, &e, true, 0, 1024, 0);
  assert_string_equal(
      b.data,
      "e f 644 0 4294967295 1234567890123 1700000000.000000005 -3.999999999 18446744073709551615 - a/b\\040c - 0 1024 0\n");
  hf_buf_clear(&b);
  hf_recipe_entry(&b, &e, false, 7, 8, 9);
  assert_string_equal(b.data,
                      "e f 644 0 4294967295 1234567890123 1700000000.000000005 ! 18446744073709551615 - a/b\\040c - 7 8 9\n");
  hf_buf_clear(&b);
  e = (struct holdfast_entry){.kind = HOLDFAST_SYMLINK, .path = "\n", .link = "x\\y", .token = "", .mode = 07777};
  hf_recipe_entry(&b, &e, true, 1, 512, 0);
  assert_string_equal(b.data, "e l 7777 0 0 0 0.000000000 - 0 =\\- \\012 =x\\134y 1 512 0\n");
  hf_buf_clear(&b);
  e = (struct holdfast_entry){.kind = HOLDFAST_HARDLINK, .path = "\377", .link = "first", .token = "t 1"};
  hf_recipe_entry(&b, &e, true, 1, 512, 0);
  assert_string_equal(b.data, "e h 0 0 0 0 0.000000000 - 0 =t\\0401 \377 =first 1 512 0\n");
  hf_buf_clear(&b);
  struct hf_slice s = {.chunk_len = 4294967295u, .offset = 1, .length = 2};
  memset(s.id.b, 0xab, sizeof s.id.b);
  hf_recipe_begin(&b, "tree", "tar");
  hf_recipe_slice(&b, &s);
  hf_recipe_end(&b, 2, 1, 0);
  assert_string_equal(b.data, "holdfast-recipe 1\nstream tree tar\nc "
                              "abababababababababababababababababababababababababababababababab 4294967295 1 2\nend 2 1 0\n");
  hf_buf_free(&b);
}

/* Every kind and odd values come back as they went in, and the key is the part of the line that it says. */
static void there_and_back(void **state) {
  (void)state;
  static const int64_t times[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
  static const char letters[] = "?fdlhpcbs";
  struct hf_buf b = HF_BUF_INIT, key = HF_BUF_INIT, text = HF_BUF_INIT;
  for (uint32_t kind = HOLDFAST_FILE; kind <= HOLDFAST_SOCKET; kind++)
    for (size_t t = 0; t < HF_NELEM(times); t++)
      for (unsigned token = 0; token < 2; token++) {
        struct holdfast_entry e = sample();
        struct hf_recipe_entry got;
        e.kind = kind;
        e.mtime = e.ctime = times[t];
        e.ctime_nsec = 1;
        e.token = token ? "a token\177" : NULL;
        e.link = kind == HOLDFAST_SYMLINK || kind == HOLDFAST_HARDLINK ? "to where" : NULL;
        bool socket = kind == HOLDFAST_SOCKET;
        hf_buf_clear(&b);
        hf_buf_clear(&key);
        hf_recipe_entry(&b, &e, true, socket ? 0 : 4294967295u, socket ? 0 : 4294967295u, kind == HOLDFAST_FILE ? INT64_MAX : 0);
        hf_recipe_key(&key, &e, true);
        parse(&b, &got);
        assert_int_equal(got.kind, letters[kind]);
        assert_true(got.mode == e.mode && got.uid == e.uid && got.gid == e.gid && got.size == e.size && got.inode == e.inode);
        assert_true(got.mtime == e.mtime && got.mtime_nsec == e.mtime_nsec && got.ctime == e.ctime &&
                    got.ctime_nsec == e.ctime_nsec && got.ctime_mark == 0);
        assert_int_equal(got.key_n, key.len);
        assert_memory_equal(b.data + 2, key.data, key.len);
        hf_buf_clear(&text);
        assert_int_equal(hf_unescape(&text, got.path, got.path_n, NULL), 0);
        assert_string_equal(text.data, e.path);
        assert_int_equal(got.token != NULL, token);
        if (e.link) {
          hf_buf_clear(&text);
          assert_int_equal(hf_unescape(&text, got.link, got.link_n, NULL), 0);
          assert_string_equal(text.data, e.link);
        }
      }
  hf_buf_free(&b);
  hf_buf_free(&key);
  hf_buf_free(&text);
}

/* The escaping by hand is that of hf_escape, for every byte. */
static void escapes_agree(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT, want = HF_BUF_INIT;
  for (unsigned c = 1; c < 256; c++) {
    char path[4] = {'x', (char)c, 'y', 0};
    struct holdfast_entry e = {.kind = HOLDFAST_DIR, .path = path};
    hf_buf_clear(&b);
    hf_buf_clear(&want);
    hf_recipe_key(&b, &e, true);
    hf_buf_adds(&want, "d 0 0 0 0 0.000000000 - 0 - ");
    hf_escape(&want, path, 3);
    assert_string_equal(b.data, want.data);
  }
  hf_buf_free(&b);
  hf_buf_free(&want);
}

static void modes(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  for (uint32_t mode = 0; mode <= 07777; mode++) {
    struct holdfast_entry e = {.kind = HOLDFAST_DIR, .path = "p", .mode = mode | 040000};
    struct hf_recipe_entry got;
    hf_buf_clear(&b);
    hf_recipe_entry(&b, &e, true, 0, 512, 0);
    parse(&b, &got);
    assert_int_equal(got.mode, mode);
  }
  hf_buf_free(&b);
}

static void malformed_entries(void **state) {
  (void)state;
  static const char good[] = "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0";
  static const char *const bad[] = {
      "",
      "e",
      "e ",
      "c f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e x 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e ff 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 844 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 10000 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 0644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 4294967296 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 -1 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 00 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 18446744073709551616 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 1.00000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 1,000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 .000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 1.00000000x 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 - 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 ? 3 - p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 -- 3 - p - 0 1024 0",
      "e f 644 0 0 1 9223372036854775808.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 x - p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 = p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 t p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 -  - 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p x 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 4294967296 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 0 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 9223372036854775808",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0 ",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p",
      "e d 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 5",
      "e s 644 0 0 1 1.000000000 2.000000000 3 - p - 0 512 0",
      "e h 644 0 0 1 1.000000000 2.000000000 3 - p - 0 512 0",
      "e l 644 0 0 1 1.000000000 2.000000000 3 - p - 0 512 0",
      "e  f 644 0 0 1 1.000000000 2.000000000 3 - p - 0 1024 0",
      "e f 644 0 0 1 1.000000000 2.000000000 3 - p\n - 0 1024 0",
  };
  struct hf_recipe_entry e = {.at = 77};
  struct hf_error err = {0};
  assert_int_equal(hf_recipe_parse_entry(good, strlen(good), &e, &err), 0);
  e.at = 77;
  for (size_t i = 0; i < HF_NELEM(bad); i++) {
    if (hf_recipe_parse_entry(bad[i], strlen(bad[i]), &e, &err) != HOLDFAST_E_CORRUPT) fail_msg("taken: %s", bad[i]);
    assert_int_equal(e.at, 77);
  }
  /* No part of a good line is one. */
  for (size_t n = 0; n + 1 < strlen(good); n++) assert_int_equal(hf_recipe_parse_entry(good, n, &e, NULL), HOLDFAST_E_CORRUPT);
}

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void malformed_slices(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "c",
                                    "c ",
                                    "c " ID,
                                    "c " ID " 10 0",
                                    "c " ID " 10 0 10 ",
                                    "c " ID " 10 0 10 1",
                                    "c " ID " 10 1 10",
                                    "c " ID " 10 11 1",
                                    "c " ID " 10 0 0",
                                    "c " ID "0 10 0 10",
                                    "c x" ID " 10 0 10",
                                    "c ** 10 0 10",
                                    "e " ID " 10 0 10",
                                    "c " ID " 4294967296 0 10",
                                    "c " ID " 10 4294967295 2"};
  struct hf_slice s;
  assert_int_equal(hf_recipe_parse_slice("c " ID " 10 4 6", strlen("c " ID " 10 4 6"), &s, NULL), 0);
  assert_true(s.chunk_len == 10 && s.offset == 4 && s.length == 6 && s.id.b[1] == 0x11);
  for (size_t i = 0; i < HF_NELEM(bad); i++)
    if (hf_recipe_parse_slice(bad[i], strlen(bad[i]), &s, NULL) != HOLDFAST_E_CORRUPT) fail_msg("taken: %s", bad[i]);
}

/* Read a whole text; 0, or the status; what goes wrong must be said with `words`. */
static int read_all(const char *text, size_t n, const char *words) {
  struct hf_recipe_reader r;
  struct hf_error err = {0};
  struct hf_slice s;
  struct hf_recipe_entry e;
  /* Exactly n bytes, so that a sanitizer sees a read behind them. */
  char *copy = hf_memdup(text, n);
  int rc = hf_recipe_open(&r, copy, n, &err);
  if (rc == 0)
    while ((rc = hf_recipe_next(&r, &s, &e, &err)) > 0) continue;
  if (rc == 0) assert_int_equal(hf_recipe_next(&r, &s, &e, &err), 0);
  free(copy);
  if (rc < 0 && words && !strstr(err.msg, words)) fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
  return rc;
}

#define HEAD "holdfast-recipe 1\nstream tree tar\n"
#define E(at, span, tail) "e f 644 0 0 1 1.000000000 2.000000000 3 - p - " #at " " #span " " #tail "\n"
#define S "e s 644 0 0 0 1.000000000 2.000000000 3 - q - 0 0 0\n"
#define C(len, off, n) "c " ID " " #len " " #off " " #n "\n"

static void whole_texts(void **state) {
  (void)state;
  static const char good[] = HEAD S C(5000, 0, 5000) E(0, 2048, 0) S E(2048, 2952, 0) C(6000, 1000, 2000) E(1000, 2000, 700)
      C(400, 0, 400) C(300, 0, 300) S C(1024, 0, 1024) "end 8724 5 6\n";
  assert_int_equal(read_all(good, strlen(good), NULL), 0);
  for (size_t n = 0; n < strlen(good); n++) assert_int_equal(read_all(good, n, NULL), HOLDFAST_E_CORRUPT);
  static const struct {
    const char *text, *words;
  } bad[] = {
      {"holdfast-recipe 2\nstream tree tar\nend 0 0 0\n", "known version"},
      {"holdfast-recipe 1\nstream tree zip\nend 0 0 0\n", "format"},
      {"holdfast-recipe 1\nstream a/b tar\nend 0 0 0\n", "name"},
      {"holdfast-recipe 1\nstream .x tar\nend 0 0 0\n", "name"},
      {"holdfast-recipe 1\nstream tree\nend 0 0 0\n", "format"},
      {"holdfast-recipe 1\nstream tree tar x\nend 0 0 0\n", "format"},
      {"holdfast-recipe 1\nriver tree tar\nend 0 0 0\n", "stream line"},
      {"holdfast-recipe 1\nstream dump raw\n" E(0, 512, 0) "end 0 0 1\n", "raw stream"},
      {HEAD E(0, 512, 0) "end 0 0 1\n", "not in the slice"},
      {HEAD C(512, 0, 512) E(0, 513, 0) "end 512 1 1\n", "line 4: an entry that is not in the slice"},
      {HEAD C(2000, 1000, 512) E(0, 512, 0) "end 512 1 1\n", "not in the slice"},
      {HEAD C(512, 0, 512) E(0, 512, 100) "end 512 1 1\n", "less data"},
      {HEAD C(512, 0, 512) E(0, 512, 100) C(50, 0, 50) E(0, 512, 0) "end 562 2 2\n", "less data"},
      {HEAD C(512, 0, 512) E(0, 512, 100) C(101, 0, 101) "end 613 2 1\n", "more data"},
      {HEAD C(512, 0, 512) E(0, 512, 100) C(100, 0, 100) E(0, 50, 0) "end 612 2 2\n", "not in the slice"},
      {HEAD C(512, 0, 512) "end 511 1 0\n", "sums"},
      {HEAD C(512, 0, 512) "end 512 2 0\n", "sums"},
      {HEAD C(512, 0, 512) "end 512 1 1\n", "sums"},
      {HEAD "end 0 0 0\n\n", "after the end"},
      {HEAD "end 0 0\n", "malformed end"},
      {HEAD "end 0 0 0 0\n", "malformed end"},
      {HEAD "x 0\n", "neither"},
      {HEAD "\n", "neither"},
  };
  for (size_t i = 0; i < HF_NELEM(bad); i++)
    if (read_all(bad[i].text, strlen(bad[i].text), bad[i].words) != HOLDFAST_E_CORRUPT) fail_msg("taken: %s", bad[i].text);
}

static void distrust(void **state) {
  (void)state;
  struct hf_buf b = HF_BUF_INIT;
  struct holdfast_entry e = sample();
  struct hf_recipe_entry got;
  hf_buf_adds(&b, C(512, 0, 512));
  size_t at = b.len;
  hf_recipe_entry(&b, &e, true, 0, 512, 100);
  hf_buf_adds(&b, C(100, 0, 100));
  hf_recipe_distrust(&b, at);
  assert_string_equal(
      b.data,
      C(512, 0, 512) "e f 644 0 4294967295 1234567890123 1700000000.000000005 ! 18446744073709551615 - a/b\\040c - 0 512 100\n" C(
          100, 0, 100));
  assert_int_equal(b.len, strlen(b.data));
  hf_recipe_distrust(&b, at); /* twice does no harm */
  assert_int_equal(b.len, strlen(b.data));
  size_t n = (size_t)(strchr(b.data + at, '\n') - b.data) - at;
  assert_int_equal(hf_recipe_parse_entry(b.data + at, n, &got, NULL), 0);
  assert_int_equal(got.ctime_mark, '!');
  hf_buf_free(&b);
}

static void names(void **state) {
  (void)state;
  char longest[257];
  memset(longest, 'n', sizeof longest);
  assert_true(hf_recipe_name_ok("dump-1_a.SQL", 12));
  assert_true(hf_recipe_name_ok(longest, 255));
  assert_false(hf_recipe_name_ok(longest, 256));
  assert_false(hf_recipe_name_ok("", 0));
  assert_false(hf_recipe_name_ok("..", 2));
  assert_false(hf_recipe_name_ok("-a", 2));
  assert_false(hf_recipe_name_ok("a b", 3));
  assert_false(hf_recipe_name_ok("a\0b", 3));
  assert_false(hf_recipe_name_ok("\303\244", 2));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_to_the_letter),
      cmocka_unit_test(there_and_back),
      cmocka_unit_test(escapes_agree),
      cmocka_unit_test(modes),
      cmocka_unit_test(malformed_entries),
      cmocka_unit_test(malformed_slices),
      cmocka_unit_test(whole_texts),
      cmocka_unit_test(distrust),
      cmocka_unit_test(names),
  };
  return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
