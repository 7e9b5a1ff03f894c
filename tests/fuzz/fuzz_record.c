/* fuzz_record.c - the record parser on arbitrary bytes. What it accepts is written and parsed again, and must come out the same.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "fuzz.h"
#include "repo/repo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct hf_error err = {0};
  struct hf_record *r = NULL, *q = NULL;
  struct hf_secret secret;
  struct hf_buf a = HF_BUF_INIT, b = HF_BUF_INIT;
  hf_secret_parse((const char *)data, size, &secret, &err);
  if (hf_record_parse((const char *)data, size, &r, &err) < 0) return 0;
  hf_record_write(r, &a);
  if (hf_record_parse(a.data, a.len, &q, &err) < 0) abort();
  hf_record_write(q, &b);
  if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) abort();
  hf_record_free(r);
  hf_record_free(q);
  hf_buf_free(&a);
  hf_buf_free(&b);
  return 0;
}
