/* record_read.c - JSON to a record. Members that are not known are passed over: a later holdfast may add some.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "base/text.h"
#include "repo/record_internal.h"

static int bad(struct hf_error *err, const char *key, const char *what) {
  return hf_fail(err, HOLDFAST_E_CORRUPT, "\"%s\" is not %s", key, what);
}

/* A copy of a string member; stays NULL when it is absent and need not be there. */
static int get_text(const json_t *o, const char *key, bool required, char **out, struct hf_error *err) {
  const char *s = NULL;
  int r = hf_json_str(o, key, required, &s, err);
  if (r == 0) *out = hf_strdup(s);
  return r;
}

static int get_name(const json_t *o, const char *key, char **out, struct hf_error *err) {
  int r = get_text(o, key, true, out, err);
  return r < 0 || hf_repo_name_ok(*out, strlen(*out)) ? r : bad(err, key, "a name");
}

/* Exactly n lower-case hex digits. */
static bool is_hex(const char *s, size_t n) { return s && strlen(s) == n && strspn(s, "0123456789abcdef") == n; }

static int get_digest(const json_t *o, const char *key, bool required, struct hf_digest *out, struct hf_error *err) {
  const char *s = NULL;
  int r = hf_json_str(o, key, required, &s, err);
  if (r < 0 || !s) return r;
  return is_hex(s, 64) && hf_digest_parse(s, out) ? 0 : bad(err, key, "a SHA-256 digest");
}

static int get_fingerprints(const json_t *o, const char *key, bool required, struct hf_list *out, struct hf_error *err) {
  json_t *a = NULL, *v;
  size_t i;
  int r = hf_json_arr(o, key, required, &a, err);
  if (r < 0 || !a) return r;
  json_array_foreach(a, i, v) {
    const char *s = json_string_value(v);
    if (!s || strlen(s) != HF_FPR_LEN || strspn(s, "0123456789ABCDEF") != HF_FPR_LEN)
      return bad(err, key, "a list of fingerprints");
    hf_list_add(out, s);
  }
  return 0;
}

static int read_stream(const json_t *o, struct hf_record_stream *s, struct hf_error *err) {
  json_t *a = NULL, *v;
  const char *sha = NULL;
  size_t i;
  int r;
  if ((r = get_name(o, "name", &s->name, err)) < 0 || (r = get_text(o, "format", true, &s->format, err)) < 0 ||
      (r = hf_json_u64(o, "size", true, &s->size, err)) < 0 || (r = hf_json_str(o, "sha256", false, &sha, err)) < 0 ||
      (r = hf_json_u64(o, "chunks", true, &s->chunks, err)) < 0 || (r = hf_json_u64(o, "entries", true, &s->entries, err)) < 0 ||
      (r = hf_json_u64(o, "recipe_size", true, &s->recipe_size, err)) < 0 ||
      (r = get_digest(o, "recipe_sha256", true, &s->recipe_sha256, err)) < 0 || (r = hf_json_arr(o, "recipe", true, &a, err)) < 0)
    return r;
  if (strcmp(s->format, "tar") != 0 && strcmp(s->format, "raw") != 0) return bad(err, "format", "tar or raw");
  if (sha && !is_hex(sha, 64)) return bad(err, "sha256", "a SHA-256 digest");
  if (sha) memcpy(s->sha256, sha, sizeof s->sha256);
  s->recipe = hf_allocn(json_array_size(a), sizeof *s->recipe);
  json_array_foreach(a, i, v) {
    const char *hex = json_string_value(v);
    if (!is_hex(hex, 64) || !hf_digest_parse(hex, &s->recipe[i])) return bad(err, "recipe", "a list of chunk ids");
    s->n_recipe++;
  }
  return 0;
}

static int read_problems(const json_t *a, struct hf_record_source *s, struct hf_error *err) {
  json_t *v;
  size_t i;
  s->problems = hf_allocn(json_array_size(a), sizeof *s->problems);
  json_array_foreach(a, i, v) {
    struct hf_record_problem *p = &s->problems[s->n_listed++];
    int r;
    if ((r = get_text(v, "path", true, &p->path, err)) < 0 || (r = get_text(v, "kind", true, &p->kind, err)) < 0 ||
        (r = get_text(v, "what", true, &p->what, err)) < 0)
      return r;
  }
  return 0;
}

static int read_source(const json_t *o, struct hf_record_source *s, struct hf_error *err) {
  json_t *problems = NULL, *streams = NULL, *v;
  size_t i;
  int r;
  if ((r = get_name(o, "name", &s->name, err)) < 0) return r;
  if ((r = get_text(o, "plugin", true, &s->plugin, err)) < 0 || (r = get_text(o, "version", true, &s->version, err)) < 0 ||
      (r = get_text(o, "status", true, &s->status, err)) < 0 || (r = get_text(o, "error", false, &s->error, err)) < 0 ||
      (r = get_text(o, "audience", true, &s->audience, err)) < 0 ||
      (r = get_fingerprints(o, "recipients", true, &s->recipients, err)) < 0 ||
      (r = hf_json_i64(o, "started", true, &s->started, err)) < 0 ||
      (r = hf_json_i64(o, "finished", true, &s->finished, err)) < 0 || (r = hf_json_u64(o, "files", true, &s->files, err)) < 0 ||
      (r = hf_json_u64(o, "folders", true, &s->folders, err)) < 0 || (r = hf_json_u64(o, "others", true, &s->others, err)) < 0 ||
      (r = hf_json_u64(o, "bytes", true, &s->bytes, err)) < 0 ||
      (r = hf_json_u64(o, "bytes_read", true, &s->bytes_read, err)) < 0 ||
      (r = hf_json_u64(o, "bytes_new", true, &s->bytes_new, err)) < 0 ||
      (r = hf_json_u64(o, "bytes_stored", true, &s->bytes_stored, err)) < 0 ||
      (r = hf_json_u64(o, "problem_count", true, &s->n_problems, err)) < 0 ||
      (r = hf_json_arr(o, "problems", true, &problems, err)) < 0 || (r = read_problems(problems, s, err)) < 0 ||
      (r = hf_json_arr(o, "streams", true, &streams, err)) < 0)
    return hf_prefix(err, "source %s", s->name);
  if (strcmp(s->status, "complete") != 0 && strcmp(s->status, "partial") != 0 && strcmp(s->status, "failed") != 0)
    return bad(err, "status", "complete, partial or failed");
  s->streams = hf_allocn(json_array_size(streams), sizeof *s->streams);
  json_array_foreach(streams, i, v) {
    s->n_streams++;
    if ((r = read_stream(v, &s->streams[i], err)) < 0) return hf_prefix(err, "source %s, stream %zu", s->name, i + 1);
    for (size_t j = 0; j < i; j++)
      if (strcmp(s->streams[i].name, s->streams[j].name) == 0)
        return hf_fail(err, HOLDFAST_E_CORRUPT, "source %s has two streams \"%s\"", s->name, s->streams[i].name);
  }
  if (!json_is_null(json_object_get(o, "state"))) s->state = json_incref(json_object_get(o, "state"));
  return 0;
}

static int any_ordinal(void *ctx, uint64_t ordinal) {
  (void)ctx;
  (void)ordinal;
  return 0;
}

static int read_snapshot(const json_t *o, struct hf_record *rec, struct hf_error *err) {
  json_t *sources = NULL, *indexes = NULL, *v;
  size_t i;
  int r;
  if ((r = hf_json_arr(o, "sources", true, &sources, err)) < 0 || (r = hf_json_arr(o, "indexes", true, &indexes, err)) < 0)
    return r;
  rec->sources = hf_allocn(json_array_size(sources), sizeof *rec->sources);
  json_array_foreach(sources, i, v) {
    rec->n_sources++;
    if ((r = read_source(v, &rec->sources[i], err)) < 0) return r;
    for (size_t j = 0; j < i; j++)
      if (strcmp(rec->sources[i].name, rec->sources[j].name) == 0)
        return hf_fail(err, HOLDFAST_E_CORRUPT, "two sources are called \"%s\"", rec->sources[i].name);
  }
  rec->indexes = hf_allocn(json_array_size(indexes), sizeof *rec->indexes);
  json_array_foreach(indexes, i, v) {
    struct hf_record_index *x = &rec->indexes[i];
    rec->n_indexes++;
    if ((r = get_digest(v, "sha256", true, &x->sha256, err)) < 0 || (r = get_text(v, "packs", true, &x->packs, err)) < 0 ||
        (r = hf_ranges_each(x->packs, any_ordinal, NULL, err)) < 0)
      return hf_prefix(err, "index %zu", i + 1);
  }
  return 0;
}

static int read_record(const json_t *o, struct hf_record *rec, struct hf_error *err) {
  const char *format = NULL, *type = NULL, *repo = NULL;
  int r;
  if ((r = hf_json_str(o, "format", true, &format, err)) < 0) return r;
  if (strcmp(format, "holdfast-record 1") != 0)
    return strncmp(format, "holdfast-record ", 16) == 0
               ? hf_fail(err, HOLDFAST_E_UNSUPPORTED, "a record of a format this version does not know")
               : bad(err, "format", "holdfast-record 1");
  if ((r = hf_json_str(o, "type", true, &type, err)) < 0 || (r = hf_json_u64(o, "seq", true, &rec->seq, err)) < 0 ||
      (r = get_digest(o, "prev", true, &rec->prev, err)) < 0 || (r = hf_json_str(o, "repository", true, &repo, err)) < 0 ||
      (r = get_text(o, "id", true, &rec->id, err)) < 0 || (r = get_text(o, "host", true, &rec->host, err)) < 0 ||
      (r = get_text(o, "tool", true, &rec->tool, err)) < 0 || (r = hf_json_i64(o, "time", true, &rec->time, err)) < 0 ||
      (r = get_text(o, "label", false, &rec->label, err)) < 0 || (r = get_digest(o, "secret", false, &rec->secret, err)) < 0 ||
      (r = get_fingerprints(o, "host_keys", false, &rec->host_keys, err)) < 0)
    return r;
  if (!(rec->type = hf_record_type_parse(type)))
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "a record of type \"%s\", which this version does not know", type);
  if (rec->seq < 1 || rec->seq > HF_SEQ_MAX) return bad(err, "seq", "a sequence number");
  if (!is_hex(repo, 32)) return bad(err, "repository", "a repository id");
  memcpy(rec->repo_id, repo, sizeof rec->repo_id);
  if (!is_hex(rec->id, 32)) return bad(err, "id", "32 hex digits");
  if (!hf_repo_name_ok(rec->host, strlen(rec->host))) return bad(err, "host", "a host's name");
  if (json_object_get(o, "extra") && !json_is_null(json_object_get(o, "extra")))
    rec->extra = json_incref(json_object_get(o, "extra"));
  return rec->type == HF_RECORD_SNAPSHOT ? read_snapshot(o, rec, err) : 0;
}

int hf_record_parse(const char *p, size_t n, struct hf_record **out, struct hf_error *err) {
  HF_CLEANUP(hf_json_decrefp) json_t *o = hf_json_parse(p, n, err);
  if (!o) return hf_prefix(err, "record");
  struct hf_record *rec = hf_alloc(sizeof *rec);
  int r = read_record(o, rec, err);
  if (r < 0) {
    hf_record_free(rec);
    return hf_prefix(err, "record");
  }
  *out = rec;
  return 0;
}
