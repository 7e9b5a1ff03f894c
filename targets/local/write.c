/* write.c - storing and removing objects of the local target.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"

static bool is_bound(const struct local *t, const struct holdfast_object *object) { return t->floor > 0 && !(object->flags & HOLDFAST_PUT_FREES); }

/* Book size bytes if the floor allows, which does not bind what makes room; release them when the put is over. What other threads have booked counts as
 * used, though part of it has reached the disk already: near the floor a put is rather refused than let through. */
static int book(struct local *t, const struct holdfast_object *object) {
  uint64_t size = object->size, avail;
  if (!is_bound(t, object)) return HOLDFAST_OK;
  if (hf_local_available(t, &avail, NULL) != 0) return hf_local_errno(t, errno, "ask for the free space of", NULL);
  pthread_mutex_lock(&t->lock);
  uint64_t need = t->pending + size;
  bool fits = avail >= t->floor && avail - t->floor >= need;
  if (fits) t->pending += size;
  pthread_mutex_unlock(&t->lock);
  if (fits) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_NO_SPACE,
                       "%s has %llu bytes left: to store %llu more would leave less than free-space-floor = %llu", t->path,
                       (unsigned long long)avail, (unsigned long long)need, (unsigned long long)t->floor);
}

static void release(struct local *t, const struct holdfast_object *object) {
  if (!is_bound(t, object)) return;
  pthread_mutex_lock(&t->lock);
  t->pending -= object->size;
  pthread_mutex_unlock(&t->lock);
}

/* Write the object into fd and make it durable; closes fd. */
static int fill(struct local *t, int fd, const struct holdfast_object *object) {
  const char *p = object->data;
  uint64_t left = object->size;
  size_t most = t->host->limit_up ? LOCAL_PACED : LOCAL_IO;
  int status = HOLDFAST_OK;
  while (left > 0 && status == HOLDFAST_OK) {
    size_t piece = left < most ? (size_t)left : most;
    if (t->host->cancelled(t->host->ctx) || hf_local_pace(t, 1, piece) != HOLDFAST_OK) {
      status = hf_local_cancelled(t);
      break;
    }
    ssize_t n = TEMP_FAILURE_RETRY(write(fd, p, piece));
    if (n < 0) {
      status = hf_local_errno(t, errno, "write", object->key);
    } else if (n == 0) {
      status = hf_local_errno(t, EIO, "write", object->key);
    } else {
      p += n;
      left -= (uint64_t)n;
    }
  }
  struct stat st;
  bool chmoded = false;
  if (status == HOLDFAST_OK && fstat(fd, &st) != 0) status = hf_local_errno(t, errno, "look at", object->key);
  /* File systems without modes refuse, and have none to get wrong. */
  if (status == HOLDFAST_OK && (st.st_mode & 07777) != t->mode) {
    chmoded = fchmod(fd, t->mode) == 0;
    if (!chmoded && errno != EPERM && errno != ENOTSUP) status = hf_local_errno(t, errno, "set the mode of", object->key);
  }
  /* fdatasync may leave a changed mode behind. */
  if (status == HOLDFAST_OK && t->durable && TEMP_FAILURE_RETRY(chmoded ? fsync(fd) : fdatasync(fd)) != 0)
    status = hf_local_errno(t, errno, "sync", object->key);
  /* Network file systems report a full quota here. */
  if (close(fd) != 0 && errno != EINTR && status == HOLDFAST_OK) status = hf_local_errno(t, errno, "write", object->key);
  return status;
}

/* Give temp its name if that is free. File systems that cannot rename without replacing can make a second name. */
static int name_new(struct local *t, const char *temp, int dir, const char *leaf) {
  if (TEMP_FAILURE_RETRY(renameat2(t->root, temp, dir, leaf, RENAME_NOREPLACE)) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return -1;
  if (TEMP_FAILURE_RETRY(linkat(t->root, temp, dir, leaf, 0)) != 0) {
    if (errno == EPERM) errno = ENOTSUP; /* what FAT says for want of links: not a question of permissions */
    return -1;
  }
  unlinkat(t->root, temp, 0);
  return 0;
}

/* Give temp its name in dir and make that durable. On failure the name does not show the new object. */
static int publish(struct local *t, const char *temp, int dir, const char *leaf, const struct holdfast_object *object) {
  bool replaced = false;
  int rc = name_new(t, temp, dir, leaf);
  if (rc != 0 && errno == EEXIST && (object->flags & HOLDFAST_PUT_CREATE))
    return holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s/%s is there already", t->path, object->key);
  if (rc != 0 && !(object->flags & HOLDFAST_PUT_CREATE) && (errno == EEXIST || errno == ENOTSUP)) {
    replaced = true;
    rc = TEMP_FAILURE_RETRY(renameat(t->root, temp, dir, leaf));
  }
  if (rc != 0) return hf_local_errno(t, errno, "store", object->key);
  if (hf_local_sync_dir(t, dir) != 0) {
    int saved = errno;
    /* What was not replaced can be taken back. An object that was replaced is not: the new one is whole. */
    if (!replaced) unlinkat(dir, leaf, 0);
    return hf_local_errno(t, saved, "sync the folder of", object->key);
  }
  return HOLDFAST_OK;
}

static int store(struct local *t, const struct holdfast_object *object) {
  char temp[LOCAL_TMP_MAX];
  const char *leaf;
  struct stat st;
  int dir = hf_local_parent(t, object->key, true, &leaf);
  if (dir < 0) return hf_local_errno(t, errno, "make the folder of", object->key);
  int status = HOLDFAST_OK;
  /* Look before writing it all in vain; the race is decided when the name is given. */
  if ((object->flags & HOLDFAST_PUT_CREATE) && TEMP_FAILURE_RETRY(fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW)) == 0)
    status = holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s/%s is there already", t->path, object->key);
  if (status == HOLDFAST_OK) status = book(t, object);
  if (status == HOLDFAST_OK) {
    int fd = hf_local_temp(t, temp);
    if (fd < 0) {
      status = hf_local_errno(t, errno, "make a temporary file in", NULL);
    } else {
      status = fill(t, fd, object);
      if (status == HOLDFAST_OK) status = publish(t, temp, dir, leaf, object);
      if (status != HOLDFAST_OK) unlinkat(t->root, temp, 0);
    }
    release(t, object);
  }
  close(dir);
  return status;
}

int hf_local_put(void *handle, const struct holdfast_object *object) {
  struct local *t = handle;
  if (!hf_local_key_ok(object->key)) return hf_local_bad_key(t, object->key);
  if (object->size > HOLDFAST_OBJECT_MAX)
    return holdfast_fail(t->host, HOLDFAST_E_UNSUPPORTED, "%s: an object of %llu bytes is too large", object->key,
                         (unsigned long long)object->size);
  int status = store(t, object);
  if (status == HOLDFAST_E_NO_SPACE && (object->flags & HOLDFAST_PUT_FREES) && hf_local_use_reserve(t)) status = store(t, object);
  return status;
}

/* Remove one name; a folder is no object, so it is as good as absent. */
static int remove_one(struct local *t, int dir, const char *leaf, const char *key) {
  if (TEMP_FAILURE_RETRY(unlinkat(dir, leaf, 0)) == 0 || errno == ENOENT || errno == EISDIR) return HOLDFAST_OK;
  return hf_local_errno(t, errno, "remove", key);
}

/* Length of the folder part of a key. */
static size_t folder_len(const char *key) {
  const char *slash = strrchr(key, '/');
  return slash ? (size_t)(slash - key) : 0;
}

/* Remove the keys that lie in one folder, of which len bytes are the path. */
static void remove_run(struct local *t, const char *const *keys, size_t n, size_t len, int *statuses) {
  const char *leaf;
  int dir = hf_local_parent(t, keys[0], false, &leaf);
  int why = dir < 0 ? errno : 0;
  for (size_t i = 0; i < n; i++) {
    if (why == ENOENT || why == ENOTDIR)
      statuses[i] = HOLDFAST_OK;
    else if (why)
      statuses[i] = hf_local_errno(t, why, "open the folder of", keys[i]);
    else if (t->host->cancelled(t->host->ctx))
      statuses[i] = hf_local_cancelled(t);
    else
      statuses[i] = remove_one(t, dir, keys[i] + (len ? len + 1 : 0), keys[i]);
  }
  if (dir < 0) return;
  if (hf_local_sync_dir(t, dir) != 0) {
    int status = hf_local_errno(t, errno, "sync the folder of", keys[0]);
    for (size_t i = 0; i < n; i++) statuses[i] = statuses[i] ? statuses[i] : status;
  }
  close(dir);
}

int hf_local_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct local *t = handle;
  int first = HOLDFAST_OK;
  size_t i = 0;
  /* Keys of one folder that follow each other share one look-up and one sync. */
  while (i < n) {
    size_t len = folder_len(keys[i]), run = 0;
    while (i + run < n && hf_local_key_ok(keys[i + run]) && folder_len(keys[i + run]) == len &&
           strncmp(keys[i + run], keys[i], len) == 0)
      run++;
    if (run > 0)
      remove_run(t, keys + i, run, len, statuses + i);
    else
      statuses[i + run++] = hf_local_bad_key(t, keys[i]);
    for (; run > 0; run--, i++) first = first ? first : statuses[i];
  }
  return first;
}
