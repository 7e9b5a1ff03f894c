/* fuzz_postgres.c - fuzz target: what a PostgreSQL server sends in a base backup: tar archives and a manifest.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says how: its lowest bit the parser (0 tar, 1 manifest), the others the size of the pieces.
 */
#include <stdio.h>
#include <string.h>

#include "../../plugins/postgres/physical.h"
#include "fuzz.h"

/* What must hold whatever comes in; a trap is what fuzzers look for. */
static void must(bool ok) {
  if (!ok) __builtin_trap();
}

struct seen {
  uint64_t left; /* data of the file under way */
  bool in_file;
  uint64_t hash; /* of everything, so that two walks can be compared */
};

static void mix(struct seen *s, const void *p, size_t n) {
  for (size_t i = 0; i < n; i++) s->hash = (s->hash ^ ((const unsigned char *)p)[i]) * 1099511628211u;
}

static int on_entry(void *ctx, const struct hf_pg_tar_entry *e) {
  struct seen *s = ctx;
  must(!s->in_file);
  /* No name leads out of the folder. */
  must(e->name[0] && e->name[0] != '/' && strlen(e->name) <= HF_PG_TAR_NAME && !strstr(e->name, "//"));
  char framed[HF_PG_TAR_NAME + 3];
  snprintf(framed, sizeof framed, "/%s/", e->name);
  must(!strstr(framed, "/../") && !strstr(framed, "/./"));
  s->in_file = !e->folder;
  s->left = e->size;
  mix(s, e->name, strlen(e->name));
  return 0;
}

static int on_data(void *ctx, const void *p, size_t n) {
  struct seen *s = ctx;
  must(s->in_file && n > 0 && n <= s->left);
  s->left -= n;
  mix(s, p, n);
  return 0;
}

static int on_end(void *ctx) {
  struct seen *s = ctx;
  must(s->in_file && s->left == 0);
  s->in_file = false;
  return 0;
}

static int tar(const uint8_t *data, size_t n, size_t piece, uint64_t *hash) {
  struct hf_pg_tar t;
  struct seen s = {.hash = 14695981039346656037u};
  int rc = 0;
  hf_pg_tar_start(&t, &(struct hf_pg_tar_sink){&s, on_entry, on_data, on_end});
  for (size_t at = 0; rc == 0 && at < n; at += piece) rc = hf_pg_tar_feed(&t, data + at, n - at < piece ? n - at : piece);
  if (rc == 0) rc = hf_pg_tar_end(&t);
  must(rc == 0 || (rc == HOLDFAST_E_CORRUPT && t.why[0]));
  *hash = s.hash;
  return rc;
}

static int on_file(void *ctx, const char *path, uint64_t size, enum hf_pg_sum kind, const unsigned char *sum, size_t sum_n) {
  struct seen *s = ctx;
  must(path[0] && size <= INT64_MAX && sum_n <= HF_PG_SUM_MAX && (kind == HF_PG_SUM_NONE) == (sum_n == 0));
  mix(s, path, strlen(path));
  mix(s, sum, sum_n);
  return 0;
}

static int on_wal(void *ctx, uint32_t timeline, uint64_t start, uint64_t end) {
  struct seen *s = ctx;
  must(timeline > 0 && end >= start);
  mix(s, &end, sizeof end);
  return 0;
}

static int manifest(const uint8_t *data, size_t n, size_t piece, uint64_t *hash) {
  struct seen s = {.hash = 14695981039346656037u};
  struct hf_pg_manifest *m = hf_pg_manifest_new(&(struct hf_pg_manifest_sink){&s, on_file, on_wal});
  int rc = 0;
  must(m != NULL);
  for (size_t at = 0; rc == 0 && at < n; at += piece) rc = hf_pg_manifest_feed(m, data + at, n - at < piece ? n - at : piece);
  if (rc == 0) rc = hf_pg_manifest_end(m);
  must(rc == 0 || *hf_pg_manifest_why(m));
  hf_pg_manifest_free(m);
  *hash = s.hash;
  return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  uint64_t in_pieces, whole;
  if (n == 0) return 0;
  int (*parse)(const uint8_t *, size_t, size_t, uint64_t *) = data[0] & 1 ? manifest : tar;
  /* However the bytes are cut, the same is seen. */
  int rc = parse(data + 1, n - 1, (data[0] >> 1) + 1u, &in_pieces);
  must(rc == parse(data + 1, n - 1, n, &whole) && (rc != 0 || in_pieces == whole));
  return 0;
}
