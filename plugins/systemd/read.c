/* read.c - what a unit file says that matters to a backup.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define UNIT_MAX ((size_t)1 << 20) /* a unit file larger than this is surely something else */
#define ENVIRONMENT_MAX 1000       /* EnvironmentFile= lines of one unit */

static int note(void *ctx, const char *section, const char *key, const char *value) {
  struct hf_systemd_facts *f = ctx;
  bool target = (strcmp(key, "Unit") == 0 && (strcmp(section, "Timer") == 0 || strcmp(section, "Path") == 0)) ||
                (strcmp(key, "Service") == 0 && strcmp(section, "Socket") == 0);
  bool refers = target || (strcmp(key, "Sockets") == 0 && strcmp(section, "Service") == 0) || (strcmp(key, "Also") == 0 && strcmp(section, "Install") == 0);
  if (strcmp(key, "Accept") == 0 && strcmp(section, "Socket") == 0) f->accept = strchr("yYtT1", *value) && *value;
  if (refers && *value) {
    char *copy = strdup(value), *save = NULL;
    int rc = copy ? 0 : -ENOMEM;
    for (char *word = rc == 0 ? strtok_r(copy, " \t", &save) : NULL; rc == 0 && word; word = strtok_r(NULL, " \t", &save)) rc = hfp_set_add(&f->refers, word);
    free(copy);
    f->names_target = f->names_target || target;
    return rc;
  }
  if (strcmp(key, "EnvironmentFile") != 0) return 0;
  if (!*value) { /* an empty one begins the list anew */
    while (f->n_environment > 0) free(f->environment[--f->n_environment]);
    return 0;
  }
  if (f->n_environment == ENVIRONMENT_MAX) return -E2BIG;
  if (f->n_environment == f->cap_environment) {
    size_t cap = f->cap_environment ? f->cap_environment * 2 : 8;
    char **v = realloc(f->environment, cap * sizeof *v);
    if (!v) return -ENOMEM;
    f->environment = v;
    f->cap_environment = cap;
  }
  if (!(f->environment[f->n_environment] = strdup(value))) return -ENOMEM;
  f->n_environment++;
  return 0;
}

void hf_systemd_facts_free(struct hf_systemd_facts *f) {
  while (f->n_environment > 0) free(f->environment[--f->n_environment]);
  free(f->environment);
  hfp_set_free(&f->refers);
  *f = (struct hf_systemd_facts){0};
}

int hf_systemd_read(const struct holdfast_host *host, const char *path, struct hf_systemd_facts *f, bool quiet) {
  char *text = NULL;
  size_t n = 0;
  unsigned bad = 0;
  int e = hfp_slurp(path, UNIT_MAX, &text, &n);
  if (e == 0) e = hf_systemd_parse(text, n, note, f, &bad);
  free(text);
  if (e == -ENOMEM || e == -E2BIG) return hfp_fail_errno(host, e, path);
  if (e < 0 && !quiet) hfp_problem(host, path, e == -EACCES ? HOLDFAST_E_AUTH : HOLDFAST_E_FAILED, "cannot be read: %s", strerror(-e));
  if (bad && !quiet) hfp_problem(host, path, HOLDFAST_E_CORRUPT, "line %u is neither a section nor a setting; the file is kept as it is", bad);
  return 0;
}
