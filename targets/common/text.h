/* text.h - small text helpers of the HTTP targets: a growing buffer, percent encoding, times, texts that are safe to show.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HFT_TEXT_H
#define HFT_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* Bytes that grow, always with a NUL behind them once something was added. Zero it to begin with. Out of memory sets bad, and from then on
 * nothing is added: look at bad once, at the end. */
struct hft_buf {
  char *data;
  size_t len, cap;
  bool bad;
};

void hft_add(struct hft_buf *b, const void *p, size_t n);
void hft_adds(struct hft_buf *b, const char *s);
void hft_addf(struct hft_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What was added as a NUL-terminated text: "" if nothing was. */
const char *hft_text(const struct hft_buf *b);
/* Free it; it may be used again. Secrets are wiped. */
void hft_buf_free(struct hft_buf *b);

/* Append s with every byte but A-Z a-z 0-9 - . _ ~ as %XX, capital digits, as RFC 3986 and all cloud signatures want it. */
void hft_encode(struct hft_buf *b, const char *s, bool keep_slashes);
/* Undo it in place, '+' as a blank. False when a '%' is not followed by two hexadecimal digits, or a byte would be NUL. */
bool hft_decode(char *s);

/* Copy text into out, at most cap - 1 bytes of it, on one line and without control characters: what a server says, made fit for a message. */
void hft_printable(char *out, size_t cap, const char *text);

/* Decimal digits and nothing else, at most 19 of them. False, too, for NULL. */
bool hft_number(const char *s, uint64_t *out);
/* The numbers of "bytes A-B/C", the Content-Range of a part; false when it is not that. */
bool hft_content_range(const char *s, uint64_t *first, uint64_t *last, uint64_t *total);

/* Seconds since 1970 as 2026-11-20T12:00:00Z. */
#define HFT_TIME 32
void hft_time_format(char out[HFT_TIME], int64_t t);
/* The way back, UTC only; fractions of a second are dropped. False when it is no such time. */
bool hft_time_parse(const char *s, int64_t *out);
/* The same for the Date header: "Fri, 20 Nov 2026 12:00:00 GMT". */
bool hft_time_http(const char *s, int64_t *out);
void hft_time_http_format(char out[HFT_TIME], int64_t t);

#pragma GCC visibility pop
#endif
