/* cmd_status.c - holdfast status
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/runlog.h"
#include "engine/status.h"

struct wish {
  bool nagios, notify;
  const char *prometheus;
};

/* ---- for people ---- */

static void age_cell(struct hf_table *t, int64_t seconds) {
  char text[24];
  hf_format_duration(text, (double)seconds);
  hf_table_add(t, "%s", seconds < 0 ? "never" : text);
}

static void limit_cell(struct hf_table *t, int64_t seconds) {
  char text[24];
  hf_format_duration(text, (double)seconds);
  hf_table_add(t, "%s", seconds ? text : "-");
}

static void print_sources(const struct hf_status *st) {
  static const char *const names[] = {"SOURCE", "SNAPSHOT", "AGE", "RPO", "STATUS"};
  struct hf_table t = {.align = "lrrrl"};
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < st->n_sources; i++) {
    const struct hf_status_source *x = &st->sources[i];
    hf_table_add(&t, "%s", x->name);
    hf_table_add(&t, "%llu", (unsigned long long)x->seq);
    age_cell(&t, x->age);
    limit_cell(&t, x->rpo);
    hf_table_add(&t, "%s%s", hf_stand_names[x->stand], x->partial ? " (partial)" : "");
  }
  hf_table_print(&t);
}

static void print_targets(const struct hf_status *st) {
  static const char *const names[] = {"TARGET", "SNAPSHOT", "AGE", "RPO", "LEVEL", "USED", "STATUS"};
  struct hf_table t = {.align = "lrrrrrl"};
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < st->n_targets; i++) {
    const struct hf_status_target *x = &st->targets[i];
    hf_table_add(&t, "%s", x->name);
    hf_table_add(&t, "%llu", (unsigned long long)x->seq);
    age_cell(&t, x->age);
    limit_cell(&t, x->rpo);
    if (x->level < 0)
      hf_table_add(&t, "-");
    else
      hf_table_add(&t, "%.1f%%", x->level);
    if (x->total)
      hf_table_add(&t, "%.1f%%", hf_used(x->free_bytes, x->total));
    else
      hf_table_add(&t, "-");
    hf_table_add(&t, "%s%s", hf_stand_names[x->stand], x->away ? " (away)" : x->open ? "" : " (down)");
  }
  hf_table_print(&t);
}

static void print_runs(const struct hf_status *st) {
  static const char *const names[] = {"RUN", "COMMAND", "BEGAN", "TOOK", "RESULT"};
  struct hf_table t = {.align = "rllrl"};
  char when[HF_TIME_LEN], took[24];
  if (st->n_runs == 0) return;
  putchar('\n');
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < st->n_runs; i++) {
    const struct hf_status_run *x = &st->runs[i];
    hf_format_time(when, x->started);
    hf_format_duration(took, (double)(x->finished - x->started));
    hf_table_add(&t, "%lld", (long long)x->id);
    hf_table_add(&t, "%s", x->verb);
    hf_table_add(&t, "%s", when);
    hf_table_add(&t, "%s", x->finished ? took : "-");
    hf_table_add(&t, "%s%s%s", hf_run_result_names[x->result], x->error ? ": " : "", x->error ? x->error : "");
  }
  hf_table_print(&t);
}

static void print_findings(const struct hf_status *st) {
  bool first = true;
  for (int stand = HF_STAND_CRITICAL; stand >= 0; stand = stand == HF_STAND_CRITICAL ? HF_STAND_WARNING : stand == HF_STAND_WARNING ? HF_STAND_UNKNOWN : -1) {
    for (size_t i = 0; i < st->findings.n; i++) {
      const struct hf_finding *f = &st->findings.v[i];
      if (f->stand != (enum hf_stand)stand) continue;
      printf("%s%s %s%s", first ? "\n" : "", hf_stand_names[stand], f->what, *f->name ? " " : "");
      first = false;
      hf_out_text(f->name);
      fputs(": ", stdout);
      hf_out_text(f->text);
      putchar('\n');
    }
  }
}

static void print_text(const struct hf_status *st, bool quiet) {
  HF_CLEANUP(hf_buf_free) struct hf_buf line = HF_BUF_INIT;
  hf_status_line(st, &line);
  hf_out_text(line.data);
  putchar('\n');
  if (quiet) return;
  putchar('\n');
  print_sources(st);
  putchar('\n');
  print_targets(st);
  print_runs(st);
  for (size_t i = 0; i < st->findings.n; i++) {
    if (strcmp(st->findings.v[i].what, "drill") != 0 || st->findings.v[i].stand != HF_STAND_OK) continue;
    fputs("\ndrill: ", stdout);
    hf_out_text(st->findings.v[i].text);
    putchar('\n');
  }
  print_findings(st);
}

/* What a Nagios plugin prints: the line with perfdata, and a line for each thing that is not well. */
static void print_nagios(const struct hf_status *st) {
  HF_CLEANUP(hf_buf_free) struct hf_buf line = HF_BUF_INIT;
  hf_status_line(st, &line);
  hf_buf_adds(&line, " | ");
  hf_status_perfdata(st, &line);
  hf_out_text(line.data);
  putchar('\n');
  for (size_t i = 0; i < st->findings.n; i++) {
    const struct hf_finding *f = &st->findings.v[i];
    if (f->stand == HF_STAND_OK) continue;
    HF_CLEANUP(hf_freep) char *text = hf_asprintf("%s %s%s%s: %s", hf_stand_names[f->stand], f->what, *f->name ? " " : "", f->name, f->text);
    for (char *p = text; *p; p++) {
      if (*p == '|') *p = '/';
    }
    hf_out_text(text);
    putchar('\n');
  }
}

/* ---- as JSON ---- */

static json_t *maybe(bool is, json_int_t v) { return is ? json_integer(v) : json_null(); }
static json_t *maybe_time(int64_t t) { return t ? hf_out_time(t) : json_null(); }

static void print_json(const struct hf_status *st) {
  for (size_t i = 0; i < st->n_sources; i++) {
    const struct hf_status_source *x = &st->sources[i];
    hf_out_json(json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:b}", "type", "source", "name", x->name, "status", hf_stand_names[x->stand], "snapshot", maybe(x->seq, (json_int_t)x->seq), "time",
                          maybe_time(x->time), "age", maybe(x->age >= 0, x->age), "rpo", maybe(x->rpo, x->rpo), "rto", maybe(x->rto, x->rto), "bytes", (json_int_t)x->bytes, "files", (json_int_t)x->files,
                          "partial", (int)x->partial));
  }
  for (size_t i = 0; i < st->n_targets; i++) {
    const struct hf_status_target *x = &st->targets[i];
    json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "type", "target", "name", x->name, "status", hf_stand_names[x->stand], "reachable", (int)x->open, "away", (int)x->away, "error",
                          hf_out_string(x->error), "snapshot", maybe(x->seq, (json_int_t)x->seq), "time", maybe_time(x->time), "age", maybe(x->age >= 0, x->age), "rpo", maybe(x->rpo, x->rpo));
    json_object_update_new(o, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "level", x->level >= 0 ? json_real(x->level) : json_null(), "records",
                          maybe(x->level >= 0, (json_int_t)x->records), "missing_records", maybe(x->level >= 0, (json_int_t)x->missing_records), "objects", maybe(x->counted, (json_int_t)x->objects),
                          "missing_objects", maybe(x->counted, (json_int_t)x->missing_objects), "free", maybe(x->total, (json_int_t)x->free_bytes), "total", maybe(x->total, (json_int_t)x->total)));
    hf_out_json(o);
  }
  for (size_t i = 0; i < st->n_runs; i++) {
    const struct hf_status_run *x = &st->runs[i];
    hf_out_json(json_pack("{s:s, s:I, s:s, s:o, s:o, s:o, s:s, s:o}", "type", "run", "run", (json_int_t)x->id, "verb", x->verb, "started", hf_out_time(x->started), "finished", maybe_time(x->finished), "exit",
                          maybe(x->finished, x->exit), "result", hf_run_result_names[x->result], "error", hf_out_string(x->error)));
  }
  if (st->drill.seq)
    hf_out_json(json_pack("{s:s, s:I, s:I, s:o, s:s, s:o}", "type", "drill", "seq", (json_int_t)st->drill.seq, "snapshot", (json_int_t)st->drill.snapshot, "time", hf_out_time(st->drill.time), "verdict", st->drill.verdict,
                          "seconds", st->drill.seconds >= 0 ? json_real(st->drill.seconds) : json_null()));
  for (size_t i = 0; i < st->n_channels; i++) {
    const struct hf_status_channel *x = &st->channels[i];
    hf_out_json(json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "type", "notify", "name", x->name, "channel", hf_channel_names[x->type], "tried", maybe_time(x->tried), "good", maybe_time(x->good), "error",
                          hf_out_string(x->error)));
  }
  for (size_t i = 0; i < st->findings.n; i++) {
    const struct hf_finding *f = &st->findings.v[i];
    hf_out_json(json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:o}", "type", "finding", "key", f->key, "what", f->what, "name", hf_out_string(f->name), "event", hf_event_names[f->event], "status",
                          hf_stand_names[f->stand], "message", hf_out_string(f->text)));
  }
  hf_out_json(json_pack("{s:s, s:s, s:i, s:b, s:b, s:I, s:I}", "type", "summary", "status", hf_stand_names[st->worst], "exit", (int)st->worst, "quick", (int)st->quick, "chain", (int)st->chain, "records",
                        (json_int_t)st->head, "snapshots", (json_int_t)st->snapshots));
}

/* ---- the command ---- */

/* Replaced as a whole: a collector never sees half of it. It is no secret. */
static int write_metrics(struct hf_cmd *c, const struct hf_status *st, const char *host, const char *file) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  struct hf_error e = {0};
  hf_status_metrics(st, host, &text);
  if (strcmp(file, "-") == 0) {
    fwrite(text.data, 1, text.len, stdout);
    return 0;
  }
  mode_t old = umask(022);
  int r = hf_write_file_atomic(file, text.data, text.len, 0644, &e);
  umask(old);
  if (r == 0) return 0;
  hf_prefix(&e, "the metrics");
  hf_out_error(c, &e);
  return HF_STAND_UNKNOWN;
}

static int look(struct hf_cmd *c, struct hf_session *s, const struct wish *w, const struct hf_status_options *o) {
  struct hf_status st;
  struct hf_runs *runs = NULL;
  struct hf_error e = {0};
  if (!hf_state_is_temporary(s->state) && hf_runs_open(s->manifest->state, &runs, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
  int code = hf_status(s, runs, o, &st, &e) < 0 ? (hf_out_error(c, &e), (int)HF_STAND_UNKNOWN) : (int)st.worst;
  if (e.code != HOLDFAST_E_CANCELED) {
    bool only_metrics = w->prometheus && strcmp(w->prometheus, "-") == 0;
    if (c->json && !only_metrics)
      print_json(&st);
    else if (w->nagios && !only_metrics)
      print_nagios(&st);
    else if (!only_metrics)
      print_text(&st, c->quiet);
    const char *file = w->prometheus ? w->prometheus : s->manifest->metrics_file;
    int written = file ? write_metrics(c, &st, s->manifest->host, file) : 0;
    if (code != HF_STAND_CRITICAL) code = HF_MAX(code, written); /* UNKNOWN, which must not hide what is worse */
    if (w->notify && hf_state_is_temporary(s->state))
      hf_log(HF_LOG_WARNING, "nobody is told: this is not the host, or not the account that backs up");
    else if (w->notify)
      hf_notify_alarms(s->manifest, runs, &st.findings, !o->quick && st.chain);
  }
  hf_status_free(&st);
  hf_runs_close(runs);
  return code;
}

/* Also a mistake is told the way a Nagios plugin has to: with its line, and as UNKNOWN. */
int hf_cmd_status(struct hf_cmd *c) {
  enum { QUICK = 1, NAGIOS, PROMETHEUS, NOTIFY };
  static const struct option longs[] = {{"quick", no_argument, NULL, QUICK},
                                        {"nagios", no_argument, NULL, NAGIOS},
                                        {"prometheus", required_argument, NULL, PROMETHEUS},
                                        {"notify", no_argument, NULL, NOTIFY},
                                        {NULL, 0, NULL, 0}};
  struct hf_status_options o = {0};
  struct wish w = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int opt;
  while ((opt = hf_args_next(c, "", longs)) > 0) {
    switch (opt) {
    case QUICK: o.quick = true; break;
    case NAGIOS: w.nagios = true; break;
    case PROMETHEUS: w.prometheus = optarg; break;
    default: w.notify = true;
    }
  }
  if (opt < 0 || !hf_args_operands(c, 0, 0)) return c->exit == HF_EXIT_OK ? HF_EXIT_OK : (int)HF_STAND_UNKNOWN;
  const struct hf_session_how how = {.flags = HF_SESSION_READ | HF_SESSION_NO_TARGETS, .command = c->command->name};
  if (hf_session_open(c->manifest, &how, &s, &e) < 0) {
    if (w.nagios) printf("HOLDFAST UNKNOWN - %s\n", e.msg);
    hf_out_error(c, &e);
    if (w.notify) hf_status_failed(c->manifest, &e);
    return HF_STAND_UNKNOWN;
  }
  int code = look(c, s, &w, &o);
  hf_session_close(s);
  return code;
}
