/* pattern.c - one pattern in gitignore syntax: taking it apart and matching it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <stdlib.h>
#include <string.h>

/* Without trailing blanks, but for those behind a backslash. */
static size_t trimmed(const char *s, size_t n) {
  size_t keep = 0;
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\\' && i + 1 < n) i++;
    else if (s[i] == ' ') continue;
    keep = i + 1;
  }
  return keep;
}

/* The end of the segment that begins at p: the next slash outside brackets. *bad is set when it is malformed. */
static const char *segment_end(const char *p, const char *pe, enum hf_files_pattern_result *bad) {
  while (p < pe && *p != '/') {
    if (*p == '[') {
      p = hf_files_glob_bracket_end(p, pe);
      if (!p) {
        *bad = HF_FILES_PATTERN_BRACKET;
        return pe;
      }
    } else if (*p == '\\') {
      if (p + 1 == pe) {
        *bad = HF_FILES_PATTERN_BACKSLASH;
        return pe;
      }
      if (p[1] == '/') return p; /* an escaped slash separates all the same */
      p += 2;
    } else {
      p++;
    }
  }
  return p;
}

/* Fill *s from p..pe, whose bytes are the pattern's own: escapes may be taken out in place. */
static void classify(struct hf_files_segment *s, char *p, char *pe, bool base_only) {
  char *q = p;
  while (q < pe && *q == '*') q++;
  size_t stars = (size_t)(q - p);
  if (q == pe && stars >= 2 && !base_only) {
    *s = (struct hf_files_segment){HF_FILES_ANY_DEPTH, 0, p};
    return;
  }
  bool wild = stars > 1;
  for (char *x = q; x < pe && !wild; x++) {
    if (*x == '\\') x++;
    else wild = *x == '*' || *x == '?' || *x == '[';
  }
  if (wild) {
    *s = (struct hf_files_segment){HF_FILES_GLOB, (uint32_t)(pe - p), p};
    return;
  }
  char *out = q;
  for (char *x = q; x < pe; x++) {
    if (*x == '\\') x++;
    *out++ = *x;
  }
  *s = (struct hf_files_segment){stars ? HF_FILES_SUFFIX : HF_FILES_LITERAL, (uint32_t)(out - q), q};
}

enum hf_files_pattern_result hf_files_pattern_parse(struct hf_files_pattern *p, const char *s, size_t n) {
  struct hf_files_pattern out = {0};
  n = trimmed(s, n);
  if (n == 0) return HF_FILES_PATTERN_EMPTY;
  if (n > UINT32_MAX) return HF_FILES_PATTERN_NO_MEMORY;
  if (*s == '!') {
    out.negated = true;
    s++, n--;
  }
  if (n > 0 && s[n - 1] == '/') {
    out.dir_only = true;
    n--;
  }
  out.base_only = memchr(s, '/', n) == NULL;
  if (n > 0 && *s == '/') {
    out.absolute = true;
    s++, n--;
  }
  if (n == 0) return HF_FILES_PATTERN_NOTHING;

  size_t slashes = 0;
  for (size_t i = 0; i < n; i++) slashes += s[i] == '/';
  out.text = malloc(n);
  out.segments = calloc(slashes + 1, sizeof *out.segments);
  if (!out.text || !out.segments) {
    hf_files_pattern_free(&out);
    return HF_FILES_PATTERN_NO_MEMORY;
  }
  memcpy(out.text, s, n);
  enum hf_files_pattern_result bad = HF_FILES_PATTERN_OK;
  char *at = out.text, *end = out.text + n;
  for (;;) {
    char *stop = out.text + (segment_end(at, end, &bad) - out.text);
    if (bad) {
      hf_files_pattern_free(&out);
      return bad;
    }
    bool more = stop < end;
    size_t sep = more && *stop == '\\' ? 2 : 1;
    classify(&out.segments[out.n++], at, stop, out.base_only);
    if (!more) break;
    at = stop + sep;
  }
  *p = out;
  return HF_FILES_PATTERN_OK;
}

void hf_files_pattern_free(struct hf_files_pattern *p) {
  free(p->text);
  free(p->segments);
  *p = (struct hf_files_pattern){0};
}

const char *hf_files_pattern_why(enum hf_files_pattern_result r) {
  switch (r) {
  case HF_FILES_PATTERN_BRACKET:
    return "'[' without its ']', or an unknown [:class:]; write \\[ for the character itself";
  case HF_FILES_PATTERN_BACKSLASH:
    return "ends in a lone backslash; write \\\\ for the character itself";
  case HF_FILES_PATTERN_NOTHING:
    return "there is nothing in it to match";
  case HF_FILES_PATTERN_NO_MEMORY:
    return "out of memory";
  default:
    return "it is empty";
  }
}

static bool match_one(const struct hf_files_segment *s, const char *t, size_t n) {
  switch (s->kind) {
  case HF_FILES_LITERAL:
    return n == s->len && memcmp(t, s->text, n) == 0;
  case HF_FILES_SUFFIX:
    return n >= s->len && memcmp(t + (n - s->len), s->text, s->len) == 0;
  default:
    return hf_files_glob(s->text, s->text + s->len, t, t + n);
  }
}

/* All segments against all components of t..te. "**" stands for any number of components, at the end for at least one. */
static bool match_all(const struct hf_files_pattern *p, const char *t, const char *te) {
  size_t i = 0, star = SIZE_MAX;
  const char *back = NULL;
  while (t < te) {
    if (i < p->n && p->segments[i].kind == HF_FILES_ANY_DEPTH) {
      if (i + 1 == p->n) return true;
      star = i++;
      back = t;
      continue;
    }
    const char *slash = memchr(t, '/', (size_t)(te - t));
    const char *stop = slash ? slash : te;
    if (i < p->n && match_one(&p->segments[i], t, (size_t)(stop - t))) {
      i++;
      t = slash ? slash + 1 : te;
      continue;
    }
    if (star == SIZE_MAX) return false;
    back = memchr(back, '/', (size_t)(te - back));
    if (!back) return false;
    t = ++back;
    i = star + 1;
  }
  return i == p->n;
}

bool hf_files_pattern_match(const struct hf_files_pattern *p, const char *path, size_t len, size_t rel, size_t base,
                            bool is_dir) {
  if (p->dir_only && !is_dir) return false;
  if (p->base_only) return match_one(&p->segments[0], path + base, len - base);
  if (match_all(p, path + rel, path + len)) return true;
  return p->absolute && rel > 0 && match_all(p, path, path + len);
}
