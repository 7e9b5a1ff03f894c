/* open.c - what most commands begin with: session, chain, snapshot.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"

/* Is it the manifest that is wrong, and not a target or a key? Asked after a failure only. */
static bool manifest_is_wrong(const char *file, const struct hf_error *err) {
  if (err->code != HOLDFAST_E_CONFIG) return false;
  struct hf_registry *registry = hf_registry_new();
  struct hf_manifest *m = NULL;
  bool wrong = hf_manifest_load(file, registry, &m, NULL) < 0;
  if (!wrong) wrong = strncmp(err->msg, m->file, strlen(m->file)) == 0 && err->msg[strlen(m->file)] == ':';
  hf_manifest_free(m);
  hf_registry_free(registry);
  return wrong;
}

void hf_cmd_begin(struct hf_cmd *c, const struct hf_session *s) {
  if (!hf_state_is_temporary(s->state)) c->run = hf_run_begin(s->manifest, c->command->name);
}

int hf_cmd_open(struct hf_cmd *c, unsigned flags, const char *target, struct hf_session **out) {
  struct hf_error e = {0};
  struct hf_session_how how = {.flags = flags, .only_target = target, .command = c->command->name, .lock_wait = c->lock_wait};
  if (hf_session_open(c->manifest, &how, out, &e) == 0) {
    if (c->is_run) hf_cmd_begin(c, *out);
    return 0;
  }
  int code = hf_out_error(c, &e);
  if (manifest_is_wrong(c->manifest, &e)) return HF_EXIT_USAGE;
  if (c->is_run && code != HF_EXIT_USAGE) hf_run_failed(c->manifest, c->command->name, flags & HF_SESSION_WRITE, &e);
  return code;
}

int hf_cmd_end(struct hf_cmd *c, struct hf_session *s, int code, json_t *facts) {
  hf_run_end(c->run, code, facts);
  c->run = NULL;
  hf_session_close(s);
  return code;
}

void hf_cmd_issues(const struct hf_cmd *c, const struct hf_session *s, size_t from) {
  for (size_t i = from; i < s->n_issues; i++) {
    const struct hf_issue *is = &s->issues[i];
    HF_CLEANUP(hf_freep) char *text = hf_issue_text(is);
    hf_log(is->tamper ? HF_LOG_ERROR : HF_LOG_WARNING, "%s", text);
    if (c->json) {
      hf_out_json(json_pack("{s:s, s:o, s:b, s:o}", "type", "issue", "target", hf_out_string(is->target), "tamper",
                            (int)is->tamper, "message", hf_out_string(is->text)));
    }
  }
}

int hf_cmd_chain(struct hf_cmd *c, struct hf_session *s) {
  struct hf_error e = {0};
  int r = hf_session_chain(s, &e);
  hf_cmd_issues(c, s, 0);
  return r < 0 ? hf_out_error(c, &e) : 0;
}

int hf_cmd_snapshot(struct hf_cmd *c, struct hf_session *s, const char *spec, struct hf_record **rec) {
  struct hf_error e = {0};
  int r = hf_session_snapshot(s, spec, rec, &e);
  if (r == 0) return 0;
  if (r == HOLDFAST_E_CONFIG) e.code = HOLDFAST_E_USAGE; /* a time that is none */
  return hf_out_error(c, &e);
}

int hf_cmd_open_snapshot(struct hf_cmd *c, const char *spec, const char *target, struct hf_session **s, struct hf_record **rec) {
  int r = hf_cmd_open(c, HF_SESSION_READ, target, s);
  if (r != 0) return r;
  r = hf_cmd_chain(c, *s);
  if (r == 0) r = hf_cmd_snapshot(c, *s, spec, rec);
  return r != 0 ? hf_cmd_end(c, *s, r, NULL) : 0;
}
