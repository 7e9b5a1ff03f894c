/* badtype.c - a source plugin that has a setting of a type that does not exist.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_setting settings[] = {
    {"strange", 4711, 0, NULL, NULL, "A setting of no known type"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "badtype", settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
