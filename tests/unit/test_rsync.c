/* test_rsync.c - the rsync target's judgement: settings, command lines, listings, and what a run's end means.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rsync.h"
#include "unit.h"

static char message[1000];

static void host_error(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text);
}
static void host_log(void *ctx, int level, const char *text) {
  (void)ctx;
  (void)level;
  (void)text;
}
static int host_cancelled(void *ctx) {
  (void)ctx;
  return 0;
}
static const struct holdfast_host host = {.struct_size = sizeof host, .log = host_log, .error = host_error, .cancelled = host_cancelled};

/* ---- the end of a run ---- */

static const struct {
  int code;
  const char *words;
  int status;
  const char *line, *hint; /* parts of them; NULL: no hint */
} ends[] = {
    {5, "@ERROR: auth failed on module main\nrsync error: error starting client-server protocol (code 5) at main.c(1954) [sender=3.5.0]\n", HOLDFAST_E_AUTH,
     "auth failed on module main", "secrets file"},
    {5, "@ERROR: Unknown module 'nosuch'\nrsync error: error starting client-server protocol (code 5)\n", HOLDFAST_E_NOT_FOUND, "Unknown module", "module"},
    {5, "@ERROR: max connections (4) reached -- try again later\n", HOLDFAST_E_TRANSIENT, "try again", NULL},
    {255, "Host key verification failed.\r\nrsync: connection unexpectedly closed (0 bytes received so far) [sender]\n", HOLDFAST_E_AUTH,
     "Host key verification failed.", "known-hosts"},
    {255, "No ED25519 host key is known for [127.0.0.1]:22 and you have requested strict checking.\r\nHost key verification failed.\r\n", HOLDFAST_E_AUTH,
     "No ED25519", "known-hosts"},
    {12, "bk@127.0.0.1: Permission denied (publickey).\r\nrsync: connection unexpectedly closed (0 bytes received so far) [sender]\n", HOLDFAST_E_AUTH,
     "(publickey)", "identity-file"},
    {12, "ssh: connect to host 127.0.0.1 port 9: Connection refused\r\nrsync: connection unexpectedly closed\n", HOLDFAST_E_TRANSIENT, "Connection refused",
     NULL},
    {255, "ssh: Could not resolve hostname nowhere.invalid: Name or service not known\r\n", HOLDFAST_E_NOT_FOUND, "nowhere.invalid", "host"},
    {255, "ssh: Could not resolve hostname x: Temporary failure in name resolution\r\n", HOLDFAST_E_TRANSIENT, "Temporary", NULL},
    {10, "rsync: [sender] failed to connect to 127.0.0.1 (127.0.0.1): Connection refused (111)\nrsync error: error in socket IO (code 10)\n",
     HOLDFAST_E_TRANSIENT, "refused (111)", NULL},
    {11, "rsync: [receiver] write failed on \"/big\" (in m): No space left on device (28)\nrsync: [sender] read error: Connection reset by peer (104)\n",
     HOLDFAST_E_NO_SPACE, "No space left", NULL},
    {12, "rsync: [sender] write error: Broken pipe (32)\nrsync: [receiver] close failed on \"/x\": Disk quota exceeded (122)\n", HOLDFAST_E_NO_SPACE, "quota",
     NULL},
    {23, "rsync: [sender] link_stat \"/x\" (in m) failed: No such file or directory (2)\nrsync: [Receiver] read error: Connection reset by peer (104)\n",
     HOLDFAST_E_NOT_FOUND, "link_stat", NULL},
    {23, "rsync: [sender] opendir \"b\" (in m) failed: Permission denied (13)\n", HOLDFAST_E_AUTH, "opendir", NULL},
    {12, "/usr/bin/rrsync error: option --delete-missing-args has been disabled on this server.\nrsync: connection unexpectedly closed\n", HOLDFAST_E_AUTH,
     "disabled", "-no-del"},
    {12, "/usr/bin/rrsync error: Another instance of rrsync is already accessing this directory.\n", HOLDFAST_E_TRANSIENT, "Another instance", "-no-lock"},
    {1, "ERROR: module is read only\nrsync error: syntax or usage error (code 1)\n", HOLDFAST_E_AUTH, "read only", "written"},
    {127, "bash: line 1: /no/rsync: No such file or directory\nrsync error: remote command not found (code 127)\n", HOLDFAST_E_CONFIG, "/no/rsync",
     "missing"},
    {2, "protocol version mismatch -- is your shell clean?\n", HOLDFAST_E_CONFIG, "mismatch", "prints something"},
    {30, "rsync error: timeout in data send/receive (code 30) at io.c(197) [sender=3.5.0]\n", HOLDFAST_E_TRANSIENT, "timeout", NULL},
    {12, "rsync error: error in rsync protocol data stream (code 12) at io.c(285)\n", HOLDFAST_E_TRANSIENT, "data stream", NULL},
    {23, "a word of nobody's\nrsync error: some files/attrs were not transferred (code 23)\n", HOLDFAST_E_FAILED, "a word of nobody's", NULL},
    {137, "", HOLDFAST_E_TRANSIENT, "signal 9", NULL},
    {3, "", HOLDFAST_E_FAILED, "exit code 3", NULL},
    {255, "\x1b[31mred\xff\n", HOLDFAST_E_TRANSIENT, "?[31mred?", NULL},
};

static void verdicts(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    struct hf_rsync_verdict v;
    hf_rsync_classify(ends[i].code, ends[i].words, &v);
    if (v.status != ends[i].status || !strstr(v.line, ends[i].line) || (ends[i].hint ? !v.hint || !strstr(v.hint, ends[i].hint) : v.hint != NULL))
      fail_msg("%d %s: %d, \"%s\", %s", ends[i].code, ends[i].words, v.status, v.line, v.hint ? v.hint : "no hint");
    assert_null(strpbrk(v.line, "\r\n"));
  }
}

static void long_line(void **state) {
  static char words[5000];
  struct hf_rsync_verdict v;
  (void)state;
  memset(words, 'x', sizeof words - 1);
  hf_rsync_classify(23, words, &v);
  assert_int_equal(strlen(v.line), sizeof v.line - 1);
}

/* ---- listings ---- */

static void good_lines(void **state) {
  struct hf_rsync_entry e;
  char plain[] = "-rw-------           2 1970/01/02 00:00:05 .holdfast-target\n", commas[] = "-rw-r--r--   1,234,567 2026/11/20 13:12:53 a/b c\n",
       link[] = "lrwxrwxrwx           4 2026/11/20 13:12:52 a/link -> /etc", dots[] = "drwxr-xr-x+      4.096 2026/11/20 13:12:52 ./a";
  (void)state;
  assert_true(hf_rsync_parse(plain, &e));
  assert_int_equal(e.type, '-');
  assert_int_equal(e.size, 2);
  assert_int_equal(e.mtime, 86405);
  assert_string_equal(e.name, ".holdfast-target");
  assert_true(hf_rsync_parse(commas, &e));
  assert_int_equal(e.size, 1234567);
  assert_string_equal(e.name, "a/b c");
  assert_true(hf_rsync_parse(link, &e));
  assert_int_equal(e.type, 'l');
  assert_string_equal(e.name, "a/link");
  assert_true(hf_rsync_parse(dots, &e));
  assert_int_equal(e.size, 4096);
  assert_string_equal(e.name, "a");
}

static void bad_lines(void **state) {
  static const char *const wrong[] = {"",
                                      "\n",
                                      "created directory x",
                                      "-rw",
                                      "-rw-------",
                                      "-rw------- x 2026/11/20 13:12:53 a",
                                      "-rw------- 1 2026/11/20 13:12:53 ",
                                      "-rw------- 1 2026/11/20 13:12 a",
                                      "-rw------- 1 26/11/20 13:12:53 a",
                                      "-rw------- 18446744073709551616 2026/11/20 13:12:53 a",
                                      "?rw------- 1 2026/11/20 13:12:53 a",
                                      "-rw-------            ",
                                      "drwx------ 1 2026/11/20 13:12:53 ./"};
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct hf_rsync_entry e;
    char line[200];
    snprintf(line, sizeof line, "%s", wrong[i]);
    if (hf_rsync_parse(line, &e)) fail_msg("taken: %s", wrong[i]);
  }
}

static void names(void **state) {
  static const char *const keys[] = {
      "a", "web1/packs/3f/x.tar.zst.gpg", "k/.hidden", "k/-dash", "k/...", "k/a..b", ".x.abcde", ".x.abcdefg", "x.abcdef", ".x.abc-ef", "..abcdef"};
  static const char *const none[] = {"",
                                     "/a",
                                     "a/",
                                     "a//b",
                                     ".",
                                     "..",
                                     "a/../b",
                                     "a b",
                                     "a\n",
                                     ".holdfast-target",
                                     "a/.holdfast-target",
                                     "a/.holdfast-partial/b",
                                     ".x.abcdef",
                                     "a/.x.tar.gpg.A1b2C3/c"};
  static const char *const left[] = {".x.abcdef", "web1/.holdfast-partial/x", "a/b/.x.tar.A1b2C3", ".holdfast-partial/.x.abcdef"};
  (void)state;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!hf_rsync_key_ok(keys[i]) || hf_rsync_is_leftover(keys[i])) fail_msg("%s is a key", keys[i]);
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    if (hf_rsync_key_ok(none[i])) fail_msg("\"%s\" is no key", none[i]);
  for (size_t i = 0; i < sizeof left / sizeof *left; i++)
    if (!hf_rsync_is_leftover(left[i])) fail_msg("%s was left by a cut transfer", left[i]);
  assert_false(hf_rsync_is_leftover(".holdfast-partial"));
  assert_false(hf_rsync_is_leftover("../.x.abcdef"));
  assert_false(hf_rsync_is_leftover("a b/.x.abcdef"));
}

/* ---- settings ---- */

#define N_SETTINGS (HF_RSYNC_IO_TIMEOUT + 1)
static struct holdfast_value values[N_SETTINGS];
static const char *texts[N_SETTINGS];

static void set(int which, const char *text, int64_t number) {
  texts[which] = text;
  values[which] = (struct holdfast_value){.name = hf_rsync_settings[which].name, .count = text != NULL, .strings = &texts[which], .number = number};
}

static void defaults(void) {
  for (int i = 0; i < N_SETTINGS; i++) set(i, hf_rsync_settings[i].def, 0);
  set(HF_RSYNC_HOST, "h.example.com", 0);
  set(HF_RSYNC_CONNECTIONS, "4", 4);
  set(HF_RSYNC_IO_TIMEOUT, "5m", 300);
}

static struct hf_rsync t;

static int configured(void) {
  t = (struct hf_rsync){.host = &host, .spool_fd = -1};
  return hf_rsync_configure(&t, values);
}

static void forget(void) {
  hf_rsync_words_free(&t.ssh);
  hf_rsync_words_free(&t.env);
  free(t.where);
  free(t.dest);
  free(t.program);
  free(t.remote);
  free(t.rsh);
  free(t.login);
  free(t.spool_parent);
}

static void expect_names(const char *host_name, const char *user, const char *port, const char *module, const char *path, const char *dest,
                         const char *where) {
  defaults();
  set(HF_RSYNC_HOST, host_name, 0);
  set(HF_RSYNC_USERNAME, user, 0);
  set(HF_RSYNC_PORT, port, port ? atoi(port) : 0);
  set(HF_RSYNC_MODULE, module, 0);
  set(HF_RSYNC_PATH, path, 0);
  assert_int_equal(configured(), 0);
  assert_string_equal(t.dest, dest);
  assert_string_equal(t.where, where);
  forget();
}

static void destinations(void **state) {
  (void)state;
  expect_names("h", NULL, NULL, NULL, "/srv/x//", "h:/srv/x/", "h:/srv/x");
  expect_names("h", "u", "2222", NULL, "x", "u@h:x/", "h:x");
  expect_names("h", NULL, NULL, NULL, "/", "h:/", "h:/");
  expect_names("::1", "u", NULL, NULL, "/x", "u@[::1]:/x/", "::1:/x");
  expect_names("h", "u", "8873", "m", NULL, "rsync://u@h:8873/m/", "rsync://h:8873/m");
  expect_names("::1", NULL, NULL, "m", "/a/b/", "rsync://[::1]/m/a/b/", "rsync://[::1]/m/a/b");
}

static bool has(const struct hf_rsync_words *w, const char *word) {
  for (size_t i = 0; i < w->n; i++)
    if (strcmp(w->v[i], word) == 0) return true;
  return false;
}

static void command_line(void **state) {
  (void)state;
  defaults();
  set(HF_RSYNC_PATH, "x", 0);
  set(HF_RSYNC_IDENTITY, "/o'd d/%h", 0);
  set(HF_RSYNC_SSH_OPTIONS, "ProxyJump=a", 0);
  assert_int_equal(configured(), 0);
  assert_true(has(&t.ssh, "StrictHostKeyChecking=yes"));
  assert_true(has(&t.ssh, "BatchMode=yes"));
  assert_true(has(&t.ssh, "IdentityFile=\"/o'd d/%%h\""));
  assert_true(has(&t.ssh, "ProxyJump=a"));
  assert_non_null(strstr(t.rsh, " 'IdentityFile=\"/o''d d/%%h\"' "));
  assert_true(has(&t.env, "RSYNC_PASSWORD=")); /* none: but rsync does not ask at a terminal */
  assert_true(has(&t.env, "RSYNC_RSH"));
  forget();
  defaults();
  set(HF_RSYNC_MODULE, "m", 0);
  set(HF_RSYNC_USERNAME, "u", 0);
  set(HF_RSYNC_PASSWORD, "secret word", 0);
  assert_int_equal(configured(), 0);
  assert_true(has(&t.env, "RSYNC_PASSWORD=secret word"));
  assert_null(t.rsh);
  forget();
}

static void refused(const char *what, int which, const char *text, int64_t number) {
  set(which, text, number);
  assert_int_equal(configured(), HOLDFAST_E_CONFIG);
  if (!strstr(message, what)) fail_msg("%s: not said in \"%s\"", what, message);
  forget();
  defaults();
  set(HF_RSYNC_PATH, "x", 0);
}

static void wrong_settings(void **state) {
  static const char *const options[] = {"StrictHostKeyChecking=no",
                                        "stricthostkeychecking accept-new",
                                        "BatchMode=no",
                                        "ControlPath=x",
                                        "LocalCommand=rm",
                                        "RemoteCommand=x",
                                        "novalue",
                                        "=x",
                                        ""};
  (void)state;
  defaults();
  refused("either path", HF_RSYNC_PATH, NULL, 0);
  refused("host", HF_RSYNC_HOST, "-oProxyCommand=x", 0);
  refused("host", HF_RSYNC_HOST, "a b", 0);
  refused("the character ;", HF_RSYNC_PATH, "x;y", 0);
  refused("the character $", HF_RSYNC_PATH, "$HOME", 0);
  refused("non-ASCII", HF_RSYNC_PATH, "b\xc3\xbcro", 0);
  refused("is empty", HF_RSYNC_PATH, "", 0);
  refused("username", HF_RSYNC_USERNAME, "a@b", 0);
  refused("port = 0", HF_RSYNC_PORT, "0", 0);
  refused("port = 65536", HF_RSYNC_PORT, "65536", 65536);
  refused("connections = 9", HF_RSYNC_CONNECTIONS, "9", 9);
  refused("connections = 0", HF_RSYNC_CONNECTIONS, "0", 0);
  refused("io-timeout", HF_RSYNC_IO_TIMEOUT, "1s", 1);
  refused("password is for an rsync daemon", HF_RSYNC_PASSWORD, "x", 0);
  refused("quotes", HF_RSYNC_IDENTITY, "/a\"b", 0);
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) refused("ssh-options", HF_RSYNC_SSH_OPTIONS, options[i], 0);
  set(HF_RSYNC_MODULE, "m", 0);
  refused("identity-file is for ssh", HF_RSYNC_IDENTITY, "/x", 0);
  set(HF_RSYNC_MODULE, "m", 0);
  refused("no username", HF_RSYNC_PASSWORD, "x", 0);
}

/* ---- messages have a bound ---- */

static void bounded(void **state) {
  static char block[HF_RSYNC_WORDS];
  (void)state;
  memset(block, 'x', sizeof block);
  int fd = hf_rsync_bounded();
  assert_true(fd >= 0);
  assert_int_equal(write(fd, block, sizeof block - 1), sizeof block - 1);
  assert_int_equal(write(fd, "yz", 2), 1);
  assert_int_equal(write(fd, "z", 1), -1);
  char *text = hf_rsync_slurp(fd);
  assert_int_equal(strlen(text), sizeof block);
  free(text);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(verdicts),     cmocka_unit_test(long_line),    cmocka_unit_test(good_lines),     cmocka_unit_test(bad_lines), cmocka_unit_test(names),
      cmocka_unit_test(destinations), cmocka_unit_test(command_line), cmocka_unit_test(wrong_settings), cmocka_unit_test(bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
