/* made.h - which entries a restore in place makes where nothing was, so that undoing it can take them away again.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_MADE_H
#define HF_MADE_H

#include "base/base.h"
#include "engine/rest.h"

/* The list being written: a file that begins with the root, then each path below it, all ending in NUL; folders before what is in them. */
struct hf_made;
/* file must not exist. root: an existing folder. rest: gets what is in the places that are not empty; it is synced with the list. */
int hf_made_open(const char *file, const char *root, struct hf_rest *rest, struct hf_made **out, struct hf_error *err);
/* Put path (n bytes, relative to the root) on the list if nothing is there now; folder: or something that is none. above: only a folder on the way to what comes: one that is there stays as it is. No symbolic link is followed below the root: what is behind one is not there. One thread. */
void hf_made_note(struct hf_made *m, const char *path, size_t n, bool folder, bool above);
/* What was noted, and what was kept of it, is on disk, also when this process is killed: from here on it may be replaced. Once, after the last note. NULL is fine. */
int hf_made_sync(struct hf_made *m, struct hf_error *err);
/* On disk. NULL is fine. */
int hf_made_close(struct hf_made *m, struct hf_error *err);

/* Give rest what is there now of a list. */
int hf_made_keep(const char *file, struct hf_rest *rest, struct hf_error *err);
/* Remove what is on the list, the last first, never through a symbolic link. A folder that has something else in it by now stays, and so does what cannot be removed: told to left(). */
int hf_made_remove(const char *file, void (*left)(void *ctx, const char *path, const char *why), void *ctx, struct hf_error *err);

#endif
