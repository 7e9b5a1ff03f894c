/* store.c - chunks to packs, packs to objects, objects to targets, and the index of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/store.h"

#include <pthread.h>
#include <unistd.h>

#include "base/queue.h"
#include "base/text.h"
#include "pipeline/upload.h"

/* One full pack on its way to the targets. The source pointers outlive the store. */
struct job {
  struct hf_pack_writer *writer;
  struct hf_store_source *src;
  enum hf_pack_kind kind;
  int64_t row;
  struct hf_store *store;
  struct hf_sealed sealed;     /* while it is on its way */
  struct hf_parcel parcel;
  /* when put: */
  struct hf_digest digest;
  uint64_t stored, raw;
  struct hf_chunk_ref *chunks; /* copy: the writer is gone by then */
  size_t n_chunks;
};

/* One bit per pack row of the catalogue. */
struct bits {
  unsigned char *b;
  size_t n; /* bytes */
};

struct hf_store {
  struct hf_store_options o;
  struct hf_store_source *src;
  struct hf_hmac *hmac;
  struct hf_pack_writer *open[2]; /* by kind; NULL when none is being filled */
  int64_t open_row[2];
  struct bits refs;    /* packs the finished sources refer to */
  struct bits current; /* and the one being read */
  size_t pending_chunks;
  double last_index;

  struct hf_queue *queue; /* packs to be sealed */
  struct hf_upload *upload;
  pthread_t threads[HF_SEALERS_MAX];
  size_t n_threads;

  pthread_mutex_t lock;
  pthread_cond_t idle;
  size_t in_flight;    /* packs pushed and not through yet */
  struct job **done;   /* through since the last index */
  size_t n_done, cap_done;
  struct hf_error failure; /* the first that a pack met */
  uint64_t bytes_put;
};

static void job_free(struct job *j) {
  if (!j) return;
  hf_pack_writer_free(j->writer);
  hf_sealed_free(&j->sealed);
  free(j->chunks);
  free(j);
}

/* ---- sealers ---- */

static int seal(struct hf_store *s, struct job *j, struct hf_error *err) {
  int r = hf_pack_seal(j->writer, s->o.gpg, j->src->recipients, j->src->hide, j->src->level, j->src->padding, &j->sealed, err);
  hf_pack_writer_free(j->writer);
  j->writer = NULL;
  return r;
}

/* A pack is through, well (err NULL) or not. */
static void through(struct hf_store *s, struct job *j, const struct hf_error *err) {
  pthread_mutex_lock(&s->lock);
  if (err) {
    if (!s->failure.code) s->failure = *err;
    job_free(j);
  } else {
    s->bytes_put += j->stored;
    j->src->bytes_stored += j->stored;
    if (s->n_done == s->cap_done) {
      s->cap_done = s->cap_done ? s->cap_done * 2 : 64;
      s->done = hf_realloc(s->done, s->cap_done * sizeof *s->done);
    }
    s->done[s->n_done++] = j;
  }
  s->in_flight--;
  pthread_cond_broadcast(&s->idle);
  pthread_mutex_unlock(&s->lock);
}

static void pack_through(struct hf_parcel *p, const struct hf_error *err) {
  struct job *j = (struct job *)(void *)((char *)p - offsetof(struct job, parcel));
  hf_sealed_free(&j->sealed);
  j->sealed.blob.fd = -1;
  through(j->store, j, err);
}

static void send(struct hf_store *s, struct job *j) {
  struct hf_parcel *p = &j->parcel;
  hf_key_pack(p->key, &j->sealed.digest);
  p->data = j->sealed.blob.data;
  p->size = j->sealed.blob.size;
  p->digest = j->digest = j->sealed.digest;
  p->through = pack_through;
  j->store = s;
  j->stored = j->sealed.blob.size;
  j->raw = j->sealed.raw_size;
  hf_upload_put(s->upload, p);
}

static bool stopped(const struct hf_store *s) { return s->o.cancel && *s->o.cancel; }

static void *sealer(void *arg) {
  struct hf_store *s = arg;
  struct job *j;
  while ((j = hf_queue_pop(s->queue))) {
    struct hf_error err = {0};
    int r = stopped(s) ? hf_fail(&err, HOLDFAST_E_CANCELED, "stopped") : seal(s, j, &err);
    if (r < 0) through(s, j, &err);
    else send(s, j);
  }
  return NULL;
}

static int failed(struct hf_store *s, struct hf_error *err) {
  pthread_mutex_lock(&s->lock);
  struct hf_error f = s->failure;
  pthread_mutex_unlock(&s->lock);
  return f.code ? hf_fail(err, f.code, "%s", f.msg) : 0;
}

/* ---- opening and closing ---- */

int hf_store_open(const struct hf_store_options *o, struct hf_store **out, struct hf_error *err) {
  struct hf_store *s = hf_alloc(sizeof *s);
  s->o = *o;
  s->last_index = hf_now();
  s->queue = hf_queue_new(1);
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->idle, NULL);
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  size_t sealers = cpus <= HF_SEALERS_MIN ? HF_SEALERS_MIN : HF_SEALERS_MAX;
  int r = o->dry ? 0 : hf_upload_open(o->targets, o->n_targets, o->cancel, &s->upload, err);
  for (; r == 0 && !o->dry && s->n_threads < sealers; s->n_threads++) {
    int e = pthread_create(&s->threads[s->n_threads], NULL, sealer, s);
    if (e != 0) {
      r = hf_fail_errno(err, e, "cannot start a thread");
      break;
    }
  }
  if (r < 0) {
    hf_store_close(s);
    return r;
  }
  *out = s;
  return 0;
}

void hf_store_close(struct hf_store *s) {
  if (!s) return;
  hf_queue_abort(s->queue);
  hf_upload_stop(s->upload);
  for (size_t i = 0; i < s->n_threads; i++) pthread_join(s->threads[i], NULL);
  for (struct job *j; (j = hf_queue_try_pop(s->queue));) job_free(j);
  hf_upload_close(s->upload);
  hf_queue_free(s->queue);
  for (size_t i = 0; i < s->n_done; i++) job_free(s->done[i]);
  free(s->done);
  for (int k = 0; k < 2; k++) hf_pack_writer_free(s->open[k]);
  hf_hmac_free(s->hmac);
  free(s->refs.b);
  free(s->current.b);
  pthread_cond_destroy(&s->idle);
  pthread_mutex_destroy(&s->lock);
  free(s);
}

/* ---- chunks ---- */

static void bits_grow(struct bits *x, size_t n) {
  if (n <= x->n) return;
  n = HF_MAX(n, x->n * 2);
  x->b = hf_realloc(x->b, n);
  memset(x->b + x->n, 0, n - x->n);
  x->n = n;
}

static bool has_bit(const struct bits *x, int64_t row) {
  size_t byte = (size_t)row / 8;
  return byte < x->n && (x->b[byte] >> (row % 8) & 1);
}

static void refer_row(struct hf_store *s, int64_t row) {
  bits_grow(&s->current, (size_t)row / 8 + 1);
  s->current.b[row / 8] |= (unsigned char)(1u << (row % 8));
}

bool hf_store_refers_to(const struct hf_store *s, int64_t row) { return has_bit(&s->refs, row); }

/* By what the source that is being read has given so far. */
static bool is_referred(void *ctx, int64_t row) { return has_bit(&((struct hf_store *)ctx)->current, row); }

int hf_store_begin(struct hf_store *s, struct hf_store_source *src, struct hf_error *err) {
  int r = failed(s, err);
  if (r < 0) return r;
  s->src = src;
  hf_hmac_free(s->hmac);
  s->hmac = hf_hmac_new(src->audience->id_key, sizeof src->audience->id_key);
  return 0;
}

/* Hand the open pack of a kind to the sealers. */
static int push(struct hf_store *s, enum hf_pack_kind kind, struct hf_error *err) {
  struct hf_pack_writer *w = s->open[kind];
  if (!w) return 0;
  s->open[kind] = NULL;
  if (s->o.dry) {
    hf_pack_writer_free(w);
    return 0;
  }
  struct job *j = hf_alloc(sizeof *j);
  j->writer = w;
  j->sealed.blob.fd = -1;
  j->src = s->src;
  j->kind = kind;
  j->row = s->open_row[kind];
  j->n_chunks = hf_pack_writer_count(w);
  j->chunks = hf_memdup(hf_pack_writer_chunks(w), j->n_chunks * sizeof *j->chunks);
  s->pending_chunks += j->n_chunks;
  pthread_mutex_lock(&s->lock);
  s->in_flight++;
  pthread_mutex_unlock(&s->lock);
  if (!hf_queue_push(s->queue, j)) {
    job_free(j);
    return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  }
  return failed(s, err);
}

static bool is_full(const struct hf_store *s, enum hf_pack_kind kind, size_t n) {
  const struct hf_pack_writer *w = s->open[kind];
  if (!w) return false;
  if (!hf_pack_writer_fits(w, n)) return true;
  return kind == HF_PACK_RECIPE && hf_pack_writer_size(w) > 0 && hf_pack_writer_size(w) + n > HF_RECIPE_PACK;
}

static int add_new(struct hf_store *s, enum hf_pack_kind kind, const void *p, size_t n, const struct hf_digest *id, struct hf_error *err) {
  int r;
  if (is_full(s, kind, n) && (r = push(s, kind, err)) < 0) return r;
  if (!s->open[kind]) {
    r = hf_state_pack_begin(s->o.state, (int)kind, s->src->name, s->src->audience->name, &s->open_row[kind], err);
    if (r < 0) return r;
    s->open[kind] = hf_pack_writer_new();
  }
  struct hf_pack_writer *w = s->open[kind];
  uint32_t offset = 0;
  if (!s->o.dry) {
    hf_pack_writer_add(w, id, p, n);
    offset = hf_pack_writer_chunks(w)[hf_pack_writer_count(w) - 1].offset;
  }
  refer_row(s, s->open_row[kind]);
  s->src->bytes_new += n;
  return hf_state_chunk_add(s->o.state, id, s->open_row[kind], offset, (uint32_t)n, err);
}

int hf_store_chunk(struct hf_store *s, enum hf_pack_kind kind, const void *p, size_t n, struct hf_digest *id, struct hf_error *err) {
  hf_hmac(s->hmac, p, n, id);
  struct hf_state_chunk known;
  int r = hf_state_chunk_find_in(s->o.state, id, is_referred, s, &known, err);
  if (r < 0) return r;
  bool again = r == 1 && n <= HF_STORE_AGAIN_MAX && s->open[kind] && !is_referred(s, known.pack);
  if (r == 1 && !again) {
    refer_row(s, known.pack);
    return 0;
  }
  r = add_new(s, kind, p, n, id, err);
  if (r < 0 || s->o.dry) return r;
  /* A checkpoint: what a killed run had indexed is not stored again. */
  if (s->pending_chunks >= HF_INDEX_CHUNKS || (s->pending_chunks > 0 && hf_now() - s->last_index >= (double)s->o.checkpoint)) {
    if ((r = push(s, HF_PACK_DATA, err)) < 0 || (r = push(s, HF_PACK_RECIPE, err)) < 0) return r;
    r = hf_store_flush(s, err);
  }
  return r;
}

int hf_store_refer(struct hf_store *s, const struct hf_digest *id, uint32_t chunk_len, struct hf_error *err) {
  struct hf_state_chunk known;
  int r = hf_state_chunk_find(s->o.state, id, &known, err);
  if (r < 0) return r;
  if (r == 0) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "a chunk of last time is not in the catalogue any more");
  if (known.length != chunk_len) return hf_fail(err, HOLDFAST_E_CORRUPT, "a chunk of last time has another length now");
  refer_row(s, known.pack);
  return 0;
}

int hf_store_end(struct hf_store *s, bool keep, struct hf_error *err) {
  if (keep) {
    bits_grow(&s->refs, s->current.n);
    for (size_t i = 0; i < s->current.n; i++) s->refs.b[i] |= s->current.b[i];
  }
  if (s->current.n) memset(s->current.b, 0, s->current.n);
  int r = push(s, HF_PACK_DATA, err);
  if (r == 0) r = push(s, HF_PACK_RECIPE, err);
  return r;
}

uint64_t hf_store_bytes_put(struct hf_store *s) {
  pthread_mutex_lock(&s->lock);
  uint64_t n = s->bytes_put;
  pthread_mutex_unlock(&s->lock);
  return n;
}

/* ---- index ---- */

static int by_row(const void *a, const void *b) {
  const struct job *const *x = a, *const *y = b;
  return (*x)->row < (*y)->row ? -1 : (*x)->row > (*y)->row;
}

/* An index on its way, which the caller waits for. */
struct index_put {
  struct hf_parcel parcel;
  struct hf_store *s;
  bool through;
  struct hf_error err;
};

static void index_through(struct hf_parcel *p, const struct hf_error *err) {
  struct index_put *x = (struct index_put *)(void *)p; /* its first member */
  struct hf_store *s = x->s;
  pthread_mutex_lock(&s->lock);
  if (err) x->err = *err;
  x->through = true;
  pthread_cond_broadcast(&s->idle);
  pthread_mutex_unlock(&s->lock);
}

static int put_index(struct hf_store *s, const struct hf_buf *sealed, struct hf_digest *d, struct hf_error *err) {
  struct index_put x = {.s = s, .parcel = {.data = sealed->data, .size = sealed->len, .through = index_through}};
  hf_sha256(sealed->data, sealed->len, d);
  hf_key_index(x.parcel.key, d);
  x.parcel.digest = *d;
  hf_upload_put(s->upload, &x.parcel);
  pthread_mutex_lock(&s->lock);
  while (!x.through) pthread_cond_wait(&s->idle, &s->lock);
  pthread_mutex_unlock(&s->lock);
  return x.err.code ? hf_fail(err, x.err.code, "%s", x.err.msg) : 0;
}

static int write_index(struct hf_store *s, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT, packed = HF_BUF_INIT, sealed = HF_BUF_INIT;
  size_t chunks = 0;
  hf_index_begin(&text, s->o.repo_id);
  qsort(s->done, s->n_done, sizeof *s->done, by_row);
  for (size_t i = 0; i < s->n_done; i++) {
    const struct job *j = s->done[i];
    struct hf_index_pack p = {.digest = j->digest, .stored = j->stored, .raw = j->raw, .kind = j->kind, .source = j->src->name, .audience = j->src->audience->name};
    hf_index_add(&text, &p, j->chunks, j->n_chunks);
    chunks += j->n_chunks;
  }
  hf_index_end(&text, s->n_done, chunks);
  int r = hf_zstd_compress(text.data, text.len, 3, &packed, err);
  if (r < 0) return r;
  hf_buf_free(&text);
  r = hf_gpg_seal(s->o.gpg, s->o.index_recipients, s->o.signer, packed.data, packed.len, &sealed, err);
  if (r < 0) return r;
  struct hf_digest d;
  r = put_index(s, &sealed, &d, err);
  if (r < 0) return r;

  int64_t index_row;
  r = hf_state_index_add(s->o.state, &d, s->n_done, &index_row, err);
  for (size_t i = 0; r == 0 && i < s->n_done; i++) {
    const struct job *j = s->done[i];
    r = hf_state_pack_sealed(s->o.state, j->row, &j->digest, j->stored, j->raw, err);
    if (r == 0) r = hf_state_pack_indexed(s->o.state, j->row, index_row, i, err);
  }
  return r;
}

int hf_store_flush(struct hf_store *s, struct hf_error *err) {
  if (s->o.dry) return 0;
  pthread_mutex_lock(&s->lock);
  while (s->in_flight > 0) pthread_cond_wait(&s->idle, &s->lock);
  pthread_mutex_unlock(&s->lock);
  int r = failed(s, err);
  if (r < 0) return r;
  if (s->n_done > 0 && (r = write_index(s, err)) < 0) return r;
  for (size_t i = 0; i < s->n_done; i++) job_free(s->done[i]);
  s->n_done = 0;
  s->pending_chunks = 0;
  s->last_index = hf_now();
  return hf_state_commit(s->o.state, err);
}

/* The catalogue also has chunks of packs that never were stored: it goes back to where the last index left it, and gets those that were. */
int hf_store_salvage(struct hf_store *s, size_t *packs, struct hf_error *err) {
  *packs = 0;
  if (s->o.dry) return 0;
  pthread_mutex_lock(&s->lock);
  while (s->in_flight > 0) pthread_cond_wait(&s->idle, &s->lock);
  pthread_mutex_unlock(&s->lock);
  /* Only now that nothing is under way any more: what is has to hear that it should stop. */
  int stop = s->o.cancel ? *s->o.cancel : 0;
  if (stop) *s->o.cancel = 0;
  int r = hf_state_rollback(s->o.state, err);
  for (size_t i = 0; r == 0 && i < s->n_done; i++) {
    struct job *j = s->done[i];
    r = hf_state_pack_begin(s->o.state, (int)j->kind, j->src->name, j->src->audience->name, &j->row, err);
    for (size_t k = 0; r == 0 && k < j->n_chunks; k++) {
      const struct hf_chunk_ref *c = &j->chunks[k];
      r = hf_state_chunk_add(s->o.state, &c->id, j->row, c->offset, c->length, err);
    }
  }
  if (r == 0 && s->n_done > 0) r = write_index(s, err);
  if (r == 0) r = hf_state_commit(s->o.state, err);
  if (r == 0) *packs = s->n_done;
  if (stop) *s->o.cancel = stop;
  return r;
}

/* ---- what the snapshot refers to ---- */

struct per_index {
  struct hf_store *s;
  unsigned char **bits; /* by index row */
  int64_t max;
};

static int mark_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err) {
  struct per_index *x = ctx;
  if (!hf_store_refers_to(x->s, p->row)) return 0;
  if (p->index_row <= 0 || p->index_row > x->max) return hf_fail(err, HOLDFAST_E_CORRUPT, "state database: pack %lld is in use but in no index", (long long)p->row);
  unsigned char **b = &x->bits[p->index_row];
  if (!*b) {
    struct hf_digest d;
    uint64_t packs = 0;
    int r = hf_state_index_get(x->s->o.state, p->index_row, &d, &packs, err);
    if (r < 0) return r;
    *b = hf_alloc(packs / 8 + 1);
  }
  (*b)[p->ordinal / 8] |= (unsigned char)(1u << (p->ordinal % 8));
  return 0;
}

int hf_store_indexes(struct hf_store *s, struct hf_record_index **out, size_t *n, struct hf_error *err) {
  struct per_index x = {.s = s, .max = hf_state_index_max(s->o.state)};
  x.bits = hf_allocn((size_t)x.max + 1, sizeof *x.bits);
  struct hf_record_index *v = hf_allocn((size_t)x.max + 1, sizeof *v);
  size_t count = 0;
  int r = hf_state_packs_each(s->o.state, mark_pack, &x, err);
  for (int64_t i = 1; r == 0 && i <= x.max; i++) {
    if (!x.bits[i]) continue;
    uint64_t packs = 0;
    r = hf_state_index_get(s->o.state, i, &v[count].sha256, &packs, err);
    if (r == 0) v[count++].packs = hf_ranges_write(x.bits[i], packs);
  }
  for (int64_t i = 0; i <= x.max; i++) free(x.bits[i]);
  free(x.bits);
  if (r < 0) {
    for (size_t i = 0; i < count; i++) free(v[i].packs);
    free(v);
    return r;
  }
  *out = v;
  *n = count;
  return 0;
}
