/* worker_plugin.c - the source plugin of test_worker.c, which compiles it as it runs: what it does is what `mode` says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <holdfast/source.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/worker_proto.h"

enum { S_MODE, S_TEXT };
static const struct holdfast_setting settings[] = {
    [S_MODE] = {"mode", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "What to do"},
    [S_TEXT] = {"text", HOLDFAST_STRING, 0, "none", NULL, "A text to give back"},
    {0},
};

struct handle {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  int at, n;
  uint64_t left;
  FILE *out;
  char directory[512], name[64], text[256];
};

/* As the kernel would do it: a sanitizer in the host may have put a handler there. */
static void crash(void) {
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

static int is(const struct handle *h, const char *mode) { return strcmp(h->values[S_MODE].strings[0], mode) == 0; }

static int t_open(const struct holdfast_host *host, const struct holdfast_value *values, void **out) {
  struct handle *h = calloc(1, sizeof *h);
  h->host = host;
  h->values = values;
  h->n = 100;
  *out = h;
  if (is(h, "open fails")) {
    free(h);
    return holdfast_fail(host, HOLDFAST_E_AUTH, "login refused: %s", values[S_TEXT].strings[0]);
  }
  if (is(h, "who")) {
    snprintf(h->text, sizeof h->text, "uid %u euid %u gid %u home %s", (unsigned)getuid(), (unsigned)geteuid(),
             (unsigned)getgid(), getenv("HOME"));
    host->problem(host->ctx, "who", HOLDFAST_E_FAILED, h->text);
  }
  host->log(host->ctx, HOLDFAST_LOG_WARNING, "a line for the log");
  host->log(host->ctx, HOLDFAST_LOG_DEBUG, "a line for nobody");
  return 0;
}

/* A message the worker's own code would never send. */
static void forge(uint32_t type, uint32_t slot, uint32_t length, uint64_t a, uint64_t b) {
  struct hf_msg m;
  memset(&m, 0, sizeof m);
  m.type = type;
  m.slot = slot;
  m.length = length;
  m.v[0] = a;
  m.v[1] = b;
  send(HF_WORKER_SOCKET, &m, offsetof(struct hf_msg, text), 0);
}

static void misbehave(struct handle *h) {
  const char *text = h->values[S_TEXT].strings[0];
  if (is(h, "crash")) crash();
  if (is(h, "abort")) raise(SIGABRT);
  if (is(h, "exit")) _exit(7);
  if (is(h, "hang"))
    for (;;) pause();
  if (is(h, "garbage")) send(HF_WORKER_SOCKET, text, strlen(text), 0);
  if (is(h, "forge")) {
    unsigned long long v[5] = {0};
    sscanf(text, "%llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4]);
    forge((uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2], v[3], v[4]);
    for (;;) pause();
  }
  if (is(h, "deaf"))
    for (;;) {
      forge(HF_MSG_BYTES, 0, 1, 0, 0);
      forge(HF_MSG_CUT, HF_WORKER_NO_SLOT, 0, 0, 0);
    }
  if (is(h, "greedy")) {
    for (int i = 0; i < 1200; i++) memset(malloc(1 << 20), 1, 1 << 20);
    for (;;) pause();
  }
  if (is(h, "close")) {
    close(HF_WORKER_SOCKET);
    for (;;) pause();
  }
}

static int t_next(void *handle, struct holdfast_entry *e) {
  struct handle *h = handle;
  static char path[50];
  if (h->at == 50) misbehave(h);
  if (is(h, "long path") && h->at == 0) {
    static char longest[9001];
    memset(longest, 'p', 9000);
    h->host->problem(h->host->ctx, longest, HOLDFAST_E_AUTH, "too long for a message");
  }
  if (h->at == h->n) return 0;
  if (is(h, "list fails") && h->at == 20) return holdfast_fail(h->host, HOLDFAST_E_TRANSIENT, "the list broke off");
  e->cookie = (uint64_t)h->at;
  e->mode = 0644;
  e->mtime = e->ctime = 1700000000;
  if (h->at == h->n - 1) {
    e->kind = HOLDFAST_STREAM;
    e->path = "dump";
    e->size = HOLDFAST_SIZE_UNKNOWN;
  } else {
    e->kind = HOLDFAST_FILE;
    snprintf(path, sizeof path, "f%04d", h->at);
    e->path = path;
    e->size = h->at == 30 ? 9000000 : 20000;
  }
  h->at++;
  return 1;
}

static int t_entry_open(void *handle, struct holdfast_entry *e) {
  struct handle *h = handle;
  h->left = e->kind == HOLDFAST_STREAM ? 5000000 : e->size;
  if (is(h, "problems") && e->cookie == 3) return holdfast_fail(h->host, HOLDFAST_E_AUTH, "not allowed");
  return 0;
}

static int64_t t_read(void *handle, void *buf, size_t n) {
  struct handle *h = handle;
  if (n > h->left) n = h->left;
  memset(buf, (int)(h->left & 0xff), n);
  h->left -= n;
  return (int64_t)n;
}

static int t_entry_close(void *handle) { return (void)handle, 0; }

static int t_finish(void *handle, const char **state) {
  struct handle *h = handle;
  static char big[70000];
  *state = "{\"position\": 42}";
  if (is(h, "no json")) *state = "position 42";
  if (is(h, "big state")) {
    memset(big, ' ', sizeof big - 1);
    *state = big;
  }
  if (is(h, "finish fails")) return holdfast_fail(h->host, HOLDFAST_E_CORRUPT, "not consistent");
  if (is(h, "daemon") && fork() == 0)
    for (;;) pause();
  return 0;
}

static void t_close(void *handle) { free(handle); }

static int t_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  if (strcmp(values[S_MODE].strings[0], "fail") == 0)
    return holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "no such server: %s", values[S_TEXT].strings[0]);
  if (strcmp(values[S_MODE].strings[0], "crash") == 0) crash();
  return holdfast_fail(host, HOLDFAST_OK, "server of version 1: %s", values[S_TEXT].strings[0]);
}

static int t_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory,
                    const char *state) {
  (void)values;
  return holdfast_fail(host, strcmp(state, "{}") == 0 ? HOLDFAST_OK : HOLDFAST_E_CORRUPT, "%s with %s", directory, state);
}

static int t_restore_open(const struct holdfast_host *host, const struct holdfast_value *values,
                          const struct holdfast_restore *how, void **out) {
  struct handle *h = calloc(1, sizeof *h);
  h->host = host;
  h->values = values;
  snprintf(h->directory, sizeof h->directory, "%s", how->directory);
  *out = h;
  if (!is(h, "open fails")) return 0;
  free(h);
  return holdfast_fail(host, HOLDFAST_E_CONFIG, "mode %u, state %s", how->mode, how->state);
}

static int t_restore_tree(void *handle, const char *stream, char *dir, size_t cap) {
  struct handle *h = handle;
  if (is(h, "relative"))
    snprintf(dir, cap, "somewhere");
  else
    snprintf(dir, cap, "%s/%s", h->directory, stream);
  return 0;
}

static int t_restore_begin(void *handle, const char *stream, uint64_t size) {
  struct handle *h = handle;
  char path[700];
  snprintf(path, sizeof path, "%s/%s", h->directory, stream);
  h->out = fopen(path, "wb");
  h->left = size;
  return h->out ? 0 : holdfast_fail(h->host, HOLDFAST_E_FAILED, "cannot write %s", path);
}

static int t_restore_write(void *handle, const void *buf, size_t n) {
  struct handle *h = handle;
  if (is(h, "full") && h->left < 3000000) return holdfast_fail(h->host, HOLDFAST_E_NO_SPACE, "the disk is full");
  if (is(h, "crash")) crash();
  if (fwrite(buf, 1, n, h->out) != n) return HOLDFAST_E_FAILED;
  h->left -= n;
  return 0;
}

static int t_restore_end(void *handle) {
  struct handle *h = handle;
  fclose(h->out);
  h->out = NULL;
  return h->left == 0 ? 0 : holdfast_fail(h->host, HOLDFAST_E_CORRUPT, "%llu bytes are missing", (unsigned long long)h->left);
}

static int t_restore_finish(void *handle, int complete) {
  struct handle *h = handle;
  return holdfast_fail(h->host, complete ? HOLDFAST_OK : HOLDFAST_E_FAILED, "left as it was");
}

static void t_restore_close(void *handle) {
  struct handle *h = handle;
  if (h->out) fclose(h->out);
  free(h);
}

#ifndef NAME
#define NAME "worker"
#endif

static const struct holdfast_source_plugin plugin = {
    .head = {sizeof plugin, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, NAME, "1", "For the tests of the worker", settings},
    .open = t_open,
    .next = t_next,
    .entry_open = t_entry_open,
    .read = t_read,
    .entry_close = t_entry_close,
    .finish = t_finish,
    .close = t_close,
#ifndef BARE
    .probe = t_probe,
    .restore_open = t_restore_open,
    .restore_tree = t_restore_tree,
    .restore_begin = t_restore_begin,
    .restore_write = t_restore_write,
    .restore_end = t_restore_end,
    .restore_finish = t_restore_finish,
    .restore_close = t_restore_close,
    .verify = t_verify,
#endif
};
HOLDFAST_SOURCE_PLUGIN(plugin)
