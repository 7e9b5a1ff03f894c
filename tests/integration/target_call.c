/* target_call.c - call a target plugin from a script, callback by callback, and see statuses and messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: target_call PLUGIN.so [KEY=VALUE ...] -- OPERATION ...
 * Operations, each one argument, all but "probe" on one instance: "open", "init" (open with create), "probe", "put KEY TEXT", "create KEY TEXT",
 * "putfile KEY FILE", "get KEY [OFFSET LENGTH]", "stat KEY", "list PREFIX", "remove KEY ...", "caps". Each prints a line: the operation, the status
 * by name, what came back or the message. "extend KEY ..." and "thaw KEY ..." give the status of each key. Stops at an open that fails.
 * What the host lends is taken from TARGET_PROXY, TARGET_CA_FILE, TARGET_LIMIT (bytes a second, both ways; it is only counted how much goes).
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/target.h>

#include "../conformance/sha256.h"

#define ROWS 64
#define WORDS 16

static char message[1024];

static void host_log(void *ctx, int level, const char *text) {
  (void)ctx;
  printf("log %d %s\n", level, text);
}

static void host_error(void *ctx, const char *text) {
  (void)ctx;
  snprintf(message, sizeof message, "%s", text);
}

static int host_cancelled(void *ctx) {
  (void)ctx;
  return 0;
}

static atomic_size_t paced[2];

static int host_pace(void *ctx, int up, size_t n) {
  (void)ctx;
  atomic_fetch_add(&paced[up != 0], n);
  if (n > 64 << 10) printf("log 0 a piece of %zu bytes is too large\n", n);
  return 0;
}

static void host_retry_after(void *ctx, int64_t seconds) {
  (void)ctx;
  printf("retry-after %" PRId64 "\n", seconds);
}

static struct holdfast_host host = {.struct_size = sizeof host,
                                    .instance = "test",
                                    .log = host_log,
                                    .error = host_error,
                                    .cancelled = host_cancelled,
                                    .pace = host_pace,
                                    .retry_after = host_retry_after};

_Noreturn static void die(const char *what, const char *which) {
  printf("Bail out! %s %s\n", what, which);
  exit(2);
}

static const char *name_of(int status) {
  static const char *const names[] = {"ok",       "failed",  "config",      "not-found", "exists",   "auth",    "transient",
                                      "no-space", "corrupt", "unsupported", "fatal",     "canceled", "timeout", "changed"};
  return status <= 0 && -status < (int)(sizeof names / sizeof *names) ? names[-status] : "?";
}

/* "30", "30d", "4K", "yes": enough for tests. */
static int64_t number_of(const char *s) {
  char *end;
  int64_t n = strtoll(s, &end, 10);
  if (strcmp(s, "yes") == 0) return 1;
  switch (*end) {
  case 'm': return n * 60;
  case 'h': return n * 3600;
  case 'd': return n * 86400;
  case 'K': return n << 10;
  case 'M': return n << 20;
  default: return n;
  }
}

static struct holdfast_value *values_of(const struct holdfast_setting *rows, char **args, int n) {
  static struct holdfast_value v[ROWS];
  static const char *texts[ROWS];
  size_t i;
  for (i = 0; rows[i].name && i < ROWS; i++) {
    v[i].name = rows[i].name;
    texts[i] = rows[i].def;
    for (int k = 0; k < n; k++) {
      size_t len = strlen(rows[i].name);
      if (strncmp(args[k], rows[i].name, len) == 0 && args[k][len] == '=') texts[i] = args[k] + len + 1;
    }
    v[i].strings = &texts[i];
    v[i].count = texts[i] ? 1 : 0;
    v[i].number = texts[i] ? number_of(texts[i]) : 0;
  }
  if (i == ROWS) die("too many settings", "");
  return v;
}

struct bytes {
  char *p;
  size_t n, cap;
};

static void add(struct bytes *b, const void *p, size_t n) {
  if (b->cap - b->n <= n) {
    b->cap = 2 * (b->cap + n + 1);
    b->p = realloc(b->p, b->cap);
    if (!b->p) die("out of memory", "");
  }
  if (n) memcpy(b->p + b->n, p, n);
  b->n += n;
  b->p[b->n] = '\0';
}

static int sink(void *ctx, const void *data, size_t n) {
  add(ctx, data, n);
  return 0;
}

static int lister(void *ctx, const char *key, uint64_t size) {
  char number[32];
  add(ctx, " ", 1);
  add(ctx, key, strlen(key));
  snprintf(number, sizeof number, ":%" PRIu64, size);
  add(ctx, number, strlen(number));
  return 0;
}

static int put(const struct holdfast_target_plugin *p, void *h, const char *key, const void *data, size_t n, uint32_t flags) {
  char hex[65];
  sha256_hex(data, n, hex);
  const struct holdfast_object o = {.struct_size = sizeof o, .flags = flags, .key = key, .data = data, .size = n, .sha256 = hex};
  return p->put(h, &o);
}

static int putfile(const struct holdfast_target_plugin *p, void *h, const char *key, const char *file) {
  struct bytes b = {0};
  char piece[65536];
  size_t n;
  FILE *f = fopen(file, "re");
  if (!f) die("cannot open", file);
  while ((n = fread(piece, 1, sizeof piece, f)) > 0) add(&b, piece, n);
  fclose(f);
  int status = put(p, h, key, b.p ? b.p : "", b.n, 0);
  free(b.p);
  return status;
}

/* Is it an operation on many keys, each with a status of its own? */
static int names_keys(const char *op) { return strcmp(op, "remove") == 0 || strcmp(op, "extend") == 0 || strcmp(op, "thaw") == 0; }

/* One operation on an open instance; out gets what it says when all is well. */
static int operate(const struct holdfast_target_plugin *p, void *h, char **w, size_t n, struct bytes *out) {
  int statuses[WORDS] = {0};
  struct holdfast_stat st = {.struct_size = sizeof st};
  char text[200];
  if (strcmp(w[0], "put") == 0 || strcmp(w[0], "create") == 0)
    return put(p, h, w[1], n > 2 ? w[2] : "", n > 2 ? strlen(w[2]) : 0, w[0][0] == 'c' ? HOLDFAST_PUT_CREATE : 0);
  if (strcmp(w[0], "putfile") == 0) return putfile(p, h, w[1], w[2]);
  if (strcmp(w[0], "get") == 0) return p->get(h, w[1], n > 2 ? strtoull(w[2], NULL, 10) : 0, n > 3 ? strtoull(w[3], NULL, 10) : UINT64_MAX, sink, out);
  if (strcmp(w[0], "list") == 0) return p->list(h, n > 1 ? w[1] : "", lister, out);
  if (strcmp(w[0], "stat") == 0) {
    int status = p->stat(h, w[1], &st);
    snprintf(text, sizeof text, "%" PRIu64 " %s", st.size, st.sha256);
    if (status == 0) add(out, text, strlen(text));
    return status;
  }
  if (names_keys(w[0])) {
    int (*many)(void *, const char *const *, size_t, int *) = w[0][0] == 'r' ? p->remove : w[0][0] == 'e' ? p->extend : p->thaw;
    if (!many) die("the plugin has no", w[0]);
    int status = many(h, (const char *const *)w + 1, n - 1, statuses);
    for (size_t i = 0; i < n - 1; i++) snprintf(text, sizeof text, "%s%s", i ? "," : "", name_of(statuses[i])), add(out, text, strlen(text));
    return status;
  }
  if (strcmp(w[0], "caps") == 0) {
    snprintf(text, sizeof text, "%u %u", p->capabilities(h), p->parallel(h));
    add(out, text, strlen(text));
    return 0;
  }
  die("no such operation:", w[0]);
}

int main(int argc, char **argv) {
  int at = 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  host.proxy = getenv("TARGET_PROXY");
  host.ca_file = getenv("TARGET_CA_FILE");
  if (getenv("TARGET_LIMIT")) host.limit_up = host.limit_down = strtoull(getenv("TARGET_LIMIT"), NULL, 10);
  while (at < argc && strcmp(argv[at], "--") != 0) at++;
  if (at >= argc) die("usage: target_call PLUGIN.so [KEY=VALUE ...] -- OPERATION ...", "");
  void *so = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!so) die("cannot load:", dlerror());
  const struct holdfast_target_plugin *(*entry)(void) = (const struct holdfast_target_plugin *(*)(void))dlsym(so, HOLDFAST_TARGET_ENTRY);
  if (!entry) die("no entry in", argv[1]);
  const struct holdfast_target_plugin *p = entry();
  const struct holdfast_value *v = values_of(p->head.settings, argv + 2, at - 2);
  void *h = NULL;
  for (int i = at + 1; i < argc; i++) {
    char *w[WORDS + 1] = {NULL}, *save = NULL, *op = strdup(argv[i]);
    size_t n = 0;
    struct bytes out = {0};
    int status;
    for (char *word = strtok_r(op, " ", &save); word && n < WORDS; word = strtok_r(NULL, " ", &save)) w[n++] = word;
    if (n == 0) die("an empty operation", "");
    message[0] = '\0';
    add(&out, "", 0);
    if (strcmp(w[0], "open") == 0 || strcmp(w[0], "init") == 0) status = p->open(&host, v, w[0][0] == 'i', &h);
    else if (strcmp(w[0], "probe") == 0) status = p->probe(&host, v);
    else status = operate(p, h, w, n, &out);
    printf("%s: %s %s%s%s\n", w[0], name_of(status), status == 0 || names_keys(w[0]) ? out.p : "",
           status && *out.p && names_keys(w[0]) ? " " : "", status || !strcmp(w[0], "probe") ? message : "");
    free(out.p);
    free(op);
    if (!h && status != 0) return 1;
  }
  if (h) p->close(h);
  return 0;
}
