/* reuse.c - last time's recipe, made safe to reuse.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Normally the kept recipe is taken as it is. Where the catalogue has lost chunks (a pack was found missing at its target), the c lines of those and the entries that lean on them are left
 * out, so that exactly these are read and stored again.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "pipeline/ingest.h"
#include "stream/recipe.h"

static int map_file(int fd, size_t n, const char **text, struct hf_error *err) {
  void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return hf_fail(err, HOLDFAST_E_FAILED, "cannot map the kept recipe");
  *text = p;
  return 0;
}

const char *hf_reuse_passed(const char *from, const char *to) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t a = ((uintptr_t)from + page - 1) & ~(page - 1), b = (uintptr_t)to & ~(page - 1);
  if (b > a) madvise((void *)a, b - a, MADV_DONTNEED);
  return to;
}

/* 1 when every chunk of the recipe is known, 0 when not. */
static int all_known(struct hf_state *state, const char *text, size_t n, struct hf_error *err) {
  struct hf_digest last = {{0}};
  const char *held = text;
  for (const char *p = text, *end = text + n; p < end;) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    if (!nl) return 0;
    struct hf_slice s;
    if (p[0] == 'c' && hf_recipe_parse_slice(p, (size_t)(nl - p), &s, NULL) == 0 && !hf_digest_eq(&s.id, &last)) {
      int r = hf_state_chunk_find(state, &s.id, NULL, err);
      if (r <= 0) return r;
      last = s.id;
    }
    p = nl + 1;
    if ((size_t)(p - held) >= (4u << 20)) held = hf_reuse_passed(held, p);
  }
  return 1;
}

/* The known part, into a memory file. A c line is kept together with its entries and, behind the last of them, the c lines of that entry's data. */
static int filter(struct hf_state *state, const char *text, size_t n, int *fd, size_t *out_n, struct hf_error *err) {
  struct hf_recipe_reader r;
  struct hf_slice s;
  struct hf_recipe_entry e;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF_INIT;
  int t = hf_recipe_open(&r, text, n, err);
  if (t < 0) return t;
  hf_buf_add(&out, text, (size_t)(r.next - text));
  size_t unit = 0;       /* where in out the entries that the coming tail belongs to begin */
  uint64_t tail = 0;     /* bytes of data c lines still to come */
  bool known = false;    /* the current header chunk is known */
  while ((t = hf_recipe_next(&r, &s, &e, err)) > 0) {
    if (t == HF_RL_SLICE) {
      int k = hf_state_chunk_find(state, &s.id, NULL, err);
      if (k < 0) return k;
      if (tail == 0) known = k == 1;
      else {
        if (k == 0 && known) {
          known = false;
          out.len = unit; /* the large file's own line goes too */
        }
        tail -= HF_MIN(tail, (uint64_t)s.length);
      }
      if (known) hf_buf_add(&out, r.line, r.line_n + 1);
    } else if (known) {
      unit = out.len;
      hf_buf_add(&out, r.line, r.line_n + 1);
      tail = e.tail;
    } else {
      tail = e.tail;
    }
  }
  if (t < 0) return t;
  int f = hf_memfd("recipe", err);
  if (f < 0) return f;
  t = hf_write_all(f, out.data, out.len, err);
  if (t < 0) {
    close(f);
    return t;
  }
  *fd = f;
  *out_n = out.len;
  return 0;
}

int hf_reuse_open(struct hf_state *state, const char *source, const char *audience, int *fd, const char **text, size_t *n, struct hf_error *err) {
  uint64_t size = 0;
  int f = -1;
  *fd = -1;
  *text = NULL;
  *n = 0;
  int r = hf_state_recipe_open(state, source, "tree", audience, &f, &size, err);
  if (r < 0 || f < 0) return r;
  const char *p = NULL;
  r = map_file(f, (size_t)size, &p, err);
  if (r < 0) {
    close(f);
    return r;
  }
  int known = all_known(state, p, (size_t)size, err);
  if (known == 1) {
    *fd = f;
    *text = p;
    *n = (size_t)size;
    return 0;
  }
  int f2 = -1;
  size_t n2 = 0;
  r = known < 0 ? known : filter(state, p, (size_t)size, &f2, &n2, err);
  munmap((void *)(uintptr_t)p, (size_t)size);
  close(f);
  if (r < 0) return r;
  hf_log(HF_LOG_NOTICE, "source %s: some of what was stored before is not known any more and is read again", source);
  r = map_file(f2, n2, text, err);
  if (r < 0) {
    close(f2);
    return r;
  }
  *fd = f2;
  *n = n2;
  return 0;
}

void hf_reuse_close(int fd, const char *text, size_t n) {
  if (text) munmap((void *)(uintptr_t)text, n);
  if (fd >= 0) close(fd);
}
