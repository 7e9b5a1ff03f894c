/* pack_write.c - filling a pack: a ustar archive of chunks in memory.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "repo/pack_internal.h"

#define TAR_END 1024u /* two zero blocks */
#define HUGE_PAGE ((size_t)2 << 20)
#define USUAL_CAP (((size_t)HF_PACK_MAX + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1))
#define POOL 2u

struct hf_pack_writer *hf_pack_writer_new(void) {
  return hf_alloc(sizeof(struct hf_pack_writer));
}

void hf_pack_writer_free(struct hf_pack_writer *w) {
  if (!w) return;
  hf_pack_writer_release(w);
  free(w->chunks);
  free(w);
}

/* Memory of sealed packs, for the next ones: having the kernel make zeroed pages of it for each pack costs some per cent of a whole backup. At most POOL archives lie idle. */
static struct {
  pthread_mutex_t lock;
  void *idle[POOL];
  size_t n;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool pool_give(void *p) {
  pthread_mutex_lock(&pool.lock);
  bool taken = pool.n < POOL;
  if (taken) pool.idle[pool.n++] = p;
  pthread_mutex_unlock(&pool.lock);
  return taken;
}

static void *pool_take(void) {
  pthread_mutex_lock(&pool.lock);
  void *p = pool.n ? pool.idle[--pool.n] : NULL;
  pthread_mutex_unlock(&pool.lock);
  return p;
}

void hf_pack_writer_release(struct hf_pack_writer *w) {
  if (w->raw && !(w->cap == USUAL_CAP && pool_give(w->raw))) munmap(w->raw, w->cap);
  w->raw = NULL;
  w->cap = 0;
}

/* Mapped at a multiple of the huge page size, so that the kernel may fill it with those: a pack then costs a dozen page faults instead of thousands. */
static void *map_aligned(size_t cap) {
  unsigned char *p = mmap(NULL, cap + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return p;
  size_t skip = -(uintptr_t)p & (HUGE_PAGE - 1);
  if (skip) munmap(p, skip);
  if (HUGE_PAGE - skip) munmap(p + skip + cap, HUGE_PAGE - skip);
  madvise(p + skip, cap, MADV_HUGEPAGE); /* only a wish */
  return p + skip;
}

/* Bytes one chunk takes in the archive. */
static size_t member_size(size_t len) { return HF_TAR_BLOCK + (len + HF_TAR_BLOCK - 1) / HF_TAR_BLOCK * HF_TAR_BLOCK; }

bool hf_pack_writer_fits(const struct hf_pack_writer *w, size_t len) {
  return w->n == 0 || w->used + member_size(len) + TAR_END <= HF_PACK_TARGET;
}

/* The memory is mapped, not allocated: untouched pages cost nothing. It may have been another pack's. */
static void make_room(struct hf_pack_writer *w, size_t more) {
  size_t need = w->used + more + TAR_END;
  if (need <= w->cap) return;
  size_t cap = HF_MAX((need + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1), USUAL_CAP);
  void *p = w->raw ? mremap(w->raw, w->cap, cap, MREMAP_MAYMOVE) : cap == USUAL_CAP ? pool_take() : NULL;
  if (!p) p = map_aligned(cap);
  if (p == MAP_FAILED) {
    hf_log(HF_LOG_ERROR, "out of memory: cannot map %zu bytes for a pack: %s", cap, strerror(errno));
    _exit(1);
  }
  w->raw = p;
  w->cap = cap;
}

/* A plain ustar header. */
static void put_header(unsigned char *h, const struct hf_digest *id, size_t len) {
  unsigned sum = 0;
  memset(h, 0, HF_TAR_BLOCK);
  hf_digest_hex(id, (char *)h); /* name: 64 digits and a NUL of 100 bytes */
  memcpy(h + 100, "0000400", 8);
  memcpy(h + 108, "0000000", 8);
  memcpy(h + 116, "0000000", 8);
  snprintf((char *)h + 124, 12, "%011zo", len);
  memcpy(h + 136, "00000000000", 12);
  memset(h + 148, ' ', 8);
  h[156] = '0';
  memcpy(h + 257, "ustar", 6);
  memcpy(h + 263, "00", 2);
  for (size_t i = 0; i < HF_TAR_BLOCK; i++) sum += h[i];
  snprintf((char *)h + 148, 8, "%06o", sum); /* six digits, NUL, blank */
}

void hf_pack_writer_add(struct hf_pack_writer *w, const struct hf_digest *id, const void *data, size_t len) {
  size_t size = member_size(len);
  make_room(w, size);
  unsigned char *h = w->raw + w->used;
  put_header(h, id, len);
  memcpy(h + HF_TAR_BLOCK, data, len);
  memset(h + HF_TAR_BLOCK + len, 0, size - HF_TAR_BLOCK - len);
  if (w->n == w->chunks_cap) {
    w->chunks_cap = w->chunks_cap ? 2 * w->chunks_cap : 64;
    w->chunks = hf_realloc(w->chunks, w->chunks_cap * sizeof *w->chunks);
  }
  w->chunks[w->n++] = (struct hf_chunk_ref){.id = *id, .offset = (uint32_t)(w->used + HF_TAR_BLOCK), .length = (uint32_t)len};
  w->used += size;
  w->data += len;
}

size_t hf_pack_writer_finish(struct hf_pack_writer *w) {
  make_room(w, 0); /* which always leaves room for the end */
  memset(w->raw + w->used, 0, TAR_END);
  return w->used + TAR_END;
}

size_t hf_pack_writer_count(const struct hf_pack_writer *w) { return w->n; }

size_t hf_pack_writer_size(const struct hf_pack_writer *w) { return w->data; }

const struct hf_chunk_ref *hf_pack_writer_chunks(const struct hf_pack_writer *w) { return w->chunks; }
