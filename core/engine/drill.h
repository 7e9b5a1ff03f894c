/* drill.h - rehearsing a restore.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_DRILL_H
#define HF_DRILL_H

#include "engine/engine.h"

struct hf_drill_options {
  const struct hf_list *sources; /* names; empty: all of the snapshot */
  const char *scratch;           /* an existing folder to work below; NULL: $TMPDIR or /tmp */
  struct hf_restore_options restore; /* its callbacks; the rest is the drill's own */
  void (*step)(void *ctx, const char *source, const char *what); /* what is being done now; may be NULL */
  void *ctx;
};
enum hf_drill_verdict { HF_DRILL_PASSED, HF_DRILL_RESTORED /* the plugin has no way to verify */, HF_DRILL_FAILED };
struct hf_drill_source {
  char *name;
  enum hf_drill_verdict verdict;
  char *message;          /* what the plugin found, or what is wrong; may be NULL when restored */
  uint64_t files, bytes;
  double restore_seconds, verify_seconds;
};
struct hf_drill_result {
  struct hf_drill_source *sources;
  size_t n_sources, failed;
  double seconds;
};
/* Restore every source to a private temporary folder, one after the other, and have its plugin verify the copy; the folder is removed. A source that fails is a verdict; an error is what prevented
 * the drill. At most one source's data is on disk at a time. */
int hf_drill(struct hf_session *s, const struct hf_record *rec, const struct hf_drill_options *o, struct hf_drill_result *out, struct hf_error *err);
void hf_drill_result_free(struct hf_drill_result *r);

#endif
