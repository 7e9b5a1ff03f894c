/* target.c - calling target plugins: whole keys, retries, messages.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/target.h"

#include <pthread.h>
#include <semaphore.h>

#include "base/queue.h"
#include "base/text.h"
#include "pipeline/pace.h"

#define FIRST_WAIT 0.5  /* seconds, doubling with each try */
#define LONGEST_WAIT 60 /* but where the far end names a time */
#define BATCH 1000      /* keys of one call */
#define BATCH_EACH 100  /* where the plugin asks for each key on its own: several calls at once */
#define UNSAID 1        /* a status that the plugin has not set */

struct hf_target {
  const struct hf_manifest_target *m;
  const struct holdfast_target_plugin *plugin;
  struct holdfast_host host;
  char *prefix; /* "PREFIX/HOST/" */
  void *handle;
  volatile int *cancel;
  struct hf_pace pace;
  uint32_t parallel;
  bool frees;
  sem_t slots;
  pthread_mutex_t lock; /* over what follows */
  struct hf_error failure;
  bool failed;
  double latency, per_byte; /* seconds, as this run has seen them; 0: not yet */
};

/* The plugin's message travels with the status its callback returns, in the thread that runs the callback; so does the time it asks to wait. */
static _Thread_local char last_message[1000];
static _Thread_local int64_t last_wait;

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

static int host_pace(void *ctx, int up, size_t n) {
  struct hf_target *t = ctx;
  return hf_pace_wait(&t->pace, up != 0, n, t->cancel);
}

static void host_retry_after(void *ctx HF_UNUSED, int64_t seconds) { last_wait = HF_MAX(seconds, 0); }

static int fail(const struct hf_target *t, int status, const char *doing, const char *key, struct hf_error *err) {
  if (status > 0 || status < HOLDFAST_E_USAGE) status = HOLDFAST_E_FAILED;
  return hf_fail(err, status, "target %s: %s%s%s: %s", t->m->name, doing, key ? " " : "", key ? key : "", last_message[0] ? last_message : hf_status_name(status));
}

void hf_target_close(struct hf_target *t) {
  if (!t) return;
  t->plugin->close(t->handle);
  sem_destroy(&t->slots);
  hf_pace_destroy(&t->pace);
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

bool hf_target_has_failed(struct hf_target *t, struct hf_error *why) {
  pthread_mutex_lock(&t->lock);
  bool failed = t->failed;
  if (failed) *why = t->failure;
  pthread_mutex_unlock(&t->lock);
  return failed;
}

static void forget_last(void) {
  last_message[0] = 0;
  last_wait = 0;
}

static void enter(struct hf_target *t) {
  while (sem_wait(&t->slots) < 0) continue;
  forget_last();
}

static void leave(struct hf_target *t) { sem_post(&t->slots); }

/* ---- trying again ---- */

struct tries {
  unsigned n;
  double until; /* no try begins after this */
};

static struct tries first_try(const struct hf_target *t) { return (struct tries){.until = hf_now() + (double)t->m->deadline}; }

/* How long to wait before the next try: what the far end asks for, else anything up to a bound that doubles, so that many hosts do not come
 * back all at once. */
static double wait_before(unsigned n) {
  uint32_t dice;
  hf_random(&dice, sizeof dice);
  double part = dice / (double)UINT32_MAX, most = FIRST_WAIT * (double)(1u << HF_MIN(n, 16u));
  return last_wait > 0 ? (double)last_wait * (1 + part / 10) : HF_MIN(most, LONGEST_WAIT) * part;
}

/* After a failure: wait and say whether to try again. */
static bool again(struct hf_target *t, int status, struct tries *tries) {
  if (status != HOLDFAST_E_TRANSIENT || tries->n >= t->m->retries || hf_target_failure(t)) return false;
  double wait = wait_before(tries->n++);
  if (hf_now() + wait > tries->until) {
    char said[sizeof last_message];
    snprintf(said, sizeof said, "%s", last_message);
    snprintf(last_message, sizeof last_message, "%.900s (and there is no time to try again: deadline is %llds)", said, (long long)t->m->deadline);
    return false;
  }
  hf_log(HF_LOG_INFO, "target %s: %s; trying again in %.1f s", t->m->name, last_message[0] ? last_message : hf_status_name(status), wait);
  return hf_sleep(wait, t->cancel);
}

/* ---- opening ---- */

int hf_target_open(const struct hf_manifest_target *m, const char *host, bool create, volatile int *cancel, struct hf_target **out, struct hf_error *err) {
  struct hf_target *t = hf_alloc(sizeof *t);
  t->m = m;
  t->plugin = &m->plugin->target;
  t->cancel = cancel;
  t->prefix = m->prefix && *m->prefix ? hf_asprintf("%s/%s/", m->prefix, host) : hf_asprintf("%s/", host);
  t->host = (struct holdfast_host){.struct_size = sizeof t->host, .ctx = t, .instance = m->name, .log = host_log, .error = host_error, .cancelled = host_cancelled,
                                   .problem = host_problem, .proxy = m->proxy, .ca_file = m->ca_file, .limit_up = m->limit_up, .limit_down = m->limit_down,
                                   .pace = host_pace, .retry_after = host_retry_after};
  pthread_mutex_init(&t->lock, NULL);
  hf_pace_init(&t->pace, m->limit_down, m->limit_up);
  int r;
  for (struct tries tries = first_try(t);;) {
    forget_last();
    r = t->plugin->open(&t->host, m->settings->values, create, &t->handle);
    if (r == 0 || !again(t, r, &tries)) break;
  }
  if (r != 0) {
    r = fail(t, r, "cannot open", NULL, err);
    hf_pace_destroy(&t->pace);
    pthread_mutex_destroy(&t->lock);
    free(t->prefix);
    free(t);
    return r;
  }
  uint32_t n = t->plugin->parallel(t->handle), most = m->parallel ? m->parallel : 64;
  t->parallel = n < 1 ? 1 : HF_MIN(n, most);
  sem_init(&t->slots, 0, t->parallel);
  *out = t;
  return 0;
}

/* ---- nearness ---- */

/* What a call has taken: a moving average, so that a slow start is forgotten. */
static void measure(struct hf_target *t, double seconds, size_t bytes) {
  double *v = bytes >= HF_MIB ? &t->per_byte : &t->latency, now = bytes >= HF_MIB ? seconds / (double)bytes : seconds;
  pthread_mutex_lock(&t->lock);
  *v = *v > 0 ? *v * 0.75 + now * 0.25 : now;
  pthread_mutex_unlock(&t->lock);
}

double hf_target_distance(struct hf_target *t) {
  pthread_mutex_lock(&t->lock);
  /* Where no large object has been read yet, a quick answer speaks for a near one: sixteen round trips. */
  double d = t->latency + (t->per_byte > 0 ? t->per_byte * 16 * HF_MIB : 16 * t->latency);
  pthread_mutex_unlock(&t->lock);
  return d;
}

bool hf_target_is_local(const struct hf_target *t) { return strcmp(t->plugin->head.name, "local") == 0; }

uint32_t hf_target_parallel(const struct hf_target *t) { return t->parallel; }

/* ---- calls ---- */

void hf_target_set_frees(struct hf_target *t, bool on) { t->frees = on; }

int hf_target_put(struct hf_target *t, const char *key, const void *p, size_t n, const struct hf_digest *sha256, bool create_only, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, key);
  char hex[HF_SHA256_HEX];
  hf_digest_hex(sha256, hex);
  struct holdfast_object o = {.struct_size = sizeof o, .flags = (create_only ? HOLDFAST_PUT_CREATE : 0) | (t->frees ? HOLDFAST_PUT_FREES : 0), .key = full, .data = p, .size = n, .sha256 = hex};
  for (struct tries tries = first_try(t);;) {
    enter(t);
    int r = t->plugin->put(t->handle, &o);
    leave(t);
    if (r == 0) return 0;
    if (!again(t, r, &tries)) return fail(t, r, "cannot store", key, err);
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
  for (struct tries tries = first_try(t);;) {
    enter(t);
    double start = hf_now();
    int r = t->plugin->get(t->handle, full, 0, UINT64_MAX, take, &s);
    leave(t);
    /* A plugin that goes on after what the sink said has not given the whole object either. */
    if (r == 0 && !s.over) {
      measure(t, hf_now() - start, out->len - s.start);
      return 0;
    }
    out->len = s.start;
    if (s.over) return hf_fail(err, HOLDFAST_E_CORRUPT, "target %s: %s is larger than the %zu bytes it may have", t->m->name, key, max);
    if (!again(t, r, &tries)) return fail(t, r, "cannot read", key, err);
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
  for (struct tries tries = first_try(t);;) {
    enter(t);
    double start = hf_now();
    int r = t->plugin->stat(t->handle, full, &st);
    leave(t);
    if (r == 0) {
      measure(t, hf_now() - start, 0);
      *size = st.size;
      return 0;
    }
    if (!again(t, r, &tries)) return fail(t, r, "cannot look at", key, err);
  }
}

/* ---- listing ---- */

/* What a key is remembered by: 16 bytes of its SHA-256. */
struct mark { unsigned char b[16]; };

/* A listing that breaks off is begun again from its start, and what was told is not told twice. Memory: 16 bytes for each key. */
struct lister {
  const struct hf_target *t;
  int (*fn)(void *ctx, const char *key, uint64_t size);
  void *ctx;
  size_t skip;
  int refused; /* what fn returned */
  struct mark *told;
  size_t n, cap, sorted; /* the first `sorted` of them are those of earlier tries, in order */
};

static int by_mark(const void *a, const void *b) { return memcmp(a, b, sizeof(struct mark)); }

static int listed(void *ctx, const char *key, uint64_t size) {
  struct lister *l = ctx;
  struct hf_digest d;
  struct mark m;
  if (strncmp(key, l->t->prefix, l->skip) != 0) return 0;
  if (l->refused < 0) return l->refused; /* the plugin did not stop when it was told */
  hf_sha256(key, strlen(key), &d);
  memcpy(m.b, d.b, sizeof m.b);
  if (l->sorted && bsearch(&m, l->told, l->sorted, sizeof m, by_mark)) return 0;
  if (l->n == l->cap) {
    l->cap = l->cap ? l->cap * 2 : 256;
    l->told = hf_realloc(l->told, l->cap * sizeof *l->told);
  }
  l->told[l->n++] = m;
  return l->refused = l->fn(l->ctx, key + l->skip, size);
}

static int list(struct hf_target *t, const char *prefix, struct lister *l, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *full = hf_asprintf("%s%s", t->prefix, prefix);
  for (struct tries tries = first_try(t);;) {
    enter(t);
    double start = hf_now();
    int r = t->plugin->list(t->handle, full, listed, l);
    leave(t);
    if (l->refused < 0) return hf_fail(err, l->refused, "target %s: listing %s was given up", t->m->name, prefix);
    if (r == 0) {
      if (l->n <= BATCH) measure(t, hf_now() - start, 0); /* more are several pages */
      return 0;
    }
    if (!again(t, r, &tries)) return fail(t, r, "cannot list", prefix, err);
    if (l->n) qsort(l->told, l->n, sizeof *l->told, by_mark);
    l->sorted = l->n;
  }
}

int hf_target_list(struct hf_target *t, const char *prefix, int (*fn)(void *, const char *, uint64_t), void *ctx, struct hf_error *err) {
  struct lister l = {.t = t, .fn = fn, .ctx = ctx, .skip = strlen(t->prefix)};
  int r = list(t, prefix, &l, err);
  free(l.told);
  return r;
}

/* ---- many keys at once ---- */

struct many {
  struct hf_target *t;
  const char *doing; /* "delete" */
  int (*call)(void *handle, const char *const *keys, size_t n, int *statuses);
  bool pending_is_final; /* HOLDFAST_E_TRANSIENT of a key is an answer, not a failure */
  size_t batch;          /* keys of a call */
  const char *const *keys;
  size_t n;
  int *statuses;
  pthread_mutex_t lock; /* over what follows */
  char said[1000];      /* the first message that goes with a bad status */
};

/* One call, and the statuses it leaves. Fills again[] with the numbers of the keys to be asked about once more; returns how many. */
static size_t many_call(struct many *m, char *const *full, size_t *which, size_t left, int *statuses) {
  HF_CLEANUP(hf_freep) const char **keys = hf_allocn(left, sizeof *keys);
  HF_CLEANUP(hf_freep) int *got = hf_allocn(left, sizeof *got);
  size_t more = 0;
  for (size_t i = 0; i < left; i++) {
    keys[i] = full[which[i]];
    got[i] = UNSAID;
  }
  enter(m->t);
  int r = m->call(m->t->handle, keys, left, got);
  leave(m->t);
  if (r > 0 || r < HOLDFAST_E_USAGE) r = HOLDFAST_E_FAILED;
  for (size_t i = 0; i < left; i++) {
    size_t k = which[i];
    bool said = got[i] <= 0 && got[i] >= HOLDFAST_E_USAGE;
    statuses[k] = said ? got[i] : r;
    if (statuses[k] == HOLDFAST_E_TRANSIENT && !(m->pending_is_final && said)) which[more++] = k;
  }
  pthread_mutex_lock(&m->lock);
  if (r < 0 && last_message[0] && (!m->said[0] || more == 0)) snprintf(m->said, sizeof m->said, "%s", last_message);
  pthread_mutex_unlock(&m->lock);
  return more;
}

/* The i-th batch; one of several threads. */
static bool many_batch(void *ctx, size_t i) {
  struct many *m = ctx;
  size_t at = i * m->batch, n = HF_MIN(m->n - at, m->batch), left = n;
  int *statuses = m->statuses + at;
  char **full = hf_allocn(n, sizeof *full);
  HF_CLEANUP(hf_freep) size_t *which = hf_allocn(n, sizeof *which);
  struct tries tries = first_try(m->t);
  for (size_t k = 0; k < n; k++) {
    full[k] = hf_asprintf("%s%s", m->t->prefix, m->keys[at + k]);
    which[k] = k;
  }
  while ((left = many_call(m, full, which, left, statuses)) > 0 && again(m->t, HOLDFAST_E_TRANSIENT, &tries)) continue;
  /* Not an answer but none. */
  for (size_t k = 0; m->pending_is_final && k < left; k++) statuses[which[k]] = HOLDFAST_E_FAILED;
  for (size_t k = 0; k < n; k++) free(full[k]);
  free(full);
  return true;
}

static int many(struct many *m, const char *const *keys, size_t n, int *statuses, struct hf_error *err) {
  size_t bad = 0, first = 0;
  m->keys = keys;
  m->n = n;
  m->statuses = statuses;
  pthread_mutex_init(&m->lock, NULL);
  hf_each((n + m->batch - 1) / m->batch, m->batch == BATCH ? 1 : m->t->parallel, many_batch, m);
  pthread_mutex_destroy(&m->lock);
  for (size_t i = n; i-- > 0;) {
    if (statuses[i] == 0) continue;
    bad++;
    first = i;
  }
  if (bad == 0) return 0;
  HF_CLEANUP(hf_freep) char *what = n == 1 ? hf_strdup(keys[0]) : hf_asprintf("%zu of %zu objects, such as %s", bad, n, keys[first]);
  return hf_fail(err, statuses[first], "target %s: cannot %s %s: %s", m->t->m->name, m->doing, what, m->said[0] ? m->said : hf_status_name(statuses[first]));
}

int hf_target_remove_many(struct hf_target *t, const char *const *keys, size_t n, int *statuses, struct hf_error *err) {
  struct many m = {.t = t, .doing = "delete", .call = t->plugin->remove, .batch = BATCH};
  return many(&m, keys, n, statuses, err);
}

int hf_target_remove(struct hf_target *t, const char *key, struct hf_error *err) {
  int status;
  return hf_target_remove_many(t, &key, 1, &status, err);
}

int64_t hf_target_retention(struct hf_target *t) {
  const struct hf_settings *s = t->m->settings;
  if (!t->plugin->extend || !(t->plugin->capabilities(t->handle) & HOLDFAST_OBJECT_LOCK)) return 0;
  for (size_t i = 0; i < s->n; i++)
    if (strcmp(s->values[i].name, "retain") == 0 && s->values[i].count) return s->values[i].number;
  return 0;
}

int hf_target_extend(struct hf_target *t, const char *const *keys, size_t n, int *statuses, struct hf_error *err) {
  if (!t->plugin->extend) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "target %s: keeps nothing from being deleted", t->m->name);
  struct many m = {.t = t, .doing = "prolong the lock on", .call = t->plugin->extend, .batch = BATCH_EACH};
  return many(&m, keys, n, statuses, err);
}

bool hf_target_can_thaw(const struct hf_target *t) { return t->plugin->thaw != NULL; }

int hf_target_thaw(struct hf_target *t, const char *const *keys, size_t n, int *statuses, struct hf_error *err) {
  if (!t->plugin->thaw) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "target %s: has no archive", t->m->name);
  struct many m = {.t = t, .doing = "read yet", .call = t->plugin->thaw, .pending_is_final = true, .batch = BATCH_EACH};
  return many(&m, keys, n, statuses, err);
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
