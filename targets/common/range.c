/* range.c - reading an object over HTTP, whole or in part.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "range.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *hft_range_header(const struct hft_range *r, char out[HFT_RANGE]) {
  if (r->offset == 0 && r->length == UINT64_MAX) return NULL;
  if (r->length == UINT64_MAX)
    snprintf(out, HFT_RANGE, "bytes=%" PRIu64 "-", r->offset);
  else
    snprintf(out, HFT_RANGE, "bytes=%" PRIu64 "-%" PRIu64, r->offset,
             r->length - 1 > UINT64_MAX - r->offset ? UINT64_MAX : r->offset + r->length - 1);
  return out;
}

int hft_no_end(const struct holdfast_host *host, const char *key) {
  return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "%s: the server does not say where it ends, so one that is cut off could not be told from a whole one", key);
}

int hft_range_begin(void *range, const struct hft_response *rs) {
  struct hft_range *r = range;
  uint64_t first, last, total, size;
  if (r->offset == 0 && r->length == UINT64_MAX) {
    if (rs->code != 200)
      return holdfast_fail(r->host, HOLDFAST_E_FAILED, "%s: the server answers %d where a whole object was asked for", r->key,
                           rs->code);
    r->left = hft_number(hft_response_header(rs, "content-length"), &size) ? size : UINT64_MAX;
    return r->left == UINT64_MAX && !hft_response_ends(rs) ? hft_no_end(r->host, r->key) : HOLDFAST_OK;
  }
  /* Some say 206 where there is nothing: "bytes 5-4/5". */
  const char *range_of = hft_response_header(rs, "content-range"), *slash = range_of ? strchr(range_of, '/') : NULL;
  if (rs->code == 206 && slash && hft_number(slash + 1, &total) && total <= r->offset)
    return holdfast_fail(r->host, HOLDFAST_E_CORRUPT, "%s is too short: it has %" PRIu64 " bytes", r->key, total);
  if (rs->code != 206 || !hft_content_range(range_of, &first, &last, &total) ||
      first != r->offset)
    return holdfast_fail(r->host, HOLDFAST_E_FAILED, "%s: the server does not give the part that was asked for (%d)", r->key,
                         rs->code);
  r->left = last - first + 1;
  if (r->length != UINT64_MAX ? r->left != r->length : last + 1 != total)
    return holdfast_fail(r->host, HOLDFAST_E_CORRUPT,
                         "%s is too short: it has %" PRIu64 " bytes, wanted are %" PRIu64 " from %" PRIu64, r->key, total,
                         r->length, r->offset);
  return HOLDFAST_OK;
}

int hft_range_take(void *range, const void *data, size_t n) {
  struct hft_range *r = range;
  if (n > r->left) return holdfast_fail(r->host, HOLDFAST_E_CORRUPT, "%s: the server sends more than it announced", r->key);
  if (r->left != UINT64_MAX) r->left -= n;
  int status = r->sink(r->ctx, data, n);
  return status < 0 ? status : HOLDFAST_OK;
}

int hft_range_end(const struct hft_range *r) {
  if (r->left == 0 || r->left == UINT64_MAX) return HOLDFAST_OK;
  return holdfast_fail(r->host, HOLDFAST_E_TRANSIENT, "%s: the server sends less than it announced", r->key);
}
