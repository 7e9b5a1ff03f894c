/* missing.c - a source plugin that lacks a mandatory callback.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "missing", tiny_settings),
    .open = tiny_open,
    .next = tiny_next,
    .entry_open = tiny_entry_open,
    .entry_close = tiny_entry_close,
    .close = tiny_close,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
