/* plugin.h - finding, loading and describing plugins, and typed settings made from their tables.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PLUGIN_H
#define HF_PLUGIN_H

#include <holdfast/source.h>
#include <holdfast/target.h>
#include <jansson.h>

#include "base/base.h"

enum hf_plugin_kind { HF_SOURCE = 1, HF_TARGET };

/* A loaded plugin. Lives in its registry until hf_registry_free. */
struct hf_plugin {
  enum hf_plugin_kind kind;
  char *file;                            /* absolute path of the shared object */
  const struct holdfast_plugin_header *head; /* points into source/target below */
  struct holdfast_source_plugin source;  /* kind HF_SOURCE: the host's own copy, the unknown tail zeroed */
  struct holdfast_target_plugin target;  /* kind HF_TARGET */
  size_t n_settings;
  void *dl;
};

/* Keys every source/target section may have besides its plugin's own; NULL-terminated. Plugins may not declare them. */
extern const char *const hf_source_reserved[];
extern const char *const hf_target_reserved[];

/* ---- registry (registry.c): where plugins are looked for, and those loaded ---- */
struct hf_registry;
/* Search order: each folder D of HOLDFAST_PLUGIN_PATH (D/NAME.so, D/sources/NAME.so or D/targets/NAME.so), then HF_PKGLIBDIR. When running as root the
 * variable's folders and files must belong to root and not be writable by group or others, else they are refused with a warning. */
struct hf_registry *hf_registry_new(void);
void hf_registry_free(struct hf_registry *r); /* unloads; NULL is fine */
/* The plugin of that name and kind, loaded on first use. Errors name the file and what is wrong with it (no such plugin: lists those there are). */
int hf_registry_get(struct hf_registry *r, enum hf_plugin_kind kind, const char *name, const struct hf_plugin **out, struct hf_error *err);
/* Load all there are; one that does not load is reported through bad() and left out. Sorted by kind, then name. The array is the registry's. */
int hf_registry_all(struct hf_registry *r, void (*bad)(void *ctx, const char *file, const char *why), void *ctx,
                    const struct hf_plugin *const **out, size_t *n, struct hf_error *err);
/* Load one file (loader.c): checks entry symbol, ABI version, sizes, mandatory callbacks, settings table. kind says which entry symbol. */
int hf_plugin_load(const char *file, enum hf_plugin_kind kind, struct hf_plugin **out, struct hf_error *err);
void hf_plugin_unload(struct hf_plugin *p);

/* ---- settings (settings.c) ---- */
/* Values for one instance, in the order of the plugin's table. */
struct hf_settings {
  const struct holdfast_setting *table;
  size_t n;
  struct holdfast_value *values; /* n of them; strings owned */
  bool inline_secret;            /* a HOLDFAST_SECRET row was given in the manifest itself */
  unsigned bad_line;             /* after a failed call: the line of the key at fault, 0 when it is none's */
  struct hf_secret_ref *refs;    /* n of them: where secrets are to be fetched from by hf_settings_finish */
};
/* Start with nothing set. */
struct hf_settings *hf_settings_new(const struct holdfast_setting *table);
void hf_settings_free(struct hf_settings *s); /* wipes secrets */
void hf_settings_freep(struct hf_settings **s); /* for HF_CLEANUP */
/* Does the table have this key (for a SECRET row NAME also NAME-file, -command, -env, -credential)? */
bool hf_settings_knows(const struct hf_settings *s, const char *key);
/* The known key nearest to a mistyped one (edit distance at most 2 or 3), or NULL. */
const char *hf_settings_nearest(const struct hf_settings *s, const char *key);
/* Set one key from manifest text. base_dir: what relative *-file names of secrets are below. The error says what would be right, without file and line. */
int hf_settings_set(struct hf_settings *s, const char *key, const char *text, unsigned line, const char *base_dir, struct hf_error *err);
/* All keys seen: apply defaults, check the required ones. Reads nothing: secrets stay unset (count 0) until hf_settings_finish. */
int hf_settings_check(struct hf_settings *s, struct hf_error *err);
/* hf_settings_check, then fetch the secrets (files are read, commands run). */
int hf_settings_finish(struct hf_settings *s, struct hf_error *err);
/* To and from JSON, for the worker process (secrets included: only ever over a private socket). */
json_t *hf_settings_to_json(const struct hf_settings *s);
int hf_settings_from_json(const struct holdfast_setting *table, const json_t *j, struct hf_settings **out, struct hf_error *err);

/* ---- descriptions (describe.c) for `holdfast plugins` ---- */
void hf_plugin_describe_text(const struct hf_plugin *p, FILE *out); /* name, version, file, settings with type, default, help */
json_t *hf_plugin_describe_json(const struct hf_plugin *p);

#endif
