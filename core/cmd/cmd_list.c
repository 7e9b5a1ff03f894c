/* cmd_list.c - holdfast list
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/browse.h"

struct listing {
  struct hf_cmd *c;
  struct hf_table table;
  size_t n;
};

static void head(struct hf_table *t) {
  static const char *const names[] = {"SEQ", "TIME", "ID", "SIZE", "STORED", "LABEL", "SOURCES"};
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(t, "%s", names[i]);
}

static int each(void *ctx, const struct hf_record *r, struct hf_error *err HF_UNUSED) {
  struct listing *l = ctx;
  l->n++;
  if (l->c->json) {
    json_t *o = json_pack("{s:s}", "type", "snapshot");
    hf_out_record(o, r);
    hf_out_json(o);
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
  HF_CLEANUP(hf_freep) char *sources = hf_out_sources(r);
  if (l->n == 1) head(&l->table);
  hf_table_add(&l->table, "%llu", (unsigned long long)r->seq);
  hf_table_add(&l->table, "%s", when);
  hf_table_add(&l->table, "%.8s", r->id);
  hf_table_size(&l->table, size);
  hf_table_size(&l->table, stored);
  hf_table_add(&l->table, "%s", r->label ? r->label : "-");
  hf_table_add(&l->table, "%s", sources);
  return 0;
}

int hf_cmd_list(struct hf_cmd *c) {
  static const struct option longs[] = {{"target", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
  const char *target = NULL;
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int o;
  while ((o = hf_args_next(c, "", longs)) > 0) target = optarg;
  if (o < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  int code = hf_cmd_open(c, HF_SESSION_READ, target, &s);
  if (code != 0) return code;
  struct listing l = {.c = c, .table = {.align = "rllrrll"}};
  code = hf_cmd_chain(c, s);
  if (code == 0) {
    int r = hf_list_snapshots(s, target != NULL, each, &l, &e);
    hf_table_print(&l.table);
    if (r < 0)
      code = hf_out_error(c, &e);
    else if (l.n == 0 && !c->json)
      hf_log(HF_LOG_NOTICE, "there is no snapshot yet");
  }
  hf_session_close(s);
  return code;
}
