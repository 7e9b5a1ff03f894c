/* out.c - standard output for results, standard error for what happens on the way.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/cmd.h"

#define PROGRESS_EVERY 0.1

/* The progress line. One per process, as the terminal is. */
static pthread_mutex_t line_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool line_wanted, line_shown, prefer_none;
static double line_time;
static char line_text[512];

/* ---- strings ---- */

json_t *hf_out_string(const char *s) { return s ? hf_json_bytes(s, strlen(s)) : json_null(); }

json_t *hf_out_time(int64_t unix_s) {
  char text[HF_TIME_LEN];
  hf_format_time(text, unix_s);
  return json_string(text);
}

json_t *hf_out_list(const struct hf_list *l) {
  json_t *a = json_array();
  for (size_t i = 0; i < l->n; i++) json_array_append_new(a, hf_out_string(l->v[i]));
  return a;
}

char *hf_out_join(const struct hf_list *l, const char *between) {
  struct hf_buf b = HF_BUF_INIT;
  for (size_t i = 0; i < l->n; i++) hf_buf_addf(&b, "%s%s", i ? between : "", l->v[i]);
  return hf_buf_take(&b);
}

void hf_out_text(const char *s) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(s, strlen(s));
  fputs(shown, stdout);
}

void hf_out_json(json_t *o) {
  char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
  if (text)
    puts(text);
  else
    hf_log(HF_LOG_ERROR, "a line of output cannot be written as JSON");
  free(text);
  json_decref(o);
}

int hf_out_error(const struct hf_cmd *c, const struct hf_error *err) {
  hf_out_progress_end();
  hf_run_error(c->run, err);
  HF_CLEANUP(hf_freep) char *shown = hf_printable(err->msg, strlen(err->msg));
  hf_log(HF_LOG_ERROR, "%s", shown);
  /* cat's standard output is data. */
  if (c->json && !(c->command && c->command->run == hf_cmd_cat)) {
    hf_out_json(
        json_pack("{s:s, s:s, s:o}", "type", "error", "code", hf_status_name(err->code), "message", hf_out_string(err->msg)));
  }
  return err->code == HOLDFAST_E_USAGE ? HF_EXIT_USAGE : HF_EXIT_FAILED;
}

/* ---- the progress line ---- */

static void erase(void) {
  if (line_shown) fputs("\r\033[K", stderr);
  line_shown = false;
}

/* Columns of a UTF-8 text, taking every character to be one wide; *bytes: how many bytes the first `max` of them have. */
static size_t columns(const char *s, size_t max, size_t *bytes) {
  size_t n = 0, i = 0;
  while (s[i] && n < max) {
    i++;
    while (((unsigned char)s[i] & 0xc0) == 0x80) i++;
    n++;
  }
  *bytes = i;
  return n;
}

static void draw(void) {
  struct winsize w = {0};
  size_t bytes, width = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? (size_t)w.ws_col - 1 : 79;
  columns(line_text, width, &bytes);
  fprintf(stderr, "\r%.*s\033[K", (int)bytes, line_text);
  fflush(stderr);
  line_shown = true;
}

static void before_log(void) {
  pthread_mutex_lock(&line_mutex);
  erase();
}

static void after_log(void) {
  if (line_wanted && line_text[0]) draw();
  pthread_mutex_unlock(&line_mutex);
}

void hf_out_setup(const struct hf_cmd *c) {
  static const enum hf_log_level levels[] = {HF_LOG_NOTICE, HF_LOG_INFO, HF_LOG_DEBUG};
  hf_log_threshold = c->quiet ? HF_LOG_WARNING : levels[HF_MIN(c->verbose, 2)];
  prefer_none = c->quiet || c->json || c->no_progress;
  hf_log_set_hook(before_log, after_log);
}

void hf_out_progress(const char *fmt, ...) {
  if (prefer_none) return;
  pthread_mutex_lock(&line_mutex);
  double now = hf_now();
  static int terminal = -1;
  const char *term = getenv("TERM");
  if (terminal < 0) terminal = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
  if (terminal && (!line_shown || now - line_time >= PROGRESS_EVERY)) {
    char text[sizeof line_text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    HF_CLEANUP(hf_freep) char *shown = hf_printable(text, strlen(text));
    snprintf(line_text, sizeof line_text, "%s", shown);
    line_wanted = true;
    line_time = now;
    draw();
  }
  pthread_mutex_unlock(&line_mutex);
}

void hf_out_progress_end(void) {
  pthread_mutex_lock(&line_mutex);
  erase();
  line_wanted = false;
  line_text[0] = 0;
  fflush(stderr);
  pthread_mutex_unlock(&line_mutex);
}

int hf_out_close(int code) {
  hf_out_progress_end();
  hf_log_set_hook(NULL, NULL);
  bool bad = ferror(stdout) != 0;
  errno = 0;
  if (fflush(stdout) == 0 && !bad) return code;
  hf_log(HF_LOG_ERROR, "cannot write standard output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
  return code == HF_EXIT_OK ? HF_EXIT_FAILED : code;
}

/* ---- tables ---- */

void hf_table_add(struct hf_table *t, const char *fmt, ...) {
  char *text = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&text, fmt, ap);
  va_end(ap);
  if (n < 0) text = NULL;
  hf_list_take(&t->cells, hf_printable(text ? text : "", text ? strlen(text) : 0));
  free(text);
}

void hf_table_size(struct hf_table *t, uint64_t bytes) {
  char text[16];
  hf_format_size(text, bytes);
  hf_table_add(t, "%s", text);
}

void hf_table_print(struct hf_table *t) {
  size_t cols = strlen(t->align), bytes;
  size_t *width = hf_allocn(cols, sizeof *width);
  for (size_t i = 0; i < t->cells.n; i++) width[i % cols] = HF_MAX(width[i % cols], columns(t->cells.v[i], SIZE_MAX, &bytes));
  for (size_t i = 0; i < t->cells.n; i++) {
    size_t col = i % cols, fill = width[col] - columns(t->cells.v[i], SIZE_MAX, &bytes);
    bool last = col == cols - 1;
    if (t->align[col] == 'r') printf("%*s", (int)fill, "");
    fputs(t->cells.v[i], stdout);
    /* No blanks at a line's end. */
    if (last)
      putchar('\n');
    else
      printf("%*s", (int)(t->align[col] == 'l' ? fill + 2 : 2), "");
  }
  free(width);
  hf_list_free(&t->cells);
}
