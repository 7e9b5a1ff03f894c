/* runlog.c - noting runs and keeping what was said in them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/runlog.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/notify.h"
#include "engine/session.h"

#define SIGNALLED 128 /* an exit code above is of a run that a signal has stopped */

struct hf_run {
  const struct hf_manifest *m;
  struct hf_runs *runs; /* NULL where there is no state */
  char *verb;
  int64_t id, started;
  double start;
  int fd;               /* of the log, locked while the run lives; -1 */
  size_t written;
  bool full, broken;    /* the log takes only what matters; cannot be written */
  struct hf_list said;
  struct hf_error error;
};

char *hf_run_log_path(const char *state, int64_t id) { return hf_asprintf("%s/runs/%lld.log", state, (long long)id); }

bool hf_run_is_alive(const char *state, int64_t id) {
  HF_CLEANUP(hf_freep) char *path = hf_run_log_path(state, id);
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/* ---- the words ---- */

static void put(struct hf_run *r, bool matters, const char *line) {
  char when[HF_TIME_LEN];
  if (r->fd < 0 || (r->full && !matters)) return;
  hf_format_time(when, hf_wall_clock());
  HF_CLEANUP(hf_freep) char *text = hf_asprintf("%s %s\n", when, line);
  size_t n = strlen(text);
  if (matters && r->written + n > HF_RUN_LOG_MAX) return;
  if (!matters && r->written + n > HF_RUN_LOG_MAX - HF_RUN_LOG_KEPT) {
    r->full = true;
    free(text);
    text = hf_asprintf("%s the log is as large as it may be: what follows is left out, but for warnings, errors and what came of the run\n", when);
    n = strlen(text);
  }
  if (hf_write_all(r->fd, text, n, NULL) < 0) r->broken = true;
  r->written += n;
}

/* Called under the log's lock. */
static void on_line(void *ctx, enum hf_log_level level, const char *line) {
  struct hf_run *r = ctx;
  if (level <= HF_LOG_WARNING && r->said.n < HF_RUN_SAID) hf_list_add(&r->said, line);
  put(r, level <= HF_LOG_WARNING, line);
}

static void put_text(struct hf_run *r, const char *text) {
  for (const char *p = text; *p;) {
    size_t n = strcspn(p, "\n");
    HF_CLEANUP(hf_freep) char *line = hf_strndup(p, n);
    if (n) put(r, true, line);
    p += n + (p[n] == '\n');
  }
}

static void open_log(struct hf_run *r) {
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(r->m->state, "runs");
  HF_CLEANUP(hf_freep) char *path = hf_run_log_path(r->m->state, r->id);
  struct hf_error e = {0};
  if (hf_mkdir_p(folder, 0700, &e) < 0) {
    hf_log(HF_LOG_WARNING, "the run's log cannot be kept: %s", e.msg);
    return;
  }
  r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (r->fd < 0 || flock(r->fd, LOCK_EX | LOCK_NB) != 0) {
    hf_log(HF_LOG_WARNING, "the run's log cannot be kept: %s: %s", path, strerror(errno));
    hf_closep(&r->fd);
  }
}

static void gone(void *ctx, int64_t id) {
  const struct hf_run *r = ctx;
  HF_CLEANUP(hf_freep) char *path = hf_run_log_path(r->m->state, id);
  if (unlink(path) != 0 && errno != ENOENT) hf_log(HF_LOG_WARNING, "the log of an old run cannot be removed: %s: %s", path, strerror(errno));
}

/* ---- begin and end ---- */

/* Is this the host, and the account that backs up? */
static bool is_ours(const struct hf_manifest *m) {
  HF_CLEANUP(hf_freep) char *state = hf_path_join(m->state, HF_STATE_DB);
  return access(m->state, W_OK | X_OK) == 0 && access(state, W_OK) == 0;
}

static struct hf_run *begin(const struct hf_manifest *m, const char *verb, bool without_state) {
  struct hf_error e = {0};
  bool ours = is_ours(m);
  if (!ours && !without_state) return NULL;
  struct hf_run *r = hf_alloc(sizeof *r);
  r->m = m;
  r->verb = hf_strdup(verb);
  r->fd = -1;
  r->started = hf_wall_clock();
  r->start = hf_now();
  if (ours && hf_runs_open(m->state, &r->runs, &e) < 0) hf_log(HF_LOG_WARNING, "the run cannot be noted: %s", e.msg);
  if (r->runs && hf_runs_begin(r->runs, verb, r->started, &r->id, &e) < 0) {
    hf_log(HF_LOG_WARNING, "the run cannot be noted: %s", e.msg);
    hf_runs_close(r->runs);
    r->runs = NULL;
  }
  if (r->runs) open_log(r);
  if (r->runs && hf_runs_sweep(r->runs, r->started - m->run_log_keep, gone, r, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
  hf_log_set_sink(on_line, r);
  hf_log(HF_LOG_INFO, "%s of %s begins: run %lld, process %ld", verb, m->host, (long long)r->id, (long)getpid());
  return r;
}

static json_t *outcome(struct hf_run *r, int exit, json_t *facts) {
  static const char *const words[][2] = {{"success", "done"}, {"failed", "FAILED"}, {"partial", "done in part"}, {"failed", "was stopped"}};
  char begun[HF_TIME_LEN], ended[HF_TIME_LEN];
  json_t *f = facts ? facts : json_object(), *said = json_array();
  const char *const *word = words[exit == 0 ? 0 : exit == 3 ? 2 : exit > SIGNALLED ? 3 : 1];
  hf_format_time(begun, r->started);
  hf_format_time(ended, hf_wall_clock());
  HF_CLEANUP(hf_freep) char *log = r->fd >= 0 ? hf_run_log_path(r->m->state, r->id) : NULL;
  HF_CLEANUP(hf_freep) char *subject = hf_asprintf("[holdfast %s] %s %s", r->m->host, r->verb, word[1]);
  for (size_t i = 0; i < r->said.n; i++) json_array_append_new(said, hf_json_bytes(r->said.v[i], strlen(r->said.v[i])));
  json_object_set_new(f, "status", json_string(word[0]));
  json_object_set_new(f, "severity", json_string(exit == 0 ? "info" : exit == 3 || exit > SIGNALLED ? "warning" : "critical"));
  json_object_set_new(f, "subject", json_string(subject));
  json_object_set_new(f, "verb", json_string(r->verb));
  json_object_set_new(f, "run", json_integer((json_int_t)r->id));
  json_object_set_new(f, "started", json_string(begun));
  json_object_set_new(f, "finished", json_string(ended));
  json_object_set_new(f, "seconds", json_real(hf_now() - r->start));
  json_object_set_new(f, "exit", json_integer(exit));
  if (log) json_object_set_new(f, "log", hf_json_bytes(log, strlen(log)));
  if (r->error.code) json_object_set_new(f, "error", hf_json_bytes(r->error.msg, strlen(r->error.msg)));
  json_object_set_new(f, "said", said);
  return f;
}

struct hf_run *hf_run_begin(const struct hf_manifest *m, const char *verb) {
  struct hf_run *r = begin(m, verb, false);
  if (r) hf_notify_start(m, r->runs, verb, r->id);
  return r;
}

void hf_run_error(struct hf_run *r, const struct hf_error *err) {
  if (r && !r->error.code) r->error = *err;
}

/* Note the end, tell, and how the telling went into the log. */
static void finish(struct hf_run *r, int exit, json_t *facts) {
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  struct hf_error e = {0};
  json_t *f = outcome(r, exit, facts);
  /* The log has what was said already. */
  json_t *said = json_incref(json_object_get(f, "said"));
  json_object_del(f, "said");
  hf_notice_text(f, &text);
  json_object_set_new(f, "said", said);
  put_text(r, text.data ? text.data : "");
  char *json = json_dumps(f, JSON_COMPACT | JSON_REAL_PRECISION(15));
  if (r->runs && hf_runs_end(r->runs, r->id, hf_wall_clock(), exit, json ? json : "{}", &e) < 0) hf_log(HF_LOG_WARNING, "the end of the run cannot be noted: %s", e.msg);
  free(json);
  hf_log_set_sink(on_line, r);
  hf_notify_run(r->m, r->runs, f);
  hf_log_set_sink(NULL, NULL);
  if (r->broken) hf_log(HF_LOG_WARNING, "the run's log could not be written to its end");
  json_decref(f);
}

void hf_run_end(struct hf_run *r, int exit, json_t *facts) {
  struct hf_error e = {0};
  if (!r) {
    json_decref(facts);
    return;
  }
  hf_log_set_sink(NULL, NULL);
  if (exit == 1 && hf_cancel) exit = SIGNALLED + hf_cancel; /* as the process is going to end */
  if (exit != 2) {
    finish(r, exit, facts);
  } else {
    json_decref(facts);
    if (r->runs && hf_runs_forget(r->runs, r->id, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
    if (r->fd >= 0) gone(r, r->id);
  }
  hf_closep(&r->fd);
  hf_runs_close(r->runs);
  hf_list_free(&r->said);
  free(r->verb);
  free(r);
}

void hf_run_failed(const char *manifest_file, const char *verb, bool writes, const struct hf_error *why) {
  struct hf_registry *registry = hf_registry_new();
  struct hf_manifest *m = NULL;
  /* A wrong manifest does not say whom to tell. */
  if (hf_manifest_load(manifest_file, registry, &m, NULL) == 0) {
    struct hf_run *r = begin(m, verb, writes);
    hf_run_error(r, why);
    hf_run_end(r, 1, NULL);
  }
  hf_manifest_free(m);
  hf_registry_free(registry);
}

void hf_status_failed(const char *manifest_file, const struct hf_error *why) {
  struct hf_registry *registry = hf_registry_new();
  struct hf_manifest *m = NULL;
  struct hf_runs *runs = NULL;
  struct hf_error e = {0};
  if (hf_manifest_load_channels(manifest_file, registry, &m, NULL) < 0) {
    hf_log(HF_LOG_WARNING, "nobody is told: a manifest that is wrong does not say whom");
  } else if (!is_ours(m)) {
    hf_log(HF_LOG_WARNING, "nobody is told: this is not the host, or not the account that backs up");
  } else {
    HF_CLEANUP(hf_freep) char *text = hf_printable(why->msg, strlen(why->msg));
    struct hf_finding f = {.key = (char[]){HF_STATUS_KEY}, .what = "status", .name = (char[]){""}, .event = HF_EVENT_FAILURE, .stand = HF_STAND_CRITICAL, .text = text};
    if (hf_runs_open(m->state, &runs, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
    hf_notify_alarms(m, runs, &(struct hf_findings){&f, 1}, false);
  }
  hf_runs_close(runs);
  hf_manifest_free(m);
  hf_registry_free(registry);
}
