/* exact.c - exactly these files: the engine of the files source, told to leave out all that is not named.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * To the engine every file, link and folder is a `path` of its own, which no pattern leaves out; the pattern "*" leaves out all else that is
 * in the folders. Folders that are to be taken whole come back by an include pattern.
 */
#include "exact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../files/engine.h"

struct hfp_exact {
  const struct holdfast_host *host;
  struct holdfast_host inner; /* what the engine sees as its host */
  struct hfp_set paths;       /* all of them, those of folders above included */
  struct stat *seen;          /* one for each path */
  struct hfp_set patterns;    /* of folders to be taken whole */
  struct holdfast_value values[HF_FILES_N_SETTINGS];
  void *engine;
};

static const char *const everything[] = {"*"};

/* ---- the engine's host: ours, less what would only be of interest if an admin had written the paths ---- */

static void inner_log(void *ctx, int level, const char *message) {
  const struct hfp_exact *x = ctx;
  x->host->log(x->host->ctx, level == HOLDFAST_LOG_NOTICE ? HOLDFAST_LOG_DEBUG : level, message);
}

static void inner_error(void *ctx, const char *message) {
  const struct hfp_exact *x = ctx;
  x->host->error(x->host->ctx, message);
}

static int inner_cancelled(void *ctx) {
  const struct hfp_exact *x = ctx;
  return x->host->cancelled(x->host->ctx);
}

static void inner_problem(void *ctx, const char *path, int status, const char *message) {
  const struct hfp_exact *x = ctx;
  x->host->problem(x->host->ctx, path, status, message);
}

/* ---- what the engine is told ---- */

/* path, and the folders above it as far as they may be listed. Those right below root ("/etc", "/tmp") are every system's own, and left out. */
static int add_with_parents(struct hfp_exact *x, const char *root, const char *path) {
  size_t top = strlen(root);
  int rc = hfp_set_add(&x->paths, path);
  char *above = rc == 0 ? strdup(path) : NULL;
  if (rc == 0 && !above) rc = -ENOMEM;
  for (char *slash; rc == 0 && (slash = strrchr(above, '/')) && (size_t)(slash - above) > top;) {
    *slash = '\0';
    if (strrchr(above, '/') <= above + top) break;
    if (hfp_set_has(&x->paths, above)) break; /* and so are those above it */
    if (faccessat(AT_FDCWD, above, R_OK | X_OK, AT_EACCESS) == 0) rc = hfp_set_add(&x->paths, above);
  }
  free(above);
  return rc;
}

/* "/etc/a b" as the pattern "/etc/a\ b" and two stars: all that is in the folder, and nothing that only looks like it. */
static int add_pattern(struct hfp_exact *x, const char *folder) {
  char *text = malloc(strlen(folder) * 2 + 4);
  if (!text) return -ENOMEM;
  size_t n = 0;
  for (const char *p = folder; *p; p++) {
    if (strchr("*?[]\\!#, \t", *p)) text[n++] = '\\';
    text[n++] = *p;
  }
  memcpy(text + n, "/**", 4);
  int rc = hfp_set_add(&x->patterns, text);
  free(text);
  return rc;
}

static void fill_values(struct hfp_exact *x) {
  const struct holdfast_setting *s = hf_files_engine.head.settings;
  for (size_t i = 0; i < HF_FILES_N_SETTINGS; i++) {
    x->values[i].name = s[i].name;
    x->values[i].number = s[i].def && strcmp(s[i].def, "yes") == 0;
  }
  x->values[HF_FILES_PATH].strings = (const char *const *)x->paths.v;
  x->values[HF_FILES_PATH].count = (uint32_t)x->paths.n;
  x->values[HF_FILES_EXCLUDE].strings = everything;
  x->values[HF_FILES_EXCLUDE].count = 1;
  x->values[HF_FILES_INCLUDE].strings = (const char *const *)x->patterns.v;
  x->values[HF_FILES_INCLUDE].count = (uint32_t)x->patterns.n;
  x->values[HF_FILES_IGNORE_MISSING].number = 1; /* what goes away from here on is told of by hfp_exact_check */
}

int hfp_exact_open(const struct holdfast_host *host, const char *root, const struct hfp_set *entries, const struct hfp_set *folders,
                   struct hfp_exact **out) {
  struct hfp_exact *x = calloc(1, sizeof *x);
  if (!x) return hfp_fail_errno(host, -ENOMEM, "files");
  x->host = host;
  x->inner = *host;
  x->inner.struct_size = sizeof x->inner;
  x->inner.ctx = x;
  x->inner.log = inner_log;
  x->inner.error = inner_error;
  x->inner.cancelled = inner_cancelled;
  x->inner.problem = inner_problem;
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < entries->n; i++) rc = add_with_parents(x, root, entries->v[i]);
  for (size_t i = 0; rc == 0 && i < folders->n; i++) {
    rc = add_with_parents(x, root, folders->v[i]);
    if (rc == 0) rc = add_pattern(x, folders->v[i]);
  }
  if (rc == 0 && !(x->seen = calloc(x->paths.n + 1, sizeof *x->seen))) rc = -ENOMEM;
  if (rc < 0) rc = hfp_fail_errno(host, rc, "files");
  for (size_t i = 0; rc == 0 && i < x->paths.n; i++)
    if (lstat(x->paths.v[i], &x->seen[i]) != 0) memset(&x->seen[i], 0, sizeof x->seen[i]);
  if (rc == 0) {
    fill_values(x);
    rc = hf_files_engine.open(&x->inner, x->values, &x->engine);
  }
  if (rc < 0) {
    hfp_exact_close(x);
    return rc;
  }
  *out = x;
  return HOLDFAST_OK;
}

int hfp_exact_next(struct hfp_exact *x, struct holdfast_entry *e) { return hf_files_engine.next(x->engine, e); }
int hfp_exact_entry_open(struct hfp_exact *x, struct holdfast_entry *e) { return hf_files_engine.entry_open(x->engine, e); }
int64_t hfp_exact_read(struct hfp_exact *x, void *buf, size_t n) { return hf_files_engine.read(x->engine, buf, n); }
int hfp_exact_entry_close(struct hfp_exact *x) { return hf_files_engine.entry_close(x->engine); }

static bool same_time(const struct timespec *a, const struct timespec *b) { return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec; }

void hfp_exact_check(struct hfp_exact *x) {
  for (size_t i = 0; i < x->paths.n; i++) {
    const struct stat *was = &x->seen[i];
    struct stat now;
    if (S_ISDIR(was->st_mode)) continue; /* its times change with every name made in it */
    if (lstat(x->paths.v[i], &now) == 0 && now.st_dev == was->st_dev && now.st_ino == was->st_ino && now.st_size == was->st_size &&
        same_time(&now.st_mtim, &was->st_mtim) && same_time(&now.st_ctim, &was->st_ctim))
      continue;
    hfp_problem(x->host, x->paths.v[i], HOLDFAST_E_CHANGED, "changed during the backup: it may not fit the other files of this snapshot");
  }
}

void hfp_exact_close(struct hfp_exact *x) {
  if (!x) return;
  if (x->engine) hf_files_engine.close(x->engine);
  hfp_set_free(&x->paths);
  hfp_set_free(&x->patterns);
  free(x->seen);
  free(x);
}
