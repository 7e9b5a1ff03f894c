/* retention.c - rules, calendar periods, and clocks that are not to be believed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/retention.h"

#include <time.h>

#include "base/text.h"

/* ---- the calendar ---- */

/* Make zone the process' own; what was there before, to be put back (NULL: nothing was set). */
static char *zone_enter(const char *zone) {
  if (!zone) {
    tzset();
    return NULL;
  }
  char *before = hf_strdup(getenv("TZ"));
  setenv("TZ", zone, 1);
  tzset();
  return before;
}

static void zone_leave(const char *zone, char *before) {
  if (!zone) return;
  if (before) setenv("TZ", before, 1);
  else unsetenv("TZ");
  tzset();
  free(before);
}

/* In the zone that is set. */
static int64_t period_of(enum hf_period p, int64_t time, char *text) {
  time_t t = (time_t)time;
  struct tm tm;
  char week[24];
  if (!localtime_r(&t, &tm)) memset(&tm, 0, sizeof tm); /* a year that no calendar has: all of them are one period */
  int64_t year = (int64_t)tm.tm_year + 1900, day = (year * 12 + tm.tm_mon) * 31 + tm.tm_mday;
  char *rest = NULL;
  if (text) *text = 0;
  switch (p) {
    case HF_PERIOD_HOUR: /* that which comes twice when the clocks are put back is two */
      if (text) strftime(text, HF_PERIOD_TEXT, "%Y-%m-%dT%H%z", &tm);
      return (day * 24 + tm.tm_hour) * 200000 + tm.tm_gmtoff + 100000;
    case HF_PERIOD_DAY:
      if (text) strftime(text, HF_PERIOD_TEXT, "%Y-%m-%d", &tm);
      return day;
    case HF_PERIOD_WEEK:
      if (text) strftime(text, HF_PERIOD_TEXT, "%G-W%V", &tm);
      strftime(week, sizeof week, "%G %V", &tm);
      year = strtoll(week, &rest, 10);
      return year * 100 + strtol(rest, NULL, 10);
    case HF_PERIOD_MONTH:
      if (text) strftime(text, HF_PERIOD_TEXT, "%Y-%m", &tm);
      return year * 12 + tm.tm_mon;
    case HF_PERIOD_YEAR:
      if (text) strftime(text, HF_PERIOD_TEXT, "%Y", &tm);
      return year;
    default: return 0;
  }
}

int64_t hf_period_of(const char *zone, enum hf_period p, int64_t time, char text[HF_PERIOD_TEXT]) {
  char *before = zone_enter(zone);
  int64_t key = period_of(p, time, text);
  zone_leave(zone, before);
  return key;
}

const char *hf_period_word(enum hf_period p) {
  static const char *const words[HF_PERIODS] = {"all", "hourly", "daily", "weekly", "monthly", "yearly"};
  return words[p];
}

/* ---- times that fit the order ---- */

/* The longest sequence whose times never go backwards, by patience sorting. fits[i]: it has i. */
static void find_order(const struct hf_retained *v, size_t n, int64_t latest, bool *fits) {
  size_t *tails = hf_allocn(n, sizeof *tails), *prev = hf_allocn(n, sizeof *prev), len = 0;
  for (size_t i = 0; i < n; i++) {
    fits[i] = false;
    if (v[i].time > latest) continue;
    size_t a = 0, b = len; /* the first tail that is later */
    while (a < b) {
      size_t m = a + (b - a) / 2;
      if (v[tails[m]].time > v[i].time) b = m;
      else a = m + 1;
    }
    prev[i] = a > 0 ? tails[a - 1] : n;
    tails[a] = i;
    if (a == len) len++;
  }
  for (size_t i = len > 0 ? tails[len - 1] : n; i < n; i = prev[i]) fits[i] = true;
  free(tails);
  free(prev);
}

/* ---- the rules ---- */

static void because(struct hf_retained *v, const char *fmt, ...) HF_PRINTF(2, 3);
static void because(struct hf_retained *v, const char *fmt, ...) {
  char text[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  v->keep = true;
  hf_list_add(&v->reasons, text);
}

static void keep_last(struct hf_retained *v, size_t n, uint32_t last) {
  for (size_t k = 1; k <= n && k <= last; k++) because(&v[n - k], "last %zu of %u", k, (unsigned)last);
}

/* A period of the calendar that has a snapshot. */
struct period {
  int64_t key;
  size_t *own, n;     /* those that are kept for it: the first, and each later one that has a source which none before it had */
  struct hf_list had; /* sources that are good in these */
};

/* Runs need not have the same sources: were it the first alone, databases that are backed up every hour would push out what is backed up at night. */
static bool adds_source(const struct period *p, const struct hf_list *good) {
  for (size_t k = 0; good && k < good->n; k++) {
    if (!hf_list_has(&p->had, good->v[k])) return true;
  }
  return false;
}

static void add_own(struct period *p, size_t i, const struct hf_list *good) {
  p->own = hf_realloc(p->own, (p->n + 1) * sizeof *p->own);
  p->own[p->n++] = i;
  for (size_t k = 0; good && k < good->n; k++) {
    if (!hf_list_has(&p->had, good->v[k])) hf_list_add(&p->had, good->v[k]);
  }
}

/* Of the newest `count` periods that have one, the first with each source. The clocks may be put back over midnight, so that a period comes again after the next one has begun: it is the same one. */
#define SAME_AGAIN 4
static void keep_first(struct hf_retained *v, size_t n, const bool *fits, enum hf_period p, uint32_t count) {
  struct period *all = hf_allocn(n, sizeof *all);
  size_t m = 0;
  for (size_t i = 0; i < n; i++) {
    if (!fits[i]) continue;
    int64_t key = period_of(p, v[i].time, NULL);
    struct period *mine = NULL;
    for (size_t k = m; k > 0 && m - k < SAME_AGAIN && !mine; k--) mine = all[k - 1].key == key ? &all[k - 1] : NULL;
    if (!mine) {
      mine = &all[m++];
      *mine = (struct period){.key = key};
      add_own(mine, i, v[i].good);
    } else if (adds_source(mine, v[i].good)) {
      add_own(mine, i, v[i].good);
    }
  }
  for (size_t k = m > count ? m - count : 0; k < m; k++) {
    char text[HF_PERIOD_TEXT];
    for (size_t o = 0; o < all[k].n; o++) {
      struct hf_retained *r = &v[all[k].own[o]];
      period_of(p, r->time, text);
      because(r, "%s %s", hf_period_word(p), text);
    }
  }
  for (size_t k = 0; k < m; k++) {
    free(all[k].own);
    hf_list_free(&all[k].had);
  }
  free(all);
}

static void keep_within(struct hf_retained *v, size_t n, const bool *fits, int64_t within) {
  size_t newest = n;
  char text[32];
  while (newest > 0 && !fits[newest - 1]) newest--;
  bool days = within % 86400 == 0, hours = within % 3600 == 0;
  snprintf(text, sizeof text, "%lld%s", (long long)(within / (days ? 86400 : hours ? 3600 : 1)), days ? "d" : hours ? "h" : "s");
  for (size_t i = 0; i < newest; i++) {
    /* Not later than the newest: the difference fits, however wild the times are. */
    if (fits[i] && (uint64_t)v[newest - 1].time - (uint64_t)v[i].time <= (uint64_t)within) because(&v[i], "within %s", text);
  }
}

/* Of every source the newest good one, and the newest complete one behind copies in part. */
static void keep_good(struct hf_retained *v, size_t n) {
  struct hf_list good = HF_LIST_INIT, whole = HF_LIST_INIT;
  for (size_t i = n; i > 0; i--) {
    struct hf_retained *x = &v[i - 1];
    for (size_t k = 0; x->whole && k < x->whole->n; k++) {
      if (hf_list_has(&whole, x->whole->v[k])) continue;
      hf_list_add(&whole, x->whole->v[k]);
      if (hf_list_has(&good, x->whole->v[k])) because(x, "newest complete of source %s", x->whole->v[k]);
    }
    for (size_t k = 0; x->good && k < x->good->n; k++) {
      if (hf_list_has(&good, x->good->v[k])) continue;
      hf_list_add(&good, x->good->v[k]);
      because(x, "newest good of source %s", x->good->v[k]);
    }
  }
  hf_list_free(&good);
  hf_list_free(&whole);
}

void hf_retention(struct hf_retained *v, size_t n, const struct hf_keep *keep, const char *zone, int64_t now) {
  for (size_t i = 0; i < n; i++) {
    v[i].keep = false;
    v[i].reasons = (struct hf_list)HF_LIST_INIT;
    if (!keep->any) because(&v[i], "the target keeps everything");
  }
  if (!keep->any) return;
  bool *fits = hf_allocn(n, sizeof *fits);
  char *before = zone_enter(zone);
  find_order(v, n, now + HF_CLOCK_SLACK, fits);
  keep_last(v, n, keep->last);
  for (int p = HF_PERIOD_HOUR; p < HF_PERIODS; p++) {
    if (keep->every[p]) keep_first(v, n, fits, (enum hf_period)p, keep->every[p]);
  }
  if (keep->within > 0) keep_within(v, n, fits, keep->within);
  for (size_t i = 0; i < n; i++) {
    if (keep->labelled && v[i].label) because(&v[i], "labelled");
    if (!fits[i]) because(&v[i], "its time does not fit its place in the chain: no rule of time applies");
  }
  keep_good(v, n);
  for (size_t i = 0; i < n; i++) {
    if (!v[i].keep) hf_list_add(&v[i].reasons, "no rule keeps it");
  }
  zone_leave(zone, before);
  free(fits);
}

void hf_retention_free(struct hf_retained *v, size_t n) {
  for (size_t i = 0; i < n; i++) hf_list_free(&v[i].reasons);
}
