/* files.h - the private header of the files source: what its parts offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parts, lower ones first: glob, pattern (gitignore syntax), rules (all patterns of a source), roots (the `path` keys),
 * chain (folders as descriptors), links (hard links), names (owners), xattr, extents, walk (the listing), entry (reading),
 * state (what finish keeps), restore (probe, restore, verify), engine (the table of callbacks), plugin (the exported symbol).
 *
 * Unless said otherwise a function returns 0 or a negative enum holdfast_status, having told the host why.
 */
#ifndef HF_FILES_H
#define HF_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <holdfast/source.h>

#include "engine.h"

#define HF_FILES_VERSION "1.0"

/* ---- small helpers (util.c) ---- */

/* The status an errno stands for; never 0. */
int hf_files_status(int errnum);
/* Say "out of memory" and return HOLDFAST_E_FAILED. */
int hf_files_no_memory(const struct holdfast_host *host);
/* A line for the log, formatted. */
void hf_files_log(const struct holdfast_host *host, int level, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);
/* Tell the host of a problem with one entry, formatted; path is its tree path. */
void hf_files_problem(const struct holdfast_host *host, const char *path, int status, const char *fmt, ...)
    HOLDFAST_PRINTF(4, 5);
/* Make *p (elements of `size` bytes, *cap of them) hold at least `need` elements. False when memory is out; *p stays valid. */
bool hf_files_grow(void *p, size_t *cap, size_t need, size_t size);
/* Order of tree paths: bytewise, '/' before every other byte. Returns <0, 0, >0. */
int hf_files_path_cmp(const char *a, const char *b);

/* ---- one path component against one glob (glob.c) ---- */

/* Does the glob p..pe match all of t..te? '*' any run, '?' any byte, [..] classes, backslash escapes. Neither holds a '/'
 * that is a separator. Time is at most the product of the two lengths. */
bool hf_files_glob(const char *p, const char *pe, const char *t, const char *te);
/* The byte behind the bracket expression that begins at p ("[a-z]"), or NULL when it has no end or names an unknown class. */
const char *hf_files_glob_bracket_end(const char *p, const char *pe);

/* ---- one gitignore pattern (pattern.c) ---- */

enum hf_files_segment_kind { HF_FILES_LITERAL = 1, HF_FILES_SUFFIX, HF_FILES_GLOB, HF_FILES_ANY_DEPTH };

/* A pattern between two slashes. LITERAL: text; SUFFIX: "*" and text; GLOB: text is the glob; ANY_DEPTH: "**". */
struct hf_files_segment {
  uint32_t kind;
  uint32_t len;
  const char *text; /* within the pattern's own memory */
};

struct hf_files_pattern {
  char *text; /* owned: the segments' bytes */
  struct hf_files_segment *segments;
  size_t n;
  bool negated;   /* began with '!' */
  bool dir_only;  /* ended with '/' */
  bool base_only; /* holds no other '/': matches the last component, at any depth */
  bool absolute;  /* began with '/': matches from the root and from "/" */
};

/* What is wrong with a pattern, as hf_files_pattern_parse says it. */
enum hf_files_pattern_result {
  HF_FILES_PATTERN_OK = 0,
  HF_FILES_PATTERN_EMPTY,     /* blank: matches nothing, to be passed over */
  HF_FILES_PATTERN_NO_MEMORY,
  HF_FILES_PATTERN_BRACKET,   /* '[' without its ']' or with an unknown [:class:] */
  HF_FILES_PATTERN_BACKSLASH, /* ends in a lone backslash */
  HF_FILES_PATTERN_NOTHING    /* "/" or "!": can match nothing */
};

/* Take the n bytes at s apart. *p is filled only for HF_FILES_PATTERN_OK; free it with hf_files_pattern_free. */
enum hf_files_pattern_result hf_files_pattern_parse(struct hf_files_pattern *p, const char *s, size_t n);
void hf_files_pattern_free(struct hf_files_pattern *p);
/* Why a result other than OK and EMPTY is wrong; static text. */
const char *hf_files_pattern_why(enum hf_files_pattern_result r);
/* Does it match path (a tree path of len bytes)? rel: where the part relative to its root begins; base: where the last
 * component begins. Whether the pattern is negated is not looked at. */
bool hf_files_pattern_match(const struct hf_files_pattern *p, const char *path, size_t len, size_t rel, size_t base,
                            bool is_dir);

/* ---- all patterns of a source (rules.c) ---- */

struct hf_files_rules {
  struct hf_files_pattern *v;
  size_t n, cap;
  size_t bytes; /* total length of the patterns as written */
};

/* Gather exclude, exclude-file, then include as negations; check exclude-if-present. On error nothing needs freeing. */
int hf_files_rules_load(struct hf_files_rules *r, const struct holdfast_host *host, const struct holdfast_value *values);
void hf_files_rules_free(struct hf_files_rules *r);
/* True when the last pattern that matches says exclude. Arguments as for hf_files_pattern_match. */
bool hf_files_rules_exclude(const struct hf_files_rules *r, const char *path, size_t len, size_t rel, size_t base, bool is_dir);

/* ---- roots (roots.c) ---- */

struct hf_files_roots {
  char **v; /* tree paths in tree order, no two alike; "" is the root folder of the system */
  size_t n, cap;
  size_t missing; /* left out because of ignore-missing */
};

/* Canonicalise the `path` keys. A missing one is HOLDFAST_E_NOT_FOUND, or a notice under ignore-missing. On error nothing needs
 * freeing. */
int hf_files_roots_load(struct hf_files_roots *r, const struct holdfast_host *host, const struct holdfast_value *values);
void hf_files_roots_free(struct hf_files_roots *r);

/* ---- folders as descriptors (chain.c) ----
 * The folders from "/" down to one folder, each opened relative to the one above without following links, so that no path
 * is ever too long and a swapped link leads nowhere. Only the deepest HF_FILES_CHAIN_OPEN stay open. */
#define HF_FILES_CHAIN_OPEN 40

struct hf_files_level {
  int fd; /* -1: closed to save descriptors */
  size_t end;
  dev_t dev;
  ino_t ino;
};

struct hf_files_chain {
  struct hf_files_level *v;
  size_t n, cap;
  char *path; /* the folder's tree path, NUL-terminated */
  size_t path_cap;
};

/* Go to the folder with the tree path of len bytes; flags: how to open the last component if it is not open already (O_PATH or
 * O_RDONLY; the rest is added). Returns its level, valid until the next call, or NULL with errno set. */
const struct hf_files_level *hf_files_chain_to(struct hf_files_chain *c, const char *path, size_t len, int flags);
/* Let an empty chain begin at the folder fd instead of "/"; fd is the chain's from now on. False when memory is out. */
bool hf_files_chain_start(struct hf_files_chain *c, int fd);
/* Close all; the chain may be used again, and this frees it. */
void hf_files_chain_free(struct hf_files_chain *c);

/* ---- hard links (links.c) ---- */

#define HF_FILES_LINKS_MAX 1000000 /* inodes with names still to come that are remembered at one time */

struct hf_files_link_slot {
  uint64_t ino;
  char *path;    /* NULL with used: all names seen */
  uint32_t dev;
  uint32_t left; /* names still to come; 0 with ino 0: a free slot */
  uint64_t birth;
};

struct hf_files_links {
  struct hf_files_link_slot *v;
  size_t cap, used, live;
  size_t max;  /* HF_FILES_LINKS_MAX; tests set less */
  char *stale; /* a path that was handed out and is not needed any more */
  bool full;   /* some were not remembered */
};

/* The path first seen with this inode, or NULL when this is the first (it is remembered then, unless the table is full). The
 * answer is valid until the next call. nlink > 1. birth: when the file was made, 0 when unknown: a number may be given to
 * another file while the backup runs. */
const char *hf_files_links_seen(struct hf_files_links *l, dev_t dev, ino_t ino, uint64_t birth, nlink_t nlink, const char *path);
/* A set of paths, for which the same table serves; by their hashes. noted: also true when some could not be remembered. */
void hf_files_links_note(struct hf_files_links *l, const char *path);
bool hf_files_links_noted(const struct hf_files_links *l, const char *path);
void hf_files_links_free(struct hf_files_links *l);

/* ---- owners by name (names.c) ---- */

struct hf_files_name_slot {
  char *name; /* NULL: the system knows none */
  uint32_t id;
  bool used;
};

struct hf_files_names {
  struct hf_files_name_slot *v;
  size_t cap, n;
};

/* The user's or group's name, or NULL. Valid until the next call with the same table. */
const char *hf_files_user_name(struct hf_files_names *t, uint32_t uid);
const char *hf_files_group_name(struct hf_files_names *t, uint32_t gid);
void hf_files_names_free(struct hf_files_names *t);

/* ---- extended attributes (xattr.c) ---- */

struct hf_files_xattrs {
  struct holdfast_xattr *v;
  size_t n, cap;
  char *list; /* names, each ending in NUL */
  size_t list_cap;
  char *values; /* one after the other */
  size_t values_cap;
};

/* Read those of the open file fd; path_only: fd was opened with O_PATH. others, acls: which to keep. Returns 0 or an errno; x holds what could
 * be read, but for ENOMEM. */
int hf_files_xattrs_read(struct hf_files_xattrs *x, int fd, bool path_only, bool others, bool acls);
void hf_files_xattrs_free(struct hf_files_xattrs *x);

/* ---- holes (extents.c) ---- */

#define HF_FILES_EXTENTS_MAX 1000000 /* a file in more pieces is read whole from there on */

struct hf_files_extents {
  struct holdfast_extent *v;
  size_t n, cap;
};

/* Where fd, a file of size bytes, holds data. Returns 1 when there are holes (n may be 0: nothing but a hole), 0 when there are
 * none or the file system does not say, -1 when memory is out. */
int hf_files_extents_read(struct hf_files_extents *x, int fd, uint64_t size);
void hf_files_extents_free(struct hf_files_extents *x);

/* ---- the instance ---- */

struct hf_files_options {
  bool exclude_caches, exclude_nodump, one_file_system, xattrs, acls, ignore_inode;
  const char *const *markers; /* exclude-if-present */
  size_t n_markers;
};

struct hf_files_counts {
  uint64_t files, folders, symlinks, hardlinks, specials, bytes, excluded, vanished, problems;
};

struct hf_files_dirent {
  uint64_t key; /* the first eight bytes, big-endian: decides most comparisons */
  uint32_t off; /* in the frame's names */
  uint32_t type;
};

/* A folder being walked. */
struct hf_files_frame {
  char *names;
  size_t names_len, names_cap;
  struct hf_files_dirent *v;
  size_t n, cap, i;
  size_t path_len; /* of the folder's tree path */
  size_t rel;      /* where paths relative to the innermost root begin */
  dev_t dev;       /* of the folder */
  dev_t root_dev;  /* of the innermost root */
  bool is_parent;  /* not walked itself: it only holds the one name that is a root */
};

struct hf_files_walk {
  struct hf_files_chain chain;
  struct hf_files_frame *v; /* frames beyond depth keep their memory for the next folder */
  size_t depth, cap;
  char *path;
  size_t path_len, path_cap;
  int dirfd;        /* of the top frame, owned by the chain */
  size_t next_root;
  bool descend;     /* the entry just returned is a folder to go into */
  bool as_root;     /* and it is a root */
  dev_t entry_dev;
  void *dents;
  uint32_t ticks;
};

/* The entry that is open for reading. */
struct hf_files_open {
  int fd;
  bool is_file;
  bool linked;     /* the first name of several */
  struct stat st;
  uint64_t pos;    /* next byte of the file */
  size_t extent;   /* the extent pos is in */
  bool has_holes;
  char *path;      /* for messages */
  size_t path_cap;
  char *link;
  size_t link_cap;
  struct hf_files_xattrs xattrs;
  struct hf_files_extents extents;
};

struct hf_files {
  const struct holdfast_host *host;
  struct hf_files_options opt;
  struct hf_files_rules rules;
  struct hf_files_roots roots;
  struct hf_files_links links;
  struct hf_files_links lost; /* first names of files that have others, which could not be read or were another file by then */
  struct hf_files_walk walk;
  struct hf_files_chain chain; /* of entry_open: some way behind the walk's */
  struct hf_files_names users, groups;
  struct hf_files_open open;
  struct hf_files_counts counts;
  uid_t euid;
  bool warned_proc, warned_links;
  char *state;
};

/* ---- listing (walk.c, list.c) ---- */

/* As next in <holdfast/source.h>. */
int hf_files_walk_next(struct hf_files *h, struct holdfast_entry *e);
void hf_files_walk_free(struct hf_files_walk *w);
/* Read the folder open as fd into f, sorted bytewise; dents: HF_FILES_DENTS bytes to work in. Returns 0 or an errno. */
#define HF_FILES_DENTS 65536
int hf_files_list(struct hf_files_frame *f, int fd, void *dents);
/* Make f hold the one name. False when memory is out. */
bool hf_files_list_one(struct hf_files_frame *f, const char *name);
/* The index of name in f, or -1. */
ssize_t hf_files_list_find(const struct hf_files_frame *f, const char *name);
/* The name of a file system that is a window into the kernel and holds no data ("proc"), by statfs' f_type; else NULL. */
const char *hf_files_virtual_fs(int fd);
/* Is the file name in the folder fd a CACHEDIR.TAG with the right signature? */
bool hf_files_is_cache_tag(int fd, const char *name);

/* ---- reading (entry.c) ---- */

/* With the device in an entry's cookie: the file has further names. */
#define HF_FILES_LINKED ((uint64_t)1 << 63)

/* As entry_open, read, entry_close in <holdfast/source.h>. */
int hf_files_entry_open(struct hf_files *h, struct holdfast_entry *e);
int64_t hf_files_entry_read(struct hf_files *h, void *buf, size_t n);
int hf_files_entry_close(struct hf_files *h);
void hf_files_open_free(struct hf_files_open *o);
/* The kind a mode stands for, 0 for none known. */
uint32_t hf_files_kind(mode_t mode);
/* Copy what stat says into e; kind and link are left alone. size is set for kind FILE only. */
void hf_files_fill(struct holdfast_entry *e, const struct stat *st, bool ignore_inode);

/* ---- what finish keeps (state.c) ---- */

#define HF_FILES_STATE_MAX 65000 /* the host takes 64 KiB */

/* The state as JSON text, owned by the caller; NULL when memory is out. */
char *hf_files_state_write(const struct hf_files_roots *roots, const struct hf_files_counts *counts);
/* The roots out of such a text: 1 and *roots filled, 0 when the text is empty, negative when it is damaged or memory is out. */
int hf_files_state_roots(const char *state, struct hf_files_roots *roots);

/* ---- preflight, restore, rehearsal (restore.c): as in <holdfast/source.h> ---- */
int hf_files_probe(const struct holdfast_host *host, const struct holdfast_value *values);
int hf_files_restore_open(const struct holdfast_host *host, const struct holdfast_value *values,
                          const struct holdfast_restore *how, void **handle);
int hf_files_restore_tree(void *handle, const char *stream, char *dir, size_t cap);
int hf_files_restore_begin(void *handle, const char *stream, uint64_t size);
int hf_files_restore_write(void *handle, const void *buf, size_t n);
int hf_files_restore_end(void *handle);
int hf_files_restore_finish(void *handle, int complete);
void hf_files_restore_close(void *handle);
int hf_files_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory,
                    const char *state);

#endif
