/* metrics.c - the status for machines: Prometheus' text format, a Nagios plugin's line.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "base/text.h"
#include "engine/status.h"

/* ---- Prometheus ---- */

static void family(struct hf_buf *b, const char *name, const char *help) { hf_buf_addf(b, "# HELP holdfast_%s %s\n# TYPE holdfast_%s gauge\n", name, help, name); }

static void label(struct hf_buf *b, const char *name, const char *value) {
  hf_buf_addf(b, ",%s=\"", name);
  for (const char *p = value; *p; p++) {
    if (*p == '\n') {
      hf_buf_adds(b, "\\n");
      continue;
    }
    if (*p == '\\' || *p == '"') hf_buf_addc(b, '\\');
    hf_buf_addc(b, *p);
  }
  hf_buf_addc(b, '"');
}

/* holdfast_NAME{host="..",key="value"} number; key NULL for none. */
static void sample(struct hf_buf *b, const char *name, const char *host, const char *key, const char *value, double number) {
  size_t at;
  hf_buf_addf(b, "holdfast_%s{", name);
  at = b->len;
  label(b, "host", host);
  if (key) label(b, key, value);
  memmove(b->data + at, b->data + at + 1, b->len - at); /* the first comma, with the NUL behind */
  b->len--;
  hf_buf_addf(b, "} %.17g\n", number);
}

struct source_metric { const char *name, *help; double (*value)(const struct hf_status_source *x); };
static double s_time(const struct hf_status_source *x) { return (double)x->time; }
static double s_rpo(const struct hf_status_source *x) { return (double)x->rpo; }
static double s_rto(const struct hf_status_source *x) { return (double)x->rto; }
static double s_bytes(const struct hf_status_source *x) { return (double)x->bytes; }
static double s_files(const struct hf_status_source *x) { return (double)x->files; }
static double s_stand(const struct hf_status_source *x) { return x->stand; }
static const struct source_metric source_metrics[] = {
    {"source_last_snapshot_timestamp_seconds", "When the newest snapshot that has the source was taken, 0 for never.", s_time},
    {"source_rpo_seconds", "How old that may be, 0 when it is not watched.", s_rpo},
    {"source_rto_seconds", "How long a restore of the source may take, 0 when it is not watched.", s_rto},
    {"source_size_bytes", "The size of the source in that snapshot.", s_bytes},
    {"source_files", "The number of its files in that snapshot.", s_files},
    {"source_status", "How the source stands: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.", s_stand}};

struct target_metric { const char *name, *help; double (*value)(const struct hf_status_target *x); bool (*has)(const struct hf_status_target *x); };
static double t_time(const struct hf_status_target *x) { return (double)x->time; }
static double t_rpo(const struct hf_status_target *x) { return (double)x->rpo; }
static double t_open(const struct hf_status_target *x) { return x->open; }
static double t_level(const struct hf_status_target *x) { return x->level / 100; }
static double t_records(const struct hf_status_target *x) { return (double)x->missing_records; }
static double t_objects(const struct hf_status_target *x) { return (double)x->missing_objects; }
static double t_free(const struct hf_status_target *x) { return (double)x->free_bytes; }
static double t_total(const struct hf_status_target *x) { return (double)x->total; }
static double t_stand(const struct hf_status_target *x) { return x->stand; }
static bool has_level(const struct hf_status_target *x) { return x->level >= 0; }
static bool has_objects(const struct hf_status_target *x) { return x->counted; }
static bool has_total(const struct hf_status_target *x) { return x->total > 0; }
static const struct target_metric target_metrics[] = {
    {"target_last_snapshot_timestamp_seconds", "When the newest snapshot that the target holds was taken, 0 for none.", t_time, NULL},
    {"target_rpo_seconds", "How old that may be, 0 when it is not watched.", t_rpo, NULL},
    {"target_reachable", "1 when the target could be opened.", t_open, NULL},
    {"target_level_ratio", "How much of the records and objects that it has to hold it holds.", t_level, has_level},
    {"target_missing_records", "Records of the chain that it lacks.", t_records, has_level},
    {"target_missing_objects", "Packs and indexes that it has to hold and lacks.", t_objects, has_objects},
    {"target_free_bytes", "Free space.", t_free, has_total},
    {"target_size_bytes", "Its space, free or not.", t_total, has_total},
    {"target_status", "How the target stands: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.", t_stand, NULL}};

static void run_metrics(const struct hf_status *st, const char *host, struct hf_buf *b) {
  if (st->n_last == 0) return;
  family(b, "run_last_start_timestamp_seconds", "When the newest run of a command began.");
  for (size_t i = 0; i < st->n_last; i++) sample(b, "run_last_start_timestamp_seconds", host, "verb", st->last[i].verb, (double)st->last[i].started);
  family(b, "run_last_result", "What came of it: 0 done, 1 done in part, 2 failed, 3 running, 4 did not finish.");
  for (size_t i = 0; i < st->n_last; i++) sample(b, "run_last_result", host, "verb", st->last[i].verb, st->last[i].result);
  family(b, "run_last_duration_seconds", "How long it took, once it has ended.");
  for (size_t i = 0; i < st->n_last; i++) {
    if (st->last[i].finished) sample(b, "run_last_duration_seconds", host, "verb", st->last[i].verb, (double)(st->last[i].finished - st->last[i].started));
  }
  family(b, "run_last_success_timestamp_seconds", "When the newest run that did all it should ended, 0 for none.");
  for (size_t i = 0; i < st->n_last; i++) sample(b, "run_last_success_timestamp_seconds", host, "verb", st->last[i].verb, (double)st->good[i].finished);
}

static void drill_metrics(const struct hf_status *st, const char *host, struct hf_buf *b) {
  if (st->drill.seq == 0) return;
  family(b, "drill_last_timestamp_seconds", "When a restore was rehearsed last.");
  sample(b, "drill_last_timestamp_seconds", host, NULL, NULL, (double)st->drill.time);
  family(b, "drill_last_passed", "1 when that rehearsal passed.");
  sample(b, "drill_last_passed", host, NULL, NULL, strcmp(st->drill.verdict, "passed") == 0);
  if (st->drill.seconds < 0) return;
  family(b, "drill_last_duration_seconds", "How long it took.");
  sample(b, "drill_last_duration_seconds", host, NULL, NULL, st->drill.seconds);
}

void hf_status_metrics(const struct hf_status *st, const char *host, struct hf_buf *b) {
  family(b, "status", "How the backups stand: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.");
  sample(b, "status", host, NULL, NULL, st->worst);
  family(b, "records", "Records in the chain.");
  sample(b, "records", host, NULL, NULL, (double)st->head);
  family(b, "snapshots", "Snapshots that can be had.");
  sample(b, "snapshots", host, NULL, NULL, (double)st->snapshots);
  for (size_t k = 0; k < HF_NELEM(source_metrics); k++) {
    family(b, source_metrics[k].name, source_metrics[k].help);
    for (size_t i = 0; i < st->n_sources; i++) sample(b, source_metrics[k].name, host, "source", st->sources[i].name, source_metrics[k].value(&st->sources[i]));
  }
  for (size_t k = 0; k < HF_NELEM(target_metrics); k++) {
    family(b, target_metrics[k].name, target_metrics[k].help);
    for (size_t i = 0; i < st->n_targets; i++) {
      if (!target_metrics[k].has || target_metrics[k].has(&st->targets[i])) sample(b, target_metrics[k].name, host, "target", st->targets[i].name, target_metrics[k].value(&st->targets[i]));
    }
  }
  if (st->state_total) {
    family(b, "state_free_bytes", "Free space of the state folder's file system.");
    sample(b, "state_free_bytes", host, NULL, NULL, (double)st->state_free);
    family(b, "state_size_bytes", "The size of the state folder's file system.");
    sample(b, "state_size_bytes", host, NULL, NULL, (double)st->state_total);
  }
  family(b, "recipient_expiry_timestamp_seconds", "When a recipient's key expires, 0 for never.");
  for (size_t i = 0; i < st->n_keys; i++) {
    json_t *spec = hf_json_bytes(st->keys[i].spec, strlen(st->keys[i].spec)); /* one label that is not UTF-8 costs all metrics */
    sample(b, "recipient_expiry_timestamp_seconds", host, "recipient", json_string_value(spec), (double)st->keys[i].expires);
    json_decref(spec);
  }
  run_metrics(st, host, b);
  drill_metrics(st, host, b);
  family(b, "findings", "Things that stand so.");
  for (int s = HF_STAND_OK; s <= HF_STAND_UNKNOWN; s++) {
    size_t n = 0;
    for (size_t i = 0; i < st->findings.n; i++) n += st->findings.v[i].stand == (enum hf_stand)s;
    sample(b, "findings", host, "status", hf_stand_names[s], (double)n);
  }
}

/* ---- Nagios ---- */

void hf_status_line(const struct hf_status *st, struct hf_buf *out) {
  const struct hf_finding *worst = NULL;
  size_t more = 0;
  hf_buf_addf(out, "HOLDFAST %s - ", hf_stand_names[st->worst]);
  for (size_t i = 0; i < st->findings.n; i++) {
    const struct hf_finding *f = &st->findings.v[i];
    if (f->stand == HF_STAND_OK) continue;
    if (!worst && f->stand == st->worst) worst = f;
    else more++;
  }
  if (!worst) {
    int64_t oldest = 0;
    for (size_t i = 0; i < st->n_sources; i++) oldest = HF_MAX(oldest, st->sources[i].age);
    char age[24];
    hf_format_duration(age, (double)oldest);
    hf_buf_addf(out, "%zu source%s at %zu target%s, no copy older than %s", st->n_sources, st->n_sources == 1 ? "" : "s", st->n_targets, st->n_targets == 1 ? "" : "s", age);
    return;
  }
  hf_buf_addf(out, "%s%s%s: ", worst->what, *worst->name ? " " : "", worst->name);
  for (const char *p = worst->text; *p; p++) hf_buf_addc(out, *p == '|' ? '/' : *p); /* perfdata begins with one */
  if (more) hf_buf_addf(out, " (and %zu more)", more);
}

static void ages(struct hf_buf *out, const char *kind, const char *name, int64_t age, int64_t rpo) {
  if (age < 0) return;
  hf_buf_addf(out, "%sage_%s_%s=%llds", out->len ? " " : "", kind, name, (long long)age);
  if (rpo) hf_buf_addf(out, ";%lld;%lld;0", (long long)(rpo / 24 * 20 + rpo % 24 * 20 / 24), (long long)rpo);
}

void hf_status_perfdata(const struct hf_status *st, struct hf_buf *all) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < st->n_sources; i++) ages(&b, "source", st->sources[i].name, st->sources[i].age, st->sources[i].rpo);
  for (size_t i = 0; i < st->n_targets; i++) {
    const struct hf_status_target *t = &st->targets[i];
    const char *between = b.len ? " " : "";
    ages(&b, "target", t->name, t->age, t->rpo);
    if (b.len) between = " ";
    if (t->level >= 0) hf_buf_addf(&b, "%slevel_%s=%.1f%%;100:;;0;100", between, t->name, t->level);
    if (b.len) between = " ";
    if (t->total) hf_buf_addf(&b, "%sused_%s=%.1f%%;80;90;0;100", between, t->name, hf_used(t->free_bytes, t->total));
  }
  if (st->state_total) hf_buf_addf(&b, "%sused_state=%.1f%%;80;90;0;100", b.len ? " " : "", hf_used(st->state_free, st->state_total));
  if (st->drill.seconds >= 0) hf_buf_addf(&b, "%sdrill=%.3fs", b.len ? " " : "", st->drill.seconds);
  hf_buf_add(all, b.data ? b.data : "", b.len);
}
