/* connect.c - the rsync target: one ssh connection for all runs of an instance.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A run of rsync for each object would be a connection and a login for each object. So an ssh of its own holds one connection, and those that rsync starts
 * pass theirs through its socket, which lies in the private spool. A run that comes while there is no such connection makes one of its own. Daemons have no
 * login worth saving.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rsync.h"

/* It prints this once the connection stands and its socket is there. */
#define READY "ready"

/* Wait until it is ready. Or it ends, and says why. */
static int wait_ready(struct hf_rsync *t, struct hfp_child *c, int err) {
  char text[sizeof READY];
  int64_t n = hfp_read(c, text, sizeof text);
  if (n < 0) return (int)n;
  if (n > 0) return HOLDFAST_OK;
  int code = 0, rc = hfp_end(c, &code);
  if (rc < 0) return rc;
  char *words = hf_rsync_slurp(err);
  rc = words ? hf_rsync_failed(t, code, words) : hf_rsync_no_memory(t);
  free(words);
  return rc;
}

static int start_master(struct hf_rsync *t) {
  static const char *const more[] = {"ControlMaster=yes", "PermitLocalCommand=yes", ("LocalCommand=echo " READY)};
  struct hf_rsync_words w = {0};
  struct hfp_child *c = NULL;
  for (size_t i = 0; i < t->ssh.n; i++) hf_rsync_word(&w, "%s", t->ssh.v[i]);
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
    hf_rsync_word(&w, "-o");
    hf_rsync_word(&w, "%s", more[i]);
  }
  hf_rsync_word(&w, "-N");
  hf_rsync_word(&w, "--");
  hf_rsync_word(&w, "%s", t->login);
  int err = hf_rsync_bounded(), rc;
  if (w.failed || err < 0) {
    rc = hf_rsync_no_memory(t);
  } else {
    struct hfp_run how = {.argv = (const char *const *)w.v, .env = (const char *const *)t->env.v, .dir = t->spool, .in = -1, .out = HFP_PIPE, .err = err};
    rc = hf_rsync_start(t, &how, NULL, &c);
    if (rc == 0) rc = wait_ready(t, c, err);
  }
  if (err >= 0) close(err);
  hf_rsync_words_free(&w);
  if (rc < 0) {
    hfp_free(c);
    return rc;
  }
  t->master = c;
  return HOLDFAST_OK;
}

/* The connection dies with the thread that made it (child.h): usually the one that opened the target. Should that end before the others, one of them makes a
 * new one here. */
int hf_rsync_connect(struct hf_rsync *t) {
  int code, rc = HOLDFAST_OK;
  if (t->daemon) return HOLDFAST_OK;
  pthread_mutex_lock(&t->lock);
  if (t->master && hfp_ended(t->master, &code)) {
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, "the connection was lost; connecting again");
    hfp_free(t->master);
    t->master = NULL;
  }
  if (!t->master) rc = start_master(t);
  pthread_mutex_unlock(&t->lock);
  return rc;
}

void hf_rsync_disconnect(struct hf_rsync *t) {
  hfp_free(t->master);
  t->master = NULL;
}
