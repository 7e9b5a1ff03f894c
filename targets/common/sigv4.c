/* sigv4.c - AWS Signature Version 4. The names follow Amazon's description of it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sigv4.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "digest.h"

#define PARAMETERS 64

/* One name=value of the query, as it stands in the string. */
struct parameter {
  const char *name, *value;
  size_t name_n, value_n;
};

static int compare(const char *a, size_t a_n, const char *b, size_t b_n) {
  size_t n = a_n < b_n ? a_n : b_n;
  int order = n ? memcmp(a, b, n) : 0;
  return order ? order : (a_n > b_n) - (a_n < b_n);
}

static int by_name(const void *a, const void *b) {
  const struct parameter *x = a, *y = b;
  int order = compare(x->name, x->name_n, y->name, y->name_n);
  return order ? order : compare(x->value, x->value_n, y->value, y->value_n);
}

/* The parameters sorted by their encoded names, then values. More than PARAMETERS of them are refused: no request of ours has as many. */
static void canonical_query(const char *query, struct hft_buf *out) {
  struct parameter v[PARAMETERS];
  size_t n = 0;
  while (*query) {
    size_t len = strcspn(query, "&");
    if (len > 0) {
      if (n == PARAMETERS) {
        out->bad = true;
        return;
      }
      const char *eq = memchr(query, '=', len);
      v[n].name = query;
      v[n].name_n = eq ? (size_t)(eq - query) : len;
      v[n].value = eq ? eq + 1 : query + len;
      v[n].value_n = eq ? len - v[n].name_n - 1 : 0;
      n++;
    }
    query += len;
    if (*query) query++;
  }
  qsort(v, n, sizeof *v, by_name);
  for (size_t i = 0; i < n; i++) {
    if (i) hft_adds(out, "&");
    hft_add(out, v[i].name, v[i].name_n);
    hft_adds(out, "=");
    hft_add(out, v[i].value, v[i].value_n);
  }
}

static int by_header(const void *a, const void *b) {
  const struct hft_header *const *x = a, *const *y = b;
  int order = strcasecmp((*x)->name, (*y)->name);
  /* Equal names keep their order: their values are joined in it. */
  return order ? order : (*x > *y) - (*x < *y);
}

static void add_lower(struct hft_buf *out, const char *s) {
  for (; *s; s++) {
    char c = (char)tolower((unsigned char)*s);
    hft_add(out, &c, 1);
  }
}

/* Without blanks at both ends, and with runs of them as one. */
static void add_trimmed(struct hft_buf *out, const char *s) {
  while (*s == ' ' || *s == '\t') s++;
  for (; *s; s++) {
    if ((*s == ' ' || *s == '\t') && (s[1] == ' ' || s[1] == '\t' || s[1] == '\0')) continue;
    hft_add(out, *s == '\t' ? " " : s, 1);
  }
}

/* lines: "name:value\n" each, or else "name;name". */
static void canonical_headers(const struct hft_sigv4 *s, bool lines, struct hft_buf *out) {
  const struct hft_header *v[HFT_SIGV4_HEADERS];
  if (s->n_headers > HFT_SIGV4_HEADERS) {
    out->bad = true;
    return;
  }
  for (size_t i = 0; i < s->n_headers; i++) v[i] = &s->headers[i];
  qsort(v, s->n_headers, sizeof *v, by_header);
  for (size_t i = 0; i < s->n_headers; i++) {
    bool again = i > 0 && strcasecmp(v[i]->name, v[i - 1]->name) == 0;
    if (lines) {
      if (again) {
        hft_adds(out, ",");
      } else {
        if (i) hft_adds(out, "\n");
        add_lower(out, v[i]->name);
        hft_adds(out, ":");
      }
      add_trimmed(out, v[i]->value);
    } else if (!again) {
      if (i) hft_adds(out, ";");
      add_lower(out, v[i]->name);
    }
  }
  if (lines && s->n_headers) hft_adds(out, "\n");
}

void hft_sigv4_canonical(const struct hft_sigv4 *s, struct hft_buf *out) {
  hft_addf(out, "%s\n%s\n", s->method, *s->path ? s->path : "/");
  canonical_query(s->query, out);
  hft_adds(out, "\n");
  canonical_headers(s, true, out);
  hft_adds(out, "\n");
  canonical_headers(s, false, out);
  hft_addf(out, "\n%s", s->payload);
}

void hft_sigv4_date(char out[HFT_SIGV4_DATE], int64_t when) {
  struct tm tm;
  time_t t = (time_t)when;
  if (!gmtime_r(&t, &tm) || strftime(out, HFT_SIGV4_DATE, "%Y%m%dT%H%M%SZ", &tm) == 0) out[0] = '\0';
}

/* The key that is good for one day, region and service. */
static bool signing_key(const struct hft_sigv4 *s, const char *day, unsigned char key[HFT_SHA256]) {
  struct hft_buf first = {0};
  hft_addf(&first, "AWS4%s", s->secret_key);
  bool good = !first.bad && hft_hmac(first.data, first.len, day, 8, key) && hft_hmac(key, HFT_SHA256, s->region, strlen(s->region), key) &&
              hft_hmac(key, HFT_SHA256, s->service, strlen(s->service), key) && hft_hmac(key, HFT_SHA256, "aws4_request", 12, key);
  hft_buf_free(&first);
  return good;
}

void hft_sigv4_authorization(const struct hft_sigv4 *s, struct hft_buf *out) {
  char date[HFT_SIGV4_DATE], hash[HFT_HEX], signature[HFT_HEX];
  unsigned char key[HFT_SHA256] = {0}, mac[HFT_SHA256];
  struct hft_buf canonical = {0}, text = {0};
  hft_sigv4_date(date, s->when);
  hft_sigv4_canonical(s, &canonical);
  bool good = !canonical.bad && hft_sha256_hex(canonical.data, canonical.len, hash);
  if (good) hft_addf(&text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", date, date, s->region, s->service, hash);
  good = good && !text.bad && signing_key(s, date, key) && hft_hmac(key, sizeof key, text.data, text.len, mac);
  if (good) {
    hft_hex(mac, sizeof mac, signature);
    hft_addf(out, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=", s->access_key, date, s->region, s->service);
    canonical_headers(s, false, out);
    hft_addf(out, ", Signature=%s", signature);
  } else {
    out->bad = true;
  }
  explicit_bzero(key, sizeof key);
  hft_buf_free(&canonical);
  hft_buf_free(&text);
}
