/* store_support.h - a store on targets in memory, with real keys, for the tests of the pipeline.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STORE_SUPPORT_H
#define STORE_SUPPORT_H

#include "base/io.h"
#include "base/text.h"
#include "double_target.h"
#include "pipeline/plan.h"
#include "pipeline/store.h"
#include "state/state_impl.h"

#define REPO "00112233445566778899aabbccddeeff"
#define OK(call) assert_ok((call), #call)

static char base[32];
static struct hf_error e;
static struct hf_gpg *host, *user;
static char host_fpr[HF_FPR_LEN + 1], user_fpr[HF_FPR_LEN + 1];
static struct hf_list to_user = HF_LIST_INIT;
static struct hf_secret secret;
static struct hf_audience audience;
static volatile int cancel;

/* Of one test: */
static struct hf_state *state;
static struct hf_target *targets[2];
static size_t n_targets;
static struct hf_store *store;
static struct hf_store_source source;

static void assert_ok(int r, const char *what) {
  if (r < 0) fail_msg("%s: %d %s", what, r, e.msg);
}

static char *in_base(const char *name) { return hf_path_join(base, name); }

static void make_user(const char *home) {
  struct hf_gpg *g = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf key = HF_BUF_INIT;
  struct hf_list l = HF_LIST_INIT;
  OK(hf_gpg_open(home, true, &g, &e));
  OK(hf_gpg_make_host_key(g, "user", user_fpr, &e));
  OK(hf_gpg_export(g, user_fpr, &key, &e));
  OK(hf_gpg_import(host, key.data, key.len, &l, &e));
  hf_list_free(&l);
  hf_gpg_close(g);
}

static int keys_set_up(void **unused) {
  (void)unused;
  hf_log_threshold = -1;
  strcpy(base, "/tmp/hfsXXXXXX");
  if (!mkdtemp(base)) return -1;
  HF_CLEANUP(hf_freep) char *h = in_base("host");
  HF_CLEANUP(hf_freep) char *u = in_base("user");
  OK(hf_gpg_open(h, true, &host, &e));
  OK(hf_gpg_make_host_key(host, "web1", host_fpr, &e));
  make_user(u);
  setenv("GNUPGHOME", u, 1);
  OK(hf_gpg_open(NULL, false, &user, &e));
  hf_list_add(&to_user, user_fpr);
  hf_secret_new(&secret);
  hf_audience_derive(&secret, &to_user, &audience);
  return 0;
}

static int keys_tear_down(void **unused) {
  (void)unused;
  char c[] = "gpgconf", a1[] = "--homedir", a2[] = "--kill", a3[] = "all";
  HF_CLEANUP(hf_freep) char *u = in_base("user");
  char *argv[] = {c, a1, u, a2, a3, NULL};
  int code;
  hf_run(argv, NULL, NULL, 0, NULL, NULL, 30, &code, NULL);
  hf_gpg_close(host);
  hf_gpg_close(user);
  hf_list_free(&to_user);
  return hf_remove_tree(base, NULL);
}

static void open_state(void) {
  HF_CLEANUP(hf_freep) char *dir = in_base("state");
  OK(hf_state_open(dir, true, &state, &e));
}

/* Start again: an empty state folder, empty shelves, n of them opened. */
static void fresh(size_t n) {
  HF_CLEANUP(hf_freep) char *dir = in_base("state");
  OK(hf_remove_tree(dir, &e));
  open_state();
  cancel = 0;
  n_targets = n;
  for (unsigned i = 0; i < n; i++) {
    shelf_empty(&shelves[i]);
    OK(hf_target_open(double_manifest(i, ""), "web1", true, &cancel, &targets[i], &e));
  }
}

/* Forget that targets have failed. */
HF_UNUSED static void reopen_targets(void) {
  cancel = 0;
  for (unsigned i = 0; i < n_targets; i++) {
    hf_target_close(targets[i]);
    shelf_works(&shelves[i]);
    OK(hf_target_open(&doubles[i].m, "web1", false, &cancel, &targets[i], &e));
  }
}

static void done(void) {
  hf_store_close(store);
  store = NULL;
  hf_state_close(state);
  state = NULL;
  for (unsigned i = 0; i < n_targets; i++) {
    hf_target_close(targets[i]);
    double_free(i);
    shelf_empty(&shelves[i]);
  }
  n_targets = 0;
}

static void open_store(int64_t checkpoint, bool dry) {
  struct hf_store_options o = {.state = state,
                               .gpg = host,
                               .repo_id = REPO,
                               .signer = host_fpr,
                               .index_recipients = &to_user,
                               .targets = targets,
                               .n_targets = n_targets,
                               .checkpoint = checkpoint,
                               .dry = dry,
                               .cancel = &cancel};
  OK(hf_store_open(&o, &store, &e));
  source = (struct hf_store_source){.name = "web", .audience = &audience, .recipients = &to_user, .level = 1};
}

/* The process dies: what is not committed is gone. */
HF_UNUSED static void die(void) {
  hf_store_close(store);
  store = NULL;
  hf_state_close(state);
  open_state();
}

/* n bytes that are those of number x, and do not compress. */
HF_UNUSED static void fill(char *p, size_t n, uint64_t x) {
  x = x * 0x9e3779b97f4a7c15ULL + 1;
  for (size_t i = 0; i < n; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    p[i] = (char)x;
  }
}

#endif
