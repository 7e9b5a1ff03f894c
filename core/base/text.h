/* text.h - text forms of numbers and bytes: hex, sizes, durations, times, escaping. */
#ifndef HF_TEXT_H
#define HF_TEXT_H

#include <time.h>

#include "base/base.h"

/* ---- hex (hex.c), lower case ---- */
void hf_hex(char *out, const void *p, size_t n); /* 2n characters and a NUL */
/* Exactly 2n hex digits (either case) at s into out; false when any is not one. Does not look past 2n. */
bool hf_unhex(void *out, const char *s, size_t n);

/* ---- units (units.c) ---- */
/* "64K" "32M" "4G" "2T" (powers of 1024; optional "B" or "iB"; plain digits are bytes). */
int hf_parse_size(const char *s, uint64_t *out, struct hf_error *err);
/* "90s" "15m" "24h" "7d" "4w" "7y" (365 days); several may follow each other ("1h30m"); seconds out. A bare number is refused except 0. */
int hf_parse_duration(const char *s, int64_t *seconds, struct hf_error *err);
/* yes/no/true/false/on/off/1/0 */
int hf_parse_bool(const char *s, bool *out, struct hf_error *err);
/* Unsigned decimal of all of s, at most max. */
int hf_parse_uint(const char *s, uint64_t max, uint64_t *out, struct hf_error *err);
/* RFC 3339 "2026-11-20T09:18:52Z" (or +01:00), "2026-11-20 09:18[:52]" and "2026-11-20" in local time; "90m ago". */
int hf_parse_time(const char *s, int64_t *unix_s, struct hf_error *err);
/* RFC 3339 in UTC, "2026-11-20T09:18:52Z": 21 bytes with the NUL. */
#define HF_TIME_LEN 21
void hf_format_time(char out[HF_TIME_LEN], int64_t unix_s);
/* "1.5 MiB", "12 B": out holds at least 16 bytes. */
void hf_format_size(char out[16], uint64_t n);
/* "1h 02m", "3.2 s": out holds at least 24 bytes. */
void hf_format_duration(char out[24], double seconds);
double hf_now(void);         /* monotonic seconds */
int64_t hf_wall_clock(void); /* Unix seconds */

/* ---- commands (words.c) ----
 * Split a command into words at blanks, appended to words; '...' and "..." keep blanks, nothing else is special. HOLDFAST_E_CONFIG for none at all and for a quote without its end. */
int hf_split_words(const char *text, struct hf_list *words, struct hf_error *err);
/* The last line of what a command printed, as hf_printable gives it, "" for none; owned by the caller. */
char *hf_last_line(const struct hf_buf *b);

/* ---- placeholders (template.c) ----
 * Append text to out, each ${NAME} in it replaced by what fn appends for the name, "$$" by one dollar sign. fn returns false for a name that it does not know: HOLDFAST_E_CONFIG, as for a
 * "${" without its end; out then holds a part. */
int hf_template(const char *text, bool (*fn)(void *ctx, const char *name, struct hf_buf *out), void *ctx, struct hf_buf *out, struct hf_error *err);

/* ---- escaping (escape.c) ----
 * Bytes <= 0x20, 0x7f and the backslash become \ooo (three octal digits); all others stand for themselves. So an escaped
 * string has no blank, newline or control byte, and UTF-8 stays readable. The empty string becomes "\-". */
void hf_escape(struct hf_buf *out, const void *p, size_t n);
/* The reverse, appended to out; HOLDFAST_E_CORRUPT for a malformed escape. */
int hf_unescape(struct hf_buf *out, const char *s, size_t n, struct hf_error *err);
/* For messages and terminals: invalid UTF-8 and control bytes shown as \ooo, blanks kept; owned by the caller. */
char *hf_printable(const void *p, size_t n);

#endif
