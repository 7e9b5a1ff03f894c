/* systemd.h - the private header of the systemd source: what its parts offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parts, lower ones first: unit (the syntax of unit files), read (what of it matters), index (what stands in the search folders), gather
 * (from the units named to files and links), manager (what systemctl says and does), restore (restore half and rehearsal), plugin
 * (settings, backup half, callbacks).
 *
 * Unless said otherwise a function returns 0 or a negative enum holdfast_status, having told the host why.
 */
#ifndef HF_SYSTEMD_H
#define HF_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <holdfast/source.h>

#include "../common/exact.h"
#include "index.h"

#define HF_SYSTEMD_VERSION "1.0"

/* The rows of the settings table, in its order. */
enum hf_systemd_setting {
  HF_SYSTEMD_UNITS,
  HF_SYSTEMD_ROOT,
  HF_SYSTEMD_ENVIRONMENT_FILES,
  HF_SYSTEMD_IGNORE_MISSING,
  HF_SYSTEMD_SAFETY,
  HF_SYSTEMD_N_SETTINGS
};

/* ---- which files belong to the units (gather.c) ---- */

struct hf_systemd_unit {
  char *name;
  char *path;         /* its own file, without the root and with links followed; NULL when there is none, or it is masked */
  bool masked;
  struct hfp_set links; /* what makes it start, and its other names: paths without the root */
};

struct hf_systemd_gather {
  char *root; /* "" or absolute, free of links */
  struct hf_systemd_index index;
  struct hf_systemd_unit *units; /* those named, then those that belong to them */
  size_t n_units, cap_units;
  struct hfp_set files; /* whole paths */
};

/* A unit that is named and not there is HOLDFAST_E_NOT_FOUND, or a notice under ignore-missing. On error nothing needs freeing. */
int hf_systemd_gather(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_systemd_gather *out);
void hf_systemd_gather_free(struct hf_systemd_gather *g);
/* The root that the values name as hf_systemd_gather has it; the caller frees. */
int hf_systemd_root(const struct holdfast_host *host, const struct holdfast_value *values, char **root);

/* ---- the manager (manager.c) ---- */

/* Does a manager run that loads its units from this root? */
bool hf_systemd_has_manager(const char *root);
/* What systemctl says of the units: an object by name, {"active", "sub", "enabled", "load", "reload"}, or NULL when it does not answer, which the log says. */
json_t *hf_systemd_show(const struct holdfast_host *host, const struct hf_systemd_unit *units, size_t n);
int hf_systemd_reload(const struct holdfast_host *host);
/* The state to be kept in the record: JSON of at most 64 KiB, the caller frees. NULL when memory is out. */
char *hf_systemd_state(const struct hf_systemd_gather *g, json_t *show);

/* ---- restore and rehearsal (restore.c): as in <holdfast/source.h> ---- */
int hf_systemd_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                            void **handle);
int hf_systemd_restore_tree(void *handle, const char *stream, char *dir, size_t cap);
int hf_systemd_restore_finish(void *handle, int complete);
void hf_systemd_restore_close(void *handle);
int hf_systemd_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
int hf_systemd_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

#endif
