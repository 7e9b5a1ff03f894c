/* old.c - a good source plugin, as one compiled against an older and shorter struct would be: it has nothing behind close.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every host of this major version must take it. Do not change the struct: it is what an author had years ago.
 */
#include "common.h"

struct old_source_plugin {
  struct holdfast_plugin_header head;
  int (*open)(const struct holdfast_host *host, const struct holdfast_value *values, void **handle);
  int (*next)(void *handle, struct holdfast_entry *e);
  int (*entry_open)(void *handle, struct holdfast_entry *e);
  int64_t (*read)(void *handle, void *buf, size_t n);
  int (*entry_close)(void *handle);
  int (*finish)(void *handle, const char **state);
  void (*close)(void *handle);
};

static const struct old_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, 1, 0, "old", tiny_settings),
    TINY_CALLBACKS,
};

HOLDFAST_EXPORT const struct old_source_plugin *holdfast_source_plugin(void);

const struct old_source_plugin *holdfast_source_plugin(void) { return &plugin; }
