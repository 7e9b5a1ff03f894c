/* s3.h - the s3 target: what its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An object of key K is the object K of the bucket, put in one request with its SHA-256 in the signature, so that the server checks what
 * arrived; the digest is also kept as the user metadata "sha256". Nothing else is stored.
 */
#ifndef HF_S3_H
#define HF_S3_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <holdfast/target.h>

#include "../common/http.h"
#include "../common/key.h"
#include "../common/text.h"

#pragma GCC visibility push(hidden)

#define S3_PAGE_MAX (8u << 20) /* bytes of an answer: 1000 keys of a listing, encoded, with all that goes with each */
#define S3_EXTRA 20            /* headers of a request beyond those every one has */

/* Where the access key comes from. */
enum s3_source { S3_AUTO, S3_MANIFEST, S3_ENVIRONMENT, S3_FILE, S3_WEB_IDENTITY, S3_CONTAINER, S3_INSTANCE };

/* An access key. The texts are the struct's own. */
struct s3_key {
  char *access, *secret, *token; /* token: NULL for a key that needs none */
  int64_t expires;               /* seconds since 1970; 0: never, as far as one knows */
};

struct s3 {
  const struct holdfast_host *host;
  struct hft_http *http;
  char *bucket, *region;
  char *endpoint;   /* as the manifest has it, or NULL for Amazon's */
  char *url, *name; /* of the bucket: "https://HOST/BUCKET" or "https://BUCKET.HOST"; and the Host header's value */
  size_t path_at;   /* where the path begins in url */
  bool region_known; /* it was given, and is not to be replaced by what the server says */
  int path_style;    /* 1, 0, or -1 to decide */
  const char *storage_class, *sse, *kms_key, *lock_mode; /* header values; NULL: none */
  int64_t retain;
  int64_t storage_min;
  int64_t as_of; /* what the bucket held then is what there is; 0: now */
  bool create_only, checksum, requester_pays;
  const char *thaw; /* tier; NULL: do not */
  int64_t thaw_days;
  uint32_t connections;
  atomic_bool proven; /* the server has been seen to refuse a second create */
  /* the key in use */
  enum s3_source source;
  atomic_bool renewable; /* another one may be had from where it came */
  const char *set_access, *set_secret, *set_token, *profile, *credentials_file, *config_file;
  pthread_mutex_t lock; /* over what follows */
  struct s3_key key;
  bool have_key;
};

/* ---- config.c ---- */
enum {
  S3_SET_BUCKET, S3_SET_REGION, S3_SET_ENDPOINT, S3_SET_PATH_STYLE, S3_SET_CREDENTIALS, S3_SET_ACCESS_KEY, S3_SET_SECRET_KEY, S3_SET_SESSION_TOKEN,
  S3_SET_PROFILE, S3_SET_CREDENTIALS_FILE, S3_SET_CONFIG_FILE, S3_SET_STORAGE_CLASS, S3_SET_STORAGE_MIN, S3_SET_SSE, S3_SET_KMS_KEY, S3_SET_LOCK,
  S3_SET_RETAIN, S3_SET_CREATE_ONLY, S3_SET_CHECKSUM, S3_SET_REQUESTER_PAYS, S3_SET_THAW, S3_SET_THAW_DAYS, S3_SET_AS_OF, S3_SET_CONNECTIONS,
  S3_SET_STALL
};
extern const struct holdfast_setting hf_s3_settings[];
/* A target from its settings, all of them checked; nothing is sent. Free it with hf_s3_free. */
int hf_s3_new(const struct holdfast_host *host, const struct holdfast_value *values, struct s3 **out);
void hf_s3_free(struct s3 *t);
/* Make url and name anew, after region has changed. */
int hf_s3_address(struct s3 *t);

/* ---- keys.c: where access keys come from ---- */
/* A copy of the key to sign with; free it with hf_s3_key_free. One that is about to expire is replaced first. refused: the server has refused the one
 * whose access key id this is, NULL for none; a new one is fetched if it is still that. HOLDFAST_E_AUTH when there is none to be had. */
int hf_s3_key_get(struct s3 *t, const char *refused, struct s3_key *out);
void hf_s3_key_free(struct s3_key *k);

/* ---- keys_file.c: the shared files ---- */
/* What a profile says. The texts are the struct's own, NULL where it says nothing. */
struct s3_profile {
  bool found;
  char *access, *secret, *token, *region, *role_arn, *web_identity_file, *source_profile, *process;
};
/* Add what a file's text says of a profile to what out has already. config: its sections are called "profile NAME" but for "default". False when out of
 * memory. */
bool hf_s3_profile_read(const char *text, const char *profile, bool config, struct s3_profile *out);
/* The profile of this target from both files; a file that does not exist says nothing. */
int hf_s3_profile_load(const struct s3 *t, struct s3_profile *out);
void hf_s3_profile_free(struct s3_profile *p);

/* ---- keys_http.c: keys that a service hands out ---- */
int hf_s3_key_web_identity(struct s3 *t, const char *token_file, const char *role_arn, struct s3_key *out);
/* The JSON of the container and instance services. */
int hf_s3_key_container(struct s3 *t, struct s3_key *out);
int hf_s3_key_instance(struct s3 *t, struct s3_key *out);
/* False when it is not such a JSON; why says what is missing. */
bool hf_s3_key_json(const char *text, size_t n, struct s3_key *out, const char **why);

/* ---- errors.c ---- */
/* What the XML of an error says; "" where it says nothing. */
struct s3_error {
  char code[64], message[256], region[64], server_time[64];
};
void hf_s3_error_read(const char *xml, size_t n, struct s3_error *out);
/* The class of an error by its code and, where that says nothing, by the HTTP code. *hint is what to tell the user, or NULL. */
int hf_s3_class(int http, const char *code, const char **hint);

/* ---- request.c ---- */
struct s3_call {
  const char *method, *action; /* action: the IAM name of what is wanted, for messages */
  const char *key;             /* NULL: the bucket itself */
  const char *query;           /* encoded; NULL for none */
  struct hft_header extra[S3_EXTRA];
  size_t n_extra;
  const void *body;
  uint64_t size;
  const char *sha256; /* of the body, NULL: it is computed */
  int (*begin)(void *ctx, const struct hft_response *rs);
  int (*sink)(void *ctx, const void *data, size_t n);
  void *ctx;
  size_t max_body;
};
/* Sign it, send it, wait. HOLDFAST_OK when the answer is a success; else a status with its message, and rs->code for who wants to know. */
int hf_s3_call(struct s3 *t, const struct s3_call *c, struct hft_response *rs);
/* The status of an answer that is no success, with its message. */
int hf_s3_refused(const struct s3 *t, const struct s3_call *c, const struct hft_response *rs);
void hf_s3_extra(struct s3_call *c, const char *name, const char *value);

/* ---- bucket.c ---- */
/* Is the bucket there, and ours to use? create: make it if it is not. */
int hf_s3_bucket_check(struct s3 *t, bool create);

/* ---- put.c, get.c, list.c, remove.c ---- */
int hf_s3_put(void *handle, const struct holdfast_object *object);
int hf_s3_get(void *handle, const char *key, uint64_t offset, uint64_t length, holdfast_sink sink, void *ctx);
int hf_s3_stat(void *handle, const char *key, struct holdfast_stat *out);
int hf_s3_list(void *handle, const char *prefix, holdfast_lister lister, void *ctx);
int hf_s3_remove(void *handle, const char *const *keys, size_t n, int *statuses);

/* ---- page.c: one page of a listing, read and checked before anything of it is used ---- */
struct s3_entry {
  char *key; /* decoded */
  uint64_t size;
  /* of versions only */
  char *version;
  int64_t when;
  bool deleted; /* a delete marker */
};
struct s3_page {
  struct s3_entry *v;
  size_t n;
  bool truncated, encoded;
  char *next, *next_version; /* as they came; NULL: none */
};
/* Objects or versions. 0, or 1 with an explanation in why (cap bytes). Free the page either way. */
int hf_s3_page_read(const char *xml, size_t n, struct s3_page *out, char *why, size_t cap);
void hf_s3_entry_free(struct s3_entry *e);
void hf_s3_page_free(struct s3_page *p);

/* ---- list.c, for versions.c ---- */
/* Ask for a page; free it whatever comes. */
int hf_s3_page_get(struct s3 *t, const char *query, struct s3_page *out);
/* Hand one entry to the lister, if it is below the prefix and its key can be one of ours. */
int hf_s3_listed(const struct s3 *t, const char *prefix, const struct s3_entry *e, holdfast_lister lister, void *ctx);

/* ---- versions.c: the bucket as it was at as_of ---- */
int hf_s3_list_as_of(struct s3 *t, const char *prefix, holdfast_lister lister, void *ctx);
/* The version of a key that was there then, percent-encoded, to be freed. */
int hf_s3_version_as_of(struct s3 *t, const char *key, char **version);

/* ---- thaw.c ---- */
/* The object lies in an archive: ask for it to be brought back, if the settings allow. Returns the status for the get, with its message. */
int hf_s3_thaw(struct s3 *t, const char *key);
/* Can an object be read, by three headers of its HEAD (NULL: not there)? */
enum hf_s3_cold { S3_WARM, S3_COLD, S3_THAWING };
enum hf_s3_cold hf_s3_is_cold(const char *storage_class, const char *archive, const char *restore);
/* As <holdfast/target.h> has it. */
int hf_s3_thaw_many(void *handle, const char *const *keys, size_t n, int *statuses);

/* ---- extend.c ---- */
int hf_s3_extend(void *handle, const char *const *keys, size_t n, int *statuses);

#pragma GCC visibility pop
#endif
