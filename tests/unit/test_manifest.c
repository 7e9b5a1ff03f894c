/* test_manifest.c - the manifest: what it means, and what each mistake is answered with.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "fake_plugins.h"
#include "manifest/internal.h"
#include "unit.h"

#define TOP "[holdfast]\nhost = web1\nrecipients = a@example.com\n"
#define SRC "[source s]\nplugin = fake\npath = /etc\n"
#define DST "[target t]\nplugin = shelf\npath = /srv\n"

static char *folder; /* of this test program, below it the manifests */
static struct hf_registry *registry;

static int setup(void **state) {
  char name[] = "/tmp/hf-manifest-XXXXXX";
  (void)state;
  folder = mkdtemp(name) ? realpath(name, NULL) : NULL;
  registry = fake_registry();
  return folder && registry ? 0 : -1;
}

static int teardown(void **state) {
  struct hf_error err;
  (void)state;
  int r = hf_remove_tree(folder, &err);
  free(folder);
  hf_registry_free(registry);
  return r;
}

/* Write a file below the folder; its path, owned by the caller. */
static char *put(const char *name, const char *text, mode_t mode) {
  char *path = hf_path_join(folder, name), *parent = hf_strndup(path, (size_t)(strrchr(path, '/') - path));
  assert_int_equal(hf_mkdir_p(parent, 0755, NULL), 0);
  assert_int_equal(hf_write_file_atomic(path, text, strlen(text), 0600, NULL), 0);
  assert_int_equal(chmod(path, mode), 0);
  free(parent);
  return path;
}

/* Load text as main.ini of the given mode. */
static int load(const char *text, mode_t mode, struct hf_manifest **m, struct hf_error *err) {
  char *path = put("main.ini", text, mode);
  int r = hf_manifest_load(path, registry, m, err);
  free(path);
  return r;
}

static struct hf_manifest *good(const char *text) {
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  if (hf_manifest_parse(text, strlen(text), "x.ini", registry, &m, &err) < 0) fail_msg("%s", err.msg);
  return m;
}

/* text (n bytes) is refused with exactly this message. */
static void refused_n(const char *text, size_t n, const char *message) {
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  int r = hf_manifest_parse(text, n, "x.ini", registry, &m, &err);
  if (r >= 0) {
    hf_manifest_free(m);
    fail_msg("taken, and should be refused with: %s", message);
  }
  assert_int_equal(r, HOLDFAST_E_CONFIG);
  assert_int_equal(err.code, HOLDFAST_E_CONFIG);
  assert_null(m);
  assert_string_equal(err.msg, message);
}

static void refused(const char *text, const char *message) { refused_n(text, strlen(text), message); }

static void all_keys(void **state) {
  (void)state;
  struct hf_manifest *m = good("\xef\xbb\xbf; a comment\r\n"
                               "# another\r\n"
                               "[holdfast]\r\n"
                               "host = web1.example.com ; with a comment\r\n"
                               "recipients = a@example.com, 0x1111222233334444\r\n"
                               "  recipients = aaaa bbbb cccc dddd eeee  ffff 0000 1111 2222 3333, a@example.com # twice\r\n"
                               "recipient-key = keys/a.asc\n"
                               "recipient-key=/etc/b.asc\n"
                               "host-key = 0123456789abcdef0123456789abcdef01234567\n"
                               "state = /srv/state\n"
                               "lock-wait = 10m\n"
                               "checkpoint = 1h\n"
                               "compression = 9\n"
                               "padding = yes\n"
                               "hide-recipients = yes\n"
                               "[source  one] ; blanks do not matter\n"
                               "plugin = fake\n"
                               "path = /a;b#c\n"
                               "path = /d e\n"
                               "exclude =#*#\n"
                               "exclude = a=b\n"
                               "[ source two ]\n"
                               "plugin = fake\n"
                               "path = /x\n"
                               "recipients = b@example.com\n"
                               "user = postgres\n"
                               "timeout = 0\n"
                               "compression = 19\n"
                               "padding = no\n"
                               "hide-recipients = no\n"
                               "enabled = no\n"
                               "[target one]\n"
                               "plugin = shelf\n"
                               "path = /srv\n"
                               "prefix = a/b.c\n"
                               "proxy = socks5h://proxy:1080\n"
                               "ca-file = /etc/ca.pem\n"
                               "limit-up = 1M\n"
                               "limit-down = 4K\n"
                               "deadline = 90s\n"
                               "retries = 0\n"
                               "parallel = 2\n"
                               "[target two]\n"
                               "plugin = shelf\n"
                               "path = /srv\n"
                               "prefix =\n"
                               "proxy = none\n"
                               "enabled = no");
  assert_string_equal(m->file, "x.ini");
  assert_string_equal(m->host, "web1.example.com");
  assert_int_equal(m->recipients.n, 3);
  assert_string_equal(m->recipients.v[0], "a@example.com");
  assert_string_equal(m->recipients.v[1], "1111222233334444");
  assert_string_equal(m->recipients.v[2], "AAAABBBBCCCCDDDDEEEEFFFF0000111122223333");
  assert_int_equal(m->recipient_keys.n, 2);
  assert_string_equal(m->recipient_keys.v[0], "/keys/a.asc");
  assert_string_equal(m->recipient_keys.v[1], "/etc/b.asc");
  assert_string_equal(m->host_key, "0123456789ABCDEF0123456789ABCDEF01234567");
  assert_string_equal(m->state, "/srv/state");
  assert_int_equal(m->lock_wait, 600);
  assert_int_equal(m->checkpoint, 3600);
  assert_int_equal(m->n_sources, 2);
  const struct hf_manifest_source *one = hf_manifest_find_source(m, "one"), *two = hf_manifest_find_source(m, "two");
  assert_ptr_equal(one, &m->sources[0]);
  assert_ptr_equal(two, &m->sources[1]);
  assert_null(hf_manifest_find_source(m, "three"));
  assert_string_equal(one->plugin->head->name, "fake");
  assert_string_equal(one->settings->values[F_PATH].strings[0], "/a;b#c");
  assert_string_equal(one->settings->values[F_PATH].strings[1], "/d e");
  assert_string_equal(one->settings->values[F_EXCLUDE].strings[0], "#*#");
  assert_string_equal(one->settings->values[F_EXCLUDE].strings[1], "a=b");
  assert_int_equal(one->settings->values[F_PATH].line, 18);
  assert_int_equal(one->recipients.n, 3);
  assert_null(one->user);
  assert_int_equal(one->timeout, 3600);
  assert_int_equal(one->compression, 9);
  assert_true(one->padding && one->hide_recipients && one->enabled);
  assert_string_equal(one->file, "x.ini");
  assert_int_equal(one->line, 16);
  assert_int_equal(two->recipients.n, 1);
  assert_string_equal(two->recipients.v[0], "b@example.com");
  assert_string_equal(two->user, "postgres");
  assert_int_equal(two->timeout, 0);
  assert_int_equal(two->compression, 19);
  assert_false(two->padding || two->hide_recipients || two->enabled);
  assert_int_equal(m->n_targets, 2);
  assert_ptr_equal(hf_manifest_find_target(m, "one"), &m->targets[0]);
  assert_null(hf_manifest_find_target(m, "three"));
  assert_string_equal(m->targets[0].prefix, "a/b.c");
  assert_string_equal(m->targets[1].prefix, "");
  const struct hf_manifest_target *way = &m->targets[0];
  assert_string_equal(way->proxy, "socks5h://proxy:1080");
  assert_non_null(strstr(way->ca_file, "ca.pem"));
  assert_true(way->limit_up == 1 << 20 && way->limit_down == 4096 && way->deadline == 90 && way->retries == 0 && way->parallel == 2);
  way = &m->targets[1];
  assert_string_equal(way->proxy, "");
  assert_null(way->ca_file);
  assert_true(way->limit_up == 0 && way->limit_down == 0 && way->deadline == 600 && way->retries == 5 && way->parallel == 0);
  assert_true(m->targets[0].enabled && !m->targets[1].enabled);
  hf_manifest_free(m);
}

static void defaults(void **state) {
  struct hf_error err;
  struct hf_manifest *m = NULL;
  (void)state;
  assert_int_equal(hf_manifest_parse("[holdfast]\nhost=h\nrecipients=a@b\n" SRC DST,
                                     strlen("[holdfast]\nhost=h\nrecipients=a@b\n" SRC DST), "x", registry, &m, &err),
                   0);
  assert_int_equal(m->lock_wait, 0);
  assert_int_equal(m->checkpoint, 300);
  assert_non_null(strstr(m->state, "/holdfast"));
  assert_int_equal(m->sources[0].compression, 2);
  assert_int_equal(m->sources[0].timeout, 3600);
  assert_false(m->sources[0].padding || m->sources[0].hide_recipients);
  assert_null(m->host_key);
  hf_manifest_free(m);
  hf_manifest_free(NULL);
  char name[HOST_NAME_MAX + 1] = "";
  gethostname(name, HOST_NAME_MAX);
  if (!hf_is_instance_name(name)) return;
  m = good("[holdfast]\nrecipients=a@b\n" SRC DST);
  assert_string_equal(m->host, name);
  hf_manifest_free(m);
}

static void wrong_lines(void **state) {
  (void)state;
  refused("", "x.ini:1: there is no [holdfast] section; it comes first and says at least recipients =");
  refused("host = a\n", "x.ini:1: host: a key before any section; [holdfast] comes first");
  refused("[holdfast]\n\njust words\n", "x.ini:3: the line is neither a [section] nor key = value");
  refused("[holdfast]\nhost: a\n", "x.ini:2: the line is neither a [section] nor key = value");
  refused("[holdfast]\nhost: a = b\n",
          "x.ini:2: \"host: a\" is no key; write key = value, the key in lower case letters, digits and '-'");
  refused("[holdfast]\n= a\n", "x.ini:2: there is no key before the =");
  refused("[holdfast\nhost = a\n",
          "x.ini:1: a section is written [holdfast], [source NAME], [target NAME], [notify NAME] or [contact NAME], and nothing follows it");
  refused("[holdfast] x\n", "x.ini:1: a section is written [holdfast], [source NAME], [target NAME], [notify NAME] or [contact NAME], and nothing follows it");
  refused("[\n", "x.ini:1: a section is written [holdfast], [source NAME], [target NAME], [notify NAME] or [contact NAME], and nothing follows it");
  refused("[holdfast]\nhost = a\001b\n", "x.ini:2: byte 9 of the line is a control character (0x01); a manifest is plain text");
  refused("[holdfast]\nhost = \033[1mb\n", "x.ini:2: byte 8 of the line is a control character (0x1b); a manifest is plain text");
  refused_n("[holdfast]\nhost = a\0b\n", 22, "x.ini:2: byte 9 of the line is a NUL (0x00); a manifest is plain text");
  /* A continuation line is none here. */
  refused(TOP "[source s]\nplugin = fake\npath = /a\n  /b\n", "x.ini:7: the line is neither a [section] nor key = value");
  refused("[holdfast]\nthis-key-is-longer-than-any-that-there-could-ever-be = 1\n",
          "x.ini:2: the key has 52 bytes; no key has more than 48");
}

static void long_lines(void **state) {
  (void)state;
  char *text = hf_alloc(40000), *value = hf_alloc(20000);
  memset(value, 'p', HF_INI_LINE_MAX - 8); /* "path = /" and this: just right */
  snprintf(text, 40000, "%s[source s]\nplugin = fake\npath = /%s\n%s", TOP, value, DST);
  struct hf_manifest *m = good(text);
  assert_int_equal(strlen(m->sources[0].settings->values[F_PATH].strings[0]), HF_INI_LINE_MAX - 7);
  hf_manifest_free(m);
  snprintf(text, 40000, "%s[source s]\nplugin = fake\npath = /%sp\n%s", TOP, value, DST);
  refused(text, "x.ini:6: the line has 16385 bytes; 16384 are the most");
  /* Longer than inih keeps: 64 bytes of name, and names that differ at the end only. */
  value[63] = 'a';
  value[64] = 0;
  char *other = hf_strdup(value);
  other[63] = 'b';
  snprintf(text, 40000, "%s[source %s]\nplugin = fake\npath = /a\n[source %s]\nplugin = fake\npath = /b\n%s", TOP, value, other,
           DST);
  m = good(text);
  assert_string_equal(m->sources[0].name, value);
  assert_string_equal(m->sources[1].name, other);
  assert_string_equal(m->sources[1].settings->values[F_PATH].strings[0], "/b");
  hf_manifest_free(m);
  free(other);
  free(text);
  free(value);
}

static void wrong_sections(void **state) {
  (void)state;
  refused(TOP "[sorce s]\n", "x.ini:4: [sorce s]: unknown section; did you mean source?");
  refused(TOP "[people ops]\n", "x.ini:4: [people ops]: unknown section; there are [holdfast], [source NAME], [target NAME], [notify NAME] and [contact NAME]");
  refused(TOP "[]\n", "x.ini:4: []: unknown section; there are [holdfast], [source NAME], [target NAME], [notify NAME] and [contact NAME]");
  refused(TOP "[source]\n", "x.ini:4: [source]: a source has a name; write [source NAME]");
  refused("[holdfast web]\n", "x.ini:1: [holdfast web]: the section has no name; write [holdfast]");
  refused(TOP "[source a/b]\n",
          "x.ini:4: [source a/b]: the name has letters, digits, '.', '_' and '-', at most 64, not '.' or '-' first");
  refused(TOP "[source .a]\n",
          "x.ini:4: [source .a]: the name has letters, digits, '.', '_' and '-', at most 64, not '.' or '-' first");
  refused(TOP "[source a b]\n",
          "x.ini:4: [source a b]: the name has letters, digits, '.', '_' and '-', at most 64, not '.' or '-' first");
  refused(TOP SRC DST SRC, "x.ini:10: [source s]: the section is there already, at x.ini:4");
  refused(TOP "[source s]\n[source s]\n", "x.ini:5: [source s]: the section is there already, at x.ini:4");
  refused(TOP TOP, "x.ini:4: [holdfast]: the section is there already, at x.ini:1");
  refused(SRC TOP, "x.ini:4: [holdfast]: comes after [source s] of line 1; it has to be the first section of its file");
  refused(SRC DST, "x.ini:1: there is no [holdfast] section; it comes first and says at least recipients =");
  refused(TOP DST, "x.ini: there is no [source NAME] section; at least one is needed");
  refused(TOP SRC, "x.ini: there is no [target NAME] section; at least one is needed");
  refused(TOP "[source s]\npath = /etc\n" DST, "x.ini:4: [source s] plugin: missing; `holdfast plugins` lists those there are");
  refused(TOP "[source s]\n" DST, "x.ini:4: [source s] plugin: missing; `holdfast plugins` lists those there are");
  refused(TOP "[source s]\nplugin =\n" DST,
          "x.ini:5: [source s] plugin: the value is empty; `holdfast plugins` lists those there are");
  refused(TOP "[source s]\nplugin = fak\n" DST,
          "x.ini:5: [source s] plugin: there is no source plugin \"fak\"; did you mean fake?");
  refused(TOP "[source s]\nplugin = postgres\n" DST,
          "x.ini:5: [source s] plugin: there is no source plugin \"postgres\"; there are: fake");
  refused(TOP "[source s]\nplugin = shelf\n" DST,
          "x.ini:5: [source s] plugin: there is no source plugin \"shelf\": shelf is a plugin of a [target ...] section");
  refused(TOP "[source s]\nplugin = ../fake\n" DST,
          "x.ini:5: [source s] plugin: there is no source plugin \"../fake\"; there are: fake");
  /* The same name for a source and a target is fine. */
  hf_manifest_free(good(TOP SRC "[target s]\nplugin = shelf\npath = /srv\n"));
}

static void wrong_keys(void **state) {
  (void)state;
  refused("[holdfast]\nrecipient = a@b\n", "x.ini:2: [holdfast] recipient: unknown key; did you mean recipients?");
  refused("[holdfast]\nzzzzzz = 24h\n",
          "x.ini:2: [holdfast] zzzzzz: unknown key; [holdfast] has host, recipients, recipient-key, host-key, state, "
          "lock-wait, checkpoint, compression, padding, hide-recipients, time-zone, include, rpo, rto, run-log-keep, metrics-file, host-key-escrow, safety-keep and drill-keep");
  refused("[holdfast]\nHost = a\n", "x.ini:2: [holdfast] Host: unknown key; did you mean host?");
  refused(TOP "host = web2\n", "x.ini:4: [holdfast] host: given before at x.ini:2, and can be given once only");
  refused(TOP SRC "exlude = x\n" DST, "x.ini:7: [source s] exlude: unknown key; did you mean exclude?");
  refused(TOP SRC "timout = 1h\n" DST, "x.ini:7: [source s] timout: unknown key; did you mean timeout?");
  refused(TOP SRC "zzzzzz = 1h\n" DST,
          "x.ini:7: [source s] zzzzzz: unknown key; `holdfast plugins fake` lists those of the plugin, holdfast.ini(5) the others");
  refused(TOP SRC DST "fold-daily = 7\n", "x.ini:10: [target t] fold-daily: unknown key; `holdfast plugins shelf` lists those of "
                                          "the plugin, holdfast.ini(5) the others");
  refused(TOP SRC "plugin = fake\n" DST, "x.ini:7: [source s] plugin: given before in line 5, and can be given once only");
  refused(TOP SRC "mode = fast\nmode = safe\n" DST,
          "x.ini:8: [source s] mode: given before in line 7, and can be given once only");
  refused(TOP SRC "timeout = 1h\ntimeout = 1h\n" DST,
          "x.ini:8: [source s] timeout: given before in line 7, and can be given once only");
  refused(TOP "[source s]\nplugin = fake\n" DST, "x.ini:4: [source s] path: missing; it has to be given (What to read)");
  refused(TOP SRC "recipient-key = a\n" DST, "x.ini:7: [source s] recipient-key: unknown key; `holdfast plugins fake` lists "
                                             "those of the plugin, holdfast.ini(5) the others");
}

static void wrong_values(void **state) {
  (void)state;
  refused(TOP SRC DST "keep-daily = 0\n", "x.ini:10: [target t] keep-daily: a number from 1 to 1000000; without the key there is no such rule");
  refused(TOP SRC DST "keep-within = 0\n", "x.ini:10: [target t] keep-within: a time such as 7d; without the key there is no such rule");
  refused(TOP SRC DST "keep-labelled = no\n", "x.ini:10: [target t] keep-labelled: means nothing here: without keep-last, keep-hourly, keep-daily, keep-weekly, keep-monthly, keep-yearly or "
                                              "keep-within the target keeps everything");
  refused(TOP SRC DST "take = monthly\n", "x.ini:7: [target t] take: every target that is switched on takes only some snapshots, so others would go nowhere; let one take all");
  refused(TOP SRC DST "take = never\n", "x.ini:10: [target t] take: \"never\" is not one of: all hourly daily weekly monthly yearly");
  refused("[holdfast]\ntime-zone = ../etc/passwd\n", "x.ini:2: [holdfast] time-zone: \"../etc/passwd\" is not the name of a time zone; write it as in Europe/Berlin, or UTC");
  refused("[holdfast]\nhost =\n", "x.ini:2: [holdfast] host: the value is empty; leave the key out instead");
  refused("[holdfast]\nhost = a b\n",
          "x.ini:2: [holdfast] host: a host's name has letters, digits, '.', '_' and '-', at most 64, not '.' or '-' first");
  refused("[holdfast]\nhost = a\n" SRC DST, "x.ini:1: [holdfast] recipients: missing; give at least one OpenPGP key that data is "
                                            "encrypted to, and keep its private half elsewhere");
  refused("[holdfast]\nrecipients = a@b,\n",
          "x.ini:2: [holdfast] recipients: there is nothing on one side of a comma; write recipients with one comma "
          "between them");
  refused("[holdfast]\nrecipients = DEADBEEF\n",
          "x.ini:2: [holdfast] recipients: \"DEADBEEF\" is a short key id, which anybody can forge; give the fingerprint");
  refused("[holdfast]\nrecipients = bob\n",
          "x.ini:2: [holdfast] recipients: \"bob\" is not a recipient; give a fingerprint (40 or 64 hex digits), a key id "
          "(16) or an e-mail address");
  refused("[holdfast]\nhost-key = 1234567812345678\n",
          "x.ini:2: [holdfast] host-key: not a fingerprint, which has 40 or 64 hex digits; holdfast init prints the host key's");
  refused("[holdfast]\nstate = state\n", "x.ini:2: [holdfast] state: \"state\" is not an absolute path; write it from / on");
  refused("[holdfast]\ncheckpoint = 0\n", "x.ini:2: [holdfast] checkpoint: at least 1s; 5m is a good value");
  refused("[holdfast]\ncompression = 20\n", "x.ini:2: [holdfast] compression: the zstd level is from 1 (fast) to 19 (small)");
  refused("[holdfast]\ncompression = 0\n", "x.ini:2: [holdfast] compression: the zstd level is from 1 (fast) to 19 (small)");
  refused(TOP "include = *.ini\n", "x.ini:4: [holdfast] include: not possible in a manifest that is no file");
  refused(TOP SRC "compression = 4294967299\n" DST,
          "x.ini:7: [source s] compression: the zstd level is from 1 (fast) to 19 (small)");
  refused(TOP SRC "user = a b\n" DST, "x.ini:7: [source s] user: \"a b\" is not an account's name");
  refused(TOP SRC "recipients = bob\n" DST,
          "x.ini:7: [source s] recipients: \"bob\" is not a recipient; give a fingerprint (40 or 64 hex digits), a key id "
          "(16) or an e-mail address");
  refused(TOP SRC "mode = slow\n" DST, "x.ini:7: [source s] mode: \"slow\" is not one of: fast safe");
  refused(TOP SRC DST "prefix = /a\n", "x.ini:10: [target t] prefix: \"/a\" does not do; write names of [A-Za-z0-9._-] with a / "
                                       "between them, none first or last, at most 256 bytes");
  refused(TOP SRC DST "prefix = a/../b\n", "x.ini:10: [target t] prefix: \"a/../b\" does not do; write names of [A-Za-z0-9._-] "
                                           "with a / between them, none first or last, at most 256 bytes");
  refused(TOP SRC DST "proxy = example.com:3128\n", "x.ini:10: [target t] proxy: not a proxy's URL; write http://HOST:PORT (or https, socks4, socks4a, "
                                                    "socks5, socks5h), or none");
  refused(TOP SRC DST "proxy = http://\n", "x.ini:10: [target t] proxy: not a proxy's URL; write http://HOST:PORT (or https, socks4, socks4a, "
                                          "socks5, socks5h), or none");
  refused(TOP SRC DST "limit-up = 1000\n", "x.ini:10: [target t] limit-up: at least 4K a second, or 0 for no limit");
  refused(TOP SRC DST "limit-down = 1000\n", "x.ini:10: [target t] limit-down: at least 4K a second, or 0 for no limit");
  refused(TOP SRC DST "retries = 101\n", "x.ini:10: [target t] retries: at most 100; deadline says for how long");
  refused(TOP SRC DST "parallel = 0\n", "x.ini:10: [target t] parallel: 1 to 64 calls at once");
  refused(TOP SRC DST "parallel = 65\n", "x.ini:10: [target t] parallel: 1 to 64 calls at once");
  static const char *const slashes[] = {"a/", "a//b", "a b", "caf\xc3\xa9", "."};
  for (size_t i = 0; i < HF_NELEM(slashes); i++) {
    char text[300];
    struct hf_manifest *m = NULL;
    snprintf(text, sizeof text, TOP SRC DST "prefix = %s\n", slashes[i]);
    if (hf_manifest_parse(text, strlen(text), "x", registry, &m, NULL) != HOLDFAST_E_CONFIG) fail_msg("prefix %s", slashes[i]);
  }
}

/* Load main.ini; message NULL: it has to work. %s in message is the folder. */
static void try_file(const char *text, mode_t mode, const char *message) {
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  int r = load(text, mode, &m, &err);
  if (!message) {
    if (r < 0) fail_msg("%s", err.msg);
    hf_manifest_free(m);
    return;
  }
  char *want = hf_asprintf("%s%s", *message == '/' ? folder : "", message);
  assert_int_equal(r, HOLDFAST_E_CONFIG);
  if (strncmp(err.msg, want, strlen(want)) != 0) fail_msg("%s\nwanted: %s", err.msg, want);
  free(want);
}

static void secrets(void **state) {
  (void)state;
  free(put("key", "s3cret\n", 0600));
  free(put("shared", "s3cret\n", 0604));
  try_file(TOP SRC DST "secret-key = hush\n", 0600, NULL);
  try_file(TOP SRC DST "secret-key = hush\n", 0640,
           "/main.ini:10: [target t] secret-key: a secret in a file that others can read (mode 0640); chmod go-r the file, or "
           "use secret-key-file");
  try_file(TOP SRC DST "secret-key = hush\n", 0604,
           "/main.ini:10: [target t] secret-key: a secret in a file that others can read (mode 0604)");
  try_file(TOP SRC DST "secret-key-file = key\n", 0644, NULL);
  try_file(TOP SRC DST "secret-key-file = shared\n", 0644, "/main.ini:10: [target t] secret-key-file: the secret file ");
  try_file(TOP SRC DST "secret-key-file = none\n", 0644,
           "/main.ini:10: [target t] secret-key-file: cannot read the secret file ");
  try_file(TOP SRC DST "secret-key-command = false\n", 0644,
           "/main.ini:10: [target t] secret-key-command: the command false ended with exit code 1");
  try_file(TOP SRC DST "enabled = no\nsecret-key-command = false\n", 0644, NULL); /* not asked for */
  try_file(
      TOP SRC DST "secret-key-file = key\nsecret-key = hush\n", 0600,
      "/main.ini:11: [target t] secret-key: the secret is given twice: secret-key-file stands in line 10; keep one of the two");
  struct hf_manifest *m = NULL;
  struct hf_error err;
  assert_int_equal(load(TOP SRC "password-file = key\n" DST, 0644, &m, &err), 0);
  assert_string_equal(m->sources[0].settings->values[F_PASSWORD].strings[0], "s3cret");
  assert_false(m->sources[0].settings->inline_secret);
  hf_manifest_free(m);
  /* A manifest that is wrong further down runs no command. */
  char *mark = hf_path_join(folder, "ran");
  char *text = hf_asprintf(TOP SRC "password-command = touch %s\n" DST "bad = 1\n", mark);
  assert_int_equal(load(text, 0644, &m, &err), HOLDFAST_E_CONFIG);
  assert_int_not_equal(access(mark, F_OK), 0);
  free(text);
  free(mark);
}

#define MAIL "[notify ops]\ntype = email\nserver = mail.example.com\nfrom = a@example.com\nto = b@example.com\n"
#define HOOK "[notify hook]\ntype = webhook\nurl-env = HOOK_URL\n"

static void notify(void **state) {
  (void)state;
  struct hf_manifest *m = good("[holdfast]\nhost = web1\nrecipients = a@example.com\nrpo = 24h\nrto = 4h\nmetrics-file = /m.prom\n" SRC "rpo = 1h\n" DST "rpo = 2d\n"
                               "[source other]\nplugin = fake\npath = /etc\nrto = 30m\n[target gone]\nplugin = shelf\npath = /x\nremovable = yes\n[target cold]\nplugin = shelf\npath = /y\ntake = monthly\n[target warm]\nplugin = shelf\npath = /z\n" MAIL
                               "events = failure, tamper\nevents = drill\nverbs = backup\nat-most-every = 1h\n" HOOK "enabled = no\n");
  assert_true(m->rpo == 86400 && m->rto == 14400 && m->run_log_keep == 30 * 86400);
  assert_string_equal(m->metrics_file, "/m.prom");
  assert_true(m->sources[0].rpo == 3600 && m->sources[0].rto == 0 && m->sources[1].rpo == 86400 && m->sources[1].rto == 1800);
  assert_true(m->targets[0].rpo == 2 * 86400 && m->targets[1].rpo == 0);
  assert_true(m->targets[2].rpo == 0 && m->targets[3].rpo == 86400); /* a day would be an alarm for ever where there is one a month */
  assert_int_equal(m->n_notify, 2);
  const struct hf_manifest_notify *n = &m->notify[0];
  assert_string_equal(n->name, "ops");
  assert_int_equal(n->type, HF_CHANNEL_EMAIL);
  assert_int_equal(n->events, 1u << HF_EVENT_FAILURE | 1u << HF_EVENT_TAMPER | 1u << HF_EVENT_DRILL);
  assert_true(n->enabled && n->at_most_every == 3600 && n->timeout == 30);
  assert_int_equal(n->verbs.n, 1);
  assert_string_equal(hf_notify_text(n, EMAIL_TLS), "starttls");
  assert_null(hf_notify_text(n, EMAIL_USER));
  /* People are not told that all is well, programs are. */
  assert_int_equal(m->notify[1].events, (1u << HF_EVENTS) - 1);
  assert_false(m->notify[1].enabled);
  hf_manifest_free(m);
  m = good(TOP SRC DST MAIL);
  assert_int_equal(m->notify[0].events, ((1u << HF_EVENTS) - 1) & ~(1u << HF_EVENT_SUCCESS));
  hf_manifest_free(m);
}

static void wrong_notify(void **state) {
  (void)state;
  refused(TOP SRC DST "[notify]\n", "x.ini:10: [notify]: a notify has a name; write [notify NAME]");
  refused(TOP SRC DST MAIL MAIL, "x.ini:15: [notify ops]: the section is there already, at x.ini:10");
  refused(TOP SRC DST "[notify n]\n", "x.ini:10: [notify n] type: missing; write email, webhook, syslog, journald, statsd or command");
  refused(TOP SRC DST "[notify n]\ntype = pigeon\n", "x.ini:11: [notify n] type: \"pigeon\" is not one of: email webhook syslog journald statsd command");
  refused(TOP SRC DST "[notify n]\ntype = email\n", "x.ini:10: [notify n] server: missing; it has to be given (the mail server, as HOST or HOST:PORT)");
  refused(TOP SRC DST MAIL "sever = x\n", "x.ini:15: [notify ops] sever: unknown key; did you mean server?");
  refused(TOP SRC DST MAIL "zzzzzz = x\n", "x.ini:15: [notify ops] zzzzzz: unknown key; holdfast-notify(7) lists those there are");
  refused(TOP SRC DST MAIL "events = failure, sucess\n",
          "x.ini:15: [notify ops] events: \"sucess\" is not one of: success, failure, partial, rpo-warning, rpo-critical, disk, key-expiry, drill, tamper, target-behind");
  refused(TOP SRC DST MAIL "verbs = list\n", "x.ini:15: [notify ops] verbs: \"list\" is not one of: backup, prune, verify, sync, drill, restore");
  refused(TOP SRC DST MAIL "timeout = 0\n", "x.ini:15: [notify ops] timeout: from 1s to 1h: the run's end waits for it");
  refused(TOP SRC DST MAIL "to = nobody\n", "x.ini:14: [notify ops] to: \"nobody\" is not an e-mail address; write NAME@DOMAIN, one in a line");
  refused(TOP SRC DST MAIL "user = u\n", "x.ini:15: [notify ops] user: user and password go together; give both or neither");
  refused(TOP SRC DST MAIL "password-env = P\n", "x.ini:15: [notify ops] password: user and password go together; give both or neither");
  refused(TOP SRC DST MAIL "tls = none\nuser = u\npassword-env = P\n",
          "x.ini:15: [notify ops] tls: a password is not sent over a connection without encryption; write starttls or tls");
  refused(TOP SRC DST "[notify n]\ntype = statsd\nserver = a:b\n", "x.ini:12: [notify n] server: write HOST or HOST:PORT, an IPv6 address in brackets");
  refused(TOP SRC DST "[notify n]\ntype = statsd\nserver = [::1\n", "x.ini:12: [notify n] server: write HOST or HOST:PORT, an IPv6 address in brackets");
  refused(TOP SRC DST "[notify n]\ntype = statsd\nprefix = a:b\n", "x.ini:12: [notify n] prefix: a prefix has none of : | @ # and no blank");
  refused(TOP SRC DST HOOK "header = X\n", "x.ini:13: [notify hook] header: \"X\" is no header; write NAME: VALUE");
  refused(TOP SRC DST HOOK "template = ${nonsense}\n", "x.ini:13: [notify hook] template: there is no placeholder ${nonsense}; a dollar sign itself is written $$");
  refused(TOP SRC DST HOOK "template = ${host\n", "x.ini:13: [notify hook] template: a ${ has no } behind it; a dollar sign itself is written $$");
  refused(TOP SRC DST HOOK "template = x\ntemplate-file = /x\n", "x.ini:14: [notify hook] template-file: there is a template already; keep one of the two");
  hf_manifest_free(good(TOP SRC DST "[notify n]\ntype = statsd\nserver = [::1]:8125\n[notify o]\ntype = syslog\nserver = log.example.com\n"));

  /* What can be seen only when secrets are fetched. */
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  assert_int_equal(setenv("HOOK_URL", "ftp://secret.example.com/key", 1), 0);
  assert_int_equal(load(TOP SRC DST HOOK, 0600, &m, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, ":12: [notify hook] url: not a URL; it starts with https:// or http:// and has no blanks"));
  assert_null(strstr(err.msg, "secret"));
  assert_int_equal(setenv("HOOK_URL", "https://example.com/key", 1), 0);
  assert_int_equal(load(TOP SRC DST HOOK "template-file = /no/such\n", 0600, &m, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, ":13: [notify hook] template-file: cannot open /no/such"));
  assert_int_equal(load(TOP SRC DST "[notify n]\ntype = webhook\nurl = https://example.com/key\n", 0644, &m, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "[notify n] url: a secret in a file that others can read (mode 0644)"));
  assert_int_equal(load(TOP SRC DST HOOK, 0600, &m, &err), 0);
  assert_string_equal(hf_notify_text(&m->notify[0], WEBHOOK_URL), "https://example.com/key");
  hf_manifest_free(m);
}

static void includes(void **state) {
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  (void)state;
  free(put("conf.d/20-b.ini", "[source b]\nplugin = fake\npath = /b\npassword-file = ../key\n", 0644));
  free(put("conf.d/10-a.ini",
           "[holdfast]\nrecipients = c@example.com\nrecipient-key = c.asc\ninclude = deep/*.ini\n[source a]\nplugin = fake\npath "
           "= /a\n",
           0644));
  free(put("conf.d/deep/z.ini", "[source z]\nplugin = fake\npath = /z\n", 0644));
  free(put("conf.d/.hidden.ini", "nonsense\n", 0644));
  free(put("key", "s3cret\n", 0600));
  if (load(TOP "include = conf.d/*.ini\ninclude = none.d/*.ini\n" SRC DST, 0644, &m, &err) < 0) fail_msg("%s", err.msg);
  assert_int_equal(m->n_sources, 4);
  assert_string_equal(m->sources[0].name, "s");
  assert_string_equal(m->sources[1].name, "a");
  assert_string_equal(m->sources[2].name, "z");
  assert_string_equal(m->sources[3].name, "b");
  assert_int_equal(m->recipients.n, 2);
  char *want = hf_path_join(folder, "conf.d/c.asc");
  assert_string_equal(m->recipient_keys.v[0], want);
  free(want);
  assert_non_null(strstr(m->sources[2].file, "conf.d/deep/z.ini"));
  assert_string_equal(m->sources[3].settings->values[F_PASSWORD].strings[0], "s3cret");
  hf_manifest_free(m);

  try_file(TOP "include = absent.ini\n", 0644, "/main.ini:4: [holdfast] include: there is no file absent.ini");
  try_file(TOP "include =\n", 0644, "/main.ini:4: [holdfast] include: the value is empty; leave the key out instead");
  try_file(TOP "include = main.ini\n", 0644, "/main.ini:4: [holdfast] include: ");
  try_file(TOP "include = conf.d\n", 0644, "/main.ini:4: [holdfast] include: ");
  free(put("bad/a.ini", "[source s]\nplugin = fake\npath = /a\n\noops\n", 0644));
  try_file(TOP "include = bad/*.ini\n" DST, 0644, "/bad/a.ini:5: the line is neither");
  free(put("bad/a.ini", "[source s]\nplugin = fake\npath = relative\n", 0644));
  try_file(TOP "include = bad/*.ini\n" DST, 0644, "/bad/a.ini:3: [source s] path: \"relative\" is not an absolute path");
  free(put("bad/a.ini", SRC, 0644));
  try_file(TOP "include = bad/*.ini\n" SRC DST, 0644, "/bad/a.ini:1: [source s]: the section is there already, at ");
  free(put("bad/a.ini", "[holdfast]\nhost = other\n", 0644));
  try_file(TOP "include = bad/*.ini\n" SRC DST, 0644, "/bad/a.ini:2: [holdfast] host: given before at ");
  free(put("bad/a.ini", SRC "password = hush\n", 0644));
  try_file(TOP "include = bad/*.ini\n" DST, 0600,
           "/bad/a.ini:4: [source s] password: a secret in a file that others can read (mode 0644)");
  for (int i = 1; i <= 9; i++) {
    char name[32], text[64];
    snprintf(name, sizeof name, "chain%d.ini", i);
    snprintf(text, sizeof text, "[holdfast]\ninclude = chain%d.ini\n", i + 1);
    free(put(name, text, 0644));
  }
  try_file(TOP "include = chain1.ini\n" SRC DST, 0644, "/chain8.ini:2: [holdfast] include: files include files more than 8 deep");
  free(put("chain8.ini", "[holdfast]\n", 0644));
  try_file(TOP "include = chain1.ini\n" SRC DST, 0644, NULL);
}

static void files(void **state) {
  struct hf_manifest *m = NULL;
  struct hf_error err = {0};
  (void)state;
  char *path = hf_path_join(folder, "absent.ini");
  assert_int_equal(hf_manifest_load(path, registry, &m, &err), HOLDFAST_E_CONFIG);
  assert_int_equal(strncmp(err.msg, path, strlen(path)), 0);
  free(path);
  assert_int_equal(hf_manifest_load(folder, registry, &m, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "not a regular file"));
  char *big = hf_alloc(HF_INI_FILE_MAX + 2);
  memset(big, '\n', HF_INI_FILE_MAX + 1);
  try_file(big, 0644, "/main.ini: larger than 1048576 bytes");
  free(big);
  if (geteuid() == 0) {
    try_file(TOP SRC DST, 0646, "/main.ini: writable by others than its owner (mode 0646), and this is root; chmod go-w it");
    path = put("main.ini", TOP SRC DST, 0664);
    assert_int_equal(chown(path, 0, 12345), 0);
    assert_int_equal(hf_manifest_load(path, registry, &m, &err), HOLDFAST_E_CONFIG);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(hf_manifest_load(path, registry, &m, &err), HOLDFAST_E_CONFIG);
    assert_non_null(strstr(err.msg, "/main.ini: belongs to user 12345, and this is root"));
    assert_int_equal(chown(path, 0, 0), 0);
    free(path);
    path = put("theirs.ini", "[source b]\nplugin = s\n", 0644);
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(load(TOP "include = theirs.ini\n" SRC DST, 0644, &m, &err), HOLDFAST_E_CONFIG);
    assert_non_null(strstr(err.msg, "/theirs.ini: belongs to user 12345, and this is root, which runs what it says; chown it to root"));
    assert_int_equal(chown(path, 0, 0), 0);
    free(path);
  }
  /* A relative name is taken from the current folder, and the manifest knows its absolute path. */
  char *cwd = getcwd(NULL, 0);
  free(put("main.ini", TOP SRC DST, 0644));
  assert_int_equal(chdir(folder), 0);
  int r = hf_manifest_load("main.ini", registry, &m, &err);
  assert_int_equal(chdir(cwd), 0);
  free(cwd);
  assert_int_equal(r, 0);
  assert_int_equal(m->file[0], '/');
  hf_manifest_free(m);
}

/* The manual page and the tables name the same keys. */
static void contacts(void **state) {
  (void)state;
  struct hf_manifest *m = good(TOP "rto = 4h\nsafety-keep = 2d\n" SRC "rto = 10m\n" DST
                               "[contact second]\nphone = +1 555 0100\npriority = 20\nhours = 8-18\nnote = knows the database\n[contact last]\nemail = ops@example.com\n"
                               "[contact first]\nrole = on call\nphone = +1 555 0101\nemail = oncall@example.com\npriority = 1\n");
  assert_int_equal(m->rto, 4 * 3600);
  assert_int_equal(m->safety_keep, 2 * 86400);
  assert_int_equal(m->drill_keep, 100);
  assert_int_equal(m->sources[0].rto, 600);
  assert_int_equal(m->n_contacts, 3);
  assert_string_equal(m->contacts[0].name, "first");
  assert_string_equal(m->contacts[0].role, "on call");
  assert_string_equal(m->contacts[1].hours, "8-18");
  assert_null(m->contacts[1].email);
  assert_string_equal(m->contacts[2].email, "ops@example.com");
  assert_int_equal(m->contacts[2].priority, 100);
  hf_manifest_free(m);
  refused(TOP SRC DST "[contact a]\nrole = x\n", "x.ini:10: [contact a] phone: missing; say how to reach the contact: phone =, email =, or both");
  refused(TOP SRC DST "[contact a]\nfone = x\n", "x.ini:11: [contact a] fone: unknown key; did you mean phone?");
  refused(TOP SRC DST "[contact a]\nphone = x\npriority = high\n", "x.ini:12: [contact a] priority: \"high\" is not a non-negative number");
  refused(TOP "drill-keep = 0\n", "x.ini:4: [holdfast] drill-keep: at least 1; 100 is a good value");
}

static void manual_agrees(void **state) {
  const char *src = getenv("SRCDIR");
  char *path = hf_path_join(src && *src ? src : ".", "man/holdfast.ini.5");
  struct hf_buf page = HF_BUF_INIT;
  struct hf_error err;
  (void)state;
  if (hf_read_file(path, HF_MIB, &page, &err) < 0) fail_msg("%s", err.msg);
  static const char *const heads[] = {".Ss The section [holdfast]", ".Ss The sections [source NAME]",
                                      ".Ss The sections [target NAME]", ".Ss The sections [notify NAME]", ".Ss The sections [contact NAME]"};
  for (int kind = HF_SECTION_HOLDFAST; kind <= HF_SECTION_CONTACT; kind++) {
    const struct holdfast_setting *table = hf_manifest_keys((enum hf_section_kind)kind);
    struct hf_list named = HF_LIST_INIT;
    char *at = strstr(page.data, heads[kind]), *end = at ? strstr(at + 1, "\n.Ss") : NULL;
    assert_non_null(end);
    for (char *line = at; line < end; line = strchr(line, '\n') + 1) {
      if (strncmp(line, ".It Ic ", 7) != 0) continue;
      char *copy = hf_strndup(line, strcspn(line, "\n"));
      char *value = strstr(copy, " Li =");
      if (value) *value = 0;
      for (char *w = strtok(copy + 4, " ,"); w; w = strtok(NULL, " ,"))
        if (strcmp(w, "Ic") != 0) hf_list_add(&named, w);
      free(copy);
    }
    size_t n = 0;
    for (; table[n].name; n++)
      if (!hf_list_has(&named, table[n].name)) fail_msg("%s: %s is not in the page", heads[kind], table[n].name);
    assert_int_equal(named.n, n);
    hf_list_free(&named);
  }
  hf_buf_free(&page);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_keys),     cmocka_unit_test(defaults),       cmocka_unit_test(wrong_lines),
      cmocka_unit_test(long_lines),   cmocka_unit_test(wrong_sections), cmocka_unit_test(wrong_keys),
      cmocka_unit_test(wrong_values), cmocka_unit_test(secrets),        cmocka_unit_test(includes),
      cmocka_unit_test(files),        cmocka_unit_test(manual_agrees),  cmocka_unit_test(notify),
      cmocka_unit_test(wrong_notify),   cmocka_unit_test(contacts)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
