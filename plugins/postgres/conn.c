/* conn.c - sessions with the server: made from the settings, their errors classified.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A connection is made step by step, because only so libpq can be told beforehand to show the SQLSTATE of what the server refuses:
 * its texts are in the server's language.
 */
#include "postgres.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CONNECT_SECONDS = 30, OLDEST = 130000, MAX_PARAMS = 64 };

struct params {
  const char *keys[MAX_PARAMS + 1];
  const char *values[MAX_PARAMS + 1];
  char *owned[MAX_PARAMS];
  size_t n, n_owned;
  int seconds; /* connect_timeout */
};

static void params_free(struct params *p) {
  for (size_t i = 0; i < p->n_owned; i++) free(p->owned[i]);
}

static void add(struct params *p, const char *key, const char *value) {
  if (!value || !*value || p->n == MAX_PARAMS) return;
  p->keys[p->n] = key;
  p->values[p->n++] = value;
}

/* Is `key` a keyword of libpq that may stand in `connection`? Keywords are ASCII. */
static int check_keyword(const struct holdfast_host *host, const char *key) {
  static const char *const ours[][2] = {{"host", "host"}, {"port", "port"}, {"user", "username"}, {"passfile", "passfile"},
                                        {"service", "service"}, {"dbname", "maintenance-database"}, {"replication", "mode"}};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strcmp(key, ours[i][0]) == 0)
      return holdfast_fail(host, HOLDFAST_E_CONFIG, "connection = %s=...: there is a setting for that: %s", key, ours[i][1]);
  PQconninfoOption *all = PQconndefaults();
  if (!all) return hf_pg_no_memory(host);
  int rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "connection = %s=...: libpq has no such keyword", key);
  for (PQconninfoOption *o = all; o->keyword; o++) {
    if (strcmp(o->keyword, key) != 0) continue;
    rc = 0;
    if (*o->dispchar == '*')
      rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "connection = %s=...: a secret does not belong here: use password", key);
  }
  PQconninfoFree(all);
  return rc;
}

static int add_connection(const struct holdfast_host *host, const char *text, struct params *p) {
  const char *eq = strchr(text, '=');
  char *key = eq ? strndup(text, (size_t)(eq - text)) : NULL;
  if (!eq || eq == text) {
    free(key);
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "connection = %.100s: not of the form keyword=value", text);
  }
  if (!key) return hf_pg_no_memory(host);
  if (p->n_owned == MAX_PARAMS) {
    free(key);
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "connection: too many keywords");
  }
  p->owned[p->n_owned++] = key;
  int rc = check_keyword(host, key);
  if (rc < 0) return rc;
  if (strcmp(key, "connect_timeout") == 0 && atoi(eq + 1) > 0) p->seconds = atoi(eq + 1);
  add(p, key, eq + 1);
  return 0;
}

/* libpq ignores such a file and says so on standard error only. */
static int check_passfile(const struct holdfast_host *host, const char *path) {
  struct stat st;
  if (!path) return 0;
  if (stat(path, &st) != 0) return holdfast_fail(host, hf_pg_status(errno), "passfile = %s: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode) || st.st_mode & 077)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "passfile = %s: it has to be a file closed to group and others: chmod 600", path);
  return 0;
}

/* All but the database and the password. */
static int collect(const struct holdfast_host *host, const struct holdfast_value *values, struct params *p) {
  *p = (struct params){.seconds = CONNECT_SECONDS};
  int rc = check_passfile(host, hf_pg_string(values, HF_PG_PASSFILE));
  if (rc < 0) return rc;
  add(p, "service", hf_pg_string(values, HF_PG_SERVICE));
  add(p, "host", hf_pg_string(values, HF_PG_HOST));
  add(p, "port", hf_pg_string(values, HF_PG_PORT));
  add(p, "user", hf_pg_string(values, HF_PG_USERNAME));
  add(p, "passfile", hf_pg_string(values, HF_PG_PASSFILE));
  add(p, "fallback_application_name", "holdfast");
  const struct holdfast_value *more = &values[HF_PG_CONNECTION];
  for (uint32_t i = 0; rc == 0 && i < more->count; i++) rc = add_connection(host, more->strings[i], p);
  return rc;
}

/* ---- for the programs of PostgreSQL ---- */

int hf_pg_conninfo(const struct holdfast_host *host, const struct holdfast_value *values, const char *dbname, char **out) {
  struct params p;
  int rc = collect(host, values, &p);
  size_t room = 1;
  if (rc == 0) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", p.seconds);
    add(&p, "connect_timeout", seconds);
    add(&p, "dbname", dbname ? dbname : hf_pg_string(values, HF_PG_MAINTENANCE_DATABASE));
    for (size_t i = 0; i < p.n; i++) room += strlen(p.keys[i]) + 2 * strlen(p.values[i]) + 5;
    char *s = *out = malloc(room);
    if (!s) rc = hf_pg_no_memory(host);
    for (size_t i = 0; s && i < p.n; i++) {
      s += sprintf(s, "%s%s='", i ? " " : "", p.keys[i]);
      for (const char *v = p.values[i]; *v; v++) {
        if (*v == '\'' || *v == '\\') *s++ = '\\';
        *s++ = *v;
      }
      *s++ = '\'';
      *s = '\0';
    }
  }
  params_free(&p);
  return rc;
}

/* ---- errors ---- */

static int by_sqlstate(const char *s) {
  static const struct {
    const char *prefix;
    int status;
  } known[] = {
    {"28", HOLDFAST_E_AUTH},      {"42501", HOLDFAST_E_AUTH},      {"3D000", HOLDFAST_E_NOT_FOUND}, {"53100", HOLDFAST_E_NO_SPACE},
    {"53", HOLDFAST_E_TRANSIENT}, {"08", HOLDFAST_E_TRANSIENT},    {"57014", HOLDFAST_E_TIMEOUT},   {"57P04", HOLDFAST_E_NOT_FOUND},
    {"57P", HOLDFAST_E_TRANSIENT}, {"55P03", HOLDFAST_E_TRANSIENT}, {"40", HOLDFAST_E_TRANSIENT},    {"XX001", HOLDFAST_E_CORRUPT},
    {"XX002", HOLDFAST_E_CORRUPT}, {"0A", HOLDFAST_E_UNSUPPORTED},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strncmp(s, known[i].prefix, strlen(known[i].prefix)) == 0) return known[i].status;
  return HOLDFAST_E_FAILED;
}

int hf_pg_classify(PGconn *conn, const PGresult *res) {
  const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
  if (state) return by_sqlstate(state);
  return PQstatus(conn) == CONNECTION_BAD ? HOLDFAST_E_TRANSIENT : HOLDFAST_E_FAILED;
}

int hf_pg_fail(const struct holdfast_host *host, PGconn *conn, const PGresult *res, const char *what) {
  const char *primary = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
  const char *detail = primary ? PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL) : NULL;
  const char *words = primary ? primary : res && *PQresultErrorMessage(res) ? PQresultErrorMessage(res) : PQerrorMessage(conn);
  char *text = hf_pg_format("%s: %s%s%s%s", what, *words ? words : "the connection was lost", detail ? " (" : "", detail ? detail : "",
                            detail ? ")" : "");
  if (!text) return hf_pg_no_memory(host);
  hf_pg_tidy(text);
  int rc = holdfast_fail(host, hf_pg_classify(conn, res), "%.900s", text);
  free(text);
  return rc;
}

/* What connecting failed on. libpq's text is, of each attempt: `connection to server at "h" (1.2.3.4), port 5432 failed: FATAL:  28P01: the
 * server's words` and a line with the place in the server's source. One attempt is enough to tell. */
int hf_pg_connect_words(const char *said, bool needs_password, char *out, size_t cap) {
  int status = HOLDFAST_E_TRANSIENT;
  snprintf(out, cap, "%s", *said ? said : "no answer");
  for (char *p = out; (p = strstr(p, ":  ")); p++) {
    size_t n = strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (n != 5 || p[8] != ':' || p[9] != ' ') continue;
    char state[6];
    memcpy(state, p + 3, 5);
    state[5] = '\0';
    status = by_sqlstate(state);
    memmove(p + 2, p + 10, strlen(p + 10) + 1);
    char *end = strchr(p, '\n');
    if (end) *end = '\0';
    hf_pg_tidy(out);
    return status;
  }
  hf_pg_tidy(out);
  return needs_password ? HOLDFAST_E_AUTH : status;
}

static int connect_failed(const struct holdfast_host *host, PGconn *conn) {
  char text[900];
  bool wants = PQconnectionNeedsPassword(conn) != 0;
  int status = hf_pg_connect_words(PQerrorMessage(conn), wants, text, sizeof text);
  return holdfast_fail(host, status, "%s%s", text, wants ? " (password, passfile or service gives one)" : "");
}

/* ---- connecting ---- */

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int finish_connecting(const struct holdfast_host *host, PGconn *conn, int seconds) {
  int64_t end = now_ms() + (int64_t)seconds * 1000;
  PostgresPollingStatusType want = PGRES_POLLING_WRITING;
  if (PQstatus(conn) == CONNECTION_BAD) return connect_failed(host, conn);
  PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
  while (want != PGRES_POLLING_OK) {
    if (want == PGRES_POLLING_FAILED) return connect_failed(host, conn);
    if (host->cancelled(host->ctx)) return holdfast_fail(host, HOLDFAST_E_CANCELED, "stopped while connecting to PostgreSQL");
    struct pollfd f = {.fd = PQsocket(conn), .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
    int n = poll(&f, 1, 200);
    if (n < 0 && errno != EINTR) return holdfast_fail(host, HOLDFAST_E_FAILED, "waiting for PostgreSQL: %s", strerror(errno));
    if (n > 0)
      want = PQconnectPoll(conn);
    else if (now_ms() > end)
      return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "PostgreSQL on %s did not answer within %d s", PQhost(conn), seconds);
  }
  PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
  return 0;
}

static void notice(void *ctx, const char *message) {
  const struct holdfast_host *host = ctx;
  char text[900];
  snprintf(text, sizeof text, "%s", message);
  hf_pg_tidy(text);
  hf_pg_log(host, HOLDFAST_LOG_DEBUG, "PostgreSQL: %s", text);
}

/* No limit that an administrator set for applications ends a backup, and no schema shadows the catalog. */
static int settle(const struct holdfast_host *host, PGconn *conn) {
  static const char sql[] = "SET search_path = pg_catalog; SET statement_timeout = 0; SET lock_timeout = 0; "
                            "SET idle_in_transaction_session_timeout = 0; SET default_transaction_read_only = off; SET row_security = off";
  int rc = 0;
  PGresult *r = PQexec(conn, sql);
  if (PQresultStatus(r) != PGRES_COMMAND_OK) rc = hf_pg_fail(host, conn, r, "cannot set up the session");
  PQclear(r);
  if (rc == 0 && PQserverVersion(conn) >= 140000) rc = hf_pg_query(host, conn, "cannot set up the session", "SET idle_session_timeout = 0", 0, NULL, NULL);
  if (rc == 0 && PQserverVersion(conn) >= 170000) rc = hf_pg_query(host, conn, "cannot set up the session", "SET transaction_timeout = 0", 0, NULL, NULL);
  return rc;
}

int hf_pg_connect_params(const struct holdfast_host *host, const char *const *keys, const char *const *vals, int seconds, PGconn **out) {
  PGconn *conn = PQconnectStartParams(keys, vals, 0);
  if (!conn) return hf_pg_no_memory(host);
  PQsetNoticeProcessor(conn, notice, (void *)host);
  int rc = finish_connecting(host, conn, seconds);
  int v = rc == 0 ? PQserverVersion(conn) : 0;
  if (rc == 0 && v < OLDEST)
    rc = holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "the server is PostgreSQL %d: 13 or later is needed", v / 10000);
  if (rc < 0)
    PQfinish(conn);
  else
    *out = conn;
  return rc;
}

int hf_pg_connect(const struct holdfast_host *host, const struct holdfast_value *values, const char *dbname, enum hf_pg_kind kind,
                  PGconn **out) {
  struct params p;
  PGconn *conn = NULL;
  int rc = collect(host, values, &p);
  if (rc == 0) {
    add(&p, "password", hf_pg_string(values, HF_PG_PASSWORD));
    if (kind == HF_PG_REPLICATION) {
      add(&p, "replication", "true");
      add(&p, "dbname", "replication"); /* what a line of a passfile has to say */
    } else {
      add(&p, "dbname", dbname ? dbname : hf_pg_string(values, HF_PG_MAINTENANCE_DATABASE));
      add(&p, "client_encoding", "UTF8");
    }
    rc = hf_pg_connect_params(host, p.keys, p.values, p.seconds, &conn);
  }
  params_free(&p);
  if (rc == 0 && kind == HF_PG_SQL) rc = settle(host, conn);
  if (rc < 0)
    PQfinish(conn);
  else
    *out = conn;
  return rc;
}

/* ---- statements ---- */

int hf_pg_query(const struct holdfast_host *host, PGconn *conn, const char *what, const char *sql, int n, const char *const *params,
                PGresult **out) {
  PGresult *r = PQexecParams(conn, sql, n, NULL, params, NULL, NULL, 0);
  ExecStatusType st = PQresultStatus(r);
  if (st != PGRES_TUPLES_OK && st != PGRES_COMMAND_OK) {
    int rc = hf_pg_fail(host, conn, r, what);
    PQclear(r);
    return rc;
  }
  if (out)
    *out = r;
  else
    PQclear(r);
  return 0;
}

int hf_pg_command(const struct holdfast_host *host, PGconn *conn, const char *what, const char *form, int n, const char *const *params) {
  static const char *const sql[] = {"SELECT format($1::text)", "SELECT format($1::text, $2::text)", "SELECT format($1::text, $2::text, $3::text)",
                                    "SELECT format($1::text, $2::text, $3::text, $4::text)"};
  const char *all[4] = {form};
  PGresult *r = NULL;
  if (n < 0 || n > 3) return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: too many parameters", what);
  for (int i = 0; i < n; i++) all[i + 1] = params[i];
  int rc = hf_pg_query(host, conn, what, sql[n], n + 1, all, &r);
  if (rc == 0) rc = hf_pg_query(host, conn, what, PQgetvalue(r, 0, 0), 0, NULL, NULL);
  PQclear(r);
  return rc;
}
