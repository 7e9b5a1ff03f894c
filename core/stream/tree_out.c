/* tree_out.c - from entries in stream order to the fewest recipe lines: ranges of the previous recipe, and lines of our own.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A block of the previous recipe is a c line and the e lines that belong to it. Old entries are gathered into parts: entries
 * of one block that follow each other there. A part that turns out to be
 * a whole block, its c line's bytes covered to the last, joins a range; any other gets a c line of its own.
 * At most one of part, range and own lines lies before another in the stream: part after range or own lines, and those
 * exclude each other.
 */
#include "stream/tree_internal.h"

#define LINES_MAX (64u * 1024)

void hf_out_init(struct hf_out *o, const struct hf_emit *emit, const char *text) {
  *o = (struct hf_out){.emit = emit, .text = text};
}

void hf_out_free(struct hf_out *o) {
  hf_buf_free(&o->entries);
  hf_buf_free(&o->lines);
}

/* ---- own lines ---- */

static void close_slice(struct hf_out *o) {
  if (o->open && o->open_new)
    hf_buf_addf(&o->lines, "c * * %u %u\n", o->slice.offset, o->slice.length);
  else if (o->open)
    hf_recipe_slice(&o->lines, &o->slice);
  o->open = false;
  hf_buf_add(&o->lines, o->entries.data, o->entries.len);
  hf_buf_clear(&o->entries);
}

static int flush_lines(struct hf_out *o) {
  close_slice(o);
  if (o->lines.len == 0) return 0;
  int rc = o->emit->lines(o->emit->ctx, o->lines.data, o->lines.len);
  hf_buf_clear(&o->lines);
  return rc;
}

static int flush_range(struct hf_out *o) {
  if (o->range_at == o->range_end) return 0;
  int rc = o->emit->previous(o->emit->ctx, o->range_at, o->range_end - o->range_at);
  o->range_at = o->range_end = 0;
  return rc;
}

/* Lines behind a slice, which joins the one before when they are neighbours in one chunk. */
static int own(struct hf_out *o, bool is_new, const struct hf_slice *s, const char *text, size_t n) {
  int rc = flush_range(o);
  if (rc != 0) return rc;
  if (s->length > 0) {
    bool joins = o->open && o->open_new == is_new && s->offset == o->slice.offset + o->slice.length &&
                 (is_new || memcmp(s->id.b, o->slice.id.b, sizeof s->id.b) == 0);
    if (joins) {
      o->slice.length += s->length;
    } else {
      close_slice(o);
      o->open = true;
      o->open_new = is_new;
      o->slice = *s;
    }
  }
  hf_buf_add(&o->entries, text, n);
  if (o->lines.len + o->entries.len < LINES_MAX || is_new) return 0;
  return flush_lines(o);
}

/* ---- parts ---- */

static bool whole_block(const struct hf_out *o) {
  const struct hf_slice *s = &o->first.slice;
  if (o->first.cline == HF_NOWHERE) return true; /* sockets behind a large file's data: lines without a slice */
  if (!o->part_sliced || o->first.line != o->first.cline_end) return false;
  return o->part_from == s->offset && o->part_to == s->offset + s->length;
}

static int end_part(struct hf_out *o) {
  if (!o->part) return 0;
  o->part = false;
  if (whole_block(o)) {
    size_t at = o->first.cline == HF_NOWHERE ? o->first.line : o->first.cline;
    if (o->range_at != o->range_end && o->range_end == at) {
      o->range_end = o->part_end;
      return 0;
    }
    int rc = flush_lines(o);
    if (rc == 0) rc = flush_range(o);
    o->range_at = at;
    o->range_end = o->part_end;
    return rc;
  }
  struct hf_slice s = o->first.slice;
  s.offset = o->part_from;
  s.length = o->part_sliced ? o->part_to - o->part_from : 0;
  int rc = own(o, false, &s, o->text + o->first.line, o->part_end - o->first.line);
  /* A large file's c lines came along: what follows is behind them. */
  if (rc == 0 && o->part_tail_at < o->part_end) close_slice(o);
  return rc;
}

int hf_out_old(struct hf_out *o, const struct hf_old *old) {
  /* Goes on where the part is: the next line of the same block, its bytes behind those before. */
  bool goes_on = o->part && old->line == o->part_end && o->part_tail_at == o->part_end && old->cline == o->first.cline &&
                 (old->span == 0 || !o->part_sliced || old->at == o->part_to);
  if (!goes_on) {
    int rc = end_part(o);
    if (rc != 0) return rc;
    o->part = true;
    o->part_sliced = false;
    o->first = *old;
    o->part_from = o->part_to = 0;
  }
  if (old->span > 0) {
    if (!o->part_sliced) o->part_from = old->at;
    o->part_sliced = true;
    o->part_to = old->at + old->span;
  }
  o->part_end = old->end;
  o->part_tail_at = old->tail_at;
  return 0;
}

int hf_out_new(struct hf_out *o, uint32_t at, uint32_t span, const char *line, size_t n) {
  struct hf_slice s = {.offset = at, .length = span};
  int rc = end_part(o);
  return rc != 0 ? rc : own(o, true, &s, line, n);
}

int hf_out_flush(struct hf_out *o) {
  int rc = end_part(o);
  if (rc == 0) rc = flush_range(o);
  if (rc == 0) rc = flush_lines(o);
  return rc;
}
