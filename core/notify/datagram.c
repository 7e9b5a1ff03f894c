/* datagram.c - sockets that a message fits through in one piece.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify/internal.h"

/* A receiver that does not read must not hang us. */
static void limit(int fd, double deadline) {
  double left = HF_MAX(deadline - hf_now(), 0.001);
  struct timeval t = {.tv_sec = (time_t)left, .tv_usec = (suseconds_t)((left - (double)(time_t)left) * 1e6)};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

int hf_dgram_unix(const char *path, double deadline, int *fd, struct hf_error *err) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof a.sun_path) return hf_fail(err, HOLDFAST_E_CONFIG, "%s is too long for a socket's path", path);
  strcpy(a.sun_path, path);
  HF_CLEANUP(hf_closep) int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) return hf_fail_errno(err, errno, "cannot make a socket");
  limit(s, deadline);
  if (connect(s, (struct sockaddr *)&a, sizeof a) != 0) return hf_fail_errno(err, errno, "%s", path);
  *fd = s;
  s = -1;
  return 0;
}

/* HOST and PORT of a server that has been checked. */
static void split(const char *server, const char *default_port, char **host, char **port) {
  const char *end = *server == '[' ? strchr(server, ']') : NULL, *colon = strchr(end ? end : server, ':');
  *host = end ? hf_strndup(server + 1, (size_t)(end - server - 1)) : hf_strndup(server, strcspn(server, ":"));
  *port = hf_strdup(colon ? colon + 1 : default_port);
}

/* Does nobody listen there? Known at once for this machine's own addresses, such as the ::1 of localhost, and for no others. An empty datagram is no message. */
static bool is_refused(int s) {
  int why = 0;
  socklen_t n = sizeof why;
  if (send(s, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return errno == ECONNREFUSED;
  return getsockopt(s, SOL_SOCKET, SO_ERROR, &why, &n) == 0 && why == ECONNREFUSED;
}

int hf_dgram_udp(const char *server, const char *default_port, double deadline, int *fd, struct hf_error *err) {
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
  HF_CLEANUP(hf_freep) char *host = NULL;
  HF_CLEANUP(hf_freep) char *port = NULL;
  split(server, default_port, &host, &port);
  int k = getaddrinfo(host, port, &hints, &found);
  if (k != 0) return hf_fail(err, k == EAI_AGAIN ? HOLDFAST_E_TRANSIENT : HOLDFAST_E_NOT_FOUND, "%s: %s", host, gai_strerror(k));
  int s = -1, why = 0;
  for (const struct addrinfo *a = found; a && s < 0; a = a->ai_next) {
    s = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool there = s >= 0 && connect(s, a->ai_addr, a->ai_addrlen) == 0;
    why = errno;
    /* The last one gets it in any case. */
    if (there && (!a->ai_next || !is_refused(s))) break;
    hf_closep(&s);
  }
  freeaddrinfo(found);
  if (s < 0) return hf_fail_errno(err, why, "%s", server);
  limit(s, deadline);
  *fd = s;
  return 0;
}

int hf_dgram_send(int fd, const void *p, size_t n, struct hf_error *err) {
  ssize_t k;
  while ((k = send(fd, p, n, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
  if (k == (ssize_t)n) return 0;
  if (k < 0 && errno == EMSGSIZE) return hf_fail(err, HOLDFAST_E_NO_SPACE, "the message is too large for one datagram");
  if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return hf_fail(err, HOLDFAST_E_TIMEOUT, "nobody takes the message");
  return hf_fail_errno(err, k < 0 ? errno : EIO, "send");
}
