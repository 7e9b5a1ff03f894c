/* test_notify.c - thresholds, when an alarm is due, templates and the forms of messages.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <syslog.h>

#include "base/io.h"
#include "engine/status.h"
#include "manifest/internal.h"
#include "notify/internal.h"

static json_t *facts(const char *text) {
  json_t *f = json_loads(text, 0, NULL);
  assert_non_null(f);
  return f;
}

#define RUN                                                                                                                                          \
  "{\"event\":\"failure\",\"status\":\"failed\",\"severity\":\"critical\",\"host\":\"web1\",\"verb\":\"backup\",\"run\":7,\"subject\":\"[holdfast web1] backup FAILED\"," \
  "\"time\":\"2026-11-28T05:00:00Z\",\"seconds\":1.5,\"exit\":1,\"error\":\"no \\\"space\\\" | left\",\"sources\":[{\"name\":\"db\",\"status\":\"failed\",\"error\":\"gone\",\"bytes_read\":10}," \
  "{\"name\":\"web\",\"status\":\"complete\",\"error\":null,\"bytes_read\":2048}],\"targets\":[{\"name\":\"disk\",\"committed\":false,\"error\":\"full\"}],\"said\":[\"error: one\"]}"

/* ---- thresholds ---- */

static void rpo(void **state) {
  (void)state;
  assert_int_equal(hf_rpo_stand(0, 0), HF_STAND_OK);
  assert_int_equal(hf_rpo_stand(-1, 0), HF_STAND_OK); /* not watched */
  assert_int_equal(hf_rpo_stand(-1, 86400), HF_STAND_CRITICAL);
  assert_int_equal(hf_rpo_stand(71999, 86400), HF_STAND_OK);
  assert_int_equal(hf_rpo_stand(72000, 86400), HF_STAND_WARNING);
  assert_int_equal(hf_rpo_stand(86400, 86400), HF_STAND_WARNING);
  assert_int_equal(hf_rpo_stand(86401, 86400), HF_STAND_CRITICAL);
  assert_int_equal(hf_rpo_stand(1, 1), HF_STAND_WARNING);
  assert_int_equal(hf_rpo_stand(INT64_MAX - 1, INT64_MAX), HF_STAND_WARNING);
}

static void disk(void **state) {
  (void)state;
  assert_int_equal(hf_disk_stand(0, 0), HF_STAND_OK); /* does not tell */
  assert_int_equal(hf_disk_stand(201, 1000), HF_STAND_OK);
  assert_int_equal(hf_disk_stand(200, 1000), HF_STAND_WARNING);
  assert_int_equal(hf_disk_stand(101, 1000), HF_STAND_WARNING);
  assert_int_equal(hf_disk_stand(100, 1000), HF_STAND_CRITICAL);
  assert_int_equal(hf_disk_stand(0, 1000), HF_STAND_CRITICAL);
  assert_int_equal(hf_disk_stand(2000, 1000), HF_STAND_OK); /* a quota's oddity */
  assert_int_equal(hf_disk_stand(UINT64_MAX / 4, UINT64_MAX), HF_STAND_OK);
}

static void expiry(void **state) {
  (void)state;
  assert_int_equal(hf_expiry_stand(0, 1000), HF_STAND_OK);
  assert_int_equal(hf_expiry_stand(1000, 1000), HF_STAND_CRITICAL);
  assert_int_equal(hf_expiry_stand(1001, 1000), HF_STAND_WARNING);
  assert_int_equal(hf_expiry_stand(1000 + 30 * 86400 - 1, 1000), HF_STAND_WARNING);
  assert_int_equal(hf_expiry_stand(1000 + 30 * 86400, 1000), HF_STAND_OK);
}

/* ---- when an alarm is told ---- */

static void due(void **state) {
  (void)state;
  assert_int_equal(hf_alarm_due(HF_STAND_OK, -1, 0, 1000, 60), HF_DUE_NOT);
  assert_int_equal(hf_alarm_due(HF_STAND_WARNING, -1, 0, 1000, 60), HF_DUE_NEW);
  assert_int_equal(hf_alarm_due(HF_STAND_WARNING, HF_STAND_WARNING, 1000, 1059, 60), HF_DUE_NOT);
  assert_int_equal(hf_alarm_due(HF_STAND_WARNING, HF_STAND_WARNING, 1000, 1060, 60), HF_DUE_AGAIN);
  assert_int_equal(hf_alarm_due(HF_STAND_CRITICAL, HF_STAND_WARNING, 1000, 1001, 60), HF_DUE_NEW);
  assert_int_equal(hf_alarm_due(HF_STAND_WARNING, HF_STAND_CRITICAL, 1000, 1001, 60), HF_DUE_NEW);
  assert_int_equal(hf_alarm_due(HF_STAND_OK, HF_STAND_WARNING, 1000, 1001, 60), HF_DUE_OVER);
  assert_int_equal(hf_alarm_due(HF_STAND_UNKNOWN, HF_STAND_WARNING, 1000, 9999, 60), HF_DUE_NOT);
  assert_int_equal(hf_alarm_due(HF_STAND_WARNING, HF_STAND_WARNING, 1000, 1000, 0), HF_DUE_AGAIN);
  assert_int_equal(hf_alarm_due(HF_STAND_WARNING, HF_STAND_WARNING, 1000, 999, 60), HF_DUE_AGAIN); /* the clock was set back */
}

/* ---- templates ---- */

static void filled(const char *template, const char *type, const char *wanted) {
  json_t *f = facts(RUN);
  struct hf_notice x = {.facts = f};
  struct hf_buf b = HF_BUF_INIT;
  struct hf_error e = {0};
  if (hf_webhook_format(&x, template, type, &b, &e) < 0) fail_msg("%s", e.msg);
  assert_string_equal(b.data ? b.data : "", wanted);
  hf_buf_free(&b);
  json_decref(f);
}

static void templates(void **state) {
  (void)state;
  filled("{\"text\":\"${verb} ${run}: ${status}\"}", "application/json", "{\"text\":\"backup 7: failed\"}");
  filled("cost $$5 $x ${seconds} ${exit} [${snapshot}]", "text/plain", "cost $5 $x 1.500 1 []");
  filled("a=${subject}", "application/x-www-form-urlencoded", "a=%5Bholdfast%20web1%5D%20backup%20FAILED");
  filled("a=${subject}", "application/x-www-form-urlencoded; charset=utf-8", "a=%5Bholdfast%20web1%5D%20backup%20FAILED");
  json_t *f = facts("{\"subject\":\"a \\\"b\\\"\\n\\u00e4\"}");
  struct hf_notice x = {.facts = f};
  struct hf_buf b = HF_BUF_INIT;
  struct hf_error e = {0};
  assert_int_equal(hf_webhook_format(&x, "\"${subject}\"", "application/json", &b, &e), 0);
  assert_string_equal(b.data, "\"a \\\"b\\\"\\n\xc3\xa4\"");
  hf_buf_clear(&b);
  /* Without one the facts go, and they go as they are. */
  assert_int_equal(hf_webhook_format(&x, NULL, "application/json", &b, &e), 0);
  json_t *back = facts(b.data);
  assert_true(json_equal(back, f));
  json_decref(back);
  hf_buf_clear(&b);
  assert_int_equal(hf_webhook_format(&x, "${nonsense}", "text/plain", &b, &e), HOLDFAST_E_CONFIG);
  assert_string_equal(e.msg, "there is no placeholder ${nonsense}; a dollar sign itself is written $$");
  assert_int_equal(hf_webhook_format(&x, "${subject", "text/plain", &b, &e), HOLDFAST_E_CONFIG);
  /* Every placeholder that the manifest allows is filled. */
  for (const char *const *p = hf_notify_placeholders; *p; p++) assert_true(hf_notice_value(&x, *p, &b));
  hf_buf_free(&b);
  json_decref(f);
}

/* ---- forms ---- */

static void text(void **state) {
  (void)state;
  json_t *f = facts(RUN);
  struct hf_buf b = HF_BUF_INIT;
  hf_notice_text(f, &b);
  assert_true(strncmp(b.data, "[holdfast web1] backup FAILED\n\nhost      web1\nrun       7\n", 50) == 0);
  assert_non_null(strstr(b.data, "\nerror     no \"space\" | left\n"));
  assert_non_null(strstr(b.data, "\nSources:\n  db           failed: gone; bytes_read 10 B\n  web          complete; bytes_read 2.0 KiB\n"));
  assert_non_null(strstr(b.data, "\nTargets:\n  disk         not committed: full\n"));
  assert_non_null(strstr(b.data, "\nWhat was said:\n  error: one\n"));
  json_decref(f);
  /* A message has a bound, and a control character does not reach a terminal. */
  f = facts("{\"subject\":\"\\u001b[2J\"}");
  json_t *rows = json_array();
  for (int i = 0; i < 2000; i++) json_array_append_new(rows, json_pack("{s:s, s:s}", "name", "x", "status", "complete"));
  json_object_set_new(f, "sources", rows);
  hf_buf_clear(&b);
  hf_notice_text(f, &b);
  assert_null(strchr(b.data, 0x1b));
  assert_true(b.len < 17000);
  assert_non_null(strstr(b.data, "[cut here"));
  hf_buf_free(&b);
  json_decref(f);
}

static void syslog_form(void **state) {
  (void)state;
  json_t *f = facts(RUN);
  struct hf_notice x = {.facts = f};
  struct hf_buf b = HF_BUF_INIT;
  hf_syslog_format(&x, LOG_DAEMON, 42, &b);
  assert_string_equal(b.data, "<26>1 2026-11-28T05:00:00Z web1 holdfast 42 failure [holdfast@32473 event=\"failure\" status=\"failed\" severity=\"critical\" host=\"web1\" verb=\"backup\" run=\"7\" seconds=\"1.500\" exit=\"1\"]"
                              " [holdfast web1] backup FAILED: no \"space\" | left");
  json_object_set_new(f, "verb", json_string("a]\"\\b"));
  hf_buf_clear(&b);
  hf_syslog_format(&x, LOG_DAEMON, 42, &b);
  assert_non_null(strstr(b.data, " verb=\"a\\]\\\"\\\\b\" "));
  char *longer = memset(hf_alloc(20001), 'x', 20000);
  json_object_set_new(f, "error", json_string(longer));
  free(longer);
  hf_buf_clear(&b);
  hf_syslog_format(&x, LOG_DAEMON, 42, &b);
  assert_int_equal(b.len, 8192);
  hf_buf_free(&b);
  json_decref(f);
}

static void journald_form(void **state) {
  (void)state;
  json_t *f = facts(RUN);
  struct hf_notice x = {.facts = f};
  struct hf_buf b = HF_BUF_INIT;
  hf_journald_format(&x, false, &b);
  assert_non_null(strstr(b.data, "MESSAGE=[holdfast web1] backup FAILED\n"));
  assert_non_null(strstr(b.data, "\nPRIORITY=2\n"));
  assert_non_null(strstr(b.data, "\nHOLDFAST_VERB=backup\n"));
  assert_null(strstr(b.data, "HOLDFAST_SNAPSHOT"));
  hf_buf_clear(&b);
  hf_journald_format(&x, true, &b);
  /* Several lines go with their length, little-endian. */
  assert_memory_equal(b.data, "MESSAGE\n", 8);
  uint64_t n = 0;
  for (int i = 7; i >= 0; i--) n = n << 8 | (unsigned char)b.data[8 + i];
  assert_memory_equal(b.data + 16, "[holdfast web1] backup FAILED\n", 30);
  assert_memory_equal(b.data + 16 + n, "\nMESSAGE_ID=", 12);
  hf_buf_free(&b);
  json_decref(f);
}

static void statsd(const char *text_of_facts, const char *prefix, const char *wanted) {
  json_t *f = facts(text_of_facts);
  struct hf_notice x = {.facts = f};
  struct hf_buf b = HF_BUF_INIT;
  hf_statsd_format(&x, prefix, &b);
  assert_string_equal(b.data ? b.data : "", wanted);
  hf_buf_free(&b);
  json_decref(f);
}

static void statsd_form(void **state) {
  (void)state;
  statsd(RUN, NULL, "backup_failure:1|c\nbackup_duration:1500|ms\nbackup_bytes_read:2058|g");
  statsd("{\"verb\":\"backup\",\"status\":\"success\",\"seconds\":0.0004}", "web1.", "web1.backup_success:1|c\nweb1.backup_duration:0|ms");
  statsd("{\"verb\":\"sync\",\"status\":\"partial\",\"seconds\":2}", NULL, "sync_partial:1|c\nsync_duration:2000|ms");
  statsd("{\"status\":\"critical\",\"alarms\":[{\"event\":\"rpo-critical\",\"verdict\":\"CRITICAL\"},{\"event\":\"disk\",\"verdict\":\"OK\"}]}", NULL, "alarm_rpo_critical:1|c\nalarm_disk_over:1|c");
  statsd("{\"status\":\"test\"}", "p.", "p.test:1|c");
}

static void header(void **state) {
  (void)state;
  char *h = hf_email_header("a\r\nBcc: x@example.com \xc3\xa4");
  assert_string_equal(h, "a??Bcc: x@example.com ??");
  free(h);
  char *longer = memset(hf_alloc(1001), 'x', 1000);
  h = hf_email_header(longer);
  assert_int_equal(strlen(h), 200);
  free(h);
  free(longer);
}

/* ---- the status for machines ---- */

static void nagios(void **state) {
  (void)state;
  struct hf_status_source s = {.name = "db", .age = 30, .rpo = 86400};
  struct hf_status_target t = {.name = "disk", .age = 40, .level = 99.9, .total = 1000, .free_bytes = 250};
  struct hf_status st = {.sources = &s, .n_sources = 1, .targets = &t, .n_targets = 1, .drill = {.seconds = -1}};
  struct hf_buf b = HF_BUF_INIT;
  hf_status_line(&st, &b);
  assert_string_equal(b.data, "HOLDFAST OK - 1 source at 1 target, no copy older than 30.0 s");
  hf_buf_clear(&b);
  hf_status_perfdata(&st, &b);
  assert_string_equal(b.data, "age_source_db=30s;72000;86400;0 age_target_disk=40s level_disk=99.9%;100:;;0;100 used_disk=75.0%;80;90;0;100");
  struct hf_finding f[] = {{.what = "drill", .name = (char *)"", .stand = HF_STAND_WARNING, .text = (char *)"slow"},
                           {.what = "source", .name = (char *)"db", .stand = HF_STAND_CRITICAL, .text = (char *)"old | older"},
                           {.what = "source", .name = (char *)"web", .stand = HF_STAND_OK, .text = (char *)"fine"}};
  st.findings.v = f;
  st.findings.n = 3;
  st.worst = HF_STAND_CRITICAL;
  hf_buf_clear(&b);
  hf_status_line(&st, &b);
  assert_string_equal(b.data, "HOLDFAST CRITICAL - source db: old / older (and 1 more)");
  hf_buf_free(&b);
}

static void metrics(void **state) {
  (void)state;
  struct hf_status_key k = {.spec = "a\"b\\c\nd", .expires = 1795844918};
  struct hf_status st = {.keys = &k, .n_keys = 1, .drill = {.seconds = -1}};
  struct hf_buf b = HF_BUF_INIT;
  hf_status_metrics(&st, "web1", &b);
  assert_non_null(strstr(b.data, "\n# TYPE holdfast_status gauge\nholdfast_status{host=\"web1\"} 0\n"));
  assert_non_null(strstr(b.data, "\nholdfast_recipient_expiry_timestamp_seconds{host=\"web1\",recipient=\"a\\\"b\\\\c\\nd\"} 1795844918\n"));
  hf_buf_free(&b);
}

/* The manual page and the tables of the types name the same keys. */
static void manual_agrees(void **state) {
  (void)state;
  const char *src = getenv("SRCDIR");
  char *path = hf_path_join(src && *src ? src : ".", "man/holdfast-notify.7");
  struct hf_buf page = HF_BUF_INIT;
  struct hf_error err;
  if (hf_read_file(path, HF_MIB, &page, &err) < 0) fail_msg("%s", err.msg);
  for (int type = 0; type < HF_CHANNELS; type++) {
    char *head = hf_asprintf(".Ss The type %s\n", hf_channel_names[type]);
    char *at = strstr(page.data, head), *end = at ? strstr(at + 1, "\n.S") : NULL;
    assert_non_null(end);
    const struct holdfast_setting *row = hf_channel_keys((enum hf_channel)type);
    size_t n = 0, listed = 0;
    for (; row->name; row++, n++) {
      char *item = hf_asprintf("\n.It Ic %s Li = ", row->name), *found = strstr(at, item);
      if (!found || found > end) fail_msg("%s: %s is not in the page", hf_channel_names[type], row->name);
      free(item);
    }
    for (char *p = at; (p = strstr(p + 1, "\n.It Ic ")) && p < end;) listed++;
    assert_int_equal(listed, n);
    free(head);
  }
  for (int i = 0; i < HF_EVENTS; i++) assert_non_null(strstr(page.data, hf_event_names[i]));
  for (const char *const *p = hf_notify_placeholders; *p; p++) {
    char *shown = hf_asprintf("${%s}", *p);
    assert_non_null(strstr(page.data, shown));
    free(shown);
  }
  hf_buf_free(&page);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rpo),           cmocka_unit_test(disk),        cmocka_unit_test(expiry),  cmocka_unit_test(due),     cmocka_unit_test(templates),
                                     cmocka_unit_test(text),          cmocka_unit_test(syslog_form), cmocka_unit_test(header),  cmocka_unit_test(nagios),  cmocka_unit_test(metrics),
                                     cmocka_unit_test(journald_form), cmocka_unit_test(statsd_form), cmocka_unit_test(manual_agrees)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
