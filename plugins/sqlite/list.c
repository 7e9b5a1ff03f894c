/* list.c - which databases the settings name, and what each is called in the snapshot and in a folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_KEPT 200 /* of a file's name in a stream's: there must be room for what makes it unique */

struct hf_sqlite_database *hf_sqlite_list_add(struct hf_sqlite_list *l) {
  if ((l->n & (l->n - 1)) == 0) {
    void *grown = realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof *l->v);
    if (!grown) return NULL;
    l->v = grown;
  }
  l->v[l->n] = (struct hf_sqlite_database){0};
  return &l->v[l->n++];
}

void hf_sqlite_list_free(struct hf_sqlite_list *l) {
  for (size_t i = 0; i < l->n; i++) {
    free(l->v[i].path);
    free(l->v[i].stream);
    free(l->v[i].file);
  }
  free(l->v);
  *l = (struct hf_sqlite_list){0};
}

static int no_memory(char *why) { return hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory"); }

static const char *base(const char *path) { return strrchr(path, '/') + 1; }

/* ---- finding ---- */

/* What SQLite keeps beside a database belongs to it, and is no database itself. */
static bool is_companion(const char *path) {
  static const char *const ends[] = {"-wal", "-shm", "-journal"};
  size_t n = strlen(path);
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    size_t e = strlen(ends[i]);
    char whole[PATH_MAX];
    if (n <= e || n - e >= sizeof whole || strcmp(path + n - e, ends[i]) != 0) continue;
    memcpy(whole, path, n - e);
    whole[n - e] = '\0';
    if (access(whole, F_OK) == 0) return true;
  }
  return false;
}

static bool is_excluded(const struct holdfast_value *v, const char *path) {
  for (uint32_t i = 0; i < v->count; i++) {
    bool whole = strchr(v->strings[i], '/') != NULL;
    if (fnmatch(v->strings[i], whole ? path : base(path), whole ? FNM_PATHNAME : 0) == 0) return true;
  }
  return false;
}

static int add_path(struct hf_sqlite_list *l, const char *path, char *why) {
  char *real = realpath(path, NULL);
  if (!real) return hf_sqlite_say_errno(why, errno, path);
  for (size_t i = 0; i < l->n; i++)
    if (strcmp(l->v[i].path, real) == 0) {
      free(real);
      return 0;
    }
  struct hf_sqlite_database *d = hf_sqlite_list_add(l);
  if (!d) {
    free(real);
    return no_memory(why);
  }
  d->path = real;
  return 0;
}

/* A path that is to be taken as it is. */
static int add_literal(struct hf_sqlite_list *l, const char *path, bool may_lack, char *why) {
  struct stat st;
  if (stat(path, &st) != 0) {
    if ((errno == ENOENT || errno == ENOTDIR) && may_lack) return 0;
    if (errno == ENOENT || errno == ENOTDIR)
      return hf_sqlite_say(why, HOLDFAST_E_NOT_FOUND, "database = %.600s: there is no such file (ignore-missing = yes passes over it)", path);
    return hf_sqlite_say_errno(why, errno, path);
  }
  if (!S_ISREG(st.st_mode))
    return hf_sqlite_say(why, HOLDFAST_E_CONFIG, "database = %.600s: not a file; for all databases in a folder write a pattern, as in /folder/*.db", path);
  return add_path(l, path, why);
}

static int add_pattern(struct hf_sqlite_list *l, const struct holdfast_value *values, const char *pattern, char *why) {
  glob_t found = {0};
  size_t taken = 0;
  int rc = glob(pattern, GLOB_ERR | GLOB_NOSORT, NULL, &found), status = 0;
  if (rc == GLOB_NOSPACE) status = no_memory(why);
  else if (rc == GLOB_ABORTED) status = hf_sqlite_say(why, HOLDFAST_E_AUTH, "database = %.600s: a folder on the way cannot be read by this account", pattern);
  for (size_t i = 0; rc == 0 && status == 0 && i < found.gl_pathc; i++) {
    struct stat st;
    const char *path = found.gl_pathv[i];
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || is_companion(path)) continue;
    taken++;
    if (!is_excluded(&values[HF_SQLITE_EXCLUDE], path)) status = add_path(l, path, why);
  }
  globfree(&found);
  if (status == 0 && taken == 0 && values[HF_SQLITE_IGNORE_MISSING].number == 0)
    status = hf_sqlite_say(why, HOLDFAST_E_NOT_FOUND, "database = %.600s: the pattern matches no file (ignore-missing = yes passes over it)", pattern);
  return status;
}

/* ---- naming ---- */

static int by_path(const void *a, const void *b) { return strcmp(((const struct hf_sqlite_database *)a)->path, ((const struct hf_sqlite_database *)b)->path); }

/* FNV-1a, 32 bits: tells files of one name apart, in the same way in every run. */
static uint32_t hash(const char *s) {
  uint32_t h = 2166136261u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
  return h;
}

/* The name as a stream may have it. */
static void stream_name(const char *name, char out[NAME_MAX_KEPT + 2]) {
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  size_t n = 0;
  if (*name == '.' || *name == '-' || strcmp(name, "tree") == 0) out[n++] = '_';
  for (; *name && n < NAME_MAX_KEPT; name++) out[n++] = strchr(plain, *name) ? *name : '_';
  out[n] = '\0';
}

/* Files of one name, or whose names come to the same as a stream's, get a part made of their path, all of them: a new one does not change
 * the names of those that were there. */
static int name_all(struct hf_sqlite_list *l, char *why) {
  for (size_t i = 0; i < l->n; i++) {
    char mine[NAME_MAX_KEPT + 2], other[NAME_MAX_KEPT + 2], more[16] = "";
    stream_name(base(l->v[i].path), mine);
    for (size_t k = 0; k < l->n && !*more; k++) {
      if (k == i) continue;
      stream_name(base(l->v[k].path), other);
      if (strcmp(mine, other) == 0) snprintf(more, sizeof more, "-%08x", (unsigned)hash(l->v[i].path));
    }
    if (asprintf(&l->v[i].stream, "%s%s", mine, more) < 0) l->v[i].stream = NULL;
    if (asprintf(&l->v[i].file, "%.240s%s", base(l->v[i].path), more) < 0) l->v[i].file = NULL;
    if (!l->v[i].stream || !l->v[i].file) return no_memory(why);
  }
  return 0;
}

int hf_sqlite_list_load(const struct holdfast_value *values, struct hf_sqlite_list *out, char *why) {
  struct hf_sqlite_list l = {0};
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < values[HF_SQLITE_DATABASE].count; i++) {
    const char *p = values[HF_SQLITE_DATABASE].strings[i];
    struct stat st;
    if (*p != '/') rc = hf_sqlite_say(why, HOLDFAST_E_CONFIG, "database = %.600s: not an absolute path", p);
    else if (!strpbrk(p, "*?[") || stat(p, &st) == 0) rc = add_literal(&l, p, values[HF_SQLITE_IGNORE_MISSING].number != 0, why);
    else rc = add_pattern(&l, values, p, why);
  }
  if (rc == 0 && l.n > 1) qsort(l.v, l.n, sizeof *l.v, by_path);
  if (rc == 0) rc = name_all(&l, why);
  if (rc == 0 && hf_sqlite_state_size(&l) > HF_SQLITE_STATE_MAX)
    rc = hf_sqlite_say(why, HOLDFAST_E_CONFIG,
                       "%zu databases are too many for one source: what has to be kept about them exceeds 64 KiB; make several sources of them", l.n);
  if (rc < 0) hf_sqlite_list_free(&l);
  else *out = l;
  return rc;
}
