/* cmd_undo.c - holdfast restore --undo, --list-undo, --forget-undo
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"
#include "base/text.h"
#include "cmd/restore_out.h"

static void bad(void *ctx, const char *file, const char *why) {
  *(bool *)ctx = true;
  hf_log(HF_LOG_ERROR, "%s: %s", file, why);
}

/* "config, orders (undone)"; owned by the caller. */
static char *sources_of(const struct hf_undo *u) {
  struct hf_buf b = HF_BUF_INIT;
  const json_t *source;
  size_t i;
  json_array_foreach(json_object_get(u->journal, "sources"), i, source)
      hf_buf_addf(&b, "%s%s%s", i ? ", " : "", json_string_value(json_object_get(source, "name")), json_is_true(json_object_get(source, "undone")) && !hf_undo_is_done(u) ? " (undone)" : "");
  return hf_buf_take(&b);
}

/* "restore of 12", "undo of 3"; owned by the caller. */
static char *what_it_was(const struct hf_undo *u) {
  long long undoes = json_integer_value(json_object_get(u->journal, "undoes")), snapshot = json_integer_value(json_object_get(u->journal, "snapshot"));
  return undoes ? hf_asprintf("undo of %lld", undoes) : hf_asprintf("restore of snapshot %lld", snapshot);
}

static void list(const struct hf_cmd *c, const struct hf_undo_list *l) {
  static const char *const names[] = {"ID", "TIME", "WAS", "SIZE", "STATE", "SOURCES"};
  struct hf_table t = {.align = "rllrll"};
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < l->n; i++) {
    const struct hf_undo *u = l->v[i];
    HF_CLEANUP(hf_freep) char *sources = sources_of(u);
    HF_CLEANUP(hf_freep) char *was = what_it_was(u);
    const char *time = json_string_value(json_object_get(u->journal, "time"));
    if (c->json) {
      hf_out_json(json_pack("{s:s, s:I, s:s, s:O?, s:O?, s:I, s:b, s:O}", "type", "undo", "id", (json_int_t)u->id, "time", time, "snapshot", json_object_get(u->journal, "snapshot"), "undoes",
                            json_object_get(u->journal, "undoes"), "bytes", (json_int_t)hf_undo_size(u), "undone", (int)hf_undo_is_done(u), "sources", json_object_get(u->journal, "sources")));
      continue;
    }
    hf_table_add(&t, "%llu", (unsigned long long)u->id);
    hf_table_add(&t, "%s", time);
    hf_table_add(&t, "%s", was);
    hf_table_size(&t, hf_undo_size(u));
    hf_table_add(&t, "%s", hf_undo_is_done(u) ? "undone" : "can be undone");
    hf_table_add(&t, "%s", sources);
  }
  if (c->json || l->n == 0) hf_list_free(&t.cells);
  else hf_table_print(&t);
  if (l->n == 0 && !c->json && !c->quiet) printf("nothing that a restore in place has replaced is kept\n");
}

/* What is about to be put back, on standard error. */
static void show(const struct hf_session *s, const struct hf_undo *u) {
  HF_CLEANUP(hf_freep) char *was = what_it_was(u);
  const json_t *source, *item;
  size_t i, k;
  fprintf(stderr, "What is there now on %s is replaced by what was there before the %s on %s:\n", s->manifest->host, was, json_string_value(json_object_get(u->journal, "time")));
  json_array_foreach(json_object_get(u->journal, "sources"), i, source) {
    if (json_is_true(json_object_get(source, "undone"))) continue;
    const json_t *items = json_object_get(source, "items");
    fprintf(stderr, "  %s (%s)", json_string_value(json_object_get(source, "name")), json_string_value(json_object_get(source, "plugin")));
    json_array_foreach(items, k, item) {
      HF_CLEANUP(hf_freep) char *place = hf_undo_path(json_object_get(item, "place"));
      HF_CLEANUP(hf_freep) char *shown = place ? hf_printable(place, strlen(place)) : NULL;
      if (k < 8) fprintf(stderr, "%s%s", k ? ", " : ": ", shown ? shown : "?");
    }
    if (json_array_size(items) > 8) fprintf(stderr, " and %zu more", json_array_size(items) - 8);
    fputc('\n', stderr);
  }
  hf_out_contacts(stderr, s->manifest);
}

static int apply(struct hf_cmd *c, struct hf_session *s, const struct hf_undo_list *l, struct hf_undo *u, bool yes) {
  struct hf_restore_options o = {.bad = hf_restore_bad, .problem = hf_restore_problem, .ctx = c};
  struct hf_restore_result res = {0};
  struct hf_error e = {0};
  uint64_t redo = 0;
  if (hf_undo_is_free(l, u, &e) < 0) return hf_out_error(c, &e);
  if (!c->quiet || !yes) show(s, u);
  if (!yes && !hf_restore_confirm(s->manifest->host)) {
    hf_fail(&e, HOLDFAST_E_CANCELED, "the answer was not the host's name: nothing was changed");
    return hf_out_error(c, &e);
  }
  hf_cmd_begin(c, s);
  int r = hf_undo_apply(s, u, &o, &res, &redo, &e);
  hf_out_progress_end();
  int code = r < 0 ? hf_out_error(c, &e) : res.lost || res.problems ? HF_EXIT_PARTIAL : HF_EXIT_OK;
  if (r == 0 && c->json) {
    hf_out_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "type", "undone", "id", (json_int_t)u->id, "files", (json_int_t)res.files, "folders", (json_int_t)res.folders, "links",
                          (json_int_t)res.links, "streams", (json_int_t)res.streams, "others", (json_int_t)res.others, "lost", (json_int_t)res.lost, "problems", (json_int_t)res.problems, "undo", (json_int_t)redo,
                          "seconds", res.seconds));
  } else if (r == 0) {
    hf_restore_print(c, &res);
  }
  if (redo && !c->quiet && !c->json) printf("this can be undone in turn: holdfast restore --undo %llu\n", (unsigned long long)redo);
  hf_list_free(&res.safety);
  if (r == 0) hf_undo_expire(s);
  return code;
}

int hf_cmd_undo(struct hf_cmd *c, enum hf_undo_verb verb, const char *spec, bool yes) {
  struct hf_session *s = NULL;
  struct hf_undo_list l = {NULL, 0};
  struct hf_undo *u = NULL;
  struct hf_error e = {0};
  bool damaged = false;
  int code = hf_cmd_open(c, HF_SESSION_READ | HF_SESSION_NO_TARGETS, NULL, &s);
  if (code != 0) return code;
  int r = hf_undo_list(s->manifest, bad, &damaged, &l, &e);
  if (r == 0 && verb != HF_UNDO_LIST) r = hf_undo_find(&l, spec, &u, &e);
  if (r == 0 && verb == HF_UNDO_FORGET) r = hf_undo_remove(s, u, &e);
  if (r < 0) code = hf_out_error(c, &e);
  else if (verb == HF_UNDO_APPLY) code = apply(c, s, &l, u, yes);
  else if (verb == HF_UNDO_LIST) list(c, &l);
  else if (!c->quiet && !c->json) printf("removed: what %llu had replaced cannot be put back any more\n", (unsigned long long)u->id);
  hf_undo_list_free(&l);
  return hf_cmd_end(c, s, code == 0 && damaged ? HF_EXIT_PARTIAL : code, NULL);
}
