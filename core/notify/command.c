/* command.c - a message to a program: facts in its environment, and as JSON on its standard input.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <math.h>

#include "base/io.h"
#include "notify/internal.h"

extern char **environ;

static void environment(const struct hf_notice *x, struct hf_list *env) {
  for (const char *const *p = hf_notice_fields; *p; p++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf v = HF_BUF_INIT;
    HF_CLEANUP(hf_freep) char *name = hf_strdup(*p);
    hf_notice_value(x, *p, &v);
    for (char *c = name; *c; c++) *c = (char)toupper((unsigned char)*c);
    if (v.len) hf_list_take(env, hf_asprintf("HOLDFAST_%s=%s", name, v.data));
  }
  for (char **e = environ; *e; e++) {
    if (strncmp(*e, "HOLDFAST_", 9) != 0 || strncmp(*e, "HOLDFAST_PLUGIN_PATH=", 21) == 0) hf_list_add(env, *e);
  }
}

static int command_send(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err) {
  HF_CLEANUP(hf_list_free) struct hf_list env = HF_LIST_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf facts = HF_BUF_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf complaint = HF_BUF_INIT;
  const struct holdfast_value *words = &n->settings->values[COMMAND_COMMAND];
  double left = deadline - hf_now();
  int code = 0;
  if (left <= 0) return hf_fail(err, HOLDFAST_E_TIMEOUT, "there was no time left");
  environment(x, &env);
  hf_notice_value(x, "facts", &facts);
  hf_buf_addc(&facts, '\n');
  /* execve wants a NULL behind the last of each. */
  char **argv = hf_allocn(words->count + 1, sizeof *argv), **envp = hf_allocn(env.n + 1, sizeof *envp);
  memcpy(argv, words->strings, words->count * sizeof *argv);
  memcpy(envp, env.v, env.n * sizeof *envp);
  int r = hf_run(argv, envp, facts.data, facts.len, &out, &complaint, (unsigned)ceil(left), &code, err);
  free(argv);
  free(envp);
  if (r < 0 || code == 0) return r;
  HF_CLEANUP(hf_freep) char *why = hf_last_line(&complaint);
  return hf_fail(err, HOLDFAST_E_FAILED, "the command %s ended with exit code %d%s%s", words->strings[0], code, *why ? ": " : "", why);
}

static int command_probe(const struct hf_manifest_notify *n, double deadline HF_UNUSED, char **what, struct hf_error *err) {
  const char *name = n->settings->values[COMMAND_COMMAND].strings[0];
  if (!hf_is_on_path(name)) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no program %s that can be run", name);
  *what = hf_asprintf("%s can be run", name);
  return 0;
}

const struct hf_channel_ops hf_channel_command = {command_send, command_probe};
