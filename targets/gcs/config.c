/* config.c - the settings of the gcs target, and the service's address.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs.h"

#define RESUMABLE_LEAST (256u << 10) /* below that a session is two requests for nothing */
#define RESUMABLE_MOST (64u << 20)   /* what goes in one request is copied once to stand beside its metadata */

const struct holdfast_setting hf_gcs_settings[] = {
    [GCS_SET_BUCKET] = {"bucket", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "The bucket that holds the objects"},
    [GCS_SET_ENDPOINT] = {"endpoint", HOLDFAST_STRING, 0, NULL, NULL, "The URL of the service, where it is not Google's public one"},
    [GCS_SET_PROJECT] = {"project", HOLDFAST_STRING, 0, NULL, NULL, "The project in which init makes the bucket"},
    [GCS_SET_LOCATION] = {"location", HOLDFAST_STRING, 0, NULL, NULL, "The location at which init makes the bucket"},
    [GCS_SET_CREDENTIALS] = {"credentials", HOLDFAST_CHOICE, 0, "auto", "auto|file|metadata|anonymous", "Where access tokens come from"},
    [GCS_SET_CREDENTIALS_FILE] = {"credentials-file", HOLDFAST_PATH, 0, NULL, NULL, "The JSON of a service account's key or of a workload identity"},
    [GCS_SET_STORAGE_CLASS] = {"storage-class", HOLDFAST_STRING, 0, NULL, NULL, "The storage class of packs"},
    [GCS_SET_KMS_KEY] = {"kms-key", HOLDFAST_STRING, 0, NULL, NULL, "The Cloud KMS key by which the service encrypts, beside holdfast's own encryption"},
    [GCS_SET_RETENTION] = {"object-retention", HOLDFAST_CHOICE, 0, "none", "none|unlocked|locked", "Protect each object against deletion"},
    [GCS_SET_RETAIN] = {"retain", HOLDFAST_DURATION, 0, NULL, NULL, "For how long object-retention protects"},
    [GCS_SET_USER_PROJECT] = {"user-project", HOLDFAST_STRING, 0, NULL, NULL, "The project that is charged for requests to a bucket of somebody else"},
    [GCS_SET_AS_OF] = {"as-of", HOLDFAST_STRING, 0, NULL, NULL, "Read a versioned bucket as it was at this time, and write nothing"},
    [GCS_SET_RESUMABLE_MIN] = {"resumable-min", HOLDFAST_SIZE, 0, "8M", NULL, "Objects from this size on are uploaded so that a cut upload can go on"},
    [GCS_SET_CONNECTIONS] = {"connections", HOLDFAST_INT, 0, "8", NULL, "How many objects are written or read at once"},
    [GCS_SET_STALL] = {"stall-timeout", HOLDFAST_DURATION, 0, "60s", NULL, "Give up a request on which nothing moves for this long"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

void hf_gcs_free(struct gcs *t) {
  if (!t) return;
  hft_http_free(t->http);
  hft_token_clear(&t->token);
  for (size_t i = 0; i < GCS_TRIES; i++) {
    free(t->tries[i].key);
    hft_token_free(t->tries[i].session);
  }
  pthread_mutex_destroy(&t->lock);
  free(t->base);
  free(t->file_project);
  free(t);
}

const char *hf_gcs_env(const char *name) {
  const char *s = getenv(name);
  return s && *s ? s : NULL;
}

static const char *text(const struct holdfast_value *v) { return v->count > 0 && *v->strings[0] ? v->strings[0] : NULL; }

static bool only(const char *s, const char *characters) { return s[strspn(s, characters)] == '\0'; }

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int find_address(struct gcs *t, const char *endpoint) {
  const char *e = endpoint ? endpoint : GCS_GOOGLE;
  const char *host = strncmp(e, "https://", 8) == 0 ? e + 8 : strncmp(e, "http://", 7) == 0 ? e + 7 : NULL;
  if (!host)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint = %s: a URL is wanted, as in https://%s", e, strstr(e, "://") ? "storage.example.com" : e);
  if (strcspn(host, "/") == 0 || !only(host, LETTERS CAPITALS DIGITS "-._~:[]/%"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint = %s: a URL of a host, a port and a path is wanted, without user, query and fragment", e);
  size_t n = strlen(e);
  while (e[n - 1] == '/') n--;
  t->base = strndup(e, n);
  if (!t->base) return hft_no_memory(t->host);
  size_t name = strcspn(host, ":/");
  t->google = name > 15 && strncmp(host + name - 15, ".googleapis.com", 15) == 0;
  if (t->google && strncmp(e, "http:", 5) == 0)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint = %s: Google's service is asked by https:// only, as each request carries a token", e);
  return HOLDFAST_OK;
}

static int check_names(const struct gcs *t) {
  size_t n = strlen(t->bucket);
  if (n < 3 || n > 222 || !only(t->bucket, LETTERS DIGITS "-._") || !strchr(LETTERS DIGITS, t->bucket[0]) || !strchr(LETTERS DIGITS, t->bucket[n - 1]))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "bucket = %s: the name of a bucket is wanted, 3 to 63 of a-z 0-9 - _ .; a folder in it is prefix = ...",
                         t->bucket);
  /* An old project may have a domain before its id, and a colon. */
  if (t->project && !only(t->project, LETTERS DIGITS "-.:"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "project = %s: the id of a project is wanted, as in example-backups-4711", t->project);
  if (t->user_project && !only(t->user_project, LETTERS DIGITS "-.:"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "user-project = %s: the id of a project is wanted, as in example-backups-4711", t->user_project);
  if (t->location && !only(t->location, LETTERS CAPITALS DIGITS "-"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "location = %s: the name of a location is wanted, as in europe-west3 or EU", t->location);
  return HOLDFAST_OK;
}

static int configure_credentials(struct gcs *t, const struct holdfast_value *v, const char *endpoint) {
  static const char *const sources[] = {"auto", "file", "metadata", "anonymous"};
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    if (strcmp(v[GCS_SET_CREDENTIALS].strings[0], sources[i]) == 0) t->source = (enum gcs_source)i;
  t->credentials_file = text(&v[GCS_SET_CREDENTIALS_FILE]);
  if (t->credentials_file && t->source > GCS_FILE)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "credentials-file is set, and credentials = %s", v[GCS_SET_CREDENTIALS].strings[0]);
  if (t->source == GCS_ANONYMOUS && (!endpoint || t->google))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "credentials = anonymous is for emulators: it wants an endpoint that is not Google's");
  return HOLDFAST_OK;
}

static int configure_storing(struct gcs *t, const struct holdfast_value *v) {
  const char *retention = v[GCS_SET_RETENTION].strings[0], *as_of = text(&v[GCS_SET_AS_OF]);
  t->storage_class = text(&v[GCS_SET_STORAGE_CLASS]);
  if (t->storage_class && !only(t->storage_class, CAPITALS DIGITS "_"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "storage-class = %s: a name in capital letters is wanted, as in NEARLINE", t->storage_class);
  t->kms_key = text(&v[GCS_SET_KMS_KEY]);
  if (t->kms_key && (strncmp(t->kms_key, "projects/", 9) != 0 || !strstr(t->kms_key, "/cryptoKeys/")))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "kms-key = %s: wanted is projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY", t->kms_key);
  t->mode = strcmp(retention, "locked") == 0 ? "Locked" : strcmp(retention, "unlocked") == 0 ? "Unlocked" : NULL;
  t->retain = v[GCS_SET_RETAIN].count ? v[GCS_SET_RETAIN].number : 0;
  if (t->mode && t->retain < 1)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "object-retention = %s wants retain, as in retain = 30d", retention);
  if (!t->mode && t->retain) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "retain is of use with object-retention only");
  if (t->retain > 100LL * 365 * 86400) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "retain: the service protects for 100 years at most");
  if (as_of && !hft_time_parse(as_of, &t->as_of))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "as-of = %s: a time in UTC is wanted, as in 2026-11-20T12:00:00Z", as_of);
  return HOLDFAST_OK;
}

static int configure(struct gcs *t, const struct holdfast_value *v) {
  const char *endpoint = text(&v[GCS_SET_ENDPOINT]);
  int64_t connections = v[GCS_SET_CONNECTIONS].number, stall = v[GCS_SET_STALL].number, least = v[GCS_SET_RESUMABLE_MIN].number;
  t->bucket = v[GCS_SET_BUCKET].strings[0];
  t->project = text(&v[GCS_SET_PROJECT]);
  t->location = text(&v[GCS_SET_LOCATION]);
  t->user_project = text(&v[GCS_SET_USER_PROJECT]);
  if (connections < 1 || connections > GCS_TRIES)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "connections = %lld: 1 to 64 is wanted", (long long)connections);
  if (stall < 1 || stall > 3600) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "stall-timeout: 1s to 1h is wanted");
  if (least < RESUMABLE_LEAST || least > RESUMABLE_MOST) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "resumable-min: 256K to 64M is wanted");
  t->connections = (uint32_t)connections;
  t->resumable_min = (uint64_t)least;
  int status = find_address(t, endpoint);
  if (status == HOLDFAST_OK) status = check_names(t);
  if (status == HOLDFAST_OK) status = configure_credentials(t, v, endpoint);
  if (status == HOLDFAST_OK) status = configure_storing(t, v);
  if (status != HOLDFAST_OK) return status;
  const struct hft_http_options o = {.connections = t->connections, .stall_timeout = (unsigned)stall};
  return hft_http_new(t->host, &o, &t->http);
}

int hf_gcs_new(const struct holdfast_host *host, const struct holdfast_value *values, struct gcs **out) {
  struct gcs *t = calloc(1, sizeof *t);
  if (!t) return hft_no_memory(host);
  t->host = host;
  pthread_mutex_init(&t->lock, NULL);
  hft_token_init(&t->token, host, hf_gcs_fetch_token, t);
  int status = configure(t, values);
  if (status != HOLDFAST_OK) {
    hf_gcs_free(t);
    return status;
  }
  *out = t;
  return HOLDFAST_OK;
}
