/* thaw.c - objects in an archive (Glacier and its like): asking for them to be brought back.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "s3.h"

static const char *how_long(const struct s3 *t) {
  return strcmp(t->thaw, "Expedited") == 0 ? "within minutes" : strcmp(t->thaw, "Standard") == 0 ? "within 12 hours" : "within 48 hours";
}

/* HOLDFAST_OK: it has been asked for, now or before. */
static int ask(struct s3 *t, const char *key) {
  struct s3_call c = {.method = "POST", .action = "s3:RestoreObject", .key = key, .query = "restore"};
  struct hft_response rs = {0};
  struct s3_error e = {0};
  char body[256];
  if (t->as_of)
    return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s lies in an archive: versions of the past are not brought back; do that with the service's own tools",
                         key);
  c.size = (uint64_t)snprintf(body, sizeof body,
                              "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>%" PRId64
                              "</Days><GlacierJobParameters><Tier>%s</Tier></GlacierJobParameters></RestoreRequest>",
                              t->thaw_days, t->thaw);
  c.body = body;
  int status = hf_s3_call(t, &c, &rs);
  if (status != HOLDFAST_OK && rs.code == 409) {
    hf_s3_error_read(hft_text(&rs.body), rs.body.len, &e);
    if (strcmp(e.code, "RestoreAlreadyInProgress") == 0) status = HOLDFAST_OK;
  }
  hft_response_free(&rs);
  return status;
}

int hf_s3_thaw(struct s3 *t, const char *key) {
  if (!t->thaw)
    return holdfast_fail(t->host, HOLDFAST_E_FAILED,
                         "%s lies in an archive, and takes minutes to days to be brought back: set thaw = bulk and read it again later", key);
  int status = ask(t, key);
  if (status != HOLDFAST_OK) return status;
  return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s is being brought back from an archive: read it again later (%s)", key, how_long(t));
}

enum hf_s3_cold hf_s3_is_cold(const char *storage_class, const char *archive, const char *restore) {
  bool classed = storage_class && (strcmp(storage_class, "GLACIER") == 0 || strcmp(storage_class, "DEEP_ARCHIVE") == 0);
  if (!classed && !archive) return S3_WARM;
  if (!restore) return S3_COLD;
  return strstr(restore, "ongoing-request=\"true\"") ? S3_THAWING : S3_WARM;
}

/* How is it with one object? If it is in an archive, ask for it. HOLDFAST_E_TRANSIENT: it is on its way; *on_its_way tells that from a failure. */
static int thaw_one(struct s3 *t, const char *key, bool *on_its_way) {
  struct s3_call c = {.method = "HEAD", .action = "s3:GetObject", .key = key};
  struct hft_response rs = {0};
  enum hf_s3_cold how = S3_WARM;
  *on_its_way = false;
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  int status = hf_s3_call(t, &c, &rs);
  if (status == HOLDFAST_OK)
    how = hf_s3_is_cold(hft_response_header(&rs, "x-amz-storage-class"), hft_response_header(&rs, "x-amz-archive-status"),
                        hft_response_header(&rs, "x-amz-restore"));
  hft_response_free(&rs);
  if (status == HOLDFAST_OK && how == S3_COLD) status = ask(t, key);
  if (status != HOLDFAST_OK || how == S3_WARM) return status;
  *on_its_way = true;
  return HOLDFAST_E_TRANSIENT;
}

int hf_s3_thaw_many(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct s3 *t = handle;
  size_t coming = 0;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n; i++) {
    bool on_its_way = false;
    /* Where nothing is to be brought back there is nothing to ask; reading says what is wrong with an object that is in an archive all the same. */
    int status = t->thaw && !t->as_of ? thaw_one(t, keys[i], &on_its_way) : HOLDFAST_OK;
    coming += on_its_way;
    /* Not answered: the host asks again for those that have no status. */
    if ((status == HOLDFAST_E_TRANSIENT && !on_its_way) || status == HOLDFAST_E_CANCELED) return status;
    statuses[i] = status;
    if (status != HOLDFAST_OK && !on_its_way && bad == HOLDFAST_OK) bad = status;
  }
  if (bad != HOLDFAST_OK || coming == 0) return bad;
  return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "bucket %s: they are being brought back from an archive, which is done %s (thaw = %s)",
                       t->bucket, how_long(t), strcmp(t->thaw, "Expedited") == 0 ? "expedited" : strcmp(t->thaw, "Standard") == 0 ? "standard" : "bulk");
}
