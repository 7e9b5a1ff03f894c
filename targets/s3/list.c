/* list.c - listing a bucket, page by page: all of it, or an error.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

int hf_s3_page_get(struct s3 *t, const char *query, struct s3_page *out) {
  const struct s3_call c = {.method = "GET", .action = strncmp(query, "versions", 8) == 0 ? "s3:ListBucketVersions" : "s3:ListBucket", .query = query,
                            .max_body = S3_PAGE_MAX};
  struct hft_response rs = {0};
  char why[200];
  *out = (struct s3_page){0};
  int status = hf_s3_call(t, &c, &rs);
  /* A page is used only when it was read to its end. One that is cut off or is no listing at all may be a passing trouble of something in between. */
  if (status == HOLDFAST_OK && hf_s3_page_read(hft_text(&rs.body), rs.body.len, out, why, sizeof why) != 0)
    status = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "bucket %s: the listing cannot be used: %s", t->bucket, why);
  hft_response_free(&rs);
  return status;
}

int hf_s3_listed(const struct s3 *t, const char *prefix, const struct s3_entry *e, holdfast_lister lister, void *ctx) {
  /* A server that lists what was not asked for may leave out what was. */
  if (strncmp(e->key, prefix, strlen(prefix)) != 0)
    return holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the listing of %s has keys that are not below it", t->bucket, prefix);
  /* Others may keep things of their own in the bucket. */
  if (!hft_key_ok(e->key)) return HOLDFAST_OK;
  int status = lister(ctx, e->key, e->size);
  return status < 0 ? status : HOLDFAST_OK;
}

/* All entries of a page. */
static int hand_on(struct s3 *t, const char *prefix, const struct s3_page *p, holdfast_lister lister, void *ctx) {
  int status = HOLDFAST_OK;
  for (size_t i = 0; i < p->n && status == HOLDFAST_OK; i++) status = hf_s3_listed(t, prefix, &p->v[i], lister, ctx);
  return status;
}

int hf_s3_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  struct s3 *t = handle;
  char *token = NULL;
  bool more = true;
  int status = hft_prefix_check(t->host, prefix);
  if (status == HOLDFAST_OK && t->as_of) return hf_s3_list_as_of(t, prefix, lister, ctx);
  while (status == HOLDFAST_OK && more) {
    struct s3_page p;
    struct hft_buf query = {0};
    hft_adds(&query, "list-type=2&max-keys=1000&encoding-type=url&prefix=");
    hft_encode(&query, prefix, false);
    if (token) hft_adds(&query, "&continuation-token="), hft_encode(&query, token, false);
    if (query.bad) {
      hft_buf_free(&query);
      status = hft_no_memory(t->host);
      break;
    }
    status = hf_s3_page_get(t, query.data, &p);
    hft_buf_free(&query);
    if (status == HOLDFAST_OK && p.truncated && token && strcmp(token, p.next) == 0)
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the listing goes round in a circle", t->bucket);
    if (status == HOLDFAST_OK) status = hand_on(t, prefix, &p, lister, ctx);
    more = p.truncated;
    free(token);
    token = p.next;
    p.next = NULL;
    hf_s3_page_free(&p);
  }
  free(token);
  return status;
}
