/* backup.c - taking a snapshot.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Commit order: packs, index, one listing per target that confirms everything is there, record (create-only), state. Until its record is there a snapshot does not exist.
 */
#include "base/json.h"
#include "base/text.h"
#include "engine/append.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/extend.h"
#include "engine/hooks.h"
#include "engine/settle.h"
#include "pipeline/ingest.h"
#include "plugin/worker.h"

/* One source of this run; lives until the snapshot is committed. */
struct part {
  const struct hf_manifest_source *m;
  struct hf_list recipients;
  struct hf_audience audience;
  struct hf_store_source store;
  struct hf_ingest *ingest;
};

struct run {
  struct hf_session *s;
  const struct hf_backup_options *o;
  struct hf_record *rec;
  struct hf_list index_recipients;
  struct hf_store *store;
  struct hf_commit targets;
  struct part *parts;
  size_t n_parts;
  size_t good;
  int64_t last_pack, last_index; /* rows of the catalogue before it */
};

static void forward_progress(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t read) {
  struct run *r = ctx;
  if (!r->o->dry) hf_repo_lock_renew(r->s);
  if (!r->o->progress) return;
  struct hf_progress p = {.source = r->parts[r->n_parts - 1].m->name, .path = path, .entries = entries, .bytes = bytes, .read = read, .stored = hf_store_bytes_put(r->store)};
  r->o->progress(r->o->ctx, &p);
}

static void drop_streams(struct hf_record_source *rs) {
  for (size_t i = 0; i < rs->n_streams; i++) {
    free(rs->streams[i].name);
    free(rs->streams[i].format);
    free(rs->streams[i].recipe);
  }
  free(rs->streams);
  rs->streams = NULL;
  rs->n_streams = 0;
}

/* The source's worker, from beginning to end. why: the source's own fault, and then negative; err: the run cannot go on. */
static int run_worker(struct run *r, struct part *p, struct hf_record_source *rs, struct hf_error *why, struct hf_error *err) {
  struct hf_session *s = r->s;
  int fd = -1;
  const char *previous = NULL;
  size_t previous_n = 0;
  int t = hf_reuse_open(s->state, p->m->name, p->audience.name, &fd, &previous, &previous_n, err);
  if (t == 0) t = hf_store_begin(r->store, &p->store, err);
  if (t < 0) {
    hf_reuse_close(fd, previous, previous_n);
    return t;
  }
  struct hf_ingest_options io = {.store = r->store, .state = s->state, .audience = &p->audience, .rec = rs, .previous = previous, .previous_n = previous_n, .dry = r->o->dry,
                                 .progress = forward_progress, .progress_ctx = r};
  p->ingest = hf_ingest_new(&io);
  struct hf_worker_job job = {.plugin = p->m->plugin, .settings = p->m->settings, .instance = p->m->name, .user = p->m->user, .timeout = p->m->timeout, .cancel = &hf_cancel};
  struct hf_tree_counts counts = {0};
  HF_CLEANUP(hf_freep) char *state = NULL;
  t = hf_worker_backup(&job, p->audience.group_key, fd, hf_ingest_emit(p->ingest), &counts, &state, why);
  hf_reuse_close(fd, previous, previous_n);
  const struct hf_error *own = hf_ingest_broken(p->ingest);
  if (t < 0 && hf_ingest_error(p->ingest)->code) *why = *hf_ingest_error(p->ingest);
  hf_ingest_done(p->ingest);
  if (t < 0 && own) return hf_fail(err, own->code, "%s", own->msg);
  if (t == 0 && state && *state) {
    rs->state = hf_json_parse(state, strlen(state), why);
    if (!rs->state) t = hf_prefix(why, "the plugin's state is not JSON");
  }
  rs->files = counts.files;
  rs->folders = counts.folders;
  rs->others = counts.others;
  rs->bytes_read = counts.read;
  for (size_t i = 0; i < rs->n_streams; i++) rs->bytes += rs->streams[i].size;
  return hf_store_end(r->store, t == 0, err);
}

/* The hooks behind a source: what they get wrong is a problem of the source, and does not undo what was read. */
static void hooks_behind(struct run *r, const struct part *p, struct hf_record_source *rs) {
  static const enum hf_hook order[] = {HF_HOOK_ON_FAILURE, HF_HOOK_AFTER};
  for (size_t i = 0; i < HF_NELEM(order); i++) {
    struct hf_hook_facts f = {.status = rs->error ? "failed" : rs->n_problems ? "partial" : "complete", .error = rs->error, .label = r->o->label, .bytes = rs->bytes, .bytes_read = rs->bytes_read, .files = rs->files};
    struct hf_error e = {0};
    if (order[i] == HF_HOOK_ON_FAILURE && !rs->error) continue;
    if (hf_hooks_run(r->s->manifest, p->m, order[i], &f, &e) == 0) continue;
    hf_log(HF_LOG_ERROR, "source %s: %s", rs->name, e.msg);
    hf_record_add_problem(rs, "", e.code, e.msg);
  }
}

/* Read one source, with its hooks. 0 also when it failed by its own fault; negative when the run cannot go on. */
static int read_source(struct run *r, struct part *p, struct hf_record_source *rs, struct hf_error *err) {
  struct hf_error why = {0};
  struct hf_hook_facts facts = {.label = r->o->label};
  bool ready = r->o->dry || hf_hooks_run(r->s->manifest, p->m, HF_HOOK_BEFORE, &facts, &why) == 0;
  int t = ready ? run_worker(r, p, rs, &why, err) : 0;
  if (t == 0 && hf_cancel) t = hf_fail(err, HOLDFAST_E_CANCELED, "stopped; what was stored is kept for the next run");
  if (why.code || t < 0) {
    drop_streams(rs);
    rs->error = hf_strdup(why.code ? why.msg : err->msg);
    if (t == 0) hf_log(HF_LOG_ERROR, "source %s: %s", rs->name, rs->error);
  }
  /* Also when the run ends here: a service that was stopped has to be started again. */
  if (!r->o->dry) hooks_behind(r, p, rs);
  rs->status = hf_strdup(rs->error ? "failed" : rs->n_problems ? "partial" : "complete");
  if (!rs->error) r->good++;
  return t;
}

static bool is_chosen(const struct hf_backup_options *o, const struct hf_manifest_source *m) { return o->sources && o->sources->n ? hf_list_has(o->sources, m->name) : m->enabled; }

/* A mistake on the command line is found before anything is read or written. */
static int check_names(const struct run *r, struct hf_error *err) {
  const struct hf_manifest *m = r->s->manifest;
  for (size_t i = 0; r->o->sources && i < r->o->sources->n; i++) {
    const struct hf_manifest_source *ms = hf_manifest_find_source(m, r->o->sources->v[i]);
    if (!ms) return hf_fail(err, HOLDFAST_E_USAGE, "the manifest has no [source %s]", r->o->sources->v[i]);
    if (!ms->enabled) return hf_fail(err, HOLDFAST_E_USAGE, "source %s is switched off in the manifest (enabled = no)", ms->name);
  }
  return 0;
}

static int prepare(struct run *r, struct hf_error *err) {
  const struct hf_manifest *m = r->s->manifest;
  int t = hf_session_all_recipients(r->s, &r->index_recipients, err);
  if (t == 0 && !r->o->dry) t = hf_settle_rest(r->s, err);
  struct hf_list sources = HF_LIST_INIT;
  for (size_t i = 0; i < m->n_sources; i++) {
    if (is_chosen(r->o, &m->sources[i])) hf_list_add(&sources, m->sources[i].name);
  }
  if (t == 0) t = hf_commit_begin(r->s, r->rec, &sources, &r->targets, err);
  hf_list_free(&sources);
  if (t < 0) return t;
  r->last_pack = hf_state_pack_max(r->s->state);
  r->last_index = hf_state_index_max(r->s->state);
  r->parts = hf_allocn(m->n_sources, sizeof *r->parts);
  r->rec->sources = hf_allocn(m->n_sources, sizeof *r->rec->sources);
  struct hf_store_options so = {.state = r->s->state, .gpg = r->s->host, .repo_id = r->s->repo_id, .signer = r->s->host_key, .index_recipients = &r->index_recipients, .targets = r->targets.takers,
                                .n_targets = r->targets.n_takers, .checkpoint = m->checkpoint, .dry = r->o->dry, .cancel = &hf_cancel};
  return hf_store_open(&so, &r->store, err);
}

static int read_all(struct run *r, struct hf_error *err) {
  const struct hf_manifest *m = r->s->manifest;
  for (size_t i = 0; i < m->n_sources; i++) {
    const struct hf_manifest_source *ms = &m->sources[i];
    if (!is_chosen(r->o, ms)) continue;
    struct part *p = &r->parts[r->n_parts++];
    struct hf_record_source *rs = &r->rec->sources[r->rec->n_sources++];
    p->m = ms;
    rs->name = hf_strdup(ms->name);
    rs->plugin = hf_strdup(ms->plugin->head->name);
    rs->version = hf_strdup(ms->plugin->head->version);
    int t = hf_session_recipients(r->s, &ms->recipients, &p->recipients, err);
    if (t < 0) return hf_prefix(err, "source %s", ms->name);
    hf_audience_derive(&r->s->secret, &p->recipients, &p->audience);
    rs->audience = hf_strdup(p->audience.name);
    for (size_t k = 0; k < p->recipients.n; k++) hf_list_add(&rs->recipients, p->recipients.v[k]);
    p->store = (struct hf_store_source){.name = ms->name, .audience = &p->audience, .recipients = &p->recipients, .level = ms->compression, .hide = ms->hide_recipients, .padding = ms->padding};
    rs->started = hf_wall_clock();
    t = read_source(r, p, rs, err);
    rs->finished = hf_wall_clock();
    if (t < 0) return t;
  }
  return r->n_parts ? 0 : hf_fail(err, HOLDFAST_E_USAGE, "no source is chosen: all are switched off (enabled = no)");
}

static bool run_refers(void *ctx, int64_t row) { return hf_store_refers_to(((struct run *)ctx)->store, row); }

static bool may_have(void *ctx, size_t target) { return ((struct hf_commit *)ctx)->t[target].ok; }

/* Where the snapshot is: what it refers to must not become deletable before it is old itself. */
static void keep_locked(struct run *r) {
  struct hf_session *s = r->s;
  const struct hf_extend x = {.refers = run_refers, .ctx = r, .last_pack = r->last_pack, .last_index = r->last_index};
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    if (!r->targets.t[i].ok || r->targets.t[i].passes || hf_target_failure(s->targets[i])) continue;
    if (hf_extend(s, i, r->rec, &x, &e) < 0) hf_target_set_failed(s->targets[i], &e);
  }
}

static int commit(struct run *r, struct hf_error *err) {
  struct hf_session *s = r->s;
  struct hf_record *rec = r->rec;
  int t = hf_store_flush(r->store, err);
  if (t < 0) return t;
  for (size_t i = 0; i < r->n_parts; i++) {
    rec->sources[i].bytes_new = r->parts[i].store.bytes_new;
    rec->sources[i].bytes_stored = r->parts[i].store.bytes_stored;
  }
  t = hf_store_indexes(r->store, &rec->indexes, &rec->n_indexes, err);
  if (t < 0) return t;

  size_t reached = 0;
  t = hf_commit_confirm(&r->targets, run_refers, r, err);
  if (t == 0) t = hf_append(s, rec, may_have, &r->targets, &reached, err);
  if (t == 0) keep_locked(r);
  for (size_t i = 0; t == 0 && i < r->n_parts; i++) {
    if (r->parts[i].ingest) t = hf_ingest_keep(r->parts[i].ingest, rec->seq, err);
  }
  if (t == 0) t = hf_state_commit(s->state, err);
  return t;
}

static void report_targets(struct run *r, bool committed, struct hf_backup_result *out) {
  struct hf_session *s = r->s;
  const struct hf_manifest *m = s->manifest;
  out->targets = hf_allocn(m->n_targets, sizeof *out->targets);
  for (size_t i = 0; i < m->n_targets; i++) {
    if (!m->targets[i].enabled) continue;
    struct hf_backup_target *bt = &out->targets[out->n_targets++];
    bt->name = hf_strdup(m->targets[i].name);
    bt->away = hf_list_has(&s->away, bt->name);
    bt->error = hf_strdup(bt->away ? "is not there" : "could not be opened");
    for (size_t k = 0; k < s->n_targets; k++) {
      if (strcmp(hf_target_name(s->targets[k]), bt->name) != 0) continue;
      free(bt->error);
      bt->error = hf_strdup(hf_target_failure(s->targets[k]));
      bt->committed = committed && !bt->error && !r->targets.t[k].passes;
      bt->passed = committed && !bt->error && r->targets.t[k].passes;
      bt->copied = r->targets.t[k].caught_up.copied;
      bt->bytes = r->targets.t[k].caught_up.bytes;
    }
    if (bt->error && !bt->away) out->partial = true;
  }
}

static void run_free(struct run *r) {
  hf_store_close(r->store);
  hf_commit_free(&r->targets);
  for (size_t i = 0; i < r->n_parts; i++) {
    hf_ingest_free(r->parts[i].ingest);
    hf_list_free(&r->parts[i].recipients);
    hf_wipe(&r->parts[i].audience, sizeof r->parts[i].audience);
  }
  free(r->parts);
  hf_list_free(&r->index_recipients);
  hf_record_free(r->rec);
}

/* Told to stop: what the targets have already, the next run need not store. */
static void keep_what_was_stored(struct run *r) {
  size_t packs = 0;
  struct hf_error e = {0};
  if (hf_store_salvage(r->store, &packs, &e) < 0)
    hf_log(HF_LOG_WARNING, "what was stored since the last checkpoint has to be stored again: %s", e.msg);
  else
    hf_log(HF_LOG_INFO, "%zu packs that were stored since the last checkpoint are kept for the next run", packs);
}

static int locked_backup(struct run *r, struct hf_error *err) {
  struct hf_session *s = r->s;
  struct hf_digest object;
  int t = hf_session_chain(s, err);
  if (t < 0) return t;
  hf_session_warn(s);
  if (!r->o->dry) {
    t = hf_update_keys(s, &object, err);
    if (t < 0) return t;
    r->rec->secret = object;
  }
  if ((t = hf_state_recipe_sweep(s->state, err)) < 0 || (t = prepare(r, err)) < 0 || (t = read_all(r, err)) < 0) {
    if (!hf_cancel || !r->store || r->o->dry) return t;
    keep_what_was_stored(r);
    return hf_fail(err, HOLDFAST_E_CANCELED, "stopped; what was stored is kept for the next run");
  }
  if (r->o->dry) return hf_state_rollback(s->state, err);
  if (r->good == 0) {
    hf_store_flush(r->store, NULL);
    return hf_fail(err, HOLDFAST_E_FAILED, "no source could be backed up: there is no snapshot");
  }
  return commit(r, err);
}

int hf_backup(struct hf_session *s, const struct hf_backup_options *o, struct hf_backup_result *out, struct hf_error *err) {
  struct run r = {.s = s, .o = o};
  double start = hf_now();
  r.rec = hf_alloc(sizeof *r.rec);
  r.rec->type = HF_RECORD_SNAPSHOT;
  r.rec->label = hf_strdup(o->label);
  r.rec->time = hf_wall_clock();
  int t = check_names(&r, err);
  if (t == 0 && !o->dry) t = hf_repo_lock(s, "backup", err);
  if (t == 0) {
    t = locked_backup(&r, err);
    hf_store_close(r.store); /* the sealers are done before the lock goes */
    r.store = NULL;
    if (!o->dry) hf_repo_unlock(s);
  }
  memset(out, 0, sizeof *out);
  out->seconds = hf_now() - start;
  if (t == 0) {
    report_targets(&r, !o->dry, out);
    for (size_t i = 0; i < r.rec->n_sources; i++) {
      if (o->dry) r.rec->sources[i].bytes_new = r.parts[i].store.bytes_new;
      if (strcmp(r.rec->sources[i].status, "complete") != 0) out->partial = true;
    }
    out->record = r.rec;
    r.rec = NULL;
  }
  run_free(&r);
  return t;
}

void hf_backup_result_free(struct hf_backup_result *r) {
  hf_record_free(r->record);
  for (size_t i = 0; i < r->n_targets; i++) {
    free(r->targets[i].name);
    free(r->targets[i].error);
  }
  free(r->targets);
  memset(r, 0, sizeof *r);
}
