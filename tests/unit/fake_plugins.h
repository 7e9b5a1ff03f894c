/* fake_plugins.h - a source and a target that are linked in, for tests that need a registry but no shared objects.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FAKE_PLUGINS_H
#define FAKE_PLUGINS_H

#include "plugin/internal.h"

static int fake_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  (void)host, (void)values, (void)handle;
  return 0;
}
static int fake_next(void *handle, struct holdfast_entry *e) {
  (void)handle, (void)e;
  return 0;
}
static int64_t fake_read(void *handle, void *buf, size_t n) {
  (void)handle, (void)buf, (void)n;
  return 0;
}
static int fake_done(void *handle) {
  (void)handle;
  return 0;
}
static void fake_close(void *handle) { (void)handle; }
static int fake_topen(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  (void)host, (void)values, (void)create, (void)handle;
  return 0;
}
static uint32_t fake_number(void *handle) {
  (void)handle;
  return 1;
}
static int fake_put(void *handle, const struct holdfast_object *object) {
  (void)handle, (void)object;
  return 0;
}
static int fake_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  (void)handle, (void)key, (void)offset, (void)length, (void)sink, (void)ctx;
  return 0;
}
static int fake_stat(void *handle, const char *key, struct holdfast_stat *out) {
  (void)handle, (void)key, (void)out;
  return 0;
}
static int fake_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  (void)handle, (void)prefix, (void)lister, (void)ctx;
  return 0;
}
static int fake_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  (void)handle, (void)keys, (void)n, (void)statuses;
  return 0;
}

enum { F_PATH, F_EXCLUDE, F_ROOT, F_LIMIT, F_WAIT, F_FOLLOW, F_JOBS, F_MODE, F_PASSWORD };
static const struct holdfast_setting fake_source_settings[] = {
    [F_PATH] = {"path", HOLDFAST_PATH, HOLDFAST_REQUIRED | HOLDFAST_LIST, NULL, NULL, "What to read"},
    [F_EXCLUDE] = {"exclude", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, "Patterns to leave out"},
    [F_ROOT] = {"root", HOLDFAST_PATH, 0, NULL, NULL, "Where all is below"},
    [F_LIMIT] = {"limit", HOLDFAST_SIZE, 0, "32M", NULL, "The largest file"},
    [F_WAIT] = {"wait", HOLDFAST_DURATION, 0, "90s", NULL, "How long"},
    [F_FOLLOW] = {"follow", HOLDFAST_BOOL, 0, "no", NULL, "Whether to follow"},
    [F_JOBS] = {"jobs", HOLDFAST_INT, 0, NULL, NULL, "How many"},
    [F_MODE] = {"mode", HOLDFAST_CHOICE, 0, "fast", "fast|safe", "Which way"},
    [F_PASSWORD] = {"password", HOLDFAST_SECRET, 0, NULL, NULL, "The password"},
    {NULL, 0, 0, NULL, NULL, NULL}};
static const struct holdfast_source_plugin fake_source = {.head = {sizeof fake_source, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR,
                                                                   "fake", "1.2", "A source for tests", fake_source_settings},
                                                          .open = fake_open,
                                                          .next = fake_next,
                                                          .entry_open = fake_next,
                                                          .read = fake_read,
                                                          .entry_close = fake_done,
                                                          .close = fake_close};

static const struct holdfast_setting fake_target_settings[] = {{"path", HOLDFAST_PATH, HOLDFAST_REQUIRED, NULL, NULL, "Where to"},
                                                               {"secret-key", HOLDFAST_SECRET, 0, NULL, NULL, "The key"},
                                                               {NULL, 0, 0, NULL, NULL, NULL}};
static const struct holdfast_target_plugin fake_target = {.head = {sizeof fake_target, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR,
                                                                   "shelf", "1.0", "A target for tests", fake_target_settings},
                                                          .open = fake_topen,
                                                          .capabilities = fake_number,
                                                          .parallel = fake_number,
                                                          .put = fake_put,
                                                          .get = fake_get,
                                                          .stat = fake_stat,
                                                          .list = fake_list,
                                                          .remove = fake_remove,
                                                          .close = fake_close};

/* A registry with the two. */
HF_UNUSED static struct hf_registry *fake_registry(void) {
  struct hf_registry *r = hf_registry_new();
  struct hf_error err;
  if (hf_registry_add(r, HF_SOURCE, &fake_source, &err) < 0 || hf_registry_add(r, HF_TARGET, &fake_target, &err) < 0) {
    hf_registry_free(r);
    return NULL;
  }
  return r;
}

#endif
