/* cmd_restore.c - holdfast restore
 * SPDX-License-Identifier: Apache-2.0
 */
#include <unistd.h>

#include "base/text.h"
#include "cmd/restore_out.h"

static void progress(void *ctx HF_UNUSED, const char *source, uint64_t packs, uint64_t total_packs, uint64_t stored,
                     uint64_t total) {
  char a[16], b[16];
  hf_format_size(a, stored);
  hf_format_size(b, total);
  hf_out_progress("%s: %llu of %llu packs, %s of %s", source, (unsigned long long)packs, (unsigned long long)total_packs, a, b);
}

void hf_restore_bad(void *ctx, const char *object, const char *why) {
  const struct hf_cmd *c = ctx;
  if (strstr(why, object))
    hf_log(HF_LOG_ERROR, "%s", why);
  else
    hf_log(HF_LOG_ERROR, "%s: %s", object, why);
  if (c->json)
    hf_out_json(json_pack("{s:s, s:o, s:o}", "type", "damaged", "object", hf_out_string(object), "message", hf_out_string(why)));
}

void hf_restore_problem(void *ctx, const char *source, const char *path, bool lost, const char *what) {
  const struct hf_cmd *c = ctx;
  HF_CLEANUP(hf_freep) char *shown = hf_printable(path, strlen(path));
  hf_log(lost ? HF_LOG_ERROR : HF_LOG_WARNING, "%s%s%s%s: %s", source, *path ? ": " : "", shown, lost ? ": not restored" : "",
         what);
  if (c->json) {
    hf_out_json(json_pack("{s:s, s:o, s:o, s:b, s:o}", "type", "problem", "source", hf_out_string(source), "path",
                          hf_out_string(path), "lost", (int)lost, "message", hf_out_string(what)));
  }
}

void hf_restore_print(const struct hf_cmd *c, const struct hf_restore_result *r) {
  char size[16], took[24];
  if (c->quiet) return;
  hf_format_size(size, r->bytes);
  hf_format_duration(took, r->seconds);
  printf("restored %llu files, %llu folders, %llu links, %llu others", (unsigned long long)r->files,
         (unsigned long long)r->folders, (unsigned long long)r->links, (unsigned long long)r->others);
  if (r->streams) printf(", %llu streams", (unsigned long long)r->streams);
  printf("; %s; %s\n", size, took);
  hf_format_size(size, r->checked);
  if (r->checked) printf("read back and compared: %s\n", size);
  if (r->lost) printf("%llu NOT restored\n", (unsigned long long)r->lost);
  if (r->problems) printf("%llu not exactly as they were\n", (unsigned long long)r->problems);
  for (size_t i = 0; i < r->safety.n; i++) {
    printf("what was there before: ");
    hf_out_text(r->safety.v[i]);
    putchar('\n');
  }
}

/* How long an emergency has taken beside how long it may. */
static void print_rto(const struct hf_restore_result *r, int64_t rto) {
  char took[24], may[24];
  hf_format_duration(took, r->seconds);
  hf_format_duration(may, (double)rto);
  if (rto) printf("%s%s, and rto is %s\n", r->seconds > (double)rto ? "LATE: it took " : "in time: it took ", took, may);
}

static void print_result(const struct hf_cmd *c, const struct hf_record *rec, const struct hf_restore_result *r, bool in_place,
                         int64_t rto) {
  if (c->json) {
    hf_out_json(json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:I, s:I, s:I}", "type", "restore",
                          "seq", (json_int_t)rec->seq, "id", rec->id, "files", (json_int_t)r->files, "folders",
                          (json_int_t)r->folders, "links", (json_int_t)r->links, "others", (json_int_t)r->others, "streams",
                          (json_int_t)r->streams, "bytes", (json_int_t)r->bytes, "lost", (json_int_t)r->lost, "problems",
                          (json_int_t)r->problems, "safety", hf_out_list(&r->safety), "seconds", r->seconds, "checked",
                          (json_int_t)r->checked, "undo", (json_int_t)r->undo, "rto", (json_int_t)rto));
    return;
  }
  hf_restore_print(c, r);
  if (c->quiet || !in_place) return;
  print_rto(r, rto);
  if (r->undo) printf("to undo it: holdfast restore --undo %llu\n", (unsigned long long)r->undo);
}

struct wish {
  struct hf_list sources, patterns;
  const char *to, *target;
  bool in_place, yes, no_owner;
  int undo; /* enum hf_undo_verb, 0 for a restore */
};

static int parse_undo(struct hf_cmd *c, const struct wish *w) {
  if (!hf_args_operands(c, w->undo == HF_UNDO_FORGET ? 1 : 0, w->undo == HF_UNDO_LIST ? 0 : 1)) return -1;
  if (w->to || w->in_place || w->target || w->no_owner || w->patterns.n)
    hf_args_wrong(c, "--undo, --list-undo and --forget-undo go with no other option but --yes");
  else if (w->undo == HF_UNDO_APPLY && !w->yes && !isatty(STDIN_FILENO))
    hf_args_wrong(c, "--undo replaces data; without a terminal to ask on, say --yes");
  else
    return 0;
  return -1;
}

static int parse(struct hf_cmd *c, struct wish *w) {
  enum { TO = 1, IN_PLACE, YES, PATH, TARGET, NO_OWNER, UNDO, LIST_UNDO, FORGET_UNDO };
  static const struct option longs[] = {{"to", required_argument, NULL, TO},
                                        {"in-place", no_argument, NULL, IN_PLACE},
                                        {"yes", no_argument, NULL, YES},
                                        {"path", required_argument, NULL, PATH},
                                        {"target", required_argument, NULL, TARGET},
                                        {"no-owner", no_argument, NULL, NO_OWNER},
                                        {"undo", no_argument, NULL, UNDO},
                                        {"list-undo", no_argument, NULL, LIST_UNDO},
                                        {"forget-undo", no_argument, NULL, FORGET_UNDO},
                                        {NULL, 0, NULL, 0}};
  int o;
  while ((o = hf_args_next(c, "", longs)) > 0) {
    switch (o) {
    case TO: w->to = optarg; break;
    case IN_PLACE: w->in_place = true; break;
    case YES: w->yes = true; break;
    case PATH: hf_list_add(&w->patterns, optarg); break;
    case TARGET: w->target = optarg; break;
    case UNDO: w->undo = HF_UNDO_APPLY; break;
    case LIST_UNDO: w->undo = HF_UNDO_LIST; break;
    case FORGET_UNDO: w->undo = HF_UNDO_FORGET; break;
    default: w->no_owner = true;
    }
  }
  if (o < 0) return -1;
  if (w->undo) return parse_undo(c, w);
  if (!hf_args_operands(c, 1, -1)) return -1;
  for (int i = 1; i < c->argc; i++) hf_list_add(&w->sources, c->argv[i]);
  if (w->to && w->in_place)
    hf_args_wrong(c, "--to and --in-place exclude each other");
  else if (!w->to && !w->in_place)
    hf_args_wrong(c, "say where to: --to DIR or --in-place");
  else if (hf_list_has(&w->patterns, ""))
    hf_args_wrong(c, "--path is empty, which would be everything; leave it out for that");
  else if (w->to && !*w->to)
    hf_args_wrong(c, "--to needs a folder");
  else if (w->in_place && !w->yes && !isatty(STDIN_FILENO))
    hf_args_wrong(c, "--in-place replaces data; without a terminal to ask on, say --yes");
  else
    return 0;
  return -1;
}

/* How long it may take: of a single source, what that says; else what all of them together may. */
static int64_t rto_of(const struct hf_manifest *m, const struct hf_list *sources) {
  const struct hf_manifest_source *one = sources->n == 1 ? hf_manifest_find_source(m, sources->v[0]) : NULL;
  return one && one->rto > 0 ? one->rto : m->rto;
}

static int run(struct hf_cmd *c, const struct wish *w) {
  struct hf_session *s = NULL;
  struct hf_record *rec = NULL;
  struct hf_restore_result res = {0};
  struct hf_error e = {0};
  json_t *facts = NULL;
  bool ask = w->in_place && !w->yes;
  c->is_run = !ask;
  int code = hf_cmd_open_snapshot(c, c->argv[0], w->target, &s, &rec);
  if (code != 0) return code;
  if (w->in_place && (!c->quiet || !w->yes)) hf_restore_show(s->manifest, rec, &w->sources, &w->patterns);
  if (ask && !hf_restore_confirm(s->manifest->host)) {
    hf_fail(&e, HOLDFAST_E_CANCELED, "the answer was not the host's name: nothing was changed");
    code = hf_out_error(c, &e);
  } else {
    if (ask) hf_cmd_begin(c, s);
    struct hf_restore_options o = {.sources = &w->sources,
                                   .patterns = &w->patterns,
                                   .to = w->to,
                                   .no_owner = w->no_owner,
                                   .progress = progress,
                                   .bad = hf_restore_bad,
                                   .problem = hf_restore_problem,
                                   .ctx = c};
    int r = hf_restore(s, rec, &o, &res, &e);
    hf_out_progress_end();
    if (r < 0) {
      code = hf_out_error(c, &e);
      for (size_t i = 0; i < res.safety.n; i++) hf_log(HF_LOG_NOTICE, "what was there before: %s", res.safety.v[i]);
      if (res.undo)
        hf_log(HF_LOG_NOTICE, "what was replaced before it failed comes back by: holdfast restore --undo %llu",
               (unsigned long long)res.undo);
    } else if (w->patterns.n && res.matched + res.lost + res.problems == 0) {
      hf_fail(&e, HOLDFAST_E_NOT_FOUND, "snapshot %llu has nothing that --path %s%s matches; holdfast ls %llu shows what it has", (unsigned long long)rec->seq, w->patterns.v[0],
              w->patterns.n > 1 ? " or another" : "", (unsigned long long)rec->seq);
      code = hf_out_error(c, &e);
    } else {
      print_result(c, rec, &res, w->in_place, rto_of(s->manifest, &w->sources));
      code = res.lost || res.problems ? HF_EXIT_PARTIAL : HF_EXIT_OK;
      if (w->in_place) hf_undo_expire(s);
    }
  }
  if (c->run) {
    facts = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:o}", "snapshot", (json_int_t)rec->seq, "snapshot_id", rec->id, "files", (json_int_t)res.files, "bytes", (json_int_t)res.bytes, "lost", (json_int_t)res.lost,
                      "problems", (json_int_t)res.problems, "safety", hf_out_list(&res.safety));
  }
  hf_list_free(&res.safety);
  hf_record_free(rec);
  return hf_cmd_end(c, s, code, facts);
}

int hf_cmd_restore(struct hf_cmd *c) {
  struct wish w = {.sources = HF_LIST_INIT, .patterns = HF_LIST_INIT};
  int code = parse(c, &w) < 0 ? c->exit : w.undo ? hf_cmd_undo(c, (enum hf_undo_verb)w.undo, c->argc > 0 ? c->argv[0] : "last", w.yes) : run(c, &w);
  hf_list_free(&w.sources);
  hf_list_free(&w.patterns);
  return code;
}
