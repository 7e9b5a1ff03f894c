/* versions.c - a versioned container as it was at a time: what was deleted or replaced since is still there.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Versions are listed by key, and of one key the oldest first. Of each the last that is not younger than the time is the object. The service keeps no
 * record of when a key was deleted, so one that was deleted before that time is there again, too.
 */
#include <stdlib.h>
#include <string.h>

#include "azure.h"

struct walk {
  int64_t as_of;
  struct azure_entry best; /* of the key that is being walked over; key NULL: none yet */
  int (*fn)(void *ctx, const struct azure_entry *e);
  void *ctx;
};

/* The key before is decided. */
static int decide(struct walk *w) {
  int status = w->best.key ? w->fn(w->ctx, &w->best) : HOLDFAST_OK;
  hf_azure_entry_free(&w->best);
  return status;
}

static int look(void *ctx, struct azure_entry *e) {
  struct walk *w = ctx;
  int status = HOLDFAST_OK;
  if (w->best.key && strcmp(w->best.key, e->key) != 0) status = decide(w);
  if (status < 0 || e->when > w->as_of) return status;
  /* A later one of the same key; however they are sorted. */
  if (w->best.key && e->when < w->best.when) return status;
  hf_azure_entry_free(&w->best);
  w->best = *e;
  *e = (struct azure_entry){0};
  return status;
}

static int walk(struct azure *t, const char *prefix, int (*fn)(void *ctx, const struct azure_entry *e), void *ctx) {
  struct walk w = {.as_of = t->as_of, .fn = fn, .ctx = ctx};
  int status = hf_azure_walk(t, prefix, true, look, &w);
  if (status == HOLDFAST_OK) status = decide(&w);
  hf_azure_entry_free(&w.best);
  return status < 0 ? status : HOLDFAST_OK;
}

struct listing {
  holdfast_lister lister;
  void *ctx;
};

static int list_one(void *ctx, const struct azure_entry *e) {
  const struct listing *l = ctx;
  return hf_azure_listed(e, l->lister, l->ctx);
}

int hf_azure_list_as_of(struct azure *t, const char *prefix, holdfast_lister lister, void *ctx) {
  struct listing l = {lister, ctx};
  return walk(t, prefix, list_one, &l);
}

struct finding {
  const char *key;
  struct hft_buf *query;
  bool found;
};

static int find_one(void *ctx, const struct azure_entry *e) {
  struct finding *f = ctx;
  /* Keys that only begin with it come, too. */
  if (strcmp(e->key, f->key) != 0) return HOLDFAST_OK;
  f->found = true;
  if (e->version) hft_adds(f->query, "versionid="), hft_encode(f->query, e->version, false);
  return HOLDFAST_OK;
}

int hf_azure_version_query(struct azure *t, const char *key, struct hft_buf *query) {
  struct finding f = {.key = key, .query = query};
  if (!t->as_of) return HOLDFAST_OK;
  int status = walk(t, key, find_one, &f);
  if (status == HOLDFAST_OK && !f.found)
    status = holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "container %s: there was no %s at that time", t->container, key);
  return status == HOLDFAST_OK && query->bad ? hft_no_memory(t->host) : status;
}
