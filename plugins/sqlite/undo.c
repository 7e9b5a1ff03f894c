/* undo.c - putting back the databases that a restore in place has replaced.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As careful as the restore: no program may use any of the databases, all of them are held before the first is replaced, and what is there now is kept
 * beside it, for the next undo. A database that was damaged has its log or journal kept beside it, which goes back with it.
 */
#include "sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const ends[] = {"-wal", "-journal"};

/* PATH and an ending; NULL: out of memory. */
static char *beside(const char *path, const char *end) {
  char *name = NULL;
  return asprintf(&name, "%s%s", path, end) < 0 ? NULL : name;
}

void hf_sqlite_tell_kept(const struct holdfast_host *host, const char *path, const char *kept) {
  if (!host->kept) return;
  host->kept(host->ctx, path, kept);
  for (size_t i = 0; kept && i < sizeof ends / sizeof *ends; i++) {
    char *from = beside(path, ends[i]), *to = beside(kept, ends[i]);
    if (from && to && access(to, F_OK) == 0) host->kept(host->ctx, from, to);
    free(from);
    free(to);
  }
}

/* Is it the log or journal of another item? That comes with its database. */
static bool is_companion(const struct holdfast_kept *items, size_t n, size_t which) {
  const char *place = items[which].place;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
      size_t base = strlen(items[i].place);
      if (strncmp(place, items[i].place, base) == 0 && strcmp(place + base, ends[k]) == 0) return true;
    }
  return false;
}

/* The log and journal that were kept with the database go back beside it. */
static int companions_back(const char *path, const char *kept_as, char *why) {
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < sizeof ends / sizeof *ends; i++) {
    char *from = beside(kept_as, ends[i]), *to = beside(path, ends[i]);
    if (!from || !to) rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
    else if (rename(from, to) != 0 && errno != ENOENT) rc = hf_sqlite_say_errno(why, errno, to);
    free(from);
    free(to);
  }
  return rc;
}

static int back_one(const struct holdfast_host *host, const struct holdfast_kept *item, struct hf_sqlite_old *old, char *why) {
  char *kept = NULL;
  int rc = hf_sqlite_old_replace(old, item->place, item->kept_as, &kept, why);
  if (rc == 0 && item->kept_as) rc = companions_back(item->place, item->kept_as, why);
  if (rc == 0 && kept) hf_sqlite_log(host, HOLDFAST_LOG_NOTICE, "%.400s: what was there is kept as %.400s", item->place, kept);
  if (rc == 0) hf_sqlite_tell_kept(host, item->place, kept);
  free(kept);
  return rc;
}

int hf_sqlite_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  struct hf_sqlite_options o;
  char why[HF_SQLITE_WHY];
  size_t done = 0;
  int rc = hf_sqlite_options(host, values, &o, why);
  struct hf_sqlite_old *old = calloc(n + 1, sizeof *old);
  if (rc == 0 && !old) rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
  for (size_t i = 0; rc == 0 && i < n; i++) {
    if (is_companion(items, n, i)) continue;
    if (items[i].kept_as && access(items[i].kept_as, F_OK) != 0)
      rc = hf_sqlite_say(why, HOLDFAST_E_NOT_FOUND, "%.400s: what was kept as %.400s is not there any more", items[i].place, items[i].kept_as);
    if (rc == 0) rc = hf_sqlite_old_hold(items[i].place, o.busy_ms, &old[i], why);
  }
  for (size_t i = 0; rc == 0 && i < n; i++) {
    if (is_companion(items, n, i)) continue;
    rc = back_one(host, &items[i], &old[i], why);
    if (rc == 0) done++;
  }
  if (rc < 0 && done > 0) {
    char first[HF_SQLITE_WHY];
    memcpy(first, why, sizeof first);
    hf_sqlite_say(why, rc, "%.700s (%zu databases have been put back before that)", first, done);
  }
  for (size_t i = 0; old && i < n; i++) hf_sqlite_old_release(&old[i]);
  free(old);
  return rc < 0 ? holdfast_fail(host, rc, "%s", why) : HOLDFAST_OK;
}
