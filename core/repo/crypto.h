/* crypto.h - OpenPGP. Keys are made, found, moved and judged through gpgme; messages are written and read by a gpg process on memory files, because gpgme moves data
 * through pipes (tests/bench/gpg measures half the time), reads the home's gpg.conf and cannot separate the home that decrypts from the one that verifies.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every message we write is what gpg 2.2, gpg 2.4 and Sequoia all read: PKESK packets, then one SEIPD version 1 packet (AES-256, MDC), binary, not compressed.
 * That is checked on every message before it leaves this module.
 */
#ifndef HF_CRYPTO_H
#define HF_CRYPTO_H

#include "base/base.h"
#include "base/digest.h"

#define HF_FPR_LEN 40 /* hex digits of a v4 fingerprint, upper case */

/* A GnuPG home folder. Handles may be used from several threads at once. */
struct hf_gpg;
/* home: absolute path (when create: made 0700 if need be and given a gpg.conf), or NULL for the caller's own GnuPG home. Checks that gpg and gpgme are usable, and that the path is short
 * enough for the agent's socket (HOLDFAST_E_CONFIG). */
int hf_gpg_open(const char *home, bool create, struct hf_gpg **out, struct hf_error *err);
/* Whoever is about to seal in a home given by path: its agent is started and its keys are listed in the background. What fails there fails again, and is told, where it is needed. */
void hf_gpg_get_ready(struct hf_gpg *g);
/* Also stops the gpg-agent of a home that was given by path, so that no process of ours stays behind. NULL is fine. */
void hf_gpg_close(struct hf_gpg *g);
void hf_gpg_closep(struct hf_gpg **g);

/* ---- keys (crypto_keys.c) ---- */
/* Make the host key: Ed25519 signing key with a Curve25519 encryption subkey, no expiry, no passphrase, user id "holdfast host HOST". fpr: HF_FPR_LEN + 1 bytes. */
int hf_gpg_make_host_key(struct hf_gpg *g, const char *host, char *fpr, struct hf_error *err);
/* ASCII-armored public key. */
int hf_gpg_export(struct hf_gpg *g, const char *fpr, struct hf_buf *out, struct hf_error *err);
/* A key made by hf_gpg_make_host_key with its secret half, armored, appended. The caller wipes it. */
int hf_gpg_export_secret(struct hf_gpg *g, const char *fpr, struct hf_buf *out, struct hf_error *err);
/* The way back, into a home given by path. HOLDFAST_E_CORRUPT when it is not exactly the key fpr with its secret half. */
int hf_gpg_import_secret(struct hf_gpg *g, const void *p, size_t n, const char *fpr, struct hf_error *err);
/* Import public keys from bytes; their fingerprints are appended to fprs. Secret key material in there is refused. */
int hf_gpg_import(struct hf_gpg *g, const void *p, size_t n, struct hf_list *fprs, struct hf_error *err);
/* Find the one key that spec (fingerprint, long key id, e-mail, part of a user id) names. None: HOLDFAST_E_NOT_FOUND; several: HOLDFAST_E_CONFIG listing them. */
int hf_gpg_find(struct hf_gpg *g, const char *spec, char *fpr, struct hf_error *err);
/* Is this a key we can encrypt to? HOLDFAST_E_AUTH with the reason: missing, expired (when), revoked, disabled, invalid, no encryption subkey.
 * *expires (may be NULL) gets the Unix time its use for encryption ends, 0 for never. uid (may be NULL) gets its first user id, caller frees. */
int hf_gpg_check_recipient(struct hf_gpg *g, const char *fpr, int64_t *expires, char **uid, struct hf_error *err);
/* Does this home hold the secret key of fpr? */
bool hf_gpg_has_secret(struct hf_gpg *g, const char *fpr);

/* Make the public host keys in armored known to the handle, for hf_gpg_unseal; their fingerprints are appended to fprs (may be NULL). A home given by path imports them;
 * the caller's own keyring is never touched: they go into a private temporary home that ends with the handle. */
int hf_gpg_trust_keys(struct hf_gpg *g, const void *armored, size_t n, struct hf_list *fprs, struct hf_error *err);

/* ---- metadata: sign and encrypt (crypto_meta.c) ---- */
/* out gets the message (appended). recipients: fingerprints; the signer's key is one more recipient. */
int hf_gpg_seal(struct hf_gpg *g, const struct hf_list *recipients, const char *signer, const void *p, size_t n, struct hf_buf *out,
                struct hf_error *err);
/* Decrypt and verify. trusted: fingerprints of acceptable signers (hf_gpg_trust_keys first). Exactly one good signature by
 * one of them, else HOLDFAST_E_CORRUPT saying what it was (unsigned, bad, by another key: which). signer (may be NULL): HF_FPR_LEN + 1 bytes. No key to decrypt: HOLDFAST_E_AUTH
 * naming the key ids it is encrypted to. out is untouched unless all is well. max bounds the plain text. */
int hf_gpg_unseal(struct hf_gpg *g, const struct hf_list *trusted, const void *p, size_t n, size_t max, struct hf_buf *out, char *signer,
                  struct hf_error *err);

/* ---- bulk (crypto_bulk.c, spawned gpg on memory files) ---- */
/* A message in a memory file: mapped read-only. */
struct hf_blob {
  int fd;
  const void *data;
  size_t size;
};
void hf_blob_free(struct hf_blob *b);
/* Encrypt the whole of memfd in (read from offset 0, size in_n) to recipients (fingerprints). hide: no key ids in the message. */
int hf_gpg_encrypt(struct hf_gpg *g, const struct hf_list *recipients, bool hide, int in, size_t in_n, struct hf_blob *out, struct hf_error *err);
/* Decrypt message into plain, which is replaced and empty on failure; both are in memory files (hf_buf_in_memory_file), and message is to be cleared
 * afterwards. max bounds the plain text (HOLDFAST_E_CORRUPT beyond). Errors as in hf_gpg_unseal; no signature is asked for. */
int hf_gpg_decrypt(struct hf_gpg *g, struct hf_buf *message, size_t max, struct hf_buf *plain, struct hf_error *err);

/* Is this an OpenPGP message of the one shape we write? (crypto_packets.c; a pure parser of outside bytes, RFC 4880 section 4) */
int hf_openpgp_check_shape(const void *p, size_t n, struct hf_error *err);

/* zstd of a small text with content checksum, and back (bounded by max); appended to out. (zstd.c) */
int hf_zstd_compress(const void *p, size_t n, int level, struct hf_buf *out, struct hf_error *err);
int hf_zstd_decompress(const void *p, size_t n, size_t max, struct hf_buf *out, struct hf_error *err);

#endif
