/* token.c - keeping a bearer token, and reading one from an answer.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "token.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "key.h"

#define MARGIN 300 /* seconds before its end at which a token is replaced */

void hft_token_init(struct hft_token *t, const struct holdfast_host *host, hft_token_fetch fetch, void *ctx) {
  *t = (struct hft_token){.host = host, .fetch = fetch, .ctx = ctx};
  pthread_mutex_init(&t->lock, NULL);
}

void hft_token_free(char *token) {
  if (token) explicit_bzero(token, strlen(token));
  free(token);
}

void hft_token_clear(struct hft_token *t) {
  if (t->fetch) pthread_mutex_destroy(&t->lock);
  hft_token_free(t->text);
  *t = (struct hft_token){0};
}

/* With the lock held: see that there is a token, and a good one. */
static int ensure(struct hft_token *t, const char *refused) {
  int64_t now = time(NULL), expires = 0;
  char *fresh = NULL;
  bool was_refused = t->text && refused && strcmp(refused, t->text) == 0;
  bool stale = was_refused || (t->expires && now > t->expires - MARGIN);
  if (t->text && !stale) return HOLDFAST_OK;
  int status = t->fetch(t->ctx, &fresh, &expires);
  if (status == HOLDFAST_OK) {
    hft_token_free(t->text);
    t->text = fresh;
    t->expires = expires;
    return HOLDFAST_OK;
  }
  return t->text && !was_refused && now < t->expires ? HOLDFAST_OK : status;
}

int hft_token_get(struct hft_token *t, const char *refused, char **out) {
  pthread_mutex_lock(&t->lock);
  int status = ensure(t, refused);
  if (status == HOLDFAST_OK) {
    *out = strdup(t->text);
    if (!*out) status = hft_no_memory(t->host);
  }
  pthread_mutex_unlock(&t->lock);
  return status;
}

/* A number of seconds, or digits in a string; 0 for anything else. */
static int64_t seconds(const json_t *v) {
  int64_t n = json_is_integer(v) ? json_integer_value(v) : json_is_string(v) ? strtoll(json_string_value(v), NULL, 10) : 0;
  return n > 0 ? n : 0;
}

bool hft_token_json(const char *text, size_t n, int64_t now, char **token, int64_t *expires, const char **why) {
  json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
  const char *s = json_string_value(json_object_get(o, "access_token"));
  const json_t *in = json_object_get(o, "expires_in"), *on = in ? NULL : json_object_get(o, "expires_on");
  int64_t left = seconds(in ? in : on) - (on ? now : 0);
  *why = !json_is_object(o)        ? "it is no JSON object"
         : !s || !*s               ? "access_token is missing"
         : (in || on) && left <= 0 ? "its end is no time to come"
         : strpbrk(s, "\r\n")      ? "access_token has a line end in it"
                                   : NULL;
  if (!*why && !(*token = strdup(s))) *why = "out of memory";
  if (!*why) *expires = in || on ? now + (left > 365 * 86400 ? 365 * 86400 : left) : 0;
  json_decref(o);
  return !*why;
}
