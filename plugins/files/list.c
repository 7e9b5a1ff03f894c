/* list.c - the names in one folder, and what kind of folder it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

/* The first eight bytes as a number that sorts as they do. */
static uint64_t key_of(const char *name, size_t len) {
  uint64_t k = 0;
  memcpy(&k, name, len < 8 ? len : 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  k = __builtin_bswap64(k);
#endif
  return k;
}

static bool add(struct hf_files_frame *f, const char *name, size_t len, uint32_t type) {
  if (f->names_len + len + 1 > UINT32_MAX || !hf_files_grow(&f->names, &f->names_cap, f->names_len + len + 1, 1) ||
      !hf_files_grow(&f->v, &f->cap, f->n + 1, sizeof *f->v))
    return false;
  memcpy(f->names + f->names_len, name, len + 1);
  f->v[f->n++] = (struct hf_files_dirent){key_of(name, len), (uint32_t)f->names_len, type};
  f->names_len += len + 1;
  return true;
}

static int compare(const void *x, const void *y, void *names) {
  const struct hf_files_dirent *a = x, *b = y;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  return strcmp((const char *)names + a->off, (const char *)names + b->off);
}

static void reset(struct hf_files_frame *f) {
  f->n = f->i = 0;
  f->names_len = 0;
}

int hf_files_list(struct hf_files_frame *f, int fd, void *dents) {
  reset(f);
  for (;;) {
    ssize_t got = getdents64(fd, dents, HF_FILES_DENTS);
    if (got < 0) return errno;
    if (got == 0) break;
    for (char *at = dents, *end = at + got; at < end;) {
      const struct dirent64 *d = (const void *)at;
      at += d->d_reclen;
      const char *name = d->d_name;
      if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
      if (!add(f, name, strlen(name), d->d_type)) return ENOMEM;
    }
  }
  if (f->n > 1) qsort_r(f->v, f->n, sizeof *f->v, compare, f->names);
  return 0;
}

bool hf_files_list_one(struct hf_files_frame *f, const char *name) {
  reset(f);
  return add(f, name, strlen(name), DT_UNKNOWN);
}

ssize_t hf_files_list_find(const struct hf_files_frame *f, const char *name) {
  uint64_t key = key_of(name, strlen(name));
  size_t low = 0, high = f->n;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    const struct hf_files_dirent *d = &f->v[mid];
    int c = d->key != key ? (d->key < key ? -1 : 1) : strcmp(f->names + d->off, name);
    if (c == 0) return (ssize_t)mid;
    if (c < 0) low = mid + 1;
    else high = mid;
  }
  return -1;
}

static const struct {
  uint32_t magic;
  const char *name;
} virtual_fs[] = {
  {PROC_SUPER_MAGIC, "proc"},
  {SYSFS_MAGIC, "sysfs"},
  {CGROUP_SUPER_MAGIC, "cgroup"},
  {CGROUP2_SUPER_MAGIC, "cgroup2"},
  {DEVPTS_SUPER_MAGIC, "devpts"},
  {DEBUGFS_MAGIC, "debugfs"},
  {TRACEFS_MAGIC, "tracefs"},
  {SECURITYFS_MAGIC, "securityfs"},
  {SELINUX_MAGIC, "selinuxfs"},
  {BPF_FS_MAGIC, "bpf"},
  {PSTOREFS_MAGIC, "pstore"},
  {EFIVARFS_MAGIC, "efivarfs"},
  {BINFMTFS_MAGIC, "binfmt_misc"},
  {AUTOFS_SUPER_MAGIC, "autofs"}, /* going in would mount what nobody has asked for */
  {HUGETLBFS_MAGIC, "hugetlbfs"},
  {0x19800202, "mqueue"},
  {0x62656570, "configfs"},
  {0x65735543, "fusectl"},
  {0x67596969, "rpc_pipefs"},
};

const char *hf_files_virtual_fs(int fd) {
  struct statfs s;
  if (fstatfs(fd, &s) != 0) return NULL;
  for (size_t i = 0; i < sizeof virtual_fs / sizeof *virtual_fs; i++)
    if (virtual_fs[i].magic == (uint32_t)s.f_type) return virtual_fs[i].name;
  return NULL;
}

bool hf_files_is_cache_tag(int fd, const char *name) {
  static const char signature[] = "Signature: 8a477f597d28d172789f06886806bc55";
  char buf[sizeof signature - 1];
  int tag = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (tag < 0) return false;
  struct stat st;
  bool ok = fstat(tag, &st) == 0 && S_ISREG(st.st_mode) && read(tag, buf, sizeof buf) == (ssize_t)sizeof buf &&
            memcmp(buf, signature, sizeof buf) == 0;
  close(tag);
  return ok;
}
