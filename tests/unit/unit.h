/* unit.h - cmocka with the headers it wants before it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TESTS_UNIT_H
#define HF_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
