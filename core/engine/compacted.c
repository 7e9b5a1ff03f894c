/* compacted.c - from the packs that a snapshot was stored in to those that hold it now.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/compacted.h"

#include "base/json.h"

/* The packs of one index: a bit for each ordinal. */
struct part {
  struct hf_digest index;
  unsigned char *bits;
  size_t n; /* bytes */
};
/* By index digest. */
struct set {
  struct part *v;
  size_t n;
};
struct step {
  struct set replaced, by;
};

struct hf_compactions {
  struct step *v;
  size_t n;
  size_t forgotten; /* of them, those that the catalogue has no replaced pack of */
  uint64_t seen;    /* records up to this one have been looked at */
};

/* ---- sets ---- */

static void set_free(struct set *s) {
  for (size_t i = 0; i < s->n; i++) free(s->v[i].bits);
  free(s->v);
  *s = (struct set){NULL, 0};
}

static struct part *find(const struct set *s, const struct hf_digest *index, size_t *place) {
  size_t a = 0, b = s->n;
  while (a < b) {
    size_t m = a + (b - a) / 2;
    int c = memcmp(s->v[m].index.b, index->b, HF_SHA256_LEN);
    if (c == 0) return &s->v[m];
    if (c < 0)
      a = m + 1;
    else
      b = m;
  }
  if (place) *place = a;
  return NULL;
}

static struct part *get(struct set *s, const struct hf_digest *index) {
  size_t at = 0;
  struct part *p = find(s, index, &at);
  if (p) return p;
  if ((s->n & (s->n - 1)) == 0) s->v = hf_realloc(s->v, (s->n ? s->n * 2 : 1) * sizeof *s->v);
  memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
  s->n++;
  s->v[at] = (struct part){.index = *index};
  return &s->v[at];
}

static void grow(struct part *p, size_t n) {
  if (n <= p->n) return;
  p->bits = hf_realloc(p->bits, n);
  memset(p->bits + p->n, 0, n - p->n);
  p->n = n;
}

static int add_ordinal(void *ctx, uint64_t ordinal) {
  struct part *p = ctx;
  if (ordinal / 8 >= p->n) grow(p, HF_MAX((size_t)ordinal / 8 + 1, p->n * 2));
  p->bits[ordinal / 8] |= (unsigned char)(1u << (ordinal % 8));
  return 0;
}

static int set_add(struct set *s, const struct hf_digest *index, const char *packs, struct hf_error *err) {
  return hf_ranges_each(packs, add_ordinal, get(s, index), err);
}

static int set_of_record(struct set *s, const struct hf_record *rec, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < rec->n_indexes; i++) r = set_add(s, &rec->indexes[i].sha256, rec->indexes[i].packs, err);
  return r;
}

/* Take out of s what is in x. Was there any? */
static bool set_take(struct set *s, const struct set *x) {
  bool any = false;
  for (size_t i = 0; i < x->n; i++) {
    struct part *p = find(s, &x->v[i].index, NULL);
    for (size_t k = 0; p && k < HF_MIN(p->n, x->v[i].n); k++) {
      any |= p->bits[k] & x->v[i].bits[k];
      p->bits[k] &= (unsigned char)~x->v[i].bits[k];
    }
  }
  return any;
}

static void set_join(struct set *s, const struct set *x) {
  for (size_t i = 0; i < x->n; i++) {
    struct part *p = get(s, &x->v[i].index);
    grow(p, x->v[i].n);
    for (size_t k = 0; k < x->v[i].n; k++) p->bits[k] |= x->v[i].bits[k];
  }
}

static void set_to_record(const struct set *s, struct hf_record *rec) {
  for (size_t i = 0; i < rec->n_indexes; i++) free(rec->indexes[i].packs);
  free(rec->indexes);
  rec->indexes = hf_allocn(s->n, sizeof *rec->indexes);
  rec->n_indexes = 0;
  for (size_t i = 0; i < s->n; i++) {
    char *packs = hf_ranges_write(s->v[i].bits, s->v[i].n * 8);
    if (*packs)
      rec->indexes[rec->n_indexes++] = (struct hf_record_index){s->v[i].index, packs};
    else
      free(packs);
  }
}

/* ---- from and to records ---- */

static int read_set(const json_t *a, struct set *out, struct hf_error *err) {
  const json_t *v;
  size_t i;
  int r = json_is_array(a) ? 0 : hf_fail(err, HOLDFAST_E_CORRUPT, "\"compacted\" has no lists of packs");
  json_array_foreach(a, i, v) {
    const char *hex = json_string_value(json_object_get(v, "sha256")), *packs = json_string_value(json_object_get(v, "packs"));
    struct hf_digest d;
    if (!hex || strlen(hex) != 64 || !hf_digest_parse(hex, &d) || !packs || !*packs)
      return hf_fail(err, HOLDFAST_E_CORRUPT, "\"compacted\" has an element without \"sha256\" and \"packs\"");
    if (r == 0) r = set_add(out, &d, packs, err);
  }
  return r;
}

int hf_compactions_add(struct hf_compactions *c, const json_t *compacted, struct hf_error *err) {
  const json_t *v;
  size_t i;
  json_array_foreach(compacted, i, v) {
    struct step x = {{NULL, 0}, {NULL, 0}};
    int r = read_set(json_object_get(v, "replaced"), &x.replaced, err);
    if (r == 0) r = read_set(json_object_get(v, "by"), &x.by, err);
    if (r < 0) {
      set_free(&x.replaced);
      set_free(&x.by);
      return r;
    }
    if ((c->n & (c->n - 1)) == 0) c->v = hf_realloc(c->v, (c->n ? c->n * 2 : 1) * sizeof *c->v);
    c->v[c->n++] = x;
  }
  return 0;
}

int hf_compactions_apply(const struct hf_compactions *c, struct hf_record *rec, struct hf_error *err) {
  struct set now = {NULL, 0};
  bool any = false;
  if (c->n == 0 || rec->n_indexes == 0) return 0;
  int r = set_of_record(&now, rec, err);
  /* In their order: what came in place of a pack may have been replaced again. */
  for (size_t i = 0; r == 0 && i < c->n; i++) {
    if (!set_take(&now, &c->v[i].replaced)) continue;
    set_join(&now, &c->v[i].by);
    any = true;
  }
  if (r == 0 && any) set_to_record(&now, rec);
  set_free(&now);
  return r;
}

static json_t *indexes_json(const struct hf_record_index *v, size_t n) {
  json_t *a = json_array();
  for (size_t i = 0; i < n; i++) {
    char hex[HF_SHA256_HEX];
    hf_digest_hex(&v[i].sha256, hex);
    json_array_append_new(a, json_pack("{s:s,s:s}", "sha256", hex, "packs", v[i].packs));
  }
  return a;
}

json_t *hf_compaction_json(const struct hf_record_index *replaced, size_t n_replaced, const struct hf_record_index *by,
                           size_t n_by) {
  return json_pack("{s:o,s:o}", "replaced", indexes_json(replaced, n_replaced), "by", indexes_json(by, n_by));
}

struct hf_compactions *hf_compactions_new(void) {
  return hf_alloc(sizeof(struct hf_compactions));
}

void hf_compactions_free(struct hf_compactions *c) {
  if (!c) return;
  for (size_t i = 0; i < c->n; i++) {
    set_free(&c->v[i].replaced);
    set_free(&c->v[i].by);
  }
  free(c->v);
  free(c);
}

/* ---- the session's ---- */

/* Look at the records that came since. Few have any: the others are not parsed for it. */
static int learn(struct hf_session *s, struct hf_error *err) {
  static const char member[] = "\"compacted\"";
  struct hf_compactions *c = s->compactions;
  uint64_t max = hf_state_record_max(s->state);
  for (uint64_t seq = c->seen + 1; seq <= max; seq++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf json = HF_BUF_INIT;
    struct hf_record *rec = NULL;
    int r = hf_state_record_get(s->state, seq, NULL, &json, err);
    if (r == 1 && memmem(json.data, json.len, member, sizeof member - 1)) {
      r = hf_record_parse(json.data, json.len, &rec, err);
      if (r == 0 && rec->type == HF_RECORD_PRUNE) r = hf_compactions_add(c, json_object_get(rec->extra, "compacted"), err);
      hf_record_free(rec);
      if (r < 0) return hf_prefix(err, "record %llu", (unsigned long long)seq);
    }
    if (r < 0) return r;
    c->seen = seq;
  }
  return 0;
}

int hf_session_compacted(struct hf_session *s, struct hf_record *rec, struct hf_error *err) {
  int r = learn(s, err);
  return r == 0 ? hf_compactions_apply(s->compactions, rec, err) : r;
}

static int forget_part(struct hf_session *s, const struct part *p, struct hf_error *err) {
  int64_t row = 0;
  int r = hf_state_index_find(s->state, &p->index, &row, NULL, err);
  if (r <= 0) return r;
  r = 0;
  for (size_t i = 0; r == 0 && i < p->n * 8; i++) {
    struct hf_state_pack pack;
    if (!(p->bits[i / 8] >> (i % 8) & 1)) continue;
    r = hf_state_index_pack(s->state, row, i, &pack, err);
    if (r == 1) r = hf_state_pack_forget(s->state, pack.row, err);
  }
  return r;
}

int hf_session_forget_replaced(struct hf_session *s, struct hf_error *err) {
  struct hf_compactions *c = s->compactions;
  int r = learn(s, err);
  if (r < 0 || c->forgotten == c->n) return r;
  for (size_t k = c->forgotten; r == 0 && k < c->n; k++) {
    const struct set *x = &c->v[k].replaced;
    for (size_t i = 0; r == 0 && i < x->n; i++) r = forget_part(s, &x->v[i], err);
  }
  if (r == 0) r = hf_state_commit(s->state, err);
  if (r == 0) c->forgotten = c->n;
  return r;
}
