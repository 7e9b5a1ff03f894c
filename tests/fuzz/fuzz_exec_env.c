/* fuzz_exec_env.c - fuzz target: environment files and the words of commands, as the exec source reads them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdbool.h>
#include <string.h>

#include "../../plugins/exec/exec.h"
#include "fuzz.h"

/* What must hold whatever comes in; a trap is what fuzzers look for. */
static void must(bool ok) {
  if (!ok) __builtin_trap();
}

static void ignore(void *ctx, int level, const char *message) {
  (void)ctx, (void)level;
  must(strlen(message) <= HF_EXEC_SHOWN_MAX + 200);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const struct holdfast_host host = {.struct_size = sizeof host, .log = ignore};
  const struct hf_exec_options o = {.host = &host, .log_words = true, .secret = "secret"};
  const char *text = (const char *)data, *why = NULL;
  struct hf_exec_env e = {0};
  unsigned line = hf_exec_env_parse(&e, text, n, &why);
  must(line == 0 || why);
  for (size_t i = 0; i < e.n; i++) {
    const char *eq = strchr(e.v[i], '=');
    must(eq && hf_exec_env_name(e.v[i], (size_t)(eq - e.v[i])) && !strchr(e.v[i], '\n'));
    for (size_t k = 0; k < i; k++) must(strncmp(e.v[k], e.v[i], (size_t)(eq - e.v[i]) + 1) != 0);
  }
  must(!e.v || !e.v[e.n]);
  hf_exec_env_free(&e);

  struct hf_exec_words w;
  memset(&w, 0, sizeof w);
  hf_exec_words_take(&w, &o, "command", text, n / 2);
  hf_exec_words_take(&w, &o, "command", text + n / 2, n - n / 2);
  hf_exec_words_end(&w, &o, "command");
  must(strlen(w.last) <= HF_EXEC_SHOWN_MAX + 3 && !strstr(w.last, "secret"));
  for (const char *c = w.last; *c; c++) must((unsigned char)*c >= 0x20 && *c != 0x7f);
  return 0;
}
