/* reserved.c - a source plugin that has a setting with a name of the host.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_setting settings[] = {
    {"timeout", HOLDFAST_DURATION, 0, "1h", NULL, "A setting that every source has already"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "reserved", settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
