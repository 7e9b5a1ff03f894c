/* base.h - the ground everything in holdfast stands on: errors, log, memory, buffers.
 *
 * Error idiom. A function that can fail returns an int: 0 (or a non-negative count) on success, else a negative
 * `enum holdfast_status` from <holdfast/plugin.h>, and leaves its outputs untouched. The message goes into the one
 * `struct hf_error` the caller passed (NULL is allowed and drops the text). Library functions never print.
 *
 * Memory. Allocation failure ends the process with one line and exit code 1: a run that dies at any instruction leaves
 * a valid repository, so there is nothing better to do. Plugins do not use these functions.
 */
#ifndef HF_BASE_H
#define HF_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "holdfast/plugin.h"

#define HF_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define HF_CLEANUP(fn) __attribute__((cleanup(fn)))
#define HF_UNUSED __attribute__((unused))
#define HF_NELEM(a) (sizeof(a) / sizeof((a)[0]))
#define HF_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HF_MAX(a, b) ((a) > (b) ? (a) : (b))
#define HF_KIB 1024ULL
#define HF_MIB (1024ULL * 1024)

/* ---- errors (error.c) ---- */

struct hf_error {
  int code;       /* negative enum holdfast_status, 0 when nothing has failed */
  char msg[1024]; /* one line, no trailing period or newline; longest texts are cut */
};

/* Fill *err (may be NULL) with code and a formatted message; returns code, so `return hf_fail(err, ...)`. */
int hf_fail(struct hf_error *err, int code, const char *fmt, ...) HF_PRINTF(3, 4);
/* As hf_fail, with ": " and strerror(errnum) behind; the code is derived from errnum (ENOSPC, EACCES, ENOENT, EEXIST, ...). */
int hf_fail_errno(struct hf_error *err, int errnum, const char *fmt, ...) HF_PRINTF(3, 4);
/* Put "<text>: " in front of the message already in *err; returns err->code. For adding what was being done. */
int hf_prefix(struct hf_error *err, const char *fmt, ...) HF_PRINTF(2, 3);
/* The status an errno stands for. Never 0. */
int hf_status_of_errno(int errnum);
/* A status' short name ("no space", "not found"); static string. */
const char *hf_status_name(int status);

/* ---- log (log.c) ----
 * Lines for people, on standard error. The library layers never log what they also return as an error. Thread-safe. */
enum hf_log_level { HF_LOG_ERROR = 0, HF_LOG_WARNING, HF_LOG_NOTICE, HF_LOG_INFO, HF_LOG_DEBUG };
extern int hf_log_threshold; /* highest level printed; default HF_LOG_NOTICE; -q WARNING, -v INFO, -vv DEBUG */
void hf_log(enum hf_log_level level, const char *fmt, ...) HF_PRINTF(2, 3);
/* A hook called before and after a line is printed, so a progress line can step aside; NULL removes it. */
void hf_log_set_hook(void (*before)(void), void (*after)(void));

/* Also give each line up to HF_LOG_INFO, whatever the threshold, to fn: without "holdfast: " and the newline. One at a time; NULL removes it. fn must not log. */
void hf_log_set_sink(void (*fn)(void *ctx, enum hf_log_level level, const char *line), void *ctx);

/* ---- memory (mem.c) ---- */
void *hf_alloc(size_t n);              /* zeroed; never NULL; n == 0 gives one byte */
void *hf_realloc(void *p, size_t n);   /* new bytes are not zeroed */
void *hf_allocn(size_t n, size_t size); /* zeroed array; dies on overflow */
char *hf_strdup(const char *s);        /* NULL gives NULL */
char *hf_strndup(const char *s, size_t n);
void *hf_memdup(const void *p, size_t n);
char *hf_asprintf(const char *fmt, ...) HF_PRINTF(1, 2);
void hf_wipe(void *p, size_t n);       /* zero that the compiler keeps */
/* Cleanup helpers: HF_CLEANUP(hf_freep) char *s = NULL; */
void hf_freep(void *pp);
void hf_closep(int *fd);               /* closes when >= 0, sets -1 */
void hf_fclosep(FILE **f);

/* ---- buffers (buf.c): growable bytes; data is NUL-terminated behind len for convenience ---- */
struct hf_buf {
  char *data; /* NULL while empty and never grown */
  size_t len;
  size_t cap;
  int file;   /* 0: on the heap; else the bytes are those of a memory file, whose descriptor is one less */
  bool cut;   /* that file ends behind len, and data with it */
};
#define HF_BUF_INIT {NULL, 0, 0, 0, false}
void hf_buf_reserve(struct hf_buf *b, size_t more); /* room for more bytes behind len (and the NUL) */
void hf_buf_add(struct hf_buf *b, const void *p, size_t n);
void hf_buf_adds(struct hf_buf *b, const char *s);
void hf_buf_addc(struct hf_buf *b, char c);
void hf_buf_addf(struct hf_buf *b, const char *fmt, ...) HF_PRINTF(2, 3);
void hf_buf_clear(struct hf_buf *b); /* len = 0, memory kept */
void hf_buf_free(struct hf_buf *b);  /* back to HF_BUF_INIT */
char *hf_buf_take(struct hf_buf *b); /* the string, owned by the caller; buffer becomes empty; never NULL; not of a memory file */
/* A buffer that other processes read and fill without a copy: its bytes are a memory file. Its pages stay when it is cleared, and are used again. b is empty,
 * and hf_buf_free closes the file. */
int hf_buf_in_memory_file(struct hf_buf *b, const char *name, struct hf_error *err);
/* For a child's standard input: the descriptor, at its start, of a file that has just the bytes of b. Nothing may be added before b is cleared. */
int hf_buf_to_read(struct hf_buf *b, struct hf_error *err);
/* For a child's standard output: the descriptor, at its start; and behind it, what came, which is read by the offset that the child has left. */
int hf_buf_to_write(struct hf_buf *b, struct hf_error *err);
int hf_buf_written(struct hf_buf *b, struct hf_error *err);

/* ---- string lists (buf.c) ---- */
struct hf_list {
  char **v; /* n strings, owned */
  size_t n;
  size_t cap;
};
#define HF_LIST_INIT {NULL, 0, 0}
void hf_list_add(struct hf_list *l, const char *s);
void hf_list_take(struct hf_list *l, char *s); /* takes ownership */
bool hf_list_has(const struct hf_list *l, const char *s);
void hf_list_sort(struct hf_list *l); /* bytewise */
void hf_list_free(struct hf_list *l);

#endif
