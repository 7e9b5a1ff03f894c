/* fuzz.h - what a fuzz target defines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TESTS_FUZZ_H
#define HF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Feed n bytes to the parser under test. Returns 0. Whatever the bytes, it must neither crash nor leak nor hang. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
