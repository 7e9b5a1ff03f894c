/* cmd_init.c - holdfast init
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"
#include "engine/append.h"

/* Where it stands at target i of the manifest: NULL when all is well. */
static const char *standing(struct hf_session *s, const char *name) {
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), name) != 0) continue;
    const char *why = hf_target_failure(s->targets[i]);
    return why ? why : hf_target_is_level(s, i) ? NULL : "does not hold the whole repository yet";
  }
  return "could not be opened";
}

static int report(struct hf_cmd *c, struct hf_session *s, bool made) {
  struct hf_list recipients = HF_LIST_INIT;
  json_t *targets = json_array();
  int code = HF_EXIT_OK;
  hf_session_all_recipients(s, &recipients, NULL);
  if (!c->json && !c->quiet) {
    printf("%s %s of host %s\n", made ? "made repository" : "repository", s->repo_id, s->manifest->host);
    printf("host key  %s  (note it down: whoever restores elsewhere compares it)\n", s->host_key);
    for (size_t i = 0; i < recipients.n; i++) printf("recipient %s\n", recipients.v[i]);
  }
  for (size_t i = 0; i < s->manifest->n_targets; i++) {
    const struct hf_manifest_target *t = &s->manifest->targets[i];
    if (!t->enabled) continue;
    const char *why = standing(s, t->name);
    if (why) code = HF_EXIT_PARTIAL;
    json_array_append_new(
        targets, json_pack("{s:o, s:b, s:o}", "name", hf_out_string(t->name), "level", why == NULL, "error", hf_out_string(why)));
    if (!c->json && !c->quiet) {
      printf("target    %s: ", t->name);
      hf_out_text(why ? hf_target_message(t->name, why) : "ready");
      putchar('\n');
    }
  }
  if (c->json) {
    hf_out_json(json_pack("{s:s, s:b, s:s, s:o, s:s, s:o, s:o}", "type", "init", "made", (int)made, "repository", s->repo_id,
                          "host", hf_out_string(s->manifest->host), "host_key", s->host_key, "recipients",
                          hf_out_list(&recipients), "targets", targets));
  } else {
    json_decref(targets);
  }
  hf_list_free(&recipients);
  return code;
}

int hf_cmd_init(struct hf_cmd *c) {
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  bool made = false;
  if (!hf_args_plain(c, 0, 0)) return c->exit;
  int code = hf_cmd_open(c, HF_SESSION_WRITE | HF_SESSION_CREATE, NULL, &s);
  if (code != 0) return code;
  int r = hf_init(s, &made, &e);
  hf_cmd_issues(c, s, 0);
  if (r < 0) {
    code = hf_out_error(c, &e);
    /* "[holdfast] host: is A, but this state folder is B's" */
    if (r == HOLDFAST_E_CONFIG && strncmp(e.msg, s->manifest->file, strlen(s->manifest->file)) == 0) code = HF_EXIT_USAGE;
  } else {
    code = report(c, s, made);
  }
  hf_session_close(s);
  return code;
}
