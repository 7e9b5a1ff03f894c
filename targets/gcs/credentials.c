/* credentials.c - reading the JSON files in which Google's tools keep credentials.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gcs.h"

#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define HOUR 3600

void hf_gcs_credentials_free(struct gcs_credentials *c) {
  hft_token_free(c->private_key);
  hft_token_free(c->secret);
  hft_token_free(c->refresh);
  for (size_t i = 0; i < c->n_headers; i++) {
    hft_token_free((char *)c->headers[i].name);
    hft_token_free((char *)c->headers[i].value);
  }
  char *const plain[] = {c->project, c->token_url, c->email, c->key_id, c->client_id, c->audience, c->subject_type, c->file, c->url, c->field, c->impersonate};
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) free(plain[i]);
  if (c->source) hf_gcs_credentials_free(c->source);
  free(c->source);
  *c = (struct gcs_credentials){0};
}

/* The host of a URL begins at s: is it that name, with or without a port? */
static bool host_is(const char *s, const char *name) {
  size_t n = strlen(name);
  return strncasecmp(s, name, n) == 0 && (s[n] == '\0' || s[n] == '/' || s[n] == ':');
}

bool hf_gcs_url_ok(const char *url, bool near) {
  static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]", "169.254.169.254", "metadata.google.internal"};
  size_t allowed = near ? 5 : 3;
  const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
  for (const char *p = url; *p; p++)
    if ((unsigned char)*p <= ' ' || *p == 0x7f) return false;
  if (!host || *host == '\0' || *host == '/') return false;
  /* A user before the host would make another host of it. */
  if (memchr(host, '@', strcspn(host, "/?#"))) return false;
  if (host == url + 8) return true;
  for (size_t i = 0; i < allowed; i++)
    if (host_is(host, hosts[i])) return true;
  return false;
}

struct reading {
  struct gcs_credentials *out;
  char *why;
  size_t cap;
  bool bad;
};

/* The first complaint counts. */
__attribute__((format(printf, 2, 3))) static void complain(struct reading *r, const char *format, ...) {
  va_list ap;
  if (r->bad) return;
  va_start(ap, format);
  vsnprintf(r->why, r->cap, format, ap);
  va_end(ap);
  r->bad = true;
}

/* A text of an object, "" when it is not there. */
static const char *said(const json_t *o, const char *name) {
  const char *s = json_string_value(json_object_get(o, name));
  return s ? s : "";
}

static void keep(struct reading *r, char **to, const char *text) {
  if (!*text) return;
  *to = strdup(text);
  if (!*to) complain(r, "out of memory");
}

static void want(struct reading *r, const json_t *o, const char *name, char **to) {
  const char *s = said(o, name);
  if (!*s) complain(r, "it has no %s", name);
  else keep(r, to, s);
}

/* A URL that a secret is sent to. */
static void want_url(struct reading *r, const json_t *o, const char *name, const char *def, bool near, char **to) {
  const char *s = said(o, name);
  if (!*s) s = def;
  if (!*s) complain(r, "it has no %s", name);
  else if (!hf_gcs_url_ok(s, near)) complain(r, "its %s is no https URL", name);
  else keep(r, to, s);
}

static void read_headers(struct reading *r, const json_t *headers) {
  struct gcs_credentials *c = r->out;
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)headers, name, value) {
    const char *s = json_string_value(value);
    if (!s || strpbrk(s, "\r\n") || strpbrk(name, "\r\n: ") || !*name || c->n_headers == sizeof c->headers / sizeof *c->headers) {
      complain(r, "the headers of its credential_source cannot be sent");
      return;
    }
    struct hft_header h = {strdup(name), strdup(s)};
    c->headers[c->n_headers++] = h;
    if (!h.name || !h.value) complain(r, "out of memory");
  }
}

static void read_external(struct reading *r, const json_t *doc) {
  struct gcs_credentials *c = r->out;
  const json_t *from = json_object_get(doc, "credential_source"), *format = json_object_get(from, "format");
  want(r, doc, "audience", &c->audience);
  want(r, doc, "subject_token_type", &c->subject_type);
  want_url(r, doc, "token_url", "", false, &c->token_url);
  keep(r, &c->client_id, said(doc, "client_id"));
  keep(r, &c->secret, said(doc, "client_secret"));
  if (*said(from, "environment_id")) complain(r, "its token comes from AWS by a signed request, which holdfast does not do: use a file or a URL");
  else if (json_object_get(from, "executable")) complain(r, "its token comes from a program, which holdfast does not run: use a file or a URL");
  else if (json_object_get(from, "certificate")) complain(r, "its token comes from a client certificate, which holdfast does not do: use a file or a URL");
  else if (*said(from, "file")) keep(r, &c->file, said(from, "file"));
  else if (*said(from, "url")) want_url(r, from, "url", "", true, &c->url);
  else complain(r, "its credential_source names neither file nor url");
  read_headers(r, json_object_get(from, "headers"));
  if (strcmp(said(format, "type"), "json") == 0) want(r, format, "subject_token_field_name", &c->field);
  else if (*said(format, "type") && strcmp(said(format, "type"), "text") != 0) complain(r, "the format of its credential_source is neither text nor json");
}

static void read_impersonation(struct reading *r, const json_t *doc) {
  struct gcs_credentials *c = r->out;
  json_int_t seconds = json_integer_value(json_object_get(json_object_get(doc, "service_account_impersonation"), "token_lifetime_seconds"));
  if (*said(doc, "service_account_impersonation_url")) want_url(r, doc, "service_account_impersonation_url", "", false, &c->impersonate);
  c->lifetime = seconds >= 600 && seconds <= 12 * HOUR ? seconds : HOUR;
}

static void read_object(struct reading *r, const json_t *doc, bool nested) {
  struct gcs_credentials *c = r->out;
  const char *type = said(doc, "type");
  char shown[40];
  keep(r, &c->project, *said(doc, "project_id") ? said(doc, "project_id") : said(doc, "quota_project_id"));
  if (strcmp(type, "service_account") == 0) {
    c->kind = GCS_SERVICE_ACCOUNT;
    want(r, doc, "client_email", &c->email);
    want(r, doc, "private_key", &c->private_key);
    keep(r, &c->key_id, said(doc, "private_key_id"));
    want_url(r, doc, "token_uri", TOKEN_URL, false, &c->token_url);
  } else if (strcmp(type, "authorized_user") == 0) {
    c->kind = GCS_AUTHORIZED_USER;
    want(r, doc, "client_id", &c->client_id);
    want(r, doc, "client_secret", &c->secret);
    want(r, doc, "refresh_token", &c->refresh);
    want_url(r, doc, "token_uri", TOKEN_URL, false, &c->token_url);
  } else if (strcmp(type, "external_account") == 0) {
    c->kind = GCS_EXTERNAL_ACCOUNT;
    read_external(r, doc);
    read_impersonation(r, doc);
  } else if (strcmp(type, "impersonated_service_account") == 0 && !nested) {
    struct reading inner = {NULL, r->why, r->cap, r->bad};
    c->kind = GCS_IMPERSONATED;
    read_impersonation(r, doc);
    if (!c->impersonate) complain(r, "it has no service_account_impersonation_url");
    if (json_array_size(json_object_get(doc, "delegates")) > 0) complain(r, "it has delegates, which holdfast does not do");
    inner.out = c->source = calloc(1, sizeof *c->source);
    inner.bad = r->bad;
    if (!c->source) complain(r, "out of memory");
    else read_object(&inner, json_object_get(doc, "source_credentials"), true);
    r->bad |= inner.bad;
  } else if (!*type) {
    complain(r, "it has no type: wanted is the JSON of a service account's key or of a workload identity");
  } else {
    hft_printable(shown, sizeof shown, type);
    complain(r, "its type %s is none that holdfast knows: wanted is service_account, external_account, authorized_user or impersonated_service_account", shown);
  }
}

bool hf_gcs_credentials_read(const char *text, size_t n, struct gcs_credentials *out, char *why, size_t cap) {
  struct reading r = {out, why, cap, false};
  *out = (struct gcs_credentials){.lifetime = HOUR};
  json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(doc)) complain(&r, "it is no JSON object");
  else read_object(&r, doc, false);
  json_decref(doc);
  if (r.bad) hf_gcs_credentials_free(out);
  return !r.bad;
}
