/* restore.c - `restore-command` with the stream as its standard input; `verify-command`; probe.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A restore in place collects the stream in a temporary file without a name, and starts the command when the host has said that all of it
 * arrived undamaged: what a command has begun to take cannot be taken back. A pipe would not do: when we are ended in the middle, the end of the
 * pipe looks like the end of the stream, and a command that works in one transaction would commit half of it. The file needs as much room as the
 * stream; in memory there is nothing of it.
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct restore {
  struct hf_exec_options o;
  bool in_place;
  int fd;          /* the temporary file, -1 while no stream has begun */
  char where[PATH_MAX];
  uint64_t size, got;
  bool ended;
};

/* ---- restore ---- */

int hf_exec_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                         void **handle) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  int rc = hf_exec_options_read(host, values, &r->o);
  if (rc != HOLDFAST_OK) {
    free(r);
    return rc;
  }
  r->fd = -1;
  r->in_place = how->mode == HOLDFAST_RESTORE_IN_PLACE;
  if (r->in_place && values[HF_EXEC_RESTORE_COMMAND].count == 0) {
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG,
                       "there is no restore-command that could take the stream back: set one, or restore with --to and use the file");
    hf_exec_restore_close(r);
    return rc;
  }
  *handle = r;
  return HOLDFAST_OK;
}

static int no_room(struct restore *r, const char *what) {
  int e = errno, full = e == ENOSPC || e == EDQUOT;
  return holdfast_fail(r->o.host, full ? HOLDFAST_E_NO_SPACE : HOLDFAST_E_FAILED, "cannot %s a temporary file in %s: %s%s", what, r->where, strerror(e),
                       full ? "; TMPDIR can name another folder" : "");
}

/* A file that has no name and is gone when it is closed. */
static int make_temporary(struct restore *r) {
  const char *dir = getenv("TMPDIR");
  snprintf(r->where, sizeof r->where, "%s", dir && dir[0] == '/' ? dir : "/var/tmp");
  r->fd = open(r->where, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  if (r->fd >= 0) return HOLDFAST_OK;
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/holdfast-exec-XXXXXX", r->where);
  r->fd = mkostemp(path, O_CLOEXEC); /* for file systems that know no O_TMPFILE */
  if (r->fd < 0) return no_room(r, "make");
  unlink(path);
  return HOLDFAST_OK;
}

int hf_exec_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct restore *r = handle;
  if (!r->in_place) return holdfast_fail(r->o.host, HOLDFAST_E_UNSUPPORTED, "%s is written to a file by the host", stream);
  if (r->fd >= 0) return holdfast_fail(r->o.host, HOLDFAST_E_CORRUPT, "%s: this source has one stream only", stream);
  r->size = size;
  int rc = make_temporary(r);
  if (rc != HOLDFAST_OK || size == 0) return rc;
  /* Better now than after hours. A file system that cannot set room aside finds out while it is written. */
  if (size <= INT64_MAX && fallocate(r->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) != 0 && (errno == ENOSPC || errno == EDQUOT))
    return no_room(r, "set room aside for");
  return HOLDFAST_OK;
}

int hf_exec_restore_write(void *handle, const void *buf, size_t n) {
  struct restore *r = handle;
  const char *p = buf;
  while (n > 0) {
    ssize_t done = write(r->fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return no_room(r, "write");
    p += done;
    n -= (size_t)done;
    r->got += (uint64_t)done;
  }
  return HOLDFAST_OK;
}

int hf_exec_restore_end(void *handle) {
  struct restore *r = handle;
  if (r->got != r->size)
    return holdfast_fail(r->o.host, HOLDFAST_E_CORRUPT, "%" PRIu64 " bytes arrived, not %" PRIu64, r->got, r->size);
  r->ended = true;
  return HOLDFAST_OK;
}

int hf_exec_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  struct hf_exec_run *run = NULL;
  if (!complete || !r->in_place || !r->ended) return HOLDFAST_OK;
  if (lseek(r->fd, 0, SEEK_SET) != 0) return no_room(r, "rewind");
  int rc = hf_exec_run_start(&r->o, HF_EXEC_RESTORE_COMMAND, r->fd, false, NULL, &run);
  if (rc == HOLDFAST_OK) rc = hf_exec_run_end(run, NULL);
  hf_exec_run_free(run);
  return rc;
}

void hf_exec_restore_close(void *handle) {
  struct restore *r = handle;
  if (r->fd >= 0) close(r->fd);
  hf_exec_options_free(&r->o);
  free(r);
}

/* ---- rehearsal ---- */

/* What the state says: the stream's name, which *j owns, and its size, -1 when it says none. */
static const char *stored(const struct hf_exec_options *o, const char *state, json_t **j, int64_t *size) {
  *j = json_loads(state, 0, NULL);
  const json_t *bytes = json_object_get(*j, "size");
  const char *name = json_string_value(json_object_get(*j, "stream"));
  *size = json_is_integer(bytes) ? (int64_t)json_integer_value(bytes) : -1;
  return name && hf_exec_stream_name(name) ? name : o->stream;
}

/* The command's own opinion of the file fd, whose name is path. */
static int ask(const struct hf_exec_options *o, int fd, const char *path, int64_t size) {
  struct hf_exec_run *run = NULL;
  if (o->values[HF_EXEC_VERIFY_COMMAND].count == 0)
    return holdfast_fail(o->host, HOLDFAST_OK, "%" PRId64 " bytes, as they were backed up; there is no verify-command to look into them", size);
  int rc = hf_exec_run_start(o, HF_EXEC_VERIFY_COMMAND, fd, false, path, &run);
  if (rc == HOLDFAST_OK) {
    rc = hf_exec_run_end(run, NULL);
    if (rc == HOLDFAST_E_FAILED) rc = HOLDFAST_E_CORRUPT; /* its message stands */
  }
  if (rc == HOLDFAST_OK) {
    char title[160];
    const char *said = hf_exec_run_words(run);
    hf_exec_title(o, HF_EXEC_VERIFY_COMMAND, title, sizeof title);
    holdfast_fail(o->host, HOLDFAST_OK, "%" PRId64 " bytes; %s finds them good%s%s", size, title, *said ? ": " : "", said);
  }
  hf_exec_run_free(run);
  return rc;
}

static int verify(const struct hf_exec_options *o, const char *directory, const char *state) {
  json_t *j = NULL;
  int64_t size;
  struct stat st;
  char path[PATH_MAX];
  const char *name = stored(o, state, &j, &size);
  int rc, len = snprintf(path, sizeof path, "%s/%s", directory, name);
  int fd = len < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
  if (fd < 0 || fstat(fd, &st) != 0)
    rc = holdfast_fail(o->host, HOLDFAST_E_NOT_FOUND, "%s: %s", path, strerror(errno));
  else if (!S_ISREG(st.st_mode))
    rc = holdfast_fail(o->host, HOLDFAST_E_CORRUPT, "%s: is not a regular file", path);
  else if (size >= 0 && st.st_size != size)
    rc = holdfast_fail(o->host, HOLDFAST_E_CORRUPT, "%s: has %" PRId64 " bytes, and %" PRId64 " were backed up", path, (int64_t)st.st_size, size);
  else
    rc = ask(o, fd, path, (int64_t)st.st_size);
  if (fd >= 0) close(fd);
  json_decref(j);
  return rc;
}

int hf_exec_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory,
                   const char *state) {
  struct hf_exec_options o;
  int rc = hf_exec_options_read(host, values, &o);
  if (rc != HOLDFAST_OK) return rc;
  rc = verify(&o, directory, state);
  hf_exec_options_free(&o);
  return rc;
}

/* ---- preflight ---- */

static int probe(const struct hf_exec_options *o) {
  char found[PATH_MAX] = "", path[PATH_MAX];
  for (int i = HF_EXEC_COMMAND; i <= HF_EXEC_VERIFY_COMMAND; i++) {
    int rc = o->values[i].count ? hf_exec_find(o, (enum hf_exec_setting)i, i == HF_EXEC_COMMAND ? found : path, PATH_MAX) : HOLDFAST_OK;
    if (rc != HOLDFAST_OK) return rc;
  }
  const char *in_place = o->values[HF_EXEC_RESTORE_COMMAND].count ? "" : "; without restore-command, so that it cannot be restored in place";
  return holdfast_fail(o->host, HOLDFAST_OK, "%s, to the stream %s%s", found, o->stream, in_place);
}

int hf_exec_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct hf_exec_options o;
  int rc = hf_exec_options_read(host, values, &o);
  if (rc != HOLDFAST_OK) return rc;
  rc = probe(&o);
  hf_exec_options_free(&o);
  return rc;
}
