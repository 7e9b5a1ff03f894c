/* restore.c - back to a folder, back in place, and whether a copy is good.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In place: the tree comes to a private folder; nginx tests it there, laid over the files of this machine; then the files go to their
 * places and nginx tests again, since only now everything is as it will be. If it refuses, everything is put back.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "../common/place.h"
#include "nginx.h"

struct restore {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  const char *directory; /* NULL: in place */
  struct hfp_place *place;
};

int hf_nginx_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                          void **handle) {
  struct restore *r = calloc(1, sizeof *r);
  if (!r) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  r->host = host;
  r->values = values;
  int rc = HOLDFAST_OK;
  if (how->mode == HOLDFAST_RESTORE_TO_DIR) r->directory = how->directory;
  else if (how->mode == HOLDFAST_RESTORE_IN_PLACE) rc = hfp_place_begin(host, values[HF_NGINX_SAFETY].strings[0], &r->place);
  else rc = holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "a way to restore that is not known (%u)", (unsigned)how->mode);
  if (rc < 0) {
    free(r);
    return rc;
  }
  *handle = r;
  return HOLDFAST_OK;
}

int hf_nginx_restore_tree(void *handle, const char *stream, char *dir, size_t cap) {
  struct restore *r = handle;
  (void)stream; /* there is one tree and nothing else */
  return hfp_place_tree(r->host, r->directory, r->place, dir, cap);
}

/* What a failed call of nginx told the host, caught on its way, to be told again with what it means in front. */
struct caught {
  struct holdfast_host host;
  char words[900];
};

static void catch_error(void *ctx, const char *message) {
  struct caught *c = ctx;
  snprintf(c->words, sizeof c->words, "%s", message);
}

static int never(void *ctx) {
  (void)ctx;
  return 0;
}

static void drop_log(void *ctx, int level, const char *message) {
  (void)ctx;
  (void)level;
  (void)message;
}

/* A host that notes errors in *c. Cancellation is not asked for: what has begun is brought to its end. */
static const struct holdfast_host *catcher(const struct holdfast_host *host, struct caught *c) {
  *c = (struct caught){.host = *host};
  c->host.ctx = c;
  c->host.error = catch_error;
  c->host.cancelled = never;
  c->host.log = drop_log;
  return &c->host;
}

/* Test before anything is replaced, where that is possible. */
static int test_staged(struct restore *r) {
  struct caught c;
  int rc = hf_nginx_run(catcher(r->host, &c), r->values, HF_NGINX_TEST, hfp_place_stage(r->place), false, NULL, NULL);
  if (rc == 0) return HOLDFAST_OK;
  if (rc == HOLDFAST_E_CONFIG) return holdfast_fail(r->host, rc, "what was restored is refused, nothing has been replaced: %s", c.words);
  hfp_log(r->host, HOLDFAST_LOG_INFO, "not tested before it is put in its place: %s", c.words);
  return HOLDFAST_OK;
}

/* Does any configuration stand at the path, now or in what comes? Keys alone can be restored before there is one. */
static bool has_config(const struct restore *r) {
  const char *config = r->values[HF_NGINX_CONFIG].strings[0];
  char *staged = NULL;
  bool yes = access(config, F_OK) == 0;
  if (!yes && asprintf(&staged, "%s%s", hfp_place_stage(r->place), config) >= 0) {
    struct stat st;
    yes = lstat(staged, &st) == 0;
    free(staged);
  }
  return yes;
}

static int test_placed(struct restore *r) {
  struct caught c, d;
  int rc = hf_nginx_run(catcher(r->host, &c), r->values, HF_NGINX_TEST, NULL, false, NULL, NULL);
  if (rc == 0) return HOLDFAST_OK;
  if (hfp_place_undo(r->place) < 0) return rc; /* with a message that says where the old files are */
  /* Was it that bad before? Then the restore is not to blame, and the admin wants to know. */
  bool before = hf_nginx_run(catcher(r->host, &d), r->values, HF_NGINX_TEST, NULL, false, NULL, NULL) == 0;
  const char *verdict = rc == HOLDFAST_E_CONFIG ? "is refused" : "cannot be tested";
  return holdfast_fail(r->host, rc, "what was restored %s, everything is as it was before%s: %s", verdict,
                       before ? "" : " (and that does not pass, either)", c.words);
}

/* `nginx -s` without a server: no pid file, an empty one, or that of a process that is gone. */
static bool says_not_running(const char *words) {
  return strstr(words, "invalid PID number") || strstr(words, "failed (3:") || (strstr(words, "open()") && strstr(words, "failed (2:"));
}

/* Tell a running server. */
static int reload(struct restore *r) {
  struct caught c;
  if (!r->values[HF_NGINX_RELOAD].number) return HOLDFAST_OK;
  int rc = hf_nginx_run(catcher(r->host, &c), r->values, HF_NGINX_RELOAD_NOW, NULL, false, NULL, NULL);
  if (rc < 0 && says_not_running(c.words)) {
    hfp_log(r->host, HOLDFAST_LOG_NOTICE, "nginx is not running: it loads the configuration when it is started");
    return HOLDFAST_OK;
  }
  if (rc < 0) return holdfast_fail(r->host, rc, "the configuration is in place and passed its test, but nginx did not load it: %s", c.words);
  hfp_log(r->host, HOLDFAST_LOG_NOTICE, "nginx has been told to load the configuration");
  return HOLDFAST_OK;
}

static int in_place(struct restore *r) {
  bool test = has_config(r);
  int rc = test ? test_staged(r) : HOLDFAST_OK;
  if (!test) hfp_log(r->host, HOLDFAST_LOG_NOTICE, "there is no %s yet: nothing to test", r->values[HF_NGINX_CONFIG].strings[0]);
  if (rc == 0) rc = hfp_place_put(r->place, NULL);
  if (rc == 0 && test) rc = test_placed(r);
  if (rc < 0) return rc;
  if (hfp_place_kept(r->place)) hfp_log(r->host, HOLDFAST_LOG_NOTICE, "what was replaced is kept in %s", hfp_place_kept(r->place));
  hfp_place_tell(r->place);
  return test ? reload(r) : HOLDFAST_OK;
}

int hf_nginx_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n) {
  struct restore r = {.host = host, .values = values};
  int rc = hfp_place_begin(host, values[HF_NGINX_SAFETY].strings[0], &r.place);
  if (rc < 0) return rc;
  bool had = has_config(&r);
  rc = hfp_place_back(r.place, items, n);
  /* Keys alone, or no configuration any more: nothing to test. */
  bool test = rc == 0 && had && has_config(&r);
  if (rc == 0 && test) rc = test_placed(&r);
  if (rc == 0) {
    hfp_place_back_folders(r.place, items, n);
    hfp_place_tell(r.place);
    if (hfp_place_kept(r.place)) hfp_log(host, HOLDFAST_LOG_NOTICE, "what was replaced is kept in %s", hfp_place_kept(r.place));
  }
  if (rc == 0 && test) rc = reload(&r);
  hfp_place_free(r.place);
  return rc;
}

int hf_nginx_restore_finish(void *handle, int complete) {
  struct restore *r = handle;
  if (r->directory) return HOLDFAST_OK;
  if (!complete) return holdfast_fail(r->host, HOLDFAST_E_FAILED, "not everything arrived: nothing has been replaced");
  return in_place(r);
}

void hf_nginx_restore_close(void *handle) {
  struct restore *r = handle;
  hfp_place_free(r->place);
  free(r);
}

/* ---- rehearsal ---- */

/* Every file that the copy's own configuration reaches is in the copy: reach tells of others as problems. */
static int verify_reach(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *dump, size_t n) {
  struct hf_nginx_reach r = {0};
  int rc = hf_nginx_reach(host, values, directory, dump, n, &r);
  if (rc == HOLDFAST_E_TRANSIENT) return holdfast_fail(host, HOLDFAST_E_CORRUPT, "nginx read other files than those of the copy");
  if (rc < 0) return rc;
  if (r.problems)
    rc = holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "nginx -t accepts it, but %zu file%s that it names %s not in the restored copy", r.problems,
                       r.problems == 1 ? "" : "s", r.problems == 1 ? "is" : "are");
  else
    rc = holdfast_fail(host, HOLDFAST_OK, "nginx -t accepts it, and all %zu files and links that it reaches are there, %zu of them with key material",
                       r.files.n + r.keys.n, r.keys.n);
  hf_nginx_reach_free(&r);
  return rc;
}

/* Is there a file in the copy at all? That is all there is to say of keys without their configuration. */
static size_t count_files(const char *directory, int depth) {
  DIR *d = opendir(directory);
  size_t n = 0;
  for (struct dirent *e; d && depth < 64 && (e = readdir(d));) {
    char *path = NULL;
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || asprintf(&path, "%s/%s", directory, e->d_name) < 0) continue;
    if (lstat(path, &st) == 0) n += S_ISREG(st.st_mode) ? st.st_size > 0 : S_ISDIR(st.st_mode) ? count_files(path, depth + 1) : 0;
    free(path);
  }
  if (d) closedir(d);
  return n;
}

int hf_nginx_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state) {
  json_t *facts = state && *state ? json_loads(state, 0, NULL) : NULL;
  if (state && *state && !json_is_object(facts)) {
    json_decref(facts);
    return holdfast_fail(host, HOLDFAST_E_CORRUPT, "the state kept with the snapshot is damaged");
  }
  const char *was = json_string_value(json_object_get(facts, "part")), *config = json_string_value(json_object_get(facts, "config"));
  const char *part = was ? was : values[HF_NGINX_PART].strings[0];
  struct holdfast_value mine[HF_NGINX_N_SETTINGS];
  memcpy(mine, values, sizeof mine);
  if (config && *config == '/') { /* the snapshot may be older than a change of the manifest */
    mine[HF_NGINX_CONFIG].strings = &config;
    mine[HF_NGINX_CONFIG].count = 1;
  }
  int rc;
  if (strcmp(part, "keys") == 0) {
    size_t n = count_files(directory, 0), want = (size_t)json_integer_value(json_object_get(facts, "keys"));
    rc = n >= want && n > 0 ? holdfast_fail(host, HOLDFAST_OK, "%zu files with key material are there", n)
                            : holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "%zu files with key material are in the restored copy, and there were %zu", n, want);
  } else {
    bool all = strcmp(part, "all") == 0;
    char *dump = NULL;
    size_t n = 0;
    rc = hf_nginx_run(host, mine, all ? HF_NGINX_DUMP : HF_NGINX_TEST, directory, all, &dump, &n);
    if (rc == 0)
      rc = all ? verify_reach(host, mine, directory, dump, n)
               : holdfast_fail(host, HOLDFAST_OK, "nginx -t accepts it, with the key material of this machine");
    free(dump);
  }
  json_decref(facts);
  return rc;
}
