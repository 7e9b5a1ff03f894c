/* connection.c - connection strings: "DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net".
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure.h"

/* Public: every installation of the emulator has it. */
#define EMULATOR_KEY "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define EMULATOR_ENDPOINT "http://127.0.0.1:10000/" AZURE_EMULATOR_ACCOUNT

static void wipe(char **s) {
  if (*s) explicit_bzero(*s, strlen(*s));
  free(*s);
  *s = NULL;
}

void hf_azure_connection_free(struct azure_connection *c) {
  wipe(&c->protocol);
  wipe(&c->account);
  wipe(&c->key);
  wipe(&c->suffix);
  wipe(&c->endpoint);
  wipe(&c->sas);
}

static bool is(const char *name, size_t n, const char *wanted) {
  return strlen(wanted) == n && strncasecmp(name, wanted, n) == 0;
}

/* Those of the other services say nothing about blobs. */
static bool of_others(const char *name, size_t n) {
  static const char *const names[] = {"QueueEndpoint",         "TableEndpoint",          "FileEndpoint",
                                      "BlobSecondaryEndpoint", "QueueSecondaryEndpoint", "TableSecondaryEndpoint",
                                      "FileSecondaryEndpoint"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (is(name, n, names[i])) return true;
  return false;
}

/* Where the value of a name belongs, or NULL. */
static char **place_of(struct azure_connection *c, const char *name, size_t n) {
  return is(name, n, "DefaultEndpointsProtocol") ? &c->protocol
         : is(name, n, "AccountName")            ? &c->account
         : is(name, n, "AccountKey")             ? &c->key
         : is(name, n, "EndpointSuffix")         ? &c->suffix
         : is(name, n, "BlobEndpoint")           ? &c->endpoint
         : is(name, n, "SharedAccessSignature")  ? &c->sas
                                                 : NULL;
}

static bool emulator(struct azure_connection *c) {
  return (c->account || (c->account = strdup(AZURE_EMULATOR_ACCOUNT))) && (c->key || (c->key = strdup(EMULATOR_KEY))) &&
         (c->endpoint || (c->endpoint = strdup(EMULATOR_ENDPOINT)));
}

bool hf_azure_connection_read(const char *text, struct azure_connection *out, char *why, size_t cap) {
  bool development = false;
  size_t part = 0;
  *out = (struct azure_connection){0};
  why[0] = '\0';
  for (const char *p = text; *p;) {
    size_t len = strcspn(p, ";\r\n"), n = strcspn(p, "=;\r\n");
    char shown[40];
    part += len > 0;
    size_t letters = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    if (len > 0 && (n == len || n == 0 || letters != n || n >= sizeof shown)) {
      /* What has no name may be a value, even a key with its padding, and is not shown. */
      snprintf(why, cap, "its part %zu is no NAME=VALUE", part);
      return false;
    }
    snprintf(shown, sizeof shown, "%.*s", (int)(len ? n : 0), p);
    char **place = len ? place_of(out, p, n) : NULL;
    if (place && *place) {
      snprintf(why, cap, "%s is there twice", shown);
      return false;
    }
    if (place && !(*place = strndup(p + n + 1, len - n - 1))) {
      snprintf(why, cap, "out of memory");
      return false;
    }
    if (len && is(p, n, "UseDevelopmentStorage")) {
      development = len - n - 1 == 4 && strncasecmp(p + n + 1, "true", 4) == 0;
    } else if (len && !place && !of_others(p, n)) {
      snprintf(why, cap, "%s is no name that is known there", shown);
      return false;
    }
    p += len;
    if (*p) p++;
  }
  if (development && !emulator(out))
    snprintf(why, cap, "out of memory");
  else if (!out->account && !out->endpoint)
    snprintf(why, cap, "it has neither AccountName nor BlobEndpoint");
  else if (!out->key && !out->sas)
    snprintf(why, cap, "it has neither AccountKey nor SharedAccessSignature");
  else if (out->key && out->sas)
    snprintf(why, cap, "it has both AccountKey and SharedAccessSignature");
  else if (out->protocol && strcasecmp(out->protocol, "https") != 0 && strcasecmp(out->protocol, "http") != 0)
    snprintf(why, cap, "DefaultEndpointsProtocol is neither https nor http");
  return !*why;
}
