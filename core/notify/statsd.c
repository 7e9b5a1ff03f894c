/* statsd.c - a message as counters, timings and gauges.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "notify/internal.h"

static void gauge(struct hf_buf *out, const struct hf_notice *x, const char *prefix, const char *verb, const char *key) {
  const json_t *source;
  size_t i;
  json_int_t sum = 0;
  bool any = false;
  json_array_foreach(json_object_get(x->facts, "sources"), i, source) {
    const json_t *v = json_object_get(source, key);
    any |= json_is_integer(v);
    sum += json_integer_value(v);
  }
  if (any) hf_buf_addf(out, "%s%s_%s:%lld|g\n", prefix, verb, key, (long long)sum);
}

void hf_statsd_format(const struct hf_notice *x, const char *prefix, struct hf_buf *out) {
  const char *verb = hf_notice_str(x, "verb"), *status = hf_notice_str(x, "status");
  const json_t *alarm;
  size_t i;
  if (!prefix) prefix = "";
  if (*verb) {
    hf_buf_addf(out, "%s%s_%s:1|c\n", prefix, verb, strcmp(status, "failed") == 0 ? "failure" : status);
    hf_buf_addf(out, "%s%s_duration:%.0f|ms\n", prefix, verb, json_number_value(json_object_get(x->facts, "seconds")) * 1000);
    gauge(out, x, prefix, verb, "bytes_read");
    gauge(out, x, prefix, verb, "bytes_stored");
  }
  json_array_foreach(json_object_get(x->facts, "alarms"), i, alarm) {
    const char *event = json_string_value(json_object_get(alarm, "event")), *verdict = json_string_value(json_object_get(alarm, "verdict"));
    HF_CLEANUP(hf_freep) char *name = hf_strdup(event ? event : "unknown");
    for (char *p = name; *p; p++) {
      if (*p == '-') *p = '_';
    }
    hf_buf_addf(out, "%salarm_%s%s:1|c\n", prefix, name, verdict && strcmp(verdict, "OK") == 0 ? "_over" : "");
  }
  if (strcmp(status, "test") == 0) hf_buf_addf(out, "%stest:1|c\n", prefix);
  if (out->len) out->data[--out->len] = 0; /* lines are separated, not ended */
}

static int statsd_send(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  hf_statsd_format(x, hf_notify_text(n, STATSD_PREFIX), &b);
  if (b.len == 0) return 0;
  int r = hf_dgram_udp(hf_notify_text(n, STATSD_SERVER), "8125", deadline, &fd, err);
  /* A line a datagram: what every daemon takes. */
  for (char *p = b.data, *end; r == 0 && p; p = end ? end + 1 : NULL) {
    end = strchr(p, '\n');
    r = hf_dgram_send(fd, p, end ? (size_t)(end - p) : strlen(p), err);
  }
  return r;
}

static int statsd_probe(const struct hf_manifest_notify *n, double deadline, char **what, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = -1;
  int r = hf_dgram_udp(hf_notify_text(n, STATSD_SERVER), "8125", deadline, &fd, err);
  if (r == 0) *what = hf_asprintf("%s has an address; UDP does not tell whether anybody listens", hf_notify_text(n, STATSD_SERVER));
  return r;
}

const struct hf_channel_ops hf_channel_statsd = {statsd_send, statsd_probe};
