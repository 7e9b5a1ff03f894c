/* object.c - what the service says of an object.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "gcs.h"

/* Copy a text that fits, and nothing of one that does not. */
static void keep(char *out, size_t cap, const json_t *o, const char *name) {
  const char *s = json_string_value(json_object_get(o, name));
  snprintf(out, cap, "%s", s && strlen(s) < cap ? s : "");
}

bool hf_gcs_object_read(const char *json, size_t n, struct gcs_object *out, const char **why) {
  json_t *doc = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
  const json_t *mine = json_object_get(doc, "metadata"), *retention = json_object_get(doc, "retention");
  const char *until = json_string_value(json_object_get(retention, "retainUntilTime"));
  *out = (struct gcs_object){.size = 0};
  *why = NULL;
  if (!json_is_object(doc)) *why = "it is no JSON object";
  else if (!hft_number(json_string_value(json_object_get(doc, "size")), &out->size)) *why = "it has no size";
  else if (until && !hft_time_parse(until, &out->until)) *why = "its retainUntilTime is not a time";
  if (!*why) {
    keep(out->generation, sizeof out->generation, doc, "generation");
    keep(out->crc32c, sizeof out->crc32c, doc, "crc32c");
    keep(out->md5, sizeof out->md5, doc, "md5Hash");
    keep(out->sha256, sizeof out->sha256, mine, "sha256");
    keep(out->nonce, sizeof out->nonce, mine, "holdfast-try");
    if (until) keep(out->mode, sizeof out->mode, retention, "mode");
    if (strspn(out->generation, "0123456789") == 0 || out->generation[strspn(out->generation, "0123456789")]) *why = "it has no generation";
    /* Others may keep something else under that name. */
    if (strspn(out->sha256, "0123456789abcdef") != HFT_HEX - 1) out->sha256[0] = '\0';
  }
  json_decref(doc);
  return !*why;
}

int hf_gcs_object_get(struct gcs *t, const char *key, const char *generation, struct gcs_object *out) {
  struct hft_buf query = {0};
  struct hft_response rs = {0};
  const char *why;
  hft_adds(&query, "fields=size,generation,crc32c,md5Hash,metadata,retention");
  if (generation) hft_addf(&query, "&generation=%s", generation);
  const struct gcs_call c = {.what = GCS_OBJECT, .method = "GET", .action = "storage.objects.get (or storage.objects.list, where the object is missing)",
                             .key = key, .query = hft_text(&query)};
  int status = query.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
  if (status == HOLDFAST_OK && !hf_gcs_object_read(hft_text(&rs.body), rs.body.len, out, &why))
    status = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s: what the server says of it cannot be used: %s", key, why);
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}
