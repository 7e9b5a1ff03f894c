/* token.h - a bearer token in use: fetched once for all threads, kept, replaced before it expires.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_TOKEN_H
#define HFT_TOKEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <holdfast/plugin.h>

#pragma GCC visibility push(hidden)

/* Get a token from where it comes from: *token is allocated and becomes the cache's, *expires is in seconds since 1970, 0: never as far as one knows.
 * A status with its message when there is none to be had. */
typedef int (*hft_token_fetch)(void *ctx, char **token, int64_t *expires);

struct hft_token {
  const struct holdfast_host *host;
  hft_token_fetch fetch;
  void *ctx;
  pthread_mutex_t lock; /* over what follows; held while a token is fetched */
  char *text;
  int64_t expires;
};

void hft_token_init(struct hft_token *t, const struct holdfast_host *host, hft_token_fetch fetch, void *ctx);
/* Wipes the token. A zeroed one is allowed. */
void hft_token_clear(struct hft_token *t);
/* A copy of the token to send, which the caller frees with hft_token_free. One that is about to expire is replaced first; the old one does for as long as
 * it lasts when that fails. refused: the server has refused this one, NULL for none; another is fetched if it is still the one in use. */
int hft_token_get(struct hft_token *t, const char *refused, char **out);
void hft_token_free(char *token); /* wiped; NULL is allowed */

/* The answer of an OAuth 2 token endpoint (RFC 6749, section 5.1), or of a cloud's metadata service: "access_token" and "expires_in", or else "expires_on" in
 * seconds since 1970; numbers or digits in a string. now: when it came, in seconds since 1970. False when it is no such answer; *why says what is missing. */
bool hft_token_json(const char *text, size_t n, int64_t now, char **token, int64_t *expires, const char **why);

#pragma GCC visibility pop
#endif
