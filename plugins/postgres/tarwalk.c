/* tarwalk.c - the tar archives of a base backup, taken apart as they pass.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The server writes plain ustar: files and folders, names of at most 100 bytes, sizes in octal or, from 8 GiB on, in base 256. Links it writes only when it was
 * not asked for a tablespace_map; since we ask for one, a link is as wrong as a name that leads out of the folder. Memory: one block.
 */
#include "physical.h"

#include <stdio.h>
#include <string.h>

#define AT_NAME 0
#define AT_MODE 100
#define AT_SIZE 124
#define AT_SUM 148
#define AT_TYPE 156
#define AT_MAGIC 257
#define AT_PREFIX 345

void hf_pg_tar_start(struct hf_pg_tar *t, const struct hf_pg_tar_sink *sink) {
  memset(t, 0, sizeof *t);
  t->sink = *sink;
}

/* A name as it can be shown: what is not printable ASCII becomes '?'. */
static void shown(const char *name, char *out, size_t cap) {
  size_t i = 0;
  for (; name[i] && i + 1 < cap; i++) out[i] = name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?';
  out[i] = '\0';
}

static int bad(struct hf_pg_tar *t, const char *name, const char *what) {
  char text[HF_PG_TAR_NAME + 1];
  shown(name, text, sizeof text);
  snprintf(t->why, sizeof t->why, "%s%s%s", text, *text ? ": " : "", what);
  return HOLDFAST_E_CORRUPT;
}

/* A number in a field of n bytes: octal digits between blanks, or base 256 when the first bit is set. False if it is none, or larger than 2^62. */
static bool number(const unsigned char *p, size_t n, uint64_t *out) {
  uint64_t v = 0;
  size_t i = 0;
  if (p[0] & 0x80) {
    if (p[0] != 0x80) return false;
    for (i = 1; i < n; i++) {
      if (v >> 54) return false;
      v = v << 8 | p[i];
    }
    *out = v;
    return true;
  }
  while (i < n && p[i] == ' ') i++;
  size_t first = i;
  for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
    if (v >> 59) return false;
    v = v << 3 | (uint64_t)(p[i] - '0');
  }
  if (i == first) return false;
  for (; i < n; i++)
    if (p[i] != ' ' && p[i] != '\0') return false;
  *out = v;
  return true;
}

/* The whole name, without slashes at its end. False when it could lead anywhere but below the folder it is unpacked in. */
static bool name_of(const unsigned char *h, char *out) {
  size_t n = 0, prefix = 0;
  if (memcmp(h + AT_MAGIC, "ustar", 5) == 0) prefix = strnlen((const char *)h + AT_PREFIX, 155);
  if (prefix) {
    memcpy(out, h + AT_PREFIX, prefix);
    out[prefix] = '/';
    n = prefix + 1;
  }
  size_t own = strnlen((const char *)h + AT_NAME, 100);
  memcpy(out + n, h + AT_NAME, own);
  n += own;
  while (n > 0 && out[n - 1] == '/') n--;
  out[n] = '\0';
  /* So the server names a folder that it makes up: "./pg_wal/archive_status". */
  if (n > 2 && out[0] == '.' && out[1] == '/') memmove(out, out + 2, n - 1);
  for (const char *p = out;;) {
    size_t part = strcspn(p, "/");
    if (part == 0 || (part == 1 && p[0] == '.') || (part == 2 && p[0] == '.' && p[1] == '.')) return false;
    if (!p[part]) return true;
    p += part + 1;
  }
}

static bool sum_is_right(const unsigned char *h) {
  uint64_t said, sum = 0;
  for (size_t i = 0; i < HF_PG_TAR_BLOCK; i++) sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];
  return number(h + AT_SUM, 8, &said) && said == sum;
}

static int header(struct hf_pg_tar *t) {
  const unsigned char *h = t->header;
  struct hf_pg_tar_entry e = {.size = 0};
  uint64_t mode;
  bool empty = true;
  for (size_t i = 0; empty && i < HF_PG_TAR_BLOCK; i++) empty = h[i] == 0;
  if (empty) {
    t->zeros++;
    return 0;
  }
  if (t->zeros > 0) return bad(t, "", "there is something behind the end of the archive");
  if (!sum_is_right(h)) return bad(t, "", "a header of the archive is damaged");
  if (!name_of(h, e.name)) return bad(t, e.name, "not a name that may be in a base backup");
  char type = (char)h[AT_TYPE];
  e.folder = type == '5';
  if (type != '0' && type != '\0' && type != '5') return bad(t, e.name, "neither a file nor a folder, which is all a base backup may hold");
  if (!number(h + AT_SIZE, 12, &e.size) || !number(h + AT_MODE, 8, &mode)) return bad(t, e.name, "a number in its header is damaged");
  if (e.folder && e.size != 0) return bad(t, e.name, "a folder that has a size");
  e.mode = (uint32_t)mode & 07777;
  int rc = t->sink.entry ? t->sink.entry(t->sink.ctx, &e) : 0;
  if (rc < 0 || e.folder) return rc;
  t->in_file = true;
  t->left = e.size;
  t->padding = (HF_PG_TAR_BLOCK - e.size % HF_PG_TAR_BLOCK) % HF_PG_TAR_BLOCK;
  return 0;
}

static int end_of_file(struct hf_pg_tar *t) {
  t->in_file = false;
  return t->sink.end ? t->sink.end(t->sink.ctx) : 0;
}

int hf_pg_tar_feed(struct hf_pg_tar *t, const void *data, size_t n) {
  const unsigned char *p = data;
  int rc = 0;
  while (rc >= 0 && (n > 0 || (t->in_file && t->left == 0))) {
    size_t part;
    if (t->in_file && t->left == 0) {
      rc = end_of_file(t);
      continue;
    }
    if (t->in_file) {
      part = t->left < n ? (size_t)t->left : n;
      rc = t->sink.data ? t->sink.data(t->sink.ctx, p, part) : 0;
      t->left -= part;
    } else if (t->padding > 0) {
      part = t->padding < n ? (size_t)t->padding : n;
      t->padding -= part;
    } else {
      part = HF_PG_TAR_BLOCK - t->have < n ? HF_PG_TAR_BLOCK - t->have : n;
      memcpy(t->header + t->have, p, part);
      t->have += part;
      if (t->have == HF_PG_TAR_BLOCK) {
        t->have = 0;
        rc = header(t);
      }
    }
    p += part;
    n -= part;
  }
  return rc < 0 ? rc : 0;
}

int hf_pg_tar_end(struct hf_pg_tar *t) {
  if (t->in_file || t->padding > 0 || t->have > 0 || t->zeros < 2) return bad(t, "", "the archive is cut off");
  return 0;
}
