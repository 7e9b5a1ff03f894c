/* source_conformance.c - holdfast-source-conformance: does a source plugin keep the contract of <holdfast/source.h>?
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: holdfast-source-conformance PLUGIN.so [KEY=VALUE ...]
 * What the settings name must not change meanwhile. Prints TAP; exits 0 when all is well, 1 when not, 2 when it could not be
 * told.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "source_walk.h"

static struct holdfast_source_plugin plugin;
static const struct holdfast_value *values;
static struct walker reference; /* the first walk, everything read; kept open for its items only */

struct arguments {
  const char *file;
  char **settings;
  int n;
};

static void test_callbacks(void) {
  const struct holdfast_source_plugin *p = &plugin;
  if (!conf_ok(p->open && p->next && p->entry_open && p->read && p->entry_close && p->close, "all mandatory callbacks are there"))
    conf_bail("a mandatory callback is missing");
  bool any = p->restore_open || p->restore_tree || p->restore_begin || p->restore_write || p->restore_end || p->restore_finish ||
             p->restore_close;
  bool raw = p->restore_begin && p->restore_write && p->restore_end;
  bool whole = p->restore_open && p->restore_finish && p->restore_close && (raw || p->restore_tree) &&
               raw == (p->restore_begin || p->restore_write || p->restore_end);
  conf_ok(!any || whole, "the restore half is whole or absent");
}

static void test_probe(void) {
  struct conf_process before;
  if (!plugin.probe) {
    conf_skip("probe", "the plugin has none");
    return;
  }
  const struct holdfast_host *host = conf_host("probe");
  conf_process(&before);
  conf_begin();
  conf_clear();
  int status = plugin.probe(host, values);
  check_status(status, "probe");
  conf_ok(conf_flawless() && status == HOLDFAST_OK, "probe says that open would work: %s", conf_message());
  conf_process_same(&before, "probe");
}

/* Everything, each entry read as soon as it comes. */
static void test_reference(void) {
  size_t read = 0, failed = 0;
  conf_begin();
  int status = walker_open(&reference, &plugin, values);
  if (!conf_ok(status == HOLDFAST_OK && conf_flawless(), "open"))
    conf_bail("open failed with status %d: %s", status, conf_message());
  status = walker_all(&reference);
  conf_ok(status == HOLDFAST_OK && conf_flawless(), "every entry comes and is as announced, up to and with finish%s%s",
          status ? ": " : "", status ? conf_message() : "");
  conf_begin();
  check_items(&reference.items);
  conf_ok(conf_flawless(), "names, order and links of the entries are right");
  for (size_t i = 0; i < reference.items.n; i++) {
    read += reference.items.v[i].status == HOLDFAST_OK;
    failed += reference.items.v[i].status < 0;
  }
  conf_note("%zu entries, %zu read, %zu could not be read, %u problems reported", reference.items.n, read, failed,
            conf_problems());
  conf_ok(reference.items.n == 0 || read > 0, "at least one entry can be read");
  struct holdfast_entry e = {.struct_size = sizeof e};
  conf_clear();
  conf_ok(status != HOLDFAST_OK || plugin.next(reference.handle, &e) == 0, "next says the end again when asked again");
}

/* Another walk with other habits must find the same. */
static void test_again(const char *what, size_t window, size_t buf_size, bool skip) {
  struct walker w;
  conf_begin();
  int status = walker_open(&w, &plugin, values);
  if (status == HOLDFAST_OK) {
    w.window = window;
    w.buf_size = buf_size;
    w.skip_tree = skip;
    status = walker_all(&w);
    check_same(&reference.items, &w.items, what);
    walker_close(&w);
  }
  conf_ok(status == HOLDFAST_OK && conf_flawless(), "%s", what);
}

static void test_two_at_once(void) {
  struct walker a, b;
  int more_a = 1, more_b = 1;
  conf_begin();
  if (walker_open(&a, &plugin, values) != HOLDFAST_OK) {
    conf_ok(false, "a second instance opens");
    return;
  }
  int status = walker_open(&b, &plugin, values);
  if (status == HOLDFAST_OK) {
    while (more_a == 1 || more_b == 1) {
      more_a = more_a == 1 ? walker_step(&a) : more_a;
      more_b = more_b == 1 ? walker_step(&b) : more_b;
    }
    check_same(&reference.items, &a.items, "first of two");
    check_same(&reference.items, &b.items, "second of two");
    walker_close(&b);
  }
  walker_close(&a);
  conf_ok(status == HOLDFAST_OK && more_a == 0 && more_b == 0 && conf_flawless(),
          "two instances at once do not disturb each other");
}

/* ---- leaving early ---- */

enum stage { AFTER_OPEN, AFTER_NEXT, AFTER_ENTRY_OPEN, AFTER_READ, AFTER_ENTRY_CLOSE, BEFORE_FINISH, N_STAGES };
static const char *const stage_names[] = {"open",         "next", "entry_open", "the first read", "an early entry_close",
                                          "the last next"};

/* Go to the first entry of that kind, leave at that stage. False if the stage cannot be reached. */
static bool leave_at(enum stage stage, uint32_t kind) {
  struct walker w;
  char byte;
  int rc = 1;
  bool reached = stage == AFTER_OPEN;
  if (walker_open(&w, &plugin, values) != HOLDFAST_OK) return false;
  w.skip_tree = true;
  while (!reached && rc == 1) {
    struct holdfast_entry e = {.struct_size = sizeof e};
    rc = plugin.next(w.handle, &e);
    if (rc == 0) reached = stage == BEFORE_FINISH;
    if (rc != 1 || stage == BEFORE_FINISH || e.kind != kind) continue;
    reached = stage == AFTER_NEXT;
    if (reached || plugin.entry_open(w.handle, &e) != HOLDFAST_OK) continue;
    reached = stage == AFTER_ENTRY_OPEN;
    if (!reached && plugin.read(w.handle, &byte, 1) >= 0) reached = stage == AFTER_READ;
    /* Not read to the end: whatever entry_close says, it must clean up, and next must go on. */
    if (!reached) {
      plugin.entry_close(w.handle);
      memset(&e, 0, sizeof e);
      e.struct_size = sizeof e;
      plugin.next(w.handle, &e);
      reached = stage == AFTER_ENTRY_CLOSE;
    }
  }
  walker_close(&w);
  return reached;
}

static void test_leaving(uint32_t kind, const char *kind_name) {
  bool present = false;
  for (size_t i = 0; i < reference.items.n; i++)
    present |= reference.items.v[i].e.kind == kind && reference.items.v[i].status == HOLDFAST_OK;
  for (enum stage s = AFTER_OPEN; s < N_STAGES; s++) {
    struct conf_process before;
    if (!present && s != AFTER_OPEN && s != BEFORE_FINISH) continue;
    conf_process(&before);
    conf_begin();
    bool reached = leave_at(s, kind);
    char what[100];
    snprintf(what, sizeof what, "close after %s (%s)", stage_names[s], kind_name);
    conf_ok(reached && conf_flawless(), "%s", what);
    conf_process_same(&before, what);
  }
}

static void test_cancel(void) {
  struct walker w;
  conf_begin();
  conf_cancel_after(1);
  int status = walker_open(&w, &plugin, values);
  if (status == HOLDFAST_OK) {
    status = walker_all(&w);
    walker_close(&w);
  }
  conf_cancel_after(0);
  conf_ok((status == HOLDFAST_OK || status == HOLDFAST_E_CANCELED) && conf_flawless(),
          "a run that is stopped ends as done or canceled");
}

/* Open, go some way, close: again and again. */
static void cycle(void) {
  struct walker w;
  if (walker_open(&w, &plugin, values) != HOLDFAST_OK) return;
  for (int i = 0; i < 200 && walker_step(&w) == 1; i++)
    ;
  walker_close(&w);
}

static void test_memory(void) {
  struct conf_process before;
  conf_begin();
  for (int i = 0; i < 3; i++) cycle();
  conf_process(&before);
  for (int i = 0; i < 20; i++) cycle();
  conf_ok(conf_flawless(), "20 times open and close");
  conf_heap_same(&before, "20 times open and close");
  conf_process_same(&before, "20 times open and close");
}

static void test_all(void *ctx) {
  const struct arguments *a = ctx;
  struct conf_process before;
  conf_load(a->file, HOLDFAST_SOURCE_ENTRY, offsetof(struct holdfast_source_plugin, close) + sizeof plugin.close, sizeof plugin,
            &plugin);
  test_callbacks();
  conf_check_settings(plugin.head.settings, false);
  values = conf_values(plugin.head.settings, a->settings, a->n);
  /* Libraries a plugin stands on may keep something for the process; what one instance leaves behind each time is what counts. */
  cycle();
  conf_process(&before);
  test_probe();
  test_reference();
  test_again("a second run gives the same, whatever the size of the reads", 1, 4093, false);
  test_again("next may run ahead of entry_open, as far as the window goes", HOLDFAST_WINDOW, 65536, false);
  test_again("no tree entry need be read", 1, 65536, true);
  test_two_at_once();
  test_leaving(HOLDFAST_FILE, "files");
  test_leaving(HOLDFAST_STREAM, "streams");
  test_cancel();
  test_memory();
  test_restore(&plugin, values);
  walker_close(&reference);
  conf_process_same(&before, "all of it");
}

int main(int argc, char **argv) {
  if (argc < 2 || argv[1][0] == '-') {
    fprintf(stderr, "usage: %s PLUGIN.so [KEY=VALUE ...]\n", argv[0]);
    return 2;
  }
  struct arguments a = {argv[1], argv + 2, argc - 2};
  return conf_run(test_all, &a);
}
