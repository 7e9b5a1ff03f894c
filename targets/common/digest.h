/* digest.h - digests and their text forms, for signatures and checksum headers.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_DIGEST_H
#define HFT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

#define HFT_SHA256 32
#define HFT_HEX 65    /* a SHA-256 as hexadecimal digits, with its NUL */
#define HFT_BASE64 45 /* the same, or something shorter, as base64 */

/* All return false only when the library fails: out of memory, or an algorithm that the system forbids. */
bool hft_sha256(const void *p, size_t n, unsigned char out[HFT_SHA256]);
bool hft_sha256_hex(const void *p, size_t n, char out[HFT_HEX]);
bool hft_hmac(const void *key, size_t key_n, const void *p, size_t n, unsigned char out[HFT_SHA256]);
/* The value of a Content-MD5 header. */
bool hft_md5_base64(const void *p, size_t n, char out[HFT_BASE64]);

/* Lower case digits. */
void hft_hex(const unsigned char *p, size_t n, char *out);
/* n is at most 32. */
void hft_base64(const unsigned char *p, size_t n, char out[HFT_BASE64]);
/* A digest of 64 hexadecimal digits as base64; false when it is not one. */
bool hft_hex_base64(const char *hex, char out[HFT_BASE64]);
/* Base64 of whatever length to bytes, at most cap of them; *n is how many. False when it is no base64 with its padding, or too long. */
bool hft_unbase64(const char *base64, unsigned char *out, size_t cap, size_t *n);
/* The base64 of a SHA-256 as 64 lower case digits; false when it is not one. */
bool hft_base64_hex(const char *base64, char out[HFT_HEX]);

#pragma GCC visibility pop
#endif
