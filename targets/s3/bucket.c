/* bucket.c - the bucket itself: is it there, where, and can it do what the settings want of it?
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

/* The code of a refusal; "" for none. */
static void code_of(const struct hft_response *rs, struct s3_error *e) { hf_s3_error_read(hft_text(&rs->body), rs->body.len, e); }

/* The region the server names, if it is not ours; NULL: none. */
static const char *other_region(const struct s3 *t, const struct hft_response *rs, const struct s3_error *e) {
  const char *region = hft_response_header(rs, "x-amz-bucket-region");
  if (!region || !*region) region = *e->region ? e->region : NULL;
  if (!region || strcmp(region, t->region) == 0 || (rs->code / 100 != 3 && rs->code != 400)) return NULL;
  size_t n = strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
  return n < 64 && region[n] == '\0' ? region : NULL;
}

static int adopt_region(struct s3 *t, const char *region) {
  char *copy = strdup(region), message[300];
  if (!copy) return hft_no_memory(t->host);
  snprintf(message, sizeof message, "the bucket %.63s is in the region %s: set region = %s to spare a request", t->bucket, region, region);
  t->host->log(t->host->ctx, HOLDFAST_LOG_NOTICE, message);
  free(t->region);
  t->region = copy;
  t->region_known = true;
  return hf_s3_address(t);
}

static int make_bucket(struct s3 *t) {
  struct s3_call c = {.method = "PUT", .action = "s3:CreateBucket"};
  struct hft_response rs = {0};
  struct s3_error e;
  char body[256];
  /* Amazon wants to be told; for others the endpoint says it. */
  if (!t->endpoint && strcmp(t->region, "us-east-1") != 0) {
    c.size = (uint64_t)snprintf(body, sizeof body,
                                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>%s</LocationConstraint>"
                                "</CreateBucketConfiguration>",
                                t->region);
    c.body = body;
  }
  if (t->lock_mode) hf_s3_extra(&c, "x-amz-bucket-object-lock-enabled", "true");
  int status = hf_s3_call(t, &c, &rs);
  code_of(&rs, &e);
  if (status != HOLDFAST_OK && strcmp(e.code, "BucketAlreadyOwnedByYou") == 0) status = HOLDFAST_OK;
  else if (status != HOLDFAST_OK && strcmp(e.code, "BucketAlreadyExists") == 0)
    status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "the bucket %s belongs to somebody else: choose another name", t->bucket);
  hft_response_free(&rs);
  return status;
}

/* With object-lock, the bucket must have been made for it. Who may not ask finds out at the first put. */
static int check_lock(struct s3 *t) {
  const struct s3_call c = {.method = "GET", .action = "s3:GetBucketObjectLockConfiguration", .query = "object-lock"};
  struct hft_response rs = {0};
  if (!t->lock_mode) return HOLDFAST_OK;
  int status = hf_s3_call(t, &c, &rs);
  bool without = status != HOLDFAST_OK && rs.code != 0 && rs.code != 403 && status != HOLDFAST_E_TRANSIENT;
  if (status == HOLDFAST_E_AUTH && rs.code == 403) status = HOLDFAST_OK;
  hft_response_free(&rs);
  if (without)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "the bucket %s has no object lock, which it can only be given when it is made: use another bucket, or object-lock = none", t->bucket);
  return status;
}

int hf_s3_bucket_check(struct s3 *t, bool create) {
  /* A listing, and no HEAD: its refusal has a body that says why. */
  const struct s3_call c = {.method = "GET", .action = "s3:ListBucket", .query = "list-type=2&max-keys=1", .max_body = S3_PAGE_MAX};
  struct hft_response rs = {0};
  struct s3_error e;
  int status;
  for (;;) {
    status = hf_s3_call(t, &c, &rs);
    code_of(&rs, &e);
    const char *region = status == HOLDFAST_OK ? NULL : other_region(t, &rs, &e);
    if (!region || t->region_known) break;
    status = adopt_region(t, region);
    if (status != HOLDFAST_OK) break;
  }
  /* Whose policy allows a listing below a prefix only is known to the server: enough for now. */
  bool limited = status == HOLDFAST_E_AUTH && strcmp(e.code, "AccessDenied") == 0;
  bool missing = status == HOLDFAST_E_NOT_FOUND;
  hft_response_free(&rs);
  if (limited) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, "s3:ListBucket is not permitted for the whole bucket; going on");
    status = HOLDFAST_OK;
  } else if (missing && create) {
    status = make_bucket(t);
  } else if (missing) {
    status = holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "there is no bucket %s at %s: either the name is wrong, or holdfast init has not been run", t->bucket,
                           t->name);
  }
  return status == HOLDFAST_OK ? check_lock(t) : status;
}
