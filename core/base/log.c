/* log.c - lines for people on standard error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <pthread.h>

int hf_log_threshold = HF_LOG_NOTICE;

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static void (*hook_before)(void);
static void (*hook_after)(void);
static void (*sink)(void *ctx, enum hf_log_level level, const char *line);
static void *sink_ctx;

void hf_log_set_hook(void (*before)(void), void (*after)(void)) {
  pthread_mutex_lock(&log_mutex);
  hook_before = before;
  hook_after = after;
  pthread_mutex_unlock(&log_mutex);
}

void hf_log_set_sink(void (*fn)(void *ctx, enum hf_log_level level, const char *line), void *ctx) {
  pthread_mutex_lock(&log_mutex);
  sink = fn;
  sink_ctx = ctx;
  pthread_mutex_unlock(&log_mutex);
}

void hf_log(enum hf_log_level level, const char *fmt, ...) {
  static const char *const label[] = {"error: ", "warning: ", "", "", "debug: "};
  bool shown = (int)level <= hf_log_threshold;
  if ((!shown && level > HF_LOG_INFO) || (size_t)level >= HF_NELEM(label)) return;
  struct hf_buf b = HF_BUF_INIT;
  va_list ap;
  va_start(ap, fmt);
  hf_buf_adds(&b, "holdfast: ");
  hf_buf_adds(&b, label[level]);
  size_t at = b.len;
  char *text = NULL;
  if (vasprintf(&text, fmt, ap) >= 0) hf_buf_adds(&b, text);
  va_end(ap);
  free(text);
  /* File names come from outside; a line must stay a line and a terminal must not be steered. */
  for (size_t i = at; i < b.len; i++)
    if ((unsigned char)b.data[i] < 0x20 || b.data[i] == 0x7f) b.data[i] = b.data[i] == '\t' ? ' ' : '?';
  pthread_mutex_lock(&log_mutex);
  if (sink) sink(sink_ctx, level, b.data + strlen("holdfast: "));
  if (shown) {
    hf_buf_addc(&b, '\n');
    if (hook_before) hook_before();
    fwrite(b.data, 1, b.len, stderr);
    fflush(stderr);
    if (hook_after) hook_after();
  }
  pthread_mutex_unlock(&log_mutex);
  hf_buf_free(&b);
}
