/* crypto_run.c - running gpg on memory files and understanding what it says.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "repo/crypto_internal.h"

#define SAID_MAX (1u << 20) /* of status lines and of text; more is not read */

void hf_gpg_said_free(struct hf_gpg_said *s) {
  hf_buf_free(&s->status);
  hf_buf_free(&s->text);
}

/* What the child wrote to a memory file. */
static void collect(int fd, struct hf_buf *out) {
  struct stat st;
  if (fstat(fd, &st) < 0 || st.st_size <= 0) return;
  size_t n = HF_MIN((size_t)st.st_size, (size_t)SAID_MAX), at = 0;
  hf_buf_reserve(out, n);
  while (at < n) {
    ssize_t k = pread(fd, out->data + out->len, n - at, (off_t)at);
    if (k <= 0) break;
    at += (size_t)k;
    out->len += (size_t)k;
  }
  out->data[out->len] = '\0';
}

/* Status and text go to memory files, not pipes: nothing to drain, nothing to deadlock on. */
int hf_gpg_run(struct hf_gpg *g, const char *home, const struct hf_list *args, int in, int out, struct hf_gpg_said *said,
               struct hf_error *err) {
  static const char *const fixed[] = {"--batch",       "--no-tty", "--quiet", "--status-fd", "3", "--no-auto-check-trustdb",
                                      "--trust-model", "always"};
  HF_CLEANUP(hf_closep) int status = -1;
  HF_CLEANUP(hf_closep) int text = -1;
  struct hf_child child;
  size_t n = 0;
  if ((status = hf_memfd("gpg-status", err)) < 0 || (text = hf_memfd("gpg-text", err)) < 0) return status < 0 ? status : text;
  const char **argv = hf_allocn(HF_NELEM(fixed) + args->n + 4, sizeof *argv);
  argv[n++] = "gpg";
  if (home) {
    argv[n++] = "--homedir";
    argv[n++] = home;
  }
  for (size_t i = 0; i < HF_NELEM(fixed); i++) argv[n++] = fixed[i];
  for (size_t i = 0; i < args->n; i++) argv[n++] = args->v[i];
  int r = hf_spawn((char *const *)argv, g->env, in, out, text, status, &child, err);
  free(argv);
  if (r == 0) r = hf_wait(&child, 0, &said->exit_code, err);
  if (r < 0) return hf_prefix(err, "gpg");
  hf_buf_addc(&said->status, '\n');
  collect(status, &said->status);
  collect(text, &said->text);
  return 0;
}

static const char *find_status(const char *from, const char *keyword) {
  char line[64];
  int n = snprintf(line, sizeof line, "\n[GNUPG:] %s", keyword);
  for (const char *p = from; (p = strstr(p, line)); p++)
    if (p[n] == ' ' || p[n] == '\n' || p[n] == '\0') return p + n;
  return NULL;
}

const char *hf_gpg_status(const struct hf_gpg_said *s, const char *keyword) {
  const char *p = s->status.data ? find_status(s->status.data, keyword) : NULL;
  return p && *p == ' ' ? p + 1 : p;
}

size_t hf_gpg_status_count(const struct hf_gpg_said *s, const char *keyword) {
  size_t n = 0;
  for (const char *p = s->status.data; p && (p = find_status(p, keyword));) n++;
  return n;
}

void hf_gpg_field(const char *args, unsigned k, char *out, size_t room) {
  while (k-- && *args && *args != '\n') {
    args += strcspn(args, " \n");
    args += *args == ' ';
  }
  snprintf(out, room, "%.*s", (int)strcspn(args, " \n"), args);
}

char *hf_gpg_last_words(const struct hf_gpg_said *s) {
  const char *p = s->text.data ? s->text.data : "";
  size_t n = strlen(p);
  while (n && p[n - 1] == '\n') n--;
  size_t start = n;
  while (start && p[start - 1] != '\n') start--;
  p += start;
  n -= start;
  if (n >= 5 && memcmp(p, "gpg: ", 5) == 0) {
    p += 5;
    n -= 5;
  }
  return n ? hf_strndup(p, n) : hf_asprintf("gpg ended with exit code %d and said nothing", s->exit_code);
}

/* Are the arguments of a status line those of a key id that was left out? */
static bool is_hidden(const char *args, size_t digits) { return digits && strspn(args, "0") >= digits; }

/* The key ids of all lines of one kind: "A, B". */
static char *key_ids(const struct hf_gpg_said *s, const char *keyword) {
  struct hf_buf b = HF_BUF_INIT;
  for (const char *p = s->status.data; p && (p = find_status(p, keyword));) {
    size_t n = strspn(p + (*p == ' '), "0123456789ABCDEFabcdef");
    bool hidden = is_hidden(p + 1, n);
    hf_buf_addf(&b, "%s%.*s", b.len ? ", " : "", hidden ? 15 : (int)n, hidden ? "a hidden key id" : p + 1);
  }
  return hf_buf_take(&b);
}

/* Was it decrypted, whole, by trying one key after the other? gpg counts each that did not fit as an error of its own. */
static bool keys_were_tried(const struct hf_gpg_said *s) {
  bool hidden = false;
  for (const char *p = s->status.data; p && (p = find_status(p, "ENC_TO"));)
    hidden |= *p == ' ' && is_hidden(p + 1, strspn(p + 1, "0123456789ABCDEFabcdef"));
  return hidden && s->exit_code == 2 && hf_gpg_status(s, "DECRYPTION_OKAY") && hf_gpg_status(s, "END_DECRYPTION") &&
         !hf_gpg_status(s, "FAILURE");
}

int hf_gpg_judge_decryption(const struct hf_gpg_said *s, struct hf_error *err) {
  bool okay = hf_gpg_status_count(s, "DECRYPTION_OKAY") == 1 && hf_gpg_status_count(s, "GOODMDC") == 1 &&
              !hf_gpg_status(s, "DECRYPTION_FAILED") && !hf_gpg_status(s, "BADMDC");
  if (okay) return 0;
  HF_CLEANUP(hf_freep) char *words = hf_gpg_last_words(s);
  HF_CLEANUP(hf_freep) char *to = key_ids(s, "ENC_TO");
  if (hf_gpg_status(s, "DECRYPTION_KEY") || hf_gpg_status(s, "BADMDC") || hf_gpg_status(s, "DECRYPTION_INFO") || !*to)
    return hf_fail(err, HOLDFAST_E_CORRUPT, "it cannot be decrypted: %s", words);
  if (hf_gpg_status_count(s, "NO_SECKEY") >= hf_gpg_status_count(s, "ENC_TO"))
    return hf_fail(err, HOLDFAST_E_AUTH, "no secret key to decrypt it here: it is encrypted to %s", to);
  return hf_fail(err, HOLDFAST_E_AUTH, "it is encrypted to %s, and gpg could not decrypt it: %s", to, words);
}

int hf_gpg_memfd_with(const void *p, size_t n, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int fd = hf_memfd("gpg-in", err);
  if (fd < 0) return fd;
  int r = hf_pwrite_all(fd, p, n, 0, err); /* leaves the offset at 0 */
  if (r < 0) return r;
  r = fd;
  fd = -1;
  return r;
}

int hf_blob_map(int fd, struct hf_blob *out, struct hf_error *err) {
  struct hf_blob b = {.fd = fd, .data = "", .size = 0};
  struct stat st;
  int r = 0;
  if (fstat(fd, &st) < 0) {
    r = hf_fail_errno(err, errno, "a memory file");
  } else if (st.st_size > 0) {
    b.size = (size_t)st.st_size;
    b.data = mmap(NULL, b.size, PROT_READ, MAP_SHARED, fd, 0);
    if (b.data == MAP_FAILED) r = hf_fail_errno(err, errno, "a memory file of %zu bytes", b.size);
  }
  if (r < 0) {
    close(fd);
    return r;
  }
  *out = b;
  return 0;
}

int hf_gpg_read_file(struct hf_gpg *g, const char *home, const char *const *options, size_t n_options, int in, int out, size_t max,
                     struct hf_gpg_said *said, struct hf_error *err) {
  struct hf_list args = HF_LIST_INIT;
  char limit[32];
  snprintf(limit, sizeof limit, "%zu", max + 1); /* one more, so that too much shows */
  hf_list_add(&args, "--no-auto-key-retrieve");
  hf_list_add(&args, "--max-output");
  hf_list_add(&args, limit);
  for (size_t i = 0; i < n_options; i++) hf_list_add(&args, options[i]);
  int r = hf_gpg_run(g, home, &args, in, out, said, err);
  hf_list_free(&args);
  return r;
}

int hf_gpg_read(struct hf_gpg *g, const char *home, const char *const *options, size_t n_options, const void *p, size_t n,
                size_t max, struct hf_gpg_said *said, struct hf_blob *out, struct hf_error *err) {
  HF_CLEANUP(hf_closep) int in = hf_gpg_memfd_with(p, n, err);
  if (in < 0) return in;
  int fd = hf_memfd("gpg-out", err);
  if (fd < 0) return fd;
  int r = hf_gpg_read_file(g, home, options, n_options, in, fd, max, said, err);
  if (r < 0) {
    close(fd);
    return r;
  }
  return hf_blob_map(fd, out, err);
}

int hf_gpg_judge_reading(const struct hf_gpg_said *s, size_t n, size_t max, struct hf_error *err) {
  if (n > max || (s->text.data && strstr(s->text.data, "--max-output")))
    return hf_fail(err, HOLDFAST_E_CORRUPT, "it decrypts to more than the %zu bytes there should be", max);
  if (s->exit_code == 0 || keys_were_tried(s)) return 0;
  HF_CLEANUP(hf_freep) char *words = hf_gpg_last_words(s);
  return hf_fail(err, HOLDFAST_E_CORRUPT, "gpg does not accept it: %s", words);
}

/* A zeroed blob, or one freed before, owns nothing. */
void hf_blob_free(struct hf_blob *b) {
  if (!b->data) return;
  if (b->size) munmap((void *)b->data, b->size);
  close(b->fd);
  *b = (struct hf_blob){.fd = -1};
}
