/* fuzz_postgres_sql.c - fuzz target: the script of pg_dumpall that a restore takes apart.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "../../plugins/postgres/sql.h"
#include "fuzz.h"

/* What must hold whatever comes in; a trap is what fuzzers look for. */
static void must(bool ok) {
  if (!ok) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data, *end = text + size, *at = text, *from, *last = text;
  size_t n;
  int more;
  while ((more = hf_pg_sql_next(&at, end, &from, &n)) == 1) {
    char name[HF_PG_NAME_MAX];
    /* Forward, within the text, and without a NUL that would cut the statement short. */
    must(n > 0 && from >= last && at > last && from + n < end && from[n] == ';' && at == from + n + 1 && !memchr(from, 0, n));
    enum hf_pg_sql_kind kind = hf_pg_sql_subject(from, n, name);
    must(kind <= HF_PG_SQL_TABLESPACE && memchr(name, 0, sizeof name));
    last = at;
  }
  must(more == 0 || more == -1);
  return 0;
}
