/* email.c - a message by SMTP.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/digest.h"
#include "notify/internal.h"

#define HEADER_MAX 200

char *hf_email_header(const char *text) {
  char *s = hf_strndup(text, HEADER_MAX);
  for (char *p = s; *p; p++) {
    if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e) *p = '?'; /* the body has it as it is */
  }
  return s;
}

static int add_line(struct hf_curl *c, const char *line) {
  struct curl_slist *more = curl_slist_append(c->headers, line);
  if (more) c->headers = more;
  return more ? 0 : -1;
}

static int add_header(struct hf_curl *c, const char *name, const char *value) {
  HF_CLEANUP(hf_freep) char *clean = hf_email_header(value);
  HF_CLEANUP(hf_freep) char *line = hf_asprintf("%s: %s", name, clean);
  return add_line(c, line);
}

/* One header for all, an address a line. */
static int add_recipients(struct hf_curl *c, const struct holdfast_value *to) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  for (uint32_t i = 0; i < to->count; i++) {
    HF_CLEANUP(hf_freep) char *clean = hf_email_header(to->strings[i]);
    hf_buf_addf(&b, "%s%s", i ? ",\r\n " : "To: ", clean);
  }
  return add_line(c, b.data);
}

static int headers(struct hf_curl *c, const struct hf_manifest_notify *n, const struct hf_notice *x) {
  const char *from = hf_notify_text(n, EMAIL_FROM), *domain = strrchr(from, '@');
  char date[64], id[2 * 16 + 1];
  unsigned char salt[16];
  struct tm tm;
  time_t now = (time_t)hf_wall_clock();
  gmtime_r(&now, &tm);
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
  hf_random(salt, sizeof salt);
  hf_hex(id, salt, sizeof salt);
  HF_CLEANUP(hf_freep) char *message_id = hf_asprintf("<%s%s>", id, domain);
  int r = add_header(c, "Date", date);
  r |= add_header(c, "From", from);
  r |= add_recipients(c, &n->settings->values[EMAIL_TO]);
  r |= add_header(c, "Subject", hf_notice_str(x, "subject"));
  r |= add_header(c, "Message-ID", message_id);
  r |= add_header(c, "Auto-Submitted", "auto-generated");
  r |= add_header(c, "X-Holdfast-Event", hf_notice_str(x, "event"));
  r |= add_header(c, "X-Holdfast-Host", hf_notice_str(x, "host"));
  return r;
}

/* A connection as far as its login is set up. */
static int set_up(struct hf_curl *c, const struct hf_manifest_notify *n, double deadline, struct hf_error *err) {
  const char *tls = hf_notify_text(n, EMAIL_TLS), *user = hf_notify_text(n, EMAIL_USER);
  bool at_once = strcmp(tls, "tls") == 0, open = strcmp(tls, "none") == 0;
  int r = hf_curl_open(c, at_once ? "smtps" : "smtp", hf_notify_text(n, EMAIL_CA_FILE), deadline, err);
  if (r < 0) return r;
  HF_CLEANUP(hf_freep) char *url = hf_asprintf("%s://%s", at_once ? "smtps" : "smtp", hf_notify_text(n, EMAIL_SERVER));
  CURLcode k = curl_easy_setopt(c->h, CURLOPT_URL, url);
  if (k == CURLE_OK) k = curl_easy_setopt(c->h, CURLOPT_USE_SSL, (long)(open ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  if (k == CURLE_OK && user) k = curl_easy_setopt(c->h, CURLOPT_USERNAME, user);
  if (k == CURLE_OK && user) k = curl_easy_setopt(c->h, CURLOPT_PASSWORD, hf_notify_text(n, EMAIL_PASSWORD));
  return k == CURLE_OK ? 0 : hf_fail(err, HOLDFAST_E_FAILED, "libcurl: %s", curl_easy_strerror(k));
}

/* The body: lines of a message end with CR and LF. With LF alone they would be encoded into one line, which readers need not take apart again. */
static void body(const struct hf_notice *x, struct hf_buf *out) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  hf_notice_text(x->facts, &text);
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] == '\n') hf_buf_addc(out, '\r');
    hf_buf_addc(out, text.data[i]);
  }
}

/* To the recipients from first on, count of them, in one transaction. */
static int deliver(const struct hf_manifest_notify *n, const struct hf_notice *x, uint32_t first, uint32_t count, double deadline, long *code, struct hf_error *err) {
  HF_CLEANUP(hf_curl_close) struct hf_curl c = {0};
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  const struct holdfast_value *to = &n->settings->values[EMAIL_TO];
  int r = set_up(&c, n, deadline, err);
  if (r < 0) return r;
  body(x, &text);
  curl_mime *mime = curl_mime_init(c.h);
  curl_mimepart *part = mime ? curl_mime_addpart(mime) : NULL;
  bool bad = !part || headers(&c, n, x) != 0 || curl_mime_data(part, text.data, text.len) != CURLE_OK || curl_mime_type(part, "text/plain; charset=utf-8") != CURLE_OK ||
             curl_mime_encoder(part, "quoted-printable") != CURLE_OK;
  for (uint32_t i = first; !bad && i < first + count; i++) {
    struct curl_slist *more = curl_slist_append(c.recipients, to->strings[i]);
    bad = !more;
    if (more) c.recipients = more;
  }
  bad = bad || curl_easy_setopt(c.h, CURLOPT_MAIL_FROM, hf_notify_text(n, EMAIL_FROM)) != CURLE_OK || curl_easy_setopt(c.h, CURLOPT_MAIL_RCPT, c.recipients) != CURLE_OK ||
        curl_easy_setopt(c.h, CURLOPT_HTTPHEADER, c.headers) != CURLE_OK || curl_easy_setopt(c.h, CURLOPT_MIMEPOST, mime) != CURLE_OK;
  r = bad ? hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot make the message") : hf_curl_perform(&c, err);
  *code = hf_curl_code(&c);
  /* A refusal of the server's comes as an error of sending: 4yz may be otherwise later, 5yz will not. */
  if (r == HOLDFAST_E_TRANSIENT && *code >= 500) r = err->code = HOLDFAST_E_FAILED;
  curl_mime_free(mime);
  return r;
}

static int email_send(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err) {
  const struct holdfast_value *to = &n->settings->values[EMAIL_TO];
  struct hf_error first = {0};
  long code = 0;
  int r = deliver(n, x, 0, to->count, deadline, &code, &first);
  if (r == 0) return 0;
  if (code < 400 || r == HOLDFAST_E_AUTH || to->count == 1) return hf_fail(err, r, "%s", first.msg);
  /* One address that is refused must not cost the others their message. */
  HF_CLEANUP(hf_buf_free) struct hf_buf refused = HF_BUF_INIT;
  for (uint32_t i = 0; i < to->count; i++) {
    struct hf_error e = {0};
    if (deliver(n, x, i, 1, deadline, &code, &e) < 0) hf_buf_addf(&refused, "%s%s: %s", refused.len ? "; " : "", to->strings[i], e.msg);
  }
  return refused.len ? hf_fail(err, HOLDFAST_E_FAILED, "not delivered to %s", refused.data) : 0;
}

static int email_probe(const struct hf_manifest_notify *n, double deadline, char **what, struct hf_error *err) {
  HF_CLEANUP(hf_curl_close) struct hf_curl c = {0};
  int r = set_up(&c, n, deadline, err);
  if (r == 0 && curl_easy_setopt(c.h, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK) r = hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot connect only");
  if (r == 0) r = hf_curl_perform(&c, err);
  if (r < 0) return r;
  const char *tls = hf_notify_text(n, EMAIL_TLS);
  *what = hf_asprintf("%s answers, %s%s", hf_notify_text(n, EMAIL_SERVER), strcmp(tls, "none") == 0 ? "without encryption" : tls, hf_notify_text(n, EMAIL_USER) ? ", login works" : "");
  return 0;
}

const struct hf_channel_ops hf_channel_email = {email_send, email_probe};
