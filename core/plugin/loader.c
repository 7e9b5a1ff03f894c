/* loader.c - loading one plugin and refusing what would not work: every check a plugin has to pass is here.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/internal.h"

#define SETTINGS_MAX 256 /* rows; more means that the table has no end */

const char *const hf_source_reserved[] = {"plugin",          "recipients",  "user",           "timeout",       "before",
                                          "after",           "on-failure",  "restore-before", "restore-after", "padding",
                                          "hide-recipients", "compression", "enabled",        "rpo",           "rto",
                                          "hook-timeout",    NULL};
const char *const hf_target_reserved[] = {"plugin",        "prefix",      "take",         "limit-up",    "limit-down",
                                          "enabled",       "removable",     "proxy",       "ca-file",      "keep-last",   "keep-hourly",
                                          "keep-daily",    "keep-weekly", "keep-monthly", "keep-yearly", "keep-within",
                                          "keep-labelled", "deadline",    "retries",      "parallel",    "rpo",         NULL};

/* A callback's place in its struct. Those of one group are there all or none; group 0: on its own. */
struct callback {
  const char *name;
  size_t offset;
  bool mandatory;
  int group;
};
#define SOURCE_CB(cb, must, grp)                                                                                                 \
  { #cb, offsetof(struct holdfast_source_plugin, cb), must, grp }
#define TARGET_CB(cb, must)                                                                                                      \
  { #cb, offsetof(struct holdfast_target_plugin, cb), must, 0 }
static const struct callback source_callbacks[] = {SOURCE_CB(open, true, 0),           SOURCE_CB(next, true, 0),
                                                   SOURCE_CB(entry_open, true, 0),     SOURCE_CB(read, true, 0),
                                                   SOURCE_CB(entry_close, true, 0),    SOURCE_CB(close, true, 0),
                                                   SOURCE_CB(restore_open, false, 1),  SOURCE_CB(restore_finish, false, 1),
                                                   SOURCE_CB(restore_close, false, 1), SOURCE_CB(restore_begin, false, 2),
                                                   SOURCE_CB(restore_write, false, 2), SOURCE_CB(restore_end, false, 2)};
static const struct callback target_callbacks[] = {
    TARGET_CB(open, true), TARGET_CB(capabilities, true), TARGET_CB(parallel, true), TARGET_CB(put, true),  TARGET_CB(get, true),
    TARGET_CB(stat, true), TARGET_CB(list, true),         TARGET_CB(remove, true),   TARGET_CB(close, true)};

/* All plugin structs are read through this: function pointers of one size, as dlsym itself needs. */
typedef void (*any_fn)(void);
_Static_assert(sizeof(any_fn) == sizeof(void *), "function pointers as wide as data pointers");

const char *hf_plugin_kind_name(enum hf_plugin_kind kind) { return kind == HF_SOURCE ? "source" : "target"; }

static bool has_callback(const void *copy, size_t offset) {
  any_fn fn;
  memcpy(&fn, (const char *)copy + offset, sizeof fn);
  return fn != NULL;
}

static int check_callbacks(const void *copy, uint32_t size, enum hf_plugin_kind kind, struct hf_error *err) {
  const struct callback *cbs = kind == HF_SOURCE ? source_callbacks : target_callbacks;
  size_t n = kind == HF_SOURCE ? HF_NELEM(source_callbacks) : HF_NELEM(target_callbacks);
  for (size_t i = 0; i < n; i++) {
    if (has_callback(copy, cbs[i].offset)) continue;
    if (cbs[i].mandatory && cbs[i].offset + sizeof(any_fn) > size)
      return hf_fail(err, HOLDFAST_E_CONFIG,
                     "its struct of %u bytes ends before the mandatory callback %s; a %s plugin has at least %zu bytes", size,
                     cbs[i].name, hf_plugin_kind_name(kind), cbs[i].offset + sizeof(any_fn));
    if (cbs[i].mandatory) return hf_fail(err, HOLDFAST_E_CONFIG, "the mandatory callback %s is missing", cbs[i].name);
    for (size_t k = 0; k < n; k++)
      if (cbs[i].group && cbs[k].group == cbs[i].group && has_callback(copy, cbs[k].offset))
        return hf_fail(err, HOLDFAST_E_CONFIG, "it has the callback %s but not %s; the two are given together", cbs[k].name,
                       cbs[i].name);
  }
  if (kind == HF_SOURCE && !has_callback(copy, offsetof(struct holdfast_source_plugin, restore_open)) &&
      (has_callback(copy, offsetof(struct holdfast_source_plugin, restore_tree)) ||
       has_callback(copy, offsetof(struct holdfast_source_plugin, restore_begin))))
    return hf_fail(err, HOLDFAST_E_CONFIG, "it has restore callbacks but not restore_open");
  return 0;
}

/* [a-z0-9] first, then also '-'. */
static bool is_word(const char *s) {
  size_t n = 0;
  for (; s[n]; n++)
    if (!((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9') || (n && s[n] == '-'))) return false;
  return n > 0 && n <= 48; /* 48: what a key of the manifest may be long */
}

static int check_row(const struct holdfast_setting *table, size_t i, enum hf_plugin_kind kind, struct hf_error *err) {
  const struct holdfast_setting *row = &table[i];
  const char *const *reserved = kind == HF_SOURCE ? hf_source_reserved : hf_target_reserved;
  if (!is_word(row->name))
    return hf_fail(err, HOLDFAST_E_CONFIG, "row %zu: the name is not one; lower case letters, digits and '-', at most 48", i + 1);
  if (!hf_setting_type_name(row->type))
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: type %u is unknown to this host, which knows 1 to %d", row->name, row->type,
                   HOLDFAST_COMMAND);
  if (row->flags & ~(uint32_t)(HOLDFAST_REQUIRED | HOLDFAST_LIST))
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: flags 0x%x are unknown to this host", row->name, row->flags);
  for (; *reserved; reserved++)
    if (strcmp(row->name, *reserved) == 0)
      return hf_fail(err, HOLDFAST_E_CONFIG, "%s: the name is reserved for the host", row->name);
  for (size_t k = 0; k < i; k++) {
    if (strcmp(table[k].name, row->name) == 0) return hf_fail(err, HOLDFAST_E_CONFIG, "%s: stands in the table twice", row->name);
    if ((table[k].type == HOLDFAST_SECRET && hf_setting_is_secret_form(table[k].name, row->name)) ||
        (row->type == HOLDFAST_SECRET && hf_setting_is_secret_form(row->name, table[k].name)))
      return hf_fail(err, HOLDFAST_E_CONFIG, "%s and %s: one is a form of the other, which is a secret", table[k].name,
                     row->name);
  }
  if ((row->flags & HOLDFAST_LIST) && row->type != HOLDFAST_STRING && row->type != HOLDFAST_PATH)
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: a list of type %s; lists are of strings or paths", row->name,
                   hf_setting_type_name(row->type));
  if (row->type == HOLDFAST_CHOICE && (!row->choices || !*row->choices))
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: a choice without choices", row->name);
  if (row->type == HOLDFAST_SECRET && row->def) return hf_fail(err, HOLDFAST_E_CONFIG, "%s: a secret with a default", row->name);
  int64_t number;
  if (row->def && hf_setting_parse(row, row->def, &number, err) < 0) return hf_prefix(err, "%s: the default", row->name);
  return 0;
}

static int check_settings(const struct holdfast_setting *table, enum hf_plugin_kind kind, size_t *n, struct hf_error *err) {
  *n = 0;
  if (!table) return hf_fail(err, HOLDFAST_E_CONFIG, "it has no settings table (one without settings has just the end row)");
  for (; table[*n].name; (*n)++) {
    if (*n == SETTINGS_MAX)
      return hf_fail(err, HOLDFAST_E_CONFIG, "its settings table has more than %d rows, or no end row", SETTINGS_MAX);
    int r = check_row(table, *n, kind, err);
    if (r < 0) return hf_prefix(err, "its settings table");
  }
  return 0;
}

static int check_header(const struct holdfast_plugin_header *h, const char *expected, size_t host_size, struct hf_error *err) {
  if (h->abi_major != HOLDFAST_ABI_MAJOR)
    return hf_fail(err, HOLDFAST_E_CONFIG,
                   "it was built for plugin ABI %u.%u and this host has %d.%d; build it against this host's headers",
                   h->abi_major, h->abi_minor, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR);
  if (h->struct_size < sizeof *h)
    return hf_fail(err, HOLDFAST_E_CONFIG, "its struct says %u bytes, less than the header's %zu", h->struct_size, sizeof *h);
  if (h->struct_size > host_size || h->abi_minor > HOLDFAST_ABI_MINOR)
    return hf_fail(err, HOLDFAST_E_CONFIG,
                   "its struct has %u bytes (ABI %u.%u) and this host knows %zu (ABI %d.%d): the plugin is newer than holdfast",
                   h->struct_size, h->abi_major, h->abi_minor, host_size, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR);
  if (!h->name || !is_word(h->name))
    return hf_fail(err, HOLDFAST_E_CONFIG, "it has no usable name; lower case letters, digits and '-'");
  if (expected && strcmp(h->name, expected) != 0)
    return hf_fail(err, HOLDFAST_E_CONFIG, "it calls itself %s and the file is called %s; the two have to agree", h->name,
                   expected);
  if (!h->version || !*h->version) return hf_fail(err, HOLDFAST_E_CONFIG, "it has no version");
  if (!h->summary || !*h->summary) return hf_fail(err, HOLDFAST_E_CONFIG, "it has no summary");
  return 0;
}

int hf_plugin_adopt(const char *file, const char *expected, enum hf_plugin_kind kind, const void *raw, void *dl,
                    struct hf_plugin **out, struct hf_error *err) {
  const char *what = hf_plugin_kind_name(kind);
  size_t host_size = kind == HF_SOURCE ? sizeof(struct holdfast_source_plugin) : sizeof(struct holdfast_target_plugin);
  struct hf_plugin *p = hf_alloc(sizeof *p);
  void *copy = kind == HF_SOURCE ? (void *)&p->source : (void *)&p->target;
  const struct holdfast_plugin_header *h = raw;
  int r = h ? check_header(h, expected, host_size, err) : hf_fail(err, HOLDFAST_E_CONFIG, "its entry function returned nothing");
  if (r == 0) {
    memcpy(copy, raw, h->struct_size); /* what an older plugin does not have stays zero */
    p->head = copy;
    r = check_callbacks(copy, h->struct_size, kind, err);
  }
  if (r == 0) r = check_settings(p->head->settings, kind, &p->n_settings, err);
  if (r < 0) {
    free(p);
    return hf_prefix(err, "%s: not a usable %s plugin", file, what);
  }
  p->kind = kind;
  p->file = hf_strdup(file);
  p->dl = dl;
  *out = p;
  return 0;
}

/* "files" of "/usr/lib/holdfast/sources/files.so"; owned by the caller. */
static char *name_of_file(const char *file) {
  const char *base = strrchr(file, '/');
  base = base ? base + 1 : file;
  size_t n = strlen(base);
  if (n > 3 && strcmp(base + n - 3, ".so") == 0) n -= 3;
  return hf_strndup(base, n);
}

/* Is the whole of what will be mapped there? The dynamic loader does not ask: a file that was cut short (a full disk,
 * a copy that broke off) would end the process with SIGBUS. A file that is no ELF file of this kind of machine is left for it
 * to refuse. */
static int check_whole(const char *file, off_t size, struct hf_error *err) {
  ElfW(Ehdr) head;
  HF_CLEANUP(hf_closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return hf_fail_errno(err, errno, "%s", file);
  if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
      head.e_phentsize != sizeof(ElfW(Phdr)))
    return 0;
  for (unsigned i = 0; i < head.e_phnum; i++) {
    ElfW(Phdr) part;
    uint64_t at = head.e_phoff + (uint64_t)i * sizeof part, end;
    bool there = at <= (uint64_t)size && pread(fd, &part, sizeof part, (off_t)at) == (ssize_t)sizeof part;
    if (there && part.p_type != PT_LOAD) continue;
    if (!there || __builtin_add_overflow((uint64_t)part.p_offset, (uint64_t)part.p_filesz, &end) || end > (uint64_t)size)
      return hf_fail(err, HOLDFAST_E_CONFIG, "%s: does not load: the file is cut short: it has %lld bytes and should have more",
                     file, (long long)size);
  }
  return 0;
}

int hf_plugin_load(const char *file, enum hf_plugin_kind kind, struct hf_plugin **out, struct hf_error *err) {
  const char *symbol = kind == HF_SOURCE ? HOLDFAST_SOURCE_ENTRY : HOLDFAST_TARGET_ENTRY;
  HF_CLEANUP(hf_freep) char *real = realpath(file, NULL);
  struct stat st;
  if (!real || stat(real, &st) != 0) return hf_fail_errno(err, errno, "%s", file);
  if (!S_ISREG(st.st_mode)) return hf_fail(err, HOLDFAST_E_CONFIG, "%s: not a regular file", file);
  HF_CLEANUP(hf_freep) char *name = name_of_file(file);
  int whole = check_whole(real, st.st_size, err);
  if (whole < 0) return whole;
  void *dl = dlopen(real, RTLD_NOW | RTLD_LOCAL);
  if (!dl) {
    const char *why = dlerror();
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: does not load: %s", file, why ? why : "unknown reason");
  }
  union {
    void *p;
    const void *(*entry)(void);
  } sym;
  sym.p = dlsym(dl, symbol);
  int r = sym.p ? hf_plugin_adopt(real, name, kind, sym.entry(), dl, out, err)
                : hf_fail(err, HOLDFAST_E_UNSUPPORTED, "%s: not a %s plugin: it has no function %s", file,
                          hf_plugin_kind_name(kind), symbol);
  if (r < 0) dlclose(dl);
  return r;
}

void hf_plugin_unload(struct hf_plugin *p) {
  if (!p) return;
  if (p->dl) dlclose(p->dl);
  free(p->file);
  free(p);
}
