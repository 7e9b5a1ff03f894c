/* errors.c - what the errors of the Blob service mean.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "../common/xml.h"
#include "azure.h"

/* The hint says what is wrong in terms of the manifest; NULL: request.c knows better. */
static const struct {
  const char *code;
  int status;
  const char *hint;
} codes[] = {
    {"AccessTierNotSupportedForBlobType", HOLDFAST_E_CONFIG, "tier: the account has no such tier"},
    {"AccountBeingCreated", HOLDFAST_E_TRANSIENT, "the account is still being created"},
    {"AccountIsDisabled", HOLDFAST_E_AUTH, "the account is disabled"},
    {"AuthenticationFailed", HOLDFAST_E_AUTH, NULL},
    {"AuthorizationFailure", HOLDFAST_E_AUTH,
     "the account does not let this host in, by its network rules, or does not permit this"},
    {"AuthorizationPermissionMismatch", HOLDFAST_E_AUTH, NULL},
    {"AuthorizationProtocolMismatch", HOLDFAST_E_AUTH, "the SAS token is good for https only"},
    {"AuthorizationResourceTypeMismatch", HOLDFAST_E_AUTH,
     "the SAS token is not for this kind of resource: one with srt=co is wanted"},
    {"AuthorizationServiceMismatch", HOLDFAST_E_AUTH, "the SAS token is not for the Blob service: one with ss=b is wanted"},
    {"AuthorizationSourceIPMismatch", HOLDFAST_E_AUTH, "the SAS token is not for the address of this host"},
    {"BlobAccessTierNotSupportedForAccountType", HOLDFAST_E_CONFIG, "tier: the account has no such tier"},
    {"BlobAlreadyExists", HOLDFAST_E_EXISTS, "the key is taken"},
    {"BlobArchived", HOLDFAST_E_FAILED, "the object lies in the archive tier"},
    {"BlobBeingRehydrated", HOLDFAST_E_FAILED, "the object is being brought back from the archive tier"},
    {"BlobCustomerSpecifiedEncryptionMismatch", HOLDFAST_E_CONFIG, "encryption-key is not the one the object was stored with"},
    {"BlobDoesNotUseCustomerSpecifiedEncryption", HOLDFAST_E_CONFIG, "the object was stored without encryption-key"},
    {"BlobImmutableDueToLegalHold", HOLDFAST_E_AUTH, "a legal hold keeps the object from being changed and deleted"},
    {"BlobImmutableDueToPolicy", HOLDFAST_E_AUTH, "an immutability policy keeps the object from being changed and deleted"},
    {"BlobNotFound", HOLDFAST_E_NOT_FOUND, "there is no such object"},
    {"BlobUsesCustomerSpecifiedEncryption", HOLDFAST_E_CONFIG,
     "the object was stored with an encryption-key that is not set here"},
    {"ConditionNotMet", HOLDFAST_E_EXISTS, "the key is taken"},
    {"ContainerBeingDeleted", HOLDFAST_E_TRANSIENT, "the container is being deleted, which takes half a minute and longer"},
    {"ContainerDisabled", HOLDFAST_E_AUTH, "the container is disabled"},
    {"ContainerHasLegalHold", HOLDFAST_E_AUTH, "a legal hold of the container keeps the object from being changed and deleted"},
    {"ContainerImmutabilityPolicyLocked", HOLDFAST_E_AUTH,
     "an immutability policy of the container keeps the object from being changed and deleted"},
    {"ContainerNotFound", HOLDFAST_E_NOT_FOUND, "there is no such container"},
    {"Crc64Mismatch", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {"EncryptionScopeDisabled", HOLDFAST_E_CONFIG, "encryption-scope: it is disabled"},
    {"EncryptionScopeNotFound", HOLDFAST_E_CONFIG, "encryption-scope: the account has no such scope"},
    {"FeatureNotSupported", HOLDFAST_E_UNSUPPORTED, "the service does not do what a setting asks for"},
    {"FeatureVersionMismatch", HOLDFAST_E_CONFIG, "api-version is older than what the object was stored with needs"},
    {"InsufficientAccountPermissions", HOLDFAST_E_AUTH, "the account may only be read at present"},
    {"InternalError", HOLDFAST_E_TRANSIENT, "the server has a fault of its own"},
    {"InvalidAuthenticationInfo", HOLDFAST_E_AUTH, NULL},
    {"InvalidBlobOrBlock", HOLDFAST_E_TRANSIENT, "another upload of the same key has taken the blocks away"},
    {"InvalidBlobTier", HOLDFAST_E_CONFIG, "tier: the account has no such tier"},
    {"InvalidBlockList", HOLDFAST_E_TRANSIENT, "another upload of the same key has taken the blocks away"},
    {"InvalidHeaderValue", HOLDFAST_E_FAILED, NULL},
    {"InvalidMd5", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {"InvalidRange", HOLDFAST_E_CORRUPT, "the object is shorter than it should be"},
    {"InvalidResourceName", HOLDFAST_E_CONFIG, "the service takes no such name"},
    {"KeyBasedAuthenticationNotPermitted", HOLDFAST_E_AUTH, "the account does not allow keys: use an identity"},
    {"KeyVaultAccessTokenCannotBeAcquired", HOLDFAST_E_CONFIG, "the account's own encryption key cannot be used"},
    {"KeyVaultEncryptionKeyNotFound", HOLDFAST_E_CONFIG, "the account's own encryption key is gone"},
    {"KeyVaultVaultNotFound", HOLDFAST_E_CONFIG, "the account's own encryption key is gone"},
    {"LeaseAlreadyPresent", HOLDFAST_E_AUTH, "somebody holds a lease on the object"},
    {"LeaseIdMismatchWithBlobOperation", HOLDFAST_E_AUTH, "somebody holds a lease on the object"},
    {"LeaseIdMissing", HOLDFAST_E_AUTH, "somebody holds a lease on the object, which keeps it from being changed and deleted"},
    {"Md5Mismatch", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {"NoAuthenticationInformation", HOLDFAST_E_AUTH, "the service sees no credentials"},
    {"OperationTimedOut", HOLDFAST_E_TRANSIENT, "the server took too long"},
    {"PublicAccessNotPermitted", HOLDFAST_E_AUTH, "the service sees no credentials"},
    {"RequestBodyTooLarge", HOLDFAST_E_CONFIG,
     "the service does not take that much in one request: lower put-max and block-size"},
    {"ResourceNotFound", HOLDFAST_E_NOT_FOUND, "there is no such resource"},
    {"ServerBusy", HOLDFAST_E_TRANSIENT, "the server is busy"},
    {"SnapshotsPresent", HOLDFAST_E_AUTH, "the object has snapshots, which keep it from being deleted"},
    {"TooManyRequests", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"UnauthorizedBlobOverwrite", HOLDFAST_E_AUTH, "what is there may not be replaced"},
    {"UnsupportedHeader", HOLDFAST_E_UNSUPPORTED, "the service does not do what a setting asks for"},
};

int hf_azure_class(int http, const char *code, const char **hint) {
  *hint = NULL;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (strcmp(codes[i].code, code) == 0) {
      *hint = codes[i].hint;
      return codes[i].status;
    }
  /* A 412 or 404 that says something we do not know is no statement about a key. */
  int status = hft_http_status(http);
  if (*code && (status == HOLDFAST_E_EXISTS || status == HOLDFAST_E_NOT_FOUND)) status = HOLDFAST_E_FAILED;
  return status;
}

static int error_leaf(void *ctx, const char *path, char *text) {
  struct azure_error *e = ctx;
  if (strcmp(path, "/Error/Code") == 0) hft_printable(e->code, sizeof e->code, text);
  if (strcmp(path, "/Error/Message") == 0) {
    /* Ids of the request follow in lines of their own. */
    char *end = strstr(text, "RequestId:");
    if (end) *end = '\0';
    hft_printable(e->message, sizeof e->message, text);
  }
  if (strcmp(path, "/Error/AuthenticationErrorDetail") == 0 || strcmp(path, "/Error/HeaderName") == 0)
    hft_printable(e->detail, sizeof e->detail, text);
  return 0;
}

void hf_azure_error_read(const char *xml, size_t n, const char *header, struct azure_error *out) {
  char why[HFT_XML_WHY];
  *out = (struct azure_error){0};
  /* A byte order mark comes before it now and then; expat takes it. What is no XML is a proxy's page, and says nothing. */
  if (n > 0 && hft_xml_read(xml, n, error_leaf, out, why) != 0) *out = (struct azure_error){0};
  if (!*out->code && header) hft_printable(out->code, sizeof out->code, header);
  /* So says the emulator. In Azure AuthorizationFailure is about who is let in, and has other words. */
  if (strcmp(out->code, "AuthorizationFailure") == 0 && strncmp(out->message, "Server failed to authenticate", 29) == 0)
    snprintf(out->code, sizeof out->code, "AuthenticationFailed");
}
