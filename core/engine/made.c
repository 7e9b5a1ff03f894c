/* made.c - which entries a restore in place makes where nothing was.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Entries come in tree order, so the folder above is looked for once for all that is in it.
 */
#include "engine/made.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

/* The folder looked at last. */
struct parent {
  int root, fd; /* fd: -1 when there is none */
  struct hf_buf path;
  bool known;
};

static void parent_free(struct parent *p) {
  if (p->fd != p->root) hf_closep(&p->fd);
  hf_closep(&p->root);
  hf_buf_free(&p->path);
}

/* The folder above path, open, or -1; *name is the last component. */
static int parent_of(struct parent *p, const char *path, size_t n, const char **name) {
  const char *slash = memrchr(path, '/', n);
  size_t above = slash ? (size_t)(slash - path) : 0;
  *name = slash ? slash + 1 : path;
  if (p->known && p->path.len == above && (above == 0 || memcmp(p->path.data, path, above) == 0)) return p->fd;
  if (p->fd != p->root) hf_closep(&p->fd);
  hf_buf_clear(&p->path);
  hf_buf_add(&p->path, path, above);
  p->known = true;
  p->fd = p->root;
  HF_CLEANUP(hf_freep) char *parts = hf_strndup(path, above);
  char *rest = NULL;
  for (char *part = strtok_r(parts, "/", &rest); part && p->fd >= 0; part = strtok_r(NULL, "/", &rest)) {
    int next = openat(p->fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (p->fd != p->root) close(p->fd);
    p->fd = next;
  }
  return p->fd;
}

/* ---- writing ---- */

struct hf_made {
  char *file;
  FILE *out;
  struct hf_rest *rest;
  struct parent at;
};

int hf_made_open(const char *file, const char *root, struct hf_rest *rest, struct hf_made **out, struct hf_error *err) {
  struct hf_made *m = hf_alloc(sizeof *m);
  m->at = (struct parent){.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), .path = HF_BUF_INIT};
  m->at.fd = m->at.root;
  m->out = m->at.root >= 0 ? fopen(file, "wxe") : NULL;
  if (!m->out) {
    int r = hf_fail_errno(err, errno, "%s", m->at.root >= 0 ? file : root);
    parent_free(&m->at);
    free(m);
    return r;
  }
  m->file = hf_strdup(file);
  m->rest = rest;
  fwrite(root, 1, strlen(root) + 1, m->out);
  *out = m;
  return 0;
}

void hf_made_note(struct hf_made *m, const char *path, size_t n, bool folder, bool above) {
  const char *name;
  struct stat st;
  int fd = parent_of(&m->at, path, n, &name);
  HF_CLEANUP(hf_freep) char *last = hf_strndup(name, n - (size_t)(name - path));
  if (!*last) return;
  bool there = fd >= 0 && fstatat(fd, last, &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && m->rest && !(above && S_ISDIR(st.st_mode))) hf_rest_keep(m->rest, fd, last, &st, path, n);
  if (there && (!folder || S_ISDIR(st.st_mode))) return;
  fwrite(path, 1, n, m->out);
  fputc(0, m->out);
}

static int sync_list(struct hf_made *m, struct hf_error *err) {
  return ferror(m->out) || fflush(m->out) != 0 || fsync(fileno(m->out)) != 0 ? hf_fail_errno(err, errno, "%s", m->file) : 0;
}

int hf_made_sync(struct hf_made *m, struct hf_error *err) {
  if (!m) return 0;
  int r = sync_list(m, err);
  return r == 0 && m->rest ? hf_rest_sync(m->rest, err) : r;
}

int hf_made_close(struct hf_made *m, struct hf_error *err) {
  if (!m) return 0;
  int r = sync_list(m, err);
  if (fclose(m->out) != 0 && r == 0) r = hf_fail_errno(err, errno, "%s", m->file);
  parent_free(&m->at);
  free(m->file);
  free(m);
  return r;
}

/* ---- reading ---- */

/* fn with each path, the last first. */
static int each(const char *file, void (*fn)(void *, struct parent *, const char *), void *ctx, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return hf_fail_errno(err, errno, "%s", file);
  if (st.st_size == 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "%s: is empty", file);
  size_t n = (size_t)st.st_size;
  const char *text = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
  if (text == MAP_FAILED) return hf_fail_errno(err, errno, "%s", file);
  int r = text[n - 1] == 0 ? 0 : hf_fail(err, HOLDFAST_E_CORRUPT, "%s: its end is missing", file);
  struct parent at = {.root = r == 0 ? open(text, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, .path = HF_BUF_INIT};
  at.fd = at.root;
  if (r == 0 && at.root < 0) r = hf_fail_errno(err, errno, "%s", text);
  size_t first = r == 0 ? strlen(text) + 1 : n;
  for (size_t end = n; r == 0 && end > first;) {
    const char *before = memrchr(text, 0, end - 1);
    const char *path = before + 1;
    if (!hf_path_is_safe(path, strlen(path))) r = hf_fail(err, HOLDFAST_E_CORRUPT, "%s: is damaged", file);
    else fn(ctx, &at, path);
    end = (size_t)(path - text);
  }
  parent_free(&at);
  munmap((void *)(uintptr_t)text, n);
  return r;
}

/* ---- removing ---- */

struct leave {
  void (*left)(void *, const char *, const char *);
  void *ctx;
};

static void remove_one(void *ctx, struct parent *at, const char *path) {
  const struct leave *l = ctx;
  const char *name;
  int fd = parent_of(at, path, strlen(path), &name);
  if (fd < 0) return;
  int why = unlinkat(fd, name, 0) == 0 ? 0 : errno;
  if (why == EISDIR || why == EPERM) {
    why = unlinkat(fd, name, AT_REMOVEDIR) == 0 ? 0 : errno == ENOTDIR ? why : errno;
  }
  /* The folder itself may be the one that is remembered. */
  at->known = at->known && fd == at->root;
  if (why == 0 || why == ENOENT) return;
  l->left(l->ctx, path, why == ENOTEMPTY || why == EEXIST ? "it was not there before the restore, and has something else in it by now: left as it is" : strerror(why));
}

int hf_made_remove(const char *file, void (*left)(void *, const char *, const char *), void *ctx, struct hf_error *err) {
  struct leave l = {left, ctx};
  return each(file, remove_one, &l, err);
}

static void keep_one(void *ctx, struct parent *at, const char *path) {
  const char *name;
  struct stat st;
  int fd = parent_of(at, path, strlen(path), &name);
  if (fd >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) hf_rest_keep(ctx, fd, name, &st, path, strlen(path));
}

int hf_made_keep(const char *file, struct hf_rest *rest, struct hf_error *err) { return each(file, keep_one, rest, err); }
