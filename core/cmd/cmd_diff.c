/* cmd_diff.c - holdfast diff
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/entry_out.h"

struct diff {
  struct hf_cmd *c;
  const char *source; /* last one printed */
  uint64_t added, removed, content, metadata, type;
};

static const char *word(enum hf_change change) {
  switch (change) {
  case HF_ADDED: return "added";
  case HF_REMOVED: return "removed";
  case HF_CONTENT: return "content";
  case HF_METADATA: return "metadata";
  default: return "type";
  }
}

static void count(struct diff *d, enum hf_change change) {
  switch (change) {
  case HF_ADDED: d->added++; break;
  case HF_REMOVED: d->removed++; break;
  case HF_CONTENT: d->content++; break;
  case HF_METADATA: d->metadata++; break;
  default: d->type++;
  }
}

static json_t *change_json(const char *type, const char *source, enum hf_change change) {
  return json_pack("{s:s, s:o, s:s}", "type", type, "source", hf_out_string(source), "change", word(change));
}

static int each_source(void *ctx, const char *name, enum hf_change change, struct hf_error *err HF_UNUSED) {
  struct diff *d = ctx;
  if (d->c->json)
    hf_out_json(change_json("source", name, change));
  else
    printf("source %s: %s\n", name, change == HF_ADDED ? "only in the second snapshot" : "only in the first snapshot");
  return 0;
}

/* A line before the first change of each source. */
static void head(struct diff *d, const char *source) {
  if (d->source && strcmp(d->source, source) == 0) return;
  d->source = source;
  printf("source %s:\n", source);
}

static int each_stream(void *ctx, const char *source, enum hf_change change, const char *name, struct hf_error *err HF_UNUSED) {
  struct diff *d = ctx;
  count(d, change);
  if (d->c->json) {
    json_t *o = change_json("stream", source, change);
    json_object_set_new(o, "name", hf_out_string(name));
    hf_out_json(o);
  } else {
    head(d, source);
    printf("%c stream %s\n", (char)change, name);
  }
  return 0;
}

static json_t *entry_json(const struct hf_tree_entry *e) {
  if (!e) return json_null();
  json_t *o = json_object();
  hf_out_entry(o, e);
  json_object_del(o, "path");
  return o;
}

static int each_entry(void *ctx, const char *source, enum hf_change change, const struct hf_tree_entry *from,
                      const struct hf_tree_entry *to, struct hf_error *err) {
  struct diff *d = ctx;
  const struct hf_tree_entry *e = to ? to : from;
  if (hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  count(d, change);
  if (d->c->json) {
    json_t *o = change_json("entry", source, change), *path = json_object();
    hf_out_entry(path, e);
    json_object_set(o, "path", json_object_get(path, "path"));
    json_decref(path);
    json_object_set_new(o, "from", entry_json(from));
    json_object_set_new(o, "to", entry_json(to));
    hf_out_json(o);
  } else {
    head(d, source);
    printf("%c ", (char)change);
    hf_out_entry_line(e, false);
  }
  return ferror(stdout) ? hf_fail(err, HOLDFAST_E_FAILED, "standard output cannot be written") : 0;
}

static void summary(const struct diff *d) {
  if (d->c->json) {
    hf_out_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "type", "summary", "added", (json_int_t)d->added, "removed",
                          (json_int_t)d->removed, "content", (json_int_t)d->content, "metadata", (json_int_t)d->metadata,
                          "changed_type", (json_int_t)d->type));
  } else if (!d->c->quiet) {
    printf("%llu added, %llu removed, %llu changed, %llu with other metadata, %llu of another type\n",
           (unsigned long long)d->added, (unsigned long long)d->removed, (unsigned long long)d->content,
           (unsigned long long)d->metadata, (unsigned long long)d->type);
  }
}

int hf_cmd_diff(struct hf_cmd *c) {
  struct diff d = {.c = c};
  struct hf_diff_sink sink = {.ctx = &d, .source = each_source, .stream = each_stream, .entry = each_entry};
  struct hf_session *s = NULL;
  struct hf_record *a = NULL, *b = NULL;
  struct hf_error e = {0};
  if (!hf_args_plain(c, 2, 3)) return c->exit;
  int code = hf_cmd_open_snapshot(c, c->argv[0], NULL, &s, &a);
  if (code != 0) return code;
  code = hf_cmd_snapshot(c, s, c->argv[1], &b);
  if (code == 0 && hf_diff(s, a, b, c->argc > 2 ? c->argv[2] : NULL, &sink, &e) < 0)
    code = ferror(stdout) ? HF_EXIT_FAILED : hf_out_error(c, &e);
  else if (code == 0)
    summary(&d);
  hf_record_free(a);
  hf_record_free(b);
  hf_session_close(s);
  return code;
}
