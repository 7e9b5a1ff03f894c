/* notice_text.c - a message for people.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "notify/internal.h"

#define TEXT_MAX (16 * HF_KIB)
#define VALUE_MAX 600 /* bytes of one value shown */

static const char *str(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static void add_value(struct hf_buf *out, const json_t *v) {
  if (json_is_string(v)) {
    const char *s = json_string_value(v);
    HF_CLEANUP(hf_freep) char *shown = hf_printable(s, HF_MIN(strlen(s), (size_t)VALUE_MAX));
    hf_buf_adds(out, shown);
  } else if (json_is_integer(v)) {
    hf_buf_addf(out, "%lld", (long long)json_integer_value(v));
  } else if (json_is_real(v)) {
    hf_buf_addf(out, "%.3f", json_real_value(v));
  } else if (json_is_boolean(v)) {
    hf_buf_adds(out, json_is_true(v) ? "yes" : "no");
  }
}

static void line(struct hf_buf *out, const json_t *facts, const char *label, const char *key) {
  const json_t *v = json_object_get(facts, key);
  if (!v || json_is_null(v) || json_is_object(v) || json_is_array(v)) return;
  hf_buf_addf(out, "%-10s", label);
  add_value(out, v);
  hf_buf_addc(out, '\n');
}

/* "  NAME  WORD: REASON  key value, ..." for each element. */
static void table(struct hf_buf *out, const json_t *facts, const char *title, const char *key) {
  static const char *const shown[] = {"name", "status", "committed", "verdict", "error", "message"};
  const json_t *rows = json_object_get(facts, key), *row, *v;
  size_t i, bytes;
  const char *name;
  if (json_array_size(rows) == 0) return;
  hf_buf_addf(out, "\n%s:\n", title);
  json_array_foreach(rows, i, row) {
    const char *word = str(row, "status") ? str(row, "status") : str(row, "verdict");
    const char *why = str(row, "error") ? str(row, "error") : str(row, "message");
    const json_t *committed = json_object_get(row, "committed");
    if (!word && committed) word = json_is_true(committed) ? "committed" : "not committed";
    hf_buf_addf(out, "  %-12s %s", str(row, "name") ? str(row, "name") : "", word ? word : "");
    if (why) {
      HF_CLEANUP(hf_freep) char *text = hf_printable(why, HF_MIN(strlen(why), (size_t)VALUE_MAX));
      hf_buf_addf(out, ": %s", text);
    }
    const char *between = "; ";
    json_object_foreach((json_t *)row, name, v) {
      bool told = false;
      for (size_t k = 0; k < HF_NELEM(shown); k++) told |= strcmp(shown[k], name) == 0;
      if (told || !(json_is_number(v) || json_is_true(v))) continue;
      bytes = strlen(name);
      bool is_size = strncmp(name, "bytes", 5) == 0 && json_is_integer(v);
      hf_buf_addf(out, "%s%.*s ", between, (int)bytes, name);
      char size[16];
      hf_format_size(size, is_size ? (uint64_t)json_integer_value(v) : 0);
      if (is_size)
        hf_buf_adds(out, size);
      else
        add_value(out, v);
      between = ", ";
    }
    hf_buf_addc(out, '\n');
  }
}

static void alarms(struct hf_buf *out, const json_t *facts) {
  const json_t *rows = json_object_get(facts, "alarms"), *row;
  size_t i;
  if (json_array_size(rows)) hf_buf_addc(out, '\n');
  json_array_foreach(rows, i, row) {
    const char *what = str(row, "what"), *name = str(row, "name"), *text = str(row, "message"), *verdict = str(row, "verdict");
    hf_buf_addf(out, "%-8s  %s%s%s: %s\n", verdict ? verdict : "", what ? what : "", name && *name ? " " : "", name ? name : "", text ? text : "");
  }
}

static void said(struct hf_buf *out, const json_t *facts) {
  const json_t *rows = json_object_get(facts, "said"), *row;
  size_t i;
  if (json_array_size(rows)) hf_buf_adds(out, "\nWhat was said:\n");
  json_array_foreach(rows, i, row) {
    hf_buf_adds(out, "  ");
    add_value(out, row);
    hf_buf_addc(out, '\n');
  }
}

void hf_notice_text(const json_t *facts, struct hf_buf *out) {
  size_t from = out->len;
  line(out, facts, "", "subject");
  if (out->len > from) {
    /* The subject stands alone, without the column of labels. */
    memmove(out->data + from, out->data + from + 10, out->len - from - 10 + 1);
    out->len -= 10;
    hf_buf_addc(out, '\n');
  }
  static const char *const lines[][2] = {{"host", "host"},         {"run", "run"},           {"verb", "verb"},   {"began", "started"}, {"ended", "finished"},
                                         {"seconds", "seconds"},   {"exit code", "exit"},    {"error", "error"}, {"snapshot", "snapshot"}, {"id", "snapshot_id"},
                                         {"label", "label"},       {"findings", "findings"}, {"tampering", "tampering"}, {"lost", "lost"}, {"problems", "problems"},
                                         {"verdict", "verdict"},   {"log", "log"}};
  for (size_t i = 0; i < HF_NELEM(lines); i++) line(out, facts, lines[i][0], lines[i][1]);
  alarms(out, facts);
  table(out, facts, "Sources", "sources");
  table(out, facts, "Targets", "targets");
  said(out, facts);
  if (out->len - from > TEXT_MAX) {
    out->len = from + TEXT_MAX;
    while (((unsigned char)out->data[out->len] & 0xc0) == 0x80) out->len--;
    out->data[out->len] = 0;
    hf_buf_adds(out, "\n[cut here; the run's log has all of it]\n");
  }
}
