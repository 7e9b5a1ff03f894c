/* registry.c - where plugins are looked for, and those that are loaded.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "plugin/internal.h"

#ifndef HF_PKGLIBDIR
#define HF_PKGLIBDIR "/usr/local/lib/holdfast"
#endif

/* One folder to look in. */
struct place {
  char *dir;
  int kind;       /* enum hf_plugin_kind, 0: files of either kind */
  bool from_user; /* from HOLDFAST_PLUGIN_PATH: as root, files are checked too */
};

struct hf_registry {
  struct place *places;
  size_t n_places;
  struct hf_plugin **loaded;
  size_t n_loaded;
  const struct hf_plugin **all; /* what hf_registry_all gave out last */
};

/* May root load code from here? dir or file, symlinks followed. */
static bool root_only(const char *path, const char **why) {
  struct stat st;
  if (stat(path, &st) != 0)
    *why = "cannot be looked at";
  else if (st.st_uid != 0)
    *why = "does not belong to root";
  else if (st.st_mode & 0022)
    *why = "is writable by group or others";
  else
    return true;
  return false;
}

static void add_place(struct hf_registry *r, const char *dir, const char *sub, int kind, bool from_user) {
  HF_CLEANUP(hf_freep) char *path = hf_path_join(dir, sub);
  char *real = realpath(path, NULL); /* a relative folder of the variable is meant as of now, whatever chdir comes */
  const char *why;
  if (!real) return;
  if (from_user && geteuid() == 0 && !root_only(real, &why)) {
    hf_log(HF_LOG_WARNING, "HOLDFAST_PLUGIN_PATH: %s is left out: it %s, and this is root", real, why);
    free(real);
    return;
  }
  r->places = hf_realloc(r->places, (r->n_places + 1) * sizeof *r->places);
  r->places[r->n_places++] = (struct place){real, kind, from_user};
}

struct hf_registry *hf_registry_new(void) {
  struct hf_registry *r = hf_alloc(sizeof *r);
  /* secure_getenv: set-user-ID programs and those with file capabilities do not take code from their caller */
  const char *path = secure_getenv("HOLDFAST_PLUGIN_PATH");
  for (const char *p = path; p && *p;) {
    const char *end = strchrnul(p, ':');
    if (end > p) {
      HF_CLEANUP(hf_freep) char *dir = hf_strndup(p, (size_t)(end - p));
      add_place(r, dir, ".", 0, true);
      add_place(r, dir, "sources", HF_SOURCE, true);
      add_place(r, dir, "targets", HF_TARGET, true);
    }
    p = *end ? end + 1 : end;
  }
  add_place(r, HF_PKGLIBDIR, "sources", HF_SOURCE, false);
  add_place(r, HF_PKGLIBDIR, "targets", HF_TARGET, false);
  return r;
}

void hf_registry_free(struct hf_registry *r) {
  if (!r) return;
  for (size_t i = 0; i < r->n_loaded; i++) hf_plugin_unload(r->loaded[i]);
  for (size_t i = 0; i < r->n_places; i++) free(r->places[i].dir);
  free(r->places);
  free(r->loaded);
  free(r->all);
  free(r);
}

static const struct hf_plugin *keep(struct hf_registry *r, struct hf_plugin *p) {
  r->loaded = hf_realloc(r->loaded, (r->n_loaded + 1) * sizeof *r->loaded);
  return r->loaded[r->n_loaded++] = p;
}

static const struct hf_plugin *find_loaded(const struct hf_registry *r, int kind, const char *name) {
  for (size_t i = 0; i < r->n_loaded; i++)
    if ((int)r->loaded[i]->kind == kind && strcmp(r->loaded[i]->head->name, name) == 0) return r->loaded[i];
  return NULL;
}

int hf_registry_add(struct hf_registry *r, enum hf_plugin_kind kind, const void *raw, struct hf_error *err) {
  struct hf_plugin *p = NULL;
  int rc = hf_plugin_adopt("(built in)", NULL, kind, raw, NULL, &p, err);
  if (rc < 0) return rc;
  if (find_loaded(r, kind, p->head->name)) {
    rc = hf_fail(err, HOLDFAST_E_EXISTS, "a %s plugin %s is there already", hf_plugin_kind_name(kind), p->head->name);
    hf_plugin_unload(p);
    return rc;
  }
  keep(r, p);
  return 0;
}

/* Load file, found in place; as root a file of the variable has to be root's, and so has what a symlink leads to. */
static int load_from(const struct place *pl, const char *file, enum hf_plugin_kind kind, struct hf_plugin **out,
                     struct hf_error *err) {
  if (!pl->from_user || geteuid() != 0) return hf_plugin_load(file, kind, out, err);
  HF_CLEANUP(hf_freep) char *real = realpath(file, NULL);
  const char *why = NULL;
  if (!real) return hf_fail_errno(err, errno, "%s", file);
  bool good = root_only(real, &why);
  if (good && strcmp(real, file) != 0) {
    HF_CLEANUP(hf_freep) char *dir = hf_strndup(real, (size_t)(strrchr(real, '/') - real) + 1);
    good = root_only(dir, &why);
  }
  if (!good) return hf_fail(err, HOLDFAST_E_AUTH, "%s: refused as root: the file or its folder %s", file, why);
  return hf_plugin_load(file, kind, out, err);
}

/* Names that end in .so in a folder, without the ending, sorted. An unreadable folder has none. */
static void names_in(const char *dir, struct hf_list *out) {
  DIR *d = opendir(dir);
  const struct dirent *e;
  while (d && (e = readdir(d))) {
    size_t n = strlen(e->d_name);
    if (n <= 3 || e->d_name[0] == '.' || strcmp(e->d_name + n - 3, ".so") != 0) continue;
    hf_list_take(out, hf_strndup(e->d_name, n - 3));
  }
  if (d) closedir(d);
  hf_list_sort(out);
}

/* The error for a name that is nowhere: says what there is. */
static int no_such(struct hf_registry *r, enum hf_plugin_kind kind, const char *name, struct hf_error *err) {
  const struct hf_plugin *const *all = NULL;
  size_t n = 0, best = SIZE_MAX;
  const char *near = NULL;
  hf_registry_all(r, NULL, NULL, &all, &n, NULL);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  for (size_t i = 0; i < n; i++) {
    if (all[i]->kind != kind) continue;
    hf_buf_addf(&text, "%s%s", text.len ? ", " : "", all[i]->head->name);
    if (hf_nearer(name, all[i]->head->name, &best)) near = all[i]->head->name;
  }
  HF_CLEANUP(hf_freep) char *shown = hf_printable(name, strlen(name));
  const char *what = hf_plugin_kind_name(kind), *other = hf_plugin_kind_name(kind == HF_SOURCE ? HF_TARGET : HF_SOURCE);
  if (find_loaded(r, kind == HF_SOURCE ? HF_TARGET : HF_SOURCE, name))
    return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no %s plugin \"%s\": %s is a plugin of a [%s ...] section", what, shown,
                   shown, other);
  if (near) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no %s plugin \"%s\"; did you mean %s?", what, shown, near);
  if (text.len) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no %s plugin \"%s\"; there are: %s", what, shown, text.data);
  return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no %s plugin \"%s\", nor any other in %s/%ss or HOLDFAST_PLUGIN_PATH", what,
                 shown, HF_PKGLIBDIR, what);
}

int hf_registry_get(struct hf_registry *r, enum hf_plugin_kind kind, const char *name, const struct hf_plugin **out,
                    struct hf_error *err) {
  const struct hf_plugin *found = find_loaded(r, kind, name);
  struct hf_error why = {0}, refused = {0};
  if (found) {
    *out = found;
    return 0;
  }
  bool plain = *name && *name != '.' && strlen(name) <= 64 && !strchr(name, '/');
  for (size_t i = 0; plain && i < r->n_places; i++) {
    if (r->places[i].kind && r->places[i].kind != (int)kind) continue;
    HF_CLEANUP(hf_freep) char *file = hf_asprintf("%s/%s.so", r->places[i].dir, name);
    struct hf_plugin *p = NULL;
    if (access(file, F_OK) != 0) continue;
    int rc = load_from(&r->places[i], file, kind, &p, &why);
    if (rc == 0) {
      if (refused.code) hf_log(HF_LOG_WARNING, "%s", refused.msg);
      *out = keep(r, p);
      return 0;
    }
    /* A source and a target may share a name, and as root a refused file of the variable does not hide the installed one. A plugin that is
     * there and broken does: quietly taking another version would surprise. */
    if (rc == HOLDFAST_E_AUTH)
      refused = why;
    else if (rc != HOLDFAST_E_UNSUPPORTED || r->places[i].kind)
      return hf_fail(err, rc, "%s", why.msg);
  }
  if (refused.code) return hf_fail(err, refused.code, "%s", refused.msg);
  return no_such(r, kind, name, err);
}

static int compare_plugins(const void *a, const void *b) {
  const struct hf_plugin *x = *(const struct hf_plugin *const *)a, *y = *(const struct hf_plugin *const *)b;
  return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : strcmp(x->head->name, y->head->name);
}

/* Load name from place as each kind it can be. */
static void load_name(struct hf_registry *r, const struct place *pl, const char *name, struct hf_list *seen_bad,
                      void (*bad)(void *ctx, const char *file, const char *why), void *ctx) {
  HF_CLEANUP(hf_freep) char *file = hf_asprintf("%s/%s.so", pl->dir, name);
  bool is_plugin = false;
  struct hf_error why = {0};
  for (int kind = HF_SOURCE; kind <= HF_TARGET; kind++) {
    struct hf_plugin *p = NULL;
    HF_CLEANUP(hf_freep) char *id = hf_asprintf("%d %s", kind, name);
    if (pl->kind && pl->kind != kind) continue;
    if (find_loaded(r, kind, name) || hf_list_has(seen_bad, id)) { /* hidden by an earlier folder's */
      is_plugin = true;
      continue;
    }
    int rc = load_from(pl, file, (enum hf_plugin_kind)kind, &p, &why);
    if (rc == 0) {
      keep(r, p);
      is_plugin = true;
    } else if (rc != HOLDFAST_E_UNSUPPORTED || pl->kind) {
      if (bad) bad(ctx, file, why.msg);
      if (rc != HOLDFAST_E_AUTH) hf_list_add(seen_bad, id);
      return;
    }
  }
  if (!is_plugin && bad)
    bad(ctx, file, "not a holdfast plugin: it has neither " HOLDFAST_SOURCE_ENTRY " nor " HOLDFAST_TARGET_ENTRY);
}

int hf_registry_all(struct hf_registry *r, void (*bad)(void *ctx, const char *file, const char *why), void *ctx,
                    const struct hf_plugin *const **out, size_t *n, struct hf_error *err) {
  HF_CLEANUP(hf_list_free) struct hf_list seen_bad = HF_LIST_INIT;
  (void)err; /* nothing here fails as a whole: what does not load is reported one by one */
  for (size_t i = 0; i < r->n_places; i++) {
    HF_CLEANUP(hf_list_free) struct hf_list names = HF_LIST_INIT;
    names_in(r->places[i].dir, &names);
    for (size_t k = 0; k < names.n; k++) load_name(r, &r->places[i], names.v[k], &seen_bad, bad, ctx);
  }
  free(r->all);
  r->all = hf_allocn(r->n_loaded, sizeof *r->all);
  for (size_t i = 0; i < r->n_loaded; i++) r->all[i] = r->loaded[i];
  qsort(r->all, r->n_loaded, sizeof *r->all, compare_plugins);
  *out = r->all;
  *n = r->n_loaded;
  return 0;
}
