/* parse.c - the syntax of nginx configuration files.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A directive is words up to ';' or '{'. A word that begins with a quote ends with it; any other ends at a blank, ';' or '{', where the
 * brace of "${" does not count. '#' begins a comment only where a word could begin. A backslash protects the byte behind it.
 */
#include "parse.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct parser {
  const char *at, *end;
  unsigned line;
  hf_nginx_fn fn;
  void *ctx;
  struct hf_nginx_error *err;
  char *text; /* the words of the directive, each with its NUL */
  size_t len, cap;
  size_t start[HF_NGINX_ARGS_MAX]; /* where each begins */
  const char *words[HF_NGINX_ARGS_MAX];
  size_t n;
  char *blocks[HF_NGINX_DEPTH_MAX]; /* names of the blocks we are in */
  size_t depth;
};

static int wrong(struct parser *p, const char *what) {
  *p->err = (struct hf_nginx_error){p->line, what};
  return HF_NGINX_SYNTAX;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static int put(struct parser *p, char c) {
  if (p->len == p->cap) {
    size_t cap = p->cap ? p->cap * 2 : 256;
    char *grown = realloc(p->text, cap);
    if (!grown) return HF_NGINX_NO_MEMORY;
    p->text = grown;
    p->cap = cap;
  }
  p->text[p->len++] = c;
  return 0;
}

/* Blanks and comments. */
static void skip(struct parser *p) {
  for (; p->at < p->end; p->at++) {
    if (*p->at == '#') {
      while (p->at < p->end && *p->at != '\n') p->at++;
      if (p->at == p->end) return;
    }
    if (!is_blank(*p->at)) return;
    if (*p->at == '\n') p->line++;
  }
}

/* The byte behind a backslash, as nginx puts it into the word. */
static int put_escaped(struct parser *p, char c) {
  switch (c) {
  case '"':
  case '\'':
  case '\\': return put(p, c);
  case 't': return put(p, '\t');
  case 'r': return put(p, '\r');
  case 'n': return put(p, '\n');
  default: {
    int rc = put(p, '\\');
    return rc < 0 ? rc : put(p, c);
  }
  }
}

/* One word, which begins at p->at. */
static int word(struct parser *p) {
  if (p->n == HF_NGINX_ARGS_MAX) return wrong(p, "too many words in one directive");
  p->start[p->n++] = p->len;
  char quote = *p->at == '"' || *p->at == '\'' ? *p->at++ : '\0';
  bool variable = false;
  int rc = 0;
  for (; rc == 0; p->at++) {
    if (p->at == p->end) return wrong(p, quote ? "a quote is not closed" : "the file ends within a directive; a ';' is missing");
    char c = *p->at;
    if (c == '\0') return wrong(p, "a NUL byte");
    if (c == '\n') p->line++;
    if (c == '\\' && p->at + 1 < p->end && p->at[1] != '\0') {
      if (p->at[1] == '\n') p->line++;
      rc = put_escaped(p, *++p->at);
      variable = false;
      continue;
    }
    if (quote ? c == quote : is_blank(c) || c == ';' || (c == '{' && !variable)) {
      if (c == '\n' && !quote) p->line--; /* skip counts it */
      break;
    }
    rc = put(p, c);
    variable = c == '$';
  }
  if (rc == 0 && quote) {
    p->at++;
    if (p->at < p->end && !is_blank(*p->at) && *p->at != ';' && *p->at != '{' && *p->at != ')') return wrong(p, "a quoted word goes on behind its quote");
  }
  return rc == 0 ? put(p, '\0') : rc;
}

static void settle(struct parser *p) {
  for (size_t i = 0; i < p->n; i++) p->words[i] = p->text + p->start[i];
}

static int call(struct parser *p) {
  struct hf_nginx_directive d = {p->words, p->n, p->depth ? p->blocks[p->depth - 1] : "", p->line};
  return p->fn(p->ctx, &d);
}

/* ---- Lua: only as much as it takes to find the brace that ends the block ---- */

/* "[[", "[==[" at p->at: how many '=', or -1. */
static int long_bracket(const struct parser *p) {
  const char *s = p->at + 1;
  while (s < p->end && *s == '=') s++;
  return s < p->end && *s == '[' ? (int)(s - p->at - 1) : -1;
}

static int lua_long(struct parser *p, int level) {
  p->at += level + 2;
  for (; p->at < p->end; p->at++) {
    if (*p->at == '\n') p->line++;
    if (*p->at != ']') continue;
    const char *s = p->at + 1;
    int n = 0;
    while (s < p->end && *s == '=' && n < level) s++, n++;
    if (n == level && s < p->end && *s == ']') {
      p->at = s + 1;
      return 0;
    }
  }
  return wrong(p, "a long bracket of Lua is not closed");
}

static int lua_string(struct parser *p) {
  char quote = *p->at++;
  for (; p->at < p->end; p->at++) {
    if (*p->at == '\n') p->line++;
    if (*p->at == '\\' && p->at + 1 < p->end) {
      if (*++p->at == '\n') p->line++;
    } else if (*p->at == quote) {
      p->at++;
      return 0;
    }
  }
  return wrong(p, "a string of Lua is not closed");
}

/* Behind the '{' that opens the block, to behind the '}' that closes it. */
static int lua_block(struct parser *p) {
  size_t depth = 1;
  int rc = 0;
  while (rc == 0 && p->at < p->end) {
    char c = *p->at;
    int level;
    if (c == '-' && p->at + 1 < p->end && p->at[1] == '-') {
      p->at += 2;
      if (p->at < p->end && *p->at == '[' && (level = long_bracket(p)) >= 0) rc = lua_long(p, level);
      else
        while (p->at < p->end && *p->at != '\n') p->at++;
    } else if (c == '[' && (level = long_bracket(p)) >= 0) {
      rc = lua_long(p, level);
    } else if (c == '"' || c == '\'') {
      rc = lua_string(p);
    } else {
      p->at++;
      if (c == '\n') p->line++;
      if (c == '{') depth++;
      if (c == '}' && --depth == 0) return 0;
    }
  }
  return rc < 0 ? rc : wrong(p, "a block of Lua is not closed");
}

/* ---- directives ---- */

static bool ends_with(const char *s, const char *with) {
  size_t n = strlen(s), k = strlen(with);
  return n >= k && strcmp(s + n - k, with) == 0;
}

/* p->at is behind the '{'. */
static int open_block(struct parser *p) {
  if (ends_with(p->words[0], "_by_lua_block")) return lua_block(p);
  if (p->depth == HF_NGINX_DEPTH_MAX) return wrong(p, "too many blocks in one another");
  char *name = strdup(p->words[0]);
  if (!name) return HF_NGINX_NO_MEMORY;
  p->blocks[p->depth++] = name;
  return 0;
}

static int parse(struct parser *p) {
  int rc = 0;
  while (rc == 0) {
    skip(p);
    if (p->at == p->end) {
      if (p->n) return wrong(p, "the file ends within a directive; a ';' is missing");
      return p->depth ? wrong(p, "the file ends within a block; a '}' is missing") : 0;
    }
    char c = *p->at;
    if (c == ';' || c == '{') {
      if (p->n == 0) return wrong(p, c == ';' ? "a ';' with nothing before it" : "a '{' with nothing before it");
      p->at++;
      settle(p);
      rc = call(p);
      if (rc == 0 && c == '{') rc = open_block(p);
      p->n = p->len = 0;
    } else if (c == '}') {
      if (p->n) return wrong(p, "a '}' within a directive; a ';' is missing");
      if (p->depth == 0) return wrong(p, "a '}' too many");
      free(p->blocks[--p->depth]);
      p->at++;
    } else if (c == ')' && p->n) {
      p->at++; /* what nginx allows behind a quoted word of `if ($x = "y")` */
    } else {
      rc = word(p);
    }
  }
  return rc;
}

int hf_nginx_parse(const char *text, size_t n, hf_nginx_fn fn, void *ctx, struct hf_nginx_error *err) {
  struct parser *p = calloc(1, sizeof *p);
  if (!p) return HF_NGINX_NO_MEMORY;
  p->at = text;
  p->end = text + n;
  p->line = 1;
  p->fn = fn;
  p->ctx = ctx;
  p->err = err;
  *err = (struct hf_nginx_error){0, ""};
  int rc = parse(p);
  while (p->depth > 0) free(p->blocks[--p->depth]);
  free(p->text);
  free(p);
  return rc;
}
