/* arena.c - memory for one window's strings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/tree_internal.h"

#define BLOCK_SIZE (128u * 1024)

struct hf_arena_block {
  struct hf_arena_block *next;
  size_t size;
  _Alignas(max_align_t) char bytes[];
};

void *hf_arena_get(struct hf_arena *a, size_t n) {
  n = (n + 15) & ~(size_t)15;
  while (a->at && a->at->size - a->used < n && a->at->next) {
    a->at = a->at->next;
    a->used = 0;
  }
  if (!a->at || a->at->size - a->used < n) {
    struct hf_arena_block *b = hf_alloc(sizeof *b + HF_MAX(n, (size_t)BLOCK_SIZE));
    b->size = HF_MAX(n, (size_t)BLOCK_SIZE);
    if (a->at)
      a->at->next = b;
    else
      a->first = b;
    a->at = b;
    a->used = 0;
  }
  void *p = a->at->bytes + a->used;
  a->used += n;
  return p;
}

void *hf_arena_copy(struct hf_arena *a, const void *p, size_t n) {
  return n ? memcpy(hf_arena_get(a, n), p, n) : hf_arena_get(a, 1);
}

void hf_arena_reset(struct hf_arena *a) {
  /* Blocks of the usual size are kept for the next window, larger ones were for one strange entry. */
  struct hf_arena_block **p = &a->first;
  while (*p) {
    struct hf_arena_block *b = *p;
    if (b->size > BLOCK_SIZE) {
      *p = b->next;
      free(b);
    } else {
      p = &b->next;
    }
  }
  a->at = a->first;
  a->used = 0;
}

void hf_arena_free(struct hf_arena *a) {
  while (a->first) {
    struct hf_arena_block *b = a->first;
    a->first = b->next;
    free(b);
  }
  *a = (struct hf_arena){0};
}
