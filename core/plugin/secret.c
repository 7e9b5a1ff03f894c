/* secret.c - fetching the value of a secret setting from a file, a command, the environment or systemd's credentials.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "plugin/internal.h"

#define SECRET_MAX (64 * HF_KIB)
#define COMMAND_TIMEOUT 60 /* seconds; a password helper that waits for a person would hang a timer's run */

static const char *const suffixes[] = {[HF_SECRET_TEXT] = "",
                                       [HF_SECRET_FILE] = "-file",
                                       [HF_SECRET_COMMAND] = "-command",
                                       [HF_SECRET_ENV] = "-env",
                                       [HF_SECRET_CREDENTIAL] = "-credential"};

int hf_secret_form(const char *base, const char *key) {
  size_t n = strlen(base);
  if (strncmp(key, base, n) != 0) return -1;
  for (size_t i = 0; i < HF_NELEM(suffixes); i++)
    if (strcmp(key + n, suffixes[i]) == 0) return (int)i;
  return -1;
}

bool hf_setting_is_secret_form(const char *base, const char *name) { return hf_secret_form(base, name) > 0; }

char *hf_secret_base(const char *key) {
  size_t n = strlen(key);
  for (size_t i = 1; i < HF_NELEM(suffixes); i++) {
    size_t m = strlen(suffixes[i]);
    if (n > m && strcmp(key + n - m, suffixes[i]) == 0) return hf_strndup(key, n - m);
  }
  return NULL;
}

static bool is_env_name(const char *s) {
  if (!*s || (*s >= '0' && *s <= '9')) return false;
  for (; *s; s++)
    if (!((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_')) return false;
  return true;
}

/* Of all settings read so far. The manifest is read before there is a second thread. */
static struct hf_list env_names;

bool hf_secret_in_env(const char *pair) {
  HF_CLEANUP(hf_freep) char *name = hf_strndup(pair, strcspn(pair, "="));
  return hf_list_has(&env_names, name);
}

int hf_secret_check(enum hf_secret_from from, const char *arg, struct hf_error *err) {
  if (from == HF_SECRET_COMMAND) {
    HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
    return hf_split_words(arg, &words, err);
  }
  if (from == HF_SECRET_ENV && !is_env_name(arg))
    return hf_fail(err, HOLDFAST_E_CONFIG, "not the name of an environment variable; use letters, digits and _");
  if (from == HF_SECRET_ENV && !hf_list_has(&env_names, arg)) hf_list_add(&env_names, arg);
  if (from == HF_SECRET_CREDENTIAL && (!*arg || *arg == '.' || strchr(arg, '/')))
    return hf_fail(err, HOLDFAST_E_CONFIG, "not the name of a credential; use the name given in the unit, without a slash");
  return 0;
}

/* A buffer of secret bytes: wiped before it is freed. */
static void wipe_buf(struct hf_buf *b) {
  if (b->data) hf_wipe(b->data, b->cap);
  hf_buf_free(b);
}

/* The text of b without its last line end; what names it in errors. */
static int take_text(struct hf_buf *b, const char *what, char **out, struct hf_error *err) {
  if (b->len && memchr(b->data, 0, b->len)) return hf_fail(err, HOLDFAST_E_CONFIG, "%s holds a NUL byte; a secret is text", what);
  size_t n = b->len;
  if (n && b->data[n - 1] == '\n') n--;
  if (n && b->data[n - 1] == '\r') n--;
  if (n == 0) return hf_fail(err, HOLDFAST_E_CONFIG, "%s is empty", what);
  *out = hf_strndup(b->data, n);
  return 0;
}

static int from_file(const char *path, char **out, struct hf_error *err) {
  /* O_NONBLOCK: a FIFO without a writer must not hang the run; fstat on the descriptor: no race between check and read. */
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat st;
  if (fd < 0) return hf_fail_errno(err, errno, "cannot read the secret file %s", path);
  if (fstat(fd, &st) != 0) return hf_fail_errno(err, errno, "cannot read the secret file %s", path);
  if (!S_ISREG(st.st_mode)) return hf_fail(err, HOLDFAST_E_CONFIG, "the secret file %s is not a regular file", path);
  if (st.st_mode & 0007)
    return hf_fail(err, HOLDFAST_E_CONFIG, "the secret file %s is open to everybody (mode %04o); chmod o= it", path,
                   (unsigned)(st.st_mode & 07777));
  if ((uint64_t)st.st_size > SECRET_MAX)
    return hf_fail(err, HOLDFAST_E_CONFIG, "the secret file %s is larger than %llu KiB", path, SECRET_MAX / HF_KIB);
  HF_CLEANUP(wipe_buf) struct hf_buf b = HF_BUF_INIT;
  hf_buf_reserve(&b, SECRET_MAX + 1);
  ssize_t n = hf_read_full(fd, b.data, SECRET_MAX + 1, err);
  if (n < 0) return hf_prefix(err, "cannot read the secret file %s", path);
  if ((uint64_t)n > SECRET_MAX)
    return hf_fail(err, HOLDFAST_E_CONFIG, "the secret file %s is larger than %llu KiB", path, SECRET_MAX / HF_KIB);
  b.len = (size_t)n;
  HF_CLEANUP(hf_freep) char *what = hf_asprintf("the secret file %s", path);
  return take_text(&b, what, out, err);
}

static int from_command(const char *text, char **out, struct hf_error *err) {
  HF_CLEANUP(hf_list_free) struct hf_list words = HF_LIST_INIT;
  HF_CLEANUP(wipe_buf) struct hf_buf b = HF_BUF_INIT;
  HF_CLEANUP(hf_buf_free) struct hf_buf complaint = HF_BUF_INIT;
  int r = hf_split_words(text, &words, err);
  if (r < 0) return r;
  size_t n = words.n; /* execve wants a NULL behind the last word */
  char **argv = hf_allocn(n + 1, sizeof *argv);
  memcpy(argv, words.v, n * sizeof *argv);
  int code = 0;
  r = hf_run(argv, NULL, NULL, 0, &b, &complaint, COMMAND_TIMEOUT, &code, err);
  free(argv);
  if (r < 0) return hf_prefix(err, "the command %s", words.v[0]);
  if (code != 0) {
    HF_CLEANUP(hf_freep) char *why = hf_last_line(&complaint);
    return hf_fail(err, HOLDFAST_E_CONFIG, "the command %s ended with exit code %d%s%s", words.v[0], code, *why ? ": " : "", why);
  }
  char *nl = b.len ? memchr(b.data, '\n', b.len) : NULL;
  size_t all = b.len;
  if (nl) b.len = (size_t)(nl - b.data);
  HF_CLEANUP(hf_freep) char *what = hf_asprintf("the first line the command %s printed", words.v[0]);
  if (b.len > SECRET_MAX) return hf_fail(err, HOLDFAST_E_CONFIG, "%s is longer than %llu KiB", what, SECRET_MAX / HF_KIB);
  r = take_text(&b, what, out, err);
  b.len = all;
  return r;
}

int hf_secret_fetch(enum hf_secret_from from, const char *arg, const char *base_dir, char **out, struct hf_error *err) {
  if (from == HF_SECRET_TEXT) {
    *out = hf_strdup(arg);
    return 0;
  }
  if (from == HF_SECRET_COMMAND) return from_command(arg, out, err);
  if (from == HF_SECRET_ENV) {
    const char *v = getenv(arg);
    if (!v || !*v) return hf_fail(err, HOLDFAST_E_CONFIG, "the environment variable %s is %s", arg, v ? "empty" : "not set");
    *out = hf_strdup(v);
    return 0;
  }
  if (from == HF_SECRET_CREDENTIAL) {
    base_dir = getenv("CREDENTIALS_DIRECTORY");
    if (!base_dir || !*base_dir)
      return hf_fail(err, HOLDFAST_E_CONFIG,
                     "$CREDENTIALS_DIRECTORY is not set: credentials are there for a systemd unit with LoadCredential=%s:PATH",
                     arg);
  }
  HF_CLEANUP(hf_freep) char *path = hf_path_join(base_dir ? base_dir : "/", arg);
  return from_file(path, out, err);
}
