/* sqlite.h - the private header of the sqlite source: what its parts offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parts, lower ones first: util (messages, opening), wal (which page is in which frame of a write-ahead log), list (which databases, and
 * their names), check (integrity and assertions), scratch (a copy of a database in a rollback journal mode), snapshot (one state of one
 * database, page by page), state (what finish keeps), restore, replace (one database in place), verify, plugin (the callbacks).
 *
 * A rule that all of them keep: no descriptor of a database that may be in use is ever opened beside SQLite's own. Closing any descriptor of
 * a file ends all POSIX locks that this process holds on it, SQLite's among them. Live files are read through SQLite's file object.
 *
 * Unless said otherwise a function returns 0 or a negative enum holdfast_status with the message in `why`, HF_SQLITE_WHY bytes.
 */
#ifndef HF_SQLITE_H
#define HF_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <sqlite3.h>

#include <holdfast/source.h>

#define HF_SQLITE_VERSION "1.0"
#define HF_SQLITE_WHY 900
#define HF_SQLITE_PAGE_MAX 65536u

/* The rows of the settings table, in its order. */
enum hf_sqlite_setting {
  HF_SQLITE_DATABASE,
  HF_SQLITE_EXCLUDE,
  HF_SQLITE_IGNORE_MISSING,
  HF_SQLITE_BUSY_TIMEOUT,
  HF_SQLITE_CHECK,
  HF_SQLITE_CHUNK,
  HF_SQLITE_SCRATCH,
  HF_SQLITE_HOLD_LOCK,
  HF_SQLITE_FOREIGN_KEYS,
  HF_SQLITE_ASSERT,
  HF_SQLITE_N_SETTINGS
};

/* What the settings say about reading a database. */
struct hf_sqlite_options {
  const struct holdfast_host *host;
  int busy_ms;         /* how long to wait for another program's lock */
  bool quick, full;    /* which check before a backup; neither: none */
  bool hold_lock;      /* rollback journal: in the end make writers wait for one whole pass */
  const char *scratch; /* folder for copies */
  uint64_t chunk;      /* bytes; a power of two */
};

/* ---- messages, opening (util.c) ---- */

/* Put a message into why and return the status. */
int hf_sqlite_say(char *why, int status, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);
/* The same for an errno: "WHAT: reason". */
int hf_sqlite_say_errno(char *why, int errnum, const char *what);
/* The same for what SQLite last said on db (NULL: only rc is known) about the database at path, with a hint where one helps. */
int hf_sqlite_say_db(char *why, sqlite3 *db, int rc, const char *path);
/* A line for the log, formatted. */
void hf_sqlite_log(const struct holdfast_host *host, int level, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);

/* Settings to options. */
int hf_sqlite_options(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_sqlite_options *o, char *why);
/* A connection to a database that others may use. SQLite waits busy_ms for locks. Schemas are not trusted, writes are refused. */
int hf_sqlite_open_live(const char *path, int busy_ms, sqlite3 **db, char *why);
/* A connection to a file that nobody else touches: no locks, no files beside it, no writes. grows: the file is filled before it is read
 * first; it must not be in write-ahead mode then. */
int hf_sqlite_open_still(const char *path, bool grows, sqlite3 **db, char *why);
/* Run statements that give no rows that matter. Returns SQLite's result code. */
int hf_sqlite_exec(sqlite3 *db, const char *sql);
/* The first column of the first row as a number or as text (cap bytes). Returns SQLite's result code; SQLITE_DONE: no row. */
int hf_sqlite_number(sqlite3 *db, const char *sql, int64_t *out);
int hf_sqlite_text(sqlite3 *db, const char *sql, char *out, size_t cap);

/* ---- a write-ahead log (wal.c) ---- */

/* Read n bytes at an offset, all of them, or return a negative status. */
typedef int (*hf_sqlite_read_fn)(void *ctx, void *buf, size_t n, uint64_t offset);

/* The newest frame of each page in the log: page number << 32 | frame number, ascending. Both count from 1. */
struct hf_sqlite_frames {
  uint64_t *v;
  size_t n;
};

/* Read the frames 1 to last of a log, check salts and check sums of every one, and say which is the newest of each page that is no greater
 * than `pages`. The last must end a transaction that left the database with `pages` pages. salt: as in the wal-index. Memory: 8 bytes for
 * each frame. The caller frees with hf_sqlite_frames_free. */
int hf_sqlite_wal_frames(hf_sqlite_read_fn read, void *ctx, uint32_t page_size, const unsigned char salt[8], uint32_t last, uint32_t pages,
                         struct hf_sqlite_frames *out, char *why);
void hf_sqlite_frames_free(struct hf_sqlite_frames *f);
/* Index of the first element that is of the page or of one after it. */
size_t hf_sqlite_frames_find(const struct hf_sqlite_frames *f, uint64_t page);
/* Where the page that a frame holds begins in the log. */
uint64_t hf_sqlite_frame_offset(uint32_t frame, uint32_t page_size);

/* ---- which databases (list.c) ---- */

struct hf_sqlite_database {
  char *path;   /* absolute, without symbolic links */
  char *stream; /* its name in the snapshot */
  char *file;   /* its name in a folder that is restored to */
  /* Known when it has been read, or from the state: */
  bool read;
  uint32_t page_size;
  uint64_t pages;
  char journal[12]; /* "wal", or "rollback" */
  uint32_t mode, uid, gid;
  uint32_t folder_mode, folder_uid, folder_gid; /* of the folder it is in: SQLite has to write there, too; folder_mode 0: not known */
};

struct hf_sqlite_list {
  struct hf_sqlite_database *v;
  size_t n;
};

/* The databases that the settings name, sorted by path. What does not exist is an error, unless ignore-missing is set. */
int hf_sqlite_list_load(const struct holdfast_value *values, struct hf_sqlite_list *out, char *why);
/* Add an empty element; NULL when memory is out. It is valid until the next is added. */
struct hf_sqlite_database *hf_sqlite_list_add(struct hf_sqlite_list *l);
void hf_sqlite_list_free(struct hf_sqlite_list *l);

/* ---- checks (check.c) ---- */

/* quick_check, or integrity_check when full, on db, which was opened from path. What SQLite finds wrong is HOLDFAST_E_CORRUPT. A check that
 * cannot be run because the database needs functions that only its own program has is a warning in the log. */
int hf_sqlite_check(const struct holdfast_host *host, sqlite3 *db, const char *path, bool full, char *why);
/* foreign_key_check: a row whose parent is missing is HOLDFAST_E_CORRUPT. */
int hf_sqlite_check_keys(sqlite3 *db, const char *path, char *why);
/* Run one assertion: reads only, and the first column of its first row must be true. */
int hf_sqlite_check_assertion(sqlite3 *db, const char *path, const char *sql, char *why);

/* ---- one state of one database (snapshot.c, scratch.c) ---- */

struct hf_sqlite_snapshot {
  sqlite3 *db;                    /* holds the read transaction, or the copy */
  sqlite3_file *file, *wal;       /* db's own; wal: only when there are frames */
  struct hf_sqlite_frames frames; /* pages that are newer in the log than in the file */
  uint32_t page_size;
  uint64_t pages;
  bool is_wal;
};

/* Take hold of the newest committed state of the database at path. Ends with hf_sqlite_snapshot_end, also after an error. */
int hf_sqlite_snapshot_begin(const struct hf_sqlite_options *o, const char *path, struct hf_sqlite_snapshot *s, char *why);
/* Read n whole pages, the first being number `first` (from 0). n times the page size is at most 16 MiB. */
int hf_sqlite_snapshot_read(struct hf_sqlite_snapshot *s, uint64_t first, uint32_t n, unsigned char *buf, char *why);
void hf_sqlite_snapshot_end(struct hf_sqlite_snapshot *s);
/* Read at an offset through SQLite's file object; behind the end of the file there are zeros. Returns SQLite's result code. */
int hf_sqlite_file_read(sqlite3_file *f, void *buf, size_t n, uint64_t offset);

/* Copy a live database in a rollback journal mode (db, opened from path, no transaction open) to a nameless file; *copy is a connection to
 * that. Writers wait for 4 MiB at a time. Memory: 8 MiB. */
int hf_sqlite_scratch(const struct hf_sqlite_options *o, sqlite3 *db, const char *path, sqlite3 **copy, char *why);

/* ---- the state in the record (state.c) ---- */

/* What the databases' state will take at most, in bytes. */
size_t hf_sqlite_state_size(const struct hf_sqlite_list *l);
#define HF_SQLITE_STATE_MAX 65536u
/* The state of those that have been read; NULL when memory is out. The caller frees. */
char *hf_sqlite_state_write(const struct hf_sqlite_list *l);
/* Back again. "" gives an empty list. Nothing in it leads out of a folder that `file` is put into; paths are absolute. */
int hf_sqlite_state_read(const char *state, struct hf_sqlite_list *out, char *why);
struct hf_sqlite_database *hf_sqlite_list_stream(const struct hf_sqlite_list *l, const char *stream);

/* ---- one database in place (replace.c) ---- */

/* The old database, held so that nobody else can use it. */
struct hf_sqlite_old {
  bool there;  /* there is a file */
  sqlite3 *db; /* with SQLite's exclusive lock; NULL when it is no readable database or not there */
};

/* Make sure that no program uses the database at path, and keep it so. In write-ahead mode its log is brought into the file first. */
int hf_sqlite_old_hold(const char *path, int busy_ms, struct hf_sqlite_old *old, char *why);
/* Put the file `fresh`, which lies in the same folder, in its place; NULL: the place becomes empty. What was there is kept: *kept is its new name (freed by the caller),
 * NULL when there was none. Files that SQLite keeps beside a database go with the old one, or are removed. */
int hf_sqlite_old_replace(struct hf_sqlite_old *old, const char *path, const char *fresh, char **kept, char *why);
void hf_sqlite_old_release(struct hf_sqlite_old *old);

/* ---- callbacks that are files of their own ---- */

int hf_sqlite_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how, void **handle);
int hf_sqlite_restore_begin(void *handle, const char *stream, uint64_t size);
int hf_sqlite_restore_write(void *handle, const void *buf, size_t n);
int hf_sqlite_restore_end(void *handle);
int hf_sqlite_restore_finish(void *handle, int complete);
void hf_sqlite_restore_close(void *handle);
/* Tell the host, for undo, that what was at path is kept as that, with its log or journal if it has one; NULL: nothing was there. */
void hf_sqlite_tell_kept(const struct holdfast_host *host, const char *path, const char *kept);
int hf_sqlite_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
int hf_sqlite_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

#endif
