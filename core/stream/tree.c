/* tree.c - the run of a source: what the plugin gives, gathered into windows.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * As long as a window holds only entries that are as they were, in chunks that are used whole, nobody asks where it ends: its
 * lines go out as a range of the previous recipe. Only when something else turns up
 * are the keyed hashes worked out, backwards to the last entry that ends a window, so that an unchanged tree costs no hashing
 * and a changed one is still cut at the same places as one that is read whole.
 */
#include <time.h>

#include "base/digest.h"
#include "base/io.h"
#include "stream/tree_internal.h"

#define HEAD_ESTIMATE 1536u /* an extended header, its records, a header */
#define PROGRESS_EVERY 0.3  /* seconds */
#define PASSED_EVERY (4u * 1024 * 1024)
#define NAMES_MAX (200u * 1024) /* path, link and token together: an e line must fit into one transfer buffer, escaped */

/* ---- small things shared by the parts ---- */

bool hf_tree_ends(int status) { return status == HOLDFAST_E_FATAL || status == HOLDFAST_E_CANCELED; }

static const char *last_words(const struct hf_tree *t) {
  const char *s = t->o->last_error ? t->o->last_error(t->o->last_error_ctx) : NULL;
  return s ? s : "";
}

int hf_tree_fail(struct hf_tree *t, int status, const char *doing, const char *path) {
  const char *said = last_words(t);
  const char *what = *said ? said : hf_status_name(status);
  if (path) return hf_fail(t->err, status, "%s: cannot %s: %s", path, doing, what);
  return hf_fail(t->err, status, "cannot %s: %s", doing, what);
}

int hf_tree_problem(struct hf_tree *t, const char *path, int status, const char *what) {
  t->counts->problems++;
  return t->emit->problem(t->emit->ctx, path, status, what);
}

int hf_tree_plugin_problem(struct hf_tree *t, const char *path, int status, const char *doing) {
  const char *said = last_words(t);
  if (*said) return hf_tree_problem(t, path, status, said);
  char what[128];
  snprintf(what, sizeof what, "cannot %s: %s", doing, hf_status_name(status));
  return hf_tree_problem(t, path, status, what);
}

int hf_tree_check_times(struct hf_tree *t, const struct holdfast_entry *e) {
  if (e->mtime_nsec <= 999999999 && e->ctime_nsec <= 999999999) return 0;
  return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave a time with more than 999999999 nanoseconds (%s)", e->path);
}

bool hf_tree_trusted(const struct hf_tree *t, const struct holdfast_entry *e) {
  if (e->flags & HOLDFAST_UNSTABLE) return false;
  if (e->ctime == 0 && e->ctime_nsec == 0) return true;
  /* A file system that counts whole seconds says .0 for all of this one, and FAT, which counts every other one, also for all of the next. */
  if (e->ctime_nsec == 0) return e->ctime < t->o->opened_s - 1;
  return e->ctime != t->o->opened_s ? e->ctime < t->o->opened_s : e->ctime_nsec < t->o->opened_ns;
}

void hf_tree_count(struct hf_tree *t, const struct holdfast_entry *e) {
  if (e->kind == HOLDFAST_FILE)
    t->counts->files++;
  else if (e->kind == HOLDFAST_DIR)
    t->counts->folders++;
  else
    t->counts->others++;
}

static double coarse_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int hf_tree_tick(struct hf_tree *t, bool now) {
  double s = coarse_now();
  if (!now && s < t->next_progress) return 0;
  t->next_progress = s + PROGRESS_EVERY;
  const struct hf_tree_counts *c = t->counts, *d = &t->told;
  uint64_t entries = c->files + c->folders + c->others - d->files - d->folders - d->others;
  uint64_t bytes = c->bytes - d->bytes, got = c->read - d->read;
  t->told = *c;
  return t->emit->progress(t->emit->ctx, t->now ? t->now : "", entries, bytes, got);
}

/* ---- windows ---- */

static bool is_large(const struct hf_item *it) {
  return (it->e.kind == HOLDFAST_FILE && it->e.size >= HF_SMALL_MAX) || (it->state == HF_ITEM_OLD && it->old.tail > 0);
}

static uint64_t estimate(const struct hf_item *it) {
  if (it->e.kind == HOLDFAST_SOCKET) return 0;
  if (it->e.kind != HOLDFAST_FILE || is_large(it)) return HEAD_ESTIMATE;
  return HEAD_ESTIMATE + it->e.size + hf_tar_pad(it->e.size);
}

static bool ends_window(struct hf_tree *t, const struct hf_item *it) {
  struct hf_digest d;
  hf_hmac(t->hmac, it->e.path, strlen(it->e.path), &d);
  return (d.b[0] & ((1u << HF_GROUP_BITS) - 1)) == 0;
}

/* Would reuse leave the window in too many pieces, or hold on to too much that nobody uses? Pieces are the runs of old entries and those
 * of new ones between them. Large files' headers are left out: to read such a file again costs more than its old header's company. A
 * window in which nothing is new or gone stays as it is, however it looks: a run that finds nothing changed stores nothing. */
static bool ragged(const struct hf_item *items, size_t n) {
  const struct hf_slice *seen[HF_RAGGED_MAX];
  size_t slices = 0, n_seen = 0;
  uint64_t held = 0, used = 0;
  const struct hf_old *before = NULL;
  bool changed = false;
  for (size_t i = 0; i < n && !changed; i++) changed = items[i].state != HF_ITEM_OLD || items[i].old.after_gap;
  if (!changed) return false;
  for (size_t i = 0; i < n; i++) {
    const struct hf_old *old = &items[i].old;
    if (items[i].state != HF_ITEM_OLD || old->tail > 0) {
      bool begins = items[i].state != HF_ITEM_OLD && (i == 0 || items[i - 1].state == HF_ITEM_OLD);
      if (begins && ++slices > HF_RAGGED_MAX) return true;
      before = NULL;
      continue;
    }
    if (old->span == 0) continue;
    const struct hf_slice *s = &old->slice;
    bool goes_on = before && before->at + before->span == old->at && memcmp(before->slice.id.b, s->id.b, sizeof s->id.b) == 0;
    before = old;
    if (!goes_on && ++slices > HF_RAGGED_MAX) return true;
    size_t k = 0;
    while (k < n_seen && memcmp(seen[k]->id.b, s->id.b, sizeof s->id.b) != 0) k++;
    if (k == n_seen) {
      seen[n_seen++] = s; /* not more than there are slices */
      held += s->chunk_len;
    }
    used += old->span;
    /* What the windows before and behind this one have of the same block counts as used. */
    if (i == 0) used += old->at - s->offset;
    if (i == n - 1) used += (uint64_t)s->offset + s->length - old->at - old->span;
  }
  return held > 2 * used;
}

static int flush_window(struct hf_tree *t) {
  if (t->n_items == 0) return 0;
  if (t->dirty && ragged(t->items, t->n_items)) {
    for (size_t i = 0; i < t->n_items; i++)
      if (t->items[i].state == HF_ITEM_OLD && t->items[i].old.tail == 0) t->items[i].state = HF_ITEM_NEW;
  }
  for (size_t i = 0; i < t->n_items; i++) {
    if (t->items[i].state != HF_ITEM_OLD) continue;
    t->counts->reused++;
    t->counts->bytes += t->items[i].e.size;
    hf_tree_count(t, &t->items[i].e);
  }
  int rc = hf_tree_write_window(t, t->items, t->n_items);
  t->n_items = 0;
  t->size = 0;
  t->dirty = false;
  return rc;
}

static void append(struct hf_tree *t, const struct hf_item *it) {
  struct hf_item *to = &t->items[t->n_items++];
  if (to != it) *to = *it;
  t->size += estimate(it);
}

/* All that waits is old and neat, and its windows have not been told apart: do so now, up to the one that has not ended yet. */
static int settle(struct hf_tree *t) {
  size_t n = t->n_items, from = n;
  while (from > 0 && !ends_window(t, &t->items[from - 1])) from--;
  int rc = 0;
  if (from > 0) {
    t->n_items = from;
    rc = flush_window(t);
  }
  t->n_items = 0;
  t->size = 0;
  for (size_t i = from; i < n && rc == 0; i++) {
    if (t->n_items > 0 && t->size + estimate(&t->items[i]) > HF_GROUP_MAX) rc = flush_window(t);
    if (rc == 0) append(t, &t->items[i]);
  }
  return rc;
}

/* `it` is t->items[t->n_items] or beyond. */
static int add(struct hf_tree *t, struct hf_item *it) {
  bool plain = it->state == HF_ITEM_OLD && hf_old_is_neat(&it->old);
  int rc = 0;
  if (!plain && !t->dirty) rc = settle(t);
  if (rc == 0 && (t->dirty || !plain) && t->n_items > 0 && t->size + estimate(it) > HF_GROUP_MAX) rc = flush_window(t);
  if (rc != 0) return rc;
  append(t, it);
  it = &t->items[t->n_items - 1];
  if (!plain) t->dirty = true;
  bool ends = is_large(it) || t->n_items == HF_WINDOW_ENTRIES || (t->dirty && ends_window(t, it));
  return ends ? flush_window(t) : 0;
}

/* ---- entries ---- */

static int rule_broken(struct hf_tree *t, const struct holdfast_entry *e) {
  if (e->kind < HOLDFAST_FILE || e->kind > HOLDFAST_STREAM)
    return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave an entry of unknown kind %u", e->kind);
  if (!e->path) return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave an entry without a path");
  if (e->kind == HOLDFAST_STREAM) {
    if (!hf_recipe_name_ok(e->path, strlen(e->path)) || strcmp(e->path, "tree") == 0)
      return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave a stream an impossible name (%s)", e->path);
    if (hf_list_has(&t->streams, e->path))
      return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave two streams of the name %s", e->path);
    return 0;
  }
  if (t->tree_closed)
    return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave a tree entry (%s) after the tree had ended with a stream",
                   e->path);
  if (!hf_path_is_safe(e->path, strlen(e->path)))
    return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave an unsafe path (%s)", e->path);
  if (e->kind == HOLDFAST_HARDLINK && (!e->link || !hf_path_is_safe(e->link, strlen(e->link))))
    return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin gave a hard link to an unsafe path (%s)", e->path);
  return hf_tree_check_times(t, e);
}

static const char *keep(struct hf_tree *t, const char *s) { return s ? hf_arena_copy(&t->arena, s, strlen(s) + 1) : NULL; }

/* What next() gave, so that it outlives the next call of it. */
static void keep_entry(struct hf_tree *t, struct holdfast_entry *to, const struct holdfast_entry *e) {
  *to = *e;
  to->path = keep(t, e->path);
  to->link = keep(t, e->link);
  to->user = keep(t, e->user);
  to->group = keep(t, e->group);
  to->token = keep(t, e->token);
  if (e->kind != HOLDFAST_FILE) to->size = 0;
  if (e->kind != HOLDFAST_FILE || !e->extents) {
    to->extents = NULL;
    to->n_extents = 0;
  } else {
    to->extents = hf_arena_copy(&t->arena, e->extents, e->n_extents * sizeof *e->extents);
  }
  to->xattrs = NULL;
  if (e->n_xattrs > 0 && e->xattrs) {
    struct holdfast_xattr *x = hf_arena_get(&t->arena, e->n_xattrs * sizeof *x);
    for (uint32_t i = 0; i < e->n_xattrs; i++)
      x[i] = (struct holdfast_xattr){keep(t, e->xattrs[i].name), hf_arena_copy(&t->arena, e->xattrs[i].value, e->xattrs[i].size),
                                     e->xattrs[i].size};
    to->xattrs = x;
  } else {
    to->n_xattrs = 0;
  }
}

static size_t length(const char *s) { return s ? strlen(s) : 0; }

static int tree_entry(struct hf_tree *t, const struct holdfast_entry *e) {
  if (length(e->path) + length(e->link) + length(e->token) > NAMES_MAX)
    return hf_tree_problem(t, e->path, HOLDFAST_E_UNSUPPORTED, "its path is too long");
  if (!t->tree_open) {
    int rc = t->emit->stream_begin(t->emit->ctx, "tree", "tar", HOLDFAST_SIZE_UNKNOWN);
    if (rc != 0) return rc;
    t->tree_open = true;
  }
  if (t->n_items == 0) hf_arena_reset(&t->arena);
  struct hf_item *it = &t->items[t->n_items];
  keep_entry(t, &it->e, e);
  t->now = it->e.path;
  it->state = HF_ITEM_NEW;
  bool known = it->e.token || it->e.ctime != 0 || it->e.ctime_nsec != 0;
  if (!t->prev.dead && known && hf_tree_trusted(t, &it->e)) {
    hf_buf_clear(&t->key);
    hf_recipe_key(&t->key, &it->e, true);
    if (hf_prev_match(&t->prev, t->key.data, t->key.len, it->e.path, strlen(it->e.path), &it->old))
      it->state = HF_ITEM_OLD;
    if (t->o->passed && t->prev.next - t->passed >= PASSED_EVERY) {
      t->passed = t->prev.next;
      t->o->passed(t->o->passed_ctx, t->passed);
    }
  }
  return add(t, it);
}

static int close_tree(struct hf_tree *t) {
  if (!t->tree_open || t->tree_closed) return 0;
  int rc = flush_window(t);
  if (rc == 0) rc = hf_out_flush(&t->out);
  if (rc == 0) rc = hf_tree_write_tail(t);
  t->tree_closed = true;
  return rc;
}

static int stream_entry(struct hf_tree *t, const struct holdfast_entry *e) {
  int rc = close_tree(t);
  if (rc != 0) return rc;
  hf_list_add(&t->streams, e->path);
  hf_arena_reset(&t->arena);
  struct holdfast_entry kept;
  keep_entry(t, &kept, e);
  kept.size = e->size;
  t->now = kept.path;
  return hf_tree_write_stream(t, &kept);
}

static int run(struct hf_tree *t) {
  for (;;) {
    struct holdfast_entry e;
    memset(&e, 0, sizeof e);
    e.struct_size = sizeof e;
    int rc = t->o->plugin->next(t->o->handle, &e);
    if (rc == 0) break;
    if (rc < 0) return hf_tree_fail(t, rc, "list what there is", NULL);
    if (rc != 1) return hf_fail(t->err, HOLDFAST_E_FAILED, "the plugin's next() returned %d", rc);
    if ((rc = rule_broken(t, &e)) != 0) return rc;
    rc = e.kind == HOLDFAST_STREAM ? stream_entry(t, &e) : tree_entry(t, &e);
    if (rc == 0) rc = hf_tree_tick(t, false);
    if (rc != 0) return rc;
  }
  int rc = close_tree(t);
  return rc != 0 ? rc : hf_tree_tick(t, true);
}

int hf_tree_run(const struct hf_tree_options *o, const struct hf_emit *emit, struct hf_tree_counts *counts,
                struct hf_error *err) {
  struct hf_tree *t = hf_alloc(sizeof *t);
  struct hf_error own = {0};
  *counts = (struct hf_tree_counts){0};
  t->o = o;
  t->emit = emit;
  t->counts = counts;
  t->err = err ? err : &own;
  t->err->code = 0;
  t->err->msg[0] = 0;
  t->hmac = hf_hmac_new(o->group_key, 32);
  t->items = hf_allocn(HF_WINDOW_ENTRIES, sizeof *t->items);
  t->next_progress = coarse_now() + PROGRESS_EVERY;
  hf_prev_open(&t->prev, o->previous, o->previous_n);
  hf_out_init(&t->out, emit, o->previous);
  int rc = run(t);
  if (rc != 0 && t->err->code == 0) hf_fail(t->err, rc, "the backup was stopped (%s)", hf_status_name(rc));
  hf_prev_free(&t->prev);
  hf_out_free(&t->out);
  hf_arena_free(&t->arena);
  hf_hmac_free(t->hmac);
  hf_buf_free(&t->key);
  hf_buf_free(&t->head);
  hf_buf_free(&t->elines);
  hf_buf_free(&t->large);
  hf_list_free(&t->streams);
  free(t->items);
  free(t);
  return rc;
}
