/* rules.c - all patterns of a source, from the manifest and from pattern files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATTERN_FILE_MAX (4u << 20) /* a pattern file larger than this is surely something else */

/* One pattern more; what: the key, or the file and line, for the message. */
static int add(struct hf_files_rules *r, const struct holdfast_host *host, const char *s, size_t n, bool negate,
               const char *what) {
  struct hf_files_pattern p;
  enum hf_files_pattern_result res = hf_files_pattern_parse(&p, s, n);
  if (res == HF_FILES_PATTERN_EMPTY) return 0;
  if (res == HF_FILES_PATTERN_NO_MEMORY) return hf_files_no_memory(host);
  if (res)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s: bad pattern \"%.*s\": %s", what, (int)n, s, hf_files_pattern_why(res));
  if (negate) {
    if (p.negated) {
      hf_files_pattern_free(&p);
      return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s: bad pattern \"%.*s\": an include pattern does not begin with '!'; "
                           "write \\! for the character itself", what, (int)n, s);
    }
    p.negated = true;
  }
  if (!hf_files_grow(&r->v, &r->cap, r->n + 1, sizeof *r->v)) {
    hf_files_pattern_free(&p);
    return hf_files_no_memory(host);
  }
  r->v[r->n++] = p;
  r->bytes += n;
  return 0;
}

/* The end of the pattern at s: a comma with a blank behind it separates two, one without ("*,v") is part of a name. *doubt is
 * set when there is one of the latter. */
static const char *pattern_end(const char *s, bool *doubt) {
  *doubt = false;
  for (; *s; s++) {
    if (*s == '\\' && s[1]) s++;
    else if (*s == ',' && (s[1] == ' ' || s[1] == '\t' || s[1] == '\0')) break;
    else if (*s == ',') *doubt = true;
  }
  return s;
}

static int add_list(struct hf_files_rules *r, const struct holdfast_host *host, const struct holdfast_value *v, bool negate) {
  for (uint32_t i = 0; i < v->count; i++)
    for (const char *s = v->strings[i]; *s;) {
      bool doubt;
      const char *end = pattern_end(s, &doubt);
      if (doubt)
        hf_files_log(host, HOLDFAST_LOG_NOTICE, "%s: \"%.*s\" is one pattern; put a blank behind the comma for two, or a "
                     "backslash before it", v->name, (int)(end - s), s);
      int rc = add(r, host, s, (size_t)(end - s), negate, v->name);
      if (rc < 0) return rc;
      s = end + (*end == ',');
      s += strspn(s, " \t");
    }
  return 0;
}

/* The whole file at path; *text is owned by the caller. */
static int slurp(const struct holdfast_host *host, const char *path, char **text, size_t *len) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) {
    int e = errno;
    if (fd >= 0) close(fd);
    return holdfast_fail(host, hf_files_status(e), "exclude-file = %s: %s", path, strerror(e));
  }
  if (!S_ISREG(st.st_mode) || st.st_size > (off_t)PATTERN_FILE_MAX) {
    close(fd);
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "exclude-file = %s: %s", path,
                         S_ISREG(st.st_mode) ? "larger than 4 MiB" : "not a regular file");
  }
  size_t cap = (size_t)st.st_size, n = 0;
  char *b = malloc(cap + 1);
  while (b && n < cap) {
    ssize_t got = read(fd, b + n, cap - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int e = errno;
      free(b);
      close(fd);
      return holdfast_fail(host, hf_files_status(e), "exclude-file = %s: %s", path, strerror(e));
    }
    if (got == 0) break;
    n += (size_t)got;
  }
  close(fd);
  if (!b) return hf_files_no_memory(host);
  *text = b;
  *len = n;
  return 0;
}

static int add_file(struct hf_files_rules *r, const struct holdfast_host *host, const char *path) {
  char *text = NULL;
  size_t len = 0;
  int rc = slurp(host, path, &text, &len);
  if (rc < 0) return rc;
  const char *at = text, *end = text + len;
  if (len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; /* a byte order mark some editors leave */
  for (unsigned line = 1; at < end && rc >= 0; line++) {
    const char *nl = memchr(at, '\n', (size_t)(end - at));
    const char *stop = nl ? nl : end;
    size_t n = (size_t)(stop - at);
    if (n > 0 && at[n - 1] == '\r') n--;
    if (n > 0 && *at != '#') {
      char what[700];
      snprintf(what, sizeof what, "exclude-file = %.600s, line %u", path, line);
      rc = memchr(at, '\0', n) ? holdfast_fail(host, HOLDFAST_E_CONFIG, "%s: a NUL byte", what)
                               : add(r, host, at, n, false, what);
    }
    at = nl ? nl + 1 : end;
  }
  free(text);
  return rc;
}

/* exclude-if-present takes names, not patterns or paths. */
static int check_markers(const struct holdfast_host *host, const struct holdfast_value *v) {
  for (uint32_t i = 0; i < v->count; i++) {
    const char *s = v->strings[i];
    if (!*s || strpbrk(s, "/") || strstr(s, ", ") || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
      return holdfast_fail(host, HOLDFAST_E_CONFIG, "exclude-if-present = %s: give the name of one file, without '/'; repeat the "
                           "key for more", s);
  }
  return 0;
}

int hf_files_rules_load(struct hf_files_rules *r, const struct holdfast_host *host, const struct holdfast_value *values) {
  *r = (struct hf_files_rules){0};
  int rc = check_markers(host, &values[HF_FILES_EXCLUDE_IF_PRESENT]);
  if (rc == 0) rc = add_list(r, host, &values[HF_FILES_EXCLUDE], false);
  const struct holdfast_value *files = &values[HF_FILES_EXCLUDE_FILE];
  for (uint32_t i = 0; rc >= 0 && i < files->count; i++) rc = add_file(r, host, files->strings[i]);
  if (rc >= 0) rc = add_list(r, host, &values[HF_FILES_INCLUDE], true);
  if (rc < 0) hf_files_rules_free(r);
  return rc;
}

void hf_files_rules_free(struct hf_files_rules *r) {
  for (size_t i = 0; i < r->n; i++) hf_files_pattern_free(&r->v[i]);
  free(r->v);
  *r = (struct hf_files_rules){0};
}

bool hf_files_rules_exclude(const struct hf_files_rules *r, const char *path, size_t len, size_t rel, size_t base, bool is_dir) {
  for (size_t i = r->n; i-- > 0;)
    if (hf_files_pattern_match(&r->v[i], path, len, rel, base, is_dir)) return !r->v[i].negated;
  return false;
}
