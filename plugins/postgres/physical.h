/* physical.h - the private header of mode = physical: what its parts offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parts, lower ones first: crc32c, tarwalk (a tar as it passes), manifest (backup_manifest as it passes), inventory (the files seen), audit
 * (tar against manifest), basebackup (the replication protocol), unpack (a tar into a folder), place (folders moved into their places), state (what is kept
 * in the record), physical_restore, physical_verify, physical (the callbacks).
 *
 * Unless said otherwise a function returns 0 or a negative enum holdfast_status, having told the host why.
 */
#ifndef HF_PG_PHYSICAL_H
#define HF_PG_PHYSICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <holdfast/source.h>

/* ---- CRC-32C as the server computes it (crc32c.c) ---- */

/* Tables for processors without an instruction for it; 8 KiB. */
struct hf_pg_crc {
  bool instruction;
  uint32_t table[8][256];
};
void hf_pg_crc_init(struct hf_pg_crc *c);
/* Add n bytes to a sum that began as HF_PG_CRC_START and is inverted at the end. */
#define HF_PG_CRC_START 0xFFFFFFFFu
uint32_t hf_pg_crc_add(const struct hf_pg_crc *c, uint32_t sum, const void *p, size_t n);

/* ---- a tar archive as it passes (tarwalk.c) ---- */

#define HF_PG_TAR_BLOCK 512
#define HF_PG_TAR_NAME 256 /* bytes a name has at most */

struct hf_pg_tar_entry {
  char name[HF_PG_TAR_NAME + 1]; /* relative, without "." or ".." or empty parts, no slash at its end */
  bool folder;                   /* else a file: there is nothing else in a base backup */
  uint64_t size;                 /* bytes of a file; 0 for a folder */
  uint32_t mode;                 /* 07777 */
};

/* Where the parts of an archive go. A negative status ends the walk with it. */
struct hf_pg_tar_sink {
  void *ctx;
  int (*entry)(void *ctx, const struct hf_pg_tar_entry *e);
  int (*data)(void *ctx, const void *p, size_t n); /* files only: in any number of pieces */
  int (*end)(void *ctx);                           /* files only: all data was there */
};

struct hf_pg_tar {
  struct hf_pg_tar_sink sink;
  unsigned char header[HF_PG_TAR_BLOCK];
  size_t have;      /* of the header */
  uint64_t left;    /* data of the file still to come */
  uint64_t padding; /* and what fills its last block */
  bool in_file;
  unsigned zeros;   /* blocks of zeros seen: two are the end */
  char why[400];    /* what is wrong, when HOLDFAST_E_CORRUPT is returned */
};

void hf_pg_tar_start(struct hf_pg_tar *t, const struct hf_pg_tar_sink *sink);
/* The next n bytes, in pieces of any size. Returns 0, the sink's status (why is empty then), or HOLDFAST_E_CORRUPT and why; the host is not told. */
int hf_pg_tar_feed(struct hf_pg_tar *t, const void *p, size_t n);
/* No more bytes: was that the end? Returns as feed. */
int hf_pg_tar_end(struct hf_pg_tar *t);

/* ---- the server's backup_manifest as it passes (manifest.c) ---- */

#define HF_PG_SUM_MAX 64             /* bytes of the longest checksum (SHA-512) */
#define HF_PG_MANIFEST_LINE (32 * 1024) /* a line is at most this long; the reader's memory is about twice that, however many files there are */

enum hf_pg_sum { HF_PG_SUM_NONE, HF_PG_SUM_CRC32C, HF_PG_SUM_SHA256, HF_PG_SUM_OTHER };

/* What a manifest says. A negative status ends the reading with it. */
struct hf_pg_manifest_sink {
  void *ctx;
  int (*file)(void *ctx, const char *path, uint64_t size, enum hf_pg_sum kind, const unsigned char *sum, size_t sum_n);
  int (*wal)(void *ctx, uint32_t timeline, uint64_t start, uint64_t end);
};

struct hf_pg_manifest;
/* NULL when memory is out. */
struct hf_pg_manifest *hf_pg_manifest_new(const struct hf_pg_manifest_sink *sink);
/* The next n bytes. Returns 0, the sink's status (why is "" then), or HOLDFAST_E_CORRUPT or _FAILED and hf_pg_manifest_why; the host is not told. */
int hf_pg_manifest_feed(struct hf_pg_manifest *m, const void *p, size_t n);
/* No more bytes: was it whole, and is its own checksum right? Returns as feed. */
int hf_pg_manifest_end(struct hf_pg_manifest *m);
const char *hf_pg_manifest_why(const struct hf_pg_manifest *m);
void hf_pg_manifest_free(struct hf_pg_manifest *m);

/* ---- the files that have passed (inventory.c) ---- */

#define HF_PG_FILES_MAX 8000000 /* files of one backup: at about 80 bytes each (CRC-32C) this is the bound of the plugin's memory */

struct hf_pg_inventory;
struct hf_pg_seen {
  const char *path;
  uint64_t size;
  const unsigned char *sum;
  size_t sum_n;
  bool named; /* by the manifest; the caller's to set */
};
struct hf_pg_inventory *hf_pg_inventory_new(void);
void hf_pg_inventory_free(struct hf_pg_inventory *v);
/* Returns 0; HOLDFAST_E_EXISTS: that path was added before; HOLDFAST_E_NO_SPACE: too many, HOLDFAST_E_FAILED: out of memory. The host is not told. */
int hf_pg_inventory_add(struct hf_pg_inventory *v, const char *path, uint64_t size, const void *sum, size_t sum_n);
/* False if there is none. */
bool hf_pg_inventory_find(const struct hf_pg_inventory *v, const char *path, struct hf_pg_seen *out);
void hf_pg_inventory_name(struct hf_pg_inventory *v, const char *path); /* mark it as named */
/* The one with number i, in the order they were added. */
size_t hf_pg_inventory_count(const struct hf_pg_inventory *v);
void hf_pg_inventory_get(const struct hf_pg_inventory *v, size_t i, struct hf_pg_seen *out);

/* ---- archives against the manifest, as pg_verifybackup does (audit.c) ---- */

/* Tars and manifest of one backup go through it in any order of the tars; the manifest comes last. */
struct hf_pg_audit;
/* kind: the checksums the manifest will have. NULL when memory is out. */
struct hf_pg_audit *hf_pg_audit_new(const struct holdfast_host *host, enum hf_pg_sum kind);
void hf_pg_audit_free(struct hf_pg_audit *c);
/* An archive begins. stream: its name. oid: "" for base.tar, else the tablespace's. then: where its parts go on to; NULL for nowhere; copied. */
int hf_pg_audit_tar(struct hf_pg_audit *c, const char *stream, const char *oid, const struct hf_pg_tar_sink *then);
int hf_pg_audit_tar_feed(struct hf_pg_audit *c, const void *p, size_t n);
int hf_pg_audit_tar_end(struct hf_pg_audit *c);
int hf_pg_audit_manifest_feed(struct hf_pg_audit *c, const void *p, size_t n);
/* All of it has come: are the manifest's own checksum, every file's size and checksum, and the WAL it names right, and is nothing missing or too much? */
int hf_pg_audit_finish(struct hf_pg_audit *c);
/* After finish. */
uint64_t hf_pg_audit_files(const struct hf_pg_audit *c);
uint64_t hf_pg_audit_bytes(const struct hf_pg_audit *c);

#endif
