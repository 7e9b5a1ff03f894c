/* get.c - reading objects from S3, whole or in part, and what is known of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/digest.h"
#include "../common/range.h"
#include "s3.h"

/* Nothing of an object; but is it there, and that long? */
static int get_nothing(struct s3 *t, const char *key, uint64_t offset) {
  struct holdfast_stat st = {.struct_size = sizeof st};
  int status = hf_s3_stat(t, key, &st);
  if (status != HOLDFAST_OK || offset <= st.size) return status;
  return holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s is too short: it has %" PRIu64 " bytes", key, st.size);
}

/* "versionId=..." when the settings ask for the past; NULL when not. */
static int version_query(struct s3 *t, const char *key, struct hft_buf *out) {
  char *version = NULL;
  if (!t->as_of) return HOLDFAST_OK;
  int status = hf_s3_version_as_of(t, key, &version);
  if (status == HOLDFAST_OK) hft_addf(out, "versionId=%s", version);
  free(version);
  return status == HOLDFAST_OK && out->bad ? hft_no_memory(t->host) : status;
}

static bool in_archive(const struct hft_response *rs) {
  struct s3_error e;
  hf_s3_error_read(hft_text(&rs->body), rs->body.len, &e);
  return strcmp(e.code, "InvalidObjectState") == 0;
}

int hf_s3_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct s3 *t = handle;
  struct hft_range g = {.host = t->host, .key = key, .offset = offset, .length = length, .sink = sink, .ctx = ctx};
  struct s3_call c = {.method = "GET", .action = "s3:GetObject", .key = key, .begin = hft_range_begin, .sink = hft_range_take, .ctx = &g};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  char range[HFT_RANGE];
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  if (length == 0) return get_nothing(t, key, offset);
  hf_s3_extra(&c, "range", hft_range_header(&g, range));
  int status = version_query(t, key, &query);
  if (status == HOLDFAST_OK) {
    c.query = hft_text(&query);
    status = hf_s3_call(t, &c, &rs);
    if (status == HOLDFAST_OK) status = hft_range_end(&g);
    else if (rs.code == 416)
      status = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s is too short: there is nothing at %" PRIu64, key, offset);
    else if (rs.code == 403 && in_archive(&rs))
      status = hf_s3_thaw(t, key);
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

int hf_s3_stat(void *handle, const char *key, struct holdfast_stat *out) {
  struct s3 *t = handle;
  struct s3_call c = {.method = "HEAD", .action = "s3:GetObject (or s3:ListBucket, where the object is missing)", .key = key};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  char sum[HFT_HEX] = "";
  uint64_t size;
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  if (t->checksum) hf_s3_extra(&c, "x-amz-checksum-mode", "ENABLED");
  int status = version_query(t, key, &query);
  if (status == HOLDFAST_OK) {
    c.query = hft_text(&query);
    status = hf_s3_call(t, &c, &rs);
  }
  if (status == HOLDFAST_OK) {
    const char *said = hft_response_header(&rs, "x-amz-meta-sha256"), *computed = hft_response_header(&rs, "x-amz-checksum-sha256");
    bool known = said && strspn(said, "0123456789abcdef") == 64 && !said[64], checked = computed && hft_base64_hex(computed, sum);
    if (!hft_number(hft_response_header(&rs, "content-length"), &size))
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s: the server does not tell its size", key);
    else if (known && checked && strcmp(said, sum) != 0)
      status = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s: the server computed the SHA-256 %s, and was told %s when it was stored", key, sum, said);
    else {
      out->size = size;
      out->flags = 0;
      snprintf(out->sha256, sizeof out->sha256, "%s", checked ? sum : known ? said : "");
    }
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}
