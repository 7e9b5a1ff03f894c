/* short.c - a source plugin that says its struct ends before the mandatory callbacks do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head =
        TINY_HEAD(offsetof(struct holdfast_source_plugin, read), HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "short", tiny_settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
