/* nosettings.c - a source plugin that has no settings table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "nosettings", NULL),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
