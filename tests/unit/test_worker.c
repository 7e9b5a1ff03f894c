/* test_worker.c - sources in a process of their own: what they send, and every way they can go wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tree_support.h"

#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "plugin/worker_proto.h"

static char *folder;
static struct hf_plugin *plugin, *bare;
static struct mem_store store;

/* Where the sources lie; the tests may also be run by hand from the top folder. */
static const char *source_folder(void) {
  const char *src = getenv("SRCDIR");
  return src && *src ? src : ".";
}

static struct hf_plugin *build(const char *name, const char *define) {
  struct hf_error err = {0};
  struct hf_plugin *p = NULL;
  struct hf_buf out = HF_BUF_INIT;
  const char *cc = getenv("CC");
  char *so = hf_asprintf("%s/%s.so", folder, name);
  char *command = hf_asprintf("%s -std=gnu17 -D_GNU_SOURCE -DNAME='\"%s\"' %s -w -shared -fPIC -fvisibility=hidden -I%s/core "
                              "-I%s/core/include -o %s %s/tests/unit/worker_plugin.c",
                              cc && *cc ? cc : "cc", name, define, source_folder(), source_folder(), so, source_folder());
  char sh[] = "/bin/sh", c[] = "-c";
  char *argv[] = {sh, c, command, NULL};
  int code = -1;
  assert_int_equal(hf_run(argv, NULL, NULL, 0, NULL, &out, 60, &code, &err), 0);
  if (code != 0) fail_msg("%s", out.data ? out.data : "");
  if (hf_plugin_load(so, HF_SOURCE, &p, &err) != 0) fail_msg("%s", err.msg);
  hf_buf_free(&out);
  free(command);
  free(so);
  return p;
}

static int setup(void **state) {
  (void)state;
  char name[] = "/tmp/hf-worker-XXXXXX";
  folder = hf_strdup(mkdtemp(name));
  chmod(folder, 0755); /* another account loads the plugin from here */
  plugin = build("worker", "");
  bare = build("bare", "-DBARE");
  hf_log_threshold = HF_LOG_ERROR;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  hf_plugin_unload(plugin);
  hf_plugin_unload(bare);
  mem_store_free(&store);
  int rc = hf_remove_tree(folder, NULL);
  free(folder);
  return rc;
}

static struct hf_settings *settings_for(const char *mode, const char *text) {
  struct hf_error err = {0};
  struct hf_settings *s = hf_settings_new(plugin->head->settings);
  assert_int_equal(hf_settings_set(s, "mode", mode, 1, NULL, &err), 0);
  if (text) assert_int_equal(hf_settings_set(s, "text", text, 2, NULL, &err), 0);
  assert_int_equal(hf_settings_finish(s, &err), 0);
  return s;
}

/* One backup; the failure's text is in err. */
static int backup(const char *mode, const char *text, struct hf_worker_job *job, struct mem_run *r, const struct hf_buf *previous,
                  struct hf_tree_counts *counts, char **state, struct hf_error *err) {
  static const unsigned char key[32] = "a key for the ends of groups";
  struct hf_settings *s = settings_for(mode, text);
  struct hf_emit emit = mem_emit(r);
  struct hf_tree_counts own = {0};
  char *own_state = NULL;
  HF_CLEANUP(hf_closep) int fd = -1;
  if (previous) {
    fd = hf_memfd("previous", NULL);
    assert_int_equal(hf_write_all(fd, previous->data, previous->len, NULL), 0);
  }
  job->plugin = plugin;
  job->settings = s;
  job->instance = "things";
  *err = (struct hf_error){0};
  int rc = hf_worker_backup(job, key, fd, &emit, counts ? counts : &own, state ? state : &own_state, err);
  free(own_state);
  hf_settings_free(s);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
  return rc;
}

static void whole_backup(void **unused) {
  (void)unused;
  struct hf_worker_job job = {.timeout = 60};
  struct mem_run first, second;
  struct hf_tree_counts c = {0};
  struct hf_error err;
  struct hf_buf out = HF_BUF_INIT;
  char *state = NULL;
  mem_run_init(&first, &store, NULL);
  if (backup("fine", NULL, &job, &first, NULL, &c, &state, &err) != 0) fail_msg("%s", err.msg);
  assert_string_equal(state, "{\"position\": 42}");
  free(state);
  assert_int_equal(c.files, 99);
  assert_int_equal(c.others, 1);
  assert_int_equal(c.read, 98 * 20000 + 9000000 + 5000000);
  assert_int_equal(c.bytes, c.read);
  assert_int_equal(first.streams, 2);
  assert_int_equal(first.problems.n, 0);
  assert_true(first.ticks > 0);
  mem_stream(&store, &first.raw_recipe, &out);
  assert_int_equal(out.len, 5000000);
  hf_buf_clear(&out);
  mem_stream(&store, &first.recipe, &out);
  assert_true(out.len > 98 * 20000 + 9000000);
  hf_buf_free(&out);

  mem_run_init(&second, &store, &first.recipe);
  if (backup("fine", NULL, &job, &second, &first.recipe, &c, NULL, &err) != 0) fail_msg("%s", err.msg);
  assert_int_equal(c.reused, 99);
  assert_int_equal(c.read, 5000000);
  assert_memory_equal(second.recipe.data, first.recipe.data, first.recipe.len);
  mem_run_free(&first);
  mem_run_free(&second);
}

static void problems_arrive(void **unused) {
  (void)unused;
  struct hf_worker_job job = {0};
  struct mem_run r;
  struct hf_tree_counts c = {0};
  struct hf_error err;
  mem_run_init(&r, &store, NULL);
  assert_int_equal(backup("problems", NULL, &job, &r, NULL, &c, NULL, &err), 0);
  assert_int_equal(r.problems.n, 1);
  assert_string_equal(r.problems.v[0], "f0003: not allowed");
  assert_int_equal(r.last_status, HOLDFAST_E_AUTH);
  assert_int_equal(c.problems, 1);
  mem_run_free(&r);
  mem_run_init(&r, &store, NULL);
  assert_int_equal(backup("long path", NULL, &job, &r, NULL, &c, NULL, &err), 0);
  assert_int_equal(r.problems.n, 1);
  assert_non_null(strstr(r.problems.v[0], "ppp...: too long for a message"));
  mem_run_free(&r);
}

static void expect(const char *mode, const char *text, struct hf_worker_job job, int code, const char *words) {
  struct mem_run r;
  struct hf_error err;
  char *state = NULL;
  mem_run_init(&r, &store, NULL);
  int rc = backup(mode, text, &job, &r, NULL, NULL, &state, &err);
  if (rc != code || err.code != code || !strstr(err.msg, words))
    fail_msg("%s %s: %d, \"%s\"", mode, text ? text : "", rc, err.msg);
  assert_null(state);
  mem_run_free(&r);
}

static void failures_say_why(void **unused) {
  (void)unused;
  struct hf_worker_job job = {0};
  expect("open fails", "no \303\244 password", job, HOLDFAST_E_AUTH, "login refused: no \303\244 password");
  expect("list fails", NULL, job, HOLDFAST_E_TRANSIENT, "the list broke off");
  expect("finish fails", NULL, job, HOLDFAST_E_CORRUPT, "not consistent");
  expect("no json", NULL, job, HOLDFAST_E_FAILED, "not JSON");
  expect("big state", NULL, job, HOLDFAST_E_FAILED, "longer than 64 KiB");
}

static void ends_of_processes(void **unused) {
  (void)unused;
  struct hf_worker_job job = {0};
  expect("crash", NULL, job, HOLDFAST_E_FAILED, "crashed (signal 11");
  expect("abort", NULL, job, HOLDFAST_E_FAILED, "crashed (signal 6");
  expect("exit", NULL, job, HOLDFAST_E_FAILED, "exit code 7");
  expect("close", NULL, job, HOLDFAST_E_FAILED, "closed its connection");
  expect("greedy", NULL, job, HOLDFAST_E_FAILED, "more than 1024 MiB of memory");
  job.timeout = 1;
  double before = hf_now();
  expect("hang", NULL, job, HOLDFAST_E_TIMEOUT, "no progress for 1 s");
  assert_true(hf_now() - before < 10);
}

static void nonsense_is_not_believed(void **unused) {
  (void)unused;
  struct hf_worker_job job = {.timeout = 20};
  expect("garbage", "xyz", job, HOLDFAST_E_FAILED, "broke the protocol (not a message)");
  static const struct {
    const char *text, *what; /* text: type slot length v0 v1 */
  } cases[] = {
      {"101 6 10 0 0", "(group data)"},           {"101 0 0 0 0", "(group data)"},
      {"101 0 1048577 0 0", "(group data)"},      {"102 0 0 0 0", "(a group's end)"},
      {"103 4294967295 5 0 0", "(recipe lines)"}, {"103 5 5 0 0", "(recipe lines)"},
      {"104 0 0 0 100", "(a range of the"},       {"104 0 0 18446744073709551615 2", "(a range of the"},
      {"105 0 0 5 0", "(a chunk size)"},          {"106 0 5 0 0", "(data)"},
      {"107 0 0 0 0", "(the end of data)"},       {"109 0 0 0 0", "ended"},
      {"100 0 0 0 0", "(a stream within"},        {"111 0 20 0 0", "(state)"},
      {"202 0 0 0 0", "(a result within"},        {"77 0 0 0 0", "(an unknown message)"},
      {"2 0 0 0 0", "(an unknown message)"},      {"108 0 0 0 0", "(a doubt about data)"},
  };
  alarm(300); /* it must not keep us for ever */
  expect("deaf", NULL, job, HOLDFAST_E_FAILED, "broke the protocol (slots that it does not take back)");
  alarm(0);
  for (size_t i = 0; i < HF_NELEM(cases); i++) {
    /* A stream's end in the middle of things is one the receiver takes; the worker is then silent. */
    if (strncmp(cases[i].text, "109", 3) == 0) {
      struct hf_worker_job soon = {.timeout = 1};
      expect("forge", cases[i].text, soon, HOLDFAST_E_TIMEOUT, cases[i].what);
    } else if (strncmp(cases[i].text, "108", 3) == 0) {
      struct hf_worker_job soon = {.timeout = 1}; /* there was a large file: to doubt it is allowed */
      expect("forge", cases[i].text, soon, HOLDFAST_E_TIMEOUT, "no progress");
    } else {
      expect("forge", cases[i].text, job, HOLDFAST_E_FAILED, cases[i].what);
    }
  }
}

static volatile int cancel;

static int cancel_begin(void *ctx, const char *name, const char *format, uint64_t hint) {
  (void)ctx, (void)name, (void)format, (void)hint;
  cancel = 1;
  return 0;
}

static void cancelled(void **unused) {
  (void)unused;
  static const unsigned char key[32] = "k";
  struct hf_settings *s = settings_for("hang", NULL);
  struct hf_worker_job job = {.plugin = plugin, .settings = s, .instance = "things", .cancel = &cancel};
  struct mem_run r;
  struct hf_tree_counts c;
  struct hf_error err = {0};
  char *state = NULL;
  mem_run_init(&r, &store, NULL);
  struct hf_emit emit = mem_emit(&r);
  emit.stream_begin = cancel_begin;
  assert_int_equal(hf_worker_backup(&job, key, -1, &emit, &c, &state, &err), HOLDFAST_E_CANCELED);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  mem_run_free(&r);
  hf_settings_free(s);
}

static void receiver_says_no(void **unused) {
  (void)unused;
  struct hf_worker_job job = {0};
  for (int at = 1; at < 40; at += 4) {
    struct mem_run r;
    struct hf_error err;
    mem_run_init(&r, &store, NULL);
    r.fail_at = at;
    assert_int_equal(backup("fine", NULL, &job, &r, NULL, NULL, NULL, &err), HOLDFAST_E_NO_SPACE);
    assert_int_equal(err.code, HOLDFAST_E_NO_SPACE);
    mem_run_free(&r);
  }
}

/* What the plugin left running in its group goes with it. */
static void daemons_are_ended(void **unused) {
  (void)unused;
  struct hf_worker_job job = {0};
  struct mem_run r;
  struct hf_error err;
  double before = hf_now();
  mem_run_init(&r, &store, NULL);
  assert_int_equal(backup("daemon", NULL, &job, &r, NULL, NULL, NULL, &err), 0);
  assert_true(hf_now() - before < 8);
  mem_run_free(&r);
}

static void another_account(void **unused) {
  (void)unused;
  struct hf_worker_job job = {.user = "no-such-account-here"};
  struct mem_run r;
  struct hf_error err;
  expect("who", NULL, job, HOLDFAST_E_CONFIG, "there is no such account");
  struct passwd *nobody = getpwnam("nobody");
  if (!nobody || nobody->pw_uid == geteuid()) return;
  unsigned uid = nobody->pw_uid, gid = nobody->pw_gid;
  job.user = "nobody";
  if (geteuid() != 0) {
    expect("who", NULL, job, HOLDFAST_E_CONFIG, "only root");
    return;
  }
  mem_run_init(&r, &store, NULL);
  if (backup("who", NULL, &job, &r, NULL, NULL, NULL, &err) != 0) fail_msg("%s", err.msg);
  char *want = hf_asprintf("who: uid %u euid %u gid %u home ", uid, uid, gid);
  assert_int_equal(r.problems.n, 1);
  assert_memory_equal(r.problems.v[0], want, strlen(want));
  free(want);
  mem_run_free(&r);
}

static void probe_and_verify(void **unused) {
  (void)unused;
  struct hf_error err = {0};
  struct hf_settings *good = settings_for("fine", "hello"), *bad = settings_for("fail", "there"),
                     *dead = settings_for("crash", NULL);
  struct hf_worker_job job = {.plugin = plugin, .settings = good, .instance = "things"};
  char *message = NULL;
  assert_int_equal(hf_worker_probe(&job, &message, &err), 0);
  assert_string_equal(message, "server of version 1: hello");
  free(message);
  job.settings = bad;
  assert_int_equal(hf_worker_probe(&job, &message, &err), HOLDFAST_E_NOT_FOUND);
  assert_string_equal(message, "no such server: there");
  assert_string_equal(err.msg, "no such server: there");
  free(message);
  job.settings = dead;
  assert_int_equal(hf_worker_probe(&job, &message, &err), HOLDFAST_E_FAILED);
  assert_non_null(strstr(err.msg, "signal 11"));
  assert_null(message);
  job.settings = good;
  assert_int_equal(hf_worker_verify(&job, "/some/\377where", "{}", &message, &err), 0);
  assert_string_equal(message, "/some/\377where with {}");
  free(message);
  assert_int_equal(hf_worker_verify(&job, "/d", "[]", &message, &err), HOLDFAST_E_CORRUPT);
  free(message);
  job.plugin = bare;
  assert_int_equal(hf_worker_probe(&job, &message, &err), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(hf_worker_verify(&job, "/d", "", &message, &err), HOLDFAST_E_UNSUPPORTED);
  hf_settings_free(good);
  hf_settings_free(bad);
  hf_settings_free(dead);
}

static struct hf_worker_restore *open_restore(const char *mode, struct hf_settings **s) {
  struct hf_error err = {0};
  struct hf_worker_restore *r = NULL;
  *s = settings_for(mode, NULL);
  struct hf_worker_job job = {.plugin = plugin, .settings = *s, .instance = "things"};
  if (hf_worker_restore_open(&job, HOLDFAST_RESTORE_TO_DIR, folder, "{}", &r, &err) != 0) fail_msg("%s", err.msg);
  return r;
}

static void restore_whole(void **unused) {
  (void)unused;
  struct hf_error err = {0};
  struct hf_settings *s;
  struct hf_worker_restore *r = open_restore("fine", &s);
  struct hf_buf back = HF_BUF_INIT;
  char *dir = NULL, *want = hf_asprintf("%s/tree", folder), *file = hf_asprintf("%s/dump", folder);
  size_t n = 20000001;
  char *data = hf_alloc(n);
  for (size_t i = 0; i < n; i++) data[i] = (char)(i * 7 >> 3);
  assert_int_equal(hf_worker_restore_tree(r, "tree", &dir, &err), 0);
  assert_string_equal(dir, want);
  assert_int_equal(hf_worker_restore_begin(r, "dump", n, &err), 0);
  for (size_t at = 0, part = 1; at < n; at += part, part = HF_MIN(part * 3, n - at))
    assert_int_equal(hf_worker_restore_write(r, data + at, part, &err), 0);
  assert_int_equal(hf_worker_restore_end(r, &err), 0);
  assert_int_equal(hf_worker_restore_finish(r, true, &err), 0);
  hf_worker_restore_close(r);
  assert_int_equal(hf_read_file(file, 30000000, &back, &err), 0);
  assert_int_equal(back.len, n);
  assert_memory_equal(back.data, data, n);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  hf_buf_free(&back);
  hf_settings_free(s);
  free(dir);
  free(want);
  free(file);
  free(data);
}

static void restore_failures(void **unused) {
  (void)unused;
  struct hf_error err = {0};
  struct hf_settings *s = settings_for("open fails", NULL);
  struct hf_worker_job job = {.plugin = plugin, .settings = s, .instance = "things"};
  struct hf_worker_restore *r = NULL;
  char *dir = NULL;
  static char data[4000000];
  assert_int_equal(hf_worker_restore_open(&job, HOLDFAST_RESTORE_IN_PLACE, NULL, "{1}", &r, &err), HOLDFAST_E_CONFIG);
  assert_string_equal(err.msg, "mode 2, state {1}");
  hf_settings_free(s);

  r = open_restore("full", &s);
  assert_int_equal(hf_worker_restore_begin(r, "dump", sizeof data, &err), 0);
  int rc = hf_worker_restore_write(r, data, sizeof data, &err);
  if (rc == 0) rc = hf_worker_restore_end(r, &err);
  assert_int_equal(rc, HOLDFAST_E_NO_SPACE);
  assert_string_equal(err.msg, "the disk is full");
  assert_int_equal(hf_worker_restore_finish(r, false, &err), HOLDFAST_E_FAILED);
  assert_string_equal(err.msg, "left as it was");
  hf_worker_restore_close(r);
  hf_settings_free(s);

  r = open_restore("crash", &s);
  assert_int_equal(hf_worker_restore_begin(r, "dump", sizeof data, &err), 0);
  rc = hf_worker_restore_write(r, data, sizeof data, &err);
  if (rc == 0) rc = hf_worker_restore_end(r, &err);
  assert_int_equal(rc, HOLDFAST_E_FAILED);
  assert_non_null(strstr(err.msg, "signal 11"));
  assert_int_equal(hf_worker_restore_write(r, data, 10, &err), HOLDFAST_E_FAILED);
  assert_int_equal(hf_worker_restore_finish(r, false, &err), HOLDFAST_E_FAILED);
  hf_worker_restore_close(r);
  hf_settings_free(s);

  r = open_restore("relative", &s);
  assert_int_equal(hf_worker_restore_tree(r, "tree", &dir, &err), HOLDFAST_E_FAILED);
  assert_non_null(strstr(err.msg, "no absolute path"));
  hf_worker_restore_close(r);

  job.plugin = bare;
  job.settings = s;
  assert_int_equal(hf_worker_restore_open(&job, HOLDFAST_RESTORE_TO_DIR, folder, "", &r, &err), 0);
  assert_int_equal(hf_worker_restore_tree(r, "tree", &dir, &err), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(hf_worker_restore_write(r, data, 10, &err), HOLDFAST_E_UNSUPPORTED);
  assert_int_equal(hf_worker_restore_finish(r, true, &err), 0);
  hf_worker_restore_close(r);
  hf_worker_restore_close(NULL);
  hf_settings_free(s);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(int argc, char **argv) {
  hf_worker_main_if(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_backup),
      cmocka_unit_test(problems_arrive),
      cmocka_unit_test(failures_say_why),
      cmocka_unit_test(ends_of_processes),
      cmocka_unit_test(nonsense_is_not_believed),
      cmocka_unit_test(cancelled),
      cmocka_unit_test(receiver_says_no),
      cmocka_unit_test(daemons_are_ended),
      cmocka_unit_test(another_account),
      cmocka_unit_test(probe_and_verify),
      cmocka_unit_test(restore_whole),
      cmocka_unit_test(restore_failures),
  };
  return cmocka_run_group_tests_name("worker", tests, setup, teardown);
}
