/* hex.c - bytes as hex digits and back.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"

void hf_hex(char *out, const void *p, size_t n) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *b = p;
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[b[i] >> 4];
    *out++ = digits[b[i] & 15];
  }
  *out = 0;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool hf_unhex(void *out, const char *s, size_t n) {
  /* Checked first, so that the output stays untouched on failure; stops at a NUL, which is no digit. */
  for (size_t i = 0; i < 2 * n; i++)
    if (digit(s[i]) < 0) return false;
  unsigned char *b = out;
  for (size_t i = 0; i < n; i++) b[i] = (unsigned char)(digit(s[2 * i]) << 4 | digit(s[2 * i + 1]));
  return true;
}
