/* needs.c - from live snapshots to the objects that they refer to.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/needs.h"

static bool bit(const unsigned char *bits, int64_t max, int64_t row) { return row > 0 && row <= max && (bits[row / 8] >> (row % 8) & 1); }

static void set(unsigned char *bits, int64_t max, int64_t row) {
  if (row > 0 && row <= max) bits[row / 8] |= (unsigned char)(1u << (row % 8));
}

bool hf_needs_pack(const struct hf_needs *n, int64_t row) { return bit(n->packs, n->max_pack, row); }

bool hf_needs_index(const struct hf_needs *n, int64_t row) { return bit(n->indexes, n->max_index, row); }

void hf_needs_add_pack(struct hf_needs *n, int64_t row) { set(n->packs, n->max_pack, row); }

void hf_needs_drop_pack(struct hf_needs *n, int64_t row) {
  if (row > 0 && row <= n->max_pack) n->packs[row / 8] &= (unsigned char)~(1u << (row % 8));
}

void hf_needs_add_index(struct hf_needs *n, int64_t row) { set(n->indexes, n->max_index, row); }

static void add_small(struct hf_needs *n, const char *key) {
  if (!hf_list_has(&n->small, key)) hf_list_add(&n->small, key);
}

void hf_needs_open_packs(struct hf_session *s, struct hf_needs *out) {
  *out = (struct hf_needs){.s = s, .max_pack = hf_state_pack_max(s->state), .max_index = hf_state_index_max(s->state)};
  out->packs = hf_alloc((size_t)out->max_pack / 8 + 1);
  out->indexes = hf_alloc((size_t)out->max_index / 8 + 1);
}

int hf_needs_open(struct hf_session *s, struct hf_needs *out, struct hf_error *err) {
  static const char *const texts[] = {"README.txt", "recover.sh", "repository.ini"};
  static const struct hf_digest none;
  hf_needs_open_packs(s, out);
  for (size_t i = 0; i < HF_NELEM(texts); i++) hf_list_add(&out->small, texts[i]);
  struct hf_digest last = none;
  for (uint64_t seq = 1; seq <= s->head; seq++) {
    struct hf_record *rec = NULL;
    char key[HF_KEY_MAX];
    struct hf_error e = {0};
    int r = hf_session_record(s, seq, &rec, NULL, &e);
    if (r == HOLDFAST_E_NOT_FOUND) continue;
    if (r < 0) {
      hf_needs_free(out);
      return hf_fail(err, r, "%s", e.msg);
    }
    if (!hf_digest_eq(&rec->secret, &none) && !hf_digest_eq(&rec->secret, &last)) {
      hf_key_secret(key, &rec->secret);
      add_small(out, key);
      last = rec->secret;
    }
    const char *text;
    json_t *told;
    json_object_foreach(json_object_get(rec->extra, "texts"), text, told) {
      if (json_is_string(told)) hf_list_take(&out->texts, hf_asprintf("%s %s", text, json_string_value(told)));
    }
    /* The host key, sealed for its keepers. */
    const char *sealed = json_string_value(json_object_get(rec->extra, "host_key_object"));
    struct hf_digest d;
    if (sealed && strlen(sealed) == 64 && hf_digest_parse(sealed, &d)) {
      hf_key_secret(key, &d);
      add_small(out, key);
    }
    for (size_t i = 0; i < rec->host_keys.n; i++) {
      hf_key_hostkey(key, rec->host_keys.v[i]);
      add_small(out, key);
    }
    hf_record_free(rec);
  }
  return 0;
}

void hf_needs_free(struct hf_needs *n) {
  free(n->packs);
  free(n->indexes);
  hf_list_free(&n->small);
  hf_list_free(&n->texts);
  hf_list_free(&n->lost_keys);
  *n = (struct hf_needs){.s = NULL};
}

struct adding { struct hf_needs *n; const struct hf_record *rec; int64_t index_row; const char *index_key; };

static int add_ordinal(void *ctx, uint64_t ordinal) {
  struct adding *a = ctx;
  struct hf_state_pack p;
  int r = a->index_row ? hf_state_index_pack(a->n->s->state, a->index_row, ordinal, &p, NULL) : 0;
  if (r < 0) return r;
  if (r == 1) {
    hf_needs_add_pack(a->n, p.row);
    return 0;
  }
  a->n->lost++;
  if (a->n->tell_lost && a->index_row) a->n->tell_lost(a->n->ctx, a->rec, a->index_key, ordinal);
  return 0;
}

int hf_needs_add(struct hf_needs *n, const struct hf_record *rec, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < rec->n_indexes; i++) {
    char key[HF_KEY_MAX];
    struct adding a = {.n = n, .rec = rec, .index_key = key};
    hf_key_index(key, &rec->indexes[i].sha256);
    r = hf_state_index_find(n->s->state, &rec->indexes[i].sha256, &a.index_row, NULL, err);
    if (r < 0) return r;
    hf_needs_add_index(n, a.index_row);
    r = hf_ranges_each(rec->indexes[i].packs, add_ordinal, &a, err);
    if (r < 0) hf_prefix(err, "record %llu", (unsigned long long)rec->seq);
  }
  return r;
}

int hf_needs_add_live(struct hf_needs *n, const struct hf_live *l, const char *target, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < l->n; i++) {
    struct hf_record *rec = NULL;
    if (target ? !hf_live_at(&l->v[i], target) : !hf_live_anywhere(n->s, &l->v[i])) continue;
    r = hf_session_record(n->s, l->v[i].seq, &rec, NULL, err);
    if (r == 0) r = hf_needs_add(n, rec, err);
    hf_record_free(rec);
  }
  return r;
}

bool hf_needs_text(const struct hf_list *texts, const char *name, const struct hf_buf *b) {
  struct hf_digest d;
  char hex[HF_SHA256_HEX];
  hf_sha256(b->data ? b->data : "", b->len, &d);
  hf_digest_hex(&d, hex);
  HF_CLEANUP(hf_freep) char *line = hf_asprintf("%s %s", name, hex);
  return hf_list_has(texts, line);
}
