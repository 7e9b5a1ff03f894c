/* index.c - what stands in the folders that units are loaded from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "index.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

/* systemd.unit(5), "Unit File Load Path", less what is made anew at each start. */
static const char *const folders[] = {
  "/etc/systemd/system.control", "/etc/systemd/system",        "/etc/systemd/system.attached",
  "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
};
static const char *const volatile_folders[] = {
  "/run/systemd/transient", "/run/systemd/generator.early", "/run/systemd/system.control", "/run/systemd/system",
  "/run/systemd/system.attached", "/run/systemd/generator", "/run/systemd/generator.late",
};

static int add(struct hf_systemd_index *x, const char *folder, const char *name, const char *of, int kind, int rank) {
  if (x->n >= HF_SYSTEMD_NAMES_MAX) return -E2BIG;
  if (x->n == x->cap) {
    size_t cap = x->cap ? x->cap * 2 : 256;
    struct hf_systemd_item *v = realloc(x->v, cap * sizeof *v);
    if (!v) return -ENOMEM;
    x->v = v;
    x->cap = cap;
  }
  struct hf_systemd_item *i = &x->v[x->n];
  *i = (struct hf_systemd_item){strdup(name), strdup(folder), strdup(of ? of : ""), kind, rank};
  if (!i->name || !i->folder || !i->of) {
    free(i->name);
    free(i->folder);
    free(i->of);
    return -ENOMEM;
  }
  x->n++;
  return 0;
}

static bool ends_with(const char *s, const char *with) {
  size_t n = strlen(s), k = strlen(with);
  return n > k && strcmp(s + n - k, with) == 0;
}

/* The entries of X.d (kind DROPIN) or X.wants (kind LINK). */
static int sub_folder(struct hf_systemd_index *x, const char *folder, const char *name, const char *ending, int kind, int rank) {
  char *path = NULL, *of = strndup(name, strlen(name) - strlen(ending)), *full = NULL;
  int rc = !of || asprintf(&path, "%s/%s", folder, name) < 0 || asprintf(&full, "%s%s", x->root, path) < 0 ? -ENOMEM : 0;
  DIR *d = rc == 0 ? opendir(full) : NULL;
  if (rc == 0 && !d && errno != ENOENT && errno != ENOTDIR) rc = -errno;
  for (struct dirent *e; rc == 0 && d && (e = readdir(d));) {
    if (*e->d_name == '.') continue;
    if (kind == HF_SYSTEMD_DROPIN ? ends_with(e->d_name, ".conf") : hf_systemd_is_unit(e->d_name)) rc = add(x, path, e->d_name, of, kind, rank);
  }
  if (d) closedir(d);
  free(path);
  free(full);
  free(of);
  return rc;
}

static int entry(struct hf_systemd_index *x, const char *folder, const char *name, int rank) {
  static const char *const links[] = {".wants", ".requires", ".upholds"};
  if (*name == '.') return 0;
  if (hf_systemd_is_unit(name)) return add(x, folder, name, NULL, HF_SYSTEMD_UNIT, rank);
  if (ends_with(name, ".d")) return sub_folder(x, folder, name, ".d", HF_SYSTEMD_DROPIN, rank);
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (ends_with(name, links[i])) return sub_folder(x, folder, name, links[i], HF_SYSTEMD_LINK, rank);
  return 0;
}

/* The order must not depend on the disk. */
static int by_place(const void *a, const void *b) {
  const struct hf_systemd_item *x = a, *y = b;
  if (x->rank != y->rank) return x->rank - y->rank;
  int c = strcmp(x->folder, y->folder);
  return c ? c : strcmp(x->name, y->name);
}

int hf_systemd_index_load(struct hf_systemd_index *x, const struct holdfast_host *host, const char *root) {
  *x = (struct hf_systemd_index){.root = strdup(root)};
  struct stat seen[sizeof folders / sizeof *folders];
  size_t n_seen = 0;
  int rc = x->root ? 0 : hfp_fail_errno(host, -ENOMEM, "units");
  for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++) {
    struct hfp_set links = {0};
    struct stat st;
    char *full = NULL;
    bool again = false;
    int e = hfp_trail(&links, root, folders[i], &full, &st); /* links below root must not lead out of it */
    hfp_set_free(&links);
    if (e < 0) {
      free(full);
      if (e != -ENOENT && e != -ENOTDIR) rc = hfp_fail_errno(host, e, folders[i]);
      continue;
    }
    DIR *d = opendir(full);
    if (!d) {
      if (errno != ENOTDIR) rc = hfp_fail_errno(host, -errno, full);
      free(full);
      continue;
    }
    for (size_t k = 0; k < n_seen; k++) again = again || (seen[k].st_dev == st.st_dev && seen[k].st_ino == st.st_ino);
    seen[n_seen++] = st; /* where /lib is a link to /usr/lib, once is enough */
    for (struct dirent *de; e == 0 && !again && (de = readdir(d));) e = entry(x, full + strlen(root), de->d_name, (int)i);
    closedir(d);
    if (e == -E2BIG) rc = holdfast_fail(host, HOLDFAST_E_FAILED, "%s: more than %d units, links and drop-ins", full, HF_SYSTEMD_NAMES_MAX);
    else if (e < 0) rc = hfp_fail_errno(host, e, full);
    free(full);
  }
  if (rc < 0) hf_systemd_index_free(x);
  else if (x->n) qsort(x->v, x->n, sizeof *x->v, by_place);
  return rc;
}

void hf_systemd_index_free(struct hf_systemd_index *x) {
  for (size_t i = 0; i < x->n; i++) {
    free(x->v[i].name);
    free(x->v[i].folder);
    free(x->v[i].of);
  }
  free(x->v);
  free(x->root);
  *x = (struct hf_systemd_index){0};
}

const struct hf_systemd_item *hf_systemd_index_find(const struct hf_systemd_index *x, const char *name) {
  for (size_t i = 0; i < x->n; i++)
    if (x->v[i].kind == HF_SYSTEMD_UNIT && strcmp(x->v[i].name, name) == 0) return &x->v[i];
  return NULL;
}

char *hf_systemd_item_path(const struct hf_systemd_index *x, const struct hf_systemd_item *item) {
  char *path = NULL;
  return asprintf(&path, "%s%s/%s", x->root, item->folder, item->name) < 0 ? NULL : path;
}

const char *hf_systemd_in_run(const char *root, const char *name) {
  for (size_t i = 0; i < sizeof volatile_folders / sizeof *volatile_folders; i++) {
    char full[8192];
    struct stat st;
    snprintf(full, sizeof full, "%s%s/%s", root, volatile_folders[i], name);
    if (lstat(full, &st) == 0) return volatile_folders[i];
  }
  return NULL;
}
