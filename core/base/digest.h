/* digest.h - SHA-256, HMAC-SHA256 (FIPS 180-4, RFC 2104), HKDF-SHA256 (RFC 5869) and random bytes, by OpenSSL EVP. */
#ifndef HF_DIGEST_H
#define HF_DIGEST_H

#include "base/base.h"

#define HF_SHA256_LEN 32
#define HF_SHA256_HEX 65 /* with the NUL */

struct hf_digest { unsigned char b[HF_SHA256_LEN]; };

void hf_sha256(const void *p, size_t n, struct hf_digest *out);
void hf_digest_hex(const struct hf_digest *d, char out[HF_SHA256_HEX]);
bool hf_digest_parse(const char *hex, struct hf_digest *out); /* the first 64 characters; the caller checks what follows */
bool hf_digest_eq(const struct hf_digest *a, const struct hf_digest *b);

/* Running SHA-256. */
struct hf_sha256;
struct hf_sha256 *hf_sha256_new(void);
void hf_sha256_update(struct hf_sha256 *s, const void *p, size_t n);
void hf_sha256_final(struct hf_sha256 *s, struct hf_digest *out); /* and ready to start again */
void hf_sha256_copy(struct hf_sha256 *to, const struct hf_sha256 *from);
void hf_sha256_free(struct hf_sha256 *s);

/* HMAC-SHA256 keyed once, used many times; one handle per thread. */
struct hf_hmac;
struct hf_hmac *hf_hmac_new(const void *key, size_t n);
void hf_hmac(struct hf_hmac *h, const void *p, size_t n, struct hf_digest *out);
void hf_hmac_free(struct hf_hmac *h);

/* HKDF-SHA256 with an empty salt; len at most 8160. */
void hf_hkdf(const void *secret, size_t secret_n, const void *info, size_t info_n, void *out, size_t len);
void hf_random(void *p, size_t n); /* dies when the system has no randomness */

#endif
