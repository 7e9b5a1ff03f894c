/* index_read.c - the text of an index, taken apart. Strict: there is one way to write an index.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "repo/pack_internal.h"
#include "repo/record_internal.h"

/* Where the parser stands: one line at a time, fields within it. */
struct scan {
  const char *p, *end;  /* what is left */
  const char *at, *eol; /* what is left of the line */
  size_t line;
};

/* On to the next line. False at the end of the text or when the line has no newline. */
static bool next_line(struct scan *s) {
  const char *nl = s->p < s->end ? memchr(s->p, '\n', (size_t)(s->end - s->p)) : NULL;
  s->line++;
  if (!nl) return false;
  s->at = s->p;
  s->eol = nl;
  s->p = nl + 1;
  return true;
}

static bool take_word(struct scan *s, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(s->eol - s->at) < n || memcmp(s->at, word, n) != 0) return false;
  s->at += n;
  return true;
}

/* Decimal, without leading zeros, at most max. */
static bool take_number(struct scan *s, uint64_t max, uint64_t *out) {
  uint64_t v = 0;
  const char *start = s->at;
  for (; s->at < s->eol && *s->at >= '0' && *s->at <= '9'; s->at++) {
    unsigned d = (unsigned)(*s->at - '0');
    if (v > (max - d) / 10) return false;
    v = v * 10 + d;
  }
  *out = v;
  return s->at > start && (*start != '0' || s->at == start + 1);
}

static bool take_digest(struct scan *s, struct hf_digest *out) {
  if (s->eol - s->at < 64) return false;
  for (int i = 0; i < 64; i++)
    if (s->at[i] >= 'A' && s->at[i] <= 'F') return false;
  if (!hf_digest_parse(s->at, out)) return false;
  s->at += 64;
  return true;
}

static bool take_name(struct scan *s, char *out, size_t room) {
  size_t n = 0;
  while (s->at + n < s->eol && s->at[n] != ' ') n++;
  if (n == 0 || n >= room || !hf_repo_name_ok(s->at, n)) return false;
  memcpy(out, s->at, n);
  out[n] = '\0';
  s->at += n;
  return true;
}

static int bad(const struct scan *s, struct hf_error *err, const char *what) {
  return hf_fail(err, HOLDFAST_E_CORRUPT, "index, line %zu: %s", s->line, what);
}

/* The pack the lines belong to. */
struct current {
  struct hf_index_pack pack;
  char source[256], audience[33];
  size_t chunks;
  uint64_t next; /* the earliest byte the next chunk's data can be at */
};

static int pack_line(struct scan *s, struct current *c, struct hf_error *err) {
  uint64_t stored, raw;
  if (!take_digest(s, &c->pack.digest) || !take_word(s, " ") || !take_number(s, HF_STORED_MAX, &stored) || !take_word(s, " ") ||
      !take_number(s, HF_PACK_READ_MAX, &raw) || !take_word(s, " "))
    return bad(s, err, "not a pack");
  if (take_word(s, "data "))
    c->pack.kind = HF_PACK_DATA;
  else if (take_word(s, "recipe "))
    c->pack.kind = HF_PACK_RECIPE;
  else
    return bad(s, err, "a pack of unknown kind");
  if (!take_name(s, c->source, sizeof c->source) || !take_word(s, " ") || !take_name(s, c->audience, sizeof c->audience) ||
      s->at != s->eol)
    return bad(s, err, "not a pack");
  if (stored == 0 || raw < 2 * HF_TAR_BLOCK || raw % HF_TAR_BLOCK != 0) return bad(s, err, "a pack of impossible size");
  c->pack.stored = stored;
  c->pack.raw = raw;
  c->pack.source = c->source;
  c->pack.audience = c->audience;
  c->chunks = 0;
  c->next = HF_TAR_BLOCK;
  return 0;
}

static int chunk_line(struct scan *s, struct current *c, struct hf_chunk_ref *ref, struct hf_error *err) {
  uint64_t offset, length;
  if (!take_digest(s, &ref->id) || !take_word(s, " ") || !take_number(s, UINT32_MAX, &offset) || !take_word(s, " ") ||
      !take_number(s, UINT32_MAX, &length) || s->at != s->eol)
    return bad(s, err, "not a chunk");
  /* Members follow each other without gaps: header, data, padding. */
  if (offset != c->next || length > c->pack.raw || offset + length > c->pack.raw) return bad(s, err, "a chunk where none can be");
  c->next = offset + (length + HF_TAR_BLOCK - 1) / HF_TAR_BLOCK * HF_TAR_BLOCK + HF_TAR_BLOCK;
  c->chunks++;
  ref->offset = (uint32_t)offset;
  ref->length = (uint32_t)length;
  return 0;
}

static int end_of_pack(const struct scan *s, const struct current *c, size_t packs, struct hf_error *err) {
  if (packs && c->chunks == 0) return bad(s, err, "the pack before has no chunks");
  /* next stands behind the header of a member that does not come: the two end blocks follow the last member. */
  if (packs && c->next + HF_TAR_BLOCK != c->pack.raw) return bad(s, err, "the chunks of the pack before do not fill it");
  return 0;
}

int hf_index_parse(const char *p, size_t n, const char *repo_id, const struct hf_index_sink *sink, struct hf_error *err) {
  struct scan s = {.p = p, .end = p + n};
  struct current c = {0};
  struct hf_chunk_ref ref;
  size_t packs = 0;
  uint64_t chunks = 0, n_packs, n_chunks;
  int r;
  if (!next_line(&s) || !take_word(&s, "holdfast-index ") || s.at == s.eol) return bad(&s, err, "this is no index");
  if (!take_word(&s, "1") || s.at != s.eol)
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "an index of a format this version does not know");
  if (!next_line(&s) || !take_word(&s, "repository ") || !take_word(&s, repo_id) || s.at != s.eol)
    return bad(&s, err, "it belongs to another repository");
  for (;;) {
    if (!next_line(&s)) return bad(&s, err, "it ends too early");
    if (take_word(&s, "chunk ")) {
      if (packs == 0) return bad(&s, err, "a chunk before any pack");
      if ((r = chunk_line(&s, &c, &ref, err)) < 0 || (r = sink->chunk ? sink->chunk(sink->ctx, &ref, err) : 0) < 0) return r;
      chunks++;
    } else if (take_word(&s, "pack ")) {
      if ((r = end_of_pack(&s, &c, packs, err)) < 0 || (r = pack_line(&s, &c, err)) < 0 ||
          (r = sink->pack ? sink->pack(sink->ctx, packs, &c.pack, err) : 0) < 0)
        return r;
      packs++;
    } else if (take_word(&s, "end ")) {
      if ((r = end_of_pack(&s, &c, packs, err)) < 0) return r;
      if (!take_number(&s, UINT64_MAX, &n_packs) || !take_word(&s, " ") || !take_number(&s, UINT64_MAX, &n_chunks) ||
          s.at != s.eol || n_packs != packs || n_chunks != chunks)
        return bad(&s, err, "the count at the end is not right");
      return s.p == s.end ? 0 : bad(&s, err, "more follows the end");
    } else {
      return bad(&s, err, "neither pack, chunk nor end");
    }
  }
}
