/* versions.c - a versioned bucket as it was at a time: what was deleted or replaced since is still there.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Versions are listed by key, and of one key the newest first. Of each the first that is not younger than the time decides: a version is the object, a
 * delete marker means that there was none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

/* An entry that decides for its key; a positive return ends the walk. */
typedef int (*decided)(void *ctx, const struct s3_entry *e);

static int walk(struct s3 *t, const char *prefix, decided fn, void *ctx) {
  char *marker = NULL, *version = NULL, *last = NULL; /* last: the key that has been decided */
  bool more = true;
  int status = HOLDFAST_OK;
  while (status == HOLDFAST_OK && more) {
    struct s3_page p;
    struct hft_buf query = {0};
    hft_adds(&query, "versions&max-keys=1000&encoding-type=url&prefix=");
    hft_encode(&query, prefix, false);
    if (marker) hft_adds(&query, "&key-marker="), hft_encode(&query, marker, false);
    if (marker && version) hft_adds(&query, "&version-id-marker="), hft_encode(&query, version, false);
    status = query.bad ? hft_no_memory(t->host) : HOLDFAST_OK;
    p = (struct s3_page){0};
    if (status == HOLDFAST_OK) status = hf_s3_page_get(t, query.data, &p);
    hft_buf_free(&query);
    if (status == HOLDFAST_OK && p.truncated && p.encoded && !hft_decode(p.next))
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the listing's marker cannot be read", t->bucket);
    bool same = marker && p.next && strcmp(marker, p.next) == 0 && strcmp(version ? version : "", p.next_version ? p.next_version : "") == 0;
    if (status == HOLDFAST_OK && p.truncated && same)
      status = holdfast_fail(t->host, HOLDFAST_E_FAILED, "bucket %s: the listing goes round in a circle", t->bucket);
    for (size_t i = 0; i < p.n && status == HOLDFAST_OK; i++) {
      struct s3_entry *e = &p.v[i];
      if (e->when > t->as_of || (last && strcmp(last, e->key) == 0)) continue;
      if (!e->deleted) status = fn(ctx, e);
      free(last);
      last = e->key;
      e->key = NULL;
    }
    more = p.truncated;
    free(marker);
    free(version);
    marker = p.next;
    version = p.next_version;
    p.next = p.next_version = NULL;
    hf_s3_page_free(&p);
  }
  free(marker);
  free(version);
  free(last);
  return status;
}

struct listing {
  const struct s3 *t;
  const char *prefix;
  holdfast_lister lister;
  void *ctx;
};

static int list_one(void *ctx, const struct s3_entry *e) {
  const struct listing *l = ctx;
  return hf_s3_listed(l->t, l->prefix, e, l->lister, l->ctx);
}

int hf_s3_list_as_of(struct s3 *t, const char *prefix, holdfast_lister lister, void *ctx) {
  struct listing l = {t, prefix, lister, ctx};
  return walk(t, prefix, list_one, &l);
}

struct finding {
  const char *key;
  struct hft_buf version;
};

static int find_one(void *ctx, const struct s3_entry *e) {
  struct finding *f = ctx;
  /* Keys that only begin with it come after it. */
  if (strcmp(e->key, f->key) == 0) hft_encode(&f->version, e->version, false);
  return 1;
}

int hf_s3_version_as_of(struct s3 *t, const char *key, char **version) {
  struct finding f = {.key = key};
  int status = walk(t, key, find_one, &f);
  if (status >= 0) {
    status = f.version.bad ? hft_no_memory(t->host) : HOLDFAST_OK;
    if (status == HOLDFAST_OK && f.version.len == 0)
      status = holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "bucket %s: there was no %s at that time", t->bucket, key);
  }
  if (status != HOLDFAST_OK) hft_buf_free(&f.version);
  else *version = f.version.data;
  return status;
}
