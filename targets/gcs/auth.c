/* auth.c - which credentials, and the token they give.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order of "auto" is that of Google's tools: the file of the manifest, the one that GOOGLE_APPLICATION_CREDENTIALS names, the one that gcloud keeps, the
 * metadata service. The first that has anything to say decides: what it gets wrong is an error, and no reason to try the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs.h"

#define READ_WRITE "https://www.googleapis.com/auth/devstorage.read_write"
#define FULL_CONTROL "https://www.googleapis.com/auth/devstorage.full_control" /* what changing the retention of an object takes */

/* The file that gcloud auth application-default login writes. False when out of memory; nothing is added where there is no home. */
static bool gcloud_file(struct hft_buf *out) {
  const char *config = hf_gcs_env("CLOUDSDK_CONFIG"), *home = hf_gcs_env("HOME");
  if (config) hft_addf(out, "%s/application_default_credentials.json", config);
  else if (home) hft_addf(out, "%s/.config/gcloud/application_default_credentials.json", home);
  return !out->bad;
}

/* The text of the file that is to be used, and its name; NULL when none is there. */
static int find_file(const struct gcs *t, struct hft_buf *name, char **text) {
  const char *given = t->credentials_file ? t->credentials_file : hf_gcs_env("GOOGLE_APPLICATION_CREDENTIALS");
  *text = NULL;
  if (given) hft_adds(name, given);
  if (name->bad || (!given && !gcloud_file(name))) return hft_no_memory(t->host);
  return name->len ? hft_read_file(t->host, name->data, !given, text) : HOLDFAST_OK;
}

/* Read it into c. *found: there is one. */
static int load(const struct gcs *t, struct gcs_credentials *c, bool *found) {
  struct hft_buf name = {0};
  char *text, why[200];
  int status = find_file(t, &name, &text);
  *found = text != NULL;
  if (text && !hf_gcs_credentials_read(text, strlen(text), c, why, sizeof why))
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the credentials in %s cannot be used: %s", hft_text(&name), why);
  hft_token_free(text);
  hft_buf_free(&name);
  return status;
}

int hf_gcs_fetch_token(void *ctx, char **token, int64_t *expires) {
  struct gcs *t = ctx;
  struct gcs_credentials c = {0};
  bool found = false;
  int status = t->source == GCS_METADATA ? HOLDFAST_OK : load(t, &c, &found);
  if (status != HOLDFAST_OK) return status;
  if (found) {
    pthread_mutex_lock(&t->lock);
    free(t->file_project);
    t->file_project = c.project;
    c.project = NULL;
    pthread_mutex_unlock(&t->lock);
    status = hf_gcs_oauth(t, &c, t->mode ? FULL_CONTROL : READ_WRITE, token, expires);
    hf_gcs_credentials_free(&c);
    return status;
  }
  if (t->source == GCS_FILE)
    return holdfast_fail(t->host, HOLDFAST_E_AUTH,
                         "no credentials: set credentials-file; GOOGLE_APPLICATION_CREDENTIALS is not in the environment, and gcloud has left no file");
  status = hf_gcs_metadata_token(t, token, expires);
  /* On a machine that is not Google's nobody answers: then there simply are none. */
  if (status == HOLDFAST_E_TRANSIENT && t->source == GCS_AUTO && !t->token.text)
    status = holdfast_fail(t->host, HOLDFAST_E_AUTH,
                           "no credentials: set credentials-file; GOOGLE_APPLICATION_CREDENTIALS is not in the environment, gcloud has left no file, "
                           "and no metadata service answers");
  return status;
}

void hf_gcs_project(struct gcs *t, char *out, size_t cap) {
  const char *env = hf_gcs_env("GOOGLE_CLOUD_PROJECT");
  pthread_mutex_lock(&t->lock);
  snprintf(out, cap, "%s", t->project ? t->project : t->file_project ? t->file_project : env ? env : "");
  pthread_mutex_unlock(&t->lock);
}
