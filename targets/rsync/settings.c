/* settings.c - the rsync target: what the settings say, made into the words of command lines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rsync.h"

const struct holdfast_setting hf_rsync_settings[] = {
    {"host", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "The machine the objects go to, by name or address"},
    {"path", HOLDFAST_STRING, 0, NULL, NULL, "The folder there, from the login's home folder unless absolute; with module, a folder in the module"},
    {"module", HOLDFAST_STRING, 0, NULL, NULL, "The module of an rsync daemon; without it, ssh is used"},
    {"username", HOLDFAST_STRING, 0, NULL, NULL, "The account at the far end"},
    {"port", HOLDFAST_INT, 0, NULL, NULL, "The port of ssh or of the daemon, if not the usual one"},
    {"identity-file", HOLDFAST_PATH, 0, NULL, NULL, "The private key ssh logs in with, and no other"},
    {"known-hosts", HOLDFAST_PATH, 0, NULL, NULL, "The file of host keys that ssh trusts, and no other"},
    {"ssh-options", HOLDFAST_STRING, HOLDFAST_LIST, NULL, NULL, "An option as ssh -o takes it"},
    {"password", HOLDFAST_SECRET, 0, NULL, NULL, "The password of username at a daemon"},
    {"rsync-program", HOLDFAST_STRING, 0, "rsync", NULL, "The rsync of this host"},
    {"remote-rsync", HOLDFAST_STRING, 0, NULL, NULL, "The rsync at the far end of ssh, if it is not found by its name"},
    {"spool", HOLDFAST_PATH, 0, NULL, NULL, "A folder for objects on their way; default: TMPDIR or /tmp"},
    {"connections", HOLDFAST_INT, 0, "4", NULL, "How many objects are written or read at once"},
    {"fsync", HOLDFAST_CHOICE, 0, "full", "full|none", "Whether an object is on the far end's disk for good before it counts as stored"},
    {"io-timeout", HOLDFAST_DURATION, 0, "5m", NULL, "Give a transfer up when nothing has come or gone for this long"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

/* ---- words ---- */

void hf_rsync_word(struct hf_rsync_words *w, const char *fmt, ...) {
  if (w->n + 2 > w->cap && !w->failed) {
    size_t cap = w->cap ? 2 * w->cap : 32;
    char **v = realloc(w->v, cap * sizeof *v);
    w->failed = !v;
    if (v) {
      w->v = v;
      w->cap = cap;
    }
  }
  if (w->failed) return;
  va_list ap;
  va_start(ap, fmt);
  w->failed = vasprintf(&w->v[w->n], fmt, ap) < 0;
  va_end(ap);
  if (!w->failed) w->n++;
  w->v[w->n] = NULL;
}

void hf_rsync_words_free(struct hf_rsync_words *w) {
  for (size_t i = 0; i < w->n; i++) {
    explicit_bzero(w->v[i], strlen(w->v[i])); /* one of them may be a password */
    free(w->v[i]);
  }
  free(w->v);
  *w = (struct hf_rsync_words){0};
}

char *hf_rsync_join(const struct hf_rsync_words *w) {
  size_t n = 1;
  for (size_t i = 0; i < w->n; i++) n += 2 * strlen(w->v[i]) + 3;
  char *text = malloc(n), *to = text;
  if (!text) return NULL;
  /* rsync knows quotes but no backslash: '...' is one word, and '' in it is a quote. */
  for (size_t i = 0; i < w->n; i++) {
    if (i > 0) *to++ = ' ';
    *to++ = '\'';
    for (const char *from = w->v[i]; *from; from++) {
      if (*from == '\'') *to++ = '\'';
      *to++ = *from;
    }
    *to++ = '\'';
  }
  *to = '\0';
  return text;
}

/* ---- what is wrong with a value ---- */

static const char *text(const struct holdfast_value *v) { return v->count ? v->strings[0] : NULL; }

/* Only characters that mean themselves to ssh, to rsync and to a shell at the far end. */
static int check_plain(const struct hf_rsync *t, const struct holdfast_value *v, const char *allowed) {
  const char *s = text(v);
  if (!s) return HOLDFAST_OK;
  size_t good = strspn(s, allowed);
  if (*s == '\0') return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s is empty", v->name);
  if (*s == '-') return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s = %s: it may not begin with a hyphen", v->name, s);
  if (s[good] == '\0') return HOLDFAST_OK;
  if ((unsigned char)s[good] > 0x20 && (unsigned char)s[good] < 0x7f)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s = %s: the character %c may not be in it", v->name, s, s[good]);
  return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s: blanks, control and non-ASCII characters may not be in it", v->name);
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* ssh-options may not undo what keeps the connection safe and alone. The name ends at a blank or '='. */
static int check_ssh_option(const struct hf_rsync *t, const char *s) {
  static const char *const ours[] = {"StrictHostKeyChecking", "BatchMode",    "ControlMaster",      "ControlPath",
                                     "ControlPersist",        "LocalCommand", "PermitLocalCommand", "NoHostAuthenticationForLocalhost",
                                     "RemoteCommand",         "SessionType"};
  size_t n = strcspn(s, " =\t");
  if (n == 0 || s[n] == '\0')
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "ssh-options = %s: an option and its value are wanted, as in ProxyJump=gate.example.com", s);
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strlen(ours[i]) == n && strncasecmp(s, ours[i], n) == 0)
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "ssh-options = %s: %s is set by holdfast and may not be changed", s, ours[i]);
  return HOLDFAST_OK;
}

static int check_file(const struct hf_rsync *t, const struct holdfast_value *v) {
  const char *s = text(v);
  if (!s || (!strpbrk(s, "\"\\\n") && *s)) return HOLDFAST_OK;
  return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s: quotes, backslashes and line ends may not be in it", v->name);
}

/* Settings that go together, or do not. */
static int check_sense(const struct hf_rsync *t, const struct holdfast_value *v) {
  static const int ssh_only[] = {HF_RSYNC_IDENTITY, HF_RSYNC_KNOWN_HOSTS, HF_RSYNC_SSH_OPTIONS, HF_RSYNC_REMOTE};
  int64_t port = v[HF_RSYNC_PORT].number, connections = v[HF_RSYNC_CONNECTIONS].number, wait = v[HF_RSYNC_IO_TIMEOUT].number;
  bool daemon = v[HF_RSYNC_MODULE].count > 0;
  if (!daemon && !v[HF_RSYNC_PATH].count) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "either path (over ssh) or module (of an rsync daemon) is wanted");
  for (size_t i = 0; daemon && i < sizeof ssh_only / sizeof *ssh_only; i++)
    if (v[ssh_only[i]].count)
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s is for ssh, and module means an rsync daemon: set one of the two", v[ssh_only[i]].name);
  if (!daemon && v[HF_RSYNC_PASSWORD].count)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "password is for an rsync daemon, and there is no module: over ssh a key logs in, see identity-file");
  if (v[HF_RSYNC_PASSWORD].count && !v[HF_RSYNC_USERNAME].count) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "there is a password, but no username");
  if (v[HF_RSYNC_PORT].count && (port < 1 || port > 65535))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "port = %lld: 1 to 65535 is wanted", (long long)port);
  if (connections < 1 || connections > HF_RSYNC_SLOTS)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "connections = %lld: 1 to %d is wanted", (long long)connections, HF_RSYNC_SLOTS);
  if (wait < 5 || wait > 86400) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "io-timeout = %llds: 5s to 24h is wanted", (long long)wait);
  return HOLDFAST_OK;
}

static int check(const struct hf_rsync *t, const struct holdfast_value *v) {
  int rc = check_plain(t, &v[HF_RSYNC_HOST], ALNUM ".:_-");
  if (rc == 0) rc = check_plain(t, &v[HF_RSYNC_PATH], ALNUM "/._+=,@:%-");
  if (rc == 0) rc = check_plain(t, &v[HF_RSYNC_MODULE], ALNUM "._+-");
  if (rc == 0) rc = check_plain(t, &v[HF_RSYNC_USERNAME], ALNUM "._+-");
  if (rc == 0) rc = check_plain(t, &v[HF_RSYNC_REMOTE], ALNUM " /._+-");
  if (rc == 0) rc = check_plain(t, &v[HF_RSYNC_PROGRAM], ALNUM "/._+-");
  if (rc == 0) rc = check_file(t, &v[HF_RSYNC_IDENTITY]);
  if (rc == 0) rc = check_file(t, &v[HF_RSYNC_KNOWN_HOSTS]);
  for (uint32_t i = 0; rc == 0 && i < v[HF_RSYNC_SSH_OPTIONS].count; i++) rc = check_ssh_option(t, v[HF_RSYNC_SSH_OPTIONS].strings[i]);
  return rc ? rc : check_sense(t, v);
}

/* ---- command lines ---- */

/* An option whose value is a file, in which ssh would replace %h and the like. */
static void add_file_option(struct hf_rsync_words *w, const char *name, const char *path) {
  char *doubled = malloc(2 * strlen(path) + 1), *to = doubled;
  w->failed = w->failed || !doubled;
  for (const char *from = path; doubled && *from; from++) {
    if (*from == '%') *to++ = '%';
    *to++ = *from;
  }
  if (doubled) *to = '\0';
  hf_rsync_word(w, "-o");
  hf_rsync_word(w, "%s=\"%s\"", name, doubled ? doubled : "");
  free(doubled);
}

/* ssh takes the first value it is given for an option: what may not be changed comes first. */
static void make_ssh(struct hf_rsync *t, const struct holdfast_value *v) {
  static const char *const fixed[] = {"BatchMode=yes",         "StrictHostKeyChecking=yes", "ConnectTimeout=30", "ServerAliveInterval=15",
                                      "ServerAliveCountMax=4", "ControlPath=connection",    "ControlPersist=no", "ForwardAgent=no",
                                      "ForwardX11=no",         "ClearAllForwardings=yes",   "RequestTTY=no",     "UpdateHostKeys=no",
                                      "LogLevel=INFO"};
  struct hf_rsync_words *w = &t->ssh;
  hf_rsync_word(w, "ssh");
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
    hf_rsync_word(w, "-o");
    hf_rsync_word(w, "%s", fixed[i]);
  }
  if (v[HF_RSYNC_PORT].count) {
    hf_rsync_word(w, "-p");
    hf_rsync_word(w, "%lld", (long long)v[HF_RSYNC_PORT].number);
  }
  if (v[HF_RSYNC_IDENTITY].count) {
    add_file_option(w, "IdentityFile", text(&v[HF_RSYNC_IDENTITY]));
    hf_rsync_word(w, "-o");
    hf_rsync_word(w, "IdentitiesOnly=yes");
  }
  if (v[HF_RSYNC_KNOWN_HOSTS].count) {
    add_file_option(w, "UserKnownHostsFile", text(&v[HF_RSYNC_KNOWN_HOSTS]));
    hf_rsync_word(w, "-o");
    hf_rsync_word(w, "GlobalKnownHostsFile=/dev/null");
  }
  for (uint32_t i = 0; i < v[HF_RSYNC_SSH_OPTIONS].count; i++) {
    hf_rsync_word(w, "-o");
    hf_rsync_word(w, "%s", v[HF_RSYNC_SSH_OPTIONS].strings[i]);
  }
}

/* What rsync runs: it joins the shared connection, or makes one of its own while there is none. */
static char *make_rsh(const struct hf_rsync *t) {
  char *joined = hf_rsync_join(&t->ssh), *rsh = NULL;
  if (joined && asprintf(&rsh, "%s -o ControlMaster=no", joined) < 0) rsh = NULL;
  free(joined);
  return rsh;
}

/* What rsync, ssh and their messages depend on is the same whoever calls; what would change rsync's ways is taken out. An empty password where there is none
 * keeps rsync from asking for one at the terminal. */
static void make_env(struct hf_rsync *t, const struct holdfast_value *v) {
  static const char *const words[] = {
      "LC_ALL=C",          "TZ=UTC",          "SHELL=/bin/sh",       "RSYNC_RSH",           "RSYNC_PROTECT_ARGS", "RSYNC_OLD_ARGS", "RSYNC_ICONV",
      "RSYNC_PARTIAL_DIR", "RSYNC_MAX_ALLOC", "RSYNC_CHECKSUM_LIST", "RSYNC_COMPRESS_LIST", "CVSIGNORE"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) hf_rsync_word(&t->env, "%s", words[i]);
  hf_rsync_word(&t->env, "RSYNC_PASSWORD=%s", v[HF_RSYNC_PASSWORD].count ? text(&v[HF_RSYNC_PASSWORD]) : "");
}

/* host in brackets if it is an IPv6 address, path without slashes at its ends (one at the beginning stays). */
static bool make_names(struct hf_rsync *t, const struct holdfast_value *v) {
  const char *host = text(&v[HF_RSYNC_HOST]), *user = text(&v[HF_RSYNC_USERNAME]), *path = v[HF_RSYNC_PATH].count ? text(&v[HF_RSYNC_PATH]) : "",
             *module = text(&v[HF_RSYNC_MODULE]);
  const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "", *at = user ? "@" : "";
  char port[16] = "";
  size_t n = strlen(path);
  while (n > 0 && path[n - 1] == '/') n--;
  if (n == 0 && !module && *path == '/') n = 1;
  while (module && n > 0 && *path == '/') path++, n--;
  const char *slash = n == 0 || path[n - 1] == '/' ? "" : "/";
  if (v[HF_RSYNC_PORT].count) snprintf(port, sizeof port, ":%d", (int)v[HF_RSYNC_PORT].number);
  user = user ? user : "";
  if (asprintf(&t->login, "%s%s%s", user, at, host) < 0) return false;
  if (!module)
    return asprintf(&t->dest, "%s%s%s%s%s:%.*s%s", user, at, open, host, close, (int)n, path, slash) >= 0 &&
           asprintf(&t->where, "%s:%.*s", host, (int)n, path) >= 0;
  return asprintf(&t->dest, "rsync://%s%s%s%s%s%s/%s/%.*s%s", user, at, open, host, close, port, module, (int)n, path, slash) >= 0 &&
         asprintf(&t->where, "rsync://%s%s%s%s/%s%s%.*s", open, host, close, port, module, n ? "/" : "", (int)n, path) >= 0;
}

int hf_rsync_configure(struct hf_rsync *t, const struct holdfast_value *v) {
  int rc = check(t, v);
  if (rc < 0) return rc;
  const char *tmp = getenv("TMPDIR"), *spool = v[HF_RSYNC_SPOOL].count ? text(&v[HF_RSYNC_SPOOL]) : tmp && *tmp == '/' ? tmp : "/tmp";
  t->daemon = v[HF_RSYNC_MODULE].count > 0;
  t->fsync = strcmp(text(&v[HF_RSYNC_FSYNC]), "none") != 0;
  t->connections = (unsigned)v[HF_RSYNC_CONNECTIONS].number;
  t->io_timeout = (unsigned)v[HF_RSYNC_IO_TIMEOUT].number;
  t->program = strdup(text(&v[HF_RSYNC_PROGRAM]));
  t->remote = v[HF_RSYNC_REMOTE].count ? strdup(text(&v[HF_RSYNC_REMOTE])) : NULL;
  t->spool_parent = strdup(spool);
  if (!t->daemon) {
    make_ssh(t, v);
    t->rsh = t->ssh.failed ? NULL : make_rsh(t);
  }
  make_env(t, v);
  if (!make_names(t, v) || !t->program || !t->spool_parent || t->env.failed || (v[HF_RSYNC_REMOTE].count && !t->remote) || (!t->daemon && !t->rsh))
    return hf_rsync_no_memory(t);
  return HOLDFAST_OK;
}
