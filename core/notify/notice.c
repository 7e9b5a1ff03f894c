/* notice.c - a message's facts as single values.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <syslog.h>

#include "notify/internal.h"

const char *const hf_notice_fields[] = {"event", "status", "severity", "host", "verb", "run", "subject", "time", "seconds", "exit", "snapshot", NULL};

const char *hf_notice_str(const struct hf_notice *x, const char *key) {
  const char *s = json_string_value(json_object_get(x->facts, key));
  return s ? s : "";
}

int hf_notice_priority(const struct hf_notice *x) {
  const char *severity = hf_notice_str(x, "severity");
  return strcmp(severity, "critical") == 0 ? LOG_CRIT : strcmp(severity, "warning") == 0 ? LOG_WARNING : LOG_INFO;
}

bool hf_notice_value(const struct hf_notice *x, const char *name, struct hf_buf *out) {
  if (strcmp(name, "text") == 0) {
    hf_notice_text(x->facts, out);
    return true;
  }
  if (strcmp(name, "facts") == 0) {
    char *text = json_dumps(x->facts, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text) hf_buf_adds(out, text);
    free(text);
    return true;
  }
  for (const char *const *p = hf_notice_fields; *p; p++) {
    if (strcmp(*p, name) != 0) continue;
    const json_t *v = json_object_get(x->facts, name);
    if (json_is_string(v)) hf_buf_adds(out, json_string_value(v));
    if (json_is_integer(v)) hf_buf_addf(out, "%lld", (long long)json_integer_value(v));
    if (json_is_real(v)) hf_buf_addf(out, "%.3f", json_real_value(v));
    return true;
  }
  return false;
}
