/* ini.c - INI text to sections, keys and values, by inih.
 * SPDX-License-Identifier: Apache-2.0
 *
 * How inih is built differs between systems (continuation lines, which comments, whether the handler is told the line), and its buffers are
 * fixed: it cuts a line at 200 bytes, and a section or a name at 50, without a word. A manifest must mean the same everywhere and nothing may be cut. So each
 * line is checked and stripped of comments here before inih sees it, and long texts are taken from the line itself.
 */
#include <ini.h>

#include "base/text.h"
#include "manifest/internal.h"

struct reader {
  const char *at, *end; /* what is left */
  const char *file;
  unsigned line;
  char *text;        /* the line, cleaned */
  const char *value; /* in text: behind the '='; NULL when there is none */
  char *key;
  char *section; /* NULL before the first */
  hf_ini_fn fn;
  void *ctx;
  struct hf_error *err;
  int status; /* first failure; ends the reading */
};

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static void drop_text(struct reader *r) {
  if (r->text) hf_wipe(r->text, strlen(r->text)); /* may have been a secret */
  hf_freep(&r->text);
  hf_freep(&r->key);
  r->value = NULL;
}

static int fail_line(struct reader *r) {
  r->status = hf_prefix(r->err, "%s:%u", r->file, r->line);
  return r->status;
}

/* Cut the next physical line off, refuse what is no text, and leave it without comment and outer blanks in r->text. */
static int next_text(struct reader *r) {
  const char *nl = memchr(r->at, '\n', (size_t)(r->end - r->at));
  size_t n = (size_t)((nl ? nl : r->end) - r->at);
  const char *p = r->at;
  r->at = nl ? nl + 1 : r->end;
  r->line++;
  if (n && p[n - 1] == '\r') n--;
  if (n > HF_INI_LINE_MAX)
    return hf_fail(r->err, HOLDFAST_E_CONFIG, "the line has %zu bytes; %d are the most", n, HF_INI_LINE_MAX);
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
      return hf_fail(r->err, HOLDFAST_E_CONFIG, "byte %zu of the line is a %s (0x%02x); a manifest is plain text", i + 1,
                     p[i] ? "control character" : "NUL", (unsigned)p[i]);
  while (n && is_blank(*p)) p++, n--;
  if (n && (*p == ';' || *p == '#')) n = 0;
  for (size_t i = 1; i < n; i++)
    if ((p[i] == ';' || p[i] == '#') && is_blank(p[i - 1])) n = i;
  while (n && is_blank(p[n - 1])) n--;
  r->text = hf_strndup(p, n);
  return 0;
}

/* r->text is a section header: announce it. */
static int take_section(struct reader *r) {
  size_t n = strlen(r->text);
  if (r->text[n - 1] != ']' || strchr(r->text, ']') != r->text + n - 1)
    return hf_fail(r->err, HOLDFAST_E_CONFIG,
                   "a section is written [holdfast], [source NAME], [target NAME], [notify NAME] or [contact NAME], and nothing follows it");
  const char *p = r->text + 1;
  n -= 2;
  while (n && is_blank(*p)) p++, n--;
  while (n && is_blank(p[n - 1])) n--;
  free(r->section);
  r->section = hf_strndup(p, n);
  return r->fn(r->ctx, r->line, r->section, NULL, NULL, r->err);
}

/* Split r->text at its first '='. Without one, inih reports the line. */
static int take_key(struct reader *r) {
  const char *eq = strchr(r->text, '=');
  if (!eq) return 0;
  size_t n = (size_t)(eq - r->text);
  while (n && is_blank(r->text[n - 1])) n--;
  if (n == 0) return hf_fail(r->err, HOLDFAST_E_CONFIG, "there is no key before the =");
  if (n > HF_INI_KEY_MAX)
    return hf_fail(r->err, HOLDFAST_E_CONFIG, "the key has %zu bytes; no key has more than %d", n, HF_INI_KEY_MAX);
  r->key = hf_strndup(r->text, n);
  for (const char *c = r->key; *c; c++)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_' ||
          *c == '.')) {
      HF_CLEANUP(hf_freep) char *shown = hf_printable(r->key, n);
      return hf_fail(r->err, HOLDFAST_E_CONFIG,
                     "\"%s\" is no key; write key = value, the key in lower case letters, digits and '-'", shown);
    }
  for (eq++; is_blank(*eq); eq++) continue;
  r->value = eq;
  return 0;
}

/* inih's reader, fgets-like: one physical line a call, so that inih counts as we do; NULL at the end or after an error. */
static char *read_line(char *buf, int size, void *stream) {
  struct reader *r = stream;
  drop_text(r);
  if (r->status < 0 || r->at == r->end || size < HF_INI_KEY_MAX + 4) return NULL;
  int rc = next_text(r);
  bool header = rc == 0 && *r->text == '[';
  if (rc == 0) rc = header ? take_section(r) : take_key(r);
  if (rc < 0) {
    fail_line(r);
    return NULL;
  }
  /* A header was dealt with, and a value stays here. A line that is neither is bad for inih however much of it is seen. */
  if (header)
    snprintf(buf, (size_t)size, "\n");
  else if (r->key)
    snprintf(buf, (size_t)size, "%s=\n", r->key);
  else
    snprintf(buf, (size_t)size, "%.*s\n", HF_INI_KEY_MAX, r->text);
  return buf;
}

/* inih's handler: 1 goes on. Some builds pass it the line's number; ours is the same one. */
#if INI_HANDLER_LINENO
static int handle(void *user, const char *section, const char *name, const char *value, int lineno) {
  (void)lineno;
#else
static int handle(void *user, const char *section, const char *name, const char *value) {
#endif
  struct reader *r = user;
  (void)section;
  (void)value;
  if (r->status < 0) return 0;
  if (!r->key || strcmp(name, r->key) != 0) {
    hf_fail(r->err, HOLDFAST_E_CONFIG, "the line is neither a [section] nor key = value");
    fail_line(r);
    return 0;
  }
  if (!r->section) {
    hf_fail(r->err, HOLDFAST_E_CONFIG, "%s: a key before any section; [holdfast] comes first", r->key);
    fail_line(r);
    return 0;
  }
  int rc = r->fn(r->ctx, r->line, r->section, r->key, r->value, r->err);
  if (rc < 0) fail_line(r);
  return rc >= 0;
}

int hf_ini_parse(const char *text, size_t n, const char *file, hf_ini_fn fn, void *ctx, struct hf_error *err) {
  struct hf_error unused = {0};
  struct reader r = {.at = text, .end = text + n, .file = file, .fn = fn, .ctx = ctx, .err = err ? err : &unused};
  if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) r.at += 3;
  int bad = ini_parse_stream(read_line, &r, handle, &r);
  if (r.status == 0 && bad > 0) {
    hf_fail(r.err, HOLDFAST_E_CONFIG, "the line is neither a [section] nor key = value");
    r.status = hf_prefix(r.err, "%s:%d", file, bad);
  } else if (r.status == 0 && (bad < 0 || r.at != r.end)) {
    r.status = hf_fail(r.err, HOLDFAST_E_FAILED, "%s: the INI parser stopped at line %u", file, r.line);
  }
  drop_text(&r);
  free(r.section);
  return r.status;
}
