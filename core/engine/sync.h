/* sync.h - bringing targets level with each other.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SYNC_H
#define HF_SYNC_H

#include "engine/session.h"

struct hf_sync_options {
  bool dry;         /* count, copy nothing */
  const char *only; /* the one target to be brought level, or NULL for all */
  void (*chain)(void *ctx); /* the chain has been read: the session's issues can be told; may be NULL */
  void (*copied)(void *ctx, const char *target, const char *key, uint64_t size); /* before each copy; may be NULL */
  void *ctx;
};
struct hf_sync_target { const char *name; uint64_t copied, bytes, failed; };
struct hf_sync_result {
  struct hf_sync_target *targets; /* n_targets, parallel to the session's */
  size_t n_targets;
};
/* Copy to each target what it lacks of what it has to hold (hf_level). Needs no private key but the host's. Takes the lock, then reads the chain. */
int hf_sync(struct hf_session *s, const struct hf_sync_options *o, struct hf_sync_result *out, struct hf_error *err);
void hf_sync_result_free(struct hf_sync_result *r);

#endif
