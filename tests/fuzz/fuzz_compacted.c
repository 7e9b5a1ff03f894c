/* fuzz_compacted.c - what a prune record says of replaced packs, as arbitrary JSON, put to a snapshot that refers to whatever it names.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fuzz.h"

#include "base/json.h"
#include "engine/compacted.h"

static void must(bool ok) {
  if (!ok) abort();
}

/* The snapshot: all that the compactions replace. Sets that are none are left out, as a record that has them is refused when it is read. */
static void refer(struct hf_record *rec, const json_t *compacted) {
  const json_t *step, *v;
  size_t i, k;
  json_array_foreach(compacted, i, step) {
    const json_t *replaced = json_object_get(step, "replaced");
    json_array_foreach(replaced, k, v) {
      struct hf_record_index x;
      const char *hex = json_string_value(json_object_get(v, "sha256")), *packs = json_string_value(json_object_get(v, "packs"));
      if (!hex || strlen(hex) != 64 || !hf_digest_parse(hex, &x.sha256) || !packs || !*packs) continue;
      unsigned char all[64] = {0};
      for (size_t b = 0; b < sizeof all; b++) all[b] = (unsigned char)(hex[b] * 37);
      x.packs = i % 2 ? hf_strdup(packs) : hf_ranges_write(all, sizeof all * 8);
      rec->indexes = hf_realloc(rec->indexes, (rec->n_indexes + 1) * sizeof x);
      rec->indexes[rec->n_indexes++] = x;
    }
  }
}

struct seen {
  const char *other;
  bool both;
  uint64_t ordinal;
};
static int is_same(void *ctx, uint64_t ordinal) {
  struct seen *s = ctx;
  s->both |= ordinal == s->ordinal;
  return 0;
}
static int is_in_other(void *ctx, uint64_t ordinal) {
  struct seen *s = ctx;
  s->ordinal = ordinal;
  return s->both ? 0 : hf_ranges_each(s->other, is_same, s, NULL);
}

/* Has one index of the record a pack of the set? Small sets only: it looks at every pair. */
static bool has_any(const struct hf_record *rec, const char *hex, const char *packs) {
  struct hf_digest d;
  must(hf_digest_parse(hex, &d));
  for (size_t i = 0; i < rec->n_indexes; i++) {
    struct seen s = {.other = rec->indexes[i].packs};
    if (!hf_digest_eq(&rec->indexes[i].sha256, &d)) continue;
    must(hf_ranges_each(packs, is_in_other, &s, NULL) == 0);
    if (s.both) return true;
  }
  return false;
}

/* What the last step has replaced is not referred to, unless that same step puts packs of that index in its place. */
static void last_step_holds(const struct hf_record *rec, const json_t *compacted) {
  const json_t *last = json_array_get(compacted, json_array_size(compacted) - 1), *replaced = json_object_get(last, "replaced"), *by = json_object_get(last, "by"), *v, *w;
  size_t i, k;
  json_array_foreach(replaced, i, v) {
    const char *hex = json_string_value(json_object_get(v, "sha256")), *packs = json_string_value(json_object_get(v, "packs"));
    bool again = strlen(packs) > 5;
    json_array_foreach(by, k, w) again |= strcasecmp(json_string_value(json_object_get(w, "sha256")), hex) == 0;
    must(again || !has_any(rec, hex, packs));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct hf_error err = {0};
  json_t *compacted = json_loadb((const char *)data, n, 0, NULL);
  if (!json_is_array(compacted)) {
    json_decref(compacted);
    return 0;
  }
  struct hf_compactions *c = hf_compactions_new();
  struct hf_record *rec = hf_alloc(sizeof *rec);
  int r = hf_compactions_add(c, compacted, &err);
  must(r == 0 || err.code == HOLDFAST_E_CORRUPT);
  refer(rec, compacted);
  if (r == 0 && hf_compactions_apply(c, rec, &err) == 0 && json_array_size(compacted) > 0 && rec->n_indexes > 0) last_step_holds(rec, compacted);
  hf_record_free(rec);
  hf_compactions_free(c);
  json_decref(compacted);
  return 0;
}
