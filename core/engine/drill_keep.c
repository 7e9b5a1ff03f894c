/* drill_keep.c - what is kept of a drill: a record on the chain, and a report in the state folder.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/append.h"
#include "engine/drill.h"

#define REPORT_MAX (4 * HF_MIB) /* bytes of one report that are read back */

/* Seconds as a record has them: whole, and never less than it took. */
static json_t *whole(double seconds) { return json_integer((json_int_t)ceil(seconds)); }

json_t *hf_drill_json(const struct hf_drill_result *r) {
  json_t *o = json_object(), *sources = json_array();
  json_object_set_new(o, "snapshot", json_integer((json_int_t)r->seq));
  json_object_set_new(o, "verdict", json_string(hf_drill_passed(r) ? "passed" : "failed"));
  json_object_set_new(o, "seconds", whole(r->seconds));
  json_object_set_new(o, "rto", json_integer(r->rto));
  if (r->late) json_object_set_new(o, "message", json_string(r->late));
  for (size_t i = 0; i < r->n_sources; i++) {
    const struct hf_drill_source *d = &r->sources[i];
    json_t *s = json_object();
    json_object_set_new(s, "name", json_string(d->name));
    json_object_set_new(s, "verdict", json_string(hf_drill_word(d->verdict)));
    json_object_set_new(s, "restore_seconds", whole(d->restore_seconds));
    json_object_set_new(s, "verify_seconds", whole(d->verify_seconds));
    json_object_set_new(s, "rto", json_integer(d->rto));
    json_object_set_new(s, "files", json_integer((json_int_t)d->files));
    json_object_set_new(s, "bytes", json_integer((json_int_t)d->bytes));
    json_object_set_new(s, "message", d->message ? hf_json_bytes(d->message, strlen(d->message)) : json_null());
    json_array_append_new(sources, s);
  }
  json_object_set_new(o, "sources", sources);
  return o;
}

int hf_drill_record(struct hf_session *s, const struct hf_drill_result *r, uint64_t *seq, struct hf_error *err) {
  size_t reached = 0;
  int rc = hf_repo_lock(s, "drill", err);
  if (rc < 0) return rc;
  struct hf_record *rec = hf_alloc(sizeof *rec);
  rec->type = HF_RECORD_DRILL;
  rec->extra = hf_drill_json(r);
  rc = hf_append(s, rec, NULL, NULL, &reached, err);
  if (rc == 0) rc = hf_state_commit(s->state, err);
  *seq = rec->seq;
  hf_record_free(rec);
  hf_repo_unlock(s);
  return rc;
}

/* ---- the history ---- */

/* "20261128T053000Z-12.json": sorts by time. */
static bool is_report(const char *name) { return strspn(name, "0123456789") == 8 && name[8] == 'T' && strlen(name) > 22 && strcmp(name + strlen(name) - 5, ".json") == 0; }

static int list_reports(const char *folder, struct hf_list *out, struct hf_error *err) {
  DIR *d = opendir(folder);
  if (!d) return errno == ENOENT ? 0 : hf_fail_errno(err, errno, "%s", folder);
  for (struct dirent *e; (e = readdir(d));)
    if (is_report(e->d_name)) hf_list_add(out, e->d_name);
  closedir(d);
  hf_list_sort(out);
  return 0;
}

int hf_drill_remember(const char *dir, int64_t keep, const struct hf_drill_result *r, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(dir, "drills");
  HF_CLEANUP(hf_list_free) struct hf_list all = HF_LIST_INIT;
  HF_CLEANUP(hf_json_decrefp) json_t *o = hf_drill_json(r);
  char ended[HF_TIME_LEN], taken[HF_TIME_LEN];
  if (access(dir, F_OK) != 0) return hf_fail_errno(err, errno, "%s", dir);
  hf_format_time(ended, r->time);
  hf_format_time(taken, r->snapshot_time);
  json_object_set_new(o, "id", json_string(r->id));
  json_object_set_new(o, "time", json_string(ended));
  json_object_set_new(o, "snapshot_time", json_string(taken));
  HF_CLEANUP(hf_freep) char *text = json_dumps(o, JSON_INDENT(1));
  HF_CLEANUP(hf_buf_free) struct hf_buf name = HF_BUF_INIT;
  for (const char *c = ended; *c; c++)
    if (*c != '-' && *c != ':') hf_buf_addc(&name, *c);
  /* Two may end within one second. */
  unsigned char rnd[2];
  hf_random(rnd, sizeof rnd);
  hf_buf_addf(&name, "-%llu-%02x%02x.json", (unsigned long long)r->seq, rnd[0], rnd[1]);
  HF_CLEANUP(hf_freep) char *path = hf_path_join(folder, name.data);
  int rc = hf_mkdir_p(folder, 0700, err);
  if (rc == 0) rc = hf_write_file_atomic(path, text, strlen(text), 0600, err);
  if (rc == 0) rc = list_reports(folder, &all, err);
  for (size_t i = 0; rc == 0 && i + (size_t)keep < all.n; i++) {
    HF_CLEANUP(hf_freep) char *old = hf_path_join(folder, all.v[i]);
    if (unlink(old) != 0) rc = hf_fail_errno(err, errno, "%s", old);
  }
  return rc;
}

int hf_drill_history(const char *dir, int (*fn)(void *, const json_t *), void (*bad)(void *, const char *, const char *), void *ctx, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(dir, "drills");
  HF_CLEANUP(hf_list_free) struct hf_list all = HF_LIST_INIT;
  int rc = list_reports(folder, &all, err);
  for (size_t i = 0; rc == 0 && i < all.n; i++) {
    HF_CLEANUP(hf_freep) char *path = hf_path_join(folder, all.v[i]);
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
    HF_CLEANUP(hf_json_decrefp) json_t *o = NULL;
    struct hf_error e = {0};
    if (hf_read_file(path, REPORT_MAX, &text, &e) == 0) o = hf_json_parse(text.data ? text.data : "", text.len, &e);
    if (o && json_is_object(o)) rc = fn(ctx, o);
    else bad(ctx, path, e.code ? e.msg : "no report");
  }
  return rc;
}
