/* state_impl.h - shared by the files of core/state only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_STATE_IMPL_H
#define HF_STATE_IMPL_H

#include <sqlite3.h>

#include "state/state.h"

enum hf_stmt {
  ST_META_GET, ST_META_SET, ST_PACK_BEGIN, ST_PACK_SEALED, ST_PACK_INDEXED, ST_CHUNK_FIND, ST_CHUNK_ADD, ST_PACK_GET, ST_PACK_FIND, ST_PACK_FORGET, ST_PACK_DROP, ST_CHUNKS_FORGET, ST_COPY_ADD, ST_COPY_ANY, ST_COPIES_OF, ST_COPIES_FORGET, ST_COPIES_TAKE,
  ST_PACKS_EACH, ST_PACKS_OF, ST_CHUNKS_EACH, ST_INDEX_ADD, ST_INDEX_SIZE, ST_INDEX_FIND, ST_INDEX_GET, ST_INDEX_MAX, ST_PACK_MAX, ST_INDEX_PACK, ST_INDEX_FORGET, ST_INDEX_CLEAR, ST_INDEX_KNOWN, ST_INDEX_KNOWS, ST_RECORD_ADD, ST_RECORD_GET, ST_RECORD_MAX, ST_RECIPE_GET,
  ST_RECIPE_KEEP, ST_RECIPE_DROP, ST_RECIPE_HAS, ST_RECIPE_OF, ST_KEPT_GET, ST_KEPT_SET, ST_KEPT_SWEEP, ST_COUNT
};

struct hf_state {
  sqlite3 *db;
  char *dir;
  bool temporary;
  sqlite3_stmt *st[ST_COUNT];
};

/* The prepared statement, reset and with its bindings cleared. */
sqlite3_stmt *hf_state_stmt(struct hf_state *s, enum hf_stmt which);
/* Turn the last SQLite error into *err: full disk is HOLDFAST_E_NO_SPACE, damage HOLDFAST_E_CORRUPT. */
int hf_state_fail(struct hf_state *s, const char *what, struct hf_error *err);
/* Step a statement that returns no row, and reset it. */
int hf_state_run(struct hf_state *s, sqlite3_stmt *st, const char *what, struct hf_error *err);
/* Bind and read digests. */
void hf_state_bind_digest(sqlite3_stmt *st, int i, const struct hf_digest *d);
bool hf_state_column_digest(sqlite3_stmt *st, int i, struct hf_digest *d);

#endif
