/* recipients.c - who the data is encrypted to.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "engine/session.h"

#define WARN_EXPIRY_DAYS 30

static void add_once(struct hf_list *l, const char *s) {
  if (!hf_list_has(l, s)) hf_list_add(l, s);
}

/* The usable key that spec names; looked up once a session. */
static int look_up(struct hf_session *s, const char *spec, const char **fpr, struct hf_error *err) {
  for (size_t i = 0; i < s->specs.n; i++) {
    if (strcmp(s->specs.v[i], spec) != 0) continue;
    *fpr = s->fprs.v[i];
    return 0;
  }
  char found[HF_FPR_LEN + 1];
  int64_t expires = 0;
  HF_CLEANUP(hf_freep) char *uid = NULL;
  int r = hf_gpg_find(s->host, spec, found, err);
  if (r == HOLDFAST_E_NOT_FOUND) {
    return hf_fail(err, HOLDFAST_E_AUTH, "recipient %s: its public key is not in the host's keyring: run holdfast init, which takes it from your keyring or from recipient-key", spec);
  }
  if (r == 0) r = hf_gpg_check_recipient(s->host, found, &expires, &uid, err);
  if (r < 0) return r;
  if (strcmp(found, s->host_key) == 0) {
    return hf_fail(err, HOLDFAST_E_CONFIG, "recipient %s is the host's own key: data must be encrypted to a key that the host does not hold", spec);
  }
  if (expires > 0 && expires - hf_wall_clock() < WARN_EXPIRY_DAYS * 86400) {
    char when[HF_TIME_LEN];
    hf_format_time(when, expires);
    hf_log(HF_LOG_WARNING, "recipient %s (%s): the key expires at %s: after that there is no backup", found, uid ? uid : spec, when);
  }
  hf_list_add(&s->specs, spec);
  hf_list_add(&s->fprs, found);
  *fpr = s->fprs.v[s->fprs.n - 1];
  return 0;
}

int hf_session_recipients(struct hf_session *s, const struct hf_list *specs, struct hf_list *fprs, struct hf_error *err) {
  struct hf_list found = HF_LIST_INIT;
  int r = 0;
  for (size_t i = 0; r == 0 && i < specs->n; i++) {
    const char *fpr = NULL;
    r = look_up(s, specs->v[i], &fpr, err);
    if (r == 0) add_once(&found, fpr);
  }
  if (r == 0 && found.n == 0) r = hf_fail(err, HOLDFAST_E_AUTH, "there is no recipient: nothing is backed up without encryption");
  if (r == 0) {
    hf_list_sort(&found);
    for (size_t i = 0; i < found.n; i++) add_once(fprs, found.v[i]);
  }
  hf_list_free(&found);
  return r;
}

/* Every specification of the manifest, once. */
static void all_specs(const struct hf_manifest *m, struct hf_list *out) {
  for (size_t i = 0; i < m->recipients.n; i++) add_once(out, m->recipients.v[i]);
  for (size_t k = 0; k < m->n_sources; k++) {
    for (size_t i = 0; i < m->sources[k].recipients.n; i++) add_once(out, m->sources[k].recipients.v[i]);
  }
}

int hf_session_all_recipients(struct hf_session *s, struct hf_list *fprs, struct hf_error *err) {
  struct hf_list specs = HF_LIST_INIT;
  all_specs(s->manifest, &specs);
  int r = hf_session_recipients(s, &specs, fprs, err);
  hf_list_free(&specs);
  return r;
}

static int import_one(struct hf_session *s, struct hf_gpg **caller, const char *spec, struct hf_error *err) {
  char fpr[HF_FPR_LEN + 1];
  int here = hf_gpg_find(s->host, spec, fpr, err);
  if (here < 0 && here != HOLDFAST_E_NOT_FOUND) return here;
  if (!*caller) {
    int r = hf_gpg_open(NULL, false, caller, err);
    if (r < 0) return r;
  }
  /* Known already: still take it again where the caller has it, for new expiry dates and revocations. */
  struct hf_error e = {0};
  int r = hf_gpg_find(*caller, here == 0 ? fpr : spec, fpr, &e);
  if (r == HOLDFAST_E_NOT_FOUND && here == 0) return 0;
  if (r < 0) return r == HOLDFAST_E_NOT_FOUND ? hf_fail(err, HOLDFAST_E_AUTH, "recipient %s: no public key found: import it into your GnuPG keyring (gpg --import) or name its file as recipient-key", spec) : hf_fail(err, r, "%s", e.msg);
  HF_CLEANUP(hf_buf_free) struct hf_buf key = HF_BUF_INIT;
  struct hf_list got = HF_LIST_INIT;
  r = hf_gpg_export(*caller, fpr, &key, err);
  if (r == 0) r = hf_gpg_import(s->host, key.data, key.len, &got, err);
  hf_list_free(&got);
  return r;
}

int hf_session_import_recipients(struct hf_session *s, struct hf_error *err) {
  const struct hf_manifest *m = s->manifest;
  for (size_t i = 0; i < m->recipient_keys.n; i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf key = HF_BUF_INIT;
    struct hf_list got = HF_LIST_INIT;
    int r = hf_read_file(m->recipient_keys.v[i], 1 << 20, &key, err);
    if (r == 0) r = hf_gpg_import(s->host, key.data, key.len, &got, err);
    if (r == 0 && got.n == 0) r = hf_fail(err, HOLDFAST_E_AUTH, "it holds no public key");
    hf_list_free(&got);
    if (r < 0) return hf_prefix(err, "recipient-key %s", m->recipient_keys.v[i]);
  }
  struct hf_list specs = HF_LIST_INIT;
  struct hf_gpg *caller = NULL;
  int r = 0;
  all_specs(m, &specs);
  for (size_t i = 0; r == 0 && i < specs.n; i++) r = import_one(s, &caller, specs.v[i], err);
  hf_gpg_close(caller);
  hf_list_free(&specs);
  return r;
}
