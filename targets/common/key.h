/* key.h - what all targets over HTTP do with keys of objects, and with the small files that hold credentials.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_KEY_H
#define HFT_KEY_H

#include <stdbool.h>

#include <holdfast/plugin.h>

#pragma GCC visibility push(hidden)

#define HFT_KEY_MAX 512

/* True if s is a key: parts of [A-Za-z0-9._-] with a slash between them, none "." or "..", at most HFT_KEY_MAX bytes. */
bool hft_key_ok(const char *s);
/* Is it the key of a pack? Those are what is large and rarely read; the rest is read at every run and stays at hand. */
bool hft_key_is_pack(const char *key);
/* The status for a key that is not one, with a message. */
int hft_bad_key(const struct holdfast_host *host, const char *key);

/* HOLDFAST_OK for a prefix of a listing, which is "" or a key with a slash behind it; or a status, with a message. */
int hft_prefix_check(const struct holdfast_host *host, const char *prefix);

int hft_no_memory(const struct holdfast_host *host);

/* The whole of a small file (at most 1 MiB) as a text, which the caller frees. *out is NULL when there is none and missing_ok. HOLDFAST_E_AUTH: it
 * may not be read; HOLDFAST_E_CONFIG: it is not there, or too large. */
int hft_read_file(const struct holdfast_host *host, const char *path, bool missing_ok, char **out);

#pragma GCC visibility pop
#endif
