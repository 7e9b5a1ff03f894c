/* pack_read.c - from a stored pack back to its chunks. Everything here comes from outside.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zstd.h>

#include "base/text.h"
#include "repo/pack_internal.h"

int hf_pack_unseal(struct hf_gpg *g, struct hf_buf *stored, uint64_t raw_size, struct hf_buf *plain, struct hf_buf *raw, struct hf_error *err) {
  hf_buf_clear(raw);
  if (raw_size > HF_PACK_READ_MAX)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "a pack of %llu bytes is larger than any pack may be", (unsigned long long)raw_size);
  size_t bound = ZSTD_compressBound((size_t)raw_size);
  int r = hf_gpg_decrypt(g, stored, bound + bound / 8 + 4096, plain, err); /* an eighth: padding */
  if (r < 0) return r;
  r = hf_zstd_decompress(plain->data, plain->len, (size_t)raw_size, raw, err);
  if (r == 0 && raw->len != raw_size)
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "the pack holds %zu bytes where the index says %llu", raw->len, (unsigned long long)raw_size);
  if (r < 0) hf_buf_clear(raw);
  return r;
}

int hf_pack_chunk(const struct hf_buf *raw, const struct hf_chunk_ref *ref, struct hf_hmac *hmac, const void **data,
                  struct hf_error *err) {
  char hex[HF_SHA256_HEX];
  struct hf_digest d;
  if (ref->offset < HF_TAR_BLOCK || ref->offset > raw->len || ref->length > raw->len - ref->offset)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "a chunk lies outside its pack");
  const char *p = raw->data + ref->offset;
  hf_digest_hex(&ref->id, hex);
  if (memcmp(p - HF_TAR_BLOCK, hex, sizeof hex) != 0) /* the NUL too */
    return hf_fail(err, HOLDFAST_E_CORRUPT, "the pack holds something else where chunk %.12s should be", hex);
  if (hmac) {
    hf_hmac(hmac, p, ref->length, &d);
    if (!hf_digest_eq(&d, &ref->id))
      return hf_fail(err, HOLDFAST_E_CORRUPT, "chunk %.12s holds other bytes than its name says", hex);
  }
  *data = p;
  return 0;
}
