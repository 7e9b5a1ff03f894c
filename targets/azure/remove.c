/* remove.c - deleting objects.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "azure.h"

static int remove_one(struct azure *t, const char *key) {
  const struct azure_call c = {.method = "DELETE", .action = "containers/blobs/delete", .permission = 'd', .key = key};
  struct hft_response rs = {0};
  int status = hf_azure_call(t, &c, &rs);
  /* That there was nothing is a success. A container that is missing is another matter. */
  if (status == HOLDFAST_E_NOT_FOUND && hf_azure_says(&rs, "BlobNotFound")) status = HOLDFAST_OK;
  hft_response_free(&rs);
  return status;
}

int hf_azure_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct azure *t = handle;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n && bad == HOLDFAST_OK; i++)
    if (!hft_key_ok(keys[i])) bad = hft_bad_key(t->host, keys[i]);
  if (n > 0 && t->as_of) bad = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be deleted while as-of is set");
  for (size_t i = 0; i < n && bad != HOLDFAST_OK; i++) statuses[i] = bad;
  if (bad != HOLDFAST_OK) return bad;
  for (size_t i = 0; i < n; i++) {
    statuses[i] = remove_one(t, keys[i]);
    if (bad == HOLDFAST_OK) bad = statuses[i];
  }
  return bad;
}
