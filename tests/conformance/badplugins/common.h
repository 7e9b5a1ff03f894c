/* common.h - callbacks that work, for plugins that are wrong in one thing each.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As a source: one file, "file", that holds "works\n".
 */
#ifndef HF_BADPLUGINS_COMMON_H
#define HF_BADPLUGINS_COMMON_H

#include <stdlib.h>
#include <string.h>

#include <holdfast/source.h>

struct tiny {
  int given, read;
};

static int tiny_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  (void)values;
  *handle = calloc(1, sizeof(struct tiny));
  return *handle ? HOLDFAST_OK : holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
}

static int tiny_next(void *handle, struct holdfast_entry *e) {
  struct tiny *t = handle;
  if (t->given) return 0;
  t->given = 1;
  e->kind = HOLDFAST_FILE;
  e->path = "file";
  e->size = 6;
  e->mode = 0644;
  return 1;
}

static int tiny_entry_open(void *handle, struct holdfast_entry *e) {
  struct tiny *t = handle;
  (void)e;
  t->read = 0;
  return HOLDFAST_OK;
}

static int64_t __attribute__((unused)) tiny_read(void *handle, void *buf, size_t n) {
  struct tiny *t = handle;
  size_t left = 6 - (size_t)t->read;
  n = n < left ? n : left;
  memcpy(buf, "works\n" + t->read, n);
  t->read += (int)n;
  return (int64_t)n;
}

static int tiny_entry_close(void *handle) {
  (void)handle;
  return HOLDFAST_OK;
}

static void tiny_close(void *handle) { free(handle); }

static const struct holdfast_setting tiny_settings[] __attribute__((unused)) = {{NULL, 0, 0, NULL, NULL, NULL}};

#define TINY_HEAD(size, major, minor, name, settings)                                                                            \
  { (uint32_t)(size), (major), (minor), (name), "1.0", "wrong on purpose", (settings) }
#define TINY_CALLBACKS                                                                                                           \
  .open = tiny_open, .next = tiny_next, .entry_open = tiny_entry_open, .read = tiny_read, .entry_close = tiny_entry_close,       \
  .close = tiny_close

#endif
