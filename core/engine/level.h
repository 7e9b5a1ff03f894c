/* level.h - giving a target what it lacks, from the targets that have it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_LEVEL_H
#define HF_LEVEL_H

#include "engine/needs.h"

struct hf_level_options {
  bool dry;     /* count, copy nothing */
  bool records; /* also the records of the chain that it lacks */
  void (*copied)(void *ctx, const char *target, const char *key, uint64_t size); /* before each copy, one call at a time; may be NULL */
  void *ctx;
};
struct hf_level_result { uint64_t copied, bytes, failed; }; /* objects; their bytes; objects that no other target has good (reported) */

/* Copy to target `to` what it lacks of needs: texts and keys, secrets, packs, indexes, and last the records in their order, so that a target cut off half way never names what it does not hold; no record while
 * anything before it could not be had. Every object's digest is checked on the way; encrypted bytes are copied, so that no private key is needed. An error when the target cannot be listed or written to.
 * One listing of the target. Several packs are copied at once. Memory: these, the keys of what is to be copied, one bit for each pack, index and record. */
int hf_level(struct hf_session *s, size_t to, const struct hf_needs *needs, const struct hf_level_options *o, struct hf_level_result *out, struct hf_error *err);

#endif
