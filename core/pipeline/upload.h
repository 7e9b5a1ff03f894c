/* upload.h - objects on their way to the targets: made once, stored at each, each at its own pace.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every target has a queue and threads of its own, as many as it bears calls, at most HF_UPLOADS_MAX. An object is shared by all and
 * released when the last has it, so memory does not grow with the number of targets: at most HF_UPLOAD_BYTES of objects (or one that is
 * larger) and HF_UPLOAD_OBJECTS of them are on their way; whoever brings more waits. A target that falls behind holds the others up once
 * it holds that much, and no sooner; one that fails drops out and holds nothing.
 */
#ifndef HF_UPLOAD_H
#define HF_UPLOAD_H

#include "pipeline/target.h"
#include "repo/repo.h"

#define HF_UPLOADS_MAX 4              /* threads of one target */
#define HF_UPLOAD_BYTES (42 * HF_MIB) /* two packs of HF_PACK_TARGET, however little they compress: more would hide more latency, and take more memory */
#define HF_UPLOAD_OBJECTS 32

/* One object. The caller's until hf_upload_put takes it, and again from `through` on. */
struct hf_parcel {
  char key[HF_KEY_MAX];
  const void *data;
  size_t size;
  struct hf_digest digest;
  /* Every target has it or has failed. err: NULL when at least one has it; else why not: HOLDFAST_E_CANCELED, or what the last target met.
   * Called once, from any thread. */
  void (*through)(struct hf_parcel *p, const struct hf_error *err);
  /* hf_upload's own */
  size_t left, good;
  struct hf_error last;
};

struct hf_upload;
/* targets must outlive it. cancel: non-zero lets all that is on its way end soon; may be NULL. */
int hf_upload_open(struct hf_target **targets, size_t n_targets, volatile int *cancel, struct hf_upload **out, struct hf_error *err);
/* From now on what waits ends as cancelled, and so does what comes. NULL is allowed. */
void hf_upload_stop(struct hf_upload *u);
/* Stop, and wait until all that was on its way is through. NULL is allowed. */
void hf_upload_close(struct hf_upload *u);
/* Send it on its way; waits for room. `through` is called whatever comes. */
void hf_upload_put(struct hf_upload *u, struct hf_parcel *p);

#endif
