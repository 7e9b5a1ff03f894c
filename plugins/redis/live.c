/* live.c - a restore into a running, empty server.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A redis-server of our own loads the RDB, and the running one becomes its replica until it has everything: it takes all or nothing, at
 * any size of values, with functions and the data of modules. Key by key (DUMP and RESTORE) it would be half full after a failure.
 */
#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/child.h"

#define POLL_MS 20
#define TRIES 3 /* so many whole transfers that did not do, and we give up */

/* Settings of the running server that we change for the time. */
static const char *const changed[] = {"masteruser", "masterauth", "tls-replication"};
enum { MASTERUSER, MASTERAUTH, TLS_REPLICATION, N_CHANGED };

struct hf_redis_live {
  const struct holdfast_host *host;
  const struct holdfast_value *program;
  const char *address;
  int64_t timeout; /* milliseconds */
  unsigned databases;
  struct hf_redis_target target;
  struct hf_redis_conn *conn;
  struct hf_redis_facts facts;
  char *before[N_CHANGED]; /* NULL: the server does not know it */
  char *dir, *rdb;
  int fd;
};

void hf_redis_live_free(struct hf_redis_live *l) {
  if (!l) return;
  hf_redis_close(l->conn);
  for (int i = 0; i < N_CHANGED; i++) {
    if (l->before[i]) explicit_bzero(l->before[i], strlen(l->before[i]));
    free(l->before[i]);
  }
  if (l->fd >= 0) close(l->fd);
  if (l->dir) hfp_remove_tree(l->dir);
  free(l->dir);
  free(l->rdb);
  free(l);
}

static int must_be_empty(struct hf_redis_live *l) {
  struct hf_redis_facts *f = &l->facts;
  int rc = hf_redis_info(l->conn, f);
  if (rc != HOLDFAST_OK) return rc;
  const char *label = l->target.label;
  if (!f->info)
    return holdfast_fail(l->host, HOLDFAST_E_AUTH,
                         "%s: INFO is not allowed to us, so it cannot be seen whether the server is empty: give the user +info", label);
  if (f->cluster)
    return holdfast_fail(l->host, HOLDFAST_E_UNSUPPORTED,
                         "%s: a node of a cluster cannot be filled while it runs: stop it, and set restore-into = file", label);
  if (strcmp(f->role, "master") != 0)
    return holdfast_fail(l->host, HOLDFAST_E_CONFIG, "%s: this is a replica: restore into its master", label);
  if (f->keys == 0) return HOLDFAST_OK;
  return holdfast_fail(l->host, HOLDFAST_E_EXISTS, "%s: the server is not empty: it has %llu keys, which would be lost; FLUSHALL empties it", label,
                       (unsigned long long)f->keys);
}

/* A server that is sent keys of a database that it does not have ends itself. */
static int must_have_databases(struct hf_redis_live *l, const struct hf_redis_facts *f) {
  struct hf_redis_reply r;
  unsigned need = 0, has = UINT_MAX;
  int rc = HF_REDIS_MUST(l->conn, &r, "CONFIG", "GET", "databases");
  if (rc != HOLDFAST_OK) return rc;
  if (r.type == HF_REDIS_ARRAY && r.n_items == 2 && r.items[1].type == HF_REDIS_BULK) has = (unsigned)strtoul(r.items[1].text, NULL, 10);
  hf_redis_reply_clear(&r);
  for (size_t i = 0; i < f->n_counts; i++)
    if (need <= f->counts[i].db) need = f->counts[i].db + 1;
  if (need <= has) return HOLDFAST_OK;
  return holdfast_fail(l->host, HOLDFAST_E_CONFIG,
                       "%s: the server has %u databases, and the snapshot has keys in database %u: set databases %u in its redis.conf",
                       l->target.label, has, need - 1, need);
}

static int remember(struct hf_redis_live *l) {
  int rc = HOLDFAST_OK;
  for (int i = 0; rc == HOLDFAST_OK && i < N_CHANGED; i++) {
    struct hf_redis_reply r;
    rc = HF_REDIS_MUST(l->conn, &r, "CONFIG", "GET", changed[i]);
    if (rc != HOLDFAST_OK) break;
    if (r.type == HF_REDIS_ARRAY && r.n_items == 2 && r.items[1].type == HF_REDIS_BULK && !(l->before[i] = strdup(r.items[1].text)))
      rc = hf_redis_no_memory(l->host);
    hf_redis_reply_clear(&r);
  }
  return rc;
}

static int make_file(struct hf_redis_live *l) {
  int rc = hfp_temp_dir(l->host, NULL, &l->dir);
  if (rc != HOLDFAST_OK) return rc;
  if (asprintf(&l->rdb, "%s/" HF_REDIS_RDB, l->dir) < 0) {
    l->rdb = NULL;
    return hf_redis_no_memory(l->host);
  }
  l->fd = open(l->rdb, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return l->fd >= 0 ? HOLDFAST_OK : holdfast_fail(l->host, hf_redis_status(errno), "%s: %s", l->rdb, strerror(errno));
}

int hf_redis_live_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_redis_facts *f,
                       struct hf_redis_live **out) {
  struct hf_redis_live *l = calloc(1, sizeof *l);
  if (!l) return hf_redis_no_memory(host);
  *l = (struct hf_redis_live){.host = host, .fd = -1, .program = &values[HF_REDIS_SET_SERVER], .databases = f->databases};
  l->address = values[HF_REDIS_SET_RESTORE_ADDRESS].strings[0];
  l->timeout = values[HF_REDIS_SET_LOAD_TIMEOUT].number * 1000;
  int rc = hf_redis_target(host, values, &l->target);
  if (rc == HOLDFAST_OK) rc = hf_redis_login(host, &l->target, &l->conn);
  if (rc == HOLDFAST_OK) rc = must_be_empty(l);
  if (rc == HOLDFAST_OK) rc = must_have_databases(l, f);
  if (rc == HOLDFAST_OK) rc = remember(l);
  if (rc == HOLDFAST_OK) rc = make_file(l);
  if (rc == HOLDFAST_OK) *out = l;
  else hf_redis_live_free(l);
  return rc;
}

int hf_redis_live_write(struct hf_redis_live *l, const void *buf, size_t n) {
  const char *at = buf;
  while (n > 0) {
    ssize_t went = write(l->fd, at, n);
    if (went < 0 && errno == EINTR) continue;
    if (went < 0) return holdfast_fail(l->host, hf_redis_status(errno), "%s: %s; TMPDIR may name another folder", l->rdb, strerror(errno));
    at += went;
    n -= (size_t)went;
  }
  return HOLDFAST_OK;
}

/* ---- one follows the other ---- */

static int set(struct hf_redis_live *l, int which, const char *value) {
  return l->before[which] ? HF_REDIS_MUST(l->conn, NULL, "CONFIG", "SET", changed[which], value) : HOLDFAST_OK;
}

/* Make the running server our replica. */
static int follow(struct hf_redis_live *l, const struct hf_redis_server *s) {
  char port[12];
  snprintf(port, sizeof port, "%u", s->port);
  int rc = set(l, MASTERUSER, "");
  if (rc == HOLDFAST_OK) rc = set(l, MASTERAUTH, s->password);
  if (rc == HOLDFAST_OK) rc = set(l, TLS_REPLICATION, "no");
  return rc == HOLDFAST_OK ? HF_REDIS_MUST(l->conn, NULL, "REPLICAOF", l->address, port) : rc;
}

/* Wait until it has all that our server has. Its key space may be asked for at any time; there is no event to wait on. */
static int wait_level(struct hf_redis_live *l, struct hf_redis_server *s) {
  struct hf_redis_facts *mine = calloc(1, sizeof *mine);
  int64_t until = hf_redis_now() + l->timeout;
  int rc = mine ? HOLDFAST_OK : hf_redis_no_memory(l->host);
  bool level = false;
  while (rc == HOLDFAST_OK && !level) {
    rc = hf_redis_server_alive(s);
    if (rc == HOLDFAST_OK) rc = hf_redis_info(s->conn, mine);
    if (rc == HOLDFAST_OK) rc = hf_redis_info(l->conn, &l->facts);
    if (rc != HOLDFAST_OK) break;
    level = strcmp(l->facts.link, "up") == 0 && !l->facts.syncing && !l->facts.loading && l->facts.replica_offset >= mine->master_offset;
    if (level) break;
    if (l->host->cancelled(l->host->ctx)) rc = holdfast_fail(l->host, HOLDFAST_E_CANCELED, "stopped");
    else if (mine->full_syncs > TRIES)
      rc = holdfast_fail(l->host, HOLDFAST_E_FAILED,
                         "%s: the server has taken the data %d times and kept none of it: its log says why (an RDB of a newer version?)",
                         l->target.label, TRIES);
    else if (hf_redis_now() >= until)
      rc = holdfast_fail(l->host, HOLDFAST_E_TIMEOUT,
                         "%s: the server has not taken the data from %s:%u in time (load-timeout): %s", l->target.label, l->address,
                         s->port, mine->full_syncs ? "it is still at it" : "it does not reach this address; restore-address may name another one");
    else hf_redis_pause(l->host, POLL_MS);
  }
  free(mine);
  return rc;
}

/* A master again, set as it was: whatever happened before. The first error counts. */
static int unfollow(struct hf_redis_live *l, int rc) {
  struct hf_redis_reply r;
  bool bad = HF_REDIS_CALL(l->conn, &r, "REPLICAOF", "NO", "ONE") != HOLDFAST_OK;
  bad = bad || r.type == HF_REDIS_ERROR;
  if (!bad) hf_redis_reply_clear(&r);
  for (int i = 0; !bad && i < N_CHANGED; i++) {
    if (!l->before[i]) continue;
    bad = HF_REDIS_CALL(l->conn, &r, "CONFIG", "SET", changed[i], l->before[i]) != HOLDFAST_OK;
    bad = bad || r.type == HF_REDIS_ERROR;
    if (!bad) hf_redis_reply_clear(&r);
  }
  if (!bad) return rc;
  hf_redis_reply_clear(&r);
  hf_redis_log(l->host, HOLDFAST_LOG_WARNING,
               "%s: could not be made a master again: run REPLICAOF NO ONE, and set masteruser, masterauth and tls-replication as they were",
               l->target.label);
  if (rc != HOLDFAST_OK) return rc;
  return holdfast_fail(l->host, HOLDFAST_E_FAILED, "%s: all data has arrived, but the server could not be made a master again", l->target.label);
}

int hf_redis_live_finish(struct hf_redis_live *l) {
  struct hf_redis_server s;
  const struct hf_redis_server_how how = {
    .program = l->program, .rdb = l->rdb, .address = l->address, .databases = l->databases, .timeout = l->timeout};
  int fd = l->fd;
  l->fd = -1;
  if (close(fd) != 0) return holdfast_fail(l->host, hf_redis_status(errno), "%s: %s", l->rdb, strerror(errno));
  int rc = hf_redis_server_start(&s, l->host, &how);
  /* It has been a while: somebody may have filled it. */
  if (rc == HOLDFAST_OK) rc = must_be_empty(l);
  if (rc == HOLDFAST_OK) {
    rc = follow(l, &s);
    if (rc == HOLDFAST_OK) rc = wait_level(l, &s);
    rc = unfollow(l, rc);
  }
  hf_redis_server_stop(&s);
  /* It was empty: nothing is kept, and undo says so. */
  if (rc == HOLDFAST_OK && l->host->kept) l->host->kept(l->host->ctx, "server:", NULL);
  if (rc == HOLDFAST_OK)
    hf_redis_log(l->host, HOLDFAST_LOG_NOTICE, "%s: %llu keys are in the server", l->target.label, (unsigned long long)l->facts.keys);
  return rc;
}
