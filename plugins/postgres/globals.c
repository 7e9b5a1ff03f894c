/* globals.c - roles and tablespaces of a dump into a server: those that are missing, and nothing that is there already.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "logical.h"

#include <stdlib.h>
#include <string.h>

/* Is there such a role (tablespace) that was there before we began? What is made meanwhile is noted in `made`, one name a row. */
struct applying {
  const struct holdfast_host *host;
  PGconn *conn;
  PGresult *roles, *spaces; /* names as they were at the beginning */
  bool rehearsal;
  unsigned made, passed, odd;
};

static bool has(const PGresult *names, const char *name) {
  for (int i = 0; i < PQntuples(names); i++)
    if (strcmp(PQgetvalue(names, i, 0), name) == 0) return true;
  return false;
}

/* Run one statement. Its text is in no message: it may hold a password's digest. */
static int run(struct applying *a, const char *sql, size_t n, enum hf_pg_sql_kind kind, const char *name) {
  static const char *const whats[] = {"a statement", "a setting", "role", "role", "membership of role", "tablespace"};
  char *text = strndup(sql, n), what[HF_PG_NAME_MAX + 60];
  if (!text) return hf_pg_no_memory(a->host);
  PGresult *r = PQexec(a->conn, text);
  explicit_bzero(text, n);
  free(text);
  int rc = 0;
  if (PQresultStatus(r) != PGRES_COMMAND_OK) {
    const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(what, sizeof what, "%s: %s %s", HF_PG_GLOBALS_STREAM, whats[kind], name);
    /* Who granted it is a detail that a server of another version, or with another superuser, may refuse; the objects do without. */
    if (kind == HF_PG_SQL_MEMBER && PQstatus(a->conn) == CONNECTION_OK)
      hf_pg_log(a->host, HOLDFAST_LOG_WARNING, "%s: %.300s", what, primary ? primary : "failed");
    else
      rc = hf_pg_fail(a->host, a->conn, r, what);
  }
  PQclear(r);
  return rc;
}

static int one(struct applying *a, const char *sql, size_t n) {
  char name[HF_PG_NAME_MAX];
  enum hf_pg_sql_kind kind = hf_pg_sql_subject(sql, n, name);
  bool there = kind == HF_PG_SQL_TABLESPACE ? a->rehearsal || has(a->spaces, name) : has(a->roles, name);
  if (kind == HF_PG_SQL_OTHER) {
    a->odd++;
    return 0;
  }
  if (kind != HF_PG_SQL_SET && there) {
    a->passed += kind == HF_PG_SQL_CREATE_ROLE || kind == HF_PG_SQL_TABLESPACE;
    return 0;
  }
  a->made += kind == HF_PG_SQL_CREATE_ROLE;
  return run(a, sql, n, kind, name);
}

int hf_pg_globals_apply(const struct holdfast_host *host, PGconn *conn, const char *script, size_t n, bool rehearsal) {
  struct applying a = {.host = host, .conn = conn, .rehearsal = rehearsal};
  const char *at = script, *end = script + n, *sql;
  size_t sql_n;
  int more = 0;
  int rc = hf_pg_query(host, conn, "cannot list the roles", "SELECT rolname FROM pg_catalog.pg_roles", 0, NULL, &a.roles);
  if (rc == 0) rc = hf_pg_query(host, conn, "cannot list the tablespaces", "SELECT spcname FROM pg_catalog.pg_tablespace", 0, NULL, &a.spaces);
  while (rc == 0 && (more = hf_pg_sql_next(&at, end, &sql, &sql_n)) == 1) rc = one(&a, sql, sql_n);
  if (rc == 0 && more < 0)
    rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s: a statement in it does not end", HF_PG_GLOBALS_STREAM);
  if (rc == 0 && a.odd)
    hf_pg_log(host, HOLDFAST_LOG_WARNING, "%s: %u statements are not about roles or tablespaces and were left out", HF_PG_GLOBALS_STREAM, a.odd);
  if (rc == 0 && !rehearsal)
    hf_pg_log(host, HOLDFAST_LOG_NOTICE, "%u roles made; %u roles and tablespaces were there and are left as they are", a.made, a.passed);
  PQclear(a.roles);
  PQclear(a.spaces);
  return rc;
}
