/* state.c - the state kept in a snapshot's record: which roots were read, and how much.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * {"version":1,"roots":["etc","srv/a\\040b"],"roots_left_out":0,"missing":0,"files":3,...}
 * JSON has no room for arbitrary bytes, so every byte of a root that is not plain printable ASCII, and the backslash and the
 * quote, is written as a backslash (itself escaped as JSON wants) and three octal digits.
 */
#include "files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(unsigned char c) {
  return c > 0x20 && c < 0x7f && c != '\\' && c != '"';
}

/* p as the inside of a JSON string at out, which has room for 5 bytes for each of p's. Returns the length. */
static size_t escape(char *out, const char *p) {
  size_t n = 0;
  for (; *p; p++) {
    unsigned char c = (unsigned char)*p;
    if (is_plain(c)) out[n++] = (char)c;
    else n += (size_t)sprintf(out + n, "\\\\%03o", c);
  }
  out[n] = '\0';
  return n;
}

char *hf_files_state_write(const struct hf_files_roots *roots, const struct hf_files_counts *counts) {
  char *text = malloc(HF_FILES_STATE_MAX);
  if (!text) return NULL;
  size_t room = HF_FILES_STATE_MAX - 600; /* the counts come behind the roots */
  size_t n = (size_t)sprintf(text, "{\"version\":1,\"roots\":[");
  size_t done = 0;
  for (; done < roots->n; done++) {
    if (n + strlen(roots->v[done]) * 5 + 4 > room) break;
    n += (size_t)sprintf(text + n, "%s\"", done ? "," : "");
    n += escape(text + n, roots->v[done]);
    text[n++] = '"';
  }
  snprintf(text + n, HF_FILES_STATE_MAX - n,
           "],\"roots_left_out\":%zu,\"missing\":%zu,\"files\":%" PRIu64 ",\"folders\":%" PRIu64 ",\"symlinks\":%" PRIu64
           ",\"hardlinks\":%" PRIu64 ",\"specials\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"excluded\":%" PRIu64
           ",\"vanished\":%" PRIu64 ",\"problems\":%" PRIu64 "}",
           roots->n - done, roots->missing, counts->files, counts->folders, counts->symlinks, counts->hardlinks,
           counts->specials, counts->bytes, counts->excluded, counts->vanished, counts->problems);
  return text;
}

/* One root at *at, which is behind its opening quote; *at moves behind the closing one. NULL when damaged or out of memory. */
static char *unescape(const char **at) {
  const char *end = strchr(*at, '"');
  if (!end) return NULL;
  char *out = malloc((size_t)(end - *at) + 1);
  if (!out) return NULL;
  size_t n = 0;
  for (const char *p = *at; p < end; p++) {
    unsigned c = (unsigned char)*p;
    if (c == '\\') {
      c = 0;
      if (end - p < 5 || p[1] != '\\') goto bad;
      for (int i = 2; i < 5; i++) {
        if (p[i] < '0' || p[i] > '7') goto bad;
        c = c * 8 + (unsigned)(p[i] - '0');
      }
      p += 4;
      if (c == 0 || c > 255) goto bad;
    } else if (!is_plain((unsigned char)c)) {
      goto bad;
    }
    out[n++] = (char)c;
  }
  out[n] = '\0';
  *at = end + 1;
  return out;
bad:
  free(out);
  return NULL;
}

/* No absolute root, and nothing that would lead out of the folder it is looked for in. */
static bool is_safe(const char *p) {
  if (!*p) return true;
  for (;;) {
    size_t n = strcspn(p, "/");
    if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return false;
    if (!p[n]) return true;
    p += n + 1;
  }
}

int hf_files_state_roots(const char *state, struct hf_files_roots *roots) {
  struct hf_files_roots r = {0};
  if (!state || !*state) return 0;
  /* The host may have parsed and printed it anew: blanks and the order of the keys are not ours. A quote cannot stand
   * inside a root, so the key is found by its text. */
  static const char key[] = "\"roots\"";
  const char *at = strstr(state, key);
  if (!at) return HOLDFAST_E_CORRUPT;
  at += sizeof key - 1;
  at += strspn(at, " \t\r\n:");
  if (*at++ != '[') return HOLDFAST_E_CORRUPT;
  for (;;) {
    at += strspn(at, " \t\r\n,");
    if (*at == ']') break;
    char *root = *at++ == '"' ? unescape(&at) : NULL;
    if (!root || !is_safe(root) || !hf_files_grow(&r.v, &r.cap, r.n + 1, sizeof *r.v)) {
      free(root);
      hf_files_roots_free(&r);
      return HOLDFAST_E_CORRUPT;
    }
    r.v[r.n++] = root;
  }
  *roots = r;
  return 1;
}
