/* notify.c - from what happened to messages: which channel wants it, and whether it was told before.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/notify.h"

#include "base/json.h"
#include "base/text.h"
#include "engine/session.h"

const char *const hf_stand_names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

void hf_findings_free(struct hf_findings *f) {
  for (size_t i = 0; i < f->n; i++) {
    free(f->v[i].key);
    free(f->v[i].name);
    free(f->v[i].text);
  }
  free(f->v);
  *f = (struct hf_findings){NULL, 0};
}

enum hf_due hf_alarm_due(enum hf_stand now_stand, int told, int64_t when, int64_t now, int64_t at_most_every) {
  if (now_stand == HF_STAND_UNKNOWN) return HF_DUE_NOT;
  if (now_stand == HF_STAND_OK) return told >= 0 ? HF_DUE_OVER : HF_DUE_NOT;
  if (told != (int)now_stand) return HF_DUE_NEW;
  /* A clock that was set back must not silence an alarm. */
  return now < when || now - when >= at_most_every ? HF_DUE_AGAIN : HF_DUE_NOT;
}

/* ---- sending ---- */

/* What every message says. */
static void sign(const struct hf_manifest *m, json_t *facts, const char *event) {
  char when[HF_TIME_LEN];
  hf_format_time(when, hf_wall_clock());
  json_object_set_new(facts, "host", json_string(m->host));
  json_object_set_new(facts, "tool", json_string(HF_TOOL));
  json_object_set_new(facts, "time", json_string(when));
  json_object_set_new(facts, "event", json_string(event));
}

static int send_to(struct hf_runs *runs, const struct hf_manifest_notify *n, json_t *facts, bool start, struct hf_error *err) {
  struct hf_notice x = {.facts = facts, .start = start};
  struct hf_error e = {0};
  int r = hf_channel_send(n, &x, err);
  if (runs && hf_channel_note(runs, n->name, hf_wall_clock(), r < 0 ? err->msg : NULL, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
  return r;
}

static bool send_or_say(struct hf_runs *runs, const struct hf_manifest_notify *n, json_t *facts, bool start) {
  struct hf_error e = {0};
  if (send_to(runs, n, facts, start, &e) == 0) {
    hf_log(HF_LOG_INFO, "notify %s: told by %s", n->name, hf_channel_names[n->type]);
    return true;
  }
  hf_log(HF_LOG_WARNING, "notify %s: not told: %s", n->name, e.msg);
  return false;
}

static bool wants_verb(const struct hf_manifest_notify *n, const char *verb) { return n->enabled && (n->verbs.n == 0 || hf_list_has(&n->verbs, verb)); }

/* ---- runs ---- */

void hf_notify_start(const struct hf_manifest *m, struct hf_runs *runs, const char *verb, int64_t id) {
  for (size_t i = 0; i < m->n_notify; i++) {
    const struct hf_manifest_notify *n = &m->notify[i];
    if (!wants_verb(n, verb) || n->type != HF_CHANNEL_WEBHOOK || !hf_notify_text(n, WEBHOOK_START_URL)) continue;
    HF_CLEANUP(hf_freep) char *subject = hf_asprintf("[holdfast %s] %s begins", m->host, verb);
    json_t *f = json_pack("{s:s, s:s, s:s, s:s, s:I}", "status", "start", "severity", "info", "subject", subject, "verb", verb, "run", (json_int_t)id);
    sign(m, f, "start");
    send_or_say(runs, n, f, true);
    json_decref(f);
  }
}

/* Everything that the end of a run is. */
static unsigned events_of(const json_t *facts, enum hf_event *main_event) {
  const char *verb = json_string_value(json_object_get(facts, "verb"));
  json_int_t exit = json_integer_value(json_object_get(facts, "exit"));
  *main_event = exit == 0 ? HF_EVENT_SUCCESS : exit == 3 ? HF_EVENT_PARTIAL : HF_EVENT_FAILURE;
  unsigned all = 1u << *main_event;
  if (verb && strcmp(verb, "drill") == 0) all |= 1u << HF_EVENT_DRILL;
  if (json_integer_value(json_object_get(facts, "tampering")) > 0) all |= 1u << HF_EVENT_TAMPER;
  return all;
}

/* What is remembered of an alarm that was told: how it stood, and as what it was told, since a run that did not finish is another thing than one that was done in part. */
static int as_told(enum hf_stand stand, enum hf_event event) { return (int)stand | ((int)event + 1) << 4; }
static int told_stand(int told) { return told < 0 ? told : told & 15; }
static bool told_otherwise(int told, enum hf_event event) { return told >= 16 && (told >> 4) - 1 != (int)event; }

/* What `status` would say of this run has been told, or is over. */
static void remember(struct hf_runs *runs, const struct hf_manifest_notify *n, const char *verb, enum hf_event event) {
  HF_CLEANUP(hf_freep) char *key = hf_asprintf("run:%s", verb);
  struct hf_error e = {0};
  if (!runs) return;
  int r = event == HF_EVENT_SUCCESS ? hf_told_drop(runs, n->name, key, &e) : hf_told_set(runs, n->name, key, as_told(HF_STAND_WARNING, event), hf_wall_clock(), &e);
  if (r < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
}

void hf_notify_run(const struct hf_manifest *m, struct hf_runs *runs, json_t *facts) {
  enum hf_event event;
  unsigned events = events_of(facts, &event);
  const char *verb = json_string_value(json_object_get(facts, "verb"));
  sign(m, facts, hf_event_names[event]);
  for (size_t i = 0; i < m->n_notify; i++) {
    const struct hf_manifest_notify *n = &m->notify[i];
    if (!wants_verb(n, verb) || !(n->events & events)) continue;
    if (send_or_say(runs, n, facts, false)) remember(runs, n, verb, event);
  }
}

/* ---- alarms ---- */

struct message {
  json_t *alarms;
  const struct hf_finding *worst; /* of those that are not over; else the first that is */
  enum hf_event event;            /* that one's */
  struct hf_list over;            /* keys */
  size_t n_alarms;
};

static json_t *alarm_json(const struct hf_finding *f, enum hf_event event) {
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "key", f->key, "event", hf_event_names[event], "what", f->what, "name", f->name, "verdict", hf_stand_names[f->stand], "message",
                   hf_json_bytes(f->text, strlen(f->text)));
}

/* Put f into the message if this channel has to hear of it now. */
static int consider(struct hf_runs *runs, const struct hf_manifest_notify *n, const struct hf_finding *f, int64_t now, struct message *msg, struct hf_error *err) {
  int told = -1;
  int64_t when = 0;
  bool wanted = n->events >> f->event & 1;
  int r = runs ? hf_told_get(runs, n->name, f->key, &told, &when, err) : 0;
  if (r < 0) return r;
  enum hf_due due = hf_alarm_due(f->stand, told_stand(told), when, now, n->at_most_every);
  if (due == HF_DUE_NOT && told_stand(told) == (int)f->stand && told_otherwise(told, f->event)) due = HF_DUE_NEW;
  if (due == HF_DUE_NOT || (due != HF_DUE_OVER && !wanted)) return 0;
  /* What is over is what was told. */
  bool over = due == HF_DUE_OVER;
  enum hf_event event = over && f->event == HF_EVENT_RPO_WARNING && told_stand(told) == HF_STAND_CRITICAL ? HF_EVENT_RPO_CRITICAL : f->event;
  json_array_append_new(msg->alarms, alarm_json(f, event));
  if (over) hf_list_add(&msg->over, f->key);
  bool leads = over ? !msg->worst : msg->n_alarms++ == 0 || f->stand > msg->worst->stand;
  if (leads) {
    msg->worst = f;
    msg->event = event;
  }
  return 0;
}

static json_t *message_json(const struct hf_manifest *m, const struct message *msg) {
  const struct hf_finding *w = msg->worst;
  bool over = msg->n_alarms == 0;
  size_t more = json_array_size(msg->alarms) - 1;
  HF_CLEANUP(hf_buf_free) struct hf_buf subject = HF_BUF_INIT;
  hf_buf_addf(&subject, "[holdfast %s] %s: %s%s%s", m->host, over ? "ok again" : hf_stand_names[w->stand], w->what, *w->name ? " " : "", w->name);
  hf_buf_addf(&subject, ": %s", w->text);
  if (more) hf_buf_addf(&subject, " (and %zu more)", more);
  json_t *f = json_pack("{s:s, s:s, s:o, s:O}", "status", over ? "ok" : w->stand == HF_STAND_CRITICAL ? "critical" : "warning", "severity",
                        over ? "info" : w->stand == HF_STAND_CRITICAL ? "critical" : "warning", "subject", hf_json_bytes(subject.data, subject.len), "alarms", msg->alarms);
  sign(m, f, hf_event_names[msg->event]);
  return f;
}

/* What was told now counts, and what is over is forgotten. */
static int settle(struct hf_runs *runs, const struct hf_manifest_notify *n, const struct message *msg, const struct hf_findings *f, int64_t now, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < msg->over.n; i++) r = hf_told_drop(runs, n->name, msg->over.v[i], err);
  const json_t *a;
  size_t i;
  json_array_foreach(msg->alarms, i, a) {
    const char *key = json_string_value(json_object_get(a, "key"));
    for (size_t k = 0; r == 0 && k < f->n; k++) {
      if (strcmp(f->v[k].key, key) == 0 && f->v[k].stand != HF_STAND_OK) r = hf_told_set(runs, n->name, key, as_told(f->v[k].stand, f->v[k].event), now, err);
    }
  }
  return r;
}

/* What was told of things that do not exist any more is nothing that could be over. */
static int forget(struct hf_runs *runs, const struct hf_manifest_notify *n, const struct hf_findings *f, struct hf_error *err) {
  HF_CLEANUP(hf_list_free) struct hf_list keys = HF_LIST_INIT;
  int r = hf_told_keys(runs, n->name, &keys, err);
  for (size_t i = 0; r == 0 && i < keys.n; i++) {
    size_t k = 0;
    while (k < f->n && strcmp(f->v[k].key, keys.v[i]) != 0) k++;
    if (k == f->n) r = hf_told_drop(runs, n->name, keys.v[i], err);
  }
  return r;
}

static void tell_alarms(const struct hf_manifest *m, struct hf_runs *runs, const struct hf_manifest_notify *n, const struct hf_findings *f, bool complete) {
  struct message msg = {.alarms = json_array(), .over = HF_LIST_INIT};
  struct hf_error e = {0};
  int64_t now = hf_wall_clock();
  int r = 0;
  for (size_t i = 0; r == 0 && i < f->n; i++) r = consider(runs, n, &f->v[i], now, &msg, &e);
  if (r == 0 && msg.worst) {
    json_t *facts = message_json(m, &msg);
    if (send_or_say(runs, n, facts, false) && runs) r = settle(runs, n, &msg, f, now, &e);
    json_decref(facts);
  }
  if (r == 0 && runs && complete) r = forget(runs, n, f, &e);
  if (r < 0) hf_log(HF_LOG_WARNING, "notify %s: %s", n->name, e.msg);
  json_decref(msg.alarms);
  hf_list_free(&msg.over);
}

void hf_notify_alarms(const struct hf_manifest *m, struct hf_runs *runs, const struct hf_findings *f, bool complete) {
  for (size_t i = 0; i < m->n_notify; i++) {
    if (m->notify[i].enabled) tell_alarms(m, runs, &m->notify[i], f, complete);
  }
}

int hf_notify_test(const struct hf_manifest *m, struct hf_runs *runs, const struct hf_manifest_notify *n, struct hf_error *err) {
  struct hf_error e = {0};
  HF_CLEANUP(hf_freep) char *subject = hf_asprintf("[holdfast %s] test of the channel %s", m->host, n->name);
  json_t *f = json_pack("{s:s, s:s, s:s}", "status", "test", "severity", "info", "subject", subject);
  sign(m, f, "test");
  int r = send_to(runs, n, f, false, &e);
  json_decref(f);
  return r < 0 ? hf_fail(err, r, "%s", e.msg) : 0;
}
