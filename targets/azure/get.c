/* get.c - reading objects, whole or in part, and what is known of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../common/range.h"
#include "azure.h"

/* Nothing of an object; but is it there, and that long? */
static int get_nothing(struct azure *t, const char *key, uint64_t offset) {
  struct holdfast_stat st = {.struct_size = sizeof st};
  int status = hf_azure_stat(t, key, &st);
  if (status != HOLDFAST_OK || offset <= st.size) return status;
  return holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s is too short: it has %" PRIu64 " bytes", key, st.size);
}

int hf_azure_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct azure *t = handle;
  struct hft_range g = {.host = t->host, .key = key, .offset = offset, .length = length, .sink = sink, .ctx = ctx};
  struct azure_call c = {.method = "GET",
                         .action = "containers/blobs/read",
                         .permission = 'r',
                         .key = key,
                         .begin = hft_range_begin,
                         .sink = hft_range_take,
                         .ctx = &g};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  char range[HFT_RANGE];
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  if (length == 0) return get_nothing(t, key, offset);
  hf_azure_extra(&c, "x-ms-range", hft_range_header(&g, range));
  hf_azure_extra_key(t, &c);
  int status = hf_azure_version_query(t, key, &query);
  if (status == HOLDFAST_OK) {
    c.query = hft_text(&query);
    status = hf_azure_call(t, &c, &rs);
    if (status == HOLDFAST_OK)
      status = hft_range_end(&g);
    else if (rs.code == 416)
      status = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s is too short: there is nothing at %" PRIu64, key, offset);
    else if (rs.code == 409 && (hf_azure_says(&rs, "BlobArchived") || hf_azure_says(&rs, "BlobBeingRehydrated")))
      status = hf_azure_thaw_one(t, key);
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

int hf_azure_stat(void *handle, const char *key, struct holdfast_stat *out) {
  struct azure *t = handle;
  struct azure_call c = {.method = "HEAD", .action = "containers/blobs/read", .permission = 'r', .key = key};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  uint64_t size;
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  hf_azure_extra_key(t, &c);
  int status = hf_azure_version_query(t, key, &query);
  if (status == HOLDFAST_OK) {
    c.query = hft_text(&query);
    status = hf_azure_call(t, &c, &rs);
  }
  if (status == HOLDFAST_OK) {
    const char *said = hft_response_header(&rs, "x-ms-meta-sha256");
    bool known = said && strspn(said, "0123456789abcdef") == 64 && !said[64];
    if (hft_number(hft_response_header(&rs, "content-length"), &size)) {
      out->size = size;
      out->flags = 0;
      snprintf(out->sha256, sizeof out->sha256, "%s", known ? said : "");
    } else {
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s: the server does not tell its size", key);
    }
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}
