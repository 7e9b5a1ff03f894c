/* crc64.c - the checksum of x-ms-content-crc64: CRC-64 with the polynomial of NVMe, its bytes from the lowest on, in base64.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "azure.h"

#define POLYNOMIAL 0x9a6c9329ac4bc9b5u /* reflected */

/* table[k][b]: what the byte b does to the checksum when k more bytes follow. Eight bytes go at a time. */
static uint64_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void) {
  for (unsigned b = 0; b < 256; b++) {
    uint64_t c = b;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
    table[0][b] = c;
  }
  for (unsigned k = 1; k < 8; k++)
    for (unsigned b = 0; b < 256; b++) table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 255];
}

void hf_azure_crc64(const void *p, size_t n, char out[HFT_BASE64]) {
  const unsigned char *s = p;
  unsigned char bytes[8];
  uint64_t c = ~UINT64_C(0);
  pthread_once(&once, fill);
  for (; n >= 8; n -= 8, s += 8) {
    for (unsigned k = 0; k < 8; k++) c ^= (uint64_t)s[k] << 8 * k;
    uint64_t next = 0;
    for (unsigned k = 0; k < 8; k++) next ^= table[7 - k][c >> 8 * k & 255];
    c = next;
  }
  for (; n > 0; n--, s++) c = c >> 8 ^ table[0][(c ^ *s) & 255];
  c = ~c;
  for (unsigned k = 0; k < 8; k++) bytes[k] = (unsigned char)(c >> 8 * k);
  hft_base64(bytes, sizeof bytes, out);
}
