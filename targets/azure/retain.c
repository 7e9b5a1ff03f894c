/* retain.c - immutability policies: are they kept, and of objects that a new snapshot still needs, longer ones.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>
#include <time.h>

#include "azure.h"

bool hf_azure_retained(const struct azure *t, const char *key) {
  return t->immutability && strncmp(key, "locks/", 6) != 0 && !strstr(key, "/locks/");
}

int hf_azure_retain_prove(struct azure *t, const char *key) {
  struct azure_call c = {.method = "HEAD", .action = "containers/blobs/read", .permission = 'r', .key = key};
  struct hft_response rs = {0};
  if (atomic_load(&t->proven)) return HOLDFAST_OK;
  hf_azure_extra_key(t, &c);
  int status = hf_azure_call(t, &c, &rs);
  bool has = status == HOLDFAST_OK && hft_response_header(&rs, "x-ms-immutability-policy-until-date");
  hft_response_free(&rs);
  if (status == HOLDFAST_E_AUTH) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_NOTICE,
                 "whether immutability policies are kept cannot be seen: reading is not permitted");
    status = HOLDFAST_OK;
  } else if (status == HOLDFAST_OK && !has) {
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "%s was stored without its immutability policy: container %s does not support them", key, t->container);
  }
  if (status == HOLDFAST_OK) atomic_store(&t->proven, true);
  return status;
}

static int set_policy(struct azure *t, const char *key, int64_t until, const char *mode) {
  struct azure_call c = {.method = "PUT",
                         .action = "containers/blobs/immutableStorage/runAsSuperUser/action",
                         .permission = 'i',
                         .key = key,
                         .query = "comp=immutabilityPolicies"};
  struct hft_response rs = {0};
  char date[HFT_TIME];
  hft_time_http_format(date, until);
  hf_azure_extra(&c, "x-ms-immutability-policy-until-date", date);
  hf_azure_extra(&c, "x-ms-immutability-policy-mode", mode);
  int status = hf_azure_call(t, &c, &rs);
  hft_response_free(&rs);
  return status;
}

/* Never to an earlier time than it has, and never from locked to unlocked. */
static int extend(struct azure *t, const char *key) {
  struct azure_call c = {.method = "HEAD", .action = "containers/blobs/read", .permission = 'r', .key = key};
  struct hft_response rs = {0};
  int64_t until = (int64_t)time(NULL) + t->retain, has;
  if (!hft_key_ok(key)) return hft_bad_key(t->host, key);
  if (!hf_azure_retained(t, key)) return HOLDFAST_OK;
  hf_azure_extra_key(t, &c);
  int status = hf_azure_call(t, &c, &rs);
  if (status == HOLDFAST_OK) {
    const char *date = hft_response_header(&rs, "x-ms-immutability-policy-until-date"),
               *mode = hft_response_header(&rs, "x-ms-immutability-policy-mode");
    bool locked = strcmp(t->immutability, "Locked") == 0 || (mode && (*mode | 32) == 'l');
    if (!date || !hft_time_http(date, &has) || has < until) status = set_policy(t, key, until, locked ? "Locked" : "Unlocked");
  }
  hft_response_free(&rs);
  return status;
}

int hf_azure_extend(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct azure *t = handle;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n; i++) {
    int status =
        t->as_of ? holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be protected while as-of is set") : extend(t, keys[i]);
    /* Not answered: the host asks again for those that have no status. */
    if (status == HOLDFAST_E_TRANSIENT || status == HOLDFAST_E_CANCELED) return status;
    statuses[i] = status;
    if (bad == HOLDFAST_OK) bad = status;
  }
  return bad;
}
