/* restore.c - back to a folder, back in place, and whether a copy is good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/child.h"
#include "../common/place.h"
#include "systemd.h"
#include "unit.h"

#define TIMEOUT 120              /* seconds for systemd-analyze */
#define UNITS_MAX 2000           /* given to it in one go */
#define ERRORS_MAX ((size_t)1 << 16)

struct restore {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  const char *directory; /* NULL: in place */
  char *root;
  struct hfp_place *place;
  char enabled[700]; /* "a.service (multi-user.target), ..." */
  size_t n_enabled, n_placed, n_left;
};

int hf_systemd_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                            void **handle) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  r->host = host;
  r->values = values;
  int rc = HOLDFAST_OK;
  if (how->mode == HOLDFAST_RESTORE_TO_DIR) r->directory = how->directory;
  else if (how->mode == HOLDFAST_RESTORE_IN_PLACE) {
    rc = hf_systemd_root(host, values, &r->root);
    if (rc == 0) rc = hfp_place_begin(host, values[HF_SYSTEMD_SAFETY].strings[0], &r->place);
  } else {
    rc = holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "a way to restore that is not known (%u)", (unsigned)how->mode);
  }
  if (rc < 0) {
    free(r->root);
    free(r);
    return rc;
  }
  *handle = r;
  return HOLDFAST_OK;
}

int hf_systemd_restore_tree(void *handle, const char *stream, char *dir, size_t cap) {
  struct restore *r = handle;
  (void)stream; /* there is one tree and nothing else */
  return hfp_place_tree(r->host, r->directory, r->place, dir, cap);
}

/* What packages own is put back where it is missing, and never over what is there: that may be newer than the snapshot. */
static bool may_replace(void *ctx, const char *path) {
  const struct restore *r = ctx;
  const char *p = path + strlen(r->root);
  return strncmp(p, "/usr/lib/", 9) != 0 && strncmp(p, "/lib/", 5) != 0;
}

static void told(void *ctx, const char *path, enum hfp_placed what) {
  struct restore *r = ctx;
  if (what == HFP_LEFT) {
    r->n_left++;
    hfp_log(r->host, HOLDFAST_LOG_NOTICE, "%s belongs to a package and differs from the snapshot's: left as it is", path);
  }
  if (what < HFP_REPLACED) return;
  r->n_placed++;
  /* ".../multi-user.target.wants/app.service" */
  const char *name = strrchr(path, '/'), *folder = name;
  while (folder > path && folder[-1] != '/') folder--;
  static const char *const endings[] = {".wants", ".requires", ".upholds"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t n = (size_t)(name - folder), k = strlen(endings[i]);
    if (what != HFP_MADE || n <= k || memcmp(name - k, endings[i], k) != 0) continue;
    size_t at = strlen(r->enabled);
    if (at < sizeof r->enabled - 200)
      snprintf(r->enabled + at, sizeof r->enabled - at, "%s%.90s (%.*s)", at ? ", " : "", name + 1, (int)(n - k > 90 ? 90 : n - k), folder);
    r->n_enabled++;
  }
}

/* Let a manager know of files that have changed, if there is one. */
static int reload(const struct holdfast_host *host, const char *root, size_t changed) {
  if (!hf_systemd_has_manager(root)) {
    hfp_log(host, HOLDFAST_LOG_NOTICE, "no manager runs %s%s: nothing to reload", *root ? "below " : "here", root);
    return HOLDFAST_OK;
  }
  if (changed == 0) return HOLDFAST_OK;
  int rc = hf_systemd_reload(host);
  if (rc == 0) hfp_log(host, HOLDFAST_LOG_NOTICE, "the manager has read its units again; nothing was started or stopped");
  return rc;
}

static int in_place(struct restore *r) {
  const struct hfp_place_rules rules = {.replace = may_replace, .told = told, .ctx = r};
  int rc = hfp_place_put(r->place, &rules);
  if (rc < 0) return rc;
  if (hfp_place_kept(r->place)) hfp_log(r->host, HOLDFAST_LOG_NOTICE, "what was replaced is kept in %s", hfp_place_kept(r->place));
  hfp_place_tell(r->place);
  if (r->n_enabled)
    hfp_log(r->host, HOLDFAST_LOG_NOTICE, "enabled: %s%s", r->enabled,
            r->n_enabled > 1 && strlen(r->enabled) >= sizeof r->enabled - 200 ? ", and more" : "");
  return reload(r->host, r->root, r->n_placed);
}

int hf_systemd_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  struct hfp_place *place = NULL;
  char *root = NULL;
  int rc = hf_systemd_root(host, values, &root);
  if (rc == 0) rc = hfp_place_begin(host, values[HF_SYSTEMD_SAFETY].strings[0], &place);
  if (rc == 0) rc = hfp_place_back(place, items, n);
  if (rc == 0) {
    hfp_place_back_folders(place, items, n);
    hfp_place_tell(place);
    if (hfp_place_kept(place)) hfp_log(host, HOLDFAST_LOG_NOTICE, "what was replaced is kept in %s", hfp_place_kept(place));
    rc = reload(host, root, n);
  }
  hfp_place_free(place);
  free(root);
  return rc;
}

int hf_systemd_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  if (r->directory) return HOLDFAST_OK;
  if (!complete) return holdfast_fail(r->host, HOLDFAST_E_FAILED, "not everything arrived: nothing has been replaced");
  return in_place(r);
}

void hf_systemd_restore_close(void *handle) {
  struct restore *r = handle;
  hfp_place_free(r->place);
  free(r->root);
  free(r);
}

/* ---- rehearsal ---- */

struct copy {
  char *paths[UNITS_MAX]; /* unit files in the copy, owned */
  size_t n, missing;
  char first_missing[300];
};

/* The unit's file in the copy. Paths of a record are data: they are followed within the copy only. */
static int find_unit(struct copy *c, const char *directory, const char *root, json_t *unit) {
  const char *path = json_string_value(json_object_get(unit, "path"));
  char *real = NULL, *at = NULL;
  struct hfp_set links = {0};
  struct stat st;
  if (!path || !*path) return 0;
  if (asprintf(&at, "%s%s", strcmp(root, "/") == 0 ? "" : root, path) < 0) return -ENOMEM;
  int e = hfp_trail(&links, directory, at, &real, &st);
  hfp_set_free(&links);
  if (e == -ENOMEM || e == -E2BIG) {
    free(at);
    return e;
  }
  if (e < 0 || !S_ISREG(st.st_mode)) {
    if (c->missing++ == 0) snprintf(c->first_missing, sizeof c->first_missing, "%s", at);
  } else if (c->n < UNITS_MAX) {
    bool again = false; /* instances share their template's file */
    for (size_t i = 0; i < c->n; i++) again = again || strcmp(c->paths[i], real) == 0;
    if (!again) {
      c->paths[c->n++] = real;
      real = NULL;
    }
  }
  free(real);
  free(at);
  return 0;
}

/* systemd-analyze looks beside the files it is given first, so what they refer to comes from the copy before it comes from this machine. */
static int analyze(const struct holdfast_host *host, const struct copy *c) {
  const char **argv = calloc(c->n + 6, sizeof *argv);
  if (!argv) return hfp_fail_errno(host, -ENOMEM, "units");
  size_t k = 0;
  argv[k++] = "systemd-analyze";
  argv[k++] = "verify";
  argv[k++] = "--man=no";
  argv[k++] = "--recursive-errors=no";
  for (size_t i = 0; i < c->n; i++) argv[k++] = c->paths[i];
  char *words = NULL;
  int code = 0;
  struct hfp_run run = {.argv = argv, .in = -1, .out = -1, .err = -1, .timeout = TIMEOUT};
  int rc = hfp_collect(host, &run, ERRORS_MAX, NULL, NULL, &code, &words);
  if (rc == 0 && code != 0) rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "systemd-analyze verify: %s", words && *words ? words : "it failed without a word");
  free(words);
  free(argv);
  return rc;
}

int hf_systemd_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  (void)values;
  json_t *facts = state && *state ? json_loads(state, 0, NULL) : NULL, *units = json_object_get(facts, "units"), *unit;
  const char *root = json_string_value(json_object_get(facts, "root"));
  char *real = realpath(directory, NULL);
  struct copy *c = calloc(1, sizeof *c);
  size_t i, want = 0;
  int rc = HOLDFAST_OK;
  if (!c || !real) rc = hfp_fail_errno(host, c ? -errno : -ENOMEM, directory);
  else if (!json_is_array(units) || !root) rc = holdfast_fail(host, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is missing or damaged");
  if (rc == 0)
    json_array_foreach(units, i, unit) {
      int e = find_unit(c, real, root, unit);
      if (e < 0) rc = hfp_fail_errno(host, e, directory);
      want++;
    }
  if (rc == 0 && c->missing)
    rc = holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "%s is not in the restored copy (%zu of %zu units have no file)", c->first_missing, c->missing, want);
  if (rc == 0 && c->n > 0) rc = analyze(host, c);
  if (rc == 0) rc = holdfast_fail(host, HOLDFAST_OK, "systemd-analyze verify accepts the %zu unit files of %zu units", c->n, want);
  for (size_t k = 0; c && k < c->n; k++) free(c->paths[k]);
  free(c);
  free(real);
  json_decref(facts);
  return rc;
}
