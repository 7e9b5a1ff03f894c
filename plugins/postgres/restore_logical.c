/* restore_logical.c - the restore half of mode = logical.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * To a folder the host writes the dumps itself. In place, each dump goes through pg_restore into a new database beside the old one, NAME_restoring; when
 * everything has arrived undamaged, one transaction renames all of them: the old database becomes NAME_before_TIME and is kept, the new one
 * gets its name. Until then nobody sees anything, and what goes wrong costs the new database only. One that a killed restore left behind is known by
 * its comment, and removed by the next.
 */
#include "logical.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common/child.h"

static const char unfinished[] = "holdfast: unfinished restore";

struct target {
  char *name, *staging; /* what it is to be called, and is called for now */
  char *aside;          /* what the old one will be called, NULL if there is none */
  bool made;            /* the one beside it is, by us: it may be dropped */
  bool empty;           /* the old one is, and need not be kept */
  const json_t *like;   /* what the state says of it, or NULL */
};

struct restore {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  bool in_place;
  json_t *state;
  PGconn *conn;
  char *pg_restore;
  struct target *targets;
  size_t n;
  enum { NOTHING, GLOBALS, DUMP, PASSED } now;
  struct hf_pg_run run;
  char *conninfo, *label;
  char *script; /* globals.sql as it arrives */
  size_t script_n, script_cap;
};

static int words(struct restore *r, const char *what, int status, const char *name) {
  return holdfast_fail(r->host, status, "%s: %s", name, what);
}

/* The session for making, renaming and dropping must not be in a database that is to be renamed. */
static int control(struct restore *r, const char *not_this) {
  if (r->conn && PQstatus(r->conn) == CONNECTION_OK && (!not_this || strcmp(PQdb(r->conn), not_this) != 0)) return 0;
  const char *db = hf_pg_string(r->values, HF_PG_MAINTENANCE_DATABASE);
  if (not_this && strcmp(db, not_this) == 0) db = "template1";
  PQfinish(r->conn);
  r->conn = NULL;
  return hf_pg_connect(r->host, r->values, db, HF_PG_SQL, &r->conn);
}

int hf_pg_logical_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                               void **handle) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return hf_pg_no_memory(host);
  *r = (struct restore){.host = host, .values = values, .in_place = how->mode == HOLDFAST_RESTORE_IN_PLACE};
  int rc = hf_pg_logical_state(host, how->state, &r->state);
  if (rc >= 0 && r->in_place) {
    rc = control(r, NULL);
    if (rc == 0) rc = hf_pg_program(host, values, "pg_restore", hf_pg_major(r->conn), false, &r->pg_restore, NULL);
  }
  if (rc < 0) {
    hf_pg_logical_restore_close(r);
    return rc;
  }
  *handle = r;
  return HOLDFAST_OK;
}

/* ---- one database ---- */

/* 1 and its OID in oid when there is a database of the name, else 0. */
static int exists(struct restore *r, const char *name, char oid[16], bool *marked) {
  PGresult *q = NULL;
  int rc = hf_pg_query(r->host, r->conn, "cannot look for the database",
        "SELECT oid, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = $1", 1,
                       &name, &q);
  if (rc == 0 && PQntuples(q) == 1) {
    snprintf(oid, 16, "%s", PQgetvalue(q, 0, 0));
    if (marked) *marked = strncmp(PQgetvalue(q, 0, 1), unfinished, sizeof unfinished - 1) == 0;
    rc = 1;
  }
  PQclear(q);
  return rc;
}

/* NAME and a suffix, cut so that PostgreSQL keeps the whole suffix, never within a character. */
static char *beside(const char *name, const char *suffix) {
  size_t n = strlen(name), room = 63 - strlen(suffix);
  if (n > room)
    for (n = room; n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80;) n--;
  return hf_pg_format("%.*s%s", (int)n, name, suffix);
}

/* What the database is to be called from now on: a name that is free, also when the second is the same. */
static int aside_name(struct restore *r, const char *name, char **out) {
  char suffix[40], oid[16];
  time_t t = time(NULL);
  struct tm tm;
  gmtime_r(&t, &tm);
  size_t n = strftime(suffix, sizeof suffix, "_before_%Y%m%d_%H%M%S", &tm);
  for (int i = 1; i < 1000; i++) {
    if (i > 1) snprintf(suffix + n, sizeof suffix - n, "_%d", i);
    *out = beside(name, suffix);
    int rc = *out ? exists(r, *out, oid, NULL) : hf_pg_no_memory(r->host);
    if (rc == 0) return 0;
    free(*out);
    *out = NULL;
    if (rc < 0) return rc;
  }
  return words(r, "no free name for what is there", HOLDFAST_E_EXISTS, name);
}

/* Is there nothing in it that somebody made? */
static int is_empty(struct restore *r, const char *name, bool *empty) {
  static const char sql[] = "SELECT NOT EXISTS (SELECT FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace) "
                            "AND NOT EXISTS (SELECT FROM pg_proc WHERE oid >= 16384) "
                            "AND NOT EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384 AND nspname NOT LIKE 'pg\\_%') "
                            "AND NOT EXISTS (SELECT FROM pg_type WHERE oid >= 16384) AND NOT EXISTS (SELECT FROM pg_extension WHERE oid >= 16384) "
                            "AND NOT EXISTS (SELECT FROM pg_largeobject_metadata)";
  PGconn *conn = NULL;
  PGresult *q = NULL;
  int rc = hf_pg_connect(r->host, r->values, name, HF_PG_SQL, &conn);
  if (rc == 0) rc = hf_pg_query(r->host, conn, "cannot look into the database", sql, 0, NULL, &q);
  if (rc == 0) *empty = *PQgetvalue(q, 0, 0) == 't';
  PQclear(q);
  PQfinish(conn);
  return rc;
}

/* Nobody may be in a database that is to be renamed. */
static int check_sessions(struct restore *r, const char *name) {
  PGresult *q = NULL;
  int rc = hf_pg_query(r->host, r->conn, "cannot count the sessions",
        "SELECT count(*), min(coalesce(nullif(application_name, ''), usename)) FROM pg_stat_activity "
                       "WHERE datname = $1 AND backend_type = 'client backend' AND pid <> pg_backend_pid()", 1, &name, &q);
  if (rc == 0 && strcmp(PQgetvalue(q, 0, 0), "0") != 0)
    rc = holdfast_fail(r->host, HOLDFAST_E_CONFIG, "database %s is in use by %s session(s), of %s for one: stop what uses it, or set disconnect = yes", name,
                       PQgetvalue(q, 0, 0), PQgetvalue(q, 0, 1));
  PQclear(q);
  return rc;
}

/* What stands where the database is to go? */
static int look_at_old(struct restore *r, struct target *t) {
  char oid[16];
  int rc = exists(r, t->name, oid, NULL);
  if (rc <= 0) return rc;
  rc = control(r, t->name);
  /* Sessions first: to look into it takes one of our own, which may be seen for a moment after it has been ended. */
  if (rc == 0) rc = hf_pg_bool(r->values, HF_PG_DISCONNECT) || !hf_pg_bool(r->values, HF_PG_REPLACE) ? 0 : check_sessions(r, t->name);
  if (rc == 0) rc = is_empty(r, t->name, &t->empty);
  if (rc == 0 && !t->empty && !hf_pg_bool(r->values, HF_PG_REPLACE))
    return words(r, "there is a database of this name that is not empty: set replace = yes, or restore-database = ANOTHER-NAME", HOLDFAST_E_EXISTS, t->name);
  if (rc == 0) rc = aside_name(r, t->name, &t->aside);
  return rc;
}

/* Make the database to restore into, marked so that it is known if we are killed. */
static int make_staging(struct restore *r, struct target *t) {
  char oid[16];
  bool marked = false;
  const char *const params[] = {t->staging, unfinished};
  int rc = exists(r, t->staging, oid, &marked);
  if (rc == 1 && !marked)
    return words(r, "there is a database of this name already, and it is not holdfast's: rename or drop it", HOLDFAST_E_EXISTS, t->staging);
  if (rc == 1) {
    hf_pg_log(r->host, HOLDFAST_LOG_NOTICE, "removing %s, which an earlier restore left unfinished", t->staging);
    rc = hf_pg_command(r->host, r->conn, "cannot drop what an earlier restore left", "DROP DATABASE %I", 1, params);
  }
  if (rc == 0) rc = hf_pg_database_create(r->host, r->conn, t->staging, t->like, false);
  t->made = rc == 0;
  return rc == 0 ? hf_pg_command(r->host, r->conn, "cannot mark the new database", "COMMENT ON DATABASE %I IS %L", 2, params) : rc;
}

static int start_pg_restore(struct restore *r, const char *database) {
  const char *argv[8];
  size_t n = 0;
  free(r->conninfo);
  r->conninfo = NULL;
  int rc = hf_pg_conninfo(r->host, r->values, database, &r->conninfo);
  char *db = rc == 0 ? hf_pg_format("--dbname=%s", r->conninfo) : NULL;
  argv[n++] = r->pg_restore;
  argv[n++] = "--no-password";
  argv[n++] = "--exit-on-error";
  if (!hf_pg_bool(r->values, HF_PG_RESTORE_OWNER)) {
    argv[n++] = "--no-owner";
    argv[n++] = "--no-privileges";
  }
  argv[n++] = db;
  argv[n] = NULL;
  if (rc == 0 && !db) rc = hf_pg_no_memory(r->host);
  if (rc == 0) rc = hf_pg_run_start(r->host, argv, hf_pg_string(r->values, HF_PG_PASSWORD), HFP_PIPE, -1, &r->run);
  free(db);
  return rc;
}

static int begin_dump(struct restore *r, const char *stream) {
  const char *other = hf_pg_string(r->values, HF_PG_RESTORE_DATABASE);
  char *old = hf_pg_database_name(r->state, stream);
  if (!old) return words(r, "not a stream of this source", HOLDFAST_E_CORRUPT, stream);
  struct target *grown = realloc(r->targets, (r->n + 1) * sizeof *grown);
  if (grown) r->targets = grown;
  char *name = other ? strdup(other) : old, *label = hf_pg_format("database %s", other ? other : old);
  if (other) free(old);
  char *staging = name ? beside(name, "_restoring") : NULL;
  if (!grown || !name || !label || !staging) {
    free(name);
    free(label);
    free(staging);
    return hf_pg_no_memory(r->host);
  }
  free(r->label);
  r->label = label;
  struct target *t = &r->targets[r->n++];
  *t = (struct target){.name = name, .staging = staging, .like = hf_pg_database_of(r->state, stream)};
  int rc = 0;
  if (other && r->n > 1)
    rc = holdfast_fail(r->host, HOLDFAST_E_CONFIG, "restore-database = %s is one name, and several databases are to be restored: choose one with --path %s",
          other, stream);
  else
    rc = look_at_old(r, t);
  if (rc == 0) rc = make_staging(r, t);
  return rc == 0 ? start_pg_restore(r, t->staging) : rc;
}

/* ---- the streams ---- */

int hf_pg_logical_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct restore *r = handle;
  if (!r->in_place) return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "%s: the host writes it", stream);
  r->now = PASSED;
  if (strcmp(stream, HF_PG_COUNTS_STREAM) == 0) return 0;
  if (strcmp(stream, HF_PG_GLOBALS_STREAM) == 0) {
    /* Without owners and rights the roles are not needed. */
    if (!hf_pg_bool(r->values, HF_PG_RESTORE_OWNER)) return 0;
    if (size > HF_PG_GLOBALS_MAX)
      return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "%s: %llu bytes are more than it can have", stream, (unsigned long long)size);
    free(r->script);
    r->script_n = 0;
    r->script_cap = (size_t)size;
    r->script = malloc(r->script_cap + 1);
    if (!r->script) return hf_pg_no_memory(r->host);
    r->now = GLOBALS;
    return 0;
  }
  int rc = begin_dump(r, stream);
  if (rc == 0) r->now = DUMP;
  return rc;
}

int hf_pg_logical_restore_write(void *handle, const void *buf, size_t n) {
  struct restore *r = handle;
  if (r->now == GLOBALS) {
    if (n > r->script_cap - r->script_n) return words(r, "longer than it was said to be", HOLDFAST_E_CORRUPT, HF_PG_GLOBALS_STREAM);
    memcpy(r->script + r->script_n, buf, n);
    r->script_n += n;
    return 0;
  }
  if (r->now != DUMP) return 0;
  if (!r->run.used) return words(r, "the restore has failed", HOLDFAST_E_FAILED, r->label);
  int rc = hfp_write(r->run.child, buf, n);
  if (rc == 0) return 0;
  int code = 0;
  /* It does not read on because it has ended: its words say why. */
  if (rc == HOLDFAST_E_FAILED && hfp_end(r->run.child, &code) == 0) {
    rc = code ? hf_pg_run_failed(&r->run, r->label, code) : words(r, "pg_restore ended before the end of the dump", HOLDFAST_E_CORRUPT, r->label);
    hf_pg_run_free(&r->run);
  }
  return rc;
}

/* Without statistics the first queries would be slow; a failure costs no more than that. */
static void analyze(struct restore *r, const char *database) {
  PGconn *conn = NULL;
  if (hf_pg_connect(r->host, r->values, database, HF_PG_SQL, &conn) != 0) return;
  PGresult *q = PQexec(conn, "ANALYZE");
  if (PQresultStatus(q) != PGRES_COMMAND_OK)
    hf_pg_log(r->host, HOLDFAST_LOG_WARNING, "%s: ANALYZE: %.300s", r->label, PQresultErrorField(q, PG_DIAG_MESSAGE_PRIMARY));
  PQclear(q);
  PQfinish(conn);
}

int hf_pg_logical_restore_end(void *handle) {
  struct restore *r = handle;
  int rc = 0;
  if (r->now == GLOBALS) {
    rc = control(r, NULL);
    if (rc == 0) rc = hf_pg_globals_apply(r->host, r->conn, r->script, r->script_n, false);
    /* The session is not what it was: the script sets things. */
    PQfinish(r->conn);
    r->conn = NULL;
    if (rc == 0) rc = control(r, NULL);
  } else if (r->now == DUMP) {
    rc = r->run.used ? hf_pg_run_end(&r->run, r->label) : words(r, "the restore has failed", HOLDFAST_E_FAILED, r->label);
    if (rc == 0) analyze(r, r->targets[r->n - 1].staging);
  }
  if (r->now == GLOBALS && r->script) explicit_bzero(r->script, r->script_n);
  r->now = NOTHING;
  return rc;
}

/* ---- the end ---- */

static int rename_database(struct restore *r, const char *from, const char *to) {
  const char *const params[] = {from, to};
  char what[200];
  snprintf(what, sizeof what, "cannot rename the database %.60s to %.60s", from, to);
  return hf_pg_command(r->host, r->conn, what, "ALTER DATABASE %I RENAME TO %I", 2, params);
}

/* The rest of what a database is, from the state; and no mark any more. */
static int dress(struct restore *r, const struct target *t) {
  const char *const params[] = {t->staging};
  int rc = hf_pg_command(r->host, r->conn, "cannot remove the mark", "COMMENT ON DATABASE %I IS NULL", 1, params);
  if (rc == 0 && t->like && hf_pg_bool(r->values, HF_PG_RESTORE_OWNER)) rc = hf_pg_database_dress(r->host, r->conn, t->staging, t->like);
  return rc;
}

/* Rename a database that applications come back to all the time. Renaming locks new sessions out and then waits five seconds for the old ones to go: whoever
 * slips in between is ended in the next attempt. In a transaction. */
static int rename_forced(struct restore *r, const char *from, const char *to) {
  static const char end[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
  int rc = HOLDFAST_E_FAILED;
  for (int attempt = 0; rc < 0 && attempt < 5 && PQstatus(r->conn) == CONNECTION_OK; attempt++) {
    PQclear(PQexec(r->conn, "SELECT pg_stat_clear_snapshot()"));
    rc = hf_pg_query(r->host, r->conn, "cannot end the sessions of others", end, 1, &from, NULL);
    if (rc == 0) rc = hf_pg_query(r->host, r->conn, "cannot rename", "SAVEPOINT holdfast", 0, NULL, NULL);
    if (rc < 0) return rc;
    rc = rename_database(r, from, to);
    if (rc < 0) PQclear(PQexec(r->conn, "ROLLBACK TO holdfast"));
  }
  return rc;
}

/* All renames in one transaction. */
static int swap(struct restore *r) {
  bool forced = hf_pg_bool(r->values, HF_PG_DISCONNECT);
  int rc = hf_pg_query(r->host, r->conn, "cannot begin", "BEGIN", 0, NULL, NULL);
  for (size_t i = 0; rc == 0 && i < r->n; i++) {
    struct target *t = &r->targets[i];
    if (t->aside) rc = forced ? rename_forced(r, t->name, t->aside) : rename_database(r, t->name, t->aside);
    if (rc == 0 && t->staging) rc = rename_database(r, t->staging, t->name);
  }
  if (rc == 0) return hf_pg_query(r->host, r->conn, "cannot commit the renaming", "COMMIT", 0, NULL, NULL);
  PQclear(PQexec(r->conn, "ROLLBACK"));
  return rc;
}

static void drop(struct restore *r, const char *name) {
  char *q = PQescapeIdentifier(r->conn, name, strlen(name)), *sql = q ? hf_pg_format("DROP DATABASE %s WITH (FORCE)", q) : NULL;
  PGresult *done = sql ? PQexec(r->conn, sql) : NULL;
  /* Not the host's message, which tells what came before. */
  if (PQresultStatus(done) != PGRES_COMMAND_OK) {
    char words[400];
    snprintf(words, sizeof words, "%s", PQerrorMessage(r->conn));
    hf_pg_tidy(words);
    hf_pg_log(r->host, HOLDFAST_LOG_WARNING, "database %s could not be removed (%s): DROP DATABASE it", name, words);
  }
  PQclear(done);
  PQfreemem(q);
  free(sql);
}

#define DATABASE "database:" /* in front of names, for undo */

static void tell_kept(struct restore *r, const char *name, const char *aside) {
  char *place = hf_pg_format(DATABASE "%s", name), *kept_as = aside ? hf_pg_format(DATABASE "%s", aside) : NULL;
  if (r->host->kept && place && (!aside || kept_as)) r->host->kept(r->host->ctx, place, kept_as);
  free(place);
  free(kept_as);
}

static void tell(struct restore *r, const struct target *t) {
  tell_kept(r, t->name, t->empty ? NULL : t->aside);
  if (t->aside && t->empty) drop(r, t->aside);
  if (t->aside && !t->empty)
    hf_pg_log(r->host, HOLDFAST_LOG_NOTICE, "database %s is restored; what it was before is kept as database %s: drop it when it is not needed any more",
              t->name, t->aside);
  else
    hf_pg_log(r->host, HOLDFAST_LOG_NOTICE, "database %s is restored", t->name);
}

int hf_pg_logical_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  int rc = 0;
  if (!complete || !r->in_place || r->n == 0) return HOLDFAST_OK; /* close drops what was begun */
  for (size_t i = 0; i < r->n; i++)
    if (!r->targets[i].made) return words(r, "was not restored: nothing is replaced", HOLDFAST_E_FAILED, r->targets[i].name);
  for (size_t i = 0; rc == 0 && i < r->n; i++) rc = control(r, r->targets[i].name);
  for (size_t i = 0; rc == 0 && i < r->n; i++) rc = dress(r, &r->targets[i]);
  for (size_t i = 0; rc == 0 && i < r->n; i++)
    if (r->targets[i].aside && !hf_pg_bool(r->values, HF_PG_DISCONNECT)) rc = check_sessions(r, r->targets[i].name);
  if (rc == 0) rc = swap(r);
  for (size_t i = 0; rc == 0 && i < r->n; i++) {
    r->targets[i].made = false;
    tell(r, &r->targets[i]);
  }
  return rc;
}

/* ---- undo ---- */

/* What an item names, or NULL with a message. */
static const char *database_of(struct restore *r, const char *text) {
  if (strncmp(text, DATABASE, sizeof DATABASE - 1) == 0) return text + sizeof DATABASE - 1;
  holdfast_fail(r->host, HOLDFAST_E_CORRUPT, "%s: is no database", text);
  return NULL;
}

/* A database that was replaced, as a target: what is kept is what was restored then. */
static int target_of(struct restore *r, const struct holdfast_kept *item, struct target *t) {
  char oid[16];
  const char *name = database_of(r, item->place), *kept = item->kept_as ? database_of(r, item->kept_as) : NULL;
  if (!name || (item->kept_as && !kept)) return HOLDFAST_E_CORRUPT;
  t->name = strdup(name);
  t->staging = kept ? strdup(kept) : NULL;
  if (!t->name || (kept && !t->staging)) return hf_pg_no_memory(r->host);
  int rc = kept ? exists(r, kept, oid, NULL) : 1;
  if (rc == 0) return words(r, "what was kept is not there any more", HOLDFAST_E_NOT_FOUND, kept);
  if (rc == 1) rc = exists(r, name, oid, NULL);
  if (rc == 1) rc = aside_name(r, name, &t->aside);
  if (rc == 0 && t->aside) rc = control(r, name);
  if (rc == 0 && t->aside && !hf_pg_bool(r->values, HF_PG_DISCONNECT)) rc = check_sessions(r, name);
  return rc;
}

int hf_pg_logical_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return hf_pg_no_memory(host);
  *r = (struct restore){.host = host, .values = values, .in_place = true, .targets = calloc(n + 1, sizeof *r->targets)};
  int rc = r->targets ? control(r, NULL) : hf_pg_no_memory(host);
  for (; rc == 0 && r->n < n; r->n++) rc = target_of(r, &items[r->n], &r->targets[r->n]);
  if (rc == 0) rc = swap(r);
  for (size_t i = 0; rc == 0 && i < r->n; i++) {
    const struct target *t = &r->targets[i];
    tell_kept(r, t->name, t->aside);
    hf_pg_log(host, HOLDFAST_LOG_NOTICE, "database %s is %s%s%s", t->name, t->staging ? "what it was before" : "away, as before", t->aside ? "; what it was until now is kept as database " : "", t->aside ? t->aside : "");
  }
  hf_pg_logical_restore_close(r);
  return rc;
}

int hf_pg_logical_discard(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return hf_pg_no_memory(host);
  *r = (struct restore){.host = host, .values = values, .in_place = true};
  int rc = control(r, NULL);
  for (size_t i = 0; rc == 0 && i < n; i++) {
    char oid[16];
    const char *name = items[i].kept_as ? database_of(r, items[i].kept_as) : NULL;
    if (items[i].kept_as && !name) rc = HOLDFAST_E_CORRUPT;
    if (rc == 0 && name) rc = exists(r, name, oid, NULL);
    if (rc == 1) rc = hf_pg_command(host, r->conn, "cannot drop what was kept", "DROP DATABASE %I", 1, &name);
  }
  hf_pg_logical_restore_close(r);
  return rc;
}

void hf_pg_logical_restore_close(void *handle) {
  struct restore *r = handle;
  hf_pg_run_free(&r->run);
  for (size_t i = 0; i < r->n; i++) {
    struct target *t = &r->targets[i];
    if (t->made && r->conn) drop(r, t->staging);
    free(t->name);
    free(t->staging);
    free(t->aside);
  }
  free(r->targets);
  PQfinish(r->conn);
  json_decref(r->state);
  free(r->pg_restore);
  free(r->conninfo);
  free(r->label);
  free(r->script);
  free(r);
}
