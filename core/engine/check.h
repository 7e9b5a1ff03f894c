/* check.h - preflight: would a backup work?
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_CHECK_H
#define HF_CHECK_H

#include "engine/session.h"

enum hf_verdict { HF_VERDICT_OK, HF_VERDICT_WARNING, HF_VERDICT_FAILED };

struct hf_check_options {
  /* One thing that was looked at. what: "manifest", "recipient", "host key", "state", "clock", "tool", "source", "hook", "target",
   * "repository" or "notify"; name: which one; message: what was found. */
  void (*verdict)(void *ctx, enum hf_verdict v, const char *what, const char *name, const char *message);
  void *ctx;
  bool no_write; /* no test objects */
};
struct hf_check_result {
  uint64_t ok, warnings, failed;
};

/* At target i of all n: put a test object, read it back, list it, delete it. *written: all but the last worked; then the error is about deleting. *twin: the name of another of them that had it, too, since it is the same
 * place, or NULL. */
int hf_check_write(struct hf_target **all, size_t n, size_t i, bool *written, const char **twin, struct hf_error *err);

/* Look at everything a backup needs. Nothing is changed but for a test object at each target, which is deleted again. s is opened with HF_SESSION_READ |
 * HF_SESSION_NO_TARGETS: the targets are opened here. An error is what prevented checking; what is wrong is
 * a verdict. */
int hf_check(struct hf_session *s, const struct hf_check_options *o, struct hf_check_result *out, struct hf_error *err);

#endif
