/* restore.c - preflight, the restore half, and the check of a restored copy.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The host writes trees itself: all this source has to say is where.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct restore {
  const struct holdfast_host *host;
  const char *directory;
};

/* Can the root be read? The answer is open's, without its side effects. */
static int readable(const struct holdfast_host *host, const char *root) {
  char path[PATH_MAX + 2];
  struct stat st;
  snprintf(path, sizeof path, "/%s", root);
  if (lstat(path, &st) != 0) return holdfast_fail(host, hf_files_status(errno), "path = %s: %s", path, strerror(errno));
  int need = S_ISDIR(st.st_mode) ? R_OK | X_OK : S_ISREG(st.st_mode) ? R_OK : 0;
  if (need && faccessat(AT_FDCWD, path, need, AT_EACCESS) != 0)
    return holdfast_fail(host, hf_files_status(errno), "path = %s: cannot be read by this account (%s); run as root, or as an "
                         "account that may (user = in the manifest)", path, strerror(errno));
  return 0;
}

int hf_files_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct hf_files_roots roots;
  struct hf_files_rules rules;
  int rc = hf_files_roots_load(&roots, host, values);
  if (rc < 0) return rc;
  rc = hf_files_rules_load(&rules, host, values);
  if (rc < 0) {
    hf_files_roots_free(&roots);
    return rc;
  }
  for (size_t i = 0; rc == 0 && i < roots.n; i++) rc = readable(host, roots.v[i]);
  if (rc == 0) {
    char text[900] = "";
    size_t n = 0;
    for (size_t i = 0; i < roots.n && n < 600; i++)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s/%.200s", i ? ", " : "", roots.v[i]);
    if (roots.n == 0) snprintf(text, sizeof text, "nothing");
    char missing[60] = "";
    if (roots.missing) snprintf(missing, sizeof missing, ", %zu not there", roots.missing);
    holdfast_fail(host, HOLDFAST_OK, "would read %s (%zu path%s%s; %zu pattern%s, %zu bytes)", text, roots.n,
                  roots.n == 1 ? "" : "s", missing, rules.n, rules.n == 1 ? "" : "s", rules.bytes);
  }
  hf_files_rules_free(&rules);
  hf_files_roots_free(&roots);
  return rc;
}

int hf_files_restore_open(const struct holdfast_host *host, const struct holdfast_value *values,
                          const struct holdfast_restore *how, void **handle) {
  (void)values;
  const char *directory = how->mode == HOLDFAST_RESTORE_IN_PLACE ? "/" : how->directory;
  struct stat st;
  if (how->mode != HOLDFAST_RESTORE_IN_PLACE && how->mode != HOLDFAST_RESTORE_TO_DIR)
    return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "a way to restore that is not known (%u)", (unsigned)how->mode);
  if (!directory || *directory != '/') return holdfast_fail(host, HOLDFAST_E_CONFIG, "the folder to restore to is not absolute");
  if (stat(directory, &st) != 0) return holdfast_fail(host, hf_files_status(errno), "%s: %s", directory, strerror(errno));
  if (!S_ISDIR(st.st_mode)) return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s: not a folder", directory);
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return hf_files_no_memory(host);
  *r = (struct restore){host, directory};
  *handle = r;
  return HOLDFAST_OK;
}

int hf_files_restore_tree(void *handle, const char *stream, char *dir, size_t cap) {
  struct restore *r = handle;
  (void)stream; /* a files source has one tree and nothing else */
  size_t n = strlen(r->directory);
  if (n >= cap) return holdfast_fail(r->host, HOLDFAST_E_FAILED, "the folder's path is too long");
  memcpy(dir, r->directory, n + 1);
  return HOLDFAST_OK;
}

int hf_files_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct restore *r = handle;
  (void)size;
  return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "%s: a files source has no raw streams", stream);
}

int hf_files_restore_write(void *handle, const void *buf, size_t n) {
  struct restore *r = handle;
  (void)buf;
  (void)n;
  return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "a files source has no raw streams");
}

int hf_files_restore_end(void *handle) {
  struct restore *r = handle;
  return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "a files source has no raw streams");
}

int hf_files_restore_finish(void *handle, int complete) {
  (void)handle;
  (void)complete; /* what arrived is in its place already; the host says what did not */
  return HOLDFAST_OK;
}

void hf_files_restore_close(void *handle) {
  free(handle);
}

/* The roots as the manifest names them, for a snapshot without state. Nothing need exist here. */
static int named_roots(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_files_roots *roots) {
  *roots = (struct hf_files_roots){0};
  for (uint32_t i = 0; i < values[HF_FILES_PATH].count; i++) {
    const char *p = values[HF_FILES_PATH].strings[i];
    p += strspn(p, "/");
    char *copy = strdup(p);
    if (!copy || !hf_files_grow(&roots->v, &roots->cap, roots->n + 1, sizeof *roots->v)) {
      free(copy);
      hf_files_roots_free(roots);
      return hf_files_no_memory(host);
    }
    for (size_t n = strlen(copy); n > 0 && copy[n - 1] == '/'; n--) copy[n - 1] = '\0';
    roots->v[roots->n++] = copy;
  }
  return 0;
}

int hf_files_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory,
                    const char *state) {
  struct hf_files_roots roots;
  struct hf_files_chain chain = {0};
  int rc = hf_files_state_roots(state, &roots);
  if (rc < 0) return holdfast_fail(host, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is damaged");
  bool from_state = rc > 0;
  if (!from_state && (rc = named_roots(host, values, &roots)) < 0) return rc;
  bool may_lack = !from_state && values[HF_FILES_IGNORE_MISSING].number != 0;
  size_t found = 0, lacking = 0;
  const char *first = NULL;
  /* From the folder of the copy down the root's parents, none of them through a link. */
  int top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0) rc = holdfast_fail(host, hf_files_status(errno), "%s: %s", directory, strerror(errno));
  else if (!hf_files_chain_start(&chain, top)) rc = hf_files_no_memory(host);
  if (rc < 0) {
    hf_files_chain_free(&chain);
    hf_files_roots_free(&roots);
    return rc;
  }
  for (size_t i = 0; i < roots.n; i++) {
    const char *root = roots.v[i];
    const char *slash = strrchr(root, '/');
    struct stat st;
    const struct hf_files_level *l = hf_files_chain_to(&chain, root, slash ? (size_t)(slash - root) : 0, O_PATH);
    if (l && (!*root || fstatat(l->fd, slash ? slash + 1 : root, &st, AT_SYMLINK_NOFOLLOW) == 0)) found++;
    else if (!may_lack && lacking++ == 0) first = root;
  }
  if (lacking)
    rc = holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "/%s is not in the restored copy (%zu of %zu paths are not)", first, lacking,
                       roots.n);
  else
    rc = holdfast_fail(host, HOLDFAST_OK, "%zu of %zu paths are in the restored copy", found, roots.n);
  hf_files_chain_free(&chain);
  hf_files_roots_free(&roots);
  return rc;
}
