/* place.h - put restored files in their places, keep what they replace, and take it all back when they turn out to be wrong.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * begin: a private folder that the host writes the tree into (restore_tree). put: each file of it goes to its place, complete or not at
 * all; what was there before goes to a folder that stays. undo: back to how it was. free: the private folder is removed.
 */
#ifndef HFP_PLACE_H
#define HFP_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <holdfast/source.h>

/* Where what was replaced is kept, if the manifest does not say. */
#define HFP_SAFETY_DEFAULT "/var/lib/holdfast/safety"
#define HFP_SAFETY_HELP "Where a restore in place keeps what it replaces"

enum hfp_placed { HFP_SAME, HFP_LEFT, HFP_REPLACED, HFP_MADE };

struct hfp_place_rules {
  /* Is the file or link at path, which is there and differs, to be replaced? NULL: always. */
  bool (*replace)(void *ctx, const char *path);
  /* Told of each file and link. NULL: nobody is. */
  void (*told)(void *ctx, const char *path, enum hfp_placed what);
  void *ctx;
};

struct hfp_place;

/* safety: an absolute path; made with its parents if it is not there. HOLDFAST_E_CONFIG and others with a message. */
int hfp_place_begin(const struct holdfast_host *host, const char *safety, struct hfp_place **out);
/* The folder the host is to write the tree below. */
const char *hfp_place_stage(const struct hfp_place *p);
/* What restore_tree answers: the folder that was asked for (not NULL), or that one. */
int hfp_place_tree(const struct holdfast_host *host, const char *directory, const struct hfp_place *p, char *dir, size_t cap);
/* Put everything that is in the folder in its place below "/". Folders that are there are left as they are. On an error
 * everything has been put back. The rules may be NULL. */
int hfp_place_put(struct hfp_place *p, const struct hfp_place_rules *rules);
/* As it was before hfp_place_put. On an error the message says what could not be put back, and where it is kept. */
int hfp_place_undo(struct hfp_place *p);
/* For undo: put back what an earlier hfp_place_put kept, and keep what is there now; files that were new go away. On an error everything has been put back. hfp_place_undo takes it back. */
int hfp_place_back(struct hfp_place *p, const struct holdfast_kept *items, size_t n);
/* When it is sure: folders that were new, and are empty, go away too. Cannot be taken back but by another undo. */
void hfp_place_back_folders(struct hfp_place *p, const struct holdfast_kept *items, size_t n);
/* Tell the host of everything that was replaced or made, for undo. Once all is well. */
void hfp_place_tell(const struct hfp_place *p);
/* Where the files that were replaced are, NULL when none was. Valid until hfp_place_free. */
const char *hfp_place_kept(const struct hfp_place *p);
void hfp_place_free(struct hfp_place *p);

#endif
