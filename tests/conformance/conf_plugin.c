/* conf_plugin.c - loading a plugin and its settings, with nothing but the SDK headers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

uint64_t conf_hash(uint64_t h, const void *p, size_t n) {
  const unsigned char *b = p;
  for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 1099511628211u;
  return h;
}

/* ---- exported symbols ---- */

/* Walk the dynamic symbols of a file of this machine's own format; every defined one but entry is a flaw. Names that begin
 * with an underscore belong to compiler, linker and their run-time libraries. */
static void check_symbols(const char *base, size_t size, const char *entry) {
  const ElfW(Ehdr) *eh = (const void *)base;
  if (size < sizeof *eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_shentsize != sizeof(ElfW(Shdr)) ||
      eh->e_shoff > size || (size - eh->e_shoff) / sizeof(ElfW(Shdr)) < eh->e_shnum) {
    conf_flaw("no ELF file with section headers");
    return;
  }
  const ElfW(Shdr) *sh = (const void *)(base + eh->e_shoff);
  for (unsigned i = 0; i < eh->e_shnum; i++) {
    if (sh[i].sh_type != SHT_DYNSYM || sh[i].sh_link >= eh->e_shnum) continue;
    const ElfW(Shdr) *str = &sh[sh[i].sh_link];
    if (sh[i].sh_offset > size || sh[i].sh_size > size - sh[i].sh_offset || str->sh_offset > size ||
        str->sh_size > size - str->sh_offset || str->sh_size == 0 || base[str->sh_offset + str->sh_size - 1] != '\0')
      continue;
    const ElfW(Sym) *sym = (const void *)(base + sh[i].sh_offset);
    for (size_t k = 0; k < sh[i].sh_size / sizeof *sym; k++) {
      if (sym[k].st_shndx == SHN_UNDEF || sym[k].st_name >= str->sh_size || ELF64_ST_BIND(sym[k].st_info) == STB_LOCAL) continue;
      const char *name = base + str->sh_offset + sym[k].st_name;
      if (*name && *name != '_' && strcmp(name, entry) != 0) conf_flaw("exported: %s", name);
    }
  }
}

static void check_exports(const char *file, const char *entry) {
  struct stat st;
  conf_begin();
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  void *base = fd >= 0 && fstat(fd, &st) == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  if (base == MAP_FAILED) {
    conf_flaw("cannot read %s", file);
  } else {
    check_symbols(base, (size_t)st.st_size, entry);
    munmap(base, (size_t)st.st_size);
  }
  if (fd >= 0) close(fd);
  conf_ok(conf_flawless(), "exports %s and nothing else", entry);
}

/* ---- loading ---- */

static bool name_fits_file(const char *name, const char *file) {
  const char *base = strrchr(file, '/');
  base = base ? base + 1 : file;
  size_t n = strcspn(base, ".");
  return strlen(name) == n && strncmp(name, base, n) == 0;
}

void conf_load(const char *file, const char *entry, size_t smallest, size_t largest, void *copy) {
  char path[4096];
  /* Without a slash dlopen would search the library path. */
  snprintf(path, sizeof path, "%s%s", strchr(file, '/') ? "" : "./", file);
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!so) conf_bail("%s", dlerror());
  conf_ok(true, "loads");
  const void *(*get)(void);
  *(void **)&get = dlsym(so, entry);
  if (!get) conf_bail("%s has no symbol %s", file, entry);
  check_exports(path, entry);
  const struct holdfast_plugin_header *h = get();
  if (!h) conf_bail("%s returned NULL", entry);
  conf_ok(get() == (const void *)h, "the entry function returns the same struct every time");
  if (!conf_ok(h->abi_major == HOLDFAST_ABI_MAJOR, "ABI major version %u is this program's", h->abi_major) ||
      !conf_ok(h->struct_size >= smallest, "struct_size %u holds all mandatory callbacks", h->struct_size) ||
      !conf_ok(h->struct_size <= largest, "struct_size %u is not larger than this program knows", h->struct_size))
    conf_bail("the struct cannot be read");
  conf_ok(h->abi_minor <= HOLDFAST_ABI_MINOR, "ABI minor version %u is not newer than this program's", h->abi_minor);
  memset(copy, 0, largest);
  memcpy(copy, h, h->struct_size < largest ? h->struct_size : largest);
  conf_ok(h->name && *h->name && h->name[strspn(h->name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0' &&
              name_fits_file(h->name, file),
          "name is the file's name, of lower case letters, digits and '-'");
  conf_ok(h->version && *h->version, "has a version");
  conf_ok(h->summary && *h->summary && !strchr(h->summary, '\n'), "has a summary of one line");
  if (!conf_ok(h->settings != NULL, "has a settings table")) conf_bail("no settings table");
}

/* ---- values ---- */

/* "32M", "32MiB", "32MB": powers of 1024. */
static bool parse_size(const char *s, int64_t *out) {
  static const char units[] = "KMGTP";
  char *end;
  if (!isdigit((unsigned char)*s)) return false;
  unsigned long long n = strtoull(s, &end, 10);
  const char *u = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
  if (u) {
    for (ptrdiff_t i = 0; i <= u - units; i++) {
      if (n > INT64_MAX / 1024) return false;
      n *= 1024;
    }
    end++;
    if (end[0] == 'i' && end[1] == 'B') end++;
  }
  if (*end == 'B') end++;
  *out = (int64_t)n;
  return *end == '\0' && n <= INT64_MAX;
}

/* "1h30m"; a bare 0 is allowed. */
static bool parse_duration(const char *s, int64_t *out) {
  int64_t sum = 0;
  if (strcmp(s, "0") == 0) {
    *out = 0;
    return true;
  }
  while (isdigit((unsigned char)*s)) {
    char *end;
    unsigned long long n = strtoull(s, &end, 10);
    int64_t unit = *end == 's'   ? 1
                   : *end == 'm' ? 60
                   : *end == 'h' ? 3600
                   : *end == 'd' ? 86400
                   : *end == 'w' ? 604800
                   : *end == 'y' ? 31536000
                                 : 0;
    if (unit == 0 || n > 1000000000) return false;
    sum += (int64_t)n * unit;
    s = end + 1;
    if (*s == '\0') {
      *out = sum;
      return true;
    }
  }
  return false;
}

static bool parse_bool(const char *s, int64_t *out) {
  static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcmp(s, words[i]) == 0) {
      *out = i & 1;
      return true;
    }
  }
  return false;
}

static bool parse_int(const char *s, int64_t *out) {
  char *end;
  if (!isdigit((unsigned char)*s)) return false;
  unsigned long long n = strtoull(s, &end, 10);
  *out = (int64_t)n;
  return *end == '\0' && n < INT64_MAX;
}

static bool is_choice(const char *choices, const char *s) {
  size_t n = strlen(s);
  for (const char *p = choices; p && n; p = strchr(p, '|')) {
    p += *p == '|';
    if (strcspn(p, "|") == n && strncmp(p, s, n) == 0) return true;
  }
  return false;
}

static void add(struct holdfast_value *v, const char *s) {
  const char **grown = realloc((void *)v->strings, (v->count + 1) * sizeof *grown);
  if (!grown) conf_bail("out of memory");
  grown[v->count++] = s;
  v->strings = grown;
}

/* The words of a command, as the host splits it: at blanks, where they are not between quotes. They are added to v, unless it is NULL. */
static bool split(const char *s, struct holdfast_value *v) {
  size_t words = 0;
  while (*(s += strspn(s, " \t"))) {
    char *word = malloc(strlen(s) + 1), *to = word; /* kept for the whole run */
    if (!word) conf_bail("out of memory");
    while (*s && *s != ' ' && *s != '\t') {
      if (*s != '\'' && *s != '"') {
        *to++ = *s++;
        continue;
      }
      const char *end = strchr(s + 1, *s);
      if (!end) return free(word), false;
      to = mempcpy(to, s + 1, (size_t)(end - s - 1));
      s = end + 1;
    }
    *to = '\0';
    if (words++ == 0 && !*word) return free(word), false;
    if (v)
      add(v, word);
    else
      free(word);
  }
  return words > 0;
}

/* Does s have the form the row's type wants? number gets its value, if it has one. */
static bool parse(const struct holdfast_setting *row, const char *s, int64_t *number) {
  switch (row->type) {
  case HOLDFAST_STRING:
  case HOLDFAST_SECRET: return true;
  case HOLDFAST_COMMAND: return split(s, NULL);
  case HOLDFAST_PATH: return *s == '/';
  case HOLDFAST_SIZE: return parse_size(s, number);
  case HOLDFAST_DURATION: return parse_duration(s, number);
  case HOLDFAST_BOOL: return parse_bool(s, number);
  case HOLDFAST_INT: return parse_int(s, number);
  case HOLDFAST_CHOICE: return is_choice(row->choices, s);
  default: return false;
  }
}

/* ---- the table ---- */

/* holdfast-plugin(3) lists them too. */
static const char *const reserved_source[] = {
    "plugin",          "recipients",  "user",           "timeout",       "before",
    "after",           "on-failure",  "restore-before", "restore-after", "padding",
    "hide-recipients", "compression", "enabled",        "rpo",           "rto",
    "hook-timeout",    NULL,
};
static const char *const reserved_target[] = {
    "plugin",       "prefix",      "take",        "limit-up",      "limit-down", "enabled",
    "proxy",        "ca-file",     "keep-last",   "keep-hourly",   "keep-daily", "keep-weekly",
    "keep-monthly", "keep-yearly", "keep-within", "keep-labelled", NULL,
};

static void check_row(const struct holdfast_setting *rows, size_t i, bool target) {
  const struct holdfast_setting *r = &rows[i];
  int64_t number;
  size_t n = strlen(r->name);
  if (n == 0 || n > 48 || r->name[0] == '-' || r->name[strspn(r->name, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
    conf_flaw("%s: a name has lower case letters, digits and '-', and at most 48 of them", r->name);
  for (const char *const *p = target ? reserved_target : reserved_source; *p; p++)
    if (strcmp(*p, r->name) == 0) conf_flaw("%s: the name is the host's", r->name);
  for (size_t k = 0; rows[k].name; k++) {
    size_t m = strlen(rows[k].name);
    if (k < i && strcmp(rows[k].name, r->name) == 0) conf_flaw("%s: twice in the table", r->name);
    if (rows[k].type == HOLDFAST_SECRET && n > m && strncmp(rows[k].name, r->name, m) == 0 &&
        (strcmp(r->name + m, "-file") == 0 || strcmp(r->name + m, "-command") == 0 || strcmp(r->name + m, "-env") == 0 ||
         strcmp(r->name + m, "-credential") == 0))
      conf_flaw("%s: the host makes this name from the secret %s", r->name, rows[k].name);
  }
  if (r->type < HOLDFAST_STRING || r->type > HOLDFAST_COMMAND) conf_flaw("%s: no such type: %u", r->name, r->type);
  if (r->flags & ~(uint32_t)(HOLDFAST_REQUIRED | HOLDFAST_LIST)) conf_flaw("%s: no such flags: %u", r->name, r->flags);
  if ((r->flags & HOLDFAST_LIST) && r->type != HOLDFAST_STRING && r->type != HOLDFAST_PATH)
    conf_flaw("%s: only strings and paths may be lists", r->name);
  if ((r->flags & HOLDFAST_REQUIRED) && r->def) conf_flaw("%s: required, and yet it has a default", r->name);
  if ((r->type == HOLDFAST_CHOICE) != (r->choices != NULL))
    conf_flaw("%s: choices are for HOLDFAST_CHOICE, and are needed there", r->name);
  else if (r->def && !parse(r, r->def, &number))
    conf_flaw("%s: the default \"%s\" has not the form of its type", r->name, r->def);
  if (r->type == HOLDFAST_SECRET && r->def) conf_flaw("%s: a secret has no default", r->name);
  if (!r->help || !*r->help || strchr(r->help, '\n') || r->help[strlen(r->help) - 1] == '.')
    conf_flaw("%s: help is one sentence without a period", r->name);
}

void conf_check_settings(const struct holdfast_setting *rows, bool target) {
  conf_begin();
  for (size_t i = 0; rows[i].name; i++) check_row(rows, i, target);
  conf_ok(conf_flawless(), "the settings table is right");
}

/* ---- arguments ---- */

/* What a text of the row's type gives: itself, or words. */
static void add_text(const struct holdfast_setting *row, struct holdfast_value *v, const char *s) {
  if (row->type == HOLDFAST_COMMAND)
    split(s, v);
  else
    add(v, s);
}

const struct holdfast_value *conf_values(const struct holdfast_setting *rows, char **args, int n) {
  static struct holdfast_value *values; /* static: kept for the whole run */
  size_t count = 0;
  while (rows[count].name) count++;
  values = calloc(count + 1, sizeof *values);
  if (!values) conf_bail("out of memory");
  for (size_t i = 0; i < count; i++) values[i].name = rows[i].name;
  for (int a = 0; a < n; a++) {
    const char *eq = strchr(args[a], '=');
    size_t i = 0;
    while (i < count &&
           !(eq && strlen(rows[i].name) == (size_t)(eq - args[a]) && strncmp(rows[i].name, args[a], (size_t)(eq - args[a])) == 0))
      i++;
    if (i == count) conf_bail("no such setting: %s", args[a]);
    if (values[i].count && !(rows[i].flags & HOLDFAST_LIST)) conf_bail("%s is given twice and is not a list", rows[i].name);
    if (!parse(&rows[i], eq + 1, &values[i].number)) conf_bail("%s: the value has not the form of its type", rows[i].name);
    values[i].line = (uint32_t)a + 1;
    add_text(&rows[i], &values[i], eq + 1);
  }
  for (size_t i = 0; i < count; i++) {
    if (values[i].count) continue;
    if (rows[i].flags & HOLDFAST_REQUIRED) conf_bail("%s is required: give %s=VALUE", rows[i].name, rows[i].name);
    if (rows[i].def && parse(&rows[i], rows[i].def, &values[i].number)) add_text(&rows[i], &values[i], rows[i].def);
  }
  return values;
}
