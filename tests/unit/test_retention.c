/* test_retention.c - what is kept, against a calculation of another kind: an own calendar, and rules one snapshot at a time.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <time.h>

#include "engine/retention.h"
#include "unit.h"

#define DAY 86400

/* ---- a calendar of our own: UTC, and Europe/Berlin as the law has it since 1996 ---- */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

struct date { int64_t y; int m, d; };

static struct date civil(int64_t days) { /* since 1970-01-01 */
  struct date out = {1970, 1, 1};
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (;;) {
    bool leap = (out.y % 4 == 0 && out.y % 100 != 0) || out.y % 400 == 0;
    int n = leap ? 366 : 365;
    if (days < n) break;
    days -= n;
    out.y++;
  }
  for (out.m = 1;; out.m++) {
    int n = lengths[out.m - 1] + (out.m == 2 && ((out.y % 4 == 0 && out.y % 100 != 0) || out.y % 400 == 0));
    if (days < n) break;
    days -= n;
  }
  out.d = (int)days + 1;
  return out;
}

static int weekday(int64_t days) { return (int)((days + 3) % 7); } /* 0: Monday */

/* Summer time from the last Sunday of March to that of October, at 01:00 UTC. */
static bool is_summer(int64_t t) {
  int64_t days = floor_div(t, DAY), hour = floor_div(t - days * DAY, 3600);
  struct date c = civil(days);
  if (c.m < 3 || c.m > 10) return false;
  if (c.m > 3 && c.m < 10) return true;
  int sunday = c.d + (6 - weekday(days)); /* of this week */
  while (sunday + 7 <= 31) sunday += 7;
  while (sunday > 31) sunday -= 7;
  bool after = c.d > sunday || (c.d == sunday && hour >= 1);
  return c.m == 3 ? after : !after;
}

static int64_t offset_of(bool berlin, int64_t t) { return !berlin ? 0 : is_summer(t) ? 7200 : 3600; }

/* A name of the period that a time lies in. */
static void period_name(bool berlin, int p, int64_t t, char out[64]) {
  int64_t off = offset_of(berlin, t), local = t + off, days = floor_div(local, DAY);
  struct date c = civil(days);
  if (p == HF_PERIOD_HOUR) snprintf(out, 64, "%lld/%lld", (long long)floor_div(local, 3600), (long long)off);
  if (p == HF_PERIOD_DAY) snprintf(out, 64, "%lld", (long long)days);
  if (p == HF_PERIOD_WEEK) snprintf(out, 64, "%lld", (long long)floor_div(days + 3, 7)); /* weeks since a Monday: which year they count to is of no matter */
  if (p == HF_PERIOD_MONTH) snprintf(out, 64, "%lld-%d", (long long)c.y, c.m);
  if (p == HF_PERIOD_YEAR) snprintf(out, 64, "%lld", (long long)c.y);
}

/* ---- the rules, each looked at from one snapshot ---- */

#define MAX 90

struct history {
  struct hf_retained v[MAX];
  struct hf_list good[MAX], whole[MAX];
  size_t n;
};

/* By the quadratic way: the length of the longest sequence that ends at each. */
static void order(const struct history *h, int64_t now, bool *fits) {
  size_t len[MAX] = {0}, end = MAX;
  for (size_t i = 0; i < h->n; i++) {
    fits[i] = false;
    if (h->v[i].time > now + DAY) continue;
    len[i] = 1;
    for (size_t j = 0; j < i; j++) {
      if (len[j] && h->v[j].time <= h->v[i].time && len[j] + 1 > len[i]) len[i] = len[j] + 1;
    }
    if (end == MAX || len[i] > len[end] || (len[i] == len[end] && h->v[i].time < h->v[end].time)) end = i;
  }
  while (end != MAX) {
    size_t before = MAX;
    fits[end] = true;
    for (size_t j = 0; j < end; j++) {
      bool fit = len[j] && len[j] + 1 == len[end] && h->v[j].time <= h->v[end].time;
      if (fit && (before == MAX || h->v[j].time < h->v[before].time)) before = j;
    }
    end = before;
  }
}

static bool kept_by_period(const struct history *h, const bool *fits, bool berlin, int p, uint32_t count, size_t i) {
  char mine[64], other[64], last[64] = "";
  uint32_t newer = 0;
  if (!fits[i]) return false;
  period_name(berlin, p, h->v[i].time, mine);
  /* The first, or the first with one of its sources? */
  bool first = true, adds = false;
  for (size_t s = 0; s <= h->v[i].good->n; s++) {
    bool had = false;
    for (size_t j = 0; j < i; j++) {
      period_name(berlin, p, h->v[j].time, other);
      if (!fits[j] || strcmp(mine, other) != 0) continue;
      first = false;
      had |= s < h->v[i].good->n && hf_list_has(h->v[j].good, h->v[i].good->v[s]);
    }
    adds |= s < h->v[i].good->n && !had;
  }
  if (!first && !adds) return false;
  for (size_t j = i + 1; j < h->n; j++) {
    period_name(berlin, p, h->v[j].time, other);
    if (!fits[j] || strcmp(other, mine) == 0 || strcmp(other, last) == 0) continue;
    newer++;
    strcpy(last, other);
  }
  return newer < count;
}

static bool expected(const struct history *h, const bool *fits, bool berlin, const struct hf_keep *k, size_t i) {
  const struct hf_retained *me = &h->v[i];
  if (!k->any || !fits[i]) return true;
  if (h->n - i <= k->last) return true;
  if (k->labelled && me->label) return true;
  for (int p = HF_PERIOD_HOUR; p < HF_PERIODS; p++) {
    if (k->every[p] && kept_by_period(h, fits, berlin, p, k->every[p], i)) return true;
  }
  int64_t newest = me->time;
  for (size_t j = 0; j < h->n; j++) {
    if (fits[j]) newest = HF_MAX(newest, h->v[j].time);
  }
  if (k->within && newest - me->time <= k->within) return true;
  for (size_t s = 0; s < me->good->n; s++) {
    bool later = false;
    for (size_t j = i + 1; j < h->n; j++) later |= hf_list_has(h->v[j].good, me->good->v[s]);
    if (!later) return true;
  }
  for (size_t s = 0; s < me->whole->n; s++) {
    bool later = false;
    for (size_t j = i + 1; j < h->n; j++) later |= hf_list_has(h->v[j].whole, me->whole->v[s]);
    if (!later) return true;
  }
  return false;
}

/* ---- chance ---- */

static uint64_t seed = 88172645463325252ULL;

static uint64_t chance(uint64_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed % n;
}

static void make_policy(struct hf_keep *k) {
  *k = (struct hf_keep){.labelled = chance(2)};
  if (chance(3) == 0) k->last = 1 + (uint32_t)chance(9);
  for (int p = HF_PERIOD_HOUR; p < HF_PERIODS; p++) {
    if (chance(3) == 0) k->every[p] = 1 + (uint32_t)chance(12);
    k->any |= k->every[p] > 0;
  }
  if (chance(4) == 0) k->within = 1 + (int64_t)chance(40 * DAY);
  k->any |= k->last || k->within;
}

/* wild: with clocks that jump. */
static void make_history(struct history *h, bool wild) {
  static const char *const names[] = {"db", "files", "web"};
  int64_t t = 1700000000 + (int64_t)chance(400 * DAY), step = (int64_t)1 << (8 + chance(14));
  h->n = chance(MAX) + 1;
  for (size_t i = 0; i < h->n; i++) {
    t += (int64_t)chance((uint64_t)step) + (chance(20) == 0 ? (int64_t)chance(60 * DAY) : 0);
    int64_t shown = t;
    if (wild && chance(8) == 0) shown = chance(3) == 0 ? (int64_t)chance(100000) : t + (int64_t)chance(400 * DAY) - 200 * DAY;
    if (wild && chance(40) == 0) t -= (int64_t)chance(20 * DAY);
    h->good[i] = h->whole[i] = (struct hf_list)HF_LIST_INIT;
    for (size_t s = 0; s < HF_NELEM(names); s++) {
      if (chance(4) == 0) continue;
      hf_list_add(&h->good[i], names[s]);
      if (chance(3) > 0) hf_list_add(&h->whole[i], names[s]);
    }
    h->v[i] = (struct hf_retained){.seq = i * 2 + 5, .time = shown, .label = chance(15) == 0 ? "x" : NULL, .good = &h->good[i], .whole = &h->whole[i]};
  }
}

static void free_history(struct history *h) {
  for (size_t i = 0; i < h->n; i++) {
    hf_list_free(&h->good[i]);
    hf_list_free(&h->whole[i]);
  }
}

static const char *const zones[] = {"UTC", "Europe/Berlin"};

static void agrees(void **state) {
  (void)state;
  size_t removed = 0, kept = 0;
  for (int round = 0; round < 4000; round++) {
    struct history h;
    struct hf_keep k;
    bool fits[MAX], berlin = chance(2);
    make_policy(&k);
    make_history(&h, round % 2);
    int64_t now = h.v[chance(h.n)].time + (int64_t)chance(10 * DAY);
    hf_retention(h.v, h.n, &k, zones[berlin], now);
    order(&h, now, fits);
    for (size_t i = 0; i < h.n; i++) {
      bool want = expected(&h, fits, berlin, &k, i);
      if (h.v[i].keep != want) fail_msg("round %d: snapshot %zu of %zu, time %lld: %s, and should be %s (%s)", round, i, h.n, (long long)h.v[i].time, h.v[i].keep ? "kept" : "removed", want ? "kept" : "removed", h.v[i].reasons.v[0]);
      assert_true(h.v[i].reasons.n > 0);
      kept += want;
      removed += !want;
    }
    hf_retention_free(h.v, h.n);
    free_history(&h);
  }
  assert_true(kept > 10000 && removed > 10000);
}

/* Called after every snapshot, or once at the end: the same are left. */
static void never_changes_its_mind(void **state) {
  (void)state;
  for (int round = 0; round < 500; round++) {
    struct history h;
    struct hf_keep k;
    struct hf_retained left[MAX], all[MAX];
    size_t n = 0;
    make_policy(&k);
    make_history(&h, false);
    for (size_t i = 0; i < h.n; i++) {
      size_t m = 0;
      left[n++] = h.v[i];
      hf_retention(left, n, &k, zones[round % 2], h.v[i].time);
      hf_retention_free(left, n);
      for (size_t j = 0; j < n; j++) {
        if (left[j].keep) left[m++] = left[j];
      }
      n = m;
    }
    memcpy(all, h.v, sizeof all);
    hf_retention(all, h.n, &k, zones[round % 2], h.v[h.n - 1].time);
    hf_retention_free(all, h.n);
    size_t at = 0;
    for (size_t i = 0; i < h.n; i++) {
      if (!all[i].keep) continue;
      assert_true(at < n);
      assert_int_equal(left[at++].seq, all[i].seq);
    }
    assert_int_equal(at, n);
    free_history(&h);
  }
}

/* ---- single cases ---- */

static int64_t utc(const char *text) {
  struct tm tm = {0};
  assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
  return (int64_t)timegm(&tm);
}

/* Which of the times are kept, as a string of + and -. */
static void check(const struct hf_keep *k, const char *zone, const char *now, const char *const *times, const char *want) {
  struct hf_retained v[20];
  size_t n = strlen(want);
  char got[21] = "";
  for (size_t i = 0; i < n; i++) v[i] = (struct hf_retained){.seq = i + 1, .time = utc(times[i])};
  hf_retention(v, n, k, zone, utc(now));
  for (size_t i = 0; i < n; i++) got[i] = v[i].keep ? '+' : '-';
  hf_retention_free(v, n);
  assert_string_equal(got, want);
}

static void calendars(void **state) {
  (void)state;
  char text[HF_PERIOD_TEXT];
  struct hf_keep hours = {.any = true, .every = {[HF_PERIOD_HOUR] = 9}}, days = {.any = true, .every = {[HF_PERIOD_DAY] = 9}}, weeks = {.any = true, .every = {[HF_PERIOD_WEEK] = 9}};
  /* 25 October 2026: 02:30 comes twice, at 00:30 and 01:30 UTC. 29 March: 02:30 never comes. */
  static const char *const autumn[] = {"2026-10-25 00:10", "2026-10-25 00:30", "2026-10-25 01:10", "2026-10-25 01:30", "2026-10-25 02:10"};
  check(&hours, "Europe/Berlin", "2026-10-26 00:00", autumn, "+-+-+");
  static const char *const spring[] = {"2026-03-29 00:10", "2026-03-29 00:50", "2026-03-29 01:10", "2026-03-29 01:50"};
  check(&hours, "Europe/Berlin", "2026-03-30 00:00", spring, "+-+-");
  /* Midnight in Berlin is 23:00 UTC, in summer 22:00. */
  static const char *const midnight[] = {"2026-01-10 22:30", "2026-01-10 23:30", "2026-01-11 12:00", "2026-07-10 21:30", "2026-07-10 22:30"};
  check(&days, "Europe/Berlin", "2026-08-01 00:00", midnight, "++-++");
  check(&days, "UTC", "2026-08-01 00:00", midnight, "+-++-");
  /* The week that begins on Monday, 28 December 2026, is the 53rd, and has the first days of 2027. */
  static const char *const newyear[] = {"2026-12-27 12:00", "2026-12-28 12:00", "2026-12-31 12:00", "2027-01-03 12:00", "2027-01-04 12:00"};
  check(&weeks, "UTC", "2027-02-01 00:00", newyear, "++--+");
  hf_period_of("UTC", HF_PERIOD_WEEK, utc("2027-01-03 12:00"), text);
  assert_string_equal(text, "2026-W53");
  hf_period_of("Europe/Berlin", HF_PERIOD_DAY, utc("2026-07-10 22:30"), text);
  assert_string_equal(text, "2026-07-11");
  /* St. John's put its clocks back at 00:01 of Sunday, 7 November 2010, and had Saturday again. */
  static const char *const again[] = {"2010-11-07 02:00", "2010-11-07 02:30", "2010-11-07 02:31", "2010-11-07 03:20", "2010-11-07 04:00"};
  check(&days, "America/St_Johns", "2010-12-01 00:00", again, "++---");
}

static void clocks(void **state) {
  (void)state;
  struct hf_keep k = {.any = true, .every = {[HF_PERIOD_DAY] = 2}};
  static const char *const sane[] = {"2026-05-01 12:00", "2026-05-02 12:00", "2026-05-03 12:00", "2026-05-04 12:00"};
  check(&k, "UTC", "2026-05-04 13:00", sane, "--++");
  /* Reset to 1970 for one run: neither it nor those before suffer. */
  static const char *const reset[] = {"2026-05-01 12:00", "2026-05-02 12:00", "1970-01-01 00:01", "2026-05-03 12:00", "2026-05-04 12:00"};
  check(&k, "UTC", "2026-05-04 13:00", reset, "--+++");
  /* Ahead for one run, and put right: it takes nobody's place. */
  static const char *const ahead[] = {"2026-05-01 12:00", "2026-05-02 12:00", "2099-01-01 00:01", "2026-05-03 12:00", "2026-05-04 12:00"};
  check(&k, "UTC", "2026-05-04 13:00", ahead, "--+++");
  check(&k, "UTC", "2099-05-04 13:00", ahead, "--+++");
  /* Ahead in the last run, and put right since. */
  static const char *const last[] = {"2026-05-01 12:00", "2026-05-02 12:00", "2026-05-03 12:00", "2026-05-04 12:00", "2099-01-01 00:01"};
  check(&k, "UTC", "2026-05-04 13:00", last, "--+++");
  /* Who asks has the wrong clock: everything is in its future, and stays. */
  check(&k, "UTC", "1970-01-01 00:01", sane, "++++");
  struct hf_keep within = {.any = true, .within = 2 * DAY};
  check(&within, "UTC", "2027-05-04 13:00", sane, "-+++");
  check(&within, "UTC", "2026-05-04 13:00", last, "-++++");
}

/* Databases every hour, everything at night: each source keeps its day. */
static void not_always_the_same_sources(void **state) {
  (void)state;
  struct hf_list db = HF_LIST_INIT, all = HF_LIST_INIT;
  hf_list_add(&db, "db");
  hf_list_add(&all, "db");
  hf_list_add(&all, "files");
  struct hf_keep k = {.any = true, .every = {[HF_PERIOD_DAY] = 2}};
  static const struct { const char *time; bool all, keep; } runs[] = {{"2026-05-01 00:30", false, false}, {"2026-05-01 02:00", true, false},  {"2026-05-02 00:30", false, true}, {"2026-05-02 02:00", true, true},
                                                                      {"2026-05-02 14:00", true, false},  {"2026-05-03 00:30", false, true}, {"2026-05-03 02:00", true, true},  {"2026-05-03 03:30", false, true}};
  struct hf_retained v[HF_NELEM(runs)];
  for (size_t i = 0; i < HF_NELEM(runs); i++) v[i] = (struct hf_retained){.seq = i + 1, .time = utc(runs[i].time), .good = runs[i].all ? &all : &db};
  hf_retention(v, HF_NELEM(runs), &k, "UTC", utc("2026-05-03 12:00"));
  for (size_t i = 0; i < HF_NELEM(runs); i++) {
    if (v[i].keep != runs[i].keep) fail_msg("%s is %s", runs[i].time, v[i].keep ? "kept" : "removed");
  }
  hf_retention_free(v, HF_NELEM(runs));
  hf_list_free(&db);
  hf_list_free(&all);
}

/* Copies in part do not push out the last complete one. */
static void partial_ones(void **state) {
  (void)state;
  struct hf_list db = HF_LIST_INIT;
  hf_list_add(&db, "db");
  struct hf_keep k = {.any = true, .last = 1};
  struct hf_retained v[] = {{.seq = 1, .whole = &db}, {.seq = 2, .whole = &db}, {.seq = 3}, {.seq = 4}};
  for (size_t i = 0; i < HF_NELEM(v); i++) {
    v[i].time = utc("2026-05-01 12:00") + (int64_t)i * DAY;
    v[i].good = &db;
  }
  hf_retention(v, HF_NELEM(v), &k, "UTC", utc("2026-05-05 12:00"));
  assert_false(v[0].keep);
  assert_true(v[1].keep);
  assert_false(v[2].keep);
  assert_true(v[3].keep);
  assert_string_equal(v[1].reasons.v[0], "newest complete of source db");
  hf_retention_free(v, HF_NELEM(v));
  hf_list_free(&db);
}

static void no_rule(void **state) {
  (void)state;
  struct hf_keep k = {.any = false};
  static const char *const times[] = {"2026-05-01 12:00", "1970-05-02 12:00", "2099-05-03 12:00"};
  check(&k, NULL, "2026-05-04 13:00", times, "+++");
  hf_retention(NULL, 0, &k, NULL, 0);
  struct hf_keep last = {.any = true, .last = 2};
  hf_retention(NULL, 0, &last, NULL, 0);
  check(&last, "UTC", "2026-05-04 13:00", times, "+++"); /* two of them are not believed */
  struct hf_retained wild[2] = {{.seq = 1, .time = INT64_MIN}, {.seq = 2, .time = 1}};
  struct hf_keep within = {.any = true, .within = 10, .every = {1, 1, 1, 1, 1, 1}};
  hf_retention(wild, 2, &within, "UTC", 100);
  assert_true(wild[1].keep);
  hf_retention_free(wild, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agrees), cmocka_unit_test(never_changes_its_mind), cmocka_unit_test(calendars), cmocka_unit_test(clocks), cmocka_unit_test(not_always_the_same_sources), cmocka_unit_test(partial_ones), cmocka_unit_test(no_rule)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
