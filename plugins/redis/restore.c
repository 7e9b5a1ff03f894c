/* restore.c - the restore half: to a folder the streams become files, and in place the RDB goes to a server.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * ACLs and configuration are never put in place: what they say of other machines' passwords and addresses is for an admin to judge.
 */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

struct restore {
  const struct holdfast_host *host;
  struct hf_redis_facts facts;
  struct hf_redis_place *place; /* in place: one of these two */
  struct hf_redis_live *live;
  bool in_place, in_rdb, arrived; /* arrived: the RDB, whole */
  struct hf_redis_rdb rdb;
};

void hf_redis_restore_close(void *handle) {
  struct restore *r = handle;
  hf_redis_place_free(r->place);
  hf_redis_live_free(r->live);
  free(r);
}

int hf_redis_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                          void **handle) {
  if (how->mode != HOLDFAST_RESTORE_TO_DIR && how->mode != HOLDFAST_RESTORE_IN_PLACE)
    return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "a way to restore that is not known (%u)", (unsigned)how->mode);
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return hf_redis_no_memory(host);
  r->host = host;
  r->in_place = how->mode == HOLDFAST_RESTORE_IN_PLACE;
  int rc = hf_redis_state_read(host, how->state, &r->facts);
  if (rc == HOLDFAST_OK && r->in_place)
    rc = strcmp(values[HF_REDIS_SET_RESTORE_INTO].strings[0], "server") == 0 ? hf_redis_live_open(host, values, &r->facts, &r->live)
                                                                            : hf_redis_place_open(host, values, &r->facts, &r->place);
  if (rc == HOLDFAST_OK) *handle = r;
  else hf_redis_restore_close(r);
  return rc;
}

int hf_redis_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct restore *r = handle;
  (void)size;
  /* The host writes the file of the stream's name itself. */
  if (!r->in_place) return holdfast_fail(r->host, HOLDFAST_E_UNSUPPORTED, "%s: becomes a file", stream);
  r->in_rdb = strcmp(stream, HF_REDIS_RDB) == 0;
  if (r->in_rdb) hf_redis_rdb_init(&r->rdb);
  else hf_redis_log(r->host, HOLDFAST_LOG_NOTICE, "%s is not put in place: restore it to a folder, and take from it what is wanted", stream);
  return HOLDFAST_OK;
}

int hf_redis_restore_write(void *handle, const void *buf, size_t n) {
  struct restore *r = handle;
  if (!r->in_rdb) return HOLDFAST_OK;
  hf_redis_rdb_feed(&r->rdb, buf, n);
  return r->place ? hf_redis_place_write(r->place, buf, n) : hf_redis_live_write(r->live, buf, n);
}

int hf_redis_restore_end(void *handle) {
  struct restore *r = handle;
  if (!r->in_rdb) return HOLDFAST_OK;
  r->in_rdb = false;
  int rc = hf_redis_rdb_check(r->host, &r->rdb, HF_REDIS_RDB);
  r->arrived = rc == HOLDFAST_OK;
  return rc;
}

int hf_redis_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  if (!complete || !r->arrived) return HOLDFAST_OK; /* nothing has been replaced yet, and nothing is */
  return r->place ? hf_redis_place_finish(r->place) : hf_redis_live_finish(r->live);
}
