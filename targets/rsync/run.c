/* run.c - the rsync target: one run of rsync, and what becomes of its messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rsync.h"

#define CONNECT_WAIT 30 /* seconds for a daemon to answer; ssh has the same in settings.c */

int hf_rsync_no_memory(const struct hf_rsync *t) { return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "out of memory"); }

/* Sealed: who writes more than fits gets an error. So a far end that talks without end fills neither memory nor disk. */
int hf_rsync_bounded(void) {
  int fd = memfd_create("holdfast-rsync", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -1;
  if (ftruncate(fd, HF_RSYNC_WORDS) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0) return fd;
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

char *hf_rsync_slurp(int fd) {
  char *text = calloc(1, HF_RSYNC_WORDS + 1);
  size_t n = 0;
  while (text && n < HF_RSYNC_WORDS) {
    ssize_t k = pread(fd, text + n, HF_RSYNC_WORDS - n, (off_t)n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) break;
    n += (size_t)k;
  }
  return text;
}

static void base_words(const struct hf_rsync *t, struct hf_rsync_words *w) {
  hf_rsync_word(w, "%s", t->program);
  hf_rsync_word(w, "--timeout=%u", t->io_timeout);
  if (t->daemon) {
    hf_rsync_word(w, "--no-motd");
    hf_rsync_word(w, "--contimeout=%d", CONNECT_WAIT);
    return;
  }
  hf_rsync_word(w, "-e");
  hf_rsync_word(w, "%s", t->rsh);
  if (t->remote) hf_rsync_word(w, "--rsync-path=%s", t->remote);
}

void hf_rsync_limit(struct hf_rsync_words *w, uint64_t bytes_per_second) {
  if (bytes_per_second) hf_rsync_word(w, "--bwlimit=%" PRIu64, bytes_per_second / 1024); /* the host allows none below 4 KiB */
}

/* A program that is missing must not look like an object that is missing. */
int hf_rsync_start(const struct hf_rsync *t, const struct hfp_run *how, const char *setting, struct hfp_child **out) {
  int rc = hfp_start(t->host, how, out);
  if (rc != HOLDFAST_E_NOT_FOUND) return rc;
  return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "cannot start %s: it is not installed on this host%s%s", how->argv[0], setting ? "; see " : "",
                       setting ? setting : "");
}

static int run_once(struct hf_rsync *t, const struct hf_rsync_words *all, int in, int out, int *code, char **words) {
  struct hfp_child *child = NULL;
  int err = hf_rsync_bounded();
  if (err < 0) return holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "cannot make a file in memory: %s", strerrordesc_np(errno));
  struct hfp_run how = {.argv = (const char *const *)all->v, .env = (const char *const *)t->env.v, .dir = t->spool, .in = in, .out = out, .err = err};
  int rc = hf_rsync_start(t, &how, "rsync-program", &child);
  if (rc == 0) rc = hfp_end(child, code);
  hfp_free(child);
  if (rc == 0 && !(*words = hf_rsync_slurp(err))) rc = hf_rsync_no_memory(t);
  close(err);
  return rc;
}

/* An account that rrsync restricts takes one run at a time, unless it was given -no-lock: from the first refusal on, an instance does the same. */
static bool wants_to_be_alone(const char *words) { return strstr(words, "Another instance of rrsync") != NULL; }

static int run_in_turn(struct hf_rsync *t, const struct hf_rsync_words *all, int in, int out, int *code, char **words) {
  for (;;) {
    bool alone = atomic_load(&t->alone);
    if (alone)
      pthread_rwlock_wrlock(&t->turn);
    else
      pthread_rwlock_rdlock(&t->turn);
    int rc = run_once(t, all, in, out, code, words);
    pthread_rwlock_unlock(&t->turn);
    if (rc < 0 || *code == 0 || alone || !wants_to_be_alone(*words)) return rc;
    atomic_store(&t->alone, true);
    free(*words);
    *words = NULL;
    if ((in >= 0 && lseek(in, 0, SEEK_SET) < 0) || (out >= 0 && lseek(out, 0, SEEK_SET) < 0)) return hf_rsync_spool_errno(t, errno, "rewind a file in", NULL);
  }
}

int hf_rsync_run(struct hf_rsync *t, const struct hf_rsync_words *args, int in, int out, int *code, char **words) {
  struct hf_rsync_words all = {0};
  int rc = hf_rsync_connect(t);
  if (rc < 0) return rc;
  base_words(t, &all);
  for (size_t i = 0; i < args->n; i++) hf_rsync_word(&all, "%s", args->v[i]);
  rc = all.failed || args->failed ? hf_rsync_no_memory(t) : run_in_turn(t, &all, in, out, code, words);
  hf_rsync_words_free(&all);
  return rc;
}

int hf_rsync_failed(const struct hf_rsync *t, int code, const char *words) {
  struct hf_rsync_verdict v;
  hf_rsync_classify(code, words, &v);
  /* A host or a module that was there when the target was opened may come back; and it is no object, of which alone one may say that it is not there. */
  if (t->opened && v.status == HOLDFAST_E_NOT_FOUND && v.hint) v.status = HOLDFAST_E_TRANSIENT;
  return holdfast_fail(t->host, v.status, "%s: %s%s%s", t->where, v.line, v.hint ? "; " : "", v.hint ? v.hint : "");
}
