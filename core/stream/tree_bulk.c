/* tree_bulk.c - the data of large files and of streams.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/tree_internal.h"

#define FIXED_MIN (4u * 1024) /* fixed-size chunking: what a plugin may ask for */
#define FIXED_MAX (4u * 1024 * 1024)

/* ---- large files ---- */

/* n bytes and the padding behind them, whatever the source does. */
static int bulk_data(struct hf_tree *t, struct hf_data *d) {
  uint64_t pad = hf_tar_pad(d->left);
  while (d->left > 0 || pad > 0) {
    int rc = hf_tree_get_buffer(t);
    if (rc != 0) return rc;
    size_t n = (size_t)HF_MIN(d->left, t->buf_cap);
    rc = hf_tree_read_data(d, t->buf, n);
    if (rc != 0) return rc;
    t->counts->bytes += n;
    if (d->left == 0) {
      size_t zeros = (size_t)HF_MIN(pad, t->buf_cap - n);
      memset(t->buf + n, 0, zeros);
      n += zeros;
      pad -= zeros;
    }
    rc = t->emit->bulk(t->emit->ctx, t->buf, n);
    t->buf = NULL;
    if (rc != 0) return rc;
  }
  return 0;
}

static uint64_t fixed_of(const struct holdfast_entry *e) {
  return e->fixed_chunk >= FIXED_MIN && e->fixed_chunk <= FIXED_MAX ? e->fixed_chunk : 0;
}

/* The data of the large file whose header went out last; closes it. */
int hf_tree_write_bulk(struct hf_tree *t, struct hf_item *it, struct hf_data *d) {
  bool any = d->left > 0;
  uint64_t holes = d->e->size - d->left;
  int rc = any ? t->emit->bulk_begin(t->emit->ctx, fixed_of(d->e)) : 0;
  if (rc == 0) rc = bulk_data(t, d);
  if (rc == 0 && any) rc = t->emit->bulk_end(t->emit->ctx);
  if (rc != 0) return rc;
  t->counts->bytes += holes;
  int closed = t->o->plugin->entry_close(t->o->handle);
  if (closed != 0 && hf_tree_ends(closed)) return hf_tree_fail(t, closed, "read", it->e.path);
  const char *what = hf_tree_complaint(d, closed);
  if (d->status != 0 || (closed != 0 && closed != HOLDFAST_E_CHANGED))
    rc = hf_tree_plugin_problem(t, it->e.path, d->status != 0 ? d->status : closed,
                                "read it to the end; zeros are stored for the rest");
  else if (what)
    rc = hf_tree_problem(t, it->e.path, HOLDFAST_E_CHANGED, what);
  else
    return 0;
  return rc != 0 || !t->emit->distrust ? rc : t->emit->distrust(t->emit->ctx);
}

/* ---- streams ---- */

/* To its end, or to the size it declared. A stream that cannot be read to its end is of no use: the source fails. */
static int stream_data(struct hf_tree *t, const struct holdfast_entry *e, uint64_t *total) {
  bool at_end = false;
  uint64_t left = e->size;
  *total = 0;
  while (!at_end && left > 0) {
    int rc = hf_tree_get_buffer(t);
    if (rc != 0) return rc;
    size_t want = (size_t)HF_MIN(left, t->buf_cap), n = 0;
    while (n < want) {
      int64_t got = hf_tree_plugin_read(t, t->buf + n, want - n);
      if (got < 0) return hf_tree_fail(t, (int)HF_MAX(got, (int64_t)-1000), "read", e->path);
      if ((uint64_t)got > want - n)
        return hf_fail(t->err, HOLDFAST_E_FAILED, "%s: the plugin's read() returned more than there was room for", e->path);
      at_end = got == 0;
      n += (size_t)got;
      t->counts->bytes += (uint64_t)got;
      if ((rc = hf_tree_tick(t, false)) != 0) return rc;
      if (at_end) break;
    }
    if (e->size != HOLDFAST_SIZE_UNKNOWN) left -= n;
    *total += n;
    if (n == 0) break;
    rc = t->emit->bulk(t->emit->ctx, t->buf, n);
    t->buf = NULL;
    if (rc != 0) return rc;
  }
  return 0;
}

int hf_tree_write_stream(struct hf_tree *t, const struct holdfast_entry *kept) {
  struct holdfast_entry e = *kept;
  const struct hf_emit *emit = t->emit;
  uint64_t total = 0;
  int rc = t->o->plugin->entry_open(t->o->handle, &e);
  if (rc != 0 && hf_tree_ends(rc)) return hf_tree_fail(t, rc, "open", kept->path);
  if (rc != 0) return hf_tree_plugin_problem(t, kept->path, rc < 0 ? rc : HOLDFAST_E_FAILED, "open it");
  e.path = kept->path;
  rc = emit->stream_begin(emit->ctx, e.path, "raw", e.size);
  if (rc == 0) rc = emit->bulk_begin(emit->ctx, fixed_of(&e));
  if (rc == 0) rc = stream_data(t, &e, &total);
  if (rc == 0) rc = emit->bulk_end(emit->ctx);
  if (rc != 0) return rc;
  int closed = t->o->plugin->entry_close(t->o->handle);
  if (closed != 0 && closed != HOLDFAST_E_CHANGED) return hf_tree_fail(t, closed, "read", kept->path);
  if (closed == HOLDFAST_E_CHANGED)
    rc = hf_tree_plugin_problem(t, kept->path, closed, "read it unchanged");
  else if (e.size != HOLDFAST_SIZE_UNKNOWN && total < e.size)
    rc = hf_tree_problem(t, kept->path, HOLDFAST_E_CHANGED, "it ended before the size it was said to have");
  t->counts->others++;
  return rc != 0 ? rc : emit->stream_end(emit->ctx);
}
