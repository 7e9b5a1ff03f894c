/* browse.h - looking into snapshots: what is in one, what changed between two, one file of one.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_BROWSE_H
#define HF_BROWSE_H

#include "engine/engine.h"
#include "engine/live.h"

/* One entry of a tree. path and link are unescaped, end in NUL and are valid during the call. link is NULL for what is no
 * link. */
struct hf_tree_entry {
  const struct hf_recipe_entry *e;
  const char *path, *link;
  size_t path_n, link_n;
};

/* All snapshots, oldest first, with what the chain says of them; held: only those whose record every opened target has. A negative status of fn ends it. After
 * hf_session_chain. */
int hf_list_snapshots(struct hf_session *s, bool held, int (*fn)(void *ctx, const struct hf_record *r, const struct hf_live_snapshot *v, struct hf_error *err),
                      void *ctx, struct hf_error *err);

struct hf_ls_sink {
  void *ctx;
  int (*stream)(void *ctx, const struct hf_record_stream *st, struct hf_error *err); /* a raw stream */
  int (*entry)(void *ctx, const struct hf_tree_entry *e, struct hf_error *err);
};
/* The streams and the tree of a source; with path (slashes at either end are ignored) that entry and what is below it, or the
 * raw stream of that name. HOLDFAST_E_NOT_FOUND when there is no such source or path. */
int hf_ls(struct hf_session *s, const struct hf_record *rec, const char *source, const char *path, const struct hf_ls_sink *sink,
          struct hf_error *err);

enum hf_change { HF_ADDED = '+', HF_REMOVED = '-', HF_CONTENT = 'M', HF_METADATA = 'U', HF_TYPE = 'T' };
struct hf_diff_sink {
  void *ctx;
  /* A source that one of them lacks, or holds nothing of. */
  int (*source)(void *ctx, const char *name, enum hf_change change, struct hf_error *err);
  int (*stream)(void *ctx, const char *source, enum hf_change change, const char *name, struct hf_error *err);
  /* from is NULL for what was added, to for what was removed. */
  int (*entry)(void *ctx, const char *source, enum hf_change change, const struct hf_tree_entry *from,
               const struct hf_tree_entry *to, struct hf_error *err);
};
/* What is different in b. source: NULL for all.
 *
 * HF_CONTENT: a file's size or time of last modification differs, or its change time does and neither mode nor owner says
 * why; a link's target. HF_METADATA: mode or owner, content as before. Folders are only
 * compared by mode and owner. Recipes are read side by side: memory does not grow with the trees. */
int hf_diff(struct hf_session *s, const struct hf_record *a, const struct hf_record *b, const char *source,
            const struct hf_diff_sink *sink, struct hf_error *err);

/* Take apart what is to be shown: the name of a stream, NULL for the only one there is, or else a path of the tree. *path is
 * NULL for a whole stream, else within what, without leading slashes.
 * HOLDFAST_E_USAGE: no name, and several streams; HOLDFAST_E_NOT_FOUND: no such stream, and no tree. */
int hf_cat_resolve(const struct hf_record_source *source, const char *what, const struct hf_record_stream **stream,
                   const char **path, struct hf_error *err);
/* A whole stream, or (path not NULL) a regular file of it, to fd. Everything is fetched and checked before the first byte is
 * written; when anything of it is lost nothing is, and HOLDFAST_E_CORRUPT returned. Holes are
 * written as zeros. rd's callbacks are used. */
int hf_cat(struct hf_reading *rd, const struct hf_record_stream *stream, const char *path, int fd, struct hf_error *err);

#endif
