/* client.c - commands and their replies, login, and what the errors of a server mean to an admin.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool hf_redis_is_error(const struct hf_redis_reply *r, const char *word) {
  size_t n = strlen(word);
  return r->type == HF_REDIS_ERROR && strncmp(r->text, word, n) == 0 && (r->text[n] == ' ' || r->text[n] == '\0');
}

/* All words of a command as an array of bulk strings. */
static int send_command(struct hf_redis_conn *c, size_t n, const char *const *words) {
  size_t size = 32, at;
  for (size_t i = 0; i < n; i++) size += strlen(words[i]) + 32;
  char *p = malloc(size);
  if (!p) return hf_redis_no_memory(hf_redis_host(c));
  at = (size_t)snprintf(p, size, "*%zu\r\n", n);
  for (size_t i = 0; i < n; i++) at += (size_t)snprintf(p + at, size - at, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
  int rc = hf_redis_send(c, p, at);
  explicit_bzero(p, size); /* it may have been AUTH */
  free(p);
  return rc;
}

int hf_redis_call(struct hf_redis_conn *c, struct hf_redis_reply *out, size_t n, const char *const *words) {
  const struct holdfast_host *host = hf_redis_host(c);
  const char *label = hf_redis_of(c)->label;
  size_t cap = 16384, len = 0, used = 0;
  memset(out, 0, sizeof *out);
  int rc = send_command(c, n, words), parsed = 0;
  if (rc != HOLDFAST_OK) return rc;
  char *buf = malloc(cap);
  while (buf && parsed == 0) {
    if (len == cap) {
      if (cap >= HF_REDIS_REPLY_MAX) {
        free(buf);
        return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: the reply to %s is longer than %u MiB", label, words[0], HF_REDIS_REPLY_MAX >> 20);
      }
      cap *= 2;
      char *grown = realloc(buf, cap);
      if (!grown) break;
      buf = grown;
    }
    int64_t got = hf_redis_recv(c, buf + len, cap - len);
    if (got <= 0) {
      free(buf);
      if (got < 0) return (int)got;
      return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "%s: the server closed the connection instead of replying to %s%s", label, words[0],
                           hf_redis_of(c)->tls ? "" : "; does it want TLS (tls = yes)?");
    }
    len += (size_t)got;
    parsed = hf_redis_parse(buf, len, &used, out);
  }
  if (parsed == 1 && used != len) {
    hf_redis_reply_clear(out);
    parsed = -1;
  }
  free(buf);
  if (parsed == 1) return HOLDFAST_OK;
  if (parsed == -1) return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s: what replied to %s does not speak as Redis does", label, words[0]);
  return hf_redis_no_memory(host);
}

int hf_redis_refused(const struct hf_redis_conn *c, const char *command, const char *text, size_t n) {
  const struct hf_redis_target *t = hf_redis_of(c);
  const char *who = t->username ? t->username : "default";
  char said[200];
  struct { const char *word; int status; const char *advice; } known[] = {
    {"NOAUTH", HOLDFAST_E_AUTH, "set password, and username if it is not the default user"},
    {"WRONGPASS", HOLDFAST_E_AUTH, "username or password is wrong"},
    {"LOADING", HOLDFAST_E_TRANSIENT, "wait until it has loaded its data"},
    {"NOMASTERLINK", HOLDFAST_E_TRANSIENT, "this replica has no link to its master, so its data is not current: repair the link, or back up the master"},
    {"MASTERDOWN", HOLDFAST_E_TRANSIENT, "this replica has no link to its master"},
    {"BUSY", HOLDFAST_E_TRANSIENT, "a script has been running for too long"},
    {"MISCONF", HOLDFAST_E_FAILED, "the server cannot save its data: see its log"},
    {"READONLY", HOLDFAST_E_FAILED, "this is a replica: name its master"},
    {"DENIED", HOLDFAST_E_AUTH, "protected mode: connect by loopback, or give the server a password"},
  };
  const struct holdfast_host *host = hf_redis_host(c);
  hf_redis_printable(text, n, said, sizeof said);
  if (strncmp(said, "NOPERM", 6) == 0)
    return holdfast_fail(host, HOLDFAST_E_AUTH, "%s: the user %s may not run %s: %s; holdfast-source-redis(7) says which rights it needs", t->label, who,
                         command, said);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strncmp(said, known[i].word, strlen(known[i].word)) == 0)
      return holdfast_fail(host, known[i].status, "%s: %s: %s (%s)", t->label, command, said, known[i].advice);
  if (strcmp(command, "AUTH") == 0) {
    const char *advice = strstr(said, "without any password") || strstr(said, "no password is set") ? " (leave password out)" : "";
    return holdfast_fail(host, HOLDFAST_E_AUTH, "%s: the login as %s is refused: %s%s", t->label, who, said, advice);
  }
  return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: %s: %s", t->label, command, said);
}

int hf_redis_must(struct hf_redis_conn *c, struct hf_redis_reply *out, size_t n, const char *const *words) {
  struct hf_redis_reply own, *r = out ? out : &own;
  char name[100];
  int rc = hf_redis_call(c, r, n, words);
  if (rc != HOLDFAST_OK) return rc;
  /* "CONFIG GET", but never what AUTH was told. */
  bool two = n > 1 && (strcasecmp(words[0], "CONFIG") == 0 || strcasecmp(words[0], "ACL") == 0);
  snprintf(name, sizeof name, "%.40s%s%.40s", words[0], two ? " " : "", two ? words[1] : "");
  if (r->type == HF_REDIS_ERROR) rc = hf_redis_refused(c, name, r->text, r->n);
  if (rc != HOLDFAST_OK || !out) hf_redis_reply_clear(r);
  return rc;
}

int hf_redis_login(const struct holdfast_host *host, const struct hf_redis_target *t, struct hf_redis_conn **out) {
  struct hf_redis_conn *c = NULL;
  int rc = hf_redis_connect(host, t, &c);
  if (rc != HOLDFAST_OK) return rc;
  if (t->username) rc = HF_REDIS_MUST(c, NULL, "AUTH", t->username, t->password);
  else if (t->password) rc = HF_REDIS_MUST(c, NULL, "AUTH", t->password);
  if (rc == HOLDFAST_OK) *out = c;
  else hf_redis_close(c);
  return rc;
}
