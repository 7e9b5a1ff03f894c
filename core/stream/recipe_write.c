/* recipe_write.c - recipe lines made by hand: this runs for every entry of every backup, also when nothing has changed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream/recipe.h"

#define NUMBER_MAX 20 /* digits of UINT64_MAX */
#define FIXED_MAX 256 /* more than all fields of an e line but TOKEN, PATH and LINK can take */

static const char kind_letters[] = {
    [HOLDFAST_FILE] = 'f', [HOLDFAST_DIR] = 'd',  [HOLDFAST_SYMLINK] = 'l', [HOLDFAST_HARDLINK] = 'h',
    [HOLDFAST_FIFO] = 'p', [HOLDFAST_CHAR] = 'c', [HOLDFAST_BLOCK] = 'b',   [HOLDFAST_SOCKET] = 's'};

static char *put_number(char *p, uint64_t v) {
  char digits[NUMBER_MAX];
  size_t n = 0;
  do digits[n++] = (char)('0' + v % 10);
  while ((v /= 10) != 0);
  while (n > 0) *p++ = digits[--n];
  return p;
}

static char *put_octal(char *p, uint32_t v) {
  int shift = 9;
  while (shift > 0 && (v >> shift & 7) == 0) shift -= 3;
  for (; shift >= 0; shift -= 3) *p++ = (char)('0' + (v >> shift & 7));
  return p;
}

/* The seconds are the floor, the nanoseconds count up from there, also before 1970. */
static char *put_time(char *p, int64_t s, uint32_t ns) {
  if (s < 0) *p++ = '-';
  p = put_number(p, s < 0 ? 0 - (uint64_t)s : (uint64_t)s);
  *p++ = '.';
  for (int i = 8; i >= 0; i--, ns /= 10) p[i] = (char)('0' + ns % 10);
  return p + 9;
}

/* As hf_escape. Room for four times the length is there. */
static char *put_escaped(char *p, const char *s) {
  if (*s == 0) {
    memcpy(p, "\\-", 2);
    return p + 2;
  }
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c > 0x20 && c != 0x7f && c != '\\') {
      *p++ = (char)c;
    } else {
      *p++ = '\\';
      *p++ = (char)('0' + (c >> 6));
      *p++ = (char)('0' + (c >> 3 & 7));
      *p++ = (char)('0' + (c & 7));
    }
  }
  return p;
}

static char *put_optional(char *p, const char *s) {
  if (!s) {
    *p++ = '-';
    return p;
  }
  *p++ = '=';
  return put_escaped(p, s);
}

static char *put_key(char *p, const struct holdfast_entry *e, bool trusted) {
  *p++ = e->kind < sizeof kind_letters ? kind_letters[e->kind] : '?';
  *p++ = ' ';
  p = put_octal(p, e->mode & 07777);
  *p++ = ' ';
  p = put_number(p, e->uid);
  *p++ = ' ';
  p = put_number(p, e->gid);
  *p++ = ' ';
  p = put_number(p, e->size);
  *p++ = ' ';
  p = put_time(p, e->mtime, e->mtime_nsec);
  *p++ = ' ';
  if (!trusted)
    *p++ = '!';
  else if (e->ctime == 0 && e->ctime_nsec == 0)
    *p++ = '-';
  else
    p = put_time(p, e->ctime, e->ctime_nsec);
  *p++ = ' ';
  p = put_number(p, e->inode);
  *p++ = ' ';
  p = put_optional(p, e->token);
  *p++ = ' ';
  p = put_escaped(p, e->path);
  if (e->kind == HOLDFAST_HARDLINK) {
    *p++ = ' ';
    p = put_optional(p, e->link);
  }
  return p;
}

/* Room for a whole line; returns where it begins. */
static char *room(struct hf_buf *b, const struct holdfast_entry *e) {
  size_t text = strlen(e->path);
  if (e->token) text += strlen(e->token);
  if (e->link) text += strlen(e->link);
  hf_buf_reserve(b, FIXED_MAX + 4 * text);
  return b->data + b->len;
}

static void done(struct hf_buf *b, char *end) {
  b->len = (size_t)(end - b->data);
  *end = 0;
}

void hf_recipe_key(struct hf_buf *b, const struct holdfast_entry *e, bool trusted) { done(b, put_key(room(b, e), e, trusted)); }

void hf_recipe_entry(struct hf_buf *b, const struct holdfast_entry *e, bool trusted, uint32_t at, uint32_t span, uint64_t tail) {
  char *p = room(b, e);
  *p++ = 'e';
  *p++ = ' ';
  p = put_key(p, e, trusted);
  *p++ = ' ';
  if (e->kind != HOLDFAST_HARDLINK) {
    p = put_optional(p, e->link);
    *p++ = ' ';
  }
  p = put_number(p, at);
  *p++ = ' ';
  p = put_number(p, span);
  *p++ = ' ';
  p = put_number(p, tail);
  *p++ = '\n';
  done(b, p);
}

void hf_recipe_begin(struct hf_buf *b, const char *stream, const char *format) {
  hf_buf_adds(b, HF_RECIPE_HEAD);
  hf_buf_addf(b, "stream %s %s\n", stream, format);
}

void hf_recipe_slice(struct hf_buf *b, const struct hf_slice *s) {
  hf_buf_reserve(b, HF_SHA256_HEX + 3 * (NUMBER_MAX + 1) + 8);
  char *p = b->data + b->len;
  *p++ = 'c';
  *p++ = ' ';
  hf_digest_hex(&s->id, p);
  p += 2 * HF_SHA256_LEN;
  *p++ = ' ';
  p = put_number(p, s->chunk_len);
  *p++ = ' ';
  p = put_number(p, s->offset);
  *p++ = ' ';
  p = put_number(p, s->length);
  *p++ = '\n';
  done(b, p);
}

void hf_recipe_end(struct hf_buf *b, uint64_t bytes, uint64_t clines, uint64_t elines) {
  hf_buf_addf(b, "end %llu %llu %llu\n", (unsigned long long)bytes, (unsigned long long)clines, (unsigned long long)elines);
}

void hf_recipe_distrust(struct hf_buf *b, size_t line) {
  /* CTIME is the eighth blank-separated word, "e" being the first. */
  size_t at = line;
  for (int words = 0; words < 7; words++) {
    const char *blank = memchr(b->data + at, ' ', b->len - at);
    if (!blank) return;
    at = (size_t)(blank - b->data) + 1;
  }
  const char *blank = memchr(b->data + at, ' ', b->len - at);
  if (!blank) return;
  size_t end = (size_t)(blank - b->data);
  b->data[at] = '!';
  memmove(b->data + at + 1, b->data + end, b->len - end + 1);
  b->len -= end - at - 1;
}
