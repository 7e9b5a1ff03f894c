/* tree_read.c - reading what is new, group by group.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A small file is read straight into the transfer buffer, behind its header; it counts only when entry_close has said that it
 * held still, else its place is used for the next try.
 */
#include "base/io.h"
#include "stream/tree_internal.h"

#define TRIES 3u

/* ---- the transfer buffer ---- */

int hf_tree_get_buffer(struct hf_tree *t) {
  if (t->buf) return 0;
  t->buf = t->emit->buffer(t->emit->ctx, &t->buf_cap);
  t->buf_n = 0;
  return t->buf ? 0 : hf_fail(t->err, HOLDFAST_E_FAILED, "no transfer buffer");
}

static int flush_bytes(struct hf_tree *t) {
  if (t->buf_n == 0) return 0;
  int rc = t->emit->bytes(t->emit->ctx, t->buf, t->buf_n);
  t->buf = NULL;
  t->buf_n = 0;
  return rc;
}

/* Copy into the chunk. */
static int put(struct hf_tree *t, const char *p, size_t n) {
  t->chunk_n += (uint32_t)n;
  while (n > 0) {
    int rc = hf_tree_get_buffer(t);
    if (rc != 0) return rc;
    size_t part = HF_MIN(n, t->buf_cap - t->buf_n);
    memcpy(t->buf + t->buf_n, p, part);
    t->buf_n += part;
    p += part;
    n -= part;
    if (t->buf_n == t->buf_cap && (rc = flush_bytes(t)) != 0) return rc;
  }
  return 0;
}

/* ---- an opened entry's data ---- */

int64_t hf_tree_plugin_read(struct hf_tree *t, char *p, size_t n) {
  int64_t got = t->o->plugin->read(t->o->handle, p, n);
  if (got > 0 && (uint64_t)got <= n) t->counts->read += (uint64_t)got;
  return got;
}

/* How many of the next n bytes come from the plugin; the others (0 returned, *hole set) are a hole. */
static size_t to_read(struct hf_data *d, size_t n, size_t *hole) {
  const struct holdfast_entry *e = d->e;
  while (d->i < e->n_extents && d->at >= e->extents[d->i].offset + e->extents[d->i].length) d->i++;
  if (d->i == e->n_extents) {
    *hole = n;
    return 0;
  }
  const struct holdfast_extent *x = &e->extents[d->i];
  if (d->at < x->offset) {
    *hole = (size_t)HF_MIN(n, x->offset - d->at);
    return 0;
  }
  return (size_t)HF_MIN(n, x->offset + x->length - d->at);
}

/* Fill p with exactly n bytes of what is left, zeros where the source gives none. Negative only for what ends the source. */
int hf_tree_read_data(struct hf_data *d, char *p, size_t n) {
  struct hf_tree *t = d->t;
  while (n > 0) {
    size_t part = n, hole = 0;
    if (d->fill_holes) part = to_read(d, n, &hole);
    if (d->status != 0 || d->is_short) hole = n;
    if (hole > 0) {
      memset(p, 0, hole);
      part = hole;
    } else {
      int64_t got = hf_tree_plugin_read(d->t, p, part);
      if (got > 0 && (uint64_t)got > part)
        return hf_fail(t->err, HOLDFAST_E_FAILED, "%s: the plugin's read() returned more than there was room for", d->e->path);
      if (got < 0) {
        d->status = (int)HF_MAX(got, (int64_t)-1000);
        if (hf_tree_ends(d->status)) return hf_tree_fail(t, d->status, "read", d->e->path);
        continue;
      }
      if (got == 0) d->is_short = true;
      part = (size_t)got;
    }
    p += part;
    n -= part;
    d->at += part;
    d->left -= part;
    int rc = hf_tree_tick(t, false);
    if (rc != 0) return rc;
  }
  return 0;
}

/* ---- opening ---- */

static bool extents_ok(const struct holdfast_entry *e) {
  uint64_t at = 0;
  for (uint64_t i = 0; i < e->n_extents; i++) {
    const struct holdfast_extent *x = &e->extents[i];
    if (x->length == 0 || x->offset < at || x->offset > e->size || x->length > e->size - x->offset) return false;
    at = x->offset + x->length;
  }
  return true;
}

static int close_entry(struct hf_tree *t) { return t->o->plugin->entry_close(t->o->handle); }

/* Leave the entry out. */
static int gone(struct hf_tree *t, struct hf_item *it, int status, const char *what) {
  it->state = HF_ITEM_GONE;
  return what ? hf_tree_problem(t, it->e.path, status, what) : 0;
}

/* entry_open and the header in t->head. *e is what to store. it->state is HF_ITEM_GONE when the entry is left out (then
 * nothing is open). */
static int open_entry(struct hf_tree *t, struct hf_item *it, struct holdfast_entry *e, struct hf_data *d) {
  *e = it->e;
  int rc = t->o->plugin->entry_open(t->o->handle, e);
  if (rc == HOLDFAST_E_NOT_FOUND) return gone(t, it, rc, NULL);
  if (rc != 0 && hf_tree_ends(rc)) return hf_tree_fail(t, rc, "open", it->e.path);
  if (rc != 0) {
    it->state = HF_ITEM_GONE;
    return hf_tree_plugin_problem(t, it->e.path, rc < 0 ? rc : HOLDFAST_E_FAILED, "open it");
  }
  const char *wrong = NULL;
  /* A link may turn out to be a file of its own. */
  if (it->e.kind == HOLDFAST_HARDLINK && e->kind >= HOLDFAST_FILE && e->kind <= HOLDFAST_BLOCK && e->kind != HOLDFAST_DIR) it->e.kind = e->kind;
  if (e->kind != it->e.kind) wrong = "it became another kind of thing";
  e->path = it->e.path;
  if (e->kind != HOLDFAST_HARDLINK && e->kind != HOLDFAST_SYMLINK) e->link = NULL;
  if (e->kind == HOLDFAST_HARDLINK) e->link = it->e.link;
  if (e->kind != HOLDFAST_FILE) e->size = 0, e->extents = NULL;
  if (!e->extents) e->n_extents = 0;
  if (!e->xattrs) e->n_xattrs = 0;
  if (!wrong && !extents_ok(e)) wrong = "the plugin gave a map of its data that makes no sense";
  if (!wrong && (rc = hf_tree_check_times(t, e)) != 0) return rc;
  *d = (struct hf_data){.t = t, .e = e};
  struct hf_error why = {0};
  hf_buf_clear(&t->head);
  if (!wrong) rc = hf_tar_head(&t->head, e, &d->left, &why);
  if (!wrong && rc == HOLDFAST_E_UNSUPPORTED && e->extents) {
    struct holdfast_entry dense = *e;
    dense.extents = NULL;
    d->fill_holes = true;
    rc = hf_tar_head(&t->head, &dense, &d->left, &why);
  }
  if (!wrong && rc != 0) wrong = why.msg;
  if (!wrong) return 0;
  close_entry(t);
  return gone(t, it, rc != 0 ? rc : HOLDFAST_E_CHANGED, wrong);
}

const char *hf_tree_complaint(const struct hf_data *d, int closed) {
  if (d->is_short) return "it shrank while it was read; the rest is stored as zeros";
  return closed == HOLDFAST_E_CHANGED ? "it changed while it was read" : NULL;
}

/* ---- small entries ---- */

static void e_line(struct hf_tree *t, struct hf_item *it, const struct holdfast_entry *e, uint64_t tail) {
  it->at = t->chunk_n;
  it->line = t->elines.len;
  hf_recipe_entry(&t->elines, e, hf_tree_trusted(t, e), it->at, it->span, tail);
  it->line_n = t->elines.len - it->line;
}

static void spoil(struct hf_tree *t, struct hf_item *it) {
  hf_recipe_distrust(&t->elines, it->line);
  it->line_n = t->elines.len - it->line;
}

static void unline(struct hf_tree *t, const struct hf_item *it) {
  t->elines.len = it->line;
  t->elines.data[it->line] = 0;
}

/* Where n bytes of one entry can be put together: in the transfer buffer, or beside it when they are too many. */
static int place_for(struct hf_tree *t, size_t n, char **p) {
  int rc = hf_tree_get_buffer(t);
  if (rc == 0 && t->buf_n + n > t->buf_cap) {
    rc = flush_bytes(t);
    if (rc == 0) rc = hf_tree_get_buffer(t);
  }
  if (rc != 0) return rc;
  if (n <= t->buf_cap) {
    *p = t->buf + t->buf_n;
    return 0;
  }
  hf_buf_clear(&t->large);
  hf_buf_reserve(&t->large, n);
  *p = t->large.data;
  return 0;
}

static int commit(struct hf_tree *t, const char *p, size_t n) {
  if (p != t->buf + t->buf_n) return put(t, p, n);
  t->buf_n += n;
  t->chunk_n += (uint32_t)n;
  return 0;
}

/* An opened entry below HF_SMALL_MAX. *again: it changed, and shall be tried once more. */
static int store_small(struct hf_tree *t, struct hf_item *it, struct hf_data *d, bool last_try, bool *again) {
  const struct holdfast_entry *e = d->e;
  size_t n = (size_t)d->left, pad = hf_tar_pad(n), head = t->head.len;
  char *p;
  int rc = place_for(t, head + n + pad, &p);
  if (rc != 0) return rc;
  memcpy(p, t->head.data, head);
  rc = hf_tree_read_data(d, p + head, n);
  if (rc != 0) return rc;
  memset(p + head + n, 0, pad);
  it->span = (uint32_t)(head + n + pad);
  uint64_t size = e->size;
  e_line(t, it, e, 0);
  int closed = close_entry(t);
  if (closed != 0 && hf_tree_ends(closed)) return hf_tree_fail(t, closed, "read", it->e.path);
  bool failed = d->status != 0 || (closed != 0 && closed != HOLDFAST_E_CHANGED);
  const char *what = hf_tree_complaint(d, closed);
  if (!failed && what && !last_try) {
    unline(t, it);
    *again = true;
    return 0;
  }
  if (failed) {
    unline(t, it);
    it->state = HF_ITEM_GONE;
    return hf_tree_plugin_problem(t, it->e.path, d->status != 0 ? d->status : closed, "read it");
  }
  if (what) {
    spoil(t, it);
    rc = hf_tree_problem(t, it->e.path, HOLDFAST_E_CHANGED, what);
    if (rc != 0) return rc;
  }
  it->state = HF_ITEM_STORED;
  t->counts->bytes += size;
  hf_tree_count(t, &it->e);
  return commit(t, p, it->span);
}

/* The header of a large file, which stays open. */
static int store_large_head(struct hf_tree *t, struct hf_item *it, struct hf_data *d) {
  it->span = (uint32_t)t->head.len;
  e_line(t, it, d->e, d->left + hf_tar_pad(d->left));
  it->state = HF_ITEM_STORED;
  hf_tree_count(t, &it->e);
  return put(t, t->head.data, t->head.len);
}

/* One new entry of the window. *large: *e is open and its data must come next. */
static int store(struct hf_tree *t, struct hf_item *it, struct holdfast_entry *e, struct hf_data *d, bool *large) {
  *large = false;
  t->now = it->e.path;
  if (it->e.kind == HOLDFAST_SOCKET) {
    it->state = HF_ITEM_STORED;
    it->span = 0;
    it->at = 0;
    it->line = t->elines.len;
    hf_recipe_entry(&t->elines, &it->e, hf_tree_trusted(t, &it->e), 0, 0, 0);
    it->line_n = t->elines.len - it->line;
    hf_tree_count(t, &it->e);
    return 0;
  }
  for (unsigned attempt = 1;; attempt++) {
    bool again = false;
    int rc = open_entry(t, it, e, d);
    if (rc != 0 || it->state == HF_ITEM_GONE) return rc;
    if (e->size >= HF_SMALL_MAX || e->extents) {
      *large = true;
      return store_large_head(t, it, d);
    }
    rc = store_small(t, it, d, attempt > TRIES, &again);
    if (rc != 0 || !again) return rc;
  }
}

/* ---- groups ---- */

/* Finish the chunk, if one was begun, and bring the entries' lines out. */
static int finish_group(struct hf_tree *t, struct hf_item *items, size_t n) {
  bool stored = false;
  int rc = flush_bytes(t);
  if (rc == 0 && t->chunk_n > 0) rc = t->emit->cut(t->emit->ctx);
  for (size_t i = 0; i < n && rc == 0; i++) {
    struct hf_item *it = &items[i];
    if (it->state == HF_ITEM_OLD) rc = hf_out_old(&t->out, &it->old);
    if (it->state != HF_ITEM_STORED) continue;
    stored = true;
    rc = hf_out_new(&t->out, it->at, it->span, t->elines.data + it->line, it->line_n);
  }
  /* "The chunk cut last" must still be this one when the lines arrive. */
  if (rc == 0 && stored) rc = hf_out_flush(&t->out);
  t->chunk_n = 0;
  hf_buf_clear(&t->elines);
  return rc;
}

int hf_tree_write_window(struct hf_tree *t, struct hf_item *items, size_t n) {
  size_t from = 0;
  int rc = 0;
  for (size_t i = 0; i < n && rc == 0; i++) {
    struct holdfast_entry e;
    struct hf_data d;
    bool large = false;
    if (items[i].state != HF_ITEM_NEW) continue;
    /* What waits comes before this chunk's bytes. */
    if (t->chunk_n == 0) rc = hf_out_flush(&t->out);
    if (rc == 0) rc = store(t, &items[i], &e, &d, &large);
    if (rc != 0 || (!large && t->chunk_n < HF_GROUP_MAX)) continue;
    rc = finish_group(t, items + from, i + 1 - from);
    from = i + 1;
    if (rc == 0 && large) rc = hf_tree_write_bulk(t, &items[i], &d);
  }
  return rc != 0 ? rc : finish_group(t, items + from, n - from);
}

int hf_tree_write_tail(struct hf_tree *t) {
  static const char zeros[HF_TAR_TAIL];
  int rc = put(t, zeros, sizeof zeros);
  if (rc == 0) rc = flush_bytes(t);
  if (rc == 0) rc = t->emit->cut(t->emit->ctx);
  t->chunk_n = 0;
  if (rc == 0) rc = hf_out_new(&t->out, 0, HF_TAR_TAIL, "", 0);
  if (rc == 0) rc = hf_out_flush(&t->out);
  return rc != 0 ? rc : t->emit->stream_end(t->emit->ctx);
}
