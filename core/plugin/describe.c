/* describe.c - what a plugin says of itself, for people and for programs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin/internal.h"

/* The optional things a plugin can do, in the order shown. */
static size_t abilities(const struct hf_plugin *p, const char *out[8]) {
  size_t n = 0;
  if (p->kind == HF_SOURCE) {
    if (p->source.restore_open) out[n++] = "restore";
    if (p->source.restore_tree) out[n++] = "restore-tree";
    if (p->source.restore_begin) out[n++] = "restore-stream";
    if (p->source.probe) out[n++] = "probe";
    if (p->source.verify) out[n++] = "verify";
  } else {
    if (p->target.space) out[n++] = "space";
    if (p->target.probe) out[n++] = "probe";
  }
  return n;
}

void hf_plugin_describe_text(const struct hf_plugin *p, FILE *out) {
  const char *can[8];
  size_t n_can = abilities(p, can);
  fprintf(out, "%s %s %s\n  %s\n  file: %s\n  ABI: %u.%u\n", hf_plugin_kind_name(p->kind), p->head->name, p->head->version,
          p->head->summary, p->file, p->head->abi_major, p->head->abi_minor);
  if (n_can) {
    fputs("  can:", out);
    for (size_t i = 0; i < n_can; i++) fprintf(out, " %s", can[i]);
    fputc('\n', out);
  }
  if (p->n_settings) fputs("\n  settings:\n", out);
  for (size_t i = 0; i < p->n_settings; i++) {
    const struct holdfast_setting *row = &p->head->settings[i];
    fprintf(out, "    %s = %s", row->name, hf_setting_type_name(row->type));
    if (row->type == HOLDFAST_CHOICE) fprintf(out, " (%s)", row->choices);
    if (row->flags & HOLDFAST_LIST) fputs(", may be repeated", out);
    if (row->flags & HOLDFAST_REQUIRED) fputs(", required", out);
    if (row->def) fprintf(out, ", default %s", row->def);
    fputc('\n', out);
    if (row->help) fprintf(out, "        %s\n", row->help);
    if (row->type == HOLDFAST_SECRET)
      fprintf(out, "        or %s-file, %s-command, %s-env, %s-credential\n", row->name, row->name, row->name, row->name);
  }
}

/* "a|b" as ["a", "b"]. */
static json_t *choices_json(const char *choices) {
  json_t *a = json_array();
  for (const char *c = choices; c;) {
    const char *end = strchrnul(c, '|');
    json_array_append_new(a, json_stringn(c, (size_t)(end - c)));
    c = *end ? end + 1 : NULL;
  }
  return a;
}

json_t *hf_plugin_describe_json(const struct hf_plugin *p) {
  const char *can[8];
  size_t n_can = abilities(p, can);
  char abi[16];
  snprintf(abi, sizeof abi, "%u.%u", p->head->abi_major, p->head->abi_minor);
  json_t *settings = json_array(), *cans = json_array();
  for (size_t i = 0; i < n_can; i++) json_array_append_new(cans, json_string(can[i]));
  for (size_t i = 0; i < p->n_settings; i++) {
    const struct holdfast_setting *row = &p->head->settings[i];
    json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:s?, s:s?}", "name", row->name, "type", hf_setting_type_name(row->type),
                          "required", (row->flags & HOLDFAST_REQUIRED) != 0, "list", (row->flags & HOLDFAST_LIST) != 0, "default",
                          row->def, "help", row->help);
    if (row->type == HOLDFAST_CHOICE) json_object_set_new(j, "choices", choices_json(row->choices));
    json_array_append_new(settings, j);
  }
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "kind", hf_plugin_kind_name(p->kind), "name", p->head->name,
                   "version", p->head->version, "summary", p->head->summary, "file", p->file, "abi", abi, "can", cans, "settings",
                   settings);
}
