/* worker_backup.c - a backup in a worker, replayed in the core: every event is checked before it is believed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/text.h"
#include "plugin/worker_proto.h"
#include "stream/recipe.h"

#define FIXED_MIN 4096u
#define FIXED_MAX (4u * 1024 * 1024)

struct replay {
  struct hf_worker w;
  const struct hf_emit *emit;
  uint64_t previous_n;
  bool in_stream, tar, in_bulk;
  bool had_tree, had_bulk; /* a raw stream's one bulk */
  uint64_t chunk;          /* bytes since the last cut */
  uint64_t problems;
  char *state;
};

/* The slot's data, NULL when there is none such. */
static const unsigned char *slot_of(const struct replay *r, const struct hf_msg *m) {
  if (m->slot >= HF_WORKER_SLOTS || m->length == 0 || m->length > HF_WORKER_SLOT) return NULL;
  return r->w.slots + (size_t)m->slot * HF_WORKER_SLOT;
}

/* What is out of order about this message; NULL when nothing is. */
static const char *fault(const struct replay *r, const struct hf_msg *m) {
  bool group = r->in_stream && r->tar && !r->in_bulk;
  switch (m->type) {
  case HF_MSG_STREAM_BEGIN: {
    const char *format = hf_msg_text2(m);
    if (r->in_stream) return "a stream within a stream";
    if (!hf_recipe_name_ok(m->text, m->text_n) || strlen(m->text) != m->text_n) return "a stream's name";
    bool tree = strcmp(m->text, "tree") == 0;
    if (tree ? strcmp(format, "tar") != 0 || r->had_tree : strcmp(format, "raw") != 0) return "a stream's format";
    return NULL;
  }
  case HF_MSG_BYTES: return !group || !slot_of(r, m) || r->chunk + m->length > HF_GROUP_LIMIT ? "group data" : NULL;
  case HF_MSG_CUT: return !group || r->chunk == 0 ? "a group's end" : NULL;
  case HF_MSG_LINES: {
    const unsigned char *p = slot_of(r, m);
    return !group || r->chunk > 0 || !p || p[m->length - 1] != '\n' ? "recipe lines" : NULL;
  }
  case HF_MSG_PREVIOUS:
    return !group || r->chunk > 0 || m->v[1] == 0 || m->v[0] > r->previous_n || m->v[1] > r->previous_n - m->v[0]
               ? "a range of the previous recipe"
               : NULL;
  case HF_MSG_BULK_BEGIN:
    if (m->v[0] != 0 && (m->v[0] < FIXED_MIN || m->v[0] > FIXED_MAX)) return "a chunk size";
    return !r->in_stream || r->in_bulk || r->chunk > 0 || (!r->tar && r->had_bulk) ? "the begin of data" : NULL;
  case HF_MSG_BULK: return !r->in_bulk || !slot_of(r, m) ? "data" : NULL;
  case HF_MSG_BULK_END: return !r->in_bulk ? "the end of data" : NULL;
  case HF_MSG_DISTRUST: return !group || r->chunk > 0 || !r->had_bulk ? "a doubt about data" : NULL;
  case HF_MSG_STREAM_END: return !r->in_stream || r->in_bulk || r->chunk > 0 ? "the end of a stream" : NULL;
  case HF_MSG_STATE: return r->in_stream || r->state || !slot_of(r, m) || m->length > HF_WORKER_STATE ? "state" : NULL;
  case HF_MSG_PROGRESS:
  case HF_MSG_PROBLEM: return NULL;
  case HF_MSG_RESULT: return m->status == 0 && r->in_stream ? "a result within a stream" : NULL;
  default: return "an unknown message";
  }
}

static int take_state(struct replay *r, const struct hf_msg *m, struct hf_error *err) {
  struct hf_error why = {0};
  /* A copy first: what is in the slot may change under our eyes. */
  char *text = hf_strndup((const char *)slot_of(r, m), m->length);
  json_t *j = hf_json_parse(text, strlen(text), &why);
  if (!j) {
    free(text);
    hf_worker_kill(&r->w);
    return hf_fail(err, HOLDFAST_E_FAILED, "the state the plugin gave is not JSON (%s)", why.msg);
  }
  json_decref(j);
  r->state = text;
  return 0;
}

/* Hand one checked event on. Negative: the receiver does not want to go on. */
static int replay(struct replay *r, const struct hf_msg *m) {
  const struct hf_emit *e = r->emit;
  const void *p = slot_of(r, m);
  switch (m->type) {
  case HF_MSG_STREAM_BEGIN:
    r->in_stream = true;
    r->had_bulk = false;
    r->tar = strcmp(hf_msg_text2(m), "tar") == 0;
    if (r->tar) r->had_tree = true;
    return e->stream_begin(e->ctx, m->text, hf_msg_text2(m), m->v[0]);
  case HF_MSG_BYTES: r->chunk += m->length; return e->bytes(e->ctx, p, m->length);
  case HF_MSG_CUT: r->chunk = 0; return e->cut(e->ctx);
  case HF_MSG_LINES: return e->lines(e->ctx, p, m->length);
  case HF_MSG_PREVIOUS: return e->previous(e->ctx, m->v[0], m->v[1]);
  case HF_MSG_BULK_BEGIN: r->in_bulk = r->had_bulk = true; return e->bulk_begin(e->ctx, m->v[0]);
  case HF_MSG_BULK: return e->bulk(e->ctx, p, m->length);
  case HF_MSG_BULK_END: r->in_bulk = false; return e->bulk_end(e->ctx);
  case HF_MSG_DISTRUST: return e->distrust ? e->distrust(e->ctx) : 0;
  case HF_MSG_STREAM_END: r->in_stream = false; return e->stream_end(e->ctx);
  case HF_MSG_PROBLEM: {
    int status = hf_worker_status(m->status);
    r->problems++;
    return e->problem(e->ctx, m->text, status != 0 ? status : HOLDFAST_E_FAILED, hf_msg_text2(m));
  }
  default: return e->progress(e->ctx, m->text, m->v[0], m->v[1], m->v[2]);
  }
}

/* A worker that has sent its last message may be gone already: no failure, its messages are still to be read. */
static int hand_back(struct replay *r, const struct hf_msg *m, struct hf_error *err) {
  struct hf_msg back = {.type = HF_MSG_SLOT, .slot = m->slot};
  if (m->type == HF_MSG_BYTES || m->type == HF_MSG_LINES || m->type == HF_MSG_BULK || m->type == HF_MSG_STATE)
    if (hf_msg_send(r->w.fd, &back, NULL, NULL) == -EAGAIN) return hf_worker_nonsense(&r->w, "slots that it does not take back", err);
  return 0;
}

static int result(struct replay *r, const struct hf_msg *m, struct hf_tree_counts *c, struct hf_error *err) {
  int status = hf_worker_status(m->status);
  if (status != 0) return hf_fail(err, status, "%s", m->text[0] ? m->text : hf_status_name(status));
  *c = (struct hf_tree_counts){m->v[0], m->v[1], m->v[2], m->v[3], m->v[4], m->v[5], r->problems};
  return 0;
}

static int listen_to(struct replay *r, struct hf_tree_counts *counts, struct hf_error *err) {
  struct hf_msg *m = hf_alloc(sizeof *m);
  int rc;
  for (;;) {
    rc = hf_worker_receive(&r->w, m, err);
    if (rc != 0) break;
    const char *bad = fault(r, m);
    if (bad) {
      rc = hf_worker_nonsense(&r->w, bad, err);
      break;
    }
    if (m->type == HF_MSG_RESULT) {
      rc = result(r, m, counts, err);
      break;
    }
    if (m->type == HF_MSG_STATE) {
      rc = take_state(r, m, err);
    } else {
      rc = replay(r, m);
      if (rc != 0) hf_fail(err, rc, "the backup of this source was stopped (%s)", hf_status_name(rc));
    }
    if (rc == 0) rc = hand_back(r, m, err);
    if (rc != 0) break;
  }
  free(m);
  return rc;
}

int hf_worker_backup(const struct hf_worker_job *job, const unsigned char *group_key, int previous_fd, const struct hf_emit *emit,
                     struct hf_tree_counts *counts, char **state, struct hf_error *err) {
  struct replay r = {.emit = emit};
  struct hf_error own = {0};
  struct stat st;
  char hex[65];
  if (!err) err = &own;
  if (previous_fd >= 0 && fstat(previous_fd, &st) != 0) return hf_fail_errno(err, errno, "cannot look at the previous recipe");
  r.previous_n = previous_fd >= 0 ? (uint64_t)st.st_size : 0;
  hf_hex(hex, group_key, 32);
  json_t *extra = json_pack("{s:s, s:b}", "group_key", hex, "previous", previous_fd >= 0);
  int rc = hf_worker_start(&r.w, job, "backup", extra, previous_fd, err);
  hf_wipe(hex, sizeof hex);
  if (rc == 0) {
    rc = listen_to(&r, counts, err);
    if (rc == 0)
      hf_worker_stop(&r.w);
    else
      hf_worker_kill(&r.w);
  }
  if (rc != 0) {
    free(r.state);
    return rc;
  }
  *state = r.state;
  return 0;
}
