/* write.c - the rsync target: storing and removing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rsync.h"

/* ---- put ---- */

/* Has rsync's --out-format=%i said that the file was sent? Its lines begin with '<' for what goes out, 'f' for a file. */
static bool was_sent(const char *printed) {
  for (const char *line = printed; line; line = (line = strchr(line, '\n')) ? line + 1 : NULL)
    if (line[0] == '<' && line[1] == 'f') return true;
  return false;
}

static int delete_names(struct hf_rsync *t, const char *const *names, size_t n);

/* A put that will not be tried again, as on a full disk, must not leave there what it had sent so far. Restricted accounts have one folder for all. */
static void forget_partial(struct hf_rsync *t, const char *key) {
  const char *slash = strrchr(key, '/');
  int folder = slash ? (int)(slash + 1 - key) : 0;
  struct hf_rsync_words w = {0};
  hf_rsync_word(&w, "%.*s" HF_RSYNC_PARTIAL "/%s", folder, key, key + folder);
  if (folder) hf_rsync_word(&w, HF_RSYNC_PARTIAL "/%s", key + folder);
  if (!w.failed && delete_names(t, (const char *const *)w.v, w.n) != HOLDFAST_OK)
    t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, "a part of an object may be left at the far end");
  hf_rsync_words_free(&w);
}

/* The end of a run that failed. */
static int send_failed(struct hf_rsync *t, const char *key, int code, const char *words) {
  struct hf_rsync_verdict v;
  hf_rsync_classify(code, words, &v);
  if (v.status == HOLDFAST_E_NO_SPACE || v.status == HOLDFAST_E_FAILED) forget_partial(t, key);
  return hf_rsync_failed(t, code, words);
}

/* Send SPOOL/SLOT/KEY. *sent: it was not there before, or it was another one. */
static int send(struct hf_rsync *t, unsigned slot, const char *key, struct hf_rsync_words *w, bool *sent) {
  char *words = NULL, *printed = NULL;
  int code = 0, out = hf_rsync_bounded();
  if (out < 0) return hf_rsync_no_memory(t);
  hf_rsync_word(w, "--out-format=%%i");
  hf_rsync_limit(w, t->host->limit_up);
  hf_rsync_word(w, "-R");
  hf_rsync_word(w, "%u/./%s", slot, key);
  hf_rsync_word(w, "%s", t->dest);
  int rc = hf_rsync_run(t, w, -1, out, &code, &words);
  if (rc == 0 && code != 0) rc = send_failed(t, key, code, words);
  if (rc == 0 && !(printed = hf_rsync_slurp(out))) rc = hf_rsync_no_memory(t);
  if (rc == 0) *sent = was_sent(printed);
  free(printed);
  free(words);
  close(out);
  return rc;
}

/* What a cut transfer left of the same key is taken up again: only then are differences looked for. */
static void put_words(const struct hf_rsync *t, struct hf_rsync_words *w, bool create) {
  hf_rsync_word(w, create ? "--ignore-existing" : "--size-only");
  hf_rsync_word(w, "--no-whole-file");
  hf_rsync_word(w, "--partial-dir=" HF_RSYNC_PARTIAL);
  if (t->fsync) hf_rsync_word(w, "--fsync");
}

int hf_rsync_put(void *handle, const struct holdfast_object *object) {
  struct hf_rsync *t = handle;
  struct hf_rsync_words w = {0};
  bool create = object->flags & HOLDFAST_PUT_CREATE, sent = false;
  if (!hf_rsync_key_ok(object->key)) return hf_rsync_bad_key(t, object->key);
  if (object->size > HOLDFAST_OBJECT_MAX)
    return holdfast_fail(t->host, HOLDFAST_E_UNSUPPORTED, "%s: an object of %llu bytes is too large", object->key, (unsigned long long)object->size);
  unsigned slot = hf_rsync_slot_take(t, "");
  put_words(t, &w, create);
  int rc = hf_rsync_spool_write(t, slot, object);
  if (rc == 0) rc = send(t, slot, object->key, &w, &sent);
  hf_rsync_slot_give(t, slot, false);
  hf_rsync_words_free(&w);
  if (rc < 0) return rc;
  atomic_store(&t->writer, true);
  if (create && !sent) return holdfast_fail(t->host, HOLDFAST_E_EXISTS, "%s: %s is there already", t->where, object->key);
  return HOLDFAST_OK;
}

int hf_rsync_mark(struct hf_rsync *t, bool try) {
  static const char text[] = "This folder is a target of holdfast backups. Keep this file: without it holdfast takes the disk for not mounted.\n";
  const struct holdfast_object marker = {.struct_size = sizeof marker, .key = HF_RSYNC_MARKER, .data = text, .size = sizeof text - 1};
  struct hf_rsync_words w = {0};
  bool sent;
  unsigned slot = hf_rsync_slot_take(t, "");
  put_words(t, &w, true);
  hf_rsync_word(&w, try ? "--dry-run" : "--mkpath");
  int rc = hf_rsync_spool_write(t, slot, &marker);
  if (rc == 0) rc = send(t, slot, HF_RSYNC_MARKER, &w, &sent);
  hf_rsync_slot_give(t, slot, false);
  hf_rsync_words_free(&w);
  return rc;
}

/* ---- remove ---- */

/* One run for all: names that are missing here are removed there. */
static int delete_names(struct hf_rsync *t, const char *const *names, size_t n) {
  struct hf_rsync_words w = {0};
  char *words = NULL;
  int code = 0;
  if (mkdirat(t->spool_fd, "empty", 0700) != 0 && errno != EEXIST) return hf_rsync_spool_errno(t, errno, "make", "empty");
  int in = hf_rsync_names_file(t, names, n);
  if (in < 0) return hf_rsync_spool_errno(t, errno, "write to", NULL);
  hf_rsync_word(&w, "--delete-missing-args");
  hf_rsync_word(&w, "--files-from=-");
  hf_rsync_word(&w, "empty/");
  hf_rsync_word(&w, "%s", t->dest);
  int rc = hf_rsync_run(t, &w, in, -1, &code, &words);
  close(in);
  hf_rsync_words_free(&w);
  /* 24 is said of the folders the names lie in: they are not in the empty folder either. */
  if (rc == 0 && code != 0 && code != 24) rc = hf_rsync_failed(t, code, words);
  free(words);
  return rc;
}

struct remaining {
  const char *const *keys;
  size_t n;
  int *statuses;
  int status;
};

static int take_remaining(void *ctx, const struct hf_rsync_entry *e) {
  struct remaining *r = ctx;
  for (size_t i = 0; i < r->n; i++)
    if (e->type == '-' && strcmp(e->name, r->keys[i]) == 0) r->statuses[i] = r->status;
  return HOLDFAST_OK;
}

/* Look which of them are gone: rsync takes a name that it may not even look at for one that is not there. What is still there has the status of the run,
 * whose message has been given, or FAILED. */
static void confirm(struct hf_rsync *t, const char *const *keys, size_t n, int *statuses, int status) {
  struct remaining r = {keys, n, statuses, status ? status : HOLDFAST_E_FAILED};
  int rc = hf_rsync_look(t, keys, n, false, take_remaining, &r);
  for (size_t i = 0; i < n; i++) {
    if (rc < 0) statuses[i] = rc;
    if (rc == 0 && status == 0 && statuses[i] < 0) holdfast_fail(t->host, statuses[i], "%s: %s is still there after its removal", t->where, keys[i]);
  }
}

int hf_rsync_remove(void *handle, const char *const *keys, size_t n, int *statuses) {
  struct hf_rsync *t = handle;
  const char **good = calloc(n + 1, sizeof *good);
  int *result = calloc(n + 1, sizeof *result), first = HOLDFAST_OK, rc = HOLDFAST_OK;
  size_t m = 0;
  if (!good || !result) rc = hf_rsync_no_memory(t);
  for (size_t i = 0; i < n; i++) {
    statuses[i] = rc ? rc : hf_rsync_key_ok(keys[i]) ? HOLDFAST_OK : HOLDFAST_E_UNSUPPORTED;
    if (statuses[i] == HOLDFAST_OK) good[m++] = keys[i];
  }
  if (m > 0) rc = delete_names(t, good, m);
  if (rc == HOLDFAST_E_CANCELED || rc == HOLDFAST_E_TRANSIENT) {
    for (size_t i = 0; i < m; i++) result[i] = rc;
  } else if (m > 0) {
    confirm(t, good, m, result, rc);
  }
  for (size_t i = 0, k = 0; i < n && good && result; i++)
    if (statuses[i] == HOLDFAST_OK) statuses[i] = result[k++];
  for (size_t i = 0; i < n; i++) {
    if (statuses[i] == HOLDFAST_E_UNSUPPORTED) hf_rsync_bad_key(t, keys[i]);
    first = first ? first : statuses[i];
  }
  free(good);
  free(result);
  return first;
}

void hf_rsync_tidy(struct hf_rsync *t) {
  char text[128];
  if (t->stale.n == 0 || !atomic_load(&t->writer) || t->host->cancelled(t->host->ctx)) return;
  if (delete_names(t, (const char *const *)t->stale.v, t->stale.n) == HOLDFAST_OK)
    snprintf(text, sizeof text, "removed %zu files which cut transfers left", t->stale.n);
  else
    snprintf(text, sizeof text, "%zu files which cut transfers left cannot be removed", t->stale.n);
  t->host->log(t->host->ctx, HOLDFAST_LOG_INFO, text);
}
