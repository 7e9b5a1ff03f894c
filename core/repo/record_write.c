/* record_write.c - a record as JSON, one member or element a line.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "repo/record_internal.h"

/* Texts may hold any bytes (a path, a server's message); JSON may not. */
static void put_text(json_t *o, const char *key, const char *s) {
  if (s) json_object_set_new(o, key, hf_json_bytes(s, strlen(s)));
}

static void put_number(json_t *o, const char *key, uint64_t v) { json_object_set_new(o, key, json_integer((json_int_t)v)); }

static void put_digest(json_t *o, const char *key, const struct hf_digest *d) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(d, hex);
  json_object_set_new(o, key, json_string(hex));
}

static void put_list(json_t *o, const char *key, const struct hf_list *l) {
  json_t *a = json_array();
  for (size_t i = 0; i < l->n; i++) json_array_append_new(a, hf_json_bytes(l->v[i], strlen(l->v[i])));
  json_object_set_new(o, key, a);
}

static json_t *stream_json(const struct hf_record_stream *s) {
  json_t *o = json_object(), *a = json_array();
  char hex[HF_SHA256_HEX];
  put_text(o, "name", s->name);
  put_text(o, "format", s->format);
  put_number(o, "size", s->size);
  if (s->sha256[0]) put_text(o, "sha256", s->sha256);
  put_number(o, "chunks", s->chunks);
  put_number(o, "entries", s->entries);
  put_number(o, "recipe_size", s->recipe_size);
  put_digest(o, "recipe_sha256", &s->recipe_sha256);
  for (size_t i = 0; i < s->n_recipe; i++) {
    hf_digest_hex(&s->recipe[i], hex);
    json_array_append_new(a, json_string(hex));
  }
  json_object_set_new(o, "recipe", a);
  return o;
}

static json_t *source_json(const struct hf_record_source *s) {
  json_t *o = json_object(), *a = json_array();
  put_text(o, "name", s->name);
  put_text(o, "plugin", s->plugin);
  put_text(o, "version", s->version);
  put_text(o, "status", s->status);
  put_text(o, "error", s->error);
  put_text(o, "audience", s->audience);
  put_list(o, "recipients", &s->recipients);
  json_object_set_new(o, "started", json_integer(s->started));
  json_object_set_new(o, "finished", json_integer(s->finished));
  put_number(o, "files", s->files);
  put_number(o, "folders", s->folders);
  put_number(o, "others", s->others);
  put_number(o, "bytes", s->bytes);
  put_number(o, "bytes_read", s->bytes_read);
  put_number(o, "bytes_new", s->bytes_new);
  put_number(o, "bytes_stored", s->bytes_stored);
  put_number(o, "problem_count", s->n_problems);
  for (size_t i = 0; i < s->n_listed; i++) {
    json_t *p = json_object();
    put_text(p, "path", s->problems[i].path);
    put_text(p, "kind", s->problems[i].kind);
    put_text(p, "what", s->problems[i].what);
    json_array_append_new(a, p);
  }
  json_object_set_new(o, "problems", a);
  a = json_array();
  for (size_t i = 0; i < s->n_streams; i++) json_array_append_new(a, stream_json(&s->streams[i]));
  json_object_set_new(o, "streams", a);
  if (s->state) json_object_set(o, "state", s->state);
  return o;
}

static bool is_zero(const struct hf_digest *d) {
  static const struct hf_digest zero;
  return hf_digest_eq(d, &zero);
}

void hf_record_write(const struct hf_record *r, struct hf_buf *out) {
  json_t *o = json_object(), *a;
  put_text(o, "format", "holdfast-record 1");
  put_text(o, "type", hf_record_type_name(r->type));
  put_number(o, "seq", r->seq);
  put_digest(o, "prev", &r->prev);
  put_text(o, "repository", r->repo_id);
  put_text(o, "id", r->id);
  put_text(o, "host", r->host);
  put_text(o, "tool", r->tool);
  json_object_set_new(o, "time", json_integer(r->time));
  put_text(o, "label", r->label);
  if (!is_zero(&r->secret)) put_digest(o, "secret", &r->secret);
  if (r->host_keys.n) put_list(o, "host_keys", &r->host_keys);
  if (r->type == HF_RECORD_SNAPSHOT) {
    a = json_array();
    for (size_t i = 0; i < r->n_sources; i++) json_array_append_new(a, source_json(&r->sources[i]));
    json_object_set_new(o, "sources", a);
    a = json_array();
    for (size_t i = 0; i < r->n_indexes; i++) {
      json_t *x = json_object();
      put_digest(x, "sha256", &r->indexes[i].sha256);
      put_text(x, "packs", r->indexes[i].packs);
      json_array_append_new(a, x);
    }
    json_object_set_new(o, "indexes", a);
  }
  if (r->extra) json_object_set(o, "extra", r->extra);
  char *text = json_dumps(o, JSON_INDENT(1));
  if (text) {
    hf_buf_adds(out, text);
    hf_buf_addc(out, '\n');
  }
  free(text);
  json_decref(o);
}
