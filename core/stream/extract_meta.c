/* extract_meta.c - what the headers of an entry say, and putting it on what was made.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order matters: chown takes away set-user-ID bits and capabilities, chmod changes an ACL's mask, and everything but it moves no mtime. So: attributes, owner, mode, ACLs, security attributes, time.
 */
#include "stream/extract_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

void hf_xattr_add(struct hf_buf *b, const char *name, const void *value, size_t n) {
  uint32_t head[2] = {(uint32_t)strlen(name), (uint32_t)n};
  hf_buf_add(b, head, sizeof head);
  hf_buf_add(b, name, head[0] + 1);
  hf_buf_add(b, value, n);
}

/* The attribute at *at; false at the end. */
static bool attr_next(const struct hf_xmeta *m, size_t *at, const char **name, const void **value, size_t *n) {
  uint32_t head[2];
  if (*at >= m->attrs_n) return false;
  memcpy(head, m->attrs + *at, sizeof head);
  *name = m->attrs + *at + sizeof head;
  *value = *name + head[0] + 1;
  *n = head[1];
  *at += sizeof head + head[0] + 1 + head[1];
  return true;
}

static uint32_t id_of(int64_t id) { return id < 0 || id > UINT32_MAX ? UINT32_MAX : (uint32_t)id; }

/* In a pax keyword '=' stands as %3D and '%' as %25, and libarchive leaves that to us. What is longer than
 * a name can be is left as it is, for the kernel to refuse and the restore to report. */
static const char *attr_name(char out[XATTR_NAME_MAX + 1], const char *key) {
  const char *whole = key;
  size_t n = 0;
  while (*key) {
    if (n == XATTR_NAME_MAX) return whole;
    bool equals = strncmp(key, "%3D", 3) == 0, percent = strncmp(key, "%25", 3) == 0;
    out[n++] = equals ? '=' : *key;
    key += equals || percent ? 3 : 1;
  }
  out[n] = 0;
  return out;
}

static bool where_to(struct hf_extract *x, const char *path, size_t n, struct hf_buf *to) {
  hf_buf_clear(to);
  if (!x->o.map)
    hf_buf_add(to, path, n);
  else if (x->o.map(x->o.ctx, path, n, to) <= 0)
    return false;
  return true;
}

int hf_xmeta_read(struct hf_extract *x, struct hf_xworker *w, struct archive_entry *e, size_t which, struct hf_xmeta *m) {
  memset(m, 0, sizeof *m);
  const char *path = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
  if (!path) path = "";
  size_t n = strlen(path);
  mode_t type = archive_entry_filetype(e);
  m->kind = link ? 'h' : type == AE_IFREG ? 'f' : type == AE_IFDIR ? 'd' : type == AE_IFLNK ? 'l' : type == AE_IFIFO ? 'p' : type == AE_IFCHR ? 'c' : type == AE_IFBLK ? 'b' : 's';
  if (m->kind == 'd')
    while (n > 1 && path[n - 1] == '/') n--;
  hf_buf_clear(&w->source);
  hf_buf_add(&w->source, path, n);
  m->source = w->source.data;
  m->source_n = n;
  if (m->kind == 's') return 0;
  if (!hf_path_is_safe(path, n)) {
    hf_xproblem(x, m, true, "the path is not a relative one without \".\" and \"..\": refused");
    return 0;
  }
  if (x->o.look) {
    x->o.look(x->o.ctx, m->source, n, m->kind == 'd');
    return 0;
  }
  if (!where_to(x, m->source, n, &w->path)) return 0;
  m->path = w->path.data;
  m->path_n = w->path.len;
  if (!hf_path_is_safe(m->path, m->path_n)) {
    hf_xproblem(x, m, true, "the place it is to go to is not a relative path without \".\" and \"..\": refused");
    return 0;
  }
  hf_buf_clear(&w->link);
  if (m->kind == 'h') {
    if (!hf_path_is_safe(link, strlen(link))) {
      HF_CLEANUP(hf_freep) char *shown = hf_printable(link, strlen(link));
      hf_xproblem(x, m, true, "is a hard link to %s, which is not a relative path without \".\" and \"..\": refused", shown);
      return 0;
    }
    if (!where_to(x, link, strlen(link), &w->link)) {
      HF_CLEANUP(hf_freep) char *shown = hf_printable(link, strlen(link));
      hf_xproblem(x, m, true, "is another name of %s, which is left out", shown);
      return 0;
    }
    if (!hf_path_is_safe(w->link.data, w->link.len)) {
      hf_xproblem(x, m, true, "the file it is another name of is to go to no safe path: refused");
      return 0;
    }
  } else if (m->kind == 'l') {
    const char *to = archive_entry_symlink(e);
    if (!to || !*to) {
      hf_xproblem(x, m, true, "is a symbolic link without a target");
      return 0;
    }
    hf_buf_adds(&w->link, to);
  }
  m->link = w->link.data;
  m->link_n = w->link.len;
  m->mode = archive_entry_mode(e) & 07777;
  m->mtime = archive_entry_mtime(e);
  m->mtime_nsec = archive_entry_mtime_is_set(e) ? (uint32_t)archive_entry_mtime_nsec(e) : UTIME_OMIT;
  const struct hf_xearly *early = hf_xscan_early(&w->scan, which);
  if (early) {
    m->mtime = early->mtime;
    m->mtime_nsec = early->mtime_nsec;
  }
  if (m->kind == 'f') m->size = archive_entry_size(e) > 0 ? (uint64_t)archive_entry_size(e) : 0;
  if (m->kind == 'c' || m->kind == 'b') {
    m->rdev_major = (uint32_t)archive_entry_rdevmajor(e);
    m->rdev_minor = (uint32_t)archive_entry_rdevminor(e);
  }
  m->uid = id_of(archive_entry_uid(e));
  m->gid = id_of(archive_entry_gid(e));
  if (!x->o.numeric) {
    const char *user = archive_entry_uname(e), *group = archive_entry_gname(e);
    if (user && *user) hf_xowner_lookup(x, w, 0, user, &m->uid);
    if (group && *group) hf_xowner_lookup(x, w, 1, group, &m->gid);
  }
  hf_buf_clear(&w->attrs);
  hf_xacl_read(x, w, e, m);
  if (archive_entry_xattr_reset(e) > 0) {
    const char *name;
    const void *value;
    size_t size;
    while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
      char plain[XATTR_NAME_MAX + 1];
      if (name && *name) hf_xattr_add(&w->attrs, attr_name(plain, name), value, size);
    }
  }
  m->attrs = w->attrs.data;
  m->attrs_n = w->attrs.len;
  return 1;
}

uint32_t hf_xmeta_create_mode(const struct hf_extract *x, const struct hf_xmeta *m) {
  (void)x;
  /* Whoever is not root may set attributes only of what it may write. */
  return (m->mode & 0777) | (m->attrs_n && geteuid() != 0 ? 0200 : 0);
}

/* What metadata goes onto: an open file, or a name in an open folder that is not followed. */
struct object {
  struct hf_extract *x;
  const struct hf_xmeta *m;
  int fd;         /* -1: by name */
  int dir;
  const char *name;
  char path[300]; /* by name, for the calls that know no folder */
};

static int set_attr(const struct object *o, const char *name, const void *value, size_t n) {
  return o->fd >= 0 ? fsetxattr(o->fd, name, value, n, 0) : lsetxattr(o->path, name, value, n, 0);
}

static void remove_attr(const struct object *o, const char *name) {
  if (o->fd >= 0)
    fremovexattr(o->fd, name);
  else
    lremovexattr(o->path, name);
}

enum phase { EARLY, ACLS, SECURITY };

/* The attributes of a phase. Returns which ACLs were among them: 1 access, 2 default. */
static int attrs(const struct object *o, enum phase phase) {
  const struct hf_xmeta *m = o->m;
  size_t at = 0, n;
  const char *name;
  const void *value;
  int acls = 0;
  while (attr_next(m, &at, &name, &value, &n)) {
    bool access = strcmp(name, ACL_ACCESS) == 0, acl = access || strcmp(name, ACL_DEFAULT) == 0;
    if (phase != (acl ? ACLS : strncmp(name, "security.", 9) == 0 ? SECURITY : EARLY)) continue;
    if (acl) acls |= access ? 1 : 2;
    if (set_attr(o, name, value, n) == 0) continue;
    char why[128];
    HF_CLEANUP(hf_freep) char *shown = hf_printable(name, strlen(name));
    hf_xproblem(o->x, m, false, "%s %s: %s", acl ? "ACL" : "extended attribute", shown, strerror_r(errno, why, sizeof why));
  }
  return acls;
}

static int change_owner(const struct object *o, uint32_t uid, uint32_t gid) {
  return o->fd >= 0 ? fchown(o->fd, uid, gid) : fchownat(o->dir, o->name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

/* uid, gid: as they are, and after as they are then. */
static void owner(const struct object *o, uint32_t *uid, uint32_t *gid) {
  const struct hf_xmeta *m = o->m;
  if (!o->x->o.owner || (*uid == m->uid && *gid == m->gid)) return;
  if (change_owner(o, m->uid, m->gid) == 0) {
    *uid = m->uid;
    *gid = m->gid;
    return;
  }
  int why = errno;
  char text[128];
  /* The group alone may be one's own. */
  if (*gid != m->gid && *uid != m->uid && change_owner(o, UINT32_MAX, m->gid) == 0) *gid = m->gid;
  hf_xproblem(o->x, m, false, "owner: %s", strerror_r(why, text, sizeof text));
}

/* is: the mode it has now. */
static void mode(const struct object *o, uint32_t is, uint32_t uid, uint32_t gid) {
  const struct hf_xmeta *m = o->m;
  uint32_t want = m->mode & 07777;
  /* A program that was one account's must not run as another. */
  if ((want & S_ISUID) && m->kind != 'd' && uid != m->uid) {
    want &= ~(uint32_t)S_ISUID;
    hf_xproblem(o->x, m, false, "the set-user-ID bit is left out, because the owner is another");
  }
  if ((want & S_ISGID) && m->kind != 'd' && gid != m->gid) {
    want &= ~(uint32_t)S_ISGID;
    hf_xproblem(o->x, m, false, "the set-group-ID bit is left out, because the group is another");
  }
  if (want == is) return;
  int rc = o->fd >= 0 ? fchmod(o->fd, want) : fchmodat(o->dir, o->name, want, AT_SYMLINK_NOFOLLOW);
  char why[128];
  if (rc < 0) hf_xproblem(o->x, m, false, "mode: %s", strerror_r(errno, why, sizeof why));
}

static void times(const struct object *o) {
  const struct timespec ts[2] = {{0, UTIME_OMIT}, {o->m->mtime, o->m->mtime_nsec}};
  int rc = o->fd >= 0 ? futimens(o->fd, ts) : utimensat(o->dir, o->name, ts, AT_SYMLINK_NOFOLLOW);
  char why[128];
  if (rc < 0) hf_xproblem(o->x, o->m, false, "time of modification: %s", strerror_r(errno, why, sizeof why));
}

static void apply(const struct object *o, const struct stat *st) {
  uint32_t uid = st->st_uid, gid = st->st_gid, is = st->st_mode & 07777;
  const struct hf_xmeta *m = o->m;
  attrs(o, EARLY);
  bool chown_clears = o->x->o.owner && (uid != m->uid || gid != m->gid);
  owner(o, &uid, &gid);
  /* What chown has left of the special bits is not known: set them in any case. */
  if (m->kind != 'l') mode(o, chown_clears && (is & 07000) ? UINT32_MAX : is, uid, gid);
  int acls = attrs(o, ACLS);
  /* One that came from the folder's default is not the entry's own. */
  if (m->kind != 'l' && !(acls & 1)) remove_attr(o, ACL_ACCESS);
  if (m->kind == 'd' && !(acls & 2)) remove_attr(o, ACL_DEFAULT);
  attrs(o, SECURITY);
  times(o);
}

/* What new files in this folder come out with. */
static void look(struct hf_extract *x, struct hf_xdir *d, int fd, uint32_t create_mode) {
  struct stat st;
  if (fstat(fd, &st) < 0) return;
  d->known = true;
  d->uid = st.st_uid;
  d->gid = st.st_gid;
  d->odd = (st.st_mode & 07777) != (create_mode & ~x->umask) || fgetxattr(fd, ACL_ACCESS, NULL, 0) > 0;
}

void hf_xmeta_apply_fd(struct hf_extract *x, struct hf_xdir *d, int fd, const struct hf_xmeta *m, bool fresh, uint32_t create_mode) {
  struct object o = {.x = x, .m = m, .fd = fd};
  struct stat st = {0};
  if (fresh && !d->known) look(x, d, fd, create_mode);
  if (fresh && d->known && !d->odd) {
    uint32_t uid = d->uid, gid = d->gid;
    if (m->attrs_n) attrs(&o, EARLY);
    owner(&o, &uid, &gid);
    mode(&o, create_mode & ~x->umask, uid, gid);
    if (m->attrs_n) {
      attrs(&o, ACLS);
      attrs(&o, SECURITY);
    }
    times(&o);
    return;
  }
  if (fstat(fd, &st) == 0)
    apply(&o, &st);
  else
    hf_xproblem(x, m, false, "metadata: not set");
}

void hf_xmeta_apply_at(struct hf_extract *x, struct hf_xdir *d, const char *name, const struct hf_xmeta *m) {
  struct object o = {.x = x, .m = m, .fd = -1, .dir = d->fd, .name = name};
  struct stat st;
  /* The last name is not followed; the first part is the open folder. */
  snprintf(o.path, sizeof o.path, "/proc/self/fd/%d/%s", d->fd, name);
  if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    apply(&o, &st);
  else
    hf_xproblem(x, m, false, "metadata: not set");
}
