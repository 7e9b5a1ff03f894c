/* internal.h - the steps from bytes to a manifest, for the files of core/manifest, its tests and its fuzz program.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_MANIFEST_INTERNAL_H
#define HF_MANIFEST_INTERNAL_H

#include "manifest/manifest.h"

#define HF_INI_LINE_MAX 16384 /* bytes of one line without its end */
#define HF_INI_KEY_MAX 48     /* inih keeps no longer name on any system, and no key known is as long */
#define HF_INI_FILE_MAX (1024 * 1024)
#define HF_INCLUDE_DEPTH 8
#define HF_INCLUDE_FILES 1000

/* ---- bytes to lines (ini.c) ---- */
/* What a parse calls for each section header (key and value NULL) and each key below one; line counts from 1. A negative return with *err filled
 * ends the parse with it. */
typedef int (*hf_ini_fn)(void *ctx, unsigned line, const char *section, const char *key, const char *value, struct hf_error *err);
/* Parse n bytes of INI text. file is what messages name: "FILE:LINE: ...". */
int hf_ini_parse(const char *text, size_t n, const char *file, hf_ini_fn fn, void *ctx, struct hf_error *err);

/* ---- lines to sections (manifest.c) ---- */
enum hf_section_kind { HF_SECTION_HOLDFAST, HF_SECTION_SOURCE, HF_SECTION_TARGET, HF_SECTION_NOTIFY, HF_SECTION_CONTACT };
/* "source", as in a section's header. */
extern const char *const hf_section_words[];

struct hf_raw_key {
  char *key;
  char *value; /* may be a secret: wiped when freed */
  unsigned line;
};

struct hf_raw_section {
  enum hf_section_kind kind;
  char *title; /* as in messages: "holdfast", "source web" */
  char *name;  /* NULL for [holdfast] */
  char *file;
  unsigned line;
  mode_t mode; /* of the file; 0 when it did not come from one */
  size_t n;
  struct hf_raw_key *keys;
};

struct hf_raw {
  size_t n;
  struct hf_raw_section *sections; /* in reading order: a file, then what it includes */
};
void hf_raw_free(struct hf_raw *raw);

/* As hf_manifest_load, from memory and without touching anything outside: `include` is refused, secrets are not fetched. */
int hf_manifest_parse(const char *text, size_t n, const char *name, struct hf_registry *registry, struct hf_manifest **out,
                      struct hf_error *err);

/* ---- sections to a manifest (build.c) ---- */
/* Whose secrets are fetched: files are read, and commands run. */
enum hf_fetch { HF_FETCH_NONE, HF_FETCH_CHANNELS, HF_FETCH_ALL };
int hf_manifest_build(const struct hf_raw *raw, const char *file, struct hf_registry *registry, enum hf_fetch fetch,
                      struct hf_manifest **out, struct hf_error *err);
/* Is name fit for a source, target or host: [A-Za-z0-9._-], 1 to 64 bytes, not starting with '.' or '-'? */
bool hf_is_instance_name(const char *name);
/* The host's own keys of a section, as a plugin declares its keys; ends with a row without name. */
const struct holdfast_setting *hf_manifest_keys(enum hf_section_kind kind);
/* "FILE:LINE: [section] key: " in front of the message. Returns err's code. */
int hf_at(struct hf_error *err, const struct hf_raw_section *s, unsigned line, const char *key);

/* As hf_at for an error of hf_settings_check or hf_settings_finish, which starts with the key. */
int hf_at_setting(struct hf_error *err, const struct hf_raw_section *s, unsigned line);
/* All keys of a section: those of the host and those of its plugin or type. known: for an unknown key, where to find which there are. */
int hf_section_keys(const struct hf_raw_section *s, struct hf_settings *common, struct hf_settings *own, const char *known, struct hf_error *err);

/* ---- [notify NAME] (notify.c) ---- */
/* The keys that all have, and those of one type. */
const struct holdfast_setting *hf_notify_keys(void);
const struct holdfast_setting *hf_channel_keys(enum hf_channel type);
int hf_build_notify(const struct hf_raw_section *s, struct hf_manifest_notify *out, struct hf_error *err);
/* After its secrets have been fetched: check what could not be seen before. */
int hf_finish_notify(const struct hf_raw_section *s, struct hf_manifest_notify *n, struct hf_error *err);
void hf_free_notify(struct hf_manifest_notify *n);

#endif
