/* internal.h - what the channels share, and their tests see.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HF_NOTIFY_INTERNAL_H
#define HF_NOTIFY_INTERNAL_H

#include <curl/curl.h>

#include "base/text.h"
#include "notify/channel.h"

/* A type of channel. deadline: of hf_now(). */
struct hf_channel_ops {
  int (*send)(const struct hf_manifest_notify *n, const struct hf_notice *x, double deadline, struct hf_error *err);
  int (*probe)(const struct hf_manifest_notify *n, double deadline, char **what, struct hf_error *err);
};
extern const struct hf_channel_ops hf_channel_email, hf_channel_webhook, hf_channel_syslog, hf_channel_journald, hf_channel_statsd, hf_channel_command;

/* ---- notice.c ---- */
/* A member of facts that is a string, "" when there is none. */
const char *hf_notice_str(const struct hf_notice *x, const char *key);
/* The syslog(3) priority of the message's severity. */
int hf_notice_priority(const struct hf_notice *x);
/* Names of the placeholders that are facts of their own: all but text and facts. Ends with NULL. */
extern const char *const hf_notice_fields[];

/* ---- libcurl (curl.c) ---- */
/* It is loaded when a message goes by it: with the thirty libraries that it brings along, each of which has something to set up, starting it costs more than all the rest of a program,
 * and a run that finds nothing new starts two. hf_curl_open loads it; nothing of it may be called before. */
#define HF_LIBCURL(X)                                                                                                                                                            \
  X(easy_cleanup) X(easy_getinfo) X(easy_init) X(easy_perform) X(easy_setopt) X(easy_strerror) X(global_init)                                                                    \
  X(mime_addpart) X(mime_data) X(mime_encoder) X(mime_free) X(mime_init) X(mime_type) X(slist_append) X(slist_free_all)
#define HF_LIBCURL_MEMBER(name) __typeof__(curl_##name) *name;
struct hf_libcurl { HF_LIBCURL(HF_LIBCURL_MEMBER) };
extern struct hf_libcurl hf_libcurl;
#undef curl_easy_getinfo /* macros that check types */
#undef curl_easy_setopt
#define curl_easy_cleanup hf_libcurl.easy_cleanup
#define curl_easy_getinfo hf_libcurl.easy_getinfo
#define curl_easy_init hf_libcurl.easy_init
#define curl_easy_perform hf_libcurl.easy_perform
#define curl_easy_setopt hf_libcurl.easy_setopt
#define curl_easy_strerror hf_libcurl.easy_strerror
#define curl_global_init hf_libcurl.global_init
#define curl_mime_addpart hf_libcurl.mime_addpart
#define curl_mime_data hf_libcurl.mime_data
#define curl_mime_encoder hf_libcurl.mime_encoder
#define curl_mime_free hf_libcurl.mime_free
#define curl_mime_init hf_libcurl.mime_init
#define curl_mime_type hf_libcurl.mime_type
#define curl_slist_append hf_libcurl.slist_append
#define curl_slist_free_all hf_libcurl.slist_free_all

struct hf_curl {
  CURL *h;
  struct curl_slist *headers, *recipients;
  char text[CURL_ERROR_SIZE];
};
/* A handle for protocols (as CURLOPT_PROTOCOLS_STR) that ends by the deadline. ca_file may be NULL. */
int hf_curl_open(struct hf_curl *c, const char *protocols, const char *ca_file, double deadline, struct hf_error *err);
void hf_curl_close(struct hf_curl *c); /* for HF_CLEANUP; a zeroed one is fine */
/* Perform; the error is libcurl's, classified. What a server answered is the caller's to judge. */
int hf_curl_perform(struct hf_curl *c, struct hf_error *err);
long hf_curl_code(struct hf_curl *c); /* what the server answered last, 0 for nothing */

/* ---- datagrams (datagram.c) ---- */
/* A connected socket. server: HOST or HOST:PORT, checked before. A full receiver is waited for until the deadline. Sending never ends the process. */
int hf_dgram_unix(const char *path, double deadline, int *fd, struct hf_error *err);
int hf_dgram_udp(const char *server, const char *default_port, double deadline, int *fd, struct hf_error *err);
/* One datagram. HOLDFAST_E_NO_SPACE: too large for one. */
int hf_dgram_send(int fd, const void *p, size_t n, struct hf_error *err);

/* ---- forms of messages ---- */
void hf_syslog_format(const struct hf_notice *x, int facility, long pid, struct hf_buf *out);   /* RFC 5424 */
void hf_journald_format(const struct hf_notice *x, bool with_facts, struct hf_buf *out);        /* systemd's native protocol */
void hf_statsd_format(const struct hf_notice *x, const char *prefix, struct hf_buf *out);       /* lines NAME:VALUE|TYPE */
/* What a webhook sends. template NULL: the facts. Values are put in as the content type wants: escaped for JSON, for a form, or as they are. */
int hf_webhook_format(const struct hf_notice *x, const char *template, const char *content_type, struct hf_buf *out, struct hf_error *err);
/* A header's value: ASCII, one line, at most 200 bytes. Caller frees. */
char *hf_email_header(const char *text);

#endif
