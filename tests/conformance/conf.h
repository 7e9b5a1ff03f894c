/* conf.h - what the two conformance programs share: TAP output, a host to lend, settings, the state of the process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * These programs are installed for authors of plugins and therefore see the SDK headers only. A test program runs in a
 * child of its own: the parent reports a crash or a call that never returns, and shows what was printed.
 */
#ifndef HF_CONF_H
#define HF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <holdfast/plugin.h>

#define CONF_TIMEOUT 120 /* seconds between two results after which the plugin counts as hung */
#define CONF_PRINTF(a, b) __attribute__((format(printf, a, b)))

/* ---- TAP (conf.c) ---- */
/* One result; returns good. */
bool conf_ok(bool good, const char *fmt, ...) CONF_PRINTF(2, 3);
/* A test that does not apply, and why. */
void conf_skip(const char *what, const char *why);
/* A comment line. */
void conf_note(const char *fmt, ...) CONF_PRINTF(1, 2);
/* Stop at once: what follows would make no sense. */
_Noreturn void conf_bail(const char *fmt, ...) CONF_PRINTF(1, 2);
/* Note a broken rule inside a longer check; conf_flawless is false until the next conf_begin. At most a few are shown. */
void conf_begin(void);
void conf_flaw(const char *fmt, ...) CONF_PRINTF(1, 2);
bool conf_flawless(void);

/* Run test(ctx) in a child with standard output and standard error captured. Returns the exit code for main: 0 when every
 * result was good. */
int conf_run(void (*test)(void *ctx), void *ctx);

/* ---- the host (conf_host.c) ---- */
/* A host for an instance of that name; valid until the program ends. */
const struct holdfast_host *conf_host(const char *instance);
/* The message of the last failed call in this thread, "" if the plugin set none; conf_clear forgets it. */
const char *conf_message(void);
void conf_clear(void);
/* True for 0 and every negative enum holdfast_status a plugin may return. */
bool conf_status_known(int status);
/* Let host->cancelled say yes from the n-th question on (1: the first); 0: never. */
void conf_cancel_after(unsigned n);
/* Problems of entries reported so far. */
unsigned conf_problems(void);

/* ---- the process (conf_host.c) ---- */
struct conf_process {
  unsigned fds, threads;
  unsigned umask;
  size_t heap;     /* bytes allocated, */
  bool heap_exact; /* or resident where the allocator does not say */
  char cwd[4096];
};
void conf_process(struct conf_process *p);
/* A result: descriptors, threads, folder and umask are as they were. Threads that are just ending get a moment. */
void conf_process_same(const struct conf_process *before, const char *what);
/* A result: no noticeable amount of memory has been added. */
void conf_heap_same(const struct conf_process *before, const char *what);

/* ---- loading and settings (conf_plugin.c) ---- */
/* Load a plugin; the result of entry symbol, with its head checked (TAP lines). smallest: size up to the last mandatory
 * callback; largest: size of the struct here. copy gets the zero-padded copy (largest bytes). Bails out when it makes no sense
 * to go on. */
void conf_load(const char *file, const char *entry, size_t smallest, size_t largest, void *copy);
/* Check the table (TAP lines). */
void conf_check_settings(const struct holdfast_setting *rows, bool target);
/* Values of "key=value" arguments (n of them) and defaults, one per row; bails out on a wrong one. */
const struct holdfast_value *conf_values(const struct holdfast_setting *rows, char **args, int n);

/* FNV-1a, 64 bits, for telling contents apart; start with CONF_HASH. */
#define CONF_HASH 14695981039346656037u
uint64_t conf_hash(uint64_t h, const void *p, size_t n);

#endif
