/* config.c - the settings of the s3 target, and the bucket's address.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

const struct holdfast_setting hf_s3_settings[] = {
    [S3_SET_BUCKET] = {"bucket", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "The bucket that holds the objects"},
    [S3_SET_REGION] = {"region", HOLDFAST_STRING, 0, NULL, NULL, "The region the bucket is in"},
    [S3_SET_ENDPOINT] = {"endpoint", HOLDFAST_STRING, 0, NULL, NULL, "The URL of the service, where it is not Amazon's"},
    [S3_SET_PATH_STYLE] = {"path-style", HOLDFAST_CHOICE, 0, "auto", "auto|yes|no", "Whether the bucket is named in the path and not in the host name"},
    [S3_SET_CREDENTIALS] = {"credentials", HOLDFAST_CHOICE, 0, "auto", "auto|manifest|environment|file|web-identity|container|instance",
                            "Where the access key comes from"},
    [S3_SET_ACCESS_KEY] = {"access-key", HOLDFAST_STRING, 0, NULL, NULL, "The access key id"},
    [S3_SET_SECRET_KEY] = {"secret-key", HOLDFAST_SECRET, 0, NULL, NULL, "The secret access key"},
    [S3_SET_SESSION_TOKEN] = {"session-token", HOLDFAST_SECRET, 0, NULL, NULL, "The session token that belongs to a temporary access key"},
    [S3_SET_PROFILE] = {"profile", HOLDFAST_STRING, 0, NULL, NULL, "The profile of the shared files"},
    [S3_SET_CREDENTIALS_FILE] = {"credentials-file", HOLDFAST_PATH, 0, NULL, NULL, "The shared credentials file"},
    [S3_SET_CONFIG_FILE] = {"config-file", HOLDFAST_PATH, 0, NULL, NULL, "The shared config file"},
    [S3_SET_STORAGE_CLASS] = {"storage-class", HOLDFAST_STRING, 0, NULL, NULL, "The storage class of packs"},
    [S3_SET_STORAGE_MIN] = {"storage-class-min", HOLDFAST_SIZE, 0, "128K", NULL, "Smaller packs stay in the bucket's own storage class"},
    [S3_SET_SSE] = {"sse", HOLDFAST_CHOICE, 0, "none", "none|s3|kms", "Encryption by the server, beside holdfast's own"},
    [S3_SET_KMS_KEY] = {"sse-kms-key", HOLDFAST_STRING, 0, NULL, NULL, "The key of sse = kms, where it is not the account's default"},
    [S3_SET_LOCK] = {"object-lock", HOLDFAST_CHOICE, 0, "none", "none|governance|compliance", "Lock each object against deletion"},
    [S3_SET_RETAIN] = {"retain", HOLDFAST_DURATION, 0, NULL, NULL, "For how long object-lock locks"},
    [S3_SET_CREATE_ONLY] = {"create-only", HOLDFAST_BOOL, 0, "yes", NULL, "Whether the service does conditional writes"},
    [S3_SET_CHECKSUM] = {"checksum", HOLDFAST_BOOL, 0, "yes", NULL, "Whether to send x-amz-checksum-sha256"},
    [S3_SET_REQUESTER_PAYS] = {"requester-pays", HOLDFAST_BOOL, 0, "no", NULL, "Agree to be charged for requests to another's bucket"},
    [S3_SET_THAW] = {"thaw", HOLDFAST_CHOICE, 0, "no", "no|bulk|standard|expedited", "Ask for archived objects that are read to be brought back"},
    [S3_SET_THAW_DAYS] = {"thaw-days", HOLDFAST_INT, 0, "7", NULL, "For how many days they are brought back"},
    [S3_SET_AS_OF] = {"as-of", HOLDFAST_STRING, 0, NULL, NULL, "Read a versioned bucket as it was at this time, and write nothing"},
    [S3_SET_CONNECTIONS] = {"connections", HOLDFAST_INT, 0, "8", NULL, "How many objects are written or read at once"},
    [S3_SET_STALL] = {"stall-timeout", HOLDFAST_DURATION, 0, "60s", NULL, "Give up a request on which nothing moves for this long"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

void hf_s3_free(struct s3 *t) {
  if (!t) return;
  hft_http_free(t->http);
  hf_s3_key_free(&t->key);
  pthread_mutex_destroy(&t->lock);
  free(t->bucket);
  free(t->region);
  free(t->endpoint);
  free(t->url);
  free(t->name);
  free(t);
}

static const char *text(const struct holdfast_value *v) { return v->count > 0 && *v->strings[0] ? v->strings[0] : NULL; }

static bool only(const char *s, const char *characters) { return s[strspn(s, characters)] == '\0'; }

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* May the bucket stand in a host name? Those with periods would not match a certificate. */
static bool host_like(const char *bucket) {
  size_t n = strlen(bucket);
  return n >= 3 && n <= 63 && only(bucket, LETTERS DIGITS "-") && bucket[0] != '-' && bucket[n - 1] != '-';
}

static bool is_amazon(const char *host) {
  size_t n = strcspn(host, ":/");
  return (n > 14 && strncmp(host + n - 14, ".amazonaws.com", 14) == 0) || (n > 17 && strncmp(host + n - 17, ".amazonaws.com.cn", 17) == 0);
}

/* "https://host:port/path" to its parts; *rest is the path without slashes at its end. */
static int check_endpoint(const struct s3 *t, const char **host) {
  const char *e = t->endpoint;
  *host = strncmp(e, "https://", 8) == 0 ? e + 8 : strncmp(e, "http://", 7) == 0 ? e + 7 : NULL;
  if (!*host)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint = %s: a URL is wanted, as in https://%s", e, strstr(e, "://") ? "s3.example.com" : e);
  if (strcspn(*host, "/") == 0 || !only(*host, LETTERS CAPITALS DIGITS "-._~:[]/%"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint = %s: a URL of a host, a port and a path is wanted, without user, query and fragment", e);
  return HOLDFAST_OK;
}

int hf_s3_address(struct s3 *t) {
  struct hft_buf amazon = {0}, url = {0}, name = {0};
  const char *host, *scheme;
  if (t->endpoint) {
    int status = check_endpoint(t, &host);
    if (status != HOLDFAST_OK) return status;
    scheme = host - t->endpoint == 8 ? "https" : "http";
  } else {
    hft_addf(&amazon, "s3.%s.amazonaws.com%s", t->region, strncmp(t->region, "cn-", 3) == 0 ? ".cn" : "");
    host = hft_text(&amazon);
    scheme = "https";
  }
  bool path = t->path_style == 1 || (t->path_style < 0 && !(is_amazon(host) && host_like(t->bucket)));
  size_t n = strcspn(host, "/"), rest = strlen(host);
  while (rest > n && host[rest - 1] == '/') rest--;
  if (!path) hft_addf(&name, "%s.", t->bucket);
  /* A port that goes without saying is not said in the Host header, and what is signed must be what is sent. */
  const char *standard = strcmp(scheme, "https") == 0 ? ":443" : ":80";
  size_t bare = n > strlen(standard) && strncmp(host + n - strlen(standard), standard, strlen(standard)) == 0 ? n - strlen(standard) : n;
  hft_add(&name, host, bare);
  hft_addf(&url, "%s://%s", scheme, hft_text(&name));
  t->path_at = url.len;
  hft_add(&url, host + n, rest - n);
  if (path) hft_addf(&url, "/%s", t->bucket);
  bool bad = amazon.bad || url.bad || name.bad;
  hft_buf_free(&amazon);
  if (bad) {
    hft_buf_free(&url);
    hft_buf_free(&name);
    return hft_no_memory(t->host);
  }
  free(t->url);
  free(t->name);
  t->url = url.data;
  t->name = name.data;
  return HOLDFAST_OK;
}

/* The name of the bucket, in the looser form that old buckets of Amazon and other services have. */
static int check_names(const struct s3 *t) {
  size_t n = strlen(t->bucket);
  if (n < 3 || n > 255 || !only(t->bucket, LETTERS CAPITALS DIGITS "-._") || strcmp(t->bucket, "...") == 0 || t->bucket[0] == '.')
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "bucket = %s: the name of a bucket is wanted, 3 to 63 of a-z 0-9 - .; a folder in it is prefix = ...",
                         t->bucket);
  if (t->path_style == 0 && !host_like(t->bucket))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "path-style = no: the bucket %s cannot stand in a host name", t->bucket);
  if (!*t->region || strlen(t->region) > 63 || !only(t->region, LETTERS CAPITALS DIGITS "-_"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "region = %s: the name of a region is wanted, as in eu-central-1", t->region);
  return HOLDFAST_OK;
}

/* Keys and where they come from. */
static int configure_keys(struct s3 *t, const struct holdfast_value *v) {
  static const char *const sources[] = {"auto", "manifest", "environment", "file", "web-identity", "container", "instance"};
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    if (strcmp(v[S3_SET_CREDENTIALS].strings[0], sources[i]) == 0) t->source = (enum s3_source)i;
  t->set_access = text(&v[S3_SET_ACCESS_KEY]);
  t->set_secret = text(&v[S3_SET_SECRET_KEY]);
  t->set_token = text(&v[S3_SET_SESSION_TOKEN]);
  t->profile = text(&v[S3_SET_PROFILE]);
  t->credentials_file = text(&v[S3_SET_CREDENTIALS_FILE]);
  t->config_file = text(&v[S3_SET_CONFIG_FILE]);
  if (!t->set_access != !t->set_secret)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s is set without %s", t->set_access ? "access-key" : "secret-key",
                         t->set_access ? "secret-key" : "access-key");
  if (t->set_token && !t->set_access) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "session-token is set without access-key and secret-key");
  if (t->source == S3_MANIFEST && !t->set_access)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "credentials = manifest wants access-key and secret-key");
  if (t->set_access && t->source != S3_AUTO && t->source != S3_MANIFEST)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "access-key is set, and credentials = %s", v[S3_SET_CREDENTIALS].strings[0]);
  if ((t->profile || t->credentials_file || t->config_file) && t->set_access)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "access-key is set, and a profile too");
  return HOLDFAST_OK;
}

static int configure_storing(struct s3 *t, const struct holdfast_value *v) {
  const char *sse = v[S3_SET_SSE].strings[0], *lock = v[S3_SET_LOCK].strings[0], *thaw = v[S3_SET_THAW].strings[0];
  t->storage_class = text(&v[S3_SET_STORAGE_CLASS]);
  t->storage_min = v[S3_SET_STORAGE_MIN].number;
  if (t->storage_class && !only(t->storage_class, CAPITALS DIGITS "_-"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "storage-class = %s: a name in capital letters is wanted, as in STANDARD_IA", t->storage_class);
  t->sse = strcmp(sse, "s3") == 0 ? "AES256" : strcmp(sse, "kms") == 0 ? "aws:kms" : NULL;
  t->kms_key = text(&v[S3_SET_KMS_KEY]);
  if (t->kms_key && strcmp(sse, "kms") != 0) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "sse-kms-key is of use with sse = kms only");
  t->lock_mode = strcmp(lock, "governance") == 0 ? "GOVERNANCE" : strcmp(lock, "compliance") == 0 ? "COMPLIANCE" : NULL;
  t->retain = v[S3_SET_RETAIN].count ? v[S3_SET_RETAIN].number : 0;
  if (t->lock_mode && t->retain < 1)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "object-lock = %s wants retain, as in retain = 30d", lock);
  if (!t->lock_mode && t->retain) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "retain is of use with object-lock only");
  if (t->retain > 100LL * 366 * 86400) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "retain: services lock for 100 years at most");
  t->create_only = v[S3_SET_CREATE_ONLY].number;
  t->checksum = v[S3_SET_CHECKSUM].number;
  t->requester_pays = v[S3_SET_REQUESTER_PAYS].number;
  t->thaw = strcmp(thaw, "bulk") == 0 ? "Bulk" : strcmp(thaw, "standard") == 0 ? "Standard" : strcmp(thaw, "expedited") == 0 ? "Expedited" : NULL;
  t->thaw_days = v[S3_SET_THAW_DAYS].number;
  if (t->thaw_days < 1 || t->thaw_days > 3650)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "thaw-days = %lld: 1 to 3650 is wanted", (long long)t->thaw_days);
  const char *as_of = text(&v[S3_SET_AS_OF]);
  if (as_of && !hft_time_parse(as_of, &t->as_of))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "as-of = %s: a time in UTC is wanted, as in 2026-11-20T12:00:00Z", as_of);
  return HOLDFAST_OK;
}

/* The region, from the first that names one. A profile is looked at only when keys may come from there. */
static int find_region(struct s3 *t, const struct holdfast_value *v) {
  struct s3_profile p = {0};
  const char *region = text(&v[S3_SET_REGION]);
  if (!region) region = getenv("AWS_REGION");
  if (!region || !*region) region = getenv("AWS_DEFAULT_REGION");
  if ((!region || !*region) && !t->set_access && (t->source == S3_AUTO || t->source == S3_FILE)) {
    int status = hf_s3_profile_load(t, &p);
    if (status != HOLDFAST_OK) return status;
    region = p.region;
  }
  t->region_known = region && *region;
  t->region = strdup(t->region_known ? region : "us-east-1");
  hf_s3_profile_free(&p);
  return t->region ? HOLDFAST_OK : hft_no_memory(t->host);
}

static int configure(struct s3 *t, const struct holdfast_value *v) {
  const char *endpoint = text(&v[S3_SET_ENDPOINT]), *style = v[S3_SET_PATH_STYLE].strings[0];
  int64_t connections = v[S3_SET_CONNECTIONS].number, stall = v[S3_SET_STALL].number;
  t->bucket = strdup(v[S3_SET_BUCKET].strings[0]);
  t->endpoint = endpoint ? strdup(endpoint) : NULL;
  if (!t->bucket || (endpoint && !t->endpoint)) return hft_no_memory(t->host);
  t->path_style = strcmp(style, "yes") == 0 ? 1 : strcmp(style, "no") == 0 ? 0 : -1;
  if (connections < 1 || connections > 64)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "connections = %lld: 1 to 64 is wanted", (long long)connections);
  if (stall < 1 || stall > 3600) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "stall-timeout: 1s to 1h is wanted");
  t->connections = (uint32_t)connections;
  int status = configure_keys(t, v);
  if (status == HOLDFAST_OK) status = configure_storing(t, v);
  if (status == HOLDFAST_OK) status = find_region(t, v);
  if (status == HOLDFAST_OK) status = check_names(t);
  if (status == HOLDFAST_OK) status = hf_s3_address(t);
  if (status != HOLDFAST_OK) return status;
  /* Amazon's tools know this variable. */
  const char *ca = getenv("AWS_CA_BUNDLE");
  struct hft_http_options o = {.connections = t->connections, .stall_timeout = (unsigned)stall, .ca_file = ca && *ca ? ca : NULL};
  return hft_http_new(t->host, &o, &t->http);
}

int hf_s3_new(const struct holdfast_host *host, const struct holdfast_value *values, struct s3 **out) {
  struct s3 *t = calloc(1, sizeof *t);
  if (!t) return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  t->host = host;
  pthread_mutex_init(&t->lock, NULL);
  int status = configure(t, values);
  if (status != HOLDFAST_OK) {
    hf_s3_free(t);
    return status;
  }
  *out = t;
  return HOLDFAST_OK;
}
