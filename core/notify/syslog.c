/* syslog.c - a message to the system's log, with its facts as structured data (RFC 5424).
 * SPDX-License-Identifier: Apache-2.0
 */
#include <syslog.h>
#include <unistd.h>

#include "notify/internal.h"

#define SYSLOG_MAX 8192 /* bytes of a message: what daemons take at least, and UDP carries */

static const struct { const char *name; int number; } facilities[] = {{"user", LOG_USER},     {"daemon", LOG_DAEMON}, {"cron", LOG_CRON},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
                                                                      {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};

static int facility_of(const char *name) {
  for (size_t i = 0; i < HF_NELEM(facilities); i++) {
    if (strcmp(facilities[i].name, name) == 0) return facilities[i].number;
  }
  return LOG_DAEMON;
}

/* The value of a parameter: three characters are special in it. */
static void add_param(struct hf_buf *out, const char *name, const struct hf_buf *v) {
  hf_buf_addf(out, " %s=\"", name);
  for (size_t i = 0; i < v->len; i++) {
    if (strchr("\"\\]", v->data[i])) hf_buf_addc(out, '\\');
    hf_buf_addc(out, (unsigned char)v->data[i] < 0x20 ? ' ' : v->data[i]);
  }
  hf_buf_addc(out, '"');
}

void hf_syslog_format(const struct hf_notice *x, int facility, long pid, struct hf_buf *out) {
  const char *event = hf_notice_str(x, "event"), *host = hf_notice_str(x, "host"), *at = hf_notice_str(x, "time");
  hf_buf_addf(out, "<%d>1 %s %s holdfast %ld %s [holdfast@32473", facility | hf_notice_priority(x), *at ? at : "-", *host ? host : "-", pid, *event ? event : "-");
  for (const char *const *p = hf_notice_fields; *p; p++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf v = HF_BUF_INIT;
    hf_notice_value(x, *p, &v);
    if (v.len && strcmp(*p, "subject") != 0 && strcmp(*p, "time") != 0) add_param(out, *p, &v);
  }
  hf_buf_addf(out, "] %s", hf_notice_str(x, "subject"));
  const json_t *alarm;
  size_t i;
  json_array_foreach(json_object_get(x->facts, "alarms"), i, alarm) {
    const char *what = json_string_value(json_object_get(alarm, "what")), *name = json_string_value(json_object_get(alarm, "name"));
    const char *text = json_string_value(json_object_get(alarm, "message"));
    hf_buf_addf(out, "; %s %s: %s", what ? what : "", name ? name : "", text ? text : "");
  }
  const char *error = hf_notice_str(x, "error");
  if (*error) hf_buf_addf(out, ": %s", error);
  if (out->len > SYSLOG_MAX) {
    out->len = SYSLOG_MAX;
    out->data[out->len] = 0;
  }
}

static int open_socket(const struct hf_manifest_notify *n, double deadline, int *fd, struct hf_error *err) {
  const char *server = hf_notify_text(n, SYSLOG_SERVER);
  return server ? hf_dgram_udp(server, "514", deadline, fd, err) : hf_dgram_unix(hf_notify_text(n, SYSLOG_SOCKET), deadline, fd, err);
}

static int syslog_send(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  int r = open_socket(n, deadline, &fd, err);
  if (r < 0) return r;
  hf_syslog_format(x, facility_of(hf_notify_text(n, SYSLOG_FACILITY)), (long)getpid(), &b);
  return hf_dgram_send(fd, b.data, b.len, err);
}

static int syslog_probe(const struct hf_manifest_notify *n, double deadline, char **what, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = -1;
  const char *server = hf_notify_text(n, SYSLOG_SERVER);
  int r = open_socket(n, deadline, &fd, err);
  if (r == 0) *what = hf_asprintf("%s %s", server ? server : hf_notify_text(n, SYSLOG_SOCKET), server ? "has an address; UDP does not tell whether anybody listens" : "is there");
  return r;
}

const struct hf_channel_ops hf_channel_syslog = {syslog_send, syslog_probe};
