/* worker_child.c - the worker process: becomes the right account, loads the plugin, does its job.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whatever goes wrong here is a result for the core; the process itself prints nothing.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "plugin/worker_proto.h"

_Noreturn void hf_side_lost(void) { _exit(1); }

void hf_side_send(struct hf_side *s, struct hf_msg *m, const char *text, const char *text2) {
  if (hf_msg_send(s->fd, m, text, text2) != 0) hf_side_lost();
}

void hf_side_receive(struct hf_side *s, struct hf_msg *m) {
  if (hf_msg_recv(s->fd, m, false) != 1) hf_side_lost();
}

void hf_side_result(struct hf_side *s, int status, const char *text) {
  struct hf_msg m = {.type = HF_MSG_RESULT, .status = status, .slot = HF_WORKER_NO_SLOT};
  hf_side_send(s, &m, text, NULL);
}

char *hf_side_text(const struct hf_side *s, const char *key) {
  const char *hex = json_string_value(json_object_get(s->job, key));
  if (!hex) return NULL;
  size_t n = strlen(hex) / 2;
  char *text = hf_alloc(n + 1);
  if (!hf_unhex(text, hex, n)) text[0] = 0;
  return text;
}

/* ---- what the plugin gets from its host ---- */

static void host_log(void *ctx, int level, const char *message) {
  struct hf_side *s = ctx;
  if (level > s->log_level) return;
  struct hf_msg m = {.type = HF_MSG_LOG, .status = level, .slot = HF_WORKER_NO_SLOT};
  hf_side_send(s, &m, message, NULL);
}

static void host_error(void *ctx, const char *message) {
  struct hf_side *s = ctx;
  snprintf(s->words, sizeof s->words, "%s", message ? message : "");
}

/* The core ends a worker that is not wanted any more; it need not ask. */
static int host_cancelled(void *ctx) {
  (void)ctx;
  return 0;
}

static void host_problem(void *ctx, const char *path, int status, const char *message) {
  struct hf_side *s = ctx;
  struct hf_msg m = {.type = HF_MSG_PROBLEM, .status = status, .slot = HF_WORKER_NO_SLOT};
  hf_side_send(s, &m, path, message);
}

static void host_kept(void *ctx, const char *place, const char *kept_as) {
  struct hf_side *s = ctx;
  struct hf_msg m = {.type = HF_MSG_KEPT, .slot = HF_WORKER_NO_SLOT};
  hf_side_send(s, &m, place, kept_as ? kept_as : "");
}

/* ---- getting ready ---- */

static int become(const char *user, struct hf_error *err) {
  errno = 0;
  struct passwd *pw = getpwnam(user);
  if (!pw) return hf_fail(err, HOLDFAST_E_CONFIG, "user = %s: there is no such account", user);
  if (geteuid() != 0) {
    if (pw->pw_uid == geteuid() && pw->pw_uid == getuid()) return 0;
    return hf_fail(err, HOLDFAST_E_CONFIG, "user = %s: only root can run a source as another account", user);
  }
  /* Copies: initgroups may use the same static memory. */
  uid_t uid = pw->pw_uid;
  gid_t gid = pw->pw_gid;
  setenv("HOME", pw->pw_dir, 1);
  setenv("USER", user, 1);
  setenv("LOGNAME", user, 1);
  if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
    return hf_fail_errno(err, errno, "user = %s: cannot become it", user);
  if (uid != 0 && setresuid(0, 0, 0) == 0)
    return hf_fail(err, HOLDFAST_E_FAILED, "user = %s: the change of account did not hold", user);
  /* Where the core stands may be closed to this account. */
  if (chdir("/") != 0) return hf_fail_errno(err, errno, "/");
  return 0;
}

static void calm_down(void) {
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core); /* secrets stay in memory */
  umask(077);
}

static int prepare(struct hf_side *s, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *user = hf_side_text(s, "user");
  HF_CLEANUP(hf_freep) char *file = hf_side_text(s, "plugin");
  int rc = user ? become(user, err) : 0;
  /* Only now: a change of account forgets it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (rc == 0) rc = hf_plugin_load(file ? file : "", HF_SOURCE, &s->plugin, err);
  if (rc == 0) rc = hf_settings_from_json(s->plugin->head->settings, json_object_get(s->job, "settings"), &s->settings, err);
  return rc;
}

static json_t *read_job(struct hf_side *s) {
  struct hf_msg m;
  struct hf_error err = {0};
  hf_side_receive(s, &m);
  if (m.type != HF_MSG_JOB || m.length > HF_WORKER_SLOT) hf_side_lost();
  json_t *j = hf_json_parse((const char *)s->slots, m.length, &err);
  /* Secrets were in there. */
  hf_wipe(s->slots, m.length);
  if (!j) hf_side_lost();
  return j;
}

static void work(struct hf_side *s) {
  struct hf_error err = {0};
  const char *op = json_string_value(json_object_get(s->job, "op"));
  if (prepare(s, &err) != 0) {
    hf_side_result(s, err.code, err.msg);
    return;
  }
  if (op && strcmp(op, "backup") == 0)
    hf_side_backup(s);
  else if (op && strcmp(op, "restore") == 0)
    hf_side_restore(s);
  else if (op && strcmp(op, "verify") == 0)
    hf_side_verify(s);
  else if (op && (strcmp(op, "undo") == 0 || strcmp(op, "discard") == 0))
    hf_side_undo(s);
  else if (op && strcmp(op, "probe") == 0)
    hf_side_probe(s);
  else
    hf_side_result(s, HOLDFAST_E_FAILED, "an unknown job");
}

void hf_worker_main_if(int argc, char **argv) {
  if (argc != 1 || strcmp(argv[0], HF_WORKER_NAME) != 0) return;
  struct hf_side *s = hf_alloc(sizeof *s);
  calm_down();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  s->fd = HF_WORKER_SOCKET;
  s->slots = mmap(NULL, (size_t)HF_WORKER_SLOTS * HF_WORKER_SLOT, PROT_READ | PROT_WRITE, MAP_SHARED, HF_WORKER_MEMORY, 0);
  if (s->slots == MAP_FAILED) hf_side_lost();
  close(HF_WORKER_MEMORY);
  json_t *job = read_job(s);
  s->job = job;
  s->log_level = (int)json_integer_value(json_object_get(job, "log"));
  HF_CLEANUP(hf_freep) char *instance = hf_side_text(s, "instance");
  s->host = (struct holdfast_host){.struct_size = sizeof s->host,
                                   .ctx = s,
                                   .instance = instance ? instance : "",
                                   .log = host_log,
                                   .error = host_error,
                                   .cancelled = host_cancelled,
                                   .problem = host_problem,
                                   .kept = host_kept};
  work(s);
  hf_settings_free(s->settings);
  hf_plugin_unload(s->plugin);
  json_decref(job);
  munmap(s->slots, (size_t)HF_WORKER_SLOTS * HF_WORKER_SLOT);
  free(s);
  hf_freep(&instance);
  exit(0);
}
