/* jwt.c - the signed token by which a service account proves who it is.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "gcs.h"

#define LIFE 3600 /* seconds; the most that Google takes */

/* Append as base64 with the letters of URLs and without padding (RFC 7515). */
static void add_base64url(struct hft_buf *out, const void *p, size_t n) {
  char *text = malloc(n / 3 * 4 + 5);
  if (!text || n > 1 << 20) {
    free(text);
    out->bad = true;
    return;
  }
  int len = EVP_EncodeBlock((unsigned char *)text, p, (int)n);
  while (len > 0 && text[len - 1] == '=') len--;
  for (int i = 0; i < len; i++) text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
  hft_add(out, text, (size_t)len);
  free(text);
}

/* Takes the reference. */
static void add_json(struct hft_buf *out, json_t *o) {
  char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
  if (text) add_base64url(out, text, strlen(text));
  else out->bad = true;
  free(text);
  json_decref(o);
}

/* Instead of asking at the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *ctx) {
  (void)buf, (void)size, (void)rwflag, (void)ctx;
  return -1;
}

static EVP_PKEY *read_key(const char *pem) {
  BIO *in = BIO_new_mem_buf(pem, -1);
  EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
  BIO_free(in);
  return key;
}

/* RS256 over what out holds, as its third part. */
static bool sign(EVP_PKEY *key, struct hft_buf *out) {
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  unsigned char *signature = NULL;
  size_t n = 0;
  bool good = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(c, NULL, &n, (const unsigned char *)out->data, out->len) == 1 && (signature = malloc(n)) != NULL &&
              EVP_DigestSign(c, signature, &n, (const unsigned char *)out->data, out->len) == 1;
  if (good) {
    hft_adds(out, ".");
    add_base64url(out, signature, n);
  }
  free(signature);
  EVP_MD_CTX_free(c);
  return good && !out->bad;
}

bool hf_gcs_jwt(const struct gcs_credentials *c, const char *scope, int64_t now, struct hft_buf *out, const char **why) {
  EVP_PKEY *key = read_key(c->private_key);
  *why = NULL;
  if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
    *why = "its private_key is no RSA key in PEM";
  } else {
    json_t *head = json_pack("{s:s, s:s}", "alg", "RS256", "typ", "JWT");
    if (head && c->key_id) json_object_set_new(head, "kid", json_string(c->key_id));
    add_json(out, head);
    hft_adds(out, ".");
    add_json(out, json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", c->email, "scope", scope, "aud", c->token_url, "iat", (json_int_t)now, "exp",
                            (json_int_t)(now + LIFE)));
    if (out->bad || !sign(key, out)) *why = "it cannot be signed with";
  }
  EVP_PKEY_free(key);
  return !*why;
}
