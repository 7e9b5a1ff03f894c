/* cmd_plugins.c - holdfast plugins
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cmd/cmd.h"

static void bad_plugin(void *ctx HF_UNUSED, const char *file, const char *why) { hf_log(HF_LOG_WARNING, "%s: %s", file, why); }

static const char *kind_name(const struct hf_plugin *p) { return p->kind == HF_SOURCE ? "source" : "target"; }

static void print_json(const struct hf_plugin *p) {
  json_t *o = json_pack("{s:s}", "type", "plugin"), *said = hf_plugin_describe_json(p);
  json_object_update(o, said);
  json_decref(said);
  hf_out_json(o);
}

int hf_cmd_plugins(struct hf_cmd *c) {
  if (!hf_args_plain(c, 0, 1)) return c->exit;
  struct hf_registry *registry = hf_registry_new();
  const struct hf_plugin *const *v = NULL;
  struct hf_table table = {.align = "llll"};
  struct hf_error e = {0};
  size_t n = 0, shown = 0;
  int r = hf_registry_all(registry, bad_plugin, NULL, &v, &n, &e);
  for (size_t i = 0; r == 0 && i < n; i++) {
    if (c->argc > 0 && strcmp(v[i]->head->name, c->argv[0]) != 0) continue;
    if (c->json) {
      print_json(v[i]);
    } else if (c->argc > 0) {
      if (shown > 0) putchar('\n');
      hf_plugin_describe_text(v[i], stdout);
    } else {
      hf_table_add(&table, "%s", kind_name(v[i]));
      hf_table_add(&table, "%s", v[i]->head->name);
      hf_table_add(&table, "%s", v[i]->head->version);
      hf_table_add(&table, "%s", v[i]->head->summary);
    }
    shown++;
  }
  hf_table_print(&table);
  int code = HF_EXIT_OK;
  if (r == 0 && shown == 0)
    r = c->argc > 0
            ? hf_fail(&e, HOLDFAST_E_NOT_FOUND, "there is no plugin %s; holdfast plugins lists those there are", c->argv[0])
            : hf_fail(&e, HOLDFAST_E_NOT_FOUND, "no plugin is installed");
  if (r < 0) code = hf_out_error(c, &e);
  hf_registry_free(registry);
  return code;
}
