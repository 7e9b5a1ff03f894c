/* journald.c - a message to systemd's journal by its native protocol, each fact a field.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>

#include "notify/internal.h"

/* What journalctl finds these messages by: MESSAGE_ID=. */
#define MESSAGE_ID "6f3c1d0e8a5b4c7c9b1f2a7d5e4c3b21"

/* NAME=value, or with a newline in it NAME, the length as 64 bits little-endian, and the value. */
static void add_field(struct hf_buf *out, const char *name, const char *value, size_t n) {
  hf_buf_adds(out, name);
  if (!memchr(value, '\n', n)) {
    hf_buf_addc(out, '=');
  } else {
    hf_buf_addc(out, '\n');
    for (int i = 0; i < 8; i++) hf_buf_addc(out, (char)((uint64_t)n >> (8 * i) & 0xff));
  }
  hf_buf_add(out, value, n);
  hf_buf_addc(out, '\n');
}

static void add_value(struct hf_buf *out, const struct hf_notice *x, const char *name) {
  HF_CLEANUP(hf_buf_free) struct hf_buf v = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *field = hf_asprintf("HOLDFAST_%s", name);
  hf_notice_value(x, name, &v);
  for (char *p = field; *p; p++) *p = (char)toupper((unsigned char)*p);
  if (v.len) add_field(out, field, v.data, v.len);
}

void hf_journald_format(const struct hf_notice *x, bool with_facts, struct hf_buf *out) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  char priority[2] = {(char)('0' + hf_notice_priority(x)), 0};
  if (with_facts)
    hf_notice_text(x->facts, &text);
  else
    hf_buf_adds(&text, hf_notice_str(x, "subject"));
  while (text.len && text.data[text.len - 1] == '\n') text.len--;
  add_field(out, "MESSAGE", text.data ? text.data : "", text.len);
  add_field(out, "MESSAGE_ID", MESSAGE_ID, strlen(MESSAGE_ID));
  add_field(out, "PRIORITY", priority, 1);
  add_field(out, "SYSLOG_IDENTIFIER", "holdfast", 8);
  for (const char *const *p = hf_notice_fields; *p; p++) add_value(out, x, *p);
  if (with_facts) add_value(out, x, "facts");
}

static int journald_send(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  int r = hf_dgram_unix(hf_notify_text(n, JOURNALD_SOCKET), deadline, &fd, err);
  if (r < 0) return r;
  hf_journald_format(x, true, &b);
  r = hf_dgram_send(fd, b.data, b.len, err);
  if (r != HOLDFAST_E_NO_SPACE) return r;
  hf_buf_clear(&b);
  hf_journald_format(x, false, &b);
  return hf_dgram_send(fd, b.data, b.len, err);
}

static int journald_probe(const struct hf_manifest_notify *n, double deadline, char **what, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = -1;
  int r = hf_dgram_unix(hf_notify_text(n, JOURNALD_SOCKET), deadline, &fd, err);
  if (r == 0) *what = hf_asprintf("%s is there", hf_notify_text(n, JOURNALD_SOCKET));
  return r;
}

const struct hf_channel_ops hf_channel_journald = {journald_send, journald_probe};
