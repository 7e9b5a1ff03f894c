/* sigv4.h - AWS Signature Version 4, as a pure function of a request, a time and a key.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_SIGV4_H
#define HFT_SIGV4_H

#include <stdint.h>

#include "http.h"
#include "text.h"

#pragma GCC visibility push(hidden)

#define HFT_SIGV4_HEADERS 32

struct hft_sigv4 {
  const char *access_key, *secret_key, *region, *service;
  int64_t when;      /* seconds since 1970; the x-amz-date header must say the same */
  const char *method;
  const char *path;  /* percent-encoded once, as in the URL. (Services other than S3 want it encoded twice where that makes a difference.) */
  const char *query; /* percent-encoded "a=1&b=", in any order; "" for none. A name without '=' is signed as "name=" */
  const struct hft_header *headers; /* all are signed, at most HFT_SIGV4_HEADERS of them; "host" must be among them */
  size_t n_headers;
  const char *payload; /* the SHA-256 of the body in hexadecimal digits, or UNSIGNED-PAYLOAD */
};

/* The canonical request, for tests and for a look at what was signed. */
void hft_sigv4_canonical(const struct hft_sigv4 *s, struct hft_buf *out);
/* Append the value of the Authorization header. out->bad says that it could not be made. */
void hft_sigv4_authorization(const struct hft_sigv4 *s, struct hft_buf *out);
/* The x-amz-date of a time: 20261120T120000Z. */
#define HFT_SIGV4_DATE 20
void hft_sigv4_date(char out[HFT_SIGV4_DATE], int64_t when);

#pragma GCC visibility pop
#endif
