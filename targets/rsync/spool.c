/* spool.c - the rsync target: the private folder for objects on their way. rsync moves files, and the host has them in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each call has a slot, a subfolder, for one object. So the spool holds at most `connections` objects, whatever the size of the backup. Whether the instance
 * that a folder belongs to lives is told by a lock on the folder: what a killed process left is removed by the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rsync.h"

#define PREFIX "holdfast-rsync-"
#define IO (1u << 20) /* bytes written at once; the run can be stopped in between */

int hf_rsync_spool_errno(const struct hf_rsync *t, int errnum, const char *what, const char *name) {
  int status = HOLDFAST_E_FAILED;
  if (errnum == ENOSPC || errnum == EDQUOT) status = HOLDFAST_E_NO_SPACE;
  if (errnum == EACCES || errnum == EPERM || errnum == EROFS) status = HOLDFAST_E_AUTH;
  if (errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM || errnum == EAGAIN) status = HOLDFAST_E_TRANSIENT;
  if (errnum == ENOENT || errnum == ENOTDIR) status = HOLDFAST_E_CONFIG;
  return holdfast_fail(t->host, status, "cannot %s %s%s%s: %s; see spool", what, t->spool ? t->spool : t->spool_parent, name ? "/" : "", name ? name : "",
                       strerrordesc_np(errnum));
}

/* The lock of a folder, or -1: it is not ours to take. A descriptor on a folder that has been removed meanwhile is no lock. */
static int lock_folder(const char *path) {
  struct stat st;
  int fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd < 0) return -1;
  if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && TEMP_FAILURE_RETRY(flock(fd, LOCK_EX | LOCK_NB)) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
    return fd;
  close(fd);
  return -1;
}

static void sweep(const struct hf_rsync *t) {
  DIR *d = opendir(t->spool_parent);
  for (struct dirent *e; d && (e = readdir(d));) {
    char *path;
    if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0 || asprintf(&path, "%s/%s", t->spool_parent, e->d_name) < 0) continue;
    int fd = lock_folder(path);
    if (fd >= 0) {
      hfp_remove_tree(path);
      close(fd);
    }
    free(path);
  }
  if (d) closedir(d);
}

int hf_rsync_spool_open(struct hf_rsync *t) {
  sweep(t);
  for (int attempt = 0; attempt < 8; attempt++) {
    char *path;
    if (asprintf(&path, "%s/" PREFIX "XXXXXX", t->spool_parent) < 0) return hf_rsync_no_memory(t);
    if (!mkdtemp(path)) {
      int saved = errno;
      free(path);
      return hf_rsync_spool_errno(t, saved, "make a folder in", NULL);
    }
    /* Another one's sweep may come between the two. */
    t->spool_fd = lock_folder(path);
    if (t->spool_fd >= 0) {
      t->spool = path;
      return HOLDFAST_OK;
    }
    rmdir(path);
    free(path);
  }
  return holdfast_fail(t->host, HOLDFAST_E_FAILED, "cannot lock a folder in %s; see spool", t->spool_parent);
}

void hf_rsync_spool_close(struct hf_rsync *t) {
  if (t->spool) hfp_remove_tree(t->spool);
  if (t->spool_fd >= 0) close(t->spool_fd);
  free(t->spool);
  t->spool = NULL;
  t->spool_fd = -1;
}

/* ---- slots ---- */

static void empty_slot(const struct hf_rsync *t, unsigned slot) {
  char *path;
  if (asprintf(&path, "%s/%u", t->spool, slot) < 0) return;
  hfp_remove_tree(path);
  free(path);
}

unsigned hf_rsync_slot_take(struct hf_rsync *t, const char *key) {
  unsigned best = HF_RSYNC_SLOTS;
  pthread_mutex_lock(&t->lock);
  for (unsigned i = 0; i < t->connections; i++) {
    const struct hf_rsync_slot *s = &t->slots[i];
    if (s->busy) continue;
    bool same = strcmp(s->key, key) == 0;
    if (best == HF_RSYNC_SLOTS || same || s->used < t->slots[best].used) best = i;
    if (same) break;
  }
  struct hf_rsync_slot *s = &t->slots[best < HF_RSYNC_SLOTS ? best : 0];
  bool other = strcmp(s->key, key) != 0;
  s->busy = true;
  s->used = ++t->clock;
  pthread_mutex_unlock(&t->lock);
  unsigned slot = (unsigned)(s - t->slots);
  if (other) empty_slot(t, slot);
  snprintf(s->key, sizeof s->key, "%s", key);
  return slot;
}

void hf_rsync_slot_give(struct hf_rsync *t, unsigned slot, bool keep) {
  if (!keep) empty_slot(t, slot);
  pthread_mutex_lock(&t->lock);
  if (!keep) {
    t->slots[slot].key[0] = '\0';
    t->slots[slot].used = 0;
  }
  t->slots[slot].busy = false;
  pthread_mutex_unlock(&t->lock);
}

/* ---- files ---- */

static int write_all(struct hf_rsync *t, int fd, const struct holdfast_object *object) {
  const char *p = object->data;
  for (uint64_t left = object->size; left > 0;) {
    if (t->host->cancelled(t->host->ctx)) return holdfast_fail(t->host, HOLDFAST_E_CANCELED, "stopped");
    ssize_t n = TEMP_FAILURE_RETRY(write(fd, p, left < IO ? left : IO));
    if (n <= 0) return hf_rsync_spool_errno(t, n < 0 ? errno : EIO, "write to", NULL);
    p += n;
    left -= (uint64_t)n;
  }
  return HOLDFAST_OK;
}

int hf_rsync_spool_write(struct hf_rsync *t, unsigned slot, const struct holdfast_object *object) {
  char path[HF_RSYNC_KEY_MAX + 16];
  int n = snprintf(path, sizeof path, "%u/%s", slot, object->key);
  if (n < 0 || (size_t)n >= sizeof path) return hf_rsync_bad_key(t, object->key);
  for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdirat(t->spool_fd, path, 0700) != 0 && errno != EEXIST) return hf_rsync_spool_errno(t, errno, "make", path);
    *slash = '/';
  }
  int fd = TEMP_FAILURE_RETRY(openat(t->spool_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd < 0) return hf_rsync_spool_errno(t, errno, "make", path);
  int rc = write_all(t, fd, object);
  if (close(fd) != 0 && errno != EINTR && rc == 0) rc = hf_rsync_spool_errno(t, errno, "write to", NULL);
  return rc;
}

int hf_rsync_spool_nameless(struct hf_rsync *t) {
  int fd = TEMP_FAILURE_RETRY(openat(t->spool_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  /* A file system that knows no nameless ones. */
  char *path;
  if (asprintf(&path, "%s/list-XXXXXX", t->spool) < 0) return -1;
  fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0) unlink(path);
  free(path);
  return fd;
}
