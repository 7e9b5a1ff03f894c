/* restore_tree.c - a tree stream back to disk: which slices are wanted, where they go, what was lost.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three walks over the recipe: hard links whose target is not itself wanted (only with --path), the plan, and, when anything was lost, the names of what was lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/restore_impl.h"
#include "stream/extract.h"

enum kind { GROUP = 1, DATA };

/* Another name under which a wanted hard link's content is restored, because the name that carries it is not wanted. At most one per wanted entry. */
struct alias { char *from, *to; };

struct tree {
  struct hf_reading *rd;
  const struct hf_restore_options *o;
  struct hf_restore_result *out;
  struct hf_select select;
  struct hf_extract *x;
  const char *place; /* in place: the folder that paths start from; else NULL */
  struct hf_made *made; /* or NULL */
  struct hf_buf to;
  struct alias *aliases; /* sorted by from, once all are known */
  size_t n_aliases;
};

/* ---- walking a recipe: each header slice with its entries ---- */

struct walker {
  /* An entry; and, for a large file's data, each slice with its offset in the data. Either may be NULL. */
  int (*entry)(void *ctx, const struct hf_slice *head, const struct hf_recipe_entry *e, const char *path, size_t n, struct hf_error *err);
  int (*data)(void *ctx, const struct hf_slice *s, uint64_t off, struct hf_error *err);
  void *ctx;
};

static int walk(const struct hf_mapped *recipe, const struct walker *w, struct hf_error *err) {
  struct hf_recipe_reader rr;
  struct hf_slice s, head = {0};
  struct hf_recipe_entry e;
  HF_CLEANUP(hf_buf_free) struct hf_buf path = HF_BUF_INIT;
  uint64_t tail = 0, off = 0;
  bool have_head = false;
  int t, r = hf_recipe_open(&rr, recipe->p, recipe->n, err);
  while (r == 0 && (t = hf_recipe_next(&rr, &s, &e, err)) != 0) {
    if (t < 0) return t;
    if (t == HF_RL_SLICE && tail > 0) {
      if (s.length > tail) return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe: a file's data is longer than the file");
      if (w->data) r = w->data(w->ctx, &s, off, err);
      off += s.length;
      tail -= s.length;
    } else if (t == HF_RL_SLICE) {
      head = s;
      have_head = true;
    } else if (t == HF_RL_ENTRY) {
      if (tail > 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe: a file's data is missing");
      if (e.span > 0 && (!have_head || e.at < head.offset || (uint64_t)e.at + e.span > (uint64_t)head.offset + head.length)) return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe: an entry lies outside its chunk");
      hf_buf_clear(&path);
      r = hf_unescape(&path, e.path, e.path_n, err);
      if (r == 0) r = w->entry(w->ctx, &head, &e, path.data, path.len, err);
      tail = e.tail;
      off = 0;
    }
  }
  if (r == 0 && tail > 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe: a file's data is missing");
  return r;
}

/* ---- aliases ---- */

static int by_from(const void *a, const void *b) { return strcmp(((const struct alias *)a)->from, ((const struct alias *)b)->from); }

static const struct alias *find_alias(const struct tree *t, const char *from) {
  struct alias key = {.from = (char *)(uintptr_t)from};
  return t->n_aliases ? bsearch(&key, t->aliases, t->n_aliases, sizeof *t->aliases, by_from) : NULL;
}

static int gather_alias(void *ctx, const struct hf_slice *head HF_UNUSED, const struct hf_recipe_entry *e, const char *path, size_t n, struct hf_error *err) {
  struct tree *t = ctx;
  if (e->kind != 'h' || !hf_select_wants(&t->select, path, n)) return 0;
  HF_CLEANUP(hf_buf_free) struct hf_buf link = HF_BUF_INIT;
  int r = hf_unescape(&link, e->link, e->link_n, err);
  if (r < 0 || hf_select_wants(&t->select, link.data, link.len)) return r;
  if ((t->n_aliases & (t->n_aliases - 1)) == 0) t->aliases = hf_realloc(t->aliases, (t->n_aliases ? t->n_aliases * 2 : 1) * sizeof *t->aliases);
  t->aliases[t->n_aliases++] = (struct alias){.from = hf_buf_take(&link), .to = hf_strndup(path, n)};
  return 0;
}

static void settle_aliases(struct tree *t) {
  size_t kept = 0;
  if (t->n_aliases == 0) return;
  /* Of several links to one file the first in tree order stands for it. */
  qsort(t->aliases, t->n_aliases, sizeof *t->aliases, by_from);
  for (size_t i = 0; i < t->n_aliases; i++) {
    if (kept > 0 && strcmp(t->aliases[kept - 1].from, t->aliases[i].from) == 0) {
      if (strcmp(t->aliases[i].to, t->aliases[kept - 1].to) < 0) {
        char *swap = t->aliases[kept - 1].to;
        t->aliases[kept - 1].to = t->aliases[i].to;
        t->aliases[i].to = swap;
      }
      free(t->aliases[i].from);
      free(t->aliases[i].to);
    } else {
      t->aliases[kept++] = t->aliases[i];
    }
  }
  t->n_aliases = kept;
}

/* Where an entry goes, for the extractor: 1 and *to, or 0. */
static int map_path(void *ctx, const char *path, size_t n, struct hf_buf *to) {
  struct tree *t = ctx;
  HF_CLEANUP(hf_freep) char *copy = hf_strndup(path, n);
  const struct alias *a = find_alias(t, copy);
  if (a) {
    hf_buf_adds(to, a->to);
    return 1;
  }
  if (!hf_select_wants(&t->select, path, n) && !hf_select_leads_to(&t->select, path, n)) return 0;
  for (size_t i = 0; i < t->n_aliases; i++) {
    if (strcmp(t->aliases[i].to, copy) == 0) return 0; /* comes as the file itself */
  }
  hf_buf_add(to, path, n);
  return 1;
}

static bool is_wanted(struct tree *t, const struct hf_recipe_entry *e, const char *path, size_t n) {
  if (hf_select_wants(&t->select, path, n)) return true;
  return (e->kind == 'd' && hf_select_leads_to(&t->select, path, n)) || find_alias(t, path);
}

/* ---- the plan ---- */

/* Large dense files are written at their offsets, in any order. Sparse ones go in order, afterwards: their map comes first. */
static bool is_sparse(const struct hf_recipe_entry *e) { return e->kind == 'f' && e->tail > 0 && e->tail != ((e->size + 511) & ~511ULL); }

struct planner {
  struct tree *t;
  struct hf_plan *plan;
  struct hf_slice head; /* pending header slice */
  bool pending;
  bool data_wanted;
  uint64_t data_size;
  struct hf_buf path;   /* of the large file whose data comes */
  uint64_t sparse;
  struct hf_buf top;    /* in place: the last folder that comes with its own entry */
  struct hf_buf above;  /* and the last that was looked for because it does not */
};

/* In place, folders that are missing above what comes back, and are not part of it, are made for all to pass: /srv/shop for /srv/shop/data. Whatever stands in the way is the extractor's to tell. */
static void make_above(struct planner *p, const struct hf_recipe_entry *e, const char *path, size_t n) {
  const char *slash = memrchr(path, '/', n);
  size_t parent = slash ? (size_t)(slash - path) : 0;
  bool inside = p->top.len && n > p->top.len && path[p->top.len] == '/' && memcmp(path, p->top.data, p->top.len) == 0;
  if (inside) return;
  if (parent > 0 && !(p->above.len == parent && memcmp(p->above.data, path, parent) == 0)) {
    hf_buf_clear(&p->above);
    hf_buf_add(&p->above, path, parent);
    HF_CLEANUP(hf_freep) char *names = hf_strndup(path, parent);
    int fd = open(p->t->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *rest = NULL;
    for (char *name = strtok_r(names, "/", &rest); fd >= 0 && name; name = strtok_r(NULL, "/", &rest)) {
      /* Once more by chmod: not what the umask leaves of it. */
      if (p->t->made) hf_made_note(p->t->made, path, (size_t)(name - names) + strlen(name), true, true);
      bool fresh = mkdirat(fd, name, 0755) == 0;
      int next = openat(fd, name, (fresh ? O_RDONLY : O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      /* Of what was opened: the name may be a link to something else by now. */
      if (fresh && next >= 0 && fchmod(next, 0755) != 0) hf_log(HF_LOG_WARNING, "%s: its mode cannot be set: %s", name, strerror(errno));
      close(fd);
      fd = next;
    }
    hf_closep(&fd);
  }
  if (e->kind != 'd' || !hf_select_wants(&p->t->select, path, n)) return;
  hf_buf_clear(&p->top);
  hf_buf_add(&p->top, path, n);
}

static int flush_head(struct planner *p, struct hf_error *err) {
  if (!p->pending) return 0;
  p->pending = false;
  struct hf_piece piece = {.slice = p->head, .kind = GROUP};
  return hf_plan_add(p->plan, &piece, err);
}

/* Is the entry's place empty now? Then undoing the restore has to empty it again. */
static void note_made(struct tree *t, const char *path, size_t n, bool folder) {
  if (!t->made) return;
  hf_buf_clear(&t->to);
  if (!t->select.patterns || t->select.patterns->n == 0) hf_made_note(t->made, path, n, folder, false);
  else if (map_path(t, path, n, &t->to) > 0) hf_made_note(t->made, t->to.data, t->to.len, folder, false);
}

static int plan_entry(void *ctx, const struct hf_slice *head, const struct hf_recipe_entry *e, const char *path, size_t n, struct hf_error *err) {
  struct planner *p = ctx;
  p->t->out->matched += hf_select_wants(&p->t->select, path, n);
  int r = 0;
  p->data_wanted = false;
  if (p->pending && memcmp(&p->head, head, sizeof *head) != 0) r = flush_head(p, err);
  if (r < 0 || !is_wanted(p->t, e, path, n)) return r;
  if (e->kind == 's') return 0;
  if (p->t->place) make_above(p, e, path, n);
  note_made(p->t, path, n, e->kind == 'd');
  if (e->span > 0 && !is_sparse(e)) {
    p->head = *head;
    p->pending = true;
  }
  if (e->tail > 0 && !is_sparse(e)) {
    p->data_wanted = true;
    p->data_size = e->size;
    hf_buf_clear(&p->path);
    hf_buf_add(&p->path, path, n);
  }
  if (is_sparse(e)) {
    /* It is the last of its slice; those before it are wanted without it. */
    p->sparse++;
    if (p->pending) p->head.length = e->at - head->offset;
  }
  return 0;
}

static int plan_data(void *ctx, const struct hf_slice *s, uint64_t off, struct hf_error *err) {
  struct planner *p = ctx;
  int r = flush_head(p, err);
  if (r < 0 || !p->data_wanted || off >= p->data_size) return r;
  struct hf_piece piece = {.slice = *s, .kind = DATA, .dest = off, .path = p->path.data, .path_n = p->path.len};
  if (piece.slice.length > p->data_size - off) piece.slice.length = (uint32_t)(p->data_size - off);
  return hf_plan_add(p->plan, &piece, err);
}

static int extract_piece(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  struct tree *t = ctx;
  if (piece->kind == GROUP) return hf_extract_slice(t->x, p, piece->slice.length, err);
  return hf_extract_data(t->x, piece->path, piece->path_n, piece->dest, p, piece->slice.length, err);
}

static void lose(struct tree *t, const char *path, size_t n) {
  HF_CLEANUP(hf_freep) char *copy = hf_strndup(path, n);
  t->out->lost++;
  hf_extract_lost(t->x, path, n);
  if (t->o->problem) t->o->problem(t->o->ctx, t->rd->source->name, copy, true, "its data is lost: no good copy of it was found");
}

/* ---- sparse files, one after the other: gathered in a temporary file, then written in order ---- */

enum { SPARSE_HEAD = 1, SPARSE_DATA };

struct sparse {
  struct tree *t;
  struct hf_plan *plan; /* of the file being gathered, NULL between files */
  struct hf_buf path, head;
  uint64_t size;        /* bytes of data */
  int fd;
};

static int take_sparse(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  struct sparse *sp = ctx;
  if (piece->kind == SPARSE_DATA) return hf_pwrite_all(sp->fd, p, piece->slice.length, piece->dest, err);
  hf_buf_add(&sp->head, p, piece->slice.length); /* one piece only */
  return 0;
}

static int sparse_write(struct sparse *sp, struct hf_error *err) {
  char block[64 * 1024];
  struct hf_extract *x = sp->t->x;
  int r = hf_extract_sparse_begin(x, sp->head.data, sp->head.len, err);
  if (lseek(sp->fd, 0, SEEK_SET) < 0) return hf_fail(err, HOLDFAST_E_FAILED, "cannot rewind a temporary file");
  for (uint64_t left = sp->size; r == 0 && left > 0;) {
    ssize_t n = hf_read_full(sp->fd, block, HF_MIN(left, (uint64_t)sizeof block), err);
    if (n <= 0) return n < 0 ? (int)n : hf_fail(err, HOLDFAST_E_FAILED, "a temporary file is short");
    r = hf_extract_sparse_data(x, block, (size_t)n, err);
    left -= (uint64_t)n;
  }
  return r == 0 ? hf_extract_sparse_end(x, err) : r;
}

static int sparse_end(struct sparse *sp, struct hf_error *err) {
  if (!sp->plan) return 0;
  uint64_t lost = 0;
  int r = hf_reading_execute(sp->t->rd, sp->plan, take_sparse, sp, &lost, err);
  hf_plan_free(sp->plan);
  sp->plan = NULL;
  if (r == 0 && lost > 0) lose(sp->t, sp->path.data, sp->path.len);
  else if (r == 0) r = sparse_write(sp, err);
  hf_closep(&sp->fd);
  return r;
}

static int sparse_entry(void *ctx, const struct hf_slice *head, const struct hf_recipe_entry *e, const char *path, size_t n, struct hf_error *err) {
  struct sparse *sp = ctx;
  int r = sparse_end(sp, err);
  if (r < 0 || !is_sparse(e) || !is_wanted(sp->t, e, path, n)) return r;
  r = hf_reading_plan(sp->t->rd, &sp->plan, err);
  if (r < 0) return r;
  sp->fd = hf_reading_temp(sp->t->rd, err);
  if (sp->fd < 0) return sp->fd;
  sp->size = 0;
  hf_buf_clear(&sp->head);
  hf_buf_clear(&sp->path);
  hf_buf_add(&sp->path, path, n);
  struct hf_piece piece = {.slice = *head, .kind = SPARSE_HEAD};
  piece.slice.offset = e->at;
  piece.slice.length = e->span;
  return hf_plan_add(sp->plan, &piece, err);
}

static int sparse_data(void *ctx, const struct hf_slice *s, uint64_t off, struct hf_error *err) {
  struct sparse *sp = ctx;
  if (!sp->plan) return 0;
  struct hf_piece piece = {.slice = *s, .kind = SPARSE_DATA, .dest = off};
  sp->size = off + s->length;
  return hf_plan_add(sp->plan, &piece, err);
}

static int restore_sparse(struct tree *t, const struct hf_mapped *recipe, struct hf_error *err) {
  struct sparse sp = {.t = t, .path = HF_BUF_INIT, .head = HF_BUF_INIT, .fd = -1};
  struct walker w = {.entry = sparse_entry, .data = sparse_data, .ctx = &sp};
  int r = walk(recipe, &w, err);
  if (r == 0) r = sparse_end(&sp, err);
  hf_plan_free(sp.plan);
  hf_closep(&sp.fd);
  hf_buf_free(&sp.path);
  hf_buf_free(&sp.head);
  return r;
}

/* ---- what was lost ---- */

struct loss {
  struct tree *t;
  struct hf_plan *plan;
  struct hf_buf path; /* of the file whose data comes */
  bool data_wanted, told;
};

static int lost_entry(void *ctx, const struct hf_slice *head, const struct hf_recipe_entry *e, const char *path, size_t n, struct hf_error *err HF_UNUSED) {
  struct loss *l = ctx;
  l->data_wanted = false;
  /* Sparse files have been told of one by one. */
  if (e->kind == 's' || is_sparse(e) || !is_wanted(l->t, e, path, n) || (e->kind == 'd' && !hf_select_wants(&l->t->select, path, n))) return 0;
  if (hf_plan_is_lost(l->plan, &head->id)) {
    lose(l->t, path, n);
    return 0;
  }
  l->data_wanted = e->tail > 0;
  l->told = false;
  hf_buf_clear(&l->path);
  hf_buf_add(&l->path, path, n);
  return 0;
}

static int lost_data(void *ctx, const struct hf_slice *s, uint64_t off HF_UNUSED, struct hf_error *err HF_UNUSED) {
  struct loss *l = ctx;
  if (!l->data_wanted || l->told || !hf_plan_is_lost(l->plan, &s->id)) return 0;
  l->told = true;
  lose(l->t, l->path.data, l->path.len);
  return 0;
}

/* ---- all of it ---- */

static void on_problem(void *ctx, const char *path, bool lost, const char *what) {
  struct tree *t = ctx;
  if (lost) t->out->lost++;
  else t->out->problems++;
  if (t->o->problem) t->o->problem(t->o->ctx, t->rd->source->name, path, lost, what);
}

void hf_restore_count(struct hf_restore_result *out, const struct hf_extract_counts *c) {
  out->files += c->files;
  out->folders += c->folders;
  out->links += c->links;
  out->others += c->others;
  out->bytes += c->bytes;
  out->checked += c->checked;
}

static int restore(struct tree *t, const struct hf_mapped *recipe, struct hf_plan *plan, struct hf_error *err) {
  if (t->select.patterns && t->select.patterns->n) {
    struct walker w = {.entry = gather_alias, .ctx = t};
    int r = walk(recipe, &w, err);
    if (r < 0) return r;
    settle_aliases(t);
  }
  struct planner p = {.t = t, .plan = plan, .path = HF_BUF_INIT, .top = HF_BUF_INIT, .above = HF_BUF_INIT};
  struct walker w = {.entry = plan_entry, .data = plan_data, .ctx = &p};
  int r = walk(recipe, &w, err);
  if (r == 0) r = flush_head(&p, err);
  hf_buf_free(&p.path);
  hf_buf_free(&p.top);
  hf_buf_free(&p.above);
  uint64_t lost = 0;
  if (r == 0) r = hf_made_sync(t->made, err);
  if (r == 0) r = hf_reading_execute(t->rd, plan, extract_piece, t, &lost, err);
  if (r == 0 && p.sparse > 0) r = restore_sparse(t, recipe, err);
  if (r == 0 && lost > 0) {
    struct loss l = {.t = t, .plan = plan, .path = HF_BUF_INIT};
    struct walker lw = {.entry = lost_entry, .data = lost_data, .ctx = &l};
    r = walk(recipe, &lw, err);
    hf_buf_free(&l.path);
  }
  if (r < 0) return r;
  struct hf_extract_counts c = {0};
  r = hf_extract_finish(t->x, &c, err);
  hf_restore_count(t->out, &c);
  return r;
}

int hf_restore_tree(struct hf_reading *rd, const struct hf_record_stream *st, const char *root, bool replace, struct hf_made *made, const struct hf_restore_options *o, struct hf_restore_result *out, struct hf_error *err) {
  struct tree t = {.rd = rd, .o = o, .out = out, .select = {o->patterns}, .place = replace ? root : NULL, .made = made, .to = HF_BUF_INIT};
  struct hf_mapped recipe = {0};
  struct hf_plan *plan = NULL;
  int r = hf_reading_ready(rd, err);
  if (r == 0) r = hf_reading_recipe(rd, st, !o->no_local, &recipe, err);
  struct hf_extract_options xo = {.root = root, .replace = replace, .verify = replace, .sync = replace, .owner = !o->no_owner && geteuid() == 0, .spool_dir = hf_state_dir(rd->s->state), .map = map_path, .problem = on_problem, .ctx = &t};
  if (!o->patterns || o->patterns->n == 0) xo.map = NULL;
  if (r == 0) r = hf_extract_open(&xo, &t.x, err);
  if (r == 0) r = hf_reading_plan(rd, &plan, err);
  if (r == 0) r = restore(&t, &recipe, plan, err);
  hf_plan_free(plan);
  hf_extract_free(t.x);
  hf_mapped_free(&recipe);
  for (size_t i = 0; i < t.n_aliases; i++) {
    free(t.aliases[i].from);
    free(t.aliases[i].to);
  }
  free(t.aliases);
  hf_buf_free(&t.to);
  return r;
}

struct looking { struct hf_select select; bool found; };

static int look_entry(void *ctx, const struct hf_slice *head HF_UNUSED, const struct hf_recipe_entry *e HF_UNUSED, const char *path, size_t n, struct hf_error *err HF_UNUSED) {
  struct looking *l = ctx;
  l->found = l->found || hf_select_wants(&l->select, path, n);
  return 0;
}

int hf_restore_wants(struct hf_reading *rd, const struct hf_record_stream *st, const struct hf_list *patterns, struct hf_error *err) {
  struct looking l = {.select = {patterns}};
  struct walker w = {.entry = look_entry, .ctx = &l};
  struct hf_mapped recipe = {0};
  int r = hf_reading_recipe(rd, st, true, &recipe, err);
  if (r == 0) r = walk(&recipe, &w, err);
  hf_mapped_free(&recipe);
  return r < 0 ? r : l.found;
}
