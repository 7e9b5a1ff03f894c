/* chain.c - the folders from "/" down to one folder, as descriptors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIR_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void close_level(struct hf_files_level *l) {
  if (l->fd >= 0) close(l->fd);
  l->fd = -1;
}

/* Open the folder name (in the folder at) as a new deepest level that ends at end. */
static int push(struct hf_files_chain *c, int at, const char *name, size_t end, int flags) {
  if (!hf_files_grow(&c->v, &c->cap, c->n + 1, sizeof *c->v)) {
    errno = ENOMEM;
    return -1;
  }
  int fd = openat(at, name, flags | DIR_FLAGS);
  /* Only the owner may ask for the access time to be left alone. */
  if (fd < 0 && errno == EPERM && (flags & O_NOATIME)) fd = openat(at, name, (flags & ~O_NOATIME) | DIR_FLAGS);
  if (fd < 0) return -1;
  struct stat st;
  if (fstat(fd, &st) != 0) {
    int e = errno;
    close(fd);
    errno = e;
    return -1;
  }
  c->v[c->n++] = (struct hf_files_level){fd, end, st.st_dev, st.st_ino};
  if (c->n > HF_FILES_CHAIN_OPEN + 1) close_level(&c->v[c->n - 1 - HF_FILES_CHAIN_OPEN]); /* level 0 stays */
  return 0;
}

/* How many of the levels path shares; level 0 is "/". */
static size_t common(const struct hf_files_chain *c, const char *path, size_t len) {
  size_t k = 1;
  for (; k < c->n; k++) {
    size_t from = c->v[k - 1].end, to = c->v[k].end;
    if (to > len || (to < len && path[to] != '/') || memcmp(path + from, c->path + from, to - from) != 0) break;
  }
  return k;
}

/* Shorten to k levels, the deepest of which is open again afterwards if that was easy. */
static void shorten(struct hf_files_chain *c, size_t k) {
  struct hf_files_level *top = &c->v[k - 1];
  if (k < c->n && top->fd < 0 && c->v[k].fd >= 0) {
    /* Step up, and make sure that it is the same folder: the lower one may have been moved. */
    int fd = openat(c->v[k].fd, "..", O_PATH | DIR_FLAGS);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == top->dev && st.st_ino == top->ino) top->fd = fd;
    else if (fd >= 0) close(fd);
  }
  while (c->n > k) close_level(&c->v[--c->n]);
  while (c->v[c->n - 1].fd < 0) c->n--; /* the rest is opened anew from the top */
  c->path[c->v[c->n - 1].end] = '\0';
}

bool hf_files_chain_start(struct hf_files_chain *c, int fd) {
  if (!hf_files_grow(&c->v, &c->cap, 1, sizeof *c->v) || !hf_files_grow(&c->path, &c->path_cap, 1, 1)) {
    close(fd);
    return false;
  }
  c->v[0] = (struct hf_files_level){fd, 0, 0, 0};
  c->n = 1;
  c->path[0] = '\0';
  return true;
}

const struct hf_files_level *hf_files_chain_to(struct hf_files_chain *c, const char *path, size_t len, int flags) {
  if (!hf_files_grow(&c->path, &c->path_cap, len + 1, 1)) {
    errno = ENOMEM;
    return NULL;
  }
  if (c->n == 0) {
    c->path[0] = '\0';
    if (push(c, AT_FDCWD, "/", 0, len == 0 ? flags : O_PATH) != 0) return NULL;
  }
  shorten(c, common(c, path, len));
  while (c->v[c->n - 1].end < len) {
    size_t at = c->v[c->n - 1].end;
    size_t from = at ? at + 1 : 0;
    const char *slash = memchr(path + from, '/', len - from);
    size_t end = slash ? (size_t)(slash - path) : len;
    if (at) c->path[at] = '/';
    memcpy(c->path + from, path + from, end - from);
    c->path[end] = '\0';
    if (push(c, c->v[c->n - 1].fd, c->path + from, end, end == len ? flags : O_PATH) != 0) {
      c->path[at] = '\0';
      return NULL;
    }
  }
  return &c->v[c->n - 1];
}

void hf_files_chain_free(struct hf_files_chain *c) {
  for (size_t i = 0; i < c->n; i++) close_level(&c->v[i]);
  free(c->v);
  free(c->path);
  *c = (struct hf_files_chain){0};
}
