/* crypto_meta.c - metadata: signed and encrypted by the host, decrypted and verified by the host or by a key holder.
 *
 * A key holder decrypts in the home of his own and verifies in a private one that holds the repository's host keys and nothing else: no key of
 * the host's enters his keyring, and no key of his can vouch for a record. gpg hands the signed message over by --unwrap.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"
#include "repo/crypto_internal.h"

int hf_gpg_seal(struct hf_gpg *g, const struct hf_list *recipients, const char *signer, const void *p, size_t n,
                struct hf_buf *out, struct hf_error *err) {
  struct hf_list to = HF_LIST_INIT;
  struct hf_blob b = {.fd = -1};
  if (recipients->n == 0) return hf_fail(err, HOLDFAST_E_CONFIG, "nobody to encrypt to");
  HF_CLEANUP(hf_closep) int in = hf_gpg_memfd_with(p, n, err);
  if (in < 0) return in;
  for (size_t i = 0; i < recipients->n; i++)
    if (!hf_list_has(&to, recipients->v[i])) hf_list_add(&to, recipients->v[i]);
  if (!hf_list_has(&to, signer)) hf_list_add(&to, signer);
  int r = hf_gpg_write(g, &to, false, signer, in, n, &b, err);
  hf_list_free(&to);
  if (r < 0) return r;
  hf_buf_add(out, b.data, b.size);
  hf_blob_free(&b);
  return 0;
}

/* Exactly one good signature by a trusted key over the one thing that was written out. */
static int judge_signature(const struct hf_gpg_said *s, const struct hf_list *trusted, char *signer, struct hf_error *err) {
  char key[64] = "", primary[64] = "";
  const char *valid = hf_gpg_status(s, "VALIDSIG"), *p;
  if ((p = hf_gpg_status(s, "ERRSIG"))) {
    hf_gpg_field(p, 6, key, sizeof key);
    if (!*key || *key == '-') hf_gpg_field(p, 0, key, sizeof key);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "it is signed by key %s, which is not a host key of this repository", key);
  }
  if ((p = hf_gpg_status(s, "BADSIG"))) {
    hf_gpg_field(p, 0, key, sizeof key);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "its signature by key %s is bad", key);
  }
  if ((p = hf_gpg_status(s, "REVKEYSIG")) || (p = hf_gpg_status(s, "EXPKEYSIG")) || (p = hf_gpg_status(s, "EXPSIG"))) {
    hf_gpg_field(p, 0, key, sizeof key);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "the key that signed it, %s, is %s", key,
                   hf_gpg_status(s, "REVKEYSIG") ? "revoked" : "expired");
  }
  if (hf_gpg_status_count(s, "NEWSIG") == 0 && !valid) return hf_fail(err, HOLDFAST_E_CORRUPT, "it is not signed");
  if (hf_gpg_status_count(s, "NEWSIG") != 1 || hf_gpg_status_count(s, "GOODSIG") != 1 ||
      hf_gpg_status_count(s, "VALIDSIG") != 1 || hf_gpg_status_count(s, "PLAINTEXT") != 1)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "it does not hold exactly one text with one good signature");
  hf_gpg_field(valid, 0, key, sizeof key);
  hf_gpg_field(valid, 9, primary, sizeof primary);
  for (size_t i = 0; i < trusted->n; i++)
    if (strcasecmp(trusted->v[i], key) == 0 || strcasecmp(trusted->v[i], primary) == 0) {
      if (signer) snprintf(signer, HF_FPR_LEN + 1, "%s", trusted->v[i]);
      return 0;
    }
  return hf_fail(err, HOLDFAST_E_CORRUPT, "it is signed by key %s, which is not a host key of this repository",
                 *primary ? primary : key);
}

int hf_gpg_unseal(struct hf_gpg *g, const struct hf_list *trusted, const void *p, size_t n, size_t max, struct hf_buf *out,
                  char *signer, struct hf_error *err) {
  static const char *const decrypt[] = {"--decrypt"}, *const unwrap[] = {"--unwrap", "--decrypt"};
  struct hf_gpg_said said = {0};
  struct hf_blob b = {.fd = -1};
  const bool two = g->verify_home != NULL;
  int r = hf_openpgp_check_shape(p, n, err);
  if (r < 0) return r;
  hf_gpg_uses_agent(g);
  /* The signature and packet headers around the text: 64 KiB is ample, and partial lengths add a byte in 512 at most. */
  size_t limit = two ? max + max / 256 + 65536 : max;
  r = hf_gpg_read(g, g->home, two ? unwrap : decrypt, two ? 2 : 1, p, n, limit, &said, &b, err);
  if (r == 0) r = hf_gpg_judge_decryption(&said, err);
  if (r == 0 && two) r = hf_gpg_judge_reading(&said, b.size, limit, err);
  if (r == 0 && two) {
    struct hf_blob signed_message = b;
    b = (struct hf_blob){.fd = -1};
    hf_gpg_said_free(&said);
    r = hf_gpg_read(g, g->verify_home, decrypt, 1, signed_message.data, signed_message.size, max, &said, &b, err);
    hf_blob_free(&signed_message);
  }
  if (r == 0) r = judge_signature(&said, trusted, signer, err);
  if (r == 0) r = hf_gpg_judge_reading(&said, b.size, max, err);
  if (r == 0) hf_buf_add(out, b.data, b.size);
  hf_gpg_said_free(&said);
  hf_blob_free(&b);
  return r;
}
