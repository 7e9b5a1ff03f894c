/* source_walk.c - going through a source as the host does, checking every answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "source_walk.h"

static char *copy(const char *s) {
  char *c = s ? strdup(s) : NULL;
  if (s && !c) conf_bail("out of memory");
  return c;
}

void check_status(int status, const char *call) {
  if (status < 0 && !conf_status_known(status))
    conf_flaw("%s: no such status: %d", call, status);
  else if (status < 0 && !*conf_message())
    conf_flaw("%s: failed with status %d and set no message", call, status);
}

/* ---- one entry ---- */

static bool stream_name_ok(const char *s) {
  return *s && *s != '.' && *s != '-' && strlen(s) <= 255 && strcmp(s, "tree") != 0 &&
         s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static bool tree_path_ok(const char *s) {
  while (1) {
    size_t n = strcspn(s, "/");
    if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.')) return false;
    if (s[n] == '\0') return true;
    s += n + 1;
  }
}

static void check_entry(const struct holdfast_entry *e) {
  if (e->kind < HOLDFAST_FILE || e->kind > HOLDFAST_STREAM) {
    conf_flaw("%s: no such kind: %u", e->path, e->kind);
    return;
  }
  if (!(e->kind == HOLDFAST_STREAM ? stream_name_ok(e->path) : tree_path_ok(e->path)))
    conf_flaw("unsafe or malformed path: %s", e->path);
  if (e->size != 0 && e->kind != HOLDFAST_FILE && e->kind != HOLDFAST_STREAM)
    conf_flaw("%s: only files and streams have a size", e->path);
  if (e->size == HOLDFAST_SIZE_UNKNOWN && e->kind != HOLDFAST_STREAM)
    conf_flaw("%s: only a stream's size may be unknown", e->path);
  if (e->mode & ~07777u) conf_flaw("%s: mode has permission bits only, not %o", e->path, e->mode);
  if (e->mtime_nsec > 999999999 || e->ctime_nsec > 999999999)
    conf_flaw("%s: a second has no more than 999999999 nanoseconds", e->path);
  if (e->fixed_chunk != 0 && (e->fixed_chunk < 4096 || e->fixed_chunk > 4194304))
    conf_flaw("%s: fixed_chunk is 4 KiB to 4 MiB", e->path);
  if (e->flags & ~(uint32_t)HOLDFAST_UNSTABLE) conf_flaw("%s: unknown flags: %x", e->path, e->flags);
  if (e->kind == HOLDFAST_HARDLINK && (!e->link || !*e->link))
    conf_flaw("%s: next must say what a hard link is another name of", e->path);
}

/* What entry_open added. Returns how many bytes read has to give. */
static uint64_t check_opened(const struct holdfast_entry *e, const struct item *it) {
  uint64_t sum = 0, end = 0;
  if (e->kind != it->e.kind || !e->path || strcmp(e->path, it->e.path) != 0)
    conf_flaw("%s: entry_open changed kind or path", it->e.path);
  if (e->kind == HOLDFAST_SYMLINK && (!e->link || !*e->link)) conf_flaw("%s: a symbolic link without a target", it->e.path);
  for (uint32_t i = 0; i < e->n_xattrs; i++) {
    const struct holdfast_xattr *x = e->xattrs ? &e->xattrs[i] : NULL;
    if (!x || !x->name || !strchr(x->name, '.') || (x->size && !x->value)) {
      conf_flaw("%s: attribute %u has no name with a namespace, or no value", it->e.path, i);
      break;
    }
  }
  if (!e->extents) return e->kind == HOLDFAST_FILE || e->kind == HOLDFAST_STREAM ? e->size : 0;
  if (e->kind != HOLDFAST_FILE) conf_flaw("%s: only files have extents", it->e.path);
  for (uint64_t i = 0; i < e->n_extents; i++) {
    const struct holdfast_extent *x = &e->extents[i];
    if (x->length == 0 || x->offset < end || x->offset > e->size || x->length > e->size - x->offset) {
      conf_flaw("%s: extent %llu is empty, not ascending, or beyond the size", it->e.path, (unsigned long long)i);
      return sum;
    }
    sum += x->length;
    end = x->offset + x->length;
  }
  return sum;
}

/* Read to the end. Returns 0 or the status. Never more than the entry may sensibly hold: a source that lies may not end. */
static int drain(struct walker *w, struct item *it, uint64_t expect) {
  unsigned char *buf = malloc(w->buf_size + 64);
  if (!buf) conf_bail("out of memory");
  int status = HOLDFAST_OK;
  it->bytes = 0;
  it->hash = CONF_HASH;
  while (1) {
    /* The bytes behind the buffer are nobody's. */
    memset(buf + w->buf_size, 0xa5, 64);
    int64_t n = w->p->read(w->handle, buf, w->buf_size);
    for (size_t i = 0; i < 64; i++)
      if (buf[w->buf_size + i] != 0xa5) {
        conf_flaw("%s: read wrote behind the buffer", it->e.path);
        break;
      }
    if (n <= 0) {
      status = (int)n;
      break;
    }
    if ((uint64_t)n > w->buf_size) {
      conf_flaw("%s: read says %lld bytes, and was asked for %zu", it->e.path, (long long)n, w->buf_size);
      status = HOLDFAST_E_CORRUPT;
      break;
    }
    it->bytes += (uint64_t)n;
    it->hash = conf_hash(it->hash, buf, (size_t)n);
    if (expect != HOLDFAST_SIZE_UNKNOWN && it->bytes > expect) break;
  }
  free(buf);
  return status;
}

void read_item(struct walker *w, struct item *it) {
  for (int attempt = 0; attempt < 3; attempt++) {
    struct holdfast_entry e = it->e;
    conf_clear();
    it->status = w->p->entry_open(w->handle, &e);
    check_status(it->status, "entry_open");
    if (it->status > 0) conf_flaw("%s: entry_open returned %d", it->e.path, it->status);
    if (it->status != HOLDFAST_OK) return;
    uint64_t expect = check_opened(&e, it);
    conf_clear();
    it->status = drain(w, it, expect);
    if (it->status != HOLDFAST_E_CORRUPT) check_status(it->status, "read");
    conf_clear();
    int closed = w->p->entry_close(w->handle);
    check_status(closed, "entry_close");
    if (it->status == HOLDFAST_OK) it->status = closed;
    if (it->status == HOLDFAST_OK && expect != HOLDFAST_SIZE_UNKNOWN && it->bytes != expect)
      conf_flaw("%s: %llu bytes were announced, %s%llu were read", it->e.path, (unsigned long long)expect,
                it->bytes > expect ? "more than " : "", (unsigned long long)(it->bytes > expect ? expect : it->bytes));
    /* Only a changed tree entry is asked for again: a stream cannot be rewound. */
    if (it->status != HOLDFAST_E_CHANGED || it->e.kind == HOLDFAST_STREAM) return;
  }
}

/* ---- the walk ---- */

int walker_open(struct walker *w, const struct holdfast_source_plugin *p, const struct holdfast_value *values) {
  static const struct holdfast_host *host;
  if (!host) host = conf_host("conformance");
  *w = (struct walker){.p = p, .window = 1, .buf_size = 1 << 20};
  conf_clear();
  int status = p->open(host, values, &w->handle);
  check_status(status, "open");
  if (status > 0) conf_flaw("open returned %d", status);
  return status;
}

static struct item *add_item(struct items *items, const struct holdfast_entry *e) {
  if (items->n == items->cap) {
    items->cap = items->cap ? 2 * items->cap : 64;
    items->v = realloc(items->v, items->cap * sizeof *items->v);
    if (!items->v) conf_bail("out of memory");
  }
  struct item *it = &items->v[items->n++];
  *it = (struct item){.e = *e, .status = 1};
  it->e.path = copy(e->path);
  it->e.link = copy(e->link);
  it->e.user = copy(e->user);
  it->e.group = copy(e->group);
  it->e.token = copy(e->token);
  it->e.xattrs = NULL; /* entry_open gives those */
  it->e.n_xattrs = 0;
  it->e.extents = NULL;
  it->e.n_extents = 0;
  return it;
}

static void flush(struct walker *w, size_t until) {
  for (; w->pending < until; w->pending++)
    if (!w->skip_tree) read_item(w, &w->items.v[w->pending]);
}

int walker_step(struct walker *w) {
  struct holdfast_entry e = {.struct_size = sizeof e};
  conf_clear();
  int rc = w->p->next(w->handle, &e);
  check_status(rc, "next");
  if (rc > 1) conf_flaw("next returned %d", rc);
  if (rc != 1) {
    flush(w, w->items.n);
    return rc < 0 ? rc : 0;
  }
  if (!e.path) {
    conf_flaw("next gave an entry without a path");
    return HOLDFAST_E_CORRUPT;
  }
  check_entry(&e);
  struct item *it = add_item(&w->items, &e);
  if (e.kind == HOLDFAST_STREAM) {
    flush(w, w->items.n - 1);
    read_item(w, it);
    w->pending = w->items.n;
  } else if (w->items.n - w->pending >= w->window) {
    flush(w, w->items.n);
  }
  return 1;
}

int walker_all(struct walker *w) {
  const char *state = NULL;
  int status;
  while ((status = walker_step(w)) == 1)
    ;
  if (status == HOLDFAST_OK && w->p->finish) {
    conf_clear();
    status = w->p->finish(w->handle, &state);
    check_status(status, "finish");
    if (state && (strlen(state) > 65536 || !strchr("{[\"-0123456789tfn", *state)))
      conf_flaw("finish: the state is JSON text of at most 64 KiB");
  }
  return status;
}

void walker_close(struct walker *w) {
  w->p->close(w->handle);
  for (size_t i = 0; i < w->items.n; i++) {
    struct holdfast_entry *e = &w->items.v[i].e;
    free((void *)e->path);
    free((void *)e->link);
    free((void *)e->user);
    free((void *)e->group);
    free((void *)e->token);
  }
  free(w->items.v);
  memset(w, 0, sizeof *w);
}

/* ---- all entries ---- */

/* Tree order: '/' before every other byte. */
static int path_cmp(const char *a, const char *b) {
  while (*a && *a == *b) {
    a++;
    b++;
  }
  int ca = *a == '/' ? 1 : *a ? (unsigned char)*a + 2 : 0, cb = *b == '/' ? 1 : *b ? (unsigned char)*b + 2 : 0;
  return ca - cb;
}

/* The tree entry of that path among the first n, which are in order but for streams at either end. */
static const struct item *find(const struct item *v, size_t n, const char *path) {
  size_t lo = 0, hi = n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    int c = path_cmp(v[mid].e.path, path);
    if (c == 0) return &v[mid];
    if (c < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return NULL;
}

static void check_tree(const struct item *v, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct holdfast_entry *e = &v[i].e;
    const char *slash = strrchr(e->path, '/');
    if (i > 0 && path_cmp(v[i - 1].e.path, e->path) >= 0) {
      conf_flaw("not in tree order: %s before %s", v[i - 1].e.path, e->path);
      return; /* the look-ups below need the order */
    }
    if (slash) {
      char *parent = strndup(e->path, (size_t)(slash - e->path));
      const struct item *p = parent ? find(v, i, parent) : NULL;
      if (p && p->e.kind != HOLDFAST_DIR) conf_flaw("%s lies in something that is no folder", e->path);
      free(parent);
    }
    if (e->kind == HOLDFAST_HARDLINK && e->link) {
      const struct item *first = find(v, i, e->link);
      if (!first || first->e.kind == HOLDFAST_DIR || first->e.kind == HOLDFAST_HARDLINK)
        conf_flaw("%s: %s, which it is another name of, is no earlier entry of its own", e->path, e->link);
    }
  }
}

void check_items(const struct items *items) {
  size_t first = items->n, last = 0, tree = 0;
  for (size_t i = 0; i < items->n; i++) {
    const struct holdfast_entry *e = &items->v[i].e;
    if (e->kind != HOLDFAST_STREAM) {
      first = first < i ? first : i;
      last = i;
      tree++;
      continue;
    }
    for (size_t k = 0; k < i; k++)
      if (items->v[k].e.kind == HOLDFAST_STREAM && strcmp(items->v[k].e.path, e->path) == 0)
        conf_flaw("two streams are called %s", e->path);
  }
  if (tree > 0 && last - first + 1 != tree)
    conf_flaw("a stream comes in the midst of the tree");
  else if (tree > 0)
    check_tree(items->v + first, tree);
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

void check_same(const struct items *a, const struct items *b, const char *what) {
  if (a->n != b->n) conf_flaw("%s: %zu entries, and %zu the first time", what, b->n, a->n);
  for (size_t i = 0; i < a->n && i < b->n; i++) {
    const struct item *x = &a->v[i], *y = &b->v[i];
    if (x->e.kind != y->e.kind || strcmp(x->e.path, y->e.path) != 0) {
      conf_flaw("%s: entry %zu is %s, and was %s", what, i, y->e.path, x->e.path);
      return;
    }
    /* A stream may well hold the time it was made. */
    if (x->e.kind == HOLDFAST_STREAM || (x->e.flags & HOLDFAST_UNSTABLE) || x->status < 0 || y->status < 0) continue;
    if (x->e.size != y->e.size || x->e.mode != y->e.mode || x->e.uid != y->e.uid || x->e.gid != y->e.gid ||
        x->e.mtime != y->e.mtime || x->e.mtime_nsec != y->e.mtime_nsec || x->e.inode != y->e.inode ||
        !same_text(x->e.token, y->e.token))
      conf_flaw("%s: %s is described in another way", what, x->e.path);
    if (x->status == HOLDFAST_OK && y->status == HOLDFAST_OK && (x->bytes != y->bytes || x->hash != y->hash))
      conf_flaw("%s: %s has other bytes", what, x->e.path);
  }
}
