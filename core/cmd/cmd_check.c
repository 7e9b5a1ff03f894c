/* cmd_check.c - holdfast check
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"
#include "engine/check.h"

static void verdict(void *ctx, enum hf_verdict v, const char *what, const char *name, const char *message) {
  static const char *const words[] = {"ok", "warning", "failed"};
  const struct hf_cmd *c = ctx;
  if (c->json) {
    hf_out_json(json_pack("{s:s, s:s, s:o, s:s, s:o}", "type", "check", "what", what, "name", hf_out_string(name), "verdict",
                          words[v], "message", hf_out_string(message)));
    return;
  }
  if (c->quiet && v == HF_VERDICT_OK) return;
  printf("%-8s %s ", words[v], what);
  hf_out_text(name);
  fputs(": ", stdout);
  hf_out_text(message);
  putchar('\n');
  fflush(stdout);
}

int hf_cmd_check(struct hf_cmd *c) {
  static const struct option longs[] = {{"no-write", no_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
  struct hf_check_options o = {.verdict = verdict, .ctx = c};
  struct hf_check_result res = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  int opt;
  while ((opt = hf_args_next(c, "", longs)) > 0) o.no_write = true;
  if (opt < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  int code = hf_cmd_open(c, HF_SESSION_READ | HF_SESSION_NO_TARGETS, NULL, &s);
  if (code != 0) return code;
  if (hf_check(s, &o, &res, &e) < 0) {
    code = hf_out_error(c, &e);
  } else {
    if (c->json) {
      hf_out_json(json_pack("{s:s, s:I, s:I, s:I}", "type", "summary", "ok", (json_int_t)res.ok, "warnings",
                            (json_int_t)res.warnings, "failed", (json_int_t)res.failed));
    } else if (!c->quiet) {
      printf("%llu ok, %llu warning%s, %llu failed\n", (unsigned long long)res.ok, (unsigned long long)res.warnings,
             res.warnings == 1 ? "" : "s", (unsigned long long)res.failed);
    }
    code = res.failed ? HF_EXIT_FAILED : HF_EXIT_OK;
  }
  hf_session_close(s);
  return code;
}
