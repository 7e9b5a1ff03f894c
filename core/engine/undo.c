/* undo.c - the journals of restores in place.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/undo.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"

#define JOURNAL_MAX (64 * HF_MIB) /* some 200,000 files of a configuration */

/* JSON has no strings of any bytes: those that are not UTF-8 are an object with their hex digits. */
json_t *hf_undo_path_json(const char *path) {
  json_t *v = json_string(path);
  if (v) return v;
  char *hex = hf_alloc(2 * strlen(path) + 1);
  hf_hex(hex, path, strlen(path));
  v = json_pack("{s:s}", "hex", hex);
  free(hex);
  return v;
}

char *hf_undo_path(const json_t *v) {
  const char *hex = json_string_value(json_object_get(v, "hex"));
  if (!hex) return hf_strdup(json_string_value(v));
  size_t n = strlen(hex) / 2;
  char *path = hf_alloc(n + 1);
  if (!hf_unhex(path, hex, n)) path[0] = 0;
  return path;
}

static char *folder_of(const struct hf_manifest *m) { return hf_path_join(m->state, "safety"); }

/* "17": the folder of a run. */
static uint64_t number_of(const char *name) {
  size_t n = strlen(name);
  return n > 0 && n < 19 && name[0] != '0' && strspn(name, "0123456789") == n ? strtoull(name, NULL, 10) : 0;
}

static int newest(const char *folder, uint64_t *max, struct hf_error *err) {
  *max = 0;
  DIR *d = opendir(folder);
  if (!d) return hf_fail_errno(err, errno, "%s", folder);
  for (struct dirent *e; (e = readdir(d));) *max = HF_MAX(*max, number_of(e->d_name));
  closedir(d);
  return 0;
}

int hf_undo_begin(const struct hf_manifest *m, uint64_t snapshot, uint64_t undoes, const struct hf_list *patterns, struct hf_undo **out, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *folder = folder_of(m);
  HF_CLEANUP(hf_freep) char *lock = hf_path_join(folder, "lock");
  struct hf_undo *u = hf_alloc(sizeof *u);
  uint64_t max = 0;
  int r = hf_mkdir_p(folder, 0700, err);
  if (r == 0) r = hf_lock_take(lock, "restore --in-place", 0, &hf_cancel, &u->lock, err);
  if (r == HOLDFAST_E_EXISTS) hf_prefix(err, "another restore in place is at work");
  if (r == 0) r = newest(folder, &max, err);
  if (r == 0) {
    u->id = max + 1;
    u->folder = hf_asprintf("%s/%llu", folder, (unsigned long long)u->id);
    if (mkdir(u->folder, 0700) != 0) r = hf_fail_errno(err, errno, "%s", u->folder);
  }
  if (r < 0) {
    hf_prefix(err, "what is to be replaced cannot be kept");
    free(u->folder);
    hf_lock_free(u->lock);
    free(u);
    return r;
  }
  char now[HF_TIME_LEN];
  hf_format_time(now, hf_wall_clock());
  json_t *list = json_array();
  for (size_t i = 0; patterns && i < patterns->n; i++) json_array_append_new(list, hf_undo_path_json(patterns->v[i]));
  u->journal = json_pack("{s:I, s:s, s:s, s:I, s:I, s:o, s:[]}", "id", (json_int_t)u->id, "time", now, "host", m->host, "snapshot", (json_int_t)snapshot, "undoes", (json_int_t)undoes, "patterns", list, "sources");
  r = hf_undo_save(u, err);
  if (r < 0) {
    hf_undo_free(u);
    return r;
  }
  *out = u;
  return 0;
}

void hf_undo_source(struct hf_undo *u, const char *name, const char *plugin) {
  u->source = json_pack("{s:s, s:s, s:b, s:[], s:[]}", "name", name, "plugin", plugin, "undone", 0, "streams", "items");
  json_array_append_new(json_object_get(u->journal, "sources"), u->source);
}

void hf_undo_state(struct hf_undo *u, const char *state) { json_object_set_new(u->source, "state", hf_undo_path_json(state)); }

void hf_undo_stream(struct hf_undo *u, const char *name, const char *format, const char *path) {
  json_array_append_new(json_object_get(u->source, "streams"), json_pack("{s:s, s:s, s:o}", "name", name, "format", format, "path", hf_undo_path_json(path)));
  u->changed = true;
}

void hf_undo_made(struct hf_undo *u, const char *path) {
  json_object_set_new(u->source, "made", hf_undo_path_json(path));
  u->changed = true;
}

void hf_undo_kept(void *ctx, const char *place, const char *kept_as) {
  struct hf_undo *u = ctx;
  json_array_append_new(json_object_get(u->source, "items"), json_pack("{s:o, s:o}", "place", hf_undo_path_json(place), "kept_as", kept_as ? hf_undo_path_json(kept_as) : json_null()));
  u->changed = true;
  hf_undo_save(u, NULL);
}

int hf_undo_save(struct hf_undo *u, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *path = hf_path_join(u->folder, "journal.json");
  HF_CLEANUP(hf_freep) char *text = json_dumps(u->journal, JSON_INDENT(1));
  struct hf_error e = {0};
  int r = text ? hf_write_file_atomic(path, text, strlen(text), 0600, &e) : hf_fail(&e, HOLDFAST_E_FAILED, "%s: cannot be written", path);
  if (r < 0 && !u->broken.code) u->broken = e;
  return u->broken.code ? hf_fail(err, u->broken.code, "%s", u->broken.msg) : 0;
}

void hf_undo_free(struct hf_undo *u) {
  if (!u) return;
  struct hf_error e = {0};
  if (u->lock && !u->changed && hf_remove_tree(u->folder, &e) < 0) hf_log(HF_LOG_WARNING, "%s", e.msg);
  json_decref(u->journal);
  hf_lock_free(u->lock);
  free(u->folder);
  free(u);
}

/* ---- all there are ---- */

static int by_id(const void *a, const void *b) {
  uint64_t x = (*(struct hf_undo *const *)a)->id, y = (*(struct hf_undo *const *)b)->id;
  return x < y ? -1 : x > y;
}

/* What the rest relies on. */
static bool is_journal(const json_t *o, uint64_t id) {
  const json_t *source;
  size_t i;
  if (json_integer_value(json_object_get(o, "id")) != (json_int_t)id || !json_is_string(json_object_get(o, "time")) || !json_is_array(json_object_get(o, "sources"))) return false;
  json_array_foreach(json_object_get(o, "sources"), i, source) {
    const json_t *item;
    size_t k;
    if (!json_is_string(json_object_get(source, "name")) || !json_is_string(json_object_get(source, "plugin"))) return false;
    json_array_foreach(json_object_get(source, "items"), k, item) if (!json_object_get(item, "place")) return false;
    json_array_foreach(json_object_get(source, "streams"), k, item) {
      if (!json_is_string(json_object_get(item, "name")) || !json_is_string(json_object_get(item, "format")) || !json_object_get(item, "path")) return false;
    }
  }
  return true;
}

static void read_one(const char *folder, uint64_t id, void (*bad)(void *, const char *, const char *), void *ctx, struct hf_undo_list *out) {
  HF_CLEANUP(hf_freep) char *dir = hf_asprintf("%s/%llu", folder, (unsigned long long)id);
  HF_CLEANUP(hf_freep) char *path = hf_path_join(dir, "journal.json");
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
  struct hf_error e = {0};
  json_t *o = hf_read_file(path, JOURNAL_MAX, &text, &e) == 0 ? hf_json_parse(text.data ? text.data : "", text.len, &e) : NULL;
  if (!o || !is_journal(o, id)) {
    bad(ctx, path, e.code ? e.msg : "not the journal of a restore");
    json_decref(o);
    return;
  }
  struct hf_undo *u = hf_alloc(sizeof *u);
  *u = (struct hf_undo){.id = id, .folder = hf_strdup(dir), .journal = o};
  out->v = hf_realloc(out->v, (out->n + 1) * sizeof *out->v);
  out->v[out->n++] = u;
}

int hf_undo_list(const struct hf_manifest *m, void (*bad)(void *, const char *, const char *), void *ctx, struct hf_undo_list *out, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *folder = folder_of(m);
  *out = (struct hf_undo_list){NULL, 0};
  DIR *d = opendir(folder);
  if (!d) return errno == ENOENT ? 0 : hf_fail_errno(err, errno, "%s", folder);
  for (struct dirent *e; (e = readdir(d));) {
    uint64_t id = number_of(e->d_name);
    if (id > 0) read_one(folder, id, bad, ctx, out);
  }
  closedir(d);
  if (out->n) qsort(out->v, out->n, sizeof *out->v, by_id);
  return 0;
}

void hf_undo_list_free(struct hf_undo_list *l) {
  for (size_t i = 0; i < l->n; i++) hf_undo_free(l->v[i]);
  free(l->v);
  *l = (struct hf_undo_list){NULL, 0};
}

bool hf_undo_is_done(const struct hf_undo *u) {
  const json_t *source;
  size_t i;
  json_array_foreach(json_object_get(u->journal, "sources"), i, source) if (!json_is_true(json_object_get(source, "undone"))) return false;
  return true;
}

static uint64_t size_below(const char *path) {
  char *roots[] = {(char *)(uintptr_t)path, NULL};
  uint64_t n = 0;
  FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  for (FTSENT *f; fts && (f = fts_read(fts));)
    if (f->fts_info == FTS_F) n += (uint64_t)f->fts_statp->st_size;
  if (fts) fts_close(fts);
  return n;
}

uint64_t hf_undo_size(const struct hf_undo *u) {
  uint64_t n = size_below(u->folder);
  const json_t *source, *item;
  size_t i, k;
  json_array_foreach(json_object_get(u->journal, "sources"), i, source) {
    json_array_foreach(json_object_get(source, "items"), k, item) {
      HF_CLEANUP(hf_freep) char *path = hf_undo_path(json_object_get(item, "kept_as"));
      if (path && *path == '/') n += size_below(path);
    }
  }
  return n;
}

/* The later run, not put back, that has replaced a source of u's that is still to be put back; NULL when there is none. */
static const struct hf_undo *later(const struct hf_undo_list *l, const struct hf_undo *u, const char **which) {
  for (size_t i = l->n; i-- > 0 && l->v[i]->id > u->id;) {
    const json_t *mine, *its;
    size_t a, b;
    json_array_foreach(json_object_get(u->journal, "sources"), a, mine) {
      json_array_foreach(json_object_get(l->v[i]->journal, "sources"), b, its) {
        *which = json_string_value(json_object_get(mine, "name"));
        if (!json_is_true(json_object_get(mine, "undone")) && !json_is_true(json_object_get(its, "undone")) && strcmp(*which, json_string_value(json_object_get(its, "name"))) == 0) return l->v[i];
      }
    }
  }
  return NULL;
}

int hf_undo_find(const struct hf_undo_list *l, const char *spec, struct hf_undo **out, struct hf_error *err) {
  struct hf_undo *u = NULL;
  bool last = strcmp(spec, "last") == 0;
  for (size_t i = l->n; i-- > 0 && !u;)
    if (last ? !hf_undo_is_done(l->v[i]) : l->v[i]->id == number_of(spec)) u = l->v[i];
  if (!u && last) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "there is no restore in place that could be undone");
  if (!u) return hf_fail(err, HOLDFAST_E_USAGE, "there is no restore in place %s; holdfast restore --list-undo lists those there are", spec);
  *out = u;
  return 0;
}

int hf_undo_is_free(const struct hf_undo_list *l, const struct hf_undo *u, struct hf_error *err) {
  const char *which = "";
  if (hf_undo_is_done(u)) return hf_fail(err, HOLDFAST_E_USAGE, "%llu has been undone already", (unsigned long long)u->id);
  const struct hf_undo *above = later(l, u, &which);
  return above ? hf_fail(err, HOLDFAST_E_USAGE, "source %s was replaced again by %llu: undo that first", which, (unsigned long long)above->id) : 0;
}
