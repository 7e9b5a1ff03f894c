/* restore.c - sources of a snapshot back to a folder, or back to where they came from.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/hooks.h"
#include "engine/restore_impl.h"
#include "plugin/worker.h"

struct source {
  struct hf_reading rd;
  const struct hf_restore_options *o;
  struct hf_restore_result *out;
  struct hf_worker_restore *worker; /* NULL when the plugin has no restore half, or is not in the manifest */
  bool streams;                     /* and it takes raw streams */
  bool broken;                      /* a stream it has begun with was lost */
  struct hf_undo *undo;             /* in place: what is replaced */
  bool host_keeps;                  /* and it is the host that keeps it */
  struct hf_rest *rest;             /* what its safety copy lacks */
  char *dir;                        /* --to: this source's own folder */
};

static void relay_progress(void *ctx, uint64_t packs, uint64_t total, uint64_t stored, uint64_t total_stored) {
  const struct source *x = ctx;
  if (x->o->progress) x->o->progress(x->o->ctx, x->rd.source->name, packs, total, stored, total_stored);
}

static void relay_bad(void *ctx, const char *object, const char *why) {
  const struct source *x = ctx;
  if (x->o->bad) x->o->bad(x->o->ctx, object, why);
}

/* A folder that must not exist or be empty: nothing that is there is ever mixed with what comes. */
static int fresh_folder(const char *path, struct hf_error *err) {
  int r = hf_mkdir_p(path, 0700, err);
  if (r < 0) return r;
  DIR *d = opendir(path);
  if (!d) return hf_fail_errno(err, errno, "cannot read %s", path);
  bool empty = true;
  for (struct dirent *e; empty && (e = readdir(d));) empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
  closedir(d);
  return empty ? 0 : hf_fail(err, HOLDFAST_E_EXISTS, "%s is not empty: restore to a new folder", path);
}

static void tell_lost_stream(struct source *x, const struct hf_record_stream *st, uint64_t lost) {
  HF_CLEANUP(hf_freep) char *what = hf_asprintf("%llu of its chunks are lost: the stream is not restored", (unsigned long long)lost);
  x->out->lost++;
  if (x->o->problem) x->o->problem(x->o->ctx, x->rd.source->name, st->name, true, what);
}

static int check_stream(int fd, const struct hf_record_stream *st, struct hf_error *err) {
  if (!st->sha256[0] || st->size == 0) return 0;
  void *p = mmap(NULL, (size_t)st->size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return hf_fail_errno(err, errno, "cannot map a stream of %llu bytes", (unsigned long long)st->size);
  struct hf_digest d;
  char hex[HF_SHA256_HEX];
  hf_sha256(p, (size_t)st->size, &d);
  munmap(p, (size_t)st->size);
  hf_digest_hex(&d, hex);
  return strcmp(hex, st->sha256) == 0 ? 0 : hf_fail(err, HOLDFAST_E_CORRUPT, "stream %s: its digest is not the one that the record names", st->name);
}

int hf_restore_feed(struct hf_worker_restore *w, int fd, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *block = hf_alloc(HF_WORKER_SLOT);
  int r = lseek(fd, 0, SEEK_SET) < 0 ? hf_fail_errno(err, errno, "cannot rewind a temporary file") : 0;
  while (r == 0) {
    ssize_t n = hf_read_full(fd, block, HF_WORKER_SLOT, err);
    if (n <= 0) {
      r = (int)n;
      break;
    }
    if (hf_cancel) {
      r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
      break;
    }
    r = hf_worker_restore_write(w, block, (size_t)n, err);
  }
  return r == 0 ? hf_worker_restore_end(w, err) : r;
}

/* Does the plugin take this stream itself? 1, 0 (it becomes a file of the chosen folder), or a negative status. */
static int offer_to_worker(struct source *x, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_error e = {0};
  if (!x->worker || !x->streams) {
    if (x->dir) return 0;
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "its plugin cannot put the stream %s back in place; restore it with --to", st->name);
  }
  int r = hf_worker_restore_begin(x->worker, st->name, st->size, &e);
  if (r == 0) return 1;
  if (r == HOLDFAST_E_UNSUPPORTED && x->dir) return 0;
  return hf_fail(err, r, "stream %s: %s", st->name, e.msg);
}

static int restore_raw(struct source *x, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_mapped recipe = {0};
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_freep) char *file = NULL;
  uint64_t lost = 0;
  int through = offer_to_worker(x, st, err);
  if (through < 0) return through;
  if (through) {
    fd = hf_reading_temp(&x->rd, err);
  } else {
    file = hf_path_join(x->dir, st->name);
    fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) hf_fail_errno(err, errno, "cannot make %s", file);
  }
  if (fd < 0) return err ? err->code : HOLDFAST_E_FAILED;
  int r = hf_reading_recipe(&x->rd, st, !x->o->no_local, &recipe, err);
  if (r == 0) r = hf_reading_assemble(&x->rd, &recipe, fd, &lost, err);
  hf_mapped_free(&recipe);
  if (r == 0 && lost == 0) r = check_stream(fd, st, err);
  if (r == 0 && lost == 0 && through) r = hf_restore_feed(x->worker, fd, err);
  if ((r < 0 || lost > 0) && file) unlink(file);
  if (through && (r == HOLDFAST_E_CORRUPT || r == HOLDFAST_E_NOT_FOUND || lost > 0)) x->broken = true; /* begun and not ended: the plugin takes no other */
  if (r == 0 && lost > 0) {
    tell_lost_stream(x, st, lost);
    return 0;
  }
  if (r == 0) {
    x->out->streams++;
    x->out->matched++;
    x->out->bytes += st->size;
  }
  return r;
}

static int restore_streams(struct source *x, struct hf_error *err) {
  for (size_t i = 0; i < x->rd.source->n_streams; i++) {
    const struct hf_record_stream *st = &x->rd.source->streams[i];
    int r;
    if (x->broken) {
      x->out->lost++;
      if (x->o->problem) x->o->problem(x->o->ctx, x->rd.source->name, st->name, true, "not restored, since a stream before it is lost");
      continue;
    }
    if (strcmp(st->format, "raw") == 0) {
      if (x->o->patterns && x->o->patterns->n && !hf_list_has(x->o->patterns, st->name)) continue;
      r = restore_raw(x, st, err);
    } else {
      HF_CLEANUP(hf_freep) char *root = NULL;
      if (x->worker) {
        r = hf_worker_restore_tree(x->worker, st->name, &root, err);
        if (r < 0) return r;
      }
      struct hf_made *made = NULL;
      r = x->host_keeps ? hf_restore_made(x->undo, root, x->rd.source->name, x->rest, &made, err) : 0;
      if (r == 0) r = hf_restore_tree(&x->rd, st, root ? root : x->dir, x->dir == NULL, made, x->o, x->out, err);
      int c = hf_made_close(made, r == 0 ? err : NULL);
      if (r == 0) r = c;
    }
    /* A lost recipe costs its stream; go on with the others. */
    if (r == HOLDFAST_E_CORRUPT || r == HOLDFAST_E_NOT_FOUND) {
      x->out->lost++;
      if (x->o->problem) x->o->problem(x->o->ctx, x->rd.source->name, st->name, true, err->msg);
      r = 0;
    }
    if (r < 0) return r;
  }
  return 0;
}

/* What can be said before anything is touched. */
static int check_source(const struct hf_record *rec, const struct hf_record_source *rs, const struct hf_manifest_source *m, bool in_place, struct hf_error *err) {
  if (rs->n_streams == 0)
    return hf_fail(err, HOLDFAST_E_NOT_FOUND, "it failed in snapshot %llu (%s): there is nothing to restore", (unsigned long long)rec->seq, rs->error ? rs->error : "no data");
  if (!in_place) return 0;
  const char *why = !m                                                ? "the manifest has no such source"
                    : strcmp(m->plugin->head->name, rs->plugin) != 0 ? "the manifest's source uses another plugin now"
                    : !m->plugin->source.restore_open                ? "its plugin has no restore half"
                                                                     : NULL;
  return why ? hf_fail(err, HOLDFAST_E_UNSUPPORTED, "cannot be restored in place: %s; restore it with --to", why) : 0;
}

int hf_restore_made(struct hf_undo *u, const char *root, const char *source, struct hf_rest *rest, struct hf_made **out, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(u->folder, source);
  HF_CLEANUP(hf_freep) char *file = hf_path_join(folder, "made");
  int r = hf_mkdir_p(folder, 0700, err);
  if (r == 0) r = hf_made_open(file, root, rest, out, err);
  if (r < 0) return r;
  hf_undo_made(u, file);
  return hf_undo_save(u, err);
}

/* A copy of what is there now, unless the plugin itself keeps it. */
static int keep_safety(struct source *x, const struct hf_manifest_source *m, struct hf_error *err) {
  struct hf_select sel = {x->o->patterns};
  hf_undo_source(x->undo, m->name, m->plugin->head->name);
  x->host_keeps = !(m->plugin->source.features & HOLDFAST_KEEPS_SAFETY);
  if (x->host_keeps) x->rest = hf_rest_new(x->undo, m->name, &x->out->safety);
  int r = x->host_keeps ? hf_safety_copy(x->rd.s, m, &sel, x->undo, x->rest, &x->out->safety, err) : 0;
  return r == 0 ? hf_undo_save(x->undo, err) : r;
}

/* Ask the plugin whether what is in place now is good. */
static void verify_in_place(struct source *x, const struct hf_manifest_source *m) {
  struct hf_error e = {0};
  HF_CLEANUP(hf_freep) char *state = x->rd.source->state ? json_dumps(x->rd.source->state, JSON_COMPACT) : NULL;
  HF_CLEANUP(hf_freep) char *message = NULL;
  struct hf_worker_job job = {.plugin = m->plugin, .settings = m->settings, .instance = m->name, .user = m->user, .timeout = m->timeout, .cancel = &hf_cancel};
  /* Of a part there is no saying whether it is whole. */
  if (hf_cancel || !(m->plugin->source.features & HOLDFAST_VERIFIES_IN_PLACE) || (x->o->patterns && x->o->patterns->n)) return;
  if (hf_worker_verify(&job, "/", state, &message, &e) == 0) {
    if (message) hf_log(HF_LOG_NOTICE, "source %s: %s", m->name, message);
    return;
  }
  hf_prefix(&e, "it is in place, and does not pass");
  x->out->problems++;
  if (x->o->problem) x->o->problem(x->o->ctx, m->name, "", false, e.msg);
}

/* The streams, by way of the plugin (m not NULL) or straight into the folder. */
static int restore_with(struct source *x, const struct hf_manifest_source *m, struct hf_error *err) {
  const struct hf_record_source *rs = x->rd.source;
  HF_CLEANUP(hf_freep) char *state = rs->state ? json_dumps(rs->state, JSON_COMPACT) : NULL;
  struct hf_worker_job job = {.cancel = &hf_cancel};
  uint64_t lost_before = x->out->lost;
  int r = 0;
  if (m) {
    job = (struct hf_worker_job){.plugin = m->plugin, .settings = m->settings, .instance = m->name, .user = x->dir ? NULL : m->user, .timeout = m->timeout, .cancel = &hf_cancel, .kept = x->undo ? hf_undo_kept : NULL, .kept_ctx = x->undo};
    r = hf_worker_restore_open(&job, x->dir ? HOLDFAST_RESTORE_TO_DIR : HOLDFAST_RESTORE_IN_PLACE, x->dir, state, &x->worker, err);
    x->streams = m->plugin->source.restore_begin != NULL;
  }
  if (r == 0) r = restore_streams(x, err);
  /* What the plugin has been given is not in place yet, and need not get there. */
  bool waits = !x->host_keeps;
  for (size_t i = 0; i < rs->n_streams; i++) waits = waits || strcmp(rs->streams[i].format, "raw") == 0;
  if (r == 0 && hf_cancel && waits) r = hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  if (x->worker) {
    struct hf_error e = {0};
    int f = hf_worker_restore_finish(x->worker, r == 0 && x->out->lost == lost_before, &e);
    if (r == 0 && f < 0) r = hf_fail(err, f, "%s", e.msg);
    hf_worker_restore_close(x->worker);
  }
  return r;
}

/* Is anything of the source asked for? What cannot be told is. */
static bool is_touched(struct source *x) {
  const struct hf_list *patterns = x->o->patterns;
  struct hf_error e = {0};
  bool any = !patterns || patterns->n == 0;
  for (size_t i = 0; !any && i < x->rd.source->n_streams; i++) {
    const struct hf_record_stream *st = &x->rd.source->streams[i];
    any = strcmp(st->format, "raw") == 0 ? hf_list_has(patterns, st->name) : hf_restore_wants(&x->rd, st, patterns, &e) != 0;
  }
  return any;
}

static int restore_in_place(struct source *x, const struct hf_manifest_source *m, uint64_t seq, struct hf_error *err) {
  struct hf_hook_facts facts = {.snapshot = seq};
  uint64_t lost_before = x->out->lost;
  struct hf_error e = {0};
  int r = hf_hooks_run(x->rd.s->manifest, m, HF_HOOK_RESTORE_BEFORE, &facts, err);
  if (r == 0) r = keep_safety(x, m, err);
  if (r == 0) r = restore_with(x, m, err);
  if (r == 0 && x->undo->broken.code) r = hf_fail(err, x->undo->broken.code, "%s", x->undo->broken.msg);
  if (r == 0 && x->out->lost == lost_before) verify_in_place(x, m);
  /* Whatever came of it: what was stopped has to be started again. */
  facts.status = r < 0 ? "failed" : x->out->lost > lost_before ? "partial" : "complete";
  facts.error = r < 0 ? err->msg : NULL;
  if (hf_hooks_run(x->rd.s->manifest, m, HF_HOOK_RESTORE_AFTER, &facts, &e) < 0) {
    x->out->problems++;
    if (x->o->problem) x->o->problem(x->o->ctx, m->name, "", false, e.msg);
  }
  return r;
}

static int restore_source(struct hf_session *s, const struct hf_record *rec, const struct hf_record_source *rs, const struct hf_restore_options *o, struct hf_undo *undo, struct hf_restore_result *out, struct hf_error *err) {
  struct source x = {.o = o, .out = out, .undo = undo};
  const struct hf_manifest_source *m = hf_manifest_find_source(s->manifest, rs->name);
  int r = check_source(rec, rs, m, !o->to, err);
  hf_reading_init(s, rec, rs, &x.rd);
  x.rd.progress = relay_progress;
  x.rd.bad = relay_bad;
  x.rd.ctx = &x;
  if (r == 0) r = hf_reading_ready(&x.rd, err);
  if (r == 0 && o->to) {
    bool same = m && strcmp(m->plugin->head->name, rs->plugin) == 0 && m->plugin->source.restore_open;
    x.dir = hf_path_join(o->to, rs->name);
    r = fresh_folder(x.dir, err);
    if (r == 0) r = restore_with(&x, same ? m : NULL, err);
  } else if (r == 0 && is_touched(&x)) {
    /* Another source's patterns stop no service, and are no reason to put this one back in an undo. */
    r = restore_in_place(&x, m, rec->seq, err);
  }
  hf_rest_free(x.rest);
  free(x.dir);
  return r;
}

/* Is this source to be restored? One that failed in the snapshot only when it is asked for by name: to be told so. */
static bool is_wanted(const struct hf_restore_options *o, const struct hf_record_source *rs) {
  bool named = o->sources && o->sources->n;
  return named ? hf_list_has(o->sources, rs->name) : rs->n_streams > 0;
}

int hf_restore(struct hf_session *s, const struct hf_record *rec, const struct hf_restore_options *o, struct hf_restore_result *out, struct hf_error *err) {
  double start = hf_now();
  memset(out, 0, sizeof *out);
  for (size_t i = 0; o->sources && i < o->sources->n; i++) {
    if (!hf_record_find_source(rec, o->sources->v[i])) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu has no source %s", (unsigned long long)rec->seq, o->sources->v[i]);
  }
  HF_CLEANUP(hf_freep) char *to = NULL;
  struct hf_restore_options mine = *o;
  if (o->to) {
    int r = hf_mkdir_p(o->to, 0700, err);
    if (r < 0) return r;
    to = realpath(o->to, NULL);
    if (!to) return hf_fail_errno(err, errno, "cannot use %s", o->to);
    mine.to = to;
  }
  struct hf_undo *undo = NULL;
  int began = o->to ? 0 : hf_undo_begin(s->manifest, rec->seq, 0, o->patterns, &undo, err);
  if (began < 0) return began;
  size_t wanted = 0, failed = 0;
  struct hf_error first = {0};
  for (size_t i = 0; i < rec->n_sources; i++) wanted += is_wanted(o, &rec->sources[i]);
  for (size_t i = 0; i < rec->n_sources; i++) {
    const struct hf_record_source *rs = &rec->sources[i];
    if (!is_wanted(o, rs)) {
      if (o->sources && o->sources->n) continue;
      out->lost++;
      if (o->problem) o->problem(o->ctx, rs->name, "", true, "this source failed when the snapshot was taken: it holds nothing of it");
      continue;
    }
    struct hf_error e = {0};
    if (!hf_cancel && restore_source(s, rec, rs, &mine, undo, out, &e) == 0) continue;
    if (!e.code) hf_fail(&e, HOLDFAST_E_CANCELED, "stopped before it was restored");
    if (wanted > 1 && o->problem && e.code != HOLDFAST_E_CANCELED && !hf_cancel) o->problem(o->ctx, rs->name, "", true, e.msg);
    hf_prefix(&e, "source %s", rs->name);
    if (failed++ == 0) first = e;
    if (e.code == HOLDFAST_E_CANCELED || hf_cancel) break;
  }
  out->seconds = hf_now() - start;
  if (undo && undo->changed) out->undo = undo->id;
  hf_undo_free(undo);
  if (failed > 0 && (hf_cancel || first.code == HOLDFAST_E_CANCELED || wanted == 1)) return hf_fail(err, first.code, "%s", first.msg);
  if (failed > 0 && failed == wanted) return hf_fail(err, first.code, "none of the %zu sources could be restored", wanted);
  out->lost += failed;
  return 0;
}
