/* listing.c - the rsync target: the lines of rsync --list-only, and what names mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "rsync.h"

/* n digits and the character behind them. */
static bool digits(const char **s, int n, char behind, int *out) {
  *out = 0;
  for (int i = 0; i < n; i++, (*s)++) {
    if (!isdigit((unsigned char)**s)) return false;
    *out = 10 * *out + (**s - '0');
  }
  return *(*s)++ == behind;
}

/* A size, perhaps with separators: "1,234,567" or "1.234.567". */
static bool parse_size(const char **s, uint64_t *out) {
  const char *p = *s;
  *out = 0;
  if (!isdigit((unsigned char)*p)) return false;
  for (; isdigit((unsigned char)*p) || ((*p == ',' || *p == '.') && isdigit((unsigned char)p[1])); p++) {
    if (!isdigit((unsigned char)*p)) continue;
    if (*out > (UINT64_MAX - 9) / 10) return false;
    *out = 10 * *out + (uint64_t)(*p - '0');
  }
  *s = p;
  return *p == ' ';
}

/* "-rw-r--r--     1,234 2026/11/20 13:12:52 web1/packs/3f/..." The mode may have a sign for ACLs behind it. */
bool hf_rsync_parse(char *line, struct hf_rsync_entry *out) {
  struct tm tm = {0};
  size_t n = strcspn(line, "\r\n");
  line[n] = '\0';
  const char *s = line;
  if (n < 10 || !strchr("-dlcbps", line[0])) return false;
  size_t mode = strcspn(s, " ");
  if (mode < 10 || mode > 11) return false;
  s += mode;
  s += strspn(s, " ");
  if (!parse_size(&s, &out->size)) return false;
  s += strspn(s, " ");
  if (!digits(&s, 4, '/', &tm.tm_year) || !digits(&s, 2, '/', &tm.tm_mon) || !digits(&s, 2, ' ', &tm.tm_mday) || !digits(&s, 2, ':', &tm.tm_hour) ||
      !digits(&s, 2, ':', &tm.tm_min) || !digits(&s, 2, ' ', &tm.tm_sec) || *s == '\0')
    return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  out->mtime = timegm(&tm); /* the run has TZ=UTC */
  out->type = line[0];
  out->name = s[0] == '.' && s[1] == '/' ? s + 2 : s;
  char *arrow = out->type == 'l' ? strstr(line + (out->name - line), " -> ") : NULL;
  if (arrow) *arrow = '\0';
  return *out->name != '\0';
}

/* rsync's temporary file for NAME is ".NAME." and six letters or digits. */
static bool is_temporary(const char *s, size_t n) {
  if (n < 9 || s[0] != '.' || s[n - 7] != '.') return false;
  for (size_t i = n - 6; i < n; i++)
    if (!isalnum((unsigned char)s[i])) return false;
  return true;
}

static bool is_plain(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '.' || s[i] == '_' || s[i] == '-'))
      return false;
  return n > 0 && !(n == 1 && s[0] == '.') && !(n == 2 && s[0] == '.' && s[1] == '.');
}

static bool part_is(const char *s, size_t n, const char *name) { return n == strlen(name) && memcmp(s, name, n) == 0; }

bool hf_rsync_key_ok(const char *s) {
  if (strlen(s) > HF_RSYNC_KEY_MAX) return false;
  for (;; s++) {
    size_t n = strcspn(s, "/");
    if (!is_plain(s, n) || is_temporary(s, n) || part_is(s, n, HF_RSYNC_MARKER) || part_is(s, n, HF_RSYNC_PARTIAL)) return false;
    s += n;
    if (*s == '\0') return true;
  }
}

bool hf_rsync_is_leftover(const char *s) {
  bool partial = false, plain = strlen(s) <= 2 * HF_RSYNC_KEY_MAX;
  for (;; s++) {
    size_t n = strcspn(s, "/");
    plain = plain && is_plain(s, n);
    if (s[n] == '\0') return plain && (partial || is_temporary(s, n));
    partial = partial || part_is(s, n, HF_RSYNC_PARTIAL);
    s += n;
  }
}
