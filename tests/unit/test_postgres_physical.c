/* test_postgres_physical.c - the parts of mode = physical that read outside bytes: tar archives, manifests, and the one against the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "../../plugins/postgres/physical.h"

/* ---- a host that keeps the last message ---- */

static char message[1000];
static void on_error(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text);
}
static void on_log(void *ctx, int level, const char *text) {
  (void)ctx;
  (void)level;
  (void)text;
}
static int on_cancelled(void *ctx) {
  (void)ctx;
  return 0;
}
static const struct holdfast_host host = {.struct_size = sizeof host, .instance = "test", .log = on_log, .error = on_error, .cancelled = on_cancelled};

/* ---- making archives and manifests ---- */

struct text {
  char p[256 * 1024];
  size_t n;
};

static void add(struct text *t, const void *p, size_t n) {
  assert_true(t->n + n <= sizeof t->p);
  memcpy(t->p + t->n, p, n);
  t->n += n;
}

static void say(struct text *t, const char *s) { add(t, s, strlen(s)); }

static void sum_header(char *h) {
  unsigned sum = 0;
  memset(h + 148, ' ', 8);
  for (int i = 0; i < 512; i++) sum += (unsigned char)h[i];
  snprintf(h + 148, 8, "%06o", sum);
}

static void add_entry(struct text *t, const char *name, char type, const char *data, size_t n) {
  char h[512] = "", zeros[512] = "";
  snprintf(h, 100, "%s", name);
  memcpy(h + 100, "0000600 ", 8);
  snprintf(h + 124, 12, "%011o", (unsigned)n);
  h[156] = type;
  memcpy(h + 257, "ustar\00000", 8);
  sum_header(h);
  add(t, h, 512);
  add(t, data, n);
  add(t, zeros, (512 - n % 512) % 512);
}

static void add_file(struct text *t, const char *name, const char *data) { add_entry(t, name, '0', data, strlen(data)); }

static void end_tar(struct text *t) {
  char zeros[1024] = "";
  add(t, zeros, sizeof zeros);
}

/* ---- tar ---- */

struct seen {
  char text[4096];
  size_t n;
  int answer; /* of entry */
};

static void note(struct seen *s, const char *text, size_t n) {
  assert_true(s->n + n < sizeof s->text);
  memcpy(s->text + s->n, text, n);
  s->n += n;
  s->text[s->n] = '\0';
}

static int see_entry(void *ctx, const struct hf_pg_tar_entry *e) {
  struct seen *s = ctx;
  char line[400];
  snprintf(line, sizeof line, "[%s%s %llu %o]", e->name, e->folder ? "/" : "", (unsigned long long)e->size, e->mode);
  note(s, line, strlen(line));
  return s->answer;
}
static int see_data(void *ctx, const void *p, size_t n) {
  note(ctx, p, n);
  return 0;
}
static int see_end(void *ctx) {
  note(ctx, ";", 1);
  return 0;
}

/* Walk it in pieces of that size. The status; what was seen is in *s, and why in *why. */
static int walk(const struct text *t, size_t piece, struct seen *s, char *why, size_t cap) {
  struct hf_pg_tar tar;
  int rc = 0;
  s->n = 0;
  s->text[0] = '\0';
  hf_pg_tar_start(&tar, &(struct hf_pg_tar_sink){s, see_entry, see_data, see_end});
  for (size_t at = 0; rc == 0 && at < t->n; at += piece) rc = hf_pg_tar_feed(&tar, t->p + at, t->n - at < piece ? t->n - at : piece);
  if (rc == 0) rc = hf_pg_tar_end(&tar);
  snprintf(why, cap, "%s", tar.why);
  return rc;
}

static void tar_is_walked(void **state) {
  (void)state;
  static struct text t;
  struct seen s = {.n = 0};
  char why[400], exact[513];
  t.n = 0;
  memset(exact, 'x', 512);
  exact[512] = '\0';
  add_entry(&t, "base/", '5', "", 0);
  add_file(&t, "base/PG_VERSION", "15\n");
  add_file(&t, "base/empty", "");
  add_file(&t, "./base/exact", exact);
  end_tar(&t);
  static const size_t pieces[] = {1, 7, 511, 512, 513, 100000};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    assert_int_equal(walk(&t, pieces[i], &s, why, sizeof why), 0);
    char want[1000];
    snprintf(want, sizeof want, "[base/ 0 600][base/PG_VERSION 3 600]15\n;[base/empty 0 600];[base/exact 512 600]%s;", exact);
    assert_string_equal(s.text, want);
  }
  s.answer = HOLDFAST_E_NO_SPACE;
  assert_int_equal(walk(&t, 512, &s, why, sizeof why), HOLDFAST_E_NO_SPACE);
  assert_string_equal(why, "");
}

static void tar_is_refused(void **state) {
  (void)state;
  static struct text t;
  struct seen s = {.n = 0};
  char why[400];
  static const char *const names[] = {"../x", "/etc/passwd", "a/../b", "a//b", "././a", "./", "./../a", "./", ".", ""};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    t.n = 0;
    add_file(&t, names[i], "x");
    end_tar(&t);
    assert_int_equal(walk(&t, 512, &s, why, sizeof why), HOLDFAST_E_CORRUPT);
    assert_non_null(strstr(why, "not a name"));
  }
  for (const char *type = "1234679xgLK"; *type; type++) {
    t.n = 0;
    add_entry(&t, "a", *type, "", 0);
    end_tar(&t);
    assert_int_equal(walk(&t, 512, &s, why, sizeof why), HOLDFAST_E_CORRUPT);
    assert_non_null(strstr(why, "neither a file nor a folder"));
  }
  t.n = 0;
  add_file(&t, "a", "abc");
  end_tar(&t);
  for (size_t cut = 1; cut < t.n; cut += 13) {
    struct text *part = malloc(sizeof *part);
    assert_non_null(part);
    memcpy(part->p, t.p, cut);
    part->n = cut;
    assert_int_equal(walk(part, 512, &s, why, sizeof why), HOLDFAST_E_CORRUPT);
    free(part);
  }
  t.p[3] ^= 1;
  assert_int_equal(walk(&t, 512, &s, why, sizeof why), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(why, "damaged"));
  t.p[3] ^= 1;
  add_file(&t, "behind", "x");
  assert_int_equal(walk(&t, 512, &s, why, sizeof why), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(why, "behind the end"));
}

/* More than 8 GiB: base 256. Only the header is walked. */
static void tar_large_file(void **state) {
  (void)state;
  struct hf_pg_tar tar;
  struct seen s = {.n = 0};
  static struct text t;
  t.n = 0;
  add_entry(&t, "large", '0', "", 0);
  memset(t.p + 124, 0, 12);
  t.p[124] = (char)0x80;
  t.p[131] = 3; /* 3 * 2^32 */
  sum_header(t.p);
  hf_pg_tar_start(&tar, &(struct hf_pg_tar_sink){&s, see_entry, NULL, NULL});
  assert_int_equal(hf_pg_tar_feed(&tar, t.p, 512), 0);
  assert_string_equal(s.text, "[large 12884901888 600]");
  t.p[125] = 1; /* more than 2^62 */
  sum_header(t.p);
  hf_pg_tar_start(&tar, &(struct hf_pg_tar_sink){&s, see_entry, NULL, NULL});
  assert_int_equal(hf_pg_tar_feed(&tar, t.p, 512), HOLDFAST_E_CORRUPT);
}

/* ---- checksums ---- */

static void crc_is_right(void **state) {
  (void)state;
  struct hf_pg_crc c;
  char data[1000];
  hf_pg_crc_init(&c);
  /* The check value of CRC-32C. */
  assert_int_equal(~hf_pg_crc_add(&c, HF_PG_CRC_START, "123456789", 9), 0xE3069283u);
  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
  uint32_t whole = hf_pg_crc_add(&c, HF_PG_CRC_START, data, sizeof data);
  c.instruction = false;
  assert_int_equal(hf_pg_crc_add(&c, HF_PG_CRC_START, data, sizeof data), whole);
  assert_int_equal(hf_pg_crc_add(&c, hf_pg_crc_add(&c, HF_PG_CRC_START, data, 333), data + 333, sizeof data - 333), whole);
}

static void inventory_finds(void **state) {
  (void)state;
  struct hf_pg_inventory *v = hf_pg_inventory_new();
  struct hf_pg_seen f;
  char path[40];
  assert_non_null(v);
  assert_false(hf_pg_inventory_find(v, "a", &f));
  for (uint32_t i = 0; i < 5000; i++) {
    snprintf(path, sizeof path, "base/1/%u", i);
    assert_int_equal(hf_pg_inventory_add(v, path, i, &i, sizeof i), 0);
  }
  assert_int_equal(hf_pg_inventory_add(v, "base/1/77", 1, NULL, 0), HOLDFAST_E_EXISTS);
  for (uint32_t i = 0; i < 5000; i++) {
    snprintf(path, sizeof path, "base/1/%u", i);
    assert_true(hf_pg_inventory_find(v, path, &f));
    assert_int_equal(f.size, i);
    assert_memory_equal(f.sum, &i, sizeof i);
    assert_false(f.named);
  }
  hf_pg_inventory_name(v, "base/1/4999");
  assert_true(hf_pg_inventory_find(v, "base/1/4999", &f) && f.named);
  assert_false(hf_pg_inventory_find(v, "base/1/5000", &f));
  hf_pg_inventory_free(v);
}

/* ---- the manifest, and the audit ---- */

static void hex_sum(const char *data, size_t n, char *out) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned len;
  assert_int_equal(EVP_Digest(data, n, sum, &len, EVP_sha256(), NULL), 1);
  for (unsigned i = 0; i < len; i++) sprintf(out + 2 * i, "%02x", sum[i]);
}

static void add_checksum(struct text *m) {
  char hex[65];
  hex_sum(m->p, m->n, hex);
  say(m, "\"Manifest-Checksum\": \"");
  say(m, hex);
  say(m, "\"}\n");
}

static void add_manifest_file(struct text *m, const char *path, const char *data, const char *behind) {
  char line[600], hex[65];
  hex_sum(data, strlen(data), hex);
  snprintf(line, sizeof line, "{ \"Path\": \"%s\", \"Size\": %zu, \"Last-Modified\": \"2026-11-20 12:00:00 GMT\", \"Checksum-Algorithm\": \"SHA256\", "
           "\"Checksum\": \"%s\" }%s\n", path, strlen(data), hex, behind);
  say(m, line);
}

#define SEGMENT (1 << 20)
static char wal[SEGMENT + 1];

/* A backup of two files, a tablespace with one, and two segments of WAL. */
static void make_backup(struct text *m, const char *version_said, const char *range) {
  m->n = 0;
  say(m, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7190340623408534721,\n\"Files\": [\n");
  add_manifest_file(m, "pg_tblspc/16385/PG_15/1", "in a tablespace", ",");
  add_manifest_file(m, "PG_VERSION", version_said, ",");
  add_manifest_file(m, "base/1/2", "two", "");
  say(m, "],\n\"WAL-Ranges\": [\n");
  say(m, range);
  say(m, "],\n");
}

#define RANGE "{ \"Timeline\": 1, \"Start-LSN\": \"0/300028\", \"End-LSN\": \"0/4FFFFF\" }\n"

struct tars {
  const char *extra;    /* one file more */
  bool twice, no_wal, short_wal, no_two;
};

static int feed_tars(struct hf_pg_audit *a, const struct tars *how) {
  static char big[3 * SEGMENT + 65536];
  static struct text t;
  size_t n = 0;
  t.n = 0;
  add_file(&t, "PG_15/1", "in a tablespace");
  end_tar(&t);
  int rc = hf_pg_audit_tar(a, "16385.tar", "16385", NULL);
  if (rc == 0) rc = hf_pg_audit_tar_feed(a, t.p, t.n);
  if (rc == 0) rc = hf_pg_audit_tar_end(a);
  t.n = 0;
  add_file(&t, "PG_VERSION", "15\n");
  if (!how->no_two) add_file(&t, "base/1/2", "two");
  if (how->twice) add_file(&t, "PG_VERSION", "15\n");
  if (how->extra) add_file(&t, how->extra, "extra");
  memcpy(big, t.p, t.n);
  n = t.n;
  for (int i = 3; i <= (how->no_wal ? 3 : 4); i++) {
    char name[60];
    size_t size = how->short_wal && i == 3 ? SEGMENT - 512 : SEGMENT;
    t.n = 0;
    snprintf(name, sizeof name, "pg_wal/0000000100000000%08X", (unsigned)i);
    add_entry(&t, name, '0', "", 0);
    snprintf(t.p + 124, 12, "%011o", (unsigned)size);
    sum_header(t.p);
    memcpy(big + n, t.p, 512);
    memcpy(big + n + 512, wal, size);
    n += 512 + size;
  }
  memset(big + n, 0, 1024);
  if (rc == 0) rc = hf_pg_audit_tar(a, "base.tar", "", NULL);
  if (rc == 0) rc = hf_pg_audit_tar_feed(a, big, n + 1024);
  if (rc == 0) rc = hf_pg_audit_tar_end(a);
  return rc;
}

static int run_audit(const struct text *m, const struct tars *how, size_t piece) {
  struct hf_pg_audit *a = hf_pg_audit_new(&host, HF_PG_SUM_SHA256);
  assert_non_null(a);
  message[0] = '\0';
  int rc = feed_tars(a, how);
  for (size_t at = 0; rc == 0 && at < m->n; at += piece) rc = hf_pg_audit_manifest_feed(a, m->p + at, m->n - at < piece ? m->n - at : piece);
  if (rc == 0) rc = hf_pg_audit_finish(a);
  hf_pg_audit_free(a);
  return rc;
}

static void audit_agrees(void **state) {
  (void)state;
  static struct text m;
  make_backup(&m, "15\n", RANGE);
  add_checksum(&m);
  assert_int_equal(run_audit(&m, &(struct tars){0}, 1), 0);
  assert_int_equal(run_audit(&m, &(struct tars){0}, 1000), 0);
  assert_int_equal(run_audit(&m, &(struct tars){.extra = "pg_wal/archive_status/000000010000000000000003.done"}, 1000), 0);
}

static void refused(const struct text *m, const struct tars *how, const char *why) {
  assert_int_equal(run_audit(m, how, 77), HOLDFAST_E_CORRUPT);
  if (!strstr(message, why)) fail_msg("wanted: %s; got: %s", why, message);
}

static void audit_refuses(void **state) {
  (void)state;
  static struct text m;
  make_backup(&m, "15\n", RANGE);
  add_checksum(&m);
  refused(&m, &(struct tars){.extra = "base/1/3"}, "base/1/3: is in the backup and not in the server's manifest");
  refused(&m, &(struct tars){.twice = true}, "PG_VERSION: is in the backup twice");
  refused(&m, &(struct tars){.no_two = true}, "base/1/2: is in the server's manifest and not in the backup");
  refused(&m, &(struct tars){.no_wal = true}, "pg_wal/000000010000000000000004: is needed");
  refused(&m, &(struct tars){.short_wal = true}, "pg_wal/000000010000000000000003: is not a whole WAL segment");
  /* Every byte counts: none can be changed without its being seen. */
  for (size_t i = 0; i < m.n; i += 3) {
    m.p[i] ^= 1;
    assert_int_equal(run_audit(&m, &(struct tars){0}, 4096), HOLDFAST_E_CORRUPT);
    m.p[i] ^= 1;
  }
  m.n -= 1;
  refused(&m, &(struct tars){0}, "cut off");
  m.n += 1;
  say(&m, "more\n");
  refused(&m, &(struct tars){0}, "behind its end");
  make_backup(&m, "16\n", RANGE);
  add_checksum(&m);
  refused(&m, &(struct tars){0}, "PG_VERSION: its checksum");
  make_backup(&m, "longer", RANGE);
  add_checksum(&m);
  refused(&m, &(struct tars){0}, "PG_VERSION: has 3 bytes in the backup and 6");
  make_backup(&m, "15\n", "");
  add_checksum(&m);
  refused(&m, &(struct tars){0}, "does not say which WAL");
  make_backup(&m, "15\n", "{ \"Timeline\": 1, \"Start-LSN\": \"0/300028\", \"End-LSN\": \"FFFFFFFF/0\" }\n");
  add_checksum(&m);
  refused(&m, &(struct tars){0}, "more WAL than there is");
}

static void manifest_lines(void **state) {
  (void)state;
  static struct text m;
  static const struct {
    const char *line, *why;
  } lines[] = {
    {"nonsense\n", "not what the server writes"},
    {"{ \"Size\": 1 }\n", "without a Path"},
    {"{ \"Path\": \"a\", \"Size\": -1 }\n", "no Size"},
    {"{ \"Path\": \"a\", \"Size\": 1, \"Checksum\": \"00\" }\n", "go together"},
    {"{ \"Path\": \"a\", \"Size\": 1, \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"xyz\" }\n", "a Checksum that is none"},
    {"{ \"Encoded-Path\": \"00\", \"Size\": 1 }\n", "Encoded-Path"},
  };
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    m.n = 0;
    say(&m, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n");
    say(&m, lines[i].line);
    refused(&m, &(struct tars){0}, lines[i].why);
  }
  m.n = 0;
  say(&m, "{ \"PostgreSQL-Backup-Manifest-Version\": 3,\n");
  refused(&m, &(struct tars){0}, "version 1 or 2");
  m.n = 0;
  for (int i = 0; i < 5000; i++) say(&m, "long line ");
  refused(&m, &(struct tars){0}, "longer than");
}

int main(void) {
  const struct CMUnitTest all[] = {
    cmocka_unit_test(tar_is_walked),  cmocka_unit_test(tar_is_refused), cmocka_unit_test(tar_large_file), cmocka_unit_test(crc_is_right),
    cmocka_unit_test(inventory_finds), cmocka_unit_test(audit_agrees),   cmocka_unit_test(audit_refuses),  cmocka_unit_test(manifest_lines),
  };
  return cmocka_run_group_tests(all, NULL, NULL);
}
