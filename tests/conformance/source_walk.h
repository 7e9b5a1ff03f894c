/* source_walk.h - going through a source as the host does, checking every answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_SOURCE_WALK_H
#define HF_SOURCE_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include <holdfast/source.h>

/* An entry as next gave it, with strings of its own, and what reading it came to. */
struct item {
  struct holdfast_entry e;
  int status;     /* of entry_open, read and entry_close together; 1: not read */
  uint64_t bytes; /* read */
  uint64_t hash;  /* of them */
};

struct items {
  struct item *v;
  size_t n, cap;
};

struct walker {
  const struct holdfast_source_plugin *p;
  void *handle;
  struct items items;
  size_t pending;  /* items before this one have been read or skipped */
  size_t window;   /* how far next runs ahead of entry_open: 1 to HOLDFAST_WINDOW */
  size_t buf_size; /* for each read */
  bool skip_tree;  /* take every tree entry for unchanged */
};

/* Ready to go; opens an instance. Returns the status of open. */
int walker_open(struct walker *w, const struct holdfast_source_plugin *p, const struct holdfast_value *values);
/* One call of next, and whatever is to be read then. 1: go on, 0: the end, negative: the source failed. Broken rules are
 * flaws. */
int walker_step(struct walker *w);
/* All steps, then finish; with the last status. */
int walker_all(struct walker *w);
/* Close the instance and free the items. */
void walker_close(struct walker *w);

/* Read one item: entry_open to entry_close; fills status, bytes and hash. */
void read_item(struct walker *w, struct item *it);
/* A failed call must say so in the right way: a known status and a message. Anything else is a flaw. */
void check_status(int status, const char *call);
/* Rules about the entries as a whole: order, names, links. */
void check_items(const struct items *items);
/* The same entries again, and the same bytes where both were read? what names the second walk. */
void check_same(const struct items *a, const struct items *b, const char *what);

/* source_restore.c: restore into a folder of our own, in several ways (TAP lines). */
void test_restore(const struct holdfast_source_plugin *p, const struct holdfast_value *values);

#endif
