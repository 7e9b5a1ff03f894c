/* tar.c - the headers of one tar entry: pax extended header where it is needed, ustar header, sparse map.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/tar_internal.h"

/* IEEE Std 1003.1, "ustar Interchange Format". */
struct ustar {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag, linkname[100];
  char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == HF_TAR_BLOCK, "a tar header is one block");

#define SPARSE_MAP_MAX (HF_TAR_HEAD_MAX / 2)
#define SPARSE_PREFIX "GNUSparseFile.0/"

static const char typeflags[] = {
    [HOLDFAST_FILE] = '0', [HOLDFAST_DIR] = '5',  [HOLDFAST_SYMLINK] = '2', [HOLDFAST_HARDLINK] = '1',
    [HOLDFAST_FIFO] = '6', [HOLDFAST_CHAR] = '3', [HOLDFAST_BLOCK] = '4'};

/* Zero-padded digits and a NUL fill the field. */
static void octal(char *field, size_t n, uint64_t v) {
  field[n - 1] = 0;
  for (size_t i = n - 1; i > 0; i--, v >>= 3) field[i - 1] = (char)('0' + (v & 7));
}

static void checksum(struct ustar *h) {
  memset(h->chksum, ' ', sizeof h->chksum);
  const unsigned char *p = (const unsigned char *)h;
  uint32_t sum = 0;
  for (size_t i = 0; i < HF_TAR_BLOCK; i++) sum += p[i];
  octal(h->chksum, 7, sum);
}

static void begin(struct ustar *h, char typeflag) {
  memset(h, 0, sizeof *h);
  h->typeflag = typeflag;
  memcpy(h->magic, "ustar", 6);
  memcpy(h->version, "00", 2);
}

/* The field, or the pax record when the field is too small. */
static void number(struct hf_buf *pax, char *field, size_t n, uint64_t v, const char *key) {
  if (v > HF_OCTAL_MAX(n)) {
    hf_pax_number(pax, key, v);
    v = 0;
  }
  octal(field, n, v);
}

static void text(struct hf_buf *pax, char *field, size_t cap, const char *s, const char *key) {
  size_t n = strlen(s);
  if (n > cap) hf_pax_record(pax, key, s, n);
  memcpy(field, s, HF_MIN(n, cap));
}

/* Path into name, or prefix and name, or cut and whole in the extended header. Bytes beyond ASCII stand for themselves in the
 * header's own fields, as every tar does it; only where a record is needed anyway must its character set be said. */
static void path(struct hf_buf *pax, struct ustar *h, const char *p, size_t n, bool dir) {
  size_t whole = n + dir; /* with the slash behind a folder's name */
  if (whole <= sizeof h->name) {
    memcpy(h->name, p, n);
    if (dir) h->name[n] = '/';
    return;
  }
  /* The first slash that leaves a name short enough. */
  size_t from = whole - sizeof h->name - 1;
  const char *slash = memchr(p + from, '/', n - from);
  size_t head = slash ? (size_t)(slash - p) : 0;
  if (slash && head > 0 && head <= sizeof h->prefix && head + 1 < n) {
    memcpy(h->prefix, p, head);
    memcpy(h->name, slash + 1, n - head - 1);
    if (dir) h->name[n - head - 1] = '/';
    return;
  }
  memcpy(h->name, p, sizeof h->name - 1);
  if (dir) h->name[sizeof h->name - 1] = '/';
  struct hf_buf value = HF_BUF_INIT;
  hf_buf_add(&value, p, n);
  if (dir) hf_buf_addc(&value, '/');
  hf_pax_record(pax, "path", value.data, value.len);
  hf_buf_free(&value);
}

/* GNU sparse format 1.0: the real name is in a record, the header has a stand-in. */
static void sparse_path(struct hf_buf *pax, struct ustar *h, const struct holdfast_entry *e) {
  size_t n = strlen(e->path), room = sizeof h->name - strlen(SPARSE_PREFIX);
  const char *slash = memrchr(e->path, '/', n);
  const char *base = slash ? slash + 1 : e->path;
  memcpy(h->name, SPARSE_PREFIX, strlen(SPARSE_PREFIX));
  memcpy(h->name + strlen(SPARSE_PREFIX), base, HF_MIN(strlen(base), room));
  hf_pax_number(pax, "GNU.sparse.major", 1);
  hf_pax_number(pax, "GNU.sparse.minor", 0);
  hf_pax_record(pax, "GNU.sparse.name", e->path, n);
  hf_pax_number(pax, "GNU.sparse.realsize", e->size);
}

/* The map's text, padded to a block, and the sum of the extents. Readers expect each run of data to begin on a block, so
 * every run but the last must be whole blocks. */
static int sparse_map(struct hf_buf *map, const struct holdfast_entry *e, uint64_t *sum, struct hf_error *err) {
  uint64_t at = 0, total = 0;
  /* Two digits and two newlines a row, at the least. */
  if (e->n_extents > SPARSE_MAP_MAX / 4)
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "%llu runs of data are too many for a sparse map",
                   (unsigned long long)e->n_extents);
  bool open_end = e->n_extents == 0 || e->extents[e->n_extents - 1].offset + e->extents[e->n_extents - 1].length < e->size;
  hf_buf_addf(map, "%llu\n", (unsigned long long)(e->n_extents + open_end));
  for (uint64_t i = 0; i < e->n_extents; i++) {
    const struct holdfast_extent *x = &e->extents[i];
    if (x->length == 0 || x->offset < at || x->offset > e->size || x->length > e->size - x->offset)
      return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the map of a sparse file makes no sense");
    if (i + 1 < e->n_extents && x->length % HF_TAR_BLOCK != 0)
      return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "a sparse file whose data is not in whole blocks");
    at = x->offset + x->length;
    total += x->length;
    hf_buf_addf(map, "%llu\n%llu\n", (unsigned long long)x->offset, (unsigned long long)x->length);
    if (map->len > SPARSE_MAP_MAX) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the map of a sparse file is too long");
  }
  /* An empty run at the end gives the file its length. */
  if (open_end) hf_buf_addf(map, "%llu\n0\n", (unsigned long long)e->size);
  static const char zeros[HF_TAR_BLOCK];
  hf_buf_add(map, zeros, hf_tar_pad(map->len));
  *sum = total;
  return 0;
}

static bool is_ascii(const char *s) {
  for (; s && *s; s++)
    if ((unsigned char)*s >= 0x80) return false;
  return true;
}

static bool is_utf8(const char *s) {
  for (const unsigned char *p = (const unsigned char *)s; p && *p;) {
    int more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : *p >= 0xe0 && *p < 0xf0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : -1;
    if (more < 0) return false;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
      return false;
    for (p++; more > 0; more--, p++)
      if ((*p & 0xc0) != 0x80) return false;
  }
  return true;
}

static bool has_key(const struct hf_buf *pax, const char *key) {
  return pax->len > 0 && memmem(pax->data, pax->len, key, strlen(key)) != NULL;
}

/* Records are UTF-8 unless the header says otherwise: names that are not must say so. Called before xattrs go in, whose
 * values may hold anything. */
static void charset(struct hf_buf *pax, const struct holdfast_entry *e) {
  bool names = has_key(pax, " path=") || has_key(pax, " GNU.sparse.name=") || has_key(pax, " linkpath=");
  if (!names || (is_ascii(e->path) && is_ascii(e->link))) return;
  if (is_utf8(e->path) && is_utf8(e->link)) return;
  struct hf_buf first = HF_BUF_INIT;
  hf_pax_record(&first, "hdrcharset", "BINARY", 6);
  hf_buf_add(&first, pax->data, pax->len);
  hf_buf_clear(pax);
  hf_buf_add(pax, first.data, first.len);
  hf_buf_free(&first);
}

/* The extended header's own header, the records, and zeros up to a block. */
static void add_extended(struct hf_buf *b, const struct hf_buf *pax) {
  static const char zeros[HF_TAR_BLOCK];
  struct ustar h;
  begin(&h, 'x');
  memcpy(h.name, "PaxHeader", 9);
  octal(h.mode, sizeof h.mode, 0600);
  octal(h.uid, sizeof h.uid, 0);
  octal(h.gid, sizeof h.gid, 0);
  octal(h.size, sizeof h.size, pax->len);
  octal(h.mtime, sizeof h.mtime, 0);
  checksum(&h);
  hf_buf_add(b, &h, sizeof h);
  hf_buf_add(b, pax->data, pax->len);
  hf_buf_add(b, zeros, hf_tar_pad(pax->len));
}

static int check(const struct holdfast_entry *e, struct hf_error *err) {
  if (e->kind < HOLDFAST_FILE || e->kind > HOLDFAST_BLOCK)
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "no tar entry can be made of this kind of thing");
  if ((e->kind == HOLDFAST_SYMLINK || e->kind == HOLDFAST_HARDLINK) && (!e->link || !e->link[0]))
    return hf_fail(err, HOLDFAST_E_FAILED, "a link without its target");
  if (e->rdev_major > HF_OCTAL_MAX(8) || e->rdev_minor > HF_OCTAL_MAX(8))
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "a device number too large for tar");
  if (e->mtime_nsec > 999999999) return hf_fail(err, HOLDFAST_E_FAILED, "a time with more than 999999999 nanoseconds");
  if (e->kind == HOLDFAST_FILE && e->size > INT64_MAX / 2)
    return hf_fail(err, HOLDFAST_E_FAILED, "a file of %llu bytes", (unsigned long long)e->size);
  return 0;
}

/* All of the header but the checksum; what does not fit goes to pax. stored: bytes that follow it, the sparse map included. */
static void fill(struct ustar *h, struct hf_buf *pax, const struct holdfast_entry *e, bool sparse, uint64_t stored) {
  begin(h, typeflags[e->kind]);
  if (sparse)
    sparse_path(pax, h, e);
  else
    path(pax, h, e->path, strlen(e->path), e->kind == HOLDFAST_DIR);
  if (e->kind == HOLDFAST_SYMLINK || e->kind == HOLDFAST_HARDLINK)
    text(pax, h->linkname, sizeof h->linkname, e->link, "linkpath");
  charset(pax, e);
  octal(h->mode, sizeof h->mode, e->mode & 07777);
  number(pax, h->uid, sizeof h->uid, e->uid, "uid");
  number(pax, h->gid, sizeof h->gid, e->gid, "gid");
  number(pax, h->size, sizeof h->size, stored, "size");
  bool plain = e->mtime >= 0 && (uint64_t)e->mtime <= HF_OCTAL_MAX(sizeof h->mtime);
  octal(h->mtime, sizeof h->mtime, plain ? (uint64_t)e->mtime : 0);
  if (!plain || e->mtime_nsec > 0) hf_pax_time(pax, "mtime", e->mtime, e->mtime_nsec);
  /* These fields end in a NUL, names do not. */
  if (e->user) text(pax, h->uname, sizeof h->uname - 1, e->user, "uname");
  if (e->group) text(pax, h->gname, sizeof h->gname - 1, e->group, "gname");
  bool device = e->kind == HOLDFAST_CHAR || e->kind == HOLDFAST_BLOCK;
  octal(h->devmajor, sizeof h->devmajor, device ? e->rdev_major : 0);
  octal(h->devminor, sizeof h->devminor, device ? e->rdev_minor : 0);
  hf_pax_xattrs(pax, e);
}

int hf_tar_head(struct hf_buf *b, const struct holdfast_entry *e, uint64_t *data, struct hf_error *err) {
  struct hf_buf map = HF_BUF_INIT, pax = HF_BUF_INIT;
  struct ustar h;
  uint64_t bytes = e->kind == HOLDFAST_FILE ? e->size : 0;
  bool sparse = e->kind == HOLDFAST_FILE && e->extents && e->size > 0;
  int rc = check(e, err);
  if (rc == 0 && sparse) rc = sparse_map(&map, e, &bytes, err);
  if (rc == 0) {
    fill(&h, &pax, e, sparse, bytes + map.len);
    if (2 * HF_TAR_BLOCK + pax.len + hf_tar_pad(pax.len) + map.len > HF_TAR_HEAD_MAX)
      rc = hf_fail(err, HOLDFAST_E_UNSUPPORTED, "more metadata (extended attributes, names) than fits into a tar header");
  }
  if (rc == 0) {
    if (pax.len > 0) add_extended(b, &pax);
    checksum(&h);
    hf_buf_add(b, &h, sizeof h);
    hf_buf_add(b, map.data, map.len);
    *data = bytes;
  }
  hf_buf_free(&map);
  hf_buf_free(&pax);
  return rc;
}
