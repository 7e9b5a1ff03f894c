/* state.h - what the record keeps of a base backup, and what a restore needs of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PG_STATE_H
#define HF_PG_STATE_H

#include "basebackup.h"

/* The JSON text, owned by the caller; NULL when memory is out. files, bytes: of the backup. */
char *hf_pg_state_write(const struct hf_pg_basebackup *b, enum hf_pg_sum kind, uint64_t files, uint64_t bytes);

/* Read back. A state of "" gives one in which nothing is known. Strings are never NULL. */
struct hf_pg_state {
  int major;             /* 15; 0: not known */
  enum hf_pg_sum kind;   /* HF_PG_SUM_NONE: not known */
  char *data_directory;  /* "" when not known */
  struct hf_pg_tablespace *spaces;
  size_t n_spaces;
};
int hf_pg_state_read(const struct holdfast_host *host, const char *text, struct hf_pg_state *out);
void hf_pg_state_free(struct hf_pg_state *s);
/* Where a tablespace was; NULL when not known. */
const char *hf_pg_state_location(const struct hf_pg_state *s, const char *oid);

#endif
