/* postgres.h - the private header of the postgres source: what its parts offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parts, lower ones first: text (growing strings, messages), conn (connections, their errors, the client programs), server (a
 * temporary cluster, see server.h), check (amcheck, row counts, assertions in a running cluster), then the two modes, each a
 * table of callbacks: logical (one pg_dump stream per database) and physical (a base backup); plugin hands every call to one of them.
 *
 * Unless said otherwise a function returns 0 or a negative enum holdfast_status, having told the host why.
 */
#ifndef HF_PG_POSTGRES_H
#define HF_PG_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include <holdfast/source.h>

#define HF_PG_VERSION "1.0"

/* The rows of the settings table, in its order. */
enum hf_pg_setting {
  HF_PG_MODE,
  /* how to reach the server */
  HF_PG_HOST,
  HF_PG_PORT,
  HF_PG_USERNAME,
  HF_PG_PASSWORD,
  HF_PG_PASSFILE,
  HF_PG_SERVICE,
  HF_PG_CONNECTION,
  HF_PG_MAINTENANCE_DATABASE,
  HF_PG_BIN_DIR,
  /* logical backup */
  HF_PG_DATABASE,
  HF_PG_EXCLUDE_DATABASE,
  HF_PG_IGNORE_MISSING,
  HF_PG_GLOBALS,
  HF_PG_ROLE_PASSWORDS,
  HF_PG_ROW_COUNTS,
  HF_PG_LOCK_TIMEOUT,
  /* logical restore */
  HF_PG_RESTORE_DATABASE,
  HF_PG_REPLACE,
  HF_PG_DISCONNECT,
  HF_PG_RESTORE_OWNER,
  /* physical */
  HF_PG_SLOT,
  HF_PG_CHECKPOINT,
  HF_PG_MAX_RATE,
  HF_PG_MANIFEST_CHECKSUMS,
  HF_PG_DATA_DIRECTORY,
  /* verify */
  HF_PG_SERVER_USER,
  HF_PG_ASSERT,
  HF_PG_N_SETTINGS
};

/* ---- the two modes ---- */

/* Tables of callbacks as in <holdfast/source.h>; their heads are empty. plugin.c calls nothing else of a mode. */
extern const struct holdfast_source_plugin hf_pg_logical;
extern const struct holdfast_source_plugin hf_pg_physical;

/* The first string of a setting, NULL when it is not set. */
static inline const char *hf_pg_string(const struct holdfast_value *values, enum hf_pg_setting which) {
  return values[which].count ? values[which].strings[0] : NULL;
}
static inline bool hf_pg_bool(const struct holdfast_value *values, enum hf_pg_setting which) { return values[which].number != 0; }

/* ---- small helpers (text.c) ---- */

/* Say "out of memory" and return HOLDFAST_E_FAILED. */
int hf_pg_no_memory(const struct holdfast_host *host);
/* A line for the log, formatted. */
void hf_pg_log(const struct holdfast_host *host, int level, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);
/* The status an errno stands for; never 0. */
int hf_pg_status(int errnum);
/* A formatted string, owned by the caller; NULL when memory is out. */
char *hf_pg_format(const char *fmt, ...) HOLDFAST_PRINTF(1, 2);
/* Path of a file below a folder, owned by the caller; NULL when memory is out. */
char *hf_pg_join(const char *dir, const char *name);
/* Make one line of it, in place: every run of blanks and control bytes becomes one blank. */
void hf_pg_tidy(char *text);

/* Where a child's standard error goes: a file in memory that takes HF_PG_WORDS_MAX bytes and no more. A descriptor, or a negative status. The last
 * line alone (as <common/child.h> keeps it) is not enough here: pg_dump ends with the statement that failed, after the reason. */
#define HF_PG_WORDS_MAX (256 * 1024)
int hf_pg_words_new(const struct holdfast_host *host);
/* What of it tells the reason: the first error with the server's own words; "" if nothing was said. One line. */
void hf_pg_words_get(int fd, char *out, size_t cap);
void hf_pg_words_pick(const char *said, char *out, size_t cap);
/* The status for such words, by the parts of them that tell. */
int hf_pg_words_status(const char *words);

/* ---- connections (conn.c) ---- */

enum hf_pg_kind {
  HF_PG_SQL,        /* an ordinary session */
  HF_PG_REPLICATION /* replication=true: the physical replication protocol; no database, no SQL */
};

/* Connect as the settings say. dbname: NULL for maintenance-database; not looked at for HF_PG_REPLICATION. Refuses servers before 13.
 * An ordinary session has client_encoding UTF8, an empty search_path but pg_catalog, and no time limits. Notices go to the log. What
 * connecting failed on becomes the message, classified: AUTH, NOT_FOUND (no such database), TRANSIENT (not reachable, starting up,
 * no free connection), CANCELED, TIMEOUT. The caller ends it with PQfinish; host and values must outlive it. */
int hf_pg_connect(const struct holdfast_host *host, const struct holdfast_value *values, const char *dbname, enum hf_pg_kind kind,
                  PGconn **out);

/* Run a statement with n text parameters. Succeeds when it gives rows, or none of a command (PGRES_TUPLES_OK, PGRES_COMMAND_OK);
 * *out, which may be NULL, is the caller's to PQclear. `what` begins the message of a failure: "cannot list the databases". */
int hf_pg_query(const struct holdfast_host *host, PGconn *conn, const char *what, const char *sql, int n, const char *const *params,
                PGresult **out);

/* The same for statements that take no parameters: form is as for SQL's format() ("ALTER DATABASE %I RENAME TO %I"), n at most 3. */
int hf_pg_command(const struct holdfast_host *host, PGconn *conn, const char *what, const char *form, int n, const char *const *params);

/* Connect with libpq's own keywords (arrays that end with NULL); gives up after so many seconds. The errors are hf_pg_connect's; sets up nothing. */
int hf_pg_connect_params(const struct holdfast_host *host, const char *const *keys, const char *const *vals, int seconds, PGconn **out);
/* The reason out of libpq's text of a failed connection made with PQERRORS_VERBOSE, as one line, and its status. */
int hf_pg_connect_words(const char *said, bool needs_password, char *out, size_t cap);
/* The settings as one connection string without the password, for the programs of PostgreSQL. Owned by the caller. */
int hf_pg_conninfo(const struct holdfast_host *host, const struct holdfast_value *values, const char *dbname, char **out);

/* The status for a failed result (NULL: the connection's state), by its SQLSTATE. Says nothing. */
int hf_pg_classify(PGconn *conn, const PGresult *res);
/* Tell the host "WHAT: the server's own words" of a failed result (NULL: of the connection) and return its status. */
int hf_pg_fail(const struct holdfast_host *host, PGconn *conn, const PGresult *res, const char *what);

/* Major version of the server: 15. */
static inline int hf_pg_major(PGconn *conn) { return PQserverVersion(conn) / 10000; }

/* ---- the programs of PostgreSQL (programs.c) ---- */

/* Where the program `name` of PostgreSQL is: in bin-dir if that is set; else in the bin folder of the lowest installed major version that
 * is at least `major` (exactly `major` if `exact`) below /usr/lib/postgresql, /usr/pgsql-N; else on PATH. Its version is asked for (--version)
 * and must be right: CONFIG if not, with what is needed. *path is the caller's; *found, which may be NULL, gets its major version. */
int hf_pg_program(const struct holdfast_host *host, const struct holdfast_value *values, const char *name, int major, bool exact,
                  char **path, int *found);

/* The major version out of what `PROGRAM --version` prints, 0 when it is not there. */
int hf_pg_program_version(const char *text);

/* What such a program has in its environment: messages in English, no options from outside, and the password if there is one: PGPASSWORD, of this child
 * alone, which only root and its own account can see (a temporary password file would stay behind when we are killed). */
struct hf_pg_env {
  char *password;
  const char *list[5];
};
int hf_pg_env_make(const struct holdfast_host *host, const char *password, struct hf_pg_env *env);
void hf_pg_env_free(struct hf_pg_env *env);

struct hfp_child;

/* A program at work, its words kept. All zeros: none. */
struct hf_pg_run {
  bool used;
  int words;
  const char *name;
  const struct holdfast_host *host;
  struct hfp_child *child;
};
/* Start argv (which has to live as long as the run); in and out as in <common/child.h>. */
int hf_pg_run_start(const struct holdfast_host *host, const char *const *argv, const char *password, int in, int out, struct hf_pg_run *run);
/* Close its input, wait for its end, free. An exit code other than 0 is an error: "WHAT: the program's words". */
int hf_pg_run_end(struct hf_pg_run *run, const char *what);
/* Say that of a run that ended with this exit code; returns the status. Frees nothing. */
int hf_pg_run_failed(struct hf_pg_run *run, const char *what, int code);
/* End it if it still works, and free. All zeros are harmless. */
void hf_pg_run_free(struct hf_pg_run *run);

/* ---- is a running cluster good? (check.c) ---- */

/* What was looked at; for the message of verify. */
struct hf_pg_checked {
  uint64_t databases, tables, rows, indexes, heaps, assertions;
  bool amcheck; /* available */
};

struct hf_pg_server;

/* Every database of the temporary cluster: amcheck on its B-tree indexes and (14 and later) heaps where the extension is there, and the number
 * of rows of every table, compared with *counts if that is not NULL (JSON text: {"DATABASE":{"SCHEMA.TABLE":ROWS}}); then the `assert`
 * settings. The first thing that is wrong becomes the message, with HOLDFAST_E_CORRUPT. */
int hf_pg_check(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_pg_server *server, const char *counts,
                struct hf_pg_checked *out);
/* The message of a verify that succeeded: "WHAT: so many databases, ...". */
void hf_pg_checked_tell(const struct holdfast_host *host, const struct hf_pg_checked *c, const char *what);

#endif
