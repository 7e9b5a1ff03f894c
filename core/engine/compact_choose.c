/* compact_choose.c - the packs of an audience as their indexes say, and which of them are worth repacking.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/append.h"
#include "engine/compact_impl.h"

/* ---- the packs, as their indexes say ---- */

static int see_pack(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err) {
  struct hf_compacting *w = ctx;
  struct hf_state_pack known;
  w->pack = NULL;
  if (strcmp(p->audience, w->now->name) != 0) return 0;
  int r = hf_state_pack_find(w->s->state, &p->digest, &known, err);
  if (r <= 0 || !hf_needs_pack(&w->needs, known.row)) return r < 0 ? r : 0;
  /* The catalogue holds a pack once; a second index that names it is not the one that counts. */
  struct hf_digest index;
  uint64_t n;
  r = hf_state_index_get(w->s->state, known.index_row, &index, &n, err);
  if (r < 0 || !hf_digest_eq(&index, &w->index)) return r;
  if (w->at == w->n_packs) {
    if ((w->n_packs & (w->n_packs - 1)) == 0)
      w->packs = hf_realloc(w->packs, (w->n_packs ? w->n_packs * 2 : 1) * sizeof *w->packs);
    w->packs[w->n_packs++] = (struct hf_compact_pack){.index = w->index,
                                           .ordinal = ordinal,
                                           .row = known.row,
                                           .source = hf_strdup(p->source),
                                           .kind = p->kind,
                                           .stored = p->stored};
  }
  w->pack = &w->packs[w->at++];
  return 0;
}

static int see_chunk(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err) {
  struct hf_compacting *w = ctx;
  if (!w->pack) return 0;
  w->see(w, w->pack, c);
  return w->e.code ? hf_fail(err, w->e.code, "%s", w->e.msg) : 0;
}

int hf_compact_scan(struct hf_compacting *w, void (*see)(struct hf_compacting *, struct hf_compact_pack *, const struct hf_chunk_ref *), struct hf_error *err) {
  int r = 0;
  w->see = see;
  w->at = 0;
  for (int64_t row = 1; r == 0 && row <= w->needs.max_index; row++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf packed = HF_BUF_INIT, text = HF_BUF_INIT;
    struct hf_index_sink sink = {.ctx = w, .pack = see_pack, .chunk = see_chunk};
    char key[HF_KEY_MAX];
    uint64_t n;
    if (!hf_needs_index(&w->needs, row)) continue;
    r = hf_state_index_get(w->s->state, row, &w->index, &n, err);
    if (r < 0) break;
    hf_key_index(key, &w->index);
    r = hf_session_fetch_sealed(w->s, key, &w->index, &packed, NULL, err);
    if (r == 0) r = hf_zstd_decompress(packed.data, packed.len, HF_META_MAX, &text, err);
    if (r == 0) r = hf_index_parse(text.data, text.len, w->s->repo_id, &sink, err);
    if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
    if (r < 0) hf_prefix(err, "%s", key);
  }
  return r;
}

static void measure(struct hf_compacting *w, struct hf_compact_pack *p, const struct hf_chunk_ref *c) {
  p->bytes += c->length;
  if (hf_compact_is_needed(w, &c->id)) p->needed += c->length;
}

/* ---- choosing ---- */

/* Is the target there, level and well, so that it can be given new packs now? Its place among the session's, or -1. */
static long usable(const struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) == 0)
      return hf_target_is_level(s, i) && !hf_target_failure(s->targets[i]) ? (long)i : -1;
  }
  return -1;
}

/* May it hold something that this host does not know of? It cannot be looked at, and is not remembered: the state is new, or the target is. */
static bool is_unknown(const struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) == 0) return s->chains[i].unreadable;
  }
  return true;
}

/* The newest snapshot that the target held when it was taken. */
static uint64_t last_held(const struct hf_live *l, const char *target) {
  for (size_t i = l->n; i > 0; i--) {
    if (hf_list_has(&l->v[i - 1].held, target)) return l->v[i - 1].seq;
  }
  return 0;
}

/* What a target has to hold and got so far: what it gets later is new packs. */
static int needs_of(struct hf_compacting *w, const char *target, struct hf_needs *out, struct hf_error *err) {
  uint64_t head = 0;
  int r = hf_session_head_of(w->s, target, &head, err);
  if (head == 0 && !hf_manifest_find_target(w->s->manifest, target)) head = last_held(w->live, target);
  else if (head == 0 && is_unknown(w->s, target)) head = UINT64_MAX;
  if (r == 0) r = hf_needs_open(w->s, out, err);
  if (r < 0) return r;
  for (size_t i = 0; r == 0 && i < w->live->n && w->live->v[i].seq <= head; i++) {
    struct hf_record *rec = NULL;
    if (!hf_live_at(&w->live->v[i], target)) continue;
    r = hf_session_record(w->s, w->live->v[i].seq, &rec, NULL, err);
    if (r == 0) r = hf_needs_add(out, rec, err);
    hf_record_free(rec);
  }
  if (r < 0) hf_needs_free(out);
  return r;
}

static void leave(struct hf_compacting *w, const struct hf_needs *needs) {
  for (size_t k = 0; k < w->n_packs; k++) {
    if (!w->packs[k].take || !hf_needs_pack(needs, w->packs[k].row)) continue;
    w->packs[k].take = false;
    w->out->waiting++;
  }
}

int hf_compact_leave_for_others(struct hf_compacting *w, struct hf_error *err) {
  const struct hf_manifest *m = w->s->manifest;
  struct hf_list names = HF_LIST_INIT;
  int r = 0;
  for (size_t i = 0; i < m->n_targets; i++) {
    if (usable(w->s, m->targets[i].name) < 0) hf_list_add(&names, m->targets[i].name);
  }
  for (size_t i = 0; i < w->live->n; i++) {
    const struct hf_live_snapshot *v = &w->live->v[i];
    for (size_t k = 0; k < v->held.n; k++) {
      const char *name = v->held.v[k];
      if (hf_live_at(v, name) && !hf_manifest_find_target(m, name) && !hf_list_has(&names, name)) hf_list_add(&names, name);
    }
  }
  for (size_t i = 0; r == 0 && i < names.n; i++) {
    struct hf_needs needs;
    r = needs_of(w, names.v[i], &needs, err);
    if (r < 0) break;
    leave(w, &needs);
    hf_needs_free(&needs);
  }
  hf_list_free(&names);
  return r;
}

/* What would be repacked together. */
struct group {
  const char *source;
  enum hf_pack_kind kind;
  uint64_t packs, needed, stored; /* stored: of the new ones, about */
};

static struct group *group_of(struct group **v, size_t *n, const struct hf_compact_pack *p) {
  for (size_t i = 0; i < *n; i++) {
    if ((*v)[i].kind == p->kind && strcmp((*v)[i].source, p->source) == 0) return &(*v)[i];
  }
  *v = hf_realloc(*v, (*n + 1) * sizeof **v);
  (*v)[*n] = (struct group){.source = p->source, .kind = p->kind};
  return &(*v)[(*n)++];
}

static uint64_t new_packs(const struct group *g) {
  uint64_t limit = g->kind == HF_PACK_RECIPE ? HF_RECIPE_PACK : HF_PACK_TARGET;
  return (g->needed + limit - 1) / limit;
}

/* Of each source and kind: is it worthwhile? */
static void leave_what_saves_nothing(struct hf_compacting *w) {
  HF_CLEANUP(hf_freep) struct group *v = NULL;
  size_t n = 0;
  for (size_t i = 0; i < w->n_packs; i++) {
    const struct hf_compact_pack *p = &w->packs[i];
    if (!p->take) continue;
    struct group *g = group_of(&v, &n, p);
    g->packs++;
    g->needed += p->needed;
    g->stored += (uint64_t)((double)p->stored * (double)p->needed / (double)p->bytes);
  }
  for (size_t i = 0; i < w->n_packs; i++) {
    struct hf_compact_pack *p = &w->packs[i];
    if (!p->take) continue;
    const struct group *g = group_of(&v, &n, p);
    if (new_packs(g) >= g->packs) p->take = false;
  }
  for (size_t i = 0; i < n && w->o->dry; i++) {
    if (new_packs(&v[i]) >= v[i].packs) continue;
    w->out->new_packs += new_packs(&v[i]);
    w->out->new_bytes += v[i].stored;
  }
}

int hf_compact_choose(struct hf_compacting *w, struct hf_error *err) {
  int r = hf_compact_scan(w, measure, err);
  for (size_t i = 0; r == 0 && i < w->n_packs; i++)
    w->packs[i].take = w->packs[i].needed * 100 < w->packs[i].bytes * w->o->percent;
  if (r == 0) r = hf_compact_leave_for_others(w, err);
  if (r == 0) leave_what_saves_nothing(w);
  return r;
}

int hf_compact_takers(struct hf_compacting *w, struct hf_target **v, size_t *n, struct hf_error *err) {
  const struct hf_manifest *m = w->s->manifest;
  *n = 0;
  for (size_t i = 0; i < m->n_targets; i++) {
    struct hf_needs needs;
    bool any = false;
    long t = usable(w->s, m->targets[i].name);
    if (t < 0) continue;
    int r = needs_of(w, m->targets[i].name, &needs, err);
    if (r < 0) return r;
    for (size_t k = 0; k < w->n_packs && !any; k++) any = hf_compact_is_at_work(w, &w->packs[k]) && hf_needs_pack(&needs, w->packs[k].row);
    hf_needs_free(&needs);
    if (any) v[(*n)++] = w->s->targets[t];
  }
  return 0;
}
