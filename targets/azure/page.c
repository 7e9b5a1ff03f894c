/* page.c - reading one page of a listing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/xml.h"
#include "azure.h"

struct reading {
  struct azure_page *page;
  struct azure_entry now;
  size_t cap;
  bool sized, told, whole, bad;
  const char *why;
};

void hf_azure_entry_free(struct azure_entry *e) {
  free(e->key);
  free(e->version);
  *e = (struct azure_entry){0};
}

void hf_azure_page_free(struct azure_page *p) {
  for (size_t i = 0; i < p->n; i++) hf_azure_entry_free(&p->v[i]);
  free(p->v);
  free(p->next);
  *p = (struct azure_page){0};
}

static void keep(struct reading *r, char **to, const char *text) {
  free(*to);
  *to = strdup(text);
  r->bad |= !*to;
}

/* An entry has ended. */
static void push(struct reading *r) {
  struct azure_page *p = r->page;
  if (!r->now.key || (!r->sized && !r->now.folder)) r->why = "an entry has no name or no size";
  if (r->why) return;
  if (p->n == r->cap) {
    size_t cap = r->cap ? 2 * r->cap : 64;
    struct azure_entry *v = realloc(p->v, cap * sizeof *v);
    if (!v) {
      r->bad = true;
      return;
    }
    p->v = v;
    r->cap = cap;
  }
  p->v[p->n++] = r->now;
  r->now = (struct azure_entry){0};
  r->sized = false;
}

static void entry_leaf(struct reading *r, const char *name, const char *text) {
  int64_t when;
  if (strcmp(name, "Name") == 0) keep(r, &r->now.key, text);
  if (strcmp(name, "VersionId") == 0 && *text) {
    /* It is the time at which the version was made. */
    if (!hft_time_parse(text, &r->now.when)) r->why = "a version's id is no time";
    keep(r, &r->now.version, text);
  }
  if (strcmp(name, "Properties/Last-Modified") == 0 && !r->now.version && hft_time_http(text, &when)) r->now.when = when;
  if (strcmp(name, "Properties/ResourceType") == 0) r->now.folder = strcmp(text, "directory") == 0;
  if (strcmp(name, "Properties/Content-Length") == 0) {
    if (!hft_number(text, &r->now.size)) r->why = "a size is not a number";
    r->sized = true;
  }
}

static int page_leaf(void *ctx, const char *path, char *text) {
  struct reading *r = ctx;
  static const char blob[] = "/EnumerationResults/Blobs/Blob";
  if (strncmp(path, blob, sizeof blob - 1) == 0 && path[sizeof blob - 1] == '/')
    entry_leaf(r, path + sizeof blob, text);
  else if (strcmp(path, blob) == 0)
    push(r);
  else if (strcmp(path, "/EnumerationResults") == 0)
    r->whole = true;
  else if (strcmp(path, "/EnumerationResults/NextMarker") == 0) {
    r->told = true;
    if (*text) keep(r, &r->page->next, text);
  }
  return r->why || r->bad ? -1 : 0;
}

int hf_azure_page_read(const char *xml, size_t n, struct azure_page *out, char *why, size_t cap) {
  struct reading r = {.page = out};
  char said[HFT_XML_WHY];
  *out = (struct azure_page){0};
  int status = hft_xml_read(xml, n, page_leaf, &r, said);
  hf_azure_entry_free(&r.now);
  if (r.bad)
    r.why = "out of memory";
  else if (status > 0)
    r.why = said;
  else if (!r.why && !r.whole)
    r.why = "it is something else";
  else if (!r.why && !r.told)
    r.why = "it does not say whether there is more";
  if (r.why) snprintf(why, cap, "%s", r.why);
  return r.why ? 1 : 0;
}
