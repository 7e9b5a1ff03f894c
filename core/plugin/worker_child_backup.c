/* worker_child_backup.c - a backup as the worker does it: the tree builder's events become messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "plugin/worker_proto.h"

struct sender {
  struct hf_side *s;
  bool busy[HF_WORKER_SLOTS];
  uint32_t lent; /* the slot buffer() gave out last, HF_WORKER_NO_SLOT: none */
  struct hf_msg in;
  const char *previous;
  size_t previous_n, let_go;
};

static unsigned char *slot_at(const struct sender *t, uint32_t slot) { return t->s->slots + (size_t)slot * HF_WORKER_SLOT; }

/* A free slot; waits for the core to hand one back. */
static uint32_t take_slot(struct sender *t) {
  for (;;) {
    for (uint32_t i = 0; i < HF_WORKER_SLOTS; i++)
      if (!t->busy[i]) {
        t->busy[i] = true;
        return i;
      }
    hf_side_receive(t->s, &t->in);
    if (t->in.type != HF_MSG_SLOT || t->in.slot >= HF_WORKER_SLOTS) hf_side_lost();
    t->busy[t->in.slot] = false;
  }
}

static int simple(struct sender *t, uint32_t type, uint64_t a, uint64_t b) {
  struct hf_msg m = {.type = type, .slot = HF_WORKER_NO_SLOT, .v = {a, b}};
  hf_side_send(t->s, &m, NULL, NULL);
  return 0;
}

static void *on_buffer(void *ctx, size_t *cap) {
  struct sender *t = ctx;
  if (t->lent == HF_WORKER_NO_SLOT) t->lent = take_slot(t);
  *cap = HF_WORKER_SLOT;
  return slot_at(t, t->lent);
}

/* Data that is in the lent slot already. */
static int send_lent(struct sender *t, uint32_t type, const void *p, size_t n) {
  if (t->lent == HF_WORKER_NO_SLOT || p != slot_at(t, t->lent) || n > HF_WORKER_SLOT) return HOLDFAST_E_FAILED;
  struct hf_msg m = {.type = type, .slot = t->lent, .length = (uint32_t)n};
  t->lent = HF_WORKER_NO_SLOT;
  hf_side_send(t->s, &m, NULL, NULL);
  return 0;
}

static int on_bytes(void *ctx, const void *p, size_t n) { return send_lent(ctx, HF_MSG_BYTES, p, n); }
static int on_bulk(void *ctx, const void *p, size_t n) { return send_lent(ctx, HF_MSG_BULK, p, n); }
static int on_cut(void *ctx) { return simple(ctx, HF_MSG_CUT, 0, 0); }
static int on_previous(void *ctx, uint64_t off, uint64_t n) { return simple(ctx, HF_MSG_PREVIOUS, off, n); }
static int on_bulk_begin(void *ctx, uint64_t fixed) { return simple(ctx, HF_MSG_BULK_BEGIN, fixed, 0); }
static int on_bulk_end(void *ctx) { return simple(ctx, HF_MSG_BULK_END, 0, 0); }
static int on_distrust(void *ctx) { return simple(ctx, HF_MSG_DISTRUST, 0, 0); }
static int on_stream_end(void *ctx) { return simple(ctx, HF_MSG_STREAM_END, 0, 0); }

static int on_stream_begin(void *ctx, const char *name, const char *format, uint64_t size) {
  struct sender *t = ctx;
  struct hf_msg m = {.type = HF_MSG_STREAM_BEGIN, .slot = HF_WORKER_NO_SLOT, .v = {size}};
  hf_side_send(t->s, &m, name, format);
  return 0;
}

/* Whole lines, as many as fit into a slot at a time. */
static int on_lines(void *ctx, const char *p, size_t n) {
  struct sender *t = ctx;
  while (n > 0) {
    size_t part = n;
    if (part > HF_WORKER_SLOT) {
      const char *nl = memrchr(p, '\n', HF_WORKER_SLOT);
      if (!nl) return HOLDFAST_E_FAILED; /* the tree builder keeps lines shorter */
      part = (size_t)(nl + 1 - p);
    }
    struct hf_msg m = {.type = HF_MSG_LINES, .slot = take_slot(t), .length = (uint32_t)part};
    memcpy(slot_at(t, m.slot), p, part);
    hf_side_send(t->s, &m, NULL, NULL);
    p += part;
    n -= part;
  }
  return 0;
}

static int on_problem(void *ctx, const char *path, int status, const char *what) {
  struct sender *t = ctx;
  struct hf_msg m = {.type = HF_MSG_PROBLEM, .status = status, .slot = HF_WORKER_NO_SLOT};
  hf_side_send(t->s, &m, path, what);
  return 0;
}

static int on_progress(void *ctx, const char *path, uint64_t entries, uint64_t bytes, uint64_t got) {
  struct sender *t = ctx;
  struct hf_msg m = {.type = HF_MSG_PROGRESS, .slot = HF_WORKER_NO_SLOT, .v = {entries, bytes, got}};
  hf_side_send(t->s, &m, path, NULL);
  return 0;
}

static const char *words(void *ctx) { return ((struct hf_side *)ctx)->words; }

/* The mapping's pages behind us count as our memory for as long as we hold on to them. */
static void on_passed(void *ctx, uint64_t upto) {
  struct sender *t = ctx;
  size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (size_t)upto / page * page;
  if (end <= t->let_go) return;
  madvise((void *)(uintptr_t)(t->previous + t->let_go), end - t->let_go, MADV_DONTNEED);
  t->let_go = end;
}

/* A recipe that cannot be mapped is one we do not have. */
static void map_previous(struct sender *t) {
  struct stat st;
  if (!json_is_true(json_object_get(t->s->job, "previous"))) return;
  if (fstat(HF_WORKER_PREVIOUS, &st) == 0 && st.st_size > 0) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, HF_WORKER_PREVIOUS, 0);
    if (p != MAP_FAILED) {
      t->previous = p;
      t->previous_n = (size_t)st.st_size;
    }
  }
  close(HF_WORKER_PREVIOUS);
}

static int send_state(struct sender *t, const char *state, struct hf_error *err) {
  size_t n = strlen(state);
  if (n == 0) return 0;
  if (n > HF_WORKER_STATE)
    return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's state is longer than %u KiB", HF_WORKER_STATE / 1024);
  struct hf_msg m = {.type = HF_MSG_STATE, .slot = take_slot(t), .length = (uint32_t)n};
  memcpy(slot_at(t, m.slot), state, n);
  hf_side_send(t->s, &m, NULL, NULL);
  return 0;
}

static int plugin_said(const struct hf_side *s, int status, const char *doing, struct hf_error *err) {
  if (status > 0) return hf_fail(err, HOLDFAST_E_FAILED, "the plugin's %s() returned %d", doing, status);
  return hf_fail(err, status, "%s", s->words[0] ? s->words : hf_status_name(status));
}

static int run(struct sender *t, struct hf_tree_counts *counts, struct hf_error *err) {
  struct hf_side *s = t->s;
  const struct holdfast_source_plugin *p = &s->plugin->source;
  struct timespec opened;
  unsigned char key[32] = {0};
  void *handle = NULL;
  const char *hex = json_string_value(json_object_get(s->job, "group_key")), *state = NULL;
  if (!hex || strlen(hex) != 64 || !hf_unhex(key, hex, sizeof key))
    return hf_fail(err, HOLDFAST_E_FAILED, "a job without its key");
  /* The clock that file systems stamp with: it may lag behind the fine one, and must not lag behind this. */
  clock_gettime(CLOCK_REALTIME_COARSE, &opened);
  int rc = p->open(&s->host, s->settings->values, &handle);
  if (rc != 0) return plugin_said(s, rc, "open", err);
  const struct hf_emit emit = {.ctx = t,
                               .stream_begin = on_stream_begin,
                               .bytes = on_bytes,
                               .cut = on_cut,
                               .lines = on_lines,
                               .previous = on_previous,
                               .bulk_begin = on_bulk_begin,
                               .bulk = on_bulk,
                               .bulk_end = on_bulk_end,
                               .distrust = on_distrust,
                               .stream_end = on_stream_end,
                               .problem = on_problem,
                               .progress = on_progress,
                               .buffer = on_buffer};
  const struct hf_tree_options o = {.plugin = p,
                                    .handle = handle,
                                    .group_key = key,
                                    .previous = t->previous,
                                    .previous_n = t->previous_n,
                                    .opened_s = opened.tv_sec,
                                    .opened_ns = (uint32_t)opened.tv_nsec,
                                    .last_error = words,
                                    .last_error_ctx = s,
                                    .passed = on_passed,
                                    .passed_ctx = t};
  rc = hf_tree_run(&o, &emit, counts, err);
  if (rc == 0 && p->finish) {
    s->words[0] = 0;
    int finished = p->finish(handle, &state);
    if (finished != 0) rc = plugin_said(s, finished, "finish", err);
  }
  if (rc == 0 && state) rc = send_state(t, state, err);
  p->close(handle);
  hf_wipe(key, sizeof key);
  return rc;
}

void hf_side_backup(struct hf_side *s) {
  struct sender *t = hf_alloc(sizeof *t);
  struct hf_tree_counts c = {0};
  struct hf_error err = {0};
  t->s = s;
  t->lent = HF_WORKER_NO_SLOT;
  map_previous(t);
  int rc = run(t, &c, &err);
  struct hf_msg m = {.type = HF_MSG_RESULT,
                     .status = rc,
                     .slot = HF_WORKER_NO_SLOT,
                     .v = {c.files, c.folders, c.others, c.bytes, c.read, c.reused}};
  hf_side_send(s, &m, rc != 0 ? err.msg : "", NULL);
  if (t->previous) munmap((void *)(uintptr_t)t->previous, t->previous_n);
  free(t);
}
