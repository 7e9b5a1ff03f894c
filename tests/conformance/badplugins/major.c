/* major.c - a source plugin that was made for the next major version of the interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR + 1, 0, "major", tiny_settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
