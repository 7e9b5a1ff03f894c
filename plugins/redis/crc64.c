/* crc64.c - the checksum of an RDB: CRC-64 with the polynomial of Jones, reflected, nothing inverted; "123456789" gives e9c6d914c4b8d9ca.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define POLYNOMIAL UINT64_C(0x95ac9329ac4bc9b5) /* ad93d23594c935a9, the lowest bit first */

void hf_redis_crc64_init(struct hf_redis_crc64 *tables) {
  for (unsigned i = 0; i < 256; i++) {
    uint64_t c = i;
    for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? POLYNOMIAL : 0);
    tables->t[0][i] = c;
  }
  /* t[k][b]: byte b with k zero bytes behind it. */
  for (int k = 1; k < 8; k++)
    for (unsigned i = 0; i < 256; i++) tables->t[k][i] = tables->t[0][tables->t[k - 1][i] & 255] ^ (tables->t[k - 1][i] >> 8);
  tables->multiplies = false;
#ifdef __x86_64__
  uint64_t power = UINT64_C(1) << 63; /* x^0, the lowest bit first */
  for (int i = 1; i <= 191; i++) {
    power = (power >> 1) ^ (power & 1 ? POLYNOMIAL : 0);
    if (i == 127) tables->fold[1] = power;
  }
  tables->fold[0] = power;
  tables->multiplies = __builtin_cpu_supports("pclmul");
#endif
}

#ifdef __x86_64__
/* Fold n bytes, a multiple of 16 and not 0, into 16 that have the same remainder: each time what there is, times x^128 modulo the
 * polynomial, is added to the next 16 bytes. A product of two reflected numbers comes out one bit too low, so the powers are one less than 192 and 128. */
__attribute__((target("pclmul")))
static void fold(const struct hf_redis_crc64 *tables, uint64_t crc, const unsigned char *p, size_t n, unsigned char out[16]) {
  const __m128i k = _mm_set_epi64x((long long)tables->fold[1], (long long)tables->fold[0]);
  __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set_epi64x(0, (long long)crc));
  for (p += 16, n -= 16; n > 0; p += 16, n -= 16) {
    __m128i products = _mm_xor_si128(_mm_clmulepi64_si128(x, k, 0x00), _mm_clmulepi64_si128(x, k, 0x11));
    x = _mm_xor_si128(products, _mm_loadu_si128((const __m128i *)(const void *)p));
  }
  _mm_storeu_si128((__m128i *)(void *)out, x);
}
#endif

static uint64_t little_endian(const unsigned char *p) {
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
  return v;
}

uint64_t hf_redis_crc64(const struct hf_redis_crc64 *tables, uint64_t crc, const void *buf, size_t n) {
  const unsigned char *p = buf;
  const uint64_t(*t)[256] = tables->t;
#ifdef __x86_64__
  if (tables->multiplies && n >= 64) {
    unsigned char rest[16];
    size_t folded = n / 16 * 16;
    fold(tables, crc, p, folded, rest);
    crc = hf_redis_crc64(tables, 0, rest, sizeof rest); /* too short to be folded again */
    p += folded;
    n -= folded;
  }
#endif
  for (; n >= 8; n -= 8, p += 8) {
    crc ^= little_endian(p);
    crc = t[7][crc & 255] ^ t[6][crc >> 8 & 255] ^ t[5][crc >> 16 & 255] ^ t[4][crc >> 24 & 255] ^ t[3][crc >> 32 & 255] ^
          t[2][crc >> 40 & 255] ^ t[1][crc >> 48 & 255] ^ t[0][crc >> 56];
  }
  for (; n > 0; n--) crc = t[0][(crc ^ *p++) & 255] ^ (crc >> 8);
  return crc;
}
