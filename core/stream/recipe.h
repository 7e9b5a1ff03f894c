/* recipe.h - the text of a recipe: what a stream is made of. Grammar in holdfast-repository(5).
 * SPDX-License-Identifier: Apache-2.0
 *
 *   holdfast-recipe 1
 *   stream NAME FORMAT                 FORMAT tar|raw
 *   c CHUNKID CHUNKLEN OFFSET LENGTH   the stream goes on with LENGTH bytes at OFFSET of that chunk
 *   e KIND MODE UID GID SIZE MTIME CTIME INODE TOKEN PATH LINK AT SPAN TAIL
 *                                      (tar) an entry whose headers lie in the chunk named last, at its byte AT, SPAN bytes there;
 *                                      TAIL more bytes (a large file's data and padding) are in the c lines that follow
 *   end STREAMBYTES CLINES ELINES
 *
 * KIND f d l h p c b s. MODE octal. MTIME seconds.nnnnnnnnn. CTIME likewise, "-" none, "!" not to be trusted next time. TOKEN, LINK "-" or
 * "=" and the escaped bytes. PATH escaped (hf_escape).
 * The part from KIND to PATH (to LINK for kind h) is what an entry's sameness is judged by: equal bytes, no "!".
 */
#ifndef HF_RECIPE_H
#define HF_RECIPE_H

#include <holdfast/source.h>

#include "base/base.h"
#include "base/digest.h"

#define HF_RECIPE_HEAD "holdfast-recipe 1\n"

/* A stretch of a chunk. */
struct hf_slice {
  struct hf_digest id;
  uint32_t chunk_len, offset, length;
};

/* One parsed e line. Pointers are into the line; path and link are still escaped. */
struct hf_recipe_entry {
  char kind; /* f d l h p c b s */
  uint32_t mode, uid, gid;
  uint64_t size, inode, tail;
  int64_t mtime, ctime;
  uint32_t mtime_nsec, ctime_nsec;
  char ctime_mark; /* 0: ctime holds; '-' none; '!' not trusted */
  uint32_t at, span;
  const char *token, *path, *link; /* token/link NULL when "-"; without the "=" */
  size_t token_n, path_n, link_n;
  size_t key_n; /* how many bytes of the line, from KIND on (line + 2), judge sameness */
};

/* ---- writing ---- */
void hf_recipe_begin(struct hf_buf *b, const char *stream, const char *format);
void hf_recipe_slice(struct hf_buf *b, const struct hf_slice *s);
/* The sameness part of an e line ("f 644 0 0 12 ... PATH", for kind h with " LINK"). trusted false writes "!" for the ctime. Fast: called for every entry of every run. */
void hf_recipe_key(struct hf_buf *b, const struct holdfast_entry *e, bool trusted);
/* The whole e line. The same key as hf_recipe_key gives. */
void hf_recipe_entry(struct hf_buf *b, const struct holdfast_entry *e, bool trusted, uint32_t at, uint32_t span, uint64_t tail);
void hf_recipe_end(struct hf_buf *b, uint64_t bytes, uint64_t clines, uint64_t elines);
/* Make the ctime of the e line at byte `line` of b "!": a large file whose data turned out bad after its line was written. */
void hf_recipe_distrust(struct hf_buf *b, size_t line);

/* ---- reading ---- */
enum hf_recipe_line { HF_RL_SLICE = 1, HF_RL_ENTRY, HF_RL_END };
/* A reader over the whole text in memory (mapped); it never reads outside [p, p+n). */
struct hf_recipe_reader {
  const char *p, *next, *end;
  uint64_t clines, elines, bytes; /* counted so far; checked against the end line */
  const char *line;               /* start and length of the line hf_recipe_next has just read */
  size_t line_n;
  char name[256];
  bool tar;
  bool done;
  struct hf_slice last; /* the c line last read; entries are looked for in it when placed */
  bool placed;
  uint64_t tail;        /* bytes of the entry last read that are still to come */
};
/* Checks the two head lines. */
int hf_recipe_open(struct hf_recipe_reader *r, const char *p, size_t n, struct hf_error *err);
/* The next line: enum hf_recipe_line with *s or *e filled, 0 after the end line (which must be the last), negative HOLDFAST_E_CORRUPT with what and where. */
int hf_recipe_next(struct hf_recipe_reader *r, struct hf_slice *s, struct hf_recipe_entry *e, struct hf_error *err);
/* Parse one e line without its newline. */
int hf_recipe_parse_entry(const char *line, size_t n, struct hf_recipe_entry *e, struct hf_error *err);
int hf_recipe_parse_slice(const char *line, size_t n, struct hf_slice *s, struct hf_error *err);
/* Parse "AT SPAN TAIL", the end of an e line; false when it is anything else. */
bool hf_recipe_parse_place(const char *p, size_t n, uint32_t *at, uint32_t *span, uint64_t *tail);
/* Is that a stream's name: [A-Za-z0-9._-], at most 255, beginning with neither a period nor a hyphen? */
bool hf_recipe_name_ok(const char *name, size_t n);

#endif
