/* test_sigv4.c - AWS signatures: the published vectors, and what they leave out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The requests and signatures are those of Amazon's Signature Version 4 test suite and of the examples in the S3 API reference.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "../../targets/common/digest.h"
#include "../../targets/common/sigv4.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SUITE_TIME 1440938160 /* 20150830T123600Z */
#define S3_TIME 1369353600    /* 20130524T000000Z */

static const struct hft_header basic[] = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}};
static const struct hft_header trimmed[] = {
    {"Host", "example.amazonaws.com"}, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\"  "}, {"X-Amz-Date", "20150830T123600Z"}};
static const struct hft_header doubled[] = {
    {"Host", "example.amazonaws.com"}, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}, {"X-Amz-Date", "20150830T123600Z"}};
static const struct hft_header form[] = {
    {"Content-Type", "application/x-www-form-urlencoded"}, {"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}};
static const struct hft_header upper[] = {{"Host", "example.amazonaws.com"}, {"My-Header1", "VALUE1"}, {"X-Amz-Date", "20150830T123600Z"}};
static const struct hft_header s3_get[] = {
    {"host", "examplebucket.s3.amazonaws.com"}, {"range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", "20130524T000000Z"}};
static const struct hft_header s3_plain[] = {{"x-amz-date", "20130524T000000Z"}, {"x-amz-content-sha256", EMPTY}, {"host", "examplebucket.s3.amazonaws.com"}};
#define PUT_SHA "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
static const struct hft_header s3_put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                           {"host", "examplebucket.s3.amazonaws.com"},
                                           {"x-amz-content-sha256", PUT_SHA},
                                           {"x-amz-date", "20130524T000000Z"},
                                           {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};

#define H(a) a, sizeof a / sizeof *a

static const struct {
  const char *name, *method, *path, *query;
  const struct hft_header *headers;
  size_t n;
  const char *payload, *signature;
} vectors[] = {
    {"get-vanilla", "GET", "/", "", H(basic), EMPTY, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", H(basic), EMPTY,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", H(basic), EMPTY, "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-unreserved", "GET", "/",
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", H(basic), EMPTY,
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-utf8", "GET", "/%E1%88%B4", "", H(basic), EMPTY, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-header-value-trim", "GET", "/", "", H(trimmed), EMPTY, "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-header-key-duplicate", "GET", "/", "", H(doubled), EMPTY, "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"post-vanilla", "POST", "/", "", H(basic), EMPTY, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-case", "POST", "/", "", H(upper), EMPTY, "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-x-www-form-urlencoded", "POST", "/", "", H(form), "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"s3: get object", "GET", "/test.txt", "", H(s3_get), EMPTY, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"s3: put object", "PUT", "/test%24file.text", "", H(s3_put), PUT_SHA, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"s3: get bucket lifecycle", "GET", "/", "lifecycle", H(s3_plain), EMPTY, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"s3: list objects", "GET", "/", "prefix=J&max-keys=2", H(s3_plain), EMPTY, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void vector_signatures(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    bool s3 = strncmp(vectors[i].name, "s3:", 3) == 0;
    const struct hft_sigv4 s = {.access_key = s3 ? "AKIAIOSFODNN7EXAMPLE" : "AKIDEXAMPLE",
                                .secret_key = s3 ? "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" : "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                .region = "us-east-1", .service = s3 ? "s3" : "service", .when = s3 ? S3_TIME : SUITE_TIME,
                                .method = vectors[i].method, .path = vectors[i].path, .query = vectors[i].query, .headers = vectors[i].headers,
                                .n_headers = vectors[i].n, .payload = vectors[i].payload};
    struct hft_buf out = {0};
    hft_sigv4_authorization(&s, &out);
    assert_false(out.bad);
    const char *got = strstr(out.data, "Signature=");
    assert_non_null(got);
    if (strcmp(got + 10, vectors[i].signature) != 0) fail_msg("%s: %s, not %s", vectors[i].name, got + 10, vectors[i].signature);
    hft_buf_free(&out);
  }
}

static void whole_header(void **state) {
  (void)state;
  const struct hft_sigv4 s = {.access_key = "AKIDEXAMPLE",
                              .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                              .region = "us-east-1",
                              .service = "service",
                              .when = SUITE_TIME,
                              .method = "GET",
                              .path = "",
                              .query = "",
                              .headers = basic,
                              .n_headers = 2,
                              .payload = EMPTY};
  struct hft_buf out = {0};
  hft_sigv4_authorization(&s, &out);
  assert_string_equal(out.data, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
                                "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  hft_buf_free(&out);
  hft_sigv4_canonical(&s, &out);
  assert_string_equal(out.data, "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n" EMPTY);
  hft_buf_free(&out);
}

static void query_is_sorted(void **state) {
  (void)state;
  struct hft_sigv4 s = {.method = "GET", .path = "/", .query = "b=2&a=9&a=1&a%2F=0&&aa=&versions&A=z", .payload = "p"};
  struct hft_buf out = {0}, long_query = {0};
  hft_sigv4_canonical(&s, &out);
  /* By bytes of the encoded name, then of the value: '%' before letters, capitals before small ones. */
  assert_string_equal(out.data, "GET\n/\nA=z&a=1&a=9&a%2F=0&aa=&b=2&versions=\n\n\np");
  hft_buf_free(&out);
  for (int i = 0; i < 65; i++) hft_addf(&long_query, "p%d=1&", i);
  s.query = long_query.data;
  hft_sigv4_canonical(&s, &out);
  assert_true(out.bad); /* never signed in part */
  hft_buf_free(&out);
  hft_buf_free(&long_query);
}

static void digests(void **state) {
  (void)state;
  char hex[HFT_HEX], base64[HFT_BASE64];
  assert_true(hft_sha256_hex("", 0, hex));
  assert_string_equal(hex, EMPTY);
  assert_true(hft_hex_base64(EMPTY, base64));
  assert_string_equal(base64, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  assert_true(hft_base64_hex(base64, hex));
  assert_string_equal(hex, EMPTY);
  assert_true(hft_md5_base64("", 0, base64));
  assert_string_equal(base64, "1B2M2Y8AsgTpgAmY7PhCfg==");
  static const char *const no_digest[] = {"", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==",
                                          "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-2", "47DEQpj8HBSa*/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="};
  for (size_t i = 0; i < sizeof no_digest / sizeof *no_digest; i++) assert_false(hft_base64_hex(no_digest[i], hex));
  assert_false(hft_hex_base64("e3", base64));
  assert_false(hft_hex_base64(EMPTY "00", base64));
}

static void texts(void **state) {
  (void)state;
  struct hft_buf b = {0};
  char s[64], time[HFT_TIME];
  int64_t t;
  hft_encode(&b, "a/b c+~\xc3\xa9", true);
  assert_string_equal(b.data, "a/b%20c%2B~%C3%A9");
  hft_buf_free(&b);
  hft_encode(&b, "a/b", false);
  assert_string_equal(b.data, "a%2Fb");
  hft_buf_free(&b);
  strcpy(s, "a%2fb+c%C3%A9");
  assert_true(hft_decode(s));
  assert_string_equal(s, "a/b c\xc3\xa9");
  static const char *const bad[] = {"%", "%4", "%zz", "a%00b"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    strcpy(s, bad[i]);
    assert_false(hft_decode(s));
  }
  hft_printable(s, 12, " two\n\twords\x1b and more.");
  assert_string_equal(s, "two words a");
  assert_true(hft_time_parse("2026-11-20T12:00:00Z", &t) && t == 1795176000);
  assert_true(hft_time_parse("2026-11-20T12:00:00.123Z", &t) && t == 1795176000);
  assert_true(hft_time_http("Fri, 20 Nov 2026 12:00:00 GMT", &t) && t == 1795176000);
  hft_time_format(time, t);
  assert_string_equal(time, "2026-11-20T12:00:00Z");
  static const char *const no_time[] = {"", "2026-11-20", "2026-02-31T00:00:00Z", "2026-11-20T12:00:00", "2026-11-20T12:00:00+01:00", "2026-11-20T25:00:00Z"};
  for (size_t i = 0; i < sizeof no_time / sizeof *no_time; i++) assert_false(hft_time_parse(no_time[i], &t));
  assert_false(hft_time_http("Fri, 20 ovD 2026 12:00:00 GMT", &t));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(vector_signatures), cmocka_unit_test(whole_header), cmocka_unit_test(query_is_sorted),
                                     cmocka_unit_test(digests), cmocka_unit_test(texts)};
  return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
