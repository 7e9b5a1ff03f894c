/* parse.h - the syntax of nginx configuration files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_NGINX_PARSE_H
#define HF_NGINX_PARSE_H

#include <stddef.h>

#define HF_NGINX_ARGS_MAX 4096  /* words of one directive */
#define HF_NGINX_DEPTH_MAX 64   /* blocks in one another */

/* One directive: words[0] is its name. parent: the name of the block it stands in, "" at the top. line: where it ends, from 1. All
 * texts are gone when the function returns. A negative result stops the parser, which returns it. */
struct hf_nginx_directive {
  const char *const *words;
  size_t n;
  const char *parent;
  unsigned line;
};
typedef int (*hf_nginx_fn)(void *ctx, const struct hf_nginx_directive *d);

/* What is wrong, when hf_nginx_parse returns HF_NGINX_SYNTAX. */
struct hf_nginx_error {
  unsigned line;
  const char *what; /* static text */
};
enum { HF_NGINX_SYNTAX = -1000, HF_NGINX_NO_MEMORY = -1001 };

/* Take the n bytes at text apart, by nginx' own rules: quotes, escapes, comments, "${name}", and the Lua code of *_by_lua_block, which is
 * passed over. fn is called for each directive when it ends in ';' or opens a block. 0, what fn returned, or one of the two above.
 * Memory: the longest directive. */
int hf_nginx_parse(const char *text, size_t n, hf_nginx_fn fn, void *ctx, struct hf_nginx_error *err);

#endif
