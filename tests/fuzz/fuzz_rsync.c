/* fuzz_rsync.c - fuzz target: what an rsync at the far end prints, as listings and as messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rsync.h"

static void must(bool ok) {
  if (!ok) __builtin_trap();
}

/* A line like those that rsync prints is understood, whatever the name. */
static void check_line(char *line) {
  struct hf_rsync_entry e;
  char *end = line + strlen(line);
  if (!hf_rsync_parse(line, &e)) return;
  must(e.name > line && e.name < end && *e.name && strchr("-dlcbps", e.type));
  if (!hf_rsync_key_ok(e.name)) return;
  must(strlen(e.name) <= HF_RSYNC_KEY_MAX && e.name[0] != '/' && !strstr(e.name, "//") && !strpbrk(e.name, " \\\n\t"));
  must(!hf_rsync_is_leftover(e.name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct hf_rsync_verdict v;
  char *text = malloc(n + 1), *save = NULL;
  must(text != NULL);
  if (n > 0) memcpy(text, data, n);
  text[n] = '\0';
  hf_rsync_classify(n ? data[0] : 12, text, &v);
  must(v.status < 0 && v.status >= HOLDFAST_E_CHANGED && v.line[0] && strlen(v.line) < sizeof v.line);
  for (const char *p = v.line; *p; p++) must((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) check_line(line);
  free(text);
  return 0;
}
