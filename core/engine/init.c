/* init.c - making a repository, or adding targets and recipients to one.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "engine/adopt.h"
#include "engine/append.h"
#include "engine/engine.h"

struct any { bool record; };

static int see_record(void *ctx, const char *key, uint64_t size HF_UNUSED) {
  struct hf_object_name name;
  hf_key_parse(key, &name);
  if (name.kind == HF_OBJ_RECORD) ((struct any *)ctx)->record = true;
  return 0;
}

/* A repository that this host's state does not know must not be mixed with a new one. */
static int refuse_foreign(struct hf_session *s, struct hf_error *err) {
  for (size_t i = 0; i < s->n_targets; i++) {
    struct any a = {false};
    int r = hf_target_list(s->targets[i], "records/", see_record, &a, err);
    if (r < 0) return r;
    if (a.record) {
      return hf_fail(err, HOLDFAST_E_EXISTS,
                     "target %s holds a repository of host %s already, and the state folder %s does not know it: put the host's state folder back, or take the repository over with holdfast init --adopt FINGERPRINT, or choose another host name or prefix for a new one",
                     hf_target_name(s->targets[i]), s->manifest->host, hf_state_dir(s->state));
    }
  }
  return 0;
}

static int make_identity(struct hf_session *s, struct hf_error *err) {
  char fpr[HF_FPR_LEN + 1];
  int r = refuse_foreign(s, err);
  if (r == 0) r = hf_gpg_make_host_key(s->host, s->manifest->host, fpr, err);
  if (r < 0) return r;
  struct hf_secret secret;
  hf_secret_new(&secret);
  r = hf_remember_identity(s, &secret, fpr, err);
  hf_wipe(&secret, sizeof secret);
  return r;
}

/* The plain objects every replica has. */
static int put_texts(struct hf_session *s, struct hf_target *t, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf ini = HF_BUF_INIT, key = HF_BUF_INIT;
  char name[HF_KEY_MAX];
  hf_key_hostkey(name, s->host_key);
  hf_text_ini(&ini, s->repo_id, s->manifest->host, hf_wall_clock());
  int r = hf_gpg_export(s->host, s->host_key, &key, err);
  if (r < 0) return r;
  const struct { const char *key, *p; size_t n; } v[] = {
      {"README.txt", hf_text_readme, strlen(hf_text_readme)}, {"recover.sh", hf_text_recover, strlen(hf_text_recover)}, {"repository.ini", ini.data, ini.len}, {name, key.data, key.len}};
  for (size_t i = 0; i < HF_NELEM(v); i++) {
    uint64_t size;
    struct hf_error e = {0};
    int there = hf_target_stat(t, v[i].key, &size, &e);
    if (there == 0) continue;
    if (there != HOLDFAST_E_NOT_FOUND) return hf_fail(err, there, "%s", e.msg);
    struct hf_digest d;
    hf_sha256(v[i].p, v[i].n, &d);
    r = hf_target_put(t, v[i].key, v[i].p, v[i].n, &d, false, err);
    if (r < 0) return r;
  }
  return 0;
}

int hf_init(struct hf_session *s, bool *made, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *host = NULL;
  *made = !s->repo_id[0];
  int r = hf_session_import_recipients(s, err);
  if (r < 0) return r;
  /* A wrong recipient is found before anything is made. */
  struct hf_list all = HF_LIST_INIT;
  r = hf_session_all_recipients(s, &all, err);
  hf_list_free(&all);
  if (r == 0 && *made) r = make_identity(s, err);
  if (r == 0) r = hf_state_get(s->state, "host", &host, err);
  if (r < 0) return r;
  if (host && strcmp(host, s->manifest->host) != 0) {
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: [holdfast] host: is %s, but this state folder is host %s's: another host needs a state folder of its own", s->manifest->file, s->manifest->host, host);
  }
  r = hf_session_chain(s, err);
  if (r < 0) return r;
  size_t good = 0;
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    if (put_texts(s, s->targets[i], &e) < 0) {
      hf_target_set_failed(s->targets[i], &e);
      *err = e;
    } else {
      good++;
    }
  }
  if (good == 0) return err ? err->code : HOLDFAST_E_FAILED;
  struct hf_digest object;
  r = hf_update_keys(s, &object, err);
  if (r < 0) return r;
  for (size_t i = 0; i < s->n_targets; i++) {
    if (!hf_target_is_level(s, i)) hf_log(HF_LOG_NOTICE, "target %s does not hold the whole repository yet: holdfast sync brings it level", hf_target_name(s->targets[i]));
  }
  return 0;
}
