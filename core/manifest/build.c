/* build.c - sections to a manifest: every key checked by its table, every section by its plugin.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <limits.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "manifest/internal.h"
#include "plugin/internal.h"

#ifndef HF_STATEDIR
#define HF_STATEDIR "/var/lib"
#endif
#define ZONE_MAX 64
#define ZONE_FOLDER "/usr/share/zoneinfo"
#define KEEP_MAX 1000000
#define PREFIX_MAX 256 /* bytes of `prefix`: leaves room for host and object name in the 512 of a key */

/* The host's own keys are declared as a plugin's are, and read by the same code. */
enum {
  H_HOST,
  H_RECIPIENTS,
  H_RECIPIENT_KEY,
  H_HOST_KEY,
  H_STATE,
  H_LOCK_WAIT,
  H_CHECKPOINT,
  H_COMPRESSION,
  H_PADDING,
  H_HIDE,
  H_INCLUDE,
  H_RPO,
  H_RTO,
  H_RUN_LOG_KEEP,
  H_METRICS_FILE,
  H_ESCROW,
  H_SAFETY_KEEP,
  H_DRILL_KEEP,
  H_TIME_ZONE
};
static const struct holdfast_setting holdfast_table[] = {
    [H_HOST] = {"host", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [H_RECIPIENTS] = {"recipients", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [H_RECIPIENT_KEY] = {"recipient-key", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [H_HOST_KEY] = {"host-key", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [H_STATE] = {"state", HOLDFAST_PATH, 0, HF_STATEDIR "/holdfast", NULL, NULL},
    [H_LOCK_WAIT] = {"lock-wait", HOLDFAST_DURATION, 0, "0", NULL, NULL},
    [H_CHECKPOINT] = {"checkpoint", HOLDFAST_DURATION, 0, "5m", NULL, NULL},
    [H_COMPRESSION] = {"compression", HOLDFAST_INT, 0, "2", NULL, NULL},
    [H_PADDING] = {"padding", HOLDFAST_BOOL, 0, "no", NULL, NULL},
    [H_HIDE] = {"hide-recipients", HOLDFAST_BOOL, 0, "no", NULL, NULL},
    [H_INCLUDE] = {"include", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [H_RPO] = {"rpo", HOLDFAST_DURATION, 0, "0", NULL, NULL},
    [H_RTO] = {"rto", HOLDFAST_DURATION, 0, "0", NULL, NULL},
    [H_RUN_LOG_KEEP] = {"run-log-keep", HOLDFAST_DURATION, 0, "30d", NULL, NULL},
    [H_METRICS_FILE] = {"metrics-file", HOLDFAST_PATH, 0, NULL, NULL, NULL},
    [H_ESCROW] = {"host-key-escrow", HOLDFAST_BOOL, 0, "yes", NULL, NULL},
    [H_SAFETY_KEEP] = {"safety-keep", HOLDFAST_DURATION, 0, "90d", NULL, NULL},
    [H_DRILL_KEEP] = {"drill-keep", HOLDFAST_INT, 0, "100", NULL, NULL},
    [H_TIME_ZONE] = {"time-zone", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    {NULL, 0, 0, NULL, NULL, NULL}};

enum { S_PLUGIN, S_RECIPIENTS, S_USER, S_TIMEOUT, S_COMPRESSION, S_PADDING, S_HIDE, S_ENABLED, S_HOOK_TIMEOUT, S_RPO, S_RTO, S_HOOKS };
static const struct holdfast_setting source_table[] = {
    [S_PLUGIN] = {"plugin", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [S_RECIPIENTS] = {"recipients", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [S_USER] = {"user", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [S_TIMEOUT] = {"timeout", HOLDFAST_DURATION, 0, "1h", NULL, NULL},
    [S_COMPRESSION] = {"compression", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [S_PADDING] = {"padding", HOLDFAST_BOOL, 0, NULL, NULL, NULL},
    [S_HIDE] = {"hide-recipients", HOLDFAST_BOOL, 0, NULL, NULL, NULL},
    [S_ENABLED] = {"enabled", HOLDFAST_BOOL, 0, "yes", NULL, NULL},
    [S_HOOK_TIMEOUT] = {"hook-timeout", HOLDFAST_DURATION, 0, "10m", NULL, NULL},
    [S_RPO] = {"rpo", HOLDFAST_DURATION, 0, NULL, NULL, NULL},
    [S_RTO] = {"rto", HOLDFAST_DURATION, 0, "0", NULL, NULL},
    [S_HOOKS + HF_HOOK_BEFORE] = {"before", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [S_HOOKS + HF_HOOK_AFTER] = {"after", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [S_HOOKS + HF_HOOK_ON_FAILURE] = {"on-failure", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [S_HOOKS + HF_HOOK_RESTORE_BEFORE] = {"restore-before", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    [S_HOOKS + HF_HOOK_RESTORE_AFTER] = {"restore-after", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, NULL},
    {NULL, 0, 0, NULL, NULL, NULL}};

enum {
  T_PLUGIN,
  T_PREFIX,
  T_ENABLED,
  T_REMOVABLE,
  T_RPO,
  T_PROXY,
  T_CA_FILE,
  T_LIMIT_UP,
  T_LIMIT_DOWN,
  T_DEADLINE,
  T_RETRIES,
  T_PARALLEL,
  T_TAKE,
  T_KEEP, /* the newest; behind it, each in the place of its period */
  T_KEEP_WITHIN = T_KEEP + HF_PERIODS,
  T_KEEP_LABELLED
};
static const struct holdfast_setting target_table[] = {
    [T_PLUGIN] = {"plugin", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [T_PREFIX] = {"prefix", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [T_ENABLED] = {"enabled", HOLDFAST_BOOL, 0, "yes", NULL, NULL},
    [T_REMOVABLE] = {"removable", HOLDFAST_BOOL, 0, "no", NULL, NULL},
    [T_RPO] = {"rpo", HOLDFAST_DURATION, 0, NULL, NULL, NULL},
    [T_PROXY] = {"proxy", HOLDFAST_STRING, 0, NULL, NULL, NULL},
    [T_CA_FILE] = {"ca-file", HOLDFAST_PATH, 0, NULL, NULL, NULL},
    [T_LIMIT_UP] = {"limit-up", HOLDFAST_SIZE, 0, "0", NULL, NULL},
    [T_LIMIT_DOWN] = {"limit-down", HOLDFAST_SIZE, 0, "0", NULL, NULL},
    [T_DEADLINE] = {"deadline", HOLDFAST_DURATION, 0, "10m", NULL, NULL},
    [T_RETRIES] = {"retries", HOLDFAST_INT, 0, "5", NULL, NULL},
    [T_PARALLEL] = {"parallel", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_TAKE] = {"take", HOLDFAST_CHOICE, 0, "all", "all|hourly|daily|weekly|monthly|yearly", NULL},
    [T_KEEP] = {"keep-last", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_KEEP + HF_PERIOD_HOUR] = {"keep-hourly", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_KEEP + HF_PERIOD_DAY] = {"keep-daily", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_KEEP + HF_PERIOD_WEEK] = {"keep-weekly", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_KEEP + HF_PERIOD_MONTH] = {"keep-monthly", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_KEEP + HF_PERIOD_YEAR] = {"keep-yearly", HOLDFAST_INT, 0, NULL, NULL, NULL},
    [T_KEEP_WITHIN] = {"keep-within", HOLDFAST_DURATION, 0, NULL, NULL, NULL},
    [T_KEEP_LABELLED] = {"keep-labelled", HOLDFAST_BOOL, 0, NULL, NULL, NULL},
    {NULL, 0, 0, NULL, NULL, NULL}};

enum { C_ROLE, C_PHONE, C_EMAIL, C_PRIORITY, C_HOURS, C_NOTE };
static const struct holdfast_setting contact_table[] = {[C_ROLE] = {"role", HOLDFAST_STRING, 0, NULL, NULL, NULL},
                                                        [C_PHONE] = {"phone", HOLDFAST_STRING, 0, NULL, NULL, NULL},
                                                        [C_EMAIL] = {"email", HOLDFAST_STRING, 0, NULL, NULL, NULL},
                                                        [C_PRIORITY] = {"priority", HOLDFAST_INT, 0, "100", NULL, NULL},
                                                        [C_HOURS] = {"hours", HOLDFAST_STRING, 0, NULL, NULL, NULL},
                                                        [C_NOTE] = {"note", HOLDFAST_STRING, 0, NULL, NULL, NULL},
                                                        {NULL, 0, 0, NULL, NULL, NULL}};

static const char *text_of(const struct hf_settings *s, int row) {
  return s->values[row].count ? s->values[row].strings[0] : NULL;
}

int hf_at_setting(struct hf_error *err, const struct hf_raw_section *s, unsigned line) {
  if (!err) return HOLDFAST_E_CONFIG;
  HF_CLEANUP(hf_freep) char *text = hf_strdup(err->msg);
  return hf_fail(err, err->code, "%s:%u: [%s] %s", s->file, line, s->title, text);
}

static char *dup_text(const struct hf_settings *s, int row) { return hf_strdup(text_of(s, row)); }

static char *dir_of(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash ? hf_strndup(file, (size_t)(slash - file) + 1) : hf_strdup("/");
}

const struct holdfast_setting *hf_manifest_keys(enum hf_section_kind kind) {
  const struct holdfast_setting *const tables[] = {
      [HF_SECTION_HOLDFAST] = holdfast_table, [HF_SECTION_SOURCE] = source_table, [HF_SECTION_TARGET] = target_table,
      [HF_SECTION_NOTIFY] = hf_notify_keys(), [HF_SECTION_CONTACT] = contact_table};
  return tables[kind];
}

/* ---- checks of single values; messages without place ---- */

/* Hex digits of a fingerprint or key id without blanks and "0x", upper case; NULL if it is none. Owned by the caller. */
static char *hex_of(const char *text) {
  HF_CLEANUP(hf_buf_free) struct hf_buf b = HF_BUF_INIT;
  if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) text += 2;
  for (; *text; text++) {
    if (*text == ' ' || *text == '\t') continue; /* gpg prints fingerprints in groups */
    if (!isxdigit((unsigned char)*text)) return NULL;
    hf_buf_addc(&b, (char)toupper((unsigned char)*text));
  }
  return b.len ? hf_buf_take(&b) : NULL;
}

static bool is_mail(const char *s) {
  const char *at = strchr(s, '@');
  return at && at != s && at[1] && !strchr(at + 1, '@') && !strpbrk(s, " \t<>\"");
}

/* Add what `recipients = a, b` names to out, each once. */
static int add_recipients(const char *text, struct hf_list *out, struct hf_error *err) {
  for (const char *p = text; p;) {
    const char *end = strchrnul(p, ',');
    const char *a = p, *b = end;
    while (a < b && (*a == ' ' || *a == '\t')) a++;
    while (b > a && (b[-1] == ' ' || b[-1] == '\t')) b--;
    HF_CLEANUP(hf_freep) char *one = hf_strndup(a, (size_t)(b - a));
    HF_CLEANUP(hf_freep) char *hex = hex_of(one);
    HF_CLEANUP(hf_freep) char *shown = hf_printable(one, strlen(one));
    size_t n = hex ? strlen(hex) : 0;
    if (!*one)
      return hf_fail(err, HOLDFAST_E_CONFIG,
                     "there is nothing on one side of a comma; write recipients with one comma between them");
    if (n == 8)
      return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is a short key id, which anybody can forge; give the fingerprint", shown);
    if (n ? n != 16 && n != 40 && n != 64 : !is_mail(one))
      return hf_fail(err, HOLDFAST_E_CONFIG,
                     "\"%s\" is not a recipient; give a fingerprint (40 or 64 hex digits), a key id (16) or an e-mail address",
                     shown);
    const char *name = n ? hex : one;
    if (!hf_list_has(out, name)) hf_list_add(out, name);
    p = *end ? end + 1 : NULL;
  }
  return 0;
}

static int check_compression(int64_t level, struct hf_error *err) {
  if (level >= 1 && level <= 19) return 0;
  return hf_fail(err, HOLDFAST_E_CONFIG, "the zstd level is from 1 (fast) to 19 (small)");
}

static int check_user(const char *user, struct hf_error *err) {
  if (strlen(user) <= 256 && !strpbrk(user, " \t:/,") && *user != '-') return 0;
  HF_CLEANUP(hf_freep) char *shown = hf_printable(user, strlen(user));
  return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not an account's name", shown);
}

static int check_prefix(const char *prefix, struct hf_error *err) {
  bool good = strlen(prefix) <= PREFIX_MAX && hf_path_is_safe(prefix, strlen(prefix));
  for (const char *c = prefix; *c; c++)
    good = good && (isalnum((unsigned char)*c) || strchr("._-/", *c)) && (unsigned char)*c < 0x80;
  if (good) return 0;
  HF_CLEANUP(hf_freep) char *shown = hf_printable(prefix, strlen(prefix));
  return hf_fail(err, HOLDFAST_E_CONFIG,
                 "\"%s\" does not do; write names of [A-Za-z0-9._-] with a / between them, none first or last, at most %d bytes",
                 shown, PREFIX_MAX);
}

/* A zone of the system's database. look: see whether it is there. Were an unknown name accepted, the C library would take it for UTC. */
static int check_zone(const char *zone, bool look, struct hf_error *err) {
  bool good = strlen(zone) <= ZONE_MAX && hf_path_is_safe(zone, strlen(zone));
  for (const char *c = zone; *c; c++) good = good && (isalnum((unsigned char)*c) || strchr("._+-/", *c)) && (unsigned char)*c < 0x80;
  HF_CLEANUP(hf_freep) char *shown = hf_printable(zone, strlen(zone));
  if (!good) return hf_fail(err, HOLDFAST_E_CONFIG, "\"%s\" is not the name of a time zone; write it as in Europe/Berlin, or UTC", shown);
  if (!look || strcmp(zone, "UTC") == 0) return 0;
  HF_CLEANUP(hf_freep) char *path = hf_path_join(ZONE_FOLDER, zone);
  char magic[4] = "";
  FILE *f = fopen(path, "re");
  bool found = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
  if (f) fclose(f);
  if (found) return 0;
  return hf_fail(err, HOLDFAST_E_CONFIG, "this system knows no time zone %s (%s); write a name such as Europe/Berlin, and see that the package tzdata is installed", shown, path);
}

/* ---- [holdfast] ---- */

/* Where the same key was given earlier in a [holdfast] section; NULL for the first time. */
static const struct hf_raw_key *earlier(const struct hf_raw *raw, size_t section, size_t key,
                                        const struct hf_raw_section **where) {
  const char *name = raw->sections[section].keys[key].key;
  for (size_t i = 0; i <= section; i++) {
    const struct hf_raw_section *s = &raw->sections[i];
    if (s->kind != HF_SECTION_HOLDFAST) continue;
    for (size_t k = 0; k < s->n && !(i == section && k == key); k++)
      if (strcmp(s->keys[k].key, name) == 0) {
        *where = s;
        return &s->keys[k];
      }
  }
  return NULL;
}

static int unknown_key(const char *near, const char *known, struct hf_error *err) {
  if (near) return hf_fail(err, HOLDFAST_E_CONFIG, "unknown key; did you mean %s?", near);
  return hf_fail(err, HOLDFAST_E_CONFIG, "unknown key; %s", known);
}

/* One key of [holdfast] into the settings, and into the manifest what is a list. */
static int holdfast_key(struct hf_manifest *m, struct hf_settings *set, const struct hf_raw *raw, size_t section, size_t key,
                        enum hf_fetch fetch, struct hf_error *err) {
  const struct hf_raw_section *s = &raw->sections[section], *old_section = NULL;
  const struct hf_raw_key *k = &s->keys[key];
  if (!hf_settings_knows(set, k->key))
    return unknown_key(
        hf_settings_nearest(set, k->key),
        "[holdfast] has host, recipients, recipient-key, host-key, state, lock-wait, checkpoint, compression, padding, "
        "hide-recipients, time-zone, include, rpo, rto, run-log-keep, metrics-file, host-key-escrow, safety-keep and drill-keep",
        err);
  bool list = strcmp(k->key, "recipients") == 0 || strcmp(k->key, "recipient-key") == 0 || strcmp(k->key, "include") == 0;
  const struct hf_raw_key *old = list ? NULL : earlier(raw, section, key, &old_section);
  if (old)
    return hf_fail(err, HOLDFAST_E_CONFIG, "given before at %s:%u, and can be given once only", old_section->file, old->line);
  int r = hf_settings_set(set, k->key, k->value, k->line, NULL, err);
  if (r < 0) return r;
  if (strcmp(k->key, "recipients") == 0) return add_recipients(k->value, &m->recipients, err);
  if (strcmp(k->key, "recipient-key") == 0) {
    HF_CLEANUP(hf_freep) char *dir = dir_of(s->file);
    hf_list_take(&m->recipient_keys, hf_path_join(dir, k->value));
  }
  if (strcmp(k->key, "host") == 0 && !hf_is_instance_name(k->value))
    return hf_fail(err, HOLDFAST_E_CONFIG,
                   "a host's name has letters, digits, '.', '_' and '-', at most 64, not '.' or '-' first");
  if (strcmp(k->key, "compression") == 0) return check_compression(set->values[H_COMPRESSION].number, err);
  if (strcmp(k->key, "drill-keep") == 0 && set->values[H_DRILL_KEEP].number < 1)
    return hf_fail(err, HOLDFAST_E_CONFIG, "at least 1; 100 is a good value");
  if (strcmp(k->key, "checkpoint") == 0 && set->values[H_CHECKPOINT].number < 1)
    return hf_fail(err, HOLDFAST_E_CONFIG, "at least 1s; 5m is a good value");
  if (strcmp(k->key, "time-zone") == 0) return check_zone(k->value, fetch != HF_FETCH_NONE, err);
  if (strcmp(k->key, "host-key") == 0) {
    m->host_key = hex_of(k->value);
    if (!m->host_key || (strlen(m->host_key) != 40 && strlen(m->host_key) != 64))
      return hf_fail(err, HOLDFAST_E_CONFIG,
                     "not a fingerprint, which has 40 or 64 hex digits; holdfast init prints the host key's");
  }
  return 0;
}

static int build_holdfast(struct hf_manifest *m, const struct hf_raw *raw, const char *file, struct hf_settings *set,
                          enum hf_fetch fetch, struct hf_error *err) {
  const struct hf_raw_section *top = raw->n && raw->sections[0].kind == HF_SECTION_HOLDFAST ? &raw->sections[0] : NULL;
  if (!top)
    return hf_fail(err, HOLDFAST_E_CONFIG,
                   "%s:1: there is no [holdfast] section; it comes first and says at least recipients =", file);
  for (size_t i = 0; i < raw->n; i++)
    for (size_t k = 0; raw->sections[i].kind == HF_SECTION_HOLDFAST && k < raw->sections[i].n; k++) {
      int r = holdfast_key(m, set, raw, i, k, fetch, err);
      if (r < 0) return hf_at(err, &raw->sections[i], raw->sections[i].keys[k].line, raw->sections[i].keys[k].key);
    }
  int r = hf_settings_check(set, err);
  if (r < 0) return hf_at_setting(err, top, top->line);
  if (m->recipients.n == 0) {
    hf_fail(err, HOLDFAST_E_CONFIG,
            "missing; give at least one OpenPGP key that data is encrypted to, and keep its private half elsewhere");
    return hf_at(err, top, top->line, "recipients");
  }
  m->host = dup_text(set, H_HOST);
  if (!m->host) {
    char name[HOST_NAME_MAX + 1] = "";
    if (gethostname(name, sizeof name - 1) != 0 || !hf_is_instance_name(name)) {
      hf_fail(err, HOLDFAST_E_CONFIG, "missing, and this machine's own name cannot serve; give a name");
      return hf_at(err, top, top->line, "host");
    }
    m->host = hf_strdup(name);
  }
  m->state = dup_text(set, H_STATE);
  m->time_zone = dup_text(set, H_TIME_ZONE);
  m->lock_wait = set->values[H_LOCK_WAIT].number;
  m->checkpoint = set->values[H_CHECKPOINT].number;
  m->rpo = set->values[H_RPO].number;
  m->rto = set->values[H_RTO].number;
  m->run_log_keep = set->values[H_RUN_LOG_KEEP].number;
  m->metrics_file = dup_text(set, H_METRICS_FILE);
  m->escrow = set->values[H_ESCROW].number != 0;
  m->safety_keep = set->values[H_SAFETY_KEEP].number;
  m->drill_keep = set->values[H_DRILL_KEEP].number;
  return 0;
}

/* ---- [source NAME], [target NAME] ---- */

/* The section's plugin, with the place in the error. */
static int find_plugin(const struct hf_raw_section *s, struct hf_registry *registry, const struct hf_plugin **out,
                       struct hf_error *err) {
  for (size_t i = 0; i < s->n; i++) {
    if (strcmp(s->keys[i].key, "plugin") != 0) continue;
    int r;
    if (*s->keys[i].value)
      r = hf_registry_get(registry, s->kind == HF_SECTION_SOURCE ? HF_SOURCE : HF_TARGET, s->keys[i].value, out, err);
    else
      r = hf_fail(err, HOLDFAST_E_CONFIG, "the value is empty; `holdfast plugins` lists those there are");
    return r < 0 ? hf_at(err, s, s->keys[i].line, "plugin") : 0;
  }
  hf_fail(err, HOLDFAST_E_CONFIG, "missing; `holdfast plugins` lists those there are");
  return hf_at(err, s, s->line, "plugin");
}

/* One key of a section: the host's, or the plugin's or type's. */
static int section_key(const struct hf_raw_section *s, const struct hf_raw_key *k, const char *known,
                       struct hf_settings *common, struct hf_settings *own, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *dir = dir_of(s->file);
  if (strcmp(k->key, "prefix") == 0 && !*k->value && s->kind == HF_SECTION_TARGET) return 0; /* says what is the default */
  if (hf_settings_knows(common, k->key)) return hf_settings_set(common, k->key, k->value, k->line, dir, err);
  if (!hf_settings_knows(own, k->key)) {
    const char *a = hf_settings_nearest(own, k->key), *b = hf_settings_nearest(common, k->key);
    if (a && b && hf_edit_distance(k->key, b) < hf_edit_distance(k->key, a)) a = b;
    return unknown_key(a ? a : b, known, err);
  }
  bool inline_before = own->inline_secret;
  int r = hf_settings_set(own, k->key, k->value, k->line, dir, err);
  if (r == 0 && own->inline_secret && !inline_before && (s->mode & 0044))
    r = hf_fail(err, HOLDFAST_E_CONFIG,
                "a secret in a file that others can read (mode %04o); chmod go-r the file, or use %s-file", (unsigned)s->mode,
                k->key);
  return r;
}

int hf_section_keys(const struct hf_raw_section *s, struct hf_settings *common, struct hf_settings *own, const char *known,
                    struct hf_error *err) {
  for (size_t i = 0; i < s->n; i++) {
    int r = section_key(s, &s->keys[i], known, common, own, err);
    if (r < 0) return hf_at(err, s, s->keys[i].line, s->keys[i].key);
  }
  int r = hf_settings_check(common, err);
  if (r == 0) r = hf_settings_check(own, err);
  return r < 0 ? hf_at_setting(err, s, s->line) : 0;
}

/* All keys of a source or target. *own is the plugin's settings, made here. */
static int section_keys(const struct hf_raw_section *s, struct hf_registry *registry, struct hf_settings *common,
                        const struct hf_plugin **plugin, struct hf_settings **own, struct hf_error *err) {
  int r = find_plugin(s, registry, plugin, err);
  if (r < 0) return r;
  *own = hf_settings_new((*plugin)->head->settings);
  HF_CLEANUP(hf_freep)
  char *known = hf_asprintf("`holdfast plugins %s` lists those of the plugin, holdfast.ini(5) the others", (*plugin)->head->name);
  return hf_section_keys(s, common, *own, known, err);
}

/* The commands of one hook: each has to be one. */
static int add_hook(const struct hf_raw_section *s, const struct holdfast_value *v, struct hf_list *out, struct hf_error *err) {
  for (uint32_t i = 0; i < v->count; i++) {
    HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
    if (hf_split_words(v->strings[i], &words, err) < 0) return hf_at(err, s, v->line, v->name);
    hf_list_add(out, v->strings[i]);
  }
  return 0;
}

static int build_source(const struct hf_manifest *m, const struct hf_settings *defaults, const struct hf_raw_section *s,
                        struct hf_registry *registry, struct hf_manifest_source *out, struct hf_error *err) {
  HF_CLEANUP(hf_settings_freep) struct hf_settings *common = hf_settings_new(source_table);
  const struct holdfast_value *v = common->values, *d = defaults->values;
  int r = section_keys(s, registry, common, &out->plugin, &out->settings, err);
  if (r < 0) return r;
  for (uint32_t i = 0; i < v[S_RECIPIENTS].count; i++) {
    r = add_recipients(v[S_RECIPIENTS].strings[i], &out->recipients, err);
    if (r < 0) return hf_at(err, s, v[S_RECIPIENTS].line, "recipients");
  }
  for (size_t i = 0; v[S_RECIPIENTS].count == 0 && i < m->recipients.n; i++) hf_list_add(&out->recipients, m->recipients.v[i]);
  out->compression = (int)HF_MIN(v[S_COMPRESSION].count ? v[S_COMPRESSION].number : d[H_COMPRESSION].number, 100);
  if (check_compression(out->compression, err) < 0) return hf_at(err, s, v[S_COMPRESSION].line, "compression");
  if (v[S_USER].count && check_user(text_of(common, S_USER), err) < 0) return hf_at(err, s, v[S_USER].line, "user");
  out->user = dup_text(common, S_USER);
  out->timeout = v[S_TIMEOUT].number;
  out->padding = (v[S_PADDING].count ? v[S_PADDING] : d[H_PADDING]).number != 0;
  out->hide_recipients = (v[S_HIDE].count ? v[S_HIDE] : d[H_HIDE]).number != 0;
  out->enabled = v[S_ENABLED].number != 0;
  out->rpo = (v[S_RPO].count ? v[S_RPO] : d[H_RPO]).number;
  out->rto = v[S_RTO].number;
  out->hook_timeout = v[S_HOOK_TIMEOUT].number;
  if (out->hook_timeout < 1 || out->hook_timeout > UINT_MAX) {
    hf_fail(err, HOLDFAST_E_CONFIG, "at least 1s: a command that never ends would hold up all runs");
    return hf_at(err, s, v[S_HOOK_TIMEOUT].line, "hook-timeout");
  }
  for (int i = 0; i < HF_HOOKS && r == 0; i++) r = add_hook(s, &v[S_HOOKS + i], &out->hooks[i], err);
  return r;
}

/* The rules of retention, and what is taken at all. */
static int build_keep(const struct hf_raw_section *s, const struct holdfast_value *v, struct hf_manifest_target *out, struct hf_error *err) {
  static const char *const takes[HF_PERIODS] = {"all", "hourly", "daily", "weekly", "monthly", "yearly"};
  struct hf_keep *k = &out->keep;
  for (int i = 0; i < HF_PERIODS; i++) {
    if (strcmp(v[T_TAKE].strings[0], takes[i]) == 0) out->take = (enum hf_period)i;
    const struct holdfast_value *n = &v[T_KEEP + i];
    if (!n->count) continue;
    if (n->number < 1 || n->number > KEEP_MAX) {
      hf_fail(err, HOLDFAST_E_CONFIG, "a number from 1 to %d; without the key there is no such rule", KEEP_MAX);
      return hf_at(err, s, n->line, n->name);
    }
    if (i == 0) k->last = (uint32_t)n->number;
    else k->every[i] = (uint32_t)n->number;
    k->any = true;
  }
  if (v[T_KEEP_WITHIN].count) {
    k->within = v[T_KEEP_WITHIN].number;
    k->any = true;
    if (k->within < 1) {
      hf_fail(err, HOLDFAST_E_CONFIG, "a time such as 7d; without the key there is no such rule");
      return hf_at(err, s, v[T_KEEP_WITHIN].line, v[T_KEEP_WITHIN].name);
    }
  }
  k->labelled = v[T_KEEP_LABELLED].count ? v[T_KEEP_LABELLED].number != 0 : true;
  if (v[T_KEEP_LABELLED].count && !k->any) {
    hf_fail(err, HOLDFAST_E_CONFIG, "means nothing here: without keep-last, keep-hourly, keep-daily, keep-weekly, keep-monthly, keep-yearly or keep-within the target keeps everything");
    return hf_at(err, s, v[T_KEEP_LABELLED].line, v[T_KEEP_LABELLED].name);
  }
  return 0;
}

/* What a target passes over comes to it from another one should it need it after all, so one has to take everything. */
static int check_takes(const struct hf_manifest *m, struct hf_error *err) {
  const struct hf_manifest_target *first = NULL;
  for (size_t i = 0; i < m->n_targets; i++) {
    if (!m->targets[i].enabled) continue;
    if (m->targets[i].take == HF_PERIOD_NONE) return 0;
    if (!first) first = &m->targets[i];
  }
  if (!first) return 0;
  return hf_fail(err, HOLDFAST_E_CONFIG, "%s:%u: [target %s] take: every target that is switched on takes only some snapshots, so others would go nowhere; let one take all", first->file, first->line, first->name);
}

/* What a URL of a proxy begins with; libcurl knows these. */
static bool is_proxy(const char *url) {
  static const char *const schemes[] = {"http://", "https://", "socks4://", "socks4a://", "socks5://", "socks5h://"};
  for (size_t i = 0; i < HF_NELEM(schemes); i++)
    if (strncmp(url, schemes[i], strlen(schemes[i])) == 0) return url[strlen(schemes[i])] != '\0' && !strpbrk(url, " \t");
  return false;
}

/* The way to the target: what the host lends the plugin, and how it calls it. */
static int build_way(const struct hf_raw_section *s, const struct hf_settings *common, struct hf_manifest_target *out, struct hf_error *err) {
  const struct holdfast_value *v = common->values;
  static const int limits[] = {T_LIMIT_UP, T_LIMIT_DOWN};
  const char *proxy = text_of(common, T_PROXY);
  if (proxy) out->proxy = hf_strdup(strcmp(proxy, "none") == 0 ? "" : proxy);
  if (proxy && *out->proxy && !is_proxy(proxy)) {
    hf_fail(err, HOLDFAST_E_CONFIG, "not a proxy's URL; write http://HOST:PORT (or https, socks4, socks4a, socks5, socks5h), or none");
    return hf_at(err, s, v[T_PROXY].line, "proxy");
  }
  /* A user and password may stand in it. */
  if (proxy && strchr(proxy, '@') && (s->mode & 0044)) {
    hf_fail(err, HOLDFAST_E_CONFIG, "a secret in a file that others can read (mode %04o); chmod go-r the file", (unsigned)s->mode);
    return hf_at(err, s, v[T_PROXY].line, "proxy");
  }
  out->ca_file = dup_text(common, T_CA_FILE);
  for (size_t i = 0; i < HF_NELEM(limits); i++)
    if (v[limits[i]].number != 0 && v[limits[i]].number < HF_LIMIT_MIN) {
      hf_fail(err, HOLDFAST_E_CONFIG, "at least 4K a second, or 0 for no limit");
      return hf_at(err, s, v[limits[i]].line, v[limits[i]].name);
    }
  out->limit_up = (uint64_t)v[T_LIMIT_UP].number;
  out->limit_down = (uint64_t)v[T_LIMIT_DOWN].number;
  out->deadline = v[T_DEADLINE].number;
  out->retries = (unsigned)HF_MIN(v[T_RETRIES].number, 1000);
  if (v[T_RETRIES].number > 100) {
    hf_fail(err, HOLDFAST_E_CONFIG, "at most 100; deadline says for how long");
    return hf_at(err, s, v[T_RETRIES].line, "retries");
  }
  if (v[T_PARALLEL].count && (v[T_PARALLEL].number < 1 || v[T_PARALLEL].number > 64)) {
    hf_fail(err, HOLDFAST_E_CONFIG, "1 to 64 calls at once");
    return hf_at(err, s, v[T_PARALLEL].line, "parallel");
  }
  out->parallel = v[T_PARALLEL].count ? (unsigned)v[T_PARALLEL].number : 0;
  return 0;
}

static int build_target(const struct hf_settings *defaults, const struct hf_raw_section *s, struct hf_registry *registry, struct hf_manifest_target *out,
                        struct hf_error *err) {
  HF_CLEANUP(hf_settings_freep) struct hf_settings *common = hf_settings_new(target_table);
  int r = section_keys(s, registry, common, &out->plugin, &out->settings, err);
  if (r < 0) return r;
  out->prefix = common->values[T_PREFIX].count ? dup_text(common, T_PREFIX) : hf_strdup("");
  if (*out->prefix && check_prefix(out->prefix, err) < 0) return hf_at(err, s, common->values[T_PREFIX].line, "prefix");
  out->enabled = common->values[T_ENABLED].number != 0;
  out->removable = common->values[T_REMOVABLE].number != 0;
  int k = build_way(s, common, out, err);
  if (k == 0) k = build_keep(s, common->values, out, err);
  /* What is away most of the time, or gets a snapshot a month, has an age of its own, if any. */
  bool own = common->values[T_RPO].count || out->removable || out->take != HF_PERIOD_NONE;
  out->rpo = own ? common->values[T_RPO].number : defaults->values[H_RPO].number;
  return k;
}

/* ---- [contact NAME] ---- */

/* There is no plugin behind it. A contact that cannot be reached helps nobody. */
static int build_contact(const struct hf_raw_section *s, struct hf_manifest_contact *out, struct hf_error *err) {
  HF_CLEANUP(hf_settings_freep) struct hf_settings *set = hf_settings_new(contact_table);
  for (size_t i = 0; i < s->n; i++) {
    const struct hf_raw_key *k = &s->keys[i];
    int r = hf_settings_knows(set, k->key) ? hf_settings_set(set, k->key, k->value, k->line, NULL, err)
                                           : unknown_key(hf_settings_nearest(set, k->key), "a contact has role, phone, email, priority, hours and note", err);
    if (r < 0) return hf_at(err, s, k->line, k->key);
  }
  int r = hf_settings_check(set, err);
  if (r < 0) return hf_at_setting(err, s, s->line);
  char **texts[] = {[C_ROLE] = &out->role, [C_PHONE] = &out->phone, [C_EMAIL] = &out->email, [C_HOURS] = &out->hours, [C_NOTE] = &out->note};
  for (int i = 0; i < (int)HF_NELEM(texts); i++)
    if (texts[i]) *texts[i] = dup_text(set, i);
  out->priority = set->values[C_PRIORITY].number;
  if (out->phone || out->email) return 0;
  hf_fail(err, HOLDFAST_E_CONFIG, "missing; say how to reach the contact: phone =, email =, or both");
  return hf_at(err, s, s->line, "phone");
}

/* By priority; those of one priority stay in the manifest's order. */
static void sort_contacts(struct hf_manifest *m) {
  for (size_t i = 1; i < m->n_contacts; i++)
    for (size_t k = i; k > 0 && m->contacts[k].priority < m->contacts[k - 1].priority; k--) {
      struct hf_manifest_contact swap = m->contacts[k];
      m->contacts[k] = m->contacts[k - 1];
      m->contacts[k - 1] = swap;
    }
}

/* ---- the whole ---- */

static const struct hf_raw_section *find_section(const struct hf_raw *raw, enum hf_section_kind kind, const char *name) {
  for (size_t i = 0; i < raw->n; i++)
    if (raw->sections[i].kind == kind && strcmp(raw->sections[i].name, name) == 0) return &raw->sections[i];
  return NULL;
}

/* Fetch the secrets of one section. After everything else is known to be right: a wrong manifest runs no command. */
static int fetch_secrets(const struct hf_raw *raw, struct hf_settings *set, enum hf_section_kind kind, const char *name,
                         struct hf_error *err) {
  int r = hf_settings_finish(set, err);
  const struct hf_raw_section *s = r < 0 ? find_section(raw, kind, name) : NULL;
  return s ? hf_at_setting(err, s, set->bad_line ? set->bad_line : s->line) : r;
}

static int build(struct hf_manifest *m, const struct hf_raw *raw, struct hf_registry *registry, enum hf_fetch fetch,
                 struct hf_error *err) {
  HF_CLEANUP(hf_settings_freep) struct hf_settings *top = hf_settings_new(holdfast_table);
  int r = build_holdfast(m, raw, m->file, top, fetch, err);
  if (r < 0) return r;
  m->sources = hf_allocn(raw->n, sizeof *m->sources);
  m->targets = hf_allocn(raw->n, sizeof *m->targets);
  m->notify = hf_allocn(raw->n, sizeof *m->notify);
  m->contacts = hf_allocn(raw->n, sizeof *m->contacts);
  for (size_t i = 0; i < raw->n; i++) {
    const struct hf_raw_section *s = &raw->sections[i];
    if (s->kind == HF_SECTION_SOURCE) {
      struct hf_manifest_source *out = &m->sources[m->n_sources++];
      out->name = hf_strdup(s->name);
      out->file = hf_strdup(s->file);
      out->line = s->line;
      r = build_source(m, top, s, registry, out, err);
    } else if (s->kind == HF_SECTION_TARGET) {
      struct hf_manifest_target *out = &m->targets[m->n_targets++];
      out->name = hf_strdup(s->name);
      out->file = hf_strdup(s->file);
      out->line = s->line;
      r = build_target(top, s, registry, out, err);
    } else if (s->kind == HF_SECTION_NOTIFY) {
      struct hf_manifest_notify *out = &m->notify[m->n_notify++];
      out->name = hf_strdup(s->name);
      out->file = hf_strdup(s->file);
      out->line = s->line;
      r = hf_build_notify(s, out, err);
    } else if (s->kind == HF_SECTION_CONTACT) {
      struct hf_manifest_contact *out = &m->contacts[m->n_contacts++];
      out->name = hf_strdup(s->name);
      r = build_contact(s, out, err);
    }
    if (r < 0) return r;
  }
  sort_contacts(m);
  if (m->n_sources == 0)
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: there is no [source NAME] section; at least one is needed", m->file);
  if (m->n_targets == 0)
    return hf_fail(err, HOLDFAST_E_CONFIG, "%s: there is no [target NAME] section; at least one is needed", m->file);
  if ((r = check_takes(m, err)) < 0) return r;
  for (size_t i = 0; fetch == HF_FETCH_ALL && r == 0 && i < m->n_sources; i++)
    if (m->sources[i].enabled) r = fetch_secrets(raw, m->sources[i].settings, HF_SECTION_SOURCE, m->sources[i].name, err);
  for (size_t i = 0; fetch == HF_FETCH_ALL && r == 0 && i < m->n_targets; i++)
    if (m->targets[i].enabled) r = fetch_secrets(raw, m->targets[i].settings, HF_SECTION_TARGET, m->targets[i].name, err);
  for (size_t i = 0; fetch != HF_FETCH_NONE && r == 0 && i < m->n_notify; i++) {
    struct hf_manifest_notify *n = &m->notify[i];
    struct hf_error e = {0};
    if (!n->enabled) continue;
    /* Nothing that is backed up needs it: it costs its own messages. */
    if (fetch_secrets(raw, n->settings, HF_SECTION_NOTIFY, n->name, &e) < 0) n->broken = hf_strdup(e.msg);
    else r = hf_finish_notify(find_section(raw, HF_SECTION_NOTIFY, n->name), n, err);
  }
  return r;
}

int hf_manifest_build(const struct hf_raw *raw, const char *file, struct hf_registry *registry, enum hf_fetch fetch,
                      struct hf_manifest **out, struct hf_error *err) {
  struct hf_manifest *m = hf_alloc(sizeof *m);
  m->file = hf_strdup(file);
  if (build(m, raw, registry, fetch, err) < 0) {
    hf_manifest_free(m);
    /* Whatever the cause (a file of a secret that is not there, a plugin that does not load): it is the manifest that is wrong. */
    if (err) err->code = HOLDFAST_E_CONFIG;
    return HOLDFAST_E_CONFIG;
  }
  *out = m;
  return 0;
}
