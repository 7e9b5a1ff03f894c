/* rdb.c - is it a whole RDB? Head, end and checksum, looked at while the bytes go by.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An RDB begins with "REDIS" and four digits ("VALKEY" and three), and ends with the byte 255 and the CRC-64 of all that is before,
 * eight bytes, the lowest first; zeros when the server was told to write none.
 */
#include "redis.h"

#include <ctype.h>
#include <string.h>

#define OPCODE_EOF 255

void hf_redis_rdb_init(struct hf_redis_rdb *r) {
  memset(r, 0, sizeof *r);
  hf_redis_crc64_init(&r->tables);
}

void hf_redis_rdb_feed(struct hf_redis_rdb *r, const void *buf, size_t n) {
  const unsigned char *p = buf;
  if (n == 0) return;
  if (r->total < HF_REDIS_HEAD) {
    size_t room = HF_REDIS_HEAD - (size_t)r->total;
    memcpy(r->head + r->total, p, n < room ? n : room);
  }
  r->total += n;
  /* The last nine bytes stay in the tail. What leaves it is summed, first what was in it, then what went through. */
  size_t all = r->tail_n + n, leave = all > HF_REDIS_TAIL ? all - HF_REDIS_TAIL : 0;
  size_t old = leave < r->tail_n ? leave : r->tail_n, through = leave - old;
  r->crc = hf_redis_crc64(&r->tables, r->crc, r->tail, old);
  r->crc = hf_redis_crc64(&r->tables, r->crc, p, through);
  memmove(r->tail, r->tail + old, r->tail_n - old);
  r->tail_n -= old;
  memcpy(r->tail + r->tail_n, p + through, n - through);
  r->tail_n += n - through;
}

static bool head_ok(const struct hf_redis_rdb *r) {
  const char *head = (const char *)r->head;
  size_t at = strncmp(head, "REDIS", 5) == 0 ? 5 : strncmp(head, "VALKEY", 6) == 0 ? 6 : 0;
  if (r->total < HF_REDIS_HEAD || at == 0) return false;
  for (; at < HF_REDIS_HEAD; at++)
    if (!isdigit(r->head[at])) return false;
  return true;
}

enum hf_redis_rdb_result hf_redis_rdb_end(const struct hf_redis_rdb *r) {
  uint64_t said = 0;
  if (!head_ok(r)) return HF_REDIS_RDB_NONE;
  if (r->total < HF_REDIS_HEAD + HF_REDIS_TAIL || r->tail[0] != OPCODE_EOF) return HF_REDIS_RDB_SHORT;
  for (int i = 8; i >= 1; i--) said = said << 8 | r->tail[i];
  if (said == 0) return HF_REDIS_RDB_UNCHECKED;
  return said == hf_redis_crc64(&r->tables, r->crc, r->tail, 1) ? HF_REDIS_RDB_OK : HF_REDIS_RDB_DAMAGED;
}

int hf_redis_rdb_check(const struct holdfast_host *host, const struct hf_redis_rdb *r, const char *name) {
  unsigned long long total = (unsigned long long)r->total;
  switch (hf_redis_rdb_end(r)) {
  case HF_REDIS_RDB_OK:
  case HF_REDIS_RDB_UNCHECKED: return HOLDFAST_OK;
  case HF_REDIS_RDB_NONE: return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s: this is no RDB: it does not begin with REDIS and a version", name);
  case HF_REDIS_RDB_SHORT:
    return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s: an RDB cut short: after %llu bytes there is no end of an RDB", name, total);
  case HF_REDIS_RDB_DAMAGED: break;
  }
  return holdfast_fail(host, HOLDFAST_E_CORRUPT, "%s: a damaged RDB: the checksum at its end is not that of its %llu bytes", name, total);
}
