/* page.c - reading one page of a listing, of objects or of versions.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/xml.h"
#include "s3.h"

struct reading {
  struct s3_page *page;
  struct s3_entry now;
  size_t cap;
  bool sized, told, encoded, whole, timed, bad;
  const char *why;
};

void hf_s3_entry_free(struct s3_entry *e) {
  free(e->key);
  free(e->version);
  *e = (struct s3_entry){0};
}

void hf_s3_page_free(struct s3_page *p) {
  for (size_t i = 0; i < p->n; i++) hf_s3_entry_free(&p->v[i]);
  free(p->v);
  free(p->next);
  free(p->next_version);
  *p = (struct s3_page){0};
}

static void keep(struct reading *r, char **to, const char *text) {
  free(*to);
  *to = strdup(text);
  r->bad |= !*to;
}

/* An entry has ended. */
static int push(struct reading *r, bool versions) {
  struct s3_page *p = r->page;
  if (!r->now.key || (!r->sized && !r->now.deleted)) r->why = "an entry has no key or no size";
  else if (versions && (!r->now.version || !r->timed)) r->why = "a version has no id or no time";
  if (r->why || r->bad) return -1;
  if (p->n == r->cap) {
    size_t cap = r->cap ? 2 * r->cap : 64;
    struct s3_entry *v = realloc(p->v, cap * sizeof *v);
    if (!v) {
      r->bad = true;
      return -1;
    }
    p->v = v;
    r->cap = cap;
  }
  p->v[p->n++] = r->now;
  r->now = (struct s3_entry){0};
  r->sized = r->timed = false;
  return 0;
}

static int entry_leaf(struct reading *r, const char *name, const char *text) {
  if (strcmp(name, "Key") == 0) keep(r, &r->now.key, text);
  if (strcmp(name, "VersionId") == 0) keep(r, &r->now.version, text);
  if (strcmp(name, "LastModified") == 0) r->timed = hft_time_parse(text, &r->now.when);
  if (strcmp(name, "Size") == 0) {
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 18 || text[n]) r->why = "a size is not a number";
    else r->now.size = strtoull(text, NULL, 10);
    r->sized = true;
  }
  return r->why || r->bad ? -1 : 0;
}

/* What follows the prefix, or NULL. */
static const char *below(const char *path, const char *prefix) {
  size_t n = strlen(prefix);
  return strncmp(path, prefix, n) == 0 ? path + n : NULL;
}

static int page_leaf(void *ctx, const char *path, char *text) {
  struct reading *r = ctx;
  const char *name;
  if ((name = below(path, "/ListBucketResult/Contents/"))) return entry_leaf(r, name, text);
  if ((name = below(path, "/ListVersionsResult/Version/"))) return entry_leaf(r, name, text);
  if ((name = below(path, "/ListVersionsResult/DeleteMarker/"))) return entry_leaf(r, name, text);
  if (strcmp(path, "/ListBucketResult/Contents") == 0) return push(r, false);
  if (strcmp(path, "/ListVersionsResult/Version") == 0) return push(r, true);
  if (strcmp(path, "/ListVersionsResult/DeleteMarker") == 0) {
    r->now.deleted = true;
    return push(r, true);
  }
  if (strcmp(path, "/ListBucketResult") == 0 || strcmp(path, "/ListVersionsResult") == 0) r->whole = true;
  if (!(name = below(path, "/ListBucketResult/")) && !(name = below(path, "/ListVersionsResult/"))) return 0;
  if (strcmp(name, "IsTruncated") == 0) {
    r->told = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    r->page->truncated = strcmp(text, "true") == 0;
  }
  if (strcmp(name, "EncodingType") == 0) r->encoded = strcmp(text, "url") == 0;
  if (strcmp(name, "NextContinuationToken") == 0 || strcmp(name, "NextKeyMarker") == 0) keep(r, &r->page->next, text);
  if (strcmp(name, "NextVersionIdMarker") == 0) keep(r, &r->page->next_version, text);
  return r->bad ? -1 : 0;
}

int hf_s3_page_read(const char *xml, size_t n, struct s3_page *out, char *why, size_t cap) {
  struct reading r = {.page = out};
  char said[HFT_XML_WHY];
  *out = (struct s3_page){0};
  int status = hft_xml_read(xml, n, page_leaf, &r, said);
  hf_s3_entry_free(&r.now);
  if (r.bad) r.why = "out of memory";
  else if (status > 0) r.why = said;
  else if (!r.why && !r.whole) r.why = "it is something else";
  else if (!r.why && !r.told) r.why = "it does not say whether there is more";
  else if (!r.why && out->truncated && !out->next) r.why = "there is more, and it does not say from where";
  for (size_t i = 0; i < out->n && !r.why && r.encoded; i++)
    if (!hft_decode(out->v[i].key)) r.why = "a key is not encoded as it should be";
  /* The marker of versions is a key, encoded like the others; a continuation token is not. */
  if (r.why) snprintf(why, cap, "%s", r.why);
  out->encoded = r.encoded;
  return r.why ? 1 : 0;
}
