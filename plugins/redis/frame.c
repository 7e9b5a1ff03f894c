/* frame.c - where the RDB in a replication stream begins and where it ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <string.h>

/* A server that writes the RDB to its disk first knows the length; one that sends it as it is made ends it with a random mark. */
static void head_line(struct hf_redis_frame *f) {
  uint64_t length = 0;
  f->line[f->line_n] = '\0';
  f->state = HF_REDIS_FRAME_BAD;
  if (f->line[0] != '$') return;
  if (strncmp(f->line + 1, "EOF:", 4) == 0) {
    if (f->line_n != 5 + HF_REDIS_MARK) return;
    memcpy(f->mark, f->line + 5, HF_REDIS_MARK);
    f->state = HF_REDIS_FRAME_MARK;
    return;
  }
  if (f->line_n < 2 || f->line_n > 19) return; /* so many digits fit */
  for (size_t i = 1; i < f->line_n; i++) {
    if (f->line[i] < '0' || f->line[i] > '9') return;
    length = length * 10 + (uint64_t)(f->line[i] - '0');
  }
  f->left = length;
  f->state = length > 0 ? HF_REDIS_FRAME_LENGTH : HF_REDIS_FRAME_DONE;
}

/* Bytes of the header; returns how many were taken. */
static size_t feed_head(struct hf_redis_frame *f, const unsigned char *in, size_t n) {
  size_t i = 0;
  while (i < n && f->state == HF_REDIS_FRAME_HEAD) {
    char c = (char)in[i++];
    if (c == '\n') {
      if (f->line_n > 0 && f->line[f->line_n - 1] == '\r') f->line_n--;
      if (f->line_n > 0) head_line(f); /* an empty line keeps the link alive */
    } else if (f->line_n < sizeof f->line - 1) {
      f->line[f->line_n++] = c;
    } else {
      f->line[f->line_n] = '\0';
      f->state = HF_REDIS_FRAME_BAD;
    }
  }
  return i;
}

/* The last bytes may be the mark: they are held back until more come. The sender stops at the mark, so it is looked for at the end of
 * what has come and nowhere else, as a replica does. */
static size_t feed_mark(struct hf_redis_frame *f, const unsigned char *in, size_t n, unsigned char *out) {
  size_t all = f->held_n + n, give = all > HF_REDIS_MARK ? all - HF_REDIS_MARK : 0;
  size_t old = give < f->held_n ? give : f->held_n, through = give - old;
  memcpy(out, f->held, old);
  memcpy(out + old, in, through);
  memmove(f->held, f->held + old, f->held_n - old);
  f->held_n -= old;
  memcpy(f->held + f->held_n, in + through, n - through);
  f->held_n += n - through;
  if (f->held_n == HF_REDIS_MARK && memcmp(f->held, f->mark, HF_REDIS_MARK) == 0) f->state = HF_REDIS_FRAME_DONE;
  return give;
}

size_t hf_redis_frame_feed(struct hf_redis_frame *f, const unsigned char *in, size_t n, unsigned char *out) {
  if (f->state == HF_REDIS_FRAME_HEAD) {
    size_t taken = feed_head(f, in, n);
    in += taken;
    n -= taken;
  }
  if (n == 0) return 0;
  if (f->state == HF_REDIS_FRAME_MARK) return feed_mark(f, in, n, out);
  if (f->state != HF_REDIS_FRAME_LENGTH) return 0;
  size_t give = n < f->left ? n : (size_t)f->left;
  memcpy(out, in, give);
  f->left -= give;
  if (f->left == 0) f->state = HF_REDIS_FRAME_DONE;
  return give;
}
