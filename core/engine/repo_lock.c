/* repo_lock.c - lock objects: one writer per repository, whoever shares the target.
 * SPDX-License-Identifier: Apache-2.0
 *
 * locks/<32 hex digits>.json, plain text: who, since when, until when (the owner's own clock). The state folder's lock file keeps two runs of this host apart; the object keeps apart two machines that think
 * they are the same host. A lock made from this very state folder, whose lock file we hold, is of a run that is no more, and is taken over; so is one whose process is gone from this machine, and one whose time
 * is over. A long run renews its lock. Put first, then look: two that
 * do so at once see each other, and both refuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "engine/engine.h"

#define LOCK_SECONDS (24 * 3600)
#define RENEW_SECONDS (6 * 3600)
#define LOCK_MAX 4096
#define LOOK_SECONDS_LEAST 0.5 /* between two looks at a lock that is waited for */
#define LOOK_SECONDS_MOST 30.0

/* This process' own lock: a process writes to one repository at a time. */
static char lock_key[64];
static const char *lock_what;
static int64_t lock_made;

static void read_line(const char *path, char out[64]) {
  out[0] = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t n = read(fd, out, 63);
  close(fd);
  out[n > 0 ? n : 0] = 0;
  out[strcspn(out, "\n")] = 0;
}

/* What tells this machine, or this boot of it, from others: 32 hex digits made from the id, which itself is nobody else's business (machine-id(5)). "" when there is none. */
static void hidden_id(const char *path, char out[64]) {
  char line[64];
  read_line(path, line);
  HF_CLEANUP(hf_freep) char *text = hf_asprintf("holdfast lock %s", line);
  struct hf_digest d;
  hf_sha256(text, strlen(text), &d);
  hf_hex(out, d.b, 16);
  if (!line[0]) out[0] = 0;
}

/* What tells this state folder from others: its device and inode. */
static void state_identity(const struct hf_session *s, char out[64]) {
  struct stat st;
  out[0] = 0;
  if (stat(hf_state_dir(s->state), &st) == 0) snprintf(out, 64, "%llx:%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
}

static int add_lock(void *ctx, const char *key, uint64_t size) {
  if (size <= LOCK_MAX) hf_list_add(ctx, key);
  return 0;
}

/* Whose is this lock? 0: nobody's any more (taken over), 1: held. */
static int look(struct hf_session *s, struct hf_target *t, const char *key, struct hf_error *err) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  struct hf_error e = {0};
  int r = hf_target_get(t, key, LOCK_MAX, &b, &e);
  if (r == HOLDFAST_E_NOT_FOUND) return 0;
  if (r < 0) return hf_fail(err, r, "%s", e.msg);
  HF_CLEANUP(hf_json_decrefp) json_t *j = hf_json_parse(b.data ? b.data : "", b.len, NULL);
  const char *machine = "", *boot = "", *host = "?", *what = "?", *state = "";
  int64_t pid = 0, expires = 0, started = 0;
  if (j) {
    hf_json_str(j, "machine", false, &machine, NULL);
    hf_json_str(j, "boot", false, &boot, NULL);
    hf_json_str(j, "host", false, &host, NULL);
    hf_json_str(j, "command", false, &what, NULL);
    hf_json_str(j, "state", false, &state, NULL);
    hf_json_i64(j, "pid", false, &pid, NULL);
    hf_json_i64(j, "expires", false, &expires, NULL);
    hf_json_i64(j, "started", false, &started, NULL);
  }
  char my_machine[64], my_boot[64], my_state[64], my_name[256] = "";
  gethostname(my_name, sizeof my_name - 1);
  state_identity(s, my_state);
  hidden_id("/etc/machine-id", my_machine);
  hidden_id("/proc/sys/kernel/random/boot_id", my_boot);
  bool here = *machine && strcmp(machine, my_machine) == 0;
  bool dead = here && (strcmp(boot, my_boot) != 0 || pid <= 0 || (kill((pid_t)pid, 0) < 0 && errno == ESRCH));
  /* The lock file of our state folder is ours: whoever made a lock from the same folder is gone. */
  bool ours = *state && strcmp(state, my_state) == 0 && strcmp(machine, my_machine) == 0 && strcmp(host, my_name) == 0;
  if (!j || dead || ours || expires < hf_wall_clock()) {
    r = hf_target_remove(t, key, &e);
    /* It holds nobody up. An account that may not delete leaves one behind each time, and still has to be able to back up. */
    bool stays = r == HOLDFAST_E_AUTH || r == HOLDFAST_E_UNSUPPORTED;
    if (r < 0 && !stays) return hf_fail(err, r, "%s", e.msg);
    hf_log(HF_LOG_NOTICE, "target %s: the lock of a run that is no more (%s, process %lld) is %s", hf_target_name(t), what, (long long)pid, stays ? "passed over, since it may not be removed" : "removed");
    return 0;
  }
  char since[HF_TIME_LEN], until[HF_TIME_LEN];
  hf_format_time(since, started);
  hf_format_time(until, expires);
  hf_fail(err, HOLDFAST_E_EXISTS, "target %s: the repository of %s is being written by another machine or user (holdfast %s, process %lld on %s, since %s; lock until %s); if that run is gone, delete %s", hf_target_name(t),
          s->manifest->host, what, (long long)pid, host, since, until, key);
  return 1;
}

static int look_at_all(struct hf_session *s, struct hf_target *t, struct hf_error *err) {
  struct hf_list keys = HF_LIST_INIT;
  int r = hf_target_list(t, "locks/", add_lock, &keys, err);
  for (size_t i = 0; r == 0 && i < keys.n; i++) {
    if (strcmp(keys.v[i], lock_key) == 0) continue;
    r = look(s, t, keys.v[i], err);
    if (r == 1) r = HOLDFAST_E_EXISTS;
  }
  hf_list_free(&keys);
  return r;
}

/* The text of a new lock (caller frees), and its key. */
static char *make_lock(struct hf_session *s, char key[64]) {
  unsigned char id[16];
  char hex[33], machine[64], boot[64], state[64], name[256] = "";
  hf_random(id, sizeof id);
  hf_hex(hex, id, sizeof id);
  hidden_id("/etc/machine-id", machine);
  hidden_id("/proc/sys/kernel/random/boot_id", boot);
  gethostname(name, sizeof name - 1);
  state_identity(s, state);
  lock_made = hf_wall_clock();
  HF_CLEANUP(hf_json_decrefp) json_t *j = json_pack("{s:o,s:s,s:s,s:s,s:I,s:s,s:I,s:I}", "host", hf_json_bytes(name, strlen(name)), "machine", machine, "boot", boot, "state", state, "pid", (json_int_t)getpid(),
                                                    "command", lock_what, "started", (json_int_t)lock_made, "expires", (json_int_t)(lock_made + LOCK_SECONDS));
  snprintf(key, 64, "locks/%s.json", hex);
  return j ? json_dumps(j, JSON_INDENT(1)) : NULL;
}

/* Is the lock there before it was put there? Then another target of the manifest is the same place by another name. */
static void look_for_twin(struct hf_session *s, struct hf_target *t) {
  struct hf_error e = {0};
  uint64_t size = 0;
  if (s->twin || hf_target_stat(t, lock_key, &size, &e) != 0) return;
  s->twin = hf_target_name(t);
  hf_log(HF_LOG_WARNING, "target %s: is the same place as another target of the manifest: there is one copy less than it seems", s->twin);
}

/* One try: put the lock everywhere and look. HOLDFAST_E_EXISTS: held by another, and ours is taken away again. */
static int try_lock(struct hf_session *s, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *text = make_lock(s, lock_key);
  if (!text) return hf_fail(err, HOLDFAST_E_FAILED, "cannot write the lock");
  struct hf_digest d;
  hf_sha256(text, strlen(text), &d);

  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_target *t = s->targets[i];
    if (hf_target_failure(t)) continue;
    struct hf_error e = {0};
    if (i > 0) look_for_twin(s, t);
    int r = hf_target_put(t, lock_key, text, strlen(text), &d, true, &e);
    /* The name is random: a lock that is there already is this one, put by a try that seemed to fail. */
    if (r == 0 || r == HOLDFAST_E_EXISTS) r = look_at_all(s, t, &e);
    if (r == 0) continue;
    if (r == HOLDFAST_E_EXISTS) {
      hf_repo_unlock(s);
      return hf_fail(err, r, "%s", e.msg);
    }
    hf_target_set_failed(t, &e);
  }
  return 0;
}

/* Is a lock of another held anywhere? Nothing is put meanwhile: an account that may not delete would leave one at each try. */
static bool is_held(struct hf_session *s, struct hf_error *err) {
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    if (hf_target_failure(s->targets[i]) || look_at_all(s, s->targets[i], &e) != HOLDFAST_E_EXISTS) continue;
    hf_fail(err, e.code, "%s", e.msg);
    return true;
  }
  return false;
}

/* The next look at the locks: soon at first, then rarely. Cut short by a signal. */
static void pause_between_looks(struct hf_session *s, double *seconds) {
  double until = HF_MIN(hf_now() + *seconds, s->lock_until);
  while (hf_now() < until && !hf_cancel) usleep(50 * 1000);
  *seconds = HF_MIN(*seconds * 2, LOOK_SECONDS_MOST);
}

int hf_repo_lock(struct hf_session *s, const char *what, struct hf_error *err) {
  double between = LOOK_SECONDS_LEAST;
  bool told = false;
  lock_what = what;
  for (;;) {
    int r = try_lock(s, err);
    if (r != HOLDFAST_E_EXISTS || hf_now() >= s->lock_until) return r;
    if (!told) hf_log(HF_LOG_NOTICE, "waiting: %s", err->msg);
    told = true;
    do {
      pause_between_looks(s, &between);
      if (hf_cancel) return hf_fail(err, HOLDFAST_E_CANCELED, "stopped while waiting for the lock of another run");
    } while (is_held(s, err) && hf_now() < s->lock_until);
  }
}

void hf_repo_lock_renew(struct hf_session *s) {
  if (!lock_key[0] || hf_wall_clock() - lock_made < RENEW_SECONDS) return;
  char old[64];
  memcpy(old, lock_key, sizeof old);
  HF_CLEANUP(hf_freep) char *text = make_lock(s, lock_key);
  if (!text) return;
  struct hf_digest d;
  hf_sha256(text, strlen(text), &d);
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    if (hf_target_failure(s->targets[i])) continue;
    if (hf_target_put(s->targets[i], lock_key, text, strlen(text), &d, true, &e) < 0 || hf_target_remove(s->targets[i], old, &e) < 0) hf_log(HF_LOG_WARNING, "the lock cannot be renewed: %s", e.msg);
  }
}

void hf_repo_unlock(struct hf_session *s) {
  if (!lock_key[0]) return;
  /* A run that was asked to stop still takes its lock away. */
  int stopped = hf_cancel;
  hf_cancel = 0;
  for (size_t i = 0; i < s->n_targets; i++) {
    struct hf_error e = {0};
    /* Also where the run failed: that may have had nothing to do with the target. */
    if (hf_target_remove(s->targets[i], lock_key, &e) < 0 && !hf_target_failure(s->targets[i])) hf_log(HF_LOG_WARNING, "%s", e.msg);
  }
  lock_key[0] = 0;
  if (stopped) hf_cancel = stopped;
}
