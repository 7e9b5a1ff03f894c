/* container.c - the container itself: is it there, and can it do what the settings want of it?
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdatomic.h>
#include <string.h>

#include "azure.h"

static int make_container(struct azure *t) {
  const struct azure_call c = {.method = "PUT", .action = "containers/write", .permission = 'c', .query = "restype=container"};
  struct hft_response rs = {0};
  int status = hf_azure_call(t, &c, &rs);
  if (status != HOLDFAST_OK && hf_azure_says(&rs, "ContainerAlreadyExists")) status = HOLDFAST_OK;
  hft_response_free(&rs);
  return status;
}

/* With immutability, the container must support policies of single objects. Who may not ask finds out at the first put. */
static int check_immutability(struct azure *t) {
  const struct azure_call c = {.method = "HEAD", .action = "containers/read", .permission = 'r', .query = "restype=container"};
  struct hft_response rs = {0};
  if (!t->immutability) return HOLDFAST_OK;
  int status = hf_azure_call(t, &c, &rs);
  const char *enabled = hft_response_header(&rs, "x-ms-immutable-storage-with-versioning-enabled");
  if (status == HOLDFAST_OK && enabled && strcmp(enabled, "true") == 0)
    atomic_store(&t->proven, true);
  else if (status == HOLDFAST_OK)
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                           "the container %s does not support immutability policies of single objects: enable version-level "
                           "immutability for it, with Azure's "
                           "own tools, or set immutability = none",
                           t->container);
  else if (rs.code == 403)
    status = HOLDFAST_OK;
  hft_response_free(&rs);
  return status;
}

int hf_azure_container_check(struct azure *t, bool create) {
  /* A listing, and no look at properties: a signature for objects alone permits the one and not the other. */
  const struct azure_call c = {.method = "GET",
                               .action = "containers/blobs/read",
                               .permission = 'l',
                               .query = "restype=container&comp=list&maxresults=1",
                               .max_body = AZURE_PAGE_MAX};
  struct hft_response rs = {0};
  int status = hf_azure_call(t, &c, &rs);
  /* Who may put and not list is known to the server: enough for now. */
  bool limited = status == HOLDFAST_E_AUTH && hf_azure_says(&rs, "AuthorizationPermissionMismatch");
  bool missing = status == HOLDFAST_E_NOT_FOUND;
  hft_response_free(&rs);
  if (limited) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, "listing the container is not permitted; going on");
    status = HOLDFAST_OK;
  } else if (missing && create) {
    status = make_container(t);
  } else if (missing) {
    status = holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND,
                           "there is no container %s at %s: either the name is wrong, or holdfast init has not been run",
                           t->container, t->name);
  }
  return status == HOLDFAST_OK ? check_immutability(t) : status;
}
