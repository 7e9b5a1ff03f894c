/* internal.h - what the files of core/plugin share with each other, with the unit tests and with the fuzz programs.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_PLUGIN_INTERNAL_H
#define HF_PLUGIN_INTERNAL_H

#include "plugin/plugin.h"

/* Check a plugin's struct as its entry function returned it and make the host's own copy. raw points to at least the header;
 * file is what messages name and is copied; expected is the name the plugin must have. dl is kept for hf_plugin_unload (NULL: none). On error nothing is taken over. */
int hf_plugin_adopt(const char *file, const char *expected, enum hf_plugin_kind kind, const void *raw, void *dl,
                    struct hf_plugin **out, struct hf_error *err);

/* Put a plugin that is linked into the program in the registry, before any that hf_registry_get would look for. Same checks as for a file. */
int hf_registry_add(struct hf_registry *r, enum hf_plugin_kind kind, const void *raw, struct hf_error *err);

/* "source" or "target". */
const char *hf_plugin_kind_name(enum hf_plugin_kind kind);

/* A setting type's name as documented ("string", "path", ...), or NULL for a number that is none. */
const char *hf_setting_type_name(uint32_t type);

/* Check one text against a row's type; *number gets the value of SIZE, DURATION, BOOL and INT (else 0). For SECRET: any text.
 * The error says what would be right and never repeats a secret. */
int hf_setting_parse(const struct holdfast_setting *row, const char *text, int64_t *number, struct hf_error *err);

/* Is name what a SECRET row is called with "-file", "-command", "-env" or "-credential" behind? base is the row's name. */
bool hf_setting_is_secret_form(const char *base, const char *name);

/* Levenshtein distance in bytes; texts over 64 bytes are as far away as can be (SIZE_MAX). */
size_t hf_edit_distance(const char *a, const char *b);
/* Is candidate near enough to a mistyped word to be meant (distance at most 2, 3 for words of 8 bytes and more, and less than half
 * the word)? *best is the smallest distance so far, starting at SIZE_MAX; true when candidate beats it, which updates it. */
bool hf_nearer(const char *word, const char *candidate, size_t *best);

/* secret.c: where a secret comes from. */
enum hf_secret_from { HF_SECRET_TEXT, HF_SECRET_FILE, HF_SECRET_COMMAND, HF_SECRET_ENV, HF_SECRET_CREDENTIAL };

/* The form a key is of a SECRET row called base: HF_SECRET_TEXT for base itself; -1 when key is not a form of base. */
int hf_secret_form(const char *base, const char *key);
/* A key without the "-file", "-command", "-env" or "-credential" it ends in; owned by the caller; NULL when it ends in none. */
char *hf_secret_base(const char *key);
/* Check what was written (argument of the key), without reading anything: command splits, names are names. The name of a variable is
 * remembered for hf_secret_in_env. */
int hf_secret_check(enum hf_secret_from from, const char *arg, struct hf_error *err);
/* Is "NAME=VALUE" of the environment a secret that some setting names? */
bool hf_secret_in_env(const char *pair);
/* Fetch the secret; base_dir is what a relative file is below. The text is the caller's, who wipes it. Never empty. */
int hf_secret_fetch(enum hf_secret_from from, const char *arg, const char *base_dir, char **out, struct hf_error *err);

#endif
