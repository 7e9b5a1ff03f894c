/* test_crypto.c - homes, keys, sealing and encrypting with the real gpg.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "repo/repo.h"

/* host: the host's home. user: the caller's own, found by GNUPGHOME, with a key of its own. other: a stranger's. */
static char base[64];
static struct hf_gpg *host, *user, *other;
static char host_fpr[HF_FPR_LEN + 1], user_fpr[HF_FPR_LEN + 1], other_fpr[HF_FPR_LEN + 1];
static struct hf_list to_user = HF_LIST_INIT, trusted = HF_LIST_INIT;

#define OK(e) assert_ok((e), &err, #e)
static void assert_ok(int r, const struct hf_error *err, const char *what) {
  if (r < 0) fail_msg("%s: %d %s", what, r, err->msg);
}

static char *path(const char *name) { return hf_path_join(base, name); }

static void shell(const char *fmt, ...) HF_PRINTF(1, 2);
static void shell(const char *fmt, ...) {
  char cmd[2000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(cmd, sizeof cmd, fmt, ap);
  va_end(ap);
  int r = system(cmd);
  if (r != 0) fail_msg("%s: status %d", cmd, r);
}

static void give_key(struct hf_gpg *from, const char *fpr, struct hf_gpg *to) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT;
  struct hf_list l = HF_LIST_INIT;
  OK(hf_gpg_export(from, fpr, &b, &err));
  OK(hf_gpg_import(to, b.data, b.len, &l, &err));
  assert_int_equal(l.n, 1);
  assert_string_equal(l.v[0], fpr);
  hf_list_free(&l);
  hf_buf_free(&b);
}

static int setup(void **state) {
  struct hf_error err = {0};
  (void)state;
  strcpy(base, "/tmp/hfcXXXXXX");
  if (!mkdtemp(base)) return -1;
  HF_CLEANUP(hf_freep) char *h = path("host");
  HF_CLEANUP(hf_freep) char *u = path("user");
  HF_CLEANUP(hf_freep) char *o = path("other");
  struct hf_gpg *u_by_path = NULL;
  OK(hf_gpg_open(h, true, &host, &err));
  OK(hf_gpg_open(o, true, &other, &err));
  OK(hf_gpg_open(u, true, &u_by_path, &err));
  OK(hf_gpg_make_host_key(host, "web1", host_fpr, &err));
  OK(hf_gpg_make_host_key(other, "web2", other_fpr, &err));
  OK(hf_gpg_make_host_key(u_by_path, "user", user_fpr, &err));
  give_key(u_by_path, user_fpr, host);
  give_key(u_by_path, user_fpr, other);
  hf_gpg_close(u_by_path);
  setenv("GNUPGHOME", u, 1);
  OK(hf_gpg_open(NULL, false, &user, &err));
  hf_list_add(&to_user, user_fpr);
  hf_list_add(&trusted, host_fpr);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  hf_gpg_close(host);
  hf_gpg_close(user);
  hf_gpg_close(other);
  hf_list_free(&to_user);
  hf_list_free(&trusted);
  shell("gpgconf --homedir %s/user --kill all", base);
  return hf_remove_tree(base, NULL);
}

static int memfd(const void *p, size_t n) {
  struct hf_error err = {0};
  int fd = hf_memfd("test", &err);
  assert_true(fd >= 0);
  OK(hf_pwrite_all(fd, p, n, 0, &err));
  return fd;
}

static void test_keys(void **state) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT;
  char fpr[HF_FPR_LEN + 1];
  char *uid = NULL;
  int64_t expires = -1;
  (void)state;
  OK(hf_gpg_check_recipient(host, user_fpr, &expires, &uid, &err));
  assert_int_equal(expires, 0);
  assert_string_equal(uid, "holdfast host user");
  free(uid);
  OK(hf_gpg_find(host, "holdfast host web1", fpr, &err));
  assert_string_equal(fpr, host_fpr);
  OK(hf_gpg_find(host, user_fpr, fpr, &err));
  assert_string_equal(fpr, user_fpr);
  OK(hf_gpg_find(host, user_fpr + 24, fpr, &err));
  assert_string_equal(fpr, user_fpr);
  assert_int_equal(hf_gpg_find(host, "nobody@example.com", fpr, &err), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_gpg_find(host, "", fpr, &err), HOLDFAST_E_CONFIG);
  assert_int_equal(hf_gpg_find(host, "holdfast host", fpr, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, user_fpr));
  assert_non_null(strstr(err.msg, host_fpr));
  assert_true(hf_gpg_has_secret(host, host_fpr));
  assert_false(hf_gpg_has_secret(host, user_fpr));
  assert_int_equal(hf_gpg_check_recipient(host, other_fpr, NULL, NULL, &err), HOLDFAST_E_AUTH);
  assert_non_null(strstr(err.msg, "missing"));
  assert_int_equal(hf_gpg_export(host, other_fpr, &b, &err), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_gpg_import(host, "hello", 5, NULL, &err), HOLDFAST_E_CORRUPT);
  hf_buf_free(&b);
}

/* A secret key must not slip into the host's home. */
static void test_import_secret(void **state) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *f = path("secret.asc");
  (void)state;
  shell("gpg --homedir %s/other --batch --quiet --armor --export-secret-keys %s >%s", base, other_fpr, f);
  OK(hf_read_file(f, 1 << 20, &b, &err));
  assert_int_equal(hf_gpg_import(host, b.data, b.len, NULL, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "secret"));
  assert_false(hf_gpg_has_secret(host, other_fpr));
  hf_buf_clear(&b);
  shell("gpg --homedir %s/other --batch --quiet --export-secret-keys %s >%s", base, other_fpr, f);
  OK(hf_read_file(f, 1 << 20, &b, &err));
  assert_int_equal(hf_gpg_import(host, b.data, b.len, NULL, &err), HOLDFAST_E_CONFIG);
  hf_buf_free(&b);
}

/* gpg: a generated key with the given usage, in a home of its own, then its public half imported into the host's. */
static void make_key(const char *name, const char *commands, char *fpr) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *f = path("made.asc");
  struct hf_list l = HF_LIST_INIT;
  shell("set -e; export GNUPGHOME=%s/%s; mkdir -m 700 $GNUPGHOME; %s; gpg --batch --armor --export >%s; gpgconf --kill all", base,
        name, commands, f);
  OK(hf_read_file(f, 1 << 20, &b, &err));
  OK(hf_gpg_import(host, b.data, b.len, &l, &err));
  assert_int_equal(l.n, 1);
  strcpy(fpr, l.v[0]);
  hf_list_free(&l);
  hf_buf_free(&b);
}

static void refuses(const char *fpr, const char *why) {
  struct hf_error err = {0};
  struct hf_list l = HF_LIST_INIT;
  struct hf_blob out = {0};
  struct hf_buf b = HF_BUF_INIT;
  assert_int_equal(hf_gpg_check_recipient(host, fpr, NULL, NULL, &err), HOLDFAST_E_AUTH);
  if (!strstr(err.msg, why)) fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
  /* And nothing is encrypted to it, in company either. */
  hf_list_add(&l, user_fpr);
  hf_list_add(&l, fpr);
  int fd = memfd("x", 1);
  assert_true(hf_gpg_encrypt(host, &l, false, fd, 1, &out, &err) < 0);
  assert_int_equal(hf_gpg_seal(host, &l, host_fpr, "x", 1, &b, &err), HOLDFAST_E_AUTH);
  assert_int_equal(b.len, 0);
  close(fd);
  hf_list_free(&l);
}

static void test_recipients(void **state) {
  struct hf_error err = {0};
  char fpr[HF_FPR_LEN + 1];
  int64_t expires = 0;
  (void)state;
  make_key("nosub", "gpg --batch --quiet --passphrase '' --quick-gen-key nosub ed25519 sign never 2>/dev/null", fpr);
  refuses(fpr, "no encryption subkey");
  make_key("old",
           "gpg --batch --quiet --faked-system-time 20200101T000000 --passphrase '' --quick-gen-key old default default "
           "2021-01-01 2>/dev/null",
           fpr);
  refuses(fpr, "expired on 2021-01-01");
  make_key("rev",
           "gpg --batch --quiet --passphrase '' --quick-gen-key rev default default never 2>/dev/null;"
           "sed 's/^:---/---/' $GNUPGHOME/openpgp-revocs.d/*.rev | gpg --batch --quiet --import",
           fpr);
  refuses(fpr, "revoked");
  make_key("late", "gpg --batch --quiet --passphrase '' --quick-gen-key late default default 2090-01-01 2>/dev/null", fpr);
  OK(hf_gpg_check_recipient(host, fpr, &expires, NULL, &err));
  assert_true(expires > 3786825600 && expires < 3787084800); /* within a day of it */
}

static void test_find_address(void **state) {
  struct hf_error err = {0};
  char one[HF_FPR_LEN + 1], two[HF_FPR_LEN + 1], fpr[HF_FPR_LEN + 1];
  (void)state;
  make_key("ann", "gpg --batch --quiet --passphrase '' --quick-gen-key 'Ann <ann@example.com>' default default never 2>/dev/null",
           one);
  make_key("joann",
           "gpg --batch --quiet --passphrase '' --quick-gen-key 'Joann <joann@example.com>' default default never 2>/dev/null",
           two);
  OK(hf_gpg_find(host, "ann@example.com", fpr, &err));
  assert_string_equal(fpr, one);
  OK(hf_gpg_find(host, "Joann", fpr, &err));
  assert_string_equal(fpr, two);
}

static void trust_host(struct hf_gpg *g) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT;
  OK(hf_gpg_export(host, host_fpr, &b, &err));
  OK(hf_gpg_trust_keys(g, b.data, b.len, NULL, &err));
  hf_buf_free(&b);
}

static void test_seal(void **state) {
  struct hf_error err = {0};
  struct hf_buf m = HF_BUF_INIT, t = HF_BUF_INIT;
  char signer[HF_FPR_LEN + 1] = "";
  static char big[300000];
  (void)state;
  memset(big, 'a', sizeof big);
  OK(hf_gpg_seal(host, &to_user, host_fpr, big, sizeof big, &m, &err));
  assert_true(m.len > sizeof big); /* not compressed */
  OK(hf_openpgp_check_shape(m.data, m.len, &err));
  /* The host reads its own, */
  OK(hf_gpg_unseal(host, &trusted, m.data, m.len, sizeof big, &t, signer, &err));
  assert_int_equal(t.len, sizeof big);
  assert_memory_equal(t.data, big, sizeof big);
  assert_string_equal(signer, host_fpr);
  /* and so does the key holder, whose keyring does not know the host, once he trusts its key; */
  hf_buf_clear(&t);
  assert_int_equal(hf_gpg_unseal(user, &trusted, m.data, m.len, sizeof big, &t, signer, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "not a host key"));
  trust_host(user);
  OK(hf_gpg_unseal(user, &trusted, m.data, m.len, sizeof big, &t, signer, &err));
  assert_int_equal(t.len, sizeof big);
  shell("! gpg --batch --list-keys %s >/dev/null 2>&1", host_fpr); /* his keyring stays his */
  /* a stranger does not, and is told whose it is. */
  hf_buf_clear(&t);
  assert_int_equal(hf_gpg_unseal(other, &trusted, m.data, m.len, sizeof big, &t, signer, &err), HOLDFAST_E_AUTH);
  assert_non_null(strstr(err.msg, "encrypted to"));
  /* Too much text. */
  assert_int_equal(hf_gpg_unseal(host, &trusted, m.data, m.len, 1000, &t, signer, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_gpg_unseal(user, &trusted, m.data, m.len, 1000, &t, signer, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(t.len, 0);
  /* A changed byte, a missing tail. */
  m.data[m.len / 2] ^= 1;
  assert_int_equal(hf_gpg_unseal(user, &trusted, m.data, m.len, sizeof big, &t, signer, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_gpg_unseal(host, &trusted, m.data, m.len / 2, sizeof big, &t, signer, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(t.len, 0);
  hf_buf_free(&m);
  hf_buf_free(&t);
}

/* By another's key, by nobody, by two: none of them is taken. */
static void test_signatures(void **state) {
  struct hf_error err = {0};
  struct hf_buf m = HF_BUF_INIT, t = HF_BUF_INIT;
  struct hf_blob b = {0};
  struct hf_list user_trusted = HF_LIST_INIT;
  (void)state;
  trust_host(user);
  OK(hf_gpg_seal(other, &to_user, other_fpr, "text", 4, &m, &err));
  assert_int_equal(hf_gpg_unseal(user, &trusted, m.data, m.len, 100, &t, NULL, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, other_fpr));
  int fd = memfd("text", 4);
  OK(hf_gpg_encrypt(host, &to_user, false, fd, 4, &b, &err));
  close(fd);
  assert_int_equal(hf_gpg_unseal(user, &trusted, b.data, b.size, 100, &t, NULL, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "not signed"));
  hf_blob_free(&b);
  /* A key that is known and has signed well, but is not among the trusted. */
  hf_buf_clear(&m);
  give_key(other, other_fpr, host);
  OK(hf_gpg_seal(host, &to_user, host_fpr, "text", 4, &m, &err));
  hf_list_add(&user_trusted, other_fpr);
  assert_int_equal(hf_gpg_unseal(host, &user_trusted, m.data, m.len, 100, &t, NULL, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, host_fpr));
  /* Two signatures, both good. */
  HF_CLEANUP(hf_freep) char *f = path("two.gpg");
  hf_buf_clear(&m);
  shell("gpg --homedir %s/other --batch --quiet --export-secret-keys %s | gpg --homedir %s/host --batch --quiet --import", base,
        other_fpr, base);
  shell("echo text | gpg --homedir %s/host --batch --quiet -u %s -u %s --sign --encrypt -r %s -r %s >%s", base, host_fpr,
        other_fpr, user_fpr, host_fpr, f);
  OK(hf_read_file(f, 1 << 20, &m, &err));
  hf_list_add(&user_trusted, host_fpr);
  assert_int_equal(hf_gpg_unseal(host, &user_trusted, m.data, m.len, 100, &t, NULL, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "exactly one"));
  assert_int_equal(t.len, 0);
  assert_int_equal(hf_gpg_seal(host, &to_user, user_fpr, "x", 1, &m, &err), HOLDFAST_E_AUTH); /* no secret key of that one */
  hf_list_free(&user_trusted);
  hf_buf_free(&m);
  hf_buf_free(&t);
}

/* The first n bytes of p. */
static int decrypt(struct hf_gpg *g, const void *p, size_t n, size_t max, struct hf_buf *t, struct hf_error *err) {
  struct hf_buf m = HF_BUF_INIT;
  assert_int_equal(hf_buf_in_memory_file(&m, "message", err), 0);
  hf_buf_add(&m, p, n);
  int r = hf_gpg_decrypt(g, &m, max, t, err);
  if (r < 0) assert_int_equal(t->len, 0);
  hf_buf_free(&m);
  return r;
}

static void test_bulk(void **state) {
  struct hf_error err = {0};
  struct hf_blob m = {0};
  struct hf_buf t = HF_BUF_INIT;
  size_t n = 5000001;
  unsigned char *p = hf_alloc(n);
  (void)state;
  hf_random(p, n);
  int fd = memfd(p, n);
  OK(hf_buf_in_memory_file(&t, "plain", &err));
  for (int hide = 0; hide < 2; hide++) {
    OK(hf_gpg_encrypt(host, &to_user, hide, fd, n, &m, &err));
    OK(decrypt(user, m.data, m.size, n, &t, &err));
    assert_int_equal(t.len, n);
    assert_memory_equal(t.data, p, n);
    assert_int_equal(decrypt(user, m.data, m.size, n - 1, &t, &err), HOLDFAST_E_CORRUPT);
    assert_int_equal(decrypt(host, m.data, m.size, n, &t, &err), HOLDFAST_E_AUTH);
    unsigned char *bad = hf_memdup(m.data, m.size);
    bad[m.size - 1000] ^= 4;
    assert_int_equal(decrypt(user, bad, m.size, n, &t, &err), HOLDFAST_E_CORRUPT);
    free(bad);
    assert_int_equal(decrypt(user, m.data, m.size - 10, n, &t, &err), HOLDFAST_E_CORRUPT);
    hf_blob_free(&m);
  }
  assert_int_equal(hf_gpg_encrypt(host, &to_user, false, fd, n + 1, &m, &err), HOLDFAST_E_FAILED);
  struct hf_list none = HF_LIST_INIT;
  assert_int_equal(hf_gpg_encrypt(host, &none, false, fd, n, &m, &err), HOLDFAST_E_CONFIG);
  assert_int_equal(hf_gpg_seal(host, &none, host_fpr, "x", 1, NULL, &err), HOLDFAST_E_CONFIG);
  hf_list_add(&none, "0000000000000000000000000000000000000001");
  assert_int_equal(hf_gpg_encrypt(host, &none, false, fd, n, &m, &err), HOLDFAST_E_AUTH);
  hf_list_free(&none);
  hf_buf_free(&t);
  close(fd);
  free(p);
}

/* Without key ids gpg tries one secret key after the other, and counts each that does not fit as an error: it is none of the message's. */
static void test_tried_keys(void **state) {
  struct hf_error err = {0};
  struct hf_gpg *many = NULL;
  char fpr[2][HF_FPR_LEN + 1];
  (void)state;
  HF_CLEANUP(hf_freep) char *home = path("many");
  OK(hf_gpg_open(home, true, &many, &err));
  OK(hf_gpg_make_host_key(many, "first", fpr[0], &err));
  OK(hf_gpg_make_host_key(many, "second", fpr[1], &err));
  int fd = memfd("some text", 9);
  for (int i = 0; i < 2; i++) {
    struct hf_list to = HF_LIST_INIT;
    struct hf_blob m = {0};
    struct hf_buf t = HF_BUF_INIT;
    OK(hf_buf_in_memory_file(&t, "plain", &err));
    give_key(many, fpr[i], host);
    hf_list_add(&to, fpr[i]);
    OK(hf_gpg_encrypt(host, &to, true, fd, 9, &m, &err));
    OK(decrypt(many, m.data, m.size, 9, &t, &err));
    assert_int_equal(t.len, 9);
    assert_memory_equal(t.data, "some text", 9);
    unsigned char *bad = hf_memdup(m.data, m.size);
    bad[m.size - 5] ^= 4;
    assert_int_equal(decrypt(many, bad, m.size, 9, &t, &err), HOLDFAST_E_CORRUPT);
    assert_int_equal(decrypt(user, m.data, m.size, 9, &t, &err), HOLDFAST_E_AUTH);
    free(bad);
    hf_blob_free(&m);
    hf_buf_free(&t);
    hf_list_free(&to);
  }
  close(fd);
  hf_gpg_close(many);
}

/* A hostile gpg.conf changes nothing of what is stored. */
static void test_conf(void **state) {
  struct hf_error err = {0};
  struct hf_blob m = {0};
  (void)state;
  HF_CLEANUP(hf_freep) char *conf = path("host/gpg.conf");
  struct hf_buf old = HF_BUF_INIT;
  char add[200];
  OK(hf_read_file(conf, 100000, &old, &err));
  snprintf(add, sizeof add, "armor\nencrypt-to %s\ncipher-algo CAST5\n", host_fpr);
  OK(hf_write_file_atomic(conf, add, strlen(add), 0600, &err));
  int fd = memfd("x", 1);
  OK(hf_gpg_encrypt(host, &to_user, false, fd, 1, &m, &err));
  hf_blob_free(&m);
  close(fd);
  struct hf_buf sealed = HF_BUF_INIT, text = HF_BUF_INIT;
  OK(hf_gpg_seal(host, &to_user, host_fpr, "text", 4, &sealed, &err));
  OK(hf_gpg_unseal(host, &trusted, sealed.data, sealed.len, 100, &text, NULL, &err));
  assert_int_equal(text.len, 4);
  hf_buf_free(&sealed);
  hf_buf_free(&text);
  OK(hf_write_file_atomic(conf, old.data, old.len, 0600, &err));
  hf_buf_free(&old);
}

static void test_homes(void **state) {
  struct hf_error err = {0};
  struct hf_gpg *g = NULL;
  char deep[300];
  (void)state;
  assert_int_equal(hf_gpg_open("relative", true, &g, &err), HOLDFAST_E_CONFIG);
  HF_CLEANUP(hf_freep) char *missing = path("missing");
  assert_int_equal(hf_gpg_open(missing, false, &g, &err), HOLDFAST_E_NOT_FOUND);
  HF_CLEANUP(hf_freep) char *file = path("file");
  OK(hf_write_file_atomic(file, "", 0, 0600, &err));
  assert_int_equal(hf_gpg_open(file, false, &g, &err), HOLDFAST_E_CONFIG);
  if (access("/run/user", F_OK) < 0) {
    snprintf(deep, sizeof deep, "%s/%0110d", base, 0);
    assert_int_equal(hf_gpg_open(deep, true, &g, &err), HOLDFAST_E_CONFIG);
    assert_non_null(strstr(err.msg, "too long"));
  }
  assert_null(g);
  hf_gpg_close(NULL);
}

/* Does an agent of that home answer? */
static bool has_agent(const char *home) {
  char cmd[500];
  snprintf(cmd, sizeof cmd, "gpg-connect-agent --homedir %s --no-autostart 'GETINFO pid' /bye 2>/dev/null | grep -q '^D [0-9]'", home);
  return system(cmd) == 0;
}

static void test_get_ready(void **state) {
  struct hf_error err = {0};
  struct hf_gpg *g = NULL;
  char own[HF_FPR_LEN + 1], fpr[HF_FPR_LEN + 1];
  (void)state;
  HF_CLEANUP(hf_freep) char *home = path("ready");
  HF_CLEANUP(hf_freep) char *agent_socket = path("ready/S.gpg-agent"); /* where there is no /run/user */
  OK(hf_gpg_open(home, true, &g, &err));
  hf_gpg_get_ready(g); /* there is no key yet */
  OK(hf_gpg_make_host_key(g, "ready", own, &err));
  assert_int_equal(hf_gpg_find(g, user_fpr, fpr, &err), HOLDFAST_E_NOT_FOUND);
  give_key(host, user_fpr, g);
  OK(hf_gpg_find(g, user_fpr, fpr, &err));
  hf_gpg_close(g);
  assert_false(has_agent(home));
  /* Sealing at once, and not at all. */
  for (int seals = 1; seals >= 0; seals--) {
    struct hf_buf m = HF_BUF_INIT;
    OK(hf_gpg_open(home, false, &g, &err));
    hf_gpg_get_ready(g);
    hf_gpg_get_ready(g);
    if (seals) {
      OK(hf_gpg_seal(g, &to_user, own, "text", 4, &m, &err));
      assert_true(has_agent(home));
    }
    hf_gpg_close(g);
    assert_true(access(agent_socket, F_OK) < 0); /* at once: it would be removed from under the next agent */
    assert_false(has_agent(home));
    hf_buf_free(&m);
  }
  /* One that was there before stays. */
  shell("gpgconf --homedir %s --launch gpg-agent", home);
  OK(hf_gpg_open(home, false, &g, &err));
  hf_gpg_get_ready(g);
  hf_gpg_close(g);
  assert_true(has_agent(home));
  shell("gpgconf --homedir %s --kill all", home);
}

static int shape(const char *hex) {
  unsigned char b[200];
  size_t n = strlen(hex) / 2;
  assert_true(hf_unhex(b, hex, n));
  return hf_openpgp_check_shape(b, n, NULL);
}

#define KEY "c10a030000000000000000ff" /* PKESK, 10 bytes */
static void test_shape(void **state) {
  (void)state;
  assert_int_equal(shape(KEY "d2020100"), 0);
  assert_int_equal(shape(KEY KEY "d2020100"), 0);
  assert_int_equal(shape("840a030000000000000000ff"
                         "d2020100"),
                   0); /* old format */
  assert_int_equal(shape("85000a030000000000000000ff"
                         "d2020100"),
                   0);                        /* with two length bytes */
  assert_int_equal(shape(KEY "d2e00100"), 0); /* one partial byte and an empty last piece */
  assert_int_equal(shape(KEY "d2e10100"
                             "0200"),
                   HOLDFAST_E_CORRUPT);                        /* something behind the last piece */
  assert_int_equal(shape(KEY "d2ff0000000101"), 0);            /* five-byte length */
  assert_int_equal(shape(KEY "d2e10100"), HOLDFAST_E_CORRUPT); /* no last piece */
  assert_int_equal(shape(KEY "d2020100"
                             "d2020100"),
                   HOLDFAST_E_CORRUPT); /* two of them */
  assert_int_equal(shape(KEY "d2020100" KEY), HOLDFAST_E_CORRUPT);
  assert_int_equal(shape(KEY "d4020100"), HOLDFAST_E_CORRUPT); /* OCB */
  assert_int_equal(shape(KEY "d2020200"), HOLDFAST_E_CORRUPT); /* SEIPD version 2 */
  assert_int_equal(shape("c10a060000000000000000ff"
                         "d2020100"),
                   HOLDFAST_E_CORRUPT); /* PKESK version 6 */
  assert_int_equal(shape("c3020401"
                         "d2020100"),
                   HOLDFAST_E_CORRUPT); /* a passphrase */
  assert_int_equal(shape("d2020100"), HOLDFAST_E_CORRUPT);
  assert_int_equal(shape(KEY), HOLDFAST_E_CORRUPT);
  assert_int_equal(shape(KEY "d2ff00000009"
                             "01"),
                   HOLDFAST_E_CORRUPT);
  assert_int_equal(shape(KEY "d2ffff"), HOLDFAST_E_CORRUPT);
  assert_int_equal(shape("00"), HOLDFAST_E_CORRUPT);
  assert_int_equal(shape(""), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_openpgp_check_shape("-----BEGIN PGP MESSAGE-----", 27, NULL), HOLDFAST_E_CORRUPT);
}

static void test_zstd(void **state) {
  struct hf_error err = {0};
  struct hf_buf z = HF_BUF_INIT, t = HF_BUF_INIT;
  size_t n = 3000000;
  char *p = hf_alloc(n);
  (void)state;
  for (size_t i = 0; i < n; i++) p[i] = (char)(i * i >> 7);
  OK(hf_zstd_compress(p, n, 3, &z, &err));
  assert_true(z.len < n);
  hf_buf_adds(&t, "before");
  OK(hf_zstd_decompress(z.data, z.len, n, &t, &err));
  assert_int_equal(t.len, n + 6);
  assert_memory_equal(t.data + 6, p, n);
  assert_int_equal(hf_zstd_decompress(z.data, z.len, n - 1, &t, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_zstd_decompress(z.data, z.len - 1, n, &t, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_zstd_decompress("", 0, n, &t, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(hf_zstd_decompress("garbage!", 8, n, &t, &err), HOLDFAST_E_CORRUPT);
  z.data[z.len - 1] ^= 1; /* the checksum */
  assert_int_equal(hf_zstd_decompress(z.data, z.len, n, &t, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(t.len, n + 6);
  hf_buf_clear(&z);
  hf_buf_clear(&t);
  OK(hf_zstd_compress("", 0, 3, &z, &err));
  OK(hf_zstd_decompress(z.data, z.len, 0, &t, &err));
  assert_int_equal(t.len, 0);
  hf_buf_free(&z);
  hf_buf_free(&t);
  free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shape),         cmocka_unit_test(test_zstd),       cmocka_unit_test(test_keys),
      cmocka_unit_test(test_import_secret), cmocka_unit_test(test_recipients), cmocka_unit_test(test_find_address),
      cmocka_unit_test(test_seal),          cmocka_unit_test(test_signatures), cmocka_unit_test(test_bulk),
      cmocka_unit_test(test_tried_keys),    cmocka_unit_test(test_conf),       cmocka_unit_test(test_homes),
      cmocka_unit_test(test_get_ready),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
