/* snapshot.c - one committed state of a database that others write to, page by page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Write-ahead mode. A read transaction is held until the last page has been read. It keeps nobody from writing. What it holds up is that a
 * checkpoint brings frames into the file that are newer than our state, and that the log begins anew. So a page is either in the log, in the
 * newest frame up to the last of our state, or else in the file, and stays there.
 *
 * Which frame is the last of our state is in the wal-index. SQLite has no function that says it, but its header may be read by anyone: if
 * it is the same before the transaction began and after, this is what the transaction sees. If at that moment all frames had been brought
 * into the file, the log does not matter, and must not be used: SQLite may then let it begin anew. Otherwise our transaction holds it.
 *
 * Rollback modes have no such thing; see scratch.c.
 */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_REGION 32768 /* SQLite maps the wal-index in regions of this size */
#define INDEX_HEADER 48    /* twice, then the number of frames that are in the file */
#define INDEX_VERSION 3007000
#define TRIES 10000        /* each takes microseconds; a commit between two looks is rare */

int hf_sqlite_file_read(sqlite3_file *f, void *buf, size_t n, uint64_t offset) {
  int rc = f->pMethods->xRead(f, buf, (int)n, (sqlite3_int64)offset);
  return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : rc;
}

/* ---- the wal-index ---- */

struct index_header {
  unsigned char raw[INDEX_HEADER];
  uint32_t in_file;
};

static uint32_t native32(const unsigned char *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v;
}

/* Copy the header; false while a writer is just changing it, or when there is none yet. */
static bool look(const volatile unsigned char *shm, struct index_header *out) {
  unsigned char second[INDEX_HEADER];
  for (size_t i = 0; i < INDEX_HEADER; i++) out->raw[i] = shm[i];
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (size_t i = 0; i < INDEX_HEADER; i++) second[i] = shm[INDEX_HEADER + i];
  out->in_file = *(const volatile uint32_t *)(const volatile void *)(shm + 2 * INDEX_HEADER);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return memcmp(out->raw, second, INDEX_HEADER) == 0 && out->raw[12] != 0;
}

static int read_log(void *ctx, void *buf, size_t n, uint64_t offset) {
  sqlite3_file *f = ctx;
  return f->pMethods->xRead(f, buf, (int)n, (sqlite3_int64)offset) == SQLITE_OK ? 0 : HOLDFAST_E_CORRUPT;
}

/* Open a transaction whose place in the log is known, and find the pages that are there. */
static int begin_wal(const struct hf_sqlite_options *o, struct hf_sqlite_snapshot *s, const char *path, char *why) {
  void volatile *shm = NULL;
  struct index_header before, after;
  /* The transaction of begin() has mapped it; the mapping stays as long as the connection does. */
  if (s->file->pMethods->iVersion >= 2) s->file->pMethods->xShmMap(s->file, 0, INDEX_REGION, 0, &shm);
  if (!shm)
    return hf_sqlite_say(why, HOLDFAST_E_UNSUPPORTED, "%.600s: its write-ahead log is not shared with other programs, so it cannot be read from here", path);
  bool same = false;
  for (int i = 0; i < TRIES && !same; i++) {
    if (o->host->cancelled(o->host->ctx)) return hf_sqlite_say(why, HOLDFAST_E_CANCELED, "stopped");
    int rc = hf_sqlite_exec(s->db, "COMMIT");
    bool first = look(shm, &before);
    if (rc == SQLITE_OK) rc = hf_sqlite_exec(s->db, "BEGIN; SELECT 1 FROM sqlite_master LIMIT 1");
    if (rc != SQLITE_OK) return hf_sqlite_say_db(why, s->db, rc, path);
    same = look(shm, &after) && first && memcmp(before.raw, after.raw, INDEX_HEADER) == 0;
  }
  if (!same) return hf_sqlite_say(why, HOLDFAST_E_TRANSIENT, "%.600s: is written to so fast that no moment between two transactions was found", path);
  uint32_t last = native32(after.raw + 16);
  if (native32(after.raw) != INDEX_VERSION)
    return hf_sqlite_say(why, HOLDFAST_E_UNSUPPORTED, "%.600s: its wal-index has another format than this plugin knows (%u)", path, native32(after.raw));
  if (after.in_file >= last) return 0;
  char reason[HF_SQLITE_WHY];
  int rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &s->wal);
  if (rc != SQLITE_OK || !s->wal || !s->wal->pMethods)
    return hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.600s: SQLite does not hand out its write-ahead log", path);
  rc = hf_sqlite_wal_frames(read_log, s->wal, s->page_size, after.raw + 32, last, native32(after.raw + 20), &s->frames, reason);
  return rc < 0 ? hf_sqlite_say(why, rc, "%.300s: %.500s", path, reason) : 0;
}

/* ---- begin and end ---- */

static int measure(struct hf_sqlite_snapshot *s, const char *path, char *why) {
  int64_t size = 0, pages = 0;
  int rc = hf_sqlite_number(s->db, "PRAGMA page_size", &size);
  if (rc == SQLITE_OK) rc = hf_sqlite_number(s->db, "PRAGMA page_count", &pages);
  if (rc != SQLITE_OK) return hf_sqlite_say_db(why, s->db, rc, path);
  if (size < 512 || size > HF_SQLITE_PAGE_MAX || pages < 0) return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "%.600s: an impossible page size or count", path);
  s->page_size = (uint32_t)size;
  s->pages = (uint64_t)pages;
  return 0;
}

static int begin(const struct hf_sqlite_options *o, const char *path, struct hf_sqlite_snapshot *s, char *why) {
  char journal[16] = "";
  int status = hf_sqlite_open_live(path, o->busy_ms, &s->db, why);
  if (status < 0) return status;
  /* The first look: the schema is read, a journal that a killed program left is rolled back. */
  int rc = hf_sqlite_exec(s->db, "BEGIN; SELECT count(*) FROM sqlite_master");
  if (rc == SQLITE_OK) rc = hf_sqlite_text(s->db, "PRAGMA journal_mode", journal, sizeof journal);
  if (rc == SQLITE_OK) rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &s->file);
  if (rc != SQLITE_OK) return hf_sqlite_say_db(why, s->db, rc, path);
  s->is_wal = strcmp(journal, "wal") == 0;
  status = measure(s, path, why);
  if (status < 0) return status;
  if (s->is_wal) {
    status = begin_wal(o, s, path, why);
  } else {
    sqlite3 *copy = NULL;
    rc = hf_sqlite_exec(s->db, "COMMIT");
    if (rc != SQLITE_OK) return hf_sqlite_say_db(why, s->db, rc, path);
    status = hf_sqlite_scratch(o, s->db, path, &copy, why);
    if (status < 0) return status;
    sqlite3_close_v2(s->db);
    s->db = copy;
    rc = hf_sqlite_exec(s->db, "BEGIN; SELECT count(*) FROM sqlite_master");
    if (rc == SQLITE_OK) rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &s->file);
    if (rc != SQLITE_OK) return hf_sqlite_say_db(why, s->db, rc, path);
  }
  return status < 0 ? status : measure(s, path, why);
}

int hf_sqlite_snapshot_begin(const struct hf_sqlite_options *o, const char *path, struct hf_sqlite_snapshot *s, char *why) {
  *s = (struct hf_sqlite_snapshot){0};
  int rc = begin(o, path, s, why);
  if (rc == 0 && (o->quick || o->full)) rc = hf_sqlite_check(o->host, s->db, path, o->full, why);
  return rc;
}

void hf_sqlite_snapshot_end(struct hf_sqlite_snapshot *s) {
  hf_sqlite_frames_free(&s->frames);
  if (s->db) {
    hf_sqlite_exec(s->db, "ROLLBACK");
    sqlite3_close_v2(s->db);
  }
  *s = (struct hf_sqlite_snapshot){0};
}

/* ---- reading ---- */

/* Every page must be in the log or in the file. The exception is the page that holds the bytes that locks are taken on: it has no content
 * and may lie in a hole at the end. */
static int check_end(struct hf_sqlite_snapshot *s, uint64_t first, uint32_t n, char *why) {
  sqlite3_int64 size = 0;
  int rc = s->file->pMethods->xFileSize(s->file, &size);
  if (rc != SQLITE_OK) return hf_sqlite_say(why, HOLDFAST_E_FAILED, "its size cannot be read: %s", sqlite3_errstr(rc));
  for (uint64_t p = first; p < first + n; p++) {
    size_t at = hf_sqlite_frames_find(&s->frames, p + 1);
    bool in_log = at < s->frames.n && s->frames.v[at] >> 32 == p + 1;
    if ((p + 1) * s->page_size > (uint64_t)size && !in_log && p != 0x40000000 / s->page_size)
      return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "the file ends before page %llu of %llu", (unsigned long long)p + 1, (unsigned long long)s->pages);
  }
  return 0;
}

int hf_sqlite_snapshot_read(struct hf_sqlite_snapshot *s, uint64_t first, uint32_t n, unsigned char *buf, char *why) {
  uint32_t size = s->page_size;
  int rc = s->file->pMethods->xRead(s->file, buf, (int)(n * size), (sqlite3_int64)(first * size));
  if (rc == SQLITE_IOERR_SHORT_READ) {
    int status = check_end(s, first, n, why);
    if (status < 0) return status;
  } else if (rc != SQLITE_OK) {
    return hf_sqlite_say(why, HOLDFAST_E_FAILED, "page %llu cannot be read: %s", (unsigned long long)first + 1, sqlite3_errstr(rc));
  }
  for (size_t i = hf_sqlite_frames_find(&s->frames, first + 1); i < s->frames.n && s->frames.v[i] >> 32 <= first + n; i++) {
    uint64_t page = s->frames.v[i] >> 32;
    uint32_t frame = (uint32_t)s->frames.v[i];
    rc = s->wal->pMethods->xRead(s->wal, buf + (page - 1 - first) * size, (int)size, (sqlite3_int64)hf_sqlite_frame_offset(frame, size));
    if (rc != SQLITE_OK) return hf_sqlite_say(why, HOLDFAST_E_FAILED, "frame %u of the write-ahead log cannot be read: %s", frame, sqlite3_errstr(rc));
  }
  return 0;
}
