/* catalogue.c - which chunks are in which packs, and which packs in which indexes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/state.h"
#include "state/state_impl.h"

static void read_pack(sqlite3_stmt *st, struct hf_state_pack *p) {
  memset(p, 0, sizeof *p);
  p->row = sqlite3_column_int64(st, 0);
  hf_state_column_digest(st, 1, &p->digest);
  p->stored = (uint64_t)sqlite3_column_int64(st, 2);
  p->raw = (uint64_t)sqlite3_column_int64(st, 3);
  p->kind = sqlite3_column_int(st, 4);
  p->index_row = sqlite3_column_int64(st, 5);
  p->ordinal = (uint64_t)sqlite3_column_int64(st, 6);
}

/* Step a query for one pack: 1 and *out, 0, negative. */
static int one_pack(struct hf_state *s, sqlite3_stmt *st, struct hf_state_pack *out, struct hf_error *err) {
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : hf_state_fail(s, "find pack", err);
  if (r == 1 && out) read_pack(st, out);
  sqlite3_reset(st);
  return r;
}

int hf_state_pack_begin(struct hf_state *s, int kind, const char *source, const char *audience, int64_t *row, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_PACK_BEGIN);
  sqlite3_bind_int(st, 1, kind);
  sqlite3_bind_text(st, 2, source, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 3, audience, -1, SQLITE_STATIC);
  int r = hf_state_run(s, st, "add pack", err);
  if (r == 0) *row = sqlite3_last_insert_rowid(s->db);
  return r;
}

int hf_state_pack_sealed(struct hf_state *s, int64_t row, const struct hf_digest *d, uint64_t stored, uint64_t raw, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_PACK_SEALED);
  sqlite3_bind_int64(st, 1, row);
  hf_state_bind_digest(st, 2, d);
  sqlite3_bind_int64(st, 3, (int64_t)stored);
  sqlite3_bind_int64(st, 4, (int64_t)raw);
  return hf_state_run(s, st, "update pack", err);
}

int hf_state_pack_indexed(struct hf_state *s, int64_t row, int64_t index_row, uint64_t ordinal, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_PACK_INDEXED);
  sqlite3_bind_int64(st, 1, row);
  sqlite3_bind_int64(st, 2, index_row);
  sqlite3_bind_int64(st, 3, (int64_t)ordinal);
  return hf_state_run(s, st, "update pack", err);
}

int hf_state_chunk_find(struct hf_state *s, const struct hf_digest *id, struct hf_state_chunk *out, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_CHUNK_FIND);
  hf_state_bind_digest(st, 1, id);
  int rc = sqlite3_step(st);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return hf_state_fail(s, "find chunk", err);
  if (rc == SQLITE_ROW && out) {
    out->pack = sqlite3_column_int64(st, 0);
    out->offset = (uint32_t)sqlite3_column_int64(st, 1);
    out->length = (uint32_t)sqlite3_column_int64(st, 2);
  }
  sqlite3_reset(st);
  return rc == SQLITE_ROW;
}

int hf_state_chunk_add(struct hf_state *s, const struct hf_digest *id, int64_t pack, uint32_t offset, uint32_t length, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_CHUNK_ADD);
  hf_state_bind_digest(st, 1, id);
  sqlite3_bind_int64(st, 2, pack);
  sqlite3_bind_int64(st, 3, offset);
  sqlite3_bind_int64(st, 4, length);
  int r = hf_state_run(s, st, "add chunk", err);
  if (r < 0 || sqlite3_changes(s->db) > 0) return r;
  st = hf_state_stmt(s, ST_COPY_ADD);
  hf_state_bind_digest(st, 1, id);
  sqlite3_bind_int64(st, 2, pack);
  sqlite3_bind_int64(st, 3, offset);
  sqlite3_bind_int64(st, 4, length);
  return hf_state_run(s, st, "add copy of a chunk", err);
}

int hf_state_chunk_find_in(struct hf_state *s, const struct hf_digest *id, bool (*in)(void *ctx, int64_t pack), void *ctx, struct hf_state_chunk *out, struct hf_error *err) {
  int r = hf_state_chunk_find(s, id, out, err), rc;
  if (r <= 0 || in(ctx, out->pack)) return r;
  sqlite3_stmt *st = hf_state_stmt(s, ST_COPIES_OF);
  hf_state_bind_digest(st, 1, id);
  while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
    int64_t pack = sqlite3_column_int64(st, 0);
    if (!in(ctx, pack)) continue;
    *out = (struct hf_state_chunk){.pack = pack, .offset = (uint32_t)sqlite3_column_int64(st, 1), .length = (uint32_t)sqlite3_column_int64(st, 2)};
    break;
  }
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) r = hf_state_fail(s, "find copies of a chunk", err);
  sqlite3_reset(st);
  return r;
}

int hf_state_has_copies(struct hf_state *s, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_COPY_ANY);
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : hf_state_fail(s, "find copies", err);
  sqlite3_reset(st);
  return r;
}

int hf_state_pack_get(struct hf_state *s, int64_t row, struct hf_state_pack *out, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_PACK_GET);
  sqlite3_bind_int64(st, 1, row);
  int r = one_pack(s, st, out, err);
  return r == 1 ? 0 : r < 0 ? r : hf_fail(err, HOLDFAST_E_NOT_FOUND, "the catalogue knows no pack %lld", (long long)row);
}

int hf_state_pack_find(struct hf_state *s, const struct hf_digest *d, struct hf_state_pack *out, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_PACK_FIND);
  hf_state_bind_digest(st, 1, d);
  return one_pack(s, st, out, err);
}

int hf_state_index_pack(struct hf_state *s, int64_t index_row, uint64_t ordinal, struct hf_state_pack *out, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_PACK);
  sqlite3_bind_int64(st, 1, index_row);
  sqlite3_bind_int64(st, 2, (int64_t)ordinal);
  return one_pack(s, st, out, err);
}

/* What other packs have of its chunks is there from now on. */
static int forget_by(struct hf_state *s, enum hf_stmt how, int64_t row, struct hf_error *err) {
  const struct { enum hf_stmt which; const char *what; } steps[] = {
      {ST_COPIES_FORGET, "forget copies"}, {ST_COPIES_TAKE, "take copies"}, {ST_CHUNKS_FORGET, "forget chunks"}, {how, "forget pack"}};
  int r = 0;
  for (size_t i = 0; r == 0 && i < HF_NELEM(steps); i++) {
    sqlite3_stmt *st = hf_state_stmt(s, steps[i].which);
    sqlite3_bind_int64(st, 1, row);
    r = hf_state_run(s, st, steps[i].what, err);
  }
  return r;
}

int hf_state_pack_forget(struct hf_state *s, int64_t row, struct hf_error *err) { return forget_by(s, ST_PACK_FORGET, row, err); }

int hf_state_pack_drop(struct hf_state *s, int64_t row, struct hf_error *err) { return forget_by(s, ST_PACK_DROP, row, err); }

static int each_pack(struct hf_state *s, sqlite3_stmt *st, int (*fn)(void *, const struct hf_state_pack *, struct hf_error *), void *ctx, struct hf_error *err) {
  int r = 0, rc;
  while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
    if (rc != SQLITE_ROW) {
      r = hf_state_fail(s, "list packs", err);
      break;
    }
    struct hf_state_pack p;
    read_pack(st, &p);
    r = fn(ctx, &p, err);
  }
  sqlite3_reset(st);
  return r;
}

int hf_state_packs_each(struct hf_state *s, int (*fn)(void *, const struct hf_state_pack *, struct hf_error *), void *ctx, struct hf_error *err) {
  return each_pack(s, hf_state_stmt(s, ST_PACKS_EACH), fn, ctx, err);
}

int hf_state_packs_of(struct hf_state *s, const char *audience, int (*fn)(void *, const struct hf_state_pack *, struct hf_error *), void *ctx, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_PACKS_OF);
  sqlite3_bind_text(st, 1, audience, -1, SQLITE_STATIC);
  return each_pack(s, st, fn, ctx, err);
}

int hf_state_chunks_each(struct hf_state *s, int64_t pack, int (*fn)(void *, const struct hf_digest *, uint32_t, uint32_t, struct hf_error *), void *ctx, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_CHUNKS_EACH);
  sqlite3_bind_int64(st, 1, pack);
  int r = 0, rc;
  while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
    struct hf_digest id;
    if (rc != SQLITE_ROW || !hf_state_column_digest(st, 0, &id)) {
      r = hf_state_fail(s, "list chunks", err);
      break;
    }
    r = fn(ctx, &id, (uint32_t)sqlite3_column_int64(st, 1), (uint32_t)sqlite3_column_int64(st, 2), err);
  }
  sqlite3_reset(st);
  return r;
}

int hf_state_index_add(struct hf_state *s, const struct hf_digest *d, uint64_t packs, int64_t *row, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_ADD);
  hf_state_bind_digest(st, 1, d);
  sqlite3_bind_int64(st, 2, (int64_t)packs);
  int r = hf_state_run(s, st, "add index", err);
  if (r == 0) *row = sqlite3_last_insert_rowid(s->db);
  return r;
}

int hf_state_index_size(struct hf_state *s, int64_t row, uint64_t packs, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_SIZE);
  sqlite3_bind_int64(st, 1, row);
  sqlite3_bind_int64(st, 2, (int64_t)packs);
  return hf_state_run(s, st, "update index", err);
}

int hf_state_index_find(struct hf_state *s, const struct hf_digest *d, int64_t *row, uint64_t *packs, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_FIND);
  hf_state_bind_digest(st, 1, d);
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : hf_state_fail(s, "find index", err);
  if (r == 1) {
    if (row) *row = sqlite3_column_int64(st, 0);
    if (packs) *packs = (uint64_t)sqlite3_column_int64(st, 1);
  }
  sqlite3_reset(st);
  return r;
}

int hf_state_index_get(struct hf_state *s, int64_t row, struct hf_digest *d, uint64_t *packs, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_GET);
  sqlite3_bind_int64(st, 1, row);
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW && hf_state_column_digest(st, 0, d) ? 0 : rc == SQLITE_DONE ? hf_fail(err, HOLDFAST_E_NOT_FOUND, "the catalogue knows no index %lld", (long long)row) : hf_state_fail(s, "find index", err);
  if (r == 0) *packs = (uint64_t)sqlite3_column_int64(st, 1);
  sqlite3_reset(st);
  return r;
}

int hf_state_index_forget(struct hf_state *s, int64_t row, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_CLEAR);
  sqlite3_bind_int64(st, 1, row);
  int r = hf_state_run(s, st, "forget packs of an index", err);
  if (r < 0) return r;
  st = hf_state_stmt(s, ST_INDEX_FORGET);
  sqlite3_bind_int64(st, 1, row);
  return hf_state_run(s, st, "forget index", err);
}

int hf_state_index_known(struct hf_state *s, int64_t row, uint64_t *packs, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_KNOWN);
  sqlite3_bind_int64(st, 1, row);
  int r = sqlite3_step(st) == SQLITE_ROW ? 0 : hf_state_fail(s, "count packs", err);
  if (r == 0) *packs = (uint64_t)sqlite3_column_int64(st, 0);
  sqlite3_reset(st);
  return r;
}

int hf_state_index_knows(struct hf_state *s, int64_t index_row, uint64_t ordinal, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_INDEX_KNOWS);
  sqlite3_bind_int64(st, 1, index_row);
  sqlite3_bind_int64(st, 2, (int64_t)ordinal);
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : hf_state_fail(s, "find pack", err);
  sqlite3_reset(st);
  return r;
}

static int64_t one_number(struct hf_state *s, enum hf_stmt which) {
  sqlite3_stmt *st = hf_state_stmt(s, which);
  int64_t n = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
  sqlite3_reset(st);
  return n;
}

int64_t hf_state_index_max(struct hf_state *s) { return one_number(s, ST_INDEX_MAX); }

int64_t hf_state_pack_max(struct hf_state *s) { return one_number(s, ST_PACK_MAX); }

uint64_t hf_state_record_max(struct hf_state *s) { return (uint64_t)one_number(s, ST_RECORD_MAX); }
