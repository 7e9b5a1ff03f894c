/* undo_remove.c - letting go of what restores in place have replaced.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <unistd.h>

#include "base/text.h"
#include "engine/undo.h"
#include "plugin/worker.h"

/* Is it a copy in a folder of its own, SAFETY/NAME/PLACE? Then the length of SAFETY/NAME, else 0. */
static size_t copy_root(const char *kept_as, const char *place) {
  size_t n = strlen(kept_as), k = strlen(place);
  return n > k && strcmp(kept_as + n - k, place) == 0 ? n - k : 0;
}

/* Remove it, and of a copy the folders that are empty then, up to its own. */
static int remove_kept(const char *kept_as, const char *place, struct hf_error *err) {
  int r = hf_remove_tree(kept_as, err);
  size_t root = copy_root(kept_as, place);
  HF_CLEANUP(hf_freep) char *path = hf_strdup(kept_as);
  for (char *slash; r == 0 && root > 0 && (slash = strrchr(path, '/')) && (size_t)(slash - path) >= root;) {
    *slash = 0;
    if (rmdir(path) != 0) break;
  }
  return r;
}

/* What is no file is its plugin's to remove. Of what was put back only copies are left where they were; another run may have moved something else to other names since. */
static int discard(struct hf_session *s, const json_t *source, struct hf_error *err) {
  bool undone = json_is_true(json_object_get(source, "undone"));
  const char *name = json_string_value(json_object_get(source, "name")), *plugin = json_string_value(json_object_get(source, "plugin"));
  const struct hf_manifest_source *m = hf_manifest_find_source(s->manifest, name);
  const json_t *all = json_object_get(source, "items"), *item;
  struct hf_worker_item *items = hf_allocn(json_array_size(all) + 1, sizeof *items);
  HF_CLEANUP(hf_freep) char *message = NULL;
  size_t n = 0, i;
  int r = 0;
  json_array_foreach(all, i, item) {
    char *kept_as = hf_undo_path(json_object_get(item, "kept_as"));
    char *place = hf_undo_path(json_object_get(item, "place"));
    if (kept_as && *kept_as != '/' && !undone) {
      items[n++] = (struct hf_worker_item){place, kept_as};
      continue;
    }
    if (kept_as && *kept_as == '/' && r == 0 && (!undone || copy_root(kept_as, place) > 0)) r = remove_kept(kept_as, place, err);
    free(kept_as);
    free(place);
  }
  if (r == 0 && n > 0 && (!m || strcmp(m->plugin->head->name, plugin) != 0)) r = hf_fail(err, HOLDFAST_E_CONFIG, "the manifest has no such source of the plugin %s any more: remove %s yourself", plugin, items[0].kept_as);
  if (r == 0 && n > 0) {
    struct hf_worker_job job = {.plugin = m->plugin, .settings = m->settings, .instance = m->name, .user = m->user, .timeout = m->timeout, .cancel = &hf_cancel};
    r = hf_worker_undo(&job, true, items, n, &message, err);
  }
  for (i = 0; i < n; i++) {
    free(items[i].place);
    free(items[i].kept_as);
  }
  free(items);
  return r < 0 ? hf_prefix(err, "source %s", name) : 0;
}

int hf_undo_remove(struct hf_session *s, struct hf_undo *u, struct hf_error *err) {
  const json_t *source;
  size_t i;
  json_array_foreach(json_object_get(u->journal, "sources"), i, source) {
    int r = discard(s, source, err);
    if (r < 0) return r;
  }
  return hf_remove_tree(u->folder, err);
}

static void bad(void *ctx HF_UNUSED, const char *file, const char *why) { hf_log(HF_LOG_WARNING, "%s: %s", file, why); }

void hf_undo_expire(struct hf_session *s) {
  struct hf_undo_list l;
  struct hf_error e = {0};
  int64_t keep = s->manifest->safety_keep, made;
  if (keep == 0) return;
  if (hf_undo_list(s->manifest, bad, NULL, &l, &e) < 0) {
    hf_log(HF_LOG_WARNING, "%s", e.msg);
    return;
  }
  for (size_t i = 0; i + 1 < l.n; i++) {
    const char *time = json_string_value(json_object_get(l.v[i]->journal, "time"));
    if (hf_parse_time(time, &made, NULL) < 0 || hf_wall_clock() - made <= keep) continue;
    if (hf_undo_remove(s, l.v[i], &e) < 0) hf_log(HF_LOG_WARNING, "what the restore in place %llu replaced could not be removed: %s", (unsigned long long)l.v[i]->id, e.msg);
    else hf_log(HF_LOG_NOTICE, "what the restore in place %llu of %s replaced is removed: it is older than safety-keep", (unsigned long long)l.v[i]->id, time);
  }
  hf_undo_list_free(&l);
}
