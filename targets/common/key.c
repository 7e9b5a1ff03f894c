/* key.c - keys of objects, and small files.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#define FILE_MAX (1u << 20)

bool hft_key_ok(const char *s) {
  size_t len = strlen(s);
  if (len == 0 || len > HFT_KEY_MAX) return false;
  for (;;) {
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.')) return false;
    if (s[n] == '\0') return true;
    if (s[n] != '/') return false;
    s += n + 1;
  }
}

bool hft_key_is_pack(const char *key) { return strncmp(key, "packs/", 6) == 0 || strstr(key, "/packs/"); }

int hft_bad_key(const struct holdfast_host *host, const char *key) {
  char shown[HFT_KEY_MAX + 1];
  hft_printable(shown, sizeof shown, key);
  return holdfast_fail(host, HOLDFAST_E_FAILED, "not a key: %s", shown);
}

int hft_prefix_check(const struct holdfast_host *host, const char *prefix) {
  size_t n = strlen(prefix);
  char folder[HFT_KEY_MAX + 1];
  if (n == 0) return HOLDFAST_OK;
  if (n > HFT_KEY_MAX || prefix[n - 1] != '/') return holdfast_fail(host, HOLDFAST_E_UNSUPPORTED, "a prefix ends in a slash: %.600s", prefix);
  memcpy(folder, prefix, n - 1);
  folder[n - 1] = '\0';
  return hft_key_ok(folder) ? HOLDFAST_OK : hft_bad_key(host, prefix);
}

int hft_no_memory(const struct holdfast_host *host) { return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory"); }

int hft_read_file(const struct holdfast_host *host, const char *path, bool missing_ok, char **out) {
  struct hft_buf b = {0};
  char piece[8192];
  ssize_t n = 0;
  *out = NULL;
  int fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR) && missing_ok) return HOLDFAST_OK;
  if (fd < 0) {
    int bad = errno;
    return holdfast_fail(host, bad == EACCES ? HOLDFAST_E_AUTH : HOLDFAST_E_CONFIG, "cannot open %s: %s", path, strerror(bad));
  }
  while (b.len <= FILE_MAX && (n = TEMP_FAILURE_RETRY(read(fd, piece, sizeof piece))) > 0) hft_add(&b, piece, (size_t)n);
  int bad = n < 0 ? errno : 0;
  close(fd);
  explicit_bzero(piece, sizeof piece);
  hft_add(&b, "", 0);
  if (!bad && !b.bad && b.len <= FILE_MAX) {
    *out = b.data;
    return HOLDFAST_OK;
  }
  int status = b.bad ? hft_no_memory(host) : holdfast_fail(host, HOLDFAST_E_CONFIG, "cannot read %s: %s", path, bad ? strerror(bad) : "it has more than 1 MiB");
  hft_buf_free(&b);
  return status;
}
