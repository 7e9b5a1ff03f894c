/* cmd_notify.c - holdfast notify
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"
#include "engine/notify.h"

static char *events_of(const struct hf_manifest_notify *n) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  for (int i = 0; i < HF_EVENTS; i++) {
    if (n->events >> i & 1) hf_buf_addf(&b, "%s%s", b.len ? ", " : "", hf_event_names[i]);
  }
  return hf_buf_take(&b);
}

/* A channel and how it fared. */
static void show(const struct hf_cmd *c, struct hf_table *t, struct hf_runs *runs, const struct hf_manifest_notify *n) {
  struct hf_channel_row row = {0};
  char when[HF_TIME_LEN];
  HF_CLEANUP(hf_freep) char *events = events_of(n);
  if (runs) hf_channel_get(runs, n->name, &row, NULL);
  hf_format_time(when, row.good);
  if (c->json) {
    hf_out_json(json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o}", "type", "notify", "name", n->name, "channel", hf_channel_names[n->type], "enabled", (int)n->enabled, "events", events, "good",
                          row.good ? hf_out_time(row.good) : json_null(), "error", hf_out_string(row.error)));
  } else {
    hf_table_add(t, "%s", n->name);
    hf_table_add(t, "%s", hf_channel_names[n->type]);
    hf_table_add(t, "%s", row.good ? when : "never");
    hf_table_add(t, "%s", !n->enabled ? "switched off" : row.error ? row.error : "ok");
    hf_table_add(t, "%s", events);
  }
  hf_channel_row_free(&row);
}

static int test(struct hf_cmd *c, struct hf_session *s, struct hf_runs *runs, const struct hf_manifest_notify *n) {
  struct hf_error e = {0};
  int r = hf_notify_test(s->manifest, runs, n, &e);
  if (r < 0) {
    hf_prefix(&e, "notify %s", n->name);
    return hf_out_error(c, &e);
  }
  if (c->json)
    hf_out_json(json_pack("{s:s, s:s, s:b}", "type", "notify", "name", n->name, "sent", 1));
  else if (!c->quiet)
    printf("%s: a test message was sent by %s\n", n->name, hf_channel_names[n->type]);
  return 0;
}

static int find(struct hf_cmd *c, struct hf_session *s, const char *name, const struct hf_manifest_notify **out) {
  struct hf_error e = {0};
  for (size_t i = 0; i < s->manifest->n_notify; i++) {
    *out = &s->manifest->notify[i];
    if (strcmp((*out)->name, name) == 0 && (*out)->enabled) return 0;
    if (strcmp((*out)->name, name) == 0) hf_fail(&e, HOLDFAST_E_USAGE, "notify %s is switched off in the manifest (enabled = no)", name);
  }
  if (!e.code) hf_fail(&e, HOLDFAST_E_USAGE, "the manifest has no [notify %s]", name);
  return hf_out_error(c, &e);
}

static int work(struct hf_cmd *c, struct hf_session *s, bool send) {
  static const char *const names[] = {"NAME", "TYPE", "LAST SENT", "RESULT", "EVENTS"};
  struct hf_table t = {.align = "lllll"};
  struct hf_runs *runs = NULL;
  struct hf_error e = {0};
  const struct hf_manifest *m = s->manifest;
  size_t tested = 0;
  int code = 0;
  for (int i = 0; i < c->argc; i++) {
    const struct hf_manifest_notify *n;
    if ((code = find(c, s, c->argv[i], &n)) != 0) return code;
  }
  if (!hf_state_is_temporary(s->state) && hf_runs_open(m->state, &runs, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
  for (size_t i = 0; i < HF_NELEM(names) && !send && !c->json; i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < m->n_notify; i++) {
    const struct hf_manifest_notify *n = &m->notify[i];
    bool chosen = c->argc == 0;
    for (int k = 0; k < c->argc; k++) chosen |= strcmp(c->argv[k], n->name) == 0;
    if (!chosen) continue;
    if (!send) show(c, &t, runs, n);
    if (!send || !n->enabled) continue;
    tested++;
    if (test(c, s, runs, n) != 0) code = HF_EXIT_FAILED;
  }
  if (send && tested == 0) {
    hf_fail(&e, HOLDFAST_E_NOT_FOUND, "the manifest has no [notify NAME] that is switched on: nobody is told of anything");
    code = hf_out_error(c, &e);
  }
  hf_table_print(&t);
  hf_runs_close(runs);
  return code;
}

int hf_cmd_notify(struct hf_cmd *c) {
  static const struct option longs[] = {{"test", no_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
  struct hf_session *s = NULL;
  bool send = false;
  int opt;
  while ((opt = hf_args_next(c, "", longs)) > 0) send = true;
  if (opt < 0 || !hf_args_operands(c, 0, -1)) return c->exit;
  int code = hf_cmd_open(c, HF_SESSION_READ | HF_SESSION_NO_TARGETS, NULL, &s);
  if (code != 0) return code;
  code = work(c, s, send);
  hf_session_close(s);
  return code;
}
