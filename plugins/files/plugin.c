/* plugin.c - the files source as a plugin: the one symbol it exports. All else is in the engine, which other plugins are linked with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

HOLDFAST_SOURCE_PLUGIN(hf_files_engine)
