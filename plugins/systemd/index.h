/* index.h - what stands in the folders that units are loaded from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SYSTEMD_INDEX_H
#define HF_SYSTEMD_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include <holdfast/source.h>

#include "../common/exact.h"

#define HF_SYSTEMD_NAMES_MAX 100000 /* entries of all the folders together */

enum hf_systemd_kind {
  HF_SYSTEMD_UNIT = 1, /* a file or link NAME: a unit, or an alias of one */
  HF_SYSTEMD_LINK,     /* NAME in a folder X.wants, X.requires or X.upholds */
  HF_SYSTEMD_DROPIN    /* NAME.conf in a folder X.d */
};

struct hf_systemd_item {
  char *name;
  char *folder; /* without the root: "/etc/systemd/system/x.service.d" */
  char *of;     /* LINK, DROPIN: X */
  int kind;
  int rank;     /* of the search folder: 0 is the one that wins */
};

struct hf_systemd_index {
  char *root; /* "" or an absolute path free of links */
  struct hf_systemd_item *v;
  size_t n, cap;
};

/* Look into the folders that stay over a reboot below root, those that win first. */
int hf_systemd_index_load(struct hf_systemd_index *x, const struct holdfast_host *host, const char *root);
void hf_systemd_index_free(struct hf_systemd_index *x);
/* The unit's own file or link that wins, or NULL. */
const struct hf_systemd_item *hf_systemd_index_find(const struct hf_systemd_index *x, const char *name);
/* root, folder and name in one; the caller frees. NULL when memory is out. */
char *hf_systemd_item_path(const struct hf_systemd_index *x, const struct hf_systemd_item *item);
/* Is name to be found below /run only, where it is made anew at each start? The folder, or NULL. */
const char *hf_systemd_in_run(const char *root, const char *name);

#endif
