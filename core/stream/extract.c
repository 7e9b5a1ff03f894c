/* extract.c - writing a tree back to disk: opening, slices, what is told, freeing.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/text.h"

#define KINDS_MAX 128

uint64_t hf_xhash(const struct hf_extract *x, const void *p, size_t n) {
  /* FNV-1a from a random start: for sets and names within one restore. */
  const unsigned char *b = p;
  uint64_t h = x->seed;
  for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001b3ULL;
  h ^= h >> 32;
  return h < 2 ? 2 : h;
}

/* Where the hash is, or the free place for it. */
static size_t set_find(const struct hf_xset *s, uint64_t h) {
  size_t i = (size_t)h & (s->cap - 1);
  while (s->v[i] != 0 && s->v[i] != h) i = (i + 1) & (s->cap - 1);
  return i;
}

bool hf_xset_add(struct hf_xset *s, uint64_t h) {
  if (2 * (s->used + 1) > s->cap) {
    struct hf_xset bigger = {NULL, 0, 256};
    for (size_t i = 0; i < s->cap; i++) bigger.used += s->v[i] > 1;
    while (bigger.cap < 4 * (bigger.used + 1)) bigger.cap *= 2;
    bigger.v = hf_allocn(bigger.cap, sizeof *bigger.v);
    for (size_t i = 0; i < s->cap; i++)
      if (s->v[i] > 1) bigger.v[set_find(&bigger, s->v[i])] = s->v[i];
    free(s->v);
    *s = bigger;
  }
  size_t i = set_find(s, h);
  if (s->v[i] == h) return false;
  s->v[i] = h;
  s->used++;
  return true;
}

bool hf_xset_has(const struct hf_xset *s, uint64_t h) { return s->cap && s->v[set_find(s, h)] == h; }

bool hf_xset_take(struct hf_xset *s, uint64_t h) {
  if (!hf_xset_has(s, h)) return false;
  s->v[set_find(s, h)] = 1;
  return true;
}

bool hf_xlost_has(struct hf_extract *x, const char *path, size_t n) {
  pthread_mutex_lock(&x->lock);
  bool has = hf_xset_has(&x->lost, hf_xhash(x, path, n));
  pthread_mutex_unlock(&x->lock);
  return has;
}

bool hf_xlost_add(struct hf_extract *x, const char *path, size_t n) {
  pthread_mutex_lock(&x->lock);
  bool added = hf_xset_add(&x->lost, hf_xhash(x, path, n));
  pthread_mutex_unlock(&x->lock);
  return added;
}

static void tell(struct hf_extract *x, const struct hf_xmeta *m, bool lost, const char *what) {
  if (lost && m->path) hf_xlost_add(x, m->path, m->path_n);
  if (!x->o.problem) return;
  pthread_mutex_lock(&x->telling);
  size_t i = 0;
  if (!lost)
    while (i < x->n_kinds && strcmp(x->kinds[i].what, what) != 0) i++;
  if (lost || i == KINDS_MAX) {
    x->o.problem(x->o.ctx, m->source, lost, what);
  } else if (i < x->n_kinds) {
    x->kinds[i].n++;
  } else {
    x->kinds = hf_realloc(x->kinds, (i + 1) * sizeof *x->kinds);
    x->kinds[x->n_kinds++] = (struct hf_xkind){hf_strdup(what), hf_strdup(m->source), 1};
  }
  pthread_mutex_unlock(&x->telling);
}

void hf_xproblem(struct hf_extract *x, const struct hf_xmeta *m, bool lost, const char *fmt, ...) {
  char text[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  tell(x, m, lost, text);
}

int hf_xproblem_errno(struct hf_extract *x, const struct hf_xmeta *m, bool lost, int errnum, struct hf_error *err, const char *fmt, ...) {
  char text[900];
  struct hf_error e = {0};
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  hf_fail_errno(&e, errnum, "%s", text);
  if (e.code == HOLDFAST_E_NO_SPACE) {
    HF_CLEANUP(hf_freep) char *shown = hf_printable(m->source, m->source_n);
    return hf_fail_errno(err, errnum, "%s: %s", shown, text);
  }
  tell(x, m, lost, e.msg);
  return 0;
}

static uint32_t read_umask(void) {
  /* umask(2) can only be read by setting it, for the whole process. Not to be had: taken as all, so every mode is set once more. */
  uint32_t mask = 0777;
  HF_CLEANUP(hf_fclosep) FILE *f = fopen("/proc/self/status", "re");
  char line[256];
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "Umask: %o", &mask) == 1) break;
  return mask & 0777;
}

int hf_extract_open(const struct hf_extract_options *o, struct hf_extract **out, struct hf_error *err) {
  int fd = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return hf_fail_errno(err, errno, "cannot open %s", o->root);
  struct hf_extract *x = hf_alloc(sizeof *x);
  int rc = hf_xspool_open(&x->spool, o->spool_dir, err);
  if (rc < 0) {
    close(fd);
    free(x);
    return rc;
  }
  x->o = *o;
  x->root_fd = fd;
  x->root = hf_strdup(o->root);
  x->o.root = x->root;
  x->o.spool_dir = NULL;
  x->umask = read_umask();
  x->sparse.fd = -1;
  unsigned char id[8];
  hf_random(id, sizeof id);
  hf_hex(x->id, id, sizeof id);
  hf_random(&x->seed, sizeof x->seed);
  pthread_mutex_init(&x->lock, NULL);
  pthread_mutex_init(&x->telling, NULL);
  *out = x;
  return 0;
}

struct hf_xworker *hf_xworker_get(struct hf_extract *x) {
  pthread_mutex_lock(&x->lock);
  struct hf_xworker *w = x->idle;
  if (w) x->idle = w->next;
  pthread_mutex_unlock(&x->lock);
  if (w) return w;
  w = hf_alloc(sizeof *w);
  w->large_fd = -1;
  w->root.fd = x->root_fd;
  return w;
}

void hf_xworker_put(struct hf_extract *x, struct hf_xworker *w) {
  pthread_mutex_lock(&x->lock);
  x->counts.files += w->counts.files;
  x->counts.folders += w->counts.folders;
  x->counts.links += w->counts.links;
  x->counts.others += w->counts.others;
  x->counts.bytes += w->counts.bytes;
  x->counts.checked += w->counts.checked;
  w->next = x->idle;
  x->idle = w;
  pthread_mutex_unlock(&x->lock);
  memset(&w->counts, 0, sizeof w->counts);
}

static void worker_free(struct hf_xworker *w) {
  hf_xlarge_forget(w);
  hf_xdirs_close(w);
  hf_xscan_free(&w->scan);
  hf_buf_free(&w->path);
  hf_buf_free(&w->source);
  hf_buf_free(&w->link);
  hf_buf_free(&w->attrs);
  hf_buf_free(&w->acl);
  hf_buf_free(&w->scratch);
  hf_buf_free(&w->large);
  free(w);
}

int hf_extract_slice(struct hf_extract *x, const void *tar, size_t n, struct hf_error *err) {
  struct hf_xworker *w = hf_xworker_get(x);
  int rc = hf_xslice(x, w, tar, n, false, err);
  hf_xworker_put(x, w);
  return rc;
}

void hf_extract_lost(struct hf_extract *x, const char *path, size_t n) {
  struct hf_buf to = HF_BUF_INIT;
  if (!x->o.map)
    hf_xlost_add(x, path, n);
  else if (x->o.map(x->o.ctx, path, n, &to) > 0)
    hf_xlost_add(x, to.data, to.len);
  hf_buf_free(&to);
}

void hf_extract_free(struct hf_extract *x) {
  if (!x) return;
  hf_xsparse_drop(x);
  if (!x->finished && hf_xspool_end(&x->spool, NULL) == 0) {
    struct hf_xworker *w = hf_xworker_get(x);
    struct hf_xmeta m;
    for (uint64_t at = x->spool.fixed[HF_XL_TEMP]; at;) {
      at = hf_xspool_read(&x->spool, at, &m);
      hf_xlarge_drop(x, w, &m, true);
    }
    hf_xworker_put(x, w);
  }
  while (x->idle) {
    struct hf_xworker *w = x->idle;
    x->idle = w->next;
    worker_free(w);
  }
  hf_xspool_close(&x->spool);
  for (size_t i = 0; i < x->n_kinds; i++) {
    free(x->kinds[i].what);
    free(x->kinds[i].path);
  }
  free(x->kinds);
  free(x->made.v);
  free(x->lost.v);
  free(x->root);
  close(x->root_fd);
  pthread_mutex_destroy(&x->lock);
  pthread_mutex_destroy(&x->telling);
  free(x);
}
