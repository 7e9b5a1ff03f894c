/* temp.c - temporary files of the local target, and the removal of those that dead processes left.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whether an instance lives is told by a file lock, not by a process number: those are reused, and mean nothing
 * in another container or on another machine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"

#define ID_LEN 16

static void lock_name(const char *id, char name[LOCAL_TMP_MAX]) {
  snprintf(name, LOCAL_TMP_MAX, LOCAL_TMP "%.*s.lock", ID_LEN, id);
}

/* Choose an id and take its lock. Called with t->lock held. */
static int begin(struct local *t) {
  char id[ID_LEN + 1], name[LOCAL_TMP_MAX];
  for (int attempt = 0; attempt < 16; attempt++) {
    unsigned char r[ID_LEN / 2];
    struct stat st;
    if (TEMP_FAILURE_RETRY(getrandom(r, sizeof r, 0)) != sizeof r) return -1;
    for (size_t i = 0; i < sizeof r; i++) snprintf(id + 2 * i, 3, "%02x", r[i]);
    lock_name(id, name);
    int fd = TEMP_FAILURE_RETRY(openat(t->root, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return -1;
    /* A sweep that came between the two calls above may have taken the lock or removed the file: choose another name. A
     * file system without locks (ENOLCK and the like) has no sweep either, see below. */
    bool swept = (TEMP_FAILURE_RETRY(flock(fd, LOCK_EX | LOCK_NB)) != 0 && errno == EWOULDBLOCK) ||
                 (fstat(fd, &st) == 0 && st.st_nlink == 0);
    if (swept) {
      close(fd);
      continue;
    }
    memcpy(t->id, id, sizeof id);
    t->lock_fd = fd;
    return 0;
  }
  errno = EBUSY;
  return -1;
}

int hf_local_temp(struct local *t, char name[LOCAL_TMP_MAX]) {
  pthread_mutex_lock(&t->lock);
  int rc = t->id[0] ? 0 : begin(t);
  int saved = errno;
  pthread_mutex_unlock(&t->lock);
  if (rc != 0) {
    errno = saved;
    return -1;
  }
  snprintf(name, LOCAL_TMP_MAX, LOCAL_TMP "%s-%lu", t->id, atomic_fetch_add(&t->serial, 1));
  return TEMP_FAILURE_RETRY(openat(t->root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
}

void hf_local_temp_end(struct local *t) {
  if (t->id[0]) {
    char name[LOCAL_TMP_MAX];
    lock_name(t->id, name);
    unlinkat(t->root, name, 0);
    close(t->lock_fd);
    t->id[0] = '\0';
  }
}

/* Is name one of ours, ".tmp-" 16 hex digits, then "-N" or ".lock"? Anything else is somebody else's and is left alone. */
static bool is_temp(const char *name) {
  if (strncmp(name, LOCAL_TMP, strlen(LOCAL_TMP)) != 0) return false;
  name += strlen(LOCAL_TMP);
  if (strspn(name, "0123456789abcdef") != ID_LEN) return false;
  name += ID_LEN;
  if (strcmp(name, ".lock") == 0) return true;
  return *name == '-' && name[1] != '\0' && name[1 + strspn(name + 1, "0123456789")] == '\0';
}

/* The lock of a dead instance, or -1 when the instance lives. *gone: there is no lock file; an instance makes it first and
 * removes it last. */
static int take_dead_lock(const struct local *t, const char *lock, bool *gone) {
  int fd = TEMP_FAILURE_RETRY(openat(t->root, lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  *gone = fd < 0 && errno == ENOENT;
  if (fd >= 0 && TEMP_FAILURE_RETRY(flock(fd, LOCK_EX | LOCK_NB)) != 0) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* Remove one temporary file if its instance is dead. */
static void sweep_one(struct local *t, const char *name) {
  const char *id = name + strlen(LOCAL_TMP);
  char lock[LOCAL_TMP_MAX];
  bool gone;
  lock_name(id, lock);
  int fd = take_dead_lock(t, lock, &gone);
  if (fd < 0 && !gone) return;
  if (unlinkat(t->root, name, 0) == 0) {
    char text[256];
    snprintf(text, sizeof text, "removed %s, which an interrupted run left", name);
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, text);
  }
  if (fd >= 0) close(fd);
}

void hf_local_sweep(struct local *t) {
  /* Twice over: first the data, then the locks, so that a sweep that is itself killed leaves the rest recognisable. */
  for (int locks = 0; locks < 2; locks++) {
    int fd = TEMP_FAILURE_RETRY(openat(t->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    if (!d) {
      if (fd >= 0) close(fd);
      return;
    }
    while ((e = readdir(d))) {
      if (!is_temp(e->d_name)) continue;
      bool is_lock = strchr(e->d_name + strlen(LOCAL_TMP), '.') != NULL, gone;
      if (!locks && !is_lock) {
        sweep_one(t, e->d_name);
      } else if (locks && is_lock) {
        int held = take_dead_lock(t, e->d_name, &gone);
        if (held >= 0) {
          unlinkat(t->root, e->d_name, 0);
          close(held);
        }
      }
    }
    closedir(d);
  }
}
