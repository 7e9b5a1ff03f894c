/* test_text.c - hex, units, times, escaping, and the checked reading of JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "base/text.h"
#include "unit.h"

static void hex(void **state) {
  (void)state;
  char out[9];
  hf_hex(out, "\x00\x7f\xab\xff", 4);
  assert_string_equal(out, "007fabff");
  unsigned char b[4] = {9, 9, 9, 9};
  assert_true(hf_unhex(b, "007FabFFxyz", 4));
  assert_memory_equal(b, "\x00\x7f\xab\xff", 4);
  assert_false(hf_unhex(b, "00112g33", 4));
  assert_false(hf_unhex(b, "00112", 4)); /* ends early: not read beyond */
  assert_memory_equal(b, "\x00\x7f\xab\xff", 4);
}

static void sizes(void **state) {
  (void)state;
  static const struct { const char *s; uint64_t n; } good[] = {
      {"0", 0}, {"512", 512}, {"12B", 12}, {"64K", 65536}, {"64k", 65536}, {"32M", 32 * HF_MIB}, {"32MiB", 32 * HF_MIB},
      {"1MB", HF_MIB}, {"4G", 4096 * HF_MIB}, {"2T", 2 * HF_MIB * HF_MIB}, {"15E", 15ULL << 60}, {"18446744073709551615", UINT64_MAX},
  };
  uint64_t n;
  for (size_t i = 0; i < HF_NELEM(good); i++) {
    assert_int_equal(hf_parse_size(good[i].s, &n, NULL), 0);
    assert_int_equal(n, good[i].n);
  }
  static const char *const bad[] = {"", "K", "-1", "+1", " 1", "1 K", "1Ki", "1KK", "1.5M", "0x10", "16E", "18446744073709551616", "1KiBs"};
  struct hf_error e;
  n = 77;
  for (size_t i = 0; i < HF_NELEM(bad); i++) assert_int_equal(hf_parse_size(bad[i], &n, &e), HOLDFAST_E_CONFIG);
  assert_int_equal(n, 77);
  assert_string_equal(e.msg, "\"1KiBs\" is not a size such as 512, 64K, 32M or 4G");
}

static void durations(void **state) {
  (void)state;
  static const struct { const char *s; int64_t n; } good[] = {
      {"0", 0}, {"0s", 0}, {"90s", 90}, {"15m", 900}, {"24h", 86400}, {"7d", 604800}, {"4w", 2419200}, {"7y", 7 * 31536000LL}, {"1h30m", 5400},
  };
  int64_t n;
  for (size_t i = 0; i < HF_NELEM(good); i++) {
    assert_int_equal(hf_parse_duration(good[i].s, &n, NULL), 0);
    assert_int_equal(n, good[i].n);
  }
  static const char *const bad[] = {"", "5", "1h30", "h", "-1h", "1 h", "1M", "1.5h", "9223372036854775807m", "99999999999999999999s"};
  n = 77;
  for (size_t i = 0; i < HF_NELEM(bad); i++) assert_int_equal(hf_parse_duration(bad[i], &n, NULL), HOLDFAST_E_CONFIG);
  assert_int_equal(n, 77);
}

static void bools_and_numbers(void **state) {
  (void)state;
  bool b = false;
  uint64_t n = 77;
  struct hf_error e;
  assert_int_equal(hf_parse_bool("Yes", &b, NULL), 0);
  assert_true(b);
  assert_int_equal(hf_parse_bool("off", &b, NULL), 0);
  assert_false(b);
  assert_int_equal(hf_parse_bool("maybe", &b, &e), HOLDFAST_E_CONFIG);
  assert_string_equal(e.msg, "\"maybe\" is neither yes nor no");
  assert_int_equal(hf_parse_uint("65535", 65535, &n, NULL), 0);
  assert_int_equal(n, 65535);
  assert_int_equal(hf_parse_uint("65536", 65535, &n, &e), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(e.msg, "at most 65535"));
  static const char *const bad[] = {"", "-1", "1x", " 1", "18446744073709551616"};
  for (size_t i = 0; i < HF_NELEM(bad); i++) assert_int_equal(hf_parse_uint(bad[i], UINT64_MAX, &n, NULL), HOLDFAST_E_CONFIG);
  assert_int_equal(n, 65535);
}

static void times(void **state) {
  (void)state;
  setenv("TZ", "UTC-2", 1); /* two hours east */
  tzset();
  static const struct { const char *s; int64_t t; } good[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"2026-11-20T09:18:52Z", 1795166332},
      {"2026-11-20T10:18:52+01:00", 1795166332},
      {"2026-11-20 06:18:52.75-03:00", 1795166332},
      {"2026-11-20 11:18:52", 1795166332},
      {"2026-11-20 11:18", 1795166280},
      {"2026-11-20", 1795125600},
      {"2024-02-29T00:00:00Z", 1709164800},
      {"1969-12-31T23:59:59Z", -1},
  };
  int64_t t;
  for (size_t i = 0; i < HF_NELEM(good); i++) {
    assert_int_equal(hf_parse_time(good[i].s, &t, NULL), 0);
    assert_int_equal(t, good[i].t);
  }
  int64_t now = hf_wall_clock();
  assert_int_equal(hf_parse_time("90m ago", &t, NULL), 0);
  assert_in_range(t - (now - 5400), 0, 5);
  static const char *const bad[] = {"", "now", "ago", " ago", "x ago", "2026-13-01", "2026-02-30", "2025-02-29", "2026-11-20T09:18:52",
                                    "2026-11-20 24:00", "2026-11-20 9:18", "2026-11-20T09:18:52Zx", "2026-11-20T09:18:52+1:00",
                                    "2026-11-20T09:18:52+01:60", "2026-11-2", "2026-11-20x"};
  t = 77;
  for (size_t i = 0; i < HF_NELEM(bad); i++) assert_int_equal(hf_parse_time(bad[i], &t, NULL), HOLDFAST_E_CONFIG);
  assert_int_equal(t, 77);
  char out[HF_TIME_LEN];
  hf_format_time(out, 1795166332);
  assert_string_equal(out, "2026-11-20T09:18:52Z");
  hf_format_time(out, INT64_MAX);
  assert_string_equal(out, "9999-12-31T23:59:59Z");
  hf_format_time(out, INT64_MIN);
  assert_string_equal(out, "0000-01-01T00:00:00Z");
  double a = hf_now();
  assert_true(hf_now() >= a);
}

static void shown_sizes_and_durations(void **state) {
  (void)state;
  static const struct { uint64_t n; const char *s; } size[] = {
      {0, "0 B"}, {12, "12 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1572864, "1.5 MiB"}, {1048575, "1.0 MiB"}, {UINT64_MAX, "16.0 EiB"},
  };
  char out[24];
  for (size_t i = 0; i < HF_NELEM(size); i++) {
    hf_format_size(out, size[i].n);
    assert_string_equal(out, size[i].s);
  }
  static const struct { double n; const char *s; } dur[] = {
      {-1, "0.000 s"}, {0.0042, "0.004 s"}, {3.2, "3.2 s"}, {59.94, "59.9 s"}, {59.96, "1m 00s"}, {3599.7, "1h 00m"}, {3725, "1h 02m"}, {200000, "2d 07h"},
  };
  for (size_t i = 0; i < HF_NELEM(dur); i++) {
    hf_format_duration(out, dur[i].n);
    assert_string_equal(out, dur[i].s);
  }
  hf_format_duration(out, 1e300);
  assert_true(strlen(out) < 24);
}

static void escaping(void **state) {
  (void)state;
  static const struct { const char *raw; size_t n; const char *esc; } row[] = {
      {"", 0, "\\-"}, {"a/b", 3, "a/b"}, {"a b\n", 4, "a\\040b\\012"}, {"\\-", 2, "\\134-"}, {"\0\x7f", 2, "\\000\\177"}, {"\xc3\xa9\xff", 3, "\xc3\xa9\xff"},
  };
  struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < HF_NELEM(row); i++) {
    hf_buf_clear(&b);
    hf_escape(&b, row[i].raw, row[i].n);
    assert_string_equal(b.data, row[i].esc);
    hf_buf_clear(&b);
    assert_int_equal(hf_unescape(&b, row[i].esc, strlen(row[i].esc), NULL), 0);
    assert_int_equal(b.len, row[i].n);
    assert_memory_equal(b.data, row[i].raw, row[i].n + 1);
  }
  /* every byte there is, and none that breaks a line or a word */
  char all[256];
  for (int i = 0; i < 256; i++) all[i] = (char)i;
  struct hf_buf esc = HF_BUF_INIT;
  hf_escape(&esc, all, sizeof all);
  for (size_t i = 0; i < esc.len; i++) assert_true((unsigned char)esc.data[i] > 0x20 && esc.data[i] != 0x7f);
  hf_buf_clear(&b);
  assert_int_equal(hf_unescape(&b, esc.data, esc.len, NULL), 0);
  assert_int_equal(b.len, 256);
  assert_memory_equal(b.data, all, 256);
  static const char *const bad[] = {"\\", "\\1", "\\12", "a\\", "\\400", "\\08x", "\\129", "\\x41", "\\-a", "a\\-"};
  hf_buf_clear(&b);
  hf_buf_adds(&b, "kept");
  for (size_t i = 0; i < HF_NELEM(bad); i++) {
    assert_int_equal(hf_unescape(&b, bad[i], strlen(bad[i]), NULL), HOLDFAST_E_CORRUPT);
    assert_string_equal(b.data, "kept");
  }
  hf_buf_free(&b);
  hf_buf_free(&esc);
}

static void printable(void **state) {
  (void)state;
  static const struct { const char *raw, *shown; } row[] = {
      {"plain text", "plain text"}, {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
      {"\x1b[2J\n", "\\033[2J\\012"}, {"bad \xff\xc3", "bad \\377\\303"}, {"c1 \xc2\x9b", "c1 \\302\\233"},
      {"overlong \xc0\xaf", "overlong \\300\\257"}, {"surrogate \xed\xa0\x80", "surrogate \\355\\240\\200"}, {"\xf4\x90\x80\x80", "\\364\\220\\200\\200"},
  };
  for (size_t i = 0; i < HF_NELEM(row); i++) {
    HF_CLEANUP(hf_freep) char *s = hf_printable(row[i].raw, strlen(row[i].raw));
    assert_string_equal(s, row[i].shown);
  }
}

static void json_members(void **state) {
  (void)state;
  static const char text[] = "{\"s\":\"x\",\"n\":5,\"neg\":-5,\"b\":true,\"a\":[1],\"o\":{},\"z\":null}";
  struct hf_error e;
  HF_CLEANUP(hf_json_decrefp) json_t *j = hf_json_parse(text, sizeof text - 1, &e);
  assert_non_null(j);
  const char *s = NULL;
  uint64_t u = 0;
  int64_t i = 0;
  bool b = false;
  json_t *v = NULL;
  assert_int_equal(hf_json_str(j, "s", true, &s, &e), 0);
  assert_string_equal(s, "x");
  assert_int_equal(hf_json_u64(j, "n", true, &u, &e), 0);
  assert_int_equal(u, 5);
  assert_int_equal(hf_json_i64(j, "neg", true, &i, &e), 0);
  assert_int_equal(i, -5);
  assert_int_equal(hf_json_bool(j, "b", true, &b, &e), 0);
  assert_true(b);
  assert_int_equal(hf_json_arr(j, "a", true, &v, &e), 0);
  assert_int_equal(json_array_size(v), 1);
  assert_int_equal(hf_json_obj(j, "o", true, &v, &e), 0);
  assert_true(json_is_object(v));
  /* absent: optional leaves the output alone, required is an error */
  assert_int_equal(hf_json_u64(j, "none", false, &u, &e), 0);
  assert_int_equal(u, 5);
  assert_int_equal(hf_json_u64(j, "none", true, &u, &e), HOLDFAST_E_CORRUPT);
  assert_string_equal(e.msg, "JSON member \"none\" is missing");
  /* the wrong type is an error even where the member is optional */
  assert_int_equal(hf_json_u64(j, "neg", false, &u, &e), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_u64(j, "s", false, &u, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_i64(j, "b", false, &i, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_str(j, "z", false, &s, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_bool(j, "n", false, &b, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_arr(j, "o", false, &v, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_obj(j, "a", false, &v, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_str(json_object_get(j, "a"), "s", false, &s, NULL), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_json_str(NULL, "s", false, &s, NULL), HOLDFAST_E_CORRUPT);
}

static void json_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"", "{", "{}x", "{} {}", "{\"a\":1,\"a\":2}", "{\"a\":99999999999999999999}", "\"\xff\"", "\"\\u0000\""};
  struct hf_error e;
  for (size_t i = 0; i < HF_NELEM(bad); i++) {
    e.code = 0;
    assert_null(hf_json_parse(bad[i], strlen(bad[i]), &e));
    assert_int_equal(e.code, HOLDFAST_E_CORRUPT);
  }
  assert_null(hf_json_parse(NULL, 0, NULL));
  HF_CLEANUP(hf_json_decrefp) json_t *j = hf_json_parse("[]junk", 2, &e); /* n bounds it */
  assert_non_null(j);
}

static void json_of_bytes(void **state) {
  (void)state;
  static const struct { const char *raw; size_t n; const char *s; } row[] = {
      {"", 0, ""}, {"a\\b \xc3\xa9\n", 7, "a\\b \xc3\xa9\n"}, {"a\\\xff\xc3\xa9", 5, "a\\134\\377\xc3\xa9"}, {"x\0y", 3, "x\\000y"},
  };
  for (size_t i = 0; i < HF_NELEM(row); i++) {
    HF_CLEANUP(hf_json_decrefp) json_t *j = hf_json_bytes(row[i].raw, row[i].n);
    assert_string_equal(json_string_value(j), row[i].s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hex),          cmocka_unit_test(sizes),     cmocka_unit_test(durations),    cmocka_unit_test(bools_and_numbers),
      cmocka_unit_test(times),        cmocka_unit_test(shown_sizes_and_durations), cmocka_unit_test(escaping), cmocka_unit_test(printable),
      cmocka_unit_test(json_members), cmocka_unit_test(json_refused), cmocka_unit_test(json_of_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
