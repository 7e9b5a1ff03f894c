/* glob.c - one path component against one glob.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <ctype.h>
#include <string.h>

static const struct {
  const char *name;
  int (*is)(int);
} classes[] = {
  {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl}, {"digit", isdigit}, {"graph", isgraph},
  {"lower", islower}, {"print", isprint}, {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
};

/* [:name:] with s behind "[:" up to e (the ':' of ":]"). Returns -1 for an unknown name. Only ASCII counts, so that the
 * answer does not hang on a locale. */
static int in_class(const char *s, const char *e, unsigned char c) {
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    size_t n = strlen(classes[i].name);
    if (n == (size_t)(e - s) && memcmp(s, classes[i].name, n) == 0) return c < 0x80 && classes[i].is(c) != 0;
  }
  return -1;
}

/* The bracket expression at p: 1 when c is in it, 0 when not, -1 when malformed; *after is set unless malformed. */
static int bracket(const char *p, const char *pe, unsigned char c, const char **after) {
  bool negated = false, hit = false;
  int low = -1; /* what a '-' that follows would start a range with */
  p++;
  if (p < pe && (*p == '!' || *p == '^')) {
    negated = true;
    p++;
  }
  for (bool first = true;; first = false) {
    if (p >= pe) return -1;
    if (*p == ']' && !first) break;
    if (*p == '[' && p + 1 < pe && p[1] == ':') {
      const char *close = memchr(p + 2, ']', (size_t)(pe - p - 2));
      if (!close) return -1;
      if (close > p + 2 && close[-1] == ':') {
        int r = in_class(p + 2, close - 1, c);
        if (r < 0) return -1;
        hit |= r > 0;
        low = -1;
        p = close + 1;
        continue;
      }
    }
    if (*p == '-' && low >= 0 && p + 1 < pe && p[1] != ']') {
      p++;
      if (*p == '\\' && ++p >= pe) return -1;
      hit |= c >= low && c <= (unsigned char)*p;
      low = -1;
      p++;
      continue;
    }
    if (*p == '\\' && ++p >= pe) return -1;
    low = (unsigned char)*p++;
    hit |= c == low;
  }
  *after = p + 1;
  return hit != negated;
}

const char *hf_files_glob_bracket_end(const char *p, const char *pe) {
  const char *after = NULL;
  return bracket(p, pe, 0, &after) < 0 ? NULL : after;
}

/* Does the glob's first element, which is not '*', match c? Moves *p behind it if so. */
static bool one(const char **p, const char *pe, unsigned char c) {
  const char *q = *p;
  const char *after;
  switch (*q) {
  case '?':
    break;
  case '[':
    if (bracket(q, pe, c, &after) <= 0) return false;
    *p = after;
    return true;
  case '\\':
    if (++q >= pe) return false;
    /* fall through */
  default:
    if ((unsigned char)*q != c) return false;
  }
  *p = q + 1;
  return true;
}

bool hf_files_glob(const char *p, const char *pe, const char *t, const char *te) {
  const char *star = NULL; /* behind the last '*' met */
  const char *back = NULL; /* where the text went on from there */
  while (t < te) {
    if (p < pe && *p == '*') {
      star = ++p;
      back = t;
      if (p == pe) return true;
    } else if (p < pe && one(&p, pe, (unsigned char)*t)) {
      t++;
    } else if (star) {
      /* Only the last star needs trying again: an earlier one that took more would leave it less. */
      p = star;
      t = ++back;
    } else {
      return false;
    }
  }
  while (p < pe && *p == '*') p++;
  return p == pe;
}
