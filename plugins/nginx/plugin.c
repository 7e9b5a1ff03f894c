/* plugin.c - the nginx source: settings, preflight, backup half, the table of callbacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../common/place.h"
#include "nginx.h"

static const struct holdfast_setting settings[] = {
  [HF_NGINX_CONFIG] = {"config", HOLDFAST_PATH, 0, "/etc/nginx/nginx.conf", NULL, "The configuration that nginx runs with"},
  [HF_NGINX_PROGRAM] = {"nginx", HOLDFAST_COMMAND, 0, "/usr/sbin/nginx", NULL, "The nginx program, with arguments if it needs some"},
  [HF_NGINX_PREFIX] = {"prefix", HOLDFAST_PATH, 0, NULL, NULL, "The prefix that nginx runs with (-p), if it is not the one it was compiled with"},
  [HF_NGINX_PART] = {"part", HOLDFAST_CHOICE, 0, "all", "all|config|keys",
    "Everything, everything but key material, or key material alone: for two sources with different recipients"},
  [HF_NGINX_RELOAD] = {"reload", HOLDFAST_BOOL, 0, "no", NULL, "Have nginx load the configuration after a restore in place"},
  [HF_NGINX_SAFETY] = {"safety", HOLDFAST_PATH, 0, HFP_SAFETY_DEFAULT, NULL, HFP_SAFETY_HELP},
  [HF_NGINX_N_SETTINGS] = {NULL, 0, 0, NULL, NULL, NULL},
};

struct nginx {
  const struct holdfast_host *host;
  struct hfp_exact *exact;
  json_t *facts;
  char *state;
};

/* ---- which of the files ---- */

static bool is_part(const struct holdfast_value *values, const char *part) { return strcmp(values[HF_NGINX_PART].strings[0], part) == 0; }

/* A key in a folder that is taken whole would get to the wrong recipients. */
static int check_folders(const struct holdfast_host *host, const struct hf_nginx_reach *r) {
  for (size_t i = 0; i < r->folders.n; i++)
    for (size_t k = 0; k < r->keys.n; k++) {
      size_t n = strlen(r->folders.v[i]);
      if (strncmp(r->keys.v[k], r->folders.v[i], n) == 0 && r->keys.v[k][n] == '/')
        return holdfast_fail(host, HOLDFAST_E_CONFIG, "part = config: the key file %s is in the folder %s, which is kept whole; move one of them",
                             r->keys.v[k], r->folders.v[i]);
    }
  return HOLDFAST_OK;
}

/* What this source is to give, out of what the configuration reaches. */
static int choose(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_nginx_reach *r, struct hfp_set *entries) {
  bool keys = !is_part(values, "config"), rest = !is_part(values, "keys");
  if (keys && !rest && r->keys.n == 0)
    return holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "part = keys: the configuration names no key material");
  int rc = keys ? HOLDFAST_OK : check_folders(host, r), e = 0;
  for (size_t i = 0; rc == 0 && e == 0 && keys && i < r->keys.n; i++) e = hfp_set_add(entries, r->keys.v[i]);
  for (size_t i = 0; rc == 0 && e == 0 && rest && i < r->files.n; i++)
    if (!hfp_set_has(&r->keys, r->files.v[i])) e = hfp_set_add(entries, r->files.v[i]);
  if (!rest) hfp_set_free(&r->folders);
  return e < 0 ? hfp_fail_errno(host, e, "nginx") : rc;
}

static int look(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_nginx_reach *r) {
  char *dump = NULL;
  size_t n = 0;
  int rc = hf_nginx_run(host, values, HF_NGINX_DUMP, NULL, false, &dump, &n);
  if (rc == 0) rc = hf_nginx_reach(host, values, "", dump, n, r);
  free(dump);
  return rc;
}

/* ---- backup ---- */

static json_t *facts_of(const struct holdfast_host *host, const struct holdfast_value *values, const struct hf_nginx_reach *r) {
  char *version = hf_nginx_version(host, values);
  json_t *modules = json_array();
  for (size_t i = 0; i < r->modules.n && i < 200; i++) json_array_append_new(modules, json_string(r->modules.v[i]));
  json_t *facts = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "version", 1, "nginx", version ? version : "", "config",
                            values[HF_NGINX_CONFIG].strings[0], "part", values[HF_NGINX_PART].strings[0], "files", (json_int_t)r->files.n, "keys",
                            (json_int_t)r->keys.n, "problems", (json_int_t)r->problems, "modules", modules);
  free(version);
  return facts;
}

static void close_nginx(void *handle) {
  struct nginx *x = handle;
  hfp_exact_close(x->exact);
  json_decref(x->facts);
  free(x->state);
  free(x);
}

static int open_nginx(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  struct hf_nginx_reach r = {0};
  struct hfp_set entries = {0};
  struct nginx *x = calloc(1, sizeof *x);
  if (!x) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  x->host = host;
  int rc = look(host, values, &r);
  if (rc == 0) rc = choose(host, values, &r, &entries);
  if (rc == 0) rc = hfp_exact_open(host, "", &entries, &r.folders, &x->exact);
  if (rc == 0 && !(x->facts = facts_of(host, values, &r))) rc = holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  hf_nginx_reach_free(&r);
  hfp_set_free(&entries);
  if (rc < 0) {
    close_nginx(x);
    return rc;
  }
  *handle = x;
  return HOLDFAST_OK;
}

static int next(void *handle, struct holdfast_entry *e) { return hfp_exact_next(((struct nginx *)handle)->exact, e); }
static int entry_open(void *handle, struct holdfast_entry *e) { return hfp_exact_entry_open(((struct nginx *)handle)->exact, e); }
static int64_t entry_read(void *handle, void *buf, size_t n) { return hfp_exact_read(((struct nginx *)handle)->exact, buf, n); }
static int entry_close(void *handle) { return hfp_exact_entry_close(((struct nginx *)handle)->exact); }

static int finish(void *handle, const char **state) {
  struct nginx *x = handle;
  hfp_exact_check(x->exact);
  free(x->state);
  x->state = json_dumps(x->facts, JSON_COMPACT);
  if (!x->state) return holdfast_fail(x->host, HOLDFAST_E_FAILED, "out of memory");
  *state = x->state;
  return HOLDFAST_OK;
}

/* ---- preflight ---- */

static int probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct hf_nginx_reach r = {0};
  struct hfp_set entries = {0};
  int rc = look(host, values, &r);
  size_t folders = r.folders.n;
  if (rc == 0) rc = choose(host, values, &r, &entries);
  if (rc == 0 && r.problems > 0)
    rc = holdfast_fail(host, HOLDFAST_E_NOT_FOUND, "%s names %zu file%s that cannot be had", values[HF_NGINX_CONFIG].strings[0], r.problems,
                       r.problems == 1 ? "" : "s");
  else if (rc == 0)
    rc = holdfast_fail(host, HOLDFAST_OK, "would read %zu files and links of %s (%zu with key material%s; %zu folder%s)", entries.n,
                       values[HF_NGINX_CONFIG].strings[0], r.keys.n, is_part(values, "config") ? ", left out" : "", folders, folders == 1 ? "" : "s");
  hfp_set_free(&entries);
  hf_nginx_reach_free(&r);
  return rc;
}

static const struct holdfast_source_plugin plugin = {
  .head = {
    .struct_size = sizeof(struct holdfast_source_plugin),
    .abi_major = HOLDFAST_ABI_MAJOR,
    .abi_minor = HOLDFAST_ABI_MINOR,
    .name = "nginx",
    .version = HF_NGINX_VERSION,
    .summary = "all that the configuration of nginx reaches, with its certificates and keys",
    .settings = settings,
  },
  .open = open_nginx,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_nginx,
  .probe = probe,
  .restore_open = hf_nginx_restore_open,
  .restore_tree = hf_nginx_restore_tree,
  .restore_finish = hf_nginx_restore_finish,
  .restore_close = hf_nginx_restore_close,
  .verify = hf_nginx_verify,
  .features = HOLDFAST_KEEPS_SAFETY,
  .undo = hf_nginx_undo,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
