/* test_digest.c - SHA-256, HMAC and HKDF against published vectors: FIPS 180 examples, RFC 4231, RFC 5869.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "base/digest.h"
#include "base/text.h"
#include "unit.h"

static void expect(const struct hf_digest *d, const char *hex) {
  char got[HF_SHA256_HEX];
  hf_digest_hex(d, got);
  assert_string_equal(got, hex);
}

static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

static void fips_180(void **state) {
  (void)state;
  struct hf_digest d;
  hf_sha256("abc", 3, &d);
  expect(&d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hf_sha256(two_blocks, strlen(two_blocks), &d);
  expect(&d, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  hf_sha256(NULL, 0, &d);
  expect(&d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void running(void **state) {
  (void)state;
  struct hf_sha256 *s = hf_sha256_new(), *fork = hf_sha256_new();
  struct hf_digest d;
  char a[1000];
  memset(a, 'a', sizeof a);
  for (int i = 0; i < 1000; i++) hf_sha256_update(s, a, sizeof a);
  hf_sha256_final(s, &d);
  expect(&d, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  /* ready again without being asked; odd pieces; a copy goes its own way */
  for (size_t i = 0; i < strlen(two_blocks); i += 7) {
    hf_sha256_update(s, two_blocks + i, HF_MIN((size_t)7, strlen(two_blocks) - i));
    if (i == 7) {
      hf_sha256_copy(fork, s);
      hf_sha256_update(fork, "different", 9);
    }
  }
  hf_sha256_final(s, &d);
  expect(&d, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  struct hf_digest e;
  hf_sha256_final(fork, &e);
  assert_false(hf_digest_eq(&d, &e));
  hf_sha256_update(fork, NULL, 0);
  hf_sha256_final(fork, &e);
  expect(&e, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  hf_sha256_free(s);
  hf_sha256_free(fork);
  hf_sha256_free(NULL);
}

static void parsing(void **state) {
  (void)state;
  struct hf_digest d, e;
  assert_true(hf_digest_parse("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.tar", &d));
  hf_sha256("abc", 3, &e);
  assert_true(hf_digest_eq(&d, &e));
  e.b[31] ^= 1;
  assert_false(hf_digest_eq(&d, &e));
  assert_false(hf_digest_parse("ba7816", &d));
  assert_false(hf_digest_parse("", &d));
}

static void rfc_4231(void **state) {
  (void)state;
  unsigned char aa[131], key4[25], dd[50], cd[50];
  memset(aa, 0xaa, sizeof aa);
  memset(dd, 0xdd, sizeof dd);
  memset(cd, 0xcd, sizeof cd);
  for (int i = 0; i < 25; i++) key4[i] = (unsigned char)(i + 1);
  static const char long_data[] = "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed "
                                  "before being used by the HMAC algorithm.";
  const struct { const void *key; size_t kn; const void *data; size_t n; const char *mac; } row[] = {
      {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 20, "Hi There", 8,
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", 4, "what do ya want for nothing?", 28, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {aa, 20, dd, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {key4, 25, cd, 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {aa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {aa, 131, long_data, sizeof long_data - 1, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  struct hf_digest d;
  for (size_t i = 0; i < HF_NELEM(row); i++) {
    struct hf_hmac *h = hf_hmac_new(row[i].key, row[i].kn);
    for (int again = 0; again < 3; again++) {
      hf_hmac(h, row[i].data, row[i].n, &d);
      expect(&d, row[i].mac);
      hf_hmac(h, "something else", 14, &d);
    }
    hf_hmac_free(h);
  }
  struct hf_hmac *h = hf_hmac_new(NULL, 0);
  hf_hmac(h, NULL, 0, &d);
  expect(&d, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  hf_hmac_free(h);
  hf_hmac_free(NULL);
}

static void rfc_5869(void **state) {
  (void)state;
  /* A.3, the case without salt */
  unsigned char ikm[22], okm[8160];
  char hex[2 * 42 + 1];
  memset(ikm, 0x0b, sizeof ikm);
  hf_hkdf(ikm, sizeof ikm, NULL, 0, okm, 42);
  hf_hex(hex, okm, 42);
  assert_string_equal(hex, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  /* a longer output starts with the shorter one; info tells keys apart; the longest works */
  unsigned char a[32], b[32];
  hf_hkdf(ikm, sizeof ikm, "chunk", 5, a, sizeof a);
  hf_hkdf(ikm, sizeof ikm, "gear", 4, b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  hf_hkdf(ikm, sizeof ikm, "chunk", 5, okm, sizeof okm);
  assert_memory_equal(a, okm, sizeof a);
}

static void randomness(void **state) {
  (void)state;
  unsigned char a[600], b[600], zero[64] = {0};
  memset(a, 0, sizeof a);
  memset(b, 0, sizeof b);
  hf_random(a, sizeof a);
  hf_random(b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  assert_memory_not_equal(a + sizeof a - sizeof zero, zero, sizeof zero); /* to the very end */
  hf_random(a, 0);
}

static void *hash_much(void *arg) {
  struct hf_hmac *h = hf_hmac_new("Jefe", 4);
  for (int i = 0; i < 2000; i++) {
    hf_hmac(h, "what do ya want for nothing?", 28, arg);
    hf_sha256("abc", 3, (struct hf_digest *)arg + 1);
  }
  hf_hmac_free(h);
  return NULL;
}

static void threads(void **state) {
  (void)state;
  pthread_t t[4];
  struct hf_digest d[4][2];
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, hash_much, d[i]), 0);
  for (int i = 0; i < 4; i++) {
    pthread_join(t[i], NULL);
    expect(&d[i][0], "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect(&d[i][1], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads), /* first: so that it is the threads that race for the one-time fetch */
      cmocka_unit_test(fips_180), cmocka_unit_test(running),    cmocka_unit_test(parsing),
      cmocka_unit_test(rfc_4231), cmocka_unit_test(rfc_5869),   cmocka_unit_test(randomness),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
