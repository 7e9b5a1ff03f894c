/* compact_repack.c - what is needed of the packs that were chosen goes into new ones.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/append.h"
#include "engine/compact_impl.h"
#include "engine/compacted.h"

static void want(struct hf_compacting *w, struct hf_compact_pack *p, const struct hf_chunk_ref *c) {
  struct hf_piece piece = {.slice = {.id = c->id, .chunk_len = c->length, .length = c->length}, .kind = (int)p->kind};
  if (hf_compact_is_at_work(w, p) && hf_compact_is_needed(w, &c->id)) hf_plan_add(w->plan, &piece, &w->e);
}

static void find_lost(struct hf_compacting *w, struct hf_compact_pack *p, const struct hf_chunk_ref *c) {
  if (hf_compact_is_at_work(w, p) && hf_plan_is_lost(w->plan, &c->id)) p->lost = true;
}

static int take_piece(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  struct hf_compacting *w = ctx;
  struct hf_digest id;
  pthread_mutex_lock(&w->lock);
  hf_repo_lock_renew(w->s);
  int r = hf_store_chunk(w->store, (enum hf_pack_kind)piece->kind, p, piece->slice.length, &id, err);
  pthread_mutex_unlock(&w->lock);
  return r;
}

static int is_there(struct hf_target *t, const char *key, uint64_t stored, struct hf_error *err) {
  uint64_t size = 0;
  int r = hf_target_stat(t, key, &size, err);
  if (r == 0 && stored && size != stored)
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "target %s: %s has %llu bytes there instead of %llu", hf_target_name(t), key,
                (unsigned long long)size, (unsigned long long)stored);
  return r;
}

static int confirm_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err) {
  struct hf_target *t = ctx;
  char key[HF_KEY_MAX];
  hf_key_pack(key, &p->digest);
  return is_there(t, key, p->stored, err);
}

static int confirm(struct hf_compacting *w, struct hf_target *const *v, size_t n, const struct hf_record_index *by, size_t n_by,
                   struct hf_error *err) {
  for (size_t i = 0; i < n; i++) {
    struct hf_error why = {0};
    if (hf_target_has_failed(v[i], &why)) return hf_fail(err, why.code, "%s", why.msg);
    int r = hf_state_packs_each(w->state, confirm_pack, v[i], err);
    for (size_t k = 0; r == 0 && k < n_by; k++) {
      char key[HF_KEY_MAX];
      hf_key_index(key, &by[k].sha256);
      r = is_there(v[i], key, 0, err);
    }
    if (r < 0) return r;
  }
  return 0;
}

/* The packs that are replaced, as ordinals of their indexes: packs of one index follow each other. Caller frees both. */
static struct hf_record_index *replaced(struct hf_compacting *w, size_t *n) {
  struct hf_record_index *v = hf_allocn(w->n_packs, sizeof *v);
  *n = 0;
  for (size_t i = 0, to; i < w->n_packs; i = to) {
    size_t max = 0;
    bool any = false;
    for (to = i; to < w->n_packs && hf_digest_eq(&w->packs[to].index, &w->packs[i].index); to++)
      max = HF_MAX(max, (size_t)w->packs[to].ordinal);
    HF_CLEANUP(hf_freep) unsigned char *bits = hf_alloc(max / 8 + 1);
    for (size_t k = i; k < to; k++) {
      const struct hf_compact_pack *p = &w->packs[k];
      if (!hf_compact_is_at_work(w, p) || p->lost) continue;
      bits[p->ordinal / 8] |= (unsigned char)(1u << (p->ordinal % 8));
      any = true;
    }
    if (any) v[(*n)++] = (struct hf_record_index){w->packs[i].index, hf_ranges_write(bits, max + 1)};
  }
  return v;
}

static void indexes_free(struct hf_record_index *v, size_t n) {
  for (size_t i = 0; i < n; i++) free(v[i].packs);
  free(v);
}

static int write_record(struct hf_compacting *w, const struct hf_record_index *by, size_t n_by, struct hf_error *err) {
  size_t n = 0, reached = 0;
  struct hf_record_index *old = replaced(w, &n);
  int r = 0;
  if (n) {
    struct hf_record *rec = hf_alloc(sizeof *rec);
    rec->type = HF_RECORD_PRUNE;
    rec->extra = json_pack("{s:[o]}", "compacted", hf_compaction_json(old, n, by, n_by));
    r = hf_append(w->s, rec, NULL, NULL, &reached, err);
    if (r == 0) w->out->record = rec->seq;
    hf_record_free(rec);
  }
  indexes_free(old, n);
  return r;
}

static int count_new(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct hf_compact_result *out = ctx;
  out->new_packs++;
  out->new_bytes += p->stored;
  return 0;
}

static void count_old(struct hf_compacting *w) {
  for (size_t i = 0; i < w->n_packs; i++) {
    const struct hf_compact_pack *p = &w->packs[i];
    if (!hf_compact_is_at_work(w, p)) continue;
    if (p->lost) {
      w->out->damaged++;
      continue;
    }
    w->out->packs++;
    w->out->bytes += p->stored;
  }
}

static int fill(struct hf_compacting *w, uint64_t *lost, struct hf_error *err) {
  int r = hf_plan_new(w->s->state, &w->plan, err);
  if (r == 0) r = hf_compact_scan(w, want, err);
  if (r == 0) r = hf_reading_execute(&w->rd, w->plan, take_piece, w, lost, err);
  if (r == 0) r = hf_store_end(w->store, true, err);
  if (r == 0) r = hf_store_flush(w->store, err);
  return r;
}

/* One source. */
static int repack(struct hf_compacting *w, struct hf_error *err) {
  struct hf_session *s = w->s;
  const struct hf_manifest_source *m = hf_manifest_find_source(s->manifest, w->source);
  struct hf_store_source src = {.name = w->source,
                                .audience = &w->rd.audience,
                                .recipients = &w->now->recipients,
                                .level = m ? m->compression : 2,
                                .hide = m && m->hide_recipients,
                                .padding = m && m->padding};
  struct hf_list all = HF_LIST_INIT;
  struct hf_record_index *by = NULL;
  size_t n_by = 0, n = 0;
  uint64_t lost = 0;
  struct hf_target **v = hf_allocn(s->n_targets, sizeof *v);
  int r = hf_session_all_recipients(s, &all, err);
  if (r == 0) r = hf_compact_takers(w, v, &n, err);
  /* Once more: a target may have dropped out since, by what was done for the source before. */
  if (r == 0) r = hf_compact_leave_for_others(w, err);
  if (r == 0) r = hf_state_open_temporary(&w->state, err);
  struct hf_store_options so = {.state = w->state,
                                .gpg = s->host,
                                .repo_id = s->repo_id,
                                .signer = s->host_key,
                                .index_recipients = &all,
                                .targets = v,
                                .n_targets = n,
                                .checkpoint = s->manifest->checkpoint,
                                .cancel = &hf_cancel};
  if (r == 0) r = hf_store_open(&so, &w->store, err);
  if (r == 0) r = hf_store_begin(w->store, &src, err);
  if (r == 0) r = fill(w, &lost, err);
  if (r == 0 && lost) r = hf_compact_scan(w, find_lost, err);
  if (r == 0) r = hf_store_indexes(w->store, &by, &n_by, err);
  if (r == 0) r = confirm(w, v, n, by, n_by, err);
  if (r == 0 && hf_cancel) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  uint64_t before = w->out->record;
  if (r == 0) r = write_record(w, by, n_by, err);
  if (r == 0) count_old(w);
  if (r == 0 && w->out->record != before) r = hf_state_packs_each(w->state, count_new, w->out, err);
  hf_store_close(w->store);
  w->store = NULL;
  hf_plan_free(w->plan);
  w->plan = NULL;
  hf_state_close(w->state);
  w->state = NULL;
  indexes_free(by, n_by);
  hf_list_free(&all);
  free(v);
  return r < 0 ? hf_prefix(err, "source %s", w->source) : 0;
}

int hf_compact_repack(struct hf_compacting *w, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < w->n_packs; i++) {
    bool done = !w->packs[i].take;
    for (size_t k = 0; k < i && !done; k++) done = w->packs[k].take && strcmp(w->packs[k].source, w->packs[i].source) == 0;
    if (done) continue;
    w->source = w->packs[i].source;
    if (w->o->dry)
      count_old(w);
    else
      r = repack(w, err);
  }
  return r;
}
