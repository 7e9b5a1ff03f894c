/* target_calls.h - a target's callbacks, each wrapped so that every answer is checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_TARGET_CALLS_H
#define HF_TARGET_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include <holdfast/target.h>

#define KEY_MAX 512

extern struct holdfast_target_plugin plugin;
extern const struct holdfast_value *values;
extern char prefix[64]; /* what all keys of this run begin with; ends in '/' */

/* An open instance, or NULL. */
void *t_open(int create);
/* key gets prefix and name; returns key. */
const char *t_key(char key[KEY_MAX + 1], const char *name);
/* Deterministic bytes of that seed. The caller frees them. */
unsigned char *t_bytes(size_t n, unsigned seed);
/* The callbacks. Bad statuses are flaws; good ones are returned. */
int t_put(void *h, const char *name, const void *data, size_t n, uint32_t flags);
int t_get(void *h, const char *name, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
int t_stat(void *h, const char *name, uint64_t *size);
int t_remove(void *h, const char *const *names, size_t n);

/* Put, and a flaw if it fails. */
void t_must_put(void *h, const char *name, const void *data, size_t n, uint32_t flags);
/* The object is there with these bytes, by stat and get. Flaws if not. */
void t_must_be(void *h, const char *name, const void *data, size_t n);
/* It is not there, by stat and get. */
void t_must_not_be(void *h, const char *name);

/* All names below prefix + under (under ends in '/' or is ""), sorted, without the prefix. */
struct names {
  char **v;
  uint64_t *size;
  size_t n;
};
int t_list(void *h, const char *under, struct names *out);
bool t_has(const struct names *l, const char *name);
void t_names_free(struct names *l);

/* target_more.c: threads, interrupted puts, stopping. */
void test_threads(void *h);
void test_race(void *h);
void test_stopped_put(void *h);
void test_killed_put(void *h);

#endif
