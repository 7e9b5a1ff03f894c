/* rest.h - what a restore in place replaces and the source does not read: kept as well.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The safety copy is what the source reads as its settings are now. A snapshot may hold more: what was excluded since, below a path that was dropped, another name of a file that is not replaced. And
 * a file may stand where a folder has to be. Whatever is in such a place goes into a second tar of the run.
 */
#ifndef HF_REST_H
#define HF_REST_H

#include <sys/stat.h>

#include "engine/undo.h"

struct hf_rest;
/* For a source of the run u. files: gets the tar's name. */
struct hf_rest *hf_rest_new(struct hf_undo *u, const char *source, struct hf_list *files);
void hf_rest_free(struct hf_rest *r);
/* The safety copy has this path (n bytes, relative to the root). */
void hf_rest_has(struct hf_rest *r, const char *path, size_t n);
/* The entry `name` of the folder dir, which path names as a whole, is about to be replaced: keep it unless that was done. st: of it. A folder is kept without what is in it, a socket not at all.
 * What fails is told by hf_rest_sync. */
void hf_rest_keep(struct hf_rest *r, int dir, const char *name, const struct stat *st, const char *path, size_t n);
/* On disk, and in the journal. Nothing may be replaced before this succeeds. */
int hf_rest_sync(struct hf_rest *r, struct hf_error *err);

#endif
