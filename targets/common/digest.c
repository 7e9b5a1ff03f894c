/* digest.c - digests and their text forms.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest.h"

#include <string.h>

#include <openssl/evp.h>

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

bool hft_base64_hex(const char *base64, char out[HFT_HEX]) {
  unsigned char digest[36];
  /* 44 characters, the last one padding, are 33 bytes to OpenSSL: 32 and a zero. */
  if (strlen(base64) != 44 || base64[43] != '=' || base64[42] == '=') return false;
  if (EVP_DecodeBlock(digest, (const unsigned char *)base64, 44) != 33) return false;
  hft_hex(digest, HFT_SHA256, out);
  return true;
}
