/* memory.c - records seen, and the recipes of last time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A recipe file is trusted only when its SHA-256 is the one the database has for it: a file cut short by a crash would otherwise become a snapshot of nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "state/state.h"
#include "state/state_impl.h"

int hf_state_record_add(struct hf_state *s, uint64_t seq, const struct hf_digest *d, const char *json, size_t n, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_RECORD_ADD);
  sqlite3_bind_int64(st, 1, (int64_t)seq);
  hf_state_bind_digest(st, 2, d);
  sqlite3_bind_blob64(st, 3, json, n, SQLITE_STATIC);
  return hf_state_run(s, st, "add record", err);
}

int hf_state_record_get(struct hf_state *s, uint64_t seq, struct hf_digest *d, struct hf_buf *json, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_RECORD_GET);
  sqlite3_bind_int64(st, 1, (int64_t)seq);
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : hf_state_fail(s, "find record", err);
  if (r == 1) {
    if (d && !hf_state_column_digest(st, 0, d)) r = hf_fail(err, HOLDFAST_E_CORRUPT, "state database: record %llu has no digest", (unsigned long long)seq);
    if (r == 1 && json) hf_buf_add(json, sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
  }
  sqlite3_reset(st);
  return r;
}

int hf_state_kept_get(struct hf_state *s, const char *target, const struct hf_digest *object, int64_t *since, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_KEPT_GET);
  sqlite3_bind_text(st, 1, target, -1, SQLITE_STATIC);
  hf_state_bind_digest(st, 2, object);
  int rc = sqlite3_step(st);
  int r = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : hf_state_fail(s, "find lock", err);
  if (r == 1) *since = sqlite3_column_int64(st, 0);
  sqlite3_reset(st);
  return r;
}

int hf_state_kept_set(struct hf_state *s, const char *target, const struct hf_digest *object, int64_t since, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_KEPT_SET);
  sqlite3_bind_text(st, 1, target, -1, SQLITE_STATIC);
  hf_state_bind_digest(st, 2, object);
  sqlite3_bind_int64(st, 3, since);
  return hf_state_run(s, st, "note lock", err);
}

int hf_state_kept_sweep(struct hf_state *s, const char *target, int64_t before, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_KEPT_SWEEP);
  sqlite3_bind_text(st, 1, target, -1, SQLITE_STATIC);
  sqlite3_bind_int64(st, 2, before);
  return hf_state_run(s, st, "forget locks", err);
}

static char *recipe_path(const struct hf_state *s, const char *file) {
  HF_CLEANUP(hf_freep) char *dir = hf_path_join(s->dir, "recipes");
  return hf_path_join(dir, file);
}

static int drop_recipe(struct hf_state *s, const char *file, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_RECIPE_DROP);
  sqlite3_bind_text(st, 1, file, -1, SQLITE_STATIC);
  return hf_state_run(s, st, "drop recipe", err);
}

/* Does the file hold what the database says? */
static bool recipe_is_good(int fd, const struct hf_digest *want, uint64_t *size) {
  struct stat st;
  if (fstat(fd, &st) < 0 || st.st_size <= 0) return false;
  void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return false;
  struct hf_digest got;
  madvise(p, (size_t)st.st_size, MADV_SEQUENTIAL);
  hf_sha256(p, (size_t)st.st_size, &got);
  munmap(p, (size_t)st.st_size);
  *size = (uint64_t)st.st_size;
  return hf_digest_eq(&got, want);
}

/* Open what a query for (file, sha256) found. */
static int open_found(struct hf_state *s, sqlite3_stmt *st, int *fd, uint64_t *size, struct hf_error *err) {
  *fd = -1;
  int rc = sqlite3_step(st);
  if (rc == SQLITE_DONE) {
    sqlite3_reset(st);
    return 0;
  }
  struct hf_digest want;
  if (rc != SQLITE_ROW || !hf_state_column_digest(st, 1, &want)) return hf_state_fail(s, "find recipe", err);
  HF_CLEANUP(hf_freep) char *file = hf_strdup((const char *)sqlite3_column_text(st, 0));
  sqlite3_reset(st);
  HF_CLEANUP(hf_freep) char *path = recipe_path(s, file);
  int f = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (f < 0 || !recipe_is_good(f, &want, size)) {
    if (f >= 0) close(f);
    hf_log(HF_LOG_WARNING, "the kept recipe %s is missing or damaged: everything is read again this time", path);
    return drop_recipe(s, file, err);
  }
  *fd = f;
  return 0;
}

int hf_state_recipe_open(struct hf_state *s, const char *source, const char *stream, const char *audience, int *fd, uint64_t *size, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_RECIPE_GET);
  sqlite3_bind_text(st, 1, source, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 2, stream, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 3, audience, -1, SQLITE_STATIC);
  return open_found(s, st, fd, size, err);
}

int hf_state_recipe_of(struct hf_state *s, const char *source, const char *stream, uint64_t snapshot, int *fd, uint64_t *size, struct hf_error *err) {
  sqlite3_stmt *st = hf_state_stmt(s, ST_RECIPE_OF);
  sqlite3_bind_text(st, 1, source, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 2, stream, -1, SQLITE_STATIC);
  sqlite3_bind_int64(st, 3, (int64_t)snapshot);
  return open_found(s, st, fd, size, err);
}

int hf_state_recipe_create(struct hf_state *s, int *fd, char **path, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *dir = hf_path_join(s->dir, "recipes");
  int r = hf_mkdir_p(dir, 0700, err);
  if (r < 0) return r;
  unsigned char rnd[12];
  char name[sizeof rnd * 2 + 1];
  hf_random(rnd, sizeof rnd);
  hf_hex(name, rnd, sizeof rnd);
  char *p = hf_path_join(dir, name);
  int f = open(p, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (f < 0) {
    r = hf_fail_errno(err, errno, "cannot make %s", p);
    free(p);
    return r;
  }
  *fd = f;
  *path = p;
  return 0;
}

int hf_state_recipe_keep(struct hf_state *s, const char *path, const char *source, const char *stream, const char *audience, const struct hf_digest *sha256, uint64_t snapshot,
                         struct hf_error *err) {
  const char *file = strrchr(path, '/');
  file = file ? file + 1 : path;
  sqlite3_stmt *st = hf_state_stmt(s, ST_RECIPE_KEEP);
  sqlite3_bind_text(st, 1, source, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 2, stream, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 3, audience, -1, SQLITE_STATIC);
  sqlite3_bind_text(st, 4, file, -1, SQLITE_STATIC);
  hf_state_bind_digest(st, 5, sha256);
  sqlite3_bind_int64(st, 6, (int64_t)snapshot);
  return hf_state_run(s, st, "keep recipe", err);
}

int hf_state_recipe_sweep(struct hf_state *s, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *dir = hf_path_join(s->dir, "recipes");
  DIR *d = opendir(dir);
  if (!d) return errno == ENOENT ? 0 : hf_fail_errno(err, errno, "cannot read %s", dir);
  int r = 0;
  for (struct dirent *e; r == 0 && (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    sqlite3_stmt *st = hf_state_stmt(s, ST_RECIPE_HAS);
    sqlite3_bind_text(st, 1, e->d_name, -1, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE) {
      unlinkat(dirfd(d), e->d_name, 0);
    } else if (rc != SQLITE_ROW) {
      r = hf_state_fail(s, "find recipe", err);
    }
    sqlite3_reset(st);
  }
  closedir(d);
  return r;
}
