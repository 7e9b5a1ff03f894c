/* flaky.c - the target `local` under another name, whose calls fail as the environment says.
 * SPDX-License-Identifier: Apache-2.0
 *
 * flaky_plugin of lib.sh builds it with the sources of `local`.
 * FLAKY = "KINDS FROM TIMES STATUS [after]": of the calls whose kind's letter (p put, g get, s stat, l list, r remove) is in
 * KINDS, those numbered from FROM on (the first is 1), TIMES of them, end with STATUS; with "after", only when they have done
 * their work. FLAKY_COUNT names a file that gets the number of such calls at close.
 * FLAKY_STALL = "KINDS N FILE [deaf]": the Nth of those calls makes FILE and does its work only when the run is told to stop, of
 * which FILE.told is a sign; with "deaf" never.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/target.h>

/* The entry function of `local`, renamed as it is compiled. */
const struct holdfast_target_plugin *local_target_plugin(void);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned calls, stall_calls;
static const struct holdfast_host *the_host;

static void make(const char *file, const char *suffix) {
  char name[300];
  snprintf(name, sizeof name, "%s%s", file, suffix);
  FILE *f = fopen(name, "w");
  if (f) fclose(f);
}

static void stall(char kind) {
  char kinds[16] = "", file[256] = "", word[8] = "";
  unsigned at = 0;
  const char *plan = getenv("FLAKY_STALL");
  if (!plan || sscanf(plan, "%15s %u %255s %7s", kinds, &at, file, word) < 3 || !strchr(kinds, kind)) return;
  pthread_mutex_lock(&lock);
  unsigned n = ++stall_calls;
  pthread_mutex_unlock(&lock);
  if (n != at) return;
  make(file, "");
  while (!the_host->cancelled(the_host->ctx)) usleep(10000);
  make(file, ".told");
  while (strcmp(word, "deaf") == 0) usleep(10000);
}

/* 0, or the status this call is to end with. */
static int told(char kind, int after) {
  char kinds[16] = "", word[8] = "";
  unsigned from = 0, times = 0;
  int status = 0;
  const char *plan = getenv("FLAKY");
  if (!plan || sscanf(plan, "%15s %u %u %d %7s", kinds, &from, &times, &status, word) < 4 || !strchr(kinds, kind)) return 0;
  if ((strcmp(word, "after") == 0) != after) return 0;
  pthread_mutex_lock(&lock);
  unsigned n = ++calls;
  pthread_mutex_unlock(&lock);
  if (n < from || n - from >= times) return 0;
  return holdfast_fail(the_host, status, "as it was told");
}

#define CALL(kind, call)                                                                                                         \
  do {                                                                                                                           \
    stall(kind);                                                                                                                 \
    int r = told(kind, 0);                                                                                                       \
    if (r == 0) r = local_target_plugin()->call;                                                                                 \
    return r == 0 ? told(kind, 1) : r;                                                                                           \
  } while (0)

static int f_open(const struct holdfast_host *host, const struct holdfast_value *values, int create, void **h) {
  the_host = host;
  return local_target_plugin()->open(host, values, create, h);
}
static int f_put(void *h, const struct holdfast_object *o) { CALL('p', put(h, o)); }
static int f_get(void *h, const char *key, uint64_t off, uint64_t n, holdfast_sink sink, void *ctx) {
  CALL('g', get(h, key, off, n, sink, ctx));
}
static int f_stat(void *h, const char *key, struct holdfast_stat *out) { CALL('s', stat(h, key, out)); }
static int f_list(void *h, const char *prefix, holdfast_lister lister, void *ctx) { CALL('l', list(h, prefix, lister, ctx)); }
static int f_remove(void *h, const char *const *keys, size_t n, int *statuses) { CALL('r', remove(h, keys, n, statuses)); }

static void f_close(void *h) {
  const char *file = getenv("FLAKY_COUNT");
  FILE *f = file ? fopen(file, "w") : NULL;
  if (f) fprintf(f, "%u\n", calls);
  if (f) fclose(f);
  local_target_plugin()->close(h);
}

HOLDFAST_EXPORT const struct holdfast_target_plugin *holdfast_target_plugin(void) {
  static struct holdfast_target_plugin p;
  p = *local_target_plugin();
  p.head.name = "flaky";
  p.open = f_open;
  p.put = f_put;
  p.get = f_get;
  p.stat = f_stat;
  p.list = f_list;
  p.remove = f_remove;
  p.close = f_close;
  return &p;
}
