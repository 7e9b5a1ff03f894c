/* notify.h - who is told of what: the [notify NAME] sections, one table of keys for each type of channel.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_MANIFEST_NOTIFY_H
#define HF_MANIFEST_NOTIFY_H

#include "plugin/plugin.h"

/* What there is to tell. Bit numbers of hf_manifest_notify.events; hf_event_names has their words. */
enum hf_event {
  HF_EVENT_SUCCESS, /* a run did all it should */
  HF_EVENT_FAILURE, /* a run failed, was killed, or is not what it should be */
  HF_EVENT_PARTIAL, /* a run did a part of it */
  HF_EVENT_RPO_WARNING,
  HF_EVENT_RPO_CRITICAL,
  HF_EVENT_DISK,
  HF_EVENT_KEY_EXPIRY,
  HF_EVENT_DRILL,
  HF_EVENT_TAMPER,
  HF_EVENT_TARGET_BEHIND,
  HF_EVENTS
};
extern const char *const hf_event_names[HF_EVENTS];

enum hf_channel { HF_CHANNEL_EMAIL, HF_CHANNEL_WEBHOOK, HF_CHANNEL_SYSLOG, HF_CHANNEL_JOURNALD, HF_CHANNEL_STATSD, HF_CHANNEL_COMMAND, HF_CHANNELS };
extern const char *const hf_channel_names[HF_CHANNELS];

/* Rows of the types' tables, in their order. */
enum { EMAIL_SERVER, EMAIL_TLS, EMAIL_USER, EMAIL_PASSWORD, EMAIL_FROM, EMAIL_TO, EMAIL_CA_FILE };
enum { WEBHOOK_URL, WEBHOOK_START_URL, WEBHOOK_FAIL_URL, WEBHOOK_METHOD, WEBHOOK_TEMPLATE, WEBHOOK_TEMPLATE_FILE, WEBHOOK_CONTENT_TYPE, WEBHOOK_HEADER, WEBHOOK_TOKEN, WEBHOOK_CA_FILE };
enum { SYSLOG_SOCKET, SYSLOG_SERVER, SYSLOG_FACILITY };
enum { JOURNALD_SOCKET };
enum { STATSD_SERVER, STATSD_PREFIX };
enum { COMMAND_COMMAND };

struct hf_manifest_notify {
  char *name;                 /* as that of a source */
  enum hf_channel type;
  struct hf_settings *settings; /* by the type's table */
  unsigned events;            /* bits 1 << enum hf_event */
  struct hf_list verbs;       /* runs of these only; empty: all */
  int64_t at_most_every;      /* seconds before `status` repeats an alarm that has not changed; default 24h, 0: repeats always */
  int64_t timeout;            /* seconds for one message, tries included; default 30s */
  bool enabled;
  char *broken;               /* why a secret of its could not be fetched, so that nothing can be sent; NULL: all is there */
  char *file;                 /* where the section stands */
  unsigned line;
};

/* The text of a row, NULL when it was not given. */
const char *hf_notify_text(const struct hf_manifest_notify *n, int row);

/* Placeholders of a webhook's template, ending with NULL. */
extern const char *const hf_notify_placeholders[];

#endif
