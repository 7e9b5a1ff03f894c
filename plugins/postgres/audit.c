/* audit.c - does what passes agree with the server's manifest? What pg_verifybackup asks of files on a disk, asked of tar archives under way.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Of every file in the archives the path, size and checksum are noted; the manifest, which comes behind them, names what there should be. Not in the manifest
 * are the files of pg_wal: of those, the segments of the WAL ranges it names must be there, whole.
 */
#include "physical.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define WAL "pg_wal/"
#define MAX_RANGES 64 /* timelines a backup can span; there is one unless a standby was promoted during it, and then the server fails */

struct range {
  uint32_t timeline;
  uint64_t start, end;
};

struct hf_pg_audit {
  const struct holdfast_host *host;
  enum hf_pg_sum kind;
  struct hf_pg_crc crc_tables;
  EVP_MD_CTX *digest;
  struct hf_pg_inventory *files;
  struct hf_pg_manifest *manifest;
  uint64_t bytes, named;
  /* the archive under way */
  struct hf_pg_tar tar;
  struct hf_pg_tar_sink then;
  char stream[80];
  char prefix[64];                       /* what the paths of a tablespace begin with */
  char path[HF_PG_TAR_NAME + 65];        /* of the file under way */
  uint64_t size;
  uint32_t crc;
  struct range ranges[MAX_RANGES];
  size_t n_ranges;
};

static int wrong(struct hf_pg_audit *a, const char *path, const char *what) {
  return holdfast_fail(a->host, HOLDFAST_E_CORRUPT, "%s: %s", path, what);
}

/* ---- the archives ---- */

static int on_entry(void *ctx, const struct hf_pg_tar_entry *e) {
  struct hf_pg_audit *a = ctx;
  if (!e->folder) {
    snprintf(a->path, sizeof a->path, "%s%s", a->prefix, e->name);
    a->size = e->size;
    a->crc = HF_PG_CRC_START;
    if (a->kind == HF_PG_SUM_SHA256 && EVP_DigestInit_ex(a->digest, EVP_sha256(), NULL) != 1)
      return holdfast_fail(a->host, HOLDFAST_E_FAILED, "SHA-256 does not work");
  }
  return a->then.entry ? a->then.entry(a->then.ctx, e) : 0;
}

static int on_data(void *ctx, const void *p, size_t n) {
  struct hf_pg_audit *a = ctx;
  if (a->kind == HF_PG_SUM_CRC32C) a->crc = hf_pg_crc_add(&a->crc_tables, a->crc, p, n);
  else if (a->kind == HF_PG_SUM_SHA256 && EVP_DigestUpdate(a->digest, p, n) != 1)
    return holdfast_fail(a->host, HOLDFAST_E_FAILED, "SHA-256 does not work");
  return a->then.data ? a->then.data(a->then.ctx, p, n) : 0;
}

static int on_end(void *ctx) {
  struct hf_pg_audit *a = ctx;
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned sum_n = 0;
  if (a->kind == HF_PG_SUM_CRC32C) {
    /* Little-endian, as a server of that kind writes it into its manifest. */
    uint32_t crc = ~a->crc;
    for (; sum_n < 4; sum_n++) sum[sum_n] = (unsigned char)(crc >> 8 * sum_n);
  } else if (a->kind == HF_PG_SUM_SHA256 && EVP_DigestFinal_ex(a->digest, sum, &sum_n) != 1) {
    return holdfast_fail(a->host, HOLDFAST_E_FAILED, "SHA-256 does not work");
  }
  int rc = hf_pg_inventory_add(a->files, a->path, a->size, sum, sum_n);
  if (rc == HOLDFAST_E_EXISTS) return wrong(a, a->path, "is in the backup twice");
  if (rc == HOLDFAST_E_NO_SPACE)
    return holdfast_fail(a->host, HOLDFAST_E_FAILED, "the backup has more than %d files, which is more than can be checked", HF_PG_FILES_MAX);
  if (rc < 0) return holdfast_fail(a->host, HOLDFAST_E_FAILED, "out of memory");
  a->bytes += a->size;
  return a->then.end ? a->then.end(a->then.ctx) : 0;
}

static int on_manifest_file(void *ctx, const char *path, uint64_t size, enum hf_pg_sum kind, const unsigned char *sum, size_t sum_n);
static int on_manifest_wal(void *ctx, uint32_t timeline, uint64_t start, uint64_t end);

struct hf_pg_audit *hf_pg_audit_new(const struct holdfast_host *host, enum hf_pg_sum kind) {
  struct hf_pg_audit *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->host = host;
  a->kind = kind;
  hf_pg_crc_init(&a->crc_tables);
  a->digest = EVP_MD_CTX_new();
  a->files = hf_pg_inventory_new();
  a->manifest = hf_pg_manifest_new(&(struct hf_pg_manifest_sink){a, on_manifest_file, on_manifest_wal});
  if (a->digest && a->files && a->manifest) return a;
  hf_pg_audit_free(a);
  return NULL;
}

void hf_pg_audit_free(struct hf_pg_audit *a) {
  if (!a) return;
  EVP_MD_CTX_free(a->digest);
  hf_pg_inventory_free(a->files);
  hf_pg_manifest_free(a->manifest);
  free(a);
}

int hf_pg_audit_tar(struct hf_pg_audit *a, const char *stream, const char *oid, const struct hf_pg_tar_sink *then) {
  a->then = then ? *then : (struct hf_pg_tar_sink){0};
  snprintf(a->stream, sizeof a->stream, "%s", stream);
  a->prefix[0] = '\0';
  if (*oid) snprintf(a->prefix, sizeof a->prefix, "pg_tblspc/%.20s/", oid);
  hf_pg_tar_start(&a->tar, &(struct hf_pg_tar_sink){a, on_entry, on_data, on_end});
  return 0;
}

int hf_pg_audit_tar_feed(struct hf_pg_audit *a, const void *p, size_t n) {
  int rc = hf_pg_tar_feed(&a->tar, p, n);
  return rc < 0 && a->tar.why[0] ? wrong(a, a->stream, a->tar.why) : rc;
}

int hf_pg_audit_tar_end(struct hf_pg_audit *a) {
  int rc = hf_pg_tar_end(&a->tar);
  return rc < 0 && a->tar.why[0] ? wrong(a, a->stream, a->tar.why) : rc;
}

/* ---- the manifest ---- */

static int on_manifest_file(void *ctx, const char *path, uint64_t size, enum hf_pg_sum kind, const unsigned char *sum, size_t sum_n) {
  struct hf_pg_audit *a = ctx;
  struct hf_pg_seen f;
  if (!hf_pg_inventory_find(a->files, path, &f)) return wrong(a, path, "is in the server's manifest and not in the backup");
  if (f.named) return wrong(a, path, "is in the server's manifest twice");
  if (f.size != size)
    return holdfast_fail(a->host, HOLDFAST_E_CORRUPT, "%s: has %llu bytes in the backup and %llu in the server's manifest", path,
                         (unsigned long long)f.size, (unsigned long long)size);
  if (kind != a->kind) return wrong(a, path, "has a checksum of another kind in the server's manifest than was asked for");
  /* A server of the other byte order writes its CRC the other way round. */
  bool same = sum_n == f.sum_n && memcmp(sum, f.sum, sum_n) == 0;
  if (!same && kind == HF_PG_SUM_CRC32C && sum_n == 4)
    same = sum[0] == f.sum[3] && sum[1] == f.sum[2] && sum[2] == f.sum[1] && sum[3] == f.sum[0];
  if (!same) return wrong(a, path, "its checksum in the server's manifest is another: the backup was changed or damaged on its way");
  hf_pg_inventory_name(a->files, path);
  a->named++;
  return 0;
}

static int on_manifest_wal(void *ctx, uint32_t timeline, uint64_t start, uint64_t end) {
  struct hf_pg_audit *a = ctx;
  if (a->n_ranges == MAX_RANGES) return holdfast_fail(a->host, HOLDFAST_E_CORRUPT, "backup_manifest: more than %d WAL ranges", MAX_RANGES);
  a->ranges[a->n_ranges++] = (struct range){timeline, start, end};
  return 0;
}

int hf_pg_audit_manifest_feed(struct hf_pg_audit *a, const void *p, size_t n) {
  int rc = hf_pg_manifest_feed(a->manifest, p, n);
  return rc < 0 && *hf_pg_manifest_why(a->manifest) ? wrong(a, "backup_manifest", hf_pg_manifest_why(a->manifest)) : rc;
}

/* "pg_wal/" and 24 hexadecimal digits. */
static bool is_segment(const char *path) {
  return strncmp(path, WAL, sizeof WAL - 1) == 0 && strlen(path) == sizeof WAL - 1 + 24 &&
         strspn(path + sizeof WAL - 1, "0123456789ABCDEF") == 24;
}

/* Are all segments of the range there? segment: their size. */
static int check_range(struct hf_pg_audit *a, const struct range *r, uint64_t segment) {
  char path[sizeof WAL + 24];
  struct hf_pg_seen f;
  uint64_t per_id = 0x100000000u / segment, first = r->start / segment, last = (r->end > r->start ? r->end - 1 : r->end) / segment;
  if (last - first > hf_pg_inventory_count(a->files)) return wrong(a, "backup_manifest", "needs more WAL than there is in the backup");
  for (uint64_t s = first; s <= last; s++) {
    snprintf(path, sizeof path, WAL "%08X%08X%08X", r->timeline, (unsigned)(s / per_id), (unsigned)(s % per_id));
    if (!hf_pg_inventory_find(a->files, path, &f)) return wrong(a, path, "is needed to start from this backup and not in it");
    if (f.size != segment) return wrong(a, path, "is not a whole WAL segment");
  }
  return 0;
}

int hf_pg_audit_finish(struct hf_pg_audit *a) {
  struct hf_pg_seen f;
  uint64_t segment = 0;
  int rc = hf_pg_manifest_end(a->manifest);
  if (rc < 0) return wrong(a, "backup_manifest", hf_pg_manifest_why(a->manifest));
  for (size_t i = 0; i < hf_pg_inventory_count(a->files); i++) {
    hf_pg_inventory_get(a->files, i, &f);
    if (!f.named && strncmp(f.path, WAL, sizeof WAL - 1) != 0) return wrong(a, f.path, "is in the backup and not in the server's manifest");
    if (is_segment(f.path)) segment = f.size;
  }
  if (a->n_ranges == 0) return wrong(a, "backup_manifest", "does not say which WAL is needed");
  if (segment < 1 << 20 || segment > 1 << 30 || (segment & (segment - 1)) != 0)
    return wrong(a, "pg_wal", "there are no whole WAL segments in the backup");
  for (size_t i = 0; rc == 0 && i < a->n_ranges; i++) rc = check_range(a, &a->ranges[i], segment);
  return rc;
}

uint64_t hf_pg_audit_files(const struct hf_pg_audit *a) { return hf_pg_inventory_count(a->files); }
uint64_t hf_pg_audit_bytes(const struct hf_pg_audit *a) { return a->bytes; }
