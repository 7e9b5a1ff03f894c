/* target_calls.c - a target's callbacks, each wrapped so that every answer is checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "sha256.h"
#include "target_calls.h"

struct holdfast_target_plugin plugin;
const struct holdfast_value *values;
char prefix[64];

static int checked(int status, const char *call, const char *name) {
  if (status > 0 || (status < 0 && !conf_status_known(status)))
    conf_flaw("%s %s: no such status: %d", call, name, status);
  else if (status < 0 && !*conf_message())
    conf_flaw("%s %s: failed with status %d and set no message", call, name, status);
  return status;
}

void *t_open(int create) {
  static const struct holdfast_host *host;
  void *h = NULL;
  if (!host) host = conf_host("conformance");
  conf_clear();
  int status = checked(plugin.open(host, values, create, &h), "open", create ? "(create)" : "");
  if (status == HOLDFAST_OK) return h;
  conf_flaw("open: status %d: %s", status, conf_message());
  return NULL;
}

const char *t_key(char key[KEY_MAX + 1], const char *name) {
  if (snprintf(key, KEY_MAX + 1, "%s%s", prefix, name) > KEY_MAX) conf_bail("the key of %s is too long", name);
  return key;
}

unsigned char *t_bytes(size_t n, unsigned seed) {
  unsigned char *p = malloc(n + 8);
  uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
  if (!p) conf_bail("out of memory");
  for (size_t i = 0; i < n; i += 8) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    memcpy(p + i, &x, 8);
  }
  return p;
}

int t_put(void *h, const char *name, const void *data, size_t n, uint32_t flags) {
  char key[KEY_MAX + 1], hex[65];
  sha256_hex(data, n, hex);
  struct holdfast_object o = {
      .struct_size = sizeof o, .flags = flags, .key = t_key(key, name), .data = data, .size = n, .sha256 = hex};
  conf_clear();
  return checked(plugin.put(h, &o), "put", name);
}

int t_get(void *h, const char *name, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  char key[KEY_MAX + 1];
  conf_clear();
  return plugin.get(h, t_key(key, name), offset, length, sink, ctx);
}

int t_stat(void *h, const char *name, uint64_t *size) {
  char key[KEY_MAX + 1];
  struct holdfast_stat st = {.struct_size = sizeof st};
  conf_clear();
  int status = checked(plugin.stat(h, t_key(key, name), &st), "stat", name);
  if (status == HOLDFAST_OK) {
    *size = st.size;
    if (st.sha256[0] && (memchr(st.sha256, '\0', 65) != st.sha256 + 64 || strspn(st.sha256, "0123456789abcdef") != 64))
      conf_flaw("stat %s: sha256 is neither empty nor 64 hex digits", name);
  }
  return status;
}

int t_remove(void *h, const char *const *names, size_t n) {
  char(*keys)[KEY_MAX + 1] = calloc(n + 1, sizeof *keys);
  const char **list = calloc(n + 1, sizeof *list);
  int *statuses = calloc(n + 1, sizeof *statuses), first = HOLDFAST_OK;
  if (!keys || !list || !statuses) conf_bail("out of memory");
  for (size_t i = 0; i < n; i++) {
    list[i] = t_key(keys[i], names[i]);
    statuses[i] = 12345;
  }
  statuses[n] = 12345;
  conf_clear();
  int status = checked(plugin.remove(h, list, n, statuses), "remove", n ? names[0] : "nothing");
  for (size_t i = n; i-- > 0;) {
    if (statuses[i] == 12345) conf_flaw("remove %s: no status was given", names[i]);
    if (statuses[i] != HOLDFAST_OK) first = statuses[i];
  }
  if (status != first || statuses[n] != 12345) conf_flaw("remove: returned %d, and the first bad status is %d", status, first);
  free(keys);
  free(list);
  free(statuses);
  return status;
}

void t_must_put(void *h, const char *name, const void *data, size_t n, uint32_t flags) {
  int status = t_put(h, name, data, n, flags);
  if (status != HOLDFAST_OK) conf_flaw("put %s: status %d: %s", name, status, conf_message());
}

/* ---- reading back ---- */

struct compare {
  const unsigned char *data;
  size_t n, at;
  bool differs;
};

static int compare_sink(void *ctx, const void *data, size_t n) {
  struct compare *c = ctx;
  if (n > c->n - c->at || memcmp(c->data + c->at, data, n) != 0) c->differs = true;
  c->at = n > c->n - c->at ? c->n : c->at + n;
  return HOLDFAST_OK;
}

void t_must_be(void *h, const char *name, const void *data, size_t n) {
  struct compare c = {data, n, 0, false};
  uint64_t size = 0;
  int status = t_stat(h, name, &size);
  if (status != HOLDFAST_OK)
    conf_flaw("stat %s: status %d: %s", name, status, conf_message());
  else if (size != n)
    conf_flaw("stat %s: %" PRIu64 " bytes, and not %zu", name, size, n);
  status = checked(t_get(h, name, 0, UINT64_MAX, compare_sink, &c), "get", name);
  if (status != HOLDFAST_OK)
    conf_flaw("get %s: status %d: %s", name, status, conf_message());
  else if (c.differs || c.at != n)
    conf_flaw("get %s: not the bytes that were put", name);
}

void t_must_not_be(void *h, const char *name) {
  struct compare c = {(const unsigned char *)"", 0, 0, false};
  uint64_t size;
  int status = t_stat(h, name, &size);
  if (status != HOLDFAST_E_NOT_FOUND) conf_flaw("stat %s: status %d, and not HOLDFAST_E_NOT_FOUND", name, status);
  status = checked(t_get(h, name, 0, UINT64_MAX, compare_sink, &c), "get", name);
  if (status != HOLDFAST_E_NOT_FOUND || c.differs)
    conf_flaw("get %s: status %d%s, and not HOLDFAST_E_NOT_FOUND", name, status, c.differs ? " and some bytes" : "");
}

/* ---- listing ---- */

struct collect {
  struct names *out;
  char under[KEY_MAX + 1];
  size_t cap;
};

static int collect(void *ctx, const char *key, uint64_t size) {
  struct collect *c = ctx;
  struct names *l = c->out;
  if (strncmp(key, c->under, strlen(c->under)) != 0) {
    conf_flaw("list %s: gave %s", c->under, key);
    return HOLDFAST_OK;
  }
  if (l->n == c->cap) {
    c->cap = c->cap ? 2 * c->cap : 64;
    l->v = realloc(l->v, c->cap * sizeof *l->v);
    l->size = realloc(l->size, c->cap * sizeof *l->size);
    if (!l->v || !l->size) conf_bail("out of memory");
  }
  l->v[l->n] = strdup(key + strlen(prefix));
  l->size[l->n++] = size;
  return HOLDFAST_OK;
}

int t_list(void *h, const char *under, struct names *out) {
  struct collect c = {.out = out};
  *out = (struct names){0};
  conf_clear();
  int status = checked(plugin.list(h, t_key(c.under, under), collect, &c), "list", under);
  if (status != HOLDFAST_OK) conf_flaw("list %s: status %d: %s", under, status, conf_message());
  for (size_t i = 0; i < out->n; i++)
    for (size_t k = 0; k < i; k++)
      if (strcmp(out->v[i], out->v[k]) == 0) conf_flaw("list %s: gave %s twice", under, out->v[i]);
  return status;
}

bool t_has(const struct names *l, const char *name) {
  for (size_t i = 0; i < l->n; i++)
    if (strcmp(l->v[i], name) == 0) return true;
  return false;
}

void t_names_free(struct names *l) {
  for (size_t i = 0; i < l->n; i++) free(l->v[i]);
  free(l->v);
  free(l->size);
}
