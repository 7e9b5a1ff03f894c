/* cmd_init.c - holdfast init
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>

#include "cmd/cmd.h"
#include "base/text.h"
#include "engine/adopt.h"
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
    printf("          %s\n", s->manifest->escrow ? "its secret half is in the repository, for the recipients of [holdfast]" : "its secret half is in this state folder alone: keep a copy of its gnupg folder elsewhere");
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

/* "AAF2 4DCF ..." or 0x...: 40 hex digits, upper case. */
static bool parse_fingerprint(const char *text, char out[HF_FPR_LEN + 1]) {
  size_t n = 0;
  if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) text += 2;
  for (; *text; text++) {
    if (*text == ' ' || *text == ':') continue;
    if (n == HF_FPR_LEN || !isxdigit((unsigned char)*text)) return false;
    out[n++] = (char)toupper((unsigned char)*text);
  }
  out[n] = 0;
  return n == HF_FPR_LEN;
}

int hf_cmd_init(struct hf_cmd *c) {
  enum { ADOPT = 1 };
  static const struct option longs[] = {{"adopt", required_argument, NULL, ADOPT}, {NULL, 0, NULL, 0}};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  struct hf_adopted adopted = {.key = HF_BUF_INIT};
  const char *adopt = NULL;
  char fpr[HF_FPR_LEN + 1];
  bool made = false;
  int opt, r = 0;
  while ((opt = hf_args_next(c, "", longs)) > 0) adopt = optarg;
  if (opt < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  if (adopt && !parse_fingerprint(adopt, fpr)) return hf_args_wrong(c, "--adopt=%s: the fingerprint of the host key is wanted, 40 hex digits; holdfast init printed it, and holdfast list says which one a target holds", adopt);
  if (adopt && hf_adopt_read(c->manifest, fpr, &adopted, &e) < 0) return hf_out_error(c, &e);
  int code = hf_cmd_open(c, HF_SESSION_WRITE | HF_SESSION_CREATE, NULL, &s);
  if (code != 0) {
    hf_adopted_free(&adopted);
    return code;
  }
  if (adopt) r = hf_adopt_take(s, &adopted, &e);
  if (adopt && r == 0) hf_log(HF_LOG_NOTICE, "adopted the repository at record %llu: compare that with what another target or an old report says, since only the lost state folder knew of records that somebody may have taken away", (unsigned long long)adopted.head);
  hf_adopted_free(&adopted);
  if (r == 0) r = hf_init(s, &made, &e);
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
