/* crc32c.h - CRC-32C (Castagnoli), the checksum that Google Cloud Storage keeps of every object.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_CRC32C_H
#define HFT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* The sum of what sum is the sum of (0: nothing) followed by n bytes. Any thread. */
uint32_t hft_crc32c(uint32_t sum, const void *p, size_t n);
/* The same without the processor's instruction; for the tests, and where there is none. */
uint32_t hft_crc32c_portable(uint32_t sum, const void *p, size_t n);

/* A sum as the base64 of its four bytes, the highest first: "yZRlqg==". */
#define HFT_CRC32C_TEXT 9
void hft_crc32c_text(uint32_t sum, char out[HFT_CRC32C_TEXT]);

#pragma GCC visibility pop
#endif
