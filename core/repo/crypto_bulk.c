/* crypto_bulk.c - messages through a gpg process on memory files: writing them, and reading packs.
 *
 * Options are all on the command line and the home's gpg.conf is not read for writing: a line in it ("encrypt-to", "cipher-algo", "comment",
 * "force-ocb") must not be able to change what is stored. --rfc4880 stands first because it resets what the others then set.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <unistd.h>

#include "base/io.h"
#include "repo/crypto_internal.h"

/* Did gpg sign once, and as signer? */
static int judge_signing(const struct hf_gpg_said *s, const char *signer, struct hf_error *err) {
  char fpr[64];
  const char *made = hf_gpg_status(s, "SIG_CREATED");
  hf_gpg_field(made ? made : "", 5, fpr, sizeof fpr);
  if (hf_gpg_status_count(s, "SIG_CREATED") != 1 || strcasecmp(fpr, signer) != 0) return hf_fail(err, HOLDFAST_E_FAILED, "gpg did not sign as key %s", signer);
  return 0;
}

/* Why gpg would not encrypt. */
static int judge_encryption(const struct hf_gpg_said *s, const char *signer, struct hf_error *err) {
  if (s->exit_code == 0 && hf_gpg_status(s, "END_ENCRYPTION") && !hf_gpg_status(s, "INV_RECP") && !hf_gpg_status(s, "FAILURE"))
    return 0;
  HF_CLEANUP(hf_freep) char *words = hf_gpg_last_words(s);
  const char *who = hf_gpg_status(s, "INV_RECP");
  if (hf_gpg_status(s, "INV_SGNR")) return hf_fail(err, HOLDFAST_E_AUTH, "the host's secret key %s is not here", signer);
  if (who) {
    const char *fpr = strchr(who, ' ');
    fpr = fpr ? fpr + 1 : who;
    return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to %.*s: %s", (int)strcspn(fpr, "\n"), fpr, words);
  }
  return hf_fail(err, HOLDFAST_E_FAILED, "gpg could not encrypt: %s", words);
}

int hf_gpg_write(struct hf_gpg *g, const struct hf_list *recipients, bool hide, const char *signer, int in, size_t in_n, struct hf_blob *out, struct hf_error *err) {
  static const char *const options[] = {
      "--no-options", "--rfc4880",     "--no-encrypt-to", "--no-auto-key-locate", "--no-auto-key-retrieve", "--compress-algo",
      "none",         "--cipher-algo", "AES256",          "--digest-algo",        "SHA512"};
  struct hf_list args = HF_LIST_INIT;
  struct hf_gpg_said said = {0};
  struct hf_blob b = {.fd = -1};
  struct stat st;
  size_t keys = 0;
  if (fstat(in, &st) < 0 || (uint64_t)st.st_size != in_n || lseek(in, 0, SEEK_SET) < 0)
    return hf_fail(err, HOLDFAST_E_FAILED, "the bytes to encrypt are not a memory file of %zu bytes", in_n);
  int fd = hf_memfd("gpg-out", err);
  if (fd < 0) return fd;
  for (size_t i = 0; i < HF_NELEM(options); i++) hf_list_add(&args, options[i]);
  for (size_t i = 0; i < recipients->n; i++) {
    hf_list_add(&args, hide ? "--hidden-recipient" : "--recipient");
    hf_list_add(&args, recipients->v[i]);
  }
  if (signer) {
    hf_gpg_uses_agent(g);
    hf_list_add(&args, "--local-user");
    hf_list_add(&args, signer);
    hf_list_add(&args, "--sign");
  }
  hf_list_add(&args, "--encrypt");
  int r = hf_gpg_run(g, g->home, &args, in, fd, &said, err);
  hf_list_free(&args);
  if (r == 0) r = judge_encryption(&said, signer, err);
  if (r == 0 && signer) r = judge_signing(&said, signer, err);
  hf_gpg_said_free(&said);
  if (r < 0) {
    close(fd);
    return r;
  }
  if ((r = hf_blob_map(fd, &b, err)) < 0) return r;
  r = hf_openpgp_shape(b.data, b.size, &keys, err);
  if (r == 0 && keys != recipients->n)
    r = hf_fail(err, HOLDFAST_E_FAILED, "gpg encrypted to %zu keys where %zu were asked for", keys, recipients->n);
  if (r == 0 && b.size < in_n) r = hf_fail(err, HOLDFAST_E_FAILED, "gpg encrypted %zu of %zu bytes", b.size, in_n);
  if (r < 0) {
    hf_blob_free(&b);
    return hf_prefix(err, "what gpg wrote is refused");
  }
  *out = b;
  return 0;
}

int hf_gpg_encrypt(struct hf_gpg *g, const struct hf_list *recipients, bool hide, int in, size_t in_n, struct hf_blob *out,
                   struct hf_error *err) {
  if (recipients->n == 0) return hf_fail(err, HOLDFAST_E_CONFIG, "nobody to encrypt to");
  return hf_gpg_write(g, recipients, hide, NULL, in, in_n, out, err);
}

int hf_gpg_decrypt(struct hf_gpg *g, struct hf_buf *message, size_t max, struct hf_buf *plain, struct hf_error *err) {
  static const char *const options[] = {"--decrypt"};
  struct hf_gpg_said said = {0};
  int in = -1, out = -1;
  int r = hf_openpgp_check_shape(message->data, message->len, err);
  if (r == 0) r = in = hf_buf_to_read(message, err);
  if (r >= 0) r = out = hf_buf_to_write(plain, err);
  if (r < 0) return r;
  hf_gpg_uses_agent(g);
  r = hf_gpg_read_file(g, g->home, options, HF_NELEM(options), in, out, max, &said, err);
  if (r == 0) r = hf_buf_written(plain, err);
  if (r == 0) r = hf_gpg_judge_decryption(&said, err);
  if (r == 0) r = hf_gpg_judge_reading(&said, plain->len, max, err);
  hf_gpg_said_free(&said);
  if (r < 0) hf_buf_clear(plain);
  return r;
}
