/* cmd_prune.c - holdfast prune
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/prune.h"

static void deleted(void *ctx HF_UNUSED, const char *target, const char *key HF_UNUSED, uint64_t done, uint64_t total) {
  hf_out_progress("%s: %llu of %llu objects deleted", target, (unsigned long long)done, (unsigned long long)total);
}

/* Every snapshot, with why it stays or goes. */
static void explain(const struct hf_prune_target *t) {
  static const char *const names[] = {"TARGET", "SEQ", "TIME", "", "WHY"};
  struct hf_table table = {.align = "lrlll"};
  if (t->n == 0) return;
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&table, "%s", names[i]);
  for (size_t i = 0; i < t->n; i++) {
    const struct hf_retained *v = &t->v[i];
    HF_CLEANUP(hf_freep) char *why = hf_out_join(&v->reasons, ", ");
    char when[HF_TIME_LEN];
    hf_format_time(when, v->time);
    hf_table_add(&table, "%s", t->name);
    hf_table_add(&table, "%llu", (unsigned long long)v->seq);
    hf_table_add(&table, "%s", when);
    hf_table_add(&table, "%s", v->keep ? "keep" : "remove");
    hf_table_add(&table, "%s", why);
  }
  hf_table_print(&table);
}

static void print_text(const struct hf_prune_result *r, const struct hf_prune_options *o, bool verbose) {
  static const char *const names[] = {"TARGET", "KEPT", "REMOVED", "PACKS", "INDEXES", "FREED", "REFUSED"};
  struct hf_table table = {.align = "lrrrrrr"};
  char took[24];
  for (size_t i = 0; i < r->n_targets && (o->dry || verbose); i++) explain(&r->targets[i]);
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&table, "%s", names[i]);
  for (size_t i = 0; i < r->n_targets; i++) {
    const struct hf_prune_target *t = &r->targets[i];
    hf_table_add(&table, "%s", t->name);
    hf_table_add(&table, "%zu", t->n - t->removed);
    hf_table_add(&table, "%zu", t->removed);
    hf_table_add(&table, "%llu", (unsigned long long)t->packs);
    hf_table_add(&table, "%llu", (unsigned long long)t->indexes);
    hf_table_size(&table, t->bytes);
    hf_table_add(&table, "%llu", (unsigned long long)t->refused);
  }
  hf_table_print(&table);
  hf_format_duration(took, r->seconds);
  if (o->dry) printf("dry run: nothing was deleted; %s\n", took);
  else if (r->record) printf("prune record %llu; %s\n", (unsigned long long)r->record, took);
  else printf("no snapshot was removed; %s\n", took);
}

static void print_json(const struct hf_prune_result *r, const struct hf_prune_options *o) {
  for (size_t i = 0; i < r->n_targets; i++) {
    const struct hf_prune_target *t = &r->targets[i];
    for (size_t k = 0; k < t->n; k++) {
      const struct hf_retained *v = &t->v[k];
      hf_out_json(json_pack("{s:s, s:s, s:I, s:o, s:o, s:b, s:o}", "type", "snapshot", "target", t->name, "seq", (json_int_t)v->seq, "time", hf_out_time(v->time), "label", hf_out_string(v->label), "keep",
                            (int)v->keep, "reasons", hf_out_list(&v->reasons)));
    }
  }
  for (size_t i = 0; i < r->n_targets; i++) {
    const struct hf_prune_target *t = &r->targets[i];
    hf_out_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "type", "target", "target", t->name, "kept", (json_int_t)(t->n - t->removed), "removed", (json_int_t)t->removed, "packs",
                          (json_int_t)t->packs, "indexes", (json_int_t)t->indexes, "bytes", (json_int_t)t->bytes, "refused", (json_int_t)t->refused, "error", hf_out_string(t->error)));
  }
  json_t *gone = json_array();
  for (size_t i = 0; i < r->gone.n; i++) json_array_append_new(gone, json_integer(strtoll(r->gone.v[i], NULL, 10)));
  hf_out_json(json_pack("{s:s, s:b, s:b, s:o, s:o, s:f}", "type", "prune", "dry_run", (int)o->dry, "partial", (int)r->partial, "record", r->record ? json_integer((json_int_t)r->record) : json_null(), "gone", gone,
                        "seconds", r->seconds));
}

int hf_cmd_prune(struct hf_cmd *c) {
  static const struct option longs[] = {{"dry-run", no_argument, NULL, 'n'}, {"target", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
  struct hf_prune_options o = {.deleted = deleted};
  struct hf_prune_result res = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int k;
  while ((k = hf_args_next(c, "n", longs)) > 0) {
    if (k == 'n') o.dry = true;
    if (k == 't') o.only = optarg;
  }
  if (k < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  int code = hf_cmd_open(c, HF_SESSION_WRITE, NULL, &s);
  if (code != 0) return code;
  const struct hf_manifest_target *only = o.only ? hf_manifest_find_target(s->manifest, o.only) : NULL;
  int r = 0;
  if (o.only && !only) r = hf_fail(&e, HOLDFAST_E_USAGE, "the manifest has no [target %s]", o.only);
  else if (only && !only->enabled) r = hf_fail(&e, HOLDFAST_E_USAGE, "target %s is switched off in the manifest (enabled = no)", o.only);
  if (r == 0) r = hf_prune(s, &o, &res, &e);
  hf_out_progress_end();
  for (size_t i = 0; i < res.n_targets; i++) {
    if (res.targets[i].error && !res.targets[i].away) hf_log(HF_LOG_ERROR, "target %s: %s", res.targets[i].name, hf_target_message(res.targets[i].name, res.targets[i].error));
  }
  if (r == 0 && c->json) print_json(&res, &o);
  else if (r == 0 && !c->quiet) print_text(&res, &o, c->verbose > 0);
  code = r < 0 ? hf_out_error(c, &e) : res.partial ? HF_EXIT_PARTIAL : HF_EXIT_OK;
  hf_prune_result_free(&res);
  hf_session_close(s);
  return code;
}
