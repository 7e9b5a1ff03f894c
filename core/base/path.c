/* path.c - joining, ordering and judging paths.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/io.h"

#include <unistd.h>

char *hf_path_join(const char *a, const char *b) {
  if (b[0] == '/' || a[0] == 0) return hf_strdup(b);
  size_t n = strlen(a);
  while (n > 0 && a[n - 1] == '/') n--;
  struct hf_buf out = HF_BUF_INIT;
  hf_buf_reserve(&out, n + strlen(b) + 1);
  hf_buf_add(&out, a, n);
  hf_buf_addc(&out, '/');
  hf_buf_adds(&out, b);
  return hf_buf_take(&out);
}

int hf_path_cmp(const char *a, size_t an, const char *b, size_t bn) {
  size_t n = HF_MIN(an, bn);
  for (size_t i = 0; i < n; i++) {
    if (a[i] == b[i]) continue;
    int ca = a[i] == '/' ? -1 : (unsigned char)a[i];
    int cb = b[i] == '/' ? -1 : (unsigned char)b[i];
    return ca < cb ? -1 : 1;
  }
  return an == bn ? 0 : an < bn ? -1 : 1;
}

bool hf_path_is_safe(const char *p, size_t n) {
  if (n == 0 || memchr(p, 0, n)) return false;
  for (size_t at = 0; at <= n;) {
    const char *slash = at < n ? memchr(p + at, '/', n - at) : NULL;
    size_t len = slash ? (size_t)(slash - (p + at)) : n - at;
    if (len == 0 || (len == 1 && p[at] == '.') || (len == 2 && p[at] == '.' && p[at + 1] == '.')) return false;
    at += len + 1;
  }
  return true;
}

bool hf_is_on_path(const char *name) {
  const char *path = getenv("PATH");
  for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
    const char *end = strchrnul(p, ':');
    HF_CLEANUP(hf_freep) char *dir = hf_strndup(p, (size_t)(end - p));
    HF_CLEANUP(hf_freep) char *file = strchr(name, '/') ? hf_strdup(name) : hf_path_join(*dir ? dir : ".", name);
    struct stat st;
    if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0) return true;
    p = *end ? end + 1 : end;
  }
  return false;
}
