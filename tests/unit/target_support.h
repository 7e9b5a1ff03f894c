/* target_support.h - for the tests of targets that need no server: a host that keeps the last message, settings as the table has them, what a table of cases is
 * held against.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TESTS_TARGET_SUPPORT_H
#define HF_TESTS_TARGET_SUPPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/target.h>

#include "unit.h"

/* ---- the host ---- */

static char message[1024]; /* the last one */

static inline void host_log(void *ctx, int level, const char *text) {
  (void)ctx, (void)level;
  assert_non_null(text);
}

static inline void host_error(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text);
}

static inline int host_cancelled(void *ctx) {
  (void)ctx;
  return 0;
}

static const struct holdfast_host host = {.struct_size = sizeof host, .instance = "target", .log = host_log, .error = host_error, .cancelled = host_cancelled};

/* ---- settings ---- */

#define SETTINGS_MAX 64

struct settings {
  struct holdfast_value v[SETTINGS_MAX];
  const char *text[SETTINGS_MAX];
};

static inline void set(struct settings *s, int which, const char *text, int64_t n) {
  s->text[which] = text;
  s->v[which].strings = &s->text[which];
  s->v[which].count = text ? 1 : 0;
  s->v[which].number = n;
}

/* The table's defaults; those whose number is not the one they begin with are for the test to set. */
static inline struct settings *table_defaults(const struct holdfast_setting *table) {
  static struct settings s;
  memset(&s, 0, sizeof s);
  for (int i = 0; table[i].name; i++) {
    assert_true(i < SETTINGS_MAX);
    s.v[i].name = table[i].name;
    set(&s, i, table[i].def, table[i].def ? atoll(table[i].def) : 0);
  }
  return &s;
}

/* make: the status of making a target of these settings, which is let go again. This one is not to be had, and the message says why. */
static inline void settings_refused(int (*make)(const struct settings *s), struct settings *s, int which, const char *text, int64_t n, const char *says) {
  set(s, which, text, n);
  message[0] = '\0';
  assert_int_equal(make(s), HOLDFAST_E_CONFIG);
  if (!strstr(message, says)) fail_msg("%s = %s: %s", s->v[which].name, text ? text : "", message);
}

/* ---- answers ---- */

struct class_case {
  int http;
  const char *code;
  int status;
};

static inline void check_classes(int (*class_of)(int http, const char *code, const char **hint), const struct class_case *v, size_t n) {
  const char *hint;
  for (size_t i = 0; i < n; i++)
    if (class_of(v[i].http, v[i].code, &hint) != v[i].status) fail_msg("%d %s", v[i].http, v[i].code);
}

/* A page of a listing is read and freed again; 0, or 1 and what is wrong with it. */
typedef int (*page_reader)(const char *text, size_t n, char *why, size_t cap);

/* The bad ones are refused, each for its reason. The good one, however it is cut, is never taken for a shorter listing. */
static inline void check_pages(page_reader read, const char *good, const char *const bad[][2], size_t n_bad) {
  char why[200];
  for (size_t i = 0; i < n_bad; i++) {
    assert_int_equal(read(bad[i][0], strlen(bad[i][0]), why, sizeof why), 1);
    if (!strstr(why, bad[i][1])) fail_msg("%s: %s", bad[i][0], why);
  }
  for (size_t n = 0; n < strlen(good); n++) assert_int_equal(read(good, n, why, sizeof why), 1);
}

#endif
