/* safety.c - a copy of what a restore in place is about to replace.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The source's own plugin reads what is there now, and what it gives is written as one plain tar (and one file per raw stream): undo.h says how it comes back, and `tar -xp` will do. It is neither chunked nor encrypted and stays on this
 * machine, readable by its owner alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/restore_impl.h"
#include "stream/tar.h"

struct copy {
  const struct hf_select *sel;
  struct hf_undo *u;
  struct hf_rest *rest;
  struct hf_list *files;
  char *dir;    /* of this source */
  char *name, *path; /* of the stream being written, and its file */
  struct hf_buf group;
  int fd;       /* of the stream being written, -1 */
  bool raw, take_bulk;
  bool skip;    /* a raw stream that is not replaced */
  const char *source;
  uint64_t entries;
  struct hf_error err;
};

static int begin(void *ctx, const char *name, const char *format, uint64_t size HF_UNUSED) {
  struct copy *c = ctx;
  c->raw = strcmp(format, "raw") == 0;
  c->skip = c->raw && c->sel->patterns && c->sel->patterns->n && !hf_list_has(c->sel->patterns, name);
  c->take_bulk = c->raw && !c->skip;
  c->entries = 0;
  if (c->skip) return 0;
  free(c->name);
  free(c->path);
  c->name = hf_strdup(name);
  /* In folders of their own, so that no stream's name can be another's. */
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(c->dir, format);
  c->path = hf_asprintf("%s/%s%s", folder, name, c->raw ? "" : ".tar");
  if (hf_mkdir_p(folder, 0700, &c->err) < 0) return c->err.code;
  c->fd = open(c->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return c->fd < 0 ? hf_fail_errno(&c->err, errno, "safety copy %s", c->path) : 0;
}

static int bytes(void *ctx, const void *p, size_t n) {
  struct copy *c = ctx;
  hf_buf_add(&c->group, p, n);
  return 0;
}

static int cut(void *ctx HF_UNUSED) { return 0; }

/* Entries of the group just read: copy the wanted ones, and the folders above them, whose metadata comes back too, or what stands where these have to be. */
static int lines(void *ctx, const char *p, size_t n) {
  struct copy *c = ctx;
  int r = 0;
  for (const char *end = p + n; r == 0 && p < end;) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    struct hf_recipe_entry e;
    if (!nl) return hf_fail(&c->err, HOLDFAST_E_FAILED, "half a line from the source's worker");
    if (p[0] == 'e') {
      HF_CLEANUP(hf_buf_free) struct hf_buf path = HF_BUF_INIT;
      r = hf_recipe_parse_entry(p, (size_t)(nl - p), &e, &c->err);
      if (r == 0) r = hf_unescape(&path, e.path, e.path_n, &c->err);
      if (r < 0) return r;
      bool wanted = hf_select_wants(c->sel, path.data, path.len) || hf_select_leads_to(c->sel, path.data, path.len);
      /* Another name of a file that is not in this copy would come back as whatever that file is then: its content is kept with the rest. */
      if (wanted && e.kind == 'h') {
        HF_CLEANUP(hf_buf_free) struct hf_buf link = HF_BUF_INIT;
        r = hf_unescape(&link, e.link, e.link_n, &c->err);
        if (r < 0) return r;
        wanted = hf_select_wants(c->sel, link.data, link.len);
      }
      c->take_bulk = wanted;
      if (wanted && e.span > 0) {
        if ((uint64_t)e.at + e.span > c->group.len) return hf_fail(&c->err, HOLDFAST_E_FAILED, "an entry outside its group from the source's worker");
        r = hf_write_all(c->fd, c->group.data + e.at, e.span, &c->err);
        c->entries++;
        hf_rest_has(c->rest, path.data, path.len);
      }
    }
    p = nl + 1;
  }
  hf_buf_clear(&c->group);
  return r;
}

static int previous(void *ctx, uint64_t off HF_UNUSED, uint64_t n HF_UNUSED) { return hf_fail(&((struct copy *)ctx)->err, HOLDFAST_E_FAILED, "nothing was there to be reused"); }

static int bulk_begin(void *ctx HF_UNUSED, uint64_t fixed HF_UNUSED) { return 0; }

static int bulk(void *ctx, const void *p, size_t n) {
  struct copy *c = ctx;
  if (!c->take_bulk) return 0;
  return hf_write_all(c->fd, p, n, &c->err);
}

static int bulk_end(void *ctx HF_UNUSED) { return 0; }

static int stream_end(void *ctx) {
  struct copy *c = ctx;
  static const char zeros[HF_TAR_TAIL];
  if (c->skip) return 0;
  int r = c->raw ? 0 : hf_write_all(c->fd, zeros, sizeof zeros, &c->err);
  if (r == 0 && fsync(c->fd) < 0) r = hf_fail_errno(&c->err, errno, "safety copy");
  hf_closep(&c->fd);
  if (r < 0) return r;
  if (!c->raw && c->entries == 0) {
    unlink(c->path);
    return 0;
  }
  hf_undo_stream(c->u, c->name, c->raw ? "raw" : "tar", c->path);
  hf_list_add(c->files, c->path);
  hf_log(HF_LOG_NOTICE, "source %s: what was there is kept in %s", c->source, c->path);
  return 0;
}

static int problem(void *ctx, const char *path, int status HF_UNUSED, const char *what) {
  struct copy *c = ctx;
  if (!hf_select_wants(c->sel, path, strlen(path)) && !hf_select_leads_to(c->sel, path, strlen(path))) return 0;
  return hf_fail(&c->err, HOLDFAST_E_FAILED, "/%s: %s", path, what);
}

static int progress(void *ctx HF_UNUSED, const char *path HF_UNUSED, uint64_t entries HF_UNUSED, uint64_t b HF_UNUSED, uint64_t read HF_UNUSED) { return 0; }

/* A missing root is no obstacle here: that it is gone may be why a restore is wanted. */
static int lenient_settings(const struct hf_manifest_source *m, struct hf_settings **out, struct hf_error *err) {
  HF_CLEANUP(hf_json_decrefp) json_t *j = hf_settings_to_json(m->settings);
  int r = hf_settings_from_json(m->settings->table, j, out, err);
  if (r < 0) return r;
  for (size_t i = 0; i < (*out)->n; i++) {
    struct holdfast_value *v = &(*out)->values[i];
    if (strcmp(v->name, "ignore-missing") == 0 && (*out)->table[i].type == HOLDFAST_BOOL) v->number = 1;
  }
  return 0;
}

int hf_safety_copy(struct hf_session *s HF_UNUSED, const struct hf_manifest_source *m, const struct hf_select *sel, struct hf_undo *u, struct hf_rest *rest, struct hf_list *files, struct hf_error *err) {
  struct copy c = {.sel = sel, .u = u, .rest = rest, .files = files, .source = m->name, .group = HF_BUF_INIT, .fd = -1, .dir = hf_path_join(u->folder, m->name)};
  struct hf_emit emit = {.ctx = &c, .stream_begin = begin, .bytes = bytes, .cut = cut, .lines = lines, .previous = previous, .bulk_begin = bulk_begin, .bulk = bulk, .bulk_end = bulk_end, .stream_end = stream_end,
                         .problem = problem, .progress = progress};
  struct hf_settings *settings = NULL;
  struct hf_tree_counts counts = {0};
  HF_CLEANUP(hf_freep) char *state = NULL;
  unsigned char key[32];
  hf_random(key, sizeof key);
  struct hf_error why = {0};
  int r = lenient_settings(m, &settings, err);
  if (r == 0) {
    struct hf_worker_job job = {.plugin = m->plugin, .settings = settings, .instance = m->name, .user = m->user, .timeout = m->timeout, .cancel = &hf_cancel};
    r = hf_worker_backup(&job, key, -1, &emit, &counts, &state, &why);
    if (r < 0) r = hf_fail(err, r, "safety copy of source %s: %s", m->name, c.err.code ? c.err.msg : why.msg);
  }
  if (r == 0 && state) hf_undo_state(u, state);
  hf_settings_free(settings);
  hf_closep(&c.fd);
  hf_buf_free(&c.group);
  free(c.dir);
  free(c.name);
  free(c.path);
  return r;
}
