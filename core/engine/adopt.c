/* adopt.c - taking over the repository of a host whose state folder is lost.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/adopt.h"

#include "base/json.h"
#include "base/text.h"
#include "engine/append.h"

#define HEAD "holdfast-hostkey 1\nrepository "
#define HEAD_LEN (sizeof HEAD - 1)

int hf_hostkey_text(struct hf_session *s, struct hf_buf *out, struct hf_error *err) {
  hf_buf_addf(out, HEAD "%s\n", s->repo_id);
  return hf_gpg_export_secret(s->host, s->host_key, out, err);
}

int hf_hostkey_parse(const char *p, size_t n, const char *repo_id, struct hf_buf *key, struct hf_error *err) {
  if (n <= HEAD_LEN + 33 || memcmp(p, HEAD, HEAD_LEN) != 0 || p[HEAD_LEN + 32] != '\n') return hf_fail(err, HOLDFAST_E_CORRUPT, "not a host key of format 1");
  if (memcmp(p + HEAD_LEN, repo_id, 32) != 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "the host key of another repository");
  hf_buf_add(key, p + HEAD_LEN + 33, n - HEAD_LEN - 33);
  return 0;
}

int hf_remember_identity(struct hf_session *s, const struct hf_secret *secret, const char *fpr, struct hf_error *err) {
  char hex[sizeof secret->key * 2 + 1];
  hf_hex(hex, secret->key, sizeof secret->key);
  int r = hf_state_set(s->state, "repository", secret->repo_id, err);
  if (r == 0) r = hf_state_set(s->state, "host-key", fpr, err);
  if (r == 0) r = hf_state_set(s->state, "secret", hex, err);
  if (r == 0) r = hf_state_set(s->state, "host", s->manifest->host, err);
  hf_wipe(hex, sizeof hex);
  if (r == 0) r = hf_state_commit(s->state, err);
  if (r < 0) return r;
  s->secret = *secret;
  snprintf(s->repo_id, sizeof s->repo_id, "%s", secret->repo_id);
  snprintf(s->host_key, sizeof s->host_key, "%s", fpr);
  hf_list_add(&s->trusted, fpr);
  s->have_secret = true;
  return 0;
}

/* The newest record that names a secret, and the newest that names the sealed host key. */
static int find_objects(struct hf_session *s, struct hf_digest *secret, bool *has_secret, struct hf_digest *key, bool *has_key) {
  *has_secret = *has_key = false;
  for (uint64_t seq = s->head; seq >= 1 && !(*has_secret && *has_key); seq--) {
    struct hf_record *rec = NULL;
    static const struct hf_digest zero;
    if (hf_session_record(s, seq, &rec, NULL, NULL) < 0) continue;
    const char *hex = json_string_value(json_object_get(rec->extra, "host_key_object"));
    if (!*has_secret && !hf_digest_eq(&rec->secret, &zero)) {
      *secret = rec->secret;
      *has_secret = true;
    }
    if (!*has_key && hex && strlen(hex) == 64) *has_key = hf_digest_parse(hex, key);
    hf_record_free(rec);
  }
  return 0;
}

/* What a target that is away has, nobody knows: going on without it would make its newer records a fork, and its snapshots nobody's. */
static int all_there(struct hf_session *s, struct hf_error *err) {
  static const char advice[] = "may hold newer records than the others, which adopting would pass over for good: have it back, or take it out of the manifest if it is lost";
  if (s->n_unopened) return hf_fail(err, HOLDFAST_E_TRANSIENT, "a target that cannot be opened %s", advice);
  for (size_t i = 0; i < s->n_targets; i++)
    if (hf_target_failure(s->targets[i])) return hf_fail(err, HOLDFAST_E_TRANSIENT, "target %s, which cannot be read, %s", hf_target_name(s->targets[i]), advice);
  return 0;
}

static int read_all(struct hf_session *s, struct hf_adopted *out, struct hf_error *err) {
  struct hf_digest secret, key;
  bool has_secret, has_key;
  char name[HF_KEY_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  int r = hf_session_chain(s, err);
  for (size_t i = 0; i < s->n_issues; i++) {
    HF_CLEANUP(hf_freep) char *issue = hf_issue_text(&s->issues[i]);
    hf_log(s->issues[i].tamper ? HF_LOG_ERROR : HF_LOG_WARNING, "%s", issue);
  }
  if (r == 0) r = all_there(s, err);
  if (r < 0) return r;
  if (s->head == 0) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "no target holds a record of host %s that is signed by %s", s->manifest->host, out->fpr);
  find_objects(s, &secret, &has_secret, &key, &has_key);
  if (!has_secret) return hf_fail(err, HOLDFAST_E_CORRUPT, "no record names the repository's secret");
  if (!has_key)
    return hf_fail(err, HOLDFAST_E_NOT_FOUND,
                   "the repository does not hold its host key (host-key-escrow = no, or it is of an older version): put the state folder back, or its gnupg folder; without either it can be restored from, and a new one be made under another prefix");
  r = hf_session_secret(s, &secret, err);
  if (r < 0) return r;
  out->secret = s->secret;
  out->head = s->head;
  hf_key_secret(name, &key);
  r = hf_session_fetch_sealed(s, name, &key, &text, NULL, err);
  if (r == 0 && hf_hostkey_parse(text.data, text.len, s->repo_id, &out->key, err) < 0) r = hf_prefix(err, "%s", name);
  if (text.data) hf_wipe(text.data, text.len);
  return r;
}

int hf_adopt_read(const char *manifest_file, const char *fpr, struct hf_adopted *out, struct hf_error *err) {
  struct hf_session *s = NULL;
  *out = (struct hf_adopted){.key = HF_BUF_INIT};
  snprintf(out->fpr, sizeof out->fpr, "%s", fpr);
  const struct hf_session_how how = {.flags = HF_SESSION_READ, .command = "init", .lock_wait = -1};
  int r = hf_session_open(manifest_file, &how, &s, err);
  if (r < 0) return r;
  if (s->repo_id[0]) {
    r = hf_fail(err, HOLDFAST_E_CONFIG, "the state folder %s has a repository already, with the host key %s: there is nothing to adopt", s->manifest->state, s->host_key);
  } else if (s->manifest->host_key && strcasecmp(s->manifest->host_key, fpr) != 0) {
    r = hf_fail(err, HOLDFAST_E_CONFIG, "%s: [holdfast] host-key: is %s, and %s is to be adopted", s->manifest->file, s->manifest->host_key, fpr);
  } else {
    /* A home that an earlier try has left holds no key yet. */
    hf_gpg_close(s->host);
    s->host = NULL;
    hf_list_add(&s->trusted, fpr);
    r = read_all(s, out, err);
  }
  hf_session_close(s);
  if (r < 0) hf_adopted_free(out);
  return r;
}

int hf_adopt_take(struct hf_session *s, const struct hf_adopted *a, struct hf_error *err) {
  if (s->repo_id[0]) return hf_fail(err, HOLDFAST_E_CONFIG, "the state folder %s has a repository already", hf_state_dir(s->state));
  int r = hf_gpg_import_secret(s->host, a->key.data, a->key.len, a->fpr, err);
  if (r == 0) r = hf_remember_identity(s, &a->secret, a->fpr, err);
  /* Unknown, so that the record that hf_init will write names those of this version. */
  if (r == 0) r = hf_state_set(s->state, "texts", "?", err);
  /* What targets got that are not there now, nobody remembers. */
  if (r == 0) r = hf_session_set_adopted_at(s, a->head, err);
  return r == 0 ? hf_state_commit(s->state, err) : r;
}

void hf_adopted_free(struct hf_adopted *a) {
  if (a->key.data) hf_wipe(a->key.data, a->key.len);
  hf_buf_free(&a->key);
  hf_wipe(&a->secret, sizeof a->secret);
}
