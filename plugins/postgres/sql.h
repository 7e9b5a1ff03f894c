/* sql.h - taking apart the script of pg_dumpall --globals-only.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pure functions over bytes in memory; they say nothing and allocate nothing.
 */
#ifndef HF_PG_SQL_H
#define HF_PG_SQL_H

#include <stdbool.h>
#include <stddef.h>

enum { HF_PG_NAME_MAX = 256 }; /* PostgreSQL allows 63 bytes; a build of one's own may allow more */

enum hf_pg_sql_kind {
  HF_PG_SQL_OTHER,       /* not understood: not to be run */
  HF_PG_SQL_SET,         /* of the session */
  HF_PG_SQL_CREATE_ROLE, /* name: the role */
  HF_PG_SQL_ROLE,        /* changes a role, or what it may do: name */
  HF_PG_SQL_MEMBER,      /* makes the role `name` a member of another */
  HF_PG_SQL_TABLESPACE   /* makes or changes a tablespace: name */
};

/* The next statement of *at..end: 1, with its bytes without the semicolon, and *at behind it; 0 when there are no more; -1 when it does
 * not end. Comments and lines for psql between statements are passed over. Quotes are taken as standard_conforming_strings = on has them. */
int hf_pg_sql_next(const char **at, const char *end, const char **from, size_t *n);
/* What a statement is about, and the name of it as the catalog has it. A name that is longer than HF_PG_NAME_MAX makes it OTHER. */
enum hf_pg_sql_kind hf_pg_sql_subject(const char *sql, size_t n, char name[HF_PG_NAME_MAX]);

#endif
