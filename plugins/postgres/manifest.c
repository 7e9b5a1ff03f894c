/* manifest.c - the server's backup_manifest, read line by line as it passes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The manifest is JSON, and all servers (13 to 17) write one file a line: the checksum at its end is defined by lines, too. So each line is parsed on its own,
 * and memory does not grow with the number of files, of which there may be millions:
 *
 *   { "PostgreSQL-Backup-Manifest-Version": 1,          2 since PostgreSQL 17
 *   "System-Identifier": 7190340623408534721,           since 17
 *   "Files": [
 *   { "Path": "base/1/1259", "Size": 106496, "Last-Modified": "...", "Checksum-Algorithm": "CRC32C", "Checksum": "0a1b2c3d" },
 *   ...                                                 "Encoded-Path" in hexadecimal when the path is not UTF-8
 *   ],
 *   "WAL-Ranges": [
 *   { "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }
 *   ],
 *   "Manifest-Checksum": "..."}                         SHA-256 of all lines before this one
 */
#include "physical.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

enum where { AT_HEAD, AT_FILES_OR_ID, IN_FILES, AT_RANGES, IN_RANGES, AT_CHECKSUM, AT_END };

struct hf_pg_manifest {
  struct hf_pg_manifest_sink sink;
  EVP_MD_CTX *digest;
  enum where where;
  uint64_t line; /* number of the line that is being read */
  size_t n;
  char why[400];
  char text[HF_PG_MANIFEST_LINE];
};

struct hf_pg_manifest *hf_pg_manifest_new(const struct hf_pg_manifest_sink *sink) {
  struct hf_pg_manifest *m = malloc(sizeof *m);
  if (!m) return NULL;
  *m = (struct hf_pg_manifest){.sink = *sink, .line = 1};
  m->digest = EVP_MD_CTX_new();
  if (!m->digest || EVP_DigestInit_ex(m->digest, EVP_sha256(), NULL) != 1) {
    hf_pg_manifest_free(m);
    return NULL;
  }
  return m;
}

void hf_pg_manifest_free(struct hf_pg_manifest *m) {
  if (!m) return;
  EVP_MD_CTX_free(m->digest);
  free(m);
}

const char *hf_pg_manifest_why(const struct hf_pg_manifest *m) { return m->why; }

static int bad(struct hf_pg_manifest *m, const char *fmt, ...) HOLDFAST_PRINTF(2, 3);
static int bad(struct hf_pg_manifest *m, const char *fmt, ...) {
  char text[300];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  snprintf(m->why, sizeof m->why, "line %llu: %s", (unsigned long long)m->line, text);
  return HOLDFAST_E_CORRUPT;
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Bytes of a text in hexadecimal; -1 if it is none or they do not fit. */
static int unhex(const char *text, unsigned char *out, size_t cap) {
  size_t n = strlen(text) / 2;
  if (strlen(text) % 2 != 0 || n > cap) return -1;
  for (size_t i = 0; i < n; i++) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    out[i] = (unsigned char)(high << 4 | low);
  }
  return (int)n;
}

static enum hf_pg_sum kind_of(const char *name) {
  if (!name) return HF_PG_SUM_NONE;
  if (strcmp(name, "CRC32C") == 0) return HF_PG_SUM_CRC32C;
  return strcmp(name, "SHA256") == 0 ? HF_PG_SUM_SHA256 : HF_PG_SUM_OTHER;
}

static int file_line(struct hf_pg_manifest *m, json_t *o) {
  char raw[HF_PG_TAR_NAME * 8];
  unsigned char sum[HF_PG_SUM_MAX];
  int sum_n = 0;
  const char *path = json_string_value(json_object_get(o, "Path")), *encoded = json_string_value(json_object_get(o, "Encoded-Path"));
  const char *kind = json_string_value(json_object_get(o, "Checksum-Algorithm")), *hex = json_string_value(json_object_get(o, "Checksum"));
  json_t *size = json_object_get(o, "Size");
  if (encoded && !path) {
    int n = unhex(encoded, (unsigned char *)raw, sizeof raw - 1);
    if (n <= 0 || memchr(raw, '\0', (size_t)n)) return bad(m, "an Encoded-Path that is none");
    raw[n] = '\0';
    path = raw;
  }
  if (!path || !*path) return bad(m, "a file without a Path");
  if (!json_is_integer(size) || json_integer_value(size) < 0) return bad(m, "%.100s: no Size", path);
  if (!kind != !hex) return bad(m, "%.100s: Checksum-Algorithm and Checksum go together", path);
  if (hex && (sum_n = unhex(hex, sum, sizeof sum)) <= 0) return bad(m, "%.100s: a Checksum that is none", path);
  return m->sink.file ? m->sink.file(m->sink.ctx, path, (uint64_t)json_integer_value(size), kind_of(kind), sum, (size_t)sum_n) : 0;
}

/* A position in the log: "16/B374D848". */
static bool lsn(const char *text, uint64_t *out) {
  uint64_t part[2] = {0, 0};
  int at = 0, digits = 0;
  for (const char *p = text; p && *p; p++) {
    int d = digit(*p);
    if (d >= 0 && digits < 8) {
      part[at] = part[at] << 4 | (uint64_t)d;
      digits++;
    } else if (*p == '/' && at == 0 && digits > 0) {
      at = 1;
      digits = 0;
    } else {
      return false;
    }
  }
  *out = part[0] << 32 | part[1];
  return at == 1 && digits > 0;
}

static int range_line(struct hf_pg_manifest *m, json_t *o) {
  uint64_t start, end;
  json_int_t timeline = json_integer_value(json_object_get(o, "Timeline"));
  if (timeline <= 0 || timeline > UINT32_MAX || !lsn(json_string_value(json_object_get(o, "Start-LSN")), &start) ||
      !lsn(json_string_value(json_object_get(o, "End-LSN")), &end) || end < start)
    return bad(m, "not a range of WAL");
  return m->sink.wal ? m->sink.wal(m->sink.ctx, (uint32_t)timeline, start, end) : 0;
}

/* A line that is an object of its own, perhaps with a comma behind it. */
static int object_line(struct hf_pg_manifest *m, int (*take)(struct hf_pg_manifest *, json_t *)) {
  size_t n = m->n;
  if (n > 0 && m->text[n - 1] == ',') n--;
  json_t *o = json_loadb(m->text, n, JSON_REJECT_DUPLICATES, NULL);
  int rc = json_is_object(o) ? take(m, o) : bad(m, "not what the server writes there");
  json_decref(o);
  return rc;
}

static int checksum_line(struct hf_pg_manifest *m) {
  static const char begin[] = "\"Manifest-Checksum\": \"";
  unsigned char said[32], is[EVP_MAX_MD_SIZE];
  char hex[65];
  if (m->n != sizeof begin - 1 + 64 + 2 || memcmp(m->text, begin, sizeof begin - 1) != 0 || memcmp(m->text + m->n - 2, "\"}", 2) != 0)
    return bad(m, "not the Manifest-Checksum");
  memcpy(hex, m->text + sizeof begin - 1, 64);
  hex[64] = '\0';
  if (unhex(hex, said, sizeof said) != 32) return bad(m, "not the Manifest-Checksum");
  if (EVP_DigestFinal_ex(m->digest, is, NULL) != 1) return bad(m, "SHA-256 does not work");
  if (memcmp(said, is, sizeof said) != 0) return bad(m, "its own checksum does not match: it has been changed or damaged");
  return 0;
}

static bool is(const struct hf_pg_manifest *m, const char *text) { return m->n == strlen(text) && memcmp(m->text, text, m->n) == 0; }

static bool begins(const struct hf_pg_manifest *m, const char *text) {
  return m->n >= strlen(text) && memcmp(m->text, text, strlen(text)) == 0;
}

static int one_line(struct hf_pg_manifest *m) {
  switch (m->where) {
  case AT_HEAD:
    if (!is(m, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,") && !is(m, "{ \"PostgreSQL-Backup-Manifest-Version\": 2,"))
      return bad(m, "not a backup_manifest of version 1 or 2");
    m->where = AT_FILES_OR_ID;
    return 0;
  case AT_FILES_OR_ID:
    if (begins(m, "\"System-Identifier\": ")) return 0;
    if (!is(m, "\"Files\": [")) return bad(m, "the list of files is not where it should be");
    m->where = IN_FILES;
    return 0;
  case IN_FILES:
    if (!is(m, "],")) return object_line(m, file_line);
    m->where = AT_RANGES;
    return 0;
  case AT_RANGES:
    if (!is(m, "\"WAL-Ranges\": [")) return bad(m, "the list of WAL ranges is not where it should be");
    m->where = IN_RANGES;
    return 0;
  case IN_RANGES:
    if (!is(m, "],")) return object_line(m, range_line);
    m->where = AT_CHECKSUM;
    return 0;
  case AT_CHECKSUM:
    m->where = AT_END;
    return checksum_line(m);
  case AT_END: return bad(m, "there is something behind its end");
  }
  return bad(m, "out of order");
}

int hf_pg_manifest_feed(struct hf_pg_manifest *m, const void *data, size_t n) {
  const char *p = data;
  m->why[0] = '\0';
  while (n > 0) {
    const char *newline = memchr(p, '\n', n);
    size_t part = newline ? (size_t)(newline - p) : n;
    if (part > sizeof m->text - 1 - m->n) return bad(m, "longer than %d bytes", HF_PG_MANIFEST_LINE);
    memcpy(m->text + m->n, p, part);
    m->n += part;
    p += part + (newline ? 1 : 0);
    n -= part + (newline ? 1 : 0);
    if (!newline) break;
    /* All lines but the one with the checksum count for the checksum. */
    if (m->where < AT_CHECKSUM) {
      m->text[m->n] = '\n';
      if (EVP_DigestUpdate(m->digest, m->text, m->n + 1) != 1) return bad(m, "SHA-256 does not work");
    }
    int rc = one_line(m);
    if (rc < 0) return rc;
    m->n = 0;
    m->line++;
  }
  return 0;
}

int hf_pg_manifest_end(struct hf_pg_manifest *m) {
  m->why[0] = '\0';
  return m->where == AT_END && m->n == 0 ? 0 : bad(m, "it is cut off");
}
