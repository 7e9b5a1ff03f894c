/* identity.c - tokens of Microsoft Entra ID: of a service principal, of a workload identity, of a machine's managed identity.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "azure.h"

#define ANSWER_MAX (64u << 10)
#define RESOURCE "https://storage.azure.com"

static const char nothing_at_all[] =
    "no credentials: neither in the manifest nor in the environment, and no metadata service of an Azure machine answers";

/* ---- refusals ---- */

static const char *text_of(const json_t *doc, const char *name) {
  const char *s = json_string_value(json_object_get(doc, name));
  return s ? s : "";
}

void hf_azure_refusal_read(const char *json, size_t n, struct azure_refusal *out) {
  json_t *doc = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
  const char *said = text_of(doc, "error_description");
  *out = (struct azure_refusal){0};
  if (!*said) said = text_of(doc, "message");
  size_t digits = strncmp(said, "AADSTS", 6) == 0 ? 6 + strspn(said + 6, "0123456789") : 0;
  if (digits > 6 && digits < sizeof out->code)
    snprintf(out->code, sizeof out->code, "%.*s", (int)digits, said);
  else
    hft_printable(out->code, sizeof out->code, text_of(doc, "error"));
  if (digits > 6) said += digits + strspn(said + digits, ": ");
  /* The first line; what follows are ids of the request. */
  char *line = strndup(said, strcspn(said, "\r\n"));
  if (line) {
    char *trace = strstr(line, " Trace ID:");
    if (trace) *trace = '\0';
    hft_printable(out->message, sizeof out->message, line);
  }
  free(line);
  json_decref(doc);
}

/* What the numbers mean in terms of the manifest. */
static const char *hint_of(const char *code) {
  static const struct {
    const char *code, *hint;
  } codes[] = {
      {"AADSTS7000215", "client-secret is wrong: the secret's value is wanted, not its id"},
      {"AADSTS7000222", "client-secret has expired"},
      {"AADSTS700016", "client-id is wrong: the tenant has no such application"},
      {"AADSTS90002", "tenant-id is wrong: there is no such tenant"},
      {"AADSTS900023", "tenant-id is wrong: there is no such tenant"},
      {"AADSTS700024", "the token of AZURE_FEDERATED_TOKEN_FILE has expired"},
      {"AADSTS70021", "the application trusts no such workload: it has no federated credential for this token"},
      {"AADSTS700211", "the application trusts no such workload: it has no federated credential for this token's issuer"},
      {"AADSTS700213", "the application trusts no such workload: it has no federated credential for this token's subject"},
      {"AADSTS50034", "the tenant knows no such account"},
  };
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (strcmp(codes[i].code, code) == 0) return codes[i].hint;
  return NULL;
}

/* ---- asking ---- */

/* Send and read the token; the status with its message. what: of whom, for messages. */
static int ask(struct azure *t, struct hft_http *http, const char *what, const struct hft_request *rq, char **token,
               int64_t *expires) {
  struct hft_response rs = {0};
  struct azure_refusal r;
  const char *why;
  int status = hft_http_send(http, rq, &rs);
  if (status == HOLDFAST_OK && rs.code != 200) {
    hf_azure_refusal_read(hft_text(&rs.body), rs.body.len, &r);
    const char *hint = hint_of(r.code);
    status = hft_http_status(rs.code) == HOLDFAST_E_TRANSIENT || rs.code == 410 ? HOLDFAST_E_TRANSIENT : HOLDFAST_E_AUTH;
    status = holdfast_fail(t->host, status, "no token: %s%s%s%s (%d%s%s)", hint ? hint : what, hint ? "" : " refuses",
                           *r.message ? ": " : "", r.message, rs.code, *r.code ? " " : "", r.code);
  } else if (status == HOLDFAST_OK && !hft_token_json(hft_text(&rs.body), rs.body.len, time(NULL), token, expires, &why)) {
    status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no token: the answer of %s cannot be used: %s", what, why);
  }
  hft_response_free(&rs);
  return status;
}

/* ---- managed identity ---- */

/* These services are next door: no proxy, and no long waiting where there is none. */
static int near(const struct azure *t, struct hft_http **http) {
  const struct hft_http_options o = {.connections = 1, .connect_timeout = 2, .stall_timeout = 5, .no_proxy = true};
  return hft_http_new(t->host, &o, http);
}

static int managed(struct azure *t, char **token, int64_t *expires) {
  const char *endpoint = hf_azure_env("IDENTITY_ENDPOINT"), *header = hf_azure_env("IDENTITY_HEADER"),
             *base = hf_azure_env("AZURE_POD_IDENTITY_AUTHORITY_HOST");
  struct hft_header proof = {"Metadata", "true"};
  struct hft_buf url = {0};
  struct hft_http *http = NULL;
  if (endpoint && !header)
    return hf_azure_env("IMDS_ENDPOINT")
               ? holdfast_fail(t->host, HOLDFAST_E_UNSUPPORTED,
                               "the identity of Azure Arc is not supported: use a service principal, a SAS token or a key")
               : holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the environment has IDENTITY_ENDPOINT without IDENTITY_HEADER");
  if (endpoint) {
    proof = (struct hft_header){"X-IDENTITY-HEADER", header};
    hft_addf(&url, "%s%capi-version=2019-08-01", endpoint, strchr(endpoint, '?') ? '&' : '?');
  } else {
    if (!base) base = "http://169.254.169.254";
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') n--;
    hft_add(&url, base, n);
    hft_adds(&url, "/metadata/identity/oauth2/token?api-version=2018-02-01");
  }
  hft_adds(&url, "&resource=");
  hft_encode(&url, RESOURCE, false);
  if (t->client) hft_adds(&url, "&client_id="), hft_encode(&url, t->client, false);
  int status = url.bad ? hft_no_memory(t->host) : near(t, &http);
  if (status == HOLDFAST_OK) {
    const struct hft_request rq = {.method = "GET", .url = url.data, .headers = &proof, .n_headers = 1, .max_body = ANSWER_MAX};
    status =
        ask(t, http, endpoint ? "the identity service of this app" : "the metadata service of this machine", &rq, token, expires);
    /* Elsewhere than in Azure nobody answers: then there simply are no credentials. */
    if (status == HOLDFAST_E_TRANSIENT && t->automatic && !endpoint && !t->token.text)
      status = holdfast_fail(t->host, HOLDFAST_E_AUTH, nothing_at_all);
  }
  hft_http_free(http);
  hft_buf_free(&url);
  return status;
}

/* ---- service principal and workload identity: a token for a secret or for another token ---- */

static int granted(struct azure *t, char **token, int64_t *expires) {
  static const struct hft_header type = {"Content-Type", "application/x-www-form-urlencoded"};
  struct hft_buf url = {0}, body = {0};
  char *assertion = NULL;
  int status = HOLDFAST_OK;
  size_t n = strlen(t->authority);
  while (n > 0 && t->authority[n - 1] == '/') n--;
  hft_add(&url, t->authority, n);
  hft_addf(&url, "/%s/oauth2/v2.0/token", t->tenant);
  hft_adds(&body, "grant_type=client_credentials&scope=");
  hft_encode(&body, RESOURCE "/.default", false);
  hft_adds(&body, "&client_id=");
  hft_encode(&body, t->client, false);
  if (t->identity == AZURE_SERVICE_PRINCIPAL) {
    hft_adds(&body, "&client_secret=");
    hft_encode(&body, t->secret, false);
  } else {
    /* Read each time: it is replaced while we run. */
    status = hft_read_file(t->host, t->token_file, false, &assertion);
    if (status == HOLDFAST_OK) {
      assertion[strcspn(assertion, "\r\n")] = '\0';
      hft_adds(&body, "&client_assertion_type=");
      hft_encode(&body, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", false);
      hft_adds(&body, "&client_assertion=");
      hft_encode(&body, assertion, false);
    }
  }
  if (status == HOLDFAST_OK && (url.bad || body.bad)) status = hft_no_memory(t->host);
  if (status == HOLDFAST_OK) {
    const struct hft_request rq = {.method = "POST",
                                   .url = url.data,
                                   .headers = &type,
                                   .n_headers = 1,
                                   .body = body.data,
                                   .size = body.len,
                                   .max_body = ANSWER_MAX};
    status = ask(t, t->http, "the token service", &rq, token, expires);
  }
  hft_token_free(assertion);
  hft_buf_free(&url);
  hft_buf_free(&body);
  return status;
}

int hf_azure_token_fetch(void *ctx, char **token, int64_t *expires) {
  struct azure *t = ctx;
  return t->identity == AZURE_MANAGED ? managed(t, token, expires) : granted(t, token, expires);
}
