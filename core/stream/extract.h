/* extract.h - writing a tree back to disk from stretches of its tar stream, in any order, by several threads.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A restore goes pack by pack, so that every pack is fetched and decoded once; what arrives is therefore not in stream order. Files that are whole in one slice are written and finished at once.
 * What cannot be finished then waits in a spool (an unlinked temporary file, not memory): symlinks, hard links, metadata of large files and of folders. hf_extract_finish does these: large files, then
 * symlinks, then hard links (which may be other names of symlinks), folders last and deepest first.
 *
 * Safety: every path is taken apart and must be relative without "." and ".."; folders are opened below the root without following symlinks (openat2 RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS, or component by
 * component with O_NOFOLLOW where the kernel lacks it); new files are made with O_EXCL; symlinks are made after all files, and are never walked through then either.
 *
 * Parsing of the tar bytes is libarchive's.
 */
#ifndef HF_EXTRACT_H
#define HF_EXTRACT_H

#include "base/base.h"

struct hf_extract_options {
  const char *root;   /* existing folder, absolute */
  bool replace;       /* in place: existing entries are replaced, each by an atomic rename once it is complete; otherwise an existing entry is a problem */
  bool owner;         /* set uid/gid (needs root; names first, ids where the name is unknown, unless numeric) */
  bool numeric;
  bool verify;        /* read back every file at the end and compare it with what was written; what differs is a problem, and lost */
  bool sync;          /* fsync what was written before finish returns (syncfs) */
  const char *spool_dir; /* where the spool file goes */
  /* Which path an entry goes to: 1 and *to (cleared before) filled, or 0: leave it out. NULL: every entry to its own path. path is not NUL-safe beyond n. Called from several threads. */
  int (*map)(void *ctx, const char *path, size_t n, struct hf_buf *to);
  /* Not NULL: each entry with a safe path is only shown to it, and nothing is made. folder: it is one. */
  void (*look)(void *ctx, const char *path, size_t n, bool folder);
  /* Something could not be put back, or not wholly ("xattr user.x: not supported here"). lost: the entry's content is not there. Called from several threads, serialised by the extractor. */
  void (*problem)(void *ctx, const char *path, bool lost, const char *what);
  void *ctx;
};

struct hf_extract_counts { uint64_t files, folders, links, others, bytes, checked /* bytes read back and found right */; };

struct hf_extract;
int hf_extract_open(const struct hf_extract_options *o, struct hf_extract **out, struct hf_error *err);
/* A slice of the stream that holds whole entries: headers with all their data, but for the last, which may be a large file's headers alone. Problems of one entry go to problem(); an error return
 * is for what ends the restore (no space left, bytes that are no tar). Thread-safe. */
int hf_extract_slice(struct hf_extract *x, const void *tar, size_t n, struct hf_error *err);
/* n bytes at off of a large dense file (path as in the recipe, before map). Its slice may come before or after. Bytes beyond the size (padding) have been cut off by the caller. Thread-safe. */
int hf_extract_data(struct hf_extract *x, const char *path, size_t path_n, uint64_t off, const void *p, size_t n, struct hf_error *err);
/* A large sparse file, its tar bytes in order: head (headers and sparse map, one entry) first, then its data. Call after all slices, before finish. Not thread-safe among each other. */
int hf_extract_sparse_begin(struct hf_extract *x, const void *head, size_t n, struct hf_error *err);
int hf_extract_sparse_data(struct hf_extract *x, const void *p, size_t n, struct hf_error *err);
int hf_extract_sparse_end(struct hf_extract *x, struct hf_error *err);
/* The content of path is incomplete (a chunk of it was lost): its temporary or partial file is removed at finish, an old one in place is kept. The caller reports it. Thread-safe. */
void hf_extract_lost(struct hf_extract *x, const char *path, size_t path_n);
/* The deferred part. counts may be NULL. */
int hf_extract_finish(struct hf_extract *x, struct hf_extract_counts *counts, struct hf_error *err);
/* Without finish before: temporary files are removed. */
void hf_extract_free(struct hf_extract *x);

#endif
