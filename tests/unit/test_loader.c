/* test_loader.c - loading plugins: good ones, old ones, and every way to be refused; the registry; descriptions.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The plugins are compiled as the test runs ($CC, else cc), in a folder of its own.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "fake_plugins.h"
#include "unit.h"

static char *folder;

/* A whole source plugin with places to go wrong. */
static const char good_source[] =
    "#include <holdfast/source.h>\n"
    "#ifndef ROWS\n#define ROWS {\"path\", HOLDFAST_PATH, HOLDFAST_REQUIRED, 0, 0, \"What\"},\n#endif\n"
    "#ifndef NAME\n#define NAME \"p\"\n#endif\n"
    "#ifndef MAJOR\n#define MAJOR HOLDFAST_ABI_MAJOR\n#endif\n"
    "#ifndef MINOR\n#define MINOR HOLDFAST_ABI_MINOR\n#endif\n"
    "#ifndef SIZE\n#define SIZE sizeof p\n#endif\n"
    "#ifndef VERSION\n#define VERSION \"1.0\"\n#endif\n"
    "#ifndef SUMMARY\n#define SUMMARY \"Test\"\n#endif\n"
    "#ifndef TABLE\n#define TABLE rows\n#endif\n"
    "#ifndef MORE\n#define MORE\n#endif\n"
    "static int op(const struct holdfast_host *h, const struct holdfast_value *v, void **x) { *x = 0; return 0; }\n"
    "static int nx(void *x, struct holdfast_entry *e) { return 0; }\n"
    "static int64_t rd(void *x, void *b, size_t n) { return 0; }\n"
    "static int done(void *x) { return 0; }\n"
    "static void cl(void *x) { }\n"
    "static const struct holdfast_setting rows[] = {ROWS {0, 0, 0, 0, 0, 0}};\n"
    "static const struct holdfast_source_plugin p = {.head = {SIZE, MAJOR, MINOR, NAME, VERSION, SUMMARY, TABLE},\n"
    "  .open = op, .next = nx, .entry_open = nx, .read = rd, .entry_close = done, .close = cl MORE};\n"
    "#ifdef NOTHING\n"
    "HOLDFAST_EXPORT const void *holdfast_source_plugin(void) { return 0; }\n"
    "#elif !defined(NO_ENTRY)\n"
    "HOLDFAST_SOURCE_PLUGIN(p)\n"
    "#endif\n";

static const char good_target[] =
    "#include <holdfast/target.h>\n"
    "static int op(const struct holdfast_host *h, const struct holdfast_value *v, int c, void **x) { *x = 0; return 0; }\n"
    "static uint32_t one(void *x) { return 1; }\n"
    "static int put(void *x, const struct holdfast_object *o) { return 0; }\n"
    "static int get(void *x, const char *k, uint64_t o, uint64_t l, holdfast_sink s, void *c) { return 0; }\n"
    "static int st(void *x, const char *k, struct holdfast_stat *o) { return 0; }\n"
    "static int ls(void *x, const char *p, holdfast_lister l, void *c) { return 0; }\n"
    "static int rm(void *x, const char *const *k, size_t n, int *s) { return 0; }\n"
    "static void cl(void *x) { }\n"
    "static const struct holdfast_setting rows[] = {{0, 0, 0, 0, 0, 0}};\n"
    "static const struct holdfast_target_plugin p = {.head = {sizeof p, HOLDFAST_ABI_MAJOR, HOLDFAST_ABI_MINOR, \"t\", \"2.0\", "
    "\"Test target\", rows},\n"
    "  .open = op, .capabilities = one, .parallel = one, .put = put, .get = get, .stat = st,\n"
    "#ifndef NO_LIST\n  .list = ls,\n#endif\n"
    "  .remove = rm, .close = cl};\n"
    "HOLDFAST_TARGET_PLUGIN(p)\n";

/* Where the sources lie; the tests may also be run by hand from the top folder. */
static const char *source_folder(void) {
  const char *src = getenv("SRCDIR");
  return src && *src ? src : ".";
}

/* Compile the file c with the given -D options (separated by newlines) to so. */
static void compile_file(const char *c, const char *so, const char *defines) {
  struct hf_error err;
  struct hf_buf out = HF_BUF_INIT;
  struct hf_list argv = HF_LIST_INIT;
  const char *cc = getenv("CC");
  char *inc = hf_asprintf("-I%s/core/include", source_folder());
  /* CC may hold options ("gcc -m64") */
  char *copy = hf_strdup(cc && *cc ? cc : "cc");
  for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) hf_list_add(&argv, w);
  free(copy);
  const char *const fixed[] = {"-w", "-shared", "-fPIC", "-O0", "-fvisibility=hidden", inc, "-o", so, c};
  for (size_t i = 0; i < HF_NELEM(fixed); i++) hf_list_add(&argv, fixed[i]);
  for (const char *d = defines; d && *d; d += strcspn(d, "\n"), d += *d == '\n') {
    char *one = hf_strndup(d, strcspn(d, "\n"));
    hf_list_take(&argv, hf_asprintf("-D%s", one));
    free(one);
  }
  hf_list_add(&argv, "");
  free(argv.v[--argv.n]);
  argv.v[argv.n] = NULL;
  int code = -1, r = hf_run(argv.v, NULL, NULL, 0, NULL, &out, 60, &code, &err);
  if (r < 0) fail_msg("%s", err.msg);
  if (code != 0) fail_msg("%s: %s", c, out.data ? out.data : "");
  hf_buf_free(&out);
  hf_list_free(&argv);
  free(inc);
}

/* Compile text to name.so below the folder. The path, owned by the caller. */
static char *compile(const char *text, const char *name, const char *defines) {
  struct hf_error err;
  char *so = hf_asprintf("%s/%s.so", folder, name), *c = hf_asprintf("%s.c", so);
  char *parent = hf_strndup(so, (size_t)(strrchr(so, '/') - so));
  assert_int_equal(hf_mkdir_p(parent, 0755, &err), 0);
  assert_int_equal(hf_write_file_atomic(c, text, strlen(text), 0600, &err), 0);
  compile_file(c, so, defines);
  unlink(c);
  free(c);
  free(parent);
  return so;
}

static int setup(void **state) {
  char name[] = "/tmp/hf-loader-XXXXXX";
  (void)state;
  folder = mkdtemp(name) ? realpath(name, NULL) : NULL;
  return folder ? 0 : -1;
}

static int teardown(void **state) {
  struct hf_error err;
  (void)state;
  int r = hf_remove_tree(folder, &err);
  free(folder);
  return r;
}

/* A file that was cut short, anywhere, is refused: the dynamic loader would end the process. */
static void cut_short(void **state) {
  struct hf_plugin *p = NULL;
  struct hf_error err;
  struct stat st;
  (void)state;
  if (getenv("HOLDFAST_VALGRIND")) skip(); /* valgrind itself stumbles over such files */
  char *so = compile(good_source, "cut", NULL), *cut = hf_asprintf("%s/short/p.so", folder);
  HF_CLEANUP(hf_buf_free) struct hf_buf all = HF_BUF_INIT;
  assert_int_equal(stat(so, &st), 0);
  assert_int_equal(hf_read_file(so, 1 << 24, &all, &err), 0);
  char *dir = hf_asprintf("%s/short", folder);
  assert_int_equal(hf_mkdir_p(dir, 0755, &err), 0);
  size_t refused = 0;
  for (size_t n = 0; n < all.len; n += 397) {
    assert_int_equal(hf_write_file_atomic(cut, all.data, n, 0600, &err), 0);
    int r = hf_plugin_load(cut, HF_SOURCE, &p, &err);
    if (r == 0) {
      hf_plugin_unload(p); /* what is behind its last segment is of no use to it */
      continue;
    }
    assert_int_equal(r, HOLDFAST_E_CONFIG);
    assert_non_null(strstr(err.msg, "/short/p.so: does not load"));
    refused += strstr(err.msg, "cut short") != NULL;
  }
  assert_true(refused > 5);
  /* A header that says nonsense. */
  for (size_t at = 16; at < 64; at++) {
    char was = all.data[at];
    all.data[at] = (char)0xff;
    assert_int_equal(hf_write_file_atomic(cut, all.data, all.len, 0600, &err), 0);
    if (hf_plugin_load(cut, HF_SOURCE, &p, &err) == 0) hf_plugin_unload(p);
    all.data[at] = was;
  }
  free(dir);
  free(cut);
  free(so);
}

static void loads(void **state) {
  struct hf_plugin *p = NULL;
  struct hf_error err;
  (void)state;
  char *so = compile(good_source, "p", NULL);
  if (hf_plugin_load(so, HF_SOURCE, &p, &err) < 0) fail_msg("%s", err.msg);
  assert_int_equal(p->kind, HF_SOURCE);
  assert_string_equal(p->file, so);
  assert_string_equal(p->head->name, "p");
  assert_ptr_equal(p->head, &p->source.head);
  assert_int_equal(p->n_settings, 1);
  assert_non_null(p->source.entry_open);
  assert_null(p->source.probe);
  hf_plugin_unload(p);
  assert_int_equal(hf_plugin_load(so, HF_TARGET, &p, &err), HOLDFAST_E_UNSUPPORTED);
  assert_non_null(strstr(err.msg, "holdfast_target_plugin"));
  free(so);
  so = compile(good_target, "t", NULL);
  if (hf_plugin_load(so, HF_TARGET, &p, &err) < 0) fail_msg("%s", err.msg);
  assert_string_equal(p->head->version, "2.0");
  assert_int_equal(p->n_settings, 0);
  hf_plugin_unload(p);
  hf_plugin_unload(NULL);
  free(so);
}

/* A plugin compiled when the struct ended after close: it loads, and what it does not have is zero. */
static void old_plugin(void **state) {
  struct hf_plugin *p = NULL;
  struct hf_error err;
  (void)state;
  /* The bytes behind the old end are poisoned: the host must not look at them. */
  char *so =
      compile(good_source, "p",
              "SIZE=(offsetof(struct holdfast_source_plugin,close)+sizeof(void*))\nMORE=,.probe=(void*)1,.restore_open=(void*)1");
  if (hf_plugin_load(so, HF_SOURCE, &p, &err) < 0) fail_msg("%s", err.msg);
  assert_non_null(p->source.close);
  assert_null(p->source.probe);
  assert_null(p->source.restore_open);
  assert_null(p->source.verify);
  hf_plugin_unload(p);
  free(so);
}

static void refuses(void **state) {
  static const struct {
    const char *defines, *message;
  } cases[] = {{"MAJOR=2", "built for plugin ABI 2.3 and this host has 1.3"},
               {"MAJOR=0\nMINOR=7", "built for plugin ABI 0.7"},
               {"MINOR=HOLDFAST_ABI_MINOR+1", "the plugin is newer than holdfast"},
               {"SIZE=8", "its struct says 8 bytes"},
               {"SIZE=sizeof(p)+8", "the plugin is newer than holdfast"},
               {"SIZE=offsetof(struct holdfast_source_plugin,read)", "ends before the mandatory callback read"},
               {"NAME=0", "no usable name"},
               {"NAME=\"Q x\"", "no usable name"},
               {"NAME=\"\"", "no usable name"},
               {"NAME=\"other\"", "calls itself other and the file is called p"},
               {"VERSION=0", "no version"},
               {"SUMMARY=0", "no summary"},
               {"TABLE=0", "no settings table"},
               {"MORE=,.next=0", "the mandatory callback next is missing"},
               {"MORE=,.close=0", "the mandatory callback close is missing"},
               {"MORE=,.restore_open=(void*)op", "it has the callback restore_open but not restore_finish"},
               {"MORE=,.restore_begin=(void*)op", "it has the callback restore_begin but not restore_write"},
               {"MORE=,.restore_tree=(void*)op", "restore callbacks but not restore_open"},
               {"NOTHING", "returned nothing"},
               {"NO_ENTRY", "it has no function holdfast_source_plugin"},
               {"ROWS={\"a\",99,0,0,0,\"h\"},", "a: type 99 is unknown"},
               {"ROWS={\"a\",0,0,0,0,\"h\"},", "a: type 0 is unknown"},
               {"ROWS={\"a\",1,64,0,0,\"h\"},", "a: flags 0x40 are unknown"},
               {"ROWS={\"A\",1,0,0,0,\"h\"},", "row 1: the name is not one"},
               {"ROWS={\"\",1,0,0,0,\"h\"},", "row 1: the name is not one"},
               {"ROWS={\"-a\",1,0,0,0,\"h\"},", "row 1: the name is not one"},
               {"ROWS={\"rpo\",1,0,0,0,\"h\"},", "rpo: the name is reserved"},
               {"ROWS={\"plugin\",1,0,0,0,\"h\"},", "plugin: the name is reserved"},
               {"ROWS={\"a\",1,0,0,0,\"h\"},{\"a\",1,0,0,0,\"h\"},", "a: stands in the table twice"},
               {"ROWS={\"a\",HOLDFAST_SECRET,0,0,0,\"h\"},{\"a-file\",1,0,0,0,\"h\"},", "one is a form of the other"},
               {"ROWS={\"a-env\",1,0,0,0,\"h\"},{\"a\",HOLDFAST_SECRET,0,0,0,\"h\"},", "one is a form of the other"},
               {"ROWS={\"a\",HOLDFAST_SECRET,0,\"x\",0,\"h\"},", "a secret with a default"},
               {"ROWS={\"a\",HOLDFAST_SIZE,HOLDFAST_LIST,0,0,\"h\"},", "a list of type size"},
               {"ROWS={\"a\",HOLDFAST_CHOICE,0,0,0,\"h\"},", "a choice without choices"},
               {"ROWS={\"a\",HOLDFAST_CHOICE,0,\"x\",\"a|b\",\"h\"},", "a: the default: \"x\" is not one of"},
               {"ROWS={\"a\",HOLDFAST_PATH,0,\"x\",0,\"h\"},", "a: the default: \"x\" is not an absolute path"},
               {"ROWS={\"a\",HOLDFAST_INT,0,\"-1\",0,\"h\"},", "a: the default: "}};
  (void)state;
  for (size_t i = 0; i < HF_NELEM(cases); i++) {
    struct hf_plugin *p = NULL;
    struct hf_error err = {0};
    char *so = compile(good_source, "p", cases[i].defines);
    int r = hf_plugin_load(so, HF_SOURCE, &p, &err);
    if (r >= 0) fail_msg("taken: %s", cases[i].defines);
    assert_null(p);
    /* Each refusal names the file first. */
    if (strncmp(err.msg, so, strlen(so)) != 0 || !strstr(err.msg, cases[i].message))
      fail_msg("%s: %s", cases[i].defines, err.msg);
    unlink(so);
    free(so);
  }
}

static void refuses_files(void **state) {
  struct hf_plugin *p = NULL;
  struct hf_error err;
  (void)state;
  char *so = compile(good_target, "t", "NO_LIST");
  assert_int_equal(hf_plugin_load(so, HF_TARGET, &p, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "not a usable target plugin: the mandatory callback list is missing"));
  assert_int_equal(hf_write_file_atomic(so, "not an ELF file\n", 16, 0755, &err), 0);
  assert_int_equal(hf_plugin_load(so, HF_TARGET, &p, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "does not load"));
  unlink(so);
  assert_int_equal(hf_plugin_load(so, HF_TARGET, &p, &err), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(strncmp(err.msg, so, strlen(so)), 0);
  assert_int_equal(hf_plugin_load(folder, HF_TARGET, &p, &err), HOLDFAST_E_CONFIG);
  free(so);
  so = compile("extern int nowhere(void); int x(void) { return nowhere(); }\n"
               "__attribute__((visibility(\"default\"))) const void *holdfast_source_plugin(void) { return (void *)x; }\n",
               "unresolved", NULL);
  assert_int_equal(hf_plugin_load(so, HF_SOURCE, &p, &err), HOLDFAST_E_CONFIG); /* RTLD_NOW: now, not in the middle of a run */
  assert_non_null(strstr(err.msg, "nowhere"));
  unlink(so);
  free(so);
}

/* The wrong plugins that the conformance programs are tried on: the loader refuses the same ones, whole files, each for its own reason. */
static void conformance_plugins(void **state) {
  static const struct {
    const char *name, *message; /* NULL: loads */
  } cases[] = {{"old", NULL},
               {"major", "built for plugin ABI"},
               {"larger", "newer than holdfast"},
               {"header", ""},
               {"short", "ends before the mandatory callback"},
               {"missing", "mandatory callback"},
               {"null", "returned nothing"},
               {"noentry", "it has no function"},
               {"noname", "no usable name"},
               {"othername", "have to agree"},
               {"nosettings", "no settings table"},
               {"badtype", "type 4711 is unknown"},
               {"baddefault", "amount: the default"},
               {"reserved", "reserved"}};
  (void)state;
  for (size_t i = 0; i < HF_NELEM(cases); i++) {
    struct hf_plugin *p = NULL;
    struct hf_error err = {0};
    char *c = hf_asprintf("%s/tests/conformance/badplugins/%s.c", source_folder(), cases[i].name);
    char *so = hf_asprintf("%s/%s.so", folder, cases[i].name);
    compile_file(c, so, NULL);
    int r = hf_plugin_load(so, HF_SOURCE, &p, &err);
    if (!cases[i].message && r < 0) fail_msg("%s", err.msg);
    if (cases[i].message && r >= 0) fail_msg("taken: %s", cases[i].name);
    if (cases[i].message && !strstr(err.msg, cases[i].message)) fail_msg("%s", err.msg);
    hf_plugin_unload(p);
    unlink(so);
    free(so);
    free(c);
  }
}

/* A settings table without an end must not be walked for ever. */
static void endless_table(void **state) {
  static struct holdfast_setting rows[400];
  static char names[400][8];
  struct holdfast_source_plugin p = fake_source;
  struct hf_plugin *out = NULL;
  struct hf_error err;
  (void)state;
  for (size_t i = 0; i < 400; i++) {
    snprintf(names[i], sizeof names[i], "k%zu", i);
    rows[i] = (struct holdfast_setting){names[i], HOLDFAST_STRING, 0, NULL, NULL, NULL};
  }
  p.head.settings = rows;
  assert_int_equal(hf_plugin_adopt("f", NULL, HF_SOURCE, &p, NULL, &out, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "no end row"));
}

struct bad_list {
  struct hf_list files, why;
};

static void on_bad(void *ctx, const char *file, const char *why) {
  struct bad_list *b = ctx;
  hf_list_add(&b->files, file);
  hf_list_add(&b->why, why);
}

static void registry(void **state) {
  struct hf_error err;
  const struct hf_plugin *a = NULL, *b = NULL;
  const struct hf_plugin *const *all = NULL;
  struct bad_list bad = {HF_LIST_INIT, HF_LIST_INIT};
  size_t n = 0;
  (void)state;
  free(compile(good_source, "d1/p", NULL));
  free(compile(good_source, "d1/broken", "NAME=\"broken\"\nMAJOR=9"));
  free(compile(good_source, "d1/nothing", "NO_ENTRY"));
  free(compile(good_target, "d2/targets/t", NULL));
  free(compile(good_source, "d2/sources/t", "NAME=\"t\"\nVERSION=\"source\""));
  free(compile(good_source, "d2/sources/p", "VERSION=\"hidden\""));
  char *d1 = hf_path_join(folder, "d1"), *path = hf_asprintf("%s/absent::%s:%s/d2/", folder, d1, folder);
  assert_int_equal(chmod(folder, 0755), 0);
  setenv("HOLDFAST_PLUGIN_PATH", path, 1);
  struct hf_registry *r = hf_registry_new();
  if (hf_registry_get(r, HF_SOURCE, "p", &a, &err) < 0) fail_msg("%s", err.msg);
  assert_string_equal(a->head->version, "1.0"); /* the first folder's */
  assert_int_equal(hf_registry_get(r, HF_SOURCE, "p", &b, &err), 0);
  assert_ptr_equal(a, b); /* loaded once */
  assert_int_equal(hf_registry_get(r, HF_SOURCE, "t", &b, &err), 0);
  assert_string_equal(b->head->version, "source");
  assert_int_equal(hf_registry_get(r, HF_TARGET, "t", &b, &err), 0);
  assert_int_equal(b->kind, HF_TARGET);
  assert_int_equal(hf_registry_get(r, HF_SOURCE, "broken", &b, &err), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(err.msg, "d1/broken.so"));
  assert_int_equal(hf_registry_get(r, HF_SOURCE, "nothing", &b, &err), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_registry_get(r, HF_TARGET, "p", &b, &err), HOLDFAST_E_NOT_FOUND);
  assert_non_null(strstr(err.msg, "p is a plugin of a [source ...] section"));
  assert_int_equal(hf_registry_get(r, HF_SOURCE, "../d1/p", &b, &err), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_registry_get(r, HF_SOURCE, "", &b, &err), HOLDFAST_E_NOT_FOUND);
  assert_int_equal(hf_registry_all(r, on_bad, &bad, &all, &n, &err), 0);
  assert_true(n >= 3);
  /* Sorted by kind, then name. Others may be installed on this machine. */
  size_t seen = 0;
  for (size_t i = 0; i < n; i++) {
    if (i) assert_true(all[i - 1]->kind < all[i]->kind || strcmp(all[i - 1]->head->name, all[i]->head->name) < 0);
    seen += strncmp(all[i]->file, folder, strlen(folder)) == 0;
  }
  assert_int_equal(seen, 3);
  assert_true(bad.files.n >= 2);
  assert_non_null(strstr(bad.files.v[0], "d1/broken.so"));
  assert_non_null(strstr(bad.why.v[0], "ABI 9."));
  assert_non_null(strstr(bad.files.v[1], "d1/nothing.so"));
  assert_non_null(strstr(bad.why.v[1], "not a holdfast plugin"));
  assert_int_equal(hf_registry_add(r, HF_SOURCE, &fake_source, &err), 0);
  assert_int_equal(hf_registry_add(r, HF_SOURCE, &fake_source, &err), HOLDFAST_E_EXISTS);
  hf_registry_free(r);
  hf_registry_free(NULL);
  hf_list_free(&bad.files);
  hf_list_free(&bad.why);
  unsetenv("HOLDFAST_PLUGIN_PATH");
  free(path);
  free(d1);
}

/* As root, code of others is not loaded through the variable. */
static void as_root(void **state) {
  struct hf_error err;
  const struct hf_plugin *p = NULL;
  (void)state;
  if (geteuid() != 0) skip();
  char *dir = hf_path_join(folder, "safe"), *so = compile(good_source, "safe/p", NULL),
       *other = compile(good_source, "elsewhere/p", NULL);
  int threshold = hf_log_threshold;
  hf_log_threshold = -1; /* the warnings are expected */
  setenv("HOLDFAST_PLUGIN_PATH", dir, 1);
  static const struct {
    mode_t dir, file;
    uid_t dir_owner, file_owner;
    int status;
  } cases[] = {{0755, 0755, 0, 0, 0},
               {0755, 0775, 0, 0, HOLDFAST_E_AUTH},
               {0755, 0757, 0, 0, HOLDFAST_E_AUTH},
               {0755, 0755, 0, 12345, HOLDFAST_E_AUTH},
               {0775, 0755, 0, 0, HOLDFAST_E_NOT_FOUND}, /* the folder is not looked into */
               {0757, 0755, 0, 0, HOLDFAST_E_NOT_FOUND},
               {0755, 0755, 12345, 0, HOLDFAST_E_NOT_FOUND}};
  for (size_t i = 0; i < HF_NELEM(cases); i++) {
    assert_int_equal(chown(dir, cases[i].dir_owner, 0) | chown(so, cases[i].file_owner, 0), 0);
    assert_int_equal(chmod(dir, cases[i].dir) | chmod(so, cases[i].file), 0);
    struct hf_registry *r = hf_registry_new();
    int rc = hf_registry_get(r, HF_SOURCE, "p", &p, &err);
    if (rc != cases[i].status) fail_msg("case %zu: %d %s", i, rc, err.msg);
    hf_registry_free(r);
  }
  /* A link out of the folder: what it leads to counts, and the folder that is in. */
  char *far = hf_path_join(folder, "elsewhere");
  assert_int_equal(chown(dir, 0, 0) | chmod(dir, 0755) | unlink(so) | symlink(other, so), 0);
  for (int open_to_others = 0; open_to_others < 2; open_to_others++) {
    assert_int_equal(chmod(far, open_to_others ? 0777 : 0755) | chmod(other, 0755), 0);
    struct hf_registry *r = hf_registry_new();
    assert_int_equal(hf_registry_get(r, HF_SOURCE, "p", &p, &err), open_to_others ? HOLDFAST_E_AUTH : 0);
    hf_registry_free(r);
  }
  hf_log_threshold = threshold;
  unsetenv("HOLDFAST_PLUGIN_PATH");
  free(far);
  free(dir);
  free(so);
  free(other);
}

static void descriptions(void **state) {
  struct hf_error err;
  struct hf_plugin *p = NULL;
  char *text = NULL;
  size_t n = 0;
  (void)state;
  assert_int_equal(hf_plugin_adopt("/x/fake.so", "fake", HF_SOURCE, &fake_source, NULL, &p, &err), 0);
  FILE *f = open_memstream(&text, &n);
  hf_plugin_describe_text(p, f);
  fclose(f);
  assert_non_null(strstr(text, "source fake 1.2\n"));
  assert_non_null(strstr(text, "/x/fake.so"));
  assert_non_null(strstr(text, "path = path, may be repeated, required\n"));
  assert_non_null(strstr(text, "limit = size, default 32M\n"));
  assert_non_null(strstr(text, "mode = choice (fast|safe), default fast\n"));
  assert_non_null(strstr(text, "password-credential"));
  free(text);
  json_t *j = hf_plugin_describe_json(p), *row = json_array_get(json_object_get(j, "settings"), F_MODE);
  assert_string_equal(json_string_value(json_object_get(j, "kind")), "source");
  assert_string_equal(json_string_value(json_object_get(j, "abi")), "1.3");
  assert_int_equal(json_array_size(json_object_get(j, "settings")), 9);
  assert_string_equal(json_string_value(json_object_get(row, "name")), "mode");
  assert_string_equal(json_string_value(json_object_get(row, "default")), "fast");
  assert_string_equal(json_string_value(json_array_get(json_object_get(row, "choices"), 1)), "safe");
  assert_true(json_is_true(json_object_get(json_array_get(json_object_get(j, "settings"), F_PATH), "list")));
  json_decref(j);
  hf_plugin_unload(p);
  assert_int_equal(hf_plugin_adopt("/x/shelf.so", "shelf", HF_TARGET, &fake_target, NULL, &p, &err), 0);
  j = hf_plugin_describe_json(p);
  assert_string_equal(json_string_value(json_object_get(j, "kind")), "target");
  json_decref(j);
  hf_plugin_unload(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(loads), cmocka_unit_test(cut_short),
                                     cmocka_unit_test(old_plugin),
                                     cmocka_unit_test(refuses),
                                     cmocka_unit_test(refuses_files),
                                     cmocka_unit_test(conformance_plugins),
                                     cmocka_unit_test(endless_table),
                                     cmocka_unit_test(registry),
                                     cmocka_unit_test(as_root),
                                     cmocka_unit_test(descriptions)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
