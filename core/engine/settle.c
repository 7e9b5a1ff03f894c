/* settle.c - after a prune: what has to stay, and what the catalogue forgets.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/settle.h"

/* Facts of the state: indexes up to this row are older than the last run that committed; the chain is settled up to this record. */
#define RUN_BEGAN "run-began-at-index"
#define SETTLED "settled"

int hf_settle_run(struct hf_session *s, int64_t index_at_begin, struct hf_error *err) { return hf_state_set_number(s->state, RUN_BEGAN, index_at_begin, err); }

/* ---- lost packs: where their chunks are now ---- */

struct lost { struct hf_digest index; uint64_t ordinal; };
struct losses {
  struct hf_needs *needs;
  struct lost *v;
  size_t n;
  /* while one index is read: */
  size_t from, to;
  bool wanted;
};

static void add_lost(void *ctx, const struct hf_record *rec HF_UNUSED, const char *index_key, uint64_t ordinal) {
  struct losses *l = ctx;
  struct hf_object_name name;
  hf_key_parse(index_key, &name);
  if ((l->n & (l->n - 1)) == 0) l->v = hf_realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof *l->v);
  l->v[l->n++] = (struct lost){name.digest, ordinal};
}

static int by_index(const void *a, const void *b) {
  const struct lost *x = a, *y = b;
  int c = memcmp(x->index.b, y->index.b, HF_SHA256_LEN);
  return c ? c : x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static int see_pack(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err HF_UNUSED) {
  struct losses *l = ctx;
  struct lost like = {l->v[l->from].index, ordinal};
  char key[HF_KEY_MAX];
  l->wanted = bsearch(&like, l->v + l->from, l->to - l->from, sizeof *l->v, by_index) != NULL;
  hf_key_pack(key, &p->digest);
  if (l->wanted) hf_list_add(&l->needs->lost_keys, key);
  return 0;
}

static int see_chunk(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err) {
  struct losses *l = ctx;
  struct hf_state *st = l->needs->s->state;
  struct hf_state_chunk at;
  struct hf_state_pack p;
  int r = l->wanted ? hf_state_chunk_find(st, &c->id, &at, err) : 0;
  if (r <= 0) return r;
  r = hf_state_pack_get(st, at.pack, &p, err);
  if (r < 0) return r;
  hf_needs_add_pack(l->needs, p.row);
  hf_needs_add_index(l->needs, p.index_row);
  return 0;
}

static int add_replacements(struct losses *l, struct hf_error *err) {
  struct hf_session *s = l->needs->s;
  int r = 0;
  if (l->n) qsort(l->v, l->n, sizeof *l->v, by_index);
  for (l->from = 0; r == 0 && l->from < l->n; l->from = l->to) {
    for (l->to = l->from; l->to < l->n && hf_digest_eq(&l->v[l->to].index, &l->v[l->from].index);) l->to++;
    char key[HF_KEY_MAX];
    HF_CLEANUP(hf_buf_free) struct hf_buf packed = HF_BUF_INIT, text = HF_BUF_INIT;
    struct hf_index_sink sink = {.ctx = l, .pack = see_pack, .chunk = see_chunk};
    hf_key_index(key, &l->v[l->from].index);
    r = hf_session_fetch_sealed(s, key, &l->v[l->from].index, &packed, NULL, err);
    if (r == 0) r = hf_zstd_decompress(packed.data, packed.len, HF_META_MAX, &text, err);
    if (r == 0) r = hf_index_parse(text.data, text.len, s->repo_id, &sink, err);
    if (r < 0) hf_prefix(err, "packs of %s are lost, and what replaces them cannot be told", key);
  }
  return r;
}

/* ---- what the next run will use ---- */

struct leftovers { struct hf_needs *needs, *named; int64_t began; };

static int add_leftover(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct leftovers *x = ctx;
  if (p->index_row <= x->began || hf_needs_pack(x->named, p->row)) return 0;
  hf_needs_add_pack(x->needs, p->row);
  hf_needs_add_index(x->needs, p->index_row);
  return 0;
}

/* Packs that no snapshot ever named, in indexes not older than the last run that committed. What was pruned has been named. */
static int add_leftovers(struct hf_needs *needs, const struct hf_live *live, struct hf_error *err) {
  struct hf_needs named;
  struct leftovers x = {.needs = needs, .named = &named};
  int r = hf_needs_open(needs->s, &named, err);
  if (r < 0) return r;
  for (size_t i = 0; r == 0 && i < live->n; i++) {
    struct hf_record *rec = NULL;
    r = hf_session_record(needs->s, live->v[i].seq, &rec, NULL, err);
    if (r == 0) r = hf_needs_add(&named, rec, err);
    hf_record_free(rec);
  }
  if (r == 0) r = hf_state_get_number(needs->s->state, RUN_BEGAN, 0, &x.began, err);
  if (r == 0) r = hf_state_packs_each(needs->s->state, add_leftover, &x, err);
  hf_needs_free(&named);
  return r;
}

int hf_settle_needs(struct hf_session *s, const struct hf_live *live, const char *target, struct hf_needs *out, struct hf_error *err) {
  struct losses losses = {.needs = out};
  int r = hf_needs_open(s, out, err);
  if (r < 0) return r;
  out->tell_lost = add_lost;
  out->ctx = &losses;
  r = hf_needs_add_live(out, live, target, err);
  out->tell_lost = NULL;
  if (r == 0) r = add_replacements(&losses, err);
  if (r == 0) r = add_leftovers(out, live, err);
  free(losses.v);
  if (r < 0) hf_needs_free(out);
  return r;
}

/* ---- forgetting ---- */

struct rows { const struct hf_needs *needs; int64_t *v; size_t n; };

static int add_dead(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct rows *x = ctx;
  if (hf_needs_pack(x->needs, p->row)) return 0;
  if ((x->n & (x->n - 1)) == 0) x->v = hf_realloc(x->v, (x->n ? x->n * 2 : 1) * sizeof *x->v);
  x->v[x->n++] = p->row;
  return 0;
}

int hf_settle(struct hf_session *s, const struct hf_live *live, struct hf_error *err) {
  struct hf_needs needs;
  struct hf_digest d;
  uint64_t packs;
  int64_t began = 0;
  int r = hf_settle_needs(s, live, NULL, &needs, err);
  if (r < 0) return r;
  struct rows dead = {.needs = &needs};
  r = hf_state_packs_each(s->state, add_dead, &dead, err);
  for (size_t i = 0; r == 0 && i < dead.n; i++) r = hf_state_pack_drop(s->state, dead.v[i], err);
  free(dead.v);
  for (int64_t row = 1; r == 0 && row <= needs.max_index; row++) {
    if (!hf_needs_index(&needs, row) && hf_state_index_get(s->state, row, &d, &packs, NULL) == 0) r = hf_state_index_forget(s->state, row, err);
  }
  hf_needs_free(&needs);
  /* The numbers of the newest indexes are given again when they are forgotten. */
  if (r == 0) r = hf_state_get_number(s->state, RUN_BEGAN, 0, &began, err);
  if (r == 0 && began > hf_state_index_max(s->state)) r = hf_state_set_number(s->state, RUN_BEGAN, hf_state_index_max(s->state), err);
  if (r == 0) r = hf_state_set_number(s->state, SETTLED, (int64_t)s->head, err);
  return r == 0 ? hf_state_commit(s->state, err) : r;
}

/* An index that is only where nobody can look now: what is in it may be stored again, and is no reason not to back up. */
static void missed(void *ctx, uint64_t seq HF_UNUSED, const struct hf_error *why) {
  bool *gap = ctx;
  hf_log(*gap ? HF_LOG_INFO : HF_LOG_WARNING, "%s; what that snapshot holds is not known for now, and may be stored again", why->msg);
  *gap = true;
}

/* Snapshots that others took, or this host before its state was lost or put back: what they hold need not be stored again. Of this host's own, all is known. Nothing was pruned since. */
static int learn_indexes(struct hf_session *s, uint64_t after, bool *gap, struct hf_error *err) {
  for (uint64_t seq = after + 1; seq <= s->head; seq++) {
    struct hf_record *rec = NULL;
    struct hf_error e = {0};
    if (hf_session_record(s, seq, &rec, NULL, NULL) < 0) continue;
    int r = rec->type == HF_RECORD_SNAPSHOT ? hf_session_load_indexes(s, rec, &e) : 0;
    hf_record_free(rec);
    if (r == HOLDFAST_E_AUTH || r == HOLDFAST_E_CANCELED) return hf_fail(err, r, "%s", e.msg);
    if (r < 0) missed(gap, seq, &e);
  }
  return 0;
}

int hf_settle_rest(struct hf_session *s, struct hf_error *err) {
  int64_t settled = 0;
  bool pruned = false, gap = false;
  int r = hf_state_get_number(s->state, SETTLED, 0, &settled, err);
  uint64_t after = (uint64_t)HF_MAX(settled, 0);
  for (uint64_t seq = after + 1; r == 0 && seq <= s->head && !pruned; seq++) {
    struct hf_record *rec = NULL;
    if (hf_session_record(s, seq, &rec, NULL, NULL) < 0) continue;
    pruned = rec->type == HF_RECORD_PRUNE;
    hf_record_free(rec);
  }
  if (r < 0) return r;
  if (pruned) {
    struct hf_live live;
    r = hf_live_load(s, &live, err);
    if (r < 0) return r;
    r = hf_live_load_indexes(s, &live, NULL, missed, &gap, err);
    if (r == 0) r = hf_settle(s, &live, err);
    hf_live_free(&live);
  } else {
    r = learn_indexes(s, after, &gap, err);
  }
  /* With a gap it is looked for again by the next run. */
  return r == 0 ? hf_state_set_number(s->state, SETTLED, gap ? (int64_t)after : (int64_t)s->head, err) : r;
}
