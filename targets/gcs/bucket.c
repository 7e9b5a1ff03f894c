/* bucket.c - the bucket itself: is it there, and can it do what the settings want of it?
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gcs.h"

static void error_of(const struct hft_response *rs, struct gcs_error *e) { hf_gcs_error_read(hft_text(&rs->body), rs->body.len, e); }

static char *bucket_json(const struct gcs *t) {
  /* Rights by account only, and none for the public, whatever is set by mistake later. */
  json_t *o = json_pack("{s:s, s:{s:{s:b}, s:s}}", "name", t->bucket, "iamConfiguration", "uniformBucketLevelAccess", "enabled", 1, "publicAccessPrevention",
                        "enforced");
  if (o && t->location) json_object_set_new(o, "location", json_string(t->location));
  char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
  json_decref(o);
  return text;
}

static int make_bucket(struct gcs *t) {
  struct hft_response rs = {0};
  struct gcs_error e;
  struct hft_buf query = {0};
  char project[200];
  hf_gcs_project(t, project, sizeof project);
  if (!*project && t->source != GCS_ANONYMOUS)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "there is no bucket %s, and it is not known in which project to make it: set project", t->bucket);
  char *body = bucket_json(t);
  hft_adds(&query, "project=");
  hft_encode(&query, project, false);
  if (t->mode) hft_adds(&query, "&enableObjectRetention=true");
  struct gcs_call c = {.what = GCS_BUCKETS, .method = "POST", .query = hft_text(&query), .body = body, .size = body ? strlen(body) : 0};
  c.action = t->mode ? "storage.buckets.create (and storage.buckets.enableObjectRetention)" : "storage.buckets.create";
  hf_gcs_extra(&c, "content-type", "application/json");
  int status = !body || query.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
  error_of(&rs, &e);
  if (rs.code == 409) {
    /* Two hosts may run init at once. If it is ours, the next request says so. */
    const struct gcs_call look = {.what = GCS_OBJECTS, .method = "GET", .action = "storage.objects.list", .query = "maxResults=1&fields=kind"};
    status = hf_gcs_call(t, &look, &rs);
    if (status == HOLDFAST_E_AUTH)
      status = holdfast_fail(t->host, HOLDFAST_E_AUTH, "the bucket %s belongs to somebody else: choose another name (409 %s)", t->bucket, e.reason);
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  free(body);
  return status;
}

/* What only some settings need to know. Who may not ask finds out at the first put. */
static int check_features(struct gcs *t) {
  const struct gcs_call c = {.what = GCS_BUCKET, .method = "GET", .action = "storage.buckets.get", .query = "fields=name,versioning,objectRetention"};
  struct hft_response rs = {0};
  if (!t->mode && !t->as_of) return HOLDFAST_OK;
  int status = hf_gcs_call(t, &c, &rs);
  json_t *doc = status == HOLDFAST_OK ? json_loadb(hft_text(&rs.body), rs.body.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (rs.code == 403) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, "storage.buckets.get is not permitted; going on");
    status = HOLDFAST_OK;
  } else if (status == HOLDFAST_OK && !json_is_object(doc)) {
    status = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "bucket %s: what the server says of the bucket cannot be used", t->bucket);
  } else if (status == HOLDFAST_OK && t->mode && !json_is_object(json_object_get(doc, "objectRetention"))) {
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                           "the bucket %s has no object retention: have it enabled, use a bucket that holdfast init makes, or set object-retention = none",
                           t->bucket);
  } else if (status == HOLDFAST_OK && t->as_of && !json_is_true(json_object_get(json_object_get(doc, "versioning"), "enabled"))) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_WARNING, "the bucket keeps no versions: what was deleted or replaced since the time of as-of is missing");
  }
  json_decref(doc);
  hft_response_free(&rs);
  return status;
}

int hf_gcs_bucket_check(struct gcs *t, bool create) {
  /* Listing is what a host may do in any case; asking for the bucket itself is not. */
  const struct gcs_call c = {.what = GCS_OBJECTS, .method = "GET", .action = "storage.objects.list", .query = "maxResults=1&fields=kind"};
  struct hft_response rs = {0};
  struct gcs_error e;
  int status = hf_gcs_call(t, &c, &rs);
  error_of(&rs, &e);
  /* Whose condition allows a listing below a prefix only is known to the server: enough for now. */
  bool limited = rs.code == 403 && strcmp(e.reason, "forbidden") == 0 && strstr(e.message, "storage.objects.list");
  bool missing = rs.code == 404;
  hft_response_free(&rs);
  if (limited) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, "storage.objects.list is not permitted for the whole bucket; going on");
    status = HOLDFAST_OK;
  } else if (missing && create) {
    status = make_bucket(t);
  } else if (missing) {
    status = holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "there is no bucket %s at %s: either the name is wrong, or holdfast init has not been run", t->bucket,
                           t->base);
  }
  return status == HOLDFAST_OK ? check_features(t) : status;
}
