/* recipe_read.c - reading recipes: every field is checked, whoever wrote it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/recipe.h"

struct scan {
  const char *p, *end;
};

/* The next blank-separated field; false when there is none or it is empty. */
static bool field(struct scan *s, const char **f, size_t *n) {
  if (!s->p) return false;
  const char *blank = memchr(s->p, ' ', (size_t)(s->end - s->p));
  *f = s->p;
  *n = (size_t)((blank ? blank : s->end) - s->p);
  s->p = blank ? blank + 1 : NULL;
  return *n > 0;
}

static bool finished(const struct scan *s) { return s->p == NULL; }

/* One form only for every number: no sign, no leading zeros. */
static bool digits(const char *f, size_t n, uint64_t max, uint64_t *out) {
  uint64_t v = 0;
  if (n == 0 || n > 20 || (n > 1 && f[0] == '0')) return false;
  for (size_t i = 0; i < n; i++) {
    if (f[i] < '0' || f[i] > '9') return false;
    unsigned d = (unsigned)(f[i] - '0');
    if (v > (UINT64_MAX - d) / 10) return false;
    v = 10 * v + d;
  }
  if (v > max) return false;
  *out = v;
  return true;
}

static bool number(struct scan *s, uint64_t max, uint64_t *out) {
  const char *f;
  size_t n;
  return field(s, &f, &n) && digits(f, n, max, out);
}

static bool number32(struct scan *s, uint32_t *out) {
  uint64_t v;
  if (!number(s, UINT32_MAX, &v)) return false;
  *out = (uint32_t)v;
  return true;
}

static bool octal(struct scan *s, uint32_t *out) {
  const char *f;
  size_t n;
  if (!field(s, &f, &n) || n > 4 || (n > 1 && f[0] == '0')) return false;
  uint32_t v = 0;
  for (size_t i = 0; i < n; i++) {
    if (f[i] < '0' || f[i] > '7') return false;
    v = 8 * v + (uint32_t)(f[i] - '0');
  }
  *out = v;
  return true;
}

/* seconds.nnnnnnnnn */
static bool time_of(const char *f, size_t n, int64_t *s, uint32_t *ns) {
  uint64_t whole, part = 0;
  bool negative = n > 0 && f[0] == '-';
  if (negative) f++, n--;
  if (n < 11 || f[n - 10] != '.' || !digits(f, n - 10, (uint64_t)INT64_MAX + negative, &whole)) return false;
  for (size_t i = n - 9; i < n; i++) {
    if (f[i] < '0' || f[i] > '9') return false;
    part = 10 * part + (uint64_t)(f[i] - '0');
  }
  *s = (int64_t)(negative ? 0 - whole : whole);
  *ns = (uint32_t)part;
  return true;
}

static bool mtime_field(struct scan *s, struct hf_recipe_entry *e) {
  const char *f;
  size_t n;
  return field(s, &f, &n) && time_of(f, n, &e->mtime, &e->mtime_nsec);
}

static bool ctime_field(struct scan *s, struct hf_recipe_entry *e) {
  const char *f;
  size_t n;
  if (!field(s, &f, &n)) return false;
  e->ctime = 0;
  e->ctime_nsec = 0;
  e->ctime_mark = 0;
  if (n == 1 && (*f == '-' || *f == '!')) {
    e->ctime_mark = *f;
    return true;
  }
  return time_of(f, n, &e->ctime, &e->ctime_nsec);
}

/* "-" or "=" and at least one byte. */
static bool optional(struct scan *s, const char **out, size_t *out_n) {
  const char *f;
  size_t n;
  *out = NULL;
  *out_n = 0;
  if (!field(s, &f, &n)) return false;
  if (n == 1 && *f == '-') return true;
  if (n < 2 || *f != '=') return false;
  *out = f + 1;
  *out_n = n - 1;
  return true;
}

static bool kind_field(struct scan *s, char *out) {
  const char *f;
  size_t n;
  if (!field(s, &f, &n) || n != 1 || !strchr("fdlhpcbs", *f)) return false;
  *out = *f;
  return true;
}

/* What is wrong with the line, NULL when nothing is. */
static const char *entry_fault(const char *line, size_t n, struct hf_recipe_entry *e) {
  if (n < 2 || line[0] != 'e' || line[1] != ' ') return "no e line";
  struct scan s = {line + 2, line + n};
  if (memchr(line, 0, n) || memchr(line, '\n', n)) return "NUL or newline in an e line";
  if (!kind_field(&s, &e->kind)) return "bad KIND";
  if (!octal(&s, &e->mode)) return "bad MODE";
  if (!number32(&s, &e->uid)) return "bad UID";
  if (!number32(&s, &e->gid)) return "bad GID";
  if (!number(&s, UINT64_MAX, &e->size)) return "bad SIZE";
  if (!mtime_field(&s, e)) return "bad MTIME";
  if (!ctime_field(&s, e)) return "bad CTIME";
  if (!number(&s, UINT64_MAX, &e->inode)) return "bad INODE";
  if (!optional(&s, &e->token, &e->token_n)) return "bad TOKEN";
  if (!field(&s, &e->path, &e->path_n)) return "bad PATH";
  e->key_n = (size_t)(e->path + e->path_n - (line + 2));
  const char *link_at = s.p;
  if (!optional(&s, &e->link, &e->link_n)) return "bad LINK";
  if (e->kind == 'h') {
    if (!e->link) return "a hard link without LINK";
    e->key_n = (size_t)(e->link + e->link_n - (line + 2));
  }
  if (e->kind == 'l' && !e->link) return "a symbolic link without LINK";
  if (!link_at) return "too few fields";
  if (!number32(&s, &e->at)) return "bad AT";
  if (!number32(&s, &e->span)) return "bad SPAN";
  if (!number(&s, INT64_MAX, &e->tail)) return "bad TAIL";
  if (!finished(&s)) return "too many fields";
  if (e->kind == 's' ? e->at != 0 || e->span != 0 : e->span == 0) return "SPAN does not go with KIND";
  if (e->kind != 'f' && e->tail != 0) return "TAIL does not go with KIND";
  return NULL;
}

int hf_recipe_parse_entry(const char *line, size_t n, struct hf_recipe_entry *e, struct hf_error *err) {
  struct hf_recipe_entry got = {0};
  const char *fault = entry_fault(line, n, &got);
  if (fault) return hf_fail(err, HOLDFAST_E_CORRUPT, "%s", fault);
  *e = got;
  return 0;
}

static const char *slice_fault(const char *line, size_t n, struct hf_slice *c) {
  const char *f;
  size_t fn;
  if (n < 2 || line[0] != 'c' || line[1] != ' ') return "no c line";
  struct scan s = {line + 2, line + n};
  if (!field(&s, &f, &fn) || fn != 2 * HF_SHA256_LEN || !hf_digest_parse(f, &c->id)) return "bad CHUNKID";
  if (!number32(&s, &c->chunk_len)) return "bad CHUNKLEN";
  if (!number32(&s, &c->offset)) return "bad OFFSET";
  if (!number32(&s, &c->length) || c->length == 0) return "bad LENGTH";
  if (!finished(&s)) return "too many fields";
  if (c->offset > c->chunk_len || c->length > c->chunk_len - c->offset) return "a slice that goes beyond its chunk";
  return NULL;
}

int hf_recipe_parse_slice(const char *line, size_t n, struct hf_slice *s, struct hf_error *err) {
  struct hf_slice got;
  const char *fault = slice_fault(line, n, &got);
  if (fault) return hf_fail(err, HOLDFAST_E_CORRUPT, "%s", fault);
  *s = got;
  return 0;
}

bool hf_recipe_parse_place(const char *p, size_t n, uint32_t *at, uint32_t *span, uint64_t *tail) {
  struct scan s = {p, p + n};
  uint32_t a, b;
  uint64_t c;
  if (!number32(&s, &a) || !number32(&s, &b) || !number(&s, INT64_MAX, &c) || !finished(&s)) return false;
  *at = a;
  *span = b;
  *tail = c;
  return true;
}

/* ---- the whole text ---- */

bool hf_recipe_name_ok(const char *name, size_t n) {
  if (n == 0 || n > 255 || name[0] == '.' || name[0] == '-') return false;
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-'))
      return false;
  }
  return true;
}

static int corrupt(const struct hf_recipe_reader *r, const char *what, struct hf_error *err) {
  return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe line %llu: %s", (unsigned long long)(r->clines + r->elines + 3), what);
}

/* The next line without its newline; false at the end of the text or when the newline is missing. */
static bool next_line(struct hf_recipe_reader *r) {
  if (r->next == r->end) return false;
  const char *nl = memchr(r->next, '\n', (size_t)(r->end - r->next));
  if (!nl) return false;
  r->line = r->next;
  r->line_n = (size_t)(nl - r->next);
  r->next = nl + 1;
  return true;
}

int hf_recipe_open(struct hf_recipe_reader *r, const char *p, size_t n, struct hf_error *err) {
  static const char stream[] = "stream ";
  struct hf_recipe_reader got = {.p = p, .next = p, .end = p + n};
  if (!next_line(&got) || got.line_n + 1 != strlen(HF_RECIPE_HEAD) || memcmp(got.line, HF_RECIPE_HEAD, got.line_n) != 0)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "not a recipe of a known version");
  if (!next_line(&got) || got.line_n < sizeof stream || memcmp(got.line, stream, sizeof stream - 1) != 0)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe line 2: no stream line");
  struct scan s = {got.line + sizeof stream - 1, got.line + got.line_n};
  const char *name, *format;
  size_t name_n, format_n;
  if (!field(&s, &name, &name_n) || !hf_recipe_name_ok(name, name_n))
    return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe line 2: bad stream name");
  if (!field(&s, &format, &format_n) || format_n != 3 || !finished(&s) ||
      (memcmp(format, "tar", 3) != 0 && memcmp(format, "raw", 3) != 0))
    return hf_fail(err, HOLDFAST_E_CORRUPT, "recipe line 2: unknown stream format");
  memcpy(got.name, name, name_n);
  got.tar = *format == 't';
  *r = got;
  return 0;
}

static int next_slice(struct hf_recipe_reader *r, struct hf_slice *out, struct hf_error *err) {
  struct hf_slice s;
  const char *fault = slice_fault(r->line, r->line_n, &s);
  if (fault) return corrupt(r, fault, err);
  if (r->tail > 0 && s.length > r->tail) return corrupt(r, "more data than the entry before has", err);
  if (r->bytes > INT64_MAX - (uint64_t)s.length) return corrupt(r, "a stream of more than 2^63 bytes", err);
  /* What follows a large file's data needs a c line of its own. */
  r->placed = r->tail == 0;
  if (r->tail > 0) r->tail -= s.length;
  r->clines++;
  r->bytes += s.length;
  r->last = s;
  *out = s;
  return HF_RL_SLICE;
}

static int next_entry(struct hf_recipe_reader *r, struct hf_recipe_entry *out, struct hf_error *err) {
  struct hf_recipe_entry e = {0};
  const char *fault = r->tar ? entry_fault(r->line, r->line_n, &e) : "an e line in a raw stream";
  if (fault) return corrupt(r, fault, err);
  if (r->tail > 0) return corrupt(r, "less data than the entry before has", err);
  if (e.span > 0 && (!r->placed || e.at < r->last.offset || e.at - r->last.offset > r->last.length ||
                     e.span > r->last.length - (e.at - r->last.offset)))
    return corrupt(r, "an entry that is not in the slice before it", err);
  r->elines++;
  r->tail = e.tail;
  *out = e;
  return HF_RL_ENTRY;
}

static int last_line(struct hf_recipe_reader *r, struct hf_error *err) {
  struct scan s = {r->line + 4, r->line + r->line_n};
  uint64_t bytes, clines, elines;
  if (!number(&s, UINT64_MAX, &bytes) || !number(&s, UINT64_MAX, &clines) || !number(&s, UINT64_MAX, &elines) || !finished(&s))
    return corrupt(r, "malformed end line", err);
  if (r->tail > 0) return corrupt(r, "less data than the entry before has", err);
  if (bytes != r->bytes || clines != r->clines || elines != r->elines)
    return corrupt(r, "the end line's sums are not those of the recipe", err);
  if (r->next != r->end) return corrupt(r, "text after the end line", err);
  r->done = true;
  return 0;
}

int hf_recipe_next(struct hf_recipe_reader *r, struct hf_slice *s, struct hf_recipe_entry *e, struct hf_error *err) {
  if (r->done) return 0;
  if (!next_line(r)) return corrupt(r, "the recipe is cut off", err);
  if (r->line_n > 2 && r->line[1] == ' ' && r->line[0] == 'c') return next_slice(r, s, err);
  if (r->line_n > 2 && r->line[1] == ' ' && r->line[0] == 'e') return next_entry(r, e, err);
  if (r->line_n > 4 && memcmp(r->line, "end ", 4) == 0) return last_line(r, err);
  return corrupt(r, "neither c, e nor end line", err);
}
