/* fuzz_gcs.c - fuzz target: what Google Cloud Storage and its surroundings say: listings, objects, errors, credentials, tokens, offsets.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says which reader gets the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "../../targets/gcs/gcs.h"
#include "fuzz.h"

static void must(bool ok) {
  if (!ok) __builtin_trap();
}

static void page(const char *p, size_t n, bool versions) {
  struct gcs_page page;
  const char *why;
  int bad = hf_gcs_page_read(p, n, versions, &page, &why);
  must(bad ? why && *why : !page.next || *page.next);
  for (size_t i = 0; i < page.n; i++) must(page.v[i].key && *page.v[i].key && (!versions || *page.v[i].generation));
  hf_gcs_page_free(&page);
}

static void credentials(const char *p, size_t n) {
  struct gcs_credentials c;
  struct hft_buf jwt = {0};
  char why[200] = "";
  const char *reason;
  if (!hf_gcs_credentials_read(p, n, &c, why, sizeof why)) {
    must(*why);
    return;
  }
  must(c.kind == GCS_IMPERSONATED ? c.source && c.impersonate : c.token_url && hf_gcs_url_ok(c.token_url, false));
  if (c.kind == GCS_SERVICE_ACCOUNT && hf_gcs_jwt(&c, "s", 0, &jwt, &reason)) must(jwt.len > 0);
  hft_buf_free(&jwt);
  hf_gcs_credentials_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (n == 0) return 0;
  const char *p = (const char *)data + 1, *why;
  char *text = strndup(p, --n);
  must(text != NULL);
  if (data[0] == 'l' || data[0] == 'v') {
    page(p, n, data[0] == 'v');
  } else if (data[0] == 'o') {
    struct gcs_object o;
    if (hf_gcs_object_read(p, n, &o, &why)) must(*o.generation && strlen(o.sha256) % 64 == 0);
    else must(why && *why);
  } else if (data[0] == 'e') {
    struct gcs_error e;
    char permission[80];
    hf_gcs_error_read(p, n, &e);
    must(hf_gcs_class(500, &e, &why) < 0 && hf_gcs_class(404, &e, &why) < 0);
    hf_gcs_permission(e.message, permission, sizeof permission);
  } else if (data[0] == 'c') {
    credentials(p, n);
  } else if (data[0] == 't') {
    char *token = NULL;
    int64_t expires;
    if (hft_token_json(p, n, 1000, &token, &expires, &why)) must(*token && (expires == 0 || expires > 1000));
    hft_token_free(token);
  } else {
    uint64_t offset;
    if (hf_gcs_session_offset(text, 1000, &offset)) must(offset <= 1000);
    (void)hf_gcs_url_ok(text, true);
  }
  free(text);
  return 0;
}
