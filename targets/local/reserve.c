/* reserve.c - room that is kept for what comes before deletions: a disk that is full could not be pruned otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"

void hf_local_reserve(struct local *t) {
  char temp[LOCAL_TMP_MAX];
  struct stat st;
  uint64_t avail;
  if (fstatat(t->root, LOCAL_RESERVE, &st, AT_SYMLINK_NOFOLLOW) == 0 || hf_local_available(t, &avail, NULL) != 0) return;
  if (avail < LOCAL_RESERVE_SIZE || avail - LOCAL_RESERVE_SIZE < t->floor) return;
  int fd = hf_local_temp(t, temp);
  if (fd < 0) return;
  /* Blocks, not only a size. Another process may have been faster; its file is as good. */
  bool good = posix_fallocate(fd, 0, LOCAL_RESERVE_SIZE) == 0;
  close(fd);
  if (!good || renameat(t->root, temp, t->root, LOCAL_RESERVE) != 0) unlinkat(t->root, temp, 0);
}

bool hf_local_use_reserve(struct local *t) {
  if (unlinkat(t->root, LOCAL_RESERVE, 0) != 0) return false;
  char text[128];
  snprintf(text, sizeof text, "the disk is full: %u KiB that were kept for this are used to make room", LOCAL_RESERVE_SIZE >> 10);
  t->host->log(t->host->ctx, HOLDFAST_LOG_WARNING, text);
  return true;
}
