/* extract_internal.h - what the files of the extractor share; nobody else includes it.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   extract.c         open, slices, counting, problems, free
 *   extract_scan.c    a first look at the tar bytes: whole entries, and names as bytes
 *   extract_meta.c    what an entry's headers say, and putting it on a file
 *   extract_acl.c     ACLs and owners by name
 *   extract_dirs.c    open folders below the root, without following symlinks
 *   extract_entry.c   making one entry
 *   extract_large.c   large files, whose data comes by itself
 *   extract_spool.c   what waits for the end
 *   extract_finish.c  the end
 */
#ifndef HF_EXTRACT_INTERNAL_H
#define HF_EXTRACT_INTERNAL_H

#include <archive.h>
#include <archive_entry.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/base.h"
#include "stream/extract.h"

/* ---- what an entry's headers say ---- */

struct hf_xmeta {
  char kind; /* f d l h p c b */
  uint32_t mode;
  uint32_t uid, gid; /* of this system, by name where there is one */
  int64_t mtime;
  uint32_t mtime_nsec;
  uint64_t size;
  uint32_t rdev_major, rdev_minor;
  const char *path, *source, *link; /* where it goes; what the archive calls it; symlink's target, or where the other name goes */
  size_t path_n, source_n, link_n;
  const char *attrs; /* xattrs, the ACLs among them: u32 name length, u32 value length, name, NUL, value; and so on */
  size_t attrs_n;
};

/* ---- what waits: records in an unlinked file, chained backwards per list, so that nothing of it is kept in memory ---- */

enum hf_xlist { HF_XL_LARGE, HF_XL_TEMP, HF_XL_SYMLINK, HF_XL_HARDLINK, HF_XL_RETRY, HF_XL_CHECK, HF_XL_FIXED };

struct hf_xspool {
  int fd;
  uint64_t at;        /* length so far, the buffer included; the first record is at 8, so 0 ends a chain */
  struct hf_buf buf;
  uint64_t fixed[HF_XL_FIXED];
  uint64_t *folders;  /* by depth: the record added last */
  size_t folders_n;
  const char *map;
  size_t map_n;
};

int hf_xspool_open(struct hf_xspool *s, const char *dir, struct hf_error *err);
/* A record on a list; the caller holds the extractor's lock. */
int hf_xspool_add(struct hf_xspool *s, enum hf_xlist list, const struct hf_xmeta *m, struct hf_error *err);
/* A folder's, on the list of its depth. */
int hf_xspool_add_folder(struct hf_xspool *s, size_t depth, const struct hf_xmeta *m, struct hf_error *err);
/* All has been added, but for hf_xspool_end again: make what there is readable. */
int hf_xspool_end(struct hf_xspool *s, struct hf_error *err);
/* The record at `at`; its pointers are good until hf_xspool_close. Returns where the next one of the list is, 0 none. */
uint64_t hf_xspool_read(const struct hf_xspool *s, uint64_t at, struct hf_xmeta *m);
void hf_xspool_close(struct hf_xspool *s);

/* ---- a first look at the bytes ---- */

struct hf_xpiece {
  bool patched; /* at is into the patch buffer, not the slice */
  size_t at, n;
};

/* A time before 1970: of which entry, and the time. */
struct hf_xearly {
  size_t entry;
  int64_t mtime;
  uint32_t mtime_nsec;
};

struct hf_xscan {
  struct hf_xpiece *pieces; /* what libarchive is to be fed */
  size_t n_pieces, cap_pieces, next;
  struct hf_buf patch;
  size_t *starts; /* where each entry begins in the slice; starts[n_entries] is the end */
  size_t n_entries, cap_entries;
  struct hf_xearly *early;
  size_t n_early, cap_early;
  bool open;      /* the last entry is headers alone */
  bool sparse;    /* and sparse */
  const char *tar;
};

/* Walk over the entries. Errors only for what cannot be entries one after the other; what is wrong inside is libarchive's to say. */
int hf_xscan(struct hf_xscan *s, const void *tar, size_t n, struct hf_error *err);
/* The time of an entry when it is before 1970, else NULL. */
const struct hf_xearly *hf_xscan_early(const struct hf_xscan *s, size_t which);
/* archive_read_callback over the pieces; the client data is the scan. */
la_ssize_t hf_xscan_read(struct archive *a, void *ctx, const void **p);
void hf_xscan_free(struct hf_xscan *s);

/* ---- a worker: what one thread at a time uses ---- */

#define HF_XDIRS 48

struct hf_xdir {
  char *path; /* NULL: slot free */
  size_t path_n;
  int fd;     /* O_PATH */
  uint64_t used;
  /* What a new file here comes out with, seen at the first one. */
  bool known;
  bool odd; /* not the mode that was asked for: a default ACL, or a file system with ideas of its own */
  uint32_t uid, gid;
};

struct hf_xname {
  uint64_t hash;
  uint32_t id;
  bool known;
};

struct hf_xworker {
  struct hf_xworker *next;
  struct hf_xdir dirs[HF_XDIRS];
  uint64_t clock;
  struct hf_xdir root;
  struct hf_xscan scan;
  struct hf_buf path, source, link, attrs, acl, scratch;
  struct hf_xname names[2][64]; /* users, groups */
  /* The large file that data came for last. */
  struct hf_buf large;
  int large_fd;
  struct hf_extract_counts counts;
};

/* ---- the extractor ---- */

/* A set of hashes, open addressing. Not locked. */
struct hf_xset {
  uint64_t *v; /* 0 free, 1 deleted */
  size_t used, cap;
};

struct hf_xkind {
  char *what, *path;
  uint64_t n;
};

struct hf_extract {
  struct hf_extract_options o;
  char *root;
  int root_fd;
  char id[17];       /* of this restore, in temporary names */
  uint32_t umask;
  uint64_t seed;
  bool finished;
  pthread_mutex_t telling; /* of problem() and kinds; may be taken while lock is not held only */
  struct hf_xkind *kinds;
  size_t n_kinds;
  pthread_mutex_t lock; /* of all below */
  struct hf_xspool spool;
  struct hf_xworker *idle;
  struct hf_extract_counts counts;
  struct hf_xset made; /* folders made only because something in them came first */
  struct hf_xset lost; /* what is not there, or not to be kept; by path after map */
  uint64_t serial;
  /* The large sparse file being written. */
  struct {
    bool active, skip;
    struct hf_xmeta m;
    struct hf_buf keep;   /* what m points into */
    uint64_t *extents;    /* offset, length, ... */
    size_t n, i;
    uint64_t done;        /* of extent i */
    int fd;
  } sparse;
};

struct hf_xworker *hf_xworker_get(struct hf_extract *x);
void hf_xworker_put(struct hf_extract *x, struct hf_xworker *w);

/* Something of m is not there (lost: its path goes on the list of these), or not as it was. What is not lost is told once for all entries that have the same. The lock must not be held. */
void hf_xproblem(struct hf_extract *x, const struct hf_xmeta *m, bool lost, const char *fmt, ...) HF_PRINTF(4, 5);
/* The same with strerror(errnum) behind. Returns HOLDFAST_E_NO_SPACE, with *err filled and nothing told, when errnum means that nothing more can be written; else 0. */
int hf_xproblem_errno(struct hf_extract *x, const struct hf_xmeta *m, bool lost, int errnum, struct hf_error *err, const char *fmt, ...) HF_PRINTF(6, 7);
/* Is m on the list of what is lost? And put it there: false when it was. They lock by themselves. */
bool hf_xlost_has(struct hf_extract *x, const char *path, size_t n);
bool hf_xlost_add(struct hf_extract *x, const char *path, size_t n);

uint64_t hf_xhash(const struct hf_extract *x, const void *p, size_t n);
bool hf_xset_add(struct hf_xset *s, uint64_t hash); /* false when it was there */
bool hf_xset_has(const struct hf_xset *s, uint64_t hash);
bool hf_xset_take(struct hf_xset *s, uint64_t hash); /* false when it was not there */

/* ---- folders ---- */

/* The open folder that path (path_n bytes, safe) goes into, made with its parents where missing if create, and the name in it. NULL: not possible; *symlink tells whether a symlink is in the way, *err has the
 * reason, with the code HOLDFAST_E_NO_SPACE when the disk is full. The folder is good until the next call. */
struct hf_xdir *hf_xdir_parent(struct hf_extract *x, struct hf_xworker *w, const char *path, size_t path_n, bool create, bool *symlink, const char **name, struct hf_error *err);
/* A folder's own entry: make it, or take the one that is there. 1: its metadata is to be set; 0: not (told); negative: the restore is over. */
int hf_xdir_make(struct hf_extract *x, struct hf_xdir *d, const char *name, const struct hf_xmeta *m, struct hf_error *err);
void hf_xdirs_close(struct hf_xworker *w);

/* ---- metadata ---- */

/* What libarchive read into *m, with buffers of the worker; `which` of those the worker has scanned. 1: go on; 0: this entry is not wanted, or bad (told). */
int hf_xmeta_read(struct hf_extract *x, struct hf_xworker *w, struct archive_entry *e, size_t which, struct hf_xmeta *m);
/* Everything onto an open regular file or folder. fresh: just made in d with create_mode, so that what is so anyway need not be set. */
void hf_xmeta_apply_fd(struct hf_extract *x, struct hf_xdir *d, int fd, const struct hf_xmeta *m, bool fresh, uint32_t create_mode);
/* Everything onto what is at name: symlinks, FIFOs, devices. */
void hf_xmeta_apply_at(struct hf_extract *x, struct hf_xdir *d, const char *name, const struct hf_xmeta *m);
/* The mode to make a regular file with. */
uint32_t hf_xmeta_create_mode(const struct hf_extract *x, const struct hf_xmeta *m);

/* The ids for names; false when the name is not known here. which: 0 user, 1 group. */
bool hf_xowner_lookup(struct hf_extract *x, struct hf_xworker *w, int which, const char *name, uint32_t *id);
/* An entry's ACLs as attributes into w->attrs. */
void hf_xacl_read(struct hf_extract *x, struct hf_xworker *w, struct archive_entry *e, const struct hf_xmeta *m);
void hf_xattr_add(struct hf_buf *b, const char *name, const void *value, size_t n);

/* ---- entries ---- */

/* Long enough for every temporary name. */
#define HF_XTEMP 96
/* A temporary name for path; serial 0: always the same one for the same path. */
void hf_xtemp_name(const struct hf_extract *x, char out[HF_XTEMP], const char *path, size_t n, uint64_t serial);
/* Where to make an entry: its own name, or a temporary one that hf_xplace_end then moves over what is there. */
const char *hf_xplace(struct hf_extract *x, char temp[HF_XTEMP], const struct hf_xmeta *m, const char *name);
/* 1 in place, 0 not (told, and removed), negative as ever. */
int hf_xplace_end(struct hf_extract *x, struct hf_xdir *d, const char *made, const char *name, const struct hf_xmeta *m, struct hf_error *err);
/* The parent of m, made where missing, with what went wrong told. NULL and *rc 0 or negative. retry (may be NULL): set instead when a symlink is in the way that the archive may yet replace by a folder. */
struct hf_xdir *hf_xparent(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, const char **name, bool *retry, int *rc, struct hf_error *err);
/* A slice; again: what was put off comes once more. */
int hf_xslice(struct hf_extract *x, struct hf_xworker *w, const void *tar, size_t n, bool again, struct hf_error *err);
/* A reader of what was scanned. NULL and *err. */
struct archive *hf_xarchive(struct hf_xscan *s, struct hf_error *err);
/* A record for the end; takes the lock. */
int hf_xwait(struct hf_extract *x, enum hf_xlist list, const struct hf_xmeta *m, struct hf_error *err);

/* ---- reading back (extract_check.c) ---- */

/* The n bytes at p have been written to the file m at off: to be looked for there at the end, if that is wanted. */
int hf_xcheck_note(struct hf_extract *x, const struct hf_xmeta *m, uint64_t off, const void *p, size_t n, struct hf_error *err);
int hf_xcheck_all(struct hf_extract *x, struct hf_xworker *w, struct hf_error *err);

/* ---- large files ---- */

/* The temporary file of a large file, opened for writing, made when it is not there. -1: not possible; *rc 0 when that was told, else negative. */
int hf_xlarge_open(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, int *rc, struct hf_error *err);
/* A large file whose headers are in the spool: into its place, or away with it. */
int hf_xlarge_finish(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, struct hf_error *err);
/* A temporary file that is still there at the end: away with it. */
void hf_xlarge_drop(struct hf_extract *x, struct hf_xworker *w, const struct hf_xmeta *m, bool quiet);
void hf_xlarge_forget(struct hf_xworker *w);
void hf_xsparse_drop(struct hf_extract *x);

#endif
