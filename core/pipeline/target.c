/* target.c - calling target plugins: whole keys, retries, messages.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/target.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

struct hf_target {
  const struct hf_manifest_target *m;
  const struct holdfast_target_plugin *plugin;
  struct holdfast_host host;
  char *prefix; /* "PREFIX/HOST/" */
  void *handle;
  volatile int *cancel;
  sem_t slots;
  pthread_mutex_t lock;
  struct hf_error failure;
  bool failed;
};

/* The plugin's message travels with the status its callback returns, in the thread that runs the callback. */
static _Thread_local char last_message[1000];

static void host_log(void *ctx, int level, const char *message) {
  const struct hf_target *t = ctx;
  static const enum hf_log_level map[] = {HF_LOG_WARNING, HF_LOG_WARNING, HF_LOG_NOTICE, HF_LOG_INFO, HF_LOG_DEBUG};
  hf_log(map[level < 0 || level > 4 ? 1 : level], "target %s: %s", t->m->name, message);
}

static void host_error(void *ctx HF_UNUSED, const char *message) { snprintf(last_message, sizeof last_message, "%s", message); }

static int host_cancelled(void *ctx) {
  const struct hf_target *t = ctx;
  return t->cancel && *t->cancel;
}

static void host_problem(void *ctx, const char *path, int status HF_UNUSED, const char *message) {
  const struct hf_target *t = ctx;
  hf_log(HF_LOG_WARNING, "target %s: %s: %s", t->m->name, path, message);
}

static int fail(const struct hf_target *t, int status, const char *doing, const char *key, struct hf_error *err) {
  if (status > 0 || status < HOLDFAST_E_USAGE) status = HOLDFAST_E_FAILED;
  return hf_fail(err, status, "target %s: %s%s%s: %s", t->m->name, doing, key ? " " : "", key ? key : "", last_message[0] ? last_message : hf_status_name(status));
}

int hf_target_open(const struct hf_manifest_target *m, const char *host, bool create, volatile int *cancel, struct hf_target **out, struct hf_error *err) {
  struct hf_target *t = hf_alloc(sizeof *t);
  t->m = m;
  t->plugin = &m->plugin->target;
  t->cancel = cancel;
  t->prefix = m->prefix && *m->prefix ? hf_asprintf("%s/%s/", m->prefix, host) : hf_asprintf("%s/", host);
  t->host = (struct holdfast_host){.struct_size = sizeof t->host, .ctx = t, .instance = m->name, .log = host_log, .error = host_error, .cancelled = host_cancelled, .problem = host_problem};
  pthread_mutex_init(&t->lock, NULL);
  last_message[0] = 0;
  int r = t->plugin->open(&t->host, m->settings->values, create, &t->handle);
  if (r != 0) {
    r = fail(t, r, "cannot open", NULL, err);
    pthread_mutex_destroy(&t->lock);
    free(t->prefix);
    free(t);
    return r;
  }
  uint32_t n = t->plugin->parallel(t->handle);
  sem_init(&t->slots, 0, n < 1 ? 1 : HF_MIN(n, 64u));
  *out = t;
  return 0;
}

void hf_target_close(struct hf_target *t) {
  if (!t) return;
  t->plugin->close(t->handle);
  sem_destroy(&t->slots);
  pthread_mutex_destroy(&t->lock);
  free(t->prefix);
  free(t);
}

const char *hf_target_name(const struct hf_target *t) { return t->m->name; }

void hf_target_set_failed(struct hf_target *t, const struct hf_error *why) {
  pthread_mutex_lock(&t->lock);
  bool first = !t->failed;
  if (first) {
    t->failure = *why;
    t->failed = true;
  }
  pthread_mutex_unlock(&t->lock);
  if (first) hf_log(HF_LOG_ERROR, "%s: this target drops out of the run", why->msg);
}

const char *hf_target_failure(struct hf_target *t) {
  pthread_mutex_lock(&t->lock);
  const char *msg = t->failed ? t->failure.msg : NULL;
  pthread_mutex_unlock(&t->lock);
  return msg;
}

static void enter(struct hf_target *t) {
  while (sem_wait(&t->slots) < 0) continue;
  last_message[0] = 0;
}

static void leave(struct hf_target *t) { sem_post(&t->slots); }

/* After a transient failure: wait and say whether to try again. */
static bool again(const struct hf_target *t, int status, unsigned attempt) {
  if (status != HOLDFAST_E_TRANSIENT || attempt >= HF_TARGET_TRIES) return false;
  unsigned char jitter;
  hf_random(&jitter, 1);
  long ms = (250L << (attempt - 1)) * (192 + jitter / 2) / 256;
  hf_log(HF_LOG_INFO, "target %s: %s; trying again in %ld ms", t->m->name, last_message, ms);
  for (; ms > 0; ms -= 50) {
    if (t->cancel && *t->cancel) return false;
    struct timespec ts = {0, HF_MIN(ms, 50L) * 1000000L};
    nanosleep(&ts, NULL);
  }
  return true;
}

int hf_target_put(struct hf_target *t, const char *key, const void *p, size_t n, const struct hf_digest *sha256, bool create_only, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, key);
  char hex[HF_SHA256_HEX];
  hf_digest_hex(sha256, hex);
  struct holdfast_object o = {.struct_size = sizeof o, .flags = create_only ? HOLDFAST_PUT_CREATE : 0, .key = full, .data = p, .size = n, .sha256 = hex};
  for (unsigned attempt = 1;; attempt++) {
    enter(t);
    int r = t->plugin->put(t->handle, &o);
    leave(t);
    if (r == 0) return 0;
    if (!again(t, r, attempt)) return fail(t, r, "cannot store", key, err);
  }
}

struct sink {
  struct hf_buf *out;
  size_t start, max;
  bool over;
};

static int take(void *ctx, const void *p, size_t n) {
  struct sink *s = ctx;
  if (n > s->max - (s->out->len - s->start)) {
    s->over = true;
    return HOLDFAST_E_CORRUPT;
  }
  hf_buf_add(s->out, p, n);
  return 0;
}

int hf_target_get(struct hf_target *t, const char *key, size_t max, struct hf_buf *out, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, key);
  struct sink s = {.out = out, .start = out->len, .max = max};
  for (unsigned attempt = 1;; attempt++) {
    enter(t);
    int r = t->plugin->get(t->handle, full, 0, UINT64_MAX, take, &s);
    leave(t);
    /* A plugin that goes on after what the sink said has not given the whole object either. */
    if (r == 0 && !s.over) return 0;
    out->len = s.start;
    if (s.over) return hf_fail(err, HOLDFAST_E_CORRUPT, "target %s: %s is larger than the %zu bytes it may have", t->m->name, key, max);
    if (!again(t, r, attempt)) return fail(t, r, "cannot read", key, err);
  }
}

int hf_target_get_checked(struct hf_target *t, const char *key, size_t max, const struct hf_digest *want, struct hf_buf *out, struct hf_error *err) {
  size_t start = out->len;
  int r = hf_target_get(t, key, max, out, err);
  if (r < 0) return r;
  struct hf_digest got;
  hf_sha256(out->data ? out->data + start : "", out->len - start, &got);
  if (hf_digest_eq(&got, want)) return 0;
  char hex[HF_SHA256_HEX];
  hf_digest_hex(&got, hex);
  out->len = start;
  return hf_fail(err, HOLDFAST_E_CORRUPT, "target %s: %s is damaged: its bytes have the digest %s", t->m->name, key, hex);
}

int hf_target_stat(struct hf_target *t, const char *key, uint64_t *size, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, key);
  struct holdfast_stat st = {.struct_size = sizeof st};
  for (unsigned attempt = 1;; attempt++) {
    enter(t);
    int r = t->plugin->stat(t->handle, full, &st);
    leave(t);
    if (r == 0) {
      *size = st.size;
      return 0;
    }
    if (!again(t, r, attempt)) return fail(t, r, "cannot look at", key, err);
  }
}

struct lister {
  const struct hf_target *t;
  int (*fn)(void *ctx, const char *key, uint64_t size);
  void *ctx;
  size_t skip;
  bool called;
  int refused; /* what fn returned */
};

static int listed(void *ctx, const char *key, uint64_t size) {
  struct lister *l = ctx;
  if (strncmp(key, l->t->prefix, l->skip) != 0) return 0;
  if (l->refused < 0) return l->refused; /* the plugin did not stop when it was told */
  l->called = true;
  return l->refused = l->fn(l->ctx, key + l->skip, size);
}

int hf_target_list(struct hf_target *t, const char *prefix, int (*fn)(void *, const char *, uint64_t), void *ctx, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, prefix);
  struct lister l = {.t = t, .fn = fn, .ctx = ctx, .skip = strlen(t->prefix)};
  for (unsigned attempt = 1;; attempt++) {
    enter(t);
    int r = t->plugin->list(t->handle, full, listed, &l);
    leave(t);
    if (l.refused < 0) return hf_fail(err, l.refused, "target %s: listing %s was given up", t->m->name, prefix);
    if (r == 0) return 0;
    if (l.called || !again(t, r, attempt)) return fail(t, r, "cannot list", prefix, err);
  }
}

int hf_target_remove(struct hf_target *t, const char *key, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, key);
  const char *keys[1] = {full};
  for (unsigned attempt = 1;; attempt++) {
    int status = 0;
    enter(t);
    int r = t->plugin->remove(t->handle, keys, 1, &status);
    leave(t);
    if (r == 0) return 0;
    if (!again(t, r, attempt)) return fail(t, r, "cannot delete", key, err);
  }
}

int hf_target_space(struct hf_target *t, uint64_t *free_bytes, uint64_t *total, struct hf_error *err) {
  struct holdfast_space sp = {.struct_size = sizeof sp};
  if (!t->plugin->space) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "target %s: does not know its space", t->m->name);
  enter(t);
  int r = t->plugin->space(t->handle, &sp);
  leave(t);
  if (r != 0) return fail(t, r, "cannot tell the free space", NULL, err);
  *free_bytes = sp.free;
  *total = sp.total;
  return 0;
}

uint32_t hf_target_capabilities(struct hf_target *t) { return t->plugin->capabilities(t->handle); }

const char *hf_target_message(const char *name, const char *msg) {
  size_t n = strlen(name);
  bool named = strncmp(msg, "target ", 7) == 0 && strncmp(msg + 7, name, n) == 0 && strncmp(msg + 7 + n, ": ", 2) == 0;
  return named ? msg + 9 + n : msg;
}
