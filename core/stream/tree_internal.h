/* tree_internal.h - the parts of the tree builder.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *   tree.c        the run: what the plugin gives, windows, when they end
 *   tree_prev.c   the previous recipe, walked along
 *   tree_out.c    recipe lines and ranges, in stream order
 *   tree_read.c   reading what is new, group by group
 *   tree_bulk.c   the data of large files and of streams
 */
#ifndef HF_TREE_INTERNAL_H
#define HF_TREE_INTERNAL_H

#include "stream/recipe.h"
#include "stream/tar.h"
#include "stream/tree.h"

/* ---- memory for one window's strings: never moved, given back all at once ---- */
struct hf_arena_block;
struct hf_arena {
  struct hf_arena_block *first, *at;
  size_t used; /* of at */
};
void *hf_arena_get(struct hf_arena *a, size_t n); /* aligned for anything */
void *hf_arena_copy(struct hf_arena *a, const void *p, size_t n);
void hf_arena_reset(struct hf_arena *a);
void hf_arena_free(struct hf_arena *a);

/* ---- the previous recipe ---- */
#define HF_NOWHERE SIZE_MAX

/* Where an entry is in the previous text. Offsets into it. */
struct hf_old {
  size_t cline, cline_end; /* the c line its AT refers to; HF_NOWHERE for a socket without one */
  size_t line, tail_at,
      end;               /* its e line; the c lines of its data behind it (tail_at == end: none); where the next line begins */
  struct hf_slice slice; /* that c line */
  uint32_t at, span;
  uint64_t tail;
  bool after_gap; /* entries stood between the one matched before and this one that are there no more */
};

struct hf_prev {
  const char *text;
  size_t n, next;
  bool dead;      /* at its end, or not to be used any further */
  bool have;      /* an e line is waiting: old, key, ... */
  bool unescaped; /* path holds its path */
  size_t place;   /* where AT is in the waiting line */
  bool skipped;   /* lines were passed over since the last match */
  struct hf_old old;
  bool placed; /* slice holds the c line last read */
  size_t cline, cline_end;
  struct hf_slice slice;
  struct hf_buf path;
};

void hf_prev_open(struct hf_prev *v, const char *text, size_t n);
/* Is there an entry with exactly this key? Paths come in tree order; one that does not gets no match. old->after_gap: entries
 * were passed over since the match before. */
bool hf_prev_match(struct hf_prev *v, const char *key, size_t key_n, const char *path, size_t path_n, struct hf_old *old);
/* Does its c line name a whole chunk, with nothing gone from it before this entry? */
bool hf_old_is_neat(const struct hf_old *old);
void hf_prev_free(struct hf_prev *v);

/* ---- output in stream order ---- */
struct hf_out {
  const struct hf_emit *emit;
  const char *text; /* of the previous recipe */
  /* Whole lines of the previous recipe, not emitted yet. */
  size_t range_at, range_end;
  /* The stretch of one old block being gathered: entries that follow each other there. */
  bool part;
  bool part_sliced; /* part_from is known: an entry with bytes has come */
  struct hf_old first;
  uint32_t part_from, part_to;
  size_t part_end, part_tail_at;
  /* Lines of our own: one open c line with its e lines, and what has been written before. */
  bool open, open_new;
  struct hf_slice slice;
  struct hf_buf entries, lines;
};
void hf_out_init(struct hf_out *o, const struct hf_emit *emit, const char *text);
int hf_out_old(struct hf_out *o, const struct hf_old *old);
/* A new entry: span bytes at `at` of the chunk cut last (span 0: none), and its e line. */
int hf_out_new(struct hf_out *o, uint32_t at, uint32_t span, const char *line, size_t n);
/* Emit all that is held back. */
int hf_out_flush(struct hf_out *o);
void hf_out_free(struct hf_out *o);

/* ---- the window ---- */
enum hf_item_state { HF_ITEM_OLD = 1, HF_ITEM_NEW, HF_ITEM_STORED, HF_ITEM_GONE };

struct hf_item {
  struct holdfast_entry e; /* strings in the arena */
  enum hf_item_state state;
  struct hf_old old;   /* HF_ITEM_OLD */
  uint32_t at, span;   /* HF_ITEM_STORED: place in the new chunk */
  size_t line, line_n; /* and e line in struct hf_tree.elines */
};

struct hf_tree {
  const struct hf_tree_options *o;
  const struct hf_emit *emit;
  struct hf_tree_counts *counts, told; /* told: what progress has been given already */
  struct hf_error *err;
  struct hf_hmac *hmac;
  struct hf_arena arena;
  struct hf_prev prev;
  struct hf_out out;
  struct hf_item *items; /* HF_WINDOW_ENTRIES */
  size_t n_items;
  uint64_t size; /* estimated bytes of the window's new chunk */
  bool dirty;    /* not all of the window is old and neat */
  bool tree_open, tree_closed;
  struct hf_buf key, head, elines, large;
  struct hf_list streams;
  /* The chunk being made. */
  char *buf;
  size_t buf_cap, buf_n;
  uint32_t chunk_n; /* all bytes of the chunk so far */
  double next_progress;
  size_t passed;   /* of the previous recipe */
  const char *now; /* path for the progress line */
};

/* Can this entry's sameness be believed next time? */
bool hf_tree_trusted(const struct hf_tree *t, const struct holdfast_entry *e);
void hf_tree_count(struct hf_tree *t, const struct holdfast_entry *e);
/* Nanoseconds in range? A plugin's failure if not. */
int hf_tree_check_times(struct hf_tree *t, const struct holdfast_entry *e);
int hf_tree_problem(struct hf_tree *t, const char *path, int status, const char *what);
/* As above with the plugin's own words, if it gave any. */
int hf_tree_plugin_problem(struct hf_tree *t, const char *path, int status, const char *doing);
/* Must a plugin's status end the source? */
bool hf_tree_ends(int status);
/* The plugin's status as the run's failure. */
int hf_tree_fail(struct hf_tree *t, int status, const char *doing, const char *path);
/* Progress, when it is time. */
int hf_tree_tick(struct hf_tree *t, bool now);

/* An opened entry's data. */
struct hf_data {
  struct hf_tree *t;
  const struct holdfast_entry *e; /* as entry_open left it */
  bool fill_holes;                /* the plugin gives the extents' bytes, we want all */
  uint64_t at, i;                 /* fill_holes: position in the file, extent */
  uint64_t left;                  /* bytes to come */
  int status;                     /* the plugin's, when reading failed */
  bool is_short;
};

/* Make t->buf a buffer to fill. (tree_read.c, as all up to the next name) */
int hf_tree_get_buffer(struct hf_tree *t);
/* The plugin's read, counted. */
int64_t hf_tree_plugin_read(struct hf_tree *t, char *p, size_t n);
/* Fill p with exactly n bytes of what is left, zeros where the source gives none. Negative only for what ends the source. */
int hf_tree_read_data(struct hf_data *d, char *p, size_t n);
/* What to say about data that was read, given what entry_close returned; NULL when all is well. */
const char *hf_tree_complaint(const struct hf_data *d, int closed);
/* The data of the large file whose header went out last; closes it. (tree_bulk.c) */
int hf_tree_write_bulk(struct hf_tree *t, struct hf_item *it, struct hf_data *d);

/* Read all HF_ITEM_NEW of the window and emit the window. (tree_read.c) */
int hf_tree_write_window(struct hf_tree *t, struct hf_item *items, size_t n);
/* A STREAM entry, from entry_open to stream_end. (tree_bulk.c) */
int hf_tree_write_stream(struct hf_tree *t, const struct holdfast_entry *e);
/* The end of the tar. */
int hf_tree_write_tail(struct hf_tree *t);

#endif
