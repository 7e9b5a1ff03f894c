/* basebackup.c - BASE_BACKUP over a replication connection: the command, its answers, and the framing of the data.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Before PostgreSQL 15 the options are words, each tablespace comes as a COPY of its own that is a bare tar without its end, and the manifest is one more.
 * Since 15 the options are a list in parentheses, and there is one COPY whose messages begin with a letter: 'n' a new archive (its name, its tablespace's
 * path), 'm' the manifest begins, 'd' data, 'p' progress.
 * In both the order is: start position; list of tablespaces; data, the main one last, because the WAL at its end must be complete; manifest; stop position.
 */
#include "basebackup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMED 150000          /* server version of the second kind of framing */
#define TAR_END 1024           /* zeros that end a tar */
#define LOOK_UP 200            /* milliseconds between two looks at host->cancelled */
#define MAX_TABLESPACES 100000 /* the server's list is refused beyond */
#define RATE_MIN (32 << 10)    /* bytes a second */
#define RATE_MAX (1 << 30)
#define MAX_WARNINGS 20        /* that go to the log */

struct hf_pg_basebackup {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  PGconn *conn;
  struct hf_pg_about about;
  struct hf_pg_tablespace *spaces;
  size_t n_spaces; /* without the main one */
  size_t at;       /* archives asked for so far */
  char *message;   /* the last CopyData message, to be freed by PQfreemem */
  int message_n;
  bool pending;    /* that message has not been looked at yet */
  bool active;     /* the server is at work on our command */
  bool copying, in_archive, terminate, over;
  unsigned warnings;
};

enum hf_pg_sum hf_pg_sum_wanted(const struct holdfast_value *values) {
  const char *s = hf_pg_string(values, HF_PG_MANIFEST_CHECKSUMS);
  return s && strcmp(s, "sha256") == 0 ? HF_PG_SUM_SHA256 : HF_PG_SUM_CRC32C;
}

const struct hf_pg_about *hf_pg_basebackup_about(const struct hf_pg_basebackup *b) { return &b->about; }

const struct hf_pg_tablespace *hf_pg_basebackup_tablespaces(const struct hf_pg_basebackup *b, size_t *n) {
  *n = b->n_spaces;
  return b->spaces;
}

/* ---- waiting, so that the run can be stopped meanwhile ---- */

static int wait_readable(struct hf_pg_basebackup *b) {
  struct pollfd p = {.fd = PQsocket(b->conn), .events = POLLIN};
  int flushed = PQflush(b->conn);
  if (flushed > 0) p.events |= POLLOUT;
  for (;;) {
    if (b->host->cancelled(b->host->ctx)) return holdfast_fail(b->host, HOLDFAST_E_CANCELED, "stopped during the base backup");
    int n = p.fd < 0 ? -1 : poll(&p, 1, LOOK_UP);
    if (n > 0 || (n < 0 && errno != EINTR)) break;
  }
  if (!PQconsumeInput(b->conn)) return hf_pg_fail(b->host, b->conn, NULL, "base backup: the connection was lost");
  return 0;
}

/* The next result, NULL at the command's end. */
static int next_result(struct hf_pg_basebackup *b, PGresult **res) {
  while (PQisBusy(b->conn)) {
    int rc = wait_readable(b);
    if (rc < 0) return rc;
  }
  *res = PQgetResult(b->conn);
  return 0;
}


/* The next result must be rows, at least one. */
static int next_rows(struct hf_pg_basebackup *b, const char *what, int columns, PGresult **res) {
  int rc = next_result(b, res);
  if (rc < 0) return rc;
  if (*res && PQresultStatus(*res) == PGRES_TUPLES_OK && PQntuples(*res) > 0 && PQnfields(*res) >= columns) return 0;
  if (*res && PQresultStatus(*res) != PGRES_TUPLES_OK) rc = hf_pg_fail(b->host, b->conn, *res, what);
  else rc = holdfast_fail(b->host, HOLDFAST_E_FAILED, "%s: the server answered with something else", what);
  PQclear(*res);
  *res = NULL;
  return rc;
}

/* Warnings of the server, of damaged pages above all. Called by libpq in the midst of reading. */
static void on_notice(void *ctx, const PGresult *res) {
  struct hf_pg_basebackup *b = ctx;
  const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED), *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
  const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
  bool warning = severity && strcmp(severity, "WARNING") == 0;
  if (!text) return;
  /* Data corrupted, or (as all its other warnings) without a class of its own: then only the words tell. */
  if (warning && ((state && strcmp(state, "XX001") == 0) || strstr(text, "checksum verification failed"))) {
    if (b->about.damaged++ == 0) snprintf(b->about.damage, sizeof b->about.damage, "%s", text);
  }
  if (b->warnings++ < MAX_WARNINGS) hf_pg_log(b->host, warning ? HOLDFAST_LOG_WARNING : HOLDFAST_LOG_INFO, "server: %.400s", text);
}

/* ---- before it begins ---- */

/* One setting of the server; "" when this role may not see it. */
static int show(struct hf_pg_basebackup *b, const char *name, char *out, size_t cap) {
  char sql[64];
  out[0] = '\0';
  snprintf(sql, sizeof sql, "SHOW %s", name);
  PGresult *res = PQexec(b->conn, sql);
  int rc = 0;
  if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1) {
    const char *v = PQgetvalue(res, 0, 0);
    if (strlen(v) < cap) snprintf(out, cap, "%s", v);
  } else if (PQstatus(b->conn) != CONNECTION_OK) {
    rc = hf_pg_fail(b->host, b->conn, res, "asking the server for its settings");
  }
  PQclear(res);
  return rc;
}

/* Replication connections know simple statements only: no parameters. */
static int ask(struct hf_pg_basebackup *b, const char *sql, const char *what, PGresult **out) {
  PGresult *res = PQexec(b->conn, sql);
  int rc = PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1 && PQnfields(res) >= 2 ? 0 : hf_pg_fail(b->host, b->conn, res, what);
  if (rc == 0 && out) *out = res;
  else PQclear(res);
  return rc;
}

static int identify(struct hf_pg_basebackup *b) {
  PGresult *res;
  char text[32];
  int rc = ask(b, "IDENTIFY_SYSTEM", "asking the server who it is", &res);
  if (rc < 0) return rc;
  snprintf(b->about.system, sizeof b->about.system, "%s", PQgetvalue(res, 0, 0));
  b->about.timeline = (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
  PQclear(res);
  b->about.version = PQserverVersion(b->conn);
  if ((rc = show(b, "data_directory", b->about.data_directory, sizeof b->about.data_directory)) < 0) return rc;
  if ((rc = show(b, "data_checksums", text, sizeof text)) < 0) return rc;
  b->about.data_checksums = strcmp(text, "on") == 0;
  return 0;
}

/* The server keeps all WAL from here on until the connection ends. */
static int take_slot(struct hf_pg_basebackup *b) {
  char sql[100];
  snprintf(sql, sizeof sql, "CREATE_REPLICATION_SLOT holdfast_%d TEMPORARY PHYSICAL RESERVE_WAL", PQbackendPID(b->conn));
  return ask(b, sql, "replication slot refused (raise max_replication_slots, or set slot = no)", NULL);
}

int hf_pg_basebackup_open(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_pg_basebackup **out) {
  const struct holdfast_value *rate = &values[HF_PG_MAX_RATE];
  if (rate->count && (rate->number < RATE_MIN || rate->number > RATE_MAX))
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "max-rate = %s: 32K to 1G is what the server takes", rate->strings[0]);
  struct hf_pg_basebackup *b = calloc(1, sizeof *b);
  if (!b) return hf_pg_no_memory(host);
  b->host = host;
  b->values = values;
  int rc = hf_pg_connect(host, values, NULL, HF_PG_REPLICATION, &b->conn);
  if (rc == 0) {
    PQsetNoticeReceiver(b->conn, on_notice, b);
    rc = identify(b);
  }
  if (rc == 0 && hf_pg_bool(values, HF_PG_SLOT)) rc = take_slot(b);
  if (rc < 0) {
    hf_pg_basebackup_close(b);
    return rc;
  }
  *out = b;
  return 0;
}

/* ---- the command ---- */

/* The label as a literal of the replication grammar, at most as long as the server takes it. */
static void quoted_label(const struct hf_pg_basebackup *b, char *out, size_t cap) {
  size_t n = 0;
  out[n++] = '\'';
  for (const char *p = b->about.label; *p && n + 3 < cap; p++) {
    if (*p == '\'') out[n++] = '\'';
    out[n++] = *p;
  }
  out[n++] = '\'';
  out[n] = '\0';
}

static void command(struct hf_pg_basebackup *b, char *sql, size_t cap) {
  char label[300], rate[40] = "";
  const char *sum = hf_pg_sum_wanted(b->values) == HF_PG_SUM_SHA256 ? "SHA256" : "CRC32C";
  bool fast = strcmp(hf_pg_string(b->values, HF_PG_CHECKPOINT), "fast") == 0, framed = b->about.version >= FRAMED;
  snprintf(b->about.label, sizeof b->about.label, "holdfast %.100s", b->host->instance);
  quoted_label(b, label, sizeof label);
  int64_t limit = b->values[HF_PG_MAX_RATE].count ? b->values[HF_PG_MAX_RATE].number / 1024 : 0;
  if (limit) snprintf(rate, sizeof rate, framed ? ", MAX_RATE %lld" : " MAX_RATE %lld", (long long)limit);
  if (framed)
    snprintf(sql, cap, "BASE_BACKUP (LABEL %s, CHECKPOINT '%s', WAL true, WAIT false, TABLESPACE_MAP true, MANIFEST 'yes', MANIFEST_CHECKSUMS '%s'%s)", label,
             fast ? "fast" : "spread", sum, rate);
  else
    snprintf(sql, cap, "BASE_BACKUP LABEL %s%s WAL NOWAIT%s TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS '%s'", label, fast ? " FAST" : "", rate, sum);
}

static bool is_oid(const char *s) { return *s && strlen(s) < 12 && s[strspn(s, "0123456789")] == '\0'; }

/* The rows (oid, location, size); the main tablespace is the one without an oid. */
static int list_spaces(struct hf_pg_basebackup *b, const PGresult *res) {
  int n = PQntuples(res);
  if (n > MAX_TABLESPACES) return holdfast_fail(b->host, HOLDFAST_E_FAILED, "the server has %d tablespaces, which is more than can be handled", n);
  b->spaces = calloc((size_t)n, sizeof *b->spaces);
  if (!b->spaces) return hf_pg_no_memory(b->host);
  for (int i = 0; i < n; i++) {
    if (PQgetisnull(res, i, 0)) {
      if (i != n - 1) return holdfast_fail(b->host, HOLDFAST_E_FAILED, "the server does not send its main tablespace last");
      continue;
    }
    struct hf_pg_tablespace *s = &b->spaces[b->n_spaces];
    if (!is_oid(PQgetvalue(res, i, 0))) return holdfast_fail(b->host, HOLDFAST_E_FAILED, "the server's list of tablespaces cannot be understood");
    snprintf(s->oid, sizeof s->oid, "%s", PQgetvalue(res, i, 0));
    s->location = strdup(PQgetvalue(res, i, 1));
    if (!s->location) return hf_pg_no_memory(b->host);
    b->n_spaces++;
  }
  return 0;
}

int hf_pg_basebackup_start(struct hf_pg_basebackup *b) {
  char sql[700];
  PGresult *res = NULL;
  command(b, sql, sizeof sql);
  if (!PQsendQuery(b->conn, sql)) return hf_pg_fail(b->host, b->conn, NULL, "base backup");
  b->active = true;
  int rc = next_rows(b, "base backup refused", 2, &res);
  if (rc < 0) return rc;
  snprintf(b->about.start, sizeof b->about.start, "%s", PQgetvalue(res, 0, 0));
  b->about.timeline = (uint32_t)strtoul(PQgetvalue(res, 0, 1), NULL, 10);
  PQclear(res);
  if ((rc = next_rows(b, "base backup: list of tablespaces", 2, &res)) < 0) return rc;
  rc = list_spaces(b, res);
  PQclear(res);
  return rc;
}

/* ---- the data ---- */

static int begin_copy(struct hf_pg_basebackup *b) {
  PGresult *res = NULL;
  int rc = next_result(b, &res);
  if (rc < 0) return rc;
  if (PQresultStatus(res) != PGRES_COPY_OUT) {
    rc = res && PQresultStatus(res) == PGRES_FATAL_ERROR ? hf_pg_fail(b->host, b->conn, res, "base backup")
                                                          : holdfast_fail(b->host, HOLDFAST_E_FAILED, "base backup: the server sent no data");
  }
  PQclear(res);
  b->copying = rc == 0;
  return rc;
}

/* The next message of the COPY into b->message: 1, or 0 at its end. A message that is still pending stays it. */
static int next_message(struct hf_pg_basebackup *b) {
  if (b->pending) return 1;
  PQfreemem(b->message);
  b->message = NULL;
  for (;;) {
    int n = PQgetCopyData(b->conn, &b->message, 1);
    if (n > 0) {
      b->message_n = n;
      b->pending = true;
      return 1;
    }
    if (n == -1) {
      b->copying = false;
      return 0;
    }
    if (n < -1) return hf_pg_fail(b->host, b->conn, NULL, "base backup: the connection was lost");
    int rc = wait_readable(b);
    if (rc < 0) return rc;
  }
}

static int strange(struct hf_pg_basebackup *b) {
  return holdfast_fail(b->host, HOLDFAST_E_CORRUPT, "base backup: the server sent a message that cannot be understood");
}

static void archive_manifest(struct hf_pg_archive *a) {
  a->kind = HF_PG_ARCHIVE_MANIFEST;
  snprintf(a->stream, sizeof a->stream, "backup_manifest");
}

/* "base.tar" or "OID.tar" */
static bool archive_tar(struct hf_pg_archive *a, const char *name) {
  size_t n = strlen(name);
  a->kind = HF_PG_ARCHIVE_TAR;
  if (n < 5 || n >= sizeof a->oid + 4 || strcmp(name + n - 4, ".tar") != 0) return false;
  snprintf(a->stream, sizeof a->stream, "%s", name);
  if (strcmp(name, "base.tar") == 0) return true;
  memcpy(a->oid, name, n - 4);
  return is_oid(a->oid);
}

static int next_framed(struct hf_pg_basebackup *b, struct hf_pg_archive *a) {
  int rc;
  if (b->at++ == 0 && (rc = begin_copy(b)) < 0) return rc;
  if (!b->copying) return 0;
  while ((rc = next_message(b)) == 1) {
    char kind = b->message[0];
    b->pending = false;
    if (kind == 'p') continue;
    if (kind == 'm') {
      archive_manifest(a);
      return 1;
    }
    /* libpq ends every message with a NUL of its own. */
    if (kind != 'n' || !archive_tar(a, b->message + 1)) return strange(b);
    return 1;
  }
  return rc;
}

static int next_bare(struct hf_pg_basebackup *b, struct hf_pg_archive *a) {
  char name[24];
  if (b->at > b->n_spaces + 1) return 0;
  int rc = begin_copy(b);
  if (rc < 0) return rc;
  if (b->at > b->n_spaces) {
    archive_manifest(a);
  } else {
    if (b->at < b->n_spaces) snprintf(name, sizeof name, "%s.tar", b->spaces[b->at].oid);
    else snprintf(name, sizeof name, "base.tar");
    if (!archive_tar(a, name)) return strange(b);
  }
  b->at++;
  return 1;
}

int hf_pg_basebackup_next(struct hf_pg_basebackup *b, struct hf_pg_archive *a) {
  *a = (struct hf_pg_archive){.stream = ""};
  if (b->over) return 0;
  int rc = b->about.version >= FRAMED ? next_framed(b, a) : next_bare(b, a);
  b->in_archive = rc == 1;
  b->terminate = rc == 1 && a->kind == HF_PG_ARCHIVE_TAR && b->about.version < FRAMED;
  if (rc == 0) b->over = true;
  return rc;
}

int64_t hf_pg_basebackup_read(struct hf_pg_basebackup *b, const void **piece) {
  static const char zeros[TAR_END];
  int rc = 0;
  while (b->in_archive && (rc = b->copying ? next_message(b) : 0) == 1) {
    int framing = b->about.version >= FRAMED ? 1 : 0;
    if (framing && (b->message[0] == 'n' || b->message[0] == 'm')) break; /* stays pending, for next */
    b->pending = false;
    if (framing && b->message[0] == 'p') continue;
    if (framing && b->message[0] != 'd') return strange(b);
    if (b->message_n == framing) continue;
    *piece = b->message + framing;
    return b->message_n - framing;
  }
  if (rc < 0) return rc;
  b->in_archive = false;
  if (!b->terminate) return 0;
  b->terminate = false;
  *piece = zeros;
  return TAR_END;
}

int hf_pg_basebackup_end(struct hf_pg_basebackup *b) {
  PGresult *res = NULL;
  int rc = next_rows(b, "base backup", 1, &res);
  if (rc < 0) return rc;
  snprintf(b->about.stop, sizeof b->about.stop, "%s", PQgetvalue(res, 0, 0));
  PQclear(res);
  while ((rc = next_result(b, &res)) == 0 && res) {
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    /* The server fails a backup in which it found damaged pages, after all of it has been sent: what was sent is what it has. */
    bool damaged = state && strcmp(state, "XX001") == 0;
    if (PQresultStatus(res) == PGRES_FATAL_ERROR && !damaged) rc = hf_pg_fail(b->host, b->conn, res, "base backup");
    else if (damaged && b->about.damaged == 0) {
      b->about.damaged = 1;
      snprintf(b->about.damage, sizeof b->about.damage, "%s", PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY));
    }
    PQclear(res);
    if (rc < 0) return rc;
  }
  b->active = false;
  return rc;
}

void hf_pg_basebackup_close(struct hf_pg_basebackup *b) {
  if (!b) return;
  PQfreemem(b->message);
  if (b->conn && b->active && PQstatus(b->conn) == CONNECTION_OK) {
    /* A closed socket alone is noticed by the server only when it sends something next, which may be after a long checkpoint. */
    char why[256];
    PGcancel *cancel = PQgetCancel(b->conn);
    if (cancel) PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
  }
  PQfinish(b->conn);
  for (size_t i = 0; i < b->n_spaces; i++) free(b->spaces[i].location);
  free(b->spaces);
  free(b);
}
