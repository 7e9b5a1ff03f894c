/* noentry.c - a shared object without the entry function.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <holdfast/plugin.h>

HOLDFAST_EXPORT int holdfast_something_else(void);

int holdfast_something_else(void) { return 0; }
