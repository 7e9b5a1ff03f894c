/* target_conformance.c - holdfast-target-conformance: does a target plugin keep the contract of <holdfast/target.h>?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: holdfast-target-conformance [-n OBJECTS] PLUGIN.so [KEY=VALUE ...]
 * Works below a prefix of its own, which it removes again. Prints TAP; exits 0 when all is well, 1 when not, 2 when it
 * could not be told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "target_calls.h"

#define BIG (40u * 1024 * 1024)

struct arguments {
  const char *file;
  char **settings;
  int n;
  size_t objects; /* for the long listing */
};

static void test_plugin(const struct arguments *a) {
  conf_load(a->file, HOLDFAST_TARGET_ENTRY, offsetof(struct holdfast_target_plugin, close) + sizeof plugin.close, sizeof plugin,
            &plugin);
  if (!conf_ok(plugin.open && plugin.capabilities && plugin.parallel && plugin.put && plugin.get && plugin.stat && plugin.list &&
                   plugin.remove && plugin.close,
               "all mandatory callbacks are there"))
    conf_bail("a mandatory callback is missing");
  conf_check_settings(plugin.head.settings, true);
  values = conf_values(plugin.head.settings, a->settings, a->n);
  snprintf(prefix, sizeof prefix, "conformance-%lx-%lx/", (unsigned long)getpid(), (unsigned long)time(NULL));
}

static void test_capabilities(void *h) {
  const uint32_t known =
      HOLDFAST_CREATE_ONLY | HOLDFAST_SERVER_CHECKSUM | HOLDFAST_OBJECT_LOCK | HOLDFAST_STORAGE_CLASS | HOLDFAST_SPACE;
  uint32_t caps = plugin.capabilities(h);
  conf_ok((caps & ~known) == 0, "capabilities are known ones");
  conf_ok(plugin.parallel(h) >= 1, "parallel is at least 1: %u", plugin.parallel(h));
  if (!(caps & HOLDFAST_SPACE)) {
    conf_skip("space", "not one of the capabilities");
    return;
  }
  struct holdfast_space s = {.struct_size = sizeof s};
  conf_ok(plugin.space && plugin.space(h, &s) == HOLDFAST_OK && (s.total == 0 || s.total >= s.free),
          "space tells a total and what is free of it");
}

static void test_absent(void *h) {
  const char *const absent[] = {"absent", "no/such/folder/absent"};
  struct names l;
  conf_begin();
  t_must_not_be(h, absent[0]);
  t_must_not_be(h, absent[1]);
  conf_ok(conf_flawless(), "what is not there is HOLDFAST_E_NOT_FOUND to get and stat");
  conf_begin();
  conf_ok(t_remove(h, absent, 2) == HOLDFAST_OK && t_remove(h, NULL, 0) == HOLDFAST_OK && conf_flawless(),
          "to remove what is not there, or nothing, is no error");
  conf_begin();
  int status = t_list(h, "no/such/folder/", &l);
  conf_ok(status == HOLDFAST_OK && l.n == 0 && conf_flawless(), "a prefix that holds nothing lists nothing");
  t_names_free(&l);
  conf_begin();
  status = t_list(h, "", &l);
  conf_ok(status == HOLDFAST_OK && l.n == 0 && conf_flawless(), "nothing has been made by asking");
  t_names_free(&l);
}

static void test_sizes(void *h) {
  static const size_t sizes[] = {0, 1, 2, 511, 4096, 65537, 1 << 20, BIG};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char name[32];
    struct names l;
    unsigned char *data = t_bytes(sizes[i], (unsigned)i + 1);
    snprintf(name, sizeof name, "sizes/%zu", sizes[i]);
    conf_begin();
    t_must_put(h, name, data, sizes[i], HOLDFAST_PUT_CREATE);
    t_must_be(h, name, data, sizes[i]);
    t_list(h, "sizes/", &l);
    bool listed = false;
    for (size_t k = 0; k < l.n; k++) listed |= strcmp(l.v[k], name) == 0 && l.size[k] == sizes[i];
    conf_ok(conf_flawless() && listed && l.n == i + 1, "an object of %zu bytes: put, stat, get and list agree", sizes[i]);
    t_names_free(&l);
    free(data);
  }
}

/* ---- ranges ---- */

struct range {
  const unsigned char *data; /* of the whole object */
  uint64_t at, left;
  bool wrong;
};

static int range_sink(void *ctx, const void *data, size_t n) {
  struct range *r = ctx;
  if (n > r->left || memcmp(r->data + r->at, data, n) != 0) {
    r->wrong = true;
    return HOLDFAST_E_CORRUPT;
  }
  r->at += n;
  r->left -= n;
  return HOLDFAST_OK;
}

static int get_range(void *h, const char *name, const unsigned char *data, uint64_t size, uint64_t offset, uint64_t length) {
  struct range r = {data, offset, length == UINT64_MAX ? size - offset : length, false};
  int status = t_get(h, name, offset, length, range_sink, &r);
  if (r.wrong || (status == HOLDFAST_OK && r.left > 0))
    conf_flaw("get %s, %llu bytes from %llu: other bytes, or too many, or too few", name, (unsigned long long)length,
              (unsigned long long)offset);
  return status;
}

static void test_ranges(void *h) {
  static const struct {
    uint64_t offset, length;
  } good[] = {{0, 1},         {0, BIG},     {BIG - 1, 1},       {BIG - 1, UINT64_MAX}, {1, UINT64_MAX},
              {12345, 54321}, {8388607, 2}, {BIG / 2, BIG / 2}, {5, 10 * 1024 * 1024}, {0, 0},
              {77, 0}};
  unsigned char *data = t_bytes(BIG, 8);
  char name[32];
  snprintf(name, sizeof name, "sizes/%u", BIG);
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    conf_begin();
    int status = get_range(h, name, data, BIG, good[i].offset, good[i].length);
    char length[32] = "the rest";
    if (good[i].length != UINT64_MAX) snprintf(length, sizeof length, "%llu bytes", (unsigned long long)good[i].length);
    conf_ok(status == HOLDFAST_OK && conf_flawless(), "get of %s from %llu", length, (unsigned long long)good[i].offset);
  }
  conf_begin();
  int status = get_range(h, "sizes/0", data, 0, 0, UINT64_MAX);
  conf_ok(status == HOLDFAST_OK && conf_flawless(), "get of an empty object to its end");
  status = get_range(h, name, data, BIG, BIG, UINT64_MAX);
  conf_ok((status == HOLDFAST_OK || status == HOLDFAST_E_CORRUPT) && conf_flawless(), "get from the very end gives nothing");
  /* The sink may have had the bytes that are there: the host does not use them before the end. */
  status = get_range(h, name, data, BIG, BIG - 10, 11);
  conf_ok(status == HOLDFAST_E_CORRUPT && *conf_message(), "get of more than there is, is HOLDFAST_E_CORRUPT (status %d)",
          status);
  status = get_range(h, name, data, BIG, BIG + 1, 1);
  conf_ok(status == HOLDFAST_E_CORRUPT && *conf_message(), "get from behind the end is HOLDFAST_E_CORRUPT (status %d)", status);
  status = get_range(h, "sizes/0", data, 0, 0, 1);
  conf_ok(status == HOLDFAST_E_CORRUPT && *conf_message(), "get of a byte of an empty object is HOLDFAST_E_CORRUPT (status %d)",
          status);
  free(data);
}

/* ---- sinks and listers that refuse ---- */

struct refusal {
  int status;
  unsigned calls;
};

static int refusing_sink(void *ctx, const void *data, size_t n) {
  struct refusal *r = ctx;
  (void)data;
  (void)n;
  r->calls++;
  return r->status;
}

static int refusing_lister(void *ctx, const char *key, uint64_t size) {
  struct refusal *r = ctx;
  (void)key;
  (void)size;
  r->calls++;
  return r->status;
}

static void test_refusals(void *h) {
  static const int statuses[] = {HOLDFAST_E_FAILED, HOLDFAST_E_CANCELED, HOLDFAST_E_NO_SPACE};
  char name[32], key[KEY_MAX + 1];
  bool good = true;
  snprintf(name, sizeof name, "sizes/%u", BIG);
  for (size_t i = 0; i < 3; i++) {
    struct refusal r = {statuses[i], 0};
    good &= t_get(h, name, 0, UINT64_MAX, refusing_sink, &r) == statuses[i] && r.calls == 1;
  }
  conf_ok(good, "a status from the sink ends get with that status, at once");
  good = true;
  for (size_t i = 0; i < 3; i++) {
    struct refusal r = {statuses[i], 0};
    good &= plugin.list(h, t_key(key, ""), refusing_lister, &r) == statuses[i] && r.calls == 1;
  }
  conf_ok(good, "a status from the lister ends list with that status, at once");
  conf_begin();
  unsigned char *data = t_bytes(511, 4);
  t_must_be(h, "sizes/511", data, 511);
  free(data);
  conf_ok(conf_flawless(), "the instance is as good as before then");
}

/* ---- create, replace ---- */

static void test_create(void *h) {
  if (!(plugin.capabilities(h) & HOLDFAST_CREATE_ONLY)) {
    conf_skip("create-only put", "not one of the capabilities");
    return;
  }
  conf_begin();
  t_must_put(h, "create/once", "first", 5, HOLDFAST_PUT_CREATE);
  int same = t_put(h, "create/once", "first", 5, HOLDFAST_PUT_CREATE);
  int other = t_put(h, "create/once", "another", 7, HOLDFAST_PUT_CREATE);
  t_must_be(h, "create/once", "first", 5);
  conf_ok(conf_flawless() && same == HOLDFAST_E_EXISTS && other == HOLDFAST_E_EXISTS,
          "a create-only put of a key that is taken is HOLDFAST_E_EXISTS and changes nothing");
  conf_begin();
  const char *const name = "create/once";
  int gone = t_remove(h, &name, 1);
  t_must_put(h, name, "second", 6, HOLDFAST_PUT_CREATE);
  t_must_be(h, name, "second", 6);
  conf_ok(gone == HOLDFAST_OK && conf_flawless(), "once it is removed the key is free again");
}

static int first_byte(void *ctx, const void *data, size_t n) {
  if (n > 0) *(char *)ctx = *(const char *)data;
  return HOLDFAST_OK;
}

static void test_replace(void *h) {
  char c = 0;
  conf_begin();
  t_must_put(h, "replace", "short", 5, 0);
  t_must_put(h, "replace", "rather longer", 13, 0);
  t_must_be(h, "replace", "rather longer", 13);
  t_must_put(h, "replace", "", 0, 0);
  t_must_be(h, "replace", "", 0);
  conf_ok(conf_flawless(), "a put without create replaces an object of another size");
  conf_begin();
  t_must_put(h, "same", "aaaa", 4, 0);
  t_must_put(h, "same", "bbbb", 4, 0);
  t_get(h, "same", 0, UINT64_MAX, first_byte, &c);
  t_must_be(h, "same", c == 'a' ? "aaaa" : "bbbb", 4);
  conf_ok(conf_flawless(), "a put without create of the same size leaves the old object or the new one%s",
          c == 'b' ? " (here: the new one)" : "");
}

/* ---- names ---- */

static void test_keys(void *h) {
  static const char *const names[] = {"keys/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                                      "keys/.hidden",
                                      "keys/-dash",
                                      "keys/_",
                                      "keys/...",
                                      "keys/a..b",
                                      "keys/a.",
                                      "keys/A",
                                      "keys/a",
                                      "keys/d/e/e/p/e/r/a/n/d/d/e/e/p/e/r/x"};
  char longest[KEY_MAX + 1];
  struct names l;
  size_t n = sizeof names / sizeof *names, i;
  conf_begin();
  for (i = 0; i < n; i++) t_must_put(h, names[i], names[i], strlen(names[i]), HOLDFAST_PUT_CREATE);
  for (i = 0; i < n; i++) t_must_be(h, names[i], names[i], strlen(names[i]));
  t_list(h, "keys/", &l);
  for (i = 0; i < n; i++)
    if (!t_has(&l, names[i])) conf_flaw("%s is not listed", names[i]);
  conf_ok(conf_flawless() && l.n == n, "every character a key may have, in every place");
  t_names_free(&l);
  /* Parts of 100 bytes up to 512 with the prefix. */
  size_t len = KEY_MAX - strlen(prefix);
  memset(longest, 'k', len);
  longest[len] = '\0';
  for (i = 100; i < len - 1; i += 101) longest[i] = '/';
  conf_begin();
  t_must_put(h, longest, "long", 4, HOLDFAST_PUT_CREATE);
  t_must_be(h, longest, "long", 4);
  t_list(h, "", &l);
  conf_ok(conf_flawless() && t_has(&l, longest), "a key of %d bytes", KEY_MAX);
  t_names_free(&l);
}

static void test_prefixes(void *h) {
  static const char *const names[] = {"prefix/ab/1", "prefix/ab/c/2", "prefix/abc/3", "prefix/ab.x", "prefix/ab-/4", "prefix/b"};
  struct names l, m;
  conf_begin();
  for (size_t i = 0; i < 6; i++) t_must_put(h, names[i], "x", 1, 0);
  t_list(h, "prefix/ab/", &l);
  t_list(h, "prefix/", &m);
  conf_ok(conf_flawless() && l.n == 2 && t_has(&l, names[0]) && t_has(&l, names[1]), "a prefix does not match half a part");
  conf_ok(conf_flawless() && m.n == 6, "a prefix matches at any depth");
  t_names_free(&l);
  t_names_free(&m);
  conf_begin();
  t_must_not_be(h, "prefix/ab");
  conf_ok(conf_flawless(), "what only other keys begin with is not an object");
}

static void test_many(void *h, size_t n) {
  struct names l;
  char name[32];
  conf_begin();
  for (size_t i = 0; i < n; i++) {
    snprintf(name, sizeof name, "many/%02zx/%06zu", i % 16, i);
    t_must_put(h, name, name, i % 8, HOLDFAST_PUT_CREATE);
    alarm(CONF_TIMEOUT);
  }
  t_list(h, "many/", &l);
  conf_ok(conf_flawless() && l.n == n, "%zu objects are listed, each once", n);
  bool sizes = true;
  for (size_t i = 0; i < l.n; i++) sizes &= l.size[i] == strtoul(strrchr(l.v[i], '/') + 1, NULL, 10) % 8;
  conf_ok(sizes, "with their sizes");
  conf_begin();
  int status = t_remove(h, (const char *const *)l.v, l.n);
  t_names_free(&l);
  t_list(h, "many/", &l);
  conf_ok(status == HOLDFAST_OK && conf_flawless() && l.n == 0, "removed in one call they are gone");
  t_names_free(&l);
}

/* ---- instances ---- */

static void test_reopen(void *h) {
  conf_begin();
  void *other = t_open(0);
  if (other) {
    struct names a, b;
    t_list(h, "", &a);
    t_list(other, "", &b);
    if (a.n != b.n) conf_flaw("%zu objects, and %zu to the other instance", a.n, b.n);
    for (size_t i = 0; i < a.n; i++)
      if (!t_has(&b, a.v[i])) conf_flaw("%s is not seen by the other instance", a.v[i]);
    t_must_put(other, "other", "x", 1, 0);
    t_must_be(h, "other", "x", 1);
    t_names_free(&a);
    t_names_free(&b);
    plugin.close(other);
    t_must_be(h, "other", "x", 1);
  }
  conf_ok(other && conf_flawless(), "a second instance, opened without create, sees all; each sees what the other does");
}

static void test_probe(void *h) {
  struct conf_process before;
  struct names a, b;
  if (!plugin.probe) {
    conf_skip("probe", "the plugin has none");
    return;
  }
  const struct holdfast_host *host = conf_host("probe");
  conf_begin();
  t_list(h, "", &a);
  conf_process(&before);
  conf_clear();
  int status = plugin.probe(host, values);
  conf_ok(status == HOLDFAST_OK, "probe says that it would work: %s", conf_message());
  conf_process_same(&before, "probe");
  t_list(h, "", &b);
  conf_ok(conf_flawless() && a.n == b.n, "probe has written nothing");
  t_names_free(&a);
  t_names_free(&b);
}

static void test_memory(void) {
  struct conf_process before;
  conf_begin();
  for (int i = 0; i < 23; i++) {
    void *h = t_open(0);
    if (i == 3) conf_process(&before);
    if (!h) break;
    t_must_put(h, "memory", "0123456789", 10, 0);
    t_must_be(h, "memory", "0123456789", 10);
    plugin.close(h);
  }
  conf_ok(conf_flawless(), "20 times open, put, get and close");
  conf_heap_same(&before, "20 times open, put, get and close");
}

static void clean_up(void *h) {
  struct names l;
  conf_begin();
  int status = t_list(h, "", &l);
  status = status ? status : t_remove(h, (const char *const *)l.v, l.n);
  t_names_free(&l);
  t_list(h, "", &l);
  conf_ok(status == HOLDFAST_OK && l.n == 0 && conf_flawless(), "everything can be removed again");
  t_names_free(&l);
}

static void test_all(void *ctx) {
  const struct arguments *a = ctx;
  struct conf_process before;
  test_plugin(a);
  conf_begin();
  void *h = t_open(1);
  if (!conf_ok(h && conf_flawless(), "open with create")) conf_bail("open failed: %s", conf_message());
  plugin.close(h);
  /* From here on: what libraries keep for the process has been made. */
  conf_process(&before);
  conf_begin();
  h = t_open(0);
  if (!conf_ok(h && conf_flawless(), "open again, without create")) conf_bail("open failed: %s", conf_message());
  test_capabilities(h);
  test_absent(h);
  test_sizes(h);
  test_ranges(h);
  test_refusals(h);
  test_create(h);
  test_race(h);
  test_replace(h);
  test_keys(h);
  test_prefixes(h);
  test_many(h, a->objects);
  test_threads(h);
  test_reopen(h);
  test_probe(h);
  test_stopped_put(h);
  test_killed_put(h);
  test_memory();
  clean_up(h);
  plugin.close(h);
  conf_process_same(&before, "all of it");
}

int main(int argc, char **argv) {
  struct arguments a = {.objects = 100};
  int c;
  while ((c = getopt(argc, argv, "+n:")) == 'n') a.objects = strtoul(optarg, NULL, 10);
  if (c != -1 || optind == argc || a.objects < 1 || a.objects > 900000) {
    fprintf(stderr, "usage: %s [-n OBJECTS] PLUGIN.so [KEY=VALUE ...]\n", argv[0]);
    return 2;
  }
  a.file = argv[optind];
  a.settings = argv + optind + 1;
  a.n = argc - optind - 1;
  return conf_run(test_all, &a);
}
