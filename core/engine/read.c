/* read.c - reading a source of a snapshot: keys, recipe, bytes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/engine.h"
#include "engine/needs.h"

const struct hf_record_source *hf_record_find_source(const struct hf_record *r, const char *name) {
  for (size_t i = 0; i < r->n_sources; i++) {
    if (strcmp(r->sources[i].name, name) == 0) return &r->sources[i];
  }
  return NULL;
}

void hf_reading_init(struct hf_session *s, const struct hf_record *rec, const struct hf_record_source *source, struct hf_reading *out) {
  memset(out, 0, sizeof *out);
  out->s = s;
  out->rec = rec;
  out->source = source;
}

int hf_reading_ready(struct hf_reading *rd, struct hf_error *err) {
  if (rd->gpg) return 0;
  struct hf_gpg *gpg = NULL;
  int r = hf_session_secret(rd->s, &rd->rec->secret, err);
  if (r == 0) r = hf_session_load_indexes(rd->s, rd->rec, err);
  if (r == 0) r = hf_session_caller(rd->s, &gpg, err);
  if (r < 0) return r;
  hf_audience_derive(&rd->s->secret, &rd->source->recipients, &rd->audience);
  if (strcmp(rd->audience.name, rd->source->audience) != 0) {
    return hf_fail(err, HOLDFAST_E_CORRUPT, "record %llu: the audience of source %s is not that of its recipients", (unsigned long long)rd->rec->seq, rd->source->name);
  }
  rd->gpg = gpg;
  return 0;
}

static bool refers(void *ctx, int64_t row) { return hf_needs_pack(ctx, row); }

/* The packs that the snapshot refers to, kept for the next plan of the same one. */
static int packs_of(struct hf_session *s, const struct hf_record *rec, struct hf_error *err) {
  if (s->reading && s->reading_seq == rec->seq && s->reading->max_pack == hf_state_pack_max(s->state)) return 0;
  if (!s->reading) s->reading = hf_alloc(sizeof *s->reading);
  hf_needs_free(s->reading);
  hf_needs_open_packs(s, s->reading);
  s->reading_seq = rec->seq;
  int r = hf_needs_add(s->reading, rec, err);
  if (r < 0) s->reading_seq = 0;
  return r;
}

int hf_reading_plan(struct hf_reading *rd, struct hf_plan **out, struct hf_error *err) {
  int r = hf_reading_ready(rd, err);
  if (r == 0) r = hf_plan_new(rd->s->state, out, err);
  if (r < 0 || (r = hf_state_has_copies(rd->s->state, err)) <= 0) return r;
  /* The target that is read need not have the others: they were stored for snapshots that it has let go of, or never took. */
  r = packs_of(rd->s, rd->rec, err);
  if (r == 0) hf_plan_prefer(*out, refers, rd->s->reading);
  return r;
}

int hf_reading_temp(struct hf_reading *rd, struct hf_error *err) {
  const char *dir = hf_state_dir(rd->s->state);
  int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
    HF_CLEANUP(hf_freep) char *path = hf_path_join(dir, "tmp-XXXXXX");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
  }
  return fd >= 0 ? fd : hf_fail_errno(err, errno, "cannot make a temporary file in %s", dir);
}

struct relay { struct hf_reading *rd; uint64_t packs, stored; struct hf_list keys; int (*sink)(void *, const struct hf_piece *, const void *, struct hf_error *); void *ctx; };

static int fetch(void *ctx, const char *key, const struct hf_digest *want, size_t max, struct hf_buf *out, struct hf_error *err) { return hf_session_fetch(ctx, key, want, max, out, err); }

static int relay_sink(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  struct relay *r = ctx;
  return r->sink(r->ctx, piece, p, err);
}

static void relay_bad(void *ctx, const char *key, const char *why) {
  struct relay *r = ctx;
  if (r->rd->bad) r->rd->bad(r->rd->ctx, key, why);
}

static void relay_progress(void *ctx, uint64_t packs, uint64_t stored) {
  struct relay *r = ctx;
  if (r->rd->progress) r->rd->progress(r->rd->ctx, packs, r->packs, stored, r->stored);
}

static int add_pack(void *ctx, const struct hf_state_pack *p) {
  struct relay *r = ctx;
  char key[HF_KEY_MAX];
  hf_key_pack(key, &p->digest);
  hf_list_add(&r->keys, key);
  r->packs++;
  r->stored += p->stored;
  return 0;
}

int hf_reading_execute(struct hf_reading *rd, struct hf_plan *plan, int (*sink)(void *, const struct hf_piece *, const void *, struct hf_error *), void *ctx, uint64_t *lost, struct hf_error *err) {
  struct relay relay = {.rd = rd, .sink = sink, .ctx = ctx};
  int r = hf_plan_packs(plan, add_pack, &relay, err);
  /* What lies in an archive takes hours: it is asked for as a whole. */
  if (r == 0) r = hf_session_thaw(rd->s, &relay.keys, err);
  hf_list_free(&relay.keys);
  if (r < 0) return r;
  struct hf_plan_run run = {.gpg = rd->gpg, .audience = &rd->audience, .fetch = fetch, .fetch_ctx = rd->s, .sink = relay_sink, .bad = relay_bad, .progress = relay_progress, .ctx = &relay, .cancel = &hf_cancel};
  r = hf_plan_execute(plan, &run, lost, err);
  hf_session_passed_over(rd->s);
  return r;
}

/* Pieces of a stream go to their offset in a file. */
static int write_piece(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) { return hf_pwrite_all(*(int *)ctx, p, piece->slice.length, piece->dest, err); }

static int map_fd(int fd, size_t n, struct hf_mapped *out, struct hf_error *err) {
  void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return hf_fail_errno(err, errno, "cannot map %zu bytes", n);
  out->p = p;
  out->n = n;
  return 0;
}

void hf_mapped_free(struct hf_mapped *m) {
  if (m->p) munmap((void *)(uintptr_t)m->p, m->n);
  m->p = NULL;
}

/* Fetch the recipe's chunks into a temporary file. */
static int fetch_recipe(struct hf_reading *rd, const struct hf_record_stream *st, struct hf_mapped *out, struct hf_error *err) {
  struct hf_plan *plan = NULL;
  int r = hf_reading_ready(rd, err);
  if (r < 0) return r;
  HF_CLEANUP(hf_closep) int fd = hf_reading_temp(rd, err);
  if (fd < 0) return fd;
  r = hf_reading_plan(rd, &plan, err);
  uint64_t at = 0, lost = 0;
  for (size_t i = 0; r == 0 && i < st->n_recipe; i++) {
    struct hf_state_chunk c = {0};
    r = hf_state_chunk_find(rd->s->state, &st->recipe[i], &c, err);
    if (r < 0) break;
    struct hf_piece piece = {.slice = {.id = st->recipe[i], .chunk_len = c.length, .length = c.length}, .dest = at};
    r = hf_plan_add(plan, &piece, err);
    at += c.length;
  }
  if (r == 0) r = hf_reading_execute(rd, plan, write_piece, &fd, &lost, err);
  hf_plan_free(plan);
  if (r < 0) return r;
  if (lost > 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "source %s: the recipe of stream %s is lost: what it is made of cannot be known", rd->source->name, st->name);
  if (at != st->recipe_size || at == 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "source %s: the recipe of stream %s has %llu bytes instead of %llu", rd->source->name, st->name, (unsigned long long)at, (unsigned long long)st->recipe_size);
  r = map_fd(fd, (size_t)at, out, err);
  if (r < 0) return r;
  struct hf_digest got;
  hf_sha256(out->p, out->n, &got);
  if (hf_digest_eq(&got, &st->recipe_sha256)) return 0;
  hf_mapped_free(out);
  return hf_fail(err, HOLDFAST_E_CORRUPT, "source %s: the recipe of stream %s is not the one that the record names", rd->source->name, st->name);
}

int hf_reading_recipe(struct hf_reading *rd, const struct hf_record_stream *st, bool allow_local, struct hf_mapped *out, struct hf_error *err) {
  if (allow_local) {
    HF_CLEANUP(hf_closep) int fd = -1;
    uint64_t size = 0;
    int r = hf_state_recipe_of(rd->s->state, rd->source->name, st->name, rd->rec->seq, &fd, &size, err);
    if (r < 0) return r;
    if (fd >= 0) return map_fd(fd, (size_t)size, out, err);
  }
  return fetch_recipe(rd, st, out, err);
}

int hf_reading_assemble(struct hf_reading *rd, const struct hf_mapped *recipe, int fd, uint64_t *lost, struct hf_error *err) {
  struct hf_plan *plan = NULL;
  struct hf_recipe_reader rr;
  struct hf_piece piece = {0};
  struct hf_recipe_entry e;
  uint64_t at = 0;
  int r = hf_reading_ready(rd, err);
  if (r == 0) r = hf_recipe_open(&rr, recipe->p, recipe->n, err);
  if (r == 0) r = hf_reading_plan(rd, &plan, err);
  int t = 0;
  while (r == 0 && (t = hf_recipe_next(&rr, &piece.slice, &e, err)) > 0) {
    if (t != HF_RL_SLICE) continue;
    piece.dest = at;
    at += piece.slice.length;
    r = hf_plan_add(plan, &piece, err);
  }
  if (r == 0) r = t;
  if (r == 0 && ftruncate(fd, (off_t)at) < 0) r = hf_fail_errno(err, errno, "cannot size a file to %llu bytes", (unsigned long long)at);
  if (r == 0) r = hf_reading_execute(rd, plan, write_piece, &fd, lost, err);
  hf_plan_free(plan);
  return r;
}
