/* null.c - a source plugin that returns no struct.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <holdfast/source.h>

HOLDFAST_EXPORT const struct holdfast_source_plugin *holdfast_source_plugin(void);

const struct holdfast_source_plugin *holdfast_source_plugin(void) { return NULL; }
