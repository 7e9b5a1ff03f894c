/* digest.c - SHA-256, HMAC-SHA256, HKDF-SHA256 and randomness by OpenSSL's EVP.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fetching an algorithm takes locks and hash look-ups and costs far more than hashing a short string, so it is done once per
 * process, and keyed contexts are started again instead of made anew.
 */
#include "base/digest.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>

#include "base/internal.h"
#include "base/text.h"

static EVP_MD *md_sha256;
static EVP_MAC *mac_hmac;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void need(bool ok) {
  if (!ok) hf_die("holdfast: error: libcrypto has no working SHA-256\n");
}

static void fetch(void) {
  md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  mac_hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  need(md_sha256 && mac_hmac);
}

struct hf_sha256 {
  EVP_MD_CTX *ctx;
};

struct hf_sha256 *hf_sha256_new(void) {
  pthread_once(&once, fetch);
  struct hf_sha256 *s = hf_alloc(sizeof *s);
  s->ctx = EVP_MD_CTX_new();
  need(s->ctx && EVP_DigestInit_ex2(s->ctx, md_sha256, NULL) == 1);
  return s;
}

void hf_sha256_update(struct hf_sha256 *s, const void *p, size_t n) { need(n == 0 || EVP_DigestUpdate(s->ctx, p, n) == 1); }

void hf_sha256_final(struct hf_sha256 *s, struct hf_digest *out) {
  need(EVP_DigestFinal_ex(s->ctx, out->b, NULL) == 1);
  need(EVP_DigestInit_ex2(s->ctx, md_sha256, NULL) == 1);
}

void hf_sha256_copy(struct hf_sha256 *to, const struct hf_sha256 *from) { need(EVP_MD_CTX_copy_ex(to->ctx, from->ctx) == 1); }

void hf_sha256_free(struct hf_sha256 *s) {
  if (!s) return;
  EVP_MD_CTX_free(s->ctx);
  free(s);
}

void hf_sha256(const void *p, size_t n, struct hf_digest *out) {
  pthread_once(&once, fetch);
  need(EVP_Digest(n ? p : "", n, out->b, NULL, md_sha256, NULL) == 1);
}

void hf_digest_hex(const struct hf_digest *d, char out[HF_SHA256_HEX]) { hf_hex(out, d->b, sizeof d->b); }

bool hf_digest_parse(const char *hex, struct hf_digest *out) { return hf_unhex(out->b, hex, sizeof out->b); }

bool hf_digest_eq(const struct hf_digest *a, const struct hf_digest *b) { return CRYPTO_memcmp(a->b, b->b, sizeof a->b) == 0; }

struct hf_hmac {
  EVP_MAC_CTX *ctx;
};

struct hf_hmac *hf_hmac_new(const void *key, size_t n) {
  pthread_once(&once, fetch);
  char name[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_construct_end()};
  struct hf_hmac *h = hf_alloc(sizeof *h);
  h->ctx = EVP_MAC_CTX_new(mac_hmac);
  need(h->ctx && EVP_MAC_init(h->ctx, n ? key : (const void *)"", n, params) == 1);
  return h;
}

void hf_hmac(struct hf_hmac *h, const void *p, size_t n, struct hf_digest *out) {
  size_t len = 0;
  need(EVP_MAC_init(h->ctx, NULL, 0, NULL) == 1); /* the key stays */
  need(n == 0 || EVP_MAC_update(h->ctx, p, n) == 1);
  need(EVP_MAC_final(h->ctx, out->b, &len, sizeof out->b) == 1 && len == sizeof out->b);
}

void hf_hmac_free(struct hf_hmac *h) {
  if (!h) return;
  EVP_MAC_CTX_free(h->ctx);
  free(h);
}

void hf_hkdf(const void *secret, size_t secret_n, const void *info, size_t info_n, void *out, size_t len) {
  static const unsigned char no_salt[HF_SHA256_LEN];
  if (len > 255 * HF_SHA256_LEN) hf_die("holdfast: error: more key material asked for than HKDF gives\n");
  struct hf_digest prk, t;
  struct hf_hmac *h = hf_hmac_new(no_salt, sizeof no_salt);
  hf_hmac(h, secret, secret_n, &prk);
  hf_hmac_free(h);
  h = hf_hmac_new(prk.b, sizeof prk.b);
  /* T(i) = HMAC(prk, T(i-1) | info | i), with T(0) empty */
  struct hf_buf in = HF_BUF_INIT;
  hf_buf_reserve(&in, sizeof t.b + info_n + 1);
  unsigned char *to = out;
  for (unsigned i = 1; len > 0; i++) {
    hf_buf_clear(&in);
    if (i > 1) hf_buf_add(&in, t.b, sizeof t.b);
    hf_buf_add(&in, info, info_n);
    hf_buf_addc(&in, (char)i);
    hf_hmac(h, in.data, in.len, &t);
    size_t n = HF_MIN(len, sizeof t.b);
    memcpy(to, t.b, n);
    to += n;
    len -= n;
  }
  hf_hmac_free(h);
  hf_wipe(in.data, in.cap);
  hf_buf_free(&in);
  hf_wipe(&prk, sizeof prk);
  hf_wipe(&t, sizeof t);
}

void hf_random(void *p, size_t n) {
  unsigned char *b = p;
  while (n > 0) {
    ssize_t got = getrandom(b, HF_MIN(n, (size_t)256), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) hf_die("holdfast: error: the system gives no random bytes\n");
    b += got;
    n -= (size_t)got;
  }
}
