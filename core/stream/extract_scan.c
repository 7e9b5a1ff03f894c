/* extract_scan.c - a first look at the tar bytes of a slice: where entries begin, whether the last has its data, names kept as bytes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A pax header says of its names that they are UTF-8 unless it has hdrcharset=BINARY. libarchive takes that at its word: it converts names to the locale's character set, composes what is decomposed, and so gives
 * a file a name other than the one it had. Writers, GNU tar and this program's own, put bytes there as they are. So a header with bytes beyond ASCII in a name is given to libarchive with hdrcharset=BINARY in front.
 *
 * And a time before 1970 with a fraction, which libarchive takes for one that is up to two seconds later, is read here.
 */
#include "stream/extract_internal.h"

#include "stream/tar.h"

static const char binary[] = "21 hdrcharset=BINARY\n";
#define BINARY_N (sizeof binary - 1)

static size_t round_up(uint64_t n) { return (size_t)((n + HF_TAR_BLOCK - 1) & ~(uint64_t)(HF_TAR_BLOCK - 1)); }

static void piece(struct hf_xscan *s, bool patched, size_t at, size_t n) {
  if (n == 0) return;
  struct hf_xpiece *last = s->n_pieces ? &s->pieces[s->n_pieces - 1] : NULL;
  if (last && last->patched == patched && last->at + last->n == at) {
    last->n += n;
    return;
  }
  if (s->n_pieces == s->cap_pieces) {
    s->cap_pieces = s->cap_pieces ? 2 * s->cap_pieces : 64;
    s->pieces = hf_realloc(s->pieces, s->cap_pieces * sizeof *s->pieces);
  }
  s->pieces[s->n_pieces++] = (struct hf_xpiece){patched, at, n};
}

static void entry(struct hf_xscan *s, size_t at) {
  if (s->n_entries + 1 >= s->cap_entries) {
    s->cap_entries = s->cap_entries ? 2 * s->cap_entries : 256;
    s->starts = hf_realloc(s->starts, s->cap_entries * sizeof *s->starts);
  }
  s->starts[s->n_entries++] = at;
}

/* A number field: octal, or binary when the first bit is set. False for what fits no size of a slice or file. */
static bool number(const unsigned char *p, size_t n, uint64_t *out) {
  uint64_t v = 0;
  if (p[0] & 0x80) {
    if (p[0] & 0x7f) return false;
    for (size_t i = 1; i < n; i++) {
      if (v >> 55) return false;
      v = v << 8 | p[i];
    }
  } else {
    size_t i = 0;
    while (i < n && p[i] == ' ') i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) v = v << 3 | (uint64_t)(p[i] - '0');
    if (i < n && p[i] != ' ' && p[i] != 0) return false;
    if (v >> 62) return false;
  }
  *out = v;
  return true;
}

struct pax {
  bool size_set, sparse, bytes, charset, early;
  uint64_t size;
  int64_t mtime;
  uint32_t mtime_nsec;
};

static bool is(const char *key, size_t n, const char *name) { return n == strlen(name) && memcmp(key, name, n) == 0; }

/* "-SECONDS.FRACTION" as the seconds below and the nanoseconds from there on. */
static void early_time(const char *p, const char *end, struct pax *out) {
  int64_t s = 0;
  uint32_t ns = 0, unit = 100000000;
  for (p++; p < end && *p >= '0' && *p <= '9' && s < INT64_MAX / 20; p++) s = 10 * s + (*p - '0');
  if (p < end && *p == '.')
    for (p++; p < end && *p >= '0' && *p <= '9'; p++, unit /= 10) ns += unit * (uint32_t)(*p - '0');
  if (p != end) return;
  out->early = true;
  out->mtime = ns ? -s - 1 : -s;
  out->mtime_nsec = ns ? 1000000000u - ns : 0;
}

/* The records of a pax header, as far as they matter here. Stops at the first one that is malformed. */
static void look(const char *p, size_t n, struct pax *out) {
  while (n > 0) {
    size_t len = 0, i = 0;
    for (; i < n && i < 9 && p[i] >= '0' && p[i] <= '9'; i++) len = 10 * len + (size_t)(p[i] - '0');
    if (i == 0 || i >= n || p[i] != ' ' || len > n || len < i + 3 || p[len - 1] != '\n') return;
    const char *key = p + i + 1, *end = p + len - 1, *eq = memchr(key, '=', (size_t)(end - key));
    if (!eq) return;
    size_t key_n = (size_t)(eq - key);
    const char *value = eq + 1;
    if (is(key, key_n, "size")) {
      out->size = 0;
      out->size_set = true;
      for (; value < end && *value >= '0' && *value <= '9' && out->size < UINT64_MAX / 20; value++) out->size = 10 * out->size + (uint64_t)(*value - '0');
    } else if (is(key, key_n, "path") || is(key, key_n, "linkpath") || is(key, key_n, "uname") || is(key, key_n, "gname") || is(key, key_n, "GNU.sparse.name")) {
      for (; value < end && !out->bytes; value++) out->bytes = (unsigned char)*value >= 0x80;
    } else if (is(key, key_n, "mtime")) {
      if (value < end && *value == '-') early_time(value, end, out);
    } else if (is(key, key_n, "hdrcharset")) {
      out->charset = true;
    } else if (key_n > 11 && memcmp(key, "GNU.sparse.", 11) == 0) {
      out->sparse = true;
    }
    p += len;
    n -= len;
  }
}

static void put_octal(char *p, size_t n, uint64_t v) {
  p[n - 1] = 0;
  for (size_t i = n - 1; i-- > 0; v >>= 3) p[i] = (char)('0' + (v & 7));
}

static uint64_t sum(const char *p, size_t n) {
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v += (unsigned char)p[i];
  return v;
}

/* The extended header at head, with its body of n bytes, into the patch buffer with the record in front. */
static void patch(struct hf_xscan *s, const char *head, uint64_t n) {
  uint64_t check;
  size_t at = s->patch.len, body = BINARY_N + (size_t)n;
  if (!number((const unsigned char *)head + 148, 8, &check)) check = 0;
  hf_buf_add(&s->patch, head, HF_TAR_BLOCK);
  char *h = s->patch.data + at;
  put_octal(h + 124, 12, body);
  /* By the difference, so that a header whose checksum was wrong stays wrong. */
  check += sum(h + 124, 12) - sum(head + 124, 12);
  put_octal(h + 148, 7, check);
  h[155] = ' ';
  hf_buf_add(&s->patch, binary, BINARY_N);
  hf_buf_add(&s->patch, head + HF_TAR_BLOCK, (size_t)n);
  size_t fill = round_up(body) - body;
  hf_buf_reserve(&s->patch, fill);
  memset(s->patch.data + s->patch.len, 0, fill + 1);
  s->patch.len += fill;
  piece(s, true, at, s->patch.len - at);
}

int hf_xscan(struct hf_xscan *s, const void *tar, size_t n, struct hf_error *err) {
  const char *t = tar;
  s->tar = tar;
  s->n_pieces = s->n_entries = s->n_early = s->next = 0;
  s->open = s->sparse = false;
  hf_buf_clear(&s->patch);
  size_t at = 0;
  while (at < n) {
    if (n - at < HF_TAR_BLOCK) return hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes end within a header");
    if (t[at] == 0 && t[at + 148] == 0) break; /* the end of an archive */
    entry(s, at);
    struct pax pax = {0};
    for (;;) {
      const char *h = t + at;
      uint64_t size;
      if (n - at < HF_TAR_BLOCK) return hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes end within the headers of an entry");
      if (!number((const unsigned char *)h + 124, 12, &size)) return hf_fail(err, HOLDFAST_E_CORRUPT, "a tar header has no valid size");
      char type = h[156];
      bool extends = type == 'x' || type == 'g' || type == 'X' || type == 'L' || type == 'K';
      if (extends) {
        if (size > n - at - HF_TAR_BLOCK || round_up(size) > n - at - HF_TAR_BLOCK)
          return hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes end within the headers of an entry");
        struct pax here = {0};
        if (type == 'x') look(h + HF_TAR_BLOCK, (size_t)size, &here);
        if (here.bytes && !here.charset)
          patch(s, h, size);
        else
          piece(s, false, at, HF_TAR_BLOCK + round_up(size));
        if (type == 'x') pax = here;
        at += HF_TAR_BLOCK + round_up(size);
        continue;
      }
      if (pax.size_set) size = pax.size;
      if (pax.early) {
        if (s->n_early == s->cap_early) {
          s->cap_early = s->cap_early ? 2 * s->cap_early : 16;
          s->early = hf_realloc(s->early, s->cap_early * sizeof *s->early);
        }
        s->early[s->n_early++] = (struct hf_xearly){s->n_entries - 1, pax.mtime, pax.mtime_nsec};
      }
      if (type >= '2' && type <= '6') size = 0;
      piece(s, false, at, HF_TAR_BLOCK);
      at += HF_TAR_BLOCK;
      size_t left = n - at;
      if (size <= left && round_up(size) <= left) {
        piece(s, false, at, round_up(size));
        at += round_up(size);
        break;
      }
      /* Data that is not all here: only of the last entry, and then only the map of a sparse file. */
      if (left > 0 && !pax.sparse) return hf_fail(err, HOLDFAST_E_CORRUPT, "the tar bytes end within the data of an entry");
      piece(s, false, at, left);
      s->open = true;
      s->sparse = pax.sparse;
      at = n;
      break;
    }
  }
  entry(s, at);
  s->n_entries--;
  return 0;
}

const struct hf_xearly *hf_xscan_early(const struct hf_xscan *s, size_t which) {
  size_t low = 0, high = s->n_early;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (s->early[mid].entry < which)
      low = mid + 1;
    else
      high = mid;
  }
  return low < s->n_early && s->early[low].entry == which ? &s->early[low] : NULL;
}

la_ssize_t hf_xscan_read(struct archive *a, void *ctx, const void **p) {
  struct hf_xscan *s = ctx;
  (void)a;
  if (s->next == s->n_pieces) return 0;
  const struct hf_xpiece *q = &s->pieces[s->next++];
  *p = (q->patched ? s->patch.data : s->tar) + q->at;
  return (la_ssize_t)q->n;
}

void hf_xscan_free(struct hf_xscan *s) {
  free(s->pieces);
  free(s->starts);
  free(s->early);
  hf_buf_free(&s->patch);
}
