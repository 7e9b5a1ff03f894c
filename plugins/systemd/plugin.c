/* plugin.c - the systemd source: settings, preflight, backup half, the table of callbacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/place.h"
#include "systemd.h"

static const struct holdfast_setting settings[] = {
  [HF_SYSTEMD_UNITS] = {"unit", HOLDFAST_STRING, HOLDFAST_REQUIRED | HOLDFAST_LIST, NULL, NULL, "A unit, or a pattern of units as in the shell"},
  [HF_SYSTEMD_ROOT] = {"root", HOLDFAST_PATH, 0, "/", NULL, "The root folder of the system whose units these are"},
  [HF_SYSTEMD_ENVIRONMENT_FILES] = {"environment-files", HOLDFAST_BOOL, 0, "yes", NULL, "Keep the files that EnvironmentFile= names"},
  [HF_SYSTEMD_IGNORE_MISSING] = {"ignore-missing", HOLDFAST_BOOL, 0, "no", NULL, "Pass over a unit that does not exist"},
  [HF_SYSTEMD_SAFETY] = {"safety", HOLDFAST_PATH, 0, HFP_SAFETY_DEFAULT, NULL, HFP_SAFETY_HELP},
  [HF_SYSTEMD_N_SETTINGS] = {NULL, 0, 0, NULL, NULL, NULL},
};

struct systemd {
  const struct holdfast_host *host;
  struct hf_systemd_gather gather;
  struct hfp_exact *exact;
  char *state;
};

static void close_systemd(void *handle) {
  struct systemd *x = handle;
  hfp_exact_close(x->exact);
  hf_systemd_gather_free(&x->gather);
  free(x->state);
  free(x);
}

static int open_systemd(const struct holdfast_host *host, const struct holdfast_value *values, void **handle) {
  static const struct hfp_set none;
  struct systemd *x = calloc(1, sizeof *x);
  if (!x) return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  x->host = host;
  int rc = hf_systemd_gather(host, values, &x->gather);
  if (rc == 0) rc = hfp_exact_open(host, x->gather.root, &x->gather.files, &none, &x->exact);
  if (rc < 0) {
    close_systemd(x);
    return rc;
  }
  *handle = x;
  return HOLDFAST_OK;
}

static int next(void *handle, struct holdfast_entry *e) { return hfp_exact_next(((struct systemd *)handle)->exact, e); }
static int entry_open(void *handle, struct holdfast_entry *e) { return hfp_exact_entry_open(((struct systemd *)handle)->exact, e); }
static int64_t entry_read(void *handle, void *buf, size_t n) { return hfp_exact_read(((struct systemd *)handle)->exact, buf, n); }
static int entry_close(void *handle) { return hfp_exact_entry_close(((struct systemd *)handle)->exact); }

/* What runs is what the manager has read, which may not be what the files say. */
static void tell_stale(const struct systemd *x, json_t *show) {
  const char *name;
  json_t *o;
  json_object_foreach(show, name, o)
    if (json_is_true(json_object_get(o, "reload")))
      hfp_log(x->host, HOLDFAST_LOG_WARNING, "%s has changed since the manager read it; what runs is the old one until systemctl daemon-reload", name);
}

static int finish(void *handle, const char **state) {
  struct systemd *x = handle;
  hfp_exact_check(x->exact);
  json_t *show = NULL;
  if (hf_systemd_has_manager(x->gather.root)) show = hf_systemd_show(x->host, x->gather.units, x->gather.n_units);
  if (show) tell_stale(x, show);
  free(x->state);
  x->state = hf_systemd_state(&x->gather, show);
  json_decref(show);
  if (!x->state) return holdfast_fail(x->host, HOLDFAST_E_FAILED, "out of memory");
  *state = x->state;
  return HOLDFAST_OK;
}

static int probe(const struct holdfast_host *host, const struct holdfast_value *values) {
  struct hf_systemd_gather g;
  int rc = hf_systemd_gather(host, values, &g);
  if (rc < 0) return rc;
  char names[600] = "";
  for (size_t i = 0, n = 0; i < g.n_units && n < 400; i++) n += (size_t)snprintf(names + n, sizeof names - n, "%s%.100s", i ? ", " : "", g.units[i].name);
  holdfast_fail(host, HOLDFAST_OK, "%zu unit%s (%s), %zu files and links%s%s; %s", g.n_units, g.n_units == 1 ? "" : "s", names, g.files.n,
                *g.root ? " below " : "", g.root, hf_systemd_has_manager(g.root) ? "a manager runs" : "no manager runs there");
  hf_systemd_gather_free(&g);
  return HOLDFAST_OK;
}

static const struct holdfast_source_plugin plugin = {
  .head = {
    .struct_size = sizeof(struct holdfast_source_plugin),
    .abi_major = HOLDFAST_ABI_MAJOR,
    .abi_minor = HOLDFAST_ABI_MINOR,
    .name = "systemd",
    .version = HF_SYSTEMD_VERSION,
    .summary = "units of systemd with drop-ins, timers, sockets, links and environment files",
    .settings = settings,
  },
  .open = open_systemd,
  .next = next,
  .entry_open = entry_open,
  .read = entry_read,
  .entry_close = entry_close,
  .finish = finish,
  .close = close_systemd,
  .probe = probe,
  .restore_open = hf_systemd_restore_open,
  .restore_tree = hf_systemd_restore_tree,
  .restore_finish = hf_systemd_restore_finish,
  .restore_close = hf_systemd_restore_close,
  .verify = hf_systemd_verify,
  .features = HOLDFAST_KEEPS_SAFETY,
  .undo = hf_systemd_undo,
};

HOLDFAST_SOURCE_PLUGIN(plugin)
