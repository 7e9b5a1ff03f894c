/* ranges.c - sets of ordinals as text: "0-5,7".
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>

#include "repo/record_internal.h"

static bool has(const unsigned char *bits, size_t i) { return bits[i / 8] >> (i % 8) & 1; }

char *hf_ranges_write(const unsigned char *bits, size_t n) {
  struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < n; i++) {
    if (!has(bits, i)) continue;
    size_t first = i;
    while (i + 1 < n && has(bits, i + 1)) i++;
    hf_buf_addf(&b, "%s%zu", b.len ? "," : "", first);
    if (i > first) hf_buf_addf(&b, "-%zu", i);
  }
  return hf_buf_take(&b);
}

/* Decimal without leading zeros. */
static bool number(const char **p, uint64_t *out) {
  const char *s = *p;
  uint64_t v = 0;
  if (*s < '0' || *s > '9' || (*s == '0' && s[1] >= '0' && s[1] <= '9')) return false;
  for (; *s >= '0' && *s <= '9'; s++)
    if ((v = v * 10 + (uint64_t)(*s - '0')) > HF_ORDINAL_MAX) return false;
  *p = s;
  *out = v;
  return true;
}

int hf_ranges_each(const char *text, int (*fn)(void *ctx, uint64_t ordinal), void *ctx, struct hf_error *err) {
  uint64_t first, last, least = 0; /* least: what the next one must be at least; ranges that touch are written as one */
  for (const char *p = text; *p;) {
    if (!number(&p, &first) || first < least) goto bad;
    last = first;
    if (*p == '-') {
      p++;
      if (!number(&p, &last) || last <= first) goto bad;
    }
    for (uint64_t i = first; i <= last; i++) {
      int r = fn(ctx, i);
      if (r < 0) return r;
    }
    least = last + 2;
    if (*p == ',' && p[1])
      p++;
    else if (*p)
      goto bad;
  }
  return 0;
bad:
  return hf_fail(err, HOLDFAST_E_CORRUPT, "\"%.80s\" is not a set of ordinals", text);
}
