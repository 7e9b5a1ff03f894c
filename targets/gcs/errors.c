/* errors.c - what the errors of Google Cloud Storage mean.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "gcs.h"

#define BILLING "billing is disabled for the project"
#define API_OFF "the Cloud Storage API is not enabled in the project"

/* The "reason" of an error, of the JSON API itself and of what stands before it. The hint says what is wrong in terms of the manifest. */
static const struct {
  const char *reason;
  int status;
  const char *hint;
} reasons[] = {
    {"accessNotConfigured", HOLDFAST_E_CONFIG, API_OFF},
    {"ACCESS_TOKEN_EXPIRED", HOLDFAST_E_AUTH, "the access token has expired"},
    {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", HOLDFAST_E_AUTH, "the access token's scopes do not allow it"},
    {"accountDisabled", HOLDFAST_E_AUTH, BILLING},
    {"authError", HOLDFAST_E_AUTH, "the access token is refused"},
    {"backendError", HOLDFAST_E_TRANSIENT, "the server has a fault of its own"},
    {"badGateway", HOLDFAST_E_TRANSIENT, "the server has a fault of its own"},
    {"BILLING_DISABLED", HOLDFAST_E_AUTH, BILLING},
    {"conditionNotMet", HOLDFAST_E_EXISTS, "the key is taken"},
    {"CONSUMER_INVALID", HOLDFAST_E_CONFIG, "there is no such project"},
    {"dailyLimitExceeded", HOLDFAST_E_NO_SPACE, "the project's quota is used up"},
    {"forbidden", HOLDFAST_E_AUTH, NULL},
    {"gatewayTimeout", HOLDFAST_E_TRANSIENT, "the server took too long"},
    {"insufficientPermissions", HOLDFAST_E_AUTH, "the access token's scopes do not allow it"},
    {"internalError", HOLDFAST_E_TRANSIENT, "the server has a fault of its own"},
    {"movedPermanently", HOLDFAST_E_CONFIG, "the server sends us elsewhere: check endpoint"},
    {"notFound", HOLDFAST_E_NOT_FOUND, "there is no such object"},
    {"objectUnderActiveHold", HOLDFAST_E_AUTH, "a hold is on the object, which keeps it from being deleted or replaced"},
    {"quotaExceeded", HOLDFAST_E_NO_SPACE, "the project's quota is used up"},
    {"rateLimitExceeded", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"requestedRangeNotSatisfiable", HOLDFAST_E_CORRUPT, "the object is shorter than it should be"},
    {"requestTimeout", HOLDFAST_E_TRANSIENT, "the server waited too long for the bytes"},
    {"required", HOLDFAST_E_AUTH, "the request carries no credentials"},
    {"retentionPolicyNotMet", HOLDFAST_E_AUTH, "a retention policy keeps the object from being deleted or replaced until its time has come"},
    {"SECURITY_POLICY_VIOLATED", HOLDFAST_E_AUTH, "a VPC Service Controls perimeter does not let it pass"},
    {"SERVICE_DISABLED", HOLDFAST_E_CONFIG, API_OFF},
    {"sslRequired", HOLDFAST_E_CONFIG, "the service wants https"},
    {"uploadBrokenConnection", HOLDFAST_E_TRANSIENT, "not all bytes arrived"},
    {"uploadTooLarge", HOLDFAST_E_FAILED, "the service does not take objects this large"},
    {"USER_PROJECT_DENIED", HOLDFAST_E_AUTH, "user-project: serviceusage.services.use is not permitted in that project"},
    {"userProjectAccessDenied", HOLDFAST_E_AUTH, "user-project: serviceusage.services.use is not permitted in that project"},
    {"userProjectAccountProblem", HOLDFAST_E_AUTH, "user-project: " BILLING},
    {"userProjectInconsistent", HOLDFAST_E_CONFIG, "user-project: the project does not agree with what else the request says"},
    {"userProjectInvalid", HOLDFAST_E_CONFIG, "user-project: there is no such project"},
    {"userProjectMissing", HOLDFAST_E_CONFIG, "who asks for something of this bucket pays for it: set user-project"},
    {"userRateLimitExceeded", HOLDFAST_E_TRANSIENT, "too many requests"},
    {"vpcServiceControls", HOLDFAST_E_AUTH, "a VPC Service Controls perimeter does not let it pass"},
};

/* Where the reason is a vague one, the message tells. code: 0 for any. */
static const struct {
  int code;
  const char *words;
  int status;
  const char *hint;
} messages[] = {
    {400, "doesn't match calculated", HOLDFAST_E_TRANSIENT, "the bytes were damaged on their way"},
    {400, "requester pays", HOLDFAST_E_CONFIG, "who asks for something of this bucket pays for it: set user-project"},
    {0, "Cloud KMS", HOLDFAST_E_CONFIG, "the key of kms-key cannot be used: the bucket's service agent needs cloudkms.cryptoKeyEncrypterDecrypter on it"},
    {400, "storage class", HOLDFAST_E_CONFIG, "storage-class: the service has no such class"},
    {400, "retention", HOLDFAST_E_CONFIG, "object-retention: the bucket was not made for it, or does not take such a time"},
    {400, "project id", HOLDFAST_E_CONFIG, "project: there is no such project"},
    {400, "location", HOLDFAST_E_CONFIG, "location: the service has no such location"},
    {412, "constraint", HOLDFAST_E_CONFIG, "a policy of the organisation forbids it"},
    {403, "billing account", HOLDFAST_E_AUTH, BILLING},
};

bool hf_gcs_no_bucket(const struct gcs_error *e) { return strcasestr(e->message, "bucket does not exist") != NULL; }

int hf_gcs_class(int http, const struct gcs_error *e, const char **hint) {
  *hint = NULL;
  if (http == 404 && hf_gcs_no_bucket(e)) {
    *hint = "there is no such bucket";
    return HOLDFAST_E_NOT_FOUND;
  }
  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
    if ((messages[i].code == 0 || messages[i].code == http) && strcasestr(e->message, messages[i].words)) {
      *hint = messages[i].hint;
      return messages[i].status;
    }
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (strcmp(reasons[i].reason, e->reason) == 0) {
      *hint = reasons[i].hint;
      return reasons[i].status;
    }
  int status = hft_http_status(http);
  if (status == HOLDFAST_E_NOT_FOUND) *hint = "there is no such object";
  /* A 412 that says something we do not know is no statement about a key. */
  return *e->reason && status == HOLDFAST_E_EXISTS ? HOLDFAST_E_FAILED : status;
}

void hf_gcs_error_read(const char *json, size_t n, struct gcs_error *out) {
  char words[700] = ""; /* the longest key, and what is said of it */
  *out = (struct gcs_error){.reason = ""};
  json_t *doc = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
  const json_t *error = json_object_get(doc, "error"), *item;
  size_t i;
  const char *message = json_string_value(json_object_get(error, "message"));
  const char *reason = json_string_value(json_object_get(json_array_get(json_object_get(error, "errors"), 0), "reason"));
  /* Services that stand before the storage name the cause here. */
  json_array_foreach(json_object_get(error, "details"), i, item) {
    const char *said = json_string_value(json_object_get(item, "reason"));
    if (said && *said) reason = said;
  }
  if (message) hft_printable(out->message, sizeof out->message, message);
  if (reason) hft_printable(out->reason, sizeof out->reason, reason);
  json_decref(doc);
  /* Downloads and uploads answer with bare words. A proxy's page says nothing. */
  if (!message && n > 0 && n < sizeof words && isalpha((unsigned char)json[0])) {
    memcpy(words, json, n);
    hft_printable(out->message, sizeof out->message, words);
  }
}

void hf_gcs_permission(const char *message, char *out, size_t cap) {
  const char *at = strstr(message, "storage.");
  size_t n = at ? strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") : 0;
  while (n > 0 && at[n - 1] == '.') n--;
  /* Not the host's name. */
  if (n > 0 && (strncmp(at, "storage.objects.", 16) == 0 || strncmp(at, "storage.buckets.", 16) == 0)) snprintf(out, cap, "%.*s", (int)n, at);
  else out[0] = '\0';
}

void hf_gcs_clock_words(const struct hft_response *rs, char *out, size_t cap) {
  const char *date = hft_response_header(rs, "date");
  int64_t there;
  out[0] = '\0';
  if (!date || !hft_time_http(date, &there)) return;
  int64_t ahead = (int64_t)time(NULL) - there, off = ahead < 0 ? -ahead : ahead;
  if (off >= 60) snprintf(out, cap, ": this host is %" PRId64 " s %s", off, ahead < 0 ? "behind" : "ahead");
}
