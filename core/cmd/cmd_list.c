/* cmd_list.c - holdfast list
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/browse.h"

struct listing {
  struct hf_cmd *c;
  const struct hf_session *s;
  bool all, target; /* --all; --target */
  size_t hidden; /* pruned ones, without all */
  struct hf_table table;
  size_t n;
};

static void head(struct hf_table *t) {
  static const char *const names[] = {"SEQ", "TIME", "ID", "SIZE", "STORED", "LABEL", "TARGETS", "SOURCES"};
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(t, "%s", names[i]);
}

/* The manifest's targets that have to hold it. */
static void holders(const struct hf_session *s, const struct hf_live_snapshot *v, struct hf_list *out) {
  for (size_t i = 0; i < s->manifest->n_targets; i++) {
    if (hf_live_at(v, s->manifest->targets[i].name)) hf_list_add(out, s->manifest->targets[i].name);
  }
}

static void print_json(const struct hf_record *r, const struct hf_live_snapshot *v, const struct hf_list *targets) {
  json_t *o = json_pack("{s:s}", "type", "snapshot");
  hf_out_record(o, r);
  json_object_set_new(o, "targets", hf_out_list(targets));
  json_object_set_new(o, "passed", hf_out_list(&v->passed));
  json_object_set_new(o, "pruned", hf_out_list(&v->pruned));
  json_object_set_new(o, "live", json_boolean(targets->n > 0));
  hf_out_json(o);
}

static int each(void *ctx, const struct hf_record *r, const struct hf_live_snapshot *v, struct hf_error *err HF_UNUSED) {
  struct listing *l = ctx;
  HF_CLEANUP(hf_list_free) struct hf_list targets = HF_LIST_INIT;
  holders(l->s, v, &targets);
  if (!l->all && !hf_live_within_reach(l->s, v) && (targets.n == 0 || l->target)) {
    l->hidden++;
    return 0;
  }
  l->n++;
  if (l->c->json) {
    print_json(r, v, &targets);
    return 0;
  }
  char when[32] = "";
  time_t t = (time_t)r->time;
  struct tm tm;
  if (localtime_r(&t, &tm)) strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
  uint64_t size = 0, stored = 0;
  for (size_t i = 0; i < r->n_sources; i++) {
    size += r->sources[i].bytes;
    stored += r->sources[i].bytes_stored;
  }
  HF_CLEANUP(hf_freep) char *sources = hf_out_sources(r), *where = hf_out_join(&targets, ",");
  if (l->n == 1) head(&l->table);
  hf_table_add(&l->table, "%llu", (unsigned long long)r->seq);
  hf_table_add(&l->table, "%s", when);
  hf_table_add(&l->table, "%.8s", r->id);
  hf_table_size(&l->table, size);
  hf_table_size(&l->table, stored);
  hf_table_add(&l->table, "%s", r->label ? r->label : "-");
  hf_table_add(&l->table, "%s", targets.n ? where : v->pruned_by ? "(pruned)" : "(none)");
  hf_table_add(&l->table, "%s", sources);
  return 0;
}

int hf_cmd_list(struct hf_cmd *c) {
  static const struct option longs[] = {{"target", required_argument, NULL, 't'}, {"all", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};
  const char *target = NULL;
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int o;
  bool all = false;
  while ((o = hf_args_next(c, "", longs)) > 0) {
    if (o == 'a') all = true;
    else target = optarg;
  }
  if (o < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  int code = hf_cmd_open(c, HF_SESSION_READ, target, &s);
  if (code != 0) return code;
  struct listing l = {.c = c, .s = s, .all = all, .target = target != NULL, .table = {.align = "rllrrlll"}};
  code = hf_cmd_chain(c, s);
  if (code == 0) {
    int r = hf_list_snapshots(s, target != NULL, each, &l, &e);
    hf_table_print(&l.table);
    if (r < 0)
      code = hf_out_error(c, &e);
    else if (l.n == 0 && !c->json)
      hf_log(HF_LOG_NOTICE, l.hidden ? "there is no snapshot that was not pruned or passed over; --all shows those" : "there is no snapshot yet");
  }
  hf_session_close(s);
  return code;
}
