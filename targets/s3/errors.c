/* errors.c - what the errors of S3 services mean.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "../common/xml.h"
#include "s3.h"

/* Of Amazon and of those that speak its language. The hint says what is wrong in terms of the manifest. */
static const struct {
  const char *code;
  int status;
  const char *hint;
} codes[] = {
    {"AccessDenied", HOLDFAST_E_AUTH, NULL},
    {"AccountProblem", HOLDFAST_E_AUTH, "the account is not in order"},
    {"AllAccessDisabled", HOLDFAST_E_AUTH, "the account is not in order"},
    {"AuthorizationHeaderMalformed", HOLDFAST_E_CONFIG, "the region is not the bucket's"},
    {"BadDigest", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {"Busy", HOLDFAST_E_TRANSIENT, "the server is busy"},
    {"ConditionalRequestConflict", HOLDFAST_E_TRANSIENT, "another request for the same key is under way"},
    {"EntityTooLarge", HOLDFAST_E_FAILED, "the service does not take objects this large in one request"},
    {"ExpiredToken", HOLDFAST_E_AUTH, "the session token has expired"},
    {"ExpiredTokenException", HOLDFAST_E_AUTH, "the token has expired"},
    {"IllegalLocationConstraintException", HOLDFAST_E_CONFIG, "the region is not the endpoint's"},
    {"IncompleteBody", HOLDFAST_E_TRANSIENT, "not all bytes arrived"},
    {"InsufficientStorage", HOLDFAST_E_NO_SPACE, "there is no space left"},
    {"InternalError", HOLDFAST_E_TRANSIENT, "the server has a fault of its own"},
    {"InvalidAccessKeyId", HOLDFAST_E_AUTH, "the access key is wrong: the server knows none of that id"},
    {"InvalidBucketName", HOLDFAST_E_CONFIG, "the service takes no such name for a bucket"},
    {"InvalidIdentityToken", HOLDFAST_E_AUTH, "the web identity token is refused"},
    {"InvalidLocationConstraint", HOLDFAST_E_CONFIG, "the region is wrong"},
    {"InvalidObjectState", HOLDFAST_E_FAILED, "the object lies in an archive"},
    {"InvalidRange", HOLDFAST_E_CORRUPT, "the object is shorter than it should be"},
    {"InvalidRetentionPeriod", HOLDFAST_E_CONFIG, "retain is not a time the bucket takes"},
    {"InvalidSecurity", HOLDFAST_E_AUTH, "the access key is not valid"},
    {"InvalidStorageClass", HOLDFAST_E_CONFIG, "storage-class: the service has no such class"},
    {"InvalidToken", HOLDFAST_E_AUTH, "the session token is not valid"},
    {"MethodNotAllowed", HOLDFAST_E_AUTH, "the server does not allow that here"},
    {"MissingContentLength", HOLDFAST_E_FAILED, NULL},
    {"NoSuchBucket", HOLDFAST_E_NOT_FOUND, "there is no such bucket"},
    {"NoSuchKey", HOLDFAST_E_NOT_FOUND, "there is no such object"},
    {"NoSuchVersion", HOLDFAST_E_NOT_FOUND, "there is no such version"},
    {"NotImplemented", HOLDFAST_E_UNSUPPORTED, "the service does not do that"},
    {"OperationAborted", HOLDFAST_E_TRANSIENT, "another request for the same thing is under way"},
    {"PermanentRedirect", HOLDFAST_E_CONFIG, "the bucket is elsewhere"},
    {"PreconditionFailed", HOLDFAST_E_EXISTS, "the key is taken"},
    {"QuotaExceeded", HOLDFAST_E_NO_SPACE, "the quota is used up"},
    {"RequestExpired", HOLDFAST_E_AUTH, "the clocks of this host and of the server differ"},
    {"RequestLimitExceeded", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"RequestTimeout", HOLDFAST_E_TRANSIENT, "the server waited too long for the bytes"},
    {"RequestTimeTooSkewed", HOLDFAST_E_AUTH, "the clocks of this host and of the server differ"},
    {"ServerNotInitialized", HOLDFAST_E_TRANSIENT, "the server is starting"},
    {"ServiceUnavailable", HOLDFAST_E_TRANSIENT, "the server is not available"},
    {"SignatureDoesNotMatch", HOLDFAST_E_AUTH, "the secret key is wrong: it does not belong to the access key"},
    {"SlowDown", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"SlowDownRead", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"SlowDownWrite", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"StorageFull", HOLDFAST_E_NO_SPACE, "there is no space left"},
    {"TemporaryRedirect", HOLDFAST_E_CONFIG, "the bucket is elsewhere"},
    {"Throttling", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"ThrottlingException", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"TokenRefreshRequired", HOLDFAST_E_AUTH, "the session token has expired"},
    {"TooManyBuckets", HOLDFAST_E_NO_SPACE, "the account has as many buckets as it may have"},
    {"TooManyRequests", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"UserSuspended", HOLDFAST_E_AUTH, "the account is suspended"},
    {"XAmzContentChecksumMismatch", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {"XAmzContentSHA256Mismatch", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {"XMinioAdminBucketQuotaExceeded", HOLDFAST_E_NO_SPACE, "the quota is used up"},
    {"XMinioServerNotInitialized", HOLDFAST_E_TRANSIENT, "the server is starting"},
    {"XMinioStorageFull", HOLDFAST_E_NO_SPACE, "there is no space left"},
};

int hf_s3_class(int http, const char *code, const char **hint) {
  *hint = NULL;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (strcmp(codes[i].code, code) == 0) {
      *hint = codes[i].hint;
      return codes[i].status;
    }
  if (strncmp(code, "KMS.", 4) == 0) {
    *hint = "the key of sse-kms-key cannot be used";
    return HOLDFAST_E_CONFIG;
  }
  /* A 412 or 404 that says something we do not know is no statement about a key. */
  int status = hft_http_status(http);
  if (*code && (status == HOLDFAST_E_EXISTS || status == HOLDFAST_E_NOT_FOUND)) status = HOLDFAST_E_FAILED;
  return status;
}

static int error_leaf(void *ctx, const char *path, char *text) {
  struct s3_error *e = ctx;
  /* <Error> alone, or <ErrorResponse><Error> of the token service. */
  const char *leaf = strrchr(path, '/') + 1;
  if (strncmp(path, "/Error/", 7) != 0 && strncmp(path, "/ErrorResponse/Error/", 21) != 0) return 0;
  if (strcmp(leaf, "Code") == 0) hft_printable(e->code, sizeof e->code, text);
  if (strcmp(leaf, "Message") == 0) hft_printable(e->message, sizeof e->message, text);
  if (strcmp(leaf, "Region") == 0) hft_printable(e->region, sizeof e->region, text);
  if (strcmp(leaf, "ServerTime") == 0) hft_printable(e->server_time, sizeof e->server_time, text);
  return 0;
}

void hf_s3_error_read(const char *xml, size_t n, struct s3_error *out) {
  char why[HFT_XML_WHY];
  *out = (struct s3_error){0};
  /* What is no XML is a proxy's page, and says nothing. */
  if (n > 0 && hft_xml_read(xml, n, error_leaf, out, why) != 0) *out = (struct s3_error){0};
}
