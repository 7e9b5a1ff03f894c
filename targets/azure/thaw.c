/* thaw.c - blobs in the archive tier: asking for them to be brought back.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <string.h>

#include "azure.h"

static const char *how_long(const struct azure *t) {
  return strcmp(t->thaw, "High") == 0 ? "mostly less than an hour" : "up to 15 hours";
}

/* Ask. query: that of the version, or "". HOLDFAST_OK also when it was asked for before. */
static int ask(struct azure *t, const char *key, const char *query) {
  struct azure_call c = {.method = "PUT", .action = "containers/blobs/write", .permission = 'w', .key = key};
  struct hft_response rs = {0};
  struct hft_buf full = {0};
  hft_addf(&full, "comp=tier%s%s", *query ? "&" : "", query);
  hf_azure_extra(&c, "x-ms-access-tier", t->thaw_tier);
  hf_azure_extra(&c, "x-ms-rehydrate-priority", t->thaw);
  c.query = full.data;
  int status = full.bad ? hft_no_memory(t->host) : hf_azure_call(t, &c, &rs);
  if (status != HOLDFAST_OK && hf_azure_says(&rs, "BlobBeingRehydrated")) status = HOLDFAST_OK;
  hft_response_free(&rs);
  hft_buf_free(&full);
  return status;
}

int hf_azure_thaw_one(struct azure *t, const char *key) {
  struct hft_buf query = {0};
  if (!t->thaw)
    return holdfast_fail(
        t->host, HOLDFAST_E_FAILED,
        "%s lies in the archive tier, and takes hours to be brought back: set thaw = standard and read it again later", key);
  int status = hf_azure_version_query(t, key, &query);
  if (status == HOLDFAST_OK) status = ask(t, key, hft_text(&query));
  hft_buf_free(&query);
  if (status != HOLDFAST_OK) return status;
  return holdfast_fail(t->host, HOLDFAST_E_FAILED,
                       "%s is being brought back from the archive tier: read it again later (priority %s: %s)", key, t->thaw,
                       how_long(t));
}

/* HOLDFAST_OK: it can be read; HOLDFAST_E_TRANSIENT: it is on its way, if *coming says so. */
static int thaw(struct azure *t, const char *key, bool *coming) {
  struct azure_call c = {.method = "HEAD", .action = "containers/blobs/read", .permission = 'r', .key = key};
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  hf_azure_extra_key(t, &c);
  int status = hf_azure_version_query(t, key, &query);
  c.query = hft_text(&query);
  if (status == HOLDFAST_OK) status = hf_azure_call(t, &c, &rs);
  const char *tier = hft_response_header(&rs, "x-ms-access-tier"), *pending = hft_response_header(&rs, "x-ms-archive-status");
  if (status == HOLDFAST_OK && tier && strcmp(tier, "Archive") == 0) {
    if (!pending || strncmp(pending, "rehydrate-pending", 17) != 0) status = ask(t, key, c.query);
    *coming = status == HOLDFAST_OK;
    if (*coming) status = HOLDFAST_E_TRANSIENT;
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

int hf_azure_thaw(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct azure *t = handle;
  size_t on_their_way = 0;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n; i++) {
    bool coming = false;
    /* Where nothing is to be brought back there is nothing to ask; reading says what is wrong with an object that is in the archive all the same. */
    int status = t->thaw ? thaw(t, keys[i], &coming) : HOLDFAST_OK;
    /* Not answered: the host asks again for those that have no status. */
    if ((status == HOLDFAST_E_TRANSIENT && !coming) || status == HOLDFAST_E_CANCELED) return status;
    statuses[i] = status;
    on_their_way += coming;
    if (status != HOLDFAST_OK && !coming && bad == HOLDFAST_OK) bad = status;
  }
  if (bad != HOLDFAST_OK || on_their_way == 0) return bad;
  return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT,
                       "%zu of %zu objects are being brought back from the archive tier, which takes %s (thaw = %s)",
                       on_their_way, n, how_long(t), strcmp(t->thaw, "High") == 0 ? "high" : "standard");
}
