/* curl.c - libcurl, set up for one message.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dlfcn.h>
#include <pthread.h>

#include "notify/internal.h"

struct hf_libcurl hf_libcurl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *cannot; /* why it cannot be used; NULL: it can */

/* The name that its ABI has had since 2006; a target that speaks HTTP is linked with the same. */
static void start(void) {
  static const struct {
    const char *name;
    size_t at;
  } members[] = {
#define MEMBER(name) {"curl_" #name, offsetof(struct hf_libcurl, name)},
      HF_LIBCURL(MEMBER)};
  void *lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  for (size_t i = 0; lib && i < HF_NELEM(members); i++) {
    void *p = dlsym(lib, members[i].name);
    if (!p) lib = NULL;
    else memcpy((char *)&hf_libcurl + members[i].at, &p, sizeof p);
  }
  if (!lib) {
    const char *why = dlerror();
    cannot = hf_strdup(why ? why : "it is not the library that it should be");
    return;
  }
  CURLcode r = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (r != CURLE_OK) cannot = hf_strdup(curl_easy_strerror(r));
}

int hf_curl_open(struct hf_curl *c, const char *protocols, const char *ca_file, double deadline, struct hf_error *err) {
  double left = deadline - hf_now();
  memset(c, 0, sizeof *c);
  if (left <= 0) return hf_fail(err, HOLDFAST_E_TIMEOUT, "there was no time left");
  pthread_once(&once, start);
  if (cannot) return hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot be used: %s", cannot);
  c->h = curl_easy_init();
  if (!c->h) return hf_fail(err, HOLDFAST_E_FAILED, "libcurl cannot be used: %s", curl_easy_strerror(CURLE_FAILED_INIT));
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
  if (!c->h) return;
  curl_easy_cleanup(c->h);
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
