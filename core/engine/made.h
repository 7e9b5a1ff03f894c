/* made.h - which entries a restore in place makes where nothing was, so that undoing it can take them away again.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_MADE_H
#define HF_MADE_H

#include "base/base.h"

/* The list being written: a file that begins with the root, then each path below it, all ending in NUL; folders before what is in them. */
struct hf_made;
/* file must not exist. root: an existing folder. at_once: each path is handed to the system as it is noted, for who makes entries while noting them. */
int hf_made_open(const char *file, const char *root, bool at_once, struct hf_made **out, struct hf_error *err);
/* Put path (n bytes, relative to the root) on the list if nothing is there now; folder: or something that is none. No symbolic link is followed below the root: what is behind one is not there. One thread. */
void hf_made_note(struct hf_made *m, const char *path, size_t n, bool folder);
/* What was noted so far is on disk, also when this process is killed. NULL is fine. */
int hf_made_sync(struct hf_made *m, struct hf_error *err);
/* On disk. NULL is fine. */
int hf_made_close(struct hf_made *m, struct hf_error *err);

/* Remove what is on the list, the last first, never through a symbolic link. A folder that has something else in it by now stays, and so does what cannot be removed: told to left(). */
int hf_made_remove(const char *file, void (*left)(void *ctx, const char *path, const char *why), void *ctx, struct hf_error *err);

#endif
