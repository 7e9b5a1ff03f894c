/* unit.c - the syntax of unit files, and the names of units.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

struct parser {
  hf_systemd_fn fn;
  void *ctx;
  unsigned *bad;
  char *section; /* owned; "" before the first one */
  char *line;    /* a logical line: physical ones joined by a blank */
  size_t len, cap;
  unsigned first; /* its first line's number */
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static int add(struct parser *p, const char *s, size_t n) {
  if (p->len + n + 2 > p->cap) {
    size_t cap = (p->len + n + 2) * 2;
    char *grown = realloc(p->line, cap);
    if (!grown) return -ENOMEM;
    p->line = grown;
    p->cap = cap;
  }
  memcpy(p->line + p->len, s, n);
  p->len += n;
  p->line[p->len] = '\0';
  return 0;
}

static void strip(char **s, size_t *n) {
  while (*n > 0 && is_blank((*s)[*n - 1])) --*n;
  while (*n > 0 && is_blank(**s)) ++*s, --*n;
  (*s)[*n] = '\0';
}

/* A logical line that is neither empty nor a comment. */
static int logical(struct parser *p) {
  char *s = p->line;
  size_t n = p->len;
  if (memchr(s, '\0', n)) goto bad;
  strip(&s, &n);
  if (n == 0) return 0;
  if (*s == '[') {
    if (n < 3 || s[n - 1] != ']') goto bad;
    char *copy = strndup(s + 1, n - 2);
    if (!copy) return -ENOMEM;
    free(p->section);
    p->section = copy;
    return 0;
  }
  char *equals = memchr(s, '=', n);
  if (!equals || equals == s || !*p->section) goto bad;
  char *key = s, *value = equals + 1;
  size_t key_n = (size_t)(equals - s), value_n = n - key_n - 1;
  strip(&value, &value_n);
  strip(&key, &key_n);
  return p->fn(p->ctx, p->section, key, value);
bad:
  if (*p->bad == 0) *p->bad = p->first;
  return 0;
}

int hf_systemd_parse(const char *text, size_t n, hf_systemd_fn fn, void *ctx, unsigned *bad) {
  struct parser p = {.fn = fn, .ctx = ctx, .bad = bad, .section = strdup("")};
  const char *at = text, *end = text + n;
  bool joined = false;
  int rc = p.section ? 0 : -ENOMEM;
  *bad = 0;
  if (n >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; /* a byte order mark */
  for (unsigned line = 1; rc == 0 && at < end; line++) {
    const char *nl = memchr(at, '\n', (size_t)(end - at)), *stop = nl ? nl : end, *s = at;
    at = nl ? nl + 1 : end;
    while (s < stop && is_blank(*s)) s++;
    if (s < stop && (*s == '#' || *s == ';')) continue; /* between continued lines, too */
    if (!joined) {
      p.len = 0;
      p.first = line;
    }
    const char *last = stop;
    while (last > s && last[-1] == '\r') last--;
    bool more = last > s && last[-1] == '\\';
    rc = add(&p, s, (size_t)((more ? last - 1 : stop) - s));
    if (rc == 0 && more) rc = add(&p, " ", 1);
    if (rc == 0 && !more) rc = logical(&p);
    joined = more;
  }
  if (rc == 0 && joined) rc = logical(&p);
  free(p.section);
  free(p.line);
  return rc;
}

/* ---- names ---- */

static const char *const types[] = {"service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice", "scope", "device"};

const char *hf_systemd_type(const char *s) {
  const char *dot = strrchr(s, '.');
  return dot ? dot + 1 : "";
}

bool hf_systemd_is_unit(const char *s) {
  size_t n = strlen(s);
  const char *type = hf_systemd_type(s), *at = strchr(s, '@');
  if (n == 0 || n > HF_SYSTEMD_NAME_MAX || *s == '.' || *s == '@') return false;
  if (strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") != n) return false;
  if (at && at > type) return false;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcmp(type, types[i]) == 0) return true;
  return false;
}

bool hf_systemd_is_template(const char *s) {
  const char *at = strchr(s, '@');
  return at && at[1] == '.' && at + 2 == hf_systemd_type(s);
}

bool hf_systemd_template_of(const char *s, char *out) {
  const char *at = strchr(s, '@'), *type = hf_systemd_type(s);
  if (!at || hf_systemd_is_template(s) || !*type || strlen(s) > HF_SYSTEMD_NAME_MAX) return false;
  snprintf(out, HF_SYSTEMD_NAME_MAX + 1, "%.*s.%s", (int)(at + 1 - s), s, type);
  return true;
}

bool hf_systemd_with_type(const char *s, const char *type, char *out) {
  const char *old = hf_systemd_type(s);
  size_t n = *old ? (size_t)(old - s) - 1 : strlen(s);
  return snprintf(out, HF_SYSTEMD_NAME_MAX + 1, "%.*s.%s", (int)n, s, type) <= HF_SYSTEMD_NAME_MAX;
}

/* ---- specifiers ---- */

/* "a\x2db" to "a-b"; '-' to '/', as unit names write paths. */
static void unescape(const char *s, size_t n, char *out) {
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned byte;
    char hex[3] = {i + 2 < n ? s[i + 2] : '\0', i + 3 < n ? s[i + 3] : '\0', '\0'};
    if (s[i] == '\\' && i + 3 < n && s[i + 1] == 'x' && strspn(hex, "0123456789abcdefABCDEF") == 2 && sscanf(hex, "%2x", &byte) == 1 && byte) {
      out[k++] = (char)byte;
      i += 3;
    } else {
      out[k++] = s[i] == '-' ? '/' : s[i];
    }
  }
  out[k] = '\0';
}

/* What one specifier stands for, at out (2 * HF_SYSTEMD_NAME_MAX bytes); false when that cannot be known here. */
static bool specifier(char c, const char *name, char *out) {
  const size_t cap = 2 * HF_SYSTEMD_NAME_MAX;
  const char *type = hf_systemd_type(name), *at = strchr(name, '@');
  size_t stem = *type ? (size_t)(type - name) - 1 : strlen(name); /* without the type */
  size_t prefix = at ? (size_t)(at - name) : stem, instance = at ? stem - prefix - 1 : 0;
  const char *in = at ? at + 1 : "", *last;
  static const struct {
    char c;
    const char *folder;
  } folders[] = {{'E', "/etc"}, {'S', "/var/lib"}, {'C', "/var/cache"}, {'L', "/var/log"}, {'t', "/run"}, {'T', "/tmp"}, {'V', "/var/tmp"}};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
    if (c == folders[i].c) {
      snprintf(out, cap, "%s", folders[i].folder);
      return true;
    }
  switch (c) {
  case '%': snprintf(out, cap, "%%"); return true;
  case 'n': snprintf(out, cap, "%s", name); return true;
  case 'N': snprintf(out, cap, "%.*s", (int)stem, name); return true;
  case 'p': snprintf(out, cap, "%.*s", (int)prefix, name); return true;
  case 'P': unescape(name, prefix, out); return true;
  case 'i': snprintf(out, cap, "%.*s", (int)instance, in); return true;
  case 'I': unescape(in, instance, out); return true;
  case 'j':
  case 'J':
    last = memrchr(name, '-', prefix);
    last = last ? last + 1 : name;
    if (c == 'J') unescape(last, prefix - (size_t)(last - name), out);
    else snprintf(out, cap, "%.*s", (int)(prefix - (size_t)(last - name)), last);
    return true;
  default: return false;
  }
}

char *hf_systemd_expand(const char *s, const char *name, char *unknown) {
  size_t cap = strlen(s) + 1, n = 0;
  for (const char *p = s; *p; p++) cap += *p == '%' ? 2 * HF_SYSTEMD_NAME_MAX : 0;
  char *out = malloc(cap), part[2 * HF_SYSTEMD_NAME_MAX];
  *unknown = '\0';
  if (!out || strlen(name) > HF_SYSTEMD_NAME_MAX) {
    free(out);
    return NULL;
  }
  for (; *s; s++) {
    if (*s != '%' || !s[1]) {
      out[n++] = *s;
      continue;
    }
    if (!specifier(*++s, name, part)) {
      *unknown = *s;
      free(out);
      return NULL;
    }
    memcpy(out + n, part, strlen(part));
    n += strlen(part);
  }
  out[n] = '\0';
  return out;
}
