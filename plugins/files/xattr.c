/* xattr.c - extended attributes and ACLs of an open entry.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define LIST_MAX ((size_t)1 << 20) /* Linux gives at most 64 KiB of names, and of each value */

static bool begins(const char *s, const char *with) {
  return strncmp(s, with, strlen(with)) == 0;
}

/* Other parts of system. and of other namespaces are views of what the kernel or a server computes. */
static bool wanted(const char *name, bool others, bool acls) {
  if (begins(name, "system."))
    return acls && (strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0);
  return others && (begins(name, "user.") || begins(name, "trusted.") || begins(name, "security."));
}

/* A descriptor opened with O_PATH has no attributes of its own; its name under /proc leads to the file, and does not follow
 * it when it is a symbolic link. */
static ssize_t list_names(int fd, const char *proc, char *buf, size_t cap) {
  return proc ? listxattr(proc, buf, cap) : flistxattr(fd, buf, cap);
}

static ssize_t get_value(int fd, const char *proc, const char *name, char *buf, size_t cap) {
  return proc ? getxattr(proc, name, buf, cap) : fgetxattr(fd, name, buf, cap);
}

/* All names into x->list. Returns their length, or -errno. */
static ssize_t read_list(struct hf_files_xattrs *x, int fd, const char *proc) {
  for (;;) {
    if (!hf_files_grow(&x->list, &x->list_cap, x->list_cap ? x->list_cap : 512, 1)) return -ENOMEM;
    ssize_t n = list_names(fd, proc, x->list, x->list_cap);
    if (n >= 0) return n;
    if (errno == ENOTSUP || errno == ENOSYS) return 0;
    if (errno != ERANGE || x->list_cap >= LIST_MAX) return -errno;
    if (!hf_files_grow(&x->list, &x->list_cap, x->list_cap * 2, 1)) return -ENOMEM;
  }
}

int hf_files_xattrs_read(struct hf_files_xattrs *x, int fd, bool path_only, bool others, bool acls) {
  char link[40], *proc = NULL;
  x->n = 0;
  if (!others && !acls) return 0;
  if (path_only) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    proc = link;
  }
  ssize_t len = read_list(x, fd, proc);
  if (len < 0) return (int)-len;
  size_t used = 0;
  int failed = 0;
  for (char *name = x->list; name < x->list + len; name += strlen(name) + 1) {
    if (!wanted(name, others, acls)) continue;
    if (!hf_files_grow(&x->v, &x->cap, x->n + 1, sizeof *x->v)) return ENOMEM;
    ssize_t n;
    for (size_t room = 256;;) {
      if (!hf_files_grow(&x->values, &x->values_cap, used + room, 1)) return ENOMEM;
      n = get_value(fd, proc, name, x->values + used, x->values_cap - used);
      if (n >= 0 || errno != ERANGE || room >= LIST_MAX) break;
      room *= 8;
    }
    if (n < 0) {
      if (errno == ENODATA || errno == ENOTSUP) continue; /* taken away since, or not ours to see */
      if (!failed) failed = errno; /* it does not cost the others */
      continue;
    }
    /* The values may still move: offsets now, pointers at the end. */
    x->v[x->n++] = (struct holdfast_xattr){name, (const void *)(uintptr_t)used, (size_t)n};
    used += (size_t)n;
  }
  for (size_t i = 0; i < x->n; i++) x->v[i].value = x->values + (uintptr_t)x->v[i].value;
  return failed;
}

void hf_files_xattrs_free(struct hf_files_xattrs *x) {
  free(x->v);
  free(x->list);
  free(x->values);
  *x = (struct hf_files_xattrs){0};
}
