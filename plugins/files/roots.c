/* roots.c - the `path` keys: canonical, in tree order, each once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int by_path(const void *a, const void *b) {
  return hf_files_path_cmp(*(char *const *)a, *(char *const *)b);
}

/* The real path of all but the last component of the absolute path in, then that component. Owned by the caller; NULL with
 * errno. */
static char *canonical(const char *in) {
  char *path = strdup(in);
  if (!path) return NULL;
  size_t n = strlen(path);
  for (;;) {
    if (n > 1 && path[n - 1] == '/') path[--n] = '\0';
    else if (n > 1 && path[n - 1] == '.' && path[n - 2] == '/') path[--n] = '\0';
    else break;
  }
  char *slash = strrchr(path, '/');
  if (n <= 1 || !slash || strcmp(slash, "/..") == 0) {
    char *real = realpath(path, NULL);
    free(path);
    return real;
  }
  *slash = '\0';
  char *parent = realpath(slash == path ? "/" : path, NULL);
  char *out = NULL;
  if (parent) {
    size_t len = strlen(parent) + strlen(slash + 1) + 2;
    out = malloc(len);
    if (out) snprintf(out, len, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1);
  }
  free(parent);
  free(path);
  return out;
}

static int add(struct hf_files_roots *r, const struct holdfast_host *host, const char *given, bool ignore_missing) {
  if (*given != '/') return holdfast_fail(host, HOLDFAST_E_CONFIG, "path = %s: not an absolute path", given);
  struct stat st;
  char *path = canonical(given);
  if (!path || lstat(path, &st) != 0) {
    int e = errno;
    free(path);
    if (e == ENOMEM) return hf_files_no_memory(host);
    if (e != ENOENT && e != ENOTDIR) return holdfast_fail(host, hf_files_status(e), "path = %s: %s", given, strerror(e));
    if (!ignore_missing)
      return holdfast_fail(host, HOLDFAST_E_NOT_FOUND,
                           "path = %s: there is no such file or folder (ignore-missing = yes passes over it)", given);
    hf_files_log(host, HOLDFAST_LOG_NOTICE, "path = %s: not there, passed over", given);
    r->missing++;
    return 0;
  }
  if (S_ISLNK(st.st_mode))
    hf_files_log(host, HOLDFAST_LOG_NOTICE, "path = %s: a symbolic link; the link itself is kept, not what it points to", given);
  if (!hf_files_grow(&r->v, &r->cap, r->n + 1, sizeof *r->v)) {
    free(path);
    return hf_files_no_memory(host);
  }
  memmove(path, path + 1, strlen(path));
  r->v[r->n++] = path;
  return 0;
}

int hf_files_roots_load(struct hf_files_roots *r, const struct holdfast_host *host, const struct holdfast_value *values) {
  *r = (struct hf_files_roots){0};
  const struct holdfast_value *paths = &values[HF_FILES_PATH];
  for (uint32_t i = 0; i < paths->count; i++) {
    int rc = add(r, host, paths->strings[i], values[HF_FILES_IGNORE_MISSING].number != 0);
    if (rc < 0) {
      hf_files_roots_free(r);
      return rc;
    }
  }
  if (r->n == 0) {
    hf_files_log(host, HOLDFAST_LOG_WARNING, "none of the paths is there: nothing will be read");
    return 0;
  }
  qsort(r->v, r->n, sizeof *r->v, by_path);
  size_t out = 1;
  for (size_t i = 1; i < r->n; i++) {
    if (strcmp(r->v[i], r->v[out - 1]) == 0) free(r->v[i]);
    else r->v[out++] = r->v[i];
  }
  r->n = out;
  return 0;
}

void hf_files_roots_free(struct hf_files_roots *r) {
  for (size_t i = 0; i < r->n; i++) free(r->v[i]);
  free(r->v);
  *r = (struct hf_files_roots){0};
}
