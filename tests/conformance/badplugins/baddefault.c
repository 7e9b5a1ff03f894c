/* baddefault.c - a source plugin that has a setting whose default is not of its type.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_setting settings[] = {
    {"amount", HOLDFAST_SIZE, 0, "plenty", NULL, "A size that is none"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "baddefault", settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
