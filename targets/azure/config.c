/* config.c - the settings of the azure target, and the container's address.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure.h"

const struct holdfast_setting hf_azure_settings[] = {
    [AZURE_SET_CONTAINER] = {"container", HOLDFAST_STRING, HOLDFAST_REQUIRED, NULL, NULL, "The container that holds the objects"},
    [AZURE_SET_ACCOUNT] = {"account", HOLDFAST_STRING, 0, NULL, NULL, "The storage account"},
    [AZURE_SET_ENDPOINT] = {"endpoint", HOLDFAST_STRING, 0, NULL, NULL,
                            "The URL of the Blob service, where it is not that of Azure's public cloud"},
    [AZURE_SET_API_VERSION] = {"api-version", HOLDFAST_STRING, 0, "2021-12-02", NULL, "The version of the service's interface"},
    [AZURE_SET_CONNECTIONS] = {"connections", HOLDFAST_INT, 0, "8", NULL, "How many objects are written or read at once"},
    [AZURE_SET_STALL] = {"stall-timeout", HOLDFAST_DURATION, 0, "60s", NULL,
                         "Give up a request on which nothing moves for this long"},
    [AZURE_SET_CREDENTIALS] = {"credentials", HOLDFAST_CHOICE, 0, "auto",
                               "auto|manifest|environment|service-principal|workload-identity|managed-identity",
                               "Where the proof of who is asking comes from"},
    [AZURE_SET_ACCOUNT_KEY] = {"account-key", HOLDFAST_SECRET, 0, NULL, NULL, "A key of the account"},
    [AZURE_SET_SAS_TOKEN] = {"sas-token", HOLDFAST_SECRET, 0, NULL, NULL, "A shared access signature"},
    [AZURE_SET_CONNECTION_STRING] = {"connection-string", HOLDFAST_SECRET, 0, NULL, NULL,
                                     "Account, endpoint and key or signature in one text"},
    [AZURE_SET_TENANT_ID] = {"tenant-id", HOLDFAST_STRING, 0, NULL, NULL,
                             "The tenant of a service principal or workload identity"},
    [AZURE_SET_CLIENT_ID] = {"client-id", HOLDFAST_STRING, 0, NULL, NULL,
                             "The application, or the managed identity where there are several"},
    [AZURE_SET_CLIENT_SECRET] = {"client-secret", HOLDFAST_SECRET, 0, NULL, NULL, "The secret of a service principal"},
    [AZURE_SET_AUTHORITY_HOST] = {"authority-host", HOLDFAST_STRING, 0, NULL, NULL,
                                  "The URL of the service that hands out tokens"},
    [AZURE_SET_TIER] = {"tier", HOLDFAST_CHOICE, 0, "account", "account|hot|cool|cold|archive", "The access tier of packs"},
    [AZURE_SET_TIER_MIN] = {"tier-min", HOLDFAST_SIZE, 0, "128K", NULL, "Smaller packs stay in the account's own tier"},
    [AZURE_SET_CHECKSUM] = {"checksum", HOLDFAST_CHOICE, 0, "md5", "md5|crc64",
                            "What the service checks the bytes against that arrive"},
    [AZURE_SET_PUT_MAX] = {"put-max", HOLDFAST_SIZE, 0, "64M", NULL, "Larger objects are sent as blocks"},
    [AZURE_SET_BLOCK_SIZE] = {"block-size", HOLDFAST_SIZE, 0, "16M", NULL, "The size of these blocks"},
    [AZURE_SET_IMMUTABILITY] = {"immutability", HOLDFAST_CHOICE, 0, "none", "none|unlocked|locked",
                                "Protect each object by an immutability policy"},
    [AZURE_SET_RETAIN] = {"retain", HOLDFAST_DURATION, 0, NULL, NULL, "For how long immutability protects"},
    [AZURE_SET_ENCRYPTION_SCOPE] = {"encryption-scope", HOLDFAST_STRING, 0, NULL, NULL,
                                    "The account's encryption scope to write with"},
    [AZURE_SET_ENCRYPTION_KEY] = {"encryption-key", HOLDFAST_SECRET, 0, NULL, NULL,
                                  "A customer-provided key for the encryption by the service"},
    [AZURE_SET_THAW] = {"thaw", HOLDFAST_CHOICE, 0, "no", "no|standard|high",
                        "Ask for archived objects that are read to be brought back"},
    [AZURE_SET_THAW_TIER] = {"thaw-tier", HOLDFAST_CHOICE, 0, "hot", "hot|cool|cold", "The tier they are brought back to"},
    [AZURE_SET_AS_OF] = {"as-of", HOLDFAST_STRING, 0, NULL, NULL,
                         "Read a versioned container as it was at this time, and write nothing"},
    {NULL, 0, 0, NULL, NULL, NULL},
};

void hf_azure_free(struct azure *t) {
  if (!t) return;
  hft_http_free(t->http);
  hft_token_clear(&t->token);
  hf_azure_lost_free(t);
  pthread_mutex_destroy(&t->lock);
  explicit_bzero(t->key, sizeof t->key);
  hft_token_free(t->sas);
  hft_token_free(t->customer_key);
  free(t->container);
  free(t->account);
  free(t->endpoint);
  free(t->url);
  free(t->name);
  free(t);
}

static bool only(const char *s, const char *characters) { return s[strspn(s, characters)] == '\0'; }

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int check_names(const struct azure *t) {
  const char *c = t->container;
  size_t n = strlen(c);
  if (n < 3 || n > 63 || !only(c, LETTERS DIGITS "-") || c[0] == '-' || c[n - 1] == '-' || strstr(c, "--"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "container = %s: the name of a container is wanted, 3 to 63 of a-z 0-9 and single hyphens between them; "
                         "a folder in it is prefix = ...",
                         c);
  if (t->account && (!*t->account || strlen(t->account) > 63 || !only(t->account, LETTERS DIGITS "-")))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "account = %s: the name of a storage account is wanted, 3 to 24 of a-z 0-9",
                         t->account);
  return HOLDFAST_OK;
}

/* The account that an endpoint is of: the first label of ACCOUNT.blob.SUFFIX, else the first part of the path. */
static char *account_of(const char *host) {
  size_t label = strcspn(host, "./:"), path = strcspn(host, "/");
  if (strncmp(host + label, ".blob.", 6) == 0) return strndup(host, label);
  if (!host[path] || !host[path + 1]) return NULL;
  return strndup(host + path + 1, strcspn(host + path + 1, "/"));
}

/* endpoint, account, url and name, from what is set of the first two. */
static int make_address(struct azure *t) {
  struct hft_buf url = {0};
  if (!t->endpoint) {
    if (!t->account) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "account is missing: the name of the storage account");
    hft_addf(&url, "https://%s.blob.core.windows.net", t->account);
    if (url.bad) return hft_no_memory(t->host);
    t->endpoint = url.data;
    url = (struct hft_buf){0};
  }
  char *e = t->endpoint;
  int shown = (int)strcspn(e, "?@"); /* what follows may be a signature */
  const char *host = strncmp(e, "https://", 8) == 0 ? e + 8 : strncmp(e, "http://", 7) == 0 ? e + 7 : NULL;
  if (!host)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint = %.*s: a URL is wanted, as in https://%.*s", shown, e, shown,
                         strstr(e, "://") ? "ACCOUNT.blob.core.windows.net" : e);
  if (strcspn(host, "/") == 0 || !only(host, LETTERS CAPITALS DIGITS "-._~:[]/%"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "endpoint: a URL of a host, a port and a path is wanted, without user, query and fragment");
  for (size_t n = strlen(e); n > 0 && e[n - 1] == '/'; n--) e[n - 1] = '\0';
  if (!t->account) t->account = account_of(host);
  if (!t->account)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "endpoint = %s: it does not name the account: set account, or name it as in %s/%s", e, e,
                         AZURE_EMULATOR_ACCOUNT);
  t->name = strndup(host, strcspn(host, "/"));
  hft_addf(&url, "%s/%s", e, t->container);
  t->url = url.data;
  t->path_at = (size_t)(host - e) + strcspn(host, "/");
  return t->name && !url.bad ? check_names(t) : hft_no_memory(t->host);
}

/* What only newer versions of the interface have. Their names are dates, which sort. */
static int check_version(const struct azure *t) {
  const char *v = t->version;
  int y, m, d, end = 0;
  if (sscanf(v, "%4d-%2d-%2d%n", &y, &m, &d, &end) != 3 || end != 10 || v[10])
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "api-version = %s: a date is wanted, as in 2021-12-02", v);
  const struct {
    const char *since, *what;
    bool used;
  } rules[] = {{"2016-05-31", "holdfast", true},
               {"2019-12-12", "as-of", t->as_of != 0},
               {"2019-12-12", "put-max over 256M", t->put_max > 256u << 20},
               {"2019-07-07", "encryption-scope", t->scope != NULL},
               {"2019-02-02", "encryption-key", t->customer_key != NULL},
               {"2019-02-02", "checksum = crc64", t->checksum == AZURE_CRC64},
               {"2020-06-12", "immutability", t->immutability != NULL},
               {"2018-11-09", "tier", t->tier != NULL},
               {"2021-12-02", "the tier cold",
                (t->tier && strcmp(t->tier, "Cold") == 0) || (t->thaw && strcmp(t->thaw_tier, "Cold") == 0)}};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].used && strcmp(v, rules[i].since) < 0)
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "api-version = %s: %s needs %s or a later one", v, rules[i].what,
                           rules[i].since);
  return HOLDFAST_OK;
}

static int configure_encryption(struct azure *t, const struct holdfast_value *v) {
  const char *key = hf_azure_text(&v[AZURE_SET_ENCRYPTION_KEY]);
  unsigned char raw[33], sum[HFT_SHA256];
  size_t n = 0;
  t->scope = hf_azure_text(&v[AZURE_SET_ENCRYPTION_SCOPE]);
  if (t->scope && !only(t->scope, LETTERS CAPITALS DIGITS "-_"))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "encryption-scope = %s: the name of an encryption scope is wanted",
                         t->scope);
  if (!key) return HOLDFAST_OK;
  if (t->scope) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "encryption-key and encryption-scope do not go together");
  bool good = hft_unbase64(key, raw, sizeof raw, &n) && n == 32, hashed = good && hft_sha256(raw, n, sum);
  explicit_bzero(raw, sizeof raw);
  if (!good)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "encryption-key: 32 bytes in base64 are wanted, as `openssl rand -base64 32' makes them");
  t->customer_key = strdup(key);
  if (!hashed || !t->customer_key) return hft_no_memory(t->host);
  hft_base64(sum, sizeof sum, t->customer_key_sha256);
  return HOLDFAST_OK;
}

/* The header's value for a choice in lower case. */
static const char *capital(const char *choice) {
  static const char *const values[] = {"Hot", "Cool", "Cold", "Archive", "Unlocked", "Locked", "Standard", "High"};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    if ((values[i][0] | 32) == choice[0] && strcmp(values[i] + 1, choice + 1) == 0) return values[i];
  return NULL; /* "account", "none", "no" */
}

static int configure_storing(struct azure *t, const struct holdfast_value *v) {
  const char *as_of = hf_azure_text(&v[AZURE_SET_AS_OF]);
  int64_t put_max = v[AZURE_SET_PUT_MAX].number, block = v[AZURE_SET_BLOCK_SIZE].number;
  t->tier = capital(v[AZURE_SET_TIER].strings[0]);
  t->tier_min = v[AZURE_SET_TIER_MIN].number;
  t->checksum = strcmp(v[AZURE_SET_CHECKSUM].strings[0], "crc64") == 0 ? AZURE_CRC64 : AZURE_MD5;
  t->immutability = capital(v[AZURE_SET_IMMUTABILITY].strings[0]);
  t->retain = v[AZURE_SET_RETAIN].count ? v[AZURE_SET_RETAIN].number : 0;
  t->thaw = capital(v[AZURE_SET_THAW].strings[0]);
  t->thaw_tier = capital(v[AZURE_SET_THAW_TIER].strings[0]);
  t->put_max = (uint64_t)put_max;
  t->block_size = (uint64_t)block;
  if (put_max < 1 || put_max > (int64_t)HOLDFAST_OBJECT_MAX)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "put-max: 1 to 512M is wanted");
  if (block < 64 << 10 || block > 100 << 20)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "block-size: 64K to 100M is wanted");
  if (t->immutability && t->retain < 1)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "immutability = %s wants retain, as in retain = 30d",
                         v[AZURE_SET_IMMUTABILITY].strings[0]);
  if (!t->immutability && t->retain) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "retain is of use with immutability only");
  if (t->retain > 146000LL * 86400)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "retain: the service protects for 146000 days at most");
  if (as_of && !hft_time_parse(as_of, &t->as_of))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "as-of = %s: a time in UTC is wanted, as in 2026-11-20T12:00:00Z", as_of);
  int status = configure_encryption(t, v);
  return status == HOLDFAST_OK ? check_version(t) : status;
}

static int copy_setting(const struct azure *t, const struct holdfast_value *v, char **out) {
  const char *s = hf_azure_text(v);
  return !s || (*out = strdup(s)) ? HOLDFAST_OK : hft_no_memory(t->host);
}

static int configure(struct azure *t, const struct holdfast_value *v) {
  int64_t connections = v[AZURE_SET_CONNECTIONS].number, stall = v[AZURE_SET_STALL].number;
  t->version = v[AZURE_SET_API_VERSION].strings[0];
  if (connections < 1 || connections > 64)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "connections = %lld: 1 to 64 is wanted", (long long)connections);
  if (stall < 1 || stall > 3600) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "stall-timeout: 1s to 1h is wanted");
  t->connections = (uint32_t)connections;
  int status = copy_setting(t, &v[AZURE_SET_CONTAINER], &t->container);
  if (status == HOLDFAST_OK) status = copy_setting(t, &v[AZURE_SET_ACCOUNT], &t->account);
  if (status == HOLDFAST_OK) status = copy_setting(t, &v[AZURE_SET_ENDPOINT], &t->endpoint);
  if (status == HOLDFAST_OK) status = check_names(t);
  if (status == HOLDFAST_OK) status = configure_storing(t, v);
  if (status == HOLDFAST_OK) status = hf_azure_credentials(t, v);
  if (status == HOLDFAST_OK) status = make_address(t);
  if (status != HOLDFAST_OK) return status;
  if ((t->proof != AZURE_PROOF_KEY || t->customer_key) && !hf_azure_safe_url(t->endpoint))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint: https is wanted: %s would travel in the clear",
                         t->customer_key               ? "encryption-key"
                         : t->proof == AZURE_PROOF_SAS ? "the SAS token"
                                                       : "the identity's token");
  struct hft_http_options o = {.connections = t->connections, .stall_timeout = (unsigned)stall};
  return hft_http_new(t->host, &o, &t->http);
}

int hf_azure_new(const struct holdfast_host *host, const struct holdfast_value *values, struct azure **out) {
  struct azure *t = calloc(1, sizeof *t);
  if (!t) return holdfast_fail(host, HOLDFAST_E_TRANSIENT, "out of memory");
  t->host = host;
  pthread_mutex_init(&t->lock, NULL);
  int status = configure(t, values);
  if (status != HOLDFAST_OK) {
    hf_azure_free(t);
    return status;
  }
  *out = t;
  return HOLDFAST_OK;
}
