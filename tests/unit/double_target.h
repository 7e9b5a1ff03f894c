/* double_target.h - a target in memory that is linked in and fails as it is told, for tests of what stands on targets.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef DOUBLE_TARGET_H
#define DOUBLE_TARGET_H

#include <pthread.h>
#include <unistd.h>

#include "base/digest.h"
#include "pipeline/target.h"
#include "plugin/internal.h"

enum double_call { D_PUT = 1, D_GET = 2, D_STAT = 4, D_LIST = 8, D_REMOVE = 16, D_OPEN = 32, D_SPACE = 64, D_EXTEND = 128, D_THAW = 256, D_ALL = 511 };

struct double_object {
  char *key;
  char *p;
  size_t n;
};

/* One of them; the setting `path` says which: "/0", "/1". */
static struct double_shelf {
  pthread_mutex_t lock;
  struct double_object *v;
  size_t n;
  /* What goes wrong: calls of these kinds, from the one numbered `from` (the first is 1) on, `times` of them, end with `status`. */
  unsigned kinds, from, times;
  int status;
  bool locks;      /* among its capabilities */
  bool deaf;       /* does not mind what sink and lister return */
  bool done_first; /* a put is stored although it fails, a get hands out half of the bytes, a list half of the keys */
  const char *words;
  const char *only;    /* of many keys, those that end in this alone; NULL: all */
  int64_t wait;        /* what it asks for with a failure */
  /* What was seen. */
  size_t most_keys; /* of one call */
  unsigned calls, at_once, most_at_once, parallel, naps;
  const struct holdfast_host *host;
} shelves[2] = {{.lock = PTHREAD_MUTEX_INITIALIZER, .parallel = 4}, {.lock = PTHREAD_MUTEX_INITIALIZER, .parallel = 4}};

static void shelf_fails(struct double_shelf *s, unsigned kinds, unsigned from, unsigned times, int status) {
  s->kinds = kinds;
  s->from = from;
  s->times = times;
  s->status = status;
  s->calls = 0;
  s->done_first = s->deaf = false;
  s->only = NULL;
  s->wait = 0;
  s->words = "as it was told";
}

HF_UNUSED static void shelf_works(struct double_shelf *s) { shelf_fails(s, 0, 0, 0, 0); }

HF_UNUSED static struct double_object *shelf_find(struct double_shelf *s, const char *key) {
  for (size_t i = 0; i < s->n; i++) {
    if (strcmp(s->v[i].key, key) == 0) return &s->v[i];
  }
  return NULL;
}

HF_UNUSED static size_t shelf_count(const struct double_shelf *s, const char *prefix) {
  size_t n = 0;
  for (size_t i = 0; i < s->n; i++) n += strncmp(s->v[i].key, prefix, strlen(prefix)) == 0;
  return n;
}

HF_UNUSED static void shelf_empty(struct double_shelf *s) {
  for (size_t i = 0; i < s->n; i++) free(s->v[i].key), free(s->v[i].p);
  free(s->v);
  s->v = NULL;
  s->n = 0;
  s->most_at_once = 0;
  s->parallel = 4;
  s->naps = 0;
  s->most_keys = 0;
  s->locks = false;
  shelf_works(s);
}

/* Does this call fail? The status, or 0. Takes the lock, which shelf_leave gives back. */
static int shelf_enter(struct double_shelf *s, unsigned kind) {
  pthread_mutex_lock(&s->lock);
  s->at_once++;
  s->most_at_once = HF_MAX(s->most_at_once, s->at_once);
  if (s->naps) {
    pthread_mutex_unlock(&s->lock);
    usleep(s->naps);
    pthread_mutex_lock(&s->lock);
  }
  if (!(s->kinds & kind)) return 0;
  s->calls++;
  if (s->calls < s->from || s->calls - s->from >= s->times) return 0;
  if (s->host && s->words) s->host->error(s->host->ctx, s->words);
  if (s->host && s->wait) s->host->retry_after(s->host->ctx, s->wait);
  return s->status;
}

static int shelf_leave(struct double_shelf *s, int r) {
  s->at_once--;
  pthread_mutex_unlock(&s->lock);
  return r;
}

static int double_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  struct double_shelf *s = &shelves[values[0].strings[0][1] - '0'];
  (void)create;
  s->host = host;
  *handle = s;
  return shelf_leave(s, shelf_enter(s, D_OPEN));
}

static uint32_t double_capabilities(void *handle) { return HOLDFAST_CREATE_ONLY | (((struct double_shelf *)handle)->locks ? HOLDFAST_OBJECT_LOCK : 0); }

static uint32_t double_parallel(void *handle) { return ((struct double_shelf *)handle)->parallel; }

static int double_put(void *handle, const struct holdfast_object *o) {
  struct double_shelf *s = handle;
  int r = shelf_enter(s, D_PUT);
  struct double_object *x = shelf_find(s, o->key);
  if (r == 0 && x && (o->flags & HOLDFAST_PUT_CREATE)) return shelf_leave(s, HOLDFAST_E_EXISTS);
  if (x || (r != 0 && !s->done_first)) return shelf_leave(s, r);
  s->v = hf_realloc(s->v, (s->n + 1) * sizeof *s->v);
  s->v[s->n++] = (struct double_object){hf_strdup(o->key), hf_memdup(o->size ? o->data : "", o->size ? o->size : 1), o->size};
  return shelf_leave(s, r);
}

static int double_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct double_shelf *s = handle;
  int r = shelf_enter(s, D_GET);
  const struct double_object *x = shelf_find(s, key);
  if (!x) return shelf_leave(s, r ? r : HOLDFAST_E_NOT_FOUND);
  (void)offset, (void)length; /* the core reads whole objects */
  if (r == 0) {
    int t = sink(ctx, x->p, x->n);
    return shelf_leave(s, s->deaf ? 0 : t);
  }
  if (s->done_first) sink(ctx, x->p, x->n / 2);
  return shelf_leave(s, r);
}

static int double_stat(void *handle, const char *key, struct holdfast_stat *out) {
  struct double_shelf *s = handle;
  int r = shelf_enter(s, D_STAT);
  const struct double_object *x = shelf_find(s, key);
  if (r == 0 && x) out->size = x->n;
  return shelf_leave(s, r ? r : x ? 0 : HOLDFAST_E_NOT_FOUND);
}

static int double_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  struct double_shelf *s = handle;
  int r = shelf_enter(s, D_LIST), t = 0;
  size_t n = r == 0 ? s->n : s->done_first ? (s->n + 1) / 2 : 0;
  for (size_t i = 0; i < n && (t >= 0 || s->deaf); i++) {
    if (strncmp(s->v[i].key, prefix, strlen(prefix)) == 0) t = lister(ctx, s->v[i].key, s->v[i].n);
  }
  return shelf_leave(s, t < 0 && !s->deaf ? t : r);
}

/* Does one of many keys fail with the call? */
static bool double_picks(const struct double_shelf *s, const char *key) {
  size_t n = strlen(key), k = s->only ? strlen(s->only) : 0;
  return n >= k && strcmp(key + n - k, s->only ? s->only : "") == 0;
}

static int double_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct double_shelf *s = handle;
  int r = shelf_enter(s, D_REMOVE);
  s->most_keys = HF_MAX(s->most_keys, n);
  for (size_t i = 0; i < n; i++) {
    statuses[i] = double_picks(s, keys[i]) ? r : 0;
    struct double_object *x = statuses[i] == 0 ? shelf_find(s, keys[i]) : NULL;
    if (!x) continue;
    free(x->key);
    free(x->p);
    *x = s->v[--s->n];
  }
  return shelf_leave(s, r);
}

/* What is not there cannot be kept, nor brought back. */
static int double_many(struct double_shelf *s, unsigned kind, const char *const *keys, size_t n, int *statuses) {
  int r = shelf_enter(s, kind), worst = r;
  s->most_keys = HF_MAX(s->most_keys, n);
  for (size_t i = 0; i < n; i++) {
    statuses[i] = double_picks(s, keys[i]) ? r : 0;
    if (statuses[i] == 0 && !shelf_find(s, keys[i])) statuses[i] = worst = HOLDFAST_E_NOT_FOUND;
  }
  return shelf_leave(s, worst);
}

static int double_extend(void *handle, const char *const *keys, size_t n, int *statuses) { return double_many(handle, D_EXTEND, keys, n, statuses); }

static int double_thaw(void *handle, const char *const *keys, size_t n, int *statuses) { return double_many(handle, D_THAW, keys, n, statuses); }

static int double_space(void *handle, struct holdfast_space *out) {
  struct double_shelf *s = handle;
  int r = shelf_enter(s, D_SPACE);
  out->total = 1000;
  out->free = 10;
  return shelf_leave(s, r);
}

static void double_close(void *handle) { ((struct double_shelf *)handle)->host = NULL; }

static const struct holdfast_setting double_settings[] = {{"path", HOLDFAST_PATH, HOLDFAST_REQUIRED, NULL, NULL, "Which one"},
                                                          {"retain", HOLDFAST_DURATION, 0, NULL, NULL, "For how long it locks"},
                                                          {0}};
static const struct holdfast_target_plugin double_plugin = {.head = {sizeof double_plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR,
                                                                     "double", "1.0", "A target that fails as told",
                                                                     double_settings},
                                                            .open = double_open,
                                                            .capabilities = double_capabilities,
                                                            .parallel = double_parallel,
                                                            .put = double_put,
                                                            .get = double_get,
                                                            .stat = double_stat,
                                                            .list = double_list,
                                                            .remove = double_remove,
                                                            .space = double_space,
                                                            .close = double_close,
                                                            .extend = double_extend,
                                                            .thaw = double_thaw};

/* What the manifest would say of it. */
static struct double_target {
  struct hf_manifest_target m;
  struct hf_plugin plugin;
  char name[8], path[8];
} doubles[2];

static struct hf_manifest_target *double_manifest(unsigned i, const char *prefix) {
  struct double_target *d = &doubles[i];
  struct hf_error e = {0};
  snprintf(d->name, sizeof d->name, "shelf%u", i);
  snprintf(d->path, sizeof d->path, "/%u", i);
  d->plugin = (struct hf_plugin){.kind = HF_TARGET, .target = double_plugin, .head = &d->plugin.target.head};
  d->m = (struct hf_manifest_target){.name = d->name, .plugin = &d->plugin, .prefix = hf_strdup(prefix), .enabled = true, .deadline = 600, .retries = 2};
  d->m.settings = hf_settings_new(double_settings);
  if (hf_settings_set(d->m.settings, "path", d->path, 1, "/", &e) < 0 || hf_settings_finish(d->m.settings, &e) < 0) abort();
  return &d->m;
}

static void double_free(unsigned i) {
  hf_settings_free(doubles[i].m.settings);
  free(doubles[i].m.prefix);
}

#endif
