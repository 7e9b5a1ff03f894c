/* exact.h - a source that gives exactly these files, links and folders of the host: what plugins do that find out themselves what to keep.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Link with plugins/files/libengine.la, which does the reading.
 */
#ifndef HFP_EXACT_H
#define HFP_EXACT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <holdfast/source.h>

/* ---- sets of texts, sorted bytewise ---- */

#define HFP_SET_MAX 100000 /* texts in one set: the bound of what a source of single files keeps in memory */

struct hfp_set {
  char **v;
  size_t n, cap;
};

/* Add a copy of s if it is not in. 0, or -ENOMEM, or -E2BIG when there are HFP_SET_MAX. */
int hfp_set_add(struct hfp_set *set, const char *s);
bool hfp_set_has(const struct hfp_set *set, const char *s);
void hfp_set_free(struct hfp_set *set);
/* Tell the host of what hfp_set_add and hfp_trail return (an -errno); returns the status. what: the path. */
int hfp_fail_errno(const struct holdfast_host *host, int negative_errno, const char *what);
/* A line for the log, formatted. */
void hfp_log(const struct holdfast_host *host, int level, const char *fmt, ...) HOLDFAST_PRINTF(3, 4);
/* A problem with one entry, formatted; path is absolute. */
void hfp_problem(const struct holdfast_host *host, const char *path, int status, const char *fmt, ...) HOLDFAST_PRINTF(4, 5);
/* The regular file at path, at most max bytes, with a NUL behind it; the caller frees. 0 or -errno (-EFBIG when larger, -EINVAL when not a file). */
int hfp_slurp(const char *path, size_t max, char **text, size_t *n);

/* ---- where a path leads ---- */

/* Follow the absolute path as a process would whose root folder is root ("" for the real one; else absolute, without links and without a
 * slash at its end). Each symbolic link on the way goes into links with its whole path. *real (the caller frees): the whole path of what
 * it ends at, free of links; *st: what that is. 0 or -errno; links has then what was met until there. */
int hfp_trail(struct hfp_set *links, const char *root, const char *path, char **real, struct stat *st);

/* ---- the source ---- */

struct hfp_exact;

/* Get ready to give each of entries (files, links; folders without what is in them), all that is in each of folders, and the folders above
 * them but for root ("" or as in hfp_trail) and those right below it, as far as this account may list them. All paths absolute and free of links but in their
 * last part. Copies are made. */
int hfp_exact_open(const struct holdfast_host *host, const char *root, const struct hfp_set *entries, const struct hfp_set *folders,
                   struct hfp_exact **out);
/* The callbacks of the same names, with the plugin's handle replaced by this one. */
int hfp_exact_next(struct hfp_exact *x, struct holdfast_entry *e);
int hfp_exact_entry_open(struct hfp_exact *x, struct holdfast_entry *e);
int64_t hfp_exact_read(struct hfp_exact *x, void *buf, size_t n);
int hfp_exact_entry_close(struct hfp_exact *x);
/* To be called by finish: a problem for every entry that changed since open, so that a snapshot that mixes two versions says so. */
void hfp_exact_check(struct hfp_exact *x);
void hfp_exact_close(struct hfp_exact *x);

#endif
