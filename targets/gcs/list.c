/* list.c - listing a bucket, page by page, as it is or as it was: all of it, or an error.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A versioned bucket keeps what was deleted or replaced. Each version says from when to when it was there, so that at any time at most one of a key was.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs.h"

/* An entry of a page. A negative return ends the walk with that status, a positive one with HOLDFAST_OK. */
typedef int (*visitor)(void *ctx, const struct gcs_entry *e);

static int get_page(struct gcs *t, const char *prefix, const char *token, struct gcs_page *out) {
  const bool versions = t->as_of != 0;
  struct hft_buf query = {0};
  struct hft_response rs = {0};
  const char *why;
  *out = (struct gcs_page){0};
  hft_addf(&query, "maxResults=1000&fields=kind,nextPageToken,items(name,size%s)", versions ? ",generation,timeCreated,timeDeleted" : "");
  if (versions) hft_adds(&query, "&versions=true");
  hft_adds(&query, "&prefix="), hft_encode(&query, prefix, false);
  if (token) hft_adds(&query, "&pageToken="), hft_encode(&query, token, false);
  const struct gcs_call c = {.what = GCS_OBJECTS, .method = "GET", .action = "storage.objects.list", .query = hft_text(&query), .max_body = GCS_PAGE_MAX};
  int status = query.bad ? hft_no_memory(t->host) : hf_gcs_call(t, &c, &rs);
  /* A page is used only when it was read to its end. One that is cut off or is no listing at all may be a passing trouble of something in between. */
  if (status == HOLDFAST_OK && hf_gcs_page_read(hft_text(&rs.body), rs.body.len, versions, out, &why) != 0)
    status = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "bucket %s: the listing cannot be used: %s", t->bucket, why);
  else if (status == HOLDFAST_OK && token && out->next && strcmp(token, out->next) == 0)
    status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the listing goes round in a circle", t->bucket);
  hft_response_free(&rs);
  hft_buf_free(&query);
  return status;
}

static int walk(struct gcs *t, const char *prefix, visitor visit, void *ctx) {
  char *token = NULL;
  int status;
  do {
    struct gcs_page p;
    status = get_page(t, prefix, token, &p);
    for (size_t i = 0; i < p.n && status == HOLDFAST_OK; i++) {
      /* A server that lists what was not asked for may leave out what was. */
      if (strncmp(p.v[i].key, prefix, strlen(prefix)) != 0)
        status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the listing of %s has keys that are not below it", t->bucket, prefix);
      else if (!t->as_of || (p.v[i].created <= t->as_of && p.v[i].deleted > t->as_of))
        status = visit(ctx, &p.v[i]);
    }
    free(token);
    token = p.next;
    p.next = NULL;
    hf_gcs_page_free(&p);
  } while (status == HOLDFAST_OK && token);
  free(token);
  return status < 0 ? status : HOLDFAST_OK;
}

struct listing {
  holdfast_lister lister;
  void *ctx;
};

static int list_one(void *ctx, const struct gcs_entry *e) {
  const struct listing *l = ctx;
  /* Others may keep things of their own in the bucket. */
  if (!hft_key_ok(e->key)) return HOLDFAST_OK;
  int status = l->lister(l->ctx, e->key, e->size);
  return status < 0 ? status : HOLDFAST_OK;
}

int hf_gcs_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  struct gcs *t = handle;
  struct listing l = {lister, ctx};
  int status = hft_prefix_check(t->host, prefix);
  return status == HOLDFAST_OK ? walk(t, prefix, list_one, &l) : status;
}

struct finding {
  const char *key;
  char *generation;
  bool bad;
};

static int find_one(void *ctx, const struct gcs_entry *e) {
  struct finding *f = ctx;
  if (strcmp(e->key, f->key) != 0) return HOLDFAST_OK;
  f->generation = strdup(e->generation);
  f->bad = !f->generation;
  return 1;
}

int hf_gcs_generation_as_of(struct gcs *t, const char *key, char **generation) {
  struct finding f = {.key = key};
  int status = walk(t, key, find_one, &f);
  if (status == HOLDFAST_OK && f.bad) status = hft_no_memory(t->host);
  if (status == HOLDFAST_OK && !f.generation)
    status = holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "bucket %s: there was no %s at that time", t->bucket, key);
  *generation = f.generation;
  return status;
}
