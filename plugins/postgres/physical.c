/* physical.c - mode = physical: a base backup as the streams OID.tar for each tablespace, base.tar and backup_manifest, checked as it passes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The streams are cut by content: a tar's files begin at multiples of 512 bytes, so pages lie on no fixed grid, and one file more would move all that follow.
 */
#include "physical_restore.h"
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct physical {
  const struct holdfast_host *host;
  struct hf_pg_basebackup *backup;
  struct hf_pg_audit *audit;
  enum hf_pg_sum kind;
  struct hf_pg_archive archive; /* under way */
  bool started, in_archive, over;
  int failed;                   /* what ended the backup before its time: nothing more comes */
  const char *piece;            /* received and checked, not yet handed out */
  size_t piece_n;
  char *state;
};

static void close_physical(void *handle) {
  struct physical *p = handle;
  hf_pg_basebackup_close(p->backup);
  hf_pg_audit_free(p->audit);
  free(p->state);
  free(p);
}

static int open_physical(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct physical *p = calloc(1, sizeof *p);
  if (!p) return hf_pg_no_memory(host);
  p->host = host;
  p->kind = hf_pg_sum_wanted(values);
  p->audit = hf_pg_audit_new(host, p->kind);
  int rc = p->audit ? hf_pg_basebackup_open(host, values, &p->backup) : hf_pg_no_memory(host);
  if (rc < 0) {
    close_physical(p);
    return rc;
  }
  *handle = p;
  return HOLDFAST_OK;
}

/* The next piece of the archive, checked: 1, or 0 at its end. */
static int more(struct physical *p) {
  const void *piece;
  bool tar = p->archive.kind == HF_PG_ARCHIVE_TAR;
  int64_t n = hf_pg_basebackup_read(p->backup, &piece);
  int rc = 0;
  if (n < 0) rc = (int)n;
  else if (n == 0) rc = tar ? hf_pg_audit_tar_end(p->audit) : 0;
  else rc = tar ? hf_pg_audit_tar_feed(p->audit, piece, (size_t)n) : hf_pg_audit_manifest_feed(p->audit, piece, (size_t)n);
  if (rc < 0 || n == 0) p->in_archive = false;
  if (rc < 0) return p->failed = rc;
  p->piece = piece;
  p->piece_n = (size_t)n;
  return n > 0;
}

static int next(void *handle, struct holdfast_entry *e) {
  struct physical *p = handle;
  int rc = 0;
  if (p->over) return 0;
  if (p->failed) return holdfast_fail(p->host, p->failed, "the base backup has failed");
  if (!p->started) rc = hf_pg_basebackup_start(p->backup);
  p->started = true;
  /* What the host did not want to read has to pass all the same. */
  while (rc >= 0 && p->in_archive) rc = more(p);
  p->piece_n = 0;
  if (rc >= 0) rc = hf_pg_basebackup_next(p->backup, &p->archive);
  if (rc < 0) return p->failed = rc;
  if (rc == 0) {
    p->over = true;
    return 0;
  }
  p->in_archive = true;
  if (p->archive.kind == HF_PG_ARCHIVE_TAR && (rc = hf_pg_audit_tar(p->audit, p->archive.stream, p->archive.oid, NULL)) < 0) return rc;
  e->kind = HOLDFAST_STREAM;
  e->path = p->archive.stream;
  e->size = HOLDFAST_SIZE_UNKNOWN;
  return 1;
}

static int entry_open(void *handle, struct holdfast_entry *e) {
  (void)handle; /* the archive that next has just announced: a stream is read at once */
  (void)e;
  return HOLDFAST_OK;
}

static int64_t entry_read(void *handle, void *buf, size_t n) {
  struct physical *p = handle;
  size_t done = 0;
  while (done < n) {
    if (p->piece_n == 0) {
      int rc = p->in_archive ? more(p) : 0;
      if (rc < 0) return rc;
      if (rc == 0) break;
    }
    size_t part = n - done < p->piece_n ? n - done : p->piece_n;
    memcpy((char *)buf + done, p->piece, part);
    p->piece += part;
    p->piece_n -= part;
    done += part;
  }
  return (int64_t)done;
}

static int entry_close(void *handle) {
  (void)handle;
  return HOLDFAST_OK;
}

static int finish(void *handle, const char **state) {
  struct physical *p = handle;
  if (p->failed) return holdfast_fail(p->host, p->failed, "the base backup has failed");
  int rc = hf_pg_basebackup_end(p->backup);
  if (rc == 0) rc = hf_pg_audit_finish(p->audit);
  if (rc < 0) return rc;
  const struct hf_pg_about *about = hf_pg_basebackup_about(p->backup);
  if (about->damaged) {
    char text[600];
    snprintf(text, sizeof text, "the server found %llu damaged pages in its own files, which are in the backup as they are: %s",
             (unsigned long long)about->damaged, about->damage);
    p->host->problem(p->host->ctx, "base.tar", HOLDFAST_E_CORRUPT, text);
  }
  free(p->state);
  p->state = hf_pg_state_write(p->backup, p->kind, hf_pg_audit_files(p->audit), hf_pg_audit_bytes(p->audit));
  if (!p->state) return hf_pg_no_memory(p->host);
  *state = p->state;
  return HOLDFAST_OK;
}

static int probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct hf_pg_basebackup *b;
  int rc = hf_pg_basebackup_open(host, values, &b);
  if (rc < 0) return rc;
  const struct hf_pg_about *a = hf_pg_basebackup_about(b);
  rc = holdfast_fail(host, HOLDFAST_OK, "PostgreSQL %d.%d, system %s, timeline %u, would make a base backup%s", a->version / 10000,
                     a->version % 10000, a->system, (unsigned)a->timeline, a->data_checksums ? "" : "; its pages have no checksums (pg_checksums --enable)");
  hf_pg_basebackup_close(b);
  return rc;
}

const struct holdfast_source_plugin hf_pg_physical = {
  .open = open_physical,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_physical,
  .probe = probe,
  .restore_open = hf_pg_physical_restore_open,
  .restore_begin = hf_pg_physical_restore_begin,
  .restore_write = hf_pg_physical_restore_write,
  .restore_end = hf_pg_physical_restore_end,
  .restore_finish = hf_pg_physical_restore_finish,
  .restore_close = hf_pg_physical_restore_close,
  .verify = hf_pg_physical_verify,
};
