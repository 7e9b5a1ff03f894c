/* env.c - NAME=VALUE pairs and files of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool hf_exec_env_name(const char *name, size_t n) {
  if (n == 0 || (name[0] >= '0' && name[0] <= '9')) return false;
  for (size_t i = 0; i < n; i++) {
    char c = name[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

/* Which one has that name; e->n when none has. */
static size_t find(const struct hf_exec_env *e, const char *name, size_t n) {
  size_t i = 0;
  while (i < e->n && !(strncmp(e->v[i], name, n) == 0 && e->v[i][n] == '=')) i++;
  return i;
}

static void wipe(char *pair) {
  if (pair) explicit_bzero(pair, strlen(pair));
  free(pair);
}

bool hf_exec_env_set(struct hf_exec_env *e, const char *name, size_t name_n, const char *value, size_t value_n) {
  char *pair = malloc(name_n + value_n + 2);
  if (!pair) return false;
  memcpy(pair, name, name_n);
  pair[name_n] = '=';
  memcpy(pair + name_n + 1, value, value_n);
  pair[name_n + 1 + value_n] = '\0';
  size_t i = find(e, name, name_n);
  if (i < e->n) {
    wipe(e->v[i]);
    e->v[i] = pair;
    return true;
  }
  char **grown = realloc(e->v, (e->n + 2) * sizeof *grown);
  if (!grown) {
    wipe(pair);
    return false;
  }
  e->v = grown;
  e->v[e->n++] = pair;
  e->v[e->n] = NULL;
  return true;
}

const char *hf_exec_env_get(const struct hf_exec_env *e, const char *name) {
  size_t n = strlen(name), i = find(e, name, n);
  return i < e->n ? e->v[i] + n + 1 : NULL;
}

void hf_exec_env_free(struct hf_exec_env *e) {
  for (size_t i = 0; i < e->n; i++) wipe(e->v[i]);
  free(e->v);
  *e = (struct hf_exec_env){0};
}

/* ---- files ---- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* The value between p and end, which has no blanks around it, written to out, which has room for as many bytes. NULL, or what is wrong. */
static const char *unquote(const char *p, const char *end, char *out, size_t *n) {
  *n = 0;
  char quote = p < end && (*p == '"' || *p == '\'') ? *p++ : '\0';
  if (!quote && p < end && end[-1] == '\\') return "a value goes to the end of its line, and a backslash there does not make it longer";
  while (p < end && !(quote && *p == quote)) {
    if (quote == '"' && *p == '\\' && p + 1 < end && strchr("\\\"$`", p[1])) p++;
    out[(*n)++] = *p++;
  }
  if (!quote) return NULL;
  if (p == end) return "the closing quote is missing";
  return p + 1 == end ? NULL : "something follows the closing quote";
}

/* One line without its end, not empty and no comment. NULL, or what is wrong. */
static const char *take_line(struct hf_exec_env *e, const char *p, const char *end) {
  const char *eq = memchr(p, '=', (size_t)(end - p));
  if (!eq || !hf_exec_env_name(p, (size_t)(eq - p)))
    return "write NAME=VALUE, the name of letters, digits and '_', without a blank before the =";
  if (memchr(p, '\0', (size_t)(end - p))) return "it holds a NUL byte";
  const char *from = eq + 1;
  while (from < end && is_blank(*from)) from++;
  while (end > from && is_blank(end[-1])) end--;
  size_t room = (size_t)(end - from), n;
  char *value = malloc(room + 1);
  if (!value) return "out of memory";
  const char *bad = unquote(from, end, value, &n);
  if (!bad && !hf_exec_env_set(e, p, (size_t)(eq - p), value, n)) bad = "out of memory";
  explicit_bzero(value, room + 1);
  free(value);
  return bad;
}

unsigned hf_exec_env_parse(struct hf_exec_env *e, const char *text, size_t n, const char **why) {
  const char *p = text, *stop = text + n;
  for (unsigned line = 1; p < stop; line++) {
    const char *nl = memchr(p, '\n', (size_t)(stop - p)), *end = nl ? nl : stop;
    const char *next = nl ? nl + 1 : stop;
    if (end > p && end[-1] == '\r') end--;
    while (p < end && is_blank(*p)) p++;
    if (p < end && *p != '#' && *p != ';' && (*why = take_line(e, p, end))) return line;
    p = next;
  }
  return 0;
}

/* The whole of a regular file into buf, which has room for one byte more than it may have. Returns its length or -1 with errno. */
static ssize_t slurp(const char *path, char *buf) {
  /* O_NONBLOCK: a FIFO without a writer must not hang the run. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat st;
  size_t n = 0;
  ssize_t got = 0;
  if (fd < 0) return -1;
  if (fstat(fd, &st) != 0) {
    got = -1;
  } else if (!S_ISREG(st.st_mode)) {
    got = -1;
    errno = S_ISDIR(st.st_mode) ? EISDIR : ESPIPE;
  }
  while (got >= 0 && n <= HF_EXEC_ENV_FILE_MAX && (got = read(fd, buf + n, HF_EXEC_ENV_FILE_MAX + 1 - n)) > 0) n += (size_t)got;
  int saved = errno;
  close(fd);
  errno = saved;
  return got < 0 ? -1 : (ssize_t)n;
}

int hf_exec_env_file(struct hf_exec_env *e, const struct holdfast_host *host, const char *path) {
  char *buf = malloc(HF_EXEC_ENV_FILE_MAX + 1);
  const char *why = NULL;
  unsigned line;
  int rc = HOLDFAST_OK;
  if (!buf) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  ssize_t n = slurp(path, buf);
  if (n < 0)
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "environment-file = %s: %s", path,
                       errno == ESPIPE ? "is not a regular file" : strerror(errno));
  else if (n > (ssize_t)HF_EXEC_ENV_FILE_MAX)
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "environment-file = %s: is larger than %u KiB", path, HF_EXEC_ENV_FILE_MAX / 1024);
  else if ((line = hf_exec_env_parse(e, buf, (size_t)n, &why)) > 0)
    rc = holdfast_fail(host, HOLDFAST_E_CONFIG, "environment-file = %s: line %u: %s", path, line, why);
  explicit_bzero(buf, HF_EXEC_ENV_FILE_MAX + 1);
  free(buf);
  return rc;
}
