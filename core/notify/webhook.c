/* webhook.c - a message as an HTTP request.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"
#include "notify/internal.h"

#define ANSWER_SHOWN 200
#define TEMPLATE_MAX (64 * HF_KIB)

/* ---- what is sent ---- */

enum form { PLAIN, JSON, URLENCODED };

struct filling {
  const struct hf_notice *x;
  enum form form;
};

static void add_urlencoded(struct hf_buf *out, const struct hf_buf *v) {
  for (size_t i = 0; i < v->len; i++) {
    unsigned char b = (unsigned char)v->data[i];
    if ((b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || strchr("-._~", b ? b : ' '))
      hf_buf_addc(out, (char)b);
    else
      hf_buf_addf(out, "%%%02X", b);
  }
}

/* Within the quotes that the template has. */
static void add_json(struct hf_buf *out, const struct hf_buf *v) {
  json_t *s = json_stringn(v->data ? v->data : "", v->len);
  char *text = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;
  if (text) hf_buf_add(out, text + 1, strlen(text) - 2);
  free(text);
  json_decref(s);
}

static bool fill(void *ctx, const char *name, struct hf_buf *out) {
  const struct filling *f = ctx;
  HF_CLEANUP(hf_buf_free) struct hf_buf v = HF_BUF_INIT;
  if (!hf_notice_value(f->x, name, &v)) return false;
  if (f->form == JSON && strcmp(name, "facts") != 0)
    add_json(out, &v);
  else if (f->form == URLENCODED)
    add_urlencoded(out, &v);
  else
    hf_buf_add(out, v.data, v.len);
  return true;
}

int hf_webhook_format(const struct hf_notice *x, const char *template, const char *content_type, struct hf_buf *out, struct hf_error *err) {
  struct filling f = {x, PLAIN};
  size_t n = strcspn(content_type, "; \t");
  if (n == 16 && strncasecmp(content_type, "application/json", n) == 0) f.form = JSON;
  if (n == 33 && strncasecmp(content_type, "application/x-www-form-urlencoded", n) == 0) f.form = URLENCODED;
  return hf_template(template ? template : "${facts}", fill, &f, out, err);
}

/* ---- sending ---- */

static size_t keep_some(char *p, size_t size, size_t n, void *ctx) {
  struct hf_buf *b = ctx;
  if (b->len < ANSWER_SHOWN) hf_buf_add(b, p, HF_MIN(size * n, (size_t)ANSWER_SHOWN - b->len));
  return size * n;
}

static int add_header(struct hf_curl *c, const char *line) {
  struct curl_slist *more = curl_slist_append(c->headers, line);
  if (more) c->headers = more;
  return more ? 0 : -1;
}

static const char *url_for(const struct hf_manifest_notify *n, const struct hf_notice *x) {
  const char *fail = hf_notify_text(n, WEBHOOK_FAIL_URL);
  if (x->start) return hf_notify_text(n, WEBHOOK_START_URL);
  return fail && strcmp(hf_notice_str(x, "severity"), "info") != 0 ? fail : hf_notify_text(n, WEBHOOK_URL);
}

static int request(struct hf_curl *c, const struct hf_manifest_notify *n, const char *url, const struct hf_buf *body) {
  const struct holdfast_value *more = &n->settings->values[WEBHOOK_HEADER];
  const char *token = hf_notify_text(n, WEBHOOK_TOKEN), *content_type = hf_notify_text(n, WEBHOOK_CONTENT_TYPE);
  HF_CLEANUP(hf_freep) char *type = hf_asprintf("Content-Type: %s", content_type);
  int bad = add_header(c, type) | add_header(c, "Expect:");
  for (uint32_t i = 0; i < more->count; i++) bad |= add_header(c, more->strings[i]);
  if (token) {
    char *auth = hf_asprintf("Authorization: Bearer %s", token);
    bad |= add_header(c, auth);
    hf_wipe(auth, strlen(auth));
    free(auth);
  }
  CURLcode k = bad ? CURLE_OUT_OF_MEMORY : curl_easy_setopt(c->h, CURLOPT_URL, url);
  if (k == CURLE_OK) k = curl_easy_setopt(c->h, CURLOPT_HTTPHEADER, c->headers);
  if (k == CURLE_OK) k = curl_easy_setopt(c->h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
  if (k == CURLE_OK) k = curl_easy_setopt(c->h, CURLOPT_POSTFIELDS, body->len ? body->data : "");
  if (k == CURLE_OK && strcmp(hf_notify_text(n, WEBHOOK_METHOD), "put") == 0) k = curl_easy_setopt(c->h, CURLOPT_CUSTOMREQUEST, "PUT");
  return k == CURLE_OK ? 0 : -1;
}

static int webhook_send(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err) {
  HF_CLEANUP(hf_curl_close) struct hf_curl c = {0};
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf answer = HF_BUF_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf file = HF_BUF_INIT;
  const char *url = url_for(n, x), *template = hf_notify_text(n, WEBHOOK_TEMPLATE), *template_file = hf_notify_text(n, WEBHOOK_TEMPLATE_FILE);
  if (!url) return 0;
  int r = template_file ? hf_read_file(template_file, TEMPLATE_MAX, &file, err) : 0;
  if (r == 0) r = hf_webhook_format(x, template_file ? file.data : template, hf_notify_text(n, WEBHOOK_CONTENT_TYPE), &body, err);
  if (r == 0) r = hf_curl_open(&c, "http,https", hf_notify_text(n, WEBHOOK_CA_FILE), deadline, err);
  if (r < 0) return r;
  if (request(&c, n, url, &body) < 0 || curl_easy_setopt(c.h, CURLOPT_WRITEFUNCTION, keep_some) != CURLE_OK || curl_easy_setopt(c.h, CURLOPT_WRITEDATA, &answer) != CURLE_OK)
    return hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot make the request");
  r = hf_curl_perform(&c, err);
  if (r < 0) return r;
  long code = hf_curl_code(&c);
  if (code >= 200 && code < 300) return 0;
  HF_CLEANUP(hf_freep) char *shown = hf_printable(answer.data ? answer.data : "", answer.data ? strcspn(answer.data, "\r\n") : 0);
  int status = code >= 500 || code == 429 ? HOLDFAST_E_TRANSIENT : code == 401 || code == 403 ? HOLDFAST_E_AUTH : HOLDFAST_E_FAILED;
  return hf_fail(err, status, "the server answered %ld%s%s", code, *shown ? ": " : "", shown);
}

/* As far as the connection: a request would be a message. */
static int webhook_probe(const struct hf_manifest_notify *n, double deadline, char **what, struct hf_error *err) {
  static const int urls[] = {WEBHOOK_URL, WEBHOOK_START_URL, WEBHOOK_FAIL_URL};
  for (size_t i = 0; i < HF_NELEM(urls); i++) {
    HF_CLEANUP(hf_curl_close) struct hf_curl c = {0};
    const char *url = hf_notify_text(n, urls[i]);
    if (!url) continue;
    int r = hf_curl_open(&c, "http,https", hf_notify_text(n, WEBHOOK_CA_FILE), deadline, err);
    if (r == 0 && (curl_easy_setopt(c.h, CURLOPT_URL, url) != CURLE_OK || curl_easy_setopt(c.h, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK))
      r = hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot connect only");
    if (r == 0) r = hf_curl_perform(&c, err);
    if (r < 0) return hf_prefix(err, "%s", n->settings->table[urls[i]].name);
  }
  *what = hf_strdup("the server can be reached");
  return 0;
}

const struct hf_channel_ops hf_channel_webhook = {webhook_send, webhook_probe};
