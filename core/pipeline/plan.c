/* plan.c - gathering what is wanted, and fetching it pack by pack.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/plan.h"

#include <pthread.h>
#include <sqlite3.h>

#include "base/queue.h"

struct hf_plan {
  struct hf_state *state;
  sqlite3 *db;
  sqlite3_stmt *add, *lose, *is_lost;
  uint64_t lost;
  bool (*in)(void *ctx, int64_t pack); /* hf_plan_prefer */
  void *in_ctx;
};

static int fail(struct hf_plan *p, struct hf_error *err) {
  int code = (sqlite3_errcode(p->db) & 0xff) == SQLITE_FULL ? HOLDFAST_E_NO_SPACE : HOLDFAST_E_FAILED;
  return hf_fail(err, code, "temporary database of what is to be read: %s", sqlite3_errmsg(p->db));
}

int hf_plan_new(struct hf_state *state, struct hf_plan **out, struct hf_error *err) {
  static const char tables[] =
      "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-4096; PRAGMA temp_store=FILE; BEGIN;"
      "CREATE TABLE piece(pack INTEGER, chunk_off INTEGER, id BLOB, chunk_len INTEGER, off INTEGER, len INTEGER, kind INTEGER, dest INTEGER, path BLOB);"
      "CREATE TABLE lost(id BLOB PRIMARY KEY) WITHOUT ROWID;";
  struct hf_plan *p = hf_alloc(sizeof *p);
  p->state = state;
  if (sqlite3_open_v2("", &p->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK || sqlite3_exec(p->db, tables, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(p->db, "INSERT INTO piece VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)", -1, &p->add, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(p->db, "INSERT OR IGNORE INTO lost VALUES(?1)", -1, &p->lose, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(p->db, "SELECT 1 FROM lost WHERE id=?1", -1, &p->is_lost, NULL) != SQLITE_OK) {
    int r = fail(p, err);
    hf_plan_free(p);
    return r;
  }
  *out = p;
  return 0;
}

void hf_plan_free(struct hf_plan *p) {
  if (!p) return;
  sqlite3_finalize(p->add);
  sqlite3_finalize(p->lose);
  sqlite3_finalize(p->is_lost);
  sqlite3_close(p->db);
  free(p);
}

static int lose(struct hf_plan *p, const struct hf_digest *id, struct hf_error *err) {
  p->lost++;
  sqlite3_reset(p->lose);
  sqlite3_bind_blob(p->lose, 1, id->b, HF_SHA256_LEN, SQLITE_TRANSIENT);
  int rc = sqlite3_step(p->lose);
  sqlite3_reset(p->lose);
  return rc == SQLITE_DONE ? 0 : fail(p, err);
}

bool hf_plan_is_lost(struct hf_plan *p, const struct hf_digest *id) {
  if (p->lost == 0) return false;
  sqlite3_reset(p->is_lost);
  sqlite3_bind_blob(p->is_lost, 1, id->b, HF_SHA256_LEN, SQLITE_TRANSIENT);
  bool yes = sqlite3_step(p->is_lost) == SQLITE_ROW;
  sqlite3_reset(p->is_lost);
  return yes;
}

void hf_plan_prefer(struct hf_plan *p, bool (*in)(void *ctx, int64_t pack), void *ctx) {
  p->in = in;
  p->in_ctx = ctx;
}

int hf_plan_add(struct hf_plan *p, const struct hf_piece *piece, struct hf_error *err) {
  struct hf_state_chunk c;
  const struct hf_slice *s = &piece->slice;
  int r = p->in ? hf_state_chunk_find_in(p->state, &s->id, p->in, p->in_ctx, &c, err) : hf_state_chunk_find(p->state, &s->id, &c, err);
  if (r < 0) return r;
  if (r == 0 || c.length != s->chunk_len) return lose(p, &s->id, err);
  sqlite3_stmt *st = p->add;
  sqlite3_reset(st);
  sqlite3_bind_int64(st, 1, c.pack);
  sqlite3_bind_int64(st, 2, c.offset);
  sqlite3_bind_blob(st, 3, s->id.b, HF_SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_int64(st, 4, s->chunk_len);
  sqlite3_bind_int64(st, 5, s->offset);
  sqlite3_bind_int64(st, 6, s->length);
  sqlite3_bind_int(st, 7, piece->kind);
  sqlite3_bind_int64(st, 8, (int64_t)piece->dest);
  sqlite3_bind_blob64(st, 9, piece->path ? piece->path : "", piece->path_n, SQLITE_STATIC);
  int rc = sqlite3_step(st);
  sqlite3_reset(st);
  return rc == SQLITE_DONE ? 0 : fail(p, err);
}

int hf_plan_packs(struct hf_plan *p, int (*fn)(void *ctx, const struct hf_state_pack *pack), void *ctx, struct hf_error *err) {
  sqlite3_stmt *st = NULL;
  if (sqlite3_prepare_v2(p->db, "SELECT DISTINCT pack FROM piece", -1, &st, NULL) != SQLITE_OK) return fail(p, err);
  int r = 0, rc = SQLITE_DONE;
  while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
    struct hf_state_pack pack;
    r = hf_state_pack_get(p->state, sqlite3_column_int64(st, 0), &pack, err);
    if (r == 0) r = fn(ctx, &pack);
  }
  if (r == 0 && rc != SQLITE_DONE) r = fail(p, err);
  sqlite3_finalize(st);
  return r;
}

/* ---- running ---- */

struct want {
  struct hf_piece piece;
  uint32_t chunk_off;
};

struct job {
  struct hf_state_pack pack;
  struct want *v;
  size_t n, cap;
  /* when it has been fetched: */
  struct hf_buf *stored;
  struct hf_error err; /* code 0 when all is well */
};

struct runner {
  struct hf_plan *plan;
  const struct hf_plan_run *run;
  struct hf_queue *queue;   /* to be fetched */
  struct hf_queue *fetched; /* to be read */
  struct hf_queue *spare;   /* buffers: who has none waits, which is what bounds the memory */
  struct hf_buf buffers[HF_FETCHED];
  pthread_mutex_t lock; /* plan, failure, counters, bad(), progress() */
  struct hf_error failure;
  uint64_t packs, stored;
};

static void job_free(struct job *j) {
  if (!j) return;
  for (size_t i = 0; i < j->n; i++) free((void *)(uintptr_t)j->v[i].piece.path);
  free(j->v);
  free(j);
}

static bool has_failed(struct runner *x) {
  pthread_mutex_lock(&x->lock);
  bool f = x->failure.code != 0;
  pthread_mutex_unlock(&x->lock);
  return f;
}

static void set_failed(struct runner *x, const struct hf_error *e) {
  pthread_mutex_lock(&x->lock);
  if (!x->failure.code) x->failure = *e;
  pthread_mutex_unlock(&x->lock);
}

/* All pieces from i on that lie in the chunk at i (or in the whole pack) are lost. */
static void lose_pieces(struct runner *x, const struct job *j, size_t from, size_t to, const char *why) {
  char key[HF_KEY_MAX];
  hf_key_pack(key, &j->pack.digest);
  pthread_mutex_lock(&x->lock);
  if (x->run->bad) x->run->bad(x->run->ctx, key, why);
  for (size_t i = from; i < to; i++) {
    struct hf_error e = {0};
    if (lose(x->plan, &j->v[i].piece.slice.id, &e) < 0 && !x->failure.code) x->failure = e;
  }
  pthread_mutex_unlock(&x->lock);
}

/* What kind of failure is this: of one object (go on without it), or of the whole run? */
static bool ends_run(int r) { return r == HOLDFAST_E_AUTH || r == HOLDFAST_E_CANCELED || r == HOLDFAST_E_NO_SPACE; }

/* By name and length, too: a catalogue that puts two chunks at one place does not make one pass for the other. */
static bool same_chunk(const struct want *a, const struct want *b) {
  const struct hf_slice *x = &a->piece.slice, *y = &b->piece.slice;
  return a->chunk_off == b->chunk_off && x->chunk_len == y->chunk_len && hf_digest_eq(&x->id, &y->id);
}

/* What a reader works with, one pack after the other: the buffers keep their memory, which the kernel would have to make anew for each. */
struct bench {
  struct hf_hmac *hmac;
  struct hf_buf plain, raw; /* plain: in a memory file */
};

static bool stopping(struct runner *x) { return has_failed(x) || (x->run->cancel && *x->run->cancel); }

static void *fetcher(void *arg) {
  struct runner *x = arg;
  struct job *j;
  while ((j = hf_queue_pop(x->queue))) {
    char key[HF_KEY_MAX];
    j->stored = hf_queue_pop(x->spare);
    hf_buf_clear(j->stored);
    hf_key_pack(key, &j->pack.digest);
    if (!stopping(x)) x->run->fetch(x->run->fetch_ctx, key, &j->pack.digest, HF_PACK_READ_MAX + HF_PACK_READ_MAX / 8, j->stored, &j->err);
    hf_queue_push(x->fetched, j);
  }
  return NULL;
}

/* The bytes have been used. */
static void give_back(struct runner *x, struct job *j) {
  if (j->stored) hf_queue_push(x->spare, j->stored);
  j->stored = NULL;
}

static int do_pack(struct runner *x, struct job *j, struct bench *b, struct hf_error *err) {
  const struct hf_plan_run *run = x->run;
  struct hf_error e = j->err;
  int r = e.code;
  if (r == 0) r = hf_pack_unseal(run->gpg, j->stored, j->pack.raw, &b->plain, &b->raw, &e);
  give_back(x, j);
  if (r < 0) {
    if (ends_run(r)) return hf_fail(err, r, "%s", e.msg);
    lose_pieces(x, j, 0, j->n, e.msg);
    return 0;
  }
  for (size_t i = 0; i < j->n;) {
    const struct hf_slice *first = &j->v[i].piece.slice;
    struct hf_chunk_ref ref = {.id = first->id, .offset = j->v[i].chunk_off, .length = first->chunk_len};
    size_t end = i + 1;
    while (end < j->n && same_chunk(&j->v[i], &j->v[end])) end++;
    const void *data = NULL;
    r = hf_pack_chunk(&b->raw, &ref, b->hmac, &data, &e);
    if (r < 0) {
      lose_pieces(x, j, i, end, e.msg);
      i = end;
      continue;
    }
    for (; i < end; i++) {
      const struct hf_slice *s = &j->v[i].piece.slice;
      r = run->sink(run->ctx, &j->v[i].piece, (const char *)data + s->offset, err);
      if (r < 0) return r;
    }
  }
  return 0;
}

static void *reader(void *arg) {
  struct runner *x = arg;
  struct bench b = {.hmac = hf_hmac_new(x->run->audience->id_key, sizeof x->run->audience->id_key), .plain = HF_BUF_INIT, .raw = HF_BUF_INIT};
  struct job *j;
  struct hf_error why = {0};
  if (hf_buf_in_memory_file(&b.plain, "gpg-out", &why) < 0) set_failed(x, &why);
  while ((j = hf_queue_pop(x->fetched))) {
    struct hf_error e = {0};
    if (!stopping(x) && do_pack(x, j, &b, &e) < 0) set_failed(x, &e);
    give_back(x, j);
    pthread_mutex_lock(&x->lock);
    x->packs++;
    x->stored += j->pack.stored;
    if (x->run->progress) x->run->progress(x->run->ctx, x->packs, x->stored);
    pthread_mutex_unlock(&x->lock);
    job_free(j);
  }
  hf_hmac_free(b.hmac);
  hf_buf_free(&b.plain);
  hf_buf_free(&b.raw);
  return NULL;
}

static void job_add(struct job *j, sqlite3_stmt *st) {
  if (j->n == j->cap) {
    j->cap = j->cap ? j->cap * 2 : 64;
    j->v = hf_realloc(j->v, j->cap * sizeof *j->v);
  }
  struct want *w = &j->v[j->n++];
  memset(w, 0, sizeof *w);
  w->chunk_off = (uint32_t)sqlite3_column_int64(st, 1);
  const void *id = sqlite3_column_blob(st, 2);
  if (id && sqlite3_column_bytes(st, 2) == HF_SHA256_LEN) memcpy(w->piece.slice.id.b, id, HF_SHA256_LEN);
  w->piece.slice.chunk_len = (uint32_t)sqlite3_column_int64(st, 3);
  w->piece.slice.offset = (uint32_t)sqlite3_column_int64(st, 4);
  w->piece.slice.length = (uint32_t)sqlite3_column_int64(st, 5);
  w->piece.kind = sqlite3_column_int(st, 6);
  w->piece.dest = (uint64_t)sqlite3_column_int64(st, 7);
  w->piece.path_n = (size_t)sqlite3_column_bytes(st, 8);
  w->piece.path = hf_strndup(w->piece.path_n ? sqlite3_column_blob(st, 8) : "", w->piece.path_n);
}

/* Feed the readers, in the order the packs were made, which is about the order of the stream. The database is the calling thread's alone but for lose(), which holds the lock. */
static int feed(struct runner *x, struct hf_error *err) {
  struct hf_plan *p = x->plan;
  sqlite3_stmt *st = NULL;
  if (sqlite3_prepare_v2(p->db, "SELECT pack,chunk_off,id,chunk_len,off,len,kind,dest,path FROM piece ORDER BY pack,chunk_off,off", -1, &st, NULL) != SQLITE_OK) return fail(p, err);
  int r = 0;
  struct job *j = NULL;
  for (;;) {
    pthread_mutex_lock(&x->lock);
    int rc = sqlite3_step(st);
    int64_t row = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    bool other = j && j->pack.row != row;
    struct job *full = other ? j : NULL;
    if (other) j = NULL;
    if (rc == SQLITE_ROW) {
      if (!j) {
        j = hf_alloc(sizeof *j);
        r = hf_state_pack_get(p->state, row, &j->pack, err);
      }
      if (r == 0) job_add(j, st);
    } else if (rc != SQLITE_DONE) {
      r = fail(p, err);
    }
    pthread_mutex_unlock(&x->lock);
    if (full && !hf_queue_push(x->queue, full)) {
      job_free(full);
      break;
    }
    if (r < 0 || rc != SQLITE_ROW || stopping(x)) break;
  }
  job_free(j);
  sqlite3_finalize(st);
  return r;
}

/* Start n threads. Fewer than wanted will do; none is an error. */
static int start(pthread_t *threads, size_t want, size_t *n, void *(*fn)(void *), struct runner *x, struct hf_error *err) {
  for (; *n < want; ++*n) {
    int e = pthread_create(&threads[*n], NULL, fn, x);
    if (e != 0) return *n ? 0 : hf_fail_errno(err, e, "cannot start a thread");
  }
  return 0;
}

int hf_plan_execute(struct hf_plan *p, const struct hf_plan_run *run, uint64_t *lost, struct hf_error *err) {
  struct runner x = {.plan = p, .run = run, .queue = hf_queue_new(1), .fetched = hf_queue_new(HF_FETCHED), .spare = hf_queue_new(HF_FETCHED)};
  pthread_t fetchers[HF_FETCHERS], readers[HF_READERS];
  size_t n_fetchers = 0, n_readers = 0;
  pthread_mutex_init(&x.lock, NULL);
  int r = 0;
  for (size_t i = 0; r == 0 && i < HF_FETCHED; i++) {
    r = hf_buf_in_memory_file(&x.buffers[i], "gpg-in", err);
    hf_queue_push(x.spare, &x.buffers[i]);
  }
  if (r == 0) r = start(readers, HF_READERS, &n_readers, reader, &x, err);
  if (r == 0) r = start(fetchers, HF_FETCHERS, &n_fetchers, fetcher, &x, err);
  if (r == 0) r = feed(&x, err);
  hf_queue_close(x.queue);
  for (size_t i = 0; i < n_fetchers; i++) pthread_join(fetchers[i], NULL);
  hf_queue_close(x.fetched);
  for (size_t i = 0; i < n_readers; i++) pthread_join(readers[i], NULL);
  for (size_t i = 0; i < HF_FETCHED; i++) hf_buf_free(&x.buffers[i]);
  hf_queue_free(x.queue);
  hf_queue_free(x.fetched);
  hf_queue_free(x.spare);
  pthread_mutex_destroy(&x.lock);
  if (r == 0 && x.failure.code) r = hf_fail(err, x.failure.code, "%s", x.failure.msg);
  if (r == 0 && run->cancel && *run->cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  *lost = p->lost;
  return r;
}
