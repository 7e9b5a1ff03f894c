/* plugin.c - the rsync target: opening and closing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "rsync.h"

static void rsync_free(struct hf_rsync *t) {
  hf_rsync_disconnect(t);
  hf_rsync_spool_close(t);
  pthread_mutex_destroy(&t->lock);
  pthread_rwlock_destroy(&t->turn);
  hf_rsync_words_free(&t->ssh);
  hf_rsync_words_free(&t->env);
  hf_rsync_words_free(&t->stale);
  free(t->where);
  free(t->dest);
  free(t->program);
  free(t->remote);
  free(t->rsh);
  free(t->login);
  free(t->spool_parent);
  free(t);
}

static void rsync_close(void *handle) {
  hf_rsync_tidy(handle);
  rsync_free(handle);
}

static int rsync_new(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_rsync **out) {
  struct hf_rsync *t = calloc(1, sizeof *t);
  if (!t) return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  t->host = host;
  t->spool_fd = -1;
  pthread_mutex_init(&t->lock, NULL);
  pthread_rwlock_init(&t->turn, NULL);
  int rc = hf_rsync_configure(t, values);
  if (rc == 0) rc = hf_rsync_spool_open(t);
  if (rc < 0) {
    rsync_free(t);
    return rc;
  }
  *out = t;
  return HOLDFAST_OK;
}

static int take_nothing(void *ctx, const struct hf_rsync_entry *e) {
  (void)ctx;
  (void)e;
  return HOLDFAST_OK;
}

static int rsync_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **handle) {
  struct hf_rsync *t;
  int rc = rsync_new(host, values, &t);
  if (rc < 0) return rc;
  if (create) rc = hf_rsync_mark(t, false);
  if (rc == 0) rc = hf_rsync_look(t, NULL, 0, false, take_nothing, NULL);
  if (rc < 0) {
    rsync_free(t);
    return rc;
  }
  t->opened = true;
  *handle = t;
  return HOLDFAST_OK;
}

/* rsync checks the checksum of a whole file before the file gets its name. A put that creates looks first, but two hosts that do so at the same moment may
 * both succeed: so HOLDFAST_CREATE_ONLY cannot be promised. */
static uint32_t rsync_capabilities(void *handle) {
  (void)handle;
  return HOLDFAST_SERVER_CHECKSUM;
}

/* rsync's limit is one of a run: with a limit, there is one run at a time. */
static uint32_t rsync_parallel(void *handle) {
  const struct hf_rsync *t = handle;
  return t->host->limit_up || t->host->limit_down ? 1 : t->connections;
}

/* A dry run is refused where writing would be. */
static int rsync_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct hf_rsync *t;
  int rc = rsync_new(host, values, &t);
  if (rc < 0) return rc;
  rc = hf_rsync_look(t, NULL, 0, false, take_nothing, NULL);
  if (rc == 0) rc = hf_rsync_mark(t, true);
  if (rc == 0) holdfast_fail(host, HOLDFAST_OK, "%s answers and takes files; rsync cannot tell how much room there is", t->where);
  rsync_free(t);
  return rc;
}

static const struct holdfast_target_plugin plugin = {
    .head = {sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, "rsync", "1.0", "a folder elsewhere, by rsync over ssh or at an rsync daemon",
             hf_rsync_settings},
    .open = rsync_open,
    .capabilities = rsync_capabilities,
    .parallel = rsync_parallel,
    .put = hf_rsync_put,
    .get = hf_rsync_get,
    .stat = hf_rsync_stat,
    .list = hf_rsync_list,
    .remove = hf_rsync_remove,
    .probe = rsync_probe,
    .close = rsync_close,
};

HOLDFAST_TARGET_PLUGIN(plugin)
