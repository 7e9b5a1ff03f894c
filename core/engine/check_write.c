/* check_write.c - would a target take, show, give back and give up an object? Tried with one of its own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * check/<Unix time>-<32 hex digits>.txt: a name that is no object of a repository, so that whatever else looks at a target passes it over.
 */
#include "base/text.h"
#include "engine/check.h"

#define FOLDER "check/"
#define LEFT_SECONDS (24 * 3600) /* one that is older was left by a check that is over */

struct seen {
  const char *key; /* ours */
  uint64_t size;   /* as it should be */
  bool there;
  struct hf_list left;
};

/* Memory: the names of test objects that were left, at most so many. */
#define LEFT_MAX 100u

static int see(void *ctx, const char *key, uint64_t size) {
  struct seen *s = ctx;
  char *end = NULL;
  if (strcmp(key, s->key) == 0) {
    s->there = size == s->size;
    return 0;
  }
  if (strncmp(key, FOLDER, strlen(FOLDER)) != 0) return 0;
  long long made = strtoll(key + strlen(FOLDER), &end, 10);
  if (*end == '-' && made < hf_wall_clock() - LEFT_SECONDS && s->left.n < LEFT_MAX) hf_list_add(&s->left, key);
  return 0;
}

static int write_and_read(struct hf_target *t, struct seen *s, const char *text, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf back = HF_BUF_INIT;
  struct hf_digest d;
  hf_sha256(text, s->size, &d);
  int r = hf_target_put(t, s->key, text, s->size, &d, true, err);
  /* The name is random: what is there already is this one, put by a try that seemed to fail. Reading it says whether it is. */
  if (r < 0 && r != HOLDFAST_E_EXISTS) return r;
  r = hf_target_get_checked(t, s->key, s->size, &d, &back, err);
  if (r == 0) r = hf_target_list(t, FOLDER, see, s, err);
  if (r == 0 && !s->there)
    r = hf_fail(err, HOLDFAST_E_FAILED, "target %s: %s was stored and can be read, and is not listed", hf_target_name(t), s->key);
  return r;
}

/* A target that may not delete keeps what was put there. Others get rid of ours, and of what checks that were killed have left. */
static int remove_all(struct hf_target *t, struct seen *s, struct hf_error *err) {
  uint64_t size = 0;
  struct hf_error gone = {0};
  int r = hf_target_remove(t, s->key, err);
  for (size_t i = 0; r == 0 && i < s->left.n; i++) r = hf_target_remove(t, s->left.v[i], err);
  if (r < 0) return r;
  if (hf_target_stat(t, s->key, &size, &gone) == HOLDFAST_E_NOT_FOUND) return 0;
  return gone.code ? hf_fail(err, gone.code, "%s", gone.msg)
                   : hf_fail(err, HOLDFAST_E_FAILED, "target %s: %s was deleted, and is still there", hf_target_name(t), s->key);
}

static const char *find_twin(struct hf_target **all, size_t n, size_t i, const char *key) {
  for (size_t k = 0; k < n; k++) {
    uint64_t size = 0;
    struct hf_error e = {0};
    if (k != i && !hf_target_failure(all[k]) && hf_target_stat(all[k], key, &size, &e) == 0) return hf_target_name(all[k]);
  }
  return NULL;
}

int hf_check_write(struct hf_target **all, size_t n, size_t i, bool *written, const char **twin, struct hf_error *err) {
  struct hf_target *t = all[i];
  unsigned char random[16];
  char hex[2 * sizeof random + 1];
  hf_random(random, sizeof random);
  hf_hex(hex, random, sizeof random);
  HF_CLEANUP(hf_freep) char *key = hf_asprintf(FOLDER "%lld-%s.txt", (long long)hf_wall_clock(), hex);
  HF_CLEANUP(hf_freep)
  char *text = hf_asprintf("Written by holdfast check, to see whether this can be done. It may be deleted.\n%s\n", hex);
  struct seen s = {.key = key, .size = strlen(text), .left = HF_LIST_INIT};
  int r = write_and_read(t, &s, text, err);
  *written = r == 0;
  *twin = r == 0 ? find_twin(all, n, i, key) : NULL;
  if (r == 0)
    r = remove_all(t, &s, err);
  else
    hf_target_remove(t, key, NULL); /* it may be there all the same */
  hf_list_free(&s.left);
  return r;
}
