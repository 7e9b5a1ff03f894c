/* drill.c - rehearsing a restore: into a private folder, checked by the plugin, measured, removed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/drill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "engine/session.h"
#include "plugin/worker.h"

#define FOLDER "holdfast-drill-"
#define JUST_MADE 10 /* seconds in which a folder may not be locked yet */
#define ROOM_SPARE (64u * HF_MIB) /* beyond what is restored: logs, WAL, a server's own files */

struct drill {
  struct hf_session *s;
  const struct hf_record *rec;
  const struct hf_drill_options *o;
  char *folder;
  struct hf_buf lost; /* what the restore could not give back: the first of it */
  struct hf_buf bad;  /* and the first object that was damaged or missing */
  struct hf_error meta; /* what only the state folder of this machine still has */
};

const char *hf_drill_word(enum hf_drill_verdict v) {
  static const char *const words[] = {[HF_DRILL_PASSED] = "passed", [HF_DRILL_RESTORED] = "restored", [HF_DRILL_FAILED] = "failed"};
  return words[v];
}

/* What is started from here on, threads, workers and their servers, inherits it. */
static void step_aside(void) {
  if (setpriority(PRIO_PROCESS, 0, 19) != 0) hf_log(HF_LOG_WARNING, "the drill cannot step aside for others: %s", strerror(errno));
  if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)) != 0) hf_log(HF_LOG_WARNING, "the drill cannot step aside for others at the disk: %s", strerror(errno));
}

static void on_problem(void *ctx, const char *source, const char *path, bool lost, const char *what) {
  struct drill *d = ctx;
  if (d->lost.len == 0) hf_buf_addf(&d->lost, "%s%s%s", path, *path ? ": " : "", what);
  if (d->o->restore.problem) d->o->restore.problem(d->o->restore.ctx, source, path, lost, what);
}

static void on_bad(void *ctx, const char *object, const char *why) {
  struct drill *d = ctx;
  if (d->bad.len == 0) hf_buf_addf(&d->bad, "; %s%s%s", strstr(why, object) ? "" : object, strstr(why, object) ? "" : ": ", why);
  if (d->o->restore.bad) d->o->restore.bad(d->o->restore.ctx, object, why);
}

static void on_progress(void *ctx, const char *source, uint64_t packs, uint64_t total, uint64_t stored, uint64_t total_stored) {
  struct drill *d = ctx;
  if (d->o->restore.progress) d->o->restore.progress(d->o->restore.ctx, source, packs, total, stored, total_stored);
}

static void step(const struct drill *d, const char *source, const char *what) {
  if (d->o->step) d->o->step(d->o->ctx, source, what);
}

/* Twice what comes: what is assembled and what the plugin makes of it. A disk that a rehearsal fills harms the real thing. */
static int check_room(const struct drill *d, const struct hf_record_source *rs, struct hf_error *err) {
  struct statvfs fs;
  if (statvfs(d->folder, &fs) < 0) return hf_fail_errno(err, errno, "%s", d->folder);
  uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize, need = 2 * rs->bytes + ROOM_SPARE;
  char a[16], b[16];
  hf_format_size(a, need);
  hf_format_size(b, left);
  return left >= need ? 0 : hf_fail(err, HOLDFAST_E_NO_SPACE, "a drill of it wants %s free below %s, and there are %s; choose another folder with --scratch", a, d->folder, b);
}

/* Is what came as much as the record says? Sizes and digests of streams, chunks and recipes were compared on the way. */
static int compare(const struct hf_record_source *rs, const struct hf_restore_result *res, struct hf_error *err) {
  uint64_t raw = 0;
  for (size_t i = 0; i < rs->n_streams; i++) raw += strcmp(rs->streams[i].format, "raw") == 0;
  if (res->files != rs->files) return hf_fail(err, HOLDFAST_E_CORRUPT, "the record says %llu files, and %llu came", (unsigned long long)rs->files, (unsigned long long)res->files);
  if (raw == rs->n_streams && res->bytes != rs->bytes) return hf_fail(err, HOLDFAST_E_CORRUPT, "the record says %llu bytes, and %llu came", (unsigned long long)rs->bytes, (unsigned long long)res->bytes);
  if (res->streams != raw) return hf_fail(err, HOLDFAST_E_CORRUPT, "the record says %llu streams, and %llu came", (unsigned long long)raw, (unsigned long long)res->streams);
  return 0;
}

/* The state folder has what the indexes and the secret say. The day this is rehearsed for, it is gone. */
static int check_meta(const struct drill *d, struct hf_error *err) {
  static const struct hf_digest none;
  char key[HF_KEY_MAX];
  int r = 0;
  for (size_t i = 0; r == 0 && i <= d->rec->n_indexes && !hf_cancel; i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF_INIT;
    const struct hf_digest *digest = i < d->rec->n_indexes ? &d->rec->indexes[i].sha256 : &d->rec->secret;
    if (hf_digest_eq(digest, &none)) continue;
    if (i < d->rec->n_indexes) hf_key_index(key, digest);
    else hf_key_secret(key, digest);
    r = hf_session_fetch_sealed(d->s, key, digest, &text, NULL, err);
    if (text.data) hf_wipe(text.data, text.len);
  }
  return r;
}

static int restore(struct drill *d, const struct hf_record_source *rs, struct hf_drill_source *out, struct hf_error *err) {
  struct hf_list only = HF_LIST_INIT;
  struct hf_restore_result res = {0};
  struct hf_restore_options o = {.sources = &only, .to = d->folder, .no_local = true, .progress = on_progress, .bad = on_bad, .problem = on_problem, .ctx = d};
  hf_list_add(&only, rs->name);
  hf_buf_clear(&d->lost);
  hf_buf_clear(&d->bad);
  int r = hf_restore(d->s, d->rec, &o, &res, err);
  out->files = res.files;
  out->bytes = res.bytes;
  out->restore_seconds = res.seconds;
  if (r == 0 && res.lost > 0) r = hf_fail(err, HOLDFAST_E_CORRUPT, "%llu not restored: %s%s", (unsigned long long)res.lost, d->lost.len ? d->lost.data : "see above", d->bad.len ? d->bad.data : "");
  if (r == 0) r = compare(rs, &res, err);
  hf_list_free(&res.safety);
  hf_list_free(&only);
  return r;
}

/* 0 with a message, HOLDFAST_E_UNSUPPORTED when nobody can tell, or what is wrong. */
static int verify(struct drill *d, const struct hf_record_source *rs, const char *folder, char **message, struct hf_error *err) {
  const struct hf_manifest_source *m = hf_manifest_find_source(d->s->manifest, rs->name);
  HF_CLEANUP(hf_freep) char *state = rs->state ? json_dumps(rs->state, JSON_COMPACT) : NULL;
  if (!m || strcmp(m->plugin->head->name, rs->plugin) != 0) return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "the manifest has no such source of the plugin %s", rs->plugin);
  struct hf_worker_job job = {.plugin = m->plugin, .settings = m->settings, .instance = m->name, .timeout = m->timeout, .cancel = &hf_cancel};
  return hf_worker_verify(&job, folder, state, message, err);
}

/* Too late is failed: a restore that is not done in time is no help. */
static char *too_late(double took, int64_t rto) {
  char a[24], b[24];
  hf_format_duration(a, took);
  hf_format_duration(b, (double)rto);
  return rto > 0 && took > (double)rto ? hf_asprintf("late: it took %s, and rto is %s", a, b) : NULL;
}

static void mind_rto(struct hf_drill_source *out, double took) {
  char *late = too_late(took, out->rto);
  if (!late) return;
  out->verdict = HF_DRILL_FAILED;
  char *all = out->message ? hf_asprintf("%s (otherwise: %s)", late, out->message) : hf_strdup(late);
  free(late);
  free(out->message);
  out->message = all;
}

static void rehearse(struct drill *d, const struct hf_record_source *rs, struct hf_drill_source *out) {
  struct hf_error e = {0};
  HF_CLEANUP(hf_freep) char *folder = hf_path_join(d->folder, rs->name);
  const struct hf_manifest_source *m = hf_manifest_find_source(d->s->manifest, rs->name);
  out->name = hf_strdup(rs->name);
  out->rto = m ? m->rto : 0;
  step(d, rs->name, "restoring");
  int r = rs->n_streams == 0 ? hf_fail(&e, HOLDFAST_E_NOT_FOUND, "it failed when the snapshot was taken: %s", rs->error ? rs->error : "it holds nothing") : check_room(d, rs, &e);
  if (r == 0) r = restore(d, rs, out, &e);
  if (r == 0 && d->meta.code) r = hf_fail(&e, HOLDFAST_E_CORRUPT, "it came back, and would not on a machine without this state folder: %s", d->meta.msg);
  bool came = r == 0;
  if (came) {
    double start = hf_now();
    step(d, rs->name, "verifying");
    r = verify(d, rs, folder, &out->message, &e);
    out->verify_seconds = hf_now() - start;
  }
  out->verdict = r == 0 ? HF_DRILL_PASSED : came && r == HOLDFAST_E_UNSUPPORTED ? HF_DRILL_RESTORED : HF_DRILL_FAILED;
  if (r < 0) {
    free(out->message);
    out->message = hf_strdup(e.msg);
  }
  double took = out->restore_seconds + out->verify_seconds;
  if (r == 0 || out->verdict == HF_DRILL_RESTORED) mind_rto(out, took);
  if (hf_remove_tree(folder, &e) < 0) hf_log(HF_LOG_WARNING, "source %s: what was restored is still in %s: %s", rs->name, folder, e.msg);
}

/* What a drill that was killed has left is plain data. The folder of one that goes on is locked. */
static void sweep(const char *tmp) {
  DIR *d = opendir(tmp);
  for (struct dirent *e; d && (e = readdir(d));) {
    struct stat st;
    struct hf_error why = {0};
    if (strncmp(e->d_name, FOLDER, strlen(FOLDER)) != 0 || strlen(e->d_name) != strlen(FOLDER) + 6) continue;
    HF_CLEANUP(hf_closep) int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_uid != geteuid() || hf_wall_clock() - st.st_mtime < JUST_MADE || flock(fd, LOCK_EX | LOCK_NB) != 0) continue;
    HF_CLEANUP(hf_freep) char *path = hf_path_join(tmp, e->d_name);
    if (hf_remove_tree(path, &why) < 0) hf_log(HF_LOG_WARNING, "what a drill that was killed has left is still in %s: %s", path, why.msg);
    else hf_log(HF_LOG_NOTICE, "removed %s, which a drill that was killed had left", path);
  }
  if (d) closedir(d);
}

int hf_drill(struct hf_session *s, const struct hf_record *rec, const struct hf_drill_options *o, struct hf_drill_result *out, struct hf_error *err) {
  const char *tmp = o->scratch ? o->scratch : getenv("TMPDIR");
  struct drill d = {.s = s, .rec = rec, .o = o, .lost = HF_BUF_INIT, .bad = HF_BUF_INIT};
  double start = hf_now();
  memset(out, 0, sizeof *out);
  out->seq = rec->seq;
  out->id = hf_strdup(rec->id);
  out->snapshot_time = rec->time;
  out->rto = s->manifest->rto;
  for (size_t i = 0; o->sources && i < o->sources->n; i++) {
    if (!hf_record_find_source(rec, o->sources->v[i])) return hf_fail(err, HOLDFAST_E_NOT_FOUND, "snapshot %llu has no source %s", (unsigned long long)rec->seq, o->sources->v[i]);
  }
  if (!tmp || *tmp != '/') tmp = "/tmp";
  sweep(tmp);
  d.folder = hf_path_join(tmp, FOLDER "XXXXXX");
  HF_CLEANUP(hf_closep) int lock = -1;
  if (!mkdtemp(d.folder)) {
    int r = hf_fail_errno(err, errno, "cannot make the folder %s", d.folder);
    free(d.folder);
    return r;
  }
  /* Where there are no locks, the others cannot have it either, and let it be. */
  lock = open(d.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0) hf_closep(&lock);
  out->sources = hf_allocn(rec->n_sources, sizeof *out->sources);
  if (!o->full_speed) step_aside();
  check_meta(&d, &d.meta);
  for (size_t i = 0; i < rec->n_sources && !hf_cancel; i++) {
    if (o->sources && o->sources->n && !hf_list_has(o->sources, rec->sources[i].name)) continue;
    struct hf_drill_source *ds = &out->sources[out->n_sources++];
    rehearse(&d, &rec->sources[i], ds);
    if (ds->verdict == HF_DRILL_FAILED) out->failed++;
  }
  rmdir(d.folder);
  free(d.folder);
  hf_buf_free(&d.lost);
  hf_buf_free(&d.bad);
  out->seconds = hf_now() - start;
  out->time = hf_wall_clock();
  out->late = too_late(out->seconds, out->rto);
  return hf_cancel ? hf_fail(err, HOLDFAST_E_CANCELED, "stopped; what was restored for the drill is removed") : 0;
}

void hf_drill_result_free(struct hf_drill_result *r) {
  for (size_t i = 0; i < r->n_sources; i++) {
    free(r->sources[i].name);
    free(r->sources[i].message);
  }
  free(r->sources);
  free(r->id);
  free(r->late);
  memset(r, 0, sizeof *r);
}
