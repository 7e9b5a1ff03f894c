/* unpack.c - a base backup's archive into a folder of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every folder on the way is opened from the one above it without following links, every file is a new one: whatever the names in the archive, and whoever else
 * may write in there, nothing outside is touched.
 */
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP "tablespace_map"

static int failed(struct hf_pg_unpack *u, const char *path, const char *what) {
  int saved = errno;
  return holdfast_fail(u->host, hf_pg_status(saved), "%s/%s: %s: %s", u->top, path, what, strerror(saved));
}

int hf_pg_unpack_open(struct hf_pg_unpack *u, const struct holdfast_host *host, const char *top, const struct hf_pg_owner *owner) {
  *u = (struct hf_pg_unpack){.host = host, .owner = *owner, .root = -1, .dir = -1, .file = -1};
  u->top = strdup(top);
  if (!u->top) return hf_pg_no_memory(host);
  u->root = open(top, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (u->root < 0) return holdfast_fail(host, hf_pg_status(errno), "%s: %s", top, strerror(errno));
  return 0;
}

void hf_pg_unpack_close(struct hf_pg_unpack *u) {
  if (!u->top) return;
  if (u->file >= 0) close(u->file);
  if (u->dir >= 0) close(u->dir);
  if (u->root >= 0) close(u->root);
  free(u->top);
  free(u->map);
  *u = (struct hf_pg_unpack){.root = -1, .dir = -1, .file = -1};
}

/* The folder that path lies in, opened; the last one is kept. *base: path's last part. A descriptor, which is not the caller's, or -1 and errno. */
static int folder_of(struct hf_pg_unpack *u, const char *path, const char **base) {
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) : 0;
  *base = slash ? slash + 1 : path;
  if (n == 0) return u->root;
  if (u->dir >= 0 && strlen(u->dir_path) == n && memcmp(u->dir_path, path, n) == 0) return u->dir;
  int at = u->root;
  char part[HF_PG_TAR_NAME + 1];
  for (const char *p = path; p < path + n;) {
    size_t len = strcspn(p, "/");
    memcpy(part, p, len);
    part[len] = '\0';
    int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;
    if (at != u->root) close(at);
    errno = saved;
    if (next < 0) return -1;
    at = next;
    p += len + 1;
  }
  if (u->dir >= 0) close(u->dir);
  u->dir = at;
  memcpy(u->dir_path, path, n);
  u->dir_path[n] = '\0';
  return at;
}

static int make_folder(struct hf_pg_unpack *u, const char *path, uint32_t mode) {
  const char *base;
  int at = folder_of(u, path, &base);
  /* The owner's rights, and his group's to read, as initdb -g gives them: no others are a server's. */
  if (at < 0 || mkdirat(at, base, 0700) != 0) return failed(u, path, "cannot make the folder");
  if (u->owner.set && fchownat(at, base, u->owner.uid, u->owner.gid, AT_SYMLINK_NOFOLLOW) != 0) return failed(u, path, "cannot give it to its owner");
  if (mode & 050 && fchmodat(at, base, 0750, 0) != 0) return failed(u, path, "cannot set its mode");
  return 0;
}

static int create(struct hf_pg_unpack *u, const char *path, uint32_t mode) {
  const char *base;
  int at = folder_of(u, path, &base);
  int fd = at < 0 ? -1 : openat(at, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return failed(u, path, "cannot be made");
  if ((u->owner.set && fchown(fd, u->owner.uid, u->owner.gid) != 0) || (mode & 040 && fchmod(fd, 0640) != 0)) {
    int rc = failed(u, path, "cannot set its owner and mode");
    close(fd);
    return rc;
  }
  return fd;
}

static int put(struct hf_pg_unpack *u, int fd, const char *path, const void *data, size_t n) {
  const char *p = data;
  while (n > 0) {
    ssize_t done = write(fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return failed(u, path, "cannot be written");
    p += done;
    n -= (size_t)done;
  }
  return 0;
}

/* ---- the sink ---- */

static int on_entry(void *ctx, const struct hf_pg_tar_entry *e) {
  struct hf_pg_unpack *u = ctx;
  snprintf(u->path, sizeof u->path, "%s", e->name);
  if (!u->first[0]) snprintf(u->first, sizeof u->first, "%s", e->name);
  if (e->folder) return make_folder(u, e->name, e->mode);
  u->in_map = strcmp(e->name, MAP) == 0;
  if (u->in_map) {
    if (e->size > HF_PG_MAP_MAX) return holdfast_fail(u->host, HOLDFAST_E_CORRUPT, MAP ": has more than %u bytes", HF_PG_MAP_MAX);
    free(u->map);
    u->map_n = 0;
    u->map = malloc((size_t)e->size + 1);
    if (!u->map) return hf_pg_no_memory(u->host);
    u->map[0] = '\0';
    return 0;
  }
  u->file = create(u, e->name, e->mode);
  return u->file < 0 ? u->file : 0;
}

static int on_data(void *ctx, const void *p, size_t n) {
  struct hf_pg_unpack *u = ctx;
  if (!u->in_map) return put(u, u->file, u->path, p, n);
  memcpy(u->map + u->map_n, p, n);
  u->map_n += n;
  u->map[u->map_n] = '\0';
  return 0;
}

static int on_end(void *ctx) {
  struct hf_pg_unpack *u = ctx;
  if (u->in_map) return 0;
  int rc = close(u->file) == 0 ? 0 : failed(u, u->path, "cannot be written");
  u->file = -1;
  return rc;
}

struct hf_pg_tar_sink hf_pg_unpack_sink(struct hf_pg_unpack *u) { return (struct hf_pg_tar_sink){u, on_entry, on_data, on_end}; }

/* ---- what the archive does not hold ---- */

int hf_pg_unpack_create(struct hf_pg_unpack *u, const char *path) { return create(u, path, 0600); }

int hf_pg_unpack_file(struct hf_pg_unpack *u, const char *path, const void *data, size_t n) {
  int fd = create(u, path, 0600);
  if (fd < 0) return fd;
  int rc = put(u, fd, path, data, n);
  if (close(fd) != 0 && rc == 0) rc = failed(u, path, "cannot be written");
  return rc;
}

int hf_pg_unpack_link(struct hf_pg_unpack *u, const char *path, const char *target) {
  const char *base;
  int at = folder_of(u, path, &base);
  if (at < 0) return failed(u, path, "cannot be made");
  if (unlinkat(at, base, 0) != 0 && errno != ENOENT && unlinkat(at, base, AT_REMOVEDIR) != 0) return failed(u, path, "is in the way");
  if (symlinkat(target, at, base) != 0) return failed(u, path, "cannot be made");
  if (u->owner.set && fchownat(at, base, u->owner.uid, u->owner.gid, AT_SYMLINK_NOFOLLOW) != 0) return failed(u, path, "cannot give it to its owner");
  return 0;
}

int hf_pg_unpack_sync(struct hf_pg_unpack *u) {
  return syncfs(u->root) == 0 ? 0 : holdfast_fail(u->host, hf_pg_status(errno), "%s: cannot be written through to the disk: %s", u->top, strerror(errno));
}
