/* test_recover.c - recover.sh on a small repository made here: a tree and a dump, whole, damaged, and signed by the wrong key.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/text.h"
#include "repo/repo.h"

#define OK(e) assert_ok((e), &err, #e)
static void assert_ok(int r, const struct hf_error *err, const char *what) {
  if (r < 0) fail_msg("%s: %d %s", what, r, err->msg);
}

static char base[64];
static struct hf_gpg *host;
static char host_fpr[HF_FPR_LEN + 1], user_fpr[HF_FPR_LEN + 1], other_fpr[HF_FPR_LEN + 1];
static struct hf_list to = HF_LIST_INIT;
static struct hf_secret secret;
static struct hf_audience audience;

static int shell(const char *fmt, ...) HF_PRINTF(1, 2);
static int shell(const char *fmt, ...) {
  char cmd[3000];
  va_list ap;
  int n = snprintf(cmd, sizeof cmd, "cd %s && ", base);
  va_start(ap, fmt);
  vsnprintf(cmd + n, sizeof cmd - (size_t)n, fmt, ap);
  va_end(ap);
  int r = system(cmd);
  return r < 0 || r & 127 ? -1 : r >> 8;
}

static void store(const char *key, const void *p, size_t n) {
  struct hf_error err = {0};
  HF_CLEANUP(hf_freep) char *f = hf_asprintf("%s/repo/%s", base, key);
  char *slash = strrchr(f, '/');
  *slash = '\0';
  OK(hf_mkdir_p(f, 0700, &err));
  *slash = '/';
  OK(hf_write_file_atomic(f, p, n, 0600, &err));
}

/* One snapshot in the making. */
static struct hf_buf index_text;
static size_t n_packs, n_chunks;
static struct hf_digest pack_of[16]; /* in the order they were stored */

static struct hf_digest chunk_id(const void *p, size_t n) {
  struct hf_hmac *h = hf_hmac_new(audience.id_key, 32);
  struct hf_digest d;
  hf_hmac(h, p, n, &d);
  hf_hmac_free(h);
  return d;
}

/* A pack of one chunk, so that damage is easy to place. */
static struct hf_digest store_chunk(const char *source, enum hf_pack_kind kind, const void *p, size_t n) {
  struct hf_error err = {0};
  struct hf_pack_writer *w = hf_pack_writer_new();
  struct hf_digest id = chunk_id(p, n);
  struct hf_sealed s = {0};
  char key[HF_KEY_MAX];
  hf_pack_writer_add(w, &id, p, n);
  OK(hf_pack_seal(w, host, &to, false, 3, n_packs % 2, &s, &err));
  hf_key_pack(key, &s.digest);
  store(key, s.blob.data, s.blob.size);
  struct hf_index_pack x = {
      .digest = s.digest, .stored = s.blob.size, .raw = s.raw_size, .kind = kind, .source = source, .audience = audience.name};
  hf_index_add(&index_text, &x, hf_pack_writer_chunks(w), 1);
  pack_of[n_packs++] = s.digest;
  n_chunks++;
  hf_sealed_free(&s);
  hf_pack_writer_free(w);
  return id;
}

static void slice(struct hf_buf *recipe, const struct hf_digest *id, size_t len, size_t off, size_t take) {
  char hex[HF_SHA256_HEX];
  hf_digest_hex(id, hex);
  hf_buf_addf(recipe, "c %s %zu %zu %zu\n", hex, len, off, take);
}

static void finish_stream(struct hf_record_stream *st, const char *source, const char *name, const char *format,
                          const struct hf_buf *data, struct hf_buf *recipe, unsigned clines, unsigned elines) {
  struct hf_digest d;
  hf_buf_addf(recipe, "end %zu %u %u\n", data->len, clines, elines);
  st->name = hf_strdup(name);
  st->format = hf_strdup(format);
  st->size = data->len;
  hf_sha256(data->data, data->len, &d);
  hf_digest_hex(&d, st->sha256);
  hf_sha256(recipe->data, recipe->len, &st->recipe_sha256);
  st->recipe_size = recipe->len;
  /* The recipe in two chunks. */
  size_t half = recipe->len / 2;
  st->recipe = hf_allocn(2, sizeof *st->recipe);
  st->n_recipe = 2;
  st->recipe[0] = store_chunk(source, HF_PACK_RECIPE, recipe->data, half);
  st->recipe[1] = store_chunk(source, HF_PACK_RECIPE, recipe->data + half, recipe->len - half);
}

/* The tar of a/one, a/two, b/large, c/three: one group up to the header of the large file, its data in two chunks, a group with the rest and the end. */
static void make_tree(struct hf_record_source *src) {
  struct hf_error err = {0};
  struct hf_buf tar = HF_BUF_INIT, recipe = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *f = hf_asprintf("%s/tree.tar", base);
  assert_int_equal(shell("mkdir -p tree/a tree/b tree/c && echo one >tree/a/one && echo two >'tree/a/t wo' && head -c 700000 "
                         "/dev/urandom >tree/b/large && echo three "
                         ">tree/c/three && setfattr -n user.x -v y tree/a/one && tar --posix --xattrs --sort=name -b 2 -cf "
                         "tree.tar -C tree a b c"),
                   0);
  OK(hf_read_file(f, 10000000, &tar, &err));
  const char *large = memmem(tar.data, tar.len, "b/large", 7);
  while (large && ((large - tar.data) % 512 != 0 || large[156] != '0')) /* not the name inside an extended header */
    large = memmem(large + 1, tar.len - (size_t)(large + 1 - tar.data), "b/large", 7);
  assert_non_null(large);
  size_t head = (size_t)(large - tar.data) + 512, data = (700000 + 511) / 512 * 512, half = 300000;
  hf_buf_adds(&recipe, "holdfast-recipe 1\nstream tree tar\n");
  struct hf_digest id = store_chunk("files", HF_PACK_DATA, tar.data, head);
  slice(&recipe, &id, head, 0, head);
  hf_buf_adds(&recipe, "e d 755 0 0 0 1.000000000 1.000000000 1 - a - 0 512 0\n");
  hf_buf_adds(&recipe, "e f 644 0 0 4 1.000000000 1.000000000 2 - a/one - 512 1024 0\n");
  hf_buf_adds(&recipe, "e f 644 0 0 4 1.000000000 1.000000000 3 - a/t\\040wo - 1536 1024 0\n");
  hf_buf_addf(&recipe, "e f 644 0 0 700000 1.000000000 ! 4 - b/large - 2560 512 %zu\n", data);
  id = store_chunk("files", HF_PACK_DATA, tar.data + head, half);
  slice(&recipe, &id, half, 0, half);
  id = store_chunk("files", HF_PACK_DATA, tar.data + head + half, data - half);
  slice(&recipe, &id, data - half, 0, data - half);
  /* The last group lies in the middle of a chunk that holds something else too. */
  size_t rest = tar.len - head - data;
  char *padded = hf_alloc(rest + 1024);
  memcpy(padded + 512, tar.data + head + data, rest);
  id = store_chunk("files", HF_PACK_DATA, padded, rest + 1024);
  slice(&recipe, &id, rest + 1024, 512, rest);
  hf_buf_adds(&recipe, "e f 644 0 0 6 1.000000000 1.000000000 5 - c/three - 512 1024 0\n");
  free(padded);
  src->name = hf_strdup("files");
  src->n_streams = 1;
  src->streams = hf_alloc(sizeof *src->streams);
  finish_stream(src->streams, "files", "tree", "tar", &tar, &recipe, 4, 5);
  hf_buf_free(&tar);
  hf_buf_free(&recipe);
}

static void make_dump(struct hf_record_source *src) {
  struct hf_error err = {0};
  struct hf_buf dump = HF_BUF_INIT, recipe = HF_BUF_INIT;
  HF_CLEANUP(hf_freep) char *f = hf_asprintf("%s/dump", base);
  assert_int_equal(shell("seq 1 100000 >dump"), 0);
  OK(hf_read_file(f, 10000000, &dump, &err));
  hf_buf_adds(&recipe, "holdfast-recipe 1\nstream dump.sql raw\n");
  struct hf_digest a = store_chunk("db", HF_PACK_DATA, dump.data, 100000);
  struct hf_digest b = store_chunk("db", HF_PACK_DATA, dump.data + 100000, dump.len - 100000);
  slice(&recipe, &a, 100000, 0, 100000);
  slice(&recipe, &b, dump.len - 100000, 0, dump.len - 100000);
  src->name = hf_strdup("db");
  src->n_streams = 1;
  src->streams = hf_alloc(sizeof *src->streams);
  finish_stream(src->streams, "db", "dump.sql", "raw", &dump, &recipe, 2, 0);
  /* A plugin's state full of what a careless reader of the record would take for streams. */
  src->state = json_loads("{\"streams\": [{\"name\": \"evil\", \"format\": \"raw\", \"recipe_sha256\": \"00\", \"recipe\": "
                          "[\"x\"]}], \"name\": \"evil\"}",
                          0, NULL);
  hf_buf_free(&dump);
  hf_buf_free(&recipe);
}

static void fill_source(struct hf_record_source *s) {
  s->plugin = hf_strdup("p");
  s->version = hf_strdup("1");
  s->status = hf_strdup("complete");
  s->audience = hf_strdup(audience.name);
  hf_list_add(&s->recipients, user_fpr);
}

static void seal_record(struct hf_record *r, const char *signer, const char *name_override) {
  struct hf_error err = {0};
  struct hf_buf text = HF_BUF_INIT, m = HF_BUF_INIT;
  struct hf_digest d;
  char key[HF_KEY_MAX];
  hf_record_write(r, &text);
  OK(hf_gpg_seal(host, &to, signer, text.data, text.len, &m, &err));
  hf_sha256(m.data, m.len, &d);
  hf_key_record(key, r->seq, &d);
  store(name_override ? name_override : key, m.data, m.len);
  hf_buf_free(&text);
  hf_buf_free(&m);
}

static struct hf_record *new_record(enum hf_record_type type, uint64_t seq) {
  struct hf_record *r = hf_alloc(sizeof *r);
  r->type = type;
  r->seq = seq;
  strcpy(r->repo_id, secret.repo_id);
  r->id = hf_strdup("0123456789abcdef0123456789abcdef");
  r->host = hf_strdup("web1");
  r->tool = hf_strdup("test");
  return r;
}

static int setup(void **state) {
  struct hf_error err = {0};
  struct hf_gpg *user = NULL, *other = NULL;
  struct hf_buf b = HF_BUF_INIT, z = HF_BUF_INIT;
  (void)state;
  strcpy(base, "/tmp/hfrXXXXXX");
  if (!mkdtemp(base)) return -1;
  HF_CLEANUP(hf_freep) char *h = hf_path_join(base, "host");
  HF_CLEANUP(hf_freep) char *u = hf_path_join(base, "user");
  OK(hf_gpg_open(h, true, &host, &err));
  OK(hf_gpg_open(u, true, &user, &err));
  OK(hf_gpg_make_host_key(host, "web1", host_fpr, &err));
  OK(hf_gpg_make_host_key(host, "thief", other_fpr, &err));
  OK(hf_gpg_make_host_key(user, "user", user_fpr, &err));
  OK(hf_gpg_export(user, user_fpr, &b, &err));
  OK(hf_gpg_import(host, b.data, b.len, NULL, &err));
  hf_gpg_close(user);
  hf_gpg_close(other);
  setenv("GNUPGHOME", u, 1);
  hf_list_add(&to, user_fpr);
  hf_secret_new(&secret);
  hf_audience_derive(&secret, &to, &audience);
  char key[HF_KEY_MAX];
  hf_buf_clear(&b);
  OK(hf_gpg_export(host, host_fpr, &b, &err));
  hf_key_hostkey(key, host_fpr);
  store(key, b.data, b.len);
  store("recover.sh", hf_text_recover, strlen(hf_text_recover));
  store("README.txt", hf_text_readme, strlen(hf_text_readme));

  struct hf_record *r = new_record(HF_RECORD_SNAPSHOT, 2);
  hf_index_begin(&index_text, secret.repo_id);
  r->n_sources = 2;
  r->sources = hf_allocn(2, sizeof *r->sources);
  make_tree(&r->sources[0]);
  make_dump(&r->sources[1]);
  fill_source(&r->sources[0]);
  fill_source(&r->sources[1]);
  hf_index_end(&index_text, n_packs, n_chunks);
  OK(hf_zstd_compress(index_text.data, index_text.len, 3, &z, &err));
  hf_buf_clear(&b);
  OK(hf_gpg_seal(host, &to, host_fpr, z.data, z.len, &b, &err));
  r->n_indexes = 1;
  r->indexes = hf_alloc(sizeof *r->indexes);
  hf_sha256(b.data, b.len, &r->indexes->sha256);
  hf_key_index(key, &r->indexes->sha256);
  store(key, b.data, b.len);
  r->indexes->packs = hf_asprintf("0-%zu", n_packs - 1);
  seal_record(r, host_fpr, NULL);
  hf_record_free(r);
  r = new_record(HF_RECORD_DRILL, 3); /* the newest record is not a snapshot */
  seal_record(r, host_fpr, NULL);
  hf_record_free(r);
  hf_buf_free(&b);
  hf_buf_free(&z);
  return shell("cp -a repo whole");
}

static int teardown(void **state) {
  (void)state;
  hf_gpg_close(host);
  hf_list_free(&to);
  hf_buf_free(&index_text);
  shell("gpgconf --homedir user --kill all");
  return hf_remove_tree(base, NULL);
}

static int each(void **state) {
  (void)state;
  return shell("rm -rf repo out && cp -a whole repo");
}

static const char same_tree[] = "t='tar --posix --pax-option=delete=atime,delete=ctime --xattrs --sort=name -cf - a b c'; cd "
                                "tree && $t >../w; cd ../out/files && $t | cmp - ../../w";

static void test_whole(void **state) {
  (void)state;
  if (shell("sh repo/recover.sh repo latest out 2>err") != 0) {
    shell("cat err >&2");
    fail();
  }
  assert_int_equal(shell("%s", same_tree), 0);
  assert_int_equal(shell("getfattr --only-values -n user.x out/files/a/one | grep -qx y"), 0);
  assert_int_equal(shell("cmp dump out/db/dump.sql"), 0);
  assert_int_equal(shell("grep -q %s err", host_fpr), 0);
  assert_int_equal(shell("test -z \"$(ls -A out | grep -vx -e files -e db)\""), 0); /* nothing left behind */
  assert_int_equal(shell("test ! -e out/db/evil"), 0);
  /* Again: what is there stays. */
  assert_int_equal(shell("sh repo/recover.sh repo 2 out 2>err"), 3);
}

static void test_choice(void **state) {
  (void)state;
  assert_int_equal(shell("sh repo/recover.sh -k %s repo 0000000002 out db 2>err", host_fpr), 0);
  assert_int_equal(shell("cmp dump out/db/dump.sql && test ! -e out/files"), 0);
  assert_int_equal(shell("sh repo/recover.sh repo 3 out2 2>err"), 1); /* not a snapshot */
  assert_int_equal(shell("sh repo/recover.sh repo 7 out2 2>err"), 1);
  assert_int_equal(shell("sh repo/recover.sh repo latest out2 nosuch 2>err"), 1);
  assert_int_equal(shell("sh repo/recover.sh repo x out2 2>err"), 2);
  assert_int_equal(shell("sh repo/recover.sh repo 2>err"), 2);
  assert_int_equal(shell("sh repo/recover.sh -k %s repo latest out2 2>err", user_fpr), 1);
  assert_int_equal(
      shell("GNUPGHOME=$PWD/nobody; export GNUPGHOME; mkdir -m 700 nobody; sh repo/recover.sh repo latest out2 2>err"), 1);
  assert_int_equal(shell("grep -q 'No secret key' err"), 0);
}

static void damage_pack(size_t i, bool remove) {
  char key[HF_KEY_MAX];
  hf_key_pack(key, &pack_of[i]);
  assert_int_equal(shell(remove ? "rm repo/%s" : "printf x | dd of=repo/%s bs=1 seek=300 conv=notrunc 2>/dev/null", key), 0);
}

/* The group: its entries are gone with the large file's data, the rest is there. */
static void test_lost_group(void **state) {
  (void)state;
  damage_pack(0, true);
  assert_int_equal(shell("sh repo/recover.sh repo latest out 2>err"), 3);
  assert_int_equal(shell("cmp tree/c/three out/files/c/three && cmp dump out/db/dump.sql && test ! -e out/files/b"), 0);
  assert_int_equal(shell("grep -q 'DAMAGE: files/tree: lost: a/one$' err && grep -q 'lost: a/t.040wo$' err && grep -q 'lost: "
                         "b/large$' err && ! grep -q three err"),
                   0);
}

/* A piece of a large file: zeros there, and it is named. */
static void test_lost_data(void **state) {
  (void)state;
  damage_pack(1, false);
  assert_int_equal(shell("sh repo/recover.sh repo latest out 2>err"), 3);
  assert_int_equal(shell("cmp tree/c/three out/files/c/three && cmp tree/a/one out/files/a/one"), 0);
  assert_int_equal(
      shell("grep -q 'damaged: b/large$' err && tail -c +300001 tree/b/large >w; tail -c +300001 out/files/b/large | cmp - w"),
      0);
  assert_int_equal(shell("head -c 300000 out/files/b/large | tr -d '\\000' | wc -c | grep -qx 0"), 0);
}

static void test_lost_raw_and_recipe(void **state) {
  (void)state;
  damage_pack(4, true); /* a recipe pack of files */
  damage_pack(6, true); /* data of db */
  assert_int_equal(shell("sh repo/recover.sh repo latest out 2>err"), 3);
  assert_int_equal(
      shell("test ! -e out/db/dump.sql && tail -c +100001 dump >w && tail -c +100001 out/db/dump.sql.damaged | cmp - w"), 0);
  assert_int_equal(shell("grep -q 'whole stream is lost' err"), 0);
}

static void test_bad_metadata(void **state) {
  (void)state;
  struct hf_record *r = new_record(HF_RECORD_SNAPSHOT, 9);
  seal_record(r, other_fpr, NULL); /* newest, and signed by a thief */
  seal_record(r, host_fpr, "records/0000000010-0000000000000000000000000000000000000000000000000000000000000000.json.gpg");
  hf_record_free(r);
  r = new_record(HF_RECORD_SNAPSHOT, 8);
  seal_record(r, host_fpr, NULL);
  shell(
      "for f in repo/records/0000000008-*; do mv $f repo/records/0000000007-${f#*-}; done"); /* a good record under another number */
  hf_record_free(r);
  assert_int_equal(shell("sh repo/recover.sh repo latest out 2>err"), 3);
  assert_int_equal(shell("grep -q 'DAMAGE: record 0000000010.*name says' err && grep -q 'DAMAGE: record 0000000009.*not signed "
                         "by a host key' err && "
                         "grep -q 'DAMAGE: record 0000000007.*another' err && cmp dump out/db/dump.sql"),
                   0);
  assert_int_equal(shell("rm -rf out repo/indexes/*; sh repo/recover.sh repo 2 out 2>err"), 3);
  assert_int_equal(shell("grep -q 'DAMAGE: index .*missing' err && test ! -e out/db/dump.sql"), 0);
}

/* What anybody who can write to the replica can put there: a message to the recipient that becomes far more than a record may be, and names that are none. */
static void test_not_ours(void **state) {
  (void)state;
  static const char wrapper[] = "#!/bin/sh\nPATH=${PATH#*:}\ngpg \"$@\"\nrc=$?\nexec 4>&1\nstat -L -c %s /proc/$$/fd/4 >>\"$SIZES\"\nexit $rc\n";
  struct hf_error err = {0};
  HF_CLEANUP(hf_freep) char *file = hf_asprintf("%s/wrap/gpg", base);
  assert_int_equal(shell("rm -rf wrap sizes && mkdir wrap && head -c 400000000 /dev/zero | gpg --batch --quiet --trust-model always --compress-algo zlib -z 1 -r %s -e -o bomb - && "
                         "mv bomb repo/records/0000000009-$(sha256sum <bomb | cut -d' ' -f1).json.gpg", user_fpr),
                   0);
  OK(hf_write_file_atomic(file, wrapper, sizeof wrapper - 1, 0700, &err));
  assert_int_equal(shell("SIZES=$PWD/sizes PATH=$PWD/wrap:$PATH sh repo/recover.sh repo latest out 2>err"), 3);
  assert_int_equal(shell("grep -q 'DAMAGE: record 0000000009-' err && cmp dump out/db/dump.sql"), 0);
  /* The least that is not too much. */
  assert_int_equal(shell("sort -n sizes | awk '{ n = $0 } END { exit !(NR > 3 && n + 0 <= 268435457) }'"), 0);
  assert_int_equal(shell("rm -rf out repo/records/0000000009-*; e=$(printf '\\033[2J'); : >repo/records/0000000009-$e.json.gpg; : >\"repo/records/0000000009-* x.json.gpg\"; "
                         ": >\"repo/keys/$e.asc\"; sh repo/recover.sh repo latest out 2>err"),
                   0);
  assert_int_equal(shell("! grep -q \"$(printf '\\033')\" err && cmp dump out/db/dump.sql"), 0);
}

/* Other shells and tools, where they are installed. */
static void test_other_shells(void **state) {
  (void)state;
  assert_int_equal(shell("for s in 'bash --posix' dash 'busybox sh'; do command -v ${s%% *} >/dev/null || continue; rm -rf out; "
                         "$s repo/recover.sh repo latest out 2>err || exit 1; cmp dump "
                         "out/db/dump.sql && cmp tree/b/large out/files/b/large || exit 1; done"),
                   0);
  /* awk and the small tools of busybox */
  assert_int_equal(shell("command -v busybox >/dev/null || exit 0; rm -rf out bin; mkdir bin; for t in awk sort head tail cat "
                         "sha256sum; do ln -s $(command -v busybox) bin/$t; done; "
                         "PATH=$PWD/bin:$PATH sh repo/recover.sh repo latest out 2>err && cmp tree/b/large out/files/b/large && "
                         "cmp dump out/db/dump.sql"),
                   0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_whole, each),
      cmocka_unit_test_setup(test_choice, each),
      cmocka_unit_test_setup(test_lost_group, each),
      cmocka_unit_test_setup(test_lost_data, each),
      cmocka_unit_test_setup(test_lost_raw_and_recipe, each),
      cmocka_unit_test_setup(test_bad_metadata, each),
      cmocka_unit_test_setup(test_not_ours, each),
      cmocka_unit_test_setup(test_other_shells, each),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
