/* azure.c - the azure target: a container of Azure Blob Storage. Opening and closing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "azure.h"

static int azure_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  struct azure *t;
  int status = hf_azure_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = hf_azure_container_check(t, create);
  if (status != HOLDFAST_OK) {
    hf_azure_free(t);
    return status;
  }
  *handle = t;
  return HOLDFAST_OK;
}

static uint32_t azure_capabilities(void *handle) {
  const struct azure *t = handle;
  return HOLDFAST_CREATE_ONLY | HOLDFAST_SERVER_CHECKSUM | (t->immutability ? HOLDFAST_OBJECT_LOCK : 0) |
         (t->tier ? HOLDFAST_STORAGE_CLASS : 0);
}

static uint32_t azure_parallel(void *handle) {
  const struct azure *t = handle;
  return t->connections;
}

static int azure_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct azure *t;
  int status = hf_azure_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = hf_azure_container_check(t, false);
  if (status == HOLDFAST_OK) holdfast_fail(host, HOLDFAST_OK, "the container %s at %s can be reached", t->container, t->name);
  hf_azure_free(t);
  return status;
}

static void azure_close(void *handle) { hf_azure_free(handle); }

static const struct holdfast_target_plugin plugin = {
    .head = {sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "azure", "1.0", "a container of Azure Blob Storage",
             hf_azure_settings},
    .open = azure_open,
    .capabilities = azure_capabilities,
    .parallel = azure_parallel,
    .put = hf_azure_put,
    .get = hf_azure_get,
    .stat = hf_azure_stat,
    .list = hf_azure_list,
    .remove = hf_azure_remove,
    .probe = azure_probe,
    .close = azure_close,
    .extend = hf_azure_extend,
    .thaw = hf_azure_thaw,
};

HOLDFAST_TARGET_PLUGIN(plugin)
