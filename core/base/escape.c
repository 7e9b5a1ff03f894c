/* escape.c - any bytes as one blank-free word, and as something a terminal can show.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/internal.h"
#include "base/text.h"

static bool stands_for_itself(unsigned char c) { return c > 0x20 && c != 0x7f && c != '\\'; }

static void add_octal(struct hf_buf *out, unsigned char c) {
  const char o[4] = {'\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)), (char)('0' + (c & 7))};
  hf_buf_add(out, o, sizeof o);
}

void hf_escape(struct hf_buf *out, const void *p, size_t n) {
  const unsigned char *b = p;
  if (n == 0) {
    hf_buf_adds(out, "\\-");
    return;
  }
  for (size_t i = 0; i < n;) {
    size_t run = i;
    while (run < n && stands_for_itself(b[run])) run++;
    hf_buf_add(out, b + i, run - i);
    if (run < n) add_octal(out, b[run++]);
    i = run;
  }
}

int hf_unescape(struct hf_buf *out, const char *s, size_t n, struct hf_error *err) {
  size_t before = out->len;
  if (n == 2 && s[0] == '\\' && s[1] == '-') {
    hf_buf_reserve(out, 0);
    return 0;
  }
  hf_buf_reserve(out, n);
  for (size_t i = 0; i < n;) {
    const char *back = memchr(s + i, '\\', n - i);
    size_t run = back ? (size_t)(back - (s + i)) : n - i;
    hf_buf_add(out, s + i, run);
    i += run;
    if (i == n) break;
    if (n - i < 4 || s[i + 1] < '0' || s[i + 1] > '3' || s[i + 2] < '0' || s[i + 2] > '7' || s[i + 3] < '0' || s[i + 3] > '7') {
      out->len = before;
      if (out->data) out->data[before] = 0;
      return hf_fail(err, HOLDFAST_E_CORRUPT, "malformed escape at byte %zu", i);
    }
    hf_buf_addc(out, (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0')));
    i += 4;
  }
  return 0;
}

size_t hf_utf8_seq(const unsigned char *p, size_t n, uint32_t *cp) {
  if (n == 0) return 0;
  uint32_t c = p[0], least;
  size_t len;
  if (c < 0x80) len = 1, least = 0;
  else if (c >= 0xc2 && c < 0xe0) len = 2, least = 0x80, c &= 0x1f;
  else if (c >= 0xe0 && c < 0xf0) len = 3, least = 0x800, c &= 0x0f;
  else if (c >= 0xf0 && c < 0xf5) len = 4, least = 0x10000, c &= 0x07;
  else return 0;
  if (len > n) return 0;
  for (size_t i = 1; i < len; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (p[i] & 0x3f);
  }
  if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
  if (cp) *cp = c;
  return len;
}

char *hf_printable(const void *p, size_t n) {
  const unsigned char *b = p;
  struct hf_buf out = HF_BUF_INIT;
  for (size_t i = 0; i < n;) {
    uint32_t c = 0;
    size_t len = hf_utf8_seq(b + i, n - i, &c);
    /* U+0080 to U+009F are control codes too: some terminals obey them. */
    if (len > 0 && c >= 0x20 && (c < 0x7f || c > 0x9f)) {
      hf_buf_add(&out, b + i, len);
      i += len;
    } else {
      for (size_t end = i + (len ? len : 1); i < end; i++) add_octal(&out, b[i]);
    }
  }
  return hf_buf_take(&out);
}
