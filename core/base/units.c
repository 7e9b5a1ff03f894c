/* units.c - sizes, durations, numbers and times as people write them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <math.h>

#include "base/text.h"

/* Digits at *s into *n, *s moved behind them; false without digits or on overflow. */
static bool digits(const char **s, uint64_t *n) {
  const char *p = *s;
  uint64_t v = 0;
  for (; *p >= '0' && *p <= '9'; p++)
    if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) return false;
  if (p == *s) return false;
  *s = p;
  *n = v;
  return true;
}

int hf_parse_uint(const char *s, uint64_t max, uint64_t *out, struct hf_error *err) {
  const char *p = s;
  uint64_t n;
  if (!digits(&p, &n) || *p) {
    if (*s && s[strspn(s, "0123456789")] == 0) return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is too large", s);
    return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not a non-negative number", s);
  }
  if (n > max) return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is too large, at most %llu is possible", s, (unsigned long long)max);
  *out = n;
  return 0;
}

int hf_parse_size(const char *s, uint64_t *out, struct hf_error *err) {
  static const char letters[] = "KMGTPE";
  const char *p = s;
  uint64_t n;
  unsigned shift = 0;
  if (!digits(&p, &n)) goto wrong;
  if (*p && *p != 'B' && *p != 'b') {
    const char *at = strchr(letters, toupper((unsigned char)*p));
    if (!at) goto wrong;
    shift = 10 * (unsigned)(at - letters + 1);
    p++;
    if (*p == 'i' && (p[1] == 'B' || p[1] == 'b')) p++;
  }
  if (*p == 'B' || *p == 'b') p++;
  if (*p) goto wrong;
  if (n > UINT64_MAX >> shift) return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is too large a size", s);
  *out = n << shift;
  return 0;
wrong:
  return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not a size such as 512, 64K, 32M or 4G", s);
}

/* Seconds of a unit letter, 0 when it is none. */
static int64_t unit_seconds(char c) {
  switch (c) {
  case 's': return 1;
  case 'm': return 60;
  case 'h': return 3600;
  case 'd': return 86400;
  case 'w': return 7 * 86400;
  case 'y': return 365 * 86400;
  default: return 0;
  }
}

int hf_parse_duration(const char *s, int64_t *seconds, struct hf_error *err) {
  int64_t sum = 0;
  if (strcmp(s, "0") != 0) {
    const char *p = s;
    do {
      uint64_t n;
      int64_t part, unit;
      if (!digits(&p, &n) || (unit = unit_seconds(*p)) == 0)
        return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not a duration such as 90s, 15m, 24h, 7d, 4w or 7y", s);
      if (__builtin_mul_overflow(n, unit, &part) || __builtin_add_overflow(sum, part, &sum))
        return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is too long a duration", s);
      p++;
    } while (*p);
  }
  *seconds = sum;
  return 0;
}

int hf_parse_bool(const char *s, bool *out, struct hf_error *err) {
  static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
  for (size_t i = 0; i < HF_NELEM(yes); i++) {
    if (strcasecmp(s, yes[i]) == 0) return *out = true, 0;
    if (strcasecmp(s, no[i]) == 0) return *out = false, 0;
  }
  return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is neither yes nor no", s);
}

/* ---- times ---- */

/* Exactly n digits at *s. */
static bool fixed(const char **s, int n, int *out) {
  int v = 0;
  for (int i = 0; i < n; i++) {
    if ((*s)[i] < '0' || (*s)[i] > '9') return false;
    v = 10 * v + (*s)[i] - '0';
  }
  *s += n;
  *out = v;
  return true;
}

/* "Z", "+01:00" or "-01:00" at the end of the string, as seconds east of Greenwich. */
static bool zone(const char *p, int *east) {
  if ((*p == 'Z' || *p == 'z') && p[1] == 0) return *east = 0, true;
  int sign = *p == '+' ? 1 : *p == '-' ? -1 : 0, h, m;
  if (!sign) return false;
  p++;
  if (!fixed(&p, 2, &h) || *p++ != ':' || !fixed(&p, 2, &m) || *p || h > 23 || m > 59) return false;
  *east = sign * (h * 3600 + m * 60);
  return true;
}

/* Does the calendar have this day? timegm and mktime would move the 31st of February on without a word. */
static bool real_day(int year, int month, int day) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= days[month - 1] + (month == 2 && leap);
}

/* True and *out when s is a date, with or without a time of day and a zone. */
static bool calendar(const char *s, int64_t *out) {
  const char *p = s;
  int year, month, day, hour = 0, min = 0, sec = 0, east = 0;
  bool utc = false;
  if (!fixed(&p, 4, &year) || *p++ != '-' || !fixed(&p, 2, &month) || *p++ != '-' || !fixed(&p, 2, &day)) return false;
  if (*p) {
    bool t = *p == 'T' || *p == 't';
    if (!t && *p != ' ') return false;
    p++;
    if (!fixed(&p, 2, &hour) || *p++ != ':' || !fixed(&p, 2, &min)) return false;
    if (*p == ':' && (p++, !fixed(&p, 2, &sec))) return false;
    if (*p == '.') /* fractions are read over: the result is in seconds */
      for (p++; isdigit((unsigned char)*p);) p++;
    if (*p) {
      if (!zone(p, &east)) return false;
      utc = true;
    } else if (t) {
      return false; /* RFC 3339 demands a zone */
    }
  }
  if (!real_day(year, month, day) || hour > 23 || min > 59 || sec > 60) return false;
  struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = min, .tm_sec = sec};
  tm.tm_isdst = -1;
  *out = utc ? (int64_t)timegm(&tm) - east : (int64_t)mktime(&tm);
  return true;
}

int hf_parse_time(const char *s, int64_t *unix_s, struct hf_error *err) {
  size_t n = strlen(s);
  int64_t t;
  if (n > 4 && strcmp(s + n - 4, " ago") == 0) {
    HF_CLEANUP(hf_freep) char *span = hf_strndup(s, n - 4);
    if (hf_parse_duration(span, &t, NULL) == 0) return *unix_s = hf_wall_clock() - t, 0;
  } else if (calendar(s, &t)) {
    return *unix_s = t, 0;
  }
  return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not a time such as 2026-11-20T09:18:52Z, \"2026-11-20 09:18\", 2026-11-20 or \"90m ago\"", s);
}

void hf_format_time(char out[HF_TIME_LEN], int64_t unix_s) {
  /* What has no four-digit year is shown as the nearest that has: the form has a fixed length. */
  const int64_t first = -62167219200, last = 253402300799;
  time_t t = (time_t)HF_MAX(first, HF_MIN(last, unix_s));
  struct tm tm;
  gmtime_r(&t, &tm);
  /* The masks tell the compiler that it fits. */
  snprintf(out, HF_TIME_LEN, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
           (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
}

void hf_format_size(char out[16], uint64_t n) {
  static const char letters[] = "KMGTPE";
  if (n < 1024) {
    snprintf(out, 16, "%u B", (unsigned)n);
    return;
  }
  double v = (double)n / 1024;
  int i = 0;
  while (v >= 1023.95 && letters[i + 1]) v /= 1024, i++;
  snprintf(out, 16, "%.1f %ciB", v, letters[i]);
}

void hf_format_duration(char out[24], double seconds) {
  if (!(seconds > 0)) seconds = 0;
  double whole = floor(seconds + 0.5);
  if (seconds < 59.95) {
    snprintf(out, 24, seconds < 0.0995 ? "%.3f s" : "%.1f s", seconds);
  } else if (whole < 3600) {
    unsigned s = (unsigned)whole;
    snprintf(out, 24, "%um %02us", s / 60, s % 60);
  } else {
    uint64_t m = whole < 1e15 ? (uint64_t)whole / 60 : (uint64_t)1e13;
    if (m < 48 * 60) snprintf(out, 24, "%uh %02um", (unsigned)(m / 60), (unsigned)(m % 60));
    else snprintf(out, 24, "%llud %02uh", (unsigned long long)(m / 1440), (unsigned)(m % 1440 / 60));
  }
}

double hf_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int64_t hf_wall_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec;
}
