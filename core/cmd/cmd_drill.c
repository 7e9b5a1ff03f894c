/* cmd_drill.c - holdfast drill
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/drill_out.h"

static void step(void *ctx HF_UNUSED, const char *source, const char *what) { hf_out_progress("%s: %s", source, what); }

static void problem(void *ctx HF_UNUSED, const char *source, const char *path, bool lost, const char *what) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(path, strlen(path));
  hf_log(lost ? HF_LOG_ERROR : HF_LOG_WARNING, "%s%s%s: %s", source, *path ? ": " : "", shown, what);
}

static void bad(void *ctx HF_UNUSED, const char *object, const char *why) { hf_log(HF_LOG_ERROR, "%s%s%s", strstr(why, object) ? "" : object, strstr(why, object) ? "" : ": ", why); }

/* ---- the result ---- */

static void print_text(const struct hf_manifest *m, const struct hf_drill_result *r, uint64_t record) {
  static const char *const names[] = {"SOURCE", "VERDICT", "FILES", "SIZE", "RESTORE", "VERIFY", "FOUND"};
  struct hf_table t = {.align = "llrrrrl"};
  char took[24];
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_drill_source *d = &r->sources[i];
    hf_table_add(&t, "%s", d->name);
    hf_table_add(&t, "%s", hf_drill_word(d->verdict));
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
  printf("snapshot %llu: %zu of %zu sources came back as they should; %s\n", (unsigned long long)r->seq, r->n_sources - r->failed, r->n_sources, took);
  if (r->late) printf("%s\n", r->late);
  printf("the drill %s%s", hf_drill_passed(r) ? "passed" : "FAILED", record ? "" : "\n");
  if (record) printf("; record %llu\n", (unsigned long long)record);
  if (!hf_drill_passed(r)) hf_out_contacts(stdout, m);
}

static json_t *sources_json(const struct hf_drill_result *r) {
  json_t *sources = json_array();
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_drill_source *d = &r->sources[i];
    json_array_append_new(sources, json_pack("{s:o, s:s, s:o, s:I, s:I, s:f, s:f, s:I}", "name", hf_out_string(d->name), "verdict", hf_drill_word(d->verdict), "message", hf_out_string(d->message), "files",
                                             (json_int_t)d->files, "bytes", (json_int_t)d->bytes, "restore_seconds", d->restore_seconds, "verify_seconds", d->verify_seconds, "rto", (json_int_t)d->rto));
  }
  return sources;
}

static void print_json(const struct hf_manifest *m, const struct hf_drill_result *r, uint64_t record) {
  hf_out_json(json_pack("{s:s, s:I, s:s, s:o, s:o, s:s, s:I, s:f, s:I, s:o, s:o, s:o, s:o}", "type", "drill", "seq", (json_int_t)r->seq, "id", r->id, "snapshot_time", hf_out_time(r->snapshot_time), "time",
                        hf_out_time(r->time), "verdict", hf_drill_passed(r) ? "passed" : "failed", "failed", (json_int_t)r->failed, "seconds", r->seconds, "rto", (json_int_t)r->rto, "late", hf_out_string(r->late),
                        "record", record ? json_integer((json_int_t)record) : json_null(), "sources", sources_json(r), "contacts", hf_out_contacts_json(m)));
}

/* ---- the history ---- */

static void bad_report(void *ctx, const char *file, const char *why) {
  bool *bad_one = ctx;
  *bad_one = true;
  hf_log(HF_LOG_ERROR, "%s: %s", file, why);
}

struct history {
  bool bad_one; /* first: bad_report's */
  const struct hf_cmd *c;
  struct hf_table t;
  size_t n;
};

static int show_report(void *ctx, const json_t *o) {
  struct history *h = ctx;
  if (h->c->json) {
    json_t *line = json_deep_copy(o);
    json_object_set_new(line, "type", json_string("drill"));
    hf_out_json(line);
    return 0;
  }
  const char *time = json_string_value(json_object_get(o, "time")), *verdict = json_string_value(json_object_get(o, "verdict"));
  HF_CLEANUP(hf_buf_free) struct hf_buf failed = HF_BUF_INIT;
  json_t *s;
  size_t i;
  char took[24];
  json_array_foreach(json_object_get(o, "sources"), i, s) {
    const char *name = json_string_value(json_object_get(s, "name")), *how = json_string_value(json_object_get(s, "verdict"));
    if (name && how && strcmp(how, "failed") == 0) hf_buf_addf(&failed, "%s%s", failed.len ? ", " : "", name);
  }
  hf_table_add(&h->t, "%s", time ? time : "");
  hf_table_add(&h->t, "%lld", (long long)json_integer_value(json_object_get(o, "snapshot")));
  hf_table_add(&h->t, "%s", verdict ? verdict : "");
  hf_format_duration(took, (double)json_integer_value(json_object_get(o, "seconds")));
  hf_table_add(&h->t, "%s", took);
  hf_format_duration(took, (double)json_integer_value(json_object_get(o, "rto")));
  hf_table_add(&h->t, "%s", json_integer_value(json_object_get(o, "rto")) ? took : "");
  hf_table_add(&h->t, "%s", failed.len ? failed.data : json_object_get(o, "message") ? "late" : "");
  h->n++;
  return 0;
}

static int history(struct hf_cmd *c) {
  static const char *const names[] = {"TIME", "SNAPSHOT", "VERDICT", "TOOK", "RTO", "FAILED"};
  struct history h = {.c = c, .t = {.align = "lrlrrl"}};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int code = hf_cmd_open(c, HF_SESSION_READ | HF_SESSION_NO_TARGETS, NULL, &s);
  if (code != 0) return code;
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&h.t, "%s", names[i]);
  int r = hf_drill_history(s->manifest->state, show_report, bad_report, &h, &e);
  if (r < 0 || c->json || h.n == 0) hf_list_free(&h.t.cells);
  else hf_table_print(&h.t);
  if (r == 0 && h.n == 0 && !c->json && !c->quiet) printf("no drill has been held here\n");
  code = r < 0 ? hf_out_error(c, &e) : h.bad_one ? HF_EXIT_PARTIAL : HF_EXIT_OK;
  hf_session_close(s);
  return code;
}

/* ---- the command ---- */

struct wish {
  struct hf_list sources;
  const char *snapshot, *target, *report;
  struct hf_drill_options o;
  bool random, history, no_record;
};

static int parse(struct hf_cmd *c, struct wish *w) {
  enum { TARGET = 1, SCRATCH, RANDOM, FULL_SPEED, REPORT, NO_RECORD, HISTORY };
  static const struct option longs[] = {{"target", required_argument, NULL, TARGET},
                                        {"scratch", required_argument, NULL, SCRATCH},
                                        {"random", no_argument, NULL, RANDOM},
                                        {"full-speed", no_argument, NULL, FULL_SPEED},
                                        {"report", required_argument, NULL, REPORT},
                                        {"no-record", no_argument, NULL, NO_RECORD},
                                        {"history", no_argument, NULL, HISTORY},
                                        {NULL, 0, NULL, 0}};
  int opt;
  while ((opt = hf_args_next(c, "", longs)) > 0) {
    switch (opt) {
    case TARGET: w->target = optarg; break;
    case SCRATCH: w->o.scratch = optarg; break;
    case RANDOM: w->random = true; break;
    case FULL_SPEED: w->o.full_speed = true; break;
    case REPORT: w->report = optarg; break;
    case NO_RECORD: w->no_record = true; break;
    default: w->history = true;
    }
  }
  if (opt < 0 || !hf_args_operands(c, 0, w->history ? 0 : -1)) return -1;
  if (w->o.scratch && *w->o.scratch != '/') {
    hf_args_wrong(c, "--scratch=%s: an absolute path is wanted", w->o.scratch);
    return -1;
  }
  /* With --random all operands are sources. */
  w->snapshot = w->random || c->argc == 0 ? "latest" : c->argv[0];
  for (int i = w->random ? 0 : 1; i < c->argc; i++) hf_list_add(&w->sources, c->argv[i]);
  w->o.sources = &w->sources;
  return 0;
}

/* On the chain, in a session of its own: a drill takes long, and holds up no backup. *code becomes HF_EXIT_PARTIAL instead of HF_EXIT_OK when that fails. */
static uint64_t record(struct hf_cmd *c, const struct hf_drill_result *res, int *code) {
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  uint64_t seq = 0;
  const struct hf_session_how how = {.flags = HF_SESSION_WRITE, .command = c->command->name, .lock_wait = c->lock_wait};
  int r = hf_session_open(c->manifest, &how, &s, &e);
  if (r == 0) r = hf_session_chain(s, &e);
  if (r == 0) r = hf_drill_record(s, res, &seq, &e);
  hf_session_close(s);
  if (r == 0) return seq;
  hf_prefix(&e, "the drill is not recorded on the chain");
  int other = hf_out_error(c, &e);
  if (*code == HF_EXIT_OK) *code = other == HF_EXIT_USAGE ? other : HF_EXIT_PARTIAL;
  return 0;
}

/* Everything that comes of a drill that was held. */
static int give_out(struct hf_cmd *c, const struct wish *w, const struct hf_drill_result *res, bool host, struct hf_session *s) {
  int code = hf_drill_passed(res) ? HF_EXIT_OK : HF_EXIT_FAILED;
  const struct hf_manifest *m = s->manifest;
  struct hf_error e = {0};
  uint64_t seq = 0;
  if (host && hf_drill_remember(m->state, m->drill_keep, res, &e) < 0) {
    hf_prefix(&e, "the drill's report is not kept");
    hf_out_error(c, &e);
    if (code == HF_EXIT_OK) code = HF_EXIT_PARTIAL;
  }
  /* What this session has read of the state holds up nobody who writes to it. */
  if (host && !w->no_record && hf_state_commit(s->state, &e) < 0) code = hf_out_error(c, &e);
  else if (host && !w->no_record) seq = record(c, res, &code);
  if (c->json) print_json(m, res, seq);
  else if (!c->quiet) print_text(m, res, seq);
  if (w->report && hf_drill_html(w->report, m, res, seq, &e) < 0) {
    hf_out_error(c, &e);
    code = HF_EXIT_FAILED;
  }
  return code;
}

static int run(struct hf_cmd *c, struct wish *w) {
  struct hf_session *s = NULL;
  struct hf_record *rec = NULL;
  struct hf_drill_result res = {0};
  struct hf_error e = {0};
  json_t *facts = NULL;
  char picked[24];
  c->is_run = true;
  int code = hf_cmd_open(c, HF_SESSION_READ, w->target, &s);
  if (code != 0) return code;
  code = hf_cmd_chain(c, s);
  if (code == 0 && w->random) {
    uint64_t seq = 0;
    if (hf_drill_pick(s, w->target, &seq, &e) < 0) code = hf_out_error(c, &e);
    snprintf(picked, sizeof picked, "%llu", (unsigned long long)seq);
    w->snapshot = picked;
  }
  if (code == 0) code = hf_cmd_snapshot(c, s, w->snapshot, &rec);
  if (code == 0) {
    bool host = s->host && s->host_key[0] && !hf_state_is_temporary(s->state);
    int r = hf_drill(s, rec, &w->o, &res, &e);
    hf_out_progress_end();
    code = r < 0 ? hf_out_error(c, &e) : give_out(c, w, &res, host, s);
    if (c->run) facts = json_pack("{s:I, s:s, s:o}", "snapshot", (json_int_t)rec->seq, "snapshot_id", rec->id, "sources", sources_json(&res));
  }
  hf_drill_result_free(&res);
  hf_record_free(rec);
  return hf_cmd_end(c, s, code, facts);
}

int hf_cmd_drill(struct hf_cmd *c) {
  struct wish w = {.sources = HF_LIST_INIT, .o = {.restore = {.problem = problem, .bad = bad}, .step = step}};
  int code = parse(c, &w) < 0 ? c->exit : w.history ? history(c) : run(c, &w);
  hf_list_free(&w.sources);
  return code;
}
