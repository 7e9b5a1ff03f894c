/* session.c - opening what a command works with.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/compacted.h"
#include "engine/needs.h"

#include <errno.h>
#include <unistd.h>

#include "base/text.h"

volatile int hf_cancel;

int hf_session_add_target(struct hf_session *s, const struct hf_manifest_target *t, bool create, bool wanted, bool *away, struct hf_error *err) {
  const struct hf_manifest *m = s->manifest;
  *away = false;
  if (!s->targets) {
    s->targets = hf_allocn(m->n_targets, sizeof *s->targets);
    s->chains = hf_allocn(m->n_targets, sizeof *s->chains);
  }
  int r = hf_target_open(t, m->host, create, &hf_cancel, &s->targets[s->n_targets], err);
  if (r == 0) {
    s->n_targets++;
    return 0;
  }
  /* Only what is not there: a disk that is there and refuses is a failure. Who names it wants it. */
  *away = t->removable && r == HOLDFAST_E_NOT_FOUND && !wanted;
  if (*away) hf_list_add(&s->away, t->name);
  else s->n_unopened++;
  return r;
}

static int open_targets(struct hf_session *s, unsigned flags, const char *only, struct hf_error *err) {
  const struct hf_manifest *m = s->manifest;
  if (only && !hf_manifest_find_target(m, only)) return hf_fail(err, HOLDFAST_E_USAGE, "the manifest has no [target %s]", only);
  struct hf_error last = {0};
  for (size_t i = 0; i < m->n_targets; i++) {
    const struct hf_manifest_target *t = &m->targets[i];
    if (only ? strcmp(only, t->name) != 0 : !t->enabled) continue;
    struct hf_error e = {0};
    bool away = false;
    if (hf_session_add_target(s, t, (flags & HF_SESSION_CREATE) != 0, only != NULL, &away, &e) == 0) continue;
    hf_log(away ? HF_LOG_NOTICE : HF_LOG_ERROR, "%s%s", e.msg, away ? "; it is removable, and left out" : "");
    last = e;
  }
  if (s->n_targets > 0) return 0;
  if (last.code) return hf_fail(err, last.code, "no target can be used");
  return hf_fail(err, HOLDFAST_E_CONFIG, "every target of the manifest is switched off (enabled = no)");
}

/* What the state remembers of the repository. */
static int recall(struct hf_session *s, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *repo = NULL, *key = NULL, *secret = NULL;
  int r = hf_state_get(s->state, "repository", &repo, err);
  if (r == 0) r = hf_state_get(s->state, "host-key", &key, err);
  if (r == 0) r = hf_state_get(s->state, "secret", &secret, err);
  if (r < 0) return r;
  if (repo) snprintf(s->repo_id, sizeof s->repo_id, "%s", repo);
  if (key) snprintf(s->host_key, sizeof s->host_key, "%s", key);
  if (secret) {
    if (strlen(secret) != sizeof s->secret.key * 2 || !hf_unhex(s->secret.key, secret, sizeof s->secret.key)) return hf_fail(err, HOLDFAST_E_CORRUPT, "state database: the repository secret is malformed");
    snprintf(s->secret.repo_id, sizeof s->secret.repo_id, "%s", s->repo_id);
    s->have_secret = true;
    hf_wipe(secret, strlen(secret));
  }
  return 0;
}

/* One run of this host at a time. */
static int take_lock(struct hf_session *s, const struct hf_session_how *how, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *path = hf_path_join(s->manifest->state, "lock");
  HF_CLEANUP(hf_freep) char *who = hf_asprintf("holdfast %s", how->command);
  double wait = (double)(how->lock_wait < 0 ? s->manifest->lock_wait : how->lock_wait);
  s->lock_until = hf_now() + wait;
  int r = hf_lock_take(path, who, wait, &hf_cancel, &s->lock, err);
  return r == HOLDFAST_E_EXISTS ? hf_prefix(err, "another holdfast works on this host's repository") : r;
}

static int open_state(struct hf_session *s, const struct hf_session_how *how, struct hf_error *err) {
  const char *dir = s->manifest->state;
  unsigned flags = how->flags;
  struct hf_error e = {0};
  bool create = flags & HF_SESSION_CREATE;
  if (flags & (HF_SESSION_WRITE | HF_SESSION_CREATE)) {
    int r = hf_state_open(dir, create, &s->state, err);
    if (r == HOLDFAST_E_NOT_FOUND && !create) return hf_fail(err, HOLDFAST_E_CONFIG, "there is no repository of this host yet (nothing in %s): run holdfast init", dir);
    if (r < 0) return r;
    if ((r = take_lock(s, how, err)) < 0) return r;
  } else if (hf_state_open(dir, false, &s->state, &e) < 0) {
    /* Not this host, or not its root: read with the caller's key. */
    if (e.code != HOLDFAST_E_NOT_FOUND && e.code != HOLDFAST_E_AUTH) return hf_fail(err, e.code, "%s", e.msg);
    hf_log(HF_LOG_INFO, "the host's own state cannot be used (%s): the repository is read with your key alone", e.msg);
    return hf_state_open_temporary(&s->state, err);
  }
  HF_CLEANUP(hf_freep) char *home = hf_path_join(dir, "gnupg");
  if (!create && access(home, R_OK | X_OK) < 0) {
    if (flags & HF_SESSION_WRITE) return hf_fail_errno(err, errno, "the host's key folder %s", home);
    return 0;
  }
  int r = hf_gpg_open(home, create, &s->host, err);
  if (r == 0 && !create && flags & HF_SESSION_WRITE) hf_gpg_get_ready(s->host);
  return r;
}

int hf_session_open(const char *manifest_file, const struct hf_session_how *how, struct hf_session **out, struct hf_error *err) {
  unsigned flags = how->flags;
  struct hf_session *s = hf_alloc(sizeof *s);
  s->manifest_file = manifest_file;
  s->registry = hf_registry_new();
  s->compactions = hf_compactions_new();
  int r = hf_manifest_load(manifest_file, s->registry, &s->manifest, err);
  if (r == 0) s->fetching = hf_fetching_new(s->manifest->n_targets);
  if (r == 0) r = open_state(s, how, err);
  if (r == 0) r = recall(s, err);
  if (r == 0 && s->host_key[0]) hf_list_add(&s->trusted, s->host_key);
  if (r == 0 && (flags & HF_SESSION_WRITE) && !(flags & HF_SESSION_CREATE) && (!s->repo_id[0] || !s->host_key[0] || !s->have_secret)) {
    r = hf_fail(err, HOLDFAST_E_CONFIG, "there is no repository of this host yet: run holdfast init");
  }
  if (r == 0 && s->host && s->host_key[0] && s->manifest->host_key && strcasecmp(s->manifest->host_key, s->host_key) != 0) {
    r = hf_fail(err, HOLDFAST_E_CONFIG, "%s: [holdfast] host-key: is %s, but this host's key is %s", s->manifest->file, s->manifest->host_key, s->host_key);
  }
  if (r == 0 && !(flags & HF_SESSION_NO_TARGETS)) r = open_targets(s, flags, how->only_target, err);
  if (r < 0) {
    hf_session_close(s);
    return r;
  }
  *out = s;
  return 0;
}

void hf_session_close(struct hf_session *s) {
  if (!s) return;
  for (size_t i = 0; i < s->n_targets; i++) hf_target_close(s->targets[i]);
  free(s->targets);
  free(s->chains);
  hf_fetching_free(s->fetching);
  hf_compactions_free(s->compactions);
  if (s->reading) hf_needs_free(s->reading);
  free(s->reading);
  hf_gpg_close(s->host);
  hf_gpg_close(s->caller);
  hf_state_close(s->state);
  hf_lock_free(s->lock);
  hf_manifest_free(s->manifest);
  hf_registry_free(s->registry);
  hf_list_free(&s->trusted);
  hf_list_free(&s->away);
  hf_list_free(&s->specs);
  hf_list_free(&s->fprs);
  for (size_t i = 0; i < s->n_issues; i++) {
    free(s->issues[i].target);
    free(s->issues[i].text);
  }
  free(s->issues);
  hf_wipe(&s->secret, sizeof s->secret);
  free(s);
}

/* Fetch the public host keys that the targets hold and let g verify with them. Where neither the state nor the manifest names the host key, the keys found are taken at their word, and said aloud. */
static int trust_keys(struct hf_session *s, struct hf_gpg *g, struct hf_error *err);

int hf_session_caller(struct hf_session *s, struct hf_gpg **out, struct hf_error *err) {
  if (!s->caller) {
    struct hf_gpg *g = NULL;
    int r = hf_gpg_open(NULL, false, &g, err);
    /* On the host its own home verifies metadata; this one only decrypts. */
    if (r == 0 && !s->host) r = trust_keys(s, g, err);
    if (r < 0) {
      hf_gpg_close(g);
      return r;
    }
    s->caller = g;
  }
  *out = s->caller;
  return 0;
}

int hf_session_reader(struct hf_session *s, struct hf_gpg **out, struct hf_error *err) {
  if (s->host) {
    *out = s->host;
    return 0;
  }
  return hf_session_caller(s, out, err);
}

struct key_names { struct hf_list v; };

static int add_key_name(void *ctx, const char *key, uint64_t size HF_UNUSED) {
  struct key_names *k = ctx;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  if (name.kind == HF_OBJ_HOSTKEY && !hf_list_has(&k->v, name.fpr)) hf_list_add(&k->v, name.fpr);
  return 0;
}

static int trust_keys(struct hf_session *s, struct hf_gpg *g, struct hf_error *err) {
  struct key_names names = {HF_LIST_INIT};
  bool pinned = s->trusted.n > 0;
  int r = 0;
  if (s->manifest->host_key && !hf_list_has(&s->trusted, s->manifest->host_key)) {
    hf_list_add(&s->trusted, s->manifest->host_key);
    pinned = true;
  }
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    if (hf_target_list(s->targets[i], "keys/", add_key_name, &names, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
  }
  /* A repository has one host key. Another was put there by somebody, and which of them is the right one cannot be seen from here. */
  if (!pinned && names.v.n > 1) {
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "the targets hold %zu host keys, %s and %s among them, and one of them is not this host's: say which to trust with host-key = in the manifest", names.v.n, names.v.v[0], names.v.v[1]);
    hf_list_free(&names.v);
    return r;
  }
  size_t got = 0;
  for (size_t k = 0; r == 0 && k < names.v.n; k++) {
    const char *fpr = names.v.v[k];
    if (pinned && !hf_list_has(&s->trusted, fpr)) continue;
    char key[HF_KEY_MAX];
    hf_key_hostkey(key, fpr);
    for (size_t i = 0; i < s->n_targets; i++) {
      HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
      struct hf_list fprs = HF_LIST_INIT;
      struct hf_error e = {0};
      int t = hf_target_get(s->targets[i], key, 1 << 20, &b, &e);
      if (t == 0) t = hf_gpg_trust_keys(g, b.data, b.len, &fprs, &e);
      bool same = t == 0 && fprs.n == 1 && strcmp(fprs.v[0], fpr) == 0;
      hf_list_free(&fprs);
      if (same) {
        got++;
        if (!pinned) {
          hf_log(HF_LOG_NOTICE, "host key %s is trusted because target %s holds it; to be sure, compare it with what the host's `holdfast init` printed, or set host-key in the manifest", fpr,
                 hf_target_name(s->targets[i]));
          hf_list_add(&s->trusted, fpr);
        }
        break;
      }
      hf_log(HF_LOG_WARNING, "target %s: %s: %s", hf_target_name(s->targets[i]), key, t < 0 ? e.msg : "is another key");
    }
  }
  hf_list_free(&names.v);
  if (got == 0) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "no target holds the public key of the host%s: nothing could be verified", pinned ? " that is trusted" : "");
  return 0;
}
