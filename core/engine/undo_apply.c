/* undo_apply.c - putting back what a restore in place has replaced.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the host has kept goes back the way a snapshot would: through the restore half of the source's plugin. What a plugin has kept is the plugin's to put back. Either way what is there now is kept first,
 * so that an undo is itself a run that can be undone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "engine/hooks.h"
#include "engine/made.h"
#include "engine/restore_impl.h"
#include "stream/extract.h"

struct apply {
  struct hf_session *s;
  struct hf_undo *u, *redo;
  const struct hf_restore_options *o;
  struct hf_restore_result *out;
  struct hf_list patterns;
  const char *name;              /* of the source being put back */
  struct hf_made *made;          /* what this makes where nothing was */
  struct hf_rest *rest;          /* what it replaces and the source does not read */
};

static void problem(void *ctx, const char *path, bool lost, const char *what) {
  struct apply *a = ctx;
  if (lost) a->out->lost++;
  else a->out->problems++;
  if (a->o->problem) a->o->problem(a->o->ctx, a->name, path, lost, what);
}

static void left(void *ctx, const char *path, const char *why) { problem(ctx, path, false, why); }

/* The first time: is anything where the entry goes? Nothing is made. */
static void see(void *ctx, const char *path, size_t n, bool folder) {
  struct apply *a = ctx;
  hf_made_note(a->made, path, n, folder, false);
}

/* A safety copy is one slice: whole entries, one after the other. */
static int read_tar(struct hf_extract *x, const char *tar, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = open(tar, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return hf_fail_errno(err, errno, "%s", tar);
  void *p = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
  if (!p || p == MAP_FAILED) return p ? hf_fail_errno(err, errno, "%s", tar) : hf_fail(err, HOLDFAST_E_CORRUPT, "%s: is empty", tar);
  int r = hf_extract_slice(x, p, (size_t)st.st_size, err);
  munmap(p, (size_t)st.st_size);
  return r < 0 ? hf_prefix(err, "%s", tar) : 0;
}

/* All tars of a source, as one tree. seen: they are looked at, and nothing is written. */
static int read_tars(struct apply *a, const json_t *source, const char *root, bool seen, struct hf_error *err) {
  struct hf_extract *x = NULL;
  struct hf_extract_counts c = {0};
  struct hf_extract_options xo = {.root = root, .replace = true, .owner = geteuid() == 0, .verify = true, .sync = true, .spool_dir = hf_state_dir(a->s->state), .look = seen ? see : NULL, .problem = seen ? NULL : problem, .ctx = a};
  const json_t *stream;
  size_t i;
  int r = hf_extract_open(&xo, &x, err);
  json_array_foreach(json_object_get(source, "streams"), i, stream) {
    HF_CLEANUP(hf_freep) char *path = hf_undo_path(json_object_get(stream, "path"));
    if (r == 0 && strcmp(json_string_value(json_object_get(stream, "format")), "raw") != 0) r = read_tar(x, path, err);
  }
  if (r == 0 && !seen) r = hf_extract_finish(x, &c, err);
  hf_extract_free(x);
  hf_restore_count(a->out, &c);
  return r;
}

static int put_tars(struct apply *a, const json_t *source, const char *root, struct hf_error *err) {
  int r = hf_restore_made(a->redo, root, a->name, a->rest, &a->made, err);
  if (r == 0) r = read_tars(a, source, root, true, err);
  if (r == 0) r = hf_made_sync(a->made, err);
  int c = hf_made_close(a->made, r == 0 ? err : NULL);
  a->made = NULL;
  if (r == 0) r = c;
  HF_CLEANUP(hf_freep) char *made = hf_undo_path(json_object_get(source, "made"));
  if (r == 0 && made) r = hf_made_remove(made, left, a, err);
  return r == 0 ? read_tars(a, source, root, false, err) : r;
}

static int put_raw(struct apply *a, struct hf_worker_restore *w, const char *name, const char *path, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return hf_fail_errno(err, errno, "%s", path);
  int r = hf_worker_restore_begin(w, name, (uint64_t)st.st_size, err);
  if (r == 0) r = hf_restore_feed(w, fd, err);
  if (r < 0) return hf_prefix(err, "stream %s", name);
  a->out->streams++;
  a->out->bytes += (uint64_t)st.st_size;
  return 0;
}

static int put_streams(struct apply *a, struct hf_worker_restore *w, const json_t *source, struct hf_error *err) {
  const json_t *stream;
  size_t i;
  int r = 0;
  bool tars = false;
  json_array_foreach(json_object_get(source, "streams"), i, stream) {
    const char *name = json_string_value(json_object_get(stream, "name"));
    HF_CLEANUP(hf_freep) char *path = hf_undo_path(json_object_get(stream, "path"));
    HF_CLEANUP(hf_freep) char *root = NULL;
    if (strcmp(json_string_value(json_object_get(stream, "format")), "raw") == 0) {
      r = put_raw(a, w, name, path, err);
    } else if (!tars) {
      tars = true;
      r = hf_worker_restore_tree(w, name, &root, err);
      if (r == 0) r = put_tars(a, source, root, err);
    }
    if (r < 0) return r;
  }
  return 0;
}

/* What the host has kept. */
static int put_back_copy(struct apply *a, const struct hf_manifest_source *m, const json_t *source, struct hf_error *err) {
  struct hf_select sel = {&a->patterns};
  HF_CLEANUP(hf_freep) char *made = hf_undo_path(json_object_get(source, "made"));
  HF_CLEANUP(hf_freep) char *state = hf_undo_path(json_object_get(source, "state"));
  int r = hf_safety_copy(a->s, m, &sel, a->redo, a->rest, &a->out->safety, err);
  if (r == 0 && made) r = hf_made_keep(made, a->rest, err);
  if (r == 0) r = hf_undo_save(a->redo, err);
  if (r < 0) return r;
  if (json_array_size(json_object_get(source, "streams")) == 0) {
    r = hf_rest_sync(a->rest, err);
    return r == 0 && made ? hf_made_remove(made, left, a, err) : r;
  }
  struct hf_worker_job job = {.plugin = m->plugin, .settings = m->settings, .instance = m->name, .user = m->user, .timeout = m->timeout, .cancel = &hf_cancel};
  struct hf_worker_restore *w = NULL;
  uint64_t lost = a->out->lost;
  r = hf_worker_restore_open(&job, HOLDFAST_RESTORE_IN_PLACE, NULL, state, &w, err);
  if (r < 0) return r;
  r = put_streams(a, w, source, err);
  struct hf_error e = {0};
  int f = hf_worker_restore_finish(w, r == 0 && a->out->lost == lost, &e);
  if (r == 0 && f < 0) r = hf_fail(err, f, "%s", e.msg);
  hf_worker_restore_close(w);
  return r;
}

/* What its plugin has kept: the last first. */
static int put_back_items(struct apply *a, const struct hf_manifest_source *m, const json_t *source, struct hf_error *err) {
  const json_t *all = json_object_get(source, "items");
  size_t n = json_array_size(all);
  struct hf_worker_item *items = hf_allocn(n, sizeof *items);
  HF_CLEANUP(hf_freep) char *message = NULL;
  for (size_t i = 0; i < n; i++) {
    const json_t *item = json_array_get(all, n - 1 - i);
    items[i] = (struct hf_worker_item){hf_undo_path(json_object_get(item, "place")), hf_undo_path(json_object_get(item, "kept_as"))};
  }
  struct hf_worker_job job = {.plugin = m->plugin, .settings = m->settings, .instance = m->name, .user = m->user, .timeout = m->timeout, .cancel = &hf_cancel, .kept = hf_undo_kept, .kept_ctx = a->redo};
  int r = hf_worker_undo(&job, false, items, n, &message, err);
  if (r == 0) r = hf_undo_save(a->redo, err);
  if (r == 0) a->out->others += n;
  for (size_t i = 0; i < n; i++) {
    free(items[i].place);
    free(items[i].kept_as);
  }
  free(items);
  return r;
}

static int put_back(struct apply *a, json_t *source, struct hf_error *err) {
  const char *plugin = json_string_value(json_object_get(source, "plugin"));
  const struct hf_manifest_source *m = hf_manifest_find_source(a->s->manifest, a->name);
  struct hf_hook_facts facts = {.snapshot = (uint64_t)json_integer_value(json_object_get(a->u->journal, "snapshot"))};
  struct hf_error e = {0};
  if (!m || strcmp(m->plugin->head->name, plugin) != 0) return hf_fail(err, HOLDFAST_E_CONFIG, "the manifest has no such source of the plugin %s", plugin);
  bool items = json_array_size(json_object_get(source, "items")) > 0;
  bool copy = json_array_size(json_object_get(source, "streams")) > 0 || json_object_get(source, "made");
  if (!items && !copy) {
    hf_log(HF_LOG_NOTICE, "source %s: nothing of it was replaced", a->name);
    return 0;
  }
  hf_undo_source(a->redo, a->name, plugin);
  uint64_t lost = a->out->lost;
  int r = hf_hooks_run(a->s->manifest, m, HF_HOOK_RESTORE_BEFORE, &facts, err);
  if (!items) a->rest = hf_rest_new(a->redo, a->name, &a->out->safety);
  if (r == 0) r = items ? put_back_items(a, m, source, err) : put_back_copy(a, m, source, err);
  hf_rest_free(a->rest);
  a->rest = NULL;
  facts.status = r < 0 ? "failed" : a->out->lost > lost ? "partial" : "complete";
  facts.error = r < 0 ? err->msg : NULL;
  if (hf_hooks_run(a->s->manifest, m, HF_HOOK_RESTORE_AFTER, &facts, &e) < 0) problem(a, "", false, e.msg);
  return r;
}

int hf_undo_apply(struct hf_session *s, struct hf_undo *u, const struct hf_restore_options *o, struct hf_restore_result *out, uint64_t *redo, struct hf_error *err) {
  struct apply a = {.s = s, .u = u, .o = o, .out = out, .patterns = HF_LIST_INIT};
  struct hf_error first = {0};
  size_t i, failed = 0, all = 0;
  double start = hf_now();
  json_t *source;
  const json_t *pattern;
  memset(out, 0, sizeof *out);
  *redo = 0;
  json_array_foreach(json_object_get(u->journal, "patterns"), i, pattern) hf_list_take(&a.patterns, hf_undo_path(pattern));
  int r = hf_undo_begin(s->manifest, 0, u->id, &a.patterns, &a.redo, err);
  /* The last first: a folder that one source made may hold what another put there. */
  json_t *sources = json_object_get(u->journal, "sources");
  for (i = json_array_size(sources); i-- > 0;) {
    source = json_array_get(sources, i);
    struct hf_error e = {0};
    if (r < 0 || hf_cancel || json_is_true(json_object_get(source, "undone"))) continue;
    a.name = json_string_value(json_object_get(source, "name"));
    all++;
    if (put_back(&a, source, &e) < 0) {
      if (o->problem) o->problem(o->ctx, a.name, "", true, e.msg);
      hf_prefix(&e, "source %s", a.name);
      if (failed++ == 0) first = e;
      continue;
    }
    json_object_set_new(source, "undone", json_true());
    r = hf_undo_save(u, err);
  }
  out->seconds = hf_now() - start;
  out->lost += failed;
  if (a.redo && a.redo->changed) *redo = a.redo->id;
  hf_undo_free(a.redo);
  hf_list_free(&a.patterns);
  if (r == 0 && hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped; sources that were not put back yet are as they were");
  if (r == 0 && failed > 0 && failed == all) return hf_fail(err, first.code, "%s", first.msg);
  return r;
}
