/* test_gcs.c - the parts of the gcs target that need no server: settings, errors, pages, objects, credentials, tokens; and CRC-32C.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "target_support.h"

#include "../../targets/gcs/gcs.h"

/* ---- CRC-32C ---- */

static void checksums(void **state) {
  (void)state;
  static unsigned char zeros[32], ones[32], up[32], data[60000];
  char text[HFT_CRC32C_TEXT];
  for (int i = 0; i < 32; i++) ones[i] = 0xff, up[i] = (unsigned char)i;
  /* RFC 3720, appendix B.4. */
  assert_int_equal(hft_crc32c(0, zeros, 32), 0x8A9136AA);
  assert_int_equal(hft_crc32c(0, ones, 32), 0x62A8AB43);
  assert_int_equal(hft_crc32c(0, up, 32), 0x46DD794E);
  assert_int_equal(hft_crc32c(0, "123456789", 9), 0xE3069283);
  assert_int_equal(hft_crc32c(0, NULL, 0), 0);
  hft_crc32c_text(0xE3069283, text);
  assert_string_equal(text, "4waSgw==");
  unsigned x = 1;
  for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)((x = x * 1103515245u + 12345u) >> 16);
  /* Around the bounds of what is summed side by side, at every alignment. */
  static const size_t lengths[] = {0, 1, 7, 8, 9, 63, 4095, 4096, 12287, 12288, 12289, 24575, 24576, 24600, 50000};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    for (size_t at = 0; at < 9; at++) {
      uint32_t want = hft_crc32c_portable(0, data + at, lengths[i]);
      assert_int_equal(hft_crc32c(0, data + at, lengths[i]), want);
      assert_int_equal(hft_crc32c(hft_crc32c(0, data + at, lengths[i] / 3), data + at + lengths[i] / 3, lengths[i] - lengths[i] / 3), want);
    }
}

/* ---- settings ---- */

static struct settings *defaults(void) {
  struct settings *s = table_defaults(hf_gcs_settings);
  set(s, GCS_SET_RESUMABLE_MIN, "8M", 8 << 20);
  set(s, GCS_SET_BUCKET, "backup", 0);
  return s;
}

static int make(const struct settings *s) {
  struct gcs *t = NULL;
  int status = hf_gcs_new(&host, s->v, &t);
  if (status == HOLDFAST_OK) hf_gcs_free(t);
  return status;
}

static void address(const char *endpoint, const char *base, bool google) {
  struct settings *s = defaults();
  struct gcs *t = NULL;
  set(s, GCS_SET_ENDPOINT, endpoint, 0);
  message[0] = '\0';
  int status = hf_gcs_new(&host, s->v, &t);
  if (!base) {
    assert_int_equal(status, HOLDFAST_E_CONFIG);
    assert_true(message[0] != '\0');
    return;
  }
  if (status != HOLDFAST_OK) fail_msg("%s: %s", endpoint ? endpoint : "", message);
  assert_string_equal(t->base, base);
  assert_int_equal(t->google, google);
  hf_gcs_free(t);
}

static void addresses(void **state) {
  (void)state;
  address(NULL, "https://storage.googleapis.com", true);
  address("https://storage-x.p.googleapis.com/", "https://storage-x.p.googleapis.com", true);
  address("https://storage.googleapis.com:443", "https://storage.googleapis.com:443", true);
  address("http://127.0.0.1:4443//", "http://127.0.0.1:4443", false);
  address("https://gcs.example.com/some/where/", "https://gcs.example.com/some/where", false);
  address("https://evil-googleapis.com", "https://evil-googleapis.com", false);
  address("http://storage.googleapis.com", NULL, false);
  address("gcs.example.com", NULL, false);
  assert_non_null(strstr(message, "https://gcs.example.com"));
  address("ftp://gcs.example.com", NULL, false);
  address("https://", NULL, false);
  address("https://user:secret@example.com", NULL, false);
  address("https://example.com/?a=b", NULL, false);
}

static void refused(int which, const char *text, int64_t n, const char *says) { settings_refused(make, defaults(), which, text, n, says); }

static void wrong_settings(void **state) {
  (void)state;
  refused(GCS_SET_BUCKET, "ab", 0, "3 to 63");
  refused(GCS_SET_BUCKET, "Backup", 0, "3 to 63");
  refused(GCS_SET_BUCKET, "backup/web1", 0, "prefix = ");
  refused(GCS_SET_BUCKET, "-backup", 0, "3 to 63");
  refused(GCS_SET_PROJECT, "a b", 0, "the id of a project");
  refused(GCS_SET_USER_PROJECT, "a/b", 0, "user-project = a/b");
  refused(GCS_SET_LOCATION, "europe west", 0, "europe-west3");
  refused(GCS_SET_CREDENTIALS, "anonymous", 0, "an endpoint that is not Google's");
  refused(GCS_SET_STORAGE_CLASS, "nearline", 0, "NEARLINE");
  refused(GCS_SET_KMS_KEY, "key", 0, "projects/PROJECT/");
  refused(GCS_SET_RETENTION, "locked", 0, "wants retain");
  refused(GCS_SET_RETAIN, "30d", 30 * 86400, "object-retention");
  refused(GCS_SET_CONNECTIONS, "65", 65, "1 to 64");
  refused(GCS_SET_RESUMABLE_MIN, "1K", 1024, "256K to 64M");
  refused(GCS_SET_RESUMABLE_MIN, "65M", 65 << 20, "256K to 64M");
  refused(GCS_SET_STALL, "0s", 0, "stall-timeout");
  refused(GCS_SET_AS_OF, "yesterday", 0, "in UTC");
  struct settings *s = defaults();
  struct gcs *t = NULL;
  set(s, GCS_SET_CREDENTIALS, "metadata", 0);
  set(s, GCS_SET_CREDENTIALS_FILE, "/x", 0);
  assert_int_equal(hf_gcs_new(&host, s->v, &t), HOLDFAST_E_CONFIG);
  s = defaults();
  set(s, GCS_SET_RETENTION, "unlocked", 0);
  set(s, GCS_SET_RETAIN, "200y", 200LL * 366 * 86400);
  assert_int_equal(hf_gcs_new(&host, s->v, &t), HOLDFAST_E_CONFIG);
}

/* ---- errors ---- */

static void error_documents(void **state) {
  (void)state;
  static const char plain[] =
      "{\"error\":{\"errors\":[{\"domain\":\"global\",\"reason\":\"notFound\",\"message\":\"Not\\nFound\"}],\"code\":404,\"message\":\"Not\\nFound.\"}}";
  static const char details[] =
      "{\"error\":{\"code\":403,\"message\":\"off\",\"status\":\"PERMISSION_DENIED\",\"details\":[{\"@type\":\"x\"},{\"reason\":\"SERVICE_DISABLED\"}]}}";
  static const char *const nothing[] = {"",   "<html><body>Bad gateway</body></html>",    "{\"error\":", "{\"error\":1}",
                                        "[]", "{\"error\":{\"errors\":{},\"message\":7}}"};
  struct gcs_error e;
  hf_gcs_error_read(plain, sizeof plain - 1, &e);
  assert_string_equal(e.reason, "notFound");
  assert_string_equal(e.message, "Not Found");
  hf_gcs_error_read(details, sizeof details - 1, &e);
  assert_string_equal(e.reason, "SERVICE_DISABLED");
  hf_gcs_error_read("Not Found", 9, &e);
  assert_string_equal(e.message, "Not Found");
  for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
    hf_gcs_error_read(nothing[i], strlen(nothing[i]), &e);
    assert_string_equal(e.reason, "");
    assert_string_equal(e.message, "");
  }
}

static void classes(void **state) {
  (void)state;
  static const struct {
    int http;
    const char *reason, *message;
    int status;
    const char *hint; /* a part of it, NULL: none */
  } v[] = {{401, "authError", "Invalid Credentials", HOLDFAST_E_AUTH, "token"},
           {403, "forbidden", "x does not have storage.objects.create access", HOLDFAST_E_AUTH, NULL},
           {403, "insufficientPermissions", "", HOLDFAST_E_AUTH, "scopes"},
           {403, "accountDisabled", "", HOLDFAST_E_AUTH, "billing"},
           {403, "forbidden", "The billing account for the owning project is disabled in state absent", HOLDFAST_E_AUTH, "billing"},
           {403, "retentionPolicyNotMet", "", HOLDFAST_E_AUTH, "retention policy"},
           {403, "objectUnderActiveHold", "", HOLDFAST_E_AUTH, "a hold"},
           {403, "quotaExceeded", "", HOLDFAST_E_NO_SPACE, "quota"},
           {403, "userRateLimitExceeded", "", HOLDFAST_E_TRANSIENT, "too many"},
           {403, "forbidden", "Permission denied on Cloud KMS key.", HOLDFAST_E_CONFIG, "kms-key"},
           {404, "notFound", "No such object: b/k", HOLDFAST_E_NOT_FOUND, "no such object"},
           {404, "notFound", "The specified bucket does not exist.", HOLDFAST_E_NOT_FOUND, "no such bucket"},
           {404, "", "No such object: b/k", HOLDFAST_E_NOT_FOUND, "no such object"},
           {408, "requestTimeout", "", HOLDFAST_E_TRANSIENT, "too long"},
           {412, "conditionNotMet", "", HOLDFAST_E_EXISTS, "taken"},
           {412, "", "", HOLDFAST_E_EXISTS, NULL},
           {412, "somethingElse", "", HOLDFAST_E_FAILED, NULL},
           {412, "conditionNotMet", "Request violates constraint 'constraints/storage.x'", HOLDFAST_E_CONFIG, "policy of the organisation"},
           {416, "requestedRangeNotSatisfiable", "", HOLDFAST_E_CORRUPT, "shorter"},
           {429, "rateLimitExceeded", "", HOLDFAST_E_TRANSIENT, "too many"},
           {429, "", "", HOLDFAST_E_TRANSIENT, NULL},
           {500, "", "", HOLDFAST_E_TRANSIENT, NULL},
           {503, "unheard", "", HOLDFAST_E_TRANSIENT, NULL},
           {400, "invalid", "Provided CRC32C \"a\" doesn't match calculated CRC32C \"b\".", HOLDFAST_E_TRANSIENT, "damaged"},
           {400, "required", "Bucket is a requester pays bucket but no user project provided.", HOLDFAST_E_CONFIG, "user-project"},
           {400, "invalid", "The specified storage class is not valid", HOLDFAST_E_CONFIG, "storage-class"},
           {400, "invalid", "Unknown project id: 1", HOLDFAST_E_CONFIG, "project"},
           {400, "invalid", "what", HOLDFAST_E_FAILED, NULL},
           {307, "", "", HOLDFAST_E_CONFIG, NULL},
           {403, "", "", HOLDFAST_E_AUTH, NULL}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct gcs_error e;
    const char *hint;
    snprintf(e.reason, sizeof e.reason, "%s", v[i].reason);
    snprintf(e.message, sizeof e.message, "%s", v[i].message);
    int status = hf_gcs_class(v[i].http, &e, &hint);
    if (status != v[i].status || !hint != !v[i].hint || (hint && !strstr(hint, v[i].hint))) fail_msg("%d %s %s: %d", v[i].http, e.reason, e.message, status);
  }
}

static void permissions(void **state) {
  (void)state;
  char out[40];
  hf_gcs_permission("a@b does not have storage.objects.delete access to x. Permission 'storage.objects.get' denied", out, sizeof out);
  assert_string_equal(out, "storage.objects.delete");
  hf_gcs_permission("needs storage.buckets.create.", out, sizeof out);
  assert_string_equal(out, "storage.buckets.create");
  hf_gcs_permission("ask storage.googleapis.com", out, sizeof out);
  assert_string_equal(out, "");
  hf_gcs_permission("", out, sizeof out);
  assert_string_equal(out, "");
}

/* ---- listings, objects, sessions ---- */

static int read_page(const char *text, size_t n, char *why, size_t cap) {
  struct gcs_page p;
  const char *said;
  int r = hf_gcs_page_read(text, n, false, &p, &said);
  snprintf(why, cap, "%s", said ? said : "");
  hf_gcs_page_free(&p);
  return r;
}

static void pages(void **state) {
  (void)state;
  static const char good[] = "{\"kind\":\"storage#objects\",\"nextPageToken\":\"t+/=\",\"items\":[{\"name\":\"a/b "
                             "c\",\"size\":\"12\",\"more\":[1]},{\"name\":\"a/\\u00e9\",\"size\":\"0\"}]}";
  static const char versions[] =
      "{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"k\",\"size\":\"5\",\"generation\":\"1\",\"timeCreated\":\"2026-11-20T12:00:02.5Z\","
      "\"timeDeleted\":\"2026-11-20T12:00:03Z\"},{\"name\":\"k\",\"size\":\"6\",\"generation\":\"2\",\"timeCreated\":\"2026-11-20T12:00:03Z\"}]}";
  static const char *const bad[][2] = {{"", "no JSON"},
                                       {"{}", "something else"},
                                       {"[]", "something else"},
                                       {"{\"kind\":\"storage#buckets\"}", "something else"},
                                       {"{\"kind\":\"storage#objects\",\"items\":{}}", "no list"},
                                       {"{\"kind\":\"storage#objects\",\"nextPageToken\":\"\"}", "from where"},
                                       {"{\"kind\":\"storage#objects\",\"nextPageToken\":7}", "from where"},
                                       {"{\"kind\":\"storage#objects\",\"items\":[{\"size\":\"1\"}]}", "no name"},
                                       {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"\",\"size\":\"1\"}]}", "no name"},
                                       {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"a\"}]}", "no size"},
                                       {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"a\",\"size\":1}]}", "no size"},
                                       {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"a\",\"size\":\"-1\"}]}", "no size"},
                                       {"{\"kind\":\"storage#objects\",\"items\":[7]}", "no name"},
                                       {"{\"kind\":\"storage#objects\",\"kind\":\"storage#objects\"}", "no JSON"}};
  struct gcs_page p;
  const char *why;
  assert_int_equal(hf_gcs_page_read(good, sizeof good - 1, false, &p, &why), 0);
  assert_int_equal(p.n, 2);
  assert_string_equal(p.v[0].key, "a/b c");
  assert_int_equal(p.v[0].size, 12);
  assert_string_equal(p.v[1].key, "a/\xc3\xa9");
  assert_string_equal(p.next, "t+/=");
  hf_gcs_page_free(&p);
  assert_int_equal(hf_gcs_page_read(good, sizeof good - 1, true, &p, &why), 1);
  assert_non_null(strstr(why, "no generation"));
  hf_gcs_page_free(&p);
  assert_int_equal(hf_gcs_page_read(versions, sizeof versions - 1, true, &p, &why), 0);
  assert_int_equal(p.n, 2);
  assert_int_equal(p.v[0].deleted - p.v[0].created, 1);
  assert_true(p.v[1].deleted == INT64_MAX && p.next == NULL);
  assert_string_equal(p.v[1].generation, "2");
  hf_gcs_page_free(&p);
  check_pages(read_page, good, bad, sizeof bad / sizeof *bad);
}

static void objects(void **state) {
  (void)state;
  static const char sum[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
  char text[600];
  struct gcs_object o;
  const char *why;
  snprintf(text, sizeof text,
           "{\"size\":\"5\",\"generation\":\"17\",\"crc32c\":\"mnG7TA==\",\"md5Hash\":\"XUFAKrxLKna5cZ2REBfFkg==\",\"metadata\":{\"sha256\":\"%s\","
           "\"holdfast-try\":\"0123456789abcdef0123456789abcdef\"},\"retention\":{\"mode\":\"Locked\",\"retainUntilTime\":\"2026-11-20T12:00:00.000Z\"}}",
           sum);
  assert_true(hf_gcs_object_read(text, strlen(text), &o, &why));
  assert_int_equal(o.size, 5);
  assert_string_equal(o.generation, "17");
  assert_string_equal(o.crc32c, "mnG7TA==");
  assert_string_equal(o.sha256, sum);
  assert_string_equal(o.nonce, "0123456789abcdef0123456789abcdef");
  assert_string_equal(o.mode, "Locked");
  assert_int_equal(o.until, 1795176000);
  for (size_t n = 0; n < strlen(text); n++) assert_false(hf_gcs_object_read(text, n, &o, &why));
  static const char few[] = "{\"size\":\"5\",\"generation\":\"17\",\"metadata\":{\"sha256\":\"something\"}}";
  assert_true(hf_gcs_object_read(few, sizeof few - 1, &o, &why));
  assert_string_equal(o.sha256, "");
  assert_string_equal(o.crc32c, "");
  static const char *const bad[][2] = {{"[]", "no JSON object"},
                                       {"{\"generation\":\"1\"}", "no size"},
                                       {"{\"size\":\"1\"}", "no generation"},
                                       {"{\"size\":\"1\",\"generation\":\"1&x=\"}", "no generation"},
                                       {"{\"size\":\"1\",\"generation\":\"1\",\"retention\":{\"retainUntilTime\":\"soon\"}}", "not a time"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_false(hf_gcs_object_read(bad[i][0], strlen(bad[i][0]), &o, &why));
    if (!strstr(why, bad[i][1])) fail_msg("%s: %s", bad[i][0], why);
  }
}

static void session_offsets(void **state) {
  (void)state;
  static const char *const bad[] = {"", "bytes=0-", "bytes=1-5", "bytes=0-x", "bytes 0-5", "bytes=0-9", "bytes=0-99999999999999999999", "bytes=0--1"};
  uint64_t at;
  assert_true(hf_gcs_session_offset(NULL, 9, &at) && at == 0);
  assert_true(hf_gcs_session_offset("bytes=0-0", 9, &at) && at == 1);
  assert_true(hf_gcs_session_offset("bytes=0-8", 9, &at) && at == 9);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (hf_gcs_session_offset(bad[i], 9, &at)) fail_msg("%s", bad[i]);
}

/* ---- credentials ---- */

#define EXTERNAL "\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"s\",\"token_url\":\"https://sts.example.com/v1/token\""

static void credentials(void **state) {
  (void)state;
  static const char account[] =
      "{\"type\":\"service_account\",\"project_id\":\"p\",\"private_key_id\":\"k\",\"private_key\":\"PEM\",\"client_email\":\"a@b\",\"extra\":[]}";
  static const char external[] =
      "{" EXTERNAL ",\"credential_source\":{\"url\":\"http://169.254.169.254/x\",\"headers\":{\"Metadata\":\"True\"},\"format\":{\"type\":"
      "\"json\",\"subject_token_field_name\":\"f\"}},\"service_account_impersonation_url\":\"https://iam.example.com/x\","
      "\"service_account_impersonation\":{\"token_lifetime_seconds\":1800}}";
  static const char nested[] =
      "{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"https://iam.example.com/x\",\"source_credentials\":"
      "{\"type\":\"authorized_user\",\"client_id\":\"c\",\"client_secret\":\"s\",\"refresh_token\":\"r\",\"quota_project_id\":\"q\"}}";
  static const char *const bad[][2] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {"{}", "it has no type"},
      {"{\"type\":\"web\"}", "its type web"},
      {"{\"type\":\"service_account\",\"client_email\":\"a\"}", "no private_key"},
      {"{\"type\":\"service_account\",\"private_key\":\"SECRET\"}", "no client_email"},
      {"{\"type\":\"service_account\",\"private_key\":\"SECRET\",\"client_email\":\"a\",\"token_uri\":\"http://example.com\"}",
       "its token_uri is no https URL"},
      {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"SECRET\"}", "no refresh_token"},
      {"{" EXTERNAL "}", "neither file nor url"},
      {"{" EXTERNAL ",\"credential_source\":{\"environment_id\":\"aws1\"}}", "AWS"},
      {"{" EXTERNAL ",\"credential_source\":{\"executable\":{}}}", "a program"},
      {"{" EXTERNAL ",\"credential_source\":{\"certificate\":{}}}", "client certificate"},
      {"{" EXTERNAL ",\"credential_source\":{\"url\":\"http://example.com/\"}}", "its url is no https URL"},
      {"{" EXTERNAL ",\"credential_source\":{\"file\":\"/x\",\"format\":{\"type\":\"xml\"}}}", "neither text nor json"},
      {"{" EXTERNAL ",\"credential_source\":{\"file\":\"/x\",\"format\":{\"type\":\"json\"}}}", "no subject_token_field_name"},
      {"{" EXTERNAL ",\"credential_source\":{\"url\":\"https://x/\",\"headers\":{\"A\":\"b\\r\\nc\"}}}", "headers"},
      {"{" EXTERNAL ",\"credential_source\":{\"file\":\"/x\"},\"service_account_impersonation_url\":\"ftp://x\"}", "its service_account_impersonation_url"},
      {"{\"type\":\"impersonated_service_account\",\"source_credentials\":{}}", "no service_account_impersonation_url"},
      {"{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"https://x\",\"source_credentials\":{\"type\":"
       "\"impersonated_service_account\"}}",
       "its type impersonated_service_account"},
      {"{\"type\":\"impersonated_service_account\",\"service_account_impersonation_url\":\"https://x\",\"delegates\":[\"x\"]}", "delegates"}};
  struct gcs_credentials c;
  char why[200];
  assert_true(hf_gcs_credentials_read(account, sizeof account - 1, &c, why, sizeof why));
  assert_int_equal(c.kind, GCS_SERVICE_ACCOUNT);
  assert_string_equal(c.token_url, "https://oauth2.googleapis.com/token");
  assert_string_equal(c.project, "p");
  hf_gcs_credentials_free(&c);
  assert_true(hf_gcs_credentials_read(external, sizeof external - 1, &c, why, sizeof why));
  assert_string_equal(c.field, "f");
  assert_string_equal(c.headers[0].name, "Metadata");
  assert_int_equal(c.lifetime, 1800);
  hf_gcs_credentials_free(&c);
  assert_true(hf_gcs_credentials_read(nested, sizeof nested - 1, &c, why, sizeof why));
  assert_int_equal(c.source->kind, GCS_AUTHORIZED_USER);
  assert_string_equal(c.source->refresh, "r");
  hf_gcs_credentials_free(&c);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_false(hf_gcs_credentials_read(bad[i][0], strlen(bad[i][0]), &c, why, sizeof why));
    if (!strstr(why, bad[i][1]) || strstr(why, "SECRET")) fail_msg("%s: %s", bad[i][0], why);
  }
}

static void urls(void **state) {
  (void)state;
  static const char *const good[] = {"https://oauth2.googleapis.com/token", "http://127.0.0.1:80/x", "http://localhost/", "http://[::1]:8/x"};
  static const char *const near[] = {"http://169.254.169.254/x", "http://metadata.google.internal/x"};
  static const char *const bad[] = {"",
                                    "oauth2.googleapis.com",
                                    "http://example.com",
                                    "https://",
                                    "https:///x",
                                    "http://localhost.example.com/",
                                    "http://127.0.0.1@example.com/",
                                    "http://127.0.0.1:80@example.com/",
                                    "https://user@example.com/",
                                    "https://exam ple.com",
                                    "https://example.com/\r\nX: y",
                                    "file:///etc/passwd"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (!hf_gcs_url_ok(good[i], false)) fail_msg("%s", good[i]);
  for (size_t i = 0; i < sizeof near / sizeof *near; i++)
    if (!hf_gcs_url_ok(near[i], true) || hf_gcs_url_ok(near[i], false)) fail_msg("%s", near[i]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (hf_gcs_url_ok(bad[i], true)) fail_msg("%s", bad[i]);
}

/* Undo base64 with the letters of URLs; returns the length. */
static size_t decoded(const char *s, size_t n, unsigned char *out) {
  char text[2048];
  assert_true(n + 4 < sizeof text);
  assert_int_equal(strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >= n, 1);
  memcpy(text, s, n);
  for (size_t i = 0; i < n; i++) text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
  size_t padding = (4 - n % 4) % 4;
  memcpy(text + n, "===", padding);
  int len = EVP_DecodeBlock(out, (unsigned char *)text, (int)(n + padding));
  assert_true(len >= 0);
  return (size_t)len - padding;
}

static void tokens(void **state) {
  (void)state;
  EVP_PKEY *key = EVP_RSA_gen(2048);
  BIO *out = BIO_new(BIO_s_mem());
  char *pem = NULL;
  unsigned char part[2048];
  const char *why;
  assert_true(key && out && PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
  BIO_write(out, "", 1);
  BIO_get_mem_data(out, &pem);
  struct gcs_credentials c = {.email = (char *)"a@b", .key_id = (char *)"k1", .private_key = pem, .token_url = (char *)"https://x/token"};
  struct hft_buf jwt = {0};
  assert_true(hf_gcs_jwt(&c, "scope", 1000, &jwt, &why));
  const char *first = strchr(jwt.data, '.'), *second = strchr(first + 1, '.');
  assert_null(strchr(second + 1, '.'));
  size_t n = decoded(jwt.data, (size_t)(first - jwt.data), part);
  json_t *head = json_loadb((char *)part, n, 0, NULL);
  assert_string_equal(json_string_value(json_object_get(head, "alg")), "RS256");
  assert_string_equal(json_string_value(json_object_get(head, "kid")), "k1");
  json_decref(head);
  n = decoded(first + 1, (size_t)(second - first - 1), part);
  json_t *claims = json_loadb((char *)part, n, 0, NULL);
  assert_string_equal(json_string_value(json_object_get(claims, "iss")), "a@b");
  assert_string_equal(json_string_value(json_object_get(claims, "aud")), "https://x/token");
  assert_string_equal(json_string_value(json_object_get(claims, "scope")), "scope");
  assert_int_equal(json_integer_value(json_object_get(claims, "iat")), 1000);
  assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 4600);
  json_decref(claims);
  n = decoded(second + 1, strlen(second + 1), part);
  EVP_MD_CTX *check = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestVerifyInit(check, NULL, EVP_sha256(), NULL, key), 1);
  assert_int_equal(EVP_DigestVerify(check, part, n, (unsigned char *)jwt.data, (size_t)(second - jwt.data)), 1);
  EVP_MD_CTX_free(check);
  hft_buf_free(&jwt);
  /* Another kind of key, one with a passphrase, and none. */
  EVP_PKEY *ec = EVP_EC_gen("P-256");
  BIO *other = BIO_new(BIO_s_mem());
  assert_true(ec && PEM_write_bio_PrivateKey(other, ec, NULL, NULL, 0, NULL, NULL) == 1);
  BIO_write(other, "", 1);
  BIO_get_mem_data(other, &c.private_key);
  assert_false(hf_gcs_jwt(&c, "scope", 1000, &jwt, &why));
  BIO *locked = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_PrivateKey(locked, key, EVP_aes_128_cbc(), (const unsigned char *)"word", 4, NULL, NULL), 1);
  BIO_write(locked, "", 1);
  BIO_get_mem_data(locked, &c.private_key);
  assert_false(hf_gcs_jwt(&c, "scope", 1000, &jwt, &why));
  c.private_key = (char *)"";
  assert_false(hf_gcs_jwt(&c, "scope", 1000, &jwt, &why));
  assert_non_null(strstr(why, "no RSA key"));
  hft_buf_free(&jwt);
  BIO_free(out);
  BIO_free(other);
  BIO_free(locked);
  EVP_PKEY_free(key);
  EVP_PKEY_free(ec);
}

static void token_classes(void **state) {
  (void)state;
  static const struct {
    int http;
    const char *error, *description;
    int status;
    const char *hint;
  } v[] = {{400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values",
            HOLDFAST_E_AUTH, "clocks"},
           {400, "invalid_grant", "Invalid JWT Signature.", HOLDFAST_E_AUTH, "the key is none of"},
           {400, "invalid_grant", "Token has been expired or revoked.", HOLDFAST_E_AUTH, "gcloud"},
           {400, "invalid_grant", "", HOLDFAST_E_AUTH, "refused"},
           {401, "invalid_client", "", HOLDFAST_E_AUTH, "client_id"},
           {400, "invalid_target", "", HOLDFAST_E_CONFIG, "audience"},
           {400, "", "", HOLDFAST_E_AUTH, NULL},
           {403, "PERMISSION_DENIED", "", HOLDFAST_E_AUTH, NULL},
           {429, "invalid_grant", "", HOLDFAST_E_TRANSIENT, NULL},
           {503, "", "", HOLDFAST_E_TRANSIENT, NULL},
           {302, "", "", HOLDFAST_E_CONFIG, NULL}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    const char *hint;
    int status = hf_gcs_token_class(v[i].http, v[i].error, v[i].description, &hint);
    if (status != v[i].status || !hint != !v[i].hint || (hint && !strstr(hint, v[i].hint)))
      fail_msg("%d %s %s: %d", v[i].http, v[i].error, v[i].description, status);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(checksums),       cmocka_unit_test(addresses),       cmocka_unit_test(wrong_settings),
                                     cmocka_unit_test(error_documents), cmocka_unit_test(classes),         cmocka_unit_test(permissions),
                                     cmocka_unit_test(pages),           cmocka_unit_test(objects),         cmocka_unit_test(urls),
                                     cmocka_unit_test(credentials),     cmocka_unit_test(session_offsets), cmocka_unit_test(tokens),
                                     cmocka_unit_test(token_classes)};
  return cmocka_run_group_tests_name("gcs", tests, NULL, NULL);
}
