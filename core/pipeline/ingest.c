/* ingest.c - events of a source to chunks and recipes.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pipeline/ingest.h"

#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "pipeline/chunker.h"

/* A recipe that is done and waits for the snapshot's commit. */
struct kept {
  char *stream;
  char *path;
  struct hf_digest sha256;
};

struct hf_ingest {
  struct hf_ingest_options o;
  struct hf_emit emit;
  struct hf_error err;
  bool violated; /* err is about the worker */

  /* the stream being received */
  struct hf_record_stream *stream;
  bool raw, in_bulk;
  struct hf_sha256 *stream_sha; /* raw streams only */
  struct hf_chunker *data;

  /* the group being made, and the last one made */
  struct hf_buf group;
  struct hf_digest cut_id;
  uint32_t cut_len;

  /* the recipe being written */
  struct hf_chunker *recipe_chunks;
  struct hf_buf recipe; /* not yet written out */
  size_t last_entry;    /* where in it the last e line starts; SIZE_MAX: it has been written out */
  bool distrusted;      /* the recipe must not serve the next run */
  struct hf_sha256 *recipe_sha;
  int recipe_fd;
  char *recipe_path;

  struct kept *kept;
  size_t n_kept;
};

#define RECIPE_FLUSH (256u * 1024)

static int violation(struct hf_ingest *g, const char *what) {
  g->violated = true;
  return hf_fail(&g->err, HOLDFAST_E_FAILED, "the source's worker broke the protocol: %s", what);
}

/* ---- recipe text ---- */

static int recipe_chunk(void *ctx, const void *p, size_t n, struct hf_error *err) {
  struct hf_ingest *g = ctx;
  struct hf_digest id;
  int r = hf_store_chunk(g->o.store, HF_PACK_RECIPE, p, n, &id, err);
  if (r < 0) return r;
  struct hf_record_stream *st = g->stream;
  if ((st->n_recipe & (st->n_recipe - 1)) == 0) st->recipe = hf_realloc(st->recipe, (st->n_recipe ? st->n_recipe * 2 : 1) * sizeof *st->recipe);
  st->recipe[st->n_recipe++] = id;
  return 0;
}

static int recipe_flush(struct hf_ingest *g) {
  const struct hf_buf *b = &g->recipe;
  if (b->len == 0) return 0;
  hf_sha256_update(g->recipe_sha, b->data, b->len);
  g->stream->recipe_size += b->len;
  int r = hf_chunker_feed(g->recipe_chunks, b->data, b->len, recipe_chunk, g, &g->err);
  if (r == 0 && g->recipe_fd >= 0) r = hf_write_all(g->recipe_fd, b->data, b->len, &g->err);
  hf_buf_clear(&g->recipe);
  g->last_entry = SIZE_MAX;
  return r < 0 ? r : 0;
}

static int recipe_room(struct hf_ingest *g) { return g->recipe.len >= RECIPE_FLUSH ? recipe_flush(g) : 0; }

static int add_slice(struct hf_ingest *g, const struct hf_slice *s) {
  hf_recipe_slice(&g->recipe, s);
  g->stream->chunks++;
  g->stream->size += s->length;
  return recipe_room(g);
}

/* ---- events ---- */

static int on_stream_begin(void *ctx, const char *name, const char *format, uint64_t size_hint HF_UNUSED) {
  struct hf_ingest *g = ctx;
  struct hf_record_source *rec = g->o.rec;
  if (g->stream) return violation(g, "a stream within a stream");
  if (strcmp(format, "tar") != 0 && strcmp(format, "raw") != 0) return violation(g, "unknown stream format");
  if (!hf_recipe_name_ok(name, strlen(name))) {
    return violation(g, "a stream's name must be 1 to 255 of A-Z a-z 0-9 . _ - and start with neither a dot nor a hyphen");
  }
  for (size_t i = 0; i < rec->n_streams; i++) {
    if (strcmp(rec->streams[i].name, name) == 0) return violation(g, "two streams have the same name");
  }
  rec->streams = hf_realloc(rec->streams, (rec->n_streams + 1) * sizeof *rec->streams);
  g->stream = &rec->streams[rec->n_streams++];
  memset(g->stream, 0, sizeof *g->stream);
  g->stream->name = hf_strdup(name);
  g->stream->format = hf_strdup(format);
  g->raw = strcmp(format, "raw") == 0;
  g->cut_len = 0;
  if (!g->o.dry) {
    int r = hf_state_recipe_create(g->o.state, &g->recipe_fd, &g->recipe_path, &g->err);
    if (r < 0) return r;
  }
  hf_chunker_start(g->recipe_chunks, 0);
  hf_recipe_begin(&g->recipe, name, format);
  return 0;
}

static int on_bytes(void *ctx, const void *p, size_t n) {
  struct hf_ingest *g = ctx;
  if (!g->stream || g->raw || g->in_bulk) return violation(g, "group bytes outside a tree");
  if (n > HF_CHUNK_MAX - g->group.len) return violation(g, "a group larger than a chunk may be");
  hf_buf_add(&g->group, p, n);
  return 0;
}

static int on_cut(void *ctx) {
  struct hf_ingest *g = ctx;
  if (!g->stream || g->group.len == 0) return violation(g, "an empty group");
  g->cut_len = (uint32_t)g->group.len;
  int r = hf_store_chunk(g->o.store, HF_PACK_DATA, g->group.data, g->group.len, &g->cut_id, &g->err);
  hf_buf_clear(&g->group);
  return r;
}

/* A c line of the worker's: "c * * OFFSET LENGTH" means the group cut last. */
static int on_slice_line(struct hf_ingest *g, const char *line, size_t n) {
  struct hf_slice s;
  if (n > 6 && memcmp(line, "c * * ", 6) == 0) {
    unsigned long off, len;
    char text[48];
    int used = 0;
    snprintf(text, sizeof text, "%.*s", (int)HF_MIN(n - 6, sizeof text - 1), line + 6);
    if (sscanf(text, "%lu %lu%n", &off, &len, &used) != 2 || (size_t)used != n - 6) return violation(g, "a malformed slice of a new group");
    if (g->cut_len == 0 || len == 0 || off > g->cut_len || len > g->cut_len - off) return violation(g, "a slice outside its group");
    s = (struct hf_slice){.id = g->cut_id, .chunk_len = g->cut_len, .offset = (uint32_t)off, .length = (uint32_t)len};
    return add_slice(g, &s);
  }
  struct hf_error e = {0};
  if (hf_recipe_parse_slice(line, n, &s, &e) < 0) return violation(g, e.msg);
  int r = hf_store_refer(g->o.store, &s.id, s.chunk_len, &g->err);
  return r < 0 ? r : add_slice(g, &s);
}

static int on_lines(void *ctx, const char *p, size_t n) {
  struct hf_ingest *g = ctx;
  if (!g->stream || g->raw || g->in_bulk) return violation(g, "recipe lines outside a tree");
  for (const char *end = p + n; p < end;) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    if (!nl) return violation(g, "half a recipe line");
    size_t len = (size_t)(nl - p);
    int r;
    if (len > 2 && p[0] == 'c' && p[1] == ' ') {
      r = on_slice_line(g, p, len);
    } else {
      struct hf_recipe_entry e;
      struct hf_error why = {0};
      if (hf_recipe_parse_entry(p, len, &e, &why) < 0) return violation(g, why.msg);
      g->last_entry = g->recipe.len;
      hf_buf_add(&g->recipe, p, len + 1);
      g->stream->entries++;
      r = e.tail > 0 ? 0 : recipe_room(g);
    }
    if (r < 0) return r;
    p = nl + 1;
  }
  return 0;
}

static int on_previous(void *ctx, uint64_t off, uint64_t n) {
  struct hf_ingest *g = ctx;
  if (!g->stream || g->raw || g->in_bulk) return violation(g, "reused lines outside a tree");
  if (off > g->o.previous_n || n > g->o.previous_n - off) return violation(g, "reused lines outside last time's recipe");
  const char *p = g->o.previous + off, *end = p + n, *held = p;
  if (n == 0 || end[-1] != '\n' || (off > 0 && p[-1] != '\n')) return violation(g, "half a reused line");
  while (p < end) {
    /* Up to 256 KiB of lines at once. Only c lines matter here; e lines are taken as they are. */
    const char *stop = p;
    while (stop < end && (size_t)(stop - p) < RECIPE_FLUSH) {
      const char *nl = memchr(stop, '\n', (size_t)(end - stop));
      if (stop[0] == 'c') {
        struct hf_slice s;
        int r = hf_recipe_parse_slice(stop, (size_t)(nl - stop), &s, &g->err);
        if (r == 0) r = hf_store_refer(g->o.store, &s.id, s.chunk_len, &g->err);
        if (r < 0) return r;
        g->stream->chunks++;
        g->stream->size += s.length;
      } else if (stop[0] == 'e' && stop[1] == ' ') { /* not the end line */
        g->stream->entries++;
      } else {
        return violation(g, "reused lines that are none");
      }
      stop = nl + 1;
    }
    hf_buf_add(&g->recipe, p, (size_t)(stop - p));
    int r = recipe_room(g);
    if (r < 0) return r;
    p = stop;
    /* What has been passed need not stay in memory. */
    if ((size_t)(p - held) >= 16 * RECIPE_FLUSH) held = hf_reuse_passed(held, p);
  }
  hf_reuse_passed(held, end);
  return 0;
}

static int data_chunk(void *ctx, const void *p, size_t n, struct hf_error *err) {
  struct hf_ingest *g = ctx;
  struct hf_slice s = {.chunk_len = (uint32_t)n, .length = (uint32_t)n};
  int r = hf_store_chunk(g->o.store, HF_PACK_DATA, p, n, &s.id, err);
  return r < 0 ? r : add_slice(g, &s);
}

static int on_bulk_begin(void *ctx, uint64_t fixed) {
  struct hf_ingest *g = ctx;
  if (!g->stream || g->in_bulk || g->group.len > 0) return violation(g, "bulk data at the wrong place");
  if (fixed != 0 && (fixed < 4096 || fixed > HF_CHUNK_MAX)) return violation(g, "a fixed chunk size must be 4 KiB to 4 MiB");
  g->in_bulk = true;
  hf_chunker_start(g->data, (size_t)fixed);
  return 0;
}

static int on_bulk(void *ctx, const void *p, size_t n) {
  struct hf_ingest *g = ctx;
  if (!g->in_bulk) return violation(g, "bulk data at the wrong place");
  if (g->raw) hf_sha256_update(g->stream_sha, p, n);
  return hf_chunker_feed(g->data, p, n, data_chunk, g, &g->err);
}

static int on_bulk_end(void *ctx) {
  struct hf_ingest *g = ctx;
  if (!g->in_bulk) return violation(g, "bulk data at the wrong place");
  g->in_bulk = false;
  return hf_chunker_end(g->data, data_chunk, g, &g->err);
}

/* The large file just read is not what it was when its line was written. */
static int on_distrust(void *ctx) {
  struct hf_ingest *g = ctx;
  if (!g->stream || g->raw) return violation(g, "distrust outside a tree");
  if (g->last_entry != SIZE_MAX) hf_recipe_distrust(&g->recipe, g->last_entry);
  else g->distrusted = true;
  return 0;
}

static int on_stream_end(void *ctx) {
  struct hf_ingest *g = ctx;
  struct hf_record_stream *st = g->stream;
  if (!st || g->in_bulk || g->group.len > 0) return violation(g, "a stream ends in the middle of its data");
  hf_recipe_end(&g->recipe, st->size, st->chunks, st->entries);
  int r = recipe_flush(g);
  if (r == 0) r = hf_chunker_end(g->recipe_chunks, recipe_chunk, g, &g->err);
  if (r < 0) return r;
  hf_sha256_final(g->recipe_sha, &st->recipe_sha256);
  if (g->raw) {
    struct hf_digest d;
    hf_sha256_final(g->stream_sha, &d);
    hf_digest_hex(&d, st->sha256);
  }
  g->stream = NULL;
  if (g->recipe_fd < 0) return 0;
  if (g->distrusted) {
    /* The line has gone into a chunk already: the next run reads everything rather than trust it. */
    hf_closep(&g->recipe_fd);
    unlink(g->recipe_path);
    hf_freep(&g->recipe_path);
    g->distrusted = false;
    return 0;
  }
  if (fdatasync(g->recipe_fd) < 0) return hf_fail(&g->err, HOLDFAST_E_FAILED, "cannot write the recipe in the state folder");
  hf_closep(&g->recipe_fd);
  g->kept = hf_realloc(g->kept, (g->n_kept + 1) * sizeof *g->kept);
  g->kept[g->n_kept++] = (struct kept){.stream = hf_strdup(st->name), .path = g->recipe_path, .sha256 = st->recipe_sha256};
  g->recipe_path = NULL;
  return 0;
}

static int on_problem(void *ctx, const char *path, int status, const char *what) {
  struct hf_ingest *g = ctx;
  hf_record_add_problem(g->o.rec, path, status, what);
  return 0;
}

static int on_progress(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t read) {
  struct hf_ingest *g = ctx;
  if (g->o.progress) g->o.progress(g->o.progress_ctx, path, entries, bytes, read);
  return 0;
}

/* ---- life ---- */

struct hf_ingest *hf_ingest_new(const struct hf_ingest_options *o) {
  struct hf_ingest *g = hf_alloc(sizeof *g);
  g->o = *o;
  g->recipe_fd = -1;
  g->data = hf_chunker_new(o->audience->gear);
  g->recipe_chunks = hf_chunker_new(o->audience->gear);
  g->stream_sha = hf_sha256_new();
  g->recipe_sha = hf_sha256_new();
  g->emit = (struct hf_emit){.ctx = g, .stream_begin = on_stream_begin, .bytes = on_bytes, .cut = on_cut, .lines = on_lines, .previous = on_previous, .bulk_begin = on_bulk_begin, .bulk = on_bulk,
                             .bulk_end = on_bulk_end, .distrust = on_distrust, .stream_end = on_stream_end, .problem = on_problem, .progress = on_progress};
  return g;
}

const struct hf_emit *hf_ingest_emit(struct hf_ingest *g) { return &g->emit; }

const struct hf_error *hf_ingest_error(const struct hf_ingest *g) { return &g->err; }

const struct hf_error *hf_ingest_broken(const struct hf_ingest *g) { return g->err.code && !g->violated ? &g->err : NULL; }

void hf_ingest_done(struct hf_ingest *g) {
  hf_chunker_free(g->data);
  hf_chunker_free(g->recipe_chunks);
  g->data = g->recipe_chunks = NULL;
  hf_buf_free(&g->group);
  hf_buf_free(&g->recipe);
}

int hf_ingest_keep(struct hf_ingest *g, uint64_t snapshot, struct hf_error *err) {
  for (size_t i = 0; i < g->n_kept; i++) {
    struct kept *k = &g->kept[i];
    if (!k->path) continue;
    int r = hf_state_recipe_keep(g->o.state, k->path, g->o.rec->name, k->stream, g->o.audience->name, &k->sha256, snapshot, err);
    if (r < 0) return r;
    hf_freep(&k->path);
  }
  return 0;
}

void hf_ingest_free(struct hf_ingest *g) {
  if (!g) return;
  hf_closep(&g->recipe_fd);
  if (g->recipe_path) unlink(g->recipe_path);
  free(g->recipe_path);
  for (size_t i = 0; i < g->n_kept; i++) {
    if (g->kept[i].path) unlink(g->kept[i].path);
    free(g->kept[i].path);
    free(g->kept[i].stream);
  }
  free(g->kept);
  hf_ingest_done(g);
  hf_sha256_free(g->stream_sha);
  hf_sha256_free(g->recipe_sha);
  free(g);
}
