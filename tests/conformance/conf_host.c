/* conf_host.c - the host the conformance programs lend a plugin, and a look at their own process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"

/* Callbacks run in several threads; each has its own last error. */
static _Thread_local char message[1024];
static atomic_uint cancel_at, asked, problems;

static void host_log(void *ctx, int level, const char *text) {
  (void)ctx;
  if (level < HOLDFAST_LOG_WARNING || level > HOLDFAST_LOG_DEBUG) conf_flaw("log: no such level: %d", level);
  if (!text || strchr(text, '\n')) conf_flaw("log: a message is one line");
}

static void host_error(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text ? text : "");
}

static int host_cancelled(void *ctx) {
  (void)ctx;
  unsigned at = atomic_load(&cancel_at);
  return at != 0 && atomic_fetch_add(&asked, 1) + 1 >= at;
}

static void host_problem(void *ctx, const char *path, int status, const char *text) {
  (void)ctx;
  atomic_fetch_add(&problems, 1);
  if (!path || !text || !*text || status >= 0 || !conf_status_known(status))
    conf_flaw("problem: path, a negative status and a message are wanted, not %d", status);
}

/* No limit is set, so whoever calls this gets on at once. */
static int host_pace(void *ctx, int up, size_t n) {
  (void)ctx, (void)up;
  if (n == 0) conf_flaw("pace: of no bytes at all");
  return host_cancelled(NULL) ? HOLDFAST_E_CANCELED : HOLDFAST_OK;
}

static void host_retry_after(void *ctx, int64_t seconds) {
  (void)ctx;
  if (seconds <= 0) conf_flaw("retry_after: %lld seconds are none to wait", (long long)seconds);
}

const struct holdfast_host *conf_host(const char *instance) {
  static struct holdfast_host hosts[8];
  static size_t n;
  if (n == sizeof hosts / sizeof *hosts)
    conf_bail("too many hosts");
  struct holdfast_host *h = &hosts[n++];
  *h = (struct holdfast_host){.struct_size = sizeof *h,
                              .ctx = h,
                              .instance = instance,
                              .log = host_log,
                              .error = host_error,
                              .cancelled = host_cancelled,
                              .problem = host_problem,
                              .pace = host_pace,
                              .retry_after = host_retry_after};
  return h;
}

const char *conf_message(void) { return message; }

void conf_clear(void) { message[0] = '\0'; }

bool conf_status_known(int status) { return status <= HOLDFAST_OK && status > HOLDFAST_E_USAGE; }

void conf_cancel_after(unsigned n) {
  atomic_store(&asked, 0);
  atomic_store(&cancel_at, n);
}

unsigned conf_problems(void) { return atomic_load(&problems); }

static unsigned count_names(const char *dir) {
  unsigned n = 0;
  DIR *d = opendir(dir);
  if (!d) return 0;
  while (readdir(d)) n++;
  closedir(d);
  return n;
}

/* What a sanitizer's allocator offers, when there is one. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

/* Bytes in use. Where the allocator does not say, as under valgrind, the resident pages: those also grow without a leak. */
static size_t heap_now(bool *exact) {
  struct mallinfo2 m = mallinfo2();
  unsigned long total, resident;
  *exact = true;
  if (__sanitizer_get_current_allocated_bytes) return __sanitizer_get_current_allocated_bytes();
  if (m.uordblks) return m.uordblks + m.hblkhd;
  *exact = false;
  FILE *f = fopen("/proc/self/statm", "r");
  int got = f ? fscanf(f, "%lu %lu", &total, &resident) : 0;
  if (f) fclose(f);
  return got == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

void conf_process(struct conf_process *p) {
  memset(p, 0, sizeof *p);
  p->fds = count_names("/proc/self/fd");
  p->threads = count_names("/proc/self/task");
  p->umask = umask(0);
  umask((mode_t)p->umask);
  p->heap = heap_now(&p->heap_exact);
  if (!getcwd(p->cwd, sizeof p->cwd)) p->cwd[0] = '\0';
}

void conf_process_same(const struct conf_process *before, const char *what) {
  struct conf_process now;
  struct timespec moment = {0, 20 * 1000 * 1000};
  conf_process(&now);
  for (int i = 0; i < 50 && now.threads > before->threads; i++) {
    nanosleep(&moment, NULL);
    conf_process(&now);
  }
  if (now.fds > before->fds) conf_note("descriptors: %u before, %u after", before->fds, now.fds);
  if (now.threads > before->threads) conf_note("threads: %u before, %u after", before->threads, now.threads);
  if (now.umask != before->umask || strcmp(now.cwd, before->cwd) != 0) conf_note("umask or current folder have changed");
  conf_ok(now.fds <= before->fds && now.threads <= before->threads && now.umask == before->umask &&
              strcmp(now.cwd, before->cwd) == 0,
          "%s: no descriptor, thread, umask or folder is left behind", what);
}

void conf_heap_same(const struct conf_process *before, const char *what) {
  struct conf_process now;
  conf_process(&now);
  size_t allowed = now.heap_exact ? 128 * 1024 : 16 * 1024 * 1024;
  conf_note("bytes in use: %zu before, %zu after", before->heap, now.heap);
  conf_ok(now.heap < before->heap + allowed, "%s: memory does not grow", what);
}
