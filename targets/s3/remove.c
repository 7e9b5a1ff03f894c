/* remove.c - deleting objects from S3, many in one request.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "../common/digest.h"
#include "../common/xml.h"
#include "s3.h"

#define BATCH 1000 /* the service's bound */

static int remove_one(struct s3 *t, const char *key) {
  const struct s3_call c = {.method = "DELETE", .action = "s3:DeleteObject", .key = key};
  struct hft_response rs = {0};
  struct s3_error e = {0};
  int status = hf_s3_call(t, &c, &rs);
  if (status == HOLDFAST_E_NOT_FOUND) hf_s3_error_read(hft_text(&rs.body), rs.body.len, &e);
  /* Most services call it a success that there was nothing. A bucket that is missing is another matter. */
  if (status == HOLDFAST_E_NOT_FOUND && strcmp(e.code, "NoSuchBucket") != 0) status = HOLDFAST_OK;
  hft_response_free(&rs);
  return status;
}

struct answers {
  struct s3 *t;
  const char *const *keys;
  int *statuses;
  size_t n, at; /* at: where the next answer is looked for first, as they mostly come in order */
  char key[HFT_KEY_MAX + 1], code[64], message[200];
};

static void answer(struct answers *a, int status) {
  for (size_t i = 0; i < a->n; i++) {
    size_t k = (a->at + i) % a->n;
    if (strcmp(a->keys[k], a->key) != 0) continue;
    a->statuses[k] = status;
    a->at = k + 1;
    break;
  }
  a->key[0] = a->code[0] = a->message[0] = '\0';
}

static int result_leaf(void *ctx, const char *path, char *text) {
  struct answers *a = ctx;
  const char *leaf = strrchr(path, '/') + 1;
  if (strcmp(leaf, "Key") == 0) snprintf(a->key, sizeof a->key, "%s", text);
  if (strcmp(leaf, "Code") == 0) hft_printable(a->code, sizeof a->code, text);
  if (strcmp(leaf, "Message") == 0) hft_printable(a->message, sizeof a->message, text);
  if (strcmp(path, "/DeleteResult/Deleted") == 0) answer(a, HOLDFAST_OK);
  if (strcmp(path, "/DeleteResult/Error") == 0) {
    const char *hint;
    int status = hf_s3_class(200, a->code, &hint);
    status = strcmp(a->code, "NoSuchKey") == 0 ? HOLDFAST_OK : status;
    if (status != HOLDFAST_OK)
      holdfast_fail(a->t->host, status, "bucket %s: %s: %s%s%s (%s)", a->t->bucket, a->key, hint ? hint : "s3:DeleteObject is not permitted",
                    *a->message ? ": " : "", a->message, a->code);
    answer(a, status);
  }
  return 0;
}

/* At most BATCH of them. *unsupported: the service has no such request. */
static int remove_batch(struct s3 *t, const char *const *keys, size_t n, int *statuses, bool *unsupported) {
  struct hft_buf body = {0};
  struct hft_response rs = {0};
  struct answers a = {.t = t, .keys = keys, .statuses = statuses, .n = n};
  char md5[HFT_BASE64], sha256[HFT_HEX], base64[HFT_BASE64], why[HFT_XML_WHY];
  hft_adds(&body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
  for (size_t i = 0; i < n; i++) hft_addf(&body, "<Object><Key>%s</Key></Object>", keys[i]); /* no character of a key needs escaping */
  hft_adds(&body, "</Delete>");
  struct s3_call c = {
      .method = "POST", .action = "s3:DeleteObject", .query = "delete", .body = body.data, .size = body.len, .sha256 = sha256, .max_body = S3_PAGE_MAX};
  int status = body.bad || !hft_sha256_hex(body.data, body.len, sha256) || !hft_hex_base64(sha256, base64) ? hft_no_memory(t->host) : HOLDFAST_OK;
  /* A checksum is obligatory; the older one is what all services know. */
  if (status == HOLDFAST_OK && hft_md5_base64(body.data, body.len, md5)) hf_s3_extra(&c, "content-md5", md5);
  else hf_s3_extra(&c, "x-amz-checksum-sha256", base64);
  hf_s3_extra(&c, "content-type", "application/xml");
  for (size_t i = 0; i < n; i++) statuses[i] = HOLDFAST_E_FAILED;
  if (status == HOLDFAST_OK) status = hf_s3_call(t, &c, &rs);
  *unsupported = rs.code == 405 || rs.code == 501 || status == HOLDFAST_E_UNSUPPORTED;
  if (status != HOLDFAST_OK) {
    for (size_t i = 0; i < n; i++) statuses[i] = status;
  } else if (hft_xml_read(hft_text(&rs.body), rs.body.len, result_leaf, &a, why) != 0) {
    status = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "bucket %s: the answer to a deletion cannot be used: %s", t->bucket, why);
    for (size_t i = 0; i < n; i++) statuses[i] = status;
  }
  hft_response_free(&rs);
  hft_buf_free(&body);
  return status;
}

/* Whose status is bad, and is that not yet said? */
static int first_bad(const struct s3 *t, const char *const *keys, size_t n, const int *statuses) {
  for (size_t i = 0; i < n; i++) {
    if (statuses[i] == HOLDFAST_E_FAILED)
      return holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the server does not say that %s is deleted", t->bucket, keys[i]);
    if (statuses[i] != HOLDFAST_OK) return statuses[i];
  }
  return HOLDFAST_OK;
}

int hf_s3_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct s3 *t = handle;
  bool single = n == 1;
  int bad = HOLDFAST_OK;
  if (n > 0 && t->as_of) {
    for (size_t i = 0; i < n; i++) statuses[i] = HOLDFAST_E_CONFIG;
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be deleted while as-of is set");
  }
  for (size_t i = 0; i < n; i++)
    if (!hft_key_ok(keys[i])) {
      for (size_t k = 0; k < n; k++) statuses[k] = HOLDFAST_E_FAILED;
      return hft_bad_key(t->host, keys[i]);
    }
  for (size_t at = 0; at < n;) {
    size_t some = n - at < BATCH ? n - at : BATCH;
    int status = HOLDFAST_OK;
    if (!single) status = remove_batch(t, keys + at, some, statuses + at, &single);
    if (single) {
      for (size_t i = at; i < at + some; i++) {
        statuses[i] = remove_one(t, keys[i]);
        if (bad == HOLDFAST_OK) bad = statuses[i];
      }
    } else if (bad == HOLDFAST_OK) {
      bad = status != HOLDFAST_OK ? status : first_bad(t, keys + at, some, statuses + at);
    }
    at += some;
  }
  return bad;
}
