/* text.c - a growing buffer, percent encoding, times, texts that are safe to show.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void hft_add(struct hft_buf *b, const void *p, size_t n) {
  if (b->bad) return;
  if (n >= b->cap - b->len) {
    size_t cap = b->cap ? b->cap : 256;
    while (cap - b->len <= n) {
      if (cap > SIZE_MAX / 2) {
        b->bad = true;
        return;
      }
      cap *= 2;
    }
    /* No realloc: what was there may be a secret, and would be left behind. */
    char *data = malloc(cap);
    if (!data) {
      b->bad = true;
      return;
    }
    if (b->len) memcpy(data, b->data, b->len);
    if (b->data) explicit_bzero(b->data, b->len);
    free(b->data);
    b->data = data;
    b->cap = cap;
  }
  if (n) memcpy(b->data + b->len, p, n);
  b->len += n;
  b->data[b->len] = '\0';
}

void hft_adds(struct hft_buf *b, const char *s) { hft_add(b, s, strlen(s)); }

void hft_addf(struct hft_buf *b, const char *fmt, ...) {
  char small[512], *s = small;
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(small, sizeof small, fmt, ap);
  va_end(ap);
  if (n >= (int)sizeof small) {
    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
  }
  if (n < 0) {
    b->bad = true;
    return;
  }
  hft_add(b, s, (size_t)n);
  explicit_bzero(s, (size_t)n);
  if (s != small) free(s);
}

const char *hft_text(const struct hft_buf *b) { return b->data ? b->data : ""; }

void hft_buf_free(struct hft_buf *b) {
  if (b->data) explicit_bzero(b->data, b->len);
  free(b->data);
  *b = (struct hft_buf){0};
}

static bool unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

void hft_encode(struct hft_buf *b, const char *s, bool keep_slashes) {
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (unreserved(c) || (keep_slashes && c == '/'))
      hft_add(b, s, 1);
    else
      hft_addf(b, "%%%02X", c);
  }
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool hft_decode(char *s) {
  char *out = s;
  for (; *s; s++) {
    if (*s == '%') {
      int hi = digit(s[1]), lo = hi < 0 ? -1 : digit(s[2]);
      if (lo < 0 || hi + lo == 0) return false;
      *out++ = (char)(hi * 16 + lo);
      s += 2;
    } else {
      *out++ = *s == '+' ? ' ' : *s;
    }
  }
  *out = '\0';
  return true;
}

void hft_printable(char *out, size_t cap, const char *text) {
  size_t n = 0;
  if (cap == 0) return;
  for (; *text && n + 1 < cap; text++) {
    unsigned char c = (unsigned char)*text;
    bool blank = c <= ' ' || c == 0x7f;
    if (blank && (n == 0 || out[n - 1] == ' ')) continue;
    out[n++] = blank ? ' ' : (char)c;
  }
  while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '.')) n--;
  out[n] = '\0';
}

bool hft_number(const char *s, uint64_t *out) {
  size_t n = s ? strspn(s, "0123456789") : 0;
  if (n == 0 || n > 19 || s[n]) return false;
  *out = strtoull(s, NULL, 10);
  return true;
}

bool hft_content_range(const char *s, uint64_t *first, uint64_t *last, uint64_t *total) {
  char a[24], b[24], c[24];
  int end = 0;
  if (!s || sscanf(s, "bytes %20[0-9]-%20[0-9]/%20[0-9]%n", a, b, c, &end) != 3 || s[end]) return false;
  return hft_number(a, first) && hft_number(b, last) && hft_number(c, total) && *first <= *last && *last < *total;
}

void hft_time_format(char out[HFT_TIME], int64_t t) {
  struct tm tm;
  time_t when = (time_t)t;
  if (!gmtime_r(&when, &tm) || strftime(out, HFT_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) out[0] = '\0';
}

/* The calendar fields of tm, checked, as seconds. timegm alone would take the 31st of February. */
static bool from_tm(struct tm *tm, int64_t *out) {
  struct tm again = *tm;
  time_t t = timegm(&again);
  if (again.tm_year != tm->tm_year || again.tm_mon != tm->tm_mon || again.tm_mday != tm->tm_mday || again.tm_hour != tm->tm_hour) return false;
  *out = t;
  return true;
}

bool hft_time_parse(const char *s, int64_t *out) {
  struct tm tm = {0};
  int n = 0;
  if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6) return false;
  s += n;
  if (*s == '.') s += 1 + strspn(s + 1, "0123456789");
  if (strcmp(s, "Z") != 0 && strcmp(s, "+00:00") != 0) return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  return from_tm(&tm, out);
}

/* Whatever the locale is. */
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec", days[] = "SunMonTueWedThuFriSat";

void hft_time_http_format(char out[HFT_TIME], int64_t t) {
  struct tm tm;
  time_t when = (time_t)t;
  if (!gmtime_r(&when, &tm) || strftime(out, HFT_TIME, "DDD, %d MMM %Y %H:%M:%S GMT", &tm) == 0) {
    out[0] = '\0';
    return;
  }
  memcpy(out, days + 3 * tm.tm_wday, 3);
  memcpy(out + 8, months + 3 * tm.tm_mon, 3);
}

bool hft_time_http(const char *s, int64_t *out) {
  char month[4] = "";
  struct tm tm = {0};
  if (sscanf(s, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6) return false;
  const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
  if (!at || (at - months) % 3 != 0) return false;
  tm.tm_mon = (int)(at - months) / 3;
  tm.tm_year -= 1900;
  return from_tm(&tm, out);
}
