/* put.c - storing objects in S3.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>
#include <time.h>

#include "../common/digest.h"
#include "s3.h"

#define PROOF_MAX (64u << 10) /* an object this small is sent twice once, to see whether the service keeps its word */

struct headers {
  char base64[HFT_BASE64], md5[HFT_BASE64], until[HFT_TIME];
};

static int add_headers(struct s3 *t, const struct holdfast_object *o, struct s3_call *c, struct headers *h) {
  hf_s3_extra(c, "x-amz-meta-sha256", o->sha256);
  if (!hft_hex_base64(o->sha256, h->base64)) return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s: a SHA-256 of 64 digits is wanted", o->key);
  if (t->checksum) hf_s3_extra(c, "x-amz-checksum-sha256", h->base64);
  if (t->storage_class && hft_key_is_pack(o->key) && o->size >= (uint64_t)t->storage_min) hf_s3_extra(c, "x-amz-storage-class", t->storage_class);
  if (t->sse) hf_s3_extra(c, "x-amz-server-side-encryption", t->sse);
  if (t->kms_key) hf_s3_extra(c, "x-amz-server-side-encryption-aws-kms-key-id", t->kms_key);
  if (t->lock_mode) {
    hft_time_format(h->until, (int64_t)time(NULL) + t->retain);
    hf_s3_extra(c, "x-amz-object-lock-mode", t->lock_mode);
    hf_s3_extra(c, "x-amz-object-lock-retain-until-date", h->until);
    /* Amazon wants one of the two checksums with a lock, others know only this one. */
    if (!hft_md5_base64(o->data, (size_t)o->size, h->md5))
      return holdfast_fail(t->host, HOLDFAST_E_FAILED, "MD5, which object-lock needs, is not available on this host");
    hf_s3_extra(c, "content-md5", h->md5);
  }
  return HOLDFAST_OK;
}

/* What the server says it has stored. */
static int check_answer(const struct s3 *t, const struct holdfast_object *o, const struct headers *h, const struct hft_response *rs) {
  const char *sum = hft_response_header(rs, "x-amz-checksum-sha256");
  if (sum && strlen(sum) == strlen(h->base64) && strcmp(sum, h->base64) != 0)
    return holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "the server stored other bytes than were sent: their SHA-256 is %s in base64, not %s", sum, h->base64);
  (void)o;
  return HOLDFAST_OK;
}

/* A service that does not know If-None-Match may ignore it, and then nothing protects a record from being replaced. So the first object that
 * is created is created twice: the second time must be refused. */
static int prove(struct s3 *t, const struct s3_call *c, const struct holdfast_object *o) {
  struct hft_response rs = {0};
  if (atomic_load(&t->proven) || o->size > PROOF_MAX) return HOLDFAST_OK;
  int status = hf_s3_call(t, c, &rs);
  hft_response_free(&rs);
  if (status == HOLDFAST_E_EXISTS) atomic_store(&t->proven, true);
  /* Any other failure proves nothing either way; the object is stored. */
  if (status != HOLDFAST_OK) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "bucket %s: the service ignores If-None-Match, so a key could be written twice: set create-only = no",
                       t->bucket);
}

int hf_s3_put(void *handle, const struct holdfast_object *o) {
  struct s3 *t = handle;
  struct s3_call c = {.method = "PUT", .action = "s3:PutObject", .key = o->key, .body = o->data, .size = o->size, .sha256 = o->sha256};
  struct hft_response rs = {0};
  struct headers h = {"", "", ""};
  bool create = o->flags & HOLDFAST_PUT_CREATE;
  if (!hft_key_ok(o->key)) return hft_bad_key(t->host, o->key);
  if (t->as_of) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be stored while as-of is set");
  if (create && !t->create_only) {
    struct holdfast_stat st = {.struct_size = sizeof st};
    int there = hf_s3_stat(t, o->key, &st);
    if (there == HOLDFAST_OK) return holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s is there already", o->key);
    if (there != HOLDFAST_E_NOT_FOUND) return there;
  }
  if (create && t->create_only) hf_s3_extra(&c, "if-none-match", "*");
  int status = add_headers(t, o, &c, &h);
  if (status != HOLDFAST_OK) return status;
  status = hf_s3_call(t, &c, &rs);
  if (status == HOLDFAST_OK) status = check_answer(t, o, &h, &rs);
  else if (status == HOLDFAST_E_UNSUPPORTED && create && t->create_only)
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "bucket %s: the service does not do conditional writes: set create-only = no", t->bucket);
  hft_response_free(&rs);
  if (status == HOLDFAST_OK && create && t->create_only) status = prove(t, &c, o);
  return status;
}
