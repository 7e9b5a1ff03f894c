/* links.c - which names are further names of a file already seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A table with open addressing. An inode all of whose names have been seen gives its path back, so that what counts is
 * only how many wait for further names at one time. When HF_FILES_LINKS_MAX do, the table takes no more (about 160 MiB).
 */
#include "files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static uint32_t fold_dev(dev_t dev) {
  return (uint32_t)(major(dev) << 20 | (minor(dev) & 0xfffff));
}

static size_t slot_of(uint32_t dev, uint64_t ino, size_t cap) {
  uint64_t h = (ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15ULL;
  return (size_t)(h >> 20) & (cap - 1);
}

static bool is_free(const struct hf_files_link_slot *s) {
  return !s->path && s->ino == 0 && s->dev == 0 && s->left == 0;
}

static struct hf_files_link_slot *find(struct hf_files_link_slot *v, size_t cap, uint32_t dev, uint64_t ino) {
  size_t i = slot_of(dev, ino, cap);
  while (!is_free(&v[i]) && (v[i].ino != ino || v[i].dev != dev)) i = (i + 1) & (cap - 1);
  return &v[i];
}

/* Room for one more: a table twice what lives in it, without the slots that are done with. */
static bool make_room(struct hf_files_links *l) {
  if (l->cap && l->used + 1 <= l->cap / 4 * 3) return true;
  size_t cap = 1024;
  while (cap < (l->live + 1) * 2) cap *= 2;
  struct hf_files_link_slot *v = calloc(cap, sizeof *v);
  if (!v) return false;
  for (size_t i = 0; i < l->cap; i++)
    if (l->v[i].path) *find(v, cap, l->v[i].dev, l->v[i].ino) = l->v[i];
  free(l->v);
  l->v = v;
  l->cap = cap;
  l->used = l->live;
  return true;
}

const char *hf_files_links_seen(struct hf_files_links *l, dev_t dev, ino_t ino, uint64_t birth, nlink_t nlink, const char *path) {
  free(l->stale);
  l->stale = NULL;
  if (!l->max) l->max = HF_FILES_LINKS_MAX;
  if (!make_room(l)) {
    l->full = true;
    return NULL;
  }
  uint32_t d = fold_dev(dev);
  struct hf_files_link_slot *s = find(l->v, l->cap, d, ino);
  if (s->path && s->birth != birth) { /* the number is another file's now */
    l->stale = s->path;
    s->path = NULL;
    l->live--;
  }
  if (s->path) {
    if (--s->left > 0) return s->path;
    l->stale = s->path;
    s->path = NULL;
    l->live--;
    return l->stale;
  }
  if (l->live >= l->max || !(s->path = strdup(path))) {
    l->full = true;
    return NULL;
  }
  if (s->ino == 0 && s->dev == 0) l->used++;
  s->ino = ino;
  s->dev = d;
  s->birth = birth;
  s->left = nlink - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(nlink - 1);
  l->live++;
  return NULL;
}

/* FNV-1a, 64 bits. Should two paths share it, a link is kept as a file of its own. */
static uint64_t hash(const char *path) {
  uint64_t h = 14695981039346656037u;
  for (; *path; path++) h = (h ^ (unsigned char)*path) * 1099511628211u;
  return h;
}

void hf_files_links_note(struct hf_files_links *l, const char *path) {
  hf_files_links_seen(l, 0, hash(path), 0, (nlink_t)UINT32_MAX + 1, "");
}

bool hf_files_links_noted(const struct hf_files_links *l, const char *path) {
  return l->full || (l->cap && find(l->v, l->cap, 0, hash(path))->path);
}

void hf_files_links_free(struct hf_files_links *l) {
  for (size_t i = 0; i < l->cap; i++) free(l->v[i].path);
  free(l->v);
  free(l->stale);
  *l = (struct hf_files_links){0};
}
