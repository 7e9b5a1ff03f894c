/* run.c - calling nginx, on this machine's files or on a copy laid over them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "nginx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../common/child.h"

#define DUMP_MAX ((size_t)64 << 20) /* a configuration larger than this is surely something else */
#define WORDS_MAX 65536             /* of what nginx says on standard error */
#define TIMEOUT 120                 /* seconds; nginx resolves the names of upstreams while it tests */
#define EXTRA 28                    /* words of our own on a command line */

/* In a mount namespace of its own: the copy goes to memory, each of its top folders is laid over the one of this machine, and what nginx writes there goes to
 * memory, too. Relative names all along, because the work folder itself may disappear under one of the layers. $1 an empty folder, $2 the
 * copy, $3 the folder of the configuration or "", the rest is the command. */
static const char overlay[] =
    "fail() { echo \"holdfast: the copy cannot be laid over the files of this machine: $1\" >&2; exit 125; }\n"
    "work=$1 copy=$2 conf=$3; shift 3\n"
    "mount -t tmpfs -o mode=755 holdfast \"$work\" && cp -a \"$copy\" \"$work/copy\" && cd \"$work\" || fail \"no memory for it\"\n"
    "i=0\n"
    "for d in copy/* copy/.[!.]*; do\n"
    "  n=${d#copy/}\n"
    "  [ -d \"$d\" ] && [ ! -L \"$d\" ] && [ -d \"/$n\" ] || continue\n"
    "  case $n in *[:,\\\\]*) fail \"/$n: a strange name\" ;; esac\n"
    "  i=$((i + 1)) && mkdir \"u$i\" \"w$i\" && mount -t overlay -o \"lowerdir=copy/$n:/$n,upperdir=u$i,workdir=w$i\" holdfast \"/$n\" || fail \"/$n\"\n"
    "done\n"
    "[ -z \"$conf\" ] || [ ! -d \"copy$conf\" ] || mount -c --bind \"copy$conf\" \"$conf\" || fail \"$conf\"\n"
    "exec \"$@\"\n";

/* What of nginx' words says what is wrong: the first line with a level that matters, else the last line. Printable, at out. */
static void pick_words(int fd, char *out, size_t cap) {
  char *text = calloc(1, WORDS_MAX + 1);
  *out = '\0';
  if (!text) return;
  ssize_t n = pread(fd, text, WORDS_MAX, 0);
  if (n < 0) n = 0;
  text[n] = '\0';
  static const char *const marks[] = {"holdfast: ", "[emerg] ", "[crit] ", "[error] "};
  const char *at = NULL;
  for (size_t i = 0; !at && i < sizeof marks / sizeof *marks; i++)
    if ((at = strstr(text, marks[i]))) at += strlen(marks[i]);
  if (at) { /* "PID#THREAD: " in front, when it also goes to the error log */
    size_t skip = strspn(at, "0123456789#");
    if (skip > 0 && at[skip] == ':' && at[skip + 1] == ' ') at += skip + 2;
  }
  if (!at) {
    for (size_t end = (size_t)n; end > 0 && text[end - 1] == '\n'; end--) text[end - 1] = '\0';
    at = strrchr(text, '\n');
    at = at ? at + 1 : text;
  }
  size_t len = strcspn(at, "\n");
  if (len >= cap) len = cap - 1;
  for (size_t i = 0; i < len; i++) out[i] = at[i] >= ' ' && at[i] != 0x7f ? at[i] : '?';
  out[len] = '\0';
  free(text);
}

/* copy: was it to be laid over? Then the namespace itself may have been refused. */
static int judge(const struct holdfast_host *host, const char *what, bool copy, int code, int err) {
  char words[700];
  if (code == 0) return HOLDFAST_OK;
  pick_words(err, words, sizeof words);
  if (copy && (code == 125 || strncmp(words, "unshare: ", 9) == 0))
    return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "%s; it needs root, or user namespaces", words);
  if (strstr(words, "(13:") || strstr(words, "Permission denied"))
    return holdfast_fail(host, HOLDFAST_E_AUTH, "%s: %s; run as root, or as an account that may (leave user = out of the manifest)", what, words);
  return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s: %s", what, *words ? words : "it failed without a word");
}

/* The folder that path is in, "" for one in "/"; the caller frees. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return strndup(path, slash ? (size_t)(slash - path) : 0);
}

int hf_nginx_run(const struct holdfast_host *host, const struct holdfast_value *values, enum hf_nginx_call what, const char *copy, bool whole,
                 char **out, size_t *n) {
  const struct holdfast_value *program = &values[HF_NGINX_PROGRAM];
  const char *config = values[HF_NGINX_CONFIG].strings[0];
  const char *prefix = values[HF_NGINX_PREFIX].count ? values[HF_NGINX_PREFIX].strings[0] : NULL;
  static const char *const names[] = {"nginx -T", "nginx -t", "nginx -s reload"};
  const char **argv = calloc(program->count + EXTRA, sizeof *argv);
  char *work = NULL, *folder = folder_of(config), *text = NULL;
  int rc = argv && folder ? HOLDFAST_OK : holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory");
  int err = -1, code = 0;
  size_t k = 0;
  char user[40], group[40];
  snprintf(user, sizeof user, "--map-user=%u", (unsigned)geteuid());
  snprintf(group, sizeof group, "--map-group=%u", (unsigned)getegid());
  if (rc == 0 && copy) {
    rc = hfp_temp_dir(host, NULL, &work);
    argv[k++] = "unshare";
    if (geteuid() != 0) argv[k++] = "-r";
    static const char *const own[] = {"-m", "--propagation", "private", "sh", "-c", overlay, "sh"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) argv[k++] = own[i];
    argv[k++] = work;
    argv[k++] = copy;
    argv[k++] = whole ? folder : "";
    /* Mounting takes somebody who seems to be root; nginx that seems to be root would want to give files to others. */
    if (geteuid() != 0) {
      argv[k++] = "unshare";
      argv[k++] = user;
      argv[k++] = group;
    }
  }
  if (rc == 0) {
    for (uint32_t i = 0; i < program->count; i++) argv[k++] = program->strings[i];
    if (what == HF_NGINX_RELOAD_NOW) {
      argv[k++] = "-s";
      argv[k++] = "reload";
    } else {
      argv[k++] = what == HF_NGINX_DUMP ? "-T" : "-t";
      argv[k++] = "-q";
    }
    argv[k++] = "-c";
    argv[k++] = config;
    if (prefix) {
      argv[k++] = "-p";
      argv[k++] = prefix;
    }
    err = memfd_create("nginx", MFD_CLOEXEC);
    if (err < 0) rc = holdfast_fail(host, HOLDFAST_E_FAILED, "memfd_create: %s", strerror(errno));
  }
  if (rc == 0) {
    struct hfp_run run = {.argv = argv, .in = -1, .out = HFP_PIPE, .err = err, .timeout = TIMEOUT};
    rc = hfp_collect(host, &run, DUMP_MAX, &text, n, &code, NULL);
  }
  if (rc == 0) rc = judge(host, names[what], copy != NULL, code, err);
  if (rc == 0 && out) {
    *out = text;
    text = NULL;
  }
  if (err >= 0) close(err);
  if (work) rmdir(work); /* what was mounted on it went with its namespace */
  free(work);
  free(folder);
  free(text);
  free(argv);
  return rc;
}

/* The last line that `nginx OPTION` says on standard error; the caller frees. NULL when it does not run. */
static char *ask(const struct holdfast_host *host, const struct holdfast_value *values, const char *option) {
  const struct holdfast_value *program = &values[HF_NGINX_PROGRAM];
  const char **argv = calloc(program->count + 2, sizeof *argv);
  char *words = NULL;
  int code = 0;
  if (!argv) return NULL;
  for (uint32_t i = 0; i < program->count; i++) argv[i] = program->strings[i];
  argv[program->count] = option;
  struct hfp_run run = {.argv = argv, .in = -1, .out = -1, .err = -1, .timeout = TIMEOUT};
  int rc = hfp_collect(host, &run, 0, NULL, NULL, &code, &words);
  free(argv);
  if (rc == 0 && code == 0) return words;
  free(words);
  return NULL;
}

char *hf_nginx_version(const struct holdfast_host *host, const struct holdfast_value *values) {
  char *words = ask(host, values, "-v");
  char *at = words ? strstr(words, "version: ") : NULL;
  char *out = strdup(at ? at + strlen("version: ") : "");
  free(words);
  return out;
}

char *hf_nginx_prefix(const struct holdfast_host *host, const struct holdfast_value *values) {
  if (values[HF_NGINX_PREFIX].count) return strdup(values[HF_NGINX_PREFIX].strings[0]);
  char *words = ask(host, values, "-V");
  char *at = words ? strstr(words, "--prefix=") : NULL;
  char *out = at ? strndup(at + strlen("--prefix="), strcspn(at + strlen("--prefix="), " '")) : NULL;
  free(words);
  return out;
}
