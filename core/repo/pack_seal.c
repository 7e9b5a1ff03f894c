/* pack_seal.c - from a filled pack to the object that is stored: compress, check, pad, encrypt, digest.
 *
 * At most the archive and its compressed form, then the compressed and the encrypted form, are in memory at once.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <zstd.h>

#include "repo/pack_internal.h"

/* A pack is some dozen files deep: matches far back pay. 8 MiB is the largest window every decoder is asked to support (RFC 8878, 3.1.1.1.2), and what check_decodes
 * needs once per thread. */
#define WINDOW_LOG 23
/* The fast levels get a table for such a window. On /usr, level 2 then stores what level 3 does with its own parameters, in two thirds of the time. */
#define FAST_LEVEL 2
#define FAST_HASH_LOG 18

/* A worker thread seals one pack after the other: its zstd contexts stay with it. */
struct contexts {
  ZSTD_CCtx *c;
  ZSTD_DCtx *d;
  unsigned char *window; /* decoded bytes on their way to being compared */
  size_t window_n;
  struct hf_buf z; /* the compressed pack, in a memory file */
};
static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void contexts_free(void *p) {
  struct contexts *x = p;
  ZSTD_freeCCtx(x->c);
  ZSTD_freeDCtx(x->d);
  free(x->window);
  hf_buf_free(&x->z);
  free(x);
}

static int contexts_failed;

static void contexts_init(void) { contexts_failed = pthread_key_create(&contexts_key, contexts_free); }

static struct contexts *contexts_get(struct hf_error *err) {
  pthread_once(&contexts_once, contexts_init);
  if (contexts_failed) {
    hf_fail_errno(err, contexts_failed, "no room for a thread's zstd contexts");
    return NULL;
  }
  struct contexts *x = pthread_getspecific(contexts_key);
  if (x) return x;
  x = hf_alloc(sizeof *x);
  x->c = ZSTD_createCCtx();
  x->d = ZSTD_createDCtx();
  x->window_n = ZSTD_DStreamOutSize();
  x->window = hf_alloc(x->window_n);
  if (hf_buf_in_memory_file(&x->z, "holdfast-pack", err) < 0) {
    contexts_free(x);
    return NULL;
  }
  if (!x->c || !x->d || pthread_setspecific(contexts_key, x) != 0) {
    contexts_free(x);
    hf_fail(err, HOLDFAST_E_FAILED, "zstd: out of memory");
    return NULL;
  }
  return x;
}

uint64_t hf_padme(uint64_t n) {
  if (n < 2) return n;
  unsigned e = 63 - (unsigned)__builtin_clzll(n);
  unsigned s = 32 - (unsigned)__builtin_clz(e); /* bits of e */
  uint64_t mask = e > s ? ((uint64_t)1 << (e - s)) - 1 : 0;
  return (n + mask) & ~mask;
}

/* What padding a compressed pack gets: nothing, or a whole skippable frame (RFC 8878, 3.1.2), which every zstd decoder passes over. */
static size_t padding_for(size_t n) {
  uint64_t to = hf_padme(n);
  if (to != n && to - n < 8) to = hf_padme(n + 8);
  return (size_t)(to - n);
}

static void put_padding(void *p, size_t n) {
  const uint32_t size = (uint32_t)(n - 8);
  const unsigned char head[8] = {0x50, 0x2a, 0x4d, 0x18, size & 255, size >> 8 & 255, size >> 16 & 255, size >> 24 & 255};
  memset(p, 0, n); /* the encryption hides what it is */
  memcpy(p, head, sizeof head);
}

/* Is it what it was? A corrupt compressor (bad memory, bad build) must not cost a backup. */
static int check_decodes(struct contexts *x, const unsigned char *raw, size_t n, struct hf_error *err) {
  ZSTD_inBuffer in = {x->z.data, x->z.len, 0};
  size_t at = 0, r = 1;
  ZSTD_DCtx_reset(x->d, ZSTD_reset_session_only);
  while (r != 0) {
    ZSTD_outBuffer o = {x->window, x->window_n, 0};
    size_t before = in.pos;
    r = ZSTD_decompressStream(x->d, &o, &in);
    if (ZSTD_isError(r)) return hf_fail(err, HOLDFAST_E_CORRUPT, "a compressed pack does not decode: %s", ZSTD_getErrorName(r));
    if (o.pos > n - at || memcmp(raw + at, x->window, o.pos) != 0)
      return hf_fail(err, HOLDFAST_E_CORRUPT,
                     "a compressed pack does not decode to what went in; is this machine's memory sound?");
    if (o.pos == 0 && in.pos == before) break;
    at += o.pos;
  }
  if (r != 0 || at != n) return hf_fail(err, HOLDFAST_E_CORRUPT, "a compressed pack decodes to %zu bytes of %zu", at, n);
  return 0;
}

/* The compressed, checked, padded pack in the thread's memory file, whose descriptor is returned; *size is how long it is. The archive is spent afterwards, whatever comes out. */
static int compress(struct hf_pack_writer *w, int level, bool padding, size_t raw_n, size_t *size, struct hf_error *err) {
  struct contexts *x = contexts_get(err);
  if (!x) return err ? err->code : HOLDFAST_E_FAILED;
  size_t bound = ZSTD_compressBound(raw_n);
  hf_buf_clear(&x->z);
  hf_buf_reserve(&x->z, bound + bound / 8 + 64);
  ZSTD_CCtx_reset(x->c, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(x->c, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(x->c, ZSTD_c_checksumFlag, 1);
  ZSTD_CCtx_setParameter(x->c, ZSTD_c_windowLog, WINDOW_LOG);
  if (level <= FAST_LEVEL) ZSTD_CCtx_setParameter(x->c, ZSTD_c_hashLog, FAST_HASH_LOG);
  size_t n = ZSTD_compress2(x->c, x->z.data, bound, w->raw, raw_n);
  x->z.len = ZSTD_isError(n) ? 0 : n;
  int r = ZSTD_isError(n) ? hf_fail(err, HOLDFAST_E_FAILED, "zstd: %s", ZSTD_getErrorName(n)) : check_decodes(x, w->raw, raw_n, err);
  hf_pack_writer_release(w);
  if (r < 0) return r;
  size_t pad = padding ? padding_for(n) : 0;
  if (pad) put_padding(x->z.data + n, pad);
  *size = x->z.len = n + pad;
  return hf_buf_to_read(&x->z, err);
}

int hf_pack_seal(struct hf_pack_writer *w, struct hf_gpg *g, const struct hf_list *recipients, bool hide, int level, bool padding,
                 struct hf_sealed *out, struct hf_error *err) {
  struct hf_sealed s = {.blob = {.fd = -1}};
  size_t raw_n = hf_pack_writer_finish(w), n = 0;
  int fd = compress(w, level, padding, raw_n, &n, err);
  if (fd < 0) {
    hf_pack_writer_release(w);
    return fd;
  }
  int r = hf_gpg_encrypt(g, recipients, hide, fd, n, &s.blob, err);
  if (r < 0) return r;
  hf_sha256(s.blob.data, s.blob.size, &s.digest);
  s.raw_size = raw_n;
  *out = s;
  return 0;
}

void hf_sealed_free(struct hf_sealed *s) { hf_blob_free(&s->blob); }
