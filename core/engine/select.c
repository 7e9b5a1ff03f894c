/* select.c - which paths of a tree are wanted.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fnmatch.h>

#include "engine/engine.h"

static const char *bare(const char *pattern) {
  while (*pattern == '/') pattern++;
  return pattern;
}

/* fnmatch with ** meaning any number of components: then slashes are no barrier anywhere in the pattern. */
static bool glob_matches(const char *pattern, const char *path) { return fnmatch(pattern, path, strstr(pattern, "**") ? 0 : FNM_PATHNAME) == 0; }

static size_t literal_length(const char *pattern) { return strcspn(pattern, "*?[\\"); }

static bool one_wants(const char *pattern, const char *path, size_t n) {
  size_t len = strlen(pattern);
  while (len > 0 && pattern[len - 1] == '/') len--;
  if (literal_length(pattern) >= len) return len == 0 || (n >= len && memcmp(path, pattern, len) == 0 && (n == len || path[len] == '/'));
  /* The path itself and every folder above it. */
  HF_CLEANUP(hf_freep) char *pat = hf_strndup(pattern, len);
  HF_CLEANUP(hf_freep) char *copy = hf_strndup(path, n);
  for (;;) {
    if (glob_matches(pat, copy)) return true;
    char *slash = strrchr(copy, '/');
    if (!slash) return false;
    *slash = 0;
  }
}

bool hf_select_wants(const struct hf_select *s, const char *path, size_t n) {
  if (!s || !s->patterns || s->patterns->n == 0) return true;
  for (size_t i = 0; i < s->patterns->n; i++) {
    if (one_wants(bare(s->patterns->v[i]), path, n)) return true;
  }
  return false;
}

bool hf_select_leads_to(const struct hf_select *s, const char *path, size_t n) {
  if (!s || !s->patterns) return false;
  for (size_t i = 0; i < s->patterns->n; i++) {
    const char *p = bare(s->patterns->v[i]);
    size_t lit = literal_length(p);
    if (lit > n && memcmp(p, path, n) == 0 && p[n] == '/') return true;
  }
  return false;
}
