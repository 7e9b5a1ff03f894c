/* fuzz_s3.c - fuzz target: what an S3 service and its surroundings answer: listings, errors, keys as JSON, shared files, headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says which reader gets the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "../../targets/s3/s3.h"
#include "fuzz.h"

static void must(bool ok) {
  if (!ok) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (n == 0) return 0;
  const char *p = (const char *)data + 1;
  char kind = (char)data[0], why[200] = "";
  char *text = strndup(p, --n);
  must(text != NULL);
  if (kind == 'l') {
    struct s3_page page;
    int bad = hf_s3_page_read(p, n, &page, why, sizeof why);
    must(bad ? *why != '\0' : !page.truncated || page.next);
    for (size_t i = 0; i < page.n; i++) must(page.v[i].key != NULL);
    hf_s3_page_free(&page);
  } else if (kind == 'e') {
    struct s3_error e;
    const char *hint;
    hf_s3_error_read(p, n, &e);
    must(hf_s3_class(500, e.code, &hint) < 0);
  } else if (kind == 'j') {
    struct s3_key key;
    const char *reason;
    if (hf_s3_key_json(p, n, &key, &reason)) must(key.access && key.secret), hf_s3_key_free(&key);
  } else if (kind == 'p') {
    struct s3_profile profile = {0};
    hf_s3_profile_read(text, "default", false, &profile);
    hf_s3_profile_read(text, "x", true, &profile);
    hf_s3_profile_free(&profile);
  } else {
    uint64_t first, last, total;
    int64_t t;
    char shown[40];
    if (hft_content_range(text, &first, &last, &total)) must(first <= last && last < total);
    if (hft_time_parse(text, &t)) hft_time_format(shown, t);
    (void)hft_time_http(text, &t);
    hft_printable(shown, sizeof shown, text);
    for (char *c = shown; *c; c++) must((unsigned char)*c >= ' ' && *c != 0x7f);
    struct hft_buf b = {0};
    hft_encode(&b, text, false);
    if (b.data) must(hft_decode(b.data) && strcmp(b.data, text) == 0);
    hft_buf_free(&b);
    (void)hft_decode(text);
  }
  free(text);
  return 0;
}
