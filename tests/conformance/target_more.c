/* target_more.c - holdfast-target-conformance: threads, races, and puts that do not come to their end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "target_calls.h"

#define THREADS_MAX 16
#define ROUNDS 8

struct thread {
  pthread_t id;
  void *h;
  unsigned number;
  int status;
  pthread_barrier_t *start;
};

/* As many threads as the plugin says it can take, up to a limit. */
static unsigned start(struct thread *threads, void *h, void *(*run)(void *), pthread_barrier_t *barrier) {
  unsigned n = plugin.parallel(h) < THREADS_MAX ? plugin.parallel(h) : THREADS_MAX;
  n = n ? n : 1;
  pthread_barrier_init(barrier, NULL, n);
  for (unsigned i = 0; i < n; i++) {
    threads[i] = (struct thread){.h = h, .number = i, .start = barrier};
    if (pthread_create(&threads[i].id, NULL, run, &threads[i]) != 0) conf_bail("cannot make a thread");
  }
  for (unsigned i = 0; i < n; i++) pthread_join(threads[i].id, NULL);
  pthread_barrier_destroy(barrier);
  return n;
}

static void *everything(void *arg) {
  struct thread *t = arg;
  pthread_barrier_wait(t->start);
  for (unsigned i = 0; i < ROUNDS; i++) {
    char name[64];
    struct names l;
    const char *list = name;
    size_t n = 1000 + 50000 * i;
    unsigned char *data = t_bytes(n, 100 * t->number + i);
    /* The first part is shared, so that the threads make the same folders at the same time. */
    snprintf(name, sizeof name, "threads/%u/%u/object", i, t->number);
    t_must_put(t->h, name, data, n, HOLDFAST_PUT_CREATE);
    t_must_be(t->h, name, data, n);
    t_must_not_be(t->h, "threads/absent");
    snprintf(name, sizeof name, "threads/%u/%u/", i, t->number);
    t_list(t->h, name, &l);
    snprintf(name, sizeof name, "threads/%u/%u/object", i, t->number);
    if (l.n != 1 || !t_has(&l, name)) conf_flaw("%s is not listed as it should be", name);
    t_names_free(&l);
    if (i % 2) t_remove(t->h, &list, 1);
    free(data);
  }
  return NULL;
}

void test_threads(void *h) {
  struct thread threads[THREADS_MAX];
  pthread_barrier_t barrier;
  struct names l;
  conf_begin();
  unsigned n = start(threads, h, everything, &barrier);
  t_list(h, "threads/", &l);
  conf_ok(conf_flawless() && l.n == (size_t)n * ROUNDS / 2, "%u threads put, get, stat, list and remove at once", n);
  t_names_free(&l);
}

static void *create(void *arg) {
  struct thread *t = arg;
  unsigned char *data = t_bytes(300000, t->number + 1);
  pthread_barrier_wait(t->start);
  t->status = t_put(t->h, "race", data, 300000, HOLDFAST_PUT_CREATE);
  free(data);
  return NULL;
}

void test_race(void *h) {
  struct thread threads[THREADS_MAX];
  pthread_barrier_t barrier;
  const char *const name = "race";
  if (!(plugin.capabilities(h) & HOLDFAST_CREATE_ONLY) || plugin.parallel(h) < 2) {
    conf_skip("race for one key", "no create-only put, or no two calls at once");
    return;
  }
  conf_begin();
  for (int round = 0; round < 5; round++) {
    unsigned won = 0, winner = 0, n = start(threads, h, create, &barrier);
    for (unsigned i = 0; i < n; i++) {
      if (threads[i].status == HOLDFAST_OK) {
        won++;
        winner = i;
      } else if (threads[i].status != HOLDFAST_E_EXISTS && threads[i].status != HOLDFAST_E_TRANSIENT) {
        conf_flaw("the loser of the race has status %d", threads[i].status);
      }
    }
    if (won != 1) {
      conf_flaw("%u of %u threads made the same key", won, n);
    } else {
      unsigned char *data = t_bytes(300000, winner + 1);
      t_must_be(h, name, data, 300000);
      free(data);
    }
    t_remove(h, &name, 1);
  }
  conf_ok(conf_flawless(), "of several create-only puts of one key at once exactly one succeeds");
}

/* ---- puts that are cut short ---- */

#define CUT_SIZE (24u * 1024 * 1024)

/* Absent for everyone, or whole. A flaw if anything else; true if absent. */
static bool all_or_nothing(void *h, const char *name, const unsigned char *data) {
  struct names l;
  uint64_t size = 0;
  int status = t_stat(h, name, &size);
  t_list(h, "cut/", &l);
  bool listed = t_has(&l, name);
  if (status == HOLDFAST_OK)
    t_must_be(h, name, data, CUT_SIZE);
  else
    t_must_not_be(h, name);
  if (listed != (status == HOLDFAST_OK)) conf_flaw("%s is %s, and stat says %d", name, listed ? "listed" : "not listed", status);
  t_names_free(&l);
  return !listed;
}

void test_stopped_put(void *h) {
  unsigned char *data = t_bytes(CUT_SIZE, 77);
  unsigned stopped = 0;
  conf_begin();
  for (unsigned at = 1; at <= 9; at += 4) {
    char name[32];
    snprintf(name, sizeof name, "cut/stopped-%u", at);
    conf_cancel_after(at);
    int status = t_put(h, name, data, CUT_SIZE, HOLDFAST_PUT_CREATE);
    conf_cancel_after(0);
    if (status != HOLDFAST_OK && status != HOLDFAST_E_CANCELED) conf_flaw("put returned %d, and not HOLDFAST_E_CANCELED", status);
    if (all_or_nothing(h, name, data) != (status != HOLDFAST_OK))
      conf_flaw("%s: put returned %d, and the object says otherwise", name, status);
    stopped += status != HOLDFAST_OK;
  }
  conf_ok(conf_flawless(), "a put that is stopped leaves nothing to be seen (%u of 3 stopped)", stopped);
  free(data);
}

/* A process of its own puts, and is killed in the middle. */
void test_killed_put(void *h) {
  unsigned char *data = t_bytes(CUT_SIZE, 78);
  unsigned cut = 0;
  conf_begin();
  for (unsigned i = 0; i < 6; i++) {
    char name[32];
    int ready[2];
    char c;
    snprintf(name, sizeof name, "cut/killed-%u", i);
    if (pipe(ready) != 0) conf_bail("cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0) conf_bail("cannot fork");
    if (pid == 0) {
      void *mine = t_open(0);
      if (mine && write(ready[1], "x", 1) == 1) t_put(mine, name, data, CUT_SIZE, HOLDFAST_PUT_CREATE);
      _exit(0);
    }
    close(ready[1]);
    if (read(ready[0], &c, 1) != 1) conf_flaw("the process that is to be killed could not open the target");
    close(ready[0]);
    struct timespec moment = {0, (long)(i * i * i) * 1000 * 1000};
    nanosleep(&moment, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cut += all_or_nothing(h, name, data);
  }
  conf_ok(conf_flawless(), "a put whose process is killed leaves a whole object or none (%u of 6 left none)", cut);
  /* And what it left behind is in nobody's way. */
  conf_begin();
  void *other = t_open(0);
  if (other) {
    for (unsigned i = 0; i < 6; i++) {
      char name[32];
      snprintf(name, sizeof name, "cut/killed-%u", i);
      t_must_put(other, name, data, CUT_SIZE, 0);
      all_or_nothing(other, name, data);
    }
    plugin.close(other);
  }
  conf_ok(other && conf_flawless(), "the next run puts the same objects without ado");
  free(data);
}
