/* info.c - what a server says of itself: INFO, CONFIG GET, ACL LIST.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

/* The value of "key:value" in the text of INFO into out, "" when it is not there. */
static void field(const char *text, const char *key, char *out, size_t cap) {
  size_t n = strlen(key);
  out[0] = '\0';
  for (const char *p = text; p; p = strchr(p, '\n')) {
    if (*p == '\n') p++;
    if (strncmp(p, key, n) != 0 || p[n] != ':') continue;
    hf_redis_printable(p + n + 1, strcspn(p + n + 1, "\r\n"), out, cap);
    return;
  }
}

static uint64_t number(const char *text, const char *key) {
  char value[32];
  field(text, key, value, sizeof value);
  return strtoull(value, NULL, 10);
}

/* The lines "db0:keys=1,expires=0,avg_ttl=0". */
static void keyspace(struct hf_redis_facts *f, const char *text) {
  f->n_counts = 0;
  f->keys = f->expires = 0;
  for (const char *p = text; p; p = strchr(p, '\n')) {
    struct hf_redis_count c;
    unsigned long long keys, expires;
    if (*p == '\n') p++;
    if (sscanf(p, "db%9u:keys=%19llu,expires=%19llu", &c.db, &keys, &expires) != 3) continue;
    c.keys = keys;
    c.expires = expires;
    f->keys += keys;
    f->expires += expires;
    if (f->n_counts < HF_REDIS_DATABASES) f->counts[f->n_counts++] = c;
    if (f->databases <= c.db) f->databases = c.db + 1;
  }
}

void hf_redis_info_parse(struct hf_redis_facts *f, const char *text) {
  f->info = true;
  field(text, "redis_version", f->version, sizeof f->version);
  field(text, "redis_mode", f->mode, sizeof f->mode);
  field(text, "role", f->role, sizeof f->role);
  field(text, "master_link_status", f->link, sizeof f->link);
  f->loading = number(text, "loading") != 0;
  f->cluster = number(text, "cluster_enabled") != 0;
  f->syncing = number(text, "master_sync_in_progress") != 0;
  f->full_syncs = number(text, "sync_full");
  f->dirty = number(text, "rdb_changes_since_last_save");
  f->saved = number(text, "rdb_last_save_time");
  f->expired = number(text, "expired_keys");
  f->evicted = number(text, "evicted_keys");
  /* As a replica it has its own count of what it got, and as a master of what it sent. */
  f->replica_offset = number(text, "slave_repl_offset");
  f->master_offset = number(text, "master_repl_offset");
  keyspace(f, text);
}

int hf_redis_info(struct hf_redis_conn *c, struct hf_redis_facts *f) {
  struct hf_redis_reply r;
  f->info = false;
  int rc = HF_REDIS_CALL(c, &r, "INFO");
  if (rc != HOLDFAST_OK) return rc;
  if (r.type == HF_REDIS_BULK) hf_redis_info_parse(f, r.text);
  else if (r.type == HF_REDIS_ERROR && !hf_redis_is_error(&r, "NOPERM")) rc = hf_redis_refused(c, "INFO", r.text, r.n);
  hf_redis_reply_clear(&r);
  return rc;
}

void hf_redis_config_parse(struct hf_redis_facts *f, const struct hf_redis_reply *r) {
  struct { const char *name; char *out; size_t cap; } wanted[] = {
    {"dir", f->dir, sizeof f->dir},
    {"dbfilename", f->dbfilename, sizeof f->dbfilename},
    {"appendfilename", f->appendfilename, sizeof f->appendfilename},
    {"appenddirname", f->appenddirname, sizeof f->appenddirname},
  };
  for (size_t i = 0; i + 1 < r->n_items; i += 2) {
    const struct hf_redis_reply *name = &r->items[i], *value = &r->items[i + 1];
    if (name->type != HF_REDIS_BULK || value->type != HF_REDIS_BULK) continue;
    f->config = true;
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
      if (strcmp(name->text, wanted[k].name) == 0 && value->n < wanted[k].cap) memcpy(wanted[k].out, value->text, value->n + 1);
    if (strcmp(name->text, "appendonly") == 0) f->appendonly = strcmp(value->text, "yes") == 0;
    if (strcmp(name->text, "databases") == 0) f->databases = (unsigned)strtoul(value->text, NULL, 10);
  }
}

/* Every command that makes or removes a key counts in dirty, and what goes by itself in expired and evicted. */
int64_t hf_redis_changes(const struct hf_redis_facts *before, const struct hf_redis_facts *after) {
  if (!before->info || !after->info) return -1;
  /* A save in between begins dirty anew. */
  if (after->saved != before->saved || after->dirty < before->dirty || after->expired < before->expired || after->evicted < before->evicted)
    return -1;
  return (int64_t)(after->dirty - before->dirty + (after->expired - before->expired) + (after->evicted - before->evicted));
}

/* ---- the two text streams ---- */

struct text {
  char *p;
  size_t n, cap;
  bool failed;
};

static void add(struct text *t, const char *p, size_t n) {
  if (t->failed) return;
  if (t->n + n + 1 > t->cap) {
    size_t cap = 2 * (t->n + n) + 1024;
    char *grown = realloc(t->p, cap);
    if (!grown) {
      t->failed = true;
      return;
    }
    t->p = grown;
    t->cap = cap;
  }
  memcpy(t->p + t->n, p, n);
  t->n += n;
  t->p[t->n] = '\0';
}

static void add_text(struct text *t, const char *s) { add(t, s, strlen(s)); }

static char *finished(struct text *t, size_t *n) {
  if (t->failed || !t->p) {
    free(t->p);
    return NULL;
  }
  *n = t->n;
  return t->p;
}

/* One word as a configuration file wants it. */
static void add_quoted(struct text *t, const char *p, size_t n) {
  add_text(t, "\"");
  for (size_t i = 0; i < n; i++) {
    char escaped[8];
    unsigned char c = (unsigned char)p[i];
    if (c == '"' || c == '\\') snprintf(escaped, sizeof escaped, "\\%c", c);
    else if (c < 0x20 || c >= 0x7f) snprintf(escaped, sizeof escaped, "\\x%02x", c);
    else snprintf(escaped, sizeof escaped, "%c", c);
    add_text(t, escaped);
  }
  add_text(t, "\"");
}

/* These take several words, and CONFIG GET gives them in one; the words have neither blanks nor quotes in them. */
static bool many_words(const char *name) {
  static const char *const names[] = {"save", "bind", "client-output-buffer-limit", "oom-score-adj-values", "latency-tracking-info-percentiles",
                                      "replicaof", "slaveof"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

char *hf_redis_conf_text(const struct hf_redis_reply *r, size_t *n) {
  struct text t = {0};
  add_text(&t, "# What CONFIG GET * said, in the form of redis.conf. Secrets are in it.\n");
  for (size_t i = 0; i + 1 < r->n_items; i += 2) {
    const struct hf_redis_reply *name = &r->items[i], *value = &r->items[i + 1];
    if (name->type != HF_REDIS_BULK || value->type != HF_REDIS_BULK) continue;
    /* An empty replicaof means none, but cannot be written so. */
    if (value->n == 0 && (strcmp(name->text, "replicaof") == 0 || strcmp(name->text, "slaveof") == 0)) continue;
    add(&t, name->text, name->n);
    add_text(&t, " ");
    if (many_words(name->text) && value->n > 0) add(&t, value->text, value->n);
    else add_quoted(&t, value->text, value->n);
    add_text(&t, "\n");
  }
  return finished(&t, n);
}

char *hf_redis_acl_text(const struct hf_redis_reply *r, size_t *n) {
  struct text t = {0};
  for (size_t i = 0; i < r->n_items; i++) {
    if (r->items[i].type != HF_REDIS_BULK) continue;
    add(&t, r->items[i].text, r->items[i].n);
    add_text(&t, "\n");
  }
  return finished(&t, n);
}
