/* words.c - a command line without a shell, and what came of it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

int hf_split_words(const char *text, struct hf_list *words, struct hf_error *err) {
  const char *p = text;
  for (;;) {
    while (is_blank(*p)) p++;
    if (!*p) break;
    struct hf_buf word = HF_BUF_INIT;
    while (*p && !is_blank(*p)) {
      if (*p == '\'' || *p == '"') {
        const char *end = strchr(p + 1, *p);
        if (!end) {
          hf_buf_free(&word);
          return hf_fail(err, HOLDFAST_E_CONFIG, "the command has an opening %c without a closing one", *p);
        }
        hf_buf_add(&word, p + 1, (size_t)(end - p - 1));
        p = end + 1;
      } else {
        hf_buf_addc(&word, *p++);
      }
    }
    hf_list_take(words, hf_buf_take(&word));
  }
  if (words->n == 0 || !*words->v[0])
    return hf_fail(err, HOLDFAST_E_CONFIG, "the command is empty; write a program and its arguments");
  return 0;
}

char *hf_last_line(const struct hf_buf *b) {
  size_t end = b->len;
  while (end && (b->data[end - 1] == '\n' || b->data[end - 1] == '\r')) end--;
  size_t start = end;
  while (start && b->data[start - 1] != '\n') start--;
  return hf_printable(b->data ? b->data + start : "", end - start);
}
