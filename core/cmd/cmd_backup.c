/* cmd_backup.c - holdfast backup
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"

struct totals {
  uint64_t entries, bytes, read;
};

static void progress(void *ctx, const struct hf_progress *p) {
  struct totals *t = ctx;
  char bytes[16], read[16], stored[16];
  t->entries += p->entries;
  t->bytes += p->bytes;
  t->read += p->read;
  hf_format_size(bytes, t->bytes);
  hf_format_size(read, t->read);
  hf_format_size(stored, p->stored);
  hf_out_progress("%s: %llu entries, %s, %s read, %s stored  /%s", p->source, (unsigned long long)t->entries, bytes, read, stored,
                  p->path ? p->path : "");
}

static json_t *targets_json(const struct hf_backup_result *res) {
  json_t *a = json_array();
  for (size_t i = 0; i < res->n_targets; i++) {
    const struct hf_backup_target *t = &res->targets[i];
    json_array_append_new(a, json_pack("{s:o, s:b, s:b, s:b, s:I, s:I, s:o}", "name", hf_out_string(t->name), "committed", (int)t->committed,
                                       "away", (int)t->away,
                                       "passed", (int)t->passed, "copied", (json_int_t)t->copied, "copied_bytes", (json_int_t)t->bytes,
                                       "error", hf_out_string(t->error)));
  }
  return a;
}

static void print_sources(const struct hf_record *r, bool dry) {
  static const char *const names[] = {"SOURCE", "STATUS", "FILES", "SIZE", "READ", "NEW", "STORED"};
  struct hf_table t = {.align = dry ? "llrrrr" : "llrrrrr"};
  for (size_t i = 0; i < strlen(t.align); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_record_source *rs = &r->sources[i];
    hf_table_add(&t, "%s", rs->name);
    hf_table_add(&t, "%s", rs->status);
    hf_table_add(&t, "%llu", (unsigned long long)rs->files);
    hf_table_size(&t, rs->bytes);
    hf_table_size(&t, rs->bytes_read);
    hf_table_size(&t, rs->bytes_new);
    if (!dry) hf_table_size(&t, rs->bytes_stored);
  }
  hf_table_print(&t);
}

#define PROBLEMS_SHOWN 20u

/* To people on standard error: the listed problems, then what could not be done. */
static void tell_problems(const struct hf_record *r) {
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_record_source *rs = &r->sources[i];
    size_t n = HF_MIN(rs->n_listed, (size_t)PROBLEMS_SHOWN);
    for (size_t k = 0; k < n; k++) {
      HF_CLEANUP(hf_freep) char *path = hf_printable(rs->problems[k].path, strlen(rs->problems[k].path));
      /* Without a path it is about the source as a whole. */
      hf_log(HF_LOG_WARNING, "source %s: %s%s%s", rs->name, path, *path ? ": " : "", rs->problems[k].what);
    }
    if (rs->n_problems > n)
      hf_log(HF_LOG_WARNING, "source %s: %llu problems in all; holdfast list --json shows more of them", rs->name,
             (unsigned long long)rs->n_problems);
  }
}

static void print_text(const struct hf_backup_result *res, bool dry) {
  const struct hf_record *r = res->record;
  char took[24];
  hf_format_duration(took, res->seconds);
  print_sources(r, dry);
  for (size_t i = 0; i < res->n_targets; i++) {
    const struct hf_backup_target *t = &res->targets[i];
    if (dry && !t->error) continue;
    printf("target %s: ", t->name);
    hf_out_text(t->committed ? "committed" : t->error ? hf_target_message(t->name, t->error) : t->passed ? "passed over: not due there" : "not committed");
    if (t->copied) printf("; %llu objects copied there from other targets", (unsigned long long)t->copied);
    putchar('\n');
  }
  if (dry)
    printf("dry run: nothing was stored; %s\n", took);
  else
    printf("snapshot %llu (%.8s)%s; %s\n", (unsigned long long)r->seq, r->id, res->partial ? ", done in part" : "", took);
}

static void print_json(const struct hf_backup_result *res, bool dry) {
  json_t *o = json_pack("{s:s, s:b, s:b, s:f}", "type", "backup", "dry_run", (int)dry, "partial", (int)res->partial, "seconds",
                        res->seconds);
  hf_out_record(o, res->record);
  json_object_set_new(o, "targets", targets_json(res));
  hf_out_json(o);
}

/* What is noted of the run and told. */
static json_t *facts_of(const struct hf_backup_result *res) {
  json_t *f = json_object();
  if (!res->record) return f;
  json_object_set_new(f, "snapshot", json_integer((json_int_t)res->record->seq));
  json_object_set_new(f, "snapshot_id", hf_out_string(res->record->id));
  json_object_set_new(f, "label", hf_out_string(res->record->label));
  json_object_set_new(f, "sources", hf_out_source_facts(res->record));
  json_object_set_new(f, "targets", targets_json(res));
  return f;
}

int hf_cmd_backup(struct hf_cmd *c) {
  static const struct option longs[] = {
      {"dry-run", no_argument, NULL, 'n'}, {"label", required_argument, NULL, 'L'}, {NULL, 0, NULL, 0}};
  struct totals totals = {0};
  struct hf_backup_options o = {.progress = progress, .ctx = &totals};
  struct hf_backup_result res = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int opt;
  while ((opt = hf_args_next(c, "n", longs)) > 0) {
    if (opt == 'n')
      o.dry = true;
    else
      o.label = optarg;
  }
  if (opt < 0 || !hf_args_operands(c, 0, -1)) return c->exit;
  c->is_run = !o.dry;
  int code = hf_cmd_open(c, HF_SESSION_WRITE, NULL, &s);
  if (code != 0) return code;
  struct hf_list sources = HF_LIST_INIT;
  for (int i = 0; i < c->argc; i++) hf_list_add(&sources, c->argv[i]);
  o.sources = &sources;
  int r = hf_backup(s, &o, &res, &e);
  hf_out_progress_end();
  if (r < 0) {
    if (res.record) tell_problems(res.record);
    code = hf_out_error(c, &e);
  } else {
    tell_problems(res.record);
    if (c->json)
      print_json(&res, o.dry);
    else if (!c->quiet)
      print_text(&res, o.dry);
    code = res.partial ? HF_EXIT_PARTIAL : HF_EXIT_OK;
  }
  json_t *facts = c->run ? facts_of(&res) : NULL;
  hf_backup_result_free(&res);
  hf_list_free(&sources);
  return hf_cmd_end(c, s, code, facts);
}
