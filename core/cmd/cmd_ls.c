/* cmd_ls.c - holdfast ls
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/entry_out.h"

struct ls {
  struct hf_cmd *c;
  const char *source;
  bool full;
};

static int each_stream(void *ctx, const struct hf_record_stream *st, struct hf_error *err HF_UNUSED) {
  const struct ls *l = ctx;
  if (l->c->json) {
    hf_out_json(json_pack("{s:s, s:o, s:o, s:o, s:I}", "type", "stream", "source", hf_out_string(l->source), "name",
                          hf_out_string(st->name), "format", hf_out_string(st->format), "size", (json_int_t)st->size));
  } else if (l->full) {
    printf("raw stream %6s %6s %12llu %19s %s\n", "", "", (unsigned long long)st->size, "", st->name);
  } else {
    puts(st->name);
  }
  return 0;
}

static int each_entry(void *ctx, const struct hf_tree_entry *e, struct hf_error *err) {
  const struct ls *l = ctx;
  if (hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  if (l->c->json) {
    json_t *o = json_pack("{s:s, s:o}", "type", "entry", "source", hf_out_string(l->source));
    hf_out_entry(o, e);
    hf_out_json(o);
  } else {
    hf_out_entry_line(e, l->full);
  }
  return ferror(stdout) ? hf_fail(err, HOLDFAST_E_FAILED, "standard output cannot be written") : 0;
}

/* What the record says: no private key is needed. */
static void show_sources(const struct hf_cmd *c, const struct hf_record *r) {
  struct hf_table t = {.align = "lllrrl"};
  static const char *const names[] = {"SOURCE", "STREAM", "FORMAT", "SIZE", "ENTRIES", "STATUS"};
  if (c->json) {
    json_t *o = json_pack("{s:s}", "type", "snapshot");
    hf_out_record(o, r);
    hf_out_json(o);
    return;
  }
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_record_source *rs = &r->sources[i];
    for (size_t k = 0; k < HF_MAX(rs->n_streams, (size_t)1); k++) {
      const struct hf_record_stream *st = k < rs->n_streams ? &rs->streams[k] : NULL;
      hf_table_add(&t, "%s", rs->name);
      hf_table_add(&t, "%s", st ? st->name : "-");
      hf_table_add(&t, "%s", st ? st->format : "-");
      hf_table_size(&t, st ? st->size : 0);
      hf_table_add(&t, "%llu", st ? (unsigned long long)st->entries : 0ULL);
      hf_table_add(&t, "%s%s%s", rs->status, rs->error ? ": " : "", rs->error ? rs->error : "");
    }
  }
  hf_table_print(&t);
}

int hf_cmd_ls(struct hf_cmd *c) {
  struct ls l = {.c = c};
  struct hf_session *s = NULL;
  struct hf_record *rec = NULL;
  struct hf_error e = {0};
  int o;
  while ((o = hf_args_next(c, "l", NULL)) > 0) l.full = true;
  if (o < 0 || !hf_args_operands(c, 1, 3)) return c->exit;
  int code = hf_cmd_open_snapshot(c, c->argv[0], NULL, &s, &rec);
  if (code != 0) return code;
  if (c->argc == 1) {
    show_sources(c, rec);
  } else {
    struct hf_ls_sink sink = {.ctx = &l, .stream = each_stream, .entry = each_entry};
    l.source = c->argv[1];
    if (hf_ls(s, rec, l.source, c->argc > 2 ? c->argv[2] : NULL, &sink, &e) < 0)
      code = ferror(stdout) ? HF_EXIT_FAILED : hf_out_error(c, &e);
  }
  hf_record_free(rec);
  hf_session_close(s);
  return code;
}
