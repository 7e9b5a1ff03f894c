/* worker_msg.c - messages between the core and a worker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <sys/socket.h>

#include "plugin/worker_proto.h"

#define FIXED offsetof(struct hf_msg, text)

/* Copy, cut when too long; returns the length. */
static uint32_t put_text(char *to, const char *s) {
  size_t n = s ? strlen(s) : 0;
  if (n <= HF_WORKER_TEXT) {
    if (n) memcpy(to, s, n);
    return (uint32_t)n;
  }
  memcpy(to, s, HF_WORKER_TEXT - 3);
  memcpy(to + HF_WORKER_TEXT - 3, "...", 3);
  return HF_WORKER_TEXT;
}

int hf_msg_send(int fd, struct hf_msg *m, const char *text, const char *text2) {
  m->text_n = put_text(m->text, text);
  m->text2_n = put_text(m->text + m->text_n, text2);
  size_t n = FIXED + m->text_n + m->text2_n;
  ssize_t r;
  while ((r = send(fd, m, n, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
  return r < 0 ? -errno : 0;
}

int hf_msg_recv(int fd, struct hf_msg *m, bool dontwait) {
  ssize_t r;
  /* ECONNRESET is said once when the other end went without having read all; what it sent before is still there. */
  while ((r = recv(fd, m, sizeof *m, MSG_TRUNC | (dontwait ? MSG_DONTWAIT : 0))) < 0 && (errno == EINTR || errno == ECONNRESET))
    continue;
  if (r < 0) return -errno;
  if (r == 0) return 0;
  if ((size_t)r < FIXED || m->text_n > HF_WORKER_TEXT || m->text2_n > HF_WORKER_TEXT ||
      (size_t)r != FIXED + m->text_n + m->text2_n)
    return -EPROTO;
  memmove(m->text + m->text_n + 1, m->text + m->text_n, m->text2_n);
  m->text[m->text_n] = 0;
  m->text[m->text_n + 1 + m->text2_n] = 0;
  return 1;
}
