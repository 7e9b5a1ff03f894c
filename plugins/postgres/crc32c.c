/* crc32c.c - CRC-32C (Castagnoli), which the server puts into its manifests: by the processor's instruction where there is one, else eight bytes at
 * a time by tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "physical.h"

#include <string.h>

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const unsigned char *p, size_t n) {
  uint64_t s = sum, word;
  for (; n >= 8; p += 8, n -= 8) {
    memcpy(&word, p, 8);
    s = __builtin_ia32_crc32di(s, word);
  }
  for (; n > 0; p++, n--) s = __builtin_ia32_crc32qi((uint32_t)s, *p);
  return (uint32_t)s;
}
static bool has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#else
static uint32_t by_instruction(uint32_t sum, const unsigned char *p, size_t n) {
  (void)p;
  (void)n;
  return sum;
}
static bool has_instruction(void) { return false; }
#endif

void hf_pg_crc_init(struct hf_pg_crc *c) {
  c->instruction = has_instruction();
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t s = i;
    for (int bit = 0; bit < 8; bit++) s = s >> 1 ^ (s & 1 ? 0x82F63B78u : 0);
    c->table[0][i] = s;
  }
  for (int k = 1; k < 8; k++)
    for (int i = 0; i < 256; i++) c->table[k][i] = c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 255];
}

static uint32_t little(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t hf_pg_crc_add(const struct hf_pg_crc *c, uint32_t sum, const void *data, size_t n) {
  const unsigned char *p = data;
  if (c->instruction) return by_instruction(sum, p, n);
  for (; n >= 8; p += 8, n -= 8) {
    uint32_t a = sum ^ little(p), b = little(p + 4);
    sum = c->table[7][a & 255] ^ c->table[6][a >> 8 & 255] ^ c->table[5][a >> 16 & 255] ^ c->table[4][a >> 24] ^
          c->table[3][b & 255] ^ c->table[2][b >> 8 & 255] ^ c->table[1][b >> 16 & 255] ^ c->table[0][b >> 24];
  }
  for (; n > 0; p++, n--) sum = sum >> 8 ^ c->table[0][(sum ^ *p) & 255];
  return sum;
}
