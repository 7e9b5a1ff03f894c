/* target.h - an opened target: the plugin's callbacks with keys made whole, retries, and one memory of failure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * All functions may be called from several threads; no more calls than the plugin's `parallel` (and the manifest's) run at once. What fails
 * in a way that may pass is tried again as the manifest's `retries` and `deadline` say, until the run is being stopped or the target has
 * dropped out.
 */
#ifndef HF_PIPELINE_TARGET_H
#define HF_PIPELINE_TARGET_H

#include "base/base.h"
#include "base/digest.h"
#include "manifest/manifest.h"

struct hf_target;
/* m must outlive the target. create as in <holdfast/target.h>. cancel: non-zero ends waiting; may be NULL. What may pass is tried again. */
int hf_target_open(const struct hf_manifest_target *m, const char *host, bool create, volatile int *cancel, struct hf_target **out, struct hf_error *err);
void hf_target_close(struct hf_target *t);
const char *hf_target_name(const struct hf_target *t);

/* Drop out of the run: the first failure is kept. */
void hf_target_set_failed(struct hf_target *t, const struct hf_error *why);
/* The message of the failure, or NULL while all is well. Stable once set. */
const char *hf_target_failure(struct hf_target *t);

/* The same with its status; *why is left alone while all is well. */
bool hf_target_has_failed(struct hf_target *t, struct hf_error *why);

/* While on: what is put comes before deletions that will make room, and may use what the target keeps in reserve for that. Small objects only; while
 * no other thread uses the target. */
void hf_target_set_frees(struct hf_target *t, bool on);

/* Keys are relative to the host's folder. */
/* create_only: HOLDFAST_E_EXISTS when the key is taken. */
int hf_target_put(struct hf_target *t, const char *key, const void *p, size_t n, const struct hf_digest *sha256, bool create_only, struct hf_error *err);
/* The whole object, appended to out; HOLDFAST_E_CORRUPT beyond max. */
int hf_target_get(struct hf_target *t, const char *key, size_t max, struct hf_buf *out, struct hf_error *err);
/* As hf_target_get, and the bytes must have that digest (HOLDFAST_E_CORRUPT otherwise). */
int hf_target_get_checked(struct hf_target *t, const char *key, size_t max, const struct hf_digest *want, struct hf_buf *out, struct hf_error *err);
int hf_target_stat(struct hf_target *t, const char *key, uint64_t *size, struct hf_error *err);
/* key is relative to the host's folder, too. Everything was listed, each key once, or an error is returned. Memory: 16 bytes for each key. */
int hf_target_list(struct hf_target *t, const char *prefix, int (*fn)(void *ctx, const char *key, uint64_t size), void *ctx, struct hf_error *err);
int hf_target_remove(struct hf_target *t, const char *key, struct hf_error *err);
/* n keys, a thousand a call. statuses[i] gets each one's status (an absent one is 0). Returns 0 when all went, else the first bad status, with
 * a message that says how many. */
int hf_target_remove_many(struct hf_target *t, const char *const *keys, size_t n, int *statuses, struct hf_error *err);
/* For how many seconds an object cannot be deleted once it is stored, where hf_target_extend can make that longer; 0: it can be deleted, or
 * no more is known. */
int64_t hf_target_retention(struct hf_target *t);
/* These are needed for that time from now on. As hf_target_remove_many; HOLDFAST_E_UNSUPPORTED. */
int hf_target_extend(struct hf_target *t, const char *const *keys, size_t n, int *statuses, struct hf_error *err);
/* Might objects have to be brought back from an archive before they can be read? */
bool hf_target_can_thaw(const struct hf_target *t);
/* These are about to be read. As hf_target_remove_many; HOLDFAST_E_TRANSIENT: it is being brought back, and the message says how long that takes. */
int hf_target_thaw(struct hf_target *t, const char *const *keys, size_t n, int *statuses, struct hf_error *err);
/* Seconds that reading an object of 16 MiB might take, by what this run has seen of the target; 0 when it has seen nothing. */
double hf_target_distance(struct hf_target *t);
/* Is it a folder of this machine? */
bool hf_target_is_local(const struct hf_target *t);
/* How many calls run at once, at least 1. */
uint32_t hf_target_parallel(const struct hf_target *t);
/* 0 and *free_bytes, *total; HOLDFAST_E_UNSUPPORTED. */
int hf_target_space(struct hf_target *t, uint64_t *free_bytes, uint64_t *total, struct hf_error *err);
uint32_t hf_target_capabilities(struct hf_target *t);
/* An error's text without the "target NAME: " that it may begin with, for where the target is named anyway. */
const char *hf_target_message(const char *name, const char *msg);

#endif
