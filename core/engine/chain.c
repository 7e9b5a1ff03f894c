/* chain.c - the records of the repository: reading what is new, checking that it follows, finding a snapshot.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>

#include "base/text.h"
#include "engine/compacted.h"
#include "engine/intent.h"

void hf_session_issue(struct hf_session *s, const char *target, bool tamper, const char *fmt, ...) {
  if ((s->n_issues & (s->n_issues - 1)) == 0) s->issues = hf_realloc(s->issues, (s->n_issues ? s->n_issues * 2 : 1) * sizeof *s->issues);
  char text[900];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  s->issues[s->n_issues++] = (struct hf_issue){.target = hf_strdup(target), .text = hf_strdup(text), .tamper = tamper};
}

char *hf_issue_text(const struct hf_issue *is) { return is->target ? hf_asprintf("target %s: %s", is->target, is->text) : hf_strdup(is->text); }

void hf_session_warn(const struct hf_session *s) {
  for (size_t i = 0; i < s->n_issues; i++) {
    HF_CLEANUP(hf_freep) char *text = hf_issue_text(&s->issues[i]);
    hf_log(HF_LOG_WARNING, "%s", text);
  }
}

#define AHEAD_MAX 100000 /* records that may be missing before one that is looked at */

/* One record name found at one target. */
struct found { uint64_t seq; struct hf_digest digest; size_t target; };
struct listing { struct found *v; size_t n, cap, target; };

static int add_found(void *ctx, const char *key, uint64_t size HF_UNUSED) {
  struct listing *l = ctx;
  struct hf_object_name name;
  hf_key_parse(key, &name);
  if (name.kind != HF_OBJ_RECORD) return 0;
  if (l->n == l->cap) {
    l->cap = l->cap ? l->cap * 2 : 256;
    l->v = hf_realloc(l->v, l->cap * sizeof *l->v);
  }
  l->v[l->n++] = (struct found){name.seq, name.digest, l->target};
  return 0;
}

static int by_seq(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  if (x->seq != y->seq) return x->seq < y->seq ? -1 : 1;
  int c = memcmp(x->digest.b, y->digest.b, HF_SHA256_LEN);
  return c ? c : (x->target < y->target ? -1 : x->target > y->target);
}

int hf_session_remember_head(struct hf_session *s, const char *target, uint64_t seq, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *key = hf_asprintf("target-head:%s", target);
  return hf_state_set_number(s->state, key, (int64_t)seq, err);
}

int hf_session_remembered_head(struct hf_session *s, const char *target, uint64_t *seq, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *key = hf_asprintf("target-head:%s", target);
  int64_t head = 0;
  int r = hf_state_get_number(s->state, key, 0, &head, err);
  *seq = (uint64_t)HF_MAX(head, 0);
  return r;
}

int hf_session_looked_at(struct hf_session *s, const char *target, bool *looked, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *key = hf_asprintf("target-head:%s", target);
  int64_t head = -1;
  int r = hf_state_get_number(s->state, key, -1, &head, err);
  *looked = head >= 0;
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), target) == 0 && !s->chains[i].unreadable) *looked = true;
  }
  return r;
}

#define ADOPTED "adopted-at-record"

int hf_session_adopted_at(struct hf_session *s, uint64_t *seq, struct hf_error *err) {
  int64_t at = 0;
  int r = hf_state_get_number(s->state, ADOPTED, 0, &at, err);
  *seq = (uint64_t)HF_MAX(at, 0);
  return r;
}

int hf_session_set_adopted_at(struct hf_session *s, uint64_t seq, struct hf_error *err) { return hf_state_set_number(s->state, ADOPTED, (int64_t)seq, err); }

int hf_session_head_of(struct hf_session *s, const char *target, uint64_t *seq, struct hf_error *err) {
  int r = hf_session_remembered_head(s, target, seq, err);
  for (size_t i = 0; i < s->n_targets; i++) {
    if (strcmp(hf_target_name(s->targets[i]), target) == 0) *seq = HF_MAX(*seq, s->chains[i].head);
  }
  return r;
}

/* One record that the state does not have, read. */
struct candidate { struct hf_record *rec; struct hf_buf plain; struct hf_digest digest; size_t targets; };

static void candidate_free(struct candidate *c) {
  hf_record_free(c->rec);
  hf_buf_free(&c->plain);
  *c = (struct candidate){.rec = NULL};
}

/* Fetch and check it, but not yet against the record before. */
static int read_one(struct hf_session *s, uint64_t seq, const struct hf_digest *d, struct candidate *out, struct hf_error *err) {
  char key[HF_KEY_MAX], signer[HF_FPR_LEN + 1];
  struct candidate c = {.plain = HF_BUF_INIT, .digest = *d};
  hf_key_record(key, seq, d);
  int r = hf_session_fetch_sealed(s, key, d, &c.plain, signer, err);
  if (r == 0 && (r = hf_record_parse(c.plain.data, c.plain.len, &c.rec, err)) < 0) hf_prefix(err, "%s", key);
  if (r == 0 && c.rec->seq != seq) r = hf_fail(err, HOLDFAST_E_CORRUPT, "%s: says that it is record %llu", key, (unsigned long long)c.rec->seq);
  if (r == 0 && s->repo_id[0] && strcmp(c.rec->repo_id, s->repo_id) != 0) r = hf_fail(err, HOLDFAST_E_CORRUPT, "%s: belongs to another repository (%s)", key, c.rec->repo_id);
  if (r < 0) candidate_free(&c);
  else *out = c;
  return r;
}

static void learn(struct hf_session *s, const struct hf_record *rec) {
  if (!s->repo_id[0]) snprintf(s->repo_id, sizeof s->repo_id, "%s", rec->repo_id);
  for (size_t i = 0; i < rec->host_keys.n; i++) {
    if (!hf_list_has(&s->trusted, rec->host_keys.v[i])) hf_list_add(&s->trusted, rec->host_keys.v[i]);
  }
}

/* Which of several that are all signed and all follow? The outer packets of a message are not signed: who has a target can put copies of a record there, under other digests, without any key. What a record
 * that comes next names as the one before it is signed. Without any it is what most targets hold: what they say is the same. */
static size_t choose(struct hf_session *s, uint64_t seq, struct candidate *c, size_t n, const struct found *next, size_t n_next) {
  for (size_t i = 0; i < n_next; i++) {
    struct candidate after;
    if (i > 0 && hf_digest_eq(&next[i].digest, &next[i - 1].digest)) continue;
    if (read_one(s, seq + 1, &next[i].digest, &after, NULL) < 0) continue;
    size_t k = 0;
    while (k < n && !(strcmp(after.rec->repo_id, c[k].rec->repo_id) == 0 && hf_digest_eq(&after.rec->prev, &c[k].digest))) k++;
    candidate_free(&after);
    if (k < n) return k;
  }
  size_t best = 0;
  for (size_t k = 1; k < n; k++)
    if (c[k].targets > c[best].targets) best = k;
  return best;
}

/* The digest that counts for seq: what the state remembers, else the candidate that can be read and follows. v: what the targets hold of that number, next: of the one behind it. Returns 1 known, 0 none, negative. */
static int settle(struct hf_session *s, uint64_t seq, const struct found *v, size_t n, const struct found *next, size_t n_next, struct hf_record **prev, struct hf_digest *digest, struct hf_error *err) {
  struct hf_digest prev_digest = *digest;
  bool unread = false;
  int r = hf_state_record_get(s->state, seq, digest, NULL, err);
  if (r != 0) {
    hf_record_free(*prev);
    *prev = NULL;
    return r;
  }
  if (*prev && (*prev)->seq + 1 != seq) {
    hf_record_free(*prev);
    *prev = NULL;
  }
  if (!*prev && seq > 1) {
    struct hf_digest d;
    if (hf_session_record(s, seq - 1, prev, &d, NULL) == 0) prev_digest = d;
  }
  struct candidate *good = NULL;
  size_t n_good = 0;
  for (size_t i = 0; r == 0 && i < n; i++) {
    struct candidate c;
    struct hf_error e = {0};
    if (i > 0 && hf_digest_eq(&v[i].digest, &v[i - 1].digest)) continue;
    int k = read_one(s, seq, &v[i].digest, &c, &e);
    if (k == 0 && *prev && (k = hf_chain_check(*prev, &prev_digest, c.rec, &e)) < 0) candidate_free(&c);
    if (k == 0) {
      for (size_t j = i; j < n && hf_digest_eq(&v[j].digest, &v[i].digest); j++) c.targets++;
      good = hf_realloc(good, (n_good + 1) * sizeof *good);
      good[n_good++] = c;
      continue;
    }
    /* Without any key nothing can be read. Where others could be, one that cannot be decrypted is not of this repository's making. */
    bool fatal = k == HOLDFAST_E_CANCELED || k == HOLDFAST_E_NO_SPACE || (k == HOLDFAST_E_AUTH && s->head == 0 && n_good == 0);
    bool tamper = k == HOLDFAST_E_CORRUPT || k == HOLDFAST_E_AUTH;
    if (fatal) {
      r = hf_fail(err, k, "%s", e.msg);
    } else {
      hf_session_issue(s, hf_target_name(s->targets[v[i].target]), tamper, "%s", e.msg);
      if (!tamper) s->issues[s->n_issues - 1].unread = unread = true;
    }
  }
  /* It may be the chain's next one: who holds it is not to be given another of that number. */
  for (size_t i = 0; unread && n_good == 0 && i < n; i++) s->chains[v[i].target].unreadable = true;
  hf_record_free(*prev);
  *prev = NULL;
  if (r == 0 && n_good > 0) {
    struct candidate *c = &good[n_good > 1 ? choose(s, seq, good, n_good, next, n_next) : 0];
    r = hf_state_record_add(s->state, seq, &c->digest, c->plain.data, c->plain.len, err);
    if (r == 0) {
      learn(s, c->rec);
      *prev = c->rec;
      c->rec = NULL;
      *digest = c->digest;
      r = 1;
    }
  }
  for (size_t i = 0; i < n_good; i++) candidate_free(&good[i]);
  free(good);
  return r;
}

static void compare(struct hf_session *s, uint64_t seq, const struct found *v, size_t n, bool known, const struct hf_digest *digest) {
  for (size_t t = 0; t < s->n_targets; t++) {
    if (s->chains[t].unreadable) continue;
    bool has = false;
    for (size_t i = 0; i < n; i++) {
      if (v[i].target != t) continue;
      if (known && hf_digest_eq(&v[i].digest, digest)) {
        has = true;
      } else {
        s->chains[t].foreign++;
        if (known) hf_session_issue(s, hf_target_name(s->targets[t]), true, "holds a record %llu that is not the one of this repository's chain", (unsigned long long)seq);
      }
    }
    if (has) s->chains[t].head = seq;
    else if (known && s->chains[t].missing++ == 0) s->chains[t].first_missing = seq;
  }
}

/* Numbers of which there is no record anywhere. They are gaps once a good record comes behind them. */
struct gaps { struct { uint64_t first, last; } *v; size_t n; };

static void add_gap(struct gaps *g, uint64_t first, uint64_t last) {
  if (g->n > 0 && g->v[g->n - 1].last + 1 == first) {
    g->v[g->n - 1].last = last;
    return;
  }
  if ((g->n & (g->n - 1)) == 0) g->v = hf_realloc(g->v, (g->n ? g->n * 2 : 1) * sizeof *g->v);
  g->v[g->n].first = first;
  g->v[g->n++].last = last;
}

static void tell_gaps(struct hf_session *s, struct gaps *g) {
  for (size_t i = 0; i < g->n; i++) {
    unsigned long long first = g->v[i].first, last = g->v[i].last;
    if (first == last) hf_session_issue(s, NULL, true, "record %llu is missing everywhere: the chain has a gap", first);
    else hf_session_issue(s, NULL, true, "records %llu to %llu are missing everywhere: the chain has a gap", first, last);
  }
  g->n = 0;
}

int hf_session_chain(struct hf_session *s, struct hf_error *err) {
  struct listing l = {0};
  size_t readable = 0;
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    l.target = i;
    s->chains[i] = (struct hf_target_chain){0};
    size_t before = l.n;
    if (hf_target_list(s->targets[i], "records/", add_found, &l, &e) < 0) {
      l.n = before;
      s->chains[i].unreadable = true;
      hf_log(HF_LOG_ERROR, "%s", e.msg);
    } else {
      readable++;
    }
  }
  if (readable == 0) {
    free(l.v);
    return hf_fail(err, HOLDFAST_E_FAILED, "the records could be listed at no target");
  }
  /* With no key that can be trusted all records would look bad, one by one. */
  struct hf_gpg *reader;
  int can = l.n && !s->host ? hf_session_reader(s, &reader, err) : 0;
  if (can < 0) {
    free(l.v);
    return can;
  }
  if (l.n) qsort(l.v, l.n, sizeof *l.v, by_seq);
  uint64_t remembered = hf_state_record_max(s->state);

  int r = 0;
  struct hf_record *prev = NULL;
  struct hf_digest digest = {{0}};
  struct gaps gaps = {.v = NULL};
  size_t i = 0;
  s->head = 0;
  while (i < l.n && l.v[i].seq == 0) i++;
  for (uint64_t seq = 1; seq <= remembered || i < l.n; seq++) {
    /* A name is quickly made, and a number in it proves nothing: beyond what is remembered only those are looked at that are there. */
    if (seq > remembered && l.v[i].seq > seq) {
      add_gap(&gaps, seq, l.v[i].seq - 1);
      seq = l.v[i].seq;
    }
    if (seq > HF_MAX(s->head, remembered) + AHEAD_MAX) {
      for (size_t t = 0; t < s->n_targets; t++) {
        size_t k = i;
        while (k < l.n && l.v[k].target != t) k++;
        if (k < l.n) hf_session_issue(s, hf_target_name(s->targets[t]), true, "holds a record %llu, which is too far from the newest, %llu", (unsigned long long)l.v[k].seq, (unsigned long long)s->head);
      }
      break;
    }
    size_t from = i, next;
    while (i < l.n && l.v[i].seq == seq) i++;
    for (next = i; next < l.n && l.v[next].seq == seq + 1; next++) continue;
    r = settle(s, seq, l.v + from, i - from, l.v + i, next - i, &prev, &digest, err);
    if (r < 0) break;
    bool known = r == 1;
    r = 0;
    if (known) {
      s->head = seq;
      tell_gaps(s, &gaps);
    } else if (i == from) {
      add_gap(&gaps, seq, seq);
    }
    compare(s, seq, l.v + from, i - from, known, &digest);
  }
  free(gaps.v);
  hf_record_free(prev);
  free(l.v);
  if (r == 0 && s->lock && s->host_key[0]) r = hf_intent_resume(s, err);
  if (r < 0) return r;
  for (size_t t = 0; t < s->n_targets; t++) {
    const struct hf_target_chain *c = &s->chains[t];
    uint64_t had = 0;
    if (c->unreadable) continue;
    if (c->missing == 0) {
      /* Also what was put there by a run that did not live to remember it, or by sync. */
      if ((r = s->lock ? hf_session_remember_head(s, hf_target_name(s->targets[t]), s->head, err) : 0) < 0) return r;
      continue;
    }
    if ((r = hf_session_remembered_head(s, hf_target_name(s->targets[t]), &had, err)) < 0) return r;
    bool taken = c->first_missing <= had;
    /* Also that it is behind: what it has need not have been put there by a run that this state remembers. */
    if (s->lock && !taken && (r = hf_session_remember_head(s, hf_target_name(s->targets[t]), c->first_missing - 1, err)) < 0) return r;
    hf_session_issue(s, hf_target_name(s->targets[t]), taken, "%s: its newest record is %llu of %llu, %llu are missing%s", taken ? "was rolled back, or records were taken away" : "is behind", (unsigned long long)c->head,
                     (unsigned long long)s->head, (unsigned long long)c->missing, taken ? "" : "; holdfast sync brings it level");
  }
  return hf_state_commit(s->state, err);
}

int hf_session_record(struct hf_session *s, uint64_t seq, struct hf_record **out, struct hf_digest *digest, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf json = HF_BUF_INIT;
  int r = hf_state_record_get(s->state, seq, digest, &json, err);
  if (r < 0) return r;
  if (r == 0) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no record %llu", (unsigned long long)seq);
  struct hf_record *rec = NULL;
  r = hf_record_parse(json.data, json.len, &rec, err);
  if (r == 0) r = hf_session_compacted(s, rec, err);
  if (r < 0) hf_record_free(rec);
  else *out = rec;
  return r;
}

int hf_session_secret(struct hf_session *s, const struct hf_digest *object, struct hf_error *err) {
  if (s->have_secret) return 0;
  char key[HF_KEY_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF_INIT;
  hf_key_secret(key, object);
  int r = hf_session_fetch_sealed(s, key, object, &plain, NULL, err);
  if (r == 0) r = hf_secret_parse(plain.data, plain.len, &s->secret, err);
  if (plain.data) hf_wipe(plain.data, plain.len);
  if (r < 0) return r;
  if (strcmp(s->secret.repo_id, s->repo_id) != 0) return hf_fail(err, HOLDFAST_E_CORRUPT, "%s: is the secret of another repository (%s)", key, s->secret.repo_id);
  s->have_secret = true;
  return 0;
}

/* ---- indexes into the catalogue ---- */

/* wanted: a bit per ordinal, those that are needed and not known yet. The others are not learnt: they may be gone, and what was in them may have been stored again elsewhere. */
struct loading { struct hf_session *s; int64_t index_row, pack_row; uint64_t packs; bool skip; unsigned char *wanted; size_t n_wanted; };

static int want(void *ctx, uint64_t ordinal) {
  struct loading *l = ctx;
  int r = l->index_row ? hf_state_index_knows(l->s->state, l->index_row, ordinal, NULL) : 0;
  if (r != 0) return r < 0 ? r : 0;
  if (ordinal / 8 >= l->n_wanted) {
    size_t n = (size_t)ordinal / 4 + 64;
    l->wanted = hf_realloc(l->wanted, n);
    memset(l->wanted + l->n_wanted, 0, n - l->n_wanted);
    l->n_wanted = n;
  }
  l->wanted[ordinal / 8] |= (unsigned char)(1u << (ordinal % 8));
  return 0;
}

static int load_pack(void *ctx, size_t ordinal, const struct hf_index_pack *p, struct hf_error *err) {
  struct loading *l = ctx;
  struct hf_state *st = l->s->state;
  l->packs = ordinal + 1;
  l->skip = ordinal / 8 >= l->n_wanted || !(l->wanted[ordinal / 8] >> (ordinal % 8) & 1);
  if (l->skip) return 0;
  int r = hf_state_pack_find(st, &p->digest, NULL, err);
  l->skip = r != 0;
  if (r != 0) return r < 0 ? r : 0;
  r = hf_state_pack_begin(st, (int)p->kind, p->source, p->audience, &l->pack_row, err);
  if (r == 0) r = hf_state_pack_sealed(st, l->pack_row, &p->digest, p->stored, p->raw, err);
  if (r == 0) r = hf_state_pack_indexed(st, l->pack_row, l->index_row, ordinal, err);
  return r;
}

static int load_chunk(void *ctx, const struct hf_chunk_ref *c, struct hf_error *err) {
  struct loading *l = ctx;
  return l->skip ? 0 : hf_state_chunk_add(l->s->state, &c->id, l->pack_row, c->offset, c->length, err);
}

/* What the record needs of one index. */
static int load_index(struct loading *l, const struct hf_record_index *x, struct hf_error *err) {
  struct hf_state *st = l->s->state;
  uint64_t packs = 0, known = 0;
  int r = hf_state_index_find(st, &x->sha256, &l->index_row, &packs, err);
  if (r < 0) return r;
  if (r == 1 && ((r = hf_state_index_known(st, l->index_row, &known, err)) < 0 || known == packs)) return r < 0 ? r : 0;
  r = hf_ranges_each(x->packs, want, l, err);
  if (r < 0 || l->n_wanted == 0) return r;

  char key[HF_KEY_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf packed = HF_BUF_INIT, text = HF_BUF_INIT;
  hf_key_index(key, &x->sha256);
  r = hf_session_fetch_sealed(l->s, key, &x->sha256, &packed, NULL, err);
  if (r == 0) r = hf_zstd_decompress(packed.data, packed.len, HF_META_MAX, &text, err);
  if (r == 0 && l->index_row == 0) r = hf_state_index_add(st, &x->sha256, 0, &l->index_row, err);
  struct hf_index_sink sink = {.ctx = l, .pack = load_pack, .chunk = load_chunk};
  if (r == 0) r = hf_index_parse(text.data, text.len, l->s->repo_id, &sink, err);
  if (r == 0) r = hf_state_index_size(st, l->index_row, l->packs, err);
  if (r == 0) return hf_state_commit(st, err);
  hf_prefix(err, "%s", key);
  hf_state_rollback(st, NULL);
  return r;
}

int hf_session_load_indexes(struct hf_session *s, const struct hf_record *rec, struct hf_error *err) {
  int r = hf_session_forget_replaced(s, err);
  for (size_t i = 0; r == 0 && i < rec->n_indexes; i++) {
    struct loading l = {.s = s};
    r = load_index(&l, &rec->indexes[i], err);
    free(l.wanted);
  }
  return r;
}
