/* cmd_cat.c - holdfast cat
 * SPDX-License-Identifier: Apache-2.0
 */
#include <unistd.h>

#include "cmd/cmd.h"
#include "engine/browse.h"

static void bad_object(void *ctx HF_UNUSED, const char *object, const char *why) {
  if (strstr(why, object))
    hf_log(HF_LOG_ERROR, "%s", why);
  else
    hf_log(HF_LOG_ERROR, "%s: %s", object, why);
}

static void progress(void *ctx HF_UNUSED, uint64_t packs, uint64_t total, uint64_t stored HF_UNUSED,
                     uint64_t total_stored HF_UNUSED) {
  hf_out_progress("%llu of %llu packs read", (unsigned long long)packs, (unsigned long long)total);
}

static int cat(struct hf_session *s, const struct hf_record *rec, const char *source, const char *what, bool force,
               struct hf_error *err) {
  const struct hf_record_source *rs = hf_record_find_source(rec, source);
  const struct hf_record_stream *st = NULL;
  const char *path = NULL;
  struct hf_reading rd;
  if (!rs) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu has no source %s", (unsigned long long)rec->seq, source);
  int r = hf_cat_resolve(rs, what, &st, &path, err);
  if (r < 0) return r;
  if (!path && !force && strcmp(st->format, "tar") == 0 && isatty(STDOUT_FILENO)) {
    return hf_fail(err, HOLDFAST_E_USAGE, "stream %s is a tar archive, and standard output is a terminal: redirect it, or say -f",
                   st->name);
  }
  hf_reading_init(s, rec, rs, &rd);
  rd.bad = bad_object;
  rd.progress = progress;
  r = hf_cat(&rd, st, path, STDOUT_FILENO, err);
  hf_wipe(&rd.audience, sizeof rd.audience);
  return r;
}

int hf_cmd_cat(struct hf_cmd *c) {
  static const struct option longs[] = {{"force", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
  struct hf_session *s = NULL;
  struct hf_record *rec = NULL;
  struct hf_error e = {0};
  bool force = false;
  int o;
  while ((o = hf_args_next(c, "f", longs)) > 0) force = true;
  if (o < 0 || !hf_args_operands(c, 2, 3)) return c->exit;
  c->json = false; /* standard output is data */
  int code = hf_cmd_open_snapshot(c, c->argv[0], NULL, &s, &rec);
  if (code != 0) return code;
  if (cat(s, rec, c->argv[1], c->argc > 2 ? c->argv[2] : NULL, force, &e) < 0) code = hf_out_error(c, &e);
  hf_record_free(rec);
  hf_session_close(s);
  return code;
}
