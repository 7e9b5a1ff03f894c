/* cmd_prune.c - holdfast prune
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/prune.h"

#define COMPACT_PERCENT 50 /* packs of which less is needed are repacked, unless something else is said */

static void deleted(void *ctx HF_UNUSED, const char *target, const char *key HF_UNUSED, uint64_t done, uint64_t total) {
  hf_out_progress("%s: %llu of %llu objects deleted", target, (unsigned long long)done, (unsigned long long)total);
}

static void repacked(void *ctx HF_UNUSED, const char *source, uint64_t packs, uint64_t total) {
  hf_out_progress("%s: %llu of %llu packs read", source, (unsigned long long)packs, (unsigned long long)total);
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

static void print_compact(const struct hf_compact_result *c, bool dry) {
  char before[24], after[24];
  hf_format_size(before, c->bytes);
  hf_format_size(after, c->new_bytes);
  printf("compaction: %llu packs of %s %s by %llu of %s%s\n", (unsigned long long)c->packs, before, dry ? "would be replaced" : "replaced", (unsigned long long)c->new_packs, dry ? "about " : "", after);
  if (c->waiting) printf("compaction: %llu packs wait for a target that has to hold them and is not there or behind\n", (unsigned long long)c->waiting);
  if (c->damaged) printf("compaction: %llu packs cannot be read whole and are left as they are\n", (unsigned long long)c->damaged);
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
  if (o->compact) print_compact(&r->compact, o->dry);
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
  const struct hf_compact_result *c = &r->compact;
  if (o->compact) {
    hf_out_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "type", "compact", "packs", (json_int_t)c->packs, "bytes", (json_int_t)c->bytes, "new_packs", (json_int_t)c->new_packs, "new_bytes",
                          (json_int_t)c->new_bytes, "waiting", (json_int_t)c->waiting, "damaged", (json_int_t)c->damaged, "left_out", hf_out_list(&c->locked), "record",
                          c->record ? json_integer((json_int_t)c->record) : json_null()));
  }
  json_t *gone = json_array();
  for (size_t i = 0; i < r->gone.n; i++) json_array_append_new(gone, json_integer(strtoll(r->gone.v[i], NULL, 10)));
  hf_out_json(json_pack("{s:s, s:b, s:b, s:o, s:o, s:f}", "type", "prune", "dry_run", (int)o->dry, "partial", (int)r->partial, "record", r->record ? json_integer((json_int_t)r->record) : json_null(), "gone", gone,
                        "seconds", r->seconds));
}

static unsigned percent(const char *text, struct hf_error *err) {
  char *end = NULL;
  unsigned long v = text && *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
  if (!text) return COMPACT_PERCENT;
  if (end && *end == '\0' && v >= 1 && v <= 99) return (unsigned)v;
  hf_fail(err, HOLDFAST_E_USAGE, "--compact=%s: say a percentage from 1 to 99", text);
  return 1;
}

int hf_cmd_prune(struct hf_cmd *c) {
  static const struct option longs[] = {{"compact", optional_argument, NULL, 'C'}, {"dry-run", no_argument, NULL, 'n'}, {"target", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
  struct hf_prune_options o = {.deleted = deleted, .repacked = repacked};
  struct hf_prune_result res = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int k;
  while ((k = hf_args_next(c, "n", longs)) > 0) {
    if (k == 'n') o.dry = true;
    if (k == 't') o.only = optarg;
    if (k == 'C') o.compact = percent(optarg, &e);
  }
  if (k < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  if (o.compact && o.only) hf_fail(&e, HOLDFAST_E_USAGE, "--compact and --target do not go together: what is repacked is replaced at all targets");
  if (e.code) return hf_out_error(c, &e);
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
  for (size_t i = 0; i < res.compact.locked.n; i++) hf_log(HF_LOG_ERROR, "%s", res.compact.locked.v[i]);
  if (r == 0 && c->json) print_json(&res, &o);
  else if (r == 0 && !c->quiet) print_text(&res, &o, c->verbose > 0);
  code = r < 0 ? hf_out_error(c, &e) : res.partial ? HF_EXIT_PARTIAL : HF_EXIT_OK;
  hf_prune_result_free(&res);
  hf_session_close(s);
  return code;
}
