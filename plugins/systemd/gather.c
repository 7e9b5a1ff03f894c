/* gather.c - from the units that are named to all files and links that belong to them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A list of units that grows while it is worked off. For each: its own file (through links), its drop-ins, the links that make it start
 * or are other names of it, the files with its environment; then the units that go with it: the one it is an alias of, timers, sockets and
 * paths that trigger it or that it triggers, Also=, and for a template its instances. No manager is asked: the same files decide for it.
 */
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read.h"
#include "systemd.h"
#include "unit.h"

/* A timer, socket or path and what it triggers. */
struct trigger {
  const char *unit; /* of the index */
  char target[HF_SYSTEMD_NAME_MAX + 1];
};

struct work {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  struct hf_systemd_gather *g;
  struct trigger *triggers;
  size_t n_triggers;
};

static int memory(const struct work *w) { return hfp_fail_errno(w->host, -ENOMEM, "units"); }

/* ---- the list ---- */

static struct hf_systemd_unit *listed(const struct hf_systemd_gather *g, const char *name) {
  for (size_t i = 0; i < g->n_units; i++)
    if (strcmp(g->units[i].name, name) == 0) return &g->units[i];
  return NULL;
}

/* Put the unit at the end, if it is not there already. */
static int enlist(struct work *w, const char *name) {
  struct hf_systemd_gather *g = w->g;
  if (listed(g, name)) return 0;
  if (g->n_units >= HF_SYSTEMD_NAMES_MAX) return holdfast_fail(w->host, HOLDFAST_E_FAILED, "more than %d units", HF_SYSTEMD_NAMES_MAX);
  if (g->n_units == g->cap_units) {
    size_t cap = g->cap_units ? g->cap_units * 2 : 32;
    struct hf_systemd_unit *v = realloc(g->units, cap * sizeof *v);
    if (!v) return memory(w);
    g->units = v;
    g->cap_units = cap;
  }
  struct hf_systemd_unit *u = &g->units[g->n_units];
  *u = (struct hf_systemd_unit){.name = strdup(name)};
  if (!u->name) return memory(w);
  g->n_units++;
  return 0;
}

/* Is there a file, a link that enables an instance, or drop-ins of an instance whose template is there? */
static bool exists(const struct hf_systemd_index *x, const char *name) {
  char template[HF_SYSTEMD_NAME_MAX + 1];
  return hf_systemd_index_find(x, name) || (hf_systemd_template_of(name, template) && hf_systemd_index_find(x, template));
}

/* A file or link with all the links on the way; *real (the caller frees, may be NULL) is where it ends, NULL when it leads nowhere. */
static int take(struct work *w, const char *path, bool with_end, char **real, struct stat *st) {
  struct hf_systemd_gather *g = w->g;
  char *end = NULL;
  struct stat dummy;
  int e = hfp_trail(&g->files, g->root, path + strlen(g->root), &end, st ? st : &dummy);
  if (e == 0 && with_end && S_ISREG((st ? st : &dummy)->st_mode)) e = hfp_set_add(&g->files, end);
  if (real && e == 0) {
    *real = end;
    end = NULL;
  }
  free(end);
  return e == 0 || e == -ENOENT || e == -ENOTDIR || e == -ELOOP ? 0 : hfp_fail_errno(w->host, e, path);
}

/* ---- drop-ins ---- */

/* Do the drop-ins of `of` apply to the unit? Its own, its template's, those of "a-.service" for "a-b.service", and those of its whole type. */
static bool applies(const char *of, const char *unit) {
  const char *type = hf_systemd_type(unit), *of_type = hf_systemd_type(of);
  char template[HF_SYSTEMD_NAME_MAX + 1];
  if (strcmp(of, unit) == 0 || strcmp(of, type) == 0) return true;
  if (hf_systemd_template_of(unit, template) && strcmp(of, template) == 0) return true;
  size_t n = strlen(of) - strlen(of_type);
  return strcmp(type, of_type) == 0 && n > 2 && of[n - 2] == '-' && strlen(unit) > n && strncmp(of, unit, n - 1) == 0;
}

static int by_name(const void *a, const void *b) {
  const struct hf_systemd_item *const *x = a, *const *y = b;
  int c = strcmp((*x)->name, (*y)->name);
  return c ? c : (*x)->rank - (*y)->rank;
}

/* Keep and read the unit's drop-ins, in the order in which they count; of several with one name the first one only. */
static int drop_ins(struct work *w, const char *unit, struct hf_systemd_facts *f, bool quiet) {
  const struct hf_systemd_index *x = &w->g->index;
  const struct hf_systemd_item **v = calloc(x->n + 1, sizeof *v);
  size_t n = 0;
  int rc = v ? 0 : memory(w);
  for (size_t i = 0; rc == 0 && i < x->n; i++)
    if (x->v[i].kind == HF_SYSTEMD_DROPIN && applies(x->v[i].of, unit)) v[n++] = &x->v[i];
  if (n) qsort(v, n, sizeof *v, by_name);
  for (size_t i = 0; rc == 0 && i < n; i++) {
    if (i > 0 && strcmp(v[i]->name, v[i - 1]->name) == 0) continue;
    char *path = hf_systemd_item_path(x, v[i]), *real = NULL;
    struct stat st;
    rc = path ? quiet ? 0 : take(w, path, true, NULL, NULL) : memory(w);
    struct hfp_set links = {0};
    if (rc == 0 && hfp_trail(&links, w->g->root, path + strlen(w->g->root), &real, &st) == 0 && S_ISREG(st.st_mode))
      rc = hf_systemd_read(w->host, real, f, quiet);
    hfp_set_free(&links);
    free(real);
    free(path);
  }
  free(v);
  return rc;
}

/* ---- what triggers what ---- */

/* What the timer, socket or path unit starts, into out; "" when that is not known. A template's is a template: its instance is empty. */
static void trigger_target(const char *unit, const struct hf_systemd_facts *f, char *out) {
  const char *type = hf_systemd_type(unit);
  bool socket = strcmp(type, "socket") == 0;
  *out = '\0';
  for (size_t i = 0; f->names_target && i < f->refers.n; i++) {
    char unknown, *name = hf_systemd_expand(f->refers.v[i], unit, &unknown);
    /* A socket names a service, and Also= may stand beside it. */
    if (name && hf_systemd_is_unit(name) && (!socket || strcmp(hf_systemd_type(name), "service") == 0)) snprintf(out, HF_SYSTEMD_NAME_MAX + 1, "%s", name);
    free(name);
    if (*out) return;
  }
  if (!hf_systemd_with_type(unit, "service", out)) {
    *out = '\0';
    return;
  }
  if (!f->accept || strchr(unit, '@')) return;
  char *dot = strrchr(out, '.'); /* "a.socket" with an instance for each connection starts "a@.service" */
  if (dot && strlen(out) < HF_SYSTEMD_NAME_MAX) {
    memmove(dot + 1, dot, strlen(dot) + 1);
    *dot = '@';
  }
}

static bool is_trigger(const char *name) {
  const char *type = hf_systemd_type(name);
  return strcmp(type, "timer") == 0 || strcmp(type, "socket") == 0 || strcmp(type, "path") == 0;
}

static int find_triggers(struct work *w) {
  const struct hf_systemd_index *x = &w->g->index;
  int rc = 0;
  w->triggers = calloc(x->n + 1, sizeof *w->triggers);
  if (!w->triggers) return memory(w);
  for (size_t i = 0; rc == 0 && i < x->n; i++) {
    const struct hf_systemd_item *item = &x->v[i];
    if (item->kind != HF_SYSTEMD_UNIT || !is_trigger(item->name) || hf_systemd_index_find(x, item->name) != item) continue;
    char *path = hf_systemd_item_path(x, item), *real = NULL;
    struct hfp_set links = {0};
    struct hf_systemd_facts f = {0};
    struct stat st;
    rc = path ? 0 : memory(w);
    if (rc == 0 && hfp_trail(&links, w->g->root, path + strlen(w->g->root), &real, &st) == 0 && S_ISREG(st.st_mode)) {
      rc = hf_systemd_read(w->host, real, &f, true);
      if (rc == 0) rc = drop_ins(w, item->name, &f, true);
      struct trigger *t = &w->triggers[w->n_triggers++];
      t->unit = item->name;
      trigger_target(item->name, &f, t->target);
    }
    hf_systemd_facts_free(&f);
    hfp_set_free(&links);
    free(real);
    free(path);
  }
  return rc;
}

/* ---- one unit ---- */

/* A path without the root, for the state. */
static int note_link(struct work *w, const char *unit, const char *path) {
  int e = hfp_set_add(&listed(w->g, unit)->links, path + strlen(w->g->root));
  return e < 0 ? hfp_fail_errno(w->host, e, path) : 0;
}

/* Links in X.wants and the like that name the unit; an instance's links count for its template and call for the instance. */
static int enabling_links(struct work *w, const char *unit) {
  const struct hf_systemd_index *x = &w->g->index;
  bool template = hf_systemd_is_template(unit);
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < x->n; i++) {
    const struct hf_systemd_item *item = &x->v[i];
    char of[HF_SYSTEMD_NAME_MAX + 1];
    bool mine = item->kind == HF_SYSTEMD_LINK && strcmp(item->name, unit) == 0;
    bool instance = template && item->kind != HF_SYSTEMD_UNIT && hf_systemd_template_of(item->kind == HF_SYSTEMD_LINK ? item->name : item->of, of) &&
                    strcmp(of, unit) == 0;
    bool wanted = item->kind == HF_SYSTEMD_LINK && strcmp(item->of, unit) == 0; /* what it pulls in */
    if (instance) rc = enlist(w, item->kind == HF_SYSTEMD_LINK ? item->name : item->of);
    if (rc < 0 || (!mine && !wanted)) continue;
    char *path = hf_systemd_item_path(x, item);
    rc = path ? take(w, path, false, NULL, NULL) : memory(w);
    if (rc == 0 && mine) rc = note_link(w, unit, path);
    free(path);
  }
  return rc;
}

/* Other names: links in the search folders that lead to the unit. */
static int aliases(struct work *w, const char *unit) {
  const struct hf_systemd_index *x = &w->g->index;
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < x->n; i++) {
    const struct hf_systemd_item *item = &x->v[i];
    char target[4096];
    if (item->kind != HF_SYSTEMD_UNIT || strcmp(item->name, unit) == 0) continue;
    char *path = hf_systemd_item_path(x, item);
    if (!path) return memory(w);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n > 0) {
      target[n] = '\0';
      const char *slash = strrchr(target, '/');
      if (strcmp(slash ? slash + 1 : target, unit) == 0) {
        rc = take(w, path, false, NULL, NULL);
        if (rc == 0) rc = note_link(w, unit, path);
        if (rc == 0) rc = enlist(w, item->name);
      }
    }
    free(path);
  }
  return rc;
}

/* One EnvironmentFile= line. A template's own are its instances'. */
static int environment(struct work *w, const char *unit, const char *line) {
  struct hf_systemd_gather *g = w->g;
  bool optional = *line == '-';
  char unknown = '\0', *path = hf_systemd_expand(line + optional, unit, &unknown), *pattern = NULL;
  char where[HF_SYSTEMD_NAME_MAX + 40];
  snprintf(where, sizeof where, "EnvironmentFile= of %s", unit);
  if (!path && unknown) {
    hfp_problem(w->host, line + optional, HOLDFAST_E_UNSUPPORTED, "%s: %%%c depends on the running system and cannot be followed", where, unknown);
    return 0;
  }
  int rc = path ? 0 : memory(w);
  if (rc == 0 && *path != '/') {
    hfp_problem(w->host, path, HOLDFAST_E_CONFIG, "%s: not an absolute path", where);
    free(path);
    return 0;
  }
  if (rc == 0 && asprintf(&pattern, "%s%s", g->root, path) < 0) rc = memory(w);
  glob_t found = {0};
  int k = rc == 0 ? glob(pattern, GLOB_NOSORT | (strpbrk(path, "*?[") ? 0 : GLOB_NOCHECK), NULL, &found) : 0;
  if (k == GLOB_NOSPACE) rc = memory(w);
  if (k == GLOB_NOMATCH && !optional) hfp_problem(w->host, path, HOLDFAST_E_NOT_FOUND, "%s: no such file, and the unit cannot start without", where);
  for (size_t i = 0; rc == 0 && k == 0 && i < found.gl_pathc; i++) {
    struct stat st;
    char *real = NULL;
    int e = hfp_trail(&g->files, g->root, found.gl_pathv[i] + strlen(g->root), &real, &st);
    if (e == 0 && S_ISREG(st.st_mode)) e = hfp_set_add(&g->files, real);
    free(real);
    if (e == -ENOMEM || e == -E2BIG) rc = hfp_fail_errno(w->host, e, path);
    else if (e < 0 && !(optional && e == -ENOENT))
      hfp_problem(w->host, found.gl_pathv[i], e == -EACCES ? HOLDFAST_E_AUTH : HOLDFAST_E_NOT_FOUND, "%s: %s", where, strerror(-e));
  }
  globfree(&found);
  free(pattern);
  free(path);
  return rc;
}

/* Units that go with this one. */
static int companions(struct work *w, const char *unit, const struct hf_systemd_facts *f) {
  char template[HF_SYSTEMD_NAME_MAX + 1], target[HF_SYSTEMD_NAME_MAX + 1];
  const struct hf_systemd_index *x = &w->g->index;
  bool instance = hf_systemd_template_of(unit, template);
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < f->refers.n; i++) {
    char unknown, *name = hf_systemd_expand(f->refers.v[i], unit, &unknown);
    if (name && hf_systemd_is_unit(name) && exists(x, name)) rc = enlist(w, name);
    free(name);
  }
  if (rc == 0 && is_trigger(unit)) {
    trigger_target(unit, f, target);
    if (hf_systemd_is_unit(target) && exists(x, target)) rc = enlist(w, target);
  }
  for (size_t i = 0; rc == 0 && i < w->n_triggers; i++) {
    const struct trigger *t = &w->triggers[i];
    if (strcmp(t->target, unit) == 0 || (instance && strcmp(t->target, template) == 0 && !strchr(t->unit, '@'))) rc = enlist(w, t->unit);
    else if (instance && strcmp(t->target, template) == 0 && hf_systemd_with_type(unit, hf_systemd_type(t->unit), target) && exists(x, target))
      rc = enlist(w, target);
  }
  return rc;
}

static int one_unit(struct work *w, size_t at) {
  struct hf_systemd_gather *g = w->g;
  char name[HF_SYSTEMD_NAME_MAX + 1], template[HF_SYSTEMD_NAME_MAX + 1];
  snprintf(name, sizeof name, "%s", g->units[at].name); /* the list may move */
  const struct hf_systemd_item *item = hf_systemd_index_find(&g->index, name);
  if (!item && hf_systemd_template_of(name, template)) item = hf_systemd_index_find(&g->index, template);
  struct hf_systemd_facts f = {0};
  struct stat st;
  char *path = NULL, *real = NULL;
  int rc = 0;
  if (item) {
    path = hf_systemd_item_path(&g->index, item);
    rc = path ? take(w, path, true, &real, &st) : memory(w);
    if (rc == 0 && !real) hfp_problem(w->host, path, HOLDFAST_E_NOT_FOUND, "the link leads nowhere; unit %s has no file", name);
    if (rc == 0 && real && (!S_ISREG(st.st_mode) || st.st_size == 0)) g->units[at].masked = true;
    else if (rc == 0 && real) {
      if (!(g->units[at].path = strdup(real + strlen(g->root)))) rc = memory(w);
      if (rc == 0) rc = hf_systemd_read(w->host, real, &f, false);
      const char *base = strrchr(real, '/') + 1;
      if (rc == 0 && strcmp(base, item->name) != 0 && hf_systemd_is_unit(base) && hf_systemd_index_find(&g->index, base)) rc = enlist(w, base);
    }
  }
  if (rc == 0) rc = drop_ins(w, name, &f, false);
  if (rc == 0) rc = enabling_links(w, name);
  if (rc == 0) rc = aliases(w, name);
  for (size_t i = 0; rc == 0 && w->values[HF_SYSTEMD_ENVIRONMENT_FILES].number && !hf_systemd_is_template(name) && i < f.n_environment; i++)
    rc = environment(w, name, f.environment[i]);
  if (rc == 0) rc = companions(w, name, &f);
  hf_systemd_facts_free(&f);
  free(path);
  free(real);
  return rc;
}

/* ---- the units named ---- */

static int named(struct work *w, const char *text) {
  const struct hf_systemd_index *x = &w->g->index;
  char name[HF_SYSTEMD_NAME_MAX + 1];
  size_t before = w->g->n_units;
  bool pattern = strpbrk(text, "*?[") != NULL;
  int rc = 0;
  if (!pattern) {
    /* As systemctl takes it: without a type it is a service. */
    int n = snprintf(name, sizeof name, "%s%s", text, hf_systemd_is_unit(text) ? "" : ".service");
    if (n > HF_SYSTEMD_NAME_MAX || !hf_systemd_is_unit(name))
      return holdfast_fail(w->host, HOLDFAST_E_CONFIG, "unit = %s: not the name of a unit, such as app.service", text);
    if (exists(x, name)) return enlist(w, name);
    const char *run = hf_systemd_in_run(w->g->root, name);
    if (run)
      return holdfast_fail(w->host, HOLDFAST_E_NOT_FOUND, "unit = %s: it is only in %s, where it is made anew at each start; back up what makes it", text, run);
  }
  for (size_t i = 0; rc == 0 && pattern && i < x->n; i++) {
    const struct hf_systemd_item *item = &x->v[i];
    const char *candidate = item->kind == HF_SYSTEMD_DROPIN ? item->of : item->name;
    if (hf_systemd_is_unit(candidate) && fnmatch(text, candidate, 0) == 0 && exists(x, candidate)) rc = enlist(w, candidate);
  }
  if (rc < 0 || w->g->n_units > before) return rc;
  for (size_t i = 0; pattern && i < w->g->n_units; i++)
    if (fnmatch(text, w->g->units[i].name, 0) == 0) return 0; /* another line named it */
  const char *hint = "(ignore-missing = yes passes over it)";
  if (!w->values[HF_SYSTEMD_IGNORE_MISSING].number)
    return holdfast_fail(w->host, HOLDFAST_E_NOT_FOUND, "unit = %s: %s%s%s %s", text, pattern ? "no unit fits" : "there is no such unit",
                         *w->g->root ? " below " : "", w->g->root, hint);
  hfp_log(w->host, HOLDFAST_LOG_NOTICE, "unit = %s: not there, passed over", text);
  return 0;
}

int hf_systemd_root(const struct holdfast_host *host, const struct holdfast_value *values, char **root) {
  const char *given = values[HF_SYSTEMD_ROOT].strings[0];
  char *real = realpath(given, NULL);
  struct stat st;
  if (!real || stat(real, &st) != 0 || !S_ISDIR(st.st_mode)) {
    int e = real ? ENOTDIR : errno;
    free(real);
    return holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "root = %s: %s", given, strerror(e));
  }
  if (strcmp(real, "/") == 0) *real = '\0';
  *root = real;
  return HOLDFAST_OK;
}

int hf_systemd_gather(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_systemd_gather *out) {
  *out = (struct hf_systemd_gather){0};
  struct work w = {.host = host, .values = values, .g = out};
  int rc = hf_systemd_root(host, values, &out->root);
  if (rc == 0) rc = hf_systemd_index_load(&out->index, host, out->root);
  if (rc == 0) rc = find_triggers(&w);
  for (uint32_t i = 0; rc == 0 && i < values[HF_SYSTEMD_UNITS].count; i++) rc = named(&w, values[HF_SYSTEMD_UNITS].strings[i]);
  for (size_t i = 0; rc == 0 && i < out->n_units; i++) {
    rc = one_unit(&w, i);
    if (rc == 0 && host->cancelled(host->ctx)) rc = holdfast_fail(host, HOLDFAST_E_CANCELED, "stopped");
  }
  free(w.triggers);
  if (rc < 0) hf_systemd_gather_free(out);
  return rc;
}

void hf_systemd_gather_free(struct hf_systemd_gather *g) {
  for (size_t i = 0; i < g->n_units; i++) {
    free(g->units[i].name);
    free(g->units[i].path);
    hfp_set_free(&g->units[i].links);
  }
  free(g->units);
  free(g->root);
  hf_systemd_index_free(&g->index);
  hfp_set_free(&g->files);
  *g = (struct hf_systemd_gather){0};
}
