/* test_pack.c - object names, the secret, packs: written by us, read by us, by gpg | zstd | tar, and by sq.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "repo/pack_internal.h"

static char base[64];
static struct hf_gpg *gpg;
static char fpr[HF_FPR_LEN + 1];
static struct hf_list to = HF_LIST_INIT;

#define OK(e) assert_ok((e), &err, #e)
static void assert_ok(int r, const struct hf_error *err, const char *what) {
  if (r < 0) fail_msg("%s: %d %s", what, r, err->msg);
}

static int setup(void **state) {
  struct hf_error err = {0};
  (void)state;
  strcpy(base, "/tmp/hfpXXXXXX");
  if (!mkdtemp(base)) return -1;
  HF_CLEANUP(hf_freep) char *home = hf_path_join(base, "home");
  OK(hf_gpg_open(home, true, &gpg, &err));
  OK(hf_gpg_make_host_key(gpg, "x", fpr, &err));
  hf_list_add(&to, fpr);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  hf_gpg_close(gpg);
  hf_list_free(&to);
  return hf_remove_tree(base, NULL);
}

static void test_names(void **state) {
  struct hf_digest d;
  struct hf_object_name n;
  char key[HF_KEY_MAX];
  (void)state;
  hf_sha256("abc", 3, &d);
  hf_key_pack(key, &d);
  assert_string_equal(key, "packs/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.tar.zst.gpg");
  hf_key_parse(key, &n);
  assert_int_equal(n.kind, HF_OBJ_PACK);
  assert_true(hf_digest_eq(&n.digest, &d));
  key[6] = 'c'; /* in the wrong folder */
  hf_key_parse(key, &n);
  assert_int_equal(n.kind, HF_OBJ_OTHER);
  hf_key_index(key, &d);
  hf_key_parse(key, &n);
  assert_int_equal(n.kind, HF_OBJ_INDEX);
  hf_key_secret(key, &d);
  hf_key_parse(key, &n);
  assert_int_equal(n.kind, HF_OBJ_SECRET);
  hf_key_record(key, 42, &d);
  assert_memory_equal(key, "records/0000000042-ba78", 23);
  hf_key_parse(key, &n);
  assert_int_equal(n.kind, HF_OBJ_RECORD);
  assert_int_equal(n.seq, 42);
  hf_key_hostkey(key, fpr);
  hf_key_parse(key, &n);
  assert_int_equal(n.kind, HF_OBJ_HOSTKEY);
  assert_string_equal(n.fpr, fpr);
  hf_key_parse("README.txt", &n);
  assert_int_equal(n.kind, HF_OBJ_README);
  hf_key_parse("recover.sh", &n);
  assert_int_equal(n.kind, HF_OBJ_RECOVER);
  hf_key_parse("repository.ini", &n);
  assert_int_equal(n.kind, HF_OBJ_INI);
  static const char *const others[] = {
      "",
      "packs/",
      "packs/ba",
      "packs/ba/",
      "records/",
      "records/1-",
      "records/0000000042",
      "indexes/xyz",
      "keys/ABC.asc",
      "lock",
      "secrets/",
      "records/0000000000-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json.gpg",
      "indexes/BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD.zst.gpg",
      "indexes/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.zst.gpg.tmp",
      "records/0000000001-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json.gpgx",
  };
  for (size_t i = 0; i < HF_NELEM(others); i++) {
    hf_key_parse(others[i], &n);
    if (n.kind != HF_OBJ_OTHER || n.seq || n.fpr[0]) fail_msg("\"%s\" is taken for a %d", others[i], n.kind);
  }
}

static void test_secret(void **state) {
  struct hf_error err = {0};
  struct hf_secret s, t;
  struct hf_buf b = HF_BUF_INIT;
  (void)state;
  hf_secret_new(&s);
  assert_int_equal(strlen(s.repo_id), 32);
  hf_secret_text(&s, &b);
  OK(hf_secret_parse(b.data, b.len, &t, &err));
  assert_memory_equal(s.key, t.key, sizeof s.key);
  assert_string_equal(s.repo_id, t.repo_id);
  assert_int_equal(hf_secret_parse(b.data, b.len - 1, &t, &err), HOLDFAST_E_CORRUPT);
  b.data[16] = '2';
  assert_int_equal(hf_secret_parse(b.data, b.len, &t, &err), HOLDFAST_E_CORRUPT);
  hf_buf_free(&b);
}

/* Fixed values, made by another HKDF (Python's hmac): the derivation may never change. */
static void test_derivation(void **state) {
  struct hf_secret s = {0};
  struct hf_audience a, b;
  struct hf_list l = HF_LIST_INIT, m = HF_LIST_INIT;
  char hex[65];
  (void)state;
  for (unsigned i = 0; i < 32; i++) s.key[i] = (unsigned char)i;
  hf_list_add(&l, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");
  hf_list_add(&l, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  hf_list_add(&m, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
  hf_list_add(&m, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");
  hf_list_add(&m, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB");
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  hf_audience_derive(&s, &l, &a);
  hf_audience_derive(&s, &m, &b);
  assert_memory_equal(&a, &b, sizeof a); /* order, case and doubles say nothing */
  hf_hex(hex, a.id_key, 32);
  assert_string_equal(hex, "62c213c76cb5369fc39734111675937ec33ae8f55eab9accbeadd93bcfa7c8a7");
  hf_hex(hex, a.group_key, 32);
  assert_string_equal(hex, "14012e02702251145a764e6502930b5dd5283aafaa3b2ca48b944c6ad3c3bb92");
  assert_string_equal(a.name, "06a27e392bf9354d739f82ad8f1cbb19");
  assert_int_equal(a.gear[0], 0x5da17cce377fbb73ULL);
  assert_int_equal(a.gear[255], 0x5d5c64fc209489d6ULL);
  hf_list_free(&m);
  hf_list_add(&m, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
  hf_audience_derive(&s, &m, &b);
  assert_memory_not_equal(a.id_key, b.id_key, 32);
  hf_list_free(&l);
  hf_list_free(&m);
}

static void test_padme(void **state) {
  static const uint64_t pairs[][2] = {{0, 0},
                                      {1, 1},
                                      {2, 2},
                                      {3, 3},
                                      {9, 10},
                                      {100, 104},
                                      {1000, 1024},
                                      {1024, 1024},
                                      {1025, 1088},
                                      {1000000, 1015808},
                                      {25000000, 25165824}};
  (void)state;
  for (size_t i = 0; i < HF_NELEM(pairs); i++) assert_int_equal(hf_padme(pairs[i][0]), pairs[i][1]);
  for (uint64_t n = 2; n < 1u << 30; n = n * 9 / 8 + 1) {
    assert_true(hf_padme(n) >= n && hf_padme(n) <= n + n / 8 + 1);
    assert_int_equal(hf_padme(hf_padme(n)), hf_padme(n));
  }
}

/* n chunks of odd sizes, half text, half noise; ids under key "k". */
static struct hf_pack_writer *fill(size_t n, size_t len, struct hf_buf *all) {
  struct hf_pack_writer *w = hf_pack_writer_new();
  struct hf_hmac *h = hf_hmac_new("k", 1);
  unsigned char *p = hf_alloc(len + n);
  struct hf_digest id;
  for (size_t i = 0; i < n; i++) {
    hf_random(p, (len + i) / 2);
    assert_true(hf_pack_writer_fits(w, len + i));
    hf_hmac(h, p, len + i, &id);
    hf_pack_writer_add(w, &id, p, len + i);
    if (all) hf_buf_add(all, p, len + i);
  }
  free(p);
  hf_hmac_free(h);
  return w;
}

/* The first n bytes of what was sealed. */
static int unseal(const struct hf_sealed *s, size_t n, uint64_t raw_size, struct hf_buf *raw, struct hf_error *err) {
  struct hf_buf stored = HF_BUF_INIT, plain = HF_BUF_INIT;
  assert_int_equal(hf_buf_in_memory_file(&stored, "stored", err), 0);
  assert_int_equal(hf_buf_in_memory_file(&plain, "plain", err), 0);
  hf_buf_add(&stored, s->blob.data, n);
  int r = hf_pack_unseal(gpg, &stored, raw_size, &plain, raw, err);
  hf_buf_free(&stored);
  hf_buf_free(&plain);
  return r;
}

static void round_trip(size_t n, size_t len, bool padding, bool hide) {
  struct hf_error err = {0};
  struct hf_buf all = HF_BUF_INIT, raw = HF_BUF_INIT, got = HF_BUF_INIT;
  struct hf_pack_writer *w = fill(n, len, &all);
  struct hf_sealed s = {0};
  struct hf_hmac *h = hf_hmac_new("k", 1);
  struct hf_digest d;
  const void *p;
  assert_int_equal(hf_pack_writer_count(w), n);
  assert_int_equal(hf_pack_writer_size(w), all.len);
  OK(hf_pack_seal(w, gpg, &to, hide, 3, padding, &s, &err));
  hf_sha256(s.blob.data, s.blob.size, &d);
  assert_true(hf_digest_eq(&d, &s.digest));
  OK(unseal(&s, s.blob.size, s.raw_size, &raw, &err));
  for (size_t i = 0; i < n; i++) {
    const struct hf_chunk_ref *c = &hf_pack_writer_chunks(w)[i];
    OK(hf_pack_chunk(&raw, c, h, &p, &err));
    hf_buf_add(&got, p, c->length);
  }
  assert_int_equal(got.len, all.len);
  assert_memory_equal(got.data, all.data, all.len);
  hf_buf_free(&all);
  hf_buf_free(&raw);
  hf_buf_free(&got);
  hf_sealed_free(&s);
  hf_hmac_free(h);
  hf_pack_writer_free(w);
}

static void test_round_trip(void **state) {
  (void)state;
  round_trip(1, 1, false, false);
  round_trip(40, 511, true, false);
  round_trip(300, 20000, false, true);
  round_trip(1, HF_CHUNK_MAX, true, true);
}

static void test_limits(void **state) {
  struct hf_error err = {0};
  struct hf_pack_writer *w = hf_pack_writer_new();
  struct hf_digest id = {{1}};
  struct hf_sealed s = {0};
  char *p = hf_alloc(HF_CHUNK_MAX);
  (void)state;
  assert_true(hf_pack_writer_fits(w, HF_CHUNK_MAX));
  while (hf_pack_writer_fits(w, HF_CHUNK_MAX)) hf_pack_writer_add(w, &id, p, HF_CHUNK_MAX);
  assert_int_equal(hf_pack_writer_count(w), 4); /* 20 MiB do not hold five with their headers */
  hf_pack_writer_add(w, &id, p, HF_CHUNK_MAX);  /* but a caller who insists loses nothing */
  hf_pack_writer_add(w, &id, p, HF_CHUNK_MAX);
  hf_pack_writer_add(w, &id, p, HF_CHUNK_MAX);
  assert_true(hf_pack_writer_size(w) > HF_PACK_MAX);
  OK(hf_pack_seal(w, gpg, &to, false, 1, false, &s, &err));
  hf_sealed_free(&s);
  hf_pack_writer_free(w);
  w = hf_pack_writer_new();
  OK(hf_pack_seal(w, gpg, &to, false, 1, false, &s, &err)); /* an empty one is a valid empty tar */
  assert_int_equal(s.raw_size, 1024);
  hf_sealed_free(&s);
  hf_pack_writer_free(w);
  free(p);
}

/* Nothing of ours: gpg or sq, then zstd, then tar. */
static void test_foreign_readers(void **state) {
  struct hf_error err = {0};
  struct hf_buf all = HF_BUF_INIT, out = HF_BUF_INIT;
  struct hf_sealed s = {0};
  struct hf_pack_writer *w = fill(20, 3000, &all);
  HF_CLEANUP(hf_freep) char *f = hf_path_join(base, "pack");
  char cmd[1500];
  int code = -1;
  (void)state;
  OK(hf_pack_seal(w, gpg, &to, false, 3, true, &s, &err));
  OK(hf_write_file_atomic(f, s.blob.data, s.blob.size, 0600, &err));
  snprintf(cmd, sizeof cmd,
           "cd %s && gpg --homedir home --batch --quiet --decrypt pack | zstd -dc >pack.tar && tar -tvf pack.tar | awk '{print "
           "$1, $2, $3, length($6)}' | sort -u | head -n 1 && "
           "tar -xOf pack.tar | cmp - want && { ! command -v sq >/dev/null || { gpg --homedir home --batch --export-secret-keys "
           "--armor >sec.asc && "
           "sq decrypt --recipient-key sec.asc pack | cmp - <(gpg --homedir home --batch --quiet --decrypt pack); }; }",
           base);
  HF_CLEANUP(hf_freep) char *want = hf_path_join(base, "want");
  OK(hf_write_file_atomic(want, all.data, all.len, 0600, &err));
  const char *const argv[] = {"bash", "-o", "pipefail", "-c", cmd, NULL};
  struct hf_buf text = HF_BUF_INIT;
  OK(hf_run((char *const *)argv, NULL, NULL, 0, &out, &text, 60, &code, &err));
  if (code != 0) fail_msg("%s", text.data);
  assert_memory_equal(out.data, "-r-------- 0/0 3000 64\n", 23);
  hf_buf_free(&text);
  hf_buf_free(&out);
  hf_buf_free(&all);
  hf_sealed_free(&s);
  hf_pack_writer_free(w);
}

static void test_damage(void **state) {
  struct hf_error err = {0};
  struct hf_buf raw = HF_BUF_INIT;
  struct hf_sealed s = {0};
  struct hf_pack_writer *w = fill(3, 1000, NULL);
  struct hf_hmac *h = hf_hmac_new("k", 1);
  const void *p;
  (void)state;
  OK(hf_pack_seal(w, gpg, &to, false, 3, false, &s, &err));
  struct hf_chunk_ref c = hf_pack_writer_chunks(w)[1];
  assert_int_equal(unseal(&s, s.blob.size - 1, s.raw_size, &raw, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(unseal(&s, s.blob.size, s.raw_size - 512, &raw, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(unseal(&s, s.blob.size, s.raw_size + 512, &raw, &err), HOLDFAST_E_CORRUPT);
  assert_int_equal(unseal(&s, s.blob.size, HF_PACK_READ_MAX + 1, &raw, &err),
                   HOLDFAST_E_CORRUPT);
  assert_int_equal(raw.len, 0);
  OK(unseal(&s, s.blob.size, s.raw_size, &raw, &err));
  OK(hf_pack_chunk(&raw, &c, h, &p, &err));
  c.length--;
  assert_int_equal(hf_pack_chunk(&raw, &c, h, &p, &err), HOLDFAST_E_CORRUPT);
  OK(hf_pack_chunk(&raw, &c, NULL, &p, &err));
  c.length++;
  c.offset += 512;
  assert_int_equal(hf_pack_chunk(&raw, &c, h, &p, &err), HOLDFAST_E_CORRUPT);
  c.offset = 0;
  assert_int_equal(hf_pack_chunk(&raw, &c, h, &p, &err), HOLDFAST_E_CORRUPT);
  c = hf_pack_writer_chunks(w)[1];
  c.length = UINT32_MAX;
  assert_int_equal(hf_pack_chunk(&raw, &c, h, &p, &err), HOLDFAST_E_CORRUPT);
  c = hf_pack_writer_chunks(w)[1];
  raw.data[c.offset] ^= 1;
  assert_int_equal(hf_pack_chunk(&raw, &c, h, &p, &err), HOLDFAST_E_CORRUPT);
  assert_non_null(strstr(err.msg, "other bytes"));
  hf_hmac_free(h);
  hf_buf_free(&raw);
  hf_sealed_free(&s);
  hf_pack_writer_free(w);
}

/* Workers seal at the same time, each with its own pack, on one handle; records are sealed meanwhile. */
static void *seal_some(void *ctx) {
  struct hf_error err = {0};
  (void)ctx;
  for (int i = 0; i < 3; i++) {
    struct hf_pack_writer *w = hf_pack_writer_new();
    struct hf_sealed s = {0};
    struct hf_buf raw = HF_BUF_INIT;
    struct hf_digest id = {{(unsigned char)i}};
    hf_pack_writer_add(w, &id, "some bytes", 10);
    bool good = hf_pack_seal(w, gpg, &to, false, 3, i, &s, &err) == 0 &&
                unseal(&s, s.blob.size, s.raw_size, &raw, &err) == 0 && raw.len == 2048;
    hf_buf_free(&raw);
    hf_sealed_free(&s);
    hf_pack_writer_free(w);
    if (!good) return hf_strdup(err.msg[0] ? err.msg : "wrong bytes");
  }
  return NULL;
}

static void *seal_records(void *ctx) {
  struct hf_error err = {0};
  struct hf_buf b = HF_BUF_INIT, t = HF_BUF_INIT;
  (void)ctx;
  bool good = hf_gpg_seal(gpg, &to, fpr, "text", 4, &b, &err) == 0 &&
              hf_gpg_unseal(gpg, &to, b.data, b.len, 4, &t, NULL, &err) == 0 && t.len == 4;
  hf_buf_free(&b);
  hf_buf_free(&t);
  return good ? NULL : hf_strdup(err.msg[0] ? err.msg : "wrong bytes");
}

static void test_threads(void **state) {
  pthread_t t[6];
  (void)state;
  for (size_t i = 0; i < HF_NELEM(t); i++)
    assert_int_equal(pthread_create(&t[i], NULL, i % 2 ? seal_records : seal_some, NULL), 0);
  for (size_t i = 0; i < HF_NELEM(t); i++) {
    void *said = NULL;
    pthread_join(t[i], &said);
    if (said) fail_msg("%s", (char *)said);
  }
}

/* No recipient that works: no pack, and the writer can still be freed. */
static void test_no_recipient(void **state) {
  struct hf_error err = {0};
  struct hf_sealed s = {0};
  struct hf_list nobody = HF_LIST_INIT;
  struct hf_pack_writer *w = fill(3, 1000, NULL);
  (void)state;
  hf_list_add(&nobody, "0000000000000000000000000000000000000001");
  assert_int_equal(hf_pack_seal(w, gpg, &nobody, false, 3, false, &s, &err), HOLDFAST_E_AUTH);
  assert_null(s.blob.data);
  hf_list_free(&nobody);
  hf_pack_writer_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),           cmocka_unit_test(test_secret),     cmocka_unit_test(test_derivation),
      cmocka_unit_test(test_padme),           cmocka_unit_test(test_round_trip), cmocka_unit_test(test_limits),
      cmocka_unit_test(test_foreign_readers), cmocka_unit_test(test_damage),     cmocka_unit_test(test_no_recipient),
      cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
