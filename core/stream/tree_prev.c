/* tree_prev.c - walking the previous recipe along with the tree of today.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The caller vouches that the chunks are there, not that the text is well-formed: at the first line that makes no sense the
 * walk ends, and what follows is read anew.
 */
#include "base/io.h"
#include "base/text.h"
#include "stream/tree_internal.h"

void hf_prev_open(struct hf_prev *v, const char *text, size_t n) {
  struct hf_recipe_reader r;
  *v = (struct hf_prev){.text = text, .n = n};
  if (!text || hf_recipe_open(&r, text, n, NULL) != 0 || !r.tar)
    v->dead = true;
  else
    v->next = (size_t)(r.next - text);
}

void hf_prev_free(struct hf_prev *v) { hf_buf_free(&v->path); }

static bool die(struct hf_prev *v) {
  v->dead = true;
  v->have = false;
  return false;
}

/* The length of the line at `at`, without its newline; false when it has none. */
static bool line_at(const struct hf_prev *v, size_t at, size_t *n) {
  if (at >= v->n) return false;
  const char *nl = memchr(v->text + at, '\n', v->n - at);
  if (!nl) return false;
  *n = (size_t)(nl - (v->text + at));
  return true;
}

/* AT, SPAN and TAIL from the end of the e line: no field before them is looked at. */
static bool parse_end(struct hf_prev *v, size_t n, struct hf_old *old) {
  const char *line = v->text + v->next;
  size_t at = n;
  for (int words = 0; words < 3; words++) {
    const char *blank = memrchr(line, ' ', at);
    if (!blank) return false;
    at = (size_t)(blank - line);
  }
  v->place = v->next + at + 1;
  return hf_recipe_parse_place(line + at + 1, n - at - 1, &old->at, &old->span, &old->tail);
}

/* Go over the c lines that hold a large file's data. */
static bool pass_tail(struct hf_prev *v) {
  uint64_t left = v->old.tail;
  size_t at = v->next, n;
  while (left > 0) {
    struct hf_slice s;
    if (!line_at(v, at, &n) || hf_recipe_parse_slice(v->text + at, n, &s, NULL) != 0 || s.length > left) return false;
    left -= s.length;
    at += n + 1;
  }
  v->next = at;
  if (v->old.tail > 0) v->placed = false; /* the next entry needs a c line of its own */
  return true;
}

static bool take_entry(struct hf_prev *v, size_t n) {
  struct hf_old *old = &v->old;
  *old = (struct hf_old){.cline = HF_NOWHERE, .line = v->next};
  if (!parse_end(v, n, old)) return die(v);
  if (v->placed) {
    old->slice = v->slice;
    old->cline = v->cline;
    old->cline_end = v->cline_end;
  }
  if (old->span > 0) {
    const struct hf_slice *s = &v->slice;
    if (!v->placed || old->at < s->offset || old->at - s->offset > s->length || old->span > s->length - (old->at - s->offset))
      return die(v);
  } else if (old->tail > 0) {
    return die(v);
  }
  v->next += n + 1;
  old->tail_at = v->next;
  if (!pass_tail(v)) return die(v);
  old->end = v->next;
  v->have = true;
  v->unescaped = false;
  return true;
}

/* Make an e line wait in v->old; false at the end. */
static bool load(struct hf_prev *v) {
  size_t n;
  while (!v->dead && !v->have) {
    if (!line_at(v, v->next, &n) || n < 3) return die(v);
    const char *line = v->text + v->next;
    if (line[0] == 'e' && line[1] == ' ') return take_entry(v, n);
    if (line[0] != 'c' || hf_recipe_parse_slice(line, n, &v->slice, NULL) != 0) return die(v); /* the end line, too */
    v->placed = true;
    v->cline = v->next;
    v->next += n + 1;
    v->cline_end = v->next;
  }
  return v->have;
}

/* Unescape the waiting entry's path; it must come after the one before. */
static bool unescape(struct hf_prev *v) {
  if (v->unescaped) return true;
  struct hf_recipe_entry e;
  if (hf_recipe_parse_entry(v->text + v->old.line, v->old.tail_at - 1 - v->old.line, &e, NULL) != 0) return die(v);
  struct hf_buf path = HF_BUF_INIT;
  if (hf_unescape(&path, e.path, e.path_n, NULL) != 0 || path.len == 0) {
    hf_buf_free(&path);
    return die(v);
  }
  bool ordered = v->path.len == 0 || hf_path_cmp(v->path.data, v->path.len, path.data, path.len) < 0;
  hf_buf_free(&v->path);
  v->path = path;
  v->unescaped = true;
  return ordered ? true : die(v);
}

static bool matches(const struct hf_prev *v, const char *key, size_t key_n) {
  const char *line = v->text + v->old.line + 2, *place = v->text + v->place;
  if (v->old.tail_at - v->old.line <= key_n + 3 || memcmp(line, key, key_n) != 0 || line[key_n] != ' ') return false;
  /* The line is taken over as it is, so the rest must make sense, too. */
  if ((key[0] == 's') != (v->old.span == 0) || (v->old.tail > 0 && key[0] != 'f') || (key[0] == 's' && v->old.at != 0))
    return false;
  /* Between the key and AT there is nothing but LINK, which for a hard link is in the key. */
  line += key_n + 1;
  if (key[0] == 'h') return line == place;
  if (line >= place || memchr(line, ' ', (size_t)(place - line)) != place - 1) return false;
  return *line == '=' ? place - line > 2 && !memchr(line, 0, (size_t)(place - line))
                      : *line == '-' && place - line == 2 && key[0] != 'l';
}

bool hf_old_is_neat(const struct hf_old *old) {
  const struct hf_slice *s = &old->slice;
  return !old->after_gap && (old->span == 0 || (s->offset == 0 && s->length == s->chunk_len));
}

bool hf_prev_match(struct hf_prev *v, const char *key, size_t key_n, const char *path, size_t path_n, struct hf_old *old) {
  while (load(v)) {
    if (matches(v, key, key_n)) {
      *old = v->old;
      old->after_gap = v->skipped;
      v->skipped = false;
      v->have = false;
      /* Its path is the one given; for the order check of a line that is passed over later. */
      if (v->path.len > 0) hf_buf_clear(&v->path);
      return true;
    }
    if (!unescape(v)) return false;
    int order = hf_path_cmp(v->path.data, v->path.len, path, path_n);
    if (order > 0) return false;
    v->have = false;
    v->skipped = true;
    if (order == 0) return false;
  }
  return false;
}
