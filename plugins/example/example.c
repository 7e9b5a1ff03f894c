/* example.c - a source plugin to copy: it makes a small tree and one stream out of its settings.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * How to begin a plugin of your own
 *   1. Copy this folder, rename the file and the name in `plugin` at the end. The two must be the same: foo.c, foo.so, "foo".
 *   2. Build it with the Makefile beside this file. It needs a compiler and `pkg-config holdfast`, nothing else.
 *   3. make check: runs holdfast-source-conformance on it.
 *   4. make install, or set HOLDFAST_PLUGIN_PATH to this folder; then `holdfast plugins foo` shows its settings, and
 *          [source greetings]
 *          plugin  = example
 *          message = good morning
 *      in a manifest uses it.
 * The contract in full is in holdfast-plugin(3), the structs are in <holdfast/source.h>.
 *
 * What this one backs up
 *   greetings/           a folder
 *   greetings/000000     `count` files that hold the message, one after the other
 *   greetings/latest     a symbolic link to the last of them (if there is one)
 *   numbers              a stream: the numbers from 1 to `count`, one a line. Its length is not told beforehand
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/source.h>

/* ---- settings: declared here, parsed by the host. The enum is the order of the table ---- */

enum { SET_MESSAGE, SET_COUNT, SET_MISBEHAVE };

#define MAX_COUNT 1000000

static const struct holdfast_setting settings[] = {
    {"message", HOLDFAST_STRING, 0, "hello", NULL, "What the files hold"},
    {"count", HOLDFAST_INT, 0, "3", NULL, "How many files there are, at most a million"},
    /* A real plugin has nothing like this. It is here so that what holdfast promises about plugins in trouble can be
     * tried: that a plugin which crashes or hangs costs its own source and not the run. */
    {"misbehave", HOLDFAST_CHOICE, 0, "none",
     "none|fail-open|fail-next|fail-read|fail-finish|crash-open|crash-next|crash-read|hang|lie-path|lie-size|lie-read",
     "Go wrong on purpose: report an error, crash, never return, or break the contract"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

/* ---- the instance: everything one [source] section needs. No static variables: many instances share the process ---- */

struct example {
  const struct holdfast_host *host;
  const char *message; /* belongs to the host, valid until close */
  const char *misbehave;
  size_t message_len;
  uint64_t count;
  uint64_t position; /* which entry next returns: 0 the folder, 1 to count the files, then the link, then the stream */
  char path[64];     /* strings of an entry live until the following call of next, so they can stay here */
  char link[32];
  char token[32];
  char state[64];

  /* The entry being read. The host may have called next again since it returned this one, so the two are kept apart. */
  int reading_stream;
  uint64_t offset;  /* bytes of the file, or numbers of the stream, given out so far */
  char line[24];    /* stream: the line being given out, */
  size_t line_left; /* and how much of its end is still to come */
};

static int misbehaves(const struct example *x, const char *how) { return strcmp(x->misbehave, how) == 0; }

/* Nothing below is of use to a real plugin: what misbehave asks for at a stage ("open", "next", "read", "finish"). */
static int go_wrong(const struct example *x, const char *stage) {
  const char *dash = strchr(x->misbehave, '-');
  if (misbehaves(x, "hang") && strcmp(stage, "read") == 0)
    for (;;) pause();
  if (!dash || strcmp(dash + 1, stage) != 0) return HOLDFAST_OK;
  if (strncmp(x->misbehave, "crash", 5) == 0) raise(SIGSEGV);
  if (strncmp(x->misbehave, "fail", 4) == 0) return holdfast_fail(x->host, HOLDFAST_E_FAILED, "misbehave = %s", x->misbehave);
  return HOLDFAST_OK;
}

/* FNV-1a; something short that changes when the message does. */
static uint64_t hash(const char *s) {
  uint64_t h = 14695981039346656037u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  return h;
}

/* ---- backup ---- */

static int example_open(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  /* values[i] belongs to settings[i]. The host has checked type and form, what the value means is for the plugin to check. */
  if (values[SET_COUNT].number > MAX_COUNT)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "count = %lld: at most %d", (long long)values[SET_COUNT].number, MAX_COUNT);
  struct example *x = calloc(1, sizeof *x);
  if (!x) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  x->host = host;
  x->message = values[SET_MESSAGE].strings[0]; /* never missing: it has a default */
  x->message_len = strlen(x->message);
  x->misbehave = values[SET_MISBEHAVE].strings[0];
  x->count = (uint64_t)values[SET_COUNT].number;
  snprintf(x->token, sizeof x->token, "%016llx", (unsigned long long)hash(x->message));
  int status = go_wrong(x, "open");
  if (status != HOLDFAST_OK) {
    free(x); /* close is not called after an open that failed */
    return status;
  }
  *handle = x;
  return HOLDFAST_OK;
}

/* The host has zeroed *e: set what there is to say. Paths are relative, and come in tree order: a folder, then what is in it,
 * bytewise. */
static int example_next(void *handle, struct holdfast_entry *e) {
  struct example *x = handle;
  uint64_t at = x->position++;
  int status = at > 0 ? go_wrong(x, "next") : HOLDFAST_OK;
  if (status != HOLDFAST_OK) return status;
  e->path = x->path;
  e->uid = (uint32_t)getuid();
  e->gid = (uint32_t)getgid();
  e->mtime = 1600000000;
  e->cookie = at; /* the plugin's own mark; comes back in entry_open */
  /* As long as an entry's token stays what it was, the host takes it for unchanged and does not read it again. Real files and
   * folders have a ctime, which does as well; what has neither is stored anew each time. */
  e->token = x->token;
  if (at == 0) {
    snprintf(x->path, sizeof x->path, "greetings");
    e->kind = HOLDFAST_DIR;
    e->mode = 0755;
    return 1;
  }
  if (at <= x->count) {
    snprintf(x->path, sizeof x->path, "%sgreetings/%06llu", misbehaves(x, "lie-path") ? "../" : "", (unsigned long long)(at - 1));
    e->kind = HOLDFAST_FILE;
    e->mode = 0644;
    e->size = x->message_len + (misbehaves(x, "lie-size") ? 1000 : 0);
    return 1;
  }
  if (at == x->count + 1) {
    if (x->count > 0) {
      snprintf(x->path, sizeof x->path, "greetings/latest");
      snprintf(x->link, sizeof x->link, "%06llu", (unsigned long long)(x->count - 1));
      e->kind = HOLDFAST_SYMLINK;
      e->mode = 0777;
      e->link = x->link;
      return 1;
    }
    e->cookie = at = x->position++; /* no link without files: go on to the stream */
  }
  if (at == x->count + 2) {
    /* A stream is a whole of its own, outside the tree: a dump, say. The host reads it at once. */
    snprintf(x->path, sizeof x->path, "numbers");
    e->kind = HOLDFAST_STREAM;
    e->size = HOLDFAST_SIZE_UNKNOWN;
    return 1;
  }
  x->position--; /* the end, and the end again if asked again */
  return 0;
}

/* e->cookie says which entry it is: it need not be the one that next returned last. A plugin that reads real files opens the
 * file here, looks at it again, and brings size and times up to date. */
static int example_entry_open(void *handle, struct holdfast_entry *e) {
  struct example *x = handle;
  x->reading_stream = e->kind == HOLDFAST_STREAM;
  /* Folders and links are opened as well, and have nothing to read. */
  x->offset = e->kind == HOLDFAST_FILE || e->kind == HOLDFAST_STREAM ? 0 : x->message_len;
  x->line_left = 0;
  return HOLDFAST_OK;
}

/* Give the next part of the line, making a new one when the last is used up; 0 behind the last number. */
static size_t read_number(struct example *x, char *buf, size_t n) {
  if (x->line_left == 0) {
    if (x->offset == x->count) return 0;
    x->offset++;
    x->line_left = (size_t)snprintf(x->line, sizeof x->line, "%llu\n", (unsigned long long)x->offset);
  }
  size_t len = strlen(x->line), part = x->line_left < n ? x->line_left : n;
  memcpy(buf, x->line + len - x->line_left, part);
  x->line_left -= part;
  return part;
}

/* Any number of bytes from 1 to n is right, the more the better; 0 is the end. */
static int64_t example_read(void *handle, void *buf, size_t n) {
  struct example *x = handle;
  size_t done = 0;
  int status = go_wrong(x, "read");
  if (status != HOLDFAST_OK) return status;
  if (misbehaves(x, "lie-read")) return (int64_t)n + 1;
  /* A plugin that can take long asks now and then whether it is still wanted. */
  if (x->host->cancelled(x->host->ctx)) return holdfast_fail(x->host, HOLDFAST_E_CANCELED, "stopped");
  if (x->reading_stream) {
    size_t part;
    while (done < n && (part = read_number(x, (char *)buf + done, n - done)) > 0) done += part;
    return (int64_t)done;
  }
  done = x->message_len - x->offset < n ? (size_t)(x->message_len - x->offset) : n;
  memcpy(buf, x->message + x->offset, done);
  x->offset += done;
  return (int64_t)done;
}

/* Where a real plugin looks whether the entry changed under its hands, and then returns HOLDFAST_E_CHANGED. */
static int example_entry_close(void *handle) {
  (void)handle;
  return HOLDFAST_OK;
}

/* A few facts that restore or verify will want to know, as JSON. Kept in the snapshot's record. */
static int example_finish(void *handle, const char **state) {
  struct example *x = handle;
  int status = go_wrong(x, "finish");
  if (status != HOLDFAST_OK) return status;
  snprintf(x->state, sizeof x->state, "{\"count\":%llu}", (unsigned long long)x->count);
  *state = x->state;
  return HOLDFAST_OK;
}

static void example_close(void *handle) { free(handle); }

/* ---- preflight: `holdfast check` ---- */

static int example_probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  if (values[SET_COUNT].number > MAX_COUNT)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "count = %lld: at most %d", (long long)values[SET_COUNT].number, MAX_COUNT);
  return holdfast_fail(host, HOLDFAST_OK, "%lld files and one stream", (long long)values[SET_COUNT].number);
}

/* No restore half: without one, holdfast restores the tree and the stream as files below the folder that was asked for. */

static const struct holdfast_source_plugin plugin = {
    .head =
        {
            .struct_size = sizeof plugin,
            .abi_major = HOLDFAST_ABI_MAJOR,
            .abi_minor = HOLDFAST_ABI_MINOR,
            .name = "example",
            .version = "1.0",
            .summary = "a small tree and a stream made from the settings, for authors of plugins",
            .settings = settings,
        },
    .open = example_open,
    .next = example_next,
    .entry_open = example_entry_open,
    .read = example_read,
    .entry_close = example_entry_close,
    .finish = example_finish,
    .close = example_close,
    .probe = example_probe,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
