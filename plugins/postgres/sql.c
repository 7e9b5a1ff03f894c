/* sql.c - the script of pg_dumpall --globals-only, taken apart: statement by statement, and what each is about.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sql.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80; }

/* Behind the quoted text that begins at p; end when it does not end. */
static const char *skip_quoted(const char *p, const char *end, bool escapes) {
  char q = *p++;
  for (; p < end; p++) {
    if (escapes && *p == '\\' && p + 1 < end)
      p++;
    else if (*p == q && p + 1 < end && p[1] == q)
      p++;
    else if (*p == q)
      return p + 1;
  }
  return NULL;
}

/* Behind $tag$...$tag$ that begins at p; p + 1 when it is none; NULL when it does not end. */
static const char *skip_dollar(const char *p, const char *end) {
  const char *t = p + 1;
  while (t < end && is_word(*t) && *t != '$') t++;
  if (t == end || *t != '$') return p + 1;
  size_t n = (size_t)(t - p) + 1;
  const char *close = memmem(t + 1, (size_t)(end - t - 1), p, n);
  return close ? close + n : NULL;
}

static const char *skip_line(const char *p, const char *end) {
  const char *nl = memchr(p, '\n', (size_t)(end - p));
  return nl ? nl + 1 : end;
}

static bool starts_comment(const char *p, const char *end) { return end - p >= 2 && p[0] == '-' && p[1] == '-'; }

int hf_pg_sql_next(const char **at, const char *end, const char **from, size_t *n) {
  const char *p = *at;
  /* Between statements: blanks, comments, and the lines with a backslash that only psql understands (\restrict, \connect). */
  for (;;) {
    while (p < end && (isspace((unsigned char)*p) || *p == ';')) p++;
    if (p < end && (*p == '\\' || starts_comment(p, end)))
      p = skip_line(p, end);
    else
      break;
  }
  if (p == end) {
    *at = end;
    return 0;
  }
  *from = p;
  bool word = false; /* is the byte before p part of a word? */
  while (p && p < end && *p != ';') {
    char c = *p;
    if (c == '\0') return -1;
    bool escapes = c == '\'' && p > *from && (p[-1] == 'E' || p[-1] == 'e') && (p - 1 == *from || !is_word(p[-2]));
    if (c == '\'' || c == '"')
      p = skip_quoted(p, end, escapes);
    else if (c == '$' && !word)
      p = skip_dollar(p, end);
    else if (starts_comment(p, end))
      p = skip_line(p, end);
    else
      p++;
    word = is_word(c);
  }
  if (!p || p == end) return -1;
  *n = (size_t)(p - *from);
  *at = p + 1;
  return 1;
}

/* ---- what it is about ---- */

struct tokens {
  const char *p, *end;
  char text[HF_PG_NAME_MAX]; /* a name without its quotes, or one character */
  bool quoted;
};

/* The next token; false at the end, or when it is too long to be a name. */
static bool token(struct tokens *t) {
  size_t n = 0;
  while (t->p < t->end && isspace((unsigned char)*t->p)) t->p++;
  if (t->p == t->end) return false;
  t->quoted = *t->p == '"';
  if (t->quoted) {
    for (t->p++; t->p < t->end; t->p++) {
      if (*t->p == '"' && (t->p + 1 == t->end || t->p[1] != '"')) break;
      if (*t->p == '"') t->p++;
      if (n + 1 == sizeof t->text) return false;
      t->text[n++] = *t->p;
    }
    if (t->p < t->end) t->p++;
  } else if (is_word(*t->p)) {
    while (t->p < t->end && is_word(*t->p)) {
      if (n + 1 == sizeof t->text) return false;
      t->text[n++] = *t->p++;
    }
  } else {
    t->text[n++] = *t->p++;
  }
  t->text[n] = '\0';
  return true;
}

static bool is(const struct tokens *t, const char *keyword) { return !t->quoted && strcasecmp(t->text, keyword) == 0; }

static bool name(struct tokens *t, char *out) {
  if (!token(t)) return false;
  strcpy(out, t->text);
  return true;
}

/* GRANT member-of TO role; GRANT rights ON PARAMETER|TABLESPACE x TO role. */
static enum hf_pg_sql_kind grant(struct tokens *t, char *out) {
  bool on = false;
  while (token(t)) {
    if (is(t, "ON")) {
      on = true;
      if (!token(t)) break;
      if (is(t, "TABLESPACE")) return name(t, out) ? HF_PG_SQL_TABLESPACE : HF_PG_SQL_OTHER;
      if (!is(t, "PARAMETER")) break;
    } else if (is(t, "TO") || is(t, "FROM")) {
      return name(t, out) ? (on ? HF_PG_SQL_ROLE : HF_PG_SQL_MEMBER) : HF_PG_SQL_OTHER;
    }
  }
  return HF_PG_SQL_OTHER;
}

/* `ROLE name` or `TABLESPACE name` behind COMMENT, SECURITY LABEL FOR provider. */
static enum hf_pg_sql_kind remark(struct tokens *t, char *out) {
  while (token(t)) {
    if (!is(t, "ON")) continue;
    if (!token(t)) break;
    if (is(t, "ROLE")) return name(t, out) ? HF_PG_SQL_ROLE : HF_PG_SQL_OTHER;
    if (is(t, "TABLESPACE")) return name(t, out) ? HF_PG_SQL_TABLESPACE : HF_PG_SQL_OTHER;
    break;
  }
  return HF_PG_SQL_OTHER;
}

enum hf_pg_sql_kind hf_pg_sql_subject(const char *sql, size_t n, char out[HF_PG_NAME_MAX]) {
  struct tokens t = {.p = sql, .end = sql + n};
  *out = '\0';
  if (!token(&t)) return HF_PG_SQL_OTHER;
  if (is(&t, "SET")) return HF_PG_SQL_SET;
  if (is(&t, "GRANT") || is(&t, "REVOKE")) return grant(&t, out);
  if (is(&t, "COMMENT") || is(&t, "SECURITY")) return remark(&t, out);
  bool create = is(&t, "CREATE");
  if (!create && !is(&t, "ALTER")) return HF_PG_SQL_OTHER;
  if (!token(&t)) return HF_PG_SQL_OTHER;
  enum hf_pg_sql_kind kind = is(&t, "ROLE") ? (create ? HF_PG_SQL_CREATE_ROLE : HF_PG_SQL_ROLE)
                             : is(&t, "TABLESPACE") ? HF_PG_SQL_TABLESPACE
                                                    : HF_PG_SQL_OTHER;
  return kind != HF_PG_SQL_OTHER && name(&t, out) ? kind : HF_PG_SQL_OTHER;
}
