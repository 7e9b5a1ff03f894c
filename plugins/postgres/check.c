/* check.c - is what a running cluster holds good? amcheck, row counts, the administrator's assertions.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is done in a database is done in a transaction that is rolled back: the extension amcheck is there only meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "logical.h"

static uint64_t number(const PGresult *r, int row, int column) { return strtoull(PQgetvalue(r, row, column), NULL, 10); }

/* The schema amcheck is in, quoted; *schema stays NULL where the server does not have it. */
static int get_amcheck(const struct holdfast_host *host, PGconn *conn, char **schema) {
  PGresult *r = NULL;
  int rc = hf_pg_query(host, conn, "cannot look for amcheck",
        "SELECT (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
                       "WHERE e.extname = 'amcheck'), EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')", 0, NULL, &r);
  bool there = rc == 0 && !PQgetisnull(r, 0, 0), available = rc == 0 && *PQgetvalue(r, 0, 1) == 't';
  if (there) *schema = strdup(PQgetvalue(r, 0, 0));
  if (rc == 0 && !there && available) {
    rc = hf_pg_query(host, conn, "cannot make a schema for amcheck", "CREATE SCHEMA holdfast_amcheck", 0, NULL, NULL);
    if (rc == 0) rc = hf_pg_query(host, conn, "cannot install amcheck", "CREATE EXTENSION amcheck SCHEMA holdfast_amcheck", 0, NULL, NULL);
    *schema = rc == 0 ? strdup("holdfast_amcheck") : NULL;
  }
  if (rc == 0 && (there || available) && !*schema) rc = hf_pg_no_memory(host);
  PQclear(r);
  return rc;
}

/* A statement that checks: what it fails on is damage. */
static int checking(const struct holdfast_host *host, PGconn *conn, const char *db, const char *sql, PGresult **out) {
  char what[160];
  snprintf(what, sizeof what, "database %.120s is damaged", db);
  int rc = hf_pg_query(host, conn, what, sql, 0, NULL, out);
  return rc < 0 && rc != HOLDFAST_E_TRANSIENT ? HOLDFAST_E_CORRUPT : rc;
}

static int check_indexes(const struct holdfast_host *host, PGconn *conn, const char *db, const char *schema, struct hf_pg_checked *out) {
  char *sql = hf_pg_format("SELECT count(*) FROM (SELECT %s.bt_index_check(c.oid::regclass) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
                           "JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisready AND i.indisvalid "
                           "AND c.relpersistence = 'p' OFFSET 0) x", schema);
  PGresult *r = NULL;
  int rc = sql ? checking(host, conn, db, sql, &r) : hf_pg_no_memory(host);
  if (rc == 0) out->indexes += number(r, 0, 0);
  PQclear(r);
  free(sql);
  return rc;
}

static int check_heaps(const struct holdfast_host *host, PGconn *conn, const char *db, const char *schema, struct hf_pg_checked *out) {
  static const char from[] = "FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'heap' "
                             "AND c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p'";
  char *sql = hf_pg_format("SELECT x.oid::regclass, v.blkno, v.msg FROM (SELECT c.oid %s OFFSET 0) x, LATERAL %s.verify_heapam(x.oid::regclass) v LIMIT 1",
        from, schema);
  char *count = hf_pg_format("SELECT count(*) %s", from);
  PGresult *r = NULL, *n = NULL;
  int rc = sql && count ? checking(host, conn, db, sql, &r) : hf_pg_no_memory(host);
  if (rc == 0 && PQntuples(r) > 0)
    rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "database %s is damaged: table %s, block %s: %s", db, PQgetvalue(r, 0, 0),
                       PQgetvalue(r, 0, 1), PQgetvalue(r, 0, 2));
  if (rc == 0) rc = hf_pg_query(host, conn, "cannot count the tables", count, 0, NULL, &n);
  if (rc == 0) out->heaps += number(n, 0, 0);
  PQclear(r);
  PQclear(n);
  free(sql);
  free(count);
  return rc;
}

/* Every table that was counted at the backup is there and has as many rows. Tables that are there besides are no error: they may have been left out then. */
static int compare(const struct holdfast_host *host, const char *db, const json_t *then, const json_t *now) {
  const char *table;
  json_t *n;
  json_object_foreach((json_t *)then, table, n) {
    const json_t *have = json_object_get(now, table);
    if (!have) return holdfast_fail(host, HOLDFAST_E_CORRUPT, "database %s: the table %s is not there; it had %lld rows at the backup", db, table,
          json_integer_value(n));
    if (json_integer_value(have) != json_integer_value(n))
      return holdfast_fail(host, HOLDFAST_E_CORRUPT, "database %s: the table %s has %lld rows; it had %lld at the backup", db, table,
            json_integer_value(have), json_integer_value(n));
  }
  return 0;
}

static int check_rows(const struct holdfast_host *host, PGconn *conn, const char *db, const json_t *counts, struct hf_pg_checked *out) {
  json_t *now = NULL, *n;
  const char *table;
  int rc = hf_pg_count_rows(host, conn, &now);
  if (rc < 0) return rc;
  json_object_foreach(now, table, n) {
    out->tables++;
    out->rows += (uint64_t)json_integer_value(n);
  }
  const json_t *then = json_object_get(counts, db);
  if (then) rc = compare(host, db, then, now);
  json_decref(now);
  return rc;
}

static int check_database(const struct holdfast_host *host, struct hf_pg_server *server, const char *db, const json_t *counts, struct hf_pg_checked *out) {
  PGconn *conn = NULL;
  char *schema = NULL;
  int rc = hf_pg_server_connect(server, db, &conn);
  if (rc < 0) return rc;
  rc = hf_pg_query(host, conn, "cannot begin", "BEGIN", 0, NULL, NULL);
  if (rc == 0) rc = hf_pg_query(host, conn, "cannot set the search path", "SET search_path = pg_catalog", 0, NULL, NULL);
  if (rc == 0) rc = get_amcheck(host, conn, &schema);
  if (rc == 0 && schema) {
    out->amcheck = true;
    rc = check_indexes(host, conn, db, schema, out);
    if (rc == 0 && PQserverVersion(conn) >= 140000) rc = check_heaps(host, conn, db, schema, out);
  }
  if (rc == 0) rc = check_rows(host, conn, db, counts, out);
  out->databases += rc == 0;
  free(schema);
  PQfinish(conn);
  return rc;
}

/* "DATABASE: QUERY": at least one row, and the first column of each is true. */
static int assertion(const struct holdfast_host *host, struct hf_pg_server *server, const char *text) {
  const char *colon = strchr(text, ':');
  char *db = colon ? strndup(text, (size_t)(colon - text)) : NULL;
  PGconn *conn = NULL;
  PGresult *r = NULL;
  if (!db) return holdfast_fail(host, HOLDFAST_E_CONFIG, "assert = %.200s: not of the form DATABASE: QUERY", text);
  for (size_t n = strlen(db); n > 0 && (db[n - 1] == ' ' || db[n - 1] == '\t');) db[--n] = '\0';
  int rc = hf_pg_server_connect(server, db, &conn);
  if (rc == 0) rc = hf_pg_query(host, conn, "cannot begin", "BEGIN READ ONLY", 0, NULL, NULL);
  if (rc == 0) {
    char what[300];
    snprintf(what, sizeof what, "assert = %.250s", text);
    rc = hf_pg_query(host, conn, what, colon + 1, 0, NULL, &r);
  }
  if (rc == 0 && (PQntuples(r) == 0 || PQnfields(r) == 0))
    rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "assert = %.300s: it gave no row", text);
  for (int i = 0; rc == 0 && i < PQntuples(r); i++)
    if (strcmp(PQgetvalue(r, i, 0), "t") != 0)
      rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "assert = %.300s: it gave %.100s, and t (true) is right", text,
                         PQgetisnull(r, i, 0) ? "NULL" : PQgetvalue(r, i, 0));
  PQclear(r);
  PQfinish(conn);
  free(db);
  return rc;
}

int hf_pg_check(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_pg_server *server, const char *counts,
                struct hf_pg_checked *out) {
  PGconn *conn = NULL;
  PGresult *r = NULL;
  json_error_t err;
  json_t *then = counts ? json_loads(counts, 0, &err) : NULL;
  *out = (struct hf_pg_checked){0};
  if (counts && !json_is_object(then)) {
    json_decref(then);
    return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s is not what was written at the backup (%s)", HF_PG_COUNTS_STREAM, then ? "no object" : err.text);
  }
  int rc = hf_pg_server_connect(server, "template1", &conn);
  if (rc == 0) rc = hf_pg_query(host, conn, "cannot list the databases", "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1", 0, NULL, &r);
  PQfinish(conn);
  for (int i = 0; rc == 0 && i < PQntuples(r); i++) rc = check_database(host, server, PQgetvalue(r, i, 0), then, out);
  const char *db;
  json_t *ignored;
  json_object_foreach(then, db, ignored) {
    bool found = false;
    for (int i = 0; rc == 0 && i < PQntuples(r); i++) found |= strcmp(PQgetvalue(r, i, 0), db) == 0;
    if (rc == 0 && !found) rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "the database %s is not there", db);
  }
  PQclear(r);
  json_decref(then);
  for (uint32_t i = 0; rc == 0 && i < values[HF_PG_ASSERT].count; i++) {
    rc = assertion(host, server, values[HF_PG_ASSERT].strings[i]);
    out->assertions += rc == 0;
  }
  return rc;
}

void hf_pg_checked_tell(const struct holdfast_host *host, const struct hf_pg_checked *c, const char *what) {
  char amcheck[100];
  snprintf(amcheck, sizeof amcheck, "%llu indexes and %llu heaps by amcheck", (unsigned long long)c->indexes, (unsigned long long)c->heaps);
  holdfast_fail(host, HOLDFAST_OK, "%s: %llu databases, %llu tables with %llu rows, %s, %llu assertions hold", what, (unsigned long long)c->databases,
                (unsigned long long)c->tables, (unsigned long long)c->rows, c->amcheck ? amcheck : "amcheck is not installed",
                      (unsigned long long)c->assertions);
}
