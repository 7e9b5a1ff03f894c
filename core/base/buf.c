/* buf.c - growable bytes and lists of strings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "base/internal.h"
#include "base/io.h"

#define FILE_CAP_LEAST ((size_t)1 << 20)

/* The file and what is mapped of it get cap bytes; what was never touched takes no memory. */
static void set_file_cap(struct hf_buf *b, size_t cap) {
  if (ftruncate(b->file - 1, (off_t)cap) < 0) hf_die("holdfast: error: out of memory\n");
  b->cut = false;
  if (cap == b->cap) return;
  void *p = b->data ? mremap(b->data, b->cap, cap, MREMAP_MAYMOVE) : mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_SHARED, b->file - 1, 0);
  if (p == MAP_FAILED) hf_die("holdfast: error: out of memory\n");
  b->data = p;
  b->cap = cap;
}

void hf_buf_reserve(struct hf_buf *b, size_t more) {
  if (more >= SIZE_MAX / 2 - b->len) hf_die("holdfast: error: out of memory\n");
  size_t want = b->len + more + 1;
  if (want <= b->cap) return;
  size_t cap = b->cap ? b->cap : b->file ? FILE_CAP_LEAST : 64;
  while (cap < want) cap *= 2;
  if (b->file) {
    set_file_cap(b, cap);
  } else {
    b->data = hf_realloc(b->data, cap);
    b->cap = cap;
  }
  b->data[b->len] = 0;
}

void hf_buf_add(struct hf_buf *b, const void *p, size_t n) {
  hf_buf_reserve(b, n);
  if (n) memcpy(b->data + b->len, p, n);
  b->len += n;
  b->data[b->len] = 0;
}

void hf_buf_adds(struct hf_buf *b, const char *s) { hf_buf_add(b, s, strlen(s)); }

void hf_buf_addc(struct hf_buf *b, char c) { hf_buf_add(b, &c, 1); }

void hf_buf_addf(struct hf_buf *b, const char *fmt, ...) {
  /* Most texts are short: print into what room there is, and once more when that was too little. */
  hf_buf_reserve(b, 63);
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
  va_end(ap);
  if (n > 0 && (size_t)n >= b->cap - b->len) {
    hf_buf_reserve(b, (size_t)n);
    n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
  }
  va_end(again);
  if (n > 0) b->len += (size_t)n;
  b->data[b->len] = 0;
}

void hf_buf_clear(struct hf_buf *b) {
  b->len = 0;
  if (b->cut) set_file_cap(b, b->cap);
  if (b->data) b->data[0] = 0;
}

void hf_buf_free(struct hf_buf *b) {
  if (b->file) {
    if (b->data) munmap(b->data, b->cap);
    close(b->file - 1);
  } else {
    free(b->data);
  }
  *b = (struct hf_buf)HF_BUF_INIT;
}

int hf_buf_in_memory_file(struct hf_buf *b, const char *name, struct hf_error *err) {
  int fd = hf_memfd(name, err);
  if (fd < 0) return fd;
  *b = (struct hf_buf){.file = fd + 1};
  return 0;
}

static int rewound(const struct hf_buf *b, struct hf_error *err) {
  return lseek(b->file - 1, 0, SEEK_SET) < 0 ? hf_fail_errno(err, errno, "a memory file") : b->file - 1;
}

int hf_buf_to_read(struct hf_buf *b, struct hf_error *err) {
  hf_buf_reserve(b, 0);
  if (ftruncate(b->file - 1, (off_t)b->len) < 0) return hf_fail_errno(err, errno, "a memory file of %zu bytes", b->len);
  b->cut = true;
  return rewound(b, err);
}

int hf_buf_to_write(struct hf_buf *b, struct hf_error *err) {
  hf_buf_clear(b);
  return rewound(b, err);
}

int hf_buf_written(struct hf_buf *b, struct hf_error *err) {
  off_t n = lseek(b->file - 1, 0, SEEK_CUR);
  if (n < 0) return hf_fail_errno(err, errno, "a memory file");
  b->len = (size_t)n;
  hf_buf_reserve(b, 0);
  set_file_cap(b, b->cap); /* the child may have made it longer or left it shorter */
  b->data[b->len] = 0;
  return 0;
}

char *hf_buf_take(struct hf_buf *b) {
  hf_buf_reserve(b, 0);
  char *s = b->data;
  *b = (struct hf_buf)HF_BUF_INIT;
  return s;
}

void hf_list_take(struct hf_list *l, char *s) {
  if (l->n == l->cap) {
    l->cap = l->cap ? 2 * l->cap : 8;
    l->v = hf_realloc(l->v, l->cap * sizeof *l->v);
  }
  l->v[l->n++] = s;
}

void hf_list_add(struct hf_list *l, const char *s) { hf_list_take(l, hf_strdup(s)); }

bool hf_list_has(const struct hf_list *l, const char *s) {
  for (size_t i = 0; i < l->n; i++)
    if (strcmp(l->v[i], s) == 0) return true;
  return false;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void hf_list_sort(struct hf_list *l) {
  if (l->n > 1) qsort(l->v, l->n, sizeof *l->v, compare);
}

void hf_list_free(struct hf_list *l) {
  for (size_t i = 0; i < l->n; i++) free(l->v[i]);
  free(l->v);
  *l = (struct hf_list)HF_LIST_INIT;
}
