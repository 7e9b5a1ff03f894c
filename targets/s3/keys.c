/* keys.c - the access key in use: found once, kept, replaced before it expires.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order of "auto" is that of Amazon's tools: the manifest, the environment, web identity, the shared files, the container's service, the
 * instance's. The first that has anything to say decides: what it gets wrong is an error, and no reason to try the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "s3.h"

#define MARGIN 300 /* seconds before its end at which a key is replaced */

void hf_s3_key_free(struct s3_key *k) {
  if (k->secret) explicit_bzero(k->secret, strlen(k->secret));
  if (k->token) explicit_bzero(k->token, strlen(k->token));
  free(k->access);
  free(k->secret);
  free(k->token);
  *k = (struct s3_key){0};
}

/* True when all of it could be had. */
static bool copy(struct s3_key *out, const char *access, const char *secret, const char *token, int64_t expires) {
  *out = (struct s3_key){.expires = expires};
  out->access = strdup(access);
  out->secret = strdup(secret);
  out->token = token && *token ? strdup(token) : NULL;
  if (out->access && out->secret && (out->token || !token || !*token)) return true;
  hf_s3_key_free(out);
  return false;
}

static const char *env(const char *name) {
  const char *s = getenv(name);
  return s && *s ? s : NULL;
}

/* A source that has nothing to say: the next one's turn. */
#define NEXT 1

static int from_environment(struct s3 *t, struct s3_key *out) {
  const char *access = env("AWS_ACCESS_KEY_ID"), *secret = env("AWS_SECRET_ACCESS_KEY");
  if (!access && !secret) return NEXT;
  if (!access || !secret)
    return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the environment has %s without %s", access ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                         access ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
  return copy(out, access, secret, env("AWS_SESSION_TOKEN"), 0) ? HOLDFAST_OK : hft_no_memory(t->host);
}

static int from_web_identity(struct s3 *t, struct s3_key *out) {
  const char *file = env("AWS_WEB_IDENTITY_TOKEN_FILE"), *role = env("AWS_ROLE_ARN");
  if (!file) return NEXT;
  if (!role) return holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the environment has AWS_WEB_IDENTITY_TOKEN_FILE without AWS_ROLE_ARN");
  return hf_s3_key_web_identity(t, file, role, out);
}

static int from_profile(struct s3 *t, struct s3_key *out) {
  const char *name = t->profile ? t->profile : env("AWS_PROFILE");
  struct s3_profile p = {0};
  int status = hf_s3_profile_load(t, &p);
  if (status == HOLDFAST_OK && !p.found)
    status = name ? holdfast_fail(t->host, HOLDFAST_E_CONFIG, "there is no profile %s in the shared files", name) : NEXT;
  if (status != HOLDFAST_OK) {
    hf_s3_profile_free(&p);
    return status;
  }
  if (!name) name = "default";
  if (p.role_arn && p.web_identity_file)
    status = hf_s3_key_web_identity(t, p.web_identity_file, p.role_arn, out);
  else if (p.role_arn || p.source_profile)
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the profile %s takes on a role by way of another profile, which holdfast does not do", name);
  else if (p.access && p.secret)
    status = copy(out, p.access, p.secret, p.token, 0) ? HOLDFAST_OK : hft_no_memory(t->host);
  else if (p.access || p.secret)
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the profile %s has %s without %s", name, p.access ? "aws_access_key_id" : "aws_secret_access_key",
                           p.access ? "aws_secret_access_key" : "aws_access_key_id");
  else if (p.process)
    status = holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the profile %s has a credential_process, which holdfast does not run", name);
  else
    status = t->profile ? holdfast_fail(t->host, HOLDFAST_E_CONFIG, "the profile %s holds no access key", name) : NEXT;
  hf_s3_profile_free(&p);
  return status;
}

static int from_container(struct s3 *t, struct s3_key *out) {
  if (!env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") && !env("AWS_CONTAINER_CREDENTIALS_FULL_URI")) return NEXT;
  return hf_s3_key_container(t, out);
}

/* The sources in order; renewable: asking again may give another key. */
static const struct {
  enum s3_source source;
  bool renewable;
  int (*find)(struct s3 *t, struct s3_key *out);
  const char *absent;
} sources[] = {
    {S3_ENVIRONMENT, false, from_environment, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not in the environment"},
    {S3_WEB_IDENTITY, true, from_web_identity, "AWS_WEB_IDENTITY_TOKEN_FILE is not in the environment"},
    {S3_FILE, true, from_profile, "the shared files hold no access key"},
    {S3_CONTAINER, true, from_container, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not in the environment"},
    {S3_INSTANCE, true, hf_s3_key_instance, "the instance has no role"},
};

static int find_key(struct s3 *t, struct s3_key *out) {
  if (t->set_access) return copy(out, t->set_access, t->set_secret, t->set_token, 0) ? HOLDFAST_OK : hft_no_memory(t->host);
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    /* Who names a profile does not want what happens to be in the environment. */
    bool named = t->profile || t->credentials_file || t->config_file;
    if (t->source == S3_AUTO ? named && sources[i].source != S3_FILE : t->source != sources[i].source) continue;
    int status = sources[i].find(t, out);
    if (status == HOLDFAST_OK) atomic_store(&t->renewable, sources[i].renewable);
    if (status == NEXT && t->source != S3_AUTO) return holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access key: %s", sources[i].absent);
    if (status != NEXT) return status;
  }
  return holdfast_fail(t->host, HOLDFAST_E_AUTH, "no access key: neither in the manifest nor in the environment nor in the shared files, and no role");
}

/* With t->lock held: see that t->key is there and good. */
static int ensure(struct s3 *t, const char *refused) {
  int64_t now = time(NULL);
  bool stale = t->have_key && ((refused && atomic_load(&t->renewable) && strcmp(refused, t->key.access) == 0) ||
                               (t->key.expires && now > t->key.expires - MARGIN));
  struct s3_key fresh = {0};
  if (t->have_key && !stale) return HOLDFAST_OK;
  int status = find_key(t, &fresh);
  if (status == HOLDFAST_OK) {
    hf_s3_key_free(&t->key);
    t->key = fresh;
    t->have_key = true;
    return HOLDFAST_OK;
  }
  /* The old one will do for as long as it lasts. */
  return t->have_key && !refused && now < t->key.expires ? HOLDFAST_OK : status;
}

int hf_s3_key_get(struct s3 *t, const char *refused, struct s3_key *out) {
  pthread_mutex_lock(&t->lock);
  int status = ensure(t, refused);
  if (status == HOLDFAST_OK && !copy(out, t->key.access, t->key.secret, t->key.token, t->key.expires)) status = hft_no_memory(t->host);
  pthread_mutex_unlock(&t->lock);
  return status;
}
