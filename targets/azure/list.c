/* list.c - listing a container, page by page: all of it, or an error.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure.h"

#define TEXT_OF(n) #n
#define TEXT(n) TEXT_OF(n)

/* Ask for a page; free it whatever comes. */
static int get_page(struct azure *t, const char *query, struct azure_page *out) {
  const struct azure_call c = {
      .method = "GET", .action = "containers/blobs/read", .permission = 'l', .query = query, .max_body = AZURE_PAGE_MAX};
  struct hft_response rs = {0};
  char why[200];
  *out = (struct azure_page){0};
  int status = hf_azure_call(t, &c, &rs);
  /* A page is used only when it was read to its end. One that is cut off or is no listing at all may be a passing trouble of something in between. */
  if (status == HOLDFAST_OK && hf_azure_page_read(hft_text(&rs.body), rs.body.len, out, why, sizeof why) != 0)
    status = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "container %s: the listing cannot be used: %s", t->container, why);
  hft_response_free(&rs);
  return status;
}

/* A server that lists what was not asked for may leave out what was. */
static int check_below(const struct azure *t, const char *prefix, const struct azure_entry *e) {
  if (strncmp(e->key, prefix, strlen(prefix)) == 0) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_FAILED, "container %s: the listing of %s has keys that are not below it", t->container,
                       prefix);
}

int hf_azure_walk(struct azure *t, const char *prefix, bool versions, int (*fn)(void *ctx, struct azure_entry *e), void *ctx) {
  char *marker = NULL;
  bool more = true;
  int status = HOLDFAST_OK;
  while (status == HOLDFAST_OK && more) {
    struct azure_page p = {0};
    struct hft_buf query = {0};
    hft_addf(&query,
             "restype=container&comp=list&maxresults=" TEXT(AZURE_PAGE) "%s&prefix=", versions ? "&include=versions" : "");
    hft_encode(&query, prefix, false);
    if (marker) hft_adds(&query, "&marker="), hft_encode(&query, marker, false);
    status = query.bad ? hft_no_memory(t->host) : get_page(t, query.data, &p);
    hft_buf_free(&query);
    if (status == HOLDFAST_OK && p.next && marker && strcmp(marker, p.next) == 0)
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "container %s: the listing goes round in a circle", t->container);
    for (size_t i = 0; i < p.n && status == HOLDFAST_OK; i++) {
      status = check_below(t, prefix, &p.v[i]);
      if (status == HOLDFAST_OK && !p.v[i].folder) status = fn(ctx, &p.v[i]);
      if (status > 0) status = HOLDFAST_OK;
    }
    free(marker);
    marker = p.next;
    p.next = NULL;
    more = marker != NULL;
    hf_azure_page_free(&p);
  }
  free(marker);
  return status;
}

int hf_azure_listed(const struct azure_entry *e, holdfast_lister lister, void *ctx) {
  /* Others may keep things of their own in the container. */
  if (!hft_key_ok(e->key)) return HOLDFAST_OK;
  int status = lister(ctx, e->key, e->size);
  return status < 0 ? status : HOLDFAST_OK;
}

struct listing {
  holdfast_lister lister;
  void *ctx;
};

static int list_one(void *ctx, struct azure_entry *e) {
  const struct listing *l = ctx;
  return hf_azure_listed(e, l->lister, l->ctx);
}

int hf_azure_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  struct azure *t = handle;
  struct listing l = {lister, ctx};
  int status = hft_prefix_check(t->host, prefix);
  if (status != HOLDFAST_OK) return status;
  return t->as_of ? hf_azure_list_as_of(t, prefix, lister, ctx) : hf_azure_walk(t, prefix, false, list_one, &l);
}
