/* nginx.h - the private header of the nginx source: what its parts offer one another.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Parts, lower ones first: parse (the syntax), run (nginx -T, -t and -s reload, also on a copy), reach (which files a configuration
 * names), restore (restore half and rehearsal), plugin (settings, backup half, callbacks).
 *
 * Unless said otherwise a function returns 0 or a negative enum holdfast_status, having told the host why.
 */
#ifndef HF_NGINX_H
#define HF_NGINX_H

#include <stdbool.h>
#include <stddef.h>

#include <holdfast/source.h>

#include "../common/exact.h"

#define HF_NGINX_VERSION "1.0"

/* The rows of the settings table, in its order. */
enum hf_nginx_setting {
  HF_NGINX_CONFIG,
  HF_NGINX_PROGRAM,
  HF_NGINX_PREFIX,
  HF_NGINX_PART,
  HF_NGINX_RELOAD,
  HF_NGINX_SAFETY,
  HF_NGINX_N_SETTINGS
};

/* ---- calling nginx (run.c) ---- */

enum hf_nginx_call {
  HF_NGINX_DUMP,  /* -T: the text of all its files, into *out */
  HF_NGINX_TEST,  /* -t */
  HF_NGINX_RELOAD_NOW
};

/* Call nginx with the configuration that the values name. copy: NULL, or a folder whose tree is laid over this machine's files for
 * that one call, in mount namespace of its own; whole: the folder of the configuration is the copy's alone. *out (HF_NGINX_DUMP: the caller frees)
 * and *n: what it printed. HOLDFAST_E_UNSUPPORTED when a copy cannot be laid over; HOLDFAST_E_AUTH, HOLDFAST_E_CONFIG and others with nginx'
 * own words. */
int hf_nginx_run(const struct holdfast_host *host, const struct holdfast_value *values, enum hf_nginx_call what, const char *copy, bool whole,
                 char **out, size_t *n);
/* "nginx/1.22.1", or "" when it does not say; the caller frees. NULL when memory is out. */
char *hf_nginx_version(const struct holdfast_host *host, const struct holdfast_value *values);
/* The folder that relative names of Lua files are in: the setting, or what nginx was compiled with. The caller frees; NULL when unknown. */
char *hf_nginx_prefix(const struct holdfast_host *host, const struct holdfast_value *values);

/* ---- what a configuration reaches (reach.c) ---- */

struct hf_nginx_reach {
  struct hfp_set files;   /* configuration, certificates, scripts, databases; links on the way to them */
  struct hfp_set keys;    /* key material: private keys, their passwords, ticket keys, password files; whole paths, free of links */
  struct hfp_set folders; /* js_path, perl_modules, lua_package_path: all that is in them */
  struct hfp_set modules; /* what load_module names, as written */
  size_t problems;        /* files that are named and cannot be had */
};

/* From the dump of hf_nginx_run. root: "" or the copy's folder. What cannot be had is told to the host as a
 * problem. HOLDFAST_E_TRANSIENT when a file is not what nginx dumped. */
int hf_nginx_reach(const struct holdfast_host *host, const struct holdfast_value *values, const char *root, const char *dump, size_t n,
                   struct hf_nginx_reach *out);
void hf_nginx_reach_free(struct hf_nginx_reach *r);

/* ---- restore and rehearsal (restore.c): as in <holdfast/source.h> ---- */
int hf_nginx_restore_open(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_restore *how,
                          void **handle);
int hf_nginx_restore_tree(void *handle, const char *stream, char *dir, size_t cap);
int hf_nginx_restore_finish(void *handle, int complete);
void hf_nginx_restore_close(void *handle);
int hf_nginx_undo(const struct holdfast_host *host, const struct holdfast_value *values, const struct holdfast_kept *items, size_t n);
int hf_nginx_verify(const struct holdfast_host *host, const struct holdfast_value *values, const char *directory, const char *state);

#endif
