/* server.c - a redis-server of our own that loads an RDB: for the rehearsal, and as the master from which a running server is filled.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * It lives in a private folder, gets its configuration and its password on its standard input, and writes nothing but its log.
 */
#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/child.h"

#define POLL_MS 10
#define DATABASES 1024 /* where it is not known how many the RDB may have: they cost next to nothing */

/* A port of the address that nobody uses now. */
static int free_port(struct hf_redis_server *s, const char *address) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *a = NULL;
  struct sockaddr_storage got;
  socklen_t size = sizeof got;
  if (getaddrinfo(address, NULL, &hints, &a) != 0)
    return holdfast_fail(s->host, HOLDFAST_E_CONFIG, "restore-address = %s: is no address, as 127.0.0.1 is one", address);
  int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool bound = fd >= 0 && bind(fd, a->ai_addr, a->ai_addrlen) == 0 && getsockname(fd, (struct sockaddr *)&got, &size) == 0;
  int error = errno;
  freeaddrinfo(a);
  if (fd >= 0) close(fd);
  if (!bound) return holdfast_fail(s->host, HOLDFAST_E_CONFIG, "restore-address = %s: %s; it must be an address of this machine", address, strerror(error));
  s->port = ntohs(got.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&got)->sin6_port : ((struct sockaddr_in *)&got)->sin_port);
  return HOLDFAST_OK;
}

static int make_password(struct hf_redis_server *s) {
  unsigned char bytes[32];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return holdfast_fail(s->host, HOLDFAST_E_FAILED, "no random numbers: %s", strerror(errno));
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(s->password + 2 * i, 3, "%02x", bytes[i]);
  return HOLDFAST_OK;
}

/* The folder with a link to the RDB in it. */
static int prepare(struct hf_redis_server *s, const struct hf_redis_server_how *how) {
  char path[4096];
  int rc = make_password(s);
  if (rc == HOLDFAST_OK) rc = hfp_temp_dir(s->host, NULL, &s->dir);
  if (rc == HOLDFAST_OK && how->address) rc = free_port(s, how->address);
  if (rc != HOLDFAST_OK) return rc;
  if (strlen(s->dir) + 3 > sizeof s->socket || strpbrk(s->dir, "\"\\\n\r"))
    return holdfast_fail(s->host, HOLDFAST_E_CONFIG, "%s: too long or too odd a path for a Unix socket: set TMPDIR to another folder", s->dir);
  snprintf(s->socket, sizeof s->socket, "%s/s", s->dir);
  if ((size_t)snprintf(path, sizeof path, "%s/" HF_REDIS_RDB, s->dir) >= sizeof path || symlink(how->rdb, path) != 0)
    return holdfast_fail(s->host, HOLDFAST_E_FAILED, "%s: cannot be linked to: %s", how->rdb, strerror(errno));
  return HOLDFAST_OK;
}

static int launch(struct hf_redis_server *s, const struct hf_redis_server_how *how) {
  const char *argv[70];
  char text[2048], listen[200] = "port 0\n";
  size_t n = 0;
  for (; n < how->program->count && n < 68; n++) argv[n] = how->program->strings[n];
  if (n == 0 || n == 68) return holdfast_fail(s->host, HOLDFAST_E_CONFIG, "redis-server: %s", n ? "too many arguments" : "no program is named");
  argv[n++] = "-"; /* the rest of the configuration is on standard input */
  argv[n] = NULL;
  if (how->address) snprintf(listen, sizeof listen, "bind %s\nport %u\n", how->address, s->port);
  int len = snprintf(text, sizeof text,
                     "%sunixsocket \"%s\"\nunixsocketperm 700\nrequirepass %s\ndir \"%s\"\ndbfilename " HF_REDIS_RDB "\nlogfile \"%s/log\"\nloglevel warning\n"
                     "daemonize no\nsave \"\"\nappendonly no\ndatabases %u\nmaxmemory 0\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n%s",
                     listen, s->socket, s->password, s->dir, s->dir, how->databases < DATABASES ? DATABASES : how->databases,
                     /* Nobody listens at this port, and who does is root. */
                     how->replica ? "replicaof 127.0.0.1 1\nreplica-serve-stale-data yes\nreplica-read-only yes\n" : "");
  struct hfp_run run = {.argv = argv, .dir = s->dir, .in = HFP_PIPE, .out = -1, .err = -1};
  int rc = len < (int)sizeof text ? hfp_start(s->host, &run, &s->child) : holdfast_fail(s->host, HOLDFAST_E_FAILED, "the configuration is too long");
  if (rc == HOLDFAST_OK) rc = hfp_write(s->child, text, (size_t)len);
  if (rc == HOLDFAST_OK) hfp_close_in(s->child);
  explicit_bzero(text, sizeof text);
  return rc;
}

/* The last warning in its log, or what it said before it had one. */
static void last_words(const struct hf_redis_server *s, char *out, size_t cap) {
  char path[4096], tail[4097];
  snprintf(path, sizeof path, "%s/log", s->dir);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = -1;
  out[0] = '\0';
  if (fd >= 0) {
    off_t size = lseek(fd, 0, SEEK_END);
    n = pread(fd, tail, sizeof tail - 1, size > (off_t)sizeof tail - 1 ? size - ((off_t)sizeof tail - 1) : 0);
    close(fd);
  }
  tail[n > 0 ? n : 0] = '\0';
  char *rest = NULL;
  for (char *line = strtok_r(tail, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    const char *mark = strstr(line, " # ");
    if (mark) hf_redis_printable(mark + 3, strlen(mark + 3), out, cap);
  }
  if (!out[0] && s->child) snprintf(out, cap, "%s", hfp_words(s->child));
}

int hf_redis_server_alive(const struct hf_redis_server *s) {
  char said[400];
  int code = 0;
  if (!hfp_ended(s->child, &code)) return HOLDFAST_OK;
  last_words(s, said, sizeof said);
  return holdfast_fail(s->host, HOLDFAST_E_FAILED, "redis-server ended with code %d: %s", code, said[0] ? said : "it did not say why");
}

/* Connected, logged in, loaded? Tried again and again: there is nothing to wait on. */
static int wait_loaded(struct hf_redis_server *s, int64_t until) {
  struct hf_redis_facts *f = calloc(1, sizeof *f);
  int rc = f ? HOLDFAST_OK : hf_redis_no_memory(s->host);
  bool ready = false;
  while (rc == HOLDFAST_OK && !ready) {
    if ((rc = hf_redis_server_alive(s)) != HOLDFAST_OK) break;
    if (s->host->cancelled(s->host->ctx)) rc = holdfast_fail(s->host, HOLDFAST_E_CANCELED, "stopped");
    else if (hf_redis_now() >= until) rc = holdfast_fail(s->host, HOLDFAST_E_TIMEOUT, "redis-server has not loaded the RDB in time (load-timeout)");
    if (rc != HOLDFAST_OK) break;
    if (!s->conn && access(s->socket, F_OK) == 0 && hf_redis_login(s->host, &s->target, &s->conn) != HOLDFAST_OK) s->conn = NULL;
    if (s->conn && hf_redis_info(s->conn, f) != HOLDFAST_OK) {
      hf_redis_close(s->conn);
      s->conn = NULL;
    }
    ready = s->conn && f->info && !f->loading;
    if (!ready) hf_redis_pause(s->host, POLL_MS);
  }
  free(f);
  return rc;
}

int hf_redis_server_start(struct hf_redis_server *s, const struct holdfast_host *host, const struct hf_redis_server_how *how) {
  memset(s, 0, sizeof *s);
  s->host = host;
  int64_t until = hf_redis_now() + how->timeout;
  int rc = prepare(s, how);
  if (rc == HOLDFAST_OK) rc = launch(s, how);
  if (rc != HOLDFAST_OK) return rc;
  s->target = (struct hf_redis_target){.socket = s->socket, .password = s->password, .connect_timeout = 10000};
  s->target.stall_timeout = how->timeout < INT32_MAX ? (int)how->timeout : INT32_MAX;
  snprintf(s->target.label, sizeof s->target.label, "the temporary redis-server");
  return wait_loaded(s, until);
}

void hf_redis_server_stop(struct hf_redis_server *s) {
  hf_redis_close(s->conn);
  if (s->child) {
    hfp_signal(s->child, SIGKILL); /* it holds nothing that is not elsewhere */
    hfp_free(s->child);
  }
  if (s->dir) hfp_remove_tree(s->dir);
  free(s->dir);
  explicit_bzero(s->password, sizeof s->password);
  s->conn = NULL;
  s->child = NULL;
  s->dir = NULL;
}
