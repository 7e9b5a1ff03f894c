/* page.c - reading one page of a listing, of objects or of their versions.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gcs.h"

void hf_gcs_page_free(struct gcs_page *p) {
  for (size_t i = 0; i < p->n; i++) free(p->v[i].key);
  free(p->v);
  free(p->next);
  *p = (struct gcs_page){0};
}

/* NULL, or what is wrong with it. */
static const char *read_entry(const json_t *o, bool versions, struct gcs_entry *e) {
  const char *name = json_string_value(json_object_get(o, "name")), *generation = json_string_value(json_object_get(o, "generation"));
  const char *created = json_string_value(json_object_get(o, "timeCreated")), *deleted = json_string_value(json_object_get(o, "timeDeleted"));
  uint64_t n;
  *e = (struct gcs_entry){.deleted = INT64_MAX};
  if (!name || !*name) return "an entry has no name";
  if (!hft_number(json_string_value(json_object_get(o, "size")), &e->size)) return "an entry has no size";
  if (versions) {
    if (!hft_number(generation, &n)) return "a version has no generation";
    if (!created || !hft_time_parse(created, &e->created)) return "a version has no time";
    if (deleted && !hft_time_parse(deleted, &e->deleted)) return "a version's timeDeleted is no time";
    snprintf(e->generation, sizeof e->generation, "%s", generation);
  }
  e->key = strdup(name);
  return e->key ? NULL : "out of memory";
}

static const char *read_items(const json_t *items, bool versions, struct gcs_page *out) {
  size_t n = json_array_size(items);
  if (n == 0) return NULL;
  out->v = calloc(n, sizeof *out->v);
  if (!out->v) return "out of memory";
  for (; out->n < n; out->n++) {
    const char *why = read_entry(json_array_get(items, out->n), versions, &out->v[out->n]);
    if (why) return why;
  }
  return NULL;
}

int hf_gcs_page_read(const char *json, size_t n, bool versions, struct gcs_page *out, const char **why) {
  json_t *doc = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
  const json_t *items = json_object_get(doc, "items"), *next = json_object_get(doc, "nextPageToken");
  const char *kind = json_string_value(json_object_get(doc, "kind"));
  *out = (struct gcs_page){0};
  *why = NULL;
  if (!doc) *why = "it is no JSON, or not all of it";
  else if (!kind || strcmp(kind, "storage#objects") != 0) *why = "it is something else";
  else if (items && !json_is_array(items)) *why = "its items are no list";
  else if (next && (!json_is_string(next) || !*json_string_value(next))) *why = "there is more, and it does not say from where";
  else *why = read_items(items, versions, out);
  if (!*why && next && !(out->next = strdup(json_string_value(next)))) *why = "out of memory";
  json_decref(doc);
  return *why ? 1 : 0;
}
