/* larger.c - a source plugin that says its struct is larger than any the host knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

static const struct holdfast_source_plugin plugin = {
    .head = TINY_HEAD(sizeof plugin + 64, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "larger", tiny_settings),
    TINY_CALLBACKS,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
