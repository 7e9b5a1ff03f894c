/* record.c - records: what all sides need.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "repo/record_internal.h"

bool hf_repo_name_ok(const char *s, size_t n) {
  if (n == 0 || n > 255 || *s == '.' || *s == '-') return false;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-'))
      return false;
  }
  return true;
}

static const char *const type_names[] = {
    [HF_RECORD_INIT] = "init", [HF_RECORD_SNAPSHOT] = "snapshot", [HF_RECORD_PRUNE] = "prune",
    [HF_RECORD_KEYS] = "keys", [HF_RECORD_DRILL] = "drill",
};

const char *hf_record_type_name(enum hf_record_type t) { return type_names[t]; }

enum hf_record_type hf_record_type_parse(const char *name) {
  for (size_t i = 1; i < HF_NELEM(type_names); i++)
    if (strcmp(type_names[i], name) == 0) return (enum hf_record_type)i;
  return 0;
}

static void free_source(struct hf_record_source *s) {
  free(s->name);
  free(s->plugin);
  free(s->version);
  free(s->status);
  free(s->error);
  free(s->audience);
  hf_list_free(&s->recipients);
  for (size_t i = 0; i < s->n_listed; i++) {
    free(s->problems[i].path);
    free(s->problems[i].what);
    free(s->problems[i].kind);
  }
  free(s->problems);
  for (size_t i = 0; i < s->n_streams; i++) {
    free(s->streams[i].name);
    free(s->streams[i].format);
    free(s->streams[i].recipe);
  }
  free(s->streams);
  json_decref(s->state);
}

void hf_record_add_problem(struct hf_record_source *s, const char *path, int status, const char *what) {
  s->n_problems++;
  if (s->n_listed >= HF_PROBLEMS_LISTED) return;
  if ((s->n_listed & (s->n_listed - 1)) == 0) s->problems = hf_realloc(s->problems, (s->n_listed ? s->n_listed * 2 : 1) * sizeof *s->problems);
  s->problems[s->n_listed++] = (struct hf_record_problem){.path = hf_strdup(path), .what = hf_strdup(what), .kind = hf_strdup(hf_status_name(status))};
}

void hf_record_free(struct hf_record *r) {
  if (!r) return;
  for (size_t i = 0; i < r->n_sources; i++) free_source(&r->sources[i]);
  for (size_t i = 0; i < r->n_indexes; i++) free(r->indexes[i].packs);
  free(r->sources);
  free(r->indexes);
  hf_list_free(&r->host_keys);
  free(r->id);
  free(r->host);
  free(r->tool);
  free(r->label);
  json_decref(r->extra);
  free(r);
}
