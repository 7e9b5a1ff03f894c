/* reach.c - which files a configuration names.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * `nginx -T` prints each file behind a line "# configuration file PATH:". A comment of the configuration can look like that, too; so
 * the text that follows is compared with the file itself, which tells where it ends, and that it is what nginx has just tested.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nginx.h"
#include "parse.h"

#define CONFIG_MAX ((size_t)64 << 20)
#define KEY_LOOK ((size_t)4 << 20) /* a certificate file larger than this is not looked into for a key */

enum what { CONFIG, CERT, KEY, FOLDER, LUA, LUA_PATH, NJS, MODULE };

/* Directives that name files. '*' in front: names that end so. word: which one, from 1; 0: the last. */
static const struct {
  const char *name;
  uint8_t word, what;
} rules[] = {
    {"*ssl_certificate", 1, CERT},     {"*ssl_certificate_key", 1, KEY},     {"*ssl_password_file", 1, KEY},
    {"*ssl_trusted_certificate", 1, CONFIG}, {"*ssl_client_certificate", 1, CONFIG}, {"*ssl_crl", 1, CONFIG},
    {"*ssl_dhparam", 1, CONFIG},       {"*ssl_session_ticket_key", 1, KEY},  {"*ssl_stapling_file", 1, CONFIG},
    {"ssl_ech_file", 1, KEY},          {"auth_basic_user_file", 1, KEY},     {"auth_jwt_key_file", 1, KEY},
    {"js_import", 0, NJS},             {"js_include", 1, NJS},               {"js_preload_object", 0, NJS},
    {"js_path", 1, FOLDER},            {"perl_modules", 1, FOLDER},          {"set_by_lua_file", 2, LUA},
    {"*_by_lua_file", 1, LUA},         {"lua_package_path", 1, LUA_PATH},    {"lua_package_cpath", 1, LUA_PATH},
    {"geoip_country", 1, CONFIG},      {"geoip_city", 1, CONFIG},            {"geoip_org", 1, CONFIG},
    {"geoip2", 1, CONFIG},             {"xslt_stylesheet", 1, CONFIG},       {"xml_entities", 1, CONFIG},
    {"modsecurity_rules_file", 1, CONFIG}, {"load_module", 1, MODULE},
};

/* In these blocks the lines are data, not directives. */
static const char *const data_blocks[] = {"map", "geo", "types", "split_clients", "charset_map"};

struct reach {
  const struct holdfast_host *host;
  const struct holdfast_value *values;
  const char *root;
  char *conf_prefix, *prefix; /* folders that relative names are in; prefix is looked up when first needed */
  struct hf_nginx_reach *out;
  struct hfp_set js_paths;
  const char *file; /* being parsed */
  int rc;           /* a status that ended it */
};

static int failed(struct reach *r, int negative_errno, const char *what) { return r->rc = hfp_fail_errno(r->host, negative_errno, what); }

/* Something a directive names that cannot be had: the source goes on without it. */
static void lacking(struct reach *r, const struct hf_nginx_directive *d, const char *path, const char *why) {
  r->out->problems++;
  hfp_problem(r->host, path, strcmp(why, strerror(EACCES)) == 0 ? HOLDFAST_E_AUTH : HOLDFAST_E_NOT_FOUND, "%s; %s names it (%s:%u)", why,
              d->words[0], r->file, d->line);
}

/* Does the file hold a private key? One file for certificate and key is usual. */
static bool holds_key(const char *path) {
  char *text = NULL;
  size_t n = 0;
  if (hfp_slurp(path, KEY_LOOK, &text, &n) < 0) return false;
  bool yes = memmem(text, n, "PRIVATE KEY-----", 16) != NULL;
  explicit_bzero(text, n);
  free(text);
  return yes;
}

/* The file or folder at path (absolute, below root). 0, or -errno when it is not there or cannot be read. */
static int take(struct reach *r, const char *path, enum what what) {
  char *real = NULL;
  struct stat st;
  int e = hfp_trail(&r->out->files, r->root, path, &real, &st);
  if (e == 0 && what == FOLDER) {
    e = S_ISDIR(st.st_mode) ? hfp_set_add(&r->out->folders, real) : -ENOTDIR;
  } else if (e == 0) {
    if (!S_ISREG(st.st_mode)) e = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    else if (access(real, R_OK) != 0) e = -errno;
    else e = hfp_set_add(what == KEY || (what == CERT && holds_key(real)) ? &r->out->keys : &r->out->files, real);
  }
  free(real);
  return e;
}

static bool is_fatal(int e) { return e == -ENOMEM || e == -E2BIG; }

/* name in the folder; -errno as take. */
static int take_in(struct reach *r, const char *folder, const char *name, enum what what) {
  char *path = NULL;
  if (!folder) return -ENOENT;
  if (asprintf(&path, "%s/%s", folder, name) < 0) return -ENOMEM;
  int e = take(r, path, what);
  free(path);
  return e;
}

static const char *prefix_of(struct reach *r) {
  if (!r->prefix) r->prefix = hf_nginx_prefix(r->host, r->values);
  return r->prefix;
}

/* A name as the directive has it. Most are relative to the folder of the configuration, those of Lua to the prefix; modules of njs
 * are looked for in js_path as well. */
static int name(struct reach *r, const struct hf_nginx_directive *d, const char *s, enum what what) {
  static const char *const schemes[] = {"data:", "engine:", "store:"};
  if (!*s) return 0;
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
    if (strncmp(s, schemes[i], strlen(schemes[i])) == 0) return 0;
  if (strchr(s, '$')) {
    lacking(r, d, s, "a name that depends on the request cannot be followed; take its folder with a files source");
    return 0;
  }
  int e;
  if (*s == '/') {
    e = take(r, s, what);
  } else {
    e = take_in(r, what == LUA ? prefix_of(r) : r->conf_prefix, s, what);
    for (size_t i = 0; e == -ENOENT && what == NJS && i < r->js_paths.n; i++) e = take_in(r, r->js_paths.v[i], s, what);
    if (e == -ENOENT) e = take_in(r, what == LUA ? r->conf_prefix : prefix_of(r), s, what);
  }
  if (is_fatal(e)) return failed(r, e, s);
  if (e < 0) lacking(r, d, s, strerror(-e));
  return 0;
}

/* "/etc/nginx/lua/?.lua;/usr/share/lua/5.1/?.lua;;": the folders, but for those of packages. */
static int lua_path(struct reach *r, const struct hf_nginx_directive *d, const char *s) {
  int rc = 0;
  while (rc == 0 && *s) {
    size_t n = strcspn(s, ";"), mark = strcspn(s, ";?");
    bool packaged = strncmp(s, "/usr/share/", 11) == 0 || strncmp(s, "/usr/lib/", 9) == 0 || strncmp(s, "/usr/local/share/", 17) == 0 ||
                    strncmp(s, "/usr/local/lib/", 15) == 0;
    while (mark > 1 && s[mark - 1] != '/') mark--;
    if (mark > 1 && mark < n && *s == '/' && !packaged) {
      char *folder = strndup(s, mark - 1);
      rc = folder ? name(r, d, folder, FOLDER) : failed(r, -ENOMEM, "lua_package_path");
      free(folder);
    }
    s += n + (s[n] == ';');
  }
  return rc;
}

static int js_path(struct reach *r, const struct hf_nginx_directive *d, const char *s) {
  char *full = NULL;
  if (strchr(s, '$')) return 0; /* name tells of it */
  if (asprintf(&full, "%s%s%s", *s == '/' ? "" : r->conf_prefix, *s == '/' ? "" : "/", s) < 0) return failed(r, -ENOMEM, d->words[0]);
  int e = hfp_set_add(&r->js_paths, full);
  free(full);
  return e < 0 ? failed(r, e, d->words[0]) : 0;
}

static bool fits(const char *rule, const char *s) {
  if (*rule != '*') return strcmp(rule, s) == 0;
  size_t n = strlen(s), k = strlen(rule + 1);
  return n >= k && strcmp(s + n - k, rule + 1) == 0 && (n == k || s[n - k - 1] == '_' || rule[1] == '_');
}

static int directive(void *ctx, const struct hf_nginx_directive *d) {
  struct reach *r = ctx;
  for (size_t i = 0; i < sizeof data_blocks / sizeof *data_blocks; i++)
    if (strcmp(d->parent, data_blocks[i]) == 0) return 0;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    if (!fits(rules[i].name, d->words[0])) continue;
    size_t w = rules[i].word ? rules[i].word : d->n - 1;
    if (w == 0 || w >= d->n) return 0;
    const char *s = d->words[w];
    int e;
    switch (rules[i].what) {
    case MODULE: return (e = hfp_set_add(&r->out->modules, s)) < 0 ? failed(r, e, s) : 0;
    case LUA_PATH: return lua_path(r, d, s);
    case FOLDER:
      if (strcmp(d->words[0], "js_path") == 0 && (e = js_path(r, d, s)) < 0) return e;
      return name(r, d, s, FOLDER);
    default: return name(r, d, s, rules[i].what);
    }
  }
  return 0;
}

/* A link into sites-available: the folder is taken whole, with the sites that are switched off. */
static int sites(struct reach *r, const char *path) {
  struct hfp_set links = {0};
  char *real = NULL;
  struct stat st;
  int e = hfp_trail(&links, r->root, path, &real, &st);
  if (e == 0 && links.n > 0) {
    char *slash = strrchr(real, '/');
    *slash = '\0';
    const char *base = strrchr(real, '/');
    if (base && strcmp(base, "/sites-available") == 0 && strlen(real) > strlen(r->root)) e = hfp_set_add(&r->out->folders, real);
  }
  hfp_set_free(&links);
  free(real);
  return is_fatal(e) ? failed(r, e, path) : 0;
}

/* The file at path, whose text the dump has at p (n bytes are left). Returns its length, or a negative status. */
static int64_t one_file(struct reach *r, const char *path, const char *p, size_t n) {
  char *text = NULL, *real = NULL;
  size_t len = 0;
  struct stat st;
  int64_t rc = 0;
  /* Where the path really leads below root, so that no link of a copy leads out of it. */
  int e = hfp_trail(&r->out->files, r->root, path, &real, &st);
  if (e == 0) e = hfp_slurp(real, CONFIG_MAX, &text, &len);
  if (e == 0 && (len > n || memcmp(text, p, len) != 0))
    rc = holdfast_fail(r->host, HOLDFAST_E_TRANSIENT, "%s changed while nginx read it; the configuration is being edited", path);
  else if (e < 0) rc = failed(r, e, path);
  if (rc == 0 && (e = take(r, path, CONFIG)) < 0) rc = failed(r, e, path);
  if (rc == 0) rc = sites(r, path);
  if (rc == 0) {
    struct hf_nginx_error err;
    r->file = path;
    e = hf_nginx_parse(text, len, directive, r, &err);
    if (e == HF_NGINX_NO_MEMORY) rc = failed(r, -ENOMEM, path);
    else if (e == HF_NGINX_SYNTAX) {
      /* nginx took it, so it is a module's own syntax: kept as it is, but not followed from here on. */
      r->out->problems++;
      hfp_problem(r->host, path, HOLDFAST_E_UNSUPPORTED, "line %u: %s; the files that the rest of it names are not kept", err.line, err.what);
    } else if (e < 0) rc = e;
  }
  free(text);
  free(real);
  return rc < 0 ? rc : (int64_t)len;
}

static int whole_dump(struct reach *r, const char *p, size_t n) {
  static const char mark[] = "# configuration file ";
  size_t files = 0;
  while (n > 0) {
    const char *nl = memchr(p, '\n', n);
    if (*p == '\n') { /* between two files */
      p++;
      n--;
      continue;
    }
    if (!nl || (size_t)(nl - p) < sizeof mark + 1 || memcmp(p, mark, sizeof mark - 1) != 0 || nl[-1] != ':')
      return holdfast_fail(r->host, HOLDFAST_E_FAILED, "nginx -T: its output is not understood: \"%.60s\"", p);
    char *path = strndup(p + sizeof mark - 1, (size_t)(nl - p) - sizeof mark);
    if (!path) return failed(r, -ENOMEM, "nginx -T");
    n -= (size_t)(nl - p) + 1;
    p = nl + 1;
    int64_t len = one_file(r, path, p, n);
    free(path);
    if (len < 0) return (int)len;
    p += len;
    n -= (size_t)len;
    files++;
  }
  return files ? 0 : holdfast_fail(r->host, HOLDFAST_E_FAILED, "nginx -T printed nothing");
}

int hf_nginx_reach(const struct holdfast_host *host, const struct holdfast_value *values, const char *root, const char *dump, size_t n,
                   struct hf_nginx_reach *out) {
  const char *config = values[HF_NGINX_CONFIG].strings[0];
  *out = (struct hf_nginx_reach){0};
  struct reach r = {.host = host, .values = values, .root = root, .out = out, .file = config};
  r.conf_prefix = strndup(config, (size_t)(strrchr(config, '/') - config));
  int rc = r.conf_prefix ? whole_dump(&r, dump, n) : failed(&r, -ENOMEM, config);
  free(r.conf_prefix);
  free(r.prefix);
  hfp_set_free(&r.js_paths);
  if (rc < 0) hf_nginx_reach_free(out);
  return rc;
}

void hf_nginx_reach_free(struct hf_nginx_reach *r) {
  hfp_set_free(&r->files);
  hfp_set_free(&r->keys);
  hfp_set_free(&r->folders);
  hfp_set_free(&r->modules);
  *r = (struct hf_nginx_reach){0};
}
