/* local.c - the local target: a folder on a disk of this host (or mounted on it). Settings, opening, closing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local.h"

enum { SET_PATH, SET_FSYNC, SET_FLOOR, SET_MODE, SET_DIR_MODE };

static const struct holdfast_setting settings[] = {
    {"path", HOLDFAST_PATH, HOLDFAST_REQUIRED, NULL, NULL, "The folder that holds the objects"},
    {"fsync", HOLDFAST_CHOICE, 0, "full", "full|none", "Whether an object is on the disk for good before it counts as stored"},
    {"free-space-floor", HOLDFAST_SIZE, 0, "0", NULL, "Store nothing that would leave less free space than this"},
    {"mode", HOLDFAST_STRING, 0, "0600", NULL, "Permission bits of the objects, in octal"},
    {"dir-mode", HOLDFAST_STRING, 0, "0700", NULL, "Permission bits of the folders made, in octal"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

static const char marker_text[] =
    "This folder is a target of holdfast backups. Keep this file: without it holdfast takes the disk for not mounted.\n";

/* Permission bits in octal that give the owner at least the bits in must. */
static int parse_mode(const struct holdfast_host *host, const struct holdfast_value *v, mode_t must, mode_t *out) {
  const char *s = v->strings[0];
  char *end;
  errno = 0;
  unsigned long n = strtoul(s, &end, 8);
  if (s[0] < '0' || s[0] > '7' || *end || errno || n > 0777)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s = %s: three octal digits are wanted, as in %s", v->name, s,
                         must == 0700 ? "0750" : "0640");
  if ((n & must) != must)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s = %s: the owner needs at least %04o", v->name, s, (unsigned)must);
  *out = (mode_t)n;
  return HOLDFAST_OK;
}

/* Everything the settings say but the folder itself; checked before anything is touched. */
static int configure(struct local *t, const struct holdfast_value *values) {
  t->durable = strcmp(values[SET_FSYNC].strings[0], "none") != 0;
  t->floor = values[SET_FLOOR].number > 0 ? (uint64_t)values[SET_FLOOR].number : 0;
  int status = parse_mode(t->host, &values[SET_MODE], 0600, &t->mode);
  return status ? status : parse_mode(t->host, &values[SET_DIR_MODE], 0700, &t->dir_mode);
}

/* mkdir -p of t->path; every folder that is made is made durable. */
static int make_path(struct local *t) {
  char *p = strdup(t->path);
  if (!p) return hf_local_errno(t, ENOMEM, "make", NULL);
  int at = TEMP_FAILURE_RETRY(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  char *save = NULL;
  int bad = at < 0 ? errno : 0;
  for (char *part = strtok_r(p, "/", &save); part && !bad; part = strtok_r(NULL, "/", &save)) {
    bool made = TEMP_FAILURE_RETRY(mkdirat(at, part, t->dir_mode)) == 0;
    /* mkdir of what is there may also say EROFS or EACCES; openat has the last word. */
    int why = made ? 0 : errno;
    if (made && hf_local_sync_dir(t, at) != 0) bad = errno;
    int next = bad ? -1 : TEMP_FAILURE_RETRY(openat(at, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!bad && next < 0)
      bad = errno == ENOENT && why && why != EEXIST ? why : errno;
    else if (!bad && made && fchmod(next, t->dir_mode) != 0 && errno != EPERM && errno != ENOTSUP)
      bad = errno;
    close(at);
    at = next;
  }
  if (at >= 0) close(at);
  free(p);
  return bad ? hf_local_errno(t, bad, "make", NULL) : HOLDFAST_OK;
}

/* Open t->path. */
static int open_root(struct local *t) {
  t->root = TEMP_FAILURE_RETRY(open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (t->root < 0 && errno == ENOENT)
    return holdfast_fail(
        t->host, HOLDFAST_E_NOT_FOUND,
        "%s does not exist: either the disk that belongs there is not mounted, or holdfast init has not been run", t->path);
  return t->root < 0 ? hf_local_errno(t, errno, "open", NULL) : HOLDFAST_OK;
}

/* Is this the folder that was made for it, and not the empty one that shows where a disk is not mounted? */
static int check_marker(struct local *t) {
  struct stat st;
  if (TEMP_FAILURE_RETRY(fstatat(t->root, LOCAL_MARKER, &st, AT_SYMLINK_NOFOLLOW)) == 0) {
    if (S_ISREG(st.st_mode)) return HOLDFAST_OK;
    return holdfast_fail(t->host, HOLDFAST_E_FAILED, "%s/%s is not a file", t->path, LOCAL_MARKER);
  }
  if (errno != ENOENT) return hf_local_errno(t, errno, "look at", LOCAL_MARKER);
  return holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND,
                       "%s holds no %s: either the disk that belongs there is not mounted, or holdfast init has not been run",
                       t->path, LOCAL_MARKER);
}

static int make_marker(struct local *t) {
  struct stat st;
  if (fstatat(t->root, LOCAL_MARKER, &st, AT_SYMLINK_NOFOLLOW) == 0) return check_marker(t);
  int fd = TEMP_FAILURE_RETRY(openat(t->root, LOCAL_MARKER, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, t->mode));
  if (fd < 0) return hf_local_errno(t, errno, "make", LOCAL_MARKER);
  /* That the file is there is what counts; a text cut short by a full disk is still the marker, but init should say so. */
  ssize_t n = TEMP_FAILURE_RETRY(write(fd, marker_text, sizeof marker_text - 1));
  int bad = n < 0 ? errno : n != (ssize_t)sizeof marker_text - 1 ? ENOSPC : 0;
  if (!bad && t->durable && (TEMP_FAILURE_RETRY(fsync(fd)) != 0 || hf_local_sync_dir(t, t->root) != 0)) bad = errno;
  if (close(fd) != 0 && !bad && errno != EINTR) bad = errno;
  return bad ? hf_local_errno(t, bad, "make", LOCAL_MARKER) : HOLDFAST_OK;
}

static void local_close(void *handle) {
  struct local *t = handle;
  if (t->root >= 0) {
    if (t->id[0]) hf_local_reserve(t); /* only where something was written */
    hf_local_temp_end(t);
    close(t->root);
  }
  hf_local_forget(t);
  pthread_mutex_destroy(&t->lock);
  free(t->path);
  free(t);
}

static int local_new(const struct holdfast_host *host, const struct holdfast_value *values, struct local **out) {
  struct local *t = calloc(1, sizeof *t);
  char *path = t ? strdup(values[SET_PATH].strings[0]) : NULL;
  if (!path) {
    free(t);
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  }
  /* "/backup/" and "/backup" are the same; messages put a slash of their own behind. */
  for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = '\0';
  t->host = host;
  t->path = path;
  t->root = t->lock_fd = -1;
  pthread_mutex_init(&t->lock, NULL);
  int status = configure(t, values);
  if (status != HOLDFAST_OK) {
    local_close(t);
    return status;
  }
  *out = t;
  return HOLDFAST_OK;
}

static int local_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  struct local *t;
  int status = local_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  if (create) status = make_path(t);
  if (status == HOLDFAST_OK) status = open_root(t);
  if (status == HOLDFAST_OK) status = create ? make_marker(t) : check_marker(t);
  if (status != HOLDFAST_OK) {
    local_close(t);
    return status;
  }
  hf_local_sweep(t);
  *handle = t;
  return HOLDFAST_OK;
}

static uint32_t local_capabilities(void *handle) {
  (void)handle;
  return HOLDFAST_CREATE_ONLY | HOLDFAST_SPACE;
}

/* More hardly helps one disk; `parallel =` asks for less. */
static uint32_t local_parallel(void *handle) {
  (void)handle;
  return 4;
}

static int local_space(void *handle, struct holdfast_space *out) {
  struct local *t = handle;
  uint64_t avail;
  if (hf_local_available(t, &avail, &out->total) != 0) return hf_local_errno(t, errno, "ask for the free space of", NULL);
  out->flags = 0;
  out->free = avail > t->floor ? avail - t->floor : 0;
  return HOLDFAST_OK;
}

/* Read only: what can be told without writing. */
static int local_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct holdfast_space space;
  struct local *t;
  int status = local_new(host, values, &t);
  if (status != HOLDFAST_OK) return status;
  status = open_root(t);
  if (status == HOLDFAST_OK) status = check_marker(t);
  if (status == HOLDFAST_OK && faccessat(t->root, ".", W_OK | X_OK, AT_EACCESS) != 0)
    status = hf_local_errno(t, errno, "write to", NULL);
  if (status == HOLDFAST_OK) status = local_space(t, &space);
  if (status == HOLDFAST_OK && space.free == 0)
    status = holdfast_fail(host, HOLDFAST_E_NO_SPACE, "%s is full, or has no more free space than free-space-floor", t->path);
  if (status == HOLDFAST_OK)
    holdfast_fail(host, HOLDFAST_OK, "%s can be written; %llu MiB may still be used", t->path,
                  (unsigned long long)(space.free >> 20));
  local_close(t);
  return status;
}

static const struct holdfast_target_plugin plugin = {
    .head = {sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "local", "1.0", "a folder on a disk of this host", settings},
    .open = local_open,
    .capabilities = local_capabilities,
    .parallel = local_parallel,
    .put = hf_local_put,
    .get = hf_local_get,
    .stat = hf_local_stat,
    .list = hf_local_list,
    .remove = hf_local_remove,
    .space = local_space,
    .probe = local_probe,
    .close = local_close,
};

HOLDFAST_TARGET_PLUGIN(plugin)
