/* compact_needed.c - which chunks live snapshots need, by their recipes: in a temporary database that spills to disk.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/compact_impl.h"

static int db_fail(struct hf_compacting *w, struct hf_error *err) {
  int code = (sqlite3_errcode(w->db) & 0xff) == SQLITE_FULL ? HOLDFAST_E_NO_SPACE : HOLDFAST_E_FAILED;
  return hf_fail(err, code, "temporary database of what is needed: %s", sqlite3_errmsg(w->db));
}

int hf_compact_needed_open(struct hf_compacting *w, struct hf_error *err) {
  static const char tables[] =
      "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192; PRAGMA temp_store=FILE; BEGIN;"
      "CREATE TABLE needed(id BLOB PRIMARY KEY) WITHOUT ROWID; CREATE TABLE walked(id BLOB PRIMARY KEY) WITHOUT ROWID;";
  if (sqlite3_open_v2("", &w->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
      sqlite3_exec(w->db, tables, NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(w->db, "INSERT OR IGNORE INTO needed VALUES(?1)", -1, &w->add, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(w->db, "SELECT 1 FROM needed WHERE id=?1", -1, &w->has, NULL) == SQLITE_OK &&
      sqlite3_prepare_v2(w->db, "INSERT OR IGNORE INTO walked VALUES(?1)", -1, &w->walk, NULL) == SQLITE_OK)
    return 0;
  return db_fail(w, err);
}

/* Run a statement on one digest: SQLITE_DONE, SQLITE_ROW or something bad. */
static int db_step(sqlite3_stmt *st, const struct hf_digest *d) {
  sqlite3_reset(st);
  sqlite3_bind_blob(st, 1, d->b, HF_SHA256_LEN, SQLITE_TRANSIENT);
  int rc = sqlite3_step(st);
  sqlite3_reset(st);
  return rc;
}

static int need(struct hf_compacting *w, const struct hf_digest *id, struct hf_error *err) {
  return db_step(w->add, id) == SQLITE_DONE ? 0 : db_fail(w, err);
}

static int walk_stream(struct hf_compacting *w, struct hf_reading *rd, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_mapped recipe = {0};
  struct hf_recipe_reader rr;
  struct hf_recipe_entry entry;
  struct hf_slice slice;
  int r = 0, t = 0;
  for (size_t i = 0; r == 0 && i < st->n_recipe; i++) r = need(w, &st->recipe[i], err);
  if (r == 0 && db_step(w->walk, &st->recipe_sha256) != SQLITE_DONE) r = db_fail(w, err);
  /* Most snapshots have the recipe of the one before. */
  if (r < 0 || sqlite3_changes(w->db) == 0) return r;
  r = hf_reading_recipe(rd, st, false, &recipe, err);
  if (r == 0) r = hf_recipe_open(&rr, recipe.p, recipe.n, err);
  while (r == 0 && (t = hf_recipe_next(&rr, &slice, &entry, err)) > 0) {
    if (t == HF_RL_SLICE) r = need(w, &slice.id, err);
  }
  hf_mapped_free(&recipe);
  return r == 0 ? t : r;
}

int hf_compact_needed_add(struct hf_compacting *w, const struct hf_record *rec, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < rec->n_sources; i++) {
    const struct hf_record_source *src = &rec->sources[i];
    struct hf_reading rd;
    if (strcmp(src->audience, w->now->name) != 0) continue;
    hf_reading_init(w->s, rec, src, &rd);
    for (size_t k = 0; r == 0 && k < src->n_streams; k++) r = walk_stream(w, &rd, &src->streams[k], err);
    hf_wipe(&rd.audience, sizeof rd.audience);
    if (r < 0) hf_prefix(err, "snapshot %llu", (unsigned long long)rec->seq);
    if (!w->o->dry) hf_repo_lock_renew(w->s);
  }
  return r;
}

bool hf_compact_is_needed(struct hf_compacting *w, const struct hf_digest *id) {
  int rc = db_step(w->has, id);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) db_fail(w, &w->e);
  return rc == SQLITE_ROW;
}

void hf_compact_needed_close(struct hf_compacting *w) {
  sqlite3_finalize(w->add);
  sqlite3_finalize(w->has);
  sqlite3_finalize(w->walk);
  sqlite3_close(w->db);
  w->add = w->has = w->walk = NULL;
  w->db = NULL;
}
