/* physical_restore.h - the restore half of mode = physical: callbacks as in <holdfast/source.h>.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PG_PHYSICAL_RESTORE_H
#define HF_PG_PHYSICAL_RESTORE_H

#include "postgres.h"

int hf_pg_physical_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                                void **handle);
int hf_pg_physical_restore_begin(void *handle, const char *stream, uint64_t size);
int hf_pg_physical_restore_write(void *handle, const void *buf, size_t n);
int hf_pg_physical_restore_end(void *handle);
int hf_pg_physical_restore_finish(void *handle, int complete);
void hf_pg_physical_restore_close(void *handle);
/* physical_verify.c */
int hf_pg_physical_undo(const struct holdfast_host *host, const struct holdfast_kept *items, size_t n);
int hf_pg_physical_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

#endif
