/* place.c - a restore into the folder of a stopped server.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The new files are written beside the old ones and change places with them at the end. What was there stays, under a name with
 * ".before-restore-TIME": this is the safety copy.
 *
 * A server with appendonly = yes loads its append-only file and does not look at the RDB; and with no such file it starts empty. So
 * where such a file was or is in use, the old one goes aside, and the RDB is put there a second time as DIR/appendonly.aof: every version from 4.0 on
 * takes that for its beginning (7.0 and later move it into their folder).
 */
#include "redis.h"

#include "../common/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEPT 400 /* room for the name of what is kept */

struct output {
  char name[256]; /* in the folder */
  char temp[300];
  int fd;
};

struct hf_redis_place {
  const struct holdfast_host *host;
  char *dir;
  int dir_fd;
  struct output out[2]; /* the RDB, and perhaps the append-only file */
  size_t n;
  char aof_dir[256]; /* the folder of an append-only file in parts that must go aside, or "" */
  char when[32];
};

static int failed(const struct hf_redis_place *p, const char *doing, const char *name, int error) {
  return holdfast_fail(p->host, hf_redis_status(error), "%s/%s: %s: %s", p->dir, name, doing, strerror(error));
}

void hf_redis_place_free(struct hf_redis_place *p) {
  if (!p) return;
  for (size_t i = 0; i < p->n; i++) {
    if (p->out[i].fd >= 0) close(p->out[i].fd);
    if (p->out[i].temp[0]) unlinkat(p->dir_fd, p->out[i].temp, 0);
  }
  if (p->dir_fd >= 0) close(p->dir_fd);
  free(p->dir);
  free(p);
}

/* Is it this machine that the settings name? Only then are the paths of the state paths here. */
static bool is_local(const struct hf_redis_target *t) {
  return t->socket || strcmp(t->host, "localhost") == 0 || strcmp(t->host, "::1") == 0 || strncmp(t->host, "127.", 4) == 0;
}

/* A server that runs would overwrite the file when it ends. */
static int must_be_stopped(const struct holdfast_host *host, const struct hf_redis_target *t) {
  struct hf_redis_conn *c = NULL;
  struct hf_redis_target plain = *t;
  plain.tls = false;
  int rc = hf_redis_connect(host, &plain, &c);
  if (rc == HOLDFAST_E_CANCELED) return rc;
  if (rc != HOLDFAST_OK) return HOLDFAST_OK;
  hf_redis_close(c);
  return holdfast_fail(host, HOLDFAST_E_EXISTS,
                       "%s: the server is running, and would overwrite the file when it ends: stop it, or set restore-into = server to fill it while it runs",
                       t->label);
}

/* Folder and file name of the RDB, from the setting or from the state. */
static int find_path(struct hf_redis_place *p, const struct holdfast_value *values, const struct hf_redis_target *t, const struct hf_redis_facts *f) {
  const char *set = values[HF_REDIS_SET_RDB_PATH].count ? values[HF_REDIS_SET_RDB_PATH].strings[0] : NULL, *name = f->dbfilename;
  if (set) {
    name = strrchr(set, '/') + 1; /* absolute: the host has looked */
    p->dir = strndup(set, name - set > 1 ? (size_t)(name - set) - 1 : 1);
  } else if (!is_local(t)) {
    return holdfast_fail(p->host, HOLDFAST_E_CONFIG,
                         "%s is another machine: restore there, or set rdb-path to where its RDB is on this one, or restore-into = server",
                         t->label);
  } else if (!f->config || f->dir[0] != '/' || !*name) {
    return holdfast_fail(p->host, HOLDFAST_E_CONFIG, "the snapshot does not say where the server keeps its RDB (CONFIG GET was not allowed): set rdb-path");
  } else {
    p->dir = strdup(f->dir);
  }
  if (!p->dir) return hf_redis_no_memory(p->host);
  if (!*name || strlen(name) > 200 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return holdfast_fail(p->host, HOLDFAST_E_CONFIG, "rdb-path = %s: name the file, /var/lib/redis/dump.rdb for one", set ? set : name);
  snprintf(p->out[0].name, sizeof p->out[0].name, "%s", name);
  p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (p->dir_fd >= 0) return HOLDFAST_OK;
  int error = errno;
  return holdfast_fail(p->host, hf_redis_status(error), "%s: %s; this is where the server keeps its RDB%s", p->dir, strerror(error),
                       set ? " as rdb-path says" : "; rdb-path may say otherwise");
}

/* The append-only file of the server: in parts in a folder of its own (7.0 and later), or one file. */
static void find_aof(struct hf_redis_place *p, const struct hf_redis_facts *f) {
  struct stat st;
  const char *folder = f->appenddirname[0] ? f->appenddirname : "appendonlydir", *file = f->appendfilename[0] ? f->appendfilename : "appendonly.aof";
  if (strchr(folder, '/') || strchr(file, '/') || strlen(folder) > 200 || strlen(file) > 200) return; /* Redis allows neither */
  if (fstatat(p->dir_fd, folder, &st, AT_SYMLINK_NOFOLLOW) == 0) snprintf(p->aof_dir, sizeof p->aof_dir, "%s", folder);
  if (!f->appendonly && !p->aof_dir[0] && fstatat(p->dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) != 0) return;
  snprintf(p->out[1].name, sizeof p->out[1].name, "%s", file);
  p->n = 2;
}

/* A new file beside the old one, with its owner and mode; those of the folder and 0640 when there is none. */
static int make_temp(struct hf_redis_place *p, struct output *o) {
  struct stat old, folder;
  uint64_t random;
  if (fstat(p->dir_fd, &folder) != 0) return failed(p, "cannot be looked at", ".", errno);
  bool there = fstatat(p->dir_fd, o->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there && errno != ENOENT) return failed(p, "cannot be looked at", o->name, errno);
  if (there && !S_ISREG(old.st_mode)) return holdfast_fail(p->host, HOLDFAST_E_FAILED, "%s/%s: is not a plain file: put it away first", p->dir, o->name);
  if (getrandom(&random, sizeof random, 0) != sizeof random) return failed(p, "no random name", o->name, errno);
  snprintf(o->temp, sizeof o->temp, ".%s.%016llx", o->name, (unsigned long long)random);
  o->fd = openat(p->dir_fd, o->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (o->fd < 0) {
    int error = errno;
    o->temp[0] = '\0';
    return failed(p, "cannot be made", o->name, error);
  }
  uid_t uid = there ? old.st_uid : folder.st_uid;
  gid_t gid = there ? old.st_gid : folder.st_gid;
  if ((uid != geteuid() || gid != getegid()) && fchown(o->fd, uid, gid) != 0) return failed(p, "its owner cannot be set", o->name, errno);
  if (fchmod(o->fd, there ? old.st_mode & 07777 : 0640) != 0) return failed(p, "its mode cannot be set", o->name, errno);
  return HOLDFAST_OK;
}

int hf_redis_place_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_redis_facts *f,
                        struct hf_redis_place **out) {
  struct hf_redis_target t;
  struct hf_redis_place *p = calloc(1, sizeof *p);
  struct tm tm;
  time_t now = time(NULL);
  if (!p) return hf_redis_no_memory(host);
  *p = (struct hf_redis_place){.host = host, .dir_fd = -1, .n = 1, .out = {{.fd = -1}, {.fd = -1}}};
  strftime(p->when, sizeof p->when, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
  int rc = hf_redis_target(host, values, &t);
  if (rc == HOLDFAST_OK) rc = must_be_stopped(host, &t);
  if (rc == HOLDFAST_OK) rc = find_path(p, values, &t, f);
  if (rc == HOLDFAST_OK) find_aof(p, f);
  for (size_t i = 0; rc == HOLDFAST_OK && i < p->n; i++) rc = make_temp(p, &p->out[i]);
  if (rc == HOLDFAST_OK) *out = p;
  else hf_redis_place_free(p);
  return rc;
}

int hf_redis_place_write(struct hf_redis_place *p, const void *buf, size_t n) {
  for (size_t i = 0; i < p->n; i++) {
    const char *at = buf;
    for (size_t left = n; left > 0;) {
      ssize_t went = write(p->out[i].fd, at, left);
      if (went < 0 && errno == EINTR) continue;
      if (went < 0) return failed(p, "cannot be written", p->out[i].name, errno);
      at += went;
      left -= (size_t)went;
    }
  }
  return HOLDFAST_OK;
}

/* Give what is there a second name (a folder: another name), which comes back in kept, and say so. Nothing there is fine: then kept is "". */
static int put_aside(struct hf_redis_place *p, const char *name, bool folder, char kept[KEPT]) {
  for (unsigned i = 0; i < 1000; i++) {
    char number[16] = "";
    if (i > 0) snprintf(number, sizeof number, "-%u", i);
    snprintf(kept, KEPT, "%s.before-restore-%s%s", name, p->when, number);
    int rc = folder ? renameat2(p->dir_fd, name, p->dir_fd, kept, RENAME_NOREPLACE) : linkat(p->dir_fd, name, p->dir_fd, kept, 0);
    /* A file system without hard links: for a moment there is no file of that name. */
    if (rc != 0 && !folder && (errno == EPERM || errno == EOPNOTSUPP)) rc = renameat2(p->dir_fd, name, p->dir_fd, kept, RENAME_NOREPLACE);
    if (rc != 0 && errno == ENOENT) {
      kept[0] = '\0';
      return HOLDFAST_OK;
    }
    if (rc == 0) {
      hf_redis_log(p->host, HOLDFAST_LOG_NOTICE, "what was %s/%s is kept as %s", p->dir, name, kept);
      return HOLDFAST_OK;
    }
    if (errno != EEXIST) break;
  }
  kept[0] = '\0';
  return failed(p, "cannot be put aside", name, errno);
}

/* For undo. kept "": nothing was there. */
static void tell(struct hf_redis_place *p, const char *name, const char *kept) {
  char *place = NULL, *kept_as = NULL;
  if (!p->host->kept) return;
  if (asprintf(&place, "%s/%s", p->dir, name) < 0) place = NULL;
  if (*kept && asprintf(&kept_as, "%s/%s", p->dir, kept) < 0) kept_as = NULL;
  if (place && (!*kept || kept_as)) p->host->kept(p->host->ctx, place, kept_as);
  free(place);
  free(kept_as);
}

int hf_redis_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  struct hf_redis_target t;
  for (size_t i = 0; i < n; i++)
    if (items[i].place[0] != '/')
      return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "the server was empty before it was filled while it ran: nothing is kept; FLUSHALL empties it");
  int rc = hf_redis_target(host, values, &t);
  if (rc == HOLDFAST_OK) rc = must_be_stopped(host, &t);
  if (rc == HOLDFAST_OK) rc = hfp_put_back(host, items, n);
  if (rc == HOLDFAST_OK) hf_redis_log(host, HOLDFAST_LOG_NOTICE, "what the server had before is in place: start the server");
  return rc;
}

int hf_redis_place_finish(struct hf_redis_place *p) {
  char kept[2][KEPT] = {"", ""}, kept_folder[KEPT] = "";
  int rc = HOLDFAST_OK;
  /* All data is on the disk before anything changes its name. */
  for (size_t i = 0; i < p->n; i++) {
    if (fsync(p->out[i].fd) != 0) return failed(p, "cannot be written", p->out[i].name, errno);
    int fd = p->out[i].fd;
    p->out[i].fd = -1;
    if (close(fd) != 0) return failed(p, "cannot be written", p->out[i].name, errno);
  }
  if (p->aof_dir[0]) rc = put_aside(p, p->aof_dir, true, kept_folder);
  /* The append-only file first: with it in place the server would start with the new data. */
  for (size_t i = p->n; rc == HOLDFAST_OK && i-- > 0;) {
    struct output *o = &p->out[i];
    rc = put_aside(p, o->name, false, kept[i]);
    if (rc == HOLDFAST_OK && renameat(p->dir_fd, o->temp, p->dir_fd, o->name) != 0) rc = failed(p, "cannot be put in place", o->name, errno);
    if (rc == HOLDFAST_OK) o->temp[0] = '\0';
  }
  /* Without its append-only file, and with no new one in place, a server would start empty. */
  if (rc != HOLDFAST_OK && kept_folder[0] && p->out[1].temp[0]) renameat2(p->dir_fd, kept_folder, p->dir_fd, p->aof_dir, RENAME_NOREPLACE);
  if (rc == HOLDFAST_OK && fsync(p->dir_fd) != 0) rc = failed(p, "the folder cannot be written", ".", errno);
  for (size_t i = 0; rc == HOLDFAST_OK && i < p->n; i++) tell(p, p->out[i].name, kept[i]);
  if (rc == HOLDFAST_OK && p->aof_dir[0]) tell(p, p->aof_dir, kept_folder);
  if (rc == HOLDFAST_OK)
    hf_redis_log(p->host, HOLDFAST_LOG_NOTICE, "%s/%s is in place%s%s: start the server", p->dir, p->out[0].name,
                 p->n > 1 ? ", and once more as " : "", p->n > 1 ? p->out[1].name : "");
  return rc;
}
