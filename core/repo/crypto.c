/* crypto.c - GnuPG homes: opening, closing, gpgme contexts.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "repo/crypto_internal.h"

extern char **environ;

/* For what gpgme does in a host's home, and for people who run gpg there by hand: the shape hf_openpgp_check_shape wants. */
static const char host_conf[] = "# Written by holdfast. Messages must be readable by every OpenPGP program.\n"
                                "rfc4880\n"
                                "cipher-algo AES256\n"
                                "digest-algo SHA512\n"
                                "compress-algo none\n"
                                "no-auto-check-trustdb\n"
                                "no-auto-key-locate\n"
                                "no-auto-key-retrieve\n"
                                "trust-model always\n";

static pthread_once_t gpgme_once = PTHREAD_ONCE_INIT;
static void gpgme_start(void) {
  /* gpg is the one on PATH, as for every gpg that is run without gpgme; asking gpgconf for it costs three processes. */
  gpgme_set_global_flag("disable-gpgconf", "1");
  gpgme_check_version(NULL);
}

int hf_gpg_fail(struct hf_error *err, gpgme_error_t e, const char *fmt, ...) {
  char what[512], why[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  gpgme_strerror_r(e, why, sizeof why);
  int code = HOLDFAST_E_FAILED;
  switch (gpgme_err_code(e)) {
  case GPG_ERR_NO_PUBKEY:
  case GPG_ERR_NO_SECKEY:
  case GPG_ERR_UNUSABLE_PUBKEY:
  case GPG_ERR_UNUSABLE_SECKEY:
  case GPG_ERR_BAD_PASSPHRASE:
  case GPG_ERR_CANCELED: code = HOLDFAST_E_AUTH; break;
  case GPG_ERR_ENOSPC: code = HOLDFAST_E_NO_SPACE; break;
  default: break;
  }
  return hf_fail(err, code, "%s: %s", what, why);
}

void hf_gpgme_data_releasep(gpgme_data_t *d) {
  if (*d) gpgme_data_release(*d);
}

void hf_gpgme_keyp(gpgme_key_t *k) {
  if (*k) gpgme_key_unref(*k);
}

static int new_context(const char *home, gpgme_ctx_t *out, struct hf_error *err) {
  gpgme_ctx_t c = NULL;
  gpgme_error_t e = gpgme_new(&c);
  if (!e && home) e = gpgme_ctx_set_engine_info(c, GPGME_PROTOCOL_OpenPGP, NULL, home);
  if (e) {
    if (c) gpgme_release(c);
    return hf_gpg_fail(err, e, "gpgme");
  }
  gpgme_set_offline(c, 1);
  *out = c;
  return 0;
}

int hf_gpg_lend(struct hf_gpg *g, const char *home, struct hf_gpg_lent *out, struct hf_error *err) {
  bool own = home == g->home;
  *out = (struct hf_gpg_lent){own ? g : NULL, NULL};
  if (own) {
    pthread_mutex_lock(&g->lock);
    out->c = g->idle;
    g->idle = NULL;
    pthread_mutex_unlock(&g->lock);
  }
  return out->c ? 0 : new_context(home, &out->c, err);
}

void hf_gpg_give_back(struct hf_gpg_lent *l) {
  if (!l->c) return;
  gpgme_set_armor(l->c, 0);
  if (l->g) {
    pthread_mutex_lock(&l->g->lock);
    gpgme_ctx_t other = l->g->idle;
    l->g->idle = l->c;
    pthread_mutex_unlock(&l->g->lock);
    l->c = other;
  }
  if (l->c) gpgme_release(l->c);
  l->c = NULL;
}

/* gpgconf writes paths percent-escaped. */
static void percent_decode(char *s) {
  char *to = s;
  for (const char *p = s; *p && *p != '\n'; p++) {
    unsigned v;
    if (*p == '%' && sscanf(p + 1, "%2x", &v) == 1) {
      *to++ = (char)v;
      p += 2;
    } else {
      *to++ = *p;
    }
  }
  *to = '\0';
}

/* gpgconf, asked for the place of a home's agent: it answers while gpg is asked other things. */
struct asked {
  struct hf_child child;
  int out; /* a memory file */
  int r;
  struct hf_error err;
};

static void ask_for_socket(const char *home, struct asked *q) {
  const char *const argv[] = {"gpgconf", "--homedir", home, "--list-dirs", "agent-socket", NULL};
  *q = (struct asked){.out = -1};
  q->r = q->out = hf_memfd("gpgconf", &q->err);
  if (q->r >= 0) q->r = hf_spawn((char *const *)argv, NULL, -1, q->out, -1, -1, &q->child, &q->err);
}

/* *path gets what it said; "" when it said nothing. */
static int get_answer(struct asked *q, char *path, size_t room, struct hf_error *err) {
  int code = 0;
  ssize_t n = 0;
  if (q->r == 0) q->r = hf_wait(&q->child, 30, &code, &q->err);
  if (q->r == 0 && code == 0) n = pread(q->out, path, room - 1, 0);
  hf_closep(&q->out);
  path[HF_MAX(n, 0)] = '\0';
  percent_decode(path);
  return q->r < 0 ? hf_fail(err, q->r, "gpgconf: %s", q->err.msg) : 0;
}

/* Where the home's agent listens: too long a path fails later with a message nobody understands. Also: is one there already? */
static int look_for_agent(struct hf_gpg *g, struct asked *q, struct hf_error *err) {
  char path[PATH_MAX + 1];
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int r = get_answer(q, path, sizeof path, err);
  if (r < 0 || !*path) return r;
  size_t n = strlen(path);
  if (n >= sizeof a.sun_path)
    return hf_fail(err, HOLDFAST_E_CONFIG, "the path of the GnuPG home %s is too long for its agent's socket (%zu bytes of %zu): use a shorter one", g->home, n, sizeof a.sun_path - 1);
  memcpy(a.sun_path, path, n + 1);
  g->agent_socket = hf_strdup(path);
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return 0;
  g->agent_before = connect(s, (struct sockaddr *)&a, sizeof a) == 0;
  close(s);
  return 0;
}

static int prepare_home(const char *home, bool create, struct hf_error *err) {
  HF_CLEANUP(hf_freep) char *conf = hf_path_join(home, "gpg.conf");
  struct stat st;
  int r;
  if (home[0] != '/') return hf_fail(err, HOLDFAST_E_CONFIG, "the GnuPG home %s is not an absolute path", home);
  if (create && (r = hf_mkdir_p(home, 0700, err)) < 0) return hf_prefix(err, "the GnuPG home");
  if (stat(home, &st) < 0) return hf_fail_errno(err, errno, "the GnuPG home %s", home);
  if (!S_ISDIR(st.st_mode)) return hf_fail(err, HOLDFAST_E_CONFIG, "the GnuPG home %s is not a folder", home);
  if (create && access(conf, F_OK) < 0) return hf_write_file_atomic(conf, host_conf, sizeof host_conf - 1, 0600, err);
  return 0;
}

/* gpg is started with memory files, so it cannot find the terminal by itself; pinentry needs to be told. */
static char **with_terminal(void) {
  const char *tty = getenv("GPG_TTY") ? NULL : ttyname(STDIN_FILENO);
  size_t n = 0;
  if (!tty) return NULL;
  while (environ[n]) n++;
  char **env = hf_allocn(n + 2, sizeof *env);
  for (size_t i = 0; i < n; i++) env[i] = hf_strdup(environ[i]);
  env[n] = hf_asprintf("GPG_TTY=%s", tty);
  return env;
}

static int check_engine(struct hf_error *err) {
  pthread_once(&gpgme_once, gpgme_start);
  gpgme_error_t e = gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP);
  if (e) return hf_gpg_fail(err, e, "GnuPG (gpg) is needed");
  gpgme_engine_info_t info = NULL;
  if (gpgme_get_engine_info(&info) == 0)
    for (; info; info = info->next)
      if (info->protocol == GPGME_PROTOCOL_OpenPGP && info->version && strverscmp(info->version, "2.2") < 0)
        return hf_fail(err, HOLDFAST_E_UNSUPPORTED, "GnuPG 2.2 or later is needed; this is %s", info->version);
  return 0;
}

int hf_gpg_open(const char *home, bool create, struct hf_gpg **out, struct hf_error *err) {
  struct asked q = {.out = -1};
  int r = home ? prepare_home(home, create, err) : 0;
  if (r < 0) return r;
  if (home) ask_for_socket(home, &q);
  struct hf_gpg *g = hf_alloc(sizeof *g);
  pthread_mutex_init(&g->lock, NULL);
  g->home = hf_strdup(home);
  r = check_engine(err);
  int l = home ? look_for_agent(g, &q, r < 0 ? NULL : err) : 0;
  if (r == 0) r = l;
  if (!home) g->env = with_terminal();
  if (r < 0) {
    hf_gpg_close(g);
    return r;
  }
  *out = g;
  return 0;
}

static void kill_daemons(const char *home) {
  const char *const argv[] = {"gpgconf", "--homedir", home, "--kill", "all", NULL};
  int code;
  hf_run((char *const *)argv, NULL, NULL, 0, NULL, NULL, 30, &code, NULL);
}

/* Does the next line that comes start with OK? */
static bool line_is_ok(int s) {
  char c, start[2] = "";
  for (size_t n = 0; n < 1024; n++) {
    if (recv(s, &c, 1, 0) != 1) return false;
    if (c == '\n') return start[0] == 'O' && start[1] == 'K';
    if (n < sizeof start) start[n] = c;
  }
  return false;
}

/* An agent that ends removes its socket, by name, a moment after it has said so: it must not be that of an agent which the next run has started. */
static void await_removal(const char *path, const struct stat *socket) {
  struct stat now;
  for (double deadline = hf_now() + 5; hf_now() < deadline; nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL))
    if (lstat(path, &now) < 0 || now.st_ino != socket->st_ino) return;
}

/* Tell the agent to end: one line of the Assuan protocol (libassuan, "Client requests"; gpg-agent(1), KILLAGENT). gpgconf --kill says the same by way of four processes,
 * which this needs only when the agent does not answer. */
static bool kill_agent(const char *path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  struct stat before;
  if (lstat(path, &before) < 0) return errno == ENOENT;
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return false;
  struct timeval patience = {.tv_sec = 5};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  bool there = connect(s, (struct sockaddr *)&a, sizeof a) == 0;
  bool ended = !there && (errno == ENOENT || errno == ECONNREFUSED);
  /* Its greeting, then the answer to what was asked. */
  if (there) ended = line_is_ok(s) && send(s, "KILLAGENT\n", 10, MSG_NOSIGNAL) == 10 && line_is_ok(s);
  close(s);
  if (there && ended) await_removal(path, &before);
  return ended;
}

void hf_gpg_close(struct hf_gpg *g) {
  if (!g) return;
  hf_gpg_forget_keys(g);
  if (g->idle) gpgme_release(g->idle);
  if (g->agent_start.pid > 0) hf_gpg_uses_agent(g);
  if (g->home && g->agent && !g->agent_before && !(g->agent_socket && kill_agent(g->agent_socket))) kill_daemons(g->home);
  if (g->verify_home) {
    kill_daemons(g->verify_home);
    hf_remove_tree(g->verify_home, NULL);
  }
  for (char **e = g->env; e && *e; e++) free(*e);
  free(g->env);
  free(g->verify_home);
  free(g->agent_socket);
  free(g->home);
  pthread_mutex_destroy(&g->lock);
  free(g);
}

void hf_gpg_closep(struct hf_gpg **g) {
  hf_gpg_close(*g);
  *g = NULL;
}
