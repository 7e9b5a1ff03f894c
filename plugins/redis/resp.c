/* resp.c - replies of a server: RESP2.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <stdlib.h>
#include <string.h>

void hf_redis_reply_clear(struct hf_redis_reply *r) {
  for (size_t i = 0; i < r->n_items; i++) hf_redis_reply_clear(&r->items[i]); /* as deep as the parser went */
  free(r->items);
  free(r->text);
  memset(r, 0, sizeof *r);
}

void hf_redis_printable(const char *p, size_t n, char *out, size_t cap) {
  size_t i = 0;
  for (; i < n && i + 1 < cap; i++) out[i] = (unsigned char)p[i] < 0x20 || (unsigned char)p[i] >= 0x7f ? '?' : p[i];
  out[i] = '\0';
}

static bool number(const char *p, size_t n, int64_t *out) {
  uint64_t v = 0;
  bool negative = n > 0 && *p == '-';
  size_t i = negative ? 1 : 0;
  if (i == n || n - i > 19) return false;
  for (; i < n; i++) {
    if (p[i] < '0' || p[i] > '9') return false;
    v = v * 10 + (uint64_t)(p[i] - '0');
  }
  if (v > INT64_MAX) return false;
  *out = negative ? -(int64_t)v : (int64_t)v;
  return true;
}

static int keep_text(struct hf_redis_reply *out, enum hf_redis_type type, const char *p, size_t n) {
  out->text = malloc(n + 1);
  if (!out->text) return -2;
  memcpy(out->text, p, n);
  out->text[n] = '\0';
  out->n = n;
  out->type = type;
  return 1;
}

static int parse(const char *p, size_t n, size_t *used, struct hf_redis_reply *out, int depth);

/* Room is made as items come, and not because a server says that there will be so many. */
static int parse_items(const char *p, size_t n, size_t *used, struct hf_redis_reply *out, int64_t count, int depth) {
  size_t cap = 0;
  out->type = HF_REDIS_ARRAY;
  for (int64_t i = 0; i < count; i++) {
    size_t part = 0;
    if (out->n_items == cap) {
      cap = cap ? 2 * cap : 8;
      struct hf_redis_reply *grown = realloc(out->items, cap * sizeof *grown);
      if (!grown) return -2;
      out->items = grown;
    }
    int rc = parse(p + *used, n - *used, &part, &out->items[out->n_items], depth + 1);
    if (rc != 1) return rc;
    out->n_items++;
    *used += part;
  }
  return 1;
}

/* On any return but 1 *out holds nothing, or at the top what hf_redis_reply_clear frees. */
static int parse(const char *p, size_t n, size_t *used, struct hf_redis_reply *out, int depth) {
  int64_t count;
  memset(out, 0, sizeof *out);
  if (n == 0) return 0;
  if (depth >= HF_REDIS_REPLY_DEPTH || !strchr("+-:$*", *p) || !*p) return -1;
  const char *end = memchr(p, '\n', n);
  /* Only texts may be long, and they are in one line. */
  if (!end) return n > (*p == '+' || *p == '-' ? 65536u : 64u) ? -1 : 0;
  if (end == p || end[-1] != '\r') return -1;
  size_t line = (size_t)(end - p) - 2;
  *used = (size_t)(end + 1 - p);
  if (*p == '+' || *p == '-') return keep_text(out, *p == '+' ? HF_REDIS_STATUS : HF_REDIS_ERROR, p + 1, line);
  if (!number(p + 1, line, &count)) return -1;
  if (*p == ':') {
    out->type = HF_REDIS_INTEGER;
    out->integer = count;
    return 1;
  }
  if (count == -1) return 1; /* nil */
  if (count < 0 || count > HF_REDIS_REPLY_MAX) return -1;
  if (*p == '$') {
    size_t size = (size_t)count;
    if (n - *used < size + 2) return 0;
    if (memcmp(p + *used + size, "\r\n", 2) != 0) return -1;
    const char *text = p + *used;
    *used += size + 2;
    return keep_text(out, HF_REDIS_BULK, text, size);
  }
  int rc = parse_items(p, n, used, out, count, depth);
  if (rc != 1) hf_redis_reply_clear(out);
  return rc;
}

int hf_redis_parse(const char *p, size_t n, size_t *used, struct hf_redis_reply *out) {
  *used = 0;
  int rc = parse(p, n, used, out, 0);
  if (rc != 1) memset(out, 0, sizeof *out);
  return rc;
}
