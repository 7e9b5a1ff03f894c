/* way.c - the folders above a data directory, opened to the account of a temporary server for as long as it runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_GROUPS = 256, PW_BYTES = 16384 };

struct account {
  uid_t uid;
  gid_t gid;
  gid_t groups[MAX_GROUPS];
  int n_groups;
};

/* 0, or an errno; ENOENT: there is no such account. */
static int look_up(const char *name, struct account *a) {
  char *buf = malloc(PW_BYTES);
  struct passwd pw, *found = NULL;
  int e = buf ? getpwnam_r(name, &pw, buf, PW_BYTES, &found) : ENOMEM;
  if (e == 0 && !found) e = ENOENT;
  if (e == 0) {
    *a = (struct account){.uid = pw.pw_uid, .gid = pw.pw_gid, .n_groups = MAX_GROUPS};
    if (getgrouplist(name, a->gid, a->groups, &a->n_groups) < 0) a->n_groups = 0;
  }
  free(buf);
  return e;
}

int hf_pg_way_account(const struct holdfast_host *host, const char *name) {
  struct account a;
  int e = name ? look_up(name, &a) : ENOENT;
  if (e != 0)
    return holdfast_fail(host, HOLDFAST_E_CONFIG,
          "server-user = %s: %s; PostgreSQL does not run as root, so it has to be an account to run a temporary server as",
                         name ? name : "", e == ENOENT ? "there is no such account" : strerror(e));
  if (a.uid == 0) return holdfast_fail(host, HOLDFAST_E_CONFIG, "server-user = %s: PostgreSQL does not run as root", name);
  return 0;
}

int hf_pg_way_give(const char *name, int fd) {
  struct account a;
  int e = look_up(name, &a);
  if (e != 0) {
    errno = e;
    return -1;
  }
  return fchown(fd, a.uid, a.gid);
}

static bool may_enter(const struct account *a, const struct stat *st) {
  if (st->st_uid == a->uid) return st->st_mode & S_IXUSR;
  bool member = st->st_gid == a->gid;
  for (int i = 0; i < a->n_groups; i++) member |= st->st_gid == a->groups[i];
  return st->st_mode & (member ? S_IXGRP : S_IXOTH);
}

/* One folder. It is root's own and closed, or it is an error. */
static int open_one(const struct holdfast_host *host, const struct account *a, const char *name, const char *path, struct hf_pg_way *w) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) {
    int rc = holdfast_fail(host, hf_pg_status(errno), "%s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return rc;
  }
  if (may_enter(a, &st)) {
    close(fd);
    return 0;
  }
  int rc = 0;
  if (st.st_uid != 0 || st.st_mode & 077 || w->n == HF_PG_WAY_MAX)
    rc = holdfast_fail(host, HOLDFAST_E_AUTH, "%s may not go through %s, which a temporary server has to: set TMPDIR to a folder that it may go through",
          name, path);
  else if (fchown(fd, (uid_t)-1, a->gid) != 0 || fchmod(fd, (st.st_mode & 07777) | S_IXGRP) != 0)
    rc = holdfast_fail(host, hf_pg_status(errno), "%s: cannot open it to %s: %s", path, name, strerror(errno));
  else
    w->at[w->n++] = (struct hf_pg_way_folder){.fd = fd, .gid = st.st_gid, .mode = st.st_mode & 07777};
  if (rc < 0) close(fd);
  return rc;
}

int hf_pg_way_open(const struct holdfast_host *host, const char *name, const char *path, struct hf_pg_way *w) {
  struct account a;
  if (!name) return 0;
  int e = look_up(name, &a), rc = 0;
  if (e != 0) return holdfast_fail(host, hf_pg_status(e), "account %s: %s", name, strerror(e));
  char *real = realpath(path, NULL);
  if (!real) return holdfast_fail(host, hf_pg_status(errno), "%s: %s", path, strerror(errno));
  for (char *slash = strchr(real + 1, '/'); rc == 0 && slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    rc = open_one(host, &a, name, real, w);
    *slash = '/';
  }
  free(real);
  if (rc < 0) hf_pg_way_close(w);
  return rc;
}

void hf_pg_way_close(struct hf_pg_way *w) {
  while (w->n > 0) {
    struct hf_pg_way_folder *f = &w->at[--w->n];
    if (fchmod(f->fd, f->mode) != 0 || fchown(f->fd, (uid_t)-1, f->gid) != 0) { /* nothing better can be done: it is 0710 */
    }
    close(f->fd);
  }
}
