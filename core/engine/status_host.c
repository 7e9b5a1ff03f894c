/* status_host.c - what is known of this host: its disk, the recipients' keys, its runs, its rehearsals, its channels.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <sys/statvfs.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/runlog.h"
#include "engine/status_impl.h"

const char *const hf_run_result_names[] = {"done", "done in part", "failed", "running", "did not finish"};
/* A restore that failed is the business of who made it. */
static const char *const watched[] = {"backup", "prune", "verify", "sync", "drill"};

/* ---- disk and keys ---- */

static void look_at_disk(struct hf_looking *l) {
  struct hf_status *out = l->out;
  const char *dir = hf_state_dir(l->s->state);
  struct statvfs fs;
  char left[16], total[16];
  if (hf_state_is_temporary(l->s->state)) return;
  if (statvfs(dir, &fs) < 0) {
    hf_status_find(l, "disk of state", "", HF_EVENT_DISK, HF_STAND_UNKNOWN, "the free space of %s is not known", dir);
    return;
  }
  out->state_free = (uint64_t)fs.f_bavail * fs.f_frsize;
  out->state_total = (uint64_t)fs.f_blocks * fs.f_frsize;
  hf_format_size(left, out->state_free);
  hf_format_size(total, out->state_total);
  hf_status_find(l, "disk of state", "", HF_EVENT_DISK, hf_disk_stand(out->state_free, out->state_total), "%s: %.1f%% used, %s free of %s", dir, hf_used(out->state_free, out->state_total), left, total);
}

static void look_at_key(struct hf_looking *l, const char *spec, struct hf_status_key *k) {
  char fpr[HF_FPR_LEN + 1], when[HF_TIME_LEN];
  struct hf_error e = {0};
  k->spec = spec;
  int r = hf_gpg_find(l->s->host, spec, fpr, &e);
  if (r == 0) k->fpr = hf_strdup(fpr);
  if (r == 0) r = hf_gpg_check_recipient(l->s->host, fpr, &k->expires, &k->uid, &e);
  if (r < 0) {
    hf_status_find(l, "recipient", spec, HF_EVENT_KEY_EXPIRY, HF_STAND_CRITICAL, "cannot be encrypted to, so there is no backup: %s", e.msg);
    return;
  }
  if (k->expires) hf_format_time(when, k->expires);
  enum hf_stand stand = hf_expiry_stand(k->expires, l->now);
  hf_status_find(l, "recipient", spec, HF_EVENT_KEY_EXPIRY, stand, "%s%s%s", k->expires ? "the key expires at " : "the key does not expire", k->expires ? when : "",
                 stand == HF_STAND_OK ? "" : ": after that there is no backup");
}

static void look_at_keys(struct hf_looking *l) {
  HF_CLEANUP(hf_list_free) struct hf_list specs = HF_LIST_INIT;
  const struct hf_manifest *m = l->s->manifest;
  if (!l->s->host || !l->s->host_key[0]) return;
  size_t n = m->recipients.n;
  for (size_t i = 0; i < m->n_sources; i++) n += m->sources[i].recipients.n;
  l->out->keys = hf_allocn(n, sizeof *l->out->keys);
  for (size_t i = 0; i <= m->n_sources; i++) {
    const struct hf_list *from = i < m->n_sources ? &m->sources[i].recipients : &m->recipients;
    for (size_t k = 0; k < from->n; k++) {
      if (hf_list_has(&specs, from->v[k])) continue;
      hf_list_add(&specs, from->v[k]);
      look_at_key(l, from->v[k], &l->out->keys[l->out->n_keys++]);
    }
  }
}

/* ---- runs ---- */

static void take_run(struct hf_looking *l, const struct hf_run_row *row, struct hf_status_run *out) {
  *out = (struct hf_status_run){.id = row->id, .started = row->started, .finished = row->finished, .verb = hf_strdup(row->verb), .exit = row->exit};
  if (row->finished)
    out->result = row->exit == 0 ? HF_RUN_DONE : row->exit == 3 ? HF_RUN_PARTIAL : HF_RUN_FAILED;
  else
    out->result = hf_run_is_alive(l->s->manifest->state, row->id) ? HF_RUN_RUNNING : HF_RUN_KILLED;
  json_t *facts = *row->facts ? hf_json_parse(row->facts, strlen(row->facts), NULL) : NULL;
  out->error = hf_strdup(json_string_value(json_object_get(facts, "error")));
  json_decref(facts);
}

static int list_run(void *ctx, const struct hf_run_row *row) {
  struct hf_looking *l = ctx;
  take_run(l, row, &l->out->runs[l->out->n_runs++]);
  return 0;
}

static void find_run(struct hf_looking *l, const struct hf_status_run *r) {
  char when[HF_TIME_LEN];
  hf_format_time(when, r->started);
  bool bad = r->result == HF_RUN_FAILED || r->result == HF_RUN_KILLED || r->result == HF_RUN_PARTIAL;
  hf_status_find(l, "run", r->verb, r->result == HF_RUN_PARTIAL ? HF_EVENT_PARTIAL : HF_EVENT_FAILURE, bad ? HF_STAND_WARNING : HF_STAND_OK, "the last one, run %lld of %s, %s%s%s%s", (long long)r->id, when,
                 r->result == HF_RUN_KILLED || r->result == HF_RUN_FAILED ? "" : r->result == HF_RUN_RUNNING ? "is " : "was ", hf_run_result_names[r->result], r->error ? ": " : "", r->error ? r->error : "");
}

static void look_at_runs(struct hf_looking *l) {
  struct hf_status *out = l->out;
  struct hf_error e = {0};
  if (!l->runs && !hf_state_is_temporary(l->s->state))
    hf_status_find(l, "runs", "", HF_EVENT_FAILURE, HF_STAND_WARNING, "what was noted of runs and of what was told cannot be read, so failed ones go unseen and every alarm is told each time: see to %s/runs.sqlite, or move it away", hf_state_dir(l->s->state));
  if (!l->runs) return;
  out->runs = hf_allocn(HF_STATUS_RUNS, sizeof *out->runs);
  out->last = hf_allocn(HF_NELEM(watched), sizeof *out->last);
  out->good = hf_allocn(HF_NELEM(watched), sizeof *out->good);
  int r = hf_runs_each(l->runs, HF_STATUS_RUNS, list_run, l, &e);
  for (size_t i = 0; r >= 0 && i < HF_NELEM(watched); i++) {
    struct hf_run_row row = {0};
    r = hf_runs_last(l->runs, watched[i], false, &row, &e);
    if (r != 1) continue;
    take_run(l, &row, &out->last[out->n_last]);
    hf_run_row_free(&row);
    find_run(l, &out->last[out->n_last]);
    r = hf_runs_last(l->runs, watched[i], true, &row, &e);
    if (r == 1) take_run(l, &row, &out->good[out->n_last]);
    hf_run_row_free(&row);
    out->n_last++;
  }
  if (r < 0) hf_status_find(l, "runs", "", HF_EVENT_FAILURE, HF_STAND_WARNING, "%s", e.msg);
}

/* ---- the newest drill ---- */

/* Sources whose way back took longer than their rto, as a text. */
static void slow_sources(const struct hf_manifest *m, const json_t *sources, struct hf_buf *out) {
  const json_t *row;
  size_t i;
  json_array_foreach(sources, i, row) {
    const char *name = json_string_value(json_object_get(row, "name"));
    const struct hf_manifest_source *s = name ? hf_manifest_find_source(m, name) : NULL;
    double took = json_number_value(json_object_get(row, "restore_seconds")) + json_number_value(json_object_get(row, "verify_seconds"));
    char a[24], b[24];
    if (!s || s->rto == 0 || took <= (double)s->rto) continue;
    hf_format_duration(a, took);
    hf_format_duration(b, (double)s->rto);
    hf_buf_addf(out, "; source %s took %s, its rto is %s", name, a, b);
  }
}

static bool want_rto(const struct hf_manifest *m) {
  bool any = m->rto > 0;
  for (size_t i = 0; i < m->n_sources; i++) any |= m->sources[i].enabled && m->sources[i].rto > 0;
  return any;
}

static void judge_drill(struct hf_looking *l, const struct hf_record *rec) {
  struct hf_status_drill *d = &l->out->drill;
  const struct hf_manifest *m = l->s->manifest;
  const json_t *seconds = json_object_get(rec->extra, "seconds");
  const char *verdict = json_string_value(json_object_get(rec->extra, "verdict"));
  HF_CLEANUP(hf_buf_free) struct hf_buf slow = HF_BUF_INIT;
  char took[24], rto[24], when[HF_TIME_LEN];
  json_int_t snapshot = json_integer_value(json_object_get(rec->extra, "snapshot"));
  d->seq = rec->seq;
  d->time = rec->time;
  d->snapshot = snapshot > 0 ? (uint64_t)snapshot : 0;
  d->verdict = hf_strdup(verdict ? verdict : "unknown");
  d->seconds = json_is_number(seconds) ? json_number_value(seconds) : -1;
  hf_format_time(when, d->time);
  hf_format_duration(took, d->seconds);
  hf_format_duration(rto, (double)m->rto);
  if (m->rto && d->seconds > (double)m->rto) hf_buf_addf(&slow, "; the rto is %s", rto);
  slow_sources(m, json_object_get(rec->extra, "sources"), &slow);
  bool passed = strcmp(d->verdict, "passed") == 0;
  hf_status_find(l, "drill", "", HF_EVENT_DRILL, !passed ? HF_STAND_CRITICAL : slow.len ? HF_STAND_WARNING : HF_STAND_OK, "the newest, of %s with snapshot %llu, %s%s%s%s", when, (unsigned long long)d->snapshot,
                 d->verdict, d->seconds >= 0 ? " in " : "", d->seconds >= 0 ? took : "", slow.len ? slow.data : "");
}

static void look_at_drill(struct hf_looking *l) {
  for (uint64_t seq = l->s->head; seq > 0; seq--) {
    struct hf_record *rec = NULL;
    if (hf_session_record(l->s, seq, &rec, NULL, NULL) < 0) continue;
    bool found = rec->type == HF_RECORD_DRILL;
    if (found) judge_drill(l, rec);
    hf_record_free(rec);
    if (found) return;
  }
  /* A time that was declared and never measured is a hope. */
  bool wanted = want_rto(l->s->manifest);
  hf_status_find(l, "drill", "", HF_EVENT_DRILL, wanted ? HF_STAND_WARNING : HF_STAND_OK, "%s", wanted ? "there is an rto, and no restore was ever rehearsed; holdfast drill does it" : "no restore was ever rehearsed");
}

/* ---- channels ---- */

static void look_at_channels(struct hf_looking *l) {
  const struct hf_manifest *m = l->s->manifest;
  l->out->channels = hf_allocn(m->n_notify, sizeof *l->out->channels);
  for (size_t i = 0; l->runs && i < m->n_notify; i++) {
    struct hf_status_channel *c = &l->out->channels[l->out->n_channels];
    struct hf_channel_row row = {0};
    struct hf_error e = {0};
    if (!m->notify[i].enabled) continue;
    *c = (struct hf_status_channel){.name = m->notify[i].name, .type = m->notify[i].type};
    l->out->n_channels++;
    int r = hf_channel_get(l->runs, c->name, &row, &e);
    c->tried = row.tried;
    c->good = row.good;
    c->error = hf_strdup(row.error);
    hf_status_find(l, "notify", c->name, HF_EVENT_FAILURE, r < 0 ? HF_STAND_UNKNOWN : row.error ? HF_STAND_WARNING : HF_STAND_OK, "%s%s",
                   r < 0       ? e.msg
                   : row.error ? "the last message could not be sent: "
                   : row.tried ? "the last message went out"
                               : "was not used yet",
                   row.error ? row.error : "");
    hf_channel_row_free(&row);
  }
}

void hf_status_host(struct hf_looking *l) {
  look_at_disk(l);
  look_at_keys(l);
  look_at_runs(l);
  look_at_drill(l);
  look_at_channels(l);
}
