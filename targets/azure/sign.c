/* sign.c - Shared Key: a request signed with the account's key, as a pure function of both.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Twelve lines of fixed headers, all x-ms- headers sorted, the resource with its query sorted; HMAC-SHA256 of that.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure.h"

#define PARAMETERS 16 /* of a query; no request of ours has as many */

static const char *value_of(const struct azure_signing *s, const char *name) {
  for (size_t i = 0; i < s->n_headers; i++)
    if (strcasecmp(s->headers[i].name, name) == 0) return s->headers[i].value;
  return "";
}

static int by_name(const void *a, const void *b) {
  const struct hft_header *const *x = a, *const *y = b;
  return strcasecmp((*x)->name, (*y)->name);
}

static void add_lower(struct hft_buf *out, const char *s) {
  for (; *s; s++) {
    char c = (char)tolower((unsigned char)*s);
    hft_add(out, &c, 1);
  }
}

static void canonical_headers(const struct azure_signing *s, struct hft_buf *out) {
  const struct hft_header *v[AZURE_HEADERS];
  size_t n = 0;
  for (size_t i = 0; i < s->n_headers; i++) {
    if (strncasecmp(s->headers[i].name, "x-ms-", 5) != 0) continue;
    if (n == AZURE_HEADERS) {
      out->bad = true;
      return;
    }
    v[n++] = &s->headers[i];
  }
  qsort(v, n, sizeof *v, by_name);
  for (size_t i = 0; i < n; i++) {
    add_lower(out, v[i]->name);
    hft_addf(out, ":%s\n", v[i]->value);
  }
}

struct parameter {
  char *name, *value; /* decoded; one allocation, at name */
};

static int by_parameter(const void *a, const void *b) {
  const struct parameter *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : strcmp(x->value, y->value);
}

/* Names in lower case and values decoded; several values of one name are joined by commas. */
static void canonical_query(const char *query, struct hft_buf *out) {
  struct parameter v[PARAMETERS];
  size_t n = 0;
  for (; *query && !out->bad; query += strcspn(query, "&"), query += *query == '&') {
    size_t len = strcspn(query, "&");
    if (len == 0) continue;
    if (n == PARAMETERS || !(v[n].name = strndup(query, len))) {
      out->bad = true;
      break;
    }
    char *eq = strchr(v[n].name, '=');
    v[n].value = eq ? eq + 1 : v[n].name + len;
    if (eq) *eq = '\0';
    for (char *c = v[n].name; *c; c++) *c = (char)tolower((unsigned char)*c);
    out->bad |= !hft_decode(v[n].name) || !hft_decode(v[n].value);
    n++;
  }
  qsort(v, n, sizeof *v, by_parameter);
  for (size_t i = 0; i < n; i++) {
    if (i > 0 && strcmp(v[i].name, v[i - 1].name) == 0)
      hft_addf(out, ",%s", v[i].value);
    else
      hft_addf(out, "\n%s:%s", v[i].name, v[i].value);
  }
  for (size_t i = 0; i < n; i++) free(v[i].name);
}

void hf_azure_string_to_sign(const struct azure_signing *s, struct hft_buf *out) {
  hft_addf(out, "%s\n%s\n%s\n", s->method, value_of(s, "Content-Encoding"), value_of(s, "Content-Language"));
  if (s->size) hft_addf(out, "%" PRIu64, s->size);
  /* The Date header has its line and stays empty: x-ms-date takes its place. */
  hft_addf(out, "\n%s\n%s\n\n%s\n", value_of(s, "Content-MD5"), value_of(s, "Content-Type"), value_of(s, "If-Modified-Since"));
  hft_addf(out, "%s\n%s\n%s\n%s\n", value_of(s, "If-Match"), value_of(s, "If-None-Match"), value_of(s, "If-Unmodified-Since"),
           value_of(s, "Range"));
  canonical_headers(s, out);
  hft_addf(out, "/%s%s", s->account, *s->path ? s->path : "/");
  canonical_query(s->query, out);
}

void hf_azure_authorization(const struct azure_signing *s, struct hft_buf *out) {
  struct hft_buf text = {0};
  unsigned char mac[HFT_SHA256];
  char base64[HFT_BASE64];
  hf_azure_string_to_sign(s, &text);
  if (!text.bad && hft_hmac(s->key, s->key_n, text.data, text.len, mac)) {
    hft_base64(mac, sizeof mac, base64);
    hft_addf(out, "SharedKey %s:%s", s->account, base64);
  } else {
    out->bad = true;
  }
  hft_buf_free(&text);
}
