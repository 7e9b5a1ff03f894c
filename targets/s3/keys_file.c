/* keys_file.c - the credentials and config files that the tools of S3 share.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

void hf_s3_profile_free(struct s3_profile *p) {
  if (p->secret) explicit_bzero(p->secret, strlen(p->secret));
  if (p->token) explicit_bzero(p->token, strlen(p->token));
  free(p->access);
  free(p->secret);
  free(p->token);
  free(p->region);
  free(p->role_arn);
  free(p->web_identity_file);
  free(p->source_profile);
  free(p->process);
  *p = (struct s3_profile){0};
}

struct span {
  const char *p;
  size_t n;
};

static struct span trim(const char *p, const char *end) {
  while (p < end && strchr(" \t\r", *p)) p++;
  while (end > p && strchr(" \t\r", end[-1])) end--;
  return (struct span){p, (size_t)(end - p)};
}

static bool is(struct span s, const char *text) { return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0; }

/* Is "[...]" the section of the profile? */
static bool section_is(struct span s, const char *profile, bool config) {
  const char *close = memchr(s.p, ']', s.n);
  if (!close) return false;
  s = trim(s.p + 1, close);
  if (config && s.n > 8 && memcmp(s.p, "profile", 7) == 0 && strchr(" \t", s.p[7]))
    s = trim(s.p + 8, s.p + s.n);
  else if (config && strcmp(profile, "default") != 0)
    return false;
  return is(s, profile);
}

static bool take(struct s3_profile *out, struct span name, struct span value) {
  const struct {
    const char *name;
    char **at;
  } names[] = {{"aws_access_key_id", &out->access}, {"aws_secret_access_key", &out->secret}, {"aws_session_token", &out->token}, {"region", &out->region},
               {"role_arn", &out->role_arn}, {"web_identity_token_file", &out->web_identity_file}, {"source_profile", &out->source_profile},
               {"credential_source", &out->source_profile}, {"credential_process", &out->process}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    /* What the first file says holds: a key of one and a secret of the other do not belong together. */
    if (!is(name, names[i].name) || *names[i].at || value.n == 0) continue;
    *names[i].at = strndup(value.p, value.n);
    return *names[i].at != NULL;
  }
  return true;
}

bool hf_s3_profile_read(const char *text, const char *profile, bool config, struct s3_profile *out) {
  bool mine = false, good = true;
  /* The keys of a second file count only when the first has none. */
  struct s3_profile keys = {0};
  while (*text && good) {
    const char *end = text + strcspn(text, "\n");
    struct span line = trim(text, end);
    /* Lines that are set in belong to the key above them: options of the tools themselves. */
    bool nested = *text == ' ' || *text == '\t';
    if (line.n > 0 && !nested && *line.p == '[') {
      mine = section_is(line, profile, config);
      keys.found |= mine;
    } else if (line.n > 0 && !nested && *line.p != '#' && *line.p != ';' && mine) {
      const char *eq = memchr(line.p, '=', line.n);
      if (eq) good = take(&keys, trim(line.p, eq), trim(eq + 1, line.p + line.n));
    }
    text = *end ? end + 1 : end;
  }
  out->found |= keys.found;
  char **pairs[][2] = {{&out->region, &keys.region}, {&out->role_arn, &keys.role_arn}, {&out->web_identity_file, &keys.web_identity_file},
                       {&out->source_profile, &keys.source_profile}, {&out->process, &keys.process}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    if (!*pairs[i][0]) {
      *pairs[i][0] = *pairs[i][1];
      *pairs[i][1] = NULL;
    }
  if (!out->access && !out->secret) {
    free(out->token); /* one without a key is of no use */
    out->access = keys.access;
    out->secret = keys.secret;
    out->token = keys.token;
    keys.access = keys.secret = keys.token = NULL;
  }
  hf_s3_profile_free(&keys);
  return good;
}

/* One of the two files: the setting, else the variable, else its place below the home folder. One that is named must be there. */
static int load_file(const struct s3 *t, const char *setting, const char *variable, const char *name, bool config, struct s3_profile *out) {
  const char *profile = t->profile ? t->profile : getenv("AWS_PROFILE"), *path = setting ? setting : getenv(variable), *home = getenv("HOME");
  struct hft_buf standard = {0};
  char *data = NULL;
  bool named = path && *path;
  if (!named) {
    if (!home || *home != '/') return HOLDFAST_OK;
    hft_addf(&standard, "%s/.aws/%s", home, name);
    path = hft_text(&standard);
  }
  int status = standard.bad ? hft_no_memory(t->host) : hft_read_file(t->host, path, !setting, &data);
  if (status == HOLDFAST_OK && data && !hf_s3_profile_read(data, profile && *profile ? profile : "default", config, out)) status = hft_no_memory(t->host);
  if (data) explicit_bzero(data, strlen(data));
  free(data);
  hft_buf_free(&standard);
  return status;
}

int hf_s3_profile_load(const struct s3 *t, struct s3_profile *out) {
  int status = load_file(t, t->credentials_file, "AWS_SHARED_CREDENTIALS_FILE", "credentials", false, out);
  return status == HOLDFAST_OK ? load_file(t, t->config_file, "AWS_CONFIG_FILE", "config", true, out) : status;
}
