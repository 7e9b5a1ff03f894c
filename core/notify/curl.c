/* curl.c - libcurl, set up for one message.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "notify/internal.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static void start(void) { started = curl_global_init(CURL_GLOBAL_DEFAULT); }

int hf_curl_open(struct hf_curl *c, const char *protocols, const char *ca_file, double deadline, struct hf_error *err) {
  double left = deadline - hf_now();
  memset(c, 0, sizeof *c);
  if (left <= 0) return hf_fail(err, HOLDFAST_E_TIMEOUT, "there was no time left");
  pthread_once(&once, start);
  c->h = started == CURLE_OK ? curl_easy_init() : NULL;
  if (!c->h) return hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot be used: %s", curl_easy_strerror(started == CURLE_OK ? CURLE_FAILED_INIT : started));
  CURLcode r = curl_easy_setopt(c->h, CURLOPT_PROTOCOLS_STR, protocols);
  if (r == CURLE_OK) r = curl_easy_setopt(c->h, CURLOPT_ERRORBUFFER, c->text);
  if (r == CURLE_OK) r = curl_easy_setopt(c->h, CURLOPT_NOSIGNAL, 1L);
  if (r == CURLE_OK) r = curl_easy_setopt(c->h, CURLOPT_TIMEOUT_MS, (long)(left * 1000) + 1);
  if (r == CURLE_OK) r = curl_easy_setopt(c->h, CURLOPT_CONNECTTIMEOUT_MS, (long)(left * 1000) + 1);
  if (r == CURLE_OK) r = curl_easy_setopt(c->h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (r == CURLE_OK) r = curl_easy_setopt(c->h, CURLOPT_USERAGENT, "holdfast/" HF_VERSION);
  /* Instead of what the system trusts: libcurl has a folder of its own beside the file. */
  if (r == CURLE_OK && ca_file) r = curl_easy_setopt(c->h, CURLOPT_CAINFO, ca_file);
  if (r == CURLE_OK && ca_file) r = curl_easy_setopt(c->h, CURLOPT_CAPATH, NULL);
  if (r == CURLE_OK) return 0;
  hf_curl_close(c);
  return hf_fail(err, HOLDFAST_E_FAILED, "libcurl: %s", curl_easy_strerror(r));
}

void hf_curl_close(struct hf_curl *c) {
  if (c->h) curl_easy_cleanup(c->h);
  curl_slist_free_all(c->headers);
  curl_slist_free_all(c->recipients);
  c->h = NULL;
  c->headers = c->recipients = NULL;
}

static int status_of(CURLcode code) {
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR: return HOLDFAST_E_TRANSIENT;
  case CURLE_OPERATION_TIMEDOUT: return HOLDFAST_E_TIMEOUT;
  case CURLE_LOGIN_DENIED:
  case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_PEER_FAILED_VERIFICATION: return HOLDFAST_E_AUTH;
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL: return HOLDFAST_E_CONFIG;
  default: return HOLDFAST_E_FAILED;
  }
}

int hf_curl_perform(struct hf_curl *c, struct hf_error *err) {
  c->text[0] = 0;
  CURLcode code = curl_easy_perform(c->h);
  if (code == CURLE_OK) return 0;
  const char *words = curl_easy_strerror(code);
  size_t n = strcspn(c->text, "\r\n");
  HF_CLEANUP(hf_freep) char *shown = hf_printable(c->text, n);
  return *shown ? hf_fail(err, status_of(code), "%s (%s)", shown, words) : hf_fail(err, status_of(code), "%s", words);
}

long hf_curl_code(struct hf_curl *c) {
  long code = 0;
  return curl_easy_getinfo(c->h, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK ? code : 0;
}
