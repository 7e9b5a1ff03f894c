/* fuzz_text.c - fuzz target: the text forms of base/ (escapes, sizes, durations, times, paths, hex).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"
#include "base/text.h"
#include "fuzz.h"

/* What must hold whatever comes in; a trap is what fuzzers look for. */
static void must(bool ok) {
  if (!ok) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct hf_buf raw = HF_BUF_INIT, esc = HF_BUF_INIT, back = HF_BUF_INIT;
  struct hf_error err;
  const char *p = (const char *)data;

  /* Any bytes survive being escaped, and the escaped form is one word. */
  hf_escape(&esc, p, n);
  for (size_t i = 0; i < esc.len; i++) must((unsigned char)esc.data[i] > 0x20 && esc.data[i] != 0x7f);
  must(hf_unescape(&back, esc.data, esc.len, &err) == 0 && back.len == n && (n == 0 || memcmp(back.data, p, n) == 0));
  /* What is taken as an escaped form means the same when written again. */
  if (hf_unescape(&raw, p, n, &err) == 0) {
    hf_buf_clear(&esc);
    hf_buf_clear(&back);
    hf_escape(&esc, raw.data, raw.len);
    must(hf_unescape(&back, esc.data, esc.len, &err) == 0 && back.len == raw.len && memcmp(back.data, raw.data, raw.len) == 0);
  }

  HF_CLEANUP(hf_freep) char *shown = hf_printable(p, n);
  for (const char *c = shown; *c; c++) must((unsigned char)*c >= 0x20 && *c != 0x7f);
  if (hf_path_is_safe(p, n)) must(n > 0 && p[0] != '/' && p[n - 1] != '/');
  size_t half = n / 2;
  int order = hf_path_cmp(p, half, p + half, n - half);
  must(order == -hf_path_cmp(p + half, n - half, p, half) && hf_path_cmp(p, n, p, n) == 0);

  HF_CLEANUP(hf_freep) char *s = hf_strndup(n ? p : "", n);
  uint64_t u;
  int64_t t;
  bool b;
  unsigned char bytes[4];
  char text[24];
  if (hf_parse_size(s, &u, &err) == 0) hf_format_size(text, u);
  if (hf_parse_uint(s, 1000, &u, &err) == 0) must(u <= 1000);
  if (hf_parse_duration(s, &t, &err) == 0) must(t >= 0), hf_format_duration(text, (double)t);
  if (hf_parse_time(s, &t, &err) == 0) hf_format_time(text, t);
  (void)hf_parse_bool(s, &b, &err);
  (void)hf_unhex(bytes, s, sizeof bytes);

  hf_buf_free(&raw);
  hf_buf_free(&esc);
  hf_buf_free(&back);
  return 0;
}
