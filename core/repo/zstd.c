/* zstd.c - small texts, compressed with a content checksum, and back within bounds.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <zstd.h>

#include "repo/crypto.h"

static void free_cctx(ZSTD_CCtx **c) { ZSTD_freeCCtx(*c); }

static void free_dctx(ZSTD_DCtx **d) { ZSTD_freeDCtx(*d); }

int hf_zstd_compress(const void *p, size_t n, int level, struct hf_buf *out, struct hf_error *err) {
  HF_CLEANUP(free_cctx) ZSTD_CCtx *c = ZSTD_createCCtx();
  size_t bound = ZSTD_compressBound(n);
  if (!c) return hf_fail(err, HOLDFAST_E_FAILED, "zstd: out of memory");
  ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
  hf_buf_reserve(out, bound);
  size_t r = ZSTD_compress2(c, out->data + out->len, bound, p, n);
  if (ZSTD_isError(r)) return hf_fail(err, HOLDFAST_E_FAILED, "zstd: %s", ZSTD_getErrorName(r));
  out->len += r;
  out->data[out->len] = '\0';
  return 0;
}

/* Everything at once, without a window of its own and a copy out of it: for frames that say how much they hold, and tell the truth. */
static bool decompress_whole(ZSTD_DCtx *d, const void *p, size_t n, size_t max, struct hf_buf *out) {
  unsigned long long says = ZSTD_getFrameContentSize(p, n);
  if (says > max) return false; /* so are "unknown" and "no frame" */
  hf_buf_reserve(out, (size_t)says + 1);
  size_t r = ZSTD_decompressDCtx(d, out->data + out->len, (size_t)says, p, n);
  if (ZSTD_isError(r)) return false;
  out->len += r;
  out->data[out->len] = '\0';
  return true;
}

/* Streaming, because a frame need not say how much it holds, and what it says may be a lie. */
int hf_zstd_decompress(const void *p, size_t n, size_t max, struct hf_buf *out, struct hf_error *err) {
  HF_CLEANUP(free_dctx) ZSTD_DCtx *d = ZSTD_createDCtx();
  ZSTD_inBuffer in = {p, n, 0};
  const size_t before = out->len;
  size_t left = 1; /* 0: a frame is whole */
  bool full = false;
  if (!d) return hf_fail(err, HOLDFAST_E_FAILED, "zstd: out of memory");
  if (decompress_whole(d, p, n, max, out)) return 0;
  size_t step = HF_MIN((size_t)1 << 20, max + 1);
  while (in.pos < in.size || full) {
    hf_buf_reserve(out, step);
    /* One byte more than allowed is asked for, so that too much shows. */
    ZSTD_outBuffer o = {out->data + out->len, HF_MIN(step, max + 1 - (out->len - before)), 0};
    size_t r = ZSTD_decompressStream(d, &o, &in);
    out->len += o.pos;
    if (ZSTD_isError(r)) {
      out->len = before;
      return hf_fail(err, HOLDFAST_E_CORRUPT, "zstd: %s", ZSTD_getErrorName(r));
    }
    if (out->len - before > max) {
      out->len = before;
      return hf_fail(err, HOLDFAST_E_CORRUPT, "zstd: more than the %zu bytes there should be", max);
    }
    left = r;
    full = o.pos == o.size && r != 0; /* output was the limit: there may be more without further input */
    step = HF_MAX(step, (size_t)1 << 16);
  }
  if (n == 0 || left != 0) {
    out->len = before;
    return hf_fail(err, HOLDFAST_E_CORRUPT, "zstd: the data is cut off");
  }
  hf_buf_reserve(out, 0);
  out->data[out->len] = '\0';
  return 0;
}
