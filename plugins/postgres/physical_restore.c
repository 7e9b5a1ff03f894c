/* physical_restore.c - a base backup back into a data directory and its tablespaces.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything is unpacked into folders of our own and checked against the manifest on its way; only when all of it is right are they moved to their places.
 *   To a folder:  DIR/data.partial becomes DIR/data; tablespaces are in DIR/tablespaces/OID, and links and tablespace_map point there.
 *   In place:     DATADIR.holdfast-new becomes DATADIR, what was there stays as DATADIR.before-TIME; of a tablespace the server's own folder below its
 *                 location (PG_15_...) is changed in the same way, so that a location may be a mount point. On failure all is put back.
 */
#include "../common/kept.h"
#include "physical_restore.h"
#include "state.h"
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARTS 4096 /* tablespaces of one restore */

/* The data directory (oid "") or a tablespace. */
struct part {
  char oid[12];
  struct hf_pg_place place;
  struct hf_pg_unpack unpack;
};

struct restore {
  const struct holdfast_host *host;
  bool in_place;
  char *directory;     /* to a folder: which */
  char *data;          /* where the data directory is to be */
  char stamp[32];      /* ".before-20261120T125301Z" */
  struct hf_pg_owner owner;
  struct hf_pg_state state;
  struct hf_pg_audit *audit;
  struct part *parts[MAX_PARTS];
  size_t n_parts;
  struct part *tar;    /* the part whose archive is coming; NULL: the manifest is */
  int manifest;        /* descriptor, -1 */
  bool has_base, has_manifest;
};

/* ---- where things go ---- */

static void part_free(struct part *p, bool discard) {
  if (!p) return;
  hf_pg_unpack_close(&p->unpack);
  hf_pg_place_free(&p->place, discard);
  free(p);
}

static int folder(struct restore *r, const char *path) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST) return holdfast_fail(r->host, hf_pg_status(errno), "%s: cannot be made: %s", path, strerror(errno));
  if (r->owner.set && lchown(path, r->owner.uid, r->owner.gid) != 0)
    return holdfast_fail(r->host, hf_pg_status(errno), "%s: cannot be given to its owner: %s", path, strerror(errno));
  return 0;
}

/* Where a tablespace was: its location, made if it is not there. */
static int location_of(struct restore *r, const char *oid, const char **location) {
  struct stat st;
  *location = hf_pg_state_location(&r->state, oid);
  if (!*location || **location != '/')
    return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "tablespace %s: the snapshot does not say where it was; restore to a folder", oid);
  if (lstat(*location, &st) != 0) return folder(r, *location);
  if (S_ISLNK(st.st_mode) && stat(*location, &st) != 0) return holdfast_fail(r->host, hf_pg_status(errno), "%s: %s", *location, strerror(errno));
  return S_ISDIR(st.st_mode) ? 0 : holdfast_fail(r->host, HOLDFAST_E_CONFIG, "%s: the location of tablespace %s is not a folder", *location, oid);
}

static int stage_of(struct restore *r, const char *oid, char **stage) {
  const char *location = NULL;
  int rc = 0;
  *stage = NULL;
  if (!*oid) {
    *stage = hf_pg_format(r->in_place ? "%s.holdfast-new" : "%s.partial", r->data);
  } else if (r->in_place) {
    if ((rc = location_of(r, oid, &location)) < 0) return rc;
    *stage = hf_pg_format("%s/holdfast-new", location);
  } else {
    char *all = hf_pg_join(r->directory, "tablespaces");
    if (all && (rc = folder(r, all)) == 0) *stage = hf_pg_join(all, oid);
    free(all);
    if (rc < 0) return rc;
  }
  return *stage ? 0 : hf_pg_no_memory(r->host);
}

/* The part, made if it is not there yet. */
static int part_of(struct restore *r, const char *oid, struct part **out) {
  char *stage = NULL;
  for (size_t i = 0; i < r->n_parts; i++)
    if (strcmp(r->parts[i]->oid, oid) == 0) {
      *out = r->parts[i];
      return 0;
    }
  if (r->n_parts == MAX_PARTS) return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "more than %d tablespaces cannot be restored at once", MAX_PARTS - 1);
  struct part *p = calloc(1, sizeof *p);
  if (!p) return hf_pg_no_memory(r->host);
  p->unpack.root = -1;
  snprintf(p->oid, sizeof p->oid, "%s", oid);
  int rc = stage_of(r, oid, &stage);
  if (rc == 0) rc = hf_pg_place_stage(&p->place, r->host, stage);
  if (rc == 0) rc = hf_pg_unpack_open(&p->unpack, r->host, stage, &r->owner);
  free(stage);
  if (rc < 0) {
    part_free(p, true);
    return rc;
  }
  r->parts[r->n_parts++] = p;
  *out = p;
  return 0;
}

/* ---- opening ---- */

/* The files are the old data directory's owner's; where there is none, server-user's. */
static int find_owner(struct restore *r, const struct holdfast_value *values) {
  struct stat st;
  struct passwd pw, *found = NULL;
  char buf[4096];
  const char *account = hf_pg_string(values, HF_PG_SERVER_USER);
  if (geteuid() != 0) return 0;
  if (r->in_place && stat(r->data, &st) == 0) {
    r->owner = (struct hf_pg_owner){true, st.st_uid, st.st_gid};
    return 0;
  }
  if (!account || getpwnam_r(account, &pw, buf, sizeof buf, &found) != 0 || !found) {
    if (r->in_place) return holdfast_fail(r->host, HOLDFAST_E_CONFIG, "server-user = %s: there is no such account", account ? account : "");
    hf_pg_log(r->host, HOLDFAST_LOG_WARNING, "there is no account %s here (server-user): the restored files belong to root", account ? account : "");
    return 0;
  }
  r->owner = (struct hf_pg_owner){true, found->pw_uid, found->pw_gid};
  return 0;
}

/* No server may be at work on what is going to be replaced: in the data directory, or on the tablespaces from where it was before. */
static int all_stopped(struct restore *r) {
  int rc = hf_pg_not_running(r->host, r->data);
  if (rc == 0 && r->state.n_spaces > 0 && *r->state.data_directory == '/') rc = hf_pg_not_running(r->host, r->state.data_directory);
  return rc;
}

static int find_data(struct restore *r, const struct holdfast_value *values) {
  const char *set = hf_pg_string(values, HF_PG_DATA_DIRECTORY);
  char *real;
  if (!r->in_place) {
    r->data = hf_pg_join(r->directory, "data");
    if (!r->data) return hf_pg_no_memory(r->host);
    return access(r->data, F_OK) == 0 ? holdfast_fail(r->host, HOLDFAST_E_EXISTS, "%s: is there already", r->data) : 0;
  }
  if (!set) set = r->state.data_directory;
  if (*set != '/')
    return holdfast_fail(r->host, HOLDFAST_E_CONFIG, "where the data directory is to be is not known: set data-directory (the role that made the backup was "
                         "not a member of pg_read_all_settings)");
  /* What is renamed must be the folder, not a link to it. */
  real = realpath(set, NULL);
  r->data = real ? real : strdup(set);
  if (!r->data) return hf_pg_no_memory(r->host);
  for (size_t n = strlen(r->data); n > 1 && r->data[n - 1] == '/'; n--) r->data[n - 1] = '\0';
  return all_stopped(r);
}

int hf_pg_physical_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                                void **handle) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return hf_pg_no_memory(host);
  r->host = host;
  r->manifest = -1;
  r->in_place = how->mode == HOLDFAST_RESTORE_IN_PLACE;
  int rc = hf_pg_state_read(host, how->state, &r->state);
  time_t now = time(NULL);
  struct tm tm;
  strftime(r->stamp, sizeof r->stamp, "before-%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
  if (rc == 0 && !r->in_place) {
    r->directory = strdup(how->directory);
    if (!r->directory) rc = hf_pg_no_memory(host);
  }
  if (rc == 0) rc = find_data(r, values);
  if (rc == 0) rc = find_owner(r, values);
  if (rc == 0) {
    r->audit = hf_pg_audit_new(host, r->state.kind != HF_PG_SUM_NONE ? r->state.kind : hf_pg_sum_wanted(values));
    if (!r->audit) rc = hf_pg_no_memory(host);
  }
  if (rc < 0) {
    hf_pg_physical_restore_close(r);
    return rc;
  }
  *handle = r;
  return HOLDFAST_OK;
}

/* ---- the streams ---- */

/* "base.tar": ""; "16385.tar": "16385". False if it is neither. */
static bool oid_of(const char *stream, char *oid, size_t cap) {
  size_t n = strlen(stream);
  oid[0] = '\0';
  if (strcmp(stream, "base.tar") == 0) return true;
  if (n < 5 || n - 4 >= cap || strcmp(stream + n - 4, ".tar") != 0 || strspn(stream, "0123456789") != n - 4) return false;
  memcpy(oid, stream, n - 4);
  oid[n - 4] = '\0';
  return true;
}

int hf_pg_physical_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct restore *r = handle;
  struct part *p;
  char oid[12];
  (void)size;
  if (strcmp(stream, "backup_manifest") == 0) {
    int rc = part_of(r, "", &p);
    if (rc < 0) return rc;
    r->tar = NULL;
    r->manifest = hf_pg_unpack_create(&p->unpack, stream);
    return r->manifest < 0 ? r->manifest : 0;
  }
  if (!oid_of(stream, oid, sizeof oid))
    return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "%s: not a stream of a base backup", stream);
  int rc = part_of(r, oid, &p);
  if (rc < 0) return rc;
  struct hf_pg_tar_sink sink = hf_pg_unpack_sink(&p->unpack);
  r->tar = p;
  return hf_pg_audit_tar(r->audit, stream, oid, &sink);
}

int hf_pg_physical_restore_write(void *handle, const void *buf, size_t n) {
  struct restore *r = handle;
  if (r->tar) return hf_pg_audit_tar_feed(r->audit, buf, n);
  for (const char *p = buf; n > 0;) {
    ssize_t done = write(r->manifest, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return holdfast_fail(r->host, hf_pg_status(errno), "%s: backup_manifest cannot be written: %s", r->data, strerror(errno));
    p += done;
    n -= (size_t)done;
  }
  return 0;
}

int hf_pg_physical_restore_end(void *handle) {
  struct restore *r = handle;
  if (r->tar) {
    int rc = hf_pg_audit_tar_end(r->audit);
    if (rc == 0 && !r->tar->oid[0]) r->has_base = true;
    r->tar = NULL;
    return rc;
  }
  int fd = r->manifest;
  r->manifest = -1;
  if (close(fd) != 0) return holdfast_fail(r->host, hf_pg_status(errno), "%s: backup_manifest cannot be written: %s", r->data, strerror(errno));
  r->has_manifest = true;
  return 0;
}

/* ---- the end ---- */

static int audit(struct restore *r, const struct part *base) {
  char buf[65536];
  int fd = openat(base->unpack.root, "backup_manifest", O_RDONLY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
  if (fd < 0) return holdfast_fail(r->host, hf_pg_status(errno), "%s: backup_manifest: %s", base->unpack.top, strerror(errno));
  while (rc == 0) {
    ssize_t n = read(fd, buf, sizeof buf);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) rc = holdfast_fail(r->host, hf_pg_status(errno), "%s: backup_manifest: %s", base->unpack.top, strerror(errno));
    if (n <= 0) break;
    rc = hf_pg_audit_manifest_feed(r->audit, buf, (size_t)n);
  }
  close(fd);
  return rc == 0 ? hf_pg_audit_finish(r->audit) : rc;
}

/* One line of tablespace_map, "OID LOCATION", with a backslash before what would end it. Memory out: false. */
static bool add_line(char **map, size_t *n, const char *oid, const char *location) {
  char *more = realloc(*map, *n + strlen(oid) + 2 * strlen(location) + 3);
  if (!more) return false;
  *map = more;
  *n += (size_t)sprintf(more + *n, "%s ", oid);
  for (; *location; location++) {
    if (*location == '\n' || *location == '\r' || *location == '\\') more[(*n)++] = '\\';
    more[(*n)++] = *location;
  }
  more[(*n)++] = '\n';
  return true;
}

/* The map as the server will need it, and the links that it stands for. */
static int map_spaces(struct restore *r, struct part *base) {
  struct hf_pg_unpack *u = &base->unpack;
  char *map = NULL, link[40];
  size_t n = 0;
  int rc = 0;
  if (!u->map) return 0;
  for (size_t i = 0; rc == 0 && i < r->n_parts; i++) {
    struct part *p = r->parts[i];
    if (!p->oid[0]) continue;
    const char *location = r->in_place ? hf_pg_state_location(&r->state, p->oid) : p->place.stage;
    snprintf(link, sizeof link, "pg_tblspc/%s", p->oid);
    rc = hf_pg_unpack_link(u, link, location);
    if (rc == 0 && !r->in_place && !add_line(&map, &n, p->oid, location)) rc = hf_pg_no_memory(r->host);
  }
  if (rc == 0) rc = r->in_place ? hf_pg_unpack_file(u, "tablespace_map", u->map, u->map_n) : hf_pg_unpack_file(u, "tablespace_map", map, n);
  free(map);
  return rc;
}

/* Where a finished part is to go. A tablespace restored to a folder stays where it is. */
static int destination(struct restore *r, struct part *p) {
  struct hf_pg_place *w = &p->place;
  if (!p->oid[0]) {
    w->from = strdup(w->stage);
    w->to = strdup(r->data);
    w->aside = hf_pg_format("%s.%s", r->data, r->stamp);
  } else {
    /* The one folder in it, "PG_15_202209061". */
    const char *location = hf_pg_state_location(&r->state, p->oid);
    p->unpack.first[strcspn(p->unpack.first, "/")] = '\0';
    if (!p->unpack.first[0]) return 0;
    w->from = hf_pg_join(w->stage, p->unpack.first);
    w->to = hf_pg_join(location, p->unpack.first);
    w->aside = hf_pg_format("%s/%s.%s", location, p->unpack.first, r->stamp);
  }
  return w->from && w->to && w->aside ? 0 : hf_pg_no_memory(r->host);
}

static int move_all(struct restore *r) {
  size_t n = 0;
  int rc = r->in_place ? all_stopped(r) : 0;
  for (size_t i = 0; rc == 0 && i < r->n_parts; i++) {
    struct part *p = r->parts[i];
    if (r->in_place || !p->oid[0]) rc = destination(r, p);
    /* What replaces something must be on the disk by then. A copy need not: the server writes all of it through when it first starts on it. */
    if (rc == 0 && r->in_place) rc = hf_pg_unpack_sync(&p->unpack);
    /* Its top belongs to the server only from now on: until here nobody else could write in there. */
    if (rc == 0 && r->owner.set && fchown(p->unpack.root, r->owner.uid, r->owner.gid) != 0)
      rc = holdfast_fail(r->host, hf_pg_status(errno), "%s: cannot be given to its owner: %s", p->unpack.top, strerror(errno));
  }
  for (; rc == 0 && n < r->n_parts; n++)
    if (r->parts[n]->place.to) rc = hf_pg_place_swap(&r->parts[n]->place, r->host);
  if (rc < 0) {
    /* The one that failed has put itself back. */
    while (n-- > 0) hf_pg_place_back(&r->parts[n]->place, r->host);
    return rc;
  }
  for (size_t i = 0; i < r->n_parts; i++) {
    const struct hf_pg_place *w = &r->parts[i]->place;
    if (w->kept) hf_pg_log(r->host, HOLDFAST_LOG_NOTICE, "what was in %s is now in %s", w->to, w->aside);
    if (w->to && r->in_place && r->host->kept) r->host->kept(r->host->ctx, w->to, w->kept ? w->aside : NULL);
  }
  return 0;
}

int hf_pg_physical_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  struct part *base;
  if (!complete || r->n_parts == 0) {
    if (!r->in_place && r->n_parts > 0)
      hf_pg_log(r->host, HOLDFAST_LOG_NOTICE, "the restore is not complete; what there is of it is left in %s.partial: no server must be started on that",
                r->data);
    return 0;
  }
  if (!r->has_base || !r->has_manifest)
    return holdfast_fail(r->host, HOLDFAST_E_FAILED, "%s did not come: a base backup can be restored as a whole only",
                         r->has_base ? "backup_manifest" : "base.tar");
  int rc = part_of(r, "", &base);
  if (rc == 0) rc = audit(r, base);
  if (rc == 0) rc = map_spaces(r, base);
  if (rc == 0) rc = move_all(r);
  return rc;
}

int hf_pg_physical_undo(const struct holdfast_host *host, const struct holdfast_kept *items, size_t n) {
  int rc = 0;
  /* Places of tablespaces have no postmaster.pid, and pass. */
  for (size_t i = 0; rc == 0 && i < n; i++) rc = hf_pg_not_running(host, items[i].place);
  if (rc == 0) rc = hfp_put_back(host, items, n);
  if (rc == 0) hf_pg_log(host, HOLDFAST_LOG_NOTICE, "the data directory is what it was before: start the server");
  return rc;
}

void hf_pg_physical_restore_close(void *handle) {
  struct restore *r = handle;
  if (r->manifest >= 0) close(r->manifest);
  for (size_t i = 0; i < r->n_parts; i++) part_free(r->parts[i], r->in_place);
  hf_pg_audit_free(r->audit);
  hf_pg_state_free(&r->state);
  free(r->directory);
  free(r->data);
  free(r);
}
