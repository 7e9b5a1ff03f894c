/* header.c - a source plugin that says its struct ends within the header.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(offsetof(struct holdfast_plugin_header, settings), HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "header",
                      tiny_settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
