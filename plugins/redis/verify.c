/* verify.c - the rehearsal: a redis-server of our own loads the restored RDB, the keys are counted, the admin's assertions tried.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

static const struct hf_redis_count *count_of(const struct hf_redis_facts *f, unsigned db) {
  for (size_t i = 0; i < f->n_counts; i++)
    if (f->counts[i].db == db) return &f->counts[i];
  return NULL;
}

/* Every database of a in b, too, up to the changes between the count and the snapshot. */
static int compare_one_way(const struct holdfast_host *host, const struct hf_redis_facts *noted, const struct hf_redis_facts *a,
                           const struct hf_redis_facts *b) {
  static const struct hf_redis_count none;
  for (size_t i = 0; i < a->n_counts; i++) {
    const struct hf_redis_count *x = &a->counts[i], *y = count_of(b, x->db);
    if (!y) y = &none;
    uint64_t keys = apart(x->keys, y->keys), expires = apart(x->expires, y->expires);
    if (keys <= (uint64_t)noted->changes && expires <= (uint64_t)noted->changes) continue;
    const struct hf_redis_count *was = a == noted ? x : y, *is = a == noted ? y : x;
    return holdfast_fail(host, HOLDFAST_E_CORRUPT,
                         "database %u has %llu keys, %llu of them with an expiry; at the backup it had %llu and %llu (give or take %lld changes)", x->db,
                         (unsigned long long)is->keys, (unsigned long long)is->expires, (unsigned long long)was->keys, (unsigned long long)was->expires,
                         (long long)noted->changes);
  }
  return HOLDFAST_OK;
}

static int compare(const struct holdfast_host *host, const struct hf_redis_facts *noted, const struct hf_redis_facts *found, char *how, size_t cap) {
  snprintf(how, cap, "not compared: how many there were at the backup is not known");
  if (!noted->info || noted->changes < 0) return HOLDFAST_OK;
  if (noted->changes == 0) snprintf(how, cap, "as at the backup");
  else snprintf(how, cap, "as at the backup within the %lld changes while it began", (long long)noted->changes);
  int rc = compare_one_way(host, noted, noted, found);
  return rc == HOLDFAST_OK ? compare_one_way(host, noted, found, noted) : rc;
}

static int check(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_redis_facts *noted, struct hf_redis_facts *found,
                 const char *rdb) {
  struct hf_redis_server s;
  char how[120];
  const struct holdfast_value *lines = &values[HF_REDIS_SET_ASSERT];
  const struct hf_redis_server_how start = {.program = &values[HF_REDIS_SET_SERVER],
                                            .rdb = rdb,
                                            .databases = noted->databases,
                                            .replica = true,
                                            .timeout = values[HF_REDIS_SET_LOAD_TIMEOUT].number * 1000};
  int rc = hf_redis_server_start(&s, host, &start);
  if (rc == HOLDFAST_OK) rc = hf_redis_info(s.conn, found);
  if (rc == HOLDFAST_OK) rc = compare(host, noted, found, how, sizeof how);
  if (rc == HOLDFAST_OK) rc = hf_redis_assert_all(s.conn, lines);
  hf_redis_server_stop(&s);
  if (rc != HOLDFAST_OK) return rc;
  return holdfast_fail(host, HOLDFAST_OK, "redis-server %s loads it: %llu keys in %zu databases, %llu with an expiry (%s); %u of %u assertions hold",
                       found->version, (unsigned long long)found->keys, found->n_counts, (unsigned long long)found->expires, how, lines->count, lines->count);
}

int hf_redis_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  struct hf_redis_facts *facts = calloc(2, sizeof *facts);
  char *rdb = NULL;
  int rc = facts && asprintf(&rdb, "%s/" HF_REDIS_RDB, directory) >= 0 ? HOLDFAST_OK : hf_redis_no_memory(host);
  if (rc == HOLDFAST_OK) rc = hf_redis_state_read(host, state, &facts[0]);
  if (rc == HOLDFAST_OK && access(rdb, R_OK) != 0)
    rc = holdfast_fail(host, hf_redis_status(errno), "%s: %s: the restored copy has no RDB that could be loaded", rdb, strerror(errno));
  if (rc == HOLDFAST_OK) rc = check(host, values, &facts[0], &facts[1], rdb);
  free(rdb);
  free(facts);
  return rc;
}
