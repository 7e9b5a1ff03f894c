/* manager.c - what systemctl says and does, and the state kept with a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/child.h"
#include "systemd.h"
#include "unit.h"

#define BATCH 500                   /* names on one command line */
#define ANSWER_MAX ((size_t)4 << 20) /* of systemctl, for one batch */
#define STATE_MAX 65000             /* the host takes 64 KiB */
#define TIMEOUT 90                  /* seconds; the bus itself gives up after 25 */

bool hf_systemd_has_manager(const char *root) { return *root == '\0' && access("/run/systemd/system", F_OK) == 0; }

/* What has been read of one unit. */
struct block {
  const char *names, *active, *sub, *enabled, *load, *reload;
};

/* Put what systemctl said into the object, for those of its names that were asked for. */
static int take_block(json_t *out, const struct block *b, const struct hf_systemd_unit *units, size_t n) {
  if (!b->names) return 0;
  for (size_t i = 0; i < n; i++) {
    size_t len = strlen(units[i].name);
    for (const char *at = b->names; (at = strstr(at, units[i].name)); at += len) {
      if ((at != b->names && at[-1] != ' ') || (at[len] && at[len] != ' ')) continue;
      json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b}", "active", b->active ? b->active : "", "sub", b->sub ? b->sub : "", "enabled",
                            b->enabled ? b->enabled : "", "load", b->load ? b->load : "", "reload", b->reload && strcmp(b->reload, "yes") == 0);
      if (!o || json_object_set_new(out, units[i].name, o) != 0) return -1;
      break;
    }
  }
  return 0;
}

/* "Names=a.service b.service\nActiveState=active\n...\n\nNames=...": taken apart in place. */
static int take_answer(json_t *out, char *text, const struct hf_systemd_unit *units, size_t n) {
  struct block b = {0};
  int rc = 0;
  for (char *line = text; rc == 0 && line;) {
    char *nl = strchr(line, '\n');
    if (nl) *nl = '\0';
    char *equals = strchr(line, '=');
    if (*line == '\0') {
      rc = take_block(out, &b, units, n);
      b = (struct block){0};
    } else if (equals) {
      *equals = '\0';
      const char *value = equals + 1;
      if (strcmp(line, "Names") == 0) b.names = value;
      else if (strcmp(line, "ActiveState") == 0) b.active = value;
      else if (strcmp(line, "SubState") == 0) b.sub = value;
      else if (strcmp(line, "UnitFileState") == 0) b.enabled = value;
      else if (strcmp(line, "LoadState") == 0) b.load = value;
      else if (strcmp(line, "NeedDaemonReload") == 0) b.reload = value;
    }
    line = nl ? nl + 1 : NULL;
  }
  return rc == 0 ? take_block(out, &b, units, n) : rc;
}

/* The host's messages of a systemctl that fails go to the log: what it would have said is not what the source is for. */
static void to_log(void *ctx, const char *message) {
  const struct holdfast_host *host = ctx;
  hfp_log(host, HOLDFAST_LOG_WARNING, "the state of the units is not known: %s", message);
}

static int never(void *ctx) {
  (void)ctx;
  return 0;
}

json_t *hf_systemd_show(const struct holdfast_host *host, const struct hf_systemd_unit *units, size_t n) {
  const char *argv[BATCH + 8] = {"systemctl", "show", "--no-pager", "-p", "Names,ActiveState,SubState,UnitFileState,LoadState,NeedDaemonReload", "--"};
  struct holdfast_host quiet = *host;
  quiet.ctx = (void *)(uintptr_t)host;
  quiet.error = to_log;
  quiet.cancelled = never;
  json_t *out = json_object();
  for (size_t i = 0; out && i < n;) {
    size_t k = 6;
    for (; i < n && k < BATCH + 6; i++)
      if (!hf_systemd_is_template(units[i].name)) argv[k++] = units[i].name;
    argv[k] = NULL;
    if (k == 6) break;
    char *text = NULL, *words = NULL;
    size_t len = 0;
    int code = 0;
    struct hfp_run run = {.argv = argv, .in = -1, .out = HFP_PIPE, .err = -1, .timeout = TIMEOUT};
    int rc = hfp_collect(&quiet, &run, ANSWER_MAX, &text, &len, &code, &words);
    if (rc == 0 && code != 0)
      hfp_log(host, HOLDFAST_LOG_WARNING, "the state of the units is not known: systemctl show: %s",
              words && *words ? words : "it failed without a word");
    if (rc < 0 || code != 0 || take_answer(out, text, units, n) < 0) {
      json_decref(out);
      out = NULL;
    }
    free(text);
    free(words);
  }
  return out;
}

int hf_systemd_reload(const struct holdfast_host *host) {
  static const char *const argv[] = {"systemctl", "daemon-reload", NULL};
  char *words = NULL;
  int code = 0;
  struct hfp_run run = {.argv = argv, .in = -1, .out = -1, .err = -1, .timeout = TIMEOUT};
  int rc = hfp_collect(host, &run, ANSWER_MAX, NULL, NULL, &code, &words);
  if (rc == 0 && code != 0)
    rc = holdfast_fail(host, HOLDFAST_E_FAILED, "the units are back in place, but systemctl daemon-reload failed: %s",
                       words && *words ? words : "it said nothing");
  free(words);
  return rc;
}

/* ---- state ---- */

static json_t *unit_json(const struct hf_systemd_unit *u, json_t *show) {
  json_t *o = json_pack("{s:s, s:s}", "name", u->name, "path", u->path ? u->path : "");
  if (!o) return NULL;
  if (u->masked) json_object_set_new(o, "masked", json_true());
  if (u->links.n) {
    json_t *links = json_array();
    for (size_t i = 0; i < u->links.n; i++) json_array_append_new(links, json_string(u->links.v[i]));
    json_object_set_new(o, "links", links);
  }
  json_t *said = show ? json_object_get(show, u->name) : NULL;
  static const char *const keys[] = {"active", "sub", "enabled"};
  for (size_t i = 0; said && i < sizeof keys / sizeof *keys; i++) json_object_set(o, keys[i], json_object_get(said, keys[i]));
  return o;
}

char *hf_systemd_state(const struct hf_systemd_gather *g, json_t *show) {
  json_t *units = json_array();
  size_t done = 0, room = STATE_MAX - 300 - strlen(g->root) * 6;
  for (size_t used = 0; units && done < g->n_units; done++) {
    json_t *o = unit_json(&g->units[done], show);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    used += text ? strlen(text) + 1 : 0;
    bool fits = text && used < room;
    free(text);
    if (!fits || json_array_append(units, o) != 0) {
      json_decref(o);
      break;
    }
    json_decref(o);
  }
  json_t *all = json_pack("{s:i, s:s, s:b, s:o, s:I, s:I}", "version", 1, "root", *g->root ? g->root : "/", "manager", show != NULL, "units", units,
                          "units_left_out", (json_int_t)(g->n_units - done), "files", (json_int_t)g->files.n);
  char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
  json_decref(all);
  return text;
}
