/* test_s3.c - the parts of the s3 target that need no server: settings and addresses, errors, pages, profiles, keys as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "target_support.h"

#include "../../targets/common/xml.h"
#include "../../targets/s3/s3.h"

/* ---- settings ---- */

static struct settings *defaults(void) {
  struct settings *s = table_defaults(hf_s3_settings);
  set(s, S3_SET_CREATE_ONLY, "yes", 1);
  set(s, S3_SET_CHECKSUM, "yes", 1);
  set(s, S3_SET_BUCKET, "backup", 0);
  set(s, S3_SET_REGION, "eu-central-1", 0);
  set(s, S3_SET_ACCESS_KEY, "A", 0);
  set(s, S3_SET_SECRET_KEY, "S", 0);
  return s;
}

static int make(const struct settings *s) {
  struct s3 *t = NULL;
  int status = hf_s3_new(&host, s->v, &t);
  if (status == HOLDFAST_OK) hf_s3_free(t);
  return status;
}

static void address(const char *bucket, const char *endpoint, const char *style, const char *region, const char *url, const char *name) {
  struct settings *s = defaults();
  struct s3 *t = NULL;
  set(s, S3_SET_BUCKET, bucket, 0);
  set(s, S3_SET_ENDPOINT, endpoint, 0);
  set(s, S3_SET_PATH_STYLE, style, 0);
  set(s, S3_SET_REGION, region, 0);
  message[0] = '\0';
  int status = hf_s3_new(&host, s->v, &t);
  if (!url) {
    assert_int_equal(status, HOLDFAST_E_CONFIG);
    assert_true(message[0] != '\0');
    return;
  }
  if (status != HOLDFAST_OK) fail_msg("%s %s: %s", bucket, endpoint ? endpoint : "", message);
  assert_string_equal(t->url, url);
  assert_string_equal(t->name, name);
  assert_true(t->url[t->path_at] == '\0' || t->url[t->path_at] == '/');
  hf_s3_free(t);
}

static void addresses(void **state) {
  (void)state;
  address("backup", NULL, "auto", "eu-central-1", "https://backup.s3.eu-central-1.amazonaws.com", "backup.s3.eu-central-1.amazonaws.com");
  address("backup", NULL, "auto", "cn-north-1", "https://backup.s3.cn-north-1.amazonaws.com.cn", "backup.s3.cn-north-1.amazonaws.com.cn");
  address("back.up", NULL, "auto", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/back.up", "s3.eu-central-1.amazonaws.com");
  address("backup", NULL, "yes", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/backup", "s3.eu-central-1.amazonaws.com");
  address("backup", "https://s3.us-west-2.amazonaws.com", "auto", "us-west-2", "https://backup.s3.us-west-2.amazonaws.com",
          "backup.s3.us-west-2.amazonaws.com");
  address("backup", "https://evil-amazonaws.com", "auto", "x", "https://evil-amazonaws.com/backup", "evil-amazonaws.com");
  address("backup", "http://127.0.0.1:9000/", "auto", "x", "http://127.0.0.1:9000/backup", "127.0.0.1:9000");
  address("backup", "http://[::1]:9000/s3//", "auto", "x", "http://[::1]:9000/s3/backup", "[::1]:9000");
  address("backup", "https://minio.example.com", "no", "x", "https://backup.minio.example.com", "backup.minio.example.com");
  address("backup", "https://minio.example.com:443", "auto", "x", "https://minio.example.com/backup", "minio.example.com");
  address("backup", "http://minio.example.com:80/s3", "no", "x", "http://backup.minio.example.com/s3", "backup.minio.example.com");
  address("backup", "http://minio.example.com:443", "auto", "x", "http://minio.example.com:443/backup", "minio.example.com:443");
  address("Back_Up", "https://minio.example.com", "auto", "x", "https://minio.example.com/Back_Up", "minio.example.com");
  address("Back_Up", "https://minio.example.com", "no", "x", NULL, NULL);
  address("backup/web", NULL, "auto", "x", NULL, NULL);
  address("..", NULL, "auto", "x", NULL, NULL);
  address("backup", "minio.example.com", "auto", "x", NULL, NULL);
  assert_non_null(strstr(message, "https://minio.example.com"));
  address("backup", "ftp://minio.example.com", "auto", "x", NULL, NULL);
  address("backup", "https://", "auto", "x", NULL, NULL);
  address("backup", "https://user:secret@example.com", "auto", "x", NULL, NULL);
  address("backup", "https://example.com/?a=b", "auto", "x", NULL, NULL);
  address("backup", NULL, "auto", "eu central", NULL, NULL);
}

static void refused(int which, const char *text, int64_t n, const char *says) { settings_refused(make, defaults(), which, text, n, says); }

static void wrong_settings(void **state) {
  (void)state;
  refused(S3_SET_SECRET_KEY, NULL, 0, "without secret-key");
  refused(S3_SET_ACCESS_KEY, NULL, 0, "without access-key");
  refused(S3_SET_CREDENTIALS, "instance", 0, "credentials = instance");
  refused(S3_SET_PROFILE, "x", 0, "a profile too");
  refused(S3_SET_STORAGE_CLASS, "cold", 0, "STANDARD_IA");
  refused(S3_SET_KMS_KEY, "key", 0, "sse = kms");
  refused(S3_SET_LOCK, "governance", 0, "retain");
  refused(S3_SET_RETAIN, "30d", 30 * 86400, "object-lock");
  refused(S3_SET_CONNECTIONS, "65", 65, "1 to 64");
  refused(S3_SET_THAW_DAYS, "0", 0, "1 to 3650");
  refused(S3_SET_STALL, "0s", 0, "stall-timeout");
  refused(S3_SET_AS_OF, "yesterday", 0, "in UTC");
  struct settings *s = defaults();
  struct s3 *t = NULL;
  set(s, S3_SET_LOCK, "compliance", 0);
  set(s, S3_SET_RETAIN, "200y", 200LL * 366 * 86400);
  assert_int_equal(hf_s3_new(&host, s->v, &t), HOLDFAST_E_CONFIG);
}

/* ---- errors ---- */

static void error_documents(void **state) {
  (void)state;
  static const char aws[] =
      "<?xml version=\"1.0\"?>\n<Error><Code>PermanentRedirect</Code><Message>The bucket\nis elsewhere.</Message><Region>eu-west-3</Region></Error>";
  static const char sts[] =
      "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>ExpiredTokenException</Code></Error></ErrorResponse>";
  static const char page[] = "<html><body>Bad gateway<br></body></html>";
  struct s3_error e;
  hf_s3_error_read(aws, sizeof aws - 1, &e);
  assert_string_equal(e.code, "PermanentRedirect");
  assert_string_equal(e.message, "The bucket is elsewhere");
  assert_string_equal(e.region, "eu-west-3");
  hf_s3_error_read(sts, sizeof sts - 1, &e);
  assert_string_equal(e.code, "ExpiredTokenException");
  hf_s3_error_read(page, sizeof page - 1, &e);
  assert_string_equal(e.code, "");
  hf_s3_error_read(aws, 60, &e); /* cut off: nothing of it is believed */
  assert_string_equal(e.code, "");
  /* A name that is too long, of an element that ends at once: alone, and below another. */
  char name[1001], doc[1100], why[HFT_XML_WHY];
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  for (int i = 0; i < 2; i++) {
    int n = snprintf(doc, sizeof doc, i ? "<Error><%s/></Error>" : "<%s/>", name);
    hf_s3_error_read(doc, (size_t)n, &e);
    assert_string_equal(e.code, "");
    struct s3_page p;
    assert_int_equal(hf_s3_page_read(doc, (size_t)n, &p, why, sizeof why), 1);
    assert_non_null(strstr(why, "nested too deep"));
    hf_s3_page_free(&p);
  }
}

static void classes(void **state) {
  (void)state;
  static const struct class_case v[] = {
      {403, "SignatureDoesNotMatch", HOLDFAST_E_AUTH},
      {403, "AccessDenied", HOLDFAST_E_AUTH},
      {400, "ExpiredToken", HOLDFAST_E_AUTH},
      {403, "RequestTimeTooSkewed", HOLDFAST_E_AUTH},
      {404, "NoSuchKey", HOLDFAST_E_NOT_FOUND},
      {404, "", HOLDFAST_E_NOT_FOUND},
      {404, "SomethingElse", HOLDFAST_E_FAILED},
      {412, "PreconditionFailed", HOLDFAST_E_EXISTS},
      {412, "", HOLDFAST_E_EXISTS},
      {412, "SomethingElse", HOLDFAST_E_FAILED},
      {409, "ConditionalRequestConflict", HOLDFAST_E_TRANSIENT},
      {503, "SlowDown", HOLDFAST_E_TRANSIENT},
      {500, "", HOLDFAST_E_TRANSIENT},
      {429, "", HOLDFAST_E_TRANSIENT},
      {503, "Unheard", HOLDFAST_E_TRANSIENT},
      {400, "RequestTimeout", HOLDFAST_E_TRANSIENT},
      {400, "BadDigest", HOLDFAST_E_TRANSIENT},
      {403, "QuotaExceeded", HOLDFAST_E_NO_SPACE},
      {507, "", HOLDFAST_E_NO_SPACE},
      {301, "PermanentRedirect", HOLDFAST_E_CONFIG},
      {307, "", HOLDFAST_E_CONFIG},
      {400, "KMS.NotFoundException", HOLDFAST_E_CONFIG},
      {501, "NotImplemented", HOLDFAST_E_UNSUPPORTED},
      {416, "InvalidRange", HOLDFAST_E_CORRUPT},
      {400, "MalformedXML", HOLDFAST_E_FAILED},
      {403, "", HOLDFAST_E_AUTH}};
  check_classes(hf_s3_class, v, sizeof v / sizeof *v);
}

/* ---- pages ---- */

static int read_page(const char *text, size_t n, char *why, size_t cap) {
  struct s3_page p;
  int r = hf_s3_page_read(text, n, &p, why, cap);
  hf_s3_page_free(&p);
  return r;
}

static void pages(void **state) {
  (void)state;
  static const char good[] =
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>a%2F</Prefix><EncodingType>url</EncodingType>"
      "<IsTruncated>true</IsTruncated><Contents><Key>a%2Fb+c</Key><Size>12</Size><Owner><ID>Key</ID></Owner></Contents>\n"
      "<Contents><Key>a%2F%C3%A9</Key><Size>0</Size></Contents><NextContinuationToken>a+b%2F=</NextContinuationToken></ListBucketResult>";
  static const char versions[] = "<ListVersionsResult><IsTruncated>false</IsTruncated><DeleteMarker><Key>k</Key><VersionId>3</"
                                 "VersionId><LastModified>2026-11-20T12:00:03.000Z</LastModified>"
                                 "</DeleteMarker><Version><Key>k</Key><VersionId>2</VersionId><LastModified>2026-11-20T12:00:02Z</LastModified><Size>5</Size></"
                                 "Version></ListVersionsResult>";
  static const char *const bad[][2] = {
      {"", "no element"},
      {"<html></html>", "something else"},
      {"<ListBucketResult></ListBucketResult>", "whether there is more"},
      {"<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>", "whether there is more"},
      {"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "from where"},
      {"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>", "no key or no size"},
      {"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents></ListBucketResult>", "no key or no size"},
      {"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>", "not a number"},
      {"<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType><Contents><Key>%</Key><Size>1</Size></Contents></ListBucketResult>",
       "encoded"},
      {"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents>", "no element"},
      {"<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>", "document type"},
      {"<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>k</Key><Size>1</Size></Version></ListVersionsResult>", "no id or no time"},
  };
  struct s3_page p;
  char why[200];
  assert_int_equal(hf_s3_page_read(good, sizeof good - 1, &p, why, sizeof why), 0);
  assert_int_equal(p.n, 2);
  assert_string_equal(p.v[0].key, "a/b c");
  assert_int_equal(p.v[0].size, 12);
  assert_string_equal(p.v[1].key, "a/\xc3\xa9");
  assert_true(p.truncated);
  assert_string_equal(p.next, "a+b%2F=");
  hf_s3_page_free(&p);
  assert_int_equal(hf_s3_page_read(versions, sizeof versions - 1, &p, why, sizeof why), 0);
  assert_int_equal(p.n, 2);
  assert_true(p.v[0].deleted && !p.v[1].deleted);
  assert_int_equal(p.v[0].when - p.v[1].when, 1);
  assert_string_equal(p.v[1].version, "2");
  hf_s3_page_free(&p);
  check_pages(read_page, good, bad, sizeof bad / sizeof *bad);
}

static void ranges(void **state) {
  (void)state;
  static const char *const bad[] = {
      "", "bytes 1-2", "bytes 1-2/*", "bytes 2-1/9", "bytes 1-9/9", "bytes 1-2/9 ", "items 1-2/9", "bytes -1-2/9", "bytes 99999999999999999999-2/9"};
  uint64_t a, b, c;
  assert_true(hft_content_range("bytes 1-2/9", &a, &b, &c) && a == 1 && b == 2 && c == 9);
  assert_false(hft_content_range(NULL, &a, &b, &c));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (hft_content_range(bad[i], &a, &b, &c)) fail_msg("%s", bad[i]);
}

/* ---- keys ---- */

static void profiles(void **state) {
  (void)state;
  static const char credentials[] =
      "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=S\r\n\n[ other ]\naws_access_key_id=A2\naws_secret_access_key = S=2\n"
      "aws_session_token=T\n[other2]\naws_access_key_id=A3";
  static const char config[] =
      "[default]\nregion=eu-west-1\ns3 =\n  region = nested\n[profile other]\nregion = eu-west-2\naws_access_key_id=B\n[other2]\nregion=x\n";
  struct s3_profile p = {0};
  assert_true(hf_s3_profile_read(credentials, "default", false, &p) && hf_s3_profile_read(config, "default", true, &p) && p.found);
  assert_string_equal(p.access, "A");
  assert_string_equal(p.secret, "S");
  assert_null(p.token);
  assert_string_equal(p.region, "eu-west-1");
  hf_s3_profile_free(&p);
  assert_true(hf_s3_profile_read(credentials, "other", false, &p) && hf_s3_profile_read(config, "other", true, &p) && p.found);
  assert_string_equal(p.access, "A2");
  assert_string_equal(p.secret, "S=2");
  assert_string_equal(p.token, "T");
  assert_string_equal(p.region, "eu-west-2");
  hf_s3_profile_free(&p);
  /* In a config file, "[other2]" is no profile. */
  assert_true(hf_s3_profile_read(config, "other2", true, &p) && !p.found);
  assert_null(p.region);
  assert_true(hf_s3_profile_read(credentials, "missing", false, &p) && !p.found);
  hf_s3_profile_free(&p);
}

static void json(void **state) {
  (void)state;
  static const char good[] = "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":\"2026-11-20T12:00:00Z\"}";
  static const char *const bad[] = {"",
                                    "[]",
                                    "{}",
                                    "{\"Code\":\"Failed\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}",
                                    "{\"AccessKeyId\":\"A\"}",
                                    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Expiration\":\"soon\"}",
                                    "{\"AccessKeyId\":1,\"SecretAccessKey\":\"S\"}"};
  struct s3_key k;
  const char *why;
  assert_true(hf_s3_key_json(good, sizeof good - 1, &k, &why));
  assert_string_equal(k.token, "T");
  assert_int_equal(k.expires, 1795176000);
  hf_s3_key_free(&k);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_false(hf_s3_key_json(bad[i], strlen(bad[i]), &k, &why));
    assert_non_null(why);
  }
}

/* What is told of a request lets nobody in. */
static void redacted(void **state) {
  static const struct {
    const char *url, *told;
  } v[] = {
      {"https://host/bucket/web1/packs/a?list-type=2&prefix=p%2F", "https://host/bucket/web1/packs/a?list-type=2&prefix=p%2F"},
      {"https://user:pass@host/x", "https://***@host/x"},
      {"https://host/x@y?a=b", "https://host/x@y?a=b"},
      {"https://h/c?sv=2021&sig=abc%2F&se=1", "https://h/c?sv=2021&sig=***&se=1"},
      {"https://h/c?X-Amz-Signature=1&X-Amz-Credential=k&X-Amz-Security-Token=t&X-Amz-Date=d",
       "https://h/c?X-Amz-Signature=***&X-Amz-Credential=***&X-Amz-Security-Token=***&X-Amz-Date=d"},
      {"https://h/o?uploadType=resumable&upload_id=xyz", "https://h/o?uploadType=resumable&upload_id=***"},
      {"https://h/o?token", "https://h/o?token"},
      {"https://h/o?&=&sig=", "https://h/o?&=&sig=***"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct hft_buf b = {0};
    hft_http_redact(&b, v[i].url);
    assert_string_equal(hft_text(&b), v[i].told);
    hft_buf_free(&b);
  }
}

static void cold(void **state) {
  (void)state;
  assert_int_equal(hf_s3_is_cold(NULL, NULL, NULL), S3_WARM);
  assert_int_equal(hf_s3_is_cold("STANDARD_IA", NULL, NULL), S3_WARM);
  assert_int_equal(hf_s3_is_cold("GLACIER_IR", NULL, NULL), S3_WARM); /* that one is read at once */
  assert_int_equal(hf_s3_is_cold("GLACIER", NULL, NULL), S3_COLD);
  assert_int_equal(hf_s3_is_cold("INTELLIGENT_TIERING", "ARCHIVE_ACCESS", NULL), S3_COLD);
  assert_int_equal(hf_s3_is_cold("DEEP_ARCHIVE", NULL, "ongoing-request=\"true\""), S3_THAWING);
  assert_int_equal(hf_s3_is_cold("DEEP_ARCHIVE", NULL, "ongoing-request=\"false\", expiry-date=\"Fri, 20 Nov 2026 00:00:00 GMT\""), S3_WARM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses), cmocka_unit_test(wrong_settings), cmocka_unit_test(error_documents), cmocka_unit_test(classes),
      cmocka_unit_test(pages),     cmocka_unit_test(ranges),         cmocka_unit_test(profiles),        cmocka_unit_test(json),
      cmocka_unit_test(redacted),  cmocka_unit_test(cold)};
  return cmocka_run_group_tests_name("s3", tests, NULL, NULL);
}
