/* http.h - HTTP for targets: connections that are kept and used again, one request at a time on each, errors as statuses.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Any number of threads may send at once; each gets a connection of its own. A response of whatever code is a success here: what a
 * 403 means is for the caller to say. Nothing is sent twice, but where a kept connection turns out to have been closed before the
 * server could have seen the request.
 */
#ifndef HFT_HTTP_H
#define HFT_HTTP_H

#include <holdfast/plugin.h>

#include "text.h"

#pragma GCC visibility push(hidden)

struct hft_header {
  const char *name, *value;
};

struct hft_http;

/* Zero it, then set what is wanted. The texts are copied. Proxy, certificates and limits are the host's. */
struct hft_http_options {
  unsigned connections;     /* how many are kept open; not how many there may be */
  unsigned connect_timeout; /* seconds; 0: 15 */
  unsigned stall_timeout;   /* seconds without a byte in either direction after which a request is given up; 0: 60 */
  const char *ca_file;      /* certificates to trust where the host names none; NULL: the system's */
  bool no_proxy;            /* a service next door: what the host and the environment say of proxies is not for it */
};

/* Returns HOLDFAST_OK or a status with its message. */
int hft_http_new(const struct holdfast_host *host, const struct hft_http_options *options, struct hft_http **out);
/* NULL is allowed. No request may be under way. */
void hft_http_free(struct hft_http *http);

/* What came back. Free it with hft_response_free. Zero it to begin with; a second send with it starts afresh. */
struct hft_response {
  int code;               /* 0: none came */
  struct hft_buf body;    /* what the sink did not get */
  struct hft_buf headers; /* "name\0value\0" ..., names in lower case; at most HFT_HEADERS_MAX bytes */
};
#define HFT_HEADERS_MAX (64u << 10)

void hft_response_free(struct hft_response *rs);
/* The value of a header by its lower case name, or NULL. Valid until the response is freed or sent with again. */
const char *hft_response_header(const struct hft_response *rs, const char *name);

/* Does it say where its body ends? Else the end of the connection is it, and a body that is cut off looks whole. */
bool hft_response_ends(const struct hft_response *rs);

/* Zero it, then set what is wanted. */
struct hft_request {
  const char *method; /* GET, HEAD, PUT, POST, PATCH, DELETE */
  const char *url;
  const struct hft_header *headers; /* Host, Content-Length and Expect are made here, Content-Type never */
  size_t n_headers;
  const void *body; /* of PUT, POST and PATCH; with its size */
  uint64_t size;
  /* A response with a code of 200 to 299: begin (may be NULL) is called once, when its headers are there; then the body goes to sink. A negative
   * status from either ends the request with that status. Without a sink the body is kept in the response. */
  int (*begin)(void *ctx, const struct hft_response *rs);
  int (*sink)(void *ctx, const void *data, size_t n);
  void *ctx;
  size_t max_body; /* how much is kept of a response's body; 0: 64 KiB. More is an error after a success, and else dropped, or not waited for */
};

/* Send it and wait for the whole response. The host is told of it in a line of the log (level debug), and how long the server asks to be
 * left alone. Returns HOLDFAST_OK when there is one; a status with its message when not, and what begin or sink
 * returned if that was negative. */
int hft_http_send(struct hft_http *http, const struct hft_request *rq, struct hft_response *rs);

/* Append url without what lets its holder in: a user with a password, signatures and tokens in the query. */
void hft_http_redact(struct hft_buf *out, const char *url);

/* The class of an HTTP code that has no better explanation: 404 HOLDFAST_E_NOT_FOUND, 429 and 5xx HOLDFAST_E_TRANSIENT, ... */
int hft_http_status(int code);

#pragma GCC visibility pop
#endif
