/* othername.c - a source plugin that has another name than its file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "somebody-else", tiny_settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
