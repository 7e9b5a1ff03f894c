/* credentials.c - which proof of who is asking is used, and where it comes from.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order of "auto": a key, signature or connection string of the manifest; a client secret of the manifest; the environment's connection string, key,
 * signature; its client secret; its workload identity; the managed identity of the machine. The first that has anything to say decides: what it gets
 * wrong is an error, and no reason to try the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure.h"

#define PUBLIC_AUTHORITY "https://login.microsoftonline.com"

const char *hf_azure_text(const struct holdfast_value *v) { return v->count > 0 && *v->strings[0] ? v->strings[0] : NULL; }

const char *hf_azure_env(const char *name) {
  const char *s = getenv(name);
  return s && *s ? s : NULL;
}

bool hf_azure_safe_url(const char *url) {
  static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
  if (strncmp(url, "https://", 8) == 0) return true;
  if (strncmp(url, "http://", 7) != 0) return false;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
    size_t n = strlen(hosts[i]);
    if (strncmp(url + 7, hosts[i], n) == 0 && (url[7 + n] == '/' || url[7 + n] == ':' || url[7 + n] == '\0') && !strchr(url, '@'))
      return true;
  }
  return false;
}

/* where: the setting or variable, for messages. */
static int use_key(struct azure *t, const char *where, const char *base64) {
  if (!hft_unbase64(base64, t->key, sizeof t->key, &t->key_n) || t->key_n == 0)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "%s: an account's key is wanted, in base64: 88 characters that end in ==", where);
  t->proof = AZURE_PROOF_KEY;
  return HOLDFAST_OK;
}

static int use_sas(struct azure *t, const char *where, const char *sas) {
  if (*sas == '?') sas++;
  /* Those of a URL, percent-encoded, as all tools print them. */
  bool clean = sas[strspn(sas, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%&=-._~:+/,!*'()")] == '\0';
  if (!clean || !(strncmp(sas, "sig=", 4) == 0 || strstr(sas, "&sig=")))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "%s: a shared access signature is wanted, as in sv=...&sp=...&sig=..., without the URL before it",
                         where);
  t->sas = strdup(sas);
  t->proof = AZURE_PROOF_SAS;
  return t->sas ? HOLDFAST_OK : hft_no_memory(t->host);
}

/* Account and endpoint of the string are used where the manifest says nothing of them. */
static int use_connection(struct azure *t, const char *where, const char *text) {
  struct azure_connection c;
  struct hft_buf url = {0};
  char why[120];
  int status = HOLDFAST_OK;
  if (!hf_azure_connection_read(text, &c, why, sizeof why)) {
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s cannot be used: %s", where, why);
  } else if (t->account && c.account && strcmp(t->account, c.account) != 0) {
    status =
        holdfast_fail(t->host, HOLDFAST_E_CONFIG, "account = %s, and %s is of the account %.63s", t->account, where, c.account);
  } else {
    status = c.key ? use_key(t, where, c.key) : use_sas(t, where, c.sas);
    if (!c.endpoint && !t->endpoint && c.account) {
      hft_addf(&url, "%s://%s.blob.%s", c.protocol && strcasecmp(c.protocol, "http") == 0 ? "http" : "https", c.account,
               c.suffix ? c.suffix : "core.windows.net");
      c.endpoint = url.data;
    }
    if (!t->account) {
      t->account = c.account;
      c.account = NULL;
    }
    if (!t->endpoint) {
      t->endpoint = c.endpoint;
      c.endpoint = NULL;
    }
    if (status == HOLDFAST_OK && url.bad) status = hft_no_memory(t->host);
  }
  hf_azure_connection_free(&c);
  return status;
}

/* A source that has nothing to say: the next one's turn. */
#define NEXT 1

static int from_manifest(struct azure *t, const struct holdfast_value *v) {
  const char *key = hf_azure_text(&v[AZURE_SET_ACCOUNT_KEY]), *sas = hf_azure_text(&v[AZURE_SET_SAS_TOKEN]);
  const char *string = hf_azure_text(&v[AZURE_SET_CONNECTION_STRING]);
  int n = !!key + !!sas + !!string;
  if (n == 0) return NEXT;
  if (n > 1 || hf_azure_text(&v[AZURE_SET_CLIENT_SECRET]))
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "only one of account-key, sas-token, connection-string and client-secret is wanted");
  if (string && t->endpoint)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "endpoint is set, and connection-string says it too");
  return key   ? use_key(t, "account-key", key)
         : sas ? use_sas(t, "sas-token", sas)
               : use_connection(t, "connection-string", string);
}

/* The variables of Azure's command line tool. */
static int from_environment(struct azure *t, const struct holdfast_value *v) {
  const char *string = hf_azure_env("AZURE_STORAGE_CONNECTION_STRING"), *key = hf_azure_env("AZURE_STORAGE_KEY"),
             *sas = hf_azure_env("AZURE_STORAGE_SAS_TOKEN");
  const char *account = hf_azure_env("AZURE_STORAGE_ACCOUNT");
  (void)v;
  if (!string && !key && !sas) return NEXT;
  if (string) return use_connection(t, "AZURE_STORAGE_CONNECTION_STRING", string);
  if (key && !t->account && !account && !t->endpoint)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG,
                         "the environment has AZURE_STORAGE_KEY without AZURE_STORAGE_ACCOUNT, and account is not set");
  if (key && t->account && account && strcmp(account, t->account) != 0)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "account = %s, and AZURE_STORAGE_KEY is of AZURE_STORAGE_ACCOUNT, %.63s",
                         t->account, account);
  if (!t->account && account && !(t->account = strdup(account))) return hft_no_memory(t->host);
  return key ? use_key(t, "AZURE_STORAGE_KEY", key) : use_sas(t, "AZURE_STORAGE_SAS_TOKEN", sas);
}

/* Where tokens of this cloud come from. */
static const char *authority_of(const struct azure *t) {
  const char *e = t->endpoint ? t->endpoint : "";
  return strstr(e, ".core.chinacloudapi.cn")    ? "https://login.chinacloudapi.cn"
         : strstr(e, ".core.usgovcloudapi.net") ? "https://login.microsoftonline.us"
                                                : PUBLIC_AUTHORITY;
}

static int use_identity(struct azure *t, const struct holdfast_value *v, enum azure_identity identity) {
  const char *what = identity == AZURE_WORKLOAD ? "workload-identity" : "service-principal";
  t->identity = identity;
  t->proof = AZURE_PROOF_TOKEN;
  t->client = hf_azure_text(&v[AZURE_SET_CLIENT_ID]);
  if (!t->client) t->client = hf_azure_env("AZURE_CLIENT_ID");
  if (identity != AZURE_MANAGED) {
    t->tenant = hf_azure_text(&v[AZURE_SET_TENANT_ID]);
    if (!t->tenant) t->tenant = hf_azure_env("AZURE_TENANT_ID");
    t->authority = hf_azure_text(&v[AZURE_SET_AUTHORITY_HOST]);
    if (!t->authority) t->authority = hf_azure_env("AZURE_AUTHORITY_HOST");
    if (!t->authority) t->authority = authority_of(t);
    if (!t->client || !t->tenant)
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "credentials = %s wants %s, and neither the manifest nor %s has it", what,
                           t->client ? "tenant-id" : "client-id", t->client ? "AZURE_TENANT_ID" : "AZURE_CLIENT_ID");
    if (t->tenant[strspn(t->tenant, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")])
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "tenant-id = %s: the id or domain of a tenant is wanted", t->tenant);
    if (!hf_azure_safe_url(t->authority))
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "authority-host = %s: a URL is wanted, as in " PUBLIC_AUTHORITY,
                           t->authority);
  }
  hft_token_init(&t->token, t->host, hf_azure_token_fetch, t);
  return HOLDFAST_OK;
}

static int from_principal(struct azure *t, const struct holdfast_value *v) {
  t->secret = hf_azure_text(&v[AZURE_SET_CLIENT_SECRET]);
  if (!t->secret) t->secret = hf_azure_env("AZURE_CLIENT_SECRET");
  return t->secret ? use_identity(t, v, AZURE_SERVICE_PRINCIPAL) : NEXT;
}

static int from_workload(struct azure *t, const struct holdfast_value *v) {
  t->token_file = hf_azure_env("AZURE_FEDERATED_TOKEN_FILE");
  return t->token_file ? use_identity(t, v, AZURE_WORKLOAD) : NEXT;
}

static int from_managed(struct azure *t, const struct holdfast_value *v) {
  t->automatic = strcmp(v[AZURE_SET_CREDENTIALS].strings[0], "auto") == 0;
  return use_identity(t, v, AZURE_MANAGED);
}

/* In the order of "auto". */
static const struct {
  const char *name;
  int (*find)(struct azure *t, const struct holdfast_value *v);
  const char *absent;
} sources[] = {
    {"manifest", from_manifest, "neither account-key nor sas-token nor connection-string is set"},
    {"environment", from_environment,
     "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY and AZURE_STORAGE_SAS_TOKEN are not in the environment"},
    {"service-principal", from_principal, "neither client-secret is set nor AZURE_CLIENT_SECRET in the environment"},
    {"workload-identity", from_workload, "AZURE_FEDERATED_TOKEN_FILE is not in the environment"},
    {"managed-identity", from_managed, NULL},
};

int hf_azure_credentials(struct azure *t, const struct holdfast_value *v) {
  const char *wanted = v[AZURE_SET_CREDENTIALS].strings[0];
  bool any = strcmp(wanted, "auto") == 0;
  static const int secrets[] = {AZURE_SET_ACCOUNT_KEY, AZURE_SET_SAS_TOKEN, AZURE_SET_CONNECTION_STRING, AZURE_SET_CLIENT_SECRET};
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets && !any; i++)
    if (hf_azure_text(&v[secrets[i]]) &&
        strcmp(wanted, secrets[i] == AZURE_SET_CLIENT_SECRET ? "service-principal" : "manifest") != 0)
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "%s is set, and credentials = %s", v[secrets[i]].name, wanted);
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    if (!any && strcmp(wanted, sources[i].name) != 0) continue;
    /* A secret of the manifest comes before what happens to be in the environment. */
    if (any && sources[i].find == from_environment && hf_azure_text(&v[AZURE_SET_CLIENT_SECRET])) continue;
    int status = sources[i].find(t, v);
    if (status == NEXT && !any)
      return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "credentials = %s: %s", wanted, sources[i].absent);
    if (status != NEXT) return status;
  }
  return holdfast_fail(t->host, HOLDFAST_E_FAILED, "no credentials"); /* the last one always says something */
}
