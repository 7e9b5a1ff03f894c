/* http.c - HTTP for targets, over libcurl.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A libcurl handle keeps its connection. The handles that are not in use lie on a stack, so that the warmest is taken first; memory is two
 * buffers of BUFFER for each.
 */
#include "http.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#define BUFFER (512L << 10) /* what libcurl moves at a time; its upper bound for receiving */
#define PACED (64u << 10) /* the same, at most, while a limit is set */
#define ERROR_BODY (64u << 10)
#define ENOUGH (1u << 20) /* of a refusal's body: it is read so that the connection can be kept, and one without an end is cut here */
#define CLOCK_SLACK 120 /* seconds that the clocks may differ */

struct hft_http {
  const struct holdfast_host *host;
  struct hft_http_options o;
  char *ca_file;
  const char *proxy; /* the host's, or "" */
  pthread_mutex_t lock; /* over what follows */
  CURL **idle;
  unsigned n_idle;
  bool told_clock;
};

/* One request under way. */
struct transfer {
  struct hft_http *http;
  const struct hft_request *rq;
  struct hft_response *rs;
  uint64_t sent; /* of the body, handed to libcurl */
  uint64_t received;
  int status;    /* why a callback ended the transfer */
  bool begun;
  bool enough; /* of a refusal's body */
};

void hft_http_free(struct hft_http *http) {
  if (!http) return;
  for (unsigned i = 0; i < http->n_idle; i++) curl_easy_cleanup(http->idle[i]);
  free(http->idle);
  free(http->ca_file);
  pthread_mutex_destroy(&http->lock);
  free(http);
  curl_global_cleanup();
}

int hft_http_new(const struct holdfast_host *host, const struct hft_http_options *options, struct hft_http **out) {
  /* Counted by libcurl, and safe in threads since 7.84. */
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return holdfast_fail(host, HOLDFAST_E_FAILED, "libcurl cannot be initialised");
  struct hft_http *http = calloc(1, sizeof *http);
  if (!http) {
    curl_global_cleanup();
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  }
  http->host = host;
  http->o = *options;
  pthread_mutex_init(&http->lock, NULL);
  http->idle = calloc(options->connections ? options->connections : 1, sizeof *http->idle);
  const char *ca_file = host->ca_file ? host->ca_file : options->ca_file;
  http->ca_file = ca_file ? strdup(ca_file) : NULL;
  http->proxy = options->no_proxy ? "" : host->proxy;
  if (!http->idle || (ca_file && !http->ca_file)) {
    hft_http_free(http);
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  }
  *out = http;
  return HOLDFAST_OK;
}

static CURL *take(struct hft_http *http) {
  CURL *c = NULL;
  pthread_mutex_lock(&http->lock);
  if (http->n_idle > 0) c = http->idle[--http->n_idle];
  pthread_mutex_unlock(&http->lock);
  return c ? c : curl_easy_init();
}

static void give(struct hft_http *http, CURL *c, bool good) {
  if (good) {
    pthread_mutex_lock(&http->lock);
    if (http->n_idle < (http->o.connections ? http->o.connections : 1)) {
      http->idle[http->n_idle++] = c;
      c = NULL;
    }
    pthread_mutex_unlock(&http->lock);
  }
  if (c) curl_easy_cleanup(c);
}

/* How much is moved at a time in a direction: a quarter of a second's share while a limit is set. */
static size_t piece(uint64_t limit) {
  uint64_t n = limit / 4;
  if (limit == 0) return BUFFER;
  return n < 1024 ? 1024 : n > PACED ? PACED : (size_t)n;
}

/* Wait until the limit allows for n bytes. */
static bool pace(struct transfer *t, bool up, size_t n) {
  const struct holdfast_host *host = t->http->host;
  if ((up ? host->limit_up : host->limit_down) == 0 || n == 0) return true;
  if (host->pace(host->ctx, up, n) >= 0) return true;
  t->status = holdfast_fail(host, HOLDFAST_E_CANCELED, "stopped");
  return false;
}

/* ---- the response ---- */

void hft_response_free(struct hft_response *rs) {
  hft_buf_free(&rs->body);
  hft_buf_free(&rs->headers);
  rs->code = 0;
}

const char *hft_response_header(const struct hft_response *rs, const char *name) {
  const char *p = rs->headers.data, *end = p ? p + rs->headers.len : NULL;
  while (p < end) {
    const char *value = p + strlen(p) + 1;
    if (strcmp(p, name) == 0) return value;
    p = value + strlen(value) + 1;
  }
  return NULL;
}

bool hft_response_ends(const struct hft_response *rs) {
  return hft_response_header(rs, "content-length") || hft_response_header(rs, "transfer-encoding");
}

/* Append one "Name: value" line. */
static void add_header(struct hft_buf *out, const char *line, size_t n) {
  const char *colon = memchr(line, ':', n);
  if (!colon || memchr(line, '\0', n)) return;
  for (const char *p = line; p < colon; p++) {
    char c = (char)tolower((unsigned char)*p);
    hft_add(out, &c, 1);
  }
  hft_add(out, "", 1);
  const char *value = colon + 1, *end = line + n;
  while (value < end && isspace((unsigned char)*value)) value++;
  while (end > value && isspace((unsigned char)end[-1])) end--;
  hft_add(out, value, (size_t)(end - value));
  hft_add(out, "", 1);
}

static size_t take_header(char *line, size_t size, size_t n, void *ctx) {
  struct transfer *t = ctx;
  struct hft_response *rs = t->rs;
  n *= size;
  if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
    /* The one before was a 100, or one asking for a proxy's login. */
    const char *code = memchr(line, ' ', n);
    hft_buf_free(&rs->headers);
    rs->code = code && (size_t)(code - line) + 4 <= n ? atoi(code) : 0;
  } else if (n > 2) {
    if (rs->headers.len + n > HFT_HEADERS_MAX) {
      t->status = holdfast_fail(t->http->host, HOLDFAST_E_FAILED, "the server's answer has more than %u bytes of headers", HFT_HEADERS_MAX);
      return 0;
    }
    add_header(&rs->headers, line, n);
  } else if (rs->code / 100 == 2 && t->rq->begin && !t->begun) {
    t->begun = true;
    t->status = t->rq->begin(t->rq->ctx, rs);
    if (t->status < 0) return 0;
  }
  return n;
}

static size_t take_body(char *data, size_t size, size_t n, void *ctx) {
  struct transfer *t = ctx;
  struct hft_response *rs = t->rs;
  size_t max = t->rq->max_body ? t->rq->max_body : ERROR_BODY;
  n *= size;
  t->received += n;
  if (!pace(t, false, n)) return 0;
  if (rs->code / 100 == 2 && t->rq->sink) {
    int status = t->rq->sink(t->rq->ctx, data, n);
    if (status < 0) t->status = status;
    return status < 0 ? 0 : n;
  }
  size_t room = max - rs->body.len;
  if (n > room && rs->code / 100 == 2) {
    t->status = holdfast_fail(t->http->host, HOLDFAST_E_FAILED, "the server's answer is larger than the %zu bytes it may have", max);
    return 0;
  }
  hft_add(&rs->body, data, n < room ? n : room);
  t->enough = n > room && t->received > max + (uint64_t)ENOUGH;
  return t->enough ? 0 : n;
}

/* ---- the request ---- */

static size_t give_body(char *out, size_t size, size_t n, void *ctx) {
  struct transfer *t = ctx;
  uint64_t left = t->rq->size - t->sent;
  n *= size;
  if (n > left) n = (size_t)left;
  if (n > piece(t->http->host->limit_up)) n = piece(t->http->host->limit_up);
  if (!pace(t, true, n)) return CURL_READFUNC_ABORT;
  if (n) memcpy(out, (const char *)t->rq->body + t->sent, n);
  t->sent += n;
  return n;
}

static int seek_body(void *ctx, curl_off_t offset, int origin) {
  struct transfer *t = ctx;
  if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->rq->size) return CURL_SEEKFUNC_FAIL;
  t->sent = (uint64_t)offset;
  return CURL_SEEKFUNC_OK;
}

static int progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
  struct transfer *t = ctx;
  (void)a, (void)b, (void)c, (void)d;
  if (!t->http->host->cancelled(t->http->host->ctx)) return 0;
  t->status = holdfast_fail(t->http->host, HOLDFAST_E_CANCELED, "stopped");
  return 1;
}

static bool set_common(struct hft_http *http, CURL *c) {
  const struct hft_http_options *o = &http->o;
  bool good = true;
#define SET(option, value) good = curl_easy_setopt(c, CURLOPT_##option, value) == CURLE_OK && good
  SET(NOSIGNAL, 1L);
  SET(SUPPRESS_CONNECT_HEADERS, 1L); /* what a proxy says is not the server's answer */
  SET(PROTOCOLS_STR, "http,https");
  SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(TCP_NODELAY, 1L);
  SET(TCP_KEEPALIVE, 1L);
  SET(BUFFERSIZE, (long)piece(http->host->limit_down));
  SET(UPLOAD_BUFFERSIZE, BUFFER);
  SET(CONNECTTIMEOUT, (long)(o->connect_timeout ? o->connect_timeout : 15));
  SET(LOW_SPEED_LIMIT, 1L);
  SET(LOW_SPEED_TIME, (long)(o->stall_timeout ? o->stall_timeout : 60));
  SET(USERAGENT, "holdfast");
  /* Instead of what the system trusts: libcurl has a folder of its own beside the file. */
  if (http->ca_file) SET(CAINFO, http->ca_file);
  if (http->ca_file) SET(CAPATH, NULL);
  if (http->proxy) SET(PROXY, http->proxy);
  if (http->proxy && *http->proxy) SET(NOPROXY, ""); /* what the manifest says is for all, whatever the environment excepts */
  return good;
}

/* The headers as libcurl wants them, or NULL when out of memory. Transfer-Encoding, Content-Type and Accept stay away. */
static struct curl_slist *make_headers(const struct hft_request *rq) {
  struct curl_slist *list = curl_slist_append(NULL, "Accept:");
  struct hft_buf line = {0};
  bool good = list != NULL, typed = false;
  for (size_t i = 0; good && i < rq->n_headers; i++) {
    typed |= strcasecmp(rq->headers[i].name, "content-type") == 0;
    line.len = 0;
    hft_addf(&line, "%s:%s%s", rq->headers[i].name, *rq->headers[i].value ? " " : "", rq->headers[i].value);
    /* "Name:" alone would remove the header; with a semicolon it is sent with no value. */
    if (!*rq->headers[i].value && line.len > 0) line.data[line.len - 1] = ';';
    struct curl_slist *more = line.bad ? NULL : curl_slist_append(list, line.data);
    good = more != NULL;
    if (more) list = more;
  }
  if (good && !typed && rq->body) {
    struct curl_slist *more = curl_slist_append(list, "Content-Type:");
    good = more != NULL;
    if (more) list = more;
  }
  hft_buf_free(&line);
  if (good) return list;
  curl_slist_free_all(list);
  return NULL;
}

static bool set_request(struct transfer *t, CURL *c, struct curl_slist *headers, char *why) {
  const struct hft_request *rq = t->rq;
  bool good = true;
  SET(URL, rq->url);
  SET(HTTPHEADER, headers);
  SET(ERRORBUFFER, why);
  SET(HEADERFUNCTION, take_header);
  SET(HEADERDATA, t);
  SET(WRITEFUNCTION, take_body);
  SET(WRITEDATA, t);
  SET(XFERINFOFUNCTION, progress);
  SET(XFERINFODATA, t);
  SET(NOPROGRESS, 0L);
  if (strcmp(rq->method, "HEAD") == 0) {
    SET(NOBODY, 1L);
  } else if (strcmp(rq->method, "PUT") == 0 || strcmp(rq->method, "POST") == 0 || strcmp(rq->method, "PATCH") == 0) {
    SET(UPLOAD, 1L);
    SET(CUSTOMREQUEST, rq->method);
    SET(INFILESIZE_LARGE, (curl_off_t)rq->size);
    SET(READFUNCTION, give_body);
    SET(READDATA, t);
    SET(SEEKFUNCTION, seek_body);
    SET(SEEKDATA, t);
  } else {
    SET(CUSTOMREQUEST, rq->method);
  }
  return good;
}
#undef SET

/* What libcurl's failure is to the host. */
static int explain(struct transfer *t, CURLcode code, const char *why) {
  const struct holdfast_host *host = t->http->host;
  char said[CURL_ERROR_SIZE];
  if (t->status < 0) return t->status;
  hft_printable(said, sizeof said, *why ? why : curl_easy_strerror(code));
  switch (code) {
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
    return holdfast_fail(host, HOLDFAST_E_AUTH, "the server's certificate is not to be trusted: %s", said);
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "the certificates to trust cannot be read: %s", said);
  case CURLE_SSL_CONNECT_ERROR:
    /* A connection lost in the handshake is worth another try; a server without TLS is not. */
    if (strstr(said, "wrong version number"))
      return holdfast_fail(host, HOLDFAST_E_CONFIG, "the server does not speak TLS at this port: use http:// or another port (%s)", said);
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "no TLS connection: %s", said);
  case CURLE_URL_MALFORMAT:
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "not a usable URL: %s", said);
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_WEIRD_SERVER_REPLY:
    return holdfast_fail(host, HOLDFAST_E_CONFIG, "this is not an HTTP server: %s", said);
  case CURLE_OPERATION_TIMEDOUT:
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "timed out: %s", said);
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "no connection: %s", said);
  case CURLE_PARTIAL_FILE:
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "the answer is shorter than the server announced: %s", said);
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_FAIL_REWIND:
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "the connection was lost: %s", said);
  case CURLE_OUT_OF_MEMORY:
    return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  default:
    return holdfast_fail(host, HOLDFAST_E_FAILED, "the request failed: %s", said);
  }
}

/* ---- what is told about it ---- */

/* Is this a query parameter that lets its holder in? Rather one too many. */
static bool is_secret(const char *name, size_t n) {
  static const char *const words[] = {"sig", "token", "credential", "secret", "password", "upload_id", "assertion"};
  char low[64];
  if (n >= sizeof low) return true;
  for (size_t i = 0; i < n; i++) low[i] = (char)tolower((unsigned char)name[i]);
  low[n] = '\0';
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strstr(low, words[i])) return true;
  return false;
}

void hft_http_redact(struct hft_buf *out, const char *url) {
  const char *host = strstr(url, "://"), *query = strchr(url, '?');
  host = host ? host + 3 : url;
  const char *end = host + strcspn(host, "/?"), *at = memchr(host, '@', (size_t)(end - host));
  hft_add(out, url, (size_t)(host - url));
  if (at) hft_adds(out, "***");
  if (at) host = at;
  if (!query) {
    hft_adds(out, host);
    return;
  }
  hft_add(out, host, (size_t)(query + 1 - host));
  for (const char *p = query + 1; *p;) {
    size_t n = strcspn(p, "&"), name = strcspn(p, "=&");
    bool hide = name < n && is_secret(p, name);
    hft_add(out, p, hide ? name + 1 : n);
    if (hide) hft_adds(out, "***");
    p += n;
    if (*p == '&') hft_add(out, p++, 1);
  }
}

/* One line for each request. Headers are not in it: that is where the keys are. */
static void trace(const struct transfer *t, CURL *c, CURLcode code) {
  const struct holdfast_host *host = t->http->host;
  struct hft_buf url = {0}, line = {0};
  double seconds = 0;
  hft_http_redact(&url, t->rq->url);
  curl_easy_getinfo(c, CURLINFO_TOTAL_TIME, &seconds);
  hft_addf(&line, "%s %s: ", t->rq->method, hft_text(&url));
  if (t->rs->code) hft_addf(&line, "%d", t->rs->code);
  else hft_addf(&line, "no answer");
  if (code != CURLE_OK) hft_addf(&line, " (%s)", curl_easy_strerror(code));
  hft_addf(&line, ", %llu bytes sent, %llu received, %.0f ms", (unsigned long long)t->sent, (unsigned long long)t->received, seconds * 1000);
  if (!url.bad && !line.bad) host->log(host->ctx, HOLDFAST_LOG_DEBUG, line.data);
  hft_buf_free(&url);
  hft_buf_free(&line);
}

/* Retry-After: seconds, or a time, which is compared with the server's own clock. */
static void ask_to_wait(const struct transfer *t) {
  const struct holdfast_host *host = t->http->host;
  const char *text = hft_response_header(t->rs, "retry-after"), *date = hft_response_header(t->rs, "date");
  int64_t seconds = 0, then, now;
  if (!text || !*text || (t->rs->code != 429 && t->rs->code < 500)) return;
  if (text[strspn(text, "0123456789")] == '\0') seconds = strlen(text) < 9 ? atol(text) : 99999999;
  else if (hft_time_http(text, &then)) seconds = then - (date && hft_time_http(date, &now) ? now : (int64_t)time(NULL));
  if (seconds > 0) host->retry_after(host->ctx, seconds);
}

/* Has the server had all of the body? What it takes for a success before that may be anything, as of something in between that answers all alike. */
static bool sent_whole(const struct transfer *t, CURL *c) {
  curl_off_t on_the_way = 0;
  curl_easy_getinfo(c, CURLINFO_SIZE_UPLOAD_T, &on_the_way);
  return t->sent == t->rq->size && (uint64_t)on_the_way >= t->rq->size;
}

/* Signatures hold for minutes, and certificates and retention go by the time: a clock that differs is worth a word before it is worth
 * an error. Said once. */
static void compare_clocks(struct hft_http *http, const struct hft_response *rs) {
  const char *date = hft_response_header(rs, "date");
  time_t there = date ? curl_getdate(date, NULL) : -1;
  if (there == -1) return;
  long long ahead = (long long)time(NULL) - (long long)there;
  if (ahead > -CLOCK_SLACK && ahead < CLOCK_SLACK) return;
  pthread_mutex_lock(&http->lock);
  bool first = !http->told_clock;
  http->told_clock = true;
  pthread_mutex_unlock(&http->lock);
  if (!first || !http->host->log) return;
  char text[120];
  snprintf(text, sizeof text, "the clock of this host is %lld s %s that of the server; set it right",
           ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of");
  http->host->log(http->host->ctx, HOLDFAST_LOG_WARNING, text);
}

int hft_http_send(struct hft_http *http, const struct hft_request *rq, struct hft_response *rs) {
  struct transfer t = {.http = http, .rq = rq, .rs = rs};
  char why[CURL_ERROR_SIZE] = "";
  hft_response_free(rs);
  if (http->host->cancelled(http->host->ctx)) return holdfast_fail(http->host, HOLDFAST_E_CANCELED, "stopped");
  CURL *c = take(http);
  struct curl_slist *headers = make_headers(rq);
  if (!c || !headers) {
    if (c) give(http, c, true);
    curl_slist_free_all(headers);
    return holdfast_fail(http->host, HOLDFAST_E_TRANSIENT, "out of memory");
  }
  curl_easy_reset(c); /* the connection stays */
  CURLcode code = set_common(http, c) && set_request(&t, c, headers, why) ? curl_easy_perform(c) : CURLE_OUT_OF_MEMORY;
  bool cut = code == CURLE_WRITE_ERROR && t.enough;
  if (cut) code = CURLE_OK; /* what it is about has come */
  if (code == CURLE_OK && (rs->body.bad || rs->headers.bad)) code = CURLE_OUT_OF_MEMORY;
  trace(&t, c, code);
  ask_to_wait(&t);
  bool whole = sent_whole(&t, c);
  /* A server that answered before it had the whole body may still read it, or take the rest for a request: that connection is done with. */
  give(http, c, code == CURLE_OK && whole && !cut);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) return explain(&t, code, why);
  if (!whole && rs->code / 100 == 2)
    return holdfast_fail(http->host, HOLDFAST_E_TRANSIENT, "the server reports success (%d) before it has had all of the request's %llu bytes", rs->code,
                         (unsigned long long)rq->size);
  compare_clocks(http, rs);
  return HOLDFAST_OK;
}

int hft_http_status(int code) {
  switch (code) {
  case 401:
  case 403:
  case 407:
    return HOLDFAST_E_AUTH;
  case 404:
  case 410:
    return HOLDFAST_E_NOT_FOUND;
  case 408:
  case 425:
  case 429:
    return HOLDFAST_E_TRANSIENT;
  case 412:
    return HOLDFAST_E_EXISTS;
  case 413:
  case 507:
    return HOLDFAST_E_NO_SPACE;
  case 501:
  case 505:
    return HOLDFAST_E_UNSUPPORTED;
  default:
    return code / 100 == 3 ? HOLDFAST_E_CONFIG : code >= 500 ? HOLDFAST_E_TRANSIENT : HOLDFAST_E_FAILED;
  }
}
