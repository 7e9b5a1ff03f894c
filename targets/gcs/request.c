/* request.c - one request to Google Cloud Storage: with a token, sent, its refusal put into words.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs.h"

void hf_gcs_extra(struct gcs_call *c, const char *name, const char *value) {
  if (value && c->n_extra < GCS_EXTRA) c->extra[c->n_extra++] = (struct hft_header){name, value};
}

static int refused(const struct gcs *t, const struct gcs_call *c, const struct hft_response *rs) {
  struct gcs_error e;
  const char *hint, *wait = hft_response_header(rs, "retry-after");
  char more[160] = "", permission[80];
  hf_gcs_error_read(hft_text(&rs->body), rs->body.len, &e);
  int status = hf_gcs_class(rs->code, &e, &hint);
  if (status == HOLDFAST_E_AUTH && !hint) {
    /* The service may want another permission than one would think: to replace is to delete. */
    hf_gcs_permission(e.message, permission, sizeof permission);
    snprintf(more, sizeof more, "%s is not permitted", *permission ? permission : c->action);
  }
  if (rs->code == 401 && t->source == GCS_ANONYMOUS) hint = "it does not take requests without credentials: set credentials";
  if (status == HOLDFAST_E_TRANSIENT && wait && *wait && strlen(wait) < 9 && wait[strspn(wait, "0123456789")] == '\0')
    snprintf(more, sizeof more, ": it asks to wait for %s s", wait);
  if (rs->code / 100 == 3 && status == HOLDFAST_E_CONFIG && !hint) hint = "the server sends us elsewhere: check endpoint";
  if (!hint && (!*more || *more == ':')) hint = "the server refuses";
  return holdfast_fail(t->host, status, "bucket %.63s: %s%s%s%s (%d%s%s)", t->bucket, hint ? hint : "", more, *e.message ? ": " : "", e.message, rs->code,
                       *e.reason ? " " : "", e.reason);
}

/* scheme://host:port of two URLs. */
static bool same_origin(const char *a, const char *b) {
  const char *x = strstr(a, "://"), *y = strstr(b, "://");
  if (!x || !y) return false;
  size_t n = (size_t)(x - a) + 3 + strcspn(x + 3, "/?#"), m = (size_t)(y - b) + 3 + strcspn(y + 3, "/?#");
  return n == m && strncasecmp(a, b, n) == 0;
}

static void make_url(const struct gcs *t, const struct gcs_call *c, struct hft_buf *url) {
  if (c->what == GCS_SESSION) {
    hft_adds(url, c->session);
    return;
  }
  hft_addf(url, "%s%s/storage/v1/b", t->base, c->what == GCS_UPLOAD ? "/upload" : "");
  if (c->what != GCS_BUCKETS) hft_adds(url, "/"), hft_encode(url, t->bucket, false);
  if (c->what == GCS_OBJECT || c->what == GCS_OBJECTS || c->what == GCS_UPLOAD) hft_adds(url, "/o");
  if (c->what == GCS_OBJECT) hft_adds(url, "/"), hft_encode(url, c->key, false);
  const char *between = "?";
  if (c->query && *c->query) hft_addf(url, "?%s", c->query), between = "&";
  if (t->user_project) hft_addf(url, "%suserProject=", between), hft_encode(url, t->user_project, false);
}

/* token: NULL for none. */
static int send_once(struct gcs *t, const struct gcs_call *c, const char *token, struct hft_response *rs) {
  struct hft_header headers[GCS_EXTRA + 1];
  struct hft_buf url = {0}, bearer = {0};
  size_t n = 0;
  int status;
  make_url(t, c, &url);
  /* A session's URL is the service's choice, and says enough by itself: a token goes to the one it is for only. */
  if (token && (c->what != GCS_SESSION || same_origin(c->session, t->base))) {
    hft_addf(&bearer, "Bearer %s", token);
    headers[n++] = (struct hft_header){"Authorization", hft_text(&bearer)};
  }
  for (size_t i = 0; i < c->n_extra; i++) headers[n++] = c->extra[i];
  if (url.bad || bearer.bad) {
    status = hft_no_memory(t->host);
  } else {
    const struct hft_request rq = {.method = c->method, .url = url.data, .headers = headers, .n_headers = n, .body = c->body, .size = c->size,
                                   .begin = c->begin, .sink = c->sink, .ctx = c->ctx, .max_body = c->max_body};
    status = hft_http_send(t->http, &rq, rs);
    if (status != HOLDFAST_OK) rs->code = 0;
  }
  hft_buf_free(&url);
  hft_buf_free(&bearer);
  return status;
}

int hf_gcs_call(struct gcs *t, const struct gcs_call *c, struct hft_response *rs) {
  char *token = NULL, *bad = NULL;
  int status;
  for (int attempt = 0;; attempt++) {
    status = t->source == GCS_ANONYMOUS ? HOLDFAST_OK : hft_token_get(&t->token, bad, &token);
    if (status != HOLDFAST_OK) {
      hft_response_free(rs);
      break;
    }
    status = send_once(t, c, token, rs);
    if (status != HOLDFAST_OK || rs->code / 100 == 2 || (c->also && rs->code == c->also)) break;
    status = refused(t, c, rs);
    /* Once: a token that expires, or is withdrawn, in the middle of a run is no fault. */
    if (rs->code != 401 || attempt > 0 || !token) break;
    bad = token;
    token = NULL;
  }
  hft_token_free(token);
  hft_token_free(bad);
  return status;
}
