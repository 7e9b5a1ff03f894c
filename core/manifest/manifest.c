/* manifest.c - reading the manifest's files into sections, includes followed.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "manifest/internal.h"
#include "plugin/internal.h"

/* One reading of a manifest. */
struct reading {
  struct hf_raw raw;
  size_t first; /* of raw's sections: the first of the file being read */
  mode_t mode;
  const char *file;
  struct hf_list ids; /* "DEV:INO" of all files read, so that none is read twice */
  bool from_memory;
  bool placed; /* the error's message says file and line already */
};

static void free_section(struct hf_raw_section *s) {
  for (size_t i = 0; i < s->n; i++) {
    hf_wipe(s->keys[i].value, strlen(s->keys[i].value));
    free(s->keys[i].value);
    free(s->keys[i].key);
  }
  free(s->keys);
  free(s->title);
  free(s->name);
  free(s->file);
}

void hf_raw_free(struct hf_raw *raw) {
  for (size_t i = 0; i < raw->n; i++) free_section(&raw->sections[i]);
  free(raw->sections);
  *raw = (struct hf_raw){0};
}

bool hf_is_instance_name(const char *name) {
  size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return n > 0 && n <= 64 && !name[n] && name[0] != '.' && name[0] != '-';
}

int hf_at(struct hf_error *err, const struct hf_raw_section *s, unsigned line, const char *key) {
  HF_CLEANUP(hf_freep) char *shown = hf_printable(key, strlen(key));
  return hf_prefix(err, "%s:%u: [%s] %s", s->file, line, s->title, shown);
}

const char *const hf_section_words[] = {"holdfast", "source", "target", "notify", "contact", NULL}; /* by enum hf_section_kind */

/* Kind and name of a header's text. */
static int parse_title(const char *title, enum hf_section_kind *kind, char **name, struct hf_error *err) {
  size_t n = strcspn(title, " \t"), best = SIZE_MAX;
  const char *rest = title + n + strspn(title + n, " \t");
  HF_CLEANUP(hf_freep) char *word = hf_strndup(title, n);
  HF_CLEANUP(hf_freep) char *shown = hf_printable(title, strlen(title));
  const char *near = NULL;
  for (size_t i = 0; hf_section_words[i]; i++) {
    if (strcmp(word, hf_section_words[i]) != 0) {
      if (hf_nearer(word, hf_section_words[i], &best)) near = hf_section_words[i];
      continue;
    }
    *kind = (enum hf_section_kind)i;
    if (i == HF_SECTION_HOLDFAST && *rest)
      return hf_fail(err, HOLDFAST_E_CONFIG, "[%s]: the section has no name; write [holdfast]", shown);
    if (i != HF_SECTION_HOLDFAST && !*rest)
      return hf_fail(err, HOLDFAST_E_CONFIG, "[%s]: a %s has a name; write [%s NAME]", shown, word, word);
    if (i != HF_SECTION_HOLDFAST && !hf_is_instance_name(rest))
      return hf_fail(err, HOLDFAST_E_CONFIG,
                     "[%s]: the name has letters, digits, '.', '_' and '-', at most 64, not '.' or '-' first", shown);
    *name = *rest ? hf_strdup(rest) : NULL;
    return 0;
  }
  if (near) return hf_fail(err, HOLDFAST_E_CONFIG, "[%s]: unknown section; did you mean %s?", shown, near);
  return hf_fail(err, HOLDFAST_E_CONFIG, "[%s]: unknown section; there are [holdfast], [source NAME], [target NAME], [notify NAME] and [contact NAME]", shown);
}

static int start_section(struct reading *rd, unsigned line, const char *title, struct hf_error *err) {
  struct hf_raw *raw = &rd->raw;
  enum hf_section_kind kind = HF_SECTION_HOLDFAST;
  char *name = NULL;
  int r = parse_title(title, &kind, &name, err);
  if (r < 0) return r;
  if (kind == HF_SECTION_HOLDFAST && raw->n > rd->first && raw->sections[rd->first].kind != HF_SECTION_HOLDFAST)
    r = hf_fail(err, HOLDFAST_E_CONFIG, "[holdfast]: comes after [%s] of line %u; it has to be the first section of its file",
                raw->sections[rd->first].title, raw->sections[rd->first].line);
  for (size_t i = kind == HF_SECTION_HOLDFAST ? rd->first : 0; r == 0 && i < raw->n; i++) {
    const struct hf_raw_section *old = &raw->sections[i];
    if (old->kind == kind && (!name || strcmp(old->name, name) == 0))
      r = hf_fail(err, HOLDFAST_E_CONFIG, "[%s]: the section is there already, at %s:%u", old->title, old->file, old->line);
  }
  if (r < 0) {
    free(name);
    return r;
  }
  raw->sections = hf_realloc(raw->sections, (raw->n + 1) * sizeof *raw->sections);
  char *shown = name ? hf_asprintf("%s %s", hf_section_words[kind], name) : hf_strdup("holdfast");
  raw->sections[raw->n++] = (struct hf_raw_section){kind, shown, name, hf_strdup(rd->file), line, rd->mode, 0, NULL};
  return 0;
}

static int on_line(void *ctx, unsigned line, const char *section, const char *key, const char *value, struct hf_error *err) {
  struct reading *rd = ctx;
  if (!key) return start_section(rd, line, section, err);
  struct hf_raw_section *s = &rd->raw.sections[rd->raw.n - 1];
  s->keys = hf_realloc(s->keys, (s->n + 1) * sizeof *s->keys);
  s->keys[s->n++] = (struct hf_raw_key){hf_strdup(key), hf_strdup(value), line};
  return 0;
}

static int read_file(struct reading *rd, const char *file, unsigned depth, struct hf_error *err);

/* glob's own errors: a folder that is not there matches nothing, one that cannot be read must not look as if. */
static int glob_error(const char *path, int errnum) {
  (void)path;
  return errnum != ENOENT && errnum != ENOTDIR;
}

/* Read what one `include` names, in bytewise order of names. */
static int include(struct reading *rd, const char *file, const char *pattern, unsigned depth, struct hf_error *err) {
  if (rd->from_memory) return hf_fail(err, HOLDFAST_E_CONFIG, "not possible in a manifest that is no file");
  if (!*pattern) return hf_fail(err, HOLDFAST_E_CONFIG, "the value is empty; leave the key out instead");
  if (depth >= HF_INCLUDE_DEPTH)
    return hf_fail(err, HOLDFAST_E_CONFIG, "files include files more than %d deep", HF_INCLUDE_DEPTH);
  HF_CLEANUP(hf_freep) char *dir = hf_strndup(file, (size_t)(strrchr(file, '/') - file) + 1);
  /* Only the pattern may have wildcards: a folder called "a[b]" is one. */
  HF_CLEANUP(hf_buf_free) struct hf_buf full = HF_BUF_INIT;
  for (const char *c = *pattern == '/' ? "" : dir; *c; c++) {
    if (strchr("*?[]\\", *c)) hf_buf_addc(&full, '\\');
    hf_buf_addc(&full, *c);
  }
  hf_buf_adds(&full, pattern);
  glob_t g;
  int rc = glob(full.data, GLOB_NOSORT, glob_error, &g);
  HF_CLEANUP(hf_list_free) struct hf_list found = HF_LIST_INIT;
  for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++) hf_list_add(&found, g.gl_pathv[i]);
  if (rc == 0) globfree(&g);
  if (rc == GLOB_NOMATCH && !strpbrk(pattern, "*?[")) return hf_fail(err, HOLDFAST_E_CONFIG, "there is no file %s", pattern);
  if (rc != 0 && rc != GLOB_NOMATCH) return hf_fail(err, HOLDFAST_E_CONFIG, "cannot list the files of %s", pattern);
  hf_list_sort(&found); /* bytewise, whatever the locale */
  for (size_t i = 0; i < found.n; i++) {
    int r = read_file(rd, found.v[i], depth + 1, err);
    if (r < 0) return r;
  }
  return 0;
}

/* Sections of text, then of what it includes. err's message is complete. */
static int read_text(struct reading *rd, const char *file, mode_t mode, const char *text, size_t n, unsigned depth,
                     struct hf_error *err) {
  size_t first = rd->raw.n;
  rd->first = first;
  rd->mode = mode;
  rd->file = file;
  int r = hf_ini_parse(text, n, file, on_line, rd, err);
  if (r < 0) rd->placed = true;
  if (r < 0 || rd->raw.n == first || rd->raw.sections[first].kind != HF_SECTION_HOLDFAST) return r;
  for (size_t i = 0; i < rd->raw.sections[first].n; i++) {
    /* By index at each step: the arrays move while included files are read. */
    const struct hf_raw_key *k = &rd->raw.sections[first].keys[i];
    if (strcmp(k->key, "include") != 0) continue;
    r = include(rd, file, k->value, depth, err);
    if (r < 0 && !rd->placed) hf_at(err, &rd->raw.sections[first], rd->raw.sections[first].keys[i].line, "include");
    if (r < 0) {
      rd->placed = true;
      return r;
    }
  }
  return 0;
}

static int read_file(struct reading *rd, const char *file, unsigned depth, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) {
    hf_fail_errno(err, errno, "%s: cannot read the manifest", file);
    if (err) err->code = HOLDFAST_E_CONFIG;
    return HOLDFAST_E_CONFIG;
  }
  if (!S_ISREG(st.st_mode)) return hf_fail(err, HOLDFAST_E_CONFIG, "%s: not a regular file", file);
  if (geteuid() == 0 && st.st_uid != 0)
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: belongs to user %u, and this is root, which runs what it says; chown it to root", file, (unsigned)st.st_uid);
  if (geteuid() == 0 && ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0)))
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: writable by others than its owner (mode %04o), and this is root; chmod go-w it",
                   file, (unsigned)(st.st_mode & 07777));
  if (st.st_size > HF_INI_FILE_MAX) return hf_fail(err, HOLDFAST_E_CONFIG, "%s: larger than %d bytes", file, HF_INI_FILE_MAX);
  HF_CLEANUP(hf_freep) char *id = hf_asprintf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
  if (hf_list_has(&rd->ids, id)) return hf_fail(err, HOLDFAST_E_CONFIG, "%s: included twice, or by itself", file);
  if (rd->ids.n > HF_INCLUDE_FILES)
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: more than %d included files", file, HF_INCLUDE_FILES);
  char *text = hf_alloc(HF_INI_FILE_MAX + 1);
  ssize_t n = hf_read_full(fd, text, HF_INI_FILE_MAX + 1, err);
  int r = n < 0 ? hf_prefix(err, "%s: cannot read the manifest", file) : 0;
  if (n > HF_INI_FILE_MAX) r = hf_fail(err, HOLDFAST_E_CONFIG, "%s: larger than %d bytes", file, HF_INI_FILE_MAX);
  hf_list_add(&rd->ids, id);
  if (r == 0) r = read_text(rd, file, st.st_mode & 07777, text, (size_t)n, depth, err);
  if (n > 0) hf_wipe(text, (size_t)n);
  free(text);
  return r;
}

static char *absolute(const char *file) {
  HF_CLEANUP(hf_freep) char *cwd = *file == '/' ? NULL : getcwd(NULL, 0);
  return *file == '/' ? hf_strdup(file) : hf_path_join(cwd ? cwd : "/", file);
}

int hf_manifest_names(const char *file, struct hf_list *sources, struct hf_list *targets, char **state, struct hf_error *err) {
  struct reading rd = {0};
  HF_CLEANUP(hf_freep) char *path = absolute(file);
  int r = read_file(&rd, path, 0, err);
  *state = NULL;
  for (size_t i = 0; r == 0 && i < rd.raw.n; i++) {
    const struct hf_raw_section *s = &rd.raw.sections[i];
    if (s->kind == HF_SECTION_SOURCE) hf_list_add(sources, s->name);
    if (s->kind == HF_SECTION_TARGET) hf_list_add(targets, s->name);
    for (size_t k = 0; k < s->n && s->kind == HF_SECTION_HOLDFAST && !*state; k++) {
      if (strcmp(s->keys[k].key, "state") == 0) *state = hf_strdup(s->keys[k].value);
    }
  }
  if (r == 0 && !*state) *state = hf_strdup(HF_STATEDIR "/holdfast");
  hf_raw_free(&rd.raw);
  hf_list_free(&rd.ids);
  return r;
}

static int load(const char *file, struct hf_registry *registry, enum hf_fetch fetch, struct hf_manifest **out, struct hf_error *err) {
  struct reading rd = {0};
  HF_CLEANUP(hf_freep) char *path = absolute(file);
  int r = read_file(&rd, path, 0, err);
  if (r == 0) r = hf_manifest_build(&rd.raw, path, registry, fetch, out, err);
  hf_raw_free(&rd.raw);
  hf_list_free(&rd.ids);
  return r;
}

int hf_manifest_load(const char *file, struct hf_registry *registry, struct hf_manifest **out, struct hf_error *err) { return load(file, registry, HF_FETCH_ALL, out, err); }

int hf_manifest_load_channels(const char *file, struct hf_registry *registry, struct hf_manifest **out, struct hf_error *err) { return load(file, registry, HF_FETCH_CHANNELS, out, err); }

int hf_manifest_parse(const char *text, size_t n, const char *name, struct hf_registry *registry, struct hf_manifest **out,
                      struct hf_error *err) {
  struct reading rd = {.from_memory = true};
  int r = read_text(&rd, name, 0, text, n, 0, err);
  if (r == 0) r = hf_manifest_build(&rd.raw, name, registry, HF_FETCH_NONE, out, err);
  hf_raw_free(&rd.raw);
  hf_list_free(&rd.ids);
  return r;
}

void hf_manifest_free(struct hf_manifest *m) {
  if (!m) return;
  for (size_t i = 0; i < m->n_sources; i++) {
    struct hf_manifest_source *s = &m->sources[i];
    hf_settings_free(s->settings);
    hf_list_free(&s->recipients);
    for (int k = 0; k < HF_HOOKS; k++) hf_list_free(&s->hooks[k]);
    free(s->name);
    free(s->user);
    free(s->file);
  }
  for (size_t i = 0; i < m->n_targets; i++) {
    struct hf_manifest_target *t = &m->targets[i];
    hf_settings_free(t->settings);
    free(t->name);
    free(t->prefix);
    if (t->proxy) hf_wipe(t->proxy, strlen(t->proxy)); /* may hold a password */
    free(t->proxy);
    free(t->ca_file);
    free(t->file);
  }
  for (size_t i = 0; i < m->n_notify; i++) hf_free_notify(&m->notify[i]);
  free(m->notify);
  free(m->metrics_file);
  for (size_t i = 0; i < m->n_contacts; i++) {
    struct hf_manifest_contact *c = &m->contacts[i];
    free(c->name);
    free(c->role);
    free(c->phone);
    free(c->email);
    free(c->hours);
    free(c->note);
  }
  free(m->contacts);
  free(m->sources);
  free(m->targets);
  hf_list_free(&m->recipients);
  hf_list_free(&m->recipient_keys);
  free(m->file);
  free(m->host);
  free(m->host_key);
  free(m->time_zone);
  free(m->state);
  free(m);
}

struct hf_manifest_source *hf_manifest_find_source(const struct hf_manifest *m, const char *name) {
  for (size_t i = 0; i < m->n_sources; i++)
    if (strcmp(m->sources[i].name, name) == 0) return &m->sources[i];
  return NULL;
}

struct hf_manifest_target *hf_manifest_find_target(const struct hf_manifest *m, const char *name) {
  for (size_t i = 0; i < m->n_targets; i++)
    if (strcmp(m->targets[i].name, name) == 0) return &m->targets[i];
  return NULL;
}
