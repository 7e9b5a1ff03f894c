/* conn.c - bytes to and from a server, by TCP, TLS or a Unix socket, each wait with a limit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SLICE 250 /* milliseconds after which we look whether the run is being stopped */

struct hf_redis_conn {
  const struct holdfast_host *host;
  const struct hf_redis_target *target;
  int fd;
  struct hf_redis_tls *tls;
};

int hf_redis_no_memory(const struct holdfast_host *host) { return holdfast_fail(host, HOLDFAST_E_FAILED, "out of memory"); }

int hf_redis_status(int error) {
  switch (error) {
  case ENOENT:
  case ENOTDIR:
  case ECONNREFUSED:
  case EHOSTUNREACH:
  case ENETUNREACH: return HOLDFAST_E_NOT_FOUND;
  case EACCES:
  case EPERM:
  case EROFS: return HOLDFAST_E_AUTH;
  case ENOSPC:
  case EDQUOT: return HOLDFAST_E_NO_SPACE;
  case ECONNRESET:
  case EPIPE: return HOLDFAST_E_TRANSIENT;
  case ETIMEDOUT: return HOLDFAST_E_TIMEOUT;
  default: return HOLDFAST_E_FAILED;
  }
}

void hf_redis_log(const struct holdfast_host *host, int level, const char *fmt, ...) {
  char text[1000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  host->log(host->ctx, level, text);
}

int64_t hf_redis_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void hf_redis_pause(const struct holdfast_host *host, int ms) {
  if (!host->cancelled(host->ctx)) poll(NULL, 0, ms);
}

int hf_redis_target(const struct holdfast_host *host, const struct holdfast_value *values, struct hf_redis_target *t) {
  const struct holdfast_value *v = values;
#define TEXT(set) (v[set].count ? v[set].strings[0] : NULL)
  memset(t, 0, sizeof *t);
  t->host = TEXT(HF_REDIS_SET_HOST);
  t->socket = TEXT(HF_REDIS_SET_SOCKET);
  t->username = TEXT(HF_REDIS_SET_USERNAME);
  t->password = TEXT(HF_REDIS_SET_PASSWORD);
  t->tls = v[HF_REDIS_SET_TLS].number != 0;
  t->tls_ca = TEXT(HF_REDIS_SET_TLS_CA);
  t->tls_cert = TEXT(HF_REDIS_SET_TLS_CERT);
  t->tls_key = TEXT(HF_REDIS_SET_TLS_KEY);
  t->tls_name = TEXT(HF_REDIS_SET_TLS_NAME);
#undef TEXT
  int64_t port = v[HF_REDIS_SET_PORT].number, most = INT32_MAX / 1000;
  int64_t to_connect = v[HF_REDIS_SET_CONNECT_TIMEOUT].number, stall = v[HF_REDIS_SET_STALL_TIMEOUT].number;
  if (port < 1 || port > 65535) return holdfast_fail(host, HOLDFAST_E_CONFIG, "port = %lld: a port is 1 to 65535", (long long)port);
  if (to_connect < 1 || stall < 1)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "%s: at least 1s", to_connect < 1 ? "connect-timeout" : "stall-timeout");
  t->port = (unsigned)port;
  t->connect_timeout = (int)(to_connect < most ? to_connect : most) * 1000;
  t->stall_timeout = (int)(stall < most ? stall : most) * 1000;
  if (t->username && !t->password) return holdfast_fail(host, HOLDFAST_E_CONFIG, "username is set, and password is not");
  if (!t->tls && (t->tls_ca || t->tls_cert || t->tls_key || t->tls_name))
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "tls-ca, tls-cert, tls-key and tls-server-name do nothing without tls = yes");
  if (!t->tls_cert != !t->tls_key) return holdfast_fail(host, HOLDFAST_E_CONFIG, "tls-cert and tls-key belong together: one of them is not set");
  if (t->socket && t->tls) return holdfast_fail(host, HOLDFAST_E_CONFIG, "tls = yes does not go with socket: a Unix socket has no TLS");
  if (t->socket && strlen(t->socket) >= sizeof((struct sockaddr_un *)0)->sun_path)
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "socket = %s: the path of a Unix socket has at most %zu bytes", t->socket,
                         sizeof((struct sockaddr_un *)0)->sun_path - 1);
  if (t->socket) snprintf(t->label, sizeof t->label, "%.250s", t->socket);
  else snprintf(t->label, sizeof t->label, strchr(t->host, ':') ? "[%.250s]:%u" : "%.250s:%u", t->host, t->port);
  return HOLDFAST_OK;
}

int hf_redis_wait(const struct holdfast_host *host, int fd, short events, int timeout, const char *label) {
  int64_t until = hf_redis_now() + timeout;
  for (;;) {
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = until - hf_redis_now();
    if (host->cancelled(host->ctx)) return holdfast_fail(host, HOLDFAST_E_CANCELED, "stopped");
    int n = poll(&p, 1, left <= 0 ? 0 : left < SLICE ? (int)left : SLICE);
    if (n > 0) return HOLDFAST_OK;
    if (n < 0 && errno != EINTR) return holdfast_fail(host, HOLDFAST_E_FAILED, "%s: %s", label, strerror(errno));
    if (left <= 0) return HOLDFAST_E_TIMEOUT;
  }
}

/* One address. On failure *error is an errno, or 0 when the message has been given. */
static int connect_to(const struct holdfast_host *host, const struct hf_redis_target *t, const struct sockaddr *address, socklen_t n,
                      int *fd, int *error) {
  int s = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, rc = HOLDFAST_OK;
  socklen_t size = sizeof *error;
  *error = 0;
  if (s < 0) {
    *error = errno;
    return hf_redis_status(*error);
  }
  if (connect(s, address, n) != 0) *error = errno;
  if (*error == EINPROGRESS || *error == EINTR) {
    rc = hf_redis_wait(host, s, POLLOUT, t->connect_timeout, t->label);
    if (rc == HOLDFAST_E_TIMEOUT) *error = ETIMEDOUT;
    else if (rc != HOLDFAST_OK) *error = 0;
    else if (getsockopt(s, SOL_SOCKET, SO_ERROR, error, &size) != 0) *error = errno;
  } else if (*error == EAGAIN) {
    *error = ECONNREFUSED; /* a Unix socket whose queue is full */
  }
  if (*error != 0 || rc != HOLDFAST_OK) {
    close(s);
    return *error != 0 ? hf_redis_status(*error) : rc;
  }
  if (address->sa_family != AF_UNIX) {
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  *fd = s;
  return HOLDFAST_OK;
}

static int connect_any(const struct holdfast_host *host, const struct hf_redis_target *t, int *fd) {
  int error = 0, rc = HOLDFAST_E_NOT_FOUND;
  if (t->socket) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, t->socket, strlen(t->socket) + 1); /* hf_redis_target has looked at its length */
    rc = connect_to(host, t, (struct sockaddr *)&address, sizeof address, fd, &error);
  } else {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    char port[12];
    snprintf(port, sizeof port, "%u", t->port);
    int e = getaddrinfo(t->host, port, &hints, &list);
    if (e == EAI_ADDRFAMILY || e == EAI_NONAME) {
      hints.ai_flags = 0; /* loopback addresses on a machine that has no others */
      e = getaddrinfo(t->host, port, &hints, &list);
    }
    if (e != 0)
      return holdfast_fail(host, e == EAI_AGAIN ? HOLDFAST_E_TRANSIENT : HOLDFAST_E_NOT_FOUND, "host = %s: %s", t->host, gai_strerror(e));
    for (struct addrinfo *a = list; a; a = a->ai_next) {
      rc = connect_to(host, t, a->ai_addr, a->ai_addrlen, fd, &error);
      if (rc == HOLDFAST_OK || error == 0) break;
    }
    freeaddrinfo(list);
  }
  if (rc == HOLDFAST_OK || error == 0) return rc;
  if (error == ETIMEDOUT)
    return holdfast_fail(host, rc, "%s: no connection after %d s (connect-timeout)", t->label, t->connect_timeout / 1000);
  return holdfast_fail(host, rc, "%s: no connection to the server: %s%s", t->label, strerror(error),
                       error == ECONNREFUSED ? "; is it running?" : "");
}

int hf_redis_connect(const struct holdfast_host *host, const struct hf_redis_target *t, struct hf_redis_conn **out) {
  int fd = -1, rc = connect_any(host, t, &fd);
  if (rc != HOLDFAST_OK) return rc;
  struct hf_redis_conn *c = calloc(1, sizeof *c);
  if (!c) {
    close(fd);
    return hf_redis_no_memory(host);
  }
  *c = (struct hf_redis_conn){.host = host, .target = t, .fd = fd};
  if (t->tls && (rc = hf_redis_tls_start(host, t, fd, &c->tls)) != HOLDFAST_OK) {
    hf_redis_close(c);
    return rc;
  }
  *out = c;
  return HOLDFAST_OK;
}

void hf_redis_close(struct hf_redis_conn *c) {
  if (!c) return;
  hf_redis_tls_free(c->tls);
  close(c->fd);
  free(c);
}

const struct holdfast_host *hf_redis_host(const struct hf_redis_conn *c) { return c->host; }
const struct hf_redis_target *hf_redis_of(const struct hf_redis_conn *c) { return c->target; }

static int lost(const struct hf_redis_conn *c, int error) {
  return holdfast_fail(c->host, hf_redis_status(error), "%s: the connection is lost: %s", c->target->label, strerror(error));
}

/* Wait as long as the stall timeout allows. */
static int wait_for(struct hf_redis_conn *c, short events) {
  int rc = hf_redis_wait(c->host, c->fd, events, c->target->stall_timeout, c->target->label);
  if (rc != HOLDFAST_E_TIMEOUT) return rc;
  return holdfast_fail(c->host, rc, "%s: the server has been silent for %d s (stall-timeout)", c->target->label,
                       c->target->stall_timeout / 1000);
}

int64_t hf_redis_recv(struct hf_redis_conn *c, void *buf, size_t n) {
  if (c->tls) return hf_redis_tls_recv(c->tls, buf, n);
  for (;;) {
    ssize_t got = recv(c->fd, buf, n, 0);
    if (got >= 0) return got;
    if (errno == ECONNRESET) return 0; /* closed in haste; whoever waits for more says so */
    if (errno != EAGAIN && errno != EINTR) return lost(c, errno);
    int rc = wait_for(c, POLLIN);
    if (rc != HOLDFAST_OK) return rc;
  }
}

int hf_redis_send(struct hf_redis_conn *c, const void *buf, size_t n) {
  const char *p = buf;
  while (n > 0) {
    int64_t went = c->tls ? hf_redis_tls_send(c->tls, p, n) : send(c->fd, p, n, MSG_NOSIGNAL);
    if (went < 0 && c->tls) return (int)went;
    if (went >= 0) {
      p += went;
      n -= (size_t)went;
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return lost(c, errno);
    int rc = wait_for(c, POLLOUT);
    if (rc != HOLDFAST_OK) return rc;
  }
  return HOLDFAST_OK;
}
