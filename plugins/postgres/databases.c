/* databases.c - which databases there are, what they are like, and how to make one like that again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "logical.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* ---- which ---- */

/* The server itself describes them. The column of the locale's name moved in 15, 16 and 17. */
static char *list_sql(int version) {
  const char *locale = version >= 170000 ? "datlocale" : version >= 150000 ? "daticulocale" : "NULL";
  const char *provider = version >= 150000 ? "datlocprovider::text" : "'c'";
  const char *rules = version >= 160000 ? "daticurules" : "NULL";
  return hf_pg_format(
      "SELECT d.oid, d.datname, d.datallowconn, d.datistemplate, json_strip_nulls(json_build_object("
      "'name', d.datname, 'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype, "
      "'provider', nullif(%s, 'c'), 'locale', %s, 'rules', %s, 'owner', pg_get_userbyid(d.datdba), "
      "'tablespace', nullif(t.spcname, 'pg_default'), 'limit', nullif(d.datconnlimit, -1), 'comment', shobj_description(d.oid, 'pg_database'), "
      "'settings', (SELECT json_agg(json_build_array(r.rolname, c)) FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) c "
      "WHERE s.setdatabase = d.oid), "
      "'acl', CASE WHEN d.datacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_array(r.rolname, a.privilege_type, a.is_grantable)), '[]') "
      "FROM aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee) END)) "
      "FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace ORDER BY d.datname",
      provider, locale, rules);
}

static bool is_pattern(const char *s) { return strpbrk(s, "*?[") != NULL; }

static bool matches(const struct holdfast_value *list, const char *name) {
  for (uint32_t i = 0; i < list->count; i++)
    if (strcmp(list->strings[i], name) == 0 || (is_pattern(list->strings[i]) && fnmatch(list->strings[i], name, 0) == 0)) return true;
  return false;
}

/* Every `database` has to be there: a mistyped name must not look like an empty backup. */
static int check_named(const struct holdfast_host *host, const struct holdfast_value *values, const PGresult *r) {
  const struct holdfast_value *named = &values[HF_PG_DATABASE];
  for (uint32_t k = 0; k < named->count; k++) {
    const char *name = named->strings[k];
    bool found = false;
    for (int i = 0; i < PQntuples(r) && !found; i++) {
      const char *have = PQgetvalue(r, i, 1);
      found = strcmp(name, have) == 0 || (is_pattern(name) && fnmatch(name, have, 0) == 0);
      if (found && !is_pattern(name) && *PQgetvalue(r, i, 2) != 't')
        return holdfast_fail(host, HOLDFAST_E_CONFIG, "database = %s: it takes no connections (datallowconn)", name);
    }
    if (found) continue;
    if (!hf_pg_bool(values, HF_PG_IGNORE_MISSING))
      return holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "database = %s: the server has no such database (ignore-missing = yes passes over it)", name);
    hf_pg_log(host, HOLDFAST_LOG_NOTICE, "database = %s: the server has no such database: passed over", name);
  }
  return 0;
}

static bool chosen(const struct holdfast_value *values, const char *name, bool connects, bool template) {
  if (!connects || matches(&values[HF_PG_EXCLUDE_DATABASE], name)) return false;
  return values[HF_PG_DATABASE].count ? matches(&values[HF_PG_DATABASE], name) : !template;
}

char *hf_pg_stream_name(const char *database, const char *oid) {
  bool plain = *database && *database != '-';
  char slug[64];
  size_t n = 0;
  for (const char *p = database; *p; p++) {
    bool good = isalnum((unsigned char)*p) || *p == '_' || *p == '-';
    plain = plain && good && p - database < 200;
    bool first = p == database;
    if (n < sizeof slug - 1) slug[n++] = good && !(first && *p == '-') ? *p : '_';
  }
  slug[n] = '\0';
  return plain ? hf_pg_format("%s%s", database, HF_PG_DUMP_SUFFIX) : hf_pg_format("%s.%s%s", slug, oid, HF_PG_DUMP_SUFFIX);
}

static int describe(const struct holdfast_host *host, const PGresult *r, int row, json_t *out) {
  json_error_t err;
  json_t *d = json_loads(PQgetvalue(r, row, 4), 0, &err);
  char *stream = hf_pg_stream_name(PQgetvalue(r, row, 1), PQgetvalue(r, row, 0));
  int rc = 0;
  if (!d)
    rc = holdfast_fail(host, HOLDFAST_E_FAILED, "database %s: the server describes it in a way that is not understood (%s)",
                       PQgetvalue(r, row, 1), err.text);
  else if (!stream || json_object_set_new(d, "stream", json_string(stream)) != 0 || json_array_append(out, d) != 0)
    rc = hf_pg_no_memory(host);
  json_decref(d);
  free(stream);
  return rc;
}

int hf_pg_databases(const struct holdfast_host *host, const struct holdfast_value *values, PGconn *conn, json_t **out) {
  char *sql = list_sql(PQserverVersion(conn));
  PGresult *r = NULL;
  json_t *all = json_array();
  int rc = sql && all ? hf_pg_query(host, conn, "cannot list the databases", sql, 0, NULL, &r) : hf_pg_no_memory(host);
  if (rc == 0) rc = check_named(host, values, r);
  for (int i = 0; rc == 0 && i < PQntuples(r); i++)
    if (chosen(values, PQgetvalue(r, i, 1), *PQgetvalue(r, i, 2) == 't', *PQgetvalue(r, i, 3) == 't')) rc = describe(host, r, i, all);
  free(sql);
  PQclear(r);
  if (rc < 0)
    json_decref(all);
  else
    *out = all;
  return rc;
}

/* ---- back from the state ---- */

json_t *hf_pg_database_of(const json_t *state, const char *stream) {
  json_t *d;
  size_t i;
  json_array_foreach(json_object_get(state, "databases"), i, d) {
    const char *s = json_string_value(json_object_get(d, "stream"));
    if (s && strcmp(s, stream) == 0 && json_is_string(json_object_get(d, "name"))) return d;
  }
  return NULL;
}

char *hf_pg_database_name(const json_t *state, const char *stream) {
  const char *name = json_string_value(json_object_get(hf_pg_database_of(state, stream), "name"));
  size_t n = strlen(stream), cut = sizeof HF_PG_DUMP_SUFFIX - 1;
  if (name) return strdup(name);
  if (n <= cut || strcmp(stream + n - cut, HF_PG_DUMP_SUFFIX) != 0) return NULL;
  return strndup(stream, n - cut);
}

/* ---- making one ---- */

/* Append " KEYWORD VALUE" to *sql, the value quoted as a literal, or as an identifier. False when memory is out. */
static bool clause(PGconn *conn, char **sql, const char *keyword, const char *value, bool identifier) {
  if (!value || !*sql) return *sql != NULL;
  char *q = identifier ? PQescapeIdentifier(conn, value, strlen(value)) : PQescapeLiteral(conn, value, strlen(value));
  char *longer = q ? hf_pg_format("%s %s %s", *sql, keyword, q) : NULL;
  PQfreemem(q);
  free(*sql);
  *sql = longer;
  return longer != NULL;
}

static const char *get(const json_t *d, const char *key) { return json_string_value(json_object_get(d, key)); }

int hf_pg_database_create(const struct holdfast_host *host, PGconn *conn, const char *name, const json_t *d, bool rehearsal) {
  char *sql = strdup("");
  const char *provider = get(d, "provider"), *locale = get(d, "locale");
  char what[200];
  clause(conn, &sql, "CREATE DATABASE", name, true);
  clause(conn, &sql, "TEMPLATE", "template0", true);
  clause(conn, &sql, "ENCODING", get(d, "encoding"), false);
  clause(conn, &sql, "LC_COLLATE", get(d, "collate"), false);
  clause(conn, &sql, "LC_CTYPE", get(d, "ctype"), false);
  if (d && PQserverVersion(conn) >= 150000)
    clause(conn, &sql, "LOCALE_PROVIDER", !provider ? "libc" : *provider == 'i' ? "icu" : *provider == 'b' ? "builtin" : "libc", true);
  if (provider) clause(conn, &sql, *provider == 'i' ? "ICU_LOCALE" : "BUILTIN_LOCALE", locale, false);
  if (provider) clause(conn, &sql, "ICU_RULES", get(d, "rules"), false);
  if (!rehearsal) clause(conn, &sql, "TABLESPACE", get(d, "tablespace"), true);
  snprintf(what, sizeof what, "cannot make the database %.100s", name);
  int rc = sql ? hf_pg_query(host, conn, what, sql, 0, NULL, NULL) : hf_pg_no_memory(host);
  free(sql);
  return rc;
}

/* Settings whose value is a list of names: it cannot be quoted as one. */
static bool is_list_setting(const char *name) {
  static const char *const lists[] = {"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces",
                                      "unix_socket_directories"};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (strcasecmp(name, lists[i]) == 0) return true;
  return false;
}

static int dress_setting(const struct holdfast_host *host, PGconn *conn, const char *db, const json_t *row) {
  const char *role = json_string_value(json_array_get(row, 0)), *text = json_string_value(json_array_get(row, 1));
  const char *eq = text ? strchr(text, '=') : NULL;
  char name[200], form[400];
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$";
  if (!eq || eq == text || (size_t)(eq - text) >= sizeof name || strspn(text, plain) != (size_t)(eq - text)) return 0;
  snprintf(name, sizeof name, "%.*s", (int)(eq - text), text);
  bool list = is_list_setting(name);
  snprintf(form, sizeof form, "ALTER %s SET %s %s", role ? "ROLE %2$I IN DATABASE %1$I" : "DATABASE %1$I", name, list ? "FROM CURRENT" : "TO %3$L");
  int rc = 0;
  if (list) {
    const char *const now[] = {name, eq + 1};
    rc = hf_pg_query(host, conn, "BEGIN", "BEGIN", 0, NULL, NULL);
    if (rc == 0) rc = hf_pg_query(host, conn, name, "SELECT pg_catalog.set_config($1, $2, true)", 2, now, NULL);
  }
  const char *const params[] = {db, role ? role : "", eq + 1};
  if (rc == 0) rc = hf_pg_command(host, conn, name, form, 3, params);
  if (list) {
    int end = hf_pg_query(host, conn, "COMMIT", rc == 0 ? "COMMIT" : "ROLLBACK", 0, NULL, NULL);
    if (rc == 0) rc = end;
  }
  return rc;
}

static int dress_right(const struct holdfast_host *host, PGconn *conn, const char *db, const json_t *row) {
  const char *role = json_string_value(json_array_get(row, 0)), *right = json_string_value(json_array_get(row, 1));
  char form[200];
  if (!right || !*right || right[strspn(right, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ")]) return 0;
  snprintf(form, sizeof form, "GRANT %.60s ON DATABASE %%1$I TO %s%s", right, role ? "%2$I" : "PUBLIC",
           json_is_true(json_array_get(row, 2)) ? " WITH GRANT OPTION" : "");
  const char *const params[] = {db, role ? role : ""};
  return hf_pg_command(host, conn, "cannot grant a right on the database", form, 2, params);
}

int hf_pg_database_search_path(const struct holdfast_host *host, PGconn *conn, const char *name, const json_t *d) {
  json_t *row;
  size_t i;
  int rc = 0;
  json_array_foreach(json_object_get(d, "settings"), i, row) {
    const char *text = json_string_value(json_array_get(row, 1));
    if (rc == 0 && json_is_null(json_array_get(row, 0)) && text && strncmp(text, "search_path=", 12) == 0) rc = dress_setting(host, conn, name, row);
  }
  return rc;
}

int hf_pg_database_dress(const struct holdfast_host *host, PGconn *conn, const char *name, const json_t *d) {
  const char *const owner[] = {name, get(d, "owner")}, *const comment[] = {name, get(d, "comment")};
  const json_t *acl = json_object_get(d, "acl"), *limit = json_object_get(d, "limit");
  json_t *row;
  size_t i;
  int rc = 0;
  if (owner[1]) rc = hf_pg_command(host, conn, "cannot give the database to its owner", "ALTER DATABASE %I OWNER TO %I", 2, owner);
  if (rc == 0 && comment[1]) rc = hf_pg_command(host, conn, "cannot comment on the database", "COMMENT ON DATABASE %I IS %L", 2, comment);
  if (rc == 0 && json_is_integer(limit)) {
    char n[24];
    snprintf(n, sizeof n, "%" JSON_INTEGER_FORMAT, json_integer_value(limit));
    const char *const params[] = {name, n};
    rc = hf_pg_command(host, conn, "cannot limit the connections", "ALTER DATABASE %I CONNECTION LIMIT %s", 2, params);
  }
  if (rc == 0 && json_is_array(acl)) {
    rc = hf_pg_command(host, conn, "cannot revoke rights", "REVOKE ALL ON DATABASE %I FROM PUBLIC", 1, owner);
    if (rc == 0 && owner[1]) rc = hf_pg_command(host, conn, "cannot revoke rights", "REVOKE ALL ON DATABASE %I FROM %I", 2, owner);
    json_array_foreach(acl, i, row) if (rc == 0) rc = dress_right(host, conn, name, row);
  }
  json_array_foreach(json_object_get(d, "settings"), i, row) if (rc == 0) rc = dress_setting(host, conn, name, row);
  return rc;
}
