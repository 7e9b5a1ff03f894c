/* keys_http.c - access keys that a service hands out: to a web identity, to a container, to an instance.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../common/xml.h"
#include "s3.h"

#define ANSWER_MAX (64u << 10)

static const char *env(const char *name) {
  const char *s = getenv(name);
  return s && *s ? s : NULL;
}

/* ---- JSON of the container and instance services ---- */

static char *text_of(const json_t *doc, const char *name) {
  const char *s = json_string_value(json_object_get(doc, name));
  return s && *s ? strdup(s) : NULL;
}

bool hf_s3_key_json(const char *text, size_t n, struct s3_key *out, const char **why) {
  json_error_t error;
  json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
  const char *until = json_string_value(json_object_get(doc, "Expiration")), *code = json_string_value(json_object_get(doc, "Code"));
  *out = (struct s3_key){0};
  *why = NULL;
  if (!json_is_object(doc)) *why = "it is no JSON object";
  else if (code && strcmp(code, "Success") != 0) *why = "it does not report success";
  else if (until && !hft_time_parse(until, &out->expires)) *why = "its Expiration is not a time";
  if (!*why) {
    out->access = text_of(doc, "AccessKeyId");
    out->secret = text_of(doc, "SecretAccessKey");
    out->token = text_of(doc, "Token");
    if (!out->access || !out->secret) *why = "it has no AccessKeyId and SecretAccessKey";
  }
  json_decref(doc);
  if (*why) hf_s3_key_free(out);
  return !*why;
}

/* Send and insist on a 200; the answer is left in rs. what: of whom, for messages. */
static int ask(struct s3 *t, struct hft_http *http, const char *what, const struct hft_request *rq, struct hft_response *rs) {
  int status = hft_http_send(http, rq, rs);
  if (status != HOLDFAST_OK || rs->code == 200) return status;
  status = hft_http_status(rs->code);
  return holdfast_fail(t->host, status == HOLDFAST_E_TRANSIENT ? status : HOLDFAST_E_AUTH, "no access key: %s answers %d", what, rs->code);
}

static int ask_json(struct s3 *t, struct hft_http *http, const char *what, const struct hft_request *rq, struct s3_key *out) {
  struct hft_response rs = {0};
  const char *why;
  int status = ask(t, http, what, rq, &rs);
  if (status == HOLDFAST_OK && !hf_s3_key_json(hft_text(&rs.body), rs.body.len, out, &why))
    status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access key: the answer of %s cannot be used: %s", what, why);
  hft_response_free(&rs);
  return status;
}

/* These services are next door: no proxy, and no long waiting where there is none. */
static int near(const struct s3 *t, struct hft_http **http) {
  const struct hft_http_options o = {.connections = 1, .connect_timeout = 2, .stall_timeout = 5, .no_proxy = true};
  return hft_http_new(t->host, &o, http);
}

/* ---- containers ---- */

/* A key must not travel in the clear, but to this machine and the services of its own network. */
static bool uri_allowed(const char *uri) {
  static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
  if (strncmp(uri, "https://", 8) == 0) return true;
  if (strncmp(uri, "http://", 7) != 0) return false;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    size_t n = strlen(hosts[i]);
    if (strncmp(uri + 7, hosts[i], n) == 0 && (uri[7 + n] == '/' || uri[7 + n] == ':' || uri[7 + n] == '\0') && !strchr(uri, '@')) return true;
  }
  return false;
}

int hf_s3_key_container(struct s3 *t, struct s3_key *out) {
  const char *relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), *full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const char *token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN"), *token_file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  struct hft_buf uri = {0};
  struct hft_http *http = NULL;
  char *read = NULL;
  if (relative) hft_addf(&uri, "http://169.254.170.2%s%s", *relative == '/' ? "" : "/", relative);
  else hft_adds(&uri, full);
  int status = uri.bad ? hft_no_memory(t->host) : HOLDFAST_OK;
  if (status == HOLDFAST_OK && !uri_allowed(hft_text(&uri)))
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "AWS_CONTAINER_CREDENTIALS_FULL_URI: https is wanted, or a host of this machine");
  if (status == HOLDFAST_OK && token_file) {
    status = hft_read_file(t->host, token_file, false, &read);
    if (read) read[strcspn(read, "\r\n")] = '\0';
    token = read;
  }
  if (status == HOLDFAST_OK) status = near(t, &http);
  if (status == HOLDFAST_OK) {
    const struct hft_header authorization = {"Authorization", token ? token : ""};
    const struct hft_request rq = {.method = "GET", .url = hft_text(&uri), .headers = &authorization, .n_headers = token ? 1 : 0, .max_body = ANSWER_MAX};
    status = ask_json(t, http, "the container's credential service", &rq, out);
  }
  hft_http_free(http);
  if (read) explicit_bzero(read, strlen(read));
  free(read);
  hft_buf_free(&uri);
  return status;
}

/* ---- instances: IMDSv2 ---- */

#define ROLES "/latest/meta-data/iam/security-credentials/"

static int instance_key(struct s3 *t, struct hft_http *http, const char *base, struct s3_key *out) {
  static const char what[] = "the instance's metadata service";
  const struct hft_header ttl = {"X-aws-ec2-metadata-token-ttl-seconds", "300"};
  struct hft_buf url = {0};
  struct hft_response token = {0}, role = {0};
  hft_addf(&url, "%s/latest/api/token", base);
  const struct hft_request first = {.method = "PUT", .url = hft_text(&url), .headers = &ttl, .n_headers = 1, .max_body = 4096};
  int status = url.bad ? hft_no_memory(t->host) : ask(t, http, what, &first, &token);
  const struct hft_header pass = {"X-aws-ec2-metadata-token", hft_text(&token.body)};
  hft_buf_free(&url);
  hft_addf(&url, "%s" ROLES, base);
  if (status == HOLDFAST_OK) {
    const struct hft_request rq = {.method = "GET", .url = hft_text(&url), .headers = &pass, .n_headers = 1, .max_body = 4096};
    status = url.bad ? hft_no_memory(t->host) : ask(t, http, what, &rq, &role);
  }
  if (status == HOLDFAST_OK) {
    /* One name; a line end may follow. */
    hft_add(&url, hft_text(&role.body), strcspn(hft_text(&role.body), "\r\n"));
    const struct hft_request rq = {.method = "GET", .url = hft_text(&url), .headers = &pass, .n_headers = 1, .max_body = ANSWER_MAX};
    status = url.bad ? hft_no_memory(t->host) : ask_json(t, http, what, &rq, out);
  }
  hft_buf_free(&url);
  hft_response_free(&token);
  hft_response_free(&role);
  return status;
}

int hf_s3_key_instance(struct s3 *t, struct s3_key *out) {
  const char *base = env("AWS_EC2_METADATA_SERVICE_ENDPOINT"), *disabled = env("AWS_EC2_METADATA_DISABLED");
  struct hft_buf trimmed = {0};
  struct hft_http *http = NULL;
  if (disabled && strcasecmp(disabled, "true") == 0) return 1;
  if (!base) base = "http://169.254.169.254";
  size_t n = strlen(base);
  while (n > 0 && base[n - 1] == '/') n--;
  hft_add(&trimmed, base, n);
  int status = trimmed.bad ? hft_no_memory(t->host) : near(t, &http);
  if (status == HOLDFAST_OK) status = instance_key(t, http, hft_text(&trimmed), out);
  /* On a machine that is no instance nobody answers: then there simply is no key. */
  if (status == HOLDFAST_E_TRANSIENT && t->source == S3_AUTO && !t->have_key)
    status = holdfast_fail(t->host, HOLDFAST_E_AUTH,
                           "no access key: neither in the manifest nor in the environment nor in the shared files, and no instance's metadata service answers");
  hft_http_free(http);
  hft_buf_free(&trimmed);
  return status;
}

/* ---- web identity ---- */

struct assumed {
  struct s3_key key;
  bool bad;
};

static int assumed_leaf(void *ctx, const char *path, char *text) {
  struct assumed *a = ctx;
  static const char at[] = "/AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
  if (strncmp(path, at, sizeof at - 1) != 0) return 0;
  const char *leaf = path + sizeof at - 1;
  char **to = strcmp(leaf, "AccessKeyId") == 0       ? &a->key.access
              : strcmp(leaf, "SecretAccessKey") == 0 ? &a->key.secret
              : strcmp(leaf, "SessionToken") == 0    ? &a->key.token
                                                     : NULL;
  if (to && !*to) a->bad |= !(*to = strdup(text));
  if (strcmp(leaf, "Expiration") == 0) a->bad |= !hft_time_parse(text, &a->key.expires);
  return 0;
}

int hf_s3_key_web_identity(struct s3 *t, const char *token_file, const char *role_arn, struct s3_key *out) {
  const char *endpoint = env("AWS_ENDPOINT_URL_STS"), *session = env("AWS_ROLE_SESSION_NAME");
  const struct hft_header type = {"Content-Type", "application/x-www-form-urlencoded"};
  struct hft_buf url = {0}, body = {0};
  struct hft_response rs = {0};
  struct assumed a = {0};
  char *token = NULL, why[HFT_XML_WHY];
  if (endpoint && !uri_allowed(endpoint)) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "AWS_ENDPOINT_URL_STS: https is wanted, or a host of this machine");
  int status = hft_read_file(t->host, token_file, false, &token);
  if (status != HOLDFAST_OK) return status;
  token[strcspn(token, "\r\n")] = '\0';
  if (endpoint) hft_adds(&url, endpoint);
  else hft_addf(&url, "https://sts.%s.amazonaws.com%s/", t->region, strncmp(t->region, "cn-", 3) == 0 ? ".cn" : "");
  hft_adds(&body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
  hft_encode(&body, role_arn, false);
  hft_adds(&body, "&RoleSessionName=");
  hft_encode(&body, session ? session : "holdfast", false);
  hft_adds(&body, "&WebIdentityToken=");
  hft_encode(&body, token, false);
  explicit_bzero(token, strlen(token));
  free(token);
  const struct hft_request rq = {
      .method = "POST", .url = hft_text(&url), .headers = &type, .n_headers = 1, .body = body.data, .size = body.len, .max_body = ANSWER_MAX};
  status = url.bad || body.bad ? hft_no_memory(t->host) : hft_http_send(t->http, &rq, &rs);
  if (status == HOLDFAST_OK && rs.code != 200) {
    struct s3_error e;
    const char *hint;
    hf_s3_error_read(hft_text(&rs.body), rs.body.len, &e);
    status = hf_s3_class(rs.code, e.code, &hint);
    status = holdfast_fail(t->host, status == HOLDFAST_E_TRANSIENT ? status : HOLDFAST_E_AUTH, "no access key for the web identity: %s (%d%s%s)",
                           hint ? hint : *e.message ? e.message : "the token service refuses", rs.code, *e.code ? " " : "", e.code);
  } else if (status == HOLDFAST_OK) {
    if (hft_xml_read(hft_text(&rs.body), rs.body.len, assumed_leaf, &a, why) != 0 || a.bad || !a.key.access || !a.key.secret || !a.key.token) {
      hf_s3_key_free(&a.key);
      status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access key for the web identity: the token service's answer cannot be used");
    }
  }
  if (status == HOLDFAST_OK) *out = a.key;
  hft_response_free(&rs);
  hft_buf_free(&url);
  hft_buf_free(&body);
  return status;
}
