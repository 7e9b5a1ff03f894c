/* status_level.c - does a target hold the objects it has to hold?
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/engine.h"
#include "engine/status_impl.h"

/* One bit per pack of the catalogue: the memory bound. */
struct wanted {
  struct hf_session *s;
  unsigned char *packs;
  int64_t max, index_row;
  uint64_t n;
  uint64_t unnamed; /* ordinals that no index names */
};

static int want(void *ctx, uint64_t ordinal) {
  struct wanted *w = ctx;
  struct hf_state_pack p;
  int r = hf_state_index_pack(w->s->state, w->index_row, ordinal, &p, NULL);
  if (r < 0) return r;
  if (r == 0 || p.row > w->max) {
    w->unnamed++;
  } else if (!(w->packs[p.row / 8] >> (p.row % 8) & 1)) {
    w->packs[p.row / 8] |= (unsigned char)(1u << (p.row % 8));
    w->n++;
  }
  return 0;
}

static bool is_wanted(void *ctx, int64_t row) {
  const struct wanted *w = ctx;
  return row <= w->max && (w->packs[row / 8] >> (row % 8) & 1);
}

static void add_index(struct hf_record *all, const struct hf_digest *d) {
  for (size_t i = 0; i < all->n_indexes; i++) {
    if (hf_digest_eq(&all->indexes[i].sha256, d)) return;
  }
  if ((all->n_indexes & (all->n_indexes - 1)) == 0) all->indexes = hf_realloc(all->indexes, (all->n_indexes ? all->n_indexes * 2 : 1) * sizeof *all->indexes);
  all->indexes[all->n_indexes++] = (struct hf_record_index){.sha256 = *d};
}

/* Call fn for the record of every snapshot that the target has to hold. */
static int each(struct hf_looking *l, const char *target, int (*fn)(void *ctx, const struct hf_record *rec, struct hf_error *err), void *ctx, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < l->live.n && !hf_cancel; i++) {
    struct hf_record *rec = NULL;
    if (!hf_live_at(&l->live.v[i], target)) continue;
    r = hf_session_record(l->s, l->live.v[i].seq, &rec, NULL, err);
    if (r == 0) r = fn(ctx, rec, err);
    hf_record_free(rec);
  }
  return r;
}

static int load(void *ctx, const struct hf_record *rec, struct hf_error *err) { return hf_session_load_indexes(ctx, rec, err); }

struct marking { struct wanted *w; struct hf_record *all; };

static int mark(void *ctx, const struct hf_record *rec, struct hf_error *err) {
  struct marking *m = ctx;
  for (size_t i = 0; i < rec->n_indexes; i++) {
    int r = hf_state_index_find(m->w->s->state, &rec->indexes[i].sha256, &m->w->index_row, NULL, err);
    if (r == 0) r = hf_fail(err, HOLDFAST_E_NOT_FOUND, "an index of snapshot %llu is not known", (unsigned long long)rec->seq);
    if (r == 1) r = hf_ranges_each(rec->indexes[i].packs, want, m->w, err);
    if (r < 0) return r;
    add_index(m->all, &rec->indexes[i].sha256);
  }
  return 0;
}

int hf_status_level(struct hf_looking *l, size_t i, uint64_t *objects, uint64_t *missing, struct hf_error *err) {
  struct hf_session *s = l->s;
  const char *name = hf_target_name(s->targets[i]);
  struct hf_record all = {0};
  struct wanted w = {.s = s};
  struct marking m = {&w, &all};
  /* The indexes first: they add packs to the catalogue. */
  int r = each(l, name, load, s, err);
  if (r < 0) return r;
  w.max = hf_state_pack_max(s->state);
  w.packs = hf_alloc((size_t)w.max / 8 + 1);
  r = each(l, name, mark, &m, err);
  uint64_t lost = 0;
  if (r == 0) r = hf_confirm(s, i, is_wanted, &w, &all, NULL, &lost, err);
  if (r == 0) {
    *objects = w.n + w.unnamed + all.n_indexes;
    *missing = lost + w.unnamed;
  }
  free(w.packs);
  free(all.indexes);
  return r;
}
