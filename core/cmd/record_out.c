/* record_out.c - what a snapshot's record says, for programs and for people.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"

static void put_number(json_t *o, const char *key, uint64_t v) { json_object_set_new(o, key, json_integer((json_int_t)v)); }

static json_t *stream_json(const struct hf_record_stream *st) {
  json_t *o = json_pack("{s:o, s:o}", "name", hf_out_string(st->name), "format", hf_out_string(st->format));
  put_number(o, "size", st->size);
  put_number(o, "entries", st->entries);
  put_number(o, "chunks", st->chunks);
  json_object_set_new(o, "sha256", st->sha256[0] ? json_string(st->sha256) : json_null());
  return o;
}

static json_t *source_json(const struct hf_record_source *rs) {
  json_t *o = json_object(), *problems = json_array(), *streams = json_array();
  json_object_set_new(o, "name", hf_out_string(rs->name));
  json_object_set_new(o, "plugin", hf_out_string(rs->plugin));
  json_object_set_new(o, "version", hf_out_string(rs->version));
  json_object_set_new(o, "status", hf_out_string(rs->status));
  json_object_set_new(o, "error", hf_out_string(rs->error));
  json_object_set_new(o, "recipients", hf_out_list(&rs->recipients));
  json_object_set_new(o, "started", hf_out_time(rs->started));
  json_object_set_new(o, "finished", hf_out_time(rs->finished));
  put_number(o, "files", rs->files);
  put_number(o, "folders", rs->folders);
  put_number(o, "others", rs->others);
  put_number(o, "bytes", rs->bytes);
  put_number(o, "bytes_read", rs->bytes_read);
  put_number(o, "bytes_new", rs->bytes_new);
  put_number(o, "bytes_stored", rs->bytes_stored);
  put_number(o, "problem_count", rs->n_problems);
  for (size_t i = 0; i < rs->n_listed; i++) {
    const struct hf_record_problem *p = &rs->problems[i];
    json_array_append_new(problems, json_pack("{s:o, s:o, s:o}", "path", hf_out_string(p->path), "kind", hf_out_string(p->kind),
                                              "message", hf_out_string(p->what)));
  }
  json_object_set_new(o, "problems", problems);
  for (size_t i = 0; i < rs->n_streams; i++) json_array_append_new(streams, stream_json(&rs->streams[i]));
  json_object_set_new(o, "streams", streams);
  json_object_set_new(o, "state", rs->state ? json_incref(rs->state) : json_null());
  return o;
}

void hf_out_record(json_t *o, const struct hf_record *r) {
  json_t *sources = json_array();
  put_number(o, "seq", r->seq);
  json_object_set_new(o, "id", hf_out_string(r->id));
  json_object_set_new(o, "time", hf_out_time(r->time));
  json_object_set_new(o, "label", hf_out_string(r->label));
  json_object_set_new(o, "host", hf_out_string(r->host));
  json_object_set_new(o, "tool", hf_out_string(r->tool));
  for (size_t i = 0; i < r->n_sources; i++) json_array_append_new(sources, source_json(&r->sources[i]));
  json_object_set_new(o, "sources", sources);
}

char *hf_out_sources(const struct hf_record *r) {
  struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_record_source *rs = &r->sources[i];
    bool complete = strcmp(rs->status, "complete") == 0;
    hf_buf_addf(&b, "%s%s%s%s%s", i ? ", " : "", rs->name, complete ? "" : " (", complete ? "" : rs->status, complete ? "" : ")");
  }
  return hf_buf_take(&b);
}

json_t *hf_out_source_facts(const struct hf_record *r) {
  json_t *a = json_array();
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_record_source *x = &r->sources[i];
    json_array_append_new(a, json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", hf_out_string(x->name), "status", x->status, "error", hf_out_string(x->error), "files", (json_int_t)x->files,
                                       "bytes", (json_int_t)x->bytes, "bytes_read", (json_int_t)x->bytes_read, "bytes_new", (json_int_t)x->bytes_new, "bytes_stored", (json_int_t)x->bytes_stored, "problems",
                                       (json_int_t)x->n_problems, "seconds", (json_int_t)(x->finished - x->started)));
  }
  return a;
}
