/* sync.c - bringing targets level with each other.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/sync.h"

#include "engine/engine.h"
#include "engine/level.h"

/* One target, against what it has to hold. */
static int bring_level(struct hf_session *s, size_t to, const struct hf_live *live, const struct hf_sync_options *o, struct hf_sync_target *t, struct hf_error *err) {
  struct hf_needs needs;
  struct hf_level_options lo = {.dry = o->dry, .records = true, .copied = o->copied, .ctx = o->ctx};
  struct hf_level_result lr = {0};
  int r = hf_needs_open(s, &needs, err);
  if (r < 0) return r;
  r = hf_needs_add_live(&needs, live, t->name, err);
  if (r == 0) r = hf_level(s, to, &needs, &lo, &lr, err);
  *t = (struct hf_sync_target){.name = t->name, .copied = lr.copied, .bytes = lr.bytes, .failed = lr.failed + needs.lost};
  hf_needs_free(&needs);
  return r;
}

int hf_sync(struct hf_session *s, const struct hf_sync_options *o, struct hf_sync_result *out, struct hf_error *err) {
  struct hf_live live;
  memset(out, 0, sizeof *out);
  if (s->n_targets < 2) return hf_fail(err, HOLDFAST_E_CONFIG, "there is only one target that can be used: nothing to bring it level with");
  int r = o->dry ? 0 : hf_repo_lock(s, "sync", err);
  if (r < 0) return r;
  /* With the lock: what it was waited for may have added records. The indexes, so that the catalogue knows every pack. */
  r = hf_session_chain(s, err);
  if (r == 0 && o->chain) o->chain(o->ctx);
  if (r == 0) r = hf_live_load(s, &live, err);
  if (r == 0 && (r = hf_live_load_indexes(s, &live, NULL, NULL, NULL, err)) < 0) hf_live_free(&live);
  if (r < 0) {
    if (!o->dry) hf_repo_unlock(s);
    return r;
  }
  out->targets = hf_allocn(s->n_targets, sizeof *out->targets);
  out->n_targets = s->n_targets;
  for (size_t i = 0; i < s->n_targets && !hf_cancel; i++) {
    struct hf_sync_target *t = &out->targets[i];
    const char *name = hf_target_name(s->targets[i]);
    struct hf_error e = {0};
    if (o->only && strcmp(o->only, name) != 0) continue;
    t->name = name;
    if (bring_level(s, i, &live, o, t, &e) < 0) {
      hf_log(HF_LOG_ERROR, "%s", e.msg);
      t->failed++;
    }
  }
  if (!o->dry) hf_repo_unlock(s);
  hf_live_free(&live);
  if (hf_cancel) {
    hf_sync_result_free(out);
    return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  }
  return 0;
}

void hf_sync_result_free(struct hf_sync_result *r) {
  free(r->targets);
  memset(r, 0, sizeof *r);
}
