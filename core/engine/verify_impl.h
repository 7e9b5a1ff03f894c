/* verify_impl.h - shared by verify.c and verify_read.c only.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_VERIFY_IMPL_H
#define HF_VERIFY_IMPL_H

#include "engine/engine.h"
#include "engine/needs.h"

struct hf_verifying {
  struct hf_session *s;
  const struct hf_verify_options *o;
  struct hf_verify_result *out;
  struct hf_live live;
  struct hf_needs all; /* of all snapshots that an open target has to hold */
};

void hf_verify_finding(struct hf_verifying *v, const char *target, const char *object, const char *fmt, ...) HF_PRINTF(4, 5);
bool hf_verify_needs(const struct hf_verifying *v, int64_t pack_row);
/* The third depth: every needed pack decrypted and every chunk identified, every recipe walked. */
int hf_verify_decrypt(struct hf_verifying *v, struct hf_error *err);

#endif
