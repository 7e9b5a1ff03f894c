/* s3.c - the s3 target: a bucket of Amazon S3 or of a service that speaks its language. Opening and closing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "s3.h"

static int s3_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  struct s3 *t;
  int status = hf_s3_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = hf_s3_bucket_check(t, create);
  if (status != HOLDFAST_OK) {
    hf_s3_free(t);
    return status;
  }
  *handle = t;
  return HOLDFAST_OK;
}

static uint32_t s3_capabilities(void *handle) {
  const struct s3 *t = handle;
  return HOLDFAST_SERVER_CHECKSUM | (t->create_only ? HOLDFAST_CREATE_ONLY : 0) | (t->lock_mode ? HOLDFAST_OBJECT_LOCK : 0) |
         (t->storage_class ? HOLDFAST_STORAGE_CLASS : 0);
}

static uint32_t s3_parallel(void *handle) {
  const struct s3 *t = handle;
  return t->connections;
}

static int s3_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct s3 *t;
  int status = hf_s3_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = hf_s3_bucket_check(t, false);
  if (status == HOLDFAST_OK) holdfast_fail(host, HOLDFAST_OK, "the bucket %s at %s (%s) can be reached", t->bucket, t->name, t->region);
  hf_s3_free(t);
  return status;
}

static void s3_close(void *handle) { hf_s3_free(handle); }

static const struct holdfast_target_plugin plugin = {
    .head = {sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "s3", "1.0", "a bucket of Amazon S3, or of a service that speaks its language",
             hf_s3_settings},
    .open = s3_open,
    .capabilities = s3_capabilities,
    .parallel = s3_parallel,
    .put = hf_s3_put,
    .get = hf_s3_get,
    .stat = hf_s3_stat,
    .list = hf_s3_list,
    .remove = hf_s3_remove,
    .probe = s3_probe,
    .close = s3_close,
    .extend = hf_s3_extend,
    .thaw = hf_s3_thaw_many,
};

HOLDFAST_TARGET_PLUGIN(plugin)
