/* complete.h - completion of command lines.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_COMPLETE_H
#define HF_COMPLETE_H

#include "cmd/cmd.h"

struct hf_completion {
  /* One candidate for the last word, whole, with a word about it (NULL for none). ":files" and ":folders" say that the shell knows them. */
  void (*take)(void *ctx, const char *candidate, const char *help);
  void *ctx;
};
/* words: those behind the program's name, n of them, up to the one that is being written. Silent: what cannot be read offers nothing. */
void hf_complete(const char *manifest, char *const *words, size_t n, struct hf_completion *out);
/* "bash", "fish", "zsh", NULL (cmd_completion.c) */
extern const char *const hf_completion_shells[];

#endif
