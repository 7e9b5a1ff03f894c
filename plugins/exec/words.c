/* words.c - what a command says on standard error: logged line by line, the last line kept.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The length of the UTF-8 character at p, 0 when there is none, or one that is not for showing. */
static size_t character(const unsigned char *p, size_t n) {
  if (p[0] < 0x80) return p[0] >= 0x20 && p[0] != 0x7f;
  size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
  if (p[0] < 0xc2 || p[0] > 0xf4 || len > n) return 0;
  for (size_t i = 1; i < len; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  if (p[0] == 0xc2 && p[1] < 0xa0) return 0;                               /* control characters of eight bits */
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90)) return 0; /* longer than need be */
  if ((p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0; /* no characters */
  return len;
}

void hf_exec_printable(char *out, const char *p, size_t n, const char *secret) {
  size_t at = 0, hidden = secret ? strlen(secret) : 0;
  for (size_t i = 0; i < n;) {
    bool hide = hidden > 0 && n - i >= hidden && memcmp(p + i, secret, hidden) == 0;
    size_t len = hide ? hidden : character((const unsigned char *)p + i, n - i);
    const char *shown = hide ? "***" : len > 0 ? p + i : "?";
    size_t shown_n = hide ? 3 : len > 0 ? len : 1;
    if (at + shown_n > HF_EXEC_SHOWN_MAX) {
      memcpy(out + at, "...", 3);
      at += 3;
      break;
    }
    memcpy(out + at, shown, shown_n);
    at += shown_n;
    i += len > 0 ? len : 1;
  }
  out[at] = '\0';
}

static void end_line(struct hf_exec_words *w, const struct hf_exec_options *o, const char *title) {
  while (w->n > 0 && (w->line[w->n - 1] == ' ' || w->line[w->n - 1] == '\t')) w->n--;
  if (w->n > 0) {
    hf_exec_printable(w->last, w->line, w->n, o->secret);
    w->lines++;
    if (o->log_words && w->lines <= HF_EXEC_LINES_MAX) {
      char text[HF_EXEC_SHOWN_MAX + 200];
      snprintf(text, sizeof text, "%s: %s", title, w->last);
      o->host->log(o->host->ctx, HOLDFAST_LOG_NOTICE, text);
    }
  }
  w->n = 0;
  w->returned = false;
}

void hf_exec_words_take(struct hf_exec_words *w, const struct hf_exec_options *o, const char *title, const char *p, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (p[i] == '\n') {
      end_line(w, o, title);
    } else if (p[i] == '\r') {
      w->returned = true;
    } else {
      /* A counter that writes over itself is one line, whose last state counts. */
      if (w->returned) w->n = 0;
      w->returned = false;
      if (w->n < sizeof w->line) w->line[w->n++] = p[i];
    }
  }
}

void hf_exec_words_end(struct hf_exec_words *w, const struct hf_exec_options *o, const char *title) {
  end_line(w, o, title);
  if (o->log_words && w->lines > HF_EXEC_LINES_MAX) {
    char text[200];
    snprintf(text, sizeof text, "%s: %" PRIu64 " more lines are not shown", title, w->lines - HF_EXEC_LINES_MAX);
    o->host->log(o->host->ctx, HOLDFAST_LOG_NOTICE, text);
  }
}
