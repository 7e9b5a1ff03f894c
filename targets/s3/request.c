/* request.c - one request to an S3 service: signed, sent, its refusal put into words.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/digest.h"
#include "../common/sigv4.h"
#include "s3.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void hf_s3_extra(struct s3_call *c, const char *name, const char *value) {
  if (value && c->n_extra < S3_EXTRA) c->extra[c->n_extra++] = (struct hft_header){name, value};
}

/* ---- refusals ---- */

/* How far this host's clock is from the server's, in words; "" when the server does not say. */
static void clock_words(const struct hft_response *rs, const struct s3_error *e, char *out, size_t cap) {
  const char *date = hft_response_header(rs, "date");
  int64_t there;
  out[0] = '\0';
  if (!hft_time_parse(e->server_time, &there) && !(date && hft_time_http(date, &there))) return;
  int64_t ahead = (int64_t)time(NULL) - there;
  snprintf(out, cap, ": this host is %" PRId64 " s %s", ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead");
}

int hf_s3_refused(const struct s3 *t, const struct s3_call *c, const struct hft_response *rs) {
  struct s3_error e;
  const char *hint, *region = hft_response_header(rs, "x-amz-bucket-region"), *wait = hft_response_header(rs, "retry-after");
  char more[128] = "", where[40];
  hf_s3_error_read(hft_text(&rs->body), rs->body.len, &e);
  int status = hf_s3_class(rs->code, e.code, &hint);
  snprintf(where, sizeof where, "%.36s", t->bucket);
  if (!region || !*region) region = *e.region ? e.region : NULL;
  /* The region's answer to a HEAD has no body: only the header tells. */
  if (region && strcmp(region, t->region) != 0 && (rs->code / 100 == 3 || rs->code == 400)) {
    status = HOLDFAST_E_CONFIG;
    return holdfast_fail(t->host, status, "the bucket %s is in the region %.63s, not in %s: set region = %.63s (%d %s)", where, region, t->region, region,
                         rs->code, e.code);
  }
  if (status == HOLDFAST_E_AUTH && hint && strstr(hint, "clocks")) clock_words(rs, &e, more, sizeof more);
  if (status == HOLDFAST_E_AUTH && !hint) snprintf(more, sizeof more, "%s is not permitted", c->action);
  if (status == HOLDFAST_E_TRANSIENT && wait && *wait && strlen(wait) < 9 && wait[strspn(wait, "0123456789")] == '\0')
    snprintf(more, sizeof more, ": it asks to wait for %s s", wait);
  if (rs->code / 100 == 3 && status == HOLDFAST_E_CONFIG && !hint) hint = "the server sends us elsewhere: check endpoint, region and path-style";
  if (!hint && (status == HOLDFAST_E_TRANSIENT || !*more)) hint = "the server refuses";
  return holdfast_fail(t->host, status, "bucket %s: %s%s%s%s (%d%s%s)", where, hint ? hint : "", more, *e.message ? ": " : "", e.message, rs->code,
                       *e.code ? " " : "", e.code);
}

/* ---- signing ---- */

struct signing {
  struct hft_header headers[HFT_SIGV4_HEADERS];
  size_t n;
  char date[HFT_SIGV4_DATE], sha256[HFT_HEX];
  struct hft_buf url, authorization;
};

static void put(struct signing *s, const char *name, const char *value) { s->headers[s->n++] = (struct hft_header){name, value}; }

/* Everything of a request that depends on the time and the key. */
static bool sign(const struct s3 *t, const struct s3_call *c, const struct s3_key *key, struct signing *s) {
  const char *query = c->query ? c->query : "", *payload = c->sha256;
  *s = (struct signing){.n = 0};
  hft_adds(&s->url, t->url);
  hft_adds(&s->url, "/");
  if (c->key) hft_encode(&s->url, c->key, true);
  size_t path_end = s->url.len;
  if (*query) hft_addf(&s->url, "?%s", query);
  if (!payload) {
    if (c->size && !hft_sha256_hex(c->body, c->size, s->sha256)) return false;
    payload = c->size ? s->sha256 : EMPTY_SHA256;
  }
  int64_t now = time(NULL);
  hft_sigv4_date(s->date, now);
  put(s, "host", t->name);
  put(s, "x-amz-content-sha256", payload);
  put(s, "x-amz-date", s->date);
  if (key->token) put(s, "x-amz-security-token", key->token);
  if (t->requester_pays) put(s, "x-amz-request-payer", "requester");
  for (size_t i = 0; i < c->n_extra; i++) s->headers[s->n++] = c->extra[i];
  struct hft_buf path = {0};
  if (!s->url.bad) hft_add(&path, s->url.data + t->path_at, path_end - t->path_at);
  const struct hft_sigv4 v = {.access_key = key->access, .secret_key = key->secret, .region = t->region, .service = "s3", .when = now, .method = c->method,
                              .path = hft_text(&path), .query = query, .headers = s->headers, .n_headers = s->n, .payload = payload};
  hft_sigv4_authorization(&v, &s->authorization);
  bool good = !s->url.bad && !path.bad && !s->authorization.bad;
  hft_buf_free(&path);
  if (good) s->headers[0] = (struct hft_header){"Authorization", s->authorization.data}; /* libcurl says Host itself */
  return good;
}

static int send_once(struct s3 *t, const struct s3_call *c, const struct s3_key *key, struct hft_response *rs) {
  struct signing s;
  int status;
  if (sign(t, c, key, &s)) {
    const struct hft_request rq = {.method = c->method, .url = s.url.data, .headers = s.headers, .n_headers = s.n, .body = c->body, .size = c->size,
                                   .begin = c->begin, .sink = c->sink, .ctx = c->ctx, .max_body = c->max_body};
    status = hft_http_send(t->http, &rq, rs);
  } else {
    status = hft_no_memory(t->host);
  }
  hft_buf_free(&s.url);
  hft_buf_free(&s.authorization);
  return status;
}

/* Is it the session token that the server does not take any more? */
static bool expired(const struct s3_call *c, const struct s3_key *key, const struct hft_response *rs) {
  struct s3_error e;
  if (!key->token || (rs->code != 400 && rs->code != 401 && rs->code != 403)) return false;
  if (strcmp(c->method, "HEAD") == 0) return true; /* it gives no reason */
  hf_s3_error_read(hft_text(&rs->body), rs->body.len, &e);
  return strcmp(e.code, "ExpiredToken") == 0 || strcmp(e.code, "TokenRefreshRequired") == 0 || strcmp(e.code, "InvalidToken") == 0;
}

int hf_s3_call(struct s3 *t, const struct s3_call *c, struct hft_response *rs) {
  struct s3_key key = {0};
  char *refused = NULL;
  int status;
  for (int attempt = 0;; attempt++) {
    status = hf_s3_key_get(t, refused, &key);
    if (status != HOLDFAST_OK) break;
    status = send_once(t, c, &key, rs);
    if (status != HOLDFAST_OK || rs->code / 100 == 2) break;
    status = hf_s3_refused(t, c, rs);
    /* Once, and only if another one is to be had: a key that expires in the middle of a run is no fault. */
    if (attempt > 0 || !atomic_load(&t->renewable) || !expired(c, &key, rs)) break;
    refused = key.access;
    key.access = NULL;
    hf_s3_key_free(&key);
  }
  hf_s3_key_free(&key);
  free(refused);
  return status;
}
