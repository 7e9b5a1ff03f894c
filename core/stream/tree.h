/* tree.h - the tree builder: from a source plugin's entries to the events a backup is made of. Runs inside the source's worker process.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Entries are gathered into windows. A window ends after an entry whose path says so (first 8 bytes, little-endian, of HMAC-SHA256(group key, path) have their low
 * HF_GROUP_BITS bits zero), before one that would bring its estimated size over HF_GROUP_MAX, or after a large file (its header belongs to the window, its data follows). For each entry of a window the
 * previous recipe is looked at (both are in tree order, so it is a merge): an entry with the same sameness key is reused: its old slice of its old chunk
 * (and a large file's old data chunks) is named again, nothing is opened. The other entries of the window are read into one new chunk. When reuse would leave a window too ragged (more than
 * HF_RAGGED_MAX slices, or old chunks more than twice as large as what is reused of them) the whole window is read again into one chunk.
 *
 * Memory: one window (at most HF_WINDOW_ENTRIES entries, HF_GROUP_MAX + HF_SMALL_MAX data) and one transfer buffer, whatever the tree's size.
 */
#ifndef HF_TREE_H
#define HF_TREE_H

#include <holdfast/source.h>

#include "base/base.h"
#include "stream/recipe.h"

#define HF_SMALL_MAX (256u * 1024)   /* files below this go into groups */
#define HF_GROUP_MAX (1024u * 1024)
#define HF_GROUP_BITS 6              /* one path in 64 ends a group */
#define HF_WINDOW_ENTRIES 2048u      /* below HOLDFAST_WINDOW */
#define HF_RAGGED_MAX 64u /* measured: with 8, one file in a hundred changing at random stored a fifth of everything again, run after run */
/* No group's chunk is longer than this: HF_GROUP_MAX may be passed by one small file with the largest header. */
#define HF_GROUP_LIMIT (HF_GROUP_MAX + HF_SMALL_MAX + (1u << 20) + 1024u)

/* Where the events go. Each returns 0 or a negative status that ends the run. In stream order:
 *
 *   stream_begin  (group* (bulk)?)*  stream_end      for the tree
 *   stream_begin  bulk  stream_end                   for a raw stream
 *   a group is: bytes* cut (when anything new), then lines
 */
struct hf_emit {
  void *ctx;
  int (*stream_begin)(void *ctx, const char *name, const char *format, uint64_t size_hint);
  /* Bytes of the group chunk being made. */
  int (*bytes)(void *ctx, const void *p, size_t n);
  /* The group chunk is complete. */
  int (*cut)(void *ctx);
  /* Recipe lines, whole ones. A c line of new data is written "c * * OFFSET LENGTH": the receiver puts in the id and length of the chunk cut last. */
  int (*lines)(void *ctx, const char *p, size_t n);
  /* n bytes at off of the previous recipe's text, whole lines, to be taken over as they are. */
  int (*previous)(void *ctx, uint64_t off, uint64_t n);
  /* Data to be chunked by content (fixed == 0) or every `fixed` bytes; the receiver writes the c lines. */
  int (*bulk_begin)(void *ctx, uint64_t fixed);
  int (*bulk)(void *ctx, const void *p, size_t n);
  int (*bulk_end)(void *ctx);
  /* The bulk data that just ended is not what the file holds (it could not be read, or changed): the e line before it is to be made untrusted
   * (hf_recipe_distrust), so that the file is read again next time. May be NULL. */
  int (*distrust)(void *ctx);
  int (*stream_end)(void *ctx);
  int (*problem)(void *ctx, const char *path, int status, const char *what);
  /* Counters since the last call; at most a few times a second. */
  int (*progress)(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t read);
  /* Where to put file data before bytes()/bulk() is called with it: a buffer of at least 1 MiB, so that the data can be read straight into the transfer memory. May be the
   * same buffer again after each call of bytes/bulk. */
  void *(*buffer)(void *ctx, size_t *cap);
};

struct hf_tree_options {
  const struct holdfast_source_plugin *plugin;
  void *handle;                 /* from plugin->open */
  const unsigned char *group_key; /* 32 bytes */
  const char *previous;         /* recipe text of the tree stream last time, or NULL */
  size_t previous_n;
  int64_t opened_s;             /* wall clock when the source was opened: a ctime (to the second and nanosecond) not older than this is written "!" */
  uint32_t opened_ns;
  const char *(*last_error)(void *ctx); /* text the plugin gave with its last status, "" if none */
  void *last_error_ctx;
  /* The previous recipe up to byte `upto` will hardly be looked at again: a mapping may let go of it. Every few MiB; may be NULL. */
  void (*passed)(void *ctx, uint64_t upto);
  void *passed_ctx;
};

struct hf_tree_counts {
  uint64_t files, folders, others, bytes, read, reused, problems;
};

/* Run the plugin's next/entry_open/read/entry_close to the end, tree and streams both; the plugin's finish and close are the caller's. Returns 0, or the first status that ends the source. A tree
 * stream is called "tree". A source with no tree entry has no tree stream. */
int hf_tree_run(const struct hf_tree_options *o, const struct hf_emit *emit, struct hf_tree_counts *counts, struct hf_error *err);

#endif
