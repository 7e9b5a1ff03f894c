/* verify_read.c - the third depth: decrypt every needed pack, identify every chunk, walk every recipe.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "engine/verify_impl.h"

/* One audience: who its packs are for, from any record that has it. */
struct audience {
  char name[33];
  const struct hf_record_source *source; /* for its recipients */
  struct hf_record *rec;                 /* that source's, owned */
};

struct all {
  struct hf_verifying *v;
  struct audience *v_aud;
  size_t n;
  struct hf_plan *plan; /* of the audience at work */
  const struct audience *now;
  struct hf_reading *rd;
  uint64_t chunks; /* identified; counted by several threads */
};

/* Keep rec alive when it is the first with an audience. Returns whether it was taken. */
static bool learn(struct all *a, struct hf_record *rec) {
  bool taken = false;
  for (size_t i = 0; i < rec->n_sources; i++) {
    bool known = false;
    for (size_t k = 0; k < a->n; k++) known |= strcmp(a->v_aud[k].name, rec->sources[i].audience) == 0;
    if (known) continue;
    a->v_aud = hf_realloc(a->v_aud, (a->n + 1) * sizeof *a->v_aud);
    struct audience *x = &a->v_aud[a->n++];
    memset(x, 0, sizeof *x);
    snprintf(x->name, sizeof x->name, "%s", rec->sources[i].audience);
    x->source = &rec->sources[i];
    x->rec = rec;
    taken = true;
  }
  return taken;
}

struct adding { struct all *a; int64_t row; };

static int add_chunk(void *ctx, const struct hf_digest *id, uint32_t offset HF_UNUSED, uint32_t length, struct hf_error *err) {
  struct adding *x = ctx;
  struct hf_piece piece = {.slice = {.id = *id, .chunk_len = length, .length = length}};
  return hf_plan_add(x->a->plan, &piece, err);
}

struct pack_list { struct all *a; int64_t *rows; size_t n; };

static int add_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct pack_list *l = ctx;
  if (!hf_verify_needs(l->a->v, p->row)) return 0;
  if ((l->n & (l->n - 1)) == 0) l->rows = hf_realloc(l->rows, (l->n ? l->n * 2 : 1) * sizeof *l->rows);
  l->rows[l->n++] = p->row;
  return 0;
}

static int count(void *ctx, const struct hf_piece *piece HF_UNUSED, const void *p HF_UNUSED, struct hf_error *err HF_UNUSED) {
  struct all *a = ctx;
  __atomic_add_fetch(&a->chunks, 1, __ATOMIC_RELAXED);
  return 0;
}

static void bad(void *ctx, const char *object, const char *why) {
  struct all *a = ctx;
  hf_verify_finding(a->v, NULL, object, "%s", why);
}

static void progress(void *ctx, uint64_t packs, uint64_t total, uint64_t stored HF_UNUSED, uint64_t total_stored HF_UNUSED) {
  struct all *a = ctx;
  if (a->v->o->progress) a->v->o->progress(a->v->o->ctx, "", "packs decrypted", packs, total);
}

/* All needed packs whose audience is a->now. */
static int one_audience(struct all *a, struct hf_error *err) {
  struct hf_session *s = a->v->s;
  struct hf_reading rd;
  struct pack_list l = {.a = a};
  hf_reading_init(s, a->now->rec, a->now->source, &rd);
  rd.bad = bad;
  rd.progress = progress;
  rd.ctx = a;
  int r = hf_reading_ready(&rd, err);
  if (r == 0) r = hf_plan_new(s->state, &a->plan, err);
  if (r == 0) r = hf_state_packs_of(s->state, a->now->name, add_pack, &l, err);
  for (size_t i = 0; r == 0 && i < l.n; i++) {
    struct adding x = {a, l.rows[i]};
    r = hf_state_chunks_each(s->state, l.rows[i], add_chunk, &x, err);
  }
  uint64_t lost = 0;
  if (r == 0) r = hf_reading_execute(&rd, a->plan, count, a, &lost, err);
  hf_plan_free(a->plan);
  a->plan = NULL;
  free(l.rows);
  hf_wipe(&rd.audience, sizeof rd.audience);
  return r;
}

static bool is_needed(void *ctx, int64_t row) { return hf_verify_needs(ctx, row); }

/* Is every chunk that the recipe names known, and in a pack that the snapshot's record refers to? The parser itself checks form, order and sums. */
static int walk_recipe(struct all *a, const struct hf_record *rec, const struct hf_record_source *src, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_reading rd;
  struct hf_mapped recipe = {0};
  struct hf_error e = {0};
  hf_reading_init(a->v->s, rec, src, &rd);
  rd.bad = bad;
  rd.ctx = a;
  char what[200];
  snprintf(what, sizeof what, "snapshot %llu source %s stream %s", (unsigned long long)rec->seq, src->name, st->name);
  int r = hf_reading_recipe(&rd, st, false, &recipe, &e);
  if (r == HOLDFAST_E_AUTH || r == HOLDFAST_E_CANCELED || r == HOLDFAST_E_NO_SPACE) return hf_fail(err, r, "%s", e.msg);
  struct hf_recipe_reader rr;
  struct hf_slice s;
  struct hf_recipe_entry en;
  uint64_t unknown = 0;
  if (r == 0) r = hf_recipe_open(&rr, recipe.p, recipe.n, &e);
  int t = 0;
  while (r == 0 && (t = hf_recipe_next(&rr, &s, &en, &e)) > 0) {
    struct hf_state_chunk c;
    struct hf_state_pack p;
    if (t != HF_RL_SLICE) continue;
    int k = hf_state_chunk_find_in(a->v->s->state, &s.id, is_needed, a->v, &c, err);
    if (k < 0) {
      hf_mapped_free(&recipe);
      return k;
    }
    if (k == 0 || c.length != s.chunk_len || hf_state_pack_get(a->v->s->state, c.pack, &p, NULL) < 0 || !hf_verify_needs(a->v, c.pack)) unknown++;
  }
  if (r == 0) r = t;
  if (r < 0) hf_verify_finding(a->v, NULL, what, "%s", e.msg);
  else if (unknown) hf_verify_finding(a->v, NULL, what, "%llu of its chunks are in no pack that the snapshot refers to", (unsigned long long)unknown);
  else if (rr.bytes != st->size || rr.clines != st->chunks || rr.elines != st->entries) hf_verify_finding(a->v, NULL, what, "the recipe's sums are not those of the record");
  hf_mapped_free(&recipe);
  a->v->out->recipes++;
  return 0;
}

static int walk_recipes(struct all *a, const struct hf_record *rec, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < rec->n_sources; i++) {
    for (size_t k = 0; r == 0 && k < rec->sources[i].n_streams; k++) r = walk_recipe(a, rec, &rec->sources[i], &rec->sources[i].streams[k], err);
  }
  return r;
}

int hf_verify_decrypt(struct hf_verifying *v, struct hf_error *err) {
  struct all a = {.v = v};
  int r = 0;
  for (size_t i = 0; r == 0 && i < v->live.n; i++) {
    struct hf_record *rec = NULL;
    if (!hf_live_within_reach(v->s, &v->live.v[i]) || hf_session_record(v->s, v->live.v[i].seq, &rec, NULL, NULL) < 0) continue;
    r = walk_recipes(&a, rec, err);
    if (!learn(&a, rec)) hf_record_free(rec);
  }
  for (size_t i = 0; r == 0 && i < a.n; i++) {
    a.now = &a.v_aud[i];
    r = one_audience(&a, err);
  }
  v->out->chunks = a.chunks;
  for (size_t i = 0; i < a.n; i++) {
    bool shared = false;
    for (size_t k = 0; k < i; k++) shared |= a.v_aud[k].rec == a.v_aud[i].rec;
    if (!shared) hf_record_free(a.v_aud[i].rec);
  }
  free(a.v_aud);
  return r;
}
