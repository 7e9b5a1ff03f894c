/* remove.c - deleting objects, one by one over a connection that is kept.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "gcs.h"

static int remove_one(struct gcs *t, const char *key) {
  const struct gcs_call c = {.what = GCS_OBJECT, .method = "DELETE", .action = "storage.objects.delete", .key = key};
  struct hft_response rs = {0};
  struct gcs_error e;
  int status = hf_gcs_call(t, &c, &rs);
  /* That there was nothing is a success. A bucket that is missing is another matter. */
  if (rs.code == 404) {
    hf_gcs_error_read(hft_text(&rs.body), rs.body.len, &e);
    if (!hf_gcs_no_bucket(&e)) status = HOLDFAST_OK;
  }
  hft_response_free(&rs);
  return status;
}

int hf_gcs_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct gcs *t = handle;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n; i++) statuses[i] = t->as_of ? HOLDFAST_E_CONFIG : HOLDFAST_E_FAILED;
  if (n > 0 && t->as_of) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be deleted while as-of is set");
  for (size_t i = 0; i < n; i++)
    if (!hft_key_ok(keys[i])) return hft_bad_key(t->host, keys[i]);
  for (size_t i = 0; i < n; i++) {
    statuses[i] = remove_one(t, keys[i]);
    if (bad == HOLDFAST_OK) bad = statuses[i];
  }
  return bad;
}
