/* get.c - reading objects, whole or in part, and what is known of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/range.h"
#include "gcs.h"

struct getting {
  struct gcs *t;
  const char *key;
  uint64_t offset, length; /* as asked for */
  bool ranged;
  uint64_t left; /* to come, UINT64_MAX: not known */
  uint32_t sum;
  char crc32c[HFT_CRC32C_TEXT]; /* of the whole object, as the service says; "": it does not */
  holdfast_sink sink;
  void *ctx;
};

/* One "x-goog-hash: crc32c=..." or both sums in one, or in two headers of that name. */
static void find_sum(const struct hft_response *rs, char out[HFT_CRC32C_TEXT]) {
  const char *p = rs->headers.data, *end = p ? p + rs->headers.len : NULL;
  out[0] = '\0';
  while (p < end) {
    const char *value = p + strlen(p) + 1, *at = strcmp(p, "x-goog-hash") == 0 ? strstr(value, "crc32c=") : NULL;
    if (at && strcspn(at + 7, ", ") == HFT_CRC32C_TEXT - 1) snprintf(out, HFT_CRC32C_TEXT, "%.*s", HFT_CRC32C_TEXT - 1, at + 7);
    p = value + strlen(value) + 1;
  }
}

/* Look at what the server is about to send, before a byte of it is handed on. */
static int begin(void *ctx, const struct hft_response *rs) {
  struct getting *g = ctx;
  const struct holdfast_host *host = g->t->host;
  uint64_t first, last, total, size;
  const char *length = hft_response_header(rs, "content-length"), *encoding = hft_response_header(rs, "x-goog-stored-content-encoding");
  if (encoding && strcmp(encoding, "identity") != 0)
    return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s is stored with the content encoding %.40s, so what comes is not what is stored: put it there without",
                         g->key, encoding);
  if (!g->ranged) {
    if (rs->code != 200) return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: the server answers %d where a whole object was asked for", g->key, rs->code);
    g->left = hft_number(length, &size) ? size : UINT64_MAX;
    find_sum(rs, g->crc32c);
    return g->left == UINT64_MAX && !*g->crc32c && !hft_response_ends(rs) ? hft_no_end(host, g->key) : HOLDFAST_OK;
  }
  if (rs->code != 206 || !hft_content_range(hft_response_header(rs, "content-range"), &first, &last, &total) || first != g->offset)
    return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: the server does not give the part that was asked for (%d)", g->key, rs->code);
  g->left = last - first + 1;
  if (g->length != UINT64_MAX ? g->left != g->length : last + 1 != total)
    return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s is too short: it has %" PRIu64 " bytes, wanted are %" PRIu64 " from %" PRIu64, g->key, total, g->length,
                         g->offset);
  return HOLDFAST_OK;
}

static int take(void *ctx, const void *data, size_t n) {
  struct getting *g = ctx;
  if (n > g->left) return holdfast_fail(g->t->host, HOLDFAST_E_CORRUPT, "%s: the server sends more than it announced", g->key);
  if (g->left != UINT64_MAX) g->left -= n;
  if (!g->ranged) g->sum = hft_crc32c(g->sum, data, n);
  int status = g->sink(g->ctx, data, n);
  return status < 0 ? status : HOLDFAST_OK;
}

/* All has come: is it what was said? */
static int check(const struct getting *g) {
  char sum[HFT_CRC32C_TEXT];
  if (g->left != 0 && g->left != UINT64_MAX)
    return holdfast_fail(g->t->host, HOLDFAST_E_TRANSIENT, "%s: the server sends less than it announced", g->key);
  hft_crc32c_text(g->sum, sum);
  if (g->ranged || !*g->crc32c || strcmp(sum, g->crc32c) == 0) return HOLDFAST_OK;
  return holdfast_fail(g->t->host, HOLDFAST_E_CORRUPT, "%s: the bytes that came have the CRC32C %s, and the server says %s", g->key, sum, g->crc32c);
}

/* Nothing of an object; but is it there, and that long? */
static int get_nothing(struct gcs *t, const char *key, uint64_t offset) {
  struct holdfast_stat st = {.struct_size = sizeof st};
  int status = hf_gcs_stat(t, key, &st);
  if (status != HOLDFAST_OK || offset <= st.size) return status;
  return holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s is too short: it has %" PRIu64 " bytes", key, st.size);
}

int hf_gcs_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct gcs *t = handle;
  struct getting g = {
      .t = t, .key = key, .offset = offset, .length = length, .ranged = offset > 0 || length != UINT64_MAX, .left = UINT64_MAX, .sink = sink, .ctx = ctx};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  char range[64], *generation = NULL;
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  if (length == 0) return get_nothing(t, key, offset);
  int status = t->as_of ? hf_gcs_generation_as_of(t, key, &generation) : HOLDFAST_OK;
  hft_adds(&query, "alt=media");
  if (generation) hft_addf(&query, "&generation=%s", generation);
  if (length == UINT64_MAX) snprintf(range, sizeof range, "bytes=%" PRIu64 "-", offset);
  else snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, offset, length - 1 > UINT64_MAX - offset ? UINT64_MAX : offset + length - 1);
  struct gcs_call c = {.what = GCS_OBJECT, .method = "GET", .action = "storage.objects.get (or storage.objects.list, where the object is missing)", .key = key,
                       .query = hft_text(&query), .begin = begin, .sink = take, .ctx = &g};
  if (g.ranged) hf_gcs_extra(&c, "range", range);
  if (status == HOLDFAST_OK) {
    status = query.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
    if (status == HOLDFAST_OK) status = check(&g);
    else if (rs.code == 416) status = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s is too short: there is nothing at %" PRIu64, key, offset);
  }
  free(generation);
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

int hf_gcs_stat(void *handle, const char *key, struct holdfast_stat *out) {
  struct gcs *t = handle;
  struct gcs_object there;
  char *generation = NULL;
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  int status = t->as_of ? hf_gcs_generation_as_of(t, key, &generation) : HOLDFAST_OK;
  if (status == HOLDFAST_OK) status = hf_gcs_object_get(t, key, generation, &there);
  free(generation);
  if (status != HOLDFAST_OK) return status;
  out->size = there.size;
  out->flags = 0;
  snprintf(out->sha256, sizeof out->sha256, "%s", there.sha256);
  return HOLDFAST_OK;
}
