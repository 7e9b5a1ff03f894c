/* compact.c - repacking packs of which little is needed, one audience after the other.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/compact_impl.h"

/* ---- audiences ---- */

static int learn(struct hf_compacting *w, const struct hf_record *rec, struct hf_error *err HF_UNUSED) {
  for (size_t i = 0; i < rec->n_sources; i++) {
    const struct hf_record_source *src = &rec->sources[i];
    bool known = src->n_streams == 0;
    for (size_t k = 0; k < w->n_audiences; k++) known |= strcmp(w->audiences[k].name, src->audience) == 0;
    if (known) continue;
    w->audiences = hf_realloc(w->audiences, (w->n_audiences + 1) * sizeof *w->audiences);
    struct hf_compact_audience *a = &w->audiences[w->n_audiences++];
    *a = (struct hf_compact_audience){.seq = rec->seq};
    snprintf(a->name, sizeof a->name, "%s", src->audience);
    for (size_t k = 0; k < src->recipients.n; k++) hf_list_add(&a->recipients, src->recipients.v[k]);
  }
  return 0;
}

/* Call fn for the record of every snapshot that any target has to hold, the newest first. */
static int each_snapshot(struct hf_compacting *w, int (*fn)(struct hf_compacting *, const struct hf_record *, struct hf_error *),
                         struct hf_error *err) {
  int r = 0;
  for (size_t i = w->live->n; r == 0 && i > 0; i--) {
    struct hf_record *rec = NULL;
    if (!hf_live_anywhere(w->s, &w->live->v[i - 1])) continue;
    r = hf_session_record(w->s, w->live->v[i - 1].seq, &rec, NULL, err);
    if (r == 0) r = fn(w, rec, err);
    hf_record_free(rec);
  }
  return r;
}

static void audiences_free(struct hf_compacting *w) {
  for (size_t i = 0; i < w->n_audiences; i++) hf_list_free(&w->audiences[i].recipients);
  free(w->audiences);
}

static bool at_hand(struct hf_gpg *caller, const struct hf_compact_audience *a) {
  for (size_t i = 0; i < a->recipients.n; i++) {
    if (hf_gpg_has_secret(caller, a->recipients.v[i])) return true;
  }
  return false;
}

int hf_compact_ready(struct hf_session *s, const struct hf_live *live, struct hf_error *err) {
  struct hf_compacting w = {.s = s, .live = live};
  struct hf_gpg *caller = NULL;
  bool any = false;
  int r = each_snapshot(&w, learn, err);
  if (r == 0) r = hf_session_caller(s, &caller, err);
  for (size_t i = 0; r == 0 && i < w.n_audiences; i++) any |= at_hand(caller, &w.audiences[i]);
  if (r == 0 && !any && w.n_audiences)
    r = hf_fail(err, HOLDFAST_E_AUTH,
                "packs can be repacked with a recipient's private key only, and your GnuPG keyring has none; nothing was "
                "changed. Without --compact no key is needed");
  audiences_free(&w);
  return r;
}

/* ---- one audience ---- */

static void bad(void *ctx HF_UNUSED, const char *object, const char *why) {
  hf_log(HF_LOG_WARNING, "%s is not repacked: %s", object, why);
}

static void progress(void *ctx, uint64_t packs, uint64_t total, uint64_t stored HF_UNUSED, uint64_t total_stored HF_UNUSED) {
  struct hf_compacting *w = ctx;
  if (w->o->progress) w->o->progress(w->o->ctx, w->source, packs, total);
}

static int open_audience(struct hf_compacting *w, struct hf_error *err) {
  int r = hf_session_record(w->s, w->now->seq, &w->rec, NULL, err);
  const struct hf_record_source *src = NULL;
  for (size_t i = 0; r == 0 && i < w->rec->n_sources && !src; i++) {
    if (strcmp(w->rec->sources[i].audience, w->now->name) == 0) src = &w->rec->sources[i];
  }
  if (r < 0) return r;
  hf_reading_init(w->s, w->rec, src, &w->rd);
  w->rd.bad = bad;
  w->rd.progress = progress;
  w->rd.ctx = w;
  return hf_reading_ready(&w->rd, err);
}

static int usable_recipients(struct hf_compacting *w, struct hf_error *err) {
  int r = 0;
  for (size_t i = 0; r == 0 && i < w->now->recipients.n; i++)
    r = hf_gpg_check_recipient(w->s->host, w->now->recipients.v[i], NULL, NULL, err);
  return r;
}

static void close_audience(struct hf_compacting *w) {
  hf_compact_needed_close(w);
  hf_needs_free(&w->needs);
  for (size_t i = 0; i < w->n_packs; i++) free(w->packs[i].source);
  free(w->packs);
  w->packs = NULL;
  w->n_packs = 0;
  hf_wipe(&w->rd.audience, sizeof w->rd.audience);
  hf_record_free(w->rec);
  w->rec = NULL;
}

/* Left out: its snapshots' needs cannot be known, or nothing can be encrypted to it. */
static int leave_out(struct hf_compacting *w, const struct hf_error *why, struct hf_error *err) {
  if (why->code == HOLDFAST_E_CANCELED || why->code == HOLDFAST_E_NO_SPACE || hf_cancel)
    return hf_fail(err, why->code, "%s", why->msg);
  hf_list_add(&w->out->locked, why->msg);
  return 0;
}

static int one_audience(struct hf_compacting *w, struct hf_error *err) {
  struct hf_gpg *caller = NULL;
  struct hf_error why = {0};
  int r = hf_session_caller(w->s, &caller, err);
  if (r < 0) return r;
  if (!at_hand(caller, w->now)) {
    HF_CLEANUP(hf_freep)
    char *text = hf_asprintf("what is encrypted to %s%s is left as it is: your GnuPG keyring has no private key for it",
                             w->now->recipients.v[0], w->now->recipients.n > 1 ? " and others" : "");
    hf_list_add(&w->out->locked, text);
    return 0;
  }
  r = open_audience(w, &why);
  if (r == 0) r = usable_recipients(w, &why);
  if (r == 0) r = hf_compact_needed_open(w, &why);
  if (r == 0) r = each_snapshot(w, hf_compact_needed_add, &why);
  if (r == 0) r = hf_needs_open(w->s, &w->needs, &why);
  if (r == 0) r = hf_needs_add_live(&w->needs, w->live, NULL, &why);
  if (r == 0) r = hf_compact_choose(w, &why);
  if (r < 0) return leave_out(w, &why, err);
  return hf_compact_repack(w, err);
}

int hf_compact(struct hf_session *s, const struct hf_live *live, const struct hf_compact_options *o,
               struct hf_compact_result *out, struct hf_error *err) {
  struct hf_compacting w = {.s = s, .live = live, .o = o, .out = out, .lock = PTHREAD_MUTEX_INITIALIZER};
  *out = (struct hf_compact_result){0};
  int r = each_snapshot(&w, learn, err);
  for (size_t i = 0; r == 0 && i < w.n_audiences; i++) {
    w.now = &w.audiences[i];
    r = one_audience(&w, err);
    close_audience(&w);
  }
  audiences_free(&w);
  return r;
}

void hf_compact_result_free(struct hf_compact_result *r) {
  hf_list_free(&r->locked);
  memset(r, 0, sizeof *r);
}
