/* browse.c - listing snapshots, what is in one, and what changed between two.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/browse.h"

#include "base/text.h"

/* ---- snapshots ---- */

struct held {
  struct hf_digest *v;
  size_t n, cap;
};

static int add_held(void *ctx, const char *key, uint64_t size HF_UNUSED) {
  struct held *h = ctx;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  if (name.kind != HF_OBJ_RECORD) return 0;
  if (h->n == h->cap) {
    h->cap = h->cap ? h->cap * 2 : 256;
    h->v = hf_realloc(h->v, h->cap * sizeof *h->v);
  }
  h->v[h->n++] = name.digest;
  return 0;
}

static int by_digest(const void *a, const void *b) { return memcmp(a, b, HF_SHA256_LEN); }

/* The records that every target has: each digest as often as there are targets. */
static int list_held(struct hf_session *s, struct held *h, struct hf_error *err) {
  for (size_t i = 0; i < s->n_targets; i++) {
    int r = hf_target_list(s->targets[i], "records/", add_held, h, err);
    if (r < 0) return r;
  }
  if (h->n) qsort(h->v, h->n, sizeof *h->v, by_digest);
  return 0;
}

static bool is_held(const struct held *h, const struct hf_digest *d, size_t times) {
  size_t lo = 0, hi = h->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (by_digest(&h->v[mid], d) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return times > 0 && lo + times <= h->n && by_digest(&h->v[lo + times - 1], d) == 0;
}

int hf_list_snapshots(struct hf_session *s, bool held, int (*fn)(void *, const struct hf_record *, const struct hf_live_snapshot *, struct hf_error *), void *ctx,
                      struct hf_error *err) {
  struct held h = {0};
  struct hf_live live;
  int r = hf_live_load(s, &live, err);
  if (r < 0) return r;
  if (held) r = list_held(s, &h, err);
  for (size_t i = 0; r == 0 && i < live.n; i++) {
    struct hf_record *rec = NULL;
    struct hf_digest d;
    r = hf_session_record(s, live.v[i].seq, &rec, &d, err);
    if (r == 0 && (!held || is_held(&h, &d, s->n_targets))) r = fn(ctx, rec, &live.v[i], err);
    hf_record_free(rec);
  }
  hf_live_free(&live);
  free(h.v);
  return r;
}

/* ---- walking a tree ---- */

/* A recipe read entry by entry. */
struct cursor {
  struct hf_mapped recipe;
  struct hf_recipe_reader rr;
  struct hf_recipe_entry e;
  struct hf_buf path, link;
  struct hf_tree_entry out;
  bool open, end;
};

static int cursor_open(struct cursor *c, struct hf_session *s, const struct hf_record *rec, const struct hf_record_source *rs,
                       const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_reading rd;
  memset(c, 0, sizeof *c);
  hf_reading_init(s, rec, rs, &rd);
  int r = hf_reading_recipe(&rd, st, true, &c->recipe, err);
  if (r == HOLDFAST_E_AUTH) hf_prefix(err, "source %s", rs->name);
  if (r == 0) r = hf_recipe_open(&c->rr, c->recipe.p, c->recipe.n, err);
  hf_wipe(&rd.audience, sizeof rd.audience);
  return r;
}

static void cursor_close(struct cursor *c) {
  hf_mapped_free(&c->recipe);
  hf_buf_free(&c->path);
  hf_buf_free(&c->link);
}

/* The next entry into c->out, or c->end. */
static int cursor_next(struct cursor *c, struct hf_error *err) {
  struct hf_slice slice;
  int t = HF_RL_SLICE;
  while (t == HF_RL_SLICE) t = hf_recipe_next(&c->rr, &slice, &c->e, err);
  if (t < 0) return t;
  c->end = t == 0;
  if (c->end) return 0;
  hf_buf_clear(&c->path);
  hf_buf_clear(&c->link);
  int r = hf_unescape(&c->path, c->e.path, c->e.path_n, err);
  if (r == 0 && c->e.link) r = hf_unescape(&c->link, c->e.link, c->e.link_n, err);
  c->out = (struct hf_tree_entry){
      .e = &c->e, .path = c->path.data, .path_n = c->path.len, .link = c->e.link ? c->link.data : NULL, .link_n = c->link.len};
  return r;
}

static const struct hf_record_source *need_source(const struct hf_record *rec, const char *name, struct hf_error *err) {
  const struct hf_record_source *rs = hf_record_find_source(rec, name);
  if (!rs) {
    struct hf_buf names = HF_BUF_INIT;
    for (size_t i = 0; i < rec->n_sources; i++) hf_buf_addf(&names, "%s%s", i ? ", " : "", rec->sources[i].name);
    hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu has no source %s; it has %s", (unsigned long long)rec->seq, name,
            names.len ? names.data : "none");
    hf_buf_free(&names);
  } else if (rs->n_streams == 0) {
    hf_fail(err, HOLDFAST_E_NOT_FOUND, "source %s failed in snapshot %llu (%s): there is nothing of it", name,
            (unsigned long long)rec->seq, rs->error ? rs->error : "no data");
    return NULL;
  }
  return rs;
}

static bool is_raw(const struct hf_record_stream *st) { return strcmp(st->format, "raw") == 0; }

int hf_ls(struct hf_session *s, const struct hf_record *rec, const char *source, const char *path, const struct hf_ls_sink *sink,
          struct hf_error *err) {
  const struct hf_record_source *rs = need_source(rec, source, err);
  if (!rs) return HOLDFAST_E_NOT_FOUND;
  const char *below = path ? path : "";
  while (*below == '/') below++;
  size_t n = strlen(below);
  while (n > 0 && below[n - 1] == '/') n--;
  bool found = false;
  for (size_t i = 0; i < rs->n_streams; i++) {
    const struct hf_record_stream *st = &rs->streams[i];
    int r = 0;
    if (is_raw(st)) {
      if (n > 0 && strcmp(st->name, path) != 0) continue;
      found = true;
      r = sink->stream(sink->ctx, st, err);
    } else {
      struct cursor c;
      r = cursor_open(&c, s, rec, rs, st, err);
      while (r == 0 && (r = cursor_next(&c, err)) == 0 && !c.end) {
        bool hit =
            n == 0 || (c.out.path_n >= n && memcmp(c.out.path, below, n) == 0 && (c.out.path_n == n || c.out.path[n] == '/'));
        if (!hit) continue;
        found = true;
        r = sink->entry(sink->ctx, &c.out, err);
      }
      cursor_close(&c);
    }
    if (r < 0) return r;
  }
  return found || n == 0 ? 0
                         : hf_fail(err, HOLDFAST_E_NOT_FOUND, "source %s of snapshot %llu holds no %s", source,
                                   (unsigned long long)rec->seq, path);
}

/* ---- diff ---- */

/* Several names of one file: which of them comes as the file and which as links to it depends on the others. */
static bool same_type(char a, char b) { return a == b || (a == 'h' && b != 'd') || (b == 'h' && a != 'd'); }

/* 0 when there is no difference. */
static int change_of(const struct hf_tree_entry *a, const struct hf_tree_entry *b) {
  const struct hf_recipe_entry *x = a->e, *y = b->e;
  if (!same_type(x->kind, y->kind)) return HF_TYPE;
  bool meta = x->mode != y->mode || x->uid != y->uid || x->gid != y->gid;
  bool mtime = x->mtime != y->mtime || x->mtime_nsec != y->mtime_nsec;
  bool has_ctime = !x->ctime_mark && !y->ctime_mark;
  bool ctime = has_ctime && (x->ctime != y->ctime || x->ctime_nsec != y->ctime_nsec);
  if (x->kind == 'd') return meta ? HF_METADATA : 0;
  if (x->kind == 'l' && y->kind == 'l') {
    bool target = a->link_n != b->link_n || memcmp(a->link, b->link, a->link_n) != 0;
    return target ? HF_CONTENT : meta ? HF_METADATA : 0;
  }
  bool file = (x->kind == 'f' || x->kind == 'h') && (y->kind == 'f' || y->kind == 'h');
  if (file) {
    bool size = x->kind == y->kind && x->size != y->size;
    bool token = x->token_n != y->token_n || (x->token_n && memcmp(x->token, y->token, x->token_n) != 0);
    if (size || mtime || (token && x->kind == y->kind) || (ctime && !meta)) return HF_CONTENT;
  }
  return meta ? HF_METADATA : 0;
}

static int diff_trees(struct cursor *a, struct cursor *b, const char *source, const struct hf_diff_sink *sink,
                      struct hf_error *err) {
  int r = cursor_next(a, err);
  if (r == 0) r = cursor_next(b, err);
  while (r == 0 && (!a->end || !b->end)) {
    int order = a->end ? 1 : b->end ? -1 : hf_path_cmp(a->out.path, a->out.path_n, b->out.path, b->out.path_n);
    int change = order < 0 ? HF_REMOVED : order > 0 ? HF_ADDED : change_of(&a->out, &b->out);
    if (change)
      r = sink->entry(sink->ctx, source, (enum hf_change)change, order <= 0 ? &a->out : NULL, order >= 0 ? &b->out : NULL, err);
    if (r == 0 && order <= 0) r = cursor_next(a, err);
    if (r == 0 && order >= 0) r = cursor_next(b, err);
  }
  return r;
}

static const struct hf_record_stream *find_stream(const struct hf_record_source *rs, const char *name) {
  for (size_t i = 0; i < rs->n_streams; i++) {
    if (strcmp(rs->streams[i].name, name) == 0) return &rs->streams[i];
  }
  return NULL;
}

/* Chunk names within one audience say what is in them: equal recipes, equal streams. */
static bool same_stream(const struct hf_record_stream *a, const struct hf_record_stream *b) {
  if (a->size != b->size) return false;
  if (a->sha256[0] && b->sha256[0]) return strcmp(a->sha256, b->sha256) == 0;
  return hf_digest_eq(&a->recipe_sha256, &b->recipe_sha256);
}

struct pair {
  struct hf_session *s;
  const struct hf_record *a, *b;
  const struct hf_diff_sink *sink;
};

static int diff_source(const struct pair *p, const struct hf_record_source *ra, const struct hf_record_source *rb,
                       struct hf_error *err) {
  const struct hf_diff_sink *sink = p->sink;
  int r = 0;
  for (size_t i = 0; r == 0 && i < ra->n_streams; i++) {
    const struct hf_record_stream *sa = &ra->streams[i], *sb = find_stream(rb, sa->name);
    if (!sb) {
      r = sink->stream(sink->ctx, ra->name, HF_REMOVED, sa->name, err);
    } else if (is_raw(sa) != is_raw(sb)) {
      r = sink->stream(sink->ctx, ra->name, HF_TYPE, sa->name, err);
    } else if (is_raw(sa)) {
      if (!same_stream(sa, sb)) r = sink->stream(sink->ctx, ra->name, HF_CONTENT, sa->name, err);
    } else if (!hf_digest_eq(&sa->recipe_sha256, &sb->recipe_sha256)) {
      struct cursor ca, cb = {0};
      r = cursor_open(&ca, p->s, p->a, ra, sa, err);
      if (r == 0) r = cursor_open(&cb, p->s, p->b, rb, sb, err);
      if (r == 0) r = diff_trees(&ca, &cb, ra->name, sink, err);
      cursor_close(&ca);
      cursor_close(&cb);
    }
  }
  for (size_t i = 0; r == 0 && i < rb->n_streams; i++) {
    if (!find_stream(ra, rb->streams[i].name)) r = sink->stream(sink->ctx, rb->name, HF_ADDED, rb->streams[i].name, err);
  }
  return r;
}

int hf_diff(struct hf_session *s, const struct hf_record *a, const struct hf_record *b, const char *source,
            const struct hf_diff_sink *sink, struct hf_error *err) {
  struct pair p = {s, a, b, sink};
  int r = 0;
  if (source && !hf_record_find_source(a, source) && !need_source(b, source, err)) return HOLDFAST_E_NOT_FOUND;
  for (size_t i = 0; r == 0 && i < a->n_sources; i++) {
    const struct hf_record_source *ra = &a->sources[i], *rb = hf_record_find_source(b, ra->name);
    if (source && strcmp(source, ra->name) != 0) continue;
    bool was = ra->n_streams > 0, is = rb && rb->n_streams > 0;
    if (was && is)
      r = diff_source(&p, ra, rb, err);
    else if (was || is)
      r = sink->source(sink->ctx, ra->name, was ? HF_REMOVED : HF_ADDED, err);
  }
  for (size_t i = 0; r == 0 && i < b->n_sources; i++) {
    const struct hf_record_source *rb = &b->sources[i];
    if ((source && strcmp(source, rb->name) != 0) || rb->n_streams == 0 || hf_record_find_source(a, rb->name)) continue;
    r = sink->source(sink->ctx, rb->name, HF_ADDED, err);
  }
  return r;
}
