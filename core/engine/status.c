/* status.c - the age of what there is, source by source and target by target.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Needs no private key on the host. A target that cannot be reached is a finding, and what the host remembers of it counts meanwhile.
 */
#include "engine/status_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/text.h"

#define RPO_WARN_PART 20 /* of RPO_PARTS: four hours before a day is over there is time to act */
#define RPO_PARTS 24
#define DISK_WARNING 80.0
#define DISK_CRITICAL 90.0
#define EXPIRY_WARNING (30 * 86400)

enum hf_stand hf_rpo_stand(int64_t age, int64_t rpo) {
  if (rpo <= 0) return HF_STAND_OK;
  if (age < 0 || age > rpo) return HF_STAND_CRITICAL;
  /* In this order nothing overflows, however long it is. */
  int64_t warn = rpo / RPO_PARTS * RPO_WARN_PART + rpo % RPO_PARTS * RPO_WARN_PART / RPO_PARTS;
  return age >= warn ? HF_STAND_WARNING : HF_STAND_OK;
}

double hf_used(uint64_t free_bytes, uint64_t total) { return total == 0 || free_bytes >= total ? 0 : 100.0 * (1 - (double)free_bytes / (double)total); }

enum hf_stand hf_disk_stand(uint64_t free_bytes, uint64_t total) {
  double used = hf_used(free_bytes, total);
  return used >= DISK_CRITICAL ? HF_STAND_CRITICAL : used >= DISK_WARNING ? HF_STAND_WARNING : HF_STAND_OK;
}

enum hf_stand hf_expiry_stand(int64_t expires, int64_t now) {
  if (expires <= 0) return HF_STAND_OK;
  return expires <= now ? HF_STAND_CRITICAL : expires - now < EXPIRY_WARNING ? HF_STAND_WARNING : HF_STAND_OK;
}

/* What is not known is worse than a thing that is well, and less urgent than one that is not. */
static int urgency(enum hf_stand s) {
  static const int order[] = {[HF_STAND_OK] = 0, [HF_STAND_UNKNOWN] = 1, [HF_STAND_WARNING] = 2, [HF_STAND_CRITICAL] = 3};
  return order[s];
}

void hf_status_find(struct hf_looking *l, const char *what, const char *name, enum hf_event event, enum hf_stand stand, const char *fmt, ...) {
  struct hf_findings *f = &l->out->findings;
  char text[900];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if ((f->n & (f->n - 1)) == 0) f->v = hf_realloc(f->v, (f->n ? f->n * 2 : 1) * sizeof *f->v);
  char *shown = hf_printable(name, strlen(name)); /* a recipient may be written in any bytes, and an alarm is UTF-8 */
  f->v[f->n++] = (struct hf_finding){.key = hf_asprintf("%s:%s", what, shown), .what = what, .name = shown, .event = event, .stand = stand, .text = hf_printable(text, strlen(text))};
  for (char *p = f->v[f->n - 1].key; *p; p++) {
    if (*p == ' ') *p = '-';
  }
  if (urgency(stand) > urgency(l->out->worst)) l->out->worst = stand;
}

/* ---- opening ---- */

static void open_targets(struct hf_looking *l) {
  const struct hf_manifest *m = l->s->manifest;
  l->out->targets = hf_allocn(m->n_targets, sizeof *l->out->targets);
  for (size_t i = 0; i < m->n_targets && !hf_cancel; i++) {
    if (!m->targets[i].enabled) continue;
    struct hf_status_target *t = &l->out->targets[l->out->n_targets++];
    struct hf_error e = {0};
    t->name = m->targets[i].name;
    t->rpo = m->targets[i].rpo;
    t->age = t->level = -1;
    t->open = hf_session_add_target(l->s, &m->targets[i], false, false, &t->away, &e) == 0;
    if (!t->open) t->error = hf_strdup(hf_target_message(t->name, e.msg));
  }
}

/* Where the target stands in the session, -1 when it is not open. */
static int place_of(const struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) == 0) return (int)i;
  }
  return -1;
}

/* Whose state is it, and is there one? Without it a target's chain can still be read, but nobody would miss what was taken away at its end. */
static void look_at_state(struct hf_looking *l) {
  const char *dir = l->s->manifest->state;
  if (!hf_state_is_temporary(l->s->state)) return;
  bool there = access(dir, F_OK) == 0, gone = !there && errno == ENOENT;
  if (l->out->chain && !gone) return;
  if (l->out->chain)
    hf_status_find(l, "state", "", HF_EVENT_FAILURE, HF_STAND_WARNING, "%s is not there: this host cannot back up, nor tell whether newer records were taken away. If it is lost, run holdfast init --adopt", dir);
  else if (there)
    hf_status_find(l, "state", "", HF_EVENT_FAILURE, HF_STAND_UNKNOWN, "%s is not yours: run holdfast status as the account that backs up", dir);
  else
    hf_status_find(l, "state", "", HF_EVENT_FAILURE, HF_STAND_CRITICAL, "there is no repository of this host yet (nothing in %s): run holdfast init", dir);
}

static void read_chain(struct hf_looking *l) {
  struct hf_session *s = l->s;
  struct hf_error e = {0};
  size_t tampered = 0, odd = 0;
  const struct hf_issue *first = NULL;
  int r = s->n_targets > 0 ? hf_session_chain(s, &e) : HOLDFAST_E_FAILED;
  l->out->chain = r == 0;
  if (r < 0) s->head = hf_state_record_max(s->state);
  l->out->head = s->head;
  for (size_t i = 0; i < s->n_issues; i++) {
    const struct hf_issue *is = &s->issues[i];
    if (!is->tamper && is->target) continue; /* told with the target */
    if (!first || (is->tamper && !first->tamper)) first = is;
    is->tamper ? tampered++ : odd++;
  }
  if (first)
    hf_status_find(l, "repository", "", HF_EVENT_TAMPER, tampered ? HF_STAND_CRITICAL : HF_STAND_WARNING, "%zu sign%s of tampering%s: %s%s%s%s", tampered, tampered == 1 ? "" : "s", odd ? " and other oddities" : "",
                   first->target ? "target " : "", first->target ? first->target : "", first->target ? ": " : "", first->text);
  else if (r < 0)
    hf_status_find(l, "repository", "", HF_EVENT_TAMPER, HF_STAND_UNKNOWN, "the chain of records cannot be read: %s", e.code ? e.msg : "no target can be reached");
  else
    hf_status_find(l, "repository", "", HF_EVENT_TAMPER, HF_STAND_OK, "%llu records, each following the one before", (unsigned long long)s->head);
}

/* ---- ages ---- */

/* Neither a target nor this host's memory says anything: no snapshot seen is not the same as no snapshot. */
static bool is_in_the_dark(const struct hf_looking *l) { return !l->out->chain && l->s->head == 0; }

/* Is the record at the target? A chain is filled from its beginning, so up to its first gap; of a target that cannot be asked the host remembers how far it was. */
static bool has_record(const struct hf_looking *l, const char *target, uint64_t seq) {
  const struct hf_session *s = l->s;
  int i = place_of(s, target);
  if (i >= 0 && l->out->chain && !s->chains[i].unreadable) return seq <= s->chains[i].head && (s->chains[i].missing == 0 || seq < s->chains[i].first_missing);
  uint64_t head = 0;
  return hf_session_remembered_head(l->s, target, &head, NULL) == 0 && seq <= head;
}

static bool is_held(const struct hf_looking *l, const struct hf_live_snapshot *v, const char *target) { return hf_live_at(v, target) && has_record(l, target, v->seq); }

static int64_t age_of(const struct hf_looking *l, int64_t time) { return HF_MAX(l->now - time, (int64_t)0); }

/* Whatever happens, one of tomorrow does not get old before then. */
static bool is_ahead(const struct hf_looking *l, int64_t time) { return time > l->now + HF_CLOCKS_DIFFER; }

static void age_text(const struct hf_looking *l, char out[160], int64_t age, int64_t time, uint64_t seq) {
  char took[24];
  hf_format_duration(took, (double)(is_ahead(l, time) ? time - l->now : age));
  if (age < 0) snprintf(out, 160, "there is no good snapshot of it");
  else if (is_ahead(l, time)) snprintf(out, 160, "newest snapshot %llu is %s ahead of the clock, so its age is not known: the clock is slow, or was fast then", (unsigned long long)seq, took);
  else snprintf(out, 160, "newest snapshot %llu is %s old", (unsigned long long)seq, took);
}

static enum hf_event rpo_event(enum hf_stand stand) { return stand == HF_STAND_CRITICAL ? HF_EVENT_RPO_CRITICAL : HF_EVENT_RPO_WARNING; }

static void rpo_text(char out[40], int64_t rpo) {
  char text[24];
  hf_format_duration(text, (double)rpo);
  snprintf(out, 40, "%s%s", rpo ? "; rpo is " : "", rpo ? text : "");
}

static void details(struct hf_looking *l, struct hf_status_source *x) {
  struct hf_record *rec = NULL;
  if (hf_session_record(l->s, x->seq, &rec, NULL, NULL) < 0) return;
  for (size_t i = 0; i < rec->n_sources; i++) {
    if (strcmp(rec->sources[i].name, x->name) != 0) continue;
    x->bytes = rec->sources[i].bytes;
    x->files = rec->sources[i].files;
    x->partial = strcmp(rec->sources[i].status, "partial") == 0;
  }
  hf_record_free(rec);
}

/* Is one of the copies that are no older than its rpo a complete one? */
static bool is_complete_in_time(const struct hf_looking *l, const struct hf_status_source *x) {
  for (size_t i = l->live.n; i-- > 0;) {
    const struct hf_live_snapshot *v = &l->live.v[i];
    if (age_of(l, v->time) > x->rpo) break;
    for (size_t k = 0; hf_list_has(&v->whole, x->name) && k < l->out->n_targets; k++) {
      if (is_held(l, v, l->out->targets[k].name)) return true;
    }
  }
  return false;
}

static void look_at_source(struct hf_looking *l, const struct hf_manifest_source *m) {
  struct hf_status_source *x = &l->out->sources[l->out->n_sources++];
  char age[160], rpo[40];
  *x = (struct hf_status_source){.name = m->name, .age = -1, .rpo = m->rpo, .rto = m->rto};
  for (size_t i = l->live.n; i-- > 0 && x->seq == 0;) {
    const struct hf_live_snapshot *v = &l->live.v[i];
    if (!hf_list_has(&v->good, m->name)) continue;
    for (size_t k = 0; k < l->out->n_targets && x->seq == 0; k++) {
      if (!is_held(l, v, l->out->targets[k].name)) continue;
      x->seq = v->seq;
      x->time = v->time;
      x->age = age_of(l, v->time);
    }
  }
  if (x->seq) details(l, x);
  if (is_in_the_dark(l)) {
    x->stand = HF_STAND_UNKNOWN;
    hf_status_find(l, "source", m->name, HF_EVENT_RPO_WARNING, x->stand, "nothing is known of its snapshots");
    return;
  }
  x->stand = hf_rpo_stand(x->age, x->rpo);
  /* Without rpo nobody says how old it may be; but some there has to be. */
  if (x->stand == HF_STAND_OK && (x->age < 0 || is_ahead(l, x->time))) x->stand = HF_STAND_WARNING;
  bool never_whole = x->partial && x->rpo > 0 && !is_complete_in_time(l, x);
  if (never_whole && x->stand == HF_STAND_OK) x->stand = HF_STAND_WARNING;
  age_text(l, age, x->age, x->time, x->seq);
  rpo_text(rpo, x->rpo);
  hf_status_find(l, "source", m->name, rpo_event(x->stand), x->stand, "%s%s%s", age, rpo, never_whole ? "; it is there in part, and no complete one is within the rpo" : x->partial ? "; it is there in part" : "");
}

/* ---- targets ---- */

static void find_newest(struct hf_looking *l, struct hf_status_target *t) {
  for (size_t i = l->live.n; i-- > 0 && t->seq == 0;) {
    const struct hf_live_snapshot *v = &l->live.v[i];
    if (v->good.n == 0 || !is_held(l, v, t->name)) continue;
    t->seq = v->seq;
    t->time = v->time;
    t->age = age_of(l, v->time);
  }
}

static void look_at_age(struct hf_looking *l, struct hf_status_target *t) {
  char age[160], rpo[40];
  find_newest(l, t);
  if (is_in_the_dark(l)) {
    t->stand = HF_STAND_UNKNOWN;
    return;
  }
  t->stand = hf_rpo_stand(t->age, t->rpo);
  if (t->stand == HF_STAND_OK && is_ahead(l, t->time)) t->stand = HF_STAND_WARNING;
  age_text(l, age, t->age, t->time, t->seq);
  rpo_text(rpo, t->rpo);
  if (t->age < 0) snprintf(age, sizeof age, "it holds no good snapshot");
  hf_status_find(l, "age at target", t->name, rpo_event(t->stand), t->stand, "%s%s%s", age, rpo, t->open ? "" : "; as this host remembers");
}

/* Records and objects. Floor, not rounding: 100 is all. */
static void set_level(struct hf_status_target *t) {
  uint64_t all = t->records + t->objects, there = all - t->missing_records - t->missing_objects;
  t->level = all ? (double)(there * 1000 / all) / 10 : 100;
}

static void look_at_level(struct hf_looking *l, struct hf_status_target *t) {
  struct hf_session *s = l->s;
  int i = place_of(s, t->name);
  struct hf_error e = {0};
  enum hf_stand stand = HF_STAND_OK;
  if (t->away) {
    hf_status_find(l, "target", t->name, HF_EVENT_TARGET_BEHIND, HF_STAND_OK, "is removable and not there");
    return;
  }
  if (i < 0 || !l->out->chain || s->chains[i].unreadable) {
    stand = HF_STAND_WARNING;
    hf_status_find(l, "target", t->name, HF_EVENT_TARGET_BEHIND, stand, "%s", t->error ? t->error : "its records cannot be listed");
  } else {
    const struct hf_target_chain *c = &s->chains[i];
    t->records = s->head;
    t->missing_records = c->missing;
    int r = l->out->quick ? HOLDFAST_E_UNSUPPORTED : hf_status_level(l, (size_t)i, &t->objects, &t->missing_objects, &e);
    t->counted = r == 0;
    set_level(t);
    if (c->missing) {
      stand = HF_STAND_WARNING;
      hf_status_find(l, "target", t->name, HF_EVENT_TARGET_BEHIND, stand, "is behind: lacks %llu of %llu records and %llu of %llu objects (%.1f%% level); holdfast sync brings it level",
                     (unsigned long long)c->missing, (unsigned long long)s->head, (unsigned long long)t->missing_objects, (unsigned long long)t->objects, t->level);
    } else if (t->missing_objects) {
      stand = HF_STAND_CRITICAL;
      hf_status_find(l, "target", t->name, HF_EVENT_TARGET_BEHIND, stand, "has all records, and lacks %llu of the %llu objects that they need (%.1f%% level); holdfast verify names them, holdfast sync may bring them back",
                     (unsigned long long)t->missing_objects, (unsigned long long)t->objects, t->level);
    } else if (r < 0 && !l->out->quick) {
      stand = HF_STAND_UNKNOWN;
      hf_status_find(l, "target", t->name, HF_EVENT_TARGET_BEHIND, stand, "its objects cannot be counted: %s", e.msg);
    } else {
      hf_status_find(l, "target", t->name, HF_EVENT_TARGET_BEHIND, stand, "%s %llu records%s", t->counted ? "holds all it should," : "holds all", (unsigned long long)s->head,
                     t->counted ? " and their objects" : "; its objects were not counted");
    }
  }
  if (urgency(stand) > urgency(t->stand)) t->stand = stand;
}

static void look_at_space(struct hf_looking *l, struct hf_status_target *t) {
  int i = place_of(l->s, t->name);
  struct hf_error e = {0};
  char left[16], total[16];
  if (i < 0) return;
  int r = hf_target_space(l->s->targets[i], &t->free_bytes, &t->total, &e);
  if (r == HOLDFAST_E_UNSUPPORTED) return;
  if (r < 0) {
    hf_status_find(l, "disk of target", t->name, HF_EVENT_DISK, HF_STAND_UNKNOWN, "its free space is not known: %s", e.msg);
    return;
  }
  hf_format_size(left, t->free_bytes);
  hf_format_size(total, t->total);
  hf_status_find(l, "disk of target", t->name, HF_EVENT_DISK, hf_disk_stand(t->free_bytes, t->total), "%.1f%% used, %s free of %s", hf_used(t->free_bytes, t->total), left, total);
}

int hf_status(struct hf_session *s, struct hf_runs *runs, const struct hf_status_options *o, struct hf_status *out, struct hf_error *err) {
  struct hf_looking l = {.s = s, .runs = runs, .out = out, .now = hf_wall_clock()};
  const struct hf_manifest *m = s->manifest;
  struct hf_error e = {0};
  *out = (struct hf_status){.quick = o->quick};
  out->drill.seconds = -1;
  hf_status_find(&l, "status", "", HF_EVENT_FAILURE, HF_STAND_OK, "the manifest, its secrets and the state can be read"); /* else hf_status_failed */
  open_targets(&l);
  read_chain(&l);
  look_at_state(&l);
  if (hf_live_load(s, &l.live, &e) < 0) hf_status_find(&l, "records", "", HF_EVENT_TAMPER, HF_STAND_UNKNOWN, "%s", e.msg);
  for (size_t i = 0; i < l.live.n; i++) out->snapshots += hf_live_anywhere(s, &l.live.v[i]);
  out->sources = hf_allocn(m->n_sources, sizeof *out->sources);
  for (size_t i = 0; i < m->n_sources; i++) {
    if (m->sources[i].enabled) look_at_source(&l, &m->sources[i]);
  }
  for (size_t i = 0; i < out->n_targets && !hf_cancel; i++) {
    look_at_age(&l, &out->targets[i]);
    look_at_level(&l, &out->targets[i]);
    look_at_space(&l, &out->targets[i]);
  }
  hf_status_host(&l);
  hf_live_free(&l.live);
  return hf_cancel ? hf_fail(err, HOLDFAST_E_CANCELED, "stopped") : 0;
}

static void free_runs(struct hf_status_run *v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    free(v[i].verb);
    free(v[i].error);
  }
  free(v);
}

void hf_status_free(struct hf_status *st) {
  hf_findings_free(&st->findings);
  for (size_t i = 0; i < st->n_targets; i++) free(st->targets[i].error);
  for (size_t i = 0; i < st->n_keys; i++) {
    free(st->keys[i].fpr);
    free(st->keys[i].uid);
  }
  for (size_t i = 0; i < st->n_channels; i++) free(st->channels[i].error);
  free_runs(st->runs, st->n_runs);
  free_runs(st->last, st->n_last);
  free_runs(st->good, st->n_last);
  free(st->sources);
  free(st->targets);
  free(st->keys);
  free(st->channels);
  free(st->drill.verdict);
  *st = (struct hf_status){0};
}
