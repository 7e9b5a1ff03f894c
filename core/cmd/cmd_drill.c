/* cmd_drill.c - holdfast drill
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/drill.h"

#include "base/text.h"
#include "cmd/cmd.h"

static const char *const verdicts[] = {[HF_DRILL_PASSED] = "passed", [HF_DRILL_RESTORED] = "restored", [HF_DRILL_FAILED] = "failed"};

static void step(void *ctx HF_UNUSED, const char *source, const char *what) { hf_out_progress("%s: %s", source, what); }

static void problem(void *ctx HF_UNUSED, const char *source, const char *path, bool lost, const char *what) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(path, strlen(path));
  hf_log(lost ? HF_LOG_ERROR : HF_LOG_WARNING, "%s%s%s: %s", source, *path ? ": " : "", shown, what);
}

static void bad(void *ctx HF_UNUSED, const char *object, const char *why) { hf_log(HF_LOG_ERROR, "%s%s%s", strstr(why, object) ? "" : object, strstr(why, object) ? "" : ": ", why); }

static void print_text(const struct hf_record *rec, const struct hf_drill_result *r) {
  static const char *const names[] = {"SOURCE", "VERDICT", "FILES", "SIZE", "RESTORE", "VERIFY", "FOUND"};
  struct hf_table t = {.align = "llrrrrl"};
  char took[24];
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_drill_source *d = &r->sources[i];
    hf_table_add(&t, "%s", d->name);
    hf_table_add(&t, "%s", verdicts[d->verdict]);
    hf_table_add(&t, "%llu", (unsigned long long)d->files);
    hf_table_size(&t, d->bytes);
    hf_format_duration(took, d->restore_seconds);
    hf_table_add(&t, "%s", took);
    hf_format_duration(took, d->verify_seconds);
    hf_table_add(&t, "%s", took);
    hf_table_add(&t, "%s", d->message ? d->message : "");
  }
  hf_table_print(&t);
  hf_format_duration(took, r->seconds);
  printf("snapshot %llu: %zu of %zu sources came back as they should; %s\n", (unsigned long long)rec->seq, r->n_sources - r->failed, r->n_sources, took);
}

static json_t *sources_json(const struct hf_drill_result *r) {
  json_t *sources = json_array();
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_drill_source *d = &r->sources[i];
    json_array_append_new(sources, json_pack("{s:o, s:s, s:o, s:I, s:I, s:f, s:f}", "name", hf_out_string(d->name), "verdict", verdicts[d->verdict], "message", hf_out_string(d->message), "files",
                                             (json_int_t)d->files, "bytes", (json_int_t)d->bytes, "restore_seconds", d->restore_seconds, "verify_seconds", d->verify_seconds));
  }
  return sources;
}

static void print_json(const struct hf_record *rec, const struct hf_drill_result *r) {
  hf_out_json(json_pack("{s:s, s:I, s:s, s:I, s:f, s:o}", "type", "drill", "seq", (json_int_t)rec->seq, "id", rec->id, "failed", (json_int_t)r->failed, "seconds", r->seconds, "sources", sources_json(r)));
}

int hf_cmd_drill(struct hf_cmd *c) {
  enum { TARGET = 1, SCRATCH };
  static const struct option longs[] = {{"target", required_argument, NULL, TARGET}, {"scratch", required_argument, NULL, SCRATCH}, {NULL, 0, NULL, 0}};
  HF_CLEANUP(hf_list_free) struct hf_list sources = HF_LIST_INIT;
  struct hf_drill_options o = {.sources = &sources, .restore = {.problem = problem, .bad = bad}, .step = step};
  struct hf_drill_result res = {0};
  struct hf_session *s = NULL;
  struct hf_record *rec = NULL;
  struct hf_error e = {0};
  const char *target = NULL;
  int opt;
  while ((opt = hf_args_next(c, "", longs)) > 0) {
    if (opt == TARGET)
      target = optarg;
    else
      o.scratch = optarg;
  }
  if (opt < 0 || !hf_args_operands(c, 0, -1)) return c->exit;
  if (o.scratch && *o.scratch != '/') return hf_args_wrong(c, "--scratch=%s: an absolute path is wanted", o.scratch);
  for (int i = 1; i < c->argc; i++) hf_list_add(&sources, c->argv[i]);
  c->is_run = true;
  int code = hf_cmd_open_snapshot(c, c->argc > 0 ? c->argv[0] : "latest", target, &s, &rec);
  if (code != 0) return code;
  int r = hf_drill(s, rec, &o, &res, &e);
  hf_out_progress_end();
  if (r < 0) {
    code = hf_out_error(c, &e);
  } else {
    if (c->json)
      print_json(rec, &res);
    else if (!c->quiet)
      print_text(rec, &res);
    code = res.failed ? HF_EXIT_FAILED : HF_EXIT_OK;
  }
  json_t *facts = c->run ? json_pack("{s:I, s:s, s:o}", "snapshot", (json_int_t)rec->seq, "snapshot_id", rec->id, "sources", sources_json(&res)) : NULL;
  hf_drill_result_free(&res);
  hf_record_free(rec);
  return hf_cmd_end(c, s, code, facts);
}
