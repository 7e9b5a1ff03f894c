/* mem.c - memory that is there or the process is not, and cleanup helpers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "base/internal.h"

#include <errno.h>
#include <unistd.h>

_Noreturn void hf_die(const char *line) {
  /* No stdio and no exit handlers: both may want memory or a lock that another thread holds. */
  ssize_t n = write(STDERR_FILENO, line, strlen(line));
  (void)n;
  _exit(1);
}

static void *checked(void *p) {
  if (!p) hf_die("holdfast: error: out of memory\n");
  return p;
}

void *hf_alloc(size_t n) { return checked(calloc(1, n ? n : 1)); }

void *hf_realloc(void *p, size_t n) { return checked(realloc(p, n ? n : 1)); }

void *hf_allocn(size_t n, size_t size) { return checked(n && size ? calloc(n, size) : calloc(1, 1)); }

char *hf_strdup(const char *s) { return s ? checked(strdup(s)) : NULL; }

char *hf_strndup(const char *s, size_t n) { return s ? checked(strndup(s, n)) : NULL; }

void *hf_memdup(const void *p, size_t n) {
  void *q = checked(malloc(n ? n : 1));
  if (n) memcpy(q, p, n);
  return q;
}

char *hf_asprintf(const char *fmt, ...) {
  char *s = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&s, fmt, ap);
  va_end(ap);
  return checked(n < 0 ? NULL : s);
}

void hf_wipe(void *p, size_t n) {
  if (n) explicit_bzero(p, n);
}

/* The cleanup helpers keep errno: they run between a failing call and the caller that looks at why. */
void hf_freep(void *pp) {
  int saved = errno;
  free(*(void **)pp);
  *(void **)pp = NULL;
  errno = saved;
}

void hf_closep(int *fd) {
  int saved = errno;
  if (*fd >= 0) close(*fd);
  *fd = -1;
  errno = saved;
}

void hf_fclosep(FILE **f) {
  int saved = errno;
  if (*f) fclose(*f);
  *f = NULL;
  errno = saved;
}
