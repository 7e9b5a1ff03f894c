/* extents.c - where a sparse file holds data.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int hf_files_extents_read(struct hf_files_extents *x, int fd, uint64_t size) {
  x->n = 0;
  uint64_t at = 0;
  while (at < size) {
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break; /* nothing but a hole from here on */
    if (data < 0) return 0;
    if ((uint64_t)data >= size) break;
    uint64_t end = size;
    if (x->n + 1 < HF_FILES_EXTENTS_MAX) {
      off_t hole = lseek(fd, data, SEEK_HOLE);
      if (hole < 0) {
        if (errno != ENXIO) return 0;
        break; /* cut short a moment ago */
      }
      if ((uint64_t)hole < size) end = (uint64_t)hole;
      if (hole <= data) return 0;
    }
    if (!hf_files_grow(&x->v, &x->cap, x->n + 1, sizeof *x->v)) return -1;
    x->v[x->n++] = (struct holdfast_extent){(uint64_t)data, end - (uint64_t)data};
    at = end;
  }
  if (x->n == 1 && x->v[0].offset == 0 && x->v[0].length == size) return 0;
  /* The host tells "only a hole" from "no holes" by the pointer. */
  if (x->n == 0 && !hf_files_grow(&x->v, &x->cap, 1, sizeof *x->v)) return -1;
  return 1;
}

void hf_files_extents_free(struct hf_files_extents *x) {
  free(x->v);
  *x = (struct hf_files_extents){0};
}
