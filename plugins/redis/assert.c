/* assert.c - what an admin wants to be true of a restored copy: a command, and what it should reply.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void hf_redis_assert_clear(struct hf_redis_assert *a) {
  free(a->text);
  memset(a, 0, sizeof *a);
}

/* Cut the line at blanks; '...' and "..." keep blanks, and may stand inside a word. NULL or what is wrong. */
static const char *cut(const char *line, char *out, const char **words, bool *quoted, size_t *n) {
  *n = 0;
  while (*(line += strspn(line, " \t"))) {
    if (*n == HF_REDIS_WORDS) return "it has too many words";
    words[*n] = out;
    quoted[*n] = false;
    while (*line && *line != ' ' && *line != '\t') {
      char c = *line++;
      if (c != '\'' && c != '"') {
        *out++ = c;
        continue;
      }
      const char *end = strchr(line, c);
      if (!end) return "a quote has no end";
      memcpy(out, line, (size_t)(end - line));
      out += end - line;
      line = end + 1;
      quoted[*n] = true;
    }
    *out++ = '\0';
    ++*n;
  }
  return NULL;
}

static bool is_operator(const char *word) {
  static const char *const all[] = {"==", "!=", "<", "<=", ">", ">="};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(word, all[i]) == 0) return true;
  return false;
}

static bool number(const char *s, double *out) {
  char *end;
  errno = 0;
  *out = strtod(s, &end);
  return *s && !isspace((unsigned char)*s) && !*end && errno == 0;
}

const char *hf_redis_assert_parse(struct hf_redis_assert *a, const char *line) {
  bool quoted[HF_REDIS_WORDS];
  double ignored;
  memset(a, 0, sizeof *a);
  if (!(a->text = malloc(strlen(line) + 1))) return "out of memory";
  const char *wrong = cut(line, a->text, a->words, quoted, &a->n);
  if (wrong) return wrong;
  size_t digits = a->n > 0 && !quoted[0] ? strspn(a->words[0], "0123456789") : 0;
  if (digits > 0 && digits < 7 && strcmp(a->words[0] + digits, ":") == 0) {
    a->text[digits] = '\0'; /* the first word is at the beginning of text */
    a->db = a->words[0];
    a->n--;
    for (size_t i = 0; i < a->n; i++) {
      a->words[i] = a->words[i + 1];
      quoted[i] = quoted[i + 1];
    }
  }
  if (a->n >= 2 && !quoted[a->n - 2] && is_operator(a->words[a->n - 2])) {
    a->op = a->words[a->n - 2];
    a->value = a->words[a->n - 1];
    a->n -= 2;
    if ((*a->op == '<' || *a->op == '>') && !number(a->value, &ignored)) return "what is compared by < or > must be a number";
  } else if (a->n >= 1 && !quoted[a->n - 1] && is_operator(a->words[a->n - 1])) {
    return "there is nothing to compare with";
  }
  return a->n > 0 ? NULL : "there is no command";
}

bool hf_redis_assert_holds(const struct hf_redis_assert *a, const struct hf_redis_reply *r, char *got, size_t cap) {
  char text[32];
  const char *s = text;
  double x, y;
  snprintf(text, sizeof text, "%lld", r->type == HF_REDIS_ARRAY ? (long long)r->n_items : (long long)r->integer);
  if (r->type == HF_REDIS_STATUS || r->type == HF_REDIS_BULK || r->type == HF_REDIS_ERROR) s = r->text;
  hf_redis_printable(s, strlen(s), got, cap);
  if (r->type == HF_REDIS_NIL) snprintf(got, cap, "nothing");
  if (r->type == HF_REDIS_ERROR) return false;
  if (!a->op) return r->type != HF_REDIS_NIL && *s && strcmp(s, "0") != 0;
  if (r->type == HF_REDIS_NIL) return strcmp(a->op, "!=") == 0;
  if (a->op[1] == '=' && (*a->op == '=' || *a->op == '!')) return (strcmp(s, a->value) == 0) == (*a->op == '=');
  if (!number(s, &x) || !number(a->value, &y)) return false;
  bool equal = a->op[1] == '=' && x == y;
  return equal || (*a->op == '<' ? x < y : x > y);
}

static int check_one(struct hf_redis_conn *c, const struct hf_redis_assert *a, const char *line) {
  struct hf_redis_reply r;
  char got[200];
  int rc = HF_REDIS_MUST(c, NULL, "SELECT", a->db ? a->db : "0");
  if (rc == HOLDFAST_OK) rc = hf_redis_call(c, &r, a->n, a->words);
  if (rc != HOLDFAST_OK) return rc;
  if (!hf_redis_assert_holds(a, &r, got, sizeof got))
    rc = holdfast_fail(hf_redis_host(c), HOLDFAST_E_FAILED, "assert = %s: the reply is %s", line, *got ? got : "empty");
  hf_redis_reply_clear(&r);
  return rc;
}

int hf_redis_assert_all(struct hf_redis_conn *c, const struct holdfast_value *lines) {
  int rc = HOLDFAST_OK;
  for (uint32_t i = 0; rc == HOLDFAST_OK && i < lines->count; i++) {
    struct hf_redis_assert a;
    const char *wrong = hf_redis_assert_parse(&a, lines->strings[i]);
    rc = wrong ? holdfast_fail(hf_redis_host(c), HOLDFAST_E_CONFIG, "assert = %s: %s", lines->strings[i], wrong) : check_one(c, &a, lines->strings[i]);
    hf_redis_assert_clear(&a);
  }
  return rc;
}
