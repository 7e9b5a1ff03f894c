/* tree_support.h - a source made of memory and a receiver that keeps all it gets, for the tests of the tree builder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TEST_TREE_SUPPORT_H
#define HF_TEST_TREE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/io.h"
#include "stream/recipe.h"
#include "stream/tree.h"

/* ---- the source ---- */

enum mem_fault {
  MEM_FINE,
  MEM_VANISHED,     /* entry_open: not found */
  MEM_DENIED,       /* entry_open: no permission */
  MEM_READ_ERROR,   /* read fails half way */
  MEM_SHORT,        /* read ends early */
  MEM_CHANGED,      /* entry_close says so */
  MEM_CHANGED_ONCE, /* the first time only */
  MEM_FATAL,        /* read returns HOLDFAST_E_FATAL */
  MEM_OVERFULL,     /* read returns more than was asked for */
  MEM_GROWN,        /* entry_open finds size `late_size` */
  MEM_OWN_FILE      /* entry_open makes a file of `late_size` bytes of a hard link */
};

struct mem_entry {
  struct holdfast_entry e;
  char path[200];
  uint32_t seed; /* of the content */
  uint64_t late_size;
  enum mem_fault fault;
  unsigned opened; /* how often */
};

struct mem_source {
  struct mem_entry *v;
  size_t n, at;
  size_t open;        /* which one, n: none */
  uint64_t pos, size; /* of the opened one */
  unsigned opens;     /* entry_open calls in this run */
  int end;            /* what next returns at the end */
  size_t read_max;    /* bytes a read gives at most, 0: all */
  char words[100];
};

static inline char mem_byte(uint32_t seed, uint64_t at) { return (char)((at / 7 + seed * 31u + (at >> 11)) * 2654435761u >> 24); }

static int mem_next(void *handle, struct holdfast_entry *e) {
  struct mem_source *s = handle;
  if (s->at == s->n) return s->end;
  struct mem_entry *m = &s->v[s->at++];
  uint32_t size = e->struct_size;
  *e = m->e;
  e->struct_size = size;
  if (m->path[0]) e->path = m->path;
  e->cookie = s->at - 1;
  return 1;
}

static int mem_open(void *handle, struct holdfast_entry *e) {
  struct mem_source *s = handle;
  struct mem_entry *m = &s->v[e->cookie];
  assert_int_equal(s->open, s->n);
  assert_string_equal(e->path, m->path);
  s->opens++;
  m->opened++;
  s->words[0] = 0;
  if (m->fault == MEM_VANISHED) return HOLDFAST_E_NOT_FOUND;
  if (m->fault == MEM_DENIED) {
    strcpy(s->words, "permission denied");
    return HOLDFAST_E_AUTH;
  }
  if (m->fault == MEM_GROWN) e->size = m->late_size;
  if (m->fault == MEM_OWN_FILE) {
    e->kind = HOLDFAST_FILE;
    e->size = m->late_size;
  }
  s->open = e->cookie;
  s->pos = 0;
  s->size = e->size;
  if (e->extents) {
    s->size = 0;
    for (uint64_t i = 0; i < e->n_extents; i++) s->size += e->extents[i].length;
  }
  return 0;
}

static int64_t mem_read(void *handle, void *buf, size_t n) {
  struct mem_source *s = handle;
  struct mem_entry *m = &s->v[s->open];
  if (m->fault == MEM_READ_ERROR && s->pos >= s->size / 2) return HOLDFAST_E_FAILED;
  if (m->fault == MEM_FATAL) return HOLDFAST_E_FATAL;
  if (m->fault == MEM_OVERFULL) return (int64_t)n + 1;
  uint64_t end = m->fault == MEM_SHORT ? s->size / 2 : s->size == HOLDFAST_SIZE_UNKNOWN ? m->late_size : s->size;
  if (n > end - s->pos) n = (size_t)(end - s->pos);
  if (m->fault == MEM_READ_ERROR && n > 1) n = (size_t)HF_MIN(n, s->size / 2 - s->pos);
  if (s->read_max && n > s->read_max) n = s->read_max;
  for (size_t i = 0; i < n; i++) ((char *)buf)[i] = mem_byte(m->seed, s->pos + i);
  s->pos += n;
  return (int64_t)n;
}

static int mem_close(void *handle) {
  struct mem_source *s = handle;
  struct mem_entry *m = &s->v[s->open];
  assert_int_not_equal(s->open, s->n);
  s->open = s->n;
  if (m->fault == MEM_CHANGED) return HOLDFAST_E_CHANGED;
  if (m->fault == MEM_CHANGED_ONCE && m->opened == 1) return HOLDFAST_E_CHANGED;
  return 0;
}

static const char *mem_words(void *ctx) { return ((struct mem_source *)ctx)->words; }

static const struct holdfast_source_plugin mem_plugin = {
    .next = mem_next, .entry_open = mem_open, .read = mem_read, .entry_close = mem_close};

/* ---- the receiver ---- */

struct mem_chunk {
  struct hf_digest id;
  char *p;
  uint32_t n;
};

struct mem_store {
  struct mem_chunk *v;
  size_t n;
  uint64_t fresh; /* bytes of chunks made since it was last zeroed */
};

struct mem_run {
  struct mem_store *store;
  const char *previous; /* text of last time */
  size_t previous_n;
  struct hf_buf recipe;     /* of the tree */
  struct hf_buf raw_recipe; /* of the last raw stream */
  struct hf_buf *to;        /* which is being written */
  struct hf_buf chunk;
  struct hf_digest last_id;
  uint32_t last_len;
  uint64_t bytes, clines, elines;
  size_t last_eline;
  bool in_stream, in_bulk, cut;
  uint64_t fixed;
  unsigned cuts, ranges, line_calls, bulks, streams, distrusts, ticks;
  struct hf_list problems; /* "path: what" */
  int last_status;
  char name[64];
  char *buffer;
  size_t buffer_cap;
  int fail_at; /* countdown to a failure of the receiver; 0 never */
};

static inline int mem_event(struct mem_run *r) { return r->fail_at > 0 && --r->fail_at == 0 ? HOLDFAST_E_NO_SPACE : 0; }

static inline const struct mem_chunk *mem_find(const struct mem_store *s, const struct hf_digest *id) {
  for (size_t i = s->n; i > 0; i--)
    if (memcmp(s->v[i - 1].id.b, id->b, sizeof id->b) == 0) return &s->v[i - 1];
  return NULL;
}

static inline void mem_keep_chunk(struct mem_run *r, const char *p, size_t n) {
  hf_sha256(p, n, &r->last_id);
  r->last_len = (uint32_t)n;
  if (mem_find(r->store, &r->last_id)) return;
  r->store->fresh += n;
  r->store->v = hf_realloc(r->store->v, (r->store->n + 1) * sizeof *r->store->v);
  r->store->v[r->store->n++] = (struct mem_chunk){r->last_id, hf_memdup(p, n), (uint32_t)n};
}

static inline void mem_store_free(struct mem_store *s) {
  for (size_t i = 0; i < s->n; i++) free(s->v[i].p);
  free(s->v);
  *s = (struct mem_store){0};
}

static int run_stream_begin(void *ctx, const char *name, const char *format, uint64_t hint) {
  struct mem_run *r = ctx;
  (void)hint;
  assert_false(r->in_stream);
  r->in_stream = true;
  r->streams++;
  r->to = strcmp(format, "tar") == 0 ? &r->recipe : &r->raw_recipe;
  hf_buf_clear(r->to);
  r->bytes = r->clines = r->elines = 0;
  snprintf(r->name, sizeof r->name, "%s", name);
  hf_recipe_begin(r->to, name, format);
  return mem_event(r);
}

static int run_bytes(void *ctx, const void *p, size_t n) {
  struct mem_run *r = ctx;
  assert_true(r->in_stream && !r->in_bulk && n > 0);
  hf_buf_add(&r->chunk, p, n);
  assert_true(r->chunk.len <= HF_GROUP_LIMIT);
  return mem_event(r);
}

static int run_cut(void *ctx) {
  struct mem_run *r = ctx;
  assert_true(r->chunk.len > 0);
  mem_keep_chunk(r, r->chunk.data, r->chunk.len);
  hf_buf_clear(&r->chunk);
  r->cuts++;
  r->cut = true;
  return mem_event(r);
}

/* One line as the receiver would take it over. */
static inline void run_line(struct mem_run *r, const char *line, size_t n) {
  struct hf_slice s;
  struct hf_recipe_entry e;
  char text[120];
  if (line[0] == 'c' && line[2] == '*') {
    unsigned off, len;
    assert_true(r->cut);
    assert_int_equal(sscanf(line, "c * * %u %u\n", &off, &len), 2);
    s = (struct hf_slice){r->last_id, r->last_len, off, len};
    hf_recipe_slice(r->to, &s);
    assert_int_equal(snprintf(text, sizeof text, "c * * %u %u\n", off, len), n + 1);
    r->bytes += len;
    r->clines++;
  } else if (line[0] == 'c') {
    assert_int_equal(hf_recipe_parse_slice(line, n, &s, NULL), 0);
    hf_buf_add(r->to, line, n + 1);
    r->bytes += s.length;
    r->clines++;
  } else {
    assert_int_equal(hf_recipe_parse_entry(line, n, &e, NULL), 0);
    r->last_eline = r->to->len;
    hf_buf_add(r->to, line, n + 1);
    r->elines++;
  }
}

static int run_lines(void *ctx, const char *p, size_t n) {
  struct mem_run *r = ctx;
  assert_true(r->in_stream && !r->in_bulk && r->chunk.len == 0 && n > 0 && p[n - 1] == '\n');
  r->line_calls++;
  while (n > 0) {
    size_t len = (size_t)((const char *)memchr(p, '\n', n) - p);
    run_line(r, p, len);
    p += len + 1;
    n -= len + 1;
  }
  return mem_event(r);
}

static int run_previous(void *ctx, uint64_t off, uint64_t n) {
  struct mem_run *r = ctx;
  assert_true(n > 0 && off < r->previous_n && n <= r->previous_n - off);
  assert_true(off == 0 || r->previous[off - 1] == '\n');
  unsigned calls = r->line_calls;
  int rc = run_lines(r, r->previous + off, n);
  r->line_calls = calls;
  r->ranges++;
  return rc;
}

static int run_bulk_begin(void *ctx, uint64_t fixed) {
  struct mem_run *r = ctx;
  assert_true(r->in_stream && !r->in_bulk);
  r->in_bulk = true;
  r->bulks++;
  r->fixed = fixed;
  return mem_event(r);
}

static int run_bulk(void *ctx, const void *p, size_t n) {
  struct mem_run *r = ctx;
  assert_true(r->in_bulk && n > 0);
  mem_keep_chunk(r, p, n);
  struct hf_slice s = {r->last_id, (uint32_t)n, 0, (uint32_t)n};
  hf_recipe_slice(r->to, &s);
  r->bytes += n;
  r->clines++;
  r->cut = false;
  return mem_event(r);
}

static int run_bulk_end(void *ctx) {
  struct mem_run *r = ctx;
  assert_true(r->in_bulk);
  r->in_bulk = false;
  return mem_event(r);
}

static int run_distrust(void *ctx) {
  struct mem_run *r = ctx;
  r->distrusts++;
  hf_recipe_distrust(r->to, r->last_eline);
  return 0;
}

static int run_stream_end(void *ctx) {
  struct mem_run *r = ctx;
  assert_true(r->in_stream && !r->in_bulk && r->chunk.len == 0);
  r->in_stream = false;
  hf_recipe_end(r->to, r->bytes, r->clines, r->elines);
  return mem_event(r);
}

static int run_problem(void *ctx, const char *path, int status, const char *what) {
  struct mem_run *r = ctx;
  char *s = hf_asprintf("%s: %s", path, what);
  hf_list_take(&r->problems, s);
  r->last_status = status;
  return 0;
}

static int run_progress(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t got) {
  struct mem_run *r = ctx;
  (void)path, (void)entries, (void)bytes, (void)got;
  r->ticks++;
  return 0;
}

static void *run_buffer(void *ctx, size_t *cap) {
  struct mem_run *r = ctx;
  *cap = r->buffer_cap;
  return r->buffer;
}

static inline struct hf_emit mem_emit(struct mem_run *r) {
  return (struct hf_emit){.ctx = r,
                          .stream_begin = run_stream_begin,
                          .bytes = run_bytes,
                          .cut = run_cut,
                          .lines = run_lines,
                          .previous = run_previous,
                          .bulk_begin = run_bulk_begin,
                          .bulk = run_bulk,
                          .bulk_end = run_bulk_end,
                          .distrust = run_distrust,
                          .stream_end = run_stream_end,
                          .problem = run_problem,
                          .progress = run_progress,
                          .buffer = run_buffer};
}

static inline void mem_run_init(struct mem_run *r, struct mem_store *store, const struct hf_buf *previous) {
  *r = (struct mem_run){.store = store, .buffer_cap = 1024 * 1024};
  r->buffer = hf_alloc(r->buffer_cap);
  if (previous) {
    r->previous = previous->data;
    r->previous_n = previous->len;
  }
}

static inline void mem_run_free(struct mem_run *r) {
  hf_buf_free(&r->recipe);
  hf_buf_free(&r->raw_recipe);
  hf_buf_free(&r->chunk);
  hf_list_free(&r->problems);
  free(r->buffer);
}

/* The stream a recipe describes; the recipe must be well-formed to the last line. */
static inline void mem_stream(const struct mem_store *store, const struct hf_buf *recipe, struct hf_buf *out) {
  struct hf_recipe_reader r;
  struct hf_error err = {0};
  struct hf_slice s;
  struct hf_recipe_entry e;
  int rc;
  if (hf_recipe_open(&r, recipe->data, recipe->len, &err) != 0) fail_msg("%s", err.msg);
  while ((rc = hf_recipe_next(&r, &s, &e, &err)) > 0) {
    if (rc != HF_RL_SLICE) continue;
    const struct mem_chunk *c = mem_find(store, &s.id);
    assert_non_null(c);
    assert_int_equal(c->n, s.chunk_len);
    hf_buf_add(out, c->p + s.offset, s.length);
  }
  if (rc < 0) fail_msg("%s", err.msg);
}

/* One whole run; returns hf_tree_run's result. */
static inline int mem_backup(struct mem_source *src, struct mem_run *r, int64_t opened_s, struct hf_tree_counts *counts,
                             struct hf_error *err) {
  static const unsigned char key[32] = "a key for the ends of groups";
  struct hf_emit emit = mem_emit(r);
  struct hf_tree_counts own;
  struct hf_tree_options o = {.plugin = &mem_plugin,
                              .handle = src,
                              .group_key = key,
                              .previous = r->previous,
                              .previous_n = r->previous_n,
                              .opened_s = opened_s,
                              .last_error = mem_words,
                              .last_error_ctx = src};
  src->at = 0;
  src->open = src->n;
  src->opens = 0;
  src->words[0] = 0;
  for (size_t i = 0; i < src->n; i++) src->v[i].opened = 0;
  return hf_tree_run(&o, &emit, counts ? counts : &own, err);
}

#endif
