/* test_files_support.h - what the tests of the files source share: a host that notes everything, settings, a scratch folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Included by one .c file per program, hence static inline functions.
 */
#ifndef TEST_FILES_SUPPORT_H
#define TEST_FILES_SUPPORT_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../plugins/files/files.h"

/* The one symbol of the plugin. */
HOLDFAST_EXPORT const struct holdfast_source_plugin *holdfast_source_plugin(void);

/* ---- a host ---- */

struct noted {
  struct holdfast_host host;
  char error[1100];
  char log[4096];      /* all lines */
  char problems[4096]; /* "path: message" lines */
  int n_problems, last_problem, cancel;
};

static inline void note_log(void *ctx, int level, const char *message) {
  struct noted *n = ctx;
  size_t at = strlen(n->log);
  snprintf(n->log + at, sizeof n->log - at, "%d %s\n", level, message);
}

static inline void note_error(void *ctx, const char *message) {
  struct noted *n = ctx;
  snprintf(n->error, sizeof n->error, "%s", message);
}

static inline int note_cancelled(void *ctx) {
  return ((struct noted *)ctx)->cancel;
}

static inline void note_problem(void *ctx, const char *path, int status, const char *message) {
  struct noted *n = ctx;
  size_t at = strlen(n->problems);
  snprintf(n->problems + at, sizeof n->problems - at, "%s: %s\n", path, message);
  n->n_problems++;
  n->last_problem = status;
}

static inline struct noted *noted_reset(struct noted *n) {
  memset(n, 0, sizeof *n);
  n->host = (struct holdfast_host){.struct_size = sizeof n->host, .ctx = n, .instance = "test", .log = note_log, .error = note_error, .cancelled = note_cancelled, .problem = note_problem};
  return n;
}

/* ---- settings ---- */

struct config {
  struct holdfast_value v[HF_FILES_N_SETTINGS];
  const char *strings[HF_FILES_N_SETTINGS][8];
};

static inline void config_reset(struct config *c) {
  memset(c, 0, sizeof *c);
  const struct holdfast_setting *s = holdfast_source_plugin()->head.settings;
  for (size_t i = 0; i < HF_FILES_N_SETTINGS; i++) {
    c->v[i].name = s[i].name;
    c->v[i].strings = c->strings[i];
    c->v[i].number = s[i].def && strcmp(s[i].def, "yes") == 0;
  }
}

static inline void config_add(struct config *c, enum hf_files_setting i, const char *s) {
  assert_true(c->v[i].count < 8);
  c->strings[i][c->v[i].count++] = s;
}

static inline void config_set(struct config *c, enum hf_files_setting i, bool yes) {
  c->v[i].number = yes;
}

/* ---- a scratch folder, canonical ---- */

static char scratch[PATH_MAX];

static inline int scratch_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  (void)st, (void)flag, (void)ftw;
  return remove(path);
}

static inline int scratch_setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s/test-files-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(name) || !realpath(name, scratch) || chdir(scratch) != 0) return -1;
  umask(022);
  return 0;
}

static inline int scratch_teardown(void **state) {
  (void)state;
  if (chdir("/") != 0) return -1;
  return nftw(scratch, scratch_unlink, 64, FTW_DEPTH | FTW_PHYS);
}

/* Inside the scratch folder: a file with text, or a folder when name ends in '/'. Parents are made. */
static inline void make(const char *name, const char *text) {
  char path[PATH_MAX * 2];
  snprintf(path, sizeof path, "%s", name);
  for (char *p = path + 1; *p; p++)
    if (*p == '/') {
      *p = '\0';
      if (mkdir(path, 0755) != 0) assert_int_equal(errno, EEXIST);
      *p = '/';
    }
  if (name[strlen(name) - 1] == '/') return;
  FILE *f = fopen(name, "w");
  assert_non_null(f);
  fputs(text ? text : "", f);
  assert_int_equal(fclose(f), 0);
}

/* "SCRATCH/name"; eight of them may be in use at a time. */
static inline const char *at(const char *name) {
  static char buf[8][PATH_MAX * 2];
  static unsigned i;
  char *b = buf[i++ % 8];
  snprintf(b, sizeof buf[0], "%s%s%s", scratch, *name ? "/" : "", name);
  return b;
}

/* The scratch folder's tree path and a slash: what test expectations leave out. */
static inline const char *shorten(const char *path) {
  size_t n = strlen(scratch + 1);
  if (strncmp(path, scratch + 1, n) != 0) return path;
  return path[n] == '/' ? path + n + 1 : path + n;
}

#endif
