/* backup.c - the backup half: a replica's full synchronisation, as far as the RDB goes; and the preflight.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The server forks and sends the data as of that moment. We say that we can take it while it is being made (capa eof), so that a server
 * with repl-diskless-sync writes nothing to its disk, and that we want nothing after it (rdb-only, from 7.0 on), so that it keeps no changes for us.
 */
#include "redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 262144 /* what is received at once, and all the memory that the data takes */

enum step { STEP_ACL, STEP_CONFIG, STEP_RDB, STEP_END };

struct backup {
  const struct holdfast_host *host;
  struct hf_redis_target target;
  struct hf_redis_conn *conn;
  struct hf_redis_facts facts;
  bool want_acl, want_config;
  enum step step;
  uint64_t reading; /* the step of the entry that is being read */
  /* A text stream, and how much of it has been read; NULL when the server refused it, and then why. */
  char *text;
  size_t text_n, text_at;
  int refused;
  char why[600];
  /* The RDB. */
  bool complete;
  struct hf_redis_frame frame;
  struct hf_redis_rdb rdb;
  size_t in_at, in_n;
  unsigned char in[BLOCK];
  char *state;
};

/* ---- open ---- */

/* A server from which no RDB can be had. */
static int usable(const struct backup *b) {
  const struct hf_redis_facts *f = &b->facts;
  if (!f->info) return HOLDFAST_OK;
  if (strcmp(f->mode, "sentinel") == 0)
    return holdfast_fail(b->host, HOLDFAST_E_CONFIG,
                         "%s: this is a sentinel and holds no data: name one of the servers that it watches (SENTINEL MASTERS lists them)", b->target.label);
  if (f->loading) return holdfast_fail(b->host, HOLDFAST_E_TRANSIENT, "%s: the server is still loading its data", b->target.label);
  if (strcmp(f->role, "slave") == 0 && strcmp(f->link, "up") != 0)
    return holdfast_fail(b->host, HOLDFAST_E_TRANSIENT,
                         "%s: this replica has no link to its master, so its data is not current: repair the link, or back up the master", b->target.label);
  return HOLDFAST_OK;
}

static int start(struct backup *b, const struct holdfast_host *host, const struct holdfast_value *values) {
  b->host = host;
  b->want_acl = values[HF_REDIS_SET_ACL].number != 0;
  b->want_config = values[HF_REDIS_SET_CONFIG].number != 0;
  hf_redis_rdb_init(&b->rdb);
  int rc = hf_redis_target(host, values, &b->target);
  if (rc == HOLDFAST_OK) rc = hf_redis_login(host, &b->target, &b->conn);
  if (rc == HOLDFAST_OK) rc = hf_redis_info(b->conn, &b->facts);
  return rc == HOLDFAST_OK ? usable(b) : rc;
}

void hf_redis_done(void *handle) {
  struct backup *b = handle;
  hf_redis_close(b->conn);
  if (b->text) explicit_bzero(b->text, b->text_n);
  free(b->text);
  free(b->state);
  free(b);
}

int hf_redis_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct backup *b = calloc(1, sizeof *b);
  if (!b) return hf_redis_no_memory(host);
  int rc = start(b, host, values);
  if (rc == HOLDFAST_OK) *handle = b;
  else hf_redis_done(b);
  return rc;
}

/* ---- what comes beside the data ---- */

static void drop_text(struct backup *b) {
  if (b->text) explicit_bzero(b->text, b->text_n);
  free(b->text);
  b->text = NULL;
  b->text_n = b->text_at = 0;
  b->refused = HOLDFAST_OK;
}

/* The text of the stream. A refusal is kept for entry_open, so that it costs this stream and not the data. */
static int fetch_text(struct backup *b, bool acl) {
  struct hf_redis_reply r;
  const char *command = acl ? "ACL LIST" : "CONFIG GET";
  drop_text(b);
  int rc = acl ? HF_REDIS_CALL(b->conn, &r, "ACL", "LIST") : HF_REDIS_CALL(b->conn, &r, "CONFIG", "GET", "*");
  if (rc != HOLDFAST_OK) return rc;
  if (r.type == HF_REDIS_ARRAY) {
    if (!acl) hf_redis_config_parse(&b->facts, &r);
    b->text = acl ? hf_redis_acl_text(&r, &b->text_n) : hf_redis_conf_text(&r, &b->text_n);
    if (!b->text) rc = hf_redis_no_memory(b->host);
  } else {
    char said[300] = "";
    if (r.type == HF_REDIS_ERROR) hf_redis_printable(r.text, r.n, said, sizeof said);
    b->refused = hf_redis_is_error(&r, "NOPERM") ? HOLDFAST_E_AUTH : HOLDFAST_E_UNSUPPORTED;
    snprintf(b->why, sizeof b->why, "%s: %s: %s; allow it to the user %s, or set %s = no", b->target.label, command, said,
             b->target.username ? b->target.username : "default", acl ? "acl" : "config");
  }
  hf_redis_reply_clear(&r);
  return rc;
}

/* ---- the synchronisation ---- */

/* The line that replies to PSYNC; newlines before it keep the link alive. What came behind it stays in b->in. */
static int sync_reply(struct backup *b, char *line, size_t cap) {
  size_t n = 0;
  for (;;) {
    for (; b->in_at < b->in_n; b->in_at++) {
      char c = (char)b->in[b->in_at];
      if (c == '\n' && n == 0) continue;
      if (c == '\n') {
        if (line[n - 1] == '\r') n--;
        line[n] = '\0';
        b->in_at++;
        return HOLDFAST_OK;
      }
      if (n == cap - 1) return holdfast_fail(b->host, HOLDFAST_E_CORRUPT, "%s: what replied to PSYNC does not speak as Redis does", b->target.label);
      line[n++] = c;
    }
    int64_t got = hf_redis_recv(b->conn, b->in, sizeof b->in);
    if (got < 0) return (int)got;
    if (got == 0) return holdfast_fail(b->host, HOLDFAST_E_TRANSIENT, "%s: the server closed the connection instead of replying to PSYNC", b->target.label);
    b->in_at = 0;
    b->in_n = (size_t)got;
  }
}

/* Count the keys once more, now that the snapshot is taken, on a connection of its own. That it fails is no reason to fail. */
static void count_again(struct backup *b) {
  struct hf_redis_facts *after = calloc(1, sizeof *after);
  struct hf_redis_conn *c = NULL;
  b->facts.changes = -1;
  if (b->facts.info && after && hf_redis_login(b->host, &b->target, &c) == HOLDFAST_OK && hf_redis_info(c, after) == HOLDFAST_OK)
    b->facts.changes = hf_redis_changes(&b->facts, after);
  hf_redis_close(c);
  free(after);
}

static int sync_begin(struct backup *b) {
  static const char psync[] = "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n";
  struct hf_redis_reply r;
  char line[512];
  unsigned long long offset = 0;
  b->in_at = b->in_n = 0;
  int rc = HF_REDIS_MUST(b->conn, NULL, "REPLCONF", "capa", "eof");
  if (rc == HOLDFAST_OK) rc = HF_REDIS_CALL(b->conn, &r, "REPLCONF", "rdb-only", "1"); /* an error of older servers: then without */
  if (rc != HOLDFAST_OK) return rc;
  hf_redis_reply_clear(&r);
  if ((rc = hf_redis_info(b->conn, &b->facts)) != HOLDFAST_OK) return rc;
  if (!b->facts.info)
    hf_redis_log(b->host, HOLDFAST_LOG_NOTICE, "%s: INFO is not allowed to us: holdfast drill will not be able to compare the number of keys", b->target.label);
  rc = hf_redis_send(b->conn, psync, sizeof psync - 1);
  if (rc == HOLDFAST_OK) rc = sync_reply(b, line, sizeof line);
  if (rc != HOLDFAST_OK) return rc;
  if (line[0] == '-') return hf_redis_refused(b->conn, "PSYNC", line + 1, strlen(line + 1));
  if (sscanf(line, "+FULLRESYNC %40s %19llu", b->facts.replid, &offset) != 2) {
    hf_redis_printable(line, strlen(line), b->why, 100);
    return holdfast_fail(b->host, HOLDFAST_E_UNSUPPORTED, "%s: PSYNC: not understood: %s", b->target.label, b->why);
  }
  b->facts.offset = offset;
  count_again(b);
  return HOLDFAST_OK;
}

/* ---- entries ---- */

int hf_redis_next(void *handle, struct holdfast_entry *e) {
  struct backup *b = handle;
  int rc = HOLDFAST_OK;
  if (b->step == STEP_ACL && !b->want_acl) b->step++;
  if (b->step == STEP_CONFIG && !b->want_config) b->step++;
  if (b->step == STEP_END) return 0;
  e->kind = HOLDFAST_STREAM;
  e->size = HOLDFAST_SIZE_UNKNOWN;
  e->cookie = b->step;
  if (b->step == STEP_RDB) {
    e->path = HF_REDIS_RDB;
    rc = sync_begin(b);
  } else {
    e->path = b->step == STEP_ACL ? HF_REDIS_ACL : HF_REDIS_CONF;
    rc = fetch_text(b, b->step == STEP_ACL);
    if (b->text) e->size = b->text_n;
  }
  b->step++;
  return rc == HOLDFAST_OK ? 1 : rc;
}

int hf_redis_entry_open(void *handle, struct holdfast_entry *e) {
  struct backup *b = handle;
  b->reading = e->cookie;
  b->text_at = 0;
  return e->cookie != STEP_RDB && b->refused != HOLDFAST_OK ? holdfast_fail(b->host, b->refused, "%s", b->why) : HOLDFAST_OK;
}

static int cut_short(const struct backup *b) {
  if (b->frame.state == HF_REDIS_FRAME_HEAD)
    return holdfast_fail(b->host, HOLDFAST_E_TRANSIENT, "%s: the server closed the connection before it sent an RDB: its log says why", b->target.label);
  return holdfast_fail(b->host, HOLDFAST_E_TRANSIENT, "%s: an RDB cut short: the server closed the connection after %llu bytes; its log says why",
                       b->target.label, (unsigned long long)b->rdb.total);
}

/* Some bytes of the RDB into buf. */
static int64_t read_rdb(struct backup *b, unsigned char *buf, size_t n) {
  size_t gave = 0;
  while (gave == 0 && b->frame.state != HF_REDIS_FRAME_DONE) {
    if (b->in_at == b->in_n) {
      int64_t got = hf_redis_recv(b->conn, b->in, sizeof b->in);
      if (got < 0) return got;
      if (got == 0) return cut_short(b);
      b->in_at = 0;
      b->in_n = (size_t)got;
    }
    size_t part = b->in_n - b->in_at < n ? b->in_n - b->in_at : n;
    gave = hf_redis_frame_feed(&b->frame, b->in + b->in_at, part, buf);
    b->in_at += part;
    if (b->frame.state == HF_REDIS_FRAME_BAD) {
      char said[100];
      hf_redis_printable(b->frame.line, strlen(b->frame.line), said, sizeof said);
      if (said[0] == '-') return hf_redis_refused(b->conn, "PSYNC", said + 1, strlen(said + 1));
      return holdfast_fail(b->host, HOLDFAST_E_CORRUPT, "%s: no RDB follows: %s", b->target.label, said);
    }
  }
  hf_redis_rdb_feed(&b->rdb, buf, gave);
  if (b->frame.state == HF_REDIS_FRAME_DONE && !b->complete) {
    int rc = hf_redis_rdb_check(b->host, &b->rdb, b->target.label);
    if (rc != HOLDFAST_OK) return rc;
    b->complete = true;
  }
  return (int64_t)gave;
}

int64_t hf_redis_read(void *handle, void *buf, size_t n) {
  struct backup *b = handle;
  if (b->host->cancelled(b->host->ctx)) return holdfast_fail(b->host, HOLDFAST_E_CANCELED, "stopped");
  if (b->reading == STEP_RDB) return read_rdb(b, buf, n);
  size_t left = b->text_n - b->text_at, part = left < n ? left : n;
  memcpy(buf, b->text + b->text_at, part);
  b->text_at += part;
  return (int64_t)part;
}

/* After an RDB the connection is of no more use: the server takes us for a replica. */
int hf_redis_entry_close(void *handle) {
  struct backup *b = handle;
  drop_text(b);
  if (b->reading == STEP_RDB) {
    hf_redis_close(b->conn);
    b->conn = NULL;
  }
  return HOLDFAST_OK;
}

int hf_redis_finish(void *handle, const char **state) {
  struct backup *b = handle;
  if (!b->complete) return holdfast_fail(b->host, HOLDFAST_E_FAILED, "%s: the RDB has not been read to its end", b->target.label);
  b->state = hf_redis_state_write(&b->facts, &b->rdb);
  if (!b->state) return hf_redis_no_memory(b->host);
  *state = b->state;
  return HOLDFAST_OK;
}

/* ---- preflight ---- */

/* Would the server let us? REPLCONF changes nothing but what it thinks of this connection, and ACL DRYRUN (7.0) nothing at all. */
static int may_sync(struct backup *b) {
  struct hf_redis_reply r;
  int rc = HF_REDIS_MUST(b->conn, NULL, "REPLCONF", "capa", "eof");
  const char *user = b->target.username ? b->target.username : "default";
  if (rc == HOLDFAST_OK) rc = HF_REDIS_CALL(b->conn, &r, "ACL", "DRYRUN", user, "PSYNC", "?", "-1");
  if (rc != HOLDFAST_OK) return rc;
  /* What it would refuse comes as a text; an error says that we may not ask. */
  if (r.type == HF_REDIS_BULK && strstr(r.text, "no permissions"))
    rc = holdfast_fail(b->host, HOLDFAST_E_AUTH, "%s: the user %s may not run PSYNC: give it +psync +replconf", b->target.label, user);
  hf_redis_reply_clear(&r);
  return rc;
}

static int probe(struct backup *b) {
  int rc = may_sync(b);
  for (int acl = 0; rc == HOLDFAST_OK && acl < 2; acl++) {
    if (!(acl ? b->want_acl : b->want_config)) continue;
    rc = fetch_text(b, acl);
    if (rc == HOLDFAST_OK && b->refused != HOLDFAST_OK) rc = holdfast_fail(b->host, b->refused, "%s", b->why);
  }
  if (rc != HOLDFAST_OK) return rc;
  if (!b->facts.info) return holdfast_fail(b->host, HOLDFAST_OK, "%s: logged in; INFO is not allowed to us, so keys cannot be counted", b->target.label);
  return holdfast_fail(b->host, HOLDFAST_OK, "%s: redis %s, %s%s, %llu keys in %zu databases", b->target.label, b->facts.version,
                       strcmp(b->facts.role, "slave") == 0 ? "replica" : "master", b->facts.cluster ? " of a cluster" : "",
                       (unsigned long long)b->facts.keys, b->facts.n_counts);
}

int hf_redis_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct backup *b = calloc(1, sizeof *b);
  if (!b) return hf_redis_no_memory(host);
  int rc = start(b, host, values);
  if (rc == HOLDFAST_OK) rc = probe(b);
  hf_redis_done(b);
  return rc;
}
