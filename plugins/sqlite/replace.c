/* replace.c - putting a restored database where the old one is.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program that has the old file open would go on with it after the rename, unseen and in vain. In write-ahead mode SQLite's locks tell of
 * every program that has it open; in other modes only of one that is reading or writing just now. So the open files of all processes are
 * looked at too, as far as the system shows them (to root: all).
 *
 * A write-ahead log beside the database belongs to the old one: SQLite would bring it into the new one, and destroy it. With the exclusive
 * lock the old database is taken out of write-ahead mode, so that it is whole by itself and closing it later touches nothing beside it.
 * One that SQLite cannot open is kept together with its log and journal.
 */
#include "sqlite.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- who has it open? ---- */

/* The process that has it open, other than this one, or 0. */
static long user_of(const struct stat *file) {
  DIR *all = opendir("/proc");
  long found = 0;
  for (struct dirent *p; all && found == 0 && (p = readdir(all));) {
    char path[300];
    struct stat st;
    if (!isdigit((unsigned char)p->d_name[0]) || atol(p->d_name) == (long)getpid()) continue;
    snprintf(path, sizeof path, "%s/fd", p->d_name);
    int fd = openat(dirfd(all), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *fds = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !fds) close(fd);
    for (struct dirent *f; fds && found == 0 && (f = readdir(fds));)
      if (f->d_name[0] != '.' && fstatat(dirfd(fds), f->d_name, &st, 0) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino) found = atol(p->d_name);
    if (fds) closedir(fds);
  }
  if (all) closedir(all);
  return found;
}

static void name_of(long pid, char *out, size_t cap) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/comm", pid);
  FILE *f = fopen(path, "re");
  if (!f || !fgets(out, (int)cap, f)) snprintf(out, cap, "?");
  if (f) fclose(f);
  out[strcspn(out, "\n")] = '\0';
}

/* ---- holding the old one ---- */

static int in_use(const char *path, char *why) {
  return hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.600s: a program is using it: stop that program, then restore again", path);
}

/* SQLite's exclusive lock. Returns its result code. */
static int lock(sqlite3 *db) {
  char journal[16] = "";
  int rc = hf_sqlite_text(db, "PRAGMA journal_mode", journal, sizeof journal);
  if (rc == SQLITE_OK) rc = hf_sqlite_exec(db, "SELECT count(*) FROM sqlite_master");
  if (rc == SQLITE_OK && strcmp(journal, "wal") == 0) {
    rc = hf_sqlite_text(db, "PRAGMA journal_mode = DELETE", journal, sizeof journal);
    if (rc == SQLITE_OK && strcmp(journal, "wal") == 0) rc = SQLITE_BUSY;
  }
  return rc == SQLITE_OK ? hf_sqlite_exec(db, "BEGIN EXCLUSIVE") : rc;
}

int hf_sqlite_old_hold(const char *path, int busy_ms, struct hf_sqlite_old *old, char *why) {
  struct stat st;
  *old = (struct hf_sqlite_old){0};
  if (lstat(path, &st) != 0) return errno == ENOENT ? 0 : hf_sqlite_say_errno(why, errno, path);
  old->there = true;
  long pid = user_of(&st);
  if (pid > 0) {
    char name[32];
    name_of(pid, name, sizeof name);
    return hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.600s: process %ld (%s) has it open: stop that program, then restore again", path, pid, name);
  }
  int rc = sqlite3_open_v2(path, &old->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_busy_timeout(old->db, busy_ms);
    rc = lock(old->db);
  }
  if (rc == SQLITE_OK) return 0;
  if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED) {
    rc = in_use(path, why);
    hf_sqlite_old_release(old);
    return rc;
  }
  /* It is damaged: that may be why it is to be replaced. Nobody had it open. */
  sqlite3_close_v2(old->db);
  old->db = NULL;
  return 0;
}

void hf_sqlite_old_release(struct hf_sqlite_old *old) {
  if (old->db) {
    hf_sqlite_exec(old->db, "ROLLBACK");
    sqlite3_close_v2(old->db);
  }
  old->db = NULL;
}

/* ---- replacing ---- */

/* A name beside the database that is free, with the time in it: PATH.before-restore-20260131T235959Z[-N] */
static char *safety_name(const char *path) {
  char stamp[32];
  struct tm tm;
  struct stat st;
  time_t now = time(NULL);
  gmtime_r(&now, &tm);
  strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
  for (int i = 1; i < 1000; i++) {
    char *name = NULL, more[16] = "";
    if (i > 1) snprintf(more, sizeof more, "-%d", i);
    if (asprintf(&name, "%s.before-restore-%s%s", path, stamp, more) < 0) return NULL;
    if (lstat(name, &st) != 0) return name;
    free(name);
  }
  return NULL;
}

/* PATH-wal and PATH-journal go with the database they belong to, or away where there is none; PATH-shm is made anew by whoever opens it. */
static int move_companions(const char *path, const char *kept, char *why) {
  static const char *const ends[] = {"-wal", "-journal", "-shm"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    char *from = NULL, *to = NULL;
    if (asprintf(&from, "%s%s", path, ends[i]) < 0) from = NULL;
    if (asprintf(&to, "%s%s", kept ? kept : "", ends[i]) < 0) to = NULL;
    int rc = !from || !to ? ENOMEM : 0;
    if (rc == 0 && (kept && i < 2 ? rename(from, to) : unlink(from)) != 0 && errno != ENOENT) rc = errno;
    if (rc != 0) hf_sqlite_say_errno(why, rc, from ? from : path);
    free(from);
    free(to);
    if (rc != 0) return HOLDFAST_E_FAILED;
  }
  return 0;
}

static int sync_folder(const char *path, char *why) {
  char *dir = strdup(path);
  if (!dir) return hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  char *slash = strrchr(dir, '/');
  slash[slash == dir] = '\0';
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
  if (fd < 0 || fsync(fd) != 0) rc = hf_sqlite_say_errno(why, errno, dir);
  if (fd >= 0) close(fd);
  free(dir);
  return rc;
}

int hf_sqlite_old_replace(struct hf_sqlite_old *old, const char *path, const char *fresh, char **kept, char *why) {
  char *name = NULL;
  int rc = 0;
  *kept = NULL;
  if (old->there && !(name = safety_name(path))) return hf_sqlite_say(why, HOLDFAST_E_FAILED, "%.600s: no free name for what is there", path);
  /* The old file under both names, so that there is a database at every moment; without hard links there is none for a moment. */
  if (old->there && link(path, name) != 0 && rename(path, name) != 0) rc = hf_sqlite_say_errno(why, errno, name);
  if (rc == 0) rc = move_companions(path, name, why);
  if (rc == 0 && fresh && rename(fresh, path) != 0) rc = hf_sqlite_say_errno(why, errno, path);
  if (rc == 0 && !fresh && unlink(path) != 0 && errno != ENOENT) rc = hf_sqlite_say_errno(why, errno, path);
  if (rc == 0) rc = sync_folder(path, why);
  hf_sqlite_old_release(old);
  if (rc < 0) {
    free(name);
    return rc;
  }
  *kept = name;
  return 0;
}
