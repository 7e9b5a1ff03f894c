/* cmd_verify.c - holdfast verify
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/text.h"
#include "cmd/cmd.h"

static void finding(void *ctx, const char *target, const char *object, const char *what) {
  const struct hf_cmd *c = ctx;
  hf_log(HF_LOG_ERROR, "%s%s%s%s%s%s", target ? "target " : "", target ? target : "", target ? ": " : "", object ? object : "",
         object && *object ? ": " : "", what);
  if (c->json) {
    hf_out_json(json_pack("{s:s, s:o, s:o, s:o}", "type", "finding", "target", hf_out_string(target), "object",
                          hf_out_string(object), "message", hf_out_string(what)));
  }
}

static void extra(void *ctx, const char *target, const char *object) {
  const struct hf_cmd *c = ctx;
  hf_log(HF_LOG_INFO, "target %s: %s: is not needed there", target, object);
  if (c->json) hf_out_json(json_pack("{s:s, s:o, s:o}", "type", "extra", "target", hf_out_string(target), "object", hf_out_string(object)));
}

static void progress(void *ctx HF_UNUSED, const char *target, const char *what, uint64_t done, uint64_t total) {
  hf_out_progress("%s%s%llu of %llu %s", target ? target : "", target ? ": " : "", (unsigned long long)done,
                  (unsigned long long)total, what);
}

/* "25", "25%", "0.5": above 0, up to 100. */
static bool percent(const char *s, double *out) {
  char *end = NULL;
  if (*s < '0' || *s > '9') return false;
  double v = strtod(s, &end);
  if (*end == '%') end++;
  if (*end || !(v > 0) || v > 100) return false;
  *out = v;
  return true;
}

static uint64_t tampering(const struct hf_session *s) {
  uint64_t n = 0;
  for (size_t i = 0; i < s->n_issues; i++) n += s->issues[i].tamper;
  return n;
}

/* Of what it has to hold. Rounded down: 100 means all. */
static double percent_there(const struct hf_verify_target *v) {
  if (v->needed == 0 || v->missing == 0) return 100;
  return (double)((v->needed - HF_MIN(v->missing, v->needed)) * 10000 / v->needed) / 100;
}

static void print_text(const struct hf_session *s, const struct hf_verify_options *o, const struct hf_verify_result *r) {
  static const char *const names[] = {"TARGET", "OBJECTS", "SIZE", "NEEDED", "THERE", "MISSING", "DAMAGED", "EXTRA", "READ"};
  struct hf_table t = {.align = "lrrrrrrrr"};
  char took[24];
  for (size_t i = 0; i < HF_NELEM(names); i++) hf_table_add(&t, "%s", names[i]);
  for (size_t i = 0; i < r->n_targets; i++) {
    const struct hf_verify_target *v = &r->targets[i];
    hf_table_add(&t, "%s", v->name);
    hf_table_add(&t, "%llu", (unsigned long long)v->objects);
    hf_table_size(&t, v->bytes);
    hf_table_add(&t, "%llu", (unsigned long long)v->needed);
    hf_table_add(&t, "%.2f%%", percent_there(v));
    hf_table_add(&t, "%llu", (unsigned long long)v->missing);
    hf_table_add(&t, "%llu", (unsigned long long)v->damaged);
    hf_table_add(&t, "%llu", (unsigned long long)v->extra);
    hf_table_add(&t, "%llu", (unsigned long long)v->read);
  }
  hf_table_print(&t);
  hf_format_duration(took, r->seconds);
  printf("%llu snapshots, %llu packs", (unsigned long long)r->snapshots, (unsigned long long)r->packs);
  if (o->decrypt) printf(", %llu chunks, %llu recipes", (unsigned long long)r->chunks, (unsigned long long)r->recipes);
  printf("; %zu issue%s of the chain, %llu of them signs of tampering; %s\n", s->n_issues, s->n_issues == 1 ? "" : "s",
         (unsigned long long)tampering(s), took);
  if (s->n_unopened) printf("%zu target%s could not be opened\n", s->n_unopened, s->n_unopened == 1 ? "" : "s");
  if (r->findings)
    printf("%llu FINDING%s\n", (unsigned long long)r->findings, r->findings == 1 ? "" : "S");
  else if (!tampering(s) && !s->n_unopened)
    puts("no findings");
}

static json_t *targets_json(const struct hf_verify_result *r) {
  json_t *targets = json_array();
  for (size_t i = 0; i < r->n_targets; i++) {
    const struct hf_verify_target *v = &r->targets[i];
    json_array_append_new(targets, json_pack("{s:o, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I}", "name", hf_out_string(v->name), "objects",
                                             (json_int_t)v->objects, "bytes", (json_int_t)v->bytes, "needed", (json_int_t)v->needed,
                                             "percent", percent_there(v), "missing",
                                             (json_int_t)v->missing, "damaged", (json_int_t)v->damaged, "extra",
                                             (json_int_t)v->extra, "read", (json_int_t)v->read));
  }
  return targets;
}

static void print_json(const struct hf_session *s, const struct hf_verify_result *r) {
  hf_out_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "type", "verify", "findings",
                        (json_int_t)r->findings, "issues", (json_int_t)s->n_issues, "tampering", (json_int_t)tampering(s),
                        "unopened", (json_int_t)s->n_unopened, "snapshots", (json_int_t)r->snapshots, "packs",
                        (json_int_t)r->packs, "chunks", (json_int_t)r->chunks, "recipes", (json_int_t)r->recipes, "seconds",
                        r->seconds, "targets", targets_json(r)));
}

int hf_cmd_verify(struct hf_cmd *c) {
  enum { READ = 1, DECRYPT, TARGET };
  static const struct option longs[] = {{"read", optional_argument, NULL, READ},
                                        {"decrypt", no_argument, NULL, DECRYPT},
                                        {"target", required_argument, NULL, TARGET},
                                        {NULL, 0, NULL, 0}};
  struct hf_verify_options o = {.finding = finding, .extra = extra, .progress = progress, .ctx = c};
  struct hf_verify_result res = {0};
  struct hf_session *s = NULL;
  struct hf_error e = {0};
  const char *target = NULL;
  int opt;
  while ((opt = hf_args_next(c, "", longs)) > 0) {
    if (opt == DECRYPT)
      o.decrypt = true;
    else if (opt == TARGET)
      target = optarg;
    else if (!optarg)
      o.read_percent = 100;
    else if (!percent(optarg, &o.read_percent))
      return hf_args_wrong(c, "--read=%s: a number above 0 and up to 100 is wanted", optarg);
  }
  if (opt < 0 || !hf_args_operands(c, 0, 0)) return c->exit;
  c->is_run = true;
  json_t *facts = NULL;
  int code = hf_cmd_open(c, HF_SESSION_READ, target, &s);
  if (code != 0) return code;
  code = hf_cmd_chain(c, s);
  if (code == 0) {
    size_t told = s->n_issues;
    int r = hf_verify(s, &o, &res, &e);
    hf_out_progress_end();
    hf_cmd_issues(c, s, told);
    if (r < 0) {
      code = hf_out_error(c, &e);
    } else {
      if (c->json)
        print_json(s, &res);
      else if (!c->quiet)
        print_text(s, &o, &res);
      code = res.findings || tampering(s) ? HF_EXIT_FAILED : s->n_unopened ? HF_EXIT_PARTIAL : HF_EXIT_OK;
    }
    if (c->run)
      facts = json_pack("{s:I, s:I, s:I, s:o}", "snapshots", (json_int_t)res.snapshots, "findings", (json_int_t)res.findings, "tampering", (json_int_t)tampering(s), "targets", targets_json(&res));
    hf_verify_result_free(&res);
  }
  return hf_cmd_end(c, s, code, facts);
}
