/* put.c - storing objects as block blobs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>
#include <time.h>

#include "azure.h"

/* Texts that headers of a blob point to. */
struct headers {
  struct azure_sum sum; /* of the whole object */
  char until[HFT_TIME];
};

int hf_azure_sum(const struct azure *t, const void *p, size_t n, struct azure_sum *out) {
  *out = (struct azure_sum){"", ""};
  if (t->checksum == AZURE_CRC64)
    hf_azure_crc64(p, n, out->crc64);
  else if (!hft_md5_base64(p, n, out->md5))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "MD5 is not available on this host: set checksum = crc64");
  return HOLDFAST_OK;
}

void hf_azure_extra_sum(struct azure_call *c, const struct azure_sum *sum) {
  /* The service takes one of them, and not both. */
  hf_azure_extra(c, "Content-MD5", *sum->md5 ? sum->md5 : NULL);
  hf_azure_extra(c, "x-ms-content-crc64", *sum->crc64 ? sum->crc64 : NULL);
}

int hf_azure_sum_check(const struct azure *t, const char *key, const struct azure_sum *sum, const struct hft_response *rs) {
  const char *md5 = hft_response_header(rs, "content-md5"), *crc64 = hft_response_header(rs, "x-ms-content-crc64");
  char shown[HFT_BASE64];
  const char *other = *sum->md5 && md5 && strcmp(md5, sum->md5) != 0           ? md5
                      : *sum->crc64 && crc64 && strcmp(crc64, sum->crc64) != 0 ? crc64
                                                                               : NULL;
  if (!other) return HOLDFAST_OK;
  hft_printable(shown, sizeof shown, other);
  return holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s: the server stored other bytes than were sent: their %s is %s, not %s",
                       key, *sum->md5 ? "MD5" : "CRC-64", shown, *sum->md5 ? sum->md5 : sum->crc64);
}

/* What the blob is to have, however it is sent. */
static void add_headers(const struct azure *t, const struct holdfast_object *o, struct azure_call *c, struct headers *h) {
  hf_azure_extra(c, "x-ms-meta-sha256", o->sha256);
  if (o->flags & HOLDFAST_PUT_CREATE) hf_azure_extra(c, "If-None-Match", "*");
  if (hft_key_is_pack(o->key) && o->size >= (uint64_t)t->tier_min) hf_azure_extra(c, "x-ms-access-tier", t->tier);
  hf_azure_extra_key(t, c);
  hf_azure_extra(c, "x-ms-encryption-scope", t->scope);
  if (hf_azure_retained(t, o->key)) {
    hft_time_http_format(h->until, (int64_t)time(NULL) + t->retain);
    hf_azure_extra(c, "x-ms-immutability-policy-until-date", h->until);
    hf_azure_extra(c, "x-ms-immutability-policy-mode", t->immutability);
  }
}

/* In one request. */
static int put_whole(struct azure *t, const struct holdfast_object *o, struct azure_call *c, const struct headers *h,
                     struct hft_response *rs) {
  hf_azure_extra(c, "x-ms-blob-type", "BlockBlob");
  hf_azure_extra(c, "Content-Type", "application/octet-stream");
  hf_azure_extra_sum(c, &h->sum);
  c->body = o->data;
  c->size = o->size;
  int status = hf_azure_call(t, c, rs);
  return status == HOLDFAST_OK ? hf_azure_sum_check(t, o->key, &h->sum, rs) : status;
}

/* Does the refusal say that what is there may not be replaced, or that we may not replace anything? */
static bool kept(const struct hft_response *rs) {
  static const char *const codes[] = {"UnauthorizedBlobOverwrite",
                                      "AuthorizationPermissionMismatch",
                                      "BlobImmutableDueToPolicy",
                                      "BlobImmutableDueToLegalHold",
                                      "LeaseIdMissing",
                                      "BlobArchived",
                                      "BlobBeingRehydrated"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (hf_azure_says(rs, codes[i])) return true;
  return false;
}

/* If something is there, the key is taken, or else the same is good enough. rs: the refusal, which stands if nothing is there. */
static int put_refused(struct azure *t, const struct holdfast_object *o, const struct azure_call *c,
                       const struct hft_response *rs) {
  struct holdfast_stat st = {.struct_size = sizeof st};
  int status = hf_azure_stat(t, o->key, &st);
  if (status == HOLDFAST_E_TRANSIENT || status == HOLDFAST_E_CANCELED) return status;
  if (status != HOLDFAST_OK) return hf_azure_refused(t, c, rs);
  if (o->flags & HOLDFAST_PUT_CREATE) return holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s is there already", o->key);
  if (st.size == o->size) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_AUTH, "%s is there with another size, and may not be replaced", o->key);
}

int hf_azure_put(void *handle, const struct holdfast_object *o) {
  struct azure *t = handle;
  struct azure_call c = {.method = "PUT", .action = "containers/blobs/write", .permission = 'w', .key = o->key};
  struct hft_response rs = {0};
  struct headers h = {.until = ""};
  bool create = o->flags & HOLDFAST_PUT_CREATE;
  if (!hft_key_ok(o->key)) return hft_bad_key(t->host, o->key);
  if (t->as_of) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be stored while as-of is set");
  if (strlen(o->sha256) != HFT_HEX - 1)
    return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s: a SHA-256 of 64 digits is wanted", o->key);
  int status = hf_azure_sum(t, o->data, (size_t)o->size, &h.sum);
  if (status != HOLDFAST_OK) return status;
  add_headers(t, o, &c, &h);
  if (o->size > t->put_max) {
    hf_azure_extra(&c, "x-ms-blob-content-md5", *h.sum.md5 ? h.sum.md5 : NULL);
    hf_azure_extra(&c, "x-ms-blob-content-type", "application/octet-stream");
    status = hf_azure_put_blocks(t, o, &c, &rs);
  } else {
    status = put_whole(t, o, &c, &h, &rs);
  }
  bool sent = rs.code / 100 == 2;
  if ((status == HOLDFAST_E_AUTH || status == HOLDFAST_E_FAILED) && kept(&rs)) status = put_refused(t, o, &c, &rs);
  hft_response_free(&rs);
  if (sent && status == HOLDFAST_OK && hf_azure_retained(t, o->key)) return hf_azure_retain_prove(t, o->key);
  if (create && status == HOLDFAST_E_TRANSIENT) hf_azure_lost_add(t, o);
  return create && status == HOLDFAST_E_EXISTS ? hf_azure_lost_own(t, o) : status;
}
