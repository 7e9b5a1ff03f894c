/* crc32c.c - CRC-32C: by the processor's instruction where there is one, else eight bytes at a time by tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The instruction takes three cycles and another one may begin in each, so three stretches of a block are summed side by side. The three sums are put
 * together by a table that says what a sum becomes when a stretch of zeros follows.
 */
#include "crc32c.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL 0x82F63B78u /* reflected */
#define STRETCH 4096u          /* bytes; a multiple of 8 */

static struct {
  uint32_t bytes[8][256];   /* bytes[k][b]: byte b with k zeros behind it */
  uint32_t stretch[4][256]; /* stretch[k][b]: byte k of a sum, being b, with a stretch of zeros behind it */
  bool instruction;
} tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t s = i;
    for (int bit = 0; bit < 8; bit++) s = s >> 1 ^ (s & 1 ? POLYNOMIAL : 0);
    tables.bytes[0][i] = s;
  }
  for (int k = 1; k < 8; k++)
    for (int i = 0; i < 256; i++) tables.bytes[k][i] = tables.bytes[k - 1][i] >> 8 ^ tables.bytes[0][tables.bytes[k - 1][i] & 255];
  for (int k = 0; k < 4; k++)
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t s = i << (8 * k);
      for (unsigned n = 0; n < STRETCH; n++) s = s >> 8 ^ tables.bytes[0][s & 255];
      tables.stretch[k][i] = s;
    }
#if defined(__x86_64__)
  tables.instruction = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t by_tables(uint32_t s, const unsigned char *p, size_t n) {
  for (; n >= 8; p += 8, n -= 8) {
    s ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    s = tables.bytes[7][s & 255] ^ tables.bytes[6][s >> 8 & 255] ^ tables.bytes[5][s >> 16 & 255] ^ tables.bytes[4][s >> 24] ^ tables.bytes[3][p[4]] ^
        tables.bytes[2][p[5]] ^ tables.bytes[1][p[6]] ^ tables.bytes[0][p[7]];
  }
  for (; n > 0; p++, n--) s = s >> 8 ^ tables.bytes[0][(s ^ *p) & 255];
  return s;
}

#if defined(__x86_64__)
static uint32_t zeros_behind(uint32_t s) {
  return tables.stretch[0][s & 255] ^ tables.stretch[1][s >> 8 & 255] ^ tables.stretch[2][s >> 16 & 255] ^ tables.stretch[3][s >> 24];
}

static uint64_t word(const unsigned char *p) {
  uint64_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const unsigned char *p, size_t n) {
  uint64_t a = sum;
  for (; n >= 3 * STRETCH; p += 3 * STRETCH, n -= 3 * STRETCH) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < STRETCH; i += 8) {
      a = __builtin_ia32_crc32di(a, word(p + i));
      b = __builtin_ia32_crc32di(b, word(p + STRETCH + i));
      c = __builtin_ia32_crc32di(c, word(p + 2 * STRETCH + i));
    }
    a = zeros_behind(zeros_behind((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
  }
  for (; n >= 8; p += 8, n -= 8) a = __builtin_ia32_crc32di(a, word(p));
  for (; n > 0; p++, n--) a = __builtin_ia32_crc32qi((uint32_t)a, *p);
  return (uint32_t)a;
}
#else
static uint32_t by_instruction(uint32_t sum, const unsigned char *p, size_t n) { return by_tables(sum, p, n); }
#endif

uint32_t hft_crc32c_portable(uint32_t sum, const void *p, size_t n) {
  pthread_once(&once, make_tables);
  return ~by_tables(~sum, p, n);
}

uint32_t hft_crc32c(uint32_t sum, const void *p, size_t n) {
  pthread_once(&once, make_tables);
  return ~(tables.instruction ? by_instruction(~sum, p, n) : by_tables(~sum, p, n));
}

void hft_crc32c_text(uint32_t sum, char out[HFT_CRC32C_TEXT]) {
  const unsigned char b[4] = {(unsigned char)(sum >> 24), (unsigned char)(sum >> 16), (unsigned char)(sum >> 8), (unsigned char)sum};
  EVP_EncodeBlock((unsigned char *)out, b, sizeof b);
}
