/* target.h - an opened target: the plugin's callbacks with keys made whole, retries, and one memory of failure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * All functions may be called from several threads; no more calls than the plugin's `parallel` run at once.
 */
#ifndef HF_PIPELINE_TARGET_H
#define HF_PIPELINE_TARGET_H

#include "base/base.h"
#include "base/digest.h"
#include "manifest/manifest.h"

#define HF_TARGET_TRIES 5 /* of a transient error, with back-off from 0.25 s doubling, and jitter */

struct hf_target;
/* m must outlive the target. create as in <holdfast/target.h>. cancel: non-zero ends waiting; may be NULL. */
int hf_target_open(const struct hf_manifest_target *m, const char *host, bool create, volatile int *cancel, struct hf_target **out, struct hf_error *err);
void hf_target_close(struct hf_target *t);
const char *hf_target_name(const struct hf_target *t);

/* Drop out of the run: the first failure is kept. */
void hf_target_set_failed(struct hf_target *t, const struct hf_error *why);
/* The message of the failure, or NULL while all is well. Stable once set. */
const char *hf_target_failure(struct hf_target *t);

/* Keys are relative to the host's folder. */
/* create_only: HOLDFAST_E_EXISTS when the key is taken. */
int hf_target_put(struct hf_target *t, const char *key, const void *p, size_t n, const struct hf_digest *sha256, bool create_only, struct hf_error *err);
/* The whole object, appended to out; HOLDFAST_E_CORRUPT beyond max. */
int hf_target_get(struct hf_target *t, const char *key, size_t max, struct hf_buf *out, struct hf_error *err);
/* As hf_target_get, and the bytes must have that digest (HOLDFAST_E_CORRUPT otherwise). */
int hf_target_get_checked(struct hf_target *t, const char *key, size_t max, const struct hf_digest *want, struct hf_buf *out, struct hf_error *err);
int hf_target_stat(struct hf_target *t, const char *key, uint64_t *size, struct hf_error *err);
/* key is relative to the host's folder, too. Everything was listed, or an error is returned; not retried once the callback has been called. */
int hf_target_list(struct hf_target *t, const char *prefix, int (*fn)(void *ctx, const char *key, uint64_t size), void *ctx, struct hf_error *err);
int hf_target_remove(struct hf_target *t, const char *key, struct hf_error *err);
/* 0 and *free_bytes, *total; HOLDFAST_E_UNSUPPORTED. */
int hf_target_space(struct hf_target *t, uint64_t *free_bytes, uint64_t *total, struct hf_error *err);
uint32_t hf_target_capabilities(struct hf_target *t);
/* An error's text without the "target NAME: " that it may begin with, for where the target is named anyway. */
const char *hf_target_message(const char *name, const char *msg);

#endif
