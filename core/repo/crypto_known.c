/* crypto_known.c - the public keys of a home given by path, listed once; and what sealing needs of such a home, begun ahead of it.
 *
 * Each look at a keyring is a process of gpg, and so is the start of an agent; a run that finds nothing new waits for little else. Such a home holds the host's key and
 * those of its recipients, and no more.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"
#include "repo/crypto_internal.h"

static void release(gpgme_key_t *keys, size_t n) {
  for (size_t i = 0; i < n; i++) gpgme_key_unref(keys[i]);
  free(keys);
}

/* What is known from now on; takes keys over. */
static void know(struct hf_gpg *g, bool listed, gpgme_key_t *keys, size_t n) {
  pthread_mutex_lock(&g->lock);
  gpgme_key_t *before = g->known;
  size_t n_before = g->n_known;
  g->listed = listed;
  g->known = keys;
  g->n_known = n;
  pthread_mutex_unlock(&g->lock);
  release(before, n_before);
}

static int list_home(struct hf_gpg *g, struct hf_error *err) {
  HF_CLEANUP(hf_gpg_give_back) struct hf_gpg_lent l = {0};
  gpgme_key_t *keys = NULL, key = NULL;
  size_t n = 0;
  int r = hf_gpg_lend(g, g->home, &l, err);
  if (r < 0) return r;
  gpgme_error_t e = gpgme_op_keylist_start(l.c, NULL, 0);
  while (!e && !(e = gpgme_op_keylist_next(l.c, &key))) {
    if (!key->fpr || strlen(key->fpr) != HF_FPR_LEN) {
      gpgme_key_unref(key);
      continue;
    }
    if ((n & (n - 1)) == 0) keys = hf_realloc(keys, (n ? n * 2 : 1) * sizeof(gpgme_key_t));
    keys[n++] = key;
  }
  if (gpgme_err_code(e) != GPG_ERR_EOF) {
    release(keys, n);
    return hf_gpg_fail(err, e, "cannot list the keys in %s", g->home);
  }
  know(g, true, keys, n);
  return 0;
}

/* ---- ahead ---- */

/* Whoever needs the keys and finds them not listed lists them, and meets the error. */
static void *list_ahead(void *arg) {
  list_home(arg, NULL);
  return NULL;
}

void hf_gpg_get_ready(struct hf_gpg *g) {
  if (!g->home) return;
  pthread_mutex_lock(&g->lock);
  if (!g->agent_before && !g->agent) {
    const char *const argv[] = {"gpg-agent", "--homedir", g->home, "--use-standard-socket", "--daemon", NULL};
    g->agent = hf_spawn((char *const *)argv, NULL, -1, -1, -1, -1, &g->agent_start, NULL) == 0;
  }
  if (!g->is_ahead && !g->listed) g->is_ahead = pthread_create(&g->ahead, NULL, list_ahead, g) == 0;
  pthread_mutex_unlock(&g->lock);
}

static void join_list(struct hf_gpg *g) {
  pthread_mutex_lock(&g->lock);
  bool join = g->is_ahead;
  g->is_ahead = false;
  pthread_mutex_unlock(&g->lock);
  if (join) pthread_join(g->ahead, NULL);
}

/* It has ended when the agent listens. Where none does, gpg starts one, or says why it cannot. */
void hf_gpg_uses_agent(struct hf_gpg *g) {
  pthread_mutex_lock(&g->lock);
  g->agent = true;
  if (g->agent_start.pid > 0) hf_wait(&g->agent_start, 30, NULL, NULL);
  g->agent_start.pid = -1;
  pthread_mutex_unlock(&g->lock);
}

void hf_gpg_forget_keys(struct hf_gpg *g) {
  join_list(g);
  know(g, false, NULL, 0);
}

/* ---- known keys ---- */

int hf_gpg_known(struct hf_gpg *g, bool (*test)(gpgme_key_t key, const char *what), const char *what, gpgme_key_t *keys, int room, struct hf_error *err) {
  if (!g->home) return 0;
  join_list(g);
  pthread_mutex_lock(&g->lock);
  bool listed = g->listed;
  pthread_mutex_unlock(&g->lock);
  int r = listed ? 0 : list_home(g, err), n = 0;
  if (r < 0) return r;
  pthread_mutex_lock(&g->lock);
  for (size_t i = 0; i < g->n_known && n < room; i++) {
    if (!test(g->known[i], what)) continue;
    gpgme_key_ref(g->known[i]);
    keys[n++] = g->known[i];
  }
  pthread_mutex_unlock(&g->lock);
  return n;
}
