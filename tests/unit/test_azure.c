/* test_azure.c - the parts of the azure target that need no server: settings and addresses, connection strings, signatures, checksums, errors, pages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "target_support.h"

#include "../../targets/azure/azure.h"

/* That of the emulator, which is public. */
#define KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define SAS "sv=2021-12-02&sp=rl&sig=abc%3D"

/* ---- settings ---- */

static struct settings *defaults(void) {
  struct settings *s = table_defaults(hf_azure_settings);
  set(s, AZURE_SET_TIER_MIN, "128K", 128 << 10);
  set(s, AZURE_SET_PUT_MAX, "64M", 64 << 20);
  set(s, AZURE_SET_BLOCK_SIZE, "16M", 16 << 20);
  set(s, AZURE_SET_CONTAINER, "backup", 0);
  set(s, AZURE_SET_ACCOUNT, "acme", 0);
  set(s, AZURE_SET_ACCOUNT_KEY, KEY, 0);
  return s;
}

static int make(const struct settings *s) {
  struct azure *t = NULL;
  int status = hf_azure_new(&host, s->v, &t);
  if (status == HOLDFAST_OK) hf_azure_free(t);
  return status;
}

static void address(const char *account, const char *endpoint, const char *url, const char *name) {
  struct settings *s = defaults();
  struct azure *t = NULL;
  set(s, AZURE_SET_ACCOUNT, account, 0);
  set(s, AZURE_SET_ENDPOINT, endpoint, 0);
  message[0] = '\0';
  int status = hf_azure_new(&host, s->v, &t);
  if (!url) {
    assert_int_equal(status, HOLDFAST_E_CONFIG);
    assert_true(message[0] != '\0');
    return;
  }
  if (status != HOLDFAST_OK) fail_msg("%s %s: %s", account ? account : "", endpoint ? endpoint : "", message);
  assert_string_equal(t->url, url);
  assert_string_equal(t->account, name);
  assert_int_equal(t->url[t->path_at], '/');
  hf_azure_free(t);
}

static void addresses(void **state) {
  (void)state;
  address("acme", NULL, "https://acme.blob.core.windows.net/backup", "acme");
  address(NULL, "https://acme.blob.core.chinacloudapi.cn/", "https://acme.blob.core.chinacloudapi.cn/backup", "acme");
  address("acme", "https://blobs.example.com", "https://blobs.example.com/backup", "acme");
  address(NULL, "http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1/backup", "devstoreaccount1");
  address(NULL, "http://[::1]:10000/devstoreaccount1//", "http://[::1]:10000/devstoreaccount1/backup", "devstoreaccount1");
  address("other", "http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1/backup", "other");
  address(NULL, NULL, NULL, NULL);
  assert_non_null(strstr(message, "account is missing"));
  address(NULL, "https://blobs.example.com", NULL, NULL);
  assert_non_null(strstr(message, "does not name the account"));
  address("Acme", NULL, NULL, NULL);
  address("acme", "blobs.example.com", NULL, NULL);
  assert_non_null(strstr(message, "https://blobs.example.com"));
  address("acme", "ftp://blobs.example.com", NULL, NULL);
  address("acme", "https://", NULL, NULL);
  address("acme", "https://acme.blob.core.windows.net/?sv=1&sig=hush", NULL, NULL);
  assert_null(strstr(message, "hush"));
  address("acme", "acme.blob.core.windows.net?sig=hush", NULL, NULL);
  assert_null(strstr(message, "hush"));
  address("acme", "https://user:secret@example.com", NULL, NULL);
}

static void refused(int which, const char *text, int64_t n, const char *says) { settings_refused(make, defaults(), which, text, n, says); }

static void wrong_settings(void **state) {
  (void)state;
  static const char *const containers[] = {"ab",      "Backup",     "back_up", "back--up", "-backup",
                                           "backup-", "backup/web", "$root",   ".."};
  for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) refused(AZURE_SET_CONTAINER, containers[i], 0, "3 to 63");
  refused(AZURE_SET_ACCOUNT_KEY, "abc", 0, "base64");
  refused(AZURE_SET_SAS_TOKEN, SAS, 0, "only one");
  refused(AZURE_SET_CLIENT_SECRET, "x", 0, "only one");
  refused(AZURE_SET_CREDENTIALS, "managed-identity", 0, "credentials = managed-identity");
  refused(AZURE_SET_API_VERSION, "latest", 0, "a date");
  refused(AZURE_SET_API_VERSION, "2009-09-19", 0, "2016-05-31");
  refused(AZURE_SET_IMMUTABILITY, "locked", 0, "retain");
  refused(AZURE_SET_RETAIN, "30d", 30 * 86400, "immutability");
  refused(AZURE_SET_CONNECTIONS, "65", 65, "1 to 64");
  refused(AZURE_SET_STALL, "0s", 0, "stall-timeout");
  refused(AZURE_SET_PUT_MAX, "513M", 513LL << 20, "put-max");
  refused(AZURE_SET_BLOCK_SIZE, "1K", 1024, "block-size");
  refused(AZURE_SET_AS_OF, "yesterday", 0, "in UTC");
  refused(AZURE_SET_ENCRYPTION_KEY, "short", 0, "32 bytes");
  refused(AZURE_SET_ENCRYPTION_SCOPE, "a b", 0, "encryption scope");
  refused(AZURE_SET_ENDPOINT, "gopher://x", 0, "a URL");
  struct settings *s = defaults();
  struct azure *t = NULL;
  set(s, AZURE_SET_API_VERSION, "2019-07-07", 0);
  set(s, AZURE_SET_TIER, "cold", 0);
  assert_int_equal(hf_azure_new(&host, s->v, &t), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(message, "2021-12-02"));
  set(s, AZURE_SET_TIER, "cool", 0);
  assert_int_equal(hf_azure_new(&host, s->v, &t), HOLDFAST_OK);
  assert_string_equal(t->tier, "Cool");
  hf_azure_free(t);
  /* A token or signature must not travel in the clear; a key does not travel. */
  s = defaults();
  set(s, AZURE_SET_ENDPOINT, "http://blobs.example.com", 0);
  assert_int_equal(hf_azure_new(&host, s->v, &t), HOLDFAST_OK);
  hf_azure_free(t);
  set(s, AZURE_SET_ACCOUNT_KEY, NULL, 0);
  set(s, AZURE_SET_SAS_TOKEN, SAS, 0);
  assert_int_equal(hf_azure_new(&host, s->v, &t), HOLDFAST_E_CONFIG);
  assert_non_null(strstr(message, "in the clear"));
}

static void connection_strings(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"", "neither AccountName"},
      {"AccountName=acme", "neither AccountKey"},
      {"AccountKey=" KEY, "neither AccountName"},
      {"AccountName=acme;AccountKey=" KEY ";SharedAccessSignature=" SAS, "both"},
      {"AccountName=acme;AccountName=acme;AccountKey=" KEY, "twice"},
      {"AccountName=acme;" KEY, "part 2"},
      {"AccountName=acme;hush", "part 2"},
      {"AccountName=acme;=hush", "part 2"},
      {"AccountName=acme;AccountKey=" KEY ";Colour=hush", "Colour"},
      {"AccountName=acme;DefaultEndpointsProtocol=ftp;AccountKey=" KEY, "neither https"},
  };
  struct azure_connection c;
  char why[120];
  assert_true(hf_azure_connection_read("DefaultEndpointsProtocol=https;AccountName=acme;accountkey=" KEY
                                       ";EndpointSuffix=core.windows.net;\n",
                                       &c, why, sizeof why));
  assert_string_equal(c.account, "acme");
  assert_string_equal(c.key, KEY);
  assert_string_equal(c.suffix, "core.windows.net");
  assert_null(c.endpoint);
  hf_azure_connection_free(&c);
  assert_true(hf_azure_connection_read(
      "BlobEndpoint=https://acme.blob.core.windows.net/;QueueEndpoint=x;SharedAccessSignature=" SAS, &c, why, sizeof why));
  assert_string_equal(c.sas, SAS);
  assert_null(c.account);
  hf_azure_connection_free(&c);
  assert_true(hf_azure_connection_read("UseDevelopmentStorage=true", &c, why, sizeof why));
  assert_string_equal(c.account, "devstoreaccount1");
  assert_string_equal(c.endpoint, "http://127.0.0.1:10000/devstoreaccount1");
  hf_azure_connection_free(&c);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_false(hf_azure_connection_read(bad[i][0], &c, why, sizeof why));
    if (!strstr(why, bad[i][1])) fail_msg("%s: %s", bad[i][0], why);
    assert_null(strstr(why, "hush"));
    assert_null(strstr(why, "Eby8"));
    hf_azure_connection_free(&c);
  }
  /* What it says of the account and the endpoint is used. */
  struct settings *s = defaults();
  struct azure *t = NULL;
  set(s, AZURE_SET_ACCOUNT, NULL, 0);
  set(s, AZURE_SET_ACCOUNT_KEY, NULL, 0);
  set(s, AZURE_SET_CONNECTION_STRING, "AccountName=acme;EndpointSuffix=core.usgovcloudapi.net;AccountKey=" KEY, 0);
  assert_int_equal(hf_azure_new(&host, s->v, &t), HOLDFAST_OK);
  assert_string_equal(t->url, "https://acme.blob.core.usgovcloudapi.net/backup");
  assert_int_equal(t->key_n, 64);
  hf_azure_free(t);
  set(s, AZURE_SET_ACCOUNT, "other", 0);
  assert_int_equal(hf_azure_new(&host, s->v, &t), HOLDFAST_E_CONFIG);
}

/* ---- signatures ---- */

static void signature(const struct azure_signing *like, const char *text, const char *authorization) {
  struct azure_signing s = *like;
  struct hft_buf b = {0};
  unsigned char key[AZURE_KEY_MAX];
  assert_true(hft_unbase64(KEY, key, sizeof key, &s.key_n));
  s.key = key;
  hf_azure_string_to_sign(&s, &b);
  assert_false(b.bad);
  assert_string_equal(hft_text(&b), text);
  hft_buf_free(&b);
  hf_azure_authorization(&s, &b);
  assert_false(b.bad);
  assert_string_equal(hft_text(&b), authorization);
  hft_buf_free(&b);
}

static void signatures(void **state) {
  (void)state;
  /* The string is the example of "Authorize with Shared Key" in the service's reference; the signature was computed by another implementation. */
  static const struct hft_header get[] = {{"x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"}, {"x-ms-version", "2015-02-21"}};
  signature(&(struct azure_signing){.account = "myaccount",
                                    .method = "GET",
                                    .path = "/mycontainer",
                                    .query = "restype=container&comp=metadata&timeout=20",
                                    .headers = get,
                                    .n_headers = 2},
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 "
            "GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\n"
            "timeout:20",
            "SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
  static const struct hft_header put[] = {{"X-MS-Version", "2009-09-19"},
                                          {"Content-Type", "text/plain"},
                                          {"If-None-Match", "*"},
                                          {"x-ms-blob-type", "BlockBlob"},
                                          {"x-ms-meta-m1", "v1"},
                                          {"Authorization", "not signed"},
                                          {"Content-MD5", "sQqNsWTgdUEFt6mb5y4/5Q=="},
                                          {"x-ms-date", "Sun, 25 Sep 2011 14:36:17 GMT"}};
  signature(&(struct azure_signing){.account = "devstoreaccount1",
                                    .method = "PUT",
                                    .path = "/devstoreaccount1/pictures/a%20b.jpg",
                                    .query = "comp=block&&blockid=AAA%2B%2F%3D",
                                    .headers = put,
                                    .n_headers = 8,
                                    .size = 11},
            "PUT\n\n\n11\nsQqNsWTgdUEFt6mb5y4/5Q==\ntext/plain\n\n\n\n*\n\n\nx-ms-blob-type:BlockBlob\nx-ms-date:Sun, 25 Sep "
            "2011 14:36:17 GMT\nx-ms-meta-m1:v1\n"
            "x-ms-version:2009-09-19\n/devstoreaccount1/devstoreaccount1/pictures/a%20b.jpg\nblockid:AAA+/=\ncomp:block",
            "SharedKey devstoreaccount1:l4fQa6IgJy0/CBUq63aW8SwibT0CPh6iVGcVNtXFjLI=");
  struct azure_signing s = {.account = "a", .method = "GET", .path = "", .query = "B=2&a=1&b=1,"};
  struct hft_buf b = {0}, many = {0};
  hf_azure_string_to_sign(&s, &b);
  assert_non_null(strstr(hft_text(&b), "\n/a/\na:1\nb:1,,2"));
  hft_buf_free(&b);
  s.query = "a=%zz";
  hf_azure_string_to_sign(&s, &b);
  assert_true(b.bad);
  hft_buf_free(&b);
  for (int i = 0; i < 17; i++) hft_addf(&many, "p%d=1&", i);
  s.query = many.data;
  hf_azure_authorization(&s, &b);
  assert_true(b.bad);
  hft_buf_free(&b);
  hft_buf_free(&many);
}

/* ---- what goes into headers and comes out of them ---- */

static void checksums(void **state) {
  (void)state;
  char crc[HFT_BASE64], zeros[1000] = "";
  hf_azure_crc64("123456789", 9, crc); /* 0xae8b14860a799888, the check value of CRC-64/NVME */
  assert_string_equal(crc, "iJh5CoYUi64=");
  hf_azure_crc64("", 0, crc);
  assert_string_equal(crc, "AAAAAAAAAAA=");
  /* However it is aligned to eights. */
  char whole[HFT_BASE64];
  hf_azure_crc64(zeros, 999, whole);
  hf_azure_crc64(zeros + 1, 999, crc);
  assert_string_equal(crc, whole);
  hf_azure_crc64(zeros, 998, crc);
  assert_string_not_equal(crc, whole);
}

static void base64(void **state) {
  (void)state;
  static const char *const bad[] = {"A",     "AA",       "AAA",  "A===",   "AA=A", "=AAA",
                                    "AAAA=", "AA==AAAA", "AA A", "AAAA\n", "AA-_", "===="};
  unsigned char out[8];
  size_t n;
  assert_true(hft_unbase64("", out, sizeof out, &n) && n == 0);
  assert_true(hft_unbase64("QQ==", out, sizeof out, &n) && n == 1 && out[0] == 'A');
  assert_true(hft_unbase64("QUI=", out, sizeof out, &n) && n == 2 && out[1] == 'B');
  assert_true(hft_unbase64("QUJDREVGR0g=", out, sizeof out, &n) && n == 8 && memcmp(out, "ABCDEFGH", 8) == 0);
  assert_false(hft_unbase64("QUJDREVGR0hJ", out, sizeof out, &n));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (hft_unbase64(bad[i], out, sizeof out, &n)) fail_msg("%s", bad[i]);
}

static void dates(void **state) {
  (void)state;
  static const char *const all[] = {"Thu, 01 Jan 1970 00:00:00 GMT", "Tue, 29 Feb 2000 23:59:59 GMT",
                                    "Fri, 26 Jun 2015 23:39:12 GMT", "Sat, 31 Dec 2039 00:00:01 GMT"};
  char out[HFT_TIME];
  int64_t t;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    assert_true(hft_time_http(all[i], &t));
    hft_time_http_format(out, t);
    assert_string_equal(out, all[i]);
  }
}

static void tokens(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "[]",
                                    "{}",
                                    "{\"access_token\":\"\"}",
                                    "{\"access_token\":1}",
                                    "{\"access_token\":\"T\",\"expires_in\":\"0\"}",
                                    "{\"access_token\":\"T\",\"expires_on\":\"999\"}",
                                    "{\"access_token\":\"T\\nX\"}",
                                    "{\"access_token\":\"T\",\"expires_on\":-9223372036854775808}"};
  static const struct {
    const char *json;
    int64_t expires;
  } good[] = {{"{\"access_token\":\"T\",\"expires_in\":\"3599\",\"expires_on\":\"7\"}", 4599},
              {"{\"access_token\":\"T\",\"expires_in\":60}", 1060},
              {"{\"access_token\":\"T\",\"expires_on\":\"1700\"}", 1700},
              {"{\"access_token\":\"T\",\"expires_on\":1700}", 1700},
              {"{\"access_token\":\"T\"}", 0}};
  char *token;
  int64_t expires;
  const char *why;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (!hft_token_json(good[i].json, strlen(good[i].json), 1000, &token, &expires, &why)) fail_msg("%s: %s", good[i].json, why);
    assert_string_equal(token, "T");
    assert_int_equal(expires, good[i].expires);
    hft_token_free(token);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (hft_token_json(bad[i], strlen(bad[i]), 1000, &token, &expires, &why)) fail_msg("%s", bad[i]);
    assert_non_null(why);
  }
}

/* ---- errors ---- */

static void error_documents(void **state) {
  (void)state;
  static const char service[] =
      "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.\n"
      "RequestId:1\nTime:2</Message><AuthenticationErrorDetail>The MAC\nis wrong.</AuthenticationErrorDetail></Error>";
  static const char emulator[] =
      "<Error><Code>AuthorizationFailure</Code><Message>Server failed to authenticate the request.</Message></Error>";
  static const char page[] = "<html><body>Bad gateway<br></body></html>";
  struct azure_error e;
  hf_azure_error_read(service, sizeof service - 1, NULL, &e);
  assert_string_equal(e.code, "AuthenticationFailed");
  assert_string_equal(e.message, "Server failed");
  assert_string_equal(e.detail, "The MAC is wrong");
  hf_azure_error_read(emulator, sizeof emulator - 1, NULL, &e);
  assert_string_equal(e.code, "AuthenticationFailed");
  hf_azure_error_read("", 0, "BlobNotFound", &e);
  assert_string_equal(e.code, "BlobNotFound");
  hf_azure_error_read(page, sizeof page - 1, NULL, &e);
  assert_string_equal(e.code, "");
  hf_azure_error_read(service, 80, NULL, &e); /* cut off: nothing of it is believed */
  assert_string_equal(e.code, "");
}

static void classes(void **state) {
  (void)state;
  static const struct class_case v[] = {
      {403, "AuthenticationFailed", HOLDFAST_E_AUTH},
      {403, "AuthorizationPermissionMismatch", HOLDFAST_E_AUTH},
      {401, "InvalidAuthenticationInfo", HOLDFAST_E_AUTH},
      {404, "BlobNotFound", HOLDFAST_E_NOT_FOUND},
      {404, "ContainerNotFound", HOLDFAST_E_NOT_FOUND},
      {404, "", HOLDFAST_E_NOT_FOUND},
      {404, "SomethingElse", HOLDFAST_E_FAILED},
      {409, "BlobAlreadyExists", HOLDFAST_E_EXISTS},
      {412, "ConditionNotMet", HOLDFAST_E_EXISTS},
      {412, "", HOLDFAST_E_EXISTS},
      {412, "SomethingElse", HOLDFAST_E_FAILED},
      {412, "LeaseIdMissing", HOLDFAST_E_AUTH},
      {409, "BlobImmutableDueToPolicy", HOLDFAST_E_AUTH},
      {409, "ContainerBeingDeleted", HOLDFAST_E_TRANSIENT},
      {409, "AccountBeingCreated", HOLDFAST_E_TRANSIENT},
      {409, "BlobArchived", HOLDFAST_E_FAILED},
      {409, "SomethingElse", HOLDFAST_E_FAILED},
      {503, "ServerBusy", HOLDFAST_E_TRANSIENT},
      {500, "InternalError", HOLDFAST_E_TRANSIENT},
      {500, "FeatureNotSupported", HOLDFAST_E_UNSUPPORTED},
      {500, "", HOLDFAST_E_TRANSIENT},
      {429, "", HOLDFAST_E_TRANSIENT},
      {400, "Md5Mismatch", HOLDFAST_E_TRANSIENT},
      {400, "InvalidBlockList", HOLDFAST_E_TRANSIENT},
      {413, "RequestBodyTooLarge", HOLDFAST_E_CONFIG},
      {413, "", HOLDFAST_E_NO_SPACE},
      {507, "", HOLDFAST_E_NO_SPACE},
      {416, "InvalidRange", HOLDFAST_E_CORRUPT},
      {307, "", HOLDFAST_E_CONFIG},
      {400, "InvalidHeaderValue", HOLDFAST_E_FAILED}};
  check_classes(hf_azure_class, v, sizeof v / sizeof *v);
}

static void refusals(void **state) {
  (void)state;
  static const char entra[] =
      "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret.\\r\\nTrace ID: 1\\r\\nX: 2\"}";
  static const char metadata[] = "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}";
  static const char app[] = "{\"statusCode\":400,\"message\":\"No User Assigned Identity Trace ID: 7\"}";
  struct azure_refusal r;
  hf_azure_refusal_read(entra, sizeof entra - 1, &r);
  assert_string_equal(r.code, "AADSTS7000215");
  assert_string_equal(r.message, "Invalid client secret");
  hf_azure_refusal_read(metadata, sizeof metadata - 1, &r);
  assert_string_equal(r.code, "invalid_request");
  assert_string_equal(r.message, "Identity not found");
  hf_azure_refusal_read(app, sizeof app - 1, &r);
  assert_string_equal(r.code, "");
  assert_string_equal(r.message, "No User Assigned Identity");
  hf_azure_refusal_read("<html>", 6, &r);
  assert_string_equal(r.message, "");
}

/* ---- pages ---- */

#define BLOB(name, more, size)                                                                                                   \
  "<Blob><Name>" name "</Name>" more                                                                                             \
  "<Properties><Last-Modified>Sat, 21 Nov 2026 00:00:00 GMT</Last-Modified><Content-Length>" size                                \
  "</Content-Length></Properties><Metadata><Name>x</Name></Metadata></Blob>"

static int read_page(const char *text, size_t n, char *why, size_t cap) {
  struct azure_page p;
  int r = hf_azure_page_read(text, n, &p, why, cap);
  hf_azure_page_free(&p);
  return r;
}

static void pages(void **state) {
  (void)state;
  static const char good[] =
      "<?xml version=\"1.0\"?><EnumerationResults ContainerName=\"b\"><Prefix>a/</Prefix><Blobs>" BLOB("a/b &amp; c", "", "12")
          BLOB("a/d", "<VersionId>2026-11-20T12:00:00.1234567Z</VersionId>",
               "0") "<Blob><Name>a/e</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob></"
                    "Blobs><NextMarker>m+/=</NextMarker></EnumerationResults>";
  static const char last[] = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
  static const char *const bad[][2] = {
      {"", "no element"},
      {"<html></html>", "something else"},
      {"<EnumerationResults><Blobs/></EnumerationResults>", "whether there is more"},
      {"<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs><NextMarker/></EnumerationResults>", "no name or no size"},
      {"<EnumerationResults><Blobs><Blob><Properties><Content-Length>1</Content-Length></Properties></Blob></Blobs><NextMarker/"
       "></EnumerationResults>",
       "no name or no size"},
      {"<EnumerationResults><Blobs>" BLOB("a", "", "-1") "</Blobs><NextMarker/></EnumerationResults>", "not a number"},
      {"<EnumerationResults><Blobs>" BLOB("a", "<VersionId>new</VersionId>", "1") "</Blobs><NextMarker/></EnumerationResults>",
       "no time"},
      {"<EnumerationResults><Blobs>" BLOB("a", "", "1") "</Blobs><NextMarker/>", "no element"},
      {"<!DOCTYPE x [<!ENTITY a \"b\">]><EnumerationResults><NextMarker/></EnumerationResults>", "document type"},
  };
  struct azure_page p;
  char why[200];
  assert_int_equal(hf_azure_page_read(good, sizeof good - 1, &p, why, sizeof why), 0);
  assert_int_equal(p.n, 3);
  assert_string_equal(p.v[0].key, "a/b & c");
  assert_int_equal(p.v[0].size, 12);
  assert_null(p.v[0].version);
  assert_int_equal(p.v[0].when - p.v[1].when, 43200);
  assert_string_equal(p.v[1].version, "2026-11-20T12:00:00.1234567Z");
  assert_true(p.v[2].folder && !p.v[1].folder);
  assert_string_equal(p.next, "m+/=");
  hf_azure_page_free(&p);
  assert_int_equal(hf_azure_page_read(last, sizeof last - 1, &p, why, sizeof why), 0);
  assert_null(p.next);
  hf_azure_page_free(&p);
  check_pages(read_page, good, bad, sizeof bad / sizeof *bad);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses),  cmocka_unit_test(wrong_settings), cmocka_unit_test(connection_strings),
      cmocka_unit_test(signatures), cmocka_unit_test(checksums),      cmocka_unit_test(base64),
      cmocka_unit_test(dates),      cmocka_unit_test(tokens),         cmocka_unit_test(error_documents),
      cmocka_unit_test(classes),    cmocka_unit_test(refusals),       cmocka_unit_test(pages)};
  return cmocka_run_group_tests_name("azure", tests, NULL, NULL);
}
