/* digest.c - digests and their text forms.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest.h"

#include <string.h>

#include <openssl/evp.h>

#define BASE64_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

bool hft_sha256(const void *p, size_t n, unsigned char out[HFT_SHA256]) { return EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL) == 1; }

bool hft_sha256_hex(const void *p, size_t n, char out[HFT_HEX]) {
  unsigned char digest[HFT_SHA256];
  if (!hft_sha256(p, n, digest)) return false;
  hft_hex(digest, sizeof digest, out);
  return true;
}

bool hft_hmac(const void *key, size_t key_n, const void *p, size_t n, unsigned char out[HFT_SHA256]) {
  size_t len = 0;
  return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_n, p, n, out, HFT_SHA256, &len) && len == HFT_SHA256;
}

bool hft_md5_base64(const void *p, size_t n, char out[HFT_BASE64]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  if (EVP_Digest(p, n, digest, &len, EVP_md5(), NULL) != 1) return false;
  hft_base64(digest, len, out);
  return true;
}

void hft_hex(const unsigned char *p, size_t n, char *out) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[p[i] >> 4];
    *out++ = digits[p[i] & 15];
  }
  *out = '\0';
}

void hft_base64(const unsigned char *p, size_t n, char out[HFT_BASE64]) { EVP_EncodeBlock((unsigned char *)out, p, n > 32 ? 32 : (int)n); }

bool hft_hex_base64(const char *hex, char out[HFT_BASE64]) {
  unsigned char digest[HFT_SHA256] = {0};
  if (strspn(hex, "0123456789abcdefABCDEF") != 64 || hex[64]) return false;
  for (size_t i = 0; i < 64; i++) {
    int v = hex[i] <= '9' ? hex[i] - '0' : (hex[i] | 32) - 'a' + 10;
    digest[i / 2] = (unsigned char)(digest[i / 2] << 4 | v);
  }
  hft_base64(digest, sizeof digest, out);
  return true;
}

bool hft_unbase64(const char *base64, unsigned char *out, size_t cap, size_t *n) {
  size_t len = strlen(base64), padding = 0;
  while (padding < 2 && padding < len && base64[len - 1 - padding] == '=') padding++;
  if (len % 4 != 0 || base64[strspn(base64, BASE64_DIGITS)] != (padding ? '=' : '\0') || strspn(base64, BASE64_DIGITS) != len - padding) return false;
  if (len / 4 * 3 - padding > cap) return false;
  *n = 0;
  for (size_t at = 0; at < len; at += 4) {
    unsigned char three[4] = {0};
    size_t some = at + 4 == len ? 3 - padding : 3;
    if (EVP_DecodeBlock(three, (const unsigned char *)base64 + at, 4) != 3) return false;
    memcpy(out + *n, three, some);
    explicit_bzero(three, sizeof three);
    *n += some;
  }
  return true;
}

bool hft_base64_hex(const char *base64, char out[HFT_HEX]) {
  unsigned char digest[HFT_SHA256];
  size_t n;
  if (!hft_unbase64(base64, digest, sizeof digest, &n) || n != sizeof digest) return false;
  hft_hex(digest, sizeof digest, out);
  return true;
}
