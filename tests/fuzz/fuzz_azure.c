/* fuzz_azure.c - fuzz target: what the Blob service and its surroundings answer: listings, errors, refused tokens; connection strings; base64.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says which reader gets the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "../../targets/azure/azure.h"
#include "fuzz.h"

static void must(bool ok) {
  if (!ok) __builtin_trap();
}

static void listing(const char *p, size_t n) {
  struct azure_page page;
  char why[200] = "";
  int bad = hf_azure_page_read(p, n, &page, why, sizeof why);
  must(bad ? *why != '\0' : !page.next || *page.next);
  for (size_t i = 0; i < page.n; i++) must(page.v[i].key != NULL);
  hf_azure_page_free(&page);
}

static void error(const char *p, size_t n) {
  struct azure_error e;
  const char *hint;
  hf_azure_error_read(p, n, NULL, &e);
  must(hf_azure_class(500, e.code, &hint) < 0);
  for (const char *c = e.message; *c; c++) must((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void connection(const char *text) {
  struct azure_connection c;
  char why[120];
  bool good = hf_azure_connection_read(text, &c, why, sizeof why);
  must(good ? (c.account || c.endpoint) && !c.key != !c.sas : *why != '\0');
  hf_azure_connection_free(&c);
}

static void token(const char *p, size_t n) {
  struct azure_refusal r;
  char *token;
  int64_t expires;
  const char *why;
  hf_azure_refusal_read(p, n, &r);
  for (const char *c = r.message; *c; c++) must((unsigned char)*c >= ' ' && *c != 0x7f);
  if (!hft_token_json(p, n, 1000, &token, &expires, &why)) return;
  must(*token && (expires == 0 || expires > 1000));
  hft_token_free(token);
}

static void base64(const char *text) {
  unsigned char out[32];
  char again[HFT_BASE64];
  size_t n;
  if (!hft_unbase64(text, out, sizeof out, &n)) return;
  hft_base64(out, n, again);
  must(strlen(again) == strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (n == 0) return 0;
  const char *p = (const char *)data + 1;
  char *text = strndup(p, --n);
  must(text != NULL);
  switch (data[0]) {
  case 'l': listing(p, n); break;
  case 'e': error(p, n); break;
  case 'c': connection(text); break;
  case 't': token(p, n); break;
  default: base64(text);
  }
  free(text);
  return 0;
}
