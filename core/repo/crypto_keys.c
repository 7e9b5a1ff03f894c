/* crypto_keys.c - making, finding, judging, importing and exporting keys.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <errno.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "repo/crypto_internal.h"

int hf_gpg_make_host_key(struct hf_gpg *g, const char *host, char *fpr, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  HF_CLEANUP(hf_gpgme_keyp) gpgme_key_t key = NULL;
  HF_CLEANUP(hf_freep) char *uid = hf_asprintf("holdfast host %s", host);
  int r = hf_gpg_lend(g, g->home, &l, err);
  if (r < 0) return r;
  hf_gpg_uses_agent(g);
  hf_gpg_forget_keys(g);
  /* FORCE: a second host of the same name, or a new key after a loss, is not a mistake. */
  gpgme_error_t e = gpgme_op_createkey(l.c, uid, "ed25519", 0, 0, NULL,
                                       GPGME_CREATE_SIGN | GPGME_CREATE_CERT | GPGME_CREATE_NOPASSWD | GPGME_CREATE_NOEXPIRE |
                                           GPGME_CREATE_FORCE);
  if (e) return hf_gpg_fail(err, e, "cannot make the host key");
  gpgme_genkey_result_t made = gpgme_op_genkey_result(l.c);
  if (!made || !made->fpr || strlen(made->fpr) != HF_FPR_LEN)
    return hf_fail(err, HOLDFAST_E_FAILED, "cannot make the host key: gpg names no fingerprint");
  char name[HF_FPR_LEN + 1];
  memcpy(name, made->fpr, sizeof name);
  if ((e = gpgme_get_key(l.c, name, &key, 1))) return hf_gpg_fail(err, e, "the new host key cannot be read");
  if ((e = gpgme_op_createsubkey(l.c, key, "cv25519", 0, 0, GPGME_CREATE_ENCR | GPGME_CREATE_NOPASSWD | GPGME_CREATE_NOEXPIRE)))
    return hf_gpg_fail(err, e, "cannot make the host key's encryption subkey");
  memcpy(fpr, name, sizeof name);
  return 0;
}

static int export(struct hf_gpg *g, const char *fpr, gpgme_export_mode_t mode, struct hf_buf *out, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  HF_CLEANUP(hf_gpgme_data_releasep) gpgme_data_t d = NULL;
  int r = hf_gpg_lend(g, g->home, &l, err);
  if (r < 0) return r;
  gpgme_set_armor(l.c, 1);
  gpgme_error_t e = gpgme_data_new(&d);
  if (!e) e = gpgme_op_export(l.c, fpr, mode, d);
  if (e) return hf_gpg_fail(err, e, "cannot export key %s", fpr);
  size_t n = 0;
  char *p = gpgme_data_release_and_get_mem(d, &n);
  d = NULL;
  if (n) hf_buf_add(out, p, n);
  if (n && mode & GPGME_EXPORT_MODE_SECRET) hf_wipe(p, n);
  gpgme_free(p);
  return n ? 0 : hf_fail(err, HOLDFAST_E_NOT_FOUND, "no %s key %s to export", mode & GPGME_EXPORT_MODE_SECRET ? "secret" : "public", fpr);
}

int hf_gpg_export(struct hf_gpg *g, const char *fpr, struct hf_buf *out, struct hf_error *err) { return export(g, fpr, GPGME_EXPORT_MODE_MINIMAL, out, err); }

int hf_gpg_export_secret(struct hf_gpg *g, const char *fpr, struct hf_buf *out, struct hf_error *err) {
  hf_gpg_uses_agent(g);
  return export(g, fpr, GPGME_EXPORT_MODE_SECRET, out, err);
}

int hf_gpg_import_secret(struct hf_gpg *g, const void *p, size_t n, const char *fpr, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  HF_CLEANUP(hf_gpgme_data_releasep) gpgme_data_t d = NULL;
  int r = hf_gpg_lend(g, g->home, &l, err);
  if (r < 0) return r;
  hf_gpg_uses_agent(g);
  hf_gpg_forget_keys(g);
  gpgme_error_t e = gpgme_data_new_from_mem(&d, p, n, 0);
  if (!e) e = gpgme_op_import(l.c, d);
  if (e) return hf_gpg_fail(err, e, "cannot import the host key");
  gpgme_import_result_t res = gpgme_op_import_result(l.c);
  for (gpgme_import_status_t i = res ? res->imports : NULL; i; i = i->next)
    if (i->result || !i->fpr || strcmp(i->fpr, fpr) != 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "what was to be the host key %s holds key %s", fpr, i->fpr ? i->fpr : "?");
  return hf_gpg_has_secret(g, fpr) ? 0 : hf_fail(err, HOLDFAST_E_CORRUPT, "what was to be the host key %s has no secret half", fpr);
}

/* What is in there, before any of it reaches a keyring: nothing secret may. */
static int refuse_secret(struct hf_gpg *g, const char *home, const void *p, size_t n, struct hf_error *err) {
  /* To show an expired or revoked key gpg wants a trust database, which it makes under this model only. */
  static const char *const options[] = {"--trust-model", "pgp", "--no-options", "--with-colons", "--import-options", "show-only", "--import"};
  struct hf_gpg_said said = {0};
  struct hf_blob b = {.fd = -1};
  size_t keys = 0;
  bool secret = false;
  int r = hf_gpg_read(g, home, options, HF_NELEM(options), p, n, 64 * HF_MIB, &said, &b, err);
  hf_gpg_said_free(&said);
  if (r < 0) return r;
  for (const char *q = b.data, *end = q + b.size; q < end;) {
    size_t line = (size_t)((const char *)(memchr(q, '\n', (size_t)(end - q)) ?: end) - q);
    if (line > 4) {
      keys += memcmp(q, "pub:", 4) == 0;
      secret |= memcmp(q, "sec:", 4) == 0 || memcmp(q, "ssb:", 4) == 0;
    }
    q += line + 1;
  }
  hf_blob_free(&b);
  if (secret)
    return hf_fail(err, HOLDFAST_E_CONFIG,
                   "it holds a secret key, which has no business here: give the public key only (gpg --export)");
  if (!keys) return hf_fail(err, HOLDFAST_E_CORRUPT, "it holds no OpenPGP public key");
  return 0;
}

static int import_into(struct hf_gpg *g, const char *home, const void *p, size_t n, struct hf_list *fprs, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  HF_CLEANUP(hf_gpgme_data_releasep) gpgme_data_t d = NULL;
  int r = refuse_secret(g, home, p, n, err);
  if (r < 0 || (r = hf_gpg_lend(g, home, &l, err)) < 0) return r;
  hf_gpg_forget_keys(g);
  gpgme_error_t e = gpgme_data_new_from_mem(&d, p, n, 0);
  if (!e) e = gpgme_op_import(l.c, d);
  if (e) return hf_gpg_fail(err, e, "cannot import a public key");
  gpgme_import_result_t res = gpgme_op_import_result(l.c);
  size_t got = 0;
  for (gpgme_import_status_t i = res ? res->imports : NULL; i; i = i->next) {
    if (i->result) return hf_gpg_fail(err, i->result, "cannot import key %s", i->fpr ? i->fpr : "?");
    if (i->fpr && strlen(i->fpr) == HF_FPR_LEN && ++got && fprs && !hf_list_has(fprs, i->fpr)) hf_list_add(fprs, i->fpr);
  }
  return got ? 0 : hf_fail(err, HOLDFAST_E_CORRUPT, "gpg found no usable public key in it (version 4 keys are)");
}

int hf_gpg_import(struct hf_gpg *g, const void *p, size_t n, struct hf_list *fprs, struct hf_error *err) {
  return import_into(g, g->home, p, n, fprs, err);
}

int hf_gpg_trust_keys(struct hf_gpg *g, const void *armored, size_t n, struct hf_list *fprs, struct hf_error *err) {
  int r = 0;
  if (g->home) return import_into(g, g->home, armored, n, fprs, err);
  pthread_mutex_lock(&g->lock);
  if (!g->verify_home) {
    const char *tmp = getenv("TMPDIR");
    char *dir = hf_path_join(tmp && *tmp == '/' ? tmp : "/tmp", "holdfast-keys-XXXXXX");
    if (mkdtemp(dir)) {
      g->verify_home = dir;
    } else {
      r = hf_fail_errno(err, errno, "a temporary folder for the host keys (%s)", dir);
      free(dir);
    }
  }
  pthread_mutex_unlock(&g->lock);
  return r < 0 ? r : import_into(g, g->verify_home, armored, n, fprs, err);
}

static bool has_fpr(gpgme_key_t key, const char *fpr) { return strcasecmp(key->fpr, fpr) == 0; }

static bool has_address(gpgme_key_t key, const char *address) {
  for (gpgme_user_id_t u = key->uids; u; u = u->next)
    if (u->address && !u->revoked && strcasecmp(u->address, address) == 0) return true;
  return false;
}

/* Several keys: "FPR (user id), FPR (user id)". */
static int ambiguous(const char *spec, gpgme_key_t *keys, size_t n, struct hf_error *err) {
  struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < n && i < 5; i++) {
    const char *raw = keys[i]->uids && keys[i]->uids->uid ? keys[i]->uids->uid : "no user id";
    HF_CLEANUP(hf_freep) char *uid = hf_printable(raw, strlen(raw));
    hf_buf_addf(&b, "%s%s (%.60s)", i ? ", " : "", keys[i]->fpr, uid);
  }
  hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" names %zu keys; use a fingerprint: %s%s", spec, n, b.data, n > 5 ? ", ..." : "");
  hf_buf_free(&b);
  return HOLDFAST_E_CONFIG;
}

/* Keep those of keys that test accepts, if there is any. */
static size_t prefer(gpgme_key_t *keys, size_t n, bool (*test)(gpgme_key_t, const char *), const char *spec) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) kept += test(keys[i], spec);
  if (kept == 0 || kept == n) return n;
  kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (test(keys[i], spec))
      keys[kept++] = keys[i];
    else
      gpgme_key_unref(keys[i]);
  }
  return kept;
}

static bool is_live(gpgme_key_t key, const char *spec) {
  (void)spec;
  return !key->revoked && !key->expired && !key->disabled && !key->invalid;
}

/* Named in full, so that there is nothing for gpg to interpret. */
static bool is_named(gpgme_key_t key, const char *spec) { return has_fpr(key, spec) || has_address(key, spec); }

/* Up to room keys that gpg takes spec for. Returns how many, or a negative status. */
static int search(struct hf_gpg *g, const char *spec, gpgme_key_t *keys, int room, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  gpgme_key_t key = NULL;
  int n = 0, r = hf_gpg_lend(g, g->home, &l, err);
  if (r < 0) return r;
  gpgme_error_t e = gpgme_op_keylist_start(l.c, spec, 0);
  while (!e && n < room && !(e = gpgme_op_keylist_next(l.c, &key))) {
    if (key->fpr && strlen(key->fpr) == HF_FPR_LEN)
      keys[n++] = key;
    else
      gpgme_key_unref(key);
  }
  if (!e || gpgme_err_code(e) == GPG_ERR_EOF) return n;
  while (n) gpgme_key_unref(keys[--n]);
  return hf_gpg_fail(err, e, "cannot look for key \"%s\"", spec);
}

int hf_gpg_find(struct hf_gpg *g, const char *spec, char *fpr, struct hf_error *err) {
  gpgme_key_t keys[64];
  if (!*spec) return hf_fail(err, HOLDFAST_E_CONFIG, "an empty name names no key");
  int r = hf_gpg_known(g, is_named, spec, keys, HF_NELEM(keys), err);
  if (r == 0) r = search(g, spec, keys, HF_NELEM(keys), err);
  if (r < 0) return r;
  size_t n = (size_t)r;
  /* "ann@example.com" is also part of "joann@example.com"; and an old revoked key must not stand in its successor's way. */
  if (strchr(spec, '@')) n = prefer(keys, n, has_address, spec);
  n = prefer(keys, n, is_live, spec);
  r = 0;
  if (n == 0)
    r = hf_fail(err, HOLDFAST_E_NOT_FOUND, "no public key for \"%s\"", spec);
  else if (n > 1)
    r = ambiguous(spec, keys, n, err);
  else
    snprintf(fpr, HF_FPR_LEN + 1, "%s", keys[0]->fpr);
  for (size_t i = 0; i < n; i++) gpgme_key_unref(keys[i]);
  return r;
}

/* A day, for messages. */
static const char *day(long t, char out[HF_TIME_LEN]) {
  hf_format_time(out, t);
  out[10] = '\0';
  return out;
}

/* Why none of its subkeys encrypts. */
static int no_subkey(gpgme_key_t key, const char *fpr, struct hf_error *err) {
  char when[HF_TIME_LEN];
  const char *why = "it has no encryption subkey";
  for (gpgme_subkey_t s = key->subkeys; s; s = s->next) {
    if (!s->can_encrypt) continue;
    if (s->expired)
      return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: its encryption subkey expired on %s", fpr,
                     day(s->expires, when));
    why = s->revoked ? "its encryption subkey is revoked" : "its encryption subkey is not usable";
  }
  return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: %s", fpr, why);
}

static int get_public(struct hf_gpg *g, const char *fpr, gpgme_key_t *out, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  int r = hf_gpg_known(g, has_fpr, fpr, out, 1, err);
  if (r != 0) return HF_MIN(r, 0);
  if ((r = hf_gpg_lend(g, g->home, &l, err)) < 0) return r;
  gpgme_error_t e = gpgme_get_key(l.c, fpr, out, 0);
  if (gpgme_err_code(e) == GPG_ERR_EOF || gpgme_err_code(e) == GPG_ERR_NO_PUBKEY)
    return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: its public key is missing", fpr);
  return e ? hf_gpg_fail(err, e, "cannot read key %s", fpr) : 0;
}

int hf_gpg_check_recipient(struct hf_gpg *g, const char *fpr, int64_t *expires, char **uid, struct hf_error *err) {
  HF_CLEANUP(hf_gpgme_keyp) gpgme_key_t key = NULL;
  char when[HF_TIME_LEN];
  int64_t until = -1;
  int r = get_public(g, fpr, &key, err);
  if (r < 0) return r;
  if (key->revoked) return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: it is revoked", fpr);
  if (key->expired)
    return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: it expired on %s", fpr, day(key->subkeys->expires, when));
  if (key->disabled) return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: it is disabled", fpr);
  if (key->invalid) return hf_fail(err, HOLDFAST_E_AUTH, "cannot encrypt to key %s: it is invalid", fpr);
  for (gpgme_subkey_t s = key->subkeys; s; s = s->next)
    if (s->can_encrypt && !s->revoked && !s->expired && !s->disabled && !s->invalid && until != 0)
      until = s->expires == 0 ? 0 : HF_MAX(until, (int64_t)s->expires);
  if (until < 0) return no_subkey(key, fpr, err);
  int64_t primary = key->subkeys->expires;
  if (primary && (until == 0 || primary < until)) until = primary;
  if (expires) *expires = until;
  if (uid) *uid = hf_strdup(key->uids && key->uids->uid ? key->uids->uid : "");
  return 0;
}

bool hf_gpg_has_secret(struct hf_gpg *g, const char *fpr) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  HF_CLEANUP(hf_gpgme_keyp) gpgme_key_t key = NULL;
  if (hf_gpg_lend(g, g->home, &l, NULL) < 0) return false;
  hf_gpg_uses_agent(g);
  return gpgme_get_key(l.c, fpr, &key, 1) == 0;
}
