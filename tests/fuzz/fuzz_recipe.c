/* fuzz_recipe.c - the recipe reader on arbitrary text, and the tree builder with arbitrary text as its previous recipe.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fuzz.h"

#include "stream/recipe.h"
#include "stream/tar.h"
#include "stream/tree.h"

static void must(bool ok) {
  if (!ok) abort();
}

/* ---- the reader: what it lets through says the same when it is written again ---- */

static void read_text(const char *p, size_t n) {
  struct hf_recipe_reader r;
  struct hf_slice s;
  struct hf_recipe_entry e;
  struct hf_error err = {0};
  struct hf_buf again = HF_BUF_INIT;
  int rc = hf_recipe_open(&r, p, n, &err);
  while (rc == 0 && (rc = hf_recipe_next(&r, &s, &e, &err)) > 0) {
    must(r.line >= p && r.line + r.line_n < p + n);
    if (rc == HF_RL_SLICE) {
      hf_buf_clear(&again);
      hf_recipe_slice(&again, &s);
      must(again.len == r.line_n + 1 && memcmp(again.data + 67, r.line + 67, r.line_n - 67) == 0);
    } else {
      must(e.path_n > 0 && e.key_n < r.line_n && e.path >= r.line && e.path + e.path_n <= r.line + r.line_n);
      must(e.span == 0 || e.at + (uint64_t)e.span <= (uint64_t)r.last.offset + r.last.length);
    }
    rc = 0;
  }
  must(rc <= 0 && (rc == 0 || err.code == HOLDFAST_E_CORRUPT));
  hf_buf_free(&again);
}

/* ---- the tree builder ---- */

struct run {
  size_t at;
  uint64_t left;
  const char *previous;
  size_t previous_n;
  uint64_t slices, spans; /* bytes by c lines, and by e lines */
  uint32_t group;
  char buffer[1024 * 1024];
};

static int next(void *handle, struct holdfast_entry *e) {
  static const struct {
    uint32_t kind;
    const char *path, *link, *token;
    uint64_t size;
  } all[] = {{HOLDFAST_DIR, "d", NULL, NULL, 0},           {HOLDFAST_FILE, "d/a b", NULL, NULL, 100},
             {HOLDFAST_HARDLINK, "d/h", "d/a b", NULL, 0}, {HOLDFAST_FILE, "d/large", NULL, NULL, 300000},
             {HOLDFAST_SYMLINK, "d/l", "a b", NULL, 0},    {HOLDFAST_SOCKET, "d/s", NULL, NULL, 0},
             {HOLDFAST_FILE, "d/t", NULL, "token", 5},     {HOLDFAST_FILE, "e", NULL, NULL, 0}};
  struct run *r = handle;
  if (r->at == HF_NELEM(all)) return 0;
  e->kind = all[r->at].kind;
  e->path = all[r->at].path;
  e->link = all[r->at].link;
  e->token = all[r->at].token;
  e->size = all[r->at].size;
  e->mode = 0644;
  e->mtime = e->ctime = 1000;
  e->inode = ++r->at;
  return 1;
}

static int entry_open(void *handle, struct holdfast_entry *e) {
  ((struct run *)handle)->left = e->size;
  return 0;
}

static int64_t read_some(void *handle, void *buf, size_t n) {
  struct run *r = handle;
  n = (size_t)HF_MIN(n, r->left);
  memset(buf, 'x', n);
  r->left -= n;
  return (int64_t)n;
}

static int entry_close(void *handle) { return (void)handle, 0; }

static int on_stream_begin(void *ctx, const char *name, const char *format, uint64_t hint) {
  return (void)ctx, (void)name, (void)format, (void)hint, 0;
}
static int on_nothing(void *ctx) { return (void)ctx, 0; }
static int on_bulk_begin(void *ctx, uint64_t fixed) { return (void)ctx, (void)fixed, 0; }
static int on_problem(void *ctx, const char *path, int status, const char *what) {
  return (void)ctx, (void)path, (void)status, (void)what, 0;
}
static int on_progress(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t got) {
  return (void)ctx, (void)path, (void)entries, (void)bytes, (void)got, 0;
}

static int on_bytes(void *ctx, const void *p, size_t n) {
  struct run *r = ctx;
  (void)p;
  r->group += (uint32_t)n;
  return 0;
}

static int on_cut(void *ctx) {
  ((struct run *)ctx)->group = 0;
  return 0;
}

static int on_bulk(void *ctx, const void *p, size_t n) {
  (void)p;
  ((struct run *)ctx)->slices += n;
  return 0;
}

/* Every line that comes out is well-formed, wherever it is from. */
static int on_lines(void *ctx, const char *p, size_t n) {
  struct run *r = ctx;
  must(n > 0 && p[n - 1] == '\n' && r->group == 0);
  for (const char *end = p + n; p < end;) {
    size_t len = (size_t)((const char *)memchr(p, '\n', (size_t)(end - p)) - p);
    struct hf_slice s;
    struct hf_recipe_entry e;
    unsigned off, length;
    if (len > 6 && memcmp(p, "c * * ", 6) == 0) {
      must(sscanf(p, "c * * %u %u\n", &off, &length) == 2);
      r->slices += length;
    } else if (*p == 'c') {
      must(hf_recipe_parse_slice(p, len, &s, NULL) == 0);
      r->slices += s.length;
    } else {
      must(hf_recipe_parse_entry(p, len, &e, NULL) == 0);
      r->spans += e.span + e.tail;
    }
    p += len + 1;
  }
  return 0;
}

static int on_previous(void *ctx, uint64_t off, uint64_t n) {
  struct run *r = ctx;
  must(off <= r->previous_n && n <= r->previous_n - off);
  return on_lines(ctx, r->previous + off, n);
}

static void *on_buffer(void *ctx, size_t *cap) {
  struct run *r = ctx;
  *cap = sizeof r->buffer;
  return r->buffer;
}

static void build(const char *p, size_t n) {
  static const struct holdfast_source_plugin plugin = {
      .next = next, .entry_open = entry_open, .read = read_some, .entry_close = entry_close};
  static struct run r;
  struct hf_emit emit = {.ctx = &r,
                         .stream_begin = on_stream_begin,
                         .bytes = on_bytes,
                         .cut = on_cut,
                         .lines = on_lines,
                         .previous = on_previous,
                         .bulk_begin = on_bulk_begin,
                         .bulk = on_bulk,
                         .bulk_end = on_nothing,
                         .distrust = on_nothing,
                         .stream_end = on_nothing,
                         .problem = on_problem,
                         .progress = on_progress,
                         .buffer = on_buffer};
  unsigned char key[32] = {1};
  struct hf_tree_options o = {
      .plugin = &plugin, .handle = &r, .group_key = key, .previous = p, .previous_n = n, .opened_s = 5000};
  struct hf_tree_counts c;
  r.at = 0;
  r.left = r.slices = r.spans = r.group = 0;
  r.previous = p;
  r.previous_n = n;
  must(hf_tree_run(&o, &emit, &c, NULL) == 0);
  must(c.files == 4 && c.folders == 1 && c.others == 3);
  /* The slices hold the entries, their data and the archive's end, not a byte more or less. */
  must(r.slices == r.spans + HF_TAR_TAIL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  read_text((const char *)data, n);
  build((const char *)data, n);
  return 0;
}
