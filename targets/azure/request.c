/* request.c - one request to the Blob service: with its proof, sent, its refusal put into words.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "azure.h"

#define SKEW 900 /* seconds by which the service lets clocks differ */

void hf_azure_extra(struct azure_call *c, const char *name, const char *value) {
  if (value && c->n_extra < AZURE_EXTRA) c->extra[c->n_extra++] = (struct hft_header){name, value};
}

void hf_azure_extra_key(const struct azure *t, struct azure_call *c) {
  if (!t->customer_key) return;
  hf_azure_extra(c, "x-ms-encryption-key", t->customer_key);
  hf_azure_extra(c, "x-ms-encryption-key-sha256", t->customer_key_sha256);
  hf_azure_extra(c, "x-ms-encryption-algorithm", "AES256");
}

/* ---- refusals ---- */

static void read_error(const struct hft_response *rs, struct azure_error *e) {
  hf_azure_error_read(hft_text(&rs->body), rs->body.len, hft_response_header(rs, "x-ms-error-code"), e);
}

bool hf_azure_says(const struct hft_response *rs, const char *code) {
  struct azure_error e;
  if (rs->code == 0) return false;
  read_error(rs, &e);
  return strcmp(e.code, code) == 0;
}

/* A field of the SAS token, decoded, in out; "" when it has none. */
static void sas_field(const char *sas, const char *name, char *out, size_t cap) {
  size_t n = strlen(name);
  out[0] = '\0';
  for (const char *p = sas; p; p = strchr(p, '&'), p = p ? p + 1 : NULL) {
    if (strncmp(p, name, n) != 0 || p[n] != '=') continue;
    snprintf(out, cap, "%.*s", (int)strcspn(p + n + 1, "&"), p + n + 1);
    if (!hft_decode(out)) out[0] = '\0';
    return;
  }
}

/* "2026-11-20", "2026-11-20T12:00Z" and with seconds. */
static bool sas_time(const char *s, int64_t *out) {
  char full[40];
  size_t n = strlen(s);
  if (n > 0 && s[n - 1] == 'Z') n--;
  if (n > 30) return false;
  snprintf(full, sizeof full, "%.*s%sZ", (int)n, s, n == 10 ? "T00:00:00" : n == 16 ? ":00" : "");
  return hft_time_parse(full, out);
}

/* Why it does not believe us, in words. */
static void explain_proof(const struct azure *t, const struct azure_error *e, const struct hft_response *rs, char *out,
                          size_t cap) {
  const char *date = hft_response_header(rs, "date");
  char start[40], end[40];
  int64_t there = 0, now = time(NULL), at;
  bool known = date && hft_time_http(date, &there);
  int64_t ahead = known ? now - there : 0;
  if (t->proof != AZURE_PROOF_SAS && (ahead > SKEW || ahead < -SKEW || strstr(e->detail, "date header too old"))) {
    snprintf(out, cap, "the clocks of this host and of the server differ: this host is %" PRId64 " s %s",
             ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead");
  } else if (t->proof == AZURE_PROOF_KEY) {
    snprintf(out, cap, "the account key is wrong: it is none of the account %.63s", t->account);
  } else if (t->proof == AZURE_PROOF_SAS) {
    sas_field(t->sas, "st", start, sizeof start);
    sas_field(t->sas, "se", end, sizeof end);
    hft_printable(start, sizeof start, start);
    hft_printable(end, sizeof end, end);
    if (known && sas_time(end, &at) && at <= there)
      snprintf(out, cap, "the SAS token has expired: it was good until %s", end);
    else if (known && sas_time(start, &at) && at > there)
      snprintf(out, cap, "the SAS token is not good before %s", start);
    else
      snprintf(out, cap, "the SAS token is wrong: it is not signed by the account %.63s, or was revoked", t->account);
  } else {
    snprintf(out, cap, "the token of the identity is not accepted%s%s", *e->detail ? ": " : "", e->detail);
  }
}

/* What exactly is not permitted. */
static void explain_permission(const struct azure *t, const struct azure_call *c, char *out, size_t cap) {
  char has[40];
  if (t->proof == AZURE_PROOF_SAS) {
    sas_field(t->sas, "sp", has, sizeof has);
    hft_printable(has, sizeof has, has);
    snprintf(out, cap, "the SAS token has not the permission %c%s%s", c->permission, *has ? ", its sp is " : "", has);
  } else {
    snprintf(out, cap, "Microsoft.Storage/storageAccounts/blobServices/%s is not permitted", c->action);
  }
}

int hf_azure_refused(const struct azure *t, const struct azure_call *c, const struct hft_response *rs) {
  struct azure_error e;
  const char *hint, *wait = hft_response_header(rs, "retry-after");
  char more[300] = "";
  read_error(rs, &e);
  int status = hf_azure_class(rs->code, e.code, &hint);
  bool version =
      strcmp(e.code, "InvalidHeaderValue") == 0 && (strcmp(e.detail, "x-ms-version") == 0 || strstr(e.message, "API version"));
  if (version) {
    status = HOLDFAST_E_CONFIG;
    snprintf(more, sizeof more, "the service does not know api-version = %s", t->version);
  } else if (!hint && *e.detail && status == HOLDFAST_E_FAILED) {
    snprintf(more, sizeof more, "the service does not take the header %s", e.detail);
  } else if (strcmp(e.code, "AuthenticationFailed") == 0 || strcmp(e.code, "InvalidAuthenticationInfo") == 0) {
    explain_proof(t, &e, rs, more, sizeof more);
  } else if (status == HOLDFAST_E_AUTH && !hint) {
    explain_permission(t, c, more, sizeof more);
  } else if (status == HOLDFAST_E_TRANSIENT && wait && *wait && strlen(wait) < 9 && wait[strspn(wait, "0123456789")] == '\0') {
    snprintf(more, sizeof more, "%sit asks to wait for %s s", hint ? ": " : "", wait);
  }
  if (rs->code / 100 == 3 && status == HOLDFAST_E_CONFIG && !hint) hint = "the server sends us elsewhere: check endpoint";
  if (!hint && !*more) hint = "the server refuses";
  return holdfast_fail(t->host, status, "container %s: %s%s%s%s (%d%s%s)", t->container, hint ? hint : "", more,
                       *e.message ? ": " : "", e.message, rs->code, *e.code ? " " : "", e.code);
}

/* ---- sending ---- */

struct proving {
  struct hft_header headers[AZURE_HEADERS];
  size_t n;
  char date[HFT_TIME];
  struct hft_buf url, authorization;
};

static void put(struct proving *p, const char *name, const char *value) { p->headers[p->n++] = (struct hft_header){name, value}; }

/* Everything of a request that depends on the time and on who asks. */
static bool prove(const struct azure *t, const struct azure_call *c, const char *token, struct proving *p) {
  const char *query = c->query ? c->query : "";
  *p = (struct proving){.n = 0};
  hft_adds(&p->url, t->url);
  if (c->key) hft_adds(&p->url, "/"), hft_encode(&p->url, c->key, true);
  size_t path_end = p->url.len;
  if (*query) hft_addf(&p->url, "?%s", query);
  if (t->proof == AZURE_PROOF_SAS) hft_addf(&p->url, "%c%s", *query ? '&' : '?', t->sas);
  hft_time_http_format(p->date, time(NULL));
  put(p, "x-ms-date", p->date);
  put(p, "x-ms-version", t->version);
  for (size_t i = 0; i < c->n_extra; i++) p->headers[p->n++] = c->extra[i];
  if (p->url.bad) return false;
  if (t->proof == AZURE_PROOF_KEY) {
    struct hft_buf path = {0};
    hft_add(&path, p->url.data + t->path_at, path_end - t->path_at);
    const struct azure_signing s = {.account = t->account,
                                    .key = t->key,
                                    .key_n = t->key_n,
                                    .method = c->method,
                                    .path = hft_text(&path),
                                    .query = query,
                                    .headers = p->headers,
                                    .n_headers = p->n,
                                    .size = c->size};
    hf_azure_authorization(&s, &p->authorization);
    p->authorization.bad |= path.bad;
    hft_buf_free(&path);
  } else if (t->proof == AZURE_PROOF_TOKEN) {
    hft_addf(&p->authorization, "Bearer %s", token);
  }
  if (p->authorization.len) put(p, "Authorization", p->authorization.data);
  return !p->authorization.bad;
}

static int send_once(struct azure *t, const struct azure_call *c, const char *token, struct hft_response *rs) {
  struct proving p;
  int status;
  if (prove(t, c, token, &p)) {
    const struct hft_request rq = {.method = c->method,
                                   .url = p.url.data,
                                   .headers = p.headers,
                                   .n_headers = p.n,
                                   .body = c->body,
                                   .size = c->size,
                                   .begin = c->begin,
                                   .sink = c->sink,
                                   .ctx = c->ctx,
                                   .max_body = c->max_body};
    status = hft_http_send(t->http, &rq, rs);
  } else {
    status = hft_no_memory(t->host);
  }
  hft_buf_free(&p.url);
  hft_buf_free(&p.authorization);
  return status;
}

int hf_azure_call(struct azure *t, const struct azure_call *c, struct hft_response *rs) {
  char *token = NULL, *old = NULL;
  int status = HOLDFAST_OK;
  for (int attempt = 0;; attempt++) {
    if (t->proof == AZURE_PROOF_TOKEN) status = hft_token_get(&t->token, old, &token);
    if (status != HOLDFAST_OK) break;
    status = send_once(t, c, token, rs);
    if (status != HOLDFAST_OK || rs->code / 100 == 2) break;
    status = hf_azure_refused(t, c, rs);
    /* Once: a token that expires in the middle of a run is no fault. */
    if (attempt > 0 || !token || !(rs->code == 401 || hf_azure_says(rs, "AuthenticationFailed"))) break;
    old = token;
    token = NULL;
    status = HOLDFAST_OK;
  }
  hft_token_free(token);
  hft_token_free(old);
  return status;
}
