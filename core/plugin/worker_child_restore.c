/* worker_child_restore.c - probe, verify and the restore half as the worker does them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "plugin/worker_proto.h"

/* What the plugin returned as a status, its words with it. */
static void send_result(struct hf_side *s, int status, uint32_t slot) {
  struct hf_msg m = {.type = HF_MSG_RESULT, .status = status > 0 ? HOLDFAST_E_FAILED : status, .slot = slot};
  hf_side_send(s, &m, s->words, NULL);
}

void hf_side_probe(struct hf_side *s) {
  const struct holdfast_source_plugin *p = &s->plugin->source;
  send_result(s, p->probe ? p->probe(&s->host, s->settings->values) : HOLDFAST_E_UNSUPPORTED, HF_WORKER_NO_SLOT);
}

void hf_side_verify(struct hf_side *s) {
  const struct holdfast_source_plugin *p = &s->plugin->source;
  HF_CLEANUP(hf_freep) char *directory = hf_side_text(s, "directory");
  HF_CLEANUP(hf_freep) char *state = hf_side_text(s, "state");
  int rc = p->verify ? p->verify(&s->host, s->settings->values, directory ? directory : "", state ? state : "")
                     : HOLDFAST_E_UNSUPPORTED;
  send_result(s, rc, HF_WORKER_NO_SLOT);
}

/* A text of an item, as bytes; NULL when it has none. */
static char *item_text(const json_t *item, const char *key) {
  const char *hex = json_string_value(json_object_get(item, key));
  size_t n = hex ? strlen(hex) / 2 : 0;
  char *text = hex ? hf_alloc(n + 1) : NULL;
  if (text && !hf_unhex(text, hex, n)) text[0] = 0;
  return text;
}

void hf_side_undo(struct hf_side *s) {
  const struct holdfast_source_plugin *p = &s->plugin->source;
  const json_t *all = json_object_get(s->job, "items"), *item;
  bool discard = strcmp(json_string_value(json_object_get(s->job, "op")), "discard") == 0;
  size_t n = json_array_size(all), i;
  struct hf_worker_item *items = hf_allocn(n + 1, sizeof *items);
  struct holdfast_kept *shown = hf_allocn(n + 1, sizeof *shown);
  json_array_foreach(all, i, item) {
    items[i] = (struct hf_worker_item){item_text(item, "place"), item_text(item, "kept_as")};
    shown[i] = (struct holdfast_kept){items[i].place ? items[i].place : "", items[i].kept_as};
  }
  int (*fn)(const struct holdfast_host *, const struct holdfast_value *, const struct holdfast_kept *, size_t) = discard ? p->discard : p->undo;
  send_result(s, fn ? fn(&s->host, s->settings->values, shown, n) : HOLDFAST_E_UNSUPPORTED, HF_WORKER_NO_SLOT);
  for (i = 0; i < n; i++) {
    free(items[i].place);
    free(items[i].kept_as);
  }
  free(items);
  free(shown);
}

/* One call of the restore half. A plugin may have only some of it. */
static int call(struct hf_side *s, void *handle, const struct hf_msg *m, char *dir, size_t cap) {
  const struct holdfast_source_plugin *p = &s->plugin->source;
  switch (m->type) {
  case HF_MSG_RESTORE_TREE: return p->restore_tree ? p->restore_tree(handle, m->text, dir, cap) : HOLDFAST_E_UNSUPPORTED;
  case HF_MSG_RESTORE_BEGIN: return p->restore_begin ? p->restore_begin(handle, m->text, m->v[0]) : HOLDFAST_E_UNSUPPORTED;
  case HF_MSG_RESTORE_WRITE:
    if (m->slot >= HF_WORKER_SLOTS || m->length > HF_WORKER_SLOT) hf_side_lost();
    return p->restore_write ? p->restore_write(handle, s->slots + (size_t)m->slot * HF_WORKER_SLOT, m->length)
                            : HOLDFAST_E_UNSUPPORTED;
  case HF_MSG_RESTORE_END: return p->restore_end ? p->restore_end(handle) : HOLDFAST_E_UNSUPPORTED;
  case HF_MSG_RESTORE_FINISH: return p->restore_finish ? p->restore_finish(handle, m->v[0] != 0) : 0;
  case HF_MSG_RESTORE_CLOSE:
    if (p->restore_close) p->restore_close(handle);
    return 0;
  default: hf_side_lost();
  }
}

static void serve(struct hf_side *s, void *handle) {
  struct hf_msg *m = hf_alloc(sizeof *m);
  char *dir = hf_alloc(HF_WORKER_TEXT);
  bool more = true;
  while (more) {
    hf_side_receive(s, m);
    s->words[0] = 0;
    dir[0] = 0;
    int rc = call(s, handle, m, dir, HF_WORKER_TEXT);
    dir[HF_WORKER_TEXT - 1] = 0;
    more = m->type != HF_MSG_RESTORE_CLOSE;
    if (rc == 0 && m->type == HF_MSG_RESTORE_TREE)
      hf_side_result(s, 0, dir);
    else
      send_result(s, rc, m->type == HF_MSG_RESTORE_WRITE ? m->slot : HF_WORKER_NO_SLOT);
  }
  free(dir);
  free(m);
}

void hf_side_restore(struct hf_side *s) {
  const struct holdfast_source_plugin *p = &s->plugin->source;
  HF_CLEANUP(hf_freep) char *directory = hf_side_text(s, "directory");
  HF_CLEANUP(hf_freep) char *state = hf_side_text(s, "state");
  const struct holdfast_restore how = {.struct_size = sizeof how,
                                       .mode = (uint32_t)json_integer_value(json_object_get(s->job, "mode")),
                                       .directory = directory ? directory : "",
                                       .state = state ? state : ""};
  void *handle = NULL;
  int rc = p->restore_open ? p->restore_open(&s->host, s->settings->values, &how, &handle) : HOLDFAST_E_UNSUPPORTED;
  send_result(s, rc, HF_WORKER_NO_SLOT);
  if (rc == 0) serve(s, handle);
}
