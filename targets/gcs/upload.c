/* upload.c - sending an object: with its metadata in one request, or by a session that goes on where it was cut.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A session is begun with the metadata, and gives a URL. The bytes go there; after a cut the service is asked how many it has, and gets the rest. This goes on
 * for as long as each attempt brings it further. Else the host tries again later, and the session is still there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gcs.h"

/* The object as it shall be, to be freed; NULL when out of memory. The service refuses bytes that have other sums. */
static char *metadata(const struct gcs *t, const struct holdfast_object *o, const struct gcs_sums *sums, const char *nonce) {
  char until[HFT_TIME];
  json_t *doc = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "name", o->key, "contentType", "application/octet-stream", "crc32c", sums->crc32c, "metadata",
                          "sha256", o->sha256, "holdfast-try", nonce);
  if (doc && *sums->md5) json_object_set_new(doc, "md5Hash", json_string(sums->md5));
  if (doc && t->storage_class && hft_key_is_pack(o->key)) json_object_set_new(doc, "storageClass", json_string(t->storage_class));
  if (doc && t->mode) {
    hft_time_format(until, (int64_t)time(NULL) + t->retain);
    json_object_set_new(doc, "retention", json_pack("{s:s, s:s}", "mode", t->mode, "retainUntilTime", until));
  }
  char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
  json_decref(doc);
  return text;
}

static void add_query(const struct gcs *t, const char *type, const char *generation, struct hft_buf *query) {
  hft_addf(query, "uploadType=%s&ifGenerationMatch=%s", type, generation);
  if (t->kms_key) hft_adds(query, "&kmsKeyName="), hft_encode(query, t->kms_key, false);
}

/* The answer of a finished upload. */
static int stored(const struct gcs *t, const char *key, const struct hft_response *rs, struct gcs_object *out) {
  const char *why;
  if (hf_gcs_object_read(hft_text(&rs->body), rs->body.len, out, &why)) return HOLDFAST_OK;
  /* It may be there, and the next try finds out. */
  return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s: what the server says it has stored cannot be used: %s", key, why);
}

/* ---- one request ---- */

static int in_one(struct gcs *t, const struct holdfast_object *o, const char *meta, const char *generation, const char *nonce, struct gcs_object *out) {
  struct hft_buf query = {0}, body = {0}, type = {0};
  struct hft_response rs = {0};
  add_query(t, "multipart", generation, &query);
  /* The random number parts it, as nobody can have put that into the data. */
  hft_addf(&type, "multipart/related; boundary=%s", nonce);
  hft_addf(&body, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n", nonce, meta);
  hft_addf(&body, "--%s\r\nContent-Type: application/octet-stream\r\n\r\n", nonce);
  if (o->size) hft_add(&body, o->data, (size_t)o->size);
  hft_addf(&body, "\r\n--%s--\r\n", nonce);
  struct gcs_call c = {.what = GCS_UPLOAD, .method = "POST", .action = "storage.objects.create", .query = hft_text(&query), .body = body.data,
                       .size = body.len};
  hf_gcs_extra(&c, "content-type", hft_text(&type));
  int status = query.bad || body.bad || type.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
  if (status == HOLDFAST_OK) status = stored(t, o->key, &rs, out);
  hft_response_free(&rs);
  hft_buf_free(&query);
  hft_buf_free(&body);
  hft_buf_free(&type);
  return status;
}

/* ---- a session ---- */

bool hf_gcs_session_offset(const char *range, uint64_t size, uint64_t *offset) {
  uint64_t last;
  *offset = 0;
  if (!range) return true;
  if (strncmp(range, "bytes=0-", 8) != 0 || !hft_number(range + 8, &last) || last >= size) return false;
  *offset = last + 1;
  return true;
}

static void end_session(struct gcs_try *try) {
  hft_token_free(try->session);
  try->session = NULL;
}

static int begin_session(struct gcs *t, const struct holdfast_object *o, const char *meta, const char *generation, struct gcs_try *try) {
  struct hft_buf query = {0};
  struct hft_response rs = {0};
  char size[24];
  add_query(t, "resumable", generation, &query);
  snprintf(size, sizeof size, "%" PRIu64, o->size);
  struct gcs_call c = {.what = GCS_UPLOAD, .method = "POST", .action = "storage.objects.create", .query = hft_text(&query), .body = meta, .size = strlen(meta)};
  hf_gcs_extra(&c, "content-type", "application/json; charset=UTF-8");
  hf_gcs_extra(&c, "x-upload-content-type", "application/octet-stream");
  hf_gcs_extra(&c, "x-upload-content-length", size);
  int status = query.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
  if (status == HOLDFAST_OK) {
    const char *location = hft_response_header(&rs, "location");
    /* The bytes go to where the service says, but not into the clear if it was asked under cover. */
    bool clear = location && strncmp(location, "http://", 7) == 0 && strncmp(t->base, "http://", 7) == 0;
    if (!location || (!clear && !hf_gcs_url_ok(location, false)))
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the server begins an upload without saying where the bytes go", t->bucket);
    else if (!(try->session = strdup(location)))
      status = hft_no_memory(t->host);
  }
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

enum progress { CUT, MORE, DONE }; /* the attempt failed; the service wants more bytes; the object is stored */

/* Send the bytes from at on, or none of them to ask how many are there. at becomes the service's offset when it wants more. */
static int send_rest(struct gcs *t, const struct holdfast_object *o, const char *session, bool asking, uint64_t *at, enum progress *progress, int *code,
                     struct gcs_object *out) {
  struct hft_response rs = {0};
  char range[80];
  struct gcs_call c = {.what = GCS_SESSION, .method = "PUT", .action = "storage.objects.create", .session = session, .also = 308};
  *progress = CUT;
  if (asking) {
    snprintf(range, sizeof range, "bytes */%" PRIu64, o->size);
  } else {
    snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, *at, o->size - 1, o->size);
    c.body = (const char *)o->data + *at;
    c.size = o->size - *at;
  }
  hf_gcs_extra(&c, "content-range", range);
  int status = hf_gcs_call(t, &c, &rs);
  *code = rs.code;
  if (status == HOLDFAST_OK && rs.code == 308) {
    *progress = MORE;
    if (!hf_gcs_session_offset(hft_response_header(&rs, "range"), o->size, at))
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s: the server does not say how much of the upload it has", o->key);
  } else if (status == HOLDFAST_OK) {
    *progress = DONE;
    status = stored(t, o->key, &rs, out);
  }
  hft_response_free(&rs);
  return status;
}

/* With a session, new or old, to the end. *code: of the last answer, 0 for none. */
static int run_session(struct gcs *t, const struct holdfast_object *o, const char *session, bool old, int *code, struct gcs_object *out) {
  uint64_t at = 0, best = 0;
  enum progress progress;
  int cut = HOLDFAST_OK;
  bool asking = old, unknown = old;
  for (;;) {
    int status = send_rest(t, o, session, asking, &at, &progress, code, out);
    if (progress == DONE) return status;
    if (progress == MORE && status == HOLDFAST_OK) {
      /* Who takes less than it is given is asked to go on, and a cut is mended, only for as long as each time brings us further. */
      if (at <= best && !unknown && cut != HOLDFAST_OK) return cut;
      if (at <= best && !unknown)
        return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s: the upload does not get on: the server has %" PRIu64 " of %" PRIu64 " bytes", o->key, at,
                             o->size);
      unknown = false;
      best = at;
      cut = HOLDFAST_OK;
      asking = at == o->size; /* all is there, and nothing is stored yet: asking makes it so */
      continue;
    }
    /* An answer, of whatever kind, is for the host to judge; a lost connection is looked into at once, but once. */
    if (status != HOLDFAST_E_TRANSIENT || *code != 0 || asking) return status;
    cut = status;
    asking = true;
  }
}

/* May it go on after such an end? What has been refused for good, or was forgotten, may not. */
static bool resumable(int status, int code) {
  return status == HOLDFAST_E_CANCELED || (status == HOLDFAST_E_TRANSIENT && (code < 400 || code >= 500 || code == 408 || code == 429));
}

static int by_session(struct gcs *t, const struct holdfast_object *o, const char *meta, const char *generation, struct gcs_try *try, struct gcs_object *out) {
  for (;;) {
    bool old = try->session != NULL;
    int code = 0, status = old ? HOLDFAST_OK : begin_session(t, o, meta, generation, try);
    if (status != HOLDFAST_OK) return status;
    status = run_session(t, o, try->session, old, &code, out);
    if (resumable(status, code)) return status;
    end_session(try);
    bool gone = code == 404 || code == 410;
    if (gone && !old)
      return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s: the server has forgotten the upload in the middle of it (%d)", o->key, code);
    if (!gone) return status;
    /* An old one may have come to its end: from the beginning, once. */
  }
}

int hf_gcs_upload(struct gcs *t, const struct holdfast_object *o, const struct gcs_sums *sums, const char *generation, struct gcs_try *try,
                  struct gcs_object *out) {
  char *meta = metadata(t, o, sums, try->nonce);
  int status = !meta                          ? hft_no_memory(t->host)
               : o->size < t->resumable_min ? in_one(t, o, meta, generation, try->nonce, out)
                                              : by_session(t, o, meta, generation, try, out);
  free(meta);
  return status;
}
