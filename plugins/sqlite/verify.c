/* verify.c - are the databases in a folder whole, and do they say what the admin expects?
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "DATABASE: QUERY": the query, with the length of the name in *n, or the whole text with 0. */
static const char *split(const char *text, size_t *n) {
  size_t word = strcspn(text, " \t");
  *n = word > 1 && text[word - 1] == ':' ? word - 1 : 0;
  return *n ? text + word + strspn(text + word, " \t") : text;
}

static bool is_called(const struct hf_sqlite_database *d, const char *name, size_t n) {
  const char *names[] = {d->path, strrchr(d->path, '/') + 1, d->file, d->stream};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0) return true;
  return false;
}

/* An assertion about a database that is not there would never fail. */
static int check_names(const struct holdfast_value *v, const struct hf_sqlite_list *l, char *why) {
  for (uint32_t i = 0; i < v->count; i++) {
    size_t n, found = 0;
    split(v->strings[i], &n);
    for (size_t k = 0; n > 0 && k < l->n; k++) found += is_called(&l->v[k], v->strings[i], n);
    if (n > 0 && found == 0)
      return hf_sqlite_say(why, HOLDFAST_E_CONFIG, "assert = %.500s: the snapshot has no database %.*s", v->strings[i], (int)(n < 200 ? n : 200),
                           v->strings[i]);
  }
  return 0;
}

static int verify_one(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_sqlite_database *d, const char *path,
                      size_t *assertions, char *why) {
  const struct holdfast_value *v = &values[HF_SQLITE_ASSERT];
  struct stat st;
  sqlite3 *db = NULL;
  if (stat(path, &st) != 0) return hf_sqlite_say_errno(why, errno, path);
  if ((uint64_t)st.st_size != d->pages * d->page_size)
    return hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "%.500s: has %lld bytes, and had %llu when it was backed up", path, (long long)st.st_size,
                         (unsigned long long)(d->pages * d->page_size));
  int rc = hf_sqlite_open_still(path, false, &db, why);
  if (rc == 0) rc = hf_sqlite_check(host, db, path, true, why);
  if (rc == 0 && values[HF_SQLITE_FOREIGN_KEYS].number != 0) rc = hf_sqlite_check_keys(db, path, why);
  for (uint32_t i = 0; rc == 0 && i < v->count; i++) {
    size_t n;
    const char *sql = split(v->strings[i], &n);
    if (n > 0 && !is_called(d, v->strings[i], n)) continue;
    rc = hf_sqlite_check_assertion(db, path, sql, why);
    ++*assertions;
  }
  sqlite3_close_v2(db);
  return rc;
}

int hf_sqlite_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  char why[HF_SQLITE_WHY];
  struct hf_sqlite_list l;
  size_t assertions = 0;
  int rc = hf_sqlite_state_read(state, &l, why);
  if (rc == 0 && (!state || !*state)) rc = hf_sqlite_say(why, HOLDFAST_E_CORRUPT, "the snapshot has no state that says which databases there are");
  if (rc == 0) rc = check_names(&values[HF_SQLITE_ASSERT], &l, why);
  for (size_t i = 0; rc == 0 && i < l.n; i++) {
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, l.v[i].file) < 0) {
      rc = hf_sqlite_say(why, HOLDFAST_E_FAILED, "out of memory");
      break;
    }
    rc = verify_one(host, values, &l.v[i], path, &assertions, why);
    free(path);
  }
  if (rc < 0) rc = holdfast_fail(host, rc, "%s", why);
  else
    rc = holdfast_fail(host, HOLDFAST_OK, "%zu database%s: integrity_check%s and %zu assertion%s passed", l.n, l.n == 1 ? "" : "s",
                       values[HF_SQLITE_FOREIGN_KEYS].number != 0 ? ", foreign_key_check" : "", assertions, assertions == 1 ? "" : "s");
  hf_sqlite_list_free(&l);
  return rc;
}
