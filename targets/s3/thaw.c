/* thaw.c - objects in an archive (Glacier and its like): asking for them to be brought back.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "s3.h"

int hf_s3_thaw(struct s3 *t, const char *key) {
  struct s3_call c = {.method = "POST", .action = "s3:RestoreObject", .key = key, .query = "restore"};
  struct hft_response rs = {0};
  struct s3_error e = {0};
  char body[256];
  if (!t->thaw)
    return holdfast_fail(t->host, HOLDFAST_E_FAILED,
                         "%s lies in an archive, and takes minutes to days to be brought back: set thaw = bulk and read it again later", key);
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
  if (status != HOLDFAST_OK) return status;
  return holdfast_fail(
      t->host, HOLDFAST_E_FAILED,
      "%s is being brought back from an archive: read it again later (tier %s: minutes for Expedited, up to 12 hours for Standard, up to 48 for Bulk)", key,
      t->thaw);
}
