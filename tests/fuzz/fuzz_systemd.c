/* fuzz_systemd.c - fuzz target: unit files, names of units, specifiers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "plugins/systemd/unit.h"

static void must(int ok) {
  if (!ok) __builtin_trap();
}

static int setting(void *ctx, const char *section, const char *key, const char *value) {
  size_t *bytes = ctx;
  must(*section && *key && !strchr(key, '='));
  *bytes += strlen(key) + strlen(value) + 1;
  char unknown = '?', *path = hf_systemd_expand(value, "a-b@c\\x2dd-e.service", &unknown);
  must(path || unknown);
  free(path);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  unsigned bad;
  size_t bytes = 0;
  char name[HF_SYSTEMD_NAME_MAX + 1], out[HF_SYSTEMD_NAME_MAX + 1];
  must(hf_systemd_parse((const char *)data, n, setting, &bytes, &bad) == 0);
  must(bytes <= n && bad <= n + 1);

  size_t k = n < HF_SYSTEMD_NAME_MAX ? n : HF_SYSTEMD_NAME_MAX;
  if (k) memcpy(name, data, k);
  name[k] = '\0';
  if (!hf_systemd_is_unit(name)) return 0;
  must(*hf_systemd_type(name) && !strchr(name, '/'));
  if (hf_systemd_template_of(name, out)) must(hf_systemd_is_template(out) && hf_systemd_is_unit(out));
  if (hf_systemd_with_type(name, "timer", out)) must(strcmp(hf_systemd_type(out), "timer") == 0);
  char unknown = '?', *text = hf_systemd_expand("/%n/%N/%p/%P/%i/%I/%j/%J/%%", name, &unknown);
  must(text != NULL);
  free(text);
  return 0;
}
