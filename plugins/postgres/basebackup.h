/* basebackup.h - one base backup over the replication protocol.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PG_BASEBACKUP_H
#define HF_PG_BASEBACKUP_H

#include "physical.h"
#include "postgres.h"

/* What the server says about itself and about the backup. Strings belong to the backup and are never NULL. */
struct hf_pg_about {
  int version;                /* 150013 */
  char system[24];            /* system identifier */
  char start[24], stop[24];   /* positions in the log; "" until known */
  char label[128];
  char data_directory[1024];  /* "" when this role may not see it: that takes pg_read_all_settings */
  uint32_t timeline;
  int data_checksums;         /* of the pages: 1 on, 0 off */
  uint64_t damaged;           /* pages whose checksum was wrong, by the server's count of its warnings */
  char damage[300];           /* the first such warning */
};

struct hf_pg_tablespace {
  char oid[12];
  char *location;
};

enum hf_pg_archive_kind { HF_PG_ARCHIVE_TAR = 1, HF_PG_ARCHIVE_MANIFEST };

struct hf_pg_archive {
  enum hf_pg_archive_kind kind;
  char stream[24]; /* "base.tar", "16385.tar", "backup_manifest" */
  char oid[12];    /* "" for base.tar and the manifest */
};

struct hf_pg_basebackup;

/* Connect, look, and take the temporary replication slot if there is to be one. */
int hf_pg_basebackup_open(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_pg_basebackup **out);
/* Start it; returns when the server's checkpoint is done. */
int hf_pg_basebackup_start(struct hf_pg_basebackup *b);
/* The next archive: 1 and *a, or 0 when there are no more. The one before must have been read to its end. */
int hf_pg_basebackup_next(struct hf_pg_basebackup *b, struct hf_pg_archive *a);
/* A piece of the archive, valid until the next call: its length, 0 at the archive's end. */
int64_t hf_pg_basebackup_read(struct hf_pg_basebackup *b, const void **piece);
/* All archives have been read: the server's last word. */
int hf_pg_basebackup_end(struct hf_pg_basebackup *b);
/* Give it up if it is still going on (the server is told), and disconnect. NULL is harmless. */
void hf_pg_basebackup_close(struct hf_pg_basebackup *b);

const struct hf_pg_about *hf_pg_basebackup_about(const struct hf_pg_basebackup *b);
/* Known after start. */
const struct hf_pg_tablespace *hf_pg_basebackup_tablespaces(const struct hf_pg_basebackup *b, size_t *n);

/* The checksums the settings ask for. */
enum hf_pg_sum hf_pg_sum_wanted(const struct holdfast_value *values);

#endif
