/* confirm.c - is everything a snapshot needs at a target? Asked by one listing, before its record may go there.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "engine/engine.h"

/* One bit per pack of the catalogue, one per index of the record: the memory bound. */
struct confirm {
  struct hf_session *s;
  const struct hf_record *rec;
  bool (*refers)(void *ctx, int64_t row);
  void *ctx;
  unsigned char *packs, *indexes;
  int64_t max;
  struct hf_error err;
  struct hf_list *missing;
  uint64_t n_missing;
};

static int see_pack(void *ctx, const char *key, uint64_t size) {
  struct confirm *c = ctx;
  struct hf_object_name name;
  struct hf_state_pack p;
  hf_key_parse(key, &name);
  if (name.kind != HF_OBJ_PACK) return 0;
  int r = hf_state_pack_find(c->s->state, &name.digest, &p, &c->err);
  if (r == 1 && p.stored == size && p.row <= c->max) c->packs[p.row / 8] |= (unsigned char)(1u << (p.row % 8));
  return r < 0 ? r : 0;
}

static int see_index(void *ctx, const char *key, uint64_t size HF_UNUSED) {
  struct confirm *c = ctx;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  if (name.kind != HF_OBJ_INDEX) return 0;
  for (size_t i = 0; i < c->rec->n_indexes; i++) {
    if (hf_digest_eq(&c->rec->indexes[i].sha256, &name.digest)) c->indexes[i] = 1;
  }
  return 0;
}

static void miss(struct confirm *c, const char *key) {
  if (c->missing) hf_list_add(c->missing, key);
  c->n_missing++;
}

static int check_pack(void *ctx, const struct hf_state_pack *p, struct hf_error *err HF_UNUSED) {
  struct confirm *c = ctx;
  if (!c->refers(c->ctx, p->row) || (c->packs[p->row / 8] >> (p->row % 8) & 1)) return 0;
  char key[HF_KEY_MAX];
  hf_key_pack(key, &p->digest);
  miss(c, key);
  return 0;
}

int hf_confirm(struct hf_session *s, size_t target, bool (*refers)(void *, int64_t), void *ctx, const struct hf_record *rec, struct hf_list *missing, uint64_t *n_missing, struct hf_error *err) {
  struct confirm c = {.s = s, .rec = rec, .refers = refers, .ctx = ctx, .missing = missing, .max = hf_state_pack_max(s->state)};
  c.packs = hf_alloc((size_t)c.max / 8 + 1);
  c.indexes = hf_alloc(rec->n_indexes + 1);
  int r = hf_target_list(s->targets[target], "packs/", see_pack, &c, err);
  if (r < 0 && c.err.code && err) *err = c.err;
  if (r == 0) r = hf_target_list(s->targets[target], "indexes/", see_index, &c, err);
  if (r == 0) r = hf_state_packs_each(s->state, check_pack, &c, err);
  for (size_t i = 0; r == 0 && i < rec->n_indexes; i++) {
    if (c.indexes[i]) continue;
    char key[HF_KEY_MAX];
    hf_key_index(key, &rec->indexes[i].sha256);
    miss(&c, key);
  }
  free(c.packs);
  free(c.indexes);
  *n_missing = c.n_missing;
  return r;
}
