/* util.c - status codes, messages, growing arrays and the order of paths.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hf_files_status(int errnum) {
  switch (errnum) {
  case ENOENT:
  case ENOTDIR:
    return HOLDFAST_E_NOT_FOUND;
  case EACCES:
  case EPERM:
    return HOLDFAST_E_AUTH;
  case EINTR:
  case EAGAIN:
  case ETIMEDOUT:
  case ESTALE:
    return HOLDFAST_E_TRANSIENT;
  default:
    return HOLDFAST_E_FAILED;
  }
}

int hf_files_no_memory(const struct holdfast_host *host) {
  return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
}

void hf_files_log(const struct holdfast_host *host, int level, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->log(host->ctx, level, text);
}

void hf_files_problem(const struct holdfast_host *host, const char *path, int status, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->problem(host->ctx, path, status, text);
}

bool hf_files_grow(void *p, size_t *cap, size_t need, size_t size) {
  if (need <= *cap) return true;
  size_t n = *cap ? *cap : 16;
  while (n < need) {
    if (n > SIZE_MAX / 2) return false;
    n *= 2;
  }
  if (n > SIZE_MAX / size) return false;
  void *old;
  memcpy(&old, p, sizeof old);
  void *grown = realloc(old, n * size);
  if (!grown) return false;
  memcpy(p, &grown, sizeof grown);
  *cap = n;
  return true;
}

int hf_files_path_cmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  if (*a == *b) return 0;
  /* The end sorts before everything, a slash before all other bytes. */
  int x = *a == '\0' ? 0 : *a == '/' ? 1 : (unsigned char)*a + 1;
  int y = *b == '\0' ? 0 : *b == '/' ? 1 : (unsigned char)*b + 1;
  return x - y;
}
