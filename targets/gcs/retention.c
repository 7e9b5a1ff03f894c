/* retention.c - objects that are there, kept for longer.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gcs.h"

static int set_retention(struct gcs *t, const char *key, const char *generation, const char *mode, int64_t until) {
  struct hft_response rs = {0};
  struct hft_buf query = {0};
  char when[HFT_TIME];
  hft_time_format(when, until);
  json_t *o = json_pack("{s:{s:s, s:s}}", "retention", "mode", mode, "retainUntilTime", when);
  char *body = o ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  hft_addf(&query, "generation=%s&fields=retention", generation);
  struct gcs_call c = {.what = GCS_OBJECT, .method = "PATCH", .action = "storage.objects.update (and storage.objects.setRetention)", .key = key,
                       .query = hft_text(&query), .body = body, .size = body ? strlen(body) : 0};
  hf_gcs_extra(&c, "content-type", "application/json");
  int status = !body || query.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
  free(body);
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

int hf_gcs_keep(struct gcs *t, const char *key, const struct gcs_object *now) {
  int64_t until = (int64_t)time(NULL) + t->retain;
  /* Never for less: it would be refused, or would take away what somebody has set with intent. A lock stays a lock. */
  bool locked = strcmp(now->mode, "Locked") == 0, stronger = !locked && t->mode && strcmp(t->mode, "Locked") == 0;
  if (!t->mode || (now->until >= until && !stronger)) return HOLDFAST_OK;
  return set_retention(t, key, now->generation, locked ? "Locked" : t->mode, now->until > until ? now->until : until);
}

int hf_gcs_extend(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct gcs *t = handle;
  int bad = HOLDFAST_OK;
  for (size_t i = 0; i < n; i++) statuses[i] = HOLDFAST_OK;
  if (!t->mode) return HOLDFAST_OK;
  if (t->as_of) {
    for (size_t i = 0; i < n; i++) statuses[i] = HOLDFAST_E_CONFIG;
    return n ? holdfast_fail(t->host, HOLDFAST_E_CONFIG, "nothing can be changed while as-of is set") : HOLDFAST_OK;
  }
  for (size_t i = 0; i < n; i++) {
    struct gcs_object now;
    statuses[i] = hft_key_ok(keys[i]) ? hf_gcs_object_get(t, keys[i], NULL, &now) : hft_bad_key(t->host, keys[i]);
    if (statuses[i] == HOLDFAST_OK) statuses[i] = hf_gcs_keep(t, keys[i], &now);
    if (bad == HOLDFAST_OK) bad = statuses[i];
  }
  return bad;
}
