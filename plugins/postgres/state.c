/* state.c - what the record keeps of a base backup: JSON, written and read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define STATE_MAX 60000 /* the host takes 64 KiB */
#define SPACES_MAX 4096 /* that are read back */

static const char *name_of(enum hf_pg_sum kind) { return kind == HF_PG_SUM_SHA256 ? "SHA256" : "CRC32C"; }

/* A path that is no UTF-8 cannot be told in JSON and is left out: a restore in place then needs data-directory. */
static json_t *text_of(const char *s) {
  json_t *t = json_string(s);
  return t ? t : json_string("");
}

static json_t *spaces_of(const struct hf_pg_basebackup *b) {
  size_t n, room = STATE_MAX / 2;
  const struct hf_pg_tablespace *s = hf_pg_basebackup_tablespaces(b, &n);
  json_t *all = json_array();
  for (size_t i = 0; all && i < n; i++) {
    /* Escaped, a path takes at most six times its bytes. Thousands of tablespaces are more than a record has room for. */
    size_t need = 6 * strlen(s[i].location) + 60;
    if (need > room || json_array_append_new(all, json_pack("{s:s, s:o}", "oid", s[i].oid, "location", text_of(s[i].location))) != 0) break;
    room -= need;
  }
  return all;
}

char *hf_pg_state_write(const struct hf_pg_basebackup *b, enum hf_pg_sum kind, uint64_t files, uint64_t bytes) {
  const struct hf_pg_about *a = hf_pg_basebackup_about(b);
  json_t *o = json_pack("{s:i, s:s, s:i, s:s, s:I, s:s, s:s, s:o, s:o, s:b, s:s, s:I, s:I, s:I, s:o}", "version", 1, "mode", "physical", "server_version",
                        a->version, "system_identifier", a->system, "timeline", (json_int_t)a->timeline, "start_lsn", a->start, "stop_lsn", a->stop,
                        "label", text_of(a->label), "data_directory", text_of(a->data_directory), "data_checksums", a->data_checksums, "checksums",
                        name_of(kind), "files", (json_int_t)files, "bytes", (json_int_t)bytes, "damaged_pages", (json_int_t)a->damaged, "tablespaces",
                        spaces_of(b));
  char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  json_decref(o);
  return text;
}

void hf_pg_state_free(struct hf_pg_state *s) {
  free(s->data_directory);
  for (size_t i = 0; i < s->n_spaces; i++) free(s->spaces[i].location);
  free(s->spaces);
  *s = (struct hf_pg_state){0};
}

static bool good_oid(const char *s) { return s && *s && strlen(s) < 12 && s[strspn(s, "0123456789")] == '\0'; }

/* 1 when all is well, 0 when it is not a state of ours, -1 when memory is out. */
static int fill(json_t *o, struct hf_pg_state *s) {
  const char *mode = json_string_value(json_object_get(o, "mode")), *kind = json_string_value(json_object_get(o, "checksums"));
  const char *dir = json_string_value(json_object_get(o, "data_directory"));
  json_t *spaces = json_object_get(o, "tablespaces");
  json_int_t version = json_integer_value(json_object_get(o, "server_version"));
  if (!mode || strcmp(mode, "physical") != 0 || !kind || version < 130000 || version > 10000000 || json_array_size(spaces) > SPACES_MAX) return 0;
  s->major = (int)(version / 10000);
  s->kind = strcmp(kind, "SHA256") == 0 ? HF_PG_SUM_SHA256 : HF_PG_SUM_CRC32C;
  free(s->data_directory);
  s->data_directory = strdup(dir ? dir : "");
  s->spaces = calloc(json_array_size(spaces) + 1, sizeof *s->spaces);
  if (!s->data_directory || !s->spaces) return -1;
  for (size_t i = 0; i < json_array_size(spaces); i++) {
    json_t *one = json_array_get(spaces, i);
    const char *oid = json_string_value(json_object_get(one, "oid")), *location = json_string_value(json_object_get(one, "location"));
    if (!good_oid(oid) || !location) return 0;
    struct hf_pg_tablespace *t = &s->spaces[s->n_spaces];
    snprintf(t->oid, sizeof t->oid, "%s", oid);
    t->location = strdup(location);
    if (!t->location) return -1;
    s->n_spaces++;
  }
  return 1;
}

int hf_pg_state_read(const struct holdfast_host *host, const char *text, struct hf_pg_state *out) {
  *out = (struct hf_pg_state){.data_directory = strdup("")};
  if (!out->data_directory) return hf_pg_no_memory(host);
  if (!text || !*text) return 0;
  json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  int good = o ? fill(o, out) : 0;
  json_decref(o);
  if (good == 1) return 0;
  hf_pg_state_free(out);
  if (good < 0) return hf_pg_no_memory(host);
  return holdfast_fail(host, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is not that of a base backup");
}

const char *hf_pg_state_location(const struct hf_pg_state *s, const char *oid) {
  for (size_t i = 0; i < s->n_spaces; i++)
    if (strcmp(s->spaces[i].oid, oid) == 0) return *s->spaces[i].location ? s->spaces[i].location : NULL;
  return NULL;
}
