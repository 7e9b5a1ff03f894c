/* notify.c - the [notify NAME] sections.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>

#include "base/io.h"
#include "base/text.h"
#include "manifest/internal.h"
#include "plugin/internal.h"

#define TEMPLATE_MAX (64 * HF_KIB)

const char *const hf_event_names[HF_EVENTS] = {"success", "failure",    "partial", "rpo-warning", "rpo-critical",
                                               "disk",    "key-expiry", "drill",   "tamper",      "target-behind"};
const char *const hf_channel_names[HF_CHANNELS] = {"email", "webhook", "syslog", "journald", "statsd", "command"};
static const char *const verbs[] = {"backup", "prune", "verify", "sync", "drill", "restore"};
const char *const hf_notify_placeholders[] = {"event", "status", "severity", "host", "verb", "run", "subject", "text", "time", "seconds", "exit", "snapshot", "facts", NULL};

enum { N_TYPE, N_EVENTS, N_VERBS, N_EVERY, N_TIMEOUT, N_ENABLED };
static const struct holdfast_setting notify_table[] = {
    [N_TYPE] = {"type", HOLDFAST_CHOICE, HOLDFAST_REQUIRED, NULL, "email|webhook|syslog|journald|statsd|command", "how to tell"},
    [N_EVENTS] = {"events", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [N_VERBS] = {"verbs", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [N_EVERY] = {"at-most-every", HOLDFAST_DURATION, 0, "24h", NULL, NULL},
    [N_TIMEOUT] = {"timeout", HOLDFAST_DURATION, 0, "30s", NULL, NULL},
    [N_ENABLED] = {"enabled", HOLDFAST_BOOL, 0, "yes", NULL, NULL},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting email_table[] = {
    [EMAIL_SERVER] = {"server", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "the mail server, as HOST or HOST:PORT"},
    [EMAIL_TLS] = {"tls", HOLDFAST_CHOICE, 0, "starttls", "starttls|tls|none", "how the connection is encrypted"},
    [EMAIL_USER] = {"user", HOLDFAST_STRING, 0, NULL, NULL, "the name to log in with"},
    [EMAIL_PASSWORD] = {"password", HOLDFAST_SECRET, 0, NULL, NULL, "the password to log in with"},
    [EMAIL_FROM] = {"from", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "the sender's address"},
    [EMAIL_TO] = {"to", HOLDFAST_STRING, HOLDFAST_REQUIRED | HOLDFAST_LIST, NULL, NULL, "the address of who is told"},
    [EMAIL_CA_FILE] = {"ca-file", HOLDFAST_PATH, 0, NULL, NULL, "certificates to trust instead of the system's"},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting webhook_table[] = {
    [WEBHOOK_URL] = {"url", HOLDFAST_SECRET, HOLDFAST_REQUIRED, NULL, NULL, "where to send"},
    [WEBHOOK_START_URL] = {"start-url", HOLDFAST_SECRET, 0, NULL, NULL, "where to send that a run has begun"},
    [WEBHOOK_FAIL_URL] = {"fail-url", HOLDFAST_SECRET, 0, NULL, NULL, "where to send what went wrong"},
    [WEBHOOK_METHOD] = {"method", HOLDFAST_CHOICE, 0, "post", "post|put", "the HTTP method"},
    [WEBHOOK_TEMPLATE] = {"template", HOLDFAST_STRING, 0, NULL, NULL, "what to send"},
    [WEBHOOK_TEMPLATE_FILE] = {"template-file", HOLDFAST_PATH, 0, NULL, NULL, "the file of what to send"},
    [WEBHOOK_CONTENT_TYPE] = {"content-type", HOLDFAST_STRING, 0, "application/json", NULL, "the type of what is sent"},
    [WEBHOOK_HEADER] = {"header", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, "a further header line"},
    [WEBHOOK_TOKEN] = {"token", HOLDFAST_SECRET, 0, NULL, NULL, "a bearer token"},
    [WEBHOOK_CA_FILE] = {"ca-file", HOLDFAST_PATH, 0, NULL, NULL, "certificates to trust instead of the system's"},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting syslog_table[] = {
    [SYSLOG_SOCKET] = {"socket", HOLDFAST_PATH, 0, "/dev/log", NULL, "the socket of the local daemon"},
    [SYSLOG_SERVER] = {"server", HOLDFAST_STRING, 0, NULL, NULL, "a daemon elsewhere, as HOST or HOST:PORT, by UDP"},
    [SYSLOG_FACILITY] = {"facility", HOLDFAST_CHOICE, 0, "daemon", "user|daemon|cron|local0|local1|local2|local3|local4|local5|local6|local7", "the facility"},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting journald_table[] = {
    [JOURNALD_SOCKET] = {"socket", HOLDFAST_PATH, 0, "/run/systemd/journal/socket", NULL, "the journal's socket"},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting statsd_table[] = {
    [STATSD_SERVER] = {"server", HOLDFAST_STRING, 0, "127.0.0.1:8125", NULL, "the daemon, as HOST or HOST:PORT, by UDP"},
    [STATSD_PREFIX] = {"prefix", HOLDFAST_STRING, 0, NULL, NULL, "what every name starts with"},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting command_table[] = {
    [COMMAND_COMMAND] = {"command", HOLDFAST_COMMAND, HOLDFAST_REQUIRED, NULL, NULL, "the program to run"},
    {NULL, 0, 0, NULL, NULL, NULL}};

static const struct holdfast_setting *const tables[HF_CHANNELS] = {email_table, webhook_table, syslog_table, journald_table, statsd_table, command_table};

const struct holdfast_setting *hf_notify_keys(void) { return notify_table; }

const struct holdfast_setting *hf_channel_keys(enum hf_channel type) { return tables[type]; }

const char *hf_notify_text(const struct hf_manifest_notify *n, int row) {
  const struct holdfast_value *v = &n->settings->values[row];
  return v->count ? v->strings[0] : NULL;
}

/* ---- checks ---- */

/* Add the words of `a, b` that are among known; others are an error that lists those. */
static int add_words(const struct holdfast_value *v, const char *const *known, size_t n, void (*add)(void *ctx, size_t word), void *ctx, struct hf_error *err) {
  for (uint32_t i = 0; i < v->count; i++) {
    for (const char *p = v->strings[i]; p;) {
      const char *end = strchrnul(p, ',');
      const char *a = p + strspn(p, " \t"), *b = end;
      while (b > a && (b[-1] == ' ' || b[-1] == '\t')) b--;
      size_t k = 0;
      while (k < n && !(strlen(known[k]) == (size_t)(b - a) && memcmp(a, known[k], (size_t)(b - a)) == 0)) k++;
      if (k == n) {
        HF_CLEANUP(hf_freep) char *shown = hf_printable(a, b > a ? (size_t)(b - a) : 0);
        HF_CLEANUP(hf_buf_free) struct hf_buf all = HF_BUF_INIT;
        for (k = 0; k < n; k++) hf_buf_addf(&all, "%s%s", k ? ", " : "", known[k]);
        return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not one of: %s", shown, all.data);
      }
      add(ctx, k);
      p = *end ? end + 1 : NULL;
    }
  }
  return 0;
}

static void add_event(void *ctx, size_t word) { *(unsigned *)ctx |= 1u << word; }

static void add_verb(void *ctx, size_t word) {
  if (!hf_list_has(ctx, verbs[word])) hf_list_add(ctx, verbs[word]);
}

static bool is_address(const char *s) {
  const char *at = strchr(s, '@');
  return at && at != s && at[1] && !strchr(at + 1, '@') && !strpbrk(s, " \t<>\",;");
}

static bool known_placeholder(void *ctx HF_UNUSED, const char *name, struct hf_buf *out HF_UNUSED) {
  for (const char *const *p = hf_notify_placeholders; *p; p++) {
    if (strcmp(*p, name) == 0) return true;
  }
  return false;
}

static int check_template(const char *text, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF_INIT;
  return hf_template(text, known_placeholder, NULL, &out, err);
}

/* HOST or HOST:PORT, an IPv6 address in brackets. */
static int check_server(const char *server, struct hf_error *err) {
  const char *colon = *server == '[' ? strstr(server, "]") : strchr(server, ':');
  uint64_t port = 1;
  if (colon && *colon == ']') colon = colon[1] ? colon + 1 : NULL;
  bool good = *server != ':' && !strpbrk(server, " \t/@\"") && (!colon || (*colon == ':' && hf_parse_uint(colon + 1, 65535, &port, NULL) == 0 && port > 0));
  if (*server == '[' && !strchr(server, ']')) good = false;
  return good ? 0 : hf_fail(err, HOLDFAST_E_CONFIG, "write HOST or HOST:PORT, an IPv6 address in brackets");
}

/* What is wrong with one value; the row's own type has been checked. */
static int check_value(enum hf_channel type, int row, const char *text, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(text, strlen(text));
  if (type == HF_CHANNEL_EMAIL && (row == EMAIL_FROM || row == EMAIL_TO) && !is_address(text))
    return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not an e-mail address; write NAME@DOMAIN, one in a line", shown);
  if ((type == HF_CHANNEL_EMAIL && row == EMAIL_SERVER) || (type == HF_CHANNEL_SYSLOG && row == SYSLOG_SERVER) || (type == HF_CHANNEL_STATSD && row == STATSD_SERVER))
    return check_server(text, err);
  if (type == HF_CHANNEL_STATSD && row == STATSD_PREFIX && strpbrk(text, ":|@# \t"))
    return hf_fail(err, HOLDFAST_E_CONFIG, "a prefix has none of : | @ # and no blank");
  if (type == HF_CHANNEL_WEBHOOK && row == WEBHOOK_HEADER && (strcspn(text, ": \t") == 0 || text[strcspn(text, ": \t")] != ':'))
    return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is no header; write NAME: VALUE", shown);
  if (type == HF_CHANNEL_WEBHOOK && row == WEBHOOK_TEMPLATE) return check_template(text, err);
  return 0;
}

/* What has to go together; *row gets the row at fault. */
static int check_together(const struct hf_manifest_notify *n, bool has_password, int *row, struct hf_error *err) {
  const struct holdfast_value *v = n->settings->values;
  if (n->type == HF_CHANNEL_EMAIL) {
    bool open = strcmp(v[EMAIL_TLS].strings[0], "none") == 0;
    *row = v[EMAIL_USER].count ? EMAIL_USER : EMAIL_PASSWORD;
    if ((v[EMAIL_USER].count > 0) != has_password) return hf_fail(err, HOLDFAST_E_CONFIG, "user and password go together; give both or neither");
    *row = EMAIL_TLS;
    if (open && has_password) return hf_fail(err, HOLDFAST_E_CONFIG, "a password is not sent over a connection without encryption; write starttls or tls");
  }
  if (n->type == HF_CHANNEL_WEBHOOK) {
    *row = WEBHOOK_TEMPLATE_FILE;
    if (v[WEBHOOK_TEMPLATE].count && v[WEBHOOK_TEMPLATE_FILE].count) return hf_fail(err, HOLDFAST_E_CONFIG, "there is a template already; keep one of the two");
  }
  return 0;
}

static enum hf_channel type_of(const char *name) {
  enum hf_channel t = 0;
  while (t < HF_CHANNELS - 1 && strcmp(hf_channel_names[t], name) != 0) t++;
  return t;
}

/* The section's type, which says what other keys there are. */
static int find_type(const struct hf_raw_section *s, enum hf_channel *out, struct hf_error *err) {
  int64_t number;
  for (size_t i = 0; i < s->n; i++) {
    if (strcmp(s->keys[i].key, "type") != 0) continue;
    if (hf_setting_parse(&notify_table[N_TYPE], s->keys[i].value, &number, err) < 0) return hf_at(err, s, s->keys[i].line, "type");
    *out = type_of(s->keys[i].value);
    return 0;
  }
  hf_fail(err, HOLDFAST_E_CONFIG, "missing; write email, webhook, syslog, journald, statsd or command");
  return hf_at(err, s, s->line, "type");
}

static int check_values(const struct hf_raw_section *s, const struct hf_manifest_notify *n, struct hf_error *err) {
  const struct hf_settings *set = n->settings;
  for (size_t row = 0; row < set->n; row++) {
    if (set->table[row].type == HOLDFAST_SECRET) continue; /* not fetched yet */
    for (uint32_t k = 0; k < set->values[row].count; k++) {
      if (check_value(n->type, (int)row, set->values[row].strings[k], err) < 0) return hf_at(err, s, set->values[row].line, set->table[row].name);
    }
  }
  bool has_password = false;
  for (size_t i = 0; i < s->n; i++) has_password |= hf_secret_form("password", s->keys[i].key) >= 0;
  int row = 0;
  if (check_together(n, has_password, &row, err) == 0) return 0;
  return hf_at(err, s, set->values[row].line ? set->values[row].line : s->line, set->table[row].name);
}

int hf_build_notify(const struct hf_raw_section *s, struct hf_manifest_notify *out, struct hf_error *err) {
  HF_CLEANUP(hf_settings_freep) struct hf_settings *common = hf_settings_new(notify_table);
  const struct holdfast_value *v = common->values;
  int r = find_type(s, &out->type, err);
  if (r < 0) return r;
  out->settings = hf_settings_new(tables[out->type]);
  r = hf_section_keys(s, common, out->settings, "holdfast-notify(7) lists those there are", err);
  if (r < 0) return r;
  if (add_words(&v[N_EVENTS], hf_event_names, HF_EVENTS, add_event, &out->events, err) < 0) return hf_at(err, s, v[N_EVENTS].line, "events");
  if (add_words(&v[N_VERBS], verbs, HF_NELEM(verbs), add_verb, &out->verbs, err) < 0) return hf_at(err, s, v[N_VERBS].line, "verbs");
  /* People are told what they have to act on; programs are told everything. */
  if (!v[N_EVENTS].count) out->events = ((1u << HF_EVENTS) - 1) & ~(out->type == HF_CHANNEL_EMAIL ? 1u << HF_EVENT_SUCCESS : 0);
  out->at_most_every = v[N_EVERY].number;
  out->timeout = v[N_TIMEOUT].number;
  out->enabled = v[N_ENABLED].number != 0;
  if (out->timeout < 1 || out->timeout > 3600) {
    hf_fail(err, HOLDFAST_E_CONFIG, "from 1s to 1h: the run's end waits for it");
    return hf_at(err, s, v[N_TIMEOUT].line, "timeout");
  }
  return check_values(s, out, err);
}

static bool is_url(const char *s) { return strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0; }

/* The message must not repeat a URL: for most services it is the key to what is behind it. */
int hf_finish_notify(const struct hf_raw_section *s, struct hf_manifest_notify *n, struct hf_error *err) {
  static const int urls[] = {WEBHOOK_URL, WEBHOOK_START_URL, WEBHOOK_FAIL_URL};
  if (n->type != HF_CHANNEL_WEBHOOK) return 0;
  for (size_t i = 0; i < HF_NELEM(urls); i++) {
    const char *url = hf_notify_text(n, urls[i]);
    if (!url || (is_url(url) && !strpbrk(url, " \t\"<>"))) continue;
    hf_fail(err, HOLDFAST_E_CONFIG, "not a URL; it starts with https:// or http:// and has no blanks");
    return hf_at(err, s, n->settings->values[urls[i]].line, n->settings->table[urls[i]].name);
  }
  const char *file = hf_notify_text(n, WEBHOOK_TEMPLATE_FILE);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  if (!file) return 0;
  int r = hf_read_file(file, TEMPLATE_MAX, &text, err);
  if (r == 0 && text.len == 0) r = hf_fail(err, HOLDFAST_E_CONFIG, "the file is empty");
  if (r == 0) r = check_template(text.data, err);
  return r < 0 ? hf_at(err, s, n->settings->values[WEBHOOK_TEMPLATE_FILE].line, "template-file") : 0;
}

void hf_free_notify(struct hf_manifest_notify *n) {
  hf_settings_free(n->settings);
  hf_list_free(&n->verbs);
  free(n->broken);
  free(n->name);
  free(n->file);
}
