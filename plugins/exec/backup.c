/* backup.c - the standard output of `command` as one raw stream.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A command's last word is its exit code, and that comes behind all of its output. So finish() is where a dump that broke off is found out: it
 * fails the source, and nothing of the stream is kept.
 */
#include "exec.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backup {
  struct hf_exec_options o;
  struct hf_exec_run *run;
  uint64_t bytes;
  bool given; /* next() has returned the stream */
  bool whole; /* it was read to its end */
  int failed; /* what read() returned instead */
  char *state;
};

int hf_exec_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct backup *b = calloc(1, sizeof *b);
  if (!b) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  int rc = hf_exec_options_read(host, values, &b->o);
  if (rc != HOLDFAST_OK) {
    free(b);
    return rc;
  }
  /* Already here: a command that cannot be started is the failure of the source, and not of one entry of it. */
  rc = hf_exec_run_start(&b->o, HF_EXEC_COMMAND, -1, true, NULL, &b->run);
  if (rc != HOLDFAST_OK) {
    hf_exec_close(b);
    return rc;
  }
  *handle = b;
  return HOLDFAST_OK;
}

int hf_exec_next(void *handle, struct holdfast_entry *e) {
  struct backup *b = handle;
  if (b->given) return 0;
  b->given = true;
  e->kind = HOLDFAST_STREAM;
  e->path = b->o.stream;
  e->size = HOLDFAST_SIZE_UNKNOWN;
  e->fixed_chunk = b->o.fixed_chunk;
  return 1;
}

int hf_exec_entry_open(void *handle, struct holdfast_entry *e) {
  struct backup *b = handle;
  (void)e;
  return b->run ? HOLDFAST_OK : holdfast_fail(b->o.host, HOLDFAST_E_FAILED, "a command's output can be read only once");
}

int64_t hf_exec_read(void *handle, void *buf, size_t n) {
  struct backup *b = handle;
  int64_t got = hf_exec_run_read(b->run, buf, n);
  if (got > 0) b->bytes += (uint64_t)got;
  if (got == 0) b->whole = true;
  if (got < 0) b->failed = (int)got;
  return got;
}

int hf_exec_entry_close(void *handle) {
  struct backup *b = handle;
  if (!b->whole) {
    hf_exec_run_free(b->run);
    b->run = NULL;
  }
  return HOLDFAST_OK;
}

int hf_exec_finish(void *handle, const char **state) {
  struct backup *b = handle;
  const struct holdfast_host *host = b->o.host;
  int code = 0;
  char title[160];
  hf_exec_title(&b->o, HF_EXEC_COMMAND, title, sizeof title);
  if (!b->whole) return holdfast_fail(host, b->failed ? b->failed : HOLDFAST_E_FAILED, "%s: its output was not read to the end", title);
  int rc = hf_exec_run_end(b->run, &code);
  if (rc != HOLDFAST_OK) return rc;
  if (b->bytes == 0 && !b->o.empty_ok) {
    const char *said = hf_exec_run_words(b->run);
    return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: printed nothing, and ended with exit code %d%s%s (empty = ok allows that)", title, code,
                         *said ? ": " : "", said);
  }
  json_t *j = json_pack("{s:i, s:s, s:I, s:i}", "version", 1, "stream", b->o.stream, "size", (json_int_t)b->bytes, "exit", code);
  free(b->state);
  b->state = j ? json_dumps(j, JSON_COMPACT) : NULL;
  json_decref(j);
  if (!b->state) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  *state = b->state;
  return HOLDFAST_OK;
}

void hf_exec_close(void *handle) {
  struct backup *b = handle;
  hf_exec_run_free(b->run);
  hf_exec_options_free(&b->o);
  free(b->state);
  free(b);
}
