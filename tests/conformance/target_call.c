/* target_call.c - single calls of a target plugin, for tests that want the exact status and message.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: target_call PLUGIN.so [KEY=VALUE ...] -- CALL [ARGUMENT ...] [-- CALL ...]
 * Calls, all of one instance: init (the first one only), put KEY FILE, create KEY FILE, get KEY OFFSET LENGTH FILE, stat KEY, list PREFIX, remove KEY...,
 * probe, pause FILE (write the process id to FILE.here, and wait until FILE is there). Each prints a line "CALL STATUS MESSAGE", the status by its name; list
 * prints the keys before. An open that fails is such a line, and the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <holdfast/target.h>

#include "conf.h"

static struct holdfast_target_plugin target;
static const struct holdfast_value *values;
static void *handle;
static FILE *out; /* where the results go */

static void say(const char *call, int status) {
  static const char *const names[] = {"OK",       "FAILED",  "CONFIG",      "NOT_FOUND", "EXISTS",   "AUTH",    "TRANSIENT",
                                      "NO_SPACE", "CORRUPT", "UNSUPPORTED", "FATAL",     "CANCELED", "TIMEOUT", "CHANGED"};
  fprintf(out, "%s %s %s\n", call, status <= 0 && status > -14 ? names[-status] : "?", status ? conf_message() : "");
  fflush(out);
}

static void *slurp(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  if (!f || fseek(f, 0, SEEK_END) != 0) conf_bail("cannot read %s", path);
  *n = (size_t)ftell(f);
  rewind(f);
  void *data = malloc(*n + 1);
  if (!data || fread(data, 1, *n, f) != *n) conf_bail("cannot read %s", path);
  fclose(f);
  return data;
}

static int to_file(void *ctx, const void *data, size_t n) { return fwrite(data, 1, n, ctx) == n ? HOLDFAST_OK : HOLDFAST_E_FAILED; }

static int print_key(void *ctx, const char *key, uint64_t size) {
  (void)ctx;
  fprintf(out, "%s %llu\n", key, (unsigned long long)size);
  return HOLDFAST_OK;
}

static int put(char **a, uint32_t flags) {
  struct holdfast_object o = {.struct_size = sizeof o, .flags = flags, .key = a[1], .sha256 = ""};
  size_t n;
  void *data = slurp(a[2], &n);
  o.data = data;
  o.size = n;
  int status = target.put(handle, &o);
  free(data);
  return status;
}

static int get(char **a) {
  FILE *f = fopen(a[4], "wb");
  if (!f) conf_bail("cannot write %s", a[4]);
  int status = target.get(handle, a[1], strtoull(a[2], NULL, 10), strcmp(a[3], "-") == 0 ? UINT64_MAX : strtoull(a[3], NULL, 10), to_file, f);
  fclose(f);
  return status;
}

static int remove_keys(char **a, int n) {
  int statuses[64] = {0};
  if (n > 64) conf_bail("too many keys");
  return target.remove(handle, (const char *const *)a + 1, (size_t)n - 1, statuses);
}

static int wait_for(const char *file) {
  char here[4096];
  const struct timespec nap = {0, 10000000};
  snprintf(here, sizeof here, "%s.here", file);
  FILE *f = fopen(here, "w");
  if (!f || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0) conf_bail("cannot write %s", here);
  while (access(file, F_OK) != 0) nanosleep(&nap, NULL);
  return HOLDFAST_OK;
}

static int call(char **a, int n) {
  struct holdfast_stat st = {.struct_size = sizeof st};
  if (strcmp(a[0], "put") == 0 && n == 3) return put(a, 0);
  if (strcmp(a[0], "create") == 0 && n == 3) return put(a, HOLDFAST_PUT_CREATE);
  if (strcmp(a[0], "get") == 0 && n == 5) return get(a);
  if (strcmp(a[0], "stat") == 0 && n == 2) return target.stat(handle, a[1], &st);
  if (strcmp(a[0], "list") == 0 && n == 2) return target.list(handle, a[1], print_key, NULL);
  if (strcmp(a[0], "remove") == 0) return remove_keys(a, n);
  if (strcmp(a[0], "pause") == 0 && n == 2) return wait_for(a[1]);
  conf_bail("no such call: %s with %d arguments", a[0], n - 1);
}

struct arguments {
  int argc, first; /* first: of the "--" before the calls */
  char **argv;
};

static void run_calls(void *ctx) {
  const struct arguments *a = ctx;
  conf_load(a->argv[1], HOLDFAST_TARGET_ENTRY, offsetof(struct holdfast_target_plugin, close) + sizeof target.close, sizeof target, &target);
  values = conf_values(target.head.settings, a->argv + 2, a->first - 2);
  const struct holdfast_host *host = conf_host("test");
  const char *name = a->argv[a->first + 1];
  conf_clear();
  bool probe = strcmp(name, "probe") == 0, init = strcmp(name, "init") == 0;
  int status = probe ? target.probe(host, values) : target.open(host, values, init, &handle);
  conf_ok(status == HOLDFAST_OK, "open or probe");
  if (probe || status < 0) {
    say(probe ? "probe" : "open", status);
    return;
  }
  for (int i = a->first + (init ? 2 : 0); i + 1 < a->argc;) {
    int n = 0;
    while (i + 1 + n < a->argc && strcmp(a->argv[i + 1 + n], "--") != 0) n++;
    conf_clear();
    status = call(a->argv + i + 1, n);
    conf_ok(status == HOLDFAST_OK, "%s", a->argv[i + 1]);
    say(a->argv[i + 1], status);
    i += n + 1;
  }
  target.close(handle);
}

/* The results are for the caller's eyes; what the conformance programs share prints on standard error here. */
int main(int argc, char **argv) {
  struct arguments a = {.argc = argc, .first = 2, .argv = argv};
  while (a.first < argc && strcmp(argv[a.first], "--") != 0) a.first++;
  int real = fcntl(1, F_DUPFD_CLOEXEC, 3);
  out = real < 0 ? NULL : fdopen(real, "w");
  if (a.first + 1 >= argc || !out || dup2(2, 1) != 1) {
    fprintf(stderr, "usage: %s PLUGIN.so [KEY=VALUE ...] -- CALL [ARGUMENT ...] [-- CALL ...]\n", argv[0]);
    return 2;
  }
  return conf_run(run_calls, &a);
}
