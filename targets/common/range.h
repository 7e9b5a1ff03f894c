/* range.h - reading an object over HTTP, whole or in part: exactly the bytes that were asked for reach the sink.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_RANGE_H
#define HFT_RANGE_H

#include <holdfast/target.h>

#include "http.h"

#pragma GCC visibility push(hidden)

/* One read under way: set what is asked for, the rest to zero. hft_range_begin and hft_range_take are the begin and sink of its request, with this as
 * their ctx. */
struct hft_range {
  const struct holdfast_host *host;
  const char *key;         /* for messages */
  uint64_t offset, length; /* length UINT64_MAX: to the end; 0 is no read, and not for here */
  holdfast_sink sink;
  void *ctx;
  uint64_t left; /* to come, UINT64_MAX: not known. Set by begin */
};

/* The value of a Range header; NULL: none, the whole object is wanted. */
#define HFT_RANGE 64
const char *hft_range_header(const struct hft_range *r, char out[HFT_RANGE]);
/* The status of an answer of which nobody can tell whether it came as a whole, with its message. */
int hft_no_end(const struct holdfast_host *host, const char *key);
/* Look at what the server is about to send, before a byte of it is handed on. HOLDFAST_E_CORRUPT: the object is too short. */
int hft_range_begin(void *range, const struct hft_response *rs);
int hft_range_take(void *range, const void *data, size_t n);
/* After a success: HOLDFAST_OK when all of it came, or HOLDFAST_E_TRANSIENT with its message. */
int hft_range_end(const struct hft_range *r);

#pragma GCC visibility pop
#endif
