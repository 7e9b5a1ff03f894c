/* fuzz_nginx.c - fuzz target: the syntax of nginx configuration files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "fuzz.h"
#include "plugins/nginx/parse.h"

static void must(int ok) {
  if (!ok) __builtin_trap();
}

struct seen {
  size_t directives, words;
  unsigned line;
};

static int directive(void *ctx, const struct hf_nginx_directive *d) {
  struct seen *s = ctx;
  must(d->n > 0 && d->n <= HF_NGINX_ARGS_MAX && d->line >= s->line && d->parent);
  s->line = d->line;
  s->directives++;
  for (size_t i = 0; i < d->n; i++) s->words += strlen(d->words[i]);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct hf_nginx_error err;
  struct seen s = {0};
  int rc = hf_nginx_parse((const char *)data, n, directive, &s, &err);
  must(rc == 0 || (rc == HF_NGINX_SYNTAX && err.line >= s.line && *err.what));
  /* Every directive takes a byte to end it, and an escape is never longer than what it stands for. */
  must(s.directives + s.words <= n);
  return 0;
}
