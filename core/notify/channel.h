/* channel.h - telling: what a message is, and sending it by a channel of the manifest.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_CHANNEL_H
#define HF_CHANNEL_H

#include <jansson.h>

#include "manifest/manifest.h"

/* One message. facts is a JSON object; what channels rely on: "status" (success, partial, failed, start; ok, warning, critical; test), "severity" (info, warning,
 * critical), "event", "host", "time", "subject"; of a run "verb", "run", "started", "finished", "seconds", "exit" and what the verb has to say; of alarms "alarms". */
struct hf_notice {
  json_t *facts;
  bool start; /* that a run has begun: for webhooks that want to know */
};

/* Append the value of a placeholder (hf_notify_placeholders) as text; nothing when the message has none. False for an unknown name. */
bool hf_notice_value(const struct hf_notice *x, const char *name, struct hf_buf *out);
/* The whole message for people: lines of text, at most some 16 KiB. */
void hf_notice_text(const json_t *facts, struct hf_buf *out);

/* Send. Transient errors are tried again, up to three times and within the channel's timeout. The error says what went wrong, without the channel's name and without a secret. */
int hf_channel_send(const struct hf_manifest_notify *n, const struct hf_notice *x, struct hf_error *err);
/* Could it be sent? Goes as far as it can without sending anything. *what (caller frees): what was found. */
int hf_channel_probe(const struct hf_manifest_notify *n, char **what, struct hf_error *err);

#endif
