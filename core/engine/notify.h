/* notify.h - who is told what, and when once more.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_NOTIFY_H
#define HF_NOTIFY_H

#include "notify/channel.h"
#include "state/runs.h"

/* How something stands. The numbers are those of a Nagios plugin. */
enum hf_stand { HF_STAND_OK, HF_STAND_WARNING, HF_STAND_CRITICAL, HF_STAND_UNKNOWN };
extern const char *const hf_stand_names[]; /* "OK", ... */

/* One thing that was looked at. */
struct hf_finding {
  char *key;          /* what an alarm about it is known by: "source:db" */
  const char *what;   /* "source", "target", ...; static */
  char *name;         /* which; "" where there is one only */
  enum hf_event event; /* what an alarm about it is */
  enum hf_stand stand;
  char *text;
};
#define HF_STATUS_KEY "status:" /* of the finding that says whether anything could be looked at */
struct hf_findings { struct hf_finding *v; size_t n; };
void hf_findings_free(struct hf_findings *f);

/* Is an alarm to be told? told: a stand, or -1 when nothing was told that holds; when: then. */
enum hf_due { HF_DUE_NOT, HF_DUE_NEW, HF_DUE_AGAIN, HF_DUE_OVER };
enum hf_due hf_alarm_due(enum hf_stand now_stand, int told, int64_t when, int64_t now, int64_t at_most_every);

/* All of these: a channel that fails is logged and noted in runs (may be NULL), and nothing else happens. */
/* A run begins: for webhooks that have a start-url. */
void hf_notify_start(const struct hf_manifest *m, struct hf_runs *runs, const char *verb, int64_t id);
/* A run has ended; facts as hf_run_end makes them. Adds host, tool, time, event. */
void hf_notify_run(const struct hf_manifest *m, struct hf_runs *runs, json_t *facts);
/* Alarms that are new, have changed, or were told long ago, and those that are over. complete: everything was looked at, so what is not among f does not exist any more. */
void hf_notify_alarms(const struct hf_manifest *m, struct hf_runs *runs, const struct hf_findings *f, bool complete);
/* A test message to a channel. */
int hf_notify_test(const struct hf_manifest *m, struct hf_runs *runs, const struct hf_manifest_notify *n, struct hf_error *err);

#endif
