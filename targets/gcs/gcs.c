/* gcs.c - the gcs target: a bucket of Google Cloud Storage. Opening and closing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gcs.h"

static int gcs_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  struct gcs *t;
  int status = hf_gcs_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = hf_gcs_bucket_check(t, create);
  if (status != HOLDFAST_OK) {
    hf_gcs_free(t);
    return status;
  }
  *handle = t;
  return HOLDFAST_OK;
}

static uint32_t gcs_capabilities(void *handle) {
  const struct gcs *t = handle;
  return HOLDFAST_CREATE_ONLY | HOLDFAST_SERVER_CHECKSUM | (t->mode ? HOLDFAST_OBJECT_LOCK : 0) | (t->storage_class ? HOLDFAST_STORAGE_CLASS : 0);
}

static uint32_t gcs_parallel(void *handle) {
  const struct gcs *t = handle;
  return t->connections;
}

static int gcs_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct gcs *t;
  int status = hf_gcs_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = hf_gcs_bucket_check(t, false);
  if (status == HOLDFAST_OK) holdfast_fail(host, HOLDFAST_OK, "the bucket %s at %s can be reached", t->bucket, t->base);
  hf_gcs_free(t);
  return status;
}

static void gcs_close(void *handle) { hf_gcs_free(handle); }

static const struct holdfast_target_plugin plugin = {
    .head = {sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "gcs", "1.0", "a bucket of Google Cloud Storage", hf_gcs_settings},
    .open = gcs_open,
    .capabilities = gcs_capabilities,
    .parallel = gcs_parallel,
    .put = hf_gcs_put,
    .get = hf_gcs_get,
    .stat = hf_gcs_stat,
    .list = hf_gcs_list,
    .remove = hf_gcs_remove,
    .probe = gcs_probe,
    .close = gcs_close,
    .extend = hf_gcs_extend,
};

HOLDFAST_TARGET_PLUGIN(plugin)
