/* logical.c - the backup half of mode = logical: pg_dump of one database after the other, each of one exported snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The snapshot is exported by a session of ours that stays in its transaction until the dump has been read: so its id and place in the log can be noted,
 * and rows can be counted in exactly what was dumped. What a database needs is done in next(), where an error fails the source.
 */
#include "logical.h"

#include <stdlib.h>
#include <string.h>

#include "../common/child.h"

enum kind { GLOBALS, DUMP, COUNTS };

struct logical {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  char *pg_dump, *pg_dumpall;
  json_t *state, *databases; /* databases: borrowed from state */
  json_t *counts;
  size_t at;     /* databases begun */
  bool globals_given, counts_given;
  int server;
  /* the stream that next gave last */
  enum kind kind;
  char *name, *conninfo, *snapshot, *label;
  PGconn *conn;
  struct hf_pg_run run;
  char *text; /* of COUNTS */
  size_t text_n, text_at;
  bool got_any, ended;
  char *kept; /* the state as text */
};

static void end_stream(struct logical *l) {
  hf_pg_run_free(&l->run);
  if (l->conn) PQfinish(l->conn);
  l->conn = NULL;
  free(l->name);
  free(l->conninfo);
  free(l->snapshot);
  free(l->label);
  free(l->text);
  l->name = l->conninfo = l->snapshot = l->label = l->text = NULL;
}

static void close_logical(void *handle) {
  struct logical *l = handle;
  end_stream(l);
  json_decref(l->state);
  json_decref(l->counts);
  free(l->pg_dump);
  free(l->pg_dumpall);
  free(l->kept);
  free(l);
}

/* What does not fit together is said before anything is done. */
static int check_settings(const struct holdfast_host *host, const struct holdfast_value *values) {
  const struct holdfast_value *a = &values[HF_PG_ASSERT];
  for (uint32_t i = 0; i < a->count; i++) {
    const char *colon = strchr(a->strings[i], ':');
    if (!colon || colon == a->strings[i] || !colon[1 + strspn(colon + 1, " \t")])
      return holdfast_fail(host, HOLDFAST_E_CONFIG, "assert = %.200s: not of the form DATABASE: QUERY", a->strings[i]);
  }
  return 0;
}

/* Connect, look at versions, list: what open and probe have in common. */
static int look(struct logical *l, PGconn **conn) {
  const struct holdfast_host *host = l->host;
  const struct holdfast_value *values = l->values;
  PGresult *r = NULL;
  int rc = check_settings(host, values);
  if (rc == 0) rc = hf_pg_connect(host, values, NULL, HF_PG_SQL, conn);
  if (rc < 0) return rc;
  l->server = PQserverVersion(*conn);
  rc = hf_pg_program(host, values, "pg_dump", hf_pg_major(*conn), false, &l->pg_dump, NULL);
  if (rc == 0 && hf_pg_bool(values, HF_PG_GLOBALS))
    rc = hf_pg_program(host, values, "pg_dumpall", hf_pg_major(*conn), false, &l->pg_dumpall, NULL);
  if (rc == 0) rc = hf_pg_databases(host, values, *conn, &l->databases);
  if (rc == 0) rc = hf_pg_query(host, *conn, "cannot ask who the superuser is", "SELECT rolname FROM pg_roles WHERE oid = 10", 0, NULL, &r);
  if (rc == 0) {
    l->state = json_pack("{s:i, s:s, s:i, s:s, s:o}", "version", 1, "mode", "logical", "server", l->server, "superuser",
                         PQntuples(r) ? PQgetvalue(r, 0, 0) : "postgres", "databases", l->databases);
    if (!l->state) rc = hf_pg_no_memory(host);
  } else {
    json_decref(l->databases);
  }
  PQclear(r);
  return rc;
}

static int open_logical(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct logical *l = calloc(1, sizeof *l);
  PGconn *conn = NULL;
  if (!l) return hf_pg_no_memory(host);
  l->host = host;
  l->values = values;
  int rc = look(l, &conn);
  PQfinish(conn);
  if (rc == 0 && hf_pg_bool(values, HF_PG_ROW_COUNTS) && !(l->counts = json_object())) rc = hf_pg_no_memory(host);
  if (rc < 0) {
    close_logical(l);
    return rc;
  }
  *handle = l;
  return HOLDFAST_OK;
}

static int probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct logical l = {.host = host, .values = values};
  PGconn *conn = NULL;
  PGresult *r = NULL;
  int rc = look(&l, &conn);
  if (rc == 0 && hf_pg_bool(values, HF_PG_GLOBALS) && hf_pg_bool(values, HF_PG_ROLE_PASSWORDS)) {
    rc = hf_pg_query(host, conn, "cannot ask who we are", "SELECT rolsuper, rolname FROM pg_roles WHERE rolname = current_user", 0, NULL, &r);
    if (rc == 0 && PQntuples(r) == 1 && *PQgetvalue(r, 0, 0) != 't')
      rc = holdfast_fail(host, HOLDFAST_E_AUTH, "%s is no superuser and cannot read the passwords of roles: set role-passwords = no, or globals = no",
                         PQgetvalue(r, 0, 1));
  }
  if (rc == 0) {
    size_t n = json_array_size(l.databases);
    holdfast_fail(host, HOLDFAST_OK, "PostgreSQL %s as %s: would dump %zu database%s%s with %s", PQparameterStatus(conn, "server_version"), PQuser(conn), n,
                  n == 1 ? "" : "s", l.pg_dumpall ? " and the roles" : "", l.pg_dump);
  }
  PQclear(r);
  PQfinish(conn);
  json_decref(l.state);
  free(l.pg_dump);
  free(l.pg_dumpall);
  return rc;
}

/* ---- one stream after the other ---- */

/* 1; 0 when the database has vanished since they were listed and nobody named it; negative on error. */
static int begin_database(struct logical *l, json_t *d) {
  static const char sql[] = "SELECT pg_export_snapshot(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, "
                            "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
  const char *name = json_string_value(json_object_get(d, "name"));
  PGresult *r = NULL;
  int rc = hf_pg_connect(l->host, l->values, name, HF_PG_SQL, &l->conn);
  if (rc == HOLDFAST_E_NOT_FOUND && l->values[HF_PG_DATABASE].count == 0) {
    hf_pg_log(l->host, HOLDFAST_LOG_NOTICE, "database %s has been dropped since the backup began: passed over", name);
    return 0;
  }
  if (rc == 0) rc = hf_pg_conninfo(l->host, l->values, name, &l->conninfo);
  if (rc == 0) rc = hf_pg_query(l->host, l->conn, name, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, NULL);
  if (rc == 0) rc = hf_pg_query(l->host, l->conn, "cannot export a snapshot", sql, 0, NULL, &r);
  if (rc == 0) {
    l->snapshot = strdup(PQgetvalue(r, 0, 0));
    l->label = hf_pg_format("database %s", name);
    json_object_set_new(d, "snapshot", json_string(PQgetvalue(r, 0, 0)));
    json_object_set_new(d, "lsn", json_string(PQgetvalue(r, 0, 1)));
    if (!l->snapshot || !l->label || json_object_set_new(d, "time", json_string(PQgetvalue(r, 0, 2))) != 0) rc = hf_pg_no_memory(l->host);
  }
  PQclear(r);
  return rc < 0 ? rc : 1;
}

static int give(struct logical *l, struct holdfast_entry *e, enum kind kind, const char *stream) {
  l->kind = kind;
  l->name = strdup(stream);
  if (!l->name) return hf_pg_no_memory(l->host);
  e->kind = HOLDFAST_STREAM;
  e->path = l->name;
  e->size = HOLDFAST_SIZE_UNKNOWN;
  e->mode = 0600;
  return 1;
}

static int next(void *handle, struct holdfast_entry *e) {
  struct logical *l = handle;
  end_stream(l);
  if (l->pg_dumpall && !l->globals_given) {
    l->globals_given = true;
    int rc = hf_pg_conninfo(l->host, l->values, NULL, &l->conninfo);
    if (rc == 0 && !(l->label = strdup("roles and tablespaces"))) rc = hf_pg_no_memory(l->host);
    return rc < 0 ? rc : give(l, e, GLOBALS, HF_PG_GLOBALS_STREAM);
  }
  while (l->at < json_array_size(l->databases)) {
    json_t *d = json_array_get(l->databases, l->at);
    int rc = begin_database(l, d);
    if (rc < 0) return rc;
    if (rc == 0) {
      json_array_remove(l->databases, l->at);
      continue;
    }
    l->at++;
    return give(l, e, DUMP, json_string_value(json_object_get(d, "stream")));
  }
  if (l->counts && !l->counts_given) {
    l->counts_given = true;
    l->text = json_dumps(l->counts, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (!l->text) return hf_pg_no_memory(l->host);
    l->text_n = strlen(l->text);
    l->text_at = 0;
    return give(l, e, COUNTS, HF_PG_COUNTS_STREAM);
  }
  return 0;
}

static int start_dump(struct logical *l) {
  const char *argv[12];
  char lock[64], *snapshot = NULL, *db = hf_pg_format("--dbname=%s", l->conninfo), *main_db = NULL;
  size_t n = 0;
  argv[n++] = l->kind == DUMP ? l->pg_dump : l->pg_dumpall;
  argv[n++] = "--no-password";
  snprintf(lock, sizeof lock, "--lock-wait-timeout=%lld", (long long)l->values[HF_PG_LOCK_TIMEOUT].number * 1000);
  if (l->values[HF_PG_LOCK_TIMEOUT].number > 0) argv[n++] = lock;
  if (l->kind == DUMP) {
    snapshot = hf_pg_format("--snapshot=%s", l->snapshot);
    argv[n++] = "--format=custom";
    argv[n++] = "--compress=0"; /* compressed data is neither deduplicated nor compressed well by the host */
    argv[n++] = snapshot;
  } else {
    main_db = hf_pg_format("--database=%s", hf_pg_string(l->values, HF_PG_MAINTENANCE_DATABASE));
    argv[n++] = "--globals-only";
    argv[n++] = main_db;
    if (!hf_pg_bool(l->values, HF_PG_ROLE_PASSWORDS)) argv[n++] = "--no-role-passwords";
  }
  argv[n++] = db;
  argv[n] = NULL;
  int rc = db && (snapshot || main_db) ? 0 : hf_pg_no_memory(l->host);
  if (rc == 0) rc = hf_pg_run_start(l->host, argv, hf_pg_string(l->values, HF_PG_PASSWORD), -1, HFP_PIPE, &l->run);
  free(db);
  free(snapshot);
  free(main_db);
  return rc;
}

static int entry_open(void *handle, struct holdfast_entry *e) {
  struct logical *l = handle;
  (void)e;
  l->got_any = l->ended = false;
  /* A database that cannot be dumped is no small matter that the source goes on without. */
  return l->kind == COUNTS || start_dump(l) == 0 ? HOLDFAST_OK : HOLDFAST_E_FATAL;
}

/* The program has closed its output: only now it is known whether it is whole. */
static int end_dump(struct logical *l) {
  int code = 0;
  int rc = hfp_end(l->run.child, &code);
  if (rc == 0 && code != 0) rc = hf_pg_run_failed(&l->run, l->label, code);
  if (rc == 0 && !l->got_any) rc = holdfast_fail(l->host, HOLDFAST_E_FAILED, "%s: %s gave nothing", l->label, l->run.name);
  hf_pg_run_free(&l->run);
  l->ended = rc == 0;
  return rc;
}

static int64_t entry_read(void *handle, void *buf, size_t n) {
  struct logical *l = handle;
  if (l->kind == COUNTS) {
    size_t left = l->text_n - l->text_at;
    n = n < left ? n : left;
    memcpy(buf, l->text + l->text_at, n);
    l->text_at += n;
    return (int64_t)n;
  }
  if (l->ended) return 0;
  if (!l->run.used) return holdfast_fail(l->host, HOLDFAST_E_FAILED, "%s: the dump has failed", l->label);
  if (l->host->cancelled(l->host->ctx)) return holdfast_fail(l->host, HOLDFAST_E_CANCELED, "stopped");
  int64_t got = hfp_read(l->run.child, buf, n);
  if (got > 0) l->got_any = true;
  return got == 0 ? end_dump(l) : got;
}

static int entry_close(void *handle) {
  struct logical *l = handle;
  int rc = 0;
  bool whole = l->ended;
  hf_pg_run_free(&l->run);
  if (l->kind == DUMP && whole && l->counts) {
    json_t *rows = NULL;
    const char *name = json_string_value(json_object_get(json_array_get(l->databases, l->at - 1), "name"));
    rc = hf_pg_count_rows(l->host, l->conn, &rows);
    if (rc == 0 && json_object_set_new(l->counts, name, rows) != 0) rc = hf_pg_no_memory(l->host);
  }
  /* The snapshot was held until here by a session that is still there; otherwise pg_dump would have failed. */
  if (l->conn) PQfinish(l->conn);
  l->conn = NULL;
  return rc;
}

/* ---- the state ---- */

static int finish(void *handle, const char **state) {
  struct logical *l = handle;
  size_t left_out = 0;
  free(l->kept);
  l->kept = NULL;
  for (;;) {
    size_t n = json_array_size(l->databases);
    l->kept = json_dumps(l->state, JSON_COMPACT);
    if (!l->kept) return hf_pg_no_memory(l->host);
    if (strlen(l->kept) <= HF_PG_STATE_MAX || n == 0) break;
    size_t drop = n / 10 + 1;
    for (size_t i = 0; i < drop && i < n; i++) json_array_remove(l->databases, n - 1 - i);
    left_out += drop;
    free(l->kept);
  }
  if (left_out)
    hf_pg_log(l->host, HOLDFAST_LOG_WARNING, "%zu databases are too many to keep the settings of all: %zu of them would be restored with the server's "
              "own encoding, owner and rights", json_array_size(l->databases) + left_out, left_out);
  *state = l->kept;
  return HOLDFAST_OK;
}

int hf_pg_logical_state(const struct holdfast_host *host, const char *text, json_t **out) {
  json_error_t err;
  if (!text || !*text) return 0;
  json_t *s = json_loads(text, 0, &err);
  const char *mode = json_string_value(json_object_get(s, "mode"));
  bool good = mode && strcmp(mode, "logical") == 0 && json_integer_value(json_object_get(s, "version")) == 1 &&
              json_is_array(json_object_get(s, "databases"));
  if (good) {
    *out = s;
    return 1;
  }
  json_decref(s);
  return holdfast_fail(host, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is damaged, or of a later version of holdfast");
}

const struct holdfast_source_plugin hf_pg_logical = {
  .open = open_logical,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_logical,
  .probe = probe,
  .restore_open = hf_pg_logical_restore_open,
  .restore_begin = hf_pg_logical_restore_begin,
  .restore_write = hf_pg_logical_restore_write,
  .restore_end = hf_pg_logical_restore_end,
  .restore_finish = hf_pg_logical_restore_finish,
  .restore_close = hf_pg_logical_restore_close,
  .verify = hf_pg_logical_verify,
};
