/* tls.c - TLS on a connected socket, by OpenSSL. The server's certificate is always checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct hf_redis_tls {
  const struct holdfast_host *host;
  const struct hf_redis_target *target;
  int fd;
  bool ended; /* the other side has closed the socket */
  BIO_METHOD *method;
  SSL_CTX *ctx;
  SSL *ssl;
};

/* ---- the socket as a BIO of our own: OpenSSL's raises SIGPIPE when the server is gone ---- */

static int bio_write(BIO *b, const char *p, int n) {
  struct hf_redis_tls *s = BIO_get_data(b);
  ssize_t went = send(s->fd, p, (size_t)n, MSG_NOSIGNAL);
  BIO_clear_retry_flags(b);
  if (went < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(b);
  return (int)went;
}

static int bio_read(BIO *b, char *p, int n) {
  struct hf_redis_tls *s = BIO_get_data(b);
  ssize_t got = recv(s->fd, p, (size_t)n, 0);
  BIO_clear_retry_flags(b);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(b);
  else if (got <= 0) s->ended = true;
  return (int)got;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer) {
  struct hf_redis_tls *s = BIO_get_data(b);
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH ? 1 : command == BIO_CTRL_EOF ? s->ended : 0;
}

static int bio_create(BIO *b) {
  BIO_set_init(b, 1);
  return 1;
}

static bool make_bio(struct hf_redis_tls *s) {
  s->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket");
  if (!s->method || !BIO_meth_set_write(s->method, bio_write) || !BIO_meth_set_read(s->method, bio_read) ||
      !BIO_meth_set_ctrl(s->method, bio_ctrl) || !BIO_meth_set_create(s->method, bio_create))
    return false;
  BIO *b = BIO_new(s->method);
  if (!b) return false;
  BIO_set_data(b, s);
  SSL_set_bio(s->ssl, b, b);
  return true;
}

/* What OpenSSL says of its last error; the queue is empty afterwards. */
static const char *reason(void) {
  unsigned long e = ERR_peek_error();
  const char *text = e ? ERR_reason_error_string(e) : NULL;
  ERR_clear_error();
  return text ? text : "the server closed the connection";
}

static int file_trouble(struct hf_redis_tls *s, const char *key, const char *path, const char *what) {
  return holdfast_fail(s->host, HOLDFAST_E_CONFIG, "%s = %s: %s (%s)", key, path, what, reason());
}

static int load_files(struct hf_redis_tls *s) {
  const struct hf_redis_target *t = s->target;
  if (t->tls_ca && SSL_CTX_load_verify_file(s->ctx, t->tls_ca) != 1)
    return file_trouble(s, "tls-ca", t->tls_ca, "no certificates in PEM can be read from it");
  if (!t->tls_ca && SSL_CTX_set_default_verify_paths(s->ctx) != 1)
    return holdfast_fail(s->host, HOLDFAST_E_CONFIG, "the system has no certificates to trust; name some by tls-ca (%s)", reason());
  if (!t->tls_cert) return HOLDFAST_OK;
  if (SSL_CTX_use_certificate_chain_file(s->ctx, t->tls_cert) != 1)
    return file_trouble(s, "tls-cert", t->tls_cert, "no certificate in PEM can be read from it");
  if (SSL_CTX_use_PrivateKey_file(s->ctx, t->tls_key, SSL_FILETYPE_PEM) != 1)
    return file_trouble(s, "tls-key", t->tls_key, "no private key that belongs to tls-cert, in PEM and without a passphrase, can be read from it");
  return HOLDFAST_OK;
}

/* The name that the certificate must be for, which is also the one we ask for (an address cannot be). */
static bool set_name(struct hf_redis_tls *s) {
  const char *name = s->target->tls_name ? s->target->tls_name : s->target->host;
  unsigned char address[16];
  if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1;
  return SSL_set1_host(s->ssl, name) == 1 && SSL_set_tlsext_host_name(s->ssl, name) == 1;
}

/* Wait for what OpenSSL wants after a call that returned rc. 1: call again; 0: the other side has closed; negative: a status. */
static int again(struct hf_redis_tls *s, int rc, int timeout) {
  int saved = errno, what = SSL_get_error(s->ssl, rc);
  if (what == SSL_ERROR_ZERO_RETURN || (what == SSL_ERROR_SYSCALL && (s->ended || saved == ECONNRESET || saved == EPIPE))) {
    ERR_clear_error();
    return 0;
  }
  if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
    int status = hf_redis_wait(s->host, s->fd, what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, timeout, s->target->label);
    if (status == HOLDFAST_OK) return 1;
    if (status != HOLDFAST_E_TIMEOUT) return status;
    return holdfast_fail(s->host, status, "%s: the server has been silent for %d s (stall-timeout)", s->target->label, timeout / 1000);
  }
  return holdfast_fail(s->host, HOLDFAST_E_FAILED, "%s: TLS: %s", s->target->label, reason());
}

static int handshake(struct hf_redis_tls *s) {
  const struct hf_redis_target *t = s->target;
  for (;;) {
    ERR_clear_error();
    int rc = SSL_connect(s->ssl);
    if (rc == 1) return HOLDFAST_OK;
    long verified = SSL_get_verify_result(s->ssl);
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
      return holdfast_fail(s->host, HOLDFAST_E_AUTH, "%s: the server's certificate is not for %s; tls-server-name may say what it is for",
                           t->label, t->tls_name ? t->tls_name : t->host);
    if (verified != X509_V_OK)
      return holdfast_fail(s->host, HOLDFAST_E_AUTH, "%s: the server's certificate is not trusted: %s; tls-ca names the file with what it is signed by",
                           t->label, X509_verify_cert_error_string(verified));
    int more = SSL_get_error(s->ssl, rc) == SSL_ERROR_SSL ? 0 : again(s, rc, t->connect_timeout);
    if (more == HOLDFAST_E_TIMEOUT)
      return holdfast_fail(s->host, more, "%s: no TLS with the server after %d s (connect-timeout): does it speak TLS at this port?", t->label,
                           t->connect_timeout / 1000);
    if (more < 0) return more;
    if (more == 0) return holdfast_fail(s->host, HOLDFAST_E_FAILED, "%s: no TLS with the server: %s", t->label, reason());
  }
}

int hf_redis_tls_start(const struct holdfast_host *host, const struct hf_redis_target *t, int fd, struct hf_redis_tls **out) {
  int rc = HOLDFAST_OK;
  struct hf_redis_tls *s = calloc(1, sizeof *s);
  if (!s) return hf_redis_no_memory(host);
  *s = (struct hf_redis_tls){.host = host, .target = t, .fd = fd};
  ERR_clear_error();
  s->ctx = SSL_CTX_new(TLS_client_method());
  if (s->ctx) {
    SSL_CTX_set_min_proto_version(s->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
    /* Where the data ends is for the replication protocol to say. */
    SSL_CTX_set_options(s->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(s->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    rc = load_files(s);
  }
  if (rc == HOLDFAST_OK && (!s->ctx || !(s->ssl = SSL_new(s->ctx)) || !make_bio(s) || !set_name(s)))
    rc = holdfast_fail(host, HOLDFAST_E_FAILED, "%s: TLS cannot be set up: %s", t->label, reason());
  if (rc == HOLDFAST_OK) rc = handshake(s);
  if (rc == HOLDFAST_OK) *out = s;
  else hf_redis_tls_free(s);
  return rc;
}

int64_t hf_redis_tls_recv(struct hf_redis_tls *s, void *buf, size_t n) {
  for (;;) {
    ERR_clear_error();
    int got = SSL_read(s->ssl, buf, n > 1 << 30 ? 1 << 30 : (int)n);
    if (got > 0) return got;
    int more = again(s, got, s->target->stall_timeout);
    if (more <= 0) return more;
  }
}

int64_t hf_redis_tls_send(struct hf_redis_tls *s, const void *buf, size_t n) {
  for (;;) {
    ERR_clear_error();
    int went = SSL_write(s->ssl, buf, n > 1 << 30 ? 1 << 30 : (int)n);
    if (went > 0) return went;
    int more = again(s, went, s->target->stall_timeout);
    if (more == 0) return holdfast_fail(s->host, HOLDFAST_E_TRANSIENT, "%s: the server closed the connection", s->target->label);
    if (more < 0) return more;
  }
}

/* Without the goodbye of TLS: the socket is closed next, and nobody waits for it. */
void hf_redis_tls_free(struct hf_redis_tls *s) {
  if (!s) return;
  SSL_free(s->ssl);
  SSL_CTX_free(s->ctx);
  BIO_meth_free(s->method);
  free(s);
}
