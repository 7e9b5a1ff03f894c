/* worker_restore.c - probe, verify and restore in a worker, call by call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "base/json.h"
#include "plugin/worker_proto.h"

/* The answer to one call. Problems a plugin reports outside a backup are log lines. */
static int answer(struct hf_worker *w, struct hf_msg *m, struct hf_error *err) {
  for (;;) {
    int rc = hf_worker_receive(w, m, err);
    if (rc != 0) return rc;
    if (m->type == HF_MSG_RESULT) return 0;
    if (m->type == HF_MSG_KEPT) {
      if (w->job->kept) w->job->kept(w->job->kept_ctx, m->text, m->text2_n ? hf_msg_text2(m) : NULL);
      continue;
    }
    if (m->type != HF_MSG_PROBLEM) return hf_worker_nonsense(w, "not an answer", err);
    hf_log(HF_LOG_WARNING, "source %s: %s: %s", w->job->instance, m->text, hf_msg_text2(m));
  }
}

static int said(const struct hf_msg *m, struct hf_error *err) {
  int status = hf_worker_status(m->status);
  return status == 0 ? 0 : hf_fail(err, status, "%s", m->text[0] ? m->text : hf_status_name(status));
}

/* What replaces things is not to be broken off in the middle, when neither the plugin nor the journal could put anything back: it comes to its end. What only gets ready for that has
 * a moment to do so, and is then asked to clean up. */
#define TO_ITS_END HUGE_VAL
#define MOMENT_S 10

/* A job that is one call. grace: as in struct hf_worker. */
static int ask(const struct hf_worker_job *job, const char *op, json_t *extra, double grace, char **message, struct hf_error *err) {
  struct hf_worker w;
  *message = NULL;
  int rc = hf_worker_start(&w, job, op, extra, -1, err);
  if (rc != 0) return rc;
  struct hf_msg *m = hf_alloc(sizeof *m);
  w.grace = grace;
  rc = answer(&w, m, err);
  if (rc == 0) {
    rc = said(m, err);
    if (m->text[0]) *message = hf_strdup(m->text);
    hf_worker_stop(&w);
  }
  free(m);
  return rc;
}

int hf_worker_probe(const struct hf_worker_job *job, char **message, struct hf_error *err) {
  *message = NULL;
  if (!job->plugin->source.probe)
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the plugin %s has no probe", job->plugin->head->name);
  return ask(job, "probe", NULL, 0, message, err);
}

int hf_worker_verify(const struct hf_worker_job *job, const char *directory, const char *state, char **message,
                     struct hf_error *err) {
  *message = NULL;
  if (!job->plugin->source.verify)
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the plugin %s has no verify", job->plugin->head->name);
  json_t *extra = json_object();
  hf_job_add(extra, "directory", directory);
  hf_job_add(extra, "state", state ? state : "");
  return ask(job, "verify", extra, 0, message, err);
}

int hf_worker_undo(const struct hf_worker_job *job, bool discard, const struct hf_worker_item *items, size_t n, char **message, struct hf_error *err) {
  const struct holdfast_source_plugin *p = &job->plugin->source;
  *message = NULL;
  if (discard ? !p->discard : !p->undo) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the plugin %s cannot do that", job->plugin->head->name);
  json_t *extra = json_object(), *all = json_array();
  for (size_t i = 0; i < n; i++) {
    json_t *o = json_object();
    hf_job_add(o, "place", items[i].place);
    hf_job_add(o, "kept_as", items[i].kept_as);
    json_array_append_new(all, o);
  }
  json_object_set_new(extra, "items", all);
  return ask(job, discard ? "discard" : "undo", extra, TO_ITS_END, message, err);
}

/* ---- restore ---- */

struct hf_worker_restore {
  struct hf_worker w;
  struct hf_worker_job job; /* w.job points here: the caller's may go away */
  bool none;                /* the plugin has no restore half */
  unsigned busy;            /* slots the worker is writing, oldest first from `tail` on */
  unsigned tail;
  struct hf_msg m;
};

int hf_worker_restore_open(const struct hf_worker_job *job, enum holdfast_restore_mode mode, const char *directory,
                           const char *state, struct hf_worker_restore **out, struct hf_error *err) {
  struct hf_worker_restore *r = hf_alloc(sizeof *r);
  r->job = *job;
  r->none = !job->plugin->source.restore_open;
  r->w.pid = -1;
  r->w.fd = -1;
  if (r->none) {
    *out = r;
    return 0;
  }
  json_t *extra = json_object();
  json_object_set_new(extra, "mode", json_integer(mode));
  hf_job_add(extra, "directory", directory ? directory : "");
  hf_job_add(extra, "state", state ? state : "");
  int rc = hf_worker_start(&r->w, &r->job, "restore", extra, -1, err);
  if (rc == 0) {
    r->w.grace = MOMENT_S;
    rc = answer(&r->w, &r->m, err);
  }
  if (rc == 0) {
    rc = said(&r->m, err);
    if (rc != 0) hf_worker_stop(&r->w);
  }
  if (rc != 0) {
    free(r);
    return rc;
  }
  *out = r;
  return 0;
}

static int no_half(const struct hf_worker_restore *r, struct hf_error *err) {
  return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the plugin %s does not restore by itself", r->job.plugin->head->name);
}

/* One outstanding write answered. */
static int settle_one(struct hf_worker_restore *r, struct hf_error *err) {
  int rc = answer(&r->w, &r->m, err);
  if (rc != 0) return rc;
  if (r->m.slot != r->tail) return hf_worker_nonsense(&r->w, "a slot that is not its", err);
  r->tail = (r->tail + 1) % HF_WORKER_SLOTS;
  r->busy--;
  return said(&r->m, err);
}

static int settle_all(struct hf_worker_restore *r, struct hf_error *err) {
  int rc = 0;
  while (r->busy > 0) {
    int one = settle_one(r, rc == 0 ? err : NULL);
    if (rc == 0) rc = one;
    if (r->w.pid <= 0) r->busy = 0; /* nobody will answer any more */
  }
  return rc;
}

/* Send m, wait for its answer in r->m. */
static int call(struct hf_worker_restore *r, struct hf_msg *m, const char *text, struct hf_error *err) {
  if (r->none) return no_half(r, err);
  int rc = settle_all(r, err);
  if (rc == 0) rc = hf_worker_send(&r->w, m, text, err);
  if (rc == 0) rc = answer(&r->w, &r->m, err);
  return rc == 0 ? said(&r->m, err) : rc;
}

int hf_worker_restore_tree(struct hf_worker_restore *r, const char *stream, char **dir, struct hf_error *err) {
  struct hf_msg m = {.type = HF_MSG_RESTORE_TREE};
  int rc = call(r, &m, stream, err);
  if (rc != 0) return rc;
  if (r->m.text[0] != '/' || strlen(r->m.text) != r->m.text_n)
    return hf_fail(err, HOLDFAST_E_FAILED, "the plugin gave a folder that is no absolute path");
  *dir = hf_strdup(r->m.text);
  return 0;
}

int hf_worker_restore_begin(struct hf_worker_restore *r, const char *stream, uint64_t size, struct hf_error *err) {
  struct hf_msg m = {.type = HF_MSG_RESTORE_BEGIN, .v = {size}};
  return call(r, &m, stream, err);
}

int hf_worker_restore_write(struct hf_worker_restore *r, const void *p, size_t n, struct hf_error *err) {
  if (r->none) return no_half(r, err);
  const unsigned char *from = p;
  while (n > 0) {
    if (r->busy == HF_WORKER_SLOTS) {
      int rc = settle_one(r, err);
      if (rc != 0) return rc;
    }
    unsigned slot = (r->tail + r->busy) % HF_WORKER_SLOTS;
    size_t part = HF_MIN(n, (size_t)HF_WORKER_SLOT);
    if (r->w.pid <= 0) return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's worker has been ended");
    memcpy(r->w.slots + (size_t)slot * HF_WORKER_SLOT, from, part);
    struct hf_msg m = {.type = HF_MSG_RESTORE_WRITE, .slot = slot, .length = (uint32_t)part};
    int rc = hf_worker_send(&r->w, &m, NULL, err);
    if (rc != 0) return rc;
    r->busy++;
    from += part;
    n -= part;
  }
  return 0;
}

int hf_worker_restore_end(struct hf_worker_restore *r, struct hf_error *err) {
  struct hf_msg m = {.type = HF_MSG_RESTORE_END};
  return call(r, &m, NULL, err);
}

int hf_worker_restore_finish(struct hf_worker_restore *r, bool complete, struct hf_error *err) {
  struct hf_msg m = {.type = HF_MSG_RESTORE_FINISH, .v = {complete}};
  r->w.canceled = 0;
  if (complete) r->w.grace = TO_ITS_END;
  int rc = r->none ? 0 : call(r, &m, NULL, err);
  r->w.grace = MOMENT_S;
  r->w.canceled = 0;
  return rc;
}

void hf_worker_restore_close(struct hf_worker_restore *r) {
  if (!r) return;
  struct hf_msg m = {.type = HF_MSG_RESTORE_CLOSE};
  if (r->w.pid > 0) {
    settle_all(r, NULL);
    if (r->w.pid > 0 && hf_worker_send(&r->w, &m, NULL, NULL) == 0) answer(&r->w, &r->m, NULL);
    hf_worker_stop(&r->w);
  }
  free(r);
}
