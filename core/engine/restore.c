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
#include "engine/restore_impl.h"
#include "plugin/worker.h"

struct source {
  struct hf_reading rd;
  const struct hf_restore_options *o;
  struct hf_restore_result *out;
  struct hf_worker_restore *worker; /* NULL when the plugin has no restore half, or is not in the manifest */
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

static int feed_worker(struct source *x, const struct hf_record_stream *st, int fd, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *block = hf_alloc(HF_WORKER_SLOT);
  int r = hf_worker_restore_begin(x->worker, st->name, st->size, err);
  if (r == 0 && lseek(fd, 0, SEEK_SET) < 0) r = hf_fail_errno(err, errno, "cannot rewind a temporary file");
  while (r == 0) {
    ssize_t n = hf_read_full(fd, block, HF_WORKER_SLOT, err);
    if (n <= 0) {
      r = (int)n;
      break;
    }
    r = hf_worker_restore_write(x->worker, block, (size_t)n, err);
  }
  return r == 0 ? hf_worker_restore_end(x->worker, err) : r;
}

static int restore_raw(struct source *x, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_mapped recipe = {0};
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_freep) char *file = NULL;
  uint64_t lost = 0;
  bool through_plugin = x->worker && x->rd.s->manifest && x->dir == NULL;
  if (through_plugin) {
    fd = hf_reading_temp(&x->rd, err);
  } else {
    file = hf_path_join(x->dir, st->name);
    fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) hf_fail_errno(err, errno, "cannot make %s", file);
  }
  if (fd < 0) return err ? err->code : HOLDFAST_E_FAILED;
  int r = hf_reading_recipe(&x->rd, st, true, &recipe, err);
  if (r == 0) r = hf_reading_assemble(&x->rd, &recipe, fd, &lost, err);
  hf_mapped_free(&recipe);
  if (r == 0 && lost > 0) {
    tell_lost_stream(x, st, lost);
    if (file) unlink(file);
    return 0;
  }
  if (r == 0) r = check_stream(fd, st, err);
  if (r == 0 && through_plugin) r = feed_worker(x, st, fd, err);
  if (r == 0) {
    x->out->streams++;
    x->out->bytes += st->size;
  }
  return r;
}

static int restore_streams(struct source *x, struct hf_error *err) {
  for (size_t i = 0; i < x->rd.source->n_streams; i++) {
    const struct hf_record_stream *st = &x->rd.source->streams[i];
    int r;
    if (strcmp(st->format, "raw") == 0) {
      if (x->o->patterns && x->o->patterns->n && !hf_list_has(x->o->patterns, st->name)) continue;
      r = restore_raw(x, st, err);
    } else {
      HF_CLEANUP(hf_freep) char *root = NULL;
      if (x->worker) {
        r = hf_worker_restore_tree(x->worker, st->name, &root, err);
        if (r < 0) return r;
      }
      r = hf_restore_tree(&x->rd, st, root ? root : x->dir, x->dir == NULL, x->o, x->out, err);
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

static int restore_source(struct hf_session *s, const struct hf_record *rec, const struct hf_record_source *rs, const struct hf_restore_options *o, struct hf_restore_result *out, struct hf_error *err) {
  struct source x = {.o = o, .out = out};
  const struct hf_manifest_source *m = hf_manifest_find_source(s->manifest, rs->name);
  if (rs->n_streams == 0) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "source %s failed in snapshot %llu (%s): there is nothing to restore", rs->name, (unsigned long long)rec->seq, rs->error ? rs->error : "no data");
  hf_reading_init(s, rec, rs, &x.rd);
  x.rd.progress = relay_progress;
  x.rd.bad = relay_bad;
  x.rd.ctx = &x;
  int r = hf_reading_ready(&x.rd, err);
  if (r < 0) return r;
  bool has_half = m && strcmp(m->plugin->head->name, rs->plugin) == 0 && m->plugin->source.restore_open;
  HF_CLEANUP(hf_freep) char *state = rs->state ? json_dumps(rs->state, JSON_COMPACT) : NULL;
  if (o->to) {
    x.dir = hf_path_join(o->to, rs->name);
    r = fresh_folder(x.dir, err);
  } else if (!has_half) {
    r = hf_fail(err, HOLDFAST_E_UNSUPPORTED, "cannot be restored in place: %s; restore it with --to",
                !m ? "the manifest has no such source" : strcmp(m->plugin->head->name, rs->plugin) != 0 ? "the manifest's source uses another plugin now" : "its plugin has no restore half");
  } else {
    struct hf_select sel = {o->patterns};
    char *path = NULL;
    r = hf_safety_copy(s, m, &sel, &path, err);
    if (path) {
      hf_log(HF_LOG_NOTICE, "source %s: what was there is kept in %s", rs->name, path);
      hf_list_take(&out->safety, path);
    }
  }
  struct hf_worker_job job = {.cancel = &hf_cancel};
  if (r == 0 && has_half) {
    job = (struct hf_worker_job){.plugin = m->plugin, .settings = m->settings, .instance = m->name, .user = o->to ? NULL : m->user, .timeout = m->timeout, .cancel = &hf_cancel};
    r = hf_worker_restore_open(&job, o->to ? HOLDFAST_RESTORE_TO_DIR : HOLDFAST_RESTORE_IN_PLACE, x.dir, state, &x.worker, err);
  }
  uint64_t lost_before = out->lost;
  if (r == 0) r = restore_streams(&x, err);
  if (x.worker) {
    struct hf_error e = {0};
    int f = hf_worker_restore_finish(x.worker, r == 0 && out->lost == lost_before, &e);
    if (r == 0 && f < 0) r = hf_fail(err, f, "%s", e.msg);
    hf_worker_restore_close(x.worker);
  }
  free(x.dir);
  return r < 0 ? hf_prefix(err, "source %s", rs->name) : 0;
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
  for (size_t i = 0; i < rec->n_sources; i++) {
    const struct hf_record_source *rs = &rec->sources[i];
    bool named = o->sources && o->sources->n;
    if (named && !hf_list_has(o->sources, rs->name)) continue;
    if (!named && rs->n_streams == 0) {
      out->lost++;
      if (o->problem) o->problem(o->ctx, rs->name, "", true, "this source failed when the snapshot was taken: it holds nothing of it");
      continue;
    }
    int r = restore_source(s, rec, rs, &mine, out, err);
    if (r < 0) return r;
  }
  out->seconds = hf_now() - start;
  return 0;
}
