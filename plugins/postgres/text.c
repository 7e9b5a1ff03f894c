/* text.c - messages, strings, and what a program of PostgreSQL said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int hf_pg_no_memory(const struct holdfast_host *host) { return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory"); }

int hf_pg_status(int errnum) {
  switch (errnum) {
  case ENOENT:
  case ENOTDIR:
    return HOLDFAST_E_NOT_FOUND;
  case EACCES:
  case EPERM:
    return HOLDFAST_E_AUTH;
  case ENOSPC:
  case EDQUOT:
    return HOLDFAST_E_NO_SPACE;
  case EINTR:
  case EAGAIN:
  case ETIMEDOUT:
    return HOLDFAST_E_TRANSIENT;
  default:
    return HOLDFAST_E_FAILED;
  }
}

void hf_pg_log(const struct holdfast_host *host, int level, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->log(host->ctx, level, text);
}

char *hf_pg_format(const char *fmt, ...) {
  char *out = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&out, fmt, ap);
  va_end(ap);
  return n < 0 ? NULL : out;
}

char *hf_pg_join(const char *dir, const char *name) { return hf_pg_format("%s/%s", dir, name); }

void hf_pg_tidy(char *text) {
  size_t n = 0;
  bool blank = false;
  for (const char *p = text; *p; p++) {
    if ((unsigned char)*p <= ' ' || *p == 0x7f) {
      blank = n > 0;
      continue;
    }
    if (blank) text[n++] = ' ';
    blank = false;
    text[n++] = *p;
  }
  text[n] = '\0';
}

/* ---- standard error of a child ---- */

int hf_pg_words_new(const struct holdfast_host *host) {
  int fd = memfd_create("words", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd >= 0 && ftruncate(fd, HF_PG_WORDS_MAX) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0) return fd;
  int errnum = errno;
  if (fd >= 0) close(fd);
  return holdfast_fail(host, HOLDFAST_E_FAILED, "no memory file for what a program says: %s", strerror(errnum));
}

/* Copy the line at p into out. */
static void copy_line(const char *p, char *out, size_t cap) {
  size_t n = strcspn(p, "\n");
  snprintf(out, cap, "%.*s", (int)(n < cap ? n : cap - 1), p);
  hf_pg_tidy(out);
}

void hf_pg_words_pick(const char *said, char *out, size_t cap) {
  static const char server[] = "Error message from server: ", lock[] = "was: LOCK TABLE ";
  const char *first = NULL, *last = said, *own = strstr(said, server), *locking = strstr(said, lock);
  for (const char *p = said; *p;) {
    const char *end = strchrnul(p, '\n');
    const char *e = memmem(p, (size_t)(end - p), "error: ", 7), *f = memmem(p, (size_t)(end - p), "FATAL: ", 7),
               *panic = memmem(p, (size_t)(end - p), "PANIC: ", 7);
    if (!first && (e || f || panic)) first = p;
    if (end > p) last = p;
    p = *end ? end + 1 : end;
  }
  copy_line(first ? first : last, out, cap);
  size_t n = strlen(out);
  /* pg_dump says on the first line which table it was, and on another one why. */
  const char *more = own && !strstr(out, server) ? own + sizeof server - 1 : locking ? locking + sizeof "was: " - 1 : NULL;
  if (more && n + 40 < cap) {
    out[n++] = ' ';
    out[n++] = '(';
    copy_line(more, out + n, cap - n - 1);
    strcat(out, ")");
  }
}

void hf_pg_words_get(int fd, char *out, size_t cap) {
  char *said = fd >= 0 ? malloc(HF_PG_WORDS_MAX + 1) : NULL;
  ssize_t n = said ? pread(fd, said, HF_PG_WORDS_MAX, 0) : 0;
  *out = '\0';
  if (n > 0) {
    said[n] = '\0'; /* what was not written is zeros */
    hf_pg_words_pick(said, out, cap);
  }
  free(said);
}

int hf_pg_words_status(const char *words) {
  if (strstr(words, "No space left on device") || strstr(words, "Disk quota exceeded") || strstr(words, ": wrote only ")) return HOLDFAST_E_NO_SPACE;
  if (strstr(words, "permission denied") || strstr(words, "must be superuser") || strstr(words, "authentication failed"))
    return HOLDFAST_E_AUTH;
  if (strstr(words, "did not find magic string") || strstr(words, "unexpected end of file") || strstr(words, "input file"))
    return HOLDFAST_E_CORRUPT;
  if (strstr(words, "terminating connection") || strstr(words, "server closed the connection") ||
      strstr(words, "starting up") || strstr(words, "shutting down"))
    return HOLDFAST_E_TRANSIENT;
  return HOLDFAST_E_FAILED;
}
