/* template.c - text with placeholders.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"

int hf_template(const char *text, bool (*fn)(void *ctx, const char *name, struct hf_buf *out), void *ctx, struct hf_buf *out, struct hf_error *err) {
  for (const char *p = text; *p; p++) {
    if (p[0] != '$' || (p[1] != '$' && p[1] != '{')) {
      hf_buf_addc(out, *p);
      continue;
    }
    if (*++p == '$') {
      hf_buf_addc(out, '$');
      continue;
    }
    const char *end = strchr(p, '}');
    if (!end) return hf_fail(err, HOLDFAST_E_CONFIG, "a ${ has no } behind it; a dollar sign itself is written $$");
    HF_CLEANUP(hf_freep) char *name = hf_strndup(p + 1, (size_t)(end - p - 1));
    if (!fn(ctx, name, out)) {
      HF_CLEANUP(hf_freep) char *shown = hf_printable(name, strlen(name));
      return hf_fail(err, HOLDFAST_E_CONFIG, "there is no placeholder ${%s}; a dollar sign itself is written $$", shown);
    }
    p = end;
  }
  return 0;
}
