/* cat.c - one stream or one file of a snapshot to a descriptor.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/browse.h"
#include "stream/tar.h"

#define BLOCK (256u * 1024)

static const struct hf_record_stream *tree_of(const struct hf_record_source *rs) {
  for (size_t i = 0; i < rs->n_streams; i++) {
    if (strcmp(rs->streams[i].format, "tar") == 0) return &rs->streams[i];
  }
  return NULL;
}

int hf_cat_resolve(const struct hf_record_source *rs, const char *what, const struct hf_record_stream **stream, const char **path,
                   struct hf_error *err) {
  const struct hf_record_stream *found = NULL;
  if (rs->n_streams == 0)
    return hf_fail(err, HOLDFAST_E_NOT_FOUND, "source %s failed in this snapshot (%s): there is nothing of it", rs->name,
                   rs->error ? rs->error : "no data");
  if (!what && rs->n_streams == 1) found = &rs->streams[0];
  for (size_t i = 0; what && !found && i < rs->n_streams; i++) {
    if (strcmp(rs->streams[i].name, what) == 0) found = &rs->streams[i];
  }
  *path = NULL;
  if (!found && what && (found = tree_of(rs))) {
    while (*what == '/') what++;
    *path = what;
  }
  if (!found) {
    struct hf_buf names = HF_BUF_INIT;
    for (size_t i = 0; i < rs->n_streams; i++) hf_buf_addf(&names, "%s%s", i ? ", " : "", rs->streams[i].name);
    if (what)
      hf_fail(err, HOLDFAST_E_NOT_FOUND, "source %s has no stream %s; it has %s", rs->name, what, names.data);
    else
      hf_fail(err, HOLDFAST_E_USAGE, "source %s has several streams: say which of %s", rs->name, names.data);
    hf_buf_free(&names);
    return what ? HOLDFAST_E_NOT_FOUND : HOLDFAST_E_USAGE;
  }
  *stream = found;
  return 0;
}

/* ---- a whole stream ---- */

/* Read the file from its start: into the digest, or to fd. */
static int pass(int from, int to, struct hf_sha256 *sha, uint64_t *size, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *block = hf_alloc(BLOCK);
  if (lseek(from, 0, SEEK_SET) < 0) return hf_fail_errno(err, errno, "cannot rewind a temporary file");
  *size = 0;
  for (;;) {
    ssize_t n = hf_read_full(from, block, BLOCK, err);
    if (n <= 0) return (int)n;
    if (hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
    *size += (uint64_t)n;
    if (sha) hf_sha256_update(sha, block, (size_t)n);
    if (to >= 0) {
      int r = hf_write_all(to, block, (size_t)n, err);
      if (r < 0) return hf_prefix(err, "standard output");
    }
  }
}

static int check_sum(int fd, const struct hf_record_stream *st, struct hf_error *err) {
  struct hf_digest got;
  char hex[HF_SHA256_HEX];
  uint64_t size;
  if (!st->sha256[0]) return 0;
  struct hf_sha256 *sha = hf_sha256_new();
  int r = pass(fd, -1, sha, &size, err);
  hf_sha256_final(sha, &got);
  hf_sha256_free(sha);
  hf_digest_hex(&got, hex);
  if (r == 0 && (size != st->size || strcmp(hex, st->sha256) != 0))
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "stream %s: its digest is not the one that the record names", st->name);
  return r;
}

static int cat_stream(struct hf_reading *rd, const struct hf_record_stream *st, const struct hf_mapped *recipe, int out,
                      struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = hf_reading_temp(rd, err);
  uint64_t lost = 0, size = 0;
  if (fd < 0) return fd;
  int r = hf_reading_assemble(rd, recipe, fd, &lost, err);
  if (r == 0 && lost > 0)
    r = hf_fail(err, HOLDFAST_E_CORRUPT, "%llu chunks of stream %s are lost: nothing was written", (unsigned long long)lost,
                st->name);
  if (r == 0) r = check_sum(fd, st, err);
  if (r == 0) r = pass(fd, out, NULL, &size, err);
  return r;
}

/* ---- one file ---- */

/* Where a file's bytes are: its headers (and small data) in head, then its slices. */
struct found {
  struct hf_recipe_entry e;
  struct hf_buf link;
  struct hf_slice head;
  bool is;
};

/* Look for path; when plan is given, want its slices. */
static int look(const struct hf_mapped *recipe, const char *path, size_t n, struct hf_plan *plan, struct found *f,
                struct hf_error *err) {
  struct hf_recipe_reader rr;
  struct hf_slice s, head = {0};
  struct hf_recipe_entry e;
  HF_CLEANUP(hf_buf_free) struct hf_buf want = HF_BUF_INIT;
  uint64_t dest = 0;
  int t, r = hf_recipe_open(&rr, recipe->p, recipe->n, err);
  f->is = false;
  hf_escape(&want, path, n);
  while (r == 0 && (t = hf_recipe_next(&rr, &s, &e, err)) != 0) {
    if (t < 0) return t;
    if (t == HF_RL_SLICE && f->is) {
      if (dest - f->e.span >= f->e.tail) return 0;
      struct hf_piece piece = {.slice = s, .dest = dest};
      dest += s.length;
      if (plan) r = hf_plan_add(plan, &piece, err);
    } else if (t == HF_RL_SLICE) {
      head = s;
    } else if (f->is) {
      return 0;
    } else if (e.path_n == want.len && memcmp(e.path, want.data, want.len) == 0) {
      f->is = true;
      f->e = e;
      f->head = head;
      dest = e.span;
      hf_buf_clear(&f->link);
      if (e.link) r = hf_unescape(&f->link, e.link, e.link_n, err);
      struct hf_piece piece = {.slice = head};
      piece.slice.offset = e.at;
      piece.slice.length = e.span;
      if (r == 0 && plan && e.span > 0) r = hf_plan_add(plan, &piece, err);
      if (e.tail == 0) return r;
    }
  }
  return r;
}

static int refuse_kind(const struct found *f, const char *path, struct hf_error *err) {
  switch (f->e.kind) {
  case 'f': return 0;
  case 'd':
    return hf_fail(err, HOLDFAST_E_UNSUPPORTED,
                   "/%s is a folder: holdfast ls shows what is in it, holdfast restore --path gets it back", path);
  case 'l': return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "/%s is a symbolic link to %s", path, f->link.data ? f->link.data : "");
  default: return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "/%s is no regular file", path);
  }
}

/* Zeros, for holes and what lies behind the last data. */
static int write_zeros(int out, uint64_t n, struct hf_error *err) {
  static const char zeros[16 * 1024];
  int r = 0;
  for (; r == 0 && n > 0; n -= HF_MIN(n, (uint64_t)sizeof zeros))
    r = hf_write_all(out, zeros, (size_t)HF_MIN(n, (uint64_t)sizeof zeros), err);
  return r;
}

static int unpack(struct archive *a, int fd, uint64_t size, int out, struct hf_error *err) {
  struct archive_entry *entry;
  const void *p;
  size_t n;
  la_int64_t off;
  uint64_t at = 0;
  int t, r = 0;
  if (archive_read_support_format_tar(a) != ARCHIVE_OK || archive_read_open_fd(a, fd, BLOCK) != ARCHIVE_OK ||
      archive_read_next_header(a, &entry) < ARCHIVE_WARN || (uint64_t)archive_entry_size(entry) != size) {
    return hf_fail(err, HOLDFAST_E_CORRUPT, "its tar header is not what the recipe says");
  }
  while (r == 0 && (t = archive_read_data_block(a, &p, &n, &off)) == ARCHIVE_OK) {
    if (off < 0 || (uint64_t)off < at || n > size || (uint64_t)off > size - n)
      return hf_fail(err, HOLDFAST_E_CORRUPT, "its sparse map is malformed");
    r = write_zeros(out, (uint64_t)off - at, err);
    if (r == 0) r = hf_write_all(out, p, n, err);
    at = (uint64_t)off + n;
    if (hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped");
  }
  if (r == 0 && t != ARCHIVE_EOF)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "its tar entry cannot be read: %s",
                   archive_error_string(a) ? archive_error_string(a) : "no reason given");
  return r == 0 ? write_zeros(out, size - at, err) : r;
}

static int write_piece(void *ctx, const struct hf_piece *piece, const void *p, struct hf_error *err) {
  return hf_pwrite_all(*(int *)ctx, p, piece->slice.length, piece->dest, err);
}

/* The entry alone, as a tar of its own in a temporary file, then its content out of that. */
static int cat_found(struct hf_reading *rd, const struct hf_mapped *recipe, const char *path, size_t n, int out,
                     struct hf_error *err) {
  struct found f = {.link = HF_BUF_INIT};
  struct hf_plan *plan = NULL;
  uint64_t lost = 0;
  HF_CLEANUP(hf_closep) int fd = hf_reading_temp(rd, err);
  if (fd < 0) return fd;
  int r = hf_reading_ready(rd, err);
  if (r == 0) r = hf_reading_plan(rd, &plan, err);
  if (r == 0) r = look(recipe, path, n, plan, &f, err);
  if (r == 0) r = hf_reading_execute(rd, plan, write_piece, &fd, &lost, err);
  hf_plan_free(plan);
  hf_buf_free(&f.link);
  if (r == 0 && lost > 0) r = hf_fail(err, HOLDFAST_E_CORRUPT, "its data is lost: no good copy of it was found");
  if (r == 0 && (ftruncate(fd, (off_t)(f.e.span + f.e.tail + HF_TAR_TAIL)) < 0 || lseek(fd, 0, SEEK_SET) < 0))
    r = hf_fail_errno(err, errno, "a temporary file");
  if (r < 0) return r;
  struct archive *a = archive_read_new();
  r = a ? unpack(a, fd, f.e.size, out, err) : hf_fail(err, HOLDFAST_E_FAILED, "out of memory");
  archive_read_free(a);
  return r;
}

static int cat_file(struct hf_reading *rd, const struct hf_mapped *recipe, const char *path, int out, struct hf_error *err) {
  struct found f = {.link = HF_BUF_INIT};
  int r = look(recipe, path, strlen(path), NULL, &f, err);
  if (r == 0 && !f.is)
    r = hf_fail(err, HOLDFAST_E_NOT_FOUND, "source %s of snapshot %llu holds no /%s", rd->source->name,
                (unsigned long long)rd->rec->seq, path);
  HF_CLEANUP(hf_freep) char *real = NULL;
  if (r == 0 && f.e.kind == 'h') {
    real = hf_buf_take(&f.link);
    r = look(recipe, real, strlen(real), NULL, &f, err);
    if (r == 0 && (!f.is || f.e.kind == 'h'))
      r = hf_fail(err, HOLDFAST_E_CORRUPT, "the recipe lacks /%s, which /%s is another name of", real, path);
  }
  if (r == 0) r = refuse_kind(&f, path, err);
  hf_buf_free(&f.link);
  if (r < 0) return r;
  const char *carrier = real ? real : path;
  r = cat_found(rd, recipe, carrier, strlen(carrier), out, err);
  return r < 0 ? hf_prefix(err, "/%s", path) : 0;
}

int hf_cat(struct hf_reading *rd, const struct hf_record_stream *stream, const char *path, int fd, struct hf_error *err) {
  struct hf_mapped recipe = {0};
  int r = hf_reading_recipe(rd, stream, true, &recipe, err);
  if (r == 0) r = path ? cat_file(rd, &recipe, path, fd, err) : cat_stream(rd, stream, &recipe, fd, err);
  hf_mapped_free(&recipe);
  if (r == HOLDFAST_E_AUTH) hf_prefix(err, "source %s", rd->source->name);
  return r;
}
