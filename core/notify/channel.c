/* channel.c - a message to its channel, and once more when that may help.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <time.h>

#include "notify/internal.h"

#define TRIES 3

static const struct hf_channel_ops *const types[HF_CHANNELS] = {&hf_channel_email, &hf_channel_webhook, &hf_channel_syslog, &hf_channel_journald, &hf_channel_statsd, &hf_channel_command};

int hf_channel_send(const struct hf_manifest_notify *n, const struct hf_notice *x, struct hf_error *err) {
  double deadline = hf_now() + (double)n->timeout;
  struct hf_error e = {0};
  int r = 0;
  if (n->broken) return hf_fail(err, HOLDFAST_E_CONFIG, "%s", n->broken);
  for (int i = 1; i <= TRIES; i++) {
    r = types[n->type]->send(n, x, deadline, &e);
    if (r != HOLDFAST_E_TRANSIENT || i == TRIES || hf_now() + i >= deadline) break;
    nanosleep(&(struct timespec){.tv_sec = i}, NULL);
  }
  return r < 0 ? hf_fail(err, r, "%s", e.msg) : 0;
}

int hf_channel_probe(const struct hf_manifest_notify *n, char **what, struct hf_error *err) {
  if (n->broken) return hf_fail(err, HOLDFAST_E_CONFIG, "%s", n->broken);
  return types[n->type]->probe(n, hf_now() + (double)n->timeout, what, err);
}
