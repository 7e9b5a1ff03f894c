/* extract_spool.c - what waits for the end of a restore: records in an unlinked file.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each record names the one before it on its list, so that a list is read backwards and needs one number of memory. Folders have a list for each depth: deepest first without sorting.
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

#define BUFFER (256u * 1024)
#define START 8

struct record {
  uint64_t next;
  struct hf_xmeta m;
};

int hf_xspool_open(struct hf_xspool *s, const char *dir, struct hf_error *err) {
  memset(s, 0, sizeof *s);
  s->at = START;
  s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (s->fd >= 0) return 0;
  /* Not every file system has nameless files. */
  HF_CLEANUP(hf_freep) char *path = hf_asprintf("%s/.holdfast-spool-XXXXXX", dir);
  s->fd = mkostemp(path, O_CLOEXEC);
  if (s->fd < 0) return hf_fail_errno(err, errno, "cannot make a temporary file in %s", dir);
  unlink(path);
  return 0;
}

static int flush(struct hf_xspool *s, struct hf_error *err) {
  if (s->buf.len == 0) return 0;
  if (hf_pwrite_all(s->fd, s->buf.data, s->buf.len, s->at - s->buf.len, err) < 0) return hf_prefix(err, "temporary file of the restore");
  hf_buf_clear(&s->buf);
  return 0;
}

static int add(struct hf_xspool *s, uint64_t *head, const struct hf_xmeta *m, struct hf_error *err) {
  struct record r;
  /* The gaps between members reach the disk as well. */
  memset(&r, 0, sizeof r);
  r.next = *head;
  r.m = *m;
  *head = s->at;
  size_t before = s->buf.len;
  hf_buf_add(&s->buf, &r, sizeof r);
  hf_buf_add(&s->buf, m->path, m->path_n);
  hf_buf_addc(&s->buf, 0);
  hf_buf_add(&s->buf, m->source, m->source_n);
  hf_buf_addc(&s->buf, 0);
  hf_buf_add(&s->buf, m->link, m->link_n);
  hf_buf_addc(&s->buf, 0);
  hf_buf_add(&s->buf, m->attrs, m->attrs_n);
  while (s->buf.len % 8) hf_buf_addc(&s->buf, 0);
  s->at += s->buf.len - before;
  return s->buf.len >= BUFFER ? flush(s, err) : 0;
}

int hf_xspool_add(struct hf_xspool *s, enum hf_xlist list, const struct hf_xmeta *m, struct hf_error *err) { return add(s, &s->fixed[list], m, err); }

int hf_xspool_add_folder(struct hf_xspool *s, size_t depth, const struct hf_xmeta *m, struct hf_error *err) {
  if (depth >= s->folders_n) {
    size_t n = HF_MAX(depth + 1, 2 * s->folders_n);
    s->folders = hf_realloc(s->folders, n * sizeof *s->folders);
    memset(s->folders + s->folders_n, 0, (n - s->folders_n) * sizeof *s->folders);
    s->folders_n = n;
  }
  return add(s, &s->folders[depth], m, err);
}

int hf_xspool_end(struct hf_xspool *s, struct hf_error *err) {
  int rc = flush(s, err);
  if (rc < 0) return rc;
  if (s->map && s->map_n == s->at) return 0;
  if (s->map) munmap((void *)s->map, s->map_n);
  s->map = NULL;
  if (s->at == START) return 0;
  void *p = mmap(NULL, s->at, PROT_READ, MAP_SHARED, s->fd, 0);
  if (p == MAP_FAILED) return hf_fail_errno(err, errno, "temporary file of the restore");
  s->map = p;
  s->map_n = s->at;
  return 0;
}

uint64_t hf_xspool_read(const struct hf_xspool *s, uint64_t at, struct hf_xmeta *m) {
  const struct record *r = (const void *)(s->map + at);
  *m = r->m;
  m->path = (const char *)(r + 1);
  m->source = m->path + m->path_n + 1;
  m->link = m->source + m->source_n + 1;
  m->attrs = m->link + m->link_n + 1;
  return r->next;
}

void hf_xspool_close(struct hf_xspool *s) {
  if (s->map) munmap((void *)s->map, s->map_n);
  hf_closep(&s->fd);
  hf_buf_free(&s->buf);
  free(s->folders);
}
