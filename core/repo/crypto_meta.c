/* crypto_meta.c - metadata: signed and encrypted by the host, decrypted and verified by the host or by a key holder.
 *
 * A key holder decrypts in the home of his own and verifies in a private one that holds the repository's host keys and nothing else: no key of
 * the host's enters his keyring, and no key of his can vouch for a record. gpg hands the signed message over by --unwrap.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"
#include "repo/crypto_internal.h"

/* The keys to encrypt to, without doubles. Returns how many, or a negative status; keys is NULL-terminated and has room for all. */
static int load_keys(struct hf_gpg *g, const struct hf_list *fprs, gpgme_key_t *keys, struct hf_error *err) {
  int n = 0;
  for (size_t i = 0; i < fprs->n; i++) {
    bool there = false;
    for (int j = 0; j < n; j++) there |= hf_gpg_has_fpr(keys[j], fprs->v[i]);
    if (there) continue;
    int r = hf_gpg_known(g, hf_gpg_has_fpr, fprs->v[i], &keys[n], 1, err);
    if (r < 0) return r;
    if (r == 0) return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: its public key is missing", fprs->v[i]);
    n++;
  }
  return n;
}

/* One operation; *out gets what gpg made. signer: one of keys. */
static int sign_encrypt(gpgme_ctx_t c, gpgme_key_t *keys, const char *signer, const void *p, size_t n, gpgme_data_t out,
                        struct hf_error *err) {
  HF_CLEANUP(hf_gpgme_data_releasep) gpgme_data_t in = NULL;
  gpgme_error_t e = gpgme_data_new_from_mem(&in, p, n, 0);
  for (gpgme_key_t *k = keys; !e && *k; k++)
    if (strcasecmp((*k)->fpr, signer) == 0) e = gpgme_signers_add(c, *k);
  if (e) return hf_gpg_fail(err, e, "gpgme");
  e = gpgme_op_encrypt_sign(c, keys, GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_COMPRESS | GPGME_ENCRYPT_NO_ENCRYPT_TO, in,
                            out);
  gpgme_encrypt_result_t enc = gpgme_op_encrypt_result(c);
  gpgme_sign_result_t sig = gpgme_op_sign_result(c);
  if (enc && enc->invalid_recipients)
    return hf_gpg_fail(err, gpgme_error(GPG_ERR_UNUSABLE_PUBKEY), "cannot encrypt to key %s",
                       enc->invalid_recipients->fpr ? enc->invalid_recipients->fpr : "?");
  if ((sig && sig->invalid_signers) || gpgme_err_code(e) == GPG_ERR_NO_SECKEY || gpgme_err_code(e) == GPG_ERR_UNUSABLE_SECKEY)
    return hf_fail(err, HOLDFAST_E_AUTH, "the host's secret key %s is not here", signer);
  if (e) return hf_gpg_fail(err, e, "cannot sign and encrypt");
  if (!sig || !sig->signatures || sig->signatures->next || strcasecmp(sig->signatures->fpr, signer) != 0)
    return hf_fail(err, HOLDFAST_E_FAILED, "gpg did not sign as key %s", signer);
  return 0;
}

int hf_gpg_seal(struct hf_gpg *g, const struct hf_list *recipients, const char *signer, const void *p, size_t n,
                struct hf_buf *out, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  HF_CLEANUP(hf_gpgme_data_releasep) gpgme_data_t d = NULL;
  struct hf_list all = HF_LIST_INIT;
  size_t got = 0, size = 0;
  if (recipients->n == 0) return hf_fail(err, HOLDFAST_E_CONFIG, "nobody to encrypt to");
  gpgme_error_t e = gpgme_data_new(&d);
  if (e) return hf_gpg_fail(err, e, "gpgme");
  for (size_t i = 0; i < recipients->n; i++) hf_list_add(&all, recipients->v[i]);
  hf_list_add(&all, signer);
  gpgme_key_t *keys = hf_allocn(all.n + 1, sizeof(gpgme_key_t));
  int n_keys = load_keys(g, &all, keys, err);
  int r = n_keys < 0 ? n_keys : hf_gpg_lend(g, g->home, &l, err);
  hf_gpg_uses_agent(g);
  if (r == 0) r = sign_encrypt(l.c, keys, signer, p, n, d, err);
  for (gpgme_key_t *k = keys; *k; k++) gpgme_key_unref(*k);
  free(keys);
  hf_list_free(&all);
  if (r < 0) return r;
  char *m = gpgme_data_release_and_get_mem(d, &size);
  d = NULL;
  r = hf_openpgp_shape(m, size, &got, err);
  if (r == 0 && got != (size_t)n_keys)
    r = hf_fail(err, HOLDFAST_E_FAILED, "gpg encrypted to %zu keys where %d were asked for", got, n_keys);
  if (r == 0)
    hf_buf_add(out, m, size);
  else
    hf_prefix(err, "what gpg wrote is refused");
  gpgme_free(m);
  return r;
}

/* Field number k (from 0) of a status line's arguments into out; "" when there are fewer. */
static void field(const char *args, unsigned k, char *out, size_t room) {
  while (k-- && *args && *args != '\n') {
    args += strcspn(args, " \n");
    args += *args == ' ';
  }
  snprintf(out, room, "%.*s", (int)strcspn(args, " \n"), args);
}

/* Exactly one good signature by a trusted key over the one thing that was written out. */
static int judge_signature(const struct hf_gpg_said *s, const struct hf_list *trusted, char *signer, struct hf_error *err) {
  char key[64] = "", primary[64] = "";
  const char *valid = hf_gpg_status(s, "VALIDSIG"), *p;
  if ((p = hf_gpg_status(s, "ERRSIG"))) {
    field(p, 6, key, sizeof key);
    if (!*key || *key == '-') field(p, 0, key, sizeof key);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "it is signed by key %s, which is not a host key of this repository", key);
  }
  if ((p = hf_gpg_status(s, "BADSIG"))) {
    field(p, 0, key, sizeof key);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "its signature by key %s is bad", key);
  }
  if ((p = hf_gpg_status(s, "REVKEYSIG")) || (p = hf_gpg_status(s, "EXPKEYSIG")) || (p = hf_gpg_status(s, "EXPSIG"))) {
    field(p, 0, key, sizeof key);
    return hf_fail(err, HOLDFAST_E_CORRUPT, "the key that signed it, %s, is %s", key,
                   hf_gpg_status(s, "REVKEYSIG") ? "revoked" : "expired");
  }
  if (hf_gpg_status_count(s, "NEWSIG") == 0 && !valid) return hf_fail(err, HOLDFAST_E_CORRUPT, "it is not signed");
  if (hf_gpg_status_count(s, "NEWSIG") != 1 || hf_gpg_status_count(s, "GOODSIG") != 1 ||
      hf_gpg_status_count(s, "VALIDSIG") != 1 || hf_gpg_status_count(s, "PLAINTEXT") != 1)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "it does not hold exactly one text with one good signature");
  field(valid, 0, key, sizeof key);
  field(valid, 9, primary, sizeof primary);
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
