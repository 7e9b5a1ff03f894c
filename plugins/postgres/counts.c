/* counts.c - how many rows each table of a database has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "logical.h"

#include <stdlib.h>
#include <string.h>

/* What pg_dump dumps the rows of: tables and partitions, not those of extensions, temporary or foreign ones. */
static const char tables_sql[] =
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' "
    "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') "
    "ORDER BY 1, 2";

static int count_one(const struct holdfast_host *host, PGconn *conn, const char *schema, const char *table, json_t *out) {
  char *s = PQescapeIdentifier(conn, schema, strlen(schema)), *t = PQescapeIdentifier(conn, table, strlen(table));
  char *sql = s && t ? hf_pg_format("SELECT count(*) FROM ONLY %s.%s", s, t) : NULL;
  char *key = hf_pg_format("%s.%s", schema, table), what[200];
  PGresult *r = NULL;
  snprintf(what, sizeof what, "cannot count the rows of %.150s", key ? key : "");
  int rc = sql && key ? hf_pg_query(host, conn, what, sql, 0, NULL, &r) : hf_pg_no_memory(host);
  if (rc == 0 && json_object_set_new(out, key, json_integer(strtoll(PQgetvalue(r, 0, 0), NULL, 10))) != 0)
    rc = holdfast_fail(host, HOLDFAST_E_FAILED, "%s: the name is not UTF-8", what);
  PQclear(r);
  PQfreemem(s);
  PQfreemem(t);
  free(sql);
  free(key);
  return rc;
}

int hf_pg_count_rows(const struct holdfast_host *host, PGconn *conn, json_t **out) {
  PGresult *r = NULL;
  json_t *counts = json_object();
  int rc = counts ? hf_pg_query(host, conn, "cannot list the tables", tables_sql, 0, NULL, &r) : hf_pg_no_memory(host);
  for (int i = 0; rc == 0 && i < PQntuples(r); i++) {
    if (host->cancelled(host->ctx)) rc = holdfast_fail(host, HOLDFAST_E_CANCELED, "stopped while counting rows");
    if (rc == 0) rc = count_one(host, conn, PQgetvalue(r, i, 0), PQgetvalue(r, i, 1), counts);
  }
  PQclear(r);
  if (rc < 0)
    json_decref(counts);
  else
    *out = counts;
  return rc;
}
