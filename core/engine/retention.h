/* retention.h - which snapshots a target keeps, and why. A calculation and nothing else: the same answer for the same question, at any time and anywhere.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_RETENTION_H
#define HF_RETENTION_H

#include "base/base.h"
#include "manifest/manifest.h"

/* A clock may be this much ahead of the one that is asked now. */
#define HF_CLOCK_SLACK (24 * 3600)

struct hf_retained {
  /* in: */
  uint64_t seq;
  int64_t time;
  const char *label;           /* or NULL */
  const struct hf_list *good;  /* sources that are complete or partial in it; may be NULL */
  const struct hf_list *whole; /* of them, those that are complete; may be NULL */
  /* out: */
  bool keep;
  struct hf_list reasons;      /* "daily 2026-11-03", "last 3 of 7", ...; of one that goes, why no rule keeps it; freed by hf_retention_free */
};

/* Decide for the n snapshots that a target holds, in the order of their sequence numbers. zone: IANA name or NULL for the system's. now: the clock of the one who asks.
 *
 * Rules are a union. Of each of the newest so many periods that have a snapshot at all, the first one is kept, and each later one with a good source that none before it in the period had: which ones these are
 * never changes by what comes later, so a snapshot once kept for its month stays for that month. The newest good snapshot of every source is kept whatever the rules say, and where that is only partial also the newest complete one.
 *
 * The order is that of the sequence numbers, which are signed and chained. Times only tell the period. Those that do not fit the order are not believed: of all snapshots the longest sequence is taken whose times
 * never go backwards (of several equally long ones that with the earliest times, judged from its end); what does not belong to it, and what is more than HF_CLOCK_SLACK ahead of now, is kept, and takes no
 * other's place.
 *
 * Not for several threads: it sets the process' time zone meanwhile. Memory: some 100 bytes for each snapshot, the names of its sources, and the reasons. */
void hf_retention(struct hf_retained *v, size_t n, const struct hf_keep *keep, const char *zone, int64_t now);
void hf_retention_free(struct hf_retained *v, size_t n);

/* The calendar period that a time lies in: equal for two times in the same one. text (may be NULL) gets its name: "2026-11-03", "2026-W45", "2026-11", "2026", "2026-11-03T14+0100". As above about threads. */
#define HF_PERIOD_TEXT 40
int64_t hf_period_of(const char *zone, enum hf_period p, int64_t time, char text[HF_PERIOD_TEXT]);
/* "hourly", "daily", ... */
const char *hf_period_word(enum hf_period p);

#endif
