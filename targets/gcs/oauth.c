/* oauth.c - access tokens: for a service account's key, a user's refresh token, a workload identity; and from the metadata service.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "gcs.h"

#define ANSWER_MAX (64u << 10)
#define CLOUD_SCOPE "https://www.googleapis.com/auth/cloud-platform" /* what asking for the token of another account takes */

/* ---- refusals ---- */

/* "invalid_grant" is many things: the description says which. */
static const struct {
  const char *error, *words; /* words: of the description, "": any */
  int status;
  const char *hint;
} troubles[] = {
    {"invalid_grant", "iat and exp", HOLDFAST_E_AUTH, "the clocks of this host and of the server differ"},
    {"invalid_grant", "reasonable timeframe", HOLDFAST_E_AUTH, "the clocks of this host and of the server differ"},
    {"invalid_grant", "issued in the future", HOLDFAST_E_AUTH, "the clocks of this host and of the server differ"},
    {"invalid_grant", "JWT Signature", HOLDFAST_E_AUTH, "the key is none of the service account's: it was deleted, or the file is of another account"},
    {"invalid_grant", "account not found", HOLDFAST_E_AUTH, "there is no such service account"},
    {"invalid_grant", "account disabled", HOLDFAST_E_AUTH, "the service account is disabled"},
    {"invalid_grant", "expired or revoked", HOLDFAST_E_AUTH, "the refresh token has expired or was revoked: gcloud auth application-default login"},
    {"invalid_grant", "audience", HOLDFAST_E_CONFIG, "the audience of the workload identity is not the provider's"},
    {"invalid_grant", "", HOLDFAST_E_AUTH, "the credentials are refused"},
    {"invalid_client", "", HOLDFAST_E_AUTH, "client_id and client_secret are refused"},
    {"unauthorized_client", "", HOLDFAST_E_AUTH, "the account may not have tokens in this way"},
    {"invalid_scope", "", HOLDFAST_E_AUTH, "the account may not have tokens for storage"},
    {"invalid_target", "", HOLDFAST_E_CONFIG, "the audience of the workload identity names no provider"},
    {"invalid_request", "", HOLDFAST_E_CONFIG, "the credentials file does not fit the token service"},
    {"unsupported_grant_type", "", HOLDFAST_E_CONFIG, "the credentials file does not fit the token service"},
};

int hf_gcs_token_class(int http, const char *error, const char *description, const char **hint) {
  *hint = NULL;
  int status = hft_http_status(http);
  if (status == HOLDFAST_E_TRANSIENT) return status;
  for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++)
    if (strcmp(troubles[i].error, error) == 0 && strcasestr(description, troubles[i].words)) {
      *hint = troubles[i].hint;
      return troubles[i].status;
    }
  return status == HOLDFAST_E_CONFIG ? status : HOLDFAST_E_AUTH;
}

/* Who hands out tokens, for messages; and a secret that an answer must not be quoted with. */
struct asking {
  struct gcs *t;
  struct hft_http *http;
  const char *what, *secret;
};

static int refused(const struct asking *a, const struct hft_response *rs) {
  char error[64] = "", words[300] = "", clock[80] = "";
  const char *hint;
  json_t *doc = json_loadb(hft_text(&rs->body), rs->body.len, JSON_REJECT_DUPLICATES, NULL);
  const json_t *e = json_object_get(doc, "error");
  const char *description = json_string_value(json_object_get(doc, "error_description"));
  /* Google's other services say it in an object. */
  if (json_is_object(e)) {
    description = json_string_value(json_object_get(e, "message"));
    e = json_object_get(e, "status");
  }
  if (json_is_string(e)) hft_printable(error, sizeof error, json_string_value(e));
  if (description && !(a->secret && *a->secret && strstr(description, a->secret))) hft_printable(words, sizeof words, description);
  json_decref(doc);
  int status = hf_gcs_token_class(rs->code, error, words, &hint);
  if (hint && strstr(hint, "clocks")) hf_gcs_clock_words(rs, clock, sizeof clock);
  return holdfast_fail(a->t->host, status, "no access token from %s: %s%s%s%s (%d%s%s)", a->what, hint ? hint : "it refuses", clock, *words ? ": " : "", words,
                       rs->code, *error ? " " : "", error);
}

/* Send and insist on a 200; the answer is left in rs. */
static int ask(const struct asking *a, const struct hft_request *rq, struct hft_response *rs) {
  int status = hft_http_send(a->http, rq, rs);
  return status == HOLDFAST_OK && rs->code != 200 ? refused(a, rs) : status;
}

static int unusable(const struct asking *a, const char *why) {
  return holdfast_fail(a->t->host, HOLDFAST_E_AUTH, "no access token: the answer of %s cannot be used: %s", a->what, why);
}

static void add_field(struct hft_buf *form, const char *name, const char *value) {
  hft_addf(form, "%s%s=", form->len ? "&" : "", name);
  hft_encode(form, value, false);
}

/* Send a form to a token endpoint; basic: the value of an Authorization header, or NULL. */
static int ask_form(const struct asking *a, const char *url, const struct hft_buf *form, const char *basic, char **token, int64_t *expires) {
  const struct hft_header headers[] = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Authorization", basic ? basic : ""}};
  const struct hft_request rq = {
      .method = "POST", .url = url, .headers = headers, .n_headers = basic ? 2 : 1, .body = form->data, .size = form->len, .max_body = ANSWER_MAX};
  struct hft_response rs = {0};
  const char *why;
  int status = form->bad ? hft_no_memory(a->t->host) : ask(a, &rq, &rs);
  if (status == HOLDFAST_OK && !hft_token_json(hft_text(&rs.body), rs.body.len, time(NULL), token, expires, &why)) status = unusable(a, why);
  hft_response_free(&rs);
  return status;
}

/* ---- service account ---- */

static int by_key(struct gcs *t, const struct gcs_credentials *c, const char *scope, char **token, int64_t *expires) {
  struct asking a = {t, t->http, c->token_url, NULL};
  struct hft_buf jwt = {0}, form = {0};
  const char *why;
  int status;
  if (!hf_gcs_jwt(c, scope, time(NULL), &jwt, &why)) {
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the credentials of %s cannot be used: %s", c->email, why);
  } else {
    add_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    add_field(&form, "assertion", hft_text(&jwt));
    a.secret = hft_text(&jwt);
    status = ask_form(&a, c->token_url, &form, NULL, token, expires);
  }
  hft_buf_free(&jwt);
  hft_buf_free(&form);
  return status;
}

/* ---- user ---- */

static int by_refresh(struct gcs *t, const struct gcs_credentials *c, char **token, int64_t *expires) {
  const struct asking a = {t, t->http, c->token_url, c->refresh};
  struct hft_buf form = {0};
  add_field(&form, "grant_type", "refresh_token");
  add_field(&form, "client_id", c->client_id);
  add_field(&form, "client_secret", c->secret);
  add_field(&form, "refresh_token", c->refresh);
  int status = ask_form(&a, c->token_url, &form, NULL, token, expires);
  hft_buf_free(&form);
  return status;
}

/* ---- what is next door: no proxy, and no long waiting where there is none ---- */

static int near(const struct gcs *t, struct hft_http **http) {
  const struct hft_http_options o = {.connections = 1, .connect_timeout = 2, .stall_timeout = 5, .no_proxy = true};
  return hft_http_new(t->host, &o, http);
}

/* ---- workload identity ---- */

/* The token of the other provider out of what its file or URL holds: the text itself, or a field of a JSON. */
static int subject_of(struct gcs *t, const struct gcs_credentials *c, const char *from, const char *text, char **out) {
  json_t *doc = c->field ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
  const char *s = c->field ? json_string_value(json_object_get(doc, c->field)) : text;
  int status = HOLDFAST_OK;
  size_t n = s ? strcspn(s, "\r\n") : 0;
  if (c->field && !s) status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access token: %s is no JSON with the field %.60s", from, c->field);
  else if (n == 0) status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access token: %s is empty", from);
  else if (!(*out = strndup(s, n))) status = hft_no_memory(t->host);
  json_decref(doc);
  return status;
}

static int subject_token(struct gcs *t, const struct gcs_credentials *c, char **out) {
  struct hft_http *http = NULL;
  struct hft_response rs = {0};
  char *text = NULL;
  int status;
  if (c->file) {
    status = hft_read_file(t->host, c->file, false, &text);
    if (status == HOLDFAST_OK) status = subject_of(t, c, c->file, text, out);
    hft_token_free(text);
    return status;
  }
  const bool far = strncmp(c->url, "https:", 6) == 0;
  struct asking a = {t, t->http, "the credential_source", NULL};
  const struct hft_request rq = {.method = "GET", .url = c->url, .headers = c->headers, .n_headers = c->n_headers, .max_body = ANSWER_MAX};
  status = far ? HOLDFAST_OK : near(t, &http);
  if (http) a.http = http;
  if (status == HOLDFAST_OK) status = ask(&a, &rq, &rs);
  if (status == HOLDFAST_OK) status = subject_of(t, c, "the answer of the credential_source", hft_text(&rs.body), out);
  hft_response_free(&rs);
  hft_http_free(http);
  return status;
}

/* "Basic ..." for client_id and client_secret, where the pool wants them. */
static void add_basic(struct hft_buf *out, const struct gcs_credentials *c) {
  struct hft_buf pair = {0};
  hft_addf(&pair, "%s:%s", c->client_id, c->secret ? c->secret : "");
  char *text = malloc(pair.len / 3 * 4 + 5);
  if (!pair.bad && text) {
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pair.data, (int)pair.len);
    hft_addf(out, "Basic %s", text);
  } else {
    out->bad = true;
  }
  hft_token_free(text);
  hft_buf_free(&pair);
}

static int by_exchange(struct gcs *t, const struct gcs_credentials *c, const char *scope, char **token, int64_t *expires) {
  struct asking a = {t, t->http, c->token_url, NULL};
  struct hft_buf form = {0}, basic = {0};
  char *subject = NULL;
  int status = subject_token(t, c, &subject);
  if (status == HOLDFAST_OK) {
    add_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    add_field(&form, "audience", c->audience);
    add_field(&form, "scope", scope);
    add_field(&form, "requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
    add_field(&form, "subject_token_type", c->subject_type);
    add_field(&form, "subject_token", subject);
    if (c->client_id) add_basic(&basic, c);
    a.secret = subject;
    status = basic.bad ? hft_no_memory(t->host) : ask_form(&a, c->token_url, &form, c->client_id ? hft_text(&basic) : NULL, token, expires);
  }
  hft_token_free(subject);
  hft_buf_free(&form);
  hft_buf_free(&basic);
  return status;
}

/* ---- the token of another service account ---- */

static bool impersonated(const char *text, size_t n, char **token, int64_t *expires, const char **why) {
  json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
  const char *s = json_string_value(json_object_get(doc, "accessToken")), *until = json_string_value(json_object_get(doc, "expireTime"));
  *why = !json_is_object(doc)                        ? "it is no JSON object"
         : !s || !*s || strpbrk(s, "\r\n")           ? "accessToken is missing"
         : !until || !hft_time_parse(until, expires) ? "expireTime is missing, or no time"
         : !(*token = strdup(s))                     ? "out of memory"
                                                     : NULL;
  json_decref(doc);
  return !*why;
}

/* mine: the token of who asks. */
static int impersonate(struct gcs *t, const struct gcs_credentials *c, const char *mine, const char *scope, char **token, int64_t *expires) {
  const struct asking a = {t, t->http, c->impersonate, mine};
  struct hft_buf bearer = {0};
  struct hft_response rs = {0};
  char lifetime[32];
  const char *why;
  hft_addf(&bearer, "Bearer %s", mine);
  snprintf(lifetime, sizeof lifetime, "%llds", (long long)c->lifetime);
  json_t *ask_for = json_pack("{s:[s], s:s}", "scope", scope, "lifetime", lifetime);
  char *body = ask_for ? json_dumps(ask_for, JSON_COMPACT) : NULL;
  json_decref(ask_for);
  const struct hft_header headers[] = {{"Content-Type", "application/json"}, {"Authorization", hft_text(&bearer)}};
  const struct hft_request rq = {
      .method = "POST", .url = c->impersonate, .headers = headers, .n_headers = 2, .body = body, .size = body ? strlen(body) : 0, .max_body = ANSWER_MAX};
  int status = !body || bearer.bad ? hft_no_memory(t->host) : ask(&a, &rq, &rs);
  if (status == HOLDFAST_OK && !impersonated(hft_text(&rs.body), rs.body.len, token, expires, &why)) status = unusable(&a, why);
  free(body);
  hft_buf_free(&bearer);
  hft_response_free(&rs);
  return status;
}

int hf_gcs_oauth(struct gcs *t, const struct gcs_credentials *c, const char *scope, char **token, int64_t *expires) {
  char *mine = NULL;
  const char *first = c->impersonate ? CLOUD_SCOPE : scope;
  int status;
  switch (c->kind) {
  case GCS_SERVICE_ACCOUNT: return by_key(t, c, scope, token, expires);
  case GCS_AUTHORIZED_USER: return by_refresh(t, c, token, expires);
  case GCS_EXTERNAL_ACCOUNT: status = by_exchange(t, c, first, c->impersonate ? &mine : token, expires); break;
  default: status = hf_gcs_oauth(t, c->source, first, &mine, expires); break; /* one level: a source is none of this kind itself */
  }
  if (status == HOLDFAST_OK && c->impersonate) status = impersonate(t, c, mine, scope, token, expires);
  hft_token_free(mine);
  return status;
}

/* ---- metadata service ---- */

int hf_gcs_metadata_token(struct gcs *t, char **token, int64_t *expires) {
  const char *host = hf_gcs_env("GCE_METADATA_HOST"), *why;
  const struct hft_header flavor = {"Metadata-Flavor", "Google"};
  struct hft_http *http = NULL;
  struct hft_response rs = {0};
  struct hft_buf url = {0};
  hft_addf(&url, "http://%s/computeMetadata/v1/instance/service-accounts/default/token", host ? host : "169.254.169.254");
  int status = url.bad ? hft_no_memory(t->host) : near(t, &http);
  struct asking a = {t, http, "the metadata service", NULL};
  const struct hft_request rq = {.method = "GET", .url = hft_text(&url), .headers = &flavor, .n_headers = 1, .max_body = ANSWER_MAX};
  if (status == HOLDFAST_OK) status = hft_http_send(http, &rq, &rs);
  if (status == HOLDFAST_OK) {
    const char *said = hft_response_header(&rs, "metadata-flavor");
    /* Anything may answer at that address elsewhere. */
    if (!said || strcmp(said, "Google") != 0)
      status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access token: what answers as metadata service is not Google's");
    else if (rs.code == 404) status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access token: this machine has no service account (404)");
    else if (rs.code != 200) status = refused(&a, &rs);
    else if (!hft_token_json(hft_text(&rs.body), rs.body.len, time(NULL), token, expires, &why)) status = unusable(&a, why);
  }
  hft_response_free(&rs);
  hft_http_free(http);
  hft_buf_free(&url);
  return status;
}
