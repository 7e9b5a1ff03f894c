/* cmd_sync.c - holdfast sync
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"
#include "engine/sync.h"

struct syncing { const struct hf_cmd *c; const struct hf_session *s; };

static void chain(void *ctx) {
  const struct syncing *x = ctx;
  hf_cmd_issues(x->c, x->s, 0);
}

static void copied(void *ctx HF_UNUSED, const char *target, const char *key, uint64_t size HF_UNUSED) { hf_out_progress("%s: %s", target, key); }

static void print_target(const struct hf_cmd *c, struct hf_table *table, const struct hf_sync_target *t, bool dry) {
  if (c->json) {
    hf_out_json(json_pack("{s:s,s:s,s:b,s:I,s:I,s:I}", "type", "target", "target", t->name, "dry_run", dry, "copied", (json_int_t)t->copied, "bytes", (json_int_t)t->bytes, "failed", (json_int_t)t->failed));
    return;
  }
  hf_table_add(table, "%s", t->name);
  hf_table_add(table, "%llu", (unsigned long long)t->copied);
  hf_table_size(table, t->bytes);
  hf_table_add(table, "%llu", (unsigned long long)t->failed);
}

/* What is noted of the run and told. */
static json_t *targets_json(const struct hf_sync_result *r) {
  json_t *a = json_array();
  for (size_t i = 0; i < r->n_targets; i++) {
    const struct hf_sync_target *t = &r->targets[i];
    if (t->name) json_array_append_new(a, json_pack("{s:s, s:I, s:I, s:I}", "name", t->name, "copied", (json_int_t)t->copied, "bytes", (json_int_t)t->bytes, "failed", (json_int_t)t->failed));
  }
  return a;
}

int hf_cmd_sync(struct hf_cmd *c) {
  static const struct option longs[] = {{"dry-run", no_argument, NULL, 'n'}, {"target", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
  struct syncing x = {.c = c};
  struct hf_sync_options o = {.chain = chain, .copied = copied, .ctx = &x};
  struct hf_sync_result res = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int k;
  while ((k = hf_args_next(c, "n", longs)) > 0) {
    if (k == 'n') o.dry = true;
    if (k == 't') o.only = optarg;
  }
  if (k < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  c->is_run = !o.dry;
  int code = hf_cmd_open(c, HF_SESSION_WRITE, NULL, &s);
  if (code != 0) return code;
  if (o.only && !hf_manifest_find_target(s->manifest, o.only)) {
    hf_fail(&e, HOLDFAST_E_USAGE, "the manifest has no [target %s]", o.only);
    code = hf_out_error(c, &e);
  }
  x.s = s;
  if (code == 0) {
    int r = hf_sync(s, &o, &res, &e);
    hf_out_progress_end();
    if (r < 0) code = hf_out_error(c, &e);
  }
  struct hf_table table = {.align = "lrrr"};
  static const char *const names[] = {"TARGET", "COPIED", "BYTES", "FAILED"};
  for (size_t i = 0; i < HF_NELEM(names) && res.n_targets && !c->json; i++) hf_table_add(&table, "%s", names[i]);
  for (size_t i = 0; i < res.n_targets; i++) {
    if (!res.targets[i].name) continue;
    print_target(c, &table, &res.targets[i], o.dry);
    if (res.targets[i].failed) code = HF_EXIT_PARTIAL;
  }
  hf_table_print(&table);
  if (code == 0 && s->n_unopened) code = HF_EXIT_PARTIAL;
  json_t *facts = c->run ? json_pack("{s:o}", "targets", targets_json(&res)) : NULL;
  hf_sync_result_free(&res);
  return hf_cmd_end(c, s, code, facts);
}
