/* logical.h - what the parts of mode = logical offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Streams, in this order: globals.sql (pg_dumpall --globals-only), one dump per database (pg_dump --format=custom), row-counts.json.
 *
 * State: {"version":1,"mode":"logical","server":150004,"superuser":"postgres","databases":[...]}; one of databases, with what
 * is not as usual left out:
 *   {"name":"shop","stream":"shop.dump","snapshot":"00000004-0000001B-1","lsn":"0/1A2B3C4","time":"2026-...","encoding":"UTF8","collate":"C",
 *    "ctype":"C","provider":"c","locale":null,"owner":"app","tablespace":"fast","limit":5,"comment":"...",
 *    "settings":[[ROLE or null,"work_mem=1GB"]],"acl":[[ROLE or null (everybody),"CONNECT",grantable]]}
 */
#ifndef HF_PG_LOGICAL_H
#define HF_PG_LOGICAL_H

#include <jansson.h>

#include "postgres.h"
#include "server.h"
#include "sql.h"

#define HF_PG_GLOBALS_STREAM "globals.sql"
#define HF_PG_COUNTS_STREAM "row-counts.json"
#define HF_PG_DUMP_SUFFIX ".dump"

enum {
  HF_PG_STATE_MAX = 60000,          /* the host takes 64 KiB */
  HF_PG_GLOBALS_MAX = 64 * 1024 * 1024, /* of a restore: it is in memory as a whole */
  HF_PG_COUNTS_MAX = 64 * 1024 * 1024
};

/* ---- databases (databases.c) ---- */

/* The description of every database that `database` and `exclude-database` choose, as above without snapshot, lsn and time; a new array.
 * A named database that is not there is an error, unless ignore-missing. */
int hf_pg_databases(const struct holdfast_host *host, const struct holdfast_value *values, PGconn *conn, json_t **out);
/* The name of the stream of a database. Injective within one server: a name of other bytes than letters, digits, '_' and '-' gets the OID into it. */
char *hf_pg_stream_name(const char *database, const char *oid);
/* The description in the state of the database that a stream is of; NULL if it is not there (then the name is in the stream's). Borrowed. */
json_t *hf_pg_database_of(const json_t *state, const char *stream);
/* The database's name, owned by the caller; NULL when the stream is no dump or memory is out. */
char *hf_pg_database_name(const json_t *state, const char *stream);

/* Make the database `name`, empty, of the encoding and locale described (d may be NULL: the server's own). */
int hf_pg_database_create(const struct holdfast_host *host, PGconn *conn, const char *name, const json_t *d, bool rehearsal);
/* Of its settings the search_path alone, which assertions may count on. */
int hf_pg_database_search_path(const struct holdfast_host *host, PGconn *conn, const char *name, const json_t *d);
/* Give it the owner, rights, settings, connection limit and comment described. */
int hf_pg_database_dress(const struct holdfast_host *host, PGconn *conn, const char *name, const json_t *d);

/* ---- row counts (counts.c) ---- */

/* The number of rows of every table of the database that pg_dump would dump, as a new object {"SCHEMA.TABLE": ROWS}. In conn's transaction. */
int hf_pg_count_rows(const struct holdfast_host *host, PGconn *conn, json_t **out);

/* ---- globals (globals.c) ---- */

/* Make the roles and tablespaces of a script of pg_dumpall that are not there; those that are are left as they are. rehearsal: no tablespaces. */
int hf_pg_globals_apply(const struct holdfast_host *host, PGconn *conn, const char *script, size_t n, bool rehearsal);

/* ---- restore, rehearsal (restore_logical.c, verify_logical.c): as in <holdfast/source.h> ---- */
int hf_pg_logical_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                               void **handle);
int hf_pg_logical_restore_begin(void *handle, const char *stream, uint64_t size);
int hf_pg_logical_restore_write(void *handle, const void *buf, size_t n);
int hf_pg_logical_restore_end(void *handle);
int hf_pg_logical_restore_finish(void *handle, int complete);
void hf_pg_logical_restore_close(void *handle);
int hf_pg_logical_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
int hf_pg_logical_discard(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
int hf_pg_logical_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

/* The state of a logical backup: 1 and *out (the caller's), 0 when there is none, negative when it is damaged or of another version. */
int hf_pg_logical_state(const struct holdfast_host *host, const char *text, json_t **out);

#endif
