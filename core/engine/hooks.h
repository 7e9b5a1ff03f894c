/* hooks.h - commands of the admin's that run around a source's backup and around its restore in place.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_HOOKS_H
#define HF_HOOKS_H

#include "manifest/manifest.h"

/* What the commands are told, each as a variable of their environment; NULL or 0: not known, and not set. */
struct hf_hook_facts {
  const char *status; /* "complete", "partial", "failed" */
  const char *error;  /* why it failed */
  const char *label;
  uint64_t snapshot;  /* restore: the sequence number */
  uint64_t bytes, bytes_read, files;
};

/* Run the commands of one hook, one after the other, until one fails: the error names the hook, the command and its last words. They run without a shell, as the account of this process,
 * with nothing on standard input; what they print goes to the log. 0 at once when there are none. A run that is being stopped does not stop them: they put things right. */
int hf_hooks_run(const struct hf_manifest *m, const struct hf_manifest_source *source, enum hf_hook hook, const struct hf_hook_facts *facts, struct hf_error *err);

#endif
