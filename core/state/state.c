/* state.c - opening the host's database, transactions, facts by name.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state/state.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "state/state_impl.h"

/* 2: kept; 3: copies */
#define SCHEMA_VERSION 3

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS indexes(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, packs INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS packs(id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB UNIQUE, stored INTEGER, raw INTEGER, kind INTEGER NOT NULL, source TEXT NOT NULL, audience TEXT NOT NULL,"
    " idx INTEGER NOT NULL DEFAULT 0, ordinal INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX IF NOT EXISTS packs_idx ON packs(idx, ordinal);"
    "CREATE TABLE IF NOT EXISTS chunks(id BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS chunks_pack ON chunks(pack, offset);"
    "CREATE TABLE IF NOT EXISTS copies(id BLOB NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY(id, pack)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS copies_pack ON copies(pack);"
    "CREATE TABLE IF NOT EXISTS records(seq INTEGER PRIMARY KEY, digest BLOB NOT NULL, json BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS recipes(source TEXT NOT NULL, stream TEXT NOT NULL, audience TEXT NOT NULL, file TEXT NOT NULL, sha256 BLOB NOT NULL, snapshot INTEGER NOT NULL,"
    " PRIMARY KEY(source, stream)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS kept(target TEXT NOT NULL, object BLOB NOT NULL, since INTEGER NOT NULL, PRIMARY KEY(target, object)) WITHOUT ROWID;";

static const char *const sql[ST_COUNT] = {
    [ST_META_GET] = "SELECT value FROM meta WHERE key=?1",
    [ST_META_SET] = "INSERT INTO meta(key,value) VALUES(?1,?2) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
    [ST_PACK_BEGIN] = "INSERT INTO packs(kind,source,audience) VALUES(?1,?2,?3)",
    [ST_PACK_SEALED] = "UPDATE packs SET digest=?2, stored=?3, raw=?4 WHERE id=?1",
    [ST_PACK_INDEXED] = "UPDATE packs SET idx=?2, ordinal=?3 WHERE id=?1",
    [ST_CHUNK_FIND] = "SELECT pack,offset,length FROM chunks WHERE id=?1",
    [ST_CHUNK_ADD] = "INSERT OR IGNORE INTO chunks(id,pack,offset,length) VALUES(?1,?2,?3,?4)",
    [ST_COPY_ADD] = "INSERT OR IGNORE INTO copies(id,pack,offset,length) SELECT ?1,?2,?3,?4 WHERE NOT EXISTS(SELECT 1 FROM chunks WHERE id=?1 AND pack=?2)",
    [ST_COPY_ANY] = "SELECT 1 FROM copies LIMIT 1",
    [ST_COPIES_OF] = "SELECT pack,offset,length FROM copies WHERE id=?1",
    [ST_COPIES_FORGET] = "DELETE FROM copies WHERE pack=?1",
    [ST_COPIES_TAKE] = "INSERT OR REPLACE INTO chunks(id,pack,offset,length) SELECT c.id,c.pack,c.offset,c.length FROM chunks k JOIN copies c ON c.id=k.id WHERE k.pack=?1",
    [ST_PACK_GET] = "SELECT id,digest,stored,raw,kind,idx,ordinal FROM packs WHERE id=?1",
    [ST_PACK_FIND] = "SELECT id,digest,stored,raw,kind,idx,ordinal FROM packs WHERE digest=?1",
    [ST_PACK_FORGET] = "UPDATE packs SET digest=NULL WHERE id=?1",
    [ST_PACK_DROP] = "DELETE FROM packs WHERE id=?1",
    [ST_CHUNKS_FORGET] = "DELETE FROM chunks WHERE pack=?1",
    [ST_PACKS_EACH] = "SELECT id,digest,stored,raw,kind,idx,ordinal FROM packs WHERE digest IS NOT NULL ORDER BY id",
    [ST_PACKS_OF] = "SELECT id,digest,stored,raw,kind,idx,ordinal FROM packs WHERE digest IS NOT NULL AND audience=?1 ORDER BY id",
    [ST_CHUNKS_EACH] = "SELECT id,offset,length FROM chunks WHERE pack=?1 ORDER BY offset",
    [ST_INDEX_ADD] = "INSERT INTO indexes(digest,packs) VALUES(?1,?2)",
    [ST_INDEX_SIZE] = "UPDATE indexes SET packs=?2 WHERE id=?1",
    [ST_INDEX_FIND] = "SELECT id,packs FROM indexes WHERE digest=?1",
    [ST_INDEX_GET] = "SELECT digest,packs FROM indexes WHERE id=?1",
    [ST_INDEX_MAX] = "SELECT coalesce(max(id),0) FROM indexes",
    [ST_PACK_MAX] = "SELECT coalesce(max(id),0) FROM packs",
    [ST_INDEX_PACK] = "SELECT id,digest,stored,raw,kind,idx,ordinal FROM packs WHERE idx=?1 AND ordinal=?2 AND digest IS NOT NULL",
    [ST_INDEX_FORGET] = "DELETE FROM indexes WHERE id=?1",
    [ST_INDEX_CLEAR] = "DELETE FROM packs WHERE idx=?1 AND digest IS NULL",
    [ST_INDEX_KNOWN] = "SELECT count(*) FROM packs WHERE idx=?1",
    [ST_INDEX_KNOWS] = "SELECT 1 FROM packs WHERE idx=?1 AND ordinal=?2",
    [ST_RECORD_ADD] = "INSERT OR REPLACE INTO records(seq,digest,json) VALUES(?1,?2,?3)",
    [ST_RECORD_GET] = "SELECT digest,json FROM records WHERE seq=?1",
    [ST_RECORD_MAX] = "SELECT coalesce(max(seq),0) FROM records",
    [ST_RECIPE_GET] = "SELECT file,sha256 FROM recipes WHERE source=?1 AND stream=?2 AND audience=?3",
    [ST_RECIPE_KEEP] = "INSERT OR REPLACE INTO recipes(source,stream,audience,file,sha256,snapshot) VALUES(?1,?2,?3,?4,?5,?6)",
    [ST_RECIPE_DROP] = "DELETE FROM recipes WHERE file=?1",
    [ST_RECIPE_HAS] = "SELECT 1 FROM recipes WHERE file=?1",
    [ST_KEPT_GET] = "SELECT since FROM kept WHERE target=?1 AND object=?2",
    [ST_KEPT_SET] = "INSERT INTO kept(target,object,since) VALUES(?1,?2,?3) ON CONFLICT(target,object) DO UPDATE SET since=excluded.since",
    [ST_KEPT_SWEEP] = "DELETE FROM kept WHERE target=?1 AND since<?2",
    [ST_RECIPE_OF] = "SELECT file,sha256 FROM recipes WHERE source=?1 AND stream=?2 AND snapshot=?3",
};

int hf_state_fail(struct hf_state *s, const char *what, struct hf_error *err) {
  int rc = sqlite3_errcode(s->db) & 0xff;
  int code = rc == SQLITE_FULL ? HOLDFAST_E_NO_SPACE : rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? HOLDFAST_E_CORRUPT : HOLDFAST_E_FAILED;
  return hf_fail(err, code, "state database %s/state.sqlite: %s: %s", s->dir, what, sqlite3_errmsg(s->db));
}

sqlite3_stmt *hf_state_stmt(struct hf_state *s, enum hf_stmt which) {
  sqlite3_reset(s->st[which]);
  sqlite3_clear_bindings(s->st[which]);
  return s->st[which];
}

int hf_state_run(struct hf_state *s, sqlite3_stmt *st, const char *what, struct hf_error *err) {
  int rc = sqlite3_step(st);
  if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
    sqlite3_reset(st);
    return 0;
  }
  int code = hf_state_fail(s, what, err);
  sqlite3_reset(st);
  return code;
}

void hf_state_bind_digest(sqlite3_stmt *st, int i, const struct hf_digest *d) { sqlite3_bind_blob(st, i, d->b, HF_SHA256_LEN, SQLITE_STATIC); }

bool hf_state_column_digest(sqlite3_stmt *st, int i, struct hf_digest *d) {
  if (sqlite3_column_bytes(st, i) != HF_SHA256_LEN) return false;
  memcpy(d->b, sqlite3_column_blob(st, i), HF_SHA256_LEN);
  return true;
}

static int exec(struct hf_state *s, const char *text, const char *what, struct hf_error *err) {
  if (sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK) return 0;
  return hf_state_fail(s, what, err);
}

static int check_folder(const char *dir, bool create, struct hf_error *err) {
  struct stat st;
  if (create) {
    int r = hf_mkdir_p(dir, 0700, err);
    if (r < 0) return hf_prefix(err, "state folder");
  }
  if (stat(dir, &st) < 0) return hf_fail_errno(err, errno, "state folder %s", dir);
  if (!S_ISDIR(st.st_mode)) return hf_fail(err, HOLDFAST_E_CONFIG, "state folder %s is not a folder", dir);
  if ((st.st_mode & 022) != 0) {
    return hf_fail(err, HOLDFAST_E_AUTH, "state folder %s can be written by others (mode %04o): it holds the host's keys; chmod go-rwx it", dir, (unsigned)(st.st_mode & 07777));
  }
  return 0;
}

static int set_up(struct hf_state *s, struct hf_error *err) {
  char text[64];
  int r = exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=FILE; PRAGMA foreign_keys=OFF;", "open", err);
  if (r < 0) return r;
  snprintf(text, sizeof text, "PRAGMA cache_size=-%d;", HF_STATE_CACHE_KIB);
  r = exec(s, text, "open", err);
  if (r < 0) return r;

  sqlite3_stmt *st = NULL;
  if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW) {
    sqlite3_finalize(st);
    return hf_state_fail(s, "read version", err);
  }
  int version = sqlite3_column_int(st, 0);
  sqlite3_finalize(st);
  if (version > SCHEMA_VERSION) {
    return hf_fail(err, HOLDFAST_E_CONFIG, "state database %s/state.sqlite is of version %d, written by a newer holdfast; this one knows %d", s->dir, version, SCHEMA_VERSION);
  }
  if (version < SCHEMA_VERSION) {
    snprintf(text, sizeof text, "PRAGMA user_version=%d;", SCHEMA_VERSION);
    if ((r = exec(s, "BEGIN IMMEDIATE", "begin", err)) < 0 || (r = exec(s, schema, "make tables", err)) < 0 || (r = exec(s, text, "set version", err)) < 0 ||
        (r = exec(s, "COMMIT", "commit", err)) < 0)
      return r;
  }
  for (int i = 0; i < ST_COUNT; i++) {
    if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i], NULL) != SQLITE_OK) return hf_state_fail(s, "prepare", err);
  }
  return exec(s, "BEGIN", "begin", err);
}

int hf_state_open(const char *dir, bool create, struct hf_state **out, struct hf_error *err) {
  int r = check_folder(dir, create, err);
  if (r < 0) return r;
  struct hf_state *s = hf_alloc(sizeof *s);
  s->dir = hf_strdup(dir);
  HF_CLEANUP(hf_freep) char *path = hf_path_join(dir, HF_STATE_DB);
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  mode_t old = umask(077);
  int rc = sqlite3_open_v2(path, &s->db, flags, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(s->db, 10000);
    r = set_up(s, err);
  } else {
    int why = access(path, R_OK | W_OK) < 0 ? errno : 0;
    if (why == ENOENT && !create) r = hf_fail(err, HOLDFAST_E_NOT_FOUND, "no state database in %s: run holdfast init first", dir);
    else if (why == EACCES) r = hf_fail_errno(err, why, "state database %s", path);
    else r = hf_state_fail(s, "open", err);
  }
  umask(old);
  if (r < 0) {
    hf_state_close(s);
    return r;
  }
  *out = s;
  return 0;
}

int hf_state_open_temporary(struct hf_state **out, struct hf_error *err) {
  const char *tmp = getenv("TMPDIR");
  HF_CLEANUP(hf_freep) char *dir = hf_path_join(tmp && *tmp ? tmp : "/tmp", "holdfast-XXXXXX");
  if (!mkdtemp(dir)) return hf_fail_errno(err, errno, "cannot make a temporary folder %s", dir);
  int r = hf_state_open(dir, true, out, err);
  if (r < 0) {
    hf_remove_tree(dir, NULL);
    return r;
  }
  (*out)->temporary = true;
  return 0;
}

void hf_state_close(struct hf_state *s) {
  if (!s) return;
  for (int i = 0; i < ST_COUNT; i++) sqlite3_finalize(s->st[i]);
  if (s->db) {
    if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(s->db);
  }
  if (s->temporary) hf_remove_tree(s->dir, NULL);
  free(s->dir);
  free(s);
}

const char *hf_state_dir(const struct hf_state *s) { return s->dir; }

bool hf_state_is_temporary(const struct hf_state *s) { return s->temporary; }

static void reset_all(struct hf_state *s) {
  for (int i = 0; i < ST_COUNT; i++) sqlite3_reset(s->st[i]);
}

int hf_state_commit(struct hf_state *s, struct hf_error *err) {
  reset_all(s);
  int r = exec(s, "COMMIT", "commit", err);
  if (r < 0) {
    if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    exec(s, "BEGIN", "begin", NULL);
    return r;
  }
  return exec(s, "BEGIN", "begin", err);
}

int hf_state_rollback(struct hf_state *s, struct hf_error *err) {
  reset_all(s);
  if (!sqlite3_get_autocommit(s->db)) {
    int r = exec(s, "ROLLBACK", "roll back", err);
    if (r < 0) return r;
  }
  return exec(s, "BEGIN", "begin", err);
}

int hf_state_get(struct hf_state *s, const char *key, char **value, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_META_GET);
  sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
  int rc = sqlite3_step(st);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return hf_state_fail(s, "read", err);
  *value = rc == SQLITE_ROW ? hf_strdup((const char *)sqlite3_column_text(st, 0)) : NULL;
  sqlite3_reset(st);
  return 0;
}

int hf_state_set(struct hf_state *s, const char *key, const char *value, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_META_SET);
  sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
  return hf_state_run(s, st, "write", err);
}

int hf_state_get_number(struct hf_state *s, const char *key, int64_t none, int64_t *out, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *text = NULL;
  int r = hf_state_get(s, key, &text, err);
  *out = r == 0 && text ? strtoll(text, NULL, 10) : none;
  return r;
}

int hf_state_set_number(struct hf_state *s, const char *key, int64_t value, struct hf_error *err) {
  char text[24];
  snprintf(text, sizeof text, "%lld", (long long)value);
  return hf_state_set(s, key, text, err);
}
