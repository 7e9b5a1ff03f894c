/* read.c - the rsync target: looking, listing and fetching.
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

#define IO (1u << 20)

int hf_rsync_bad_key(const struct hf_rsync *t, const char *key) {
  return holdfast_fail(t->host, HOLDFAST_E_UNSUPPORTED, "%s is not a name that an object may have here", key);
}

/* ---- looking ---- */

int hf_rsync_names_file(struct hf_rsync *t, const char *const *names, size_t n) {
  int fd = hf_rsync_spool_nameless(t);
  FILE *f = fd < 0 ? NULL : fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 3), "we");
  bool good = f != NULL;
  for (size_t i = 0; good && i < n; i++) good = fprintf(f, "%s\n", names[i]) > 0;
  if (f && fclose(f) != 0) good = false;
  if (good && lseek(fd, 0, SEEK_SET) == 0) return fd;
  int saved = errno;
  if (fd >= 0) close(fd);
  errno = saved;
  return -1;
}

struct looking {
  struct hf_rsync *t;
  bool marked;
  int (*take)(void *ctx, const struct hf_rsync_entry *e);
  void *ctx;
};

/* Take the lines of a listing that is complete. */
static int read_lines(struct looking *l, int fd) {
  char *line = NULL;
  size_t cap = 0;
  int rc = HOLDFAST_OK;
  /* Twice over: nothing is handed out before the marker has been seen, wherever it comes. */
  for (int round = 0; round < 2 && rc == 0; round++) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    FILE *f = copy < 0 || lseek(fd, 0, SEEK_SET) < 0 ? NULL : fdopen(copy, "re");
    if (!f) {
      rc = hf_rsync_spool_errno(l->t, errno, "read a listing in", NULL);
      if (copy >= 0) close(copy);
      break;
    }
    while (rc == 0 && getline(&line, &cap, f) > 0) {
      struct hf_rsync_entry e;
      if (!hf_rsync_parse(line, &e)) continue; /* "created directory" and the like */
      bool marker = strcmp(e.name, HF_RSYNC_MARKER) == 0;
      if (round == 0 && marker && e.type == '-') l->marked = true;
      if (round == 1 && !marker) rc = l->take(l->ctx, &e);
      if (l->t->host->cancelled(l->t->host->ctx)) rc = rc ? rc : holdfast_fail(l->t->host, HOLDFAST_E_CANCELED, "stopped");
      if (round == 0 && l->marked) break;
    }
    if (rc == 0 && ferror(f)) rc = hf_rsync_spool_errno(l->t, errno, "read a listing in", NULL);
    fclose(f);
    if (!l->marked) break;
  }
  free(line);
  return rc;
}

/* Files that vanished while they were listed are no objects when they were temporary ones: somebody else's puts. */
static bool only_leftovers_vanished(const char *words) {
  const char *const before = "file has vanished: \"";
  for (const char *line = words; line && *line; line = (line = strchr(line, '\n')) ? line + 1 : NULL) {
    char name[3 * HF_RSYNC_KEY_MAX];
    size_t n = strcspn(line, "\n");
    if (n == 0 || strncmp(line, "rsync warning: some files vanished", 34) == 0) continue;
    if (strncmp(line, before, strlen(before)) != 0) return false;
    line += strlen(before);
    n = strcspn(line, "\"\n");
    if (n >= sizeof name || line[n] != '"') return false;
    memcpy(name, line, n);
    name[n] = '\0';
    /* The whole path is said, as the far end sees it. What tells is the last part, and a folder for partial files. */
    const char *leaf = strrchr(name, '/');
    if (!hf_rsync_is_leftover(leaf ? leaf + 1 : name) && !strstr(name, "/" HF_RSYNC_PARTIAL "/")) return false;
  }
  return true;
}

/* Where the folder itself is missing, rsync says so in its own way. Later than at the opening it is the end: no object is known to be absent then, and none
 * may be stored. */
static int no_marker(const struct hf_rsync *t) {
  return holdfast_fail(t->host, t->opened ? HOLDFAST_E_FATAL : HOLDFAST_E_NOT_FOUND,
                       "%s holds no %s: a wrong path, a disk that is not mounted there, or holdfast init has not been run", t->where, HF_RSYNC_MARKER);
}

static int look_failed(const struct hf_rsync *t, int code, const char *words) {
  struct hf_rsync_verdict v;
  hf_rsync_classify(code, words, &v);
  return v.status == HOLDFAST_E_NOT_FOUND && !v.hint ? no_marker(t) : hf_rsync_failed(t, code, words);
}

static int look_once(struct hf_rsync *t, struct looking *l, bool recurse, int in, int out) {
  struct hf_rsync_words w = {0};
  char *words = NULL;
  int code = 0;
  hf_rsync_word(&w, "--list-only");
  hf_rsync_word(&w, "--no-human-readable");
  hf_rsync_word(&w, "--ignore-missing-args");
  hf_rsync_word(&w, "--files-from=-");
  if (recurse) hf_rsync_word(&w, "-r");
  hf_rsync_word(&w, "%s", t->dest);
  hf_rsync_word(&w, ".");
  int rc = hf_rsync_run(t, &w, in, out, &code, &words);
  hf_rsync_words_free(&w);
  if (rc == 0 && code != 0 && !(code == 24 && only_leftovers_vanished(words))) rc = look_failed(t, code, words);
  free(words);
  if (rc < 0) return rc;
  rc = read_lines(l, out);
  if (rc == 0 && !l->marked) rc = no_marker(t);
  return rc;
}

int hf_rsync_look(struct hf_rsync *t, const char *const *names, size_t n, bool recurse, int (*take)(void *, const struct hf_rsync_entry *), void *ctx) {
  struct looking l = {.t = t, .take = take, .ctx = ctx};
  const char **all = calloc(n + 1, sizeof *all);
  if (!all) return hf_rsync_no_memory(t);
  all[0] = HF_RSYNC_MARKER;
  for (size_t i = 0; i < n; i++) all[i + 1] = names[i];
  int in = hf_rsync_names_file(t, all, n + 1), out = in < 0 ? -1 : hf_rsync_spool_nameless(t);
  int rc = out < 0 ? hf_rsync_spool_errno(t, errno, "write to", NULL) : look_once(t, &l, recurse, in, out);
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  free(all);
  return rc;
}

/* ---- stat ---- */

struct wanted {
  const char *key;
  bool found;
  uint64_t size;
};

static int take_wanted(void *ctx, const struct hf_rsync_entry *e) {
  struct wanted *w = ctx;
  if (e->type == '-' && strcmp(e->name, w->key) == 0) {
    w->found = true;
    w->size = e->size;
  }
  return HOLDFAST_OK;
}

int hf_rsync_stat(void *handle, const char *key, struct holdfast_stat *out) {
  struct hf_rsync *t = handle;
  struct wanted w = {.key = key};
  if (!hf_rsync_key_ok(key)) return hf_rsync_bad_key(t, key);
  int rc = hf_rsync_look(t, &key, 1, false, take_wanted, &w);
  if (rc < 0) return rc;
  if (!w.found) return holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "%s: there is no %s", t->where, key);
  out->flags = 0;
  out->size = w.size;
  out->sha256[0] = '\0';
  return HOLDFAST_OK;
}

/* ---- list ---- */

struct listing {
  struct hf_rsync *t;
  const char *prefix;
  holdfast_lister lister;
  void *ctx;
  time_t newest;               /* by the far end's clock */
  struct hf_rsync_words stale; /* leftovers seen */
  time_t since[HF_RSYNC_STALE_MAX];
};

static int take_listed(void *ctx, const struct hf_rsync_entry *e) {
  struct listing *l = ctx;
  if (e->mtime > l->newest) l->newest = e->mtime;
  if (e->type == 'd' || strncmp(e->name, l->prefix, strlen(l->prefix)) != 0) return HOLDFAST_OK;
  if (hf_rsync_is_leftover(e->name)) {
    if (l->stale.n < HF_RSYNC_STALE_MAX) {
      l->since[l->stale.n] = e->mtime;
      hf_rsync_word(&l->stale, "%s", e->name);
    }
    return HOLDFAST_OK;
  }
  if (!hf_rsync_key_ok(e->name)) return HOLDFAST_OK; /* what cannot be a key is nobody's business */
  if (e->type != '-') return holdfast_fail(l->t->host, HOLDFAST_E_FAILED, "%s: %s is neither a file nor a folder", l->t->where, e->name);
  return l->lister(l->ctx, e->name, e->size);
}

/* Keep in mind what is old by comparison with the newest file seen: the clock of this host says nothing about the far end's. */
static void note_stale(struct hf_rsync *t, const struct listing *l) {
  pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < l->stale.n && t->stale.n < HF_RSYNC_STALE_MAX; i++)
    if (l->newest - l->since[i] > HF_RSYNC_STALE) hf_rsync_word(&t->stale, "%s", l->stale.v[i]);
  pthread_mutex_unlock(&t->lock);
}

int hf_rsync_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx) {
  struct hf_rsync *t = handle;
  char folder[HF_RSYNC_KEY_MAX + 2];
  const char *name = folder;
  struct listing *l = calloc(1, sizeof *l);
  if (!l) return hf_rsync_no_memory(t);
  *l = (struct listing){.t = t, .prefix = prefix, .lister = lister, .ctx = ctx};
  size_t n = strlen(prefix);
  int rc = HOLDFAST_OK;
  if (n > HF_RSYNC_KEY_MAX)
    rc = hf_rsync_bad_key(t, prefix);
  else if (n == 0)
    strcpy(folder, ".");
  else {
    memcpy(folder, prefix, n - 1);
    folder[n - 1] = '\0';
    if (!hf_rsync_key_ok(folder)) rc = hf_rsync_bad_key(t, prefix);
  }
  if (rc == 0) rc = hf_rsync_look(t, &name, 1, true, take_listed, l);
  if (rc == 0) note_stale(t, l);
  hf_rsync_words_free(&l->stale);
  free(l);
  return rc;
}

/* ---- get ---- */

static int serve(struct hf_rsync *t, int fd, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct stat st;
  char *block = malloc(IO);
  int rc = HOLDFAST_OK;
  if (!block) return hf_rsync_no_memory(t);
  if (fstat(fd, &st) != 0) rc = hf_rsync_spool_errno(t, errno, "look at a file in", NULL);
  uint64_t size = rc ? 0 : (uint64_t)st.st_size;
  if (rc == 0 && (offset > size || (length != UINT64_MAX && length > size - offset)))
    rc = holdfast_fail(t->host, HOLDFAST_E_CORRUPT, "%s: %s has only %llu bytes", t->where, key, (unsigned long long)size);
  if (length == UINT64_MAX) length = size > offset ? size - offset : 0;
  while (rc == 0 && length > 0) {
    if (t->host->cancelled(t->host->ctx)) {
      rc = holdfast_fail(t->host, HOLDFAST_E_CANCELED, "stopped");
      break;
    }
    ssize_t n = TEMP_FAILURE_RETRY(pread(fd, block, length < IO ? length : IO, (off_t)offset));
    if (n <= 0) {
      rc = hf_rsync_spool_errno(t, n < 0 ? errno : EIO, "read a file in", NULL);
      break;
    }
    rc = sink(ctx, block, (size_t)n);
    offset += (uint64_t)n;
    length -= (uint64_t)n;
  }
  free(block);
  return rc;
}

/* Bring SPOOL/SLOT/data level with the object: times are kept, so that one which is there already is not sent again. */
static int fetch(struct hf_rsync *t, unsigned slot, const char *key) {
  struct hf_rsync_words w = {0};
  char *words = NULL, folder[16];
  int code = 0;
  snprintf(folder, sizeof folder, "%u", slot);
  if (mkdirat(t->spool_fd, folder, 0700) != 0 && errno != EEXIST) return hf_rsync_spool_errno(t, errno, "make", folder);
  hf_rsync_word(&w, "-t");
  hf_rsync_word(&w, "--modify-window=-1");
  hf_rsync_word(&w, "--whole-file");
  hf_rsync_word(&w, "--max-size=%u", HOLDFAST_OBJECT_MAX);
  hf_rsync_limit(&w, t->host->limit_down);
  hf_rsync_word(&w, "%s%s", t->dest, key);
  hf_rsync_word(&w, "%u/data", slot);
  int rc = hf_rsync_run(t, &w, -1, -1, &code, &words);
  hf_rsync_words_free(&w);
  if (rc == 0 && code != 0) {
    rc = hf_rsync_failed(t, code, words);
    /* Is it the object that is missing, or all of them? */
    struct holdfast_stat st = {.struct_size = sizeof st};
    if (rc == HOLDFAST_E_NOT_FOUND) rc = hf_rsync_stat(t, key, &st);
    if (rc == 0) rc = holdfast_fail(t->host, HOLDFAST_E_TRANSIENT, "%s: %s came and went", t->where, key);
  }
  free(words);
  return rc;
}

int hf_rsync_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx) {
  struct hf_rsync *t = handle;
  char path[16];
  if (!hf_rsync_key_ok(key)) return hf_rsync_bad_key(t, key);
  unsigned slot = hf_rsync_slot_take(t, key);
  snprintf(path, sizeof path, "%u/data", slot);
  int rc = fetch(t, slot, key);
  int fd = rc ? -1 : TEMP_FAILURE_RETRY(openat(t->spool_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  /* A folder of that name is not an error to rsync, which leaves it out. */
  if (rc == 0 && fd < 0)
    rc = errno == ENOENT ? holdfast_fail(t->host, HOLDFAST_E_NOT_FOUND, "%s: there is no %s", t->where, key) : hf_rsync_spool_errno(t, errno, "open", path);
  bool whole = offset == 0 && length == UINT64_MAX;
  if (rc == 0) rc = serve(t, fd, key, offset, length, sink, ctx);
  if (fd >= 0) close(fd);
  hf_rsync_slot_give(t, slot, rc == 0 && !whole);
  return rc;
}
